//! Run-time settings (GUCs): names, defaults, checks, SET / SET LOCAL / RESET / SHOW with transactional undo.
//!
//! A setting that can change an answer or a promise acts or is refused (0A000 for a value we do not have); one that only
//! steers PostgreSQL's planner or memory is stored and shown. Unknown names are 42704; a name with a dot is a custom one.

use crate::error::{Error, Result, SqlState};
use crate::planner::RoadChoice;
use crate::types::format::{DateOrder, DateStyle, FormatSettings, IntervalStyle};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// What values a setting takes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Bool,
    /// Bounds in the base unit, and the unit.
    Integer(i64, i64, Unit),
    Real(f64, f64),
    Text,
    /// Lower-case choices.
    Choice(&'static [&'static str]),
    /// Only these values are supported though PostgreSQL has more: others are 0A000.
    Fixed(&'static [&'static str]),
    DateStyle,
    TimeZone,
    ClientEncoding,
}

/// A setting's unit, for input suffixes and for SHOW.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    None,
    Milliseconds,
    Kilobytes,
    /// 8 KiB blocks.
    Blocks,
}

/// Who may change a setting, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    User,
    /// By superusers.
    Superuser,
    /// At server start only: SHOW works, SET is 55P02.
    Postmaster,
    /// Never: a property of the build.
    Internal,
}

struct Definition {
    name: &'static str,
    default: &'static str,
    kind: Kind,
    context: Context,
    /// Told to the client by ParameterStatus.
    report: bool,
}

const fn user(name: &'static str, default: &'static str, kind: Kind) -> Definition {
    Definition { name, default, kind, context: Context::User, report: false }
}

const fn reported(name: &'static str, default: &'static str, kind: Kind, context: Context) -> Definition {
    Definition { name, default, kind, context, report: true }
}

const fn fixed(name: &'static str, default: &'static str, context: Context) -> Definition {
    Definition { name, default, kind: Kind::Text, context, report: false }
}

