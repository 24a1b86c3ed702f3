//! ORDER BY: rows with their keys in a tuple store, sorted by number; under a LIMIT only the first rows are kept.
//!
//! Beyond work_mem what is there is sorted and written to a temporary file as a run; at the end all runs are merged. A
//! heap of the runs' next rows picks the least; among equals the earlier run comes first, so that the sort is stable.

use super::basic::limit_counts;
use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::{Sort, SortBy};
use super::store::TupleStore;
use super::value;
use crate::error::Result;
use crate::executor::spill::{SpillReader, SpillWriter};
use crate::types::Datum;
use std::cmp::Ordering;
use std::sync::Arc;

/// Compares two rows that begin with the values of `keys`.
pub(super) fn compare_rows(keys: &[SortBy], left: &[Datum], right: &[Datum]) -> Ordering {
    for (i, key) in keys.iter().enumerate() {
        let order = value::compare_key(&left[i], &right[i], key.descending, key.nulls_first);
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// See the module.
pub(super) struct SortOp {
    plan: Arc<Sort>,
    input: Box<dyn Operator>,
    /// Keys, then payload.
    store: TupleStore,
    order: Vec<u32>,
    /// Rows wanted; set when reading begins.
    top: Option<Option<usize>>,
    /// Number in `store` of the worst row that is still wanted, after the first cut.
    worst: Option<usize>,
    pending: bool,
    sorted: bool,
    at: usize,
    runs: Vec<Run>,
    /// Numbers of the runs that have a row, as a heap: the least row's run first.
    heap: Vec<usize>,
    /// Rows given by the merge.
    given: usize,
}

/// A sorted run on disk, and its next row.
struct Run {
    reader: SpillReader,
    row: Vec<Datum>,
}

impl SortOp {
    pub(super) fn new(plan: &Arc<Sort>, f: &Frame) -> SortOp {
        SortOp {
            plan: plan.clone(),
            input: operator::build(&plan.input, f),
            store: TupleStore::new(plan.keys.len() + plan.payload.len(), &f.ctx.memory),
            order: Vec::new(),
            top: None,
            worst: None,
            pending: false,
            sorted: false,
            at: 0,
            runs: Vec::new(),
            heap: Vec::new(),
            given: 0,
        }
    }

    fn width(&self) -> usize {
        self.plan.keys.len() + self.plan.payload.len()
    }

    /// Writes what is there as a sorted run.
    fn spill(&mut self, folder: &std::path::Path) -> Result<()> {
        self.sort();
        let mut writer = SpillWriter::create(folder)?;
        for number in &self.order {
            writer.push(self.store.row(*number as usize))?;
        }
        self.store.clear();
        self.order.clear();
        self.runs.push(Run { reader: writer.finish()?, row: Vec::new() });
        Ok(())
    }

    /// Reads the first row of every run and builds the heap.
    fn begin_merge(&mut self) -> Result<()> {
        let width = self.width();
        for number in 0..self.runs.len() {
            let run = &mut self.runs[number];
            if run.reader.next(width, &mut run.row)? {
                self.heap.push(number);
                self.sift_up(self.heap.len() - 1);
            }
        }
        Ok(())
    }

    /// Whether the next row of run `a` comes before that of run `b`.
    fn before(&self, a: usize, b: usize) -> bool {
        compare_rows(&self.plan.keys, &self.runs[a].row, &self.runs[b].row).then(a.cmp(&b)) == Ordering::Less
    }

    fn sift_up(&mut self, mut at: usize) {
        while at > 0 && self.before(self.heap[at], self.heap[(at - 1) / 2]) {
            self.heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sift_down(&mut self) {
        let mut at = 0;
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heap.len() && self.before(self.heap[child], self.heap[least]) {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    /// The merge's next row.
    fn next_merged(&mut self, f: &mut Frame) -> Result<bool> {
        let enough = self.top.flatten().is_some_and(|top| self.given >= top);
        let Some(first) = self.heap.first().copied().filter(|_| !enough) else { return Ok(false) };
        f.tick()?;
        let width = self.width();
        let run = &mut self.runs[first];
        f.restore(&self.plan.payload, &run.row[self.plan.keys.len()..]);
        self.given += 1;
        if !run.reader.next(width, &mut run.row)? {
            self.heap.swap_remove(0);
        }
        self.sift_down();
        Ok(true)
    }

    fn fill(&mut self, f: &mut Frame) -> Result<()> {
        let top = match self.top {
            Some(top) => top,
            None => {
                let top = match &self.plan.top {
                    Some((limit, offset)) => {
                        let (offset, limit) = limit_counts(limit.as_ref(), offset.as_ref(), f)?;
                        limit.and_then(|limit| usize::try_from(limit.saturating_add(offset)).ok())
                    }
                    None => None,
                };
                self.top = Some(top);
                top
            }
        };
        loop {
            if !self.pending && !self.input.next(f)? {
                break;
            }
            self.pending = true;
            let mut row = self.plan.keys.iter().map(|key| key.code.eval(f)).collect::<Result<Vec<_>>>()?;
            self.pending = false;
            if let Some(worst) = self.worst
                && compare_rows(&self.plan.keys, &row, self.store.row(worst)) != Ordering::Less
            {
                continue;
            }
            f.save(&self.plan.payload, &mut row);
            self.store.push(row)?;
            if let Some(top) = top
                && self.store.len() >= top.saturating_mul(2).saturating_add(512)
            {
                self.cut(top, f)?;
            }
            let memory = f.ctx.memory.clone();
            if let Some(folder) = memory.spill_folder(self.store.bytes()) {
                self.worst = None;
                self.spill(folder)?;
            }
        }
        if !self.runs.is_empty() {
            let memory = f.ctx.memory.clone();
            if let Some(folder) = memory.spill_folder(usize::MAX) {
                self.spill(folder)?;
            }
            self.begin_merge()?;
            self.sorted = true;
            return Ok(());
        }
        self.sort();
        if let Some(top) = top {
            self.order.truncate(top);
        }
        self.sorted = true;
        Ok(())
    }

    fn sort(&mut self) {
        self.order = (0..self.store.len() as u32).collect();
        let (store, keys) = (&self.store, &self.plan.keys);
        self.order.sort_by(|a, b| compare_rows(keys, store.row(*a as usize), store.row(*b as usize)));
    }

    /// Keeps the best `top` rows.
    fn cut(&mut self, top: usize, f: &Frame) -> Result<()> {
        self.sort();
        let mut kept = TupleStore::new(self.plan.keys.len() + self.plan.payload.len(), &f.ctx.memory);
        for number in &self.order[..top.min(self.order.len())] {
            kept.push(self.store.row(*number as usize).iter().cloned())?;
        }
        self.worst = kept.len().checked_sub(1);
        self.store = kept;
        Ok(())
    }
}

impl Operator for SortOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        if !self.sorted {
            self.fill(f)?;
        }
        if !self.runs.is_empty() {
            return self.next_merged(f);
        }
        let Some(number) = self.order.get(self.at) else { return Ok(false) };
        f.tick()?;
        f.restore(&self.plan.payload, &self.store.row(*number as usize)[self.plan.keys.len()..]);
        self.at += 1;
        Ok(true)
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.at = 0;
        // The number of rows wanted may hang on an outer value too, so that a cut sort is never used again.
        if self.sorted && !self.plan.depends && self.plan.top.is_none() && self.runs.is_empty() {
            return Ok(());
        }
        self.store.clear();
        self.order.clear();
        self.runs.clear();
        self.heap.clear();
        self.given = 0;
        self.top = None;
        self.worst = None;
        self.pending = false;
        self.sorted = false;
        self.input.rewind(f)
    }
}
