//! Values between the row road and its neighbours: text and key comparison for operators, storage's cells for scans and writes.
//!
//! The one file of the row road that names `types::compare`, `types::physical` and the text forms; until these exist,
//! `provisional` stands in for the commonest types and refuses others.

use super::frame::Frame;
use crate::catalog::image::{Index, Relation};
use crate::error::{Error, Result};
use crate::executor::functions::CallContext;
use crate::types::{Datum, Type};
use lightning_storage::key::KeyEncoder;
use lightning_storage::{RowId, Value};
use std::cmp::Ordering;

/// The btree order of two values of one type, neither NULL. Small integers and dates are compared here, all else by type.
pub(super) fn compare(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Int4(a), Datum::Int4(b)) => a.cmp(b),
        (Datum::Int8(a), Datum::Int8(b)) => a.cmp(b),
        (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Datum::Date(a), Datum::Date(b)) => a.cmp(b),
        _ => provisional::compare(left, right),
    }
}

/// Whether two values are equal in grouping's sense: NULL equals NULL.
pub(super) fn same(left: &Datum, right: &Datum) -> bool {
    match (left, right) {
        (Datum::Null, Datum::Null) => true,
        (Datum::Null, _) | (_, Datum::Null) => false,
        _ => compare(left, right) == Ordering::Equal,
    }
}

/// Whether two rows are equal in grouping's sense.
pub(super) fn same_row(left: &[Datum], right: &[Datum]) -> bool {
    left.iter().zip(right).all(|(a, b)| same(a, b))
}

