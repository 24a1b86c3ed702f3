//! numeric: exact decimals of any size with a display scale, NaN and infinities, by PostgreSQL's rules.
//!
//! A value is `coefficient / 10^scale`. Coefficients that fit an i64 lie inline and are computed in i128; larger ones are
//! big integers. Result scales are PostgreSQL's (`numeric.c`): sums take the larger scale, products the sum of scales,
//! quotients at least 16 significant digits counted in its base-10,000 digits; rounding is half away from zero.

mod functions;

use crate::error::{Error, Result, SqlState};
use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{One, Signed, ToPrimitive, Zero};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Digits after the point that a value can show.
pub const SCALE_MAX: u16 = 16_383;
/// Digits before the point.
const WEIGHT_MAX: i64 = 131_072;
/// Significant digits that a quotient, root or logarithm has at least.
pub(super) const SIGNIFICANT_MIN: i64 = 16;
/// The largest scale that such functions choose by themselves.
pub(super) const DISPLAY_SCALE_MAX: i64 = 1000;

/// A numeric value. Small ones (coefficient in an i64) lie inline.
#[derive(Clone, Debug)]
pub enum Numeric {
    /// `coefficient / 10^scale`, shown with `scale` digits after the point.
    Small {
        /// The digits.
        coefficient: i64,
        /// Display scale.
        scale: u16,
    },
    /// Anything larger; the coefficient does not fit an i64.
    Big(Arc<(BigInt, u16)>),
    /// NaN, equal to itself and greater than all else.
    NaN,
    /// Infinity.
    Infinity,
    /// -Infinity.
    NegativeInfinity,
}

/// 10^n.
pub(super) fn ten_to(n: u32) -> BigInt {
    match 10i64.checked_pow(n) {
        Some(v) => BigInt::from(v),
        None => num_traits::pow(BigInt::from(10), n as usize),
    }
}

fn ten_to_i128(n: u32) -> Option<i128> {
    10i128.checked_pow(n)
}

fn overflow() -> Error {
    Error::new(SqlState::NumericValueOutOfRange, "value overflows numeric format")
}

/// 22003 for a value that an integer type cannot hold.
pub fn out_of_range(ty: &str) -> Error {
    Error::new(SqlState::NumericValueOutOfRange, format!("{ty} out of range"))
}

/// 22012.
pub fn division_by_zero() -> Error {
    Error::new(SqlState::DivisionByZero, "division by zero")
}

/// Divides, rounding half away from zero.
pub(super) fn div_round(dividend: &BigInt, divisor: &BigInt) -> BigInt {
    let (quotient, rest) = dividend.div_rem(divisor);
    if (rest.abs() << 1u32) >= divisor.abs() {
        let negative = (dividend.sign() == Sign::Minus) != (divisor.sign() == Sign::Minus);
        return if negative { quotient - 1 } else { quotient + 1 };
    }
    quotient
}

fn div_round_i128(dividend: i128, divisor: i128) -> i128 {
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    if rest.unsigned_abs() * 2 >= divisor.unsigned_abs() {
        return if (dividend < 0) != (divisor < 0) { quotient - 1 } else { quotient + 1 };
    }
    quotient
}

impl From<i64> for Numeric {
    fn from(v: i64) -> Numeric {
        Numeric::Small { coefficient: v, scale: 0 }
    }
}

impl From<i32> for Numeric {
    fn from(v: i32) -> Numeric {
        Numeric::from(i64::from(v))
    }
}

impl Numeric {
    /// Zero.
    pub const ZERO: Numeric = Numeric::Small { coefficient: 0, scale: 0 };
    /// One.
    pub const ONE: Numeric = Numeric::Small { coefficient: 1, scale: 0 };

    /// `coefficient / 10^scale`.
    pub fn from_i128(coefficient: i128, scale: u16) -> Numeric {
        match i64::try_from(coefficient) {
            Ok(coefficient) => Numeric::Small { coefficient, scale },
            Err(_) => Numeric::Big(Arc::new((BigInt::from(coefficient), scale))),
        }
    }

    /// `coefficient / 10^scale`.
    pub fn from_big(coefficient: BigInt, scale: u16) -> Numeric {
        match coefficient.to_i64() {
            Some(coefficient) => Numeric::Small { coefficient, scale },
            None => Numeric::Big(Arc::new((coefficient, scale))),
        }
    }

    /// 22003 for more digits before the point than numeric's format can hold.
    pub(super) fn within_format(self) -> Result<Numeric> {
        match (&self, self.parts()) {
            (Numeric::Small { .. }, _) | (_, None) => Ok(self),
            (_, Some((coefficient, scale))) => Numeric::checked(coefficient, scale),
        }
    }

