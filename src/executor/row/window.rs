//! Window functions over one partitioning and order.
//!
//! The input is read whole and sorted by partition and order, in temporary files when it does not fit into work_mem. Then
//! partition by partition every call is computed for every row ([`crate::executor::window`]), with the partition in memory;
//! results go out in that order.

use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::{Bound, Window, WindowCallPlan};
use super::sorter::Sorter;
use super::store::TupleStore;
use super::value;
use crate::error::Result;
use crate::executor::functions::aggregate::SortOrder;
use crate::executor::memory::Reservation;
use crate::executor::window::{self, Edge};
use crate::types::Datum;
use std::sync::Arc;

/// See the module.
pub(super) struct WindowOp {
    plan: Arc<Window>,
    input: Box<dyn Operator>,
    /// Per row: partition keys, order keys, then per call its filter's truth and its arguments, then the payload.
    sorter: Sorter,
    /// The partition at hand, and the first row of the next one.
    store: TupleStore,
    ahead: Option<Vec<Datum>>,
    /// Per call.
    frames: Vec<window::Frame>,
    pending: bool,
    sorted: bool,
    /// The partition's results are being computed or given.
    open: bool,
    /// Results of the partition, row by row.
    results: Vec<Datum>,
    reservation: Reservation,
    at: usize,
}

impl WindowOp {
    pub(super) fn new(plan: &Arc<Window>, f: &Frame) -> WindowOp {
        let calls: usize = plan.calls.iter().map(|call| 1 + call.args.len()).sum();
        let width = plan.partition.len() + plan.order.len() + calls + plan.payload.len();
        let partition = plan.partition.iter().map(|_| SortOrder { descending: false, nulls_first: false });
        let order = plan.order.iter().map(|by| SortOrder { descending: by.descending, nulls_first: by.nulls_first });
        let keys = partition.chain(order).collect();
        WindowOp {
            plan: plan.clone(),
            input: operator::build(&plan.input, f),
            sorter: Sorter::new(keys, width, &f.ctx.memory),
            store: TupleStore::new(width, &f.ctx.memory),
            ahead: None,
            frames: Vec::new(),
            pending: false,
            sorted: false,
            open: false,
            results: Vec::new(),
            reservation: Reservation::new(&f.ctx.memory),
            at: 0,
        }
    }

    fn fill(&mut self, f: &mut Frame) -> Result<()> {
        if self.frames.len() < self.plan.calls.len() {
            self.frames = self.plan.calls.iter().map(|call| frame_of(call, f)).collect::<Result<_>>()?;
        }
        loop {
            if !self.pending && !self.input.next(f)? {
                break;
            }
            self.pending = true;
            let mut row = Vec::new();
            for code in self.plan.partition.iter().chain(self.plan.order.iter().map(|by| &by.code)) {
                row.push(code.eval(f)?);
            }
            for call in &self.plan.calls {
                let passes = match &call.filter {
                    Some(filter) => filter.test(f)?,
                    None => true,
                };
                row.push(Datum::Bool(passes));
                for arg in &call.args {
                    row.push(if passes { arg.eval(f)? } else { Datum::Null });
                }
            }
            self.pending = false;
            f.save(&self.plan.payload, &mut row);
            self.sorter.push(row)?;
        }
        self.sorter.finish()?;
        self.sorted = true;
        Ok(())
    }

    /// Reads the next partition; `false` at the end. May be called again after a pause.
    fn next_partition(&mut self, f: &mut Frame) -> Result<bool> {
        let keys = self.plan.partition.len();
        loop {
            f.tick()?;
            let row = match self.ahead.take() {
                Some(row) => row,
                None => match self.sorter.next()? {
                    Some(row) => row.to_vec(),
                    None => return Ok(self.store.len() > 0),
                },
            };
            if self.store.len() > 0 && !value::same_row(&self.store.row(0)[..keys], &row[..keys]) {
                self.ahead = Some(row);
                return Ok(true);
            }
            self.store.push(row)?;
        }
    }

