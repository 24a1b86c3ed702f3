//! The text forms of all types: PostgreSQL's output and input functions.

use super::format::FormatSettings;
use super::numeric::Numeric;
use super::{Array, ArrayDim, Datum, Oid, Text, Type, datetime, interval, json, jsonb, oid, physical, shape, typmod};
use crate::error::{Error, Result, SqlState};
use bytes::Bytes;
use datetime::InputSettings;
use jiff::tz::TimeZone;
use std::fmt::Write;
use std::sync::Arc;

/// Names behind oids and enum values: what the reg types and enums read and show.
pub trait Names {
    /// The label of an enum's value, by the label's place; `None`: the enum has none there.
    fn label(&self, _ty: Oid, _place: &str) -> Option<Text> {
        None
    }
    /// The place of an enum's label.
    ///
    /// # Errors
    /// 22P02 for a label that the enum has not, 55P04 for one that may not be used yet.
    fn place(&self, _ty: Oid, label: &str) -> Result<Text> {
        Err(Error::unsupported(format!("looking up the enum label \"{label}\" here")))
    }

    /// The oid that a reg type's text stands for.
    ///
    /// # Errors
    /// 42P01, 42704, 42883 … as the type's input function.
    fn read(&self, ty: Oid, text: &str) -> Result<Oid>;
    /// The text that a reg type shows for an oid; `None`: no such object, its number is shown.
    fn show(&self, ty: Oid, value: Oid) -> Option<String>;
}

/// Knows no names: numbers are read and shown.
#[derive(Clone, Copy, Debug)]
pub struct NoNames;

impl Names for NoNames {
    fn read(&self, _: Oid, text: &str) -> Result<Oid> {
        Err(Error::unsupported(format!("looking up the name \"{text}\" here")))
    }

    fn show(&self, _: Oid, _: Oid) -> Option<String> {
        None
    }
}

/// What the text forms depend on.
#[derive(Clone, Copy)]
pub struct TextContext<'a> {
    /// DateStyle and its like.
    pub format: &'a FormatSettings,
    /// TimeZone.
    pub time_zone: &'a TimeZone,
    /// The transaction's start, for 'now'.
    pub now: i64,
    /// For the reg types.
    pub names: &'a dyn Names,
}

/// A context for values that depend on no setting.
pub fn bare<'a>(format: &'a FormatSettings, names: &'a dyn Names) -> TextContext<'a> {
    static UTC: TimeZone = TimeZone::UTC;
    TextContext { format, time_zone: &UTC, now: 0, names }
}

impl TextContext<'_> {
    fn datetime(&self) -> InputSettings<'_> {
        InputSettings { format: self.format, time_zone: self.time_zone, now: self.now }
    }
}

/// Appends the text of a value that is not NULL.
pub fn output(value: &Datum, ty: Type, ctx: &TextContext<'_>, out: &mut String) {
    match value {
        Datum::Null => {}
        Datum::Bool(v) => out.push(if *v { 't' } else { 'f' }),
        Datum::Char(0) => {}
        Datum::Char(v) if v.is_ascii() => out.push(char::from(*v)),
        Datum::Char(v) => push(out, format_args!("\\{v:03o}")),
        Datum::Int2(v) => push_integer((*v).into(), out),
        Datum::Int4(v) => push_integer((*v).into(), out),
        Datum::Int8(v) if ty.oid == oid::TID => push(out, format_args!("({},{})", v >> 16, v & 0xffff)),
        Datum::Int8(v) => push_integer(*v, out),
        Datum::Float4(v) => float4_out(*v, ctx.format.extra_float_digits, out),
        Datum::Float8(v) => float8_out(*v, ctx.format.extra_float_digits, out),
        Datum::Numeric(Numeric::Small { coefficient, scale }) if *scale < 20 => {
            push_scaled(*coefficient, usize::from(*scale), out);
        }
        Datum::Numeric(v) => push(out, format_args!("{v}")),
        Datum::Text(v) | Datum::Padded(v) => out.push_str(v),
        Datum::Bytea(v) => bytea_out(v, ctx.format.bytea_escape, out),
        Datum::Jsonb(v) => v.view().write(out),
        Datum::Date(v) => datetime::date_out(*v, ctx.format, out),
        Datum::Time(v) => datetime::time_out(*v, out),
        Datum::TimeTz(v, west) => datetime::timetz_out(*v, *west, ctx.format.date_style, out),
        Datum::Timestamp(v) => datetime::timestamp_out(*v, ctx.format, out),
        Datum::TimestampTz(v) => datetime::timestamptz_out(*v, ctx.format, ctx.time_zone, out),
        Datum::Interval(v) => interval::interval_out(*v, ctx.format.interval_style, out),
        Datum::Uuid(v) => uuid_out(v, out),
        Datum::Oid(v) => oid_out(*v, ty.oid, ctx, out),
        Datum::Enum(ty, place) => label_out(*ty, place, ctx, out),
        Datum::Array(v) => array_out(v, ty, ctx, out),
        Datum::Record(fields) => record_out(fields, ctx, out),
    }
}

