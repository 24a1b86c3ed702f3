//! Sorting rows of any number: in memory up to work_mem, beyond it as sorted runs in temporary files that are merged.
//!
//! A heap of the runs' next rows picks the least; among equals the earlier run comes first, so that the sort is stable.
//! When only the first rows are wanted, what cannot be among them is dropped on the way.

use super::store::TupleStore;
use super::value;
use crate::error::Result;
use crate::executor::functions::aggregate::SortOrder;
use crate::executor::memory::Memory;
use crate::executor::spill::Folder;
use crate::executor::spill::{SpillReader, SpillWriter};
use crate::interrupt;
use crate::types::Datum;
use std::cmp::Ordering;
use std::sync::Arc;

/// Compares two rows that begin with key values.
fn compare(keys: &[SortOrder], left: &[Datum], right: &[Datum]) -> Ordering {
    for (i, key) in keys.iter().enumerate() {
        let order = value::compare_key(&left[i], &right[i], key.descending, key.nulls_first);
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Rows that are sorted between two looks at the cancel flag.
const PIECE_ROWS: usize = 1 << 14;

/// Appends two sorted sequences in order, of equals the left one first.
fn merge(left: &[u32], right: &[u32], compare: impl Fn(&u32, &u32) -> Ordering, to: &mut Vec<u32>) -> Result<()> {
    let (mut left, mut right) = (left, right);
    // What came in order already costs nothing more.
    let in_order = |left: &[u32], right: &[u32]| match (left.last(), right.first()) {
        (Some(last), Some(first)) => compare(last, first) != Ordering::Greater,
        _ => true,
    };
    while !in_order(left, right) {
        interrupt::check()?;
        for _ in 0..PIECE_ROWS {
            let (Some(a), Some(b)) = (left.first(), right.first()) else { break };
            let side = if compare(a, b) == Ordering::Greater { &mut right } else { &mut left };
            to.push(side[0]);
            *side = &side[1..];
        }
    }
    to.extend_from_slice(left);
    to.extend_from_slice(right);
    Ok(())
}

/// The numbers of rows in order: pieces of them are sorted, then ever longer ones merged, so that a cancel request is seen in
/// between.
pub(super) fn sorted(rows: usize, compare: impl Fn(u32, u32) -> Ordering) -> Result<Vec<u32>> {
    let compare = |a: &u32, b: &u32| compare(*a, *b);
    let mut order: Vec<u32> = (0..rows as u32).collect();
    for piece in order.chunks_mut(PIECE_ROWS) {
        interrupt::check()?;
        piece.sort_by(compare);
    }
    let mut merged = Vec::with_capacity(if rows > PIECE_ROWS { rows } else { 0 });
    let mut sorted = PIECE_ROWS;
    while sorted < rows {
        merged.clear();
        for pair in order.chunks(2 * sorted) {
            let (left, right) = pair.split_at(sorted.min(pair.len()));
            merge(left, right, compare, &mut merged)?;
        }
        std::mem::swap(&mut order, &mut merged);
        sorted *= 2;
    }
    Ok(order)
}

/// See the module.
pub(super) struct Sorter {
    /// Directions of the leading values of each row.
    keys: Vec<SortOrder>,
    width: usize,
    memory: Arc<Memory>,
    store: TupleStore,
    order: Vec<u32>,
    /// Rows wanted.
    top: Option<usize>,
    /// Number in `store` of the worst row that is still wanted, after the first cut.
    worst: Option<usize>,
    runs: Vec<Run>,
    /// Numbers of the runs that have a row, as a heap: the least row's run first.
    heap: Vec<usize>,
    /// Rows given.
    given: usize,
    /// The run whose row was given last: it goes on before the next row is picked.
    taken: bool,
}

/// A sorted run on disk, and its next row.
struct Run {
    reader: SpillReader,
    row: Vec<Datum>,
}

impl Sorter {
    /// Of rows of `width` values, the first ones being `keys`.
    pub(super) fn new(keys: Vec<SortOrder>, width: usize, memory: &Arc<Memory>) -> Sorter {
        Sorter {
            keys,
            width,
            memory: memory.clone(),
            store: TupleStore::new(width, memory),
            order: Vec::new(),
            top: None,
            worst: None,
            runs: Vec::new(),
            heap: Vec::new(),
            given: 0,
            taken: false,
        }
    }

    /// Only the first `top` rows are wanted.
    pub(super) fn limit(&mut self, top: Option<usize>) {
        self.top = top;
    }

    /// Whether a row with these keys can be among those wanted.
    pub(super) fn wants(&self, keys: &[Datum]) -> bool {
        self.worst.is_none_or(|worst| compare(&self.keys, keys, self.store.row(worst)) == Ordering::Less)
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: Vec<Datum>) -> Result<()> {
        self.store.push(row)?;
        if let Some(top) = self.top
            && self.store.len() >= top.saturating_mul(2).saturating_add(512)
        {
            self.cut(top)?;
        }
        let memory = self.memory.clone();
        if let Some(folder) = memory.spill_folder(self.store.bytes()) {
            self.worst = None;
            self.spill(folder)?;
        }
        Ok(())
    }

    /// No more rows come: sorts.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.sort()?;
        let memory = self.memory.clone();
        if !self.runs.is_empty()
            && let Some(folder) = memory.spill_folder(usize::MAX)
        {
            self.spill(folder)?;
            for number in 0..self.runs.len() {
                let run = &mut self.runs[number];
                if run.reader.next(self.width, &mut run.row)? {
                    self.heap.push(number);
                    self.sift_up(self.heap.len() - 1);
                }
            }
        }
        Ok(())
    }

    /// The next row in order.
    pub(super) fn next(&mut self) -> Result<Option<&[Datum]>> {
        if self.top.is_some_and(|top| self.given >= top) {
            return Ok(None);
        }
        if self.runs.is_empty() {
            let Some(number) = self.order.get(self.given) else { return Ok(None) };
            self.given += 1;
            return Ok(Some(self.store.row(*number as usize)));
        }
        if std::mem::take(&mut self.taken) {
            let run = &mut self.runs[self.heap[0]];
            if !run.reader.next(self.width, &mut run.row)? {
                self.heap.swap_remove(0);
            }
            self.sift_down();
        }
        let Some(first) = self.heap.first() else { return Ok(None) };
        self.given += 1;
        self.taken = true;
        Ok(Some(&self.runs[*first].row))
    }

    /// Goes back to the first row; `false` when that needs the rows to be pushed anew.
    pub(super) fn rewind(&mut self) -> bool {
        let kept = self.top.is_none() && self.runs.is_empty();
        self.given = 0;
        if !kept {
            self.clear();
        }
        kept
    }

    /// Forgets all rows and the limit.
    pub(super) fn clear(&mut self) {
        self.store.clear();
        self.order.clear();
        self.runs.clear();
        self.heap.clear();
        self.given = 0;
        self.taken = false;
        self.top = None;
        self.worst = None;
    }

    /// Puts the rows in order.
    fn sort(&mut self) -> Result<()> {
        let (store, keys) = (&self.store, &self.keys);
        self.order = sorted(store.len(), |a, b| compare(keys, store.row(a as usize), store.row(b as usize)))?;
        Ok(())
    }

    /// Keeps the best `top` rows.
    fn cut(&mut self, top: usize) -> Result<()> {
        self.sort()?;
        let mut kept = TupleStore::new(self.width, &self.memory);
        for number in &self.order[..top.min(self.order.len())] {
            kept.push(self.store.row(*number as usize).iter().cloned())?;
        }
        self.worst = kept.len().checked_sub(1);
        self.store = kept;
        Ok(())
    }

    /// Writes what is there as a sorted run.
    fn spill(&mut self, folder: &Folder) -> Result<()> {
        self.sort()?;
        let mut writer = SpillWriter::create(folder)?;
        for piece in self.order.chunks(PIECE_ROWS) {
            interrupt::check()?;
            piece.iter().try_for_each(|number| writer.push(self.store.row(*number as usize)))?;
        }
        self.store.clear();
        self.order.clear();
        self.runs.push(Run { reader: writer.finish()?, row: Vec::new() });
        Ok(())
    }

    /// Whether the next row of run `a` comes before that of run `b`.
    fn before(&self, a: usize, b: usize) -> bool {
        compare(&self.keys, &self.runs[a].row, &self.runs[b].row).then(a.cmp(&b)) == Ordering::Less
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
}
