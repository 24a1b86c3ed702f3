//! The buffer pool: pages in memory within a byte budget, each under its own latch, and the cut of a checkpoint.
//!
//! A page id leads to its frame by one load from a flat array. A frame is a latch around a page's bytes and what is known
//! of them. Whoever finds a frame that holds another page by the time it has the latch starts again.
//!
//! Latch order and waits:
//! 1. Loading a page ([`Pool::read`], [`Pool::write`] on a page that is not resident) does I/O: call them with no other
//!    latch held. [`Pool::try_read`] and [`Pool::try_write`] never do I/O and give `None` instead: drop what you hold,
//!    [`Pool::load`], and start again. Where the thread's calls are to wait for missing pages ([`Misses`]), they give
//!    [`Error::Wait`] instead of doing I/O, and the waiter's work is the reading.
//! 2. A page that becomes dirty has its new place reserved before its first byte changes, so that eviction and checkpoints
//!    never fail for lack of room.
//! 3. The cut ([`Pool::cut`]) happens behind a closed [`Gate`]. Until the checkpoint has written a page that was dirty
//!    then, the first writer leaves it a copy; evicting the page unchanged is the checkpoint's write.
//! 4. A page may be published ([`Pool::publish_inner`]): readers see an immutable copy without its latch, and who changes the
//!    page puts a new copy in its place before giving up the exclusive latch. Trees publish their inner pages, one in some
//!    hundred: copies are beyond the budget. What a reader sees may be old by the time it acts on it: it must ask once more
//!    ([`Pool::is_current`]).
//!
//! 5. A scan of a large table reads its pages as ones that nobody will want again ([`Pool::try_read_once`]): they come into
//!    frames that nobody uses, or that such scans share, an eighth of the pool, and out of them again, unless somebody else
//!    uses them meanwhile.
//!
//! The scheme of one latch per frame and optimistic re-checks follows vmcache (Leis et al., SIGMOD 2023), with latches in
//! place of version counters: no reference to page bytes that may change exists without one.

mod frame;
mod gate;
mod misses;
#[cfg(test)]
mod tests;

pub use gate::{Gate, GateClosed, GatePass};
pub(crate) use misses::Misses;

use crate::error::{Error, Result};
use crate::hash::HashMap;
use crate::space::{MapCut, Store};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use crate::sync::{Mutex, Pin, RwLock, RwLockReadGuard, RwLockWriteGuard, Swaps, Waiter};
use crate::types::{PAGE_SIZE, PageId, Position};
use frame::{Arena, FramePage};
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock, Weak};

/// Bytes of a page.
pub type PageBytes = [u8; PAGE_SIZE];

const NONE: u32 = u32::MAX;
const CHUNK: usize = if cfg!(feature = "shuttle") { 1 << 8 } else { 1 << 16 };
const LOAD_SHARDS: usize = 64;

/// Page id to frame: chunks that come to be when a page in them does.
struct Directory(Box<[OnceLock<Box<[AtomicU32]>>]>);

impl Directory {
    fn slot(&self, page: PageId) -> &AtomicU32 {
        let chunk = self.0[page.0 as usize / CHUNK].get_or_init(|| (0..CHUNK).map(|_| AtomicU32::new(NONE)).collect());
        &chunk[page.0 as usize % CHUNK]
    }
}

#[derive(Debug)]
struct Frame {
    latch: RwLock<Content>,
    referenced: AtomicBool,
}

/// What a frame holds.
struct Content {
    /// 0: nothing.
    page: PageId,
    /// Taken when a page first comes in, and kept.
    bytes: Option<FramePage>,
    dirty: bool,
    /// Where a dirty page will be written; 0 when clean.
    place: u32,
    /// Dirty at the cut, and not yet written by the checkpoint.
    in_cut: bool,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").field("page", &self.page).field("dirty", &self.dirty).finish_non_exhaustive()
    }
}

impl Content {
    fn bytes(&self) -> &PageBytes {
        self.bytes.as_ref().expect("a frame with a page has bytes")
    }

