//! The vector road: a relation of the typed tree as a DataFusion plan over the same rows, by the same functions.
//!
//! 1. `translate` makes a logical plan of the relation, `expression` of its expressions; `rules` says what DataFusion may do
//!    to it. What has no place here is refused with a reason, and the row road runs it.
//! 2. `scan` reads row pages as record batches, in morsels, at the statement's snapshot.
//! 3. `functions`, `numeric`, `aggregate`, `first`, `whole` and `window` hold what runs over batches; `form` says how a column lies in an array.
//! 4. `stream` runs the plan on the analytical threads and gives its rows to the row operator above it; `rows` brings it those of
//!    row operators below it; `files` is where they go on beyond work_mem; `measure` shows EXPLAIN its operators; `watch` lets
//!    them see that the statement has ended.
//!
//! This folder and the planner alone name DataFusion.

/// Makes a function of a plan, which holds what cannot be compared, equal to itself alone, by its `number`.
macro_rules! same_by_number {
    ($function:ty) => {
        impl PartialEq for $function {
            fn eq(&self, other: &Self) -> bool {
                self.number == other.number
            }
        }

        impl Eq for $function {}

        impl std::hash::Hash for $function {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.number.hash(state);
            }
        }
    };
}

mod aggregate;
mod error;
mod expression;
mod files;
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

/// A number that no function of a plan has had.
fn next_number() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Whether values of a type have a form there.
pub(crate) fn holds(ty: crate::types::Type) -> bool {
    form::Form::holds(ty)
}
