//! The manual's string functions.

use super::inline::functions;
use super::macros::strict;
use super::{CallContext, Rows};
use crate::error::{Error, Result, SqlState};
use crate::interrupt;
use crate::types::{Array, Datum, Oid, oid};
use unicode_normalization::UnicodeNormalization;

/// What a text may grow to.
const TEXT_BYTES_MAX: usize = 1 << 30;

/// Bytes made between two looks at the cancel flag.
const STEP_BYTES: usize = 1 << 22;

fn too_large() -> Error {
    Error::new(SqlState::ProgramLimitExceeded, "requested length too large")
}

/// Characters `start` (1-based) to before `end`, as SQL's substring counts them: positions before 1 are empty.
fn substring(text: &str, start: i64, len: Option<i64>) -> Result<&str> {
    let end = match len {
        Some(len) if len < 0 => {
            return Err(Error::new(SqlState::SubstringError, "negative substring length not allowed"));
        }
        Some(len) => start.saturating_add(len),
        None => i64::MAX,
    };
    let skip = (start.max(1) - 1) as usize;
    let take = (end - start.max(1)).max(0) as usize;
    if text.is_ascii() {
        let from = skip.min(text.len());
        return Ok(&text[from..from.saturating_add(take).min(text.len())]);
    }
    let at = |n: usize, text: &str| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    let rest = &text[at(skip, text)..];
    Ok(&rest[..at(take, rest)])
}

fn left(text: &str, n: i32) -> &str {
    let keep = if n >= 0 { n as usize } else { text.chars().count().saturating_sub(n.unsigned_abs() as usize) };
    text.char_indices().nth(keep).map_or(text, |(at, _)| &text[..at])
}

fn right(text: &str, n: i32) -> &str {
    let count = text.chars().count();
    let skip = match n {
        // PostgreSQL negates it, which leaves it as it is.
        i32::MIN => 0,
        0.. => count.saturating_sub(n as usize),
        _ => n.unsigned_abs() as usize,
    };
    text.char_indices().nth(skip).map_or("", |(at, _)| &text[at..])
}

fn pad(text: &str, len: i32, fill: &str, before: bool) -> Result<String> {
    let (len, have) = (len.max(0) as usize, text.chars().count());
    if have >= len || fill.is_empty() {
        return Ok(left(text, len as i32).to_owned());
    }
    // As long as characters of UTF-8 can be.
    if len.saturating_mul(4) > TEXT_BYTES_MAX {
        return Err(too_large());
    }
    let padding: String = fill.chars().cycle().take(len - have).collect();
    Ok(if before { padding + text } else { text.to_owned() + &padding })
}

fn repeat(text: &str, n: i32) -> Result<String> {
    let n = n.max(0) as usize;
    if text.len().saturating_mul(n) > TEXT_BYTES_MAX {
        return Err(too_large());
    }
    let mut repeated = String::with_capacity(text.len() * n);
    let each = (STEP_BYTES / text.len().max(1)).clamp(1, n.max(1));
    let many = text.repeat(each);
    for _ in 0..n / each {
        interrupt::check()?;
        repeated.push_str(&many);
    }
    repeated.push_str(&text.repeat(n % each));
    Ok(repeated)
}

/// The position of `part` in `text` in characters, 1-based; 0: not in it.
fn position(text: &str, part: &str) -> i32 {
    text.find(part).map_or(0, |at| text[..at].chars().count() as i32 + 1)
}

fn initcap(text: &str) -> String {
    let mut inside = false;
    let map = |c: char| {
        let mapped = if inside { lower_char(c) } else { upper_char(c) };
        inside = c.is_alphanumeric();
        mapped
    };
    text.chars().map(map).collect()
}

/// C.UTF-8 maps one character to one.
pub(super) fn upper_char(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

pub(super) fn lower_char(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn upper(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_uppercase() } else { text.chars().map(upper_char).collect() }
}

pub(super) fn lower(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.chars().map(lower_char).collect() }
}

