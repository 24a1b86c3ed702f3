//! Tests of the server as its users meet it: the real program over its protocol.
#![allow(clippy::unwrap_used, reason = "all of it is tests, helpers too")]

mod alter;
mod cancel;
mod drivers;
mod functions;
mod hostile;
mod locks;
mod logic;
mod long;
mod pgbench;
mod psql;
mod random;
mod remains;
mod roads;
mod roles;
mod server;
mod session;
mod support;
mod tpcc;
mod tpch;
mod user_types;
