//! Values of system relations' columns from Rust values, and rows of them.

use super::{Key, SystemRelation, SystemRows, files};
use crate::error::Result;
use crate::types::{Array, ArrayDim, Datum, Oid, compare, oid};
use std::sync::Arc;

/// A Rust value as a column's value.
pub(super) trait Cell {
    /// The value.
    fn cell(self) -> Datum;
}

macro_rules! cells {
    ($($ty:ty, |$v:ident| $out:expr;)*) => {$(
        impl Cell for $ty {
            fn cell(self) -> Datum {
                let $v = self;
                $out
            }
        }
    )*};
}

cells! {
    Datum, |v| v;
    bool, |v| Datum::Bool(v);
    i16, |v| Datum::Int2(v);
    i32, |v| Datum::Int4(v);
    i64, |v| Datum::Int8(v);
    f32, |v| Datum::Float4(v);
    char, |v| Datum::Char(v as u8);
    u8, |v| Datum::Char(v);
    Oid, |v| Datum::Oid(v);
    &str, |v| Datum::Text(v.into());
    &String, |v| Datum::Text(v.as_str().into());
    String, |v| Datum::Text(v.into());
}

impl<T: Cell> Cell for Option<T> {
    fn cell(self) -> Datum {
        self.map_or(Datum::Null, T::cell)
    }
}

/// One row, its cells in attribute order.
macro_rules! row {
    ($($value:expr),* $(,)?) => { vec![$($crate::catalog::system::cell::Cell::cell($value)),*] };
}
pub(super) use row;

/// NULL, whatever the column's type.
pub(super) const NULL: Datum = Datum::Null;

/// int2[]
pub(super) fn int2_array(values: &[i16]) -> Datum {
    Datum::Array(Arc::new(Array::of(oid::INT2, values.iter().copied().map(Datum::Int2).collect())))
}

/// oid[]
pub(super) fn oid_array(values: &[Oid]) -> Datum {
    Datum::Array(Arc::new(Array::of(oid::OID, values.iter().copied().map(Datum::Oid).collect())))
}

/// int2vector
pub(super) fn int2_vector(values: &[i16]) -> Datum {
    vector(oid::INT2, values.iter().copied().map(Datum::Int2).collect())
}

/// oidvector
pub(super) fn oid_vector(values: &[Oid]) -> Datum {
    vector(oid::OID, values.iter().copied().map(Datum::Oid).collect())
}

fn vector(element: Oid, items: Vec<Datum>) -> Datum {
    let dims = vec![ArrayDim { len: items.len() as i32, lower: 0 }];
    Datum::Array(Arc::new(Array { element, dims, items }))
}

/// Whether a row has the key's value.
fn has(row: &[Datum], key: &Key<'_>) -> bool {
    let value = &row[key.attribute as usize - 1];
    !value.is_null() && compare::compare(value, key.value).is_eq()
}

/// The rows of the relation's file and these, as far as they have the key's value.
pub(super) fn and_built_in(
    relation: &'static SystemRelation,
    key: Option<Key<'_>>,
    rows: Vec<Vec<Datum>>,
) -> SystemRows {
    let built_in = files::table(relation).rows(key);
    Box::new(built_in.chain(own(key, rows)))
}

/// These rows, as far as they have the key's value.
pub(super) fn only(key: Option<Key<'_>>, rows: Vec<Vec<Datum>>) -> SystemRows {
    Box::new(own(key, rows))
}

fn own(key: Option<Key<'_>>, mut rows: Vec<Vec<Datum>>) -> impl Iterator<Item = Result<Vec<Datum>>> + Send + use<> {
    if let Some(key) = key {
        rows.retain(|row| has(row, &key));
    }
    rows.into_iter().map(Ok)
}
