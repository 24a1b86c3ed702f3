//! The PostgreSQL protocol: startup, simple and extended query, COPY, cancel.
pub mod backend;
pub mod frontend;
pub mod stream;
