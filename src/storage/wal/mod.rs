//! The log: the serial history of committed transactions, in 4 KiB blocks that are never written twice.
//!
//! ```text
//! OFFSET  SIZE  FIELD (block header, little endian)
//! 0       4     crc32c of the other 4,092 bytes
//! 4       4     incarnation: raised durably at each open of the database
//! 8       8     position: this block's own byte position in the log
//! 16      8     durable: the position known to be durable when this block was written
//! 24      2     used: payload bytes in this block; a flush ends by leaving the rest unused
//! 26      14    zero (nonce and tag of a sealed log lie in an extent of their own)
//! 40      4056  payload
//!
//! record := u32 length · u32 crc32c of body · body      (may run over blocks of one flush)
//! ```
//! A [`Position`] is a byte position in the log, headers included; a record's position is that of its end, and a commit's
//! position is its timestamp. The log lies in files of [`SEGMENT_BYTES`], written with zeros ahead of use and recycled by
//! renaming; a recycled block is told by its position.
//!
//! 1. A record lies within one flush; it counts only whole.
//! 2. Reading stops at the first block that is not valid: wrong checksum, wrong position, or an incarnation lower than the
//!    one before, the first one's being that of the checkpoint from which reading begins. That is a *torn tail* unless a later valid block says that it was durable: then it is damage, and an error.
//!    The last flush before a crash has no later block: a bit of it that flips after its sync makes it look torn, and its
//!    commits are lost without a word. No format closes this: that a sync has returned shows on the disk only in what is
//!    written later, and the last thing written is proven by nothing. A checkpoint, so a clean stop too, names its position
//!    in the superblock, which lies elsewhere.
//! 3. After a failed sync nothing is appended until restart (Rebello et al., ATC 2020).
//! 4. Opening empties the block in which it begins to append. A torn flush may have left sectors there that, with some of the
//!    next flush's in the place of others, are the older block whole: transactions that a recovery has not found would be
//!    back after the next one.

mod reader;
#[cfg(test)]
mod tests;

pub use reader::{Tail, expect_file, read};

use crate::error::{Error, Result};
use crate::io::{File, Io};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::sync::{Notifier, Waiter};
use crate::types::Position;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A block.
pub const BLOCK_BYTES: usize = 4096;
const HEADER_BYTES: usize = 40;
const PAYLOAD_BYTES: usize = BLOCK_BYTES - HEADER_BYTES;
const RECORD_HEADER_BYTES: usize = 8;
/// A log file.
pub const SEGMENT_BYTES: u64 = 16 << 20;

fn segment_name(number: u64) -> String {
    format!("log-{number:010x}")
}

fn segment_number(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix("log-")?, 16).ok()
}

/// What one [`Log::step`] did.
#[derive(Debug)]
pub enum LogStep {
    /// Wrote and synced; durable up to here.
    Flushed(Position),
    /// Nothing to write; the waiter becomes ready when there is.
    Idle(Waiter),
}

/// Room in the log that was made sure of before a commit began. Given back when dropped unused.
#[derive(Debug)]
pub struct Reservation<'a> {
    log: &'a Log,
    bytes: u64,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.log.reserved.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// Records appended and not yet written, laid out in blocks.
struct Pending {
    /// Position of the first byte of `blocks`; a multiple of the block size.
    start: u64,
    /// Whole blocks but for the last; headers still zero.
    blocks: Vec<u8>,
}

struct Segments {
    files: BTreeMap<u64, Arc<dyn File>>,
    /// First position without a file.
    allocated: u64,
}

/// The log.
pub struct Log {
    io: Arc<dyn Io>,
    incarnation: u32,
    pending: Mutex<Pending>,
    segments: Mutex<Segments>,
    /// One flush at a time.
    flush: Mutex<Vec<u8>>,
    durable: AtomicU64,
    reserved: AtomicU64,
    poisoned: AtomicBool,
    waiting: Mutex<Vec<(u64, Notifier)>>,
    idle: Mutex<Vec<Notifier>>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("durable", &self.durable()).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the log to append behind `tail` as `incarnation`, which must be durably recorded already. What recovery has read
    /// is durable afterwards, and the block behind it empty (rule 4).
    ///
    /// # Errors
    /// [`Error::Full`] when there is no room for the first file.
    pub fn open(io: Arc<dyn Io>, incarnation: u32, tail: Position) -> Result<Log> {
        let start = tail.0.next_multiple_of(BLOCK_BYTES as u64);
        let mut files = BTreeMap::new();
        for name in io.list()? {
            if let Some(number) = segment_number(&name) {
                files.insert(number, io.open(&name)?);
            }
        }
        let mut next = start / SEGMENT_BYTES;
        while files.contains_key(&next) {
            next += 1;
        }
        let log = Log {
            io,
            incarnation,
            pending: Mutex::new(Pending { start, blocks: Vec::new() }),
            segments: Mutex::new(Segments { files, allocated: next * SEGMENT_BYTES }),
            flush: Mutex::new(Vec::new()),
            durable: AtomicU64::new(start),
            reserved: AtomicU64::new(0),
            poisoned: AtomicBool::new(false),
            waiting: Mutex::new(Vec::new()),
            idle: Mutex::new(Vec::new()),
        };
        log.allocate_up_to(start + 1)?;
        log.segment(start / SEGMENT_BYTES)?.write_at(&[0; BLOCK_BYTES], start % SEGMENT_BYTES)?;
        let segments = log.segments.lock();
        segments.files.range(..=start / SEGMENT_BYTES).try_for_each(|(_, file)| file.sync())?;
        drop(segments);
        Ok(log)
    }

