//! What all sessions share: the engine and its threads, the catalog, who is connected, shutdown.

use super::notify::{Listeners, Notification, WAITING_MAX};
use super::report::Activity;
use crate::catalog::Catalog;
use crate::catalog::image::{Database, Role};
use crate::config::Config;
use crate::error::{Error, Result, SqlState};
use crate::executor::memory::Budget;
use crate::executor::vector::Analytics;
use crate::types::Oid;
use bytes::Bytes;
use lightning_storage::io::{SystemClock, file::FileIo};
use lightning_storage::{Engine, LogStep};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// One connection, as others see it.
#[derive(Debug)]
pub struct Backend {
    /// Its number.
    pub pid: i32,
    /// What a cancel request must show.
    pub secret: Bytes,
    /// The running statement is to end.
    pub cancel: Arc<AtomicBool>,
    /// The connection is to end.
    pub terminated: AtomicBool,
    /// Wakes the session to look at the two.
    pub woken: Notify,
    /// Messages that it has not told its client yet.
    inbox: Mutex<Vec<Notification>>,
    /// The database that it is in, by oid; 0 until it is in one.
    database: AtomicU32,
    /// The role that logged in, by oid; 0 until it has.
    role: AtomicU32,
    /// What it does, for pg_stat_activity.
    pub(crate) activity: Mutex<Activity>,
}

impl Backend {
    /// The database that it is in and the role that logged in.
    pub(super) fn place(&self) -> (Oid, Oid) {
        (Oid(self.database.load(Ordering::Relaxed)), Oid(self.role.load(Ordering::Relaxed)))
    }

    /// Ends the running statement.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Relaxed);
        self.woken.notify_waiters();
        self.woken.notify_one();
    }

    /// A message for its client. A client that never takes its messages loses its connection.
    pub(super) fn deliver(&self, notification: Notification) {
        let waiting = {
            let mut inbox = self.inbox.lock();
            inbox.push(notification);
            inbox.len()
        };
        if waiting > WAITING_MAX {
            return self.terminate();
        }
        self.woken.notify_waiters();
        self.woken.notify_one();
    }

    /// Takes the messages for the client.
    pub fn take_notifications(&self) -> Vec<Notification> {
        std::mem::take(&mut self.inbox.lock())
    }

    /// Ends the connection.
    pub fn terminate(&self) {
        self.terminated.store(true, Ordering::Relaxed);
        self.cancel();
    }
}

/// The server.
pub struct Server {
    /// The configuration.
    pub config: Config,
    /// Storage.
    pub engine: Engine,
    /// Names.
    pub catalog: Catalog,
    /// TLS, when a certificate is configured.
    pub tls: Option<TlsAcceptor>,
    /// What statements' sorts, hashes and stores may take together.
    pub memory: Arc<Budget>,
    /// Runs what has to come in time though a statement keeps its worker busy; `None` in tests outside of a runtime.
    pub(super) timers: Option<tokio::runtime::Handle>,
    /// Plans by text.
    pub(super) plans: super::plans::PlanCache,
    /// Where they go on when they are too large.
    pub temporary: Arc<Path>,
    /// The threads that large queries run on.
    pub analytics: Arc<Analytics>,
    /// When it started.
    pub started: i64,
    backends: Mutex<HashMap<i32, Arc<Backend>>>,
    /// Who listens to what.
    pub(super) listeners: Listeners,
    /// Databases that nobody may enter: they are being dropped. Locked after `backends`.
    closed: Mutex<HashSet<Oid>>,
    next_pid: AtomicI32,
    mock_key: [u8; 16],
    stopping: AtomicBool,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Server {
    /// Opens the database in the configured folder, recovering it if need be, and starts its background threads.
    ///
    /// # Errors
    /// A readable sentence.
    pub fn open(config: Config) -> std::result::Result<Arc<Server>, String> {
        let folder = config.data_dir.display().to_string();
        let tls = config.tls.as_ref().map(|(cert, key)| tls_acceptor(cert, key)).transpose()?;
        let io = FileIo::open(&config.data_dir).map_err(|e| format!("could not open the database in {folder}: {e}"))?;
        let storage = lightning_storage::Config { pool_bytes: config.buffer_pool_bytes, ..Default::default() };
        let engine = Engine::open(Arc::new(io), Arc::new(SystemClock), storage)
            .map_err(|e| format!("could not open the database in {folder}: {e}"))?;
        let catalog =
            Catalog::open(engine.clone()).map_err(|e| format!("could not read the catalog in {folder}: {e}"))?;
        let temporary = config.data_dir.join("temporary");
        // Files have a name there for a moment: a server that was killed then has left one.
        let _ = std::fs::remove_dir_all(&temporary);
        std::fs::create_dir_all(&temporary).map_err(|e| format!("could not make {}: {e}", temporary.display()))?;
        let memory = Budget::new(config.statement_memory_bytes);
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let analytics = Analytics::start(threads).map_err(|e| format!("could not start threads: {e}"))?;
        let server = Arc::new(Server {
            timers: tokio::runtime::Handle::try_current().ok(),
            plans: super::plans::PlanCache::new(&memory),
            memory,
            temporary: temporary.into(),
            analytics: Arc::new(analytics),
            config,
            engine,
            catalog,
            tls,
            started: super::now(),
            backends: Mutex::default(),
            listeners: Listeners::default(),
            closed: Mutex::default(),
            next_pid: AtomicI32::new(std::process::id() as i32),
            mock_key: rand::random(),
            stopping: AtomicBool::new(false),
        });
        let (log, background) = (server.clone(), server.clone());
        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(body)
                .map_err(|e| format!("could not start a thread: {e}"))
        };
        spawn("log", Box::new(move || log.run_log()))?;
        spawn("background", Box::new(move || background.run_background()))?;
        Ok(server)
    }

