//! Queries: what surrounds a body (WITH, ORDER BY, LIMIT), VALUES, and the statement as a whole.

use super::Binder;
use super::coerce::Coercion;
use super::scope::{Clause, Item, Lateral, ScopeColumn};
use crate::catalog::image::{Index, Relation};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast;
use crate::sql::tree::{ColumnId, Expr, ExprKind, IndexDefinition, OutputColumn, Rel, Root, SortKey, Statement};
use crate::sql::visit;
use crate::types::{Datum, Oid, Type, oid};
use std::collections::HashMap;
use std::sync::Arc;

/// A bound query.
#[derive(Debug)]
pub(crate) struct Bound {
    /// Its rows.
    pub rel: Rel,
    /// Its columns.
    pub columns: Vec<OutputColumn>,
    /// Per column: the literal or parameter of yet unknown type that it is, for whoever knows a better type than text.
    pub literals: Vec<Option<Expr>>,
    /// Per column: where it stands in the text.
    pub positions: Vec<u32>,
    /// Table scans below that FOR UPDATE of an outer query locks: first column and table.
    pub lockable: Vec<(ColumnId, Arc<Relation>)>,
    /// Why FOR UPDATE of an outer query cannot lock its rows.
    pub lock_refused: Option<&'static str>,
    /// For EXISTS: the operators on top that need not run to know whether there is a row; none where all of them do.
    pub idle: usize,
}

/// ORDER BY, LIMIT and locking of a query, as its body sees them.
pub(crate) struct Tail<'q> {
    pub order_by: &'q [ast::OrderBy],
    pub limit: Option<&'q ast::Expr>,
    pub offset: Option<&'q ast::Expr>,
    pub with_ties: bool,
    pub locking: &'q [ast::Locking],
}

impl Tail<'_> {
    /// No clause at all.
    pub(crate) const EMPTY: Tail<'static> =
        Tail { order_by: &[], limit: None, offset: None, with_ties: false, locking: &[] };
}

/// OFFSET and LIMIT, bound.
pub(crate) struct RowCounts {
    offset: Option<Expr>,
    limit: Option<Expr>,
}

/// A reference to a column.
pub(crate) fn column_expr(column: ColumnId, ty: Type) -> Expr {
    Expr { kind: ExprKind::Column(column), ty }
}

/// The constant true.
pub(crate) fn truth() -> Expr {
    Expr { kind: ExprKind::Const(Datum::Bool(true)), ty: Type::new(oid::BOOL) }
}

/// The one row of no columns.
pub(crate) fn one_row() -> Rel {
    Rel::Values { columns: Vec::new(), rows: vec![Vec::new()] }
}

/// A syntax tree's query as a refusal at a place.
pub(crate) fn syntax(message: impl Into<String>) -> Error {
    Error::new(SqlState::SyntaxError, message)
}

