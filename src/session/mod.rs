//! A connection's state: transaction, settings, prepared statements, portals.
//!
//! | file | what |
//! |---|---|
//! | `server` | what all sessions share: engine, catalog, backends, limits, shutdown |
//! | `settings` | run-time settings with transactional undo |
//! | `host` | what functions may ask of the session |
//! | `names` | the reg types' names |
//! | `report` | what system views show of sessions |
//! | `transaction` | blocks, savepoints, commit |
//! | `statement` | from text to plan; prepared statements and portals |
//! | `plans` | the plan cache of all sessions |
//! | `run` | executing one statement to the client |
//! | `utility` | statements that are not planned |
//! | `identity` | SET ROLE, SET SESSION AUTHORIZATION |
//! | `notify` | LISTEN, NOTIFY |
//! | `cursor` | DECLARE, FETCH, MOVE |
//! | `create_as` | CREATE TABLE AS |
//! | `database` | CREATE and DROP DATABASE |
//! | `copy`, `copy_format` | COPY |
//! | `maintenance` | ANALYZE of what has changed |

mod copy;
pub mod copy_format;
mod create_as;
mod cursor;
mod database;
mod host;
mod identity;
pub(crate) mod maintenance;
mod names;
mod notify;
mod plans;
mod report;
mod run;
pub mod server;
pub mod settings;
mod statement;
mod transaction;
mod utility;

pub use server::{Backend, Server};

use crate::catalog::image::Image;
use crate::catalog::store::Change;
use crate::error::{Error, Report, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::executor::memory::Memory;
use crate::executor::row::constraint::ConstraintQueue;
use crate::executor::spill::Folder;
use crate::executor::{Execution, SharedTransaction, StatementContext};
use crate::interrupt;
use crate::sql::ast::utility::TransactionModes;
use crate::sql::bind::BindContext;
use crate::types::Oid;
use host::SessionHost;
use notify::Notifications;
use parking_lot::Mutex;
use settings::Settings;
use statement::{Portal, Prepared};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use transaction::{Block, Savepoint, Unsettled};

/// The time zone that a TimeZone setting means, and its name as shown.
pub fn time_zone(value: &str) -> Option<(jiff::tz::TimeZone, String)> {
    crate::types::timezone::setting(value)
}

/// Microseconds since 2000-01-01 UTC, now.
pub fn now() -> i64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since_1970.as_micros() as i64 - 946_684_800_000_000
}

/// One client's session.
pub struct Session {
    server: Arc<Server>,
    backend: Arc<Backend>,
    database: Oid,
    /// The role that logged in.
    login: Oid,
    settings: Arc<Mutex<Settings>>,
    host: Arc<SessionHost>,
    transaction: SharedTransaction,
    block: Block,
    unsettled: Option<Unsettled>,
    /// Bytes of the session's temporary files.
    temporary_bytes: Arc<AtomicU64>,
    /// Executions that have failed, whose memory is given back with that.
    leftovers: Vec<Execution>,
    savepoints: Vec<Savepoint>,
    /// The modes of a failed block whose transaction is undone already, for AND CHAIN.
    failed_modes: Option<TransactionModes>,
    /// The catalog as this transaction has changed it.
    change: Option<Change>,
    /// See [`StatementContext::first_catalog`].
    first_image: Mutex<Option<Arc<Image>>>,
    /// The committed catalog, and the generation at which it was asked for.
    committed: Mutex<Option<(u64, Arc<Image>)>>,
    constraints: Arc<Mutex<ConstraintQueue>>,
    prepared: hashbrown::HashMap<String, Arc<Prepared>>,
    portals: hashbrown::HashMap<String, Portal>,
    transaction_time: i64,
    statement_time: i64,
    /// When the statement has to end.
    deadline: Option<Instant>,
    /// Sets the cancel flag then, for who looks at nothing else.
    timer: Option<Timer>,
    notices: Vec<Report>,
    notifications: Arc<Mutex<Notifications>>,
    /// Per result column of the statement under way: binary? (What EXECUTE and FETCH show theirs in.)
    result_formats: Vec<bool>,
    /// The statement is one of several of a simple query.
    in_list: bool,
    /// The session's part of the plan cache's keys.
    surroundings: plans::Surroundings,
}

