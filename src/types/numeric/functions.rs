//! Roots, logarithms, powers and their kin of numeric, with the result scales of PostgreSQL's `numeric.c`.
//!
//! A result has at least 16 significant digits and no fewer digits after the point than its inputs. It is computed on
//! integers scaled by a power of ten with [`GUARD`] digits to spare and rounded once, so that it is the correctly rounded
//! value; PostgreSQL's own errors are below that too.

use super::{
    DISPLAY_SCALE_MAX, Numeric, SIGNIFICANT_MIN, aligned, digits_of, div_round, division_by_zero, overflow, ten_to,
};
use crate::error::{Error, Result, SqlState};
use crate::interrupt;
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// Digits computed beyond those of the result.
const GUARD: i64 = 12;
/// Digits before the point that a result may have, roughly (PostgreSQL's `NUMERIC_MAX_RESULT_SCALE`).
const RESULT_SCALE_MAX: f64 = 2000.0;
/// PostgreSQL's digits of it: scales are chosen by what it cuts off.
#[allow(clippy::approx_constant)]
const LOG10_E: f64 = 0.434_294_481_903_252;

fn power_error(message: &str) -> Error {
    Error::new(SqlState::InvalidArgumentForPowerFunction, message)
}

fn log_error(message: &str) -> Error {
    Error::new(SqlState::InvalidArgumentForLogarithm, message)
}

/// A result's scale from the digits wanted and the inputs' scales.
fn result_scale(wanted: i64, inputs: &[&Numeric]) -> i64 {
    let least = inputs.iter().map(|input| i64::from(input.scale())).max().unwrap_or(0);
    wanted.max(least).clamp(0, DISPLAY_SCALE_MAX)
}

/// A value times 10^digits, cut off; the value is finite.
fn fixed(value: &Numeric, digits: i64) -> BigInt {
    let (coefficient, scale) = value.parts().unwrap_or_default();
    shifted(coefficient, digits - i64::from(scale))
}

fn shifted(value: BigInt, digits: i64) -> BigInt {
    if digits >= 0 { value * ten_to(digits as u32) } else { value / ten_to(-digits as u32) }
}

/// A fixed-point number of `digits` digits as numeric of `scale` digits.
fn rounded(value: &BigInt, digits: i64, scale: i64) -> Result<Numeric> {
    let value = if digits > scale {
        div_round(value, &ten_to((digits - scale) as u32))
    } else {
        shifted(value.clone(), scale - digits)
    };
    Numeric::checked(value, scale as u16)
}

/// e^x of a fixed-point number.
fn exp_fixed(x: &BigInt, digits: i64) -> BigInt {
    // e^x = (e^(x / 2^k))^(2^k), with the quotient small enough for a short series; each squaring may double the error.
    let bits = x.bits() as i64 - (digits as f64 * std::f64::consts::LOG2_10) as i64;
    let halvings = (bits + 8).max(0) as u32;
    let inner = digits + i64::from(halvings) / 3 + 8 + (bits.max(0) as f64).exp2().min(4000.0) as i64;
    let one = ten_to(inner as u32);
    let small = shifted(x.clone(), inner - digits) >> halvings;
    let (mut sum, mut term, mut n) = (one.clone(), one.clone(), 1u32);
    while !term.is_zero() && !interrupt::requested() {
        term = &term * &small / &one / n;
        sum += &term;
        n += 1;
    }
    for _ in (0..halvings).take_while(|_| !interrupt::requested()) {
        sum = &sum * &sum / &one;
    }
    shifted(sum, digits - inner)
}

/// ln x of a positive fixed-point number.
fn ln_fixed(x: &BigInt, digits: i64) -> BigInt {
    // Newton's method on e^y = x would need exp each time; square roots bring x near one, where the series is short.
    let one = ten_to(digits as u32);
    let (mut x, mut doublings) = (x.clone(), 0u32);
    let near = &one / 50;
    while (&x - &one).abs() > near && !interrupt::requested() {
        x = (&x * &one).sqrt();
        doublings += 1;
    }
    // ln x = 2 artanh((x - 1) / (x + 1))
    let ratio = (&x - &one) * &one / (&x + &one);
    let square = &ratio * &ratio / &one;
    let (mut sum, mut power, mut n) = (BigInt::zero(), ratio, 1u32);
    while !power.is_zero() && !interrupt::requested() {
        sum += &power / n;
        power = &power * &square / &one;
        n += 2;
    }
    sum << (doublings + 1)
}

