//! Free blocks of the data file, as runs; the file grows in steps when there are none. A part of them is kept back for what
//! must not fail on a full disk, or frees room on it.

use super::Draw;
use crate::error::Result;
use crate::io::File;
use crate::types::PAGE_SIZE;
use std::collections::BTreeMap;

/// The file grows by an eighth of itself, at least by this.
const GROWTH_BLOCKS_MIN: u64 = 64;
const GROWTH_BLOCKS_MAX: u64 = 8192;
/// A 64th of the file is kept back, within these bounds.
const RESERVE_BLOCKS: std::ops::RangeInclusive<u64> = 32..=1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Allocator {
    /// First block and length of each free run.
    free: BTreeMap<u32, u32>,
    free_blocks: u64,
    total: u64,
}

impl Allocator {
    /// All blocks of a file of `len` bytes free.
    pub(super) fn new(len: u64) -> Allocator {
        let total = len / PAGE_SIZE as u64;
        Allocator { free: BTreeMap::from([(0, total as u32)]), free_blocks: total, total }
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn free_blocks(&self) -> u64 {
        self.free_blocks
    }

    /// Marks blocks as used; ones beyond the end grow the file on paper.
    pub(super) fn take(&mut self, place: u32, blocks: u32) {
        let end = u64::from(place) + u64::from(blocks);
        if end > self.total {
            let (from, more) = (self.total as u32, (end - self.total) as u32);
            self.total = end;
            self.free(from, more);
        }
        let Some((&start, &len)) = self.free.range(..=place).next_back() else { return };
        if u64::from(start) + u64::from(len) < end {
            return; // already taken, in part at least: an extent that two records name
        }
        self.free.remove(&start);
        self.free_blocks -= u64::from(blocks);
        if start < place {
            self.free.insert(start, place - start);
        }
        let rest = (u64::from(start) + u64::from(len) - end) as u32;
        if rest > 0 {
            self.free.insert(end as u32, rest);
        }
    }

    /// The first run of `blocks` free blocks, growing the file for it if need be.
    pub(super) fn allocate(&mut self, blocks: u32, draw: Draw, file: &dyn File) -> Result<u32> {
        loop {
            let reserve = (self.total / 64).clamp(*RESERVE_BLOCKS.start(), *RESERVE_BLOCKS.end());
            let kept = reserve * draw.eighths_kept() / 8;
            let wanted = u64::from(blocks) + kept;
            let found = self.free.iter().find(|(_, len)| **len >= blocks).map(|(start, _)| *start);
            if let Some(place) = found.filter(|_| self.free_blocks >= wanted) {
                self.take(place, blocks);
                return Ok(place);
            }
            let needed =
                wanted.saturating_sub(self.free_blocks).max(if found.is_none() { u64::from(blocks) } else { 1 });
            let step = (self.total / 8).clamp(GROWTH_BLOCKS_MIN, GROWTH_BLOCKS_MAX).max(needed);
            let grown = match file.allocate((self.total + step) * PAGE_SIZE as u64) {
                Ok(()) => step,
                // Not the whole step, perhaps what is needed.
                Err(_) => {
                    file.allocate((self.total + needed) * PAGE_SIZE as u64)?;
                    needed
                }
            };
            let from = self.total as u32;
            self.total += grown;
            self.free(from, grown as u32);
        }
    }

    /// Gives blocks back.
    pub(super) fn free(&mut self, place: u32, blocks: u32) {
        self.free_blocks += u64::from(blocks);
        let (mut start, mut len) = (place, blocks);
        if let Some((&before, &before_len)) = self.free.range(..place).next_back() {
            debug_assert!(before + before_len <= place, "block {place} is freed twice");
            if before + before_len == place {
                self.free.remove(&before);
                (start, len) = (before, len + before_len);
            }
        }
        if let Some(next_len) = self.free.remove(&(place + blocks)) {
            len += next_len;
        }
        self.free.insert(start, len);
    }
}
