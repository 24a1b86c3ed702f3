//! Counting, extremes, booleans, bits, concatenation, arrays, intervals.

use super::Accumulator;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::types::compare::compare;
use crate::types::{Array, ArrayDim, Datum, Interval, Oid, Text, oid};
use std::cmp::Ordering;
use std::mem::size_of;
use std::sync::Arc;

/// count(*) and count(any).
#[derive(Default)]
pub(super) struct Count(i64);

impl Accumulator for Count {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        self.0 += i64::from(!args.iter().any(Datum::is_null));
        Ok(())
    }

    fn remove(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<bool> {
        self.0 -= i64::from(!args.iter().any(Datum::is_null));
        Ok(true)
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        Ok(Datum::Int8(self.0))
    }
}

/// min and max. Of equal values that look different the last one stays (1.0 and 1.00), of texts the first one.
pub(super) struct Extreme {
    /// How the kept value compares with one that does not replace it.
    kept_is: Ordering,
    best: Option<Datum>,
}

impl Extreme {
    pub(super) fn min() -> Extreme {
        Extreme { kept_is: Ordering::Less, best: None }
    }

    pub(super) fn max() -> Extreme {
        Extreme { kept_is: Ordering::Greater, best: None }
    }
}

impl Accumulator for Extreme {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        let value = &args[0];
        let keep = value.is_null()
            || self.best.as_ref().is_some_and(|best| {
                let order = compare(best, value);
                // Of texts that differ in their blanks the first one stays.
                order == self.kept_is || order == Ordering::Equal && matches!(value, Datum::Text(_) | Datum::Padded(_))
            });
        if !keep {
            self.best = Some(value.clone());
        }
        Ok(())
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        Ok(self.best.clone().unwrap_or_default())
    }
}

/// bool_and, every and bool_or, from the counts of both values.
pub(super) struct Booleans {
    all: bool,
    trues: i64,
    falses: i64,
}

impl Booleans {
    pub(super) fn all() -> Booleans {
        Booleans { all: true, trues: 0, falses: 0 }
    }

    pub(super) fn any() -> Booleans {
        Booleans { all: false, trues: 0, falses: 0 }
    }

    fn apply(&mut self, args: &[Datum], step: i64) {
        match args[0] {
            Datum::Bool(true) => self.trues += step,
            Datum::Bool(false) => self.falses += step,
            _ => {}
        }
    }
}

impl Accumulator for Booleans {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        self.apply(args, 1);
        Ok(())
    }

    fn remove(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<bool> {
        self.apply(args, -1);
        Ok(true)
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        Ok(match (self.trues + self.falses, self.all) {
            (0, _) => Datum::Null,
            (_, true) => Datum::Bool(self.falses == 0),
            (_, false) => Datum::Bool(self.trues > 0),
        })
    }
}

/// bit_and, bit_or and bit_xor over integers.
pub(super) struct Bits {
    combine: fn(i64, i64) -> i64,
    value: Datum,
}

impl Bits {
    pub(super) fn and() -> Bits {
        Bits { combine: |a, b| a & b, value: Datum::Null }
    }

    pub(super) fn or() -> Bits {
        Bits { combine: |a, b| a | b, value: Datum::Null }
    }

    pub(super) fn xor() -> Bits {
        Bits { combine: |a, b| a ^ b, value: Datum::Null }
    }
}

impl Accumulator for Bits {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        let combine = self.combine;
        self.value = match (&self.value, &args[0]) {
            (_, Datum::Null) => return Ok(()),
            (Datum::Null, first) => first.clone(),
            (Datum::Int2(a), Datum::Int2(b)) => Datum::Int2(combine((*a).into(), (*b).into()) as i16),
            (Datum::Int4(a), Datum::Int4(b)) => Datum::Int4(combine((*a).into(), (*b).into()) as i32),
            (Datum::Int8(a), Datum::Int8(b)) => Datum::Int8(combine(*a, *b)),
            _ => return Err(Error::unsupported("a bit aggregate over bit strings")),
        };
        Ok(())
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        Ok(self.value.clone())
    }
}

/// string_agg(text, text). The first value's delimiter is not used; a NULL one is empty.
#[derive(Default)]
pub(super) struct JoinedText(Option<String>);

impl Accumulator for JoinedText {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        let Datum::Text(value) = &args[0] else { return Ok(()) };
        match &mut self.0 {
            None => self.0 = Some(value.to_string()),
            Some(joined) => {
                if let Datum::Text(delimiter) = &args[1] {
                    joined.push_str(delimiter);
                }
                joined.push_str(value);
                check_size(joined.len())?;
            }
        }
        Ok(())
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        Ok(self.0.as_deref().map_or(Datum::Null, |joined| Datum::Text(Text::new(joined))))
    }

    fn memory(&self) -> usize {
        self.0.as_ref().map_or(0, String::capacity)
    }
}

