//! Ordered-set aggregates, whose rows come in WITHIN GROUP order, and hypothetical-set ones.

use super::collect::heap_bytes;
use super::{Accumulator, SortOrder, Start};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::types::compare::compare;
use crate::types::{Array, Datum, Oid};
use std::cmp::Ordering;
use std::mem::size_of;
use std::sync::Arc;

/// mode(): the most frequent value, the first of equally frequent ones.
#[derive(Default)]
pub(super) struct Mode {
    run: Datum,
    length: u64,
    best: Datum,
    best_length: u64,
}

impl Accumulator for Mode {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        let value = &args[0];
        if value.is_null() {
            return Ok(());
        }
        if self.length > 0 && compare(&self.run, value) == Ordering::Equal {
            self.length += 1;
        } else {
            (self.run, self.length) = (value.clone(), 1);
        }
        if self.length > self.best_length {
            if self.length == 1 || compare(&self.best, &self.run) != Ordering::Equal {
                self.best = self.run.clone();
            }
            self.best_length = self.length;
        }
        Ok(())
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        Ok(self.best.clone())
    }
}

/// percentile_disc and percentile_cont, for one fraction or an array of them.
pub(super) struct Percentile {
    continuous: bool,
    element: Oid,
    fractions: Fractions,
    values: Vec<Datum>,
    bytes: usize,
}

enum Fractions {
    Null,
    One(f64),
    Many(Arc<Array>),
}

impl Percentile {
    pub(super) fn discrete(start: &Start<'_>) -> Result<Percentile> {
        Percentile::new(start, false)
    }

    pub(super) fn continuous(start: &Start<'_>) -> Result<Percentile> {
        Percentile::new(start, true)
    }

    fn new(start: &Start<'_>, continuous: bool) -> Result<Percentile> {
        let fractions = match start.direct.first() {
            Some(Datum::Float8(fraction)) => Fractions::One(check_fraction(*fraction)?),
            Some(Datum::Array(array)) => {
                for item in &array.items {
                    if let Datum::Float8(fraction) = item {
                        check_fraction(*fraction)?;
                    }
                }
                Fractions::Many(array.clone())
            }
            _ => Fractions::Null,
        };
        Ok(Percentile { continuous, element: start.element(), fractions, values: Vec::new(), bytes: 0 })
    }

    /// The value at `fraction` of a non-empty set.
    fn at(&self, fraction: f64) -> Result<Datum> {
        let count = self.values.len();
        if !self.continuous {
            let row = ((fraction * count as f64).ceil() as usize).max(1);
            return Ok(self.values[row.min(count) - 1].clone());
        }
        let place = fraction * (count - 1) as f64;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        if low == high {
            return Ok(self.values[low].clone());
        }
        let share = place - low as f64;
        match (&self.values[low], &self.values[high]) {
            (Datum::Float8(low), Datum::Float8(high)) => Ok(Datum::Float8(low + share * (high - low))),
            (Datum::Interval(low), Datum::Interval(high)) => {
                Ok(Datum::Interval(high.minus(*low)?.times(share)?.plus(*low)?))
            }
            _ => Err(Error::internal("percentile_cont was given a type that it cannot interpolate")),
        }
    }
}

fn check_fraction(fraction: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&fraction) {
        return Ok(fraction);
    }
    let mut shown = format!("{fraction}");
    if fraction.is_infinite() {
        shown = if fraction > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    } else if fraction.is_nan() {
        shown = "nan".to_owned();
    }
    Err(Error::new(SqlState::NumericValueOutOfRange, format!("percentile value {shown} is not between 0 and 1")))
}

impl Accumulator for Percentile {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        if !args[0].is_null() {
            self.bytes += heap_bytes(&args[0]);
            self.values.push(args[0].clone());
        }
        Ok(())
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        if self.values.is_empty() {
            return Ok(Datum::Null);
        }
        match &self.fractions {
            Fractions::Null => Ok(Datum::Null),
            Fractions::One(fraction) => self.at(*fraction),
            Fractions::Many(array) => {
                let at = |item: &Datum| match item {
                    Datum::Float8(fraction) => self.at(*fraction),
                    _ => Ok(Datum::Null),
                };
                let items = array.items.iter().map(at).collect::<Result<Vec<_>>>()?;
                Ok(Datum::Array(Arc::new(Array { element: self.element, dims: array.dims.clone(), items })))
            }
        }
    }

    fn memory(&self) -> usize {
        self.values.capacity() * size_of::<Datum>() + self.bytes
    }
}

/// Where a hypothetical row would stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
}

/// rank, dense_rank, percent_rank and cume_dist of a hypothetical row.
pub(super) struct Hypothetical {
    place: Place,
    row: Vec<Datum>,
    order: Vec<SortOrder>,
    rows: i64,
    before: i64,
    distinct_before: i64,
    peers: i64,
    previous: Option<Vec<Datum>>,
}

impl Hypothetical {
    pub(super) fn new(start: &Start<'_>, place: Place) -> Hypothetical {
        Hypothetical {
            place,
            row: start.direct.to_vec(),
            order: start.order.to_vec(),
            rows: 0,
            before: 0,
            distinct_before: 0,
            peers: 0,
            previous: None,
        }
    }

    fn compare_rows(&self, left: &[Datum], right: &[Datum]) -> Ordering {
        for (index, (left, right)) in left.iter().zip(right).enumerate() {
            let order = self.order.get(index).copied().unwrap_or_default();
            let ordering = match (left.is_null(), right.is_null()) {
                (true, true) => Ordering::Equal,
                (true, false) if order.nulls_first => Ordering::Less,
                (true, false) => Ordering::Greater,
                (false, true) if order.nulls_first => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) if order.descending => compare(right, left),
                (false, false) => compare(left, right),
            };
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        Ordering::Equal
    }
}

impl Accumulator for Hypothetical {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        self.rows += 1;
        match self.compare_rows(args, &self.row) {
            Ordering::Less => {
                self.before += 1;
                if self.place == Place::DenseRank {
                    let same = self
                        .previous
                        .as_ref()
                        .is_some_and(|previous| self.compare_rows(previous, args) == Ordering::Equal);
                    if !same {
                        self.distinct_before += 1;
                        self.previous = Some(args.to_vec());
                    }
                }
            }
            Ordering::Equal => self.peers += 1,
            Ordering::Greater => {}
        }
        Ok(())
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        Ok(match self.place {
            Place::Rank => Datum::Int8(self.before + 1),
            Place::DenseRank => Datum::Int8(self.distinct_before + 1),
            Place::PercentRank if self.rows == 0 => Datum::Float8(0.0),
            Place::PercentRank => Datum::Float8(self.before as f64 / self.rows as f64),
            Place::CumeDist => Datum::Float8((self.before + self.peers + 1) as f64 / (self.rows + 1) as f64),
        })
    }
}
