//! The parser: PostgreSQL 15's grammar by recursive descent over [`lexer`]'s tokens.
//!
//! | file | what |
//! |---|---|
//! | `lexer`, `keywords` | text to tokens |
//! | `parser` | the token cursor, names, lists, syntax errors |
//! | `expr`, `types` | expressions by precedence climbing; type names |
//! | `query` | SELECT, VALUES, FROM, WITH, INSERT, UPDATE, DELETE |
//! | `ddl`, `user_type`, `utility` | everything else |
//! | `template` | a text apart from its literals, for the plan cache |
//!
//! Invariants:
//! 1. A text is parsed as a whole before any of it runs: an error in its last statement hides the first, as in PostgreSQL.
//! 2. What this grammar does not take is an error, never skipped: 42601 where PostgreSQL's would be one too, 0A000 with the
//!    clause's name where PostgreSQL has it and this database does not.
//! 3. Recursion grows the stack as it goes ([`stacker`]) and ends at [`DEPTH_MAX`] with 54001, so that neither parsing nor what
//!    follows on the tree can overflow; flat lists (AND, OR, IN, VALUES) and parentheses cost no depth of tree.

mod ddl;
mod expr;
pub(crate) mod keywords;
mod lexer;
mod parser;
mod query;
pub(crate) mod template;
mod types;
mod user_type;
mod utility;

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::{Expr, Parsed, Statement, TypeName};
use parser::Parser;

/// Deepest nesting of expressions, queries and parentheses; PostgreSQL's 2 MB of stack end a little later.
pub const DEPTH_MAX: u32 = 6_000;

/// Deepest nesting of queries inside of queries: the passes over their plans recurse with more at each level.
pub const QUERIES_MAX: u32 = 300;

/// Parses a text of any number of statements; empty ones are left out.
pub fn parse(text: &str) -> Result<Vec<Parsed>> {
    let mut parser = Parser::new(text)?;
    parser.statements()
}

/// Parses exactly one statement.
pub fn parse_one(text: &str) -> Result<Statement> {
    let mut all = parse(text)?;
    match (all.pop(), all.is_empty()) {
        (Some(parsed), true) => Ok(parsed.statement),
        _ => Err(Error::new(SqlState::SyntaxError, "exactly one statement was expected")),
    }
}

/// Parses a stored expression: a DEFAULT, CHECK, index key or predicate.
pub fn expression(text: &str) -> Result<Expr> {
    let mut parser = Parser::new(text)?;
    let expr = parser.expr()?;
    parser.expect_end()?;
    Ok(expr)
}

/// Where the unquoted words of a text stand.
pub fn words(text: &str) -> Result<Vec<std::ops::Range<usize>>> {
    let is_word = |token: &lexer::Token| matches!(token.kind, lexer::Kind::Word | lexer::Kind::Keyword(_));
    let words = lexer::tokens(text)?.into_iter().filter(is_word);
    Ok(words.map(|token| token.start as usize..token.end as usize).collect())
}

/// Parses a type's name, as `regtype` and `format_type` users write it.
pub fn type_name(text: &str) -> Result<TypeName> {
    let mut parser = Parser::new(text)?;
    let name = parser.type_name()?;
    parser.expect_end()?;
    Ok(name)
}

/// The number of a text's first `$n`, and its place in characters from the text's begin.
pub fn first_parameter(text: &str) -> Option<(u32, u32)> {
    let mut parser = Parser::new(text).ok()?;
    while parser.kind() != lexer::Kind::End {
        if parser.kind() == lexer::Kind::Param {
            let number = parser.source(parser.token()).trim_start_matches('$').parse().ok()?;
            return Some((number, parser.pos() - 1));
        }
        parser.advance();
    }
    None
}

/// 42P02 for a statement that can have no parameters; `pos` is where `text`, its query, begins.
pub fn refuse_parameters(text: &str, pos: u32) -> Error {
    let (number, place) = first_parameter(text).unwrap_or((1, 0));
    Error::new(SqlState::UndefinedParameter, format!("there is no parameter ${number}")).at(pos + place)
}

/// Splits `a."B".c` as regclass and nextval read it; `None` when it is no name.
pub fn qualified_name(text: &str) -> Option<Vec<String>> {
    let mut parser = Parser::new(text).ok()?;
    let mut parts = vec![parser.any_label().ok()?];
    while parser.take_sign(b'.') {
        parts.push(parser.any_label().ok()?);
    }
    parser.expect_end().ok()?;
    Some(parts)
}

#[cfg(test)]
mod tests;
