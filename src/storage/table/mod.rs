//! Tables, indexes and sequences as open objects: their trees, definitions, and what derives index entries from rows.

pub(crate) mod definition;
pub(crate) mod overflow;
pub(crate) mod row_ids;

use crate::btree::{Tree, node};
use crate::buffer::Pool;
use crate::error::{Error, Result};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, RwLock};
use crate::transaction::version::{self, Runs};
use crate::types::key::KeyEncoder;
use crate::types::row::{self, Cell, Cells, External, Field, RowView};
use crate::types::{ColumnNo, ColumnType, IndexDef, ObjectId, RowId, SequenceDef, TableDef, Unique, Value};
use row_ids::RowIds;
use std::borrow::Cow;
use std::sync::Arc;

/// A row's image in a page is at most a quarter of it; larger values move out.
pub(crate) const ROW_BYTES_MAX: usize = 4000;

/// A table.
pub(crate) struct Table {
    pub(crate) id: ObjectId,
    pub(crate) tree: Tree,
    def: RwLock<Arc<TableDef>>,
    indexes: RwLock<Arc<[Arc<Index>]>>,
    pub(crate) ids: RowIds,
    pub(crate) runs: Runs,
    /// Scans take it for larger than they may keep in the pool.
    pub(crate) is_large: AtomicBool,
    /// Rows without a chain whose index may have entries for images that are gone: readers test every key meanwhile.
    pub(crate) unclean: AtomicU64,
    /// Rows inserted, changed and deleted since [`Transaction::forget_row_changes`](crate::Transaction::forget_row_changes).
    pub(crate) changes: AtomicU64,
}

/// An index.
pub(crate) struct Index {
    pub(crate) id: ObjectId,
    pub(crate) tree: Tree,
    pub(crate) def: IndexDef,
    types: Vec<ColumnType>,
    /// The table as it was opened with; indexes go with their table.
    pub(crate) table: Arc<Table>,
    /// Row id at which `build_index` goes on.
    pub(crate) build_next: AtomicU64,
    /// Raised before an entry goes while its row stays: who took entries out of a leaf before must test them against the rows.
    pub(crate) removals: AtomicU64,
    /// A transaction in progress has dropped it: it takes no more entries, and loses none that it must have when that is undone.
    pub(crate) dropping: AtomicBool,
}

/// A sequence: its values are no part of transactions.
pub(crate) struct Sequence {
    pub(crate) id: ObjectId,
    pub(crate) def: RwLock<SequenceDef>,
    pub(crate) state: Mutex<SequenceState>,
    /// Position of its last record in the log.
    pub(crate) logged: AtomicU64,
}

/// Where a sequence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SequenceState {
    pub(crate) value: i64,
    /// Whether `value` has been given out.
    pub(crate) called: bool,
    /// Values that the log has reserved beyond `value`.
    pub(crate) reserved: u32,
}

/// Anything that has an object id.
#[derive(Clone)]
pub(crate) enum Object {
    Table(Arc<Table>),
    Index(Arc<Index>),
    Sequence(Arc<Sequence>),
}

/// A row id as a key of the table's tree.
pub(crate) fn row_key(row: u64) -> [u8; 8] {
    row.to_be_bytes()
}

/// A fence of a table's tree as a row id: fences are cut short.
pub(crate) fn fence_row(fence: &[u8]) -> u64 {
    let mut whole = [0; 8];
    whole[..fence.len()].copy_from_slice(fence);
    u64::from_be_bytes(whole)
}

impl Table {
    pub(crate) fn new(id: ObjectId, tree: Tree, def: TableDef) -> Table {
        Table {
            id,
            tree,
            def: RwLock::new(Arc::new(def)),
            indexes: RwLock::new(Arc::new([])),
            ids: RowIds::new(),
            runs: Runs::new(),
            is_large: AtomicBool::new(false),
            unclean: AtomicU64::new(0),
            changes: AtomicU64::new(0),
        }
    }

    pub(crate) fn def(&self) -> Arc<TableDef> {
        self.def.read().clone()
    }

    pub(crate) fn set_def(&self, def: Arc<TableDef>) {
        *self.def.write() = def;
    }

    pub(crate) fn indexes(&self) -> Arc<[Arc<Index>]> {
        self.indexes.read().clone()
    }

    pub(crate) fn attach(&self, index: &Arc<Index>) {
        let mut indexes = self.indexes.write();
        *indexes = indexes.iter().chain([index]).cloned().collect();
    }

