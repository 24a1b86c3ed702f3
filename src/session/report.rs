//! What system views show of sessions: who is connected and does what, locks, prepared statements, cursors, settings; and
//! sizes, which storage knows.
//!
//! A session notes its statement in its [`Activity`] when it begins and when it waits for the next; readers copy it. A
//! lock's owner is found by the transaction's number there.

use super::host::SessionHost;
use super::server::Server;
use super::settings::Settings;
use crate::catalog::builtin;
use crate::catalog::image::{Body, Image};
use crate::error::Result;
use crate::executor::functions::Host;
use crate::types::{Array, Datum, Oid, Type, oid};
use crate::wire::backend::TransactionStatus;
use lightning_storage::{LockMode, LockTag};
use parking_lot::Mutex;
use std::sync::Arc;

/// What a session is doing.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Its settings, for `application_name`.
    settings: Option<Arc<Mutex<Settings>>>,
    session_start: i64,
    query: Arc<str>,
    query_start: i64,
    state_change: i64,
    /// Whether a statement runs.
    running: bool,
    status: Status,
    /// The transaction's number in storage, and when it began.
    transaction: Option<(u64, i64)>,
}

/// The block that a session is in between statements.
#[derive(Clone, Copy, Debug, Default)]
enum Status {
    #[default]
    Idle,
    InTransaction,
    Failed,
}

impl Activity {
    /// The session is open.
    pub(super) fn open(&mut self, settings: &Arc<Mutex<Settings>>, now: i64) {
        (self.settings, self.session_start, self.state_change) = (Some(settings.clone()), now, now);
    }

    /// A statement begins.
    pub(super) fn begin(&mut self, query: &Arc<str>, now: i64) {
        self.query = query.clone();
        (self.query_start, self.state_change, self.running) = (now, now, true);
    }

    /// A transaction begins.
    pub(super) fn begin_transaction(&mut self, number: u64, now: i64) {
        self.transaction = Some((number, now));
    }

    /// The session waits for its client.
    pub(crate) fn idle(&mut self, status: TransactionStatus, now: i64) {
        self.running = false;
        self.state_change = now;
        self.status = match status {
            TransactionStatus::Idle => {
                self.transaction = None;
                Status::Idle
            }
            TransactionStatus::InTransaction => Status::InTransaction,
            TransactionStatus::Failed => Status::Failed,
        };
    }

    fn state(&self) -> &'static str {
        match (self.running, self.status) {
            (true, _) => "active",
            (false, Status::Idle) => "idle",
            (false, Status::InTransaction) => "idle in transaction",
            (false, Status::Failed) => "idle in transaction (aborted)",
        }
    }
}

fn text(value: impl AsRef<str>) -> Datum {
    Datum::Text(value.as_ref().into())
}

impl SessionHost {
    /// See [`crate::executor::functions::Host::rows`].
    pub(super) fn report(&self, function: &str) -> Result<Vec<Vec<Datum>>> {
        match function {
            "pg_stat_get_activity" => {
                let image = self.catalog();
                let user = self.current_user(&image);
                Ok(activity(&self.server, (!image.is_superuser(user)).then_some(user)))
            }
            "pg_lock_status" => Ok(locks(&self.server, self.database)),
            "show_all_settings" => Ok(settings(&self.settings.lock())),
            "pg_prepared_statement" => Ok(self.prepared.lock().iter().map(PreparedNote::row).collect()),
            "pg_cursor" => Ok(self.cursors.lock().iter().map(CursorNote::row).collect()),
            "pg_get_shmem_allocations" => Ok(allocations(&self.server)),
            other => Err(crate::error::Error::unsupported(format!("{other}()"))),
        }
    }

    /// Bytes of the pages of a relation's tree; `None` when it has none.
    pub(super) fn stored_bytes(&self, image: &Image, relation: Oid) -> Option<i64> {
        let storage = match &image.relations.get(&relation)?.body {
            Body::Table { storage, .. } => *storage,
            Body::Index(index) => index.storage,
            Body::Sequence(_) | Body::System(_) | Body::View { .. } => return Some(0),
        };
        let pages = self.server.engine.object_pages(storage).unwrap_or(0);
        Some(pages as i64 * lightning_storage::PAGE_SIZE as i64)
    }

    /// The sum of a database's relations.
    pub(super) fn bytes_of_database(&self, database: Oid) -> Result<i64> {
        let image = self.server.catalog.image(database)?;
        Ok(image.relations.keys().filter_map(|oid| self.stored_bytes(&image, *oid)).sum())
    }
}

