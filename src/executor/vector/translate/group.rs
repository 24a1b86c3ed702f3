//! Grouping: GROUP BY, DISTINCT, and the aggregate calls.

use super::super::aggregate::Sum;
use super::super::expression::{Translated, can_raise, name};
use super::super::first::First;
use super::super::form::Form;
use super::super::whole::{RowAggregate, hangs_on_order};
use super::{Refused, Result, Translator};
use crate::sql::columns::{ColumnSet, produced_in};
use crate::sql::tree::{AggregateCall, ColumnId, Expr, ExprKind, Rel};
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::bool_and_or::{bool_and_udaf, bool_or_udaf};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{AggregateUDF, Case, Expr as DfExpr, LogicalPlan, LogicalPlanBuilder};
use std::sync::Arc;

impl Translator<'_> {
    pub(super) fn aggregate(
        &mut self,
        input: &Rel,
        keys: &[(ColumnId, Expr)],
        aggregates: &[(ColumnId, AggregateCall)],
        needed: &ColumnSet,
    ) -> Result<LogicalPlan> {
        self.with_streaming(false, |translator| {
            let plan = translator.rel(input, needed)?;
            let mut group = Vec::new();
            for (column, key) in keys {
                group.push((*column, translator.expr(key)?));
            }
            let mut calls = Vec::new();
            for (column, call) in aggregates {
                let (expr, form) = translator.aggregate_call(call)?;
                calls.push((*column, expr, form));
            }
            translator.grouped(plan, group, calls)
        })
    }

    /// One row for each group of equal keys.
    pub(super) fn grouped(
        &mut self,
        plan: LogicalPlan,
        keys: Vec<(ColumnId, Translated)>,
        calls: Vec<(ColumnId, DfExpr, Form)>,
    ) -> Result<LogicalPlan> {
        let (mut group, mut values) = (Vec::new(), Vec::new());
        for (column, key) in keys {
            self.forms.insert(column, key.form);
            if key.form.is_ordered() {
                group.push(key.expr.alias(name(column)));
            } else {
                // Equal values may have several texts: grouped by what is equal, shown as the one that came first.
                group.push(self.key(key.clone()).alias(format!("k{}", column.0)));
                // Beside count(DISTINCT x) any will do, of an aggregate that SingleDistinctToGroupBy knows.
                let first = match calls.iter().any(|(_, call, _)| is_distinct(call)) {
                    true => min_udaf(),
                    false => Arc::new(AggregateUDF::from(First::new(key.form.arrow()))),
                };
                values.push(call_of(first, vec![key.expr], false, None).alias(name(column)));
            }
        }
        for (column, call, form) in calls {
            self.forms.insert(column, form);
            values.push(call.alias(name(column)));
        }
        Ok(LogicalPlanBuilder::from(plan).aggregate(group, values)?.build()?)
    }

    fn aggregate_call(&mut self, call: &AggregateCall) -> Result<(DfExpr, Form)> {
        let filter = match &call.filter {
            Some(filter) => Some(Box::new(self.expr(filter)?.expr)),
            None => None,
        };
        // What FILTER keeps out is not evaluated.
        let guarded = |part: Translated, raises: bool| match &filter {
            Some(filter) if raises => {
                let arms = vec![(filter.clone(), Box::new(part.expr))];
                Translated { expr: DfExpr::Case(Case::new(None, arms, None)), form: part.form }
            }
            _ => part,
        };
        let mut args = Vec::new();
        for arg in &call.args {
            args.push(guarded(self.expr(arg)?, can_raise(arg)));
        }
        let ty = Form::of(call.ty);
        let own = |function: Arc<AggregateUDF>, arg: DfExpr, form: Form| {
            Ok((call_of(function, vec![arg], false, filter.clone()), form))
        };
        if let ("count", []) = (call.name, &args[..]) {
            return own(count_udaf(), DfExpr::Literal(ScalarValue::Int64(Some(1)), None), ty);
        }
        // DISTINCT changes nothing about these, ORDER BY nothing about sums that are exact.
        if let [arg] = &args[..]
            && call.direct.is_empty()
        {
            let arg = arg.clone();
            match call.name {
                "count" if call.distinct => {
                    return Ok((call_of(count_udaf(), vec![self.key(arg)], true, filter), ty));
                }
                "count" => return own(count_udaf(), arg.expr, ty),
                "min" if arg.form.is_ordered() => return own(min_udaf(), arg.expr, arg.form),
                "max" if arg.form.is_ordered() => return own(max_udaf(), arg.expr, arg.form),
                "bool_and" | "every" => return own(bool_and_udaf(), arg.expr, ty),
                "bool_or" => return own(bool_or_udaf(), arg.expr, ty),
                "sum" | "avg" if !call.distinct => {
                    if let Some(sum) = Sum::new(call.name == "avg", arg.form) {
                        let form = sum.result();
                        return own(Arc::new(AggregateUDF::from(sum)), arg.expr, form);
                    }
                }
                _ => {}
            }
        }
        let mut inputs = Vec::new();
        for key in &call.order {
            inputs.push(guarded(self.expr(&key.expr)?, can_raise(&key.expr)));
        }
        inputs.extend(args);
        self.row_aggregate(call, inputs, filter)
    }

    /// A call whose groups are kept whole and given to the row road's code.
    fn row_aggregate(
        &mut self,
        call: &AggregateCall,
        inputs: Vec<Translated>,
        filter: Option<Box<DfExpr>>,
    ) -> Result<(DfExpr, Form)> {
        let mut direct = Vec::new();
        for expr in &call.direct {
            match super::super::expression::is_constant(expr) {
                true => direct.push(self.evaluate(expr)?),
                false => return Err(Refused::because("direct arguments that are not constant")),
            }
        }
        let forms = inputs.iter().map(|input| input.form).collect();
        let Some(function) = RowAggregate::new(call, direct, forms, self.ctx.clone()) else {
            return Err(Refused::because(format!("aggregate {}", call.name)));
        };
        self.in_order |= hangs_on_order(call);
        let form = function.result();
        let args = inputs.into_iter().map(|input| input.expr).collect();
        Ok((call_of(Arc::new(AggregateUDF::from(function)), args, false, filter), form))
    }

    pub(super) fn distinct(
        &mut self,
        input: &Rel,
        on: &[Expr],
        above: &ColumnSet,
        needed: &ColumnSet,
    ) -> Result<LogicalPlan> {
        let mut columns = Vec::new();
        for expr in on {
            match &expr.kind {
                // One column may be asked for twice; it is one key.
                ExprKind::Column(column) if columns.contains(column) => {}
                ExprKind::Column(column) => columns.push(*column),
                _ => return Err(Refused::because("DISTINCT ON")),
            }
        }
        let given: ColumnSet = columns.iter().copied().collect();
        let mut produced = ColumnSet::new();
        produced_in(input, &mut produced);
        if produced.iter().any(|column| above.contains(column) && !given.contains(column)) {
            return Err(Refused::because("DISTINCT ON"));
        }
        if matches!(input, Rel::Sort { .. }) {
            return Err(Refused::because("DISTINCT over ORDER BY"));
        }
        let keys: Vec<(ColumnId, Expr)> = columns.iter().map(|column| (*column, self.column_expr(*column))).collect();
        self.aggregate(input, &keys, &[], needed)
    }
}

fn is_distinct(call: &DfExpr) -> bool {
    matches!(call, DfExpr::AggregateFunction(call) if call.params.distinct)
}

fn call_of(function: Arc<AggregateUDF>, args: Vec<DfExpr>, distinct: bool, filter: Option<Box<DfExpr>>) -> DfExpr {
    DfExpr::AggregateFunction(AggregateFunction::new_udf(function, args, distinct, filter, Vec::new(), None))
}
