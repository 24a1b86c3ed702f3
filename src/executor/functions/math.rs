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

fn inverse_hyperbolic_sine(v: f64) -> f64 {
    // Where the square would overflow its term is all that counts.
    if v.is_finite() && v.abs() > 1e150 { (v.abs().ln() + std::f64::consts::LN_2).copysign(v) } else { v.asinh() }
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

// The functions of degrees are exact where the value is: at multiples of 30 and 45 degrees (PostgreSQL's `float.c`).

fn finite(v: f64) -> Result<f64> {
    domain(v, v.is_finite())
}

/// sin of 0 to 30 degrees.
fn sin_0_30(v: f64) -> f64 {
    radians(v).sin() / radians(30.0).sin() / 2.0
}

/// cos of 0 to 60 degrees.
fn cos_0_60(v: f64) -> f64 {
    1.0 - (1.0 - radians(v).cos()) / (1.0 - radians(60.0).cos()) / 2.0
}

/// sin of the first quadrant.
fn sin_quadrant(v: f64) -> f64 {
    if v <= 30.0 { sin_0_30(v) } else { cos_0_60(90.0 - v) }
}

/// cos of the first quadrant.
fn cos_quadrant(v: f64) -> f64 {
    if v <= 60.0 { cos_0_60(v) } else { sin_0_30(90.0 - v) }
}

fn sin_degrees(v: f64) -> f64 {
    let (mut v, mut sign) = (v % 360.0, 1.0);
    if v < 0.0 {
        (v, sign) = (-v, -sign);
    }
    if v > 180.0 {
        (v, sign) = (360.0 - v, -sign);
    }
    if v > 90.0 {
        v = 180.0 - v;
    }
    sign * sin_quadrant(v)
}

fn cos_degrees(v: f64) -> f64 {
    let (mut v, mut sign) = ((v % 360.0).abs(), 1.0);
    if v > 180.0 {
        v = 360.0 - v;
    }
    if v > 90.0 {
        (v, sign) = (180.0 - v, -sign);
    }
    sign * cos_quadrant(v)
}

/// An angle folded into the first quadrant, and the tangent's sign.
fn tangent_quadrant(v: f64) -> (f64, f64) {
    let (mut v, mut sign) = (v % 360.0, 1.0);
    if v < 0.0 {
        (v, sign) = (-v, -sign);
    }
    if v > 180.0 {
        (v, sign) = (360.0 - v, -sign);
    }
    if v > 90.0 {
        (v, sign) = (180.0 - v, -sign);
    }
    (v, sign)
}

fn tan_degrees(v: f64) -> f64 {
    let (v, sign) = tangent_quadrant(v);
    let at_45 = sin_quadrant(45.0) / cos_quadrant(45.0);
    // Zero without a sign.
    sign * ((sin_quadrant(v) / cos_quadrant(v)) / at_45) + 0.0
}

fn cot_degrees(v: f64) -> f64 {
    let (v, sign) = tangent_quadrant(v);
    let at_45 = cos_quadrant(45.0) / sin_quadrant(45.0);
    sign * ((cos_quadrant(v) / sin_quadrant(v)) / at_45) + 0.0
}

fn asin_quadrant(v: f64) -> f64 {
    if v <= 0.5 { v.asin() / 0.5f64.asin() * 30.0 } else { 90.0 - v.acos() / 0.5f64.acos() * 60.0 }
}

fn asin_degrees(v: f64) -> f64 {
    if v >= 0.0 { asin_quadrant(v) } else { -asin_quadrant(-v) }
}

fn acos_quadrant(v: f64) -> f64 {
    if v <= 0.5 { 90.0 - v.asin() / 0.5f64.asin() * 30.0 } else { v.acos() / 0.5f64.acos() * 60.0 }
}

fn acos_degrees(v: f64) -> f64 {
    if v >= 0.0 { acos_quadrant(v) } else { 90.0 + asin_quadrant(-v) }
}

fn atan_degrees(v: f64) -> f64 {
    v.atan() / 1.0f64.atan() * 45.0
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
    safe dasinh(a: f64) -> f64 = inverse_hyperbolic_sine(a);
    raises dacosh(a: f64) -> f64 = domain(a, a >= 1.0).map(f64::acosh);
    raises datanh(a: f64) -> f64 = domain(a, (-1.0..=1.0).contains(&a)).map(f64::atanh);
    raises degrees(a: f64) -> f64 = check64(a / (std::f64::consts::PI / 180.0), a.is_infinite(), a == 0.0);
    raises radians(a: f64) -> f64 = check64(radians(a), a.is_infinite(), a == 0.0);
    safe dpi() -> f64 = std::f64::consts::PI;
    raises width_bucket_float8(a: f64, b: f64, c: f64, d: i32) -> i32 = bucket(a, b, c, d);
    raises numeric_round(a: &Numeric, b: i32) -> Numeric = a.round(b);
    raises numeric_trunc(a: &Numeric, b: i32) -> Numeric = a.trunc(b);
    raises numeric_ceil(a: &Numeric) -> Numeric = a.ceil();
    raises numeric_floor(a: &Numeric) -> Numeric = a.floor();
    safe numeric_sign(a: &Numeric) -> Numeric = numeric_sign(a);
    safe numeric_scale(a: &Numeric) -> Option<i32> = a.is_finite().then(|| i32::from(a.scale()));
    safe numeric_min_scale(a: &Numeric) -> Option<i32> = a.is_finite().then(|| i32::from(a.min_scale()));
    raises numeric_trim_scale(a: &Numeric) -> Numeric = a.trunc(i32::from(a.min_scale()));
    raises round(a: &Numeric) -> Numeric = a.round(0);
    raises trunc(a: &Numeric) -> Numeric = a.trunc(0);
    raises numeric_sqrt(a: &Numeric) -> Numeric = a.sqrt();
    raises numeric_exp(a: &Numeric) -> Numeric = a.exp();
    raises numeric_ln(a: &Numeric) -> Numeric = a.ln();
    raises numeric_log(a: &Numeric, b: &Numeric) -> Numeric = b.log(a);
    raises log(a: &Numeric) -> Numeric = a.log(&Numeric::from(10));
    raises log10(a: &Numeric) -> Numeric = a.log(&Numeric::from(10));
    raises numeric_power(a: &Numeric, b: &Numeric) -> Numeric = a.power(b);
    safe numeric_gcd(a: &Numeric, b: &Numeric) -> Numeric = a.gcd(b);
    raises numeric_lcm(a: &Numeric, b: &Numeric) -> Numeric = a.lcm(b);
    raises width_bucket_numeric(a: &Numeric, b: &Numeric, c: &Numeric, d: i32) -> i32 = a.width_bucket(b, c, d);
    raises dsind(a: f64) -> f64 = finite(a).map(sin_degrees);
    raises dcosd(a: f64) -> f64 = finite(a).map(cos_degrees);
    raises dtand(a: f64) -> f64 = finite(a).map(tan_degrees);
    raises dcotd(a: f64) -> f64 = finite(a).map(cot_degrees);
    raises dasind(a: f64) -> f64 = domain(a, (-1.0..=1.0).contains(&a)).map(asin_degrees);
    raises dacosd(a: f64) -> f64 = domain(a, (-1.0..=1.0).contains(&a)).map(acos_degrees);
    safe datand(a: f64) -> f64 = atan_degrees(a);
    safe datan2d(a: f64, b: f64) -> f64 = a.atan2(b) / (1.0f64).atan() * 45.0;
    raises numeric_fac(a: i64) -> Numeric = Numeric::factorial(a);
}
