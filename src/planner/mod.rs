//! Plans: the typed tree, made better by rules, becomes what a road executes.

mod access;
pub use crate::sql::columns;
mod disjunction;
pub mod estimate;
mod imply;
mod inline;
mod order;
pub mod physical;
pub mod rewrite;
mod road;
pub use road::RoadChoice;
mod scan;
mod unnest;
mod write;

#[cfg(test)]
mod tests;
