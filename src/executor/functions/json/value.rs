//! Values of any type as json (PostgreSQL's `datum_to_json`).
//!
//! What a value becomes hangs on its type, and what a row becomes on the names of its columns. Neither is in a value, so the
//! binder hands both over: values come as the fields of one row value, which name their types, with a *shape* for each, a
//! constant that names the columns of rows (see [`shape`]).

use super::super::CallContext;
use super::invalid;
use crate::error::{Error, Result};
use crate::types::json::quote;
use crate::types::jsonb::{self, Builder, Jsonb, deep};
use crate::types::{Array, ArrayDim, Datum, Oid, Type, oid, text_io};

/// A shape of these columns, each with the shape of its own rows: a row value of name after name, each with its shape.
pub fn shape(columns: Vec<(String, Option<Datum>)>) -> Datum {
    let pair = |(name, inner): (String, Option<Datum>)| {
        [(Type::new(oid::TEXT), Datum::Text(name.into())), (Type::new(oid::RECORD), inner.unwrap_or_default())]
    };
    Datum::Record(columns.into_iter().flat_map(pair).collect())
}

/// A value with what is known of it.
#[derive(Clone, Copy)]
pub(in crate::executor::functions) struct Typed<'a> {
    pub value: &'a Datum,
    pub ty: Type,
    pub shape: &'a Datum,
}

/// The values that the binder has put into one row, with their shapes in another.
pub(super) fn typed<'a>(values: &'a Datum, shapes: &'a Datum) -> Result<Vec<Typed<'a>>> {
    let (Datum::Record(values), Datum::Record(shapes)) = (values, shapes) else {
        return Err(Error::internal("a function of json was called without its values' types"));
    };
    let typed = |(at, (ty, value)): (usize, &'a (Type, Datum))| Typed {
        value,
        ty: crate::catalog::builtin::base_type(*ty),
        shape: shapes.get(at).map_or(&Datum::Null, |shape| &shape.1),
    };
    Ok(values.iter().enumerate().map(typed).collect())
}

/// How a type is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Number,
    Date,
    Json,
    Jsonb,
    Array(Oid),
    Row,
    Other,
}

fn kind_of(ty: Oid, value: &Datum) -> Kind {
    match ty {
        oid::BOOL => Kind::Bool,
        oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 | oid::NUMERIC => Kind::Number,
        oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ => Kind::Date,
        oid::JSON => Kind::Json,
        oid::JSONB => Kind::Jsonb,
        _ => match value {
            Datum::Array(array) => Kind::Array(oid::element_of(ty).unwrap_or(array.element)),
            Datum::Record(_) => Kind::Row,
            _ => Kind::Other,
        },
    }
}

/// Whether json_agg writes values of a type on lines of their own.
pub(in crate::executor::functions) fn is_structured(ty: Oid) -> bool {
    crate::catalog::builtin::element_of(ty).is_some() || matches!(ty, oid::RECORD | oid::INT2VECTOR | oid::OIDVECTOR)
}

fn text_of(ctx: &CallContext, value: &Datum, ty: Type) -> String {
    let mut text = String::new();
    text_io::output(value, ty, &ctx.text(), &mut text);
    text
}

/// A date or time as ISO 8601 has it, whatever DateStyle says.
fn date_text(ctx: &CallContext, value: &Datum, ty: Type) -> String {
    let mut context = ctx.text();
    let format = crate::types::format::FormatSettings { date_style: Default::default(), ..*context.format };
    context.format = &format;
    let mut text = String::new();
    text_io::output(value, ty, &context, &mut text);
    let Some((date, time)) = text.split_once(' ').filter(|(_, time)| *time != "BC") else { return text };
    let (time, era) = time.split_once(' ').map_or((time, ""), |(time, _)| (time, " BC"));
    let minutes = match time.rfind(['+', '-']) {
        Some(at) if !time[at..].contains(':') => ":00",
        _ => "",
    };
    format!("{date}T{time}{minutes}{era}")
}

/// NaN and the infinities are numbers, but none of json.
fn is_json_number(text: &str) -> bool {
    text.strip_prefix('-').unwrap_or(text).starts_with(|c: char| c.is_ascii_digit())
}

/// Appends a value as json.
pub(in crate::executor::functions) fn write(ctx: &CallContext, typed: Typed<'_>, out: &mut String) -> Result<()> {
    let Typed { value, ty, shape } = typed;
    if value.is_null() {
        out.push_str("null");
        return Ok(());
    }
    match (kind_of(ty.oid, value), value) {
        (Kind::Bool, Datum::Bool(value)) => out.push_str(if *value { "true" } else { "false" }),
        (Kind::Number, _) => {
            let text = text_of(ctx, value, ty);
            if is_json_number(&text) { out.push_str(&text) } else { quote(&text, out) }
        }
        (Kind::Date, _) => quote(&date_text(ctx, value, ty), out),
        (Kind::Json | Kind::Jsonb, _) => text_io::output(value, ty, &ctx.text(), out),
        (Kind::Array(element), Datum::Array(array)) => return write_array(ctx, array, element, shape, "", out),
        (Kind::Row, Datum::Record(fields)) => return write_row(ctx, fields, ty, shape, "", out),
        _ => quote(&text_of(ctx, value, ty), out),
    }
    Ok(())
}

