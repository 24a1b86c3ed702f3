//! SQL values as storage keeps them.
//!
//! numeric with a declared precision of at most 18 is an Int64 scaled by its declared scale; any other numeric is Keyed: its order-preserving
//! digits, then the display scale (u16). interval is Keyed: its length in microseconds (i128, sign flipped), then months, days, micros.
//! timetz is Keyed: UTC time and zone in order. jsonb is Keyed by itself (see `types::jsonb`). Arrays are Keyed: every item as a key column and the
//! dimensions, then the array's own binary form.
//! The date/time types are their numbers, uuid is 16 bytes, oid an Int64, text and bytea their bytes,
//! char(n) without the blanks at its end. bpchar without a length is Keyed: the same, then how many blanks there were.
//! An enum's value is the place of its label (see `shape::place`), a domain's what its base type's is.

use super::jsonb::Jsonb;
use super::numeric::Numeric;
use super::{Array, ArrayDim, Datum, Interval, Oid, Type, interval, oid, shape, typmod};
use crate::error::{Error, Result, SqlState};
use bytes::Bytes;
use lightning_storage::key::{KeyEncoder, keyed_part, keyed_value};
use lightning_storage::{ColumnType, Value};
use std::sync::Arc;

/// The declared scale of a numeric that is stored as a scaled Int64.
pub(super) fn scaled(ty: Type) -> Option<u16> {
    let (precision, scale) = typmod::numeric(ty.typmod)?;
    (precision <= 18 && (0..=precision).contains(&scale)).then_some(scale as u16)
}

/// The storage form of a type.
pub fn column_type(ty: Type) -> ColumnType {
    let ty = shape::base(ty);
    match ty.oid {
        oid::BOOL => ColumnType::Bool,
        oid::INT2 | oid::CHAR => ColumnType::Int16,
        oid::INT4 | oid::DATE => ColumnType::Int32,
        oid::INT8 | oid::TID | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ => ColumnType::Int64,
        oid::FLOAT4 => ColumnType::Float32,
        oid::FLOAT8 => ColumnType::Float64,
        oid::UUID => ColumnType::Fixed16,
        oid::NUMERIC if scaled(ty).is_some() => ColumnType::Int64,
        oid::BPCHAR if keeps_blanks(ty) => ColumnType::Keyed,
        oid::NUMERIC | oid::INTERVAL | oid::TIMETZ | oid::JSONB => ColumnType::Keyed,
        oid::INT2VECTOR | oid::OIDVECTOR => ColumnType::Keyed,
        other if is_oid(other) => ColumnType::Int64,
        other if oid::element_of(other).is_some() => ColumnType::Keyed,
        _ => ColumnType::Bytes,
    }
}

/// bpchar without a length: its blanks are shown, though comparisons do not see them.
pub(super) fn keeps_blanks(ty: Type) -> bool {
    ty.oid == oid::BPCHAR && ty.typmod <= 4
}

/// oid, xid, cid and the reg types.
pub fn is_oid(ty: Oid) -> bool {
    matches!(
        ty,
        oid::OID
            | oid::XID
            | oid::CID
            | oid::REGPROC
            | oid::REGPROCEDURE
            | oid::REGOPER
            | oid::REGOPERATOR
            | oid::REGCLASS
            | oid::REGTYPE
            | oid::REGNAMESPACE
            | oid::REGROLE
            | oid::REGCOLLATION
    )
}

