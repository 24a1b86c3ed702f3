//! The storage engine's tests: one module per subject, every test ends with `check`.

mod basic;
mod database;
mod isolation;
mod model;
mod speed;
