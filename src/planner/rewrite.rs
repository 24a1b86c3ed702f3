//! Rules on the typed tree, run before a plan is made: conditions move down to where their columns come from, outer joins
//! that a condition makes inner become so, and chains of inner joins are put in an order.
//!
//! A condition with a volatile function stays where it was written. Among conditions on one place, those that cannot raise
//! an error come first, so that they guard the others.

use super::columns::{self, ColumnSet, is_volatile, plain_column, produced_in, used_by};
use super::disjunction;
use super::estimate::Estimator;
use super::order::{self, Outer, Part};
use super::unnest;
use crate::catalog::image::Relation;
use crate::executor::row::expr::operator_of;
use crate::sql::tree::{Call, ColumnId, CteBody, Expr, ExprKind, JoinKind, Rel, Root, RowOp, Statement};
use crate::sql::visit;
use crate::types::{Datum, Type, oid};
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// The statement with all its relations rewritten.
pub fn statement(mut statement: Statement, known: &Estimator) -> Statement {
    super::inline::ctes(&mut statement);
    let known = &Pass {
        known,
        types: statement.columns.clone(),
        first: columns_end(&statement),
        made: RefCell::default(),
        values: RefCell::default(),
        rechecked: Cell::new(false),
        limited: Cell::new(false),
    };
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
    let made = known.made.take();
    if !made.is_empty() {
        statement.columns.resize(known.first as usize, Type::new(oid::UNKNOWN));
        statement.columns.extend(made);
    }
    statement
}

/// Calls `visit` for the relation of every scan of a statement, in its subqueries too.
pub(super) fn for_scans(statement: &mut Statement, visit: &mut dyn FnMut(&mut Arc<Relation>)) {
    visit::top_rels(statement, &mut |rel| {
        visit::all_rels(rel, &mut |rel| {
            if let Rel::Scan { relation, .. } = rel {
                visit(relation);
            }
        });
    });
}

/// The rewriting of one statement.
pub(super) struct Pass<'a> {
    known: &'a Estimator,
    types: Vec<Type>,
    /// The number of the first column that rewriting makes, and the types of those made so far.
    first: u32,
    made: RefCell<Vec<Type>>,
    /// Subqueries that have been joined, by the columns that they bring forth, and what stands in their place.
    values: RefCell<Vec<(ColumnSet, Expr)>>,
    /// Rows of the relation under way may be judged again when others have changed them: what a subquery gave for such a row
    /// must not be kept.
    rechecked: Cell<bool>,
    /// No more rows of the relation that is rewritten next are wanted than a LIMIT says.
    limited: Cell<bool>,
}

impl std::ops::Deref for Pass<'_> {
    type Target = Estimator;

    fn deref(&self) -> &Estimator {
        self.known
    }
}

impl Pass<'_> {
    /// A column that the statement does not have yet.
    pub(super) fn column(&self, ty: Type) -> ColumnId {
        let mut made = self.made.borrow_mut();
        made.push(ty);
        ColumnId(self.first + made.len() as u32 - 1)
    }

    /// A column's type.
    pub(super) fn ty(&self, column: ColumnId) -> Option<Type> {
        match column.0.checked_sub(self.first) {
            Some(made) => self.made.borrow().get(made as usize).copied(),
            None => self.types.get(column.0 as usize).copied(),
        }
    }

    /// What stands in place of a subquery that has been joined to a relation already: it was named twice, or copied.
    pub(super) fn value_of(&self, subquery: &ColumnSet, columns: &ColumnSet) -> Option<Expr> {
        let values = self.values.borrow();
        let (_, value) = values.iter().find(|(other, _)| other == subquery && !subquery.is_empty())?;
        used(value).is_subset(columns).then(|| value.clone())
    }

    pub(super) fn note_value(&self, subquery: ColumnSet, value: &Expr) {
        self.values.borrow_mut().push((subquery, value.clone()));
    }

    pub(super) fn is_rechecked(&self) -> bool {
        self.rechecked.get()
    }

    fn rechecking<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = self.rechecked.replace(true);
        let done = work();
        self.rechecked.set(before);
        done
    }
}

/// One more than the largest number of a statement's columns, those that stand for rows in index definitions included.
fn columns_end(statement: &Statement) -> u32 {
    let rows = statement.index_definitions.values().flat_map(|definition| &definition.row);
    let own = statement.columns.len() as u32;
    rows.map(|(_, column)| column.0 + 1).fold(own, u32::max)
}

fn rewrite_root(known: &Pass<'_>, root: &mut Root) {
    match root {
        Root::Query(rel) => rewrite(known, rel),
        Root::Insert(insert) => {
            rewrite(known, &mut insert.source);
            insert.values.iter_mut().for_each(|(_, expr)| in_expr(known, expr));
            insert.returning.iter_mut().for_each(|(_, expr)| in_expr(known, expr));
        }
        Root::Update(update) => {
            known.rechecking(|| rewrite(known, &mut update.source));
            update.assignments.iter_mut().for_each(|(_, expr)| in_expr(known, expr));
            update.returning.iter_mut().for_each(|(_, expr)| in_expr(known, expr));
        }
        Root::Delete(delete) => {
            known.rechecking(|| rewrite(known, &mut delete.source));
            delete.returning.iter_mut().for_each(|(_, expr)| in_expr(known, expr));
        }
    }
}

