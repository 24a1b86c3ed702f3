//! Reads: rows by id, runs of rows, index ranges. All copy out; nothing borrows a page, no latch outlives a call.

use super::api::{Direction, IndexCursor, KeyRange, Newest, Stamp};
use super::state::{Snapshot, Status};
use super::{Transaction, version};
use crate::btree::node;
use crate::buffer::PageRead;
use crate::error::{Error, Result};
use crate::sync::atomic::Ordering;
use crate::table::{Index, Table, fence_row, row_id, row_key};
use crate::types::key::{prefix_end, split_entry};
use crate::types::row::{Cells, RowBuffer};
use crate::types::{ObjectId, Position, RowId};
use std::cell::Cell;
use std::ops::{Bound, Range};
use version::Entry;

/// Whether the rows that a scan is among are settled: asked once for those that share the answer.
#[derive(Default)]
struct Neighbours {
    /// One past them; 0: none yet.
    end: u64,
    settled: bool,
}

impl Neighbours {
    /// `ask` is asked of the last of the neighbours, for all: of their chains there is one counter, and a run that begins at or
    /// before one may hold those behind it.
    #[inline]
    fn are_settled(&mut self, row: u64, ask: impl FnOnce(u64) -> bool) -> bool {
        if row >= self.end {
            self.end = (row | (version::NEIGHBOURS - 1)) + 1;
            self.settled = ask(self.end - 1);
        }
        self.settled
    }
}

impl Transaction {
    /// Appends the row as the snapshot sees it; `false`: it does not exist for it.
    ///
    /// # Errors
    /// `NotFound`: no such table; `SnapshotTooOld`; `Wait`, for a page.
    pub fn get(&self, s: &Snapshot, table: ObjectId, row: RowId, rows: &mut RowBuffer) -> Result<bool> {
        let table = self.shared.table(table)?;
        rows.set_table(&table.def());
        let before = rows.len();
        let found = self.reading(|| self.read_row(s, &table, row.0, rows, None));
        seen_by(s, before, rows, found)
    }

    /// Appends the newest version that is committed or this transaction's own.
    ///
    /// # Errors
    /// `NotFound`: no such table; `Wait`, for a page.
    pub fn get_newest(&self, table: ObjectId, row: RowId, rows: &mut RowBuffer) -> Result<Newest> {
        self.reading(|| self.read_newest(table, row, rows))
    }

    fn read_newest(&self, table: ObjectId, row: RowId, rows: &mut RowBuffer) -> Result<Newest> {
        let table = self.shared.table(table)?;
        rows.set_table(&table.def());
        let key = row_key(row.0);
        let leaf = table.tree.read_leaf(&self.shared.pool, &key)?;
        let Ok(at) = node::search(&leaf, &key) else { return Ok(Newest::Gone) };
        let shard = self.shared.versions.shard(version::key(table.id, row.0));
        let head = shard.get(&version::key(table.id, row.0)).and_then(|entry| entry.head.as_deref());
        let met = Cell::new(Position(0));
        let sees = |txn: &super::state::TxnState, _| match txn.status() {
            Status::Committed(position) => {
                met.set(met.get().max(position));
                true
            }
            Status::Active => txn.id == self.state.id,
            Status::Aborted => false,
        };
        let found = table.runs.with(row.0, |run| version::resolve(node::value(&leaf, at), head, run, sees));
        self.note(met.get());
        let Some((image, stamp)) = found else { return Ok(Newest::Gone) };
        rows.push(row, image);
        drop(shard);
        drop(leaf);
        self.complete(&table, rows)?;
        Ok(Newest::Row(Stamp(stamp)))
    }

