//! generate_series over integers, numeric and timestamps.

use super::datetime::arithmetic::{add_to_moment, add_to_timestamp};
use super::macros::strict;
use super::{CallContext, Rows};
use crate::error::{Error, Result, SqlState};
use crate::types::interval::comparison_value;
use crate::types::numeric::Numeric;
use crate::types::{Datum, Interval};
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};
use std::sync::Arc;

fn zero_step() -> Error {
    Error::new(SqlState::InvalidParameterValue, "step size cannot equal zero")
}

fn wrong_type() -> Error {
    Error::internal("generate_series was given another type")
}

/// From `start` to `stop` by `step`, ending quietly where the type ends.
fn integers(start: i64, stop: i64, step: i64, of: fn(i64) -> Datum, in_type: fn(i64) -> bool) -> Result<Rows> {
    if step == 0 {
        return Err(zero_step());
    }
    let within = move |value: &i64| if step > 0 { *value <= stop } else { *value >= stop };
    let following = move |value: &i64| value.checked_add(step).filter(|next| in_type(*next)).filter(within);
    let first = Some(start).filter(within);
    Ok(Box::new(std::iter::successors(first, following).map(move |value| Ok(of(value)))))
}

fn generate_series_step_int4(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let (Datum::Int4(start), Datum::Int4(stop)) = (&args[0], &args[1]) else { return Err(wrong_type()) };
    let step = match args.get(2) {
        None => 1,
        Some(Datum::Int4(step)) => *step,
        Some(_) => return Err(wrong_type()),
    };
    let in_type = |value: i64| i32::try_from(value).is_ok();
    integers((*start).into(), (*stop).into(), step.into(), |value| Datum::Int4(value as i32), in_type)
}

fn generate_series_step_int8(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let (Datum::Int8(start), Datum::Int8(stop)) = (&args[0], &args[1]) else { return Err(wrong_type()) };
    let step = match args.get(2) {
        None => 1,
        Some(Datum::Int8(step)) => *step,
        Some(_) => return Err(wrong_type()),
    };
    integers(*start, *stop, step, Datum::Int8, |_| true)
}

use generate_series_step_int4 as generate_series_int4;
use generate_series_step_int8 as generate_series_int8;
use generate_series_step_numeric as generate_series_numeric;

/// A finite numeric's digits and scale; 22023 naming the argument for the others.
fn finite(value: &Datum, what: &str) -> Result<(BigInt, u16)> {
    let Datum::Numeric(value) = value else { return Err(wrong_type()) };
    let special = match value {
        Numeric::Small { coefficient, scale } => return Ok((BigInt::from(*coefficient), *scale)),
        Numeric::Big(big) => return Ok((big.0.clone(), big.1)),
        Numeric::NaN => "NaN",
        Numeric::Infinity | Numeric::NegativeInfinity => "infinity",
    };
    Err(Error::new(SqlState::InvalidParameterValue, format!("{what} cannot be {special}")))
}

/// The first value shows its own scale, later ones that of the sum.
fn generate_series_step_numeric(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let (start, start_scale) = finite(&args[0], "start value")?;
    let (stop, stop_scale) = finite(&args[1], "stop value")?;
    let (step, step_scale) = match args.get(2) {
        Some(step) => finite(step, "step size")?,
        None => (BigInt::from(1), 0),
    };
    if step.is_zero() {
        return Err(zero_step());
    }
    let common = start_scale.max(stop_scale).max(step_scale);
    let align = |value: BigInt, scale: u16| value * BigInt::from(10).pow(u32::from(common - scale));
    let (mut next, stop, step) = (align(start, start_scale), align(stop, stop_scale), align(step, step_scale));
    let mut shown_scale = start_scale;
    Ok(Box::new(std::iter::from_fn(move || {
        if if step.is_positive() { next > stop } else { next < stop } {
            return None;
        }
        let shown = &next / BigInt::from(10).pow(u32::from(common - shown_scale));
        let value = match shown.to_i64() {
            Some(coefficient) => Numeric::Small { coefficient, scale: shown_scale },
            None => Numeric::Big(Arc::new((shown, shown_scale))),
        };
        next += &step;
        shown_scale = start_scale.max(step_scale);
        Some(Ok(Datum::Numeric(value)))
    })))
}

/// Steps by an interval; the series ends with the first error of the addition.
fn timestamps(
    start: i64,
    stop: i64,
    step: Interval,
    of: fn(i64) -> Datum,
    add: impl Fn(i64) -> Result<i64> + Send + 'static,
) -> Result<Rows> {
    let direction = comparison_value(step).signum();
    if direction == 0 {
        return Err(zero_step());
    }
    let mut next = Some(start);
    Ok(Box::new(std::iter::from_fn(move || {
        let current = next.filter(|next| if direction > 0 { *next <= stop } else { *next >= stop })?;
        match add(current) {
            Ok(following) => next = Some(following),
            Err(error) => {
                next = None;
                return Some(Err(error));
            }
        }
        Some(Ok(of(current)))
    })))
}

fn generate_series_timestamp(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let (Datum::Timestamp(start), Datum::Timestamp(stop), Datum::Interval(step)) = (&args[0], &args[1], &args[2])
    else {
        return Err(wrong_type());
    };
    let step = *step;
    timestamps(*start, *stop, step, Datum::Timestamp, move |timestamp| add_to_timestamp(timestamp, step))
}

fn generate_series_timestamptz(ctx: &CallContext, args: &[Datum]) -> Result<Rows> {
    let (Datum::TimestampTz(start), Datum::TimestampTz(stop), Datum::Interval(step)) = (&args[0], &args[1], &args[2])
    else {
        return Err(wrong_type());
    };
    let (step, zone) = (*step, ctx.time_zone.clone());
    timestamps(*start, *stop, step, Datum::TimestampTz, move |moment| add_to_moment(&zone, moment, step))
}

strict! {
    TABLE:
    generate_series_int4 = set;
    generate_series_step_int4 = set;
    generate_series_int8 = set;
    generate_series_step_int8 = set;
    generate_series_numeric = set;
    generate_series_step_numeric = set;
    generate_series_timestamp = set;
    generate_series_timestamptz = set;
}
