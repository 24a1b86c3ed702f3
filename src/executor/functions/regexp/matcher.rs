//! Which text a regular expression matches, and what its groups take of it: PostgreSQL's `regexec.c`.
//!
//! 1. A match begins at the first place where there is one. Where the expression can be written for the `regex` crate,
//!    the crate finds that place, in linear time; what it would match there is not asked, its preferences differ.
//! 2. There it is as long (or as short) as the expression prefers: the ends of all matches are computed as sets of places.
//! 3. The tree is taken apart from left to right, each part as long or as short as it prefers while the rest still fits.
//!
//! Without back references a part that fits its language can always be taken apart, so 3 never goes back.

use super::Regexp;
use super::syntax::{Assertion, Class, Op, REFERS_BACK, Rx, SHORTER, Tree};
use crate::executor::functions::string::lower_char;
use crate::interrupt;
use std::collections::HashSet;

/// A text that is searched, by characters.
pub(super) struct Subject<'a> {
    pub(super) text: &'a str,
    chars: Vec<char>,
    /// Byte offset of each character and of the end; empty for ASCII.
    offsets: Vec<usize>,
}

/// Places of the whole match and of each group, in characters.
pub(super) type Match = Vec<Option<(usize, usize)>>;

impl<'a> Subject<'a> {
    pub(super) fn new(text: &'a str) -> Subject<'a> {
        let offsets = match text.is_ascii() {
            true => Vec::new(),
            false => text.char_indices().map(|(at, _)| at).chain([text.len()]).collect(),
        };
        Subject { text, chars: text.chars().collect(), offsets }
    }

    /// Length in characters.
    pub(super) fn len(&self) -> usize {
        self.chars.len()
    }

    fn offset(&self, at: usize) -> usize {
        if self.offsets.is_empty() { at } else { self.offsets[at] }
    }

    fn place(&self, offset: usize) -> usize {
        if self.offsets.is_empty() { offset } else { self.offsets.partition_point(|at| *at < offset) }
    }

    pub(super) fn slice(&self, from: usize, to: usize) -> &'a str {
        &self.text[self.offset(from)..self.offset(to)]
    }
}

impl Regexp {
    /// The first match that begins at character `from` or later.
    pub(super) fn find(&self, subject: &Subject<'_>, from: usize) -> Option<Match> {
        if from > subject.len() {
            return None;
        }
        let finder = self.finder.as_ref().filter(|_| !self.words || subject.offsets.is_empty());
        let mut start = from;
        // Whoever gives up may find anything: the statement fails.
        while start <= subject.len() && !interrupt::requested() {
            if let Some(finder) = finder {
                let found = finder.find_at(subject.text, subject.offset(start))?;
                start = subject.place(found.start());
            }
            let mut search =
                Search { chars: &subject.chars, matched: vec![None; self.parsed.captures + 1], regexp: self };
            if let Some(end) = search.at(start) {
                search.matched[0] = Some((start, end));
                return Some(search.matched);
            }
            start += 1;
        }
        None
    }

    /// Whether there is a match at all.
    pub(super) fn is_match(&self, text: &str) -> bool {
        let exact = self.parsed.tree.flags & REFERS_BACK == 0 && (!self.words || text.is_ascii());
        match &self.finder {
            Some(finder) if exact => finder.is_match(text),
            _ => self.find(&Subject::new(text), 0).is_some(),
        }
    }
}

struct Search<'a> {
    chars: &'a [char],
    matched: Match,
    regexp: &'a Regexp,
}

