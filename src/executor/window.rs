//! Window calls over one partition, for both roads.
//!
//! The partition's rows are sorted and at hand ([`Rows`]); every call is computed for every row. Aggregates over a frame that
//! only grows are fed row by row; a moving frame takes rows out again where the aggregate can do so, else it is computed anew
//! for each row.

use super::functions::aggregate::{Constructor, SortOrder, Start, aggregate};
use super::functions::window::{WindowFunction, WindowSource, in_range};
use super::functions::{Accumulator, CallContext};
use crate::error::{Error, Result, SqlState};
use crate::sql::tree::{FrameExclude, FrameUnit};
use crate::types::{Datum, Oid, Type};
use std::ops::Range;

/// A call.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'static str,
    /// Its oid in pg_proc.
    pub(crate) function: Oid,
    pub(crate) aggregate: bool,
    pub(crate) arg_types: &'a [Type],
    pub(crate) frame: &'a Frame,
    /// Of the first ORDER BY key.
    pub(crate) order: Option<SortOrder>,
}

/// A call's frame with its offsets' values.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) unit: FrameUnit,
    pub(crate) start: Edge,
    pub(crate) end: Edge,
    pub(crate) exclude: FrameExclude,
}

/// A frame's start or end.
#[derive(Clone, Debug)]
pub(crate) enum Edge {
    UnboundedPreceding,
    Preceding(Datum),
    CurrentRow,
    Following(Datum),
    UnboundedFollowing,
}

