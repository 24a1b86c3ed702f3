//! Compiled expressions: [`Code`] over the register file.
//!
//! A tree of small nodes, evaluated by recursion: arguments of up to three are evaluated into an array on the stack and
//! handed to the function's row form, so that an operator call allocates nothing. Comparisons of integers, dates and
//! timestamps, the work of most predicates, read slots and constants in place.
//!
//! Laziness is PostgreSQL's: CASE, COALESCE, AND and OR evaluate no more than they need, left to right; a strict
//! function's arguments are all evaluated before one of them makes the result NULL.
//!
//! A subquery inside an expression may have to wait. The error passes through, and the same `eval` is called again for the
//! same row: subqueries continue where they were, the rest is computed anew.

use super::frame::Frame;
use super::plan::Slot;
use super::subquery::SubqueryPlan;
use super::subscript::{self, Bounds};
use super::value;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::{CallContext, Function, RowForm};
use crate::sql::tree::{RowOp, SqlValue};
use crate::types::{Array, Datum, Oid, Type, oid};
use std::cmp::Ordering;
use std::sync::Arc;

/// A compiled expression.
#[derive(Clone, Debug)]
pub enum Code {
    /// A slot.
    Slot(Slot),
    /// A constant.
    Const(Datum),
    /// $n, 0-based.
    Param(u32),
    /// A strict call of one argument.
    Call1(&'static Function, RowForm, Box<Code>),
    /// A strict call of two arguments.
    Call2(&'static Function, RowForm, Box<[Code; 2]>),
    /// Any other call.
    Call(&'static Function, RowForm, Box<[Code]>),
    /// A comparison of two values that are integers in a machine word.
    Compare(&'static Function, Comparison, Box<[Code; 2]>),
    /// AND
    And(Box<[Code]>),
    /// OR
    Or(Box<[Code]>),
    /// NOT
    Not(Box<Code>),
    /// IS NULL
    IsNull(Box<Code>),
    /// IS NOT NULL
    IsNotNull(Box<Code>),
    /// IS \[NOT\] DISTINCT FROM: operands, `negated`, the type's `=`.
    IsDistinct(Box<[Code; 2]>, bool, RowForm),
    /// CASE.
    Case(Box<CaseCode>),
    /// COALESCE
    Coalesce(Box<[Code]>),
    /// NULLIF
    NullIf(Box<[Code; 2]>, RowForm),
    /// GREATEST (true), LEAST.
    MinMax(bool, Box<[Code]>),
    /// `left op ANY/ALL (array)`.
    ArrayComparison(Box<ArrayComparison>),
    /// `left = ANY (constant array)` over machine words: sorted words, whether the array holds a NULL, and the general form
    /// for EXPLAIN.
    InWords(Box<(ArrayComparison, Box<[i64]>, bool)>),
    /// ARRAY[…]: element type; whether items are arrays.
    ArrayOf(Oid, bool, Box<[Code]>),
    /// Subscripts.
    Subscript(Box<(Code, Vec<SubscriptCode>)>),
    /// ROW(…)
    Row(Box<[(Type, Code)]>),
    /// (record).field
    Field(Box<Code>, u32),
    /// Row comparison.
    RowComparison(Box<RowComparison>),
    /// A subquery.
    Subquery(Arc<SubqueryPlan>),
    /// A cast through text: value, its type, the target type.
    CoerceViaIo(Box<Code>, Type, Type),
    /// A cast of an array's elements: array, slot that an element is put into, cast of one, its element type.
    CoerceArray(Box<(Code, Slot, Code, Oid)>),
    /// current_date, current_user, ….
    SqlValue(SqlValue, Type),
    /// nextval of a sequence, as the type.
    NextValue(Oid, Oid),
}

/// Comparison operators on machine words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// CASE.
#[derive(Clone, Debug)]
pub struct CaseCode {
    /// The simple form's operand and its slot.
    pub operand: Option<(Slot, Code)>,
    /// WHEN, THEN.
    pub arms: Vec<(Code, Code)>,
    /// ELSE.
    pub otherwise: Option<Code>,
}

/// `left op ANY/ALL (array)`.
#[derive(Clone, Debug)]
pub struct ArrayComparison {
    /// Left operand.
    pub left: Code,
    /// The array.
    pub array: Code,
    /// ALL.
    pub all: bool,
    /// The operator.
    pub function: &'static Function,
    /// Its form.
    pub form: RowForm,
}

/// Row comparison.
#[derive(Clone, Debug)]
pub struct RowComparison {
    /// Operator.
    pub op: RowOp,
    /// Pairs.
    pub pairs: Vec<(Code, Code)>,
    /// `=` per pair.
    pub equal: Vec<RowForm>,
    /// `<` per pair; empty for `=` and `<>`.
    pub less: Vec<RowForm>,
}

/// A subscript.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum SubscriptCode {
    Index(Code),
    Slice(Option<Code>, Option<Code>),
}

/// The comparison operator of a btree operator class that a function of pg_proc is: its symbol ends in the operator's
/// letters, and both arguments have one type, or are integers.
pub fn operator_of(function: &Function) -> Option<RowOp> {
    const INTEGERS: [Oid; 3] = [oid::INT2, oid::INT4, oid::INT8];
    let [left, right] = function.args else { return None };
    let comparable = left == right || INTEGERS.contains(left) && INTEGERS.contains(right);
    if !comparable || function.result != oid::BOOL || !function.strict || function.symbol.contains("regex") {
        return None;
    }
    match function.symbol.get(function.symbol.len().checked_sub(2)?..)? {
        "eq" => Some(RowOp::Eq),
        "ne" => Some(RowOp::Ne),
        "lt" => Some(RowOp::Lt),
        "le" => Some(RowOp::Le),
        "gt" => Some(RowOp::Gt),
        "ge" => Some(RowOp::Ge),
        _ => None,
    }
}

impl Comparison {
    /// The comparison that a function of pg_proc is, when both its operands are words.
    pub fn of(function: &Function) -> Option<Comparison> {
        const WORDS: [Oid; 6] = [oid::INT2, oid::INT4, oid::INT8, oid::DATE, oid::TIMESTAMP, oid::TIMESTAMPTZ];
        let [left, right] = function.args else { return None };
        let integers = |ty: &Oid| WORDS[..3].contains(ty);
        if !(left == right && WORDS.contains(left) || integers(left) && integers(right)) || function.result != oid::BOOL
        {
            return None;
        }
        Some(match operator_of(function)? {
            RowOp::Eq => Comparison::Eq,
            RowOp::Ne => Comparison::Ne,
            RowOp::Lt => Comparison::Lt,
            RowOp::Le => Comparison::Le,
            RowOp::Gt => Comparison::Gt,
            RowOp::Ge => Comparison::Ge,
        })
    }

    #[inline]
    fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Comparison::Eq => left == right,
            Comparison::Ne => left != right,
            Comparison::Lt => left < right,
            Comparison::Le => left <= right,
            Comparison::Gt => left > right,
            Comparison::Ge => left >= right,
        }
    }
}

/// The machine word of an integer, date or timestamp.
#[inline]
fn word(value: &Datum) -> Option<i64> {
    match value {
        Datum::Int4(v) => Some(i64::from(*v)),
        Datum::Int8(v) | Datum::Timestamp(v) | Datum::TimestampTz(v) => Some(*v),
        Datum::Int2(v) => Some(i64::from(*v)),
        Datum::Date(v) => Some(i64::from(*v)),
        _ => None,
    }
}

/// A bool value as three-valued truth.
#[inline]
fn as_truth(value: &Datum) -> Result<Option<bool>> {
    match value {
        Datum::Bool(b) => Ok(Some(*b)),
        Datum::Null => Ok(None),
        other => Err(Error::internal(format!("a condition gave {other:?}"))),
    }
}

fn from_truth(value: Option<bool>) -> Datum {
    value.map_or(Datum::Null, Datum::Bool)
}

impl Code {
    /// The constant true?
    pub fn is_true(&self) -> bool {
        matches!(self, Code::Const(Datum::Bool(true)))
    }

