//! `LIKE` and `ILIKE`.

use super::inline::functions;
use super::string::lower;
use crate::error::{Error, Result, SqlState};
use crate::interrupt;

/// Bytes of the character that starts with `lead`, in UTF-8.
fn utf8_width(lead: u8) -> usize {
    match lead {
        0..0xc0 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}

fn trailing_escape() -> Error {
    Error::new(SqlState::InvalidEscapeSequence, "LIKE pattern must not end with escape character")
}

/// Whether `text` matches the LIKE `pattern` with escape character backslash; `width` tells a character's bytes.
///
/// After a mismatch only the last `%` seen needs to take one more character: an earlier one could not do better.
fn like(text: &[u8], pattern: &[u8], width: fn(u8) -> usize) -> Result<bool> {
    let (mut t, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let matched = match pattern.get(p) {
            Some(b'%') => {
                p += 1;
                if pattern.get(p) == Some(&b'\\') && p + 1 == pattern.len() {
                    return Err(trailing_escape());
                }
                retry = Some((t, p));
                continue;
            }
            Some(b'_') => {
                t += width(text[t]);
                p += 1;
                true
            }
            Some(b'\\') => {
                let literal = *pattern.get(p + 1).ok_or_else(trailing_escape)?;
                let same = text[t] == literal;
                if same {
                    t += 1;
                    p += 2;
                }
                same
            }
            Some(byte) if *byte == text[t] => {
                t += 1;
                p += 1;
                true
            }
            _ => false,
        };
        if !matched {
            let Some((from, after)) = retry else { return Ok(false) };
            if from & 0xfff == 0 {
                interrupt::check()?;
            }
            // Within the text: `from` was before the mismatch, at a character's start.
            let next = from + width(text[from]);
            (t, p, retry) = (next, after, Some((next, after)));
        }
    }
    Ok(pattern[p..].iter().all(|byte| *byte == b'%'))
}

fn text_like(text: &str, pattern: &str) -> Result<bool> {
    like(text.as_bytes(), pattern.as_bytes(), utf8_width)
}

fn text_ilike(text: &str, pattern: &str) -> Result<bool> {
    text_like(&lower(text), &lower(pattern))
}

fn bytes_like(text: &[u8], pattern: &[u8]) -> Result<bool> {
    like(text, pattern, |_| 1)
}

/// The pattern with `escape` as escape character, rewritten for backslash.
fn escape_pattern(pattern: &str, escape: &str) -> Result<String> {
    let mut chars = escape.chars();
    let escape = match (chars.next(), chars.next()) {
        (None, _) => return Ok(pattern.replace('\\', "\\\\")),
        (Some('\\'), None) => return Ok(pattern.to_owned()),
        (Some(escape), None) => escape,
        _ => {
            let error = Error::new(SqlState::InvalidEscapeSequence, "invalid escape string");
            return Err(error.hint("Escape string must be empty or one character."));
        }
    };
    let mut out = String::with_capacity(pattern.len());
    let mut escaped = false;
    for c in pattern.chars() {
        if c == escape && !escaped {
            out.push('\\');
            escaped = true;
            continue;
        }
        if c == '\\' && !escaped {
            out.push('\\');
        }
        out.push(c);
        escaped = false;
    }
    Ok(out)
}

functions! {
    TABLE:
    raises textlike(a: &str, b: &str) -> bool = text_like(a, b);
    raises textnlike(a: &str, b: &str) -> bool = text_like(a, b).map(|found| !found);
    raises namelike(a: &str, b: &str) -> bool = text_like(a, b);
    raises namenlike(a: &str, b: &str) -> bool = text_like(a, b).map(|found| !found);
    raises bytealike(a: &[u8], b: &[u8]) -> bool = bytes_like(a, b);
    raises byteanlike(a: &[u8], b: &[u8]) -> bool = bytes_like(a, b).map(|found| !found);
    raises texticlike(a: &str, b: &str) -> bool = text_ilike(a, b);
    raises texticnlike(a: &str, b: &str) -> bool = text_ilike(a, b).map(|found| !found);
    raises nameiclike(a: &str, b: &str) -> bool = text_ilike(a, b);
    raises nameicnlike(a: &str, b: &str) -> bool = text_ilike(a, b).map(|found| !found);
    raises like_escape(a: &str, b: &str) -> String = escape_pattern(a, b);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_patterns() {
        for (text, pattern, expected) in [
            ("", "%", true),
            ("", "_", false),
            ("äbc", "_b%", true),
            ("aXbXc", "a%X_", true),
            ("mississippi", "%iss%ip%", true),
            ("mississippi", "%iss%ib%", false),
            ("50%", "50\\%", true),
            ("505", "50\\%", false),
            ("a", "a\\", false),
        ] {
            assert_eq!(text_like(text, pattern).unwrap(), expected, "{text} like {pattern}");
        }
        assert_eq!(text_like("ab", "a\\").unwrap_err().code(), SqlState::InvalidEscapeSequence);
        assert!(text_ilike("ÄB", "äb").unwrap());
        assert_eq!(escape_pattern("a#%\\b##", "#").unwrap(), "a\\%\\\\b\\#");
    }
}
