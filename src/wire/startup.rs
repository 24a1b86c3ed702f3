//! Connection start: TLS negotiation, startup packet, authentication, the messages up to the first ReadyForQuery.
//!
//! Order of events: `SSLRequest`/`GSSENCRequest` (each answered once, in either order) or a direct TLS hello; then
//! CancelRequest (served and closed) or Startup; `NegotiateProtocolVersion` when the client asks for more than 3.0/3.2 or
//! for `_pq_` options; authentication; ParameterStatus for every reported setting; BackendKeyData; ReadyForQuery.

use super::backend;
use super::frontend::utf8;
use super::stream::{Frame, Stream, Transport};
use crate::config::Auth;
use crate::error::{Error, Result, SqlState};
use crate::session::Server;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use pgwire::api::auth::sasl::scram::{ScramSecret, ScramServerAuth};
use pgwire::messages::Message;
use pgwire::messages::startup::{Authentication, PasswordMessageFamily};
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
const PROTOCOL_3_0: u32 = 3 << 16;
const PROTOCOL_3_2: u32 = (3 << 16) | 2;
/// Authentication messages beyond this are an attack.
const AUTH_MESSAGE_BYTES_MAX: usize = 64 << 10;

/// How long a client may take for its first bytes.
const FIRST_BYTES: Duration = Duration::from_secs(60);

