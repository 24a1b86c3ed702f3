//! Where columns are named, in the order in which PostgreSQL looks for one that is not grouped (`check_ungrouped_columns`
//! in `parse_agg.c`): the first that it meets is the one that its error names.
//!
//! The typed tree tells whether there is one. It tells no places, though, and its operators stand in another order than
//! the parts of a query that PostgreSQL walks (`query_tree_walker`), so this walks the syntax tree:
//!
//! ```text
//! the target list: the select list, then what only ORDER BY, GROUP BY, DISTINCT ON and windows name
//! joins' conditions, WHERE, HAVING, OFFSET, LIMIT, windows' frames
//! WITH, FROM
//! ```
//! Of the grouped query itself only the target list and HAVING are looked at, of its subqueries everything.

use crate::sql::ast::{
    BoundSpec, Distinct, Expr, ExprKind, FunctionCall, GroupItem, Indirection, JoinCondition, OrderBy, Over, Query,
    Select, SetExpr, Statement, TableRef, WindowSpec, With,
};
use crate::sql::visit;

/// Where a column is named.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Its position.
    pub pos: u32,
    /// In HAVING of the grouped query, else in its target list.
    pub having: bool,
    /// Among the direct arguments of an ordered-set aggregate.
    pub direct: bool,
}

/// The places of a grouped query. What `grouped` says true of is grouped as a whole; the flag says whether it is in HAVING.
pub(super) fn places(
    select: &Select,
    order_by: &[OrderBy],
    grouped: &mut dyn FnMut(&Expr, bool) -> bool,
) -> Vec<Place> {
    let mut walk = Walk::new(grouped);
    walk.target_list(select, order_by);
    walk.having = true;
    walk.exprs(&select.having);
    walk.places
}

/// The positions of columns that an aggregate call names, its direct arguments left out.
pub(super) fn aggregated(call: &FunctionCall) -> Vec<u32> {
    let mut grouped = |_: &Expr, _| false;
    let mut walk = Walk::new(&mut grouped);
    if call.within_group.is_empty() {
        walk.exprs(call.args.iter().map(|argument| &argument.value));
    }
    walk.sorted(&call.order_by);
    walk.sorted(&call.within_group);
    walk.exprs(&call.filter);
    walk.places.iter().map(|place| place.pos).collect()
}

struct Walk<'w, 'q> {
    places: Vec<Place>,
    grouped: &'w mut dyn FnMut(&Expr, bool) -> bool,
    having: bool,
    direct: bool,
    /// How many subqueries surround what is walked.
    depth: usize,
    /// Windows met in the present query: what they name comes at the end of its target list, their frames later.
    windows: Vec<&'q WindowSpec>,
}

impl<'w, 'q> Walk<'w, 'q> {
    fn new(grouped: &'w mut dyn FnMut(&Expr, bool) -> bool) -> Walk<'w, 'q> {
        Walk { places: Vec::new(), grouped, having: false, direct: false, depth: 0, windows: Vec::new() }
    }

    fn exprs(&mut self, exprs: impl IntoIterator<Item = &'q Expr>) {
        exprs.into_iter().for_each(|expr| self.expr(expr));
    }

    fn sorted(&mut self, items: &'q [OrderBy]) {
        self.exprs(items.iter().map(|item| &item.expr));
    }

    fn target_list(&mut self, select: &'q Select, order_by: &'q [OrderBy]) {
        self.exprs(select.targets.iter().map(|target| &target.expr));
        self.sorted(order_by);
        // All that GROUP BY of the grouped query names is grouped.
        if self.depth > 0 {
            select.group_by.iter().for_each(|item| self.group_item(item));
        }
        if let Distinct::On(exprs) = &select.distinct {
            self.exprs(exprs);
        }
        self.windows.splice(0..0, select.windows.iter().map(|(_, window)| window));
        for window in self.windows.clone() {
            self.sorted(&window.order_by);
            self.exprs(&window.partition);
        }
    }

    fn group_item(&mut self, item: &'q GroupItem) {
        match item {
            GroupItem::Expr(expr) => self.expr(expr),
            GroupItem::Empty(_) => {}
            GroupItem::Rollup(lists, _) | GroupItem::Cube(lists, _) => self.exprs(lists.iter().flatten()),
            GroupItem::Sets(items, _) => items.iter().for_each(|item| self.group_item(item)),
        }
    }

    fn frames(&mut self) {
        for frame in self.windows.clone().into_iter().filter_map(|window| window.frame.as_ref()) {
            for bound in [&frame.start, &frame.end] {
                if let BoundSpec::Preceding(offset) | BoundSpec::Following(offset) = bound {
                    self.expr(offset);
                }
            }
        }
    }

    fn query(&mut self, query: &'q Query) {
        let Query { with, body, order_by, limit, offset, .. } = query;
        self.level(body, with.as_ref(), order_by, offset.iter().chain(limit));
    }

    fn level(
        &mut self,
        body: &'q SetExpr,
        with: Option<&'q With>,
        order_by: &'q [OrderBy],
        counts: impl IntoIterator<Item = &'q Expr>,
    ) {
        let outer = std::mem::take(&mut self.windows);
        self.depth += 1;
        match body {
            SetExpr::Select(select) => {
                self.target_list(select, order_by);
                select.from.iter().for_each(|item| self.conditions(item));
                self.exprs(select.filter.iter().chain(&select.having));
            }
            _ => self.sorted(order_by),
        }
        self.exprs(counts);
        self.frames();
        for part in with.iter().flat_map(|with| &with.ctes) {
            if let Statement::Query(query) = &*part.statement {
                self.query(query);
            }
        }
        match body {
            SetExpr::Select(select) => select.from.iter().for_each(|item| self.item(item)),
            SetExpr::Values { rows, .. } => self.exprs(rows.iter().flatten()),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOp { left, right, .. } => {
                self.operand(left);
                self.operand(right);
            }
        }
        self.depth -= 1;
        self.windows = outer;
    }

