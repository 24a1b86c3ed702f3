//! Comparisons within and across the date/time types, and OVERLAPS.

use super::arithmetic;
use crate::error::Result;
use crate::executor::functions::CallContext;
use crate::executor::functions::macros::strict;
use crate::types::datetime::calendar::{Civil, USECS_PER_DAY, USECS_PER_SEC, is_infinite};
use crate::types::datetime::calendar::{DATE_NOBEGIN, DATE_NOEND, TIMESTAMP_NOBEGIN, TIMESTAMP_NOEND};
use crate::types::interval::comparison_value;
use crate::types::{Datum, Interval, timezone};
use std::cmp::Ordering;

/// Six operators and the support function of one pair of types.
macro_rules! comparisons {
    ($compare:ident ($left:ty, $right:ty): $eq:ident $ne:ident $lt:ident $le:ident $gt:ident $ge:ident $cmp:ident) => {
        fn $eq(ctx: &CallContext, a: $left, b: $right) -> Result<bool> {
            Ok($compare(ctx, a, b).is_eq())
        }
        fn $ne(ctx: &CallContext, a: $left, b: $right) -> Result<bool> {
            Ok($compare(ctx, a, b).is_ne())
        }
        fn $lt(ctx: &CallContext, a: $left, b: $right) -> Result<bool> {
            Ok($compare(ctx, a, b).is_lt())
        }
        fn $le(ctx: &CallContext, a: $left, b: $right) -> Result<bool> {
            Ok($compare(ctx, a, b).is_le())
        }
        fn $gt(ctx: &CallContext, a: $left, b: $right) -> Result<bool> {
            Ok($compare(ctx, a, b).is_gt())
        }
        fn $ge(ctx: &CallContext, a: $left, b: $right) -> Result<bool> {
            Ok($compare(ctx, a, b).is_ge())
        }
        fn $cmp(ctx: &CallContext, a: $left, b: $right) -> Result<i32> {
            Ok($compare(ctx, a, b) as i32)
        }
    };
}

fn dates(_: &CallContext, a: i32, b: i32) -> Ordering {
    a.cmp(&b)
}

fn micros(_: &CallContext, a: i64, b: i64) -> Ordering {
    a.cmp(&b)
}

fn intervals(_: &CallContext, a: Interval, b: Interval) -> Ordering {
    comparison_value(a).cmp(&comparison_value(b))
}

/// By the moment, then by the zone, so that only equal zones are equal.
fn zoned_times(_: &CallContext, a: (i64, i32), b: (i64, i32)) -> Ordering {
    let utc = |(micros, west): (i64, i32)| micros + i64::from(west) * USECS_PER_SEC;
    utc(a).cmp(&utc(b)).then(a.1.cmp(&b.1))
}

/// A date's midnight, without a limit but for the infinities.
fn wide_date(date: i32) -> i128 {
    match date {
        DATE_NOBEGIN => i128::MIN,
        DATE_NOEND => i128::MAX,
        _ => i128::from(date) * i128::from(USECS_PER_DAY),
    }
}

fn wide_timestamp(timestamp: i64) -> i128 {
    match timestamp {
        TIMESTAMP_NOBEGIN => i128::MIN,
        TIMESTAMP_NOEND => i128::MAX,
        _ => timestamp.into(),
    }
}

/// A local timestamp in UTC, without a limit.
fn wide_utc(ctx: &CallContext, local: i64) -> i128 {
    if is_infinite(local) {
        return wide_timestamp(local);
    }
    let east = timezone::offset_for_local(&ctx.time_zone, &Civil::of_timestamp(local));
    i128::from(local) - i128::from(east) * i128::from(USECS_PER_SEC)
}

/// A date's local midnight in UTC, without a limit.
fn wide_date_utc(ctx: &CallContext, date: i32) -> i128 {
    if date == DATE_NOBEGIN || date == DATE_NOEND {
        return wide_date(date);
    }
    let east = timezone::offset_for_local(&ctx.time_zone, &Civil::of_date(date));
    wide_date(date) - i128::from(east) * i128::from(USECS_PER_SEC)
}