impl Session {
    /// A session of `user` in `database`.
    ///
    /// # Errors
    /// 28000, 3D000, 42704 for a startup setting that does not exist: all end the connection.
    pub fn open(
        server: Arc<Server>,
        backend: Arc<Backend>,
        user: &str,
        parameters: &[(String, String)],
    ) -> Result<Session> {
        let shared = server.catalog.shared()?;
        let Some(role) = shared.role(user).cloned() else {
            let message = format!("role \"{user}\" does not exist");
            return Err(Error::new(SqlState::InvalidAuthorizationSpecification, message));
        };
        if !role.login {
            let message = format!("role \"{user}\" is not permitted to log in");
            return Err(Error::new(SqlState::InvalidAuthorizationSpecification, message));
        }
        let name = parameters.iter().find(|(name, _)| name == "database").map_or(user, |(_, value)| value);
        let missing = || Err(Error::new(SqlState::InvalidCatalogName, format!("database \"{name}\" does not exist")));
        let Some(database) = shared.database_named(name).cloned() else { return missing() };
        if !database.allow_connections {
            let message = format!("database \"{name}\" is not currently accepting connections");
            return Err(Error::new(SqlState::ObjectNotInPrerequisiteState, message));
        }
        server.enter(&backend, &database, &role)?;
        // It may have been dropped or renamed before this session was counted as being in it.
        if server.catalog.shared()?.database_named(name).map(|found| found.oid) != Some(database.oid) {
            return missing();
        }
        let mut settings = Settings::default();
        settings.set_default("TimeZone", &server.config.timezone)?;
        settings.set_internal("session_authorization", user);
        settings.set_internal("is_superuser", if role.superuser { "on" } else { "off" });
        settings.set_internal("port", &server.config.listen.port().to_string());
        settings.set_internal("max_connections", &server.config.max_connections.to_string());
        let interval = server.config.analyze_interval.as_secs();
        settings.set_internal("autovacuum", if interval > 0 { "on" } else { "off" });
        let shown = if interval.is_multiple_of(60) { format!("{}min", interval / 60) } else { format!("{interval}s") };
        settings.set_internal("autovacuum_naptime", &shown);
        settings.set_default("work_mem", &(server.config.work_mem_bytes >> 10).to_string())?;
        for (name, value) in parameters {
            match name.as_str() {
                "user" | "database" | "replication" => {}
                "role" | "session_authorization" => {
                    return Err(Error::unsupported(format!("setting \"{name}\" at the start of a session")));
                }
                "options" => set_options(&mut settings, value)?,
                name => settings.set_default(name, value)?,
            }
        }
        let settings = Arc::new(Mutex::new(settings));
        backend.activity.lock().open(&settings, now());
        let transaction = SharedTransaction::default();
        let notifications = Arc::new(Mutex::new(Notifications::default()));
        let host = SessionHost::new(&server, &backend, database.oid, name, &settings, &transaction, &notifications);
        Ok(Session {
            database: database.oid,
            login: role.oid,
            host: Arc::new(host),
            settings,
            transaction,
            block: Block::None,
            unsettled: None,
            leftovers: Vec::new(),
            temporary_bytes: Arc::default(),
            savepoints: Vec::new(),
            failed_modes: None,
            change: None,
            first_image: Mutex::default(),
            committed: Mutex::default(),
            constraints: Arc::new(Mutex::new(ConstraintQueue::new())),
            prepared: hashbrown::HashMap::new(),
            portals: hashbrown::HashMap::new(),
            transaction_time: now(),
            statement_time: now(),
            deadline: None,
            timer: None,
            notices: Vec::new(),
            notifications,
            result_formats: Vec::new(),
            in_list: false,
            surroundings: plans::Surroundings::default(),
            server,
            backend,
        })
    }

    /// The session ends: what it has begun is undone, its temporary objects go.
    pub async fn close(&mut self) {
        self.rollback();
        self.settle();
        let has_temporary = self.image().is_ok_and(|image| self.host.temp_schema(&image).is_some());
        if !has_temporary {
            return;
        }
        let closed = match self.run_ddl(|ctx| ctx.drop_temporary(true)).await {
            Ok(()) => self.commit().await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = closed {
            self.rollback();
            // They are nobody's any more, and go when the server starts again.
            tracing::warn!("temporary objects of a session are left behind: {}", error.report().message);
        }
    }

    /// The session's settings.
    pub fn settings(&self) -> parking_lot::MutexGuard<'_, Settings> {
        self.settings.lock()
    }

