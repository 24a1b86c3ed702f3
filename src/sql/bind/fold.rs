//! Constant folding as PostgreSQL's planner does it: immutable functions of constants are called once, here.
//!
//! A call that raises an error stays as it is, and the error is kept ([`crate::sql::tree::Statement::failures`]): the planner
//! reports it if the call is still there once columns that nobody reads are gone. What a constant CASE, AND, OR or COALESCE
//! never reaches is dropped unfolded, so it cannot raise.

use super::Binder;
use crate::catalog::builtin;
use crate::error::Result;
use crate::executor::functions::{Form, Volatility};
use crate::sql::tree::{Call, Expr, ExprKind};
use crate::sql::visit;
use crate::types::text_io::{self, TextContext};
use crate::types::{Array, Datum, Type, oid};
use std::sync::Arc;

fn value(expr: &Expr) -> Option<&Datum> {
    match &expr.kind {
        ExprKind::Const(value) => Some(value),
        _ => None,
    }
}

fn truth(value: Option<bool>) -> Expr {
    let value = value.map_or(Datum::Null, Datum::Bool);
    Expr { kind: ExprKind::Const(value), ty: Type::new(oid::BOOL) }
}

impl Binder<'_> {
    /// The expression with its constant parts computed.
    pub(super) fn fold(&mut self, expr: Expr) -> Expr {
        visit::deeper(|| self.fold_here(expr))
    }

    fn fold_all(&mut self, items: Vec<Expr>) -> Vec<Expr> {
        items.into_iter().map(|item| self.fold(item)).collect()
    }

    fn fold_here(&mut self, expr: Expr) -> Expr {
        let ty = expr.ty;
        match expr.kind {
            ExprKind::And(items) => self.fold_junction(items, false),
            ExprKind::Or(items) => self.fold_junction(items, true),
            ExprKind::Case { operand, arms, otherwise } => self.fold_case(operand, arms, otherwise, ty),
            ExprKind::Coalesce(items) => {
                let mut left = Vec::new();
                for item in items {
                    let item = self.fold(item);
                    match value(&item) {
                        Some(Datum::Null) => {}
                        Some(_) => {
                            left.push(item);
                            break;
                        }
                        None => left.push(item),
                    }
                }
                match left.len() {
                    0 => Expr { kind: ExprKind::Const(Datum::Null), ty },
                    1 if value(&left[0]).is_some() => left.swap_remove(0),
                    _ => Expr { kind: ExprKind::Coalesce(left), ty },
                }
            }
            ExprKind::Call(call) => {
                let failures = self.failures.len();
                let args = self.fold_all(call.args);
                let call = Call { function: call.function, args };
                // A NULL beside an argument that fails does not spare it.
                if self.failures.len() > failures {
                    return Expr { kind: ExprKind::Call(call), ty };
                }
                self.fold_call(call, ty)
            }
            kind => {
                let mut expr = Expr { kind, ty };
                visit::expr_parts(&mut expr, &mut |part| {
                    let taken = std::mem::replace(part, truth(None));
                    *part = self.fold(taken);
                });
                self.fold_node(expr)
            }
        }
    }

    fn fold_junction(&mut self, items: Vec<Expr>, or: bool) -> Expr {
        let mut left = Vec::with_capacity(items.len());
        let mut null = false;
        let failures = self.failures.len();
        for item in items {
            let item = self.fold(item);
            match value(&item) {
                // What fails before it is not spared by it.
                Some(Datum::Bool(value)) if *value == or && self.failures.len() > failures => {
                    left.push(item);
                    break;
                }
                Some(Datum::Bool(value)) if *value == or => return truth(Some(or)),
                Some(Datum::Bool(_)) => {}
                Some(Datum::Null) if null => {}
                Some(Datum::Null) => {
                    null = true;
                    left.push(item);
                }
                _ => left.push(item),
            }
        }
        match left.len() {
            0 => truth(Some(!or)),
            1 => left.swap_remove(0),
            _ => {
                let kind = if or { ExprKind::Or(left) } else { ExprKind::And(left) };
                Expr { kind, ty: Type::new(oid::BOOL) }
            }
        }
    }

    fn fold_case(
        &mut self,
        operand: Option<(crate::sql::tree::ColumnId, Box<Expr>)>,
        arms: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
        ty: Type,
    ) -> Expr {
        let operand = operand.map(|(column, expr)| (column, Box::new(self.fold(*expr))));
        let mut left = Vec::new();
        let mut otherwise = otherwise;
        // The simple form over a constant: its conditions are of that constant, and so are a domain's values.
        let known = |expr: Expr| match &operand {
            Some((column, constant)) if value(constant).is_some() => put_in(expr, *column, constant),
            _ => expr,
        };
        otherwise = otherwise.map(|expr| Box::new(known(*expr)));
        for (when, then) in arms {
            let when = self.fold(known(when));
            match value(&when) {
                Some(Datum::Bool(true)) => {
                    otherwise = Some(Box::new(then));
                    break;
                }
                Some(_) => {}
                None => left.push((when, self.fold(then))),
            }
        }
        let otherwise = otherwise.map(|expr| self.fold(*expr));
        if left.is_empty() {
            return otherwise.unwrap_or(Expr { kind: ExprKind::Const(Datum::Null), ty });
        }
        let operand = operand.filter(|(_, operand)| value(operand).is_none());
        Expr { kind: ExprKind::Case { operand, arms: left, otherwise: otherwise.map(Box::new) }, ty }
    }

    fn fold_call(&mut self, call: Call, ty: Type) -> Expr {
        let function = call.function;
        let keep = |call: Call| Expr { kind: ExprKind::Call(call), ty };
        if function.set {
            return keep(call);
        }
        if function.strict && call.args.iter().any(|arg| matches!(value(arg), Some(Datum::Null))) {
            return Expr { kind: ExprKind::Const(Datum::Null), ty };
        }
        if function.volatility != Volatility::Immutable || !call.args.iter().all(|arg| value(arg).is_some()) {
            return keep(call);
        }
        let Some(Form::Scalar(form)) = function.implementation.map(|implementation| &implementation.form) else {
            return keep(call);
        };
        let args: Vec<Datum> = call.args.iter().filter_map(|arg| value(arg).cloned()).collect();
        match form(self.ctx.call, &args) {
            Ok(result) => Expr { kind: ExprKind::Const(result), ty },
            Err(error) => {
                let call = keep(call);
                self.failures.push((call.clone(), error));
                call
            }
        }
    }

    fn fold_node(&mut self, expr: Expr) -> Expr {
        let ty = expr.ty;
        let folded = match &expr.kind {
            ExprKind::Relabel(inner) => value(inner).cloned(),
            ExprKind::Not(inner) => match value(inner) {
                Some(Datum::Bool(value)) => Some(Datum::Bool(!value)),
                Some(Datum::Null) => Some(Datum::Null),
                _ => None,
            },
            ExprKind::NullIf { left, right, .. } => match (value(left), value(right)) {
                (Some(Datum::Null), Some(_)) => Some(Datum::Null),
                (Some(left), Some(Datum::Null)) => Some(left.clone()),
                _ => None,
            },
            ExprKind::IsNull(inner) => match value(inner) {
                Some(Datum::Record(_)) | None => None,
                Some(value) => Some(Datum::Bool(value.is_null())),
            },
            ExprKind::IsNotNull(inner) => match value(inner) {
                Some(Datum::Record(_)) | None => None,
                Some(value) => Some(Datum::Bool(!value.is_null())),
            },
            ExprKind::ArrayOf { items, nested: false } => match builtin::element_of(ty.oid) {
                Some(element) if items.iter().all(|item| value(item).is_some()) => {
                    let items = items.iter().filter_map(|item| value(item).cloned()).collect();
                    Some(Datum::Array(Arc::new(Array::of(element, items))))
                }
                _ => None,
            },
            ExprKind::CoerceViaIo(inner) if matches!(value(inner), Some(Datum::Null)) => Some(Datum::Null),
            ExprKind::CoerceViaIo(inner) if writes_alike(inner.ty) && reads_alike(ty) => match value(inner).cloned() {
                Some(value) => match self.through_text(&value, inner.ty, ty) {
                    Ok(value) => Some(value),
                    Err(error) => {
                        self.failures.push((expr.clone(), error));
                        None
                    }
                },
                None => None,
            },
            _ => None,
        };
        match folded {
            Some(value) => Expr { kind: ExprKind::Const(value), ty },
            None => expr,
        }
    }

    fn through_text(&self, value: &Datum, from: Type, to: Type) -> Result<Datum> {
        let call = self.ctx.call;
        let names: &dyn text_io::Names = &*call.host;
        let context =
            TextContext { format: &call.format, time_zone: &call.time_zone, now: call.transaction_time, names };
        let mut text = String::new();
        text_io::output(value, from, &context, &mut text);
        text_io::input_plain(&text, Type::new(to.oid), &context)
    }
}

/// Types whose output functions are immutable.
fn writes_alike(ty: Type) -> bool {
    reads_alike(ty) || matches!(ty.oid, oid::TIME | oid::TIMETZ)
}

/// Types whose input functions are immutable.
fn reads_alike(ty: Type) -> bool {
    matches!(
        ty.oid,
        oid::BOOL
            | oid::FLOAT4
            | oid::FLOAT8
            | oid::BYTEA
            | oid::INT2
            | oid::INT4
            | oid::INT8
            | oid::NUMERIC
            | oid::TEXT
            | oid::VARCHAR
            | oid::BPCHAR
            | oid::NAME
            | oid::UUID
            | oid::OID
            | oid::UNKNOWN
            | oid::CHAR
    )
}

/// Puts a constant in place of a column.
fn put_in(mut expr: Expr, column: crate::sql::tree::ColumnId, constant: &Expr) -> Expr {
    if matches!(expr.kind, ExprKind::Column(found) if found == column) {
        return constant.clone();
    }
    visit::expr_parts(&mut expr, &mut |part| {
        let taken = std::mem::replace(part, truth(None));
        *part = put_in(taken, column, constant);
    });
    expr
}
