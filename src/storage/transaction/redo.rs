//! Redo: what the log keeps of a transaction, and of the values that leave the engine outside of one.
//!
//! ```text
//! record   := 1 i64 clock, change*          a commit group
//!           | 2 u32 sequence, i64 value, u8 called
//!           | 3 u32 bound                   oids below it may have been given out
//!           | 4 i64 clock, u32 n, n x extent, change*
//!                                           a commit group whose first changes lie in extents of the data file, in order
//! change   := 1 u32 table, u64 row, bytes image                       insertion, all values inline
//!           | 2 u32 table, u64 row, u16 n, n x (u16 column, u8 null, bytes value)
//!           | 3 u32 table, u64 row                                    deletion
//! bytes    := u32 length, so many bytes
//! ```
//! All little endian. Objects are rows of the catalog's table, so that there is no other kind of change.

use crate::error::{Error, Result};
use crate::space::Extent;
use crate::table::definition::Reader;
use crate::types::row::{Field, encode, encode_value};
use crate::types::{ColumnNo, ObjectId, Value};

const COMMIT: u8 = 1;
const SEQUENCE: u8 = 2;
const OIDS: u8 = 3;
const LARGE_COMMIT: u8 = 4;
const INSERT: u8 = 1;
const UPDATE: u8 = 2;
const DELETE: u8 = 3;

/// A record of the log.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    Commit { extents: Vec<Extent>, changes: Changes<'a> },
    Sequence { sequence: ObjectId, value: i64, called: bool },
    Oids { bound: u32 },
}

/// The changes of a group, in order.
#[derive(Debug)]
pub(crate) struct Changes<'a>(pub(crate) &'a [u8]);

/// One of them.
#[derive(Debug)]
pub(crate) enum Change<'a> {
    Insert { table: ObjectId, row: u64, image: &'a [u8] },
    Update { table: ObjectId, row: u64, columns: Vec<(ColumnNo, Option<&'a [u8]>)> },
    Delete { table: ObjectId, row: u64 },
}

/// A commit group: changes in extents, then inline ones.
pub(crate) fn commit_group(clock_us: i64, extents: &[Extent], changes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + 16 * extents.len() + changes.len());
    out.push(if extents.is_empty() { COMMIT } else { LARGE_COMMIT });
    out.extend_from_slice(&clock_us.to_le_bytes());
    if !extents.is_empty() {
        out.extend_from_slice(&(extents.len() as u32).to_le_bytes());
        extents.iter().for_each(|extent| extent.encode(&mut out));
    }
    out.extend_from_slice(changes);
    out
}

pub(crate) fn sequence(sequence: ObjectId, value: i64, called: bool) -> Vec<u8> {
    let mut out = vec![SEQUENCE];
    out.extend_from_slice(&sequence.0.to_le_bytes());
    out.extend_from_slice(&value.to_le_bytes());
    out.push(u8::from(called));
    out
}

pub(crate) fn oids(bound: u32) -> Vec<u8> {
    let mut out = vec![OIDS];
    out.extend_from_slice(&bound.to_le_bytes());
    out
}

fn head(out: &mut Vec<u8>, kind: u8, table: ObjectId, row: u64) {
    out.push(kind);
    out.extend_from_slice(&table.0.to_le_bytes());
    out.extend_from_slice(&row.to_le_bytes());
}

pub(crate) fn insert(out: &mut Vec<u8>, table: ObjectId, row: u64, values: &[Value<'_>]) {
    head(out, INSERT, table, row);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    encode(values.iter().map(|value| Field::Value(*value)), out);
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// [`insert`] of a row that is encoded already, all values inline.
pub(crate) fn insert_image(out: &mut Vec<u8>, table: ObjectId, row: u64, image: &[u8]) {
    head(out, INSERT, table, row);
    out.extend_from_slice(&(image.len() as u32).to_le_bytes());
    out.extend_from_slice(image);
}

pub(crate) fn update(out: &mut Vec<u8>, table: ObjectId, row: u64, changes: &[(ColumnNo, Value<'_>)]) {
    head(out, UPDATE, table, row);
    out.extend_from_slice(&(changes.len() as u16).to_le_bytes());
    for (column, value) in changes {
        out.extend_from_slice(&column.0.to_le_bytes());
        out.push(u8::from(value.is_null()));
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        encode_value(*value, out);
        let length = (out.len() - at - 4) as u32;
        out[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
}

pub(crate) fn delete(out: &mut Vec<u8>, table: ObjectId, row: u64) {
    head(out, DELETE, table, row);
}

/// Reads a record of the log.
pub(crate) fn decode(bytes: &[u8]) -> Result<Record<'_>> {
    let mut reader = Reader(bytes);
    let record = (|| {
        Some(match reader.u8()? {
            COMMIT => {
                reader.i64()?;
                Record::Commit { extents: Vec::new(), changes: Changes(reader.0) }
            }
            LARGE_COMMIT => {
                reader.i64()?;
                let count = reader.u32()?;
                let extents = (0..count).map(|_| reader.array().map(|bytes| Extent::decode(&bytes)));
                let extents = extents.collect::<Option<_>>()?;
                Record::Commit { extents, changes: Changes(reader.0) }
            }
            SEQUENCE => {
                Record::Sequence { sequence: ObjectId(reader.u32()?), value: reader.i64()?, called: reader.u8()? != 0 }
            }
            OIDS => Record::Oids { bound: reader.u32()? },
            _ => return None,
        })
    })();
    record.ok_or_else(|| Error::corrupt("log: a record is malformed"))
}

/// The extents that a record names.
pub(crate) fn extents(record: &[u8]) -> Result<Vec<Extent>> {
    match decode(record)? {
        Record::Commit { extents, .. } => Ok(extents),
        Record::Sequence { .. } | Record::Oids { .. } => Ok(Vec::new()),
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>>;

    fn next(&mut self) -> Option<Result<Change<'a>>> {
        if self.0.is_empty() {
            return None;
        }
        let mut reader = Reader(self.0);
        let change = change(&mut reader);
        self.0 = if change.is_some() { reader.0 } else { &[] };
        Some(change.ok_or_else(|| Error::corrupt("log: a change is malformed")))
    }
}

fn change<'a>(reader: &mut Reader<'a>) -> Option<Change<'a>> {
    let (kind, table, row) = (reader.u8()?, ObjectId(reader.u32()?), reader.u64()?);
    Some(match kind {
        INSERT => Change::Insert { table, row, image: reader.bytes()? },
        UPDATE => {
            let count = reader.u16()?;
            let columns = (0..count)
                .map(|_| {
                    let (column, null, value) = (ColumnNo(reader.u16()?), reader.u8()? != 0, reader.bytes()?);
                    Some((column, (!null).then_some(value)))
                })
                .collect::<Option<_>>()?;
            Change::Update { table, row, columns }
        }
        DELETE => Change::Delete { table, row },
        _ => return None,
    })
}
