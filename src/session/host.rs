//! What functions may ask of the session: settings, names, sequences, locks.

use super::notify::Notifications;
use super::report::{CursorNote, PreparedNote};
use super::server::{Backend, Server};
use super::settings::Settings;
use crate::catalog::image::{Body, Image};
use crate::catalog::names::Namespace;
use crate::catalog::store::{TEMPORARY_SCHEMA, fixed};
use crate::error::{Error, Result, SqlState};
use crate::executor::SharedTransaction;
use crate::executor::functions::{AdvisoryAction, AdvisoryRequest, Host};
use crate::types::text_io::Names;
use crate::types::{Datum, Oid, Text};
use lightning_storage::{LockMode, LockScope, LockTag, SessionId, WaitPolicy};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// See the module.
pub(super) struct SessionHost {
    pub(super) server: Arc<Server>,
    backend: Arc<Backend>,
    pub(super) database: Oid,
    database_name: String,
    /// The name that the session's temporary schema has, once it is there.
    temp_schema: String,
    /// The last answer of [`SessionHost::users`], and the catalog's and the settings' versions it is for.
    users: Mutex<Option<((u64, u64), (Oid, Oid))>>,
    pub(super) settings: Arc<Mutex<Settings>>,
    transaction: SharedTransaction,
    notifications: Arc<Mutex<Notifications>>,
    image: Mutex<Arc<Image>>,
    /// Counts names that were looked up for values of the reg types: a plan with such a constant depends on more than its
    /// relations.
    pub(super) names_read: AtomicU64,
    /// nextval's last value per sequence, and the sequence used last.
    values: Mutex<(HashMap<Oid, i64>, Option<Oid>)>,
    /// What pg_prepared_statements and pg_cursors show, noted when a statement reads them.
    pub(super) prepared: Mutex<Vec<PreparedNote>>,
    pub(super) cursors: Mutex<Vec<CursorNote>>,
    /// Changes of settings by set_config belong to a transaction when there is a block.
    pub(super) failed: AtomicBool,
    /// random()'s state, once it was asked for or seeded.
    random: Mutex<Option<Xoroshiro>>,
}

/// xoroshiro128** (Blackman and Vigna 2018), as PostgreSQL seeds and reads it: setseed gives the same numbers there and here.
#[derive(Clone, Copy)]
struct Xoroshiro(u64, u64);

impl Xoroshiro {
    fn seeded(mut seed: u64) -> Xoroshiro {
        // splitmix64
        let mut next = || {
            seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        Xoroshiro(next(), next())
    }

    /// 52 random bits as a fraction.
    fn next(&mut self) -> f64 {
        let Xoroshiro(a, b) = *self;
        let mixed = b ^ a;
        let value = a.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        *self = Xoroshiro(a.rotate_left(24) ^ mixed ^ (mixed << 16), mixed.rotate_left(37));
        (value >> 12) as f64 / (1u64 << 52) as f64
    }
}

/// How often a sleeping session looks whether it is to stop.
const SLEEP_SLICE: Duration = Duration::from_millis(5);

impl SessionHost {
    pub(super) fn new(
        server: &Arc<Server>,
        backend: &Arc<Backend>,
        database: Oid,
        database_name: &str,
        settings: &Arc<Mutex<Settings>>,
        transaction: &SharedTransaction,
        notifications: &Arc<Mutex<Notifications>>,
    ) -> SessionHost {
        SessionHost {
            server: server.clone(),
            backend: backend.clone(),
            database,
            database_name: database_name.to_owned(),
            temp_schema: format!("{TEMPORARY_SCHEMA}{}", backend.pid),
            users: Mutex::default(),
            settings: settings.clone(),
            transaction: transaction.clone(),
            notifications: notifications.clone(),
            image: Mutex::default(),
            names_read: AtomicU64::new(0),
            values: Mutex::default(),
            prepared: Mutex::default(),
            cursors: Mutex::default(),
            failed: AtomicBool::new(false),
            random: Mutex::default(),
        }
    }

    pub(super) fn set_image(&self, image: Arc<Image>) {
        *self.image.lock() = image;
    }

    pub(super) fn session_id(&self) -> SessionId {
        SessionId(self.backend.pid as u64)
    }

    /// The session's temporary schema, when it has one.
    pub(super) fn temp_schema(&self, image: &Image) -> Option<Oid> {
        image.schema_names.get(&self.temp_schema).copied()
    }

