//! Frontend messages, decoded from one whole frame each.
//!
//! pgwire's own decoders panic on a body shorter than its fields and replace invalid UTF-8 silently, so the messages
//! that carry client data are read here, bounds-checked: a bad one is 08P01, bad text is 22021, and the connection lives.
//! Startup, cancel and authentication messages are pgwire's (see `startup`).
//!
//! Format: <https://www.postgresql.org/docs/15/protocol-message-formats.html>

use crate::error::{Error, Result, SqlState};
use bytes::{Buf, Bytes};

/// A message of an authenticated client.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Frontend {
    Query { text: String },
    Parse { name: String, text: String, parameter_types: Vec<u32> },
    Bind(Bind),
    DescribeStatement { name: String },
    DescribePortal { name: String },
    Execute { portal: String, max_rows: i32 },
    CloseStatement { name: String },
    ClosePortal { name: String },
    Flush,
    Sync,
    CopyData(Bytes),
    CopyDone,
    CopyFail { reason: String },
    FunctionCall,
    Password,
    Terminate,
}

/// Bind's body.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Bind {
    pub portal: String,
    pub statement: String,
    /// None: all text; one: for all; else one each. 0 text, 1 binary.
    pub parameter_formats: Vec<i16>,
    /// `None` is NULL.
    pub parameters: Vec<Option<Bytes>>,
    pub result_formats: Vec<i16>,
}

/// The largest frame taken: 1 GiB, as PostgreSQL's `PQ_LARGE_MESSAGE_LIMIT`.
pub const MESSAGE_BYTES_MAX: usize = 0x3fff_ffff;

/// Whether `kind` is a message type that a client may send after startup.
pub fn is_known(kind: u8) -> bool {
    b"QPBDECHSdcfFpX".contains(&kind)
}

/// Decodes the message of type `kind` whose body (without type and length) is `body`.
///
/// # Errors
/// 08P01 for a malformed body, 22021 for text that is not UTF-8; the caller reports it and goes on with the next frame.
pub fn decode(kind: u8, body: Bytes) -> Result<Frontend> {
    let mut body = Body(body);
    let message = match kind {
        b'Q' => Frontend::Query { text: body.text()? },
        b'P' => {
            let (name, text) = (body.text()?, body.text()?);
            let count = body.count(4)?;
            let parameter_types = (0..count).map(|_| body.u32()).collect::<Result<_>>()?;
            Frontend::Parse { name, text, parameter_types }
        }
        b'B' => Frontend::Bind(decode_bind(&mut body)?),
        b'D' | b'C' => {
            let target = body.u8()?;
            let name = body.text()?;
            match (kind, target) {
                (b'D', b'S') => Frontend::DescribeStatement { name },
                (b'D', b'P') => Frontend::DescribePortal { name },
                (b'C', b'S') => Frontend::CloseStatement { name },
                (b'C', b'P') => Frontend::ClosePortal { name },
                (b'D', _) => return Err(violation(format!("invalid DESCRIBE message subtype {target}"))),
                (_, _) => return Err(violation(format!("invalid CLOSE message subtype {target}"))),
            }
        }
        b'E' => Frontend::Execute { portal: body.text()?, max_rows: body.u32()? as i32 },
        b'H' => Frontend::Flush,
        b'S' => Frontend::Sync,
        b'd' => Frontend::CopyData(std::mem::take(&mut body.0)),
        b'c' => Frontend::CopyDone,
        b'f' => Frontend::CopyFail { reason: body.text()? },
        b'F' => {
            body.0.clear();
            Frontend::FunctionCall
        }
        b'p' => {
            body.0.clear();
            Frontend::Password
        }
        b'X' => Frontend::Terminate,
        other => return Err(violation(format!("invalid frontend message type {other}"))),
    };
    if body.0.has_remaining() {
        return Err(violation("invalid message format"));
    }
    Ok(message)
}

