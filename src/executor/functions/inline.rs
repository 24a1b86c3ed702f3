//! `functions!`: functions of one line, written as rows of the table itself; longer ones use `macros::strict!`.
//!
//! ```text
//! functions! {
//!     TABLE:
//!     raises int4pl(a: i32, b: i32) -> i32 = a.checked_add(b).ok_or_else(|| out_of_range("integer"));
//!     safe   int4eq(a: i32, b: i32) -> bool = a == b;
//!     raises(ctx) text_date(a: &str) -> Date = …;
//! }
//! ```
//! `raises`: the body is a `Result`; `safe`: a plain value, and the function never fails. Arguments are borrowed from the
//! [`Datum`]s by [`Arg`]; `Option` takes NULL (of functions that are not strict). Results are made by [`IntoDatum`].

use crate::error::{Error, Result};
use crate::types::jsonb::{Jsonb, View};
use crate::types::numeric::Numeric;
use crate::types::{Array, Datum, Interval, Oid, Text};
use bytes::Bytes;
use std::sync::Arc;

/// An argument's Rust form.
pub(super) trait Arg<'a>: Sized {
    /// From a value of the declared type.
    ///
    /// # Errors
    /// XX000 when the binder passed another type.
    fn of(value: &'a Datum) -> Result<Self>;
}

fn mismatch<T>(value: &Datum) -> Result<T> {
    Err(Error::internal(format!("a function was called with {value:?}")))
}

macro_rules! args {
    ($($variant:ident => $ty:ty, |$v:ident| $out:expr;)*) => {$(
        impl<'a> Arg<'a> for $ty {
            #[inline]
            fn of(value: &'a Datum) -> Result<Self> {
                match value {
                    Datum::$variant($v) => Ok($out),
                    other => mismatch(other),
                }
            }
        }
    )*};
}

args! {
    Bool => bool, |v| *v;
    Char => u8, |v| *v;
    Int2 => i16, |v| *v;
    Int4 => i32, |v| *v;
    Int8 => i64, |v| *v;
    Float4 => f32, |v| *v;
    Float8 => f64, |v| *v;
    Numeric => &'a Numeric, |v| v;
    Bytea => &'a [u8], |v| v;
    Jsonb => View<'a>, |v| v.view();
    Interval => Interval, |v| *v;
    Uuid => &'a [u8; 16], |v| v;
    Oid => Oid, |v| *v;
    Array => &'a Array, |v| v;
}

impl<'a> Arg<'a> for &'a str {
    #[inline]
    fn of(value: &'a Datum) -> Result<Self> {
        match value {
            Datum::Text(v) | Datum::Padded(v) => Ok(v),
            other => mismatch(other),
        }
    }
}

impl<'a> Arg<'a> for &'a Datum {
    fn of(value: &'a Datum) -> Result<Self> {
        Ok(value)
    }
}

impl<'a, T: Arg<'a>> Arg<'a> for Option<T> {
    fn of(value: &'a Datum) -> Result<Self> {
        if value.is_null() { Ok(None) } else { T::of(value).map(Some) }
    }
}

/// A result's way back.
pub(super) trait IntoDatum {
    /// The SQL value.
    fn into_datum(self) -> Datum;
}

macro_rules! results {
    ($($ty:ty, |$v:ident| $out:expr;)*) => {$(
        impl IntoDatum for $ty {
            #[inline]
            fn into_datum(self) -> Datum {
                let $v = self;
                $out
            }
        }
    )*};
}

results! {
    Datum, |v| v;
    bool, |v| Datum::Bool(v);
    u8, |v| Datum::Char(v);
    i16, |v| Datum::Int2(v);
    i32, |v| Datum::Int4(v);
    i64, |v| Datum::Int8(v);
    f32, |v| Datum::Float4(v);
    f64, |v| Datum::Float8(v);
    Numeric, |v| Datum::Numeric(v);
    Text, |v| Datum::Text(v);
    String, |v| Datum::Text(v.into());
    &str, |v| Datum::Text(v.into());
    Bytes, |v| Datum::Bytea(v);
    Jsonb, |v| Datum::Jsonb(v);
    View<'_>, |v| Datum::Jsonb(v.to_jsonb());
    Vec<u8>, |v| Datum::Bytea(v.into());
    Interval, |v| Datum::Interval(v);
    [u8; 16], |v| Datum::Uuid(v);
    Oid, |v| Datum::Oid(v);
    Array, |v| Datum::Array(Arc::new(v));
    Arc<Array>, |v| Datum::Array(v);
}

impl<T: IntoDatum> IntoDatum for Option<T> {
    fn into_datum(self) -> Datum {
        self.map_or(Datum::Null, T::into_datum)
    }
}

/// See the module.
macro_rules! functions {
    ($table:ident: $($kind:ident $(($ctx:ident))? $symbol:ident ($($arg:ident: $ty:ty),*) -> $result:ty = $body:expr;)*) => {
        /// The functions of this module by symbol.
        pub(in crate::executor::functions) static $table: &[$crate::executor::functions::Implementation] = &[$(
            $crate::executor::functions::Implementation {
                symbol: stringify!($symbol),
                can_raise: functions!(@raises $kind),
                form: $crate::executor::functions::Form::Scalar({
                    #[allow(non_snake_case, unused_variables, unused_mut, clippy::unnecessary_wraps)]
                    fn form(
                        context: &$crate::executor::functions::CallContext,
                        args: &[$crate::types::Datum],
                    ) -> $crate::error::Result<$crate::types::Datum> {
                        $(let $ctx = context;)?
                        let mut values = args.iter();
                        $(let $arg: $ty = $crate::executor::functions::inline::next(&mut values)?;)*
                        let result: $result = functions!(@body $kind $body);
                        Ok($crate::executor::functions::inline::IntoDatum::into_datum(result))
                    }
                    form
                }),
            },
        )*];
    };
    (@raises raises) => { true };
    (@raises safe) => { false };
    (@body raises $body:expr) => { $body? };
    (@body safe $body:expr) => { $body };
}
pub(super) use functions;

/// The next argument.
#[inline]
pub(super) fn next<'a, T: Arg<'a>>(values: &mut std::slice::Iter<'a, Datum>) -> Result<T> {
    match values.next() {
        Some(value) => T::of(value),
        None => Err(Error::internal("a function was called with too few arguments")),
    }
}
