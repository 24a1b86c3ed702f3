//! The PostgreSQL protocol: startup, simple and extended query, cancel.
//!
//! Format: <https://www.postgresql.org/docs/15/protocol.html>. `stream` has the bytes, `startup` the first packets,
//! `frontend` and `backend` the messages, `connection` the loop, `workers` the threads that it runs on.

pub mod backend;
pub mod connection;
pub mod frontend;
pub mod startup;
pub mod stream;
mod workers;

pub use workers::Workers;

use crate::session::Server;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Accepts connections, to be served by `workers`, until the task is dropped.
pub async fn listen(listener: TcpListener, server: Arc<Server>, workers: &Workers) {
    loop {
        let accepted = match listener.accept().await {
            // The socket's events are to come to the worker that serves it.
            Ok((socket, _)) => socket.into_std(),
            Err(error) => Err(error),
        };
        match accepted {
            Ok(socket) => {
                let server = server.clone();
                workers.spawn(async move {
                    let served = match tokio::net::TcpStream::from_std(socket) {
                        Ok(socket) => connection::serve(socket, server).await,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = served {
                        tracing::debug!("a connection ended: {error}");
                    }
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: others may end meanwhile.
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}
