//! Reading the log back: records in order, and where it ends.

use super::{
    BLOCK_BYTES, HEADER_BYTES, PAYLOAD_BYTES, RECORD_HEADER_BYTES, SEGMENT_BYTES, segment_name, segment_number,
};
use crate::error::{Error, Result};
use crate::io::{File, Io};
use crate::types::Position;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// End of the last valid block; appending goes on behind it.
    pub end: Position,
    /// The highest incarnation met.
    pub incarnation: u32,
}

struct Header {
    incarnation: u32,
    durable: u64,
    used: usize,
}

struct Blocks {
    files: BTreeMap<u64, Arc<dyn File>>,
    chunk: Vec<u8>,
    /// Position of `chunk`; chunks are read 1 MiB at a time.
    chunk_at: Option<u64>,
}

const CHUNK_BYTES: u64 = 1 << 20;

impl Blocks {
    fn open(io: &dyn Io) -> Result<Blocks> {
        let mut files = BTreeMap::new();
        for name in io.list()? {
            if let Some(number) = segment_number(&name) {
                files.insert(number, io.open(&segment_name(number))?);
            }
        }
        Ok(Blocks { files, chunk: vec![0; CHUNK_BYTES as usize], chunk_at: None })
    }

    /// The block at `position`; `None` when there is no file for it.
    fn get(&mut self, position: u64) -> Result<Option<&[u8]>> {
        let chunk_at = position / CHUNK_BYTES * CHUNK_BYTES;
        if self.chunk_at != Some(chunk_at) {
            let Some(file) = self.files.get(&(chunk_at / SEGMENT_BYTES)) else { return Ok(None) };
            file.read_at(&mut self.chunk, chunk_at % SEGMENT_BYTES)?;
            self.chunk_at = Some(chunk_at);
        }
        let at = (position - chunk_at) as usize;
        Ok(Some(&self.chunk[at..at + BLOCK_BYTES]))
    }
}

/// The header of the block at `position` if it is valid and not older than `incarnation`.
fn check(block: &[u8], position: u64, incarnation: u32) -> Option<Header> {
    let u32_at = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().expect("four bytes"));
    let u64_at = |at: usize| u64::from_le_bytes(block[at..at + 8].try_into().expect("eight bytes"));
    let used = u16::from_le_bytes([block[24], block[25]]) as usize;
    let valid = u64_at(8) == position
        && u32_at(4) >= incarnation
        && used <= PAYLOAD_BYTES
        && u32_at(0) == crc32c::crc32c(&block[4..]);
    valid.then(|| Header { incarnation: u32_at(4), durable: u64_at(16), used })
}

/// The log has a file for `position`, which a checkpoint names; between two files the next one may not be there yet.
///
/// # Errors
/// [`Error::Corrupt`] names the file that is missing.
pub fn expect_file(io: &dyn Io, position: Position) -> Result<()> {
    let name = segment_name(position.0 / SEGMENT_BYTES);
    if position.0.is_multiple_of(SEGMENT_BYTES) || io.list()?.contains(&name) {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "the log file {name} is missing: the newest checkpoint is at position {} in it",
        position.0
    )))
}

/// Calls `each` with every whole record that ends after `from`, in order, and its position. Blocks older than `since`, the
/// incarnation in which the log had come to `from`, are the rest of a flush that did not happen: the log ends before them.
///
/// # Errors
/// [`Error::Corrupt`] when a block that was durable is not valid: recovery must not go on. What `each` returns.
pub fn read(
    io: &dyn Io,
    from: Position,
    since: u32,
    mut each: impl FnMut(Position, &[u8]) -> Result<()>,
) -> Result<Tail> {
    let mut blocks = Blocks::open(io)?;
    // The record that ends just after `from` may begin in the block before: flushes begin on blocks, records need not.
    let mut position = from.0 / BLOCK_BYTES as u64 * BLOCK_BYTES as u64;
    let mut incarnation = since;
    let mut records = Records { from, partial: Vec::new(), skip: (from.0 - position) as usize };
    loop {
        let Some(block) = blocks.get(position)? else { break };
        let Some(header) = check(block, position, incarnation) else { break };
        if header.incarnation > incarnation {
            records.partial.clear();
            incarnation = header.incarnation;
        }
        let payload = block[HEADER_BYTES..HEADER_BYTES + header.used].to_vec();
        records.take(position + HEADER_BYTES as u64, &payload, &mut each)?;
        position += BLOCK_BYTES as u64;
    }
    find_damage(&mut blocks, position, incarnation)?;
    Ok(Tail { end: Position(position), incarnation })
}

/// Rule 2: a later valid block that knew of a durable position beyond `end` proves that the block at `end` was there.
fn find_damage(blocks: &mut Blocks, end: u64, incarnation: u32) -> Result<()> {
    let limit = (blocks.files.keys().next_back().map_or(0, |last| last + 1)) * SEGMENT_BYTES;
    let mut position = end + BLOCK_BYTES as u64;
    while position < limit {
        match blocks.get(position)? {
            Some(block) => {
                if let Some(later) = check(block, position, incarnation)
                    && later.durable > end
                {
                    return Err(Error::corrupt(format!(
                        "the log is damaged at position {end}: a later block at {position} proves that it was durable"
                    )));
                }
                position += BLOCK_BYTES as u64;
            }
            None => position = (position / SEGMENT_BYTES + 1) * SEGMENT_BYTES,
        }
    }
    Ok(())
}

/// Puts records together from payloads.
struct Records {
    from: Position,
    partial: Vec<u8>,
    /// Bytes of the first block that lie before `from`.
    skip: usize,
}

impl Records {
    /// `at` is the position of the first payload byte.
    fn take(&mut self, at: u64, payload: &[u8], each: &mut impl FnMut(Position, &[u8]) -> Result<()>) -> Result<()> {
        let skip = std::mem::take(&mut self.skip).saturating_sub(HEADER_BYTES).min(payload.len());
        let mut offset = skip;
        while offset < payload.len() {
            let need = match self.partial.first_chunk::<4>() {
                Some(len) => RECORD_HEADER_BYTES + u32::from_le_bytes(*len) as usize,
                None => 4,
            };
            let len = (need - self.partial.len()).min(payload.len() - offset);
            self.partial.extend_from_slice(&payload[offset..offset + len]);
            offset += len;
            if self.partial.len() < RECORD_HEADER_BYTES {
                continue;
            }
            let body_len = u32::from_le_bytes(self.partial[..4].try_into().expect("four bytes")) as usize;
            if self.partial.len() < RECORD_HEADER_BYTES + body_len {
                continue;
            }
            let position = Position(at + offset as u64);
            let (header, body) = self.partial.split_at(RECORD_HEADER_BYTES);
            if u32::from_le_bytes(header[4..8].try_into().expect("four bytes")) != crc32c::crc32c(body) {
                return Err(Error::corrupt(format!("the log record that ends at position {} is damaged", position.0)));
            }
            if position > self.from {
                each(position, body)?;
            }
            self.partial.clear();
        }
        Ok(())
    }
}
