//! Typed expressions as DataFusion's.
//!
//! Columns, literals, AND, OR, NOT, IS NULL, CASE and comparisons whose Arrow order is the type's become DataFusion's own, so
//! that join keys and run-time filters are found in them. What scans spend their time in has a batch form
//! ([`super::functions`], [`super::numeric`]); everything else runs as the row road's compiled code over the batch.
//!
//! An AND, OR, CASE or COALESCE with a part that can raise an error is one compiled expression: it evaluates what PostgreSQL
//! would, and no more.

use super::form::{self, Form};
use super::functions::{IntegerArithmetic, Like, OrderKey, RowExpression, Unknown, integer};
use super::numeric::{Arithmetic, Operation};
use super::translate::{Refused, Translator};
use super::watch::Cancel;
use crate::executor::row::compile::{self, NoSubqueries};
use crate::executor::row::expr::operator_of;
use crate::executor::row::frame::Frame;
use crate::executor::row::plan::Plan;
use crate::sql::columns::{ColumnSet, for_parts, for_subqueries, is_volatile, produced_by, used_by};
use crate::sql::tree::{Call, Expr, ExprKind, RowOp};
use crate::types::{Datum, Type, oid};
use arrow_schema::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Case, Cast, Expr as DfExpr, Operator, ScalarUDF, ScalarUDFImpl};
use std::sync::Arc;

/// A translated expression.
#[derive(Clone, Debug)]
pub(super) struct Translated {
    pub(super) expr: DfExpr,
    pub(super) form: Form,
}

const BOOL: Form = Form::Stored(Type::new(oid::BOOL));
const DAY_MICROS: i64 = 86_400_000_000;

/// A call of a function of ours.
pub(super) fn call(function: impl ScalarUDFImpl + 'static, args: Vec<DfExpr>) -> DfExpr {
    DfExpr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), args))
}

fn binary(left: DfExpr, op: Operator, right: DfExpr) -> DfExpr {
    DfExpr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn cast(expr: DfExpr, to: DataType) -> DfExpr {
    DfExpr::Cast(Cast::new(Box::new(expr), to))
}

fn literal(value: ScalarValue) -> DfExpr {
    DfExpr::Literal(value, None)
}

/// Whether evaluating an expression may end in an error.
pub(crate) fn can_raise(expr: &Expr) -> bool {
    let mut raises = match &expr.kind {
        ExprKind::Call(Call { function, .. }) => {
            function.implementation.is_none_or(|implementation| implementation.can_raise)
                && !is_exact_numeric(function.symbol)
                && like_of(function.symbol).is_none()
        }
        ExprKind::CoerceViaIo(_) | ExprKind::Subquery(_) | ExprKind::NextValue(_) | ExprKind::CoerceArray { .. } => {
            true
        }
        _ => false,
    };
    for_parts(expr, &mut |part| raises = raises || can_raise(part));
    raises
}

/// Numeric arithmetic overflows nowhere near what tables hold; where it does, the statement moves to the row road.
fn is_exact_numeric(symbol: &str) -> bool {
    arithmetic_of(symbol).is_some_and(|(_, numeric)| numeric)
}

/// The operation that a function is, and whether over numeric.
fn arithmetic_of(symbol: &str) -> Option<(Operation, bool)> {
    Some(match symbol {
        "numeric_add" => (Operation::Add, true),
        "numeric_sub" => (Operation::Subtract, true),
        "numeric_mul" => (Operation::Multiply, true),
        "int2pl" | "int4pl" | "int8pl" => (Operation::Add, false),
        "int2mi" | "int4mi" | "int8mi" => (Operation::Subtract, false),
        "int2mul" | "int4mul" | "int8mul" => (Operation::Multiply, false),
        _ => return None,
    })
}

/// LIKE (false) and NOT LIKE (true) over text.
fn like_of(symbol: &str) -> Option<bool> {
    match symbol {
        "textlike" | "namelike" => Some(false),
        "textnlike" | "namenlike" => Some(true),
        _ => None,
    }
}

/// A comparison of a date with a timestamp: the operator from the date's side, the date, the timestamp.
fn of_dates_and_stamps<'e>(symbol: &str, left: &'e Expr, right: &'e Expr) -> Option<(RowOp, &'e Expr, &'e Expr)> {
    let op = |text: &str| {
        Some(match text {
            "eq" => RowOp::Eq,
            "ne" => RowOp::Ne,
            "lt" => RowOp::Lt,
            "le" => RowOp::Le,
            "gt" => RowOp::Gt,
            "ge" => RowOp::Ge,
            _ => return None,
        })
    };
    if let Some(text) = symbol.strip_prefix("date_").and_then(|rest| rest.strip_suffix("_timestamp")) {
        return Some((op(text)?, left, right));
    }
    let text = symbol.strip_prefix("timestamp_")?.strip_suffix("_date")?;
    Some((op(text)?.mirrored(), right, left))
}

