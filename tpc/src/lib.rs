//! TPC benchmarks that speak only PostgreSQL's protocol, so that the same program measures and checks any server with that protocol.
//!
//! The program `tpc` is a thin shell over this library, which tests use directly.
#![forbid(unsafe_code)]

pub mod c;
mod connection;
mod decimal;
pub mod h;
mod histogram;
pub mod sync;
