//! What an OR over joins tells of less than all of it: conditions that all its arms share, and what must hold for one
//! relation alone. Without it `(a.x = b.x and …) or (a.x = b.x and …)` is a join of everything with everything (TPC-H's Q19).
//!
//! PostgreSQL does the same in `canonicalize_qual` and `extract_restriction_or_clauses`.

use super::columns::{ColumnSet, conjuncts, is_volatile, used_by};
use super::rewrite::{all_of, can_raise, split};
use crate::sql::bind::aggregate::same_expr;
use crate::sql::tree::{Expr, ExprKind};
use crate::types::{Type, oid};

fn any_of(arms: Vec<Expr>) -> Expr {
    Expr { kind: ExprKind::Or(arms), ty: Type::new(oid::BOOL) }
}

/// The conjuncts that an OR of these arms is: what every arm has, and the OR of what is left of each.
pub(super) fn hoisted(arms: Vec<Expr>) -> Vec<Expr> {
    let has = |arm: &Expr, wanted: &Expr| conjuncts(arm).into_iter().any(|own| same_expr(own, wanted));
    let Some((first, others)) = arms.split_first() else { return vec![any_of(arms)] };
    let shared = |own: &&Expr| !is_volatile(own) && others.iter().all(|arm| has(arm, own));
    let common: Vec<Expr> = conjuncts(first).into_iter().filter(shared).cloned().collect();
    if common.is_empty() || others.is_empty() {
        return vec![any_of(arms)];
    }
    let mut rests = Vec::new();
    let mut decides = true;
    for arm in arms {
        let mut rest = Vec::new();
        split(arm, &mut rest);
        rest.retain(|own| !common.iter().any(|common| same_expr(common, own)));
        // An arm that has nothing else is true where the common ones are: the others say no more.
        decides &= !rest.is_empty();
        rests.push(all_of(rest));
    }
    let mut out = common;
    if decides {
        out.push(any_of(rests));
    }
    out
}

/// What an OR demands of one relation: the OR of each arm's conditions on it. `None`: an arm demands nothing.
pub(super) fn restriction(condition: &Expr, relation: &ColumnSet) -> Option<Expr> {
    let ExprKind::Or(arms) = &condition.kind else { return None };
    let of_relation = |condition: &&Expr| {
        let mut used = ColumnSet::new();
        used_by(condition, &mut used);
        !used.is_empty() && used.is_subset(relation) && !is_volatile(condition) && !can_raise(condition)
    };
    let demanded = arms.iter().map(|arm| {
        let own: Vec<Expr> = conjuncts(arm).into_iter().filter(of_relation).cloned().collect();
        (!own.is_empty()).then(|| all_of(own))
    });
    demanded.collect::<Option<Vec<Expr>>>().map(any_of)
}
