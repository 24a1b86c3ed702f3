//! jsonb with a part set, put in or taken out, and joined values (PostgreSQL's `setPath` and its callers).

use super::super::CallContext;
use super::super::inline::functions;
use super::super::macros::strict;
use super::{invalid, subscript, texts};
use crate::error::{Error, Result, SqlState};
use crate::types::jsonb::{Builder, Jsonb, View, deep};
use crate::types::{Array, Datum};

/// What is done at the end of a path.
#[derive(Clone, Copy, Debug)]
enum Change<'a> {
    Delete,
    /// `create`: where there is nothing yet, too.
    Set {
        value: View<'a>,
        create: bool,
    },
    Insert {
        value: View<'a>,
        after: bool,
    },
}

impl<'a> Change<'a> {
    /// What is put where there is nothing yet.
    fn created(self) -> Option<View<'a>> {
        match self {
            Change::Delete | Change::Set { create: false, .. } => None,
            Change::Set { value, .. } | Change::Insert { value, .. } => Some(value),
        }
    }
}

fn path_of(array: &Array) -> Result<Vec<Option<&str>>> {
    if array.dims.len() > 1 {
        return Err(Error::new(SqlState::ArraySubscriptError, "wrong number of array subscripts"));
    }
    Ok(texts(array))
}

fn changed<'a>(whole: View<'a>, path: &'a Array, change: Change<'a>) -> Result<Jsonb> {
    let path = path_of(path)?;
    if whole.is_scalar() {
        let what = if matches!(change, Change::Delete) { "delete" } else { "set" };
        return Err(invalid(format!("cannot {what} path in scalar")));
    }
    if path.is_empty() || whole.is_empty() && change.created().is_none() {
        return Ok(whole.to_jsonb());
    }
    let mut out = Builder::default();
    put_changed(whole, &path, 0, change, &mut out)?;
    out.finish()
}

/// Puts a value out with the change at the end of the path, whose steps up to `level` have been taken.
fn put_changed<'a>(
    value: View<'a>,
    path: &[Option<&'a str>],
    level: usize,
    change: Change<'a>,
    out: &mut Builder<'a>,
) -> Result<()> {
    let Some(step) = path[level] else {
        let message = format!("path element at position {} is null", level + 1);
        return Err(Error::new(SqlState::NullValueNotAllowed, message));
    };
    let last = level + 1 == path.len();
    let inner = |value: View<'a>, out: &mut Builder<'a>| deep(|| put_changed(value, path, level + 1, change, out));
    if let Some(pairs) = value.as_object() {
        out.begin_object();
        for (key, value) in pairs.iter() {
            if key != step {
                out.key(key);
                out.part(value);
            } else if !last {
                out.key(key);
                inner(value, out)?;
            } else if let Change::Insert { .. } = change {
                return Err(invalid("cannot replace existing key")
                    .hint("Try using the function jsonb_set to replace key value."));
            } else if let Change::Set { value, .. } = change {
                out.key(key);
                out.part(value);
            }
        }
        if let Some(value) = change.created().filter(|_| last && pairs.get(step).is_none()) {
            out.key(step);
            out.part(value);
        }
        out.end();
        return Ok(());
    }
    let Some(items) = value.as_array() else {
        out.part(value);
        return Ok(());
    };
    let Some(at) = subscript(step) else {
        let message = format!("path element at position {} is not an integer: \"{step}\"", level + 1);
        return Err(Error::new(SqlState::InvalidTextRepresentation, message));
    };
    let at = i64::from(at) + if at < 0 { items.len() as i64 } else { 0 };
    let created = change.created().filter(|_| last && !(0..items.len() as i64).contains(&at));
    out.begin_array();
    created.filter(|_| at < 0).into_iter().for_each(|value| out.part(value));
    for (number, item) in items.iter().enumerate() {
        match change {
            _ if number as i64 != at => out.part(item),
            _ if !last => inner(item, out)?,
            Change::Delete => {}
            Change::Set { value, .. } => out.part(value),
            Change::Insert { value, after } => {
                let (first, second) = if after { (item, value) } else { (value, item) };
                out.part(first);
                out.part(second);
            }
        }
    }
    created.filter(|_| at >= 0).into_iter().for_each(|value| out.part(value));
    out.end();
    Ok(())
}

/// `||`
fn concatenated(a: View<'_>, b: View<'_>) -> Result<Jsonb> {
    let mut out = Builder::default();
    if let (Some(a), Some(b)) = (a.as_object(), b.as_object()) {
        out.begin_object();
        for (key, value) in a.iter().chain(b.iter()) {
            out.key(key);
            out.part(value);
        }
    } else {
        out.begin_array();
        for side in [a, b] {
            match side.as_array() {
                Some(items) => items.iter().for_each(|item| out.part(item)),
                None => out.part(side),
            }
        }
    }
    out.end();
    out.finish()
}