fn translate(text: &str, from: &str, to: &str) -> String {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let map = |c: char| match from.iter().position(|f| *f == c) {
        Some(at) => to.get(at).copied(),
        None => Some(c),
    };
    text.chars().take_while(interrupt::every(1 << 20)).filter_map(map).collect()
}

fn split_part(text: &str, separator: &str, n: i32) -> Result<String> {
    if n == 0 {
        return Err(Error::new(SqlState::InvalidParameterValue, "field position must not be zero"));
    }
    if separator.is_empty() {
        return Ok(if n == 1 || n == -1 { text.to_owned() } else { String::new() });
    }
    let part = if n > 0 {
        text.split(separator).nth(n as usize - 1)
    } else {
        let parts: Vec<&str> = text.split(separator).collect();
        parts.len().checked_sub(n.unsigned_abs() as usize).map(|at| parts[at])
    };
    Ok(part.unwrap_or_default().to_owned())
}

fn chr(code: i32) -> Result<String> {
    if code == 0 {
        return Err(Error::new(SqlState::ProgramLimitExceeded, "null character not permitted"));
    }
    match u32::try_from(code).ok().and_then(char::from_u32) {
        Some(c) => Ok(c.to_string()),
        None if code < 0 => Err(Error::new(SqlState::InvalidParameterValue, "character number must be positive")),
        None if code > 0x10_ffff => {
            let message = format!("requested character too large for encoding: {code}");
            Err(Error::new(SqlState::ProgramLimitExceeded, message))
        }
        None => {
            let message = format!("requested character not valid for encoding: {code}");
            Err(Error::new(SqlState::ProgramLimitExceeded, message))
        }
    }
}

fn trim<'a>(text: &'a str, set: &str, start: bool, end: bool) -> &'a str {
    let inside = |c: char| set.contains(c);
    let text = if start { text.trim_start_matches(inside) } else { text };
    if end { text.trim_end_matches(inside) } else { text }
}

fn replace(text: &str, from: &str, to: &str) -> String {
    if from.is_empty() {
        return text.to_owned();
    }
    let mut replaced = String::with_capacity(text.len());
    for (i, part) in text.split(from).enumerate() {
        if i & 0xffff == 0xffff && interrupt::requested() {
            break;
        }
        replaced.push_str(if i > 0 { to } else { "" });
        replaced.push_str(part);
    }
    replaced
}

fn overlay(text: &str, with: &str, start: i32, len: Option<i32>) -> Result<String> {
    if start <= 0 {
        return Err(Error::new(SqlState::SubstringError, "negative substring length not allowed"));
    }
    let len = len.unwrap_or_else(|| with.chars().count() as i32);
    let after = start.checked_add(len).ok_or_else(|| crate::types::numeric::out_of_range("integer"))?;
    Ok([substring(text, 1, Some(i64::from(start) - 1))?, with, substring(text, after.into(), None)?].concat())
}

