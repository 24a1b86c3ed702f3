//! Arithmetic on numerics that share a scale: + - * over scaled Int64 and Decimal, with PostgreSQL's result scales.
//!
//! What fits 18 digits by declaration stays an Int64; anything else is an i128 whose overflow, like a NaN that an i128 cannot
//! hold, is a [broken assumption](super::error::BrokenAssumption). NaN in a scaled column is `i64::MAX`, which no value of 18
//! digits reaches.

use super::error::{broken, external};
use super::form::{DECIMAL_DIGITS, Form, scaled};
use crate::error::Error;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{Array, ArrayRef, Decimal128Array, Int64Array};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// +, - or *.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
}

/// 10^38: one more than a Decimal's largest.
const DECIMAL_LIMIT: i128 = 10i128.pow(DECIMAL_DIGITS as u32);

/// numeric_add, numeric_sub, numeric_mul over two forms.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Arithmetic {
    operation: Operation,
    left: Form,
    right: Form,
    result: Form,
    signature: Signature,
}

/// Digits and scale of a form that shares a scale.
fn digits(form: Form) -> Option<(u8, u8)> {
    match form {
        Form::Decimal(scale) => Some((DECIMAL_DIGITS, scale)),
        Form::Stored(_) => form.as_scaled(),
    }
}

impl Arithmetic {
    /// `None`: an operand has no scale of its own, or the result would have more digits after the point than fit.
    pub(crate) fn new(operation: Operation, left: Form, right: Form) -> Option<Arithmetic> {
        let ((left_digits, left_scale), (right_digits, right_scale)) = (digits(left)?, digits(right)?);
        let (result_digits, scale) = match operation {
            Operation::Multiply => (left_digits + right_digits, left_scale + right_scale),
            _ => {
                let scale = left_scale.max(right_scale);
                ((left_digits - left_scale).max(right_digits - right_scale) + 1 + scale, scale)
            }
        };
        if scale >= DECIMAL_DIGITS {
            return None;
        }
        let result = if result_digits <= 18 { scaled(result_digits, scale) } else { Form::Decimal(scale) };
        let signature = Signature::exact(vec![left.arrow(), right.arrow()], Volatility::Immutable);
        Some(Arithmetic { operation, left, right, result, signature })
    }

    /// The result's form.
    pub(crate) fn result(&self) -> Form {
        self.result
    }

    /// What an operand is multiplied by to have the result's scale.
    fn factor(&self, operand: Form) -> i128 {
        match (self.operation, self.result.scale(), operand.scale()) {
            (Operation::Multiply, ..) => 1,
            (_, Some(result), Some(own)) => 10i128.pow(u32::from(result - own)),
            _ => 1,
        }
    }
}

/// An operand: its numbers, and which are NULL.
enum Numbers<'a> {
    Short(&'a [i64]),
    Long(&'a [i128]),
}

fn numbers(array: &ArrayRef) -> Result<Numbers<'_>> {
    match array.data_type() {
        DataType::Int64 => Ok(Numbers::Short(array.as_primitive::<Int64Type>().values())),
        DataType::Decimal128(..) => Ok(Numbers::Long(array.as_primitive::<Decimal128Type>().values())),
        other => Err(external(Error::internal(format!("numeric arithmetic over {other}")))),
    }
}

/// `a * b` and what tells that it does not fit.
#[inline(always)]
fn multiply(a: i128, b: i128, fits: &mut bool) -> i128 {
    // Two that fit 64 bits are the rule, and their product fits 38 digits.
    if a as i64 as i128 == a && b as i64 as i128 == b {
        return a * b;
    }
    let product = a.checked_mul(b).filter(|product| product.unsigned_abs() < DECIMAL_LIMIT as u128);
    *fits &= product.is_some();
    product.unwrap_or(0)
}

#[inline(always)]
fn add(a: i128, b: i128, fits: &mut bool) -> i128 {
    // Operands are below 10^38 in size: the sum cannot leave an i128.
    let sum = a + b;
    *fits &= sum.unsigned_abs() < DECIMAL_LIMIT as u128;
    sum
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "numeric_add",
            Operation::Subtract => "numeric_sub",
            Operation::Multiply => "numeric_mul",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.arrow())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let nulls = NullBuffer::union(arrays[0].nulls(), arrays[1].nulls());
        let (left, right) = (numbers(&arrays[0])?, numbers(&arrays[1])?);
        let array = match (&self.result, left, right) {
            (Form::Stored(_), Numbers::Short(left), Numbers::Short(right)) => self.short(left, right, nulls),
            (Form::Decimal(scale), left, right) => self.long(left, right, nulls, *scale)?,
            _ => return Err(external(Error::internal("numeric arithmetic over mixed forms"))),
        };
        Ok(ColumnarValue::Array(array))
    }
}

