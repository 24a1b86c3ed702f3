//! Sums and differences, age, justification, conversions between the types, time zones.

use super::{civil_to_utc, date_to_timestamp, local_to_utc, out_of_range, timestamp_out_of_range, utc_to_local};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::executor::functions::macros::strict;
use crate::types::datetime::calendar::{
    Civil, DATE_NOBEGIN, DATE_NOEND, TIMESTAMP_END, TIMESTAMP_NOBEGIN, TIMESTAMP_NOEND, USECS_PER_DAY, USECS_PER_SEC,
    days_in_month, is_infinite, is_valid_date, is_valid_timestamp,
};
use crate::types::datetime::{time_typmod, timestamp_typmod};
use crate::types::interval::{interval_out, interval_typmod};
use crate::types::timezone::{self, Named};
use crate::types::{Datum, Interval};
use jiff::tz::TimeZone;

fn check_timestamp(timestamp: i64) -> Result<i64> {
    if is_valid_timestamp(timestamp) { Ok(timestamp) } else { Err(timestamp_out_of_range()) }
}

fn is_infinite_date(date: i32) -> bool {
    date == DATE_NOBEGIN || date == DATE_NOEND
}

/// Adds months, the day cut to the new month's length.
fn add_months(mut civil: Civil, months: i32) -> Result<Civil> {
    if months != 0 {
        let total = i64::from(civil.year) * 12 + i64::from(civil.month - 1) + i64::from(months);
        civil.year = i32::try_from(total.div_euclid(12)).map_err(|_| timestamp_out_of_range())?;
        civil.month = total.rem_euclid(12) as i32 + 1;
        civil.day = civil.day.min(days_in_month(civil.year, civil.month));
    }
    Ok(civil)
}

fn add_days(timestamp: i64, days: i32) -> Result<i64> {
    timestamp.checked_add(i64::from(days) * USECS_PER_DAY).ok_or_else(timestamp_out_of_range).and_then(check_timestamp)
}

/// Months, then days, then time: each step on the result of the one before.
pub(super) fn timestamp_pl_interval(_: &CallContext, timestamp: i64, span: Interval) -> Result<i64> {
    add_to_timestamp(timestamp, span)
}

/// timestamp + interval
pub(in crate::executor::functions) fn add_to_timestamp(mut timestamp: i64, span: Interval) -> Result<i64> {
    if is_infinite(timestamp) {
        return Ok(timestamp);
    }
    if span.months != 0 {
        let civil = add_months(Civil::of_timestamp(timestamp), span.months)?;
        timestamp = civil.timestamp().ok_or_else(timestamp_out_of_range)?;
    }
    if span.days != 0 {
        timestamp = add_days(timestamp, span.days)?;
    }
    timestamp.checked_add(span.micros).ok_or_else(timestamp_out_of_range).and_then(check_timestamp)
}

pub(super) fn timestamp_mi_interval(ctx: &CallContext, timestamp: i64, span: Interval) -> Result<i64> {
    timestamp_pl_interval(ctx, timestamp, span.negated()?)
}

/// As [`timestamp_pl_interval`]; months and days are steps on the clocks of the session's zone.
pub(super) fn timestamptz_pl_interval(ctx: &CallContext, timestamp: i64, span: Interval) -> Result<i64> {
    add_to_moment(&ctx.time_zone, timestamp, span)
}

/// timestamptz + interval on the clocks of `zone`.
pub(in crate::executor::functions) fn add_to_moment(
    zone: &TimeZone,
    mut timestamp: i64,
    span: Interval,
) -> Result<i64> {
    if is_infinite(timestamp) {
        return Ok(timestamp);
    }
    if span.months != 0 {
        let civil = Civil::of_timestamp(utc_to_local(zone, timestamp));
        timestamp = civil_to_utc(zone, &add_months(civil, span.months)?)?;
    }
    if span.days != 0 {
        let local = utc_to_local(zone, timestamp)
            .checked_add(i64::from(span.days) * USECS_PER_DAY)
            .filter(|local| is_valid_timestamp(*local))
            .ok_or_else(timestamp_out_of_range)?;
        timestamp = civil_to_utc(zone, &Civil::of_timestamp(local))?;
    }
    timestamp.checked_add(span.micros).ok_or_else(timestamp_out_of_range).and_then(check_timestamp)
}

