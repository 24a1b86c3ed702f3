//! WITH parts: each is evaluated at most once per execution, as far as its readers ask, into a tuple store that all its
//! scans read; and WITH RECURSIVE's iteration.

use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::{CteScan, RecursiveUnion};
use super::store::{LongStore, RowSet};
use crate::error::Result;
use crate::executor::memory::Memory;
use crate::types::Datum;
use std::sync::Arc;

/// A part's state in one execution.
pub(crate) struct CteState {
    /// Its rows so far.
    store: Option<LongStore>,
    /// Its operator, until it has ended; away while it runs.
    operator: Option<Box<dyn Operator>>,
    started: bool,
    ended: bool,
    /// Recursive parts: the rows of the round before.
    working: Option<LongStore>,
    memory: Arc<Memory>,
}

impl CteState {
    /// Not started.
    pub(super) fn new(memory: &Arc<Memory>) -> CteState {
        CteState { store: None, operator: None, started: false, ended: false, working: None, memory: memory.clone() }
    }

    /// To be evaluated anew (a correlated part, for another outer row).
    pub(super) fn reset(&mut self) {
        self.store = None;
        self.operator = None;
        self.started = false;
        self.ended = false;
    }
}

/// Evaluates part `cte` until it has more than `at` rows; `false` when it ends before.
fn advance(cte: usize, at: usize, f: &mut Frame) -> Result<bool> {
    loop {
        let state = &mut f.ctes[cte];
        if state.store.as_ref().is_some_and(|store| at < store.len()) {
            return Ok(true);
        }
        if state.ended {
            return Ok(false);
        }
        let plan = f.plan.ctes[cte].clone();
        if !state.started {
            state.started = true;
            state.store = Some(LongStore::new(plan.columns.len(), &state.memory));
            let operator = operator::build(&plan.node, f);
            f.ctes[cte].operator = Some(operator);
        }
        let Some(mut operator) = f.ctes[cte].operator.take() else { return Ok(false) };
        let given = operator.next(f);
        f.ctes[cte].operator = Some(operator);
        if given? {
            let row: Vec<Datum> = plan.columns.iter().map(|slot| f.get(*slot).clone()).collect();
            if let Some(store) = &mut f.ctes[cte].store {
                store.push(row)?;
            }
        } else {
            f.ctes[cte].ended = true;
            f.ctes[cte].operator = None;
        }
    }
}

/// Runs a writing part to its end, whoever reads it.
pub(super) fn finish(cte: usize, f: &mut Frame) -> Result<()> {
    advance(cte, usize::MAX, f).map(|_| ())
}

/// A scan of a part.
pub(super) struct CteScanOp {
    plan: Arc<CteScan>,
    at: usize,
}

impl CteScanOp {
    pub(super) fn new(plan: &Arc<CteScan>) -> CteScanOp {
        CteScanOp { plan: plan.clone(), at: 0 }
    }
}

impl Operator for CteScanOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        f.tick()?;
        if !advance(self.plan.cte, self.at, f)? {
            return Ok(false);
        }
        if let Some(store) = &mut f.ctes[self.plan.cte].store {
            let row = store.row(self.at)?;
            for (position, slot) in &self.plan.columns {
                f.slots[*slot as usize] = row[*position as usize].clone();
            }
        }
        self.at += 1;
        Ok(true)
    }

    fn rewind(&mut self, _: &mut Frame) -> Result<()> {
        self.at = 0;
        Ok(())
    }
}

/// A scan of a recursive part's working table.
pub(super) struct WorkingScanOp {
    plan: Arc<CteScan>,
    at: usize,
}

impl WorkingScanOp {
    pub(super) fn new(plan: &Arc<CteScan>) -> WorkingScanOp {
        WorkingScanOp { plan: plan.clone(), at: 0 }
    }
}

impl Operator for WorkingScanOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        f.tick()?;
        let Some(working) = &mut f.ctes[self.plan.cte].working else { return Ok(false) };
        if self.at >= working.len() {
            return Ok(false);
        }
        let row = working.row(self.at)?;
        for (position, slot) in &self.plan.columns {
            f.slots[*slot as usize] = row[*position as usize].clone();
        }
        self.at += 1;
        Ok(true)
    }

    fn rewind(&mut self, _: &mut Frame) -> Result<()> {
        self.at = 0;
        Ok(())
    }
}

/// `seed UNION [ALL] step`, the step over the rows that the round before gave, until a round gives none.
pub(super) struct RecursiveUnionOp {
    plan: Arc<RecursiveUnion>,
    seed: Box<dyn Operator>,
    step: Box<dyn Operator>,
    seeding: bool,
    /// Rows for the next round.
    next: LongStore,
    seen: Option<RowSet>,
}

impl RecursiveUnionOp {
    pub(super) fn new(plan: &Arc<RecursiveUnion>, f: &Frame) -> RecursiveUnionOp {
        let width = plan.slots.len();
        RecursiveUnionOp {
            plan: plan.clone(),
            seed: operator::build(&plan.seed, f),
            step: operator::build(&plan.step, f),
            seeding: true,
            next: LongStore::new(width, &f.ctx.memory),
            seen: (!plan.all).then(|| RowSet::new(width, &f.ctx.memory)),
        }
    }

    /// Takes the row in `slots`; `false` for a duplicate.
    fn take(&mut self, from_step: bool, f: &mut Frame) -> Result<bool> {
        let slots = if from_step { &self.plan.step_slots } else { &self.plan.slots };
        let row: Vec<Datum> = slots.iter().map(|slot| f.get(*slot).clone()).collect();
        if let Some(seen) = &mut self.seen
            && !seen.insert(&row)?.1
        {
            return Ok(false);
        }
        if from_step {
            f.restore(&self.plan.slots, &row);
        }
        self.next.push(row)?;
        Ok(true)
    }
}

impl Operator for RecursiveUnionOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        loop {
            if self.seeding {
                if self.seed.next(f)? {
                    if self.take(false, f)? {
                        return Ok(true);
                    }
                    continue;
                }
                self.seeding = false;
            } else if self.step.next(f)? {
                if self.take(true, f)? {
                    return Ok(true);
                }
                continue;
            }
            // A round has ended: its rows become the working table of the next.
            if self.next.len() == 0 {
                return Ok(false);
            }
            let fresh = LongStore::new(self.plan.slots.len(), &f.ctx.memory);
            f.ctes[self.plan.cte].working = Some(std::mem::replace(&mut self.next, fresh));
            self.step.rewind(f)?;
        }
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.seeding = true;
        self.next.clear();
        if let Some(seen) = &mut self.seen {
            seen.clear();
        }
        self.seed.rewind(f)
    }
}
