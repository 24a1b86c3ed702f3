//! Changes of rows. Row first, then its index entries; unique keys are judged before anything changes.
//!
//! A change looks at the row under the leaf's shared latch, builds the new image and judges unique keys without any latch
//! (under the stripes of its keys), then latches the leaf exclusively, sees that the newest version is still the one it
//! looked at, and puts the new image and the version record in its place.

use super::api::{Base, RowLockMode, WriteOutcome};
use super::state::{Blocker, Snapshot, Status, TxnState};
use super::version::{Entry, Run, TOMBSTONE, Version, is_deleted, resolve, run_stamp};
use super::{Isolation, Transaction, Undo, finish, redo, version};
use crate::btree::node;
use crate::buffer::Misses;
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::space::Draw;
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering;
use crate::table::row_ids::RowRun;
use crate::table::{self, Index, Table, row_key};
use crate::types::key::KeyEncoder;
use crate::types::row::{self, Field, RowView};
use crate::types::{ColumnNo, ObjectId, RowId, Unique, Value};
use std::sync::Arc;

/// Chains as long as this are thinned in passing.
const CHAIN_LONG: usize = 8;

/// What stands in the way of a change, if anything.
pub(super) enum Judged {
    /// Nothing: the newest version has this stamp.
    Free(u64),
    /// The change does not happen.
    Outcome(WriteOutcome),
    /// These have to end first.
    Blocked(Vec<Blocker>),
}

/// What the row says, newest first, under its leaf's latch.
pub(super) struct Found<'a> {
    pub(super) image: &'a [u8],
    pub(super) entry: Option<&'a Entry>,
    pub(super) run: Option<&'a Run>,
}

/// An index whose key changes.
struct KeyChange {
    index: Arc<Index>,
    old: Option<Vec<u8>>,
    new: Option<Vec<u8>>,
    /// The new key must be unique.
    judged: bool,
}