    pub(crate) fn detach(&self, index: ObjectId) {
        let mut indexes = self.indexes.write();
        *indexes = indexes.iter().filter(|each| each.id != index).cloned().collect();
    }

    /// Whether a change of a row of this table may have versions, by filter; under the leaf's latch.
    #[inline]
    pub(crate) fn is_settled(&self, versions: &version::Versions, row: u64) -> bool {
        !self.runs.may_have(row) && !versions.may_have(version::key(self.id, row))
    }

    /// An image for a page: the largest values go to overflow pages until the row is small enough.
    pub(crate) fn image(&self, pool: &Pool, fields: &mut [Field<'_>]) -> Result<Vec<u8>> {
        let mut image = Vec::with_capacity(256);
        let fixed = 3 + 2 * fields.len();
        let size = |field: &Field<'_>| match field {
            Field::Value(value) => row::value_bytes(*value),
            Field::External(_) => 8,
        };
        let mut total = fixed + fields.iter().map(size).sum::<usize>();
        let mut made = Vec::new();
        while total > ROW_BYTES_MAX {
            let largest = fields.iter().enumerate().filter_map(|(i, field)| match field {
                Field::Value(Value::Bytes(bytes)) if bytes.len() > 64 => Some((bytes.len(), i)),
                _ => None,
            });
            let stored = match largest.max() {
                Some((length, i)) => match fields[i] {
                    Field::Value(Value::Bytes(bytes)) => overflow::store(pool, bytes, &mut made).map(|place| {
                        fields[i] = Field::External(place);
                        total -= length - 8;
                    }),
                    _ => unreachable!("only byte values are candidates"),
                },
                None => Err(Error::TooLarge { bytes: total, max_bytes: ROW_BYTES_MAX }),
            };
            if let Err(error) = stored {
                made.into_iter().for_each(|page| pool.free(page));
                return Err(error);
            }
        }
        row::encode(fields.iter().copied(), &mut image);
        Ok(image)
    }

    /// The image with its external values fetched.
    pub(crate) fn full<'a>(&self, pool: &Pool, image: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        let cells = Cells::new(image);
        if !cells.has_external() {
            return Ok(Cow::Borrowed(image));
        }
        let def = self.def();
        // A row of a transaction that also added a column may have more cells than the definition that recovery went back to.
        let count = cells.count().min(def.columns.len());
        let mut fetched = Vec::with_capacity(count);
        for i in 0..count {
            fetched.push(match cells.cell(i) {
                Cell::External(place) => Some(overflow::load(pool, place)?),
                _ => None,
            });
        }
        let fields: Vec<Field<'_>> = (0..count)
            .map(|i| match (&fetched[i], cells.cell(i)) {
                (Some(bytes), _) => Field::Value(Value::Bytes(bytes)),
                (None, Cell::Inline(bytes)) => Field::Value(row::decode(bytes, def.columns[i].ty)),
                (None, _) => Field::Value(Value::Null),
            })
            .collect();
        let mut out = Vec::new();
        row::encode(fields.into_iter(), &mut out);
        Ok(Cow::Owned(out))
    }

    /// Frees the external values of `image` that `kept` does not share: all of them, or none on an error.
    pub(crate) fn free_external(&self, pool: &Pool, image: &[u8], kept: &[u8]) -> Result<()> {
        match unshared(image, kept) {
            values if values.is_empty() => Ok(()),
            values => overflow::free(pool, &values),
        }
    }

    /// The row as it lies in its page; `None`: not there. A tombstone counts as there.
    pub(crate) fn page_image(&self, pool: &Pool, row: u64) -> Result<Option<Vec<u8>>> {
        let key = row_key(row);
        let leaf = self.tree.read_leaf(pool, &key)?;
        Ok(node::search(&leaf, &key).ok().map(|at| node::value(&leaf, at).to_vec()))
    }
}

/// The external values of `image` that `kept` does not share.
pub(crate) fn unshared(image: &[u8], kept: &[u8]) -> Vec<External> {
    if version::is_deleted(image) || !Cells::new(image).has_external() {
        return Vec::new();
    }
    let kept = externals(kept);
    externals(image).into_iter().filter(|place| !kept.contains(place)).collect()
}

/// The external values of a row's image.
pub(crate) fn externals(image: &[u8]) -> Vec<External> {
    if version::is_deleted(image) {
        return Vec::new();
    }
    let cells = Cells::new(image);
    (0..cells.count())
        .filter_map(|i| match cells.cell(i) {
            Cell::External(place) => Some(place),
            _ => None,
        })
        .collect()
}

