//! Aggregates, GROUP BY and GROUPING (PostgreSQL's `parse_agg.c`).
//!
//! While expressions are bound, an aggregate call becomes a column of the level that it belongs to: the innermost one whose
//! columns its arguments name. When the whole SELECT is bound, [`Binder::group`] replaces grouping expressions by the
//! columns of the Aggregate and finds what may not be named above it.

use super::Binder;
use super::query::column_expr;
use super::scope::{BoundAggregate, BoundGrouping, BoundSet, BoundWindow, Clause, Reference};
use super::select::BoundTarget;
use super::ungrouped;
use crate::catalog::image::ConstraintKind;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::Function;
use crate::sql::ast::{self, GroupItem};
use crate::sql::columns::{ColumnSet, is_volatile, plain_column, produced_in, used_by};
use crate::sql::tree::{AggregateCall, ColumnId, CteBody, CteId, Expr, ExprKind, Rel, SortKey, Subscript};
use crate::sql::visit;
use crate::types::{Datum, Type, oid};

/// GROUP BY: distinct keys, and grouping sets as positions in them.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    /// The keys, over the input.
    pub keys: Vec<Expr>,
    /// `None`: one set of all keys.
    pub sets: Option<Vec<Vec<usize>>>,
}

/// What stands above an Aggregate as it is written.
#[derive(Clone, Copy)]
pub(crate) struct Written<'q> {
    pub select: &'q ast::Select,
    pub order_by: &'q [ast::OrderBy],
}

/// PostgreSQL's limit.
const GROUPING_SETS_MAX: usize = 4096;