/// The stored form of a value of type `ty`; `scratch` holds bytes that have to be made.
///
/// # Errors
/// 0A000 for types that cannot be stored.
pub fn to_value<'a>(value: &'a Datum, ty: Type, scratch: &'a mut Vec<u8>) -> Result<Value<'a>> {
    let ty = shape::base(ty);
    Ok(match value {
        Datum::Null => Value::Null,
        Datum::Bool(v) => Value::Bool(*v),
        Datum::Char(v) => Value::Int16(i16::from(*v)),
        Datum::Int2(v) => Value::Int16(*v),
        Datum::Int4(v) | Datum::Date(v) => Value::Int32(*v),
        Datum::Int8(v) | Datum::Time(v) | Datum::Timestamp(v) | Datum::TimestampTz(v) => Value::Int64(*v),
        Datum::Float4(v) => Value::Float32(*v),
        Datum::Float8(v) => Value::Float64(*v),
        Datum::Oid(v) => Value::Int64(i64::from(v.0)),
        Datum::Uuid(v) => Value::Fixed16(*v),
        Datum::Text(v) | Datum::Padded(v) if keeps_blanks(ty) => {
            let counts = v.trim_end_matches(' ');
            keyed(counts.as_bytes(), &((v.len() - counts.len()) as u32).to_le_bytes(), scratch)
        }
        Datum::Text(v) | Datum::Padded(v) if ty.oid == oid::BPCHAR => Value::Bytes(v.trim_end_matches(' ').as_bytes()),
        Datum::Text(v) | Datum::Padded(v) | Datum::Enum(_, v) => Value::Bytes(v.as_bytes()),
        Datum::Bytea(v) => Value::Bytes(v),
        Datum::Jsonb(v) => Value::Bytes(v.bytes()),
        Datum::Numeric(v) => match scaled(ty) {
            Some(scale) => Value::Int64(scaled_int(v, scale)?),
            None => {
                scratch.clear();
                v.encode_key(scratch);
                scratch.extend_from_slice(&v.scale().to_le_bytes());
                scratch.extend_from_slice(&2u16.to_le_bytes());
                Value::Bytes(scratch)
            }
        },
        Datum::Interval(v) => {
            let key = (interval::comparison_value(*v) as u128 ^ 1 << 127).to_be_bytes();
            let mut rest = Vec::with_capacity(16);
            rest.extend_from_slice(&v.months.to_le_bytes());
            rest.extend_from_slice(&v.days.to_le_bytes());
            rest.extend_from_slice(&v.micros.to_le_bytes());
            keyed(&key, &rest, scratch)
        }
        Datum::TimeTz(time, west) => {
            let utc = time + i64::from(*west) * 1_000_000;
            let mut key = (utc as u64 ^ 1 << 63).to_be_bytes().to_vec();
            key.extend_from_slice(&(*west as u32 ^ 1 << 31).to_be_bytes());
            keyed(&key, &[], scratch)
        }
        Datum::Array(v) => {
            let (mut key, mut rest) = (KeyEncoder::new(), Vec::new());
            encode_array(v, &mut key, &mut rest)?;
            keyed(key.bytes(), &rest, scratch)
        }
        Datum::Record(_) => return Err(Error::unsupported("storing a row value")),
    })
}

/// A value's bytes in its type's order: equal values have equal bytes. Appended to `out`; not for NULL.
///
/// # Errors
/// 0A000 for types that cannot be stored.
pub fn order_key(value: &Datum, ty: Oid, out: &mut Vec<u8>) -> Result<()> {
    let ty = Type::new(ty);
    let mut scratch = Vec::new();
    let mut key = KeyEncoder::new();
    match value {
        // Of a long one the cell's key part is not the key.
        Datum::Jsonb(value) => key.push(Value::Bytes(value.key()), ColumnType::Bytes, false, false),
        value => key.push(to_value(value, ty, &mut scratch)?, column_type(ty), false, false),
    }
    out.extend_from_slice(key.bytes());
    Ok(())
}

fn keyed<'a>(key: &[u8], rest: &[u8], scratch: &'a mut Vec<u8>) -> Value<'a> {
    scratch.clear();
    keyed_value(key, rest, scratch);
    Value::Bytes(scratch)
}

fn scaled_int(v: &Numeric, scale: u16) -> Result<i64> {
    match v.round(i32::from(scale))? {
        Numeric::Small { coefficient, .. } => Ok(coefficient),
        Numeric::NaN => Ok(i64::MAX),
        _ => Err(Error::new(SqlState::NumericValueOutOfRange, "numeric field overflow")),
    }
}

