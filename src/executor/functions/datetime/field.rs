//! Parts of a value: extract (numeric) and date_part (float8), date_trunc, date_bin.

use super::{civil_to_utc, out_of_range, timestamp_out_of_range};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::executor::functions::macros::strict;
use crate::types::datetime::calendar::{
    Civil, DATE_NOBEGIN, DATE_NOEND, EPOCH_JULIAN, TIMESTAMP_NOBEGIN, UNIX_EPOCH_DAYS, USECS_PER_DAY, USECS_PER_SEC,
    civil_from_days, is_infinite, is_valid_timestamp, iso_year_week,
};
use crate::types::interval::Parts;
use crate::types::numeric::Numeric;
use crate::types::timezone::{self, Named};
use crate::types::{Datum, Interval};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Julian,
    IsoYear,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    Epoch,
    Zone,
    ZoneHour,
    ZoneMinute,
}

impl Unit {
    /// A unit by its name; names are told apart by their first ten letters.
    fn find(name: &str) -> Option<Unit> {
        let lower = name.to_ascii_lowercase();
        let mut end = lower.len().min(10);
        while !lower.is_char_boundary(end) {
            end -= 1;
        }
        Some(match &lower[..end] {
            "us" | "usec" | "usecs" | "useconds" | "microsecon" => Unit::Microseconds,
            "ms" | "msec" | "msecs" | "mseconds" | "millisecon" => Unit::Milliseconds,
            "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
            "m" | "mm" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
            "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
            "d" | "day" | "days" => Unit::Day,
            "w" | "week" | "weeks" => Unit::Week,
            "mon" | "mons" | "month" | "months" => Unit::Month,
            "qtr" | "quarter" => Unit::Quarter,
            "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
            "dec" | "decs" | "decade" | "decades" => Unit::Decade,
            "c" | "cent" | "century" | "centuries" => Unit::Century,
            "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
            "j" | "jd" | "julian" => Unit::Julian,
            "isoyear" => Unit::IsoYear,
            "dow" => Unit::DayOfWeek,
            "isodow" => Unit::IsoDayOfWeek,
            "doy" => Unit::DayOfYear,
            "epoch" => Unit::Epoch,
            "timezone" => Unit::Zone,
            "timezone_h" => Unit::ZoneHour,
            "timezone_m" => Unit::ZoneMinute,
            _ => return None,
        })
    }

    /// Whether it grows for ever, so that it is infinite in an infinite value.
    fn is_monotonic(self) -> bool {
        use Unit::*;
        matches!(self, Year | Decade | Century | Millennium | Julian | IsoYear | Epoch)
    }
}

fn find(name: &str, type_name: &str) -> Result<Unit> {
    Unit::find(name).ok_or_else(|| unrecognized(name, type_name))
}

fn unrecognized(name: &str, type_name: &str) -> Error {
    Error::new(
        SqlState::InvalidParameterValue,
        format!("unit \"{}\" not recognized for type {type_name}", name.to_ascii_lowercase()),
    )
}

/// A unit to cut to: those that only extract knows are not recognized.
fn find_cut(name: &str, type_name: &str) -> Result<Unit> {
    match find(name, type_name)? {
        Unit::DayOfWeek | Unit::IsoDayOfWeek | Unit::DayOfYear | Unit::Epoch => Err(unrecognized(name, type_name)),
        unit => Ok(unit),
    }
}

fn unsupported(name: &str, type_name: &str) -> Error {
    Error::new(
        SqlState::FeatureNotSupported,
        format!("unit \"{}\" not supported for type {type_name}", name.to_ascii_lowercase()),
    )
}

/// A part's value: an integer over a power of ten, or a Julian day with its fraction.
enum Part {
    Decimal(i128, u16),
    /// Days and microseconds of the day.
    Julian(i32, i64),
    Infinite {
        negative: bool,
    },
    Null,
}

impl Part {
    fn whole(value: impl Into<i128>) -> Part {
        Part::Decimal(value.into(), 0)
    }

    fn numeric(self) -> Result<Datum> {
        Ok(Datum::Numeric(match self {
            Part::Decimal(value, scale) => Numeric::from_i128(value, scale),
            Part::Julian(day, micros) => {
                let fraction =
                    Numeric::from_i128(micros.into(), 0).div(&Numeric::from_i128(USECS_PER_DAY.into(), 0))?;
                Numeric::from_i128(day.into(), 0).add(&fraction)?
            }
            Part::Infinite { negative: true } => Numeric::NegativeInfinity,
            Part::Infinite { negative: false } => Numeric::Infinity,
            Part::Null => return Ok(Datum::Null),
        }))
    }

