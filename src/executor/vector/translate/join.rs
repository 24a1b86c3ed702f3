//! Joins, and IN subqueries that become joins.

use super::super::expression::{Translated, call, can_raise};
use super::super::functions::OrderKey;
use super::super::watch::{Cancel, Watched};
use super::{Refused, Result, Translator};
use crate::executor::row::expr::operator_of;
use crate::sql::columns::{ColumnSet, conjuncts, free_columns, produced_in, used_by};
use crate::sql::tree::{Call, ColumnId, Expr, ExprKind, JoinKind, Rel, RowOp, Subquery, SubqueryKind};
use datafusion::common::{Column, JoinType, NullEquality};
use datafusion::logical_expr::{Expr as DfExpr, JoinConstraint, LogicalPlan, LogicalPlanBuilder, logical_plan};
use std::sync::Arc;

impl Translator<'_> {
    /// `x IN (subquery)` and `x NOT IN (subquery)` as conjuncts: joins of the plan so far, which is of `input`.
    pub(super) fn membership(&mut self, condition: &Expr, input: &Rel, plan: &mut LogicalPlan) -> Result<bool> {
        let (subquery, negated) = match &condition.kind {
            ExprKind::Subquery(subquery) => (subquery, false),
            ExprKind::Not(inner) => match &inner.kind {
                ExprKind::Subquery(subquery) => (subquery, true),
                _ => return Ok(false),
            },
            _ => return Ok(false),
        };
        let Subquery { rel, columns, kind: SubqueryKind::Quantified { left, compare, equal: _, op, all } } =
            &**subquery
        else {
            return Ok(false);
        };
        let anti = match (op, all, negated) {
            (RowOp::Eq, false, negated) => negated,
            (RowOp::Ne, true, false) => true,
            _ => return Ok(false),
        };
        if !free_columns(rel).is_empty() || anti && left.len() != 1 {
            return Ok(false);
        }
        let equality = |function: &crate::executor::functions::Function| {
            matches!(operator_of(function), Some(RowOp::Eq | RowOp::Ne))
        };
        if !compare.iter().all(|function| equality(function)) {
            return Ok(false);
        }
        let own = columns.iter().copied().collect();
        // NOT IN asks of all that it has met whether one was NULL: its table is that of the rows that ask.
        let build = if anti { Build::Left } else { self.build(input, rel) };
        let right =
            self.with_streaming(self.streaming && build == Build::Left, |translator| translator.rel(rel, &own))?;
        let mut on = Vec::new();
        let values: Vec<Expr> = columns.iter().map(|column| self.column_expr(*column)).collect();
        for (left, right) in left.iter().zip(&values) {
            let (left, right) = (self.expr(left)?, self.expr(right)?);
            on.push(self.equated(left, right).ok_or_else(|| Refused::because("IN over types without a common form"))?);
        }
        let right = self.once_each(rel, &values.iter().collect::<Vec<_>>(), right, &mut on)?;
        let kind = if anti { JoinType::LeftAnti } else { JoinType::LeftSemi };
        let taken = std::mem::replace(plan, LogicalPlanBuilder::empty(false).build()?);
        *plan = joined((taken, right), build, on, None, kind, NullEquality::NullEqualsNothing, anti)?;
        Ok(true)
    }

    pub(super) fn join(
        &mut self,
        kind: JoinKind,
        left: &Rel,
        right: &Rel,
        on: &Expr,
        needed: &ColumnSet,
    ) -> Result<LogicalPlan> {
        let (mut of_left, mut of_right) = (ColumnSet::new(), ColumnSet::new());
        produced_in(left, &mut of_left);
        produced_in(right, &mut of_right);
        let build = self.build(left, right);
        let left =
            self.with_streaming(self.streaming && build == Build::Right, |translator| translator.rel(left, needed))?;
        let right_plan =
            self.with_streaming(self.streaming && build == Build::Left, |translator| translator.rel(right, needed))?;
        let (mut keys, mut values, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for condition in conjuncts(on) {
            match self.join_key(condition, &of_left, &of_right)? {
                Some((pair, value)) => {
                    keys.push(pair);
                    values.push(value);
                }
                None => rest.push(condition),
            }
        }
        let right_plan = match kind {
            JoinKind::Semi | JoinKind::Anti if rest.is_empty() && !keys.is_empty() => {
                self.once_each(right, &values, right_plan, &mut keys)?
            }
            _ => right_plan,
        };
        let filter = self.condition(&rest)?.map(|filter| call(Watched::new(Cancel::of(&self.ctx)), vec![filter]));
        let kind = match kind {
            JoinKind::Inner => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            JoinKind::Right => JoinType::Right,
            JoinKind::Full => JoinType::Full,
            JoinKind::Semi => JoinType::LeftSemi,
            JoinKind::Anti => JoinType::LeftAnti,
        };
        let plan = joined((left, right_plan), build, keys, filter, kind, NullEquality::NullEqualsNothing, false)?;
        let columns: Vec<DfExpr> = plan
            .schema()
            .columns()
            .into_iter()
            .filter(|column| {
                column.name.strip_prefix('c').and_then(|n| n.parse().ok()).is_some_and(|n| needed.contains(ColumnId(n)))
            })
            .map(DfExpr::Column)
            .collect();
        if columns.len() == plan.schema().fields().len() {
            return Ok(plan);
        }
        Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
    }

    /// The smaller one. What is joined already has been put to the left by whoever ordered the joins, and its estimate is worth
    /// less than a table's: against it only what is far smaller is gathered, for a table that is read afterwards is read for the
    /// keys that were met alone. Where keys and groups say how many rows a join can give at most, it counts as between that and its
    /// estimate.
    fn build(&self, left: &Rel, right: &Rel) -> Build {
        let rows = self.sizes.rows(left);
        let least = match (is_table(left), is_table(right)) {
            (true, true) => self.sizes.rows(right),
            (true, false) => {
                let rows = self.sizes.rows(right);
                (rows * UNSURE).min((rows * self.sizes.most_rows(right)).sqrt())
            }
            (false, _) => self.sizes.rows(right) * UNSURE,
        };
        if least < rows { Build::Right } else { Build::Left }
    }

    /// Two values of one type as a join's keys.
    pub(super) fn equated(&self, left: Translated, right: Translated) -> Option<(DfExpr, DfExpr)> {
        if let Some(pair) = self.comparable(left.clone(), right.clone()) {
            return Some(pair);
        }
        let key = |part: Translated| call(OrderKey::new(part.form, Cancel::of(&self.ctx)), vec![part.expr]);
        (left.form.oid() == right.form.oid()).then(|| (key(left), key(right)))
    }

    /// What a semi or anti join is asked of: each of the right side's `values`, which are those of `on`, once if it has them many
    /// times. DataFusion meets every pair of equal ones.
    fn once_each(
        &mut self,
        rel: &Rel,
        values: &[&Expr],
        plan: LogicalPlan,
        on: &mut [(DfExpr, DfExpr)],
    ) -> Result<LogicalPlan> {
        let rows = self.sizes.rows(rel);
        if self.sizes.distinct(values, rows) * REPEATED > rows {
            return Ok(plan);
        }
        self.tables += 1;
        let mut keys = Vec::new();
        for (at, (_, value)) in on.iter_mut().enumerate() {
            let name = format!("o{}_{at}", self.tables);
            let column = DfExpr::Column(Column::new_unqualified(&name));
            keys.push(std::mem::replace(value, column).alias(name));
        }
        let none: Vec<DfExpr> = Vec::new();
        Ok(LogicalPlanBuilder::from(plan).aggregate(keys, none)?.build()?)
    }

    /// An equality of one side's value with the other's, and the right one.
    fn join_key<'e>(
        &self,
        condition: &'e Expr,
        left: &ColumnSet,
        right: &ColumnSet,
    ) -> Result<Option<((DfExpr, DfExpr), &'e Expr)>> {
        let ExprKind::Call(Call { function, args }) = &condition.kind else { return Ok(None) };
        let [a, b] = &args[..] else { return Ok(None) };
        if operator_of(function) != Some(RowOp::Eq) || can_raise(a) || can_raise(b) {
            return Ok(None);
        }
        let side = |expr: &Expr, of: &ColumnSet| {
            let mut used = ColumnSet::new();
            used_by(expr, &mut used);
            !used.is_empty() && used.is_subset(of)
        };
        let (a, b) = match (side(a, left) && side(b, right), side(a, right) && side(b, left)) {
            (true, _) => (a, b),
            (_, true) => (b, a),
            _ => return Ok(None),
        };
        Ok(self.equated(self.expr(a)?, self.expr(b)?).map(|pair| (pair, b)))
    }
}

