//! interval: text forms in the four IntervalStyles, typmods (fields and precision), comparison value.
//!
//! Three fields that are never folded into each other by input or arithmetic: months, days, microseconds. Comparison alone
//! takes 30 days for a month and 24 hours for a day.

mod arithmetic;

use super::datetime::calendar::{USECS_PER_DAY, USECS_PER_HOUR, USECS_PER_MINUTE, USECS_PER_SEC};
use super::datetime::parse::{self, Decoded, Fault, Field, Kind};
use super::datetime::{push_fraction, push_seconds, round_micros};
use crate::error::{Error, Result, SqlState};
use crate::types::Interval;
use crate::types::format::IntervalStyle;
use std::fmt::Write;

/// Bits of the fields in an interval's typmod (its upper half).
pub mod fields {
    #![allow(missing_docs)]
    pub const MONTH: i32 = 1 << 1;
    pub const YEAR: i32 = 1 << 2;
    pub const DAY: i32 = 1 << 3;
    pub const HOUR: i32 = 1 << 10;
    pub const MINUTE: i32 = 1 << 11;
    pub const SECOND: i32 = 1 << 12;
    /// No restriction.
    pub const ALL: i32 = 0x7fff;
}

/// "No precision given" in an interval's typmod (its lower half).
pub const FULL_PRECISION: i32 = 0xffff;

/// Packs a typmod from a set of [`fields`] and a precision.
pub const fn typmod(range: i32, precision: i32) -> i32 {
    (range << 16) | precision
}

const fn range_of(typmod: i32) -> i32 {
    if typmod < 0 { fields::ALL } else { (typmod >> 16) & 0x7fff }
}

/// Reads an interval; `typmod` is PostgreSQL's packing of fields and precision, -1 for none.
pub fn interval_in(text: &str, typmod: i32, style: IntervalStyle) -> Result<Interval> {
    let mut sum = Sum::default();
    let mut decoded = parse::split(text, 256).and_then(|fields| decode(&fields, range_of(typmod), style, &mut sum));
    if decoded == Err(Fault::Format) {
        sum = Sum::default();
        decoded = decode_iso8601(text, &mut sum);
    }
    decoded.map_err(|fault| if fault == Fault::Field { Fault::Interval } else { fault }.report(text, "interval"))?;
    let months = i64::from(sum.years) * 12 + i64::from(sum.months);
    let months = i32::try_from(months).map_err(|_| out_of_range())?;
    interval_typmod(Interval { months, days: sum.days, micros: sum.micros }, typmod)
}

/// 22008: interval out of range
pub fn out_of_range() -> Error {
    Error::new(SqlState::DatetimeFieldOverflow, "interval out of range")
}

/// What has been read so far.
#[derive(Default)]
struct Sum {
    years: i32,
    months: i32,
    days: i32,
    micros: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Microsecond,
    Millisecond,
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
    /// `timezone` and such: known, but no part of an interval.
    Other,
}

impl Sum {
    fn add_micros(&mut self, value: i64, fraction: f64, scale: i64) -> Decoded<()> {
        let product = value.checked_mul(scale).ok_or(Fault::Field)?;
        self.micros = self.micros.checked_add(product).ok_or(Fault::Field)?;
        self.add_fraction(fraction, scale)
    }

    /// Adds a fraction of a unit of `scale` microseconds.
    fn add_fraction(&mut self, fraction: f64, scale: i64) -> Decoded<()> {
        let exact = fraction * scale as f64;
        let mut whole = exact as i64;
        let rest = exact - whole as f64;
        if rest > 0.5 {
            whole += 1;
        } else if rest < -0.5 {
            whole -= 1;
        }
        self.micros = self.micros.checked_add(whole).ok_or(Fault::Field)?;
        Ok(())
    }

    fn add_days(&mut self, value: i64, scale: i32) -> Decoded<()> {
        let days = i32::try_from(value).ok().and_then(|days| days.checked_mul(scale)).ok_or(Fault::Field)?;
        self.days = self.days.checked_add(days).ok_or(Fault::Field)?;
        Ok(())
    }

