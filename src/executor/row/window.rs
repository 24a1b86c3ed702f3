//! Window functions over one partitioning and order.
//!
//! The input is read whole and sorted by partition and order, in temporary files when it does not fit into work_mem. Then
//! partition by partition every call is computed for every row, with the partition in memory; results go out in that order. Aggregates over a frame that only grows are fed row by row; a moving frame
//! takes rows out again where the aggregate can do so, else it is computed anew for each row.

use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::{Bound, Window, WindowCallPlan};
use super::sorter::Sorter;
use super::store::TupleStore;
use super::value;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::aggregate::{Constructor, SortOrder, Start, aggregate};
use crate::executor::functions::window::{WindowFunction, WindowSource, in_range};
use crate::executor::functions::{Accumulator, CallContext};
use crate::executor::memory::Reservation;
use crate::sql::tree::{FrameExclude, FrameUnit};
use crate::types::Datum;
use std::ops::Range;
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
    /// Frame offsets (start, end) per call, evaluated once.
    offsets: Vec<(Datum, Datum)>,
    pending: bool,
    sorted: bool,
    /// The partition's results are being computed or given.
    open: bool,
    /// Results of the partition, row by row.
    results: Vec<Datum>,
    reservation: Reservation,
    at: usize,
}

/// Where a call's values lie in a stored row.
#[derive(Clone, Copy)]
struct Layout {
    filter: usize,
    args: usize,
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
            offsets: Vec::new(),
            pending: false,
            sorted: false,
            open: false,
            results: Vec::new(),
            reservation: Reservation::new(&f.ctx.memory),
            at: 0,
        }
    }

    fn fill(&mut self, f: &mut Frame) -> Result<()> {
        if self.offsets.len() < self.plan.calls.len() {
            self.offsets = self.plan.calls.iter().map(|call| offsets(call, f)).collect::<Result<_>>()?;
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
            let layout = Layout { filter: at, args: at + 1 };
            at += 1 + call.args.len();
            let mut view = View {
                op: self,
                call,
                layout,
                rows,
                groups: &groups,
                offsets: &self.offsets[i],
                ctx: &f.call,
                frame: f,
                row: 0,
                group: 0,
            };
            let mut put = |row: usize, value: Datum| results[row * calls + i] = value;
            match WindowFunction::by_name(call.name) {
                Some(function) if !call.aggregate => {
                    while view.row < rows {
                        if view.row & 1023 == 0 {
                            f.check_cancel()?;
                        }
                        put(view.row, function.value(&view)?);
                        view.advance();
                    }
                }
                _ => aggregate_over(&mut view, &mut put)?,
            }
        }
        self.results = results;
        Ok(())
    }
}

/// The frame's offsets; they may hold no column, so they are evaluated once.
fn offsets(call: &WindowCallPlan, f: &mut Frame) -> Result<(Datum, Datum)> {
    let mut one = |bound: &Bound, name: &str| -> Result<Datum> {
        let (Bound::Preceding(code, _) | Bound::Following(code, _)) = bound else { return Ok(Datum::Null) };
        let value = code.eval(f)?;
        let bad = |state, what: &str| Err(Error::new(state, format!("frame {name} offset must not be {what}")));
        match &value {
            Datum::Null => bad(SqlState::NullValueNotAllowed, "null"),
            Datum::Int8(n) if *n < 0 && call.unit != FrameUnit::Range => {
                bad(SqlState::InvalidPrecedingOrFollowingSize, "negative")
            }
            _ => Ok(value),
        }
    };
    Ok((one(&call.start, "starting")?, one(&call.end, "ending")?))
}

/// One call over one partition; rows are numbered from 0 within it.
struct View<'a> {
    op: &'a WindowOp,
    call: &'a WindowCallPlan,
    layout: Layout,
    /// Rows of the partition.
    rows: usize,
    /// Starts of the peer groups, then the partition's length.
    groups: &'a [usize],
    offsets: &'a (Datum, Datum),
    ctx: &'a CallContext,
    frame: &'a Frame,
    row: usize,
    group: usize,
}