/// `quote_ident`: quoted unless it is a plain lower-case identifier that is no keyword.
pub fn quote_identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !is_reserved(name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// PostgreSQL 15's keywords that are not unreserved.
fn is_reserved(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "all",
        "analyse",
        "analyze",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "asymmetric",
        "authorization",
        "between",
        "bigint",
        "binary",
        "bit",
        "boolean",
        "both",
        "case",
        "cast",
        "char",
        "character",
        "check",
        "coalesce",
        "collate",
        "collation",
        "column",
        "concurrently",
        "constraint",
        "create",
        "cross",
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "dec",
        "decimal",
        "default",
        "deferrable",
        "desc",
        "distinct",
        "do",
        "else",
        "end",
        "except",
        "exists",
        "extract",
        "false",
        "fetch",
        "float",
        "for",
        "foreign",
        "freeze",
        "from",
        "full",
        "grant",
        "greatest",
        "group",
        "grouping",
        "having",
        "ilike",
        "in",
        "initially",
        "inner",
        "inout",
        "int",
        "integer",
        "intersect",
        "interval",
        "into",
        "is",
        "isnull",
        "join",
        "lateral",
        "leading",
        "least",
        "left",
        "like",
        "limit",
        "localtime",
        "localtimestamp",
        "national",
        "natural",
        "nchar",
        "none",
        "normalize",
        "not",
        "notnull",
        "null",
        "nullif",
        "numeric",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "out",
        "outer",
        "overlaps",
        "overlay",
        "placing",
        "position",
        "precision",
        "primary",
        "real",
        "references",
        "returning",
        "right",
        "row",
        "select",
        "session_user",
        "setof",
        "similar",
        "smallint",
        "some",
        "substring",
        "symmetric",
        "table",
        "tablesample",
        "then",
        "time",
        "timestamp",
        "to",
        "trailing",
        "treat",
        "trim",
        "true",
        "union",
        "unique",
        "user",
        "using",
        "values",
        "varchar",
        "variadic",
        "verbose",
        "when",
        "where",
        "window",
        "with",
        "xmlattributes",
        "xmlconcat",
        "xmlelement",
        "xmlexists",
        "xmlforest",
        "xmlnamespaces",
        "xmlparse",
        "xmlpi",
        "xmlroot",
        "xmlserialize",
        "xmltable",
    ];
    WORDS.binary_search(&word).is_ok()
}

