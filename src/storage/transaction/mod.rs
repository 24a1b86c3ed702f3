//! Transactions: begin, snapshots, savepoints; what they do is in `read`, `write`, `lock_rows`, `definition`,
//! `sequence`, and how they end in `finish`.
//!
//! A call that has to wait returns `Err(Error::Wait)`, holds nothing and has changed nothing: the caller waits and makes the
//! same call again.
//!
//! A page that is not in the pool is waited for as a lock is, if the caller wants that ([`Transaction::wait_for_pages`]): the
//! waiter's work is reading it. Else, and always where a wait could not be made or would not pay, pages are read in place:
//! 1. once a call has begun to change something: what it needs was there a moment before;
//! 2. a page that was waited for and has gone again, and all pages of a call that has waited many times: so that every call
//!    comes to its end, and tells of a page that cannot be read;
//! 3. rollback, which must not wait for anything; definitions and the building of indexes, which nobody calls from where it
//!    must not block; recovery, checkpoints and `check`;
//! 4. clean-up by its own thread. A commit cleans up in passing only what is in the pool;
//! 5. the pages that a new one drives out: writing them is the eviction's, not the call's.

pub(crate) mod api;
mod definition;
pub(crate) mod finish;
mod load;
pub(crate) mod lock;
mod lock_rows;
mod read;
pub(crate) mod redo;
mod sequence;
pub(crate) mod state;
pub(crate) mod version;
mod write;

pub use api::*;
pub use finish::HeldLocks;
pub use lock::LockInfo;
pub use state::Snapshot;

use crate::buffer::Misses;
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::space::{Draw, Extent};
use crate::table::row_ids::RowRun;
use crate::table::{Index, Table};
use crate::types::{ObjectId, PageId, Position, TableDef, TxnId};
use lock::Owner;
use state::TxnState;
use std::cell::Cell;
use std::sync::Arc;
use version::RowKey;

/// A transaction. Dropped without a commit it is rolled back.
pub struct Transaction {
    shared: Arc<Shared>,
    state: Arc<TxnState>,
    isolation: Isolation,
    /// Raised by every snapshot.
    command: u32,
    /// REPEATABLE READ's only one.
    first: Option<Snapshot>,
    /// Highest position met beyond a snapshot.
    noted: Cell<Position>,
    redo: Vec<u8>,
    /// Redo before that, written ahead.
    redo_extents: Vec<Extent>,
    undo: Vec<Undo>,
    row_locks: Vec<RowKey>,
    locks: Vec<(LockTag, LockMode)>,
    /// A lock that was waited for when the last call ended.
    queued: Option<LockTag>,
    savepoints: Vec<Mark>,
    unchecked: Vec<(ObjectId, crate::types::RowId)>,
    /// Row ids taken ahead, one run per table.
    row_runs: Vec<(Arc<Table>, RowRun)>,
    /// Room for a batch's index entries, kept between batches.
    entries: load::Entries,
    stamps: u64,
    page_waits: Cell<PageWaits>,
    session: Option<SessionId>,
    /// The wait-for graph knows that the session waits with the transaction.
    tied: bool,
    /// An undo failed, of the change before this place: only a rollback is left.
    broken: Option<(usize, Error)>,
    ended: bool,
}

/// What to do when a change is rolled back; and, in reverse sense, to clean up once it is committed.
pub(crate) enum Undo {
    /// Rows `start..end` inserted.
    Inserted { table: Arc<Table>, start: u64, end: u64 },
    /// The head of the row's chain.
    Changed { table: Arc<Table>, row: u64 },
    /// An object that only this transaction knows.
    Created(ObjectId),
    /// An object that goes at commit.
    Dropped { object: ObjectId, index: Option<Arc<Index>> },
    /// The table's former definition.
    Altered { table: Arc<Table>, before: Arc<TableDef> },
    /// The sequence's former definition.
    AlteredSequence { sequence: Arc<crate::table::Sequence>, before: crate::types::SequenceDef },
}

/// Waits beyond which a call reads its pages in place.
const PAGE_WAITS_MAX: u32 = 64;

/// How the transaction's calls wait for pages.
#[derive(Clone, Copy, Default)]
struct PageWaits {
    wanted: bool,
    /// How often the call under way has waited, and for which page last.
    count: u32,
    last: PageId,
}

/// Where things stood at a savepoint.
struct Mark {
    id: SavepointId,
    redo: usize,
    redo_extents: usize,
    undo: usize,
    row_locks: usize,
    locks: usize,
    unchecked: usize,
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction")
            .field("id", &self.state.id)
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}

