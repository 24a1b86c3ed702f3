//! The manual's binary string functions: parts, bits, digests, text encodings and character sets.
//!
//! Digests are the `md-5` and `sha2` crates', which the TLS and SCRAM code links already. Of the character sets only
//! UTF8, SQL_ASCII and LATIN1 are known; others are 0A000.

use super::inline::functions;
use crate::error::{Error, Result, SqlState};
use crate::interrupt;
use bytes::Bytes;
use md5::Md5;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(SqlState::InvalidParameterValue, message)
}

/// Bytes `start` (1-based) to before `start + len`: positions before 1 are empty.
fn substring(bytes: &[u8], start: i32, len: Option<i32>) -> Result<Bytes> {
    let end = match len {
        Some(len) if len < 0 => {
            return Err(Error::new(SqlState::SubstringError, "negative substring length not allowed"));
        }
        Some(len) => i64::from(start) + i64::from(len),
        None => i64::MAX,
    };
    let from = (i64::from(start).max(1) - 1).min(bytes.len() as i64) as usize;
    let to = (end.max(1) - 1).min(bytes.len() as i64) as usize;
    Ok(Bytes::copy_from_slice(&bytes[from..to.max(from)]))
}

fn overlay(bytes: &[u8], with: &[u8], start: i32, len: Option<i32>) -> Result<Bytes> {
    if start <= 0 {
        return Err(Error::new(SqlState::SubstringError, "negative substring length not allowed"));
    }
    let len = len.unwrap_or(with.len() as i32);
    let after = start.checked_add(len).ok_or_else(|| crate::types::numeric::out_of_range("integer"))?;
    let (before, after) = (substring(bytes, 1, Some(start - 1))?, substring(bytes, after, None)?);
    Ok([&before[..], with, &after[..]].concat().into())
}

fn position(bytes: &[u8], part: &[u8]) -> i32 {
    if part.is_empty() {
        return 1;
    }
    bytes.windows(part.len()).position(|window| window == part).map_or(0, |at| at as i32 + 1)
}

fn trim(bytes: &[u8], set: &[u8], start: bool, end: bool) -> Bytes {
    let keep = |byte: &u8| !set.contains(byte);
    let from = if start { bytes.iter().position(keep).unwrap_or(bytes.len()) } else { 0 };
    let to = if end { bytes.iter().rposition(keep).map_or(0, |at| at + 1) } else { bytes.len() };
    Bytes::copy_from_slice(&bytes[from.min(to)..to])
}

/// The place of byte (or bit) `n` of `count`.
fn place(n: i64, count: usize) -> Result<usize> {
    match usize::try_from(n) {
        Ok(at) if at < count => Ok(at),
        _ => {
            let message = format!("index {n} out of valid range, 0..{}", count as i64 - 1);
            Err(Error::new(SqlState::ArraySubscriptError, message))
        }
    }
}

fn set_byte(bytes: &[u8], n: i32, value: i32) -> Result<Vec<u8>> {
    let at = place(n.into(), bytes.len())?;
    let mut changed = bytes.to_vec();
    changed[at] = value as u8;
    Ok(changed)
}

fn get_bit(bytes: &[u8], n: i64) -> Result<i32> {
    let at = place(n, bytes.len() * 8)?;
    Ok(i32::from(bytes[at / 8] >> (at % 8) & 1))
}

fn set_bit(bytes: &[u8], n: i64, value: i32) -> Result<Vec<u8>> {
    let at = place(n, bytes.len() * 8)?;
    if !(0..=1).contains(&value) {
        return Err(invalid("new bit must be 0 or 1"));
    }
    let mut changed = bytes.to_vec();
    changed[at / 8] = changed[at / 8] & !(1 << (at % 8)) | (value as u8) << (at % 8);
    Ok(changed)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base 64 in lines of 76 characters, as MIME.
fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 4);
    for (i, chunk) in bytes.chunks(3).enumerate() {
        if i > 0 && i % 19 == 0 {
            out.push('\n');
        }
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let shown = digit <= chunk.len();
            out.push(if shown { char::from(BASE64[(group >> (18 - 6 * digit) & 63) as usize]) } else { '=' });
        }
    }
    out
}

