//! The memory account of a statement: what can grow (sorts, hash tables, tuple stores, groups) draws on it.
//!
//! Two limits: the server's budget for all statements together, beyond which the one that asks ends with 53200, and work_mem,
//! at which one operator that knows how to goes on in temporary files. Amounts are estimates of heap bytes. An operator holds a [`Reservation`], which gives everything back when dropped;
//! it doubles, then grows in steps of 64 KiB, so that a row costs no atomic operation and a small store takes little.

use super::spill::Folder;
use crate::error::{Error, Result, SqlState};
use crate::types::Datum;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What all statements of a server draw on together.
#[derive(Debug)]
pub struct Budget {
    limit_bytes: usize,
    used_bytes: AtomicUsize,
}

impl Budget {
    /// A budget of `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Arc<Budget> {
        Arc::new(Budget { limit_bytes, used_bytes: AtomicUsize::new(0) })
    }

    /// Bytes drawn.
    pub fn used(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that may be drawn.
    pub fn limit(&self) -> usize {
        self.limit_bytes
    }
}

/// One statement's account.
#[derive(Debug)]
pub struct Memory {
    budget: Arc<Budget>,
    used_bytes: AtomicUsize,
    /// work_mem, and where temporary files go; `None`: nothing is spilled.
    spill: Option<(usize, Folder)>,
}

impl Memory {
    /// An account on a budget of `limit_bytes` of its own.
    pub fn new(limit_bytes: usize) -> Arc<Memory> {
        Arc::new(Memory { budget: Budget::new(limit_bytes), used_bytes: AtomicUsize::new(0), spill: None })
    }

    /// An account on `budget`, for what cannot spill.
    pub fn of(budget: &Arc<Budget>) -> Arc<Memory> {
        Arc::new(Memory { budget: budget.clone(), used_bytes: AtomicUsize::new(0), spill: None })
    }

    /// An account on `budget`; an operator that holds more than `work_mem_bytes` goes on in temporary files in `folder`.
    pub fn with_spilling(budget: &Arc<Budget>, work_mem_bytes: usize, folder: impl Into<Folder>) -> Arc<Memory> {
        let spill = Some((work_mem_bytes, folder.into()));
        Arc::new(Memory { budget: budget.clone(), used_bytes: AtomicUsize::new(0), spill })
    }

    /// The folder for the temporary files of an operator that holds `bytes`, if it is to spill.
    pub fn spill_folder(&self, bytes: usize) -> Option<&Folder> {
        match &self.spill {
            Some((work_mem, folder)) if bytes > *work_mem => Some(folder),
            _ => None,
        }
    }

    /// The folder for temporary files.
    pub(super) fn folder(&self) -> Option<&Folder> {
        self.spill.as_ref().map(|(_, folder)| folder)
    }

    /// Bytes drawn.
    pub fn used(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Draws what has been taken already.
    pub(super) fn grow_anyway(&self, bytes: usize) {
        self.budget.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn grow(&self, bytes: usize) -> Result<()> {
        let budget = &self.budget;
        if budget.used_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > budget.limit_bytes {
            budget.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Error::new(SqlState::OutOfMemory, "out of memory")
                .detail(format!(
                    "The statement holds {} kB of the {} kB that all statements may use.",
                    self.used() / 1024,
                    budget.limit_bytes / 1024
                ))
                .hint("Raise the memory limit of statements, or let the statement keep fewer rows at a time."));
        }
        self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn shrink(&self, bytes: usize) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What one operator holds of a [`Memory`].
#[derive(Debug)]
pub struct Reservation {
    memory: Arc<Memory>,
    reserved: usize,
    used: usize,
}

const STEP_BYTES: usize = 64 * 1024;

impl Reservation {
    /// An empty one.
    pub fn new(memory: &Arc<Memory>) -> Reservation {
        Reservation { memory: memory.clone(), reserved: 0, used: 0 }
    }

    /// Takes `bytes` more; 53200 beyond the budget.
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        let used = self.used + bytes;
        if used > self.reserved {
            let more = (used - self.reserved).max(used.min(STEP_BYTES));
            self.memory.grow(more)?;
            self.reserved += more;
        }
        self.used = used;
        Ok(())
    }

    /// Bytes taken.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes drawn for it, some of them ahead.
    pub fn drawn(&self) -> usize {
        self.reserved
    }

    /// Gives some back.
    pub fn shrink(&mut self, bytes: usize) {
        self.used -= bytes;
        let spare = self.reserved - self.used;
        if spare > 2 * STEP_BYTES {
            self.memory.shrink(spare - STEP_BYTES);
            self.reserved -= spare - STEP_BYTES;
        }
    }

    /// Gives all back.
    pub fn clear(&mut self) {
        self.memory.shrink(self.reserved);
        self.reserved = 0;
        self.used = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Bytes of a kept value: its cell and what it holds on the heap (shared parts are counted at every holder).
pub fn datum_bytes(value: &Datum) -> usize {
    size_of::<Datum>()
        + match value {
            Datum::Text(text) | Datum::Padded(text) if text.len() > 23 => text.len(),
            Datum::Bytea(bytes) => bytes.len(),
            Datum::Jsonb(value) => value.bytes().len(),
            Datum::Array(array) => array.items.iter().map(datum_bytes).sum::<usize>() + 64,
            Datum::Record(fields) => fields.iter().map(|(_, field)| datum_bytes(field) + 8).sum(),
            Datum::Numeric(crate::types::numeric::Numeric::Big(big)) => (big.0.bits() / 8) as usize + 48,
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_draws_in_steps_fails_at_the_limit_and_gives_back() {
        let memory = Memory::new(200_000);
        let mut first = Reservation::new(&memory);
        first.grow(10).unwrap();
        first.grow(20).unwrap();
        assert_eq!((memory.used(), first.used()), (40, 30));
        first.grow(STEP_BYTES).unwrap();
        let drawn = memory.used();
        first.grow(10).unwrap();
        assert_eq!(memory.used(), drawn);
        let mut second = Reservation::new(&memory);
        assert_eq!(second.grow(190_000).unwrap_err().code(), SqlState::OutOfMemory);
        // What was refused is not held.
        second.grow(10).unwrap();
        assert_eq!(second.used(), 10);
        second.shrink(5);
        drop(first);
        second.clear();
        assert_eq!(memory.used(), 0);
    }
}