fn comparison(op: RowOp) -> Operator {
    match op {
        RowOp::Eq => Operator::Eq,
        RowOp::Ne => Operator::NotEq,
        RowOp::Lt => Operator::Lt,
        RowOp::Le => Operator::LtEq,
        RowOp::Gt => Operator::Gt,
        RowOp::Ge => Operator::GtEq,
    }
}

impl Translator<'_> {
    /// The expression.
    pub(super) fn expr(&self, expr: &Expr) -> Result<Translated, Refused> {
        if is_volatile(expr) {
            return Err(Refused::because("a volatile function"));
        }
        if !Form::holds(expr.ty) {
            return Err(Refused::because("a row value"));
        }
        if self.streaming && can_raise(expr) {
            // Rows that come before the error are the client's.
            return Err(Refused::because("an error may come after rows"));
        }
        if is_constant(expr) {
            return match self.unknown(expr) {
                Some(unknown) => Ok(unknown),
                None => self.constant(expr),
            };
        }
        stacker::maybe_grow(64 * 1024, 1024 * 1024, || self.expr_inner(expr))
    }

    fn expr_inner(&self, expr: &Expr) -> Result<Translated, Refused> {
        let lazy = |parts: &[Expr]| parts.iter().skip(1).any(can_raise);
        match &expr.kind {
            ExprKind::Column(column) => self.column(*column),
            ExprKind::And(args) if !lazy(args) => self.fold(args, Operator::And),
            ExprKind::Or(args) if !lazy(args) => self.fold(args, Operator::Or),
            ExprKind::Not(arg) => {
                let arg = self.expr(arg)?;
                Ok(Translated { expr: DfExpr::Not(Box::new(arg.expr)), form: BOOL })
            }
            ExprKind::IsNull(arg) if arg.ty.oid != oid::RECORD => {
                Ok(Translated { expr: DfExpr::IsNull(Box::new(self.expr(arg)?.expr)), form: BOOL })
            }
            ExprKind::IsNotNull(arg) if arg.ty.oid != oid::RECORD => {
                Ok(Translated { expr: DfExpr::IsNotNull(Box::new(self.expr(arg)?.expr)), form: BOOL })
            }
            ExprKind::Case { operand: None, arms, otherwise } => self.case(expr, arms, otherwise.as_deref()),
            ExprKind::Relabel(arg) => {
                let arg = self.expr(arg)?;
                // A numeric's scale and a char's blanks are in the form, whatever the type forgets.
                let form = Form::of(expr.ty);
                if matches!(form.oid(), oid::NUMERIC | oid::BPCHAR) && arg.form.oid() == form.oid() {
                    return Ok(arg);
                }
                if arg.form.reads_as(form) { Ok(Translated { expr: arg.expr, form }) } else { self.row(expr) }
            }
            ExprKind::ArrayComparison { left, array, all, compare } => {
                self.element_of(expr, left, array, *all, compare)
            }
            ExprKind::Call(Call { function, args }) => match &args[..] {
                [arg] => self.unary(expr, function.symbol, arg),
                [left, right] => {
                    if let Some(op) = operator_of(function)
                        && let Some(translated) = self.comparison(op, left, right)?
                    {
                        return Ok(translated);
                    }
                    if let Some((op, date, stamp)) = of_dates_and_stamps(function.symbol, left, right)
                        && let Some(translated) = self.date_comparison(op, date, stamp)?
                    {
                        return Ok(translated);
                    }
                    if let Some((operation, numeric)) = arithmetic_of(function.symbol)
                        && let Some(translated) = self.arithmetic(operation, numeric, left, right)?
                    {
                        return Ok(translated);
                    }
                    if let Some(negated) = like_of(function.symbol)
                        && let ExprKind::Const(Datum::Text(pattern)) = &right.kind
                        && let Some(like) = Like::new(pattern, negated, Cancel::of(&self.ctx))
                    {
                        let text = self.expr(left)?;
                        if text.form.arrow() == DataType::Utf8View {
                            return Ok(Translated { expr: self::call(like, vec![text.expr]), form: BOOL });
                        }
                    }
                    self.row(expr)
                }
                _ => self.row(expr),
            },
            _ => self.row(expr),
        }
    }

    fn fold(&self, args: &[Expr], op: Operator) -> Result<Translated, Refused> {
        let mut all = None;
        for arg in args {
            let next = self.expr(arg)?.expr;
            all = Some(match all {
                None => next,
                Some(before) => binary(before, op, next),
            });
        }
        let expr = all.ok_or_else(|| Refused::because("an empty AND"))?;
        Ok(Translated { expr, form: BOOL })
    }

    fn case(&self, expr: &Expr, arms: &[(Expr, Expr)], otherwise: Option<&Expr>) -> Result<Translated, Refused> {
        // Conditions are evaluated for all rows that reach them; only those after the first may be kept from some.
        let mut parts = Vec::new();
        for (when, then) in arms {
            parts.push((self.expr(when)?, self.expr(then)?));
        }
        let last = otherwise.map(|otherwise| self.expr(otherwise)).transpose()?;
        let forms: Vec<Form> = parts
            .iter()
            .map(|(_, then)| then)
            .chain(&last)
            .filter(|part| !is_null(&part.expr))
            .map(|part| part.form)
            .collect();
        let Some(form) = common_form(&forms) else { return self.row(expr) };
        // In a comparison 0 may become 0.00, as a value it may not.
        let convert = |part: Translated| match part.form.scale() == form.scale() || is_null(&part.expr) {
            true => self.convert(part, form),
            false => None,
        };
        let mut when_then = Vec::new();
        for (when, then) in parts {
            let Some(then) = convert(then) else { return self.row(expr) };
            when_then.push((Box::new(when.expr), Box::new(then)));
        }
        let otherwise = match last {
            Some(last) => match convert(last) {
                Some(last) => Some(Box::new(last)),
                None => return self.row(expr),
            },
            None => None,
        };
        Ok(Translated { expr: DfExpr::Case(Case::new(None, when_then, otherwise)), form })
    }

    /// The value in another form, where that is a plain matter.
    fn convert(&self, part: Translated, form: Form) -> Option<DfExpr> {
        if part.form.reads_as(form) {
            return Some(part.expr);
        }
        if let Some(unknown) = as_unknown(&part.expr) {
            return Some(call(unknown.of(form), Vec::new()));
        }
        if let DfExpr::Literal(value, _) = &part.expr {
            if value.is_null() {
                return ScalarValue::try_from(&form.arrow()).ok().map(literal);
            }
            let array = value.to_array().ok()?;
            let value = part.form.value(&array, 0).ok()?;
            return form.literal(&value).ok()?.map(literal);
        }
        None
    }

    fn comparison(&self, op: RowOp, left: &Expr, right: &Expr) -> Result<Option<Translated>, Refused> {
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        if is_null(&left.expr) || is_null(&right.expr) {
            return Ok(Some(Translated { expr: literal(ScalarValue::Boolean(None)), form: BOOL }));
        }
        Ok(self
            .comparable(left, right)
            .map(|(left, right)| Translated { expr: binary(left, comparison(op), right), form: BOOL }))
    }

    /// A date's comparison with a constant timestamp, as one with the date that it falls on: `shipped <= date '1998-12-01' -
    /// interval '90 days'`. `None`: not that.
    fn date_comparison(&self, op: RowOp, date: &Expr, stamp: &Expr) -> Result<Option<Translated>, Refused> {
        let (date, stamp) = (self.expr(date)?, self.expr(stamp)?);
        let DfExpr::Literal(ScalarValue::Int64(Some(stamp)), _) = stamp.expr else { return Ok(None) };
        let day = match stamp {
            i64::MIN => i32::MIN,
            i64::MAX => i32::MAX,
            _ => stamp.div_euclid(DAY_MICROS) as i32,
        };
        let whole = stamp.rem_euclid(DAY_MICROS) == 0 || matches!(stamp, i64::MIN | i64::MAX);
        // Days up to that of a time within it are before the time, those after it behind.
        let op = match op {
            _ if whole => op,
            RowOp::Lt | RowOp::Le => RowOp::Le,
            RowOp::Gt | RowOp::Ge => RowOp::Gt,
            RowOp::Eq | RowOp::Ne => return Ok(None),
        };
        let day = literal(ScalarValue::Int32(Some(day)));
        Ok(Some(Translated { expr: binary(date.expr, comparison(op), day), form: BOOL }))
    }

    /// Both sides in one form whose Arrow order is the type's.
    pub(super) fn comparable(&self, left: Translated, right: Translated) -> Option<(DfExpr, DfExpr)> {
        if let (Some(a), Some(b)) = (integer(left.form), integer(right.form)) {
            let wider = if rank(&a) >= rank(&b) { a.clone() } else { b.clone() };
            let widen = |expr: DfExpr, ty: DataType| if ty == wider { expr } else { cast(expr, wider.clone()) };
            return Some((widen(left.expr, a), widen(right.expr, b)));
        }
        if let (Some(a), Some(b)) = (left.form.scale(), right.form.scale())
            && a == b
        {
            // A scaled NaN is the largest, as PostgreSQL has it; a Decimal has none.
            let (short, long) = (left.form.as_scaled().is_some(), right.form.as_scaled().is_some());
            if short == long {
                return Some((left.expr, right.expr));
            }
        }
        // A literal takes the other side's form where it has an exact place there.
        let is_value = |expr: &DfExpr| matches!(expr, DfExpr::Literal(..)) || as_unknown(expr).is_some();
        let to_left = is_value(&right.expr) && left.form.is_ordered();
        if to_left && let Some(right) = self.convert(right.clone(), left.form) {
            return Some((left.expr, right));
        }
        let to_right = is_value(&left.expr) && right.form.is_ordered();
        if to_right && let Some(left) = self.convert(left.clone(), right.form) {
            return Some((left, right.expr));
        }
        let ordered = left.form.is_ordered() && right.form.is_ordered();
        let numeric = left.form.oid() == oid::NUMERIC;
        (ordered && !numeric && left.form.arrow() == right.form.arrow()).then_some((left.expr, right.expr))
    }

    /// What joins, groups and sorts compare.
    pub(super) fn key(&self, part: Translated) -> DfExpr {
        if part.form.is_ordered() {
            return part.expr;
        }
        self::call(OrderKey::new(part.form, Cancel::of(&self.ctx)), vec![part.expr])
    }

    fn arithmetic(
        &self,
        operation: Operation,
        numeric: bool,
        left: &Expr,
        right: &Expr,
    ) -> Result<Option<Translated>, Refused> {
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        if is_null(&left.expr) || is_null(&right.expr) {
            return Ok(None);
        }
        if !numeric {
            let form = left.form;
            return Ok(integer(form).filter(|_| left.form.arrow() == right.form.arrow()).map(|ty| Translated {
                expr: self::call(IntegerArithmetic::new(operation, ty), vec![left.expr, right.expr]),
                form,
            }));
        }
        let Some(function) = Arithmetic::new(operation, left.form, right.form) else { return Ok(None) };
        let form = function.result();
        if self.streaming && form.as_scaled().is_none() {
            // Rows may have been sent when a number turns out not to fit.
            return Ok(None);
        }
        Ok(Some(Translated { expr: self::call(function, vec![left.expr, right.expr]), form }))
    }

    fn unary(&self, expr: &Expr, symbol: &str, arg: &Expr) -> Result<Translated, Refused> {
        let (ty, form) = match symbol {
            "int2_numeric" => (DataType::Int64, form::scaled(5, 0)),
            "int4_numeric" => (DataType::Int64, form::scaled(10, 0)),
            "int8_numeric" if !self.streaming => (Form::Decimal(0).arrow(), Form::Decimal(0)),
            "i2toi4" => (DataType::Int32, Form::of(expr.ty)),
            "int28" | "int48" => (DataType::Int64, Form::of(expr.ty)),
            _ => return self.row(expr),
        };
        let arg = self.expr(arg)?;
        Ok(Translated { expr: cast(arg.expr, ty), form })
    }

    /// `left = ANY (constant array)` and `left <> ALL (constant array)`.
    fn element_of(
        &self,
        expr: &Expr,
        left: &Expr,
        array: &Expr,
        all: bool,
        compare: &crate::executor::functions::Function,
    ) -> Result<Translated, Refused> {
        let negated = match (operator_of(compare), all) {
            (Some(RowOp::Eq), false) => false,
            (Some(RowOp::Ne), true) => true,
            _ => return self.row(expr),
        };
        let value = match is_constant(array).then(|| self.evaluate(array)).transpose()? {
            Some(Datum::Array(value)) if value.items.len() <= 1000 && !value.items.is_empty() => value,
            _ => return self.row(expr),
        };
        let left = self.expr(left)?;
        if !left.form.is_ordered() || value.items.iter().any(Datum::is_null) {
            return self.row(expr);
        }
        let mut list = Vec::with_capacity(value.items.len());
        for item in &value.items {
            let item = match (item, integer(left.form)) {
                (Datum::Int2(v), Some(_)) => resized(i64::from(*v), left.form),
                (Datum::Int4(v), Some(_)) => resized(i64::from(*v), left.form),
                (Datum::Int8(v), Some(_)) => resized(*v, left.form),
                _ => Some(item.clone()),
            };
            match item.map(|item| left.form.literal(&item)).transpose() {
                Ok(Some(Some(item))) => list.push(literal(item)),
                _ => return self.row(expr),
            }
        }
        Ok(Translated { expr: DfExpr::InList(InList::new(Box::new(left.expr), list, negated)), form: BOOL })
    }

    /// A constant's value, as the row road computes it.
    pub(super) fn evaluate(&self, expr: &Expr) -> Result<Datum, Refused> {
        let code = compile::compile(expr, &mut NoSubqueries).map_err(Refused::from)?;
        let plan = Arc::new(Plan::of_expressions(self.slots));
        let mut frame = Frame::new(plan, self.params.clone(), self.ctx.clone());
        // An error is raised where a row reaches the expression, if one does: the row road knows.
        code.eval(&mut frame).map_err(|_| Refused::because("a constant that raises an error"))
    }

    /// For EXPLAIN, a constant that hangs on a subquery's value: `$0`, or what is computed from it.
    pub(super) fn unknown(&self, expr: &Expr) -> Option<Translated> {
        fn names(expr: &Expr, known: usize, found: &mut Vec<String>) {
            if let ExprKind::Param(number) = expr.kind
                && let Some(number) = number.checked_sub(known)
            {
                found.push(format!("${number}"));
            }
            for_parts(expr, &mut |part| names(part, known, found));
        }
        let mut found = Vec::new();
        names(expr, self.known?, &mut found);
        let name = match (&expr.kind, found.pop()?) {
            (ExprKind::Param(_), name) => name,
            (_, last) => {
                found.push(last);
                format!("row_expression({})", found.join(", "))
            }
        };
        let form = Form::of(expr.ty);
        Some(Translated { expr: call(Unknown::new(name, form), Vec::new()), form })
    }

    fn constant(&self, expr: &Expr) -> Result<Translated, Refused> {
        let value = self.evaluate(expr)?;
        let form = match (&value, Form::of(expr.ty)) {
            (Datum::Numeric(number), form) if form.oid() == oid::NUMERIC => number_form(number),
            (_, form) => form,
        };
        match form.literal(&value).map_err(Refused::from)? {
            Some(value) => Ok(Translated { expr: literal(value), form }),
            None => Err(Refused::because("a constant without a form")),
        }
    }

    /// Any expression, by the row road's code.
    fn row(&self, expr: &Expr) -> Result<Translated, Refused> {
        let code = compile::compile(expr, &mut NoSubqueries).map_err(Refused::from)?;
        let mut used = ColumnSet::new();
        used_by(expr, &mut used);
        let (mut args, mut inputs) = (Vec::new(), Vec::new());
        let mut own = ColumnSet::new();
        produced_by(expr, &mut own);
        used.subtract(&own);
        for column in used.iter() {
            let translated = self.column(column)?;
            args.push(translated.expr);
            inputs.push((column.0, translated.form));
        }
        let form = Form::of(expr.ty);
        if args.is_empty() {
            return Err(Refused::because("an expression of no columns"));
        }
        let function = RowExpression::new(code, inputs, form, self.slots, self.params.clone(), self.ctx.clone());
        Ok(Translated { expr: self::call(function, args), form })
    }

    fn column(&self, column: crate::sql::tree::ColumnId) -> Result<Translated, Refused> {
        match self.forms.get(&column) {
            Some(form) => Ok(Translated { expr: DfExpr::Column(Column::new_unqualified(name(column))), form: *form }),
            None => Err(Refused::because("an outer column")),
        }
    }
}

