//! Physical forms: how a column of a SQL type lies in an Arrow array.
//!
//! Every type has its stored form ([`batch::arrow_type`]). numeric has three: declared with at most 18 digits it is stored as
//! a scaled Int64; [`Form::Decimal`] is what sums and products of such are, a scaled i128; everything else is *wide*, our own
//! bytes with a scale per value. A scaled column's NaN is `i64::MAX`; a Decimal has none.

use crate::error::{Error, Result};
use crate::executor::functions::batch;
use crate::types::numeric::Numeric;
use crate::types::{Datum, Oid, Type, oid, shape, typmod};
use arrow_array::builder::Decimal128Builder;
use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use datafusion::common::ScalarValue;
use std::sync::Arc;

/// Digits of a Decimal.
pub(crate) const DECIMAL_DIGITS: u8 = 38;

/// A column's physical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// The stored form of a type that is no domain; the modifier tells a scaled numeric from a wide one.
    Stored(Type),
    /// numeric as an i128 with this many digits after the point.
    Decimal(u8),
}

/// numeric of at most 18 digits: a scaled Int64.
pub(crate) fn scaled(digits: u8, scale: u8) -> Form {
    Form::Stored(Type::with_typmod(oid::NUMERIC, typmod::of_numeric(i32::from(digits), i32::from(scale))))
}

/// numeric of any kind.
pub(crate) const WIDE: Form = Form::Stored(Type::new(oid::NUMERIC));

impl Form {
    /// The stored form of a SQL type; a domain's is that of the type below it.
    pub(crate) fn of(ty: Type) -> Form {
        Form::Stored(shape::base(ty))
    }

    /// The form of what a function computes: a numeric may have any scale.
    pub(crate) fn of_result(ty: Type) -> Form {
        match Form::of(ty) {
            form if form.oid() == oid::NUMERIC => WIDE,
            form => form,
        }
    }

    /// The SQL type's oid.
    pub(crate) fn oid(self) -> Oid {
        match self {
            Form::Stored(ty) => ty.oid,
            Form::Decimal(_) => oid::NUMERIC,
        }
    }

    /// Digits and scale of a scaled numeric.
    pub(crate) fn as_scaled(self) -> Option<(u8, u8)> {
        match self {
            Form::Stored(ty) if ty.oid == oid::NUMERIC => {
                let (precision, scale) = typmod::numeric(ty.typmod)?;
                (precision <= 18 && (0..=precision).contains(&scale)).then_some((precision as u8, scale as u8))
            }
            _ => None,
        }
    }

    /// The scale that all values of a numeric share; `None`: wide, or no numeric.
    pub(crate) fn scale(self) -> Option<u8> {
        match self {
            Form::Decimal(scale) => Some(scale),
            Form::Stored(_) => self.as_scaled().map(|(_, scale)| scale),
        }
    }

    /// The Arrow type.
    pub(crate) fn arrow(self) -> DataType {
        match self {
            Form::Stored(ty) => batch::arrow_type(ty),
            Form::Decimal(scale) => DataType::Decimal128(DECIMAL_DIGITS, scale as i8),
        }
    }

    /// Whether Arrow's equality and order of this form are PostgreSQL's.
    pub(crate) fn is_ordered(self) -> bool {
        match self {
            Form::Decimal(_) => true,
            Form::Stored(ty) => {
                self.as_scaled().is_some()
                    || ty.oid == oid::BPCHAR && ty.typmod > 4
                    || matches!(
                        ty.oid,
                        oid::BOOL
                            | oid::INT2
                            | oid::INT4
                            | oid::INT8
                            | oid::DATE
                            | oid::TIME
                            | oid::TIMESTAMP
                            | oid::TIMESTAMPTZ
                            | oid::TEXT
                            | oid::VARCHAR
                            | oid::NAME
                            | oid::BYTEA
                            | oid::UUID
                    )
                    || crate::types::physical::is_oid(ty.oid)
                    // Places of labels, whose bytes are in the labels' order.
                    || shape::is_enum(ty.oid)
            }
        }
    }

    /// Whether a value in another form is the same array: equal arrays, and equal ways to read them.
    pub(crate) fn reads_as(self, other: Form) -> bool {
        self == other
            || self.arrow() == other.arrow()
                && self.scale() == other.scale()
                && self.oid() != oid::BPCHAR
                && other.oid() != oid::BPCHAR
    }

