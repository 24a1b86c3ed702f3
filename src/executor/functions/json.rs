//! Building json texts of plain values: `json_build_object` and `json_build_array`.
//!
//! A value does not know its type, so the binder lets only booleans, numbers and texts in. The rest of json is absent.

use super::CallContext;
use super::macros::strict;
use crate::error::{Error, Result, SqlState};
use crate::types::{Datum, Oid, Type, oid, text_io};

/// The types that the functions here take.
pub fn is_plain(ty: Oid) -> bool {
    matches!(
        ty,
        oid::BOOL
            | oid::INT2
            | oid::INT4
            | oid::INT8
            | oid::FLOAT4
            | oid::FLOAT8
            | oid::NUMERIC
            | oid::TEXT
            | oid::VARCHAR
            | oid::NAME
            | oid::UNKNOWN
    )
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn text_of(ctx: &CallContext, value: &Datum) -> String {
    let mut text = String::new();
    text_io::output(value, Type::new(oid::TEXT), &ctx.text(), &mut text);
    text
}

fn value_out(ctx: &CallContext, value: &Datum, out: &mut String) {
    match value {
        Datum::Null => out.push_str("null"),
        Datum::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Datum::Text(text) | Datum::Padded(text) => quoted(text, out),
        number => {
            let text = text_of(ctx, number);
            // NaN and the infinities are no json numbers.
            if text.ends_with(|c: char| c.is_ascii_digit()) { out.push_str(&text) } else { quoted(&text, out) }
        }
    }
}

fn json_build_object(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    if !args.len().is_multiple_of(2) {
        let message = "argument list must have even number of elements";
        return Err(Error::new(SqlState::InvalidParameterValue, message)
            .hint("The arguments of json_build_object() must consist of alternating keys and values."));
    }
    let mut out = String::from("{");
    for (at, pair) in args.chunks(2).enumerate() {
        if pair[0].is_null() {
            let message = format!("argument {} cannot be null", 2 * at + 1);
            return Err(Error::new(SqlState::InvalidParameterValue, message).hint("Object keys should be text."));
        }
        if at > 0 {
            out.push_str(", ");
        }
        quoted(&text_of(ctx, &pair[0]), &mut out);
        out.push_str(" : ");
        value_out(ctx, &pair[1], &mut out);
    }
    out.push('}');
    Ok(Datum::Text(out.into()))
}

fn json_build_array(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let mut out = String::from("[");
    for (at, value) in args.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        value_out(ctx, value, &mut out);
    }
    out.push(']');
    Ok(Datum::Text(out.into()))
}

use json_build_array as json_build_array_noargs;
use json_build_object as json_build_object_noargs;

strict! {
    TABLE:
    json_build_object_noargs = row;
    json_build_array_noargs = row;
    json_build_object = row;
    json_build_array = row;
}