const ISOLATION: Kind = Kind::Choice(&["serializable", "repeatable read", "read committed", "read uncommitted"]);
const MESSAGES: Kind =
    Kind::Choice(&["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "info", "warning", "error"]);
const COST: Kind = Kind::Real(0.0, f64::MAX);
const MILLISECONDS: Kind = Kind::Integer(0, i32::MAX as i64, Unit::Milliseconds);

/// The version that clients see; the major is that of the oracle the tests compare with.
pub const SERVER_VERSION: &str = "15.18";
/// The same as a number.
pub const SERVER_VERSION_NUM: &str = "150018";

/// Sorted by name.
static DEFINITIONS: &[Definition] = &[
    reported("application_name", "", Kind::Text, Context::User),
    fixed("autovacuum", "on", Context::Postmaster),
    fixed("autovacuum_naptime", "1min", Context::Postmaster),
    user("backend_flush_after", "0", Kind::Integer(0, 256, Unit::Blocks)),
    user("bytea_output", "hex", Kind::Choice(&["escape", "hex"])),
    user("check_function_bodies", "on", Kind::Bool),
    reported("client_encoding", "UTF8", Kind::ClientEncoding, Context::User),
    user("client_min_messages", "notice", MESSAGES),
    user("commit_delay", "0", Kind::Integer(0, 100_000, Unit::None)),
    user("commit_siblings", "5", Kind::Integer(0, 1000, Unit::None)),
    user("constraint_exclusion", "partition", Kind::Choice(&["partition", "on", "off"])),
    user("cpu_index_tuple_cost", "0.005", COST),
    user("cpu_operator_cost", "0.0025", COST),
    user("cpu_tuple_cost", "0.01", COST),
    user("cursor_tuple_fraction", "0.1", Kind::Real(0.0, 1.0)),
    reported("DateStyle", "ISO, MDY", Kind::DateStyle, Context::User),
    user("deadlock_timeout", "1000", Kind::Integer(1, i32::MAX as i64, Unit::Milliseconds)),
    user("default_statistics_target", "100", Kind::Integer(1, 10_000, Unit::None)),
    user("default_table_access_method", "heap", Kind::Fixed(&["heap"])),
    user("default_tablespace", "", Kind::Fixed(&["", "pg_default"])),
    user("default_text_search_config", "pg_catalog.simple", Kind::Text),
    user("default_toast_compression", "pglz", Kind::Choice(&["pglz", "lz4"])),
    user("default_transaction_deferrable", "off", Kind::Bool),
    user("default_transaction_isolation", "read committed", ISOLATION),
    reported("default_transaction_read_only", "off", Kind::Bool, Context::User),
    user("effective_cache_size", "524288", Kind::Integer(1, i32::MAX as i64, Unit::Blocks)),
    user("effective_io_concurrency", "1", Kind::Integer(0, 1000, Unit::None)),
    user("enable_async_append", "on", Kind::Bool),
    user("enable_bitmapscan", "on", Kind::Bool),
    user("enable_gathermerge", "on", Kind::Bool),
    user("enable_hashagg", "on", Kind::Bool),
    user("enable_hashjoin", "on", Kind::Bool),
    user("enable_incremental_sort", "on", Kind::Bool),
    user("enable_indexonlyscan", "on", Kind::Bool),
    user("enable_indexscan", "on", Kind::Bool),
    user("enable_material", "on", Kind::Bool),
    user("enable_memoize", "on", Kind::Bool),
    user("enable_mergejoin", "on", Kind::Bool),
    user("enable_nestloop", "on", Kind::Bool),
    user("enable_parallel_append", "on", Kind::Bool),
    user("enable_parallel_hash", "on", Kind::Bool),
    user("enable_partition_pruning", "on", Kind::Bool),
    user("enable_partitionwise_aggregate", "off", Kind::Bool),
    user("enable_partitionwise_join", "off", Kind::Bool),
    user("enable_seqscan", "on", Kind::Bool),
    user("enable_sort", "on", Kind::Bool),
    user("enable_tidscan", "on", Kind::Bool),
    user("escape_string_warning", "on", Kind::Bool),
    user("exit_on_error", "off", Kind::Fixed(&["off"])),
    user("extra_float_digits", "1", Kind::Integer(-15, 3, Unit::None)),
    user("force_parallel_mode", "off", Kind::Choice(&["off", "on", "regress"])),
    user("from_collapse_limit", "8", Kind::Integer(1, i32::MAX as i64, Unit::None)),
    user("geqo", "on", Kind::Bool),
    user("geqo_threshold", "12", Kind::Integer(2, i32::MAX as i64, Unit::None)),
    user("gin_fuzzy_search_limit", "0", Kind::Integer(0, i32::MAX as i64, Unit::None)),
    user("hash_mem_multiplier", "2", Kind::Real(1.0, 1000.0)),
    user("idle_in_transaction_session_timeout", "0", MILLISECONDS),
    user("idle_session_timeout", "0", MILLISECONDS),
    reported("in_hot_standby", "off", Kind::Bool, Context::Internal),
    reported("integer_datetimes", "on", Kind::Bool, Context::Internal),
    reported(
        "IntervalStyle",
        "postgres",
        Kind::Choice(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        Context::User,
    ),
    user("jit", "off", Kind::Bool),
    user("join_collapse_limit", "8", Kind::Integer(1, i32::MAX as i64, Unit::None)),
    fixed("lc_collate", "C.UTF-8", Context::Internal),
    fixed("lc_ctype", "C.UTF-8", Context::Internal),
    user("lc_messages", "C.UTF-8", Kind::Text),
    user("lc_monetary", "C.UTF-8", Kind::Fixed(&["C.UTF-8", "C", "POSIX"])),
    user("lc_numeric", "C.UTF-8", Kind::Fixed(&["C.UTF-8", "C", "POSIX"])),
    user("lc_time", "C.UTF-8", Kind::Fixed(&["C.UTF-8", "C", "POSIX"])),
    user("lightning.road", "auto", Kind::Choice(&["auto", "row", "vector"])),
    fixed("listen_addresses", "localhost", Context::Postmaster),
    user("lock_timeout", "0", MILLISECONDS),
    user("log_duration", "off", Kind::Bool),
    user("log_min_duration_statement", "-1", Kind::Integer(-1, i32::MAX as i64, Unit::Milliseconds)),
    user("log_min_messages", "warning", MESSAGES),
    user("log_statement", "none", Kind::Choice(&["none", "ddl", "mod", "all"])),
    user("logical_decoding_work_mem", "65536", Kind::Integer(64, i32::MAX as i64, Unit::Kilobytes)),
    user("maintenance_work_mem", "65536", Kind::Integer(1024, i32::MAX as i64, Unit::Kilobytes)),
    fixed("max_connections", "100", Context::Postmaster),
    fixed("max_identifier_length", "63", Context::Internal),
    fixed("max_index_keys", "32", Context::Internal),
    user("max_parallel_maintenance_workers", "2", Kind::Integer(0, 1024, Unit::None)),
    user("max_parallel_workers", "8", Kind::Integer(0, 1024, Unit::None)),
    user("max_parallel_workers_per_gather", "2", Kind::Integer(0, 1024, Unit::None)),
    fixed("max_prepared_transactions", "0", Context::Postmaster),
    user("max_stack_depth", "2048", Kind::Integer(100, i32::MAX as i64, Unit::Kilobytes)),
    user("min_parallel_index_scan_size", "64", Kind::Integer(0, i32::MAX as i64, Unit::Blocks)),
    user("min_parallel_table_scan_size", "1024", Kind::Integer(0, i32::MAX as i64, Unit::Blocks)),
    user("parallel_leader_participation", "on", Kind::Bool),
    user("parallel_setup_cost", "1000", COST),
    user("parallel_tuple_cost", "0.1", COST),
    user("password_encryption", "scram-sha-256", Kind::Fixed(&["scram-sha-256"])),
    user("plan_cache_mode", "auto", Kind::Choice(&["auto", "force_generic_plan", "force_custom_plan"])),
    fixed("port", "5432", Context::Postmaster),
    user("quote_all_identifiers", "off", Kind::Fixed(&["off"])),
    user("random_page_cost", "4", COST),
    user("role", "none", Kind::Text),
    user("row_security", "on", Kind::Bool),
    user("search_path", "\"$user\", public", Kind::Text),
    user("seq_page_cost", "1", COST),
    fixed("server_encoding", "UTF8", Context::Internal),
    reported("server_version", SERVER_VERSION, Kind::Text, Context::Internal),
    fixed("server_version_num", SERVER_VERSION_NUM, Context::Internal),
    user("session_replication_role", "origin", Kind::Fixed(&["origin"])),
    fixed("shared_buffers", "32768", Context::Postmaster),
    fixed("ssl", "off", Context::Postmaster),
    reported("standard_conforming_strings", "on", Kind::Fixed(&["on"]), Context::User),
    user("statement_timeout", "0", MILLISECONDS),
    user("synchronize_seqscans", "on", Kind::Bool),
    user("synchronous_commit", "on", Kind::Choice(&["local", "remote_write", "remote_apply", "on", "off"])),
    user("tcp_keepalives_idle", "0", Kind::Integer(0, i32::MAX as i64, Unit::None)),
    user("temp_buffers", "1024", Kind::Integer(100, i32::MAX as i64, Unit::Blocks)),
    Definition {
        context: Context::Superuser,
        ..user("temp_file_limit", "-1", Kind::Integer(-1, i32::MAX as i64, Unit::Kilobytes))
    },
    user("temp_tablespaces", "", Kind::Fixed(&["", "pg_default"])),
    reported("TimeZone", "UTC", Kind::TimeZone, Context::User),
    user("transaction_deferrable", "off", Kind::Bool),
    user("transaction_isolation", "read committed", ISOLATION),
    user("transaction_read_only", "off", Kind::Bool),
    user("transform_null_equals", "off", Kind::Fixed(&["off"])),
    fixed("transaction_timeout", "0", Context::Internal),
    user("vacuum_cost_delay", "0", Kind::Real(0.0, 100.0)),
    user("wal_compression", "off", Kind::Bool),
    fixed("wal_level", "replica", Context::Postmaster),
    user("work_mem", "65536", Kind::Integer(64, i32::MAX as i64, Unit::Kilobytes)),
    user("xmlbinary", "base64", Kind::Choice(&["base64", "hex"])),
    user("xmloption", "content", Kind::Choice(&["content", "document"])),
    user("zero_damaged_pages", "off", Kind::Fixed(&["off"])),
    // Told in ParameterStatus and shown, never set by SET.
    reported("is_superuser", "on", Kind::Bool, Context::Internal),
    reported("session_authorization", "", Kind::Text, Context::Internal),
];

/// One change to undo: the name and what it was.
#[derive(Clone, Debug)]
struct Undo {
    name: String,
    /// `None`: it was at its session default.
    before: Option<String>,
    /// SET LOCAL: undone at COMMIT too.
    local: bool,
    /// The savepoint depth at which it was changed.
    depth: u32,
}

/// A setting as pg_settings shows it.
pub(super) struct Detail {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) boot: String,
    pub(super) reset: String,
    pub(super) source: &'static str,
}

/// A session's settings.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Values that differ from the session's defaults, by canonical name.
    values: HashMap<String, String>,
    /// Session defaults that differ from [`DEFINITIONS`]' (from the startup packet and the configuration).
    defaults: HashMap<String, String>,
    /// Changes of the transaction, oldest first.
    undo: Vec<Undo>,
    /// Reported settings whose change the client has not been told yet.
    unreported: Vec<&'static str>,
    /// Raised when a value changes that binding and planning may read, for caches of plans.
    pub version: u64,
    /// What statements read, parsed; made anew after a change.
    parsed: Option<Arc<Parsed>>,
}

/// What every statement reads of the settings, parsed once per change.
#[derive(Debug)]
pub struct Parsed {
    /// TimeZone
    pub time_zone: jiff::tz::TimeZone,
    /// DateStyle, IntervalStyle, bytea_output, extra_float_digits.
    pub format: FormatSettings,
    /// statement_timeout
    pub statement_timeout: Option<Duration>,
    /// idle_session_timeout
    pub idle_timeout: Option<Duration>,
    /// idle_in_transaction_session_timeout
    pub idle_in_transaction_timeout: Option<Duration>,
    /// work_mem, in bytes.
    pub work_mem: usize,
    /// temp_file_limit, in kB.
    pub temp_file_limit: Option<u64>,
    /// synchronous_commit = off
    pub asynchronous: bool,
    /// transaction_isolation
    pub repeatable_read: bool,
    /// transaction_read_only
    pub read_only: bool,
    /// session_authorization
    pub session_user: String,
    /// role, unless it is none.
    pub role: Option<String>,
    /// lightning.road
    pub road: RoadChoice,
    /// The current transaction's characteristics are the defaults already.
    plain_transaction: bool,
}

/// A transaction's characteristics and where it takes them from.
const TRANSACTION: [(&str, &str); 3] = [
    ("transaction_isolation", "default_transaction_isolation"),
    ("transaction_read_only", "default_transaction_read_only"),
    ("transaction_deferrable", "default_transaction_deferrable"),
];

static BY_NAME: LazyLock<HashMap<&'static str, &'static Definition>> =
    LazyLock::new(|| DEFINITIONS.iter().map(|d| (d.name, d)).collect());

fn definition(name: &str) -> Option<&'static Definition> {
    BY_NAME.get(name).copied().or_else(|| DEFINITIONS.iter().find(|d| d.name.eq_ignore_ascii_case(name)))
}

