//! The transactional B+tree storage engine of Lightning DB.
#![deny(unsafe_code)]

pub mod buffer;
pub mod engine;
pub mod error;
pub mod io;
pub mod space;
pub mod sync;
pub mod transaction;
pub mod types;
pub mod wal;

pub use engine::{CheckReport, Config, Engine, LogStep, Stats};
pub use error::{Error, Result};
pub use sync::Waiter;
pub use transaction::{
    Base, Direction, IndexCursor, Isolation, KeyRange, LockMode, LockOutcome, LockScope, LockTag, Newest, RowLockMode,
    SavepointId, SessionId, Snapshot, Stamp, Transaction, WaitPolicy, WriteOutcome,
};
pub use types::{
    ColumnDef, ColumnNo, ColumnType, IndexDef, KeyColumn, ObjectId, OwnedValue, PAGE_SIZE, PageId, Position, RowId,
    SequenceDef, TableDef, TxnId, Unique, Value,
    key::{self, KeyEncoder},
    row::{RowBuffer, RowView},
};
