//! UNION, INTERSECT, EXCEPT, each with and without ALL.

use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::SetOp;
use super::store::RowSet;
use crate::error::Result;
use crate::sql::tree::SetOpKind;
use crate::types::Datum;
use std::sync::Arc;

/// See the module. UNION streams; the others count both sides first.
pub(super) struct SetOpOp {
    plan: Arc<SetOp>,
    left: Box<dyn Operator>,
    right: Box<dyn Operator>,
    state: State,
    seen: RowSet,
    /// Per distinct row: how often in the left, how often in the right input.
    counts: Vec<(u64, u64)>,
    at: usize,
    /// Copies of row `at` still to be given.
    copies: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Left,
    Right,
    Output,
    Ended,
}

impl SetOpOp {
    pub(super) fn new(plan: &Arc<SetOp>, f: &Frame) -> SetOpOp {
        SetOpOp {
            plan: plan.clone(),
            left: operator::build(&plan.left, f),
            right: operator::build(&plan.right, f),
            state: State::Left,
            seen: RowSet::new(plan.slots.len(), &f.ctx.memory),
            counts: Vec::new(),
            at: 0,
            copies: None,
        }
    }

    /// The next input row, from the left side, then from the right; which side it was.
    fn input(&mut self, f: &mut Frame) -> Result<Option<(bool, Vec<Datum>)>> {
        if self.state == State::Left {
            if self.left.next(f)? {
                return Ok(Some((true, copy(&self.plan.left_slots, f))));
            }
            self.state = State::Right;
        }
        if self.right.next(f)? { Ok(Some((false, copy(&self.plan.right_slots, f)))) } else { Ok(None) }
    }

    fn union(&mut self, f: &mut Frame) -> Result<bool> {
        while self.state != State::Ended {
            let Some((_, row)) = self.input(f)? else {
                self.state = State::Ended;
                break;
            };
            if self.plan.all || self.seen.insert(&row)?.1 {
                f.restore(&self.plan.slots, &row);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn count(&mut self, f: &mut Frame) -> Result<()> {
        while let Some((left, row)) = self.input(f)? {
            if left {
                let (at, new) = self.seen.insert(&row)?;
                if new {
                    self.counts.push((0, 0));
                }
                self.counts[at].0 += 1;
            } else if let Some(at) = self.seen.find(&row) {
                self.counts[at].1 += 1;
            }
        }
        self.state = State::Output;
        Ok(())
    }

    fn wanted(&self, (left, right): (u64, u64)) -> u64 {
        match (self.plan.op, self.plan.all) {
            (SetOpKind::Intersect, true) => left.min(right),
            (SetOpKind::Intersect, false) => u64::from(right > 0),
            (SetOpKind::Except, true) => left.saturating_sub(right),
            (SetOpKind::Except, false) => u64::from(right == 0),
            (SetOpKind::Union, _) => left + right,
        }
    }
}

fn copy(slots: &[u32], f: &Frame) -> Vec<Datum> {
    slots.iter().map(|slot| f.get(*slot).clone()).collect()
}

impl Operator for SetOpOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        if self.plan.op == SetOpKind::Union {
            return self.union(f);
        }
        if matches!(self.state, State::Left | State::Right) {
            self.count(f)?;
        }
        while let Some(counts) = self.counts.get(self.at).copied() {
            f.tick()?;
            let copies = self.copies.unwrap_or_else(|| self.wanted(counts));
            if copies > 0 {
                self.copies = Some(copies - 1);
                f.restore(&self.plan.slots, self.seen.row(self.at));
                return Ok(true);
            }
            self.copies = None;
            self.at += 1;
        }
        Ok(false)
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.state = State::Left;
        self.seen.clear();
        self.counts.clear();
        self.at = 0;
        self.copies = None;
        self.left.rewind(f)?;
        self.right.rewind(f)
    }
}
