//! ORDER BY: rows with their keys in a tuple store, sorted by number; under a LIMIT only the first rows are kept.

use super::basic::limit_counts;
use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::{Sort, SortBy};
use super::store::TupleStore;
use super::value;
use crate::error::Result;
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
        }
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
        let Some(number) = self.order.get(self.at) else { return Ok(false) };
        f.tick()?;
        f.restore(&self.plan.payload, &self.store.row(*number as usize)[self.plan.keys.len()..]);
        self.at += 1;
        Ok(true)
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.at = 0;
        // The number of rows wanted may hang on an outer value too, so that a cut sort is never used again.
        if self.sorted && !self.plan.depends && self.plan.top.is_none() {
            return Ok(());
        }
        self.store.clear();
        self.order.clear();
        self.top = None;
        self.worst = None;
        self.pending = false;
        self.sorted = false;
        self.input.rewind(f)
    }
}
