//! Sequences and oids: values that leave the engine outside of transactions. Each is reserved in the log, in runs, before it
//! is given out; an answer that shows it waits until the reservation is durable (`noted`). A crash skips the rest of a run.

use super::{Transaction, redo};
use crate::error::{Error, Result};
use crate::sync::atomic::Ordering;
use crate::table::{Sequence, SequenceState};
use crate::types::{ObjectId, Position};

/// Values that a sequence reserves beyond the one given out.
const RESERVE: u32 = 32;
/// Oids reserved at once.
const OID_RUN: u32 = 256;

impl Transaction {
    /// The next value.
    ///
    /// # Errors
    /// `SequenceLimit`, `NotFound`, `Poisoned`.
    pub fn nextval(&mut self, sequence: ObjectId) -> Result<i64> {
        let shared = self.shared.clone();
        let _pass = shared.pool.gate().enter();
        let sequence = self.shared.sequence(sequence)?;
        let def = *sequence.def.read();
        let mut state = sequence.state.lock();
        let value = state.next(&def)?;
        let mut next = SequenceState { value, called: true, reserved: state.reserved.saturating_sub(1) };
        if state.reserved == 0 {
            let mut last = next;
            while next.reserved < RESERVE {
                // A run ends before the sequence starts again from its other end.
                match last.next(&crate::types::SequenceDef { cycle: false, ..def }) {
                    Ok(value) => last.value = value,
                    Err(_) => break,
                }
                next.reserved += 1;
            }
            self.log_sequence(&sequence, last.value, true)?;
        }
        *state = next;
        self.note(Position(sequence.logged.load(Ordering::Relaxed)));
        Ok(value)
    }

    /// Sets a sequence's value; `called`: it counts as given out.
    ///
    /// # Errors
    /// `SequenceLimit`: out of the sequence's bounds. `NotFound`, `Poisoned`.
    pub fn setval(&mut self, sequence: ObjectId, value: i64, called: bool) -> Result<()> {
        let shared = self.shared.clone();
        let _pass = shared.pool.gate().enter();
        let sequence = self.shared.sequence(sequence)?;
        let def = *sequence.def.read();
        if value < def.min || value > def.max {
            let upper = value > def.max;
            return Err(Error::SequenceLimit { limit: if upper { def.max } else { def.min }, upper });
        }
        let mut state = sequence.state.lock();
        self.log_sequence(&sequence, value, called)?;
        *state = SequenceState { value, called, reserved: 0 };
        self.note(Position(sequence.logged.load(Ordering::Relaxed)));
        Ok(())
    }

    /// The last value given out (or the first to be), and whether it has been.
    pub fn sequence_state(&self, sequence: ObjectId) -> Result<(i64, bool)> {
        let sequence = self.shared.sequence(sequence)?;
        let state = *sequence.state.lock();
        self.note(Position(sequence.logged.load(Ordering::Relaxed)));
        Ok((state.value, state.called))
    }

    /// An oid that has never been given out, from 16384.
    ///
    /// # Errors
    /// `OutOfMemory`: there are none left. `Poisoned`.
    pub fn allocate_oid(&mut self) -> Result<u32> {
        let shared = self.shared.clone();
        let _pass = shared.pool.gate().enter();
        let mut oids = self.shared.oids.lock();
        if oids.next == oids.bound {
            let bound = oids.bound.checked_add(OID_RUN).ok_or(Error::OutOfMemory)?;
            oids.logged = self.append(&redo::oids(bound))?;
            oids.bound = bound;
        }
        let oid = oids.next;
        oids.next += 1;
        self.note(oids.logged);
        Ok(oid)
    }

    /// Appends a self-committing record. The caller has passed the gate.
    fn append(&self, record: &[u8]) -> Result<Position> {
        let log = self.shared.log();
        Ok(log.append(log.reserve(record.len())?, record, |_| ()).0)
    }

    fn log_sequence(&self, sequence: &Sequence, value: i64, called: bool) -> Result<()> {
        let position = self.append(&redo::sequence(sequence.id, value, called))?;
        sequence.logged.store(position.0, Ordering::Relaxed);
        Ok(())
    }
}
