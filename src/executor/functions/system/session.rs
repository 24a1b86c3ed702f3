//! The session and the server: version, users, settings, transactions, advisory locks, other backends, indexes' properties.

use super::super::inline::functions;
use super::super::macros::scalar;
use super::super::{AdvisoryAction, AdvisoryRequest, CallContext, Implementation};
use super::relation;
use crate::catalog::image::{Body, RelationKind};
use crate::error::{Error, Result, SqlState};
use crate::sql::bind::updatable;
use crate::types::{Array, Datum, Oid, oid};

/// What `version()` says: PostgreSQL's version that we are compatible with, then who we are.
fn version(ctx: &CallContext) -> String {
    let compatible = ctx.host.setting("server_version").unwrap_or_default();
    let (name, own) = ("Lightning DB", env!("CARGO_PKG_VERSION"));
    format!("PostgreSQL {compatible} ({name} {own}) on {}-{}, 64-bit", std::env::consts::ARCH, std::env::consts::OS)
}

fn schema_name(ctx: &CallContext, schema: Oid) -> Option<String> {
    ctx.host.catalog().schemas.get(&schema).map(|schema| schema.name.clone())
}

fn schemas(ctx: &CallContext, implicit: bool) -> Array {
    let names = ctx.host.search_path(implicit).into_iter().filter_map(|schema| schema_name(ctx, schema));
    Array::of(oid::NAME, names.map(super::text).collect())
}

fn setting(ctx: &CallContext, name: &str) -> Result<String> {
    ctx.host.setting(name).ok_or_else(|| {
        Error::new(SqlState::UndefinedObject, format!("unrecognized configuration parameter \"{name}\""))
    })
}

fn set_config(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let Datum::Text(name) = &args[0] else {
        return Err(Error::new(SqlState::NullValueNotAllowed, "SET requires parameter name"));
    };
    let value = match &args[1] {
        Datum::Text(value) => value.as_str(),
        _ => "",
    };
    let local = matches!(args[2], Datum::Bool(true));
    ctx.host.set_setting(name, value, local).map(super::text)
}

fn fact<T>(ctx: &CallContext, name: &str, of: impl FnOnce(Datum) -> Option<T>) -> Result<T> {
    let value = ctx.host.fact(name)?;
    of(value).ok_or_else(|| Error::internal(format!("{name} is of another type")))
}

fn transaction_id(ctx: &CallContext) -> Result<i64> {
    fact(ctx, "txid_current", |value| match value {
        Datum::Int8(id) => Some(id),
        _ => None,
    })
}

/// Transactions since one: the present one's number less that one's, in 32 bits; the frozen ones are infinitely old.
fn age(ctx: &CallContext, id: Oid) -> Result<i32> {
    let now = transaction_id(ctx)? as u32;
    Ok(if id.0 < 3 { i32::MAX } else { now.wrapping_sub(id.0) as i32 })
}

/// PostgreSQL's encodings, by their numbers.
const ENCODINGS: [&str; 42] = [
    "SQL_ASCII",
    "EUC_JP",
    "EUC_CN",
    "EUC_KR",
    "EUC_TW",
    "EUC_JIS_2004",
    "UTF8",
    "MULE_INTERNAL",
    "LATIN1",
    "LATIN2",
    "LATIN3",
    "LATIN4",
    "LATIN5",
    "LATIN6",
    "LATIN7",
    "LATIN8",
    "LATIN9",
    "LATIN10",
    "WIN1256",
    "WIN1258",
    "WIN866",
    "WIN874",
    "KOI8R",
    "WIN1251",
    "WIN1252",
    "ISO_8859_5",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
    "WIN1250",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1257",
    "KOI8U",
    "SJIS",
    "BIG5",
    "GBK",
    "UHC",
    "GB18030",
    "JOHAB",
    "SHIFT_JIS_2004",
];

fn encoding_name(number: i32) -> &'static str {
    usize::try_from(number).ok().and_then(|number| ENCODINGS.get(number).copied()).unwrap_or("")
}

/// Names compare without regard to case and punctuation.
fn encoding_number(name: &str) -> i32 {
    let plain = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let name = match plain(name).as_str() {
        "unicode" => "utf8".to_owned(),
        other => other.to_owned(),
    };
    ENCODINGS.iter().position(|encoding| plain(encoding) == name).map_or(-1, |number| number as i32)
}

fn is_temporary(name: &str) -> bool {
    name.starts_with("pg_temp_") || name.starts_with("pg_toast_temp_")
}

