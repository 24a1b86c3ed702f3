//! json texts: the parser that validates them and says what is in them, with PostgreSQL's errors, and the text of strings.
//!
//! The parser keeps its place in a list, not on the stack, so that no text overflows it. What follows the errors' DETAIL and
//! CONTEXT is PostgreSQL's `jsonapi.c`: the token that a message names, and the part of the line that is shown.

use crate::error::{Error, Result, SqlState};
use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;

/// How deep arrays and objects may lie in each other.
const DEPTH_MAX: usize = 10_000;
/// Bytes of a line that an error's context shows.
const CONTEXT_BYTES: usize = 50;

/// What a text holds, in its order.
#[derive(Debug)]
pub enum Event<'a> {
    /// `[`
    BeginArray,
    /// `{`
    BeginObject,
    /// `]` or `}`
    End,
    /// A pair's key; its value follows.
    Key(Cow<'a, str>),
    /// null
    Null,
    /// true, false
    Bool(bool),
    /// A number as it is written.
    Number(&'a str),
    /// A string.
    Text(Cow<'a, str>),
}

/// What strings are read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strings {
    /// As they are written: a json value may hold escapes that stand for no character.
    Raw,
    /// As the texts that they mean.
    Text,
}

/// Reads a text to its end and tells `take` what is in it, and where.
///
/// # Errors
/// 22P02, 22P05 with PostgreSQL's details; 54001; what `take` says.
pub fn parse<'a>(
    text: &'a str,
    strings: Strings,
    take: &mut dyn FnMut(Event<'a>, Range<usize>) -> Result<()>,
) -> Result<()> {
    let mut lexer = Lexer { text, strings, start: 0, end: 0, line: 1, line_start: 0, ended: false };
    // Whether what is open is an array.
    let mut open: Vec<bool> = Vec::new();
    let mut token = lexer.next()?;
    loop {
        let place = lexer.start..lexer.end;
        let mut begun = None;
        match token {
            Token::Open(array) => {
                if open.len() == DEPTH_MAX {
                    return Err(too_deep());
                }
                take(if array { Event::BeginArray } else { Event::BeginObject }, place)?;
                open.push(array);
                begun = Some(array);
            }
            Token::String(text) => take(Event::Text(text), place)?,
            Token::Number => take(Event::Number(&text[place.clone()]), place)?,
            Token::Null => take(Event::Null, place)?,
            Token::Bool(value) => take(Event::Bool(value), place)?,
            _ => return Err(lexer.unexpected("Expected JSON value")),
        }
        token = lexer.next()?;
        // Ends of what is open, up to where the next value stands.
        loop {
            let Some(array) = open.last().copied() else {
                return match token {
                    Token::End => Ok(()),
                    _ => Err(lexer.unexpected("Expected end of input")),
                };
            };
            match (token, begun.take()) {
                (Token::Close(closed), _) if closed == array => {
                    take(Event::End, lexer.start..lexer.end)?;
                    open.pop();
                    token = lexer.next()?;
                    continue;
                }
                (first, Some(true)) => token = first,
                (key @ Token::String(_), Some(false)) => token = lexer.key(key, take)?,
                (_, Some(false)) => return Err(lexer.unexpected("Expected string or \"}\"")),
                (Token::Comma, None) if array => token = lexer.next()?,
                (Token::Comma, None) => {
                    let key = lexer.next()?;
                    token = lexer.key(key, take)?;
                }
                (_, None) if array => return Err(lexer.unexpected("Expected \",\" or \"]\"")),
                (_, None) => return Err(lexer.unexpected("Expected \",\" or \"}\"")),
            }
            break;
        }
    }
}

/// Whether a text is json.
///
/// # Errors
/// See [`parse`].
pub fn validate(text: &str) -> Result<()> {
    parse(text, Strings::Raw, &mut |_, _| Ok(()))
}

fn too_deep() -> Error {
    Error::new(SqlState::StatementTooComplex, "stack depth limit exceeded").hint(
        "Increase the configuration parameter \"max_stack_depth\" (currently 2048kB), after ensuring the platform's \
         stack depth limit is adequate.",
    )
}

/// Appends a string in double quotes, escaped as PostgreSQL's `escape_json` does.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            8 => out.push_str("\\b"),
            12 => out.push_str("\\f"),
            control => write!(out, "\\u{control:04x}").expect("a String takes all text"),
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

enum Token<'a> {
    /// Of an array or of an object.
    Open(bool),
    Close(bool),
    Comma,
    Colon,
    String(Cow<'a, str>),
    Number,
    Bool(bool),
    Null,
    End,
}

struct Lexer<'a> {
    text: &'a str,
    strings: Strings,
    /// The token that was read last.
    start: usize,
    end: usize,
    line: usize,
    line_start: usize,
    /// That token is the end.
    ended: bool,
}

