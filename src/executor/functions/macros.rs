//! `strict!`: from a plain Rust function over borrowed values to an entry of the table of implementations.
//!
//! ```text
//! fn int4pl(_: &CallContext, a: i32, b: i32) -> Result<i32> { … }
//! fn textcat(_: &CallContext, a: &str, b: &str, out: &mut String) -> Result<()> { … }
//! strict! {
//!     TABLE:
//!     int4pl: (Int4, Int4) -> Int4;
//!     int4eq: (Int4, Int4) -> Bool, safe;
//!     textcat: (Text, Text) -> TextOut, safe;
//!     overlaps_time = row;
//!     generate_series_int4 = set;
//! }
//! ```
//! The names in the signature are the marker types of [`sql`]. `safe` says that the function raises no error on any value
//! of its types; `row`, `safe_row` and `set` take a function that is a row form or a set form already (not strict, or of many types).

use super::{CallContext, Form, Implementation};
use crate::error::{Error, Result};
use crate::types::Datum;

/// A SQL type as an argument: how a borrowed Rust value is got from a datum.
pub(super) trait SqlType {
    /// The value as functions take it.
    type Ref<'a>;
    /// The value of a datum of this type.
    fn of(datum: &Datum) -> Option<Self::Ref<'_>>;
}

/// A SQL type as a result.
pub(super) trait SqlResult {
    /// The value as functions return it.
    type Value;
    /// The datum.
    fn datum(value: Self::Value) -> Datum;
}

/// The marker types that signatures are written with.
pub(super) mod sql {
    use super::{SqlResult, SqlType};
    use crate::types::{self, Datum, numeric};

    macro_rules! plain {
        ($($name:ident: $value:ty;)*) => {
            $(
                #[allow(dead_code)] // a marker, never a value
                pub(crate) struct $name;

                impl SqlType for $name {
                    type Ref<'a> = $value;
                    fn of(datum: &Datum) -> Option<$value> {
                        match datum {
                            Datum::$name(value) => Some(*value),
                            _ => None,
                        }
                    }
                }

                impl SqlResult for $name {
                    type Value = $value;
                    fn datum(value: $value) -> Datum {
                        Datum::$name(value)
                    }
                }
            )*
        };
    }

    plain! {
        Bool: bool;
        Char: u8;
        Int2: i16;
        Int4: i32;
        Int8: i64;
        Float4: f32;
        Float8: f64;
        Date: i32;
        Time: i64;
        Timestamp: i64;
        TimestampTz: i64;
        Interval: types::Interval;
        Uuid: [u8; 16];
        Oid: types::Oid;
    }

    /// numeric
    pub(crate) struct Numeric;

    impl SqlType for Numeric {
        type Ref<'a> = &'a numeric::Numeric;
        fn of(datum: &Datum) -> Option<&numeric::Numeric> {
            match datum {
                Datum::Numeric(value) => Some(value),
                _ => None,
            }
        }
    }

    impl SqlResult for Numeric {
        type Value = numeric::Numeric;
        fn datum(value: numeric::Numeric) -> Datum {
            Datum::Numeric(value)
        }
    }

    /// text and its kin.
    pub(crate) struct Text;

    impl SqlType for Text {
        type Ref<'a> = &'a str;
        fn of(datum: &Datum) -> Option<&str> {
            match datum {
                Datum::Text(value) | Datum::Padded(value) => Some(value.as_str()),
                _ => None,
            }
        }
    }

    impl SqlResult for Text {
        type Value = types::Text;
        fn datum(value: types::Text) -> Datum {
            Datum::Text(value)
        }
    }

    /// timetz: microseconds and seconds west of UTC.
    pub(crate) struct TimeTz;

    impl SqlType for TimeTz {
        type Ref<'a> = (i64, i32);
        fn of(datum: &Datum) -> Option<(i64, i32)> {
            match datum {
                Datum::TimeTz(micros, west) => Some((*micros, *west)),
                _ => None,
            }
        }
    }

