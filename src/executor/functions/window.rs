//! Window functions proper, and what a RANGE frame's offsets mean for each type.

use super::CallContext;
use crate::error::{Error, Result, SqlState};
use crate::types::Datum;

/// What a window function sees: one row of a sorted partition. Rows are numbered from 0 within the partition.
pub trait WindowSource {
    /// Rows in the partition.
    fn rows(&self) -> usize;
    /// The current row.
    fn row(&self) -> usize;
    /// First row of the current row's peer group.
    fn peer_start(&self) -> usize;
    /// One past the last row of the current row's peer group.
    fn peer_end(&self) -> usize;
    /// Number of peer groups before the current row's.
    fn peer_group(&self) -> usize;
    /// The call's argument `index` evaluated for row `row`.
    fn argument(&self, row: usize, index: usize) -> Result<Datum>;
    /// Number of arguments of the call.
    fn arguments(&self) -> usize;
    /// The `n`th row (from 0) of the current row's frame, exclusion applied; from its end when `from_end`.
    fn frame_row(&self, n: usize, from_end: bool) -> Result<Option<usize>>;
}

/// A window function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum WindowFunction {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
}

impl WindowFunction {
    /// The window function of that name in pg_proc.
    pub fn by_name(name: &str) -> Option<WindowFunction> {
        Some(match name {
            "row_number" => WindowFunction::RowNumber,
            "rank" => WindowFunction::Rank,
            "dense_rank" => WindowFunction::DenseRank,
            "percent_rank" => WindowFunction::PercentRank,
            "cume_dist" => WindowFunction::CumeDist,
            "ntile" => WindowFunction::Ntile,
            "lag" => WindowFunction::Lag,
            "lead" => WindowFunction::Lead,
            "first_value" => WindowFunction::FirstValue,
            "last_value" => WindowFunction::LastValue,
            "nth_value" => WindowFunction::NthValue,
            _ => return None,
        })
    }

    /// Whether it looks at the frame ([`WindowSource::frame_row`] is not called otherwise).
    pub fn uses_frame(self) -> bool {
        matches!(self, WindowFunction::FirstValue | WindowFunction::LastValue | WindowFunction::NthValue)
    }

    /// The function's value for the source's current row.
    pub fn value(self, source: &dyn WindowSource) -> Result<Datum> {
        match self {
            WindowFunction::RowNumber => Ok(Datum::Int8(source.row() as i64 + 1)),
            WindowFunction::Rank => Ok(Datum::Int8(source.peer_start() as i64 + 1)),
            WindowFunction::DenseRank => Ok(Datum::Int8(source.peer_group() as i64 + 1)),
            WindowFunction::PercentRank => Ok(Datum::Float8(match source.rows() {
                0 | 1 => 0.0,
                rows => source.peer_start() as f64 / (rows - 1) as f64,
            })),
            WindowFunction::CumeDist => Ok(Datum::Float8(source.peer_end() as f64 / source.rows() as f64)),
            WindowFunction::Ntile => ntile(source),
            WindowFunction::Lag => shifted(source, -1),
            WindowFunction::Lead => shifted(source, 1),
            WindowFunction::FirstValue => frame_argument(source, 0, false),
            WindowFunction::LastValue => frame_argument(source, 0, true),
            WindowFunction::NthValue => nth_value(source),
        }
    }
}

/// ntile(n): the first `rows % n` buckets have one row more than the others.
///
/// PostgreSQL reads n at the partition's first row only; NULL there makes every value of the partition NULL.
fn ntile(source: &dyn WindowSource) -> Result<Datum> {
    let buckets = match source.argument(0, 0)? {
        Datum::Int4(n) if n > 0 => n as usize,
        Datum::Int4(_) => {
            return Err(Error::new(SqlState::InvalidArgumentForNtile, "argument of ntile must be greater than zero"));
        }
        _ => return Ok(Datum::Null),
    };
    let (small, larger_buckets) = (source.rows() / buckets, source.rows() % buckets);
    let (row, in_larger) = (source.row(), larger_buckets * (small + 1));
    let bucket = if row < in_larger { row / (small + 1) } else { larger_buckets + (row - in_larger) / small };
    Ok(Datum::Int4(bucket as i32 + 1))
}

/// lag and lead: the first argument `direction` times the second (default 1) rows away, else the third (default NULL).
fn shifted(source: &dyn WindowSource, direction: i64) -> Result<Datum> {
    let row = source.row();
    let offset = match source.arguments() {
        0 | 1 => 1,
        _ => match source.argument(row, 1)? {
            Datum::Int4(n) => i64::from(n),
            _ => return Ok(Datum::Null),
        },
    };
    let target = row as i64 + direction * offset;
    if (0..source.rows() as i64).contains(&target) {
        source.argument(target as usize, 0)
    } else if source.arguments() > 2 {
        source.argument(row, 2)
    } else {
        Ok(Datum::Null)
    }
}

fn frame_argument(source: &dyn WindowSource, n: usize, from_end: bool) -> Result<Datum> {
    match source.frame_row(n, from_end)? {
        Some(row) => source.argument(row, 0),
        None => Ok(Datum::Null),
    }
}

fn nth_value(source: &dyn WindowSource) -> Result<Datum> {
    match source.argument(source.row(), 1)? {
        Datum::Int4(n) if n > 0 => frame_argument(source, n as usize - 1, false),
        Datum::Int4(_) => {
            Err(Error::new(SqlState::InvalidArgumentForNthValue, "argument of nth_value must be greater than zero"))
        }
        _ => Ok(Datum::Null),
    }
}

/// PostgreSQL's `in_range`: whether `value` is, by the type's order, at most (`less`) or at least `base` minus (`sub`)
/// or plus `offset`. 22013 when the offset is negative, 0A000 when the types have no in_range.
pub fn in_range(ctx: &CallContext, value: &Datum, base: &Datum, offset: &Datum, sub: bool, less: bool) -> Result<bool> {
    let _ = (ctx, value, base, offset, sub, less);
    Err(Error::unsupported("RANGE with an offset"))
}