impl Settings {
    /// The value as SHOW prints it; `None`: no such setting.
    pub fn show(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        Some(match definition(name).map(|d| d.kind) {
            Some(Kind::Integer(_, _, unit)) => show_integer(value, unit),
            _ => value.to_owned(),
        })
    }

    /// A setting's name as PostgreSQL writes it; `None`: no such setting.
    pub fn canonical(&self, name: &str) -> Option<String> {
        match definition(name) {
            Some(d) => Some(d.name.to_owned()),
            None => self.get(name).map(|_| name.to_owned()),
        }
    }

    /// The value in its base unit.
    pub fn get(&self, name: &str) -> Option<&str> {
        match definition(name) {
            Some(d) => Some(self.values.get(d.name).or_else(|| self.defaults.get(d.name)).map_or(d.default, |v| v)),
            None => self.values.get(&name.to_ascii_lowercase()).map(String::as_str),
        }
    }

    /// The value of a Bool setting.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("on")
    }

    /// The value of an Integer setting in its base unit.
    pub fn integer(&self, name: &str) -> i64 {
        self.get(name).and_then(|v| v.parse().ok()).unwrap_or(0)
    }

    /// Sets a default of this session (startup packet, configuration), below any SET.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub fn set_default(&mut self, name: &str, value: &str) -> Result<()> {
        let (name, value) = check(name, value)?;
        self.note_change(&name);
        self.defaults.insert(name, value);
        Ok(())
    }

    /// What statements read, parsed.
    pub fn parsed(&mut self) -> Arc<Parsed> {
        if let Some(parsed) = &self.parsed {
            return parsed.clone();
        }
        let zone = crate::session::time_zone(self.get("TimeZone").unwrap_or("UTC"));
        let timeout = |name: &str| match self.integer(name) {
            0 => None,
            milliseconds => Some(Duration::from_millis(milliseconds as u64)),
        };
        let parsed = Arc::new(Parsed {
            time_zone: zone.map_or(jiff::tz::TimeZone::UTC, |(zone, _)| zone),
            format: self.format(),
            statement_timeout: timeout("statement_timeout"),
            idle_timeout: timeout("idle_session_timeout"),
            idle_in_transaction_timeout: timeout("idle_in_transaction_session_timeout"),
            work_mem: (self.integer("work_mem") as usize) << 10,
            temp_file_limit: u64::try_from(self.integer("temp_file_limit")).ok(),
            asynchronous: self.get("synchronous_commit") == Some("off"),
            repeatable_read: self.get("transaction_isolation") == Some("repeatable read"),
            read_only: self.flag("transaction_read_only"),
            session_user: self.get("session_authorization").unwrap_or_default().to_owned(),
            role: self.get("role").filter(|role| *role != "none").map(str::to_owned),
            road: match self.get("lightning.road") {
                Some("row") => RoadChoice::Row,
                Some("vector") => RoadChoice::Vector,
                _ => RoadChoice::Auto,
            },
            plain_transaction: TRANSACTION.iter().all(|(own, default)| self.get(own) == self.get(default)),
        });
        self.parsed = Some(parsed.clone());
        parsed
    }

    /// A transaction begins with the default characteristics.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub fn begin_transaction(&mut self) -> Result<Arc<Parsed>> {
        let parsed = self.parsed();
        if parsed.plain_transaction {
            return Ok(parsed);
        }
        for (own, default) in TRANSACTION {
            let value = self.get(default).unwrap_or_default().to_owned();
            self.set(own, &value, true, 0)?;
        }
        Ok(self.parsed())
    }

    /// Sets what only the server itself may set (session_authorization, port …).
    pub fn set_internal(&mut self, name: &'static str, value: &str) {
        self.defaults.insert(name.to_owned(), value.to_owned());
        self.note_change(name);
    }

    /// SET (`local`: SET LOCAL). `depth` is the savepoint depth; undone by ROLLBACK \[TO\].
    ///
    /// # Errors
    /// 42704 unknown, 22023 bad value, 0A000 a value that this server does not have, 55P02 not changeable now.
    pub fn set(&mut self, name: &str, value: &str, local: bool, depth: u32) -> Result<()> {
        let (name, value) = check(name, value)?;
        self.check_right(&name)?;
        self.replace(name, Some(value), local, depth);
        Ok(())
    }

    /// 42501 for what only superusers set.
    fn check_right(&self, name: &str) -> Result<()> {
        let free = definition(name).is_none_or(|d| d.context != Context::Superuser) || self.flag("is_superuser");
        let refuse = || {
            let message = format!("permission denied to set parameter \"{name}\"");
            Err(Error::new(SqlState::InsufficientPrivilege, message))
        };
        if free { Ok(()) } else { refuse() }
    }

    /// SET of who the session is, which its owner has checked.
    pub fn set_identity(&mut self, name: &'static str, value: &str, local: bool, depth: u32) {
        self.replace(name.to_owned(), Some(value.to_owned()), local, depth);
    }

    /// RESET name, or SET … TO DEFAULT.
    ///
    /// # Errors
    /// 42704, 55P02.
    pub fn reset(&mut self, name: &str, local: bool, depth: u32) -> Result<()> {
        match definition(name) {
            Some(d) => {
                changeable(d)?;
                self.check_right(d.name)?;
                self.replace(d.name.to_owned(), None, local, depth);
            }
            None if name.contains('.') => self.replace(name.to_ascii_lowercase(), None, local, depth),
            None => return Err(unknown(name)),
        }
        Ok(())
    }

    /// RESET ALL.
    pub fn reset_all(&mut self, depth: u32) {
        let names: Vec<String> = self.values.keys().cloned().collect();
        for name in names {
            let identity = matches!(name.as_str(), "role" | "session_authorization" | "is_superuser");
            if !identity && !name.starts_with("transaction_") {
                self.replace(name, None, false, depth);
            }
        }
    }

    fn replace(&mut self, name: String, value: Option<String>, local: bool, depth: u32) {
        let before = match value {
            Some(value) => self.values.insert(name.clone(), value),
            None => self.values.remove(&name),
        };
        self.note_change(&name);
        self.undo.push(Undo { name, before, local, depth });
    }

    fn note_change(&mut self, name: &str) {
        self.parsed = None;
        self.version += u64::from(!name.starts_with("transaction_"));
        if let Some(d) = definition(name).filter(|d| d.report)
            && !self.unreported.contains(&d.name)
        {
            self.unreported.push(d.name);
        }
    }

    /// COMMIT: SET LOCAL ends, the rest stays.
    pub fn commit(&mut self) {
        // A plain SET after SET LOCAL of the same name stays; one before it comes back.
        let undo = std::mem::take(&mut self.undo);
        for (i, change) in undo.iter().enumerate().rev() {
            let superseded = undo[i + 1..].iter().any(|later| later.name == change.name && !later.local);
            if change.local && !superseded {
                self.restore(change);
            }
        }
    }

    /// ROLLBACK (`depth` 0) or ROLLBACK TO the savepoint at `depth`.
    pub fn rollback(&mut self, depth: u32) {
        while let Some(change) = self.undo.pop_if(|change| change.depth >= depth) {
            self.restore(&change);
        }
    }

    /// RELEASE of the savepoint at `depth`: its changes belong to the one around it.
    pub fn release(&mut self, depth: u32) {
        for change in self.undo.iter_mut().filter(|change| change.depth >= depth) {
            change.depth = depth.saturating_sub(1);
        }
    }

    fn restore(&mut self, change: &Undo) {
        match &change.before {
            Some(value) => self.values.insert(change.name.clone(), value.clone()),
            None => self.values.remove(&change.name),
        };
        self.note_change(&change.name);
    }

    /// Reported settings changed since the last call, with their values.
    pub fn take_unreported(&mut self) -> Vec<(&'static str, String)> {
        let names = std::mem::take(&mut self.unreported);
        names.into_iter().filter_map(|name| Some((name, self.show(name)?))).collect()
    }

    /// Every reported setting, for the session's start.
    pub fn reported(&mut self) -> Vec<(&'static str, String)> {
        self.unreported.clear();
        let server_encoding = ("server_encoding", "UTF8".to_owned());
        let reported = DEFINITIONS.iter().filter(|d| d.report).filter_map(|d| Some((d.name, self.show(d.name)?)));
        reported.chain([server_encoding]).collect()
    }

    /// (name, value as shown) of every setting, for SHOW ALL and pg_settings.
    pub fn all(&self) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> =
            DEFINITIONS.iter().filter_map(|d| Some((d.name.to_owned(), self.show(d.name)?))).collect();
        all.extend(self.values.iter().filter(|(n, _)| definition(n).is_none()).map(|(n, v)| (n.clone(), v.clone())));
        all.sort_by_key(|(name, _)| name.to_ascii_lowercase());
        all
    }

    /// Every setting in its base unit, for pg_settings.
    pub(super) fn details(&self) -> Vec<Detail> {
        let own = self.values.keys().filter(|name| definition(name).is_none()).map(String::as_str);
        let mut all: Vec<Detail> =
            DEFINITIONS.iter().map(|d| d.name).chain(own).filter_map(|n| self.detail(n)).collect();
        all.sort_by_key(|detail| detail.name.to_ascii_lowercase());
        all
    }

    fn detail(&self, name: &str) -> Option<Detail> {
        let definition = definition(name);
        let boot = definition.map_or("", |d| d.default);
        let reset = self.defaults.get(name).map_or(boot, |value| value);
        let source = if self.values.contains_key(name) {
            "session"
        } else if self.defaults.contains_key(name) {
            "configuration file"
        } else {
            "default"
        };
        let value = self.get(name)?.to_owned();
        Some(Detail { name: name.to_owned(), value, boot: boot.to_owned(), reset: reset.to_owned(), source })
    }

    /// What value output depends on.
    pub fn format(&self) -> FormatSettings {
        let style = self.get("DateStyle").unwrap_or_default();
        FormatSettings {
            date_style: match style.split(',').next().unwrap_or_default() {
                "SQL" => DateStyle::Sql,
                "Postgres" => DateStyle::Postgres,
                "German" => DateStyle::German,
                _ => DateStyle::Iso,
            },
            date_order: match style.split(',').nth(1).unwrap_or_default().trim() {
                "DMY" => DateOrder::Dmy,
                "YMD" => DateOrder::Ymd,
                _ => DateOrder::Mdy,
            },
            interval_style: match self.get("IntervalStyle").unwrap_or_default() {
                "postgres_verbose" => IntervalStyle::PostgresVerbose,
                "sql_standard" => IntervalStyle::SqlStandard,
                "iso_8601" => IntervalStyle::Iso8601,
                _ => IntervalStyle::Postgres,
            },
            bytea_escape: self.get("bytea_output") == Some("escape"),
            extra_float_digits: self.integer("extra_float_digits") as i32,
        }
    }

    /// The names in search_path, unquoted; `$user` as it stands.
    pub fn search_path(&self) -> Vec<String> {
        split_identifiers(self.get("search_path").unwrap_or_default())
    }
}