fn from_base64(text: &str) -> Result<Vec<u8>> {
    let (mut out, mut group, mut have, mut end) = (Vec::new(), 0u32, 0, 0);
    for c in text.chars() {
        if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        let digit = if c == '=' {
            if end == 0 {
                end = match have {
                    2 => 1,
                    3 => 2,
                    _ => return Err(invalid("unexpected \"=\" while decoding base64 sequence")),
                };
            }
            0
        } else {
            match u8::try_from(c).ok().and_then(|byte| BASE64.iter().position(|digit| *digit == byte)) {
                Some(digit) => digit as u32,
                None => {
                    return Err(invalid(format!("invalid symbol \"{c}\" found while decoding base64 sequence")));
                }
            }
        };
        group = group << 6 | digit;
        have += 1;
        if have == 4 {
            let [_, a, b, c] = group.to_be_bytes();
            out.push(a);
            out.extend((end == 0 || end > 1).then_some(b));
            out.extend((end == 0 || end > 2).then_some(c));
            (group, have) = (0, 0);
        }
    }
    if have != 0 {
        return Err(invalid("invalid base64 end sequence")
            .hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

fn from_hex(text: &str) -> Result<Vec<u8>> {
    let (mut out, mut high) = (Vec::new(), None);
    for c in text.chars() {
        if high.is_none() && matches!(c, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let digit = c.to_digit(16).ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{c}\"")))? as u8;
        match high.take() {
            None => high = Some(digit),
            Some(first) => out.push(first << 4 | digit),
        }
    }
    if high.is_some() { Err(invalid("invalid hexadecimal data: odd number of digits")) } else { Ok(out) }
}

/// Bytes as text with `\nnn` for zero and what is not ASCII, and doubled backslashes.
fn to_escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            0 | 0x80.. => out.push_str(&format!("\\{byte:03o}")),
            b'\\' => out.push_str("\\\\"),
            byte => out.push(char::from(*byte)),
        }
    }
    out
}

fn from_escape(text: &str) -> Result<Vec<u8>> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
        } else if let [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] = after {
            out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = after;
        } else if let [b'\\', after @ ..] = after {
            out.push(b'\\');
            rest = after;
        } else {
            return Err(Error::new(SqlState::InvalidTextRepresentation, "invalid input syntax for type bytea"));
        }
    }
    Ok(out)
}

fn unknown_encoding(name: &str) -> Error {
    invalid(format!("unrecognized encoding: \"{name}\""))
}

fn encode(bytes: &[u8], encoding: &str) -> Result<String> {
    match encoding.to_ascii_lowercase().as_str() {
        "hex" => Ok(hex(bytes)),
        "base64" => Ok(to_base64(bytes)),
        "escape" => Ok(to_escape(bytes)),
        _ => Err(unknown_encoding(encoding)),
    }
}

fn decode(text: &str, encoding: &str) -> Result<Vec<u8>> {
    match encoding.to_ascii_lowercase().as_str() {
        "hex" => from_hex(text),
        "base64" => from_base64(text),
        "escape" => from_escape(text),
        _ => Err(unknown_encoding(encoding)),
    }
}

/// A character set that texts can be converted to and from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    SqlAscii,
    Latin1,
}

