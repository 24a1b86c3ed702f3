//! How transactions end: commit, rollback, and the clean-up of what only older snapshots needed.
//!
//! Commit: the group goes to the log buffer; there its position is stored in the state word, which makes every version of the
//! transaction committed at once; then locks go and waiters wake. Rollback: row after row, newest change first, the page gets
//! the before-image back, and the index entries that no version needs any more go; then the state word says aborted.
//! Clean-up does the same for what is committed and seen by everybody: entries first, then the chain, then the tombstone.

use super::api::{LockMode, LockTag};
use super::lock::Owner;
use super::state::TxnState;
use super::version::{self, RowKey, TOMBSTONE, Version, is_deleted, is_settled};
use super::{Transaction, Undo, redo};
use crate::btree::{Tree, node};
use crate::buffer::{Misses, Pool};
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::space::Draw;
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering;
use crate::table::{self, Index, Object, Table, externals, fence_row, overflow, row_key};
use crate::types::row::External;
use crate::types::{ObjectId, PageId, Position};
use std::ops::Range;
use std::sync::Arc;

/// What a committed transaction leaves to be cleaned up.
pub(crate) struct Garbage {
    pub(crate) position: Position,
    undo: std::vec::IntoIter<Undo>,
}

/// A transaction whose rollback met an I/O error: it stays in progress, and clean-up goes on with it. Its explicit locks stay
/// too: they guard definitions that are still to be undone.
pub(crate) struct Unfinished {
    state: Arc<TxnState>,
    undo: Vec<Undo>,
    locks: Vec<(LockTag, LockMode)>,
}

/// An image that no version of its row is any more, whose index entries and values an I/O error kept from going.
pub(crate) struct Leftover {
    pub(crate) table: Arc<Table>,
    pub(crate) row: u64,
    pub(crate) image: Vec<u8>,
    /// Its values that no other version shares.
    pub(crate) values: Vec<External>,
}

/// Items of clean-up that a commit does for others.
const CLEAN_IN_PASSING: usize = 8;

impl Transaction {
    /// Commits: visible to later snapshots once acknowledged; to be answered when `Engine::wait_durable` says so. A transaction
    /// that wrote nothing gives the highest position that it met.
    ///
    /// # Errors
    /// `Poisoned`: rolled back instead.
    pub fn commit(self) -> Result<Position> {
        self.finish(false)
    }

