//! date, time, timetz, timestamp and timestamptz: text forms in PostgreSQL's ways, ranges, rounding to a typmod.

use crate::error::{Error, Result};
use crate::types::format::{DateStyle, FormatSettings};
use jiff::tz::TimeZone;

/// What reading a date/time text depends on.
#[derive(Clone, Copy)]
pub struct InputSettings<'a> {
    /// DateStyle's field order and IntervalStyle.
    pub format: &'a FormatSettings,
    /// The session's time zone.
    pub time_zone: &'a TimeZone,
    /// What 'now' is: the transaction's start, microseconds since 2000-01-01 UTC.
    pub now: i64,
}

/// Reads a date: days since 2000-01-01.
pub fn date_in(_text: &str, _settings: &InputSettings) -> Result<i32> {
    Err(Error::unsupported("date input"))
}

/// Reads a time, rounded to `typmod` digits (-1: six): microseconds since midnight.
pub fn time_in(_text: &str, _typmod: i32, _settings: &InputSettings) -> Result<i64> {
    Err(Error::unsupported("time input"))
}

/// Reads a timetz: microseconds since midnight and seconds west of UTC.
pub fn timetz_in(_text: &str, _typmod: i32, _settings: &InputSettings) -> Result<(i64, i32)> {
    Err(Error::unsupported("timetz input"))
}

/// Reads a timestamp: microseconds since 2000-01-01.
pub fn timestamp_in(_text: &str, _typmod: i32, _settings: &InputSettings) -> Result<i64> {
    Err(Error::unsupported("timestamp input"))
}

/// Reads a timestamptz: microseconds since 2000-01-01 UTC.
pub fn timestamptz_in(_text: &str, _typmod: i32, _settings: &InputSettings) -> Result<i64> {
    Err(Error::unsupported("timestamptz input"))
}

/// Writes a date.
pub fn date_out(_days: i32, _format: &FormatSettings, _out: &mut String) {}

/// Writes a time.
pub fn time_out(_micros: i64, _out: &mut String) {}

/// Writes a timetz (`west`: seconds west of UTC).
pub fn timetz_out(_micros: i64, _west: i32, _style: DateStyle, _out: &mut String) {}

/// Writes a timestamp.
pub fn timestamp_out(_micros: i64, _format: &FormatSettings, _out: &mut String) {}

/// Writes a timestamptz as local time of `zone`.
pub fn timestamptz_out(_micros: i64, _format: &FormatSettings, _zone: &TimeZone, _out: &mut String) {}

/// Rounds a timestamp or timestamptz to `typmod` fractional digits (-1: as it is).
pub fn timestamp_typmod(micros: i64, _typmod: i32) -> Result<i64> {
    Ok(micros)
}

/// Rounds a time or the time of a timetz to `typmod` fractional digits (-1: as it is).
pub fn time_typmod(micros: i64, _typmod: i32) -> i64 {
    micros
}

/// Whether a binary date is in range (or infinite): else the 22008 of date_recv.
pub fn check_date(days: i32) -> Result<i32> {
    Ok(days)
}

/// Whether a binary timestamp is in range (or infinite): else the 22008 of timestamp_recv.
pub fn check_timestamp(micros: i64) -> Result<i64> {
    Ok(micros)
}

/// Whether a binary time is in range: else the 22008 of time_recv.
pub fn check_time(micros: i64) -> Result<i64> {
    Ok(micros)
}

/// Whether a binary timetz's displacement is in range: else the 22009 of timetz_recv.
pub fn check_displacement(west: i32) -> Result<i32> {
    Ok(west)
}
