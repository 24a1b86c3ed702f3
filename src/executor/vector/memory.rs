//! DataFusion's memory pool over the statement's account: 53200 for what cannot spill, spilling for what can.

use crate::executor::memory::Memory;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};
use std::fmt;
use std::sync::Arc;

/// Draws on one statement's account.
#[derive(Debug)]
pub(super) struct Account(pub(super) Arc<Memory>);

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement({} bytes)", self.0.used())
    }
}

impl MemoryPool for Account {
    fn name(&self) -> &str {
        "statement"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.0.grow_anyway(additional);
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        self.0.shrink(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        // What can spill keeps to work_mem, as on the row road; the rest draws on the server's budget. So do batches between
        // partitions: see [`super::files::Files`].
        let spills =
            reservation.consumer().can_spill() && !reservation.consumer().name().starts_with("RepartitionExec");
        if spills && self.0.spill_folder(reservation.size() + additional).is_some() {
            let message = format!("{} holds its share of memory", reservation.consumer().name());
            return Err(DataFusionError::ResourcesExhausted(message));
        }
        self.0.grow(additional).map_err(|error| {
            let report = error.report();
            DataFusionError::ResourcesExhausted(report.detail.clone().unwrap_or_else(|| report.message.clone()))
        })
    }

    fn reserved(&self) -> usize {
        self.0.used()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Unknown
    }
}
