//! Where the values of a json text lie in it.

use crate::error::Result;
use crate::types::json::{self, Event, Strings};
use std::borrow::Cow;
use std::ops::Range;

/// A json text with its values in order.
pub(super) struct Index<'a> {
    text: &'a str,
    values: Vec<Value<'a>>,
}

struct Value<'a> {
    place: Range<usize>,
    kind: Kind<'a>,
    /// Of a pair.
    key: Option<Cow<'a, str>>,
    /// The value behind it and all that is in it.
    next: usize,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Kind<'a> {
    Null,
    Bool,
    Number,
    Text(Cow<'a, str>),
    Array,
    Object,
}

impl<'a> Index<'a> {
    /// Of a text; `strings`: whether the escapes in it must stand for characters.
    pub(super) fn of(text: &'a str, strings: Strings) -> Result<Index<'a>> {
        let mut values: Vec<Value<'a>> = Vec::new();
        let mut open = Vec::new();
        let mut key = None;
        json::parse(text, strings, &mut |event, place| {
            let kind = match event {
                Event::End => {
                    let next = values.len();
                    if let Some(value) = open.pop().and_then(|at: usize| values.get_mut(at)) {
                        value.place.end = place.end;
                        value.next = next;
                    }
                    return Ok(());
                }
                Event::Key(text) => {
                    key = Some(text);
                    return Ok(());
                }
                Event::BeginArray => Kind::Array,
                Event::BeginObject => Kind::Object,
                Event::Null => Kind::Null,
                Event::Bool(_) => Kind::Bool,
                Event::Number(_) => Kind::Number,
                Event::Text(text) => Kind::Text(text),
            };
            if matches!(kind, Kind::Array | Kind::Object) {
                open.push(values.len());
            }
            let next = values.len() + 1;
            values.push(Value { place, kind, key: key.take(), next });
            Ok(())
        })?;
        Ok(Index { text, values })
    }

    /// What a value is; 0 is the whole.
    pub(super) fn kind(&self, at: usize) -> &Kind<'a> {
        self.values.get(at).map_or(&Kind::Null, |value| &value.kind)
    }

    /// A value as it is written.
    pub(super) fn source(&self, at: usize) -> &'a str {
        self.values.get(at).map_or("null", |value| &self.text[value.place.clone()])
    }

    /// A value's text: a string's own, `None` for null.
    pub(super) fn text(&self, at: usize) -> Option<&str> {
        match self.kind(at) {
            Kind::Null => None,
            Kind::Text(text) => Some(text),
            _ => Some(self.source(at)),
        }
    }

    /// The values of an array or object, with the keys of pairs.
    pub(super) fn inner(&self, at: usize) -> impl Iterator<Item = (Option<&str>, usize)> {
        let end = self.values.get(at).map_or(0, |value| value.next);
        let mut next = at + 1;
        std::iter::from_fn(move || {
            let at = next;
            let value = self.values.get(at).filter(|_| at < end)?;
            next = value.next;
            Some((value.key.as_deref(), at))
        })
    }

    /// The value of a key: of several the last.
    pub(super) fn field(&self, at: usize, name: &str) -> Option<usize> {
        if !matches!(self.kind(at), Kind::Object) {
            return None;
        }
        self.inner(at).filter(|(key, _)| *key == Some(name)).last().map(|(_, value)| value)
    }

    /// The item of a subscript, counted from the end when it is negative.
    pub(super) fn item(&self, at: usize, subscript: i32) -> Option<usize> {
        if !matches!(self.kind(at), Kind::Array) {
            return None;
        }
        let count = if subscript < 0 { self.inner(at).count() as i64 } else { 0 };
        let number = usize::try_from(i64::from(subscript) + count).ok()?;
        self.inner(at).nth(number).map(|(_, item)| item)
    }
}