/// Appends the label at a place: every place that is stored has one, for as long as the enum lives.
fn label_out(ty: Oid, place: &str, ctx: &TextContext<'_>, out: &mut String) {
    match ctx.names.label(ty, place) {
        Some(label) => out.push_str(&label),
        None => out.push_str("???"),
    }
}

/// Appends an integer; faster than the formatting machinery, as most of what is sent is integers.
pub fn push_integer(value: i64, out: &mut String) {
    push_scaled(value, 0, out);
}

/// Digits with a point before the last `scale` (below 20) of them.
#[inline]
pub(super) fn push_scaled(value: i64, scale: usize, out: &mut String) {
    let mut digits = [b'0'; 24];
    let (mut at, mut rest) = (digits.len(), value.unsigned_abs());
    // At least one digit in front of the point.
    while rest > 0 || at + scale >= digits.len() {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if value < 0 {
        out.push('-');
    }
    let (whole, fraction) = digits[at..].split_at(digits.len() - at - scale);
    let text = |digits| std::str::from_utf8(digits).expect("digits are ASCII");
    out.push_str(text(whole));
    if scale > 0 {
        out.push('.');
        out.push_str(text(fraction));
    }
}

pub(super) fn push_blanks(mut count: usize, out: &mut String) {
    const BLANKS: &str = "                                ";
    while count > BLANKS.len() {
        out.push_str(BLANKS);
        count -= BLANKS.len();
    }
    out.push_str(&BLANKS[..count]);
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes all text");
}

fn oid_out(value: Oid, ty: Oid, ctx: &TextContext<'_>, out: &mut String) {
    let reg = !matches!(ty, oid::OID | oid::XID | oid::CID);
    match reg.then(|| ctx.names.show(ty, value)).flatten() {
        Some(name) => out.push_str(&name),
        None if reg && value == Oid::NONE && !matches!(ty, oid::REGOPER | oid::REGOPERATOR) => out.push('-'),
        None => push(out, format_args!("{value}")),
    }
}

/// float8's shortest text that reads back the same, in PostgreSQL's notation; fewer digits when `extra` is not positive.
pub fn float8_out(v: f64, extra: i32, out: &mut String) {
    if special_out(v, out) {
        return;
    }
    if extra > 0 {
        let text = shortest(format!("{v:e}"), 16, v, |digits| format!("{v:.digits$e}"), |text| text.parse() == Ok(v));
        return place_point(&text, 15, out);
    }
    general_out(v, (15 + extra).max(1) as usize, out);
}

/// float4's.
pub fn float4_out(v: f32, extra: i32, out: &mut String) {
    if special_out(f64::from(v), out) {
        return;
    }
    if extra > 0 {
        let exact = |digits| format!("{v:.digits$e}");
        let text = shortest(format!("{v:e}"), 7, v.into(), exact, |text| text.parse() == Ok(v));
        return place_point(&text, 6, out);
    }
    general_out(f64::from(v), (6 + extra).max(1) as usize, out);
}

/// The shortest digits that mean `v`; of two that are equally near the even ones, as PostgreSQL writes them.
fn shortest(
    text: String,
    digits_min: usize,
    v: f64,
    exact: impl Fn(usize) -> String,
    same: impl Fn(&str) -> bool,
) -> String {
    let digits = text.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    // A value halfway between two has one digit more and few places after the binary point.
    if digits < digits_min || (v * 1_048_576.0).fract() != 0.0 {
        return text;
    }
    let nearest = exact(digits - 1);
    if same(&nearest) { nearest } else { text }
}

fn special_out(v: f64, out: &mut String) -> bool {
    let text = if v.is_nan() {
        "NaN"
    } else if v == f64::INFINITY {
        "Infinity"
    } else if v == f64::NEG_INFINITY {
        "-Infinity"
    } else {
        return false;
    };
    out.push_str(text);
    true
}

/// C's `%.*g`.
fn general_out(v: f64, digits: usize, out: &mut String) {
    let text = format!("{v:.*e}", digits - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let trimmed = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    place_point(&format!("{trimmed}e{exponent}"), digits as i32, out);
}

/// From `d.ddde±x` to plain notation when -5 < x < `plain_below`, else to `d.ddde+xx`.
fn place_point(scientific: &str, plain_below: i32, out: &mut String) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    out.push_str(sign);
    if !(-4..plain_below).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return push(out, format_args!("{mantissa}e{sign}{:02}", exponent.abs()));
    }
    let digits = mantissa.replace('.', "");
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        return out.push_str(&digits);
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        out.push_str(&digits);
        out.extend(std::iter::repeat_n('0', whole - digits.len()));
    } else {
        out.push_str(&digits[..whole]);
        out.push('.');
        out.push_str(&digits[whole..]);
    }
}