    /// As [`Numeric::from_big`], refusing what numeric's format cannot hold.
    pub(super) fn checked(coefficient: BigInt, scale: u16) -> Result<Numeric> {
        if coefficient.bits() > 430_000 && digits_of(&coefficient) - i64::from(scale) > WEIGHT_MAX {
            return Err(overflow());
        }
        Ok(Numeric::from_big(coefficient, scale))
    }

    /// Coefficient and scale of a finite value.
    pub fn parts(&self) -> Option<(BigInt, u16)> {
        match self {
            Numeric::Small { coefficient, scale } => Some((BigInt::from(*coefficient), *scale)),
            Numeric::Big(big) => Some((big.0.clone(), big.1)),
            _ => None,
        }
    }

    /// Display scale; 0 of NaN and infinities.
    pub fn scale(&self) -> u16 {
        match self {
            Numeric::Small { scale, .. } => *scale,
            Numeric::Big(big) => big.1,
            _ => 0,
        }
    }

    /// Whether this is NaN.
    pub fn is_nan(&self) -> bool {
        matches!(self, Numeric::NaN)
    }

    /// Whether this is neither NaN nor an infinity.
    pub fn is_finite(&self) -> bool {
        matches!(self, Numeric::Small { .. } | Numeric::Big(_))
    }

    /// -1, 0 or 1; 0 of NaN.
    pub fn signum(&self) -> i32 {
        match self {
            Numeric::Small { coefficient, .. } => coefficient.signum() as i32,
            Numeric::Big(big) => {
                if big.0.is_negative() {
                    -1
                } else {
                    1
                }
            }
            Numeric::NaN => 0,
            Numeric::Infinity => 1,
            Numeric::NegativeInfinity => -1,
        }
    }

    /// -self.
    pub fn neg(&self) -> Numeric {
        match self {
            Numeric::Small { coefficient, scale } => Numeric::from_i128(-i128::from(*coefficient), *scale),
            Numeric::Big(big) => Numeric::from_big(-&big.0, big.1),
            Numeric::NaN => Numeric::NaN,
            Numeric::Infinity => Numeric::NegativeInfinity,
            Numeric::NegativeInfinity => Numeric::Infinity,
        }
    }

    /// |self|.
    pub fn abs(&self) -> Numeric {
        if self.signum() < 0 { self.neg() } else { self.clone() }
    }

    /// self + other.
    pub fn add(&self, other: &Numeric) -> Result<Numeric> {
        if let (Numeric::Small { coefficient: a, scale: s }, Numeric::Small { coefficient: b, scale: t }) =
            (self, other)
        {
            if s == t {
                return Ok(Numeric::from_i128(i128::from(*a) + i128::from(*b), *s));
            }
            let scale = *s.max(t);
            if let (Some(f), Some(g)) = (ten_to_i128(u32::from(scale - s)), ten_to_i128(u32::from(scale - t)))
                && let (Some(a), Some(b)) = (i128::from(*a).checked_mul(f), i128::from(*b).checked_mul(g))
                && let Some(sum) = a.checked_add(b)
            {
                return Ok(Numeric::from_i128(sum, scale));
            }
        }
        match (self, other) {
            (Numeric::NaN, _) | (_, Numeric::NaN) => Ok(Numeric::NaN),
            (Numeric::Infinity, Numeric::NegativeInfinity) | (Numeric::NegativeInfinity, Numeric::Infinity) => {
                Ok(Numeric::NaN)
            }
            (Numeric::Infinity | Numeric::NegativeInfinity, _) => Ok(self.clone()),
            (_, Numeric::Infinity | Numeric::NegativeInfinity) => Ok(other.clone()),
            _ => {
                let (a, b, scale) = aligned(self, other);
                Numeric::checked(a + b, scale)
            }
        }
    }

    /// self - other.
    pub fn sub(&self, other: &Numeric) -> Result<Numeric> {
        self.add(&other.neg())
    }

