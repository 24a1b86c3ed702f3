//! What is in a jsonb value: parts by key, subscript and path, existence, containment.

use super::super::inline::functions;
use super::{invalid, subscript, texts};
use crate::error::Result;
use crate::types::jsonb::{Node, View, deep, pretty};
use crate::types::{Array, Text};

/// The text of a part: a string's own, NULL for null.
pub(super) fn part_text(part: View<'_>) -> Option<Text> {
    match part.node() {
        Node::Null => None,
        Node::Text(text) => Some(text.into()),
        _ => Some(part.to_string().into()),
    }
}

fn field<'a>(value: View<'a>, key: &str) -> Option<View<'a>> {
    value.as_object()?.get(key)
}

/// A whole value that is a scalar passes for an array of it, as in PostgreSQL.
fn item(value: View<'_>, at: i32) -> Option<View<'_>> {
    match value.as_array() {
        Some(items) => items.at(at),
        None => Some(value).filter(|value| value.is_scalar() && matches!(at, 0 | -1)),
    }
}

/// The part at the end of a path; NULL among its steps is NULL.
fn at_path<'a>(value: View<'a>, path: &Array) -> Option<View<'a>> {
    texts(path).into_iter().collect::<Option<Vec<_>>>()?.into_iter().try_fold(value, |value, step| {
        match (value.as_object(), value.as_array()) {
            (Some(pairs), _) => pairs.get(step),
            (_, Some(items)) => items.at(subscript(step)?),
            _ => None,
        }
    })
}

fn length(value: View<'_>) -> Result<i32> {
    match value.as_array() {
        Some(items) => Ok(items.len() as i32),
        None if value.is_scalar() => Err(invalid("cannot get array length of a scalar")),
        None => Err(invalid("cannot get array length of a non-array")),
    }
}

/// Whether a text is a key, an item, or the value itself.
fn exists(value: View<'_>, text: &str) -> bool {
    let is = |part: View<'_>| matches!(part.node(), Node::Text(own) if own == text);
    match value.node() {
        Node::Object(pairs) => pairs.get(text).is_some(),
        Node::Array(items) => items.iter().any(is),
        _ => is(value),
    }
}

/// `@>`: PostgreSQL's `JsonbDeepContains`.
fn contains(whole: View<'_>, part: View<'_>) -> bool {
    match (whole.as_object(), part.as_object()) {
        (Some(whole), Some(part)) => part.iter().all(|(key, part)| {
            whole.get(key).is_some_and(|value| match value.is_scalar() || part.is_scalar() {
                true => value.key() == part.key(),
                false => deep(|| contains(value, part)),
            })
        }),
        (None, None) if whole.is_scalar() => part.is_scalar() && whole.key() == part.key(),
        (None, None) => {
            let Some(items) = whole.as_array() else { return false };
            let has = |part: View<'_>| match part.is_scalar() {
                true => items.iter().any(|item| item.key() == part.key()),
                false => items.iter().any(|item| !item.is_scalar() && deep(|| contains(item, part))),
            };
            match part.as_array() {
                Some(parts) => parts.iter().all(has),
                None => has(part),
            }
        }
        _ => false,
    }
}

functions! {
    TABLE:
    safe jsonb_object_field(a: View<'_>, b: &str) -> Option<View<'_>> = field(a, b);
    safe jsonb_object_field_text(a: View<'_>, b: &str) -> Option<Text> = field(a, b).and_then(part_text);
    safe jsonb_array_element(a: View<'_>, b: i32) -> Option<View<'_>> = item(a, b);
    safe jsonb_array_element_text(a: View<'_>, b: i32) -> Option<Text> = item(a, b).and_then(part_text);
    safe jsonb_extract_path(a: View<'_>, b: &Array) -> Option<View<'_>> = at_path(a, b);
    safe jsonb_extract_path_text(a: View<'_>, b: &Array) -> Option<Text> = at_path(a, b).and_then(part_text);
    safe jsonb_exists(a: View<'_>, b: &str) -> bool = exists(a, b);
    safe jsonb_exists_any(a: View<'_>, b: &Array) -> bool = texts(b).into_iter().flatten().any(|text| exists(a, text));
    safe jsonb_exists_all(a: View<'_>, b: &Array) -> bool = texts(b).into_iter().flatten().all(|text| exists(a, text));
    safe jsonb_contains(a: View<'_>, b: View<'_>) -> bool = contains(a, b);
    safe jsonb_contained(a: View<'_>, b: View<'_>) -> bool = contains(b, a);
    raises jsonb_array_length(a: View<'_>) -> i32 = length(a);
    safe jsonb_typeof(a: View<'_>) -> &str = a.kind();
    safe jsonb_pretty(a: View<'_>) -> String = pretty(a);
}