fn my_temp_schema(ctx: &CallContext) -> Oid {
    let path = ctx.host.search_path(true);
    let own = path.into_iter().find(|schema| schema_name(ctx, *schema).is_some_and(|name| is_temporary(&name)));
    own.unwrap_or(Oid::NONE)
}

fn is_other_temp_schema(ctx: &CallContext, schema: Oid) -> bool {
    schema != my_temp_schema(ctx) && schema_name(ctx, schema).is_some_and(|name| is_temporary(&name))
}

/// What a btree and its indexes can do; `None` for names that nobody knows.
fn method_property(method: Oid, property: &str) -> Option<bool> {
    if method != Oid(403) {
        return None;
    }
    Some(match property.to_ascii_lowercase().as_str() {
        "can_order" | "can_unique" | "can_multi_col" | "can_exclude" | "can_include" => true,
        _ => return None,
    })
}

fn index_property(ctx: &CallContext, index: Oid, property: &str) -> Option<bool> {
    relation(ctx, index).filter(|relation| relation.kind == RelationKind::Index)?;
    Some(match property.to_ascii_lowercase().as_str() {
        "clusterable" | "backward_scan" | "index_scan" => true,
        "bitmap_scan" => false,
        _ => return None,
    })
}

fn index_column_property(ctx: &CallContext, index: Oid, column: i32, property: &str) -> Option<bool> {
    let relation = relation(ctx, index)?;
    let Body::Index(index) = &relation.body else { return None };
    let at = usize::try_from(column - 1).ok()?;
    let property = property.to_ascii_lowercase();
    let Some(key) = index.keys.get(at) else {
        index.include.get(at - index.keys.len())?;
        return match property.as_str() {
            "orderable" | "distance_orderable" => Some(false),
            "returnable" => Some(true),
            _ => None,
        };
    };
    Some(match property.as_str() {
        "asc" => !key.descending,
        "desc" => key.descending,
        "nulls_first" => key.nulls_first,
        "nulls_last" => !key.nulls_first,
        "orderable" | "returnable" | "search_array" | "search_nulls" => true,
        "distance_orderable" => false,
        _ => return None,
    })
}

/// (start, minimum, maximum, increment, cycle, cache, type) of a sequence.
fn sequence_parameters(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let Datum::Oid(oid) = args[0] else { return Ok(Datum::Null) };
    let found = relation(ctx, oid);
    let Some(Body::Sequence(s)) = found.as_ref().map(|relation| &relation.body) else {
        return Err(not_a_sequence(found.as_deref(), oid));
    };
    let row = vec![
        Datum::Int8(s.start),
        Datum::Int8(s.min),
        Datum::Int8(s.max),
        Datum::Int8(s.increment),
        Datum::Bool(s.cycle),
        Datum::Int8(s.cache),
        Datum::Oid(s.ty),
    ];
    Ok(super::record(&super::column_types("pg_sequence_parameters"), row))
}

fn not_a_sequence(found: Option<&crate::catalog::image::Relation>, oid: Oid) -> Error {
    match found {
        Some(relation) => Error::new(SqlState::WrongObjectType, format!("\"{}\" is not a sequence", relation.name)),
        None => Error::new(SqlState::UndefinedTable, format!("could not open relation with OID {oid}")),
    }
}

fn primary_key(ctx: &CallContext, table: Oid) -> Option<Oid> {
    relation(ctx, table)?.indexes.iter().find(|index| index.primary).map(|index| index.oid)
}

/// What can be written through a relation: 4 UPDATE, 8 INSERT, 16 DELETE.
fn updatable(ctx: &CallContext, oid: Oid) -> i32 {
    let Some(relation) = relation(ctx, oid) else { return 0 };
    match relation.body {
        Body::Table { .. } => 4 | 8 | 16,
        Body::View { .. } => match updatable::written_columns(ctx, &ctx.host.catalog(), &relation) {
            Some(columns) if columns.contains(&true) => 4 | 8 | 16,
            Some(_) => 16,
            None => 0,
        },
        _ => 0,
    }
}

/// Whether a column takes values, by itself or through its view.
fn column_updatable(ctx: &CallContext, oid: Oid, column: i16) -> bool {
    let Some(found) = relation(ctx, oid) else { return false };
    match found.body {
        Body::View { .. } => {
            let columns = updatable::written_columns(ctx, &ctx.host.catalog(), &found);
            columns.is_some_and(|columns| usize::try_from(column - 1).is_ok_and(|at| columns.get(at) == Some(&true)))
        }
        _ => column > 0 && updatable(ctx, oid) != 0,
    }
}

