//! Window functions proper, and what a RANGE frame's offsets mean for each type.

use super::CallContext;
use super::datetime::arithmetic::{add_to_moment, add_to_timestamp};
use super::datetime::date_to_timestamp;
use crate::error::{Error, Result, SqlState};
use crate::types::interval::comparison_value;
use crate::types::numeric::Numeric;
use crate::types::{Datum, Interval};
use num_bigint::BigInt;
use num_traits::Signed;
use std::cmp::Ordering;

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
///
/// A sum that overflows its type lies beyond every value: the answer is then known without it.
pub fn in_range(ctx: &CallContext, value: &Datum, base: &Datum, offset: &Datum, sub: bool, less: bool) -> Result<bool> {
    let toward = |ordering: Ordering| if less { ordering.is_le() } else { ordering.is_ge() };
    if let (Some(value), Some(base), Some(offset)) = (integer(value), integer(base), integer(offset)) {
        check_sign(offset < 0)?;
        return Ok(toward(value.cmp(&if sub { base - offset } else { base + offset })));
    }
    match (value, base, offset) {
        (Datum::Float4(value), Datum::Float4(base), Datum::Float8(offset)) => {
            float_in_range(f64::from(*value), f64::from(*base), *offset, sub, less)
        }
        (Datum::Float8(value), Datum::Float8(base), Datum::Float8(offset)) => {
            float_in_range(*value, *base, *offset, sub, less)
        }
        (Datum::Numeric(value), Datum::Numeric(base), Datum::Numeric(offset)) => {
            numeric_in_range(value, base, offset, sub, less)
        }
        (value, base, Datum::Interval(offset)) => {
            // Of a time's offset only the hours count, its sign included. Dates are made timestamps before anything else.
            for date in [value, base] {
                if let Datum::Date(date) = date {
                    date_to_timestamp(*date)?;
                }
            }
            check_sign(match value {
                Datum::Time(_) | Datum::TimeTz(..) => offset.micros < 0,
                _ => comparison_value(*offset) < 0,
            })?;
            let offset = if sub { offset.negated()? } else { *offset };
            datetime_in_range(ctx, value, base, offset).map(toward)
        }
        _ => Err(Error::unsupported("RANGE with an offset for this type")),
    }
}

fn check_sign(negative: bool) -> Result<()> {
    if negative {
        return Err(Error::new(
            SqlState::InvalidPrecedingOrFollowingSize,
            "invalid preceding or following size in window function",
        ));
    }
    Ok(())
}

fn integer(datum: &Datum) -> Option<i128> {
    match datum {
        Datum::Int2(value) => Some((*value).into()),
        Datum::Int4(value) => Some((*value).into()),
        Datum::Int8(value) => Some((*value).into()),
        _ => None,
    }
}

/// NaN is one value, above all others; an infinite base and an infinite offset that cancel put all non-NaN in range.
fn float_in_range(value: f64, base: f64, offset: f64, sub: bool, less: bool) -> Result<bool> {
    check_sign(offset.is_nan() || offset < 0.0)?;
    if value.is_nan() {
        return Ok(if base.is_nan() { true } else { !less });
    }
    if base.is_nan() {
        return Ok(less);
    }
    if offset.is_infinite() && base.is_infinite() && (base > 0.0) == sub {
        return Ok(true);
    }
    let bound = if sub { base - offset } else { base + offset };
    Ok(if less { value <= bound } else { value >= bound })
}

fn numeric_in_range(value: &Numeric, base: &Numeric, offset: &Numeric, sub: bool, less: bool) -> Result<bool> {
    let sign = |numeric: &Numeric| match numeric {
        Numeric::Small { coefficient, .. } => coefficient.signum(),
        Numeric::Big(big) if big.0.is_negative() => -1,
        Numeric::NegativeInfinity | Numeric::NaN => -1,
        Numeric::Big(_) | Numeric::Infinity => 1,
    };
    check_sign(sign(offset) < 0)?;
    let infinite = |numeric: &Numeric| matches!(numeric, Numeric::Infinity | Numeric::NegativeInfinity);
    match (value, base) {
        (Numeric::NaN, Numeric::NaN) => return Ok(true),
        (Numeric::NaN, _) => return Ok(!less),
        (_, Numeric::NaN) => return Ok(less),
        _ => {}
    }
    if infinite(offset) && infinite(base) && (sign(base) > 0) == sub {
        return Ok(true);
    }
    let bound_sign = if infinite(base) {
        Some(sign(base))
    } else if infinite(offset) {
        Some(if sub { -1 } else { 1 })
    } else {
        None
    };
    let value_sign = infinite(value).then(|| sign(value));
    let ordering = match (value_sign, bound_sign) {
        (Some(value), bound) => value.cmp(&bound.unwrap_or(0)),
        (None, Some(bound)) => 0.cmp(&bound),
        (None, None) => {
            let [value, base, offset] = aligned([value, base, offset]);
            value.cmp(&if sub { base - offset } else { base + offset })
        }
    };
    Ok(if less { ordering.is_le() } else { ordering.is_ge() })
}

/// Finite numerics at one scale.
fn aligned(values: [&Numeric; 3]) -> [BigInt; 3] {
    let parts = values.map(|value| match value {
        Numeric::Small { coefficient, scale } => (BigInt::from(*coefficient), *scale),
        Numeric::Big(big) => (big.0.clone(), big.1),
        Numeric::NaN | Numeric::Infinity | Numeric::NegativeInfinity => (BigInt::default(), 0),
    });
    let scale = parts.iter().map(|part| part.1).max().unwrap_or(0);
    parts.map(|(coefficient, own)| coefficient * BigInt::from(10).pow(u32::from(scale - own)))
}

/// How a date/time value compares with `base + offset`.
fn datetime_in_range(ctx: &CallContext, value: &Datum, base: &Datum, offset: Interval) -> Result<Ordering> {
    match (value, base) {
        (Datum::Date(value), Datum::Date(base)) => {
            Ok(date_to_timestamp(*value)?.cmp(&add_to_timestamp(date_to_timestamp(*base)?, offset)?))
        }
        (Datum::Timestamp(value), Datum::Timestamp(base)) => Ok(value.cmp(&add_to_timestamp(*base, offset)?)),
        (Datum::TimestampTz(value), Datum::TimestampTz(base)) => {
            Ok(value.cmp(&add_to_moment(&ctx.time_zone, *base, offset)?))
        }
        (Datum::Interval(value), Datum::Interval(base)) => {
            Ok(comparison_value(*value).cmp(&comparison_value(base.plus(offset)?)))
        }
        // Times do not wrap around here: what passes midnight is beyond all times.
        (Datum::Time(value), Datum::Time(base)) => Ok(value.cmp(&base.saturating_add(offset.micros))),
        (Datum::TimeTz(value, value_west), Datum::TimeTz(base, west)) => {
            let utc = |micros: i64, west: i32| micros.saturating_add(i64::from(west) * 1_000_000);
            let bound = base.saturating_add(offset.micros);
            Ok(utc(*value, *value_west).cmp(&utc(bound, *west)).then(value_west.cmp(west)))
        }
        _ => Err(Error::unsupported("RANGE with an offset for this type")),
    }
}
