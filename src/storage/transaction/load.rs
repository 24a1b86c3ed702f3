//! Many rows at once: the rows of a leaf under one latch, index entries in key order, the entries of a leaf under one latch.
//!
//! A batch is one change: its rows lie in one run, which is there before the first row is, and rows are there before their index
//! entries; so a checkpoint may cut between any two leaves, and whatever fails is undone as a statement's rows are.
//! Unique keys are judged where their entry goes in: a key whose entry has no other of the same key beside it is free. Its
//! stripe is held meanwhile; to wait for one under a latch is forbidden (who holds it may want the latch), so a key whose stripe is
//! taken, or that has a neighbour, is judged as [`Transaction::insert`] judges it.

use super::state::Snapshot;
use super::version::{self, is_deleted};
use super::{Transaction, Undo, redo};
use crate::btree::node;
use crate::error::{Error, Result};
use crate::sync::atomic::Ordering;
use crate::table::{Index, ROW_BYTES_MAX, Table, fence_row, row_key};
use crate::types::batch::RowBatch;
use crate::types::key::KeyEncoder;
use crate::types::row::{Cells, RowView};
use crate::types::{ObjectId, RowId, Unique};
use std::sync::Arc;

/// Bytes of redo that a commit group holds itself.
const REDO_INLINE_MAX: usize = 1 << 20;

/// Index entries to come: key, then row id.
#[derive(Default)]
pub(super) struct Entries {
    bytes: Vec<u8>,
    list: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// The first bytes: most comparisons need no more.
    head: u64,
    start: usize,
    end: usize,
    /// The key must be unique.
    judged: bool,
}

impl Entries {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.list.clear();
    }

    pub(super) fn push(&mut self, key: &[u8], row: u64, judged: bool) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(&row_key(row));
        let mut head = [0; 8];
        let known = (self.bytes.len() - start).min(8);
        head[..known].copy_from_slice(&self.bytes[start..start + known]);
        self.list.push(Entry { head: u64::from_be_bytes(head), start, end: self.bytes.len(), judged });
    }

    /// Brings the entries in order; of those that are there twice (versions of a row with one key) one stays.
    fn sort(&mut self) {
        let bytes = &self.bytes;
        let order =
            |a: &Entry, b: &Entry| a.head.cmp(&b.head).then_with(|| bytes[a.start..a.end].cmp(&bytes[b.start..b.end]));
        if self.list.is_sorted_by(|a, b| order(a, b).is_lt()) {
            return;
        }
        self.list.sort_unstable_by(order);
        self.list.dedup_by(|later, kept| {
            let same = order(later, kept).is_eq();
            kept.judged |= same && later.judged;
            same
        });
    }
}

/// Why a leaf takes no more entries.
enum Stop {
    /// The next ones belong to another leaf, or there are none.
    Done,
    Full,
    /// The next key has to be judged without the latch.
    Judge,
}

impl Transaction {
    /// An empty batch of rows for a table.
    ///
    /// # Errors
    /// `NotFound`
    pub fn batch(&self, table: ObjectId) -> Result<RowBatch> {
        Ok(RowBatch::new(table, self.shared.table(table)?.def(), ROW_BYTES_MAX))
    }

    /// Puts all rows of a batch in; gives the id of the first, the others follow it. Pages that are not in the pool are read in
    /// place: with its rows already there, a batch does not wait for one.
    ///
    /// # Errors
    /// As [`Transaction::insert`], of any of the rows; then none is in.
    pub fn insert_batch(&mut self, s: &Snapshot, batch: &RowBatch) -> Result<RowId> {
        self.check_writable()?;
        let shared = self.shared.clone();
        let table = shared.table(batch.table())?;
        if !Arc::ptr_eq(batch.def(), &table.def()) {
            return Err(Error::corrupt("a batch of rows was made for another form of its table"));
        }
        let count = batch.len() as u64;
        let first = table.ids.take_many(self.row_run(&table), count);
        if count == 0 {
            return Ok(RowId(first));
        }
        {
            let _pass = shared.pool.gate().enter();
            self.begin_leaf(&table, first);
        }
        self.add_to_run(&table, first, first + count, s.command);
        if let Err(error) = self.put_rows(&table, first, batch).and_then(|()| self.put_keys(&table, first, batch)) {
            let _pass = shared.pool.gate().enter();
            self.take_back(first, &error);
            return Err(error);
        }
        if !batch.def().temporary {
            for i in 0..batch.len() {
                redo::insert_image(&mut self.redo, table.id, first + i as u64, batch.image(i));
            }
            // What is not written now is written later.
            let _ = self.spill_redo();
        }
        Ok(RowId(first))
    }