/// Signals another session, with PostgreSQL's rule: one's own role's, or any for superusers.
fn signal(ctx: &CallContext, pid: i32, terminate: bool) -> Result<bool> {
    ctx.host.signal_backend(pid, terminate)
}

fn terminate(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    match (&args[0], args.get(1)) {
        (Datum::Int4(pid), None | Some(Datum::Int8(0))) => signal(ctx, *pid, true).map(Datum::Bool),
        (_, Some(Datum::Int8(timeout))) if *timeout < 0 => {
            Err(Error::new(SqlState::NumericValueOutOfRange, "\"timeout\" must not be negative"))
        }
        _ => Err(Error::unsupported("pg_terminate_backend() that waits")),
    }
}

/// The file node of what is stored; a relation's is its oid.
fn filenode(ctx: &CallContext, oid: Oid) -> Option<Oid> {
    relation(ctx, oid).filter(|relation| !matches!(relation.body, Body::View { .. })).map(|relation| relation.oid)
}

fn is_publishable(ctx: &CallContext, oid: Oid) -> Option<bool> {
    let relation = relation(ctx, oid)?;
    Some(matches!(relation.body, Body::Table { .. }) && !relation.temporary)
}

fn server_port(ctx: &CallContext) -> Result<Datum> {
    Ok(ctx.host.setting("port").and_then(|port| port.parse().ok()).map_or(Datum::Null, Datum::Int4))
}

functions! {
    SIMPLE:
    safe(ctx) pgsql_version() -> String = version(ctx);
    safe(ctx) current_database() -> String = ctx.host.database();
    safe(ctx) current_user() -> String = ctx.host.user(false);
    safe(ctx) session_user() -> String = ctx.host.user(true);
    safe(ctx) current_schema() -> Option<String> =
        ctx.host.search_path(false).first().and_then(|schema| schema_name(ctx, *schema));
    safe(ctx) current_schemas(implicit: bool) -> Array = schemas(ctx, implicit);
    raises(ctx) show_config_by_name(name: &str) -> String = setting(ctx, name);
    safe(ctx) show_config_by_name_missing_ok(name: &str, missing_ok: bool) -> Option<String> = ctx.host.setting(name);
    safe(ctx) pg_backend_pid() -> i32 = ctx.host.backend_pid();
    safe pg_is_in_recovery() -> bool = false;
    raises(ctx) pg_current_xact_id() -> i64 = transaction_id(ctx);
    raises(ctx) xid_age(id: Oid) -> i32 = age(ctx, id);
    safe mxid_age(id: Oid) -> i32 = 0;
    safe PG_encoding_to_char(number: i32) -> &str = encoding_name(number);
    safe PG_char_to_encoding(name: &str) -> i32 = encoding_number(name);
    safe pg_encoding_max_length_sql(number: i32) -> Option<i32> = match number {
        6 => Some(4),
        0 | 8..=34 => Some(1),
        _ => None,
    };
    safe getdatabaseencoding() -> &str = "UTF8";
    safe pg_client_encoding() -> &str = "UTF8";
    raises(ctx) pg_postmaster_start_time() -> Datum = ctx.host.fact("pg_postmaster_start_time");
    raises(ctx) pg_conf_load_time() -> Datum = ctx.host.fact("pg_postmaster_start_time");
    safe pg_tablespace_location(tablespace: Oid) -> &str = "";
    raises(ctx) inet_server_port() -> Datum = server_port(ctx);
    raises(ctx) pg_cancel_backend(pid: i32) -> bool = signal(ctx, pid, false);
    safe(ctx) pg_my_temp_schema() -> Oid = my_temp_schema(ctx);
    safe(ctx) pg_is_other_temp_schema(schema: Oid) -> bool = is_other_temp_schema(ctx, schema);
    safe pg_indexam_has_property(method: Oid, property: &str) -> Option<bool> = method_property(method, property);
    safe(ctx) pg_index_has_property(index: Oid, property: &str) -> Option<bool> = index_property(ctx, index, property);
    safe(ctx) pg_index_column_has_property(index: Oid, column: i32, property: &str) -> Option<bool> =
        index_column_property(ctx, index, column, property);
    safe(ctx) pg_relation_filenode(relation: Oid) -> Option<Oid> = filenode(ctx, relation);
    safe(ctx) pg_relation_is_publishable(relation: Oid) -> Option<bool> = is_publishable(ctx, relation);
    safe pg_partition_root(relation: Oid) -> Option<Oid> = None;
    safe(ctx) pg_get_replica_identity_index(relation: Oid) -> Option<Oid> = primary_key(ctx, relation);
    safe row_security_active(relation: Oid) -> bool = false;
    raises(ctx) row_security_active_name(relation: &str) -> bool = super::relation_named(ctx, relation).map(|_| false);
    safe(ctx) pg_relation_is_updatable(relation: Oid, triggers: bool) -> i32 = updatable(ctx, relation);
    safe(ctx) pg_column_is_updatable(relation: Oid, column: i16, triggers: bool) -> bool =
        column_updatable(ctx, relation, column);
    safe pg_jit_available() -> bool = false;
    safe pg_trigger_depth() -> i32 = 0;
    safe pg_notification_queue_usage() -> f64 = 0.0;
    raises(ctx) pg_sequence_last_value(sequence: Oid) -> Datum = ctx.host.sequence_value(sequence);
}

