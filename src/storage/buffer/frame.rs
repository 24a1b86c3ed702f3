//! Memory of the pool's frames: one anonymous map for all of them, taken page by page from its beginning.
//!
//! The map asks for huge pages: a point read then misses the TLB once where it missed it for each level of a tree.
//! Memory is resident only as far as frames have been filled, and goes back when the pool does.
#![allow(unsafe_code)] // pages of one map, each owned by one frame

use super::PageBytes;
use crate::error::Result;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::types::PAGE_SIZE;
use memmap2::{MmapOptions, MmapRaw};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

/// The map.
pub(super) struct Arena {
    map: MmapRaw,
    /// Pages given out.
    taken: AtomicUsize,
}

impl Arena {
    /// Address space for `pages` pages.
    ///
    /// # Errors
    /// The system's, when it has no such room.
    pub(super) fn new(pages: usize) -> Result<Arc<Arena>> {
        let map = MmapOptions::new().len(pages * PAGE_SIZE).no_reserve_swap().map_anon()?;
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage); // a kernel without huge pages: small ones do
        Ok(Arc::new(Arena { map: map.into(), taken: AtomicUsize::new(0) }))
    }

    /// The next page, of zeros.
    ///
    /// # Panics
    /// When more pages are taken than the arena has.
    pub(super) fn take(self: &Arc<Arena>) -> FramePage {
        let index = self.taken.fetch_add(1, Ordering::Relaxed);
        assert!((index + 1) * PAGE_SIZE <= self.map.len(), "a frame takes its page once");
        // SAFETY: the offset is within the map, as asserted.
        let page = unsafe { NonNull::new_unchecked(self.map.as_mut_ptr().add(index * PAGE_SIZE)) };
        FramePage { bytes: page.cast(), _arena: self.clone() }
    }
}

/// A page of the arena, owned.
pub(super) struct FramePage {
    bytes: NonNull<PageBytes>,
    /// Keeps the map.
    _arena: Arc<Arena>,
}

// SAFETY: it is the only one that refers to its bytes ([`Arena::take`] gives each page once), as a `Box` would be.
unsafe impl Send for FramePage {}

// SAFETY: as above; shared references only read.
unsafe impl Sync for FramePage {}

impl Deref for FramePage {
    type Target = PageBytes;

    fn deref(&self) -> &PageBytes {
        // SAFETY: the bytes lie in a map that lives, are initialised (zeros at first), and nobody else refers to them.
        unsafe { self.bytes.as_ref() }
    }
}

impl DerefMut for FramePage {
    fn deref_mut(&mut self) -> &mut PageBytes {
        // SAFETY: as in `deref`, and the exclusive borrow of the owner is one of the bytes.
        unsafe { self.bytes.as_mut() }
    }
}
