//! Correlated subqueries and LATERAL items become joins, so that they are computed once for all outer rows instead of once per
//! row (Neumann and Kemper 2015, in the cases where the outer rows' values need not be joined to the inner relation first: the
//! columns that the correlation compares them with have them).
//!
//! - `EXISTS`, `NOT EXISTS`, `x = ANY (…)` and `NOT x = ANY (…)` as conjuncts: semi and anti joins. (As a conjunct, unknown is
//!   as good as false; for the negation a NULL on either side is as good as a match.)
//! - `EXISTS` as a value: an outer join with the distinct values of the inner columns that the correlation equates.
//! - A scalar aggregate: grouped by those columns, joined by an outer join (Kim 1982); a group that is not there has the value
//!   of an empty one. What is computed of aggregates is computed where the subquery stood.
//! - A subquery that gives one row at most, by LIMIT 1 or by a unique key: an outer join with the first row of each group.
//! - LATERAL: a join, under the same rules.
//!
//! Aggregates, DISTINCT, LIMIT and window functions inside of what is pulled apart are computed per group, whose keys they let
//! through (`Pulling::keyed`). Such computing is for all groups, also those that no outer row asks for: it must not be able to raise an
//! error, and where an index serves the correlation it must be worth it.
//!
//! What cannot be pulled apart stays as it is and is evaluated for each outer row. Uncorrelated subqueries stay: they run once
//! anyway, and `= ANY` is hashed.

use super::columns::{
    self, ColumnSet, for_exprs, for_rels, for_subqueries, free_columns, is_sorted, is_volatile, plain_column,
    rel_is_volatile,
};
use super::rewrite::{LIMITED_ROWS, Pass, all_of, filtered, nothing, produced, split, substitute, used};
use crate::catalog::builtin;
use crate::catalog::image::Relation;
use crate::executor::functions::{Function, aggregate};
use crate::executor::row::expr::operator_of;
use crate::executor::vector::{can_raise, window_may_raise};
use crate::sql::tree::{
    AggregateCall, Call, ColumnId, Expr, ExprKind, Frame, FrameBound, FrameExclude, FrameUnit, JoinKind, Rel, RowOp,
    ScanColumn, Subquery, SubqueryKind, WindowCall,
};
use crate::sql::visit;
use crate::types::{Datum, Oid, Type, oid};

const BOOL: Type = Type::new(oid::BOOL);
const INT8: Type = Type::new(oid::INT8);
/// pg_proc's row_number(), int8(int2) and int8(int4).
const ROW_NUMBER: Oid = Oid(3100);
const INT8_OF_INT2: Oid = Oid(754);
const INT8_OF_INT4: Oid = Oid(481);

/// Turns what can be turned of a filter's conditions into joins of its input.
pub(super) fn unnest(pass: &Pass<'_>, mut input: Rel, conditions: Vec<Expr>) -> (Rel, Vec<Expr>) {
    let mut left = Vec::with_capacity(conditions.len());
    if !conditions.iter().any(has_subquery) {
        return (input, conditions);
    }
    let rows = pass.rows(&input) * pass.all(&conditions.iter().collect::<Vec<_>>());
    for mut condition in conditions {
        if let Some((kind, subquery)) = membership(&condition) {
            match join_of(pass, kind, subquery, &input, rows) {
                Some((right, on)) => {
                    input = join(kind, input, right, on);
                    continue;
                }
                None => left.push(condition),
            }
        } else {
            values(pass, &mut input, rows, &mut condition);
            left.push(condition);
        }
    }
    (input, left)
}

fn has_subquery(expr: &Expr) -> bool {
    let mut found = false;
    for_subqueries(expr, &mut |_| found = true);
    found
}

/// Joins to the input what the correlated subqueries of an expression ask for, about `rows` times; the expression then reads
/// columns in their place.
pub(super) fn values(pass: &Pass<'_>, input: &mut Rel, rows: f64, expr: &mut Expr) {
    if !pass.is_rechecked() && has_subquery(expr) {
        replace(pass, input, rows, expr);
    }
}

