//! Window functions over one partitioning and order.
//!
//! The input is read whole and sorted by partition and order. Then partition by partition every call is computed for
//! every row; results go out in that order. Aggregates over a frame that only grows are fed row by row; a moving frame
//! takes rows out again where the aggregate can do so, else it is computed anew for each row.

use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::{Bound, Window, WindowCallPlan};
use super::store::TupleStore;
use super::value;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::aggregate::{Constructor, Start, aggregate};
use crate::executor::functions::window::{WindowFunction, WindowSource, in_range};
use crate::executor::functions::{Accumulator, CallContext};
use crate::sql::tree::{FrameExclude, FrameUnit};
use crate::types::Datum;
use std::ops::Range;
use std::sync::Arc;

/// See the module.
pub(super) struct WindowOp {
    plan: Arc<Window>,
    input: Box<dyn Operator>,
    /// Per row: partition keys, order keys, then per call its filter's truth and its arguments, then the payload.
    store: TupleStore,
    order: Vec<u32>,
    /// Frame offsets (start, end) per call, evaluated once.
    offsets: Vec<(Datum, Datum)>,
    pending: bool,
    sorted: bool,
    /// The partition whose results are at hand, as a range of `order`.
    partition: Range<usize>,
    /// Results of the partition, row by row.
    results: Vec<Datum>,
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
        WindowOp {
            plan: plan.clone(),
            input: operator::build(&plan.input, f),
            store: TupleStore::new(width, &f.ctx.memory),
            order: Vec::new(),
            offsets: Vec::new(),
            pending: false,
            sorted: false,
            partition: 0..0,
            results: Vec::new(),
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
            self.store.push(row)?;
        }
        self.sort();
        self.sorted = true;
        Ok(())
    }

    fn sort(&mut self) {
        let partition = self.plan.partition.len();
        let (store, keys) = (&self.store, &self.plan.order);
        self.order = (0..store.len() as u32).collect();
        self.order.sort_by(|a, b| {
            let (a, b) = (store.row(*a as usize), store.row(*b as usize));
            let pairs = a[..partition].iter().zip(&b[..partition]);
            pairs
                .map(|(a, b)| value::compare_key(a, b, false, false))
                .find(|order| order.is_ne())
                .unwrap_or_else(|| super::sort::compare_rows(keys, &a[partition..], &b[partition..]))
        });
    }

    /// Computes the partition that begins at `at`.
    fn open_partition(&mut self, f: &mut Frame) -> Result<()> {
        let keys = self.plan.partition.len();
        let row = |at: usize| self.store.row(self.order[at] as usize);
        let mut end = self.at + 1;
        while end < self.order.len() && value::same_row(&row(self.at)[..keys], &row(end)[..keys]) {
            end += 1;
        }
        let partition = self.at..end;
        let order = keys..keys + self.plan.order.len();
        let mut groups = vec![0];
        for at in 1..partition.len() {
            let same = value::same_row(&row(self.at + at - 1)[order.clone()], &row(self.at + at)[order.clone()]);
            if !same {
                groups.push(at);
            }
        }
        groups.push(partition.len());
        let calls = self.plan.calls.len();
        let mut results = vec![Datum::Null; partition.len() * calls];
        let mut at = order.end;
        for (i, call) in self.plan.calls.iter().enumerate() {
            let layout = Layout { filter: at, args: at + 1 };
            at += 1 + call.args.len();
            let mut view = View {
                op: self,
                call,
                layout,
                partition: partition.clone(),
                groups: &groups,
                offsets: &self.offsets[i],
                ctx: &f.call,
                row: 0,
                group: 0,
            };
            let mut put = |row: usize, value: Datum| results[row * calls + i] = value;
            match WindowFunction::by_name(call.name) {
                Some(function) if !call.aggregate => {
                    while view.row < partition.len() {
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
        self.partition = partition;
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
    partition: Range<usize>,
    /// Starts of the peer groups, then the partition's length.
    groups: &'a [usize],
    offsets: &'a (Datum, Datum),
    ctx: &'a CallContext,
    row: usize,
    group: usize,
}

impl View<'_> {
    fn stored(&self, row: usize) -> &[Datum] {
        self.op.store.row(self.op.order[self.partition.start + row] as usize)
    }

    fn args(&self, row: usize) -> &[Datum] {
        &self.stored(row)[self.layout.args..self.layout.args + self.call.args.len()]
    }

    fn passes(&self, row: usize) -> bool {
        matches!(self.stored(row)[self.layout.filter], Datum::Bool(true))
    }

    fn advance(&mut self) {
        self.row += 1;
        if self.row < self.partition.len() && self.row >= self.groups[self.group + 1] {
            self.group += 1;
        }
    }

    /// The value of the single ORDER BY key.
    fn key(&self, row: usize) -> &Datum {
        &self.stored(row)[self.op.plan.partition.len()]
    }

    /// The current row's frame before exclusion.
    fn frame(&self) -> Result<Range<usize>> {
        let rows = self.partition.len();
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
        let rows = self.partition.len();
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
        let (mut low, mut high) = (0, self.partition.len());
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
        self.partition.len()
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
    while view.row < view.partition.len() {
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
        if self.at >= self.order.len() {
            return Ok(false);
        }
        f.tick()?;
        if !self.partition.contains(&self.at) {
            self.open_partition(f)?;
        }
        let row = self.store.row(self.order[self.at] as usize);
        f.restore(&self.plan.payload, &row[row.len() - self.plan.payload.len()..]);
        let calls = self.plan.calls.len();
        let results = (self.at - self.partition.start) * calls;
        for (i, call) in self.plan.calls.iter().enumerate() {
            f.slots[call.slot as usize] = self.results[results + i].clone();
        }
        self.at += 1;
        Ok(true)
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.at = 0;
        self.partition = 0..0;
        if self.sorted && !self.plan.depends {
            return Ok(());
        }
        self.store.clear();
        self.order.clear();
        self.offsets.clear();
        self.pending = false;
        self.sorted = false;
        self.input.rewind(f)
    }
}
