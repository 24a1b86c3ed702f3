//! The small types that calls of [`Transaction`](super::Transaction) take and give.

use crate::types::ObjectId;
use std::ops::Bound;

/// What a transaction sees of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Each snapshot is fresh.
    #[default]
    ReadCommitted,
    /// All snapshots are the first one; a change of a row that changed since is refused.
    RepeatableRead,
}

/// Names one version of a row: the newest one when `get_newest` looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub(crate) u64);

/// What [`get_newest`](super::Transaction::get_newest) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newest {
    /// The version, appended to the buffer; its stamp serves as `Base::Newest`.
    Row(Stamp),
    /// The row is deleted.
    Gone,
}

/// Which version of the row a change starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// The one that the snapshot sees.
    Snapshot,
    /// The one that `get_newest` gave.
    Newest(Stamp),
    /// Whichever is there: for what looks past the snapshot at any isolation.
    Now,
}

/// What became of a change. Only `Done` has changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Changed.
    Done,
    /// A newer committed version exists: `get_newest`, judge it, call again with `Base::Newest`.
    Changed,
    /// The row has been deleted since.
    Deleted,
    /// Changed by this command already.
    SelfModified,
}

/// What became of a row lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOutcome {
    /// Locked; the version that the snapshot sees is the newest.
    Done,
    /// Somebody else has it, and the policy was `Skip`.
    Skipped,
    /// The newest version is locked, but it is not the snapshot's: `get_newest` and judge it.
    Changed,
    /// Nothing is locked: the row has been deleted since.
    Deleted,
    /// Changed or deleted by this command already; nothing is locked.
    SelfModified,
}

/// Strength of a row lock, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowLockMode {
    /// Keeps the row and its key: what a foreign key's check takes.
    KeyShare,
    /// Keeps the row as it is.
    Share,
    /// What an UPDATE that changes no key takes.
    NoKeyUpdate,
    /// What DELETE and an UPDATE of a key take.
    Update,
}

impl RowLockMode {
    /// Whether two transactions may not hold the two at once.
    pub fn conflicts(self, other: RowLockMode) -> bool {
        let (weak, strong) = if self <= other { (self, other) } else { (other, self) };
        match strong {
            RowLockMode::Update => true,
            RowLockMode::NoKeyUpdate => weak >= RowLockMode::Share,
            RowLockMode::Share | RowLockMode::KeyShare => false,
        }
    }
}

/// What to do when somebody else holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitPolicy {
    /// `Err(Wait)`.
    Wait,
    /// `Err(LockNotAvailable)`.
    NoWait,
    /// Say so, and hold nothing.
    Skip,
}

/// Order of an index scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// A range of encoded keys. Bounds are prefixes of keys: `Included` takes all keys that begin with them, `Excluded` none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// Where it begins.
    pub lower: Bound<Vec<u8>>,
    /// Where it ends.
    pub upper: Bound<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> KeyRange {
        KeyRange { lower: Bound::Unbounded, upper: Bound::Unbounded }
    }

    /// Keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        KeyRange { lower: Bound::Included(prefix.to_vec()), upper: Bound::Included(prefix.to_vec()) }
    }
}

/// A place in an index scan: plain data, holds nothing.
#[derive(Clone, Debug)]
pub struct IndexCursor {
    pub(crate) index: ObjectId,
    pub(crate) direction: Direction,
    /// First entry not below the range, as bytes.
    pub(crate) lower: Vec<u8>,
    /// First entry above it; `None`: the range has no upper end.
    pub(crate) upper: Option<Vec<u8>>,
    pub(crate) done: bool,
}

impl IndexCursor {
    /// Makes it stand before an entry that it has passed.
    pub(crate) fn back_to(&mut self, entry: &[u8]) {
        self.done = false;
        match self.direction {
            Direction::Forward => self.lower = entry.to_vec(),
            // The least bytes above the entry.
            Direction::Backward => self.upper = Some([entry, &[0]].concat()),
        }
    }
}

/// A savepoint of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SavepointId(pub(crate) u32);

/// A client's session: the owner of locks that outlive transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What an explicit lock is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockTag {
    /// A relation, by oid.
    Table(u32),
    /// Another object, by oid.
    Object(u32),
    /// A name that may become somebody's, by its hash: two transactions that take it wait for each other.
    Name(u64),
    /// An advisory lock, by (database, key).
    Advisory(u64, u64),
}

/// PostgreSQL's eight modes of table locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum LockMode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl LockMode {
    /// Whether two owners may not hold the two at once.
    pub fn conflicts(self, other: LockMode) -> bool {
        CONFLICTS[self as usize] >> other as usize & 1 == 1
    }
}

/// Bit `j` of row `i`: mode `i` conflicts with mode `j` (PostgreSQL's table of lock conflicts).
const CONFLICTS: [u8; 8] =
    [0b1000_0000, 0b1100_0000, 0b1111_0000, 0b1111_1000, 0b1110_1100, 0b1111_1100, 0b1111_1110, 0b1111_1111];

/// How long a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockScope {
    /// To the end of the transaction (or of the savepoint, when that is rolled back).
    Transaction,
    /// Until `unlock`, or the session's end.
    Session(SessionId),
}
