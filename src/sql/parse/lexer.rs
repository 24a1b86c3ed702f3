//! The lexer: a text into tokens by the rules of PostgreSQL's `scan.l`.
//!
//! A token is 16 bytes and holds no text: what it means is read from the source when the parser asks, so that a statement
//! of many megabytes costs little beside itself. Every error that `scan.l` raises is raised here, with its text and place;
//! strings and quoted identifiers with escapes are checked here and decoded on demand.

use super::keywords;
use crate::error::{Error, Result, SqlState};

/// Most tokens of one text; beyond it 54000.
const TOKENS_MAX: usize = 40_000_000;
/// Most bytes of an identifier.
const NAME_BYTES_MAX: usize = 63;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An unquoted word that is no keyword.
    Word,
    /// A keyword, by its place in [`keywords::KEYWORDS`].
    Keyword(u16),
    /// `"…"`
    QuotedName,
    /// `U&"…"`
    UnicodeName,
    /// `'…'`, with its continuations on further lines.
    String,
    /// `E'…'`
    EscapeString,
    /// `U&'…'`
    UnicodeString,
    /// `$tag$…$tag$`
    DollarString,
    /// `B'…'` and `X'…'`
    Bits,
    /// Digits that fit int4.
    Integer,
    /// Any other number.
    Number,
    /// `$n`
    Param,
    /// A single character with a meaning of its own: `, ( ) [ ] . ; : + - * / % ^ < > =`
    Sign(u8),
    /// `::`
    Cast,
    /// `..`
    DotDot,
    /// `:=`
    ColonEquals,
    /// `=>`
    EqualsGreater,
    /// `<=`
    LessEquals,
    /// `>=`
    GreaterEquals,
    /// `<>` and `!=`
    NotEquals,
    /// Any other operator.
    Operator,
    /// The end of the text.
    End,
}

/// A token: its bytes in the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub kind: Kind,
    pub start: u32,
    pub end: u32,
}

/// The 1-based character position of a byte.
pub(crate) fn position(text: &str, byte: usize) -> u32 {
    text.as_bytes()[..byte.min(text.len())].iter().filter(|b| (**b as i8) >= -0x40).count() as u32 + 1
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_name_part(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}

/// Splits a text into tokens, the last of which is [`Kind::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>> {
    if text.len() > u32::MAX as usize - 1 {
        return Err(Error::new(SqlState::ProgramLimitExceeded, "the query string is too long"));
    }
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0, keywords: true };
    let mut tokens = Vec::with_capacity(text.len() / 5 + 2);
    loop {
        let token = lexer.next()?;
        tokens.push(token);
        if token.kind == Kind::End {
            return Ok(tokens);
        }
        if tokens.len() > TOKENS_MAX {
            return Err(Error::new(SqlState::ProgramLimitExceeded, "the query string has too many tokens"));
        }
    }
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Words are told from keywords.
    keywords: bool,
}

