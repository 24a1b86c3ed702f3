//! The vector road: a relation of the typed tree as a DataFusion plan over the same rows, by the same functions.
//!
//! 1. `translate` makes a logical plan of the relation, `expression` of its expressions; `rules` says what DataFusion may do
//!    to it. What has no place here is refused with a reason, and the row road runs it.
//! 2. `scan` reads row pages as record batches, in morsels, at the statement's snapshot.
//! 3. `functions`, `numeric`, `aggregate`, `first`, `whole` and `window` hold what runs over batches; `form` says how a column lies in an array.
//! 4. `stream` runs the plan on the analytical threads and gives its rows to the row operator above it; `rows` brings it those of
//!    row operators below it; `measure` shows EXPLAIN its operators; `watch` lets them see that the statement has ended.
//!
//! This folder and the planner alone name DataFusion.

mod aggregate;
mod error;
mod expression;
mod first;
mod form;
mod functions;
mod measure;
mod memory;
mod numeric;
mod rows;
mod rules;
mod scan;
mod stream;
mod translate;
mod watch;
mod whole;
mod window;

pub(crate) use expression::can_raise;
pub(crate) use measure::{Operator, Run};
pub use stream::Analytics;
pub(crate) use stream::{Given, Stream, explain};
pub(crate) use translate::window_may_raise;
pub(crate) use whole::hangs_on_order;

/// Whether values of a type have a form there.
pub(crate) fn holds(ty: crate::types::Type) -> bool {
    form::Form::holds(ty)
}
