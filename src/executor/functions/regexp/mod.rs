//! Regular expressions: PostgreSQL's advanced ones, with its choice among matches (leftmost; then each part as long or as
//! short as it prefers), back references and look-around.
//!
//! - [`syntax`]: from text to tree, PostgreSQL's messages for what is wrong.
//! - [`matcher`]: where the match is and what its groups take.
//! - [`functions`]: the operators and `regexp_*` functions.
//!
//! The `regex` crate answers whether there is a match and where it begins, wherever the expression can be written for it;
//! its preference among matches is Perl's and is never used. Compiled expressions are kept per thread.

pub(super) mod functions;
mod matcher;
mod syntax;

use crate::error::Result;
use regex::{Regex, RegexBuilder};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::LazyLock;
use syntax::{Assertion, Class, Options, Parsed, Rx, Set};

/// Compiled expressions that a thread keeps, as PostgreSQL's cache.
const CACHED: usize = 32;
/// Bytes that the crate's form of an expression may take; larger ones are searched without it.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// A compiled regular expression.
pub(super) struct Regexp {
    parsed: Parsed,
    ignore_case: bool,
    /// Finds where a match begins; `None` when the expression cannot be written for the crate.
    finder: Option<Regex>,
    /// The crate's word boundaries are ours for ASCII texts only.
    words: bool,
}

impl Regexp {
    fn new(pattern: &str, options: Options) -> Result<Regexp> {
        let parsed = syntax::parse(pattern, options)?;
        let (mut text, mut words) = (String::new(), false);
        let finder = match parsed.tree.flags & syntax::REFERS_BACK == 0 && write(&parsed.tree.rx, &mut text, &mut words)
        {
            true => RegexBuilder::new(&text).size_limit(COMPILED_BYTES_MAX).nest_limit(2000).build().ok(),
            false => None,
        };
        // An option inside of the expression counts too; being wrong here only costs equal letters of another case.
        let ignore_case = options.ignore_case || embedded_ignore_case(pattern);
        Ok(Regexp { parsed, ignore_case, finder, words })
    }
}

fn embedded_ignore_case(pattern: &str) -> bool {
    let rest = pattern.strip_prefix("***:").unwrap_or(pattern);
    let letters = rest.strip_prefix("(?").and_then(|rest| rest.split_once(')')).map_or("", |(letters, _)| letters);
    letters.chars().all(|c| c.is_ascii_alphabetic()) && letters.rfind('i') > letters.rfind('c')
}

/// The compiled form, from the thread's cache.
fn compiled(pattern: &str, options: Options) -> Result<Rc<Regexp>> {
    thread_local! {
        static CACHE: RefCell<Vec<(String, Options, Rc<Regexp>)>> = const { RefCell::new(Vec::new()) };
    }
    CACHE.with_borrow_mut(|cache| {
        let found = cache.iter().position(|(known, with, _)| *with == options && known == pattern);
        let entry = match found {
            Some(0) => return Ok(cache[0].2.clone()),
            Some(at) => cache.remove(at),
            None => (pattern.to_owned(), options, Rc::new(Regexp::new(pattern, options)?)),
        };
        let regexp = entry.2.clone();
        // The most recently used one is first.
        cache.insert(0, entry);
        cache.truncate(CACHED);
        Ok(regexp)
    })
}

