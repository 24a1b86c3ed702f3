//! COPY's three file formats: splitting arriving chunks into rows of fields, and writing rows.
//!
//! A reader is fed chunks as they come off the wire and gives whole rows; a row that is not complete yet stays in it. Text and
//! csv follow <https://www.postgresql.org/docs/15/sql-copy.html> ("File Formats"); binary likewise, PGCOPY signature included.

use crate::error::{Error, Result, SqlState};
use crate::wire::frontend::utf8;
use bytes::{Buf, BufMut, BytesMut};
use std::ops::Range;

/// A single line, or a single binary field, may be as large as PostgreSQL's largest value.
const ROW_BYTES_MAX: usize = 1 << 30;
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Which format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Format {
    #[default]
    Text,
    Csv,
    Binary,
}

/// HEADER.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Header {
    #[default]
    No,
    Yes,
    Match,
}

/// The options of one COPY, checked.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct CopyFormat {
    pub format: Format,
    pub delimiter: u8,
    pub null: String,
    pub header: Header,
    pub quote: u8,
    pub escape: u8,
    /// Per column: FORCE_QUOTE (to), FORCE_NOT_NULL and FORCE_NULL (from).
    pub force_quote: Vec<bool>,
    pub force_not_null: Vec<bool>,
    pub force_null: Vec<bool>,
}

impl CopyFormat {
    /// The defaults of `format` for `columns` columns.
    pub fn new(format: Format, columns: usize) -> CopyFormat {
        CopyFormat {
            format,
            delimiter: if format == Format::Csv { b',' } else { b'\t' },
            null: if format == Format::Csv { String::new() } else { "\\N".to_owned() },
            header: Header::No,
            quote: b'"',
            escape: b'"',
            force_quote: vec![false; columns],
            force_not_null: vec![false; columns],
            force_null: vec![false; columns],
        }
    }
}

/// Where a field's bytes lie: in the input as it came, or unescaped.
#[derive(Clone, Debug)]
enum Place {
    Input(Range<usize>),
    Scratch(Range<usize>),
}

/// Splits chunks into rows. A row's fields lie where they arrived until the next row is asked for.
#[derive(Debug)]
pub struct CopyReader {
    options: CopyFormat,
    input: Vec<u8>,
    /// Where the first row not yet given begins in `input`.
    at: usize,
    /// How far `input` has been searched for the end of that row, and whether inside quotes there.
    searched: usize,
    quoted: bool,
    /// `\.` or the binary trailer has been seen.
    ended: bool,
    started: bool,
    finished_input: bool,
    /// A line is being split: it is whole and its bytes are good.
    splitting: bool,
    /// Rows (text, csv: lines) given so far, for messages.
    pub line: u64,
    /// The line last split, for messages.
    raw: Range<usize>,
    /// The row's fields; `None` is NULL. In text and csv the bytes are UTF-8.
    fields: Vec<Option<Place>>,
    scratch: Vec<u8>,
}