    fn put_rows(&self, table: &Table, first: u64, batch: &RowBatch) -> Result<()> {
        let pool = &self.shared.pool;
        let mut done = 0;
        while done < batch.len() {
            let _pass = pool.gate().enter();
            let key = row_key(first + done as u64);
            let mut leaf = table.tree.write_leaf(pool, &key)?;
            let end = node::upper_fence(&leaf).map_or(u64::MAX, fence_row);
            let start = done;
            // Nobody else has ids between these, so that each goes right behind the one before.
            let mut at = node::lower_bound(&leaf, &key);
            while done < batch.len() && first + (done as u64) < end {
                if !node::insert(&mut leaf, at, &row_key(first + done as u64), batch.image(done)) {
                    break;
                }
                (done, at) = (done + 1, at + 1);
            }
            drop(leaf);
            if done == start {
                table.tree.make_room(pool, &key, batch.image(done).len())?;
            }
        }
        Ok(())
    }

    fn put_keys(&mut self, table: &Table, first: u64, batch: &RowBatch) -> Result<()> {
        let indexes = table.indexes();
        let (mut key, mut entries) = (KeyEncoder::new(), std::mem::take(&mut self.entries));
        let mut put = || {
            for index in indexes.iter().filter(|index| index.is_maintained()) {
                entries.clear();
                for i in 0..batch.len() {
                    if index.key(&batch.row(i), &mut key) {
                        entries.push(key.finish()?, first + i as u64, index.judges(&key));
                    }
                }
                self.put_entries(index, &mut entries)?;
            }
            Ok(())
        };
        let result = put();
        self.entries = entries;
        result
    }

    /// Puts entries into an index, each judged if it is to be; deferrable ones are only remembered. The caller is not inside
    /// the gate.
    pub(super) fn put_entries(&mut self, index: &Index, entries: &mut Entries) -> Result<()> {
        self.put_entries_while(index, entries, &|| true).map(|_| ())
    }

    /// The same, given up between two leaves once `go_on` says no: `false`.
    pub(super) fn put_entries_while(
        &mut self,
        index: &Index,
        entries: &mut Entries,
        go_on: &dyn Fn() -> bool,
    ) -> Result<bool> {
        entries.sort();
        let pool = &self.shared.pool;
        let mut next = 0;
        while next < entries.list.len() {
            if !go_on() {
                return Ok(false);
            }
            let _pass = pool.gate().enter();
            let stop = self.fill_leaf(index, entries, &mut next)?;
            let Some(entry) = entries.list.get(next) else { break };
            let bytes = &entries.bytes[entry.start..entry.end];
            match stop {
                Stop::Done => {}
                Stop::Full => index.tree.make_room(pool, bytes, 0)?,
                Stop::Judge => {
                    let (key, row) = bytes.split_last_chunk::<8>().expect("an entry ends with its row id");
                    let _stripe = self.shared.stripe(index.id, key).lock();
                    self.judge_key(index, key, Some(u64::from_be_bytes(*row)))?;
                    index.tree.put(pool, bytes, &[])?;
                    next += 1;
                }
            }
        }
        if index.def.unique == Unique::Deferrable {
            for entry in entries.list.iter().filter(|entry| entry.judged) {
                let row = entries.bytes[..entry.end].last_chunk::<8>().expect("an entry ends with its row id");
                self.unchecked.push((index.id, RowId(u64::from_be_bytes(*row))));
            }
        }
        Ok(true)
    }

    /// Puts entries from `next` on into the leaf that covers it, as far as that goes.
    fn fill_leaf(&self, index: &Index, entries: &Entries, next: &mut usize) -> Result<Stop> {
        let immediate = index.def.unique == Unique::Immediate;
        let Some(entry) = entries.list.get(*next) else { return Ok(Stop::Done) };
        let mut leaf = index.tree.write_leaf(&self.shared.pool, &entries.bytes[entry.start..entry.end])?;
        // Whether the entry put last is the leaf's last: then the next one belongs behind it.
        let mut at_end = false;
        let first = *next;
        while let Some(entry) = entries.list.get(*next) {
            let bytes = &entries.bytes[entry.start..entry.end];
            if *next > first && node::upper_fence(&leaf).is_some_and(|fence| fence <= bytes) {
                return Ok(Stop::Done);
            }
            let place = if at_end { Err(node::count(&leaf)) } else { node::search(&leaf, bytes) };
            let judged = immediate && entry.judged;
            let at = match place {
                // It has come in with its row, after the index was made.
                Ok(_) if judged => return Ok(Stop::Judge),
                Ok(_) => {
                    *next += 1;
                    continue;
                }
                Err(at) => at,
            };
            let _stripe = if judged {
                let key = &bytes[..bytes.len() - 8];
                match self.shared.stripe(index.id, key).try_lock() {
                    Some(stripe) if is_alone(&leaf, at, key) => Some(stripe),
                    _ => return Ok(Stop::Judge),
                }
            } else {
                None
            };
            if !node::insert(&mut leaf, at, bytes, &[]) {
                return Ok(Stop::Full);
            }
            at_end = at + 1 == node::count(&leaf);
            *next += 1;
        }
        Ok(Stop::Done)
    }

