//! Correlated subqueries of a filter become joins, so that they are computed once for all rows instead of once per row.
//!
//! - `EXISTS`, `NOT EXISTS` and `x = ANY (…)` as conjuncts: semi and anti joins. (As a conjunct, unknown is as good as
//!   false; elsewhere they keep their three values and stay subqueries.)
//! - A scalar aggregate, `x < (SELECT avg(y) … WHERE inner = outer)`: the aggregate grouped by the inner column, joined
//!   to the outer rows (Kim 1982, with the empty group's NULL kept by an outer join). Only where no index serves the
//!   correlation: with one, looking up a few groups is cheaper than computing all. `count` is left alone: its empty
//!   group is 0, not NULL.
//!
//! Uncorrelated subqueries stay: they run once anyway, and `= ANY` is hashed.

use super::columns::{self, ColumnSet, free_columns, is_volatile, produced_in, rel_is_volatile, used_by};
use super::estimate::Estimator;
use crate::executor::row::expr::operator_of;
use crate::sql::tree::{Call, ColumnId, Expr, ExprKind, JoinKind, Rel, RowOp, ScanColumn, Subquery, SubqueryKind};
use crate::types::{Datum, Type, oid};

/// Turns what can be turned of a filter's conditions into joins of its input.
pub(super) fn unnest(known: &Estimator, mut input: Rel, conditions: Vec<Expr>) -> (Rel, Vec<Expr>) {
    let mut left = Vec::with_capacity(conditions.len());
    for mut condition in conditions {
        if let Some((kind, subquery)) = membership(&condition) {
            match join_of(known, subquery, &input) {
                Some((right, on)) => {
                    input = join(kind, input, right, on);
                    continue;
                }
                None => left.push(condition),
            }
        } else {
            input = unnest_scalars(known, input, &mut condition);
            left.push(condition);
        }
    }
    (input, left)
}

fn join(kind: JoinKind, left: Rel, right: Rel, on: Vec<Expr>) -> Rel {
    let on = match on.len() {
        0 => Expr { kind: ExprKind::Const(Datum::Bool(true)), ty: Type::new(oid::BOOL) },
        _ => Expr { kind: ExprKind::And(on), ty: Type::new(oid::BOOL) },
    };
    Rel::Join { kind, left: Box::new(left), right: Box::new(right), on, lateral: false }
}

/// A condition that is membership in a subquery, and the join that it is.
fn membership(condition: &Expr) -> Option<(JoinKind, &Subquery)> {
    match &condition.kind {
        ExprKind::Subquery(subquery) => match subquery.kind {
            SubqueryKind::Exists | SubqueryKind::Quantified { op: RowOp::Eq, all: false, .. } => {
                Some((JoinKind::Semi, subquery))
            }
            _ => None,
        },
        ExprKind::Not(inner) => match &inner.kind {
            ExprKind::Subquery(subquery) if matches!(subquery.kind, SubqueryKind::Exists) => {
                Some((JoinKind::Anti, subquery))
            }
            _ => None,
        },
        _ => None,
    }
}

fn produced(rel: &Rel) -> ColumnSet {
    let mut set = ColumnSet::new();
    produced_in(rel, &mut set);
    set
}

fn used(expr: &Expr) -> ColumnSet {
    let mut set = ColumnSet::new();
    used_by(expr, &mut set);
    set
}

/// The right side and condition of the join that a membership test is; `None`: it stays a subquery.
fn join_of(known: &Estimator, subquery: &Subquery, input: &Rel) -> Option<(Rel, Vec<Expr>)> {
    let outer = produced(input);
    let hangs = free_columns(&subquery.rel).intersects(&outer);
    if !hangs || rel_is_volatile(&subquery.rel) || known.scans_correlated(&subquery.rel) {
        return None;
    }
    let mut on = Vec::new();
    let right = pull(subquery.rel.clone(), &outer, true, &mut on)?;
    if let SubqueryKind::Quantified { left, compare, .. } = &subquery.kind {
        for ((left, column), function) in left.iter().zip(&subquery.columns).zip(compare) {
            let ty = match function.args {
                [_, right] => Type::new(*right),
                _ => return None,
            };
            if is_volatile(left) || operator_of(function) != Some(RowOp::Eq) {
                return None;
            }
            let right = Expr { kind: ExprKind::Column(*column), ty };
            let call = Call { function, args: vec![left.clone(), right] };
            on.push(Expr { kind: ExprKind::Call(call), ty: Type::new(oid::BOOL) });
        }
    }
    Some((right, on))
}

