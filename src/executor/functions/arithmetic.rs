//! Arithmetic of the number types: overflow is 22003, a zero divisor 22012, float underflow 22003 as in `float.c`.

use super::inline::functions;
use crate::error::{Error, Result, SqlState};
use crate::types::numeric::{Numeric, division_by_zero, out_of_range};

fn checked<T>(result: Option<T>, ty: &str) -> Result<T> {
    result.ok_or_else(|| out_of_range(ty))
}

fn nonzero<T: Default + PartialEq>(divisor: T) -> Result<T> {
    if divisor == T::default() { Err(division_by_zero()) } else { Ok(divisor) }
}

fn float_overflow() -> Error {
    Error::new(SqlState::NumericValueOutOfRange, "value out of range: overflow")
}

fn float_underflow() -> Error {
    Error::new(SqlState::NumericValueOutOfRange, "value out of range: underflow")
}

/// A float result: infinite only from an infinite operand, zero only where that is exact.
pub(super) fn check64(result: f64, infinite_ok: bool, zero_ok: bool) -> Result<f64> {
    if result.is_infinite() && !infinite_ok {
        return Err(float_overflow());
    }
    if result == 0.0 && !zero_ok {
        return Err(float_underflow());
    }
    Ok(result)
}

fn check32(result: f32, infinite_ok: bool, zero_ok: bool) -> Result<f32> {
    check64(f64::from(result), infinite_ok, zero_ok).map(|_| result)
}