    /// Adds a fraction of a unit of `scale` days: whole days, the rest as microseconds.
    fn add_fraction_of_days(&mut self, fraction: f64, scale: i32) -> Decoded<()> {
        let exact = fraction * f64::from(scale);
        let whole = exact as i32;
        self.days = self.days.checked_add(whole).ok_or(Fault::Field)?;
        self.add_fraction(exact - f64::from(whole), USECS_PER_DAY)
    }

    fn add_months(&mut self, value: i64) -> Decoded<()> {
        let months = i32::try_from(value).map_err(|_| Fault::Field)?;
        self.months = self.months.checked_add(months).ok_or(Fault::Field)?;
        Ok(())
    }

    fn add_years(&mut self, value: i64, fraction: f64, scale: i32) -> Decoded<()> {
        let years = i32::try_from(value).ok().and_then(|years| years.checked_mul(scale)).ok_or(Fault::Field)?;
        self.years = self.years.checked_add(years).ok_or(Fault::Field)?;
        let months = (fraction * f64::from(scale) * 12.0).round_ties_even() as i32;
        self.months = self.months.checked_add(months).ok_or(Fault::Field)?;
        Ok(())
    }

    fn add(&mut self, unit: Unit, value: i64, fraction: f64) -> Decoded<()> {
        match unit {
            Unit::Microsecond => self.add_micros(value, fraction, 1),
            Unit::Millisecond => self.add_micros(value, fraction, 1_000),
            Unit::Second => self.add_micros(value, fraction, USECS_PER_SEC),
            Unit::Minute => self.add_micros(value, fraction, USECS_PER_MINUTE),
            Unit::Hour => self.add_micros(value, fraction, USECS_PER_HOUR),
            Unit::Day => {
                self.add_days(value, 1)?;
                self.add_fraction(fraction, USECS_PER_DAY)
            }
            Unit::Week => {
                self.add_days(value, 7)?;
                self.add_fraction_of_days(fraction, 7)
            }
            Unit::Month => {
                self.add_months(value)?;
                self.add_fraction_of_days(fraction, 30)
            }
            Unit::Year => self.add_years(value, fraction, 1),
            Unit::Decade => self.add_years(value, fraction, 10),
            Unit::Century => self.add_years(value, fraction, 100),
            Unit::Millennium => self.add_years(value, fraction, 1_000),
            Unit::Quarter | Unit::Other => Err(Fault::Format),
        }
    }

    fn negate(&mut self) -> Decoded<()> {
        self.years = self.years.checked_neg().ok_or(Fault::Field)?;
        self.months = self.months.checked_neg().ok_or(Fault::Field)?;
        self.days = self.days.checked_neg().ok_or(Fault::Field)?;
        self.micros = self.micros.checked_neg().ok_or(Fault::Field)?;
        Ok(())
    }
}

enum Word {
    Unit(Unit),
    Ago,
    Ignored,
    Unknown,
}

/// Words are compared in their first ten letters.
fn interval_word(word: &str) -> Word {
    let word = &word[..word.len().min(10)];
    Word::Unit(match word {
        "@" => return Word::Ignored,
        "at" | "on" => return Word::Ignored,
        "ago" => return Word::Ago,
        "us" | "usec" | "usecs" | "useconds" | "microsecon" => Unit::Microsecond,
        "ms" | "msec" | "msecs" | "mseconds" | "millisecon" => Unit::Millisecond,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "qtr" | "quarter" => Unit::Quarter,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
        "timezone" | "timezone_h" | "timezone_m" | "j" | "jd" | "julian" | "isoyear" | "mm" => Unit::Other,
        _ => return Word::Unknown,
    })
}

