//! Reading dates and times: a text is split into typed fields, and the fields are decoded from left to right.
//!
//! PostgreSQL accepts almost any order of fields, and decides what a number means from its width and from what came
//! before it. The two steps here make the same decisions:
//! 1. [`split`] tells the fields' kinds by their punctuation alone.
//! 2. `Decoder` consumes them, with a mask of what is known so far; a field that gives what is known already is an error.

use super::InputSettings;
use super::calendar::{Civil, USECS_PER_DAY, USECS_PER_SEC, civil_from_days, days_from_civil, days_in_month};
use super::calendar::{EPOCH_JULIAN, USECS_PER_HOUR};
use super::fields::{FIELDS_MAX, Label, Reserved, Token, datetime_token, fraction_micros, leading_int};
use crate::types::format::DateOrder;
use crate::types::timezone::{self, Abbreviation};
use jiff::tz::TimeZone;

pub use super::fields::{Clock, Decoded, Fault, Field, Kind, clock, fraction, leading_long, numeric_zone, split};

/// Bits of what is known.
mod known {
    pub(super) const YEAR: u32 = 1;
    pub(super) const MONTH: u32 = 2;
    pub(super) const DAY: u32 = 4;
    pub(super) const HOUR: u32 = 8;
    pub(super) const MINUTE: u32 = 16;
    pub(super) const SECOND: u32 = 32;
    /// Milliseconds and microseconds: part of a clock time, not of a labelled second.
    pub(super) const FRACTION: u32 = 64;
    pub(super) const DAY_OF_YEAR: u32 = 128;
    pub(super) const ZONE: u32 = 256;
    pub(super) const SUMMER_ZONE: u32 = 512;
    pub(super) const SUMMER_MODIFIER: u32 = 1024;
    pub(super) const MERIDIEM: u32 = 2048;
    pub(super) const ERA: u32 = 4096;
    pub(super) const WEEKDAY: u32 = 8192;
    pub(super) const YEAR_MONTH: u32 = YEAR | MONTH;
    pub(super) const MONTH_DAY: u32 = MONTH | DAY;
    pub(super) const DATE: u32 = YEAR | MONTH | DAY;
    pub(super) const ALL_SECONDS: u32 = SECOND | FRACTION;
    pub(super) const TIME: u32 = HOUR | MINUTE | ALL_SECONDS;
}

/// What a date/time text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A point on calendar and clock, `west` seconds west of UTC.
    Point {
        /// The fields.
        civil: Civil,
        /// Seconds west of UTC: as written, or the session zone's.
        west: i32,
    },
    /// 1970-01-01 00:00:00 UTC.
    Epoch,
    /// infinity
    Late,
    /// -infinity
    Early,
}

/// A zone that needs the date before its offset is known.
enum PendingZone {
    None,
    Named(TimeZone),
    Abbreviation(TimeZone, String),
}

struct Decoder<'a> {
    settings: &'a InputSettings<'a>,
    fields: &'a [Field],
    civil: Civil,
    day_of_year: i32,
    known: u32,
    text_month: bool,
    two_digit_year: bool,
    julian: bool,
    bc: bool,
    pm: Option<bool>,
    west: i32,
    pending: PendingZone,
    label: Option<Label>,
    reserved: Option<Meaning>,
    /// Only a time is wanted (time and timetz).
    time_only: bool,
}

/// Decodes fields as a date, timestamp or timestamptz.
pub fn decode_datetime(fields: &[Field], settings: &InputSettings) -> Decoded<Meaning> {
    let mut decoder = Decoder::new(fields, settings, false);
    decoder.consume()?;
    if let Some(reserved) = decoder.reserved {
        decoder.validate()?;
        return Ok(reserved);
    }
    decoder.validate()?;
    decoder.apply_meridiem()?;
    if decoder.known & known::DATE != known::DATE {
        return Err(Fault::Format);
    }
    decoder.resolve_zone(decoder.civil)?;
    Ok(Meaning::Point { civil: decoder.civil, west: decoder.west })
}