impl Transaction {
    pub(crate) fn begin(shared: &Arc<Shared>, isolation: Isolation) -> Transaction {
        Transaction {
            state: Arc::new(TxnState::new(shared.take_transaction_id())),
            shared: shared.clone(),
            isolation,
            command: 0,
            first: None,
            noted: Cell::new(Position(0)),
            redo: Vec::new(),
            redo_extents: Vec::new(),
            undo: Vec::new(),
            row_locks: Vec::new(),
            locks: Vec::new(),
            queued: None,
            savepoints: Vec::new(),
            unchecked: Vec::new(),
            row_runs: Vec::new(),
            entries: load::Entries::default(),
            stamps: 0,
            page_waits: Cell::default(),
            session: None,
            tied: false,
            broken: None,
            ended: false,
        }
    }

    /// Whether calls that miss a page return `Wait` from now on, or read it themselves, which is what they do at first.
    pub fn wait_for_pages(&mut self, wait: bool) {
        self.page_waits.get_mut().wanted = wait;
    }

    /// While the result lives, this thread waits for pages as the transaction wants it.
    fn begin_call(&self) -> Option<Misses> {
        let PageWaits { wanted, count, last } = self.page_waits.get();
        (wanted && count < PAGE_WAITS_MAX).then(|| Misses::wait(last))
    }

    /// The call ends: counts its wait for a page, if that is its end.
    fn end_call<T>(&self, misses: Option<Misses>, result: &Result<T>) {
        let mut waits = self.page_waits.get();
        let waited = misses.map_or(PageId(0), |misses| misses.waited());
        (waits.count, waits.last) = match result {
            Err(Error::Wait(_)) if waited != PageId(0) => (waits.count + 1, waited),
            _ => (0, PageId(0)),
        };
        self.page_waits.set(waits);
    }

    /// A call that reads.
    fn reading<T>(&self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let misses = self.begin_call();
        let result = call();
        self.end_call(misses, &result);
        result
    }

    /// A call that may change something; it says `Misses::load` once it does.
    fn writing<T>(&mut self, call: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let misses = self.begin_call();
        let result = call(self);
        self.end_call(misses, &result);
        result
    }

    /// Its number, unique while the engine is open.
    pub fn id(&self) -> TxnId {
        self.state.id
    }

    /// Its isolation level.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Another isolation level; `false`: a snapshot has been taken already, and nothing changes.
    pub fn set_isolation(&mut self, isolation: Isolation) -> bool {
        if self.command > 0 && self.isolation != isolation {
            return false;
        }
        self.isolation = isolation;
        true
    }

    /// Whether it has changed anything that a commit would log.
    pub fn has_written(&self) -> bool {
        !self.undo.is_empty()
    }

    /// Whether undoing it means more than `changes` rows, or an object's pages.
    pub fn has_changed_more_than(&self, changes: u64) -> bool {
        let mut seen = 0;
        self.undo.iter().any(|undo| {
            seen += match undo {
                Undo::Inserted { start, end, .. } => end - start,
                Undo::Created(_) => changes + 1,
                _ => 1,
            };
            seen > changes
        })
    }

    /// The session that runs the transaction: its session-level locks never stand in the way, and deadlocks through them are found.
    pub fn set_session(&mut self, session: SessionId) {
        self.session = Some(session);
        // Nobody waits for a session that holds nothing; it is tied when it first asks for a lock of its own.
        if self.shared.locks.has_sessions() {
            self.tie(session);
        }
    }

    fn tie(&mut self, session: SessionId) {
        self.shared.graph.tie(session.0, self.state.id);
        self.tied = true;
    }

    /// What a statement or portal sees. READ COMMITTED: everything acknowledged by now; REPEATABLE READ: by the first snapshot.
    /// A transaction that has met a commit beyond that (it waited for its row, say) sees all up to there from then on: its own
    /// end waits for `noted` anyway.
    /// Either sees this transaction's own changes of commands before it; changes made through it are of its command.
    pub fn snapshot(&mut self) -> Snapshot {
        if let Some(first) = &self.first {
            self.command += 1;
            return first.at_command(self.command);
        }
        let snapshot = self.take_snapshot();
        if self.isolation == Isolation::RepeatableRead {
            self.first = Some(snapshot.clone());
        }
        snapshot
    }

    /// Everything that has been committed by now, acknowledged or not, at any isolation: for what foreign keys do beyond the
    /// transaction's snapshot, and for what is done to a table as a whole.
    pub fn latest_snapshot(&mut self) -> Snapshot {
        self.note_all();
        self.take_snapshot()
    }

    fn take_snapshot(&mut self) -> Snapshot {
        self.command += 1;
        let (shared, noted) = (&self.shared, self.noted());
        Snapshot::take(&shared.snapshots, self.state.id, self.command, || shared.acknowledged().max(noted))
    }

    /// Meets everything that has been committed: see [`Transaction::noted`].
    fn note_all(&self) {
        self.note(self.shared.log().next());
    }

    /// The highest position that was met by what looks past its snapshot (locks, re-checks, unique and foreign keys, sequences):
    /// to be durable before a result or an error that depends on it is sent.
    pub fn noted(&self) -> Position {
        self.noted.get()
    }

