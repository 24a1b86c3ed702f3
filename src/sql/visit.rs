//! Walking typed trees to change them: the binder's last touches and the planner's rewrites.
//!
//! `*_parts` functions go one step down; the others go all the way, into the subqueries of expressions too. Trees may be
//! deep (a chain of thousands of ORs): whoever recurses asks for stack.

use super::tree::{
    AggregateCall, ColumnId, ConflictUpdate, CteBody, Delete, Expr, ExprKind, FrameBound, Insert, OnConflict, Rel,
    Root, SortKey, Statement, SubqueryKind, Subscript, Update, WindowCall, WriteChecks,
};

/// Runs `f` with enough stack for one more level.
pub fn deeper<R>(f: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(64 * 1024, 1024 * 1024, f)
}

/// Calls `visit` for every direct part of an expression; a subquery's relation is not entered.
pub fn expr_parts(expr: &mut Expr, visit: &mut dyn FnMut(&mut Expr)) {
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
        ExprKind::MinMax { greatest: _, args } => args.iter_mut().for_each(visit),
        ExprKind::ArrayComparison { left, array, all: _, compare: _ } => {
            visit(left);
            visit(array);
        }
        ExprKind::ArrayOf { items, nested: _ } => items.iter_mut().for_each(visit),
        ExprKind::Subscript { array, subscripts } => {
            visit(array);
            for subscript in subscripts {
                match subscript {
                    Subscript::Index(index) => visit(index),
                    Subscript::Slice(from, to) => from.iter_mut().chain(to).for_each(&mut *visit),
                }
            }
        }
        ExprKind::Field { record, field: _ } => visit(record),
        ExprKind::RowComparison { op: _, left, right, equal: _, less: _ } => {
            left.iter_mut().chain(right).for_each(visit);
        }
        ExprKind::Subquery(subquery) => match &mut subquery.kind {
            SubqueryKind::Quantified { left, compare: _, equal: _, op: _, all: _ } => left.iter_mut().for_each(visit),
            SubqueryKind::Scalar | SubqueryKind::Exists | SubqueryKind::Array => {}
        },
        ExprKind::CoerceArray { array, element_column: _, element } => {
            visit(array);
            visit(element);
        }
    }
}

/// Calls `visit` for every expression that an operator itself holds (not its inputs').
pub fn rel_exprs(rel: &mut Rel, visit: &mut dyn FnMut(&mut Expr)) {
    match rel {
        Rel::Scan { .. } | Rel::CteScan { .. } | Rel::Working { .. } | Rel::SetOp { .. } | Rel::LockRows { .. } => {}
        Rel::Values { columns: _, rows } => rows.iter_mut().flatten().for_each(visit),
        Rel::Functions { calls, ordinality: _ } => calls.iter_mut().for_each(|(call, _)| visit(call)),
        Rel::Project { input: _, exprs } => exprs.iter_mut().for_each(|(_, expr)| visit(expr)),
        Rel::ProjectSet { input: _, calls } => calls.iter_mut().for_each(|(_, expr)| visit(expr)),
        Rel::Filter { input: _, predicate } => visit(predicate),
        Rel::Join { kind: _, left: _, right: _, on, lateral: _ } => visit(on),
        Rel::Aggregate { input: _, keys, sets: _, aggregates, groupings: _ } => {
            keys.iter_mut().for_each(|(_, key)| visit(key));
            aggregates.iter_mut().for_each(|(_, call)| aggregate_exprs(call, visit));
        }
        Rel::Window { input: _, partition, order, calls } => {
            partition.iter_mut().for_each(&mut *visit);
            sort_exprs(order, visit);
            calls.iter_mut().for_each(|(_, call)| window_exprs(call, visit));
        }
        Rel::Sort { input: _, keys } => sort_exprs(keys, visit),
        Rel::Distinct { input: _, on } => on.iter_mut().for_each(visit),
        Rel::Limit { input: _, limit, offset, ties } => {
            limit.iter_mut().chain(offset).for_each(&mut *visit);
            sort_exprs(ties.as_deref_mut().unwrap_or_default(), visit);
        }
    }
}

/// Calls `visit` for the expressions of sort keys.
pub fn sort_exprs(keys: &mut [SortKey], visit: &mut dyn FnMut(&mut Expr)) {
    keys.iter_mut().for_each(|key| visit(&mut key.expr));
}

/// Calls `visit` for the expressions of an aggregate call.
pub fn aggregate_exprs(call: &mut AggregateCall, visit: &mut dyn FnMut(&mut Expr)) {
    let AggregateCall { function: _, name: _, direct, args, distinct: _, order, filter, ty: _ } = call;
    direct.iter_mut().chain(args).chain(filter).for_each(&mut *visit);
    sort_exprs(order, visit);
}

/// Calls `visit` for the expressions of a window call, frame offsets included.
pub fn window_exprs(call: &mut WindowCall, visit: &mut dyn FnMut(&mut Expr)) {
    let WindowCall { function: _, name: _, aggregate: _, args, filter, frame, ty: _ } = call;
    args.iter_mut().chain(filter).for_each(&mut *visit);
    for bound in [&mut frame.start, &mut frame.end] {
        if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
            visit(offset);
        }
    }
}

