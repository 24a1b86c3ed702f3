//! Runs plans: the row road, DDL, COPY, and the functions that both roads share.

pub mod functions;
