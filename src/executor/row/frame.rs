//! The state of one execution that operators and expressions share: the register file, parameters, subquery and CTE
//! states, the time slice.

use super::cte::CteState;
use super::plan::{Plan, Slot};
use super::subquery::SubqueryState;
use crate::error::{Error, Result, SqlState};
use crate::executor::context::StatementContext;
use crate::executor::functions::CallContext;
use crate::executor::vector::Run;
use crate::types::Datum;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Rows that leaf operators may give before the statement yields to others.
const SLICE_ROWS: u32 = 4096;

/// See the module.
pub struct Frame {
    /// The register file.
    pub(crate) slots: Vec<Datum>,
    /// $1, $2, ….
    pub(crate) params: Arc<[Datum]>,
    /// The statement's surroundings.
    pub(crate) ctx: StatementContext,
    /// `ctx.call`, at hand.
    pub(crate) call: Arc<CallContext>,
    /// By subquery number; `None` before first use and while one runs.
    pub(crate) subqueries: Vec<Option<Box<SubqueryState>>>,
    /// By part number.
    pub(crate) ctes: Vec<CteState>,
    /// The plan.
    pub(crate) plan: Arc<Plan>,
    /// Rows changed by the statement's main write.
    pub(crate) affected: u64,
    /// Counters by node, under EXPLAIN ANALYZE.
    pub(crate) instruments: Option<Vec<Instrument>>,
    /// Under EXPLAIN ANALYZE, the road that each relation with a plan for either took last, by node.
    pub(crate) roads: Vec<(u32, Taken)>,
    budget: u32,
    /// Time slices used.
    slices: u64,
    /// Inside a correlated subquery: no yielding, since the expression around it would begin again.
    pub(crate) unbroken: u32,
}

/// The road that a relation took.
#[derive(Clone, Debug)]
pub(crate) enum Taken {
    /// The vector road; `true`: after the row road had read far more than was thought.
    Vector(Run, bool),
    /// The row road, and why.
    Row(String),
}

/// What EXPLAIN ANALYZE shows of an execution.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured<'a> {
    /// By node.
    pub(crate) counters: &'a [Instrument],
    pub(crate) roads: &'a [(u32, Taken)],
}

/// EXPLAIN ANALYZE's counters of one node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Instrument {
    /// Until the first row.
    pub first: Duration,
    /// In all calls.
    pub total: Duration,
    /// Rows given.
    pub rows: u64,
    /// Times started or rewound and read.
    pub loops: u64,
    /// Rows that its filter dropped.
    pub removed: u64,
}

impl Frame {
    /// An execution's fresh state.
    pub(crate) fn new(plan: Arc<Plan>, params: Arc<[Datum]>, ctx: StatementContext) -> Frame {
        let call = ctx.call.clone();
        let mut slots = Vec::new();
        slots.resize_with(plan.slots, Datum::default);
        let mut subqueries = Vec::new();
        subqueries.resize_with(plan.subqueries, || None);
        let mut ctes = Vec::new();
        ctes.resize_with(plan.ctes.len(), || CteState::new(&ctx.memory));
        Frame {
            slots,
            params,
            ctx,
            call,
            subqueries,
            ctes,
            plan,
            affected: 0,
            instruments: None,
            roads: Vec::new(),
            budget: SLICE_ROWS,
            slices: 0,
            unbroken: 0,
        }
    }

    /// A slot's value.
    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> &Datum {
        &self.slots[slot as usize]
    }

    /// Puts a value into a slot.
    #[inline]
    pub(crate) fn set(&mut self, slot: Slot, value: Datum) {
        self.slots[slot as usize] = value;
    }

    /// Makes slots NULL.
    pub(crate) fn clear(&mut self, slots: &[Slot]) {
        for slot in slots {
            self.slots[*slot as usize] = Datum::Null;
        }
    }

    /// Copies slots out, appended to `row`.
    pub(crate) fn save(&self, slots: &[Slot], row: &mut Vec<Datum>) {
        row.extend(slots.iter().map(|slot| self.slots[*slot as usize].clone()));
    }

    /// Puts a saved row back.
    pub(crate) fn restore(&mut self, slots: &[Slot], row: &[Datum]) {
        for (slot, value) in slots.iter().zip(row) {
            self.slots[*slot as usize] = value.clone();
        }
    }

    /// One unit of work: called where the caller's state is whole, so that it can be called again after an error.
    /// `Err` with [`Error::is_pause`] when the time slice is used, 57014 when the statement was cancelled.
    #[inline]
    pub(crate) fn tick(&mut self) -> Result<()> {
        self.budget -= 1;
        if self.budget == 0 { self.slice_end() } else { Ok(()) }
    }

    #[cold]
    fn slice_end(&mut self) -> Result<()> {
        self.budget = SLICE_ROWS;
        self.slices += 1;
        self.check_cancel()?;
        if self.unbroken > 0 { Ok(()) } else { Err(Error::pause()) }
    }

    /// Units of work done so far.
    pub(crate) fn ticks(&self) -> u64 {
        self.slices * u64::from(SLICE_ROWS) + u64::from(SLICE_ROWS - self.budget)
    }

    /// 57014 when a cancel request has come.
    pub(crate) fn check_cancel(&self) -> Result<()> {
        if self.ctx.cancel.load(Ordering::Relaxed) {
            return Err(Error::new(SqlState::QueryCanceled, "canceling statement due to user request"));
        }
        Ok(())
    }
}