impl Binder<'_> {
    /// An aggregate call: the column that its level's Aggregate fills. `args` are coerced to the function's; for an
    /// ordered-set aggregate the direct arguments come first. With OVER it is a window call.
    pub(crate) fn aggregate(
        &mut self,
        function: &'static Function,
        args: Vec<Expr>,
        call: &ast::FunctionCall,
        ty: Type,
        pos: u32,
    ) -> Result<Expr> {
        if call.over.is_some() {
            let args = args.into_iter().map(|arg| self.fold(arg)).collect();
            return self.window_call(function, args, call, ty, pos);
        }
        let clause = self.scope().clause;
        let mut used = ColumnSet::new();
        // Aggregates, window and set-returning calls in the arguments.
        args.iter().for_each(|arg| used_by(arg, &mut used));
        let args = args.into_iter().map(|arg| self.fold(arg)).collect();
        let (direct, args, order) = self.aggregate_order(args, call, clause)?;
        let filter = match &call.filter {
            Some(filter) => Some(self.bind_bool(filter, Clause::Filter, "FILTER")?),
            None => None,
        };
        self.scope().clause = clause;
        args.iter().chain(&direct).chain(&filter).for_each(|arg| used_by(arg, &mut used));
        order.iter().for_each(|key| used_by(&key.expr, &mut used));
        // Also the columns that folding drops, or that a subquery's WITH names, say which level a call belongs to.
        let inside = ungrouped::aggregated(call);
        let references = self.scopes.iter().flat_map(|scope| &scope.references);
        let named = references.filter(|reference| inside.contains(&reference.span));
        named.for_each(|reference| _ = used.insert(reference.column));
        let level = self.level_of(&used);
        self.check_aggregate_place(level, &used, pos)?;
        // References inside the call are no references of ungrouped columns.
        self.scopes[level].references.retain(|reference| !inside.contains(&reference.span));
        let call = AggregateCall {
            function: function.oid,
            name: function.name,
            direct,
            args,
            distinct: call.distinct,
            order,
            filter,
            ty,
        };
        let known = self.scopes[level].aggregates.iter().find(|known| same_aggregate(&known.call, &call));
        if let Some(known) = known {
            return Ok(column_expr(known.column, ty));
        }
        let column = self.column(ty);
        self.levels[column.0 as usize] = self.scopes[level].serial;
        self.scopes[level].aggregates.push(BoundAggregate { column, call, span: pos });
        Ok(column_expr(column, ty))
    }

    /// Splits off direct arguments, and binds ORDER BY inside the call.
    fn aggregate_order(
        &mut self,
        mut args: Vec<Expr>,
        call: &ast::FunctionCall,
        clause: Clause,
    ) -> Result<(Vec<Expr>, Vec<Expr>, Vec<SortKey>)> {
        if !call.within_group.is_empty() {
            let direct_count = args.len().saturating_sub(call.within_group.len());
            let ordered = args.split_off(direct_count);
            let mut order = Vec::new();
            for (item, expr) in call.within_group.iter().zip(&ordered) {
                let (descending, nulls_first) = self.direction(item, expr.ty)?;
                order.push(SortKey { expr: expr.clone(), descending, nulls_first });
            }
            return Ok((args, ordered, order));
        }
        let mut order: Vec<SortKey> = Vec::new();
        for item in &call.order_by {
            let expr = self.bind_expr(&item.expr, clause)?;
            let expr = self.coerce_unknown_to_text(expr);
            let (descending, nulls_first) = self.direction(item, expr.ty)?;
            if call.distinct && !args.iter().any(|arg| same_expr(arg, &expr)) {
                let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
                let pos = self.position(item.expr.location());
                return Err(Error::new(SqlState::InvalidColumnReference, message).at(pos));
            }
            if !order.iter().any(|key| same_expr(&key.expr, &expr)) {
                order.push(SortKey { expr, descending, nulls_first });
            }
        }
        if call.distinct {
            for (arg, written) in args.iter().zip(&call.args) {
                self.equality(arg.ty.oid).map_err(|error| error.at(self.position(written.value.location())))?;
            }
        }
        Ok((Vec::new(), args, order))
    }

    /// The innermost level that owns one of the columns; the present one if none does.
    fn level_of(&self, used: &ColumnSet) -> usize {
        let present = self.scopes.len() - 1;
        let owner =
            |level: &usize| used.iter().any(|column| self.levels[column.0 as usize] == self.scopes[*level].serial);
        (0..=present).rev().find(owner).unwrap_or(present)
    }

    fn check_aggregate_place(&self, level: usize, used: &ColumnSet, pos: u32) -> Result<()> {
        let scope = &self.scopes[level];
        let refuse = |code, message: String, place: u32| Err(Error::new(code, message).at(self.position(place)));
        if let Some(inner) = scope.aggregates.iter().find(|inner| used.contains(inner.column)) {
            return refuse(SqlState::GroupingError, "aggregate function calls cannot be nested".into(), inner.span);
        }
        if let Some(window) = scope.windows.iter().find(|window| used.contains(window.column)) {
            let message = "aggregate function calls cannot contain window function calls";
            return refuse(SqlState::GroupingError, message.into(), window.span);
        }
        if let Some(set) = scope.sets.iter().find(|set| used.contains(set.column)) {
            let message = "aggregate function calls cannot contain set-returning function calls";
            return Err(Error::new(SqlState::FeatureNotSupported, message)
                .hint("You might be able to move the set-returning function into a LATERAL FROM item.")
                .at(self.position(set.span)));
        }
        match scope.clause {
            Clause::Select
            | Clause::Having
            | Clause::OrderBy
            | Clause::DistinctOn
            | Clause::WindowPartition
            | Clause::WindowOrder => Ok(()),
            clause => {
                let message = format!("aggregate functions are not allowed in {}", clause.name());
                refuse(SqlState::GroupingError, message, pos)
            }
        }
    }

    /// GROUPING(…): the column that the Aggregate fills.
    pub(crate) fn grouping(&mut self, args: &[ast::Expr], pos: u32) -> Result<Expr> {
        let clause = self.scope().clause;
        let place = self.position(pos);
        if args.len() > 31 {
            let message = "GROUPING must have fewer than 32 arguments";
            return Err(Error::new(SqlState::ProgramLimitExceeded, message).at(place));
        }
        match clause {
            Clause::Select | Clause::Having | Clause::OrderBy | Clause::DistinctOn => {}
            Clause::WindowPartition | Clause::WindowOrder => {}
            _ => {
                let message = format!("grouping operations are not allowed in {}", clause.name());
                return Err(Error::new(SqlState::GroupingError, message).at(place));
            }
        }
        let mut bound = Vec::new();
        for arg in args {
            bound.push(self.bind_expr(arg, clause)?);
        }
        let ty = Type::new(oid::INT4);
        let column = self.column(ty);
        let serial = self.scope().serial;
        self.levels[column.0 as usize] = serial;
        let places = args.iter().map(ast::Expr::location).collect();
        self.scope().groupings.push(BoundGrouping { column, args: bound, places, having: clause == Clause::Having });
        Ok(column_expr(column, ty))
    }

    /// Binds GROUP BY.
    pub(crate) fn group_by(
        &mut self,
        items: &[GroupItem],
        distinct: bool,
        targets: &mut Vec<BoundTarget>,
    ) -> Result<Grouping> {
        let mut grouping = Grouping::default();
        let plain = items.iter().all(|item| matches!(item, GroupItem::Expr(_)));
        let mut product: Vec<Vec<usize>> = vec![Vec::new()];
        for item in items {
            let sets = self.group_item(item, targets, &mut grouping.keys)?;
            let mut next = Vec::with_capacity(product.len() * sets.len());
            for left in &product {
                for right in &sets {
                    let mut set = left.clone();
                    set.extend(right.iter().copied().filter(|key| !left.contains(key)));
                    next.push(set);
                }
            }
            if next.len() > GROUPING_SETS_MAX {
                let message = format!("too many grouping sets present (maximum {GROUPING_SETS_MAX})");
                return Err(Error::new(SqlState::StatementTooComplex, message));
            }
            product = next;
        }
        if distinct {
            let mut seen: Vec<Vec<usize>> = Vec::new();
            product.retain(|set| {
                let mut sorted = set.clone();
                sorted.sort_unstable();
                let new = !seen.contains(&sorted);
                if new {
                    seen.push(sorted);
                }
                new
            });
        }
        if !plain {
            grouping.sets = Some(product);
        }
        Ok(grouping)
    }

    /// The grouping sets of one item.
    fn group_item(
        &mut self,
        item: &GroupItem,
        targets: &mut Vec<BoundTarget>,
        keys: &mut Vec<Expr>,
    ) -> Result<Vec<Vec<usize>>> {
        Ok(match item {
            GroupItem::Expr(expr) => vec![self.group_exprs(std::slice::from_ref(expr), targets, keys)?],
            GroupItem::Empty(_) => vec![Vec::new()],
            GroupItem::Rollup(lists, _) => {
                let lists = self.group_lists(lists, targets, keys)?;
                (0..=lists.len()).rev().map(|n| lists[..n].concat()).collect()
            }
            GroupItem::Cube(lists, pos) => {
                if lists.len() > 12 {
                    let error = Error::new(SqlState::TooManyColumns, "CUBE is limited to 12 elements");
                    return Err(error.at(self.position(*pos)));
                }
                let lists = self.group_lists(lists, targets, keys)?;
                let chosen = |mask: usize| {
                    let taken = lists.iter().enumerate().filter(|(i, _)| mask & (1 << i) != 0);
                    taken.flat_map(|(_, list)| list.iter().copied()).collect()
                };
                (0..1usize << lists.len()).rev().map(chosen).collect()
            }
            GroupItem::Sets(items, _) => {
                let mut sets = Vec::new();
                for item in items {
                    sets.extend(self.group_item(item, targets, keys)?);
                }
                sets
            }
        })
    }

    fn group_lists(
        &mut self,
        lists: &[Vec<ast::Expr>],
        targets: &mut Vec<BoundTarget>,
        keys: &mut Vec<Expr>,
    ) -> Result<Vec<Vec<usize>>> {
        lists.iter().map(|list| self.group_exprs(list, targets, keys)).collect()
    }

    /// Grouping expressions as positions among the keys; a row in parentheses stands for its fields.
    fn group_exprs(
        &mut self,
        exprs: &[ast::Expr],
        targets: &mut Vec<BoundTarget>,
        keys: &mut Vec<Expr>,
    ) -> Result<Vec<usize>> {
        let mut set = Vec::new();
        for expr in exprs {
            if let ast::ExprKind::Row { fields, explicit: false } = &expr.kind {
                set.extend(self.group_exprs(fields, targets, keys)?);
                continue;
            }
            let found = self.find_target(expr, targets, Clause::GroupBy)?;
            if targets[found].expr.ty.oid == oid::UNKNOWN {
                let unknown = targets[found].expr.clone();
                targets[found].expr = self.coerce_unknown_to_text(unknown);
            }
            let key = targets[found].expr.clone();
            self.check_key(&key, expr)?;
            let position = keys.iter().position(|known| same_expr(known, &key)).unwrap_or_else(|| {
                keys.push(key);
                keys.len() - 1
            });
            if !set.contains(&position) {
                set.push(position);
            }
        }
        Ok(set)
    }

    /// A key that is (by position or name) a target with an aggregate or window call is refused, as is one without equality.
    fn check_key(&mut self, key: &Expr, source: &ast::Expr) -> Result<()> {
        let mut used = ColumnSet::new();
        used_by(key, &mut used);
        let scope = self.scopes.last().expect("GROUP BY is bound inside a scope");
        if let Some(aggregate) = scope.aggregates.iter().find(|aggregate| used.contains(aggregate.column)) {
            let message = "aggregate functions are not allowed in GROUP BY";
            return Err(Error::new(SqlState::GroupingError, message).at(self.position(aggregate.span)));
        }
        if scope.windows.iter().any(|window| used.contains(window.column)) {
            let message = "window functions are not allowed in GROUP BY";
            return Err(Error::new(SqlState::WindowingError, message).at(self.position(source.location())));
        }
        self.equality(key.ty.oid).map_err(|error| error.at(self.position(source.location())))?;
        Ok(())
    }

    /// Puts the Aggregate above `rel`, if the SELECT groups, and makes everything above it read the Aggregate's columns.
    pub(crate) fn group(
        &mut self,
        rel: Rel,
        grouping: &mut Grouping,
        targets: &mut [BoundTarget],
        having: &mut Option<Expr>,
        windows: &mut [BoundWindow],
        sets: &mut [BoundSet],
        written: Written<'_>,
    ) -> Result<Rel> {
        let scope = self.scope();
        let serial = scope.serial;
        let aggregates = std::mem::take(&mut scope.aggregates);
        let groupings = std::mem::take(&mut scope.groupings);
        let reads_working = scope.reads_working;
        let Grouping { keys, sets: grouping_sets } = std::mem::take(grouping);
        let groups = !keys.is_empty()
            || grouping_sets.is_some()
            || !aggregates.is_empty()
            || !groupings.is_empty()
            || having.is_some();
        if !groups {
            return Ok(rel);
        }
        let mut numbered = Vec::with_capacity(keys.len());
        for key in keys {
            let column = self.column(key.ty);
            self.levels[column.0 as usize] = serial;
            self.note_same(column, &key);
            numbered.push((column, key));
        }
        let declared = numbered.len();
        self.scope().common_keys = grouping_sets.as_ref().map(|sets: &Vec<Vec<usize>>| {
            let common = |at: &usize| sets.iter().all(|set| set.contains(at));
            (0..declared).filter(common).filter_map(|at| plain_column(&numbered[at].1)).collect()
        });
        let grouping_columns = self.grouping_positions(&groupings, &numbered);
        let own: ColumnSet = aggregates
            .iter()
            .map(|aggregate| aggregate.column)
            .chain(groupings.iter().map(|grouping| grouping.column))
            .chain(windows.iter().map(|window| window.column))
            .chain(sets.iter().map(|set| set.column))
            .collect();
        let dropped = self.drops_ungrouped(&numbered);
        let direct = aggregates.iter().find_map(|aggregate| self.ungrouped_direct(&aggregate.call, &numbered));
        let mut above = Above { binder: self, keys: numbered, own, serial, offending: direct, parts: Vec::new() };
        targets.iter_mut().for_each(|target| above.expr(&mut target.expr, false));
        for window in windows.iter_mut() {
            window.partition.iter_mut().for_each(|expr| above.expr(expr, false));
            visit::sort_exprs(&mut window.order, &mut |expr| above.expr(expr, false));
            visit::window_exprs(&mut window.call, &mut |expr| above.expr(expr, false));
        }
        for set in sets.iter_mut() {
            above.expr(&mut set.call, false);
        }
        if let Some(having) = having {
            above.expr(having, false);
        }
        let Above { keys, offending, .. } = above;
        if dropped || offending.is_some() || grouping_columns.is_err() {
            let whole = |target: &&BoundTarget| keys[..declared].iter().any(|(key, _)| is_column(&target.expr, *key));
            let whole: Vec<u32> = targets.iter().filter(whole).map(|target| target.pos).collect();
            let found = self.first_ungrouped(written, &keys[..declared], &whole);
            let unplaced = offending.map(|(column, inner)| (false, self.ungrouped(column, false, inner)));
            // PostgreSQL judges the target list before HAVING, and calls of GROUPING first in each.
            let errors = grouping_columns.as_ref().err().cloned().into_iter().chain(found.or(unplaced));
            if let Some((_, error)) = errors.min_by_key(|(having, _)| *having) {
                return Err(error);
            }
        }
        let grouping_columns = grouping_columns.map_err(|(_, error)| error)?;
        if let Some(aggregate) = aggregates.first().filter(|_| reads_working) {
            let message = "aggregate functions are not allowed in a recursive query's recursive term";
            return Err(Error::new(SqlState::InvalidRecursion, message).at(self.position(aggregate.span)));
        }
        // Columns that follow from a primary key, whose columns are keys of every set, are too.
        let grouping_sets = grouping_sets.map(|mut sets| {
            sets.iter_mut().for_each(|set| set.extend(declared..keys.len()));
            sets
        });
        let mut rel = Rel::Aggregate {
            input: Box::new(rel),
            keys,
            sets: grouping_sets,
            aggregates: aggregates.into_iter().map(|aggregate| (aggregate.column, aggregate.call)).collect(),
            groupings: grouping_columns,
        };
        if let Some(predicate) = having.take() {
            rel = Rel::Filter { input: Box::new(rel), predicate };
        }
        Ok(rel)
    }

    /// An ungrouped column of a call's direct arguments.
    fn ungrouped_direct(&mut self, call: &AggregateCall, keys: &[(ColumnId, Expr)]) -> Option<(ColumnId, bool)> {
        let serial = self.scope().serial;
        call.direct.iter().filter(|direct| !keys.iter().any(|(_, key)| same_expr(key, direct))).find_map(|direct| {
            let mut used = ColumnSet::new();
            used_by(direct, &mut used);
            let own = |column: &ColumnId| self.levels[column.0 as usize] == serial;
            let bad = |column: &ColumnId| !is_key(*column, keys) && !self.follows(*column, keys);
            used.iter().filter(own).find(bad).map(|column| (column, false))
        })
    }

    /// Whether a column is named above the grouping that no key holds: PostgreSQL refuses it also where folding drops it.
    fn drops_ungrouped(&self, keys: &[(ColumnId, Expr)]) -> bool {
        let references = &self.scopes.last().expect("grouping is judged inside its scope").references;
        let mut held = ColumnSet::new();
        keys.iter().filter(|(_, key)| !is_plain(key)).for_each(|(_, key)| used_by(key, &mut held));
        let in_keys = references.iter().filter(|named| named.clause == Clause::GroupBy && !is_key(named.column, keys));
        in_keys.for_each(|named| _ = held.insert(named.column));
        let held = |column: ColumnId| held.contains(column);
        let refused = |named: &Reference| self.ungrouped_column(named, keys).is_some_and(|column| !held(column));
        references.iter().any(|named| !held(named.column) && refused(named))
    }

    /// The column that a reference, if it is no part of a grouped expression, must be refused for.
    fn ungrouped_column(&self, reference: &Reference, keys: &[(ColumnId, Expr)]) -> Option<ColumnId> {
        let above = matches!(
            reference.clause,
            Clause::Select
                | Clause::Having
                | Clause::Filter
                | Clause::OrderBy
                | Clause::DistinctOn
                | Clause::WindowPartition
                | Clause::WindowOrder
        );
        if !above || self.follows(reference.column, keys) {
            return None;
        }
        let grouped = is_key(reference.column, keys) && !reference.whole;
        let Some(value) = self.merged_value(reference.column) else {
            return Some(reference.column).filter(|_| !grouped);
        };
        // What USING computes is an expression to PostgreSQL, and of a subquery it compares nothing but columns.
        if grouped && reference.from == self.scopes.last().map_or(0, |scope| scope.serial) {
            return None;
        }
        let mut sides = ColumnSet::new();
        used_by(value, &mut sides);
        sides.iter().find(|side| !is_key(*side, keys) && !self.follows(*side, keys))
    }

    fn merged_value(&self, column: ColumnId) -> Option<&Expr> {
        let merged = &self.scopes.last().expect("grouping is judged inside its scope").merged;
        merged.iter().find(|(computed, _)| *computed == column).map(|(_, value)| value)
    }

    /// GROUPING's arguments as positions among the keys; the error with whether it is HAVING's.
    fn grouping_positions(
        &self,
        groupings: &[BoundGrouping],
        keys: &[(ColumnId, Expr)],
    ) -> std::result::Result<Vec<(ColumnId, Vec<usize>)>, (bool, Error)> {
        let mut found = Vec::new();
        for grouping in groupings {
            let mut positions = Vec::with_capacity(grouping.args.len());
            for (arg, place) in grouping.args.iter().zip(&grouping.places) {
                let Some(position) = keys.iter().position(|(_, key)| same_expr(key, arg)) else {
                    let message = "arguments to GROUPING must be grouping expressions of the associated query level";
                    let error = Error::new(SqlState::GroupingError, message).at(self.position(*place));
                    return Err((grouping.having, error));
                };
                positions.push(position);
            }
            found.push((grouping.column, positions));
        }
        Ok(found)
    }

    /// The error for the first column that PostgreSQL finds neither grouped nor inside an aggregate, and whether it is
    /// HAVING's. `whole`: where targets stand that are keys as a whole.
    fn first_ungrouped(
        &mut self,
        written: Written<'_>,
        keys: &[(ColumnId, Expr)],
        whole: &[u32],
    ) -> Option<(bool, Error)> {
        let plain = keys.iter().all(|(_, key)| is_plain(key));
        let (parts, failures) = (self.ctes.len(), self.failures.len());
        let mut grouped = |expr: &ast::Expr, having: bool| {
            if matches!(expr.kind, ast::ExprKind::Star(_)) {
                return false;
            }
            let clause = if having { Clause::Having } else { Clause::Select };
            whole.contains(&expr.location())
                || !plain
                    && self
                        .bind_expr(expr, clause)
                        .is_ok_and(|bound| keys.iter().any(|(_, key)| !is_plain(key) && same_expr(key, &bound)))
        };
        let places = ungrouped::places(written.select, written.order_by, &mut grouped);
        self.ctes.truncate(parts);
        self.failures.truncate(failures);
        let scope = self.scopes.last().expect("grouping is judged inside its scope");
        let bad = |place: &ungrouped::Place| {
            let mut named = scope.references.iter().filter(|reference| reference.span == place.pos);
            named.find_map(|reference| Some((*place, *reference, self.ungrouped_column(reference, keys)?)))
        };
        let (place, reference, column) = places.iter().find_map(bad)?;
        let inner = reference.from != scope.serial;
        let mut error = self.ungrouped(column, reference.whole, inner);
        // A side of what USING computes stands nowhere.
        if self.merged_value(reference.column).is_none() {
            error = error.at(self.position(place.pos));
        }
        if place.direct && !inner {
            error = error.detail("Direct arguments of an ordered-set aggregate must use only grouped columns.");
        }
        Some((place.having, error))
    }

    /// 42803 for a column that is neither grouped nor inside an aggregate.
    fn ungrouped(&self, column: ColumnId, whole: bool, in_subquery: bool) -> Error {
        let scope = self.scopes.last().expect("grouping is judged inside its scope");
        let item = |join: bool| {
            let items = scope.all_items.iter().filter(move |item| item.join == join);
            items.flat_map(|item| item.columns.iter().map(move |c| (item, c))).find(|(_, c)| c.column == column)
        };
        let name = match item(false).or_else(|| item(true)) {
            Some((item, _)) if whole => format!("{}.*", item.name),
            Some((item, column)) if !item.name.is_empty() => format!("{}.{}", item.name, column.name),
            Some((_, column)) => column.name.clone(),
            None => self.late_name(column),
        };
        let message = if in_subquery {
            format!("subquery uses ungrouped column \"{name}\" from outer query")
        } else {
            format!("column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function")
        };
        Error::new(SqlState::GroupingError, message)
    }

    /// Notes that a new column is an old one, for what the client is told of its origin.
    fn note_same(&mut self, column: ColumnId, value: &Expr) {
        if let ExprKind::Column(old) = value.kind {
            self.same.push((column, old));
        }
    }

    /// The name of a system column.
    fn late_name(&self, column: ColumnId) -> String {
        use crate::sql::tree::ScanColumn;
        let mut found = self.late_columns.iter().flat_map(|(scan, late)| late.iter().map(move |late| (*scan, late)));
        let Some((scan, (what, _))) = found.find(|(_, (_, late))| *late == column) else {
            return "?column?".to_owned();
        };
        let name = match what {
            ScanColumn::Ctid => "ctid",
            ScanColumn::TableOid => "tableoid",
            ScanColumn::Xmin => "xmin",
            ScanColumn::Xmax => "xmax",
            ScanColumn::Attribute(_) | ScanColumn::RowId => "?column?",
        };
        let items = &self.scopes.last().expect("grouping is judged inside its scope").all_items;
        let item = items.iter().find(|item| item.scan.as_ref().is_some_and(|(first, _)| *first == scan));
        item.map_or_else(|| name.to_owned(), |item| format!("{}.{name}", item.name))
    }

    /// Whether a column follows from the keys: its table's primary key is among them.
    fn follows(&self, column: ColumnId, keys: &[(ColumnId, Expr)]) -> bool {
        let scope = self.scopes.last().expect("grouping is judged inside its scope");
        scope.all_items.iter().any(|item| {
            let Some((_, relation)) = &item.scan else { return false };
            if !item.columns.iter().any(|c| c.column == column) {
                return false;
            }
            relation.constraints.iter().any(|constraint| match &constraint.kind {
                ConstraintKind::PrimaryKey { columns, .. } if !constraint.deferrable => columns.iter().all(|number| {
                    let of = |c: &&super::scope::ScopeColumn| c.origin == Some((relation.oid, *number));
                    let in_all = |column| scope.common_keys.as_ref().is_none_or(|common| common.contains(column));
                    item.columns.iter().find(of).is_some_and(|c| is_key(c.column, keys) && in_all(c.column))
                }),
                _ => false,
            })
        })
    }
}