    /// Keys of the rows of one leaf from `row` on, and where the next leaf begins.
    pub(super) fn leaf_keys(
        &self,
        index: &Index,
        row: u64,
        left: &mut usize,
        entries: &mut Entries,
    ) -> Result<Option<u64>> {
        let (pool, table) = (&self.shared.pool, &index.table);
        let def = table.def();
        let mut key = KeyEncoder::new();
        let leaf = table.tree.read_leaf(pool, &row_key(row))?;
        let mut images = Vec::new();
        let mut resume = node::upper_fence(&leaf).map(fence_row);
        for at in node::lower_bound(&leaf, &row_key(row))..node::count(&leaf) {
            let row = node::row_key(&leaf, at);
            if *left == 0 {
                resume = Some(row);
                break;
            }
            *left -= 1;
            let newest = node::value(&leaf, at);
            let chain = version::key(table.id, row);
            // Older snapshots that live may look for any version that is there.
            if self.shared.versions.may_have(chain)
                && let Some(entry) = self.shared.versions.shard(chain).get_mut(&chain)
            {
                let mut each = entry.head.as_deref();
                while let Some(version) = each {
                    if !is_deleted(&version.before) {
                        images.push((version.before.to_vec(), row, false));
                    }
                    each = version.next.as_deref();
                }
                // The entries go with the versions: their changes took them out of use, though there was no index then.
                entry.mark_keys_changed();
            }
            if is_deleted(newest) {
                continue;
            }
            if Cells::new(newest).has_external() {
                images.push((newest.to_vec(), row, true));
            } else if index.key(&RowView::new(newest, &def.columns), &mut key) {
                entries.push(key.finish()?, row, index.judges(&key));
            }
        }
        drop(leaf);
        for (image, row, newest) in images {
            if let Some(key) = index.image_key(pool, &image)? {
                match key.finish() {
                    Ok(bytes) => entries.push(bytes, row, newest && index.judges(&key)),
                    // A former value that was too large for an index is no reason to refuse one.
                    Err(_) if !newest => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(resume)
    }

    /// Says, before rows are in their pages, that they are this transaction's.
    pub(super) fn add_to_run(&mut self, table: &Arc<Table>, start: u64, end: u64, command: u32) {
        table.changes.fetch_add(end - start, Ordering::Relaxed);
        let mark = self.savepoints.last().map_or(0, |mark| mark.undo);
        let joined = match self.undo[mark..].last_mut() {
            Some(Undo::Inserted { table: last, end: last_end, .. }) if *last_end == start && last.id == table.id => {
                let joined = !table.runs.add(start, end, &self.state, command, true);
                if joined {
                    *last_end = end;
                }
                joined
            }
            _ => {
                table.runs.add(start, end, &self.state, command, false);
                false
            }
        };
        if !joined {
            self.undo.push(Undo::Inserted { table: table.clone(), start, end });
        }
    }

    /// Redo beyond what a group takes inline is written ahead. A failure fails the transaction at its commit at the latest.
    pub(super) fn spill_redo(&mut self) -> Result<()> {
        if self.redo.len() >= REDO_INLINE_MAX {
            let extent = self.shared.pool.store().write_extent(&self.redo)?;
            self.redo_extents.push(extent);
            self.redo.clear();
        }
        Ok(())
    }
}

/// Whether no entry of `key` can be anywhere, as far as its leaf tells: `at` is where one belongs.
fn is_alone(leaf: &node::Bytes, at: usize, key: &[u8]) -> bool {
    let before = match at {
        0 => node::lower_fence(leaf) <= key,
        _ => !node::begins_with(leaf, at - 1, key),
    };
    let after = match at < node::count(leaf) {
        true => !node::begins_with(leaf, at, key),
        false => node::upper_fence(leaf).is_none_or(|fence| !fence.starts_with(key)),
    };
    before && after
}