impl Arithmetic {
    /// A result of at most 18 digits: nothing overflows.
    fn short(&self, left: &[i64], right: &[i64], nulls: Option<NullBuffer>) -> ArrayRef {
        let factors = (self.factor(self.left) as i64, self.factor(self.right) as i64);
        let operation = |a: i64, b: i64| match self.operation {
            Operation::Add => a.wrapping_mul(factors.0).wrapping_add(b.wrapping_mul(factors.1)),
            Operation::Subtract => a.wrapping_mul(factors.0).wrapping_sub(b.wrapping_mul(factors.1)),
            Operation::Multiply => a.wrapping_mul(b),
        };
        let value = |(a, b): (&i64, &i64)| {
            let nan = *a == i64::MAX || *b == i64::MAX;
            if nan { i64::MAX } else { operation(*a, *b) }
        };
        let values: Vec<i64> = left.iter().zip(right).map(value).collect();
        Arc::new(Int64Array::new(values.into(), nulls))
    }

    fn long(&self, left: Numbers<'_>, right: Numbers<'_>, nulls: Option<NullBuffer>, scale: u8) -> Result<ArrayRef> {
        let nulls_of = nulls.as_ref();
        let mut fits = !has_nan(&left, nulls_of) && !has_nan(&right, nulls_of);
        let values = match (left, right) {
            (Numbers::Short(a), Numbers::Short(b)) => {
                self.each(a.len(), |i| i128::from(a[i]), |i| i128::from(b[i]), nulls_of, &mut fits)
            }
            (Numbers::Short(a), Numbers::Long(b)) => {
                self.each(a.len(), |i| i128::from(a[i]), |i| b[i], nulls_of, &mut fits)
            }
            (Numbers::Long(a), Numbers::Short(b)) => {
                self.each(a.len(), |i| a[i], |i| i128::from(b[i]), nulls_of, &mut fits)
            }
            (Numbers::Long(a), Numbers::Long(b)) => self.each(a.len(), |i| a[i], |i| b[i], nulls_of, &mut fits),
        };
        if !fits {
            return Err(broken());
        }
        let array = Decimal128Array::new(values.into(), nulls);
        Ok(Arc::new(array.with_precision_and_scale(DECIMAL_DIGITS, scale as i8)?))
    }

    #[inline(always)]
    fn each(
        &self,
        rows: usize,
        left: impl Fn(usize) -> i128,
        right: impl Fn(usize) -> i128,
        nulls: Option<&NullBuffer>,
        fits: &mut bool,
    ) -> Vec<i128> {
        let (by_left, by_right) = (self.factor(self.left), self.factor(self.right));
        match self.operation {
            Operation::Multiply => map(rows, left, right, nulls, fits, multiply),
            Operation::Add => map(rows, left, right, nulls, fits, |a, b, fits| {
                let (a, b) = (multiply(a, by_left, fits), multiply(b, by_right, fits));
                add(a, b, fits)
            }),
            Operation::Subtract => map(rows, left, right, nulls, fits, |a, b, fits| {
                let (a, b) = (multiply(a, by_left, fits), multiply(b, by_right, fits));
                add(a, -b, fits)
            }),
        }
    }
}

/// Whether a value that is not NULL is NaN.
fn has_nan(numbers: &Numbers<'_>, nulls: Option<&NullBuffer>) -> bool {
    match numbers {
        Numbers::Short(values) => {
            let any = values.iter().fold(false, |any, v| any | (*v == i64::MAX));
            any && (0..values.len()).any(|i| values[i] == i64::MAX && nulls.is_none_or(|nulls| nulls.is_valid(i)))
        }
        Numbers::Long(_) => false,
    }
}

/// `operation` on all rows; what lies under a NULL is no value, and its not fitting does not count.
#[inline(always)]
fn map(
    rows: usize,
    left: impl Fn(usize) -> i128,
    right: impl Fn(usize) -> i128,
    nulls: Option<&NullBuffer>,
    fits: &mut bool,
    operation: impl Fn(i128, i128, &mut bool) -> i128,
) -> Vec<i128> {
    let mut out = Vec::with_capacity(rows);
    for i in 0..rows {
        let mut ok = true;
        out.push(operation(left(i), right(i), &mut ok));
        if !ok && nulls.is_none_or(|nulls| nulls.is_valid(i)) {
            *fits = false;
        }
    }
    out
}