/// Rewrites what stands above an Aggregate.
struct Above<'b, 'a> {
    binder: &'b mut Binder<'a>,
    /// Keys and their columns; functionally dependent ones are added at the end.
    keys: Vec<(ColumnId, Expr)>,
    /// Columns of this level that the Aggregate and what is above it bring forth.
    own: ColumnSet,
    serial: u32,
    /// A column that may not be named, and whether a subquery names it.
    offending: Option<(ColumnId, bool)>,
    /// WITH parts that have been rewritten.
    parts: Vec<CteId>,
}

impl Above<'_, '_> {
    fn expr(&mut self, expr: &mut Expr, in_subquery: bool) {
        visit::deeper(|| {
            let plain = matches!(expr.kind, ExprKind::Column(_));
            if (plain || !in_subquery)
                && let Some((column, _)) = self.keys.iter().find(|(_, key)| same_expr(key, expr))
            {
                expr.kind = ExprKind::Column(*column);
                return;
            }
            match &mut expr.kind {
                ExprKind::Column(column) => {
                    let named = *column;
                    let of_input = self.binder.levels[named.0 as usize] == self.serial && !self.own.contains(named);
                    let merged = self.binder.merged_value(named).filter(|_| of_input && !is_key(named, &self.keys));
                    if let Some(value) = merged {
                        *expr = value.clone();
                        return self.expr(expr, in_subquery);
                    }
                    if of_input {
                        expr.kind = ExprKind::Column(self.dependent(named, expr.ty, in_subquery));
                    }
                    return;
                }
                ExprKind::Subquery(subquery) => self.rel(&mut subquery.rel),
                _ => {}
            }
            visit::expr_parts(expr, &mut |part| self.expr(part, in_subquery));
        });
    }

