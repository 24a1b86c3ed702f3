//! Row locks: SELECT FOR UPDATE and its weaker modes, and the lock that a foreign key's check takes.
//!
//! A lock hangs beside the row's versions, and conflicts with them as their modes say. It goes with its transaction.

use super::api::{Base, LockOutcome, RowLockMode, WaitPolicy, WriteOutcome};
use super::state::{Snapshot, Status};
use super::version::{self, RowLock};
use super::write::{Found, HasKey, Judged};
use super::{Isolation, Transaction};
use crate::btree::node;
use crate::error::{Error, Result};
use crate::table::{Index, Table, row_key};
use crate::types::{ObjectId, RowId};

impl Transaction {
    /// Locks a row by its newest version.
    ///
    /// # Errors
    /// `Wait`, `Deadlock`, `LockNotAvailable` (`NoWait`), `Conflict` (REPEATABLE READ), `NotFound`.
    pub fn lock_row(
        &mut self,
        s: &Snapshot,
        table: ObjectId,
        row: RowId,
        mode: RowLockMode,
        policy: WaitPolicy,
    ) -> Result<LockOutcome> {
        let table = self.shared.table(table)?;
        self.shared.relieve_undo();
        self.writing(|t| t.lock_row_of(s, &table, row.0, Base::Snapshot, mode, policy))
    }

    fn lock_row_of(
        &mut self,
        s: &Snapshot,
        table: &Table,
        row: u64,
        base: Base,
        mode: RowLockMode,
        policy: WaitPolicy,
    ) -> Result<LockOutcome> {
        let shared = self.shared.clone();
        shared.check_undo()?;
        let key = version::key(table.id, row);
        let leaf = table.tree.read_leaf(&shared.pool, &row_key(row))?;
        let gone = || self.gone(base).map(|_| LockOutcome::Deleted);
        let Ok(at) = node::search(&leaf, &row_key(row)) else { return gone() };
        let mut shard = shared.versions.shard(key);
        let (image, entry) = (node::value(&leaf, at), shard.get(&key));
        let judged = table.runs.with(row, |run| self.judge(s, base, mode, &Found { image, entry, run }))?;
        let outcome = match judged {
            Judged::Free(_) => LockOutcome::Done,
            Judged::Outcome(WriteOutcome::Changed) => LockOutcome::Changed,
            Judged::Outcome(WriteOutcome::SelfModified) => return Ok(LockOutcome::SelfModified),
            Judged::Outcome(_) => return gone(),
            Judged::Blocked(others) => {
                drop(shard);
                drop(leaf);
                return match policy {
                    WaitPolicy::Wait => Err(shared.graph.wait_for(&self.state, &others)),
                    WaitPolicy::NoWait => Err(Error::LockNotAvailable),
                    WaitPolicy::Skip => Ok(LockOutcome::Skipped),
                };
            }
        };
        let entry = shard.entry(key).or_default();
        let held = entry.locks.iter().any(|lock| lock.txn.id == self.state.id && lock.mode >= mode);
        if !held {
            // Locks of transactions that are over go in passing.
            let before = entry.locks.len() as i64;
            entry.locks.retain(|lock| lock.txn.is_active());
            entry.locks.push(RowLock { txn: self.state.clone(), mode });
            shared.versions.count_locks(entry.locks.len() as i64 - before);
            self.row_locks.push(key);
        }
        Ok(outcome)
    }

    /// The row that has `key` (all columns of the index) now, locked; `None`: no committed or own row has it. At REPEATABLE READ,
    /// from [`Base::Snapshot`] on, a row that came after the snapshot does not count, and one that changed since is a `Conflict`.
    ///
    /// # Errors
    /// `Wait`, `Deadlock`, `Conflict`, `NotFound`.
    pub fn lock_key(
        &mut self,
        s: &Snapshot,
        index: ObjectId,
        key: &[u8],
        base: Base,
        mode: RowLockMode,
    ) -> Result<Option<RowId>> {
        let index = self.shared.index(index)?;
        self.writing(|t| t.lock_key_of(s, &index, key, base, mode))
    }

