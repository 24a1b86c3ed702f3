//! The fields of a date/time text, and the words and numbers that they are made of.

use super::calendar::USECS_PER_SEC;
use crate::error::{Error, SqlState};

/// Why a text was not understood; [`Fault::report`] gives it PostgreSQL's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 22007
    Format,
    /// 22008
    Field,
    /// 22008, where another field order might have helped.
    FieldOrder,
    /// 22015
    Interval,
    /// 22009
    Displacement,
    /// 22023: no such zone.
    Zone(String),
}

/// A result of decoding.
pub type Decoded<T> = Result<T, Fault>;

impl Fault {
    /// The error for `text` read as a value of `type_name`.
    pub fn report(self, text: &str, type_name: &str) -> Error {
        match self {
            Fault::Format => Error::new(
                SqlState::InvalidDatetimeFormat,
                format!("invalid input syntax for type {type_name}: \"{text}\""),
            ),
            Fault::Field => field_out_of_range(text),
            Fault::FieldOrder => field_out_of_range(text).hint("Perhaps you need a different \"datestyle\" setting."),
            Fault::Interval => {
                Error::new(SqlState::IntervalFieldOverflow, format!("interval field value out of range: \"{text}\""))
            }
            Fault::Displacement => Error::new(
                SqlState::InvalidTimeZoneDisplacement,
                format!("time zone displacement out of range: \"{text}\""),
            ),
            Fault::Zone(name) => {
                Error::new(SqlState::InvalidParameterValue, format!("time zone \"{name}\" not recognized"))
            }
        }
    }
}

fn field_out_of_range(text: &str) -> Error {
    Error::new(SqlState::DatetimeFieldOverflow, format!("date/time field value out of range: \"{text}\""))
}

/// A field's kind, told by its punctuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Digits, perhaps with a fraction.
    Number,
    /// Letters.
    Word,
    /// Digits or letters joined by `-`, `/` or `.`; a zone's full name too.
    Date,
    /// Digits joined by `:`.
    Time,
    /// A sign and digits.
    Zone,
    /// A sign and letters.
    Special,
}

/// A field: its kind and its text in lower case.
#[derive(Clone, Debug)]
pub struct Field {
    /// What it looks like.
    pub kind: Kind,
    /// In lower case.
    pub text: String,
}

/// Fields that a text may have.
pub(super) const FIELDS_MAX: usize = 25;

/// Cuts a text into fields; at most `bytes_max` bytes of fields and separators together.
pub fn split(text: &str, bytes_max: usize) -> Decoded<Vec<Field>> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    let mut fields: Vec<Field> = Vec::new();
    let mut used = 0;
    loop {
        scan.skip_spaces();
        let Some(first) = scan.peek() else { break };
        let start = scan.at;
        let field = match first {
            b'0'..=b'9' => scan.number_or_date(),
            b'.' => {
                scan.take_while(|c| c == b'.' || c.is_ascii_digit());
                Field { kind: Kind::Number, text: scan.since(start) }
            }
            b'a'..=b'z' | b'A'..=b'Z' => scan.word_or_zone(),
            b'+' | b'-' => {
                scan.at += 1;
                scan.skip_spaces();
                let kind = match scan.peek() {
                    Some(b'0'..=b'9') => Kind::Zone,
                    Some(c) if c.is_ascii_alphabetic() => Kind::Special,
                    _ => return Err(Fault::Format),
                };
                let digits = scan.at;
                if kind == Kind::Zone {
                    scan.take_while(|c| c.is_ascii_digit() || matches!(c, b':' | b'.' | b'-'));
                } else {
                    scan.take_while(|c| c.is_ascii_alphabetic());
                }
                Field { kind, text: format!("{}{}", first as char, scan.since(digits)) }
            }
            c if c.is_ascii_punctuation() => {
                scan.at += 1;
                continue;
            }
            _ => return Err(Fault::Format),
        };
        used += field.text.len() + 1;
        fields.push(field);
        if fields.len() > FIELDS_MAX || used > bytes_max {
            return Err(Fault::Format);
        }
    }
    Ok(fields)
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
    }

    fn skip_spaces(&mut self) {
        self.take_while(|c| c.is_ascii_whitespace() || c == 0x0b);
    }

    /// The bytes taken since `start`, in lower case. Only ASCII is ever taken.
    fn since(&self, start: usize) -> String {
        self.bytes[start..self.at].iter().map(|c| c.to_ascii_lowercase() as char).collect()
    }

    fn number_or_date(&mut self) -> Field {
        let start = self.at;
        self.take_while(|c| c.is_ascii_digit());
        let kind = match self.peek() {
            Some(b':') => {
                self.take_while(|c| c.is_ascii_digit() || c == b':' || c == b'.');
                Kind::Time
            }
            Some(separator @ (b'-' | b'/' | b'.')) => {
                self.at += 1;
                if self.peek().is_some_and(|c| c.is_ascii_digit()) {
                    self.take_while(|c| c.is_ascii_digit());
                    if self.peek() == Some(separator) {
                        self.take_while(|c| c.is_ascii_digit() || c == separator);
                        Kind::Date
                    } else if separator == b'.' {
                        Kind::Number
                    } else {
                        Kind::Date
                    }
                } else {
                    self.take_while(|c| c.is_ascii_alphanumeric() || c == separator);
                    // "1." alone is a number with an empty fraction only to PostgreSQL's later releases.
                    Kind::Date
                }
            }
            _ => Kind::Number,
        };
        Field { kind, text: self.since(start) }
    }

    fn word_or_zone(&mut self) -> Field {
        let start = self.at;
        self.take_while(|c| c.is_ascii_alphabetic());
        let joined = match self.peek() {
            Some(b'-' | b'/' | b'.') => true,
            // "EST5EDT" is a zone, but "j2451187" and "y2001m02d04" are not.
            Some(b'+' | b'0'..=b'9') => matches!(datetime_token(&self.since(start)), Token::Unknown),
            _ => false,
        };
        if joined {
            self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'/' | b'_' | b'.' | b':'));
        }
        Field { kind: if joined { Kind::Date } else { Kind::Word }, text: self.since(start) }
    }
}