    fn rel(&mut self, rel: &mut Rel) {
        if let Rel::CteScan { cte, .. } = rel {
            self.part(*cte);
        }
        visit::rel_exprs(rel, &mut |expr| self.expr(expr, true));
        for input in visit::rel_inputs(rel) {
            self.rel(input);
        }
    }

    /// A WITH part that a subquery reads: it may be the subquery's own, and name the grouped query's columns.
    fn part(&mut self, cte: CteId) {
        if self.parts.contains(&cte) {
            return;
        }
        self.parts.push(cte);
        let place = cte.0 as usize;
        let empty = CteBody::Query(super::query::one_row());
        let mut body = std::mem::replace(&mut self.binder.ctes[place].body, empty);
        match &mut body {
            CteBody::Query(rel) => self.rel(rel),
            CteBody::Recursive { seed, step, step_columns: _, all: _ } => {
                self.rel(seed);
                self.rel(step);
            }
            // It stands at the top of the statement only.
            CteBody::Write(_) => {}
        }
        self.binder.ctes[place].body = body;
    }

    /// A further key for a column that follows from the keys.
    fn dependent(&mut self, column: ColumnId, ty: Type, in_subquery: bool) -> ColumnId {
        // Keys themselves are columns of this level too.
        if self.keys.iter().any(|(key, _)| *key == column) {
            return column;
        }
        if !self.binder.follows(column, &self.keys) {
            self.offending.get_or_insert((column, in_subquery));
            return column;
        }
        let key = self.binder.column(ty);
        self.binder.levels[key.0 as usize] = self.serial;
        let value = column_expr(column, ty);
        self.binder.note_same(key, &value);
        self.keys.push((key, value));
        key
    }
}