fn replace(pass: &Pass<'_>, input: &mut Rel, rows: f64, expr: &mut Expr) {
    visit::deeper(|| {
        if let ExprKind::Subquery(subquery) = &mut expr.kind {
            let identity = produced(&subquery.rel);
            if let Some(value) = pass.value_of(&identity, &produced(input)) {
                *expr = value;
                return;
            }
            let found = match subquery.kind {
                SubqueryKind::Scalar => scalar(pass, subquery, input, rows),
                SubqueryKind::Exists => exists(pass, subquery, input, rows),
                SubqueryKind::Array | SubqueryKind::Quantified { .. } => None,
            };
            if let Some((right, on, value)) = found
                && keeps_order(input, &on)
            {
                attach(input, right, on);
                pass.note_value(identity, &value);
                *expr = value;
                return;
            }
        }
        // What is reached by few rows, or by none, is left where it is.
        match &mut expr.kind {
            ExprKind::Case { operand, arms, otherwise: _ } => {
                if let Some((_, operand)) = operand {
                    replace(pass, input, rows, operand);
                }
                if let Some((when, _)) = arms.first_mut() {
                    replace(pass, input, rows, when);
                }
            }
            ExprKind::Coalesce(args) => {
                if let Some(first) = args.first_mut() {
                    replace(pass, input, rows, first);
                }
            }
            _ => visit::expr_parts(expr, &mut |part| replace(pass, input, rows, part)),
        }
    });
}

fn join(kind: JoinKind, left: Rel, right: Rel, on: Vec<Expr>) -> Rel {
    Rel::Join { kind, left: Box::new(left), right: Box::new(right), on: all_of(on), lateral: false }
}

/// Whether [`attach`] leaves a relation's rows in the order that they have.
fn keeps_order(rel: &Rel, on: &[Expr]) -> bool {
    match rel {
        other if !is_sorted(other) => true,
        Rel::Sort { .. } => true,
        Rel::Limit { input, .. } => matches!(**input, Rel::Sort { .. }),
        Rel::Project { input, exprs } => {
            let own: ColumnSet = exprs.iter().map(|(column, _)| *column).collect();
            keeps_order(input, on) && !on.iter().any(|condition| used(condition).intersects(&own))
        }
        Rel::Filter { input, .. } => keeps_order(input, on),
        _ => false,
    }
}

