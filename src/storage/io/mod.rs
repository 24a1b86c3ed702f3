//! The seam to the outside: files, and the clock. Everything that reaches a disk goes through [`Io`].
//!
//! Three implementations: [`mod@file`] (real files), [`sim`] (memory, with the faults of a power cut and of a bad disk), and
//! plain memory, which is `sim` without faults.

pub mod file;
pub mod sim;

use std::io::Result;
use std::sync::Arc;

/// A flat folder of files.
pub trait Io: Send + Sync {
    /// Opens a file for reading and writing, creating it when missing.
    fn open(&self, name: &str) -> Result<Arc<dyn File>>;
    /// Names of the files.
    fn list(&self) -> Result<Vec<String>>;
    /// Renames a file over whatever has the name.
    fn rename(&self, from: &str, to: &str) -> Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> Result<()>;
    /// Makes created, renamed and removed names durable.
    fn sync_names(&self) -> Result<()>;
}

#[allow(clippy::len_without_is_empty)] // nobody asks
/// A file. Positions and lengths in bytes.
pub trait File: Send + Sync {
    /// Fills `buf` from `offset`; bytes beyond the end read as zeros.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;
    /// Writes all of `buf` at `offset`, growing the file.
    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()>;
    /// Makes what has been written durable. After an error nothing is known of earlier writes, and no retry tells.
    fn sync(&self) -> Result<()>;
    /// The length.
    fn len(&self) -> Result<u64>;
    /// Reserves room up to `len` bytes, so that later writes below it do not fail for lack of space.
    fn allocate(&self, len: u64) -> Result<()>;
}

/// Wall clock time.
pub trait Clock: Send + Sync {
    /// Microseconds since 1970-01-01 UTC.
    fn now_us(&self) -> i64;
}

/// The system's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_us(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |d| d.as_micros() as i64)
    }
}
