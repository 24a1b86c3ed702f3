//! PostgreSQL's advanced regular expressions: from text to the tree that its own compiler makes (`regcomp.c`, `regc_lex.c`).
//!
//! The tree decides which of several matches is *the* match, so it is cut exactly as PostgreSQL cuts it: a run of pieces
//! without captures whose preferences agree is one [`Op::Plain`], only what needs to be taken apart becomes a node.
//! Each node carries its language ([`Rx`]) beside it.
//!
//! Refused with 0A000: basic and extended syntax (`b`, `e`), collating elements with names of several letters.

use crate::error::{Error, Result, SqlState};
use crate::executor::functions::string::{lower_char, upper_char};
use std::sync::Arc;

/// A set of characters: what a bracket expression, a class escape, a dot or one character stands for.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) negated: bool,
    pub(super) ranges: Vec<(char, char)>,
    /// Classes, and complements of classes.
    pub(super) classes: Vec<(Class, bool)>,
    /// Whether each of the first 128 characters is in the set.
    ascii: u128,
}

/// A character class: `[:alpha:]` and its kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Alnum,
    Alpha,
    Ascii,
    Blank,
    Cntrl,
    Digit,
    Graph,
    Lower,
    Print,
    Punct,
    Space,
    Upper,
    Xdigit,
    Word,
}

/// What holds between two characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assertion {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    WordBoundary,
    NoWordBoundary,
}

/// A language.
#[derive(Debug)]
pub(super) enum Rx {
    Empty,
    Set(Set),
    Concat(Vec<Arc<Rx>>),
    Alternatives(Vec<Arc<Rx>>),
    Repeat { of: Arc<Rx>, min: u32, max: Option<u32> },
    Assertion(Assertion),
    Look { of: Arc<Rx>, ahead: bool, negated: bool },
}

/// How a node's text is taken apart.
#[derive(Debug)]
pub(super) enum Op {
    /// Not at all.
    Plain,
    Concat(Box<Tree>, Box<Tree>),
    Alternatives(Vec<Tree>),
    /// Each turn is one text of the child; captures are the last turn's.
    Iterate {
        of: Box<Tree>,
        min: u32,
        max: Option<u32>,
    },
    Capture {
        number: usize,
        of: Box<Tree>,
    },
    BackReference {
        number: usize,
        min: u32,
        max: Option<u32>,
    },
}

/// A node of the tree.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) op: Op,
    pub(super) rx: Arc<Rx>,
    pub(super) flags: u8,
}

/// Preferences and what a node holds (`regguts.h`).
pub(super) const LONGER: u8 = 1;
pub(super) const SHORTER: u8 = 2;
const MIXED: u8 = 4;
const CAPTURES: u8 = 8;
pub(super) const REFERS_BACK: u8 = 16;
const PREFERENCE: u8 = LONGER | SHORTER;

fn up(flags: u8) -> u8 {
    flags & !PREFERENCE | if flags & PREFERENCE == PREFERENCE { MIXED } else { 0 }
}

fn combine(first: u8, second: u8) -> u8 {
    let preference = if first & PREFERENCE != 0 { first } else { second };
    up(first | second) | preference & PREFERENCE
}

fn messy(flags: u8) -> bool {
    flags & (MIXED | CAPTURES | REFERS_BACK) != 0
}

/// Options of a regular expression, from flags and from its own beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) ignore_case: bool,
    /// `.` and `[^…]` take no newline.
    pub(super) newline_stops: bool,
    /// `^` and `$` hold at lines' ends.
    pub(super) newline_anchors: bool,
    pub(super) expanded: bool,
    pub(super) literal: bool,
}

/// A parsed regular expression.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) tree: Tree,
    pub(super) captures: usize,
}

/// Nested parentheses that are followed.
const DEPTH_MAX: usize = 250;
/// What a bound may count to.
const REPEATS_MAX: u32 = 255;

pub(super) fn invalid(why: &str) -> Error {
    Error::new(SqlState::InvalidRegularExpression, format!("invalid regular expression: {why}"))
}

fn unbalanced() -> Error {
    invalid("parentheses () not balanced")
}

fn bad_operand() -> Error {
    invalid("quantifier operand invalid")
}

fn bad_escape() -> Error {
    invalid("invalid escape \\ sequence")
}

fn bad_count() -> Error {
    invalid("invalid repetition count(s)")
}

fn bad_range() -> Error {
    invalid("invalid character range")
}

