//! Views, and stored expressions (defaults, checks, index expressions): texts of the catalog bound at their use.

use super::Binder;
use super::coerce::Coercion;
use super::query::Bound;
use super::scope::{Clause, Item, ScopeColumn};
use crate::catalog::image::{Body, Relation};
use crate::error::{Error, Result, SqlState};
use crate::sql::tree::{ColumnId, Expr};
use crate::sql::{ast, parse};
use crate::types::{Oid, Type};

/// Views inside views: far beyond what anybody writes, well inside the stack.
const VIEW_DEPTH_MAX: usize = 200;

impl Binder<'_> {
    /// A view's query, bound with the search path of its creation and its owner's rights.
    pub(crate) fn view(&mut self, view: &Relation) -> Result<Bound> {
        let Body::View { text, search_path, .. } = &view.body else {
            return Err(Error::internal(format!("\"{}\" is not a view", view.name)));
        };
        if self.views.contains(&view.oid) {
            let message = format!("infinite recursion detected in rules for relation \"{}\"", view.name);
            return Err(Error::new(SqlState::InvalidObjectDefinition, message));
        }
        if self.views.len() >= VIEW_DEPTH_MAX {
            return Err(Error::new(SqlState::StatementTooComplex, "views are nested too deeply"));
        }
        let ast::Statement::Query(query) = parse::parse_one(text)? else {
            return Err(Error::internal(format!("the view \"{}\" is no query", view.name)));
        };
        let schemas = &self.ctx.image.schema_names;
        let path: Vec<Oid> = search_path.iter().filter_map(|name| schemas.get(name).copied()).collect();
        self.lock(view.oid, crate::sql::tree::RelationLock::Read);
        self.views.push(view.oid);
        let user = std::mem::replace(&mut self.user, view.owner);
        let bound = self.apart(Some(path), |binder| binder.query(&query, true));
        self.user = user;
        self.views.pop();
        let bound = bound?;
        if bound.columns.len() != view.live_attributes().count() {
            return Err(Error::internal(format!("the view \"{}\" does not fit its query", view.name)));
        }
        Ok(bound)
    }

    /// Binds another text than the client's: in sight of none of its names, with errors that carry no position.
    pub(crate) fn apart<R>(
        &mut self,
        search_path: Option<Vec<Oid>>,
        bind: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<R> {
        let text = std::mem::take(&mut self.text);
        let scopes = std::mem::take(&mut self.scopes);
        let names = std::mem::take(&mut self.cte_names);
        let barriers = std::mem::take(&mut self.recursion_barriers);
        let path = search_path.map(|path| std::mem::replace(&mut self.search_path, path));
        let result = bind(self);
        if let Some(path) = path {
            self.search_path = path;
        }
        self.recursion_barriers = barriers;
        self.cte_names = names;
        self.scopes = scopes;
        self.text = text;
        result
    }

    /// A stored expression over a row's columns (none for a DEFAULT), coerced to `expected` as an assignment.
    pub(crate) fn stored_expression(
        &mut self,
        text: &str,
        relation: &Relation,
        columns: &[(i16, ColumnId)],
        clause: Clause,
        expected: Option<Type>,
    ) -> Result<Expr> {
        let expr = parse::expression(text)?;
        self.apart(None, |binder| binder.expression_over(&expr, relation, columns, clause, expected))
    }

    /// An expression of a definition in the client's text, over a row's columns (none for a DEFAULT), and the columns that it
    /// names with their places; `condition`: it must be a bool, and this is its name in messages.
    pub(crate) fn definition(
        &mut self,
        expr: &ast::Expr,
        relation: &Relation,
        columns: &[(i16, ColumnId)],
        clause: Clause,
        condition: Option<&str>,
    ) -> Result<(Expr, Vec<(ColumnId, u32)>)> {
        self.push_scope();
        let item = Self::row_item(relation, &relation.name, columns);
        self.own_item(&item);
        self.scope().items.push(item);
        let bound = match condition {
            Some(what) => self.bind_bool(expr, clause, what),
            None => self.bind_expr(expr, clause),
        };
        let named = self.pop_scope().references.iter().map(|named| (named.column, named.span)).collect();
        Ok((bound?, named))
    }

    /// An expression over a row's columns, in a scope of its own.
    pub(crate) fn expression_over(
        &mut self,
        expr: &ast::Expr,
        relation: &Relation,
        columns: &[(i16, ColumnId)],
        clause: Clause,
        expected: Option<Type>,
    ) -> Result<Expr> {
        self.push_scope();
        let item = Self::row_item(relation, &relation.name, columns);
        self.own_item(&item);
        self.scope().items.push(item);
        let bound = self.bind_expr(expr, clause);
        self.pop_scope();
        let bound = bound?;
        let Some(expected) = expected else { return Ok(self.coerce_unknown_to_text(bound)) };
        let given = bound.ty;
        self.coerce_to(bound, expected, Coercion::Assignment, expr.location())?.ok_or_else(|| {
            let (expected, given) = (self.type_name(expected), self.type_name(given));
            let message = format!("expression is of type {given}, not {expected}");
            Error::new(SqlState::DatatypeMismatch, message).at(self.position(expr.location()))
        })
    }

    /// An item over a row's columns: a table's row being written.
    pub(crate) fn row_item(relation: &Relation, name: &str, columns: &[(i16, ColumnId)]) -> Item {
        let columns = columns.iter().filter_map(|(number, column)| {
            let attribute = relation.attributes.get(usize::try_from(*number - 1).ok()?)?;
            Some(ScopeColumn {
                name: attribute.name.clone(),
                column: *column,
                ty: attribute.ty,
                origin: Some((relation.oid, *number)),
            })
        });
        Item { named: true, bare: true, row_type: relation.row_type, ..Item::new(name, columns.collect()) }
    }
}
