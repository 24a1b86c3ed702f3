//! Transaction blocks, savepoints, commit and rollback.

use super::Session;
use super::statement::Portal;
use crate::catalog::store::Change;
use crate::error::{Error, Result, SqlState};
use crate::executor::Execution;
use crate::executor::row::constraint::{ConstraintQueue, QueueMark};
use crate::sql::ast::ObjectName;
use crate::sql::ast::utility::{Isolation, TransactionModes};
use crate::types::Oid;
use crate::wire::backend::TransactionStatus;
use lightning_storage::SavepointId;
use std::time::Duration;

/// Where the session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// No transaction.
    None,
    /// A transaction that ends with the message (or at Sync).
    Implicit,
    /// BEGIN … COMMIT.
    Explicit,
    /// A block in which a statement has failed: only its end, or ROLLBACK TO, is taken.
    Failed,
}

/// Changes that are undone before the client is told; of more it is told first.
const UNDONE_AT_ONCE: u64 = 1_000;

/// What is over, as the client will have heard, but still has to be undone: rows and locks are held until then.
pub(super) enum Unsettled {
    /// A transaction.
    Transaction(lightning_storage::Transaction),
    /// All since a savepoint of the failed block.
    Since(SavepointId),
}

/// A SAVEPOINT.
pub(super) struct Savepoint {
    name: String,
    id: SavepointId,
    mark: QueueMark,
    notifications: usize,
    /// The catalog as this transaction had changed it.
    change: Option<Change>,
}

impl Session {
    /// The state as ReadyForQuery tells it.
    pub fn status(&self) -> TransactionStatus {
        match self.block {
            Block::None | Block::Implicit => TransactionStatus::Idle,
            Block::Explicit => TransactionStatus::InTransaction,
            Block::Failed => TransactionStatus::Failed,
        }
    }

    /// Savepoint depth, for settings.
    pub(super) fn depth(&self) -> u32 {
        self.savepoints.len() as u32
    }

    /// Begins a transaction when there is none.
    pub(super) fn ensure_transaction(&mut self) -> Result<()> {
        if self.block != Block::None {
            return Ok(());
        }
        self.settle();
        let level = match self.settings.lock().begin_transaction()?.repeatable_read {
            true => lightning_storage::Isolation::RepeatableRead,
            false => lightning_storage::Isolation::ReadCommitted,
        };
        let mut transaction = self.server.engine.begin(level);
        transaction.set_session(self.host.session_id());
        self.backend.activity.lock().begin_transaction(transaction.id().0, self.statement_time);
        *self.transaction.lock() = Some(transaction);
        self.transaction_time = self.statement_time;
        self.block = Block::Implicit;
        Ok(())
    }

    /// BEGIN.
    pub(super) fn begin(&mut self, modes: TransactionModes) -> Result<()> {
        if self.block == Block::Explicit {
            self.warn(SqlState::ActiveSqlTransaction, "there is already a transaction in progress");
            return Ok(());
        }
        self.ensure_transaction()?;
        self.block = Block::Explicit;
        self.set_modes(modes)
    }

    /// SET TRANSACTION and BEGIN's modes.
    pub(super) fn set_modes(&mut self, modes: TransactionModes) -> Result<()> {
        if let Some(isolation) = modes.isolation {
            let (name, level) = isolation_level(isolation)?;
            let unused = match self.transaction.lock().as_mut() {
                Some(transaction) => transaction.isolation() == level || transaction.set_isolation(level),
                None => true,
            };
            if !unused {
                let message = "SET TRANSACTION ISOLATION LEVEL must be called before any query";
                return Err(Error::new(SqlState::ActiveSqlTransaction, message));
            }
            self.set_mode("transaction_isolation", name)?;
        }
        if let Some(read_only) = modes.read_only {
            let value = if read_only { "on" } else { "off" };
            self.set_mode("transaction_read_only", value)?;
        }
        if let Some(deferrable) = modes.deferrable {
            let value = if deferrable { "on" } else { "off" };
            self.set_mode("transaction_deferrable", value)?;
        }
        Ok(())
    }

    /// A characteristic of the transaction; most transactions ask for what they have.
    fn set_mode(&self, name: &str, value: &str) -> Result<()> {
        let mut settings = self.settings.lock();
        match settings.get(name) == Some(value) {
            true => Ok(()),
            false => settings.set(name, value, true, 0),
        }
    }