fn brackets() -> Error {
    invalid("brackets [] not balanced")
}

impl Set {
    fn new(negated: bool, ranges: Vec<(char, char)>, classes: Vec<(Class, bool)>) -> Set {
        let mut set = Set { negated, ranges, classes, ascii: 0 };
        for c in 0..128u8 {
            if set.contains_any(char::from(c)) {
                set.ascii |= 1 << c;
            }
        }
        set
    }

    fn contains_any(&self, c: char) -> bool {
        let inside = self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
            || self.classes.iter().any(|(class, negated)| class.contains(c) != *negated);
        inside != self.negated
    }

    pub(super) fn contains(&self, c: char) -> bool {
        if c.is_ascii() { self.ascii >> (c as u32) & 1 == 1 } else { self.contains_any(c) }
    }
}

/// What `option` letters of a flags argument or an embedded `(?…)` do; `None`: no such letter.
pub(super) fn set_option(options: &mut Options, letter: char) -> Result<Option<()>> {
    match letter {
        'c' => options.ignore_case = false,
        'i' => options.ignore_case = true,
        'm' | 'n' => (options.newline_stops, options.newline_anchors) = (true, true),
        'p' => (options.newline_stops, options.newline_anchors) = (true, false),
        's' => (options.newline_stops, options.newline_anchors) = (false, false),
        'w' => (options.newline_stops, options.newline_anchors) = (false, true),
        't' => options.expanded = false,
        'x' => options.expanded = true,
        'q' => options.literal = true,
        'b' => return Err(Error::unsupported("basic regular expressions")),
        'e' => return Err(Error::unsupported("extended regular expressions that are not advanced ones")),
        _ => return Ok(None),
    }
    Ok(Some(()))
}

/// Parses a whole regular expression.
pub(super) fn parse(pattern: &str, mut options: Options) -> Result<Parsed> {
    let mut body = pattern;
    if !options.literal {
        if let Some(rest) = body.strip_prefix("***=") {
            (options.literal, body) = (true, rest);
        } else if let Some(rest) = body.strip_prefix("***:") {
            body = rest;
        } else if body.starts_with("***") {
            return Err(bad_operand());
        }
    }
    if !options.literal
        && let Some(rest) = body.strip_prefix("(?")
        && rest.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        let wrong = || invalid("invalid embedded option");
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).ok_or_else(wrong)?;
        for letter in rest[..end].chars() {
            set_option(&mut options, letter)?.ok_or_else(wrong)?;
        }
        body = rest[end..].strip_prefix(')').ok_or_else(wrong)?;
    }
    let chars: Vec<char> = body.chars().collect();
    let mut parser =
        Parser { chars: &chars, at: 0, options, depth: 0, captures: 0, in_look: false, groups: vec![None] };
    if options.literal {
        let rx = body.chars().map(|c| Arc::new(Rx::Set(parser.one(c)))).collect();
        let tree = Tree { op: Op::Plain, rx: Arc::new(Rx::Concat(rx)), flags: 0 };
        return Ok(Parsed { tree, captures: 0 });
    }
    let tree = parser.alternatives()?;
    // Only a closing parenthesis ends it early.
    if parser.at < chars.len() { Err(unbalanced()) } else { Ok(Parsed { tree, captures: parser.captures }) }
}

struct Parser<'a> {
    chars: &'a [char],
    at: usize,
    options: Options,
    depth: usize,
    captures: usize,
    /// Inside of a lookaround constraint parentheses do not capture.
    in_look: bool,
    /// The language of each group that is closed.
    groups: Vec<Option<Arc<Rx>>>,
}

/// An atom or a constraint, before its quantifier.
enum Piece {
    /// Takes no quantifier.
    Constraint(Rx),
    Atom(Tree),
    Group(Tree),
    BackReference(usize),
}

