//! Runs plans: the row road, DDL, COPY, and the functions that both roads share.

pub mod context;
pub mod ddl;
pub mod functions;
pub mod memory;
pub mod row;
pub mod spill;
pub mod vector;
pub(crate) mod window;

pub use context::{SharedTransaction, StatementContext};
pub use row::execution::{Execution, Step};
pub use row::plan::Plan;