    fn float(self) -> Datum {
        Datum::Float8(match self {
            Part::Decimal(value, scale) => value as f64 / 10f64.powi(scale.into()),
            Part::Julian(day, micros) => f64::from(day) + micros as f64 / USECS_PER_DAY as f64,
            Part::Infinite { negative: true } => f64::NEG_INFINITY,
            Part::Infinite { negative: false } => f64::INFINITY,
            Part::Null => return Datum::Null,
        })
    }
}

/// Years as people count them: 1 BC is −1.
fn without_year_zero(year: i32) -> i32 {
    if year > 0 { year } else { year - 1 }
}

/// Decades, centuries and millennia: the first of them begins with year 1, decades with year 0.
fn decade(year: i32) -> i32 {
    if year >= 0 { year / 10 } else { -((8 - (year - 1)) / 10) }
}

fn century(year: i32) -> i32 {
    if year > 0 { (year + 99) / 100 } else { -((99 - (year - 1)) / 100) }
}

fn millennium(year: i32) -> i32 {
    if year > 0 { (year + 999) / 1_000 } else { -((999 - (year - 1)) / 1_000) }
}

/// Parts that a calendar date has.
fn date_part_of(unit: Unit, civil: &Civil) -> Option<i32> {
    Some(match unit {
        Unit::Day => civil.day,
        Unit::Week => iso_year_week(civil.days()).1,
        Unit::Month => civil.month,
        Unit::Quarter => (civil.month - 1) / 3 + 1,
        Unit::Year => without_year_zero(civil.year),
        Unit::Decade => decade(civil.year),
        Unit::Century => century(civil.year),
        Unit::Millennium => millennium(civil.year),
        Unit::IsoYear => without_year_zero(iso_year_week(civil.days()).0),
        Unit::DayOfWeek => civil.weekday(),
        Unit::IsoDayOfWeek => (civil.weekday() + 6) % 7 + 1,
        Unit::DayOfYear => civil.day_of_year(),
        _ => return None,
    })
}

/// Parts that a clock has, from its seconds (with sign), its minutes and hours.
fn clock_part_of(unit: Unit, micros_of_minute: i64, minute: i64, hour: i64) -> Option<Part> {
    Some(match unit {
        Unit::Microseconds => Part::whole(micros_of_minute),
        Unit::Milliseconds => Part::Decimal(micros_of_minute.into(), 3),
        Unit::Second => Part::Decimal(micros_of_minute.into(), 6),
        Unit::Minute => Part::whole(minute),
        Unit::Hour => Part::whole(hour),
        _ => return None,
    })
}

fn zone_part_of(unit: Unit, east: i32) -> Option<Part> {
    Some(match unit {
        Unit::Zone => Part::whole(east),
        Unit::ZoneHour => Part::whole(east / 3_600),
        Unit::ZoneMinute => Part::whole(east / 60 % 60),
        _ => return None,
    })
}

fn civil_clock_part(unit: Unit, civil: &Civil) -> Option<Part> {
    let micros = i64::from(civil.second) * USECS_PER_SEC + i64::from(civil.micros);
    clock_part_of(unit, micros, civil.minute.into(), civil.hour.into())
}

/// Parts of a timestamp whose clocks stand `east` seconds east of UTC (`None`: timestamp without time zone).
fn timestamp_parts(name: &str, timestamp: i64, zone: Option<&CallContext>) -> Result<Part> {
    let type_name = if zone.is_some() { "timestamp with time zone" } else { "timestamp without time zone" };
    let unit = find(name, type_name)?;
    if is_infinite(timestamp) {
        return Ok(match unit.is_monotonic() {
            true => Part::Infinite { negative: timestamp == TIMESTAMP_NOBEGIN },
            false => Part::Null,
        });
    }
    let east = zone.map(|ctx| timezone::offset_at(&ctx.time_zone, timestamp));
    let local = timestamp + i64::from(east.unwrap_or(0)) * USECS_PER_SEC;
    let civil = Civil::of_timestamp(local);
    if unit == Unit::Epoch {
        let since_1970 = i128::from(timestamp) - i128::from(UNIX_EPOCH_DAYS) * i128::from(USECS_PER_DAY);
        return Ok(Part::Decimal(since_1970, 6));
    }
    if unit == Unit::Julian {
        return Ok(Part::Julian(civil.days() + EPOCH_JULIAN, civil.time()));
    }
    civil_clock_part(unit, &civil)
        .or_else(|| date_part_of(unit, &civil).map(Part::whole))
        .or_else(|| zone_part_of(unit, east?))
        .ok_or_else(|| unsupported(name, type_name))
}

