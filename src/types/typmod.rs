//! Type modifiers: what `varchar(n)`, `numeric(p, s)`, `timestamp(p)` … do to a value.

use super::{Datum, Text, Type, datetime, interval, oid};
use crate::error::{Error, Result, SqlState};
use std::sync::Arc;

/// Precision and scale of numeric's modifier; `None`: unconstrained.
pub fn numeric(typmod: i32) -> Option<(i32, i32)> {
    let packed = typmod.checked_sub(4).filter(|packed| *packed >= 0)?;
    // The scale is 11 bits, signed.
    Some((packed >> 16 & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024))
}

/// The modifier of `numeric(precision, scale)`.
pub fn of_numeric(precision: i32, scale: i32) -> i32 {
    ((precision << 16) | (scale & 0x7ff)) + 4
}

/// Fits a value into `ty`'s modifier: `explicit` casts cut text silently, assignments raise 22001 unless only blanks go.
///
/// # Errors
/// 22001, 22003, 22008.
pub fn apply(value: Datum, ty: Type, explicit: bool) -> Result<Datum> {
    // A length is kept with the four bytes of PostgreSQL's header: less is none.
    if ty.typmod < if matches!(ty.oid, oid::VARCHAR | oid::BPCHAR) { 4 } else { 0 } {
        return Ok(match value {
            Datum::Text(text) if ty.oid == oid::BPCHAR => Datum::bpchar(text),
            other => other,
        });
    }
    Ok(match value {
        Datum::Text(text) | Datum::Padded(text) if ty.oid == oid::BPCHAR => {
            let length = (ty.typmod - 4) as usize;
            padded(&limit(text, length, ty, explicit)?, length)
        }
        Datum::Text(text) if ty.oid == oid::VARCHAR => {
            Datum::Text(limit(text, (ty.typmod - 4) as usize, ty, explicit)?)
        }
        Datum::Numeric(v) => match numeric(ty.typmod) {
            Some((precision, scale)) => Datum::Numeric(v.fit(precision, scale)?),
            None => Datum::Numeric(v),
        },
        Datum::Timestamp(v) => Datum::Timestamp(datetime::timestamp_typmod(v, ty.typmod)?),
        Datum::TimestampTz(v) => Datum::TimestampTz(datetime::timestamp_typmod(v, ty.typmod)?),
        Datum::Time(v) => Datum::Time(datetime::time_typmod(v, ty.typmod)),
        Datum::TimeTz(v, west) => Datum::TimeTz(datetime::time_typmod(v, ty.typmod), west),
        Datum::Interval(v) => Datum::Interval(interval::interval_typmod(v, ty.typmod)?),
        Datum::Array(array) => {
            let element = Type::with_typmod(array.element, ty.typmod);
            let items = array.items.iter().map(|item| apply(item.clone(), element, explicit)).collect::<Result<_>>()?;
            Datum::Array(Arc::new(super::Array { element: array.element, dims: array.dims.clone(), items }))
        }
        other => other,
    })
}

/// A bpchar of `length` characters, filled up with blanks.
pub fn padded(text: &str, length: usize) -> Datum {
    // Characters take a byte or more each: only the others need counting.
    let missing =
        if text.is_ascii() { length.saturating_sub(text.len()) } else { length.saturating_sub(text.chars().count()) };
    if missing == 0 {
        return Datum::bpchar(text.into());
    }
    let mut out = String::with_capacity(text.len() + missing);
    out.push_str(text);
    out.extend(std::iter::repeat_n(' ', missing));
    Datum::Padded(out.into())
}

fn limit(text: Text, max_chars: usize, ty: Type, explicit: bool) -> Result<Text> {
    if text.len() <= max_chars {
        return Ok(text);
    }
    let Some((end, _)) = text.char_indices().nth(max_chars) else { return Ok(text) };
    if !explicit && text[end..].bytes().any(|b| b != b' ') {
        let name = if ty.oid == oid::BPCHAR { "character" } else { "character varying" };
        let message = format!("value too long for type {name}({max_chars})");
        return Err(Error::new(SqlState::StringDataRightTruncation, message));
    }
    Ok(text[..end].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_modifiers() {
        for (p, s) in [(10, 2), (5, 0), (3, -2), (1000, 1000)] {
            assert_eq!(numeric(of_numeric(p, s)), Some((p, s)));
        }
        assert_eq!(numeric(-1), None);
    }

    #[test]
    fn only_blanks_are_cut_silently_at_assignment() {
        let ty = Type::with_typmod(oid::VARCHAR, 4 + 2);
        let text = |v: &str| Datum::Text(v.into());
        assert!(matches!(apply(text("äb  "), ty, false).unwrap(), Datum::Text(t) if t == "äb"));
        assert!(matches!(apply(text("abc"), ty, true).unwrap(), Datum::Text(t) if t == "ab"));
        assert_eq!(apply(text("abc"), ty, false).unwrap_err().code(), SqlState::StringDataRightTruncation);
    }
}