pub(super) fn timestamptz_mi_interval(ctx: &CallContext, timestamp: i64, span: Interval) -> Result<i64> {
    timestamptz_pl_interval(ctx, timestamp, span.negated()?)
}

/// The difference in days and time; of timestamp and timestamptz alike.
fn timestamp_mi(_: &CallContext, args: &[Datum]) -> Result<Datum> {
    let ((Datum::Timestamp(a), Datum::Timestamp(b)) | (Datum::TimestampTz(a), Datum::TimestampTz(b))) =
        (&args[0], &args[1])
    else {
        return Err(Error::internal("timestamp_mi was given another type"));
    };
    if is_infinite(*a) || is_infinite(*b) {
        return Err(out_of_range("cannot subtract infinite timestamps"));
    }
    let micros = a.checked_sub(*b).ok_or_else(crate::types::interval::out_of_range)?;
    Ok(Datum::Interval(Interval { months: 0, days: 0, micros }.justify_hours()?))
}

fn date_pli(_: &CallContext, date: i32, days: i32) -> Result<i32> {
    if is_infinite_date(date) {
        return Ok(date);
    }
    date.checked_add(days).filter(|date| is_valid_date(*date)).ok_or_else(|| out_of_range("date out of range"))
}

fn date_mii(_: &CallContext, date: i32, days: i32) -> Result<i32> {
    if is_infinite_date(date) {
        return Ok(date);
    }
    date.checked_sub(days).filter(|date| is_valid_date(*date)).ok_or_else(|| out_of_range("date out of range"))
}

fn integer_pl_date(ctx: &CallContext, days: i32, date: i32) -> Result<i32> {
    date_pli(ctx, date, days)
}

fn date_mi(_: &CallContext, a: i32, b: i32) -> Result<i32> {
    if is_infinite_date(a) || is_infinite_date(b) {
        return Err(out_of_range("cannot subtract infinite dates"));
    }
    Ok(a - b)
}

fn date_pl_interval(ctx: &CallContext, date: i32, span: Interval) -> Result<i64> {
    timestamp_pl_interval(ctx, date_to_timestamp(date)?, span)
}

fn date_mi_interval(ctx: &CallContext, date: i32, span: Interval) -> Result<i64> {
    timestamp_mi_interval(ctx, date_to_timestamp(date)?, span)
}

fn interval_pl_date(ctx: &CallContext, span: Interval, date: i32) -> Result<i64> {
    date_pl_interval(ctx, date, span)
}

fn interval_pl_timestamp(ctx: &CallContext, span: Interval, timestamp: i64) -> Result<i64> {
    timestamp_pl_interval(ctx, timestamp, span)
}

fn interval_pl_timestamptz(ctx: &CallContext, span: Interval, timestamp: i64) -> Result<i64> {
    timestamptz_pl_interval(ctx, timestamp, span)
}

/// Times wrap around midnight; months and days of the interval do not count.
pub(super) fn time_pl_interval(_: &CallContext, time: i64, span: Interval) -> Result<i64> {
    Ok((time + span.micros % USECS_PER_DAY).rem_euclid(USECS_PER_DAY))
}

fn time_mi_interval(_: &CallContext, time: i64, span: Interval) -> Result<i64> {
    Ok((time - span.micros % USECS_PER_DAY).rem_euclid(USECS_PER_DAY))
}

fn interval_pl_time(ctx: &CallContext, span: Interval, time: i64) -> Result<i64> {
    time_pl_interval(ctx, time, span)
}

fn timetz_pl_interval(ctx: &CallContext, (time, west): (i64, i32), span: Interval) -> Result<(i64, i32)> {
    Ok((time_pl_interval(ctx, time, span)?, west))
}

fn timetz_mi_interval(ctx: &CallContext, (time, west): (i64, i32), span: Interval) -> Result<(i64, i32)> {
    Ok((time_mi_interval(ctx, time, span)?, west))
}