fn date_parts(name: &str, date: i32) -> Result<Part> {
    let unit = find(name, "date")?;
    if unit != Unit::Epoch && unit != Unit::Julian && date_part_of(unit, &Civil::of_date(0)).is_none() {
        return Err(unsupported(name, "date"));
    }
    if date == DATE_NOBEGIN || date == DATE_NOEND {
        return Ok(match unit.is_monotonic() {
            true => Part::Infinite { negative: date == DATE_NOBEGIN },
            false => Part::Null,
        });
    }
    match unit {
        Unit::Epoch => Ok(Part::whole((i64::from(date) - i64::from(UNIX_EPOCH_DAYS)) * 86_400)),
        Unit::Julian => Ok(Part::whole(date + EPOCH_JULIAN)),
        _ => date_part_of(unit, &Civil::of_date(date)).map(Part::whole).ok_or_else(|| unsupported(name, "date")),
    }
}

fn time_parts(name: &str, time: i64) -> Result<Part> {
    const NAME: &str = "time without time zone";
    match find(name, NAME)? {
        Unit::Epoch => Ok(Part::Decimal(time.into(), 6)),
        unit => civil_clock_part(unit, &Civil::of_time(time)).ok_or_else(|| unsupported(name, NAME)),
    }
}

fn timetz_parts(name: &str, (time, west): (i64, i32)) -> Result<Part> {
    const NAME: &str = "time with time zone";
    match find(name, NAME)? {
        Unit::Epoch => Ok(Part::Decimal(i128::from(time) + i128::from(west) * i128::from(USECS_PER_SEC), 6)),
        unit => civil_clock_part(unit, &Civil::of_time(time))
            .or_else(|| zone_part_of(unit, -west))
            .ok_or_else(|| unsupported(name, NAME)),
    }
}

fn interval_parts(name: &str, span: Interval) -> Result<Part> {
    let unit = find(name, "interval")?;
    let parts = Parts::of(span);
    let micros = i64::from(parts.seconds) * USECS_PER_SEC + i64::from(parts.micros);
    if let Some(part) = clock_part_of(unit, micros, parts.minutes.into(), parts.hours) {
        return Ok(part);
    }
    Ok(Part::whole(match unit {
        Unit::Day => parts.days,
        Unit::Month => parts.months,
        Unit::Quarter => parts.months / 3 + 1,
        Unit::Year => parts.years,
        Unit::Decade => parts.years / 10,
        Unit::Century => parts.years / 100,
        Unit::Millennium => parts.years / 1_000,
        Unit::Epoch => {
            // Years of 365.25 days, months of 30: quarters of a day keep it whole.
            let quarter_days =
                1_461 * i128::from(parts.years) + 120 * i128::from(parts.months) + 4 * i128::from(parts.days);
            let micros = quarter_days * i128::from(USECS_PER_DAY / 4) + i128::from(span.micros);
            return Ok(Part::Decimal(micros, 6));
        }
        _ => return Err(unsupported(name, "interval")),
    }))
}

fn extract_timestamp(_: &CallContext, unit: &str, timestamp: i64) -> Result<Datum> {
    timestamp_parts(unit, timestamp, None).and_then(Part::numeric)
}

fn extract_timestamptz(ctx: &CallContext, unit: &str, timestamp: i64) -> Result<Datum> {
    timestamp_parts(unit, timestamp, Some(ctx)).and_then(Part::numeric)
}

fn extract_date(_: &CallContext, unit: &str, date: i32) -> Result<Datum> {
    date_parts(unit, date).and_then(Part::numeric)
}

fn extract_time(_: &CallContext, unit: &str, time: i64) -> Result<Datum> {
    time_parts(unit, time).and_then(Part::numeric)
}