    /// The catalog as this session's next statement sees it.
    fn image(&self) -> Result<Arc<Image>> {
        match &self.change {
            Some(change) => Ok(change.image.clone()),
            None => self.committed_image(),
        }
    }

    /// The catalog as last committed.
    fn committed_image(&self) -> Result<Arc<Image>> {
        let generation = self.server.catalog.generation();
        let mut committed = self.committed.lock();
        if let Some((at, image)) = &*committed
            && *at == generation
        {
            return Ok(image.clone());
        }
        let image = self.server.catalog.image(self.database)?;
        *committed = Some((generation, image.clone()));
        Ok(image)
    }

    /// Lets this transaction's own picture of the catalog see what others have committed since.
    fn refresh_change(&mut self) -> Result<()> {
        if let (Some(change), Some(transaction)) = (&mut self.change, self.transaction.lock().as_mut()) {
            self.server.catalog.refresh(change, transaction)?;
        }
        Ok(())
    }

    /// What functions see, as of now.
    fn call_context(&self, image: &Arc<Image>) -> Arc<CallContext> {
        let settings = self.settings.lock().parsed();
        self.host.set_image(image.clone());
        Arc::new(CallContext {
            time_zone: settings.time_zone.clone(),
            format: settings.format,
            transaction_time: self.transaction_time,
            statement_time: self.statement_time,
            host: self.host.clone(),
        })
    }

