//! Casts between the types that are functions of pg_cast: rounding half away from zero for numeric, half to even for floats.

use super::inline::functions;
use crate::error::{Error, Result, SqlState};
use crate::types::numeric::{Numeric, out_of_range};
use crate::types::{Datum, Oid, Text, Type, oid, text_io, typmod};

pub(super) fn to_int<T: TryFrom<i64>>(v: i64, ty: &str) -> Result<T> {
    T::try_from(v).map_err(|_| out_of_range(ty))
}

/// Float to integer: half to even, NaN and what does not fit is 22003.
fn float_to_int<T: TryFrom<i64>>(v: f64, ty: &str) -> Result<T> {
    let rounded = v.round_ties_even();
    // 2^63 itself is a float; one below it is not.
    if rounded.is_nan() || !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
        return Err(out_of_range(ty));
    }
    to_int(rounded as i64, ty)
}

pub(super) fn to_float4(v: f64) -> Result<f32> {
    let narrow = v as f32;
    let message = if narrow.is_infinite() && v.is_finite() {
        "value out of range: overflow"
    } else if narrow == 0.0 && v != 0.0 {
        "value out of range: underflow"
    } else {
        return Ok(narrow);
    };
    Err(Error::new(SqlState::NumericValueOutOfRange, message))
}

pub(super) fn numeric_to_float(v: &Numeric) -> Result<f64> {
    let float = v.to_f64();
    if float.is_infinite() && v.is_finite() {
        let message = format!("\"{v}\" is out of range for type double precision");
        return Err(Error::new(SqlState::NumericValueOutOfRange, message));
    }
    Ok(float)
}

fn with_typmod(v: Datum, ty: Oid, modifier: i32, explicit: bool) -> Result<Datum> {
    typmod::apply(v, Type::with_typmod(ty, modifier), explicit)
}

fn char_text(v: u8) -> Text {
    let mut out = String::new();
    match v {
        0 => {}
        v if v.is_ascii() => out.push(char::from(v)),
        v => out = format!("\\{v:03o}"),
    }
    out.into()
}

functions! {
    TABLE:
    safe i2toi4(a: i16) -> i32 = i32::from(a);
    raises i4toi2(a: i32) -> i16 = to_int(i64::from(a), "smallint");
    safe int28(a: i16) -> i64 = i64::from(a);
    raises int82(a: i64) -> i16 = to_int(a, "smallint");
    safe int48(a: i32) -> i64 = i64::from(a);
    raises int84(a: i64) -> i32 = to_int(a, "integer");
    safe i2tof(a: i16) -> f32 = f32::from(a);
    safe i4tof(a: i32) -> f32 = a as f32;
    safe i8tof(a: i64) -> f32 = a as f32;
    safe i2tod(a: i16) -> f64 = f64::from(a);
    safe i4tod(a: i32) -> f64 = f64::from(a);
    safe i8tod(a: i64) -> f64 = a as f64;
    raises ftoi2(a: f32) -> i16 = float_to_int(f64::from(a), "smallint");
    raises ftoi4(a: f32) -> i32 = float_to_int(f64::from(a), "integer");
    raises ftoi8(a: f32) -> i64 = float_to_int(f64::from(a), "bigint");
    raises dtoi2(a: f64) -> i16 = float_to_int(a, "smallint");
    raises dtoi4(a: f64) -> i32 = float_to_int(a, "integer");
    raises dtoi8(a: f64) -> i64 = float_to_int(a, "bigint");
    safe ftod(a: f32) -> f64 = f64::from(a);
    raises dtof(a: f64) -> f32 = to_float4(a);
    safe int2_numeric(a: i16) -> Numeric = Numeric::from(i64::from(a));
    safe int4_numeric(a: i32) -> Numeric = Numeric::from(a);
    safe int8_numeric(a: i64) -> Numeric = Numeric::from(a);
    safe float4_numeric(a: f32) -> Numeric = Numeric::from_f64(f64::from(a), 6);
    safe float8_numeric(a: f64) -> Numeric = Numeric::from_f64(a, 15);
    raises numeric_int2(a: &Numeric) -> i16 = a.to_i64("smallint").and_then(|v| to_int(v, "smallint"));
    raises numeric_int4(a: &Numeric) -> i32 = a.to_i64("integer").and_then(|v| to_int(v, "integer"));
    raises numeric_int8(a: &Numeric) -> i64 = a.to_i64("bigint");
    raises numeric_float8(a: &Numeric) -> f64 = numeric_to_float(a);
    raises numeric_float4(a: &Numeric) -> f32 = numeric_to_float(a).and_then(to_float4);
    raises numeric(a: &Numeric, b: i32) -> Datum = with_typmod(Datum::Numeric(a.clone()), oid::NUMERIC, b, true);
    raises varchar(a: &Datum, b: i32, c: bool) -> Datum = with_typmod(a.clone(), oid::VARCHAR, b, c);
    raises bpchar(a: &Datum, b: i32, c: bool) -> Datum = with_typmod(a.clone(), oid::BPCHAR, b, c);
    safe int4_bool(a: i32) -> bool = a != 0;
    safe bool_int4(a: bool) -> i32 = i32::from(a);
    safe booltext(a: bool) -> &str = if a { "true" } else { "false" };
    safe rtrim1(a: &str) -> &str = a.trim_end_matches(' ');
    safe name_text(a: &str) -> &str = a;
    safe name_bpchar(a: &str) -> &str = a;
    safe text_name(a: &str) -> &str = text_io::truncate_name(a);
    safe bpchar_name(a: &str) -> &str = text_io::truncate_name(a).trim_end_matches(' ');
    safe char_text(a: u8) -> Text = char_text(a);
    safe char_bpchar(a: u8) -> Text = char_text(a);
    safe text_char(a: &str) -> u8 = a.as_bytes().first().copied().unwrap_or(0);
    safe chartoi4(a: u8) -> i32 = i32::from(a as i8);
    raises i4tochar(a: i32) -> u8 = i8::try_from(a).map(|v| v as u8).map_err(|_| Error::new(SqlState::NumericValueOutOfRange, "\"char\" out of range"));
    safe oidtoi8(a: Oid) -> i64 = i64::from(a.0);
    raises i8tooid(a: i64) -> Oid = u32::try_from(a).map(Oid).map_err(|_| out_of_range("OID"));
    raises(ctx) text_regclass(a: &str) -> Oid = ctx.host.read(oid::REGCLASS, a);
}