    /// self * other.
    pub fn mul(&self, other: &Numeric) -> Result<Numeric> {
        if let (Numeric::Small { coefficient: a, scale: s }, Numeric::Small { coefficient: b, scale: t }) =
            (self, other)
            && u32::from(*s) + u32::from(*t) <= u32::from(SCALE_MAX)
        {
            return Ok(Numeric::from_i128(i128::from(*a) * i128::from(*b), s + t));
        }
        match (self.parts(), other.parts()) {
            (Some((a, s)), Some((b, t))) => {
                let scale = u32::from(s) + u32::from(t);
                let product = a * b;
                if scale > u32::from(SCALE_MAX) {
                    let product = div_round(&product, &ten_to(scale - u32::from(SCALE_MAX)));
                    return Numeric::checked(product, SCALE_MAX);
                }
                Numeric::checked(product, scale as u16)
            }
            _ if self.is_nan() || other.is_nan() => Ok(Numeric::NaN),
            _ => Ok(match self.signum() * other.signum() {
                0 => Numeric::NaN,
                1 => Numeric::Infinity,
                _ => Numeric::NegativeInfinity,
            }),
        }
    }

    /// self / other, with the scale that PostgreSQL's `select_div_scale` chooses.
    ///
    /// # Errors
    /// 22012, 22003.
    pub fn div(&self, other: &Numeric) -> Result<Numeric> {
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NaN);
        }
        match (self.is_finite(), other.is_finite()) {
            (false, false) => return Ok(Numeric::NaN),
            (false, true) => {
                return match other.signum() {
                    0 => Err(division_by_zero()),
                    1 => Ok(self.clone()),
                    _ => Ok(self.neg()),
                };
            }
            (true, false) => return Ok(Numeric::ZERO),
            (true, true) => {}
        }
        if other.signum() == 0 {
            return Err(division_by_zero());
        }
        self.div_to_scale(other, self.div_scale(other))
    }

    /// The scale of self / other.
    pub fn div_scale(&self, other: &Numeric) -> u16 {
        let ((weight, first), (other_weight, other_first)) = (self.base_10000(), other.base_10000());
        let mut quotient_weight = weight - other_weight;
        if first <= other_first {
            quotient_weight -= 1;
        }
        let scale = (SIGNIFICANT_MIN - quotient_weight * 4).max(i64::from(self.scale())).max(i64::from(other.scale()));
        scale.clamp(0, DISPLAY_SCALE_MAX) as u16
    }

    /// self / other rounded to `scale` digits; both finite, `other` not zero.
    pub fn div_to_scale(&self, other: &Numeric, scale: u16) -> Result<Numeric> {
        // a/10^s / (b/10^t) = (a·10^(scale + t - s) / b) / 10^scale
        let shift = i64::from(scale) + i64::from(other.scale()) - i64::from(self.scale());
        if let (Numeric::Small { coefficient: a, .. }, Numeric::Small { coefficient: b, .. }) = (self, other)
            && shift >= 0
            && let Some(factor) = ten_to_i128(shift as u32)
            && let Some(dividend) = i128::from(*a).checked_mul(factor)
        {
            return Ok(Numeric::from_i128(div_round_i128(dividend, i128::from(*b)), scale));
        }
        let (Some((a, _)), Some((b, _))) = (self.parts(), other.parts()) else { return Ok(Numeric::NaN) };
        let quotient = if shift >= 0 {
            div_round(&(a * ten_to(shift as u32)), &b)
        } else {
            div_round(&a, &(b * ten_to(-shift as u32)))
        };
        Numeric::checked(quotient, scale)
    }

    /// The quotient's integral part (`div`).
    pub fn div_trunc(&self, other: &Numeric) -> Result<Numeric> {
        if !self.is_finite() || !other.is_finite() {
            return self.div(other);
        }
        if other.signum() == 0 {
            return Err(division_by_zero());
        }
        let (a, b, _) = aligned(self, other);
        Numeric::checked(a / b, 0)
    }

    /// The remainder with the sign of self.
    pub fn rem(&self, other: &Numeric) -> Result<Numeric> {
        match (self, other) {
            (Numeric::NaN, _) | (_, Numeric::NaN) => Ok(Numeric::NaN),
            _ if other.signum() == 0 => Err(division_by_zero()),
            (Numeric::Infinity | Numeric::NegativeInfinity, _) => Ok(Numeric::NaN),
            (_, Numeric::Infinity | Numeric::NegativeInfinity) => Ok(self.clone()),
            _ => {
                let (a, b, scale) = aligned(self, other);
                Ok(Numeric::from_big(a % b, scale))
            }
        }
    }

    /// Rounded to `scale` digits after the point (before it, when negative), half away from zero.
    pub fn round(&self, scale: i32) -> Result<Numeric> {
        self.rescale(scale, div_round)
    }

    /// Cut off after `scale` digits.
    pub fn trunc(&self, scale: i32) -> Result<Numeric> {
        self.rescale(scale, |a, b| a / b)
    }

    fn rescale(&self, scale: i32, divide: impl Fn(&BigInt, &BigInt) -> BigInt) -> Result<Numeric> {
        let scale = scale.clamp(-i32::from(SCALE_MAX), i32::from(SCALE_MAX));
        let (old, new) = (i32::from(self.scale()), scale.max(0) as u16);
        if let Numeric::Small { coefficient, .. } = self
            && scale >= old
            && let Some(factor) = 10i64.checked_pow((scale - old) as u32)
            && let Some(coefficient) = coefficient.checked_mul(factor)
        {
            return Ok(Numeric::Small { coefficient, scale: new });
        }
        let Some((coefficient, _)) = self.parts() else { return Ok(self.clone()) };
        let rescaled = if scale >= old {
            coefficient * ten_to((scale - old) as u32)
        } else {
            let cut = divide(&coefficient, &ten_to((old - scale) as u32));
            if scale < 0 { cut * ten_to(-scale as u32) } else { cut }
        };
        Numeric::checked(rescaled, new)
    }

    /// The smallest integer not below.
    pub fn ceil(&self) -> Result<Numeric> {
        self.rescale(0, |a, b| a.div_ceil(b))
    }

    /// The largest integer not above.
    pub fn floor(&self) -> Result<Numeric> {
        self.rescale(0, |a, b| a.div_floor(b))
    }

    /// The fewest digits after the point that lose nothing.
    pub fn min_scale(&self) -> u16 {
        let Some((mut coefficient, mut scale)) = self.parts() else { return 0 };
        let ten = BigInt::from(10);
        while scale > 0 {
            let (quotient, rest) = coefficient.div_rem(&ten);
            if !rest.is_zero() {
                break;
            }
            (coefficient, scale) = (quotient, scale - 1);
        }
        if coefficient.is_zero() { 0 } else { scale }
    }

    /// Decimal exponent of the first digit: 0 for 1 to 9.99…; 0 of zero.
    pub(super) fn exponent(&self) -> i64 {
        match self.parts() {
            Some((coefficient, scale)) if !coefficient.is_zero() => digits_of(&coefficient) - 1 - i64::from(scale),
            _ => 0,
        }
    }

    /// Weight and value of the first base-10,000 digit; (0, 0) of zero.
    pub(super) fn base_10000(&self) -> (i64, i64) {
        let Some((coefficient, scale)) = self.parts().filter(|(c, _)| !c.is_zero()) else { return (0, 0) };
        let coefficient = coefficient.abs();
        let exponent = digits_of(&coefficient) - 1 - i64::from(scale);
        let weight = exponent.div_euclid(4);
        // The digit is value / 10^(4 weight), cut off.
        let shift = -4 * weight - i64::from(scale);
        let digit = if shift >= 0 { coefficient * ten_to(shift as u32) } else { coefficient / ten_to(-shift as u32) };
        (weight, digit.to_i64().unwrap_or(0))
    }

    /// As an integer, rounded half away from zero.
    ///
    /// # Errors
    /// 22003, 0A000 for NaN and infinities, naming `ty`.
    pub fn to_i64(&self, ty: &str) -> Result<i64> {
        let special = |what| Error::new(SqlState::FeatureNotSupported, format!("cannot convert {what} to {ty}"));
        match self {
            Numeric::NaN => Err(special("NaN")),
            Numeric::Infinity | Numeric::NegativeInfinity => Err(special("infinity")),
            Numeric::Small { coefficient, scale: 0 } => Ok(*coefficient),
            _ => match self.round(0)? {
                Numeric::Small { coefficient, .. } => Ok(coefficient),
                _ => Err(out_of_range(ty)),
            },
        }
    }

    /// The nearest float8; infinite beyond its range.
    pub fn to_f64(&self) -> f64 {
        match self {
            Numeric::Small { coefficient, scale: 0 } => *coefficient as f64,
            Numeric::NaN => f64::NAN,
            Numeric::Infinity => f64::INFINITY,
            Numeric::NegativeInfinity => f64::NEG_INFINITY,
            _ => self.to_string().parse().unwrap_or(f64::NAN),
        }
    }

    /// From a float with `digits` significant decimal digits (15 for float8, 6 for float4), as PostgreSQL casts.
    pub fn from_f64(v: f64, digits: usize) -> Numeric {
        if v.is_nan() {
            return Numeric::NaN;
        }
        if v.is_infinite() {
            return if v > 0.0 { Numeric::Infinity } else { Numeric::NegativeInfinity };
        }
        let text = format!("{v:.*e}", digits - 1);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mantissa =
            if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
        Numeric::parse(&format!("{mantissa}e{exponent}")).unwrap_or(Numeric::NaN)
    }

    /// From text as PostgreSQL's input function reads it; `None` when it is no number. White space around is allowed.
    pub fn parse(text: &str) -> Option<Numeric> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            let word = digits.to_ascii_lowercase();
            return match word.as_str() {
                "nan" if digits.len() == text.len() => Some(Numeric::NaN),
                "inf" | "infinity" if negative => Some(Numeric::NegativeInfinity),
                "inf" | "infinity" => Some(Numeric::Infinity),
                _ => None,
            };
        }
        parse_decimal(negative, digits)
    }

    /// Rounded and checked for `numeric(precision, scale)`.
    ///
    /// # Errors
    /// 22003 with PostgreSQL's detail.
    pub fn fit(&self, precision: i32, scale: i32) -> Result<Numeric> {
        let field_overflow =
            |detail| Error::new(SqlState::NumericValueOutOfRange, "numeric field overflow").detail(detail);
        match self {
            Numeric::NaN => return Ok(Numeric::NaN),
            Numeric::Infinity | Numeric::NegativeInfinity => {
                let detail =
                    format!("A field with precision {precision}, scale {scale} cannot hold an infinite value.");
                return Err(field_overflow(detail));
            }
            _ => {}
        }
        let rounded = self.round(scale)?;
        if rounded.signum() != 0 && rounded.exponent() >= i64::from(precision - scale) {
            let limit = precision - scale;
            let bound = if limit == 0 { "1".to_owned() } else { format!("10^{limit}") };
            return Err(field_overflow(format!(
                "A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."
            )));
        }
        Ok(rounded)
    }

    /// A hash that agrees with equality: 1.0 and 1.00 are one value.
    pub fn hash64(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        match self {
            Numeric::NaN => 1u8.hash(&mut hasher),
            Numeric::Infinity => 2u8.hash(&mut hasher),
            Numeric::NegativeInfinity => 3u8.hash(&mut hasher),
            Numeric::Small { coefficient, scale } => {
                let (mut coefficient, mut scale) = (*coefficient, *scale);
                while scale > 0 && coefficient % 10 == 0 {
                    (coefficient, scale) = (coefficient / 10, scale - 1);
                }
                (coefficient, if coefficient == 0 { 0 } else { scale }).hash(&mut hasher);
            }
            Numeric::Big(_) => {
                let trimmed = self.trunc(i32::from(self.min_scale())).unwrap_or(Numeric::NaN);
                match trimmed {
                    Numeric::Small { .. } => return trimmed.hash64(),
                    _ => trimmed.parts().hash(&mut hasher),
                }
            }
        }
        hasher.finish()
    }
}