/// The inputs of an operator.
pub fn rel_inputs(rel: &mut Rel) -> Vec<&mut Rel> {
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

/// Calls `visit` for the relation of every subquery of an expression, outermost first; what is inside them is not entered.
pub fn expr_subqueries(expr: &mut Expr, visit: &mut dyn FnMut(&mut Rel)) {
    deeper(|| {
        if let ExprKind::Subquery(subquery) = &mut expr.kind {
            visit(&mut subquery.rel);
        }
        expr_parts(expr, &mut |part| expr_subqueries(part, visit));
    });
}

/// Calls `visit` for a relation, everything below it and in the subqueries of its expressions, top down.
pub fn all_rels(rel: &mut Rel, visit: &mut dyn FnMut(&mut Rel)) {
    deeper(|| {
        visit(rel);
        rel_exprs(rel, &mut |expr| expr_subqueries(expr, &mut |rel| all_rels(rel, visit)));
        for input in rel_inputs(rel) {
            all_rels(input, visit);
        }
    });
}

/// Renames columns wherever an expression names them, in its subqueries too.
pub fn rename_in_expr(expr: &mut Expr, rename: &mut dyn FnMut(ColumnId) -> ColumnId) {
    deeper(|| {
        if let ExprKind::Column(column) = &mut expr.kind {
            *column = rename(*column);
        }
        if let ExprKind::Subquery(subquery) = &mut expr.kind {
            rename_in_rel(&mut subquery.rel, rename);
            subquery.columns.iter_mut().for_each(|column| *column = rename(*column));
        }
        expr_parts(expr, &mut |part| rename_in_expr(part, rename));
    });
}

/// Renames columns wherever a relation names (not: produces) them.
pub fn rename_in_rel(rel: &mut Rel, rename: &mut dyn FnMut(ColumnId) -> ColumnId) {
    deeper(|| {
        rel_exprs(rel, &mut |expr| rename_in_expr(expr, rename));
        match rel {
            Rel::SetOp { left_columns, right_columns, .. } => {
                left_columns.iter_mut().chain(right_columns).for_each(|column| *column = rename(*column));
            }
            Rel::LockRows { targets, .. } => {
                targets.iter_mut().for_each(|target| target.row_id = rename(target.row_id));
            }
            _ => {}
        }
        for input in rel_inputs(rel) {
            rename_in_rel(input, rename);
        }
    });
}

/// Calls `visit` for every expression of a relation and of all relations below it; subqueries are not entered.
pub fn exprs_below(rel: &mut Rel, visit: &mut dyn FnMut(&mut Expr)) {
    deeper(|| {
        rel_exprs(rel, visit);
        for input in rel_inputs(rel) {
            exprs_below(input, visit);
        }
    });
}

/// Calls `visit` for the expressions of a write's checks.
fn check_exprs(checks: &mut WriteChecks, visit: &mut dyn FnMut(&mut Expr)) {
    let WriteChecks { not_null: _, checks, views, hidden } = checks;
    checks.iter_mut().chain(views).for_each(|(_, check)| visit(check));
    hidden.iter_mut().for_each(|(_, hidden)| visit(hidden));
}

/// Calls `visit` for the expressions that a write itself holds (not its source's).
pub fn root_exprs(root: &mut Root, visit: &mut dyn FnMut(&mut Expr)) {
    match root {
        Root::Query(_) => {}
        Root::Insert(insert) => {
            let Insert { target: _, source: _, values, row_columns: _, checks, on_conflict, written: _, returning } =
                &mut **insert;
            values.iter_mut().for_each(|(_, expr)| visit(expr));
            check_exprs(checks, visit);
            if let Some(OnConflict { arbiters: _, update: Some(update) }) = on_conflict {
                let ConflictUpdate {
                    existing_columns: _,
                    existing_system: _,
                    assignments,
                    row_columns: _,
                    checks,
                    predicate,
                } = update;
                assignments.iter_mut().for_each(|(_, expr)| visit(expr));
                check_exprs(checks, visit);
                predicate.iter_mut().for_each(&mut *visit);
            }
            returning.iter_mut().for_each(|(_, expr)| visit(expr));
        }
        Root::Update(update) => {
            let Update {
                target: _,
                source: _,
                row_id: _,
                old_columns: _,
                assignments,
                generated,
                row_columns: _,
                checks,
                written: _,
                returning,
            } = &mut **update;
            assignments.iter_mut().chain(generated).for_each(|(_, expr)| visit(expr));
            check_exprs(checks, visit);
            returning.iter_mut().for_each(|(_, expr)| visit(expr));
        }
        Root::Delete(delete) => {
            let Delete { target: _, source: _, row_id: _, old_columns: _, returning } = &mut **delete;
            returning.iter_mut().for_each(|(_, expr)| visit(expr));
        }
    }
}

/// The source of a write, or the query itself.
pub fn root_source(root: &mut Root) -> &mut Rel {
    match root {
        Root::Query(rel) => rel,
        Root::Insert(insert) => &mut insert.source,
        Root::Update(update) => &mut update.source,
        Root::Delete(delete) => &mut delete.source,
    }
}

/// Calls `visit` for the top relation of the statement, of its WITH parts, and of the subqueries that writes hold.
pub fn top_rels(statement: &mut Statement, visit: &mut dyn FnMut(&mut Rel)) {
    let mut root = |root: &mut Root| {
        visit(root_source(root));
        root_exprs(root, &mut |expr| expr_subqueries(expr, visit));
    };
    for cte in &mut statement.ctes {
        match &mut cte.body {
            CteBody::Query(rel) => root_of_query(rel, &mut root),
            CteBody::Recursive { seed, step, step_columns: _, all: _ } => {
                root_of_query(seed, &mut root);
                root_of_query(step, &mut root);
            }
            CteBody::Write(write) => root(write),
        }
    }
    root(&mut statement.root);
}

/// Lends a relation to a visitor of roots.
fn root_of_query(rel: &mut Rel, visit: &mut dyn FnMut(&mut Root)) {
    let empty = Rel::Values { columns: Vec::new(), rows: Vec::new() };
    let mut root = Root::Query(std::mem::replace(rel, empty));
    visit(&mut root);
    if let Root::Query(changed) = root {
        *rel = changed;
    }
}