impl<'a> Lexer<'a> {
    /// One that takes every word for [`Kind::Word`], for who looks at literals only.
    pub(super) fn for_literals(text: &'a str) -> Lexer<'a> {
        Lexer { text, bytes: text.as_bytes(), at: 0, keywords: false }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// `message at or near "…"`, quoting the text from `start` to where the lexer stands.
    fn error(&self, message: &str, start: usize) -> Error {
        let mut end = self.at.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        let near = &self.text[start..end];
        let message = match near {
            "" => format!("{message} at end of input"),
            _ => format!("{message} at or near \"{near}\""),
        };
        Error::new(SqlState::SyntaxError, message).at(position(self.text, start))
    }

    pub(super) fn next(&mut self) -> Result<Token> {
        self.skip_space()?;
        let start = self.at;
        let kind = self.kind(start)?;
        Ok(Token { kind, start: start as u32, end: self.at as u32 })
    }

    fn skip_space(&mut self) -> Result<()> {
        loop {
            let byte = self.peek(0);
            if self.at < self.bytes.len() && is_space(byte) {
                self.at += 1;
            } else if byte == b'-' && self.peek(1) == b'-' {
                self.skip_line();
            } else if byte == b'/' && self.peek(1) == b'*' {
                self.skip_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    fn skip_line(&mut self) {
        while self.at < self.bytes.len() && !matches!(self.bytes[self.at], b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Block comments nest.
    fn skip_comment(&mut self) -> Result<()> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            if self.at >= self.bytes.len() {
                return Err(self.error("unterminated /* comment", start));
            }
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    fn kind(&mut self, start: usize) -> Result<Kind> {
        if self.at >= self.bytes.len() {
            return Ok(Kind::End);
        }
        let byte = self.bytes[start];
        let next = self.peek(1);
        match byte {
            b'\'' => self.string(start, 1, false, Kind::String, "unterminated quoted string"),
            b'"' => self.quoted_name(start, 1, Kind::QuotedName),
            b'e' | b'E' if next == b'\'' => {
                self.string(start, 2, true, Kind::EscapeString, "unterminated quoted string")
            }
            b'b' | b'B' if next == b'\'' => self.bits(start, "unterminated bit string literal"),
            b'x' | b'X' if next == b'\'' => self.bits(start, "unterminated hexadecimal string literal"),
            b'n' | b'N' if next == b'\'' => {
                // NCHAR literals: the word is dropped, as scan.l's `n'…'` is char 'n' of the keyword NCHAR.
                self.string(start, 2, false, Kind::String, "unterminated quoted string")
            }
            b'u' | b'U' if next == b'&' && self.peek(2) == b'\'' => {
                self.string(start, 3, false, Kind::UnicodeString, "unterminated quoted string")
            }
            b'u' | b'U' if next == b'&' && self.peek(2) == b'"' => self.quoted_name(start, 3, Kind::UnicodeName),
            b'$' if next.is_ascii_digit() => self.param(start),
            b'$' => self.dollar(start),
            b'0'..=b'9' => self.number(start),
            b'.' if next.is_ascii_digit() => self.number(start),
            b'.' if next == b'.' => self.sign(2, Kind::DotDot),
            b':' if next == b':' => self.sign(2, Kind::Cast),
            b':' if next == b'=' => self.sign(2, Kind::ColonEquals),
            b',' | b'(' | b')' | b'[' | b']' | b'.' | b';' | b':' => self.sign(1, Kind::Sign(byte)),
            _ if is_operator(byte) => Ok(self.operator(start)),
            _ if is_name_start(byte) => {
                self.skip_name();
                let found = if self.keywords { keywords::lookup(&self.text[start..self.at]) } else { None };
                Ok(found.map_or(Kind::Word, |index| Kind::Keyword(index as u16)))
            }
            _ => {
                self.at += 1;
                Err(self.error("syntax error", start))
            }
        }
    }

    fn skip_name(&mut self) {
        while self.at < self.bytes.len() && is_name_part(self.bytes[self.at]) {
            self.at += 1;
        }
    }

    fn sign(&mut self, length: usize, kind: Kind) -> Result<Kind> {
        self.at += length;
        Ok(kind)
    }

    fn param(&mut self, start: usize) -> Result<Kind> {
        self.at += 1;
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
        if is_name_start(self.peek(0)) {
            self.skip_name();
            return Err(self.error("trailing junk after parameter", start));
        }
        Ok(Kind::Param)
    }

    fn number(&mut self, start: usize) -> Result<Kind> {
        let digits = |lexer: &mut Self| {
            while lexer.peek(0).is_ascii_digit() {
                lexer.at += 1;
            }
        };
        digits(self);
        let mut integer = true;
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            integer = false;
            self.at += 1;
            digits(self);
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                integer = false;
                self.at += 1 + sign;
                digits(self);
            } else {
                self.at += 1 + sign;
                self.skip_name();
                return Err(self.error("trailing junk after numeric literal", start));
            }
        }
        if is_name_start(self.peek(0)) {
            self.skip_name();
            return Err(self.error("trailing junk after numeric literal", start));
        }
        let small = integer && self.text[start..self.at].parse::<i32>().is_ok();
        Ok(if small { Kind::Integer } else { Kind::Number })
    }

    /// The longest operator that neither begins a comment nor, without a special character in it, ends in a sign.
    fn operator(&mut self, start: usize) -> Kind {
        while self.at < self.bytes.len() && is_operator(self.bytes[self.at]) {
            if self.at > start && matches!((self.peek(0), self.peek(1)), (b'/', b'*') | (b'-', b'-')) {
                break;
            }
            self.at += 1;
        }
        let special = |byte: &u8| matches!(byte, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%');
        while self.at > start + 1
            && matches!(self.bytes[self.at - 1], b'+' | b'-')
            && !self.bytes[start..self.at - 1].iter().any(special)
        {
            self.at -= 1;
        }
        match &self.bytes[start..self.at] {
            [sign @ (b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'<' | b'>' | b'=')] => Kind::Sign(*sign),
            b"=>" => Kind::EqualsGreater,
            b"<=" => Kind::LessEquals,
            b">=" => Kind::GreaterEquals,
            b"<>" | b"!=" => Kind::NotEquals,
            _ => Kind::Operator,
        }
    }

    /// A quoted string: to its closing quote, and on through `'…'` pieces that follow on later lines.
    fn string(&mut self, start: usize, prefix: usize, escapes: bool, kind: Kind, message: &str) -> Result<Kind> {
        self.at += prefix;
        loop {
            match self.peek(0) {
                _ if self.at >= self.bytes.len() => return Err(self.error(message, start)),
                b'\\' if escapes => self.at += 2.min(self.bytes.len() - self.at),
                b'\'' if self.peek(1) == b'\'' => self.at += 2,
                b'\'' => {
                    self.at += 1;
                    if !self.continued() {
                        break;
                    }
                }
                _ => self.at += 1,
            }
        }
        if escapes {
            let token = Token { kind, start: start as u32, end: self.at as u32 };
            string_value(self.text, token)?;
        }
        Ok(kind)
    }

    /// Whether white space with a line end, then a quote follows: then the lexer stands behind that quote.
    fn continued(&mut self) -> bool {
        let back = self.at;
        let mut newline = false;
        loop {
            match self.peek(0) {
                _ if self.at >= self.bytes.len() => break,
                b'\n' | b'\r' => {
                    newline = true;
                    self.at += 1;
                }
                byte if is_space(byte) => self.at += 1,
                b'-' if self.peek(1) == b'-' => self.skip_line(),
                b'\'' if newline => {
                    self.at += 1;
                    return true;
                }
                _ => break,
            }
        }
        self.at = back;
        false
    }

    fn bits(&mut self, start: usize, message: &str) -> Result<Kind> {
        self.string(start, 2, false, Kind::Bits, message)
    }

    fn quoted_name(&mut self, start: usize, prefix: usize, kind: Kind) -> Result<Kind> {
        self.at += prefix;
        let body = self.at;
        loop {
            match self.peek(0) {
                _ if self.at >= self.bytes.len() => return Err(self.error("unterminated quoted identifier", start)),
                b'"' if self.peek(1) == b'"' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        if self.at == body + 1 {
            return Err(self.error("zero-length delimited identifier", start));
        }
        Ok(kind)
    }

    fn dollar(&mut self, start: usize) -> Result<Kind> {
        let mut end = start + 1;
        if end < self.bytes.len() && is_name_start(self.bytes[end]) {
            while end < self.bytes.len() && is_name_part(self.bytes[end]) && self.bytes[end] != b'$' {
                end += 1;
            }
        }
        if self.bytes.get(end) != Some(&b'$') {
            self.at += 1;
            return Err(self.error("syntax error", start));
        }
        let tag = &self.text[start..=end];
        match self.text[end + 1..].find(tag) {
            Some(offset) => {
                self.at = end + 1 + offset + tag.len();
                Ok(Kind::DollarString)
            }
            None => {
                self.at = self.bytes.len();
                Err(self.error("unterminated dollar-quoted string", start))
            }
        }
    }
}

/// An identifier's name: folded and cut, or unquoted.
pub(crate) fn name_value(text: &str, token: Token) -> Result<String> {
    let source = &text[token.start as usize..token.end as usize];
    let name = match token.kind {
        Kind::QuotedName => source[1..source.len() - 1].replace("\"\"", "\""),
        Kind::UnicodeName => {
            let body = source[3..source.len() - 1].replace("\"\"", "\"");
            unicode_escapes(&body, '\\', text, token.start as usize)?
        }
        // Only ASCII letters are folded in a multi-byte encoding.
        _ => source.to_ascii_lowercase(),
    };
    Ok(truncate_name(name))
}

/// Cuts a name at 63 bytes, at a character's edge.
pub(crate) fn truncate_name(mut name: String) -> String {
    if name.len() > NAME_BYTES_MAX {
        let mut end = NAME_BYTES_MAX;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
    name
}

/// The value of any string token ([`Kind::Bits`]: its prefix in lower case, then its digits).
pub(crate) fn string_value(text: &str, token: Token) -> Result<String> {
    let start = token.start as usize;
    let source = &text[start..token.end as usize];
    match token.kind {
        Kind::DollarString => {
            let tag = source[1..].find('$').map_or(source.len(), |i| i + 2);
            Ok(source[tag..source.len() - tag].to_owned())
        }
        Kind::EscapeString => {
            let mut out = Vec::with_capacity(source.len());
            for (offset, piece) in pieces(source, 1, true) {
                escapes(piece, &mut out, text, start + offset)?;
            }
            String::from_utf8(out).map_err(|error| {
                let at = error.utf8_error().valid_up_to();
                let bad: Vec<String> = error.as_bytes()[at..].iter().take(1).map(|b| format!("0x{b:02x}")).collect();
                let message = format!("invalid byte sequence for encoding \"UTF8\": {}", bad.join(" "));
                Error::new(SqlState::CharacterNotInRepertoire, message)
            })
        }
        Kind::UnicodeString => unicode_value(text, token, '\\'),
        Kind::Bits => {
            let digits: String = pieces(source, 1, false).map(|(_, piece)| piece).collect();
            Ok(format!("{}{digits}", source[..1].to_ascii_lowercase()))
        }
        _ => {
            let prefix = usize::from(!source.starts_with('\''));
            let mut pieces = pieces(source, prefix, false);
            let first = pieces.next().map_or("", |(_, piece)| piece);
            let mut value = if first.contains('\'') { first.replace("''", "'") } else { first.to_owned() };
            pieces.for_each(|(_, piece)| value.push_str(&piece.replace("''", "'")));
            Ok(value)
        }
    }
}

/// The value of a `U&` string or name with this escape character.
pub(super) fn unicode_value(text: &str, token: Token, escape: char) -> Result<String> {
    let start = token.start as usize;
    let source = &text[start..token.end as usize];
    let body: String = match token.kind {
        Kind::UnicodeName => source[3..source.len() - 1].replace("\"\"", "\""),
        _ => pieces(source, 2, false).map(|(_, piece)| piece.replace("''", "'")).collect(),
    };
    unicode_escapes(&body, escape, text, start)
}

/// The bodies of a string's pieces with their offsets in the token.
fn pieces(source: &str, prefix: usize, escapes: bool) -> impl Iterator<Item = (usize, &str)> {
    let bytes = source.as_bytes();
    let mut at = prefix;
    std::iter::from_fn(move || {
        while at < bytes.len() && bytes[at] != b'\'' {
            // Between pieces only white space and `--` comments stand; a quote inside a comment is none.
            if bytes[at] == b'-' {
                while at < bytes.len() && !matches!(bytes[at], b'\n' | b'\r') {
                    at += 1;
                }
            } else {
                at += 1;
            }
        }
        if at >= bytes.len() {
            return None;
        }
        let body = at + 1;
        at = body;
        loop {
            match bytes[at] {
                b'\\' if escapes => at += 2,
                b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
                b'\'' => break,
                _ => at += 1,
            }
        }
        at += 1;
        Some((body, &source[body..at - 1]))
    })
}

/// Decodes the backslash escapes of an E string.
fn escapes(piece: &str, out: &mut Vec<u8>, text: &str, start: usize) -> Result<()> {
    let bytes = piece.as_bytes();
    let mut at = 0;
    let mut high: Option<u32> = None;
    while at < bytes.len() {
        if high.is_some() && !(bytes[at] == b'\\' && matches!(bytes.get(at + 1), Some(b'u' | b'U'))) {
            let near = piece[at..].chars().next().map_or(0, char::len_utf8);
            return Err(near_escape("invalid Unicode surrogate pair", text, start + at, near));
        }
        if bytes[at] == b'\'' {
            out.push(b'\'');
            at += 2;
            continue;
        }
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let Some(&letter) = bytes.get(at + 1) else { break };
        let rest = &bytes[at + 2..];
        let digits = |rest: &[u8], most: usize, radix: u32| {
            rest.iter().take(most).take_while(|b| (**b as char).is_digit(radix)).count()
        };
        let mut length = 2;
        match letter {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'0'..=b'7' => {
                let count = digits(&bytes[at + 1..], 3, 8);
                let value = u32::from_str_radix(&piece[at + 1..at + 1 + count], 8).unwrap_or(0);
                push_byte(out, value as u8, text, start + at)?;
                length = 1 + count;
            }
            b'x' if digits(rest, 2, 16) > 0 => {
                let count = digits(rest, 2, 16);
                let value = u32::from_str_radix(&piece[at + 2..at + 2 + count], 16).unwrap_or(0);
                push_byte(out, value as u8, text, start + at)?;
                length = 2 + count;
            }
            b'u' | b'U' => {
                let count = if letter == b'u' { 4 } else { 8 };
                if digits(rest, count, 16) < count {
                    return Err(Error::new(SqlState::InvalidEscapeSequence, "invalid Unicode escape")
                        .hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
                        .at(position(text, start + at)));
                }
                let value = u32::from_str_radix(&piece[at + 2..at + 2 + count], 16).unwrap_or(0);
                let refuse = |message| near_escape(message, text, start + at, 2 + count);
                if let Some(c) = combine(&mut high, value).map_err(|()| refuse("invalid Unicode surrogate pair"))? {
                    let c = char::from_u32(c).filter(|c| *c != '\0');
                    let c = c.ok_or_else(|| refuse("invalid Unicode escape value"))?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                length = 2 + count;
            }
            _ => {
                // Any other character stands for itself; all its bytes follow.
                out.push(letter);
            }
        }
        at += length;
    }
    match high {
        Some(_) => Err(near_escape("invalid Unicode surrogate pair", text, start + at, 1)),
        None => Ok(()),
    }
}

fn push_byte(out: &mut Vec<u8>, byte: u8, _text: &str, _at: usize) -> Result<()> {
    if byte == 0 {
        return Err(Error::new(
            SqlState::CharacterNotInRepertoire,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ));
    }
    out.push(byte);
    Ok(())
}

/// Joins surrogate pairs; `None` after a first half.
fn combine(high: &mut Option<u32>, value: u32) -> std::result::Result<Option<u32>, ()> {
    match (high.take(), value) {
        (None, 0xd800..=0xdbff) => {
            *high = Some(value);
            Ok(None)
        }
        (None, 0xdc00..=0xdfff) => Err(()),
        (None, value) => Ok(Some(value)),
        (Some(first), 0xdc00..=0xdfff) => Ok(Some(0x10000 + ((first - 0xd800) << 10) + (value - 0xdc00))),
        (Some(_), _) => Err(()),
    }
}

/// 42601 that names a part of an E string.
fn near_escape(message: &str, text: &str, at: usize, length: usize) -> Error {
    let near = text.get(at..at + length).unwrap_or("'");
    Error::new(SqlState::SyntaxError, format!("{message} at or near \"{near}\"")).at(position(text, at))
}

fn surrogate(text: &str, at: usize) -> Error {
    Error::new(SqlState::SyntaxError, "invalid Unicode surrogate pair").at(position(text, at))
}

fn checked_char(value: u32, text: &str, at: usize) -> Result<char> {
    match char::from_u32(value) {
        Some(c) if value != 0 => Ok(c),
        _ => Err(Error::new(SqlState::SyntaxError, "invalid Unicode escape value").at(position(text, at))),
    }
}

/// Decodes `\XXXX` and `\+XXXXXX`.
fn unicode_escapes(body: &str, escape: char, text: &str, start: usize) -> Result<String> {
    let mut out = String::with_capacity(body.len());
    let mut high = None;
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        // Behind `U&` and the quote; doubled quotes before it would shift it.
        let start = start + 3 + (body.len() - rest.len());
        if c != escape {
            if high.is_some() {
                return Err(surrogate(text, start));
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let after = &rest[escape.len_utf8()..];
        if after.starts_with(escape) {
            out.push(escape);
            rest = &after[escape.len_utf8()..];
            continue;
        }
        let (digits, skip) = if after.starts_with('+') { (after.get(1..7), 7) } else { (after.get(..4), 4) };
        let value = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())).map(|d| u32::from_str_radix(d, 16));
        let Some(Ok(value)) = value else {
            return Err(Error::new(SqlState::SyntaxError, "invalid Unicode escape")
                .hint("Unicode escapes must be \\XXXX or \\+XXXXXX.")
                .at(position(text, start)));
        };
        if let Some(value) = combine(&mut high, value).map_err(|()| surrogate(text, start))? {
            out.push(checked_char(value, text, start)?);
        }
        rest = &after[skip..];
    }
    match high {
        Some(_) => Err(surrogate(text, start + 3 + body.len())),
        None => Ok(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        let tokens = tokens(text).expect("lexes");
        let value = |token: &Token| match token.kind {
            Kind::String | Kind::EscapeString | Kind::UnicodeString | Kind::DollarString | Kind::Bits => {
                string_value(text, *token).expect("decodes")
            }
            Kind::Word | Kind::QuotedName | Kind::UnicodeName => name_value(text, *token).expect("decodes"),
            _ => text[token.start as usize..token.end as usize].to_owned(),
        };
        tokens[..tokens.len() - 1].iter().map(value).collect()
    }

    #[test]
    fn strings_and_names() {
        assert_eq!(values("'it''s' 'b'"), ["it's", "b"]);
        assert_eq!(values("'a' -- x 'y'\n 'b' \n'c'"), ["abc"]);
        assert_eq!(values(r"E'a\n\x41\u00e4\\\'' U&'d\0061t\+000061' $x$a$$b'$x$"), ["a\nAä\\'", "data", "a$$b'"]);
        assert_eq!(values("Foo \"Foo\"\"\" äÖ B'101' X'1F'"), ["foo", "Foo\"", "äÖ", "b101", "x1F"]);
    }

    #[test]
    fn operators_and_numbers() {
        assert_eq!(
            values("a<-1 b@-1 1..2 1.5e3 .5 5. x!=y --c\n/* /* */ */+"),
            ["a", "<", "-", "1", "b", "@-", "1", "1", "..", "2", "1.5e3", ".5", "5.", "x", "!=", "y", "+"]
        );
    }

    #[test]
    fn errors() {
        let message = |text| tokens(text).expect_err("refused").report().message.clone();
        assert_eq!(message("select 'abc"), "unterminated quoted string at or near \"'abc\"");
        assert_eq!(message("select 12ab"), "trailing junk after numeric literal at or near \"12ab\"");
        assert_eq!(message("select /* x"), "unterminated /* comment at or near \"/* x\"");
    }
}
