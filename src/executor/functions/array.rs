//! The manual's array functions and operators: parts, search, change, and text.
//!
//! Equality inside arrays is the element type's own, with NULL equal to NULL where PostgreSQL says "not distinct".
//! An array's element type stands in the array; where there is none (a NULL array) it is told from the element.

use super::inline::functions;
use super::macros::strict;
use super::{CallContext, Rows};
use crate::error::{Error, Result, SqlState};
use crate::types::compare::{arrays, compare, nullable};
use crate::types::{Array, ArrayDim, Datum, Oid, Type, oid, text_io};
use std::fmt::Write;
use std::sync::Arc;

/// Elements that an array may have (PostgreSQL's `MaxArraySize`).
const ITEMS_MAX: i64 = 134_217_727;
/// Dimensions that an array may have (PostgreSQL's `MAXDIM`).
const DIMENSIONS_MAX: i32 = 6;

fn subscript_error(message: impl Into<String>) -> Error {
    Error::new(SqlState::ArraySubscriptError, message)
}

fn too_many_items() -> Error {
    let message = format!("array size exceeds the maximum allowed ({ITEMS_MAX})");
    Error::new(SqlState::ProgramLimitExceeded, message)
}

fn not_an_array<T>() -> Result<T> {
    Err(Error::internal("an array function was called with another type"))
}

/// The type that a value has by itself: the element type of an array made of it.
fn type_of(value: &Datum) -> Oid {
    match value {
        Datum::Bool(_) => oid::BOOL,
        Datum::Char(_) => oid::CHAR,
        Datum::Int2(_) => oid::INT2,
        Datum::Int4(_) => oid::INT4,
        Datum::Int8(_) => oid::INT8,
        Datum::Float4(_) => oid::FLOAT4,
        Datum::Float8(_) => oid::FLOAT8,
        Datum::Numeric(_) => oid::NUMERIC,
        Datum::Null | Datum::Text(_) => oid::TEXT,
        Datum::Padded(_) => oid::BPCHAR,
        Datum::Bytea(_) => oid::BYTEA,
        Datum::Jsonb(_) => oid::JSONB,
        Datum::Date(_) => oid::DATE,
        Datum::Time(_) => oid::TIME,
        Datum::TimeTz(..) => oid::TIMETZ,
        Datum::Timestamp(_) => oid::TIMESTAMP,
        Datum::TimestampTz(_) => oid::TIMESTAMPTZ,
        Datum::Interval(_) => oid::INTERVAL,
        Datum::Uuid(_) => oid::UUID,
        Datum::Oid(_) => oid::OID,
        Datum::Enum(ty, _) => *ty,
        Datum::Array(array) => array.element,
        Datum::Record(_) => oid::RECORD,
    }
}

/// The dimension that SQL counts from 1.
fn dimension(array: &Array, number: i32) -> Option<&ArrayDim> {
    array.dims.get(usize::try_from(number.checked_sub(1)?).ok()?)
}

fn upper(dim: &ArrayDim) -> i32 {
    dim.lower + dim.len - 1
}

fn dims_text(array: &Array) -> Option<String> {
    let mut out = String::new();
    for dim in &array.dims {
        write!(out, "[{}:{}]", dim.lower, upper(dim)).expect("a String takes all text");
    }
    (!out.is_empty()).then_some(out)
}

/// An array of at most one dimension, to be lengthened by one element.
fn vector(array: &Array) -> Result<()> {
    if array.dims.len() > 1 {
        return Err(Error::new(SqlState::DataException, "argument must be empty or one-dimensional array"));
    }
    match array.dims.first() {
        Some(dim) if dim.lower.checked_add(dim.len).is_none() => {
            Err(Error::new(SqlState::NumericValueOutOfRange, "integer out of range"))
        }
        _ => Ok(()),
    }
}

/// `array_append` and `array_prepend`; either keeps the array's lower bound.
fn extended(array: Option<&Array>, item: &Datum, at_end: bool) -> Result<Array> {
    let Some(array) = array else { return Ok(Array::of(type_of(item), vec![item.clone()])) };
    vector(array)?;
    if array.items.len() as i64 >= ITEMS_MAX {
        return Err(too_many_items());
    }
    let lower = array.dims.first().map_or(1, |dim| dim.lower);
    let mut items = Vec::with_capacity(array.items.len() + 1);
    if !at_end {
        items.push(item.clone());
    }
    items.extend_from_slice(&array.items);
    if at_end {
        items.push(item.clone());
    }
    let dims = vec![ArrayDim { len: items.len() as i32, lower }];
    Ok(Array { element: array.element, dims, items })
}