fn charset(name: &str, what: &str) -> Result<Charset> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    const KNOWN: &[&str] = &[
        "big5",
        "euccn",
        "eucjis2004",
        "eucjp",
        "euckr",
        "euctw",
        "gb18030",
        "gbk",
        "iso88592",
        "iso88593",
        "iso88594",
        "iso88595",
        "iso88596",
        "iso88597",
        "iso88598",
        "iso88599",
        "iso885910",
        "iso885913",
        "iso885914",
        "iso885915",
        "iso885916",
        "johab",
        "koi8",
        "koi8r",
        "koi8u",
        "latin2",
        "latin3",
        "latin4",
        "latin5",
        "latin6",
        "latin7",
        "latin8",
        "latin9",
        "latin10",
        "muleinternal",
        "shiftjis",
        "shiftjis2004",
        "sjis",
        "uhc",
        "win866",
        "win874",
        "win1250",
        "win1251",
        "win1252",
        "win1253",
        "win1254",
        "win1255",
        "win1256",
        "win1257",
        "win1258",
    ];
    match plain.as_str() {
        "utf8" | "unicode" => Ok(Charset::Utf8),
        "sqlascii" => Ok(Charset::SqlAscii),
        "latin1" | "iso88591" => Ok(Charset::Latin1),
        known if KNOWN.contains(&known) => Err(Error::unsupported(format!("encoding \"{name}\""))),
        _ => Err(invalid(format!("invalid {what} encoding name \"{name}\""))),
    }
}

/// 22021 naming the bytes that are no UTF-8.
fn check_utf8(bytes: &[u8]) -> Result<&str> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => match text.find('\0') {
            None => return Ok(text),
            Some(_) => "0x00".to_owned(),
        },
        Err(error) => {
            let bad = &bytes[error.valid_up_to()..];
            let wanted = match bad[0] {
                0xc0..0xe0 => 2,
                0xe0..0xf0 => 3,
                0xf0..0xf8 => 4,
                _ => 1,
            };
            bad.iter().take(wanted).map(|byte| format!("0x{byte:02x}")).collect::<Vec<_>>().join(" ")
        }
    };
    let message = format!("invalid byte sequence for encoding \"UTF8\": {error}");
    Err(Error::new(SqlState::CharacterNotInRepertoire, message))
}

fn to_latin1(text: &str) -> Result<Vec<u8>> {
    let byte = |c: char| {
        u8::try_from(u32::from(c)).map_err(|_| {
            let mut buffer = [0; 4];
            let bytes: Vec<String> = c.encode_utf8(&mut buffer).bytes().map(|byte| format!("0x{byte:02x}")).collect();
            let message = format!(
                "character with byte sequence {} in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"",
                bytes.join(" ")
            );
            Error::new(SqlState::UntranslatableCharacter, message)
        })
    };
    text.chars().map(byte).collect()
}

fn convert(bytes: &[u8], from: &str, to: &str) -> Result<Vec<u8>> {
    match (charset(from, "source")?, charset(to, "destination")?) {
        (Charset::Utf8, Charset::Latin1) => to_latin1(check_utf8(bytes)?),
        (Charset::Latin1, Charset::Utf8) => {
            let text: String = bytes.iter().copied().map(char::from).collect();
            check_utf8(text.as_bytes()).map(|text| text.as_bytes().to_vec())
        }
        (Charset::Utf8, _) | (_, Charset::Utf8) => check_utf8(bytes).map(|text| text.as_bytes().to_vec()),
        _ => Ok(bytes.to_vec()),
    }
}

fn convert_from(bytes: &[u8], from: &str) -> Result<String> {
    let bytes = convert(bytes, from, "UTF8")?;
    check_utf8(&bytes).map(str::to_owned)
}

fn length_in(bytes: &[u8], encoding: &str) -> Result<i32> {
    let unknown = invalid(format!("invalid encoding name \"{encoding}\""));
    match charset(encoding, "")
        .map_err(|error| if error.code() == SqlState::InvalidParameterValue { unknown } else { error })?
    {
        Charset::Utf8 => check_utf8(bytes).map(|text| text.chars().count() as i32),
        _ => Ok(bytes.len() as i32),
    }
}

