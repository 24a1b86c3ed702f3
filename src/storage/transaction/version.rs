//! Versions: the newest one of a row lies in its page, before-images hang in memory under (table, row id).
//!
//! ```text
//! page: newest image <- Version { writer B, before } -> Version { writer A, before } -> ...
//! ```
//! 1. A version's `before` is what its writer found. A reader starts with the page's image and goes one `before` further for
//!    each writer it does not see; past the last one stands the row's insertion, a run of the table's [`Runs`], or nothing:
//!    then everybody sees it.
//! 2. A chain is changed under its shard's mutex; its head together with the page, under the leaf's exclusive latch. Latch
//!    first, shard second.
//! 3. The filter counts chains by hash: where it says zero, there is none. It is raised before the page changes.
//! 4. A chain goes after the index entries that only it needed: a row without a chain has exactly the entries of its image.
//!
//! (Neumann et al., Fast Serializable MVCC, 2015; runs: Freitag et al., Memory-Optimized MVCC, 2022.)

use super::api::RowLockMode;
use super::state::{Snapshot, Status, TxnState};
use crate::hash::HashMap;
use crate::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, RwLock};
use crate::types::row::DELETED;
use crate::types::{ObjectId, Position};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A row of a table.
pub(crate) type RowKey = (u32, u64);

/// One change of a row.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) txn: Arc<TxnState>,
    pub(crate) command: u32,
    /// `Update` when the row went or an index key changed hands that foreign keys may name, else `NoKeyUpdate`.
    pub(crate) mode: RowLockMode,
    /// The change took index entries out of use.
    pub(crate) keys_changed: bool,
    pub(crate) stamp: u64,
    pub(crate) before: Box<[u8]>,
    pub(crate) next: Option<Box<Version>>,
}

impl Drop for Version {
    fn drop(&mut self) {
        // Long chains must not unwind the stack one frame per version.
        let mut next = self.next.take();
        while let Some(mut version) = next {
            next = version.next.take();
        }
    }
}

/// An explicit lock of a row.
#[derive(Debug)]
pub(crate) struct RowLock {
    pub(crate) txn: Arc<TxnState>,
    pub(crate) mode: RowLockMode,
}

/// What hangs under one row.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) head: Option<Box<Version>>,
    pub(crate) locks: Vec<RowLock>,
}

