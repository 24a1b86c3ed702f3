//! Which columns trees name and produce: correlation, pruning and payloads all follow from these sets.

use crate::executor::functions::Volatility;
use crate::sql::tree::{
    AggregateCall, ColumnId, Delete, Expr, ExprKind, FrameBound, Insert, Rel, Root, SortKey, Subquery, SubqueryKind,
    Subscript, Update, WriteChecks,
};
use crate::types::Datum;

/// A set of columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnSet {
    words: Vec<u64>,
}

impl ColumnSet {
    /// The empty set.
    pub fn new() -> ColumnSet {
        ColumnSet::default()
    }

    /// Adds a column; `true` if it is new.
    pub fn insert(&mut self, column: ColumnId) -> bool {
        let (word, bit) = (column.0 as usize / 64, 1 << (column.0 % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    /// Whether it holds a column.
    pub fn contains(&self, column: ColumnId) -> bool {
        self.words.get(column.0 as usize / 64).is_some_and(|word| word & (1 << (column.0 % 64)) != 0)
    }

    /// Adds all of another set.
    pub fn union(&mut self, other: &ColumnSet) {
        if other.words.len() > self.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// Takes all of another set out.
    pub fn subtract(&mut self, other: &ColumnSet) {
        for (word, less) in self.words.iter_mut().zip(&other.words) {
            *word &= !less;
        }
    }

    /// Whether the two have a column in common.
    pub fn intersects(&self, other: &ColumnSet) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Whether every column is in `other`.
    pub fn is_subset(&self, other: &ColumnSet) -> bool {
        self.words.iter().enumerate().all(|(i, word)| word & !other.words.get(i).copied().unwrap_or(0) == 0)
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The columns in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = ColumnId> + '_ {
        self.words.iter().enumerate().flat_map(|(i, word)| {
            (0..64u32).filter(move |bit| word & (1 << bit) != 0).map(move |bit| ColumnId(i as u32 * 64 + bit))
        })
    }
}

impl FromIterator<ColumnId> for ColumnSet {
    fn from_iter<T: IntoIterator<Item = ColumnId>>(columns: T) -> ColumnSet {
        let mut set = ColumnSet::new();
        for column in columns {
            set.insert(column);
        }
        set
    }
}

/// Calls `visit` for every direct part of an expression; subqueries are not entered.
pub fn for_parts<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Expr)) {
    match &expr.kind {
        ExprKind::Const(_)
        | ExprKind::Param(_)
        | ExprKind::Column(_)
        | ExprKind::SqlValue(_)
        | ExprKind::NextValue(_) => {}
        ExprKind::Call(call) => call.args.iter().for_each(visit),
        ExprKind::And(args) | ExprKind::Or(args) | ExprKind::Coalesce(args) | ExprKind::Row(args) => {
            args.iter().for_each(visit);
        }
        ExprKind::Not(arg)
        | ExprKind::IsNull(arg)
        | ExprKind::IsNotNull(arg)
        | ExprKind::Relabel(arg)
        | ExprKind::CoerceViaIo(arg) => visit(arg),
        ExprKind::IsDistinct { left, right, negated: _, equal: _ } | ExprKind::NullIf { left, right, equal: _ } => {
            visit(left);
            visit(right);
        }
        ExprKind::Case { operand, arms, otherwise } => {
            if let Some((_, operand)) = operand {
                visit(operand);
            }
            for (when, then) in arms {
                visit(when);
                visit(then);
            }
            if let Some(otherwise) = otherwise {
                visit(otherwise);
            }
        }
        ExprKind::MinMax { greatest: _, args } => args.iter().for_each(visit),
        ExprKind::ArrayComparison { left, array, all: _, compare: _ } => {
            visit(left);
            visit(array);
        }
        ExprKind::ArrayOf { items, nested: _ } => items.iter().for_each(visit),
        ExprKind::Subscript { array, subscripts } => {
            visit(array);
            for subscript in subscripts {
                match subscript {
                    Subscript::Index(index) => visit(index),
                    Subscript::Slice(from, to) => from.iter().chain(to).for_each(&mut *visit),
                }
            }
        }
        ExprKind::Field { record, field: _ } => visit(record),
        ExprKind::RowComparison { op: _, left, right, equal: _, less: _ } => {
            left.iter().chain(right).for_each(visit);
        }
        ExprKind::Subquery(subquery) => match &subquery.kind {
            SubqueryKind::Quantified { left, compare: _, equal: _, op: _, all: _ } => left.iter().for_each(visit),
            SubqueryKind::Scalar | SubqueryKind::Exists | SubqueryKind::Array => {}
        },
        ExprKind::CoerceArray { array, element_column: _, element } => {
            visit(array);
            visit(element);
        }
    }
}

/// Calls `visit` for every expression that an operator itself holds (not its inputs').
pub fn for_exprs<'a>(rel: &'a Rel, visit: &mut dyn FnMut(&'a Expr)) {
    let sort = |keys: &'a [SortKey], visit: &mut dyn FnMut(&'a Expr)| keys.iter().for_each(|key| visit(&key.expr));
    match rel {
        Rel::Scan { .. } | Rel::CteScan { .. } | Rel::Working { .. } | Rel::SetOp { .. } | Rel::LockRows { .. } => {}
        Rel::Values { columns: _, rows } => rows.iter().flatten().for_each(visit),
        Rel::Functions { calls, ordinality: _ } => calls.iter().for_each(|(call, _)| visit(call)),
        Rel::Project { input: _, exprs } => exprs.iter().for_each(|(_, expr)| visit(expr)),
        Rel::ProjectSet { input: _, calls } => calls.iter().for_each(|(_, expr)| visit(expr)),
        Rel::Filter { input: _, predicate } => visit(predicate),
        Rel::Join { kind: _, left: _, right: _, on, lateral: _ } => visit(on),
        Rel::Aggregate { input: _, keys, sets: _, aggregates, groupings: _ } => {
            keys.iter().for_each(|(_, key)| visit(key));
            for (_, call) in aggregates {
                let AggregateCall { function: _, name: _, direct, args, distinct: _, order, filter, ty: _ } = call;
                direct.iter().chain(args).chain(filter).for_each(&mut *visit);
                sort(order, visit);
            }
        }
        Rel::Window { input: _, partition, order, calls } => {
            partition.iter().for_each(&mut *visit);
            sort(order, visit);
            for (_, call) in calls {
                call.args.iter().chain(&call.filter).for_each(&mut *visit);
                for bound in [&call.frame.start, &call.frame.end] {
                    if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
                        visit(offset);
                    }
                }
            }
        }
        Rel::Sort { input: _, keys } => sort(keys, visit),
        Rel::Distinct { input: _, on } => on.iter().for_each(visit),
        Rel::Limit { input: _, limit, offset, ties } => {
            limit.iter().chain(offset).for_each(&mut *visit);
            sort(ties.as_deref().unwrap_or_default(), visit);
        }
    }
}