/// What a prefix such as `y` in `y2001m02d04`, or `t`, says of the number after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Julian,
    Time,
    /// A unit that no number may follow here (`isoyear`).
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reserved {
    Now,
    Yesterday,
    Today,
    Tomorrow,
    Zulu,
    Epoch,
    Late,
    Early,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Reserved(Reserved),
    Month(i32),
    Weekday,
    Meridiem { pm: bool },
    Era { bc: bool },
    SummerModifier,
    Label(Label),
    IsoTime,
    Ignored,
    Unknown,
}

pub(super) fn datetime_token(word: &str) -> Token {
    match word {
        "-infinity" => Token::Reserved(Reserved::Early),
        "infinity" => Token::Reserved(Reserved::Late),
        "epoch" => Token::Reserved(Reserved::Epoch),
        "now" => Token::Reserved(Reserved::Now),
        "today" => Token::Reserved(Reserved::Today),
        "tomorrow" => Token::Reserved(Reserved::Tomorrow),
        "yesterday" => Token::Reserved(Reserved::Yesterday),
        "allballs" => Token::Reserved(Reserved::Zulu),
        "dow" | "doy" | "isodow" => Token::Reserved(Reserved::Other),
        "ad" => Token::Era { bc: false },
        "bc" => Token::Era { bc: true },
        "am" => Token::Meridiem { pm: false },
        "pm" => Token::Meridiem { pm: true },
        "at" | "on" => Token::Ignored,
        "dst" => Token::SummerModifier,
        "d" => Token::Label(Label::Day),
        "h" => Token::Label(Label::Hour),
        "m" => Token::Label(Label::Month),
        "mm" => Token::Label(Label::Minute),
        "s" => Token::Label(Label::Second),
        "y" => Token::Label(Label::Year),
        "j" | "jd" | "julian" => Token::Label(Label::Julian),
        "isoyear" => Token::Label(Label::Other),
        "t" => Token::IsoTime,
        "jan" | "january" => Token::Month(1),
        "feb" | "february" => Token::Month(2),
        "mar" | "march" => Token::Month(3),
        "apr" | "april" => Token::Month(4),
        "may" => Token::Month(5),
        "jun" | "june" => Token::Month(6),
        "jul" | "july" => Token::Month(7),
        "aug" | "august" => Token::Month(8),
        "sep" | "sept" | "september" => Token::Month(9),
        "oct" | "october" => Token::Month(10),
        "nov" | "november" => Token::Month(11),
        "dec" | "december" => Token::Month(12),
        "sun" | "sunday" | "mon" | "monday" | "tue" | "tues" | "tuesday" | "wed" | "weds" | "wednesday" | "thu"
        | "thur" | "thurs" | "thursday" | "fri" | "friday" | "sat" | "saturday" => Token::Weekday,
        _ => Token::Unknown,
    }
}

