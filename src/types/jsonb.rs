//! jsonb: one byte string that is the value in memory, the stored cell and the key of an index all at once.
//!
//! ```text
//! value    := data ‖ tables ‖ u32le(len(data)) ‖ u16le(len(tables) + 4, or 0 beyond 65,535)
//!
//! data     := 00                                      the empty array, where it is the whole value
//!           | 01                                      null
//!           | 02 UTF-8 00                             string (jsonb has no character 0)
//!           | 03 numeric's key                        number (see Numeric::encode_key; ends by itself)
//!           | 04 | 05                                 false, true
//!           | 06 u32be(count) data*                   array
//!           | 07 u32be(count) (UTF-8 00 data)*        object, its keys unlike, by length and then by bytes
//!
//! tables   := of a number:  u16le(scale), or nothing for scale 0
//!             of an array:  (u32le end of the item's data, u32le end of its tables)* ‖ tables of the items
//!             of an object: (u32le begin of the value's data, u32le its end, u32le end of its tables)* ‖ tables of the values
//!             of all else:  nothing
//! ```
//! Ends in tables are counted from the begin of the array's or object's own data and tables.
//!
//! - The order of the data's bytes is PostgreSQL's btree order (`compareJsonbContainers`): kinds first, then the count of items
//!   or pairs, then these one after the other; numbers by value whatever their scale; the empty array alone, of whole values, is
//!   below all else. So comparison, equality and hash are those of bytes, and as a cell of `ColumnType::Keyed` the value
//!   needs no other key. (Of more than 64 KiB of tables the cell's key part is all of it, which no index takes.)
//! - An item is found by one table entry, a key by a binary search over the table: nothing else is read.
//! - A part of a value is a value but for its footer: its data and its tables are each in one piece.

mod build;
mod text;

pub use build::Builder;
pub use text::{parse, pretty};

use super::numeric::Numeric;
use std::cmp::Ordering;
use std::sync::Arc;

const EMPTY_ARRAY: u8 = 0;
const NULL: u8 = 1;
const STRING: u8 = 2;
const NUMBER: u8 = 3;
const FALSE: u8 = 4;
const TRUE: u8 = 5;
const ARRAY: u8 = 6;
const OBJECT: u8 = 7;
/// Tag and count of an array or object.
const HEADER: usize = 5;
const ITEM_ENTRY: usize = 8;
const PAIR_ENTRY: usize = 12;
/// Lengths of the data and of what is behind it.
const FOOTER: usize = 6;

/// A jsonb value.
#[derive(Clone, Debug)]
pub struct Jsonb(Arc<[u8]>);

impl Jsonb {
    /// From its bytes; `None` when they are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Jsonb> {
        let (_, footer) = bytes.split_last_chunk::<FOOTER>()?;
        let data = number(footer, 0)?;
        (1..=bytes.len() - FOOTER).contains(&data).then(|| Jsonb(bytes.into()))
    }

    /// The whole: what is stored.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The part that compares.
    pub fn key(&self) -> &[u8] {
        self.view().data
    }

    /// What is in it.
    pub fn view(&self) -> View<'_> {
        let (parts, footer) = self.0.split_at(self.0.len().saturating_sub(FOOTER));
        let (data, tables) = parts.split_at_checked(number(footer, 0).unwrap_or(0)).unwrap_or((parts, &[]));
        View { data, tables }
    }
}

/// A number of a table.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
}

/// A jsonb value or a part of one.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    data: &'a [u8],
    tables: &'a [u8],
}

