//! Figures of a run, for people and as JSON.

use anyhow::{Result, bail};
use serde::Serialize;
use std::fmt;

/// What a run measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub warehouses: i32,
    pub terminals: u32,
    pub isolation: &'static str,
    /// Seconds measured: fewer than asked for when the run failed.
    pub seconds: f64,
    /// New orders committed per minute.
    pub tpmc: f64,
    /// Of all kinds, those rolled back by rule included.
    pub transactions: u64,
    pub kinds: Vec<KindReport>,
    /// Attempts that ended with 40001.
    pub serialization_failures: u64,
    /// Attempts that ended with 40P01.
    pub deadlocks: u64,
    /// Districts in which a Delivery found nothing to deliver.
    pub skipped_deliveries: u64,
    /// The list of acknowledged orders.
    pub orders: String,
    pub seed: u64,
    /// Why the run ended early.
    pub failure: Option<String>,
}

/// One of the five transactions; latencies are of committed ones, retries included.
#[derive(Clone, Debug, Serialize)]
pub struct KindReport {
    pub name: &'static str,
    pub committed: u64,
    pub rolled_back: u64,
    pub retries: u64,
    pub mean_ms: f64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Report {
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("a report has no maps with strange keys") + "\n"
    }

    /// An error if the run did not come to its end with right answers only.
    pub fn outcome(&self) -> Result<()> {
        match &self.failure {
            Some(failure) => bail!("{failure}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<13} {:>9} {:>6} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "transaction",
            "committed",
            "share",
            "rollback",
            "retries",
            "mean ms",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "max ms"
        )?;
        for kind in &self.kinds {
            let share = 100.0 * (kind.committed + kind.rolled_back) as f64 / (self.transactions.max(1)) as f64;
            writeln!(
                f,
                "{:<13} {:>9} {:>5.1}% {:>8} {:>8} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2}",
                kind.name,
                kind.committed,
                share,
                kind.rolled_back,
                kind.retries,
                kind.mean_ms,
                kind.p50_ms,
                kind.p90_ms,
                kind.p99_ms,
                kind.max_ms
            )?;
        }
        writeln!(
            f,
            "{} warehouses, {} terminals, {}, {:.1} s: {} transactions ({:.1}/s), conflicts retried: {} serialization \
             failures (40001), {} deadlocks (40P01); deliveries skipped: {}; seed {}",
            self.warehouses,
            self.terminals,
            self.isolation,
            self.seconds,
            self.transactions,
            self.transactions as f64 / self.seconds.max(f64::EPSILON),
            self.serialization_failures,
            self.deadlocks,
            self.skipped_deliveries,
            self.seed
        )?;
        writeln!(f, "acknowledged orders: {}", self.orders)?;
        writeln!(f, "tpmC {:.1}", self.tpmc)
    }
}