fn bytea_out(bytes: &[u8], escape: bool, out: &mut String) {
    if !escape {
        out.push_str("\\x");
        return bytes.iter().for_each(|b| push(out, format_args!("{b:02x}")));
    }
    for &byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => push(out, format_args!("\\{byte:03o}")),
        }
    }
}

fn uuid_out(bytes: &[u8; 16], out: &mut String) {
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        push(out, format_args!("{byte:02x}"));
    }
}

fn array_out(array: &Array, ty: Type, ctx: &TextContext<'_>, out: &mut String) {
    if ty.oid == oid::INT2VECTOR || ty.oid == oid::OIDVECTOR {
        for (i, item) in array.items.iter().enumerate() {
            if i > 0 {
                out.push(' ');
            }
            output(item, Type::new(array.element), ctx, out);
        }
        return;
    }
    if array.dims.is_empty() {
        return out.push_str("{}");
    }
    if array.dims.iter().any(|dim| dim.lower != 1) {
        array.dims.iter().for_each(|dim| push(out, format_args!("[{}:{}]", dim.lower, dim.lower + dim.len - 1)));
        out.push('=');
    }
    let element = Type::with_typmod(super::array_element(array, ty), ty.typmod);
    let mut items = array.items.iter();
    dimension_out(&array.dims, &mut items, element, ctx, out);
}

fn dimension_out(
    dims: &[ArrayDim],
    items: &mut std::slice::Iter<'_, Datum>,
    element: Type,
    ctx: &TextContext<'_>,
    out: &mut String,
) {
    let Some((dim, inner)) = dims.split_first() else { return };
    out.push('{');
    for i in 0..dim.len {
        if i > 0 {
            out.push(',');
        }
        if !inner.is_empty() {
            dimension_out(inner, items, element, ctx, out);
            continue;
        }
        match items.next() {
            None | Some(Datum::Null) => out.push_str("NULL"),
            Some(item) => {
                let start = out.len();
                output(item, element, ctx, out);
                let special = |c: char| "\"\\{},".contains(c) || c.is_ascii_whitespace() || c == '\x0b';
                let text = &out[start..];
                if text.is_empty() || text.eq_ignore_ascii_case("null") || text.contains(special) {
                    quote(start, out);
                }
            }
        }
    }
    out.push('}');
}