impl Frame {
    /// Refuses offsets that no frame can have.
    pub(crate) fn check(&self) -> Result<()> {
        for (edge, name) in [(&self.start, "starting"), (&self.end, "ending")] {
            let (Edge::Preceding(offset) | Edge::Following(offset)) = edge else { continue };
            let bad = |state, what: &str| Err(Error::new(state, format!("frame {name} offset must not be {what}")));
            match offset {
                Datum::Null => return bad(SqlState::NullValueNotAllowed, "null"),
                Datum::Int8(n) if *n < 0 && self.unit != FrameUnit::Range => {
                    return bad(SqlState::InvalidPrecedingOrFollowingSize, "negative");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// One partition as a call sees it: sorted, its rows numbered from 0.
pub(crate) trait Rows {
    /// How many there are.
    fn len(&self) -> usize;
    /// The arguments of a row.
    fn args(&self, row: usize) -> &[Datum];
    /// Whether FILTER lets a row through.
    fn passes(&self, row: usize) -> bool;
    /// The value of the single ORDER BY key, for RANGE offsets.
    fn key(&self, row: usize) -> &Datum;
    /// 57014 when the statement has been cancelled.
    fn check_cancel(&self) -> Result<()>;
}

/// Gives `put` the call's value for every row, in order. `groups`: the starts of the peer groups, then the number of rows.
pub(crate) fn compute(
    call: Call<'_>,
    rows: &dyn Rows,
    groups: &[usize],
    ctx: &CallContext,
    put: &mut dyn FnMut(Datum) -> Result<()>,
) -> Result<()> {
    let mut view = View { rows, call, groups, ctx, row: 0, group: 0 };
    match WindowFunction::by_name(call.name) {
        Some(function) if !call.aggregate => {
            while view.row < rows.len() {
                if view.row & 1023 == 0 {
                    rows.check_cancel()?;
                }
                put(function.value(&view)?)?;
                view.advance();
            }
            Ok(())
        }
        _ => aggregate_over(&mut view, put),
    }
}

/// One call over one partition.
struct View<'a> {
    rows: &'a dyn Rows,
    call: Call<'a>,
    groups: &'a [usize],
    ctx: &'a CallContext,
    row: usize,
    group: usize,
}

impl View<'_> {
    fn advance(&mut self) {
        self.row += 1;
        if self.row < self.rows.len() && self.row >= self.groups[self.group + 1] {
            self.group += 1;
        }
    }

    /// The current row's frame before exclusion.
    fn frame(&self) -> Result<Range<usize>> {
        let rows = self.rows.len();
        let start = match &self.call.frame.start {
            Edge::UnboundedPreceding => 0,
            Edge::UnboundedFollowing => rows,
            Edge::CurrentRow => match self.call.frame.unit {
                FrameUnit::Rows => self.row,
                FrameUnit::Range | FrameUnit::Groups => self.groups[self.group],
            },
            Edge::Preceding(offset) => self.shifted(offset, true, true)?,
            Edge::Following(offset) => self.shifted(offset, false, true)?,
        };
        let end = match &self.call.frame.end {
            Edge::UnboundedFollowing => rows,
            Edge::UnboundedPreceding => 0,
            Edge::CurrentRow => match self.call.frame.unit {
                FrameUnit::Rows => self.row + 1,
                FrameUnit::Range | FrameUnit::Groups => self.groups[self.group + 1],
            },
            Edge::Preceding(offset) => self.shifted(offset, true, false)?,
            Edge::Following(offset) => self.shifted(offset, false, false)?,
        };
        Ok(start.min(rows)..end.clamp(start.min(rows), rows))
    }

    /// A bound `offset` away from the current row: the first row of the frame (`start`) or one past its last.
    fn shifted(&self, offset: &Datum, preceding: bool, start: bool) -> Result<usize> {
        let rows = self.rows.len();
        let away = |from: usize, n: i64| -> Option<usize> {
            let n = usize::try_from(n).unwrap_or(usize::MAX);
            if preceding { from.checked_sub(n) } else { from.checked_add(n) }
        };
        match (self.call.frame.unit, offset) {
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
        let base = self.rows.key(self.row);
        if base.is_null() {
            return Ok(self.groups[if start { self.group } else { self.group + 1 }]);
        }
        let Some(by) = self.call.order else { return Err(Error::internal("a RANGE offset without an order")) };
        // Against a descending order "preceding" means greater keys.
        let sub = preceding != by.descending;
        let less = start == by.descending;
        let inside = |row: usize| -> Result<bool> {
            let key = self.rows.key(row);
            if key.is_null() {
                // NULLs lie beyond every value, on the side where they are sorted.
                return Ok(by.nulls_first != start);
            }
            in_range(self.ctx, key, base, offset, sub, less)
        };
        // Start: the first row that is inside. End: one past the last. Both by bisection, since keys are sorted.
        let (mut low, mut high) = (0, self.rows.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if inside(middle)? == start { high = middle } else { low = middle + 1 }
        }
        Ok(low)
    }

    /// The `n`th row of a frame without the current row's peers, as PostgreSQL counts: it takes the current row to be in the
    /// frame wherever peers are, and answers NULL for it where it is not.
    fn row_without_ties(&self, frame: Range<usize>, n: usize, from_end: bool) -> Option<usize> {
        let group = self.groups[self.group]..self.groups[self.group + 1];
        let row = if from_end {
            let row = frame.end.checked_sub(n + 1)?;
            let end = group.end.min(frame.end);
            match row < group.end && group.start < frame.end {
                true if row + 1 == end => self.row,
                true => (row + 1 + group.start).checked_sub(end)?,
                false => row,
            }
        } else {
            let row = frame.start + n;
            let start = group.start.max(frame.start);
            match row >= group.start && group.end > frame.start {
                true if row == start => self.row,
                true => row + group.end - start - 1,
                false => row,
            }
        };
        (frame.contains(&row) && !self.excluded(row)).then_some(row)
    }

    /// Whether EXCLUDE leaves a row out.
    fn excluded(&self, row: usize) -> bool {
        let peer = (self.groups[self.group]..self.groups[self.group + 1]).contains(&row);
        match self.call.frame.exclude {
            FrameExclude::NoOthers => false,
            FrameExclude::CurrentRow => row == self.row,
            FrameExclude::Group => peer,
            FrameExclude::Ties => peer && row != self.row,
        }
    }
}

impl WindowSource for View<'_> {
    fn rows(&self) -> usize {
        self.rows.len()
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
        Ok(self.rows.args(row)[index].clone())
    }

    fn arguments(&self) -> usize {
        self.call.arg_types.len()
    }

    fn frame_row(&self, n: usize, from_end: bool) -> Result<Option<usize>> {
        let frame = self.frame()?;
        if self.call.frame.exclude == FrameExclude::NoOthers {
            if n >= frame.len() {
                return Ok(None);
            }
            return Ok(Some(if from_end { frame.end - 1 - n } else { frame.start + n }));
        }
        if self.call.frame.exclude == FrameExclude::Ties {
            return Ok(self.row_without_ties(frame, n, from_end));
        }
        let mut rows = frame.filter(|row| !self.excluded(*row));
        Ok(if from_end { rows.nth_back(n) } else { rows.nth(n) })
    }
}

/// An aggregate over every row's frame.
fn aggregate_over(view: &mut View<'_>, put: &mut dyn FnMut(Datum) -> Result<()>) -> Result<()> {
    let Some(make) = aggregate(view.call.name, view.call.arg_types) else {
        return Err(Error::new(
            SqlState::FeatureNotSupported,
            format!("window function {} (oid {}) is not supported", view.call.name, view.call.function),
        ));
    };
    let mut state = fresh(view, make)?;
    let mut inside = 0..0;
    let mut last = Datum::Null;
    while view.row < view.rows.len() {
        if view.row & 63 == 0 {
            view.rows.check_cancel()?;
        }
        let frame = view.frame()?;
        if view.call.frame.exclude != FrameExclude::NoOthers {
            last = anew(view, frame, make)?;
        } else if frame != inside || view.row == 0 {
            move_frame(view, &mut state, &mut inside, frame, make)?;
            last = state.result(view.ctx)?;
        }
        put(last.clone())?;
        view.advance();
    }
    Ok(())
}

/// An empty state of the view's aggregate.
fn fresh(view: &View<'_>, make: Constructor) -> Result<Box<dyn Accumulator>> {
    make(&Start { args: view.call.arg_types, direct: &[], order: &[] })
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
        reusable = !view.rows.passes(inside.start) || state.remove(view.ctx, view.rows.args(inside.start))?;
        inside.start += 1;
    }
    if !reusable {
        *state = fresh(view, make)?;
        *inside = frame.start..frame.start;
    }
    while inside.end < frame.end {
        if view.rows.passes(inside.end) {
            state.add(view.ctx, view.rows.args(inside.end))?;
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
            view.rows.check_cancel()?;
        }
        if view.rows.passes(row) && !view.excluded(row) {
            state.add(view.ctx, view.rows.args(row))?;
        }
    }
    state.result(view.ctx)
}