    fn note(&self, position: Position) {
        if position > self.noted.get() {
            self.noted.set(position);
        }
    }

    /// Remembers this moment.
    pub fn savepoint(&mut self) -> SavepointId {
        let id = SavepointId(self.savepoints.last().map_or(0, |mark| mark.id.0) + 1);
        self.savepoints.push(Mark {
            id,
            redo: self.redo.len(),
            redo_extents: self.redo_extents.len(),
            undo: self.undo.len(),
            row_locks: self.row_locks.len(),
            locks: self.locks.len(),
            unchecked: self.unchecked.len(),
        });
        id
    }

    /// Undoes all since the savepoint, which stays; later ones go.
    ///
    /// # Errors
    /// `NotFound`: there is no such savepoint. I/O errors: call again, or roll back.
    pub fn rollback_to(&mut self, savepoint: SavepointId) -> Result<()> {
        let at = self.savepoints.iter().position(|mark| mark.id == savepoint).ok_or(Error::NotFound)?;
        let mark = &self.savepoints[at];
        let (redo, undo, row_locks, locks) = (mark.redo, mark.undo, mark.row_locks, mark.locks);
        let (unchecked, redo_extents) = (mark.unchecked, mark.redo_extents);
        let _draw = Draw::Rollback.allow();
        while self.undo.len() > undo {
            let last = self.undo.last().expect("longer than the mark");
            let _pass = self.shared.pool.gate().enter();
            finish::undo(&self.shared, &self.state, last)?;
            self.undo.pop();
        }
        self.savepoints.truncate(at + 1);
        self.broken.take_if(|(changes, _)| *changes > undo);
        if self.redo_extents.len() > redo_extents {
            // What was in memory at the savepoint begins the first extent written since.
            let store = self.shared.pool.store();
            self.redo = store.read_extent(self.redo_extents[redo_extents])?;
            self.redo_extents.drain(redo_extents..).for_each(|extent| store.free_extent(extent));
        }
        self.redo.truncate(redo);
        self.unchecked.truncate(unchecked);
        for key in self.row_locks.split_off(row_locks) {
            finish::release_row_lock(&self.shared, &self.state, key);
        }
        for (tag, mode) in self.locks.split_off(locks) {
            self.shared.locks.release(Owner::transaction(self.state.id), tag, mode);
        }
        // Rows changed since are free again, and so are their locks.
        self.state.wake();
        Ok(())
    }

    /// Forgets the savepoint and later ones; what was done since belongs to what is around it.
    pub fn release(&mut self, savepoint: SavepointId) {
        if let Some(at) = self.savepoints.iter().position(|mark| mark.id == savepoint) {
            self.savepoints.truncate(at);
        }
    }

    /// Takes an explicit lock. `Ok(false)`: somebody holds it, and the policy was not to wait... with `NoWait` that is
    /// `Err(LockNotAvailable)`.
    ///
    /// # Errors
    /// `Wait`, `Deadlock`, `LockNotAvailable`, `OutOfMemory`
    pub fn lock(&mut self, what: LockTag, mode: LockMode, policy: WaitPolicy, scope: LockScope) -> Result<bool> {
        let owner = match scope {
            LockScope::Transaction if self.locks.contains(&(what, mode)) && !matches!(what, LockTag::Advisory(..)) => {
                return Ok(true);
            }
            LockScope::Transaction => Owner::transaction(self.state.id),
            LockScope::Session(session) => Owner::session(session.0),
        };
        if let (LockScope::Session(_), Some(session), false) = (scope, self.session, self.tied) {
            self.tie(session);
        }
        let session = match scope {
            LockScope::Session(session) => Some(session.0),
            LockScope::Transaction => self.session.map(|session| session.0),
        };
        if let Some(tag) = self.queued.take_if(|tag| *tag != what) {
            self.shared.locks.leave_queue(self.state.id, tag);
        }
        let wait = policy == WaitPolicy::Wait;
        let waited = self.queued == Some(what);
        let shared = &self.shared;
        let granted = shared.locks.acquire(&shared.graph, self.state.id, owner, session, what, mode, wait);
        self.queued = matches!(granted, Err(Error::Wait(_))).then_some(what);
        if granted? {
            if scope == LockScope::Transaction {
                self.locks.push((what, mode));
            }
            // Who held it before may have committed and still wait for the disk: snapshots from now on see that all the same.
            if waited || mode.conflicts(LockMode::RowExclusive) || matches!(what, LockTag::Advisory(..)) {
                self.note_all();
            }
            return Ok(true);
        }
        if policy == WaitPolicy::NoWait { Err(Error::LockNotAvailable) } else { Ok(false) }
    }

    fn next_stamp(&mut self) -> u64 {
        self.stamps += 1;
        self.state.id.0 << 24 | self.stamps & 0xff_ffff
    }
}
