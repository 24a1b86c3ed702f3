//! The binder: a parsed query becomes a typed tree with PostgreSQL's meaning.
//!
//! One [`Binder`] binds one statement. Its state is statement-wide (columns, WITH parts, parameters, dependencies); what
//! belongs to one query level is in a [`scope::Scope`] on its stack, innermost last. Expressions are bound against that
//! stack: a name found further out makes the inner query correlated, with no further bookkeeping (see `tree`).
//!
//! Who calls whom:
//! - `query`, `select`, `from`, … push a scope, fill its namespace, set [`scope::Scope::clause`] and call `bind_expr`.
//! - `bind_expr` calls back for what concerns the query level: [`Binder::resolve_name`] for names, `Binder::aggregate`,
//!   `Binder::window_call`, `Binder::grouping`, `Binder::set_returning` for calls that become operators (each answers
//!   with the column that the operator will fill), `Binder::subquery` for queries in expressions.

pub(crate) mod aggregate;
mod call;
pub mod coerce;
pub(crate) mod cte;
pub(crate) mod delete;
mod domain;
mod expr;
mod fold;
pub(crate) mod from;
pub(crate) mod insert;
mod json;
pub(in crate::sql) mod overload;
pub(crate) mod query;
mod record;
mod sample;
pub mod scope;
pub(crate) mod select;
pub(crate) mod set_op;
mod traversal;
mod types;
mod ungrouped;
pub(crate) mod updatable;
pub(crate) mod update;
pub(crate) mod view;
pub(crate) mod window;

use crate::catalog::image::{Image, Relation};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::sql::tree::{ColumnId, Cte, RelationLock, ScanColumn};
use crate::types::{Oid, Type};
use scope::{CteName, Scope};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

/// What binding depends on besides the statement.
pub struct BindContext<'a> {
    /// The catalog.
    pub image: Arc<Image>,
    /// Schemas that are searched, in order, implicit ones (pg_temp, pg_catalog) included.
    pub search_path: Vec<Oid>,
    /// The session's temporary schema, if it has one.
    pub temp_schema: Option<Oid>,
    /// Whose rights count.
    pub user: Oid,
    /// Types of $1, $2, … that the client declared.
    pub declared_params: Vec<Option<Oid>>,
    /// Settings that constant folding reads.
    pub call: &'a CallContext,
    /// Set when a literal's value hangs on when it is read ('now').
    pub reads_clock: Cell<bool>,
}

/// The state of binding one statement.
pub(crate) struct Binder<'a> {
    /// What binding depends on.
    pub ctx: &'a BindContext<'a>,
    /// The text that spans refer to; empty when errors must not carry a position (a view's text, a default's).
    pub text: &'a str,
    /// The search path in force: the context's, or a view's own.
    pub search_path: Vec<Oid>,
    /// Whose rights count: the context's user, or the owner of the view being bound.
    pub user: Oid,
    /// Types of all columns so far.
    pub columns: Vec<Type>,
    /// The query level that a column belongs to ([`Scope::serial`]); 0 when to none.
    pub levels: Vec<u32>,
    /// Query levels, innermost last.
    pub scopes: Vec<Scope>,
    /// WITH parts bound so far.
    pub ctes: Vec<Cte>,
    /// WITH names in sight, innermost last.
    pub cte_names: Vec<CteName>,
    /// $n: declared or inferred type.
    pub params: Vec<Option<Type>>,
    /// See [`crate::sql::tree::Statement::dependencies`].
    pub dependencies: Vec<Oid>,
    /// See [`crate::sql::tree::Statement::locks`].
    pub locks: Vec<(Oid, RelationLock)>,
    /// Relations that the text names, each with its first place.
    pub places: Vec<(Oid, u32)>,
    /// The fields of columns of type record, where what they were made of tells.
    pub records: HashMap<ColumnId, Vec<(String, Type)>>,
    /// Names of the columns of whole rows that have no type of their own.
    pub whole_rows: HashMap<Vec<ColumnId>, Vec<String>>,
    /// Columns that a scan turned out to need after it was made, by the scan's first column.
    pub late_columns: HashMap<ColumnId, Vec<(ScanColumn, ColumnId)>>,
    /// Relations that the outermost view names itself.
    pub view_sources: Vec<Oid>,
    /// Views being expanded, outermost first.
    pub views: Vec<Oid>,
    /// Names of the present WITH's parts that are not bound yet, for a hint.
    pub later_ctes: Vec<String>,
    /// Writing WITH parts being bound: inside them no other may begin.
    pub cte_depth: u32,
    /// How often the recursive part whose step is being bound has been named there.
    pub working_uses: u32,
    /// Where recursive parts must not be named: those below this many names in sight, and the place's words.
    pub recursion_barriers: Vec<(usize, &'static str)>,
    /// How many expressions surround the one being bound; constants are folded at the outermost.
    pub expr_depth: u32,
    /// Arguments of the SQL functions being put in place of their calls, innermost last: what $n means in their bodies.
    pub inlined: Vec<Vec<crate::sql::tree::Expr>>,
    /// What PostgreSQL's planner finds out: reported when all else is bound.
    pub plan_error: Option<Error>,
    /// See [`crate::sql::tree::Statement::failures`].
    pub failures: Vec<(crate::sql::tree::Expr, Error)>,
    /// The explicit collation of what was bound last, as PostgreSQL derives it: its name and its place.
    pub explicit: Option<(String, u32)>,
    /// The client cannot give parameters.
    pub no_params: bool,
    /// The WITH name that a part named before that was bound: its place among the names in sight.
    pub waits_for: Option<usize>,
    /// SEARCH's and CYCLE's columns of the recursive part's last round that the step being bound reads.
    pub working_extras: Vec<ColumnId>,
    /// Grouping columns with the columns that they plainly are.
    pub same: Vec<(ColumnId, ColumnId)>,
    /// The operands of the set operation being bound.
    pub operands: Vec<scope::Item>,
    serial: u32,
}

