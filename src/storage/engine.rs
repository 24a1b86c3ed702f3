//! The engine: opens a database, begins transactions, and does background work in steps.

use crate::error::{Error, Result};
use crate::io::{Clock, Io};
use crate::sync::Waiter;
use crate::transaction::{Isolation, SessionId, Transaction};
use crate::types::Position;
use std::sync::Arc;

/// What the engine may use.
#[derive(Clone, Debug)]
pub struct Config {
    /// Pages kept in memory, in bytes.
    pub pool_bytes: usize,
    /// The log grows by about this much between two checkpoints, in bytes.
    pub checkpoint_bytes: u64,
    /// Memory for versions that old snapshots need, in bytes.
    pub undo_bytes: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config { pool_bytes: 256 << 20, checkpoint_bytes: 1 << 30, undo_bytes: 1 << 30 }
    }
}

/// An open database. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Engine(());

/// What a step of the log thread did.
#[derive(Debug)]
pub enum LogStep {
    /// Groups were written and synced, up to here.
    Synced(Position),
    /// Nothing to do; the waiter is ready when there is.
    Idle(Waiter),
}

/// What [`Engine::check`] found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Damage, in words, one place each; empty when all is well.
    pub damage: Vec<String>,
    /// Pages visited.
    pub pages: u64,
    /// Rows visited.
    pub rows: u64,
    /// Index entries visited.
    pub entries: u64,
}

/// Counters since the engine was opened.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Stats {
    pub commits: u64,
    pub rollbacks: u64,
    pub live_transactions: u64,
    pub live_versions: u64,
    pub deadlocks: u64,
}

#[allow(missing_docs, unused_variables)]
impl Engine {
    pub fn open(io: Arc<dyn Io>, clock: Arc<dyn Clock>, config: Config) -> Result<Engine> {
        Err(Error::Unsupported("opening"))
    }
    pub fn begin(&self, isolation: Isolation) -> Transaction {
        unreachable!("no engine can be open yet")
    }
    pub fn durable(&self) -> Position {
        Position(0)
    }
    pub fn wait_durable(&self, position: Position) -> Option<Waiter> {
        None
    }
    pub fn log_step(&self) -> Result<LogStep> {
        Ok(LogStep::Synced(Position(0)))
    }
    pub fn checkpoint(&self) -> Result<()> {
        Ok(())
    }
    pub fn checkpoint_step(&self, budget_pages: usize) -> Result<bool> {
        Ok(false)
    }
    pub fn checkpoint_due(&self) -> bool {
        false
    }
    pub fn clean_step(&self, budget: usize) -> Result<bool> {
        Ok(false)
    }
    pub fn check(&self) -> Result<CheckReport> {
        Ok(CheckReport::default())
    }
    pub fn close(&self) -> Result<()> {
        Ok(())
    }
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
    /// Gives up every session-level lock of a session that ends.
    pub fn end_session(&self, session: SessionId) {}
}
