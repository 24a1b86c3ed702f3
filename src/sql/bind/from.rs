//! FROM: tables, views, WITH parts, functions, subqueries and joins (PostgreSQL's `parse_clause.c`).
//!
//! Every item gives its rows and the [`Item`]s by which names find its columns. While the clause is being bound, what
//! stands to the left of an item is in sight of LATERAL items only.

use super::Binder;
use super::query::{Bound, column_expr, one_row, syntax, truth};
use super::scope::{Clause, CteState, Item, Lateral, ScopeColumn};
use crate::catalog::builtin;
use crate::catalog::image::{Attribute, Body, Relation};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::{self, Function, FunctionKind, Volatility};
use crate::sql::ast::{self, JoinCondition, TableRef};
use crate::sql::tree::{Call, Expr, ExprKind, JoinKind, Rel, RelationLock, ScanColumn};
use crate::sql::visit;
use crate::types::{Datum, Oid, Type, oid};
use std::sync::{Arc, LazyLock};

/// A FROM item's rows and names.
pub(crate) struct FromItem {
    pub rel: Rel,
    pub items: Vec<Item>,
    /// Whether it read columns of items to its left.
    pub lateral: bool,
}

impl Binder<'_> {
    /// A whole FROM clause; leaves its items in the scope, open to all.
    pub(crate) fn bind_from(&mut self, from: &[TableRef]) -> Result<Rel> {
        let mut rel: Option<Rel> = None;
        for item in from {
            let bound = self.bind_from_item(item)?;
            self.check_names(&bound.items)?;
            rel = Some(match rel {
                None => bound.rel,
                Some(left) => Rel::Join {
                    kind: JoinKind::Inner,
                    left: Box::new(left),
                    right: Box::new(bound.rel),
                    on: truth(),
                    lateral: bound.lateral,
                },
            });
            let closed = bound.items.into_iter().map(|item| Item { lateral: Lateral::Only, ..item });
            self.scope().items.extend(closed);
        }
        for item in &mut self.scope().items {
            item.lateral = Lateral::Open;
        }
        Ok(rel.unwrap_or_else(one_row))
    }

    /// 42712 when an alias is taken.
    pub(crate) fn check_names(&mut self, items: &[Item]) -> Result<()> {
        for item in items.iter().filter(|item| item.named) {
            let taken = self.scope().items.iter().any(|other| {
                let both_tables = match (&item.relation, &other.relation) {
                    (Some(a), Some(b)) => a.oid != b.oid,
                    _ => false,
                };
                other.named && other.name == item.name && !both_tables
            });
            if taken {
                let message = format!("table name \"{}\" specified more than once", item.name);
                return Err(Error::new(SqlState::DuplicateAlias, message));
            }
        }
        Ok(())
    }

    fn bind_from_item(&mut self, item: &TableRef) -> Result<FromItem> {
        visit::deeper(|| match item {
            TableRef::Relation { name, only: _, alias, sample, pos } => {
                let item = self.relation_item(name, alias.as_ref(), *pos)?;
                match sample {
                    Some(sample) => self.sampled(item, sample, *pos),
                    None => Ok(item),
                }
            }
            TableRef::Subquery { lateral, query, alias, pos } => {
                self.subquery_item(*lateral, query, alias.as_ref(), *pos)
            }
            TableRef::Function { lateral: _, calls, rows_from, ordinality, alias, definitions, pos: _ } => {
                self.function_item(calls, *rows_from, *ordinality, alias.as_ref(), definitions)
            }
            TableRef::Join { kind, left, right, condition, alias, pos: _ } => {
                self.join_item(*kind, left, right, condition, alias.as_ref())
            }
        })
    }

    /// Gives an item its alias, and the scope's record of items the item.
    pub(crate) fn named(&mut self, mut item: Item, alias: Option<&ast::Alias>) -> Result<Item> {
        item.named = true;
        item.bare = true;
        if let Some(alias) = alias {
            item.name.clone_from(&alias.name);
            item.aliased = true;
            item.relation = None;
            self.rename_columns(&mut item, alias)?;
        }
        self.own_item(&item);
        Ok(item)
    }

    fn rename_columns(&mut self, item: &mut Item, alias: &ast::Alias) -> Result<()> {
        let (available, given) = (item.columns.len(), alias.columns.len());
        if given > available {
            let what = if item.join { "join expression" } else { "table" };
            let message =
                format!("{what} \"{}\" has {available} columns available but {given} columns specified", alias.name);
            return Err(Error::new(SqlState::InvalidColumnReference, message));
        }
        for (column, name) in item.columns.iter_mut().zip(&alias.columns) {
            column.name.clone_from(name);
        }
        Ok(())
    }

    /// A table, view, system relation or WITH part.
    fn relation_item(&mut self, name: &ast::ObjectName, alias: Option<&ast::Alias>, pos: u32) -> Result<FromItem> {
        if name.parts.len() == 1
            && let Some(found) = self.cte_names.iter().rposition(|cte| cte.name == name.parts[0])
        {
            return self.cte_item(found, alias, pos);
        }
        let relation = self.relation(name).map_err(|error| self.hint_at_cte(error, name))?;
        self.check_access(&relation)?;
        match (&relation.body, relation.kind) {
            (Body::View { .. }, _) => self.view_item(&relation, alias),
            (Body::Sequence(_), _) => self.sequence_item(&relation, alias),
            _ => {
                self.lock(relation.oid, RelationLock::Read);
                let (rel, item) = self.scan(&relation);
                let item = self.named(item, alias)?;
                Ok(FromItem { rel, items: vec![item], lateral: false })
            }
        }
    }

    /// A sequence read as a table: one row with its value.
    fn sequence_item(&mut self, sequence: &Arc<Relation>, alias: Option<&ast::Alias>) -> Result<FromItem> {
        self.lock(sequence.oid, RelationLock::Read);
        let mut columns = Vec::new();
        let mut row = Vec::new();
        for attribute in sequence.live_attributes() {
            let column = self.column(attribute.ty);
            row.push(sequence_column(sequence.oid, attribute));
            columns.push(ScopeColumn {
                name: attribute.name.clone(),
                column,
                ty: attribute.ty,
                origin: Some((sequence.oid, attribute.number)),
            });
        }
        let rel = Rel::Values { columns: columns.iter().map(|column| column.column).collect(), rows: vec![row] };
        let item = Item { relation: Some(sequence.clone()), ..Item::new(&sequence.name, columns) };
        let item = self.named(item, alias)?;
        Ok(FromItem { rel, items: vec![item], lateral: false })
    }

    /// PostgreSQL's help for a WITH part that is named before its place.
    fn hint_at_cte(&self, error: Error, name: &ast::ObjectName) -> Error {
        let [name] = &name.parts[..] else { return error };
        if error.code() != SqlState::UndefinedTable || !self.later_ctes.contains(name) {
            return error;
        }
        error
            .detail(format!(
                "There is a WITH item named \"{name}\", but it cannot be referenced from this part of the query."
            ))
            .hint("Use WITH RECURSIVE, or re-order the WITH items to remove forward references.")
    }

    /// A scan of all live attributes, and an item over it that has the relation's name.
    pub(crate) fn scan(&mut self, relation: &Arc<Relation>) -> (Rel, Item) {
        let mut read = Vec::new();
        let mut columns = Vec::new();
        for attribute in relation.live_attributes() {
            let column = self.column(attribute.ty);
            read.push((ScanColumn::Attribute(attribute.number), column));
            columns.push(ScopeColumn {
                name: attribute.name.clone(),
                column,
                ty: attribute.ty,
                origin: Some((relation.oid, attribute.number)),
            });
        }
        if read.is_empty() {
            let column = self.column(Type::new(oid::INT8));
            read.push((ScanColumn::RowId, column));
        }
        let first = read[0].1;
        let stored = matches!(relation.body, Body::Table { .. });
        let item = Item {
            relation: Some(relation.clone()),
            scan: Some((first, relation.clone())),
            row_type: relation.row_type,
            lockable: if stored { vec![(first, relation.clone())] } else { Vec::new() },
            ..Item::new(&relation.name, columns)
        };
        (Rel::Scan { relation: relation.clone(), columns: read }, item)
    }

    /// A WITH part's rows.
    fn cte_item(&mut self, found: usize, alias: Option<&ast::Alias>, pos: u32) -> Result<FromItem> {
        let cte = self.cte_names[found].clone();
        let column = |(i, (name, ty)): (usize, &(String, Type))| ScopeColumn {
            name: name.clone(),
            column: self.column(*ty),
            ty: *ty,
            origin: cte.origins.get(i).copied().flatten(),
        };
        let columns: Vec<ScopeColumn> = cte.columns.iter().enumerate().map(column).collect();
        let numbers: Vec<_> = columns.iter().map(|column| column.column).collect();
        if let Some(width) = cte.width {
            self.working_extras = numbers[width..].to_vec();
        }
        let rel = match cte.state {
            CteState::Ready => {
                self.ctes[cte.cte.0 as usize].uses += 1;
                Rel::CteScan { cte: cte.cte, columns: numbers, correlated: false }
            }
            CteState::Step => {
                self.working_uses += 1;
                self.scope().reads_working = true;
                let barrier = self.recursion_barriers.iter().rev().find(|(names, _)| found < *names);
                if let Some((_, place)) = barrier {
                    let message =
                        format!("recursive reference to query \"{}\" must not appear within {place}", cte.name);
                    return Err(Error::new(SqlState::InvalidRecursion, message).at(self.position(pos)));
                }
                if self.working_uses > 1 {
                    let message =
                        format!("recursive reference to query \"{}\" must not appear more than once", cte.name);
                    return Err(Error::new(SqlState::InvalidRecursion, message).at(self.position(pos)));
                }
                Rel::Working { cte: cte.cte, columns: numbers }
            }
            CteState::Seed => {
                let message = format!(
                    "recursive reference to query \"{}\" must not appear within its non-recursive term",
                    cte.name
                );
                return Err(Error::new(SqlState::InvalidRecursion, message).at(self.position(pos)));
            }
            CteState::Later => {
                self.waits_for = Some(found);
                let message = "mutual recursion between WITH items is not implemented";
                return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(cte.pos)));
            }
            CteState::Malformed => return Err(self.malformed_recursion(&cte.name, cte.pos)),
            CteState::NoRows => {
                let message = format!("WITH query \"{}\" does not have a RETURNING clause", cte.name);
                return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(pos)));
            }
        };
        let item = Item { lock_refused: Some("a WITH query"), ..Item::new(&cte.name, columns) };
        let item = self.named(item, alias)?;
        Ok(FromItem { rel, items: vec![item], lateral: false })
    }

    fn subquery_item(
        &mut self,
        lateral: bool,
        query: &ast::Query,
        alias: Option<&ast::Alias>,
        pos: u32,
    ) -> Result<FromItem> {
        let Some(alias) = alias else {
            let (what, example) = match query.body {
                ast::SetExpr::Values { .. } => ("VALUES", "VALUES"),
                _ => ("subquery", "SELECT"),
            };
            return Err(syntax(format!("{what} in FROM must have an alias"))
                .hint(format!("For example, FROM ({example} ...) [AS] foo."))
                .at(self.position(pos)));
        };
        let (bound, lateral) = self.in_from(Clause::FromSubquery, lateral, |binder| binder.query(query, true))?;
        let item = Self::query_item(&alias.name, &bound);
        let item = self.named(item, Some(alias))?;
        Ok(FromItem { rel: bound.rel, items: vec![item], lateral })
    }

    /// Runs `bind` with the scope's earlier items in sight if `lateral`; says whether it used any of them.
    fn in_from<R>(
        &mut self,
        clause: Clause,
        lateral: bool,
        bind: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<(R, bool)> {
        let scope = self.scope();
        let before = (scope.clause, scope.lateral_active, scope.references.len());
        scope.clause = clause;
        scope.lateral_active = lateral;
        let result = bind(self);
        let scope = self.scope();
        (scope.clause, scope.lateral_active) = (before.0, before.1);
        let used = scope.references.len() > before.2;
        Ok((result?, used))
    }

    /// An item over a query's columns.
    pub(crate) fn query_item(name: &str, bound: &Bound) -> Item {
        let columns = bound.columns.iter().map(|column| ScopeColumn {
            name: column.name.clone(),
            column: column.column,
            ty: column.ty,
            origin: column.origin,
        });
        Item {
            lockable: bound.lockable.clone(),
            lock_refused: bound.lock_refused,
            ..Item::new(name, columns.collect())
        }
    }

    /// A function, or several in ROWS FROM.
    fn function_item(
        &mut self,
        calls: &[(ast::Expr, Vec<ast::ColumnType>)],
        rows_from: bool,
        ordinality: bool,
        alias: Option<&ast::Alias>,
        definitions: &[ast::ColumnType],
    ) -> Result<FromItem> {
        if ordinality && !definitions.is_empty() {
            return Err(syntax("WITH ORDINALITY cannot be used with a column definition list")
                .hint("Put the column definition list inside ROWS FROM().")
                .at(self.position(definitions[0].pos)));
        }
        let spread = spread_unnest(calls);
        let calls = spread.as_deref().unwrap_or(calls);
        let ((bound, mut columns, scalar), lateral) = self.in_from(Clause::FromFunction, true, |binder| {
            let mut bound = Vec::new();
            let mut columns = Vec::new();
            let mut scalar = calls.len() == 1 && !rows_from;
            for (call, own) in calls {
                let definitions = if own.is_empty() { definitions } else { own };
                let simple = calls.len() == 1 && !rows_from;
                let (expr, made, one) = binder.table_function(call, definitions, alias.filter(|_| simple))?;
                scalar = scalar && one;
                bound.push((expr, made.iter().map(|column| column.column).collect::<Vec<_>>()));
                columns.extend(made);
            }
            Ok((bound, columns, scalar))
        })?;
        let ordinal = ordinality.then(|| self.column(Type::new(oid::INT8)));
        if let Some(column) = ordinal {
            let ty = Type::new(oid::INT8);
            columns.push(ScopeColumn { name: "ordinality".into(), column, ty, origin: None });
        }
        let name = match &calls[0].0.kind {
            ast::ExprKind::Function(call) => call.name.name().to_owned(),
            _ => self.output_name(&calls[0].0),
        };
        let item =
            Item { scalar: scalar && !ordinality, lock_refused: Some("a function"), ..Item::new(&name, columns) };
        let item = self.named(item, alias)?;
        let rel = Rel::Functions { calls: bound, ordinality: ordinal };
        Ok(FromItem { rel, items: vec![item], lateral })
    }

    /// One call in FROM: the expression, its columns, and whether it gives one plain value a row.
    fn table_function(
        &mut self,
        call: &ast::Expr,
        definitions: &[ast::ColumnType],
        alias: Option<&ast::Alias>,
    ) -> Result<(Expr, Vec<ScopeColumn>, bool)> {
        let expr = self.bind_expr(call, Clause::FromFunction)?;
        let expr = self.coerce_unknown_to_text(expr);
        let name = match &call.kind {
            ast::ExprKind::Function(call) => call.name.name().to_owned(),
            _ => self.output_name(call),
        };
        if let ExprKind::Call(outer) = &expr.kind
            && outer.args.iter().any(returns_set)
        {
            let message = "set-returning functions must appear at top level of FROM";
            return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(call.pos)));
        }
        let fields = match &expr.kind {
            ExprKind::Call(call) => builtin::out_columns(call.function.oid),
            _ => None,
        };
        if !definitions.is_empty() {
            if expr.ty.oid != oid::RECORD || fields.is_some() {
                let message = match fields {
                    Some(_) => "a column definition list is redundant for a function with OUT parameters",
                    None => "a column definition list is only allowed for functions returning \"record\"",
                };
                return Err(syntax(message).at(self.position(definitions[0].pos)));
            }
            let mut columns = Vec::new();
            for definition in definitions {
                let ty = self.bind_type(&definition.ty)?;
                let column = self.column(ty);
                columns.push(ScopeColumn { name: definition.name.clone(), column, ty, origin: None });
            }
            let expr = super::json::with_columns(expr, &columns);
            return Ok((expr, columns, false));
        }
        if let Some(fields) = fields.as_ref().filter(|fields| fields.len() > 1 || expr.ty.oid == oid::RECORD) {
            // A polymorphic OUT column has the element type of the arguments.
            let columns = fields
                .iter()
                .map(|(name, ty)| {
                    let ty = Type::new(self.resolve_out_type(*ty, &expr));
                    ScopeColumn { name: (*name).to_owned(), column: self.column(ty), ty, origin: None }
                })
                .collect();
            return Ok((expr, columns, false));
        }
        if expr.ty.oid == oid::RECORD {
            let message = "a column definition list is required for functions returning \"record\"";
            return Err(syntax(message).at(self.position(call.location())));
        }
        if let Some(relation) = self.composite(expr.ty.oid) {
            let attributes: Vec<_> = relation.live_attributes().map(|a| (a.name.clone(), a.ty)).collect();
            let columns = attributes
                .into_iter()
                .map(|(name, ty)| ScopeColumn { name, column: self.column(ty), ty, origin: None })
                .collect();
            return Ok((expr, columns, false));
        }
        // A scalar function's column is named by its one OUT parameter, the alias, or the function.
        let name = match (fields.as_ref().and_then(|fields| fields.first()), alias) {
            (Some((name, _)), _) => (*name).to_owned(),
            (None, Some(alias)) => alias.name.clone(),
            (None, None) => name,
        };
        let ty = expr.ty;
        let column = self.column(ty);
        Ok((expr, vec![ScopeColumn { name, column, ty, origin: None }], true))
    }

    /// An OUT column's type: polymorphic ones follow the call's first array or element argument.
    pub(crate) fn resolve_out_type(&self, declared: Oid, call: &Expr) -> Oid {
        let ExprKind::Call(call) = &call.kind else { return declared };
        // The vectors of the catalogs are arrays too.
        let element = |ty: Oid| match ty {
            oid::INT2VECTOR => Some(oid::INT2),
            oid::OIDVECTOR => Some(oid::OID),
            ty => oid::element_of(ty),
        };
        let elements = || call.args.iter().find_map(|arg| element(arg.ty.oid));
        let arrays = || call.args.iter().find(|arg| element(arg.ty.oid).is_some()).map(|arg| arg.ty.oid);
        match declared {
            oid::ANYELEMENT | oid::ANYNONARRAY | oid::ANYCOMPATIBLE => elements().unwrap_or(declared),
            oid::ANYARRAY | oid::ANYCOMPATIBLEARRAY => arrays().unwrap_or(declared),
            other => other,
        }
    }

    /// The relation whose row type this is.
    pub(crate) fn composite(&self, ty: Oid) -> Option<Arc<Relation>> {
        self.ctx.image.relation_of_row_type(ty).cloned()
    }

    fn join_item(
        &mut self,
        kind: JoinKind,
        left: &TableRef,
        right: &TableRef,
        condition: &JoinCondition,
        alias: Option<&ast::Alias>,
    ) -> Result<FromItem> {
        let nullable = |side: JoinKind| kind == side || kind == JoinKind::Full;
        let left_ref = self.behind(nullable(JoinKind::Right), "an outer join", |binder| binder.bind_from_item(left))?;
        let outside = self.scope().items.len();
        // The left side is in sight of a LATERAL right side, where the join allows it.
        let lateral = match kind {
            JoinKind::Inner | JoinKind::Left => Lateral::Only,
            _ => Lateral::Forbidden,
        };
        let in_sight = left_ref.items.iter().cloned().map(|item| Item { lateral, ..item });
        self.scope().items.extend(in_sight);
        let noted = self.scope().references.len();
        let right_ref =
            self.behind(nullable(JoinKind::Left), "an outer join", |binder| binder.bind_from_item(right))?;
        let uses_left = {
            let scope = self.scope();
            scope.references[noted..].iter().any(|reference| {
                left_ref.items.iter().any(|item| item.columns.iter().any(|column| column.column == reference.column))
            })
        };
        self.scope().items.truncate(outside);
        let outer = std::mem::take(&mut self.scope().items);
        let bound = self.joined(kind, left_ref, right_ref, condition, alias, uses_left);
        self.scope().items = outer;
        bound
    }

    /// Joins two bound sides, with nothing but their items in the scope.
    fn joined(
        &mut self,
        kind: JoinKind,
        left: FromItem,
        right: FromItem,
        condition: &JoinCondition,
        alias: Option<&ast::Alias>,
        uses_left: bool,
    ) -> Result<FromItem> {
        self.scope().items.clone_from(&left.items);
        self.check_names(&right.items)?;
        let lateral = left.lateral || right.lateral;
        let mut merged = Merged::default();
        let names = match condition {
            JoinCondition::Natural => common_names(&left.items, &right.items),
            JoinCondition::Using(names, _) => names.clone(),
            JoinCondition::Cross | JoinCondition::On(_) => Vec::new(),
        };
        let on = match condition {
            JoinCondition::Cross => truth(),
            JoinCondition::On(expr) => {
                let open = left.items.iter().chain(&right.items).cloned();
                self.scope().items = open.map(|item| Item { lateral: Lateral::Open, ..item }).collect();
                let clause = self.scope().clause;
                let on = self.bind_bool(expr, Clause::JoinOn, "JOIN/ON")?;
                self.scope().clause = clause;
                on
            }
            JoinCondition::Natural | JoinCondition::Using(..) => {
                self.merge(kind, &names, &left.items, &right.items, &mut merged)?
            }
        };
        let mut rel = Rel::Join { kind, left: Box::new(left.rel), right: Box::new(right.rel), on, lateral: uses_left };
        if !merged.computed.is_empty() {
            self.scope().merged.extend(merged.computed.iter().cloned());
            rel = Rel::Project { input: Box::new(rel), exprs: merged.computed };
        }
        let rest = |items: &[Item], hidden: &[usize]| -> Vec<ScopeColumn> {
            let all = items.iter().filter(|item| item.bare).flat_map(|item| &item.columns);
            all.enumerate().filter(|(i, _)| !hidden.contains(i)).map(|(_, column)| column.clone()).collect()
        };
        let mut columns = merged.columns;
        let using = match condition {
            JoinCondition::Using(_, Some(alias)) => {
                let item = Item {
                    named: true,
                    join: true,
                    lock_refused: Some("a join"),
                    ..Item::new(&alias.name, columns.clone())
                };
                self.scope().items = left.items.iter().chain(&right.items).cloned().collect();
                self.check_names(std::slice::from_ref(&item))?;
                self.own_item(&item);
                Some(item)
            }
            _ => None,
        };
        columns.extend(rest(&left.items, &merged.left));
        columns.extend(rest(&right.items, &merged.right));
        let mut items: Vec<Item> = left.items.into_iter().chain(right.items).collect();
        let lockable = items.iter().flat_map(|item| item.lockable.clone()).collect();
        let join = Item { join: true, bare: true, ..Item::new("", columns) };
        let join = match alias {
            Some(_) => {
                items.clear();
                self.named(Item { lockable, lock_refused: Some("a join"), ..join }, alias)?
            }
            None => {
                items.extend(using);
                items.iter_mut().for_each(|item| item.bare = false);
                self.own_item(&join);
                join
            }
        };
        items.push(join);
        Ok(FromItem { rel, items, lateral })
    }

    /// USING and NATURAL: the condition, and the columns that stand for both sides'.
    fn merge(
        &mut self,
        kind: JoinKind,
        names: &[ast::Ident],
        left: &[Item],
        right: &[Item],
        merged: &mut Merged,
    ) -> Result<Expr> {
        let mut conditions = Vec::new();
        for (i, name) in names.iter().enumerate() {
            let pos = self.position(name.pos);
            if names[..i].iter().any(|other| other.name == name.name) {
                let message = format!("column name \"{}\" appears more than once in USING clause", name.name);
                return Err(Error::new(SqlState::DuplicateColumn, message));
            }
            let (l, left_column) = self.using_column(left, "left", name)?;
            let (r, right_column) = self.using_column(right, "right", name)?;
            let typed = [(left_column.ty.oid, 0), (right_column.ty.oid, 0)];
            let common = self.select_common_type(&typed, "JOIN/USING").map_err(|error| error.at(pos))?;
            let side = |column: &ScopeColumn| column_expr(column.column, column.ty);
            let ty = if left_column.ty == right_column.ty { left_column.ty } else { Type::new(common) };
            let left_value = self.coerce_common(side(&left_column), ty, "JOIN/USING", name.pos)?;
            let right_value = self.coerce_common(side(&right_column), ty, "JOIN/USING", name.pos)?;
            conditions.push(self.equal(left_value.clone(), right_value.clone(), name.pos)?);
            let plain = |expr: &Expr| matches!(expr.kind, ExprKind::Column(_));
            let (value, of) = match kind {
                JoinKind::Inner if !plain(&left_value) && plain(&right_value) => (right_value, Some(&right_column)),
                JoinKind::Right => (right_value, Some(&right_column)),
                JoinKind::Full => (Expr { kind: ExprKind::Coalesce(vec![left_value, right_value]), ty }, None),
                _ => (left_value, Some(&left_column)),
            };
            let column = match value.kind {
                ExprKind::Column(column) => column,
                _ => {
                    let column = self.column(ty);
                    merged.computed.push((column, value));
                    column
                }
            };
            let origin = of.filter(|of| of.column == column).and_then(|of| of.origin);
            merged.columns.push(ScopeColumn { name: name.name.clone(), column, ty, origin });
            merged.left.push(l);
            merged.right.push(r);
        }
        Ok(match conditions.len() {
            0 => truth(),
            1 => conditions.remove(0),
            _ => Expr { kind: ExprKind::And(conditions), ty: Type::new(oid::BOOL) },
        })
    }

    /// The one column of that name on a side: its position among the side's bare columns, and itself.
    fn using_column(&self, items: &[Item], side: &str, name: &ast::Ident) -> Result<(usize, ScopeColumn)> {
        let all = items.iter().filter(|item| item.bare).flat_map(|item| &item.columns).enumerate();
        let mut found = all.filter(|(_, column)| column.name == name.name);
        let Some((i, column)) = found.next() else {
            let message = format!("column \"{}\" specified in USING clause does not exist in {side} table", name.name);
            return Err(Error::new(SqlState::UndefinedColumn, message));
        };
        if found.next().is_some() {
            let message = format!("common column name \"{}\" appears more than once in {side} table", name.name);
            return Err(Error::new(SqlState::AmbiguousColumn, message));
        }
        Ok((i, column.clone()))
    }

    /// A view: its text bound with its own search path and its owner's rights, in sight of nothing outside.
    fn view_item(&mut self, view: &Arc<Relation>, alias: Option<&ast::Alias>) -> Result<FromItem> {
        let bound = self.view(view)?;
        let columns = view.live_attributes().zip(&bound.columns).map(|(attribute, column)| ScopeColumn {
            name: attribute.name.clone(),
            column: column.column,
            ty: column.ty,
            origin: Some((view.oid, attribute.number)),
        });
        let item = Item {
            relation: Some(view.clone()),
            row_type: view.row_type,
            lockable: bound.lockable,
            lock_refused: bound.lock_refused,
            ..Item::new(&view.name, columns.collect())
        };
        let item = self.named(item, alias)?;
        Ok(FromItem { rel: bound.rel, items: vec![item], lateral: false })
    }
}

