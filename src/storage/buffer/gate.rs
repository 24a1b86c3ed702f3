//! The gate: what a checkpoint's cut waits for.

use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Everybody who changes page structure, or takes a commit position, is inside for that one operation; the cut closes it.
#[derive(Debug, Default)]
pub struct Gate(RwLock<()>);

/// Inside the gate.
#[derive(Debug)]
pub struct GatePass<'a>(#[allow(dead_code)] RwLockReadGuard<'a, ()>);

/// The closed gate: nobody is inside.
#[derive(Debug)]
pub struct GateClosed<'a>(#[allow(dead_code)] RwLockWriteGuard<'a, ()>);

impl Gate {
    /// Enters; waits while the gate is closed. Not to be nested.
    pub fn enter(&self) -> GatePass<'_> {
        GatePass(self.0.read())
    }

    /// Waits until all have left and keeps others out until the result is dropped.
    pub fn close(&self) -> GateClosed<'_> {
        GateClosed(self.0.write())
    }
}