/// Writes a language in the crate's syntax; `false` when it cannot be.
fn write(rx: &Rx, out: &mut String, words: &mut bool) -> bool {
    match rx {
        Rx::Empty => out.push_str("(?:)"),
        Rx::Set(set) => set.write(out),
        Rx::Concat(parts) => return parts.iter().all(|part| write(part, out, words)),
        Rx::Alternatives(parts) => {
            out.push_str("(?:");
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    out.push('|');
                }
                if !write(part, out, words) {
                    return false;
                }
            }
            out.push(')');
        }
        Rx::Repeat { of, min, max } => {
            out.push_str("(?:");
            if !write(of, out, words) {
                return false;
            }
            out.push_str(&match max {
                Some(max) => format!("){{{min},{max}}}"),
                None => format!("){{{min},}}"),
            });
        }
        Rx::Assertion(assertion) => {
            out.push_str(match assertion {
                Assertion::TextStart => r"\A",
                Assertion::TextEnd => r"\z",
                Assertion::LineStart => "(?m:^)",
                Assertion::LineEnd => "(?m:$)",
                Assertion::WordStart => r"\b{start}",
                Assertion::WordEnd => r"\b{end}",
                Assertion::WordBoundary => r"\b",
                Assertion::NoWordBoundary => r"\B",
            });
            *words |= matches!(
                assertion,
                Assertion::WordStart | Assertion::WordEnd | Assertion::WordBoundary | Assertion::NoWordBoundary
            );
        }
        Rx::Look { .. } => return false,
    }
    true
}

impl Set {
    fn write(&self, out: &mut String) {
        if self.ranges.is_empty() && self.classes.is_empty() {
            // Nothing excluded, or nothing at all.
            return out.push_str(if self.negated { "(?s:.)" } else { r"[^\x{0}-\x{10ffff}]" });
        }
        out.push_str(if self.negated { "[^" } else { "[" });
        for (low, high) in &self.ranges {
            out.push_str(&format!(r"\x{{{:x}}}-\x{{{:x}}}", u32::from(*low), u32::from(*high)));
        }
        for (class, negated) in &self.classes {
            out.push_str(&format!("[{}{}]", if *negated { "^" } else { "" }, class.text()));
        }
        out.push(']');
    }
}

/// The classes as sets of the crate, after glibc's C.UTF-8: other digits than ASCII's are letters.
impl Class {
    const ALL: [(Class, &str, &str); 14] = [
        (Class::Alnum, "alnum", r"\p{Alphabetic}\p{Nd}"),
        (Class::Alpha, "alpha", r"\p{Alphabetic}[\p{Nd}--0-9]"),
        (Class::Ascii, "ascii", r"\x{0}-\x{7f}"),
        (Class::Blank, "blank", r"\x{9}\x{20}"),
        (Class::Cntrl, "cntrl", r"\p{Cc}"),
        (Class::Digit, "digit", "0-9"),
        (Class::Graph, "graph", r"[[^\p{C}\p{Z}]\p{Cf}\p{Co}\x{a0}\x{2007}\x{202f}]"),
        (Class::Lower, "lower", r"\p{Lowercase}\x{1c5}\x{1c8}\x{1cb}\x{1f2}"),
        (Class::Print, "print", r"[[^\p{C}\p{Zl}\p{Zp}]\p{Cf}\p{Co}]"),
        (Class::Punct, "punct", r"[[[^\p{C}\p{Z}]\p{Cf}\p{Co}\x{a0}\x{2007}\x{202f}]--[\p{Alphabetic}\p{Nd}]]"),
        (
            Class::Space,
            "space",
            r"\x{9}-\x{d}\x{20}\x{1680}\x{2000}-\x{2006}\x{2008}-\x{200a}\x{2028}\x{2029}\x{205f}\x{3000}",
        ),
        (Class::Upper, "upper", r"\p{Uppercase}\p{Lt}"),
        (Class::Xdigit, "xdigit", "0-9A-Fa-f"),
        (Class::Word, "word", r"\p{Alphabetic}\p{Nd}_"),
    ];

    fn named(name: &str) -> Option<Class> {
        Class::ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// What stands for the class inside the crate's brackets.
    fn text(self) -> &'static str {
        Class::ALL[self as usize].2
    }

    /// Whether a character is of the class: asked of the crate, so that both roads agree.
    fn contains(self, c: char) -> bool {
        static SINGLE: LazyLock<Vec<Regex>> = LazyLock::new(|| {
            let whole =
                |row: &(Class, &str, &str)| Regex::new(&format!("^[{}]$", row.2)).expect("a class of the table");
            Class::ALL.iter().map(whole).collect()
        });
        SINGLE[self as usize].is_match(c.encode_utf8(&mut [0; 4]))
    }
}
