//! Files in memory, with the faults of a power cut and of a bad disk.
//!
//! Each file keeps a *durable* image and the list of writes since its last sync. [`SimIo::crash`] makes the folder that a
//! power cut might leave: of the unsynced writes any subset survives, in 512-byte sectors; of names created, renamed and
//! removed since the last [`Io::sync_names`] the first few. Faults that tests set: the n-th write or sync from now fails,
//! the disk is full, bits flip.
//!
//! 1. A write that fails may be on the disk in part after a crash, but is not read back.
//! 2. A sync that fails loses some of what it should have made durable for good, and no later sync brings it back
//!    (Rebello et al., ATC 2020): it is read back until the crash.

use super::{File, Io};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;

/// The unit that a disk writes whole.
pub const SECTOR_BYTES: usize = 512;
const BLOCK: usize = 4096;

/// A file's bytes; blocks of zeros take no room, and copies share the others.
#[derive(Clone, Default)]
struct Bytes {
    len: usize,
    blocks: BTreeMap<usize, Arc<[u8; BLOCK]>>,
}

impl Bytes {
    fn write(&mut self, data: &[u8], at: usize) {
        self.len = self.len.max(at + data.len());
        let mut done = 0;
        while done < data.len() {
            let (block, within) = ((at + done) / BLOCK, (at + done) % BLOCK);
            let part = &data[done..data.len().min(done + BLOCK - within)];
            done += part.len();
            if part.len() == BLOCK && part.iter().all(|byte| *byte == 0) {
                self.blocks.remove(&block);
                continue;
            }
            let bytes = self.blocks.entry(block).or_insert_with(|| Arc::new([0; BLOCK]));
            Arc::make_mut(bytes)[within..within + part.len()].copy_from_slice(part);
        }
    }

    fn read(&self, out: &mut [u8], at: usize) {
        let mut done = 0;
        while done < out.len() {
            let (block, within) = ((at + done) / BLOCK, (at + done) % BLOCK);
            let end = out.len().min(done + BLOCK - within);
            let part = &mut out[done..end];
            match self.blocks.get(&block) {
                Some(bytes) => part.copy_from_slice(&bytes[within..within + part.len()]),
                None => part.fill(0),
            }
            done = end;
        }
    }
}

#[derive(Clone, Default)]
struct Image {
    live: Bytes,
    durable: Bytes,
    unsynced: Vec<(usize, Arc<[u8]>)>,
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

/// A change of the folder that is not durable yet.
#[derive(Clone)]
enum NameChange {
    Created(String, Arc<Mutex<Image>>),
    Renamed(String, String),
    Removed(String),
}

type Names = BTreeMap<String, Arc<Mutex<Image>>>;

impl NameChange {
    fn apply(&self, names: &mut Names) {
        match self {
            NameChange::Created(name, image) => {
                names.insert(name.clone(), image.clone());
            }
            NameChange::Renamed(from, to) => {
                if let Some(image) = names.remove(from) {
                    names.insert(to.clone(), image);
                }
            }
            NameChange::Removed(name) => {
                names.remove(name);
            }
        }
    }
}

#[derive(Default)]
struct State {
    files: Names,
    durable_files: Names,
    name_changes: Vec<NameChange>,
    faults: Faults,
    /// Writes and syncs so far.
    operations: u64,
    /// Keep an image of the folder as it was durable after every operation.
    journal: Option<Vec<Snapshot>>,
}

/// A folder as it was at one moment: per file its durable bytes and the unsynced writes.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// The folder after none of the unsynced changes of names, after the first, and so on.
    folders: Vec<BTreeMap<String, usize>>,
    images: Vec<Image>,
}

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

    /// Bytes of all files.
    pub fn used_bytes(&self) -> u64 {
        self.0.lock().used()
    }

    /// The files, and their lengths.
    pub fn files(&self) -> Vec<(String, u64)> {
        self.0.lock().files.iter().map(|(name, image)| (name.clone(), image.lock().live.len as u64)).collect()
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
                let mut byte = [0];
                bytes.read(&mut byte, at);
                byte[0] ^= 1 << (bit % 8);
                if at < bytes.len {
                    bytes.write(&byte, at);
                }
            }
        }
    }
}

impl Snapshot {
    /// A folder with what `keep` lets through; see [`SimIo::crash`].
    pub fn crash(&self, mut keep: impl FnMut() -> bool) -> SimIo {
        let io = SimIo::new();
        let after: Vec<Image> = self.images.iter().map(|image| image.crash(&mut keep)).collect();
        let mut changes = 0;
        while changes + 1 < self.folders.len() && keep() {
            changes += 1;
        }
        let state = &mut *io.0.lock();
        for (name, image) in self.folders.get(changes).into_iter().flatten() {
            state.files.insert(name.clone(), Arc::new(Mutex::new(after[*image].clone())));
        }
        state.durable_files = state.files.clone();
        drop(after);
        io.clone()
    }
}