impl Search<'_> {
    /// The end of the match that begins at `start`; groups are noted.
    fn at(&mut self, start: usize) -> Option<usize> {
        let regexp = self.regexp;
        let tree = &regexp.parsed.tree;
        let mut ends = self.step(&tree.rx, vec![start], self.chars.len());
        if tree.flags & SHORTER == 0 {
            ends.reverse();
        }
        ends.into_iter().find(|end| self.dissect(tree, start, *end))
    }

    fn clear(&mut self, tree: &Tree) {
        match &tree.op {
            Op::Plain | Op::BackReference { .. } => {}
            Op::Concat(left, right) => {
                self.clear(left);
                self.clear(right);
            }
            Op::Alternatives(branches) => branches.iter().for_each(|branch| self.clear(branch)),
            Op::Iterate { of, .. } => self.clear(of),
            Op::Capture { number, of } => {
                self.matched[*number] = None;
                self.clear(of);
            }
        }
    }

    fn fits(&self, rx: &Rx, from: usize, to: usize) -> bool {
        self.step(rx, vec![from], to).last() == Some(&to)
    }

    /// Takes the text from `from` to `to`, which fits the node's language, apart.
    fn dissect(&mut self, tree: &Tree, from: usize, to: usize) -> bool {
        match &tree.op {
            Op::Plain => true,
            Op::Capture { number, of } => {
                let done = self.dissect(of, from, to);
                if done {
                    self.matched[*number] = Some((from, to));
                }
                done
            }
            Op::Concat(left, right) => {
                let mut middles = self.step(&left.rx, vec![from], to);
                if left.flags & SHORTER == 0 {
                    middles.reverse();
                }
                middles.into_iter().any(|middle| {
                    if !self.fits(&right.rx, middle, to) {
                        return false;
                    }
                    let done = self.dissect(left, from, middle) && self.dissect(right, middle, to);
                    if !done {
                        self.clear(left);
                        self.clear(right);
                    }
                    done
                })
            }
            Op::Alternatives(branches) => branches.iter().any(|branch| {
                let done = self.fits(&branch.rx, from, to) && self.dissect(branch, from, to);
                if !done {
                    self.clear(branch);
                }
                done
            }),
            Op::Iterate { of, min, max } => {
                if *min == 0 && from == to {
                    // No turn at all, but where turns are long by preference an empty one is tried first.
                    if of.flags & SHORTER == 0 && self.fits(&of.rx, from, to) && !self.dissect(of, from, to) {
                        self.clear(of);
                    }
                    return true;
                }
                self.turns(of, *min as usize, max.map(|max| max as usize), from, to)
            }
            Op::BackReference { number, min, max } => self.refers(*number, *min as usize, *max, from, to),
        }
    }

    /// Whether the text is so many copies of what a group took.
    fn refers(&self, number: usize, min: usize, max: Option<u32>, from: usize, to: usize) -> bool {
        let Some((start, end)) = self.matched[number] else { return false };
        if start == end {
            return from == to;
        }
        if from == to {
            return min == 0;
        }
        let (length, group) = (to - from, &self.chars[start..end]);
        let turns = length / group.len();
        let fold = |c: char| if self.regexp.ignore_case { lower_char(c) } else { c };
        length.is_multiple_of(group.len())
            && turns >= min
            && max.is_none_or(|max| turns <= max as usize)
            && self.chars[from..to].iter().zip(group.iter().cycle()).all(|(a, b)| fold(*a) == fold(*b))
    }

    /// Divides a text into turns (`citerdissect`, `creviterdissect`): each as long, or as short, as the rest allows.
    fn turns(&mut self, of: &Tree, min: usize, max: Option<usize>, from: usize, to: usize) -> bool {
        let shorter = of.flags & SHORTER != 0;
        let most = max.unwrap_or(usize::MAX).min((to - from).max(min));
        let min = min.max(1);
        // Each turn's start and the ends that are left to try, the next one last.
        let ends = |search: &Self, start: usize, turn: usize| {
            let mut ends = search.step(&of.rx, vec![start], to);
            // An empty turn only where the least number of turns needs it.
            ends.retain(|end| *end != start || (turn < min && min - turn > to - *end));
            if shorter {
                ends.reverse();
            }
            ends
        };
        let mut stack = vec![(from, ends(self, from, 1))];
        let mut taken = Vec::new();
        while let Some((start, left)) = stack.last_mut()
            && !interrupt::requested()
        {
            let start = *start;
            let Some(end) = left.pop() else {
                stack.pop();
                taken.pop();
                continue;
            };
            taken.truncate(stack.len() - 1);
            taken.push((start, end));
            if end != to {
                if stack.len() < most {
                    let next = ends(self, end, stack.len() + 1);
                    stack.push((end, next));
                }
                continue;
            }
            if taken.len() < min {
                let next = ends(self, end, stack.len() + 1);
                stack.push((end, next));
                continue;
            }
            self.clear(of);
            if taken.iter().all(|(start, end)| {
                self.clear(of);
                self.dissect(of, *start, *end)
            }) {
                return true;
            }
        }
        self.clear(of);
        false
    }

    /// The places, in order, that the language reaches from `from` (in order) without passing `limit`.
    fn step(&self, rx: &Rx, from: Vec<usize>, limit: usize) -> Vec<usize> {
        match rx {
            _ if from.is_empty() => from,
            _ if interrupt::requested() => Vec::new(),
            Rx::Empty => from,
            Rx::Set(set) => {
                let takes = |at: &usize| *at < limit && set.contains(self.chars[*at]);
                from.into_iter().filter(takes).map(|at| at + 1).collect()
            }
            Rx::Concat(parts) => parts.iter().fold(from, |from, part| self.step(part, from, limit)),
            Rx::Alternatives(parts) => {
                let mut all: Vec<usize> = parts.iter().flat_map(|part| self.step(part, from.clone(), limit)).collect();
                all.sort_unstable();
                all.dedup();
                all
            }
            Rx::Repeat { of, min, max } => self.repeat(of, *min, *max, from, limit),
            Rx::Assertion(assertion) => from.into_iter().filter(|at| self.holds(*assertion, *at)).collect(),
            Rx::Look { of, ahead, negated } => {
                let seen = |at: usize| match ahead {
                    true => !self.step(of, vec![at], self.chars.len()).is_empty(),
                    false => self.step(of, (0..=at).collect(), at).last() == Some(&at),
                };
                from.into_iter().filter(|at| seen(*at) != *negated).collect()
            }
        }
    }

    fn repeat(&self, of: &Rx, min: u32, max: Option<u32>, from: Vec<usize>, limit: usize) -> Vec<usize> {
        let mut from = from;
        for _ in 0..min {
            from = self.step(of, from, limit);
            if from.is_empty() {
                return from;
            }
        }
        if let (Rx::Set(set), None) = (of, max) {
            return self.closure(set, &from, limit);
        }
        let mut seen: HashSet<usize> = from.iter().copied().collect();
        let mut all = from.clone();
        let mut turns = min;
        while max.is_none_or(|max| turns < max) && !from.is_empty() {
            from = self.step(of, from, limit);
            from.retain(|at| seen.insert(*at));
            all.extend_from_slice(&from);
            turns += 1;
        }
        all.sort_unstable();
        all
    }

    /// Any number of characters of a set, from each of the places.
    fn closure(&self, set: &super::syntax::Set, from: &[usize], limit: usize) -> Vec<usize> {
        let mut all: Vec<usize> = Vec::with_capacity(from.len());
        for start in from {
            if all.last().is_some_and(|last| last >= start) {
                continue;
            }
            let mut at = *start;
            all.push(at);
            while at < limit && set.contains(self.chars[at]) {
                at += 1;
                all.push(at);
            }
        }
        all
    }

    fn holds(&self, assertion: Assertion, at: usize) -> bool {
        let word = |at: Option<usize>| at.and_then(|at| self.chars.get(at)).is_some_and(|c| Class::Word.contains(*c));
        let newline = |at: Option<usize>| at.and_then(|at| self.chars.get(at)) == Some(&'\n');
        let (before, after) = (at.checked_sub(1), Some(at));
        match assertion {
            Assertion::TextStart => at == 0,
            Assertion::TextEnd => at == self.chars.len(),
            Assertion::LineStart => at == 0 || newline(before),
            Assertion::LineEnd => at == self.chars.len() || newline(after),
            Assertion::WordStart => !word(before) && word(after),
            Assertion::WordEnd => word(before) && !word(after),
            Assertion::WordBoundary => word(before) != word(after),
            Assertion::NoWordBoundary => word(before) == word(after),
        }
    }
}
