//! The transactional B+tree storage engine of Lightning DB.
#![deny(unsafe_code)]

mod btree;
pub mod buffer;
mod check;
pub mod engine;
pub mod error;
mod hash;
pub mod io;
mod recovery;
pub mod space;
pub mod sync;
mod table;
pub mod transaction;
pub mod types;
pub mod wal;

pub use engine::{CheckReport, Config, Engine, LogStep, Stats};
pub use error::{Error, Result};
pub use sync::Waiter;
pub use transaction::{
    Base, Direction, HeldLocks, IndexCursor, Isolation, KeyRange, LockInfo, LockMode, LockOutcome, LockScope, LockTag,
    Newest, RowLockMode, SavepointId, SessionId, Snapshot, Stamp, Transaction, WaitPolicy, WriteOutcome,
};
pub use types::{
    ColumnDef, ColumnNo, ColumnType, IndexDef, KeyColumn, ObjectId, OwnedValue, PAGE_SIZE, PageId, Position, RowId,
    SequenceDef, TableDef, TxnId, Unique, Value,
    batch::RowBatch,
    key::{self, KeyEncoder},
    row::{RowBuffer, RowView},
};