impl CopyReader {
    /// A reader at the start of its input.
    pub fn new(options: CopyFormat) -> CopyReader {
        CopyReader {
            options,
            input: Vec::new(),
            at: 0,
            searched: 0,
            quoted: false,
            ended: false,
            started: false,
            finished_input: false,
            splitting: false,
            line: 0,
            raw: 0..0,
            fields: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Takes a chunk. The row given last is gone.
    pub fn feed(&mut self, chunk: &[u8]) {
        if self.at > 0 {
            self.input.drain(..self.at);
            self.searched -= self.at;
            (self.at, self.raw) = (0, 0..0);
            self.fields.clear();
        }
        if !self.ended {
            self.input.extend_from_slice(chunk);
        }
    }

    /// No more chunks will come: a last line without its end is a row.
    pub fn finish(&mut self) {
        self.finished_input = true;
    }

    /// Goes on to the next whole row; `false`: more chunks are needed, or it was the last.
    ///
    /// # Errors
    /// 22P04 for a malformed file, 22021 for bytes that are not UTF-8, 54000 for a row that is too large.
    pub fn next_row(&mut self) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        match self.options.format {
            Format::Binary => self.next_binary(),
            Format::Text | Format::Csv => self.next_line(),
        }
    }

    /// Number of the row's fields.
    pub fn count(&self) -> usize {
        self.fields.len()
    }

    /// The row's field `i`; `None` is NULL, or that there is no such field.
    pub fn field(&self, i: usize) -> Option<&[u8]> {
        Some(match self.fields.get(i)?.as_ref()? {
            Place::Input(range) => &self.input[range.clone()],
            Place::Scratch(range) => &self.scratch[range.clone()],
        })
    }

    fn next_line(&mut self) -> Result<bool> {
        loop {
            if !self.take_line()? {
                return Ok(false);
            }
            self.line += 1;
            let line = self.raw.clone();
            if &self.input[line.clone()] == b"\\." {
                self.ended = true;
                return Ok(false);
            }
            utf8(&self.input[line.clone()])?;
            self.fields.clear();
            self.scratch.clear();
            self.splitting = true;
            if self.options.format == Format::Csv {
                self.split_csv(line)?
            } else {
                self.split_text(line)?
            }
            self.splitting = false;
            if self.line == 1 && self.options.header != Header::No {
                if self.options.header == Header::Match {
                    self.started = true;
                    return Ok(true);
                }
                continue;
            }
            return Ok(true);
        }
    }

    /// Whether the row just given is the HEADER MATCH line.
    pub fn is_header(&self) -> bool {
        self.line == 1 && self.options.header == Header::Match && self.options.format != Format::Binary
    }

    /// Whether [`Self::next_row`] has failed at a line's fields, not before: messages show the line.
    pub fn is_splitting(&self) -> bool {
        self.splitting
    }

    /// The line last given, as it came; empty in binary format.
    pub fn raw_line(&self) -> &[u8] {
        &self.input[self.raw.clone()]
    }

    /// Finds the next line without its end (LF, CRLF or CR LF), as soon as it is whole.
    fn take_line(&mut self) -> Result<bool> {
        let csv = self.options.format == Format::Csv;
        let (quote, escape) = (self.options.quote, self.options.escape);
        let input = &self.input[..];
        let mut at = self.searched;
        while at < input.len() {
            if !csv {
                match memchr::memchr2(b'\n', b'\\', &input[at..]) {
                    Some(ahead) => at += ahead,
                    None => {
                        at = input.len();
                        break;
                    }
                }
            }
            let byte = input[at];
            if csv && self.quoted && byte == escape && escape != quote {
                if at + 1 >= input.len() && !self.finished_input {
                    break;
                }
                at += 2;
                continue;
            }
            if csv && byte == quote {
                self.quoted = !self.quoted;
            } else if byte == b'\n' && !self.quoted {
                self.line_is(self.at..at, at + 1);
                return Ok(true);
            } else if byte == b'\\' && !csv {
                // A backslash takes the next byte with it, a line end too.
                if at + 1 >= input.len() && !self.finished_input {
                    break;
                }
                at += 2;
                continue;
            }
            at += 1;
        }
        self.searched = at.min(input.len());
        if input.len() - self.at > ROW_BYTES_MAX {
            return Err(Error::new(SqlState::ProgramLimitExceeded, "COPY line is too long"));
        }
        if self.finished_input && self.at < input.len() {
            if self.quoted {
                return Err(bad_file("unterminated CSV quoted field"));
            }
            self.line_is(self.at..input.len(), input.len());
            return Ok(true);
        }
        Ok(false)
    }

    fn line_is(&mut self, mut line: Range<usize>, next: usize) {
        if self.input[line.clone()].last() == Some(&b'\r') {
            line.end -= 1;
        }
        self.raw = line;
        (self.at, self.searched, self.quoted) = (next, next, false);
    }

    fn split_text(&mut self, line: Range<usize>) -> Result<()> {
        let delimiter = self.options.delimiter;
        let null = self.options.null.as_bytes();
        let input = &self.input[..line.end];
        let mut start = line.start;
        if memchr::memchr(b'\\', &input[start..]).is_none() {
            let mut field = |range: Range<usize>| {
                self.fields.push((&input[range.clone()] != null).then_some(Place::Input(range)));
            };
            for at in memchr::memchr_iter(delimiter, &input[start..]) {
                let end = line.start + at;
                field(start..end);
                start = end + 1;
            }
            field(start..line.end);
            return Ok(());
        }
        loop {
            let mut at = start;
            let mut escaped = false;
            while let Some(&byte) = input.get(at)
                && byte != delimiter
            {
                if byte == b'\\' {
                    escaped = true;
                    at += 1;
                }
                at += 1;
            }
            let end = at.min(line.end);
            let raw = &input[start..end];
            self.fields.push(if raw == null {
                None
            } else if escaped {
                let begin = self.scratch.len();
                unescape(raw, &mut self.scratch);
                utf8(&self.scratch[begin..])?;
                Some(Place::Scratch(begin..self.scratch.len()))
            } else {
                Some(Place::Input(start..end))
            });
            if end == line.end {
                return Ok(());
            }
            start = end + 1;
        }
    }

    fn split_csv(&mut self, line: Range<usize>) -> Result<()> {
        let CopyFormat { delimiter, quote, escape, .. } = self.options;
        let line = &self.input[line];
        let mut at = 0;
        loop {
            let begin = self.scratch.len();
            let (mut in_quotes, mut saw_quote) = (false, false);
            while at < line.len() {
                let byte = line[at];
                if in_quotes {
                    if byte == escape && line.get(at + 1).is_some_and(|&n| n == quote || n == escape) {
                        at += 1;
                        self.scratch.push(line[at]);
                    } else if byte == quote {
                        in_quotes = false;
                    } else {
                        self.scratch.push(byte);
                    }
                } else if byte == delimiter {
                    break;
                } else if byte == quote {
                    (in_quotes, saw_quote) = (true, true);
                } else {
                    self.scratch.push(byte);
                }
                at += 1;
            }
            if in_quotes {
                return Err(bad_file("unterminated CSV quoted field"));
            }
            let column = self.fields.len();
            let flag = |flags: &Vec<bool>| flags.get(column).copied().unwrap_or(false);
            let matches_null = &self.scratch[begin..] == self.options.null.as_bytes();
            let is_null = matches_null
                && if saw_quote { flag(&self.options.force_null) } else { !flag(&self.options.force_not_null) };
            self.fields.push((!is_null).then_some(Place::Scratch(begin..self.scratch.len())));
            if at >= line.len() {
                return Ok(());
            }
            at += 1;
        }
    }

    fn next_binary(&mut self) -> Result<bool> {
        let input = &self.input[self.at..];
        if !self.started {
            if input.len() < SIGNATURE.len() + 8 {
                return self.need_more("COPY file signature not recognized");
            }
            if !input.starts_with(SIGNATURE) {
                return Err(bad_file("COPY file signature not recognized"));
            }
            let mut header = &input[SIGNATURE.len()..];
            let (flags, extension) = (header.get_u32(), header.get_u32() as usize);
            if flags & 0xffff_0000 != 0 {
                return Err(bad_file("unrecognized critical flags in COPY file header"));
            }
            if input.len() < SIGNATURE.len() + 8 + extension {
                return self.need_more("invalid COPY file header (missing length)");
            }
            self.at += SIGNATURE.len() + 8 + extension;
            self.searched = self.at;
            self.started = true;
        }
        // An incomplete row leaves the input as it is.
        let input = &self.input[..];
        let Some(count) = input.get(self.at..self.at + 2).map(|mut b| b.get_i16()) else {
            return self.need_more("unexpected EOF in COPY data");
        };
        if count == -1 {
            self.ended = true;
            return Ok(false);
        }
        self.fields.clear();
        let mut end = self.at + 2;
        for _ in 0..count.max(0) {
            let Some(len) = input.get(end..end + 4).map(|mut b| b.get_i32()) else {
                return self.need_more("unexpected EOF in COPY data");
            };
            if len < -1 {
                return Err(bad_file("invalid field size"));
            }
            let start = end + 4;
            end = start + len.max(0) as usize;
            if end > input.len() {
                return self.need_more("unexpected EOF in COPY data");
            }
            self.fields.push((len >= 0).then_some(Place::Input(start..end)));
        }
        (self.at, self.searched) = (end, end);
        self.line += 1;
        Ok(true)
    }

    fn need_more(&self, at_end: &str) -> Result<bool> {
        if self.finished_input { Err(bad_file(at_end)) } else { Ok(false) }
    }
}

fn bad_file(message: &str) -> Error {
    Error::new(SqlState::BadCopyFileFormat, message)
}

/// Text format's backslash sequences.
fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < raw.len() {
        let byte = raw[at];
        at += 1;
        if byte != b'\\' || at == raw.len() {
            out.push(byte);
            continue;
        }
        let code = raw[at];
        at += 1;
        match code {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let mut value = u32::from(code - b'0');
                for _ in 0..2 {
                    match raw.get(at) {
                        Some(&digit @ b'0'..=b'7') => {
                            value = value * 8 + u32::from(digit - b'0');
                            at += 1;
                        }
                        _ => break,
                    }
                }
                out.push(value as u8);
            }
            b'x' if raw.get(at).is_some_and(u8::is_ascii_hexdigit) => {
                let mut value = 0u32;
                for _ in 0..2 {
                    match raw.get(at).and_then(|&d| (d as char).to_digit(16)) {
                        Some(digit) => {
                            value = value * 16 + digit;
                            at += 1;
                        }
                        None => break,
                    }
                }
                out.push(value as u8);
            }
            other => out.push(other),
        }
    }
}