fn is_plain(key: &Expr) -> bool {
    plain_column(key).is_some()
}

fn is_column(expr: &Expr, column: ColumnId) -> bool {
    matches!(expr.kind, ExprKind::Column(named) if named == column)
}

/// Whether a column is a key by itself.
fn is_key(column: ColumnId, keys: &[(ColumnId, Expr)]) -> bool {
    keys.iter().any(|(_, key)| is_column(key, column))
}

fn same_aggregate(a: &AggregateCall, b: &AggregateCall) -> bool {
    let same_list = |a: &[Expr], b: &[Expr]| same_exprs(a, b) && !a.iter().any(is_volatile);
    a.function == b.function
        && a.distinct == b.distinct
        && same_list(&a.direct, &b.direct)
        && same_list(&a.args, &b.args)
        && same_order(&a.order, &b.order)
        && match (&a.filter, &b.filter) {
            (None, None) => true,
            (Some(a), Some(b)) => same_expr(a, b) && !is_volatile(a),
            _ => false,
        }
}

/// Whether two lists of sort keys are the same.
pub(crate) fn same_order(a: &[SortKey], b: &[SortKey]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a.descending == b.descending && a.nulls_first == b.nulls_first && same_expr(&a.expr, &b.expr))
}

/// Whether two lists of expressions are the same.
pub(crate) fn same_exprs(a: &[Expr], b: &[Expr]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_expr(a, b))
}

