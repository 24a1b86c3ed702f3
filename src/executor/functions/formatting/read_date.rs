//! to_date and to_timestamp: a text read by a template.

use super::template::{DateField, DateKey, DateNode, date_template, is_separator};
use super::write_date::ROMAN_MONTHS;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::types::datetime::calendar::{
    Civil, DAYS, EPOCH_JULIAN, MONTHS, civil_from_days, days_in_month, is_valid_date, is_valid_julian, iso_week_start,
};
use crate::types::timezone;

pub(super) fn to_timestamp(ctx: &CallContext, text: &str, template: &str) -> Result<i64> {
    let (civil, east) = read(text, template)?;
    let east = east.unwrap_or_else(|| timezone::offset_for_local(&ctx.time_zone, &civil));
    civil.timestamp_utc(east).ok_or_else(|| Error::new(SqlState::DatetimeFieldOverflow, "timestamp out of range"))
}

pub(super) fn to_date(_: &CallContext, text: &str, template: &str) -> Result<i32> {
    let (civil, _) = read(text, template)?;
    if is_valid_julian(civil.year, civil.month) && is_valid_date(civil.days()) {
        return Ok(civil.days());
    }
    Err(Error::new(SqlState::DatetimeFieldOverflow, format!("date out of range: \"{text}\"")))
}

/// Which calendar the template's fields belong to; they cannot be mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Convention {
    Gregorian,
    IsoWeek,
}

fn convention(key: DateKey) -> Option<Convention> {
    use DateKey::*;
    match key {
        DayOfYear | DayOfMonth | DayOfWeek | MonthNumber | MonthName | MonthShort | Roman | WeekOfYear
        | WeekOfMonth | YearWithComma | Year(_) => Some(Convention::Gregorian),
        IsoDayOfYear | IsoDayOfWeek | IsoWeek | IsoYear(_) => Some(Convention::IsoWeek),
        _ => None,
    }
}

/// The fields read; zero is "not given".
#[derive(Default)]
struct Given {
    convention: Option<Convention>,
    hour: i32,
    pm: i32,
    minute: i32,
    second: i32,
    second_of_day: i32,
    /// 1 is Sunday.
    weekday: i32,
    day: i32,
    day_of_year: i32,
    month: i32,
    millis: i32,
    micros: i32,
    year: i32,
    bc: i32,
    week: i32,
    week_of_month: i32,
    century: i32,
    julian: i32,
    /// Digits of the year's field.
    year_digits: u8,
    twelve_hours: bool,
    zone_sign: i32,
    zone_hours: i32,
    zone_minutes: i32,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(SqlState::InvalidDatetimeFormat, message)
}

