//! What functions may ask of the session: settings, names, sequences, locks.

use super::server::{Backend, Server};
use super::settings::Settings;
use crate::catalog::image::{Body, Image, Role};
use crate::catalog::store::fixed;
use crate::error::{Error, Result, SqlState};
use crate::executor::SharedTransaction;
use crate::executor::functions::{AdvisoryAction, AdvisoryRequest, Host};
use crate::types::text_io::Names;
use crate::types::{Datum, Oid};
use lightning_storage::{LockMode, LockScope, LockTag, SessionId, WaitPolicy};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// See the module.
pub(super) struct SessionHost {
    server: Arc<Server>,
    backend: Arc<Backend>,
    database: Oid,
    database_name: String,
    role: Arc<Role>,
    settings: Arc<Mutex<Settings>>,
    transaction: SharedTransaction,
    image: Mutex<Arc<Image>>,
    /// nextval's last value per sequence, and the sequence used last.
    values: Mutex<(HashMap<Oid, i64>, Option<Oid>)>,
    /// Changes of settings by set_config belong to a transaction when there is a block.
    pub(super) failed: AtomicBool,
}

impl SessionHost {
    pub(super) fn new(
        server: &Arc<Server>,
        backend: &Arc<Backend>,
        database: Oid,
        database_name: &str,
        role: &Arc<Role>,
        settings: &Arc<Mutex<Settings>>,
        transaction: &SharedTransaction,
    ) -> SessionHost {
        SessionHost {
            server: server.clone(),
            backend: backend.clone(),
            database,
            database_name: database_name.to_owned(),
            role: role.clone(),
            settings: settings.clone(),
            transaction: transaction.clone(),
            image: Mutex::default(),
            values: Mutex::default(),
            failed: AtomicBool::new(false),
        }
    }

    pub(super) fn set_image(&self, image: Arc<Image>) {
        *self.image.lock() = image;
    }

    pub(super) fn session_id(&self) -> SessionId {
        SessionId(self.backend.pid as u64)
    }

    /// The schemas of search_path that exist; with `implicit`, pg_catalog first unless it is named.
    pub(super) fn resolve_path(&self, image: &Image, implicit: bool) -> Vec<Oid> {
        let names = self.settings.lock().search_path();
        let mut path: Vec<Oid> = Vec::new();
        for name in &names {
            let name = if name == "$user" { &self.role.name } else { name };
            if let Some(oid) = image.schema_names.get(name).filter(|oid| !path.contains(oid)) {
                path.push(*oid);
            }
        }
        if implicit && !path.contains(&fixed::PG_CATALOG) {
            path.insert(0, fixed::PG_CATALOG);
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
    fn read(&self, ty: Oid, text: &str) -> Result<Oid> {
        use crate::types::oid;
        let image = self.image.lock().clone();
        let parts = super::settings::split_dotted(text)?;
        match (ty, &parts[..]) {
            (oid::REGCLASS, [name]) => self
                .resolve_path(&image, true)
                .into_iter()
                .find_map(|schema| image.relation(schema, name).map(|relation| relation.oid)),
            (oid::REGCLASS, [schema, name]) => image
                .schema_names
                .get(schema)
                .and_then(|schema| image.relation(*schema, name))
                .map(|relation| relation.oid),
            (oid::REGNAMESPACE, [name]) => {
                let found = image.schema_names.get(name).copied();
                return found.ok_or_else(|| {
                    Error::new(SqlState::InvalidSchemaName, format!("schema \"{name}\" does not exist"))
                });
            }
            (oid::REGROLE, [name]) => {
                let found = image.roles.values().find(|role| role.name == *name).map(|role| role.oid);
                return found
                    .ok_or_else(|| Error::new(SqlState::UndefinedObject, format!("role \"{name}\" does not exist")));
            }
            (oid::REGCLASS, _) => None,
            _ => return Err(Error::unsupported(format!("looking up \"{text}\" by this type"))),
        }
        .ok_or_else(|| Error::new(SqlState::UndefinedTable, format!("relation \"{}\" does not exist", parts.join("."))))
    }

    fn show(&self, ty: Oid, value: Oid) -> Option<String> {
        use crate::executor::functions::string::quote_identifier as quote;
        use crate::types::oid;
        let image = self.image.lock().clone();
        match ty {
            oid::REGCLASS => {
                let relation = image.relations.get(&value)?;
                let path = self.resolve_path(&image, true);
                let visible = path.iter().find_map(|schema| image.relation(*schema, &relation.name));
                if visible.is_some_and(|found| found.oid == value) {
                    return Some(quote(&relation.name));
                }
                let schema = image.schemas.get(&relation.schema)?;
                Some(format!("{}.{}", quote(&schema.name), quote(&relation.name)))
            }
            oid::REGNAMESPACE => Some(quote(&image.schemas.get(&value)?.name)),
            oid::REGROLE => Some(quote(&image.roles.get(&value)?.name)),
            _ => None,
        }
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
        let mut settings = self.settings.lock();
        settings.set(name, value, local, 0)?;
        Ok(settings.show(name).unwrap_or_default())
    }

    fn user(&self, _session: bool) -> String {
        self.role.name.clone()
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
                let message = error.report().message.replace("\"\"", &format!("\"{name}\""));
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
        Ok(self.server.signal(pid, terminate))
    }

    fn relation_size(&self, _relation: Oid) -> Option<i64> {
        None
    }

    fn fact(&self, name: &str) -> Result<Datum> {
        match name {
            "pg_postmaster_start_time" => Ok(Datum::TimestampTz(self.server.started)),
            "txid_current" => {
                let id = self.with_transaction(|transaction| Ok(transaction.id()))?;
                Ok(Datum::Int8(id.0 as i64))
            }
            "failed" => Ok(Datum::Bool(self.failed.load(Ordering::Relaxed))),
            other => Err(Error::unsupported(format!("{other}()"))),
        }
    }
}
