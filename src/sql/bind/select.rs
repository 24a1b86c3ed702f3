//! SELECT: the select list, ORDER BY, DISTINCT, LIMIT, row locks, and how they become operators.
//!
//! The order of operators, bottom up: FROM, WHERE, Aggregate, HAVING, Window, ProjectSet, then either
//! (no DISTINCT) the sort keys' targets, Sort, LockRows, Limit, the other targets, so that LIMIT spares their evaluation,
//! or (DISTINCT) all targets, Distinct, Sort, Limit.

use super::Binder;
use super::aggregate::{Grouping, Written};
use super::query::{Bound, RowCounts, Tail, column_expr, syntax};
use super::scope::{BoundSet, Clause, Item, system_attribute};
use crate::catalog::builtin;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::{self, LockStrength};
use crate::sql::columns::{ColumnSet, inputs, produced_in, used_by};
use crate::sql::tree::{
    ColumnId, Expr, ExprKind, JoinKind, LockTarget, OutputColumn, Rel, RelationLock, ScanColumn, SortKey, SubqueryKind,
};
use crate::types::{Oid, Type, oid};
use std::collections::HashMap;

/// A bound select-list item, or an expression that only ORDER BY, GROUP BY or DISTINCT ON names.
#[derive(Clone, Debug)]
pub(crate) struct BoundTarget {
    /// Its value.
    pub expr: Expr,
    /// Its output name.
    pub name: String,
    /// Where it stands.
    pub pos: u32,
    /// Not shown.
    pub hidden: bool,
}

impl BoundTarget {
    /// A target that is a column already.
    pub(crate) fn of_column(column: &OutputColumn, pos: u32) -> BoundTarget {
        BoundTarget { expr: column_expr(column.column, column.ty), name: column.name.clone(), pos, hidden: false }
    }
}

/// An ORDER BY item: which target, and how.
#[derive(Clone, Debug)]
pub(crate) struct OrderItem {
    pub target: usize,
    pub descending: bool,
    pub nulls_first: bool,
    pub pos: u32,
}

impl OrderItem {
    /// As a sort key over the target's expression.
    pub(crate) fn key(&self, targets: &[BoundTarget]) -> SortKey {
        SortKey { expr: targets[self.target].expr.clone(), descending: self.descending, nulls_first: self.nulls_first }
    }
}

/// DISTINCT, its expressions found among the targets.
enum Unique {
    All,
    Rows,
    On(Vec<usize>),
}

/// What was bound of a SELECT before it becomes operators.
struct Parts {
    targets: Vec<BoundTarget>,
    filter: Option<Expr>,
    having: Option<Expr>,
    grouping: Grouping,
    order: Vec<OrderItem>,
    unique: Unique,
    counts: RowCounts,
}

/// Operators on top of each other down to the first that has no input or two.
fn height(rel: &Rel) -> usize {
    match inputs(rel)[..] {
        [input] => 1 + height(input),
        _ => 1,
    }
}

/// Entries that a select list may have, as PostgreSQL's MaxTupleAttributeNumber.
pub(crate) const ENTRIES_MAX: usize = 1664;

/// 54011 when a select list has too many entries.
pub(crate) fn check_entries(count: usize) -> Result<()> {
    if count <= ENTRIES_MAX {
        return Ok(());
    }
    let message = format!("target lists can have at most {ENTRIES_MAX} entries");
    Err(Error::new(SqlState::TooManyColumns, message))
}

/// As messages name a locking clause.
pub(crate) fn lock_name(strength: LockStrength) -> &'static str {
    match strength {
        LockStrength::KeyShare => "FOR KEY SHARE",
        LockStrength::Share => "FOR SHARE",
        LockStrength::NoKeyUpdate => "FOR NO KEY UPDATE",
        LockStrength::Update => "FOR UPDATE",
    }
}