/// Decodes fields as a time: its clock fields and seconds west of UTC.
pub fn decode_time(fields: &[Field], settings: &InputSettings) -> Decoded<(Civil, i32)> {
    let mut decoder = Decoder::new(fields, settings, true);
    decoder.consume()?;
    decoder.validate()?;
    decoder.apply_meridiem()?;
    if decoder.civil.time() > USECS_PER_DAY {
        return Err(Fault::Field);
    }
    if decoder.known & known::TIME != known::TIME {
        return Err(Fault::Format);
    }
    decoder.resolve_time_zone()?;
    Ok((decoder.civil, decoder.west))
}

impl<'a> Decoder<'a> {
    fn new(fields: &'a [Field], settings: &'a InputSettings<'a>, time_only: bool) -> Decoder<'a> {
        Decoder {
            settings,
            fields,
            civil: Civil::default(),
            day_of_year: 0,
            known: 0,
            text_month: false,
            two_digit_year: false,
            julian: false,
            bc: false,
            pm: None,
            west: 0,
            pending: PendingZone::None,
            label: None,
            reserved: None,
            time_only,
        }
    }

    fn consume(&mut self) -> Decoded<()> {
        let fields = self.fields;
        for (index, field) in fields.iter().enumerate() {
            let found = match field.kind {
                Kind::Date if self.time_only => self.date_field_of_time(index, &field.text)?,
                Kind::Date => self.date_field(&field.text)?,
                Kind::Time => self.time_field(&field.text)?,
                Kind::Zone => {
                    self.west = numeric_zone(&field.text)?;
                    known::ZONE
                }
                Kind::Number if self.label.is_some() => self.labelled_number(&field.text)?,
                Kind::Number if self.time_only => self.number_of_time(index, &field.text)?,
                Kind::Number => self.number(&field.text)?,
                Kind::Word | Kind::Special => match self.word(index, &field.text)? {
                    Some(found) => found,
                    None => continue,
                },
            };
            if found & self.known != 0 {
                return Err(Fault::Format);
            }
            self.known |= found;
        }
        Ok(())
    }

    fn date_field(&mut self, text: &str) -> Decoded<u32> {
        if self.label == Some(Label::Julian) {
            // 'J2451545-08': a Julian day with a zone.
            let (day, rest) = leading_int(text)?;
            if day < 0 {
                return Err(Fault::Field);
            }
            self.set_julian_day(day);
            self.west = numeric_zone(rest)?;
            self.label = None;
            return Ok(known::DATE | known::TIME | known::ZONE);
        }
        let have_day = self.known & (known::MONTH | known::DAY) == known::MONTH | known::DAY;
        if self.label.is_none() && !have_day {
            return self.date(text);
        }
        if text.starts_with(|c: char| c.is_ascii_digit()) || self.label.is_some() {
            if self.label.take().is_some_and(|label| label != Label::Time) {
                return Err(Fault::Format);
            }
            if self.known & known::TIME == known::TIME {
                return Err(Fault::Format);
            }
            self.joined_time_and_zone(text, self.known)
        } else {
            self.zone_by_name(text)
        }
    }

    fn date_field_of_time(&mut self, index: usize, text: &str) -> Decoded<u32> {
        let fields = self.fields;
        let date_allowed = index == 0
            && fields.len() >= 2
            && (fields[fields.len() - 1].kind == Kind::Date || fields[1].kind == Kind::Time);
        if date_allowed {
            self.date(text)
        } else if text.starts_with(|c: char| c.is_ascii_digit()) {
            if self.known & known::TIME == known::TIME {
                return Err(Fault::Format);
            }
            self.joined_time_and_zone(text, self.known | known::DATE)
        } else {
            self.zone_by_name(text)
        }
    }

    /// `hhmmss-zz`.
    fn joined_time_and_zone(&mut self, text: &str, so_far: u32) -> Decoded<u32> {
        let dash = text.find('-').ok_or(Fault::Format)?;
        self.west = numeric_zone(&text[dash..])?;
        Ok(self.joined_number(&text[..dash], so_far)? | known::ZONE)
    }

    fn zone_by_name(&mut self, text: &str) -> Decoded<u32> {
        let (zone, _) = timezone::named(text).ok_or_else(|| Fault::Zone(text.to_owned()))?;
        self.pending = PendingZone::Named(zone);
        Ok(known::ZONE)
    }

    fn time_field(&mut self, text: &str) -> Decoded<u32> {
        if self.label.take().is_some_and(|label| label != Label::Time) {
            return Err(Fault::Format);
        }
        let clock = clock(text, false)?;
        let hour = i32::try_from(clock.hour).map_err(|_| Fault::Field)?;
        (self.civil.hour, self.civil.minute, self.civil.second, self.civil.micros) =
            (hour, clock.minute, clock.second, clock.micros);
        // Other limits are in `clock`; 24:00:00 is the last time.
        if !self.time_only && (hour > 24 || self.civil.time() > USECS_PER_DAY) {
            return Err(Fault::Field);
        }
        Ok(known::TIME)
    }

    /// A number after a label, as in `y2001m02d04`, `j2451187`, `t040506`.
    fn labelled_number(&mut self, text: &str) -> Decoded<u32> {
        let Some(label) = self.label.take() else { return Err(Fault::Format) };
        if label == Label::Time {
            let found = self.joined_number(text, self.known | known::DATE)?;
            return if found == known::TIME { Ok(found) } else { Err(Fault::Format) };
        }
        let (value, rest) = leading_int(text)?;
        let fraction_allowed = matches!(label, Label::Second | Label::Julian);
        if !rest.is_empty() && (!fraction_allowed || !rest.starts_with('.')) {
            return Err(Fault::Format);
        }
        Ok(match label {
            Label::Year => {
                self.civil.year = value;
                known::YEAR
            }
            Label::Month if self.known & known::MONTH != 0 && self.known & known::HOUR != 0 => {
                self.civil.minute = value;
                known::MINUTE
            }
            Label::Month => {
                self.civil.month = value;
                known::MONTH
            }
            Label::Day => {
                self.civil.day = value;
                known::DAY
            }
            Label::Hour => {
                self.civil.hour = value;
                known::HOUR
            }
            Label::Minute => {
                self.civil.minute = value;
                known::MINUTE
            }
            Label::Second if rest.is_empty() => {
                self.civil.second = value;
                known::SECOND
            }
            Label::Second => {
                self.civil.second = value;
                self.civil.micros = fraction_micros(rest)?;
                known::ALL_SECONDS
            }
            Label::Julian => {
                if value < 0 {
                    return Err(Fault::Field);
                }
                self.set_julian_day(value);
                if rest.is_empty() {
                    known::DATE
                } else {
                    let time = (fraction(rest)? * USECS_PER_DAY as f64) as i64;
                    let clock = Civil::of_time(time);
                    (self.civil.hour, self.civil.minute, self.civil.second, self.civil.micros) =
                        (clock.hour, clock.minute, clock.second, clock.micros);
                    known::DATE | known::TIME
                }
            }
            Label::Time | Label::Other => return Err(Fault::Format),
        })
    }

    fn set_julian_day(&mut self, day: i32) {
        (self.civil.year, self.civil.month, self.civil.day) =
            civil_from_days((i64::from(day) - i64::from(EPOCH_JULIAN)) as i32);
        self.julian = true;
    }

    fn number(&mut self, text: &str) -> Decoded<u32> {
        match text.find('.') {
            Some(_) if self.known & known::DATE == 0 => self.date(text),
            Some(point) if point > 2 => self.joined_number(text, self.known),
            None if text.len() >= 6 && (self.known & known::DATE == 0 || self.known & known::TIME == 0) => {
                self.joined_number(text, self.known)
            }
            _ => self.single_number(text, self.text_month, self.known),
        }
    }

    fn number_of_time(&mut self, index: usize, text: &str) -> Decoded<u32> {
        let fields = self.fields;
        match text.find('.') {
            Some(_) if index == 0 && fields.len() >= 2 && fields[fields.len() - 1].kind == Kind::Date => {
                self.date(text)
            }
            Some(point) if point > 2 => self.joined_number(text, self.known | known::DATE),
            Some(_) => Err(Fault::Format),
            None if text.len() > 4 => self.joined_number(text, self.known | known::DATE),
            None => self.single_number(text, false, self.known | known::DATE),
        }
    }

    /// A word: keyword, zone abbreviation or name. `None`: to be passed over.
    fn word(&mut self, index: usize, text: &str) -> Decoded<Option<u32>> {
        if let Some(meaning) = timezone::abbreviation(text) {
            return Ok(Some(match meaning {
                Abbreviation::Fixed { east, summer } => {
                    self.west = -east;
                    known::ZONE | if summer { known::SUMMER_ZONE } else { 0 }
                }
                Abbreviation::Zone(zone) => {
                    self.pending = PendingZone::Abbreviation(zone, text.to_owned());
                    known::ZONE
                }
            }));
        }
        Ok(Some(match datetime_token(text) {
            Token::Ignored => return Ok(None),
            Token::Reserved(reserved) => self.reserved_word(reserved)?,
            Token::Month(month) => {
                // A number taken for the month was the day: '1 Jan 2000' with DateStyle MDY.
                let day_known = self.known & known::DAY != 0;
                let mut found = known::MONTH;
                if self.known & known::MONTH != 0
                    && !self.text_month
                    && !day_known
                    && (1..=31).contains(&self.civil.month)
                {
                    self.civil.day = self.civil.month;
                    found = known::DAY;
                }
                self.text_month = true;
                self.civil.month = month;
                found
            }
            Token::SummerModifier => {
                self.west -= (USECS_PER_HOUR / USECS_PER_SEC) as i32;
                known::SUMMER_MODIFIER | known::SUMMER_ZONE
            }
            Token::Meridiem { pm } => {
                self.pm = Some(pm);
                known::MERIDIEM
            }
            Token::Era { bc } => {
                self.bc = bc;
                known::ERA
            }
            Token::Weekday => known::WEEKDAY,
            Token::Label(label) => {
                self.label = Some(label);
                0
            }
            Token::IsoTime => {
                if !self.time_only && self.known & known::DATE != known::DATE {
                    return Err(Fault::Format);
                }
                match self.fields.get(index + 1).map(|next| next.kind) {
                    Some(Kind::Number | Kind::Time | Kind::Date) => {}
                    _ => return Err(Fault::Format),
                }
                self.label = Some(Label::Time);
                0
            }
            Token::Unknown => {
                let (zone, _) = timezone::named(text).ok_or(Fault::Format)?;
                self.pending = PendingZone::Named(zone);
                known::ZONE
            }
        }))
    }

    fn reserved_word(&mut self, reserved: Reserved) -> Decoded<u32> {
        let all = known::DATE | known::TIME | known::ZONE;
        let day = |shift: i32| Civil::of_date(self.local_now().0.days() + shift);
        match reserved {
            Reserved::Now => {
                let (civil, west) = self.local_now();
                if self.time_only {
                    self.set_clock(civil);
                    return Ok(known::TIME);
                }
                (self.civil, self.west) = (civil, west);
                return Ok(all);
            }
            Reserved::Zulu => {
                self.set_clock(Civil::default());
                self.west = 0;
                return Ok(known::TIME | known::ZONE);
            }
            _ if self.time_only => return Err(Fault::Format),
            Reserved::Yesterday => self.set_date(day(-1)),
            Reserved::Today => self.set_date(day(0)),
            Reserved::Tomorrow => self.set_date(day(1)),
            Reserved::Epoch => self.reserved = Some(Meaning::Epoch),
            Reserved::Late => self.reserved = Some(Meaning::Late),
            Reserved::Early => self.reserved = Some(Meaning::Early),
            Reserved::Other => return Err(Fault::Format),
        }
        Ok(if self.reserved.is_some() { all } else { known::DATE })
    }

    fn set_clock(&mut self, clock: Civil) {
        (self.civil.hour, self.civil.minute, self.civil.second, self.civil.micros) =
            (clock.hour, clock.minute, clock.second, clock.micros);
    }

    fn set_date(&mut self, date: Civil) {
        (self.civil.year, self.civil.month, self.civil.day) = (date.year, date.month, date.day);
    }

    /// The transaction's start on the session's clocks, and seconds west of UTC.
    fn local_now(&self) -> (Civil, i32) {
        let east = timezone::offset_at(self.settings.time_zone, self.settings.now);
        (Civil::of_timestamp(self.settings.now + i64::from(east) * USECS_PER_SEC), -east)
    }

    /// A date in one field: `2000-01-02`, `1/2/2000`, `2-Jan-2000`, `2.1.2000`.
    fn date(&mut self, text: &str) -> Decoded<u32> {
        let mut parts: Vec<&str> = Vec::new();
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() && parts.len() < FIELDS_MAX {
            while at < bytes.len() && !bytes[at].is_ascii_alphanumeric() {
                at += 1;
            }
            if at == bytes.len() {
                return Err(Fault::Format); // trailing punctuation
            }
            let start = at;
            let digits = bytes[at].is_ascii_digit();
            while at < bytes.len() && if digits { bytes[at].is_ascii_digit() } else { bytes[at].is_ascii_alphabetic() }
            {
                at += 1;
            }
            parts.push(&text[start..at]);
            at += 1;
        }
        let mut so_far = self.known;
        let mut found = 0;
        let mut text_month = false;
        // A month's name is unambiguous, so names come first.
        for part in parts.iter().filter(|part| !part.as_bytes()[0].is_ascii_digit()) {
            match datetime_token(part) {
                Token::Ignored => continue,
                Token::Month(month) if so_far & known::MONTH == 0 => {
                    self.civil.month = month;
                    text_month = true;
                    so_far |= known::MONTH;
                    found |= known::MONTH;
                }
                _ => return Err(Fault::Format),
            }
        }
        for part in parts.iter().filter(|part| part.as_bytes()[0].is_ascii_digit()) {
            let bits = self.single_number(part, text_month, so_far)?;
            if bits & so_far != 0 {
                return Err(Fault::Format);
            }
            so_far |= bits;
            found |= bits;
        }
        if so_far & !(known::DAY_OF_YEAR | known::ZONE) != known::DATE {
            return Err(Fault::Format);
        }
        Ok(found)
    }

    /// One number whose meaning follows from what is known and from its width.
    fn single_number(&mut self, text: &str, text_month: bool, so_far: u32) -> Decoded<u32> {
        let (value, rest) = leading_int(text)?;
        if rest.starts_with('.') {
            if text.len() - rest.len() > 2 {
                return self.joined_number(text, so_far | known::DATE);
            }
            self.civil.micros = fraction_micros(rest)?;
        } else if !rest.is_empty() {
            return Err(Fault::Format);
        }
        let width = text.len();
        if width == 3 && so_far & known::DATE == known::YEAR && (1..=366).contains(&value) {
            self.day_of_year = value;
            return Ok(known::DAY_OF_YEAR | known::MONTH | known::DAY);
        }
        let order = self.settings.format.date_order;
        let year_first = width >= 3 || order == DateOrder::Ymd;
        let found = match so_far & known::DATE {
            0 if year_first => known::YEAR,
            0 if order == DateOrder::Dmy => known::DAY,
            0 => known::MONTH,
            known::YEAR => known::MONTH,
            known::MONTH if text_month && year_first => known::YEAR,
            known::MONTH => known::DAY,
            known::YEAR_MONTH if text_month && width >= 3 && self.two_digit_year => {
                // '8-Jan-1999' with DateStyle YMD: the first number was the day after all.
                self.civil.day = self.civil.year;
                self.civil.year = value;
                self.two_digit_year = false;
                return Ok(known::DAY);
            }
            known::YEAR_MONTH => known::DAY,
            known::DAY => known::MONTH,
            known::MONTH_DAY => known::YEAR,
            known::DATE => return self.joined_number(text, so_far),
            _ => return Err(Fault::Format),
        };
        match found {
            known::YEAR => {
                self.civil.year = value;
                self.two_digit_year = width <= 2;
            }
            known::MONTH => self.civil.month = value,
            _ => self.civil.day = value,
        }
        Ok(found)
    }

    /// A run-together date (`yyyymmdd`, `yymmdd`) or time (`hhmmss`, `hhmm`, `hhmmss.fff`).
    fn joined_number(&mut self, text: &str, so_far: u32) -> Decoded<u32> {
        let digits = match text.find('.') {
            Some(point) => {
                self.civil.micros = fraction_micros(&text[point..])?;
                &text[..point]
            }
            None => text,
        };
        let width = digits.len();
        let number = |part: &str| part.parse::<i32>().map_err(|_| Fault::Format);
        if digits.len() == text.len() && so_far & known::DATE != known::DATE && width >= 6 {
            self.civil.day = number(&digits[width - 2..])?;
            self.civil.month = number(&digits[width - 4..width - 2])?;
            self.civil.year = number(&digits[..width - 4]).map_err(|_| Fault::Field)?;
            self.two_digit_year = width - 4 == 2;
            return Ok(known::DATE);
        }
        if so_far & known::TIME != known::TIME && (width == 6 || width == 4) {
            self.civil.second = if width == 6 { number(&digits[4..])? } else { 0 };
            self.civil.minute = number(&digits[2..4])?;
            self.civil.hour = number(&digits[..2])?;
            return Ok(known::TIME);
        }
        Err(Fault::Format)
    }

    /// Makes the year astronomical and checks the day against its month.
    fn validate(&mut self) -> Decoded<()> {
        if self.reserved.is_some() {
            return Ok(());
        }
        let civil = &mut self.civil;
        if self.known & known::YEAR != 0 && !self.julian {
            civil.year = match civil.year {
                year @ 1.. if self.bc => 1 - year,
                year @ 0..70 if self.two_digit_year && !self.bc => year + 2000,
                year @ 70..100 if self.two_digit_year && !self.bc => year + 1900,
                year @ 1.. => year,
                _ => return Err(Fault::Field),
            };
        }
        if self.known & known::DAY_OF_YEAR != 0 {
            let days = days_from_civil(civil.year, 1, 1) + self.day_of_year - 1;
            (civil.year, civil.month, civil.day) = civil_from_days(days);
        }
        let out_of_order = (self.known & known::MONTH != 0 && !(1..=12).contains(&civil.month))
            || (self.known & known::DAY != 0 && !(1..=31).contains(&civil.day));
        if out_of_order {
            return Err(Fault::FieldOrder);
        }
        if self.known & known::DATE == known::DATE && civil.day > days_in_month(civil.year, civil.month) {
            return Err(Fault::Field);
        }
        Ok(())
    }

    fn apply_meridiem(&mut self) -> Decoded<()> {
        let Some(pm) = self.pm else { return Ok(()) };
        if self.civil.hour > 12 {
            return Err(Fault::Field);
        }
        self.civil.hour = self.civil.hour % 12 + if pm { 12 } else { 0 };
        Ok(())
    }

    /// Sets `west` from a named zone, an abbreviation or the session's zone, at the local time `at`.
    fn resolve_zone(&mut self, at: Civil) -> Decoded<()> {
        let modified = self.known & known::SUMMER_MODIFIER != 0;
        let east = match &self.pending {
            PendingZone::Named(zone) => timezone::offset_for_local(zone, &at),
            PendingZone::Abbreviation(zone, name) => timezone::offset_for_abbreviation(zone, name, &at),
            PendingZone::None if self.known & known::ZONE == 0 => {
                timezone::offset_for_local(self.settings.time_zone, &at)
            }
            PendingZone::None => return Ok(()),
        };
        if modified {
            return Err(Fault::Format);
        }
        self.west = -east;
        Ok(())
    }

    fn resolve_time_zone(&mut self) -> Decoded<()> {
        let date_known = self.known & known::DATE == known::DATE;
        if let PendingZone::Named(zone) = &self.pending {
            // A zone that never changes needs no date.
            if let Ok(offset) = zone.to_fixed_offset() {
                self.west = -offset.seconds();
                return Ok(());
            }
            if !date_known {
                return Err(Fault::Format);
            }
        }
        let at = if self.known & known::DATE == 0 {
            let mut at = self.local_now().0;
            (at.hour, at.minute, at.second, at.micros) =
                (self.civil.hour, self.civil.minute, self.civil.second, self.civil.micros);
            at
        } else if date_known {
            self.civil
        } else {
            return Err(Fault::Format);
        };
        self.resolve_zone(at)
    }
}
