//! Operators that hold at most a row: values, project, filter, limit; and DISTINCT, materialize, set-returning select lists.

use super::frame::Frame;
use super::functions::SetCalls;
use super::operator::{self, Operator};
use super::plan::{Distinct, Filter, Limit, Materialize, Project, ProjectSet, Values};
use super::store::{LongStore, RowSet};
use super::value;
use crate::error::{Error, Result, SqlState};
use crate::executor::spill::{LEVEL_MAX, Partition, Partitions};
use crate::types::Datum;
use std::sync::Arc;

/// Rows of expressions.
pub(super) struct ValuesOp {
    plan: Arc<Values>,
    at: usize,
}

impl ValuesOp {
    pub(super) fn new(plan: &Arc<Values>) -> ValuesOp {
        ValuesOp { plan: plan.clone(), at: 0 }
    }
}

impl Operator for ValuesOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        let Some(row) = self.plan.rows.get(self.at) else { return Ok(false) };
        f.tick()?;
        for (slot, code) in self.plan.slots.iter().zip(row) {
            let value = code.eval(f)?;
            f.set(*slot, value);
        }
        self.at += 1;
        Ok(true)
    }

    fn rewind(&mut self, _: &mut Frame) -> Result<()> {
        self.at = 0;
        Ok(())
    }
}

/// More columns.
pub(super) struct ProjectOp {
    plan: Arc<Project>,
    input: Box<dyn Operator>,
    /// The input's row is in its slots and not yet done with (an expression had to wait).
    pending: bool,
}

impl ProjectOp {
    pub(super) fn new(plan: &Arc<Project>, f: &Frame) -> ProjectOp {
        ProjectOp { plan: plan.clone(), input: operator::build(&plan.input, f), pending: false }
    }
}

impl Operator for ProjectOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        if !self.pending && !self.input.next(f)? {
            return Ok(false);
        }
        self.pending = true;
        for (slot, code) in &self.plan.exprs {
            let value = code.eval(f)?;
            f.set(*slot, value);
        }
        self.pending = false;
        Ok(true)
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.pending = false;
        self.input.rewind(f)
    }
}

/// Rows whose predicate is true.
pub(super) struct FilterOp {
    plan: Arc<Filter>,
    input: Box<dyn Operator>,
    pending: bool,
    id: u32,
}

impl FilterOp {
    pub(super) fn new(plan: &Arc<Filter>, id: u32, f: &Frame) -> FilterOp {
        FilterOp { plan: plan.clone(), input: operator::build(&plan.input, f), pending: false, id }
    }
}

impl Operator for FilterOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        loop {
            if !self.pending && !self.input.next(f)? {
                return Ok(false);
            }
            self.pending = true;
            let passes = self.plan.predicate.test(f)?;
            self.pending = false;
            if passes {
                return Ok(true);
            }
            note_removed(self.id, f);
        }
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.pending = false;
        self.input.rewind(f)
    }
}

/// All rows of the input, or none: its first row is not asked for before the predicate is.
pub(super) struct GateOp {
    plan: Arc<Filter>,
    input: Box<dyn Operator>,
    open: Option<bool>,
    /// The input has been asked for a row: it needs a rewind.
    read: bool,
}

impl GateOp {
    pub(super) fn new(plan: &Arc<Filter>, f: &Frame) -> GateOp {
        GateOp { plan: plan.clone(), input: operator::build(&plan.input, f), open: None, read: false }
    }
}

impl Operator for GateOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        let open = match self.open {
            Some(open) => open,
            None => *self.open.insert(self.plan.predicate.test(f)?),
        };
        self.read |= open;
        Ok(open && self.input.next(f)?)
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.open = None;
        if self.read { self.input.rewind(f) } else { Ok(()) }
    }
}

/// Counts a row that a filter dropped.
#[inline]
pub(super) fn note_removed(id: u32, f: &mut Frame) {
    if let Some(counter) = f.instruments.as_mut().and_then(|all| all.get_mut(id as usize)) {
        counter.removed += 1;
    }
}

/// LIMIT, OFFSET, WITH TIES.
pub(super) struct LimitOp {
    plan: Arc<Limit>,
    input: Box<dyn Operator>,
    /// Rows still to be skipped, and still to be given (`None`: all); unset before the first call.
    counts: Option<(u64, Option<u64>)>,
    last: Vec<Datum>,
    in_ties: bool,
    ended: bool,
}

