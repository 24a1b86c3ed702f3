//! interval: text forms in the four IntervalStyles, typmods (fields and precision), arithmetic.

use crate::error::{Error, Result};
use crate::types::Interval;
use crate::types::format::IntervalStyle;

/// Reads an interval; `typmod` is PostgreSQL's packing of fields and precision, -1 for none.
pub fn interval_in(_text: &str, _typmod: i32, _style: IntervalStyle) -> Result<Interval> {
    Err(Error::unsupported("interval input"))
}

/// Writes an interval.
pub fn interval_out(_value: Interval, _style: IntervalStyle, _out: &mut String) {}

/// Cuts an interval to the fields and precision of `typmod`.
pub fn interval_typmod(value: Interval, _typmod: i32) -> Result<Interval> {
    Ok(value)
}

/// The typmod's text, as format_type shows it: ` year to month`, `(3)`, ` day to second(2)`; empty for -1.
pub fn interval_typmod_out(_typmod: i32) -> String {
    String::new()
}

/// Length in microseconds with 30-day months and 24-hour days: what comparison, hashing and the index key use.
pub fn comparison_value(value: Interval) -> i128 {
    const DAY: i128 = 86_400_000_000;
    i128::from(value.micros) + DAY * (i128::from(value.days) + 30 * i128::from(value.months))
}
