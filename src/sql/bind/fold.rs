//! Constant folding as PostgreSQL's planner does it: immutable functions of constants are called once, here.
//!
//! A call that raises an error stays as it is, and the error is kept ([`crate::sql::tree::Statement::failures`]): the planner
//! reports it if the call is still there once columns that nobody reads are gone. What a constant CASE, AND, OR or COALESCE
//! never reaches is dropped unfolded, so it cannot raise.

use super::Binder;
use crate::catalog::builtin;
use crate::error::Result;
use crate::executor::functions::{Form, Function, Volatility};
use crate::sql::tree::{Call, ColumnId, Expr, ExprKind, RowOp, Subscript};
use crate::sql::visit;
use crate::types::text_io::{self, TextContext};
use crate::types::{Array, Datum, Type, compare, oid};
use std::cmp::Ordering;
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
                let failures = self.failures.len();
                visit::expr_parts(&mut expr, &mut |part| {
                    let taken = std::mem::replace(part, truth(None));
                    *part = self.fold(taken);
                });
                // As above.
                if self.failures.len() > failures {
                    return expr;
                }
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
        let failures = self.failures.len();
        let operand = operand.map(|(column, expr)| (column, Box::new(self.fold(*expr))));
        let fails = self.failures.len() > failures;
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
        if left.is_empty() && fails {
            // The operand fails, whatever it is compared with.
            left.push((truth(Some(false)), Expr { kind: ExprKind::Const(Datum::Null), ty }));
        }
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
        // NULL equals nothing, whatever the other side is.
        let expr = match expr.kind {
            ExprKind::NullIf { left, right, .. }
                if [&left, &right].into_iter().any(|side| matches!(value(side), Some(Datum::Null))) =>
            {
                return *left;
            }
            kind => Expr { kind, ty },
        };
        let folded = match &expr.kind {
            ExprKind::Relabel(inner) => value(inner).cloned(),
            ExprKind::Not(inner) => match value(inner) {
                Some(Datum::Bool(value)) => Some(Datum::Bool(!value)),
                Some(Datum::Null) => Some(Datum::Null),
                _ => None,
            },
            ExprKind::NullIf { left, right, equal } => match (value(left), value(right)) {
                (Some(left), Some(right)) => {
                    self.holds(equal, left, right).map(|equal| if equal { Datum::Null } else { left.clone() })
                }
                _ => None,
            },
            ExprKind::IsDistinct { left, right, negated, equal } => match (value(left), value(right)) {
                (Some(Datum::Null), Some(right)) => Some(Datum::Bool(right.is_null() == *negated)),
                (Some(_), Some(Datum::Null)) => Some(Datum::Bool(!negated)),
                (Some(left), Some(right)) => self.holds(equal, left, right).map(|equal| Datum::Bool(equal == *negated)),
                _ => None,
            },
            ExprKind::MinMax { greatest, args } if args.iter().all(|arg| value(arg).is_some()) => {
                let wanted = if *greatest { Ordering::Greater } else { Ordering::Less };
                let args = args.iter().filter_map(value).filter(|arg| !arg.is_null());
                let best = args.reduce(|best, arg| if compare::compare(arg, best) == wanted { arg } else { best });
                Some(best.cloned().unwrap_or(Datum::Null))
            }
            ExprKind::ArrayComparison { left, array, all, compare } => match (value(left), value(array)) {
                (Some(_), Some(Datum::Null)) => Some(Datum::Null),
                (Some(left), Some(Datum::Array(array))) => {
                    self.all_hold(*all, array.items.iter().map(|item| (*compare, left, item)))
                }
                _ => None,
            },
            ExprKind::RowComparison { op: op @ (RowOp::Eq | RowOp::Ne), left, right, equal, .. } => {
                let pairs = equal.iter().zip(left.iter().zip(right));
                let pairs = pairs.map(|(equal, (left, right))| Some((*equal, value(left)?, value(right)?)));
                let pairs: Option<Vec<_>> = pairs.collect();
                match pairs.and_then(|pairs| self.all_hold(true, pairs.into_iter())) {
                    Some(Datum::Bool(equal)) => Some(Datum::Bool(equal == (*op == RowOp::Eq))),
                    known => known,
                }
            }
            ExprKind::CoerceArray { array, element_column, element } => match value(array) {
                Some(Datum::Null) => Some(Datum::Null),
                Some(Datum::Array(array)) => match self.coerced_items(array, *element_column, element) {
                    Ok(Some(items)) => builtin::element_of(ty.oid)
                        .map(|element| Datum::Array(Arc::new(Array { element, dims: array.dims.clone(), items }))),
                    Ok(None) => None,
                    Err(error) => {
                        self.failures.push((expr.clone(), error));
                        None
                    }
                },
                _ => None,
            },
            ExprKind::Subscript { array, subscripts } => value(array).and_then(|array| element(array, subscripts)),
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

    /// A constant array's items, each cast by `element`; `None`: the cast is no matter of constants alone.
    fn coerced_items(&mut self, array: &Array, column: ColumnId, element: &Expr) -> Result<Option<Vec<Datum>>> {
        let ty = Type::new(array.element);
        let mut items = Vec::with_capacity(array.items.len());
        for item in &array.items {
            let constant = Expr { kind: ExprKind::Const(item.clone()), ty };
            let failures = self.failures.len();
            let cast = self.fold(put_in(element.clone(), column, &constant));
            if let Some((_, error)) = self.failures.drain(failures..).next() {
                return Err(error);
            }
            match cast.kind {
                ExprKind::Const(value) => items.push(value),
                _ => return Ok(None),
            }
        }
        Ok(Some(items))
    }

    /// What an operator makes of two constants that are not NULL; `None`: it is not known here, or fails.
    fn holds(&self, operator: &'static Function, left: &Datum, right: &Datum) -> Option<bool> {
        let form = operator.implementation.map(|implementation| &implementation.form);
        let Some(Form::Scalar(form)) = form.filter(|_| operator.volatility == Volatility::Immutable) else {
            return None;
        };
        match form(self.ctx.call, &[left.clone(), right.clone()]) {
            Ok(Datum::Bool(holds)) => Some(holds),
            _ => None,
        }
    }

    /// AND (`all`) or OR of strict operators on constants; `None`: one is not known here.
    fn all_hold<'d>(
        &self,
        all: bool,
        relations: impl Iterator<Item = (&'static Function, &'d Datum, &'d Datum)>,
    ) -> Option<Datum> {
        let mut result = Datum::Bool(all);
        for (operator, left, right) in relations {
            if left.is_null() || right.is_null() {
                if !operator.strict {
                    return None;
                }
                result = Datum::Null;
            } else if self.holds(operator, left, right)? != all {
                return Some(Datum::Bool(!all));
            }
        }
        Some(result)
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

/// The element of a constant array at constant subscripts; `None`: some are no constants, or are slices.
fn element(array: &Datum, subscripts: &[Subscript]) -> Option<Datum> {
    let index = |subscript: &Subscript| match subscript {
        Subscript::Index(index) => value(index).cloned(),
        Subscript::Slice(..) => None,
    };
    let indexes = subscripts.iter().map(index).collect::<Option<Vec<_>>>()?;
    match array {
        Datum::Null => Some(Datum::Null),
        Datum::Array(array) => {
            let indexes = indexes.iter().map(|index| if let Datum::Int4(index) = index { Some(*index) } else { None });
            let Some(indexes) = indexes.collect::<Option<Vec<_>>>() else { return Some(Datum::Null) };
            Some(array.element(&indexes).cloned().unwrap_or(Datum::Null))
        }
        _ => None,
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