    /// Calls `visit` for every direct part; subqueries' left values are parts, their plans are not.
    pub fn for_parts<'a>(&'a self, visit: &mut dyn FnMut(&'a Code)) {
        match self {
            Code::Slot(_) | Code::Const(_) | Code::Param(_) | Code::SqlValue(..) | Code::NextValue(..) => {}
            Code::Call1(_, _, arg) | Code::Not(arg) | Code::IsNull(arg) | Code::IsNotNull(arg) => visit(arg),
            Code::Field(arg, _) | Code::CoerceViaIo(arg, ..) => visit(arg),
            Code::Call2(_, _, args) | Code::Compare(_, _, args) | Code::IsDistinct(args, ..) => {
                args.iter().for_each(visit);
            }
            Code::NullIf(args, _) => args.iter().for_each(visit),
            Code::Call(_, _, args) | Code::And(args) | Code::Or(args) | Code::Coalesce(args) => {
                args.iter().for_each(visit);
            }
            Code::MinMax(_, args) | Code::ArrayOf(_, _, args) => args.iter().for_each(visit),
            Code::Case(case) => {
                case.operand.iter().for_each(|(_, operand)| visit(operand));
                for (when, then) in &case.arms {
                    visit(when);
                    visit(then);
                }
                case.otherwise.iter().for_each(visit);
            }
            Code::ArrayComparison(comparison) => {
                visit(&comparison.left);
                visit(&comparison.array);
            }
            Code::InWords(set) => visit(&set.0.left),
            Code::Subscript(parts) => {
                visit(&parts.0);
                for subscript in &parts.1 {
                    match subscript {
                        SubscriptCode::Index(index) => visit(index),
                        SubscriptCode::Slice(from, to) => from.iter().chain(to).for_each(&mut *visit),
                    }
                }
            }
            Code::Row(fields) => fields.iter().for_each(|(_, field)| visit(field)),
            Code::RowComparison(comparison) => {
                for (left, right) in &comparison.pairs {
                    visit(left);
                    visit(right);
                }
            }
            Code::Subquery(subquery) => {
                if let super::subquery::SubqueryUse::Quantified(quantified) = &subquery.kind {
                    quantified.left.iter().for_each(visit);
                }
            }
            Code::CoerceArray(parts) => {
                visit(&parts.0);
                visit(&parts.2);
            }
        }
    }