/// Joins what has one row at most for each of a relation's rows. A join keeps no order: it goes below a sort, or what a sort and a
/// limit have chosen is sorted again.
fn attach(rel: &mut Rel, right: Rel, on: Vec<Expr>) {
    match rel {
        Rel::Sort { input, .. } => {
            let left = std::mem::replace(&mut **input, nothing());
            **input = join(JoinKind::Left, left, right, on);
            return;
        }
        Rel::Project { input, .. } | Rel::Filter { input, .. } if is_sorted(input) => return attach(input, right, on),
        _ => {}
    }
    let keys = match rel {
        Rel::Limit { input, .. } => match &**input {
            Rel::Sort { keys, .. } => keys.clone(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let left = std::mem::replace(rel, nothing());
    let joined = join(JoinKind::Left, left, right, on);
    *rel = if keys.is_empty() { joined } else { Rel::Sort { input: Box::new(joined), keys } };
}

/// A condition that is membership in a subquery, and the join that it is.
fn membership(condition: &Expr) -> Option<(JoinKind, &Subquery)> {
    match &condition.kind {
        ExprKind::Subquery(subquery) => match subquery.kind {
            SubqueryKind::Exists | SubqueryKind::Quantified { op: RowOp::Eq, all: false, .. } => {
                Some((JoinKind::Semi, subquery))
            }
            SubqueryKind::Quantified { op: RowOp::Ne, all: true, ref left, .. } if left.len() == 1 => {
                Some((JoinKind::Anti, subquery))
            }
            _ => None,
        },
        ExprKind::Not(inner) => match &inner.kind {
            ExprKind::Subquery(subquery) => match &subquery.kind {
                SubqueryKind::Exists => Some((JoinKind::Anti, subquery)),
                SubqueryKind::Quantified { op: RowOp::Eq, all: false, left, .. } if left.len() == 1 => {
                    Some((JoinKind::Anti, subquery))
                }
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// The right side and condition of the join that a membership test is; `None`: it stays a subquery.
fn join_of(pass: &Pass<'_>, kind: JoinKind, subquery: &Subquery, input: &Rel, rows: f64) -> Option<(Rel, Vec<Expr>)> {
    let outer = produced(input);
    let mut pulling = Pulling::of(pass, &subquery.rel, &outer, rows)?;
    pulling.set = true;
    // Where EXISTS has no columns, what its rows hold is not computed.
    pulling.safe = !subquery.columns.is_empty();
    let right = pulling.pull(subquery.rel.clone())?;
    let mut on = pulling.on;
    if let SubqueryKind::Quantified { left, compare, .. } = &subquery.kind {
        for ((left, column), function) in left.iter().zip(&subquery.columns).zip(compare) {
            let ty = match function.args {
                [_, right] => Type::new(*right),
                _ => return None,
            };
            if is_volatile(left) || !matches!(operator_of(function), Some(RowOp::Eq | RowOp::Ne)) {
                return None;
            }
            let right = Expr { kind: ExprKind::Column(*column), ty };
            let call = Call { function, args: vec![left.clone(), right.clone()] };
            let mut equal = Expr { kind: ExprKind::Call(call), ty: BOOL };
            if operator_of(function) == Some(RowOp::Ne) {
                equal = Expr { kind: ExprKind::Not(Box::new(equal)), ty: BOOL };
            }
            if kind == JoinKind::Semi {
                on.push(equal);
                continue;
            }
            if function.args.contains(&oid::RECORD) {
                return None;
            }
            // NOT IN: a row with which the comparison is unknown keeps the outer row out as well.
            let unknown = [right, left.clone()].map(|side| Expr { kind: ExprKind::IsNull(Box::new(side)), ty: BOOL });
            let any = std::iter::once(equal).chain(unknown).collect();
            on.push(Expr { kind: ExprKind::Or(any), ty: BOOL });
        }
    }
    Some((right, on))
}

/// A correlated relation on its way out of what it stands in.
struct Pulling<'a> {
    pass: &'a Pass<'a>,
    /// The columns that outer rows have.
    outer: &'a ColumnSet,
    /// How many outer rows there are thought to be.
    rows: f64,
    /// Only whether rows exist matters: order and duplicates may go.
    set: bool,
    /// What is computed for rows that no outer row asks for must not be able to raise an error. (Conditions may: they are
    /// tested where the rows are read, as PostgreSQL does.)
    safe: bool,
    /// The conditions that say which rows are whose.
    on: Vec<Expr>,
}

impl<'a> Pulling<'a> {
    /// `None`: the relation does not hang on these outer rows, or must not be moved.
    fn of(pass: &'a Pass<'a>, rel: &Rel, outer: &'a ColumnSet, rows: f64) -> Option<Pulling<'a>> {
        let mut locks = false;
        for_rels(rel, &mut |part| locks |= matches!(part, Rel::LockRows { .. } | Rel::Working { .. }));
        let moves = free_columns(rel).intersects(outer) && !locks && !rel_is_volatile(rel);
        moves.then(|| Pulling { pass, outer, rows, set: false, safe: true, on: Vec::new() })
    }

    fn hangs(&self, expr: &Expr) -> bool {
        used(expr).intersects(self.outer)
    }

    /// [`Self::pull`] of what is computed for order or duplicates.
    fn pull_safe(&mut self, rel: Rel) -> Option<Rel> {
        let safe = std::mem::replace(&mut self.safe, true);
        let pulled = self.pull(rel);
        self.safe = safe;
        pulled
    }

    /// Takes the conditions that name outer columns out of a relation; `None` when some cannot be taken out.
    fn pull(&mut self, rel: Rel) -> Option<Rel> {
        if !free_columns(&rel).intersects(self.outer) {
            return Some(rel);
        }
        match rel {
            Rel::Filter { input, predicate } => {
                let mut all = Vec::new();
                split(predicate, &mut all);
                let (mut taken, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|condition| self.hangs(condition));
                if !is_read(&input) && kept.iter().any(can_raise) {
                    return None;
                }
                let input = self.pull(*input)?;
                self.on.append(&mut taken);
                Some(filtered(input, kept))
            }
            Rel::Project { input, exprs } => {
                if exprs.iter().any(|(_, expr)| self.hangs(expr) || self.safe && can_raise(expr)) {
                    return None;
                }
                Some(Rel::Project { input: Box::new(self.pull(*input)?), exprs })
            }
            Rel::Join { kind: JoinKind::Inner, left, right, on, lateral: false } => {
                let left = self.pull(*left)?;
                let right = self.pull(*right)?;
                let mut all = Vec::new();
                split(on, &mut all);
                let (mut taken, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|condition| self.hangs(condition));
                self.on.append(&mut taken);
                Some(join(JoinKind::Inner, left, right, kept))
            }
            Rel::Join { kind: kind @ (JoinKind::Left | JoinKind::Semi | JoinKind::Anti), left, right, on, lateral } => {
                if self.hangs(&on) || free_columns(&right).intersects(self.outer) {
                    return None;
                }
                let left = Box::new(self.pull(*left)?);
                Some(Rel::Join { kind, left, right, on, lateral })
            }
            Rel::Sort { input, keys } if self.set => {
                if keys.iter().any(|key| can_raise(&key.expr)) {
                    return None;
                }
                self.pull_safe(*input)
            }
            // DISTINCT ON chooses among rows that differ.
            Rel::Distinct { input, on } if self.set && !matches!(*input, Rel::Sort { .. }) => {
                if on.iter().any(can_raise) {
                    return None;
                }
                self.pull_safe(*input)
            }
            Rel::Distinct { input, mut on } if !matches!(*input, Rel::Sort { .. }) => {
                if on.iter().any(|expr| self.hangs(expr) || can_raise(expr)) {
                    return None;
                }
                let (input, keys) = self.keyed(*input)?;
                let keys = keys.into_iter().map(|key| key.column);
                on.extend(keys);
                Some(Rel::Distinct { input: Box::new(input), on })
            }
            // Without keys of its own it gives a row for no rows as well.
            Rel::Aggregate { input, keys: own, sets: None, aggregates, groupings }
                if !own.is_empty() && groupings.is_empty() =>
            {
                if own.iter().any(|(_, key)| self.hangs(key) || can_raise(key))
                    || aggregates.iter().any(|(_, call)| self.hangs_call(call) || call_raises(call))
                {
                    return None;
                }
                let (input, keys) = self.keyed(*input)?;
                Some(grouped(input, keys, own, aggregates))
            }
            Rel::Limit { input, limit: Some(limit), offset, ties: None } if !self.set => {
                let ExprKind::Const(Datum::Int8(limit @ 0..)) = limit.kind else { return None };
                let offset = match offset.map(|offset| offset.kind) {
                    None | Some(ExprKind::Const(Datum::Null)) => 0,
                    Some(ExprKind::Const(Datum::Int8(offset))) if offset >= 0 => offset,
                    Some(_) => return None,
                };
                self.first_rows(*input, offset, limit).map(|(rel, _)| rel)
            }
            Rel::Window { input, mut partition, order, calls } if !self.set => {
                let refused = |expr: &Expr| self.hangs(expr) || can_raise(expr);
                let keys = partition.iter().chain(order.iter().map(|key| &key.expr));
                let mut args = calls.iter().flat_map(|(_, call)| call.args.iter().chain(&call.filter));
                if keys.chain(&mut args).any(refused) || calls.iter().any(|(_, call)| window_may_raise(call)) {
                    return None;
                }
                let (input, keys) = self.keyed(*input)?;
                partition.extend(keys.into_iter().map(|key| key.column));
                Some(Rel::Window { input: Box::new(input), partition, order, calls })
            }
            _ => None,
        }
    }

    fn hangs_call(&self, call: &AggregateCall) -> bool {
        let AggregateCall { function: _, name: _, direct, args, distinct: _, order, filter, ty: _ } = call;
        let order = order.iter().map(|key| &key.expr);
        direct.iter().chain(args).chain(filter).chain(order).any(|expr| self.hangs(expr))
    }

    /// Pulls a relation of which something is computed per outer row: its correlation must be equalities, and the inner columns
    /// in them say which rows belong together.
    fn keyed(&mut self, rel: Rel) -> Option<(Rel, Vec<Key>)> {
        let mut raises = false;
        for_rels(&rel, &mut |part| for_exprs(part, &mut |expr| raises |= can_raise(expr) && !self.hangs(expr)));
        if raises {
            return None;
        }
        let outside = std::mem::take(&mut self.on);
        let set = std::mem::replace(&mut self.set, false);
        let pulled = self.pull(rel);
        self.set = set;
        let on = std::mem::replace(&mut self.on, outside);
        let mut rel = pulled?;
        let mut keys: Vec<Key> = Vec::new();
        for condition in on {
            let ExprKind::Call(Call { function, mut args }) = condition.kind else { return None };
            let inner = match &args[..] {
                [a, b] if !self.hangs(a) && self.hangs(b) => 0,
                [a, b] if self.hangs(a) && !self.hangs(b) => 1,
                _ => return None,
            };
            let own = produced(&rel);
            let (inside, across) = (used(&args[inner]), used(&args[1 - inner]));
            if operator_of(function) != Some(RowOp::Eq)
                // A row value of NULLs is found, and is NULL.
                || function.args.contains(&oid::RECORD)
                || across.intersects(&own)
                || inside.is_empty()
                || !inside.is_subset(&own)
                || args.iter().any(can_raise)
            {
                return None;
            }
            let function = alike(function, &mut args)?;
            let of = under(&args[inner]);
            let column = match args[inner].kind {
                ExprKind::Column(_) => args[inner].clone(),
                _ => {
                    let ty = args[inner].ty;
                    let column = self.pass.column(ty);
                    let key = Expr { kind: ExprKind::Column(column), ty };
                    let computed = std::mem::replace(&mut args[inner], key.clone());
                    rel = Rel::Project { input: Box::new(rel), exprs: vec![(column, computed)] };
                    key
                }
            };
            self.on.push(Expr { kind: ExprKind::Call(Call { function, args }), ty: condition.ty });
            if !keys.iter().any(|other| plain_column(&other.column) == plain_column(&column)) {
                keys.push(Key { column, of });
            }
        }
        let worth = !keys.is_empty() && self.is_worth(&rel, &keys);
        worth.then_some((rel, keys))
    }

    /// Whether computing all groups beats looking up those that are asked for.
    fn is_worth(&self, rel: &Rel, keys: &[Key]) -> bool {
        let indexed = keys.iter().any(|key| has_index(rel, key.of));
        !indexed || self.rows >= MANY_ROWS && self.rows * LOOKUP_ROWS > self.pass.rows(rel)
    }

    /// For every outer row the rows from `offset` on, `limit` at most; and the column of their numbers, from 1.
    fn first_rows(&mut self, rel: Rel, offset: i64, limit: i64) -> Option<(Rel, Expr)> {
        let (input, order) = match rel {
            Rel::Sort { input, keys } => (*input, keys),
            other => (other, Vec::new()),
        };
        if order.iter().any(|key| self.hangs(&key.expr) || can_raise(&key.expr)) {
            return None;
        }
        let (input, keys) = self.keyed(input)?;
        let number = Expr { kind: ExprKind::Column(self.pass.column(INT8)), ty: INT8 };
        let call = WindowCall {
            function: ROW_NUMBER,
            name: "row_number",
            aggregate: false,
            args: Vec::new(),
            filter: None,
            frame: Frame {
                unit: FrameUnit::Range,
                start: FrameBound::UnboundedPreceding,
                end: FrameBound::CurrentRow,
                exclude: FrameExclude::NoOthers,
            },
            ty: INT8,
        };
        let calls = vec![(plain_column(&number)?, call)];
        let partition = keys.into_iter().map(|key| key.column).collect();
        let numbered = Rel::Window { input: Box::new(input), partition, order, calls };
        let mut conditions = vec![compared(&number, "<=", offset.saturating_add(limit))?];
        if offset > 0 {
            conditions.push(compared(&number, ">", offset)?);
        }
        Some((filtered(numbered, conditions), number))
    }
}

/// An inner value that the correlation equates with an outer one.
struct Key {
    /// Its column.
    column: Expr,
    /// The column that it is of another type; `None`: it is computed.
    of: Option<ColumnId>,
}

/// An equality whose sides have one type, as a hash table asks for them: of two integers the shorter is made as long.
fn alike(function: &'static Function, args: &mut [Expr]) -> Option<&'static Function> {
    if function.args[0] == function.args[1] {
        return Some(function);
    }
    for arg in args {
        let widening = match arg.ty.oid {
            oid::INT2 => INT8_OF_INT2,
            oid::INT4 => INT8_OF_INT4,
            oid::INT8 => continue,
            _ => return None,
        };
        let function = builtin::function_by_oid(widening)?;
        let narrow = std::mem::replace(arg, Expr { kind: ExprKind::Const(Datum::Null), ty: INT8 });
        *arg = Expr { kind: ExprKind::Call(Call { function, args: vec![narrow] }), ty: INT8 };
    }
    builtin::comparison("=", oid::INT8)
}

/// The column that an expression is, by another type's name or as a longer integer.
fn under(expr: &Expr) -> Option<ColumnId> {
    match &expr.kind {
        ExprKind::Column(column) => Some(*column),
        ExprKind::Relabel(arg) => under(arg),
        ExprKind::Call(Call { function, args }) if matches!(function.oid, INT8_OF_INT2 | INT8_OF_INT4) => {
            under(args.first()?)
        }
        _ => None,
    }
}

/// Whether rows are read by a relation, or joined: PostgreSQL tests conditions there.
fn is_read(rel: &Rel) -> bool {
    matches!(rel, Rel::Scan { .. } | Rel::Join { .. })
}

/// Whether an aggregate may end in an error, but for sums beyond all bounds.
fn call_raises(call: &AggregateCall) -> bool {
    let AggregateCall { function: _, name, direct, args, distinct: _, order, filter, ty: _ } = call;
    let order = order.iter().map(|key| &key.expr);
    aggregate::may_raise(name, args.iter().map(|arg| arg.ty))
        || direct.iter().chain(args).chain(filter).chain(order).any(can_raise)
}

/// Outer rows from which computing all groups may beat looking them up by an index.
const MANY_ROWS: f64 = 1000.0;
/// Rows that are read in passing in the time of one look-up.
const LOOKUP_ROWS: f64 = 4.0;

fn compared(left: &Expr, operator: &str, right: i64) -> Option<Expr> {
    let function = builtin::comparison(operator, oid::INT8)?;
    let right = Expr { kind: ExprKind::Const(Datum::Int8(right)), ty: INT8 };
    Some(Expr { kind: ExprKind::Call(Call { function, args: vec![left.clone(), right] }), ty: BOOL })
}

/// A grouping by `keys`, whose columns keep their numbers: above it they mean the same; and by keys of its own.
fn grouped(input: Rel, keys: Vec<Key>, own: Vec<(ColumnId, Expr)>, aggregates: Vec<(ColumnId, AggregateCall)>) -> Rel {
    let keys = keys.into_iter().filter_map(|key| Some((plain_column(&key.column)?, key.column)));
    let keys = keys.chain(own).collect();
    Rel::Aggregate { input: Box::new(input), keys, sets: None, aggregates, groupings: Vec::new() }
}

/// `EXISTS` as a value: what to join, how, and the value.
fn exists(pass: &Pass<'_>, subquery: &Subquery, input: &Rel, rows: f64) -> Option<(Rel, Vec<Expr>, Expr)> {
    let outer = produced(input);
    let mut pulling = Pulling::of(pass, &subquery.rel, &outer, rows)?;
    let (rel, keys) = pulling.keyed(subquery.rel.clone())?;
    let found = Expr { kind: ExprKind::IsNotNull(Box::new(keys.first()?.column.clone())), ty: BOOL };
    Some((grouped(rel, keys, Vec::new(), Vec::new()), pulling.on, found))
}

/// A scalar subquery: what to join, how, and the value.
fn scalar(pass: &Pass<'_>, subquery: &Subquery, input: &Rel, rows: f64) -> Option<(Rel, Vec<Expr>, Expr)> {
    let outer = produced(input);
    let mut pulling = Pulling::of(pass, &subquery.rel, &outer, rows)?;
    let mut rel = subquery.rel.clone();
    let column = *subquery.columns.first()?;
    let ty = pass.ty(column)?;
    let mut value = Expr { kind: ExprKind::Column(column), ty };
    let mut having = Vec::new();
    loop {
        rel = match rel {
            Rel::Project { input, exprs } => {
                if exprs.iter().any(|(_, expr)| has_subquery(expr)) {
                    return None;
                }
                for (column, expr) in exprs.into_iter().rev() {
                    let by = |other| (other == column).then(|| expr.clone());
                    substitute(&mut value, &by);
                    having.iter_mut().for_each(|condition| substitute(condition, &by));
                }
                *input
            }
            Rel::Filter { input, predicate } if is_total(&input) => {
                if has_subquery(&predicate) {
                    return None;
                }
                // The innermost is tested first.
                let mut conditions = Vec::new();
                split(predicate, &mut conditions);
                conditions.append(&mut having);
                having = conditions;
                *input
            }
            other => break rel = other,
        }
    }
    match rel {
        Rel::Aggregate { input, keys: own, sets: None, aggregates, groupings }
            if own.is_empty() && groupings.is_empty() =>
        {
            let stays = |call: &AggregateCall| pulling.hangs_call(call) || call_raises(call) || !call.direct.is_empty();
            if aggregates.iter().any(|(_, call)| stays(call)) {
                return None;
            }
            let (input, keys) = pulling.keyed(*input)?;
            let of_empty = |column: ColumnId| {
                let (_, call) = aggregates.iter().find(|(own, _)| *own == column)?;
                of_empty(column, call)
            };
            substitute(&mut value, &of_empty);
            having.iter_mut().for_each(|condition| substitute(condition, &of_empty));
            if !having.is_empty() {
                let when = all_of(having);
                value = Expr { kind: ExprKind::Case { operand: None, arms: vec![(when, value)], otherwise: None }, ty };
            }
            Some((grouped(input, keys, Vec::new(), aggregates), pulling.on, value))
        }
        Rel::Limit { input, limit: Some(limit), offset: None, ties: None }
            if having.is_empty() && matches!(limit.kind, ExprKind::Const(Datum::Int8(1))) =>
        {
            let (rel, number) = pulling.first_rows(*input, 0, 1)?;
            Some((rel, pulling.on, where_found(number, value)))
        }
        rel if having.is_empty() => {
            let (rel, keys) = pulling.keyed(rel)?;
            if !is_one_per_key(&rel, &keys) {
                return None;
            }
            let found = keys.first()?.column.clone();
            Some((rel, pulling.on, where_found(found, value)))
        }
        _ => None,
    }
}

/// NULL where the outer join found nothing.
fn where_found(found: Expr, value: Expr) -> Expr {
    let ty = value.ty;
    let when = Expr { kind: ExprKind::IsNotNull(Box::new(found)), ty: BOOL };
    Expr { kind: ExprKind::Case { operand: None, arms: vec![(when, value)], otherwise: None }, ty }
}

/// Whether a relation is a grouping without keys, filtered or computed from.
fn is_total(rel: &Rel) -> bool {
    match rel {
        Rel::Aggregate { keys, sets, .. } => keys.is_empty() && sets.is_none(),
        Rel::Project { input, .. } | Rel::Filter { input, .. } => is_total(input),
        _ => false,
    }
}

/// An aggregate's value where an outer join may have found no group: that of no rows.
fn of_empty(column: ColumnId, call: &AggregateCall) -> Option<Expr> {
    if !matches!(call.name, "count" | "regr_count") {
        return None;
    }
    let counted = Expr { kind: ExprKind::Column(column), ty: call.ty };
    let none = Expr { kind: ExprKind::Const(Datum::Int8(0)), ty: INT8 };
    Some(Expr { kind: ExprKind::Coalesce(vec![counted, none]), ty: call.ty })
}

/// Whether a relation has at most one row for each value of the keys.
fn is_one_per_key(rel: &Rel, keys: &[Key]) -> bool {
    match rel {
        // Computes keys.
        Rel::Project { input, .. } | Rel::Filter { input, .. } => is_one_per_key(input, keys),
        Rel::Scan { relation, columns } => is_unique(relation, columns, keys),
        _ => false,
    }
}

fn is_unique(relation: &Relation, columns: &[(ScanColumn, ColumnId)], keys: &[Key]) -> bool {
    let is_key = |attribute: i16| {
        let column = columns.iter().find(|(what, _)| *what == ScanColumn::Attribute(attribute));
        column.is_some_and(|(_, column)| keys.iter().any(|key| key.of == Some(*column)))
    };
    relation.indexes.iter().any(|index| {
        let whole = index.unique && !index.deferrable && index.predicate.is_none();
        whole && index.keys.iter().all(|key| key.attribute > 0 && is_key(key.attribute))
    })
}

/// A LATERAL item as a plain one, where it can be: the join with what it gives for all outer rows.
/// `limited`: few of its rows are wanted.
pub(super) fn lateral(pass: &Pass<'_>, rel: Rel, limited: bool) -> Rel {
    let Rel::Join { kind: kind @ (JoinKind::Inner | JoinKind::Left), left, right, on, lateral: true } = rel else {
        return rel;
    };
    let rows = if limited { LIMITED_ROWS } else { pass.rows(&left) };
    match lateral_parts(pass, kind, (&left, rows), &right, &on) {
        Some((kind, right, conditions, above)) => {
            let joined = join(kind, *left, right, conditions);
            above.into_iter().fold(joined, |input, exprs| Rel::Project { input: Box::new(input), exprs })
        }
        None => Rel::Join { kind, left, right, on, lateral: true },
    }
}

type Projections = Vec<Vec<(ColumnId, Expr)>>;

/// How to join a LATERAL item: the kind, the right side, the conditions, and what is computed above, lowest first.
fn lateral_parts(
    pass: &Pass<'_>,
    kind: JoinKind,
    (left, rows): (&Rel, f64),
    right: &Rel,
    on: &Expr,
) -> Option<(JoinKind, Rel, Vec<Expr>, Projections)> {
    if pass.is_rechecked() || is_volatile(on) || is_sorted(left) {
        return None;
    }
    let outer = produced(left);
    let mut pulling = Pulling::of(pass, right, &outer, rows)?;
    let mut conditions = Vec::new();
    split(on.clone(), &mut conditions);
    let mut rel = right.clone();
    if is_total(&rel) {
        // One row for every outer row, whatever there is.
        if !conditions.is_empty() {
            return None;
        }
        let mut above = Vec::new();
        while let Rel::Project { input, exprs } = rel {
            above.push(exprs);
            rel = *input;
        }
        let Rel::Aggregate { input, aggregates, groupings, .. } = rel else { return None };
        let stays = |call: &AggregateCall| pulling.hangs_call(call) || call_raises(call) || !call.direct.is_empty();
        if !groupings.is_empty() || aggregates.iter().any(|(_, call)| stays(call)) {
            return None;
        }
        let (input, keys) = pulling.keyed(*input)?;
        // A count is computed by another number and gets its own above the join.
        let mut counts = Vec::new();
        let aggregates = aggregates.into_iter().map(|(column, call)| match of_empty(column, &call) {
            None => (column, call),
            Some(_) => {
                let inner = pass.column(call.ty);
                counts.extend(of_empty(inner, &call).map(|value| (column, value)));
                (inner, call)
            }
        });
        let right = grouped(input, keys, Vec::new(), aggregates.collect());
        above.push(counts);
        above.reverse();
        return Some((JoinKind::Left, right, pulling.on, above));
    }
    // Computed above an inner join, it may read the outer row.
    let mut above = Vec::new();
    while kind == JoinKind::Inner
        && let Rel::Project { input, exprs } = rel
    {
        above.push(exprs);
        rel = *input;
    }
    above.reverse();
    let own: ColumnSet = above.iter().flatten().map(|(column, _)| *column).collect();
    if conditions.iter().any(|condition| used(condition).intersects(&own)) {
        return None;
    }
    let right = pulling.pull(rel)?;
    conditions.append(&mut pulling.on);
    Some((kind, right, conditions, above))
}

/// Whether some index begins with a column; with something computed, if it is none.
fn has_index(rel: &Rel, column: Option<ColumnId>) -> bool {
    if let Rel::Scan { relation, columns } = rel {
        let attribute = column.map(|column| {
            columns.iter().find_map(|(what, id)| match what {
                ScanColumn::Attribute(number) if *id == column => Some(*number),
                _ => None,
            })
        });
        // An attribute of 0 is an expression's.
        let Some(attribute) = attribute.unwrap_or(Some(0)) else { return false };
        return relation
            .indexes
            .iter()
            .any(|index| index.predicate.is_none() && index.keys.first().is_some_and(|k| k.attribute == attribute));
    }
    columns::inputs(rel).into_iter().any(|input| has_index(input, column))
}
