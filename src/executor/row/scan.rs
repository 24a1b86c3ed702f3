//! Scans of stored tables: sequential, through an index, and of system relations.
//!
//! Rows are copied out of storage in small batches and decoded when they are reached: first what the filter reads, the
//! rest only for rows that pass. A scan holds no latch and no page between calls; it is a position.

use super::basic::note_removed;
use super::frame::Frame;
use super::operator::Operator;
use super::plan::{IndexScan, ReadColumn, SeqScan, SystemScan, TableColumns};
use super::{key, value};
use crate::error::{Error, Result, SqlState};
use crate::types::{Datum, Oid};
use lightning_storage::{IndexCursor, RowBuffer, RowId, RowView, Transaction};
use std::sync::Arc;

/// Rows copied at first; doubled with every batch up to the largest, so that a point lookup copies little.
const FIRST_BATCH: usize = 4;
const LARGEST_BATCH: usize = 256;

/// Puts the current row's columns into their slots.
fn decode(rows: &RowBuffer, at: usize, columns: &[ReadColumn], f: &mut Frame) -> Result<()> {
    let row = rows.row(at);
    for column in columns {
        f.slots[column.slot as usize] = value::from_storage(row.get(column.column), column.ty)?;
    }
    Ok(())
}

/// Puts row id and its relatives into their slots.
pub(super) fn decode_identity(rows: &RowBuffer, at: usize, relation: Oid, columns: &TableColumns, f: &mut Frame) {
    let id = rows.row_id(at);
    if let Some(slot) = columns.row_id {
        f.set(slot, Datum::Int8(id.0 as i64));
    }
    if let Some(slot) = columns.ctid {
        f.set(slot, value::ctid(id));
    }
    if let Some(slot) = columns.table_oid {
        f.set(slot, Datum::Oid(relation));
    }
    if let Some((slot, of)) = &columns.xmin {
        f.set(*slot, value::xmin(rows, at, of));
    }
}

/// Puts a row that was fetched by its id (at `at` of `rows`) into a scan's slots.
pub(super) fn load_row(
    rows: &RowBuffer,
    at: usize,
    relation: Oid,
    columns: &TableColumns,
    f: &mut Frame,
) -> Result<()> {
    decode(rows, at, &columns.stored, f)?;
    decode_identity(rows, at, relation, columns, f);
    Ok(())
}

/// What both kinds of table scan share: the batch and the place in it.
struct Batch {
    rows: RowBuffer,
    at: usize,
    size: usize,
    ended: bool,
}

impl Batch {
    fn new() -> Batch {
        Batch { rows: RowBuffer::default(), at: 0, size: FIRST_BATCH, ended: false }
    }

    fn restart(&mut self) {
        self.rows.clear();
        self.at = 0;
        self.size = FIRST_BATCH;
        self.ended = false;
    }

    /// Decodes and tests rows up to the first that passes; `false` when the batch is used up. With `stored`, what the filter does
    /// not read stays as it is.
    fn next(
        &mut self,
        stored: bool,
        relation: Oid,
        columns: &TableColumns,
        filter: Option<&super::expr::Code>,
        id: u32,
        f: &mut Frame,
    ) -> Result<bool> {
        while self.at < self.rows.len() {
            f.tick()?;
            if let Some(filter) = filter {
                decode(&self.rows, self.at, &columns.stored[..columns.filter_columns], f)?;
                decode_identity(&self.rows, self.at, relation, columns, f);
                if !filter.test(f)? {
                    self.at += 1;
                    note_removed(id, f);
                    continue;
                }
                if !stored {
                    decode(&self.rows, self.at, &columns.stored[columns.filter_columns..], f)?;
                }
            } else if !stored {
                load_row(&self.rows, self.at, relation, columns, f)?;
            }
            self.at += 1;
            return Ok(true);
        }
        Ok(false)
    }
}

/// A storage call that waits for missing pages where the statement can be left and gone on with.
fn with_pages<T>(
    f: &Frame,
    call: impl FnOnce(&mut Transaction) -> std::result::Result<T, lightning_storage::Error>,
) -> Result<T> {
    if f.unbroken > 0 { f.ctx.with_transaction(call) } else { f.ctx.with_waits(call) }
}

/// A sequential scan.
pub(super) struct SeqScanOp {
    plan: Arc<SeqScan>,
    id: u32,
    batch: Batch,
    next: RowId,
    bound: Option<RowId>,
    /// Rows stay in storage's form.
    stored: bool,
}

