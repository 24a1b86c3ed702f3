//! What a pattern says of the beginning of the texts that match it: LIKE, `^@` and starts_with as ranges of an index.
//!
//! Texts order by code point, so that those with a common beginning lie together.

use crate::executor::functions::Function;

/// Which language a pattern is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// LIKE
    Like,
    /// `^@`, starts_with: the pattern is the beginning.
    Start,
}

impl Kind {
    /// The kind of a function of text and pattern.
    pub fn of(function: &Function) -> Option<Kind> {
        match function.symbol {
            "textlike" => Some(Kind::Like),
            "text_starts_with" => Some(Kind::Start),
            _ => None,
        }
    }
}

/// What a pattern begins with.
#[derive(Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The beginning of all texts that match.
    pub text: String,
    /// Only the text itself matches.
    pub exact: bool,
    /// Not all texts with this beginning match.
    pub rest: bool,
}

/// What a pattern begins with.
pub fn of(kind: Kind, pattern: &str) -> Prefix {
    if kind == Kind::Start {
        return Prefix { text: pattern.to_owned(), exact: false, rest: false };
    }
    let mut text = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '%' | '_' => {
                let all = c == '%' && rest.as_str().chars().all(|c| c == '%');
                return Prefix { text, exact: false, rest: !all };
            }
            '\\' => match rest.next() {
                Some(literal) => text.push(literal),
                // An error, which is matching's to raise.
                None => return Prefix { text, exact: false, rest: true },
            },
            _ => text.push(c),
        }
    }
    Prefix { text, exact: true, rest: false }
}

/// The least text above all that begin with `prefix`; `None`: there is none.
pub fn end(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // Surrogates are no characters.
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            _ => char::from_u32(last as u32 + 1),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_beginnings() {
        let like = |pattern: &str| {
            let found = of(Kind::Like, pattern);
            (found.text, found.exact, found.rest)
        };
        assert_eq!(like("abc%"), ("abc".into(), false, false));
        assert_eq!(like("abc%%"), ("abc".into(), false, false));
        assert_eq!(like("abc%d"), ("abc".into(), false, true));
        assert_eq!(like("a_c"), ("a".into(), false, true));
        assert_eq!(like("a\\%c"), ("a%c".into(), true, false));
        assert_eq!(like("a\\"), ("a".into(), false, true));
        assert_eq!(like("%"), (String::new(), false, false));
        assert_eq!(of(Kind::Start, "a%").text, "a%");
    }

    #[test]
    fn the_end_is_above_all_that_begin_so() {
        assert_eq!(end("abc").as_deref(), Some("abd"));
        assert_eq!(end("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(end("\u{10ffff}"), None);
        assert_eq!(end("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(end(""), None);
    }
}
