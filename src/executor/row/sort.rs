//! ORDER BY.

use super::basic::limit_counts;
use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::Sort;
use super::sorter::Sorter;
use crate::error::Result;
use crate::executor::functions::aggregate::SortOrder;
use std::sync::Arc;

/// Sorts its input: rows of keys, then payload.
pub(super) struct SortOp {
    plan: Arc<Sort>,
    input: Box<dyn Operator>,
    sorter: Sorter,
    /// The number of rows wanted is known.
    limited: bool,
    pending: bool,
    sorted: bool,
}

impl SortOp {
    pub(super) fn new(plan: &Arc<Sort>, f: &Frame) -> SortOp {
        let keys = plan.keys.iter().map(|by| SortOrder { descending: by.descending, nulls_first: by.nulls_first });
        SortOp {
            plan: plan.clone(),
            input: operator::build(&plan.input, f),
            sorter: Sorter::new(keys.collect(), plan.keys.len() + plan.payload.len(), &f.ctx.memory),
            limited: false,
            pending: false,
            sorted: false,
        }
    }

    fn fill(&mut self, f: &mut Frame) -> Result<()> {
        if !self.limited {
            if let Some((limit, offset)) = &self.plan.top {
                let (offset, limit) = limit_counts(limit.as_ref(), offset.as_ref(), f)?;
                let top = limit.and_then(|limit| usize::try_from(limit.saturating_add(offset)).ok());
                self.sorter.limit(top);
            }
            self.limited = true;
        }
        loop {
            if !self.pending && !self.input.next(f)? {
                break;
            }
            self.pending = true;
            let mut row = self.plan.keys.iter().map(|key| key.code.eval(f)).collect::<Result<Vec<_>>>()?;
            self.pending = false;
            if self.sorter.wants(&row) {
                f.save(&self.plan.payload, &mut row);
                self.sorter.push(row)?;
            }
        }
        self.sorter.finish()?;
        self.sorted = true;
        Ok(())
    }
}

impl Operator for SortOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        if !self.sorted {
            self.fill(f)?;
        }
        f.tick()?;
        let Some(row) = self.sorter.next()? else { return Ok(false) };
        f.restore(&self.plan.payload, &row[self.plan.keys.len()..]);
        Ok(true)
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        // The number of rows wanted may hang on an outer value too, so that a cut sort is never used again.
        if self.sorted && !self.plan.depends && self.sorter.rewind() {
            return Ok(());
        }
        self.sorter.clear();
        self.limited = false;
        self.pending = false;
        self.sorted = false;
        self.input.rewind(f)
    }
}
