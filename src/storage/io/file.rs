//! Real files in one folder, locked against a second process.
#![allow(unsafe_code)] // posix_fallocate, setpriority

use super::{File, Io};
use crate::error::Error;
use std::fs;
use std::io::Result;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder.
#[derive(Debug)]
pub struct FileIo {
    folder: PathBuf,
    /// Held for its lock, which the kernel drops with the process.
    _lock: fs::File,
}

impl FileIo {
    /// Opens `folder`, creating it when missing, and locks it.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process has it; I/O errors.
    pub fn open(folder: &Path) -> crate::error::Result<FileIo> {
        fs::create_dir_all(folder)?;
        let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(FileIo { folder: folder.to_owned(), _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(Error::Locked),
            Err(fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

impl Io for FileIo {
    fn open(&self, name: &str) -> Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).truncate(false).read(true).write(true).open(self.folder.join(name))?;
        Ok(Arc::new(OsFile(file)))
    }

    fn list(&self) -> Result<Vec<String>> {
        fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn remove(&self, name: &str) -> Result<()> {
        fs::remove_file(self.folder.join(name))
    }

    fn sync_names(&self) -> Result<()> {
        fs::File::open(&self.folder)?.sync_all()
    }
}

struct OsFile(fs::File);

impl File for OsFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => {
                    buf[done..].fill(0);
                    return Ok(());
                }
                Ok(n) => done += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn sync(&self) -> Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn allocate(&self, len: u64) -> Result<()> {
        use std::os::fd::AsRawFd;
        // SAFETY: the descriptor is open for as long as `self.0` lives; posix_fallocate reads no memory of ours.
        let code = unsafe { libc::posix_fallocate(self.0.as_raw_fd(), 0, len as libc::off_t) };
        match code {
            0 => Ok(()),
            libc::EOPNOTSUPP | libc::EINVAL => Ok(()), // a file system without it fails at the write instead
            code => Err(std::io::Error::from_raw_os_error(code)),
        }
    }
}

/// How much less than others the operating system runs a thread that asks for it, as nice(1) counts.
#[cfg(target_os = "linux")]
const NICE: libc::c_int = 10;

/// Lets the operating system prefer other threads to the calling one. Where it does not know threads of one process apart,
/// or refuses, nothing changes.
pub fn lower_priority() {
    #[cfg(target_os = "linux")]
    // SAFETY: the call reads no memory; 0 is the calling thread.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
    }
}