/// The inputs of an operator.
pub fn inputs(rel: &Rel) -> Vec<&Rel> {
    match rel {
        Rel::Scan { .. } | Rel::Values { .. } | Rel::Functions { .. } | Rel::CteScan { .. } | Rel::Working { .. } => {
            Vec::new()
        }
        Rel::Project { input, .. }
        | Rel::ProjectSet { input, .. }
        | Rel::Filter { input, .. }
        | Rel::Aggregate { input, .. }
        | Rel::Window { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Distinct { input, .. }
        | Rel::Limit { input, .. }
        | Rel::LockRows { input, .. } => vec![input],
        Rel::Join { left, right, .. } | Rel::SetOp { left, right, .. } => vec![left, right],
    }
}

/// Columns that an operator itself brings forth.
pub fn own_columns(rel: &Rel, set: &mut ColumnSet) {
    let mut add = |column: &ColumnId| {
        set.insert(*column);
    };
    match rel {
        Rel::Scan { relation: _, columns } => columns.iter().for_each(|(_, column)| add(column)),
        Rel::Values { columns, .. } | Rel::CteScan { columns, .. } | Rel::Working { columns, .. } => {
            columns.iter().for_each(add);
        }
        Rel::Functions { calls, ordinality } => {
            calls.iter().flat_map(|(_, columns)| columns).for_each(&mut add);
            ordinality.iter().for_each(add);
        }
        Rel::Project { input: _, exprs } => exprs.iter().for_each(|(column, _)| add(column)),
        Rel::ProjectSet { input: _, calls } => calls.iter().for_each(|(column, _)| add(column)),
        Rel::Aggregate { input: _, keys, sets: _, aggregates, groupings } => {
            keys.iter().for_each(|(column, _)| add(column));
            aggregates.iter().for_each(|(column, _)| add(column));
            groupings.iter().for_each(|(column, _)| add(column));
        }
        Rel::Window { calls, .. } => calls.iter().for_each(|(column, _)| add(column)),
        Rel::SetOp { columns, .. } => columns.iter().for_each(add),
        Rel::Filter { .. }
        | Rel::Join { .. }
        | Rel::Sort { .. }
        | Rel::Distinct { .. }
        | Rel::Limit { .. }
        | Rel::LockRows { .. } => {}
    }
}

/// All columns that an expression names, in its subqueries too.
pub fn used_by(expr: &Expr, set: &mut ColumnSet) {
    match &expr.kind {
        ExprKind::Column(column) => {
            set.insert(*column);
        }
        ExprKind::Subquery(subquery) => used_by_subquery(subquery, set),
        _ => {}
    }
    for_parts(expr, &mut |part| used_by(part, set));
}

fn used_by_subquery(subquery: &Subquery, set: &mut ColumnSet) {
    used_in(&subquery.rel, set);
    set.union(&subquery.columns.iter().copied().collect());
}

/// All columns named anywhere in a relation.
pub fn used_in(rel: &Rel, set: &mut ColumnSet) {
    for_exprs(rel, &mut |expr| used_by(expr, set));
    if let Rel::SetOp { left_columns, right_columns, .. } = rel {
        set.union(&left_columns.iter().chain(right_columns).copied().collect());
    }
    if let Rel::LockRows { targets, .. } = rel {
        set.union(&targets.iter().map(|target| target.row_id).collect());
    }
    for input in inputs(rel) {
        used_in(input, set);
    }
}

/// All columns produced anywhere in a relation, in its subqueries and CASE operands too.
pub fn produced_in(rel: &Rel, set: &mut ColumnSet) {
    own_columns(rel, set);
    for_exprs(rel, &mut |expr| produced_by(expr, set));
    for input in inputs(rel) {
        produced_in(input, set);
    }
}

/// Columns that an expression sets for itself.
pub fn produced_by(expr: &Expr, set: &mut ColumnSet) {
    match &expr.kind {
        ExprKind::Subquery(subquery) => produced_in(&subquery.rel, set),
        ExprKind::Case { operand: Some((column, _)), .. } => {
            set.insert(*column);
        }
        ExprKind::CoerceArray { element_column, .. } => {
            set.insert(*element_column);
        }
        _ => {}
    }
    for_parts(expr, &mut |part| produced_by(part, set));
}

/// Columns that a relation names and does not produce: what it is correlated by.
pub fn free_columns(rel: &Rel) -> ColumnSet {
    let (mut used, mut produced) = (ColumnSet::new(), ColumnSet::new());
    used_in(rel, &mut used);
    produced_in(rel, &mut produced);
    used.subtract(&produced);
    used
}

/// The conjuncts of a condition; constant true has none.
pub fn conjuncts(predicate: &Expr) -> Vec<&Expr> {
    match &predicate.kind {
        ExprKind::And(args) => args.iter().flat_map(conjuncts).collect(),
        ExprKind::Const(Datum::Bool(true)) => Vec::new(),
        _ => vec![predicate],
    }
}

/// Conditions that name no column of a relation, and are therefore true of all of its rows or of none; and the others.
pub fn split_gates<'e>(rel: &Rel, conditions: &[&'e Expr]) -> (Vec<&'e Expr>, Vec<&'e Expr>) {
    let mut produced = ColumnSet::new();
    produced_in(rel, &mut produced);
    conditions.iter().partition(|condition| {
        let mut used = ColumnSet::new();
        used_by(condition, &mut used);
        !used.intersects(&produced) && !is_volatile(condition)
    })
}