    /// SET SESSION CHARACTERISTICS.
    pub(super) fn set_characteristics(&mut self, modes: TransactionModes) -> Result<()> {
        let depth = self.depth();
        let mut settings = self.settings.lock();
        let mut set = |name: &str, value: &str| settings.set(name, value, false, depth);
        if let Some(isolation) = modes.isolation {
            set("default_transaction_isolation", isolation_level(isolation)?.0)?;
        }
        if let Some(read_only) = modes.read_only {
            set("default_transaction_read_only", if read_only { "on" } else { "off" })?;
        }
        if let Some(deferrable) = modes.deferrable {
            set("default_transaction_deferrable", if deferrable { "on" } else { "off" })?;
        }
        Ok(())
    }

    /// COMMIT of whatever transaction there is: deferred constraints, the log, the catalog. `false`: it was rolled back.
    pub(super) async fn commit(&mut self) -> Result<bool> {
        match self.block {
            Block::None => return Ok(true),
            Block::Failed => {
                self.rollback();
                return Ok(false);
            }
            Block::Implicit | Block::Explicit => {}
        }
        if let Err(error) = self.try_commit().await {
            self.rollback();
            return Err(error);
        }
        Ok(true)
    }

    /// The constraints that SET CONSTRAINTS names: those of the first schema of the path that has any of that name.
    pub(super) fn deferrable_constraints(&mut self, names: &[ObjectName]) -> Result<Vec<Oid>> {
        let image = self.image()?;
        let path = self.host.resolve_path(&image, false);
        let mut chosen = Vec::new();
        for name in names {
            let schemas: Vec<Oid> = match name.schema() {
                Some(schema) => image.schemas.values().filter(|s| s.name == schema).map(|s| s.oid).collect(),
                None => path.clone(),
            };
            let of_schema = |schema: &Oid| -> Vec<(Oid, bool)> {
                let relations = image.relations.values().filter(|relation| relation.schema == *schema);
                let constraints = relations.flat_map(|relation| &relation.constraints);
                let named = constraints.filter(|constraint| constraint.name == name.name());
                named.map(|constraint| (constraint.oid, constraint.deferrable)).collect()
            };
            let found = schemas.iter().map(of_schema).find(|found| !found.is_empty());
            let Some(found) = found else {
                let message = format!("constraint \"{}\" does not exist", name.display());
                return Err(Error::new(SqlState::UndefinedObject, message));
            };
            if found.iter().any(|(_, deferrable)| !deferrable) {
                let message = format!("constraint \"{}\" is not deferrable", name.name());
                return Err(Error::new(SqlState::WrongObjectType, message));
            }
            chosen.extend(found.into_iter().map(|(oid, _)| oid));
        }
        Ok(chosen)
    }

    /// Makes the checks that were put off: `everything`, or what is immediate by now.
    pub(super) async fn check_deferred(&mut self, everything: bool) -> Result<()> {
        if !self.constraints.lock().has_deferred() {
            return Ok(());
        }
        let image = self.image()?;
        let call = self.call_context(&image);
        let ctx = self.statement_context(&image, &call)?;
        let Some(mut end) = ConstraintQueue::commit(&ctx, everything) else { return Ok(()) };
        loop {
            match self.watched(|| end.run(&ctx)) {
                Ok(()) => return Ok(()),
                Err(error) if error.is_pause() => tokio::task::yield_now().await,
                Err(error) => match error.waiter() {
                    Some(waiter) => self.wait(&waiter.clone()).await?,
                    None => return Err(error),
                },
            }
        }
    }

