//! SQL functions: each written once as a plain Rust function over borrowed values, named by PostgreSQL's internal
//! symbol (`prosrc`), and entered in one table.
//!
//! ```ignore
//! fn int4pl(_: &CallContext, a: i32, b: i32) -> Result<i32> { a.checked_add(b).ok_or_else(|| out_of_range("integer")) }
//! fn textcat(_: &CallContext, a: &str, b: &str, out: &mut TextOut) -> Result<()> { out.push_str(a); out.push_str(b); Ok(()) }
//! strict! { int4pl: (Int4, Int4) -> Int4; textcat: (Text, Text) -> TextOut; }
//! ```
//! `strict!` makes the row form ([`RowForm`]); `batch` derives the batch form from it (null mask, constants broadcast, selected rows only).

pub mod aggregate;
mod arithmetic;
mod array;
pub mod batch;
mod bytea;
mod cast;
mod comparison;
pub mod concat;
mod datetime;
pub(in crate::executor) mod definition;
mod domains;
pub(crate) mod enums;
mod formatting;
mod hash;
mod inline;
pub mod json;
mod macros;
mod math;
mod misc;
mod pattern;
mod regexp;
pub mod registry;
mod sequence;
mod series;
pub mod string;
mod system;
pub mod window;

pub use registry::implementation;

use crate::error::Result;
use crate::types::{Datum, Oid};

/// A function of pg_proc: its signature from PostgreSQL 15's catalog, its implementation from this module's table.
///
/// One static instance per pg_proc row (see `catalog::builtin`); two are equal when their oids are.
#[derive(Debug)]
pub struct Function {
    /// Oid in pg_proc.
    pub oid: Oid,
    /// `proname`
    pub name: &'static str,
    /// `prosrc`: the key of the implementation.
    pub symbol: &'static str,
    /// `proargtypes`
    pub args: &'static [Oid],
    /// `prorettype`
    pub result: Oid,
    /// `proretset`
    pub set: bool,
    /// `proisstrict`: NULL in, NULL out, not called.
    pub strict: bool,
    /// `provolatile`
    pub volatility: Volatility,
    /// `provariadic`: element type of the last argument, or none.
    pub variadic: Oid,
    /// `prokind`
    pub kind: FunctionKind,
    /// The implementation; `None` answers 0A000 by name.
    pub implementation: Option<&'static Implementation>,
}

/// `provolatile`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

/// `prokind`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FunctionKind {
    Function,
    Aggregate,
    Window,
    Procedure,
}

/// The row form: arguments (never NULL for strict functions) to a value.
pub type RowForm = fn(&CallContext, &[Datum]) -> Result<Datum>;

/// A set-returning function's row form: gives the rows; a record-returning one gives [`Datum::Record`]s.
pub type SetForm = fn(&CallContext, &[Datum]) -> Result<Rows>;

/// The rows of a set.
pub type Rows = Box<dyn Iterator<Item = Result<Datum>> + Send>;

/// How a function is computed.
#[derive(Debug)]
pub struct Implementation {
    /// `prosrc`
    pub symbol: &'static str,
    /// The form.
    pub form: Form,
    /// Whether it can raise an error on some input of its types.
    pub can_raise: bool,
}

/// Scalar or set-returning.
pub enum Form {
    /// One value per call.
    Scalar(RowForm),
    /// Rows per call.
    Set(SetForm),
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Form::Scalar(_) => "Scalar",
            Form::Set(_) => "Set",
        })
    }
}

/// All that a function may depend on besides its arguments, fixed at the statement's start.
pub struct CallContext {
    /// `TimeZone`
    pub time_zone: jiff::tz::TimeZone,
    /// `DateStyle`, `IntervalStyle`, `bytea_output`, `extra_float_digits`.
    pub format: crate::types::format::FormatSettings,
    /// Microseconds since 2000-01-01 UTC: transaction_timestamp() = now().
    pub transaction_time: i64,
    /// statement_timestamp().
    pub statement_time: i64,
    /// What reaches beyond pure computation: settings, catalog, sequences, roles. See [`Host`].
    pub host: std::sync::Arc<dyn Host>,
}

impl CallContext {
    /// What the types' text forms depend on.
    pub fn text(&self) -> crate::types::text_io::TextContext<'_> {
        crate::types::text_io::TextContext {
            format: &self.format,
            time_zone: &self.time_zone,
            now: self.transaction_time,
            names: &*self.host,
        }
    }
}

