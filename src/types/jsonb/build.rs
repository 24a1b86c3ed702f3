//! From a list of what is in a value to its bytes.

use super::{
    ARRAY, EMPTY_ARRAY, FALSE, FOOTER, HEADER, ITEM_ENTRY, Jsonb, NULL, NUMBER, OBJECT, PAIR_ENTRY, STRING, TRUE,
};
use super::{View, deep, key_order};
use crate::error::{Error, Result, SqlState};
use crate::types::numeric::Numeric;
use lightning_storage::key::KEYED_LONG;
use std::borrow::Cow;

/// Bytes that a value may have (PostgreSQL's `JENTRY_OFFLENMASK`).
const BYTES_MAX: usize = 0x0fff_ffff;

/// One step of what a value holds, in order; arrays and objects know where the list goes on behind them.
#[derive(Debug)]
enum Step<'a> {
    Null,
    Bool(bool),
    Number(Numeric),
    Text(Cow<'a, str>),
    Part(View<'a>),
    Key(Cow<'a, str>),
    Container { array: bool, next: usize },
}

/// Takes what a value holds, one after the other.
#[derive(Debug, Default)]
pub struct Builder<'a> {
    steps: Vec<Step<'a>>,
    open: Vec<usize>,
}

impl<'a> Builder<'a> {
    /// null
    pub fn null(&mut self) {
        self.steps.push(Step::Null);
    }

    /// true, false
    pub fn bool(&mut self, value: bool) {
        self.steps.push(Step::Bool(value));
    }

    /// A finite number.
    pub fn number(&mut self, value: Numeric) {
        self.steps.push(Step::Number(value));
    }

    /// A string.
    pub fn text(&mut self, text: impl Into<Cow<'a, str>>) {
        self.steps.push(Step::Text(text.into()));
    }

    /// A part of another value.
    pub fn part(&mut self, part: View<'a>) {
        self.steps.push(Step::Part(part));
    }

    /// The key of the pair whose value comes next. Of pairs with one key the last stays.
    pub fn key(&mut self, key: impl Into<Cow<'a, str>>) {
        self.steps.push(Step::Key(key.into()));
    }

    /// `[`
    pub fn begin_array(&mut self) {
        self.begin(true);
    }

    /// `{`
    pub fn begin_object(&mut self) {
        self.begin(false);
    }

    fn begin(&mut self, array: bool) {
        self.open.push(self.steps.len());
        self.steps.push(Step::Container { array, next: 0 });
    }

    /// `]` or `}`
    pub fn end(&mut self) {
        let len = self.steps.len();
        if let Some(Step::Container { next, .. }) = self.open.pop().and_then(|at| self.steps.get_mut(at)) {
            *next = len;
        }
    }

    /// The value.
    ///
    /// # Errors
    /// 54000 for what is too large.
    pub fn finish(self) -> Result<Jsonb> {
        let mut out = Output::default();
        out.step(&self.steps, 0)?;
        Ok(whole(out.data, &out.tables))
    }
}

/// Data and tables with their footer.
pub(super) fn whole(mut data: Vec<u8>, tables: &[u8]) -> Jsonb {
    // As a whole value the empty array is below all others.
    if data.len() == HEADER && data == [ARRAY, 0, 0, 0, 0] {
        data = vec![EMPTY_ARRAY];
    }
    let len = data.len() as u32;
    let rest = u16::try_from(tables.len() + FOOTER - 2).ok().filter(|len| *len != KEYED_LONG).unwrap_or(0);
    data.reserve_exact(tables.len() + FOOTER);
    data.extend_from_slice(tables);
    data.extend_from_slice(&len.to_le_bytes());
    data.extend_from_slice(&rest.to_le_bytes());
    Jsonb(data.into())
}

#[derive(Default)]
struct Output {
    data: Vec<u8>,
    tables: Vec<u8>,
}

impl Output {
    /// Appends the value that begins at a step; gives the step behind it.
    fn step(&mut self, steps: &[Step<'_>], at: usize) -> Result<usize> {
        match steps.get(at) {
            None | Some(Step::Null | Step::Key(_)) => self.data.push(NULL),
            Some(Step::Bool(value)) => self.data.push(if *value { TRUE } else { FALSE }),
            Some(Step::Number(value)) => {
                self.data.push(NUMBER);
                value.encode_key(&mut self.data);
                if value.scale() > 0 {
                    self.tables.extend_from_slice(&value.scale().to_le_bytes());
                }
            }
            Some(Step::Text(text)) => {
                self.data.push(STRING);
                self.text(text)?;
            }
            Some(Step::Part(View { data: [EMPTY_ARRAY], .. })) => {
                self.data.extend_from_slice(&[ARRAY, 0, 0, 0, 0]);
            }
            Some(Step::Part(part)) => {
                self.data.extend_from_slice(part.data);
                self.tables.extend_from_slice(part.tables);
            }
            Some(Step::Container { array, next }) => {
                deep(|| if *array { self.array(steps, at + 1, *next) } else { self.object(steps, at + 1, *next) })?;
                return Ok(*next);
            }
        }
        Ok(at + 1)
    }

    fn text(&mut self, text: &str) -> Result<()> {
        if text.len() > BYTES_MAX {
            let detail =
                format!("Due to an implementation restriction, jsonb strings cannot exceed {BYTES_MAX} bytes.");
            let message = "string too long to represent as jsonb string";
            return Err(Error::new(SqlState::ProgramLimitExceeded, message).detail(detail));
        }
        self.data.extend_from_slice(text.as_bytes());
        self.data.push(0);
        Ok(())
    }

    fn array(&mut self, steps: &[Step<'_>], begin: usize, end: usize) -> Result<()> {
        let (data, tables) = (self.data.len(), self.tables.len());
        let mut items = Vec::new();
        let mut at = begin;
        while at < end {
            items.push(at);
            at = behind(steps, at);
        }
        self.header(ARRAY, items.len(), ITEM_ENTRY);
        for (number, at) in items.into_iter().enumerate() {
            self.step(steps, at)?;
            self.entry(tables + number * ITEM_ENTRY, &[self.data.len() - data, self.tables.len() - tables]);
            self.check(data, tables, "array elements")?;
        }
        Ok(())
    }

    fn object(&mut self, steps: &[Step<'_>], begin: usize, end: usize) -> Result<()> {
        let (data, tables) = (self.data.len(), self.tables.len());
        let mut pairs: Vec<(&str, usize)> = Vec::new();
        let mut at = begin;
        while at < end {
            let Some(Step::Key(key)) = steps.get(at) else {
                return Err(Error::internal("a value of an object has no key"));
            };
            pairs.push((key, at + 1));
            at = behind(steps, at + 1);
        }
        pairs.sort_by(|a, b| key_order(a.0.as_bytes(), b.0.as_bytes()).then(b.1.cmp(&a.1)));
        pairs.dedup_by(|later, kept| later.0 == kept.0);
        self.header(OBJECT, pairs.len(), PAIR_ENTRY);
        for (number, (key, at)) in pairs.into_iter().enumerate() {
            self.text(key)?;
            let value = self.data.len() - data;
            self.step(steps, at)?;
            let place = tables + number * PAIR_ENTRY;
            self.entry(place, &[value, self.data.len() - data, self.tables.len() - tables]);
            self.check(data, tables, "object elements")?;
        }
        Ok(())
    }

    fn header(&mut self, tag: u8, count: usize, entry: usize) {
        self.data.push(tag);
        self.data.extend_from_slice(&(count as u32).to_be_bytes());
        self.tables.resize(self.tables.len() + count * entry, 0);
    }

    fn entry(&mut self, place: usize, fields: &[usize]) {
        for (place, field) in (place..).step_by(4).zip(fields) {
            self.tables[place..place + 4].copy_from_slice(&(*field as u32).to_le_bytes());
        }
    }

    fn check(&self, data: usize, tables: usize, what: &str) -> Result<()> {
        if self.data.len() - data > BYTES_MAX || self.tables.len() - tables > BYTES_MAX {
            let message = format!("total size of jsonb {what} exceeds the maximum of {BYTES_MAX} bytes");
            return Err(Error::new(SqlState::ProgramLimitExceeded, message));
        }
        Ok(())
    }
}

/// The step behind the value that begins at `at`.
fn behind(steps: &[Step<'_>], at: usize) -> usize {
    match steps.get(at) {
        Some(Step::Container { next, .. }) => *next,
        _ => at + 1,
    }
}