    /// Everything up to here survives a power cut.
    pub fn durable(&self) -> Position {
        Position(self.durable.load(Ordering::Acquire))
    }

    /// Where the next record will begin.
    pub fn next(&self) -> Position {
        let pending = self.pending.lock();
        Position(pending.start + pending.blocks.len() as u64)
    }

    /// Makes sure that a record of `bytes` can be written, before anything depends on it.
    ///
    /// # Errors
    /// [`Error::Full`]: nothing has been written. [`Error::Poisoned`] after a failed sync.
    pub fn reserve(&self, bytes: usize) -> Result<Reservation<'_>> {
        self.check_poisoned()?;
        let payload = bytes + RECORD_HEADER_BYTES;
        // Its own blocks, one that it shares, one lost to the end of a flush before it.
        let bytes = ((payload.div_ceil(PAYLOAD_BYTES) + 2) * BLOCK_BYTES) as u64;
        let reserved = self.reserved.fetch_add(bytes, Ordering::AcqRel) + bytes;
        let reservation = Reservation { log: self, bytes };
        let end = self.next().0.next_multiple_of(BLOCK_BYTES as u64) + reserved;
        self.allocate_up_to(end)?;
        Ok(reservation)
    }

    /// Appends a record and gives its end. It is durable once [`Log::durable`] has reached that.
    ///
    /// `under` runs inside the append section with the record's position: what must happen in log order happens there.
    pub fn append<T>(&self, _room: Reservation<'_>, body: &[u8], under: impl FnOnce(Position) -> T) -> (Position, T) {
        let mut pending = self.pending.lock();
        let (position, result) = pending.push(body, under);
        drop(pending);
        let idle = std::mem::take(&mut *self.idle.lock());
        idle.iter().for_each(Notifier::notify);
        (position, result)
    }

    /// A waiter for `position` to be durable; `None` when it is.
    ///
    /// # Errors
    /// [`Error::Poisoned`]: it never will be.
    pub fn wait(&self, position: Position) -> Result<Option<Waiter>> {
        if self.durable() >= position {
            return Ok(None);
        }
        let waiter = Waiter::new();
        {
            let mut waiting = self.waiting.lock();
            self.check_poisoned()?;
            if self.durable() >= position {
                return Ok(None);
            }
            waiting.push((position.0, waiter.downgrade()));
        }
        Ok(Some(waiter))
    }

    /// Writes and syncs all that is appended, and wakes those who wait for it. One caller at a time does the work.
    ///
    /// # Errors
    /// The first failure is returned as it is and poisons the log; later calls give [`Error::Poisoned`].
    pub fn step(&self) -> Result<LogStep> {
        let mut flushing = self.flush.lock();
        self.check_poisoned()?;
        let start = {
            let mut pending = self.pending.lock();
            if pending.blocks.is_empty() {
                let waiter = Waiter::new();
                self.idle.lock().push(waiter.downgrade());
                return Ok(LogStep::Idle(waiter));
            }
            pending.take(&mut flushing)
        };
        match self.write(start, &mut flushing) {
            Ok(()) => {
                let end = start + flushing.len() as u64;
                self.durable.store(end, Ordering::Release);
                self.wake(end);
                flushing.clear();
                let _ = self.allocate_up_to(end + SEGMENT_BYTES / 2); // no room ahead is no error yet
                Ok(LogStep::Flushed(Position(end)))
            }
            Err(error) => {
                self.poison();
                Err(error)
            }
        }
    }

    /// Flushes until `position` is durable.
    ///
    /// # Errors
    /// As [`Log::step`].
    pub fn flush(&self, position: Position) -> Result<()> {
        while self.durable() < position {
            if let LogStep::Idle(_) = self.step()? {
                break;
            }
        }
        Ok(())
    }

    /// Lets go of what lies wholly before `position`: no recovery will read it.
    pub fn release(&self, position: Position) -> Result<()> {
        let mut segments = self.segments.lock();
        let keep = position.0 / SEGMENT_BYTES;
        let old: Vec<u64> = segments.files.range(..keep).map(|(number, _)| *number).collect();
        let mut renamed = false;
        for number in old {
            let ahead = segments.allocated / SEGMENT_BYTES;
            // One spare ahead is enough; the rest is given back to the file system.
            if segments.allocated < self.next().0 + SEGMENT_BYTES {
                self.io.rename(&segment_name(number), &segment_name(ahead))?;
                renamed = true;
                if let Some(file) = segments.files.remove(&number) {
                    segments.files.insert(ahead, file);
                    segments.allocated += SEGMENT_BYTES;
                }
            } else {
                self.io.remove(&segment_name(number))?;
                segments.files.remove(&number);
            }
        }
        if renamed {
            // Before anything is written under the new name: a sync of the file does not make that durable.
            self.io.sync_names().inspect_err(|_| self.poison())?;
        }
        Ok(())
    }

    /// Whether a sync has failed.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    fn check_poisoned(&self) -> Result<()> {
        if self.is_poisoned() { Err(Error::Poisoned) } else { Ok(()) }
    }

    fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
        self.wake(u64::MAX);
    }

    fn wake(&self, durable: u64) {
        let mut waiting = self.waiting.lock();
        waiting.retain(|(position, waiter)| {
            if *position <= durable {
                waiter.notify();
            }
            *position > durable && !waiter.is_dead()
        });
    }

    fn write(&self, start: u64, blocks: &mut [u8]) -> Result<()> {
        let durable = self.durable().0;
        for (i, block) in blocks.chunks_exact_mut(BLOCK_BYTES).enumerate() {
            block[4..8].copy_from_slice(&self.incarnation.to_le_bytes());
            block[8..16].copy_from_slice(&(start + (i * BLOCK_BYTES) as u64).to_le_bytes());
            block[16..24].copy_from_slice(&durable.to_le_bytes());
            let crc = crc32c::crc32c(&block[4..]);
            block[..4].copy_from_slice(&crc.to_le_bytes());
        }
        let mut at = start;
        let mut rest = &*blocks;
        let mut touched = Vec::new();
        while !rest.is_empty() {
            let file = self.segment(at / SEGMENT_BYTES)?;
            let len = rest.len().min((SEGMENT_BYTES - at % SEGMENT_BYTES) as usize);
            file.write_at(&rest[..len], at % SEGMENT_BYTES)?;
            touched.push(file);
            at += len as u64;
            rest = &rest[len..];
        }
        touched.iter().try_for_each(|file| file.sync().map_err(Error::from))
    }

    fn segment(&self, number: u64) -> Result<Arc<dyn File>> {
        let segments = self.segments.lock();
        segments.files.get(&number).cloned().ok_or_else(|| Error::corrupt("a log file is missing"))
    }

    fn allocate_up_to(&self, end: u64) -> Result<()> {
        let mut segments = self.segments.lock();
        while segments.allocated < end {
            let number = segments.allocated / SEGMENT_BYTES;
            let file = self.create_segment(number, &segments)?;
            segments.files.insert(number, file);
            segments.allocated += SEGMENT_BYTES;
        }
        Ok(())
    }

    /// A file of zeros: a log that grows while it is synced costs three times as much per sync.
    fn create_segment(&self, number: u64, _held: &MutexGuard<'_, Segments>) -> Result<Arc<dyn File>> {
        let name = segment_name(number);
        let file = self.io.open(&name)?;
        let fill = || -> Result<()> {
            file.allocate(SEGMENT_BYTES)?;
            let zeros = vec![0u8; 1 << 20];
            for at in (0..SEGMENT_BYTES).step_by(zeros.len()) {
                file.write_at(&zeros, at)?;
            }
            file.sync()?;
            Ok(self.io.sync_names()?)
        };
        if let Err(error) = fill() {
            let _ = self.io.remove(&name);
            return Err(error);
        }
        Ok(file)
    }
}