    fn bind_context<'a>(&self, image: &Arc<Image>, call: &'a CallContext, params: Vec<Option<Oid>>) -> BindContext<'a> {
        BindContext {
            image: image.clone(),
            search_path: self.host.resolve_path(image, true),
            temp_schema: self.host.temp_schema(image),
            user: self.user(image),
            declared_params: params,
            call,
            reads_clock: Default::default(),
        }
    }

    /// The catalog that the snapshot of a REPEATABLE READ transaction was taken under.
    fn first_catalog(&self, image: &Arc<Image>, repeatable_read: bool) -> Option<Arc<Image>> {
        // Rows that it changes itself have what its own indexes are made of.
        if !repeatable_read || self.change.is_some() {
            return None;
        }
        Some(self.first_image.lock().get_or_insert_with(|| image.clone()).clone())
    }

    fn statement_context(&self, image: &Arc<Image>, call: &Arc<CallContext>) -> Result<StatementContext> {
        let snapshot = match self.transaction.lock().as_mut() {
            Some(transaction) => transaction.snapshot(),
            None => return Err(Error::internal("a statement runs outside of a transaction")),
        };
        let settings = self.settings.lock().parsed();
        let used = self.temporary_bytes.clone();
        let temporary = Folder::new(self.server.temporary.clone(), settings.temp_file_limit, used);
        Ok(StatementContext {
            engine: self.server.engine.clone(),
            transaction: self.transaction.clone(),
            snapshot,
            repeatable_read: settings.repeatable_read,
            read_only: settings.read_only,
            call: call.clone(),
            catalog: image.clone(),
            first_catalog: self.first_catalog(image, settings.repeatable_read),
            cancel: self.backend.cancel.clone(),
            memory: Memory::with_spilling(&self.server.memory, settings.work_mem, temporary),
            analytics: Some(self.server.analytics.clone()),
            constraints: self.constraints.clone(),
        })
    }

    /// A statement begins: its time, its deadline; an old cancel request is forgotten.
    fn begin_statement(&mut self) {
        self.settle();
        self.statement_time = now();
        self.backend.cancel.store(false, Ordering::Relaxed);
        let timeout = self.settings.lock().parsed().statement_timeout;
        self.deadline = timeout.map(|timeout| Instant::now() + timeout);
        self.timer = timeout.map(|timeout| {
            let backend = self.backend.clone();
            let timer = async move {
                tokio::time::sleep(timeout).await;
                backend.cancel();
            };
            Timer(match &self.server.timers {
                Some(timers) => timers.spawn(timer),
                None => tokio::spawn(timer),
            })
        });
    }

    /// Does synchronous work of the statement, of which a cancel request or the timeout ends the long loops.
    fn watched<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let done = interrupt::watching(&self.backend.cancel, work);
        if done.as_ref().is_err_and(|error| error.waiter().is_none()) {
            // Of several reasons to end it is the one that is told.
            self.check_interrupts()?;
        }
        done
    }

    /// 57014 when the statement was cancelled or has run for too long; 57P01 when the server is told to stop.
    fn check_interrupts(&self) -> Result<()> {
        if self.backend.terminated.load(Ordering::Relaxed) {
            let message = "terminating connection due to administrator command";
            return Err(Error::new(SqlState::AdminShutdown, message).fatal());
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Error::new(SqlState::QueryCanceled, "canceling statement due to statement timeout"));
        }
        if self.backend.cancel.load(Ordering::Relaxed) {
            return Err(Error::new(SqlState::QueryCanceled, "canceling statement due to user request"));
        }
        Ok(())
    }

    /// Waits for a lock, the log or whatever else `waiter` stands for.
    ///
    /// # Errors
    /// 57014, 57P01, 55P03 after lock_timeout.
    async fn wait(&mut self, waiter: &lightning_storage::Waiter) -> Result<()> {
        if waiter.needs_work() {
            let reading = waiter.clone();
            // Should the reading fail, the call that is made again says so.
            let _ = tokio::task::spawn_blocking(move || reading.work()).await;
            return Ok(());
        }
        let lock_timeout = self.settings.lock().integer("lock_timeout");
        let lock_deadline = (lock_timeout > 0).then(|| Instant::now() + Duration::from_millis(lock_timeout as u64));
        loop {
            if waiter.is_ready() {
                return Ok(());
            }
            self.check_interrupts()?;
            if lock_deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Error::new(SqlState::LockNotAvailable, "canceling statement due to lock timeout"));
            }
            let until = [self.deadline, lock_deadline].into_iter().flatten().min();
            let sleep =
                until.map_or(Duration::from_secs(3600), |until| until.saturating_duration_since(Instant::now()));
            tokio::select! {
                () = ready(waiter) => return Ok(()),
                () = self.backend.woken.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// A message for the client that is no error.
    fn notice(&mut self, report: Report) {
        self.notices.push(report);
    }

    /// A warning.
    fn warn(&mut self, code: SqlState, message: &str) {
        self.notice(Report { code, message: message.to_owned(), ..Report::default() });
    }

    /// Takes the messages of other sessions that may be told now: none inside of a block.
    pub fn take_notifications(&mut self) -> Vec<notify::Notification> {
        if self.block == Block::None { self.backend.take_notifications() } else { Vec::new() }
    }

    /// Takes what is to be told to the client besides results.
    pub fn take_notices(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.notices)
    }
}

/// A task that is ended when this is dropped.
struct Timer(tokio::task::JoinHandle<()>);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Completes when the waiter is ready.
async fn ready(waiter: &lightning_storage::Waiter) {
    std::future::poll_fn(|cx| {
        waiter.on_ready(cx.waker());
        if waiter.is_ready() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// `-c name=value` and `--name=value` of the startup packet's `options`; a backslash takes the next character as it is.
fn set_options(settings: &mut Settings, text: &str) -> Result<()> {
    let mut words = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let word = words.last_mut().expect("there is always one word");
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_ascii_whitespace() && !word.is_empty() => words.push(String::new()),
            c if c.is_ascii_whitespace() => {}
            c => word.push(c),
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("--") {
            Some(assignment) => {
                assignment.replacen('-', "_", assignment.split('=').next().map_or(0, |n| n.matches('-').count()))
            }
            None if word == "-c" => words.next().unwrap_or_default(),
            None => match word.strip_prefix("-c") {
                Some(assignment) => assignment.to_owned(),
                None => {
                    let message = format!("invalid command-line argument for server process: {word}");
                    return Err(Error::new(SqlState::SyntaxError, message));
                }
            },
        };
        let (name, value) = assignment
            .split_once('=')
            .ok_or_else(|| Error::new(SqlState::SyntaxError, format!("-c {assignment} requires a value")))?;
        settings.set_default(name, value)?;
    }
    Ok(())
}
