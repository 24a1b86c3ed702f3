//! date, time, timetz, timestamp and timestamptz: text forms in PostgreSQL's ways, ranges, rounding to a typmod.
//!
//! Values are PostgreSQL's own numbers: days or microseconds since 2000-01-01, microseconds since midnight, and seconds
//! WEST of UTC beside a timetz. The extreme values of date and timestamp are the infinities.

pub mod calendar;
mod fields;
mod output;
pub mod parse;

use crate::error::{Error, Result, SqlState};
use crate::types::format::FormatSettings;
use calendar::{Civil, DATE_NOBEGIN, DATE_NOEND, TIMESTAMP_NOBEGIN, TIMESTAMP_NOEND, UNIX_EPOCH_DAYS, USECS_PER_DAY};
use calendar::{is_infinite, is_valid_date, is_valid_julian, is_valid_timestamp};
use jiff::tz::TimeZone;
use parse::{Decoded, Fault, Field, Meaning};

pub use output::{
    date_out, push_fraction, push_offset, push_seconds, time_out, timestamp_out, timestamptz_out, timetz_out,
};

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

/// Bytes of fields that a date or time may have.
const FIELD_BYTES_MAX: usize = 153;
/// The largest displacement of a timetz, exclusive: 16 hours.
const DISPLACEMENT_END: i32 = 16 * 3_600;

fn decode(text: &str, settings: &InputSettings) -> Decoded<Meaning> {
    parse::decode_datetime(&fields(text)?, settings)
}

fn fields(text: &str) -> Decoded<Vec<Field>> {
    let fields = parse::split(text, FIELD_BYTES_MAX)?;
    if fields.is_empty() { Err(Fault::Format) } else { Ok(fields) }
}

/// Reads a date: days since 2000-01-01.
pub fn date_in(text: &str, settings: &InputSettings) -> Result<i32> {
    match decode(text, settings).map_err(|fault| fault.report(text, "date"))? {
        Meaning::Point { civil, .. } if is_valid_julian(civil.year, civil.month) && is_valid_date(civil.days()) => {
            Ok(civil.days())
        }
        Meaning::Point { .. } => Err(out_of_range(&format!("date out of range: \"{text}\""))),
        Meaning::Epoch => Ok(UNIX_EPOCH_DAYS),
        Meaning::Late => Ok(DATE_NOEND),
        Meaning::Early => Ok(DATE_NOBEGIN),
    }
}

/// Reads a time, rounded to `typmod` digits (-1: six): microseconds since midnight.
pub fn time_in(text: &str, typmod: i32, settings: &InputSettings) -> Result<i64> {
    let (clock, _) = fields(text)
        .and_then(|fields| parse::decode_time(&fields, settings))
        .map_err(|fault| fault.report(text, "time"))?;
    Ok(time_typmod(clock.time(), typmod))
}

/// Reads a timetz: microseconds since midnight and seconds west of UTC.
pub fn timetz_in(text: &str, typmod: i32, settings: &InputSettings) -> Result<(i64, i32)> {
    let (clock, west) = fields(text)
        .and_then(|fields| parse::decode_time(&fields, settings))
        .map_err(|fault| fault.report(text, "time with time zone"))?;
    Ok((time_typmod(clock.time(), typmod), west))
}

/// Reads a timestamp: microseconds since 2000-01-01.
pub fn timestamp_in(text: &str, typmod: i32, settings: &InputSettings) -> Result<i64> {
    let meaning = decode(text, settings).map_err(|fault| fault.report(text, "timestamp"))?;
    timestamp_of(meaning, text, typmod, |civil, _| civil.timestamp())
}

/// Reads a timestamptz: microseconds since 2000-01-01 UTC.
pub fn timestamptz_in(text: &str, typmod: i32, settings: &InputSettings) -> Result<i64> {
    let meaning = decode(text, settings).map_err(|fault| fault.report(text, "timestamp with time zone"))?;
    timestamp_of(meaning, text, typmod, |civil, west| civil.timestamp_utc(-west))
}

fn timestamp_of(meaning: Meaning, text: &str, typmod: i32, of: impl Fn(Civil, i32) -> Option<i64>) -> Result<i64> {
    match meaning {
        Meaning::Point { civil, west } => match of(civil, west) {
            Some(timestamp) => timestamp_typmod(timestamp, typmod),
            None => Err(out_of_range(&format!("timestamp out of range: \"{text}\""))),
        },
        Meaning::Epoch => Ok(i64::from(UNIX_EPOCH_DAYS) * USECS_PER_DAY),
        Meaning::Late => Ok(TIMESTAMP_NOEND),
        Meaning::Early => Ok(TIMESTAMP_NOBEGIN),
    }
}

/// Reads a time zone as date/time input would, `+02` included: seconds east of UTC when that needs no date. What a
/// function argument that is a zone's text (`make_timestamptz`) may be.
pub fn numeric_zone(text: &str) -> Option<Result<i32>> {
    match parse::numeric_zone(text) {
        Ok(west) => Some(Ok(-west)),
        Err(Fault::Displacement) => {
            Some(Err(Error::new(SqlState::InvalidParameterValue, format!("numeric time zone \"{text}\" out of range"))))
        }
        Err(_) => None,
    }
}

/// Rounds microseconds half away from zero to `typmod` fractional digits.
pub(crate) fn round_micros(micros: i64, typmod: i32) -> i64 {
    const SCALES: [i64; 6] = [1_000_000, 100_000, 10_000, 1_000, 100, 10];
    let Some(&scale) = usize::try_from(typmod).ok().and_then(|typmod| SCALES.get(typmod)) else { return micros };
    let half = scale / 2;
    if micros >= 0 { (micros + half) / scale * scale } else { -((half - micros) / scale * scale) }
}

