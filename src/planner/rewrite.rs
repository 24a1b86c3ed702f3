//! Rules on the typed tree, run before a plan is made: conditions move down to where their columns come from, outer joins
//! that a condition makes inner become so, and chains of inner joins are put in an order.
//!
//! A condition with a volatile function stays where it was written. Among conditions on one place, those that cannot raise
//! an error come first, so that they guard the others.

use super::columns::{self, ColumnSet, is_volatile, produced_in, used_by};
use super::disjunction;
use super::estimate::Estimator;
use super::order::{self, Outer, Part};
use crate::catalog::image::Relation;
use crate::executor::row::expr::operator_of;
use crate::sql::tree::{
    Call, ColumnId, CteBody, Expr, ExprKind, JoinKind, Rel, Root, RowOp, Statement, SubqueryKind, Subscript,
};
use crate::types::{Datum, Type, oid};
use std::sync::Arc;

/// The statement with all its relations rewritten.
pub fn statement(mut statement: Statement, known: &Estimator) -> Statement {
    super::inline::ctes(&mut statement);
    for cte in &mut statement.ctes {
        match &mut cte.body {
            CteBody::Query(rel) => rewrite(known, rel),
            CteBody::Recursive { seed, step, .. } => {
                rewrite(known, seed);
                rewrite(known, step);
            }
            CteBody::Write(root) => rewrite_root(known, root),
        }
    }
    rewrite_root(known, &mut statement.root);
    statement
}

/// Calls `visit` for the relation of every scan of a statement, in its subqueries too.
pub(super) fn for_scans(statement: &mut Statement, visit: &mut dyn FnMut(&mut Arc<Relation>)) {
    fn in_rel(rel: &mut Rel, visit: &mut dyn FnMut(&mut Arc<Relation>)) {
        match rel {
            Rel::Scan { relation, .. } => visit(relation),
            Rel::Project { input, .. }
            | Rel::ProjectSet { input, .. }
            | Rel::Filter { input, .. }
            | Rel::Aggregate { input, .. }
            | Rel::Window { input, .. }
            | Rel::Sort { input, .. }
            | Rel::Distinct { input, .. }
            | Rel::Limit { input, .. }
            | Rel::LockRows { input, .. } => in_rel(input, visit),
            Rel::Join { left, right, .. } | Rel::SetOp { left, right, .. } => {
                in_rel(left, visit);
                in_rel(right, visit);
            }
            Rel::Values { .. } | Rel::Functions { .. } | Rel::CteScan { .. } | Rel::Working { .. } => {}
        }
        for_own_exprs_mut(rel, &mut |expr| in_expr(expr, visit));
    }
    fn in_expr(expr: &mut Expr, visit: &mut dyn FnMut(&mut Arc<Relation>)) {
        if let ExprKind::Subquery(subquery) = &mut expr.kind {
            in_rel(&mut subquery.rel, visit);
        }
        for_parts_mut(expr, &mut |part| in_expr(part, visit));
    }
    fn in_root(root: &mut Root, visit: &mut dyn FnMut(&mut Arc<Relation>)) {
        match root {
            Root::Query(rel) => in_rel(rel, visit),
            Root::Insert(insert) => in_rel(&mut insert.source, visit),
            Root::Update(update) => in_rel(&mut update.source, visit),
            Root::Delete(delete) => in_rel(&mut delete.source, visit),
        }
    }
    for cte in &mut statement.ctes {
        match &mut cte.body {
            CteBody::Query(rel) => in_rel(rel, visit),
            CteBody::Recursive { seed, step, .. } => {
                in_rel(seed, visit);
                in_rel(step, visit);
            }
            CteBody::Write(root) => in_root(root, visit),
        }
    }
    in_root(&mut statement.root, visit);
}

