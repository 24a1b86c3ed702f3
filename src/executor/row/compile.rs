//! From typed expressions to [`Code`].

use super::expr::{ArrayComparison, CaseCode, Code, Comparison, RowComparison, SubscriptCode};
use super::subquery::SubqueryPlan;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::{Form, Function, RowForm};
use crate::sql::tree::{Expr, ExprKind, Subquery, Subscript};
use crate::types::{Oid, oid};
use std::sync::Arc;

/// Plans the subqueries that expressions hold: the planner.
pub trait SubqueryPlanner {
    /// A plan for one subquery.
    fn subquery(&mut self, subquery: &Subquery) -> Result<Arc<SubqueryPlan>>;
}

/// Refuses subqueries: for expressions that cannot hold any (CHECK, DEFAULT).
#[derive(Debug)]
pub struct NoSubqueries;

impl SubqueryPlanner for NoSubqueries {
    fn subquery(&mut self, _: &Subquery) -> Result<Arc<SubqueryPlan>> {
        Err(Error::unsupported("a subquery in this expression"))
    }
}

/// The row form of a scalar function; 0A000 where pg_proc lists it and this server has none.
pub fn row_form(function: &'static Function) -> Result<RowForm> {
    match function.implementation.map(|implementation| &implementation.form) {
        Some(Form::Scalar(form)) => Ok(*form),
        Some(Form::Set(_)) => Err(Error::new(
            SqlState::FeatureNotSupported,
            "set-valued function called in context that cannot accept a set",
        )),
        None => Err(Error::new(
            SqlState::FeatureNotSupported,
            format!("function {} (oid {}) is not supported", function.name, function.oid),
        )),
    }
}

/// Compiles an expression.
pub fn compile(expr: &Expr, planner: &mut dyn SubqueryPlanner) -> Result<Code> {
    stacker::maybe_grow(64 * 1024, 1024 * 1024, || compile_inner(expr, planner))
}

fn compile_inner(expr: &Expr, planner: &mut dyn SubqueryPlanner) -> Result<Code> {
    Ok(match &expr.kind {
        ExprKind::Const(value) => Code::Const(value.clone()),
        ExprKind::Param(n) => Code::Param(*n as u32),
        ExprKind::Column(column) => Code::Slot(column.0),
        ExprKind::Call(call) => compile_call(call.function, &call.args, planner)?,
        ExprKind::And(args) => Code::And(all(args, planner)?),
        ExprKind::Or(args) => Code::Or(all(args, planner)?),
        ExprKind::Not(arg) => Code::Not(Box::new(compile(arg, planner)?)),
        ExprKind::IsNull(arg) => Code::IsNull(Box::new(compile(arg, planner)?)),
        ExprKind::IsNotNull(arg) => Code::IsNotNull(Box::new(compile(arg, planner)?)),
        ExprKind::IsDistinct { left, right, negated, equal } => {
            Code::IsDistinct(two(left, right, planner)?, *negated, row_form(equal)?)
        }
        ExprKind::Case { operand, arms, otherwise } => Code::Case(Box::new(CaseCode {
            operand: match operand {
                Some((column, operand)) => Some((column.0, compile(operand, planner)?)),
                None => None,
            },
            arms: arms
                .iter()
                .map(|(when, then)| Ok((compile(when, planner)?, compile(then, planner)?)))
                .collect::<Result<_>>()?,
            otherwise: otherwise.as_deref().map(|e| compile(e, planner)).transpose()?,
        })),
        ExprKind::Coalesce(args) => Code::Coalesce(all(args, planner)?),
        ExprKind::NullIf { left, right, equal } => Code::NullIf(two(left, right, planner)?, row_form(equal)?),
        ExprKind::MinMax { greatest, args } => Code::MinMax(*greatest, all(args, planner)?),
        ExprKind::ArrayComparison { left, array, all, compare } => ArrayComparison {
            left: compile(left, planner)?,
            array: compile(array, planner)?,
            all: *all,
            function: compare,
            form: row_form(compare)?,
        }
        .optimized(),
        ExprKind::ArrayOf { items, nested } => {
            Code::ArrayOf(element_type(expr.ty.oid, items, *nested), *nested, all(items, planner)?)
        }
        ExprKind::Subscript { array, subscripts } => {
            let array = compile(array, planner)?;
            let subscripts = subscripts.iter().map(|s| compile_subscript(s, planner)).collect::<Result<_>>()?;
            Code::Subscript(Box::new((array, subscripts)))
        }
        ExprKind::Row(fields) => {
            Code::Row(fields.iter().map(|field| Ok((field.ty, compile(field, planner)?))).collect::<Result<_>>()?)
        }
        ExprKind::Field { record, field } => Code::Field(Box::new(compile(record, planner)?), *field as u32),
        ExprKind::RowComparison { op, left, right, equal, less } => Code::RowComparison(Box::new(RowComparison {
            op: *op,
            pairs: left
                .iter()
                .zip(right)
                .map(|(l, r)| Ok((compile(l, planner)?, compile(r, planner)?)))
                .collect::<Result<_>>()?,
            equal: equal.iter().map(|f| row_form(f)).collect::<Result<_>>()?,
            less: less.iter().map(|f| row_form(f)).collect::<Result<_>>()?,
        })),
        ExprKind::Subquery(subquery) => Code::Subquery(planner.subquery(subquery)?),
        ExprKind::Relabel(arg) => compile(arg, planner)?,
        ExprKind::CoerceViaIo(arg) => Code::CoerceViaIo(Box::new(compile(arg, planner)?), arg.ty, expr.ty),
        ExprKind::CoerceArray { array, element_column, element } => Code::CoerceArray(Box::new((
            compile(array, planner)?,
            element_column.0,
            compile(element, planner)?,
            element.ty.oid,
        ))),
        ExprKind::SqlValue(what) => Code::SqlValue(*what, expr.ty),
        ExprKind::NextValue(sequence) => Code::NextValue(*sequence, expr.ty.oid),
    })
}