fn parse_decimal(negative: bool, digits: &str) -> Option<Numeric> {
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => {
            let exponent = &digits[at + 1..];
            let plain = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            (&digits[..at], exponent.parse::<i64>().ok()?)
        }
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let scale = fraction.len() as i64 - exponent;
    if scale > i64::from(SCALE_MAX) + 200_000 || exponent > 200_000 {
        return None;
    }
    let sign = |v: BigInt| if negative { -v } else { v };
    if whole.len() + fraction.len() <= 18 && (0..=i64::from(SCALE_MAX)).contains(&scale) {
        let value = whole.bytes().chain(fraction.bytes()).fold(0i64, |v, b| v * 10 + i64::from(b - b'0'));
        return Some(Numeric::Small { coefficient: if negative { -value } else { value }, scale: scale as u16 });
    }
    let text: String = [whole, fraction].concat();
    let coefficient = sign(text.parse().ok()?);
    if scale < 0 {
        return Some(Numeric::from_big(coefficient * ten_to(-scale as u32), 0));
    }
    if scale > i64::from(SCALE_MAX) {
        let cut = div_round(&coefficient, &ten_to((scale - i64::from(SCALE_MAX)) as u32));
        return Some(Numeric::from_big(cut, SCALE_MAX));
    }
    Some(Numeric::from_big(coefficient, scale as u16))
}