    fn bytes_mut(&mut self) -> &mut PageBytes {
        self.bytes.as_mut().expect("a frame with a page has bytes")
    }
}

/// What readers of inner pages see without a latch: a page as it is, until it is replaced.
struct Inner {
    page: PageId,
    bytes: PageBytes,
}

/// A published page as it was read.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    frame: usize,
    replacements: u64,
}

/// A reader of inner pages.
pub(crate) struct InnerPin<'a>(Pin<'a, Inner>);

/// A page under its shared latch.
pub struct PageRead<'a> {
    content: RwLockReadGuard<'a, Content>,
    frame: usize,
}

impl Deref for PageRead<'_> {
    type Target = PageBytes;

    fn deref(&self) -> &PageBytes {
        self.content.bytes()
    }
}

impl PageRead<'_> {
    /// Its id.
    pub fn id(&self) -> PageId {
        self.content.page
    }
}

/// A page under its exclusive latch, dirty from the first mutable access on.
pub struct PageWrite<'a> {
    content: RwLockWriteGuard<'a, Content>,
    pool: &'a Pool,
    frame: usize,
}

impl Deref for PageWrite<'_> {
    type Target = PageBytes;

    fn deref(&self) -> &PageBytes {
        self.content.bytes()
    }
}

impl DerefMut for PageWrite<'_> {
    fn deref_mut(&mut self) -> &mut PageBytes {
        self.content.bytes_mut()
    }
}

impl PageWrite<'_> {
    /// Its id.
    pub fn id(&self) -> PageId {
        self.content.page
    }
}

impl Drop for PageWrite<'_> {
    fn drop(&mut self) {
        // Rule 4: a published page is replaced before anybody can latch it again.
        if self.pool.inner.is_some(self.frame) {
            self.pool.publish(self.frame, &self.content);
        }
    }
}

/// What a page is loaded for.
#[derive(Clone, Copy)]
pub(crate) enum Use {
    /// It may well be wanted again.
    Often,
    /// A scan that passes by.
    Once,
    /// It is read together with those that follow it: the function gives the id of the one after, or 0.
    Chain(fn(&PageBytes) -> PageId),
}

/// What the checkpoint under way still has to write.
#[derive(Default)]
struct CutState {
    map: Option<MapCut>,
    /// Pages changed since the cut: as they were, and their place.
    copies: HashMap<PageId, (Box<PageBytes>, u32)>,
}

/// The pool.
pub struct Pool {
    /// For reads that outlive a call; a pool that is not shared reads in place.
    me: OnceLock<Weak<Pool>>,
    store: Arc<Store>,
    directory: Directory,
    frames: Box<[Frame]>,
    arena: Arc<Arena>,
    /// By frame: the pages that [`Pool::publish_inner`] was asked for.
    inner: Swaps<Inner>,
    hand: AtomicUsize,
    /// Rule 5: frames that scans have filled, and with what, the oldest first.
    scanned: Mutex<VecDeque<(u32, PageId)>>,
    loading: Box<[Mutex<()>]>,
    cut: Mutex<CutState>,
    dirty: AtomicUsize,
    /// Frames that hold a page.
    filled: AtomicUsize,
    gate: Gate,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("frames", &self.frames.len()).finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of `bytes` over `store`. Memory is taken as pages come in.
    ///
    /// # Errors
    /// The system's, when it has no address space of that size.
    pub fn new(store: Arc<Store>, bytes: usize) -> Result<Pool> {
        let frame = || Frame {
            latch: RwLock::new(Content { page: PageId(0), bytes: None, dirty: false, place: 0, in_cut: false }),
            referenced: AtomicBool::new(false),
        };
        let frames = (bytes / PAGE_SIZE).max(16);
        Ok(Pool {
            me: OnceLock::new(),
            store,
            directory: Directory((0..CHUNK).map(|_| OnceLock::new()).collect()),
            frames: (0..frames).map(|_| frame()).collect(),
            arena: Arena::new(frames)?,
            inner: Swaps::new(frames),
            hand: AtomicUsize::new(0),
            scanned: Mutex::default(),
            loading: (0..LOAD_SHARDS).map(|_| Mutex::new(())).collect(),
            cut: Mutex::default(),
            dirty: AtomicUsize::new(0),
            filled: AtomicUsize::new(0),
            gate: Gate::default(),
        })
    }