/// The element type of `ARRAY[…]`: by its array type, or of its items where the array type is a user's.
fn element_type(array: Oid, items: &[Expr], nested: bool) -> Oid {
    oid::element_of(array).unwrap_or_else(|| match items.first() {
        Some(item) if !nested => item.ty.oid,
        Some(Expr { kind: ExprKind::ArrayOf { items, nested }, ty }) => element_type(ty.oid, items, *nested),
        _ => Oid::NONE,
    })
}

fn all(exprs: &[Expr], planner: &mut dyn SubqueryPlanner) -> Result<Box<[Code]>> {
    exprs.iter().map(|expr| compile(expr, planner)).collect()
}

fn two(left: &Expr, right: &Expr, planner: &mut dyn SubqueryPlanner) -> Result<Box<[Code; 2]>> {
    Ok(Box::new([compile(left, planner)?, compile(right, planner)?]))
}

fn compile_call(function: &'static Function, args: &[Expr], planner: &mut dyn SubqueryPlanner) -> Result<Code> {
    let form = row_form(function)?;
    match args {
        [arg] if function.strict => Ok(Code::Call1(function, form, Box::new(compile(arg, planner)?))),
        [left, right] if function.strict => {
            let args = two(left, right, planner)?;
            Ok(match Comparison::of(function) {
                Some(comparison) => Code::Compare(function, comparison, args),
                None => Code::Call2(function, form, args),
            })
        }
        _ => Ok(Code::Call(function, form, all(args, planner)?)),
    }
}

fn compile_subscript(subscript: &Subscript, planner: &mut dyn SubqueryPlanner) -> Result<SubscriptCode> {
    Ok(match subscript {
        Subscript::Index(index) => SubscriptCode::Index(compile(index, planner)?),
        Subscript::Slice(from, to) => SubscriptCode::Slice(
            from.as_ref().map(|e| compile(e, planner)).transpose()?,
            to.as_ref().map(|e| compile(e, planner)).transpose()?,
        ),
    })
}
