//! The clock, and values made from numbers.

use super::{civil_to_utc, out_of_range, timestamp_out_of_range, utc_to_local};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::executor::functions::macros::strict;
use crate::types::Interval;
use crate::types::datetime::calendar::{
    Civil, DAYS, EPOCH_JULIAN, MONTHS, TIMESTAMP_NOBEGIN, TIMESTAMP_NOEND, UNIX_EPOCH_DAYS, USECS_PER_DAY,
    USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC, days_in_month, is_valid_date, is_valid_julian, is_valid_timestamp,
};
use crate::types::datetime::numeric_zone;
use crate::types::text_io::float8_out;
use crate::types::timezone::{self, Named};
use std::time::{SystemTime, UNIX_EPOCH};

fn now(ctx: &CallContext) -> Result<i64> {
    Ok(ctx.transaction_time)
}

fn statement_timestamp(ctx: &CallContext) -> Result<i64> {
    Ok(ctx.statement_time)
}

fn clock_timestamp(_: &CallContext) -> Result<i64> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as i64);
    Ok(since_1970 + i64::from(UNIX_EPOCH_DAYS) * USECS_PER_DAY)
}

fn timeofday(ctx: &CallContext, out: &mut String) -> Result<()> {
    let moment = clock_timestamp(ctx)?;
    let civil = Civil::of_timestamp(utc_to_local(&ctx.time_zone, moment));
    let (_, _, letters) = timezone::offset_info(&ctx.time_zone, moment);
    let weekday = &DAYS[civil.weekday() as usize][..3];
    let month = &MONTHS[civil.month as usize - 1][..3];
    let Civil { year, day, hour, minute, second, micros, .. } = civil;
    out.push_str(&format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02}.{micros:06} {year} {letters}"));
    Ok(())
}

/// A date from fields, where a negative year is BC.
fn civil_date(year: i32, month: i32, day: i32) -> Result<Civil> {
    let invalid = || out_of_range(format!("date field value out of range: {year}-{month:02}-{day:02}"));
    let astronomical = match year {
        0 => return Err(invalid()),
        ..0 => year.checked_add(1).ok_or_else(invalid)?,
        _ => year,
    };
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(astronomical, month) {
        return Err(invalid());
    }
    if !is_valid_julian(astronomical, month) {
        return Err(out_of_range(format!("date out of range: {year}-{month:02}-{day:02}")));
    }
    Ok(Civil { year: astronomical, month, day, ..Civil::default() })
}

/// A time of day from fields.
fn clock(hour: i32, minute: i32, second: f64) -> Result<i64> {
    let micros = (second * USECS_PER_SEC as f64).round_ties_even();
    let in_range =
        (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0 * USECS_PER_SEC as f64).contains(&micros);
    let time = i64::from(hour) * USECS_PER_HOUR + i64::from(minute) * USECS_PER_MINUTE;
    if in_range && time + micros as i64 <= USECS_PER_DAY {
        return Ok(time + micros as i64);
    }
    Err(out_of_range(format!("time field value out of range: {hour}:{minute:02}:{}", two_digits(second))))
}

/// C's `%02g` of a number of seconds.
fn two_digits(second: f64) -> String {
    format!("{:0>2}", six_digits(second))
}

/// C's `%g`.
fn six_digits(value: f64) -> String {
    let mut text = String::new();
    // Fifteen digits less nine.
    float8_out(value, -9, &mut text);
    text
}

fn make_date(_: &CallContext, year: i32, month: i32, day: i32) -> Result<i32> {
    // The year in this function's message is the astronomical one.
    let astronomical = if year < 0 { year.saturating_add(1) } else { year };
    let days = civil_date(year, month, day)
        .map_err(|mut error| {
            let message = &mut error.report_mut().message;
            *message = message.replace(&format!(" {year}-"), &format!(" {astronomical}-"));
            error
        })?
        .days();
    if is_valid_date(days) {
        return Ok(days);
    }
    Err(out_of_range(format!("date out of range: {year}-{month:02}-{day:02}")))
}

fn make_time(_: &CallContext, hour: i32, minute: i32, second: f64) -> Result<i64> {
    clock(hour, minute, second)
}