/// A string literal in which only quotes are doubled, as standard_conforming_strings reads it.
pub fn quote_literal_plain(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `quote_literal`.
pub fn quote_literal(text: &str) -> String {
    let escaped = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", escaped.replace('\\', "\\\\")) } else { format!("'{escaped}'") }
}

fn to_base(v: u64, bits: u32) -> String {
    if bits == 4 { format!("{v:x}") } else { format!("{v:o}") }
}

fn string_to_array(text: Option<&str>, separator: Option<&str>, null: Option<&str>) -> Option<Array> {
    let text = text?;
    let item = |part: &str| if null == Some(part) { Datum::Null } else { Datum::Text(part.into()) };
    let items = match separator {
        _ if text.is_empty() => Vec::new(),
        None => text.chars().map(|c| item(c.encode_utf8(&mut [0; 4]))).collect(),
        Some("") => vec![item(text)],
        Some(separator) => text.split(separator).take_while(interrupt::every(1 << 16)).map(item).collect(),
    };
    Some(Array::of(oid::TEXT, items))
}

fn text_to_table(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let text = |i: usize| match args.get(i) {
        Some(Datum::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let items = string_to_array(text(0), text(1), text(2)).map_or_else(Vec::new, |array| array.items);
    Ok(Box::new(items.into_iter().map(Ok)))
}

use text_to_table as text_to_table_null;

/// Bits of a text or of bytes.
fn bit_length(value: &Datum) -> i32 {
    8 * match value {
        Datum::Text(text) | Datum::Padded(text) => text.len() as i32,
        Datum::Bytea(bytes) => bytes.len() as i32,
        _ => 0,
    }
}

/// A name with an oid behind it, shortened to fit.
fn nameconcatoid(name: &str, number: Oid) -> String {
    let suffix = format!("_{number}");
    let mut end = name.len().min(63 - suffix.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    [&name[..end], &suffix].concat()
}

/// Unicode normalization forms by the names that SQL gives them.
fn normalize(text: &str, form: &str) -> Result<String> {
    match form.to_ascii_uppercase().as_str() {
        "NFC" => Ok(text.nfc().collect()),
        "NFD" => Ok(text.nfd().collect()),
        "NFKC" => Ok(text.nfkc().collect()),
        "NFKD" => Ok(text.nfkd().collect()),
        _ => Err(Error::new(SqlState::InvalidParameterValue, format!("invalid normalization form: {form}"))),
    }
}

/// `unistr`: `\XXXX`, `\+XXXXXX`, `\uXXXX` and `\UXXXXXXXX`, surrogate pairs joined.
fn unistr(text: &str) -> Result<String> {
    let syntax = |message: &str| Error::new(SqlState::SyntaxError, message);
    let bad_escape =
        || syntax("invalid Unicode escape").hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.");
    let (mut out, mut rest, mut high) = (String::new(), text, None);
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' || rest.starts_with('\\') {
            if high.is_some() {
                return Err(syntax("invalid Unicode surrogate pair"));
            }
            if c == '\\' {
                rest = &rest[1..];
            }
            out.push(c);
            continue;
        }
        let (skip, digits) = match rest.as_bytes().first() {
            Some(b'+') => (1, 6),
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            _ => (0, 4),
        };
        let code = rest.get(skip..skip + digits).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = code.and_then(|hex| u32::from_str_radix(hex, 16).ok()).ok_or_else(bad_escape)?;
        rest = &rest[skip + digits..];
        let code = match (high.take(), code) {
            (None, 0xd800..0xdc00) => {
                high = Some(code);
                continue;
            }
            (Some(high), 0xdc00..0xe000) => 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00),
            (None, code) if !(0xdc00..0xe000).contains(&code) => code,
            _ => return Err(syntax("invalid Unicode surrogate pair")),
        };
        match char::from_u32(code).filter(|c| *c != '\0') {
            Some(c) => out.push(c),
            None => {
                let message = format!("invalid Unicode code point: {code:04X}");
                return Err(Error::new(SqlState::InvalidParameterValue, message));
            }
        }
    }
    if high.is_some() { Err(syntax("invalid Unicode surrogate pair")) } else { Ok(out) }
}

/// `parse_ident`: the parts of a qualified name, those without quotes in lower case.
fn parse_ident(text: &str, strict: bool) -> Result<Array> {
    let invalid = |detail: Option<String>| {
        let message = format!("string is not a valid identifier: \"{text}\"");
        let error = Error::new(SqlState::InvalidParameterValue, message);
        match detail {
            Some(detail) => error.detail(detail),
            None => error,
        }
    };
    let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c');
    let (mut parts, mut rest, mut after_dot) = (Vec::new(), text.trim_start_matches(space), false);
    loop {
        let missing = if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut tail = quoted;
            loop {
                let Some((part, after)) = tail.split_once('"') else {
                    return Err(invalid(Some("String has unclosed double quotes.".to_owned())));
                };
                name.push_str(part);
                tail = after;
                match tail.strip_prefix('"') {
                    Some(after) => {
                        name.push('"');
                        tail = after;
                    }
                    None => break,
                }
            }
            if name.is_empty() {
                return Err(invalid(Some("Quoted identifier must not be empty.".to_owned())));
            }
            parts.push(Datum::Text(name.into()));
            rest = tail;
            false
        } else if rest.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic() || !c.is_ascii()) {
            let inside = |c: char| c == '_' || c == '$' || c.is_ascii_alphanumeric() || !c.is_ascii();
            let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
            parts.push(Datum::Text(rest[..end].to_ascii_lowercase().into()));
            rest = &rest[end..];
            false
        } else {
            true
        };
        if missing {
            return Err(invalid(match (rest.starts_with('.'), after_dot) {
                (true, _) => Some("No valid identifier before \".\".".to_owned()),
                (false, true) => Some("No valid identifier after \".\".".to_owned()),
                (false, false) => None,
            }));
        }
        rest = rest.trim_start_matches(space);
        match rest.strip_prefix('.') {
            Some(after) => {
                after_dot = true;
                rest = after.trim_start_matches(space);
            }
            None if rest.is_empty() || !strict => return Ok(Array::of(oid::TEXT, parts)),
            None => return Err(invalid(None)),
        }
    }
}

strict! {
    SETS:
    text_to_table = set;
    text_to_table_null = set;
}

