//! The operators over regular expressions and the `regexp_*` functions (PostgreSQL's `regexp.c`, `varlena.c`), and
//! SIMILAR TO, which is rewritten into a regular expression.

use super::compiled;
use super::matcher::{Match, Subject};
use super::syntax::{Options, set_option};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::inline::functions;
use crate::executor::functions::macros::strict;
use crate::executor::functions::{CallContext, Rows};
use crate::types::{Array, Datum, oid};

/// A flags argument.
#[derive(Clone, Copy, Default)]
struct Flags {
    options: Options,
    global: bool,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(SqlState::InvalidParameterValue, message)
}

fn flags(text: &str) -> Result<Flags> {
    let mut flags = Flags::default();
    for letter in text.chars() {
        if letter == 'g' {
            flags.global = true;
        } else if set_option(&mut flags.options, letter)?.is_none() {
            return Err(invalid(format!("invalid regular expression option: \"{letter}\"")));
        }
    }
    Ok(flags)
}

/// Flags of a function that looks at one match or at all by itself.
fn flags_of(text: &str, function: &str) -> Result<Options> {
    let flags = flags(text)?;
    if flags.global {
        let error = invalid(format!("{function}() does not support the \"global\" option"));
        let instead = if function == "regexp_match" { Some("Use the regexp_matches function instead.") } else { None };
        return Err(match instead {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }
    Ok(flags.options)
}

fn case(ignore: bool) -> Options {
    Options { ignore_case: ignore, ..Options::default() }
}

fn matches(text: &str, pattern: &str, options: Options) -> Result<bool> {
    Ok(compiled(pattern, options)?.is_match(text))
}

/// A parameter that counts from `least`.
fn parameter(name: &str, value: i32, least: i32) -> Result<usize> {
    if value < least {
        return Err(invalid(format!("invalid value for parameter \"{name}\": {value}")));
    }
    Ok(value as usize)
}

/// What is looked for in a text.
struct Hunt {
    start: usize,
    options: Options,
    all: bool,
    /// Empty matches at either end or right after a match do not count: where a text is split, they would part nothing.
    skip_empty: bool,
}

/// The matches (`setup_regexp_matches`).
fn hunt(subject: &Subject<'_>, pattern: &str, hunt: &Hunt) -> Result<Vec<Match>> {
    let regexp = compiled(pattern, hunt.options)?;
    let (mut found, mut from, mut previous_end) = (Vec::new(), hunt.start, 0);
    while let Some(matched) = regexp.find(subject, from) {
        let (start, end) = whole(&matched);
        let counts = !hunt.skip_empty || (start < subject.len() && end > previous_end);
        if counts {
            found.push(matched);
        }
        previous_end = end;
        if !hunt.all {
            break;
        }
        from = end + usize::from(start == end);
    }
    Ok(found)
}

fn whole(matched: &Match) -> (usize, usize) {
    matched[0].unwrap_or_default()
}

/// The groups of a match, or all of it when there are none.
fn groups(matched: &Match) -> &[Option<(usize, usize)>] {
    if matched.len() > 1 { &matched[1..] } else { matched }
}

fn texts(subject: &Subject<'_>, matched: &Match) -> Datum {
    let text = |place: &Option<(usize, usize)>| match place {
        Some((from, to)) => Datum::Text(subject.slice(*from, *to).into()),
        None => Datum::Null,
    };
    Datum::Array(Array::of(oid::TEXT, groups(matched).iter().map(text).collect()).into())
}

/// `substring(text from pattern)`: the first group, or the match.
fn substring(text: &str, pattern: &str) -> Result<Option<String>> {
    let subject = Subject::new(text);
    let found = compiled(pattern, Options::default())?.find(&subject, 0);
    let place = found.and_then(|matched| groups(&matched)[0]);
    Ok(place.map(|(from, to)| subject.slice(from, to).to_owned()))
}

fn regexp_match(text: &str, pattern: &str, flags: &str) -> Result<Datum> {
    let options = flags_of(flags, "regexp_match")?;
    let subject = Subject::new(text);
    let found = hunt(&subject, pattern, &Hunt { start: 0, options, all: false, skip_empty: false })?;
    Ok(found.first().map_or(Datum::Null, |matched| texts(&subject, matched)))
}

fn text_of(args: &[Datum], at: usize) -> Result<&str> {
    match args.get(at) {
        Some(Datum::Text(text)) => Ok(text),
        None => Ok(""),
        Some(other) => Err(Error::internal(format!("a text function was called with {other:?}"))),
    }
}

fn regexp_matches(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let flags = flags(text_of(args, 2)?)?;
    let subject = Subject::new(text_of(args, 0)?);
    let wanted = Hunt { start: 0, options: flags.options, all: flags.global, skip_empty: false };
    let found = hunt(&subject, text_of(args, 1)?, &wanted)?;
    let rows: Vec<Datum> = found.iter().map(|matched| texts(&subject, matched)).collect();
    Ok(Box::new(rows.into_iter().map(Ok)))
}

use regexp_matches as regexp_matches_no_flags;

/// The parts between the matches.
fn split(text: &str, pattern: &str, options: Options) -> Result<Vec<Datum>> {
    let subject = Subject::new(text);
    let found = hunt(&subject, pattern, &Hunt { start: 0, options, all: true, skip_empty: true })?;
    let mut parts = Vec::with_capacity(found.len() + 1);
    let mut from = 0;
    for matched in &found {
        let (start, end) = whole(matched);
        parts.push(Datum::Text(subject.slice(from, start).into()));
        from = end;
    }
    parts.push(Datum::Text(subject.slice(from, subject.len()).into()));
    Ok(parts)
}

fn regexp_split_to_table(_: &CallContext, args: &[Datum]) -> Result<Rows> {
    let options = flags_of(text_of(args, 2)?, "regexp_split_to_table")?;
    let parts = split(text_of(args, 0)?, text_of(args, 1)?, options)?;
    Ok(Box::new(parts.into_iter().map(Ok)))
}

use regexp_split_to_table as regexp_split_to_table_no_flags;

fn split_to_array(text: &str, pattern: &str, flags: &str) -> Result<Array> {
    let options = flags_of(flags, "regexp_split_to_array")?;
    Ok(Array::of(oid::TEXT, split(text, pattern, options)?))
}

fn count(text: &str, pattern: &str, start: i32, flags: &str) -> Result<i32> {
    let start = parameter("start", start, 1)? - 1;
    let options = flags_of(flags, "regexp_count")?;
    let found = hunt(&Subject::new(text), pattern, &Hunt { start, options, all: true, skip_empty: false })?;
    Ok(found.len() as i32)
}

/// The place of group `group` (0: all) of match `n` from `start` on.
fn nth(
    subject: &Subject<'_>,
    pattern: &str,
    (start, n, group): (i32, i32, i32),
    flags: impl FnOnce() -> Result<Options>,
) -> Result<Option<(usize, usize)>> {
    let (start, n) = (parameter("start", start, 1)? - 1, parameter("n", n, 1)?);
    let group = parameter("subexpr", group, 0)?;
    let options = flags()?;
    let found = hunt(subject, pattern, &Hunt { start, options, all: true, skip_empty: false })?;
    let Some(matched) = found.get(n - 1) else { return Ok(None) };
    Ok(match group {
        0 => matched[0],
        group => groups(matched).get(group - 1).copied().flatten(),
    })
}

fn instr(text: &str, pattern: &str, (start, n, end): (i32, i32, i32), flags: &str, group: i32) -> Result<i32> {
    parameter("start", start, 1)?;
    parameter("n", n, 1)?;
    if !(0..=1).contains(&end) {
        return Err(invalid(format!("invalid value for parameter \"endoption\": {end}")));
    }
    let place = nth(&Subject::new(text), pattern, (start, n, group), || flags_of(flags, "regexp_instr"))?;
    Ok(place.map_or(0, |(from, to)| if end == 1 { to } else { from } as i32 + 1))
}

fn substr(text: &str, pattern: &str, start: i32, n: i32, flags: &str, group: i32) -> Result<Option<String>> {
    let subject = Subject::new(text);
    let place = nth(&subject, pattern, (start, n, group), || flags_of(flags, "regexp_substr"))?;
    Ok(place.map(|(from, to)| subject.slice(from, to).to_owned()))
}

/// Appends a replacement with `\1` to `\9`, `\&` and `\\` put in.
fn put_replacement(replacement: &str, subject: &Subject<'_>, matched: &Match, out: &mut String) {
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let group = match after.chars().next() {
            Some(digit @ '1'..='9') => Some(digit as usize - '0' as usize),
            Some('&') => Some(0),
            Some('\\') => None,
            // What it does not know stays as it is.
            _ => {
                out.push('\\');
                rest = after;
                continue;
            }
        };
        match group {
            None => out.push('\\'),
            Some(group) => {
                if let Some((from, to)) = matched.get(group).copied().flatten() {
                    out.push_str(subject.slice(from, to));
                }
            }
        }
        rest = &after[1..];
    }
    out.push_str(rest);
}

/// Replaces match `n` from `start` on; 0 is all of them (`replace_text_regexp`).
fn replace(text: &str, pattern: &str, replacement: &str, start: usize, n: usize, options: Options) -> Result<String> {
    let regexp = compiled(pattern, options)?;
    let subject = Subject::new(text);
    let (mut out, mut copied, mut from, mut count) = (String::new(), 0, start, 0);
    while let Some(matched) = regexp.find(&subject, from) {
        let (begin, end) = whole(&matched);
        count += 1;
        from = end + usize::from(begin == end);
        if n > 0 && count != n {
            continue;
        }
        out.push_str(subject.slice(copied, begin));
        put_replacement(replacement, &subject, &matched, &mut out);
        copied = end;
        if n > 0 {
            break;
        }
    }
    out.push_str(subject.slice(copied, subject.len()));
    Ok(out)
}

fn replace_with_flags(text: &str, pattern: &str, replacement: &str, letters: &str) -> Result<String> {
    if letters.starts_with(|c: char| c.is_ascii_digit()) {
        let first = &letters[..1];
        return Err(invalid(format!("invalid regular expression option: \"{first}\"")).hint(
            "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.",
        ));
    }
    let flags = flags(letters)?;
    replace(text, pattern, replacement, 0, usize::from(!flags.global), flags.options)
}

fn replace_from(text: &str, pattern: &str, with: &str, start: i32, n: Option<i32>, letters: &str) -> Result<String> {
    let start = parameter("start", start, 1)? - 1;
    let n = n.map(|n| parameter("n", n, 0)).transpose()?;
    let flags = flags(letters)?;
    replace(text, pattern, with, start, n.unwrap_or(usize::from(!flags.global)), flags.options)
}

/// SIMILAR TO's pattern as a regular expression (`similar_escape_internal`).
///
/// `%` and `_` become `.*` and `.`, parentheses do not capture; the escaped quotes of SUBSTRING … SIMILAR part the pattern
/// into what comes before (as short as possible), the result, and what comes after.
fn similar(pattern: &str, escape: &str) -> Result<String> {
    let mut letters = escape.chars();
    let escape = letters.next();
    if letters.next().is_some() {
        let error = Error::new(SqlState::InvalidEscapeSequence, "invalid escape string");
        return Err(error.hint("Escape string must be empty or one character."));
    }
    let mut out = String::from("^(?:");
    let (mut escaped, mut in_brackets, mut quotes) = (false, false, 0);
    for c in pattern.chars() {
        if escaped {
            escaped = false;
            if c != '"' || in_brackets {
                out.extend(['\\', c]);
                continue;
            }
            out.push_str(match quotes {
                0 => "){1,1}?(",
                1 => "){1,1}(?:",
                _ => {
                    return Err(Error::new(
                        SqlState::InvalidUseOfEscapeCharacter,
                        "SQL regular expression may not contain more than two escape-double-quote separators",
                    ));
                }
            });
            quotes += 1;
        } else if Some(c) == escape {
            escaped = true;
        } else if in_brackets {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
            in_brackets = c != ']';
        } else {
            match c {
                '[' => {
                    out.push(c);
                    in_brackets = true;
                }
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => out.extend(['\\', c]),
                c => out.push(c),
            }
        }
    }
    out.push_str(")$");
    Ok(out)
}

/// The old form: without an escape character it is the backslash, and a NULL pattern gives NULL.
fn similar_or_null(pattern: Option<&str>, escape: Option<&str>) -> Result<Option<String>> {
    pattern.map(|pattern| similar(pattern, escape.unwrap_or("\\"))).transpose()
}

strict! {
    SETS:
    regexp_matches = set;
    regexp_matches_no_flags = set;
    regexp_split_to_table = set;
    regexp_split_to_table_no_flags = set;
}

functions! {
    TABLE:
    raises textregexeq(a: &str, b: &str) -> bool = matches(a, b, case(false));
    raises textregexne(a: &str, b: &str) -> bool = matches(a, b, case(false)).map(|found| !found);
    raises texticregexeq(a: &str, b: &str) -> bool = matches(a, b, case(true));
    raises texticregexne(a: &str, b: &str) -> bool = matches(a, b, case(true)).map(|found| !found);
    raises nameregexeq(a: &str, b: &str) -> bool = matches(a, b, case(false));
    raises nameregexne(a: &str, b: &str) -> bool = matches(a, b, case(false)).map(|found| !found);
    raises nameicregexeq(a: &str, b: &str) -> bool = matches(a, b, case(true));
    raises nameicregexne(a: &str, b: &str) -> bool = matches(a, b, case(true)).map(|found| !found);
    raises regexp_like_no_flags(a: &str, b: &str) -> bool = matches(a, b, case(false));
    raises regexp_like(a: &str, b: &str, c: &str) -> bool = flags_of(c, "regexp_like").and_then(|options| matches(a, b, options));
    raises textregexsubstr(a: &str, b: &str) -> Option<String> = substring(a, b);
    raises substring(a: &str, b: &str, c: &str) -> Option<String> = similar(b, c).and_then(|pattern| substring(a, &pattern));
    raises similar_to_escape_1(a: &str) -> String = similar(a, "\\");
    raises similar_to_escape_2(a: &str, b: &str) -> String = similar(a, b);
    raises similar_escape(a: Option<&str>, b: Option<&str>) -> Option<String> = similar_or_null(a, b);
    raises regexp_match(a: &str, b: &str, c: &str) -> Datum = regexp_match(a, b, c);
    raises regexp_match_no_flags(a: &str, b: &str) -> Datum = regexp_match(a, b, "");
    raises regexp_split_to_array(a: &str, b: &str, c: &str) -> Array = split_to_array(a, b, c);
    raises regexp_split_to_array_no_flags(a: &str, b: &str) -> Array = split_to_array(a, b, "");
    raises regexp_count(a: &str, b: &str, c: i32, d: &str) -> i32 = count(a, b, c, d);
    raises regexp_count_no_flags(a: &str, b: &str, c: i32) -> i32 = count(a, b, c, "");
    raises regexp_count_no_start(a: &str, b: &str) -> i32 = count(a, b, 1, "");
    raises regexp_instr(a: &str, b: &str, c: i32, d: i32, e: i32, f: &str, g: i32) -> i32 = instr(a, b, (c, d, e), f, g);
    raises regexp_instr_no_subexpr(a: &str, b: &str, c: i32, d: i32, e: i32, f: &str) -> i32 = instr(a, b, (c, d, e), f, 0);
    raises regexp_instr_no_flags(a: &str, b: &str, c: i32, d: i32, e: i32) -> i32 = instr(a, b, (c, d, e), "", 0);
    raises regexp_instr_no_endoption(a: &str, b: &str, c: i32, d: i32) -> i32 = instr(a, b, (c, d, 0), "", 0);
    raises regexp_instr_no_n(a: &str, b: &str, c: i32) -> i32 = instr(a, b, (c, 1, 0), "", 0);
    raises regexp_instr_no_start(a: &str, b: &str) -> i32 = instr(a, b, (1, 1, 0), "", 0);
    raises regexp_substr(a: &str, b: &str, c: i32, d: i32, e: &str, f: i32) -> Option<String> = substr(a, b, c, d, e, f);
    raises regexp_substr_no_subexpr(a: &str, b: &str, c: i32, d: i32, e: &str) -> Option<String> = substr(a, b, c, d, e, 0);
    raises regexp_substr_no_flags(a: &str, b: &str, c: i32, d: i32) -> Option<String> = substr(a, b, c, d, "", 0);
    raises regexp_substr_no_n(a: &str, b: &str, c: i32) -> Option<String> = substr(a, b, c, 1, "", 0);
    raises regexp_substr_no_start(a: &str, b: &str) -> Option<String> = substr(a, b, 1, 1, "", 0);
    raises textregexreplace_noopt(a: &str, b: &str, c: &str) -> String = replace(a, b, c, 0, 1, case(false));
    raises textregexreplace(a: &str, b: &str, c: &str, d: &str) -> String = replace_with_flags(a, b, c, d);
    raises textregexreplace_extended(a: &str, b: &str, c: &str, d: i32, e: i32, f: &str) -> String = replace_from(a, b, c, d, Some(e), f);
    raises textregexreplace_extended_no_flags(a: &str, b: &str, c: &str, d: i32, e: i32) -> String = replace_from(a, b, c, d, Some(e), "");
    raises textregexreplace_extended_no_n(a: &str, b: &str, c: &str, d: i32) -> String = replace_from(a, b, c, d, None, "");
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("abab", r"^(ab)\1$", true),
            ("abc", "a(?=b)", true),
        ] {
            assert_eq!(matches(text, pattern, case(false)).unwrap(), expected, "{text} ~ {pattern}");
        }
        for pattern in ["(", "a)", "[a", "a**", "*a", "a{2,1}", "[b-a]", r"\2", "(?z)a"] {
            let error = matches("", pattern, case(false)).unwrap_err();
            assert_eq!(error.code(), SqlState::InvalidRegularExpression, "{pattern}");
        }
    }

    /// The match is the longest one, and within it each part takes what its own preference says.
    #[test]
    fn the_match_is_posixs() {
        for (text, pattern, expected) in [
            ("foobar", "(foo|foobar)(bar)?", "foobar|foobar|-"),
            ("abcd", "(a|ab)(c|bcd)(d*)", "abcd|ab|c|d"),
            ("abc", "(a?)(ab)?", "ab||ab"),
            ("XY1234Z", r"Y*?([0-9]{1,3})", "Y1|1"),
            ("XY1234Z", r"Y*([0-9]{1,3}?)", "Y123|123"),
            ("aabab", "(a|ab)*", "aabab|ab"),
            ("xaby", "x(?:(a)|(b))*y", "xaby|-|b"),
        ] {
            let subject = Subject::new(text);
            let matched = compiled(pattern, Options::default()).unwrap().find(&subject, 0).expect(pattern);
            let shown: Vec<&str> =
                matched.iter().map(|place| place.map_or("-", |(from, to)| subject.slice(from, to))).collect();
            assert_eq!(shown.join("|"), expected, "{pattern} on {text}");
        }
    }
}
