//! to_char of numbers, and the meaning of a number template that to_number shares.
//!
//! A template is first summed up in a [`Shape`]: how many digits stand before and after the point and which sign is
//! asked for. The number becomes a string of digits with exactly the shape's fraction, and the template is then walked
//! once over it.

use super::ordinal_suffix;
use super::template::{NumberKey, NumberNode, number_template};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::types::Datum;
use crate::types::numeric::{Numeric, out_of_range};

/// Where a template's `S` stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignPlace {
    None,
    Before,
    After,
}

/// What a whole template asks for.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Digits before the point.
    pub(super) pre: usize,
    /// Digits after it.
    pub(super) post: usize,
    /// Digits to shift by (V).
    pub(super) shift: usize,
    pub(super) sign: SignPlace,
    /// Digits before the `S`.
    pre_at_sign: usize,
    /// Place of the first and last `0`, counted from 1; 0 for none.
    zero_start: usize,
    zero_end: usize,
    pub(super) decimal: bool,
    zero: bool,
    blank: bool,
    pub(super) fill: bool,
    pub(super) locale_sign: bool,
    pub(super) brackets: bool,
    pub(super) minus: bool,
    pub(super) plus: bool,
    roman: bool,
    exponent: bool,
}

fn syntax(message: &str) -> Error {
    Error::new(SqlState::SyntaxError, message)
}

impl Shape {
    /// Sums up a template; 42601 for patterns that exclude each other.
    pub(super) fn of(nodes: &[NumberNode]) -> Result<Shape> {
        let mut shape = Shape {
            pre: 0,
            post: 0,
            shift: 0,
            sign: SignPlace::None,
            pre_at_sign: 0,
            zero_start: 0,
            zero_end: 0,
            decimal: false,
            zero: false,
            blank: false,
            fill: false,
            locale_sign: false,
            brackets: false,
            minus: false,
            plus: false,
            roman: false,
            exponent: false,
        };
        let mut shifting = false;
        for node in nodes {
            if let NumberNode::Key(key) = node {
                shape.take(*key, &mut shifting)?;
            }
        }
        Ok(shape)
    }