    /// Appends up to `max_rows` visible rows of `range` in row id order, fewer when a page is missing or the next leaf has more than
    /// there is still room for; where to go on, `None` at the end.
    ///
    /// # Errors
    /// `NotFound`: no such table; `SnapshotTooOld`; `Wait`, for a page: nothing is appended.
    pub fn scan(
        &self,
        s: &Snapshot,
        table: ObjectId,
        range: Range<RowId>,
        max_rows: usize,
        rows: &mut RowBuffer,
    ) -> Result<Option<RowId>> {
        let (mut next, before) = (range.start, rows.len());
        let found = self.reading(|| match self.scan_from(s, table, &mut next, range.end, max_rows, rows) {
            Ok(true) => Ok(Some(next)),
            Ok(false) => Ok(None),
            // What there is is given first; the next call waits.
            Err(Error::Wait(_)) if rows.len() > before => Ok(Some(next)),
            Err(error) => Err(error),
        });
        seen_by(s, before, rows, found)
    }

    /// [`Self::scan`] from `next` on, which moves behind what is appended; `true`: there may be more.
    fn scan_from(
        &self,
        s: &Snapshot,
        table: ObjectId,
        next: &mut RowId,
        end: RowId,
        max_rows: usize,
        rows: &mut RowBuffer,
    ) -> Result<bool> {
        let table = self.shared.table(table)?;
        rows.set_table(&table.def());
        let full = rows.len() + max_rows;
        // Until a leaf has been met whose rows have to be taken one by one.
        let mut whole = true;
        while *next < end {
            if rows.len() >= full {
                return Ok(true);
            }
            let key = row_key(next.0);
            let leaf = self.scanned_leaf(&table, &key)?;
            let (at, count, room) = (node::lower_bound(&leaf, &key), node::count(&leaf), full - rows.len());
            let all = whole && at == 0 && count > 0 && node::row_key(&leaf, count - 1) < end.0;
            if all && count > room && room <= max_rows / 4 {
                // The next call takes the leaf whole.
                return Ok(true);
            }
            let fits = all && count <= room;
            let taken = fits && self.push_leaf(s, &table, &leaf, rows);
            whole &= taken == fits;
            let (resume, external) = match taken {
                true => (node::upper_fence(&leaf).map(fence_row), false),
                false => self.push_rows(s, &table, &leaf, at, end, full, rows),
            };
            drop(leaf);
            let Some(resume) = resume else { return Ok(false) };
            if external {
                // The values are fetched without the latch; without them the scan stands before the row.
                self.complete(&table, rows).inspect_err(|_| *next = row_id(resume - 1))?;
            }
            *next = row_id(resume);
        }
        Ok(false)
    }