impl LimitOp {
    pub(super) fn new(plan: &Arc<Limit>, f: &Frame) -> LimitOp {
        LimitOp {
            plan: plan.clone(),
            input: operator::build(&plan.input, f),
            counts: None,
            last: Vec::new(),
            in_ties: false,
            ended: false,
        }
    }
}

/// The values of LIMIT and OFFSET: (offset, limit).
pub(super) fn limit_counts(
    limit: Option<&super::expr::Code>,
    offset: Option<&super::expr::Code>,
    f: &mut Frame,
) -> Result<(u64, Option<u64>)> {
    let mut count = |code: Option<&super::expr::Code>, state: SqlState, name: &str| -> Result<Option<u64>> {
        match code.map(|code| code.eval(f)).transpose()? {
            Some(Datum::Int8(n)) => {
                u64::try_from(n).map(Some).map_err(|_| Error::new(state, format!("{name} must not be negative")))
            }
            Some(Datum::Null) | None => Ok(None),
            Some(other) => Err(Error::internal(format!("{name} gave {other:?}"))),
        }
    };
    let offset = count(offset, SqlState::InvalidRowCountInOffset, "OFFSET")?.unwrap_or(0);
    let limit = count(limit, SqlState::InvalidRowCountInLimit, "LIMIT")?;
    Ok((offset, limit))
}

impl Operator for LimitOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.counts.is_none() {
            self.counts = Some(limit_counts(self.plan.limit.as_ref(), self.plan.offset.as_ref(), f)?);
        }
        let Some((skip, left)) = &mut self.counts else { return Ok(false) };
        if *left == Some(0) && !self.in_ties {
            self.ended = true;
            return Ok(false);
        }
        while *skip > 0 {
            if !self.input.next(f)? {
                self.ended = true;
                return Ok(false);
            }
            *skip -= 1;
        }
        if !self.input.next(f)? {
            self.ended = true;
            return Ok(false);
        }
        let Some(ties) = &self.plan.ties else {
            if let Some(left) = left {
                *left -= 1;
            }
            return Ok(true);
        };
        let keys = ties.iter().map(|code| code.eval(f)).collect::<Result<Vec<_>>>()?;
        if self.in_ties {
            self.ended = !value::same_row(&keys, &self.last);
            return Ok(!self.ended);
        }
        if let Some(left) = left {
            *left -= 1;
            if *left == 0 {
                self.in_ties = true;
                self.last = keys;
            }
        }
        Ok(true)
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.counts = None;
        self.in_ties = false;
        self.ended = false;
        self.input.rewind(f)
    }
}

/// DISTINCT and DISTINCT ON: the first row of every group, in input order over an input that is sorted by the groups. Over any
/// other, groups that do not fit into work_mem come after the rest: their rows are divided into partitions, each worked off for
/// itself.
pub(super) struct DistinctOp {
    plan: Arc<Distinct>,
    input: Box<dyn Operator>,
    seen: RowSet,
    last: Option<Vec<Datum>>,
    pending: bool,
    /// Rows of further groups: what they are distinct by, then the payload.
    overflow: Option<Partitions>,
    /// Partitions to be worked off; the last one is being read once the input has ended.
    parts: Vec<Partition>,
    ended: bool,
    row: Vec<Datum>,
}

impl DistinctOp {
    pub(super) fn new(plan: &Arc<Distinct>, f: &Frame) -> DistinctOp {
        DistinctOp {
            plan: plan.clone(),
            input: operator::build(&plan.input, f),
            seen: RowSet::new(plan.on.len(), &f.ctx.memory),
            last: None,
            pending: false,
            overflow: None,
            parts: Vec::new(),
            ended: false,
            row: Vec::new(),
        }
    }

    /// Whether the row that begins with `self.row` is the first of its group; one of a group that there is no room for waits.
    fn is_new(&mut self, f: &Frame) -> Result<bool> {
        let width = self.plan.on.len();
        let level = self.parts.last().filter(|_| self.ended).map_or(0, |part| part.level);
        if self.overflow.is_none()
            && level <= LEVEL_MAX
            && let Some(folder) = f.ctx.memory.spill_folder(self.seen.bytes())
        {
            self.overflow = Some(Partitions::create(folder, level)?);
        }
        let Some(overflow) = &mut self.overflow else { return Ok(self.seen.insert(&self.row[..width])?.1) };
        if self.seen.find(&self.row[..width]).is_none() {
            if self.row.len() == width {
                f.save(&self.plan.payload, &mut self.row);
            }
            overflow.push(value::hash_row(&self.row[..width]), &self.row)?;
        }
        Ok(false)
    }

