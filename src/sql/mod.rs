//! From text to the typed tree: parse (sqlparser with our dialect; utility statements by our own parser), bind.

pub mod bind;
pub mod tree;
