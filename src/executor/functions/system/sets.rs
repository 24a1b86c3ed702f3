//! The rows behind system views and other set-returning system functions.

use super::super::macros::strict;
use super::super::{CallContext, Form, Implementation};
use super::{records, text};
use crate::catalog::builtin;
use crate::error::Result;
use crate::types::{Datum, Type, oid};

type Rows = Box<dyn Iterator<Item = Result<Datum>> + Send>;

fn nothing(_: &CallContext, _: &[Datum]) -> Result<Rows> {
    Ok(Box::new(std::iter::empty()))
}

fn show_all_settings(ctx: &CallContext, _: &[Datum]) -> Result<Rows> {
    Ok(records("pg_show_all_settings", ctx.host.rows("show_all_settings")?))
}

/// All sessions, or the one of a pid.
fn pg_stat_get_activity(ctx: &CallContext, args: &[Datum]) -> Result<Rows> {
    let mut rows = ctx.host.rows("pg_stat_get_activity")?;
    if let Some(Datum::Int4(pid)) = args.first() {
        rows.retain(|row| matches!(row.get(1), Some(Datum::Int4(own)) if own == pid));
    }
    Ok(records("pg_stat_get_activity", rows))
}

fn pg_lock_status(ctx: &CallContext, _: &[Datum]) -> Result<Rows> {
    Ok(records("pg_lock_status", ctx.host.rows("pg_lock_status")?))
}

fn pg_cursor(ctx: &CallContext, _: &[Datum]) -> Result<Rows> {
    Ok(records("pg_cursor", ctx.host.rows("pg_cursor")?))
}

fn pg_prepared_statement(ctx: &CallContext, _: &[Datum]) -> Result<Rows> {
    Ok(records("pg_prepared_statement", ctx.host.rows("pg_prepared_statement")?))
}

fn pg_get_shmem_allocations(ctx: &CallContext, _: &[Datum]) -> Result<Rows> {
    Ok(records("pg_get_shmem_allocations", ctx.host.rows("pg_get_shmem_allocations")?))
}

/// PostgreSQL's keywords, their categories, and whether they can be labels without AS.
fn pg_get_keywords(_: &CallContext, _: &[Datum]) -> Result<Rows> {
    let rows = builtin::rows("pg_get_keywords").1.map(|row| {
        let category = row[1].as_bytes().first().copied().unwrap_or(b'U');
        vec![text(row[0]), Datum::Char(category), Datum::Bool(row[2] == "t"), text(row[3]), text(row[4])]
    });
    Ok(records("pg_get_keywords", rows.collect()))
}

/// (value, position from 1) of each element.
#[allow(non_snake_case)]
fn _pg_expandarray(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let Datum::Array(array) = &args[0] else { return nothing_rows() };
    let element = Type::new(array.element);
    let items = array.items.clone();
    Ok(Box::new(items.into_iter().enumerate().map(move |(at, item)| {
        Ok(Datum::Record([(element, item), (Type::new(oid::INT4), Datum::Int4(at as i32 + 1))].into()))
    })))
}

fn nothing_rows() -> Result<Rows> {
    Ok(Box::new(std::iter::empty()))
}

/// `name=value` options as (name, value).
fn pg_options_to_table(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let Datum::Array(options) = &args[0] else { return nothing_rows() };
    let rows = options.items.iter().filter_map(|item| match item {
        Datum::Text(option) => Some(match option.split_once('=') {
            Some((name, value)) => vec![text(name), text(value)],
            None => vec![text(option), Datum::Null],
        }),
        _ => None,
    });
    Ok(records("pg_options_to_table", rows.collect()))
}

/// (name, setting): how the server was built, as far as there is anything to say.
fn pg_config(ctx: &CallContext, _: &[Datum]) -> Result<Rows> {
    let version = ctx.host.setting("server_version").unwrap_or_default();
    Ok(records("pg_config", vec![vec![text("VERSION"), text(format!("PostgreSQL {version}"))]]))
}

strict! {
    TABLE:
    pg_config = set;
    show_all_settings = set;
    pg_stat_get_activity = set;
    pg_lock_status = set;
    pg_cursor = set;
    pg_prepared_statement = set;
    pg_get_shmem_allocations = set;
    pg_get_keywords = set;
    _pg_expandarray = set;
    pg_options_to_table = set;
}

macro_rules! empty {
    ($($symbol:literal),* $(,)?) => {
        &[$(Implementation { symbol: $symbol, form: Form::Set(nothing), can_raise: false }),*]
    };
}

/// What this server never has: extensions, replication, partitions, prepared transactions, configuration files of PostgreSQL's
/// kind, progress reports, memory contexts.
pub(super) static EMPTY: &[Implementation] = empty! {
    "pg_available_extensions",
    "pg_get_backend_memory_contexts",
    "pg_available_extension_versions",
    "pg_get_replication_slots",
    "pg_get_publication_tables",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_listening_channels",
    "pg_partition_ancestors",
    "pg_partition_tree",
    "pg_prepared_xact",
    "pg_show_replication_origin_status",
    "pg_stat_get_progress_info",
    "pg_stat_get_recovery_prefetch",
    "pg_stat_get_slru",
    "pg_stat_get_subscription",
    "pg_stat_get_wal_senders",
    "pg_stats_ext_mcvlist_items",
    "show_all_file_settings",
};
