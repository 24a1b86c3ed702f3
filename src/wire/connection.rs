//! One connection from its first byte to its last: the message loop.
//!
//! An error in an extended-query message is answered once; everything up to the next Sync is then skipped. A panic inside a
//! statement is caught here: the client is told XX000 and this connection ends, the server lives.

use super::backend::{self, TransactionStatus};
use super::frontend::{self, Frontend};
use super::startup::{self, Opening, Startup};
use super::stream::{Frame, Stream};
use crate::error::{Error, SqlState};
use crate::session::{Backend, Server, Session};
use bytes::BufMut;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a client may take to start.
const STARTUP_SECONDS: u64 = 60;

/// Serves one connection.
pub async fn serve(socket: TcpStream, server: Arc<Server>) -> io::Result<()> {
    let opening = tokio::time::timeout(Duration::from_secs(STARTUP_SECONDS), startup::open(socket, &server)).await;
    match opening {
        Err(_) | Ok(Ok(Opening::Nothing)) => Ok(()),
        Ok(Err(error)) => Err(error),
        Ok(Ok(Opening::Cancel { pid, secret })) => {
            server.cancel(pid, &secret);
            Ok(())
        }
        Ok(Ok(Opening::Session(stream, startup))) => begin(*stream, startup, server).await,
    }
}

async fn begin(mut stream: Stream, startup: Startup, server: Arc<Server>) -> io::Result<()> {
    let backend = match server.register() {
        Ok(backend) => backend,
        Err(error) => return refuse(&mut stream, error).await,
    };
    let _guard = Registered { server: &server, backend: &backend };
    let session = match tokio::time::timeout(
        Duration::from_secs(STARTUP_SECONDS),
        open_session(&mut stream, &startup, &server, &backend),
    )
    .await
    {
        Err(_) => return Ok(()),
        Ok(session) => session?,
    };
    let mut session = match session {
        Ok(session) => session,
        Err(error) => return refuse(&mut stream, error).await,
    };
    let mut connection = Connection { stream: &mut stream, session: &mut session, backend: &backend, skipping: false };
    let result = match caught(connection.run()).await {
        Some(result) => result,
        None => {
            // What the session was at is unknown: its transaction is rolled back when it is dropped, and nothing else is read.
            backend::error(&mut stream.out, Error::internal("a statement has panicked").fatal().report());
            stream.flush().await
        }
    };
    stream.shutdown().await;
    // The client does not wait for this.
    caught(session.close()).await;
    result
}

/// What `future` gives; `None` when it panicked.
async fn caught<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| {
        let poll = std::panic::AssertUnwindSafe(|| future.as_mut().poll(cx));
        match std::panic::catch_unwind(poll) {
            Ok(poll) => poll.map(Some),
            Err(_) => std::task::Poll::Ready(None),
        }
    })
    .await
}

/// Leaves the list of connections when dropped, also by a panic.
struct Registered<'a> {
    server: &'a Server,
    backend: &'a Backend,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.server.engine.end_session(lightning_storage::SessionId(self.backend.pid as u64));
        self.server.unregister(self.backend);
    }
}

async fn refuse(stream: &mut Stream, error: Error) -> io::Result<()> {
    backend::error(&mut stream.out, error.fatal().report());
    stream.flush().await?;
    stream.shutdown().await;
    Ok(())
}

