//! The page map: where each page lies now, and where the newest checkpoint has it.

use super::allocator::Allocator;
use super::{Extent, read_extent};
use crate::error::{Error, Result};
use crate::hash::{HashMap, HashSet};
use crate::io::File;
use crate::types::PageId;
use hashbrown::hash_map::Entry;

/// No block: the page is not on disk.
pub(super) const NOWHERE: u32 = 0;
const ENTRY_BYTES: usize = 12;
const CHANGE_BYTES: usize = 16;

/// A page's block and the number of the write that put it there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) block: u32,
    pub(super) write: u64,
}

/// See the module. Page 0 does not exist.
#[derive(Debug, Default)]
pub(super) struct Map {
    current: Vec<Place>,
    /// As of the newest superblock.
    stable: Vec<Place>,
    /// Changes of `current` since the last cut.
    changes: HashMap<u32, Place>,
    /// Places that a cut under way names.
    in_cut: HashMap<u32, Place>,
    free: Vec<u32>,
}

fn at(places: &[Place], page: u32) -> Place {
    places.get(page as usize).copied().unwrap_or_default()
}

fn put(places: &mut Vec<Place>, page: u32, place: Place) {
    if places.len() <= page as usize {
        places.resize(page as usize + 1, Place::default());
    }
    places[page as usize] = place;
}

impl Map {
    /// Reads the base and the deltas behind it.
    pub(super) fn load(file: &dyn File, base: Extent, deltas: &[Extent], pages: u32) -> Result<Map> {
        let mut current = vec![Place::default(); pages.max(1) as usize];
        if base.place != 0 {
            let bytes = read_extent(file, base)?;
            for (i, entry) in bytes.chunks_exact(ENTRY_BYTES).enumerate() {
                put(&mut current, i as u32, decode(entry));
            }
        }
        for delta in deltas {
            for change in read_extent(file, *delta)?.chunks_exact(CHANGE_BYTES) {
                let (page, entry) = change.split_at(4);
                let page = u32::from_le_bytes(page.try_into().expect("four bytes"));
                if page >= pages {
                    return Err(Error::corrupt(format!("the map names page {page} of {pages}")));
                }
                put(&mut current, page, decode(entry));
            }
        }
        let free = (1..current.len() as u32).filter(|&p| current[p as usize].block == NOWHERE).rev().collect();
        Ok(Map { stable: current.clone(), current, free, ..Map::default() })
    }

    pub(super) fn len(&self) -> u32 {
        self.current.len() as u32
    }

    pub(super) fn live(&self) -> u32 {
        self.len().saturating_sub(1 + self.free.len() as u32)
    }

    pub(super) fn ids(&self) -> Vec<PageId> {
        let free: HashSet<u32> = self.free.iter().copied().collect();
        (1..self.len()).filter(|page| !free.contains(page)).map(PageId).collect()
    }

    pub(super) fn get(&self, page: u32) -> Place {
        at(&self.current, page)
    }

    pub(super) fn places(&self) -> impl Iterator<Item = u32> {
        self.current.iter().map(|place| place.block).filter(|&block| block != NOWHERE)
    }

    /// Blocks that are a page's now, or were when the newest checkpoint was made.
    pub(super) fn all_places(&self) -> impl Iterator<Item = u32> {
        let places = self.current.iter().chain(&self.stable);
        places.map(|place| place.block).filter(|&block| block != NOWHERE)
    }

    pub(super) fn allocate(&mut self) -> PageId {
        match self.free.pop() {
            Some(page) => PageId(page),
            None => {
                if self.current.is_empty() {
                    self.current.push(Place::default());
                }
                self.current.push(Place::default());
                PageId(self.current.len() as u32 - 1)
            }
        }
    }

    pub(super) fn free(&mut self, page: PageId) {
        self.free.push(page.0);
    }

    /// The page lies at `new` from now on. Its old place is free at once when no checkpoint, durable or under way, names it.
    pub(super) fn replace(&mut self, page: u32, new: Place, allocator: &mut Allocator) {
        let old = self.get(page);
        put(&mut self.current, page, new);
        self.changes.insert(page, new);
        let named = old == at(&self.stable, page) || self.in_cut.get(&page) == Some(&old);
        if old.block != NOWHERE && !named {
            allocator.free(old.block, 1);
        }
    }

    /// A page was written as it was at the cut. It is the page's newest image on disk, unless a later one has been written.
    pub(super) fn note_cut_write(&mut self, page: u32, new: Place, allocator: &mut Allocator) {
        // An image written between the last cut and this one, which nothing names any more.
        if let Some(before) = self.in_cut.insert(page, new)
            && before.block != NOWHERE
            && before != at(&self.stable, page)
        {
            allocator.free(before.block, 1);
        }
        // A page that has been written or freed since the cut stays as that left it.
        if !self.changes.contains_key(&page) {
            put(&mut self.current, page, new);
        }
    }

    pub(super) fn take_changes(&mut self) -> HashMap<u32, Place> {
        self.in_cut = std::mem::take(&mut self.changes);
        self.in_cut.clone()
    }

    /// The checkpoint failed: its changes belong to the next one.
    pub(super) fn give_back(&mut self, changes: HashMap<u32, Place>, allocator: &mut Allocator) {
        self.in_cut.clear();
        for (page, place) in changes {
            match self.changes.entry(page) {
                Entry::Vacant(entry) => {
                    entry.insert(place);
                }
                Entry::Occupied(_) if place.block != NOWHERE && place != at(&self.stable, page) => {
                    allocator.free(place.block, 1);
                }
                Entry::Occupied(_) => {}
            }
        }
    }

    /// The checkpoint with these changes is durable. Gives the blocks that it no longer names.
    pub(super) fn settle(&mut self, changes: &HashMap<u32, Place>) -> Vec<(u32, u32)> {
        let mut retired = Vec::new();
        for (&page, &place) in changes {
            let old = at(&self.stable, page);
            if old.block != NOWHERE && old != place {
                retired.push((old.block, 1));
            }
            put(&mut self.stable, page, place);
        }
        self.in_cut.clear();
        retired
    }

    /// The whole map as it will be with `changes`.
    pub(super) fn encode_base(&self, changes: &HashMap<u32, Place>, pages: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(pages as usize * ENTRY_BYTES);
        for page in 0..pages {
            encode(changes.get(&page).copied().unwrap_or_else(|| at(&self.stable, page)), &mut out);
        }
        out
    }
}

pub(super) fn encode_delta(changes: &HashMap<u32, Place>) -> Vec<u8> {
    let mut out = Vec::with_capacity(changes.len() * CHANGE_BYTES);
    for (page, place) in changes {
        out.extend_from_slice(&page.to_le_bytes());
        encode(*place, &mut out);
    }
    out
}

fn encode(place: Place, out: &mut Vec<u8>) {
    out.extend_from_slice(&place.block.to_le_bytes());
    out.extend_from_slice(&place.write.to_le_bytes());
}

fn decode(entry: &[u8]) -> Place {
    Place {
        block: u32::from_le_bytes(entry[..4].try_into().expect("four bytes")),
        write: u64::from_le_bytes(entry[4..12].try_into().expect("eight bytes")),
    }
}