/// `array_cat`: along the first dimension, or an array as one more element of an array with one more dimension.
fn concatenated(a: &Array, b: &Array) -> Result<Array> {
    let refuse = |detail: String| Err(subscript_error("cannot concatenate incompatible arrays").detail(detail));
    if a.dims.is_empty() {
        return Ok(b.clone());
    }
    if b.dims.is_empty() {
        return Ok(a.clone());
    }
    let (m, n) = (a.dims.len(), b.dims.len());
    let dims = if m == n {
        if a.dims[1..] != b.dims[1..] {
            return refuse("Arrays with differing element dimensions are not compatible for concatenation.".to_owned());
        }
        let mut dims = a.dims.clone();
        dims[0].len += b.dims[0].len;
        dims
    } else if m.abs_diff(n) == 1 {
        let (outer, inner) = if m > n { (&a.dims, &b.dims) } else { (&b.dims, &a.dims) };
        if outer[1..] != inner[..] {
            return refuse("Arrays with differing dimensions are not compatible for concatenation.".to_owned());
        }
        let mut dims = outer.clone();
        dims[0].len += 1;
        dims
    } else {
        return refuse(format!("Arrays of {m} and {n} dimensions are not compatible for concatenation."));
    };
    if (a.items.len() + b.items.len()) as i64 > ITEMS_MAX {
        return Err(too_many_items());
    }
    let items = [&a.items[..], &b.items[..]].concat();
    Ok(Array { element: a.element, dims, items })
}

fn array_cat(_: &CallContext, args: &[Datum]) -> Result<Datum> {
    match (&args[0], &args[1]) {
        (Datum::Null, other) | (other, Datum::Null) => Ok(other.clone()),
        (Datum::Array(a), Datum::Array(b)) => Ok(Datum::Array(Arc::new(concatenated(a, b)?))),
        _ => not_an_array(),
    }
}

fn same(a: &Datum, b: &Datum) -> bool {
    nullable(a, b).is_eq()
}

fn one_dimensional(array: &Array, doing: &str) -> Result<()> {
    if array.dims.len() > 1 {
        return Err(Error::new(
            SqlState::FeatureNotSupported,
            format!(
                "{doing} elements {} multidimensional arrays is not supported",
                if doing == "searching for" { "in" } else { "from" }
            ),
        ));
    }
    Ok(())
}

/// The subscripts of the elements that are not distinct from `item`.
fn positions<'a>(array: &'a Array, item: &'a Datum) -> impl Iterator<Item = i32> + 'a {
    let lower = array.dims.first().map_or(1, |dim| dim.lower);
    array.items.iter().zip(lower..).filter(|(value, _)| same(value, item)).map(|(_, at)| at)
}

fn array_position(array: Option<&Array>, item: &Datum, start: i32) -> Result<Option<i32>> {
    let Some(array) = array else { return Ok(None) };
    one_dimensional(array, "searching for")?;
    Ok(positions(array, item).find(|at| *at >= start))
}

fn array_position_from(array: Option<&Array>, item: &Datum, start: Option<i32>) -> Result<Option<i32>> {
    let Some(array) = array else { return Ok(None) };
    one_dimensional(array, "searching for")?;
    // Where there is nothing to find PostgreSQL does not look at the position.
    let sought_null = matches!(item, Datum::Null);
    if array.items.is_empty() || sought_null && !array.items.iter().any(|value| matches!(value, Datum::Null)) {
        return Ok(None);
    }
    let start = start.ok_or_else(|| Error::new(SqlState::NullValueNotAllowed, "initial position must not be null"));
    array_position(Some(array), item, start?)
}

fn array_positions(array: Option<&Array>, item: &Datum) -> Result<Option<Array>> {
    let Some(array) = array else { return Ok(None) };
    one_dimensional(array, "searching for")?;
    Ok(Some(Array::of(oid::INT4, positions(array, item).map(Datum::Int4).collect())))
}

fn array_remove(array: Option<&Array>, item: &Datum) -> Result<Option<Array>> {
    let Some(array) = array else { return Ok(None) };
    one_dimensional(array, "removing")?;
    let items: Vec<Datum> = array.items.iter().filter(|value| !same(value, item)).cloned().collect();
    let mut dims = array.dims.clone();
    match dims.first_mut() {
        Some(dim) if !items.is_empty() => dim.len = items.len() as i32,
        _ => dims.clear(),
    }
    Ok(Some(Array { element: array.element, dims, items }))
}