    async fn try_commit(&mut self) -> Result<()> {
        self.hold_cursors().await?;
        self.portals.retain(|_, portal| portal.is_held());
        let image = self.image()?;
        if self.host.temp_schema(&image).is_some() {
            self.run_ddl(|ctx| ctx.on_commit()).await?;
        }
        self.check_deferred(true).await?;
        let Some(transaction) = self.transaction.lock().take() else {
            return Err(Error::internal("there is no transaction to commit"));
        };
        let asynchronous = self.settings.lock().parsed().asynchronous;
        let has_written = transaction.has_written();
        let (position, held) = match (&self.change, asynchronous) {
            // Who waits for a lock on what was changed must find the new catalog.
            (Some(_), _) => transaction.commit_holding_locks().map(|(position, held)| (position, Some(held)))?,
            (None, true) => (transaction.commit_async()?, None),
            (None, false) => (transaction.commit()?, None),
        };
        // From here on it is committed: a cancel request no longer matters.
        self.block = Block::None;
        self.savepoints.clear();
        self.constraints.lock().clear();
        self.settings.lock().commit();
        if !asynchronous || self.change.is_some() {
            while let Some(waiter) = self.server.engine.wait_durable(position) {
                super::ready(&waiter).await;
                if self.server.engine.is_poisoned() {
                    return Err(Error::from(lightning_storage::Error::Poisoned).fatal());
                }
            }
        }
        *self.first_image.lock() = None;
        if let Some(change) = self.change.take() {
            self.server.catalog.publish(&change)?;
        }
        drop(held);
        // Checkpoints have to keep up with the log.
        let pause = if has_written { self.server.engine.commit_pause_us() } else { 0 };
        if pause > 0 {
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
        let mut notifications = self.notifications.lock();
        if !notifications.is_empty() {
            notifications.commit(&self.server.listeners, &self.backend, self.database);
        }
        Ok(())
    }

    /// ROLLBACK of whatever transaction there is. Cannot fail.
    pub(super) fn rollback(&mut self) {
        let over: Vec<String> =
            self.portals.iter().filter(|(_, portal)| !portal.is_held()).map(|(n, _)| n.clone()).collect();
        for name in over {
            if let Some(execution) = self.portals.remove(&name).and_then(Portal::into_execution) {
                self.leave(execution);
            }
        }
        let transaction = self.transaction.lock().take();
        self.settle_later(transaction.map(Unsettled::Transaction));
        self.block = Block::None;
        self.notifications.lock().rollback(0);
        self.failed_modes = None;
        self.savepoints.clear();
        self.constraints.lock().clear();
        self.change = None;
        *self.first_image.lock() = None;
        self.settings.lock().rollback(0);
    }

    /// Undoes now what is little; what is much once the client has been told, which may not wait for it.
    fn settle_later(&mut self, over: Option<Unsettled>) {
        let Some(over) = over else { return };
        if self.unsettled.is_some() {
            tokio::task::block_in_place(|| self.undo_unsettled());
        }
        let large = match &over {
            Unsettled::Transaction(transaction) => transaction.has_changed_more_than(UNDONE_AT_ONCE),
            Unsettled::Since(_) => {
                self.transaction.lock().as_ref().is_some_and(|t| t.has_changed_more_than(UNDONE_AT_ONCE))
            }
        };
        self.unsettled = Some(over);
        if !large {
            self.undo_unsettled();
        }
    }

    /// Whether there is something to [`Self::settle`].
    pub fn is_unsettled(&self) -> bool {
        self.unsettled.is_some() || !self.leftovers.is_empty()
    }

    /// Keeps a failed execution until the client has been told: to free what a long one has gathered takes a while, too.
    pub(super) fn leave(&mut self, execution: Execution) {
        if execution.is_long() {
            self.leftovers.push(execution);
        }
    }

    /// Undoes what has been put off; nothing else of the session may happen before.
    pub fn settle(&mut self) {
        while self.is_unsettled() {
            tokio::task::block_in_place(|| {
                // Others may wait for its locks.
                self.undo_unsettled();
                self.leftovers.clear();
            });
        }
    }

    fn undo_unsettled(&mut self) {
        match self.unsettled.take() {
            None => {}
            Some(Unsettled::Transaction(transaction)) => transaction.rollback(),
            Some(Unsettled::Since(savepoint)) => {
                let undone = self.transaction.lock().as_mut().is_some_and(|t| t.rollback_to(savepoint).is_ok());
                if !undone {
                    self.fail_whole();
                }
            }
        }
    }

    /// Nothing is left of the block but that its end must come.
    fn fail_whole(&mut self) {
        let modes = self.modes();
        self.rollback();
        self.failed_modes = Some(modes);
        self.block = Block::Failed;
    }

    /// A statement has failed: an implicit transaction is over; a block waits for its end, but what it has done since its last
    /// savepoint is undone and unlocked at once, so that nobody waits for a client that thinks.
    ///
    /// Then it waits until the commits that the error may tell of are durable: a duplicate key must not be reported that a crash
    /// takes back, and who tries again after 40001 must find the commit that was in the way below the new snapshot.
    pub async fn fail(&mut self) {
        let noted = self.transaction.lock().as_ref().map(lightning_storage::Transaction::noted);
        self.undo_failed();
        while let Some(waiter) = noted.and_then(|noted| self.server.engine.wait_durable(noted)) {
            super::ready(&waiter).await;
            if self.server.engine.is_poisoned() {
                break;
            }
        }
    }

    fn undo_failed(&mut self) {
        match self.block {
            Block::None | Block::Implicit => self.rollback(),
            Block::Explicit => match self.savepoints.last() {
                Some(last) => {
                    let last = last.id;
                    self.forget_since(self.savepoints.len() - 1);
                    self.block = Block::Failed;
                    self.settle_later(Some(Unsettled::Since(last)));
                }
                None => self.fail_whole(),
            },
            Block::Failed => {}
        }
    }

    /// Undoes all since a savepoint, which stays.
    fn undo_to(&mut self, at: usize) -> Result<()> {
        if let Some(transaction) = self.transaction.lock().as_mut() {
            transaction.rollback_to(self.savepoints[at].id)?;
        }
        self.forget_since(at);
        Ok(())
    }

    /// The session's own part of that.
    fn forget_since(&mut self, at: usize) {
        self.savepoints.truncate(at + 1);
        let savepoint = &self.savepoints[at];
        self.constraints.lock().rollback_to(savepoint.mark);
        self.notifications.lock().rollback(savepoint.notifications);
        self.change = savepoint.change.clone();
        self.portals.retain(|_, portal| portal.depth <= at);
        self.settings.lock().rollback(at as u32 + 1);
    }

    /// SAVEPOINT.
    pub(super) fn savepoint(&mut self, name: String) -> Result<()> {
        self.require_block("SAVEPOINT")?;
        let id = match self.transaction.lock().as_mut() {
            Some(transaction) => transaction.savepoint(),
            None => return Err(Error::internal("a block has no transaction")),
        };
        let mark = self.constraints.lock().mark();
        let notifications = self.notifications.lock().mark();
        self.savepoints.push(Savepoint { name, id, mark, notifications, change: self.change.clone() });
        Ok(())
    }

    fn find_savepoint(&self, name: &str) -> Result<usize> {
        self.savepoints.iter().rposition(|savepoint| savepoint.name == name).ok_or_else(|| {
            Error::new(SqlState::InvalidSavepointSpecification, format!("savepoint \"{name}\" does not exist"))
        })
    }

    /// RELEASE.
    pub(super) fn release(&mut self, name: &str) -> Result<()> {
        self.require_block("RELEASE SAVEPOINT")?;
        let at = self.find_savepoint(name)?;
        let id = self.savepoints[at].id;
        if let Some(transaction) = self.transaction.lock().as_mut() {
            transaction.release(id);
        }
        self.settings.lock().release(at as u32 + 1);
        self.savepoints.truncate(at);
        self.portals.values_mut().for_each(|portal| portal.depth = portal.depth.min(at));
        Ok(())
    }

    /// ROLLBACK TO.
    pub(super) fn rollback_to(&mut self, name: &str) -> Result<()> {
        self.require_block("ROLLBACK TO SAVEPOINT")?;
        let at = self.find_savepoint(name)?;
        self.undo_to(at)?;
        self.block = Block::Explicit;
        Ok(())
    }

    /// What the transaction that AND CHAIN begins takes over from this one.
    pub(super) fn chained_modes(&self, what: &str) -> Result<TransactionModes> {
        if !matches!(self.block, Block::Explicit | Block::Failed) {
            let message = format!("{what} can only be used in transaction blocks");
            return Err(Error::new(SqlState::NoActiveSqlTransaction, message));
        }
        Ok(self.failed_modes.unwrap_or_else(|| self.modes()))
    }

    fn modes(&self) -> TransactionModes {
        let settings = self.settings.lock();
        TransactionModes {
            isolation: Some(match settings.get("transaction_isolation") {
                Some("repeatable read") => Isolation::RepeatableRead,
                Some("read uncommitted") => Isolation::ReadUncommitted,
                _ => Isolation::ReadCommitted,
            }),
            read_only: Some(settings.flag("transaction_read_only")),
            deferrable: Some(settings.flag("transaction_deferrable")),
        }
    }

    fn require_block(&self, what: &str) -> Result<()> {
        if matches!(self.block, Block::Explicit | Block::Failed) {
            return Ok(());
        }
        let message = format!("{what} can only be used in transaction blocks");
        Err(Error::new(SqlState::NoActiveSqlTransaction, message))
    }
}

fn isolation_level(isolation: Isolation) -> Result<(&'static str, lightning_storage::Isolation)> {
    Ok(match isolation {
        Isolation::ReadUncommitted => ("read uncommitted", lightning_storage::Isolation::ReadCommitted),
        Isolation::ReadCommitted => ("read committed", lightning_storage::Isolation::ReadCommitted),
        Isolation::RepeatableRead => ("repeatable read", lightning_storage::Isolation::RepeatableRead),
        Isolation::Serializable => return Err(Error::unsupported("isolation level SERIALIZABLE")),
    })
}