    fn lock_key_of(
        &mut self,
        s: &Snapshot,
        index: &Index,
        key: &[u8],
        base: Base,
        mode: RowLockMode,
    ) -> Result<Option<RowId>> {
        let mut rows = Vec::new();
        self.rows_with_key(index, key, |row| {
            rows.push(row);
            Ok(true)
        })?;
        for row in rows {
            match self.has_key(index, key, row)? {
                HasKey::No => continue,
                HasKey::Depends(txn) => {
                    if self.is_fresh(&index.table, row) {
                        continue;
                    }
                    return Err(self.shared.graph.wait_for(&self.state, &[txn]));
                }
                HasKey::Yes => {}
            }
            let bound = self.isolation == Isolation::RepeatableRead && base == Base::Snapshot;
            if bound && !self.sees_row(s, &index.table, row)? {
                continue;
            }
            match self.lock_row_of(s, &index.table, row, base, mode, WaitPolicy::Wait)? {
                LockOutcome::Done => return Ok(Some(RowId(row))),
                // The newest version was committed after the snapshot, or is this command's own; has_key has judged it.
                LockOutcome::Changed | LockOutcome::SelfModified => {
                    return match self.has_key(index, key, row)? {
                        HasKey::Yes => Ok(Some(RowId(row))),
                        HasKey::No => continue,
                        HasKey::Depends(txn) => Err(self.shared.graph.wait_for(&self.state, &[txn])),
                    };
                }
                LockOutcome::Deleted | LockOutcome::Skipped => continue,
            }
        }
        Ok(None)
    }

    /// At REPEATABLE READ, that a row's newest version is one that the first snapshot sees, or this transaction's own; at READ
    /// COMMITTED any is.
    ///
    /// # Errors
    /// `Conflict`: it was committed after that snapshot. `NotFound`: no such table; `Wait`, for a page.
    pub fn check_seen(&self, table: ObjectId, row: RowId) -> Result<()> {
        let Some(first) = &self.first else { return Ok(()) };
        self.reading(|| {
            let table = self.shared.table(table)?;
            let leaf = table.tree.read_leaf(&self.shared.pool, &row_key(row.0))?;
            if node::search(&leaf, &row_key(row.0)).is_err() {
                return Ok(());
            }
            let key = version::key(table.id, row.0);
            let shard = self.shared.versions.shard(key);
            let mut newest = shard.get(&key).and_then(|entry| entry.head.as_deref());
            // Changes of others in progress are not there yet.
            while let Some(version) = newest.filter(|head| head.txn.is_active() && head.txn.id != self.state.id) {
                newest = version.next.as_deref();
            }
            let writer = table.runs.with(row.0, |run| match (newest, run) {
                (Some(version), _) => Some(version.txn.clone()),
                (None, run) => run.map(|run| run.txn.clone()),
            });
            first.check()?;
            match writer.map(|txn| txn.status()) {
                Some(Status::Committed(position)) if position > first.position() => {
                    self.note(position);
                    Err(Error::Conflict)
                }
                _ => Ok(()),
            }
        })
    }

    /// Whether the row has been inserted by somebody else who is not done.
    fn is_fresh(&self, table: &Table, row: u64) -> bool {
        table
            .runs
            .with(row, |run| run.is_some_and(|run| run.txn.id != self.state.id && run.txn.status() == Status::Active))
    }

    /// Whether the snapshot sees a row that has `key` (all columns of the index), whatever has become of it since.
    ///
    /// # Errors
    /// `NotFound`: no such index; `Wait`, for a page.
    pub fn sees_key(&self, s: &Snapshot, index: ObjectId, key: &[u8]) -> Result<bool> {
        self.reading(|| {
            let index = self.shared.index(index)?;
            let has_key = |image: &[u8]| -> Result<bool> {
                Ok(index.image_key(&self.shared.pool, image)?.is_some_and(|found| found.bytes() == key))
            };
            let mut rows = Vec::new();
            self.rows_with_key(&index, key, |row| {
                rows.push(row);
                Ok(true)
            })?;
            for row in rows {
                if self.with_seen(s, &index.table, row, has_key)?.unwrap_or(false) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Whether the snapshot sees any version of the row.
    fn sees_row(&self, s: &Snapshot, table: &Table, row: u64) -> Result<bool> {
        Ok(self.with_seen(s, table, row, |_| Ok(()))?.is_some())
    }

    /// Looks at the version of a row that the snapshot sees.
    fn with_seen<T>(
        &self,
        s: &Snapshot,
        table: &Table,
        row: u64,
        look: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        let leaf = table.tree.read_leaf(&self.shared.pool, &row_key(row))?;
        let Ok(at) = node::search(&leaf, &row_key(row)) else { return Ok(None) };
        let shard = self.shared.versions.shard(version::key(table.id, row));
        let head = shard.get(&version::key(table.id, row)).and_then(|entry| entry.head.as_deref());
        table.runs.with(row, |run| version::visible(node::value(&leaf, at), head, run, s).map(look).transpose())
    }
}
