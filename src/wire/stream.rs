//! The byte stream of one connection: plain or TLS, with its input and output buffers.

use super::frontend::MESSAGE_BYTES_MAX;
use bytes::{Buf, Bytes, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Output beyond this is written to the socket before more rows are made.
pub const OUTPUT_BYTES: usize = 64 << 10;

/// Input is read in pieces of this size, unless much is expected.
const INPUT_BYTES: usize = 8 << 10;

/// Plain or encrypted.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A transport with buffers. Messages are encoded into [`Stream::out`] and leave with [`Stream::flush`].
#[derive(Debug)]
pub struct Stream {
    transport: Transport,
    input: BytesMut,
    /// How much is read at once.
    input_bytes: usize,
    /// Output not yet written.
    pub out: BytesMut,
}

/// One frame from the client.
#[derive(Debug)]
pub enum Frame {
    /// Type and body.
    Message(u8, Bytes),
    /// The client is gone.
    Closed,
    /// A length that no message can have: the stream cannot be followed any further.
    Invalid(&'static str),
}

impl Stream {
    /// Over `transport`, with nothing buffered.
    pub fn new(transport: Transport) -> Stream {
        let buffer = || BytesMut::with_capacity(INPUT_BYTES);
        Stream { transport, input: buffer(), input_bytes: INPUT_BYTES, out: buffer() }
    }

    /// The transport, when nothing that the client sent is buffered: TLS must not begin behind plaintext that
    /// came with its request (CVE-2021-23214).
    pub fn into_transport(self) -> Option<Transport> {
        self.input.is_empty().then_some(self.transport)
    }

    /// Whether the stream is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    /// Whether a whole frame is buffered, so that [`Stream::frame`] will not wait.
    pub fn has_frame(&self) -> bool {
        self.input.len() >= 5 && {
            let len = (&self.input[1..5]).get_u32() as usize;
            !(4..=MESSAGE_BYTES_MAX).contains(&len) || self.input.len() > len
        }
    }

    /// The body of the next frame if that is buffered whole and of this kind, where it lies; [`Stream::consume`] goes on.
    pub fn peek(&self, kind: u8) -> Option<&[u8]> {
        let len = (self.input.get(1..5)?).get_u32() as usize;
        match self.input[0] == kind && (4..=MESSAGE_BYTES_MAX).contains(&len) {
            true => self.input.get(5..len + 1),
            false => None,
        }
    }

    /// Passes over the frame that [`Stream::peek`] has shown.
    pub fn consume(&mut self) {
        let len = (&self.input[1..5]).get_u32() as usize;
        self.input.advance(len + 1);
    }

    /// Whether much is to come, so that larger reads pay.
    pub fn expect_much(&mut self, much: bool) {
        self.input_bytes = if much { OUTPUT_BYTES } else { INPUT_BYTES };
    }

    /// The next frame. Cancel safe: what has been read stays buffered.
    pub async fn frame(&mut self, bytes_max: usize) -> io::Result<Frame> {
        loop {
            if self.input.len() >= 5 {
                let len = (&self.input[1..5]).get_u32() as usize;
                if len < 4 || len > bytes_max {
                    return Ok(Frame::Invalid("invalid message length"));
                }
                if self.input.len() > len {
                    let kind = self.input[0];
                    let mut whole = self.input.split_to(len + 1);
                    whole.advance(5);
                    return Ok(Frame::Message(kind, whole.freeze()));
                }
                // A large message is read into a buffer of its own size; what it claims is believed in steps, as it arrives.
                self.input.reserve((len + 1 - self.input.len()).min(1 << 20));
            }
            if self.fill().await? == 0 {
                return Ok(Frame::Closed);
            }
        }
    }

    /// A packet without a type byte, as the first ones are: its length and body. `None`: closed or malformed.
    pub async fn startup_packet(&mut self) -> io::Result<Option<BytesMut>> {
        loop {
            if self.input.len() >= 4 {
                let len = (&self.input[..4]).get_u32() as usize;
                if !(8..=10_000).contains(&len) {
                    return Ok(None);
                }
                if self.input.len() >= len {
                    return Ok(Some(self.input.split_to(len)));
                }
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads more input; 0 at the end.
    pub async fn fill(&mut self) -> io::Result<usize> {
        // A buffer of the usual size is used up before there is a new one.
        if self.input.capacity() - self.input.len() <= self.input_bytes - INPUT_BYTES {
            self.input.reserve(self.input_bytes);
        }
        self.transport.read_buf(&mut self.input).await
    }

    /// Writes all output. Cancel safe: what was not written stays in `out`.
    pub async fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            let written = self.transport.write(&self.out).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.out.advance(written);
        }
        if self.out.capacity() > 4 * OUTPUT_BYTES {
            self.out = BytesMut::with_capacity(OUTPUT_BYTES);
        }
        self.transport.flush().await
    }

    /// Whether rows should wait for the socket.
    pub fn is_full(&self) -> bool {
        self.out.len() >= OUTPUT_BYTES
    }

    /// Ends the stream.
    pub async fn shutdown(&mut self) {
        let _ = self.transport.shutdown().await;
    }
}