/// Whether a connection, of which nothing is taken yet, begins with a cancel request.
///
/// # Errors
/// It was closed, or nothing came for a long time.
pub async fn is_cancel_request(socket: &TcpStream) -> io::Result<bool> {
    let mut head = [0; 8];
    let begun = Instant::now();
    loop {
        let left = FIRST_BYTES.saturating_sub(begun.elapsed());
        match tokio::time::timeout(left, socket.peek(&mut head)).await.map_err(|_| io::ErrorKind::TimedOut)?? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            8 => return Ok(head[4..] == CANCEL_REQUEST.to_be_bytes()),
            // A direct TLS hello, or the packet's other bytes are yet to come.
            _ if head[..2] != [0, 0] => return Ok(false),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// What the first packets asked for.
#[derive(Debug)]
pub enum Opening {
    /// A session.
    Session(Box<Stream>, Startup),
    /// To cancel what backend `pid` does; the connection is closed without an answer.
    Cancel { pid: i32, secret: Bytes },
    /// Nothing: gone, or a TLS handshake failed.
    Nothing,
}

/// A startup packet's content.
#[derive(Debug)]
pub struct Startup {
    /// 3.0 or 3.2.
    pub protocol: u32,
    /// user, database, options, application_name, …
    pub parameters: BTreeMap<String, String>,
}

/// Reads the first packets, turning TLS on when asked for and configured.
///
/// # Errors
/// I/O errors only; protocol faults are answered here and end as [`Opening::Nothing`].
pub async fn open(socket: TcpStream, server: &Server) -> io::Result<Opening> {
    socket.set_nodelay(true)?;
    let mut first = [0u8; 1];
    if socket.peek(&mut first).await? == 0 {
        return Ok(Opening::Nothing);
    }
    let mut stream = Stream::new(Transport::Plain(socket));
    if first[0] == 0x16 {
        match accept_tls(stream, server, true).await? {
            Some(tls) => stream = tls,
            None => return Ok(Opening::Nothing),
        }
    }
    loop {
        let Some(mut packet) = stream.startup_packet().await? else { return Ok(Opening::Nothing) };
        packet.advance(4);
        match packet.get_u32() {
            SSL_REQUEST if server.tls.is_some() && !stream.is_tls() => {
                stream.out.put_u8(b'S');
                stream.flush().await?;
                match accept_tls(stream, server, false).await? {
                    Some(tls) => stream = tls,
                    None => return Ok(Opening::Nothing),
                }
            }
            SSL_REQUEST | GSSENC_REQUEST => {
                stream.out.put_u8(b'N');
                stream.flush().await?;
            }
            CANCEL_REQUEST => {
                if packet.len() < 8 {
                    return Ok(Opening::Nothing);
                }
                let pid = packet.get_i32();
                return Ok(Opening::Cancel { pid, secret: packet.freeze() });
            }
            protocol => return read_startup(stream, protocol, &packet).await,
        }
    }
}

async fn accept_tls(stream: Stream, server: &Server, direct: bool) -> io::Result<Option<Stream>> {
    let (Some(acceptor), Some(Transport::Plain(socket))) = (&server.tls, stream.into_transport()) else {
        return Ok(None);
    };
    let Ok(tls) = acceptor.accept(socket).await else { return Ok(None) };
    if direct && tls.get_ref().1.alpn_protocol() != Some(b"postgresql") {
        return Ok(None);
    }
    Ok(Some(Stream::new(Transport::Tls(Box::new(tls)))))
}

async fn read_startup(mut stream: Stream, protocol: u32, packet: &BytesMut) -> io::Result<Opening> {
    let refusal = match parse_startup(protocol, packet) {
        Ok((startup, unknown_options)) => {
            if startup.protocol != protocol || !unknown_options.is_empty() {
                backend::frame(&mut stream.out, b'v', |out| {
                    out.put_u32(startup.protocol & 0xffff);
                    out.put_u32(unknown_options.len() as u32);
                    for option in &unknown_options {
                        out.put_slice(option.as_bytes());
                        out.put_u8(0);
                    }
                });
            }
            return Ok(Opening::Session(Box::new(stream), startup));
        }
        Err(error) => error.fatal(),
    };
    backend::error(&mut stream.out, refusal.report());
    stream.flush().await?;
    stream.shutdown().await;
    Ok(Opening::Nothing)
}

fn parse_startup(protocol: u32, packet: &[u8]) -> Result<(Startup, Vec<String>)> {
    let violation = |message: String| Error::new(SqlState::ProtocolViolation, message);
    let (major, minor) = (protocol >> 16, protocol & 0xffff);
    if major != 3 {
        let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2");
        return Err(Error::new(SqlState::FeatureNotSupported, message));
    }
    let mut parameters = BTreeMap::new();
    let mut unknown = Vec::new();
    let Some(body) = packet.strip_suffix(&[0]) else {
        return Err(violation("invalid startup packet layout: expected terminator as last byte".into()));
    };
    let mut parts = body.split(|&b| b == 0);
    while let Some(name) = parts.next() {
        if name.is_empty() {
            break;
        }
        let value = parts.next().ok_or_else(|| violation("invalid startup packet layout".into()))?;
        let (name, value) = (utf8(name)?.to_owned(), utf8(value)?.to_owned());
        if name.starts_with("_pq_.") {
            unknown.push(name);
        } else {
            parameters.insert(name, value);
        }
    }
    let protocol = if minor >= 2 { PROTOCOL_3_2 } else { PROTOCOL_3_0 };
    Ok((Startup { protocol, parameters }, unknown))
}

/// Proves who `role` is, by the server's rule.
///
/// # Errors
/// `Ok(Err)` is a refusal to report as FATAL (28P01, 28000, 08P01); `Err` is I/O.
pub async fn authenticate(stream: &mut Stream, server: &Server, role: &str) -> io::Result<Result<()>> {
    if server.config.auth == Auth::Trust {
        return Ok(Ok(()));
    }
    match scram(stream, server, role).await {
        Ok(()) => Ok(Ok(())),
        Err(Refused::Io(error)) => Err(error),
        Err(Refused::Report(error)) => Ok(Err(error)),
    }
}

enum Refused {
    Io(io::Error),
    Report(Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        Refused::Io(error)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Report(error)
    }
}

/// SCRAM-SHA-256 (RFC 5802, 7677) against the role's verifier. A role that does not exist, may not log in or has no
/// password goes through the same exchange against a made-up verifier, so that names cannot be probed.
async fn scram(stream: &mut Stream, server: &Server, role: &str) -> Result<(), Refused> {
    let failed =
        || Error::new(SqlState::InvalidPassword, format!("password authentication failed for user \"{role}\""));
    let known = server.role_verifier(role).as_deref().and_then(parse_verifier);
    let is_known = known.is_some();
    let secret = known.unwrap_or_else(|| mock_secret(server, role));
    send(stream, &Authentication::SASL(vec!["SCRAM-SHA-256".to_owned()])).await?;
    let initial = password_message(stream).await?.into_sasl_initial_response().map_err(|_| malformed())?;
    if initial.auth_method != "SCRAM-SHA-256" {
        return Err(Error::new(
            SqlState::ProtocolViolation,
            "client selected an invalid SASL authentication mechanism",
        )
        .into());
    }
    let first = initial.data.ok_or_else(malformed)?;
    let (answer, exchange) =
        ScramServerAuth::new().on_client_first_message_with_secret(&first, secret).map_err(|_| malformed())?;
    send(stream, &Authentication::SASLContinue(answer.into())).await?;
    let last = password_message(stream).await?.into_sasl_response().map_err(|_| malformed())?;
    let proof = exchange.on_client_final_message(&last.data).map_err(|_| failed())?;
    if !is_known {
        return Err(failed().into());
    }
    Authentication::SASLFinal(proof.into()).encode(&mut stream.out).map_err(|_| malformed())?;
    Ok(())
}

fn malformed() -> Error {
    Error::new(SqlState::ProtocolViolation, "malformed SCRAM message")
}

async fn send(stream: &mut Stream, message: &Authentication) -> Result<(), Refused> {
    message.encode(&mut stream.out).map_err(|_| malformed())?;
    Ok(stream.flush().await?)
}

async fn password_message(stream: &mut Stream) -> Result<PasswordMessageFamily, Refused> {
    match stream.frame(AUTH_MESSAGE_BYTES_MAX).await? {
        Frame::Message(b'p', body) if body.len() > 4 => Ok(PasswordMessageFamily::Raw(BytesMut::from(&body[..]))),
        Frame::Message(kind, _) => {
            let message = format!("expected SASL response, got message type {kind}");
            Err(Error::new(SqlState::ProtocolViolation, message).into())
        }
        Frame::Closed => Err(Refused::Io(io::ErrorKind::UnexpectedEof.into())),
        Frame::Invalid(why) => Err(Error::new(SqlState::ProtocolViolation, why).into()),
    }
}

/// PostgreSQL's stored form: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, base64.
fn parse_verifier(text: &str) -> Option<ScramSecret> {
    let rest = text.strip_prefix("SCRAM-SHA-256$")?;
    let (head, keys) = rest.split_once('$')?;
    let (iterations, salt) = head.split_once(':')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    Some(ScramSecret::Verifier {
        salt: decode_base64(salt)?,
        iterations: iterations.parse().ok()?,
        stored_key: decode_base64(stored_key)?,
        server_key: decode_base64(server_key)?,
    })
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// A verifier that no password satisfies, the same for the same name.
fn mock_secret(server: &Server, role: &str) -> ScramSecret {
    let salt = server.mock_salt(role);
    ScramSecret::Verifier { salt, iterations: 4096, stored_key: vec![0; 32], server_key: vec![0; 32] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn startup_packets() {
        let (startup, unknown) = parse_startup(PROTOCOL_3_0, b"user\0a\0_pq_.x\0yes\0\0").unwrap();
        assert_eq!(startup.parameters.get("user").map(String::as_str), Some("a"));
        assert_eq!(unknown, ["_pq_.x"]);
        assert_eq!(parse_startup((3 << 16) | 9999, b"\0").unwrap().0.protocol, PROTOCOL_3_2);
        assert!(parse_startup(2 << 16, b"\0").is_err());
        assert!(parse_startup(PROTOCOL_3_0, b"user\0a").is_err());
    }
}