/// Sets a field, which may be given twice only with one value.
fn set(place: &mut i32, value: i32, field: &DateField) -> Result<()> {
    if *place != 0 && *place != value {
        return Err(invalid(format!("conflicting values for \"{}\" field in formatting string", field.name))
            .detail("This value contradicts a previous setting for the same field type."));
    }
    *place = value;
    Ok(())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    nodes: &'a [DateNode],
    given: Given,
    /// FX: the text has exactly the template's blanks and separators.
    fixed: bool,
    /// Blanks and separators passed beyond those of the template.
    extra: i32,
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_char(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn skip_spaces(&mut self) -> i32 {
        let start = self.at;
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
        (self.at - start) as i32
    }

    fn run(&mut self) -> Result<()> {
        let nodes = self.nodes;
        for (index, node) in nodes.iter().enumerate() {
            if self.rest().is_empty() {
                break;
            }
            let field = match node {
                DateNode::Field(field) => Some(field),
                _ => None,
            };
            let is_fixed = field.is_some_and(|field| field.key == DateKey::Fixed);
            if !self.fixed && !is_fixed && (field.is_some() || index == 0) {
                self.extra += self.skip_spaces();
            }
            match (node, field) {
                (DateNode::Space(_) | DateNode::Separator(_), _) if self.fixed => self.skip_char(),
                (DateNode::Space(_) | DateNode::Separator(_), _) => {
                    self.extra -= 1;
                    if self.peek().is_some_and(|c| is_space(c) || is_separator(c)) {
                        self.skip_char();
                        self.extra += 1;
                    }
                }
                // What was skipped before may have been this character already.
                (DateNode::Literal(_), _) if !self.fixed && self.extra > 0 => self.extra -= 1,
                (DateNode::Literal(_), _) => self.skip_char(),
                (_, Some(field)) => {
                    self.field(field, nodes.get(index + 1))?;
                    if !self.fixed {
                        self.extra = self.skip_spaces();
                    }
                }
                (DateNode::Field(_), None) => {}
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &DateField, next: Option<&DateNode>) -> Result<()> {
        use DateKey::*;
        if let Some(convention) = convention(field.key)
            && *self.given.convention.get_or_insert(convention) != convention
        {
            return Err(invalid("invalid combination of date conventions")
                .hint("Do not mix Gregorian and ISO week date conventions in a formatting template."));
        }
        let width = field.name.len();
        match field.key {
            Fixed => self.fixed = true,
            MeridiemDots | Meridiem => {
                let names: &[&str] = if field.key == Meridiem { &["am", "pm"] } else { &["a.m.", "p.m."] };
                let pm = self.name(field, names)?;
                set(&mut self.given.pm, pm, field)?;
                self.given.twelve_hours = true;
            }
            EraDots | Era => {
                let names: &[&str] = if field.key == Era { &["ad", "bc"] } else { &["a.d.", "b.c."] };
                let bc = self.name(field, names)?;
                set(&mut self.given.bc, bc, field)?;
            }
            MonthName => {
                let month = self.name(field, &MONTHS)? + 1;
                set(&mut self.given.month, month, field)?;
            }
            MonthShort => {
                let month = self.name(field, &MONTHS.map(|name| &name[..3]))? + 1;
                set(&mut self.given.month, month, field)?;
            }
            DayName => {
                let day = self.name(field, &DAYS)?;
                set(&mut self.given.weekday, day, field)?;
                self.given.weekday += 1;
            }
            DayShort => {
                let day = self.name(field, &DAYS.map(|name| &name[..3]))?;
                set(&mut self.given.weekday, day, field)?;
                self.given.weekday += 1;
            }
            Roman => {
                let place = self.name(field, &ROMAN_MONTHS)?;
                set(&mut self.given.month, 12 - place, field)?;
            }
            Hour12 => {
                self.integer(field, next, 2, |given| &mut given.hour)?;
                self.given.twelve_hours = true;
            }
            Hour24 => drop(self.integer(field, next, 2, |given| &mut given.hour)?),
            Minute => drop(self.integer(field, next, 2, |given| &mut given.minute)?),
            Second => drop(self.integer(field, next, 2, |given| &mut given.second)?),
            Milliseconds => {
                let width = self.integer(field, next, 3, |given| &mut given.millis)?;
                self.given.millis = self.given.millis.saturating_mul([1_000, 100, 10, 1][width.min(3)]);
            }
            Fraction(_) | Microseconds => {
                let digits = if let Fraction(digits) = field.key { digits.into() } else { 6 };
                let width = self.integer(field, next, digits, |given| &mut given.micros)?;
                let scale = 10i32.pow(6u32.saturating_sub(width as u32));
                self.given.micros = self.given.micros.saturating_mul(scale);
            }
            SecondsOfDay => drop(self.integer(field, next, width, |given| &mut given.second_of_day)?),
            ZoneName | ZoneOffset => {
                return Err(Error::new(
                    SqlState::FeatureNotSupported,
                    format!("formatting field \"{}\" is only supported in to_char", field.name),
                ));
            }
            ZoneHours => {
                // The sign may have been passed over as a separator.
                self.given.zone_sign = match self.peek() {
                    Some(c @ ('+' | '-' | ' ')) => {
                        self.at += 1;
                        if c == '-' { -1 } else { 1 }
                    }
                    _ if self.extra > 0 && self.text[..self.at].ends_with('-') => -1,
                    _ => 1,
                };
                self.integer(field, next, 2, |given| &mut given.zone_hours)?;
            }
            ZoneMinutes => {
                if self.given.zone_sign == 0 {
                    self.given.zone_sign = 1;
                }
                self.integer(field, next, 2, |given| &mut given.zone_minutes)?;
            }
            MonthNumber => drop(self.integer(field, next, 2, |given| &mut given.month)?),
            DayOfYear => drop(self.integer(field, next, 3, |given| &mut given.day_of_year)?),
            IsoDayOfYear => drop(self.integer(field, next, 3, |given| &mut given.day_of_year)?),
            DayOfMonth => drop(self.integer(field, next, 2, |given| &mut given.day)?),
            DayOfWeek => drop(self.integer(field, next, 1, |given| &mut given.weekday)?),
            IsoDayOfWeek => {
                self.integer(field, next, 1, |given| &mut given.weekday)?;
                // Sunday is 1 here, Monday there.
                self.given.weekday = self.given.weekday % 7 + 1;
            }
            WeekOfYear | IsoWeek => drop(self.integer(field, next, 2, |given| &mut given.week)?),
            // A quarter names no date; it is read and not used.
            Quarter => drop(self.number(field, next, 1)?),
            Century => drop(self.integer(field, next, 2, |given| &mut given.century)?),
            YearWithComma => self.year_with_comma(field)?,
            Year(digits) | IsoYear(digits) => {
                let (value, width) = self.number(field, next, digits.into())?;
                let value = if digits < 4 && width < 4 { complete_year(value) } else { value };
                set(&mut self.given.year, value, field)?;
                self.given.year_digits = digits;
            }
            WeekOfMonth => drop(self.integer(field, next, 1, |given| &mut given.week_of_month)?),
            JulianDay => drop(self.integer(field, next, width, |given| &mut given.julian)?),
        }
        if field.ordinal.is_some() && !matches!(field.key, Fixed) {
            let numeric = field.key.is_digits() || field.key == ZoneHours;
            for _ in 0..if numeric { 2 } else { 0 } {
                self.skip_char();
            }
        }
        Ok(())
    }

    /// A number into its place; gives its width.
    fn integer(
        &mut self,
        field: &DateField,
        next: Option<&DateNode>,
        width: usize,
        place: impl Fn(&mut Given) -> &mut i32,
    ) -> Result<usize> {
        let (value, width) = self.number(field, next, width)?;
        set(place(&mut self.given), value, field)?;
        Ok(width)
    }

    /// A number of exactly `width` characters, or of any width where what follows cannot be a digit.
    fn number(&mut self, field: &DateField, next: Option<&DateNode>, width: usize) -> Result<(i32, usize)> {
        self.skip_spaces();
        let rest = self.rest();
        let shown: String = rest.chars().take(width).collect();
        let open = field.fill
            || field.ordinal.is_some()
            || match next {
                None => true,
                Some(DateNode::Field(next)) => !next.key.is_digits(),
                Some(DateNode::Literal(c) | DateNode::Space(c) | DateNode::Separator(c)) => !c.is_ascii_digit(),
            };
        let hint = "If your source string is not fixed-width, try using the \"FM\" modifier.";
        let source = if open { rest } else { shown.as_str() };
        if !open && shown.len() < width {
            return Err(invalid(format!("source string too short for \"{}\" formatting field", field.name))
                .detail(format!("Field requires {width} characters, but only {} remain.", shown.len()))
                .hint(hint));
        }
        let used = integer_width(source);
        if !open && used > 0 && used < width {
            return Err(invalid(format!("invalid value \"{shown}\" for \"{}\"", field.name))
                .detail(format!("Field requires {width} characters, but only {used} could be parsed."))
                .hint(hint));
        }
        if used == 0 {
            return Err(invalid(format!("invalid value \"{shown}\" for \"{}\"", field.name))
                .detail("Value must be an integer."));
        }
        let value = source[..used].trim_start().parse::<i64>().ok().and_then(|value| i32::try_from(value).ok());
        let value = value.ok_or_else(|| {
            Error::new(
                SqlState::DatetimeFieldOverflow,
                format!("value for \"{}\" in source string is out of range", field.name),
            )
            .detail(format!("Value must be in the range {} to {}.", i32::MIN, i32::MAX))
        })?;
        self.at += used;
        Ok((value, used))
    }

    /// `2,024`
    fn year_with_comma(&mut self, field: &DateField) -> Result<()> {
        let wrong = || invalid(format!("invalid input string for \"{}\"", "Y,YYY"));
        let rest = self.rest();
        let thousands = integer_width(rest);
        let after = rest[thousands..].strip_prefix(',').filter(|_| thousands > 0).ok_or_else(wrong)?;
        let width = after.bytes().take(3).take_while(u8::is_ascii_digit).count();
        let year = (|| {
            let thousands: i32 = rest[..thousands].trim_start().parse().ok()?;
            let rest: i32 = after[..width].trim_start().parse().ok()?;
            thousands.checked_mul(1_000)?.checked_add(rest)
        })();
        set(&mut self.given.year, year.ok_or_else(wrong)?, field)?;
        self.given.year_digits = 4;
        self.at += thousands + 1 + width;
        Ok(())
    }

    /// The index of the name that the text goes on with, in any case.
    fn name(&mut self, field: &DateField, names: &[&str]) -> Result<i32> {
        let rest = self.rest();
        let found =
            names.iter().position(|name| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
        match found {
            Some(index) => {
                self.at += names[index].len();
                Ok(index as i32)
            }
            None => {
                let shown = rest.split(is_space).next().unwrap_or("");
                Err(invalid(format!("invalid value \"{shown}\" for \"{}\"", field.name))
                    .detail("The given value did not match any of the allowed values for this field."))
            }
        }
    }
}

/// Bytes of blanks, sign and digits that a text begins with; 0 without a digit.
fn integer_width(text: &str) -> usize {
    let blanks = text.len() - text.trim_start_matches(is_space).len();
    let signed = &text[blanks..];
    let sign = usize::from(signed.starts_with(['+', '-']));
    let digits = signed[sign..].bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 { 0 } else { blanks + sign + digits }
}

/// The year nearest to 2020 that ends with these (at most three) digits.
fn complete_year(year: i32) -> i32 {
    match year {
        ..70 => year + 2_000,
        70..100 => year + 1_900,
        100..520 => year + 2_000,
        520..1_000 => year + 1_000,
        _ => year,
    }
}

fn read(text: &str, template: &str) -> Result<(Civil, Option<i32>)> {
    let nodes = date_template(template);
    let mut reader = Reader { text, at: 0, nodes: &nodes, given: Given::default(), fixed: false, extra: 0 };
    reader.run()?;
    let mut given = reader.given;
    let overflow =
        || Error::new(SqlState::DatetimeFieldOverflow, format!("date/time field value out of range: \"{text}\""));
    let mut civil = Civil { month: 1, day: 1, ..Civil::default() };
    read_clock(&given, &mut civil)?;
    let year_known = read_year(&mut given, &mut civil);
    let known = read_day(&mut given, &mut civil)?;
    let micros = i64::from(given.millis) * 1_000 + i64::from(given.micros);
    let days = if known.day && known.month && (year_known || known.year) {
        days_in_month(civil.year, civil.month.clamp(1, 12))
    } else {
        31
    };
    let in_range = (!known.month || (1..=12).contains(&civil.month))
        && (!known.day || (1..=days).contains(&civil.day))
        && (0..24).contains(&civil.hour)
        && (0..60).contains(&civil.minute)
        && (0..60).contains(&civil.second)
        && (0..1_000_000).contains(&micros);
    if !in_range {
        return Err(overflow());
    }
    civil.micros = micros as i32;
    if given.zone_sign == 0 {
        return Ok((civil, None));
    }
    if !(0..=15).contains(&given.zone_hours) || !(0..60).contains(&given.zone_minutes) {
        return Err(Error::new(
            SqlState::InvalidTimeZoneDisplacement,
            format!("time zone displacement out of range: \"{text}\""),
        ));
    }
    Ok((civil, Some(given.zone_sign * (given.zone_hours * 3_600 + given.zone_minutes * 60))))
}

fn read_clock(given: &Given, civil: &mut Civil) -> Result<()> {
    if given.second_of_day != 0 {
        civil.hour = given.second_of_day / 3_600;
        civil.minute = given.second_of_day % 3_600 / 60;
        civil.second = given.second_of_day % 60;
    }
    for (place, value) in
        [(&mut civil.second, given.second), (&mut civil.minute, given.minute), (&mut civil.hour, given.hour)]
    {
        if value != 0 {
            *place = value;
        }
    }
    if given.twelve_hours {
        if !(1..=12).contains(&civil.hour) {
            return Err(invalid(format!("hour \"{}\" is invalid for the 12-hour clock", civil.hour))
                .hint("Use the 24-hour clock, or give an hour between 1 and 12."));
        }
        civil.hour = civil.hour % 12 + if given.pm != 0 { 12 } else { 0 };
    }
    Ok(())
}

/// Sets the astronomical year from year, century and era; whether there was one.
fn read_year(given: &mut Given, civil: &mut Civil) -> bool {
    let bc = given.bc != 0;
    let century = if bc { -given.century } else { given.century };
    if given.year != 0 && century != 0 && given.year_digits <= 2 {
        // The last digits of a year in a century: the 21st is 2001 to 2100, the 6th BC 600 BC to 501 BC.
        civil.year = match (given.year % 100, century) {
            (0, 0..) => century * 100,
            (0, _) => century * 100 + 1,
            (digits, 0..) => (century - 1) * 100 + digits,
            (digits, _) => (century + 1) * 100 - digits + 1,
        };
    } else if given.year != 0 {
        civil.year = if bc { -given.year } else { given.year };
        if civil.year < 0 {
            civil.year += 1;
        }
    } else if century != 0 {
        civil.year = if century >= 0 { (century - 1) * 100 + 1 } else { century * 100 + 1 };
    } else {
        return false;
    }
    true
}

/// Which parts of the date are known.
struct Known {
    year: bool,
    month: bool,
    day: bool,
}

fn read_day(given: &mut Given, civil: &mut Civil) -> Result<Known> {
    let mut known = Known { year: false, month: false, day: false };
    let set_date = |civil: &mut Civil, days: i64, known: &mut Known| {
        (civil.year, civil.month, civil.day) = civil_from_days(days as i32);
        *known = Known { year: true, month: true, day: true };
    };
    let iso = given.convention == Some(Convention::IsoWeek);
    if given.julian != 0 {
        set_date(civil, i64::from(given.julian) - i64::from(EPOCH_JULIAN), &mut known);
    }
    if given.week != 0 && iso {
        let monday = i64::from(iso_week_start(civil.year, given.week));
        // Sunday, 1 here, is the last day of an ISO week.
        let day = match given.weekday {
            0 => 0,
            1 => 6,
            weekday => i64::from(weekday) - 2,
        };
        set_date(civil, monday + day, &mut known);
    } else if given.week != 0 {
        given.day_of_year = (given.week.saturating_sub(1)).saturating_mul(7).saturating_add(1);
    }
    if given.week_of_month != 0 {
        given.day = (given.week_of_month.saturating_sub(1)).saturating_mul(7).saturating_add(1);
    }
    if given.day != 0 {
        civil.day = given.day;
        known.day = true;
    }
    if given.month != 0 {
        civil.month = given.month;
        known.month = true;
    }
    if given.day_of_year != 0 && (civil.month <= 1 || civil.day <= 1) {
        if civil.year == 0 && given.bc == 0 {
            return Err(invalid("cannot calculate day of year without year information"));
        }
        if iso {
            let start = i64::from(iso_week_start(civil.year, 1));
            set_date(civil, start + i64::from(given.day_of_year) - 1, &mut known);
        } else {
            let (month, day) = month_of_day(civil.year, given.day_of_year);
            if civil.month <= 1 {
                civil.month = month;
            }
            if civil.day <= 1 {
                civil.day = day;
            }
            (known.month, known.day) = (true, true);
        }
    }
    Ok(known)
}

/// Month and day of a day of the year; days past December stay in a 13th month, which the range check refuses.
fn month_of_day(year: i32, mut day: i32) -> (i32, i32) {
    for month in 1..=12 {
        let length = days_in_month(year, month);
        if day <= length {
            return (month, day);
        }
        day -= length;
    }
    (13, day)
}