fn date_timestamp(_: &CallContext, a: i32, b: i64) -> Ordering {
    wide_date(a).cmp(&wide_timestamp(b))
}

fn timestamp_date(ctx: &CallContext, a: i64, b: i32) -> Ordering {
    date_timestamp(ctx, b, a).reverse()
}

fn date_timestamptz(ctx: &CallContext, a: i32, b: i64) -> Ordering {
    wide_date_utc(ctx, a).cmp(&wide_timestamp(b))
}

fn timestamptz_date(ctx: &CallContext, a: i64, b: i32) -> Ordering {
    date_timestamptz(ctx, b, a).reverse()
}

fn timestamp_timestamptz(ctx: &CallContext, a: i64, b: i64) -> Ordering {
    wide_utc(ctx, a).cmp(&wide_timestamp(b))
}

fn timestamptz_timestamp(ctx: &CallContext, a: i64, b: i64) -> Ordering {
    timestamp_timestamptz(ctx, b, a).reverse()
}

comparisons!(dates(i32, i32): date_eq date_ne date_lt date_le date_gt date_ge date_cmp);
comparisons!(micros(i64, i64): time_eq time_ne time_lt time_le time_gt time_ge time_cmp);
comparisons!(intervals(Interval, Interval): interval_eq interval_ne interval_lt interval_le interval_gt interval_ge interval_cmp);
comparisons!(zoned_times((i64, i32), (i64, i32)): timetz_eq timetz_ne timetz_lt timetz_le timetz_gt timetz_ge timetz_cmp);
comparisons!(date_timestamp(i32, i64):
    date_eq_timestamp date_ne_timestamp date_lt_timestamp date_le_timestamp date_gt_timestamp date_ge_timestamp
    date_cmp_timestamp);
comparisons!(timestamp_date(i64, i32):
    timestamp_eq_date timestamp_ne_date timestamp_lt_date timestamp_le_date timestamp_gt_date timestamp_ge_date
    timestamp_cmp_date);
comparisons!(date_timestamptz(i32, i64):
    date_eq_timestamptz date_ne_timestamptz date_lt_timestamptz date_le_timestamptz date_gt_timestamptz
    date_ge_timestamptz date_cmp_timestamptz);
comparisons!(timestamptz_date(i64, i32):
    timestamptz_eq_date timestamptz_ne_date timestamptz_lt_date timestamptz_le_date timestamptz_gt_date
    timestamptz_ge_date timestamptz_cmp_date);
comparisons!(timestamp_timestamptz(i64, i64):
    timestamp_eq_timestamptz timestamp_ne_timestamptz timestamp_lt_timestamptz timestamp_le_timestamptz
    timestamp_gt_timestamptz timestamp_ge_timestamptz timestamp_cmp_timestamptz);
comparisons!(timestamptz_timestamp(i64, i64):
    timestamptz_eq_timestamp timestamptz_ne_timestamp timestamptz_lt_timestamp timestamptz_le_timestamp
    timestamptz_gt_timestamp timestamptz_ge_timestamp timestamptz_cmp_timestamp);

fn date_larger(_: &CallContext, a: i32, b: i32) -> Result<i32> {
    Ok(a.max(b))
}

fn date_smaller(_: &CallContext, a: i32, b: i32) -> Result<i32> {
    Ok(a.min(b))
}

fn time_larger(_: &CallContext, a: i64, b: i64) -> Result<i64> {
    Ok(a.max(b))
}

fn time_smaller(_: &CallContext, a: i64, b: i64) -> Result<i64> {
    Ok(a.min(b))
}

/// The timestamp functions serve timestamptz too.
fn timestamp_larger(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    Ok(pick(ctx, args, Ordering::Greater))
}