impl Entry {
    /// Clean-up has to look for index entries of every version from now on.
    pub(crate) fn mark_keys_changed(&mut self) {
        let mut each = self.head.as_mut();
        while let Some(version) = each {
            version.keys_changed = true;
            each = version.next.as_mut();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none() && self.locks.is_empty()
    }
}

const SHARDS: usize = if cfg!(feature = "shuttle") { 4 } else { 256 };
const FILTER: usize = if cfg!(feature = "shuttle") { 64 } else { 1 << 16 };

/// What a row costs in a shard's map, about.
const ENTRY_BYTES: usize = 64;

/// A part of the chains.
pub(crate) type Shard = HashMap<RowKey, Entry>;

/// All chains.
pub(crate) struct Versions {
    shards: Box<[Mutex<Shard>]>,
    filter: Box<[AtomicU32]>,
    pub(crate) live: AtomicI64,
    pub(crate) bytes: AtomicI64,
}

fn hash(key: RowKey) -> u64 {
    (key.1 ^ u64::from(key.0) << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Consecutive row ids, from a multiple on, that share a counter of the filter: a scan touches few.
pub(crate) const NEIGHBOURS: u64 = 16;

/// Consecutive counters that belong to consecutive rows: what a scan asks lies together.
const STRETCH: u64 = 64;

fn filter_at(key: RowKey) -> usize {
    let counter = key.1 / NEIGHBOURS;
    let stretch = hash((key.0, counter / STRETCH)) >> 48;
    (stretch * STRETCH + counter % STRETCH) as usize % FILTER
}

impl Versions {
    pub(crate) fn new() -> Versions {
        Versions {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            filter: (0..FILTER).map(|_| AtomicU32::new(0)).collect(),
            live: AtomicI64::new(0),
            bytes: AtomicI64::new(0),
        }
    }

    /// Whether the row may have a chain; to be asked under the leaf's latch.
    #[inline]
    pub(crate) fn may_have(&self, key: RowKey) -> bool {
        self.filter[filter_at(key)].load(Ordering::Acquire) != 0
    }

    /// The part that holds the row's chain.
    pub(crate) fn shard(&self, key: RowKey) -> MutexGuard<'_, Shard> {
        self.shards[(hash(key) >> 32) as usize % SHARDS].lock()
    }

    /// Makes `version` the head. The caller changes the page before it gives up the leaf's latch.
    pub(crate) fn push(&self, entry: &mut Entry, key: RowKey, mut version: Box<Version>) {
        self.count(key, &version, 1);
        version.next = entry.head.take();
        entry.head = Some(version);
    }

    /// Takes the head off.
    pub(crate) fn pop(&self, entry: &mut Entry, key: RowKey) -> Option<Box<Version>> {
        let mut version = entry.head.take()?;
        entry.head = version.next.take();
        self.count(key, &version, -1);
        Some(version)
    }

    /// Counts a version that came or went.
    pub(crate) fn count(&self, key: RowKey, version: &Version, change: i32) {
        let filter = &self.filter[filter_at(key)];
        if change > 0 {
            filter.fetch_add(1, Ordering::Release);
        } else {
            filter.fetch_sub(1, Ordering::Release);
        }
        self.live.fetch_add(i64::from(change), Ordering::Relaxed);
        let bytes = (size_of::<Version>() + version.before.len() + ENTRY_BYTES) as i64;
        self.bytes.fetch_add(i64::from(change) * bytes, Ordering::Relaxed);
    }

    /// Counts row locks that came or went: they share the budget of the versions.
    pub(crate) fn count_locks(&self, change: i64) {
        self.bytes.fetch_add(change * (size_of::<RowLock>() + ENTRY_BYTES) as i64, Ordering::Relaxed);
    }

    /// Drops the versions from the first one on whose before-image nobody can see any more; gives them newest first.
    pub(crate) fn cut(&self, entry: &mut Entry, key: RowKey, horizon: Position) -> Option<Box<Version>> {
        let mut link = &mut entry.head;
        while link.as_ref().is_some_and(|version| !is_settled(&version.txn, horizon)) {
            link = &mut link.as_mut().expect("tested by the loop").next;
        }
        let dropped = link.take()?;
        let mut each = Some(&dropped);
        while let Some(version) = each {
            self.count(key, version, -1);
            each = version.next.as_ref();
        }
        Some(dropped)
    }

    /// Takes out of a chain what lies between live snapshots. `live` ascending; only versions acknowledged by `now`.
    pub(crate) fn thin(&self, entry: &mut Entry, key: RowKey, live: &[u64], now: Position) {
        let mut link = &mut entry.head;
        while let Some(version) = link {
            let removable = match (&version.next, version.txn.status()) {
                (Some(older), Status::Committed(end)) if end <= now => match older.txn.status() {
                    // The before-image is what snapshots in [start, end) see.
                    Status::Committed(start) => {
                        let seen = live.partition_point(|at| *at < start.0) < live.partition_point(|at| *at < end.0);
                        !seen && !older.keys_changed && !version.keys_changed && !may_be_external(&version.before)
                    }
                    _ => false,
                },
                _ => false,
            };
            if removable && let Some(mut older) = version.next.take() {
                self.count(key, version, -1);
                self.count(key, &older, -1);
                version.before = std::mem::take(&mut older.before);
                version.next = older.next.take();
                self.count(key, version, 1);
                continue;
            }
            link = &mut link.as_mut().expect("matched by the loop").next;
        }
    }

    /// [`Self::thin`] of every chain.
    pub(crate) fn thin_all(&self, live: &[u64], now: Position) {
        for shard in &self.shards {
            shard.lock().iter_mut().for_each(|(key, entry)| self.thin(entry, *key, live, now));
        }
    }

    /// Shows every chain to `look`, one shard at a time.
    pub(crate) fn each(&self, mut look: impl FnMut(RowKey, &Entry)) {
        for shard in &self.shards {
            shard.lock().iter().for_each(|(key, entry)| look(*key, entry));
        }
    }

    /// Number of versions in a chain, counted up to 8.
    pub(crate) fn depth(entry: &Entry) -> usize {
        let mut each = entry.head.as_ref();
        let mut depth = 0;
        while let Some(version) = each.filter(|_| depth < 8) {
            depth += 1;
            each = version.next.as_ref();
        }
        depth
    }
}

pub(crate) fn may_be_external(image: &[u8]) -> bool {
    !is_deleted(image) && crate::types::row::Cells::new(image).has_external()
}

/// Whether everybody who can look sees what `txn` did.
pub(crate) fn is_settled(txn: &TxnState, horizon: Position) -> bool {
    matches!(txn.status(), Status::Committed(position) if position <= horizon)
}

/// Whether an image says that the row is deleted.
pub(crate) fn is_deleted(image: &[u8]) -> bool {
    image.first().is_none_or(|flags| flags & DELETED != 0)
}

/// The image of a deleted row.
pub(crate) const TOMBSTONE: [u8; 3] = [DELETED, 0, 0];

/// Consecutive row ids inserted by one command.
#[derive(Debug)]
pub(crate) struct Run {
    /// One past the last id.
    pub(crate) end: u64,
    pub(crate) txn: Arc<TxnState>,
    pub(crate) command: u32,
}

/// The insertions of a table that not everybody sees yet.
#[derive(Debug)]
pub(crate) struct Runs {
    map: RwLock<BTreeMap<u64, Run>>,
    /// No run begins below it.
    lowest: AtomicU64,
}

impl Runs {
    pub(crate) fn new() -> Runs {
        Runs { map: RwLock::default(), lowest: AtomicU64::new(u64::MAX) }
    }

    /// Whether the row may lie in a run.
    #[inline]
    pub(crate) fn may_have(&self, row: u64) -> bool {
        row >= self.lowest.load(Ordering::Acquire)
    }

    /// What `look` makes of the row's run.
    pub(crate) fn with<T>(&self, row: u64, look: impl FnOnce(Option<&Run>) -> T) -> T {
        if !self.may_have(row) {
            return look(None);
        }
        let map = self.map.read();
        look(map.range(..=row).next_back().map(|(_, run)| run).filter(|run| row < run.end))
    }

    /// Adds rows; where they may, they join the run that ends with their predecessor if that is of the same command. `true`: a
    /// new run.
    pub(crate) fn add(&self, start: u64, end: u64, txn: &Arc<TxnState>, command: u32, may_join: bool) -> bool {
        let mut map = self.map.write();
        if may_join
            && let Some((_, run)) = map.range_mut(..start).next_back()
            && run.end == start
            && run.command == command
            && run.txn.id == txn.id
        {
            run.end = end;
            return false;
        }
        map.insert(start, Run { end, txn: txn.clone(), command });
        self.lowest.fetch_min(start, Ordering::AcqRel);
        true
    }

    /// Forgets the run that begins with `start`.
    pub(crate) fn remove(&self, start: u64) {
        let mut map = self.map.write();
        map.remove(&start);
        let lowest = map.first_key_value().map_or(u64::MAX, |(start, _)| *start);
        self.lowest.store(lowest, Ordering::Release);
    }

    /// The runs of transactions in progress.
    pub(crate) fn active(&self) -> Vec<(u64, u64)> {
        let map = self.map.read();
        map.iter().filter(|(_, run)| run.txn.is_active()).map(|(start, run)| (*start, run.end)).collect()
    }
}

/// The version that `sees` accepts first, newest to oldest, and its stamp; `None`: the row does not exist for it.
pub(crate) fn resolve<'a>(
    image: &'a [u8],
    head: Option<&'a Version>,
    run: Option<&Run>,
    sees: impl Fn(&TxnState, u32) -> bool,
) -> Option<(&'a [u8], u64)> {
    let mut image = image;
    let mut each = head;
    while let Some(version) = each {
        if sees(&version.txn, version.command) {
            return (!is_deleted(image)).then_some((image, version.stamp));
        }
        image = &version.before;
        each = version.next.as_deref();
    }
    let stamp = match run {
        Some(run) if !sees(&run.txn, run.command) => return None,
        Some(run) => run_stamp(run),
        None => 0,
    };
    (!is_deleted(image)).then_some((image, stamp))
}

/// The stamp of a row as it was inserted.
pub(crate) fn run_stamp(run: &Run) -> u64 {
    run.txn.id.0 << 24
}

/// The image that a snapshot sees.
pub(crate) fn visible<'a>(
    image: &'a [u8],
    head: Option<&'a Version>,
    run: Option<&Run>,
    snapshot: &Snapshot,
) -> Option<&'a [u8]> {
    resolve(image, head, run, |txn, command| snapshot.sees(txn, command)).map(|(image, _)| image)
}

/// Chains by table are dropped with their table: nothing reads them any more.
pub(crate) fn key(table: ObjectId, row: u64) -> RowKey {
    (table.0, row)
}