    /// The session's user and the current one.
    fn users(&self, image: &Image) -> (Oid, Oid) {
        let (version, parsed) = {
            let mut settings = self.settings.lock();
            (settings.version, settings.parsed())
        };
        let versions = (image.version, version);
        let mut users = self.users.lock();
        if let Some((at, found)) = *users
            && at == versions
        {
            return found;
        }
        let oid = |name: &str| image.role(name).map_or(Oid::NONE, |role| role.oid);
        let session = oid(&parsed.session_user);
        let found = (session, parsed.role.as_deref().map_or(session, oid));
        *users = Some((versions, found));
        found
    }

    pub(super) fn session_user(&self, image: &Image) -> Oid {
        self.users(image).0
    }

    /// Whose rights count.
    pub(super) fn current_user(&self, image: &Image) -> Oid {
        self.users(image).1
    }

    /// The schemas of search_path that exist and may be used; with `implicit`, the temporary one and pg_catalog first unless
    /// they are named.
    pub(super) fn resolve_path(&self, image: &Image, implicit: bool) -> Vec<Oid> {
        let names = self.settings.lock().search_path();
        let user = self.current_user(image);
        let mut path: Vec<Oid> = Vec::new();
        for name in &names {
            let found = match name.as_str() {
                "$user" => image.roles.get(&user).and_then(|role| image.schema_names.get(&role.name)),
                "pg_temp" => image.schema_names.get(&self.temp_schema),
                name => image.schema_names.get(name),
            };
            let usable = |oid: &&Oid| image.schemas.get(oid).is_some_and(|schema| image.may_use(user, schema));
            let own = self.temp_schema(image);
            if let Some(oid) = found.filter(|oid| (Some(**oid) == own || usable(oid)) && !path.contains(oid)) {
                path.push(*oid);
            }
        }
        if implicit {
            let first = if path.contains(&fixed::PG_CATALOG) { None } else { Some(fixed::PG_CATALOG) };
            let temporary = self.temp_schema(image).filter(|schema| !path.contains(schema));
            path.splice(0..0, temporary.into_iter().chain(first));
        }
        path
    }

    /// DISCARD SEQUENCES.
    pub(super) fn forget_sequences(&self) {
        *self.values.lock() = (HashMap::new(), None);
    }

    fn sequence(&self, oid: Oid) -> Result<(String, lightning_storage::ObjectId)> {
        let image = self.image.lock().clone();
        let relation = image
            .relations
            .get(&oid)
            .ok_or_else(|| Error::new(SqlState::UndefinedTable, format!("could not open relation with OID {oid}")))?;
        image.check_access(self.current_user(&image), relation)?;
        match &relation.body {
            Body::Sequence(sequence) => Ok((relation.name.clone(), sequence.storage)),
            _ => {
                let message = format!("\"{}\" is not a sequence", relation.name);
                Err(Error::new(SqlState::WrongObjectType, message))
            }
        }
    }

    fn with_transaction<T>(
        &self,
        call: impl FnOnce(&mut lightning_storage::Transaction) -> lightning_storage::Result<T>,
    ) -> Result<T> {
        match self.transaction.lock().as_mut() {
            Some(transaction) => Ok(call(transaction)?),
            None => Err(Error::internal("a function with effects runs outside of a transaction")),
        }
    }
}

impl Names for SessionHost {
    fn label(&self, ty: Oid, place: &str) -> Option<Text> {
        // Another session may have committed a label, and rows with it, since the statement looked at the catalog.
        let image = self.image.lock().clone();
        image.label(ty, place).or_else(|| self.server.catalog.image(self.database).ok()?.label(ty, place))
    }

    fn place(&self, ty: Oid, label: &str) -> Result<Text> {
        let image = self.image.lock().clone();
        let path = self.resolve_path(&image, true);
        Namespace { image: &image, path: &path }.place(ty, label)
    }

    fn read(&self, ty: Oid, text: &str) -> Result<Oid> {
        self.names_read.fetch_add(1, Ordering::Relaxed);
        let image = self.image.lock().clone();
        let path = self.resolve_path(&image, true);
        super::names::read(Namespace { image: &image, path: &path }, ty, text)
    }

    fn show(&self, ty: Oid, value: Oid) -> Option<String> {
        let image = self.image.lock().clone();
        let path = self.resolve_path(&image, true);
        super::names::show(Namespace { image: &image, path: &path }, ty, value)
    }
}

impl Host for SessionHost {
    fn catalog(&self) -> Arc<Image> {
        self.image.lock().clone()
    }