/// string_agg(bytea, bytea)
#[derive(Default)]
pub(super) struct JoinedBytes(Option<Vec<u8>>);

impl Accumulator for JoinedBytes {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        let Datum::Bytea(value) = &args[0] else { return Ok(()) };
        match &mut self.0 {
            None => self.0 = Some(value.to_vec()),
            Some(joined) => {
                if let Datum::Bytea(delimiter) = &args[1] {
                    joined.extend_from_slice(delimiter);
                }
                joined.extend_from_slice(value);
                check_size(joined.len())?;
            }
        }
        Ok(())
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        Ok(self.0.as_ref().map_or(Datum::Null, |joined| Datum::Bytea(bytes::Bytes::copy_from_slice(joined))))
    }

    fn memory(&self) -> usize {
        self.0.as_ref().map_or(0, Vec::capacity)
    }
}

/// A value may be up to 1 GB.
fn check_size(bytes: usize) -> Result<()> {
    if bytes >= 0x3fff_ffff {
        return Err(
            Error::new(SqlState::ProgramLimitExceeded, "out of memory").detail("A value may not be larger than 1 GB.")
        );
    }
    Ok(())
}

/// array_agg over elements, or over arrays, which become one array with one more dimension.
pub(super) struct Elements {
    /// Element type of the result, or the array type that is aggregated.
    argument: Oid,
    rows: i32,
    items: Vec<Datum>,
    /// Dimensions that all aggregated arrays share.
    inner: Option<(Oid, Vec<ArrayDim>)>,
    bytes: usize,
}

impl Elements {
    pub(super) fn new(argument: Oid) -> Elements {
        Elements { argument, rows: 0, items: Vec::new(), inner: None, bytes: 0 }
    }

    fn add_array(&mut self, array: &Array) -> Result<()> {
        let mismatch = |message: &str| Error::new(SqlState::ArraySubscriptError, message);
        match &self.inner {
            None if array.dims.is_empty() => return Err(mismatch("cannot accumulate empty arrays")),
            None => self.inner = Some((array.element, array.dims.clone())),
            Some((_, dims)) if *dims != array.dims => {
                return Err(mismatch("cannot accumulate arrays of different dimensionality"));
            }
            Some(_) => {}
        }
        self.items.extend(array.items.iter().cloned());
        Ok(())
    }
}

impl Accumulator for Elements {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        let before = self.items.len();
        match &args[0] {
            Datum::Array(array) if oid::element_of(self.argument).is_some() => self.add_array(array)?,
            // int2vector and oidvector are elements like any other.
            Datum::Null if oid::element_of(self.argument).is_some() => {
                return Err(Error::new(SqlState::NullValueNotAllowed, "cannot accumulate null arrays"));
            }
            value => self.items.push(value.clone()),
        }
        self.rows += 1;
        self.bytes += self.items[before..].iter().map(heap_bytes).sum::<usize>();
        Ok(())
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        if self.rows == 0 {
            return Ok(Datum::Null);
        }
        let outer = ArrayDim { len: self.rows, lower: 1 };
        let (element, dims) = match &self.inner {
            Some((element, dims)) => (*element, std::iter::once(outer).chain(dims.iter().copied()).collect()),
            None => (self.argument, vec![outer]),
        };
        Ok(Datum::Array(Arc::new(Array { element, dims, items: self.items.clone() })))
    }

    fn memory(&self) -> usize {
        self.items.capacity() * size_of::<Datum>() + self.bytes
    }
}

/// Roughly what a value holds outside itself.
pub(super) fn heap_bytes(value: &Datum) -> usize {
    match value {
        Datum::Text(text) | Datum::Padded(text) if text.is_heap_allocated() => text.len(),
        Datum::Bytea(bytes) => bytes.len(),
        Datum::Jsonb(value) => value.bytes().len(),
        Datum::Array(array) => array.items.len() * size_of::<Datum>(),
        Datum::Record(fields) => fields.len() * size_of::<Datum>(),
        _ => 0,
    }
}

/// sum and avg of interval.
pub(super) struct Intervals {
    average: bool,
    count: i64,
    sum: Interval,
}

impl Intervals {
    pub(super) fn new(average: bool) -> Intervals {
        Intervals { average, count: 0, sum: Interval::default() }
    }
}

impl Accumulator for Intervals {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        if let Datum::Interval(value) = args[0] {
            self.sum = self.sum.plus(value)?;
            self.count += 1;
        }
        Ok(())
    }

    fn remove(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<bool> {
        if let Datum::Interval(value) = args[0] {
            self.sum = self.sum.minus(value)?;
            self.count -= 1;
        }
        Ok(true)
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        Ok(match (self.count, self.average) {
            (0, _) => Datum::Null,
            (_, false) => Datum::Interval(self.sum),
            (count, true) => Datum::Interval(self.sum.divided(count as f64)?),
        })
    }
}