/// The functions behind a sequence's columns, which are none of pg_proc's.
static SEQUENCE_FUNCTIONS: LazyLock<[Function; 2]> = LazyLock::new(|| {
    let function = |symbol, result| Function {
        oid: Oid::NONE,
        name: symbol,
        symbol,
        args: &[oid::OID],
        result,
        set: false,
        strict: true,
        volatility: Volatility::Volatile,
        variadic: Oid::NONE,
        kind: FunctionKind::Function,
        implementation: functions::implementation(symbol),
    };
    [function("lightning_sequence_value", oid::INT8), function("lightning_sequence_called", oid::BOOL)]
});

/// A column of a sequence: its value and whether it was given out are read when the row is made. `log_cnt` is 0: values
/// that PostgreSQL's log is ahead by are no property of this log.
fn sequence_column(sequence: Oid, attribute: &Attribute) -> Expr {
    let [value, called] = &*SEQUENCE_FUNCTIONS;
    let call = |function: &'static Function| {
        let number = Expr { kind: ExprKind::Const(Datum::Oid(sequence)), ty: Type::new(oid::OID) };
        ExprKind::Call(Call { function, args: vec![number] })
    };
    let kind = match attribute.name.as_str() {
        "last_value" => call(value),
        "is_called" => call(called),
        _ => ExprKind::Const(Datum::Int8(0)),
    };
    Expr { kind, ty: attribute.ty }
}