/// Letters, digits and what is beyond ASCII make words, for errors too.
fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Result<Token<'a>> {
        let bytes = self.text.as_bytes();
        let mut at = self.end;
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
            at += 1;
            if bytes[at - 1] == b'\n' {
                self.line += 1;
                self.line_start = at;
            }
        }
        self.start = at;
        let Some(first) = bytes.get(at) else {
            self.end = at;
            self.ended = true;
            return Ok(Token::End);
        };
        let single = match first {
            b'{' => Token::Open(false),
            b'}' => Token::Close(false),
            b'[' => Token::Open(true),
            b']' => Token::Close(true),
            b',' => Token::Comma,
            b':' => Token::Colon,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => return self.number(),
            _ => {
                let len = bytes[at..].iter().take_while(|byte| in_word(**byte)).count();
                self.end = at + len.max(1);
                return match &self.text[at..self.end] {
                    "true" => Ok(Token::Bool(true)),
                    "false" => Ok(Token::Bool(false)),
                    "null" => Ok(Token::Null),
                    _ => Err(self.invalid_token()),
                };
            }
        };
        self.end = at + 1;
        Ok(single)
    }

    fn number(&mut self) -> Result<Token<'a>> {
        let bytes = self.text.as_bytes();
        let mut at = self.start;
        let digits = |at: &mut usize| {
            let from = *at;
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at > from
        };
        if bytes[at] == b'-' {
            at += 1;
        }
        let mut valid = if bytes.get(at) == Some(&b'0') {
            at += 1;
            true
        } else {
            digits(&mut at)
        };
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            valid &= digits(&mut at);
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            at += 1;
            if let Some(b'+' | b'-') = bytes.get(at) {
                at += 1;
            }
            valid &= digits(&mut at);
        }
        let rest = bytes[at..].iter().take_while(|byte| in_word(**byte)).count();
        self.end = at + rest;
        if valid && rest == 0 { Ok(Token::Number) } else { Err(self.invalid_token()) }
    }

    /// The string that begins at `start`.
    fn string(&mut self) -> Result<Token<'a>> {
        let bytes = self.text.as_bytes();
        let begin = self.start + 1;
        let (mut at, mut plain) = (begin, begin);
        let mut text = String::new();
        let mut high: Option<u32> = None;
        loop {
            let Some(&byte) = bytes.get(at) else { return Err(self.invalid_up_to(at)) };
            if byte == b'"' {
                break;
            }
            if byte < b' ' {
                // What cannot be printed is left out of the context.
                self.end = at;
                let detail = format!("Character with value 0x{byte:02x} must be escaped.");
                return Err(self.error(SqlState::InvalidTextRepresentation, &detail));
            }
            if byte != b'\\' {
                if high.is_some() && self.strings == Strings::Text {
                    return Err(self.low_surrogate());
                }
                at += 1;
                continue;
            }
            let escape = at;
            at += 1;
            let Some(&kind) = bytes.get(at) else { return Err(self.invalid_up_to(at)) };
            if self.strings == Strings::Text {
                text.push_str(&self.text[plain..escape]);
            }
            if kind == b'u' {
                let code = self.hexadecimal(at)?;
                at += 5;
                plain = at;
                if self.strings == Strings::Text {
                    high = self.unicode(code, high, &mut text)?;
                }
                continue;
            }
            let meant = match kind {
                b'"' | b'\\' | b'/' => char::from(kind),
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                _ => {
                    if high.is_some() {
                        return Err(self.low_surrogate());
                    }
                    self.start = at;
                    self.end = self.after_character(at);
                    let detail = format!("Escape sequence \"\\{}\" is invalid.", &self.text[at..self.end]);
                    return Err(self.error(SqlState::InvalidTextRepresentation, &detail));
                }
            };
            if high.is_some() {
                return Err(self.low_surrogate());
            }
            text.push(meant);
            at += 1;
            plain = at;
        }
        if high.is_some() {
            return Err(self.low_surrogate());
        }
        self.end = at + 1;
        if self.strings == Strings::Raw || plain == begin {
            return Ok(Token::String(Cow::Borrowed(&self.text[begin..at])));
        }
        text.push_str(&self.text[plain..at]);
        Ok(Token::String(Cow::Owned(text)))
    }

    /// The four digits after the `u` at `at`.
    fn hexadecimal(&mut self, at: usize) -> Result<u32> {
        let mut code = 0;
        for at in at + 1..at + 5 {
            let Some(&byte) = self.text.as_bytes().get(at) else { return Err(self.invalid_up_to(at)) };
            let Some(digit) = char::from(byte).to_digit(16) else {
                self.end = self.after_character(at);
                let detail = "\"\\u\" must be followed by four hexadecimal digits.";
                return Err(self.error(SqlState::InvalidTextRepresentation, detail));
            };
            code = code * 16 + digit;
        }
        Ok(code)
    }

    /// Takes an escaped UTF-16 unit; gives the first half of a pair that has to be completed.
    fn unicode(&self, code: u32, high: Option<u32>, text: &mut String) -> Result<Option<u32>> {
        let code = match (code, high) {
            (0xd800..=0xdbff, Some(_)) => {
                let detail = "Unicode high surrogate must not follow a high surrogate.";
                return Err(self.error(SqlState::InvalidTextRepresentation, detail));
            }
            (0xd800..=0xdbff, None) => return Ok(Some(code)),
            (0xdc00..=0xdfff, Some(high)) => 0x10000 + ((high & 0x3ff) << 10) + (code & 0x3ff),
            (0xdc00..=0xdfff, None) | (_, Some(_)) => return Err(self.low_surrogate()),
            (0, None) => {
                let report = self.error(SqlState::UntranslatableCharacter, "\\u0000 cannot be converted to text.");
                return Err(report);
            }
            (code, None) => code,
        };
        text.extend(char::from_u32(code));
        Ok(None)
    }

    /// A pair's key, its colon, and the token after it.
    fn key(
        &mut self,
        token: Token<'a>,
        take: &mut dyn FnMut(Event<'a>, Range<usize>) -> Result<()>,
    ) -> Result<Token<'a>> {
        let Token::String(key) = token else { return Err(self.unexpected("Expected string")) };
        take(Event::Key(key), self.start..self.end)?;
        match self.next()? {
            Token::Colon => self.next(),
            _ => Err(self.unexpected("Expected \":\"")),
        }
    }

    fn after_character(&self, at: usize) -> usize {
        self.text[at..].chars().next().map_or(at, |c| at + c.len_utf8())
    }

    fn invalid_up_to(&mut self, end: usize) -> Error {
        self.end = end;
        self.invalid_token()
    }

    fn invalid_token(&self) -> Error {
        let detail = format!("Token \"{}\" is invalid.", &self.text[self.start..self.end]);
        self.error(SqlState::InvalidTextRepresentation, &detail)
    }

    fn low_surrogate(&self) -> Error {
        self.error(SqlState::InvalidTextRepresentation, "Unicode low surrogate must follow a high surrogate.")
    }

    /// The token is not what `expected` says.
    fn unexpected(&self, expected: &str) -> Error {
        let detail = match self.ended {
            true => "The input string ended unexpectedly.".to_owned(),
            false => format!("{expected}, but found \"{}\".", &self.text[self.start..self.end]),
        };
        self.error(SqlState::InvalidTextRepresentation, &detail)
    }

    fn error(&self, code: SqlState, detail: &str) -> Error {
        let message = match code {
            SqlState::UntranslatableCharacter => "unsupported Unicode escape sequence",
            _ => "invalid input syntax for type json",
        };
        Error::new(code, message).detail(detail).context(self.context())
    }

    /// The line up to the token.
    fn context(&self) -> String {
        let mut from = self.line_start;
        while self.end - from >= CONTEXT_BYTES {
            from = self.after_character(from);
        }
        if from - self.line_start <= 3 {
            from = self.line_start;
        }
        let before = if from > self.line_start { "..." } else { "" };
        let cut = !self.ended && !matches!(self.text.as_bytes().get(self.end), None | Some(b'\n' | b'\r'));
        let after = if cut { "..." } else { "" };
        format!("JSON data, line {}: {before}{}{after}", self.line, &self.text[from..self.end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(text: &str, strings: Strings) -> String {
        let error = parse(text, strings, &mut |_, _| Ok(())).expect_err(text);
        error.report().detail.clone().unwrap_or_default()
    }

    #[test]
    fn what_is_wrong_is_said_as_postgresql_says_it() {
        let cases = [
            ("", "The input string ended unexpectedly."),
            ("{", "The input string ended unexpectedly."),
            ("[1,]", "Expected JSON value, but found \"]\"."),
            ("[1 2]", "Expected \",\" or \"]\", but found \"2\"."),
            ("{1:2}", "Expected string or \"}\", but found \"1\"."),
            ("{\"a\" 2}", "Expected \":\", but found \"2\"."),
            ("{\"a\":1,}", "Expected string, but found \"}\"."),
            ("{\"a\":1]", "Expected \",\" or \"}\", but found \"]\"."),
            ("1 1", "Expected end of input, but found \"1\"."),
            ("01", "Token \"01\" is invalid."),
            ("1.", "Token \"1.\" is invalid."),
            ("nul", "Token \"nul\" is invalid."),
            ("\"a", "Token \"\"a\" is invalid."),
            ("\"\\v\"", "Escape sequence \"\\v\" is invalid."),
            ("\"\\u00x\"", "\"\\u\" must be followed by four hexadecimal digits."),
            ("\"\t\"", "Character with value 0x09 must be escaped."),
        ];
        for (text, expected) in cases {
            assert_eq!(detail(text, Strings::Raw), expected, "{text}");
        }
        assert!(validate("\"\\ud800 \\u0000\"").is_ok());
        assert_eq!(detail("\"\\u0000\"", Strings::Text), "\\u0000 cannot be converted to text.");
        assert!(detail("\"\\ud800x\"", Strings::Text).contains("low surrogate"));
    }

    #[test]
    fn no_beginning_of_a_text_is_taken_or_panics() {
        let text = "{\"a\": [1, -2.5e+3, true, null, \"\\ud83d\\ude00 \\n\u{e9}\", {}]}";
        assert!(validate(text).is_ok());
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            for strings in [Strings::Raw, Strings::Text] {
                assert!(parse(&text[..end], strings, &mut |_, _| Ok(())).is_err());
            }
        }
        let deep = "[".repeat(100_000);
        assert_eq!(validate(&deep).expect_err("too deep").code(), SqlState::StatementTooComplex);
    }
}