/// Takes the conditions that name `outer` columns out of a relation; `None` when some cannot be taken out. `set`: only
/// whether rows exist matters, so that order and duplicates may go.
fn pull(rel: Rel, outer: &ColumnSet, set: bool, out: &mut Vec<Expr>) -> Option<Rel> {
    if !free_columns(&rel).intersects(outer) {
        return Some(rel);
    }
    match rel {
        Rel::Filter { input, predicate } => {
            let (mut taken, mut kept) = (Vec::new(), Vec::new());
            let mut all = Vec::new();
            split(predicate, &mut all);
            for condition in all {
                if used(&condition).intersects(outer) { taken.push(condition) } else { kept.push(condition) }
            }
            let input = pull(*input, outer, set, out)?;
            out.append(&mut taken);
            Some(filter(input, kept))
        }
        Rel::Project { input, exprs } => {
            if exprs.iter().any(|(_, expr)| used(expr).intersects(outer)) {
                return None;
            }
            Some(Rel::Project { input: Box::new(pull(*input, outer, set, out)?), exprs })
        }
        Rel::Join { kind: JoinKind::Inner, left, right, on, lateral: false } => {
            let left = pull(*left, outer, set, out)?;
            let right = pull(*right, outer, set, out)?;
            let (mut all, mut kept) = (Vec::new(), Vec::new());
            split(on, &mut all);
            for condition in all {
                if used(&condition).intersects(outer) { out.push(condition) } else { kept.push(condition) }
            }
            Some(join(JoinKind::Inner, left, right, kept))
        }
        Rel::Join { kind: kind @ (JoinKind::Left | JoinKind::Semi | JoinKind::Anti), left, right, on, lateral } => {
            if used(&on).intersects(outer) || free_columns(&right).intersects(outer) {
                return None;
            }
            let left = Box::new(pull(*left, outer, set, out)?);
            Some(Rel::Join { kind, left, right, on, lateral })
        }
        Rel::Sort { input, .. } if set => pull(*input, outer, set, out),
        Rel::Distinct { input, .. } if set => pull(*input, outer, set, out),
        _ => None,
    }
}

fn split(predicate: Expr, out: &mut Vec<Expr>) {
    match predicate.kind {
        ExprKind::And(args) => args.into_iter().for_each(|arg| split(arg, out)),
        ExprKind::Const(Datum::Bool(true)) => {}
        _ => out.push(predicate),
    }
}

fn filter(input: Rel, conditions: Vec<Expr>) -> Rel {
    match conditions.len() {
        0 => input,
        _ => {
            let predicate = Expr { kind: ExprKind::And(conditions), ty: Type::new(oid::BOOL) };
            Rel::Filter { input: Box::new(input), predicate }
        }
    }
}

/// Joins the scalar aggregates that a comparison names to the input; the comparison then reads their columns.
fn unnest_scalars(known: &Estimator, mut input: Rel, condition: &mut Expr) -> Rel {
    // Only the sides of a comparison: anywhere deeper the subquery might not be evaluated for every row.
    let ExprKind::Call(Call { function, args }) = &mut condition.kind else { return input };
    if operator_of(function).is_none() {
        return input;
    }
    for side in args {
        let scalar = match &mut side.kind {
            ExprKind::Subquery(subquery) => subquery,
            _ => continue,
        };
        if !matches!(scalar.kind, SubqueryKind::Scalar) || known.scans_correlated(&scalar.rel) {
            continue;
        }
        let outer = produced(&input);
        let Some((right, on)) = grouped(&scalar.rel, scalar.columns[0], &outer) else { continue };
        let column = scalar.columns[0];
        side.kind = ExprKind::Column(column);
        input = join(JoinKind::Left, input, right, on);
    }
    input
}

