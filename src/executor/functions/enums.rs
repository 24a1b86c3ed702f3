//! Functions of enums. Values carry their label's place, so comparing needs no catalog; first, last and range read the
//! labels, and are given the enum's oid as a last argument by the binder, because a NULL does not tell its type.

use super::CallContext;
use super::inline::functions;
use crate::catalog::image::{EnumLabel, Image};
use crate::catalog::names::Namespace;
use crate::error::{Error, Result, SqlState};
use crate::types::compare::compare;
use crate::types::{Array, Datum, Oid};

/// Whether the binder adds the enum's oid to a function's arguments.
pub(crate) fn takes_type(symbol: &str) -> bool {
    matches!(symbol, "enum_first" | "enum_last" | "enum_range_bounds" | "enum_range_all")
}

fn value(ty: Oid, label: &EnumLabel) -> Datum {
    Datum::Enum(ty, label.place.as_str().into())
}

fn labels(image: &Image, ty: Oid) -> Result<&[EnumLabel]> {
    let found = image.types.get(&ty).ok_or_else(|| Error::internal(format!("cache lookup failed for type {ty}")))?;
    Ok(found.labels())
}

/// Calls with the labels and the session's names.
fn with_labels<T>(ctx: &CallContext, ty: Oid, ask: impl FnOnce(&[EnumLabel], Namespace<'_>) -> Result<T>) -> Result<T> {
    let (image, path) = (ctx.host.catalog(), ctx.host.search_path(true));
    ask(labels(&image, ty)?, Namespace { image: &image, path: &path })
}

fn extreme(ctx: &CallContext, ty: Oid, last: bool) -> Result<Datum> {
    with_labels(ctx, ty, |labels, names| {
        let Some(label) = (if last { labels.last() } else { labels.first() }) else {
            let message = format!("enum {} contains no values", names.format_type(ty, None));
            return Err(Error::new(SqlState::ObjectNotInPrerequisiteState, message));
        };
        names.check_label(ty, label)?;
        Ok(value(ty, label))
    })
}

/// The values from `lower` to `upper`, NULL for no bound.
fn range(ctx: &CallContext, ty: Oid, lower: &Datum, upper: &Datum) -> Result<Array> {
    with_labels(ctx, ty, |labels, names| {
        let mut values = Vec::new();
        for label in labels {
            let value = value(ty, label);
            let below = !lower.is_null() && compare(&value, lower).is_lt();
            if !below && (upper.is_null() || compare(&value, upper).is_le()) {
                names.check_label(ty, label)?;
                values.push(value);
            }
        }
        Ok(Array::of(ty, values))
    })
}

/// The label as bytes: an enum's binary form is its text.
fn send(ctx: &CallContext, value: &Datum) -> Vec<u8> {
    let mut out = String::new();
    crate::types::text_io::output(value, crate::types::Type::new(crate::types::oid::ANYENUM), &ctx.text(), &mut out);
    out.into_bytes()
}

functions! {
    TABLE:
    safe enum_eq(a: &Datum, b: &Datum) -> bool = compare(a, b).is_eq();
    safe enum_ne(a: &Datum, b: &Datum) -> bool = compare(a, b).is_ne();
    safe enum_lt(a: &Datum, b: &Datum) -> bool = compare(a, b).is_lt();
    safe enum_le(a: &Datum, b: &Datum) -> bool = compare(a, b).is_le();
    safe enum_gt(a: &Datum, b: &Datum) -> bool = compare(a, b).is_gt();
    safe enum_ge(a: &Datum, b: &Datum) -> bool = compare(a, b).is_ge();
    safe enum_cmp(a: &Datum, b: &Datum) -> i32 = compare(a, b) as i32;
    safe enum_smaller(a: &Datum, b: &Datum) -> Datum = if compare(a, b).is_lt() { a.clone() } else { b.clone() };
    safe enum_larger(a: &Datum, b: &Datum) -> Datum = if compare(a, b).is_gt() { a.clone() } else { b.clone() };
    raises(ctx) enum_first(a: &Datum, ty: Oid) -> Datum = extreme(ctx, ty, false);
    raises(ctx) enum_last(a: &Datum, ty: Oid) -> Datum = extreme(ctx, ty, true);
    raises(ctx) enum_range_bounds(lower: &Datum, upper: &Datum, ty: Oid) -> Array = range(ctx, ty, lower, upper);
    raises(ctx) enum_range_all(a: &Datum, ty: Oid) -> Array = range(ctx, ty, &Datum::Null, &Datum::Null);
    safe(ctx) enum_send(a: &Datum) -> Vec<u8> = send(ctx, a);
}