impl Image {
    fn crash(&self, keep: &mut impl FnMut() -> bool) -> Image {
        let mut bytes = self.durable.clone();
        for (offset, data) in &self.unsynced {
            apply_sectors(&mut bytes, data, *offset, keep);
        }
        Image { live: bytes.clone(), durable: bytes, unsynced: Vec::new() }
    }
}

/// Writes the sectors that `keep` lets through.
fn apply_sectors(bytes: &mut Bytes, data: &[u8], offset: usize, keep: &mut impl FnMut() -> bool) {
    let mut at = 0;
    while at < data.len() {
        let begin = offset + at;
        let len = (SECTOR_BYTES - begin % SECTOR_BYTES).min(data.len() - at);
        if keep() {
            bytes.write(&data[at..at + len], begin);
        }
        at += len;
    }
}

impl State {
    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut known: Vec<*const Mutex<Image>> = Vec::new();
        let mut names = self.durable_files.clone();
        for at in 0..=self.name_changes.len() {
            if at > 0 {
                self.name_changes[at - 1].apply(&mut names);
            }
            let mut folder = BTreeMap::new();
            for (name, image) in &names {
                let number = known.iter().position(|each| *each == Arc::as_ptr(image)).unwrap_or_else(|| {
                    known.push(Arc::as_ptr(image));
                    snapshot.images.push(image.lock().clone());
                    known.len() - 1
                });
                folder.insert(name.clone(), number);
            }
            snapshot.folders.push(folder);
        }
        snapshot
    }

    fn before_operation(&mut self) {
        self.operations += 1;
        if self.journal.is_some() {
            let snapshot = self.snapshot();
            self.journal.get_or_insert_default().push(snapshot);
        }
    }

    fn used(&self) -> u64 {
        self.files.values().map(|image| image.lock().live.len as u64).sum()
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.files);
        self.name_changes.push(change);
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
        let state = &mut *self.0.lock();
        let image = match state.files.get(name) {
            Some(image) => image.clone(),
            None => {
                let image = Arc::<Mutex<Image>>::default();
                state.change_names(NameChange::Created(name.to_owned(), image.clone()));
                image
            }
        };
        Ok(Arc::new(SimFile { image, folder: self.clone() }))
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(self.0.lock().files.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let state = &mut *self.0.lock();
        if !state.files.contains_key(from) {
            return Err(ErrorKind::NotFound.into());
        }
        state.change_names(NameChange::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let state = &mut *self.0.lock();
        if !state.files.contains_key(name) {
            return Err(ErrorKind::NotFound.into());
        }
        state.change_names(NameChange::Removed(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> Result<()> {
        let state = &mut *self.0.lock();
        state.before_operation();
        spend(&mut state.faults.syncs_left, "sync")?;
        state.name_changes.clear();
        state.durable_files = state.files.clone();
        Ok(())
    }
}

struct SimFile {
    image: Arc<Mutex<Image>>,
    folder: SimIo,
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.image.lock().live.read(buf, offset as usize);
        Ok(())
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        let mut state = self.folder.0.lock();
        state.before_operation();
        if let Some(capacity) = state.faults.capacity_bytes {
            let grown = (offset + buf.len() as u64).saturating_sub(self.image.lock().live.len as u64);
            if grown > 0 && state.used() + grown > capacity {
                return Err(ErrorKind::StorageFull.into());
            }
        }
        let allowed = spend(&mut state.faults.writes_left, "write");
        let image = &mut *self.image.lock();
        image.unsynced.push((offset as usize, buf.into()));
        allowed?;
        image.live.write(buf, offset as usize);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.folder.0.lock();
        state.before_operation();
        let allowed = spend(&mut state.faults.syncs_left, "sync");
        let image = &mut *self.image.lock();
        if allowed.is_ok() {
            image.durable.len = image.live.len;
        }
        let mut coin = state.operations;
        for (offset, data) in std::mem::take(&mut image.unsynced) {
            let mut keep = || {
                coin = coin.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                coin >> 63 == 0
            };
            match &allowed {
                Ok(()) => image.durable.write(&data, offset),
                Err(_) => apply_sectors(&mut image.durable, &data, offset, &mut keep),
            }
        }
        allowed
    }

    fn len(&self) -> Result<u64> {
        Ok(self.image.lock().live.len as u64)
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let state = self.folder.0.lock();
        let have = self.image.lock().live.len as u64;
        match state.faults.capacity_bytes {
            Some(capacity) if have < len && state.used() + (len - have) > capacity => {
                Err(ErrorKind::StorageFull.into())
            }
            _ => {
                let mut image = self.image.lock();
                image.live.len = image.live.len.max(len as usize);
                Ok(())
            }
        }
    }
}