/// Writes the file header of binary format.
pub fn write_binary_header(out: &mut BytesMut) {
    out.put_slice(SIGNATURE);
    out.put_u64(0);
}

/// Writes binary format's trailer.
pub fn write_binary_trailer(out: &mut BytesMut) {
    out.put_i16(-1);
}

/// Writes one text or csv row from the columns' text forms.
pub fn write_line<'a>(options: &CopyFormat, fields: impl Iterator<Item = Option<&'a str>>, out: &mut BytesMut) {
    let only = options.force_quote.len() == 1;
    for (column, field) in fields.enumerate() {
        if column > 0 {
            out.put_u8(options.delimiter);
        }
        match (field, options.format) {
            (None, _) => out.put_slice(options.null.as_bytes()),
            (Some(text), Format::Csv) => write_csv(options, text, column, only, out),
            (Some(text), _) => write_text(options.delimiter, text, out),
        }
    }
    out.put_u8(b'\n');
}

fn write_text(delimiter: u8, text: &str, out: &mut BytesMut) {
    let mut rest = text.as_bytes();
    // Whole stretches of ordinary bytes at once.
    while let Some(at) = rest.iter().position(|byte| is_special(*byte, delimiter)) {
        out.put_slice(&rest[..at]);
        out.put_slice(&[b'\\', escape_code(rest[at])]);
        rest = &rest[at + 1..];
    }
    out.put_slice(rest);
}

