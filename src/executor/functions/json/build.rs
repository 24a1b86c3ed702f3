//! json and jsonb of values and of texts.

use super::super::CallContext;
use super::super::inline::functions;
use super::super::macros::strict;
use super::value::{self, Typed, key_text, typed, write, write_array, write_row};
use super::{invalid, texts};
use crate::error::{Error, Result, SqlState};
use crate::types::json::quote;
use crate::types::jsonb::{Builder, Jsonb};
use crate::types::{Array, Datum, Type, oid};

/// Where the binder's types of a call's values are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypedArguments {
    /// The first argument's.
    First,
    /// Those of all, which may be the items of one VARIADIC array.
    All,
}

/// Whether a function's arguments have to come with their types (see [`super::value`]): as one row of values, one of
/// their shapes, and then the arguments that need none.
pub fn takes_types(symbol: &str) -> Option<TypedArguments> {
    match symbol {
        "to_json" | "to_jsonb" | "array_to_json" | "array_to_json_pretty" | "row_to_json" | "row_to_json_pretty" => {
            Some(TypedArguments::First)
        }
        "json_build_array" | "json_build_object" | "jsonb_build_array" | "jsonb_build_object" => {
            Some(TypedArguments::All)
        }
        _ => None,
    }
}

fn first<'a>(args: &'a [Datum]) -> Result<Option<Typed<'a>>> {
    let [values, shapes, ..] = args else { return Err(Error::internal("a function of json lacks its values")) };
    Ok(typed(values, shapes)?.first().copied().filter(|typed| !typed.value.is_null()))
}

fn json_value(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let Some(value) = first(args)? else { return Ok(Datum::Null) };
    // The last argument of the pretty forms: each on a line of its own.
    let separator = if matches!(args.get(2), Some(Datum::Bool(true))) { "\n " } else { "" };
    let mut out = String::new();
    match value.value {
        Datum::Array(array) if !separator.is_empty() => {
            let element = oid::element_of(value.ty.oid).unwrap_or(array.element);
            write_array(ctx, array, element, value.shape, separator, &mut out)?;
        }
        Datum::Record(fields) if !separator.is_empty() => {
            write_row(ctx, fields, value.ty, value.shape, separator, &mut out)?;
        }
        _ => write(ctx, value, &mut out)?,
    }
    Ok(Datum::Text(out.into()))
}

use json_value as to_json;
use json_value as array_to_json;
use json_value as array_to_json_pretty;
use json_value as row_to_json;
use json_value as row_to_json_pretty;

fn to_jsonb(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    first(args)?.map_or(Ok(Datum::Null), |typed| value::to_jsonb(ctx, typed).map(Datum::Jsonb))
}

/// The values of a call with any number of them; `None`: VARIADIC NULL.
fn values(args: &[Datum]) -> Result<Option<Vec<Typed<'_>>>> {
    let [values, shapes, variadic] = args else { return Err(Error::internal("a function of json lacks its values")) };
    let given = typed(values, shapes)?;
    if !matches!(variadic, Datum::Bool(true)) {
        return Ok(Some(given));
    }
    Ok(given.first().and_then(|array| match array.value {
        Datum::Array(items) => {
            let ty = Type::new(oid::element_of(array.ty.oid).unwrap_or(items.element));
            let ty = crate::catalog::builtin::base_type(ty);
            Some(items.items.iter().map(|value| Typed { value, ty, shape: array.shape }).collect())
        }
        _ => None,
    }))
}

fn json_build_array(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let Some(values) = values(args)? else { return Ok(Datum::Null) };
    let mut out = String::from("[");
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write(ctx, value, &mut out)?;
    }
    out.push(']');
    Ok(Datum::Text(out.into()))
}

fn jsonb_build_array(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let Some(values) = values(args)? else { return Ok(Datum::Null) };
    let items = values.into_iter().map(|typed| value::to_jsonb(ctx, typed)).collect::<Result<Vec<_>>>()?;
    array_of(&items).map(Datum::Jsonb)
}

/// An array of values.
pub(in crate::executor::functions) fn array_of(items: &[Jsonb]) -> Result<Jsonb> {
    let mut out = Builder::default();
    out.begin_array();
    items.iter().for_each(|item| out.part(item.view()));
    out.end();
    out.finish()
}

/// An object of keys and values, of one key the last.
pub(in crate::executor::functions) fn object_of(pairs: &[(String, Jsonb)]) -> Result<Jsonb> {
    let mut out = Builder::default();
    out.begin_object();
    for (key, value) in pairs {
        out.key(key.as_str());
        out.part(value.view());
    }
    out.end();
    out.finish()
}