fn unknown(name: &str) -> Error {
    Error::new(SqlState::UndefinedObject, format!("unrecognized configuration parameter \"{name}\""))
}

fn changeable(d: &Definition) -> Result<()> {
    match d.context {
        Context::User | Context::Superuser => Ok(()),
        Context::Postmaster => {
            let message = format!("parameter \"{}\" cannot be changed without restarting the server", d.name);
            Err(Error::new(SqlState::CantChangeRuntimeParam, message))
        }
        Context::Internal => {
            Err(Error::new(SqlState::CantChangeRuntimeParam, format!("parameter \"{}\" cannot be changed", d.name)))
        }
    }
}

/// The canonical name and the checked, normalised value.
fn check(name: &str, value: &str) -> Result<(String, String)> {
    let Some(d) = definition(name) else {
        return if name.contains('.') { Ok((name.to_ascii_lowercase(), value.to_owned())) } else { Err(unknown(name)) };
    };
    changeable(d)?;
    // What a setting's type refuses is told under the name as written, what its own check refuses under its own.
    let refused = |name: &str| {
        Error::new(SqlState::InvalidParameterValue, format!("invalid value for parameter \"{name}\": \"{value}\""))
    };
    let invalid = || refused(d.name);
    let no_bool = || {
        let message = format!("parameter \"{name}\" requires a Boolean value");
        Error::new(SqlState::InvalidParameterValue, message)
    };
    let no_choice = |choices: &[&str]| refused(name).hint(format!("Available values: {}.", choices.join(", ")));
    let value = match d.kind {
        Kind::Bool => parse_bool(value).map(|b| if b { "on" } else { "off" }.to_owned()).ok_or_else(no_bool)?,
        Kind::Integer(min, max, unit) => {
            let number = parse_integer(value, unit).ok_or_else(|| match unit_hint(value, unit) {
                Some(units) => refused(name).hint(format!("Valid units for this parameter are {units}.")),
                None => refused(name),
            })?;
            if !(min..=max).contains(&number) {
                let suffix = match unit {
                    Unit::None => "",
                    Unit::Milliseconds => " ms",
                    Unit::Kilobytes => " kB",
                    Unit::Blocks => " 8kB",
                };
                let message =
                    format!("{number}{suffix} is outside the valid range for parameter \"{name}\" ({min} .. {max})");
                return Err(Error::new(SqlState::InvalidParameterValue, message));
            }
            number.to_string()
        }
        Kind::Real(min, max) => {
            let number: f64 = value.trim().parse().map_err(|_| refused(name))?;
            if !(min..=max).contains(&number) {
                let max = if max == f64::MAX { "1.79769e+308".to_owned() } else { max.to_string() };
                let message = format!("{number} is outside the valid range for parameter \"{name}\" ({min} .. {max})");
                return Err(Error::new(SqlState::InvalidParameterValue, message));
            }
            number.to_string()
        }
        Kind::Text if d.name == "application_name" => clean_ascii(value),
        Kind::Text => value.to_owned(),
        Kind::Choice(choices) => {
            let lower = value.to_ascii_lowercase();
            let lower = match (d.name, lower.as_str()) {
                ("synchronous_commit", "true" | "yes" | "1") => "on".to_owned(),
                ("synchronous_commit", "false" | "no" | "0") => "off".to_owned(),
                _ => lower,
            };
            if !choices.contains(&lower.as_str()) {
                // Accepted, but not told.
                let told: Vec<&str> = choices.iter().copied().filter(|choice| *choice != "info").collect();
                return Err(no_choice(&told));
            }
            if lower == "serializable" {
                return Err(Error::unsupported("isolation level SERIALIZABLE"));
            }
            lower
        }
        Kind::Fixed(choices) => match choices.iter().find(|c| same_choice(c, value)) {
            Some(choice) => (*choice).to_owned(),
            None => {
                return Err(match d.name {
                    "default_tablespace" => invalid().detail(format!("Tablespace \"{value}\" does not exist.")),
                    "temp_tablespaces" => {
                        Error::new(SqlState::UndefinedObject, format!("tablespace \"{value}\" does not exist"))
                    }
                    "default_table_access_method" => {
                        invalid().detail(format!("Table access method \"{value}\" does not exist."))
                    }
                    // No other locale is there.
                    "lc_monetary" | "lc_numeric" | "lc_time" => invalid(),
                    "session_replication_role" if !ROLES.iter().any(|role| role.eq_ignore_ascii_case(value)) => {
                        no_choice(&ROLES)
                    }
                    "password_encryption" if !value.eq_ignore_ascii_case("md5") => no_choice(&["md5", "scram-sha-256"]),
                    _ if choices.iter().all(|choice| matches!(*choice, "on" | "off"))
                        && parse_bool(value).is_none() =>
                    {
                        no_bool()
                    }
                    _ => Error::unsupported(format!("setting \"{}\" to \"{value}\"", d.name)),
                });
            }
        },
        Kind::DateStyle => parse_date_style(value).ok_or_else(|| {
            let known = |word: &&str| parse_date_style(word).is_none();
            let word = value.split(',').map(str::trim).find(known).unwrap_or(value);
            invalid().detail(format!("Unrecognized key word: \"{word}\"."))
        })?,
        Kind::TimeZone => crate::session::time_zone(value).map(|(_, name)| name).ok_or_else(invalid)?,
        Kind::ClientEncoding => match value.to_ascii_uppercase().replace(['-', '_'], "").as_str() {
            "UTF8" | "UNICODE" | "AUTO" => "UTF8".to_owned(),
            "SQLASCII" | "LATIN1" | "LATIN2" | "LATIN9" | "WIN1252" | "WIN1251" | "EUCJP" | "SJIS" | "GBK" | "BIG5"
            | "ISO88595" | "KOI8R" => return Err(Error::unsupported(format!("client encoding \"{value}\""))),
            _ => return Err(invalid()),
        },
    };
    Ok((d.name.to_owned(), value))
}