fn make_timestamp(
    _: &CallContext,
    year: i32,
    month: i32,
    day: i32,
    hour: i32,
    minute: i32,
    second: f64,
) -> Result<i64> {
    let midnight = i64::from(civil_date(year, month, day)?.days()).checked_mul(USECS_PER_DAY);
    let time = clock(hour, minute, second)?;
    midnight
        .and_then(|midnight| midnight.checked_add(time))
        .filter(|timestamp| is_valid_timestamp(*timestamp))
        .ok_or_else(|| {
            let second = two_digits(second);
            out_of_range(format!("timestamp out of range: {year}-{month:02}-{day:02} {hour}:{minute:02}:{second}"))
        })
}

fn make_timestamptz(
    ctx: &CallContext,
    year: i32,
    month: i32,
    day: i32,
    hour: i32,
    minute: i32,
    second: f64,
) -> Result<i64> {
    let local = make_timestamp(ctx, year, month, day, hour, minute, second)?;
    civil_to_utc(&ctx.time_zone, &Civil::of_timestamp(local))
}

fn make_timestamptz_at_timezone(
    ctx: &CallContext,
    year: i32,
    month: i32,
    day: i32,
    hour: i32,
    minute: i32,
    second: f64,
    zone: &str,
) -> Result<i64> {
    let local = Civil::of_timestamp(make_timestamp(ctx, year, month, day, hour, minute, second)?);
    let invalid = |message| Error::new(SqlState::InvalidParameterValue, message);
    if zone.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(invalid(format!("invalid input syntax for type numeric time zone: \"{zone}\""))
            .hint("Numeric time zones must have \"-\" or \"+\" as first character."));
    }
    let east = match numeric_zone(zone) {
        Some(east) => east?,
        None => Named::find(zone)
            .ok_or_else(|| invalid(format!("time zone \"{zone}\" not recognized")))?
            .offset_for_local(&local),
    };
    local.timestamp_utc(east).ok_or_else(timestamp_out_of_range)
}

fn make_interval(
    _: &CallContext,
    years: i32,
    months: i32,
    weeks: i32,
    days: i32,
    hours: i32,
    minutes: i32,
    seconds: f64,
) -> Result<Interval> {
    let make = || {
        let micros = (seconds * USECS_PER_SEC as f64).round_ties_even();
        let fits = micros >= i64::MIN as f64 && micros < -(i64::MIN as f64);
        let clock = i64::from(hours) * USECS_PER_HOUR + i64::from(minutes) * USECS_PER_MINUTE;
        Some(Interval {
            months: years.checked_mul(12)?.checked_add(months)?,
            days: weeks.checked_mul(7)?.checked_add(days)?,
            micros: clock.checked_add(fits.then_some(micros as i64)?)?,
        })
    };
    make().ok_or_else(crate::types::interval::out_of_range)
}

/// to_timestamp(double precision): seconds since 1970-01-01 UTC.
fn float8_timestamptz(_: &CallContext, seconds: f64) -> Result<i64> {
    if seconds.is_nan() {
        return Err(out_of_range("timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 { TIMESTAMP_NOEND } else { TIMESTAMP_NOBEGIN });
    }
    let invalid = || out_of_range(format!("timestamp out of range: \"{}\"", six_digits(seconds)));
    const DAY: f64 = 86_400.0;
    let first = DAY * f64::from(-EPOCH_JULIAN - UNIX_EPOCH_DAYS);
    let end = DAY * (106_751_983.0 - f64::from(UNIX_EPOCH_DAYS));
    if !(first..end).contains(&seconds) {
        return Err(invalid());
    }
    let since_2000 = seconds + DAY * f64::from(UNIX_EPOCH_DAYS);
    let micros = (since_2000 * USECS_PER_SEC as f64).round_ties_even() as i64;
    if is_valid_timestamp(micros) { Ok(micros) } else { Err(invalid()) }
}

strict! {
    TABLE:
    now: () -> TimestampTz, safe;
    statement_timestamp: () -> TimestampTz, safe;
    clock_timestamp: () -> TimestampTz, safe;
    timeofday: () -> TextOut, safe;
    make_date: (Int4, Int4, Int4) -> Date;
    make_time: (Int4, Int4, Float8) -> Time;
    make_timestamp: (Int4, Int4, Int4, Int4, Int4, Float8) -> Timestamp;
    make_timestamptz: (Int4, Int4, Int4, Int4, Int4, Float8) -> TimestampTz;
    make_timestamptz_at_timezone: (Int4, Int4, Int4, Int4, Int4, Float8, Text) -> TimestampTz;
    make_interval: (Int4, Int4, Int4, Int4, Int4, Int4, Float8) -> Interval;
    float8_timestamptz: (Float8) -> TimestampTz;
}
