//! [`Swaps`]: cells whose immutable contents are replaced while others read them.
//!
//! A reader takes a slot ([`Swaps::pin`]) and reads cells for as long as it keeps it: no latch, and no counter that it shares
//! with other readers. Who replaces a content keeps the old one until no reader can have it.
//!
//! 1. The epoch rises after every replacement; what was replaced is tagged with the epoch before.
//! 2. A slot shows an epoch that was read before the slot was taken. One above a tag was read after that replacement: its
//!    reader finds the new content.
//! 3. The slots are looked at after the replacement: a slot that is free then is taken after it, and its reader finds the
//!    new content too. (All of this is sequentially consistent.)
//! 4. So what was replaced goes when its tag lies below all slots.
//! 5. A cell counts its replacements. Whoever found the count unchanged after reading something else knows that what the cell
//!    held was current until then; the count rises after the content is replaced and before [`Swaps::put`] returns.
//!
//! (Fraser, Practical lock-freedom, 2004.)
#![allow(unsafe_code)] // contents are shared as raw pointers

use super::Mutex;
use super::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::marker::PhantomData;
use std::ptr;

const SLOTS: usize = if cfg!(any(feature = "shuttle", miri)) { 4 } else { 128 };
const FREE: u64 = u64::MAX;

/// A slot in a cache line (and its neighbour) of its own.
#[repr(align(128))]
struct Slot(AtomicU64);

/// Cells, and who reads them.
pub(crate) struct Swaps<T> {
    cells: Box<[Cell<T>]>,
    epoch: AtomicU64,
    slots: Box<[Slot]>,
    replaced: Mutex<Vec<(u64, Replaced<T>)>>,
    _owned: PhantomData<Box<T>>,
}

struct Cell<T> {
    content: AtomicPtr<T>,
    replacements: AtomicU64,
}

/// A content that is in no cell any more.
struct Replaced<T>(*mut T);

// SAFETY: it is the only owner of a `T`, which may go to another thread.
unsafe impl<T: Send> Send for Replaced<T> {}

