//! An engine in memory for tests.

use lightning_storage::Engine;
use lightning_storage::io::SystemClock;
use lightning_storage::io::sim::SimIo;
use std::sync::Arc;

/// A fresh, empty one.
pub(super) fn engine() -> Engine {
    Engine::open(Arc::new(SimIo::new()), Arc::new(SystemClock), Default::default()).expect("an empty engine opens")
}