/// session_replication_role's.
const ROLES: [&str; 3] = ["origin", "replica", "local"];

/// The units to tell of, for a number with another one.
fn unit_hint(text: &str, unit: Unit) -> Option<&'static str> {
    let number = text.trim_start().starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    match unit {
        _ if !number => None,
        Unit::None => None,
        Unit::Milliseconds => Some("\"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\""),
        Unit::Kilobytes | Unit::Blocks => Some("\"B\", \"kB\", \"MB\", \"GB\", and \"TB\""),
    }
}

fn same_choice(choice: &str, value: &str) -> bool {
    match parse_bool(value) {
        Some(flag) if matches!(choice, "on" | "off") => (choice == "on") == flag,
        _ => choice.eq_ignore_ascii_case(value),
    }
}

/// PostgreSQL's Boolean words: any unambiguous prefix of true, false, yes, no; on, off; 1, 0.
pub fn parse_bool(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let prefix = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    if prefix("true", 1) || prefix("yes", 1) || prefix("on", 2) || text == "1" {
        Some(true)
    } else if prefix("false", 1) || prefix("no", 1) || prefix("off", 2) || text == "0" {
        Some(false)
    } else {
        None
    }
}

fn parse_integer(text: &str, unit: Unit) -> Option<i64> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || "+-.".contains(c)).len();
    let number: f64 = text[..digits].parse().ok()?;
    let suffix = text[digits..].trim();
    let factor = match (unit, suffix) {
        (_, "") => 1.0,
        (Unit::Milliseconds, "us") => 0.001,
        (Unit::Milliseconds, "ms") => 1.0,
        (Unit::Milliseconds, "s") => 1_000.0,
        (Unit::Milliseconds, "min") => 60_000.0,
        (Unit::Milliseconds, "h") => 3_600_000.0,
        (Unit::Milliseconds, "d") => 86_400_000.0,
        (Unit::Kilobytes, "B") => 1.0 / 1024.0,
        (Unit::Kilobytes, "kB") => 1.0,
        (Unit::Kilobytes, "MB") => 1024.0,
        (Unit::Kilobytes, "GB") => 1_048_576.0,
        (Unit::Kilobytes, "TB") => 1_073_741_824.0,
        (Unit::Blocks, "B") => 1.0 / 8192.0,
        (Unit::Blocks, "TB") => 134_217_728.0,
        (Unit::Blocks, "kB") => 0.125,
        (Unit::Blocks, "MB") => 128.0,
        (Unit::Blocks, "GB") => 131_072.0,
        _ => return None,
    };
    let value = (number * factor).round();
    (value.abs() < 9e18).then_some(value as i64)
}

