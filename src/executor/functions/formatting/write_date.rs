//! to_char of timestamps and intervals.

use super::ordinal_suffix;
use super::template::{Case, DateField, DateKey, DateNode, date_template};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::types::datetime::calendar::{
    Civil, DAYS, EPOCH_JULIAN, MONTHS, USECS_PER_SEC, days_from_civil, is_infinite, iso_week_start, iso_year_week,
};
use crate::types::interval::Parts;
use crate::types::{Datum, Interval, timezone};
use std::fmt::Write;

/// Roman months, December first.
pub(super) const ROMAN_MONTHS: [&str; 12] = ["XII", "XI", "X", "IX", "VIII", "VII", "VI", "V", "IV", "III", "II", "I"];

/// What is written: an interval's fields may have any sign and size.
struct Fields {
    interval: bool,
    year: i32,
    month: i32,
    day: i32,
    hour: i64,
    minute: i32,
    second: i32,
    micros: i32,
    /// From 1; an interval's is about its length in days.
    day_of_year: i32,
    /// Seconds east of UTC and the zone's letters.
    east: i32,
    zone: String,
}

impl Fields {
    fn of_timestamp(civil: Civil, east: i32, zone: String) -> Fields {
        Fields {
            interval: false,
            year: civil.year,
            month: civil.month,
            day: civil.day,
            hour: civil.hour.into(),
            minute: civil.minute,
            second: civil.second,
            micros: civil.micros,
            day_of_year: civil.day_of_year(),
            east,
            zone,
        }
    }

    /// Days since 2000-01-01. The months of an interval are none of the calendar's, but any number will do.
    fn days(&self) -> i32 {
        days_from_civil(self.year, self.month, self.day)
    }

    /// The year as it is shown: 1 BC is 1, an interval's is its own.
    fn shown(&self, year: i32) -> i32 {
        if self.interval || year > 0 { year } else { 1 - year }
    }
}

pub(super) fn timestamp_to_char(_: &CallContext, timestamp: i64, template: &str) -> Result<Datum> {
    if template.is_empty() || is_infinite(timestamp) {
        return Ok(Datum::Null);
    }
    write(&Fields::of_timestamp(Civil::of_timestamp(timestamp), 0, String::new()), template)
}

pub(super) fn timestamptz_to_char(ctx: &CallContext, moment: i64, template: &str) -> Result<Datum> {
    if template.is_empty() || is_infinite(moment) {
        return Ok(Datum::Null);
    }
    let (east, _, zone) = timezone::offset_info(&ctx.time_zone, moment);
    let civil = Civil::of_timestamp(moment + i64::from(east) * USECS_PER_SEC);
    write(&Fields::of_timestamp(civil, east, zone), template)
}

pub(super) fn interval_to_char(_: &CallContext, span: Interval, template: &str) -> Result<Datum> {
    if template.is_empty() {
        return Ok(Datum::Null);
    }
    let parts = Parts::of(span);
    let fields = Fields {
        interval: true,
        year: parts.years,
        month: parts.months,
        day: parts.days,
        hour: parts.hours,
        minute: parts.minutes,
        second: parts.seconds,
        micros: parts.micros,
        day_of_year: span.months.wrapping_mul(30).wrapping_add(span.days),
        east: 0,
        zone: String::new(),
    };
    write(&fields, template)
}

fn write(fields: &Fields, template: &str) -> Result<Datum> {
    let mut out = String::new();
    for node in date_template(template) {
        match node {
            DateNode::Space(c) | DateNode::Separator(c) | DateNode::Literal(c) => out.push(c),
            DateNode::Field(field) => write_field(fields, &field, &mut out)?,
        }
    }
    Ok(Datum::Text(out.into()))
}

fn write_field(fields: &Fields, field: &DateField, out: &mut String) -> Result<()> {
    use DateKey::*;
    match field.key {
        EraDots | Era | DayName | DayShort | DayOfWeek | IsoDayOfWeek | MonthName | MonthShort | ZoneOffset
        | ZoneHours | ZoneMinutes | ZoneName
            if fields.interval =>
        {
            Err(Error::new(SqlState::InvalidDatetimeFormat, "invalid format specification for an interval value")
                .hint("Intervals are not tied to specific calendar dates."))
        }
        EraDots | Era | MeridiemDots | Meridiem | DayName | DayShort | MonthName | MonthShort | Roman => {
            write_name(fields, field, out);
            Ok(())
        }
        ZoneOffset | ZoneHours | ZoneMinutes | ZoneName => {
            write_zone(fields, field, out);
            Ok(())
        }
        Fixed => Ok(()),
        _ => {
            let start = out.len();
            write_number(fields, field, out);
            if let Some(upper) = field.ordinal
                && out.len() > start
            {
                let suffix = ordinal_suffix(&out[start..], upper);
                out.push_str(suffix);
            }
            Ok(())
        }
    }
}

fn write_name(fields: &Fields, field: &DateField, out: &mut String) {
    let padded = |width: usize| if field.fill || field.localized { 0 } else { width };
    let month = usize::try_from(fields.month).ok().filter(|month| (1..=12).contains(month));
    let (name, width) = match field.key {
        DateKey::EraDots => (if fields.year <= 0 { "B.C." } else { "A.D." }, 0),
        DateKey::Era => (if fields.year <= 0 { "BC" } else { "AD" }, 0),
        DateKey::MeridiemDots => (if fields.hour % 24 >= 12 { "P.M." } else { "A.M." }, 0),
        DateKey::Meridiem => (if fields.hour % 24 >= 12 { "PM" } else { "AM" }, 0),
        DateKey::DayName => (DAYS[weekday(fields) as usize], padded(9)),
        DateKey::DayShort => (&DAYS[weekday(fields) as usize][..3], 0),
        DateKey::MonthName => (month.map_or("", |month| MONTHS[month - 1]), padded(9)),
        DateKey::MonthShort => (month.map_or("", |month| &MONTHS[month - 1][..3]), 0),
        _ if fields.month == 0 && fields.year == 0 => return,
        // Whole years of an interval are December, or January when negative; months before it count from December.
        _ => {
            let place = match fields.month {
                0 if fields.year >= 0 => 0,
                0 => 11,
                ..0 => -(fields.month + 1),
                _ => 12 - fields.month,
            };
            (ROMAN_MONTHS[place as usize], padded(4))
        }
    };
    let name = match field.case {
        Case::Upper => name.to_ascii_uppercase(),
        Case::Capital => name.to_owned(),
        Case::Lower => name.to_ascii_lowercase(),
    };
    push(out, format_args!("{name:width$}"));
}

