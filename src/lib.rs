//! Lightning DB.
