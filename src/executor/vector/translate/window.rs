//! Window functions.

use super::super::expression::{Translated, can_raise, is_constant, name};
use super::super::form::Form;
use super::super::whole::sums_exactly;
use super::super::window::{RowWindow, Spec};
use super::{Refused, Result, Translator};
use crate::executor::functions::aggregate::{self, SortOrder};
use crate::executor::window::{Edge, Frame};
use crate::sql::columns::ColumnSet;
use crate::sql::tree::{ColumnId, Expr, FrameBound, FrameUnit, Rel, SortKey, WindowCall};
use crate::types::{Type, oid};
use datafusion::common::Column;
use datafusion::logical_expr::expr::{Sort, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    Case, Expr as DfExpr, LogicalPlan, LogicalPlanBuilder, WindowFrame, WindowFunctionDefinition, WindowUDF,
};
use std::sync::Arc;

impl Translator<'_> {
    pub(super) fn window(
        &mut self,
        input: &Rel,
        partition: &[Expr],
        order: &[SortKey],
        calls: &[(ColumnId, WindowCall)],
        needed: &ColumnSet,
    ) -> Result<LogicalPlan> {
        // Partition by partition is given: a later one may raise an error.
        if self.streaming && calls.iter().any(|(_, call)| window_may_raise(call)) {
            return Err(Refused::because("an error may come after rows"));
        }
        self.with_streaming(false, |translator| {
            let plan = translator.rel(input, needed)?;
            let mut computed = Computed { exprs: Self::columns_of(&plan), window: translator.next_window() };
            // What is the same for all rows parts and orders nothing.
            let mut partition_by = Vec::new();
            for expr in partition.iter().filter(|expr| !is_constant(expr)) {
                let key = translator.expr(expr)?;
                partition_by.push(computed.column(translator.key(key)));
            }
            let mut order_by = Vec::new();
            for key in order.iter().filter(|key| !is_constant(&key.expr)) {
                let expr = translator.expr(&key.expr)?;
                order_by.push(Sort::new(computed.column(translator.key(expr)), !key.descending, key.nulls_first));
            }
            let mut exprs = Vec::new();
            let mut forms = Vec::new();
            for (column, call) in calls {
                let (function, args) = translator.window_call(call, order)?;
                forms.push((*column, function.result()));
                let params = WindowFunctionParams {
                    args: args.into_iter().map(|arg| computed.column(arg)).collect(),
                    partition_by: partition_by.clone(),
                    order_by: order_by.clone(),
                    // The call has its own.
                    window_frame: WindowFrame::new(None),
                    filter: None,
                    null_treatment: None,
                    distinct: false,
                };
                let fun = WindowFunctionDefinition::WindowUDF(Arc::new(WindowUDF::from(function)));
                exprs.push(DfExpr::WindowFunction(Box::new(WindowFunction { fun, params })).alias(name(*column)));
            }
            translator.forms.extend(forms);
            Ok(LogicalPlanBuilder::from(plan).project(computed.exprs)?.window(exprs)?.build()?)
        })
    }

    fn next_window(&mut self) -> usize {
        self.windows += 1;
        self.windows
    }

    fn window_call(&mut self, call: &WindowCall, order: &[SortKey]) -> Result<(RowWindow, Vec<DfExpr>)> {
        if !Form::holds(call.ty) {
            return Err(Refused::because("a type without a form"));
        }
        let filter = call.filter.as_ref().map(|filter| self.expr(filter)).transpose()?.map(|filter| filter.expr);
        let mut args = Vec::new();
        let mut inputs = Vec::new();
        for arg in &call.args {
            let Translated { expr, form } = self.expr(arg)?;
            // What FILTER keeps out is not evaluated.
            let expr = match &filter {
                Some(filter) if can_raise(arg) => {
                    DfExpr::Case(Case::new(None, vec![(Box::new(filter.clone()), Box::new(expr))], None))
                }
                _ => expr,
            };
            inputs.push(form);
            args.push(expr);
        }
        let filtered = filter.is_some();
        args.extend(filter);
        let edge = |bound: &FrameBound| {
            let offset = |translator: &Self, expr: &Expr| match is_constant(expr) {
                true => translator.evaluate(expr),
                false => Err(Refused::because("a frame's offset that is not constant")),
            };
            Ok::<_, Refused>(match bound {
                FrameBound::UnboundedPreceding => Edge::UnboundedPreceding,
                FrameBound::Preceding(expr) => Edge::Preceding(offset(self, expr)?),
                FrameBound::CurrentRow => Edge::CurrentRow,
                FrameBound::Following(expr) => Edge::Following(offset(self, expr)?),
                FrameBound::UnboundedFollowing => Edge::UnboundedFollowing,
            })
        };
        let (start, end) = (edge(&call.frame.start)?, edge(&call.frame.end)?);
        let by_value = call.frame.unit == FrameUnit::Range
            && [&start, &end].iter().any(|edge| matches!(edge, Edge::Preceding(_) | Edge::Following(_)));
        let key = match order.first() {
            Some(first) if by_value => {
                let Translated { expr, form } = self.expr(&first.expr)?;
                args.push(expr);
                Some(form)
            }
            _ => None,
        };
        let frame = Frame { unit: call.frame.unit, start, end, exclude: call.frame.exclude };
        frame.check().map_err(Refused::from)?;
        let arg_types: Vec<Type> = call.args.iter().map(|arg| arg.ty).collect();
        self.in_order |= call.aggregate && !is_exact(call);
        let spec = Spec {
            name: call.name,
            function: call.function,
            aggregate: call.aggregate,
            arg_types,
            inputs,
            filter: filtered,
            key,
            frame,
            order: order
                .first()
                .map(|first| SortOrder { descending: first.descending, nulls_first: first.nulls_first }),
            result: Form::of_result(call.ty),
            ctx: self.ctx.clone(),
        };
        Ok((RowWindow::new(spec), args))
    }
}

/// What a window reads, computed below it. CommonSubexprEliminate takes windows over windows for one, and would compute what
/// several of them read, of another's result too, below them all.
struct Computed {
    exprs: Vec<DfExpr>,
    window: usize,
}

impl Computed {
    /// The column that holds a value.
    fn column(&mut self, value: DfExpr) -> DfExpr {
        if matches!(value, DfExpr::Column(_) | DfExpr::Literal(..)) {
            return value;
        }
        let name = format!("w{}_{}", self.window, self.exprs.len());
        self.exprs.push(value.alias(&name));
        DfExpr::Column(Column::new_unqualified(name))
    }
}

/// Whether an aggregate's value is the same in whatever order it is given a frame's rows.
fn is_exact(call: &WindowCall) -> bool {
    let first = call.args.first().map_or(Type::new(oid::UNKNOWN), |arg| arg.ty);
    match call.name {
        "min" | "max" => Form::of(first).is_ordered(),
        name => sums_exactly(name, first.oid),
    }
}

/// Whether computing a call over sorted rows may end in an error, but for sums beyond all bounds.
pub(crate) fn window_may_raise(call: &WindowCall) -> bool {
    let by_name = match call.aggregate {
        true => aggregate::may_raise(call.name, call.args.iter().map(|arg| arg.ty)),
        false => matches!(call.name, "ntile" | "nth_value"),
    };
    let by_value = call.frame.unit == FrameUnit::Range
        && [&call.frame.start, &call.frame.end]
            .iter()
            .any(|bound| matches!(bound, FrameBound::Preceding(_) | FrameBound::Following(_)));
    by_name || by_value || call.args.iter().chain(&call.filter).any(can_raise)
}
