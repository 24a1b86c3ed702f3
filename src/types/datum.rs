//! [`Datum`]: one SQL value, 32 bytes, cheap to clone: short text lies inside it, everything long is shared.

use super::jsonb::Jsonb;
use super::oid::Oid;
use crate::types::numeric::Numeric;
use bytes::Bytes;
use std::sync::Arc;

/// Text of any string type: up to 23 bytes inline, else shared.
pub type Text = smol_str::SmolStr;

/// One SQL value.
///
/// There is deliberately no `PartialEq`: equality is the SQL type's, see `types::compare`.
#[derive(Clone, Debug, Default)]
pub enum Datum {
    /// SQL NULL of any type.
    #[default]
    Null,
    /// bool
    Bool(bool),
    /// "char": one byte.
    Char(u8),
    /// int2
    Int2(i16),
    /// int4
    Int4(i32),
    /// int8
    Int8(i64),
    /// float4
    Float4(f32),
    /// float8
    Float8(f64),
    /// numeric: value with display scale, NaN and infinities.
    Numeric(Numeric),
    /// text, varchar, bpchar without blanks at its end, name, json, unknown, cstring.
    Text(Text),
    /// A bpchar with blanks at its end, which comparisons do not see.
    Padded(Text),
    /// bytea
    Bytea(Bytes),
    /// jsonb
    Jsonb(Jsonb),
    /// date: days since 2000-01-01; `i32::MIN` and `i32::MAX` are the infinities.
    Date(i32),
    /// time: microseconds since midnight, 0 to 86,400,000,000.
    Time(i64),
    /// timetz: microseconds since midnight, and seconds WEST of UTC (PostgreSQL's sign).
    TimeTz(i64, i32),
    /// timestamp: microseconds since 2000-01-01; `i64::MIN` and `i64::MAX` are the infinities.
    Timestamp(i64),
    /// timestamptz: microseconds since 2000-01-01 00:00 UTC; infinities likewise.
    TimestampTz(i64),
    /// interval
    Interval(Interval),
    /// uuid
    Uuid([u8; 16]),
    /// oid, xid, cid and the reg types.
    Oid(Oid),
    /// A value of an enum: the enum's oid, and the place of the label ([`super::shape::place`]), which the catalog knows by it.
    Enum(Oid, Text),
    /// An array of any element type; int2vector and oidvector too (lower bound 0).
    Array(Arc<Array>),
    /// A row value: ROW(…), a whole-row reference, a composite.
    Record(Arc<[(super::Type, Datum)]>),
}

/// interval: three independent fields, as PostgreSQL keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interval {
    /// Whole months (12 a year).
    pub months: i32,
    /// Whole days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

/// A multi-dimensional array; elements in row-major order.
#[derive(Clone, Debug)]
pub struct Array {
    /// The element type's oid.
    pub element: Oid,
    /// Dimensions, outermost first; empty for `{}`.
    pub dims: Vec<ArrayDim>,
    /// Product of the dimensions' lengths of elements; NULL elements are [`Datum::Null`].
    pub items: Vec<Datum>,
}

/// One dimension of an [`Array`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayDim {
    /// Number of elements.
    pub len: i32,
    /// Subscript of the first one (1 unless told).
    pub lower: i32,
}

impl Datum {
    /// A bpchar.
    pub fn bpchar(text: Text) -> Datum {
        if text.ends_with(' ') { Datum::Padded(text) } else { Datum::Text(text) }
    }

    /// Whether this is SQL NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Datum::Null)
    }
}

impl Array {
    /// A one-dimensional array with lower bound 1 (zero-dimensional when `items` is empty).
    pub fn of(element: Oid, items: Vec<Datum>) -> Array {
        let dims = if items.is_empty() { Vec::new() } else { vec![ArrayDim { len: items.len() as i32, lower: 1 }] };
        Array { element, dims, items }
    }

    /// The element at a place, one subscript for each dimension; `None`: there is none.
    pub fn element(&self, subscripts: &[i32]) -> Option<&Datum> {
        if subscripts.len() != self.dims.len() {
            return None;
        }
        let mut offset = 0usize;
        for (subscript, dim) in subscripts.iter().zip(&self.dims) {
            let at = i64::from(*subscript) - i64::from(dim.lower);
            if at < 0 || at >= i64::from(dim.len) {
                return None;
            }
            offset = offset * dim.len as usize + at as usize;
        }
        self.items.get(offset)
    }
}
