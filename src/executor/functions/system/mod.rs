//! System information functions: names and visibility, the session, privileges, sizes, and the rows behind PostgreSQL's system views.
//!
//! All ask the session through `CallContext::host`; none keeps state. Deliberately absent, so that a call is 0A000: what
//! would need replication, physical log positions or server files; the addresses of connections (there is no inet type yet).

mod names;
mod privileges;
mod session;
mod sets;
mod sizes;
mod statistics;

use super::{CallContext, Implementation};
use crate::catalog::builtin;
use crate::catalog::image::Relation;
use crate::catalog::names::Namespace;
use crate::error::{Error, Result, SqlState};
use crate::types::{Datum, Oid, Type};
use std::sync::Arc;

/// The tables of this folder's modules.
pub(super) static TABLES: &[&[Implementation]] = &[
    names::SIMPLE,
    names::ROWS,
    privileges::ROWS,
    privileges::SETS,
    session::SIMPLE,
    session::ROWS,
    session::ADVISORY,
    session::NOTIFY,
    sets::TABLE,
    sets::EMPTY,
    sizes::TABLE,
    statistics::KNOWN,
    statistics::UNKNOWN,
];

/// Asks the catalog with the session's search path.
fn with_names<T>(ctx: &CallContext, ask: impl FnOnce(Namespace<'_>) -> T) -> T {
    let (image, path) = (ctx.host.catalog(), ctx.host.search_path(true));
    ask(Namespace { image: &image, path: &path })
}

/// The relation of an oid.
fn relation(ctx: &CallContext, oid: Oid) -> Option<Arc<Relation>> {
    ctx.host.catalog().relations.get(&oid).cloned()
}

/// The relation that a name means, read as regclass's input does.
fn relation_named(ctx: &CallContext, name: &str) -> Result<Oid> {
    ctx.host.read(crate::types::oid::REGCLASS, name)
}

/// Rows of a function with OUT columns, as records of their types.
fn records(function: &str, rows: Vec<Vec<Datum>>) -> Box<dyn Iterator<Item = Result<Datum>> + Send> {
    let types = column_types(function);
    Box::new(rows.into_iter().map(move |row| Ok(record(&types, row))))
}

fn record(types: &[Type], row: Vec<Datum>) -> Datum {
    Datum::Record(types.iter().copied().zip(row).collect())
}

/// The types of a function's OUT columns.
fn column_types(function: &str) -> Vec<Type> {
    let columns = builtin::functions_named(function).first().and_then(|function| builtin::out_columns(function.oid));
    columns.unwrap_or_default().into_iter().map(|(_, ty)| Type::new(ty)).collect()
}

fn invalid(message: String) -> Error {
    Error::new(SqlState::InvalidParameterValue, message)
}

fn text(value: impl AsRef<str>) -> Datum {
    Datum::Text(value.as_ref().into())
}