impl Binder<'_> {
    /// Binds a SELECT with the clauses that follow it.
    pub(crate) fn select(&mut self, select: &ast::Select, tail: &Tail<'_>, resolve: bool) -> Result<Bound> {
        self.push_scope();
        let bound = self.select_inner(select, tail, resolve);
        self.pop_scope();
        bound
    }

    fn select_inner(&mut self, select: &ast::Select, tail: &Tail<'_>, resolve: bool) -> Result<Bound> {
        let ast::Select { distinct, targets, into, from, filter, group_by, group_distinct, having, windows, pos: _ } =
            select;
        if let Some(into) = into {
            return Err(syntax("SELECT ... INTO is not allowed here").at(self.position(into.name.pos)));
        }
        let input = self.bind_from(from)?;
        self.define_windows(windows)?;
        let mut targets = self.targets(targets, Clause::Select)?;
        let filter = filter.as_ref().map(|e| self.bind_bool(e, Clause::Where, "WHERE")).transpose()?;
        let having = having.as_ref().map(|e| self.bind_bool(e, Clause::Having, "HAVING")).transpose()?;
        let order = self.order_by(tail.order_by, &mut targets, Clause::OrderBy)?;
        let grouping = self.group_by(group_by, *group_distinct, &mut targets)?;
        let unique = self.unique(distinct, &order, &mut targets)?;
        let counts = self.row_counts(tail)?;
        self.check_entries(&targets)?;
        let literals = self.settle(&mut targets, resolve);
        let refused = self.lock_refusal(&unique, group_by, having.is_some());
        let parts = Parts { targets, filter, having, grouping, order, unique, counts };
        self.assemble(input, parts, select, tail, literals, refused)
    }

    /// A select list's limit, which the expressions of ORDER BY, GROUP BY, DISTINCT ON and windows count for too.
    fn check_entries(&mut self, targets: &[BoundTarget]) -> Result<()> {
        let same = super::aggregate::same_expr;
        let mut extra: Vec<&Expr> = Vec::new();
        let windows = &self.scopes.last().expect("a select list has its scope").windows;
        for key in windows.iter().flat_map(|w| w.partition.iter().chain(w.order.iter().map(|key| &key.expr))) {
            if !targets.iter().any(|target| same(&target.expr, key)) && !extra.iter().any(|other| same(other, key)) {
                extra.push(key);
            }
        }
        check_entries(targets.len() + extra.len())
    }

    /// Gives literals of unknown type the type text, or (in operands of set operations and INSERT) leaves them to who asked.
    fn settle(&mut self, targets: &mut [BoundTarget], resolve: bool) -> Vec<Option<Expr>> {
        let mut literals = Vec::new();
        for target in targets {
            let unknown = target.expr.ty.oid == oid::UNKNOWN;
            if !target.hidden {
                literals.push((unknown && !resolve).then(|| target.expr.clone()));
            }
            if unknown && (resolve || target.hidden) {
                let expr = std::mem::replace(&mut target.expr, super::query::truth());
                target.expr = self.coerce_unknown_to_text(expr);
            }
        }
        literals
    }

    /// Binds a select list or RETURNING; `*` becomes columns.
    pub(crate) fn targets(&mut self, list: &[ast::Target], clause: Clause) -> Result<Vec<BoundTarget>> {
        let mut targets = Vec::with_capacity(list.len());
        for target in list {
            match &target.expr.kind {
                ast::ExprKind::Star(qualifier) => self.expand_star(qualifier, target.pos, &mut targets)?,
                ast::ExprKind::Indirection(base, path) if matches!(path.last(), Some(ast::Indirection::Star)) => {
                    self.expand_composite(base, &path[..path.len() - 1], target.pos, clause, &mut targets)?;
                }
                ast::ExprKind::Default => {
                    return Err(syntax("DEFAULT is not allowed in this context").at(self.position(target.pos)));
                }
                _ => {
                    let expr = self.bind_expr(&target.expr, clause)?;
                    let name = target.name.clone().unwrap_or_else(|| self.output_name(&target.expr));
                    targets.push(BoundTarget { expr, name, pos: target.expr.location(), hidden: false });
                }
            }
        }
        Ok(targets)
    }

    /// `*` and `t.*`.
    fn expand_star(&mut self, qualifier: &[String], pos: u32, targets: &mut Vec<BoundTarget>) -> Result<()> {
        let level = self.scopes.len() - 1;
        let (level, chosen): (usize, Vec<usize>) = match qualifier {
            [] => {
                let items = &self.scopes[level].items;
                if items.is_empty() {
                    return Err(syntax("SELECT * with no tables specified is not valid").at(self.position(pos)));
                }
                (level, (0..items.len()).filter(|i| items[*i].bare).collect())
            }
            [.., table] => {
                let schema = qualifier.len().checked_sub(2).map(|i| qualifier[i].as_str());
                match self.find_item(schema, table, pos)? {
                    Some((level, item)) => (level, vec![item]),
                    None => return Err(self.missing_table(schema, table, pos)),
                }
            }
        };
        for item in chosen {
            let names: Vec<String> =
                self.scopes[level].items[item].columns.iter().map(|column| column.name.clone()).collect();
            for (j, name) in names.into_iter().enumerate() {
                let expr = self.reference(level, item, j, pos);
                targets.push(BoundTarget { expr, name, pos, hidden: false });
            }
        }
        Ok(())
    }

    /// `(expr).*`: one target per field of a composite value.
    fn expand_composite(
        &mut self,
        base: &ast::Expr,
        path: &[ast::Indirection],
        pos: u32,
        clause: Clause,
        targets: &mut Vec<BoundTarget>,
    ) -> Result<()> {
        let record = if path.is_empty() {
            self.bind_expr(base, clause)?
        } else {
            let inner = ast::ExprKind::Indirection(Box::new(base.clone()), path.to_vec());
            self.bind_expr(&ast::Expr::new(inner, base.pos), clause)?
        };
        let fields = self.record_fields(&record);
        let Some(fields) = fields else {
            let name = self.type_name(record.ty);
            let message = match record.ty.oid {
                oid::RECORD => "record type has not been registered".to_owned(),
                _ => format!("type {name} is not composite"),
            };
            return Err(Error::new(SqlState::WrongObjectType, message).at(self.position(pos)));
        };
        for (i, (name, ty)) in fields.into_iter().enumerate() {
            let expr = match &record.kind {
                ExprKind::Row(values) => values[i].clone(),
                _ => Expr { kind: ExprKind::Field { record: Box::new(record.clone()), field: i }, ty },
            };
            targets.push(BoundTarget { expr, name, pos, hidden: false });
        }
        Ok(())
    }

    /// Names and types of a composite value's fields, where they are known.
    pub(crate) fn record_fields(&self, record: &Expr) -> Option<Vec<(String, Type)>> {
        if let Some(relation) = self.composite(record.ty.oid) {
            return Some(relation.live_attributes().map(|a| (a.name.clone(), a.ty)).collect());
        }
        if let ExprKind::Column(column) = &record.kind
            && let Some(fields) = self.records.get(column)
        {
            return Some(fields.clone());
        }
        // A set-returning call of this level stands here as its column.
        let call = match &record.kind {
            ExprKind::Column(column) => self
                .scopes
                .iter()
                .flat_map(|scope| &scope.sets)
                .find(|set| set.column == *column)
                .map_or(record, |set| &set.call),
            _ => record,
        };
        match &call.kind {
            ExprKind::Call(inner) => builtin::out_columns(inner.function.oid).map(|fields| {
                let typed = |ty: Oid| Type::new(self.resolve_out_type(ty, call));
                fields.iter().map(|(name, ty)| ((*name).to_owned(), typed(*ty))).collect()
            }),
            ExprKind::Row(values) => {
                let column = |value: &Expr| match value.kind {
                    ExprKind::Column(column) => Some(column),
                    _ => None,
                };
                let columns: Option<Vec<ColumnId>> = values.iter().map(column).collect();
                let names = columns.and_then(|columns| self.whole_rows.get(&columns));
                let name = |at: usize| names.map_or_else(|| format!("f{}", at + 1), |names| names[at].clone());
                Some(values.iter().enumerate().map(|(at, value)| (name(at), value.ty)).collect())
            }
            ExprKind::Subquery(subquery) if matches!(subquery.kind, SubqueryKind::Scalar) => {
                subquery.columns.first().and_then(|column| self.records.get(column)).cloned()
            }
            _ => None,
        }
    }

    /// Remembers the fields of a record that becomes a column.
    fn note_record(&mut self, column: ColumnId, value: &Expr) {
        if value.ty.oid == oid::RECORD
            && let Some(fields) = self.record_fields(value)
        {
            self.records.insert(column, fields);
        }
    }

    /// ORDER BY: each item is a target, a new hidden one if need be.
    pub(crate) fn order_by(
        &mut self,
        list: &[ast::OrderBy],
        targets: &mut Vec<BoundTarget>,
        clause: Clause,
    ) -> Result<Vec<OrderItem>> {
        let mut order: Vec<OrderItem> = Vec::new();
        for item in list {
            let target = self.find_target(&item.expr, targets, clause)?;
            let (descending, nulls_first) = self.direction(item, targets[target].expr.ty)?;
            // A second item for the same target changes nothing.
            if !order.iter().any(|other| other.target == target) {
                order.push(OrderItem { target, descending, nulls_first, pos: item.expr.location() });
            }
        }
        Ok(order)
    }

    /// ASC, DESC, NULLS FIRST, and USING `<` or `>`; 42883 when the type has no order.
    pub(crate) fn direction(&mut self, item: &ast::OrderBy, ty: Type) -> Result<(bool, bool)> {
        let descending = match &item.using {
            None => item.descending.unwrap_or(false),
            Some(operator) => match operator.name.as_str() {
                "<" => false,
                ">" => true,
                _ => {
                    let message = format!("operator {} is not a valid ordering operator", operator.display());
                    return Err(Error::new(SqlState::WrongObjectType, message)
                        .hint("Ordering operators must be \"<\" or \">\" members of btree operator families.")
                        .at(self.position(item.pos)));
                }
            },
        };
        if ty.oid != oid::UNKNOWN {
            self.ordering(ty.oid).map_err(|error| error.at(self.position(item.expr.location())))?;
        }
        Ok((descending, item.nulls_first.unwrap_or(descending)))
    }

    /// Which target an ORDER BY, GROUP BY or DISTINCT ON item means, by SQL-92's rules first: a position or an output
    /// name; then as an expression, which becomes a hidden target unless it is one already.
    pub(crate) fn find_target(
        &mut self,
        expr: &ast::Expr,
        targets: &mut Vec<BoundTarget>,
        clause: Clause,
    ) -> Result<usize> {
        let pos = self.position(expr.location());
        match &expr.kind {
            ast::ExprKind::Column(parts) if parts.len() == 1 => {
                // GROUP BY prefers an input column over an output name.
                let input = clause == Clause::GroupBy && self.is_input_column(&parts[0]);
                let mut found: Option<usize> = None;
                let named = targets.iter().enumerate().filter(|(_, t)| !input && !t.hidden && t.name == parts[0]);
                for (i, target) in named {
                    match found {
                        Some(first) if !super::aggregate::same_expr(&targets[first].expr, &target.expr) => {
                            let message = format!("{} \"{}\" is ambiguous", clause.name(), parts[0]);
                            return Err(Error::new(SqlState::AmbiguousColumn, message).at(pos));
                        }
                        Some(_) => {}
                        None => found = Some(i),
                    }
                }
                if let Some(found) = found {
                    return Ok(found);
                }
            }
            ast::ExprKind::Literal(ast::Literal::Integer(position)) => {
                let mut shown = targets.iter().enumerate().filter(|(_, target)| !target.hidden);
                let nth = usize::try_from(*position).ok().and_then(|p| p.checked_sub(1)).and_then(|p| shown.nth(p));
                return nth.map(|(i, _)| i).ok_or_else(|| {
                    let message = format!("{} position {position} is not in select list", clause.name());
                    Error::new(SqlState::InvalidColumnReference, message).at(pos)
                });
            }
            ast::ExprKind::Literal(_) => {
                return Err(syntax(format!("non-integer constant in {}", clause.name())).at(pos));
            }
            _ => {}
        }
        let bound = self.bind_expr(expr, clause)?;
        if let Some(same) = targets.iter().position(|target| super::aggregate::same_expr(&target.expr, &bound)) {
            return Ok(same);
        }
        let bound = self.coerce_unknown_to_text(bound);
        targets.push(BoundTarget { expr: bound, name: String::new(), pos: expr.location(), hidden: true });
        Ok(targets.len() - 1)
    }

    fn is_input_column(&self, name: &str) -> bool {
        let scope = self.scopes.last().expect("targets are found inside a scope");
        scope.items.iter().any(|item| item.bare && item.columns.iter().any(|column| column.name == name))
    }

    /// DISTINCT and DISTINCT ON against ORDER BY.
    fn unique(
        &mut self,
        distinct: &ast::Distinct,
        order: &[OrderItem],
        targets: &mut Vec<BoundTarget>,
    ) -> Result<Unique> {
        match distinct {
            ast::Distinct::All => Ok(Unique::All),
            ast::Distinct::Rows => {
                if let Some(item) = order.iter().find(|item| targets[item.target].hidden) {
                    let message = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                    return Err(Error::new(SqlState::InvalidColumnReference, message).at(self.position(item.pos)));
                }
                for target in targets.iter().filter(|target| !target.hidden) {
                    if target.expr.ty.oid != oid::UNKNOWN {
                        self.equality(target.expr.ty.oid).map_err(|error| error.at(self.position(target.pos)))?;
                    }
                }
                Ok(Unique::Rows)
            }
            ast::Distinct::On(exprs) => {
                let mut on: Vec<(usize, u32)> = Vec::new();
                for expr in exprs {
                    let target = self.find_target(expr, targets, Clause::DistinctOn)?;
                    if !on.iter().any(|(known, _)| *known == target) {
                        on.push((target, expr.location()));
                    }
                }
                // ORDER BY must begin with the expressions, in any order, until all of them are there.
                let matching = order.iter().take_while(|item| on.iter().any(|(t, _)| *t == item.target)).count();
                let misplaced =
                    on.iter().find(|(target, _)| !order[..matching].iter().any(|item| item.target == *target));
                if let Some((_, place)) = misplaced.filter(|_| matching < order.len()) {
                    let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
                    return Err(Error::new(SqlState::InvalidColumnReference, message).at(self.position(*place)));
                }
                Ok(Unique::On(on.into_iter().map(|(target, _)| target).collect()))
            }
        }
    }

    /// Why row locks cannot be taken on this query's rows.
    fn lock_refusal(&mut self, unique: &Unique, group_by: &[ast::GroupItem], having: bool) -> Option<&'static str> {
        let scope = self.scope();
        if !matches!(unique, Unique::All) {
            Some("DISTINCT clause")
        } else if !group_by.is_empty() {
            Some("GROUP BY clause")
        } else if having {
            Some("HAVING clause")
        } else if !scope.aggregates.is_empty() {
            Some("aggregate functions")
        } else if !scope.windows.is_empty() {
            Some("window functions")
        } else if !scope.sets.is_empty() {
            Some("set-returning functions in the target list")
        } else {
            None
        }
    }

    /// Puts the operators together.
    fn assemble(
        &mut self,
        input: Rel,
        parts: Parts,
        select: &ast::Select,
        tail: &Tail<'_>,
        literals: Vec<Option<Expr>>,
        refused: Option<&'static str>,
    ) -> Result<Bound> {
        let Parts { mut targets, filter, mut having, mut grouping, order, unique, counts } = parts;
        let mut rel = input;
        if let Some(predicate) = filter {
            rel = Rel::Filter { input: Box::new(rel), predicate };
        }
        let scope = self.scope();
        let computes = !scope.aggregates.is_empty()
            || !scope.groupings.is_empty()
            || !scope.windows.is_empty()
            || !scope.sets.is_empty()
            || grouping.sets.is_some()
            || grouping.keys.is_empty() && !select.group_by.is_empty()
            || having.is_some()
            || !tail.locking.is_empty()
            || !Self::leave_one(&counts);
        let read = height(&rel);
        let mut nullable = ColumnSet::new();
        if !tail.locking.is_empty() {
            nullable_in(&rel, &mut nullable);
        }
        let (lock_targets, lockable) = self.locks(tail.locking, refused, &nullable)?;
        let mut sets = std::mem::take(&mut self.scope().sets);
        let mut windows = std::mem::take(&mut self.scope().windows);
        let below = sets_of_keys(&mut sets, &grouping);
        rel = project_sets(rel, below);
        let written = Written { select, order_by: tail.order_by };
        rel = self.group(rel, &mut grouping, &mut targets, &mut having, &mut windows, &mut sets, written)?;
        rel = super::window::window_rels(rel, windows);
        rel = project_sets(rel, sets);

        let mut places: Vec<Option<ColumnId>> = targets.iter().map(|target| self.own_column(&target.expr)).collect();
        let mut keys = Vec::new();
        match unique {
            Unique::All => {
                let sorted: Vec<usize> =
                    order.iter().map(|item| item.target).filter(|target| !targets[*target].hidden).collect();
                rel = self.project(rel, &targets, &mut places, |i| sorted.contains(&i));
                keys = self.keys(&order, &targets, &places);
                rel = sort(rel, &keys);
            }
            Unique::Rows => {
                rel = self.project(rel, &targets, &mut places, |i| !targets[i].hidden);
                let on = (0..targets.len()).filter(|i| !targets[*i].hidden);
                let on = on.map(|i| self.place(i, &targets, &places)).collect();
                rel = Rel::Distinct { input: Box::new(rel), on };
                keys = self.keys(&order, &targets, &places);
                rel = sort(rel, &keys);
            }
            Unique::On(on) => {
                rel = self.project(rel, &targets, &mut places, |_| true);
                // PostgreSQL sorts by the expressions that ORDER BY does not name, too.
                let mut order = order;
                for target in &on {
                    if !order.iter().any(|item| item.target == *target) {
                        order.push(OrderItem { target: *target, descending: false, nulls_first: false, pos: 0 });
                    }
                }
                keys.extend(self.keys(&order, &targets, &places));
                rel = sort(rel, &keys);
                let on = on.iter().map(|i| self.place(*i, &targets, &places)).collect();
                rel = Rel::Distinct { input: Box::new(rel), on };
            }
        }
        if !lock_targets.is_empty() {
            rel = Rel::LockRows { input: Box::new(rel), targets: lock_targets };
        }
        rel = self.limit(rel, tail, counts, keys)?;
        rel = self.project(rel, &targets, &mut places, |i| !targets[i].hidden);

        let origins = self.origins();
        let serial = self.scope().serial;
        let mut columns = Vec::new();
        let mut positions = Vec::new();
        for (target, place) in targets.iter().zip(&places).filter(|(target, _)| !target.hidden) {
            let column = place.expect("every shown target has been projected");
            self.levels[column.0 as usize] = serial;
            let origin = origins.get(&column).copied();
            columns.push(OutputColumn { name: target.name.clone(), column, ty: target.expr.ty, origin });
            positions.push(target.pos);
        }
        let idle = if computes { 0 } else { height(&rel) - read };
        Ok(Bound { rel, columns, literals, positions, lockable, lock_refused: refused, idle })
    }

    /// The column of this level that an expression plainly is.
    fn own_column(&mut self, expr: &Expr) -> Option<ColumnId> {
        let serial = self.scope().serial;
        match expr.kind {
            ExprKind::Column(column) if self.levels[column.0 as usize] == serial => Some(column),
            _ => None,
        }
    }

    /// Computes those of the chosen targets that are no columns yet.
    fn project(
        &mut self,
        rel: Rel,
        targets: &[BoundTarget],
        places: &mut [Option<ColumnId>],
        chosen: impl Fn(usize) -> bool,
    ) -> Rel {
        let serial = self.scope().serial;
        let mut exprs = Vec::new();
        for (i, target) in targets.iter().enumerate() {
            if places[i].is_none() && chosen(i) {
                let column = self.column(target.expr.ty);
                self.note_record(column, &target.expr);
                self.levels[column.0 as usize] = serial;
                places[i] = Some(column);
                exprs.push((column, target.expr.clone()));
            }
        }
        if exprs.is_empty() { rel } else { Rel::Project { input: Box::new(rel), exprs } }
    }

    /// A target's value: its column where it has one.
    fn place(&self, target: usize, targets: &[BoundTarget], places: &[Option<ColumnId>]) -> Expr {
        let expr = &targets[target].expr;
        places[target].map_or_else(|| expr.clone(), |column| column_expr(column, expr.ty))
    }

    fn keys(&self, order: &[OrderItem], targets: &[BoundTarget], places: &[Option<ColumnId>]) -> Vec<SortKey> {
        let key = |item: &OrderItem| SortKey {
            expr: self.place(item.target, targets, places),
            descending: item.descending,
            nulls_first: item.nulls_first,
        };
        order.iter().map(key).collect()
    }

    /// The table columns that this level's columns plainly are.
    pub(crate) fn origins(&mut self) -> HashMap<ColumnId, (Oid, i16)> {
        let items = &self.scopes.last().expect("origins are asked for inside a scope").all_items;
        let columns = items.iter().flat_map(|item| &item.columns);
        let mut origins: HashMap<_, _> = columns.filter_map(|column| Some((column.column, column.origin?))).collect();
        for (key, relation) in items.iter().filter_map(|item| item.scan.as_ref()) {
            for (what, column) in self.late_columns.get(key).into_iter().flatten() {
                origins.extend(system_attribute(*what).map(|number| (*column, (relation.oid, number))));
            }
        }
        for (column, old) in &self.same {
            if let Some(origin) = origins.get(old).copied() {
                origins.insert(*column, origin);
            }
        }
        origins
    }

    /// The row locks of this query, and the tables that an outer query's locks reach.
    fn locks(
        &mut self,
        locking: &[ast::Locking],
        refused: Option<&'static str>,
        nullable: &ColumnSet,
    ) -> Result<(Vec<LockTarget>, Vec<(ColumnId, std::sync::Arc<crate::catalog::image::Relation>)>)> {
        let items: Vec<Item> = self.scope().items.clone();
        let lockable = items.iter().flat_map(|item| item.lockable.clone()).collect();
        let mut targets: Vec<LockTarget> = Vec::new();
        for clause in locking {
            let name = lock_name(clause.strength);
            let pos = self.position(clause.pos);
            if let Some(refused) = refused {
                let message = format!("{name} is not allowed with {refused}");
                return Err(Error::new(SqlState::FeatureNotSupported, message));
            }
            let mut chosen = Vec::new();
            if clause.of.is_empty() {
                chosen.extend(items.iter().filter(|item| !item.join));
            }
            for of in &clause.of {
                let of_pos = self.position(of.pos);
                if of.parts.len() > 1 {
                    return Err(syntax(format!("{name} must specify unqualified relation names")).at(of_pos));
                }
                let Some(item) = items.iter().find(|item| item.named && item.name == of.name()) else {
                    let message = format!("relation \"{}\" in {name} clause not found in FROM clause", of.name());
                    return Err(Error::new(SqlState::UndefinedTable, message).at(of_pos));
                };
                if let Some(what) = item.lock_refused.filter(|_| item.lockable.is_empty() || item.join) {
                    let message = format!("{name} cannot be applied to {what}");
                    return Err(Error::new(SqlState::FeatureNotSupported, message).at(of_pos));
                }
                chosen.push(item);
            }
            for item in chosen {
                if let Some(what) = item.lock_refused.filter(|_| !item.lockable.is_empty() && !item.join) {
                    let message = format!("{name} is not allowed with {what}");
                    return Err(Error::new(SqlState::FeatureNotSupported, message).at(pos));
                }
                if item.lockable.iter().any(|(scan, _)| nullable.contains(*scan)) {
                    let message = format!("{name} cannot be applied to the nullable side of an outer join");
                    return Err(Error::new(SqlState::FeatureNotSupported, message));
                }
                for (scan, relation) in &item.lockable {
                    self.lock(relation.oid, RelationLock::LockRows);
                    let level = self.scopes.len() - 1;
                    let row_id = self.late_column(level, *scan, ScanColumn::RowId, Type::new(oid::INT8));
                    match targets.iter_mut().find(|target| target.row_id == row_id) {
                        // The strongest mode and the least patient wait win.
                        Some(target) => {
                            target.strength = target.strength.max(clause.strength);
                            if target.wait == ast::LockWait::Wait || clause.wait == ast::LockWait::NoWait {
                                target.wait = clause.wait;
                            }
                        }
                        None => targets.push(LockTarget {
                            row_id,
                            relation: relation.clone(),
                            strength: clause.strength,
                            wait: clause.wait,
                        }),
                    }
                }
            }
        }
        Ok((targets, lockable))
    }

    /// A set-returning call: at the top of FROM it stays itself, in a select list it becomes a column of a ProjectSet.
    pub(crate) fn set_returning(&mut self, call: Expr, pos: u32) -> Result<Expr> {
        let clause = self.scope().clause;
        match clause {
            Clause::FromFunction => return Ok(call),
            Clause::Select | Clause::OrderBy | Clause::GroupBy | Clause::DistinctOn | Clause::InsertValues => {}
            _ => {
                let message = format!("set-returning functions are not allowed in {}", clause.name());
                return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(pos)));
            }
        }
        let mut used = ColumnSet::new();
        used_by(&call, &mut used);
        let depth = {
            let sets = &self.scope().sets;
            sets.iter().filter(|set| used.contains(set.column)).map(|set| set.depth + 1).max().unwrap_or(0)
        };
        let ty = call.ty;
        let column = self.column(ty);
        self.note_record(column, &call);
        let serial = self.scope().serial;
        self.levels[column.0 as usize] = serial;
        self.scope().sets.push(BoundSet { column, call, depth, span: pos });
        Ok(column_expr(column, ty))
    }
}

