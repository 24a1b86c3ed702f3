//! `LIKE`, `ILIKE` and the regular expression operators.
//!
//! A POSIX advanced regular expression is rewritten into the syntax of the `regex` crate. Whether a text matches does not
//! depend on which of several matches is preferred, so leftmost-longest and leftmost-first agree here. What cannot be
//! written so (look-around, back references, collating elements, most embedded options) answers 0A000. Functions that
//! give the matched text are deliberately absent: for them the preference counts.

use super::inline::functions;
use super::string::lower;
use crate::error::{Error, Result, SqlState};
use regex::{Regex, RegexBuilder};
use std::cell::RefCell;
use std::iter::Peekable;
use std::str::Chars;

/// Compiled expressions that a thread keeps, as PostgreSQL's cache.
const CACHED: usize = 32;

/// Bytes that a compiled expression may take.
const COMPILED_BYTES_MAX: usize = 8 << 20;

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

fn invalid(why: &str) -> Error {
    Error::new(SqlState::InvalidRegularExpression, format!("invalid regular expression: {why}"))
}

fn unsupported(what: &str) -> Error {
    Error::unsupported(format!("{what} in regular expressions"))
}

/// Rewrites an advanced regular expression into the `regex` crate's syntax.
struct Rewriter<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    depth: usize,
    /// Whether a quantifier may follow.
    atom: bool,
}

