//! Ids, values, and the two codecs: rows (how a row lies in a page; many of them in `batch`) and keys (whose byte order is the
//! values' order).

pub mod batch;
mod columns;
pub mod key;
pub mod row;

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

ids! {
    /// A table, index or sequence of storage. TRUNCATE and rewrites make a new one.
    ObjectId(u32);
    /// A row of a table, for the row's whole life. Begins at 1.
    RowId(u64);
    /// A byte position in the log: the end of a commit's group is the commit's timestamp.
    Position(u64);
    /// A column of a table, 0-based, never used again for another column.
    ColumnNo(u16);
    /// A page, wherever it lies on disk. 0 is none.
    PageId(u32);
    /// A transaction, unique while the engine is open.
    TxnId(u64);
}

/// How a column's values lie on disk and compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// false < true
    Bool,
    /// Two's complement, 16 bits.
    Int16,
    /// 32 bits.
    Int32,
    /// 64 bits.
    Int64,
    /// IEEE single; NaN above all else, -0 equal to 0.
    Float32,
    /// IEEE double, likewise.
    Float64,
    /// 16 bytes by byte order (uuid).
    Fixed16,
    /// Bytes by byte order.
    Bytes,
    /// `key ‖ rest ‖ u16le(len(rest))`: the key part alone compares, by byte order.
    Keyed,
}

/// A borrowed column value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub enum Value<'a> {
    #[default]
    Null,
    Bool(bool),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    Fixed16([u8; 16]),
    /// Of a Bytes or Keyed column.
    Bytes(&'a [u8]),
}

/// An owned column value.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub enum OwnedValue {
    #[default]
    Null,
    Bool(bool),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    Fixed16([u8; 16]),
    Bytes(Vec<u8>),
}

impl Value<'_> {
    /// An owned copy.
    pub fn to_owned(self) -> OwnedValue {
        match self {
            Value::Null => OwnedValue::Null,
            Value::Bool(v) => OwnedValue::Bool(v),
            Value::Int16(v) => OwnedValue::Int16(v),
            Value::Int32(v) => OwnedValue::Int32(v),
            Value::Int64(v) => OwnedValue::Int64(v),
            Value::Float32(v) => OwnedValue::Float32(v),
            Value::Float64(v) => OwnedValue::Float64(v),
            Value::Fixed16(v) => OwnedValue::Fixed16(v),
            Value::Bytes(v) => OwnedValue::Bytes(v.to_vec()),
        }
    }

    /// Whether this is NULL.
    pub fn is_null(self) -> bool {
        matches!(self, Value::Null)
    }
}

impl OwnedValue {
    /// Borrowed.
    pub fn borrow(&self) -> Value<'_> {
        match self {
            OwnedValue::Null => Value::Null,
            OwnedValue::Bool(v) => Value::Bool(*v),
            OwnedValue::Int16(v) => Value::Int16(*v),
            OwnedValue::Int32(v) => Value::Int32(*v),
            OwnedValue::Int64(v) => Value::Int64(*v),
            OwnedValue::Float32(v) => Value::Float32(*v),
            OwnedValue::Float64(v) => Value::Float64(*v),
            OwnedValue::Fixed16(v) => Value::Fixed16(*v),
            OwnedValue::Bytes(v) => Value::Bytes(v),
        }
    }
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDef {
    /// Its number: its place in [`TableDef::columns`].
    pub no: ColumnNo,
    /// Its form.
    pub ty: ColumnType,
    /// What rows written before the column existed read as.
    pub default: OwnedValue,
    /// No longer read or written.
    pub dropped: bool,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableDef {
    /// Its columns, by number; columns are added at the end and never removed.
    pub columns: Vec<ColumnDef>,
    /// Neither logged nor kept across restarts.
    pub temporary: bool,
}

/// One column of an index key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyColumn {
    /// The table's column.
    pub column: ColumnNo,
    /// Largest first.
    pub descending: bool,
    /// NULLs before all else.
    pub nulls_first: bool,
}

/// Whether an index allows a key twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unique {
    /// Yes.
    #[default]
    No,
    /// Never.
    Immediate,
    /// Until it is checked: see `Transaction::take_unchecked`.
    Deferrable,
}

/// An index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexDef {
    /// Its table.
    pub table: ObjectId,
    /// Its key.
    pub columns: Vec<KeyColumn>,
    /// Whether keys are unique.
    pub unique: Unique,
    /// Keys with a NULL are never equal to one another.
    pub nulls_distinct: bool,
    /// A partial index: a Bool column; only rows in which it is true are in the index.
    pub predicate: Option<ColumnNo>,
}

/// A sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SequenceDef {
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cycle: bool,
}

/// Bytes of a page.
pub const PAGE_SIZE: usize = 16 << 10;