fn array_replace(array: Option<&Array>, from: &Datum, to: &Datum) -> Option<Array> {
    let array = array?;
    let items = array.items.iter().map(|value| if same(value, from) { to.clone() } else { value.clone() }).collect();
    Some(Array { element: array.element, dims: array.dims.clone(), items })
}

/// The numbers of a one-dimensional int4[] without NULLs.
fn numbers(array: &Array) -> Result<Vec<i32>> {
    if array.dims.len() > 1 {
        return Err(
            subscript_error("wrong number of array subscripts").detail("Dimension array must be one dimensional.")
        );
    }
    let number = |item: &Datum| match item {
        Datum::Int4(n) => Ok(*n),
        _ => Err(Error::new(SqlState::NullValueNotAllowed, "dimension values cannot be null")),
    };
    array.items.iter().map(number).collect()
}

fn array_fill(value: &Datum, lens: Option<&Array>, lowers: Option<Option<&Array>>) -> Result<Array> {
    let missing = || Error::new(SqlState::NullValueNotAllowed, "dimension array or low bound array cannot be null");
    let lens = lens.ok_or_else(missing)?;
    let lowers = lowers.map(|lowers| lowers.ok_or_else(missing)).transpose()?;
    let lens = numbers(lens)?;
    if lens.len() > DIMENSIONS_MAX as usize {
        let message =
            format!("number of array dimensions ({}) exceeds the maximum allowed ({DIMENSIONS_MAX})", lens.len());
        return Err(Error::new(SqlState::ProgramLimitExceeded, message));
    }
    let lowers = match lowers {
        Some(lowers) => numbers(lowers)?,
        None => vec![1; lens.len()],
    };
    if lowers.len() != lens.len() {
        return Err(subscript_error("wrong number of array subscripts")
            .detail("Low bound array has different size than dimensions array."));
    }
    if lens.iter().any(|len| *len < 0) {
        return Err(too_many_items());
    }
    let count = lens.iter().try_fold(1i64, |count, len| count.checked_mul(i64::from(*len))).unwrap_or(i64::MAX);
    if count > ITEMS_MAX {
        return Err(too_many_items());
    }
    let dims: Vec<ArrayDim> = lens.into_iter().zip(lowers).map(|(len, lower)| ArrayDim { len, lower }).collect();
    if let Some(dim) = dims.iter().find(|dim| dim.lower.checked_add(dim.len).is_none()) {
        return Err(Error::new(
            SqlState::ProgramLimitExceeded,
            format!("array lower bound is too large: {}", dim.lower),
        ));
    }
    if count == 0 || dims.is_empty() {
        return Ok(Array::of(type_of(value), Vec::new()));
    }
    Ok(Array { element: type_of(value), dims, items: vec![value.clone(); count as usize] })
}

/// `trim_array`: without the last `n` elements of the first dimension; lower bounds become 1.
fn trimmed(array: &Array, n: i32) -> Result<Array> {
    let len = array.dims.first().map_or(0, |dim| dim.len);
    if n < 0 || n > len {
        return Err(subscript_error(format!("number of elements to trim must be between 0 and {len}")));
    }
    if n == len {
        return Ok(Array::of(array.element, Vec::new()));
    }
    let mut dims: Vec<ArrayDim> = array.dims.iter().map(|dim| ArrayDim { len: dim.len, lower: 1 }).collect();
    let row = array.items.len() / len as usize;
    dims[0].len = len - n;
    let items = array.items[..row * (len - n) as usize].to_vec();
    Ok(Array { element: array.element, dims, items })
}

/// Whether every element of `part` equals one of `whole`; NULL equals nothing.
fn contains(whole: &Array, part: &Array) -> bool {
    part.items.iter().all(|item| holds(whole, item))
}

fn overlaps(a: &Array, b: &Array) -> bool {
    a.items.iter().any(|item| holds(b, item))
}

fn holds(array: &Array, item: &Datum) -> bool {
    !item.is_null() && array.items.iter().any(|value| !value.is_null() && compare(value, item).is_eq())
}

/// `array_to_string`: NULLs are left out, or shown as `null`.
fn joined(ctx: &CallContext, array: &Array, separator: &str, null: Option<&str>) -> String {
    let (mut out, mut first) = (String::new(), true);
    for item in &array.items {
        if item.is_null() && null.is_none() {
            continue;
        }
        if !first {
            out.push_str(separator);
        }
        first = false;
        match null {
            Some(null) if item.is_null() => out.push_str(null),
            _ => text_io::output(item, Type::new(array.element), &ctx.text(), &mut out),
        }
    }
    out
}

