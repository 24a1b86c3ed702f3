//! Storage's own DDL: objects are rows of its catalog, so that definitions commit, roll back and recover as rows do.
//!
//! The SQL side holds a lock on the table that keeps others away. An object is open from the moment it is created; nobody else
//! knows its id. What is dropped goes at commit, its pages once no snapshot is old enough to read them.

use super::api::Base;
use super::load::Entries;
use super::state::Snapshot;
use super::{Newest, Transaction, Undo};
use crate::btree::Tree;
use crate::error::{Error, Result};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, RwLock};
use crate::table::definition::{CATALOG, Definition};
use crate::table::{Index, Object, Sequence, SequenceState, Table};
use crate::types::row::RowBuffer;
use crate::types::{ColumnNo, IndexDef, ObjectId, SequenceDef, TableDef, Value};
use std::sync::Arc;

impl Transaction {
    /// A new, empty table.
    pub fn create_table(&mut self, def: TableDef) -> Result<ObjectId> {
        self.whole(|t| t.try_create_table(def))
    }

    fn try_create_table(&mut self, def: TableDef) -> Result<ObjectId> {
        let shared = self.shared.clone();
        let _pass = shared.pool.gate().enter();
        self.check_writable()?;
        let id = self.shared.take_object_id();
        let tree = Tree::create(&self.shared.pool, id)?;
        let table = Arc::new(Table::new(id, tree, def.clone()));
        self.register(id, Object::Table(table));
        if !def.temporary {
            self.record(id, &Definition::Table(def))?;
        }
        Ok(id)
    }

    /// A table's definition.
    pub fn table_def(&self, table: ObjectId) -> Result<TableDef> {
        Ok((*self.shared.table(table)?.def()).clone())
    }

    /// An index's definition.
    pub fn index_def(&self, index: ObjectId) -> Result<IndexDef> {
        Ok(self.shared.index(index)?.def.clone())
    }

    /// Adds columns at the end, marks columns dropped, or changes stored defaults. A column never changes its type.
    ///
    /// # Errors
    /// `NotFound`; `Unsupported`: a column would go or change its type.
    pub fn alter_table(&mut self, table: ObjectId, def: TableDef) -> Result<()> {
        let shared = self.shared.clone();
        let _pass = shared.pool.gate().enter();
        self.check_writable()?;
        let table = self.shared.table(table)?;
        let before = table.def();
        let keeps = before.columns.iter().zip(&def.columns).all(|(old, new)| old.ty == new.ty && old.no == new.no);
        if def.columns.len() < before.columns.len() || !keeps || def.temporary != before.temporary {
            return Err(Error::Unsupported("changing a column's stored form in place"));
        }
        if !def.temporary {
            self.record_again(table.id, &Definition::Table(def.clone()))?;
        }
        table.set_def(Arc::new(def));
        self.undo.push(Undo::Altered { table, before });
        Ok(())
    }

    /// A new index, maintained from now on; rows that are there already come in by [`Self::build_index`].
    pub fn create_index(&mut self, def: IndexDef) -> Result<ObjectId> {
        self.whole(|t| t.try_create_index(def))
    }

    fn try_create_index(&mut self, def: IndexDef) -> Result<ObjectId> {
        let shared = self.shared.clone();
        let _pass = shared.pool.gate().enter();
        self.check_writable()?;
        let table = self.shared.table(def.table)?;
        let temporary = table.def().temporary;
        let id = self.shared.take_object_id();
        let tree = Tree::create(&self.shared.pool, id)?;
        let index = Arc::new(Index::new(id, tree, def.clone(), table)?);
        self.register(id, Object::Index(index.clone()));
        index.table.attach(&index);
        if !temporary {
            self.record(id, &Definition::Index(def))?;
        }
        Ok(id)
    }

    /// Puts the entries of up to `budget_rows` more rows in; `true`: the index is complete. Rows come in with
    /// every version that is there, so that the index serves older snapshots too; the caller's lock keeps writers away.
    ///
    /// # Errors
    /// `Duplicate`; `TooLarge`.
    pub fn build_index(&mut self, s: &Snapshot, index: ObjectId, budget_rows: usize) -> Result<bool> {
        self.build_index_while(s, index, budget_rows, &|| true)
    }