/// Puts what `out` holds from `start` on into double quotes, escaped.
fn quote(start: usize, out: &mut String) {
    let text = out.split_off(start);
    out.push('"');
    for c in text.chars() {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

fn record_out(fields: &[(Type, Datum)], ctx: &TextContext<'_>, out: &mut String) {
    out.push('(');
    for (i, (ty, value)) in fields.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if value.is_null() {
            continue;
        }
        let start = out.len();
        output(value, *ty, ctx, out);
        let text = &out[start..];
        if text.is_empty() || text.contains(|c: char| "\"\\(),".contains(c) || c.is_ascii_whitespace()) {
            let text = out.split_off(start);
            out.push('"');
            for c in text.chars() {
                if c == '"' || c == '\\' {
                    out.push(c);
                }
                out.push(c);
            }
            out.push('"');
        }
    }
    out.push(')');
}

/// Reads a value of type `ty`, its typmod applied as an explicit cast does.
///
/// # Errors
/// 22P02 and its kin, with PostgreSQL's messages.
pub fn input(text: &str, ty: Type, ctx: &TextContext<'_>) -> Result<Datum> {
    typmod::apply(input_plain(text, ty, ctx)?, ty, true)
}

/// Reads a value of type `ty` without applying a length; date/time types take their precision here.
pub fn input_plain(text: &str, ty: Type, ctx: &TextContext<'_>) -> Result<Datum> {
    if shape::is_domain(ty.oid) {
        let base = shape::base(ty);
        return typmod::apply(input_plain(text, base, ctx)?, base, false);
    }
    Ok(match ty.oid {
        oid::BOOL => Datum::Bool(bool_in(text).ok_or_else(|| invalid("boolean", text))?),
        oid::CHAR => Datum::Char(char_in(text)),
        oid::INT2 => Datum::Int2(int_in(text, "smallint", i64::from(i16::MIN), i64::from(i16::MAX))? as i16),
        oid::INT4 => Datum::Int4(int_in(text, "integer", i64::from(i32::MIN), i64::from(i32::MAX))? as i32),
        oid::INT8 => Datum::Int8(int_in(text, "bigint", i64::MIN, i64::MAX)?),
        oid::FLOAT4 => Datum::Float4(float4_in(text)?),
        oid::FLOAT8 => Datum::Float8(float8_in(text)?),
        oid::NUMERIC => Datum::Numeric(Numeric::parse(text).ok_or_else(|| invalid("numeric", text))?.within_format()?),
        oid::BYTEA => Datum::Bytea(bytea_in(text)?),
        oid::DATE => Datum::Date(datetime::date_in(text, &ctx.datetime())?),
        oid::TIME => Datum::Time(datetime::time_in(text, ty.typmod, &ctx.datetime())?),
        oid::TIMETZ => {
            let (time, west) = datetime::timetz_in(text, ty.typmod, &ctx.datetime())?;
            Datum::TimeTz(time, west)
        }
        oid::TIMESTAMP => Datum::Timestamp(datetime::timestamp_in(text, ty.typmod, &ctx.datetime())?),
        oid::TIMESTAMPTZ => Datum::TimestampTz(datetime::timestamptz_in(text, ty.typmod, &ctx.datetime())?),
        oid::INTERVAL => Datum::Interval(interval::interval_in(text, ty.typmod, ctx.format.interval_style)?),
        oid::UUID => Datum::Uuid(uuid_in(text).ok_or_else(|| invalid("uuid", text))?),
        oid::TID => Datum::Int8(tid_in(text).ok_or_else(|| invalid("tid", text))?),
        oid::XID | oid::CID => Datum::Oid(Oid(number_prefix(text))),
        oid::NAME => Datum::Text(truncate_name(text).into()),
        oid::BPCHAR => Datum::bpchar(text.into()),
        oid::INT2VECTOR => vector_in(text, oid::INT2, ctx)?,
        oid::OIDVECTOR => vector_in(text, oid::OID, ctx)?,
        oid::VOID => Datum::Text("".into()),
        oid::JSON => {
            json::validate(text)?;
            Datum::Text(text.into())
        }
        oid::JSONB => Datum::Jsonb(jsonb::parse(text)?),
        oid::JSONPATH => return Err(Error::unsupported("type jsonpath")),
        other if physical::is_oid(other) => Datum::Oid(oid_in(text, other, ctx)?),
        other => match oid::element_of(other) {
            Some(element) => array_in(text, Type::with_typmod(element, ty.typmod), ctx)?,
            None if matches!(other, oid::RECORD) => {
                return Err(Error::unsupported("input of anonymous composite types"));
            }
            None if shape::is_enum(other) => Datum::Enum(other, ctx.names.place(other, text)?),
            None => Datum::Text(text.into()),
        },
    })
}

/// 22P02 `invalid input syntax for type …`.
pub fn invalid(ty: &str, text: &str) -> Error {
    Error::new(SqlState::InvalidTextRepresentation, format!("invalid input syntax for type {ty}: \"{text}\""))
}

fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b')
}

