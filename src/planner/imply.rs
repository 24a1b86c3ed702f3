//! Whether conditions imply another one: PostgreSQL's `predicate_implied_by`, by which a partial index serves a query.
//!
//! What is asked: where all of `clauses` are true, is `predicate` true? A `false` means "not shown". Only constants are
//! looked at, never a parameter's value, so that the answer holds for every execution of a kept plan.

use crate::executor::row::expr::operator_of;
use crate::sql::bind::aggregate::same_expr;
use crate::sql::tree::{Call, Expr, ExprKind, RowOp};
use crate::types::{Array, Datum, compare};
use std::cmp::Ordering;

/// Longest list of constants that is taken apart (PostgreSQL's `MAX_SAOP_ARRAY_SIZE`).
const LIST_MAX: usize = 100;

/// Whether `clauses`, all true, imply `predicate`.
pub(super) fn implied(predicate: &Expr, clauses: &[&Expr]) -> bool {
    match &predicate.kind {
        ExprKind::And(parts) => parts.iter().all(|part| implied(part, clauses)),
        ExprKind::Or(parts) => {
            parts.iter().any(|part| implied(part, clauses)) || clauses.iter().any(|clause| implies(clause, predicate))
        }
        _ => clauses.iter().any(|clause| implies(clause, predicate)),
    }
}

/// Whether one clause implies a predicate.
fn implies(clause: &Expr, predicate: &Expr) -> bool {
    if same_expr(clause, predicate) {
        return true;
    }
    if let ExprKind::And(parts) = &clause.kind {
        return implied(predicate, &parts.iter().collect::<Vec<_>>());
    }
    if let Some(arms) = arms(clause) {
        return !arms.is_empty() && arms.iter().all(|arm| implies(arm, predicate));
    }
    match &predicate.kind {
        ExprKind::And(parts) => parts.iter().all(|part| implies(clause, part)),
        _ => match arms(predicate) {
            Some(arms) => arms.iter().any(|arm| implies(clause, arm)),
            None => simple(clause, predicate),
        },
    }
}