macro_rules! advisory {
    ($($symbol:literal: $action:ident $(, $flag:ident)*;)*) => { &[$(
        scalar($symbol, |ctx, args| {
            #[allow(unused_mut)]
            let mut request = AdvisoryRequest {
                key: (0, 0),
                single: false,
                shared: false,
                transaction: false,
                action: AdvisoryAction::$action,
            };
            $(request.$flag = true;)*
            advisory_lock(ctx, request, args)
        }, true)
    ),*] };
}

/// The key is one int8 or two int4; `lock` gives void, the others whether it was taken.
fn advisory_lock(ctx: &CallContext, mut request: AdvisoryRequest, args: &[Datum]) -> Result<Datum> {
    match args {
        [Datum::Int8(key)] => {
            request.key = ((*key as u64 >> 32) as u32, *key as u32);
            request.single = true;
        }
        [Datum::Int4(high), Datum::Int4(low)] => request.key = (*high as u32, *low as u32),
        _ => {}
    }
    let taken = ctx.host.advisory(request)?;
    Ok(match request.action {
        AdvisoryAction::Lock | AdvisoryAction::UnlockAll => super::text(""),
        AdvisoryAction::TryLock | AdvisoryAction::Unlock => Datum::Bool(taken),
    })
}

/// pg_notify: NULL is no channel, and an empty payload.
fn notify(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let text = |at: usize| match args.get(at) {
        Some(Datum::Text(text)) => text.as_str(),
        _ => "",
    };
    ctx.host.notify(text(0), text(1))?;
    Ok(super::text(""))
}

/// What other sessions are told.
pub(super) static NOTIFY: &[Implementation] = &[scalar("pg_notify", notify, true)];

/// The advisory locks.
pub(super) static ADVISORY: &[Implementation] = advisory! {
    "pg_advisory_lock_int8": Lock;
    "pg_advisory_lock_int4": Lock;
    "pg_advisory_lock_shared_int8": Lock, shared;
    "pg_advisory_lock_shared_int4": Lock, shared;
    "pg_advisory_xact_lock_int8": Lock, transaction;
    "pg_advisory_xact_lock_int4": Lock, transaction;
    "pg_advisory_xact_lock_shared_int8": Lock, shared, transaction;
    "pg_advisory_xact_lock_shared_int4": Lock, shared, transaction;
    "pg_try_advisory_lock_int8": TryLock;
    "pg_try_advisory_lock_int4": TryLock;
    "pg_try_advisory_lock_shared_int8": TryLock, shared;
    "pg_try_advisory_lock_shared_int4": TryLock, shared;
    "pg_try_advisory_xact_lock_int8": TryLock, transaction;
    "pg_try_advisory_xact_lock_int4": TryLock, transaction;
    "pg_try_advisory_xact_lock_shared_int8": TryLock, shared, transaction;
    "pg_try_advisory_xact_lock_shared_int4": TryLock, shared, transaction;
    "pg_advisory_unlock_int8": Unlock;
    "pg_advisory_unlock_int4": Unlock;
    "pg_advisory_unlock_shared_int8": Unlock, shared;
    "pg_advisory_unlock_shared_int4": Unlock, shared;
    "pg_advisory_unlock_all": UnlockAll;
};

/// Functions that take NULL or several numbers of arguments.
pub(super) static ROWS: &[Implementation] = &[
    scalar("set_config_by_name", set_config, true),
    scalar("pg_sequence_parameters", sequence_parameters, true),
    scalar("pg_terminate_backend", terminate, true),
];
