//! The threads that connections are served on: a runtime of one worker for each processor.
//!
//! A connection stays with its worker. One runtime of many workers would hand half of the connections that have input to
//! another thread each time, which has to be woken for it, and finds what it needs in another processor's cache (and the
//! allocator's free lists with another thread). An execution that proves long leaves its worker by `block_in_place`, so
//! that the worker's other connections go on; threads of such executions are the system's to spread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::{Builder, Runtime};

/// Planning and dropping deep statements takes stack.
const STACK_BYTES: usize = 16 << 20;

struct Worker {
    runtime: Runtime,
    connections: Arc<AtomicUsize>,
}

/// See the module.
pub struct Workers(Vec<Worker>);

impl Workers {
    /// One for each processor.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn start() -> io::Result<Workers> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let worker = |_| {
            // Of the kind of many threads, though it has one: only that can `block_in_place`.
            let runtime = Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .thread_stack_size(STACK_BYTES)
                .thread_name("worker")
                .build()?;
            Ok(Worker { runtime, connections: Arc::default() })
        };
        (0..count).map(worker).collect::<io::Result<_>>().map(Workers)
    }

    /// Runs what is no connection, beside those of one of the workers.
    pub(super) fn spawn_apart(&self, task: impl Future<Output = ()> + Send + 'static) {
        let worker = self.0.last().expect("there is at least one processor");
        worker.runtime.spawn(task);
    }

    /// Serves a connection on the worker that has the fewest.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let worker = self.0.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
        let worker = worker.expect("there is at least one processor");
        let counted = Counted::new(&worker.connections);
        worker.runtime.spawn(async move {
            connection.await;
            drop(counted);
        });
    }
}

/// Counts a connection while it lives, also when it ends by a panic.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(connections: &Arc<AtomicUsize>) -> Counted {
        connections.fetch_add(1, Ordering::Relaxed);
        Counted(connections.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_and_counted_until_they_end() {
        let workers = Workers::start().unwrap();
        let counts = || -> Vec<usize> { workers.0.iter().map(|w| w.connections.load(Ordering::Relaxed)).collect() };
        let mut ends = Vec::new();
        for _ in 0..2 * workers.0.len() {
            let (end, ended) = tokio::sync::oneshot::channel::<()>();
            ends.push(end);
            workers.spawn(async { drop(ended.await) });
        }
        assert!(counts().iter().all(|count| *count == 2));
        drop(ends);
        while counts().iter().any(|count| *count > 0) {
            std::thread::yield_now();
        }
    }
}