/// Rows of one value from which on a semi join is asked of each value once.
const REPEATED: f64 = 16.0;

/// How many times smaller what is gathered has to be thought, where an estimate is one of a join.
const UNSURE: f64 = 8.0;

/// Whether a relation is what conditions leave of one table.
fn is_table(rel: &Rel) -> bool {
    match rel {
        Rel::Scan { .. } => true,
        Rel::Filter { input, .. } | Rel::Project { input, .. } => is_table(input),
        _ => false,
    }
}

/// Which input is gathered before the other is read. DataFusion gathers the left one, and would guess again which that should
/// be, from less than the planner knows: it may not (`rules`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Build {
    Left,
    Right,
}

pub(super) fn joined(
    (left, right): (LogicalPlan, LogicalPlan),
    build: Build,
    on: Vec<(DfExpr, DfExpr)>,
    filter: Option<DfExpr>,
    kind: JoinType,
    nulls: NullEquality,
    null_aware: bool,
) -> Result<LogicalPlan> {
    let (left, right, on, kind) = match build {
        Build::Left => (left, right, on, kind),
        Build::Right => (right, left, on.into_iter().map(|(left, right)| (right, left)).collect(), kind.swap()),
    };
    let join = logical_plan::Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        filter,
        kind,
        JoinConstraint::On,
        nulls,
        null_aware,
    )?;
    Ok(LogicalPlan::Join(join))
}
