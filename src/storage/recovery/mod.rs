//! Redo: applies the log's records to the trees, before the engine opens.
//!
//! Nothing is ever in the log that did not commit, and positions order the groups as they committed, so redo is row operations
//! one after the other, with index entries derived from the rows, old and new. Objects are rows of the catalog: a change of
//! one creates, alters or drops the object at that point of history; an index is built from the rows that are there by then.

pub(crate) mod notes;

use crate::btree::{Tree, node};
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::hash::HashMap;
use crate::sync::atomic::AtomicU64;
use crate::sync::{Mutex, RwLock};
use crate::table::definition::{CATALOG, Definition};
use crate::table::{self, Index, Object, Sequence, SequenceState, Table, fence_row, row_key};
use crate::transaction::finish;
use crate::transaction::redo::{self, Change, Changes, Record};
use crate::transaction::version::TOMBSTONE;
use crate::types::row::{Cell, Cells, Field, decode};
use crate::types::{ObjectId, Value};
use std::sync::Arc;

/// Redo under way.
pub(crate) struct Redo<'a> {
    shared: &'a Shared,
    /// The last record of each sequence, which may come before its creation commits.
    sequences: HashMap<ObjectId, (i64, bool)>,
}

impl<'a> Redo<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Redo<'a> {
        Redo { shared, sequences: HashMap::default() }
    }

    /// Applies a record.
    pub(crate) fn apply(&mut self, record: &[u8]) -> Result<()> {
        match redo::decode(record)? {
            Record::Commit { extents, changes } => {
                for extent in extents {
                    let bytes = self.shared.pool.store().read_extent(extent)?;
                    self.group(Changes(&bytes))?;
                }
                self.group(changes)
            }
            Record::Sequence { sequence, value, called } => {
                self.sequences.insert(sequence, (value, called));
                Ok(())
            }
            Record::Oids { bound } => {
                let mut oids = self.shared.oids.lock();
                oids.next = oids.next.max(bound);
                oids.bound = oids.next;
                Ok(())
            }
        }
    }

    /// The log is at its end.
    pub(crate) fn finish(self) {
        for (id, (value, called)) in self.sequences {
            if let Ok(sequence) = self.shared.sequence(id) {
                *sequence.state.lock() = SequenceState { value, called, reserved: 0 };
            }
        }
    }

    fn group(&mut self, changes: Changes<'_>) -> Result<()> {
        for change in changes {
            match change? {
                Change::Insert { table, row, image } => self.insert(table, row, image)?,
                Change::Update { table, row, columns } => {
                    let table = self.table(table)?;
                    let old = self.image(&table, row)?;
                    let def = table.def();
                    let mut fields = table::fields(&old, &def);
                    for (column, value) in columns {
                        let at = column.0 as usize;
                        let (Some(field), Some(column)) = (fields.get_mut(at), def.columns.get(at)) else {
                            return Err(Error::corrupt("log: a change of an unknown column"));
                        };
                        *field = Field::Value(value.map_or(Value::Null, |bytes| decode(bytes, column.ty)));
                    }
                    let new = table.image(&self.shared.pool, &mut fields)?;
                    self.put(&table, row, Some(&old), Some(&new))?;
                    if table.id == CATALOG {
                        self.alter(row, &new)?;
                    }
                }
                Change::Delete { table, row } => {
                    let table = self.table(table)?;
                    let old = self.image(&table, row)?;
                    self.put(&table, row, Some(&old), None)?;
                    if table.id == CATALOG
                        && let Some(object) = self.shared.remove_object(ObjectId(row as u32))
                    {
                        self.free(&object)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn free(&self, object: &Object) -> Result<()> {
        finish::free_object(self.shared, object)
    }

    fn table(&self, id: ObjectId) -> Result<Arc<Table>> {
        self.shared.table(id).map_err(|_| Error::corrupt(format!("log: a change of table {id}, which does not exist")))
    }

    fn image(&self, table: &Table, row: u64) -> Result<Vec<u8>> {
        let image = table.page_image(&self.shared.pool, row)?;
        image.ok_or_else(|| {
            Error::corrupt(format!("log: a change of row {row} of table {}, which does not exist", table.id))
        })
    }

    fn insert(&mut self, table: ObjectId, row: u64, wide: &[u8]) -> Result<()> {
        if !Cells::validate(wide) {
            return Err(Error::corrupt("log: a row is malformed"));
        }
        let table = self.table(table)?;
        let (def, cells) = (table.def(), Cells::new(wide));
        let mut fields: Vec<Field<'_>> = (0..cells.count().min(def.columns.len()))
            .map(|i| match cells.cell(i) {
                Cell::Inline(bytes) => Field::Value(decode(bytes, def.columns[i].ty)),
                _ => Field::Value(Value::Null),
            })
            .collect();
        let image = table.image(&self.shared.pool, &mut fields)?;
        self.put(&table, row, None, Some(&image))?;
        table.ids.raise_bound(row + 1);
        if table.id == CATALOG {
            self.create(row, &image)?;
        }
        Ok(())
    }

    /// Takes a row from one image to another, its index entries too.
    fn put(&self, table: &Table, row: u64, old: Option<&[u8]>, new: Option<&[u8]>) -> Result<()> {
        let pool = &self.shared.pool;
        for index in table.indexes().iter() {
            let key = |image: Option<&[u8]>| image.map_or(Ok(None), |image| index.image_key(pool, image));
            let (old, new) = (key(old)?, key(new)?);
            let (old, new) = (old.as_ref().map(|key| key.bytes()), new.as_ref().map(|key| key.bytes()));
            if old != new {
                if let Some(old) = old {
                    index.tree.remove(pool, &table::entry(old, row))?;
                }
                if let Some(new) = new {
                    index.tree.put(pool, &table::entry(new, row), &[])?;
                }
            }
        }
        match new {
            Some(new) => table.tree.put(pool, &row_key(row), new).map(|_| ())?,
            None => table.tree.remove(pool, &row_key(row)).map(|_| ())?,
        }
        match old {
            Some(old) => table.free_external(pool, old, new.unwrap_or(&TOMBSTONE)),
            None => Ok(()),
        }
    }

    fn definition(&self, image: &[u8]) -> Result<Definition> {
        let catalog = self.table(CATALOG)?;
        let full = catalog.full(&self.shared.pool, image)?;
        match Cells::new(&full).cell(0) {
            Cell::Inline(bytes) => Definition::decode(bytes),
            _ => Err(Error::corrupt("an object's definition is missing")),
        }
    }

    fn create(&self, row: u64, image: &[u8]) -> Result<()> {
        let id = ObjectId(row as u32);
        let object = match self.definition(image)? {
            Definition::Table(def) => {
                Object::Table(Arc::new(Table::new(id, Tree::create(&self.shared.pool, id)?, def)))
            }
            Definition::Index(def) => {
                let table = self.table(def.table)?;
                let index = Arc::new(Index::new(id, Tree::create(&self.shared.pool, id)?, def, table)?);
                self.build(&index)?;
                index.table.attach(&index);
                Object::Index(index)
            }
            Definition::Sequence(def) => {
                let state = Mutex::new(SequenceState::new(&def));
                Object::Sequence(Arc::new(Sequence { id, def: RwLock::new(def), state, logged: AtomicU64::new(0) }))
            }
        };
        self.shared.objects.write().insert(id, object);
        self.shared.raise_object_id(id);
        Ok(())
    }

    fn alter(&self, row: u64, image: &[u8]) -> Result<()> {
        match (self.definition(image)?, self.shared.object(ObjectId(row as u32))) {
            (Definition::Table(def), Some(Object::Table(table))) => table.set_def(Arc::new(def)),
            (Definition::Sequence(def), Some(Object::Sequence(sequence))) => *sequence.def.write() = def,
            _ => return Err(Error::corrupt("log: a definition of another kind than its object")),
        }
        Ok(())
    }

    fn build(&self, index: &Index) -> Result<()> {
        let pool = &self.shared.pool;
        let mut next = Some(0);
        while let Some(row) = next {
            let leaf = index.table.tree.read_leaf(pool, &row_key(row))?;
            next = node::upper_fence(&leaf).map(fence_row);
            for at in 0..node::count(&leaf) {
                if let Some(key) = index.image_key(pool, node::value(&leaf, at))? {
                    index.tree.put(pool, &table::entry(key.bytes(), node::row_key(&leaf, at)), &[])?;
                }
            }
        }
        Ok(())
    }
}
