//! Values between the row road and its neighbours: text and key comparison for operators, storage's cells for scans and writes.
//!
//! The one file of the row road that names `types::compare`, `types::physical` and the text forms.

use super::frame::Frame;
use crate::catalog::image::{Body, Index, Relation};
use crate::catalog::system::SystemRows;
use crate::error::{Error, Result};
use crate::executor::functions::CallContext;
use crate::types::{Datum, Oid, Type, physical, text_io};
use lightning_storage::key::KeyEncoder;
use lightning_storage::{ColumnNo, RowBuffer, RowId, Value};
use std::cmp::Ordering;

/// The btree order of two values of one type, neither NULL. Small integers and dates are compared here, all else by type.
pub(super) fn compare(left: &Datum, right: &Datum) -> Ordering {
    match (left, right) {
        (Datum::Int4(a), Datum::Int4(b)) => a.cmp(b),
        (Datum::Int8(a), Datum::Int8(b)) => a.cmp(b),
        (Datum::Text(a), Datum::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Datum::Date(a), Datum::Date(b)) => a.cmp(b),
        _ => crate::types::compare::compare(left, right),
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
        other => crate::types::compare::hash(other),
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
    text_io::output(value, ty, &ctx.text(), out);
    Ok(())
}

/// The type's input function.
pub(super) fn input(text: &str, ty: Type, ctx: &CallContext) -> Result<Datum> {
    text_io::input(text, ty, &ctx.text())
}

/// The value of a stored cell.
#[inline]
pub(super) fn from_storage(cell: Value<'_>, ty: Type) -> Result<Datum> {
    match cell {
        Value::Null => Ok(Datum::Null),
        other => physical::from_value(other, ty),
    }
}

/// A row id as `ctid`: PostgreSQL's pair of block and offset is the id's high and low 16 bits.
pub(super) fn ctid(row: RowId) -> Datum {
    Datum::Int8(row.0 as i64)
}

/// The row that a ctid names.
pub(super) fn row_of_ctid(ctid: &Datum) -> Option<RowId> {
    match ctid {
        Datum::Int8(row) => Some(RowId(*row as u64)),
        _ => None,
    }
}

/// A row's `xmin`: a digest of its id and its stored values, so that it is another one once any of them is. Numbers that
/// PostgreSQL keeps for transactions of its own are left out.
pub(super) fn xmin(rows: &RowBuffer, at: usize, columns: &[ColumnNo]) -> Datum {
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |bytes: &[u8]| bytes.iter().for_each(|byte| hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
    take(&rows.row_id(at).0.to_le_bytes());
    let row = rows.row(at);
    for column in columns {
        let value = row.get(*column);
        if matches!(value, Value::Null) {
            continue;
        }
        take(&column.0.to_le_bytes());
        match value {
            Value::Null => {}
            Value::Bool(v) => take(&[u8::from(v)]),
            Value::Int16(v) => take(&v.to_le_bytes()),
            Value::Int32(v) => take(&v.to_le_bytes()),
            Value::Int64(v) => take(&v.to_le_bytes()),
            Value::Float32(v) => take(&v.to_bits().to_le_bytes()),
            Value::Float64(v) => take(&v.to_bits().to_le_bytes()),
            Value::Fixed16(v) => take(&v),
            Value::Bytes(v) => {
                take(&(v.len() as u64).to_le_bytes());
                take(v);
            }
        }
    }
    // The upper bits of such a product depend on all that went in; the lower ones do not.
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    let digest = (hash >> 32) as u32;
    Datum::Oid(Oid(if digest < FIRST_XID { digest + FIRST_XID } else { digest }))
}

/// The least number of an ordinary transaction of PostgreSQL's.
const FIRST_XID: u32 = 3;

/// The encoded key of the leading columns of `index`; values have the key columns' types.
pub(super) fn encode_key(values: &[Datum], index: &Index) -> Result<Vec<u8>> {
    let mut encoder = KeyEncoder::new();
    let mut scratch = Vec::new();
    for (value, key) in values.iter().zip(&index.keys) {
        let physical = physical::column_type(key.ty);
        scratch.clear();
        let cell = physical::to_value(value, key.ty, &mut scratch)?;
        encoder.push(cell, physical, key.descending, key.nulls_first);
    }
    Ok(encoder.into_key()?)
}

/// A system relation's rows, each with all attributes in order.
pub(super) fn system_rows(relation: &Relation, key: Option<(i16, Datum)>, f: &Frame) -> Result<SystemRows> {
    let Body::System(system) = &relation.body else {
        return Err(Error::internal(format!("\"{}\" is not a system relation", relation.name)));
    };
    match key {
        // Nothing equals NULL.
        Some((_, Datum::Null)) => Ok(Box::new(std::iter::empty())),
        Some((attribute, value)) => system.rows(&f.call, Some((attribute, &value))),
        None => system.rows(&f.call, None),
    }
}

/// The stored cell of a value.
#[inline]
pub(super) fn to_storage<'a>(value: &'a Datum, ty: Type, scratch: &'a mut Vec<u8>) -> Result<Value<'a>> {
    physical::to_value(value, ty, scratch)
}