/// Whether an expression must not be dropped, moved or evaluated another number of times.
pub fn is_volatile(expr: &Expr) -> bool {
    let mut volatile = match &expr.kind {
        ExprKind::Call(call) => call.function.volatility == Volatility::Volatile || call.function.set,
        ExprKind::NextValue(_) => true,
        ExprKind::Subquery(subquery) => rel_is_volatile(&subquery.rel),
        _ => false,
    };
    for_parts(expr, &mut |part| volatile = volatile || is_volatile(part));
    volatile
}

/// Whether a relation holds a volatile expression, or scans a part that hangs on columns which it does not name.
pub fn rel_is_volatile(rel: &Rel) -> bool {
    let mut volatile = matches!(rel, Rel::CteScan { correlated: true, .. });
    for_exprs(rel, &mut |expr| volatile = volatile || is_volatile(expr));
    volatile || inputs(rel).into_iter().any(rel_is_volatile)
}

/// Whether a relation's rows come in an order that the statement asks for.
pub fn is_sorted(rel: &Rel) -> bool {
    match rel {
        Rel::Sort { .. } => true,
        Rel::Project { input, .. }
        | Rel::ProjectSet { input, .. }
        | Rel::Filter { input, .. }
        | Rel::Limit { input, .. }
        | Rel::LockRows { input, .. }
        | Rel::Distinct { input, .. } => is_sorted(input),
        _ => false,
    }
}