/// What a value is.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Node<'a> {
    Null,
    Bool(bool),
    Number(Numeric),
    Text(&'a str),
    Array(Items<'a>),
    Object(Pairs<'a>),
}

impl<'a> View<'a> {
    /// What it is.
    pub fn node(self) -> Node<'a> {
        match self.tag() {
            FALSE => Node::Bool(false),
            TRUE => Node::Bool(true),
            STRING => Node::Text(text(self.data.get(1..self.data.len() - 1))),
            NUMBER => {
                let scale = self.tables.first_chunk::<2>().map_or(0, |scale| u16::from_le_bytes(*scale));
                Node::Number(self.data.get(1..).and_then(|key| Numeric::decode_key(key, scale)).unwrap_or(Numeric::NaN))
            }
            EMPTY_ARRAY | ARRAY => Node::Array(Items(self)),
            OBJECT => Node::Object(Pairs(self)),
            _ => Node::Null,
        }
    }

    /// Its items, of an array.
    pub fn as_array(self) -> Option<Items<'a>> {
        matches!(self.tag(), EMPTY_ARRAY | ARRAY).then_some(Items(self))
    }

    /// Its pairs, of an object.
    pub fn as_object(self) -> Option<Pairs<'a>> {
        (self.tag() == OBJECT).then_some(Pairs(self))
    }

    /// The text, of a string.
    pub fn as_text(self) -> Option<&'a str> {
        match self.node() {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is an array or an object without anything in it.
    pub fn is_empty(self) -> bool {
        !self.is_scalar() && self.count() == 0
    }

    /// Whether it is null, of json.
    pub fn is_null(self) -> bool {
        self.tag() == NULL
    }

    /// Whether it is neither array nor object.
    pub fn is_scalar(self) -> bool {
        matches!(self.tag(), NULL..=TRUE)
    }

    /// The part that compares; of values and, among parts, of parts.
    pub fn key(self) -> &'a [u8] {
        self.data
    }

    /// `jsonb_typeof`
    pub fn kind(self) -> &'static str {
        match self.tag() {
            FALSE | TRUE => "boolean",
            STRING => "string",
            NUMBER => "number",
            EMPTY_ARRAY | ARRAY => "array",
            OBJECT => "object",
            _ => "null",
        }
    }

    /// A value of its own.
    pub fn to_jsonb(self) -> Jsonb {
        build::whole(self.data.to_vec(), self.tables)
    }

    fn tag(self) -> u8 {
        self.data.first().copied().unwrap_or(NULL)
    }

    fn count(self) -> usize {
        let count = self.data.get(1..HEADER).and_then(|count| count.try_into().ok()).map_or(0, u32::from_be_bytes);
        count as usize
    }

    fn part(self, data: (usize, usize), tables: (usize, usize)) -> View<'a> {
        let slice = |bytes: &'a [u8], (from, to): (usize, usize)| bytes.get(from..to).unwrap_or_default();
        View { data: slice(self.data, data), tables: slice(self.tables, tables) }
    }
}

fn text(bytes: Option<&[u8]>) -> &str {
    bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
}

/// An array's items.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a>(View<'a>);

impl<'a> Items<'a> {
    /// How many there are.
    pub fn len(self) -> usize {
        self.0.count()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// One of them.
    pub fn get(self, at: usize) -> Option<View<'a>> {
        if at >= self.len() {
            return None;
        }
        let end =
            |at: usize| Some((number(self.0.tables, at * ITEM_ENTRY)?, number(self.0.tables, at * ITEM_ENTRY + 4)?));
        let begin = if at == 0 { (HEADER, self.len() * ITEM_ENTRY) } else { end(at - 1)? };
        let end = end(at)?;
        Some(self.0.part((begin.0, end.0), (begin.1, end.1)))
    }

    /// The item of a subscript, counted from the end when it is negative.
    pub fn at(self, subscript: i32) -> Option<View<'a>> {
        let at = i64::from(subscript) + if subscript < 0 { self.len() as i64 } else { 0 };
        self.get(usize::try_from(at).ok()?)
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = View<'a>> + Clone {
        (0..self.len()).filter_map(move |at| self.get(at))
    }
}

/// An object's pairs.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a>(View<'a>);

impl<'a> Pairs<'a> {
    /// How many there are.
    pub fn len(self) -> usize {
        self.0.count()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Begin and end of a value's data, and the end of its tables.
    fn entry(self, at: usize) -> Option<(usize, usize, usize)> {
        let place = at * PAIR_ENTRY;
        let field = |field: usize| number(self.0.tables, place + field);
        Some((field(0)?, field(4)?, field(8)?))
    }

    fn key_bytes(self, at: usize) -> Option<&'a [u8]> {
        let begin = if at == 0 { HEADER } else { self.entry(at - 1)?.1 };
        self.0.data.get(begin..self.entry(at)?.0.checked_sub(1)?)
    }

