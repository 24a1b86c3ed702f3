//! Cancellation where no frame is at hand: loops inside of sorts, functions and constant folding.
//!
//! Whoever runs a statement's synchronous work says on whose behalf the thread works ([`watching`]). A loop that has a result to
//! fail with calls [`check`]. One that has none asks [`requested`] and gives up with anything: what [`watching`] was to
//! give is then thrown away for the error.

use crate::error::{Error, Result, SqlState};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

/// Longest that a blocked thread does not look at the cancel flag.
const LOOK: Duration = Duration::from_millis(5);

thread_local! {
    static CANCEL: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
    static GAVE_UP: Cell<bool> = const { Cell::new(false) };
}

/// Calls with the cancel flag watched.
///
/// # Errors
/// The call's; 57014 when a loop in it gave up.
pub fn watching<T>(cancel: &Arc<AtomicBool>, call: impl FnOnce() -> Result<T>) -> Result<T> {
    let _watch = Watch { outer: CANCEL.replace(Some(cancel.clone())), gave_up: GAVE_UP.replace(false) };
    let result = call();
    if GAVE_UP.get() { Err(canceled()) } else { result }
}

/// Puts back what was watched before, also when the call panics.
struct Watch {
    outer: Option<Arc<AtomicBool>>,
    gave_up: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        CANCEL.set(self.outer.take());
        GAVE_UP.set(self.gave_up);
    }
}

/// Whether the statement was cancelled: whoever asks gives up then.
pub fn requested() -> bool {
    let requested = CANCEL.with_borrow(|cancel| cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed)));
    if requested {
        GAVE_UP.set(true);
    }
    requested
}

/// 57014 when the statement was cancelled.
///
/// # Errors
/// That.
pub fn check() -> Result<()> {
    if requested() { Err(canceled()) } else { Ok(()) }
}

/// Blocks the thread until the event comes, or the statement is cancelled.
///
/// # Errors
/// 57014
pub fn block(waiter: &lightning_storage::Waiter) -> Result<()> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    if waiter.needs_work() {
        waiter.work();
        return Ok(());
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    waiter.on_ready(&waker);
    while !waiter.is_ready() {
        check()?;
        std::thread::park_timeout(LOOK);
    }
    Ok(())
}

/// For an iterator's `take_while`: ends it when the statement was cancelled, which every so many items ask for.
pub fn every<T>(items: u32) -> impl FnMut(&T) -> bool {
    let mut left = items;
    move |_| {
        left -= 1;
        if left > 0 {
            return true;
        }
        left = items;
        !requested()
    }
}

/// 57014.
pub(crate) fn canceled() -> Error {
    Error::new(SqlState::QueryCanceled, "canceling statement due to user request")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_gave_up_fails_the_call_around_it() {
        let cancel = Arc::new(AtomicBool::new(false));
        assert!(!watching(&cancel, || Ok(requested())).unwrap());
        cancel.store(true, Ordering::Relaxed);
        assert!(!requested(), "nobody is watched");
        assert_eq!(watching(&cancel, || Ok(requested())).unwrap_err().code(), SqlState::QueryCanceled);
        assert_eq!(watching(&cancel, || Ok(7)).unwrap(), 7, "nothing was given up");
    }
}
