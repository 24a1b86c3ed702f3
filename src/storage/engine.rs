//! The engine: opens a database, begins transactions, and does background work in steps.
//!
//! It spawns no thread. A server's log thread calls [`Engine::log_step`] in a loop; embedded use and tests call
//! [`Engine::flush`] after a commit.

use crate::btree::Tree;
use crate::buffer::{Cut, Pool};
use crate::check;
use crate::error::{Error, Result};
use crate::hash::{HashMap, Hasher};
use crate::io::{Clock, Io};
use crate::recovery::{Redo, notes};
use crate::space::{Draw, Store};
use crate::sync::Waiter;
use crate::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, RwLock};
use crate::table::definition::{self, CATALOG, FIRST_OBJECT};
use crate::table::{Index, Object, Sequence, Table};
use crate::transaction::finish::{self, Garbage, Leftover, Unfinished};
use crate::transaction::lock::{LockTable, Owner};
use crate::transaction::redo;
use crate::transaction::state::{Snapshots, WaitGraph};
use crate::transaction::version::Versions;
use crate::transaction::{Isolation, LockInfo, LockMode, LockTag, SessionId, Transaction};
use crate::types::{ObjectId, Position, TxnId};
use crate::wal::{self, Log};
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};

/// What the engine may use.
#[derive(Clone, Debug)]
pub struct Config {
    /// Pages kept in memory, in bytes.
    pub pool_bytes: usize,
    /// The log grows by about this much between two checkpoints, in bytes. Where checkpoints do not keep up, commits are slowed
    /// ([`Engine::commit_pause_us`]).
    pub checkpoint_bytes: u64,
    /// Memory for versions that transactions in progress and old snapshots need, in bytes: beyond it the oldest snapshot that
    /// keeps versions alive is given up (`SnapshotTooOld`), and where that does not help, the change fails (`OutOfMemory`).
    pub undo_bytes: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config { pool_bytes: 256 << 20, checkpoint_bytes: 1 << 30, undo_bytes: 1 << 30 }
    }
}

/// An open database. Clones are the same one.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

/// What a step of the log thread did.
#[derive(Debug)]
pub enum LogStep {
    /// Groups were written and synced, up to here.
    Synced(Position),
    /// Nothing to do; the waiter is ready when there is.
    Idle(Waiter),
}

/// What [`Engine::check`] found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Damage, in words, one place each; empty when all is well.
    pub damage: Vec<String>,
    /// Pages visited.
    pub pages: u64,
    /// Rows visited.
    pub rows: u64,
    /// Index entries visited.
    pub entries: u64,
}

/// Counters since the engine was opened, and gauges.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Stats {
    pub commits: u64,
    pub rollbacks: u64,
    pub live_transactions: u64,
    pub live_versions: u64,
    pub undo_bytes: u64,
    pub deadlocks: u64,
    /// Snapshots given up because the versions that they kept exceeded the budget.
    pub expired_snapshots: u64,
    /// Rollbacks that an I/O error has interrupted, and that clean-up goes on with: their rows are locked until then.
    pub unfinished_rollbacks: u64,
}

/// What all parts of an open engine share.
pub(crate) struct Shared {
    pub(crate) pool: Arc<Pool>,
    log: OnceLock<Log>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Config,
    pub(crate) versions: Versions,
    pub(crate) locks: LockTable,
    pub(crate) graph: Arc<WaitGraph>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) objects: RwLock<HashMap<ObjectId, Object>>,
    /// Held while a unique key is judged and its entry put in.
    pub(crate) stripes: Box<[Mutex<()>]>,
    hasher: Hasher,
    next_transaction: AtomicU64,
    next_object: AtomicU32,
    /// Acknowledged ahead of the disk, by synchronous_commit = off.
    ahead: AtomicU64,
    pub(crate) garbage: Mutex<VecDeque<Garbage>>,
    pub(crate) unfinished: Mutex<Vec<Unfinished>>,
    pub(crate) leftovers: Mutex<Vec<Leftover>>,
    /// Held by who cleans up.
    pub(crate) cleaning: Mutex<()>,
    pub(crate) oids: Mutex<Oids>,
    pub(crate) counters: Counters,
    checkpoint: Mutex<Option<Checkpoint>>,
    /// Position of the newest checkpoint.
    checkpointed: AtomicU64,
}