fn timestamp_smaller(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    Ok(pick(ctx, args, Ordering::Less))
}

fn pick(_: &CallContext, args: &[Datum], wanted: Ordering) -> Datum {
    let first = instant(&args[0]).cmp(&instant(&args[1])) == wanted;
    args[usize::from(!first)].clone()
}

fn interval_larger(ctx: &CallContext, a: Interval, b: Interval) -> Result<Interval> {
    Ok(if intervals(ctx, a, b).is_gt() { a } else { b })
}

fn interval_smaller(ctx: &CallContext, a: Interval, b: Interval) -> Result<Interval> {
    Ok(if intervals(ctx, a, b).is_lt() { a } else { b })
}

fn timetz_larger(ctx: &CallContext, a: (i64, i32), b: (i64, i32)) -> Result<(i64, i32)> {
    Ok(if zoned_times(ctx, a, b).is_gt() { a } else { b })
}

fn timetz_smaller(ctx: &CallContext, a: (i64, i32), b: (i64, i32)) -> Result<(i64, i32)> {
    Ok(if zoned_times(ctx, a, b).is_lt() { a } else { b })
}

/// The number that a timestamp, timestamptz or time is.
fn instant(datum: &Datum) -> Option<i64> {
    match datum {
        Datum::Timestamp(value) | Datum::TimestampTz(value) | Datum::Time(value) => Some(*value),
        _ => None,
    }
}

/// The comparison functions of timestamp are those of timestamptz too (one prosrc).
macro_rules! instants {
    ($($symbol:ident => $test:ident;)*) => {
        $(fn $symbol(_: &CallContext, args: &[Datum]) -> Result<Datum> {
            Ok(Datum::Bool(instant(&args[0]).cmp(&instant(&args[1])).$test()))
        })*
    };
}

instants! {
    timestamp_eq => is_eq;
    timestamp_ne => is_ne;
    timestamp_lt => is_lt;
    timestamp_le => is_le;
    timestamp_gt => is_gt;
    timestamp_ge => is_ge;
}

fn timestamp_cmp(_: &CallContext, args: &[Datum]) -> Result<Datum> {
    Ok(Datum::Int4(instant(&args[0]).cmp(&instant(&args[1])) as i32))
}

/// OVERLAPS of two periods, each given by two points in any order; `None` is NULL.
///
/// A single NULL point makes a period that begins (or ends) at the other one.
fn overlap<T: Copy>(
    mut first: [Option<T>; 2],
    mut second: [Option<T>; 2],
    compare: impl Fn(T, T) -> Ordering,
) -> Option<bool> {
    for period in [&mut first, &mut second] {
        match *period {
            [None, _] => period.swap(0, 1),
            [Some(start), Some(end)] if compare(start, end).is_gt() => period.swap(0, 1),
            _ => {}
        }
    }
    let ([Some(first_start), first_end], [Some(second_start), second_end]) = (first, second) else { return None };
    let (earlier_end, later_start, later_end) = match compare(first_start, second_start) {
        Ordering::Equal => return first_end.and(second_end).map(|_| true),
        Ordering::Less => (first_end, second_start, second_end),
        Ordering::Greater => (second_end, first_start, first_end),
    };
    if compare(later_start, earlier_end?).is_lt() {
        return Some(true);
    }
    later_end.map(|_| false)
}

fn overlaps_row<T: Copy>(
    args: &[Datum],
    of: impl Fn(&Datum) -> Option<T>,
    compare: impl Fn(T, T) -> Ordering,
) -> Result<Datum> {
    let [a, b, c, d] = [0, 1, 2, 3].map(|index| of(&args[index]));
    Ok(overlap([a, b], [c, d], compare).map_or(Datum::Null, Datum::Bool))
}

fn overlaps_timestamp(_: &CallContext, args: &[Datum]) -> Result<Datum> {
    overlaps_row(args, instant, |a, b| a.cmp(&b))
}

