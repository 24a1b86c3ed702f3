//! The transactional B+tree storage engine of Lightning DB.
#![deny(unsafe_code)]

pub mod error;
pub mod io;
pub mod sync;
pub mod types;

pub use error::{Error, Result};
pub use sync::Waiter;
pub use types::{
    ColumnDef, ColumnNo, ColumnType, IndexDef, KeyColumn, ObjectId, OwnedValue, PAGE_SIZE, PageId, Position, RowId,
    SequenceDef, TableDef, TxnId, Unique, Value,
    key::{self, KeyEncoder},
    row::{RowBuffer, RowView},
};
