//! Transactions.

mod api;

pub use api::*;

use crate::error::{Error, Result};
use crate::types::row::RowBuffer;
use crate::types::{ColumnNo, IndexDef, ObjectId, Position, RowId, SequenceDef, TableDef, TxnId, Value};
use std::ops::Range;

/// What a statement or portal sees: counts as live while it, or a clone, exists.
#[derive(Clone, Debug)]
pub struct Snapshot(());

/// A transaction; dropped without a commit it is rolled back.
#[derive(Debug)]
pub struct Transaction(());

const LATER: Error = Error::Unsupported("this operation");

#[allow(missing_docs, unused_variables, clippy::needless_pass_by_ref_mut)]
impl Transaction {
    pub fn id(&self) -> TxnId {
        TxnId(0)
    }
    pub fn snapshot(&mut self) -> Snapshot {
        Snapshot(())
    }
    pub fn savepoint(&mut self) -> SavepointId {
        SavepointId(0)
    }
    pub fn rollback_to(&mut self, savepoint: SavepointId) -> Result<()> {
        Err(LATER)
    }
    pub fn release(&mut self, savepoint: SavepointId) {}
    pub fn commit(self) -> Result<Position> {
        Err(LATER)
    }
    pub fn commit_async(self) -> Result<Position> {
        Err(LATER)
    }
    pub fn rollback(self) {}
    pub fn noted(&self) -> Position {
        Position(0)
    }
    pub fn get(&self, s: &Snapshot, table: ObjectId, row: RowId, rows: &mut RowBuffer) -> Result<bool> {
        Err(LATER)
    }
    pub fn get_newest(&self, table: ObjectId, row: RowId, rows: &mut RowBuffer) -> Result<Newest> {
        Err(LATER)
    }
    pub fn scan(
        &self,
        s: &Snapshot,
        table: ObjectId,
        range: Range<RowId>,
        max_rows: usize,
        rows: &mut RowBuffer,
    ) -> Result<Option<RowId>> {
        Err(LATER)
    }
    pub fn row_id_bound(&self, table: ObjectId) -> RowId {
        RowId(1)
    }
    pub fn index_cursor(&self, index: ObjectId, range: KeyRange, direction: Direction) -> IndexCursor {
        IndexCursor { index, direction, lower: Vec::new(), upper: None, done: true, last: None }
    }
    pub fn index_next(
        &self,
        s: &Snapshot,
        cursor: &mut IndexCursor,
        max_rows: usize,
        rows: &mut RowBuffer,
    ) -> Result<bool> {
        Err(LATER)
    }
    pub fn index_estimate(&self, index: ObjectId, range: &KeyRange) -> u64 {
        0
    }
    pub fn insert(&mut self, s: &Snapshot, table: ObjectId, values: &[Value<'_>]) -> Result<RowId> {
        Err(LATER)
    }
    pub fn update(
        &mut self,
        s: &Snapshot,
        table: ObjectId,
        row: RowId,
        base: Base,
        changes: &[(ColumnNo, Value<'_>)],
    ) -> Result<WriteOutcome> {
        Err(LATER)
    }
    pub fn delete(&mut self, s: &Snapshot, table: ObjectId, row: RowId, base: Base) -> Result<WriteOutcome> {
        Err(LATER)
    }
    pub fn lock_row(
        &mut self,
        s: &Snapshot,
        table: ObjectId,
        row: RowId,
        mode: RowLockMode,
        policy: WaitPolicy,
    ) -> Result<LockOutcome> {
        Err(LATER)
    }
    pub fn take_unchecked(&mut self) -> Vec<(ObjectId, RowId)> {
        Vec::new()
    }
    pub fn recheck_unique(&mut self, index: ObjectId, row: RowId) -> Result<()> {
        Err(LATER)
    }
    pub fn lock_key(&mut self, s: &Snapshot, index: ObjectId, key: &[u8], mode: RowLockMode) -> Result<Option<RowId>> {
        Err(LATER)
    }
    pub fn lock(&mut self, what: LockTag, mode: LockMode, policy: WaitPolicy, scope: LockScope) -> Result<bool> {
        Err(LATER)
    }
    pub fn create_table(&mut self, def: TableDef) -> Result<ObjectId> {
        Err(LATER)
    }
    pub fn alter_table(&mut self, table: ObjectId, def: TableDef) -> Result<()> {
        Err(LATER)
    }
    pub fn create_index(&mut self, def: IndexDef) -> Result<ObjectId> {
        Err(LATER)
    }
    pub fn build_index(&mut self, s: &Snapshot, index: ObjectId, budget_rows: usize) -> Result<bool> {
        Err(LATER)
    }
    pub fn create_sequence(&mut self, def: SequenceDef) -> Result<ObjectId> {
        Err(LATER)
    }
    pub fn alter_sequence(&mut self, sequence: ObjectId, def: SequenceDef) -> Result<()> {
        Err(LATER)
    }
    pub fn drop_object(&mut self, object: ObjectId) -> Result<()> {
        Err(LATER)
    }
    pub fn nextval(&mut self, sequence: ObjectId) -> Result<i64> {
        Err(LATER)
    }
    pub fn setval(&mut self, sequence: ObjectId, value: i64, called: bool) -> Result<()> {
        Err(LATER)
    }
    pub fn sequence_state(&self, sequence: ObjectId) -> Result<(i64, bool)> {
        Err(LATER)
    }
    pub fn allocate_oid(&mut self) -> Result<u32> {
        Err(LATER)
    }
}
