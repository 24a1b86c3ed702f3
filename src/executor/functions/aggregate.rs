//! Aggregates: an [`Accumulator`] for every aggregate of pg_aggregate, found by name and argument types.

use super::Accumulator;
use crate::error::Result;
use crate::types::{Datum, Type};

/// One key of an ordered-set aggregate's WITHIN GROUP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SortOrder {
    /// DESC
    pub descending: bool,
    /// NULLS FIRST
    pub nulls_first: bool,
}

/// What a new accumulator is made from.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// Types of the aggregated arguments, as `aggregate` got them.
    pub args: &'a [Type],
    /// Values of the direct arguments (ordered-set aggregates only).
    pub direct: &'a [Datum],
    /// Order of WITHIN GROUP, one per aggregated argument (ordered-set aggregates only).
    pub order: &'a [SortOrder],
}

/// Makes the empty state of one group; errors when a direct argument is out of its range.
pub type Constructor = fn(&Start<'_>) -> Result<Box<dyn Accumulator>>;

/// The aggregate `name` over arguments of types `args` (count(*): none); `None` answers 0A000 by name.
///
/// Accumulators skip NULLs themselves where their aggregate is strict. Ordered-set aggregates get the rows of a group in
/// WITHIN GROUP order; DISTINCT, ORDER BY in the call and FILTER are the caller's.
pub fn aggregate(_name: &str, _args: &[Type]) -> Option<Constructor> {
    None
}