async fn open_session(
    stream: &mut Stream,
    startup: &Startup,
    server: &Arc<Server>,
    backend: &Arc<Backend>,
) -> io::Result<crate::error::Result<Session>> {
    let Some(user) = startup.parameters.get("user").filter(|user| !user.is_empty()) else {
        let message = "no PostgreSQL user name specified in startup packet";
        return Ok(Err(Error::new(SqlState::InvalidAuthorizationSpecification, message)));
    };
    if startup.parameters.get("replication").is_some_and(|value| value != "false" && value != "off" && value != "0") {
        return Ok(Err(Error::unsupported("the replication protocol")));
    }
    if let Err(error) = startup::authenticate(stream, server, user).await? {
        return Ok(Err(error));
    }
    let parameters: Vec<(String, String)> =
        startup.parameters.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let session = match Session::open(server.clone(), backend.clone(), user, &parameters) {
        Ok(session) => session,
        Err(error) => return Ok(Err(error)),
    };
    backend::frame(&mut stream.out, b'R', |out| out.put_i32(0));
    for (name, value) in session.settings().reported() {
        backend::parameter_status(&mut stream.out, name, &value);
    }
    backend::frame(&mut stream.out, b'K', |out| {
        out.put_i32(backend.pid);
        out.put_slice(&backend.secret);
    });
    backend::ready_for_query(&mut stream.out, TransactionStatus::Idle);
    stream.flush().await?;
    Ok(Ok(session))
}

/// How long a client that does not read its answers keeps the session from undoing what has failed.
const UNREAD: Duration = Duration::from_millis(20);

struct Connection<'a> {
    stream: &'a mut Stream,
    session: &'a mut Session,
    backend: &'a Backend,
    /// An extended-query message failed: everything up to Sync is skipped.
    skipping: bool,
}