fn rewrite_root(known: &Estimator, root: &mut Root) {
    match root {
        Root::Query(rel) => rewrite(known, rel),
        Root::Insert(insert) => {
            rewrite(known, &mut insert.source);
            insert.values.iter_mut().for_each(|(_, expr)| in_expr(known, expr));
            insert.returning.iter_mut().for_each(|(_, expr)| in_expr(known, expr));
        }
        Root::Update(update) => {
            rewrite(known, &mut update.source);
            update.assignments.iter_mut().for_each(|(_, expr)| in_expr(known, expr));
            update.returning.iter_mut().for_each(|(_, expr)| in_expr(known, expr));
        }
        Root::Delete(delete) => {
            rewrite(known, &mut delete.source);
            delete.returning.iter_mut().for_each(|(_, expr)| in_expr(known, expr));
        }
    }
}

fn rewrite(known: &Estimator, rel: &mut Rel) {
    let taken = std::mem::replace(rel, nothing());
    *rel = push(known, taken, Vec::new());
}

/// A placeholder while a tree is taken apart.
fn nothing() -> Rel {
    Rel::Values { columns: Vec::new(), rows: Vec::new() }
}

/// Rewrites the subqueries of an expression.
fn in_expr(known: &Estimator, expr: &mut Expr) {
    if let ExprKind::Subquery(subquery) = &mut expr.kind {
        rewrite(known, &mut subquery.rel);
    }
    for_parts_mut(expr, &mut |part| in_expr(known, part));
}

/// The conjunction: conditions that cannot raise an error first.
pub(super) fn all_of(mut conditions: Vec<Expr>) -> Expr {
    conditions.sort_by_key(can_raise);
    match conditions.len() {
        0 => Expr { kind: ExprKind::Const(Datum::Bool(true)), ty: Type::new(oid::BOOL) },
        1 => conditions.swap_remove(0),
        _ => Expr { kind: ExprKind::And(conditions), ty: Type::new(oid::BOOL) },
    }
}

pub(super) fn filtered(input: Rel, conditions: Vec<Expr>) -> Rel {
    if conditions.is_empty() { input } else { Rel::Filter { input: Box::new(input), predicate: all_of(conditions) } }
}

/// The conjuncts of a condition; constant true has none.
pub(super) fn split(predicate: Expr, out: &mut Vec<Expr>) {
    match predicate.kind {
        ExprKind::And(args) => args.into_iter().for_each(|arg| split(arg, out)),
        ExprKind::Or(arms) => out.append(&mut disjunction::hoisted(arms)),
        ExprKind::Const(Datum::Bool(true)) => {}
        _ => out.push(predicate),
    }
}