/// A bit per unit, so that none is given twice. A fractional second counts as milliseconds and microseconds too.
fn unit_bits(unit: Unit, fraction: f64) -> u32 {
    match unit {
        Unit::Microsecond => 1,
        Unit::Millisecond => 2,
        Unit::Second if fraction != 0.0 => 7,
        Unit::Second => 4,
        Unit::Minute => 8,
        Unit::Hour => 16,
        Unit::Day => 32,
        Unit::Week => 64,
        Unit::Month => 128,
        Unit::Year => 256,
        Unit::Decade => 512,
        Unit::Century => 1024,
        Unit::Millennium => 2048,
        Unit::Quarter | Unit::Other => 0,
    }
}

const CLOCK_BITS: u32 = 1 | 2 | 4 | 8 | 16;

/// The unit of a number without one: the last field of the declared range, seconds without a range.
fn default_unit(range: i32) -> Unit {
    use fields::*;
    match range {
        ALL => Unit::Second,
        YEAR => Unit::Year,
        range if range & SECOND != 0 => Unit::Second,
        range if range & MINUTE != 0 => Unit::Minute,
        range if range & HOUR != 0 => Unit::Hour,
        range if range & DAY != 0 => Unit::Day,
        range if range & MONTH != 0 => Unit::Month,
        _ => Unit::Second,
    }
}

/// Decodes fields from right to left, so that units come before their values.
fn decode(all: &[Field], range: i32, style: IntervalStyle, sum: &mut Sum) -> Decoded<()> {
    let mut known = 0;
    let mut unit: Option<Unit> = None;
    let mut ago = false;
    // In the SQL standard's form a leading minus goes for all fields, unless another sign stands somewhere.
    let signed = |field: &Field| field.text.starts_with(['-', '+']);
    let negative = style == IntervalStyle::SqlStandard
        && all.first().is_some_and(|first| first.text.starts_with('-'))
        && !all[1..].iter().any(signed);
    let minute_to_second = range == fields::MINUTE | fields::SECOND;
    for field in all.iter().rev() {
        let text = field.text.as_str();
        let found = match field.kind {
            Kind::Time => {
                add_clock(text, minute_to_second, negative, sum)?;
                unit = Some(Unit::Day);
                CLOCK_BITS
            }
            Kind::Zone if text[1..].contains(':') && parse::clock(&text[1..], minute_to_second).is_ok() => {
                add_clock(&text[1..], minute_to_second, negative || text.starts_with('-'), sum)?;
                unit = Some(Unit::Day);
                CLOCK_BITS
            }
            Kind::Zone | Kind::Date | Kind::Number => {
                let given = *unit.get_or_insert_with(|| default_unit(range));
                let (given, value, fraction) = number(text, given)?;
                unit = Some(given);
                let (value, fraction) = if negative { (-value.abs(), -fraction.abs()) } else { (value, fraction) };
                sum.add(given, value, fraction)?;
                unit_bits(given, fraction)
            }
            Kind::Word | Kind::Special => match interval_word(text) {
                Word::Ignored => continue,
                Word::Unit(given) => {
                    unit = Some(given);
                    0
                }
                Word::Ago => {
                    ago = true;
                    unit = None;
                    0
                }
                Word::Unknown => return Err(Fault::Format),
            },
        };
        if found & known != 0 {
            return Err(Fault::Format);
        }
        known |= found;
    }
    if known == 0 {
        return Err(Fault::Format);
    }
    if ago { sum.negate() } else { Ok(()) }
}

fn add_clock(text: &str, minute_to_second: bool, negative: bool, sum: &mut Sum) -> Decoded<()> {
    let clock = parse::clock(text, minute_to_second)?;
    let micros = clock
        .hour
        .checked_mul(USECS_PER_HOUR)
        .and_then(|hours| {
            hours.checked_add(
                i64::from(clock.minute) * USECS_PER_MINUTE
                    + i64::from(clock.second) * USECS_PER_SEC
                    + i64::from(clock.micros),
            )
        })
        .ok_or(Fault::Field)?;
    sum.micros = sum.micros.checked_add(if negative { -micros } else { micros }).ok_or(Fault::Field)?;
    Ok(())
}