impl Parser<'_> {
    /// The next character that means something: blanks and comments of the expanded syntax are skipped.
    fn peek(&mut self) -> Option<char> {
        loop {
            let c = *self.chars.get(self.at)?;
            if self.options.expanded && (c.is_ascii_whitespace() || c == '\x0b') {
                self.at += 1;
            } else if self.options.expanded && c == '#' {
                while self.chars.get(self.at).is_some_and(|c| *c != '\n') {
                    self.at += 1;
                }
            } else if c == '(' && self.chars[self.at..].starts_with(&['(', '?', '#']) {
                while self.chars.get(self.at).is_some_and(|c| *c != ')') {
                    self.at += 1;
                }
                self.at = (self.at + 1).min(self.chars.len());
            } else {
                return Some(c);
            }
        }
    }

    /// The next character as it stands.
    fn raw(&mut self) -> Option<char> {
        let c = self.chars.get(self.at).copied();
        self.at += usize::from(c.is_some());
        c
    }

    fn next_is(&mut self, wanted: char) -> bool {
        let found = self.chars.get(self.at) == Some(&wanted);
        self.at += usize::from(found);
        found
    }

    /// Branches up to a closing parenthesis or the end (`parse`).
    fn alternatives(&mut self) -> Result<Tree> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(invalid("regular expression is too complex"));
        }
        let mut branches = vec![self.branch()?];
        while self.peek() == Some('|') {
            self.at += 1;
            branches.push(self.branch()?);
        }
        self.depth -= 1;
        if branches.len() == 1
            && let Some(only) = branches.pop()
        {
            return Ok(only);
        }
        let flags = branches.iter().fold(LONGER, |flags, branch| flags | up(flags | branch.flags));
        let rx = Arc::new(Rx::Alternatives(branches.iter().map(|branch| branch.rx.clone()).collect()));
        let op = if messy(flags) { Op::Alternatives(branches) } else { Op::Plain };
        Ok(Tree { op, rx, flags })
    }

    /// Pieces in a row (`parsebranch`, `parseqatom`).
    fn branch(&mut self) -> Result<Tree> {
        let mut run: Vec<Arc<Rx>> = Vec::new();
        let mut flags = 0;
        while !matches!(self.peek(), None | Some('|' | ')')) {
            let (atom, kind) = match self.piece()? {
                Piece::Constraint(rx) => {
                    run.push(Arc::new(rx));
                    continue;
                }
                Piece::Atom(tree) => (tree, Kind::Plain),
                Piece::Group(tree) => (tree, Kind::Group),
                Piece::BackReference(number) => (self.reference(number)?, Kind::Reference(number)),
            };
            let (min, max, preferred) = self.quantifier()?;
            if max == Some(0) {
                continue;
            }
            let all = flags | preferred | atom.flags;
            if kind == Kind::Plain && !messy(up(all)) {
                run.push(repeated(&atom.rx, min, max));
                flags = all;
                continue;
            }
            let piece = quantified(atom, kind, min, max, preferred);
            let rest = match self.peek() {
                None | Some('|' | ')') => piece,
                Some(_) => {
                    let rest = self.branch()?;
                    joined(piece, rest)
                }
            };
            if run.is_empty() {
                return Ok(rest);
            }
            let prefix = Tree { op: Op::Plain, rx: concatenated(run), flags };
            return Ok(joined(prefix, rest));
        }
        Ok(Tree { op: Op::Plain, rx: concatenated(run), flags })
    }

    fn reference(&self, number: usize) -> Result<Tree> {
        let group = self.groups.get(number).cloned().flatten().filter(|_| !self.in_look);
        let rx = group.ok_or_else(|| invalid("invalid backreference number"))?;
        let op = Op::BackReference { number, min: 1, max: Some(1) };
        Ok(Tree { op, rx, flags: REFERS_BACK })
    }

    fn piece(&mut self) -> Result<Piece> {
        let plain = |rx: Rx| Piece::Atom(Tree { op: Op::Plain, rx: Arc::new(rx), flags: 0 });
        let constraint = |assertion| Ok(Piece::Constraint(Rx::Assertion(assertion)));
        let anchors = self.options.newline_anchors;
        match self.raw().ok_or_else(|| Error::internal("a piece of a regular expression after its end"))? {
            '^' => constraint(if anchors { Assertion::LineStart } else { Assertion::TextStart }),
            '$' => constraint(if anchors { Assertion::LineEnd } else { Assertion::TextEnd }),
            '*' | '+' | '?' => Err(bad_operand()),
            '{' if self.chars.get(self.at).is_some_and(char::is_ascii_digit) => Err(bad_operand()),
            '(' => self.parenthesis(),
            '[' => {
                let words = [('<', Assertion::WordStart), ('>', Assertion::WordEnd)];
                for (mark, assertion) in words {
                    if self.chars[self.at..].starts_with(&['[', ':', mark, ':', ']', ']']) {
                        self.at += 6;
                        return constraint(assertion);
                    }
                }
                Ok(plain(Rx::Set(self.bracket()?)))
            }
            '.' => {
                let newline = if self.options.newline_stops { vec![('\n', '\n')] } else { Vec::new() };
                Ok(plain(Rx::Set(Set::new(true, newline, Vec::new()))))
            }
            '\\' => match self.escape()? {
                Escape::Char(c) => Ok(plain(Rx::Set(self.one(c)))),
                Escape::Class(class, negated) => {
                    Ok(plain(Rx::Set(Set::new(false, Vec::new(), vec![(class, negated)]))))
                }
                Escape::Assertion(assertion) => constraint(assertion),
                Escape::BackReference(number) => Ok(Piece::BackReference(number)),
            },
            c => Ok(plain(Rx::Set(self.one(c)))),
        }
    }

    /// After an opening parenthesis.
    fn parenthesis(&mut self) -> Result<Piece> {
        if !self.next_is('?') {
            if self.in_look {
                let tree = self.closed()?;
                return Ok(Piece::Atom(tree));
            }
            self.captures += 1;
            let number = self.captures;
            self.groups.push(None);
            let tree = self.closed()?;
            self.groups[number] = Some(tree.rx.clone());
            let (rx, flags) = (tree.rx.clone(), tree.flags | CAPTURES);
            return Ok(Piece::Group(Tree { op: Op::Capture { number, of: Box::new(tree) }, rx, flags }));
        }
        let (ahead, negated) = match self.raw() {
            Some(':') => return Ok(Piece::Atom(self.closed()?)),
            Some('=') => (true, false),
            Some('!') => (true, true),
            Some('<') => match self.raw() {
                Some('=') => (false, false),
                Some('!') => (false, true),
                _ => return Err(bad_operand()),
            },
            _ => return Err(bad_operand()),
        };
        let outer = std::mem::replace(&mut self.in_look, true);
        let tree = self.closed()?;
        self.in_look = outer;
        Ok(Piece::Constraint(Rx::Look { of: tree.rx, ahead, negated }))
    }

    fn closed(&mut self) -> Result<Tree> {
        let tree = self.alternatives()?;
        match self.peek() {
            Some(')') => {
                self.at += 1;
                Ok(tree)
            }
            _ => Err(unbalanced()),
        }
    }

    /// A quantifier, if one comes: least and most turns, and the preference.
    fn quantifier(&mut self) -> Result<(u32, Option<u32>, u8)> {
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') if self.chars.get(self.at + 1).is_some_and(char::is_ascii_digit) => {
                self.at += 1;
                return self.bounds();
            }
            _ => return Ok((1, Some(1), 0)),
        };
        self.at += 1;
        let preferred = if self.next_is('?') { SHORTER } else { LONGER };
        Ok((min, max, preferred))
    }

    /// `m}`, `m,}` or `m,n}`, perhaps with `?`.
    fn bounds(&mut self) -> Result<(u32, Option<u32>, u8)> {
        let min = self.count()?;
        let mut max = Some(min);
        let range = self.next_is(',');
        if range {
            let more = self.chars.get(self.at).is_some_and(char::is_ascii_digit);
            max = if more { Some(self.count()?) } else { None };
            if max.is_some_and(|max| max < min) {
                return Err(bad_count());
            }
        }
        match self.raw() {
            Some('}') => {}
            Some(_) => return Err(bad_count()),
            None => return Err(invalid("braces {} not balanced")),
        }
        let lazy = self.next_is('?');
        let preferred = match (range, lazy) {
            (false, _) => 0,
            (true, false) => LONGER,
            (true, true) => SHORTER,
        };
        Ok((min, max, preferred))
    }

    fn count(&mut self) -> Result<u32> {
        let mut count = 0;
        while let Some(digit) = self.chars.get(self.at).and_then(|c| c.to_digit(10)) {
            count = count * 10 + digit;
            if count > REPEATS_MAX {
                return Err(bad_count());
            }
            self.at += 1;
        }
        Ok(count)
    }

    /// One character, and its other case.
    fn one(&self, c: char) -> Set {
        let mut ranges = Vec::new();
        self.add_range(c, c, &mut ranges);
        Set::new(false, ranges, Vec::new())
    }

    fn add_range(&self, low: char, high: char, ranges: &mut Vec<(char, char)>) {
        ranges.push((low, high));
        if !self.options.ignore_case {
            return;
        }
        for c in low..=high {
            for other in [lower_char(c), upper_char(c)] {
                if !(low..=high).contains(&other) {
                    ranges.push((other, other));
                }
            }
        }
    }

    /// A bracket expression after its `[`.
    fn bracket(&mut self) -> Result<Set> {
        let negated = self.next_is('^');
        let (mut ranges, mut classes, mut first) = (Vec::new(), Vec::new(), true);
        if negated && self.options.newline_stops {
            ranges.push(('\n', '\n'));
        }
        loop {
            let low = match self.raw().ok_or_else(brackets)? {
                ']' if !first => break,
                // Not the first one, and not after the start of a range.
                '-' if !first && self.chars.get(self.at) != Some(&']') => return Err(bad_range()),
                c => self.member(c, &mut classes)?,
            };
            first = false;
            let range = self.chars.get(self.at) == Some(&'-') && self.chars.get(self.at + 1) != Some(&']');
            let Some(low) = low else {
                if range && self.chars.get(self.at + 1).is_some() {
                    return Err(bad_range());
                }
                continue;
            };
            if !range {
                self.add_range(low, low, &mut ranges);
                continue;
            }
            self.at += 1;
            let end = self.raw().ok_or_else(brackets)?;
            let high = self.member(end, &mut classes)?.ok_or_else(bad_range)?;
            if high < low {
                return Err(bad_range());
            }
            self.add_range(low, high, &mut ranges);
        }
        Ok(Set::new(negated, ranges, classes))
    }

    /// A character of a bracket expression, or `None` when it was a class (which is noted).
    fn member(&mut self, c: char, classes: &mut Vec<(Class, bool)>) -> Result<Option<char>> {
        match c {
            '\\' => match self.escape()? {
                Escape::Char(c) => Ok(Some(c)),
                Escape::Class(class, negated) => {
                    classes.push((class, negated));
                    Ok(None)
                }
                _ => Err(bad_escape()),
            },
            '[' => match self.chars.get(self.at) {
                None => Err(brackets()),
                Some(mark @ (':' | '.' | '=')) => {
                    self.at += 1;
                    self.named(*mark, classes)
                }
                Some(_) => Ok(Some('[')),
            },
            c => Ok(Some(c)),
        }
    }

    /// `[:class:]`, `[.x.]` or `[=x=]` after its mark.
    fn named(&mut self, mark: char, classes: &mut Vec<(Class, bool)>) -> Result<Option<char>> {
        let rest = &self.chars[self.at..];
        let end = rest.windows(2).position(|pair| pair == [mark, ']']).ok_or_else(brackets)?;
        let name: String = rest[..end].iter().collect();
        self.at += end + 2;
        if mark == ':' {
            let class = Class::named(&name).ok_or_else(|| invalid("invalid character class"))?;
            let class = match class {
                Class::Upper | Class::Lower if self.options.ignore_case => Class::Alpha,
                class => class,
            };
            classes.push((class, false));
            return Ok(None);
        }
        let mut chars = name.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(Some(c)),
            (None, _) => Err(invalid("invalid collating element")),
            _ => Err(Error::unsupported("named collating elements in regular expressions")),
        }
    }

    /// An escape after its backslash (`lexescape`).
    fn escape(&mut self) -> Result<Escape> {
        let c = self.raw().ok_or_else(bad_escape)?;
        Ok(match c {
            'a' => Escape::Char('\x07'),
            'A' => Escape::Assertion(Assertion::TextStart),
            'b' => Escape::Char('\x08'),
            'B' => Escape::Char('\\'),
            'c' => {
                let code = u32::from(self.raw().ok_or_else(bad_escape)?) & 0o37;
                Escape::Char(char::from(code as u8))
            }
            'd' => Escape::Class(Class::Digit, false),
            'D' => Escape::Class(Class::Digit, true),
            'e' => Escape::Char('\x1b'),
            'f' => Escape::Char('\x0c'),
            'm' => Escape::Assertion(Assertion::WordStart),
            'M' => Escape::Assertion(Assertion::WordEnd),
            'n' => Escape::Char('\n'),
            'r' => Escape::Char('\r'),
            's' => Escape::Class(Class::Space, false),
            'S' => Escape::Class(Class::Space, true),
            't' => Escape::Char('\t'),
            'u' => Escape::Char(self.code(16, 4, 4)?),
            'U' => Escape::Char(self.code(16, 8, 8)?),
            'v' => Escape::Char('\x0b'),
            'w' => Escape::Class(Class::Word, false),
            'W' => Escape::Class(Class::Word, true),
            'x' => Escape::Char(self.code(16, 1, 255)?),
            'y' => Escape::Assertion(Assertion::WordBoundary),
            'Y' => Escape::Assertion(Assertion::NoWordBoundary),
            'Z' => Escape::Assertion(Assertion::TextEnd),
            '1'..='9' => {
                let start = self.at - 1;
                let digits = self.chars[start..].iter().take_while(|c| c.is_ascii_digit()).count();
                let text: String = self.chars[start..start + digits].iter().collect();
                let number = text.parse::<usize>().unwrap_or(usize::MAX);
                // One digit, or as many groups so far: a back reference; else an octal code.
                if digits == 1 || number <= self.captures {
                    self.at = start + digits;
                    return Ok(Escape::BackReference(number));
                }
                self.octal()?
            }
            '0' => self.octal()?,
            c if c.is_ascii_alphanumeric() => return Err(bad_escape()),
            c => Escape::Char(c),
        })
    }

    /// Up to three octal digits from the one just read, of which the third may be too much.
    fn octal(&mut self) -> Result<Escape> {
        self.at -= 1;
        let (mut code, mut digits) = (0, 0);
        while digits < 3
            && let Some(digit) = self.chars.get(self.at).and_then(|c| c.to_digit(8))
            && code * 8 + digit <= 0xff
        {
            code = code * 8 + digit;
            digits += 1;
            self.at += 1;
        }
        if digits == 0 {
            return Err(bad_escape());
        }
        char::from_u32(code).map(Escape::Char).ok_or_else(bad_escape)
    }

    fn code(&mut self, radix: u32, least: usize, most: usize) -> Result<char> {
        let (mut code, mut digits) = (0u32, 0);
        while digits < most
            && let Some(digit) = self.chars.get(self.at).and_then(|c| c.to_digit(radix))
        {
            code = code.checked_mul(radix).ok_or_else(bad_escape)? + digit;
            digits += 1;
            self.at += 1;
        }
        if digits < least { Err(bad_escape()) } else { char::from_u32(code).ok_or_else(bad_escape) }
    }
}