fn same_boxes(a: Option<&Expr>, b: Option<&Expr>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => same_expr(a, b),
        _ => false,
    }
}

/// Whether two expressions are the same tree (PostgreSQL's `equal`). Subqueries that were written twice never are.
pub(crate) fn same_expr(a: &Expr, b: &Expr) -> bool {
    use ExprKind as E;
    if a.ty != b.ty {
        return false;
    }
    visit::deeper(|| match (&a.kind, &b.kind) {
        (E::Const(a), E::Const(b)) => same_datum(a, b),
        (E::Param(a), E::Param(b)) => a == b,
        (E::Column(a), E::Column(b)) => a == b,
        (E::Call(a), E::Call(b)) => a.function.oid == b.function.oid && same_exprs(&a.args, &b.args),
        (E::And(a), E::And(b)) | (E::Or(a), E::Or(b)) | (E::Coalesce(a), E::Coalesce(b)) | (E::Row(a), E::Row(b)) => {
            same_exprs(a, b)
        }
        (E::Not(a), E::Not(b))
        | (E::IsNull(a), E::IsNull(b))
        | (E::IsNotNull(a), E::IsNotNull(b))
        | (E::Relabel(a), E::Relabel(b))
        | (E::CoerceViaIo(a), E::CoerceViaIo(b)) => same_expr(a, b),
        (
            E::IsDistinct { left: al, right: ar, negated: an, equal: ae },
            E::IsDistinct { left: bl, right: br, negated: bn, equal: be },
        ) => an == bn && ae.oid == be.oid && same_expr(al, bl) && same_expr(ar, br),
        (E::NullIf { left: al, right: ar, equal: ae }, E::NullIf { left: bl, right: br, equal: be }) => {
            ae.oid == be.oid && same_expr(al, bl) && same_expr(ar, br)
        }
        (E::Case { operand: None, arms: aa, otherwise: ao }, E::Case { operand: None, arms: ba, otherwise: bo }) => {
            aa.len() == ba.len()
                && aa.iter().zip(ba).all(|(a, b)| same_expr(&a.0, &b.0) && same_expr(&a.1, &b.1))
                && same_boxes(ao.as_deref(), bo.as_deref())
        }
        (
            E::Case { operand: Some((ac, av)), arms: aa, otherwise: ao },
            E::Case { operand: Some((bc, bv)), arms: ba, otherwise: bo },
        ) => {
            // The operand's column has another number in each: compare with the one put for the other.
            let renamed = |expr: &Expr| {
                let mut expr = expr.clone();
                visit::rename_in_expr(&mut expr, &mut |column| if column == *bc { *ac } else { column });
                expr
            };
            same_expr(av, bv)
                && aa.len() == ba.len()
                && aa.iter().zip(ba).all(|(a, b)| same_expr(&a.0, &renamed(&b.0)) && same_expr(&a.1, &renamed(&b.1)))
                && same_boxes(ao.as_deref(), bo.as_deref().map(renamed).as_ref())
        }
        (E::MinMax { greatest: ag, args: aa }, E::MinMax { greatest: bg, args: ba }) => ag == bg && same_exprs(aa, ba),
        (
            E::ArrayComparison { left: al, array: aa, all: ax, compare: ac },
            E::ArrayComparison { left: bl, array: ba, all: bx, compare: bc },
        ) => ax == bx && ac.oid == bc.oid && same_expr(al, bl) && same_expr(aa, ba),
        (E::ArrayOf { items: ai, nested: an }, E::ArrayOf { items: bi, nested: bn }) => an == bn && same_exprs(ai, bi),
        (E::Subscript { array: aa, subscripts: asub }, E::Subscript { array: ba, subscripts: bsub }) => {
            same_expr(aa, ba)
                && asub.len() == bsub.len()
                && asub.iter().zip(bsub).all(|pair| match pair {
                    (Subscript::Index(a), Subscript::Index(b)) => same_expr(a, b),
                    (Subscript::Slice(af, at), Subscript::Slice(bf, bt)) => {
                        same_boxes(af.as_ref(), bf.as_ref()) && same_boxes(at.as_ref(), bt.as_ref())
                    }
                    _ => false,
                })
        }
        (E::Field { record: ar, field: af }, E::Field { record: br, field: bf }) => af == bf && same_expr(ar, br),
        (
            E::RowComparison { op: ao, left: al, right: ar, .. },
            E::RowComparison { op: bo, left: bl, right: br, .. },
        ) => ao == bo && same_exprs(al, bl) && same_exprs(ar, br),
        (
            E::CoerceArray { array: aa, element_column: ac, element: ae },
            E::CoerceArray { array: ba, element_column: bc, element: be },
        ) => {
            let mut be = (**be).clone();
            visit::rename_in_expr(&mut be, &mut |column| if column == *bc { *ac } else { column });
            same_expr(aa, ba) && same_expr(ae, &be)
        }
        (E::SqlValue(a), E::SqlValue(b)) => a == b,
        (E::Subquery(a), E::Subquery(b)) => {
            // Bound once, and named twice by its place or its alias: every binding brings forth columns of its own.
            let columns = [&a.rel, &b.rel].map(|rel| {
                let mut columns = ColumnSet::new();
                produced_in(rel, &mut columns);
                columns
            });
            !columns[0].is_empty() && columns[0] == columns[1]
        }
        _ => false,
    })
}