/// The value of a stored cell of type `ty`.
#[inline]
pub fn from_value(cell: Value<'_>, ty: Type) -> Result<Datum> {
    let ty = shape::base(ty);
    Ok(match cell {
        Value::Null => Datum::Null,
        Value::Bool(v) => Datum::Bool(v),
        Value::Int16(v) if ty.oid == oid::CHAR => Datum::Char(v as u8),
        Value::Int16(v) => Datum::Int2(v),
        Value::Int32(v) if ty.oid == oid::DATE => Datum::Date(v),
        Value::Int32(v) => Datum::Int4(v),
        Value::Int64(v) => match ty.oid {
            oid::INT8 | oid::TID => Datum::Int8(v),
            oid::TIMESTAMP => Datum::Timestamp(v),
            oid::TIMESTAMPTZ => Datum::TimestampTz(v),
            oid::TIME => Datum::Time(v),
            oid::NUMERIC if v == i64::MAX => Datum::Numeric(Numeric::NaN),
            oid::NUMERIC => Datum::Numeric(Numeric::Small { coefficient: v, scale: scaled(ty).unwrap_or(0) }),
            _ => Datum::Oid(Oid(v as u32)),
        },
        Value::Float32(v) => Datum::Float4(v),
        Value::Float64(v) => Datum::Float8(v),
        Value::Fixed16(v) => Datum::Uuid(v),
        Value::Bytes(v) => from_bytes(v, ty).ok_or_else(|| {
            Error::new(SqlState::DataCorrupted, format!("a stored value of type {} cannot be read", ty.oid))
        })?,
    })
}

fn from_bytes(bytes: &[u8], ty: Type) -> Option<Datum> {
    match ty.oid {
        oid::BYTEA => Some(Datum::Bytea(Bytes::copy_from_slice(bytes))),
        oid::JSONB => Jsonb::from_bytes(bytes).map(Datum::Jsonb),
        oid::NUMERIC => {
            let key = keyed_part(bytes);
            let scale = bytes.get(key.len()..key.len() + 2)?;
            Some(Datum::Numeric(Numeric::decode_key(key, u16::from_le_bytes([scale[0], scale[1]]))?))
        }
        oid::INTERVAL => {
            let rest = bytes.get(16..32)?;
            let int = |at: usize| i32::from_le_bytes(rest[at..at + 4].try_into().expect("four bytes"));
            let micros = i64::from_le_bytes(rest[8..].try_into().expect("eight bytes"));
            Some(Datum::Interval(Interval { months: int(0), days: int(4), micros }))
        }
        oid::TIMETZ => {
            let utc = (u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?) ^ 1 << 63) as i64;
            let west = (u32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?) ^ 1 << 31) as i32;
            Some(Datum::TimeTz(utc - i64::from(west) * 1_000_000, west))
        }
        oid::INT2VECTOR | oid::OIDVECTOR => decode_array(&bytes[keyed_part(bytes).len()..]),
        other if oid::element_of(other).is_some() => decode_array(&bytes[keyed_part(bytes).len()..]),
        oid::BPCHAR if keeps_blanks(ty) => {
            let text = keyed_part(bytes);
            let blanks = u32::from_le_bytes(bytes.get(text.len()..text.len() + 4)?.try_into().ok()?) as usize;
            let text = std::str::from_utf8(text).ok()?;
            Some(if blanks == 0 {
                Datum::Text(text.into())
            } else {
                Datum::Padded((text.to_owned() + &" ".repeat(blanks)).into())
            })
        }
        oid::BPCHAR => std::str::from_utf8(bytes).ok().map(|text| typmod::padded(text, (ty.typmod - 4) as usize)),
        other => {
            let text = std::str::from_utf8(bytes).ok()?.into();
            Some(if shape::is_enum(other) { Datum::Enum(other, text) } else { Datum::Text(text) })
        }
    }
}

