//! Writing dates and times in the four DateStyles.

use super::calendar::{
    Civil, DATE_NOBEGIN, DATE_NOEND, DAYS, MONTHS, TIMESTAMP_NOBEGIN, TIMESTAMP_NOEND, USECS_PER_SEC,
};
use crate::types::format::{DateOrder, DateStyle, FormatSettings};
use crate::types::timezone;
use jiff::tz::TimeZone;
use std::fmt::Write;

/// Writes a date.
pub fn date_out(days: i32, format: &FormatSettings, out: &mut String) {
    match days {
        DATE_NOBEGIN => out.push_str("-infinity"),
        DATE_NOEND => out.push_str("infinity"),
        _ => {
            let civil = Civil::of_date(days);
            let year = shown_year(civil.year);
            let (first, second) = match format.date_order {
                DateOrder::Dmy => (civil.day, civil.month),
                DateOrder::Mdy | DateOrder::Ymd => (civil.month, civil.day),
            };
            match format.date_style {
                DateStyle::Iso => push_iso_date(&civil, out),
                DateStyle::Sql => push(out, format_args!("{first:02}/{second:02}/{year:04}")),
                DateStyle::German => push(out, format_args!("{:02}.{:02}.{year:04}", civil.day, civil.month)),
                DateStyle::Postgres => push(out, format_args!("{first:02}-{second:02}-{year:04}")),
            }
            push_era(civil.year, out);
        }
    }
}

/// Writes a time.
pub fn time_out(micros: i64, out: &mut String) {
    push_clock(&Civil::of_time(micros), out);
}

/// Writes a timetz (`west`: seconds west of UTC).
pub fn timetz_out(micros: i64, west: i32, _style: DateStyle, out: &mut String) {
    push_clock(&Civil::of_time(micros), out);
    push_offset(-west, out);
}

/// Writes a timestamp.
pub fn timestamp_out(micros: i64, format: &FormatSettings, out: &mut String) {
    if !push_infinity(micros, out) {
        push_timestamp(&Civil::of_timestamp(micros), None, format, out);
    }
}

/// Writes a timestamptz as local time of `zone`.
pub fn timestamptz_out(micros: i64, format: &FormatSettings, zone: &TimeZone, out: &mut String) {
    if push_infinity(micros, out) {
        return;
    }
    if format.date_style == DateStyle::Iso {
        let east = timezone::offset_at(zone, micros);
        let civil = Civil::of_timestamp(micros + i64::from(east) * USECS_PER_SEC);
        return push_timestamp(&civil, Some((east, "")), format, out);
    }
    let (east, _, letters) = timezone::offset_info(zone, micros);
    let civil = Civil::of_timestamp(micros + i64::from(east) * USECS_PER_SEC);
    push_timestamp(&civil, Some((east, &letters)), format, out);
}

fn push_infinity(micros: i64, out: &mut String) -> bool {
    match micros {
        TIMESTAMP_NOBEGIN => out.push_str("-infinity"),
        TIMESTAMP_NOEND => out.push_str("infinity"),
        _ => return false,
    }
    true
}

/// `zone`: seconds east of UTC and the zone's letters, which all styles but ISO show.
fn push_timestamp(civil: &Civil, zone: Option<(i32, &str)>, format: &FormatSettings, out: &mut String) {
    let year = shown_year(civil.year);
    match format.date_style {
        DateStyle::Iso => {
            push_iso_date(civil, out);
            out.push(' ');
            push_clock(civil, out);
            if let Some((east, _)) = zone {
                push_offset(east, out);
            }
            return push_era(civil.year, out);
        }
        DateStyle::Sql => {
            let (first, second) = match format.date_order {
                DateOrder::Dmy => (civil.day, civil.month),
                DateOrder::Mdy | DateOrder::Ymd => (civil.month, civil.day),
            };
            push(out, format_args!("{first:02}/{second:02}/{year:04} "));
            push_clock(civil, out);
        }
        DateStyle::German => {
            push(out, format_args!("{:02}.{:02}.{year:04} ", civil.day, civil.month));
            push_clock(civil, out);
        }
        DateStyle::Postgres => {
            let weekday = &DAYS[civil.weekday() as usize][..3];
            let month = &MONTHS[civil.month as usize - 1][..3];
            match format.date_order {
                DateOrder::Dmy => push(out, format_args!("{weekday} {:02} {month} ", civil.day)),
                DateOrder::Mdy | DateOrder::Ymd => push(out, format_args!("{weekday} {month} {:02} ", civil.day)),
            }
            push_clock(civil, out);
            push(out, format_args!(" {year:04}"));
        }
    }
    match zone {
        Some((_, letters)) if !letters.is_empty() => push(out, format_args!(" {letters}")),
        Some((east, _)) => {
            // A space, so that what follows cannot be taken for a part of the year.
            if format.date_style == DateStyle::Postgres {
                out.push(' ');
            }
            push_offset(east, out);
        }
        None => {}
    }
    push_era(civil.year, out);
}

fn shown_year(year: i32) -> i32 {
    if year > 0 { year } else { 1 - year }
}

fn push_iso_date(civil: &Civil, out: &mut String) {
    let year = shown_year(civil.year);
    if year <= 9_999 {
        push_two(year / 100, out);
        push_two(year % 100, out);
    } else {
        push(out, format_args!("{year}"));
    }
    out.push('-');
    push_two(civil.month, out);
    out.push('-');
    push_two(civil.day, out);
}

fn push_era(year: i32, out: &mut String) {
    if year <= 0 {
        out.push_str(" BC");
    }
}

fn push_clock(civil: &Civil, out: &mut String) {
    push_two(civil.hour, out);
    out.push(':');
    push_two(civil.minute, out);
    out.push(':');
    push_two(civil.second, out);
    push_fraction(civil.micros, out);
}

fn push_two(value: i32, out: &mut String) {
    out.push((b'0' + (value / 10 % 10) as u8) as char);
    out.push((b'0' + (value % 10) as u8) as char);
}

/// `.ddd` without trailing zeros, nothing for zero; the sign is dropped.
pub fn push_fraction(micros: i32, out: &mut String) {
    let mut rest = micros.unsigned_abs();
    if rest == 0 {
        return;
    }
    out.push('.');
    let mut unit = 100_000;
    while rest > 0 {
        out.push((b'0' + (rest / unit) as u8) as char);
        rest %= unit;
        unit /= 10;
    }
}

/// Seconds with their fraction, without signs; `padded` to two digits.
pub fn push_seconds(second: i64, micros: i32, padded: bool, out: &mut String) {
    let second = second.unsigned_abs();
    if padded {
        push(out, format_args!("{second:02}"))
    } else {
        push(out, format_args!("{second}"))
    }
    push_fraction(micros, out);
}

/// `+hh`, `+hh:mm` or `+hh:mm:ss`.
pub fn push_offset(east: i32, out: &mut String) {
    let magnitude = east.abs();
    out.push(if east < 0 { '-' } else { '+' });
    push_two(magnitude / 3_600, out);
    if magnitude % 3_600 != 0 {
        out.push(':');
        push_two(magnitude / 60 % 60, out);
        if magnitude % 60 != 0 {
            out.push(':');
            push_two(magnitude % 60, out);
        }
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}