    /// A pair's key.
    pub fn key(self, at: usize) -> &'a str {
        text(self.key_bytes(at))
    }

    /// A pair's value.
    pub fn value(self, at: usize) -> Option<View<'a>> {
        if at >= self.len() {
            return None;
        }
        let tables = if at == 0 { self.len() * PAIR_ENTRY } else { self.entry(at - 1)?.2 };
        let (begin, end, tables_end) = self.entry(at)?;
        Some(self.0.part((begin, end), (tables, tables_end)))
    }

    /// The value of a key.
    pub fn get(self, key: &str) -> Option<View<'a>> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match key_order(self.key_bytes(middle)?, key.as_bytes()) {
                Ordering::Equal => return self.value(middle),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// All of them, by key.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, View<'a>)> + Clone {
        (0..self.len()).filter_map(move |at| Some((self.key(at), self.value(at)?)))
    }
}

/// The order of an object's keys.
fn key_order(left: &[u8], right: &[u8]) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// Runs what may lie deep in itself on a stack that grows.
pub fn deep<T>(run: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(64 * 1024, 1024 * 1024, run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SqlState;

    fn value(text: &str) -> Jsonb {
        parse(text).expect(text)
    }

    fn shown(value: View<'_>) -> String {
        value.to_string()
    }

    #[test]
    fn values_come_back_and_their_parts_are_values() {
        let text = "{\"b\": [1, 2.50, -1e3, {}, []], \"aa\": {\"x\": null, \"y\": \"\\u0001\\\"\u{e9}\"}, \"b\": [true, [[]], 12345678901234567890.00]}";
        let whole = value(text);
        let expected =
            "{\"b\": [true, [[]], 12345678901234567890.00], \"aa\": {\"x\": null, \"y\": \"\\u0001\\\"\u{e9}\"}}";
        assert_eq!(shown(whole.view()), expected);
        assert_eq!(shown(Jsonb::from_bytes(whole.bytes()).expect("its bytes").view()), expected);
        let pairs = whole.view().as_object().expect("an object");
        let items = pairs.get("b").and_then(View::as_array).expect("an array");
        assert_eq!(shown(items.at(-1).expect("the last")), "12345678901234567890.00");
        let inner = items.get(1).expect("an item").to_jsonb();
        assert_eq!(inner.bytes(), value("[[]]").bytes());
        let innermost = inner.view().as_array().and_then(|items| items.get(0)).expect("an item").to_jsonb();
        assert_eq!(innermost.bytes(), value("[]").bytes());
        assert_eq!(
            pairs.get("aa").expect("a value").to_jsonb().bytes(),
            value("{\"x\":null,\"y\":\"\\u0001\\\"é\"}").bytes()
        );
        assert!(pairs.get("a").is_none() && items.get(3).is_none() && items.at(-4).is_none());
    }

    #[test]
    fn bytes_are_in_postgresqls_order() {
        let ordered = [
            "[]",
            "null",
            "\"\"",
            "\"a\"",
            "\"ab\"",
            "\"b\"",
            "-1e30",
            "-1.5",
            "0",
            "1",
            "1.5",
            "1e30",
            "false",
            "true",
            "[null]",
            "[\"a\"]",
            "[1]",
            "[false]",
            "[[]]",
            "[[1]]",
            "[{}]",
            "[1, 2]",
            "[1, 3]",
            "{}",
            "{\"a\": 1}",
            "{\"a\": [1]}",
            "{\"aa\": 0}",
            "{\"b\": 0}",
            "{\"a\": 0, \"b\": 0}",
        ];
        for pair in ordered.windows(2) {
            assert!(value(pair[0]).key() < value(pair[1]).key(), "{} {}", pair[0], pair[1]);
        }
        assert_eq!(value("[1.0, {\"a\": 2}]").key(), value("[1, {\"a\": 2.00}]").key());
        assert_eq!(shown(value("[1.0, 2.00]").view()), "[1.0, 2.00]");
    }

    #[test]
    fn depth_overflows_no_stack() {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(shown(value(&deep).view()), deep);
        assert_eq!(parse(&"[".repeat(10_001)).expect_err("too deep").code(), SqlState::StatementTooComplex);
    }
}