    /// The value.
    pub fn eval(&self, f: &mut Frame) -> Result<Datum> {
        match self {
            Code::Slot(slot) => Ok(f.slots[*slot as usize].clone()),
            Code::Const(value) => Ok(value.clone()),
            Code::Param(n) => Ok(f.params[*n as usize].clone()),
            Code::Call1(_, form, arg) => {
                let arg = arg.eval(f)?;
                if arg.is_null() { Ok(Datum::Null) } else { form(&f.call, &[arg]) }
            }
            Code::Call2(_, form, args) => {
                let args = [args[0].eval(f)?, args[1].eval(f)?];
                if args[0].is_null() || args[1].is_null() { Ok(Datum::Null) } else { form(&f.call, &args) }
            }
            Code::Call(function, form, args) => call(function, *form, args, f),
            Code::Compare(..) | Code::And(_) | Code::Or(_) | Code::Not(_) => Ok(from_truth(self.truth(f)?)),
            Code::IsNull(_) | Code::IsNotNull(_) | Code::IsDistinct(..) => Ok(from_truth(self.truth(f)?)),
            Code::ArrayComparison(_) | Code::InWords(_) | Code::RowComparison(_) => Ok(from_truth(self.truth(f)?)),
            Code::Case(case) => match case.choose(f)? {
                Some(code) => code.eval(f),
                None => Ok(Datum::Null),
            },
            Code::Coalesce(args) => {
                for arg in args {
                    let value = arg.eval(f)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Ok(Datum::Null)
            }
            Code::NullIf(args, equal) => {
                let args = [args[0].eval(f)?, args[1].eval(f)?];
                let [left, right] = &args;
                if !left.is_null() && !right.is_null() && matches!(equal(&f.call, &args)?, Datum::Bool(true)) {
                    return Ok(Datum::Null);
                }
                let [left, _] = args;
                Ok(left)
            }
            Code::MinMax(greatest, args) => min_max(*greatest, args, f),
            Code::ArrayOf(element, nested, items) => {
                let items = items.iter().map(|item| item.eval(f)).collect::<Result<Vec<_>>>()?;
                if *nested {
                    subscript::nest(*element, items)
                } else {
                    Ok(Datum::Array(Arc::new(Array::of(*element, items))))
                }
            }
            Code::Subscript(parts) => subscripted(&parts.0, &parts.1, f),
            Code::Row(fields) => {
                let fields = fields.iter().map(|(ty, field)| Ok((*ty, field.eval(f)?))).collect::<Result<Vec<_>>>()?;
                Ok(Datum::Record(fields.into()))
            }
            Code::Field(record, field) => match record.eval(f)? {
                Datum::Record(fields) => Ok(fields.get(*field as usize).map_or(Datum::Null, |field| field.1.clone())),
                _ => Ok(Datum::Null),
            },
            Code::Subquery(subquery) => subquery.eval(f),
            Code::CoerceViaIo(arg, from, to) => {
                let arg = arg.eval(f)?;
                if arg.is_null() {
                    return Ok(Datum::Null);
                }
                let mut text = String::new();
                value::output(&arg, *from, &f.call, &mut text)?;
                value::input(&text, *to, &f.call)
            }
            Code::CoerceArray(parts) => coerce_array(parts, f),
            Code::SqlValue(what, ty) => sql_value(*what, *ty, &f.call),
            Code::NextValue(sequence, ty) => {
                let next = f.call.host.nextval(*sequence)?;
                let range = |name| Error::new(SqlState::NumericValueOutOfRange, format!("{name} out of range"));
                match *ty {
                    oid::INT2 => i16::try_from(next).map(Datum::Int2).map_err(|_| range("smallint")),
                    oid::INT4 => i32::try_from(next).map(Datum::Int4).map_err(|_| range("integer")),
                    _ => Ok(Datum::Int8(next)),
                }
            }
        }
    }

    /// Whether the condition is true (not false, not NULL).
    #[inline]
    pub fn test(&self, f: &mut Frame) -> Result<bool> {
        Ok(self.truth(f)? == Some(true))
    }

    /// A condition's three-valued truth.
    pub fn truth(&self, f: &mut Frame) -> Result<Option<bool>> {
        match self {
            Code::Compare(_, comparison, args) => {
                let left = args[0].word(f)?;
                let right = args[1].word(f)?;
                Ok(left.zip(right).map(|(left, right)| comparison.holds(left, right)))
            }
            Code::And(args) => {
                let mut result = Some(true);
                for arg in args {
                    match arg.truth(f)? {
                        Some(true) => {}
                        Some(false) => return Ok(Some(false)),
                        None => result = None,
                    }
                }
                Ok(result)
            }
            Code::Or(args) => {
                let mut result = Some(false);
                for arg in args {
                    match arg.truth(f)? {
                        Some(false) => {}
                        Some(true) => return Ok(Some(true)),
                        None => result = None,
                    }
                }
                Ok(result)
            }
            Code::Not(arg) => Ok(arg.truth(f)?.map(|b| !b)),
            Code::IsNull(arg) => arg.nullness(f, true).map(Some),
            Code::IsNotNull(arg) => arg.nullness(f, false).map(Some),
            Code::IsDistinct(args, negated, equal) => {
                let args = [args[0].eval(f)?, args[1].eval(f)?];
                let distinct = match (args[0].is_null(), args[1].is_null()) {
                    (true, true) => false,
                    (false, false) => !matches!(equal(&f.call, &args)?, Datum::Bool(true)),
                    _ => true,
                };
                Ok(Some(distinct != *negated))
            }
            Code::ArrayComparison(comparison) => comparison.truth(f),
            Code::InWords(set) => {
                let (comparison, words, holds_null) = &**set;
                Ok(match comparison.left.word(f)? {
                    None => None,
                    Some(word) if words.binary_search(&word).is_ok() => Some(true),
                    Some(_) => (!holds_null).then_some(false),
                })
            }
            Code::RowComparison(comparison) => comparison.truth(f),
            Code::Slot(slot) => as_truth(&f.slots[*slot as usize]),
            Code::Const(value) => as_truth(value),
            other => as_truth(&other.eval(f)?),
        }
    }

    /// The value as a machine word, read in place where it is a slot or a constant.
    #[inline]
    fn word(&self, f: &mut Frame) -> Result<Option<i64>> {
        match self {
            Code::Slot(slot) => Ok(word(&f.slots[*slot as usize])),
            Code::Const(value) => Ok(word(value)),
            Code::Param(n) => Ok(word(&f.params[*n as usize])),
            other => Ok(word(&other.eval(f)?)),
        }
    }

    /// IS NULL (`null`) or IS NOT NULL: of a record, of all its fields.
    fn nullness(&self, f: &mut Frame, null: bool) -> Result<bool> {
        let judge = |value: &Datum| match value {
            Datum::Record(fields) => fields.iter().all(|(_, field)| field.is_null() == null),
            other => other.is_null() == null,
        };
        match self {
            Code::Slot(slot) => Ok(judge(&f.slots[*slot as usize])),
            other => Ok(judge(&other.eval(f)?)),
        }
    }
}

/// A call of any number of arguments, strict or not.
fn call(function: &'static Function, form: RowForm, args: &[Code], f: &mut Frame) -> Result<Datum> {
    match args {
        [] => form(&f.call, &[]),
        [a] => finish_call(function, form, &[a.eval(f)?], f),
        [a, b] => finish_call(function, form, &[a.eval(f)?, b.eval(f)?], f),
        [a, b, c] => finish_call(function, form, &[a.eval(f)?, b.eval(f)?, c.eval(f)?], f),
        many => {
            let values = many.iter().map(|arg| arg.eval(f)).collect::<Result<Vec<_>>>()?;
            finish_call(function, form, &values, f)
        }
    }
}

#[inline]
fn finish_call(function: &'static Function, form: RowForm, args: &[Datum], f: &mut Frame) -> Result<Datum> {
    if function.strict && args.iter().any(Datum::is_null) {
        return Ok(Datum::Null);
    }
    form(&f.call, args)
}

/// Calls a function over values at hand, minding strictness. For quantified comparisons and COPY.
pub(super) fn apply(strict: bool, form: RowForm, ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    if strict && args.iter().any(Datum::is_null) { Ok(Datum::Null) } else { form(ctx, args) }
}

fn min_max(greatest: bool, args: &[Code], f: &mut Frame) -> Result<Datum> {
    let wanted = if greatest { Ordering::Greater } else { Ordering::Less };
    let mut best = Datum::Null;
    for arg in args {
        let value = arg.eval(f)?;
        if !value.is_null() && (best.is_null() || value::compare(&value, &best) == wanted) {
            best = value;
        }
    }
    Ok(best)
}

fn subscripted(array: &Code, subscripts: &[SubscriptCode], f: &mut Frame) -> Result<Datum> {
    let Datum::Array(array) = array.eval(f)? else { return Ok(Datum::Null) };
    let mut bounds = Vec::with_capacity(subscripts.len());
    for subscript in subscripts {
        let mut side = |code: &Code| match code.eval(f)? {
            Datum::Int4(v) => Ok(Some(v)),
            Datum::Null => Ok(None),
            other => Err(Error::internal(format!("an array subscript gave {other:?}"))),
        };
        bounds.push(match subscript {
            SubscriptCode::Index(index) => match side(index)? {
                Some(index) => Bounds::Index(index),
                None => return Ok(Datum::Null),
            },
            SubscriptCode::Slice(from, to) => {
                let from = match from {
                    Some(code) => match side(code)? {
                        Some(value) => Some(value),
                        None => return Ok(Datum::Null),
                    },
                    None => None,
                };
                let to = match to {
                    Some(code) => match side(code)? {
                        Some(value) => Some(value),
                        None => return Ok(Datum::Null),
                    },
                    None => None,
                };
                Bounds::Slice(from, to)
            }
        });
    }
    Ok(subscript::subscript(&array, &bounds))
}

fn coerce_array(parts: &(Code, Slot, Code, Oid), f: &mut Frame) -> Result<Datum> {
    let (array, slot, element, element_type) = parts;
    let Datum::Array(array) = array.eval(f)? else { return Ok(Datum::Null) };
    let mut items = Vec::with_capacity(array.items.len());
    for item in &array.items {
        f.set(*slot, item.clone());
        items.push(element.eval(f)?);
    }
    Ok(Datum::Array(Arc::new(Array { element: *element_type, dims: array.dims.clone(), items })))
}

impl CaseCode {
    fn choose(&self, f: &mut Frame) -> Result<Option<&Code>> {
        if let Some((slot, operand)) = &self.operand {
            let value = operand.eval(f)?;
            f.set(*slot, value);
        }
        for (condition, result) in &self.arms {
            if condition.test(f)? {
                return Ok(Some(result));
            }
        }
        Ok(self.otherwise.as_ref())
    }
}

impl ArrayComparison {
    /// The faster form, where there is one. An empty array is left alone: it is false for NULL too.
    pub fn optimized(self) -> Code {
        let words = match &self.array {
            Code::Const(Datum::Array(array)) if !self.all && Comparison::of(self.function) == Some(Comparison::Eq) => {
                array
            }
            _ => return Code::ArrayComparison(Box::new(self)),
        };
        let mut sorted: Vec<i64> = words.items.iter().filter_map(word).collect();
        let holds_null = words.items.iter().any(Datum::is_null);
        // A comparison of words has words and NULLs for items.
        if words.items.is_empty() {
            return Code::ArrayComparison(Box::new(self));
        }
        sorted.sort_unstable();
        sorted.dedup();
        Code::InWords(Box::new((self, sorted.into(), holds_null)))
    }