/// Columns that an outer join may leave without a value.
fn nullable_in(rel: &Rel, set: &mut ColumnSet) {
    if let Rel::Join { kind, left, right, .. } = rel {
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            produced_in(left, set);
        }
        if matches!(kind, JoinKind::Left | JoinKind::Full) {
            produced_in(right, set);
        }
    }
    for input in inputs(rel) {
        nullable_in(input, set);
    }
}

/// Takes out the set-returning calls that grouping keys name: they run below the grouping.
fn sets_of_keys(sets: &mut Vec<BoundSet>, grouping: &Grouping) -> Vec<BoundSet> {
    let mut used = ColumnSet::new();
    grouping.keys.iter().for_each(|key| used_by(key, &mut used));
    let mut below = Vec::new();
    // A call below may read other calls' columns: these go with it.
    while let Some(i) = sets.iter().position(|set| used.contains(set.column)) {
        let set = sets.remove(i);
        used_by(&set.call, &mut used);
        below.push(set);
    }
    below
}

/// One ProjectSet per depth of nesting.
pub(crate) fn project_sets(mut rel: Rel, mut sets: Vec<BoundSet>) -> Rel {
    sets.sort_by_key(|set| set.depth);
    let mut sets = sets.into_iter().peekable();
    while let Some(first) = sets.next() {
        let mut calls = vec![(first.column, first.call)];
        while let Some(next) = sets.next_if(|next| next.depth == first.depth) {
            calls.push((next.column, next.call));
        }
        rel = Rel::ProjectSet { input: Box::new(rel), calls };
    }
    rel
}

fn sort(rel: Rel, keys: &[SortKey]) -> Rel {
    if keys.is_empty() { rel } else { Rel::Sort { input: Box::new(rel), keys: keys.to_vec() } }
}