/// Appends an array; `separator` stands before further items of the outermost dimension.
pub(super) fn write_array(
    ctx: &CallContext,
    array: &Array,
    element: Oid,
    shape: &Datum,
    separator: &str,
    out: &mut String,
) -> Result<()> {
    let ty = crate::catalog::builtin::base_type(Type::new(element));
    let mut items = array.items.iter();
    let mut item = |out: &mut String| match items.next() {
        Some(value) => deep(|| write(ctx, Typed { value, ty, shape }, out)),
        None => Ok(()),
    };
    if array.dims.is_empty() {
        out.push_str("[]");
        return Ok(());
    }
    write_dimension(&array.dims, separator, &mut item, out)
}

fn write_dimension(
    dims: &[ArrayDim],
    separator: &str,
    item: &mut dyn FnMut(&mut String) -> Result<()>,
    out: &mut String,
) -> Result<()> {
    let Some((dim, inner)) = dims.split_first() else { return item(out) };
    out.push('[');
    for at in 0..dim.len {
        if at > 0 {
            out.push(',');
            out.push_str(separator);
        }
        write_dimension(inner, "", item, out)?;
    }
    out.push(']');
    Ok(())
}

/// Appends a row; `separator` stands before further columns.
pub(super) fn write_row(
    ctx: &CallContext,
    fields: &[(Type, Datum)],
    ty: Type,
    shape: &Datum,
    separator: &str,
    out: &mut String,
) -> Result<()> {
    out.push('{');
    for (at, (name, inner)) in columns(ctx, ty, shape, fields.len())?.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
            out.push_str(separator);
        }
        quote(&name, out);
        out.push(':');
        let (ty, value) = &fields[at];
        let ty = crate::catalog::builtin::base_type(*ty);
        deep(|| write(ctx, Typed { value, ty, shape: &inner }, out))?;
    }
    out.push('}');
    Ok(())
}

/// Names and shapes of a row's columns: by its shape, or by its type.
fn columns(ctx: &CallContext, ty: Type, shape: &Datum, count: usize) -> Result<Vec<(String, Datum)>> {
    let known: Vec<(String, Datum)> = match shape {
        Datum::Record(pairs) => {
            let (pairs, _) = pairs.as_chunks::<2>();
            pairs.iter().map(|[name, inner]| (text_of(ctx, &name.1, name.0), inner.1.clone())).collect()
        }
        _ => match ctx.host.catalog().relation_of_row_type(ty.oid) {
            Some(relation) => relation.live_attributes().map(|column| (column.name.clone(), Datum::Null)).collect(),
            None => Vec::new(),
        },
    };
    match known.len() == count {
        true => Ok(known),
        false => Err(Error::unsupported("json of a row whose columns' names are not known where it is made")),
    }
}

/// A value as jsonb.
///
/// # Errors
/// As its text's, where its type is json.
pub(in crate::executor::functions) fn to_jsonb(ctx: &CallContext, typed: Typed<'_>) -> Result<Jsonb> {
    let mut scalar = Builder::default();
    match (typed.value, kind_of(typed.ty.oid, typed.value)) {
        (Datum::Jsonb(value), _) => return Ok(value.clone()),
        (Datum::Null, _) => scalar.null(),
        (Datum::Bool(value), Kind::Bool) => scalar.bool(*value),
        (Datum::Int4(value), Kind::Number) => scalar.number((*value).into()),
        (Datum::Int8(value), Kind::Number) => scalar.number((*value).into()),
        (Datum::Numeric(value), Kind::Number) if value.is_finite() => scalar.number(value.clone()),
        (_, Kind::Other) => scalar.text(text_of(ctx, typed.value, typed.ty)),
        _ => {
            let mut text = String::new();
            write(ctx, typed, &mut text)?;
            return jsonb::parse(&text);
        }
    }
    scalar.finish()
}

/// A key's text.
///
/// # Errors
/// 22023 for what is no scalar.
pub(in crate::executor::functions) fn key_text(ctx: &CallContext, typed: Typed<'_>) -> Result<String> {
    Ok(match kind_of(typed.ty.oid, typed.value) {
        Kind::Bool => if matches!(typed.value, Datum::Bool(true)) { "true" } else { "false" }.to_owned(),
        Kind::Date => date_text(ctx, typed.value, typed.ty),
        Kind::Number | Kind::Other => text_of(ctx, typed.value, typed.ty),
        _ => return Err(invalid("key value must be scalar, not array, composite, or json")),
    })
}
