//! Each type's own btree order, equality and hash: what indexes, sorts, groups and joins go by.
//!
//! NaN equals itself and is above all floats; -0 equals 0; numeric ignores its scale; an interval counts a month as 30 days and
//! a day as 24 hours; char(n)'s padding never counts; text orders by code point (C.UTF-8).

use super::{Array, Datum, interval};
use std::cmp::Ordering;

/// The order of two values of one type, neither of them NULL.
pub fn compare(left: &Datum, right: &Datum) -> Ordering {
    use Datum::*;
    match (left, right) {
        (Bool(a), Bool(b)) => a.cmp(b),
        (Char(a), Char(b)) => a.cmp(b),
        (Int2(a), Int2(b)) => a.cmp(b),
        (Int4(a), Int4(b)) | (Date(a), Date(b)) => a.cmp(b),
        (Int8(a), Int8(b)) | (Time(a), Time(b)) | (Timestamp(a), Timestamp(b)) | (TimestampTz(a), TimestampTz(b)) => {
            a.cmp(b)
        }
        (Float4(a), Float4(b)) => float(f64::from(*a), f64::from(*b)),
        (Float8(a), Float8(b)) => float(*a, *b),
        (Numeric(a), Numeric(b)) => a.cmp(b),
        (Text(a), Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Text(a) | Padded(a), Text(b) | Padded(b)) => blanks(a).cmp(blanks(b)),
        (Bytea(a), Bytea(b)) => a.cmp(b),
        (Jsonb(a), Jsonb(b)) => a.key().cmp(b.key()),
        (TimeTz(a, zone), TimeTz(b, other)) => {
            let utc = |time: i64, west: i32| time + i64::from(west) * 1_000_000;
            utc(*a, *zone).cmp(&utc(*b, *other)).then(zone.cmp(other))
        }
        (Interval(a), Interval(b)) => interval::comparison_value(*a).cmp(&interval::comparison_value(*b)),
        (Uuid(a), Uuid(b)) => a.cmp(b),
        (Oid(a), Oid(b)) => a.cmp(b),
        (Enum(_, a), Enum(_, b)) => a.as_bytes().cmp(b.as_bytes()),
        (Array(a), Array(b)) => arrays(a, b),
        (Record(a), Record(b)) => {
            let fields = a.iter().zip(b.iter()).map(|((_, x), (_, y))| nullable(x, y));
            fields.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
        }
        // The binder makes both sides one type; what is left are NULLs, equal as in grouping.
        _ => nullable(left, right),
    }
}

/// As [`compare`], with NULL above all else and equal to NULL, as inside arrays and records.
pub fn nullable(left: &Datum, right: &Datum) -> Ordering {
    match (left.is_null(), right.is_null()) {
        (false, false) if std::mem::discriminant(left) == std::mem::discriminant(right) => compare(left, right),
        (false, false) => match (left, right) {
            (Datum::Text(a) | Datum::Padded(a), Datum::Text(b) | Datum::Padded(b)) => blanks(a).cmp(blanks(b)),
            _ => Ordering::Equal,
        },
        (left, right) => left.cmp(&right),
    }
}

/// A bpchar's bytes that count.
fn blanks(text: &str) -> &[u8] {
    text.trim_end_matches(' ').as_bytes()
}

/// float8's order.
pub fn float(a: f64, b: f64) -> Ordering {
    match a.partial_cmp(&b) {
        Some(order) => order,
        None => a.is_nan().cmp(&b.is_nan()),
    }
}

/// The order of two arrays: items first, then size and shape.
pub fn arrays(a: &Array, b: &Array) -> Ordering {
    let items = a.items.iter().zip(&b.items).map(|(x, y)| nullable(x, y));
    items
        .into_iter()
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
        .then(a.items.len().cmp(&b.items.len()))
        .then(a.dims.len().cmp(&b.dims.len()))
        .then_with(|| a.dims.iter().map(|dim| dim.len).cmp(b.dims.iter().map(|dim| dim.len)))
        .then_with(|| a.dims.iter().map(|dim| dim.lower).cmp(b.dims.iter().map(|dim| dim.lower)))
}

/// A hash that agrees with equality by [`compare`].
pub fn hash(value: &Datum) -> u64 {
    use Datum::*;
    match value {
        Null => 0x5bd1_e995,
        Bool(v) => mix(u64::from(*v)),
        Char(v) => mix(u64::from(*v)),
        Int2(v) => mix(i64::from(*v) as u64),
        Int4(v) | Date(v) => mix(i64::from(*v) as u64),
        Int8(v) | Time(v) | Timestamp(v) | TimestampTz(v) => mix(*v as u64),
        Float4(v) => float_hash(f64::from(*v)),
        Float8(v) => float_hash(*v),
        Numeric(v) => v.hash64(),
        Text(v) | Enum(_, v) => bytes_hash(v.as_bytes()),
        Padded(v) => bytes_hash(blanks(v)),
        Bytea(v) => bytes_hash(v),
        Jsonb(v) => bytes_hash(v.key()),
        TimeTz(time, west) => mix(*time as u64 ^ (*west as u64) << 40),
        Interval(v) => {
            let value = interval::comparison_value(*v);
            mix(value as u64 ^ (value >> 64) as u64)
        }
        Uuid(v) => bytes_hash(v),
        Oid(v) => mix(u64::from(v.0)),
        Array(v) => v.items.iter().fold(v.items.len() as u64, |h, item| mix(h.rotate_left(7) ^ hash(item))),
        Record(v) => v.iter().fold(v.len() as u64, |h, (_, item)| mix(h.rotate_left(7) ^ hash(item))),
    }
}

fn float_hash(v: f64) -> u64 {
    if v.is_nan() { 0x7ff8 } else { mix((v + 0.0).to_bits()) }
}

fn bytes_hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = mix(hash ^ u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(hash ^ u64::from_le_bytes(last))
}

/// The finaliser of splitmix64.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
