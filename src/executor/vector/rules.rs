//! Which of DataFusion's rules are on, and why.
//!
//! | rule | why |
//! |---|---|
//! | SingleDistinctToGroupBy | count(DISTINCT x) by two groupings, which spill and run in parallel |
//! | CommonSubexprEliminate | what several aggregates compute is computed once |
//! | OptimizeProjections | operators carry only the columns that are read above them |
//! | PushDownLimit | a scan under a LIMIT stops early |
//!
//! Of the physical rules all are on, [`WholeGroups`] and [`WholePartitions`] before them and [`YieldingJoins`] behind.
//!
//! The analyzer is empty: types are final when the typed tree is made. Off, because they answer otherwise than PostgreSQL or
//! undo what was decided on the typed tree: TypeCoercion, SimplifyExpressions (CASE would no longer be lazy), EliminateCrossJoin
//! (it orders joins anew), PushDownFilter (it merges conditions that guard each other), the decorrelation rules.

use super::watch::YieldingJoins;
use super::whole::WholeGroups;
use super::window::WholePartitions;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::push_down_limit::PushDownLimit;
use datafusion::optimizer::single_distinct_to_groupby::SingleDistinctToGroupBy;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use std::sync::Arc;

/// A statement's planning state.
pub(super) fn session(threads: usize, environment: Arc<RuntimeEnv>) -> SessionState {
    let rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![
        Arc::new(SingleDistinctToGroupBy::new()),
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(OptimizeProjections::new()),
        Arc::new(PushDownLimit::new()),
    ];
    let mut physical = PhysicalOptimizer::new().rules;
    physical.insert(0, Arc::new(WholeGroups));
    physical.insert(1, Arc::new(WholePartitions));
    physical.push(Arc::new(YieldingJoins));
    let mut config = SessionConfig::new().with_target_partitions(threads).with_batch_size(8192);
    config.options_mut().optimizer.skip_failed_rules = false;
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(environment)
        .with_analyzer_rules(Vec::new())
        .with_optimizer_rules(rules)
        .with_physical_optimizer_rules(physical)
        .build()
}