fn weekday(fields: &Fields) -> i32 {
    crate::types::datetime::calendar::weekday(fields.days())
}

fn write_zone(fields: &Fields, field: &DateField, out: &mut String) {
    let sign = if fields.east < 0 { '-' } else { '+' };
    let (hours, minutes) = (fields.east.abs() / 3_600, fields.east.abs() % 3_600 / 60);
    match field.key {
        DateKey::ZoneName if field.case == Case::Lower => out.push_str(&fields.zone.to_ascii_lowercase()),
        DateKey::ZoneName => out.push_str(&fields.zone),
        DateKey::ZoneHours => push(out, format_args!("{sign}{hours:02}")),
        DateKey::ZoneMinutes => push(out, format_args!("{minutes:02}")),
        _ => {
            let width = if field.fill { 0 } else { 2 };
            push(out, format_args!("{sign}{hours:0width$}"));
            if fields.east.abs() % 3_600 != 0 {
                push(out, format_args!(":{minutes:02}"));
            }
        }
    }
}

fn write_number(fields: &Fields, field: &DateField, out: &mut String) {
    // Width without a sign; a negative number gets one place more, unless it counts days or weeks.
    let counts_days = matches!(
        field.key,
        DateKey::DayOfYear | DateKey::IsoDayOfYear | DateKey::DayOfMonth | DateKey::WeekOfYear | DateKey::IsoWeek
    );
    let mut put = |value: i64, width: usize| {
        let width = match (field.fill, value < 0) {
            (true, _) => 0,
            (false, true) if width > 0 && !counts_days => width + 1,
            (false, _) => width,
        };
        push(out, format_args!("{value:0width$}"));
    };
    let year = |year: i32, digits: u8| match digits {
        4 => (year.into(), 4),
        3 => (i64::from(year % 1_000), 3),
        2 => (i64::from(year % 100), 2),
        _ => (i64::from(year % 10), 1),
    };
    match field.key {
        DateKey::Hour12 => put(if fields.hour % 12 == 0 { 12 } else { fields.hour % 12 }, 2),
        DateKey::Hour24 => put(fields.hour, 2),
        DateKey::Minute => put(fields.minute.into(), 2),
        DateKey::Second => put(fields.second.into(), 2),
        DateKey::Fraction(digits) => fraction(fields.micros, digits, out),
        DateKey::Milliseconds => fraction(fields.micros, 3, out),
        DateKey::Microseconds => fraction(fields.micros, 6, out),
        DateKey::SecondsOfDay => put(fields.hour * 3_600 + i64::from(fields.minute * 60 + fields.second), 0),
        DateKey::MonthNumber => put(fields.month.into(), 2),
        DateKey::DayOfYear => put(fields.day_of_year.into(), 3),
        DateKey::IsoDayOfYear => {
            let (iso_year, _) = iso_year_week(fields.days());
            put((fields.days() - iso_week_start(iso_year, 1) + 1).into(), 3);
        }
        DateKey::DayOfMonth => put(fields.day.into(), 2),
        DateKey::DayOfWeek => put((weekday(fields) + 1).into(), 0),
        DateKey::IsoDayOfWeek => put(((weekday(fields) + 6) % 7 + 1).into(), 0),
        DateKey::WeekOfYear => put((i64::from(fields.day_of_year) - 1) / 7 + 1, 2),
        DateKey::IsoWeek => put(iso_year_week(fields.days()).1.into(), 2),
        DateKey::Quarter if fields.month == 0 => {}
        DateKey::Quarter => put(((fields.month - 1) / 3 + 1).into(), 0),
        DateKey::Century => {
            let century = match fields.year {
                year if fields.interval => year / 100,
                year @ 1.. => (year - 1) / 100 + 1,
                year => year / 100 - 1,
            };
            put(century.into(), if century.abs() <= 99 { 2 } else { 0 });
        }
        DateKey::YearWithComma => {
            let year = fields.shown(fields.year);
            push(out, format_args!("{},{:03}", year / 1_000, year % 1_000));
        }
        DateKey::Year(digits) => {
            let (value, width) = year(fields.shown(fields.year), digits);
            put(value, width);
        }
        DateKey::IsoYear(digits) => {
            let (value, width) = year(fields.shown(iso_year_week(fields.days()).0), digits);
            // The width goes by the calendar year's sign, which only an interval's can differ in.
            put(value, if value < 0 && fields.year >= 0 { width - 1 } else { width });
        }
        DateKey::WeekOfMonth => put((i64::from(fields.day) - 1) / 7 + 1, 0),
        DateKey::JulianDay => put((i64::from(fields.days()) + i64::from(EPOCH_JULIAN)).max(0), 0),
        _ => {}
    }
}

fn fraction(micros: i32, digits: u8, out: &mut String) {
    let value = micros / 10i32.pow(6 - u32::from(digits));
    let width = usize::from(digits);
    push(out, format_args!("{value:0width$}"));
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}
