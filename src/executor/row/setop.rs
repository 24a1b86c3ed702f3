//! UNION, INTERSECT, EXCEPT, each with and without ALL.
//!
//! When the distinct rows fill work_mem, rows that are not among them are divided into partitions by their hash, with the side
//! that they came from; each partition is then worked off for itself.

use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::SetOp;
use super::store::RowSet;
use super::value;
use crate::error::Result;
use crate::executor::spill::{LEVEL_MAX, Partition, Partitions};
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
    /// Rows that there was no room for: the values, then whether it is the left side's.
    overflow: Option<Partitions>,
    /// Partitions to be worked off; the last one is being read in [`State::Part`].
    parts: Vec<Partition>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Left,
    Right,
    /// Reading the last of `parts`.
    Part,
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
            overflow: None,
            parts: Vec::new(),
        }
    }

    /// The next input row, from the left side, then from the right, or from the partition; which side it was.
    fn input(&mut self, f: &mut Frame) -> Result<Option<(bool, Vec<Datum>)>> {
        if self.state == State::Part {
            f.tick()?;
            let Some(part) = self.parts.last_mut() else { return Ok(None) };
            let mut row = Vec::new();
            if !part.rows.next(self.plan.slots.len() + 1, &mut row)? {
                return Ok(None);
            }
            return Ok(Some((matches!(row.pop(), Some(Datum::Bool(true))), row)));
        }
        if self.state == State::Left {
            if self.left.next(f)? {
                return Ok(Some((true, copy(&self.plan.left_slots, f))));
            }
            self.state = State::Right;
        }
        if self.right.next(f)? { Ok(Some((false, copy(&self.plan.right_slots, f)))) } else { Ok(None) }
    }

    /// The number of a row among the distinct ones and whether it is new; `None`: there is no room, it is in a partition now.
    fn number(&mut self, left: bool, row: &mut Vec<Datum>, f: &Frame) -> Result<Option<(usize, bool)>> {
        let level = self.parts.last().filter(|_| self.state == State::Part).map_or(0, |part| part.level);
        if self.overflow.is_none()
            && level <= LEVEL_MAX
            && let Some(folder) = f.ctx.memory.spill_folder(self.seen.bytes())
        {
            self.overflow = Some(Partitions::create(folder, level)?);
        }
        let Some(overflow) = &mut self.overflow else { return self.seen.insert(row).map(Some) };
        let found = self.seen.find(row);
        if found.is_none() {
            let hash = value::hash_row(row);
            row.push(Datum::Bool(left));
            overflow.push(hash, row)?;
        }
        Ok(found.map(|at| (at, false)))
    }

    /// Makes room for the next partition's rows; `false` when none is left.
    fn next_part(&mut self) -> Result<bool> {
        while self.parts.pop_if(|part| part.rows.is_empty()).is_some() {}
        if let Some(overflow) = self.overflow.take() {
            self.parts.extend(overflow.finish()?.into_iter().filter(|part| !part.rows.is_empty()));
        }
        self.seen.clear();
        self.counts.clear();
        self.at = 0;
        self.copies = None;
        self.state = if self.parts.is_empty() { State::Ended } else { State::Part };
        Ok(!self.parts.is_empty())
    }

    fn union(&mut self, f: &mut Frame) -> Result<bool> {
        while self.state != State::Ended {
            let Some((left, mut row)) = self.input(f)? else {
                self.next_part()?;
                continue;
            };
            if self.plan.all || matches!(self.number(left, &mut row, f)?, Some((_, true))) {
                f.restore(&self.plan.slots, &row);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn count(&mut self, f: &mut Frame) -> Result<()> {
        while let Some((left, mut row)) = self.input(f)? {
            if !left && self.overflow.is_none() {
                // A row that the left side has not is never given.
                if let Some(at) = self.seen.find(&row) {
                    self.counts[at].1 += 1;
                }
                continue;
            }
            let Some((at, new)) = self.number(left, &mut row, f)? else { continue };
            if new {
                self.counts.push((0, 0));
            }
            let counts = &mut self.counts[at];
            *if left { &mut counts.0 } else { &mut counts.1 } += 1;
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
        while self.state != State::Ended {
            if self.state != State::Output {
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
            self.next_part()?;
        }
        Ok(false)
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.state = State::Left;
        self.seen.clear();
        self.counts.clear();
        self.at = 0;
        self.copies = None;
        self.overflow = None;
        self.parts.clear();
        self.left.rewind(f)?;
        self.right.rewind(f)
    }
}