fn extract_timetz(_: &CallContext, unit: &str, time: (i64, i32)) -> Result<Datum> {
    timetz_parts(unit, time).and_then(Part::numeric)
}

fn extract_interval(_: &CallContext, unit: &str, span: Interval) -> Result<Datum> {
    interval_parts(unit, span).and_then(Part::numeric)
}

fn timestamp_part(_: &CallContext, unit: &str, timestamp: i64) -> Result<Datum> {
    timestamp_parts(unit, timestamp, None).map(Part::float)
}

fn timestamptz_part(ctx: &CallContext, unit: &str, timestamp: i64) -> Result<Datum> {
    timestamp_parts(unit, timestamp, Some(ctx)).map(Part::float)
}

fn time_part(_: &CallContext, unit: &str, time: i64) -> Result<Datum> {
    time_parts(unit, time).map(Part::float)
}

fn timetz_part(_: &CallContext, unit: &str, time: (i64, i32)) -> Result<Datum> {
    timetz_parts(unit, time).map(Part::float)
}

fn interval_part(_: &CallContext, unit: &str, span: Interval) -> Result<Datum> {
    interval_parts(unit, span).map(Part::float)
}

/// Sets everything below the unit to its first value. `None`: no unit to cut to.
fn truncate(unit: Unit, civil: Civil) -> Option<Civil> {
    let day = Civil { hour: 0, minute: 0, second: 0, micros: 0, ..civil };
    let month = Civil { day: 1, ..day };
    let january = |year: i32| Civil { year, month: 1, ..month };
    let year = civil.year;
    Some(match unit {
        Unit::Microseconds => civil,
        Unit::Milliseconds => Civil { micros: civil.micros / 1_000 * 1_000, ..civil },
        Unit::Second => Civil { micros: 0, ..civil },
        Unit::Minute => Civil { second: 0, micros: 0, ..civil },
        Unit::Hour => Civil { minute: 0, second: 0, micros: 0, ..civil },
        Unit::Day => day,
        Unit::Week => {
            let (year, month, date) = civil_from_days(civil.days() - (civil.weekday() + 6) % 7);
            Civil { year, month, day: date, ..day }
        }
        Unit::Month => month,
        Unit::Quarter => Civil { month: (civil.month - 1) / 3 * 3 + 1, ..month },
        Unit::Year => january(year),
        Unit::Decade if year > 0 => january(year / 10 * 10),
        Unit::Decade => january(-((8 - (year - 1)) / 10 * 10)),
        Unit::Century if year > 0 => january((year + 99) / 100 * 100 - 99),
        Unit::Century => january(-((99 - (year - 1)) / 100 * 100) + 1),
        Unit::Millennium if year > 0 => january((year + 999) / 1_000 * 1_000 - 999),
        Unit::Millennium => january(-((999 - (year - 1)) / 1_000 * 1_000) + 1),
        _ => return None,
    })
}

fn timestamp_trunc(_: &CallContext, name: &str, timestamp: i64) -> Result<i64> {
    const NAME: &str = "timestamp without time zone";
    if is_infinite(timestamp) {
        return Ok(timestamp);
    }
    let cut = truncate(find_cut(name, NAME)?, Civil::of_timestamp(timestamp)).ok_or_else(|| unsupported(name, NAME))?;
    cut.timestamp().ok_or_else(timestamp_out_of_range)
}

/// Cuts a moment on the clocks that `east` and `utc` describe. Units below a day keep the moment's own offset.
fn truncate_moment(
    name: &str,
    moment: i64,
    east: impl Fn(i64) -> i32,
    utc: impl Fn(&Civil) -> Result<i64>,
) -> Result<i64> {
    const NAME: &str = "timestamp with time zone";
    if is_infinite(moment) {
        return Ok(moment);
    }
    let unit = find_cut(name, NAME)?;
    let offset = east(moment);
    let local = Civil::of_timestamp(moment + i64::from(offset) * USECS_PER_SEC);
    let cut = truncate(unit, local).ok_or_else(|| unsupported(name, NAME))?;
    match unit {
        Unit::Microseconds | Unit::Milliseconds | Unit::Second | Unit::Minute | Unit::Hour => {
            cut.timestamp_utc(offset).ok_or_else(timestamp_out_of_range)
        }
        _ => utc(&cut),
    }
}