/// The clock of `hh:mm`, `hh:mm:ss[.fff]` or `mm:ss.fff`, within its limits but for the hour's upper one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Hours.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i32,
    /// 0 to 60.
    pub second: i32,
    /// 0 to 1,000,000.
    pub micros: i32,
}

/// Reads a clock. `minute_to_second`: two parts are minutes and seconds (`interval minute to second`).
pub fn clock(text: &str, minute_to_second: bool) -> Decoded<Clock> {
    let (first, rest) = leading_long(text)?;
    let rest = rest.strip_prefix(':').ok_or(Fault::Format)?;
    let (second_part, rest) = leading_int(rest)?;
    let minutes = |first: i64| i32::try_from(first).map_err(|_| Fault::Field);
    let clock = if rest.is_empty() && minute_to_second {
        Clock { hour: 0, minute: minutes(first)?, second: second_part, micros: 0 }
    } else if rest.is_empty() {
        Clock { hour: first, minute: second_part, second: 0, micros: 0 }
    } else if rest.starts_with('.') {
        Clock { hour: 0, minute: minutes(first)?, second: second_part, micros: fraction_micros(rest)? }
    } else {
        let (second, rest) = leading_int(rest.strip_prefix(':').ok_or(Fault::Format)?)?;
        let micros = match rest.chars().next() {
            None => 0,
            Some('.') => fraction_micros(rest)?,
            Some(_) => return Err(Fault::Format),
        };
        Clock { hour: first, minute: second_part, second, micros }
    };
    let in_range = clock.hour >= 0
        && (0..60).contains(&clock.minute)
        && (0..=60).contains(&clock.second)
        && (0..=USECS_PER_SEC as i32).contains(&clock.micros);
    if in_range { Ok(clock) } else { Err(Fault::Field) }
}

/// `+hh[:mm[:ss]]` or `+hhmm` as seconds WEST of UTC.
pub fn numeric_zone(text: &str) -> Decoded<i32> {
    let negative = match text.as_bytes().first() {
        Some(b'+') => false,
        Some(b'-') => true,
        _ => return Err(Fault::Format),
    };
    let part =
        |text| leading_int(text).map_err(|fault| if fault == Fault::Field { Fault::Displacement } else { fault });
    let (mut hours, mut rest) = part(&text[1..])?;
    let (mut minutes, mut seconds) = (0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        (minutes, rest) = part(after)?;
        if let Some(after) = rest.strip_prefix(':') {
            (seconds, rest) = part(after)?;
        }
    } else if rest.is_empty() && text.len() > 3 {
        (hours, minutes) = (hours / 100, hours % 100);
    }
    if !(0..=15).contains(&hours) || !(0..60).contains(&minutes) || !(0..60).contains(&seconds) {
        return Err(Fault::Displacement);
    }
    if !rest.is_empty() {
        return Err(Fault::Format);
    }
    let east = (hours * 60 + minutes) * 60 + seconds;
    Ok(if negative { east } else { -east })
}

/// The digits that a text begins with (0 for none), and the rest.
pub fn leading_long(text: &str) -> Decoded<(i64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let value = if end == 0 { 0 } else { text[..end].parse().map_err(|_| Fault::Field)? };
    Ok((value, &text[end..]))
}

pub(super) fn leading_int(text: &str) -> Decoded<(i32, &str)> {
    let (value, rest) = leading_long(text)?;
    Ok((i32::try_from(value).map_err(|_| Fault::Field)?, rest))
}

/// `.ddd` as a fraction; `.` alone is 0.
pub fn fraction(text: &str) -> Decoded<f64> {
    let digits = text.strip_prefix('.').ok_or(Fault::Format)?;
    if digits.is_empty() {
        return Ok(0.0);
    }
    if !digits.bytes().all(|c| c.is_ascii_digit()) {
        return Err(Fault::Format);
    }
    text.parse().map_err(|_| Fault::Format)
}

pub(super) fn fraction_micros(text: &str) -> Decoded<i32> {
    Ok((fraction(text)? * USECS_PER_SEC as f64).round_ties_even() as i32)
}