impl Rewriter<'_> {
    fn literal(&mut self, c: char) {
        self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
        self.atom = true;
    }

    fn next_is(&mut self, c: char) -> bool {
        self.rest.next_if_eq(&c).is_some()
    }

    fn run(mut self) -> Result<String> {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.bracket()?,
                '(' => self.open()?,
                ')' => {
                    self.depth = self.depth.checked_sub(1).ok_or_else(|| invalid("parentheses () not balanced"))?;
                    self.out.push(')');
                    self.atom = true;
                }
                '*' | '+' | '?' => self.quantifier(&c.to_string())?,
                '{' if self.rest.peek().is_some_and(char::is_ascii_digit) => {
                    let bounds = self.bounds()?;
                    self.quantifier(&bounds)?;
                }
                '^' | '$' | '|' => {
                    self.out.push(c);
                    self.atom = false;
                }
                '.' => {
                    self.out.push('.');
                    self.atom = true;
                }
                c => self.literal(c),
            }
        }
        if self.depth > 0 { Err(invalid("parentheses () not balanced")) } else { Ok(self.out) }
    }

    fn open(&mut self) -> Result<()> {
        let mark = if self.next_is('?') {
            match self.rest.next() {
                Some(':') => "(?:",
                Some('=' | '!' | '<') => return Err(unsupported("look-around constraints are not supported")),
                _ => return Err(invalid("quantifier operand invalid")),
            }
        } else {
            "("
        };
        self.out.push_str(mark);
        self.depth += 1;
        self.atom = false;
        Ok(())
    }

    fn quantifier(&mut self, text: &str) -> Result<()> {
        if !self.atom {
            return Err(invalid("quantifier operand invalid"));
        }
        self.out.push_str(text);
        if self.next_is('?') {
            self.out.push('?');
        }
        self.atom = false;
        Ok(())
    }

    /// `{m}`, `{m,}` or `{m,n}` after its brace.
    fn bounds(&mut self) -> Result<String> {
        let mut text = String::from("{");
        loop {
            match self.rest.next() {
                Some('}') => break,
                Some(c) if c.is_ascii_digit() || c == ',' => text.push(c),
                Some(_) => return Err(invalid("invalid repetition count(s)")),
                None => return Err(invalid("braces {} not balanced")),
            }
        }
        let mut numbers = text[1..].split(',').map(|n| if n.is_empty() { Some(255) } else { n.parse::<u32>().ok() });
        let (low, high, more) = (numbers.next().flatten(), numbers.next(), numbers.next());
        let high = high.unwrap_or(low);
        let valid = more.is_none() && matches!((low, high), (Some(l), Some(h)) if l <= h && h <= 255);
        if valid { Ok(text + "}") } else { Err(invalid("invalid repetition count(s)")) }
    }

    /// An escape outside of brackets.
    fn escape(&mut self) -> Result<()> {
        let c = self.rest.next().ok_or_else(|| invalid("invalid escape \\ sequence"))?;
        let (text, atom) = match c {
            'd' => ("[0-9]", true),
            'D' => ("[^0-9]", true),
            'w' => (r"[\p{Alphabetic}\p{Nd}_]", true),
            'W' => (r"[^\p{Alphabetic}\p{Nd}_]", true),
            's' => (r"\s", true),
            'S' => (r"\S", true),
            'A' => (r"\A", false),
            'Z' => (r"\z", false),
            'y' => (r"\b", false),
            'Y' => (r"\B", false),
            'm' => (r"\b{start}", false),
            'M' => (r"\b{end}", false),
            '1'..='9' => return Err(unsupported("back references are not supported")),
            c => {
                let c = self.character(c)?;
                self.literal(c);
                return Ok(());
            }
        };
        self.out.push_str(text);
        self.atom = atom;
        Ok(())
    }

    /// The character that an escape stands for.
    fn character(&mut self, c: char) -> Result<char> {
        Ok(match c {
            'a' => '\x07',
            'b' => '\x08',
            'B' => '\\',
            'e' => '\x1b',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'u' => self.hex(4)?,
            'U' => self.hex(8)?,
            c if c.is_ascii_alphanumeric() => {
                return Err(match c {
                    'x' | 'c' | '0'..='9' => unsupported("numeric and control escapes are not supported"),
                    _ => invalid("invalid escape \\ sequence"),
                });
            }
            c => c,
        })
    }

    fn hex(&mut self, digits: usize) -> Result<char> {
        let mut code = 0;
        for _ in 0..digits {
            let digit = self.rest.next().and_then(|c| c.to_digit(16));
            code = code << 4 | digit.ok_or_else(|| invalid("invalid escape \\ sequence"))?;
        }
        char::from_u32(code).ok_or_else(|| invalid("invalid escape \\ sequence"))
    }

    /// A bracket expression after its `[`.
    fn bracket(&mut self) -> Result<()> {
        let unbalanced = || invalid("brackets [] not balanced");
        self.out.push('[');
        if self.next_is('^') {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            match self.rest.next().ok_or_else(unbalanced)? {
                ']' if !first => break,
                '[' if self.next_is(':') => self.class()?,
                '[' if matches!(self.rest.peek(), Some('.' | '=')) => {
                    return Err(unsupported("collating elements are not supported"));
                }
                '\\' => match self.rest.next().ok_or_else(unbalanced)? {
                    'd' => self.out.push_str("0-9"),
                    'w' => self.out.push_str(r"\p{Alphabetic}\p{Nd}_"),
                    's' => self.out.push_str(r"\s"),
                    c => {
                        let c = self.character(c)?;
                        self.literal(c);
                    }
                },
                // A range's hyphen; at either end it stands for itself.
                '-' if !first && self.rest.peek() != Some(&']') => self.out.push('-'),
                c => self.literal(c),
            }
            first = false;
        }
        self.out.push(']');
        self.atom = true;
        Ok(())
    }

    /// `[:name:]` after its colon.
    fn class(&mut self) -> Result<()> {
        let mut name = String::new();
        while let Some(c) = self.rest.next_if(char::is_ascii_alphabetic) {
            name.push(c);
        }
        if !(self.next_is(':') && self.next_is(']')) {
            return Err(invalid("invalid character class"));
        }
        self.out.push_str(match name.as_str() {
            "alpha" => r"\p{Alphabetic}",
            "alnum" => r"\p{Alphabetic}\p{Nd}",
            "digit" => "0-9",
            "upper" => r"\p{Uppercase}",
            "lower" => r"\p{Lowercase}",
            "space" => r"\s",
            "word" => r"\p{Alphabetic}\p{Nd}_",
            "xdigit" => "0-9A-Fa-f",
            "blank" => r" \t",
            "cntrl" => r"\p{Cc}",
            "punct" => "[:punct:]",
            _ => return Err(invalid("invalid character class")),
        });
        if name == "punct" {
            // The crate's named class stands in brackets of its own.
            self.out.truncate(self.out.len() - "[:punct:]".len());
            self.out.push_str("[[:punct:]]");
        }
        Ok(())
    }
}

