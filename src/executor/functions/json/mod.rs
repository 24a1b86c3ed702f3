//! The functions of json and jsonb.
//!
//! - [`build`]: values of other types as json, and json of texts; the aggregates build with [`value`].
//! - [`read`]: jsonb's parts, containment, existence.
//! - [`change`]: jsonb with parts set, put in, taken out, joined.
//! - [`text`]: json's parts, which are pieces of its text; [`index`] finds them.
//! - [`rows`]: sets of keys, items and pairs of either type; [`record`]: rows of declared columns.
//! - [`cast`]: jsonb to other types.
//!
//! Absent: jsonpath.

pub(super) mod build;
pub(super) mod cast;
pub(super) mod change;
mod index;
pub(super) mod read;
pub(super) mod record;
pub(super) mod rows;
pub(super) mod text;
pub(super) mod value;

pub use build::{TypedArguments, takes_types};
pub use record::{populates, takes_columns};
pub use value::shape;

use crate::error::{Error, SqlState};
use crate::types::{Array, Datum};

/// 22023
fn invalid(message: impl Into<String>) -> Error {
    Error::new(SqlState::InvalidParameterValue, message)
}

/// The texts of a text[], NULLs among them.
fn texts(array: &Array) -> Vec<Option<&str>> {
    fn text(item: &Datum) -> Option<&str> {
        match item {
            Datum::Text(text) | Datum::Padded(text) => Some(text),
            _ => None,
        }
    }
    array.items.iter().map(text).collect()
}

/// A path's step into an array, as C's `strtol` reads it; `None`: it is no int4.
fn subscript(text: &str) -> Option<i32> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}