fn decode_bind(body: &mut Body) -> Result<Bind> {
    let (portal, statement) = (body.text()?, body.text()?);
    let count = body.count(2)?;
    let parameter_formats = (0..count).map(|_| body.i16()).collect::<Result<_>>()?;
    let count = body.count(4)?;
    let mut parameters = Vec::with_capacity(count);
    for _ in 0..count {
        parameters.push(match body.u32()? as i32 {
            -1 => None,
            len => Some(body.bytes(usize::try_from(len).map_err(|_| too_short())?)?),
        });
    }
    let count = body.count(2)?;
    let result_formats = (0..count).map(|_| body.i16()).collect::<Result<_>>()?;
    Ok(Bind { portal, statement, parameter_formats, parameters, result_formats })
}

/// A frame's body, read field by field.
struct Body(Bytes);

impl Body {
    fn u8(&mut self) -> Result<u8> {
        self.need(1).map(|()| self.0.get_u8())
    }

    fn i16(&mut self) -> Result<i16> {
        self.need(2).map(|()| self.0.get_i16())
    }

    fn u32(&mut self) -> Result<u32> {
        self.need(4).map(|()| self.0.get_u32())
    }

    /// A 16-bit count of elements of at least `element_bytes` each, checked against what is left before it is believed.
    fn count(&mut self, element_bytes: usize) -> Result<usize> {
        let count = self.i16()? as u16 as usize;
        self.need(count * element_bytes).map(|()| count)
    }

    fn bytes(&mut self, len: usize) -> Result<Bytes> {
        self.need(len).map(|()| self.0.split_to(len))
    }

    fn text(&mut self) -> Result<String> {
        let end = self.0.iter().position(|&b| b == 0).ok_or_else(|| violation("invalid string in message"))?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        utf8(&text).map(str::to_owned)
    }

    fn need(&self, len: usize) -> Result<()> {
        if self.0.remaining() < len { Err(too_short()) } else { Ok(()) }
    }
}

/// Client bytes as text; 22021 names the first bad sequence as PostgreSQL does.
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let bad = &bytes[e.valid_up_to()..];
        let len = e.error_len().unwrap_or(bad.len()).clamp(1, bad.len().max(1));
        invalid_sequence(&bad[..len.min(bad.len())])
    })?;
    // No text holds a zero byte, though UTF-8 has one.
    if bytes.contains(&0) {
        return Err(invalid_sequence(&[0]));
    }
    Ok(text)
}

fn invalid_sequence(bytes: &[u8]) -> Error {
    let shown: Vec<String> = bytes.iter().map(|b| format!("0x{b:02x}")).collect();
    Error::new(
        SqlState::CharacterNotInRepertoire,
        format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
    )
}

fn too_short() -> Error {
    violation("insufficient data left in message")
}

fn violation(message: impl Into<String>) -> Error {
    Error::new(SqlState::ProtocolViolation, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_of_a_bind_is_an_error_and_never_a_panic() {
        let whole: &[u8] = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\x01\0\x00";
        let Frontend::Bind(bind) = decode(b'B', Bytes::from_static(whole)).unwrap() else { panic!("a bind") };
        assert_eq!((bind.portal.as_str(), bind.statement.as_str()), ("p", "s"));
        assert_eq!(bind.parameters, [Some(Bytes::from_static(b"ab")), None]);
        assert_eq!((bind.parameter_formats, bind.result_formats), (vec![1], vec![0]));
        for end in 0..whole.len() {
            let code = decode(b'B', Bytes::copy_from_slice(&whole[..end])).unwrap_err().code();
            assert_eq!(code, SqlState::ProtocolViolation);
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_named() {
        let error = decode(b'Q', Bytes::from_static(b"select '\xff'\0")).unwrap_err();
        assert_eq!(error.code(), SqlState::CharacterNotInRepertoire);
        assert!(error.report().message.ends_with("0xff"));
    }
}