fn timestamptz_trunc(ctx: &CallContext, name: &str, moment: i64) -> Result<i64> {
    let east = |moment| timezone::offset_at(&ctx.time_zone, moment);
    truncate_moment(name, moment, east, |civil| civil_to_utc(&ctx.time_zone, civil))
}

fn timestamptz_trunc_zone(_: &CallContext, name: &str, moment: i64, zone: &str) -> Result<i64> {
    if is_infinite(moment) {
        return Ok(moment);
    }
    let zone = Named::find(zone)
        .ok_or_else(|| Error::new(SqlState::InvalidParameterValue, format!("time zone \"{zone}\" not recognized")))?;
    let utc = |civil: &Civil| civil.timestamp_utc(zone.offset_for_local(civil)).ok_or_else(timestamp_out_of_range);
    truncate_moment(name, moment, |moment| zone.offset_at(moment), utc)
}

fn interval_trunc(_: &CallContext, name: &str, span: Interval) -> Result<Interval> {
    let unit = find_cut(name, "interval")?;
    let Interval { months, days, micros } = span;
    let whole_months = |step: i32| Interval { months: months / step * step, days: 0, micros: 0 };
    let time = |step: i64| Interval { micros: micros / step * step, ..span };
    Ok(match unit {
        Unit::Millennium => whole_months(12_000),
        Unit::Century => whole_months(1_200),
        Unit::Decade => whole_months(120),
        Unit::Year => whole_months(12),
        Unit::Quarter => whole_months(3),
        Unit::Month => whole_months(1),
        Unit::Day => Interval { months, days, micros: 0 },
        Unit::Hour => time(3_600 * USECS_PER_SEC),
        Unit::Minute => time(60 * USECS_PER_SEC),
        Unit::Second => time(USECS_PER_SEC),
        Unit::Milliseconds => time(1_000),
        Unit::Microseconds => span,
        Unit::Week => return Err(unsupported(name, "interval").detail("Months usually have fractional weeks.")),
        _ => return Err(unsupported(name, "interval")),
    })
}

fn bin(stride: Interval, timestamp: i64, origin: i64) -> Result<i64> {
    if is_infinite(timestamp) {
        return Ok(timestamp);
    }
    if is_infinite(origin) {
        return Err(out_of_range("origin out of range"));
    }
    if stride.months != 0 {
        return Err(Error::new(
            SqlState::FeatureNotSupported,
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let stride = i64::from(stride.days)
        .checked_mul(USECS_PER_DAY)
        .and_then(|days| days.checked_add(stride.micros))
        .ok_or_else(crate::types::interval::out_of_range)?;
    if stride <= 0 {
        return Err(out_of_range("stride must be greater than zero"));
    }
    let distance = timestamp.checked_sub(origin).ok_or_else(crate::types::interval::out_of_range)?;
    timestamp
        .checked_sub(distance.rem_euclid(stride))
        .filter(|start| is_valid_timestamp(*start))
        .ok_or_else(timestamp_out_of_range)
}

fn timestamp_bin(_: &CallContext, stride: Interval, timestamp: i64, origin: i64) -> Result<i64> {
    bin(stride, timestamp, origin)
}

fn timestamptz_bin(_: &CallContext, stride: Interval, timestamp: i64, origin: i64) -> Result<i64> {
    bin(stride, timestamp, origin)
}

strict! {
    TABLE:
    extract_timestamp: (Text, Timestamp) -> Any;
    extract_timestamptz: (Text, TimestampTz) -> Any;
    extract_date: (Text, Date) -> Any;
    extract_time: (Text, Time) -> Any;
    extract_timetz: (Text, TimeTz) -> Any;
    extract_interval: (Text, Interval) -> Any;
    timestamp_part: (Text, Timestamp) -> Any;
    timestamptz_part: (Text, TimestampTz) -> Any;
    time_part: (Text, Time) -> Any;
    timetz_part: (Text, TimeTz) -> Any;
    interval_part: (Text, Interval) -> Any;
    timestamp_trunc: (Text, Timestamp) -> Timestamp;
    timestamptz_trunc: (Text, TimestampTz) -> TimestampTz;
    timestamptz_trunc_zone: (Text, TimestampTz, Text) -> TimestampTz;
    interval_trunc: (Text, Interval) -> Interval;
    timestamp_bin: (Interval, Timestamp, Timestamp) -> Timestamp;
    timestamptz_bin: (Interval, TimestampTz, TimestampTz) -> TimestampTz;
}