/// Calls `visit` for every relation of an expression's subqueries.
pub fn for_subqueries<'a>(expr: &'a Expr, visit: &mut dyn FnMut(&'a Subquery)) {
    if let ExprKind::Subquery(subquery) = &expr.kind {
        visit(subquery);
    }
    for_parts(expr, &mut |part| for_subqueries(part, visit));
}

/// Calls `visit` for a relation and all relations below it, subqueries of its expressions included.
pub fn for_rels<'a>(rel: &'a Rel, visit: &mut dyn FnMut(&'a Rel)) {
    visit(rel);
    for_exprs(rel, &mut |expr| for_subqueries(expr, &mut |subquery| for_rels(&subquery.rel, visit)));
    for input in inputs(rel) {
        for_rels(input, visit);
    }
}

/// Columns that the checks of a write name.
pub fn used_by_checks(checks: &WriteChecks, set: &mut ColumnSet) {
    checks.checks.iter().chain(&checks.views).for_each(|(_, check)| used_by(check, set));
    checks.hidden.iter().for_each(|(_, hidden)| used_by(hidden, set));
}

/// The column that an expression plainly is.
pub fn plain_column(expr: &Expr) -> Option<ColumnId> {
    match expr.kind {
        ExprKind::Column(column) => Some(column),
        _ => None,
    }
}

/// The source of a write, or the query itself.
pub fn source(root: &Root) -> &Rel {
    match root {
        Root::Query(rel) => rel,
        Root::Insert(insert) => {
            let Insert { source, .. } = &**insert;
            source
        }
        Root::Update(update) => {
            let Update { source, .. } = &**update;
            source
        }
        Root::Delete(delete) => {
            let Delete { source, .. } = &**delete;
            source
        }
    }
}
