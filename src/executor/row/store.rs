//! Tuple stores: rows of a fixed width kept in memory, drawn on the statement's account.

use super::value;
use crate::error::Result;
use crate::executor::memory::{Memory, Reservation, datum_bytes};
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
        self.data.clear();
        self.reservation.clear();
    }
}

/// Distinct rows (grouping's equality), each with its number in the order of first appearance.
#[derive(Debug)]
pub(super) struct RowSet {
    table: HashTable<(u64, u32)>,
    store: TupleStore,
}

impl RowSet {
    /// An empty one.
    pub(super) fn new(width: usize, memory: &Arc<Memory>) -> RowSet {
        RowSet { table: HashTable::new(), store: TupleStore::new(width, memory) }
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
        self.table.clear();
        self.store.clear();
    }
}