    /// The leaf of a row, for a scan.
    fn scanned_leaf(&self, table: &Table, key: &[u8]) -> Result<PageRead<'_>> {
        let pool = &self.shared.pool;
        let leaf = match table.is_large.load(Ordering::Relaxed) {
            true => table.tree.read_leaf_once(pool, key)?,
            false => table.tree.read_leaf(pool, key)?,
        };
        let is_large = pool.is_large(table.ids.bound() / node::count(&leaf).max(1) as u64);
        if is_large != table.is_large.load(Ordering::Relaxed) {
            table.is_large.store(is_large, Ordering::Relaxed);
        }
        Ok(leaf)
    }

    /// Appends what the snapshot sees of a leaf's rows from entry `at` on, until `rows` is `full`. Where to go on, `None`: nowhere; and
    /// whether the row before that, the one pushed last, has values in overflow pages.
    fn push_rows(
        &self,
        s: &Snapshot,
        table: &Table,
        leaf: &node::Bytes,
        at: usize,
        end: RowId,
        full: usize,
        rows: &mut RowBuffer,
    ) -> (Option<u64>, bool) {
        let mut neighbours = Neighbours::default();
        for (row, image) in node::rows(leaf, at) {
            if row >= end.0 {
                return (None, false);
            }
            if rows.len() >= full {
                return (Some(row), false);
            }
            let image = &leaf[image];
            let pushed = match neighbours.are_settled(row, |last| table.is_settled(&self.shared.versions, last)) {
                true if version::is_deleted(image) => false,
                true => {
                    rows.push(row_id(row), image);
                    true
                }
                false => self.push_visible(s, table, row, image, rows).0,
            };
            if pushed && Cells::new(rows.raw(rows.len() - 1)).has_external() {
                return (Some(row + 1), true);
            }
        }
        (node::upper_fence(leaf).map(fence_row), false)
    }

    /// Appends what the snapshot sees of a leaf. What the leaf holds is copied at once: memory gives one long piece much faster than
    /// row after row, each where no prefetcher expects it. `false`: a row has values in overflow pages, or few are seen, and nothing is
    /// appended.
    fn push_leaf(&self, s: &Snapshot, table: &Table, leaf: &node::Bytes, rows: &mut RowBuffer) -> bool {
        let entries = node::entries(leaf);
        let mut copy = rows.copy(&leaf[entries.clone()], node::count(leaf));
        let mut neighbours = Neighbours::default();
        for (row, image) in node::rows(leaf, 0) {
            if neighbours.are_settled(row, |last| table.is_settled(&self.shared.versions, last)) {
                copy.push(row_id(row), image.start - entries.start..image.end - entries.start);
            } else {
                self.see(s, table, row, &leaf[image], |image| copy.push_other(row_id(row), image));
            }
        }
        copy.finish()
    }

    /// Exclusive upper end of the table's row ids.
    pub fn row_id_bound(&self, table: ObjectId) -> RowId {
        self.shared.table(table).map_or(RowId(1), |table| row_id(table.ids.bound()))
    }

    /// A cursor at the beginning of `range` (at its end, backward).
    pub fn index_cursor(&self, index: ObjectId, range: KeyRange, direction: Direction) -> IndexCursor {
        let (lower, upper) = bounds(range);
        let done = upper.as_ref().is_some_and(|upper| *upper <= lower);
        IndexCursor { index, direction, lower, upper, done }
    }

    /// Appends visible rows in key order, up to about `max_rows`, fewer when a page is missing; `false`: there are no more.
    ///
    /// # Errors
    /// `NotFound`: no such index; `SnapshotTooOld`; `Wait`, for a page: nothing is appended.
    pub fn index_next(
        &self,
        s: &Snapshot,
        cursor: &mut IndexCursor,
        max_rows: usize,
        rows: &mut RowBuffer,
    ) -> Result<bool> {
        let before = rows.len();
        let found = self.reading(|| match self.index_rows(s, cursor, max_rows, rows) {
            // What there is is given first; the next call waits.
            Err(Error::Wait(_)) if rows.len() > before => Ok(true),
            other => other,
        });
        seen_by(s, before, rows, found)
    }

    /// [`Self::index_next`]; on an error the cursor stands behind what is appended.
    fn index_rows(
        &self,
        s: &Snapshot,
        cursor: &mut IndexCursor,
        max_rows: usize,
        rows: &mut RowBuffer,
    ) -> Result<bool> {
        let index = self.shared.index(cursor.index)?;
        rows.set_table(&index.table.def());
        let full = rows.len() + max_rows.max(1);
        let mut entries = Entries::with_capacity(max_rows.min(64));
        while !cursor.done && rows.len() < full {
            entries.clear();
            let removals = index.removals.load(Ordering::SeqCst);
            self.collect(&index, cursor, full - rows.len(), &mut entries)?;
            for entry in entries.iter() {
                let Some((key, row)) = split_entry(entry) else { continue };
                let expected = Some((&*index, key, removals));
                self.read_row(s, &index.table, row.0, rows, expected).inspect_err(|_| cursor.back_to(entry))?;
            }
        }
        Ok(!cursor.done)
    }

    /// Roughly how many entries a range holds.
    ///
    /// # Errors
    /// `NotFound`: no such index; `Wait`, for a page.
    pub fn index_estimate(&self, index: ObjectId, range: &KeyRange) -> Result<u64> {
        let (lower, upper) = bounds(range.clone());
        if upper.as_ref().is_some_and(|upper| *upper <= lower) {
            return Ok(0);
        }
        let index = self.shared.index(index)?;
        self.reading(|| index.tree.estimate(&self.shared.pool, &lower, upper.as_deref()))
    }

    /// How many rows of a table have been inserted, changed and deleted, by whomever and whatever came of it, since the engine was
    /// opened or they were last forgotten. Statistics of the table are worth so much less.
    pub fn row_changes(&self, table: ObjectId) -> u64 {
        self.shared.table(table).map_or(0, |table| table.changes.load(Ordering::Relaxed))
    }

    /// Forgets so many changes of a table.
    pub fn forget_row_changes(&self, table: ObjectId, changes: u64) {
        if let Ok(table) = self.shared.table(table) {
            table.changes.fetch_sub(changes, Ordering::Relaxed);
        }
    }

    /// Roughly how many rows a table has.
    pub fn row_estimate(&self, table: ObjectId) -> u64 {
        let table = self.shared.table(table);
        table.and_then(|table| table.tree.estimate(&self.shared.pool, &[], None)).unwrap_or(0)
    }

    /// Takes up to `max` entries from one leaf and moves the cursor behind them.
    fn collect(&self, index: &Index, cursor: &mut IndexCursor, max: usize, entries: &mut Entries) -> Result<()> {
        let pool = &self.shared.pool;
        match cursor.direction {
            Direction::Forward => {
                let leaf = index.tree.read_leaf(pool, &cursor.lower)?;
                let first = node::lower_bound(&leaf, &cursor.lower);
                let end = cursor.upper.as_ref().map_or(node::count(&leaf), |upper| node::lower_bound(&leaf, upper));
                let taken = end.saturating_sub(first).min(max);
                (first..first + taken).for_each(|at| entries.push(&leaf, at));
                if first + taken < end {
                    cursor.lower.clear();
                    node::key_into(&leaf, first + taken, &mut cursor.lower);
                    return Ok(());
                }
                match node::upper_fence(&leaf) {
                    Some(fence) if cursor.upper.as_ref().is_none_or(|upper| fence < &upper[..]) => {
                        cursor.lower.clear();
                        cursor.lower.extend_from_slice(fence);
                    }
                    _ => cursor.done = true,
                }
            }
            Direction::Backward => {
                let leaf = index.tree.read_leaf_below(pool, cursor.upper.as_deref())?;
                let first = node::lower_bound(&leaf, &cursor.lower);
                let end = cursor.upper.as_ref().map_or(node::count(&leaf), |upper| node::lower_bound(&leaf, upper));
                let taken = end.saturating_sub(first).min(max);
                (end - taken..end).rev().for_each(|at| entries.push(&leaf, at));
                if end.saturating_sub(taken) > first {
                    cursor.upper = Some(node::key(&leaf, end - taken));
                } else if node::lower_fence(&leaf) > &cursor.lower[..] {
                    cursor.upper = Some(node::lower_fence(&leaf).to_vec());
                } else {
                    cursor.done = true;
                }
            }
        }
        Ok(())
    }

    /// Appends the row if the snapshot sees it and if the version seen has the entry's key: to be tested when there are other
    /// versions, when entries have gone since `removals` was read, or are about to.
    pub(super) fn read_row(
        &self,
        s: &Snapshot,
        table: &Table,
        row: u64,
        rows: &mut RowBuffer,
        expected: Option<(&Index, &[u8], u64)>,
    ) -> Result<bool> {
        let key = row_key(row);
        let leaf = table.tree.read_leaf(&self.shared.pool, &key)?;
        let Ok(at) = node::search(&leaf, &key) else { return Ok(false) };
        let (pushed, chained) = self.push_visible(s, table, row, node::value(&leaf, at), rows);
        drop(leaf);
        if !pushed {
            return Ok(false);
        }
        self.complete(table, rows)?;
        let last = rows.len() - 1;
        if let Some((index, key, removals)) = expected
            && (chained
                || table.unclean.load(Ordering::SeqCst) > 0
                || index.removals.load(Ordering::SeqCst) != removals)
        {
            // What is in the buffer is whole: nothing is fetched, nothing can fail.
            let seen = index.image_key(&self.shared.pool, rows.raw(last))?;
            if seen.is_none_or(|seen| seen.bytes() != key) {
                rows.truncate(last);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Appends what the snapshot sees of a row whose leaf is latched: whether that is anything, and whether it has a chain.
    #[inline]
    fn push_visible(&self, s: &Snapshot, table: &Table, row: u64, image: &[u8], rows: &mut RowBuffer) -> (bool, bool) {
        if table.is_settled(&self.shared.versions, row) {
            let live = !version::is_deleted(image);
            if live {
                rows.push(row_id(row), image);
            }
            return (live, false);
        }
        self.see(s, table, row, image, |image| rows.push(row_id(row), image))
    }

    /// Gives `seen` what the snapshot sees of a row that may have versions and whose leaf is latched: whether that is anything, and
    /// whether it has a chain.
    fn see(&self, s: &Snapshot, table: &Table, row: u64, image: &[u8], seen: impl FnOnce(&[u8])) -> (bool, bool) {
        let key = version::key(table.id, row);
        let shard = self.shared.versions.shard(key);
        let head = shard.get(&key).and_then(|entry: &Entry| entry.head.as_deref());
        let image = table.runs.with(row, |run| version::visible(image, head, run, s));
        (image.map(seen).is_some(), head.is_some())
    }

    /// Fetches the external values of the row pushed last; takes the row away again when that fails.
    fn complete(&self, table: &Table, rows: &mut RowBuffer) -> Result<()> {
        let last = rows.len() - 1;
        let image = rows.raw(last);
        if !Cells::new(image).has_external() {
            return Ok(());
        }
        match table.full(&self.shared.pool, image).map(|full| full.into_owned()) {
            Ok(full) => {
                rows.replace_last(&full);
                Ok(())
            }
            Err(error) => {
                rows.truncate(last);
                Err(error)
            }
        }
    }

    /// Calls `visit` with each row that has an entry of exactly this key, until it says `false`.
    pub(super) fn rows_with_key(
        &self,
        index: &Index,
        key: &[u8],
        mut visit: impl FnMut(u64) -> Result<bool>,
    ) -> Result<()> {
        let mut cursor = IndexCursor {
            index: index.id,
            direction: Direction::Forward,
            lower: key.to_vec(),
            upper: prefix_end(key),
            done: false,
        };
        let mut entries = Entries::default();
        while !cursor.done {
            entries.clear();
            self.collect(index, &mut cursor, 64, &mut entries)?;
            for entry in entries.iter() {
                if let Some((_, row)) = split_entry(entry)
                    && !visit(row.0)?
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// What was read by a snapshot, `before` rows being in the buffer already: nothing, whatever else went wrong, if the snapshot
/// has been given up by now.
fn seen_by<T>(s: &Snapshot, before: usize, rows: &mut RowBuffer, found: Result<T>) -> Result<T> {
    s.check().inspect_err(|_| rows.truncate(before))?;
    found
}

/// The bytes from which on, and below which, the entries of a range lie.
fn bounds(range: KeyRange) -> (Vec<u8>, Option<Vec<u8>>) {
    let lower = match range.lower {
        Bound::Unbounded => Some(Vec::new()),
        Bound::Included(prefix) => Some(prefix),
        Bound::Excluded(prefix) => prefix_end(&prefix),
    };
    let upper = match range.upper {
        Bound::Unbounded => None,
        Bound::Included(prefix) => prefix_end(&prefix),
        Bound::Excluded(prefix) => Some(prefix),
    };
    // Nothing lies above a prefix without an end.
    lower.map_or((Vec::new(), Some(Vec::new())), |lower| (lower, upper))
}

/// Index entries copied out of a leaf.
#[derive(Default)]
struct Entries {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Entries {
    fn with_capacity(entries: usize) -> Entries {
        Entries { bytes: Vec::with_capacity(entries * 16), ends: Vec::with_capacity(entries) }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, leaf: &node::Bytes, at: usize) {
        node::key_into(leaf, at, &mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}
