//! Rows on their way into a table, many at a time: built column by column in the form in which they will lie in pages and in
//! the log, so that nothing is encoded twice.

use super::row::{self, RowView};
use super::{ObjectId, TableDef, Value};
use crate::error::{Error, Result};
use std::sync::Arc;

/// Rows of one table, in order.
#[derive(Clone, Debug)]
pub struct RowBatch {
    table: ObjectId,
    def: Arc<TableDef>,
    row_bytes_max: usize,
    bytes: Vec<u8>,
    /// Where each row ends.
    ends: Vec<usize>,
    /// Columns that the row under way has.
    columns: usize,
}

impl RowBatch {
    pub(crate) fn new(table: ObjectId, def: Arc<TableDef>, row_bytes_max: usize) -> RowBatch {
        RowBatch { table, def, row_bytes_max, bytes: Vec::new(), ends: Vec::new(), columns: 0 }
    }

    /// The table.
    pub fn table(&self) -> ObjectId {
        self.table
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the rows, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.columns = 0;
    }

    /// Begins a row of `columns` columns: the table's, or all before dropped ones at the end. One that was begun and not finished
    /// is forgotten.
    pub fn begin(&mut self, columns: usize) {
        let start = self.start(self.len());
        self.bytes.truncate(start);
        row::begin(columns, &mut self.bytes);
        self.columns = 0;
    }

    /// The next column's value.
    ///
    /// # Errors
    /// The table has no such column, or of another type.
    pub fn push(&mut self, value: Value<'_>) -> Result<()> {
        let fits = self.def.columns.get(self.columns).is_some_and(|column| row::matches_type(value, column.ty));
        let start = self.start(self.len());
        if !fits || !row::push(start, self.columns, value, &mut self.bytes) {
            return Err(Error::corrupt("a row does not have the table's columns"));
        }
        self.columns += 1;
        Ok(())
    }

    /// Ends the row; `false`: it is too large to lie in a page whole, and is not in the batch.
    ///
    /// # Errors
    /// A column is missing.
    pub fn finish(&mut self) -> Result<bool> {
        let start = self.start(self.len());
        let dropped = |columns: &[super::ColumnDef]| columns.iter().all(|column| column.dropped);
        if self.columns != row::columns(&self.bytes[start..]) || !dropped(&self.def.columns[self.columns..]) {
            return Err(Error::corrupt("a row does not have the table's columns"));
        }
        if self.bytes.len() - start > self.row_bytes_max {
            self.bytes.truncate(start);
            return Ok(false);
        }
        self.ends.push(self.bytes.len());
        Ok(true)
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> RowView<'_> {
        RowView::new(self.image(i), &self.def.columns)
    }

    pub(crate) fn def(&self) -> &Arc<TableDef> {
        &self.def
    }

    /// Row `i` as it lies in a page.
    pub(crate) fn image(&self, i: usize) -> &[u8] {
        &self.bytes[self.start(i)..self.ends[i]]
    }

    fn start(&self, i: usize) -> usize {
        if i == 0 { 0 } else { self.ends[i - 1] }
    }
}