fn like_escape(pattern: &[u8], escape: &[u8]) -> Result<Vec<u8>> {
    let escape = match escape {
        [] => None,
        [b'\\'] => return Ok(pattern.to_vec()),
        [escape] => Some(*escape),
        _ => {
            let error = Error::new(SqlState::InvalidEscapeSequence, "invalid escape string");
            return Err(error.hint("Escape string must be empty or one character."));
        }
    };
    let (mut out, mut escaped) = (Vec::with_capacity(pattern.len()), false);
    for byte in pattern {
        if Some(*byte) == escape && !escaped {
            out.push(b'\\');
            escaped = true;
            continue;
        }
        if *byte == b'\\' && !escaped {
            out.push(b'\\');
        }
        out.push(*byte);
        escaped = false;
    }
    Ok(out)
}

fn digest<D: Digest>(bytes: &[u8]) -> Vec<u8> {
    let mut digest = D::new();
    for part in bytes.chunks(1 << 20).take_while(|_| !interrupt::requested()) {
        digest.update(part);
    }
    digest.finalize().to_vec()
}

functions! {
    TABLE:
    safe byteacat(a: &[u8], b: &[u8]) -> Bytes = [a, b].concat().into();
    safe byteaoctetlen(a: &[u8]) -> i32 = a.len() as i32;
    raises bytea_substr(a: &[u8], b: i32, c: i32) -> Bytes = substring(a, b, Some(c));
    raises bytea_substr_no_len(a: &[u8], b: i32) -> Bytes = substring(a, b, None);
    raises byteaoverlay(a: &[u8], b: &[u8], c: i32, d: i32) -> Bytes = overlay(a, b, c, Some(d));
    raises byteaoverlay_no_len(a: &[u8], b: &[u8], c: i32) -> Bytes = overlay(a, b, c, None);
    safe byteapos(a: &[u8], b: &[u8]) -> i32 = position(a, b);
    safe byteatrim(a: &[u8], b: &[u8]) -> Bytes = trim(a, b, true, true);
    safe bytealtrim(a: &[u8], b: &[u8]) -> Bytes = trim(a, b, true, false);
    safe byteartrim(a: &[u8], b: &[u8]) -> Bytes = trim(a, b, false, true);
    raises byteaGetByte(a: &[u8], b: i32) -> i32 = place(b.into(), a.len()).map(|at| i32::from(a[at]));
    raises byteaSetByte(a: &[u8], b: i32, c: i32) -> Vec<u8> = set_byte(a, b, c);
    raises byteaGetBit(a: &[u8], b: i64) -> i32 = get_bit(a, b);
    raises byteaSetBit(a: &[u8], b: i64, c: i32) -> Vec<u8> = set_bit(a, b, c);
    safe bytea_bit_count(a: &[u8]) -> i64 = a.iter().map(|byte| i64::from(byte.count_ones())).sum();
    safe md5_text(a: &str) -> String = hex(&digest::<Md5>(a.as_bytes()));
    safe md5_bytea(a: &[u8]) -> String = hex(&digest::<Md5>(a));
    safe sha224_bytea(a: &[u8]) -> Vec<u8> = digest::<Sha224>(a);
    safe sha256_bytea(a: &[u8]) -> Vec<u8> = digest::<Sha256>(a);
    safe sha384_bytea(a: &[u8]) -> Vec<u8> = digest::<Sha384>(a);
    safe sha512_bytea(a: &[u8]) -> Vec<u8> = digest::<Sha512>(a);
    raises binary_encode(a: &[u8], b: &str) -> String = encode(a, b);
    raises binary_decode(a: &str, b: &str) -> Vec<u8> = decode(a, b);
    raises pg_convert(a: &[u8], b: &str, c: &str) -> Vec<u8> = convert(a, b, c);
    raises pg_convert_from(a: &[u8], b: &str) -> String = convert_from(a, b);
    raises pg_convert_to(a: &str, b: &str) -> Vec<u8> = convert(a.as_bytes(), "UTF8", b);
    raises length_in_encoding(a: &[u8], b: &str) -> i32 = length_in(a, b);
    raises like_escape_bytea(a: &[u8], b: &[u8]) -> Vec<u8> = like_escape(a, b);
}