fn overlaps_time(_: &CallContext, args: &[Datum]) -> Result<Datum> {
    overlaps_row(args, instant, |a, b| a.cmp(&b))
}

fn overlaps_timetz(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let of = |datum: &Datum| match datum {
        Datum::TimeTz(micros, west) => Some((*micros, *west)),
        _ => None,
    };
    overlaps_row(args, of, |a, b| zoned_times(ctx, a, b))
}

/// The forms of OVERLAPS that give an end as an interval.
fn overlaps(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let mut points = args.to_vec();
    for (start, end) in [(0, 1), (2, 3)] {
        if let Datum::Interval(length) = args[end] {
            points[end] = match args[start] {
                Datum::Null => Datum::Null,
                Datum::Timestamp(start) => Datum::Timestamp(arithmetic::timestamp_pl_interval(ctx, start, length)?),
                Datum::TimestampTz(start) => {
                    Datum::TimestampTz(arithmetic::timestamptz_pl_interval(ctx, start, length)?)
                }
                Datum::Time(start) => Datum::Time(arithmetic::time_pl_interval(ctx, start, length)?),
                _ => return Err(crate::error::Error::internal("OVERLAPS was given another type")),
            };
        }
    }
    overlaps_timestamp(ctx, &points)
}

strict! {
    TABLE:
    date_eq: (Date, Date) -> Bool, safe;
    date_ne: (Date, Date) -> Bool, safe;
    date_lt: (Date, Date) -> Bool, safe;
    date_le: (Date, Date) -> Bool, safe;
    date_gt: (Date, Date) -> Bool, safe;
    date_ge: (Date, Date) -> Bool, safe;
    date_cmp: (Date, Date) -> Int4, safe;
    time_eq: (Time, Time) -> Bool, safe;
    time_ne: (Time, Time) -> Bool, safe;
    time_lt: (Time, Time) -> Bool, safe;
    time_le: (Time, Time) -> Bool, safe;
    time_gt: (Time, Time) -> Bool, safe;
    time_ge: (Time, Time) -> Bool, safe;
    time_cmp: (Time, Time) -> Int4, safe;
    interval_eq: (Interval, Interval) -> Bool, safe;
    interval_ne: (Interval, Interval) -> Bool, safe;
    interval_lt: (Interval, Interval) -> Bool, safe;
    interval_le: (Interval, Interval) -> Bool, safe;
    interval_gt: (Interval, Interval) -> Bool, safe;
    interval_ge: (Interval, Interval) -> Bool, safe;
    interval_cmp: (Interval, Interval) -> Int4, safe;
    timetz_eq: (TimeTz, TimeTz) -> Bool, safe;
    timetz_ne: (TimeTz, TimeTz) -> Bool, safe;
    timetz_lt: (TimeTz, TimeTz) -> Bool, safe;
    timetz_le: (TimeTz, TimeTz) -> Bool, safe;
    timetz_gt: (TimeTz, TimeTz) -> Bool, safe;
    timetz_ge: (TimeTz, TimeTz) -> Bool, safe;
    timetz_cmp: (TimeTz, TimeTz) -> Int4, safe;
    date_eq_timestamp: (Date, Timestamp) -> Bool, safe;
    date_ne_timestamp: (Date, Timestamp) -> Bool, safe;
    date_lt_timestamp: (Date, Timestamp) -> Bool, safe;
    date_le_timestamp: (Date, Timestamp) -> Bool, safe;
    date_gt_timestamp: (Date, Timestamp) -> Bool, safe;
    date_ge_timestamp: (Date, Timestamp) -> Bool, safe;
    date_cmp_timestamp: (Date, Timestamp) -> Int4, safe;
    timestamp_eq_date: (Timestamp, Date) -> Bool, safe;
    timestamp_ne_date: (Timestamp, Date) -> Bool, safe;
    timestamp_lt_date: (Timestamp, Date) -> Bool, safe;
    timestamp_le_date: (Timestamp, Date) -> Bool, safe;
    timestamp_gt_date: (Timestamp, Date) -> Bool, safe;
    timestamp_ge_date: (Timestamp, Date) -> Bool, safe;
    timestamp_cmp_date: (Timestamp, Date) -> Int4, safe;
    date_eq_timestamptz: (Date, TimestampTz) -> Bool, safe;
    date_ne_timestamptz: (Date, TimestampTz) -> Bool, safe;
    date_lt_timestamptz: (Date, TimestampTz) -> Bool, safe;
    date_le_timestamptz: (Date, TimestampTz) -> Bool, safe;
    date_gt_timestamptz: (Date, TimestampTz) -> Bool, safe;
    date_ge_timestamptz: (Date, TimestampTz) -> Bool, safe;
    date_cmp_timestamptz: (Date, TimestampTz) -> Int4, safe;
    timestamptz_eq_date: (TimestampTz, Date) -> Bool, safe;
    timestamptz_ne_date: (TimestampTz, Date) -> Bool, safe;
    timestamptz_lt_date: (TimestampTz, Date) -> Bool, safe;
    timestamptz_le_date: (TimestampTz, Date) -> Bool, safe;
    timestamptz_gt_date: (TimestampTz, Date) -> Bool, safe;
    timestamptz_ge_date: (TimestampTz, Date) -> Bool, safe;
    timestamptz_cmp_date: (TimestampTz, Date) -> Int4, safe;
    timestamp_eq_timestamptz: (Timestamp, TimestampTz) -> Bool, safe;
    timestamp_ne_timestamptz: (Timestamp, TimestampTz) -> Bool, safe;
    timestamp_lt_timestamptz: (Timestamp, TimestampTz) -> Bool, safe;
    timestamp_le_timestamptz: (Timestamp, TimestampTz) -> Bool, safe;
    timestamp_gt_timestamptz: (Timestamp, TimestampTz) -> Bool, safe;
    timestamp_ge_timestamptz: (Timestamp, TimestampTz) -> Bool, safe;
    timestamp_cmp_timestamptz: (Timestamp, TimestampTz) -> Int4, safe;
    timestamptz_eq_timestamp: (TimestampTz, Timestamp) -> Bool, safe;
    timestamptz_ne_timestamp: (TimestampTz, Timestamp) -> Bool, safe;
    timestamptz_lt_timestamp: (TimestampTz, Timestamp) -> Bool, safe;
    timestamptz_le_timestamp: (TimestampTz, Timestamp) -> Bool, safe;
    timestamptz_gt_timestamp: (TimestampTz, Timestamp) -> Bool, safe;
    timestamptz_ge_timestamp: (TimestampTz, Timestamp) -> Bool, safe;
    timestamptz_cmp_timestamp: (TimestampTz, Timestamp) -> Int4, safe;
    timestamp_eq = safe_row;
    timestamp_ne = safe_row;
    timestamp_lt = safe_row;
    timestamp_le = safe_row;
    timestamp_gt = safe_row;
    timestamp_ge = safe_row;
    timestamp_cmp = safe_row;
    date_larger: (Date, Date) -> Date, safe;
    date_smaller: (Date, Date) -> Date, safe;
    time_larger: (Time, Time) -> Time, safe;
    time_smaller: (Time, Time) -> Time, safe;
    interval_larger: (Interval, Interval) -> Interval, safe;
    interval_smaller: (Interval, Interval) -> Interval, safe;
    timetz_larger: (TimeTz, TimeTz) -> TimeTz, safe;
    timetz_smaller: (TimeTz, TimeTz) -> TimeTz, safe;
    timestamp_larger = safe_row;
    timestamp_smaller = safe_row;
    overlaps_timestamp = safe_row;
    overlaps_time = safe_row;
    overlaps_timetz = safe_row;
    overlaps = row;
}