    /// The next first row of a group in the partitions.
    fn next_of_parts(&mut self, f: &mut Frame) -> Result<bool> {
        let width = self.plan.on.len() + self.plan.payload.len();
        loop {
            f.tick()?;
            if let Some(part) = self.parts.last_mut()
                && part.rows.next(width, &mut self.row)?
            {
                if self.is_new(f)? {
                    f.restore(&self.plan.payload, &self.row[self.plan.on.len()..]);
                    return Ok(true);
                }
                continue;
            }
            self.parts.pop();
            if let Some(overflow) = self.overflow.take() {
                self.parts.extend(overflow.finish()?);
            }
            self.seen.clear();
            if self.parts.is_empty() {
                return Ok(false);
            }
        }
    }
}

impl Operator for DistinctOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        while !self.ended {
            if !self.pending && !self.input.next(f)? {
                self.ended = true;
                break;
            }
            self.pending = true;
            self.row.clear();
            for code in &self.plan.on {
                let value = code.eval(f)?;
                self.row.push(value);
            }
            self.pending = false;
            let new = if self.plan.sorted {
                let new = self.last.as_ref().is_none_or(|last| !value::same_row(last, &self.row));
                self.last = Some(self.row.clone());
                new
            } else {
                self.is_new(f)?
            };
            if new {
                return Ok(true);
            }
        }
        self.next_of_parts(f)
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.seen.clear();
        self.last = None;
        self.pending = false;
        self.overflow = None;
        self.parts.clear();
        self.ended = false;
        self.input.rewind(f)
    }
}

/// Keeps the rows of an input that does not depend on outer rows.
pub(super) struct MaterializeOp {
    plan: Arc<Materialize>,
    input: Box<dyn Operator>,
    store: LongStore,
    ended: bool,
    at: usize,
}

impl MaterializeOp {
    pub(super) fn new(plan: &Arc<Materialize>, f: &Frame) -> MaterializeOp {
        MaterializeOp {
            plan: plan.clone(),
            input: operator::build(&plan.input, f),
            store: LongStore::new(plan.payload.len(), &f.ctx.memory),
            ended: false,
            at: 0,
        }
    }
}

impl Operator for MaterializeOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        if self.at < self.store.len() {
            f.tick()?;
            f.restore(&self.plan.payload, self.store.row(self.at)?);
            self.at += 1;
            return Ok(true);
        }
        if self.ended {
            return Ok(false);
        }
        if !self.input.next(f)? {
            self.ended = true;
            return Ok(false);
        }
        self.store.push(self.plan.payload.iter().map(|slot| f.slots[*slot as usize].clone()))?;
        self.at += 1;
        Ok(true)
    }

    fn rewind(&mut self, _: &mut Frame) -> Result<()> {
        self.at = 0;
        Ok(())
    }
}

/// Set-returning functions of a select list.
pub(super) struct ProjectSetOp {
    plan: Arc<ProjectSet>,
    input: Box<dyn Operator>,
    calls: SetCalls,
    /// The input's row is in its slots; its sets are not begun (an argument had to wait).
    pending: bool,
    open: bool,
}

impl ProjectSetOp {
    pub(super) fn new(plan: &Arc<ProjectSet>, f: &Frame) -> ProjectSetOp {
        ProjectSetOp {
            plan: plan.clone(),
            input: operator::build(&plan.input, f),
            calls: SetCalls::default(),
            pending: false,
            open: false,
        }
    }
}

impl Operator for ProjectSetOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        loop {
            if !self.open {
                if !self.pending && !self.input.next(f)? {
                    return Ok(false);
                }
                self.pending = true;
                self.calls.begin(&self.plan.calls, f)?;
                self.pending = false;
                self.open = true;
            }
            f.tick()?;
            if self.calls.next(&self.plan.calls, f)? {
                return Ok(true);
            }
            self.open = false;
        }
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.open = false;
        self.pending = false;
        self.input.rewind(f)
    }
}
