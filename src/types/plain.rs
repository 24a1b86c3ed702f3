//! Between text and storage at once, for COPY: the text of stored values, and the stored form of plain text forms.
//!
//! Plain are digits of integers and decimals, ISO dates and timestamps, text that fits. What needs rounding, blanks, signs of
//! another kind or an error is not plain: the type's input function decides on it.

use super::datetime::calendar::{days_from_civil, days_in_month};
use super::physical::{self, keeps_blanks, scaled};
use super::text_io::{self, TextContext, push_blanks, push_scaled};
use super::{Type, datetime, oid, typmod};
use crate::error::{Error, Result, SqlState};
use lightning_storage::Value;

/// Digits that an i64 holds whatever they are.
const DIGITS_MAX: usize = 18;

/// The stored form, as COPY FROM and assignment make it of `text`, if that is plain.
pub fn cell(text: &[u8], ty: Type) -> Option<Value<'_>> {
    Some(match ty.oid {
        oid::INT4 => Value::Int32(i32::try_from(integer(text)?).ok()?),
        oid::INT8 => Value::Int64(integer(text)?),
        oid::INT2 => Value::Int16(i16::try_from(integer(text)?).ok()?),
        oid::NUMERIC => Value::Int64(decimal(text, ty)?),
        oid::DATE => Value::Int32(date(text)?),
        oid::TIMESTAMP if ty.typmod < 0 => Value::Int64(timestamp(text)?),
        oid::TEXT => Value::Bytes(text),
        oid::VARCHAR if fits(text, ty) => Value::Bytes(text),
        oid::BPCHAR if !keeps_blanks(ty) && fits(text, ty) => {
            let end = text.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
            Value::Bytes(&text[..end])
        }
        _ => return None,
    })
}

/// Appends the text of a stored value that is not NULL, as the type's output function writes it.
///
/// # Errors
/// XX001: the value cannot be read.
pub fn output(value: Value<'_>, ty: Type, ctx: &TextContext<'_>, out: &mut String) -> Result<()> {
    match (value, ty.oid) {
        (Value::Int16(v), oid::INT2) => push_scaled(i64::from(v), 0, out),
        (Value::Int32(v), oid::INT4) => push_scaled(i64::from(v), 0, out),
        (Value::Int64(v), oid::INT8) => push_scaled(v, 0, out),
        (Value::Int64(v), oid::NUMERIC) if v != i64::MAX => {
            push_scaled(v, usize::from(scaled(ty).unwrap_or_default()), out);
        }
        (Value::Int32(v), oid::DATE) => datetime::date_out(v, ctx.format, out),
        (Value::Int64(v), oid::TIMESTAMP) => datetime::timestamp_out(v, ctx.format, out),
        (Value::Bytes(v), oid::TEXT | oid::VARCHAR | oid::BPCHAR) if !keeps_blanks(ty) => {
            let text = std::str::from_utf8(v)
                .map_err(|_| Error::new(SqlState::DataCorrupted, "a stored text is not UTF-8"))?;
            out.push_str(text);
            if ty.oid == oid::BPCHAR {
                push_blanks(((ty.typmod - 4) as usize).saturating_sub(text.chars().count()), out);
            }
        }
        _ => text_io::output(&physical::from_value(value, ty)?, ty, ctx, out),
    }
    Ok(())
}

/// Whether text is certainly no longer than the type allows: characters are never more than bytes.
fn fits(text: &[u8], ty: Type) -> bool {
    ty.typmod < 0 || text.len() as i64 <= i64::from(ty.typmod) - 4
}

fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > DIGITS_MAX {
        return None;
    }
    text.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

fn integer(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(rest) => digits(rest).map(|value| -value),
        None => digits(text),
    }
}