/// ln of a positive value with `digits` digits after the point, exact to them.
fn ln_digits(value: &Numeric, digits: i64) -> BigInt {
    // Take powers of ten out first, so that roots are few: x = m · 10^k with m from 1 to 10.
    let exponent = value.exponent();
    let inner = digits + GUARD + 12;
    let (coefficient, scale) = value.parts().unwrap_or_default();
    let mantissa = shifted(coefficient, inner - i64::from(scale) - exponent);
    let mut ln = ln_fixed(&mantissa, inner);
    if exponent != 0 {
        ln += ln_fixed(&(ten_to(inner as u32) * 10), inner) * exponent;
    }
    shifted(ln, digits - inner)
}

/// The decimal weight of ln(value), roughly (`estimate_ln_dweight`).
fn ln_weight(value: &Numeric) -> i64 {
    if value.signum() <= 0 {
        return 0;
    }
    let near = |text: i64| Numeric::Small { coefficient: text, scale: 1 };
    if *value >= near(9) && *value <= near(11) {
        return match value.sub(&Numeric::ONE) {
            Ok(difference) if difference.signum() != 0 => difference.exponent(),
            _ => 0,
        };
    }
    // The first two base-10,000 digits give the logarithm.
    let (digits, weight) = value.nbase();
    let Some(first) = digits.first() else { return 0 };
    let (mut lead, mut exponent) = (f64::from(*first), weight * 4);
    if let Some(second) = digits.get(1) {
        lead = lead * 10_000.0 + f64::from(*second);
        exponent -= 4;
    }
    (lead.ln() + exponent as f64 * std::f64::consts::LN_10).abs().log10() as i64
}

/// By Euclid's algorithm, whose many steps can be left.
fn greatest_divisor(mut a: BigInt, mut b: BigInt) -> BigInt {
    while !b.is_zero() && !interrupt::requested() {
        let rest = &a % &b;
        (a, b) = (b, rest);
    }
    a.abs()
}

/// Whether the value is an even, an odd or no integer.
fn parity(value: &Numeric) -> Option<bool> {
    let (coefficient, scale) = value.parts()?;
    let (whole, rest) = coefficient.div_rem(&ten_to(u32::from(scale)));
    rest.is_zero().then(|| whole.is_odd())
}

impl Numeric {
    /// The square root.
    ///
    /// # Errors
    /// 2201F for negative values.
    pub fn sqrt(&self) -> Result<Numeric> {
        if self.is_nan() || matches!(self, Numeric::Infinity) {
            return Ok(self.clone());
        }
        if self.signum() < 0 {
            return Err(power_error("cannot take square root of a negative number"));
        }
        let (weight, _) = self.base_10000();
        let result_weight = if weight >= 0 { weight * 4 / 2 + 1 } else { 1 - (1 - weight * 4) / 2 };
        let scale = result_scale(SIGNIFICANT_MIN - result_weight, &[self]);
        let digits = scale + GUARD;
        rounded(&fixed(self, 2 * digits).sqrt(), digits, scale)
    }

    /// e to this power.
    ///
    /// # Errors
    /// 22003.
    pub fn exp(&self) -> Result<Numeric> {
        match self {
            Numeric::NaN | Numeric::Infinity => return Ok(self.clone()),
            Numeric::NegativeInfinity => return Ok(Numeric::ZERO),
            _ => {}
        }
        let value = self.to_f64();
        let weight = (value * LOG10_E).clamp(-RESULT_SCALE_MAX, RESULT_SCALE_MAX) as i64;
        let scale = result_scale(SIGNIFICANT_MIN - weight, &[self]);
        if value.abs() >= RESULT_SCALE_MAX * 3.0 {
            return if value > 0.0 { Err(overflow()) } else { Ok(Numeric::from_big(BigInt::zero(), scale as u16)) };
        }
        let digits = scale + GUARD + weight.max(0);
        rounded(&exp_fixed(&fixed(self, digits), digits), digits, scale)
    }

    fn check_logarithm(&self) -> Result<()> {
        match self.signum() {
            0 if !self.is_nan() => Err(log_error("cannot take logarithm of zero")),
            -1 => Err(log_error("cannot take logarithm of a negative number")),
            _ => Ok(()),
        }
    }

    /// The natural logarithm.
    ///
    /// # Errors
    /// 2201E for zero and below.
    pub fn ln(&self) -> Result<Numeric> {
        self.check_logarithm()?;
        if !self.is_finite() {
            return Ok(self.clone());
        }
        let scale = result_scale(SIGNIFICANT_MIN - ln_weight(self), &[self]);
        let digits = scale + GUARD;
        rounded(&ln_digits(self, digits), digits, scale)
    }

