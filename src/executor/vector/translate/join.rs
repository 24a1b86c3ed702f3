//! Joins, and IN subqueries that become joins.

use super::super::expression::{Translated, call, can_raise};
use super::super::functions::OrderKey;
use super::super::watch::{Cancel, Watched};
use super::{Refused, Result, Translator, conjuncts};
use crate::executor::row::expr::operator_of;
use crate::sql::columns::{ColumnSet, free_columns, produced_in, used_by};
use crate::sql::tree::{Call, ColumnId, Expr, ExprKind, JoinKind, Rel, RowOp, Subquery, SubqueryKind};
use datafusion::common::{JoinType, NullEquality};
use datafusion::logical_expr::{Expr as DfExpr, JoinConstraint, LogicalPlan, LogicalPlanBuilder, logical_plan};
use std::sync::Arc;

impl Translator<'_> {
    /// `x IN (subquery)` and `x NOT IN (subquery)` as conjuncts: joins of the plan so far.
    pub(super) fn membership(&mut self, condition: &Expr, plan: &mut LogicalPlan) -> Result<bool> {
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
        let right = self.with_streaming(false, |translator| translator.rel(rel, &own))?;
        let mut on = Vec::new();
        for (left, column) in left.iter().zip(columns) {
            let left = self.expr(left)?;
            let right = self.expr(&self.column_expr(*column))?;
            on.push(self.equated(left, right).ok_or_else(|| Refused::because("IN over types without a common form"))?);
        }
        let kind = if anti { JoinType::LeftAnti } else { JoinType::LeftSemi };
        let taken = std::mem::replace(plan, LogicalPlanBuilder::empty(false).build()?);
        *plan = joined(taken, right, on, None, kind, NullEquality::NullEqualsNothing, anti)?;
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
        let left = self.rel(left, needed)?;
        let right = self.with_streaming(false, |translator| translator.rel(right, needed))?;
        let (mut keys, mut rest) = (Vec::new(), Vec::new());
        for condition in conjuncts(on) {
            match self.join_key(condition, &of_left, &of_right)? {
                Some(pair) => keys.push(pair),
                None => rest.push(condition),
            }
        }
        let filter = self.condition(&rest)?.map(|filter| call(Watched::new(Cancel::of(&self.ctx)), vec![filter]));
        let kind = match kind {
            JoinKind::Inner => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            JoinKind::Right => JoinType::Right,
            JoinKind::Full => JoinType::Full,
            JoinKind::Semi => JoinType::LeftSemi,
            JoinKind::Anti => JoinType::LeftAnti,
        };
        let plan = joined(left, right, keys, filter, kind, NullEquality::NullEqualsNothing, false)?;
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

    /// Two values of one type as a join's keys.
    pub(super) fn equated(&self, left: Translated, right: Translated) -> Option<(DfExpr, DfExpr)> {
        if let Some(pair) = self.comparable(left.clone(), right.clone()) {
            return Some(pair);
        }
        let key = |part: Translated| call(OrderKey::new(part.form, Cancel::of(&self.ctx)), vec![part.expr]);
        (left.form.oid() == right.form.oid()).then(|| (key(left), key(right)))
    }

    /// An equality of one side's value with the other's.
    fn join_key(&self, condition: &Expr, left: &ColumnSet, right: &ColumnSet) -> Result<Option<(DfExpr, DfExpr)>> {
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
        let (a, b) = (self.expr(a)?, self.expr(b)?);
        Ok(self.equated(a, b))
    }
}

pub(super) fn joined(
    left: LogicalPlan,
    right: LogicalPlan,
    on: Vec<(DfExpr, DfExpr)>,
    filter: Option<DfExpr>,
    kind: JoinType,
    nulls: NullEquality,
    null_aware: bool,
) -> Result<LogicalPlan> {
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
