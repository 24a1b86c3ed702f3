//! Tuple stores: rows of a fixed width, drawn on the statement's account.
//!
//! | store | rows | beyond work_mem |
//! |---|---|---|
//! | [`TupleStore`] | by number, borrowed | its operator spills, or the server's budget ends the statement |
//! | [`LongStore`] | by number, mostly in order | the oldest rows go to a temporary file, in blocks |
//! | [`RowSet`] | distinct ones, by value | its operator divides what is new into partitions |

use super::value;
use crate::error::Result;
use crate::executor::memory::{Memory, Reservation, datum_bytes};
use crate::executor::spill::Folder;
use crate::executor::spill::SpillBlocks;
use crate::types::Datum;
use hashbrown::HashTable;
use std::sync::Arc;

/// Rows in the order in which they came.
#[derive(Debug)]
pub(super) struct TupleStore {
    width: usize,
    rows: usize,
    data: Vec<Datum>,
    reservation: Reservation,
}

impl TupleStore {
    /// An empty one.
    pub(super) fn new(width: usize, memory: &Arc<Memory>) -> TupleStore {
        TupleStore { width, rows: 0, data: Vec::new(), reservation: Reservation::new(memory) }
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Adds a row of `width` values.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = Datum>) -> Result<()> {
        let before = self.data.len();
        self.data.extend(row);
        debug_assert_eq!(self.data.len(), before + self.width);
        self.rows += 1;
        self.reservation.grow(self.data[before..].iter().map(datum_bytes).sum::<usize>() + 8)
    }

    /// A row.
    pub(super) fn row(&self, at: usize) -> &[Datum] {
        &self.data[at * self.width..(at + 1) * self.width]
    }

    /// Estimated heap bytes.
    pub(super) fn bytes(&self) -> usize {
        self.reservation.used()
    }

    /// Drops all rows.
    pub(super) fn clear(&mut self) {
        self.rows = 0;
        self.data = Vec::new();
        self.reservation.clear();
    }
}

/// Rows of one block of a [`LongStore`].
const BLOCK_ROWS: usize = 256;

/// Rows in the order in which they came, read again from any place, in order for the most part: those of WITH parts, of
/// materialised inputs, of cursors.
#[derive(Debug)]
pub(crate) struct LongStore {
    width: usize,
    memory: Arc<Memory>,
    /// The newest rows, from number `spilled` on.
    tail: TupleStore,
    /// Rows in `blocks`, a multiple of [`BLOCK_ROWS`].
    spilled: usize,
    blocks: Option<SpillBlocks>,
    /// The block read last.
    cached: Option<usize>,
    cache: Vec<Datum>,
}

impl LongStore {
    /// An empty one.
    pub(crate) fn new(width: usize, memory: &Arc<Memory>) -> LongStore {
        LongStore {
            width,
            memory: memory.clone(),
            tail: TupleStore::new(width, memory),
            spilled: 0,
            blocks: None,
            cached: None,
            cache: Vec::new(),
        }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.spilled + self.tail.len()
    }

    /// Adds a row of `width` values.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = Datum>) -> Result<()> {
        self.tail.push(row)?;
        let memory = self.memory.clone();
        match memory.spill_folder(self.tail.bytes()) {
            Some(folder) if self.tail.len() >= BLOCK_ROWS => self.spill(folder),
            _ => Ok(()),
        }
    }

    /// Writes all whole blocks of the tail.
    fn spill(&mut self, folder: &Folder) -> Result<()> {
        if self.blocks.is_none() {
            self.blocks = Some(SpillBlocks::create(folder)?);
        }
        let Some(blocks) = &mut self.blocks else { return Ok(()) };
        let whole = self.tail.len() / BLOCK_ROWS;
        for block in 0..whole {
            blocks.push((block * BLOCK_ROWS..(block + 1) * BLOCK_ROWS).flat_map(|at| self.tail.row(at)))?;
        }
        let rest: Vec<Vec<Datum>> =
            (whole * BLOCK_ROWS..self.tail.len()).map(|at| self.tail.row(at).to_vec()).collect();
        self.tail.clear();
        self.spilled += whole * BLOCK_ROWS;
        rest.into_iter().try_for_each(|row| self.tail.push(row))
    }

    /// A row.
    pub(crate) fn row(&mut self, at: usize) -> Result<&[Datum]> {
        if at >= self.spilled {
            return Ok(self.tail.row(at - self.spilled));
        }
        let block = at / BLOCK_ROWS;
        if self.cached != Some(block)
            && let Some(blocks) = &mut self.blocks
        {
            self.cached = None;
            blocks.read(block, BLOCK_ROWS * self.width, &mut self.cache)?;
            self.cached = Some(block);
        }
        let start = at % BLOCK_ROWS * self.width;
        Ok(&self.cache[start..start + self.width])
    }

    /// Drops all rows.
    pub(super) fn clear(&mut self) {
        *self = LongStore::new(self.width, &self.memory);
    }
}

/// Distinct rows (grouping's equality), each with its number in the order of first appearance.
#[derive(Debug)]
pub(super) struct RowSet {
    table: HashTable<(u64, u32)>,
    store: TupleStore,
}

/// Bytes of a row's entry in a hash table that is half full.
const ENTRY_BYTES: usize = 40;

impl RowSet {
    /// An empty one.
    pub(super) fn new(width: usize, memory: &Arc<Memory>) -> RowSet {
        RowSet { table: HashTable::new(), store: TupleStore::new(width, memory) }
    }

    /// Estimated heap bytes.
    pub(super) fn bytes(&self) -> usize {
        self.store.bytes()
    }

    /// The number of `row`, which is put in if it is new (`true`).
    pub(super) fn insert(&mut self, row: &[Datum]) -> Result<(usize, bool)> {
        let hash = value::hash_row(row);
        let store = &self.store;
        if let Some((_, at)) =
            self.table.find(hash, |(h, at)| *h == hash && value::same_row(store.row(*at as usize), row))
        {
            return Ok((*at as usize, false));
        }
        let at = self.store.len();
        self.store.push(row.iter().cloned())?;
        self.store.reservation.grow(ENTRY_BYTES)?;
        self.table.insert_unique(hash, (hash, at as u32), |(h, _)| *h);
        Ok((at, true))
    }

    /// The number of `row`.
    pub(super) fn find(&self, row: &[Datum]) -> Option<usize> {
        let hash = value::hash_row(row);
        let same = |(h, at): &(u64, u32)| *h == hash && value::same_row(self.store.row(*at as usize), row);
        self.table.find(hash, same).map(|(_, at)| *at as usize)
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.store.len()
    }

    /// A row.
    pub(super) fn row(&self, at: usize) -> &[Datum] {
        self.store.row(at)
    }

    /// Drops all.
    pub(super) fn clear(&mut self) {
        self.table = HashTable::new();
        self.store.clear();
    }
}