/// What text format writes with a backslash.
#[inline]
fn is_special(byte: u8, delimiter: u8) -> bool {
    matches!(byte, 8..=13 | b'\\') || byte == delimiter
}

fn escape_code(byte: u8) -> u8 {
    match byte {
        8 => b'b',
        12 => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        11 => b'v',
        other => other,
    }
}

/// Escapes, for text format, what `out` holds from `start` on.
pub fn escape_text(delimiter: u8, start: usize, out: &mut String) {
    // All bytes are looked at: that takes no branch, and hardly ever is there one to find.
    if !out.as_bytes()[start..].iter().fold(false, |found, byte| found | is_special(*byte, delimiter)) {
        return;
    }
    let text = out.split_off(start);
    for c in text.chars() {
        match u8::try_from(c).ok().filter(|byte| is_special(*byte, delimiter)) {
            Some(byte) => out.extend(['\\', char::from(escape_code(byte))]),
            None => out.push(c),
        }
    }
}

fn write_csv(options: &CopyFormat, text: &str, column: usize, only: bool, out: &mut BytesMut) {
    let forced = options.force_quote.get(column).copied().unwrap_or(false);
    let special = |&b: &u8| b == options.delimiter || b == options.quote || b == b'\n' || b == b'\r';
    let needs_quotes = forced || text == options.null || (only && text == "\\.") || text.as_bytes().iter().any(special);
    if !needs_quotes {
        out.put_slice(text.as_bytes());
        return;
    }
    out.put_u8(options.quote);
    for &byte in text.as_bytes() {
        if byte == options.quote || byte == options.escape {
            out.put_u8(options.escape);
        }
        out.put_u8(byte);
    }
    out.put_u8(options.quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: CopyFormat, input: &[u8], chunk: usize) -> Result<Vec<Vec<Option<String>>>> {
        let mut reader = CopyReader::new(options);
        let mut rows = Vec::new();
        let mut chunks = input.chunks(chunk);
        loop {
            if reader.next_row()? {
                let field = |i| reader.field(i).map(|b| String::from_utf8_lossy(b).into_owned());
                rows.push((0..reader.count()).map(field).collect());
                continue;
            }
            match chunks.next() {
                Some(chunk) => reader.feed(chunk),
                None if reader.finished_input => return Ok(rows),
                None => reader.finish(),
            }
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn text_whatever_the_chunks() {
        let input = b"a\\tb\t\\N\t\\101\\x42\r\nx\\\\\t\t\\\n\n\\.\nignored\n";
        for chunk in 1..input.len() {
            let rows = read(CopyFormat::new(Format::Text, 3), input, chunk).unwrap();
            assert_eq!(rows[0], [some("a\tb"), None, some("AB")], "chunks of {chunk}");
            assert_eq!(rows[1], [some("x\\"), some(""), some("\n")]);
            assert_eq!(rows.len(), 2);
        }
    }

    #[test]
    fn csv_whatever_the_chunks() {
        let mut options = CopyFormat::new(Format::Csv, 3);
        options.header = Header::Yes;
        let input = b"h1,h2,h3\n\"a\"\"b\",,\"\"\n\"line\nbreak\",x,last";
        for chunk in 1..input.len() {
            let rows = read(options.clone(), input, chunk).unwrap();
            assert_eq!(rows, [[some("a\"b"), None, some("")], [some("line\nbreak"), some("x"), some("last")]]);
        }
        assert!(read(options, b"h\n\"open", 3).is_err());
    }

    #[test]
    fn binary_whatever_the_chunks() {
        let mut input = BytesMut::new();
        write_binary_header(&mut input);
        input.put_slice(b"\0\x02\0\0\0\x01z\xff\xff\xff\xff");
        write_binary_trailer(&mut input);
        for chunk in 1..input.len() {
            let rows = read(CopyFormat::new(Format::Binary, 2), &input, chunk).unwrap();
            assert_eq!(rows, [[some("z"), None]]);
        }
        assert!(read(CopyFormat::new(Format::Binary, 2), &input[..input.len() - 4], 5).is_err());
        assert!(read(CopyFormat::new(Format::Binary, 2), b"PGCOPX\n\xff\r\n\0\0\0\0\0\0\0\0\0", 5).is_err());
    }

    #[test]
    fn what_is_written_reads_back() {
        for format in [Format::Text, Format::Csv] {
            let options = CopyFormat::new(format, 2);
            let mut out = BytesMut::new();
            let row = [some("a\\\t\n\",'x"), None];
            write_line(&options, row.iter().map(Option::as_deref), &mut out);
            assert_eq!(read(options, &out, 4).unwrap(), [row]);
        }
    }
}
