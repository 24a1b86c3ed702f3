//! The data file: which block holds which page, which blocks are free, and the two superblocks that say so durably.
//!
//! The file is a sequence of 16 KiB blocks. Blocks 0 and 1 are the superblocks. Every other block belongs to a page, to an
//! *extent* (a run of blocks: a piece of the map, a checkpoint's notes, redo too large for the log), or is free; what no
//! superblock reaches is free, so there are no orphans.
//!
//! ```text
//! page:        OFFSET 0 crc32c of the rest · 4 page id · 8 write number · 16 kind · 20 nonce (12) · 32 tag (16) · 48 free for the kind's use
//! superblock:  OFFSET 0 crc32c of the rest · 4 magic · 8 format version · 12 incarnation · 16 checkpoint number · 24 log position T
//!              · 32 next write number · 40 number of pages · 44 notes extent · 60 base extent · 76 number of deltas
//!              · 80 the checkpoint's incarnation · 84 delta extents
//! extent:      place u32 · length in bytes u64 · crc32c u32
//! map base:    per page: place u32 · write number u64          map delta: per change: page u32 · place u32 · write number u64
//! ```
//! 1. A page is always written to a new place. The superblock of a checkpoint is written after everything that it names is synced.
//! 2. A place is used again only when neither superblock names it: what checkpoint k lets go of is free once k + 1 is durable.
//! 3. Some free blocks are kept back for rollback, clean-up, checkpoints and deletion ([`Draw`]), so that a full disk
//!    fails nothing else than what would fill it.
//! 4. The write number in the map tells a lost or stale write from the page that should be there, not only a torn one.

mod allocator;
mod map;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::hash::{HashMap, HashSet};
use crate::io::{File, Io};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::types::{PAGE_SIZE, PageId, Position};
use allocator::Allocator;
use map::{Map, NOWHERE, Place};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

/// Bytes at the head of a page that belong to this module.
pub const PAGE_HEADER_BYTES: usize = 48;
const MAGIC: u32 = 0x4c_44_42_31;
const VERSION: u32 = 4;
/// Beyond this many deltas the map is written whole.
const DELTAS_MAX: usize = 64;

/// How far a thread may draw on the blocks that are kept back on a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Draw {
    Nothing,
    /// What frees room in the end: DELETE, DROP, clean-up.
    Deletion,
    /// What must not fail.
    Rollback,
    /// What gives room back: checkpoints, and recovery.
    Checkpoint,
}

impl Draw {
    fn eighths_kept(self) -> u64 {
        match self {
            Draw::Nothing => 8,
            Draw::Deletion => 4,
            Draw::Rollback => 2,
            Draw::Checkpoint => 0,
        }
    }

    /// Lets this thread draw so far while the result lives.
    pub(crate) fn allow(self) -> Drawing {
        let before = DRAW.get();
        DRAW.set(before.max(self));
        Drawing { before, _of_this_thread: PhantomData }
    }
}

thread_local! {
    static DRAW: Cell<Draw> = const { Cell::new(Draw::Nothing) };
}

/// See [`Draw::allow`].
pub(crate) struct Drawing {
    before: Draw,
    _of_this_thread: PhantomData<*const ()>,
}

impl Drop for Drawing {
    fn drop(&mut self) {
        DRAW.set(self.before);
    }
}

/// A run of blocks that holds `len` bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// First block; 0 is none.
    pub place: u32,
    /// Bytes.
    pub len: u64,
    /// crc32c of them.
    pub crc: u32,
}

impl Extent {
    fn blocks(self) -> u32 {
        self.len.div_ceil(PAGE_SIZE as u64) as u32
    }

    /// Appends the 16 bytes of its stored form.
    pub fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.place.to_le_bytes());
        out.extend_from_slice(&self.len.to_le_bytes());
        out.extend_from_slice(&self.crc.to_le_bytes());
    }

    /// From its stored form.
    pub fn decode(bytes: &[u8; 16]) -> Extent {
        Extent {
            place: u32::from_le_bytes(bytes[..4].try_into().expect("four bytes")),
            len: u64::from_le_bytes(bytes[4..12].try_into().expect("eight bytes")),
            crc: u32::from_le_bytes(bytes[12..].try_into().expect("four bytes")),
        }
    }
}

