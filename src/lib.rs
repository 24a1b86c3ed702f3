//! Lightning DB: a SQL database for transactions and analytics that speaks PostgreSQL's wire protocol.
//!
//! Modules in pipeline order; `src/README.md` walks one SELECT and one COMMIT through them.
#![forbid(unsafe_code)]

pub mod catalog;
pub mod config;
pub mod error;
pub mod executor;
pub mod interrupt;
pub mod planner;
pub mod session;
pub mod sql;
pub mod types;
pub mod wire;