/// `width_bucket(operand, thresholds)`: how many thresholds are not above the operand.
fn bucket(value: &Datum, thresholds: &Array) -> Result<i32> {
    if thresholds.dims.len() > 1 {
        return Err(subscript_error("thresholds must be one-dimensional array"));
    }
    if thresholds.items.iter().any(Datum::is_null) {
        return Err(Error::new(SqlState::NullValueNotAllowed, "thresholds array must not contain NULLs"));
    }
    Ok(thresholds.items.partition_point(|threshold| compare(threshold, value).is_le()) as i32)
}

fn array_unnest(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let Datum::Array(array) = &args[0] else { return not_an_array() };
    let array = array.clone();
    Ok(Box::new((0..array.items.len()).map(move |at| Ok(array.items[at].clone()))))
}

fn generate_subscripts(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let (Datum::Array(array), Datum::Int4(number)) = (&args[0], &args[1]) else { return not_an_array() };
    let Some(dim) = dimension(array, *number) else { return Ok(Box::new(std::iter::empty())) };
    let range = dim.lower..=upper(dim);
    Ok(match args.get(2) {
        Some(Datum::Bool(true)) => Box::new(range.rev().map(|at| Ok(Datum::Int4(at)))),
        _ => Box::new(range.map(|at| Ok(Datum::Int4(at)))),
    })
}

use generate_subscripts as generate_subscripts_nodir;

strict! {
    SETS:
    array_unnest = set;
    generate_subscripts = set;
    generate_subscripts_nodir = set;
    array_cat = row;
}

functions! {
    TABLE:
    raises array_append(a: Option<&Array>, b: &Datum) -> Array = extended(a, b, true);
    raises array_prepend(a: &Datum, b: Option<&Array>) -> Array = extended(b, a, false);
    safe array_length(a: &Array, b: i32) -> Option<i32> = dimension(a, b).map(|dim| dim.len);
    safe array_lower(a: &Array, b: i32) -> Option<i32> = dimension(a, b).map(|dim| dim.lower);
    safe array_upper(a: &Array, b: i32) -> Option<i32> = dimension(a, b).map(upper);
    safe array_ndims(a: &Array) -> Option<i32> = Some(a.dims.len() as i32).filter(|n| *n > 0);
    safe array_dims(a: &Array) -> Option<String> = dims_text(a);
    safe array_cardinality(a: &Array) -> i32 = a.items.len() as i32;
    raises array_position(a: Option<&Array>, b: &Datum) -> Option<i32> = array_position(a, b, i32::MIN);
    raises array_position_start(a: Option<&Array>, b: &Datum, c: Option<i32>) -> Option<i32> = array_position_from(a, b, c);
    raises array_positions(a: Option<&Array>, b: &Datum) -> Option<Array> = array_positions(a, b);
    raises array_remove(a: Option<&Array>, b: &Datum) -> Option<Array> = array_remove(a, b);
    safe array_replace(a: Option<&Array>, b: &Datum, c: &Datum) -> Option<Array> = array_replace(a, b, c);
    raises array_fill(a: &Datum, b: Option<&Array>) -> Array = array_fill(a, b, None);
    raises array_fill_with_lower_bounds(a: &Datum, b: Option<&Array>, c: Option<&Array>) -> Array = array_fill(a, b, Some(c));
    raises trim_array(a: &Array, b: i32) -> Array = trimmed(a, b);
    safe arraycontains(a: &Array, b: &Array) -> bool = contains(a, b);
    safe arraycontained(a: &Array, b: &Array) -> bool = contains(b, a);
    safe arrayoverlap(a: &Array, b: &Array) -> bool = overlaps(a, b);
    safe array_larger(a: &Array, b: &Array) -> Array = if arrays(a, b).is_gt() { a.clone() } else { b.clone() };
    safe array_smaller(a: &Array, b: &Array) -> Array = if arrays(a, b).is_lt() { a.clone() } else { b.clone() };
    safe(ctx) array_to_text(a: &Array, b: &str) -> String = joined(ctx, a, b, None);
    safe(ctx) array_to_text_null(a: Option<&Array>, b: Option<&str>, c: Option<&str>) -> Option<String> = a.zip(b).map(|(a, b)| joined(ctx, a, b, c));
    raises width_bucket_array(a: &Datum, b: &Array) -> i32 = bucket(a, b);
}
