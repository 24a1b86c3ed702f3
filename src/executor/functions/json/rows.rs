//! Sets of keys, items and pairs.

use super::super::macros::strict;
use super::super::{CallContext, Rows};
use super::index::{Index, Kind};
use super::invalid;
use super::read::part_text;
use crate::error::{Error, Result};
use crate::types::json::Strings;
use crate::types::jsonb::{Items, Jsonb, Pairs, View};
use crate::types::{Datum, Oid, Text, Type, oid};

fn jsonb(args: &[Datum]) -> Result<Jsonb> {
    match args {
        [Datum::Jsonb(value)] => Ok(value.clone()),
        other => Err(Error::internal(format!("a function of jsonb was called with {other:?}"))),
    }
}

fn pairs_of<'a>(value: &'a Jsonb, function: &str) -> Result<Pairs<'a>> {
    value.view().as_object().ok_or_else(|| invalid(format!("cannot call {function} on a non-object")))
}

fn items_of(value: &Jsonb) -> Result<Items<'_>> {
    let view = value.view();
    view.as_array().ok_or_else(|| {
        invalid(match view.is_scalar() {
            true => "cannot extract elements from a scalar",
            false => "cannot extract elements from an object",
        })
    })
}

fn text(value: Option<Text>) -> Datum {
    value.map_or(Datum::Null, Datum::Text)
}

fn pair(key: &str, ty: Oid, value: Datum) -> Datum {
    let key = (Type::new(oid::TEXT), Datum::Text(key.into()));
    Datum::Record([key, (Type::new(ty), value)].into())
}

/// The rows of a value that is kept, by number, one at a time.
fn each(value: Jsonb, count: usize, row: fn(View<'_>, usize) -> Option<Datum>) -> Result<Rows> {
    Ok(Box::new((0..count).filter_map(move |at| row(value.view(), at).map(Ok))))
}

fn jsonb_object_keys(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let value = jsonb(args)?;
    let Some(pairs) = value.view().as_object() else {
        let kind = if value.view().is_scalar() { "a scalar" } else { "an array" };
        return Err(invalid(format!("cannot call jsonb_object_keys on {kind}")));
    };
    let count = pairs.len();
    each(value, count, |value, at| Some(Datum::Text(value.as_object()?.key(at).into())))
}

fn jsonb_each(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let value = jsonb(args)?;
    let count = pairs_of(&value, "jsonb_each")?.len();
    each(value, count, |value, at| {
        let pairs = value.as_object()?;
        Some(pair(pairs.key(at), oid::JSONB, Datum::Jsonb(pairs.value(at)?.to_jsonb())))
    })
}

fn jsonb_each_text(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let value = jsonb(args)?;
    let count = pairs_of(&value, "jsonb_each_text")?.len();
    each(value, count, |value, at| {
        let pairs = value.as_object()?;
        Some(pair(pairs.key(at), oid::TEXT, text(part_text(pairs.value(at)?))))
    })
}

fn jsonb_array_elements(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let value = jsonb(args)?;
    let count = items_of(&value)?.len();
    each(value, count, |value, at| Some(Datum::Jsonb(value.as_array()?.get(at)?.to_jsonb())))
}

fn jsonb_array_elements_text(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let value = jsonb(args)?;
    let count = items_of(&value)?.len();
    each(value, count, |value, at| Some(text(part_text(value.as_array()?.get(at)?))))
}

/// The rows of a json text, made at once: they are pieces of it.
fn json_rows(
    args: &[Datum],
    check: impl Fn(&Kind<'_>) -> Result<()>,
    row: impl Fn(&Index<'_>, Option<&str>, usize) -> Datum,
) -> Result<Rows> {
    let [Datum::Text(json)] = args else {
        return Err(Error::internal(format!("a function of json was called with {args:?}")));
    };
    let index = Index::of(json, Strings::Text)?;
    check(index.kind(0))?;
    let rows: Vec<Datum> = index.inner(0).map(|(key, value)| row(&index, key, value)).collect();
    Ok(Box::new(rows.into_iter().map(Ok)))
}

fn json_object_keys(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let check = |kind: &Kind<'_>| match kind {
        Kind::Object => Ok(()),
        Kind::Array => Err(invalid("cannot call json_object_keys on an array")),
        _ => Err(invalid("cannot call json_object_keys on a scalar")),
    };
    json_rows(args, check, |_, key, _| Datum::Text(key.unwrap_or_default().into()))
}

fn an_object(kind: &Kind<'_>) -> Result<()> {
    match kind {
        Kind::Object => Ok(()),
        Kind::Array => Err(invalid("cannot deconstruct an array as an object")),
        _ => Err(invalid("cannot deconstruct a scalar")),
    }
}

fn json_each(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    json_rows(args, an_object, |index, key, value| {
        pair(key.unwrap_or_default(), oid::JSON, Datum::Text(index.source(value).into()))
    })
}

fn json_each_text(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    json_rows(args, an_object, |index, key, value| {
        pair(key.unwrap_or_default(), oid::TEXT, text(index.text(value).map(Text::new)))
    })
}

fn an_array(kind: &Kind<'_>, function: &str) -> Result<()> {
    match kind {
        Kind::Array => Ok(()),
        Kind::Object => Err(invalid(format!("cannot call {function} on a non-array"))),
        _ => Err(invalid(format!("cannot call {function} on a scalar"))),
    }
}

fn json_array_elements(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let check = |kind: &Kind<'_>| an_array(kind, "json_array_elements");
    json_rows(args, check, |index, _, value| Datum::Text(index.source(value).into()))
}

fn json_array_elements_text(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let check = |kind: &Kind<'_>| an_array(kind, "json_array_elements_text");
    json_rows(args, check, |index, _, value| text(index.text(value).map(Text::new)))
}

strict! {
    SETS:
    jsonb_object_keys = set;
    jsonb_each = set;
    jsonb_each_text = set;
    jsonb_array_elements = set;
    jsonb_array_elements_text = set;
    json_object_keys = set;
    json_each = set;
    json_each_text = set;
    json_array_elements = set;
    json_array_elements_text = set;
}