fn check_even(values: &[Typed<'_>], function: &str) -> Result<()> {
    if values.len().is_multiple_of(2) {
        return Ok(());
    }
    Err(invalid("argument list must have even number of elements")
        .hint(format!("The arguments of {function}() must consist of alternating keys and values.")))
}

fn json_build_object(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let Some(values) = values(args)? else { return Ok(Datum::Null) };
    check_even(&values, "json_build_object")?;
    let mut out = String::from("{");
    for (at, pair) in values.chunks(2).enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        if pair[0].value.is_null() {
            return Err(invalid(format!("argument {} cannot be null", 2 * at + 1)).hint("Object keys should be text."));
        }
        quote(&key_text(ctx, pair[0])?, &mut out);
        out.push_str(" : ");
        write(ctx, pair[1], &mut out)?;
    }
    out.push('}');
    Ok(Datum::Text(out.into()))
}

fn jsonb_build_object(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let Some(values) = values(args)? else { return Ok(Datum::Null) };
    check_even(&values, "jsonb_build_object")?;
    let mut pairs = Vec::with_capacity(values.len() / 2);
    for (at, pair) in values.chunks(2).enumerate() {
        if pair[0].value.is_null() {
            return Err(invalid(format!("argument {}: key must not be null", 2 * at + 1)));
        }
        pairs.push((key_text(ctx, pair[0])?, value::to_jsonb(ctx, pair[1])?));
    }
    object_of(&pairs).map(Datum::Jsonb)
}

fn null_key() -> Error {
    Error::new(SqlState::NullValueNotAllowed, "null value not allowed for object key")
}

fn array_error(message: &str) -> Error {
    Error::new(SqlState::ArraySubscriptError, message)
}

/// Keys and values in turn, in one list or in rows of two.
fn pairs_of(array: &Array) -> Result<Vec<(&str, Option<&str>)>> {
    match &array.dims[..] {
        [] => {}
        [dim] if dim.len % 2 == 0 => {}
        [_] => return Err(array_error("array must have even number of elements")),
        [_, dim] if dim.len == 2 => {}
        [_, _] => return Err(array_error("array must have two columns")),
        _ => return Err(array_error("wrong number of array subscripts")),
    }
    texts(array).chunks_exact(2).map(|pair| Ok((pair[0].ok_or_else(null_key)?, pair[1]))).collect()
}

fn zipped<'a>(keys: &'a Array, values: &'a Array) -> Result<Vec<(&'a str, Option<&'a str>)>> {
    if keys.dims.len() > 1 || keys.dims.len() != values.dims.len() {
        return Err(array_error("wrong number of array subscripts"));
    }
    if keys.items.len() != values.items.len() {
        return Err(array_error("mismatched array dimensions"));
    }
    texts(keys).into_iter().zip(texts(values)).map(|(key, value)| Ok((key.ok_or_else(null_key)?, value))).collect()
}

fn json_of_texts(pairs: &[(&str, Option<&str>)]) -> String {
    let mut out = String::from("{");
    for (at, (key, value)) in pairs.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        quote(key, &mut out);
        out.push_str(" : ");
        match value {
            Some(value) => quote(value, &mut out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    out
}

fn jsonb_of_texts(pairs: &[(&str, Option<&str>)]) -> Result<Jsonb> {
    let mut out = Builder::default();
    out.begin_object();
    for (key, value) in pairs {
        out.key(*key);
        match value {
            Some(value) => out.text(*value),
            None => out.null(),
        }
    }
    out.end();
    out.finish()
}

fn empty_object(_: &CallContext, _: &[Datum]) -> Result<Datum> {
    object_of(&[]).map(Datum::Jsonb)
}

fn empty_array(_: &CallContext, _: &[Datum]) -> Result<Datum> {
    array_of(&[]).map(Datum::Jsonb)
}

use empty_array as jsonb_build_array_noargs;
use empty_object as jsonb_build_object_noargs;

strict! {
    ROWS:
    to_json = row;
    to_jsonb = row;
    array_to_json = row;
    array_to_json_pretty = row;
    row_to_json = row;
    row_to_json_pretty = row;
    json_build_array = row;
    jsonb_build_array = row;
    jsonb_build_array_noargs = row;
    json_build_object = row;
    jsonb_build_object = row;
    jsonb_build_object_noargs = row;
}

functions! {
    TABLE:
    safe json_build_array_noargs() -> &str = "[]";
    safe json_build_object_noargs() -> &str = "{}";
    raises json_object(a: &Array) -> String = pairs_of(a).map(|pairs| json_of_texts(&pairs));
    raises json_object_two_arg(a: &Array, b: &Array) -> String = zipped(a, b).map(|pairs| json_of_texts(&pairs));
    raises jsonb_object(a: &Array) -> Jsonb = pairs_of(a).and_then(|pairs| jsonb_of_texts(&pairs));
    raises jsonb_object_two_arg(a: &Array, b: &Array) -> Jsonb = zipped(a, b).and_then(|pairs| jsonb_of_texts(&pairs));
}