fn interval_pl_timetz(ctx: &CallContext, span: Interval, time: (i64, i32)) -> Result<(i64, i32)> {
    timetz_pl_interval(ctx, time, span)
}

fn time_mi_time(_: &CallContext, a: i64, b: i64) -> Result<Interval> {
    Ok(Interval { micros: a - b, ..Interval::default() })
}

fn datetime_timestamp(_: &CallContext, date: i32, time: i64) -> Result<i64> {
    let midnight = date_to_timestamp(date)?;
    if is_infinite(midnight) { Ok(midnight) } else { check_timestamp(midnight + time) }
}

fn timedate_pl(ctx: &CallContext, time: i64, date: i32) -> Result<i64> {
    datetime_timestamp(ctx, date, time)
}

fn datetimetz_timestamptz(_: &CallContext, date: i32, (time, west): (i64, i32)) -> Result<i64> {
    let midnight = date_to_timestamp(date)?;
    if is_infinite(midnight) {
        return Ok(midnight);
    }
    let moment = midnight + time + i64::from(west) * USECS_PER_SEC;
    if is_valid_timestamp(moment) { Ok(moment) } else { Err(out_of_range("date out of range for timestamp")) }
}

fn timetzdate_pl(ctx: &CallContext, time: (i64, i32), date: i32) -> Result<i64> {
    datetimetz_timestamptz(ctx, date, time)
}

/// timestamptz(date, time)
fn timestamptz(ctx: &CallContext, date: i32, time: i64) -> Result<i64> {
    local_to_utc(ctx, datetime_timestamp(ctx, date, time)?)
}

fn interval_um(_: &CallContext, span: Interval) -> Result<Interval> {
    span.negated()
}

fn interval_pl(_: &CallContext, a: Interval, b: Interval) -> Result<Interval> {
    a.plus(b)
}

fn interval_mi(_: &CallContext, a: Interval, b: Interval) -> Result<Interval> {
    a.minus(b)
}

fn interval_mul(_: &CallContext, span: Interval, factor: f64) -> Result<Interval> {
    span.times(factor)
}

fn mul_d_interval(_: &CallContext, factor: f64, span: Interval) -> Result<Interval> {
    span.times(factor)
}

fn interval_div(_: &CallContext, span: Interval, divisor: f64) -> Result<Interval> {
    span.divided(divisor)
}

fn interval_justify_hours(_: &CallContext, span: Interval) -> Result<Interval> {
    span.justify_hours()
}

fn interval_justify_days(_: &CallContext, span: Interval) -> Result<Interval> {
    span.justify_days()
}

fn interval_justify_interval(_: &CallContext, span: Interval) -> Result<Interval> {
    span.justify_interval()
}

/// The difference in years, months, days and time as one counts it on a calendar: borrowed days are those of the
/// earlier date's month.
fn calendar_difference(a: i64, b: i64) -> Result<Interval> {
    if is_infinite(a) || is_infinite(b) {
        return Err(timestamp_out_of_range());
    }
    let (later, earlier) = (Civil::of_timestamp(a.max(b)), Civil::of_timestamp(a.min(b)));
    let mut months = (later.year - earlier.year) * 12 + later.month - earlier.month;
    let mut days = later.day - earlier.day;
    let mut micros = later.time() - earlier.time();
    if micros < 0 {
        micros += USECS_PER_DAY;
        days -= 1;
    }
    let month_length = days_in_month(earlier.year, earlier.month);
    while days < 0 {
        days += month_length;
        months -= 1;
    }
    let age = Interval { months, days, micros };
    if a < b { age.negated() } else { Ok(age) }
}

fn timestamp_age(_: &CallContext, a: i64, b: i64) -> Result<Interval> {
    calendar_difference(a, b)
}

fn timestamptz_age(ctx: &CallContext, a: i64, b: i64) -> Result<Interval> {
    if is_infinite(a) || is_infinite(b) {
        return Err(timestamp_out_of_range());
    }
    calendar_difference(utc_to_local(&ctx.time_zone, a), utc_to_local(&ctx.time_zone, b))
}