    /// ANY: true if one comparison is; NULL if none is and one gave NULL. ALL: the mirror image.
    fn truth(&self, f: &mut Frame) -> Result<Option<bool>> {
        let left = self.left.eval(f)?;
        let held;
        let array = match &self.array {
            Code::Const(Datum::Array(array)) => array,
            other => match other.eval(f)? {
                Datum::Array(array) => {
                    held = array;
                    &held
                }
                _ => return Ok(None),
            },
        };
        if array.items.is_empty() {
            return Ok(Some(self.all));
        }
        if left.is_null() && self.function.strict {
            return Ok(None);
        }
        let mut result = Some(self.all);
        let mut args = [left, Datum::Null];
        for item in &array.items {
            args[1] = item.clone();
            match as_truth(&apply(self.function.strict, self.form, &f.call, &args)?)? {
                Some(truth) if truth != self.all => return Ok(Some(truth)),
                Some(_) => {}
                None => result = None,
            }
        }
        Ok(result)
    }
}

impl RowComparison {
    fn truth(&self, f: &mut Frame) -> Result<Option<bool>> {
        match self.op {
            RowOp::Eq => self.all_equal(f),
            RowOp::Ne => Ok(self.all_equal(f)?.map(|equal| !equal)),
            op => self.ordered(op, f),
        }
    }