impl Transaction {
    /// Puts a row in. `values` are the table's columns in order, dropped ones NULL, or left out at
    /// the end.
    ///
    /// # Errors
    /// `Duplicate`, `Wait` (a transaction in progress has, or had, the key), `TooLarge`, `Full`, `NotFound`.
    pub fn insert(&mut self, s: &Snapshot, table: ObjectId, values: &[Value<'_>]) -> Result<RowId> {
        let shared = self.shared.clone();
        let _pass = shared.pool.gate().enter();
        let table = shared.table(table)?;
        self.writing(|t| t.insert_row(s.command, &table, None, values))
    }

    pub(super) fn insert_row(
        &mut self,
        command: u32,
        table: &Arc<Table>,
        at: Option<u64>,
        values: &[Value<'_>],
    ) -> Result<RowId> {
        self.check_writable()?;
        let def = table.def();
        row::check_values(&def, values)?;
        let shared = self.shared.clone();
        let indexes = table.indexes();
        let mut changes = Vec::with_capacity(indexes.len());
        if !indexes.is_empty() {
            let mut wide = Vec::new();
            row::encode(values.iter().map(|value| Field::Value(*value)), &mut wide);
            let view = RowView::new(&wide, &def.columns);
            let mut key = KeyEncoder::new();
            for index in indexes.iter().filter(|index| index.is_maintained()) {
                if index.key(&view, &mut key) {
                    let new = Some(key.finish()?.to_vec());
                    changes.push(KeyChange { judged: index.judges(&key), index: index.clone(), old: None, new });
                }
            }
        }
        let _stripes = stripes(&shared, &changes);
        self.judge_keys(&changes, None)?;
        let row = at.unwrap_or_else(|| self.take_row(table));
        if let Err(wait) = self.reach(Some(table), row, &changes) {
            if at.is_none() {
                self.give_back_row(table, row);
            }
            return Err(wait);
        }
        let _load = Misses::load();
        if at.is_none() {
            self.begin_leaf(table, row);
        }
        let mut fields: Vec<Field<'_>> = values.iter().map(|value| Field::Value(*value)).collect();
        let image = table.image(&shared.pool, &mut fields)?;
        self.add_to_run(table, row, row + 1, command);
        let put = table.tree.put(&shared.pool, &row_key(row), &image).map(|_| ());
        let missing = put.is_err();
        self.finish_change(row, &changes, put).inspect_err(|_| {
            if missing {
                finish::discard(&shared, table, row, image, &TOMBSTONE);
            }
        })?;
        self.remember_unchecked(&changes, row);
        if !def.temporary {
            redo::insert(&mut self.redo, table.id, row, values);
            // What is not written now is written later.
            let _ = self.spill_redo();
        }
        Ok(RowId(row))
    }

    /// Waits for the leaves that a change is about to go to: the row's, if it is to come into the table's tree, and those of
    /// entries that no judging has just passed by.
    fn reach(&self, table: Option<&Table>, row: u64, changes: &[KeyChange]) -> Result<()> {
        if !self.page_waits.get().wanted {
            return Ok(());
        }
        let pool = &self.shared.pool;
        if let Some(table) = table {
            table.tree.reach(pool, &row_key(row))?;
        }
        for change in changes.iter().filter(|change| !(change.judged && change.index.def.unique == Unique::Immediate)) {
            if let Some(new) = change.new.as_ref().filter(|new| change.old.as_ref() != Some(new)) {
                change.index.tree.reach(pool, &table::entry(new, row))?;
            }
        }
        Ok(())
    }

    /// Puts the index entries in; takes the change back when that (or the change itself, `done`) failed.
    fn finish_change(&mut self, row: u64, changes: &[KeyChange], done: Result<()>) -> Result<()> {
        let pool = &self.shared.pool;
        let result = done.and_then(|()| {
            changes.iter().try_for_each(|change| match &change.new {
                Some(new) if change.old.as_ref() != Some(new) => {
                    change.index.tree.put(pool, &table::entry(new, row), &[]).map(|_| ())
                }
                _ => Ok(()),
            })
        });
        if let Err(error) = &result {
            self.take_back(row, error);
        }
        result
    }

    /// Undoes the newest change. When even that fails the transaction can only roll back, which clean-up completes.
    pub(super) fn take_back(&mut self, row: u64, error: &Error) {
        let Some(last) = self.undo.last() else { return };
        let _draw = Draw::Rollback.allow();
        let (undone, whole) = match last {
            // A run may have more rows than this one.
            Undo::Inserted { table, start, end } if *start < row => {
                (finish::undo_rows(&self.shared, table, row..*end), false)
            }
            last => (finish::undo(&self.shared, &self.state, last), true),
        };
        match undone {
            Ok(()) => {
                if whole {
                    self.undo.pop();
                }
                // The row is free again.
                self.state.wake();
            }
            Err(_) => self.broken = Some((self.undo.len(), error.clone())),
        }
    }

    /// Whether the transaction may change anything.
    pub(super) fn check_writable(&self) -> Result<()> {
        match &self.broken {
            Some((_, error)) => Err(error.clone()),
            None => self.shared.check_writable(),
        }
    }

    /// Changes columns of a row.
    ///
    /// # Errors
    /// `Wait`, `Deadlock`, `Conflict` (REPEATABLE READ), `Duplicate`, `TooLarge`, `Full`, `NotFound`.
    pub fn update(
        &mut self,
        s: &Snapshot,
        table: ObjectId,
        row: RowId,
        base: Base,
        changes: &[(ColumnNo, Value<'_>)],
    ) -> Result<WriteOutcome> {
        let shared = self.shared.clone();
        shared.relieve_undo();
        let _pass = shared.pool.gate().enter();
        self.writing(|t| t.update_row(s, table, row, base, changes))
    }

    /// [`Self::update`] for who has passed the gate.
    pub(super) fn update_row(
        &mut self,
        s: &Snapshot,
        table: ObjectId,
        row: RowId,
        base: Base,
        changes: &[(ColumnNo, Value<'_>)],
    ) -> Result<WriteOutcome> {
        self.check_writable()?;
        let (shared, row) = (self.shared.clone(), row.0);
        let table = shared.table(table)?;
        let def = table.def();
        for (column, value) in changes {
            let column = def.columns.get(column.0 as usize).ok_or(Error::NotFound)?;
            if !row::matches_type(*value, column.ty) {
                return Err(Error::corrupt("a value does not have its column's type"));
            }
        }
        loop {
            let (old, stamp) = match self.look(s, &table, row, base, RowLockMode::NoKeyUpdate)? {
                Ok(found) => found,
                Err(outcome) => return Ok(outcome),
            };
            let keys = self.key_changes(&table, &old, changes)?;
            let changed = keys.iter().filter(|key| key.old != key.new);
            let keys_changed = changed.clone().any(|key| key.old.is_some());
            let referable = changed.clone().any(|key| key.old.is_some() && key.index.is_referable());
            let mode = if referable { RowLockMode::Update } else { RowLockMode::NoKeyUpdate };
            let _stripes = stripes(&shared, &keys);
            self.judge_keys(&keys, Some(row))?;
            self.reach(None, row, &keys)?;
            let _load = Misses::load();
            let mut fields = table::fields(&old, &def);
            for (column, value) in changes {
                fields[column.0 as usize] = Field::Value(*value);
            }
            let image = table.image(&shared.pool, &mut fields)?;
            let version = Version {
                txn: self.state.clone(),
                command: s.command,
                mode,
                keys_changed,
                stamp: self.next_stamp(),
                before: old.into(),
                next: None,
            };
            match self.replace(s, &table, row, base, stamp, &image, version)? {
                Replaced::Done => {}
                Replaced::Outcome(outcome) => return Ok(outcome),
                Replaced::Again => continue,
            }
            self.undo.push(Undo::Changed { table: table.clone(), row });
            table.changes.fetch_add(1, Ordering::Relaxed);
            self.finish_change(row, &keys, Ok(()))?;
            self.remember_unchecked(&keys, row);
            if !def.temporary {
                redo::update(&mut self.redo, table.id, row, changes);
                // What is not written now is written later.
                let _ = self.spill_redo();
            }
            return Ok(WriteOutcome::Done);
        }
    }

    /// Deletes a row.
    ///
    /// # Errors
    /// `Wait`, `Deadlock`, `Conflict` (REPEATABLE READ), `NotFound`.
    pub fn delete(&mut self, s: &Snapshot, table: ObjectId, row: RowId, base: Base) -> Result<WriteOutcome> {
        let shared = self.shared.clone();
        shared.relieve_undo();
        let _pass = shared.pool.gate().enter();
        self.writing(|t| t.delete_row(s, table, row, base))
    }

    /// [`Self::delete`] for who has passed the gate.
    pub(super) fn delete_row(&mut self, s: &Snapshot, table: ObjectId, row: RowId, base: Base) -> Result<WriteOutcome> {
        let _draw = Draw::Deletion.allow();
        self.check_writable()?;
        let (shared, row) = (self.shared.clone(), row.0);
        let table = shared.table(table)?;
        loop {
            let (old, stamp) = match self.look(s, &table, row, base, RowLockMode::Update)? {
                Ok(found) => found,
                Err(outcome) => return Ok(outcome),
            };
            let _load = Misses::load();
            let version = Version {
                txn: self.state.clone(),
                command: s.command,
                mode: RowLockMode::Update,
                keys_changed: true,
                stamp: self.next_stamp(),
                before: old.into(),
                next: None,
            };
            match self.replace(s, &table, row, base, stamp, &TOMBSTONE, version)? {
                Replaced::Done => {}
                Replaced::Outcome(outcome) => return Ok(outcome),
                Replaced::Again => continue,
            }
            self.undo.push(Undo::Changed { table: table.clone(), row });
            table.changes.fetch_add(1, Ordering::Relaxed);
            if !table.def().temporary {
                redo::delete(&mut self.redo, table.id, row);
                // What is not written now is written later.
                let _ = self.spill_redo();
            }
            return Ok(WriteOutcome::Done);
        }
    }

    /// The newest image of a row that may be changed, and its stamp; else why not.
    fn look(
        &self,
        s: &Snapshot,
        table: &Table,
        row: u64,
        base: Base,
        mode: RowLockMode,
    ) -> Result<Result<(Vec<u8>, u64), WriteOutcome>> {
        let key = row_key(row);
        let leaf = table.tree.read_leaf(&self.shared.pool, &key)?;
        let Ok(at) = node::search(&leaf, &key) else { return self.gone(base).map(Err) };
        let image = node::value(&leaf, at);
        let shard = self.shared.versions.shard(version::key(table.id, row));
        let entry = shard.get(&version::key(table.id, row));
        let judged = table.runs.with(row, |run| self.judge(s, base, mode, &Found { image, entry, run }))?;
        match judged {
            Judged::Free(stamp) => Ok(Ok((image.to_vec(), stamp))),
            Judged::Outcome(outcome) => Ok(Err(outcome)),
            Judged::Blocked(others) => {
                drop(shard);
                drop(leaf);
                Err(self.shared.graph.wait_for(&self.state, &others))
            }
        }
    }

    /// What a change answers when the row is not there at all any more.
    pub(super) fn gone(&self, base: Base) -> Result<WriteOutcome> {
        match (self.isolation, base) {
            (Isolation::RepeatableRead, Base::Snapshot) => Err(Error::Conflict),
            _ => Ok(WriteOutcome::Deleted),
        }
    }

    /// Whether a change of `mode` that starts from `base` may happen now.
    pub(super) fn judge(&self, s: &Snapshot, base: Base, mode: RowLockMode, found: &Found<'_>) -> Result<Judged> {
        let judged = self.judge_newest(s, base, mode, found);
        // Writers that the snapshot does not see may have been forgotten.
        s.check()?;
        judged
    }

    fn judge_newest(&self, s: &Snapshot, base: Base, mode: RowLockMode, found: &Found<'_>) -> Result<Judged> {
        let head = found.entry.and_then(|entry| entry.head.as_deref());
        let mine = |txn: &TxnState| txn.id == self.state.id;
        let mut blocked: Vec<Blocker> = Vec::new();
        let theirs = |version: &&Version| version.txn.is_active() && !mine(&version.txn);
        // A change of the key counts, though a weaker change of the same transaction came after it.
        let mut each = head.filter(theirs);
        while let Some(version) = each {
            if version.mode.conflicts(mode) {
                blocked.push(version.txn.blocks());
                break;
            }
            each = version.next.as_deref().filter(theirs);
        }
        for lock in found.entry.map_or(&[][..], |entry| &entry.locks) {
            if !mine(&lock.txn) && lock.txn.is_active() && lock.mode.conflicts(mode) {
                blocked.push(lock.txn.blocks());
            }
        }
        if !blocked.is_empty() {
            return Ok(Judged::Blocked(blocked));
        }
        // The newest version that counts: below those of somebody else in progress who leaves room for this mode.
        let (mut each, mut image) = (head, found.image);
        while let Some(version) = each.filter(theirs) {
            (each, image) = (version.next.as_deref(), &version.before);
        }
        let (writer, command, stamp) = match (each, found.run) {
            (Some(version), _) => (Some(&version.txn), version.command, version.stamp),
            (None, Some(run)) => (Some(&run.txn), run.command, run_stamp(run)),
            (None, None) => (None, 0, 0),
        };
        let deleted = is_deleted(image);
        if let Some(writer) = writer {
            if mine(writer) {
                if command >= s.command {
                    return Ok(Judged::Outcome(WriteOutcome::SelfModified));
                }
            } else {
                let changed = match (writer.status(), base) {
                    (Status::Committed(position), Base::Snapshot) => {
                        self.note(position);
                        position > s.position
                    }
                    (Status::Committed(position), Base::Newest(base)) => {
                        self.note(position);
                        stamp != base.0
                    }
                    (Status::Committed(position), Base::Now) => {
                        self.note(position);
                        false
                    }
                    // An insertion in progress is nobody's row yet.
                    (Status::Active | Status::Aborted, _) => return self.gone(base).map(Judged::Outcome),
                };
                if changed && self.isolation == Isolation::RepeatableRead {
                    // KEY SHARE leaves room for changes that leave the key alone, before it as after it.
                    let is_later = |txn: &TxnState| matches!(txn.status(), Status::Committed(at) if at > s.position);
                    let mut later = std::iter::successors(each, |version| version.next.as_deref())
                        .take_while(|version| is_later(&version.txn));
                    if base != Base::Snapshot
                        || found.run.is_some_and(|run| is_later(&run.txn))
                        || later.any(|version| version.mode.conflicts(mode))
                    {
                        return Err(Error::Conflict);
                    }
                } else if changed && !deleted {
                    return Ok(Judged::Outcome(WriteOutcome::Changed));
                }
            }
        }
        if deleted {
            return Ok(Judged::Outcome(WriteOutcome::Deleted));
        }
        Ok(Judged::Free(stamp))
    }

    /// Puts image and version in place of the newest version, if that still has `stamp`; else the image's own values go.
    fn replace(
        &self,
        s: &Snapshot,
        table: &Arc<Table>,
        row: u64,
        base: Base,
        stamp: u64,
        image: &[u8],
        version: Version,
    ) -> Result<Replaced> {
        let mut version = Some(version);
        let replaced = self.try_replace(s, table, row, base, stamp, image, &mut version);
        if let Some(version) = version {
            finish::discard(&self.shared, table, row, image.to_vec(), &version.before);
        }
        replaced
    }

    /// [`Self::replace`]; takes the version when it is done.
    fn try_replace(
        &self,
        s: &Snapshot,
        table: &Table,
        row: u64,
        base: Base,
        stamp: u64,
        image: &[u8],
        new: &mut Option<Version>,
    ) -> Result<Replaced> {
        let shared = &self.shared;
        let mode = new.as_ref().expect("a change has a version").mode;
        shared.check_undo()?;
        let (key, row_key) = (version::key(table.id, row), row_key(row));
        loop {
            let mut leaf = table.tree.write_leaf(&shared.pool, &row_key)?;
            let Ok(at) = node::search(&leaf, &row_key) else { return self.gone(base).map(Replaced::Outcome) };
            let mut shard = shared.versions.shard(key);
            let entry = shard.get(&key);
            let found = node::value(&leaf, at);
            let judged = table.runs.with(row, |run| self.judge(s, base, mode, &Found { image: found, entry, run }))?;
            match judged {
                // Clean-up may have forgotten the writer meanwhile: then it is the same version without a stamp.
                Judged::Free(now) if now == stamp || now == 0 => {}
                Judged::Free(_) => return Ok(Replaced::Again),
                Judged::Outcome(outcome) => return Ok(Replaced::Outcome(outcome)),
                Judged::Blocked(others) => {
                    drop(shard);
                    drop(leaf);
                    return Err(shared.graph.wait_for(&self.state, &others));
                }
            }
            if !node::replace(&mut leaf, at, image) {
                drop(shard);
                drop(leaf);
                table.tree.make_room(&shared.pool, &row_key, image.len())?;
                continue;
            }
            let entry = shard.entry(key).or_default();
            shared.versions.push(entry, key, Box::new(new.take().expect("taken once")));
            if version::Versions::depth(entry) >= CHAIN_LONG {
                let now = shared.acknowledged();
                let live = shared.snapshots.live();
                // A snapshot that is being taken could be of any position.
                if live.first() != Some(&0) {
                    shared.versions.thin(entry, key, &live, now);
                }
            }
            return Ok(Replaced::Done);
        }
    }

    /// Old and new key of every index that reads a changed column.
    fn key_changes(&self, table: &Table, old: &[u8], changes: &[(ColumnNo, Value<'_>)]) -> Result<Vec<KeyChange>> {
        let indexes = table.indexes();
        let touched =
            |index: &&Arc<Index>| index.is_maintained() && changes.iter().any(|(column, _)| index.reads(*column));
        if !indexes.iter().any(|index| touched(&index)) {
            return Ok(Vec::new());
        }
        let def = table.def();
        let full = table.full(&self.shared.pool, old)?;
        let old_view = RowView::new(&full, &def.columns);
        let mut fields = table::fields(&full, &def);
        for (column, value) in changes {
            fields[column.0 as usize] = Field::Value(*value);
        }
        let mut wide = Vec::new();
        row::encode(fields.iter().copied(), &mut wide);
        let new_view = RowView::new(&wide, &def.columns);
        let mut key = KeyEncoder::new();
        let mut found = Vec::new();
        for index in indexes.iter().filter(touched) {
            let old = index.key(&old_view, &mut key).then(|| key.bytes().to_vec());
            let within = index.key(&new_view, &mut key);
            let new = if within { Some(key.finish()?.to_vec()) } else { None };
            let judged = within && old != new && index.judges(&key);
            found.push(KeyChange { index: index.clone(), old, new, judged });
        }
        Ok(found)
    }

    /// Judges every new unique key; deferrable ones are only remembered.
    fn judge_keys(&mut self, changes: &[KeyChange], row: Option<u64>) -> Result<()> {
        for change in changes.iter().filter(|change| change.judged && change.index.def.unique == Unique::Immediate) {
            let key = change.new.as_ref().expect("a judged key is there");
            self.judge_key(&change.index, key, row)?;
        }
        Ok(())
    }

    /// Whether another row has the key by its newest version.
    ///
    /// # Errors
    /// `Duplicate`; `Wait`: that depends on a transaction in progress.
    pub(super) fn judge_key(&self, index: &Index, key: &[u8], row: Option<u64>) -> Result<()> {
        self.rows_with_key(index, key, |other| {
            if row == Some(other) {
                return Ok(true);
            }
            match self.has_key(index, key, other)? {
                HasKey::No => Ok(true),
                HasKey::Yes => Err(Error::Duplicate { index: index.id, row: RowId(other) }),
                HasKey::Depends(txn) => Err(self.shared.graph.wait_for(&self.state, &[txn])),
            }
        })
    }

    /// Whether a row has a key now.
    pub(super) fn has_key(&self, index: &Index, key: &[u8], row: u64) -> Result<HasKey> {
        let (pool, table) = (&self.shared.pool, &index.table);
        let leaf = table.tree.read_leaf(pool, &row_key(row))?;
        let Ok(at) = node::search(&leaf, &row_key(row)) else { return Ok(HasKey::No) };
        let image = node::value(&leaf, at);
        let shard = self.shared.versions.shard(version::key(table.id, row));
        let head = shard.get(&version::key(table.id, row)).and_then(|entry| entry.head.as_deref());
        let same = |image: Option<&[u8]>| -> Result<bool> {
            let Some(image) = image else { return Ok(false) };
            Ok(index.image_key(pool, image)?.is_some_and(|found| found.bytes() == key))
        };
        table.runs.with(row, |run| {
            let writer = head.map(|head| &head.txn).or(run.map(|run| &run.txn));
            let now = same((!is_deleted(image)).then_some(image))?;
            let Some(writer) = writer else { return Ok(if now { HasKey::Yes } else { HasKey::No }) };
            match writer.status() {
                Status::Active if writer.id != self.state.id => {
                    let sees = |txn: &TxnState, _| txn.id == self.state.id || !txn.is_active();
                    let before = same(resolve(image, head, run, sees).map(|(image, _)| image))?;
                    let (mut all, mut any) = (now && before, now || before);
                    // Its own versions in between may come back: by a rollback to a savepoint.
                    let mut version = head.filter(|version| version.txn.id == writer.id);
                    while let Some(own) = version {
                        let had = same((!is_deleted(&own.before)).then_some(&own.before))?;
                        (all, any) = (all && had, any || had);
                        version = own.next.as_deref().filter(|version| version.txn.id == writer.id);
                    }
                    Ok(match (all, any) {
                        (true, _) => HasKey::Yes,
                        (_, false) => HasKey::No,
                        _ => HasKey::Depends(writer.blocks()),
                    })
                }
                status => {
                    if let Status::Committed(position) = status {
                        self.note(position);
                    }
                    Ok(if now { HasKey::Yes } else { HasKey::No })
                }
            }
        })
    }

    /// Rows whose deferrable unique keys have not been judged.
    pub fn take_unchecked(&mut self) -> Vec<(ObjectId, RowId)> {
        std::mem::take(&mut self.unchecked)
    }

    /// Judges the key that a row has by now in a deferrable unique index; a row that has gone is fine.
    ///
    /// # Errors
    /// `Duplicate`, `Wait`, `Deadlock`, `NotFound`.
    pub fn recheck_unique(&mut self, index: ObjectId, row: RowId) -> Result<()> {
        self.writing(|t| t.recheck_key(index, row))
    }

    fn recheck_key(&self, index: ObjectId, row: RowId) -> Result<()> {
        let index = self.shared.index(index)?;
        let Some(image) = index.table.page_image(&self.shared.pool, row.0)? else { return Ok(()) };
        let Some(key) = index.image_key(&self.shared.pool, &image)? else { return Ok(()) };
        if !index.judges(&key) {
            return Ok(());
        }
        let shared = self.shared.clone();
        let _stripe = shared.stripe(index.id, key.bytes()).lock();
        self.judge_key(&index, key.bytes(), Some(row.0))
    }

    /// A row id for a new row.
    fn take_row(&mut self, table: &Arc<Table>) -> u64 {
        let run = self.row_run(table);
        if run.ids.is_empty() {
            table.ids.extend(run);
        }
        run.ids.start += 1;
        run.ids.start - 1
    }

    /// Gives back the row id taken last.
    fn give_back_row(&mut self, table: &Arc<Table>, row: u64) {
        self.row_run(table).ids.start = row;
    }

    /// The transaction's run of row ids of a table.
    pub(super) fn row_run(&mut self, table: &Arc<Table>) -> &mut RowRun {
        let at = self.row_runs.iter().position(|(of, _)| of.id == table.id).unwrap_or_else(|| {
            self.row_runs.push((table.clone(), table.ids.take()));
            self.row_runs.len() - 1
        });
        &mut self.row_runs[at].1
    }

    /// Begins a leaf with `row` if its run wants one.
    pub(super) fn begin_leaf(&mut self, table: &Arc<Table>, row: u64) {
        let run = self.row_run(table);
        if run.begins == Some(row) {
            run.begins = None;
            // Without room for a leaf it shares the one that is there.
            let _ = table.tree.begin_leaf(&self.shared.pool, &row_key(row));
        }
    }

    /// Remembers deferrable keys for the check to come.
    fn remember_unchecked(&mut self, changes: &[KeyChange], row: u64) {
        for change in changes.iter().filter(|change| change.judged && change.index.def.unique == Unique::Deferrable) {
            self.unchecked.push((change.index.id, RowId(row)));
        }
    }
}

enum Replaced {
    Done,
    Outcome(WriteOutcome),
    /// The newest version is another one than was looked at.
    Again,
}

/// Whether a row has a key by its newest version.
pub(super) enum HasKey {
    Yes,
    No,
    /// On how this transaction ends.
    Depends(Blocker),
}

/// Holds the stripes of all unique keys that come in, in one order for everybody, until their entries are in.
fn stripes<'a>(shared: &'a Shared, changes: &[KeyChange]) -> Vec<MutexGuard<'a, ()>> {
    let judged = changes.iter().filter(|change| change.judged);
    let mut numbers: Vec<usize> =
        judged.filter_map(|change| change.new.as_ref().map(|key| shared.stripe_number(change.index.id, key))).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into_iter().map(|number| shared.stripes[number].lock()).collect()
}