fn bool_in(text: &str) -> Option<bool> {
    let word = trim(text).to_ascii_lowercase();
    let is = |full: &str, least: usize| word.len() >= least && full.starts_with(&word);
    if is("true", 1) || is("yes", 1) || is("on", 2) || word == "1" {
        Some(true)
    } else if is("false", 1) || is("no", 1) || is("off", 2) || word == "0" {
        Some(false)
    } else {
        None
    }
}

fn char_in(text: &str) -> u8 {
    match text.as_bytes() {
        [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'] => (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'),
        bytes => bytes.first().copied().unwrap_or(0),
    }
}

fn int_in(text: &str, ty: &str, min: i64, max: i64) -> Result<i64> {
    let trimmed = trim(text);
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(ty, text));
    }
    let value = trimmed.parse::<i64>().ok().filter(|v| (min..=max).contains(v));
    value.ok_or_else(|| {
        Error::new(SqlState::NumericValueOutOfRange, format!("value \"{text}\" is out of range for type {ty}"))
    })
}

/// float8's input.
pub fn float8_in(text: &str) -> Result<f64> {
    let v: f64 = float_text(text).ok_or_else(|| invalid("double precision", text))?;
    if (v.is_infinite() && !names_infinity(text)) || (v == 0.0 && has_nonzero_digit(text)) {
        return Err(float_range(text, "double precision"));
    }
    Ok(v)
}

/// float4's input.
pub fn float4_in(text: &str) -> Result<f32> {
    let v: f32 = float_text(text).ok_or_else(|| invalid("real", text))?;
    if (v.is_infinite() && !names_infinity(text)) || (v == 0.0 && has_nonzero_digit(text)) {
        return Err(float_range(text, "real"));
    }
    Ok(v)
}

fn float_range(text: &str, ty: &str) -> Error {
    let message = format!("\"{}\" is out of range for type {ty}", trim(text));
    Error::new(SqlState::NumericValueOutOfRange, message)
}

fn names_infinity(text: &str) -> bool {
    text.contains(['i', 'I'])
}

fn has_nonzero_digit(text: &str) -> bool {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b))
}

fn float_text<T: std::str::FromStr>(text: &str) -> Option<T> {
    let text = trim(text);
    let word = text.strip_prefix(['+', '-']).unwrap_or(text);
    let known = ["nan", "infinity", "inf"].iter().any(|name| word.eq_ignore_ascii_case(name));
    if !known && !word.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    text.parse().ok()
}