/// Whether two constants of one type are the same to the bit.
pub(super) fn same_datum(a: &Datum, b: &Datum) -> bool {
    match (a, b) {
        (Datum::Null, Datum::Null) => true,
        (Datum::Bool(a), Datum::Bool(b)) => a == b,
        (Datum::Char(a), Datum::Char(b)) => a == b,
        (Datum::Int2(a), Datum::Int2(b)) => a == b,
        (Datum::Int4(a), Datum::Int4(b)) => a == b,
        (Datum::Int8(a), Datum::Int8(b)) => a == b,
        (Datum::Float4(a), Datum::Float4(b)) => a.to_bits() == b.to_bits(),
        (Datum::Float8(a), Datum::Float8(b)) => a.to_bits() == b.to_bits(),
        (Datum::Text(a), Datum::Text(b)) | (Datum::Padded(a), Datum::Padded(b)) => a == b,
        (Datum::Bytea(a), Datum::Bytea(b)) => a == b,
        (Datum::Jsonb(a), Datum::Jsonb(b)) => a.bytes() == b.bytes(),
        (Datum::Date(a), Datum::Date(b)) => a == b,
        (Datum::Time(a), Datum::Time(b))
        | (Datum::Timestamp(a), Datum::Timestamp(b))
        | (Datum::TimestampTz(a), Datum::TimestampTz(b)) => a == b,
        (Datum::TimeTz(a, az), Datum::TimeTz(b, bz)) => a == b && az == bz,
        (Datum::Interval(a), Datum::Interval(b)) => a == b,
        (Datum::Uuid(a), Datum::Uuid(b)) => a == b,
        (Datum::Oid(a), Datum::Oid(b)) => a == b,
        // Values with a text of their own are compared by what they hold.
        (Datum::Numeric(a), Datum::Numeric(b)) => format!("{a:?}") == format!("{b:?}"),
        (Datum::Array(a), Datum::Array(b)) => {
            a.element == b.element
                && a.dims == b.dims
                && a.items.len() == b.items.len()
                && a.items.iter().zip(&b.items).all(|(a, b)| same_datum(a, b))
        }
        (Datum::Record(a), Datum::Record(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.0 == b.0 && same_datum(&a.1, &b.1))
        }
        _ => false,
    }
}