fn rewrite(known: &Pass<'_>, rel: &mut Rel) {
    let taken = std::mem::replace(rel, nothing());
    *rel = push(known, taken, Vec::new());
}

/// A placeholder while a tree is taken apart.
pub(super) fn nothing() -> Rel {
    Rel::Values { columns: Vec::new(), rows: Vec::new() }
}

/// Rewrites the subqueries of an expression.
fn in_expr(known: &Pass<'_>, expr: &mut Expr) {
    if let ExprKind::Subquery(subquery) = &mut expr.kind {
        rewrite(known, &mut subquery.rel);
    }
    visit::expr_parts(expr, &mut |part| in_expr(known, part));
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

pub(super) fn produced(rel: &Rel) -> ColumnSet {
    let mut set = ColumnSet::new();
    produced_in(rel, &mut set);
    set
}

pub(super) fn used(expr: &Expr) -> ColumnSet {
    let mut set = ColumnSet::new();
    used_by(expr, &mut set);
    set
}

/// Rows that are thought to be wanted of what is computed row by row under a LIMIT.
pub(super) const LIMITED_ROWS: f64 = 10.0;

/// Rewrites `rel` under conditions from above, which hold over its columns.
fn push(known: &Pass<'_>, rel: Rel, conditions: Vec<Expr>) -> Rel {
    stacker::maybe_grow(64 * 1024, 1024 * 1024, || push_inner(known, rel, conditions))
}

fn push_inner(known: &Pass<'_>, rel: Rel, mut conditions: Vec<Expr>) -> Rel {
    let limited = known.limited.take();
    let mut rel = unnest::lateral(known, reduced(rel, &conditions), limited);
    match rel {
        Rel::Filter { input, predicate } => {
            let (mut own, mut stay) = (Vec::new(), Vec::new());
            split(predicate, &mut own);
            let (input, mut own) = unnest::unnest(known, *input, own);
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
            known.limited.set(limited);
            filtered(push(known, input, own), stay)
        }
        rel if is_chain(&rel) => chain(known, rel, conditions),
        Rel::Join { kind, left, right, mut on, lateral } => {
            in_expr(known, &mut on);
            push_join(known, kind, (*left, *right), on, lateral, conditions)
        }
        Rel::Project { mut input, mut exprs } => {
            let rows = if limited { LIMITED_ROWS } else { known.rows(&input) };
            for (_, expr) in &mut exprs {
                unnest::values(known, &mut input, rows, expr);
            }
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
            known.limited.set(limited);
            filtered(Rel::Project { input: Box::new(push(known, *input, below)), exprs }, stay)
        }
        Rel::ProjectSet { input, mut calls } => {
            calls.iter_mut().for_each(|(_, expr)| in_expr(known, expr));
            let own: ColumnSet = calls.iter().map(|(column, _)| *column).collect();
            let (stay, below) = conditions.into_iter().partition(|condition| used(condition).intersects(&own));
            filtered(Rel::ProjectSet { input: Box::new(push(known, *input, below)), calls }, stay)
        }
        Rel::Sort { mut input, mut keys } => {
            let rows = known.rows(&input);
            for key in &mut keys {
                unnest::values(known, &mut input, rows, &mut key.expr);
            }
            Rel::Sort { input: Box::new(push(known, *input, conditions)), keys }
        }
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
        Rel::Aggregate { mut input, mut keys, sets, mut aggregates, groupings } => {
            let rows = known.rows(&input);
            for (_, key) in &mut keys {
                unnest::values(known, &mut input, rows, key);
            }
            for arg in aggregates.iter_mut().flat_map(|(_, call)| &mut call.args) {
                unnest::values(known, &mut input, rows, arg);
            }
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
                Rel::Window { input, .. } => rewrite(known, input),
                Rel::Limit { input, limit, .. } => {
                    known.limited.set(limit.is_some());
                    rewrite(known, input);
                }
                Rel::LockRows { input, .. } => known.rechecking(|| rewrite(known, input)),
                Rel::Values { rows, .. } => rows.iter_mut().flatten().for_each(|expr| in_expr(known, expr)),
                Rel::Functions { calls, .. } => calls.iter_mut().for_each(|(call, _)| in_expr(known, call)),
                _ => {}
            }
            filtered(rel, conditions)
        }
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
    known: &Pass<'_>,
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
    let (mut to_left, mut to_right) = (Vec::new(), Vec::new());
    let stay: Vec<Expr>;
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
            (to_left, stay) = above.into_iter().partition(|condition| is_for(condition, &of_left, &of_right));
            (to_right, ons) =
                ons.into_iter().partition(|on| is_for(on, &of_right, &of_left) && !is_volatile(on) || is_safe_gate(on));
        }
        JoinKind::Semi | JoinKind::Anti => {
            (to_left, stay) = above.into_iter().partition(|condition| is_for(condition, &of_left, &of_right));
        }
        JoinKind::Inner | JoinKind::Right | JoinKind::Full => stay = above,
    }
    let (left, right) = (Box::new(push(known, left, to_left)), Box::new(push(known, right, to_right)));
    filtered(Rel::Join { kind, left, right, on: all_of(ons), lateral }, stay)
}