/// The memory that all sessions share: name, no place, bytes that are drawn of it, and bytes that may be.
fn allocations(server: &Server) -> Vec<Vec<Datum>> {
    let row = |name: &str, used: usize, limit: usize| {
        vec![text(name), Datum::Null, Datum::Int8(used as i64), Datum::Int8(limit as i64)]
    };
    let (pool, plans, statements) = (server.config.buffer_pool_bytes, server.plans.drawn(), &server.memory);
    vec![
        row("buffer pool", pool, pool),
        row("plan cache", plans, server.plans.limit()),
        // Plans draw on the same budget.
        row("statements", statements.used().saturating_sub(plans), statements.limit()),
    ]
}

/// pg_stat_get_activity's columns: datid, pid, usesysid, application_name, state, query, two of waits, three of starts, state_change,
/// three of the client, two of transactions, backend_type, and what TLS and GSSAPI say.
/// What others than `only` do is not told.
fn activity(server: &Server, only: Option<Oid>) -> Vec<Vec<Datum>> {
    let time = |moment: i64| if moment == 0 { Datum::Null } else { Datum::TimestampTz(moment) };
    let mut backends = server.backends();
    backends.sort_by_key(|backend| backend.pid);
    let rows = backends.iter().map(|backend| {
        let activity = backend.activity.lock();
        let name = activity.settings.as_ref().and_then(|settings| settings.lock().show("application_name"));
        let (database, role) = backend.place();
        let mut row = vec![
            Datum::Oid(database),
            Datum::Int4(backend.pid),
            Datum::Oid(role),
            text(name.unwrap_or_default()),
            text(activity.state()),
            text(&activity.query),
            Datum::Null,
            Datum::Null,
            activity.transaction.map_or(Datum::Null, |(_, start)| time(start)),
            time(activity.query_start),
            time(activity.session_start),
            time(activity.state_change),
        ];
        if !activity.running {
            (row[6], row[7]) = (text("Client"), text("ClientRead"));
        }
        row.extend([Datum::Null, Datum::Null, Datum::Null, Datum::Null, Datum::Null, text("client backend")]);
        if only.is_some_and(|user| user != role) {
            row[4..12].fill(Datum::Null);
            row[5] = text("<insufficient privilege>");
        }
        // ssl and what belongs to it, then GSSAPI's three, the parallel leader and the query's number.
        row.push(Datum::Bool(false));
        row.extend(std::iter::repeat_n(Datum::Null, 6));
        row.extend([Datum::Bool(false), Datum::Null, Datum::Bool(false), Datum::Null, Datum::Null]);
        row
    });
    rows.collect()
}

/// pg_lock_status's columns.
fn locks(server: &Server, database: Oid) -> Vec<Vec<Datum>> {
    let backends = server.backends();
    let owner = |number: u64| {
        let owns = |backend: &&Arc<super::Backend>| {
            backend.activity.lock().transaction.is_some_and(|(transaction, _)| transaction == number)
        };
        backends.iter().find(owns).map(|backend| backend.pid)
    };
    let rows = server.engine.locks().into_iter().filter_map(|lock| {
        let pid = lock.session.map(|session| session as i32).or_else(|| owner(lock.transaction?.0));
        let mut row = vec![Datum::Null; 16];
        let of_database = |row: &mut Vec<Datum>| row[1] = Datum::Oid(database);
        match lock.tag {
            LockTag::Table(relation) => {
                row[0] = text("relation");
                row[2] = Datum::Oid(Oid(relation));
                of_database(&mut row);
            }
            LockTag::Object(object) => {
                row[0] = text("object");
                row[8] = Datum::Oid(Oid(object));
                of_database(&mut row);
            }
            LockTag::Advisory(space, key) => {
                row[0] = text("advisory");
                row[1] = Datum::Oid(Oid((space >> 1) as u32));
                row[7] = Datum::Oid(Oid((key >> 32) as u32));
                row[8] = Datum::Oid(Oid(key as u32));
                // PostgreSQL marks keys of one bigint by 1, of two integers by 2.
                row[9] = Datum::Int2(if space & 1 == 1 { 1 } else { 2 });
            }
            // Names that are being given: nothing that a client could know.
            LockTag::Name(_) => return None,
        }
        row[10] = lock.transaction.map_or(Datum::Null, |number| text(format!("{}/{}", pid.unwrap_or(0), number.0)));
        row[11] = pid.map_or(Datum::Null, Datum::Int4);
        row[12] = text(mode_name(lock.mode));
        row[13] = Datum::Bool(lock.granted);
        row[14] = Datum::Bool(false);
        Some(row)
    });
    rows.collect()
}