enum Escape {
    Char(char),
    Class(Class, bool),
    Assertion(Assertion),
    BackReference(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Group,
    Reference(usize),
}

fn concatenated(mut parts: Vec<Arc<Rx>>) -> Arc<Rx> {
    match parts.len() {
        0 => Arc::new(Rx::Empty),
        1 => parts.remove(0),
        _ => Arc::new(Rx::Concat(parts)),
    }
}

fn repeated(rx: &Arc<Rx>, min: u32, max: Option<u32>) -> Arc<Rx> {
    if (min, max) == (1, Some(1)) { rx.clone() } else { Arc::new(Rx::Repeat { of: rx.clone(), min, max }) }
}

fn joined(left: Tree, right: Tree) -> Tree {
    let flags = combine(left.flags, right.flags);
    let rx = Arc::new(Rx::Concat(vec![left.rx.clone(), right.rx.clone()]));
    Tree { op: Op::Concat(Box::new(left), Box::new(right)), rx, flags }
}

/// A piece that has to be taken apart, with its quantifier.
fn quantified(atom: Tree, kind: Kind, min: u32, max: Option<u32>, preferred: u8) -> Tree {
    let flags = combine(preferred, atom.flags);
    if let Kind::Reference(number) = kind {
        let op = Op::BackReference { number, min, max };
        return Tree { op, rx: repeated(&atom.rx, min, max), flags };
    }
    let own = atom.flags & (LONGER | SHORTER | MIXED);
    if (min, max) == (1, Some(1)) && (preferred == 0 || own == 0 || own == preferred) {
        return atom;
    }
    let rx = repeated(&atom.rx, min, max);
    if atom.flags & (CAPTURES | REFERS_BACK) == 0 {
        return Tree { op: Op::Plain, rx, flags };
    }
    if min > 0 && atom.flags & REFERS_BACK == 0 {
        // Only the last turn's captures count: the others are one plain text before it.
        let before = repeated(&atom.rx, min - 1, max.map(|max| max - 1));
        let before = Tree { op: Op::Plain, rx: before, flags: flags & PREFERENCE };
        return Tree { op: Op::Concat(Box::new(before), Box::new(atom)), rx, flags };
    }
    Tree { op: Op::Iterate { of: Box::new(atom), min, max }, rx, flags }
}
