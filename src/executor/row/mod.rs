//! The row road: an interpreter over rows that calls storage directly.
//!
//! - [`plan`]: what is executed; [`expr`], [`compile`]: expressions. All values lie in one register file ([`frame`]).
//! - [`operator`]: the interface; operators in [`scan`], [`basic`], [`join`], [`sort`], [`aggregate`], [`window`],
//!   [`setop`], [`cte`], [`functions`], [`subquery`], [`lock`], [`mod@write`].
//! - [`constraint`]: what is checked at the end of statement or transaction.
//! - [`execution`]: the entry for sessions, [`load`]: that of rows from outside of SQL; [`explain`].
//!
//! Operators keep their state in themselves: any call may end in a wait, the end of a time slice or cancellation, and is
//! made again later. Deliberately absent: threads, async, Arrow.

mod aggregate;
mod basic;
pub mod compile;
pub mod constraint;
mod cte;
pub mod execution;
pub mod explain;
pub mod expr;
pub mod frame;
mod functions;
pub(crate) mod gather;
mod join;
mod key;
pub mod load;
mod lock;
pub(crate) mod operator;
pub mod plan;
pub mod prefix;
mod road;
mod scan;
mod setop;
mod sort;
mod sorter;
pub(crate) mod store;
pub mod subquery;
mod subscript;
mod value;
mod window;
mod write;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_engine;
#[cfg(test)]
mod tests_sql;
#[cfg(test)]
mod tests_write;