impl<'a> Binder<'a> {
    /// A binder for one statement; `text` is what its spans refer to.
    pub(crate) fn new(ctx: &'a BindContext<'a>, text: &'a str) -> Binder<'a> {
        Binder {
            ctx,
            text,
            search_path: ctx.search_path.clone(),
            user: ctx.user,
            columns: Vec::new(),
            levels: Vec::new(),
            scopes: Vec::new(),
            ctes: Vec::new(),
            cte_names: Vec::new(),
            params: ctx.declared_params.iter().map(|ty| ty.map(Type::new)).collect(),
            dependencies: Vec::new(),
            locks: Vec::new(),
            places: Vec::new(),
            records: HashMap::new(),
            whole_rows: HashMap::new(),
            late_columns: HashMap::new(),
            view_sources: Vec::new(),
            views: Vec::new(),
            later_ctes: Vec::new(),
            cte_depth: 0,
            working_uses: 0,
            recursion_barriers: Vec::new(),
            expr_depth: 0,
            inlined: Vec::new(),
            plan_error: None,
            failures: Vec::new(),
            explicit: None,
            no_params: false,
            waits_for: None,
            working_extras: Vec::new(),
            same: Vec::new(),
            operands: Vec::new(),
            serial: 0,
        }
    }

    /// A new column.
    pub(crate) fn column(&mut self, ty: Type) -> ColumnId {
        self.columns.push(ty);
        self.levels.push(0);
        ColumnId(self.columns.len() as u32 - 1)
    }

    /// Opens a query level.
    pub(crate) fn push_scope(&mut self) {
        self.serial += 1;
        self.scopes.push(Scope::new(self.serial));
    }

    /// Closes the innermost query level.
    pub(crate) fn pop_scope(&mut self) -> Scope {
        self.scopes.pop().expect("a scope is popped only by who pushed it")
    }

    /// The innermost query level.
    pub(crate) fn scope(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("expressions are bound inside a scope")
    }

    /// Remembers that the tree depends on an object.
    pub(crate) fn depend(&mut self, object: Oid) {
        if !self.dependencies.contains(&object) {
            self.dependencies.push(object);
        }
        if self.views.len() == 1 && !self.view_sources.contains(&object) {
            self.view_sources.push(object);
        }
    }

    /// Remembers a lock that execution must hold, the strongest one per relation.
    pub(crate) fn lock(&mut self, relation: Oid, lock: RelationLock) {
        match self.locks.iter_mut().find(|(oid, _)| *oid == relation) {
            Some((_, held)) => *held = lock.max(*held),
            None => self.locks.push((relation, lock)),
        }
    }

    /// 42501 unless the user whose rights count may use a relation: its owner and superusers may, anybody a system relation.
    /// 0A000 for a temporary relation of another session.
    pub(crate) fn check_access(&self, relation: &Relation) -> Result<()> {
        if relation.temporary && self.ctx.temp_schema != Some(relation.schema) {
            return Err(Error::new(SqlState::FeatureNotSupported, "cannot access temporary tables of other sessions"));
        }
        self.ctx.image.check_access(self.user, relation)
    }

    /// What a syntax node's position is worth in an error: itself, or 0 while another text than the client's is bound.
    pub(crate) fn position(&self, pos: u32) -> u32 {
        if self.text.is_empty() { 0 } else { pos }
    }
}

#[cfg(test)]
mod expr_tests;
#[cfg(test)]
pub(crate) mod tests;