    fn setting(&self, name: &str) -> Option<String> {
        self.settings.lock().show(name)
    }

    fn set_setting(&self, name: &str, value: &str, local: bool) -> Result<String> {
        if name.eq_ignore_ascii_case("role") || name.eq_ignore_ascii_case("session_authorization") {
            return Err(Error::unsupported(format!("set_config of \"{name}\"")));
        }
        let mut settings = self.settings.lock();
        settings.set(name, value, local, 0)?;
        Ok(settings.show(name).unwrap_or_default())
    }

    fn user(&self, session: bool) -> String {
        let image = self.image.lock().clone();
        let user = if session { self.session_user(&image) } else { self.current_user(&image) };
        image.roles.get(&user).map_or_else(String::new, |role| role.name.clone())
    }

    fn database(&self) -> String {
        self.database_name.clone()
    }

    fn search_path(&self, implicit: bool) -> Vec<Oid> {
        let image = self.image.lock().clone();
        self.resolve_path(&image, implicit)
    }

    fn backend_pid(&self) -> i32 {
        self.backend.pid
    }

    fn nextval(&self, sequence: Oid) -> Result<i64> {
        let (name, storage) = self.sequence(sequence)?;
        let value = self.with_transaction(|transaction| transaction.nextval(storage)).map_err(|error| {
            if error.code() == SqlState::SequenceGeneratorLimitExceeded {
                let message = error.report().message.replacen(" (", &format!(" \"{name}\" ("), 1);
                return Error::new(SqlState::SequenceGeneratorLimitExceeded, message);
            }
            error
        })?;
        let mut values = self.values.lock();
        values.0.insert(sequence, value);
        values.1 = Some(sequence);
        Ok(value)
    }

    fn currval(&self, sequence: Option<Oid>) -> Result<i64> {
        let values = self.values.lock();
        let not_yet = |message: String| Error::new(SqlState::ObjectNotInPrerequisiteState, message);
        let Some(sequence) = sequence.or(values.1) else {
            return Err(not_yet("lastval is not yet defined in this session".to_owned()));
        };
        match values.0.get(&sequence) {
            Some(value) => Ok(*value),
            None => {
                let (name, _) = self.sequence(sequence)?;
                Err(not_yet(format!("currval of sequence \"{name}\" is not yet defined in this session")))
            }
        }
    }

    fn setval(&self, sequence: Oid, value: i64, called: bool) -> Result<i64> {
        let (name, storage) = self.sequence(sequence)?;
        let image = self.image.lock().clone();
        if let Some(Body::Sequence(definition)) = image.relations.get(&sequence).map(|relation| &relation.body)
            && !(definition.min..=definition.max).contains(&value)
        {
            let message = format!(
                "setval: value {value} is out of bounds for sequence \"{name}\" ({}..{})",
                definition.min, definition.max
            );
            return Err(Error::new(SqlState::NumericValueOutOfRange, message));
        }
        self.with_transaction(|transaction| transaction.setval(storage, value, called))?;
        if called {
            self.values.lock().0.insert(sequence, value);
        }
        Ok(value)
    }

    fn advisory(&self, request: AdvisoryRequest) -> Result<bool> {
        let key = u64::from(request.key.0) << 32 | u64::from(request.key.1);
        // The two-key form is a space of its own.
        let tag = LockTag::Advisory(u64::from(self.database.0) << 1 | u64::from(request.single), key);
        let mode = if request.shared { LockMode::Share } else { LockMode::Exclusive };
        let scope = if request.transaction { LockScope::Transaction } else { LockScope::Session(self.session_id()) };
        match request.action {
            AdvisoryAction::Lock => self.with_transaction(|tx| tx.lock(tag, mode, WaitPolicy::Wait, scope)),
            AdvisoryAction::TryLock => self.with_transaction(|tx| tx.lock(tag, mode, WaitPolicy::Skip, scope)),
            AdvisoryAction::Unlock => Ok(self.server.engine.unlock(self.session_id(), tag, mode)),
            AdvisoryAction::UnlockAll => {
                self.server.engine.end_session(self.session_id());
                Ok(true)
            }
        }
    }