/// age(x): from today's midnight.
fn age(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let today = utc_to_local(&ctx.time_zone, ctx.transaction_time).div_euclid(USECS_PER_DAY) * USECS_PER_DAY;
    Ok(Datum::Interval(match args[0] {
        Datum::Timestamp(then) => calendar_difference(today, then)?,
        Datum::TimestampTz(then) => timestamptz_age(ctx, local_to_utc(ctx, today)?, then)?,
        _ => return Err(Error::internal("age was given another type")),
    }))
}

fn to_date(timestamp: i64) -> i32 {
    match timestamp {
        TIMESTAMP_NOBEGIN => DATE_NOBEGIN,
        TIMESTAMP_NOEND => DATE_NOEND,
        _ => timestamp.div_euclid(USECS_PER_DAY) as i32,
    }
}

/// A moment on the session's clocks, the infinities as they are.
fn to_local(ctx: &CallContext, moment: i64) -> i64 {
    if is_infinite(moment) { moment } else { utc_to_local(&ctx.time_zone, moment) }
}

fn date_timestamp(_: &CallContext, date: i32) -> Result<i64> {
    date_to_timestamp(date)
}

fn date_timestamptz(ctx: &CallContext, date: i32) -> Result<i64> {
    let midnight = date_to_timestamp(date)?;
    if is_infinite(midnight) {
        return Ok(midnight);
    }
    let east = timezone::offset_for_local(&ctx.time_zone, &Civil::of_date(date));
    let moment = midnight - i64::from(east) * USECS_PER_SEC;
    if is_valid_timestamp(moment) && moment < TIMESTAMP_END {
        Ok(moment)
    } else {
        Err(out_of_range("date out of range for timestamp"))
    }
}

fn timestamp_date(_: &CallContext, timestamp: i64) -> Result<i32> {
    Ok(to_date(timestamp))
}

fn timestamptz_date(ctx: &CallContext, moment: i64) -> Result<i32> {
    Ok(to_date(to_local(ctx, moment)))
}

fn timestamp_timestamptz(ctx: &CallContext, timestamp: i64) -> Result<i64> {
    local_to_utc(ctx, timestamp)
}

fn timestamptz_timestamp(ctx: &CallContext, moment: i64) -> Result<i64> {
    Ok(to_local(ctx, moment))
}

/// The time of an infinite timestamp is NULL.
fn timestamp_time(_: &CallContext, timestamp: i64) -> Result<Datum> {
    Ok(if is_infinite(timestamp) { Datum::Null } else { Datum::Time(timestamp.rem_euclid(USECS_PER_DAY)) })
}

fn timestamptz_time(ctx: &CallContext, moment: i64) -> Result<Datum> {
    timestamp_time(ctx, to_local(ctx, moment))
}

fn timestamptz_timetz(ctx: &CallContext, moment: i64) -> Result<Datum> {
    if is_infinite(moment) {
        return Ok(Datum::Null);
    }
    let east = timezone::offset_at(&ctx.time_zone, moment);
    let local = moment + i64::from(east) * USECS_PER_SEC;
    Ok(Datum::TimeTz(local.rem_euclid(USECS_PER_DAY), -east))
}

fn time_interval(_: &CallContext, time: i64) -> Result<Interval> {
    Ok(Interval { micros: time, ..Interval::default() })
}

fn interval_time(_: &CallContext, span: Interval) -> Result<i64> {
    Ok(span.micros.rem_euclid(USECS_PER_DAY))
}

/// A time without a zone is today's.
fn time_timetz(ctx: &CallContext, time: i64) -> Result<(i64, i32)> {
    let today = utc_to_local(&ctx.time_zone, ctx.transaction_time).div_euclid(USECS_PER_DAY) * USECS_PER_DAY;
    let east = timezone::offset_for_local(&ctx.time_zone, &Civil::of_timestamp(today + time.min(USECS_PER_DAY - 1)));
    Ok((time, -east))
}

fn timetz_time(_: &CallContext, (time, _): (i64, i32)) -> Result<i64> {
    Ok(time)
}

fn timestamp_scale(_: &CallContext, timestamp: i64, typmod: i32) -> Result<i64> {
    timestamp_typmod(timestamp, typmod)
}

fn timestamptz_scale(_: &CallContext, timestamp: i64, typmod: i32) -> Result<i64> {
    timestamp_typmod(timestamp, typmod)
}