/// Without the pairs of these keys, or the items that are these texts.
fn without(value: View<'_>, keys: &[&str]) -> Result<Jsonb> {
    let mut out = Builder::default();
    if let Some(pairs) = value.as_object() {
        out.begin_object();
        for (key, value) in pairs.iter().filter(|(key, _)| !keys.contains(key)) {
            out.key(key);
            out.part(value);
        }
    } else if let Some(items) = value.as_array() {
        out.begin_array();
        items
            .iter()
            .filter(|item| item.as_text().is_none_or(|text| !keys.contains(&text)))
            .for_each(|item| out.part(item));
    } else {
        return Err(invalid("cannot delete from scalar"));
    }
    out.end();
    out.finish()
}

fn without_item(value: View<'_>, at: i32) -> Result<Jsonb> {
    let Some(items) = value.as_array() else {
        return Err(invalid(match value.is_scalar() {
            true => "cannot delete from scalar",
            false => "cannot delete from object using integer index",
        }));
    };
    let at = i64::from(at) + if at < 0 { items.len() as i64 } else { 0 };
    let mut out = Builder::default();
    out.begin_array();
    items.iter().enumerate().filter(|(number, _)| *number as i64 != at).for_each(|(_, item)| out.part(item));
    out.end();
    out.finish()
}

fn without_nulls(value: View<'_>) -> Result<Jsonb> {
    fn put<'a>(value: View<'a>, out: &mut Builder<'a>) {
        if let Some(pairs) = value.as_object() {
            out.begin_object();
            for (key, value) in pairs.iter().filter(|(_, value)| !value.is_null()) {
                out.key(key);
                deep(|| put(value, out));
            }
            out.end();
        } else if let Some(items) = value.as_array() {
            out.begin_array();
            items.iter().for_each(|item| deep(|| put(item, out)));
            out.end();
        } else {
            out.part(value);
        }
    }
    let mut out = Builder::default();
    put(value, &mut out);
    out.finish()
}

/// `jsonb_set_lax`: what a NULL for the new value means is an argument.
fn jsonb_set_lax(_: &CallContext, args: &[Datum]) -> Result<Datum> {
    let [whole, path, value, create, treatment] = args else {
        return Err(Error::internal("jsonb_set_lax was called with too few arguments"));
    };
    let (Datum::Jsonb(whole), Datum::Array(path), Datum::Bool(create)) = (whole, path, create) else {
        return Ok(Datum::Null);
    };
    let unknown = || {
        invalid(
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
        )
    };
    let Datum::Text(treatment) = treatment else { return Err(unknown()) };
    let view = whole.view();
    if let Datum::Jsonb(value) = value {
        return changed(view, path, Change::Set { value: value.view(), create: *create }).map(Datum::Jsonb);
    }
    match treatment.as_str() {
        "raise_exception" => Err(Error::new(SqlState::NullValueNotAllowed, "JSON value must not be null")
            .detail("Exception was raised because null_value_treatment is \"raise_exception\".")
            .hint(
                "To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.",
            )),
        "use_json_null" => {
            let mut null = Builder::default();
            null.null();
            let null = null.finish()?;
            changed(view, path, Change::Set { value: null.view(), create: *create }).map(Datum::Jsonb)
        }
        "delete_key" => changed(view, path, Change::Delete).map(Datum::Jsonb),
        "return_target" => Ok(Datum::Jsonb(whole.clone())),
        _ => Err(unknown()),
    }
}

strict! {
    ROWS:
    jsonb_set_lax = row;
}

functions! {
    TABLE:
    raises jsonb_concat(a: View<'_>, b: View<'_>) -> Jsonb = concatenated(a, b);
    raises jsonb_delete(a: View<'_>, b: &str) -> Jsonb = without(a, &[b]);
    raises jsonb_delete_array(a: View<'_>, b: &Array) -> Jsonb = path_of(b).and_then(|keys| without(a, &keys.into_iter().flatten().collect::<Vec<_>>()));
    raises jsonb_delete_idx(a: View<'_>, b: i32) -> Jsonb = without_item(a, b);
    raises jsonb_delete_path(a: View<'_>, b: &Array) -> Jsonb = changed(a, b, Change::Delete);
    raises jsonb_set(a: View<'_>, b: &Array, c: View<'_>, d: bool) -> Jsonb = changed(a, b, Change::Set { value: c, create: d });
    raises jsonb_insert(a: View<'_>, b: &Array, c: View<'_>, d: bool) -> Jsonb = changed(a, b, Change::Insert { value: c, after: d });
    raises jsonb_strip_nulls(a: View<'_>) -> Jsonb = without_nulls(a);
}