impl View<'_> {
    fn stored(&self, row: usize) -> &[Datum] {
        self.op.store.row(row)
    }

    fn args(&self, row: usize) -> &[Datum] {
        &self.stored(row)[self.layout.args..self.layout.args + self.call.args.len()]
    }

    fn passes(&self, row: usize) -> bool {
        matches!(self.stored(row)[self.layout.filter], Datum::Bool(true))
    }

    fn advance(&mut self) {
        self.row += 1;
        if self.row < self.rows && self.row >= self.groups[self.group + 1] {
            self.group += 1;
        }
    }

    /// The value of the single ORDER BY key.
    fn key(&self, row: usize) -> &Datum {
        &self.stored(row)[self.op.plan.partition.len()]
    }

    /// The current row's frame before exclusion.
    fn frame(&self) -> Result<Range<usize>> {
        let rows = self.rows;
        let start = match &self.call.start {
            Bound::UnboundedPreceding => 0,
            Bound::UnboundedFollowing => rows,
            Bound::CurrentRow => match self.call.unit {
                FrameUnit::Rows => self.row,
                FrameUnit::Range | FrameUnit::Groups => self.groups[self.group],
            },
            Bound::Preceding(..) => self.shifted(&self.offsets.0, true, true)?,
            Bound::Following(..) => self.shifted(&self.offsets.0, false, true)?,
        };
        let end = match &self.call.end {
            Bound::UnboundedFollowing => rows,
            Bound::UnboundedPreceding => 0,
            Bound::CurrentRow => match self.call.unit {
                FrameUnit::Rows => self.row + 1,
                FrameUnit::Range | FrameUnit::Groups => self.groups[self.group + 1],
            },
            Bound::Preceding(..) => self.shifted(&self.offsets.1, true, false)?,
            Bound::Following(..) => self.shifted(&self.offsets.1, false, false)?,
        };
        Ok(start.min(rows)..end.clamp(start.min(rows), rows))
    }

    /// A bound `offset` away from the current row: the first row of the frame (`start`) or one past its last.
    fn shifted(&self, offset: &Datum, preceding: bool, start: bool) -> Result<usize> {
        let rows = self.rows;
        let away = |from: usize, n: i64| -> Option<usize> {
            let n = usize::try_from(n).unwrap_or(usize::MAX);
            if preceding { from.checked_sub(n) } else { from.checked_add(n) }
        };
        match (self.call.unit, offset) {
            (FrameUnit::Rows, Datum::Int8(n)) => Ok(match away(self.row, *n) {
                Some(row) if start => row.min(rows),
                Some(row) => row.saturating_add(1).min(rows),
                None => 0,
            }),
            (FrameUnit::Groups, Datum::Int8(n)) => Ok(match away(self.group, *n) {
                Some(group) if start => self.groups.get(group).copied().unwrap_or(rows),
                Some(group) => self.groups.get(group.saturating_add(1)).copied().unwrap_or(rows),
                None => 0,
            }),
            (FrameUnit::Range, offset) => self.in_range_bound(offset, preceding, start),
            _ => Err(Error::internal("a frame offset is not an int8")),
        }
    }

    /// RANGE: rows whose key is at least (start) or at most (end) the current one's key minus or plus the offset. NULL keys
    /// have their peers for frame.
    fn in_range_bound(&self, offset: &Datum, preceding: bool, start: bool) -> Result<usize> {
        let base = self.key(self.row);
        if base.is_null() {
            return Ok(self.groups[if start { self.group } else { self.group + 1 }]);
        }
        let by = &self.op.plan.order[0];
        // Against a descending order "preceding" means greater keys.
        let sub = preceding != by.descending;
        let less = start == by.descending;
        let inside = |row: usize| -> Result<bool> {
            let key = self.key(row);
            if key.is_null() {
                // NULLs lie beyond every value, on the side where they are sorted.
                return Ok(by.nulls_first != start);
            }
            in_range(self.ctx, key, base, offset, sub, less)
        };
        // Start: the first row that is inside. End: one past the last. Both by bisection, since keys are sorted.
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            if inside(middle)? == start { high = middle } else { low = middle + 1 }
        }
        Ok(low)
    }

    /// Whether EXCLUDE leaves a row out.
    fn excluded(&self, row: usize) -> bool {
        let peer = (self.groups[self.group]..self.groups[self.group + 1]).contains(&row);
        match self.call.exclude {
            FrameExclude::NoOthers => false,
            FrameExclude::CurrentRow => row == self.row,
            FrameExclude::Group => peer,
            FrameExclude::Ties => peer && row != self.row,
        }
    }
}

