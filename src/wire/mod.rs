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

use crate::session::{Server, maintenance};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Accepts connections, to be served by `workers`, until the task is dropped; sees to it that statistics follow the data.
///
/// A cancel request is served here: the statement that it is for may keep its worker busy.
pub async fn listen(listener: TcpListener, server: Arc<Server>, workers: &Workers) {
    let interval = server.config.analyze_interval;
    if !interval.is_zero() {
        workers.spawn_apart(maintenance::run(Arc::downgrade(&server), interval));
    }
    let mut opening = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    opening.spawn(async move { startup::is_cancel_request(&socket).await.map(|cancels| (socket, cancels)) });
                }
                Err(error) => {
                    // Out of descriptors, most likely: others may end meanwhile.
                    tracing::warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(opened) = opening.join_next() => match opened {
                Ok(Ok((socket, true))) => {
                    tokio::spawn(serve(Ok(socket), server.clone()));
                }
                Ok(Ok((socket, false))) => {
                    // The socket's events are to come to the worker that serves it.
                    let (socket, server) = (socket.into_std(), server.clone());
                    workers.spawn(async move { serve(socket.and_then(TcpStream::from_std), server).await });
                }
                Ok(Err(error)) => tracing::debug!("a connection ended: {error}"),
                Err(error) => tracing::warn!("a connection was lost: {error}"),
            },
        }
    }
}

async fn serve(socket: io::Result<TcpStream>, server: Arc<Server>) {
    let served = match socket {
        Ok(socket) => connection::serve(socket, server).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::debug!("a connection ended: {error}");
    }
}