    /// Commits and acknowledges at once (synchronous_commit = off): a crash may lose it, whole.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn commit_async(self) -> Result<Position> {
        self.finish(true)
    }

    /// Commits as [`Self::commit`] does, but keeps its explicit locks until what is given is dropped: for who has to publish
    /// something (a new catalog) before those who wait for the locks may go on.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn commit_holding_locks(mut self) -> Result<(Position, HeldLocks)> {
        let held = HeldLocks {
            shared: self.shared.clone(),
            owner: Owner::transaction(self.state.id),
            locks: std::mem::take(&mut self.locks),
        };
        Ok((self.finish(false)?, held))
    }

    /// Undoes all.
    pub fn rollback(mut self) {
        self.abort();
    }

    fn finish(mut self, acknowledged: bool) -> Result<Position> {
        let shared = self.shared.clone();
        if self.undo.is_empty() {
            self.ended = true;
            self.state.abort();
            self.release_locks();
            return Ok(self.noted());
        }
        let appended = match self.broken.take() {
            Some((_, error)) => Err(error),
            None => self.append_group(acknowledged),
        };
        let position = match appended {
            Ok(position) => position,
            Err(error) => {
                self.abort();
                return Err(error);
            }
        };
        self.ended = true;
        self.release_locks();
        shared.counters.commits.fetch_add(1, Ordering::Relaxed);
        let undo = std::mem::take(&mut self.undo);
        shared.garbage.lock().push_back(Garbage { position, undo: undo.into_iter() });
        // The commit has happened, whatever clean-up meets, a missing page too: it is tried again.
        let _misses = self.page_waits.get().wanted.then(|| Misses::wait(PageId(0)));
        let _ = clean_in_passing(&shared);
        Ok(position)
    }

    /// The commit itself. On an error nothing of it can be in the log.
    fn append_group(&mut self, acknowledged: bool) -> Result<Position> {
        let (shared, state) = (self.shared.clone(), self.state.clone());
        self.spill_redo()?;
        if !self.redo_extents.is_empty() {
            shared.pool.store().sync()?;
        }
        let group = redo::commit_group(shared.clock.now_us(), &self.redo_extents, &self.redo);
        let room = shared.log().reserve(group.len())?;
        let _pass = shared.pool.gate().enter();
        let (position, ()) = shared.log().append(room, &group, |position| {
            state.commit(position);
            if acknowledged {
                shared.acknowledge(position);
            }
        });
        for extent in self.redo_extents.drain(..) {
            shared.pool.store().keep_for_log(position, extent);
        }
        Ok(position)
    }

    /// Undoes all; what an I/O error prevents is left to clean-up, and the rows stay locked until then.
    pub(super) fn abort(&mut self) {
        let _draw = Draw::Rollback.allow();
        self.ended = true;
        for extent in self.redo_extents.drain(..) {
            self.shared.pool.store().free_extent(extent);
        }
        while let Some(last) = self.undo.last() {
            let _pass = self.shared.pool.gate().enter();
            if undo(&self.shared, &self.state, last).is_err() {
                let (undo, locks) = (std::mem::take(&mut self.undo), std::mem::take(&mut self.locks));
                self.shared.unfinished.lock().push(Unfinished { state: self.state.clone(), undo, locks });
                break;
            }
            self.undo.pop();
            self.shared.counters.undone.fetch_add(1, Ordering::Relaxed);
        }
        if self.shared.unfinished.lock().iter().all(|each| each.state.id != self.state.id) {
            self.state.abort();
        }
        self.release_locks();
        self.shared.counters.rollbacks.fetch_add(1, Ordering::Relaxed);
    }

    fn release_locks(&mut self) {
        for key in std::mem::take(&mut self.row_locks) {
            release_row_lock(&self.shared, &self.state, key);
        }
        for (tag, mode) in std::mem::take(&mut self.locks) {
            self.shared.locks.release(Owner::transaction(self.state.id), tag, mode);
        }
        for (table, run) in self.row_runs.drain(..) {
            table.ids.give_back(run);
        }
        if let Some(tag) = self.queued.take() {
            self.shared.locks.leave_queue(self.state.id, tag);
        }
        if let Some(session) = self.session.take()
            && self.tied
        {
            self.shared.graph.untie(session.0);
        }
        self.state.wake();
        self.shared.counters.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Explicit locks of a committed transaction, released when this is dropped.
#[must_use]
pub struct HeldLocks {
    shared: Arc<Shared>,
    owner: Owner,
    locks: Vec<(LockTag, LockMode)>,
}

impl Drop for HeldLocks {
    fn drop(&mut self) {
        for (tag, mode) in self.locks.drain(..) {
            self.shared.locks.release(self.owner, tag, mode);
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended {
            self.abort();
        }
    }
}

/// Takes the transaction's newest lock off a row.
pub(super) fn release_row_lock(shared: &Shared, state: &TxnState, key: RowKey) {
    let mut shard = shared.versions.shard(key);
    if let Some(entry) = shard.get_mut(&key) {
        if let Some(at) = entry.locks.iter().rposition(|lock| lock.txn.id == state.id) {
            entry.locks.remove(at);
            shared.versions.count_locks(-1);
        }
        if entry.is_empty() {
            shard.remove(&key);
        }
    }
}

/// Undoes one change. Nobody else can have touched the row since.
pub(super) fn undo(shared: &Shared, state: &TxnState, change: &Undo) -> Result<()> {
    match change {
        Undo::Inserted { table, start, end } => {
            undo_rows(shared, table, *start..*end)?;
            table.runs.remove(*start);
            Ok(())
        }
        Undo::Changed { table, row } => undo_change(shared, state, table, *row),
        Undo::Created(object) => drop_object(shared, *object),
        Undo::Dropped { index, .. } => {
            if let Some(index) = index {
                index.dropping.store(false, Ordering::Release);
            }
            Ok(())
        }
        Undo::Altered { table, before } => {
            table.set_def(before.clone());
            Ok(())
        }
        Undo::AlteredSequence { sequence, before } => {
            *sequence.def.write() = *before;
            Ok(())
        }
    }
}

/// Takes freshly inserted rows and their index entries out.
pub(crate) fn undo_rows(shared: &Shared, table: &Arc<Table>, rows: Range<u64>) -> Result<()> {
    let pool = &shared.pool;
    let mut next = rows.start;
    while next < rows.end {
        let mut removed = Vec::new();
        let mut leaf = table.tree.write_leaf(pool, &row_key(next))?;
        let at = node::lower_bound(&leaf, &row_key(next));
        while at < node::count(&leaf) && node::row_key(&leaf, at) < rows.end {
            removed.push((node::row_key(&leaf, at), node::value(&leaf, at).to_vec()));
            node::remove(&mut leaf, at);
        }
        let key = row_key(next);
        let emptied = node::count(&leaf) == 0;
        next = node::upper_fence(&leaf).map_or(rows.end, fence_row);
        drop(leaf);
        if emptied {
            let _ = table.tree.drop_empty(pool, &key); // an empty leaf does no harm
        }
        for (row, image) in removed {
            discard(shared, table, row, image, &TOMBSTONE);
        }
    }
    Ok(())
}

/// Puts the before-image of the row's head, which is `state`'s, back.
fn undo_change(shared: &Shared, state: &TxnState, table: &Arc<Table>, row: u64) -> Result<()> {
    let (pool, key, row_key) = (&shared.pool, version::key(table.id, row), row_key(row));
    // From when the chain is gone until the entries are.
    let _unclean = Unclean::new(table);
    let (before, discarded) = loop {
        let mut leaf = table.tree.write_leaf(pool, &row_key)?;
        let Ok(at) = node::search(&leaf, &row_key) else {
            return Err(Error::corrupt(format!("table {}: row {row} is gone under its lock", table.id)));
        };
        let mut shard = shared.versions.shard(key);
        let Some(entry) = shard.get_mut(&key) else { return Ok(()) };
        let Some(head) = entry.head.as_ref().filter(|head| head.txn.id == state.id) else { return Ok(()) };
        let discarded = node::value(&leaf, at).to_vec();
        // The chain goes before the entries do.
        for index in table.indexes().iter() {
            index.removals.fetch_add(1, Ordering::SeqCst);
        }
        if !node::replace(&mut leaf, at, &head.before) {
            let needed = head.before.len();
            drop(shard);
            drop(leaf);
            table.tree.make_room(pool, &row_key, needed)?;
            continue;
        }
        let Some(mut version) = shared.versions.pop(entry, key) else { return Ok(()) };
        if entry.is_empty() {
            shard.remove(&key);
        }
        break (std::mem::take(&mut version.before), discarded);
    };
    discard(shared, table, row, discarded, &before);
    Ok(())
}

/// While it lives, readers of the table's indexes test every key.
struct Unclean<'a>(&'a Table);

impl Unclean<'_> {
    fn new(table: &Table) -> Unclean<'_> {
        table.unclean.fetch_add(1, Ordering::SeqCst);
        Unclean(table)
    }
}