/// The arms of an OR, and of `x = ANY (constants)`.
fn arms(expr: &Expr) -> Option<Vec<Expr>> {
    match &expr.kind {
        ExprKind::Or(arms) => Some(arms.clone()),
        ExprKind::ArrayComparison { left, array, all: false, compare } => {
            let arm = |value: Expr| {
                let call = Call { function: compare, args: vec![(**left).clone(), value] };
                Expr { kind: ExprKind::Call(call), ty: expr.ty }
            };
            match &array.kind {
                ExprKind::Const(Datum::Array(items)) if items.items.len() <= LIST_MAX => {
                    let ty = compare.args.get(1).copied().map(crate::types::Type::new)?;
                    let Array { items, .. } = &**items;
                    Some(items.iter().map(|item| arm(Expr { kind: ExprKind::Const(item.clone()), ty })).collect())
                }
                ExprKind::ArrayOf { items, nested: false } if items.len() <= LIST_MAX => {
                    Some(items.iter().cloned().map(arm).collect())
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// A comparison of something with a constant.
struct Bound<'e> {
    operand: &'e Expr,
    op: RowOp,
    value: &'e Datum,
}

fn bound(expr: &Expr) -> Option<Bound<'_>> {
    const TRUE: &Datum = &Datum::Bool(true);
    const FALSE: &Datum = &Datum::Bool(false);
    match &expr.kind {
        ExprKind::Call(Call { function, args }) => {
            let (op, [left, right]) = (operator_of(function)?, &args[..]) else { return None };
            match (&left.kind, &right.kind) {
                (_, ExprKind::Const(value)) => Some(Bound { operand: left, op, value }),
                (ExprKind::Const(value), _) => Some(Bound { operand: right, op: op.mirrored(), value }),
                _ => None,
            }
        }
        ExprKind::Not(inner) => Some(Bound { operand: inner, op: RowOp::Eq, value: FALSE }),
        ExprKind::Column(_) => Some(Bound { operand: expr, op: RowOp::Eq, value: TRUE }),
        _ => None,
    }
}

fn simple(clause: &Expr, predicate: &Expr) -> bool {
    if let ExprKind::IsNotNull(arg) = &predicate.kind {
        return !matches!(arg.kind, ExprKind::Row(_)) && is_true_only_with(clause, arg);
    }
    let (Some(c), Some(p)) = (bound(clause), bound(predicate)) else { return false };
    same_expr(c.operand, p.operand) && order_of(c.value, p.value).is_some_and(|order| follows(c.op, p.op, order))
}

/// Whether a clause cannot be true where `arg` is NULL.
fn is_true_only_with(clause: &Expr, arg: &Expr) -> bool {
    fn null_with(expr: &Expr, arg: &Expr) -> bool {
        same_expr(expr, arg)
            || match &expr.kind {
                ExprKind::Call(Call { function, args }) => {
                    function.strict && !function.set && args.iter().any(|part| null_with(part, arg))
                }
                ExprKind::Relabel(inner) | ExprKind::CoerceViaIo(inner) | ExprKind::Not(inner) => null_with(inner, arg),
                _ => false,
            }
    }
    match &clause.kind {
        ExprKind::IsNotNull(inner) => !matches!(inner.kind, ExprKind::Row(_)) && null_with(inner, arg),
        ExprKind::ArrayComparison { left, compare, all: false, .. } => compare.strict && null_with(left, arg),
        _ => null_with(clause, arg),
    }
}

/// The order of two constants of one type, neither of them NULL; integers of all widths are one type.
fn order_of(a: &Datum, b: &Datum) -> Option<Ordering> {
    let integer = |value: &Datum| match value {
        Datum::Int2(v) => Some(i64::from(*v)),
        Datum::Int4(v) => Some(i64::from(*v)),
        Datum::Int8(v) => Some(*v),
        _ => None,
    };
    if let (Some(a), Some(b)) = (integer(a), integer(b)) {
        return Some(a.cmp(&b));
    }
    let comparable = !a.is_null() && !b.is_null() && std::mem::discriminant(a) == std::mem::discriminant(b);
    comparable.then(|| compare::compare(a, b))
}

/// Whether `x c_op c` implies `x p_op p` where `c` stands to `p` as `order` says (`btree_implic_table`).
fn follows(clause: RowOp, predicate: RowOp, order: Ordering) -> bool {
    use Ordering::{Equal, Greater, Less};
    match (clause, predicate) {
        (RowOp::Eq, op) => match op {
            RowOp::Eq => order == Equal,
            RowOp::Ne => order != Equal,
            RowOp::Lt => order == Less,
            RowOp::Le => order != Greater,
            RowOp::Gt => order == Greater,
            RowOp::Ge => order != Less,
        },
        (RowOp::Ne, RowOp::Ne) => order == Equal,
        (RowOp::Lt, RowOp::Lt | RowOp::Le | RowOp::Ne) | (RowOp::Le, RowOp::Le) => order != Greater,
        (RowOp::Le, RowOp::Lt | RowOp::Ne) => order == Less,
        (RowOp::Gt, RowOp::Gt | RowOp::Ge | RowOp::Ne) | (RowOp::Ge, RowOp::Ge) => order != Less,
        (RowOp::Ge, RowOp::Gt | RowOp::Ne) => order == Greater,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a comparison of every small integer with a constant says.
    fn holds(op: RowOp, x: i32, c: i32) -> bool {
        match op {
            RowOp::Eq => x == c,
            RowOp::Ne => x != c,
            RowOp::Lt => x < c,
            RowOp::Le => x <= c,
            RowOp::Gt => x > c,
            RowOp::Ge => x >= c,
        }
    }

    #[test]
    fn an_implication_is_claimed_where_it_holds_for_every_value() {
        let all = [RowOp::Eq, RowOp::Ne, RowOp::Lt, RowOp::Le, RowOp::Gt, RowOp::Ge];
        for (clause, predicate) in all.iter().flat_map(|clause| all.iter().map(move |predicate| (*clause, *predicate)))
        {
            for (c, p) in (0..3).flat_map(|c| (0..3).map(move |p| (c, p))) {
                // Odd numbers stand for the values of a dense type between the constants.
                let wrong = (-4..10).find(|x| holds(clause, *x, 2 * c) && !holds(predicate, *x, 2 * p));
                let claimed = follows(clause, predicate, c.cmp(&p));
                assert_eq!(claimed, wrong.is_none(), "{clause:?} {c} => {predicate:?} {p}: {wrong:?}");
            }
        }
    }
}