impl SeqScanOp {
    pub(super) fn new(plan: &Arc<SeqScan>, id: u32) -> SeqScanOp {
        SeqScanOp { plan: plan.clone(), id, batch: Batch::new(), next: RowId(1), bound: None, stored: false }
    }

    fn refill(&mut self, f: &mut Frame) -> Result<()> {
        let (table, next, batch) = (self.plan.table, self.next, &mut self.batch);
        batch.rows.clear();
        batch.at = 0;
        if let Some(ctid) = &self.plan.ctid {
            batch.ended = true;
            let Some(row) = value::row_of_ctid(&ctid.eval(f)?) else { return Ok(()) };
            f.ctx.with_transaction(|transaction| transaction.get(&f.ctx.snapshot, table, row, &mut batch.rows))?;
            return Ok(());
        }
        let bound = &mut self.bound;
        let go_on = with_pages(f, |transaction| {
            let bound = *bound.get_or_insert_with(|| transaction.row_id_bound(table));
            transaction.scan(&f.ctx.snapshot, table, next..bound, batch.size, &mut batch.rows)
        })?;
        batch.size = (batch.size * 4).min(LARGEST_BATCH);
        match go_on {
            Some(next) => self.next = next,
            None => batch.ended = true,
        }
        Ok(())
    }
}

impl Operator for SeqScanOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        loop {
            let plan = &self.plan;
            if self.batch.next(self.stored, plan.relation.oid, &plan.columns, plan.filter.as_ref(), self.id, f)? {
                return Ok(true);
            }
            if self.batch.ended {
                return Ok(false);
            }
            f.tick()?;
            self.refill(f)?;
        }
    }

    fn rewind(&mut self, _: &mut Frame) -> Result<()> {
        self.batch.restart();
        self.next = RowId(1);
        self.bound = None;
        Ok(())
    }

    fn keep_stored(&mut self) -> bool {
        self.stored = true;
        true
    }

    fn stored(&self) -> Option<RowView<'_>> {
        let at = self.batch.at.checked_sub(1)?;
        Some(self.batch.rows.row(at))
    }
}

/// An index scan: over each of the ranges that its key expressions give.
pub(super) struct IndexScanOp {
    plan: Arc<IndexScan>,
    id: u32,
    batch: Batch,
    /// Ranges still to be read, the next one last; `None` before they are computed.
    ranges: Option<Vec<lightning_storage::KeyRange>>,
    cursor: Option<IndexCursor>,
    /// Taken instead, since the range turned out to be wide.
    sequential: Option<SeqScanOp>,
    decided: bool,
}

/// A range with more than this part of the table's row ids is read sequentially.
const WIDE_PART: u64 = 5;

impl IndexScanOp {
    pub(super) fn new(plan: &Arc<IndexScan>, id: u32) -> IndexScanOp {
        IndexScanOp {
            plan: plan.clone(),
            id,
            batch: Batch::new(),
            ranges: None,
            cursor: None,
            sequential: None,
            decided: false,
        }
    }

    /// The ranges, computed at first.
    fn ranges(&mut self, f: &mut Frame) -> Result<&mut Vec<lightning_storage::KeyRange>> {
        if self.ranges.is_none() {
            let mut ranges = key::ranges(&self.plan.range, &self.plan.index, f)?;
            if !self.plan.backward {
                ranges.reverse();
            }
            self.ranges = Some(ranges);
        }
        Ok(self.ranges.get_or_insert_default())
    }

    /// Counts in the index how much of the table the range holds, where there is a choice.
    fn decide(&mut self, f: &mut Frame) -> Result<()> {
        let Some(sequential) = self.plan.sequential.clone() else { return Ok(()) };
        if self.is_newer(f) {
            self.sequential = Some(SeqScanOp::new(&sequential, self.id));
            return Ok(());
        }
        let (index, table) = (self.plan.index.storage, self.plan.table);
        let ranges = &*self.ranges(f)?;
        let (rows, bound) = with_pages(f, |transaction| {
            let rows = ranges
                .iter()
                .map(|range| transaction.index_estimate(index, range))
                .sum::<std::result::Result<u64, _>>()?;
            Ok((rows, transaction.row_id_bound(table).0))
        })?;
        if rows.saturating_mul(WIDE_PART) > bound {
            self.sequential = Some(SeqScanOp::new(&sequential, self.id));
        }
        Ok(())
    }

