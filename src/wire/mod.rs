//! The PostgreSQL protocol: startup, simple and extended query, cancel.
//!
//! Format: <https://www.postgresql.org/docs/15/protocol.html>. `stream` has the bytes, `startup` the first packets,
//! `frontend` and `backend` the messages, `connection` the loop.

pub mod backend;
pub mod connection;
pub mod frontend;
pub mod startup;
pub mod stream;

use crate::session::Server;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Accepts connections until the task is dropped.
pub async fn listen(listener: TcpListener, server: Arc<Server>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let server = server.clone();
                tokio::spawn(async move {
                    if let Err(error) = connection::serve(socket, server).await {
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
