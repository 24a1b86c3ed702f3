//! The storage engine's tests: one module per subject, every test ends with `check`.
#![allow(clippy::unwrap_used)] // a test may

mod basic;
mod crash;
mod database;
mod isolation;
mod model;
mod simulator;
mod speed;