    /// The same, given up between two leaves once `go_on` says no: what is in already is put in again by the next call, if
    /// there is one.
    ///
    /// # Errors
    /// As [`Self::build_index`].
    pub fn build_index_while(
        &mut self,
        _s: &Snapshot,
        index: ObjectId,
        budget_rows: usize,
        go_on: &dyn Fn() -> bool,
    ) -> Result<bool> {
        let shared = self.shared.clone();
        // A version whose entry is about to come in must not be cleaned up before.
        let _quiet = shared.cleaning.lock();
        let index = shared.index(index)?;
        let mut next = Some(index.build_next.load(Ordering::Relaxed));
        let mut left = budget_rows.max(1);
        let mut entries = Entries::default();
        while let Some(row) = next
            && left > 0
        {
            if !go_on() {
                return Ok(false);
            }
            next = self.leaf_keys(&index, row, &mut left, &mut entries)?;
        }
        // In key order every leaf is visited once, and filled from the left.
        if !self.put_entries_while(&index, &mut entries, go_on)? {
            return Ok(false);
        }
        index.build_next.store(next.unwrap_or(u64::MAX), Ordering::Relaxed);
        Ok(next.is_none())
    }

    /// A new sequence.
    pub fn create_sequence(&mut self, def: SequenceDef) -> Result<ObjectId> {
        self.whole(|t| t.try_create_sequence(def))
    }

    fn try_create_sequence(&mut self, def: SequenceDef) -> Result<ObjectId> {
        let shared = self.shared.clone();
        let _pass = shared.pool.gate().enter();
        self.check_writable()?;
        let id = self.shared.take_object_id();
        let state = Mutex::new(SequenceState::new(&def));
        let sequence = Sequence { id, def: RwLock::new(def), state, logged: AtomicU64::new(0) };
        self.register(id, Object::Sequence(Arc::new(sequence)));
        self.record(id, &Definition::Sequence(def))?;
        Ok(id)
    }

    /// Another definition for a sequence; its value stays.
    pub fn alter_sequence(&mut self, sequence: ObjectId, def: SequenceDef) -> Result<()> {
        let shared = self.shared.clone();
        let _pass = shared.pool.gate().enter();
        self.check_writable()?;
        let sequence = self.shared.sequence(sequence)?;
        self.record_again(sequence.id, &Definition::Sequence(def))?;
        let before = std::mem::replace(&mut *sequence.def.write(), def);
        sequence.state.lock().reserved = 0;
        self.undo.push(Undo::AlteredSequence { sequence, before });
        Ok(())
    }

    /// Drops an object at commit. An index takes no more rows in from now on; a table takes its indexes along.
    pub fn drop_object(&mut self, id: ObjectId) -> Result<()> {
        self.whole(|t| {
            let shared = t.shared.clone();
            let _pass = shared.pool.gate().enter();
            t.drop_one(id)
        })
    }

    /// Does all of a definition's steps, or none.
    fn whole<T>(&mut self, steps: impl FnOnce(&mut Transaction) -> Result<T>) -> Result<T> {
        let before = self.savepoint();
        let result = steps(self);
        if let Err(error) = &result {
            let changes = self.undo.len();
            if self.rollback_to(before).is_err() {
                self.broken = Some((changes, error.clone()));
            }
        }
        self.release(before);
        result
    }

    fn drop_one(&mut self, id: ObjectId) -> Result<()> {
        self.check_writable()?;
        let object = self.shared.object(id).ok_or(Error::NotFound)?;
        let (index, recorded) = match object {
            Object::Table(table) => {
                for index in table.indexes().iter().filter(|index| index.is_maintained()) {
                    self.drop_one(index.id)?;
                }
                (None, !table.def().temporary)
            }
            Object::Index(index) => {
                index.dropping.store(true, Ordering::Release);
                let recorded = !index.table.def().temporary;
                (Some(index), recorded)
            }
            Object::Sequence(_) => (None, true),
        };
        self.undo.push(Undo::Dropped { object: id, index });
        if recorded {
            let s = self.snapshot();
            if let Newest::Row(stamp) = self.get_newest(CATALOG, row_id(id), &mut RowBuffer::new())? {
                self.delete_row(&s, CATALOG, row_id(id), Base::Newest(stamp))?;
            }
        }
        Ok(())
    }

    fn register(&mut self, id: ObjectId, object: Object) {
        self.shared.objects.write().insert(id, object);
        self.undo.push(Undo::Created(id));
    }

    fn record(&mut self, id: ObjectId, definition: &Definition) -> Result<()> {
        let catalog = self.shared.table(CATALOG)?;
        let s = self.snapshot();
        self.insert_row(s.command, &catalog, Some(u64::from(id.0)), &[Value::Bytes(&definition.encode())])?;
        Ok(())
    }

    fn record_again(&mut self, id: ObjectId, definition: &Definition) -> Result<()> {
        let s = self.snapshot();
        let Newest::Row(stamp) = self.get_newest(CATALOG, row_id(id), &mut RowBuffer::new())? else {
            return Err(Error::NotFound);
        };
        let bytes = definition.encode();
        self.update_row(&s, CATALOG, row_id(id), Base::Newest(stamp), &[(ColumnNo(0), Value::Bytes(&bytes))])?;
        Ok(())
    }
}

fn row_id(id: ObjectId) -> crate::types::RowId {
    crate::types::RowId(u64::from(id.0))
}