/// A hash of a row that agrees with [`same_row`].
pub(super) fn hash_row(values: &[Datum]) -> u64 {
    let mut hash = 0x9E37_79B9_7F4A_7C15_u64;
    for value in values {
        hash = (hash.rotate_left(23) ^ hash_one(value)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    }
    hash ^ (hash >> 32)
}

fn hash_one(value: &Datum) -> u64 {
    match value {
        Datum::Null => 0x5bd1_e995,
        Datum::Int4(v) => mix(i64::from(*v) as u64),
        Datum::Int8(v) => mix(*v as u64),
        Datum::Int2(v) => mix(i64::from(*v) as u64),
        Datum::Date(v) => mix(*v as u64),
        other => provisional::hash(other),
    }
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// ORDER BY's comparison of two key values.
pub(super) fn compare_key(left: &Datum, right: &Datum, descending: bool, nulls_first: bool) -> Ordering {
    match (left.is_null(), right.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => {
            if nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (false, true) => {
            if nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        (false, false) if descending => compare(right, left),
        (false, false) => compare(left, right),
    }
}

/// A value's text, as its type's output function writes it; `null` for NULL, as in PostgreSQL's error details.
pub(super) fn text(value: &Datum, ty: Type, ctx: &CallContext) -> Result<String> {
    if value.is_null() {
        return Ok("null".to_owned());
    }
    let mut out = String::new();
    output(value, ty, ctx, &mut out)?;
    Ok(out)
}

/// The type's output function.
pub(super) fn output(value: &Datum, ty: Type, ctx: &CallContext, out: &mut String) -> Result<()> {
    provisional::output(value, ty, ctx, out)
}

/// The type's input function.
pub(super) fn input(text: &str, ty: Type, ctx: &CallContext) -> Result<Datum> {
    provisional::input(text, ty, ctx)
}

/// The value of a stored cell.
#[inline]
pub(super) fn from_storage(cell: Value<'_>, ty: Type) -> Result<Datum> {
    match cell {
        Value::Null => Ok(Datum::Null),
        other => provisional::from_value(other, ty),
    }
}

/// A row id as `ctid`: PostgreSQL's pair of block and offset is the id's high and low 16 bits.
pub(super) fn ctid(row: RowId) -> Datum {
    Datum::Text(format!("({},{})", row.0 >> 16, row.0 & 0xffff).into())
}

/// The encoded key of the leading columns of `index`; values have the key columns' types.
pub(super) fn encode_key(values: &[Datum], index: &Index) -> Result<Vec<u8>> {
    let mut encoder = KeyEncoder::new();
    let mut scratch = Vec::new();
    for (value, key) in values.iter().zip(&index.keys) {
        let physical = provisional::column_type(key.ty);
        scratch.clear();
        let cell = provisional::to_value(value, key.ty, &mut scratch)?;
        encoder.push(cell, physical, key.descending, key.nulls_first);
    }
    Ok(encoder.finish()?.to_vec())
}

/// A system relation's rows, each with all attributes in order.
pub(super) fn system_rows(
    relation: &Relation,
    key: Option<(i16, Datum)>,
    f: &Frame,
) -> Result<Box<dyn Iterator<Item = Result<Vec<Datum>>> + Send>> {
    let _ = (key, f);
    Err(Error::unsupported(format!("reading \"{}\"", relation.name)))
}

/// The stored cell of a value.
#[inline]
pub(super) fn to_storage<'a>(value: &'a Datum, ty: Type, scratch: &'a mut Vec<u8>) -> Result<Value<'a>> {
    provisional::to_value(value, ty, scratch)
}

/// Stands in for `types::{compare, physical, output, input}`.
mod provisional {
    use super::*;
    use crate::types::numeric::Numeric;
    use crate::types::oid;
    use lightning_storage::ColumnType;

    pub(super) fn compare(left: &Datum, right: &Datum) -> Ordering {
        match (left, right) {
            (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
            (Datum::Int2(a), Datum::Int2(b)) => a.cmp(b),
            (Datum::Float8(a), Datum::Float8(b)) => a.total_cmp(b),
            (Datum::Timestamp(a), Datum::Timestamp(b)) | (Datum::TimestampTz(a), Datum::TimestampTz(b)) => a.cmp(b),
            (Datum::Oid(a), Datum::Oid(b)) => a.cmp(b),
            (
                Datum::Numeric(Numeric::Small { coefficient: a, scale: p }),
                Datum::Numeric(Numeric::Small { coefficient: b, scale: q }),
            ) => {
                let scale = (*p).max(*q);
                let wide = |v: i64, s: u16| i128::from(v).saturating_mul(10_i128.saturating_pow(u32::from(scale - s)));
                wide(*a, *p).cmp(&wide(*b, *q))
            }
            _ => Ordering::Equal,
        }
    }

    pub(super) fn hash(value: &Datum) -> u64 {
        match value {
            Datum::Text(text) => text
                .bytes()
                .fold(14_695_981_039_346_656_037, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(1_099_511_628_211)),
            Datum::Oid(oid) => mix(u64::from(oid.0)),
            _ => 7,
        }
    }

    pub(super) fn output(value: &Datum, ty: Type, _: &CallContext, out: &mut String) -> Result<()> {
        match value {
            Datum::Bool(v) => out.push_str(if *v { "t" } else { "f" }),
            Datum::Int2(v) => out.push_str(&v.to_string()),
            Datum::Int4(v) => out.push_str(&v.to_string()),
            Datum::Int8(v) => out.push_str(&v.to_string()),
            Datum::Text(v) => out.push_str(v),
            _ => return Err(Error::unsupported(format!("the text of a value of type {}", ty.oid))),
        }
        Ok(())
    }

    pub(super) fn input(_: &str, ty: Type, _: &CallContext) -> Result<Datum> {
        Err(Error::unsupported(format!("reading a value of type {}", ty.oid)))
    }

    pub(super) fn column_type(ty: Type) -> ColumnType {
        match ty.oid {
            oid::BOOL => ColumnType::Bool,
            oid::INT2 => ColumnType::Int16,
            oid::INT4 => ColumnType::Int32,
            oid::INT8 => ColumnType::Int64,
            _ => ColumnType::Bytes,
        }
    }

    pub(super) fn from_value(cell: Value<'_>, ty: Type) -> Result<Datum> {
        match cell {
            Value::Bool(v) => Ok(Datum::Bool(v)),
            Value::Int16(v) => Ok(Datum::Int2(v)),
            Value::Int32(v) => Ok(Datum::Int4(v)),
            Value::Int64(v) => Ok(Datum::Int8(v)),
            Value::Bytes(v) => Ok(Datum::Text(String::from_utf8_lossy(v).into())),
            _ => Err(Error::unsupported(format!("a stored value of type {}", ty.oid))),
        }
    }

    pub(super) fn to_value<'a>(value: &'a Datum, ty: Type, _: &'a mut Vec<u8>) -> Result<Value<'a>> {
        match value {
            Datum::Null => Ok(Value::Null),
            Datum::Bool(v) => Ok(Value::Bool(*v)),
            Datum::Int2(v) => Ok(Value::Int16(*v)),
            Datum::Int4(v) => Ok(Value::Int32(*v)),
            Datum::Int8(v) => Ok(Value::Int64(*v)),
            Datum::Text(v) => Ok(Value::Bytes(v.as_bytes())),
            _ => Err(Error::unsupported(format!("storing a value of type {}", ty.oid))),
        }
    }
}