fn time_scale(_: &CallContext, time: i64, typmod: i32) -> Result<i64> {
    Ok(time_typmod(time, typmod))
}

fn timetz_scale(_: &CallContext, (time, west): (i64, i32), typmod: i32) -> Result<(i64, i32)> {
    Ok((time_typmod(time, typmod), west))
}

fn interval_scale(_: &CallContext, span: Interval, typmod: i32) -> Result<Interval> {
    interval_typmod(span, typmod)
}

fn date_finite(_: &CallContext, date: i32) -> Result<bool> {
    Ok(!is_infinite_date(date))
}

fn timestamp_finite(_: &CallContext, args: &[Datum]) -> Result<Datum> {
    match args[0] {
        Datum::Timestamp(value) | Datum::TimestampTz(value) => Ok(Datum::Bool(!is_infinite(value))),
        _ => Err(Error::internal("timestamp_finite was given another type")),
    }
}

fn interval_finite(_: &CallContext, _: Interval) -> Result<bool> {
    Ok(true)
}

fn zone_named(name: &str) -> Result<Named> {
    Named::find(name)
        .ok_or_else(|| Error::new(SqlState::InvalidParameterValue, format!("time zone \"{name}\" not recognized")))
}

/// An interval as an offset: seconds east of UTC.
fn zone_interval(zone: Interval) -> Result<i64> {
    if zone.months == 0 && zone.days == 0 {
        return Ok(zone.micros / USECS_PER_SEC);
    }
    let mut text = String::new();
    interval_out(zone, Default::default(), &mut text);
    Err(Error::new(
        SqlState::InvalidParameterValue,
        format!("interval time zone \"{text}\" must not include months or days"),
    ))
}

fn timestamp_zone(_: &CallContext, zone: &str, timestamp: i64) -> Result<i64> {
    if is_infinite(timestamp) {
        return Ok(timestamp);
    }
    let civil = Civil::of_timestamp(timestamp);
    let east = zone_named(zone)?.offset_for_local(&civil);
    check_timestamp(timestamp - i64::from(east) * USECS_PER_SEC)
}

fn timestamptz_zone(_: &CallContext, zone: &str, moment: i64) -> Result<i64> {
    if is_infinite(moment) {
        return Ok(moment);
    }
    let east = zone_named(zone)?.offset_at(moment);
    check_timestamp(moment + i64::from(east) * USECS_PER_SEC)
}

fn timestamp_izone(_: &CallContext, zone: Interval, timestamp: i64) -> Result<i64> {
    if is_infinite(timestamp) {
        return Ok(timestamp);
    }
    shift(timestamp, -zone_interval(zone)?)
}

fn timestamptz_izone(_: &CallContext, zone: Interval, moment: i64) -> Result<i64> {
    if is_infinite(moment) {
        return Ok(moment);
    }
    shift(moment, zone_interval(zone)?)
}

fn shift(timestamp: i64, seconds: i64) -> Result<i64> {
    seconds
        .checked_mul(USECS_PER_SEC)
        .and_then(|micros| timestamp.checked_add(micros))
        .ok_or_else(timestamp_out_of_range)
        .and_then(check_timestamp)
}

fn timetz_in_zone((time, west): (i64, i32), new_west: i32) -> (i64, i32) {
    let moved = time + i64::from(west - new_west) * USECS_PER_SEC;
    (moved.rem_euclid(USECS_PER_DAY), new_west)
}

/// A zone's offset for a time without a date is the one in force at the transaction's start.
fn timetz_zone(ctx: &CallContext, zone: &str, time: (i64, i32)) -> Result<(i64, i32)> {
    let east = zone_named(zone)?.offset_at(ctx.transaction_time);
    Ok(timetz_in_zone(time, -east))
}

fn timetz_izone(_: &CallContext, zone: Interval, time: (i64, i32)) -> Result<(i64, i32)> {
    let east = i32::try_from(zone_interval(zone)?).map_err(|_| crate::types::interval::out_of_range())?;
    Ok(timetz_in_zone(time, -east))
}

