//! [`Waiter`]: the one-shot event that every wait of the engine is made of; and the primitives below everything.
//!
//! The engine never blocks a caller: it hands out a waiter and the caller decides how to wait (a session registers its
//! task's waker, a test blocks its thread, a simulator schedules something else).

mod epoch;
mod primitives;

pub(crate) use epoch::{Pin, Swaps};
pub(crate) use primitives::*;

use atomic::{AtomicBool, Ordering};
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

#[derive(Default)]
struct State {
    ready: bool,
    wakers: Vec<Waker>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// What has to be done for the event to come; the waiting side does it.
    work: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// `state.ready`, for who must not own the waiter even for a moment.
    came: Arc<AtomicBool>,
    /// Run when the last handle of the waiting side goes: takes the edge out of the wait-for graph.
    on_drop: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(on_drop) = self.on_drop.get_mut().take() {
            on_drop();
        }
    }
}

/// Becomes ready once, and stays so. Being ready promises nothing but that it is worth calling again.
#[derive(Clone, Default)]
pub struct Waiter(Arc<Shared>);

impl Waiter {
    /// One that is not ready.
    pub fn new() -> Waiter {
        Waiter::default()
    }

    /// One whose event comes when somebody has called [`Self::work`].
    pub(crate) fn with_work(work: impl FnOnce() + Send + 'static) -> Waiter {
        let waiter = Waiter::new();
        *waiter.0.work.lock() = Some(Box::new(work));
        waiter
    }

    /// Whether the event is a page to be read, and nobody has begun to: call [`Self::work`] where blocking is allowed.
    pub fn needs_work(&self) -> bool {
        self.0.work.lock().is_some()
    }

    /// Reads the page that is waited for, if there is one and nobody has begun to; the event comes then. Does I/O.
    pub fn work(&self) {
        let work = self.0.work.lock().take();
        if let Some(work) = work {
            work();
            self.notify();
        }
    }

    /// Whether the event has come.
    pub fn is_ready(&self) -> bool {
        self.0.state.lock().ready
    }

    /// Wakes `waker` when the event comes; at once if it has.
    pub fn on_ready(&self, waker: &Waker) {
        let mut state = self.0.state.lock();
        if state.ready {
            waker.wake_by_ref();
        } else if !state.wakers.iter().any(|w| w.will_wake(waker)) {
            state.wakers.push(waker.clone());
        }
    }

    /// Blocks the thread until the event comes; reads the page that is waited for itself.
    #[cfg(not(feature = "shuttle"))]
    pub fn block(&self) {
        self.work();
        let mut state = self.0.state.lock();
        while !state.ready {
            self.0.changed.wait(&mut state);
        }
    }

    /// Gives others their turn until the event comes.
    #[cfg(feature = "shuttle")]
    pub fn block(&self) {
        self.work();
        while !self.is_ready() {
            yield_now();
        }
    }

    /// The event has come.
    pub fn notify(&self) {
        let wakers = {
            let mut state = self.0.state.lock();
            state.ready = true;
            self.0.came.store(true, Ordering::Release);
            std::mem::take(&mut state.wakers)
        };
        self.0.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Says whether the event has come, without keeping the waiter: dropping it is safe wherever `on_drop`'s action is not.
    pub(crate) fn came(&self) -> Arc<AtomicBool> {
        self.0.came.clone()
    }

    /// Runs `action` when the last clone is dropped.
    pub(crate) fn on_drop(&self, action: impl FnOnce() + Send + 'static) {
        *self.0.on_drop.lock() = Some(Box::new(action));
    }

    /// A second handle that does not keep the waiter's `on_drop` from running: for the side that notifies.
    pub(crate) fn downgrade(&self) -> Notifier {
        Notifier(Arc::downgrade(&self.0))
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Waiter").field(&self.is_ready()).finish()
    }
}

/// The side that notifies.
pub(crate) struct Notifier(std::sync::Weak<Shared>);

impl Notifier {
    pub(crate) fn notify(&self) {
        if let Some(shared) = self.0.upgrade() {
            Waiter(shared).notify();
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.0.strong_count() == 0
    }
}
