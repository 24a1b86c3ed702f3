//! `concat`, `concat_ws`, `format` and `||` with any type.
//!
//! These take arguments of any type and need their text. The binder puts a cast to text over each such argument
//! ([`takes_text`]), so that what arrives here is text or NULL; an array arrives only where the call says VARIADIC.

use super::inline::functions;
use super::macros::strict;
use super::string::{quote_identifier, quote_literal};
use super::{CallContext, Function};
use crate::error::{Error, Result, SqlState};
use crate::types::{Array, Datum, Type, oid, text_io};
use std::borrow::Cow;

/// How an argument becomes the text that a function needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextArgument {
    /// By the type's cast to text: true is "true".
    Cast,
    /// By the type's output function: true is "t", char(n) keeps its padding.
    Output,
    /// Of an array's elements, by their type's output function.
    Elements,
}

/// Whether `function` needs the text of its argument `index` (of `declared` type), and which.
pub fn takes_text(function: &Function, index: usize) -> Option<TextArgument> {
    let declared = function.args.get(index.min(function.args.len().checked_sub(1)?)).copied();
    match function.symbol {
        "textanycat" | "anytextcat" => Some(TextArgument::Cast),
        "text_concat" | "text_concat_ws" | "text_format" if declared == Some(oid::ANY) => Some(TextArgument::Output),
        "array_to_text" | "array_to_text_null" if index == 0 => Some(TextArgument::Elements),
        // These see a char(n)'s padding.
        "bpcharoctetlen" | "textlike" | "textnlike" | "texticlike" | "texticnlike" | "textregexeq" | "textregexne"
        | "texticregexeq" | "texticregexne"
            if declared == Some(oid::BPCHAR) =>
        {
            Some(TextArgument::Output)
        }
        _ => None,
    }
}

fn text(value: &Datum) -> Result<Option<&str>> {
    match value {
        Datum::Null => Ok(None),
        Datum::Text(text) | Datum::Padded(text) => Ok(Some(text)),
        other => Err(Error::internal(format!("concat was called with {other:?}"))),
    }
}

fn text_concat(_: &CallContext, args: &[Datum]) -> Result<Datum> {
    let mut out = String::new();
    for arg in args {
        out.push_str(text(arg)?.unwrap_or_default());
    }
    Ok(Datum::Text(out.into()))
}

fn text_concat_ws(_: &CallContext, args: &[Datum]) -> Result<Datum> {
    let Some(separator) = text(&args[0])? else { return Ok(Datum::Null) };
    let (mut out, mut first) = (String::new(), true);
    for arg in &args[1..] {
        let Some(arg) = text(arg)? else { continue };
        if !first {
            out.push_str(separator);
        }
        out.push_str(arg);
        first = false;
    }
    Ok(Datum::Text(out.into()))
}

fn text_format(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let Some(template) = text(&args[0])? else { return Ok(Datum::Null) };
    let spread: Vec<Datum>;
    let values = match &args[1..] {
        [Datum::Array(array)] => {
            spread = texts(ctx, array);
            &spread[..]
        }
        values => values,
    };
    let mut format = Format { ctx, rest: template, values, next: 0, out: String::new() };
    format.run()?;
    Ok(Datum::Text(format.out.into()))
}

use text_format as text_format_nv;

fn texts(ctx: &CallContext, array: &Array) -> Vec<Datum> {
    let shown = |item: &Datum| {
        if item.is_null() {
            return Datum::Null;
        }
        let mut out = String::new();
        text_io::output(item, Type::new(array.element), &ctx.text(), &mut out);
        Datum::Text(out.into())
    };
    array.items.iter().map(shown).collect()
}

/// `format` under way (PostgreSQL's `text_format`).
struct Format<'a> {
    ctx: &'a CallContext,
    rest: &'a str,
    values: &'a [Datum],
    /// The argument that comes next, counted from 0.
    next: usize,
    out: String,
}

/// `%[position$][-][width]type`
#[derive(Default)]
struct Specifier {
    position: Option<usize>,
    left: bool,
    width: i32,
    /// `*`: the width is an argument, the next or that of this number.
    width_from: Option<Option<usize>>,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(SqlState::InvalidParameterValue, message)
}

fn number_out_of_range() -> Error {
    Error::new(SqlState::NumericValueOutOfRange, "number is out of range")
}

