//! jsonb's text form, both ways.

use super::{Builder, Jsonb, Node, View, deep};
use crate::error::{Error, Result};
use crate::types::json::{self, Event, Strings};
use crate::types::numeric::Numeric;
use crate::types::text_io;
use std::fmt;

/// From a json text.
///
/// # Errors
/// As [`json::parse`]; 22003 and 22P02 for a number that numeric cannot hold.
pub fn parse(text: &str) -> Result<Jsonb> {
    let mut builder = Builder::default();
    builder.json(text)?;
    builder.finish()
}

impl<'a> Builder<'a> {
    /// What a json text holds.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn json(&mut self, text: &'a str) -> Result<()> {
        json::parse(text, Strings::Text, &mut |event, _| {
            match event {
                Event::BeginArray => self.begin_array(),
                Event::BeginObject => self.begin_object(),
                Event::End => self.end(),
                Event::Key(key) => self.key(key),
                Event::Null => self.null(),
                Event::Bool(value) => self.bool(value),
                Event::Text(text) => self.text(text),
                Event::Number(text) => self.number(numeric(text)?),
            }
            Ok(())
        })
    }
}

fn numeric(text: &str) -> Result<Numeric> {
    let number = Numeric::parse(text).ok_or_else(|| -> Error { text_io::invalid("numeric", text) })?;
    number.within_format()
}

impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

impl View<'_> {
    /// Appends the text.
    pub fn write(self, out: &mut String) {
        write(self, None, out);
    }
}

/// `jsonb_pretty`
pub fn pretty(value: View<'_>) -> String {
    let mut out = String::new();
    write(value, Some(0), &mut out);
    out
}

/// `level`: the indentation, if there is to be one.
fn write(value: View<'_>, level: Option<usize>, out: &mut String) {
    let newline = |level: Option<usize>, out: &mut String| {
        if let Some(level) = level {
            out.push('\n');
            out.extend(std::iter::repeat_n("    ", level));
        }
    };
    let inner = level.map(|level| level + 1);
    let separate = |at: usize, out: &mut String| {
        if at > 0 {
            out.push_str(if level.is_some() { "," } else { ", " });
        }
        newline(inner, out);
    };
    match value.node() {
        Node::Null => out.push_str("null"),
        Node::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        Node::Number(number) => out.push_str(&number.to_string()),
        Node::Text(text) => json::quote(text, out),
        Node::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                separate(at, out);
                deep(|| write(item, inner, out));
            }
            newline(level, out);
            out.push(']');
        }
        Node::Object(pairs) => {
            out.push('{');
            for (at, (key, value)) in pairs.iter().enumerate() {
                separate(at, out);
                json::quote(key, out);
                out.push_str(": ");
                deep(|| write(value, inner, out));
            }
            newline(level, out);
            out.push('}');
        }
    }
}