/// Number of decimal digits.
pub(super) fn digits_of(coefficient: &BigInt) -> i64 {
    if coefficient.is_zero() {
        return 1;
    }
    let estimate = ((coefficient.bits() - 1) as f64 * std::f64::consts::LOG10_2) as i64;
    let mut power = ten_to(estimate as u32);
    let magnitude = coefficient.abs();
    let mut digits = estimate;
    while power <= magnitude {
        power *= 10;
        digits += 1;
    }
    digits.max(1)
}

/// Both coefficients at the larger scale; both finite.
fn aligned(a: &Numeric, b: &Numeric) -> (BigInt, BigInt, u16) {
    let ((a, s), (b, t)) = (a.parts().unwrap_or_default(), b.parts().unwrap_or_default());
    let scale = s.max(t);
    (a * ten_to(u32::from(scale - s)), b * ten_to(u32::from(scale - t)), scale)
}

/// Base-10,000 digits of a number with `fraction` of them after the point, without zeros at either end, and the first's weight.
fn small_nbase(mut rest: u64, fraction: i64) -> (Vec<u16>, i64) {
    let mut digits = Vec::with_capacity(5);
    while rest > 0 {
        digits.push((rest % 10_000) as u16);
        rest /= 10_000;
    }
    let weight = digits.len() as i64 - 1 - fraction;
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    digits.drain(..zeros);
    digits.reverse();
    if digits.is_empty() { (digits, 0) } else { (digits, weight) }
}

