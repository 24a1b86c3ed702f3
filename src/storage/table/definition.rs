//! Definitions as bytes: rows of the storage catalog, a table like any other with one Bytes column, its row ids the object ids.
//!
//! ```text
//! object   := 1 table | 2 index | 3 sequence
//! table    := u8 temporary, u16 n, n x (u8 type, u8 dropped, value default)
//! index    := u32 table, u8 unique, u8 nulls distinct, u16 predicate or ffff, u16 n, n x (u16 column, u8 descending | nulls first << 1)
//! sequence := i64 start, increment, min, max, u8 cycle
//! value    := u8 kind (0 NULL, else the type's code), u32 length, bytes
//! ```

use crate::error::{Error, Result};
use crate::types::{
    ColumnDef, ColumnNo, ColumnType, IndexDef, KeyColumn, ObjectId, OwnedValue, SequenceDef, TableDef, Unique,
};

/// The catalog's own object id.
pub(crate) const CATALOG: ObjectId = ObjectId(1);
/// First object id for others.
pub(crate) const FIRST_OBJECT: u32 = 16;

/// What an object is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Definition {
    Table(TableDef),
    Index(IndexDef),
    Sequence(SequenceDef),
}

/// The catalog's definition.
pub(crate) fn catalog() -> TableDef {
    let column = ColumnDef { no: ColumnNo(0), ty: ColumnType::Bytes, default: OwnedValue::Null, dropped: false };
    TableDef { columns: vec![column], temporary: false }
}

const TYPES: [ColumnType; 9] = [
    ColumnType::Bool,
    ColumnType::Int16,
    ColumnType::Int32,
    ColumnType::Int64,
    ColumnType::Float32,
    ColumnType::Float64,
    ColumnType::Fixed16,
    ColumnType::Bytes,
    ColumnType::Keyed,
];

fn type_code(ty: ColumnType) -> u8 {
    TYPES.iter().position(|each| *each == ty).expect("every type is listed") as u8 + 1
}

impl Definition {
    /// As bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Definition::Table(def) => {
                out.extend_from_slice(&[1, u8::from(def.temporary)]);
                out.extend_from_slice(&(def.columns.len() as u16).to_le_bytes());
                for column in &def.columns {
                    out.extend_from_slice(&[type_code(column.ty), u8::from(column.dropped)]);
                    encode_value(&column.default, &mut out);
                }
            }
            Definition::Index(def) => {
                out.push(2);
                out.extend_from_slice(&def.table.0.to_le_bytes());
                let unique = match def.unique {
                    Unique::No => 0,
                    Unique::Immediate => 1,
                    Unique::Deferrable => 2,
                };
                out.extend_from_slice(&[unique, u8::from(def.nulls_distinct)]);
                out.extend_from_slice(&def.predicate.map_or(u16::MAX, |column| column.0).to_le_bytes());
                out.extend_from_slice(&(def.columns.len() as u16).to_le_bytes());
                for key in &def.columns {
                    out.extend_from_slice(&key.column.0.to_le_bytes());
                    out.push(u8::from(key.descending) | u8::from(key.nulls_first) << 1);
                }
            }
            Definition::Sequence(def) => {
                out.push(3);
                for word in [def.start, def.increment, def.min, def.max] {
                    out.extend_from_slice(&word.to_le_bytes());
                }
                out.push(u8::from(def.cycle));
            }
        }
        out
    }

    /// From bytes; damage if they are not what `encode` wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Definition> {
        let mut reader = Reader(bytes);
        let definition = reader.definition().ok_or_else(|| Error::corrupt("an object's definition is malformed"))?;
        Ok(definition)
    }
}

fn encode_value(value: &OwnedValue, out: &mut Vec<u8>) {
    let ty = match value {
        OwnedValue::Null => {
            out.extend_from_slice(&[0; 5]);
            return;
        }
        OwnedValue::Bool(_) => ColumnType::Bool,
        OwnedValue::Int16(_) => ColumnType::Int16,
        OwnedValue::Int32(_) => ColumnType::Int32,
        OwnedValue::Int64(_) => ColumnType::Int64,
        OwnedValue::Float32(_) => ColumnType::Float32,
        OwnedValue::Float64(_) => ColumnType::Float64,
        OwnedValue::Fixed16(_) => ColumnType::Fixed16,
        OwnedValue::Bytes(_) => ColumnType::Bytes,
    };
    let mut bytes = Vec::new();
    crate::types::row::encode_value(value.borrow(), &mut bytes);
    out.push(type_code(ty));
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(&bytes);
}

/// Reads little-endian fields; `None` at the end of the bytes.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// `u32` length, then so many bytes.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()? as usize;
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    fn ty(&mut self) -> Option<Option<ColumnType>> {
        match self.u8()? {
            0 => Some(None),
            code => TYPES.get(usize::from(code) - 1).map(|ty| Some(*ty)),
        }
    }

    fn value(&mut self) -> Option<OwnedValue> {
        let ty = self.ty()?;
        let bytes = self.bytes()?;
        Some(ty.map_or(OwnedValue::Null, |ty| crate::types::row::decode(bytes, ty).to_owned()))
    }

    fn definition(&mut self) -> Option<Definition> {
        match self.u8()? {
            1 => {
                let temporary = self.u8()? != 0;
                let count = self.u16()?;
                let columns = (0..count)
                    .map(|no| {
                        let (ty, dropped) = (self.ty()??, self.u8()? != 0);
                        Some(ColumnDef { no: ColumnNo(no), ty, default: self.value()?, dropped })
                    })
                    .collect::<Option<_>>()?;
                Some(Definition::Table(TableDef { columns, temporary }))
            }
            2 => {
                let table = ObjectId(self.u32()?);
                let unique = match self.u8()? {
                    0 => Unique::No,
                    1 => Unique::Immediate,
                    _ => Unique::Deferrable,
                };
                let nulls_distinct = self.u8()? != 0;
                let predicate = Some(self.u16()?).filter(|no| *no != u16::MAX).map(ColumnNo);
                let count = self.u16()?;
                let columns = (0..count)
                    .map(|_| {
                        let (column, flags) = (ColumnNo(self.u16()?), self.u8()?);
                        Some(KeyColumn { column, descending: flags & 1 != 0, nulls_first: flags & 2 != 0 })
                    })
                    .collect::<Option<_>>()?;
                Some(Definition::Index(IndexDef { table, columns, unique, nulls_distinct, predicate }))
            }
            3 => {
                let (start, increment, min, max) = (self.i64()?, self.i64()?, self.i64()?, self.i64()?);
                Some(Definition::Sequence(SequenceDef { start, increment, min, max, cycle: self.u8()? != 0 }))
            }
            _ => None,
        }
    }
}