/// A number with sign and fraction, or `years-months`; gives the unit that it turned out to have.
fn number(text: &str, unit: Unit) -> Decoded<(Unit, i64, f64)> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (magnitude, rest) = parse::leading_long(digits)?;
    let sign = if negative { -1 } else { 1 };
    let value = magnitude * sign;
    match rest.as_bytes().first() {
        None if !digits.is_empty() => Ok((unit, value, 0.0)),
        Some(b'-') => {
            let (months, rest) = parse::leading_long(&rest[1..])?;
            if months >= 12 {
                return Err(Fault::Field);
            }
            if !rest.is_empty() {
                return Err(Fault::Format);
            }
            let value = value.checked_mul(12).ok_or(Fault::Field)? + months * sign;
            Ok((Unit::Month, value, 0.0))
        }
        Some(b'.') => Ok((unit, value, parse::fraction(rest)? * sign as f64)),
        _ => Err(Fault::Format),
    }
}

/// `P1Y2M3DT4H5M6.7S`, `P00021015T103020`, `P0002-10-15T10:30:20`.
fn decode_iso8601(text: &str, sum: &mut Sum) -> Decoded<()> {
    let mut rest = text.strip_prefix('P').filter(|rest| !rest.is_empty()).ok_or(Fault::Format)?;
    let mut date = true;
    let mut has_field = false;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            (rest, date, has_field) = (after, false, false);
            continue;
        }
        let start = rest;
        let (value, fraction, after) = iso_number(rest)?;
        let width = start.trim_start_matches('-').find(|c: char| !c.is_ascii_digit()).unwrap_or(start.len());
        let designator = after.chars().next();
        rest = after.get(designator.map_or(0, char::len_utf8)..).unwrap_or("");
        let unit = match (date, designator) {
            (true, Some('Y')) => Unit::Year,
            (true, Some('M')) => Unit::Month,
            (true, Some('W')) => Unit::Week,
            (true, Some('D')) => Unit::Day,
            (false, Some('H')) => Unit::Hour,
            (false, Some('M')) => Unit::Minute,
            (false, Some('S')) => Unit::Second,
            (true, None | Some('T')) if width == 8 && !has_field => {
                sum.add(Unit::Year, value / 10_000, 0.0)?;
                sum.add(Unit::Month, value / 100 % 100, 0.0)?;
                sum.add(Unit::Day, value % 100, fraction)?;
                (date, has_field) = (false, false);
                continue;
            }
            (false, None) if width == 6 && !has_field => {
                sum.add(Unit::Hour, value / 10_000, 0.0)?;
                sum.add(Unit::Minute, value / 100 % 100, 0.0)?;
                sum.add(Unit::Second, value % 100, fraction)?;
                return Ok(());
            }
            (true, None | Some('T' | '-')) if !has_field => {
                sum.add(Unit::Year, value, fraction)?;
                if designator == Some('-') {
                    rest = iso_extended(rest, '-', [Unit::Month, Unit::Day], sum)?;
                }
                (date, has_field) = (false, false);
                continue;
            }
            (false, None | Some(':')) if !has_field => {
                sum.add(Unit::Hour, value, fraction)?;
                if designator == Some(':') {
                    rest = iso_extended(rest, ':', [Unit::Minute, Unit::Second], sum)?;
                }
                return if rest.is_empty() { Ok(()) } else { Err(Fault::Format) };
            }
            _ => return Err(Fault::Format),
        };
        sum.add(unit, value, fraction)?;
        has_field = true;
    }
    Ok(())
}

/// The second and third part of `y-m-d` or `h:m:s`; gives what follows, a date's `T` taken off.
fn iso_extended<'a>(text: &'a str, separator: char, units: [Unit; 2], sum: &mut Sum) -> Decoded<&'a str> {
    let (value, fraction, mut rest) = iso_number(text)?;
    sum.add(units[0], value, fraction)?;
    if let Some(after) = rest.strip_prefix(separator) {
        let (value, fraction, after) = iso_number(after)?;
        sum.add(units[1], value, fraction)?;
        rest = after;
    }
    match rest.strip_prefix('T') {
        Some(after) if separator == '-' => Ok(after),
        _ if rest.is_empty() => Ok(rest),
        _ => Err(Fault::Format),
    }
}