/// The coefficient at a scale of a number of few base-10,000 digits, if it is small.
fn small_coefficient(digits: &[u16], weight: i64, scale: u16) -> Option<i64> {
    if digits.len() > 4 {
        return None;
    }
    let value = digits.iter().fold(0, |value, digit| value * 10_000 + i64::from(*digit));
    let shift = 4 * (weight - digits.len() as i64 + 1) + i64::from(scale);
    let factor = 10i64.checked_pow(u32::try_from(shift.abs()).ok()?)?;
    if shift >= 0 { value.checked_mul(factor) } else { Some(value / factor) }
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Numeric) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Numeric {}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Numeric) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// PostgreSQL's order: -Infinity, numbers, Infinity, NaN; scale does not count.
impl Ord for Numeric {
    fn cmp(&self, other: &Numeric) -> Ordering {
        let class = |n: &Numeric| match n {
            Numeric::NegativeInfinity => 0,
            Numeric::Small { .. } | Numeric::Big(_) => 1,
            Numeric::Infinity => 2,
            Numeric::NaN => 3,
        };
        match (self, other) {
            (Numeric::Small { coefficient: a, scale: s }, Numeric::Small { coefficient: b, scale: t }) if s == t => {
                a.cmp(b)
            }
            _ if class(self) != class(other) => class(self).cmp(&class(other)),
            _ if class(self) != 1 => Ordering::Equal,
            _ if self.signum() != other.signum() => self.signum().cmp(&other.signum()),
            _ => {
                let (a, b, _) = aligned(self, other);
                a.cmp(&b)
            }
        }
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negative, digits, scale) = match self {
            Numeric::NaN => return f.write_str("NaN"),
            Numeric::Infinity => return f.write_str("Infinity"),
            Numeric::NegativeInfinity => return f.write_str("-Infinity"),
            Numeric::Small { coefficient, scale: 0 } => return write!(f, "{coefficient}"),
            Numeric::Small { coefficient, scale } => {
                (*coefficient < 0, coefficient.unsigned_abs().to_string(), *scale as usize)
            }
            Numeric::Big(big) => (big.0.is_negative(), big.0.magnitude().to_string(), big.1 as usize),
        };
        if negative {
            f.write_str("-")?;
        }
        if scale == 0 {
            return f.write_str(&digits);
        }
        if digits.len() <= scale {
            write!(f, "0.{digits:0>scale$}")
        } else {
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            write!(f, "{whole}.{fraction}")
        }
    }
}

// The binary form and the order-preserving key: both over base-10,000 digits.

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

impl Numeric {
    /// Base-10,000 digits of |self|, most significant first, without zeros at either end, and the weight of the first.
    fn nbase(&self) -> (Vec<u16>, i64) {
        if let Numeric::Small { coefficient, scale } = self
            && let Some(padded) = coefficient.unsigned_abs().checked_mul(10u64.pow(3 - u32::from(scale + 3) % 4))
        {
            return small_nbase(padded, i64::from(*scale).div_euclid(4) + i64::from(scale % 4 > 0));
        }
        let Some((coefficient, scale)) = self.parts().filter(|(c, _)| !c.is_zero()) else { return (Vec::new(), 0) };
        // Pad the fraction to whole base digits.
        let pad = (4 - u32::from(scale) % 4) % 4;
        let padded = coefficient.abs() * ten_to(pad);
        let fraction_digits = i64::from((u32::from(scale) + pad) / 4);
        let text = padded.to_string();
        let lead = (4 - text.len() % 4) % 4;
        let text = format!("{}{text}", &"000"[..lead]);
        let mut digits: Vec<u16> =
            text.as_bytes().chunks(4).map(|chunk| chunk.iter().fold(0, |v, b| v * 10 + u16::from(b - b'0'))).collect();
        let weight = digits.len() as i64 - 1 - fraction_digits;
        while digits.last() == Some(&0) {
            digits.pop();
        }
        (digits, weight)
    }