    impl SqlResult for TimeTz {
        type Value = (i64, i32);
        fn datum((micros, west): (i64, i32)) -> Datum {
            Datum::TimeTz(micros, west)
        }
    }

    /// Any value, or a result that may be NULL.
    pub(crate) struct Any;

    impl SqlType for Any {
        type Ref<'a> = &'a Datum;
        fn of(datum: &Datum) -> Option<&Datum> {
            Some(datum)
        }
    }

    impl SqlResult for Any {
        type Value = Datum;
        fn datum(value: Datum) -> Datum {
            value
        }
    }
}

/// The next argument of a strict function.
pub(super) fn argument<'a, T: SqlType>(args: &mut std::slice::Iter<'a, Datum>) -> Result<T::Ref<'a>> {
    args.next().and_then(T::of).ok_or_else(|| Error::internal("a function was given an argument of another type"))
}

/// An entry for a row form.
pub(super) const fn scalar(
    symbol: &'static str,
    form: fn(&CallContext, &[Datum]) -> Result<Datum>,
    can_raise: bool,
) -> Implementation {
    Implementation { symbol, form: Form::Scalar(form), can_raise }
}

/// Makes a table of implementations. See the module's documentation.
macro_rules! strict {
    ($table:ident: $($symbol:ident $(: ($($arg:ident),*) -> $result:ident)? $(, $safe:ident)? $(= $kind:ident)?;)*) => {
        pub(in crate::executor::functions) static $table: &[$crate::executor::functions::Implementation] = &[
            $($crate::executor::functions::macros::strict!(
                @entry $symbol $(: ($($arg),*) -> $result)? $(, $safe)? $(= $kind)?
            )),*
        ];
    };

    (@entry $symbol:ident: ($($arg:ident),*) -> $result:ident) => {
        $crate::executor::functions::macros::scalar(
            stringify!($symbol),
            $crate::executor::functions::macros::strict!(@form $symbol ($($arg),*) $result),
            true,
        )
    };
    (@entry $symbol:ident: ($($arg:ident),*) -> $result:ident, safe) => {
        $crate::executor::functions::macros::scalar(
            stringify!($symbol),
            $crate::executor::functions::macros::strict!(@form $symbol ($($arg),*) $result),
            false,
        )
    };
    (@entry $symbol:ident = row) => {
        $crate::executor::functions::macros::scalar(stringify!($symbol), $symbol, true)
    };
    (@entry $symbol:ident = safe_row) => {
        $crate::executor::functions::macros::scalar(stringify!($symbol), $symbol, false)
    };
    (@entry $symbol:ident = set) => {
        $crate::executor::functions::Implementation {
            symbol: stringify!($symbol),
            form: $crate::executor::functions::Form::Set($symbol),
            can_raise: true,
        }
    };

    (@form $symbol:ident ($($arg:ident),*) TextOut) => {
        |ctx, args| {
            let mut args = args.iter();
            let mut out = String::new();
            $symbol(
                ctx,
                $($crate::executor::functions::macros::argument::<$crate::executor::functions::macros::sql::$arg>(
                    &mut args,
                )?,)*
                &mut out,
            )?;
            // The call above has taken them all.
            debug_assert!(args.next().is_none());
            Ok($crate::types::Datum::Text(out.into()))
        }
    };
    (@form $symbol:ident ($($arg:ident),*) $result:ident) => {
        |ctx, args| {
            #[allow(unused_mut)] // a function without arguments takes none
            let mut args = args.iter();
            let value = $symbol(
                ctx,
                $($crate::executor::functions::macros::argument::<$crate::executor::functions::macros::sql::$arg>(
                    &mut args,
                )?,)*
            )?;
            debug_assert!(args.len() == 0);
            Ok(<$crate::executor::functions::macros::sql::$result as $crate::executor::functions::macros::SqlResult>::datum(
                value,
            ))
        }
    };
}

pub(super) use strict;