    /// The logarithm to a base.
    ///
    /// # Errors
    /// 2201E for zero and below, 22012 for base 1.
    pub fn log(&self, base: &Numeric) -> Result<Numeric> {
        if base.is_nan() || self.is_nan() {
            return Ok(Numeric::NaN);
        }
        base.check_logarithm()?;
        self.check_logarithm()?;
        match (base.is_finite(), self.is_finite()) {
            (true, true) => {}
            (false, false) => return Ok(Numeric::NaN),
            (false, true) => return Ok(Numeric::ZERO),
            (true, false) => return Ok(Numeric::Infinity),
        }
        let (base_weight, weight) = (ln_weight(base), ln_weight(self));
        let scale = result_scale(SIGNIFICANT_MIN - (weight - base_weight), &[base, self]);
        // Both logarithms need as many significant digits as the quotient.
        let digits = scale + weight.abs() + base_weight.abs() * 2 + GUARD;
        let divisor = ln_digits(base, digits);
        if divisor.is_zero() {
            return Err(division_by_zero());
        }
        let quotient = ln_digits(self, digits) * ten_to((scale + GUARD) as u32) / divisor;
        rounded(&quotient, scale + GUARD, scale)
    }

    /// To the power of `exponent`.
    ///
    /// # Errors
    /// 2201F where the result is undefined or complex, 22003.
    pub fn power(&self, exponent: &Numeric) -> Result<Numeric> {
        if !self.is_finite() || !exponent.is_finite() {
            return self.special_power(exponent);
        }
        let odd = parity(exponent);
        self.check_power(exponent, odd.is_some())?;
        if odd.is_some()
            && let Ok(turns) = exponent.to_i64("integer").and_then(|turns| i32::try_from(turns).map_err(|_| overflow()))
        {
            return self.integer_power(turns);
        }
        if self.signum() == 0 {
            return Ok(Numeric::Small { coefficient: 0, scale: SIGNIFICANT_MIN as u16 });
        }
        let base = self.abs();
        let base_weight = ln_weight(&base);
        let estimate_digits = (8 - base_weight).max(0);
        let logarithm = ln_digits(&base, estimate_digits + GUARD);
        let logarithm = rounded(&logarithm, estimate_digits + GUARD, estimate_digits)?;
        let estimate = logarithm.mul(exponent)?.round(estimate_digits as i32)?;
        let value = estimate.to_f64();
        if value.abs() > RESULT_SCALE_MAX * 3.01 {
            return match value > 0.0 {
                true => Err(overflow()),
                false => Ok(Numeric::Small { coefficient: 0, scale: DISPLAY_SCALE_MAX as u16 }),
            };
        }
        let weight = (value * LOG10_E) as i64;
        let scale = result_scale(SIGNIFICANT_MIN - weight, &[self, exponent]);
        let digits = scale + weight.max(0) + GUARD;
        // The product's digits are the logarithm's, less the digits of the exponent.
        let inner = digits + exponent.exponent().max(0) + 8;
        let (coefficient, exponent_scale) = exponent.parts().unwrap_or_default();
        let product = ln_digits(&base, inner) * coefficient / ten_to(u32::from(exponent_scale));
        let mut power = exp_fixed(&shifted(product, digits - inner), digits);
        if self.signum() < 0 && odd == Some(true) {
            power = -power;
        }
        rounded(&power, digits, scale)
    }

    fn check_power(&self, exponent: &Numeric, integral: bool) -> Result<()> {
        if self.signum() == 0 && !self.is_nan() && exponent.signum() < 0 {
            return Err(power_error("zero raised to a negative power is undefined"));
        }
        if self.signum() < 0 && !integral {
            return Err(power_error("a negative number raised to a non-integer power yields a complex result"));
        }
        Ok(())
    }

    /// Powers with NaN and infinities: POSIX's `pow`.
    fn special_power(&self, exponent: &Numeric) -> Result<Numeric> {
        let is = |value: &Numeric, n: i64| value.is_finite() && *value == Numeric::from(n);
        if is(exponent, 0) || is(self, 1) {
            return Ok(Numeric::ONE);
        }
        if self.is_nan() || exponent.is_nan() {
            return Ok(Numeric::NaN);
        }
        let odd = parity(exponent);
        self.check_power(exponent, odd.is_some() || !exponent.is_finite())?;
        let up = exponent.signum() > 0;
        if self.signum() == 0 {
            return Ok(Numeric::ZERO);
        }
        if !exponent.is_finite() {
            if is(self, -1) {
                return Ok(Numeric::ONE);
            }
            let large = !self.is_finite() || self.abs() > Numeric::ONE;
            return Ok(if large == up { Numeric::Infinity } else { Numeric::ZERO });
        }
        Ok(match (up, self.signum() < 0 && odd == Some(true)) {
            (false, _) => Numeric::ZERO,
            (true, true) => Numeric::NegativeInfinity,
            (true, false) => Numeric::Infinity,
        })
    }

