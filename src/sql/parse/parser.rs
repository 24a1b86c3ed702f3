//! The token cursor: what the grammar's files share.

use super::keywords::{Category, KEYWORDS, Keyword};
use super::lexer::{self, Kind, Token};
use super::{DEPTH_MAX, QUERIES_MAX};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::utility::ExprText;
use crate::sql::ast::{Ident, ObjectName, OperatorName, Parsed};

/// Stack that must be left before another segment is added, and a segment's size.
const RED_ZONE_BYTES: usize = 256 << 10;
const SEGMENT_BYTES: usize = 4 << 20;

/// Runs `call` with stack enough for one more level of recursion.
pub(crate) fn with_stack<T>(call: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(RED_ZONE_BYTES, SEGMENT_BYTES, call)
}

/// 54001.
pub(crate) fn too_deep() -> Error {
    Error::new(SqlState::StatementTooComplex, "stack depth limit exceeded")
        .hint("The statement nests expressions or queries too deeply.")
}

/// A cursor over a text's tokens.
pub(crate) struct Parser<'a> {
    pub text: &'a str,
    tokens: Vec<Token>,
    pub(super) at: usize,
    depth: u32,
    /// Queries around this place.
    queries: u32,
    /// The last run of opening parentheses that was looked through: its first token, and the one after it.
    opening: std::cell::Cell<(usize, usize)>,
    ascii: bool,
    /// The keyword that is a label though it could be an operator.
    pub(super) label: Option<usize>,
    /// The last byte whose position was asked for, and that position: positions are asked for in rising order mostly.
    last: std::cell::Cell<(usize, u32)>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Result<Parser<'a>> {
        let tokens = lexer::tokens(text)?;
        let last = std::cell::Cell::new((0, 1));
        let opening = std::cell::Cell::new((0, 0));
        Ok(Parser { text, tokens, at: 0, depth: 0, queries: 0, opening, ascii: text.is_ascii(), label: None, last })
    }

    /// All statements up to the end.
    pub(super) fn statements(&mut self) -> Result<Vec<Parsed>> {
        let mut all = Vec::new();
        loop {
            while self.take_sign(b';') {}
            if self.kind() == Kind::End {
                return Ok(all);
            }
            let start = self.token().start as usize;
            let statement = self.statement()?;
            let end = self.previous_end();
            if self.kind() != Kind::End && !self.is_sign(b';') {
                return Err(self.syntax_error());
            }
            all.push(Parsed { statement, start, end });
        }
    }

    // --- tokens ---

    pub(super) fn token(&self) -> Token {
        self.tokens[self.at]
    }

    pub(super) fn kind(&self) -> Kind {
        self.tokens[self.at].kind
    }

    /// The kind of the token `ahead` places on.
    pub(super) fn kind_at(&self, ahead: usize) -> Kind {
        self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].kind
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.tokens[self.at];
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    /// A place to come back to.
    pub(super) fn mark(&self) -> usize {
        self.at
    }

    pub(super) fn reset(&mut self, mark: usize) {
        self.at = mark;
    }

    /// The byte behind the last token taken.
    pub(super) fn previous_end(&self) -> usize {
        self.at.checked_sub(1).map_or(0, |i| self.tokens[i].end as usize)
    }

    pub(super) fn source(&self, token: Token) -> &'a str {
        &self.text[token.start as usize..token.end as usize]
    }

    /// The source from the token at `mark` to the last one taken.
    pub(super) fn source_since(&self, mark: usize) -> String {
        let start = self.tokens[mark].start as usize;
        self.text[start..self.previous_end().max(start)].to_owned()
    }

    /// The 1-based character position of a byte.
    pub(super) fn position(&self, byte: usize) -> u32 {
        if self.ascii {
            return byte as u32 + 1;
        }
        let (last, position) = self.last.get();
        let found = if byte >= last {
            position + lexer::position(&self.text[last..], byte - last) - 1
        } else {
            lexer::position(self.text, byte)
        };
        self.last.set((byte, found));
        found
    }

    /// The position of the next token.
    pub(super) fn pos(&self) -> u32 {
        self.position(self.token().start as usize)
    }

    // --- errors ---

    /// 42601 at the next token.
    pub(super) fn syntax_error(&self) -> Error {
        self.syntax_error_at(self.token())
    }

    pub(super) fn syntax_error_at(&self, token: Token) -> Error {
        let message = match token.kind {
            Kind::End => "syntax error at end of input".to_owned(),
            _ => format!("syntax error at or near \"{}\"", self.source(token)),
        };
        Error::new(SqlState::SyntaxError, message).at(self.position(token.start as usize))
    }

    /// 42601 with a text of its own at the next token, which it names.
    pub(super) fn error_near(&self, message: &str) -> Error {
        let token = self.token();
        let near = match token.kind {
            Kind::End => "at end of input".to_owned(),
            _ => format!("at or near \"{}\"", self.source(token)),
        };
        self.error_at(format!("{message} {near}"), self.position(token.start as usize))
    }

    /// 42601 with a text of its own at a position.
    pub(super) fn error_at(&self, message: impl Into<String>, pos: u32) -> Error {
        Error::new(SqlState::SyntaxError, message).at(pos)
    }

    /// 0A000 at the next token.
    pub(super) fn unsupported(&self, what: &str) -> Error {
        Error::unsupported(what).at(self.pos())
    }

    /// One level deeper, with stack for it.
    pub(super) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEPTH_MAX {
            return Err(too_deep());
        }
        self.depth += 1;
        let result = with_stack(|| parse(self));
        self.depth -= 1;
        result
    }

    /// One query deeper.
    pub(super) fn in_query<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.queries >= QUERIES_MAX {
            return Err(too_deep());
        }
        self.queries += 1;
        let result = self.deeper(parse);
        self.queries -= 1;
        result
    }

    /// How many opening parentheses come next. A run is looked through once, not once for each level of it.
    pub(super) fn opening_parentheses(&self) -> usize {
        let (start, end) = self.opening.get();
        if (start..end).contains(&self.at) {
            return end - self.at;
        }
        let mut ahead = 0;
        while self.is_sign_at(ahead, b'(') {
            ahead += 1;
        }
        self.opening.set((self.at, self.at + ahead));
        ahead
    }

    // --- signs and keywords ---

    pub(super) fn is_sign(&self, sign: u8) -> bool {
        self.kind() == Kind::Sign(sign)
    }

    pub(super) fn is_sign_at(&self, ahead: usize, sign: u8) -> bool {
        self.kind_at(ahead) == Kind::Sign(sign)
    }

    pub(super) fn take_sign(&mut self, sign: u8) -> bool {
        let found = self.is_sign(sign);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect_sign(&mut self, sign: u8) -> Result<()> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.syntax_error()) }
    }

    pub(super) fn expect_end(&self) -> Result<()> {
        if self.kind() == Kind::End { Ok(()) } else { Err(self.syntax_error()) }
    }

    fn keyword_of(kind: Kind) -> Option<&'static Keyword> {
        match kind {
            Kind::Keyword(index) => Some(&KEYWORDS[index as usize]),
            _ => None,
        }
    }

    /// The next token as a keyword; "" when it is none.
    pub(super) fn word(&self) -> &'static str {
        self.word_at(0)
    }

    pub(super) fn word_at(&self, ahead: usize) -> &'static str {
        Self::keyword_of(self.kind_at(ahead)).map_or("", |keyword| keyword.word)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.word() == word
    }

    /// Whether these keywords come next.
    pub(super) fn are_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, word)| self.word_at(i) == *word)
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn take_words(&mut self, words: &[&str]) -> bool {
        let found = self.are_words(words);
        if found {
            words.iter().for_each(|_| {
                self.advance();
            });
        }
        found
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.take_word(word) { Ok(()) } else { Err(self.syntax_error()) }
    }

    pub(super) fn expect_words(&mut self, words: &[&str]) -> Result<()> {
        words.iter().try_for_each(|word| self.expect_word(word))
    }

    /// The next of several words, taken.
    pub(super) fn one_of(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let word = self.word();
        let found = words.iter().find(|w| **w == word && !word.is_empty()).copied();
        if found.is_some() {
            self.advance();
        }
        found
    }

    // --- names ---

    pub(super) fn category_at(&self, ahead: usize) -> Option<Category> {
        match self.kind_at(ahead) {
            Kind::Word | Kind::QuotedName | Kind::UnicodeName => Some(Category::Name),
            Kind::Keyword(index) => Some(KEYWORDS[index as usize].category),
            _ => None,
        }
    }

    pub(super) fn category(&self) -> Option<Category> {
        self.category_at(0)
    }

    /// Whether the token before `at` is a keyword that may be a bare label, and what stands at `at` may follow one.
    pub(super) fn is_label_before(&self, at: usize) -> bool {
        let bare = at > 0 && Self::keyword_of(self.tokens[at - 1].kind).is_some_and(|keyword| keyword.bare_label);
        let ends = match self.tokens[at].kind {
            Kind::End | Kind::Sign(b',' | b')' | b';') => true,
            Kind::Keyword(_) => matches!(
                Self::keyword_of(self.tokens[at].kind).map_or("", |keyword| keyword.word),
                "from"
                    | "into"
                    | "where"
                    | "group"
                    | "having"
                    | "window"
                    | "union"
                    | "intersect"
                    | "except"
                    | "order"
                    | "limit"
                    | "offset"
                    | "fetch"
                    | "for"
            ),
            _ => false,
        };
        bare && ends
    }

    /// Whether the next token can be a column or table name (ColId).
    pub(super) fn is_name(&self) -> bool {
        self.is_name_at(0)
    }

    pub(super) fn is_name_at(&self, ahead: usize) -> bool {
        matches!(self.category_at(ahead), Some(Category::Name | Category::Unreserved | Category::ColumnName))
    }

    fn take_name(&mut self) -> Result<String> {
        let token = self.advance();
        match token.kind {
            Kind::UnicodeName => self.unicode(token),
            _ => lexer::name_value(self.text, token),
        }
    }

    /// ColId.
    pub(super) fn name(&mut self) -> Result<String> {
        if self.is_name() { self.take_name() } else { Err(self.syntax_error()) }
    }

    /// ColId with its place.
    pub(super) fn ident(&mut self) -> Result<Ident> {
        let pos = self.pos();
        Ok(Ident { name: self.name()?, pos })
    }

    /// ColLabel: any word.
    pub(super) fn any_label(&mut self) -> Result<String> {
        if self.category().is_some() { self.take_name() } else { Err(self.syntax_error()) }
    }

    /// BareColLabel, if one comes next.
    pub(super) fn bare_label(&mut self) -> Result<Option<String>> {
        let bare = match self.kind() {
            Kind::Word | Kind::QuotedName | Kind::UnicodeName => true,
            kind => Self::keyword_of(kind).is_some_and(|keyword| keyword.bare_label),
        };
        if bare { self.take_name().map(Some) } else { Ok(None) }
    }

    /// NonReservedWord.
    pub(super) fn nonreserved(&mut self) -> Result<String> {
        match self.category() {
            Some(Category::Reserved) | None => Err(self.syntax_error()),
            Some(_) => self.take_name(),
        }
    }

    /// qualified_name / any_name: ColId with labels after points.
    pub(super) fn object_name(&mut self) -> Result<ObjectName> {
        let pos = self.pos();
        let mut parts = vec![self.name()?];
        while self.take_sign(b'.') {
            parts.push(self.any_label()?);
        }
        Ok(ObjectName { parts, pos })
    }

    /// A list in which each item is followed by a comma or ends it.
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut all = vec![item(self)?];
        while self.take_sign(b',') {
            all.push(item(self)?);
        }
        Ok(all)
    }

    /// A list in parentheses.
    pub(super) fn parenthesised<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect_sign(b'(')?;
        let all = self.list(item)?;
        self.expect_sign(b')')?;
        Ok(all)
    }

    // --- literals ---

    pub(super) fn is_string(&self) -> bool {
        self.is_string_at(0)
    }

    pub(super) fn is_string_at(&self, ahead: usize) -> bool {
        matches!(self.kind_at(ahead), Kind::String | Kind::EscapeString | Kind::UnicodeString | Kind::DollarString)
    }

    /// Sconst.
    pub(super) fn string(&mut self) -> Result<String> {
        if !self.is_string() {
            return Err(self.syntax_error());
        }
        let token = self.advance();
        match token.kind {
            Kind::UnicodeString => self.unicode(token),
            _ => lexer::string_value(self.text, token),
        }
    }

    /// A `U&` string or name, with UESCAPE behind it.
    fn unicode(&mut self, token: Token) -> Result<String> {
        let mut escape = '\\';
        if self.take_word("uescape") {
            if self.kind() != Kind::String {
                return Err(self.error_near("UESCAPE must be followed by a simple string literal"));
            }
            let value = lexer::string_value(self.text, self.token())?;
            let mut characters = value.chars();
            escape = match (characters.next(), characters.next()) {
                (Some(c), None)
                    if !c.is_ascii_hexdigit() && !matches!(c, '+' | '\'' | '"') && !c.is_ascii_whitespace() =>
                {
                    c
                }
                _ => return Err(self.error_near("invalid Unicode escape character")),
            };
            self.advance();
        }
        lexer::unicode_value(self.text, token, escape)
    }

    /// Iconst.
    pub(super) fn integer(&mut self) -> Result<i32> {
        if self.kind() != Kind::Integer {
            return Err(self.syntax_error());
        }
        let token = self.advance();
        self.source(token).parse().map_err(|_| self.syntax_error_at(token))
    }

    /// SignedIconst.
    pub(super) fn signed_integer(&mut self) -> Result<i32> {
        let negative = self.take_sign(b'-');
        if !negative {
            self.take_sign(b'+');
        }
        let value = self.integer()?;
        Ok(if negative { -value } else { value })
    }

    /// NumericOnly as text.
    pub(super) fn number(&mut self) -> Result<String> {
        let mut text = String::new();
        if self.take_sign(b'-') {
            text.push('-');
        } else {
            self.take_sign(b'+');
        }
        if !matches!(self.kind(), Kind::Integer | Kind::Number) {
            return Err(self.syntax_error());
        }
        let token = self.advance();
        text.push_str(self.source(token));
        Ok(text)
    }

    /// NumericOnly that must be an int8 (sequence options): 22P02 and 22003 as `defGetInt64` raises them.
    pub(super) fn bigint(&mut self) -> Result<i64> {
        let text = self.number()?;
        text.parse().map_err(|_| {
            let (code, message) = match text.contains(['.', 'e', 'E']) {
                true => (SqlState::InvalidTextRepresentation, "invalid input syntax for type bigint"),
                false => (SqlState::NumericValueOutOfRange, "value is out of range for type bigint"),
            };
            match code {
                SqlState::NumericValueOutOfRange => {
                    Error::new(code, format!("value \"{text}\" is out of range for type bigint"))
                }
                _ => Error::new(code, format!("{message}: \"{text}\"")),
            }
        })
    }

    /// An operator's sign (all_Op), `OPERATOR(…)` not included.
    pub(super) fn operator_sign(&mut self) -> Result<String> {
        match self.kind() {
            Kind::Operator
            | Kind::LessEquals
            | Kind::GreaterEquals
            | Kind::NotEquals
            | Kind::Sign(b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'<' | b'>' | b'=') => {
                let token = self.advance();
                let sign = self.source(token);
                Ok(if sign == "!=" { "<>" } else { sign }.to_owned())
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// `OPERATOR(schema.sign)`, the word OPERATOR being next.
    pub(super) fn qualified_operator(&mut self) -> Result<OperatorName> {
        self.expect_word("operator")?;
        self.expect_sign(b'(')?;
        let mut schema = None;
        while self.is_name() {
            schema = Some(self.name()?);
            self.expect_sign(b'.')?;
        }
        let name = self.operator_sign()?;
        self.expect_sign(b')')?;
        Ok(OperatorName { schema, name })
    }

    /// An expression with its source.
    pub(super) fn expr_text(&mut self) -> Result<ExprText> {
        let mark = self.mark();
        let expr = self.expr()?;
        Ok(ExprText { expr, text: self.source_since(mark) })
    }
}
