//! What DISTINCT and ORDER BY inside an aggregate call have gathered: fed, sorted, when the group ends. Both roads do it here.

use super::sorter::sorted;
use super::value;
use crate::error::Result;
use crate::executor::functions::aggregate::SortOrder;
use crate::executor::functions::{Accumulator, CallContext};
use crate::interrupt;
use crate::types::Datum;
use std::cmp::Ordering;

/// How gathered rows, order values before arguments, are fed.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    /// ORDER BY.
    pub(crate) order: Vec<SortOrder>,
    /// DISTINCT: duplicates are dropped, and arguments are in order after the order values.
    pub(crate) distinct: bool,
    /// An ordered-set aggregate, which takes its order values.
    pub(crate) ordered_set: bool,
}

impl Feed {
    /// Whether rows have to be gathered.
    pub(crate) fn gathers(&self) -> bool {
        self.distinct || !self.order.is_empty()
    }

    /// Feeds `rows` rows.
    pub(crate) fn run<'r>(
        &self,
        rows: usize,
        row: impl Fn(usize) -> &'r [Datum],
        accumulator: &mut dyn Accumulator,
        ctx: &CallContext,
    ) -> Result<()> {
        let width = self.order.len();
        let numbers = sorted(rows, |a, b| {
            let (a, b) = (row(a as usize), row(b as usize));
            let keys = self.order.iter().zip(a.iter().zip(b));
            let mut order = keys.map(|(key, (a, b))| value::compare_key(a, b, key.descending, key.nulls_first));
            order.find(|o| o.is_ne()).unwrap_or_else(|| {
                if !self.distinct {
                    return Ordering::Equal;
                }
                let pairs = a[width..].iter().zip(&b[width..]);
                pairs
                    .map(|(a, b)| value::compare_key(a, b, false, false))
                    .find(|o| o.is_ne())
                    .unwrap_or(Ordering::Equal)
            })
        })?;
        let mut last: Option<&[Datum]> = None;
        for (at, number) in numbers.into_iter().enumerate() {
            if at % 4096 == 4095 {
                interrupt::check()?;
            }
            let row = row(number as usize);
            let args = if self.ordered_set { row } else { &row[width..] };
            if self.distinct && last.is_some_and(|last| value::same_row(last, args)) {
                continue;
            }
            accumulator.add(ctx, args)?;
            last = Some(args);
        }
        Ok(())
    }
}