fn mode_name(mode: LockMode) -> &'static str {
    match mode {
        LockMode::AccessShare => "AccessShareLock",
        LockMode::RowShare => "RowShareLock",
        LockMode::RowExclusive => "RowExclusiveLock",
        LockMode::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
        LockMode::Share => "ShareLock",
        LockMode::ShareRowExclusive => "ShareRowExclusiveLock",
        LockMode::Exclusive => "ExclusiveLock",
        LockMode::AccessExclusive => "AccessExclusiveLock",
    }
}

/// show_all_settings' columns: what this server has, as PostgreSQL describes it.
fn settings(settings: &Settings) -> Vec<Vec<Datum>> {
    let nullable = |field: &str| match field {
        "\\N" => Datum::Null,
        field => text(crate::catalog::system::unescape(field)),
    };
    let described: std::collections::HashMap<&str, Vec<&str>> =
        builtin::rows("pg_settings").1.map(|row| (row[0], row)).collect();
    let rows = settings.details().into_iter().map(|setting| {
        let described = described.get(setting.name.as_str());
        let field = |at: usize| described.map_or(Datum::Null, |row| nullable(row[at]));
        let or = |value: Datum, other: &str| if value.is_null() { text(other) } else { value };
        let choices = described.and_then(|row| (row[9] != "\\N").then(|| row[9].trim_matches(['{', '}'])));
        let choices = choices.map_or(Datum::Null, |list| {
            let items = list.split(',').map(|item| text(item.trim_matches('"'))).collect();
            Datum::Array(Arc::new(Array::of(oid::TEXT, items)))
        });
        vec![
            text(&setting.name),
            text(&setting.value),
            field(1),
            or(field(2), "Customized Options"),
            or(field(3), ""),
            field(4),
            or(field(5), "user"),
            or(field(6), "string"),
            text(setting.source),
            field(7),
            field(8),
            choices,
            text(&setting.boot),
            text(&setting.reset),
            Datum::Null,
            Datum::Null,
            Datum::Bool(false),
        ]
    });
    rows.collect()
}

/// A prepared statement as pg_prepared_statements shows it.
#[derive(Debug)]
pub(super) struct PreparedNote {
    pub(super) name: String,
    pub(super) text: Arc<str>,
    pub(super) time: i64,
    pub(super) params: Vec<Type>,
    /// Made by PREPARE, not by the protocol.
    pub(super) from_sql: bool,
}

impl PreparedNote {
    fn row(&self) -> Vec<Datum> {
        let params = self.params.iter().map(|ty| Datum::Oid(ty.oid)).collect();
        vec![
            text(&self.name),
            text(&self.text),
            Datum::TimestampTz(self.time),
            Datum::Array(Arc::new(Array::of(oid::REGTYPE, params))),
            Datum::Bool(self.from_sql),
            Datum::Int8(0),
            Datum::Int8(0),
        ]
    }
}

/// A cursor as pg_cursors shows it.
#[derive(Debug)]
pub(super) struct CursorNote {
    pub(super) name: String,
    pub(super) text: Arc<str>,
    pub(super) time: i64,
    pub(super) holdable: bool,
    pub(super) binary: bool,
    pub(super) scrollable: bool,
}

impl CursorNote {
    fn row(&self) -> Vec<Datum> {
        vec![
            text(&self.name),
            text(&self.text),
            Datum::Bool(self.holdable),
            Datum::Bool(self.binary),
            Datum::Bool(self.scrollable),
            Datum::TimestampTz(self.time),
        ]
    }
}

impl super::Session {
    /// Notes the session's prepared statements and cursors when a plan reads the views that show them.
    pub(super) fn note_for_views(&self, plan: &crate::executor::Plan) {
        let reads = |view: &str| plan.locks.iter().any(|(oid, _)| crate::catalog::system::is_named(*oid, view));
        if plan.locks.iter().all(|(oid, _)| *oid >= Oid::FIRST_USER) {
            return;
        }
        if reads("pg_prepared_statements") {
            let named = self.prepared.iter().filter(|(name, _)| !name.is_empty());
            let notes = named.map(|(name, prepared)| PreparedNote {
                name: name.clone(),
                text: prepared.text.clone(),
                time: prepared.time,
                params: prepared.params.to_vec(),
                from_sql: prepared.from_sql,
            });
            *self.host.prepared.lock() = notes.collect();
        }
        if reads("pg_cursors") {
            let notes = self.portals.iter().filter_map(|(name, portal)| {
                let cursor = portal.cursor.as_ref()?;
                Some(CursorNote {
                    name: name.clone(),
                    text: portal.prepared.text.clone(),
                    time: portal.prepared.time,
                    holdable: cursor.is_holdable(),
                    binary: cursor.binary,
                    scrollable: cursor.is_scrollable(),
                })
            });
            *self.host.cursors.lock() = notes.collect();
        }
    }
}