functions! {
    TABLE:
    safe bit_length(a: &Datum) -> i32 = bit_length(a);
    raises unicode_normalize_func(a: &str, b: &str) -> String = normalize(a, b);
    raises unicode_is_normalized(a: &str, b: &str) -> bool = normalize(a, b).map(|normal| normal == a);
    raises unistr(a: &str) -> String = unistr(a);
    raises parse_ident(a: &str, b: bool) -> Array = parse_ident(a, b);
    safe nameconcatoid(a: &str, b: Oid) -> String = nameconcatoid(a, b);
    safe textcat(a: &str, b: &str) -> String = [a, b].concat();
    safe textlen(a: &str) -> i32 = a.chars().count() as i32;
    safe bpcharlen_text(a: &str) -> i32 = a.chars().count() as i32;
    safe bpcharlen(a: &str) -> i32 = a.trim_end_matches(' ').chars().count() as i32;
    safe textoctetlen(a: &str) -> i32 = a.len() as i32;
    safe upper(a: &str) -> String = upper(a);
    safe lower(a: &str) -> String = lower(a);
    safe initcap(a: &str) -> String = initcap(a);
    raises text_substr(a: &str, b: i32, c: i32) -> &str = substring(a, i64::from(b), Some(i64::from(c)));
    raises text_substr_no_len(a: &str, b: i32) -> &str = substring(a, i64::from(b), None);
    safe text_left(a: &str, b: i32) -> &str = left(a, b);
    safe text_right(a: &str, b: i32) -> &str = right(a, b);
    raises lpad(a: &str, b: i32, c: &str) -> String = pad(a, b, c, true);
    raises rpad(a: &str, b: i32, c: &str) -> String = pad(a, b, c, false);
    raises repeat(a: &str, b: i32) -> String = repeat(a, b);
    safe textpos(a: &str, b: &str) -> i32 = position(a, b);
    safe replace_text(a: &str, b: &str, c: &str) -> String = replace(a, b, c);
    safe text_reverse(a: &str) -> String = a.chars().rev().take_while(interrupt::every(1 << 20)).collect::<String>();
    safe translate(a: &str, b: &str, c: &str) -> String = translate(a, b, c);
    raises split_part(a: &str, b: &str, c: i32) -> String = split_part(a, b, c);
    safe ascii(a: &str) -> i32 = a.chars().next().map_or(0, |c| c as i32);
    raises chr(a: i32) -> String = chr(a);
    safe btrim(a: &str, b: &str) -> &str = trim(a, b, true, true);
    safe btrim1(a: &str) -> &str = trim(a, " ", true, true);
    safe ltrim(a: &str, b: &str) -> &str = trim(a, b, true, false);
    safe ltrim1(a: &str) -> &str = trim(a, " ", true, false);
    safe rtrim(a: &str, b: &str) -> &str = trim(a, b, false, true);
    safe text_starts_with(a: &str, b: &str) -> bool = a.starts_with(b);
    raises textoverlay(a: &str, b: &str, c: i32, d: i32) -> String = overlay(a, b, c, Some(d));
    raises textoverlay_no_len(a: &str, b: &str, c: i32) -> String = overlay(a, b, c, None);
    safe quote_ident(a: &str) -> String = quote_identifier(a);
    safe quote_literal(a: &str) -> String = quote_literal(a);
    safe quote_nullable(a: Option<&str>) -> String = a.map_or_else(|| "NULL".to_owned(), quote_literal);
    safe to_hex32(a: i32) -> String = to_base(u64::from(a as u32), 4);
    safe to_hex64(a: i64) -> String = to_base(a as u64, 4);
    safe text_to_array(a: Option<&str>, b: Option<&str>) -> Option<Array> = string_to_array(a, b, None);
    safe text_to_array_null(a: Option<&str>, b: Option<&str>, c: Option<&str>) -> Option<Array> = string_to_array(a, b, c);
}
