//! to_char.
use super::macros::strict;
strict! { TABLE: }