/// Whether a condition on a join is one on this side alone.
fn is_for(condition: &Expr, side: &ColumnSet, other: &ColumnSet) -> bool {
    let names = used(condition);
    names.intersects(side) && !names.intersects(other)
}

/// Whether a condition of an outer join names nothing, and may be asked before there is a pair of rows.
fn is_safe_gate(condition: &Expr) -> bool {
    used(condition).is_empty() && !is_volatile(condition) && !can_raise(condition)
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
fn inner_join(known: &Pass<'_>, left: Rel, right: Rel, conditions: Vec<Expr>, lateral: bool) -> Rel {
    let (of_left, of_right) = (produced(&left), produced(&right));
    let (mut to_left, mut to_right, mut both, mut gates) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for condition in conditions {
        let names = used(&condition);
        match (names.intersects(&of_left), names.intersects(&of_right)) {
            (true, true) => both.push(condition),
            (false, true) => to_right.push(condition),
            (true, false) => to_left.push(condition),
            (false, false) => gates.push(condition),
        }
    }
    let (left, right) = (Box::new(push(known, left, to_left)), Box::new(push(known, right, to_right)));
    filtered(Rel::Join { kind: JoinKind::Inner, left, right, on: all_of(both), lateral }, gates)
}

/// Takes a chain of joins apart and joins its parts anew, in the best order ([`order`]), under conditions from above.
fn chain(known: &Pass<'_>, rel: Rel, mut conditions: Vec<Expr>) -> Rel {
    let mut parts = Vec::new();
    flatten(known, rel, &mut parts, &mut conditions);
    // Conditions on one part go to it first: they decide its size.
    let columns: Vec<ColumnSet> = parts.iter().map(|part| produced(&part.rel)).collect();
    let mut joining = Vec::new();
    let mut own: Vec<Vec<Expr>> = parts.iter().map(|_| Vec::new()).collect();
    // What names no part says whether any of them is read.
    let mut gates = Vec::new();
    for condition in conditions {
        let names = used(&condition);
        let mut touched = (0..parts.len()).filter(|i| names.intersects(&columns[*i]));
        match (touched.next(), touched.next()) {
            (Some(only), None) if parts[only].outer.is_none() => own[only].push(condition),
            (None, _) => gates.push(condition),
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
    filtered(order::join(known, parts, joining), gates)
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
fn flatten(known: &Pass<'_>, rel: Rel, parts: &mut Vec<Part>, conditions: &mut Vec<Expr>) {
    match unnest::lateral(known, rel, false) {
        Rel::Filter { input, predicate } if is_chain(&input) && !is_volatile(&predicate) => {
            let mut own = Vec::new();
            split(predicate, &mut own);
            let (input, mut own) = unnest::unnest(known, *input, own);
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
            // Of a semi join's right side nobody sees more than whether there are rows.
            let right = if kind == JoinKind::Left { *right } else { unprojected(*right, &ons) };
            let (to_right, on): (Vec<_>, Vec<_>) =
                ons.into_iter().partition(|on| is_for(on, &of_right, &of_left) || is_safe_gate(on));
            let outer = Some(Outer { kind, on, scope: first..parts.len() });
            parts.push(Part { rel: push(known, right, to_right), outer });
        }
        other => parts.push(Part { rel: other, outer: None }),
    }
}

/// Replaces columns by expressions.
pub(super) fn substitute(expr: &mut Expr, by: &dyn Fn(ColumnId) -> Option<Expr>) {
    if let ExprKind::Column(column) = expr.kind {
        if let Some(other) = by(column) {
            *expr = other;
        }
        return;
    }
    if let ExprKind::Subquery(subquery) = &mut expr.kind {
        substitute_in(&mut subquery.rel, by);
    }
    visit::expr_parts(expr, &mut |part| substitute(part, by));
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
        visit::expr_parts(expr, &mut |part| walk(part, from, to));
    }
    walk(expr, from, to);
}

fn substitute_in(rel: &mut Rel, by: &dyn Fn(ColumnId) -> Option<Expr>) {
    for_exprs_mut(rel, &mut |expr| substitute(expr, by));
}

/// Calls `visit` for every expression of a relation and of those below it.
fn for_exprs_mut(rel: &mut Rel, visit: &mut dyn FnMut(&mut Expr)) {
    visit::rel_exprs(rel, visit);
    for input in visit::rel_inputs(rel) {
        for_exprs_mut(input, visit);
    }
}
