//! Set operations.

use super::super::expression::name;
use super::super::form::Form;
use super::{Refused, Result, Translator};
use crate::sql::tree::{ColumnId, Rel};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};

impl Translator<'_> {
    pub(super) fn union(
        &mut self,
        all: bool,
        left: (&Rel, &[ColumnId]),
        right: (&Rel, &[ColumnId]),
        columns: &[ColumnId],
    ) -> Result<LogicalPlan> {
        let streaming = self.streaming;
        self.streaming = streaming && all;
        let united = self.united(all, left, right, columns);
        self.streaming = streaming;
        united
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
}