/// What USING makes of two sides.
#[derive(Default)]
struct Merged {
    /// The merged columns.
    columns: Vec<ScopeColumn>,
    /// Those that are computed above the join.
    computed: Vec<(crate::sql::tree::ColumnId, Expr)>,
    /// Positions of the sides' own columns among their bare ones: not shown again.
    left: Vec<usize>,
    right: Vec<usize>,
}

/// NATURAL's names: those of the left side's columns that the right side has too.
fn common_names(left: &[Item], right: &[Item]) -> Vec<ast::Ident> {
    let bare = |items: &[Item]| -> Vec<String> {
        items.iter().filter(|item| item.bare).flat_map(|item| &item.columns).map(|c| c.name.clone()).collect()
    };
    let right = bare(right);
    bare(left).into_iter().filter(|name| right.contains(name)).map(|name| ast::Ident { name, pos: 0 }).collect()
}

/// `unnest(a, b)` in FROM is `ROWS FROM (unnest(a), unnest(b))`.
pub(in crate::sql) fn spread_unnest(
    calls: &[(ast::Expr, Vec<ast::ColumnType>)],
) -> Option<Vec<(ast::Expr, Vec<ast::ColumnType>)>> {
    let several = |expr: &ast::Expr| match &expr.kind {
        ast::ExprKind::Function(call) => {
            let builtin = matches!(&call.name.parts[..], [name] if name == "unnest")
                || matches!(&call.name.parts[..], [schema, name] if schema == "pg_catalog" && name == "unnest");
            builtin && call.args.len() > 1 && !call.variadic && call.args.iter().all(|arg| arg.name.is_none())
        }
        _ => false,
    };
    if !calls.iter().any(|(expr, definitions)| several(expr) && definitions.is_empty()) {
        return None;
    }
    let mut spread = Vec::new();
    for (expr, definitions) in calls {
        match &expr.kind {
            ast::ExprKind::Function(call) if several(expr) && definitions.is_empty() => {
                for arg in &call.args {
                    let one = ast::FunctionCall { args: vec![arg.clone()], ..(**call).clone() };
                    let one = ast::Expr::new(ast::ExprKind::Function(Box::new(one)), expr.pos);
                    spread.push((one, Vec::new()));
                }
            }
            _ => spread.push((expr.clone(), definitions.clone())),
        }
    }
    Some(spread)
}

/// Whether a set-returning call is anywhere in an expression.
fn returns_set(expr: &Expr) -> bool {
    let mut found = matches!(&expr.kind, ExprKind::Call(call) if call.function.set);
    crate::sql::columns::for_parts(expr, &mut |part| found = found || returns_set(part));
    found
}