functions! {
    TABLE:
    raises int2pl(a: i16, b: i16) -> i16 = checked(a.checked_add(b), "smallint");
    raises int2mi(a: i16, b: i16) -> i16 = checked(a.checked_sub(b), "smallint");
    raises int2mul(a: i16, b: i16) -> i16 = checked(a.checked_mul(b), "smallint");
    raises int2div(a: i16, b: i16) -> i16 = nonzero(b).and_then(|b| checked(a.checked_div(b), "smallint"));
    raises int2mod(a: i16, b: i16) -> i16 = nonzero(b).map(|b| a.wrapping_rem(b));
    raises int2um(a: i16) -> i16 = checked(a.checked_neg(), "smallint");
    safe int2up(a: i16) -> i16 = a;
    raises int2abs(a: i16) -> i16 = checked(a.checked_abs(), "smallint");
    safe int2and(a: i16, b: i16) -> i16 = a & b;
    safe int2or(a: i16, b: i16) -> i16 = a | b;
    safe int2xor(a: i16, b: i16) -> i16 = a ^ b;
    safe int2not(a: i16) -> i16 = !a;
    safe int2shl(a: i16, b: i32) -> i16 = i32::from(a).wrapping_shl(b as u32) as i16;
    safe int2shr(a: i16, b: i32) -> i16 = i32::from(a).wrapping_shr(b as u32) as i16;
    safe int2larger(a: i16, b: i16) -> i16 = a.max(b);
    safe int2smaller(a: i16, b: i16) -> i16 = a.min(b);
    raises int4pl(a: i32, b: i32) -> i32 = checked(a.checked_add(b), "integer");
    raises int4mi(a: i32, b: i32) -> i32 = checked(a.checked_sub(b), "integer");
    raises int4mul(a: i32, b: i32) -> i32 = checked(a.checked_mul(b), "integer");
    raises int4div(a: i32, b: i32) -> i32 = nonzero(b).and_then(|b| checked(a.checked_div(b), "integer"));
    raises int4mod(a: i32, b: i32) -> i32 = nonzero(b).map(|b| a.wrapping_rem(b));
    raises int4um(a: i32) -> i32 = checked(a.checked_neg(), "integer");
    safe int4up(a: i32) -> i32 = a;
    raises int4abs(a: i32) -> i32 = checked(a.checked_abs(), "integer");
    safe int4and(a: i32, b: i32) -> i32 = a & b;
    safe int4or(a: i32, b: i32) -> i32 = a | b;
    safe int4xor(a: i32, b: i32) -> i32 = a ^ b;
    safe int4not(a: i32) -> i32 = !a;
    safe int4shl(a: i32, b: i32) -> i32 = a.wrapping_shl(b as u32);
    safe int4shr(a: i32, b: i32) -> i32 = a.wrapping_shr(b as u32);
    safe int4larger(a: i32, b: i32) -> i32 = a.max(b);
    safe int4smaller(a: i32, b: i32) -> i32 = a.min(b);
    raises int4gcd(a: i32, b: i32) -> i32 = checked(i32::try_from(num_integer::gcd(i128::from(a), i128::from(b))).ok(), "integer");
    raises int4lcm(a: i32, b: i32) -> i32 = checked(i32::try_from(num_integer::lcm(i128::from(a), i128::from(b))).ok(), "integer");
    raises int8pl(a: i64, b: i64) -> i64 = checked(a.checked_add(b), "bigint");
    raises int8mi(a: i64, b: i64) -> i64 = checked(a.checked_sub(b), "bigint");
    raises int8mul(a: i64, b: i64) -> i64 = checked(a.checked_mul(b), "bigint");
    raises int8div(a: i64, b: i64) -> i64 = nonzero(b).and_then(|b| checked(a.checked_div(b), "bigint"));
    raises int8mod(a: i64, b: i64) -> i64 = nonzero(b).map(|b| a.wrapping_rem(b));
    raises int8um(a: i64) -> i64 = checked(a.checked_neg(), "bigint");
    safe int8up(a: i64) -> i64 = a;
    raises int8abs(a: i64) -> i64 = checked(a.checked_abs(), "bigint");
    safe int8and(a: i64, b: i64) -> i64 = a & b;
    safe int8or(a: i64, b: i64) -> i64 = a | b;
    safe int8xor(a: i64, b: i64) -> i64 = a ^ b;
    safe int8not(a: i64) -> i64 = !a;
    safe int8shl(a: i64, b: i32) -> i64 = a.wrapping_shl(b as u32);
    safe int8shr(a: i64, b: i32) -> i64 = a.wrapping_shr(b as u32);
    safe int8larger(a: i64, b: i64) -> i64 = a.max(b);
    safe int8smaller(a: i64, b: i64) -> i64 = a.min(b);
    raises int8gcd(a: i64, b: i64) -> i64 = checked(i64::try_from(num_integer::gcd(i128::from(a), i128::from(b))).ok(), "bigint");
    raises int8lcm(a: i64, b: i64) -> i64 = checked(i64::try_from(num_integer::lcm(i128::from(a), i128::from(b))).ok(), "bigint");
    raises int24pl(a: i16, b: i32) -> i32 = checked(i32::from(a).checked_add(b), "integer");
    raises int24mi(a: i16, b: i32) -> i32 = checked(i32::from(a).checked_sub(b), "integer");
    raises int24mul(a: i16, b: i32) -> i32 = checked(i32::from(a).checked_mul(b), "integer");
    raises int24div(a: i16, b: i32) -> i32 = nonzero(b).and_then(|b| checked(i32::from(a).checked_div(b), "integer"));
    raises int42pl(a: i32, b: i16) -> i32 = checked(a.checked_add(i32::from(b)), "integer");
    raises int42mi(a: i32, b: i16) -> i32 = checked(a.checked_sub(i32::from(b)), "integer");
    raises int42mul(a: i32, b: i16) -> i32 = checked(a.checked_mul(i32::from(b)), "integer");
    raises int42div(a: i32, b: i16) -> i32 = nonzero(i32::from(b)).and_then(|b| checked(a.checked_div(b), "integer"));
    raises int28pl(a: i16, b: i64) -> i64 = checked(i64::from(a).checked_add(b), "bigint");
    raises int28mi(a: i16, b: i64) -> i64 = checked(i64::from(a).checked_sub(b), "bigint");
    raises int28mul(a: i16, b: i64) -> i64 = checked(i64::from(a).checked_mul(b), "bigint");
    raises int28div(a: i16, b: i64) -> i64 = nonzero(b).and_then(|b| checked(i64::from(a).checked_div(b), "bigint"));
    raises int82pl(a: i64, b: i16) -> i64 = checked(a.checked_add(i64::from(b)), "bigint");
    raises int82mi(a: i64, b: i16) -> i64 = checked(a.checked_sub(i64::from(b)), "bigint");
    raises int82mul(a: i64, b: i16) -> i64 = checked(a.checked_mul(i64::from(b)), "bigint");
    raises int82div(a: i64, b: i16) -> i64 = nonzero(i64::from(b)).and_then(|b| checked(a.checked_div(b), "bigint"));
    raises int48pl(a: i32, b: i64) -> i64 = checked(i64::from(a).checked_add(b), "bigint");
    raises int48mi(a: i32, b: i64) -> i64 = checked(i64::from(a).checked_sub(b), "bigint");
    raises int48mul(a: i32, b: i64) -> i64 = checked(i64::from(a).checked_mul(b), "bigint");
    raises int48div(a: i32, b: i64) -> i64 = nonzero(b).and_then(|b| checked(i64::from(a).checked_div(b), "bigint"));
    raises int84pl(a: i64, b: i32) -> i64 = checked(a.checked_add(i64::from(b)), "bigint");
    raises int84mi(a: i64, b: i32) -> i64 = checked(a.checked_sub(i64::from(b)), "bigint");
    raises int84mul(a: i64, b: i32) -> i64 = checked(a.checked_mul(i64::from(b)), "bigint");
    raises int84div(a: i64, b: i32) -> i64 = nonzero(i64::from(b)).and_then(|b| checked(a.checked_div(b), "bigint"));
    raises float4pl(a: f32, b: f32) -> f32 = check32(a + b, a.is_infinite() || b.is_infinite(), true);
    raises float4mi(a: f32, b: f32) -> f32 = check32(a - b, a.is_infinite() || b.is_infinite(), true);
    raises float4mul(a: f32, b: f32) -> f32 = check32(a * b, a.is_infinite() || b.is_infinite(), a == 0.0 || b == 0.0);
    raises float4div(a: f32, b: f32) -> f32 = if b == 0.0 && !a.is_nan() { Err(division_by_zero()) } else { check32(a / b, a.is_infinite(), a == 0.0 || b.is_infinite()) };
    raises float8pl(a: f64, b: f64) -> f64 = check64(a + b, a.is_infinite() || b.is_infinite(), true);
    raises float8mi(a: f64, b: f64) -> f64 = check64(a - b, a.is_infinite() || b.is_infinite(), true);
    raises float8mul(a: f64, b: f64) -> f64 = check64(a * b, a.is_infinite() || b.is_infinite(), a == 0.0 || b == 0.0);
    raises float8div(a: f64, b: f64) -> f64 = if b == 0.0 && !a.is_nan() { Err(division_by_zero()) } else { check64(a / b, a.is_infinite(), a == 0.0 || b.is_infinite()) };
    raises float48pl(a: f32, b: f64) -> f64 = check64(f64::from(a) + b, a.is_infinite() || b.is_infinite(), true);
    raises float48mi(a: f32, b: f64) -> f64 = check64(f64::from(a) - b, a.is_infinite() || b.is_infinite(), true);
    raises float48mul(a: f32, b: f64) -> f64 = check64(f64::from(a) * b, a.is_infinite() || b.is_infinite(), a == 0.0 || b == 0.0);
    raises float48div(a: f32, b: f64) -> f64 = if b == 0.0 && !a.is_nan() { Err(division_by_zero()) } else { check64(f64::from(a) / b, a.is_infinite(), a == 0.0 || b.is_infinite()) };
    raises float84pl(a: f64, b: f32) -> f64 = check64(a + f64::from(b), a.is_infinite() || b.is_infinite(), true);
    raises float84mi(a: f64, b: f32) -> f64 = check64(a - f64::from(b), a.is_infinite() || b.is_infinite(), true);
    raises float84mul(a: f64, b: f32) -> f64 = check64(a * f64::from(b), a.is_infinite() || b.is_infinite(), a == 0.0 || b == 0.0);
    raises float84div(a: f64, b: f32) -> f64 = if b == 0.0 && !a.is_nan() { Err(division_by_zero()) } else { check64(a / f64::from(b), a.is_infinite(), a == 0.0 || b.is_infinite()) };
    safe float4um(a: f32) -> f32 = -a;
    safe float4up(a: f32) -> f32 = a;
    safe float4abs(a: f32) -> f32 = a.abs();
    safe float4larger(a: f32, b: f32) -> f32 = if crate::types::compare::float(f64::from(a), f64::from(b)).is_gt() { a } else { b };
    safe float4smaller(a: f32, b: f32) -> f32 = if crate::types::compare::float(f64::from(a), f64::from(b)).is_lt() { a } else { b };
    safe float8um(a: f64) -> f64 = -a;
    safe float8up(a: f64) -> f64 = a;
    safe float8abs(a: f64) -> f64 = a.abs();
    safe float8larger(a: f64, b: f64) -> f64 = if crate::types::compare::float(a, b).is_gt() { a } else { b };
    safe float8smaller(a: f64, b: f64) -> f64 = if crate::types::compare::float(a, b).is_lt() { a } else { b };
    raises numeric_add(a: &Numeric, b: &Numeric) -> Numeric = a.add(b);
    raises numeric_sub(a: &Numeric, b: &Numeric) -> Numeric = a.sub(b);
    raises numeric_mul(a: &Numeric, b: &Numeric) -> Numeric = a.mul(b);
    raises numeric_div(a: &Numeric, b: &Numeric) -> Numeric = a.div(b);
    raises numeric_mod(a: &Numeric, b: &Numeric) -> Numeric = a.rem(b);
    raises numeric_div_trunc(a: &Numeric, b: &Numeric) -> Numeric = a.div_trunc(b);
    safe numeric_uminus(a: &Numeric) -> Numeric = a.neg();
    safe numeric_uplus(a: &Numeric) -> Numeric = a.clone();
    safe numeric_abs(a: &Numeric) -> Numeric = a.abs();
    safe numeric_larger(a: &Numeric, b: &Numeric) -> Numeric = a.max(b).clone();
    safe numeric_smaller(a: &Numeric, b: &Numeric) -> Numeric = if a < b { a.clone() } else { b.clone() };
    raises numeric_inc(a: &Numeric) -> Numeric = a.add(&Numeric::ONE);
    raises int8inc(a: i64) -> i64 = checked(a.checked_add(1), "bigint");
    raises int8dec(a: i64) -> i64 = checked(a.checked_sub(1), "bigint");
    raises int4inc(a: i32) -> i32 = checked(a.checked_add(1), "integer");
}