    /// Computes the partition.
    fn compute(&mut self, f: &mut Frame) -> Result<()> {
        let keys = self.plan.partition.len();
        let rows = self.store.len();
        let order = keys..keys + self.plan.order.len();
        let mut groups = vec![0];
        for at in 1..rows {
            let same = value::same_row(&self.store.row(at - 1)[order.clone()], &self.store.row(at)[order.clone()]);
            if !same {
                groups.push(at);
            }
        }
        groups.push(rows);
        let calls = self.plan.calls.len();
        self.reservation.clear();
        self.reservation.grow(rows * (calls + 1) * size_of::<Datum>())?;
        let mut results = vec![Datum::Null; rows * calls];
        let mut at = order.end;
        for (i, call) in self.plan.calls.iter().enumerate() {
            let partition = Partition { store: &self.store, filter: at, args: call.args.len(), key: keys, frame: f };
            at += 1 + call.args.len();
            let order = self.plan.order.first();
            let call = window::Call {
                name: call.name,
                function: call.function,
                aggregate: call.aggregate,
                arg_types: &call.arg_types,
                frame: &self.frames[i],
                order: order.map(|by| SortOrder { descending: by.descending, nulls_first: by.nulls_first }),
            };
            let mut places = results.iter_mut().skip(i).step_by(calls);
            window::compute(call, &partition, &groups, &f.call, &mut |value| {
                if let Some(place) = places.next() {
                    *place = value;
                }
                Ok(())
            })?;
        }
        self.results = results;
        Ok(())
    }
}

/// A call's frame; its offsets may hold no column, so they are evaluated once.
fn frame_of(call: &WindowCallPlan, f: &mut Frame) -> Result<window::Frame> {
    let mut edge = |bound: &Bound| {
        Ok::<_, crate::error::Error>(match bound {
            Bound::UnboundedPreceding => Edge::UnboundedPreceding,
            Bound::Preceding(code, _) => Edge::Preceding(code.eval(f)?),
            Bound::CurrentRow => Edge::CurrentRow,
            Bound::Following(code, _) => Edge::Following(code.eval(f)?),
            Bound::UnboundedFollowing => Edge::UnboundedFollowing,
        })
    };
    let frame =
        window::Frame { unit: call.unit, start: edge(&call.start)?, end: edge(&call.end)?, exclude: call.exclude };
    frame.check()?;
    Ok(frame)
}

/// The partition at hand as one call sees it.
struct Partition<'a> {
    store: &'a TupleStore,
    /// Where the filter's truth lies in a row; the arguments follow it.
    filter: usize,
    args: usize,
    /// Where the first ORDER BY key lies.
    key: usize,
    frame: &'a Frame,
}

impl window::Rows for Partition<'_> {
    fn len(&self) -> usize {
        self.store.len()
    }

    fn args(&self, row: usize) -> &[Datum] {
        &self.store.row(row)[self.filter + 1..self.filter + 1 + self.args]
    }

    fn passes(&self, row: usize) -> bool {
        matches!(self.store.row(row)[self.filter], Datum::Bool(true))
    }

    fn key(&self, row: usize) -> &Datum {
        &self.store.row(row)[self.key]
    }

    fn check_cancel(&self) -> Result<()> {
        self.frame.check_cancel()
    }
}

impl Operator for WindowOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        if !self.sorted {
            self.fill(f)?;
        }
        f.tick()?;
        if self.open && self.at >= self.store.len() {
            self.open = false;
            self.store.clear();
        }
        if !self.open {
            if !self.next_partition(f)? {
                return Ok(false);
            }
            self.compute(f)?;
            self.open = true;
            self.at = 0;
        }
        let row = self.store.row(self.at);
        f.restore(&self.plan.payload, &row[row.len() - self.plan.payload.len()..]);
        let calls = self.plan.calls.len();
        for (i, call) in self.plan.calls.iter().enumerate() {
            f.slots[call.slot as usize] = self.results[self.at * calls + i].clone();
        }
        self.at += 1;
        Ok(true)
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.at = 0;
        self.open = false;
        self.store.clear();
        self.ahead = None;
        if self.sorted && !self.plan.depends && self.sorter.rewind() {
            return Ok(());
        }
        self.sorter.clear();
        self.frames.clear();
        self.pending = false;
        self.sorted = false;
        self.input.rewind(f)
    }
}