    /// Whether values of a type can lie in an array: row values cannot, nor arrays of them or of domains.
    pub(crate) fn holds(ty: Type) -> bool {
        let scalar = |ty: Oid| {
            matches!(
                ty,
                oid::BOOL
                    | oid::CHAR
                    | oid::INT2
                    | oid::INT4
                    | oid::INT8
                    | oid::FLOAT4
                    | oid::FLOAT8
                    | oid::NUMERIC
                    | oid::TEXT
                    | oid::VARCHAR
                    | oid::BPCHAR
                    | oid::NAME
                    | oid::BYTEA
                    | oid::JSON
                    | oid::JSONB
                    | oid::DATE
                    | oid::TIME
                    | oid::TIMETZ
                    | oid::TIMESTAMP
                    | oid::TIMESTAMPTZ
                    | oid::INTERVAL
                    | oid::UUID
            ) || crate::types::physical::is_oid(ty)
                || shape::is_enum(ty)
        };
        let ty = shape::base(ty).oid;
        scalar(ty) || oid::element_of(ty).is_some_and(scalar)
    }

    /// The value at `row`.
    pub(crate) fn value(self, array: &ArrayRef, row: usize) -> Result<Datum> {
        match self {
            Form::Stored(ty) => batch::value_at(array, ty, row),
            Form::Decimal(_) if array.is_null(row) => Ok(Datum::Null),
            Form::Decimal(scale) => {
                let Some(array) = array.as_primitive_opt::<Decimal128Type>() else {
                    return Err(Error::internal(format!("a decimal came as {}", array.data_type())));
                };
                Ok(Datum::Numeric(Numeric::from_i128(array.value(row), u16::from(scale))))
            }
        }
    }

    /// A literal of this form; `None`: the value has no exact place in it.
    pub(crate) fn literal(self, value: &Datum) -> Result<Option<ScalarValue>> {
        if let (Some((digits, scale)), Datum::Numeric(number)) = (self.as_scaled(), value) {
            let limit = 10u128.pow(u32::from(digits));
            if exact(number, scale).is_none_or(|digits| digits.unsigned_abs() >= limit) {
                return Ok(None);
            }
        }
        let mut writer = Writer::new(self, 1);
        if !writer.append(value)? {
            return Ok(None);
        }
        let array = writer.finish();
        ScalarValue::try_from_array(&array, 0).map(Some).map_err(|error| Error::internal(error.to_string()))
    }
}

/// A numeric's digits at a scale, if it has no more than that.
pub(crate) fn exact(number: &Numeric, scale: u8) -> Option<i128> {
    if number.min_scale() > u16::from(scale) {
        return None;
    }
    let Numeric::Small { coefficient, scale: own } = number else {
        let (coefficient, own) = number.parts()?;
        let coefficient = i128::try_from(coefficient).ok()?;
        return rescale(coefficient, own, scale);
    };
    rescale(i128::from(*coefficient), *own, scale)
}

fn rescale(coefficient: i128, from: u16, to: u8) -> Option<i128> {
    match u16::from(to).checked_sub(from) {
        Some(up) => coefficient.checked_mul(10i128.checked_pow(u32::from(up))?),
        None => Some(coefficient / 10i128.checked_pow(u32::from(from - u16::from(to)))?),
    }
}

/// Builds a column of a form.
pub(crate) enum Writer {
    Stored(batch::Writer),
    Decimal(Decimal128Builder, u8),
}

impl Writer {
    pub(crate) fn new(form: Form, rows: usize) -> Writer {
        match form {
            Form::Stored(ty) => Writer::Stored(batch::Writer::new(ty, rows)),
            Form::Decimal(scale) => {
                let builder = Decimal128Builder::with_capacity(rows).with_data_type(form.arrow());
                Writer::Decimal(builder, scale)
            }
        }
    }

    /// Appends a value; `false`: it has no place in this form, and nothing is appended.
    pub(crate) fn append(&mut self, value: &Datum) -> Result<bool> {
        match self {
            Writer::Stored(writer) => writer.append(value)?,
            Writer::Decimal(builder, scale) => match value {
                Datum::Null => builder.append_null(),
                Datum::Numeric(number) => match exact(number, *scale) {
                    Some(digits) => builder.append_value(digits),
                    None => return Ok(false),
                },
                other => return Err(Error::internal(format!("{other:?} in a column of numeric"))),
            },
        }
        Ok(true)
    }

    pub(crate) fn finish(self) -> ArrayRef {
        match self {
            Writer::Stored(writer) => writer.finish(),
            Writer::Decimal(mut builder, _) => Arc::new(builder.finish()),
        }
    }
}
