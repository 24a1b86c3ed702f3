//! SELECT … FOR UPDATE and its weaker modes: locks the rows that pass; at READ COMMITTED a row that changed since the
//! snapshot is judged again by its newest version. Here too: the re-check itself, which UPDATE and DELETE share.

use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::{LockRows, LockTargetPlan, Recheck, RecheckStep};
use super::scan::load_row;
use crate::error::{Error, Result, SqlState};
use crate::sql::tree::{LockStrength, LockWait};
use crate::types::{Datum, Oid};
use lightning_storage::{LockOutcome, Newest, ObjectId, RowBuffer, RowId, RowLockMode, Stamp, WaitPolicy};
use std::sync::Arc;

/// What became of a row that changed since the snapshot.
pub(super) enum Rechecked {
    /// The newest version still passes; its columns are in the slots. The stamp names it for the write.
    Passes(Stamp),
    /// It does not, or is gone.
    Dropped,
}

/// Puts the newest version of `row` into the scan's slots and tests the conditions between scan and top again.
pub(super) fn recheck(
    recheck: &Recheck,
    table: ObjectId,
    relation: Oid,
    row: RowId,
    f: &mut Frame,
) -> Result<Rechecked> {
    let mut rows = RowBuffer::default();
    let newest = f.ctx.with_waits(|transaction| transaction.get_newest(table, row, &mut rows))?;
    let Newest::Row(stamp) = newest else { return Ok(Rechecked::Dropped) };
    load_row(&rows, 0, relation, &recheck.columns, f)?;
    for step in &recheck.steps {
        match step {
            RecheckStep::Test(code) => {
                if !code.test(f)? {
                    return Ok(Rechecked::Dropped);
                }
            }
            RecheckStep::Compute(slot, code) => {
                let value = code.eval(f)?;
                f.set(*slot, value);
            }
            RecheckStep::Partner(on, slots) => {
                if !on.test(f)? {
                    f.clear(slots);
                }
            }
        }
    }
    Ok(Rechecked::Passes(stamp))
}

/// See the module.
pub(super) struct LockRowsOp {
    plan: Arc<LockRows>,
    input: Box<dyn Operator>,
    /// A row is in its slots; targets before this one are locked.
    pending: Option<usize>,
}

impl LockRowsOp {
    pub(super) fn new(plan: &Arc<LockRows>, f: &Frame) -> LockRowsOp {
        LockRowsOp { plan: plan.clone(), input: operator::build(&plan.input, f), pending: None }
    }
}

/// Storage's row lock mode.
fn mode(strength: LockStrength) -> RowLockMode {
    match strength {
        LockStrength::KeyShare => RowLockMode::KeyShare,
        LockStrength::Share => RowLockMode::Share,
        LockStrength::NoKeyUpdate => RowLockMode::NoKeyUpdate,
        LockStrength::Update => RowLockMode::Update,
    }
}

/// Locks one target's row; `false`: the joined row is not given.
fn lock_target(target: &LockTargetPlan, f: &mut Frame) -> Result<bool> {
    let row = match f.get(target.row_id) {
        Datum::Int8(row) => RowId(*row as u64),
        _ => return Ok(true),
    };
    let policy = match target.wait {
        LockWait::Wait => WaitPolicy::Wait,
        LockWait::NoWait => WaitPolicy::NoWait,
        LockWait::SkipLocked => WaitPolicy::Skip,
    };
    let locked = f.ctx.with_waits(|transaction| {
        transaction.lock_row(&f.ctx.snapshot, target.table, row, mode(target.strength), policy)
    });
    let outcome = match locked {
        Err(error) if error.code() == SqlState::LockNotAvailable => {
            let name = &target.relation.name;
            return Err(Error::new(
                SqlState::LockNotAvailable,
                format!("could not obtain lock on row in relation \"{name}\""),
            ));
        }
        other => other?,
    };
    match outcome {
        LockOutcome::Done => Ok(true),
        LockOutcome::Skipped | LockOutcome::Deleted | LockOutcome::SelfModified => Ok(false),
        // The newest version is locked now: it is what passes or not.
        LockOutcome::Changed => {
            let judged = recheck(&target.recheck, target.table, target.relation.oid, row, f)?;
            Ok(matches!(judged, Rechecked::Passes(_)))
        }
    }
}

impl Operator for LockRowsOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        loop {
            if self.pending.is_none() {
                if !self.input.next(f)? {
                    return Ok(false);
                }
                self.pending = Some(0);
            }
            let plan = self.plan.clone();
            let mut passes = true;
            while let Some(target) = self.pending.and_then(|at| plan.targets.get(at)) {
                if !lock_target(target, f)? {
                    passes = false;
                    break;
                }
                self.pending = self.pending.map(|at| at + 1);
            }
            self.pending = None;
            if passes {
                return Ok(true);
            }
        }
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.pending = None;
        self.input.rewind(f)
    }
}