impl<T> Drop for Replaced<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Box::into_raw`, left its cell once, and rule 4 says that no reader has it.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// A reader: what it has read stays while it lives.
pub(crate) struct Pin<'a, T> {
    swaps: &'a Swaps<T>,
    slot: &'a AtomicU64,
}

impl<T> Drop for Pin<'_, T> {
    fn drop(&mut self) {
        self.slot.store(FREE, Ordering::Release);
    }
}

impl<T: Send + Sync> Swaps<T> {
    /// That many empty cells.
    pub(crate) fn new(cells: usize) -> Swaps<T> {
        Swaps {
            cells: (0..cells).map(|_| Cell::default()).collect(),
            epoch: AtomicU64::new(0),
            slots: (0..SLOTS).map(|_| Slot(AtomicU64::new(FREE))).collect(),
            replaced: Mutex::default(),
            _owned: PhantomData,
        }
    }

    /// Begins to read. Not to be kept while waiting for anything.
    pub(crate) fn pin(&self) -> Pin<'_, T> {
        let epoch = self.epoch.load(Ordering::SeqCst);
        let first = first_slot();
        for at in 0.. {
            let slot = &self.slots[(first + at) % SLOTS].0;
            if slot.compare_exchange(FREE, epoch, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                return Pin { swaps: self, slot };
            }
            if at % SLOTS == SLOTS - 1 {
                super::yield_now();
            }
        }
        unreachable!("the loop has no end")
    }

    /// Whether there is something in a cell.
    #[inline]
    pub(crate) fn is_some(&self, cell: usize) -> bool {
        !self.cells[cell].content.load(Ordering::Acquire).is_null()
    }

    /// How often the content of a cell has been replaced.
    #[inline]
    pub(crate) fn replacements(&self, cell: usize) -> u64 {
        self.cells[cell].replacements.load(Ordering::SeqCst)
    }

    /// Replaces the content of a cell.
    pub(crate) fn put(&self, cell: usize, content: Option<Box<T>>) {
        let new = content.map_or(ptr::null_mut(), Box::into_raw);
        let old = self.cells[cell].content.swap(new, Ordering::SeqCst);
        self.cells[cell].replacements.fetch_add(1, Ordering::SeqCst);
        if old.is_null() {
            return;
        }
        let tag = self.epoch.fetch_add(1, Ordering::SeqCst);
        let mut replaced = self.replaced.lock();
        replaced.push((tag, Replaced(old)));
        let oldest = self.slots.iter().map(|slot| slot.0.load(Ordering::SeqCst)).min().unwrap_or(FREE);
        replaced.retain(|(tag, _)| *tag >= oldest);
    }
}

impl<'a, T> Pin<'a, T> {
    /// What a cell holds.
    #[inline]
    pub(crate) fn get(&self, cell: usize) -> Option<&T> {
        let content = self.swaps.cells[cell].content.load(Ordering::SeqCst);
        // SAFETY: it is null, or from `Box::into_raw` and never written to; rules 2 to 4 keep it while `self` has its slot.
        unsafe { content.as_ref() }
    }
}

impl<T> Drop for Swaps<T> {
    fn drop(&mut self) {
        for cell in &mut self.cells {
            let content = std::mem::replace(cell.content.get_mut(), ptr::null_mut());
            if !content.is_null() {
                drop(Replaced(content));
            }
        }
    }
}

impl<T> Default for Cell<T> {
    fn default() -> Cell<T> {
        Cell { content: AtomicPtr::new(ptr::null_mut()), replacements: AtomicU64::new(0) }
    }
}

/// Where a thread looks for a free slot first: threads have slots of their own as long as there are enough.
#[cfg(not(feature = "shuttle"))]
fn first_slot() -> usize {
    use std::sync::atomic::AtomicUsize;
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static FIRST: usize = THREADS.fetch_add(1, Ordering::Relaxed);
    }
    FIRST.with(|first| *first)
}

#[cfg(feature = "shuttle")]
fn first_slot() -> usize {
    0
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Counts its instances; knows when it has gone.
    struct Content<'a>(u64, &'a AtomicUsize);

    impl<'a> Content<'a> {
        fn new(number: u64, live: &'a AtomicUsize) -> Option<Box<Content<'a>>> {
            live.fetch_add(1, Ordering::SeqCst);
            Some(Box::new(Content(number, live)))
        }
    }

    impl Drop for Content<'_> {
        fn drop(&mut self) {
            self.0 = u64::MAX;
            self.1.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn what_a_reader_has_stays_and_what_nobody_has_goes() {
        let live = AtomicUsize::new(0);
        let swaps = Swaps::new(2);
        swaps.put(0, Content::new(1, &live));
        let pin = swaps.pin();
        let first = pin.get(0).unwrap();
        swaps.put(0, Content::new(2, &live));
        swaps.put(0, Content::new(3, &live));
        assert_eq!((first.0, pin.get(0).unwrap().0), (1, 3));
        assert!(pin.get(1).is_none());
        assert_eq!((swaps.replacements(0), swaps.replacements(1)), (3, 0));
        drop(pin);
        swaps.put(0, Content::new(4, &live));
        assert_eq!(live.load(Ordering::SeqCst), 1, "what nobody reads is kept");
        drop(swaps);
        assert_eq!(live.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn readers_find_numbers_that_rise() {
        let live = AtomicUsize::new(0);
        let swaps = Swaps::new(1);
        let last = if cfg!(miri) { 60 } else { 20_000 };
        swaps.put(0, Content::new(0, &live));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut seen = 0;
                    while seen < last {
                        let pin = swaps.pin();
                        let content = pin.get(0).unwrap();
                        assert!(content.0 >= seen && content.0 <= last);
                        seen = content.0;
                    }
                });
            }
            (1..=last).for_each(|number| swaps.put(0, Content::new(number, &live)));
        });
        drop(swaps);
        assert_eq!(live.load(Ordering::SeqCst), 0);
    }
}
