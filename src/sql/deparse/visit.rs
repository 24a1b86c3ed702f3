//! Walks over the analysed tree.

use super::tree::{Body, Bound, Distinct, Group, Kind, Node, Place, Query, SetTree, SortItem, Source, SublinkKind};

/// Calls `found` with every column of the level that is `up` levels outside of the expression.
pub(super) fn columns(node: &Node, up: usize, found: &mut dyn FnMut(Place)) {
    match &node.kind {
        Kind::Column(place) if place.up == up => found(*place),
        Kind::SystemColumn { up: level, item, .. } | Kind::WholeRow { up: level, item } if *level == up => {
            found(Place { up, item: *item, column: usize::MAX });
        }
        Kind::Sublink { kind: _, test, query } => {
            test.iter().for_each(|node| columns(node, up, found));
            of_query(query, &mut |node, depth| columns(node, up + depth, found), 1);
        }
        _ => parts(node, &mut |part| columns(part, up, found)),
    }
}

/// An expression's direct parts, those of subqueries left out.
pub(super) fn parts(node: &Node, visit: &mut dyn FnMut(&Node)) {
    let sort = |items: &[SortItem], visit: &mut dyn FnMut(&Node)| items.iter().for_each(|item| visit(&item.expr));
    match &node.kind {
        Kind::Const(_)
        | Kind::Param(_)
        | Kind::Column(_)
        | Kind::SystemColumn { .. }
        | Kind::WholeRow { .. }
        | Kind::SqlValue(..) => {}
        Kind::Function { args, .. }
        | Kind::Operator { args, .. }
        | Kind::And(args)
        | Kind::Or(args)
        | Kind::Coalesce(args)
        | Kind::MinMax { args, .. }
        | Kind::Array(args)
        | Kind::Row { fields: args, .. }
        | Kind::Grouping(args)
        | Kind::Sublink { test: args, .. } => args.iter().for_each(visit),
        Kind::Not(arg)
        | Kind::IsNull { arg, .. }
        | Kind::IsBool(arg, _)
        | Kind::Field { record: arg, .. }
        | Kind::Cast { arg, .. }
        | Kind::Collate(arg, _) => visit(arg),
        Kind::Distinct(a, b) | Kind::NullIf(a, b) | Kind::AnyArray { left: a, array: b, .. } => {
            visit(a);
            visit(b);
        }
        Kind::Case { operand, arms, otherwise } => {
            operand.iter().for_each(|node| visit(node));
            for (when, then) in arms {
                visit(when);
                visit(then);
            }
            visit(otherwise);
        }
        Kind::Subscript { array, subscripts } => {
            visit(array);
            subscripts.iter().flat_map(|(_, low, high)| low.iter().chain(high)).for_each(visit);
        }
        Kind::RowComparison { left, right, .. } => left.iter().chain(right).for_each(visit),
        Kind::Aggregate { direct, args, order, filter, .. } => {
            direct.iter().chain(args).for_each(&mut *visit);
            sort(order, visit);
            filter.iter().for_each(|node| visit(node));
        }
        Kind::Window { args, filter, .. } => {
            args.iter().for_each(&mut *visit);
            filter.iter().for_each(|node| visit(node));
        }
    }
}

/// Every top expression of a query, with the number of levels that it is inside.
pub(super) fn of_query(query: &Query, visit: &mut dyn FnMut(&Node, usize), depth: usize) {
    for cte in &query.ctes {
        of_query(&cte.query, visit, depth + 1);
    }
    for item in &query.items {
        match &item.source {
            Source::Subquery(inner) => of_query(inner, visit, depth + 1),
            Source::Functions { calls, .. } => calls.iter().for_each(|call| visit(&call.call, depth)),
            Source::Relation { .. } | Source::Cte(_) | Source::Join => {}
        }
    }
    for window in &query.windows {
        window.partition.iter().for_each(|node| visit(node, depth));
        window.order.iter().for_each(|item| visit(&item.expr, depth));
        for bound in window.frame.iter().flat_map(|frame| [&frame.start, &frame.end]) {
            if let Bound::Preceding(node) | Bound::Following(node) = bound {
                visit(node, depth);
            }
        }
    }
    query.order.iter().for_each(|item| visit(&item.expr, depth));
    query.limit.iter().chain(&query.offset).for_each(|node| visit(node, depth));
    match &query.body {
        Body::Values(rows) => rows.iter().flatten().for_each(|node| visit(node, depth)),
        Body::Set(tree) => of_set(tree, visit, depth + 1),
        Body::Select(select) => {
            if let Distinct::On(nodes) = &select.distinct {
                nodes.iter().for_each(|node| visit(node, depth));
            }
            select.targets.iter().for_each(|target| visit(&target.expr, depth));
            select.filter.iter().chain(&select.having).for_each(|node| visit(node, depth));
            select.group.iter().for_each(|group| of_group(group, visit, depth));
            select.from.iter().for_each(|from| of_from(from, visit, depth));
        }
    }
}

fn of_set(tree: &SetTree, visit: &mut dyn FnMut(&Node, usize), depth: usize) {
    match tree {
        SetTree::Leaf(query) => of_query(query, visit, depth),
        SetTree::Operation { left, right, .. } => {
            of_set(left, visit, depth);
            of_set(right, visit, depth);
        }
    }
}

fn of_group(group: &Group, visit: &mut dyn FnMut(&Node, usize), depth: usize) {
    match group {
        Group::Plain(node) => visit(node, depth),
        Group::Set(nodes) => nodes.iter().for_each(|node| visit(node, depth)),
        Group::Rollup(inner) | Group::Cube(inner) | Group::Sets(inner) => {
            inner.iter().for_each(|group| of_group(group, visit, depth));
        }
    }
}

fn of_from(from: &super::tree::From, visit: &mut dyn FnMut(&Node, usize), depth: usize) {
    if let super::tree::From::Join { left, right, on, .. } = from {
        of_from(left, visit, depth);
        of_from(right, visit, depth);
        on.iter().for_each(|node| visit(node, depth));
    }
}

/// Whether a subquery's text begins with its left values.
pub(super) fn has_test(kind: &SublinkKind) -> bool {
    !matches!(kind, SublinkKind::Exists | SublinkKind::Scalar | SublinkKind::Array)
}
