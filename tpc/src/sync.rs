//! A plain loop of write and fdatasync: the yardstick beside every durable figure.

use crate::histogram::Histogram;
use anyhow::{Context, Result};
use clap::Args;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const FILE_BYTES: u64 = 16 << 20;

#[derive(Clone, Debug, Args)]
pub struct SyncArgs {
    /// A folder on the disk to measure
    #[arg(long, default_value = ".")]
    pub folder: PathBuf,
    #[arg(long, short, default_value_t = 5)]
    pub seconds: u64,
    /// Bytes of each write
    #[arg(long, default_value_t = 8192, value_parser = clap::value_parser!(u64).range(1..=FILE_BYTES))]
    pub bytes: u64,
    /// Print one JSON object instead of a line
    #[arg(long)]
    pub json: bool,
}

impl SyncArgs {
    /// Overwrites a file of 16 MiB from begin to end, again and again, with an fdatasync after each write, and prints how long these take.
    pub fn execute(&self) -> Result<()> {
        let path = self.folder.join(format!("tpc-sync-{}", std::process::id()));
        let outcome = self.measure(&path).with_context(|| format!("cannot write {}", path.display()));
        let _ = std::fs::remove_file(&path);
        let times = outcome?;
        let (mean, p50, p99, max) = (times.mean_ms(), times.quantile_ms(0.5), times.quantile_ms(0.99), times.max_ms());
        if self.json {
            let report = serde_json::json!({ "bytes": self.bytes, "writes": times.count(), "mean_ms": mean,
                "p50_ms": p50, "p99_ms": p99, "max_ms": max });
            println!("{report}");
        } else {
            println!(
                "{} writes of {} bytes, each with fdatasync: mean {mean:.3} ms, p50 {p50:.3}, p99 {p99:.3}, max {max:.3}",
                times.count(),
                self.bytes
            );
        }
        Ok(())
    }

    fn measure(&self, path: &std::path::Path) -> std::io::Result<Histogram> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        // Written before, so that no measured write allocates.
        let zeros = vec![0; 1 << 20];
        for at in (0..FILE_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, at)?;
        }
        file.sync_all()?;
        let block = vec![0x5a; self.bytes as usize];
        let mut times = Histogram::default();
        let (end, mut at) = (Instant::now() + Duration::from_secs(self.seconds), 0);
        while Instant::now() < end {
            let began = Instant::now();
            file.write_all_at(&block, at)?;
            file.sync_data()?;
            times.record(began.elapsed());
            at = if at + 2 * self.bytes > FILE_BYTES { 0 } else { at + self.bytes };
        }
        Ok(times)
    }
}
