//! DataFusion's temporary files: nameless ones in the session's folder, which count there with those of the row road.

use crate::executor::spill::{Folder, Temporary};
use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::spill_file::{SpillFile, SpillWriter, TempFileFactory};
use futures_util::Stream;
use futures_util::stream::try_unfold;
use parking_lot::Mutex;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;

/// Read at a time.
const CHUNK_BYTES: usize = 128 * 1024;

/// Makes them in one folder, but none for batches on their way between partitions: with two tasks that write there each waits for
/// the other (apache/datafusion#24883, in DataFusion 55). The row road takes over, as wherever memory is short.
pub(super) struct Files(pub(super) Folder);

/// What such a file is asked for by.
const BETWEEN_PARTITIONS: &str = "SpillPool";

impl TempFileFactory for Files {
    fn create_temp_file(&self, purpose: &str) -> Result<Arc<dyn SpillFile>> {
        if purpose == BETWEEN_PARTITIONS {
            return Err(DataFusionError::ResourcesExhausted("out of memory between partitions".to_owned()));
        }
        let file = Temporary::create(&self.0).map_err(super::error::external)?;
        Ok(Arc::new(Shared(Arc::new(Mutex::new(file)))))
    }
}

/// A file that is read while it is written.
#[derive(Clone)]
struct Shared(Arc<Mutex<Temporary>>);

impl SpillFile for Shared {
    fn size(&self) -> Option<u64> {
        Some(self.0.lock().size_bytes())
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let file = self.clone();
        Ok(Box::pin(try_unfold(0, move |at| {
            let file = file.clone();
            async move {
                // A long merge reads nothing else: here other statements get their turn, and the end of its own is seen.
                tokio::task::coop::consume_budget().await;
                let chunk = file.0.lock().read_at(at, CHUNK_BYTES).map_err(DataFusionError::IoError)?;
                let end = at + chunk.len() as u64;
                Ok((!chunk.is_empty()).then(|| (chunk.into(), end)))
            }
        })))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        Ok(Box::new(self.clone()))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for Shared {
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