    fn from_nbase(negative: bool, digits: &[u16], weight: i64, scale: u16) -> Numeric {
        if let Some(coefficient) = small_coefficient(digits, weight, scale) {
            return Numeric::Small { coefficient: if negative { -coefficient } else { coefficient }, scale };
        }
        let mut coefficient = BigInt::zero();
        for digit in digits {
            coefficient = coefficient * 10_000 + *digit;
        }
        // coefficient · 10000^(weight - len + 1) = c / 10^scale
        let shift = 4 * (weight - digits.len() as i64 + 1) + i64::from(scale);
        let coefficient =
            if shift >= 0 { coefficient * ten_to(shift as u32) } else { coefficient / ten_to(-shift as u32) };
        Numeric::from_big(if negative { -coefficient } else { coefficient }, scale)
    }

    /// PostgreSQL's binary form: ndigits, weight, sign, dscale, digits; 16 bits each, big endian.
    pub fn send(&self, out: &mut Vec<u8>) {
        let (digits, weight) = self.nbase();
        let sign = match self {
            Numeric::NaN => NAN,
            Numeric::Infinity => INFINITY,
            Numeric::NegativeInfinity => NEGATIVE_INFINITY,
            _ if self.signum() < 0 => NEGATIVE,
            _ => 0,
        };
        // PostgreSQL's infinities carry a bit of their header in this field.
        let scale = if sign == INFINITY || sign == NEGATIVE_INFINITY { 0x20 } else { self.scale() };
        for field in [digits.len() as u16, weight as i16 as u16, sign, scale].iter().chain(&digits) {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }

    /// From the binary form.
    ///
    /// # Errors
    /// 22P03.
    pub fn receive(bytes: &[u8]) -> Result<Numeric> {
        let invalid = |what: &str| {
            Error::new(SqlState::InvalidBinaryRepresentation, format!("invalid {what} in external \"numeric\" value"))
        };
        let fields: Vec<u16> = bytes.chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]])).collect();
        let [count, weight, sign, scale, digits @ ..] = &fields[..] else { return Err(invalid("length")) };
        if digits.len() != *count as usize || bytes.len() % 2 == 1 {
            return Err(invalid("length"));
        }
        if digits.iter().any(|d| *d > 9999) {
            return Err(invalid("digit"));
        }
        if *scale > SCALE_MAX {
            return Err(invalid("scale"));
        }
        match *sign {
            NAN => Ok(Numeric::NaN),
            INFINITY => Ok(Numeric::Infinity),
            NEGATIVE_INFINITY => Ok(Numeric::NegativeInfinity),
            0 | NEGATIVE => Ok(Numeric::from_nbase(*sign == NEGATIVE, digits, i64::from(*weight as i16), *scale)),
            _ => Err(invalid("sign")),
        }
    }

    /// Bytes whose order is the values' order, the same for 1.0 and 1.00.
    ///
    /// `class` 0 -Infinity · 1 negative · 2 zero · 3 positive · 4 Infinity · 5 NaN; then for numbers the weight
    /// (i32, sign bit flipped) and the digits + 1 as u16, ended by 0; of negative numbers all inverted.
    pub fn encode_key(&self, out: &mut Vec<u8>) {
        let class = match self {
            Numeric::NegativeInfinity => 0,
            Numeric::Infinity => 4,
            Numeric::NaN => 5,
            _ => (2 + self.signum()) as u8,
        };
        out.push(class);
        if class != 1 && class != 3 {
            return;
        }
        let start = out.len();
        let (digits, weight) = self.nbase();
        out.extend_from_slice(&(weight as i32 as u32 ^ 1 << 31).to_be_bytes());
        digits.iter().for_each(|digit| out.extend_from_slice(&(digit + 1).to_be_bytes()));
        out.extend_from_slice(&[0, 0]);
        if class == 1 {
            out[start..].iter_mut().for_each(|b| *b = !*b);
        }
    }

    /// From its key and display scale; `None` for bytes that are no key.
    pub fn decode_key(key: &[u8], scale: u16) -> Option<Numeric> {
        let (class, rest) = key.split_first()?;
        let zero = Numeric::Small { coefficient: 0, scale };
        let flip = match class {
            0 => return Some(Numeric::NegativeInfinity),
            1 => 0xff,
            2 => return Some(zero),
            3 => 0,
            4 => return Some(Numeric::Infinity),
            _ => return Some(Numeric::NaN),
        };
        let rest: Vec<u8> = rest.iter().map(|b| b ^ flip).collect();
        let (weight, digits) = rest.split_first_chunk::<4>()?;
        let weight = (u32::from_be_bytes(*weight) ^ 1 << 31) as i32;
        let digits: Vec<u16> = digits
            .chunks_exact(2)
            .map(|d| u16::from_be_bytes([d[0], d[1]]))
            .take_while(|d| *d != 0)
            .map(|d| d - 1)
            .collect();
        Some(Numeric::from_nbase(flip != 0, &digits, i64::from(weight), scale))
    }

    /// n!, as numeric.
    ///
    /// # Errors
    /// 22003.
    pub fn factorial(n: i64) -> Result<Numeric> {
        if n < 0 {
            return Err(Error::new(SqlState::NumericValueOutOfRange, "factorial of a negative number is undefined"));
        }
        if n > 32_177 {
            return Err(overflow());
        }
        Ok(Numeric::from_big(
            (2..=n).take_while(|_| !crate::interrupt::requested()).fold(BigInt::one(), |v, i| v * i),
            0,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Numeric {
        Numeric::parse(text).unwrap()
    }

    #[test]
    fn arithmetic_has_postgresqls_scales() {
        let cases = [
            (n("1.1").add(&n("2.20")), "3.30"),
            (n("1.5").mul(&n("1.50")), "2.250"),
            (n("1").div(&n("3")), "0.33333333333333333333"),
            (n("10.00").div(&n("3")), "3.3333333333333333"),
            (n("2").div(&n("3")), "0.66666666666666666667"),
            (n("100000").div(&n("7")), "14285.714285714286"),
            (n("7").rem(&n("-3")), "1"),
            (n("-7.5").rem(&n("2")), "-1.5"),
            (n("2.5").round(0), "3"),
            (n("-2.5").round(0), "-3"),
            (n("1250").round(-2), "1300"),
            (n("-1.5").floor(), "-2"),
            (n("-1.5").ceil(), "-1"),
            (n("99999999999999999999").mul(&n("99999999999999999999")), "9999999999999999999800000000000000000001"),
            (n("1e20").sub(&n("1e20")), "0"),
            (n("Infinity").sub(&n("inf")), "NaN"),
        ];
        for (result, expected) in cases {
            assert_eq!(result.unwrap().to_string(), expected);
        }
        assert_eq!(n("1").div(&n("0.0")).unwrap_err().code(), SqlState::DivisionByZero);
        assert_eq!(n("999.995").fit(5, 2).unwrap_err().code(), SqlState::NumericValueOutOfRange);
        assert_eq!(n("999.994").fit(5, 2).unwrap().to_string(), "999.99");
    }

    #[test]
    fn text_both_ways() {
        for (text, expected) in [("  1.50 ", "1.50"), (".5", "0.5"), ("5.", "5"), ("1e3", "1000"), ("1.5e-3", "0.0015")]
        {
            assert_eq!(n(text).to_string(), expected);
        }
        for text in ["", "x", "1x", "1e", "--1", "1.2.3", "+nan", "."] {
            assert!(Numeric::parse(text).is_none(), "{text}");
        }
        assert_eq!(Numeric::from_f64(0.1, 15).to_string(), "0.1");
        assert_eq!(Numeric::from_f64(1e20, 15).to_string(), "100000000000000000000");
    }

    #[test]
    fn keys_order_as_values_and_binary_reads_back() {
        let ordered = [
            "-Infinity",
            "-12345678901234567890.5",
            "-10000",
            "-9999.9999",
            "-1",
            "-0.0001",
            "0",
            "0.00000001",
            "0.5",
            "1",
            "9999",
            "10000",
            "10000.0001",
            "123456789012345678901234567890",
            "Infinity",
            "NaN",
        ];
        let mut last: Option<Vec<u8>> = None;
        for text in ordered {
            let value = n(text);
            let mut key = Vec::new();
            value.encode_key(&mut key);
            assert!(last.as_ref().is_none_or(|last| *last < key), "{text}");
            assert_eq!(Numeric::decode_key(&key, value.scale()).unwrap().to_string(), value.to_string());
            last = Some(key);
            let mut binary = Vec::new();
            value.send(&mut binary);
            assert_eq!(Numeric::receive(&binary).unwrap().to_string(), value.to_string());
        }
        let (mut one, mut other) = (Vec::new(), Vec::new());
        n("1.0").encode_key(&mut one);
        n("1.000").encode_key(&mut other);
        assert_eq!(one, other);
        assert_eq!(n("1.0").hash64(), n("1.000").hash64());
    }
}