    fn operand(&mut self, body: &'q SetExpr) {
        visit::deeper(|| match body {
            SetExpr::SetOp { left, right, .. } => {
                self.operand(left);
                self.operand(right);
            }
            body => self.level(body, None, &[], None),
        });
    }

    /// Conditions of joins, inner ones first.
    fn conditions(&mut self, item: &'q TableRef) {
        if let TableRef::Join { left, right, condition, .. } = item {
            self.conditions(left);
            self.conditions(right);
            if let JoinCondition::On(condition) = condition {
                self.expr(condition);
            }
        }
    }

    /// What FROM items hold besides.
    fn item(&mut self, item: &'q TableRef) {
        match item {
            TableRef::Relation { sample, .. } => {
                if let Some(sample) = sample {
                    self.exprs(sample.args.iter().chain(&sample.seed));
                }
            }
            TableRef::Function { calls, .. } => self.exprs(calls.iter().map(|(call, _)| call)),
            TableRef::Subquery { query, .. } => self.query(query),
            TableRef::Join { left, right, .. } => {
                self.item(left);
                self.item(right);
            }
        }
    }

    fn expr(&mut self, expr: &'q Expr) {
        visit::deeper(|| {
            if self.depth > 0 || !(self.grouped)(expr, self.having) {
                self.parts(expr);
            }
        });
    }

    fn parts(&mut self, expr: &'q Expr) {
        match &expr.kind {
            ExprKind::Column(_) | ExprKind::Star(_) => {
                self.places.push(Place { pos: expr.pos, having: self.having, direct: self.direct });
            }
            ExprKind::Literal(_)
            | ExprKind::Param(_)
            | ExprKind::SqlValue { .. }
            | ExprKind::Default
            | ExprKind::CurrentOf(_)
            // Its arguments are judged by themselves.
            | ExprKind::Grouping(_) => {}
            ExprKind::Indirection(base, path) => self.indirection(base, path),
            ExprKind::Operator { op: _, left, right } => {
                self.exprs(left.as_deref());
                self.expr(right);
            }
            ExprKind::And(items)
            | ExprKind::Or(items)
            | ExprKind::Coalesce(items)
            | ExprKind::Array(items)
            | ExprKind::MinMax { greatest: _, args: items }
            | ExprKind::Row { fields: items, explicit: _ } => self.exprs(items),
            ExprKind::Not(inner)
            | ExprKind::IsBool(inner, _)
            | ExprKind::IsNull { expr: inner, negated: _ }
            | ExprKind::Cast { expr: inner, ty: _ }
            | ExprKind::Collate { expr: inner, collation: _ } => self.expr(inner),
            ExprKind::NullIf(left, right) | ExprKind::IsDistinct { left, right, negated: _ } => {
                self.exprs([&**left, &**right]);
            }
            ExprKind::Like { kind: _, negated: _, expr, pattern, escape } => {
                self.exprs([&**expr, &**pattern]);
                self.exprs(escape.as_deref());
            }
            ExprKind::Between { negated: _, symmetric: _, expr, low, high } => {
                self.exprs([&**expr, &**low, &**high]);
            }
            ExprKind::In { negated: _, expr, list } => {
                self.expr(expr);
                self.exprs(list);
            }
            ExprKind::AnyArray { op: _, all: _, left, array } => self.exprs([&**left, &**array]),
            ExprKind::InQuery { negated: _, expr: left, query }
            | ExprKind::AnyQuery { op: _, all: _, left, query } => {
                self.expr(left);
                self.query(query);
            }
            ExprKind::Function(call) => self.call(call),
            ExprKind::Case { operand, arms, places: _, otherwise } => {
                self.exprs(operand.as_deref());
                self.exprs(arms.iter().flat_map(|(when, then)| [when, then]));
                self.exprs(otherwise.as_deref());
            }
            ExprKind::ArrayQuery(query) | ExprKind::Exists(query) | ExprKind::Scalar(query) => self.query(query),
        }
    }

    fn call(&mut self, call: &'q FunctionCall) {
        let direct = self.direct;
        self.direct = direct || !call.within_group.is_empty();
        self.exprs(call.args.iter().map(|argument| &argument.value));
        self.direct = direct;
        self.sorted(&call.order_by);
        self.sorted(&call.within_group);
        self.exprs(&call.filter);
        if let Some(Over::Spec(window)) = &call.over {
            self.windows.push(window);
        }
    }

    /// Subscripts come before what they are taken of, upper bounds before lower ones.
    fn indirection(&mut self, base: &'q Expr, path: &'q [Indirection]) {
        let runs = path.split(|step| matches!(step, Indirection::Field(_) | Indirection::Star));
        for subscripts in runs.rev() {
            for subscript in subscripts {
                match subscript {
                    Indirection::Index(upper) | Indirection::Slice(_, Some(upper)) => self.expr(upper),
                    _ => {}
                }
            }
            for subscript in subscripts {
                if let Indirection::Slice(Some(lower), _) = subscript {
                    self.expr(lower);
                }
            }
        }
        self.expr(base);
    }
}