fn iso_number(text: &str) -> Decoded<(i64, f64, &str)> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (value, mut rest) = parse::leading_long(digits)?;
    let mut fraction = 0.0;
    if rest.starts_with('.') {
        let end = rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |at| at + 1);
        fraction = parse::fraction(&rest[..end])?;
        rest = &rest[end..];
    }
    if rest.len() == digits.len() {
        return Err(Fault::Format);
    }
    Ok((value * sign, fraction * sign as f64, rest))
}

/// Cuts an interval to the fields and precision of `typmod`: what is right of the last field goes, what is left of it stays.
pub fn interval_typmod(mut value: Interval, typmod: i32) -> Result<Interval> {
    if typmod < 0 {
        return Ok(value);
    }
    use fields::*;
    let range = range_of(typmod);
    if range != ALL {
        if range & SECOND != 0 {
            // Seconds keep everything; the precision rounds below.
        } else if range & MINUTE != 0 {
            value.micros = value.micros / USECS_PER_MINUTE * USECS_PER_MINUTE;
        } else if range & HOUR != 0 {
            value.micros = value.micros / USECS_PER_HOUR * USECS_PER_HOUR;
        } else {
            value.micros = 0;
            if range & DAY == 0 {
                value.days = 0;
                if range & MONTH == 0 {
                    value.months = value.months / 12 * 12;
                }
            }
        }
    }
    let precision = typmod & 0xffff;
    if precision != FULL_PRECISION {
        if precision > 6 {
            return Err(Error::new(
                SqlState::InvalidParameterValue,
                format!("interval({precision}) precision must be between 0 and 6"),
            ));
        }
        value.micros = round_micros(value.micros, precision);
    }
    Ok(value)
}

/// The typmod's text, as format_type shows it: ` year to month`, `(3)`, ` day to second(2)`; empty for -1.
pub fn interval_typmod_out(typmod: i32) -> String {
    if typmod < 0 {
        return String::new();
    }
    use fields::*;
    const YEAR_MONTH: i32 = YEAR | MONTH;
    const DAY_HOUR: i32 = DAY | HOUR;
    const DAY_MINUTE: i32 = DAY | HOUR | MINUTE;
    const DAY_SECOND: i32 = DAY | HOUR | MINUTE | SECOND;
    const HOUR_MINUTE: i32 = HOUR | MINUTE;
    const HOUR_SECOND: i32 = HOUR | MINUTE | SECOND;
    const MINUTE_SECOND: i32 = MINUTE | SECOND;
    let fields = match range_of(typmod) {
        YEAR => " year",
        MONTH => " month",
        DAY => " day",
        HOUR => " hour",
        MINUTE => " minute",
        SECOND => " second",
        YEAR_MONTH => " year to month",
        DAY_HOUR => " day to hour",
        DAY_MINUTE => " day to minute",
        DAY_SECOND => " day to second",
        HOUR_MINUTE => " hour to minute",
        HOUR_SECOND => " hour to second",
        MINUTE_SECOND => " minute to second",
        _ => "",
    };
    match typmod & 0xffff {
        FULL_PRECISION => fields.to_owned(),
        precision => format!("{fields}({precision})"),
    }
}

/// Length in microseconds with 30-day months and 24-hour days: what comparison, hashing and the index key use.
pub fn comparison_value(value: Interval) -> i128 {
    let days = i128::from(value.days) + 30 * i128::from(value.months);
    i128::from(value.micros) + i128::from(USECS_PER_DAY) * days
}

/// An interval's fields as output shows them; all of a part's fields have its sign.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Parts {
    pub years: i32,
    pub months: i32,
    pub days: i32,
    pub hours: i64,
    pub minutes: i32,
    pub seconds: i32,
    pub micros: i32,
}

impl Parts {
    /// Splits an interval.
    pub fn of(value: Interval) -> Parts {
        Parts {
            years: value.months / 12,
            months: value.months % 12,
            days: value.days,
            hours: value.micros / USECS_PER_HOUR,
            minutes: (value.micros / USECS_PER_MINUTE % 60) as i32,
            seconds: (value.micros / USECS_PER_SEC % 60) as i32,
            micros: (value.micros % USECS_PER_SEC) as i32,
        }
    }
}