/// A scalar aggregate as a grouped one, with the condition that joins its groups to the outer rows.
fn grouped(rel: &Rel, column: ColumnId, outer: &ColumnSet) -> Option<(Rel, Vec<Expr>)> {
    if !free_columns(rel).intersects(outer) || rel_is_volatile(rel) {
        return None;
    }
    match rel {
        Rel::Project { input, exprs } => {
            let (right, on) = grouped_aggregate(input, outer)?;
            let own: ColumnSet = match &**input {
                Rel::Aggregate { aggregates, .. } => aggregates.iter().map(|(column, _)| *column).collect(),
                _ => return None,
            };
            for (target, expr) in exprs {
                if used(expr).intersects(outer) || *target == column && !is_strict_in(expr, &own) {
                    return None;
                }
            }
            Some((Rel::Project { input: Box::new(right), exprs: exprs.clone() }, on))
        }
        Rel::Aggregate { .. } => grouped_aggregate(rel, outer),
        _ => None,
    }
}

fn grouped_aggregate(rel: &Rel, outer: &ColumnSet) -> Option<(Rel, Vec<Expr>)> {
    let Rel::Aggregate { input, keys, sets: None, aggregates, groupings } = rel else { return None };
    let total = |name: &str| matches!(name, "sum" | "avg" | "min" | "max");
    if !keys.is_empty() || !groupings.is_empty() || !aggregates.iter().all(|(_, call)| total(call.name)) {
        return None;
    }
    if aggregates.iter().any(|(_, call)| call.args.iter().chain(&call.filter).any(|expr| used(expr).intersects(outer)))
    {
        return None;
    }
    let mut on = Vec::new();
    let input = pull((**input).clone(), outer, false, &mut on)?;
    let mut keys = Vec::new();
    for condition in &on {
        let ExprKind::Call(Call { function, args }) = &condition.kind else { return None };
        let [a, b] = &args[..] else { return None };
        let inner = match (used(a).intersects(outer), used(b).intersects(outer)) {
            (true, false) => b,
            (false, true) => a,
            _ => return None,
        };
        let ExprKind::Column(key) = inner.kind else { return None };
        if operator_of(function) != Some(RowOp::Eq) || has_index(&input, key) {
            return None;
        }
        if !keys.iter().any(|(column, _)| *column == key) {
            // The group's key takes the number of the column that it is: above the aggregate it means the same.
            keys.push((key, inner.clone()));
        }
    }
    (!keys.is_empty()).then(|| {
        let grouped = Rel::Aggregate {
            input: Box::new(input),
            keys,
            sets: None,
            aggregates: aggregates.clone(),
            groupings: Vec::new(),
        };
        (grouped, on)
    })
}

/// Whether some index begins with a column.
fn has_index(rel: &Rel, column: ColumnId) -> bool {
    if let Rel::Scan { relation, columns } = rel {
        let attribute = columns.iter().find_map(|(what, id)| match what {
            ScanColumn::Attribute(number) if *id == column => Some(*number),
            _ => None,
        });
        return attribute.is_some_and(|attribute| {
            relation
                .indexes
                .iter()
                .any(|index| index.predicate.is_none() && index.keys.first().is_some_and(|k| k.attribute == attribute))
        });
    }
    columns::inputs(rel).into_iter().any(|input| has_index(input, column))
}

/// Whether an expression is NULL when the columns are.
fn is_strict_in(expr: &Expr, columns: &ColumnSet) -> bool {
    match &expr.kind {
        ExprKind::Column(column) => columns.contains(*column),
        ExprKind::Call(Call { function, args }) => {
            function.strict && !function.set && args.iter().any(|arg| is_strict_in(arg, columns))
        }
        ExprKind::Relabel(arg) | ExprKind::CoerceViaIo(arg) => is_strict_in(arg, columns),
        _ => false,
    }
}