strict! {
    TABLE:
    timestamp_pl_interval: (Timestamp, Interval) -> Timestamp;
    timestamp_mi_interval: (Timestamp, Interval) -> Timestamp;
    timestamptz_pl_interval: (TimestampTz, Interval) -> TimestampTz;
    timestamptz_mi_interval: (TimestampTz, Interval) -> TimestampTz;
    timestamp_mi = row;
    date_pli: (Date, Int4) -> Date;
    date_mii: (Date, Int4) -> Date;
    integer_pl_date: (Int4, Date) -> Date;
    date_mi: (Date, Date) -> Int4;
    date_pl_interval: (Date, Interval) -> Timestamp;
    date_mi_interval: (Date, Interval) -> Timestamp;
    interval_pl_date: (Interval, Date) -> Timestamp;
    interval_pl_timestamp: (Interval, Timestamp) -> Timestamp;
    interval_pl_timestamptz: (Interval, TimestampTz) -> TimestampTz;
    time_pl_interval: (Time, Interval) -> Time, safe;
    time_mi_interval: (Time, Interval) -> Time, safe;
    interval_pl_time: (Interval, Time) -> Time, safe;
    timetz_pl_interval: (TimeTz, Interval) -> TimeTz, safe;
    timetz_mi_interval: (TimeTz, Interval) -> TimeTz, safe;
    interval_pl_timetz: (Interval, TimeTz) -> TimeTz, safe;
    time_mi_time: (Time, Time) -> Interval, safe;
    datetime_timestamp: (Date, Time) -> Timestamp;
    timedate_pl: (Time, Date) -> Timestamp;
    datetimetz_timestamptz: (Date, TimeTz) -> TimestampTz;
    timetzdate_pl: (TimeTz, Date) -> TimestampTz;
    timestamptz: (Date, Time) -> TimestampTz;
    interval_um: (Interval) -> Interval;
    interval_pl: (Interval, Interval) -> Interval;
    interval_mi: (Interval, Interval) -> Interval;
    interval_mul: (Interval, Float8) -> Interval;
    mul_d_interval: (Float8, Interval) -> Interval;
    interval_div: (Interval, Float8) -> Interval;
    interval_justify_hours: (Interval) -> Interval;
    interval_justify_days: (Interval) -> Interval;
    interval_justify_interval: (Interval) -> Interval;
    timestamp_age: (Timestamp, Timestamp) -> Interval;
    timestamptz_age: (TimestampTz, TimestampTz) -> Interval;
    age = row;
    date_timestamp: (Date) -> Timestamp;
    date_timestamptz: (Date) -> TimestampTz;
    timestamp_date: (Timestamp) -> Date, safe;
    timestamptz_date: (TimestampTz) -> Date, safe;
    timestamp_timestamptz: (Timestamp) -> TimestampTz;
    timestamptz_timestamp: (TimestampTz) -> Timestamp, safe;
    timestamp_time: (Timestamp) -> Any, safe;
    timestamptz_time: (TimestampTz) -> Any, safe;
    timestamptz_timetz: (TimestampTz) -> Any, safe;
    time_interval: (Time) -> Interval, safe;
    interval_time: (Interval) -> Time, safe;
    time_timetz: (Time) -> TimeTz, safe;
    timetz_time: (TimeTz) -> Time, safe;
    timestamp_scale: (Timestamp, Int4) -> Timestamp;
    timestamptz_scale: (TimestampTz, Int4) -> TimestampTz;
    time_scale: (Time, Int4) -> Time, safe;
    timetz_scale: (TimeTz, Int4) -> TimeTz, safe;
    interval_scale: (Interval, Int4) -> Interval;
    date_finite: (Date) -> Bool, safe;
    timestamp_finite = safe_row;
    interval_finite: (Interval) -> Bool, safe;
    timestamp_zone: (Text, Timestamp) -> TimestampTz;
    timestamptz_zone: (Text, TimestampTz) -> Timestamp;
    timestamp_izone: (Interval, Timestamp) -> TimestampTz;
    timestamptz_izone: (Interval, TimestampTz) -> Timestamp;
    timetz_zone: (Text, TimeTz) -> TimeTz;
    timetz_izone: (Interval, TimeTz) -> TimeTz;
}