impl Connection<'_> {
    async fn run(&mut self) -> io::Result<()> {
        loop {
            // Rows that still come after a COPY has failed: their sender should hear of it.
            let deaf = !self.stream.out.is_empty() && self.stream.peek(b'd').is_some();
            if deaf || !self.stream.has_frame() {
                self.flush_and_settle().await?;
            }
            let (kind, body) = match self.next_frame().await? {
                Some(Frame::Message(kind, body)) => (kind, body),
                Some(Frame::Closed) => return Ok(()),
                Some(Frame::Invalid(why)) => return self.end(Error::new(SqlState::ProtocolViolation, why)).await,
                None => return Ok(()),
            };
            if !frontend::is_known(kind) {
                let message = format!("invalid frontend message type {kind}");
                return self.end(Error::new(SqlState::ProtocolViolation, message)).await;
            }
            if self.skipping && !matches!(kind, b'S' | b'X') {
                continue;
            }
            let extended = b"PBDECHSF".contains(&kind);
            match frontend::decode(kind, body) {
                Ok(Frontend::Terminate) => return Ok(()),
                Ok(message) => match self.handle(message).await? {
                    Ok(()) => {}
                    Err(error) => self.report(error, extended).await?,
                },
                Err(error) => self.report(error, extended).await?,
            }
        }
    }

    /// Sends what there is; then the session undoes what the client had not to wait for, though the client may not read.
    async fn flush_and_settle(&mut self) -> io::Result<()> {
        if self.session.is_unsettled() {
            let sent = tokio::time::timeout(UNREAD, self.stream.flush()).await;
            self.session.settle();
            if let Ok(sent) = sent {
                return sent;
            }
        }
        self.stream.flush().await
    }

    /// The next frame; `None` after the connection was told to end.
    async fn next_frame(&mut self) -> io::Result<Option<Frame>> {
        // What is here already is not waited for.
        if self.stream.has_frame() && !self.backend.terminated.load(Ordering::Relaxed) {
            return self.stream.frame(frontend::MESSAGE_BYTES_MAX).await.map(Some);
        }
        loop {
            if self.backend.terminated.load(Ordering::Relaxed) {
                let message = "terminating connection due to administrator command";
                self.end(Error::new(SqlState::AdminShutdown, message)).await?;
                return Ok(None);
            }
            let idle = self.session.status() == TransactionStatus::Idle;
            if idle && self.notifications() {
                self.stream.flush().await?;
            }
            let settings = self.session.settings().parsed();
            let limit = if idle { settings.idle_timeout } else { settings.idle_in_transaction_timeout };
            tokio::select! {
                biased;
                frame = self.stream.frame(frontend::MESSAGE_BYTES_MAX) => return frame.map(Some),
                () = self.backend.woken.notified() => {}
                () = elapsed(limit) => {
                    let error = if idle {
                        Error::new(SqlState::IdleSessionTimeout, "terminating connection due to idle-session timeout")
                    } else {
                        let message = "terminating connection due to idle-in-transaction timeout";
                        Error::new(SqlState::IdleInTransactionSessionTimeout, message)
                    };
                    self.end(error).await?;
                    return Ok(None);
                }
            }
        }
    }

    async fn handle(&mut self, message: Frontend) -> io::Result<crate::error::Result<()>> {
        let (session, stream) = (&mut *self.session, &mut *self.stream);
        let result = match message {
            Frontend::Query { text } => {
                session.simple_query(&text, stream).await?;
                self.ready();
                Ok(())
            }
            Frontend::Parse { name, text, parameter_types } => {
                session.parse(name, &text, &parameter_types).map(|()| backend::bare(&mut stream.out, b'1'))
            }
            Frontend::Bind(bind) => session.bind(bind).map(|()| backend::bare(&mut stream.out, b'2')),
            Frontend::DescribeStatement { name } => session.describe_statement(&name, &mut stream.out),
            Frontend::DescribePortal { name } => session.describe_portal(&name, &mut stream.out),
            Frontend::Execute { portal, max_rows } => session.execute(&portal, max_rows, stream).await,
            Frontend::CloseStatement { name } => {
                session.close_statement(&name);
                backend::bare(&mut stream.out, b'3');
                Ok(())
            }
            Frontend::ClosePortal { name } => {
                session.close_portal(&name);
                backend::bare(&mut stream.out, b'3');
                Ok(())
            }
            Frontend::Flush => {
                stream.flush().await?;
                Ok(())
            }
            Frontend::Sync => {
                self.skipping = false;
                let result = session.sync().await;
                session.tell(stream);
                if let Err(error) = &result {
                    backend::error(&mut stream.out, error.report());
                }
                self.ready();
                Ok(())
            }
            // What is left of a COPY that has failed.
            Frontend::CopyData(_) | Frontend::CopyDone | Frontend::CopyFail { .. } => Ok(()),
            Frontend::FunctionCall => Err(Error::unsupported("the function call protocol")),
            Frontend::Password => Err(Error::new(SqlState::ProtocolViolation, "unexpected password message").fatal()),
            Frontend::Terminate => Ok(()),
        };
        Ok(result)
    }

    /// NotificationResponse for every message that has come.
    fn notifications(&mut self) -> bool {
        let messages = self.session.take_notifications();
        for message in &messages {
            backend::notification(&mut self.stream.out, message.pid, &message.channel, &message.payload);
        }
        !messages.is_empty()
    }

    fn ready(&mut self) {
        self.notifications();
        let status = self.session.status();
        self.backend.activity.lock().idle(status, crate::session::now());
        backend::ready_for_query(&mut self.stream.out, status);
    }

    /// Answers an error; the transaction has failed.
    async fn report(&mut self, error: Error, extended: bool) -> io::Result<()> {
        self.session.fail().await;
        self.session.tell(self.stream);
        if error.is_fatal() {
            return self.end(error).await.and(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        backend::error(&mut self.stream.out, error.report());
        if extended {
            self.skipping = true;
        } else {
            self.ready();
        }
        Ok(())
    }

    /// Tells why and ends the connection.
    async fn end(&mut self, error: Error) -> io::Result<()> {
        self.session.fail().await;
        backend::error(&mut self.stream.out, error.fatal().report());
        self.stream.flush().await
    }
}

/// Completes after `limit`, without one never. Most connections have none: they register no timer.
async fn elapsed(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn a_panic_is_caught_where_a_connection_runs() {
        assert_eq!(super::caught(async { 7 }).await, Some(7));
        let panics = async {
            tokio::task::yield_now().await;
            assert!(std::hint::black_box(false), "as a bug would");
        };
        assert_eq!(super::caught(panics).await, None);
    }
}