/// Writes an interval.
pub fn interval_out(value: Interval, style: IntervalStyle, out: &mut String) {
    match style {
        IntervalStyle::Postgres => postgres_out(value, out),
        IntervalStyle::PostgresVerbose => verbose_out(value, out),
        IntervalStyle::SqlStandard => sql_standard_out(value, out),
        IntervalStyle::Iso8601 => iso8601_out(value, out),
    }
}

fn postgres_out(value: Interval, out: &mut String) {
    let parts = Parts::of(value);
    let mut empty = true;
    // A plus is shown only right after a negative field.
    let mut after_negative = false;
    for (number, unit) in [(parts.years, "year"), (parts.months, "mon"), (parts.days, "day")] {
        if number == 0 {
            continue;
        }
        let space = if empty { "" } else { " " };
        let plus = if after_negative && number > 0 { "+" } else { "" };
        let plural = if number == 1 { "" } else { "s" };
        push(out, format_args!("{space}{plus}{number} {unit}{plural}"));
        (empty, after_negative) = (false, number < 0);
    }
    if empty || value.micros != 0 {
        if !empty {
            out.push(' ');
        }
        if value.micros < 0 {
            out.push('-');
        } else if after_negative {
            out.push('+');
        }
        push_clock(&parts, out);
    }
}

/// `hh:mm:ss.ffffff` without a sign.
fn push_clock(parts: &Parts, out: &mut String) {
    let (hours, minutes) = (parts.hours.unsigned_abs(), parts.minutes.unsigned_abs());
    push(out, format_args!("{hours:02}:{minutes:02}:"));
    push_seconds(i64::from(parts.seconds), parts.micros, true, out);
}

fn verbose_out(value: Interval, out: &mut String) {
    let parts = Parts::of(value);
    out.push('@');
    let mut empty = true;
    let mut ago = false;
    let amounts = [
        (i64::from(parts.years), "year"),
        (i64::from(parts.months), "mon"),
        (i64::from(parts.days), "day"),
        (parts.hours, "hour"),
        (i64::from(parts.minutes), "min"),
    ];
    for (mut number, unit) in amounts {
        if number == 0 {
            continue;
        }
        if empty {
            ago = number < 0;
            number = number.abs();
        } else if ago {
            number = -number;
        }
        push(out, format_args!(" {number} {unit}{}", if number == 1 { "" } else { "s" }));
        empty = false;
    }
    if parts.seconds != 0 || parts.micros != 0 {
        out.push(' ');
        let negative = parts.seconds < 0 || parts.micros < 0;
        if empty && negative {
            ago = true;
        } else if negative != ago {
            out.push('-');
        }
        push_seconds(i64::from(parts.seconds), parts.micros, false, out);
        out.push_str(if parts.seconds.abs() != 1 || parts.micros != 0 { " secs" } else { " sec" });
        empty = false;
    }
    if empty {
        out.push_str(" 0");
    }
    if ago {
        out.push_str(" ago");
    }
}

fn iso8601_out(value: Interval, out: &mut String) {
    let parts = Parts::of(value);
    if value == Interval::default() {
        return out.push_str("PT0S");
    }
    out.push('P');
    for (number, letter) in [(parts.years, 'Y'), (parts.months, 'M'), (parts.days, 'D')] {
        if number != 0 {
            push(out, format_args!("{number}{letter}"));
        }
    }
    if value.micros == 0 {
        return;
    }
    out.push('T');
    for (number, letter) in [(parts.hours, 'H'), (i64::from(parts.minutes), 'M')] {
        if number != 0 {
            push(out, format_args!("{number}{letter}"));
        }
    }
    if parts.seconds != 0 || parts.micros != 0 {
        if parts.seconds < 0 || parts.micros < 0 {
            out.push('-');
        }
        push_seconds(i64::from(parts.seconds), parts.micros, false, out);
        out.push('S');
    }
}

