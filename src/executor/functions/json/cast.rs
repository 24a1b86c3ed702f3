//! Casts from jsonb.

use super::super::cast::{numeric_to_float, to_float4, to_int};
use super::super::inline::functions;
use super::invalid;
use crate::error::Result;
use crate::types::jsonb::{Node, View};
use crate::types::numeric::Numeric;

fn refuse<T>(value: View<'_>, ty: &str) -> Result<T> {
    let kind = if value.kind() == "number" { "numeric" } else { value.kind() };
    Err(invalid(format!("cannot cast jsonb {kind} to type {ty}")))
}

fn boolean(value: View<'_>) -> Result<bool> {
    match value.node() {
        Node::Bool(value) => Ok(value),
        _ => refuse(value, "boolean"),
    }
}

fn number(value: View<'_>, ty: &str) -> Result<Numeric> {
    match value.node() {
        Node::Number(number) => Ok(number),
        _ => refuse(value, ty),
    }
}

fn integer<T: TryFrom<i64>>(value: View<'_>, ty: &str) -> Result<T> {
    number(value, ty)?.to_i64(ty).and_then(|value| to_int(value, ty))
}

functions! {
    TABLE:
    raises jsonb_bool(a: View<'_>) -> bool = boolean(a);
    raises jsonb_numeric(a: View<'_>) -> Numeric = number(a, "numeric");
    raises jsonb_int2(a: View<'_>) -> i16 = integer(a, "smallint");
    raises jsonb_int4(a: View<'_>) -> i32 = integer(a, "integer");
    raises jsonb_int8(a: View<'_>) -> i64 = integer(a, "bigint");
    raises jsonb_float4(a: View<'_>) -> f32 = number(a, "real").and_then(|number| numeric_to_float(&number)).and_then(to_float4);
    raises jsonb_float8(a: View<'_>) -> f64 = number(a, "double precision").and_then(|number| numeric_to_float(&number));
}
