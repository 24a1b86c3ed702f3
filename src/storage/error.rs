//! The engine's one error, by what the caller should do.

use crate::sync::Waiter;
use crate::types::{ObjectId, PageId, RowId};
use std::fmt;
use std::sync::Arc;

/// A result of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation did not happen. Whatever it is, the operation has changed nothing.
#[derive(Clone, Debug)]
pub enum Error {
    /// Something another transaction holds is in the way: wait, then make the same call again.
    Wait(Waiter),
    /// REPEATABLE READ: the row changed after the snapshot. Roll back and try the transaction again.
    Conflict,
    /// Waiting would close a circle of waiting transactions. Roll back and try again.
    Deadlock {
        /// The circle, one line per edge.
        detail: String,
    },
    /// A unique index already has the key, in the live row named.
    Duplicate {
        /// The index.
        index: ObjectId,
        /// The row that has the key.
        row: RowId,
    },
    /// The object does not exist (any more): a stale plan.
    NotFound,
    /// A key or value beyond its limit, in bytes.
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// No room on disk. Nothing was written; statements that free room still work.
    Full,
    /// The budget of undo or locks is used up.
    OutOfMemory,
    /// NOWAIT, and somebody holds it.
    LockNotAvailable,
    /// The versions that the snapshot needs are gone.
    SnapshotTooOld,
    /// A sequence ran out of values.
    SequenceLimit {
        /// The limit that was met.
        limit: i64,
        /// The upper one.
        upper: bool,
    },
    /// Stored bytes are not what was written. The message names the place.
    Corrupt(Arc<str>),
    /// A page does not verify.
    CorruptPage {
        /// The page.
        page: PageId,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The operating system refused.
    Io(Arc<std::io::Error>),
    /// An earlier sync failed: nothing can be made durable until restart. Reads go on.
    Poisoned,
    /// Another process has the folder.
    Locked,
    /// Not done by this version.
    Unsupported(&'static str),
}

impl Error {
    pub(crate) fn corrupt(what: impl Into<Arc<str>>) -> Error {
        Error::Corrupt(what.into())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::Full,
            _ => Error::Io(Arc::new(error)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Wait(_) => f.write_str("has to wait"),
            Error::Conflict => f.write_str("could not serialize access due to concurrent update"),
            Error::Deadlock { .. } => f.write_str("deadlock detected"),
            Error::Duplicate { index, row } => write!(f, "duplicate key in index {} (row {})", index.0, row.0),
            Error::NotFound => f.write_str("the object does not exist"),
            Error::TooLarge { bytes, max_bytes } => write!(f, "{bytes} bytes exceed the maximum of {max_bytes}"),
            Error::Full => f.write_str("no space left"),
            Error::OutOfMemory => f.write_str("out of memory for versions or locks"),
            Error::LockNotAvailable => f.write_str("lock not available"),
            Error::SnapshotTooOld => f.write_str("snapshot too old"),
            Error::SequenceLimit { limit, .. } => write!(f, "sequence reached its limit {limit}"),
            Error::Corrupt(what) => write!(f, "corrupt: {what}"),
            Error::CorruptPage { page, what } => write!(f, "page {} is corrupt: {what}", page.0),
            Error::Io(error) => write!(f, "I/O error: {error}"),
            Error::Poisoned => f.write_str("an earlier sync failed; restart to write again"),
            Error::Locked => f.write_str("another process has the database open"),
            Error::Unsupported(what) => write!(f, "{what} is not supported"),
        }
    }
}

impl std::error::Error for Error {}