/// `rest`: element oid, number of dimensions, (length, lower bound) each, then per item its stored form with a length.
fn encode_array(array: &Array, key: &mut KeyEncoder, rest: &mut Vec<u8>) -> Result<()> {
    rest.extend_from_slice(&array.element.0.to_le_bytes());
    rest.push(array.dims.len() as u8);
    for dim in &array.dims {
        rest.extend_from_slice(&dim.len.to_le_bytes());
        rest.extend_from_slice(&dim.lower.to_le_bytes());
    }
    let ty = Type::new(array.element);
    let mut scratch = Vec::new();
    for item in &array.items {
        let cell = to_value(item, ty, &mut scratch)?;
        key.push(cell, column_type(ty), false, false);
        let bytes: Vec<u8> = match cell {
            Value::Null => {
                rest.extend_from_slice(&u32::MAX.to_le_bytes());
                continue;
            }
            Value::Bool(v) => vec![u8::from(v)],
            Value::Int16(v) => v.to_le_bytes().to_vec(),
            Value::Int32(v) => v.to_le_bytes().to_vec(),
            Value::Int64(v) => v.to_le_bytes().to_vec(),
            Value::Float32(v) => v.to_le_bytes().to_vec(),
            Value::Float64(v) => v.to_le_bytes().to_vec(),
            Value::Fixed16(v) => v.to_vec(),
            Value::Bytes(v) => v.to_vec(),
        };
        rest.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        rest.extend_from_slice(&bytes);
    }
    // Arrays of the same items: fewer dimensions first, then by their lengths, then by their lower bounds.
    key.append(&[0, array.dims.len() as u8]);
    let ordered = |number: i32| (number as u32 ^ 1 << 31).to_be_bytes();
    array.dims.iter().for_each(|dim| key.append(&ordered(dim.len)));
    array.dims.iter().for_each(|dim| key.append(&ordered(dim.lower)));
    Ok(())
}

fn decode_array(rest: &[u8]) -> Option<Datum> {
    let mut at = rest;
    let mut take = |len: usize| {
        let (head, tail) = at.split_at_checked(len)?;
        at = tail;
        Some(head)
    };
    let element = Oid(u32::from_le_bytes(take(4)?.try_into().ok()?));
    let count = take(1)?[0];
    let mut dims = Vec::with_capacity(count as usize);
    let mut items_len = usize::from(count > 0);
    for _ in 0..count {
        let len = i32::from_le_bytes(take(4)?.try_into().ok()?);
        let lower = i32::from_le_bytes(take(4)?.try_into().ok()?);
        items_len *= usize::try_from(len).ok()?;
        dims.push(ArrayDim { len, lower });
    }
    let ty = Type::new(element);
    let form = column_type(ty);
    let mut items = Vec::with_capacity(items_len.min(1 << 16));
    for _ in 0..items_len {
        let len = u32::from_le_bytes(take(4)?.try_into().ok()?);
        if len == u32::MAX {
            items.push(Datum::Null);
            continue;
        }
        let bytes = take(len as usize)?;
        let cell = match form {
            ColumnType::Bool => Value::Bool(bytes == [1]),
            ColumnType::Int16 => Value::Int16(i16::from_le_bytes(bytes.try_into().ok()?)),
            ColumnType::Int32 => Value::Int32(i32::from_le_bytes(bytes.try_into().ok()?)),
            ColumnType::Int64 => Value::Int64(i64::from_le_bytes(bytes.try_into().ok()?)),
            ColumnType::Float32 => Value::Float32(f32::from_le_bytes(bytes.try_into().ok()?)),
            ColumnType::Float64 => Value::Float64(f64::from_le_bytes(bytes.try_into().ok()?)),
            ColumnType::Fixed16 => Value::Fixed16(bytes.try_into().ok()?),
            ColumnType::Bytes | ColumnType::Keyed => Value::Bytes(bytes),
        };
        items.push(from_value(cell, ty).ok()?);
    }
    Some(Datum::Array(Arc::new(Array { element, dims, items })))
}