/// The generated name of a column.
pub(super) fn name(column: crate::sql::tree::ColumnId) -> String {
    format!("c{}", column.0)
}

fn rank(ty: &DataType) -> u8 {
    match ty {
        DataType::Int16 => 0,
        DataType::Int32 => 1,
        _ => 2,
    }
}

fn resized(value: i64, form: Form) -> Option<Datum> {
    match form.arrow() {
        DataType::Int16 => i16::try_from(value).ok().map(Datum::Int2),
        DataType::Int32 => i32::try_from(value).ok().map(Datum::Int4),
        _ => Some(Datum::Int8(value)),
    }
}

/// A value that [`Translator::unknown`] stands for.
pub(super) fn as_unknown(expr: &DfExpr) -> Option<&Unknown> {
    match expr {
        DfExpr::ScalarFunction(call) => call.func.inner().downcast_ref(),
        _ => None,
    }
}

pub(super) fn is_null(expr: &DfExpr) -> bool {
    matches!(expr, DfExpr::Literal(value, _) if value.is_null())
}

/// A form that holds all.
fn common_form(forms: &[Form]) -> Option<Form> {
    let mut common = *forms.first()?;
    for form in forms {
        if *form == common {
            continue;
        }
        let (a, b) = (common.scale()?, form.scale()?);
        if a != b {
            // Each value keeps its own scale: they meet in the wide form only.
            return None;
        }
        if let Form::Decimal(_) = form {
            common = *form;
        }
    }
    Some(common)
}

/// The tightest form of a numeric constant.
fn number_form(number: &crate::types::numeric::Numeric) -> Form {
    use crate::types::numeric::Numeric;
    match number {
        Numeric::Small { coefficient, scale } if *scale <= 18 => {
            let digits = coefficient.unsigned_abs().checked_ilog10().map_or(1, |digits| digits as u8 + 1);
            let digits = digits.max(*scale as u8).max(1);
            if digits <= 18 { form::scaled(digits, *scale as u8) } else { form::WIDE }
        }
        _ => form::WIDE,
    }
}

/// Whether an expression names no column: parameters have their values by now.
pub(super) fn is_constant(expr: &Expr) -> bool {
    let mut used = ColumnSet::new();
    used_by(expr, &mut used);
    let mut subqueries = false;
    for_subqueries(expr, &mut |_| subqueries = true);
    used.is_empty() && !subqueries
}