/// A superblock's content.
#[derive(Clone, Debug, Default, PartialEq)]
struct Superblock {
    incarnation: u32,
    /// That of the checkpoint: blocks of the log behind its position are of this one or a later one.
    log_incarnation: u32,
    checkpoint: u64,
    position: u64,
    next_write: u64,
    pages: u32,
    notes: Extent,
    base: Extent,
    deltas: Vec<Extent>,
}

/// What a database was found to be when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// This opening's number, durable already.
    pub incarnation: u32,
    /// The log is to be read from here; 0 and no notes for a new database.
    pub position: Position,
    /// An older block in the log from there on is what a crash has left of a flush that did not happen.
    pub log_incarnation: u32,
    /// What the upper layers left with the checkpoint.
    pub notes: Vec<u8>,
    /// Whether the folder was empty.
    pub created: bool,
}

struct State {
    map: Map,
    allocator: Allocator,
    next_write: u64,
    /// The newest superblock, and which slot it is in.
    current: Superblock,
    slot: u64,
    /// Log position of the older superblock.
    older_position: u64,
    /// Blocks let go of by the newest checkpoint: free after the next one.
    retired: Vec<(u32, u32)>,
    /// Extents that the log refers to, with the position of the referring record.
    logged: Vec<(Position, Extent)>,
}

/// The data file.
pub struct Store {
    file: Arc<dyn File>,
    state: Mutex<State>,
    failed: AtomicBool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// A cut's part of the map, between `Store::cut` and `Store::complete`.
#[derive(Debug)]
pub struct MapCut {
    changes: HashMap<u32, Place>,
    pages: u32,
}

impl Store {
    /// Opens the data file, or makes one in an empty folder; raises the incarnation durably.
    ///
    /// # Errors
    /// [`Error::Corrupt`] names damage: no valid superblock, a map that does not verify.
    pub fn open(io: &dyn Io) -> Result<(Store, Opened)> {
        let file = io.open("data")?;
        let created = file.len()? == 0;
        let (current, slot, older_position) = if created {
            file.allocate(128 * PAGE_SIZE as u64)?;
            (Superblock { next_write: 1, ..Superblock::default() }, 0, 0)
        } else {
            choose_superblock(&*file)?
        };
        let map = Map::load(&*file, current.base, &current.deltas, current.pages)?;
        let notes = if current.notes.place == 0 { Vec::new() } else { read_extent(&*file, current.notes)? };
        let mut allocator = Allocator::new(file.len()?.max(128 * PAGE_SIZE as u64));
        allocator.take(0, 2);
        map.places().for_each(|place| allocator.take(place, 1));
        for extent in current.deltas.iter().chain([&current.notes, &current.base]).filter(|e| e.place != 0) {
            allocator.take(extent.place, extent.blocks());
        }
        let state = State {
            map,
            allocator,
            next_write: current.next_write,
            slot,
            older_position,
            current,
            retired: Vec::new(),
            logged: Vec::new(),
        };
        let store = Store { file, state: Mutex::new(state), failed: AtomicBool::new(false) };
        let opened = {
            let mut state = store.state.lock();
            state.current.incarnation += 1;
            // A crash loses page writes after the checkpoint; their numbers must not come again.
            state.current.next_write += 1 << 32;
            state.next_write = state.current.next_write;
            store.write_superblock(&mut state)?;
            if created {
                io.sync_names()?;
            }
            let current = &state.current;
            let (incarnation, log_incarnation) = (current.incarnation, current.log_incarnation);
            Opened { incarnation, position: Position(current.position), log_incarnation, notes, created }
        };
        Ok((store, opened))
    }

    /// A fresh page id. It has no place until it is written.
    pub(crate) fn allocate_page(&self) -> Result<PageId> {
        self.check()?;
        Ok(self.state.lock().map.allocate())
    }

    /// Gives a page id back; its place is let go of when the superblocks have forgotten it.
    pub(crate) fn free_page(&self, page: PageId) {
        let state = &mut *self.state.lock();
        state.map.replace(page.0, Place { block: NOWHERE, write: 0 }, &mut state.allocator);
        state.map.free(page);
    }

    /// Reserves the place that a page will be written to.
    ///
    /// # Errors
    /// [`Error::Full`]
    pub(crate) fn reserve_place(&self) -> Result<u32> {
        self.check()?;
        self.state.lock().allocator.allocate(1, DRAW.get(), &*self.file)
    }

    /// Gives back a reserved place that was not used.
    pub(crate) fn unreserve(&self, place: u32) {
        self.state.lock().allocator.free(place, 1);
    }