/// A decimal with no more than its type's digits behind the point, scaled.
fn decimal(text: &[u8], ty: Type) -> Option<i64> {
    let scale = usize::from(scaled(ty)?);
    let (precision, _) = typmod::numeric(ty.typmod)?;
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[][..]),
    };
    if fraction.len() > scale || whole.len() + scale > DIGITS_MAX {
        return None;
    }
    let mut value = digits(whole)?;
    for at in 0..scale {
        let digit = *fraction.get(at).unwrap_or(&b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    if value >= 10_i64.pow(precision as u32) {
        return None;
    }
    Some(if negative { -value } else { value })
}

/// `2000-12-31`
fn date(text: &[u8]) -> Option<i32> {
    let text: &[u8; 10] = text.try_into().ok()?;
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let part = |range: std::ops::Range<usize>| digits(&text[range]).map(|value| value as i32);
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    let valid = year > 0 && (1..=12).contains(&month) && day > 0 && day <= days_in_month(year, month);
    valid.then(|| days_from_civil(year, month, day))
}

/// `2000-12-31 23:59:59`, with up to six digits more
fn timestamp(text: &[u8]) -> Option<i64> {
    let (day, clock) = text.split_at_checked(10)?;
    let days = i64::from(date(day)?);
    let (clock, fraction) = clock.split_at_checked(9)?;
    if clock[0] != b' ' || clock[3] != b':' || clock[6] != b':' {
        return None;
    }
    let (hours, minutes, seconds) = (digits(&clock[1..3])?, digits(&clock[4..6])?, digits(&clock[7..9])?);
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let micros = match fraction.strip_prefix(b".") {
        Some(fraction) if fraction.len() <= 6 => digits(fraction)? * 10_i64.pow(6 - fraction.len() as u32),
        None if fraction.is_empty() => 0,
        _ => return None,
    };
    Some((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use super::super::format::FormatSettings;
    use super::super::text_io::{self, NoNames, TextContext};
    use super::super::{physical, typmod};
    use super::*;

    /// What is plain is what input function, assignment and storage make of it.
    #[test]
    fn as_the_input_function() {
        let types = [
            (oid::INT2, -1),
            (oid::INT4, -1),
            (oid::INT8, -1),
            (oid::NUMERIC, typmod::of_numeric(7, 2)),
            (oid::NUMERIC, typmod::of_numeric(18, 0)),
            (oid::NUMERIC, -1),
            (oid::DATE, -1),
            (oid::TIMESTAMP, -1),
            (oid::TEXT, -1),
            (oid::VARCHAR, 4 + 5),
            (oid::BPCHAR, 4 + 5),
            (oid::BPCHAR, -1),
            (oid::BOOL, -1),
        ];
        let texts = [
            "",
            "0",
            "-0",
            "-1",
            "12",
            "32768",
            "-32768",
            "2147483648",
            "99999.99",
            "100000",
            "-3.5",
            "3.",
            ".5",
            "1.234",
            "1e3",
            "NaN",
            " 7",
            "7 ",
            "+7",
            "123456789012345678",
            "1234567890123456789",
            "2000-02-29",
            "1900-02-29",
            "1999-12-31",
            "0000-01-01",
            "2000-13-01",
            "2000-1-1",
            "2000-02-29 23:59:59",
            "1970-01-01 00:00:00.25",
            "2000-01-01 24:00:00",
            "2000-01-01 00:00:00.1234567",
            "a  ",
            "äöüß",
            "abcdef",
            "t",
            "1.-2",
            "--1",
        ];
        let format = FormatSettings::default();
        let zone = jiff::tz::TimeZone::UTC;
        let ctx = TextContext { format: &format, time_zone: &zone, now: 0, names: &NoNames };
        let mut plain = 0;
        for (oid, modifier) in types {
            let ty = Type::with_typmod(oid, modifier);
            for text in texts {
                let Some(cell) = cell(text.as_bytes(), ty) else { continue };
                let datum =
                    text_io::input_plain(text, ty, &ctx).and_then(|datum| typmod::apply(datum, ty, false)).unwrap();
                let mut scratch = Vec::new();
                assert_eq!(cell, physical::to_value(&datum, ty, &mut scratch).unwrap(), "{text} as {ty:?}");
                let (mut direct, mut through) = (String::new(), String::new());
                output(cell, ty, &ctx, &mut direct).unwrap();
                text_io::output(&datum, ty, &ctx, &mut through);
                assert_eq!(direct, through, "{text} as {ty:?}");
                plain += 1;
            }
        }
        assert!(plain > 100, "{plain}");
    }
}