impl Binder<'_> {
    /// Binds a whole statement.
    pub(crate) fn statement(mut self, statement: &ast::Statement) -> Result<Statement> {
        let (root, output) = self.root(statement)?;
        self.finish(root, output)
    }

    /// Where a statement first names a relation.
    pub(crate) fn place_of(mut self, statement: &ast::Statement, relation: crate::types::Oid) -> Result<Option<u32>> {
        self.root(statement)?;
        Ok(self.places.iter().find(|(oid, _)| *oid == relation).map(|(_, place)| *place))
    }

    /// A statement whose main part is bound.
    pub(crate) fn finish(mut self, root: Root, output: Vec<OutputColumn>) -> Result<Statement> {
        let params = self.final_params()?;
        let mut bound = Statement {
            root,
            ctes: std::mem::take(&mut self.ctes),
            output,
            params,
            columns: std::mem::take(&mut self.columns),
            dependencies: std::mem::take(&mut self.dependencies),
            locks: std::mem::take(&mut self.locks),
            index_definitions: Arc::default(),
            failures: std::mem::take(&mut self.failures),
        };
        self.add_late_columns(&mut bound);
        self.add_index_definitions(&mut bound);
        Ok(bound)
    }

    /// Binds the expressions and predicates of the scanned tables' indexes. One that does not bind (its text is older than
    /// something that it names) serves no search; that is no error of the statement's.
    fn add_index_definitions(&mut self, statement: &mut Statement) {
        let mut tables: Vec<Arc<Relation>> = Vec::new();
        visit::top_rels(statement, &mut |rel| {
            visit::all_rels(rel, &mut |rel| {
                if let Rel::Scan { relation, .. } = rel
                    && relation.indexes.iter().any(|index| index.is_derived())
                    && !tables.iter().any(|table| table.oid == relation.oid)
                {
                    tables.push(relation.clone());
                }
            });
        });
        let mut definitions = HashMap::new();
        let failures = self.failures.len();
        for table in tables {
            self.columns.clone_from(&statement.columns);
            let row = self.row_columns(&table);
            for index in table.indexes.iter().filter(|index| index.is_derived()) {
                if let Ok(definition) = self.index_definition(&table, index, &row) {
                    definitions.insert(index.oid, definition);
                }
            }
        }
        self.failures.truncate(failures);
        statement.index_definitions = Arc::new(definitions);
    }

    fn index_definition(
        &mut self,
        table: &Arc<Relation>,
        index: &Index,
        row: &[(i16, ColumnId)],
    ) -> Result<IndexDefinition> {
        let mut keys = Vec::with_capacity(index.keys.len());
        for key in &index.keys {
            keys.push(match &key.expression {
                Some(text) => Some(self.stored_expression(text, table, row, Clause::IndexExpression, Some(key.ty))?),
                None => None,
            });
        }
        let predicate = match &index.predicate {
            Some((text, _)) => {
                let boolean = Some(Type::new(oid::BOOL));
                Some(self.stored_expression(text, table, row, Clause::IndexPredicate, boolean)?)
            }
            None => None,
        };
        Ok(IndexDefinition { row: row.to_vec(), keys, predicate })
    }

    /// The main part of a statement, or a WITH part's.
    pub(crate) fn root(&mut self, statement: &ast::Statement) -> Result<(Root, Vec<OutputColumn>)> {
        match statement {
            ast::Statement::Query(query) => {
                let bound = self.query(query, true)?;
                Ok((Root::Query(bound.rel), bound.columns))
            }
            ast::Statement::Insert(insert) => {
                let (insert, output) = self.insert(insert)?;
                Ok((Root::Insert(Box::new(insert)), output))
            }
            ast::Statement::Update(update) => {
                let (update, output) = self.update(update)?;
                Ok((Root::Update(Box::new(update)), output))
            }
            ast::Statement::Delete(delete) => {
                let (delete, output) = self.delete(delete)?;
                Ok((Root::Delete(Box::new(delete)), output))
            }
            ast::Statement::Utility(_) => Err(syntax("a utility statement cannot stand here")),
        }
    }

    /// Tells scans of the columns that turned out to be needed after they were made.
    fn add_late_columns(&mut self, statement: &mut Statement) {
        if self.late_columns.is_empty() {
            return;
        }
        let late = std::mem::take(&mut self.late_columns);
        visit::top_rels(statement, &mut |rel| {
            visit::all_rels(rel, &mut |rel| {
                if let Rel::Scan { columns, .. } = rel
                    && let Some(more) = columns.first().and_then(|(_, first)| late.get(first))
                {
                    for column in more {
                        if !columns.contains(column) {
                            columns.push(*column);
                        }
                    }
                }
            });
        });
    }

    /// Binds a query. Literals of unknown type in its select list become text when `resolve` is set.
    pub(crate) fn query(&mut self, query: &ast::Query, resolve: bool) -> Result<Bound> {
        visit::deeper(|| {
            let names = self.cte_names.len();
            if let Some(with) = &query.with {
                self.with(with)?;
            }
            let bound = self.query_body(query, resolve);
            self.cte_names.truncate(names);
            bound
        })
    }

    fn query_body(&mut self, query: &ast::Query, resolve: bool) -> Result<Bound> {
        let ast::Query { with: _, body, order_by, limit, with_ties, offset, locking, pos: _ } = query;
        let tail = Tail { order_by, limit: limit.as_ref(), offset: offset.as_ref(), with_ties: *with_ties, locking };
        match body {
            ast::SetExpr::Select(select) => self.select(select, &tail, resolve),
            ast::SetExpr::Values { rows, pos } => self.values(rows, *pos, &tail, resolve),
            ast::SetExpr::Query(inner) => self.parenthesised(inner, &tail, resolve),
            ast::SetExpr::SetOp { .. } => self.set_operation(body, &tail),
        }
    }

    /// `(query) ORDER BY …`: PostgreSQL gives the outer clauses to the inner query unless it has them itself.
    fn parenthesised(&mut self, inner: &ast::Query, tail: &Tail<'_>, resolve: bool) -> Result<Bound> {
        let Tail { order_by, limit, offset, with_ties, locking } = tail;
        let mut merged = inner.clone();
        if !order_by.is_empty() {
            if !merged.order_by.is_empty() {
                let pos = self.position(order_by[0].expr.location());
                return Err(syntax("multiple ORDER BY clauses not allowed").at(pos));
            }
            merged.order_by = order_by.to_vec();
        }
        if let Some(offset) = offset {
            if merged.offset.is_some() {
                let pos = self.position(offset.location());
                return Err(syntax("multiple OFFSET clauses not allowed").at(pos));
            }
            merged.offset = Some((*offset).clone());
        }
        if let Some(limit) = limit {
            if merged.limit.is_some() {
                let pos = self.position(limit.location());
                return Err(syntax("multiple LIMIT clauses not allowed").at(pos));
            }
            merged.limit = Some((*limit).clone());
            merged.with_ties = *with_ties;
        }
        merged.locking.extend(locking.iter().cloned());
        self.query(&merged, resolve)
    }

    /// A query in an expression, which stands at `pos`: a scope of its own inside the present ones.
    pub(crate) fn subquery(&mut self, query: &ast::Query, pos: u32) -> Result<Bound> {
        if let Some(scope) = self.scopes.last()
            && let Some(place) = scope.clause.refuses_subquery()
        {
            let message = format!("cannot use subquery in {place}");
            return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(pos)));
        }
        self.behind(true, "a subquery", |binder| binder.query(query, true))
    }

    /// Binds something inside which (if `barred`) a recursive part in sight may not be named.
    pub(crate) fn behind<R>(
        &mut self,
        barred: bool,
        place: &'static str,
        bind: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<R> {
        if !barred {
            return bind(self);
        }
        self.recursion_barriers.push((self.cte_names.len(), place));
        let result = bind(self);
        self.recursion_barriers.pop();
        result
    }

    /// VALUES as a query: columns `column1`, `column2`, … of the rows' common types.
    pub(crate) fn values(
        &mut self,
        rows: &[Vec<ast::Expr>],
        pos: u32,
        tail: &Tail<'_>,
        resolve: bool,
    ) -> Result<Bound> {
        self.push_scope();
        let bound = self.values_inner(rows, pos, tail, resolve);
        self.pop_scope();
        bound
    }

    fn values_inner(&mut self, rows: &[Vec<ast::Expr>], pos: u32, tail: &Tail<'_>, resolve: bool) -> Result<Bound> {
        if let Some(locking) = tail.locking.first() {
            let message = format!("{} cannot be applied to VALUES", super::select::lock_name(locking.strength));
            return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(locking.pos)));
        }
        let mut exprs = self.value_rows(rows)?;
        let width = rows[0].len();
        let mut columns = Vec::with_capacity(width);
        let mut literals = vec![None; width];
        for j in 0..width {
            let typed: Vec<(Oid, u32)> =
                exprs.iter().zip(rows).map(|(row, source)| (row[j].ty.oid, source[j].location())).collect();
            let common = self.select_common_type(&typed, "VALUES")?;
            if !resolve && rows.len() == 1 && exprs[0][j].ty.oid == oid::UNKNOWN {
                literals[j] = Some(exprs[0][j].clone());
            }
            // Rows of one typmod keep it.
            let typmod = exprs[0][j].ty.typmod;
            let same = exprs.iter().all(|row| row[j].ty == Type::with_typmod(common, typmod));
            let ty = if same { Type::with_typmod(common, typmod) } else { Type::new(common) };
            for (row, source) in exprs.iter_mut().zip(rows) {
                let place = source[j].location();
                let value = std::mem::replace(&mut row[j], truth());
                row[j] = self.coerce_common(value, ty, "VALUES", place)?;
            }
            columns.push(self.column(ty));
        }
        super::select::check_entries(width)?;
        let rel = Rel::Values { columns: columns.clone(), rows: exprs };
        let scope_columns = columns.iter().enumerate().map(|(i, column)| ScopeColumn {
            name: format!("column{}", i + 1),
            column: *column,
            ty: self.columns[column.0 as usize],
            origin: None,
        });
        let item = Item { named: true, bare: true, ..Item::new("*VALUES*", scope_columns.collect()) };
        self.own_item(&item);
        self.scope().items.push(item);
        let output: Vec<OutputColumn> = self.scope().items[0]
            .columns
            .iter()
            .map(|c| OutputColumn { name: c.name.clone(), column: c.column, ty: c.ty, origin: None })
            .collect();
        let rel = self.tail_by_columns(rel, &output, tail)?;
        Ok(Bound {
            rel,
            positions: vec![pos; output.len()],
            columns: output,
            literals,
            lockable: Vec::new(),
            lock_refused: Some("VALUES"),
            idle: 0,
        })
    }

    /// The expressions of VALUES rows, all rows equally long; DEFAULT is refused.
    fn value_rows(&mut self, rows: &[Vec<ast::Expr>]) -> Result<Vec<Vec<Expr>>> {
        let mut bound = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != rows[0].len() {
                let pos = self.position(row.first().map_or(0, ast::Expr::location));
                return Err(syntax("VALUES lists must all be the same length").at(pos));
            }
            let mut values = Vec::with_capacity(row.len());
            for value in row {
                if matches!(value.kind, ast::ExprKind::Default) {
                    return Err(syntax("DEFAULT is not allowed in this context").at(self.position(value.pos)));
                }
                values.push(self.bind_expr(value, Clause::Values)?);
            }
            bound.push(values);
        }
        Ok(bound)
    }

    /// ORDER BY, LIMIT and OFFSET over columns that exist already (VALUES).
    fn tail_by_columns(&mut self, mut rel: Rel, output: &[OutputColumn], tail: &Tail<'_>) -> Result<Rel> {
        let mut targets: Vec<super::select::BoundTarget> =
            output.iter().map(|column| super::select::BoundTarget::of_column(column, 0)).collect();
        let order = self.order_by(tail.order_by, &mut targets, Clause::OrderBy)?;
        let keys: Vec<_> = order.iter().map(|item| item.key(&targets)).collect();
        if !keys.is_empty() {
            rel = Rel::Sort { input: Box::new(rel), keys: keys.clone() };
        }
        let counts = self.row_counts(tail)?;
        self.limit(rel, tail, counts, keys)
    }

    /// Binds OFFSET and LIMIT.
    pub(crate) fn row_counts(&mut self, tail: &Tail<'_>) -> Result<RowCounts> {
        let offset = tail.offset.map(|expr| self.row_count(expr, Clause::Offset)).transpose()?;
        let limit = tail.limit.map(|expr| self.row_count(expr, Clause::Limit)).transpose()?;
        Ok(RowCounts { offset, limit })
    }

    /// Whether any row at all means that one is given.
    pub(crate) fn leave_one(counts: &RowCounts) -> bool {
        let limit = counts.limit.as_ref().map(|limit| &limit.kind);
        counts.offset.is_none() && matches!(limit, None | Some(ExprKind::Const(Datum::Null | Datum::Int8(1..))))
    }

    /// LIMIT, OFFSET and FETCH over sorted rows.
    pub(crate) fn limit(&self, rel: Rel, tail: &Tail<'_>, counts: RowCounts, keys: Vec<SortKey>) -> Result<Rel> {
        let RowCounts { offset, limit } = counts;
        if tail.with_ties {
            if keys.is_empty() {
                return Err(syntax("WITH TIES cannot be specified without ORDER BY clause"));
            }
            if tail.locking.iter().any(|locking| locking.wait == ast::LockWait::SkipLocked) {
                return Err(syntax("SKIP LOCKED and WITH TIES options cannot be used together"));
            }
        }
        if limit.is_none() && offset.is_none() {
            return Ok(rel);
        }
        let ties = tail.with_ties.then_some(keys);
        Ok(Rel::Limit { input: Box::new(rel), limit, offset, ties })
    }

    /// The argument of LIMIT or OFFSET: an int8 without columns of its own query.
    fn row_count(&mut self, expr: &ast::Expr, clause: Clause) -> Result<Expr> {
        let noted = self.scope().references.len();
        let bound = self.bind_expr(expr, clause)?;
        let pos = self.position(expr.location());
        let given = bound.ty.oid;
        let Some(count) = self.coerce_to(bound, Type::new(oid::INT8), Coercion::Assignment, expr.location())? else {
            let name = self.type_name(Type::new(given));
            let message = format!("argument of {} must be type bigint, not type {name}", clause.name());
            return Err(Error::new(SqlState::DatatypeMismatch, message).at(pos));
        };
        self.refuse_variables(noted, clause.name())?;
        Ok(count)
    }

    /// 42P10 for a column of the present level that was named after so many others.
    pub(crate) fn refuse_variables(&self, noted: usize, argument_of: &str) -> Result<()> {
        let references = &self.scopes.last().expect("columns are named inside a scope").references;
        let Some(reference) = references.get(noted) else { return Ok(()) };
        let message = format!("argument of {argument_of} must not contain variables");
        Err(Error::new(SqlState::InvalidColumnReference, message).at(self.position(reference.span)))
    }

    /// A value as the common type that was chosen for it and others.
    pub(crate) fn coerce_common(&mut self, value: Expr, ty: Type, construct: &str, pos: u32) -> Result<Expr> {
        let from = value.ty;
        match self.coerce_to(value, ty, Coercion::Implicit, pos)? {
            Some(value) => Ok(value),
            None => {
                let (from, to) = (self.type_name(from), self.type_name(ty));
                let message = format!("{construct} could not convert type {from} to {to}");
                Err(Error::new(SqlState::CannotCoerce, message).at(self.position(pos)))
            }
        }
    }
}

impl Item {
    /// An item of that name with these columns, found by nothing yet.
    pub(crate) fn new(name: &str, columns: Vec<ScopeColumn>) -> Item {
        Item {
            name: name.to_owned(),
            relation: None,
            aliased: false,
            columns,
            scan: None,
            written: false,
            row_type: Oid::NONE,
            scalar: false,
            named: false,
            bare: false,
            lateral: Lateral::Open,
            join: false,
            lockable: Vec::new(),
            lock_refused: None,
        }
    }
}