    /// Writes a page to its reserved place. With `cut`, as the page was at the cut: the checkpoint's map takes it too.
    pub(crate) fn write_page(
        &self,
        page: PageId,
        bytes: &mut [u8],
        place: u32,
        cut: Option<&mut MapCut>,
    ) -> Result<()> {
        let write = {
            let mut state = self.state.lock();
            state.next_write += 1;
            state.next_write - 1
        };
        bytes[4..8].copy_from_slice(&page.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&write.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        self.file.write_at(bytes, u64::from(place) * PAGE_SIZE as u64)?;
        let state = &mut *self.state.lock();
        let new = Place { block: place, write };
        match cut {
            Some(cut) => {
                cut.changes.insert(page.0, new);
                state.map.note_cut_write(page.0, new, &mut state.allocator);
            }
            None => state.map.replace(page.0, new, &mut state.allocator),
        }
        Ok(())
    }

    /// Reads and verifies a page.
    ///
    /// # Errors
    /// [`Error::CorruptPage`] says what is wrong with it.
    pub(crate) fn read_page(&self, page: PageId, bytes: &mut [u8]) -> Result<()> {
        let place = self.state.lock().map.get(page.0);
        let corrupt = |what| Error::CorruptPage { page, what };
        if place.block == NOWHERE {
            return Err(corrupt("it has no place on disk"));
        }
        self.file.read_at(bytes, u64::from(place.block) * PAGE_SIZE as u64)?;
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        if u32_at(0) != crc32c::crc32c(&bytes[4..]) {
            return Err(corrupt("its checksum does not match"));
        }
        if u32_at(4) != page.0 {
            return Err(corrupt("another page lies in its place"));
        }
        if u64::from_le_bytes(bytes[8..16].try_into().expect("eight bytes")) != place.write {
            return Err(corrupt("an older write lies in its place"));
        }
        Ok(())
    }

    /// Writes `bytes` as an extent. Not synced.
    ///
    /// # Errors
    /// [`Error::Full`]
    pub fn write_extent(&self, bytes: &[u8]) -> Result<Extent> {
        self.check()?;
        let mut extent = Extent { place: 0, len: bytes.len() as u64, crc: crc32c::crc32c(bytes) };
        extent.place = self.state.lock().allocator.allocate(extent.blocks().max(1), DRAW.get(), &*self.file)?;
        if let Err(error) = self.file.write_at(bytes, u64::from(extent.place) * PAGE_SIZE as u64) {
            self.free_extent(extent);
            return Err(error.into());
        }
        Ok(extent)
    }

    /// Reads an extent back.
    ///
    /// # Errors
    /// [`Error::Corrupt`]
    pub fn read_extent(&self, extent: Extent) -> Result<Vec<u8>> {
        read_extent(&*self.file, extent)
    }

    /// Frees an extent that nothing durable names.
    pub fn free_extent(&self, extent: Extent) {
        self.state.lock().allocator.free(extent.place, extent.blocks().max(1));
    }

    /// The log record at `position` names `extent`: it stays until the older superblock is past that.
    pub fn keep_for_log(&self, position: Position, extent: Extent) {
        self.state.lock().logged.push((position, extent));
    }

    /// Recovery met `extent` in the log: its place is in use. Before anything is allocated.
    pub fn claim_for_log(&self, position: Position, extent: Extent) {
        let mut state = self.state.lock();
        state.allocator.take(extent.place, extent.blocks().max(1));
        state.logged.push((position, extent));
    }

    /// Makes everything written durable.
    ///
    /// # Errors
    /// After a failure the store takes no more writes: [`Error::Poisoned`].
    pub fn sync(&self) -> Result<()> {
        self.check()?;
        self.file.sync().inspect_err(|_| self.failed.store(true, Ordering::Release))?;
        Ok(())
    }

    /// Takes the map's changes since the last cut. The caller has closed the gate.
    pub(crate) fn cut(&self) -> MapCut {
        let mut state = self.state.lock();
        MapCut { changes: state.map.take_changes(), pages: state.map.len() }
    }

    /// Completes a checkpoint: pages are written; writes the map and `notes`, syncs, then the superblock.
    /// Gives the log position that recovery may still begin at (the older superblock's).
    ///
    /// # Errors
    /// I/O. The cut's changes are kept for the next checkpoint; after a failed sync the store takes no more writes.
    pub(crate) fn complete(&self, cut: MapCut, position: Position, notes: &[u8]) -> Result<Position> {
        match self.try_complete(&cut, position, notes) {
            Ok(older) => Ok(older),
            Err(error) => {
                let state = &mut *self.state.lock();
                state.map.give_back(cut.changes, &mut state.allocator);
                Err(error)
            }
        }
    }

    /// A checkpoint is given up before [`Store::complete`]: its changes belong to the next one.
    pub(crate) fn abandon(&self, cut: MapCut) {
        let state = &mut *self.state.lock();
        state.map.give_back(cut.changes, &mut state.allocator);
    }

    fn try_complete(&self, cut: &MapCut, position: Position, notes: &[u8]) -> Result<Position> {
        let (base, mut deltas) = {
            let state = self.state.lock();
            (state.current.base, state.current.deltas.clone())
        };
        let delta_entries: u64 = deltas.iter().map(|d| d.len / 16).sum::<u64>() + cut.changes.len() as u64;
        let whole = base.place == 0 || deltas.len() >= DELTAS_MAX || delta_entries > u64::from(cut.pages) / 2;
        let mut written = Vec::new();
        let result = self.write_checkpoint(cut, notes, whole, base, &mut deltas, &mut written);
        let (notes, base) = match result {
            Ok(extents) => extents,
            Err(error) => {
                written.into_iter().for_each(|extent| self.free_extent(extent));
                return Err(error);
            }
        };
        self.sync()?;
        let state = &mut *self.state.lock();
        let before = state.current.clone();
        let older = before.position;
        state.current = Superblock {
            incarnation: before.incarnation,
            log_incarnation: before.incarnation,
            checkpoint: before.checkpoint + 1,
            position: position.0,
            next_write: state.next_write,
            pages: cut.pages,
            notes,
            base,
            deltas,
        };
        self.write_superblock(state)?;
        state.older_position = older;
        // Rule 2.
        for (place, blocks) in std::mem::take(&mut state.retired) {
            state.allocator.free(place, blocks);
        }
        let mut retired = state.map.settle(&cut.changes);
        for extent in before.deltas.iter().chain([&before.notes, &before.base]) {
            let kept = state.current.deltas.contains(extent) || state.current.base == *extent;
            if extent.place != 0 && !kept {
                retired.push((extent.place, extent.blocks().max(1)));
            }
        }
        state.retired = retired;
        let (free, keep) = std::mem::take(&mut state.logged).into_iter().partition(|(at, _)| at.0 <= older);
        state.logged = keep;
        let free: Vec<(Position, Extent)> = free;
        free.into_iter().for_each(|(_, extent)| state.allocator.free(extent.place, extent.blocks().max(1)));
        Ok(Position(older))
    }

    fn write_checkpoint(
        &self,
        cut: &MapCut,
        notes: &[u8],
        whole: bool,
        mut base: Extent,
        deltas: &mut Vec<Extent>,
        written: &mut Vec<Extent>,
    ) -> Result<(Extent, Extent)> {
        let mut write = |bytes: &[u8]| -> Result<Extent> {
            let extent = self.write_extent(bytes)?;
            written.push(extent);
            Ok(extent)
        };
        let notes = if notes.is_empty() { Extent::default() } else { write(notes)? };
        if whole {
            let bytes = self.state.lock().map.encode_base(&cut.changes, cut.pages);
            base = if bytes.is_empty() { Extent::default() } else { write(&bytes)? };
            deltas.clear();
        } else if !cut.changes.is_empty() {
            deltas.push(write(&map::encode_delta(&cut.changes))?);
        }
        Ok((notes, base))
    }

    /// Blocks in use, and in all.
    pub fn blocks(&self) -> (u64, u64) {
        let state = self.state.lock();
        let total = state.allocator.total();
        (total - state.allocator.free_blocks(), total)
    }

    /// Blocks in use, and those that the superblocks, the map or the log name. Places reserved for dirty pages are not.
    pub(crate) fn blocks_used_and_named(&self) -> (u64, u64) {
        let state = self.state.lock();
        let mut named: HashSet<u32> = state.map.all_places().chain([0, 1]).collect();
        let extents = state.current.deltas.iter().chain([&state.current.notes, &state.current.base]);
        let extents = extents.chain(state.logged.iter().map(|(_, extent)| extent)).filter(|extent| extent.place != 0);
        let runs = extents.map(|extent| (extent.place, extent.blocks().max(1))).chain(state.retired.iter().copied());
        runs.for_each(|(place, blocks)| named.extend(place..place + blocks));
        (state.allocator.total() - state.allocator.free_blocks(), named.len() as u64)
    }

    /// Ids of the pages in use.
    pub(crate) fn page_ids(&self) -> Vec<PageId> {
        self.state.lock().map.ids()
    }

    /// Pages that have an id.
    pub fn pages(&self) -> u32 {
        self.state.lock().map.live()
    }

    /// Whether a sync, or the write of a superblock, has failed.
    pub(crate) fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    fn check(&self) -> Result<()> {
        if self.is_failed() { Err(Error::Poisoned) } else { Ok(()) }
    }

    /// Writes the current superblock to the slot that does not hold the newest one.
    fn write_superblock(&self, state: &mut State) -> Result<()> {
        let slot = 1 - state.slot;
        let bytes = encode_superblock(&state.current);
        let result = self.file.write_at(&bytes, slot * PAGE_SIZE as u64).and_then(|()| self.file.sync());
        result.inspect_err(|_| self.failed.store(true, Ordering::Release))?;
        state.slot = slot;
        Ok(())
    }
}

fn read_extent(file: &dyn File, extent: Extent) -> Result<Vec<u8>> {
    let mut bytes = vec![0; extent.len as usize];
    file.read_at(&mut bytes, u64::from(extent.place) * PAGE_SIZE as u64)?;
    if crc32c::crc32c(&bytes) != extent.crc {
        return Err(Error::corrupt(format!(
            "the extent of {} bytes at block {} does not verify",
            extent.len, extent.place
        )));
    }
    Ok(bytes)
}

fn encode_superblock(block: &Superblock) -> Vec<u8> {
    let mut out = vec![0; 4];
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&block.incarnation.to_le_bytes());
    out.extend_from_slice(&block.checkpoint.to_le_bytes());
    out.extend_from_slice(&block.position.to_le_bytes());
    out.extend_from_slice(&block.next_write.to_le_bytes());
    out.extend_from_slice(&block.pages.to_le_bytes());
    block.notes.encode(&mut out);
    block.base.encode(&mut out);
    out.extend_from_slice(&(block.deltas.len() as u32).to_le_bytes());
    out.extend_from_slice(&block.log_incarnation.to_le_bytes());
    block.deltas.iter().for_each(|extent| extent.encode(&mut out));
    out.resize(PAGE_SIZE, 0);
    let crc = crc32c::crc32c(&out[4..]);
    out[..4].copy_from_slice(&crc.to_le_bytes());
    out
}

/// `Ok(None)`: the slot holds no superblock that verifies.
fn decode_superblock(bytes: &[u8]) -> Result<Option<Superblock>> {
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let extent_at = |at: usize| Extent::decode(bytes[at..at + 16].try_into().expect("sixteen bytes"));
    if u32_at(0) != crc32c::crc32c(&bytes[4..]) || u32_at(4) != MAGIC {
        return Ok(None);
    }
    if u32_at(8) != VERSION {
        return Err(Error::corrupt(format!("format version {} is not {VERSION}: another release wrote it", u32_at(8))));
    }
    let deltas = (u32_at(76) as usize).min(DELTAS_MAX + 1);
    Ok(Some(Superblock {
        incarnation: u32_at(12),
        log_incarnation: u32_at(80),
        checkpoint: u64_at(16),
        position: u64_at(24),
        next_write: u64_at(32),
        pages: u32_at(40),
        notes: extent_at(44),
        base: extent_at(60),
        deltas: (0..deltas).map(|i| extent_at(84 + 16 * i)).collect(),
    }))
}

/// The newest valid superblock, its slot, and the log position of the other one.
///
/// The other slot may be torn: a checkpoint was being completed, or the incarnation raised. That is no damage as long as
/// the log still begins at or before the valid one's position, which reading the log from there shows.
fn choose_superblock(file: &dyn File) -> Result<(Superblock, u64, u64)> {
    let mut slots = Vec::new();
    for slot in 0..2 {
        let mut bytes = vec![0; PAGE_SIZE];
        file.read_at(&mut bytes, slot * PAGE_SIZE as u64)?;
        if let Some(block) = decode_superblock(&bytes)? {
            slots.push((block, slot));
        }
    }
    slots.sort_by_key(|(block, _)| (block.checkpoint, block.incarnation));
    let Some((newest, slot)) = slots.pop() else {
        return Err(Error::corrupt("neither superblock of the data file verifies"));
    };
    let older = slots.pop().map_or(newest.position, |(block, _)| block.position);
    Ok((newest, slot, older))
}