fn compile(pattern: &str, ignore_case: bool) -> Result<Regex> {
    let (mut ignore_case, mut body) = (ignore_case, pattern.strip_prefix("***:").unwrap_or(pattern));
    let rewritten = if let Some(literal) = body.strip_prefix("***=") {
        regex::escape(literal)
    } else {
        if body.starts_with("***") {
            return Err(invalid("quantifier operand invalid"));
        }
        if let Some(rest) = body.strip_prefix("(?").filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic())) {
            let (options, after) = rest.split_once(')').ok_or_else(|| invalid("invalid embedded option"))?;
            for option in options.chars() {
                match option {
                    'i' => ignore_case = true,
                    'c' => ignore_case = false,
                    's' | 't' => {}
                    _ => return Err(unsupported("this embedded option is not supported")),
                }
            }
            body = after;
        }
        Rewriter { rest: body.chars().peekable(), out: String::new(), depth: 0, atom: false }.run()?
    };
    let built = RegexBuilder::new(&rewritten)
        .case_insensitive(ignore_case)
        .dot_matches_new_line(true)
        .size_limit(COMPILED_BYTES_MAX)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => invalid("regular expression is too complex"),
        // The last line of the crate's message says what is wrong.
        error => invalid(error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ")),
    })
}

/// Whether `text` contains a match of `pattern`.
fn matches(text: &str, pattern: &str, ignore_case: bool) -> Result<bool> {
    thread_local! {
        static CACHE: RefCell<Vec<(String, bool, Regex)>> = const { RefCell::new(Vec::new()) };
    }
    CACHE.with_borrow_mut(|cache| {
        let found = cache.iter().position(|(known, case, _)| *case == ignore_case && known == pattern);
        let entry = match found {
            Some(at) => cache.remove(at),
            None => (pattern.to_owned(), ignore_case, compile(pattern, ignore_case)?),
        };
        let result = entry.2.is_match(text);
        // The most recently used one is first.
        cache.insert(0, entry);
        cache.truncate(CACHED);
        Ok(result)
    })
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
    raises textregexeq(a: &str, b: &str) -> bool = matches(a, b, false);
    raises textregexne(a: &str, b: &str) -> bool = matches(a, b, false).map(|found| !found);
    raises texticregexeq(a: &str, b: &str) -> bool = matches(a, b, true);
    raises texticregexne(a: &str, b: &str) -> bool = matches(a, b, true).map(|found| !found);
    raises nameregexeq(a: &str, b: &str) -> bool = matches(a, b, false);
    raises nameregexne(a: &str, b: &str) -> bool = matches(a, b, false).map(|found| !found);
    raises nameicregexeq(a: &str, b: &str) -> bool = matches(a, b, true);
    raises nameicregexne(a: &str, b: &str) -> bool = matches(a, b, true).map(|found| !found);
    raises regexp_like_no_flags(a: &str, b: &str) -> bool = matches(a, b, false);
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

    #[test]
    fn regular_expressions() {
        for (text, pattern, expected) in [
            ("foo bar", r"\mbar\M", true),
            ("foobar", r"\mbar", false),
            ("a\nb", "a.b", true),
            ("a{b", "a{b", true),
            ("a&&b", "^[a&~[]+b$", true),
            ("x-", "^[]x-]+$", true),
            ("a+b", "***=a+b", true),
            ("ABC", "(?i)abc", true),
            ("aaa", "^a{2}$", false),
            ("é1", "^[[:alpha:]][[:digit:]]$", true),
            ("!", "^[[:punct:]]$", true),
        ] {
            assert_eq!(matches(text, pattern, false).unwrap(), expected, "{text} ~ {pattern}");
        }
        for (pattern, code) in [
            ("(", SqlState::InvalidRegularExpression),
            ("a)", SqlState::InvalidRegularExpression),
            ("[a", SqlState::InvalidRegularExpression),
            ("a**", SqlState::InvalidRegularExpression),
            ("*a", SqlState::InvalidRegularExpression),
            ("a{2,1}", SqlState::InvalidRegularExpression),
            ("(?=a)", SqlState::FeatureNotSupported),
            (r"(a)\1", SqlState::FeatureNotSupported),
        ] {
            assert_eq!(matches("", pattern, false).unwrap_err().code(), code, "{pattern}");
        }
    }
}