/// A checkpoint under way.
struct Checkpoint {
    cut: Cut,
    position: Position,
    notes: Vec<u8>,
}

/// Oids reserved and not given out.
pub(crate) struct Oids {
    pub(crate) next: u32,
    pub(crate) bound: u32,
    /// Position of the reservation.
    pub(crate) logged: Position,
}

/// See [`Stats`].
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) rollbacks: AtomicU64,
    pub(crate) undone: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) live: AtomicI64,
}

const STRIPES: usize = if cfg!(feature = "shuttle") { 4 } else { 1024 };
const FIRST_OID: u32 = 16384;
/// The pause of a commit when the log is at its limit.
const COMMIT_PAUSE_MAX_US: u64 = 200_000;
/// Changes cleaned up at once by who needs room for versions.
const CLEAN_FOR_ROOM: usize = 1024;

impl Shared {
    /// Everything but the log and the objects.
    fn new(pool: Pool, clock: Arc<dyn Clock>, config: Config) -> Shared {
        Shared {
            pool: pool.shared(),
            log: OnceLock::new(),
            clock,
            config,
            versions: Versions::new(),
            locks: LockTable::new(),
            graph: Arc::default(),
            snapshots: Arc::new(Snapshots::new()),
            objects: RwLock::default(),
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            hasher: Hasher::default(),
            next_transaction: AtomicU64::new(1),
            next_object: AtomicU32::new(FIRST_OBJECT),
            ahead: AtomicU64::new(0),
            garbage: Mutex::default(),
            unfinished: Mutex::default(),
            leftovers: Mutex::default(),
            cleaning: Mutex::default(),
            oids: Mutex::new(Oids { next: FIRST_OID, bound: FIRST_OID, logged: Position(0) }),
            counters: Counters::default(),
            checkpoint: Mutex::default(),
            checkpointed: AtomicU64::new(0),
        }
    }

    pub(crate) fn log(&self) -> &Log {
        self.log.get().expect("the log is opened with the engine")
    }

    /// Everything up to here is what a new snapshot sees.
    pub(crate) fn acknowledged(&self) -> Position {
        Position(self.log().durable().0.max(self.ahead.load(Ordering::SeqCst)))
    }

    /// Acknowledges a commit before it is durable. Called while nobody else can append: all before it have their positions.
    pub(crate) fn acknowledge(&self, position: Position) {
        self.ahead.fetch_max(position.0, Ordering::SeqCst);
    }

    /// No live or later snapshot is below this; there is none during recovery.
    pub(crate) fn horizon(&self) -> Position {
        if self.log.get().is_none() {
            return Position(u64::MAX);
        }
        let now = self.acknowledged();
        self.snapshots.horizon(now)
    }

    /// Whether no transaction is open, and nothing is left to be cleaned up.
    pub(crate) fn is_settled(&self) -> bool {
        self.counters.live.load(Ordering::SeqCst) == 0
            && self.versions.live.load(Ordering::SeqCst) == 0
            && self.garbage.lock().is_empty()
            && self.unfinished.lock().is_empty()
            && self.leftovers.lock().is_empty()
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.log().is_poisoned() { Err(Error::Poisoned) } else { Ok(()) }
    }

    /// `OutOfMemory` when before-images have used up their budget.
    pub(crate) fn check_undo(&self) -> Result<()> {
        if self.is_undo_full() { Err(Error::OutOfMemory) } else { Ok(()) }
    }

    fn is_undo_full(&self) -> bool {
        self.versions.bytes.load(Ordering::Relaxed) > self.config.undo_bytes as i64
    }