    /// Whether it has begun to stop.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Appends and syncs the log for all who wait.
    fn run_log(&self) {
        loop {
            match self.engine.log_step() {
                Ok(LogStep::Idle(waiter)) => {
                    if self.stopping.load(Ordering::Acquire) {
                        return;
                    }
                    waiter.block();
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!("the log cannot be written: {error}; reads go on, writing ends until restart");
                    return;
                }
            }
        }
    }

    /// Checkpoints when due; removes versions that nobody needs.
    fn run_background(&self) {
        while !self.stopping.load(Ordering::Acquire) {
            if self.engine.checkpoint_due()
                && let Err(error) = self.engine.checkpoint()
            {
                tracing::error!("a checkpoint failed: {error}");
                if self.engine.is_data_failed() {
                    // What the data file holds is unknown, and no retry tells (Rebello et al., 2020).
                    tracing::error!(
                        "the data file could not be synced: the server ends; started again, it recovers from the log"
                    );
                    std::process::exit(1);
                }
            }
            match self.engine.clean_step(10_000) {
                Ok(true) => {}
                Ok(false) => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => {
                    tracing::error!("removing old versions failed: {error}");
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        }
    }

    /// A new connection's entry.
    ///
    /// # Errors
    /// 53300.
    pub fn register(&self) -> Result<Arc<Backend>> {
        let mut backends = self.backends.lock();
        if backends.len() >= self.config.max_connections {
            return Err(Error::new(SqlState::TooManyConnections, "sorry, too many clients already"));
        }
        let backend = Arc::new(Backend {
            pid: self.next_pid.fetch_add(1, Ordering::Relaxed),
            secret: Bytes::copy_from_slice(&rand::random::<[u8; 4]>()),
            cancel: Arc::default(),
            terminated: AtomicBool::new(false),
            woken: Notify::new(),
            inbox: Mutex::default(),
            database: AtomicU32::new(0),
            role: AtomicU32::new(0),
            activity: Mutex::default(),
        });
        backends.insert(backend.pid, backend.clone());
        Ok(backend)
    }

    /// Counts a session as being in a database.
    ///
    /// # Errors
    /// 53300 when the role or the database has as many sessions as it may; 55006 while the database is being dropped.
    pub fn enter(&self, backend: &Backend, database: &Database, role: &Role) -> Result<()> {
        let backends = self.backends.lock();
        if self.closed.lock().contains(&database.oid) {
            let message = format!("database \"{}\" is being dropped", database.name);
            return Err(Error::new(SqlState::ObjectInUse, message));
        }
        let others = |of: fn(&Backend) -> &AtomicU32, oid: Oid| {
            backends.values().filter(|other| of(other).load(Ordering::Relaxed) == oid.0).count()
        };
        let full = |limit: i32, count: usize| limit >= 0 && !role.superuser && count >= limit as usize;
        if full(role.connection_limit, others(|other| &other.role, role.oid)) {
            let message = format!("too many connections for role \"{}\"", role.name);
            return Err(Error::new(SqlState::TooManyConnections, message));
        }
        if full(database.connection_limit, others(|other| &other.database, database.oid)) {
            let message = format!("too many connections for database \"{}\"", database.name);
            return Err(Error::new(SqlState::TooManyConnections, message));
        }
        backend.database.store(database.oid.0, Ordering::Relaxed);
        backend.role.store(role.oid.0, Ordering::Relaxed);
        Ok(())
    }

    /// The sessions in a database besides `own`.
    pub fn sessions_in(&self, database: Oid, own: i32) -> usize {
        let backends = self.backends.lock();
        let inside = |backend: &&Arc<Backend>| backend.database.load(Ordering::Relaxed) == database.0;
        backends.values().filter(|backend| backend.pid != own).filter(inside).count()
    }

    /// Ends the sessions in a database besides `own`.
    pub fn end_others(&self, database: Oid, own: i32) {
        let backends = self.backends.lock();
        let inside = |backend: &&Arc<Backend>| backend.database.load(Ordering::Relaxed) == database.0;
        backends.values().filter(|backend| backend.pid != own).filter(inside).for_each(|backend| backend.terminate());
    }

    /// Lets nobody into a database until the answer is dropped.
    pub fn close_database(self: &Arc<Server>, database: Oid) -> Closed {
        let _backends = self.backends.lock();
        self.closed.lock().insert(database);
        Closed { server: self.clone(), database }
    }

    /// The role that logged in at a backend.
    pub fn role_of(&self, pid: i32) -> Option<Oid> {
        let backends = self.backends.lock();
        let role = backends.get(&pid)?.role.load(Ordering::Relaxed);
        Some(Oid(role)).filter(|role| *role != Oid::NONE)
    }

    /// A connection has ended.
    pub fn unregister(&self, backend: &Backend) {
        self.listeners.forget(backend);
        self.backends.lock().remove(&backend.pid);
    }

    /// A cancel request: acts only when the secret is right.
    pub fn cancel(&self, pid: i32, secret: &[u8]) {
        let backend = self.backends.lock().get(&pid).cloned();
        if let Some(backend) = backend.filter(|backend| *backend.secret == *secret) {
            backend.cancel();
        }
    }

    /// Signals a backend; `false`: there is none of this number.
    pub fn signal(&self, pid: i32, terminate: bool) -> bool {
        let backend = self.backends.lock().get(&pid).cloned();
        match &backend {
            Some(backend) if terminate => backend.terminate(),
            Some(backend) => backend.cancel(),
            None => {}
        }
        backend.is_some()
    }

    /// All connections.
    pub(super) fn backends(&self) -> Vec<Arc<Backend>> {
        self.backends.lock().values().cloned().collect()
    }

    /// Number of connections.
    pub fn connections(&self) -> usize {
        self.backends.lock().len()
    }

    /// Ends every connection, then closes the engine with a last checkpoint.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn shut_down(&self) -> std::result::Result<(), String> {
        let backends: Vec<Arc<Backend>> = self.backends.lock().values().cloned().collect();
        backends.iter().for_each(|backend| backend.terminate());
        for _ in 0..500 {
            if self.connections() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.stopping.store(true, Ordering::Release);
        self.engine.close().map_err(|e| format!("the last checkpoint failed: {e}"))
    }

    /// A role's stored SCRAM verifier.
    pub fn role_verifier(&self, role: &str) -> Option<String> {
        let shared = self.catalog.shared().ok()?;
        let role = shared.role(role).filter(|role| role.login)?;
        match role.valid_until {
            Some(until) if until < super::now() => None,
            _ => role.password.clone(),
        }
    }

    /// The salt of a verifier that does not exist: the same for the same name while the server runs.
    pub fn mock_salt(&self, role: &str) -> Vec<u8> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        (0..2u8)
            .flat_map(|half| {
                let mut hasher = DefaultHasher::new();
                (self.mock_key, role, half).hash(&mut hasher);
                hasher.finish().to_le_bytes()
            })
            .collect()
    }
}

/// A database that nobody may enter.
pub struct Closed {
    server: Arc<Server>,
    database: Oid,
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.server.closed.lock().remove(&self.database);
    }
}

fn tls_acceptor(cert: &std::path::Path, key: &std::path::Path) -> std::result::Result<TlsAcceptor, String> {
    use tokio_rustls::rustls::{
        self,
        pki_types::pem::PemObject,
        pki_types::{CertificateDer, PrivateKeyDer},
    };
    let certs = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|e| format!("could not read the certificate {}: {e}", cert.display()))?;
    let key =
        PrivateKeyDer::from_pem_file(key).map_err(|e| format!("could not read the key {}: {e}", key.display()))?;
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certs, key))
        .map_err(|e| format!("the certificate cannot be used: {e}"))?;
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