/// Rounds a timestamp or timestamptz to `typmod` fractional digits (-1: as it is).
pub fn timestamp_typmod(micros: i64, typmod: i32) -> Result<i64> {
    if is_infinite(micros) {
        return Ok(micros);
    }
    if !(-1..=6).contains(&typmod) {
        return Err(Error::new(
            SqlState::InvalidParameterValue,
            format!("timestamp({typmod}) precision must be between 0 and 6"),
        ));
    }
    Ok(round_micros(micros, typmod))
}

/// Rounds a time or the time of a timetz to `typmod` fractional digits (-1: as it is).
pub fn time_typmod(micros: i64, typmod: i32) -> i64 {
    round_micros(micros, typmod)
}

/// Whether a binary date is in range (or infinite): else the 22008 of date_recv.
pub fn check_date(days: i32) -> Result<i32> {
    if days == DATE_NOBEGIN || days == DATE_NOEND || is_valid_date(days) {
        Ok(days)
    } else {
        Err(out_of_range("date out of range"))
    }
}

/// Whether a binary timestamp is in range (or infinite): else the 22008 of timestamp_recv.
pub fn check_timestamp(micros: i64) -> Result<i64> {
    if is_infinite(micros) || is_valid_timestamp(micros) {
        Ok(micros)
    } else {
        Err(out_of_range("timestamp out of range"))
    }
}

/// Whether a binary time is in range: else the 22008 of time_recv.
pub fn check_time(micros: i64) -> Result<i64> {
    if (0..=USECS_PER_DAY).contains(&micros) { Ok(micros) } else { Err(out_of_range("time out of range")) }
}

/// Whether a binary timetz's displacement is in range: else the 22009 of timetz_recv.
pub fn check_displacement(west: i32) -> Result<i32> {
    if west > -DISPLACEMENT_END && west < DISPLACEMENT_END {
        Ok(west)
    } else {
        Err(Error::new(SqlState::InvalidTimeZoneDisplacement, "time zone displacement out of range"))
    }
}

fn out_of_range(message: &str) -> Error {
    Error::new(SqlState::DatetimeFieldOverflow, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::format::{DateOrder, DateStyle};

    fn settings(format: &FormatSettings) -> InputSettings<'_> {
        static UTC: TimeZone = TimeZone::UTC;
        InputSettings { format, time_zone: &UTC, now: 657_849_600_123_456 }
    }

    fn timestamp(text: &str, format: &FormatSettings) -> String {
        let mut out = String::new();
        match timestamp_in(text, -1, &settings(format)) {
            Ok(value) => timestamp_out(value, format, &mut out),
            Err(error) => out = error.to_string(),
        }
        out
    }

    #[test]
    fn timestamps_are_read_in_all_usual_forms() {
        let format = FormatSettings::default();
        for (text, expected) in [
            ("2020-01-05 03:04:05.678", "2020-01-05 03:04:05.678"),
            ("Jan 5 2020", "2020-01-05 00:00:00"),
            ("5 January 2020 3:04 PM", "2020-01-05 15:04:00"),
            ("20200105T030405", "2020-01-05 03:04:05"),
            ("20200105 030405.5", "2020-01-05 03:04:05.5"),
            ("2020.005", "2020-01-05 00:00:00"),
            ("J2458854", "2020-01-05 00:00:00"),
            ("y2020m01d05", "2020-01-05 00:00:00"),
            ("1/5/2020", "2020-01-05 00:00:00"),
            ("1/5/99", "1999-01-05 00:00:00"),
            ("Sun Jan 05 03:04:05 2020 PST", "2020-01-05 03:04:05"),
            ("0044-03-15 BC", "0044-03-15 00:00:00 BC"),
            ("infinity", "infinity"),
            ("-infinity", "-infinity"),
            ("epoch", "1970-01-01 00:00:00"),
            ("tomorrow", "2020-11-06 00:00:00"),
            ("now", "2020-11-05 00:00:00.123456"),
            ("2020-01-05 24:00", "2020-01-06 00:00:00"),
            ("2020-02-30", "date/time field value out of range: \"2020-02-30\" (SQLSTATE 22008)"),
            ("20:00", "invalid input syntax for type timestamp: \"20:00\" (SQLSTATE 22007)"),
            ("2020-01-05 +16", "time zone displacement out of range: \"2020-01-05 +16\" (SQLSTATE 22009)"),
            ("294277-01-01", "timestamp out of range: \"294277-01-01\" (SQLSTATE 22008)"),
        ] {
            assert_eq!(timestamp(text, &format), expected, "{text}");
        }
    }

    #[test]
    fn styles_and_orders() {
        let mut format = FormatSettings { date_order: DateOrder::Dmy, ..FormatSettings::default() };
        assert_eq!(timestamp("1/5/2020", &format), "2020-05-01 00:00:00");
        format.date_style = DateStyle::German;
        assert_eq!(timestamp("1.5.2020", &format), "01.05.2020 00:00:00");
        format.date_style = DateStyle::Sql;
        assert_eq!(timestamp("1.5.2020", &format), "01/05/2020 00:00:00");
        format.date_style = DateStyle::Postgres;
        assert_eq!(timestamp("1.5.2020 BC", &format), "Fri 01 May 00:00:00 2020 BC");
    }

    #[test]
    fn times_with_zones() {
        let format = FormatSettings::default();
        let mut out = String::new();
        let (micros, west) = timetz_in("04:05:06.789-08:30", 1, &settings(&format)).expect("a time");
        timetz_out(micros, west, DateStyle::Iso, &mut out);
        assert_eq!(out, "04:05:06.8-08:30");
        assert!(time_in("24:00:00.1", -1, &settings(&format)).is_err());
    }
}
