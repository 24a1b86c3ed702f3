//! to_char, to_date, to_timestamp and to_number: formatting by templates (chapter "Data Type Formatting Functions").
//!
//! - [`template`]: a template as a list of nodes.
//! - [`write_date`] and [`read_date`]: dates, times and intervals.
//! - [`number`] and [`read_number`]: numbers.
//!
//! Names of months and days, signs, separators and the currency sign are those of the C locale, so `TM` means no more
//! than "without padding".

mod number;
mod read_date;
mod read_number;
mod template;
mod write_date;

use super::macros::strict;
use number::{float4_to_char, float8_to_char, int4_to_char, int8_to_char, numeric_to_char};
use read_date::{to_date, to_timestamp};
use read_number::numeric_to_number;
use write_date::{interval_to_char, timestamp_to_char, timestamptz_to_char};

/// The letters of an ordinal: those that follow the number `digits`.
fn ordinal_suffix(digits: &str, upper: bool) -> &'static str {
    let bytes = digits.as_bytes();
    let teen = bytes.len() > 1 && bytes[bytes.len() - 2] == b'1';
    match (bytes.last(), teen, upper) {
        (Some(b'1'), false, true) => "ST",
        (Some(b'1'), false, false) => "st",
        (Some(b'2'), false, true) => "ND",
        (Some(b'2'), false, false) => "nd",
        (Some(b'3'), false, true) => "RD",
        (Some(b'3'), false, false) => "rd",
        (_, _, true) => "TH",
        (_, _, false) => "th",
    }
}

strict! {
    TABLE:
    timestamp_to_char: (Timestamp, Text) -> Any;
    timestamptz_to_char: (TimestampTz, Text) -> Any;
    interval_to_char: (Interval, Text) -> Any;
    to_timestamp: (Text, Text) -> TimestampTz;
    to_date: (Text, Text) -> Date;
    int4_to_char: (Int4, Text) -> Any;
    int8_to_char: (Int8, Text) -> Any;
    float4_to_char: (Float4, Text) -> Any;
    float8_to_char: (Float8, Text) -> Any;
    numeric_to_char: (Numeric, Text) -> Any;
    numeric_to_number: (Text, Text) -> Any;
}
