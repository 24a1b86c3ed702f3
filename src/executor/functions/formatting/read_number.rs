//! to_number: a text read by a number template.

use super::number::{Shape, SignPlace};
use super::template::{NumberKey, NumberNode, number_template};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::types::Datum;
use crate::types::numeric::Numeric;

pub(super) fn numeric_to_number(_: &CallContext, text: &str, template: &str) -> Result<Datum> {
    if template.is_empty() {
        return Ok(Datum::Null);
    }
    let nodes = number_template(template);
    let shape = Shape::of(&nodes)?;
    let unsupported =
        |pattern: &str| Error::new(SqlState::FeatureNotSupported, format!("\"{pattern}\" not supported for input"));
    for node in &nodes {
        match node {
            NumberNode::Key(NumberKey::Exponent) => return Err(unsupported("EEEE")),
            NumberNode::Key(NumberKey::Roman { .. }) => return Err(unsupported("RN")),
            _ => {}
        }
    }
    let (pre, shift) = (shape.pre, shape.shift);
    let mut reader =
        Reader { text, at: 0, shape, sign: None, digits: String::new(), before: 0, after: 0, point: false };
    reader.run(&nodes);
    let Reader { sign, mut digits, after, .. } = reader;
    if digits.ends_with('.') {
        digits.pop();
    }
    let shown = format!("{}{digits}", sign.map_or(' ', |negative| if negative { '-' } else { '+' }));
    let number = Numeric::parse(shown.trim_start_matches(' ')).ok_or_else(|| {
        Error::new(SqlState::InvalidTextRepresentation, format!("invalid input syntax for type numeric: \"{shown}\""))
    })?;
    let number = number.fit((pre + shift + after) as i32, after as i32)?;
    if shift == 0 {
        return Ok(Datum::Numeric(number));
    }
    let power = Numeric::from_big(num_bigint::BigInt::from(1), 0);
    let divisor = Numeric::from_big(num_bigint::BigInt::from(10).pow(shift as u32), 0);
    // 10^-shift has sixteen digits at least, which the product keeps.
    let factor = power.div_to_scale(&divisor, shift.max(16) as u16)?;
    Ok(Datum::Numeric(number.mul(&factor)?))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    shape: Shape,
    /// Whether a sign was read, and is minus.
    sign: Option<bool>,
    digits: String,
    /// Digits read before and after the point.
    before: usize,
    after: usize,
    point: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn advance(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn run(&mut self, nodes: &[NumberNode]) {
        for node in nodes {
            if self.peek().is_none() {
                break;
            }
            match node {
                // One character of the text for each of the template, whether it matches or not.
                NumberNode::Literal(_) => self.advance(),
                NumberNode::Key(key) => {
                    if self.key(*key) {
                        self.advance();
                    }
                }
            }
        }
    }

    /// Reads what a pattern stands for; whether the current character belongs to it.
    fn key(&mut self, key: NumberKey) -> bool {
        match key {
            NumberKey::Nine | NumberKey::Zero | NumberKey::Point | NumberKey::LocalePoint => {
                self.digit(key);
                true
            }
            // With FM separators are not looked for.
            NumberKey::Comma | NumberKey::Group => !self.shape.fill && self.peek() == Some(','),
            NumberKey::Currency => {
                self.skip_non_data(1);
                false
            }
            NumberKey::Ordinal { .. } => {
                self.skip_non_data(2);
                false
            }
            NumberKey::Minus | NumberKey::Plus | NumberKey::AnySign => {
                let wanted = match self.peek() {
                    Some('-') if key != NumberKey::Plus => Some(true),
                    Some('+') if key != NumberKey::Minus => Some(false),
                    _ => None,
                };
                match wanted {
                    Some(negative) => self.sign = Some(negative),
                    None => self.skip_non_data(1),
                }
                wanted.is_some()
            }
            NumberKey::Blank
            | NumberKey::Exponent
            | NumberKey::FillMode
            | NumberKey::Brackets
            | NumberKey::Roman { .. }
            | NumberKey::Ignored
            | NumberKey::LocaleSign
            | NumberKey::Shift => false,
        }
    }

    /// Passes over up to `count` characters that can be no part of a number.
    fn skip_non_data(&mut self, count: usize) {
        for _ in 0..count {
            match self.peek() {
                Some(c) if !"0123456789.,+-".contains(c) => self.advance(),
                _ => break,
            }
        }
    }

    /// One digit or the point, with a sign before or behind it.
    fn digit(&mut self, key: NumberKey) {
        if self.peek() == Some(' ') {
            self.advance();
        }
        let digit_pattern = matches!(key, NumberKey::Nine | NumberKey::Zero);
        if self.sign.is_none() && digit_pattern && self.before + self.after == 0 {
            self.leading_sign();
        }
        let mut is_read = false;
        match self.peek() {
            None => return,
            Some(c) if c.is_ascii_digit() => {
                if self.point && self.after == self.shape.post {
                    return;
                }
                self.digits.push(c);
                if self.point {
                    self.after += 1;
                } else {
                    self.before += 1;
                }
                is_read = true;
            }
            Some('.') if self.shape.decimal && !self.point => {
                self.digits.push('.');
                self.point = true;
                is_read = true;
            }
            Some(_) => {}
        }
        if self.sign.is_none() && self.before + self.after > 0 {
            self.trailing_sign(is_read);
        }
    }

    fn leading_sign(&mut self) {
        if self.shape.locale_sign && self.shape.sign != SignPlace::Before {
            return;
        }
        match self.peek() {
            Some('-') => self.sign = Some(true),
            Some('<') if self.shape.brackets => self.sign = Some(true),
            Some('+') => self.sign = Some(false),
            _ => return,
        }
        self.advance();
    }

    /// A sign behind the last digit, where the template's shape alone does not say where that is.
    fn trailing_sign(&mut self, is_read: bool) {
        let sign = |c: Option<char>| match c {
            Some('-') => Some(true),
            Some('+') => Some(false),
            _ => None,
        };
        if self.shape.locale_sign && is_read {
            let next = self.text[self.at..].chars().nth(1);
            if let Some(negative) = sign(next) {
                self.advance();
                self.sign = Some(negative);
            }
        } else if !is_read && !self.shape.locale_sign && (self.shape.plus || self.shape.minus) {
            self.sign = sign(self.peek());
        }
    }
}
