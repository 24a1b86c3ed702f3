//! Functions and operators of the date/time types (chapter "Date/Time Functions and Operators" of PostgreSQL's manual).
//!
//! - [`compare`]: comparisons within and across types, OVERLAPS.
//! - [`arithmetic`]: +, -, *, /, age, justification, casts, time zones.
//! - [`field`]: extract and date_part, date_trunc, date_bin.
//! - [`make`]: make_* functions, the clock, to_timestamp(double precision).
//! - [`zones`]: the lists of zones and abbreviations.
//!
//! Functions that PostgreSQL writes in SQL are entered under their proname.

pub(super) mod arithmetic;
pub(super) mod compare;
pub(super) mod field;
pub(super) mod make;
pub(super) mod zones;

use super::CallContext;
use crate::error::{Error, Result, SqlState};
use crate::types::datetime::calendar::{
    Civil, DATE_NOBEGIN, DATE_NOEND, TIMESTAMP_END, TIMESTAMP_NOBEGIN, TIMESTAMP_NOEND, USECS_PER_DAY, USECS_PER_SEC,
};
use crate::types::timezone;
use jiff::tz::TimeZone;

/// 22008 with PostgreSQL's words.
pub(super) fn out_of_range(message: impl Into<String>) -> Error {
    Error::new(SqlState::DatetimeFieldOverflow, message)
}

pub(super) fn timestamp_out_of_range() -> Error {
    out_of_range("timestamp out of range")
}

/// A date as a timestamp at midnight.
pub(super) fn date_to_timestamp(date: i32) -> Result<i64> {
    match date {
        DATE_NOBEGIN => Ok(TIMESTAMP_NOBEGIN),
        DATE_NOEND => Ok(TIMESTAMP_NOEND),
        _ => i64::from(date)
            .checked_mul(USECS_PER_DAY)
            .filter(|timestamp| *timestamp < TIMESTAMP_END)
            .ok_or_else(|| out_of_range("date out of range for timestamp")),
    }
}

/// A local timestamp of the session's zone in UTC.
pub(super) fn local_to_utc(ctx: &CallContext, local: i64) -> Result<i64> {
    if crate::types::datetime::calendar::is_infinite(local) {
        return Ok(local);
    }
    civil_to_utc(&ctx.time_zone, &Civil::of_timestamp(local))
}

/// A local time of a zone in UTC.
pub(super) fn civil_to_utc(zone: &TimeZone, civil: &Civil) -> Result<i64> {
    civil.timestamp_utc(timezone::offset_for_local(zone, civil)).ok_or_else(timestamp_out_of_range)
}

/// A finite moment on the clocks of a zone.
pub(super) fn utc_to_local(zone: &TimeZone, moment: i64) -> i64 {
    moment + i64::from(timezone::offset_at(zone, moment)) * USECS_PER_SEC
}