    /// Whether the index is made of values that the rows of the transaction's snapshot do not have yet.
    fn is_newer(&self, f: &Frame) -> bool {
        let (Some(first), index) = (&f.ctx.first_catalog, &self.plan.index) else { return false };
        let computed = index.predicate.is_some() || index.keys.iter().any(|key| key.expression.is_some());
        computed && !first.relations.contains_key(&index.oid)
    }

    fn refill(&mut self, f: &mut Frame) -> Result<bool> {
        if self.cursor.is_none() && self.is_newer(f) {
            let message = "could not serialize access due to a new index";
            return Err(Error::new(SqlState::SerializationFailure, message).detail(format!(
                "The index \"{}\" was made after the transaction's snapshot was taken.",
                self.plan.index.name
            )));
        }
        self.ranges(f)?;
        let Some(ranges) = &mut self.ranges else { return Ok(false) };
        let direction = if self.plan.backward {
            lightning_storage::Direction::Backward
        } else {
            lightning_storage::Direction::Forward
        };
        if self.cursor.is_none() {
            let Some(range) = ranges.pop() else { return Ok(false) };
            let index = self.plan.index.storage;
            let cursor = f.ctx.with_transaction(|transaction| {
                Ok::<_, lightning_storage::Error>(transaction.index_cursor(index, range, direction))
            })?;
            self.cursor = Some(cursor);
            self.batch.size = FIRST_BATCH;
        }
        let Some(cursor) = &mut self.cursor else { return Ok(false) };
        let batch = &mut self.batch;
        batch.rows.clear();
        batch.at = 0;
        let more =
            with_pages(f, |transaction| transaction.index_next(&f.ctx.snapshot, cursor, batch.size, &mut batch.rows))?;
        batch.size = (batch.size * 4).min(LARGEST_BATCH);
        if !more {
            self.cursor = None;
        }
        Ok(true)
    }
}

impl Operator for IndexScanOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        if !self.decided {
            self.decide(f)?;
            self.decided = true;
        }
        if let Some(sequential) = &mut self.sequential {
            return sequential.next(f);
        }
        loop {
            let plan = &self.plan;
            if self.batch.next(false, plan.relation.oid, &plan.columns, plan.filter.as_ref(), self.id, f)? {
                return Ok(true);
            }
            if self.batch.ended {
                return Ok(false);
            }
            f.tick()?;
            if !self.refill(f)? {
                self.batch.ended = true;
            }
        }
    }

    fn rewind(&mut self, _: &mut Frame) -> Result<()> {
        self.batch.restart();
        self.ranges = None;
        self.cursor = None;
        self.sequential = None;
        self.decided = false;
        Ok(())
    }
}

/// A system relation's scan.
pub(super) struct SystemScanOp {
    plan: Arc<SystemScan>,
    id: u32,
    rows: Option<Box<dyn Iterator<Item = Result<Vec<Datum>>> + Send>>,
    /// The generator's row in hand, until the filter has judged it.
    row: Option<Vec<Datum>>,
}

impl SystemScanOp {
    pub(super) fn new(plan: &Arc<SystemScan>, id: u32) -> SystemScanOp {
        SystemScanOp { plan: plan.clone(), id, rows: None, row: None }
    }

    fn start(&mut self, f: &mut Frame) -> Result<()> {
        if self.rows.is_none() {
            let key = match &self.plan.key {
                Some((attribute, code)) => Some((*attribute, code.eval(f)?)),
                None => None,
            };
            self.rows = Some(value::system_rows(&self.plan.relation, key, f)?);
        }
        Ok(())
    }
}

impl Operator for SystemScanOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        self.start(f)?;
        loop {
            f.tick()?;
            if self.row.is_none() {
                self.row = self.rows.as_mut().and_then(Iterator::next).transpose()?;
            }
            let Some(row) = &self.row else { return Ok(false) };
            for (attribute, slot) in &self.plan.columns {
                let value = row.get(*attribute as usize - 1).cloned().unwrap_or(Datum::Null);
                f.slots[*slot as usize] = value;
            }
            if let Some(slot) = self.plan.table_oid {
                f.set(slot, Datum::Oid(self.plan.relation.oid));
            }
            let passes = match &self.plan.filter {
                Some(filter) => filter.test(f)?,
                None => true,
            };
            self.row = None;
            if passes {
                return Ok(true);
            }
            note_removed(self.id, f);
        }
    }

    fn rewind(&mut self, _: &mut Frame) -> Result<()> {
        self.rows = None;
        self.row = None;
        Ok(())
    }
}
