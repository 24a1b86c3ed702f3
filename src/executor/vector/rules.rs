//! Which of DataFusion's rules are on, and why.
//!
//! | rule | why |
//! |---|---|
//! | [`NamesAbove`], SingleDistinctToGroupBy | count(DISTINCT x) by two groupings, which spill and run in parallel; the second knows only calls without names |
//! | CommonSubexprEliminate | what several aggregates compute is computed once |
//! | OptimizeProjections | operators carry only the columns that are read above them |
//! | PushDownLimit | a scan under a LIMIT stops early |
//!
//! Of the physical rules all are on, [`WholeGroups`] and [`WholePartitions`] before them and [`YieldingJoins`] behind. They
//! keep the answer as a set of rows; those that matter here:
//!
//! | rule | what it does here |
//! |---|---|
//! | aggregate_statistics | nothing: scans estimate how many rows they have, and only exact numbers are taken for an answer |
//! | join_selection | a small input is gathered once for all threads; which input that is, and in which order tables are joined, the planner has said |
//! | LimitedDistinctAggregation, LimitAggregation | DISTINCT, or a grouping sorted by its key or by min or max, under a LIMIT keeps no more groups |
//! | FilterPushdown | conditions go into scans, those above a join below it; one that may raise stands in a CASE with its guards, which stays whole |
//! | FilterPushdown(Post) | what a join or a top-n has learned while it runs reaches the scan |
//! | WindowTopN, HashJoinBuffering | nothing: off by their settings, and windows are ours |
//! | EnsureRequirements | the repartitioning and the sorts that operators require; this makes a plan parallel |
//! | CombinePartialFinalAggregate | two steps of a grouping with nothing between them are one |
//! | OptimizeAggregateOrder | nothing: aggregates that sort their input do so in our code |
//! | LimitPushdown, LimitPushPastWindows, TopKRepartition | the count of a LIMIT reaches sorts, joins and scans |
//! | ProjectionPushdown | joins and filters drop the columns that nobody reads |
//! | PushdownSort | nothing: rows of a scan come in no order |
//! | EnsureCooperative | a long operator yields to others on its thread |
//! | SanityCheckPlan | a plan whose operators do not get what they require is refused instead of answering wrongly |
//!
//! The test below names them all, so that a new version of DataFusion brings none unseen.
//!
//! The analyzer is empty: types are final when the typed tree is made. Off, because they answer otherwise than PostgreSQL or
//! undo what was decided on the typed tree: TypeCoercion, SimplifyExpressions (CASE would no longer be lazy), EliminateCrossJoin
//! (it orders joins anew), PushDownFilter (it merges conditions that guard each other), the decorrelation rules.

use super::watch::YieldingJoins;
use super::whole::WholeGroups;
use super::window::WholePartitions;
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::push_down_limit::PushDownLimit;
use datafusion::optimizer::single_distinct_to_groupby::SingleDistinctToGroupBy;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use std::collections::HashSet;
use std::sync::Arc;

/// Rows, by the number of threads, up to which a join makes one hash table of an input instead of one for each thread: one thread
/// makes it, but the rows of the other input stay where they are, and a scan of them tests one table's keys.
const ONE_TABLE_ROWS: usize = 4_000_000;
/// At least so many: DataFusion's own.
const ONE_TABLE_ROWS_LEAST: usize = 128 * 1024;

/// A statement's planning state.
pub(super) fn session(threads: usize, environment: Arc<RuntimeEnv>) -> SessionState {
    let rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![
        Arc::new(NamesAbove),
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
    let optimizer = &mut config.options_mut().optimizer;
    optimizer.hash_join_single_partition_threshold_rows = (ONE_TABLE_ROWS / threads.max(1)).max(ONE_TABLE_ROWS_LEAST);
    // The translation has put the smaller input where the hash table is made.
    config.options_mut().optimizer.join_reordering = false;
    SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(environment)
        .with_analyzer_rules(Vec::new())
        .with_optimizer_rules(rules)
        .with_physical_optimizer_rules(physical)
        .build()
}

/// Gives the calls of a grouping their names in a projection above it, where SingleDistinctToGroupBy may take it: sums of ours
/// have another type than what they add, and cannot be made in two steps as that rule makes them.
#[derive(Debug)]
struct NamesAbove;

impl OptimizerRule for NamesAbove {
    fn name(&self) -> &str {
        "names_above"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(grouping) = &plan else { return Ok(Transformed::no(plan)) };
        let named = grouping.aggr_expr.iter().all(|call| matches!(call, Expr::Alias(_)));
        let calls: Vec<Expr> = grouping.aggr_expr.iter().map(|call| call.clone().unalias()).collect();
        let distinct: HashSet<&[Expr]> = calls.iter().filter_map(counted).collect();
        let names: HashSet<String> = calls.iter().map(|call| call.schema_name().to_string()).collect();
        let known = calls.iter().all(|call| counted(call).is_some() || is_extreme(call));
        if !named || !known || distinct.len() != 1 || names.len() != calls.len() {
            return Ok(Transformed::no(plan));
        }
        let unnamed = Aggregate::try_new(grouping.input.clone(), grouping.group_expr.clone(), calls)?;
        let columns = unnamed.schema.columns().into_iter().zip(grouping.schema.columns());
        let columns = columns.map(|(inner, outer)| match inner == outer {
            true => Expr::Column(inner),
            false => Expr::Column(inner).alias_qualified(outer.relation, outer.name),
        });
        let projection = Projection::try_new(columns.collect(), Arc::new(LogicalPlan::Aggregate(unnamed)))?;
        Ok(Transformed::yes(LogicalPlan::Projection(projection)))
    }
}

/// What a count(DISTINCT …) counts.
fn counted(call: &Expr) -> Option<&[Expr]> {
    match call {
        Expr::AggregateFunction(call) if call.func.name() == "count" && call.params.distinct => Some(&call.params.args),
        _ => None,
    }
}

fn is_extreme(call: &Expr) -> bool {
    matches!(call, Expr::AggregateFunction(call) if matches!(call.func.name(), "min" | "max"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rule_comes_unseen() {
        let state = session(2, Arc::new(RuntimeEnv::default()));
        let analyzer: Vec<&str> = state.analyzer().rules.iter().map(|rule| rule.name()).collect();
        assert!(analyzer.is_empty() && state.analyzer().function_rewrites.is_empty(), "{analyzer:?}");
        let logical: Vec<&str> = state.optimizers().iter().map(|rule| rule.name()).collect();
        assert_eq!(
            logical,
            [
                "names_above",
                "single_distinct_aggregation_to_group_by",
                "common_sub_expression_eliminate",
                "optimize_projections",
                "push_down_limit"
            ]
        );
        let physical: Vec<&str> = state.physical_optimizers().iter().map(|rule| rule.name()).collect();
        assert_eq!(
            physical,
            [
                "whole_groups",
                "whole_partitions",
                "OutputRequirements",
                "aggregate_statistics",
                "join_selection",
                "LimitedDistinctAggregation",
                "FilterPushdown",
                "WindowTopN",
                "EnsureRequirements",
                "CombinePartialFinalAggregate",
                "OptimizeAggregateOrder",
                "ProjectionPushdown",
                "OutputRequirements",
                "LimitAggregation",
                "LimitPushPastWindows",
                "HashJoinBuffering",
                "LimitPushdown",
                "TopKRepartition",
                "ProjectionPushdown",
                "PushdownSort",
                "EnsureCooperative",
                "FilterPushdown(Post)",
                "SanityCheckPlan",
                "yielding_joins",
            ]
        );
    }
}