fn bytea_in(text: &str) -> Result<Bytes> {
    if let Some(hex) = text.strip_prefix("\\x") {
        let digit = |c: char| {
            c.to_digit(16).ok_or_else(|| {
                Error::new(SqlState::InvalidParameterValue, format!("invalid hexadecimal digit: \"{c}\""))
            })
        };
        let mut bytes = Vec::with_capacity(hex.len() / 2);
        let mut chars = hex.chars().filter(|c| !c.is_ascii_whitespace());
        while let Some(high) = chars.next() {
            let high = digit(high)?;
            let low = chars.next().ok_or_else(|| {
                Error::new(SqlState::InvalidParameterValue, "invalid hexadecimal data: odd number of digits")
            })?;
            bytes.push((high << 4 | digit(low)?) as u8);
        }
        return Ok(bytes.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    // Of the most, there is no backslash.
    let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
    bytes.extend_from_slice(&rest[..plain]);
    rest = &rest[plain..];
    while let Some((&byte, tail)) = rest.split_first() {
        rest = match (byte, tail) {
            (b'\\', [b'\\', tail @ ..]) => {
                bytes.push(b'\\');
                tail
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                tail
            }
            (b'\\', _) => {
                return Err(Error::new(SqlState::InvalidTextRepresentation, "invalid input syntax for type bytea"));
            }
            _ => {
                bytes.push(byte);
                tail
            }
        };
    }
    Ok(bytes.into())
}

fn uuid_in(text: &str) -> Option<[u8; 16]> {
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    };
    let mut bytes = [0; 16];
    let mut chars = inner.chars().peekable();
    for (i, byte) in bytes.iter_mut().enumerate() {
        let (high, low) = (chars.next()?.to_digit(16)?, chars.next()?.to_digit(16)?);
        *byte = (high << 4 | low) as u8;
        if i % 2 == 1 && i < 15 {
            chars.next_if_eq(&'-');
        }
    }
    chars.next().is_none().then_some(bytes)
}

/// An identifier cut to 63 bytes, on a character.
pub fn truncate_name(text: &str) -> &str {
    let mut end = text.len().min(63);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// `(block,offset)` as one number, the block above 16 bits of offset. What stands in front of `(` and behind `)` is as
/// PostgreSQL has it.
fn tid_in(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once('(')?;
    let (block, rest) = rest.split_once(',')?;
    let (offset, _) = rest.split_once(')')?;
    let number = |text: &str| -> Option<i64> {
        let text = text.trim_start();
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.strip_prefix('+').unwrap_or(text).parse().ok())?
    };
    let block = number(block).filter(|block| (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(block))?;
    let offset = number(offset).filter(|offset| (0..=i64::from(u16::MAX)).contains(offset))?;
    Some(i64::from(block as u32) << 16 | offset)
}

/// xid and cid are read as C's `strtoul` reads: the digits in front, 0 when there are none.
fn number_prefix(text: &str) -> u32 {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let value = digits[..end]
        .bytes()
        .fold(0u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    if negative { value.wrapping_neg() as u32 } else { value as u32 }
}

fn oid_in(text: &str, ty: Oid, ctx: &TextContext<'_>) -> Result<Oid> {
    let trimmed = trim(text);
    let plain = matches!(ty, oid::OID | oid::XID | oid::CID);
    // A reg type's number stands alone; what is around it would be a name's.
    let alone = plain || trimmed.len() == text.len();
    if alone && !trimmed.is_empty() && trimmed.strip_prefix('-').unwrap_or(trimmed).bytes().all(|b| b.is_ascii_digit())
    {
        let value = trimmed.parse::<i64>().ok().filter(|v| (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(v));
        return value.map(|v| Oid(v as u32)).ok_or_else(|| {
            Error::new(SqlState::NumericValueOutOfRange, format!("value \"{text}\" is out of range for type oid"))
        });
    }
    if plain {
        return Err(invalid("oid", text));
    }
    if trimmed == "-" {
        return Ok(Oid::NONE);
    }
    ctx.names.read(ty, trimmed)
}

fn vector_in(text: &str, element: Oid, ctx: &TextContext<'_>) -> Result<Datum> {
    let items: Vec<Datum> =
        text.split_ascii_whitespace().map(|word| input_plain(word, Type::new(element), ctx)).collect::<Result<_>>()?;
    let dims = vec![ArrayDim { len: items.len() as i32, lower: 0 }];
    Ok(Datum::Array(Arc::new(Array { element, dims, items })))
}

fn malformed_array(text: &str, detail: &str) -> Error {
    Error::new(SqlState::InvalidTextRepresentation, format!("malformed array literal: \"{text}\"")).detail(detail)
}

/// `{…}` with optional `[lower:upper]…=` in front.
fn array_in(text: &str, element: Type, ctx: &TextContext<'_>) -> Result<Datum> {
    let mut rest = trim(text);
    let mut bounds = Vec::new();
    while let Some(inner) = rest.strip_prefix('[') {
        let Some((range, tail)) = inner.split_once(']') else {
            return Err(malformed_array(text, "Missing \"]\" after array dimensions."));
        };
        let parse = |part: &str| part.trim().parse::<i32>();
        let (lower, upper) = match range.split_once(':') {
            Some((lower, upper)) => (parse(lower), parse(upper)),
            None => (Ok(1), parse(range)),
        };
        let (Ok(lower), Ok(upper)) = (lower, upper) else {
            return Err(malformed_array(text, "Missing array dimension value."));
        };
        if upper < lower {
            return Err(Error::new(SqlState::ArraySubscriptError, "upper bound cannot be less than lower bound"));
        }
        bounds.push(ArrayDim { len: upper - lower + 1, lower });
        rest = tail.trim_start();
    }
    if !bounds.is_empty() {
        rest = rest
            .strip_prefix('=')
            .ok_or_else(|| malformed_array(text, "Missing \"=\" after array dimensions."))?
            .trim_start();
    }
    if !rest.starts_with('{') {
        let detail = if bounds.is_empty() {
            "Array value must start with \"{\" or dimension information."
        } else {
            "Array contents must start with \"{\"."
        };
        return Err(malformed_array(text, detail));
    }
    let mut parser = ArrayParser { text, rest, element, ctx, items: Vec::new(), dims: Vec::new() };
    parser.level(0)?;
    if !trim(parser.rest).is_empty() {
        return Err(malformed_array(text, "Junk after closing right brace."));
    }
    let dims = if parser.items.is_empty() {
        Vec::new()
    } else if bounds.is_empty() {
        parser.dims.iter().map(|len| ArrayDim { len: *len, lower: 1 }).collect()
    } else if bounds.iter().map(|dim| dim.len).eq(parser.dims.iter().copied()) {
        bounds
    } else {
        return Err(malformed_array(text, "Specified array dimensions do not match array contents."));
    };
    Ok(Datum::Array(Arc::new(Array { element: element.oid, dims, items: parser.items })))
}

struct ArrayParser<'a> {
    text: &'a str,
    rest: &'a str,
    element: Type,
    ctx: &'a TextContext<'a>,
    items: Vec<Datum>,
    /// Length found at each depth.
    dims: Vec<i32>,
}

impl ArrayParser<'_> {
    fn error(&self, detail: &str) -> Error {
        malformed_array(self.text, detail)
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    }

    /// One `{…}`; `rest` stands before its brace.
    fn level(&mut self, depth: usize) -> Result<()> {
        if depth >= 6 {
            let message = "number of array dimensions (7) exceeds the maximum allowed (6)";
            return Err(Error::new(SqlState::ProgramLimitExceeded, message));
        }
        self.rest = &self.rest[1..];
        let first = self.dims.len() <= depth;
        if first {
            self.dims.push(0);
        }
        let mut len = 0;
        self.skip_space();
        if let Some(rest) = self.rest.strip_prefix('}') {
            if depth > 0 {
                return Err(self.error("Unexpected \"}\" character."));
            }
            self.rest = rest;
        } else {
            loop {
                self.skip_space();
                if self.rest.starts_with('{') {
                    if self.dims.len() <= depth + 1 && !self.items.is_empty() {
                        return Err(self.error("Unexpected \"{\" character."));
                    }
                    self.level(depth + 1)?;
                } else {
                    if self.dims.len() > depth + 1 {
                        return Err(
                            self.error("Multidimensional arrays must have sub-arrays with matching dimensions.")
                        );
                    }
                    self.item()?;
                }
                len += 1;
                self.skip_space();
                match self.rest.chars().next() {
                    Some(',') => self.rest = &self.rest[1..],
                    Some('}') => {
                        self.rest = &self.rest[1..];
                        break;
                    }
                    Some(c) => return Err(self.error(&format!("Unexpected \"{c}\" character."))),
                    None => return Err(self.error("Unexpected end of input.")),
                }
            }
        }
        if first {
            self.dims[depth] = len;
        } else if self.dims[depth] != len {
            return Err(self.error("Multidimensional arrays must have sub-arrays with matching dimensions."));
        }
        Ok(())
    }

    fn item(&mut self) -> Result<()> {
        let mut value = String::new();
        let mut quoted = false;
        let mut chars = self.rest.char_indices();
        let mut kept = 0;
        let end = loop {
            let Some((at, c)) = chars.next() else { return Err(self.error("Unexpected end of input.")) };
            match c {
                ',' | '}' => break at,
                '{' => return Err(self.error("Unexpected \"{\" character.")),
                '"' if quoted || !value.trim().is_empty() => {
                    return Err(self.error("Unexpected array element."));
                }
                '"' => {
                    value.clear();
                    quoted = true;
                    loop {
                        match chars.next() {
                            Some((_, '"')) => break,
                            Some((_, '\\')) => value.extend(chars.next().map(|(_, c)| c)),
                            Some((_, c)) => value.push(c),
                            None => return Err(self.error("Unexpected end of input.")),
                        }
                    }
                    kept = value.len();
                }
                '\\' => {
                    value.extend(chars.next().map(|(_, c)| c));
                    kept = value.len();
                }
                c if c.is_ascii_whitespace() => value.push(c),
                c if quoted => {
                    let _ = c;
                    return Err(self.error("Unexpected array element."));
                }
                c => {
                    value.push(c);
                    kept = value.len();
                }
            }
        };
        self.rest = &self.rest[end..];
        value.truncate(kept);
        if !quoted && value.is_empty() {
            return Err(self.error(&format!("Unexpected \"{}\" character.", &self.rest[..1])));
        }
        let item = if !quoted && value.eq_ignore_ascii_case("null") {
            Datum::Null
        } else {
            input(&value, self.element, self.ctx)?
        };
        self.items.push(item);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roundtrip(text: &str, ty: Oid) -> Result<String> {
        let format = FormatSettings { extra_float_digits: 1, ..FormatSettings::default() };
        let ctx = TextContext { format: &format, time_zone: &TimeZone::UTC, now: 0, names: &NoNames };
        let ty = Type::new(ty);
        let mut out = String::new();
        output(&input(text, ty, &ctx)?, ty, &ctx, &mut out);
        Ok(out)
    }

    #[test]
    fn values_come_out_as_postgresql_shows_them() {
        let cases = [
            (oid::BOOL, " TRUE", "t"),
            (oid::INT4, " -007 ", "-7"),
            (oid::FLOAT8, "1e15", "1e+15"),
            (oid::FLOAT8, "123456789012345", "123456789012345"),
            (oid::FLOAT8, "0.0001", "0.0001"),
            (oid::FLOAT8, "0.00001", "1e-05"),
            (oid::FLOAT8, "0.1", "0.1"),
            (oid::FLOAT4, "1e6", "1e+06"),
            (oid::FLOAT8, "-inf", "-Infinity"),
            (oid::BYTEA, "a\\\\\\001", "\\x615c01"),
            (oid::UUID, "{A0EEBC99-9C0B4EF8bb6d-6bb9bd380a11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            (oid::INT4_ARRAY, "{{1,2},{3,NULL}}", "{{1,2},{3,NULL}}"),
            (oid::INT4_ARRAY, "[0:1]={1,2}", "[0:1]={1,2}"),
            (oid::TEXT_ARRAY, "{ a b , \"c,\\\"d\" , \"null\",\"\"}", "{\"a b\",\"c,\\\"d\",\"null\",\"\"}"),
            (oid::INT2VECTOR, "1 2", "1 2"),
        ];
        for (ty, text, expected) in cases {
            assert_eq!(roundtrip(text, ty).unwrap(), expected);
        }
    }

    #[test]
    fn bad_texts_have_postgresqls_codes() {
        let cases = [
            (oid::INT4, "12a", SqlState::InvalidTextRepresentation),
            (oid::INT4, "2147483648", SqlState::NumericValueOutOfRange),
            (oid::FLOAT8, "1e400", SqlState::NumericValueOutOfRange),
            (oid::BOOL, "maybe", SqlState::InvalidTextRepresentation),
            (oid::INT4_ARRAY, "{1,{2}}", SqlState::InvalidTextRepresentation),
            (oid::INT4_ARRAY, "{1,2", SqlState::InvalidTextRepresentation),
            (oid::BYTEA, "\\xz", SqlState::InvalidParameterValue),
        ];
        for (ty, text, code) in cases {
            assert_eq!(roundtrip(text, ty).unwrap_err().code(), code, "{text}");
        }
    }
}