    fn take(&mut self, key: NumberKey, shifting: &mut bool) -> Result<()> {
        use NumberKey::*;
        if self.exponent && key != Exponent {
            return Err(syntax("\"EEEE\" must be the last pattern used"));
        }
        match key {
            Nine if self.brackets => return Err(syntax("\"9\" must be ahead of \"PR\"")),
            Nine if *shifting => self.shift += 1,
            Nine if self.decimal => self.post += 1,
            Nine => self.pre += 1,
            Zero if self.brackets => return Err(syntax("\"0\" must be ahead of \"PR\"")),
            Zero => {
                if !self.zero && !self.decimal {
                    self.zero = true;
                    self.zero_start = self.pre + 1;
                }
                if self.decimal {
                    self.post += 1;
                } else {
                    self.pre += 1;
                }
                self.zero_end = self.pre + self.post;
            }
            Blank if self.pre == 0 && self.post == 0 && !self.zero => self.blank = true,
            Blank => {}
            Point | LocalePoint if self.decimal => return Err(syntax("multiple decimal points")),
            Point | LocalePoint if *shifting => {
                return Err(syntax("cannot use \"V\" and decimal point together"));
            }
            Point | LocalePoint => self.decimal = true,
            FillMode => self.fill = true,
            LocaleSign if self.locale_sign => return Err(syntax("cannot use \"S\" twice")),
            LocaleSign if self.plus || self.minus || self.brackets => {
                return Err(syntax("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
            }
            LocaleSign => {
                self.locale_sign = true;
                if self.decimal {
                    self.sign = SignPlace::After;
                } else {
                    self.sign = SignPlace::Before;
                    self.pre_at_sign = self.pre;
                }
            }
            Minus if self.locale_sign => return Err(syntax("cannot use \"S\" and \"MI\" together")),
            Minus => self.minus = true,
            Plus if self.locale_sign => return Err(syntax("cannot use \"S\" and \"PL\" together")),
            Plus => self.plus = true,
            AnySign if self.locale_sign => return Err(syntax("cannot use \"S\" and \"SG\" together")),
            AnySign => (self.minus, self.plus) = (true, true),
            Brackets if self.locale_sign || self.plus || self.minus => {
                return Err(syntax("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
            }
            Brackets => self.brackets = true,
            Roman { .. } => self.roman = true,
            Shift if self.decimal => return Err(syntax("cannot use \"V\" and decimal point together")),
            Shift => *shifting = true,
            Exponent if self.exponent => return Err(syntax("cannot use \"EEEE\" twice")),
            Exponent => {
                let other = self.blank || self.fill || self.locale_sign || self.brackets || self.minus || self.plus;
                if other || self.roman || *shifting {
                    return Err(syntax("\"EEEE\" is incompatible with other formats")
                        .detail("\"EEEE\" may only be used together with digit and decimal point patterns."));
                }
                self.exponent = true;
            }
            Comma | Group | Currency | Ignored | Ordinal { .. } => {}
        }
        Ok(())
    }
}

/// A number as digits: sign, and text of its magnitude with the fraction that the template shows.
struct Digits {
    negative: bool,
    text: String,
    /// Digits after the point that the type has for this number, at most those asked for.
    post: usize,
}

/// How each number type gives its digits.
trait Formattable {
    /// The magnitude times 10^`shift`, with `post` digits after the point (fewer where the type has no more).
    fn digits(&self, shift: usize, post: usize) -> Result<Digits>;
    /// For `EEEE`: mantissa with `post` digits and exponent; a leading blank instead of a plus.
    fn scientific(&self, shape: &Shape) -> String;
    /// For `RN`: the number rounded; 22003 when that is no integer.
    fn rounded(&self) -> Result<i64>;
}

fn to_char(value: &dyn Formattable, template: &str) -> Result<Datum> {
    if template.is_empty() {
        return Ok(Datum::Text("".into()));
    }
    let nodes = number_template(template);
    let mut shape = Shape::of(&nodes)?;
    if shape.exponent {
        return Ok(Datum::Text(value.scientific(&shape).into()));
    }
    let (digits, blanks) = if shape.roman {
        let fill = shape.fill;
        shape = Shape { pre: 0, post: 0, shift: 0, sign: SignPlace::None, fill, ..shape };
        (shape.locale_sign, shape.brackets, shape.minus, shape.plus) = (false, false, false, false);
        (shape.decimal, shape.zero, shape.zero_start) = (false, false, 0);
        (Digits { negative: false, text: roman(value.rounded()?), post: 0 }, 0)
    } else {
        fitted(value, &mut shape)?
    };
    Ok(Datum::Text(Writer::new(shape, digits, blanks).run(&nodes)?.into()))
}

/// The digits, or `#` for each place when they do not fit, and the blanks before them.
fn fitted(value: &dyn Formattable, shape: &mut Shape) -> Result<(Digits, usize)> {
    let mut digits = value.digits(shape.shift, shape.post)?;
    shape.pre += shape.shift;
    shape.post = digits.post;
    let width = digits.text.find('.').unwrap_or(digits.text.len());
    if width > shape.pre {
        digits.text = overflowed(shape.pre, shape.post, "");
        return Ok((digits, 0));
    }
    Ok((digits, shape.pre - width))
}

fn overflowed(pre: usize, post: usize, tail: &str) -> String {
    format!("{}.{}{tail}", "#".repeat(pre), "#".repeat(post))
}

fn roman(number: i64) -> String {
    if !(1..=3_999).contains(&number) {
        return "#".repeat(15);
    }
    const PLACES: [[&str; 10]; 4] = [
        ["", "M", "MM", "MMM", "", "", "", "", "", ""],
        ["", "C", "CC", "CCC", "CD", "D", "DC", "DCC", "DCCC", "CM"],
        ["", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX", "XC"],
        ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"],
    ];
    [1_000, 100, 10, 1].iter().zip(PLACES).map(|(unit, names)| names[(number / unit % 10) as usize]).collect()
}

/// Walks a template over a number's digits.
struct Writer {
    shape: Shape,
    negative: bool,
    digits: Vec<u8>,
    at: usize,
    /// Places to be left blank before the digits.
    blanks: usize,
    /// Digit patterns met so far.
    place: usize,
    places: usize,
    sign_written: bool,
    /// Whether a digit has been written, so that group separators show.
    in_number: bool,
    /// With FM: the last character that has to be shown.
    last: Option<usize>,
    ended: bool,
    out: String,
}

impl Writer {
    fn new(mut shape: Shape, digits: Digits, blanks: usize) -> Writer {
        let Digits { negative, text, .. } = digits;
        shape.zero_start = shape.zero_start.saturating_sub(1);
        let sign_written = if shape.plus || shape.minus {
            shape.minus || !shape.plus
        } else {
            if !negative && shape.fill {
                shape.brackets = false;
            }
            if shape.sign == SignPlace::Before && shape.pre == shape.pre_at_sign {
                shape.sign = SignPlace::After;
            }
            !negative && shape.fill && !shape.locale_sign
        };
        let digits = text.into_bytes();
        let mut places = (shape.post + shape.pre).saturating_sub(1);
        let mut last = None;
        if shape.fill && shape.decimal {
            last = last_significant(&digits).map(|last| {
                // Digits with a `0` pattern stay, as far as the number has them.
                let kept = if shape.zero_end > blanks { (shape.zero_end - blanks).min(digits.len() - 1) } else { 0 };
                last.max(kept)
            });
        }
        if !sign_written && blanks == 0 {
            places += 1;
        }
        Writer {
            shape,
            negative,
            digits,
            at: 0,
            blanks,
            place: 0,
            places,
            sign_written,
            in_number: false,
            last,
            ended: false,
            out: String::new(),
        }
    }

    fn run(mut self, nodes: &[NumberNode]) -> Result<String> {
        for node in nodes {
            match node {
                NumberNode::Literal(c) => self.out.push(*c),
                NumberNode::Key(key) => self.key(*key)?,
            }
            if self.ended {
                break;
            }
        }
        Ok(self.out)
    }

    fn key(&mut self, key: NumberKey) -> Result<()> {
        let fill = self.shape.fill;
        match key {
            NumberKey::Nine | NumberKey::Zero | NumberKey::Point | NumberKey::LocalePoint => self.digit(key),
            NumberKey::Comma | NumberKey::Group => {
                if self.in_number {
                    self.out.push(',');
                } else if !fill {
                    self.out.push(' ');
                }
            }
            NumberKey::Currency => self.out.push(' '),
            NumberKey::Roman { upper } => {
                let text = String::from_utf8_lossy(&self.digits).into_owned();
                let text = if upper { text } else { text.to_ascii_lowercase() };
                let width = if fill { 0 } else { 15 };
                self.out.push_str(&format!("{text:>width$}"));
            }
            NumberKey::Ordinal { upper } => {
                let shown = self.digits.first() != Some(&b'#') && !self.negative;
                if shown && !self.shape.decimal && !self.shape.roman {
                    let text = String::from_utf8_lossy(&self.digits).into_owned();
                    if !text.ends_with(|c: char| c.is_ascii_digit()) {
                        return Err(Error::new(
                            SqlState::InvalidTextRepresentation,
                            format!("\"{text}\" is not a number"),
                        ));
                    }
                    self.out.push_str(ordinal_suffix(&text, upper));
                }
            }
            NumberKey::Minus if self.negative => self.out.push('-'),
            NumberKey::Plus if !self.negative => self.out.push('+'),
            NumberKey::Minus | NumberKey::Plus if fill => {}
            NumberKey::Minus | NumberKey::Plus => self.out.push(' '),
            NumberKey::AnySign => self.out.push(if self.negative { '-' } else { '+' }),
            NumberKey::Blank
            | NumberKey::Exponent
            | NumberKey::FillMode
            | NumberKey::Brackets
            | NumberKey::Ignored
            | NumberKey::LocaleSign
            | NumberKey::Shift => {}
        }
        Ok(())
    }

    fn current(&self) -> Option<u8> {
        self.digits.get(self.at).copied()
    }

    /// A zero before the point that `9` patterns do not show: `to_char(0.1, '9.9')` is `  .1`.
    fn is_silent_zero(&self) -> bool {
        !self.shape.zero && self.at == 0 && self.digits.first() == Some(&b'0') && self.shape.post != 0
    }

    /// Whether the number's fraction shows nothing, so that it ends with the point.
    fn ends_with_point(&self) -> bool {
        self.last.is_some_and(|last| self.digits[last] == b'.')
    }

    fn digit(&mut self, key: NumberKey) {
        if self.shape.roman {
            return;
        }
        self.in_number = false;
        self.sign();
        let Shape { fill, zero, zero_start, .. } = self.shape;
        if self.place < self.blanks && (zero_start > self.place || !zero) {
            if !fill {
                self.out.push(' ');
            }
        } else if zero && self.place < self.blanks {
            self.out.push('0');
            self.in_number = true;
        } else {
            match self.current() {
                // With FM, `9.9` of 1 is `1.`: the point is shown even where the fraction is not.
                Some(b'.') => {
                    if self.last.is_none() || !self.ends_with_point() || fill {
                        self.out.push('.');
                    }
                }
                _ if self.last.is_some_and(|last| self.at > last) && key != NumberKey::Zero => {}
                _ if self.is_silent_zero() => {
                    if !fill {
                        self.out.push(' ');
                    } else if self.ends_with_point() {
                        self.out.push('0');
                    }
                }
                Some(digit) => {
                    self.out.push(digit as char);
                    self.in_number = true;
                }
                // A digit pattern beyond the number's last digit ends the result.
                None => self.ended = true,
            }
            if self.at < self.digits.len() {
                self.at += 1;
            }
        }
        if !self.ended {
            self.closing_sign();
        }
        self.place += 1;
    }

    /// The sign before the first digit that will be shown.
    fn sign(&mut self) {
        let Shape { zero, zero_start, .. } = self.shape;
        let due = self.place >= self.blanks || (zero && zero_start == self.place);
        if self.sign_written || !due || (self.is_silent_zero() && !self.ends_with_point()) {
            return;
        }
        if self.shape.locale_sign {
            if self.shape.sign == SignPlace::Before {
                self.out.push(if self.negative { '-' } else { '+' });
                self.sign_written = true;
            }
            return;
        }
        if self.shape.brackets {
            self.out.push(if self.negative { '<' } else { ' ' });
        } else if self.negative {
            self.out.push('-');
        } else if !self.shape.fill {
            self.out.push(' ');
        }
        self.sign_written = true;
    }

    /// The sign or bracket after the last digit.
    fn closing_sign(&mut self) {
        let mut end = self.places + usize::from(self.blanks > 0) + usize::from(self.shape.decimal);
        if self.last == Some(self.at) {
            end = self.place;
        }
        if self.place + 1 != end {
            return;
        }
        if self.sign_written && self.shape.brackets {
            self.out.push(if self.negative { '>' } else { ' ' });
        } else if self.shape.locale_sign && self.shape.sign == SignPlace::After {
            self.out.push(if self.negative { '-' } else { '+' });
        }
    }
}

/// The last character that is no trailing zero of a fraction: the point itself when all are.
fn last_significant(digits: &[u8]) -> Option<usize> {
    let point = digits.iter().position(|digit| *digit == b'.')?;
    let fraction = digits[point + 1..].iter().rposition(|digit| *digit != b'0');
    Some(fraction.map_or(point, |place| point + 1 + place))
}

/// Integers: the template's fraction is zeros.
fn integer_digits(value: i128, post: usize) -> Digits {
    let mut text = value.unsigned_abs().to_string();
    if post > 0 {
        text.push('.');
        text.push_str(&"0".repeat(post));
    }
    Digits { negative: value < 0, text, post }
}

fn shifted(value: i128, shift: usize, min: i128, max: i128, ty: &str) -> Result<i128> {
    10i128
        .checked_pow(shift as u32)
        .and_then(|power| value.checked_mul(power))
        .filter(|value| (min..=max).contains(value))
        .ok_or_else(|| out_of_range(ty))
}

impl Formattable for i32 {
    fn digits(&self, shift: usize, post: usize) -> Result<Digits> {
        let value = shifted((*self).into(), shift, i32::MIN.into(), i32::MAX.into(), "integer")?;
        Ok(integer_digits(value, post))
    }

    fn scientific(&self, shape: &Shape) -> String {
        f64::from(*self).scientific(shape)
    }

    fn rounded(&self) -> Result<i64> {
        Ok((*self).into())
    }
}

impl Formattable for i64 {
    fn digits(&self, shift: usize, post: usize) -> Result<Digits> {
        let value = shifted((*self).into(), shift, i64::MIN.into(), i64::MAX.into(), "bigint")?;
        Ok(integer_digits(value, post))
    }

    fn scientific(&self, shape: &Shape) -> String {
        Numeric::from_i128((*self).into(), 0).scientific(shape)
    }

    fn rounded(&self) -> Result<i64> {
        i32::try_from(*self).map(i64::from).map_err(|_| out_of_range("integer"))
    }
}

/// A float that shows no more than `significant` digits.
fn float_digits(value: f64, shift: usize, post: usize, significant: usize) -> Digits {
    let value = value * 10f64.powi(shift as i32);
    let negative = value.is_sign_negative() && !value.is_nan();
    let magnitude = |post: usize| match value {
        value if value.is_nan() => "NaN".to_owned(),
        value if value.is_infinite() => "Infinity".to_owned(),
        value => format!("{:.post$}", value.abs()),
    };
    let post = post.min(significant.saturating_sub(magnitude(0).len()));
    Digits { negative, text: magnitude(post), post }
}

fn float_scientific(value: f64, shape: &Shape) -> String {
    if !value.is_finite() {
        return format!(" {}", overflowed(shape.pre, shape.post, "####"));
    }
    let post = shape.post;
    let text = format!("{:.post$e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    let sign = if value.is_sign_negative() { '-' } else { ' ' };
    format!("{sign}{mantissa}e{exponent_sign}{:02}", exponent.abs())
}

/// Rounded half to even, as C's rint. What is no integer is no Roman numeral either, and no error.
fn float_rounded(value: f64) -> Result<i64> {
    Ok(value.round_ties_even() as i64)
}

impl Formattable for f64 {
    fn digits(&self, shift: usize, post: usize) -> Result<Digits> {
        Ok(float_digits(*self, shift, post, 15))
    }

    fn scientific(&self, shape: &Shape) -> String {
        float_scientific(*self, shape)
    }

    fn rounded(&self) -> Result<i64> {
        float_rounded(*self)
    }
}

impl Formattable for f32 {
    fn digits(&self, shift: usize, post: usize) -> Result<Digits> {
        Ok(float_digits(f64::from(*self), shift, post, 6))
    }

    fn scientific(&self, shape: &Shape) -> String {
        float_scientific(f64::from(*self), shape)
    }

    fn rounded(&self) -> Result<i64> {
        float_rounded(f64::from(*self))
    }
}

impl Formattable for Numeric {
    fn digits(&self, shift: usize, post: usize) -> Result<Digits> {
        let power = Numeric::from_big(num_bigint::BigInt::from(10).pow(shift as u32), 0);
        let value = self.mul(&power)?.round(post as i32)?;
        let text = value.to_string();
        Ok(match text.strip_prefix('-') {
            Some(magnitude) => Digits { negative: true, text: magnitude.to_owned(), post },
            None => Digits { negative: false, text, post },
        })
    }

    fn scientific(&self, shape: &Shape) -> String {
        let Some((coefficient, scale)) = self.parts() else {
            return format!(" {}", overflowed(shape.pre, shape.post, "####"));
        };
        let digits = coefficient.magnitude().to_string();
        let zero = digits == "0";
        let exponent = if zero { 0 } else { digits.len() as i64 - 1 - i64::from(scale) };
        // The mantissa is the value with the point after its first digit, rounded.
        let mantissa_scale = if zero { 0 } else { digits.len() as u16 - 1 };
        let mantissa = Numeric::from_big(num_bigint::BigInt::from(coefficient.magnitude().clone()), mantissa_scale);
        let mantissa = mantissa.round(shape.post as i32).unwrap_or(mantissa);
        let sign = if self.signum() < 0 { '-' } else { ' ' };
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        format!("{sign}{mantissa}e{exponent_sign}{:02}", exponent.abs())
    }

    fn rounded(&self) -> Result<i64> {
        let rounded = self.round(0)?.to_i64("integer")?;
        i32::try_from(rounded).map(i64::from).map_err(|_| out_of_range("integer"))
    }
}

pub(super) fn int4_to_char(_: &CallContext, value: i32, template: &str) -> Result<Datum> {
    to_char(&value, template)
}

pub(super) fn int8_to_char(_: &CallContext, value: i64, template: &str) -> Result<Datum> {
    to_char(&value, template)
}

pub(super) fn float4_to_char(_: &CallContext, value: f32, template: &str) -> Result<Datum> {
    to_char(&value, template)
}

pub(super) fn float8_to_char(_: &CallContext, value: f64, template: &str) -> Result<Datum> {
    to_char(&value, template)
}

pub(super) fn numeric_to_char(_: &CallContext, value: &Numeric, template: &str) -> Result<Datum> {
    to_char(value, template)
}