/// What system information functions and functions with effects ask of the session. Implemented by the session and executor.
pub trait Host: Send + Sync + crate::types::text_io::Names {
    /// The catalog as the statement sees it.
    fn catalog(&self) -> std::sync::Arc<crate::catalog::image::Image>;
    /// `current_setting`; `None` when there is no such setting.
    fn setting(&self, name: &str) -> Option<String>;
    /// `set_config`
    fn set_setting(&self, name: &str, value: &str, local: bool) -> Result<String>;
    /// current_user, session_user.
    fn user(&self, session: bool) -> String;
    /// current_database()
    fn database(&self) -> String;
    /// The schemas of the search path that exist, implicit ones (pg_temp, pg_catalog) when asked.
    fn search_path(&self, implicit: bool) -> Vec<Oid>;
    /// pg_backend_pid()
    fn backend_pid(&self) -> i32;
    /// nextval; `Err` with a waiter never.
    fn nextval(&self, sequence: Oid) -> Result<i64>;
    /// currval (55000 when nextval was not called in this session) and lastval (`None`).
    fn currval(&self, sequence: Option<Oid>) -> Result<i64>;
    /// setval
    fn setval(&self, sequence: Oid, value: i64, called: bool) -> Result<i64>;
    /// A sequence's last value, NULL before its first nextval.
    fn sequence_value(&self, sequence: Oid) -> Result<Datum> {
        Err(crate::error::Error::unsupported(format!("the value of sequence {sequence} here")))
    }
    /// A sequence's last value (or its first), and whether it has been given out.
    fn sequence_state(&self, sequence: Oid) -> Result<(i64, bool)> {
        Err(crate::error::Error::unsupported(format!("the value of sequence {sequence} here")))
    }
    /// The `pg_advisory_*` family: returns whether the lock was taken (or released).
    fn advisory(&self, request: AdvisoryRequest) -> Result<bool>;
    /// pg_cancel_backend / pg_terminate_backend.
    fn signal_backend(&self, pid: i32, terminate: bool) -> Result<bool>;
    /// Roughly how many rows a table has now.
    fn row_estimate(&self, _table: Oid) -> Option<i64> {
        None
    }
    /// Bytes on disk of a database's relations.
    fn database_size(&self, _database: Oid) -> Result<i64> {
        Err(crate::error::Error::unsupported("the size of a database here"))
    }
    /// pg_notify
    fn notify(&self, _channel: &str, _payload: &str) -> Result<()> {
        Err(crate::error::Error::unsupported("NOTIFY"))
    }
    /// pg_listening_channels
    fn listening(&self) -> Vec<String> {
        Vec::new()
    }
    /// Bytes on disk of a relation (pg_relation_size, …), `None` when it does not exist.
    fn relation_size(&self, relation: Oid) -> Option<i64>;
    /// The rows that only the session and the server know, in the columns of the function of this name (pg_stat_get_activity,
    /// pg_lock_status, pg_cursor, pg_prepared_statement, show_all_settings).
    fn rows(&self, function: &str) -> Result<Vec<Vec<Datum>>> {
        Err(crate::error::Error::unsupported(format!("{function}()")))
    }
    /// The session's next random number, from 0 to below 1.
    fn random(&self) -> f64 {
        rand::random()
    }
    /// setseed: from here on [`Host::random`] gives the numbers of this seed.
    fn seed_random(&self, _seed: f64) -> Result<()> {
        Err(crate::error::Error::unsupported("setseed outside of a session"))
    }
    /// pg_sleep: holds up this session alone, until `micros` have passed or the statement (begun at `started`) is to end.
    fn sleep(&self, _micros: i64, _started: i64) -> Result<()> {
        Err(crate::error::Error::unsupported("pg_sleep outside of a session"))
    }
    /// Other facts by name ("pg_postmaster_start_time", "txid_current", "inet_server_port", …), a small open set.
    fn fact(&self, name: &str) -> Result<Datum>;
}

/// One advisory-lock call.
#[derive(Clone, Copy, Debug)]
pub struct AdvisoryRequest {
    /// The two halves of the key.
    pub key: (u32, u32),
    /// Whether the key is one int8 (else two int4).
    pub single: bool,
    /// Shared instead of exclusive.
    pub shared: bool,
    /// Held by the transaction instead of the session.
    pub transaction: bool,
    /// lock, try_lock, unlock, unlock_all
    pub action: AdvisoryAction,
}

/// What an advisory-lock call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AdvisoryAction {
    Lock,
    TryLock,
    Unlock,
    UnlockAll,
}

/// An aggregate's running state for one group (or one window frame).
pub trait Accumulator: Send + Sync {
    /// Takes one row's arguments. Strict aggregates skip NULLs themselves.
    fn add(&mut self, ctx: &CallContext, args: &[Datum]) -> Result<()>;
    /// The result; the state stays valid (window frames ask repeatedly).
    fn result(&self, ctx: &CallContext) -> Result<Datum>;
    /// Takes a row out again, for moving frames; `false`: not possible, recompute.
    fn remove(&mut self, _ctx: &CallContext, _args: &[Datum]) -> Result<bool> {
        Ok(false)
    }
    /// Heap bytes held, for the memory account.
    fn memory(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests;