    /// Before a change: while before-images exceed their budget, cleans up; where old snapshots prevent that, takes out what
    /// lies between them, and then gives up the oldest one. The caller is outside of the gate. What transactions in progress need stays: see [`Self::check_undo`].
    #[inline]
    pub(crate) fn relieve_undo(&self) {
        if self.is_undo_full() {
            self.shrink_undo();
        }
    }

    #[cold]
    fn shrink_undo(&self) {
        let mut thinned = false;
        while self.is_undo_full() {
            match finish::clean(self, CLEAN_FOR_ROOM) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(_) => return, // clean-up meets it again
            }
            let now = self.acknowledged();
            let Some(kept) = self.garbage.lock().front().map(|garbage| garbage.position).filter(|kept| *kept <= now)
            else {
                return;
            };
            let live = self.snapshots.live();
            // A snapshot that is being taken could be of any position.
            if !thinned && live.first() != Some(&0) {
                thinned = true;
                self.versions.thin_all(&live, now);
                continue;
            }
            if !self.snapshots.expire_oldest(kept) {
                return;
            }
            self.counters.expired.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn take_transaction_id(&self) -> TxnId {
        self.counters.live.fetch_add(1, Ordering::Relaxed);
        TxnId(self.next_transaction.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn take_object_id(&self) -> ObjectId {
        ObjectId(self.next_object.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn next_object_id(&self) -> u32 {
        self.next_object.load(Ordering::Relaxed)
    }

    /// No object id at or below `id` will be given out.
    pub(crate) fn raise_object_id(&self, id: ObjectId) {
        self.next_object.fetch_max(id.0 + 1, Ordering::Relaxed);
    }

    pub(crate) fn object(&self, id: ObjectId) -> Option<Object> {
        self.objects.read().get(&id).cloned()
    }

    pub(crate) fn table(&self, id: ObjectId) -> Result<Arc<Table>> {
        match self.objects.read().get(&id) {
            Some(Object::Table(table)) => Ok(table.clone()),
            _ => Err(Error::NotFound),
        }
    }

    pub(crate) fn index(&self, id: ObjectId) -> Result<Arc<Index>> {
        match self.objects.read().get(&id) {
            Some(Object::Index(index)) => Ok(index.clone()),
            _ => Err(Error::NotFound),
        }
    }

    pub(crate) fn sequence(&self, id: ObjectId) -> Result<Arc<Sequence>> {
        match self.objects.read().get(&id) {
            Some(Object::Sequence(sequence)) => Ok(sequence.clone()),
            _ => Err(Error::NotFound),
        }
    }

    pub(crate) fn remove_object(&self, id: ObjectId) -> Option<Object> {
        let object = self.objects.write().remove(&id);
        if let Some(Object::Index(index)) = &object {
            index.table.detach(id);
        }
        object
    }

    pub(crate) fn stripe_number(&self, index: ObjectId, key: &[u8]) -> usize {
        self.hasher.hash_one((index.0, key)) as usize % STRIPES
    }

    pub(crate) fn stripe(&self, index: ObjectId, key: &[u8]) -> &Mutex<()> {
        &self.stripes[self.stripe_number(index, key)]
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("durable", &self.durable()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the database in `io`: creates it when there is none, recovers it when it was not closed.
    ///
    /// # Errors
    /// `Corrupt`, I/O errors.
    pub fn open(io: Arc<dyn Io>, clock: Arc<dyn Clock>, config: Config) -> Result<Engine> {
        let _draw = Draw::Checkpoint.allow();
        let (store, opened) = Store::open(&*io)?;
        let store = Arc::new(store);
        if !opened.notes.is_empty() {
            wal::expect_file(&*io, opened.position)?;
        }
        // Places that the log names are in use before anything is allocated.
        wal::read(&*io, opened.position, opened.log_incarnation, |position, record| {
            redo::extents(record)?.into_iter().for_each(|extent| store.claim_for_log(position, extent));
            Ok(())
        })?;
        let shared = Shared::new(Pool::new(store, config.pool_bytes)?, clock, config);
        if opened.notes.is_empty() {
            let catalog = Table::new(CATALOG, Tree::create(&shared.pool, CATALOG)?, definition::catalog());
            shared.objects.write().insert(CATALOG, Object::Table(Arc::new(catalog)));
        } else {
            notes::restore(&shared, &opened.notes)?;
        }
        let mut redo = Redo::new(&shared);
        let tail = wal::read(&*io, opened.position, opened.log_incarnation, |_, record| redo.apply(record))?;
        if tail.end < opened.position {
            return Err(Error::corrupt(format!(
                "the log is damaged: it ends at position {}, and the newest checkpoint is at {}",
                tail.end.0, opened.position.0
            )));
        }
        redo.finish();
        let log = Log::open(io, opened.incarnation, tail.end)?;
        shared.checkpointed.store(opened.position.0, Ordering::Relaxed);
        let _ = shared.log.set(log);
        Ok(Engine(Arc::new(shared)))
    }

    /// Begins a transaction.
    pub fn begin(&self, isolation: Isolation) -> Transaction {
        Transaction::begin(&self.0, isolation)
    }

    /// Everything up to here survives a crash.
    pub fn durable(&self) -> Position {
        self.0.log().durable()
    }

    /// A waiter for `position` to become durable; `None`: it is. After a failed sync a waiter that is ready already: look at
    /// [`Self::is_poisoned`] before calling again.
    pub fn wait_durable(&self, position: Position) -> Option<Waiter> {
        self.0.log().wait(position).unwrap_or_else(|_| {
            let never = Waiter::new();
            never.notify();
            Some(never)
        })
    }

    /// Whether a sync has failed: commits that were not durable by then may be lost.
    pub fn is_poisoned(&self) -> bool {
        self.0.log().is_poisoned()
    }

    /// Whether a sync of the data file has failed: the process should end, and recover from the log when it starts again.
    pub fn is_data_failed(&self) -> bool {
        self.0.pool.store().is_failed()
    }

    /// One write and sync of the log for all who wait. The log thread calls it in a loop.
    pub fn log_step(&self) -> Result<LogStep> {
        Ok(match self.0.log().step()? {
            wal::LogStep::Flushed(position) => LogStep::Synced(position),
            wal::LogStep::Idle(waiter) => LogStep::Idle(waiter),
        })
    }

    /// Makes everything appended so far durable.
    pub fn flush(&self) -> Result<Position> {
        while let LogStep::Synced(_) = self.log_step()? {}
        Ok(self.durable())
    }

    /// A whole checkpoint, after the one that may be under way.
    pub fn checkpoint(&self) -> Result<()> {
        let running = self.0.checkpoint.lock().is_some();
        if running {
            while self.checkpoint_step(usize::MAX)? {}
        }
        while self.checkpoint_step(usize::MAX)? {}
        Ok(())
    }

    /// Begins a checkpoint, or writes up to `budget_pages` of the one under way; `true`: it is not complete yet.
    ///
    /// # Errors
    /// I/O, `Full`: the checkpoint is given up, what it would have written is left to the next one.
    pub fn checkpoint_step(&self, budget_pages: usize) -> Result<bool> {
        let (shared, _draw) = (&self.0, Draw::Checkpoint.allow());
        let mut running = shared.checkpoint.lock();
        let Some(checkpoint) = &mut *running else {
            let _closed = shared.pool.gate().close();
            let (position, notes) = (shared.log().next(), notes::encode(shared));
            *running = Some(Checkpoint { cut: shared.pool.cut(), position, notes });
            return Ok(true);
        };
        match shared.pool.write_cut(&mut checkpoint.cut, budget_pages) {
            Ok(false) => return Ok(true),
            Ok(true) => {}
            Err(error) => {
                if let Some(checkpoint) = running.take() {
                    shared.pool.abandon(checkpoint.cut);
                }
                return Err(error);
            }
        }
        let Some(checkpoint) = running.take() else { return Ok(false) };
        // A superblock becomes durable only after the log up to its position.
        if let Err(error) = shared.log().flush(checkpoint.position) {
            shared.pool.abandon(checkpoint.cut);
            return Err(error);
        }
        let needed = shared.pool.complete(checkpoint.cut, checkpoint.position, &checkpoint.notes)?;
        shared.checkpointed.store(checkpoint.position.0, Ordering::Relaxed);
        shared.log().release(needed)?;
        Ok(false)
    }

    /// Whether a checkpoint is under way, or the log has grown enough for one.
    pub fn checkpoint_due(&self) -> bool {
        let grown = self.0.log().next().0 - self.0.checkpointed.load(Ordering::Relaxed);
        grown > self.0.config.checkpoint_bytes || self.0.checkpoint.lock().is_some()
    }

    /// How long whoever has committed should pause, in microseconds: nothing, until the log has outgrown two checkpoints; from
    /// there on the more, the nearer it is to four. Locks are released by then: the pause holds up nobody else.
    pub fn commit_pause_us(&self) -> u64 {
        let grown = self.0.log().next().0 - self.0.checkpointed.load(Ordering::Relaxed);
        let (begin, limit) = (self.0.config.checkpoint_bytes * 2, self.0.config.checkpoint_bytes * 4);
        if grown <= begin {
            return 0;
        }
        let excess = (grown.min(limit) - begin) as f64 / (limit - begin) as f64;
        (excess * COMMIT_PAUSE_MAX_US as f64) as u64
    }

    /// Cleans up to `budget` changes that no snapshot needs; `true`: there is more to do now.
    pub fn clean_step(&self, budget: usize) -> Result<bool> {
        finish::clean(&self.0, budget)
    }

    /// Walks every structure: trees, rows, index = table both ways. No transaction may be open.
    pub fn check(&self) -> Result<CheckReport> {
        while self.clean_step(1024)? {}
        check::check(&self.0)
    }

    /// Cleans up and makes a last checkpoint, so that opening needs no redo. Transactions still open are lost.
    pub fn close(&self) -> Result<()> {
        while self.clean_step(1024)? {}
        self.checkpoint()
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        let shared = &self.0;
        let gauge = |value: &AtomicI64| value.load(Ordering::Relaxed).max(0) as u64;
        Stats {
            commits: shared.counters.commits.load(Ordering::Relaxed),
            rollbacks: shared.counters.rollbacks.load(Ordering::Relaxed),
            live_transactions: gauge(&shared.counters.live),
            live_versions: gauge(&shared.versions.live),
            undo_bytes: gauge(&shared.versions.bytes),
            expired_snapshots: shared.counters.expired.load(Ordering::Relaxed),
            deadlocks: shared.graph.deadlocks.load(Ordering::Relaxed),
            unfinished_rollbacks: shared.unfinished.lock().len() as u64,
        }
    }

    /// How many pages a table's or an index's tree has.
    ///
    /// # Errors
    /// `NotFound`; what reading inner pages meets.
    pub fn object_pages(&self, object: ObjectId) -> Result<u64> {
        let pool = &self.0.pool;
        match self.0.table(object) {
            Ok(table) => table.tree.pages(pool),
            Err(_) => self.0.index(object)?.tree.pages(pool),
        }
    }

    /// All explicit locks, held and waited for.
    pub fn locks(&self) -> Vec<LockInfo> {
        self.0.locks.list()
    }

    /// Gives up one count of a session-level lock; `false`: the session does not hold it.
    pub fn unlock(&self, session: SessionId, what: LockTag, mode: LockMode) -> bool {
        self.0.locks.release(Owner::session(session.0), what, mode)
    }

    /// Gives up every session-level lock of a session.
    pub fn end_session(&self, session: SessionId) {
        self.0.locks.release_all(Owner::session(session.0));
    }
}
