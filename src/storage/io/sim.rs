//! Files in memory, with the faults of a power cut and of a bad disk.
//!
//! Each file keeps a *durable* image and the list of writes since its last sync. [`SimIo::crash`] makes the folder that a
//! power cut might leave: of the unsynced writes any subset survives, in 512-byte sectors. Faults that tests set:
//! the n-th write or sync from now fails, the disk is full, bits flip.

use super::{File, Io};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;

/// The unit that a disk writes whole.
pub const SECTOR_BYTES: usize = 512;

#[derive(Clone, Default)]
struct Image {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<(u64, Vec<u8>)>,
}

/// What is to go wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// This many more writes succeed.
    pub writes_left: Option<u64>,
    /// This many more syncs succeed.
    pub syncs_left: Option<u64>,
    /// The folder holds at most this many bytes.
    pub capacity_bytes: Option<u64>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Arc<Mutex<Image>>>,
    faults: Faults,
    /// Writes and syncs so far.
    operations: u64,
    /// Keep an image of the folder as it was durable after every operation.
    journal: Option<Vec<Snapshot>>,
}

/// A folder as it was at one moment: per file its durable bytes and the unsynced writes.
#[derive(Clone, Default)]
pub struct Snapshot(BTreeMap<String, Image>);

/// A folder in memory. Clones share it.
#[derive(Clone, Default)]
pub struct SimIo(Arc<Mutex<State>>);

impl SimIo {
    /// An empty folder.
    pub fn new() -> SimIo {
        SimIo::default()
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.0.lock().faults = faults;
    }

    /// Writes and syncs so far.
    pub fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// From now on keeps a [`Snapshot`] before every write and sync.
    pub fn record(&self) {
        self.0.lock().journal = Some(Vec::new());
    }

    /// The snapshots kept since [`SimIo::record`].
    pub fn recorded(&self) -> Vec<Snapshot> {
        self.0.lock().journal.take().unwrap_or_default()
    }

    /// The folder as it is.
    pub fn snapshot(&self) -> Snapshot {
        self.0.lock().snapshot()
    }

    /// What a power cut leaves now. `keep` says of every sector of every unsynced write, in order, whether it got to the disk.
    pub fn crash(&self, keep: impl FnMut() -> bool) -> SimIo {
        self.snapshot().crash(keep)
    }

    /// Flips one bit of a file, durable and live.
    pub fn flip(&self, name: &str, bit: u64) {
        if let Some(image) = self.0.lock().files.get(name) {
            let image = &mut *image.lock();
            let at = (bit / 8) as usize;
            for bytes in [&mut image.live, &mut image.durable] {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (bit % 8);
                }
            }
        }
    }
}

impl Snapshot {
    /// A folder with what `keep` lets through; see [`SimIo::crash`].
    pub fn crash(&self, mut keep: impl FnMut() -> bool) -> SimIo {
        let io = SimIo::new();
        for (name, image) in &self.0 {
            let mut bytes = image.durable.clone();
            for (offset, data) in &image.unsynced {
                let mut at = 0;
                while at < data.len() {
                    let begin = *offset as usize + at;
                    let len = (SECTOR_BYTES - begin % SECTOR_BYTES).min(data.len() - at);
                    if keep() {
                        write(&mut bytes, &data[at..at + len], begin);
                    }
                    at += len;
                }
            }
            let image = Image { live: bytes.clone(), durable: bytes, unsynced: Vec::new() };
            io.0.lock().files.insert(name.clone(), Arc::new(Mutex::new(image)));
        }
        io
    }
}

fn write(bytes: &mut Vec<u8>, data: &[u8], at: usize) {
    if bytes.len() < at + data.len() {
        bytes.resize(at + data.len(), 0);
    }
    bytes[at..at + data.len()].copy_from_slice(data);
}

impl State {
    fn snapshot(&self) -> Snapshot {
        Snapshot(self.files.iter().map(|(name, image)| (name.clone(), image.lock().clone())).collect())
    }

    fn before_operation(&mut self) {
        self.operations += 1;
        if self.journal.is_some() {
            let snapshot = self.snapshot();
            self.journal.get_or_insert_default().push(snapshot);
        }
    }

    fn used(&self) -> u64 {
        self.files.values().map(|image| image.lock().live.len() as u64).sum()
    }
}

fn spend(left: &mut Option<u64>, what: &str) -> Result<()> {
    match left {
        Some(0) => Err(Error::other(format!("injected {what} failure"))),
        Some(n) => {
            *n -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

impl Io for SimIo {
    fn open(&self, name: &str) -> Result<Arc<dyn File>> {
        let image = self.0.lock().files.entry(name.to_owned()).or_default().clone();
        Ok(Arc::new(SimFile { image, folder: self.clone() }))
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(self.0.lock().files.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut state = self.0.lock();
        let image = state.files.remove(from).ok_or(ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), image);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.0.lock().files.remove(name).map(|_| ()).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> Result<()> {
        Ok(())
    }
}

struct SimFile {
    image: Arc<Mutex<Image>>,
    folder: SimIo,
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let image = self.image.lock();
        let start = (offset as usize).min(image.live.len());
        let have = (image.live.len() - start).min(buf.len());
        buf[..have].copy_from_slice(&image.live[start..start + have]);
        buf[have..].fill(0);
        Ok(())
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        let mut state = self.folder.0.lock();
        state.before_operation();
        spend(&mut state.faults.writes_left, "write")?;
        if let Some(capacity) = state.faults.capacity_bytes {
            let grown = (offset + buf.len() as u64).saturating_sub(self.image.lock().live.len() as u64);
            if state.used() + grown > capacity {
                return Err(ErrorKind::StorageFull.into());
            }
        }
        let image = &mut *self.image.lock();
        write(&mut image.live, buf, offset as usize);
        image.unsynced.push((offset, buf.to_vec()));
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.folder.0.lock();
        state.before_operation();
        spend(&mut state.faults.syncs_left, "sync")?;
        let image = &mut *self.image.lock();
        let writes = std::mem::take(&mut image.unsynced);
        for (offset, data) in writes {
            write(&mut image.durable, &data, offset as usize);
        }
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.image.lock().live.len() as u64)
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let state = self.folder.0.lock();
        let have = self.image.lock().live.len() as u64;
        match state.faults.capacity_bytes {
            Some(capacity) if state.used() + len.saturating_sub(have) > capacity => Err(ErrorKind::StorageFull.into()),
            _ => {
                drop(state);
                let mut image = self.image.lock();
                if have < len {
                    image.live.resize(len as usize, 0);
                }
                Ok(())
            }
        }
    }
}