fn sql_standard_out(value: Interval, out: &mut String) {
    let signs = [i64::from(value.months).signum(), i64::from(value.days).signum(), value.micros.signum()];
    let (negative, positive) = (signs.contains(&-1), signs.contains(&1));
    let day_time = value.days != 0 || value.micros != 0;
    let parts = Parts::of(value);
    let (years, months) = (parts.years.unsigned_abs(), parts.months.unsigned_abs());
    let days = parts.days.unsigned_abs();
    if !negative && !positive {
        return out.push('0');
    }
    if (negative && positive) || (value.months != 0 && day_time) {
        // Outside the standard: each part with its sign.
        let sign = |signum: i64| if signum < 0 { '-' } else { '+' };
        push(out, format_args!("{}{years}-{months} {}{days} {}", sign(signs[0]), sign(signs[1]), sign(signs[2])));
        return push_short_clock(&parts, out);
    }
    if negative {
        out.push('-');
    }
    if value.months != 0 {
        return push(out, format_args!("{years}-{months}"));
    }
    if value.days != 0 {
        push(out, format_args!("{days} "));
    }
    push_short_clock(&parts, out);
}

/// `h:mm:ss.ffffff` without a sign.
fn push_short_clock(parts: &Parts, out: &mut String) {
    push(out, format_args!("{}:{:02}:{:02}", parts.hours.unsigned_abs(), parts.minutes.abs(), parts.seconds.abs()));
    push_fraction(parts.micros, out);
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &str, style: IntervalStyle) -> String {
        let mut out = String::new();
        match interval_in(input, -1, IntervalStyle::Postgres) {
            Ok(value) => interval_out(value, style, &mut out),
            Err(error) => out = error.to_string(),
        }
        out
    }

    #[test]
    fn intervals_are_read_and_written_in_all_styles() {
        for (input, postgres, verbose, sql, iso) in [
            (
                "1 mon 2 days 03:04:05",
                "1 mon 2 days 03:04:05",
                "@ 1 mon 2 days 3 hours 4 mins 5 secs",
                "+0-1 +2 +3:04:05",
                "P1M2DT3H4M5S",
            ),
            ("P1Y2M", "1 year 2 mons", "@ 1 year 2 mons", "1-2", "P1Y2M"),
            ("1-2", "1 year 2 mons", "@ 1 year 2 mons", "1-2", "P1Y2M"),
            ("1 day ago", "-1 days", "@ 1 day ago", "-1 0:00:00", "P-1D"),
            ("1.5 months", "1 mon 15 days", "@ 1 mon 15 days", "+0-1 +15 +0:00:00", "P1M15D"),
            ("-1 year 2 days", "-1 years +2 days", "@ 1 year -2 days ago", "-1-0 +2 +0:00:00", "P-1Y2D"),
            ("0.1 sec", "00:00:00.1", "@ 0.1 secs", "0:00:00.1", "PT0.1S"),
            (
                "P0002-10-15T10:30:20",
                "2 years 10 mons 15 days 10:30:20",
                "@ 2 years 10 mons 15 days 10 hours 30 mins 20 secs",
                "+2-10 +15 +10:30:20",
                "P2Y10M15DT10H30M20S",
            ),
            ("0", "00:00:00", "@ 0", "0", "PT0S"),
        ] {
            assert_eq!(text(input, IntervalStyle::Postgres), postgres);
            assert_eq!(text(input, IntervalStyle::PostgresVerbose), verbose);
            assert_eq!(text(input, IntervalStyle::SqlStandard), sql);
            assert_eq!(text(input, IntervalStyle::Iso8601), iso);
        }
        assert_eq!(
            text("1 day 1 day", IntervalStyle::Postgres),
            "invalid input syntax for type interval: \"1 day 1 day\" (SQLSTATE 22007)"
        );
        assert_eq!(
            text("3000000000 years", IntervalStyle::Postgres),
            "interval field value out of range: \"3000000000 years\" (SQLSTATE 22015)"
        );
    }
}