    fn all_equal(&self, f: &mut Frame) -> Result<Option<bool>> {
        let mut result = Some(true);
        for (pair, equal) in self.pairs.iter().zip(&self.equal) {
            let args = [pair.0.eval(f)?, pair.1.eval(f)?];
            match as_truth(&apply(true, *equal, &f.call, &args)?)? {
                Some(true) => {}
                Some(false) => return Ok(Some(false)),
                None => result = None,
            }
        }
        Ok(result)
    }

    /// <, <=, >, >=: decided by the first pair that is not equal; NULL there makes the result NULL.
    fn ordered(&self, op: RowOp, f: &mut Frame) -> Result<Option<bool>> {
        for (i, pair) in self.pairs.iter().enumerate() {
            let args = [pair.0.eval(f)?, pair.1.eval(f)?];
            match as_truth(&apply(true, self.equal[i], &f.call, &args)?)? {
                Some(true) => {}
                None => return Ok(None),
                Some(false) => {
                    let less = as_truth(&apply(true, self.less[i], &f.call, &args)?)?;
                    let wants_less = matches!(op, RowOp::Lt | RowOp::Le);
                    return Ok(less.map(|less| less == wants_less));
                }
            }
        }
        Ok(Some(matches!(op, RowOp::Le | RowOp::Ge)))
    }
}

const DAY_US: i64 = 86_400_000_000;
/// Microseconds from 1970-01-01 to 2000-01-01.
const EPOCH_US: i64 = 946_684_800_000_000;

/// SQL's value functions. The date and time ones are all of the transaction's start, in the session's zone.
fn sql_value(what: SqlValue, ty: Type, ctx: &CallContext) -> Result<Datum> {
    let zone_offset = || -> Result<i64> {
        let now = jiff::Timestamp::from_microsecond(ctx.transaction_time + EPOCH_US)
            .map_err(|_| Error::internal("the transaction's time is out of range"))?;
        Ok(i64::from(ctx.time_zone.to_offset(now).seconds()))
    };
    let round = |micros: i64| match u32::try_from(ty.typmod) {
        Ok(digits) if digits < 6 => {
            let unit = 10_i64.pow(6 - digits);
            (micros + unit / 2).div_euclid(unit) * unit
        }
        _ => micros,
    };
    Ok(match what {
        SqlValue::CurrentTimestamp => Datum::TimestampTz(round(ctx.transaction_time)),
        SqlValue::LocalTimestamp => Datum::Timestamp(round(ctx.transaction_time + zone_offset()? * 1_000_000)),
        SqlValue::CurrentDate => {
            Datum::Date((ctx.transaction_time + zone_offset()? * 1_000_000).div_euclid(DAY_US) as i32)
        }
        SqlValue::LocalTime => {
            Datum::Time(round((ctx.transaction_time + zone_offset()? * 1_000_000).rem_euclid(DAY_US)))
        }
        SqlValue::CurrentTime => {
            let offset = zone_offset()?;
            let local = (ctx.transaction_time + offset * 1_000_000).rem_euclid(DAY_US);
            Datum::TimeTz(round(local), -(offset as i32))
        }
        SqlValue::CurrentUser | SqlValue::User | SqlValue::CurrentRole => Datum::Text(ctx.host.user(false).into()),
        SqlValue::SessionUser => Datum::Text(ctx.host.user(true).into()),
        SqlValue::CurrentCatalog => Datum::Text(ctx.host.database().into()),
        SqlValue::CurrentSchema => {
            let catalog = ctx.host.catalog();
            let schema = ctx.host.search_path(false).first().and_then(|oid| catalog.schemas.get(oid).cloned());
            schema.map_or(Datum::Null, |schema| Datum::Text(schema.name.as_str().into()))
        }
    })
}