/// The fields of an image, for building a changed one.
pub(crate) fn fields<'a>(image: &'a [u8], def: &'a TableDef) -> Vec<Field<'a>> {
    let cells = Cells::new(image);
    def.columns
        .iter()
        .enumerate()
        .map(|(i, column)| {
            if i >= cells.count() {
                return Field::Value(column.default.borrow());
            }
            match cells.cell(i) {
                Cell::Null => Field::Value(Value::Null),
                Cell::Inline(bytes) => Field::Value(row::decode(bytes, column.ty)),
                Cell::External(place) => Field::External(place),
            }
        })
        .collect()
}

impl Index {
    pub(crate) fn new(id: ObjectId, tree: Tree, def: IndexDef, table: Arc<Table>) -> Result<Index> {
        let columns = table.def();
        let ty = |no: ColumnNo| columns.columns.get(no.0 as usize).map(|column| column.ty).ok_or(Error::NotFound);
        let types = def.columns.iter().map(|key| ty(key.column)).collect::<Result<_>>()?;
        Ok(Index {
            id,
            tree,
            def,
            types,
            table,
            build_next: AtomicU64::new(1),
            removals: AtomicU64::new(0),
            dropping: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_unique(&self) -> bool {
        self.def.unique != Unique::No
    }

    /// Whether foreign keys may name it, so that a change of its key takes the strongest row lock.
    pub(crate) fn is_referable(&self) -> bool {
        self.is_unique() && self.def.predicate.is_none()
    }

    /// Whether new rows come in.
    pub(crate) fn is_maintained(&self) -> bool {
        !self.dropping.load(Ordering::Acquire)
    }

    /// Whether the index reads the column.
    pub(crate) fn reads(&self, column: ColumnNo) -> bool {
        self.def.predicate == Some(column) || self.def.columns.iter().any(|key| key.column == column)
    }

    /// The row's key into `out`; `false`: the row is not in the index. External values must have been fetched.
    pub(crate) fn key(&self, view: &RowView<'_>, out: &mut KeyEncoder) -> bool {
        out.clear();
        if self.def.predicate.is_some_and(|column| view.get(column) != Value::Bool(true)) {
            return false;
        }
        for (key, ty) in self.def.columns.iter().zip(&self.types) {
            out.push(view.get(key.column), *ty, key.descending, key.nulls_first);
        }
        true
    }

    /// The key of an image of the table; `None`: not in the index.
    pub(crate) fn image_key(&self, pool: &Pool, image: &[u8]) -> Result<Option<KeyEncoder>> {
        if version::is_deleted(image) {
            return Ok(None);
        }
        let full = self.table.full(pool, image)?;
        let def = self.table.def();
        let mut key = KeyEncoder::new();
        let within = self.key(&RowView::new(&full, &def.columns), &mut key);
        Ok(within.then_some(key))
    }

    /// Whether equal keys of two rows are a conflict.
    pub(crate) fn judges(&self, key: &KeyEncoder) -> bool {
        self.is_unique() && !(self.def.nulls_distinct && key.has_null())
    }
}

/// An index entry: key, then row id.
pub(crate) fn entry(key: &[u8], row: u64) -> Vec<u8> {
    let mut entry = Vec::with_capacity(key.len() + 8);
    entry.extend_from_slice(key);
    entry.extend_from_slice(&row_key(row));
    entry
}

impl SequenceState {
    /// Before the first value.
    pub(crate) fn new(def: &SequenceDef) -> SequenceState {
        SequenceState { value: def.start, called: false, reserved: 0 }
    }

    /// The value after this one.
    ///
    /// # Errors
    /// [`Error::SequenceLimit`]
    pub(crate) fn next(&self, def: &SequenceDef) -> Result<i64> {
        if !self.called {
            return Ok(self.value);
        }
        match self.value.checked_add(def.increment) {
            Some(next) if next >= def.min && next <= def.max => Ok(next),
            _ if def.cycle => Ok(if def.increment > 0 { def.min } else { def.max }),
            _ => {
                let upper = def.increment > 0;
                Err(Error::SequenceLimit { limit: if upper { def.max } else { def.min }, upper })
            }
        }
    }
}

/// A row id.
pub(crate) fn row_id(row: u64) -> RowId {
    RowId(row)
}