impl Pending {
    fn push<T>(&mut self, body: &[u8], under: impl FnOnce(Position) -> T) -> (Position, T) {
        let mut header = [0u8; RECORD_HEADER_BYTES];
        header[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
        header[4..].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
        self.put(&header);
        self.put(body);
        let position = Position(self.start + self.blocks.len() as u64);
        let result = under(position);
        (position, result)
    }

    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let within = self.blocks.len() % BLOCK_BYTES;
            if within == 0 {
                self.blocks.resize(self.blocks.len() + HEADER_BYTES, 0);
                continue;
            }
            let len = bytes.len().min(BLOCK_BYTES - within);
            self.blocks.extend_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
        }
    }

    /// Moves the blocks to `into`, the last one padded, and says where they begin.
    fn take(&mut self, into: &mut Vec<u8>) -> u64 {
        into.clear();
        std::mem::swap(&mut self.blocks, into);
        let start = self.start;
        let whole = into.len().next_multiple_of(BLOCK_BYTES);
        for block in into.chunks_mut(BLOCK_BYTES) {
            let used = (block.len() - HEADER_BYTES) as u16;
            block[24..26].copy_from_slice(&used.to_le_bytes());
        }
        into.resize(whole, 0);
        self.start += whole as u64;
        start
    }
}