impl Drop for Unclean<'_> {
    fn drop(&mut self) {
        self.0.unclean.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Takes away what only `image`, which no version of the row is any more, needed: index entries, and values that `kept` does
/// not share. What an I/O error prevents is left to clean-up.
pub(crate) fn discard(shared: &Shared, table: &Arc<Table>, row: u64, image: Vec<u8>, kept: &[u8]) {
    if is_deleted(&image) {
        return;
    }
    let unclean = Unclean::new(table);
    let values = table::unshared(&image, kept);
    let leftover = Leftover { table: table.clone(), row, image, values };
    if take_away(shared, &leftover, Some(kept)).is_err() {
        std::mem::forget(unclean); // it stays so until the leftover is taken away
        shared.leftovers.lock().push(leftover);
    }
}

fn take_away(shared: &Shared, leftover: &Leftover, kept: Option<&[u8]>) -> Result<()> {
    let Leftover { table, row, image, values } = leftover;
    let pool = &shared.pool;
    // A table that has gone has taken its indexes along.
    if shared.table(table.id).is_ok() {
        for index in table.indexes().iter() {
            let Some(gone) = index.image_key(pool, image)? else { continue };
            let same = match kept {
                Some(kept) => index.image_key(pool, kept)?.is_some_and(|kept| kept.bytes() == gone.bytes()),
                None => false,
            };
            if !same {
                remove_entry(shared, index, gone.bytes(), *row, shared.horizon())?;
            }
        }
    }
    if values.is_empty() { Ok(()) } else { overflow::free(pool, values) }
}

/// Removes an index entry unless a version of the row that somebody may still see has the key. Decided under the index leaf's
/// exclusive latch: whoever makes such a version later puts the entry in after it.
fn remove_entry(shared: &Shared, index: &Index, key: &[u8], row: u64, horizon: Position) -> Result<()> {
    let entry = table::entry(key, row);
    let mut leaf = index.tree.write_leaf(&shared.pool, &entry)?;
    if let Ok(at) = node::search(&leaf, &entry)
        && !any_version_has_key(shared, index, key, row, horizon)?
    {
        index.removals.fetch_add(1, Ordering::SeqCst);
        node::remove(&mut leaf, at);
        if node::count(&leaf) == 0 {
            drop(leaf);
            let _ = index.tree.drop_empty(&shared.pool, &entry); // an empty leaf does no harm
        }
    }
    Ok(())
}

/// Whether the newest version of a row, or one that a snapshot at or after `horizon` may see, has a key.
pub(crate) fn any_version_has_key(
    shared: &Shared,
    index: &Index,
    key: &[u8],
    row: u64,
    horizon: Position,
) -> Result<bool> {
    let (pool, table) = (&shared.pool, &index.table);
    let leaf = table.tree.read_leaf(pool, &row_key(row))?;
    let Ok(at) = node::search(&leaf, &row_key(row)) else { return Ok(false) };
    let same =
        |image: &[u8]| -> Result<bool> { Ok(index.image_key(pool, image)?.is_some_and(|found| found.bytes() == key)) };
    if same(node::value(&leaf, at))? {
        return Ok(true);
    }
    let shard = shared.versions.shard(version::key(table.id, row));
    let mut each = shard.get(&version::key(table.id, row)).and_then(|entry| entry.head.as_deref());
    while let Some(version) = each.filter(|version| !is_settled(&version.txn, horizon)) {
        if same(&version.before)? {
            return Ok(true);
        }
        each = version.next.as_deref();
    }
    Ok(false)
}

/// Cleans up to `budget` changes; `true`: there is more that can be cleaned now. One thread at a time: a table's rows are done
/// with before the table goes.
pub(crate) fn clean(shared: &Shared, budget: usize) -> Result<bool> {
    let cleaning = shared.cleaning.lock();
    clean_held(shared, budget, cleaning)
}

/// Cleans a few changes, unless another thread is at it.
fn clean_in_passing(shared: &Shared) -> Result<bool> {
    match shared.cleaning.try_lock() {
        Some(cleaning) => clean_held(shared, CLEAN_IN_PASSING, cleaning),
        None => Ok(false),
    }
}

fn clean_held(shared: &Shared, budget: usize, _cleaning: MutexGuard<'_, ()>) -> Result<bool> {
    let _draw = Draw::Deletion.allow();
    retry_unfinished(shared)?;
    retry_leftovers(shared)?;
    let horizon = shared.horizon();
    let mut left = budget;
    while left > 0 {
        let Some(mut garbage) = ({
            let mut queue = shared.garbage.lock();
            match queue.front() {
                Some(front) if front.position <= horizon => queue.pop_front(),
                _ => None,
            }
        }) else {
            return Ok(false);
        };
        let mut result = Ok(());
        while left > 0
            && let Some(change) = garbage.undo.as_slice().first()
        {
            left -= 1;
            let pass = shared.pool.gate().enter();
            result = clean_change(shared, change, horizon);
            drop(pass);
            if result.is_err() {
                break; // it is tried again
            }
            garbage.undo.next();
        }
        if garbage.undo.len() > 0 {
            shared.garbage.lock().push_front(garbage);
        }
        result?;
    }
    Ok(true)
}

fn retry_unfinished(shared: &Shared) -> Result<()> {
    if shared.unfinished.lock().is_empty() {
        return Ok(());
    }
    let _draw = Draw::Rollback.allow();
    let mut unfinished = std::mem::take(&mut *shared.unfinished.lock());
    while let Some(mut each) = unfinished.pop() {
        while let Some(last) = each.undo.last() {
            let _pass = shared.pool.gate().enter();
            if let Err(error) = undo(shared, &each.state, last) {
                unfinished.push(each);
                shared.unfinished.lock().append(&mut unfinished);
                return Err(error);
            }
            each.undo.pop();
        }
        each.state.abort();
        for (tag, mode) in each.locks {
            shared.locks.release(Owner::transaction(each.state.id), tag, mode);
        }
        each.state.wake();
    }
    Ok(())
}

fn retry_leftovers(shared: &Shared) -> Result<()> {
    loop {
        let _pass = shared.pool.gate().enter();
        // Behind the gate: a checkpoint must find it in the list, or its work done.
        let Some(leftover) = shared.leftovers.lock().pop() else { return Ok(()) };
        if let Err(error) = take_away(shared, &leftover, None) {
            shared.leftovers.lock().push(leftover);
            return Err(error);
        }
        leftover.table.unclean.fetch_sub(1, Ordering::SeqCst);
    }
}

fn clean_change(shared: &Shared, change: &Undo, horizon: Position) -> Result<()> {
    match change {
        Undo::Inserted { table, start, .. } => {
            table.runs.remove(*start);
            Ok(())
        }
        Undo::Changed { table, row } => clean_row(shared, table, *row, horizon),
        Undo::Dropped { object, .. } => drop_object(shared, *object),
        Undo::Created(_) | Undo::Altered { .. } | Undo::AlteredSequence { .. } => Ok(()),
    }
}

/// Forgets the versions of a row that nobody can see any more, with the index entries that only they needed.
fn clean_row(shared: &Shared, table: &Arc<Table>, row: u64, horizon: Position) -> Result<()> {
    let key = version::key(table.id, row);
    let gone = shared.table(table.id).is_err();
    let obsolete: Vec<Box<[u8]>> = {
        let mut shard = shared.versions.shard(key);
        let Some(entry) = shard.get_mut(&key) else { return Ok(()) };
        if gone {
            // The table's pages are free by now, its entries and values with them.
            drop(shared.versions.cut(entry, key, horizon));
            if entry.is_empty() {
                shard.remove(&key);
            }
            return Ok(());
        }
        let images = obsolete_images(entry.head.as_deref(), horizon);
        if images.is_empty() {
            // No entry, no value, no tombstone hangs on them.
            drop(shared.versions.cut(entry, key, horizon));
            if entry.is_empty() {
                shard.remove(&key);
            }
            return Ok(());
        }
        images
    };
    for index in table.indexes().iter() {
        for image in &obsolete {
            if let Some(gone) = index.image_key(&shared.pool, image)? {
                remove_entry(shared, index, gone.bytes(), row, horizon)?;
            }
        }
    }
    forget_versions(shared, table, row, horizon)
}

/// Before-images at and below the first version that everybody sees; none when they can go without further ado.
fn obsolete_images(head: Option<&Version>, horizon: Position) -> Vec<Box<[u8]>> {
    let mut each = head;
    while let Some(version) = each.filter(|version| !is_settled(&version.txn, horizon)) {
        each = version.next.as_deref();
    }
    let (mut images, mut plain) = (Vec::new(), true);
    while let Some(version) = each {
        plain &= !version.keys_changed && !version::may_be_external(&version.before);
        images.push(version.before.clone());
        each = version.next.as_deref();
    }
    if plain {
        images.clear();
    }
    images
}

/// The second half of [`clean_row`], under the leaf's latch: cuts the chain, and takes a tombstone out that nobody needs.
fn forget_versions(shared: &Shared, table: &Arc<Table>, row: u64, horizon: Position) -> Result<()> {
    let (key, row_key) = (version::key(table.id, row), row_key(row));
    let emptied;
    let (cut, mut newer) = {
        let mut leaf = table.tree.write_leaf(&shared.pool, &row_key)?;
        let Ok(at) = node::search(&leaf, &row_key) else { return Ok(()) };
        let mut shard = shared.versions.shard(key);
        let Some(entry) = shard.get_mut(&key) else { return Ok(()) };
        let cut = shared.versions.cut(entry, key, horizon);
        let mut newer = node::value(&leaf, at).to_vec();
        let mut each = entry.head.as_deref();
        while let Some(version) = each {
            newer = version.before.to_vec();
            each = version.next.as_deref();
        }
        let bare = entry.head.is_none();
        if entry.is_empty() {
            shard.remove(&key);
        }
        if bare && is_deleted(node::value(&leaf, at)) {
            node::remove(&mut leaf, at);
        }
        emptied = node::count(&leaf) == 0;
        (cut, newer)
    };
    if emptied {
        let _ = table.tree.drop_empty(&shared.pool, &row_key); // an empty leaf does no harm
    }
    // A value that several of them share is freed with the newest one.
    let mut each = cut.as_deref();
    while let Some(version) = each {
        free_values_of(shared, table, row, &version.before, &newer);
        newer = version.before.to_vec();
        each = version.next.as_deref();
    }
    Ok(())
}

/// Frees the values of an image without index entries that `kept` does not share; later, when that fails now.
fn free_values_of(shared: &Shared, table: &Arc<Table>, row: u64, image: &[u8], kept: &[u8]) {
    if table.free_external(&shared.pool, image, kept).is_err() {
        table.unclean.fetch_add(1, Ordering::SeqCst);
        let values = table::unshared(image, kept);
        let image = TOMBSTONE.to_vec();
        shared.leftovers.lock().push(Leftover { table: table.clone(), row, image, values });
    }
}

/// Forgets an object and frees its pages, unless that has been done; on an error nothing has changed.
fn drop_object(shared: &Shared, id: ObjectId) -> Result<()> {
    let Some(object) = shared.object(id) else { return Ok(()) };
    let pages = object_pages(shared, &object)?;
    shared.remove_object(id);
    pages.into_iter().for_each(|page| shared.pool.free(page));
    Ok(())
}

/// Frees the pages of an object that nobody can reach: all, or none on an error.
pub(crate) fn free_object(shared: &Shared, object: &Object) -> Result<()> {
    let pages = object_pages(shared, object)?;
    pages.into_iter().for_each(|page| shared.pool.free(page));
    Ok(())
}

/// The pages of an object's tree, and of the values in it.
pub(crate) fn object_pages(shared: &Shared, object: &Object) -> Result<Vec<PageId>> {
    let pool = &shared.pool;
    let mut values = Vec::new();
    let mut pages = match object {
        Object::Table(table) => {
            // Before-images may have values of their own.
            shared.versions.each(|(of, _), entry| {
                let mut each = entry.head.as_deref().filter(|_| of == table.id.0);
                while let Some(version) = each {
                    values.append(&mut externals(&version.before));
                    each = version.next.as_deref();
                }
            });
            table_pages(pool, &table.tree, &mut values)?
        }
        Object::Index(index) => index.tree.all_pages(pool, &mut |_| Ok(()))?,
        Object::Sequence(_) => Vec::new(),
    };
    add_value_pages(pool, values, &mut pages)?;
    Ok(pages)
}

/// The pages of a table's tree; `values` gets those of its rows.
pub(crate) fn table_pages(pool: &Pool, tree: &Tree, values: &mut Vec<External>) -> Result<Vec<PageId>> {
    tree.all_pages(pool, &mut |leaf| {
        (0..node::count(leaf)).for_each(|at| values.append(&mut externals(node::value(leaf, at))));
        Ok(())
    })
}

/// The pages of values, of which some may be there twice.
pub(crate) fn add_value_pages(pool: &Pool, mut values: Vec<External>, pages: &mut Vec<PageId>) -> Result<()> {
    values.sort_unstable_by_key(|place| place.page);
    values.dedup_by_key(|place| place.page);
    values.into_iter().try_for_each(|place| overflow::pages(pool, place, pages))
}