/// Whether evaluating an expression may end in an error.
pub(super) fn can_raise(expr: &Expr) -> bool {
    let mut raises = match &expr.kind {
        ExprKind::Call(call) => call.function.implementation.is_none_or(|implementation| implementation.can_raise),
        ExprKind::CoerceViaIo(_) | ExprKind::Subquery(_) | ExprKind::NextValue(_) => true,
        _ => false,
    };
    columns::for_parts(expr, &mut |part| raises = raises || can_raise(part));
    raises
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

/// Rewrites `rel` under conditions from above, which hold over its columns.
fn push(known: &Estimator, rel: Rel, conditions: Vec<Expr>) -> Rel {
    stacker::maybe_grow(64 * 1024, 1024 * 1024, || push_inner(known, rel, conditions))
}

fn push_inner(known: &Estimator, rel: Rel, mut conditions: Vec<Expr>) -> Rel {
    let mut rel = reduced(rel, &conditions);
    match rel {
        Rel::Filter { input, predicate } => {
            let (mut own, mut stay) = (Vec::new(), Vec::new());
            split(predicate, &mut own);
            let (input, mut own) = super::unnest::unnest(known, *input, own);
            own.iter_mut().for_each(|expr| in_expr(known, expr));
            own.retain(|condition| {
                let volatile = is_volatile(condition);
                if volatile {
                    stay.push(condition.clone());
                }
                !volatile
            });
            if !stay.is_empty() {
                // Conditions from above come after a volatile one of below.
                stay.append(&mut conditions);
            }
            own.append(&mut conditions);
            filtered(push(known, input, own), stay)
        }
        rel if is_chain(&rel) => chain(known, rel, conditions),
        Rel::Join { kind, left, right, mut on, lateral } => {
            in_expr(known, &mut on);
            push_join(known, kind, (*left, *right), on, lateral, conditions)
        }
        Rel::Project { input, mut exprs } => {
            exprs.iter_mut().for_each(|(_, expr)| in_expr(known, expr));
            let own: ColumnSet = exprs.iter().map(|(column, _)| *column).collect();
            let plain = |column: ColumnId| {
                exprs.iter().find(|(c, _)| *c == column).and_then(|(_, expr)| match expr.kind {
                    ExprKind::Column(_) => Some(expr.clone()),
                    _ => None,
                })
            };
            let (mut below, mut stay) = (Vec::new(), Vec::new());
            for mut condition in conditions {
                let names = used(&condition);
                if names.iter().filter(|c| own.contains(*c)).all(|c| plain(c).is_some()) {
                    substitute(&mut condition, &plain);
                    below.push(condition);
                } else {
                    stay.push(condition);
                }
            }
            filtered(Rel::Project { input: Box::new(push(known, *input, below)), exprs }, stay)
        }
        Rel::ProjectSet { input, mut calls } => {
            calls.iter_mut().for_each(|(_, expr)| in_expr(known, expr));
            let own: ColumnSet = calls.iter().map(|(column, _)| *column).collect();
            let (stay, below) = conditions.into_iter().partition(|condition| used(condition).intersects(&own));
            filtered(Rel::ProjectSet { input: Box::new(push(known, *input, below)), calls }, stay)
        }
        Rel::Sort { input, keys } => Rel::Sort { input: Box::new(push(known, *input, conditions)), keys },
        Rel::Distinct { input, on } => {
            let keys: ColumnSet = on.iter().filter_map(plain_column).collect();
            let free = free_of(&input, &conditions);
            let (below, stay) = conditions
                .into_iter()
                .zip(free)
                .partition::<Vec<_>, _>(|(condition, free)| used(condition).is_subset(&union(&keys, free)));
            let below = below.into_iter().map(|(condition, _)| condition).collect();
            let stay = stay.into_iter().map(|(condition, _)| condition).collect();
            filtered(Rel::Distinct { input: Box::new(push(known, *input, below)), on }, stay)
        }
        Rel::Aggregate { input, mut keys, sets, mut aggregates, groupings } => {
            keys.iter_mut().for_each(|(_, key)| in_expr(known, key));
            for (_, call) in &mut aggregates {
                call.args.iter_mut().chain(&mut call.filter).for_each(|expr| in_expr(known, expr));
            }
            let own: ColumnSet = aggregates
                .iter()
                .map(|(column, _)| *column)
                .chain(groupings.iter().map(|(column, _)| *column))
                .chain(keys.iter().filter(|(_, key)| is_volatile(key)).map(|(column, _)| *column))
                .collect();
            let (mut below, mut stay) = (Vec::new(), Vec::new());
            for mut condition in conditions {
                if sets.is_none() && !keys.is_empty() && !used(&condition).intersects(&own) {
                    substitute(&mut condition, &|column| {
                        keys.iter().find(|(c, _)| *c == column).map(|(_, key)| key.clone())
                    });
                    below.push(condition);
                } else {
                    stay.push(condition);
                }
            }
            let input = Box::new(push(known, *input, below));
            filtered(Rel::Aggregate { input, keys, sets, aggregates, groupings }, stay)
        }
        Rel::SetOp { op, all, left, left_columns, right, right_columns, columns } => {
            let as_side = |side: &[ColumnId]| -> Vec<Expr> {
                let mut moved = conditions.clone();
                for condition in &mut moved {
                    substitute_columns(condition, &columns, side);
                }
                moved
            };
            let (for_left, for_right) = (as_side(&left_columns), as_side(&right_columns));
            let (left, right) = (Box::new(push(known, *left, for_left)), Box::new(push(known, *right, for_right)));
            Rel::SetOp { op, all, left, left_columns, right, right_columns, columns }
        }
        _ => {
            match &mut rel {
                Rel::Window { input, .. } | Rel::Limit { input, .. } | Rel::LockRows { input, .. } => {
                    rewrite(known, input)
                }
                Rel::Values { rows, .. } => rows.iter_mut().flatten().for_each(|expr| in_expr(known, expr)),
                Rel::Functions { calls, .. } => calls.iter_mut().for_each(|(call, _)| in_expr(known, call)),
                _ => {}
            }
            filtered(rel, conditions)
        }
    }
}

fn plain_column(expr: &Expr) -> Option<ColumnId> {
    match expr.kind {
        ExprKind::Column(column) => Some(column),
        _ => None,
    }
}

/// For each condition, its columns that the relation does not produce: an outer query's.
fn free_of(rel: &Rel, conditions: &[Expr]) -> Vec<ColumnSet> {
    let own = produced(rel);
    conditions
        .iter()
        .map(|condition| {
            let mut free = used(condition);
            free.subtract(&own);
            free
        })
        .collect()
}

fn union(a: &ColumnSet, b: &ColumnSet) -> ColumnSet {
    let mut set = a.clone();
    set.union(b);
    set
}

/// A join that stays where it is, under conditions from above: a lateral or full one, or one with a volatile condition,
/// which is evaluated per pair, so that nothing is moved around it.
fn push_join(
    known: &Estimator,
    kind: JoinKind,
    (left, right): (Rel, Rel),
    on: Expr,
    lateral: bool,
    above: Vec<Expr>,
) -> Rel {
    let mut ons = Vec::new();
    split(on, &mut ons);
    let (of_left, of_right) = (produced(&left), produced(&right));
    let volatile = ons.iter().any(is_volatile);
    let (mut to_left, mut to_right, mut stay) = (Vec::new(), Vec::new(), Vec::new());
    match kind {
        JoinKind::Inner if !volatile => {
            ons.extend(above);
            return inner_join(known, left, right, ons, lateral);
        }
        JoinKind::Left if !volatile && above.iter().any(|condition| rejects_null(condition, &of_right)) => {
            ons.extend(above);
            return inner_join(known, left, right, ons, lateral);
        }
        JoinKind::Left => {
            (stay, to_left) = above.into_iter().partition(|condition| used(condition).intersects(&of_right));
            (to_right, ons) = ons.into_iter().partition(|condition| {
                let names = used(condition);
                !names.intersects(&of_left) && names.intersects(&of_right) && !is_volatile(condition)
            });
        }
        JoinKind::Semi | JoinKind::Anti => to_left = above,
        JoinKind::Inner | JoinKind::Right | JoinKind::Full => stay = above,
    }
    let (left, right) = (Box::new(push(known, left, to_left)), Box::new(push(known, right, to_right)));
    filtered(Rel::Join { kind, left, right, on: all_of(ons), lateral }, stay)
}

/// A full join without the rows that conditions on its result refuse: a left or an inner join, where these want a value of
/// one side.
fn reduced(rel: Rel, conditions: &[Expr]) -> Rel {
    match rel {
        Rel::Join { kind: JoinKind::Full, left, right, on, lateral } if !is_volatile(&on) => {
            match (rejects_any(conditions, &left), rejects_any(conditions, &right)) {
                (true, true) => Rel::Join { kind: JoinKind::Inner, left, right, on, lateral },
                (true, false) => Rel::Join { kind: JoinKind::Left, left, right, on, lateral },
                (false, true) => Rel::Join { kind: JoinKind::Left, left: right, right: left, on, lateral },
                (false, false) => Rel::Join { kind: JoinKind::Full, left, right, on, lateral },
            }
        }
        other => other,
    }
}

/// Whether one of the conditions cannot be true when all columns of `rel` are NULL.
fn rejects_any(conditions: &[Expr], rel: &Rel) -> bool {
    let columns = produced(rel);
    conditions.iter().any(|condition| rejects_null(condition, &columns))
}

/// Whether a condition cannot be true when all of `columns` are NULL.
fn rejects_null(condition: &Expr, columns: &ColumnSet) -> bool {
    fn strict_in(expr: &Expr, columns: &ColumnSet) -> bool {
        match &expr.kind {
            ExprKind::Column(column) => columns.contains(*column),
            ExprKind::Call(Call { function, args }) if function.strict && !function.set => {
                args.iter().any(|arg| strict_in(arg, columns))
            }
            ExprKind::Relabel(arg) | ExprKind::CoerceViaIo(arg) | ExprKind::Not(arg) => strict_in(arg, columns),
            ExprKind::ArrayComparison { left, compare, all: false, .. } => compare.strict && strict_in(left, columns),
            _ => false,
        }
    }
    match &condition.kind {
        ExprKind::IsNotNull(arg) => strict_in(arg, columns),
        ExprKind::And(args) => args.iter().any(|arg| rejects_null(arg, columns)),
        ExprKind::Or(args) => args.iter().all(|arg| rejects_null(arg, columns)),
        _ => strict_in(condition, columns),
    }
}

/// An inner join of two sides with each condition where it belongs.
fn inner_join(known: &Estimator, left: Rel, right: Rel, conditions: Vec<Expr>, lateral: bool) -> Rel {
    let (of_left, of_right) = (produced(&left), produced(&right));
    let (mut to_left, mut to_right, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for condition in conditions {
        let names = used(&condition);
        match (names.intersects(&of_left), names.intersects(&of_right)) {
            (true, true) => both.push(condition),
            (false, true) => to_right.push(condition),
            (_, false) => to_left.push(condition),
        }
    }
    let (left, right) = (Box::new(push(known, left, to_left)), Box::new(push(known, right, to_right)));
    Rel::Join { kind: JoinKind::Inner, left, right, on: all_of(both), lateral }
}

/// Takes a chain of joins apart and joins its parts anew, in the best order ([`order`]), under conditions from above.
fn chain(known: &Estimator, rel: Rel, mut conditions: Vec<Expr>) -> Rel {
    let mut parts = Vec::new();
    flatten(known, rel, &mut parts, &mut conditions);
    // Conditions on one part go to it first: they decide its size.
    let columns: Vec<ColumnSet> = parts.iter().map(|part| produced(&part.rel)).collect();
    let mut joining = Vec::new();
    let mut own: Vec<Vec<Expr>> = parts.iter().map(|_| Vec::new()).collect();
    for condition in conditions {
        let names = used(&condition);
        let mut touched = (0..parts.len()).filter(|i| names.intersects(&columns[*i]));
        match (touched.next(), touched.next()) {
            (Some(only), None) if parts[only].outer.is_none() => own[only].push(condition),
            (None, _) => own[0].push(condition),
            _ => {
                for i in (0..parts.len()).filter(|i| parts[*i].outer.is_none()) {
                    own[i].extend(disjunction::restriction(&condition, &columns[i]));
                }
                joining.push(condition);
            }
        }
    }
    for (part, conditions) in parts.iter_mut().zip(own) {
        if part.outer.is_none() {
            let rel = reduced(std::mem::replace(&mut part.rel, nothing()), &joining);
            part.rel = push(known, rel, conditions);
        }
    }
    order::join(known, parts, joining)
}

pub(super) fn is_equation(condition: &Expr) -> bool {
    matches!(&condition.kind, ExprKind::Call(Call { function, .. }) if operator_of(function) == Some(RowOp::Eq))
}

/// Whether a join can be taken apart.
fn is_chain(rel: &Rel) -> bool {
    match rel {
        Rel::Join { kind: JoinKind::Full, .. } | Rel::Join { lateral: true, .. } => false,
        Rel::Join { on, .. } => !is_volatile(on),
        _ => false,
    }
}

/// A relation without projections on top whose columns these conditions do not name.
fn unprojected(rel: Rel, conditions: &[Expr]) -> Rel {
    match rel {
        Rel::Project { input, exprs } => {
            let own: ColumnSet = exprs.iter().map(|(column, _)| *column).collect();
            let read = exprs.iter().any(|(_, expr)| is_volatile(expr))
                || conditions.iter().any(|condition| used(condition).intersects(&own));
            if read { Rel::Project { input, exprs } } else { unprojected(*input, conditions) }
        }
        other => other,
    }
}

/// Takes a chain of joins apart. The first part is joined by an inner join; what is the right side of another kind of join
/// comes after all parts of its left side.
fn flatten(known: &Estimator, rel: Rel, parts: &mut Vec<Part>, conditions: &mut Vec<Expr>) {
    match rel {
        Rel::Filter { input, predicate } if is_chain(&input) && !is_volatile(&predicate) => {
            let mut own = Vec::new();
            split(predicate, &mut own);
            let (input, mut own) = super::unnest::unnest(known, *input, own);
            own.iter_mut().for_each(|condition| in_expr(known, condition));
            conditions.append(&mut own);
            flatten(known, input, parts, conditions);
        }
        rel if !is_chain(&rel) => parts.push(Part { rel, outer: None }),
        Rel::Join { kind: JoinKind::Right, left, right, on, lateral } => {
            let mirrored = Rel::Join { kind: JoinKind::Left, left: right, right: left, on, lateral };
            flatten(known, mirrored, parts, conditions);
        }
        Rel::Join { kind, left, right, mut on, .. } => {
            in_expr(known, &mut on);
            let mut ons = Vec::new();
            split(on, &mut ons);
            let of_right = produced(&right);
            let inner = kind == JoinKind::Inner
                || kind == JoinKind::Left && conditions.iter().any(|condition| rejects_null(condition, &of_right));
            if inner {
                conditions.append(&mut ons);
                flatten(known, *left, parts, conditions);
                flatten(known, *right, parts, conditions);
                return;
            }
            let of_left = produced(&left);
            let first = parts.len();
            flatten(known, *left, parts, conditions);
            let (to_right, on): (Vec<_>, Vec<_>) = ons.into_iter().partition(|condition| {
                let names = used(condition);
                !names.intersects(&of_left) && names.intersects(&of_right)
            });
            // Of a semi join's right side nobody sees more than whether there are rows.
            let right = if kind == JoinKind::Left { *right } else { unprojected(*right, &on) };
            let outer = Some(Outer { kind, on, scope: first..parts.len() });
            parts.push(Part { rel: push(known, right, to_right), outer });
        }
        other => parts.push(Part { rel: other, outer: None }),
    }
}

/// Replaces columns by expressions.
fn substitute(expr: &mut Expr, by: &dyn Fn(ColumnId) -> Option<Expr>) {
    if let ExprKind::Column(column) = expr.kind {
        if let Some(other) = by(column) {
            *expr = other;
        }
        return;
    }
    if let ExprKind::Subquery(subquery) = &mut expr.kind {
        substitute_in(&mut subquery.rel, by);
    }
    for_parts_mut(expr, &mut |part| substitute(part, by));
}

fn substitute_columns(expr: &mut Expr, from: &[ColumnId], to: &[ColumnId]) {
    fn walk(expr: &mut Expr, from: &[ColumnId], to: &[ColumnId]) {
        if let ExprKind::Column(column) = &mut expr.kind
            && let Some(at) = from.iter().position(|c| c == column)
        {
            *column = to[at];
        }
        if let ExprKind::Subquery(subquery) = &mut expr.kind {
            for_exprs_mut(&mut subquery.rel, &mut |expr| walk(expr, from, to));
        }
        for_parts_mut(expr, &mut |part| walk(part, from, to));
    }
    walk(expr, from, to);
}

fn substitute_in(rel: &mut Rel, by: &dyn Fn(ColumnId) -> Option<Expr>) {
    for_exprs_mut(rel, &mut |expr| substitute(expr, by));
}

/// Calls `visit` for every expression of a relation and of those below it.
fn for_exprs_mut(rel: &mut Rel, visit: &mut dyn FnMut(&mut Expr)) {
    for_own_exprs_mut(rel, visit);
    match rel {
        Rel::Project { input, .. }
        | Rel::ProjectSet { input, .. }
        | Rel::Filter { input, .. }
        | Rel::Aggregate { input, .. }
        | Rel::Window { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Distinct { input, .. }
        | Rel::Limit { input, .. }
        | Rel::LockRows { input, .. } => for_exprs_mut(input, visit),
        Rel::Join { left, right, .. } | Rel::SetOp { left, right, .. } => {
            for_exprs_mut(left, visit);
            for_exprs_mut(right, visit);
        }
        Rel::Scan { .. } | Rel::Values { .. } | Rel::Functions { .. } | Rel::CteScan { .. } | Rel::Working { .. } => {}
    }
}

/// Calls `visit` for every expression that an operator itself holds.
fn for_own_exprs_mut(rel: &mut Rel, visit: &mut dyn FnMut(&mut Expr)) {
    match rel {
        Rel::Scan { .. } | Rel::CteScan { .. } | Rel::Working { .. } | Rel::SetOp { .. } | Rel::LockRows { .. } => {}
        Rel::Values { rows, .. } => rows.iter_mut().flatten().for_each(visit),
        Rel::Functions { calls, .. } => calls.iter_mut().for_each(|(call, _)| visit(call)),
        Rel::Project { exprs, .. } => exprs.iter_mut().for_each(|(_, expr)| visit(expr)),
        Rel::ProjectSet { calls, .. } => calls.iter_mut().for_each(|(_, expr)| visit(expr)),
        Rel::Filter { predicate, .. } => visit(predicate),
        Rel::Join { on, .. } => visit(on),
        Rel::Aggregate { keys, aggregates, .. } => {
            keys.iter_mut().for_each(|(_, key)| visit(key));
            for (_, call) in aggregates {
                call.direct.iter_mut().chain(&mut call.args).chain(&mut call.filter).for_each(&mut *visit);
                call.order.iter_mut().for_each(|key| visit(&mut key.expr));
            }
        }
        Rel::Window { partition, order, calls, .. } => {
            partition.iter_mut().for_each(&mut *visit);
            order.iter_mut().for_each(|key| visit(&mut key.expr));
            for (_, call) in calls {
                call.args.iter_mut().chain(&mut call.filter).for_each(&mut *visit);
            }
        }
        Rel::Sort { keys, .. } => keys.iter_mut().for_each(|key| visit(&mut key.expr)),
        Rel::Distinct { on, .. } => on.iter_mut().for_each(visit),
        Rel::Limit { limit, offset, ties, .. } => {
            limit.iter_mut().chain(offset).for_each(&mut *visit);
            ties.iter_mut().flatten().for_each(|key| visit(&mut key.expr));
        }
    }
}

/// Calls `visit` for every direct part of an expression; see [`columns::for_parts`].
fn for_parts_mut(expr: &mut Expr, visit: &mut dyn FnMut(&mut Expr)) {
    match &mut expr.kind {
        ExprKind::Const(_)
        | ExprKind::Param(_)
        | ExprKind::Column(_)
        | ExprKind::SqlValue(_)
        | ExprKind::NextValue(_) => {}
        ExprKind::Call(call) => call.args.iter_mut().for_each(visit),
        ExprKind::And(args) | ExprKind::Or(args) | ExprKind::Coalesce(args) | ExprKind::Row(args) => {
            args.iter_mut().for_each(visit);
        }
        ExprKind::Not(arg)
        | ExprKind::IsNull(arg)
        | ExprKind::IsNotNull(arg)
        | ExprKind::Relabel(arg)
        | ExprKind::CoerceViaIo(arg) => visit(arg),
        ExprKind::IsDistinct { left, right, .. } | ExprKind::NullIf { left, right, .. } => {
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
        ExprKind::MinMax { args, .. } => args.iter_mut().for_each(visit),
        ExprKind::ArrayComparison { left, array, .. } => {
            visit(left);
            visit(array);
        }
        ExprKind::ArrayOf { items, .. } => items.iter_mut().for_each(visit),
        ExprKind::Subscript { array, subscripts } => {
            visit(array);
            for subscript in subscripts {
                match subscript {
                    Subscript::Index(index) => visit(index),
                    Subscript::Slice(from, to) => from.iter_mut().chain(to).for_each(&mut *visit),
                }
            }
        }
        ExprKind::Field { record, .. } => visit(record),
        ExprKind::RowComparison { left, right, .. } => left.iter_mut().chain(right).for_each(visit),
        ExprKind::Subquery(subquery) => {
            if let SubqueryKind::Quantified { left, .. } = &mut subquery.kind {
                left.iter_mut().for_each(visit);
            }
        }
        ExprKind::CoerceArray { array, element, .. } => {
            visit(array);
            visit(element);
        }
    }
}
