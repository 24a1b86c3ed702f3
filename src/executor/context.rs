//! What one statement's execution is given: its transaction, snapshot, settings, budget and cancellation flag.

use super::functions::CallContext;
use super::memory::Memory;
use super::row::constraint::ConstraintQueue;
use super::vector::Analytics;
use crate::catalog::image::Image;
use crate::error::{Error, Result};
use lightning_storage::{Engine, Snapshot, Transaction};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The session's transaction. Locked for one storage call at a time, never while an expression is evaluated, so that
/// functions with effects can lock it too. `None` between transactions.
pub type SharedTransaction = Arc<Mutex<Option<Transaction>>>;

/// One statement's surroundings; both roads take them from here.
#[derive(Clone)]
pub struct StatementContext {
    /// The storage engine.
    pub engine: Engine,
    /// The session's transaction.
    pub transaction: SharedTransaction,
    /// What the statement sees; its command number stamps the statement's writes.
    pub snapshot: Snapshot,
    /// REPEATABLE READ or stricter: a row changed since the snapshot is 40001, constraint queries look past the snapshot.
    pub repeatable_read: bool,
    /// READ ONLY: writes are 25006.
    pub read_only: bool,
    /// What functions may depend on.
    pub call: Arc<CallContext>,
    /// The catalog that the statement was bound with.
    pub catalog: Arc<Image>,
    /// REPEATABLE READ: the catalog at its snapshot. Former versions of rows are not in indexes of expressions made since.
    pub first_catalog: Option<Arc<Image>>,
    /// Set by a cancel request: the statement ends with 57014.
    pub cancel: Arc<AtomicBool>,
    /// The budget.
    pub memory: Arc<Memory>,
    /// The threads of the vector road; `None`: everything runs on the row road.
    pub analytics: Option<Arc<Analytics>>,
    /// Constraint checks that wait for the statement's end or for COMMIT.
    pub constraints: Arc<Mutex<ConstraintQueue>>,
}

impl StatementContext {
    /// One storage call under the transaction's lock.
    pub fn with_transaction<T, E: Into<Error>>(
        &self,
        call: impl FnOnce(&mut Transaction) -> std::result::Result<T, E>,
    ) -> Result<T> {
        match self.transaction.lock().as_mut() {
            Some(transaction) => call(transaction).map_err(Into::into),
            None => Err(Error::internal("a statement runs outside of a transaction")),
        }
    }

    /// [`Self::with_transaction`] for who can be called again after a wait: a page that is not in memory is waited for, not
    /// read by this thread.
    pub fn with_waits<T, E: Into<Error>>(
        &self,
        call: impl FnOnce(&mut Transaction) -> std::result::Result<T, E>,
    ) -> Result<T> {
        self.with_transaction(|transaction| {
            transaction.wait_for_pages(true);
            let result = call(transaction);
            transaction.wait_for_pages(false);
            result
        })
    }
}