    /// `power_var_int`: by repeated squaring, with 16 digits after the point or as many as the base shows.
    fn integer_power(&self, turns: i32) -> Result<Numeric> {
        let scale = result_scale(SIGNIFICANT_MIN, &[self]);
        let weight = self.log10_estimate() * f64::from(turns);
        if weight > 131_072.0 {
            return Err(overflow());
        }
        if weight + 1.0 < -(scale as f64) {
            return rounded(&BigInt::zero(), 0, scale);
        }
        if turns == 0 {
            return rounded(&BigInt::one(), 0, scale);
        }
        let (coefficient, own_scale) = self.parts().unwrap_or_default();
        if coefficient.is_zero() {
            return rounded(&coefficient, 0, scale);
        }
        // Enough digits that each multiplication's rounding stays below the last one shown.
        let significant = scale + weight.abs() as i64 + GUARD + 2 * i64::from(turns.unsigned_abs().ilog2()) + 8;
        let cut = |mut value: BigInt, mut shift: i64| {
            let extra = digits_of(&value) - significant;
            if extra > 0 {
                value = div_round(&value, &ten_to(extra as u32));
                shift -= extra;
            }
            (value, shift)
        };
        let (mut power, mut power_scale) = (BigInt::one(), 0i64);
        let (mut factor, mut factor_scale) = (coefficient, i64::from(own_scale));
        let mut left = turns.unsigned_abs();
        while left > 0 && !interrupt::requested() {
            if left & 1 == 1 {
                (power, power_scale) = cut(power * &factor, power_scale + factor_scale);
            }
            left >>= 1;
            if left > 0 {
                (factor, factor_scale) = cut(&factor * &factor, factor_scale * 2);
            }
        }
        if turns > 0 {
            return rounded(&power, power_scale, scale);
        }
        let inverse = div_round(&shifted(BigInt::one(), significant + power_scale.max(0) + scale), &power);
        rounded(&inverse, significant + power_scale.max(0) + scale - power_scale, scale)
    }

    /// log10 |self| from the first digits, as PostgreSQL estimates it; 0 of zero.
    fn log10_estimate(&self) -> f64 {
        let (digits, weight) = self.nbase();
        let Some((first, rest)) = digits.split_first() else { return 0.0 };
        let (mut lead, mut exponent) = (f64::from(*first), weight * 4);
        for digit in rest.iter().take(3) {
            lead = lead * 10_000.0 + f64::from(*digit);
            exponent -= 4;
        }
        lead.log10() + exponent as f64
    }

    /// The greatest common divisor, of the larger scale.
    pub fn gcd(&self, other: &Numeric) -> Numeric {
        if !self.is_finite() || !other.is_finite() {
            return Numeric::NaN;
        }
        let (a, b, scale) = aligned(self, other);
        Numeric::from_big(greatest_divisor(a, b), scale)
    }

    /// The least common multiple, of the larger scale.
    ///
    /// # Errors
    /// 22003.
    pub fn lcm(&self, other: &Numeric) -> Result<Numeric> {
        if !self.is_finite() || !other.is_finite() {
            return Ok(Numeric::NaN);
        }
        let (a, b, scale) = aligned(self, other);
        let divisor = greatest_divisor(a.clone(), b.clone());
        let multiple = if divisor.is_zero() { divisor } else { (a / divisor * b).abs() };
        Numeric::checked(multiple, scale)
    }

    /// `width_bucket`: which of `count` equal parts from `low` to `high` holds self; 0 below, count + 1 above.
    ///
    /// # Errors
    /// 2201G, 22003.
    pub fn width_bucket(&self, low: &Numeric, high: &Numeric, count: i32) -> Result<i32> {
        let error = |message| Err(Error::new(SqlState::InvalidArgumentForWidthBucket, message));
        if count <= 0 {
            return error("count must be greater than zero");
        }
        if self.is_nan() || low.is_nan() || high.is_nan() {
            return error("operand, lower bound, and upper bound cannot be NaN");
        }
        if !low.is_finite() || !high.is_finite() {
            return error("lower and upper bounds must be finite");
        }
        let above = || count.checked_add(1).ok_or_else(|| super::out_of_range("integer"));
        let (before, beyond) = match low.cmp(high) {
            std::cmp::Ordering::Less => (self < low, self >= high),
            std::cmp::Ordering::Greater => (self > low, self <= high),
            std::cmp::Ordering::Equal => return error("lower bound cannot equal upper bound"),
        };
        if before {
            return Ok(0);
        }
        if beyond {
            return above();
        }
        let (distance, width, _) = aligned(&self.sub(low)?, &high.sub(low)?);
        Ok((distance * count / width).to_i32().unwrap_or(count).min(count - 1) + 1)
    }
}
