//! B+trees: one page format for rows by id and for index entries.

pub(crate) mod node;
#[cfg(test)]
mod tests;
mod tree;

pub(crate) use tree::Tree;
