//! What a call does about a page that is not in the pool: it reads the page itself, or asks its caller to wait.
#![allow(clippy::missing_const_for_thread_local)] // shuttle's macro has no const form

use crate::sync::thread_local;
use crate::types::PageId;
use std::cell::Cell;
use std::marker::PhantomData;

#[derive(Clone, Copy)]
struct Mode {
    wait: bool,
    /// Read in place all the same: it was waited for, and is not there.
    except: PageId,
    /// The page that a wait was made for; 0: none.
    waited: PageId,
}

thread_local! {
    static MODE: Cell<Mode> = Cell::new(Mode { wait: false, except: PageId(0), waited: PageId(0) });
}

/// How this thread's calls deal with missing pages while it lives.
pub(crate) struct Misses {
    before: Mode,
    _of_this_thread: PhantomData<*const ()>,
}

impl Misses {
    fn set(wait: bool, except: PageId) -> Misses {
        let before = MODE.with(|mode| mode.replace(Mode { wait, except, waited: PageId(0) }));
        Misses { before, _of_this_thread: PhantomData }
    }

    /// They make the call return `Wait`; but for one page, which is read in place.
    pub(crate) fn wait(except: PageId) -> Misses {
        Misses::set(true, except)
    }

    /// They are read in place: the call has begun to change something.
    pub(crate) fn load() -> Misses {
        Misses::set(false, PageId(0))
    }

    /// The page that a wait was made for meanwhile; 0: none.
    pub(crate) fn waited(&self) -> PageId {
        MODE.with(Cell::get).waited
    }
}

impl Drop for Misses {
    fn drop(&mut self) {
        MODE.with(|mode| mode.set(self.before));
    }
}

/// Whether a wait is to be made for a page; it is noted.
pub(super) fn is_wait(page: PageId) -> bool {
    MODE.with(|cell| {
        let mode = cell.get();
        let wait = mode.wait && mode.except != page;
        if wait {
            cell.set(Mode { waited: page, ..mode });
        }
        wait
    })
}