    fn signal_backend(&self, pid: i32, terminate: bool) -> Result<bool> {
        let image = self.image.lock().clone();
        let (user, role) = (self.current_user(&image), self.server.role_of(pid));
        if let Some(role) = role.filter(|role| *role != user && !image.is_superuser(user)) {
            let what = if terminate { "terminate" } else { "cancel" };
            let message = match image.is_superuser(role) {
                true if terminate => "must be a superuser to terminate superuser process".to_owned(),
                true => "must be a superuser to cancel superuser query".to_owned(),
                false if terminate => format!(
                    "must be a member of the role whose process is being {what}d or member of pg_signal_backend"
                ),
                false => "must be a member of the role whose query is being canceled or member of pg_signal_backend"
                    .to_owned(),
            };
            return Err(Error::new(SqlState::InsufficientPrivilege, message));
        }
        Ok(self.server.signal(pid, terminate))
    }

    fn random(&self) -> f64 {
        self.random.lock().get_or_insert_with(|| Xoroshiro::seeded(rand::random())).next()
    }

    fn seed_random(&self, seed: f64) -> Result<()> {
        let bits = ((1u64 << 52) - 1) as f64 * seed;
        *self.random.lock() = Some(Xoroshiro::seeded(bits as i64 as u64));
        Ok(())
    }

    fn sleep(&self, micros: i64, started: i64) -> Result<()> {
        let until = Instant::now() + Duration::from_micros(micros.max(0) as u64);
        let timeout = self.settings.lock().integer("statement_timeout");
        let elapsed = (super::now() - started).max(0) as u64;
        let deadline = (timeout > 0).then(|| {
            Instant::now() + Duration::from_millis(timeout as u64).saturating_sub(Duration::from_micros(elapsed))
        });
        let sleep = || {
            loop {
                let now = Instant::now();
                if self.backend.cancel.load(Ordering::Relaxed) || self.backend.terminated.load(Ordering::Relaxed) {
                    return Err(Error::new(SqlState::QueryCanceled, "canceling statement due to user request"));
                }
                if deadline.is_some_and(|deadline| now >= deadline) {
                    return Err(Error::new(SqlState::QueryCanceled, "canceling statement due to statement timeout"));
                }
                if now >= until {
                    return Ok(());
                }
                std::thread::sleep((until - now).min(SLEEP_SLICE));
            }
        };
        // The runtime gives this thread's other connections to another one.
        tokio::task::block_in_place(sleep)
    }

    fn relation_size(&self, relation: Oid) -> Option<i64> {
        let image = self.image.lock().clone();
        self.stored_bytes(&image, relation)
    }

    fn database_size(&self, database: Oid) -> Result<i64> {
        self.bytes_of_database(database)
    }

    fn row_estimate(&self, relation: Oid) -> Option<i64> {
        let image = self.image.lock().clone();
        let Body::Table { storage, .. } = image.relations.get(&relation)?.body else { return None };
        self.with_transaction(|transaction| Ok(transaction.row_estimate(storage) as i64)).ok()
    }

    fn sequence_state(&self, sequence: Oid) -> Result<(i64, bool)> {
        let (_, storage) = self.sequence(sequence)?;
        self.with_transaction(|transaction| transaction.sequence_state(storage))
    }

    fn sequence_value(&self, sequence: Oid) -> Result<Datum> {
        let (_, storage) = self.sequence(sequence)?;
        let (value, called) = self.with_transaction(|transaction| transaction.sequence_state(storage))?;
        Ok(if called { Datum::Int8(value) } else { Datum::Null })
    }

    fn rows(&self, function: &str) -> Result<Vec<Vec<Datum>>> {
        self.report(function)
    }

    fn notify(&self, channel: &str, payload: &str) -> Result<()> {
        self.notifications.lock().notify(channel, payload)
    }

    fn listening(&self) -> Vec<String> {
        self.notifications.lock().channels()
    }

    fn fact(&self, name: &str) -> Result<Datum> {
        match name {
            "pg_postmaster_start_time" => Ok(Datum::TimestampTz(self.server.started)),
            "txid_current" => {
                let id = self.with_transaction(|transaction| Ok(transaction.id()))?;
                Ok(Datum::Int8(id.0 as i64))
            }
            "commits" => Ok(Datum::Int8(self.server.engine.stats().commits as i64)),
            "rollbacks" => Ok(Datum::Int8(self.server.engine.stats().rollbacks as i64)),
            "deadlocks" => Ok(Datum::Int8(self.server.engine.stats().deadlocks as i64)),
            "failed" => Ok(Datum::Bool(self.failed.load(Ordering::Relaxed))),
            other => Err(Error::unsupported(format!("{other}()"))),
        }
    }
}