/// The largest unit that leaves a whole number, as SHOW prints it.
fn show_integer(value: &str, unit: Unit) -> String {
    let Ok(number) = value.parse::<i64>() else { return value.to_owned() };
    let (number, steps): (i64, &[(i64, &str)]) = match unit {
        Unit::None => return value.to_owned(),
        Unit::Milliseconds => {
            (number, &[(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms")])
        }
        Unit::Kilobytes => (number, &[(1 << 30, "TB"), (1 << 20, "GB"), (1 << 10, "MB"), (1, "kB")]),
        Unit::Blocks => (number * 8, &[(1 << 30, "TB"), (1 << 20, "GB"), (1 << 10, "MB"), (1, "kB")]),
    };
    if number <= 0 {
        return number.to_string();
    }
    let (size, name) = steps.iter().find(|(size, _)| number % size == 0).expect("the last step is 1");
    format!("{}{name}", number / size)
}

fn parse_date_style(text: &str) -> Option<String> {
    let (mut style, mut order) = ("ISO", "MDY");
    for word in text.split(',').map(|w| w.trim().trim_matches('"').to_ascii_lowercase()).filter(|w| !w.is_empty()) {
        match word.as_str() {
            "iso" => style = "ISO",
            "sql" => style = "SQL",
            "postgres" => style = "Postgres",
            "german" => (style, order) = ("German", "DMY"),
            "mdy" | "us" | "noneuro" | "noneuropean" => order = "MDY",
            "dmy" | "euro" | "european" => order = "DMY",
            "ymd" => order = "YMD",
            "default" => {}
            _ => return None,
        }
    }
    Some(format!("{style}, {order}"))
}

fn clean_ascii(text: &str) -> String {
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).take(63).collect()
}

/// A comma-separated list of identifiers, quoted or not, as search_path is written.
pub fn split_identifiers(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.peek().is_some_and(|c| c.is_whitespace() || *c == ',') {
            chars.next();
        }
        let mut name = String::new();
        match chars.next() {
            None => return names,
            Some('"') => {
                while let Some(c) = chars.next() {
                    match c {
                        '"' if chars.peek() == Some(&'"') => {
                            name.push('"');
                            chars.next();
                        }
                        '"' => break,
                        c => name.push(c),
                    }
                }
            }
            Some(c) => {
                name.extend(c.to_lowercase());
                while let Some(c) = chars.next_if(|c| *c != ',') {
                    name.extend(c.to_lowercase());
                }
                name.truncate(name.trim_end().len());
            }
        }
        names.push(name);
    }
}

/// A dotted name, parts quoted or not.
///
/// # Errors
/// 42602 for an empty part.
pub fn split_dotted(text: &str) -> Result<Vec<String>> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut ended) = (false, false);
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        // Behind white space a name is at its end.
        if ended && c != '.' && !c.is_whitespace() {
            return Err(Error::new(SqlState::InvalidName, "invalid name syntax"));
        }
        let part = parts.last_mut().expect("there is always one part");
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                part.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            '.' if !quoted => {
                parts.push(String::new());
                ended = false;
            }
            c if quoted => part.push(c),
            c if c.is_whitespace() => ended = !part.is_empty(),
            c => part.extend(c.to_lowercase()),
        }
    }
    if quoted || parts.iter().any(String::is_empty) {
        return Err(Error::new(SqlState::InvalidName, "invalid name syntax"));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_local_ends_with_the_transaction_and_set_stays() {
        let mut s = Settings::default();
        s.set("work_mem", "8MB", false, 0).unwrap();
        s.commit();
        s.set("work_mem", "1GB", true, 0).unwrap();
        assert_eq!(s.show("work_mem").unwrap(), "1GB");
        s.commit();
        assert_eq!(s.show("work_mem").unwrap(), "8MB");
        s.set("work_mem", "9MB", false, 0).unwrap();
        s.set("work_mem", "10MB", false, 1).unwrap();
        s.rollback(1);
        assert_eq!(s.show("work_mem").unwrap(), "9MB");
        s.rollback(0);
        assert_eq!(s.show("work_mem").unwrap(), "8MB");
    }

    #[test]
    fn values_are_checked_and_shown_as_postgresql_shows_them() {
        let mut s = Settings::default();
        s.set("statement_timeout", "1min", false, 0).unwrap();
        assert_eq!(s.show("statement_timeout").unwrap(), "1min");
        assert_eq!(s.set("nonsense", "1", false, 0).unwrap_err().code(), SqlState::UndefinedObject);
        assert_eq!(s.set("port", "1", false, 0).unwrap_err().code(), SqlState::CantChangeRuntimeParam);
        assert_eq!(s.set("jit", "maybe", false, 0).unwrap_err().code(), SqlState::InvalidParameterValue);
        let refused = s.set("default_transaction_isolation", "serializable", false, 0).unwrap_err();
        assert_eq!(refused.code(), SqlState::FeatureNotSupported);
        s.set("my.own", "x", false, 0).unwrap();
        assert_eq!(s.show("MY.own").as_deref(), Some("x"));
        s.set("datestyle", "german", false, 0).unwrap();
        assert_eq!(s.show("DateStyle").unwrap(), "German, DMY");
        assert_eq!(split_identifiers("\"$user\", Public , \"A\"\"b\""), ["$user", "public", "A\"b"]);
    }
}
