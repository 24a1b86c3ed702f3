//! What is in a json value: pieces of its text by key, subscript and path.

use super::super::inline::functions;
use super::index::{Index, Kind};
use super::{invalid, subscript, texts};
use crate::error::Result;
use crate::types::json::{Strings, quote};
use crate::types::jsonb::deep;
use crate::types::{Array, Text};

/// A part as it is written, or its text.
fn part(json: &str, as_text: bool, find: impl Fn(&Index<'_>) -> Option<usize>) -> Result<Option<Text>> {
    let index = Index::of(json, Strings::Text)?;
    Ok(find(&index).and_then(|at| if as_text { index.text(at) } else { Some(index.source(at)) }).map(Text::new))
}

fn at_path(json: &str, path: &Array, as_text: bool) -> Result<Option<Text>> {
    let Some(steps) = texts(path).into_iter().collect::<Option<Vec<&str>>>() else { return Ok(None) };
    part(json, as_text, |index| {
        steps.iter().try_fold(0, |at, step| match index.kind(at) {
            Kind::Object => index.field(at, step),
            Kind::Array => index.item(at, subscript(step)?),
            _ => None,
        })
    })
}

fn length(json: &str) -> Result<i32> {
    let index = Index::of(json, Strings::Raw)?;
    match index.kind(0) {
        Kind::Array => Ok(index.inner(0).count() as i32),
        Kind::Object => Err(invalid("cannot get array length of a non-array")),
        _ => Err(invalid("cannot get array length of a scalar")),
    }
}

fn kind_of(json: &str) -> &'static str {
    match json.trim_start_matches([' ', '\t', '\n', '\r']).as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// Without pairs that are null; written anew without blanks.
fn without_nulls(json: &str) -> Result<String> {
    fn put(index: &Index<'_>, at: usize, out: &mut String) {
        let brackets = match index.kind(at) {
            Kind::Text(text) => return quote(text, out),
            Kind::Array => ['[', ']'],
            Kind::Object => ['{', '}'],
            _ => return out.push_str(index.source(at)),
        };
        out.push(brackets[0]);
        let start = out.len();
        for (key, value) in
            index.inner(at).filter(|(key, value)| key.is_none() || !matches!(index.kind(*value), Kind::Null))
        {
            if out.len() > start {
                out.push(',');
            }
            if let Some(key) = key {
                quote(key, out);
                out.push(':');
            }
            deep(|| put(index, value, out));
        }
        out.push(brackets[1]);
    }
    let index = Index::of(json, Strings::Text)?;
    let mut out = String::with_capacity(json.len());
    put(&index, 0, &mut out);
    Ok(out)
}

functions! {
    TABLE:
    raises json_object_field(a: &str, b: &str) -> Option<Text> = part(a, false, |index| index.field(0, b));
    raises json_object_field_text(a: &str, b: &str) -> Option<Text> = part(a, true, |index| index.field(0, b));
    raises json_array_element(a: &str, b: i32) -> Option<Text> = part(a, false, |index| index.item(0, b));
    raises json_array_element_text(a: &str, b: i32) -> Option<Text> = part(a, true, |index| index.item(0, b));
    raises json_extract_path(a: &str, b: &Array) -> Option<Text> = at_path(a, b, false);
    raises json_extract_path_text(a: &str, b: &Array) -> Option<Text> = at_path(a, b, true);
    raises json_array_length(a: &str) -> i32 = length(a);
    safe json_typeof(a: &str) -> &str = kind_of(a);
    raises json_strip_nulls(a: &str) -> String = without_nulls(a);
}