impl WindowSource for View<'_> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn row(&self) -> usize {
        self.row
    }

    fn peer_start(&self) -> usize {
        self.groups[self.group]
    }

    fn peer_end(&self) -> usize {
        self.groups[self.group + 1]
    }

    fn peer_group(&self) -> usize {
        self.group
    }

    fn argument(&self, row: usize, index: usize) -> Result<Datum> {
        Ok(self.args(row)[index].clone())
    }

    fn arguments(&self) -> usize {
        self.call.args.len()
    }

    fn frame_row(&self, n: usize, from_end: bool) -> Result<Option<usize>> {
        let frame = self.frame()?;
        if self.call.exclude == FrameExclude::NoOthers {
            if n >= frame.len() {
                return Ok(None);
            }
            return Ok(Some(if from_end { frame.end - 1 - n } else { frame.start + n }));
        }
        let mut rows = frame.filter(|row| !self.excluded(*row));
        Ok(if from_end { rows.nth_back(n) } else { rows.nth(n) })
    }
}

/// An aggregate over every row's frame.
fn aggregate_over(view: &mut View<'_>, put: &mut dyn FnMut(usize, Datum)) -> Result<()> {
    let Some(make) = aggregate(view.call.name, &view.call.arg_types) else {
        return Err(Error::new(
            SqlState::FeatureNotSupported,
            format!("window function {} (oid {}) is not supported", view.call.name, view.call.function),
        ));
    };
    let mut state = fresh(view, make)?;
    let mut inside = 0..0;
    let mut last = Datum::Null;
    while view.row < view.rows {
        if view.row & 63 == 0 {
            view.frame.check_cancel()?;
        }
        let frame = view.frame()?;
        if view.call.exclude != FrameExclude::NoOthers {
            last = anew(view, frame, make)?;
        } else if frame != inside || view.row == 0 {
            move_frame(view, &mut state, &mut inside, frame, make)?;
            last = state.result(view.ctx)?;
        }
        put(view.row, last.clone());
        view.advance();
    }
    Ok(())
}

/// An empty state of the view's aggregate.
fn fresh(view: &View<'_>, make: Constructor) -> Result<Box<dyn Accumulator>> {
    make(&Start { args: &view.call.arg_types, direct: &[], order: &[] })
}

/// Brings the running state from one frame to the next.
fn move_frame(
    view: &View<'_>,
    state: &mut Box<dyn Accumulator>,
    inside: &mut Range<usize>,
    frame: Range<usize>,
    make: Constructor,
) -> Result<()> {
    let mut reusable = frame.start >= inside.start && frame.end >= inside.end && frame.start <= inside.end;
    while reusable && inside.start < frame.start {
        reusable = !view.passes(inside.start) || state.remove(view.ctx, view.args(inside.start))?;
        inside.start += 1;
    }
    if !reusable {
        *state = fresh(view, make)?;
        *inside = frame.start..frame.start;
    }
    while inside.end < frame.end {
        if view.passes(inside.end) {
            state.add(view.ctx, view.args(inside.end))?;
        }
        inside.end += 1;
    }
    Ok(())
}

/// The aggregate of a frame with exclusion, computed from nothing.
fn anew(view: &View<'_>, frame: Range<usize>, make: Constructor) -> Result<Datum> {
    let mut state = fresh(view, make)?;
    for row in frame {
        if row & 4095 == 0 {
            view.frame.check_cancel()?;
        }
        if view.passes(row) && !view.excluded(row) {
            state.add(view.ctx, view.args(row))?;
        }
    }
    state.result(view.ctx)
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
        self.offsets.clear();
        self.pending = false;
        self.sorted = false;
        self.input.rewind(f)
    }
}