impl<'a> Format<'a> {
    fn run(&mut self) -> Result<()> {
        while let Some((before, after)) = self.rest.split_once('%') {
            self.out.push_str(before);
            self.rest = after;
            if self.peek()? == '%' {
                self.out.push('%');
                self.advance();
                continue;
            }
            let specifier = self.specifier()?;
            let kind = self.peek()?;
            self.advance();
            if !matches!(kind, 's' | 'I' | 'L') {
                return Err(invalid(format!("unrecognized format() type specifier \"{kind}\""))
                    .hint("For a single \"%\" use \"%%\"."));
            }
            let mut width = specifier.width;
            if let Some(place) = specifier.width_from {
                width = match self.value(place)? {
                    None => 0,
                    Some(text) => text_io::input(text, Type::new(oid::INT4), &self.ctx.text())
                        .map(|value| if let Datum::Int4(width) = value { width } else { 0 })?,
                };
            }
            let value = self.value(specifier.position)?;
            let shown = match (kind, value) {
                ('I', None) => {
                    let message = "null values cannot be formatted as an SQL identifier";
                    return Err(Error::new(SqlState::NullValueNotAllowed, message));
                }
                ('L', None) => Cow::Borrowed("NULL"),
                (_, None) => Cow::Borrowed(""),
                ('I', Some(text)) => Cow::Owned(quote_identifier(text)),
                ('L', Some(text)) => Cow::Owned(quote_literal(text)),
                (_, Some(text)) => Cow::Borrowed(text),
            };
            self.put(&shown, width, specifier.left)?;
        }
        self.out.push_str(self.rest);
        Ok(())
    }

    fn peek(&self) -> Result<char> {
        self.rest
            .chars()
            .next()
            .ok_or_else(|| invalid("unterminated format() type specifier").hint("For a single \"%\" use \"%%\"."))
    }

    fn advance(&mut self) {
        let mut rest = self.rest.chars();
        rest.next();
        self.rest = rest.as_str();
    }

    fn number(&mut self) -> Result<Option<i32>> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return Ok(None);
        }
        self.rest = rest;
        let number = digits.parse().map_err(|_| number_out_of_range())?;
        self.peek()?;
        Ok(Some(number))
    }

    fn place(number: i32) -> Result<usize> {
        match usize::try_from(number) {
            Ok(place) if place > 0 => Ok(place - 1),
            _ => Err(invalid("format specifies argument 0, but arguments are numbered from 1")),
        }
    }

    fn specifier(&mut self) -> Result<Specifier> {
        let mut specifier = Specifier::default();
        if let Some(number) = self.number()? {
            if self.peek()? != '$' {
                specifier.width = number;
                return Ok(specifier);
            }
            specifier.position = Some(Self::place(number)?);
            self.advance();
        }
        while self.peek()? == '-' {
            specifier.left = true;
            self.advance();
        }
        if self.peek()? == '*' {
            self.advance();
            self.peek()?;
            specifier.width_from = Some(match self.number()? {
                None => None,
                Some(_) if self.peek()? != '$' => {
                    return Err(invalid("width argument position must be ended by \"$\""));
                }
                Some(number) => {
                    self.advance();
                    Some(Self::place(number)?)
                }
            });
        } else if let Some(width) = self.number()? {
            specifier.width = width;
        }
        Ok(specifier)
    }

    /// The text of an argument, the next one unless told which.
    fn value(&mut self, place: Option<usize>) -> Result<Option<&'a str>> {
        let at = place.unwrap_or(self.next);
        let value = self.values.get(at).ok_or_else(|| invalid("too few arguments for format()"))?;
        self.next = at + 1;
        text(value)
    }

    fn put(&mut self, shown: &str, width: i32, left: bool) -> Result<()> {
        let left = left || width < 0;
        let width = width.checked_abs().ok_or_else(number_out_of_range)? as usize;
        let padding = width.saturating_sub(shown.chars().count());
        if !left {
            self.out.extend(std::iter::repeat_n(' ', padding));
        }
        self.out.push_str(shown);
        if left {
            self.out.extend(std::iter::repeat_n(' ', padding));
        }
        Ok(())
    }
}

fn null_count(args: &[Datum], null: bool) -> Datum {
    Datum::Int4(args.iter().filter(|item| item.is_null() == null).count() as i32)
}

fn pg_num_nulls(_: &CallContext, args: &[Datum]) -> Result<Datum> {
    Ok(null_count(args, true))
}

fn pg_num_nonnulls(_: &CallContext, args: &[Datum]) -> Result<Datum> {
    Ok(null_count(args, false))
}

strict! {
    ROWS:
    text_concat = safe_row;
    text_concat_ws = safe_row;
    text_format = row;
    text_format_nv = row;
    pg_num_nulls = safe_row;
    pg_num_nonnulls = safe_row;
}

functions! {
    TABLE:
    safe textanycat(a: &str, b: &str) -> String = [a, b].concat();
    safe anytextcat(a: &str, b: &str) -> String = [a, b].concat();
    safe bpcharoctetlen(a: &str) -> i32 = a.len() as i32;
}
