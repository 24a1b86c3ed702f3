//! The manual's mathematical functions for ints, floats and numeric.

use super::arithmetic::check64;
use super::inline::functions;
use crate::error::{Error, Result, SqlState};
use crate::types::numeric::Numeric;

fn out_of_domain() -> Error {
    Error::new(SqlState::NumericValueOutOfRange, "input is out of range")
}

fn domain(v: f64, ok: bool) -> Result<f64> {
    if ok || v.is_nan() { Ok(v) } else { Err(out_of_domain()) }
}

fn ln_domain(v: f64) -> Result<f64> {
    let message = if v == 0.0 {
        "cannot take logarithm of zero"
    } else if v < 0.0 {
        "cannot take logarithm of a negative number"
    } else {
        return Ok(v);
    };
    Err(Error::new(SqlState::InvalidArgumentForLogarithm, message))
}

fn square_root(v: f64) -> Result<f64> {
    if v < 0.0 {
        let message = "cannot take square root of a negative number";
        return Err(Error::new(SqlState::InvalidArgumentForPowerFunction, message));
    }
    Ok(v.sqrt())
}

fn power(a: f64, b: f64) -> Result<f64> {
    let error = |message| Err(Error::new(SqlState::InvalidArgumentForPowerFunction, message));
    if a == 1.0 || b == 0.0 {
        return Ok(1.0);
    }
    if a.is_nan() || b.is_nan() {
        return Ok(f64::NAN);
    }
    if a == 0.0 && b < 0.0 {
        return error("zero raised to a negative power is undefined");
    }
    if a < 0.0 && b.floor() != b {
        return error("a negative number raised to a non-integer power yields a complex result");
    }
    check64(a.powf(b), a.is_infinite() || b.is_infinite(), a == 0.0 || a.is_infinite() || b.is_infinite())
}

fn exponential(v: f64) -> Result<f64> {
    check64(v.exp(), v.is_infinite(), v.is_infinite())
}

fn numeric_sign(v: &Numeric) -> Numeric {
    if v.is_nan() { Numeric::NaN } else { Numeric::from(i64::from(v.signum())) }
}

fn radians(v: f64) -> f64 {
    v * (std::f64::consts::PI / 180.0)
}

fn bucket(v: f64, low: f64, high: f64, count: i32) -> Result<i32> {
    let error = |message| Err(Error::new(SqlState::InvalidArgumentForWidthBucket, message));
    if count <= 0 {
        return error("count must be greater than zero");
    }
    if v.is_nan() || low.is_nan() || high.is_nan() {
        return error("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return error("lower and upper bounds must be finite");
    }
    if low == high {
        return error("lower bound cannot equal upper bound");
    }
    let (v, low, high) = if low < high { (v, low, high) } else { (-v, -low, -high) };
    if v < low {
        Ok(0)
    } else if v >= high {
        count.checked_add(1).ok_or_else(|| crate::types::numeric::out_of_range("integer"))
    } else {
        // The quotient can round to 1, though the value is below the upper bound.
        Ok((((v - low) / (high - low) * f64::from(count)) as i32).min(count - 1) + 1)
    }
}

functions! {
    TABLE:
    safe dceil(a: f64) -> f64 = a.ceil();
    safe dfloor(a: f64) -> f64 = a.floor();
    safe dround(a: f64) -> f64 = a.round_ties_even();
    safe dtrunc(a: f64) -> f64 = a.trunc();
    safe dsign(a: f64) -> f64 = if a > 0.0 { 1.0 } else if a < 0.0 { -1.0 } else { 0.0 };
    raises dsqrt(a: f64) -> f64 = square_root(a);
    safe dcbrt(a: f64) -> f64 = a.cbrt();
    raises dpow(a: f64, b: f64) -> f64 = power(a, b);
    raises dexp(a: f64) -> f64 = exponential(a);
    raises dlog1(a: f64) -> f64 = ln_domain(a).map(f64::ln);
    raises dlog10(a: f64) -> f64 = ln_domain(a).map(f64::log10);
    raises dsin(a: f64) -> f64 = domain(a, a.is_finite()).map(f64::sin);
    raises dcos(a: f64) -> f64 = domain(a, a.is_finite()).map(f64::cos);
    raises dtan(a: f64) -> f64 = domain(a, a.is_finite()).map(f64::tan);
    raises dcot(a: f64) -> f64 = domain(a, a.is_finite()).map(|a| 1.0 / a.tan());
    raises dasin(a: f64) -> f64 = domain(a, (-1.0..=1.0).contains(&a)).map(f64::asin);
    raises dacos(a: f64) -> f64 = domain(a, (-1.0..=1.0).contains(&a)).map(f64::acos);
    safe datan(a: f64) -> f64 = a.atan();
    safe datan2(a: f64, b: f64) -> f64 = a.atan2(b);
    safe dsinh(a: f64) -> f64 = a.sinh();
    safe dcosh(a: f64) -> f64 = a.cosh();
    safe dtanh(a: f64) -> f64 = a.tanh();
    safe dasinh(a: f64) -> f64 = a.asinh();
    raises dacosh(a: f64) -> f64 = domain(a, a >= 1.0).map(f64::acosh);
    raises datanh(a: f64) -> f64 = domain(a, (-1.0..=1.0).contains(&a)).map(f64::atanh);
    safe degrees(a: f64) -> f64 = a / (std::f64::consts::PI / 180.0);
    safe radians(a: f64) -> f64 = radians(a);
    safe dpi() -> f64 = std::f64::consts::PI;
    safe drandom() -> f64 = rand::random::<f64>();
    raises width_bucket_float8(a: f64, b: f64, c: f64, d: i32) -> i32 = bucket(a, b, c, d);
    raises numeric_round(a: &Numeric, b: i32) -> Numeric = a.round(b);
    raises numeric_trunc(a: &Numeric, b: i32) -> Numeric = a.trunc(b);
    raises numeric_ceil(a: &Numeric) -> Numeric = a.ceil();
    raises numeric_floor(a: &Numeric) -> Numeric = a.floor();
    safe numeric_sign(a: &Numeric) -> Numeric = numeric_sign(a);
    safe numeric_scale(a: &Numeric) -> Option<i32> = a.is_finite().then(|| i32::from(a.scale()));
    safe numeric_min_scale(a: &Numeric) -> Option<i32> = a.is_finite().then(|| i32::from(a.min_scale()));
    raises numeric_trim_scale(a: &Numeric) -> Numeric = a.trunc(i32::from(a.min_scale()));
    raises numeric_fac(a: i64) -> Numeric = Numeric::factorial(a);
}