    /// A pool whose pages may be waited for.
    pub(crate) fn shared(self) -> Arc<Pool> {
        let pool = Arc::new(self);
        let _ = pool.me.set(Arc::downgrade(&pool));
        pool
    }

    /// The gate that page-structure operations and commit positions pass through.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The store below.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Frames in all, and how many hold a dirty page.
    pub fn usage(&self) -> (usize, usize) {
        (self.frames.len(), self.dirty.load(Ordering::Relaxed))
    }

    /// A new page of zeros, dirty, under its exclusive latch.
    ///
    /// # Errors
    /// [`Error::Full`]: nothing has happened.
    pub fn allocate(&self) -> Result<PageWrite<'_>> {
        let place = self.store.reserve_place()?;
        let fresh = self.store.allocate_page().and_then(|page| {
            let victim = self.victim();
            if victim.is_err() {
                self.store.free_page(page);
            }
            Ok((page, victim?))
        });
        let (page, (frame, mut content)) = fresh.inspect_err(|_| self.store.unreserve(place))?;
        content.bytes.get_or_insert_with(|| self.arena.take()).fill(0);
        content.page = page;
        self.filled.fetch_add(1, Ordering::Relaxed);
        content.place = place;
        content.dirty = true;
        self.dirty.fetch_add(1, Ordering::Relaxed);
        self.directory.slot(page).store(frame, Ordering::Release);
        Ok(PageWrite { content, pool: self, frame: frame as usize })
    }

    /// Begins to read inner pages without their latches. Not to be kept while waiting for a leaf.
    pub(crate) fn pin(&self) -> InnerPin<'_> {
        InnerPin(self.inner.pin())
    }

    /// A published page; `None`: latch it.
    #[inline]
    pub(crate) fn inner<'p>(&self, pin: &'p InnerPin<'_>, page: PageId) -> Option<(&'p PageBytes, Seen)> {
        let index = self.directory.slot(page).load(Ordering::Acquire) as usize;
        let frame = self.frames.get(index)?;
        let seen = Seen { frame: index, replacements: self.inner.replacements(index) };
        let inner = pin.0.get(index).filter(|inner| inner.page == page)?;
        if !frame.referenced.load(Ordering::Relaxed) {
            frame.referenced.store(true, Ordering::Relaxed);
        }
        Some((&inner.bytes, seen))
    }

    /// Whether a published page is still as it was seen. Asked under the latch of a page that is only changed together with
    /// it: whether that is as the published page says.
    #[inline]
    pub(crate) fn is_current(&self, seen: Seen) -> bool {
        self.inner.replacements(seen.frame) == seen.replacements
    }

    /// Makes a page readable without its latch, as it is and as it will be after each change.
    pub(crate) fn publish_inner(&self, page: &PageRead<'_>) {
        self.publish(page.frame, &page.content);
    }

    fn publish(&self, frame: usize, content: &Content) {
        self.inner.put(frame, Some(Box::new(Inner { page: content.page, bytes: *content.bytes() })));
    }

    /// A page under its shared latch, loaded if need be.
    ///
    /// # Errors
    /// [`Error::CorruptPage`], I/O, [`Error::OutOfMemory`] when every frame is latched.
    pub fn read(&self, page: PageId) -> Result<PageRead<'_>> {
        loop {
            if let Some(read) = self.try_read(page) {
                return Ok(read);
            }
            self.load(page)?;
        }
    }

    /// A resident page under its shared latch; `None`: it is not resident.
    #[inline]
    pub fn try_read(&self, page: PageId) -> Option<PageRead<'_>> {
        let read = self.try_read_once(page)?;
        let referenced = &self.frames[read.frame].referenced;
        if !referenced.load(Ordering::Relaxed) {
            referenced.store(true, Ordering::Relaxed);
        }
        Some(read)
    }

    /// [`Self::try_read`] of a page that is not the dearer for it.
    #[inline]
    pub(crate) fn try_read_once(&self, page: PageId) -> Option<PageRead<'_>> {
        loop {
            let index = self.directory.slot(page).load(Ordering::Acquire) as usize;
            let content = self.frames.get(index)?.latch.read();
            if content.page == page {
                return Some(PageRead { content, frame: index });
            }
        }
    }

    /// Whether so many pages are more than one scan may keep.
    pub(crate) fn is_large(&self, pages: u64) -> bool {
        pages > self.frames.len() as u64 / 4
    }

    /// A page under its exclusive latch, to be changed.
    ///
    /// # Errors
    /// As [`Pool::read`], and [`Error::Full`] when there is no place to write it to: nothing has changed.
    pub fn write(&self, page: PageId) -> Result<PageWrite<'_>> {
        loop {
            if let Some(write) = self.try_write(page)? {
                return Ok(write);
            }
            self.load(page)?;
        }
    }

    /// A resident page under its exclusive latch; `None`: it is not resident.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Poisoned`].
    pub fn try_write(&self, page: PageId) -> Result<Option<PageWrite<'_>>> {
        loop {
            let index = self.directory.slot(page).load(Ordering::Acquire) as usize;
            let Some(frame) = self.frames.get(index) else { return Ok(None) };
            let mut content = frame.latch.write();
            if content.page == page {
                frame.referenced.store(true, Ordering::Relaxed);
                self.make_dirty(&mut content)?;
                return Ok(Some(PageWrite { content, pool: self, frame: index }));
            }
        }
    }

    /// Rules 2 and 3 of the module.
    fn make_dirty(&self, content: &mut Content) -> Result<()> {
        if content.in_cut {
            let place = self.store.reserve_place()?;
            let old = std::mem::replace(&mut content.place, place);
            content.in_cut = false;
            self.cut.lock().copies.insert(content.page, (Box::new(*content.bytes()), old));
        } else if !content.dirty {
            content.place = self.store.reserve_place()?;
            content.dirty = true;
            self.dirty.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether a page is in the pool at the moment.
    pub(crate) fn is_resident(&self, page: PageId) -> bool {
        self.directory.slot(page).load(Ordering::Acquire) != NONE
    }

    /// Makes a page resident. Does I/O: hold no latch.
    ///
    /// # Errors
    /// As [`Pool::read`]; [`Error::Wait`] instead of I/O where [`Misses`] says so: the latches held do not matter.
    pub fn load(&self, page: PageId) -> Result<()> {
        self.load_for(page, Use::Often)
    }

    /// [`Self::load`] for a certain use.
    pub(crate) fn load_for(&self, page: PageId, used: Use) -> Result<()> {
        match self.me.get() {
            Some(me) if misses::is_wait(page) => {
                let me = me.clone();
                Err(Error::Wait(Waiter::with_work(move || me.upgrade().iter().for_each(|pool| pool.bring(page, used)))))
            }
            _ => self.load_in_place(page, used),
        }
    }

    /// The work of a waiter. Who calls again meets the error.
    fn bring(&self, first: PageId, used: Use) {
        let Use::Chain(next) = used else {
            let _ = self.load_in_place(first, used);
            return;
        };
        let mut page = first;
        for _ in 0..(self.frames.len() / 8).max(1) {
            match self.read(page) {
                Ok(bytes) if next(&bytes).0 != 0 => page = next(&bytes),
                _ => return,
            }
        }
    }

    fn load_in_place(&self, page: PageId, used: Use) -> Result<()> {
        let _one = self.loading[page.0 as usize % LOAD_SHARDS].lock();
        let slot = self.directory.slot(page);
        if slot.load(Ordering::Acquire) != NONE {
            return Ok(());
        }
        let once = matches!(used, Use::Once);
        let is_full = self.filled.load(Ordering::Relaxed) >= self.frames.len();
        let scanned = if once && is_full { self.scanned_victim() } else { None };
        let (frame, mut content) = scanned.map_or_else(|| self.victim(), Ok)?;
        let bytes = content.bytes.get_or_insert_with(|| self.arena.take());
        self.store.read_page(page, &mut bytes[..])?;
        content.page = page;
        self.filled.fetch_add(1, Ordering::Relaxed);
        self.frames[frame as usize].referenced.store(false, Ordering::Relaxed);
        slot.store(frame, Ordering::Release);
        if once {
            self.scanned.lock().push_back((frame, page));
        }
        Ok(())
    }

    /// A frame out of those that scans have filled, if that is their share at least: one that nobody else has found useful.
    fn scanned_victim(&self) -> Option<(u32, RwLockWriteGuard<'_, Content>)> {
        let mut scanned = self.scanned.lock();
        while scanned.len() >= self.frames.len() / 8 {
            let (index, page) = scanned.pop_front()?;
            let frame = &self.frames[index as usize];
            if let Some(mut content) = frame.latch.try_write()
                && content.page == page
                && !content.dirty
                && !frame.referenced.load(Ordering::Relaxed)
            {
                self.vacate(index as usize, &mut content);
                return Some((index, content));
            }
        }
        None
    }

    /// Frees a page that nothing refers to any more. The caller holds no latch on it and nobody can reach it.
    pub fn free(&self, page: PageId) {
        // Who is loading it for a descent that came too late must be done: the id may be given out again.
        let _one = self.loading[page.0 as usize % LOAD_SHARDS].lock();
        loop {
            let index = self.directory.slot(page).load(Ordering::Acquire) as usize;
            let Some(frame) = self.frames.get(index) else { break };
            let mut content = frame.latch.write();
            if content.page != page {
                continue;
            }
            if content.in_cut {
                let copy = (Box::new(*content.bytes()), content.place);
                self.cut.lock().copies.insert(page, copy);
            } else if content.dirty {
                self.store.unreserve(content.place);
            }
            if content.dirty {
                self.dirty.fetch_sub(1, Ordering::Relaxed);
            }
            self.vacate(index, &mut content);
            break;
        }
        self.store.free_page(page);
    }

    fn vacate(&self, frame: usize, content: &mut Content) {
        if self.inner.is_some(frame) {
            self.inner.put(frame, None);
        }
        self.filled.fetch_sub(1, Ordering::Relaxed);
        self.directory.slot(content.page).store(NONE, Ordering::Release);
        content.page = PageId(0);
        (content.dirty, content.in_cut, content.place) = (false, false, 0);
    }

    /// An empty frame under its latch: a free one, or one whose page has not been used for a round of the clock's hand.
    fn victim(&self) -> Result<(u32, RwLockWriteGuard<'_, Content>)> {
        let mut rounds = 0;
        loop {
            let index = self.hand.fetch_add(1, Ordering::Relaxed) % self.frames.len();
            rounds += usize::from(index == 0);
            if rounds > 1000 {
                return Err(Error::OutOfMemory);
            }
            let frame = &self.frames[index];
            if frame.referenced.swap(false, Ordering::Relaxed) && rounds < 100 {
                continue;
            }
            let Some(mut content) = frame.latch.try_write() else {
                crate::sync::yield_now();
                continue;
            };
            if content.page.0 != 0 {
                if content.dirty {
                    self.write_back(&mut content)?;
                }
                self.vacate(index, &mut content);
            }
            return Ok((index as u32, content));
        }
    }

    /// Writes a dirty page to its place. Of a page in the cut this is the checkpoint's write.
    fn write_back(&self, content: &mut Content) -> Result<()> {
        let (page, place) = (content.page, content.place);
        let bytes = content.bytes.as_mut().expect("a dirty frame has bytes");
        if content.in_cut {
            let cut = &mut *self.cut.lock();
            let map = cut.map.as_mut().expect("pages are in the cut only while there is one");
            self.store.write_page(page, &mut bytes[..], place, Some(map))?;
        } else {
            self.store.write_page(page, &mut bytes[..], place, None)?;
        }
        (content.dirty, content.in_cut, content.place) = (false, false, 0);
        self.dirty.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    /// Marks what is dirty now as the checkpoint's to write. The caller holds the closed gate.
    pub fn cut(&self) -> Cut {
        let mut pages = Vec::new();
        self.cut.lock().map = Some(self.store.cut());
        for frame in &self.frames {
            let mut content = frame.latch.write();
            if content.dirty {
                content.in_cut = true;
                pages.push(content.page);
            }
        }
        Cut { pages }
    }

    /// Writes up to `budget` pages of the cut; `true` when all are written.
    ///
    /// # Errors
    /// I/O: the checkpoint cannot be completed; call [`Pool::complete`] no more, and try a new cut later.
    pub fn write_cut(&self, cut: &mut Cut, budget: usize) -> Result<bool> {
        for _ in 0..budget {
            let Some(page) = cut.pages.pop() else { return Ok(true) };
            self.write_cut_page(page)?;
        }
        Ok(cut.pages.is_empty())
    }

    fn write_cut_page(&self, page: PageId) -> Result<()> {
        loop {
            let index = self.directory.slot(page).load(Ordering::Acquire) as usize;
            let Some(frame) = self.frames.get(index) else { break };
            let mut content = frame.latch.write();
            if content.page != page {
                continue;
            }
            if content.in_cut {
                self.write_back(&mut content)?;
            }
            break;
        }
        let state = &mut *self.cut.lock();
        if let Some((mut bytes, place)) = state.copies.remove(&page) {
            let map = state.map.as_mut().expect("there is a cut");
            if let Err(error) = self.store.write_page(page, &mut bytes[..], place, Some(map)) {
                state.copies.insert(page, (bytes, place)); // its place is given back with it
                return Err(error);
            }
        }
        Ok(())
    }

    /// Completes the checkpoint whose pages are all written: `position` is the last commit before the cut, `notes` what the
    /// upper layers need besides the pages. Gives the position before which the log is no longer needed.
    ///
    /// # Errors
    /// As `Store::complete`.
    pub fn complete(&self, cut: Cut, position: Position, notes: &[u8]) -> Result<Position> {
        debug_assert!(cut.pages.is_empty(), "pages of the cut are left");
        let map = self.cut.lock().map.take().expect("there is a cut");
        self.store.sync()?;
        self.store.complete(map, position, notes)
    }

    /// Blocks of the store in use, and how many of them something names; `None` while a checkpoint is under way.
    pub(crate) fn blocks_used_and_named(&self) -> Option<(u64, u64)> {
        let _closed = self.gate.close();
        if self.cut.lock().map.is_some() {
            return None;
        }
        let reserved = self.frames.iter().filter(|frame| frame.latch.read().dirty).count() as u64;
        let (used, named) = self.store.blocks_used_and_named();
        Some((used, named + reserved))
    }

    /// Gives up a checkpoint that cannot be completed: its pages are dirty again, for the next one.
    pub fn abandon(&self, _cut: Cut) {
        for frame in &self.frames {
            frame.latch.write().in_cut = false;
        }
        let state = std::mem::take(&mut *self.cut.lock());
        state.copies.into_values().for_each(|(_, place)| self.store.unreserve(place));
        if let Some(map) = state.map {
            self.store.abandon(map);
        }
    }
}

/// The pages of a checkpoint that are still to be written.
#[derive(Debug)]
pub struct Cut {
    pages: Vec<PageId>,
}

impl Cut {
    /// How many are left.
    pub fn remaining(&self) -> usize {
        self.pages.len()
    }
}
