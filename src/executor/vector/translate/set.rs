//! Set operations.

use super::super::expression::name;
use super::super::form::Form;
use super::join::{Build, joined};
use super::{Refused, Result, Translator};
use crate::sql::tree::{ColumnId, Rel};
use datafusion::common::{JoinType, NullEquality};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};

impl Translator<'_> {
    pub(super) fn union(
        &mut self,
        all: bool,
        left: (&Rel, &[ColumnId]),
        right: (&Rel, &[ColumnId]),
        columns: &[ColumnId],
    ) -> Result<LogicalPlan> {
        let streaming = self.streaming && all;
        self.with_streaming(streaming, |translator| translator.united(all, left, right, columns))
    }

    fn united(
        &mut self,
        all: bool,
        left: (&Rel, &[ColumnId]),
        right: (&Rel, &[ColumnId]),
        columns: &[ColumnId],
    ) -> Result<LogicalPlan> {
        let mut plans = Vec::new();
        let mut forms: Vec<Vec<Form>> = Vec::new();
        for (rel, own) in [left, right] {
            let plan = self.rel(rel, &own.iter().copied().collect())?;
            let mut exprs = Vec::new();
            let mut own_forms = Vec::new();
            for (own, out) in own.iter().zip(columns) {
                let translated = self.expr(&self.column_expr(*own))?;
                own_forms.push(translated.form);
                exprs.push(translated.expr.alias(name(*out)));
            }
            plans.push(LogicalPlanBuilder::from(plan).project(exprs)?.build()?);
            forms.push(own_forms);
        }
        for ((column, a), b) in columns.iter().zip(&forms[0]).zip(&forms[1]) {
            if !a.reads_as(*b) {
                return Err(Refused::because("UNION of two forms of a type"));
            }
            self.forms.insert(*column, *a);
        }
        let right = plans.pop().ok_or_else(|| Refused::because("UNION"))?;
        let left = plans.pop().ok_or_else(|| Refused::because("UNION"))?;
        let plan = LogicalPlanBuilder::from(left).union(right)?.build()?;
        if all {
            return Ok(plan);
        }
        let mut keys = Vec::new();
        for column in columns {
            keys.push((*column, self.expr(&self.column_expr(*column))?));
        }
        self.grouped(plan, keys, Vec::new())
    }

    /// INTERSECT and EXCEPT: the left side's distinct rows with an equal one on the right, or without; NULL equals NULL.
    pub(super) fn matched(
        &mut self,
        anti: bool,
        left: (&Rel, &[ColumnId]),
        right: (&Rel, &[ColumnId]),
        columns: &[ColumnId],
    ) -> Result<LogicalPlan> {
        self.with_streaming(false, |translator| translator.matched_inner(anti, left, right, columns))
    }

    fn matched_inner(
        &mut self,
        anti: bool,
        (left, left_columns): (&Rel, &[ColumnId]),
        (right, right_columns): (&Rel, &[ColumnId]),
        columns: &[ColumnId],
    ) -> Result<LogicalPlan> {
        let left = self.rel(left, &left_columns.iter().copied().collect())?;
        let mut keys = Vec::new();
        for (own, out) in left_columns.iter().zip(columns) {
            keys.push((*out, self.expr(&self.column_expr(*own))?));
        }
        let left = self.grouped(left, keys, Vec::new())?;
        let right = self.rel(right, &right_columns.iter().copied().collect())?;
        let mut on = Vec::new();
        for (out, own) in columns.iter().zip(right_columns) {
            let (left, right) = (self.expr(&self.column_expr(*out))?, self.expr(&self.column_expr(*own))?);
            match self.equated(left, right) {
                Some(pair) => on.push(pair),
                None => return Err(Refused::because("a set operation over types without a common form")),
            }
        }
        let kind = if anti { JoinType::LeftAnti } else { JoinType::LeftSemi };
        joined((left, right), Build::Left, on, None, kind, NullEquality::NullEqualsNull, false)
    }
}
