//! Ends in time: what lets a running plan see that its statement has ended.
//!
//! A plan is polled by threads that cannot be interrupted. It ends where it looks up: scans ask for every batch, the tasks that
//! DataFusion spawns end where they yield. Joins may make far more rows than they read, so that between two batches of a scan
//! hours may pass: their conditions ask too ([`Watched`]), and what they give goes through a yield ([`YieldingJoins`]). A single
//! call of a function may take as long: functions of ours run with the flag watched ([`Cancel::watching`]).

use super::error::external;
use crate::error::Error;
use crate::executor::StatementContext;
use crate::interrupt;
use arrow_schema::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The flag of one statement, equal to itself alone.
#[derive(Clone, Debug)]
pub(super) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub(super) fn of(ctx: &StatementContext) -> Cancel {
        Cancel(ctx.cancel.clone())
    }

    /// Calls with the flag watched: 57014 when a loop in it has looked.
    pub(super) fn watching<T>(&self, call: impl FnOnce() -> crate::error::Result<T>) -> crate::error::Result<T> {
        interrupt::watching(&self.0, call)
    }
}

impl PartialEq for Cancel {
    fn eq(&self, other: &Cancel) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Cancel {}

impl Hash for Cancel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// A condition's value; 57014 once the statement has ended.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Watched {
    cancel: Cancel,
    signature: Signature,
}

impl Watched {
    pub(super) fn new(cancel: Cancel) -> Watched {
        Watched { cancel, signature: Signature::exact(vec![DataType::Boolean], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Watched {
    fn name(&self) -> &str {
        "watched"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.cancel.0.load(Ordering::Relaxed) {
            return Err(external(Error::canceled()));
        }
        args.args.pop().ok_or_else(|| external(Error::internal("a watched condition without a condition")))
    }
}

/// Lets what joins give yield now and then, whoever takes it.
#[derive(Debug)]
pub(super) struct YieldingJoins;

impl PhysicalOptimizerRule for YieldingJoins {
    fn name(&self) -> &str {
        "yielding_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            if plan.children().len() < 2 {
                return Ok(Transformed::no(plan));
            }
            Ok(Transformed::yes(Arc::new(CooperativeExec::new(plan)) as Arc<dyn ExecutionPlan>))
        })
        .data()
    }
}
