//! PostgreSQL's types as values: one [`Datum`] per SQL value, oids and type modifiers, text and binary forms.
//!
//! This module is at the bottom of the root package: everything may import it and it imports only [`crate::error`].
//! A value carries no type of its own beyond its physical class: `text`, `varchar`, `char(n)`, `name` and `unknown` are
//! all [`Datum::Text`]; which of them it is, is known by the typed tree ([`Type`]).

pub mod binary_io;
pub mod compare;
pub mod datetime;
mod datum;
pub mod format;
pub mod interval;
pub mod json;
pub mod jsonb;
pub mod numeric;
pub mod oid;
pub mod physical;
pub mod plain;
pub mod shape;
pub mod text_io;
pub mod timezone;
pub mod typmod;

/// The type by which an array's elements are shown: the declared one, when the array was relabelled.
fn array_element(array: &Array, ty: Type) -> Oid {
    oid::element_of(ty.oid).unwrap_or(array.element)
}

pub use datum::{Array, ArrayDim, Datum, Interval, Text};
pub use oid::{Oid, Type};
