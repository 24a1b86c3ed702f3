//! From text to the typed tree: parse (PostgreSQL's grammar, by hand), bind.

pub mod ast;
pub mod bind;
pub mod columns;
pub(crate) mod deparse;
pub mod parse;
pub mod tree;
pub mod visit;
