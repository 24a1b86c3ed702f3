//! From the typed tree to the row road's plan.
//!
//! One top-down pass: every operator is told which columns are read above it, adds those that it reads itself and hands
//! the set on. So scans read no more than they must, and operators that materialise save only what is read later.

use super::access::{self, Path};
use super::columns::{
    self, ColumnSet, conjuncts, for_rels, free_columns, is_volatile, produced_in, rel_is_volatile, split_gates,
    used_by, used_in,
};
use super::estimate::{Estimator, Facts, constant_count, table_rows};
use super::road::RoadChoice;
use crate::catalog::image::{Body, Image, Relation};
use crate::error::{Error, Result};
use crate::executor::context::StatementContext;
use crate::executor::functions::Volatility;
use crate::executor::row::compile::{self, SubqueryPlanner, row_form};
use crate::executor::row::expr::Code;
use crate::executor::row::plan::{self as p, Kind, Node, Plan, PlanKind, Slot};
use crate::executor::row::subquery::{Quantified, SubqueryPlan, SubqueryUse};
use crate::sql::bind::aggregate::same_expr;
use crate::sql::columns::for_parts;
use crate::sql::tree::{
    self, Call, ColumnId, CteBody, Expr, ExprKind, FrameBound, Rel, Root, SortKey, Statement, Subquery, SubqueryKind,
};
use crate::types::{Datum, Type, oid};
use lightning_storage::ObjectId;
use std::collections::HashMap;
use std::sync::Arc;

/// Plans a statement for the row road, with the sizes of tables as last analysed.
pub fn plan(statement: &Statement) -> Result<Plan> {
    plan_sized(statement, &|_| None)
}

/// Plans a statement for the row road with the sizes of tables as they are now.
pub fn plan_in(statement: &Statement, ctx: &StatementContext) -> Result<Plan> {
    plan_sized(statement, &|relation| {
        ctx.with_transaction(|transaction| Ok::<_, crate::error::Error>(facts_now(relation, &ctx.catalog, transaction)))
            .ok()
            .flatten()
    })
}

/// What is known of a table now.
pub fn facts_now(relation: &Relation, image: &Image, transaction: &lightning_storage::Transaction) -> Option<Facts> {
    let rows = size_now(relation, image, transaction)?;
    Some(Facts { rows, statistics: image.statistics.get(&relation.oid).cloned() })
}

/// About the rows that a table has now: what ANALYZE counted, and what has been inserted since.
pub fn size_now(relation: &Relation, image: &Image, transaction: &lightning_storage::Transaction) -> Option<f64> {
    let Body::Table { storage, .. } = &relation.body else { return None };
    let bound = transaction.row_id_bound(*storage).0;
    Some(match image.statistics.get(&relation.oid) {
        Some(analysed) => analysed.rows + bound.saturating_sub(analysed.bound) as f64,
        None => bound.saturating_sub(1) as f64,
    })
}

/// Plans with `facts` telling what is known of tables.
pub fn plan_sized(statement: &Statement, facts: &dyn Fn(&Relation) -> Option<Facts>) -> Result<Plan> {
    plan_on(statement, RoadChoice::Row, &[], facts)
}

/// Plans with `facts` telling what is known of tables, for the road that is chosen. Where `values` has a parameter's value, the plan is
/// the best for that one, though right for all: without, it counts as an average one.
pub fn plan_on(
    statement: &Statement,
    road: RoadChoice,
    values: &[Datum],
    facts: &dyn Fn(&Relation) -> Option<Facts>,
) -> Result<Plan> {
    let bound = statement;
    // Trees may be as deep as the parser lets them: the passes below recurse over them.
    stacker::maybe_grow(8 << 20, 64 << 20, || {
        let mut statement = statement.clone();
        let mut statistics = HashMap::new();
        super::rewrite::for_scans(&mut statement, &mut |relation| {
            if let Some(facts) = facts(relation) {
                // A table that is small now may be filled while the plan is kept.
                let row_estimate = facts.rows.max(SMALLEST_ROWS);
                *relation = Arc::new(Relation { row_estimate, ..(**relation).clone() });
                statistics.extend(facts.statistics.map(|found| (relation.oid, found)));
            }
        });
        let estimator = Arc::new(Estimator::new(&mut statement, statistics, values.into()));
        let statement = super::rewrite::statement(statement, &estimator);
        let mut plan = Planner { road, ..Planner::new(&statement, &estimator) }.statement()?;
        if values.is_empty() && !plan.params.is_empty() && plan.row_reason.is_none() {
            plan.bound = Some(Arc::new(bound.clone()));
        }
        Ok(plan)
    })
}

/// How often a correlated subquery is thought to run.
const CORRELATED_RUNS: f64 = 100.0;

/// What an unanalysed table is thought to have at least.
const SMALLEST_ROWS: f64 = 100.0;

/// How many of a sort's rows are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limited {
    No,
    /// By a number that is not known.
    Unknown,
    To(f64),
}

/// The pass over one statement.
pub(crate) struct Planner<'a> {
    pub(super) statement: &'a Statement,
    pub(super) estimator: &'a Arc<Estimator>,
    pub(super) subqueries: usize,
    pub(super) nodes: u32,
    pub(super) slots: usize,
    pub(super) names: Vec<Option<(String, String)>>,
    /// Relations scanned.
    pub(super) scans: usize,
    /// The outer columns that they read: no relation names those where it scans a part.
    pub(super) cte_columns: ColumnSet,
    depth: usize,
    deepest: usize,
    pub(super) scanned_rows: f64,
    /// The first error of a constant expression that is read.
    failure: Option<Error>,
    /// Row: also inside of a relation that has a plan for either road.
    pub(super) road: RoadChoice,
    /// Relations that begin on the vector road.
    pub(super) vectors: usize,
    /// There are some that may run there.
    pub(super) has_roads: bool,
}

impl SubqueryPlanner for Planner<'_> {
    fn subquery(&mut self, subquery: &Subquery) -> Result<Arc<SubqueryPlan>> {
        let number = self.subqueries;
        self.subqueries += 1;
        let needed: ColumnSet = subquery.columns.iter().copied().collect();
        let correlated = self.depends(&subquery.rel);
        let ctes = self.correlated_ctes_in(&subquery.rel);
        let scanned = self.scanned_rows;
        let node = self.rel(&subquery.rel, &needed)?;
        if correlated {
            // Once per outer row; how many there will be is not known here.
            self.scanned_rows += (self.scanned_rows - scanned) * CORRELATED_RUNS;
        }
        let kind = match &subquery.kind {
            SubqueryKind::Scalar => SubqueryUse::Scalar,
            SubqueryKind::Exists => SubqueryUse::Exists,
            SubqueryKind::Array => {
                let column = subquery.columns[0];
                let ty = self.statement.columns[column.0 as usize].oid;
                match oid::element_of(ty) {
                    // ARRAY(SELECT an array): one more dimension; int2vector and oidvector are elements like others.
                    Some(element) if ty != oid::INT2VECTOR && ty != oid::OIDVECTOR => SubqueryUse::Array(element, true),
                    _ => SubqueryUse::Array(ty, false),
                }
            }
            SubqueryKind::Quantified { left, compare, equal, op, all } => SubqueryUse::Quantified(Quantified {
                left: self.exprs(left)?,
                compare: compare.iter().map(|f| Ok((*f, row_form(f)?))).collect::<Result<_>>()?,
                equal: equal.iter().map(|f| Ok((*f, row_form(f)?))).collect::<Result<_>>()?,
                op: *op,
                all: *all,
            }),
        };
        Ok(Arc::new(SubqueryPlan { number, node, columns: slots(&subquery.columns), kind, correlated, ctes }))
    }
}

/// The error of the first constant expression inside of `expr` that could not be computed. What a parameter decides
/// whether to reach is left to the execution.
fn failure_in(expr: &Expr, failures: &[(Expr, Error)]) -> Option<Error> {
    if let Some((_, error)) = failures.iter().find(|(failed, _)| same_expr(failed, expr)) {
        return Some(error.clone());
    }
    let (mut found, mut open) = (None, true);
    let guards =
        matches!(expr.kind, ExprKind::Case { .. } | ExprKind::And(_) | ExprKind::Or(_) | ExprKind::Coalesce(_));
    for_parts(expr, &mut |part| {
        if open && found.is_none() {
            found = failure_in(part, failures);
            open = !(guards && hangs_on_parameters(part));
        }
    });
    found
}

/// Whether parameters, and nothing else, decide an expression's value.
fn hangs_on_parameters(expr: &Expr) -> bool {
    fn decided(expr: &Expr, named: &mut bool) -> bool {
        let mut all = match &expr.kind {
            ExprKind::Param(_) => {
                *named = true;
                true
            }
            ExprKind::Call(call) => call.function.volatility == Volatility::Immutable,
            ExprKind::Column(_) | ExprKind::Subquery(_) | ExprKind::SqlValue(_) | ExprKind::NextValue(_) => false,
            _ => true,
        };
        for_parts(expr, &mut |part| all = all && decided(part, named));
        all
    }
    let mut named = false;
    decided(expr, &mut named) && named
}

/// Columns as slots.
fn slots(columns: &[ColumnId]) -> Box<[Slot]> {
    columns.iter().map(|column| column.0).collect()
}

/// The storage object of a table.
pub(super) fn storage_of(relation: &Relation) -> Result<ObjectId> {
    match &relation.body {
        Body::Table { storage, .. } => Ok(*storage),
        _ => Err(Error::internal(format!("\"{}\" is not a stored table", relation.name))),
    }
}

/// Whether a condition is a constant that is not true.
fn is_never(condition: &Expr) -> bool {
    matches!(condition.kind, ExprKind::Const(_))
}

impl<'a> Planner<'a> {
    pub(super) fn new(statement: &'a Statement, estimator: &'a Arc<Estimator>) -> Planner<'a> {
        Planner {
            statement,
            estimator,
            subqueries: 0,
            nodes: 0,
            slots: statement.columns.len(),
            names: vec![None; statement.columns.len()],
            scans: 0,
            cte_columns: ColumnSet::new(),
            depth: 0,
            deepest: 0,
            scanned_rows: 0.0,
            failure: None,
            road: RoadChoice::Row,
            vectors: 0,
            has_roads: false,
        }
    }

    pub(super) fn statement(mut self) -> Result<Plan> {
        let statement = self.statement;
        for cte in &statement.ctes {
            match &cte.body {
                CteBody::Query(rel) => self.cte_columns.union(&free_columns(rel)),
                CteBody::Recursive { seed, step, .. } => {
                    self.cte_columns.union(&free_columns(seed));
                    self.cte_columns.union(&free_columns(step));
                }
                CteBody::Write(_) => {}
            }
        }
        let ctes = statement.ctes.iter().map(|cte| self.cte(cte).map(Arc::new)).collect::<Result<Vec<_>>>()?;
        let output: ColumnSet = statement.output.iter().map(|column| column.column).collect();
        let root = self.root(&statement.root, &output, !statement.output.is_empty(), true)?;
        let kind = match statement.root {
            Root::Query(_) => PlanKind::Select,
            Root::Insert(_) => PlanKind::Insert,
            Root::Update(_) => PlanKind::Update,
            Root::Delete(_) => PlanKind::Delete,
        };
        let row_reason = self.row_reason();
        let is_volatile = |cte: &tree::Cte| match &cte.body {
            CteBody::Query(rel) => rel_is_volatile(rel),
            CteBody::Recursive { seed, step, .. } => rel_is_volatile(seed) || rel_is_volatile(step),
            CteBody::Write(_) => true,
        };
        let is_stable = matches!(&statement.root, Root::Query(rel) if !rel_is_volatile(rel));
        Ok(Plan {
            root,
            kind,
            row_reason,
            bound: None,
            repeats: is_stable && !self.has_roads && !statement.ctes.iter().any(is_volatile),
            output: statement.output.clone(),
            params: statement.params.clone(),
            slots: self.slots,
            subqueries: self.subqueries,
            ctes,
            failure: self.failure,
            locks: statement.locks.clone(),
            dependencies: statement.dependencies.clone(),
            names: self.names,
            scans: self.scans,
            depth: self.deepest,
            nodes: self.nodes,
            scanned_rows: self.scanned_rows,
        })
    }

    pub(super) fn root(&mut self, root: &Root, needed: &ColumnSet, returns: bool, main: bool) -> Result<Node> {
        match root {
            Root::Query(rel) => self.rel(rel, needed),
            Root::Insert(insert) => self.insert(insert, returns, main),
            Root::Update(update) => self.update(update, returns, main),
            Root::Delete(delete) => self.delete(delete, returns, main),
        }
    }

    pub(super) fn cte(&mut self, cte: &tree::Cte) -> Result<p::CtePlan> {
        let failure = self.failure.take();
        let plan = self.cte_here(cte)?;
        let unread = cte.uses == 0 && !plan.write;
        self.failure = failure.or(self.failure.take().filter(|_| !unread));
        Ok(plan)
    }

    fn cte_here(&mut self, cte: &tree::Cte) -> Result<p::CtePlan> {
        let needed: ColumnSet = cte.columns.iter().copied().collect();
        let node = match &cte.body {
            CteBody::Query(rel) => self.rel(rel, &needed)?,
            CteBody::Write(root) => self.root(root, &needed, !cte.columns.is_empty(), false)?,
            CteBody::Recursive { seed, step, step_columns, all } => {
                let seed = self.rel(seed, &needed)?;
                let step = self.rel(step, &step_columns.iter().copied().collect())?;
                self.node(Kind::RecursiveUnion(Arc::new(p::RecursiveUnion {
                    cte: cte.id.0 as usize,
                    seed,
                    step,
                    step_slots: slots(step_columns),
                    slots: slots(&cte.columns),
                    all: *all,
                })))
            }
        };
        Ok(p::CtePlan {
            name: cte.name.clone(),
            node,
            columns: slots(&cte.columns),
            write: matches!(cte.body, CteBody::Write(_)),
            correlated: self.estimator.is_correlated(cte.id),
        })
    }

    /// A node that gives as many rows as its first input.
    pub(super) fn node(&mut self, kind: Kind) -> Node {
        self.nodes += 1;
        let mut node = Node { id: self.nodes - 1, estimate: p::Estimate::default(), kind };
        node.estimate.rows = match &node.kind {
            Kind::Values(values) => values.rows.len() as f64,
            Kind::Functions(_) | Kind::CteScan(_) | Kind::WorkingScan(_) => 100.0,
            Kind::Aggregate(aggregate) if aggregate.keys.is_empty() => 1.0,
            _ => node.inputs().first().map_or(1.0, |input| input.estimate.rows),
        };
        let rows = node.estimate.rows;
        self.cost(node, rows)
    }

    /// Estimates in PostgreSQL's units (1 is a page read in sequence), for EXPLAIN.
    pub(super) fn cost(&self, mut node: Node, rows: f64) -> Node {
        let inputs = node.inputs();
        let total: f64 = inputs.iter().map(|input| input.estimate.total).sum();
        let read: f64 = inputs.iter().map(|input| input.estimate.rows).sum();
        let width = inputs.iter().map(|input| input.estimate.width).sum();
        let last_startup = inputs.last().map_or(0.0, |input| input.estimate.total);
        let (startup, total, width) = match &node.kind {
            Kind::SeqScan(scan) => {
                let all = table_rows(&scan.relation);
                (0.0, all * 0.0125 + (all / 100.0).ceil(), super::scan::row_width(&scan.columns))
            }
            Kind::IndexScan(scan) => (0.15, 0.15 + 8.0 + rows * 0.02, super::scan::row_width(&scan.columns)),
            Kind::NestedLoop(join) => {
                let again = join.left.estimate.rows.max(1.0) * join.right.estimate.total;
                (join.left.estimate.startup, join.left.estimate.total + again, width)
            }
            Kind::HashJoin(_) => (last_startup, total + read * 0.01, width),
            Kind::Sort(_) | Kind::Window(_) => {
                let sorting = total + read * read.max(2.0).log2() * 0.005;
                (sorting, sorting + read * 0.0025, width)
            }
            Kind::Aggregate(_) | Kind::Distinct(_) | Kind::SetOp(_) => (total, total + read * 0.0125, width),
            _ => (inputs.first().map_or(0.0, |input| input.estimate.startup), total + rows * 0.0025, width),
        };
        node.estimate = p::Estimate { startup, total, rows, width };
        node
    }

    pub(super) fn node_of(&mut self, kind: Kind, rows: f64) -> Node {
        let node = self.node(kind);
        self.cost(node, rows)
    }

    pub(super) fn new_slot(&mut self) -> Slot {
        self.slots += 1;
        self.names.push(None);
        (self.slots - 1) as Slot
    }

    pub(super) fn expr(&mut self, expr: &Expr) -> Result<Code> {
        self.deepest = self.deepest.max(self.depth + expr_depth(expr));
        if self.failure.is_none() && !self.statement.failures.is_empty() {
            self.failure = failure_in(expr, &self.statement.failures);
        }
        compile::compile(expr, self)
    }

    pub(super) fn exprs(&mut self, exprs: &[Expr]) -> Result<Box<[Code]>> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    /// A condition; `None` for constant true.
    pub(super) fn condition(&mut self, expr: &Expr) -> Result<Option<Code>> {
        let code = self.expr(expr)?;
        Ok((!code.is_true()).then_some(code))
    }

    pub(super) fn sort_keys(&mut self, keys: &[SortKey]) -> Result<Box<[p::SortBy]>> {
        keys.iter()
            .map(|key| {
                Ok(p::SortBy { code: self.expr(&key.expr)?, descending: key.descending, nulls_first: key.nulls_first })
            })
            .collect()
    }

    /// Whether a relation's rows hang on outer rows, or on the round of a recursion.
    pub(super) fn depends(&self, rel: &Rel) -> bool {
        let mut working = false;
        for_rels(rel, &mut |part| working = working || matches!(part, Rel::Working { .. }));
        working || !free_columns(rel).is_empty() || !self.correlated_ctes_in(rel).is_empty()
    }

    pub(super) fn correlated_ctes_in(&self, rel: &Rel) -> Box<[usize]> {
        let mut found = Vec::new();
        for_rels(rel, &mut |part| {
            if let Rel::CteScan { cte, .. } = part
                && self.estimator.is_correlated(*cte)
                && !found.contains(&(cte.0 as usize))
            {
                found.push(cte.0 as usize);
            }
        });
        found.into()
    }

    /// Of `needed`, the columns that `rel` gives: what a materialising operator above it saves.
    pub(super) fn payload(rel: &Rel, needed: &ColumnSet) -> Box<[Slot]> {
        let mut produced = ColumnSet::new();
        produced_in(rel, &mut produced);
        produced.iter().filter(|column| needed.contains(*column)).map(|column| column.0).collect()
    }

    /// An operator tree that fills the `needed` columns.
    pub(super) fn rel(&mut self, rel: &Rel, needed: &ColumnSet) -> Result<Node> {
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        let node = stacker::maybe_grow(64 * 1024, 1024 * 1024, || match self.vector(rel, needed)? {
            Some(node) => Ok(node),
            None => self.rel_inner(rel, needed),
        });
        self.depth -= 1;
        node
    }

    pub(super) fn rel_inner(&mut self, rel: &Rel, needed: &ColumnSet) -> Result<Node> {
        let mut needed = needed.clone();
        needed.union(&self.cte_columns);
        columns::for_exprs(rel, &mut |expr| used_by(expr, &mut needed));
        match rel {
            Rel::Scan { relation, columns } => self.scan(relation, columns, &needed, &[]),
            Rel::Values { columns, rows } => {
                let rows = rows.iter().map(|row| self.exprs(row)).collect::<Result<_>>()?;
                Ok(self.node(Kind::Values(Arc::new(p::Values { slots: slots(columns), rows }))))
            }
            Rel::Functions { calls, ordinality } => {
                let calls =
                    calls.iter().map(|(call, columns)| self.set_call(call, columns)).collect::<Result<Vec<_>>>()?;
                let ordinality = ordinality.map(|column| column.0);
                Ok(self.node(Kind::Functions(Arc::new(p::Functions { calls, ordinality }))))
            }
            Rel::CteScan { cte, columns, .. } => {
                let scan = self.cte_scan(*cte, columns, &needed);
                let rows = self.estimator.rows(rel);
                self.scanned_rows += rows;
                Ok(self.node_of(Kind::CteScan(Arc::new(scan)), rows))
            }
            Rel::Working { cte, columns } => {
                let scan = self.cte_scan(*cte, columns, &needed);
                Ok(self.node(Kind::WorkingScan(Arc::new(scan))))
            }
            Rel::Project { input, exprs } => self.project(input, exprs, &needed),
            Rel::ProjectSet { input, calls } => {
                let input = self.rel(input, &needed)?;
                let calls =
                    calls.iter().map(|(column, call)| self.whole_set_call(call, *column)).collect::<Result<_>>()?;
                Ok(self.node(Kind::ProjectSet(Arc::new(p::ProjectSet { input, calls }))))
            }
            Rel::Filter { input, predicate } => self.filter(input, &conjuncts(predicate), &needed),
            Rel::Join { kind, left, right, on, lateral } => self.join(*kind, left, right, on, *lateral, &needed),
            Rel::Aggregate { input, keys, sets, aggregates, groupings } => {
                self.aggregate(input, keys, sets.as_deref(), aggregates, groupings, &needed)
            }
            Rel::Window { input, partition, order, calls } => self.window(input, partition, order, calls, &needed),
            Rel::Sort { input, keys } => self.sort(input, keys, None, Limited::No, &needed),
            Rel::Distinct { input, on } => {
                // DISTINCT ON over ORDER BY: the binder has made sure that the sort begins with the same expressions.
                let sorted = matches!(&**input, Rel::Sort { keys, .. }
                    if keys.len() >= on.len() && keys[..on.len()].iter().all(|key| on.iter().any(|on| same_expr(on, &key.expr))));
                let payload = Self::payload(input, &needed);
                let input = self.rel(input, &needed)?;
                let rows = self.estimator.groups(&on.iter().collect::<Vec<_>>(), input.estimate.rows);
                let on = self.exprs(on)?;
                Ok(self.node_of(Kind::Distinct(Arc::new(p::Distinct { input, on, payload, sorted })), rows))
            }
            Rel::Limit { input, limit, offset, ties } => {
                self.limit(input, limit.as_ref(), offset.as_ref(), ties.as_deref(), &needed)
            }
            Rel::SetOp { op, all, left, left_columns, right, right_columns, columns } => {
                let left = self.rel(left, &left_columns.iter().copied().collect())?;
                let right = self.rel(right, &right_columns.iter().copied().collect())?;
                Ok(self.node(Kind::SetOp(Arc::new(p::SetOp {
                    op: *op,
                    all: *all,
                    left,
                    left_slots: slots(left_columns),
                    right,
                    right_slots: slots(right_columns),
                    slots: slots(columns),
                }))))
            }
            Rel::LockRows { input, targets } => {
                // The re-check reads what the conditions below name.
                used_in(rel, &mut needed);
                let node = self.rel(input, &needed)?;
                let mut plans = Vec::new();
                for target in targets {
                    plans.push(p::LockTargetPlan {
                        row_id: target.row_id.0,
                        relation: target.relation.clone(),
                        table: storage_of(&target.relation)?,
                        strength: target.strength,
                        wait: target.wait,
                        recheck: Arc::new(self.recheck(input, target.row_id, &needed)?),
                    });
                }
                Ok(self.node(Kind::LockRows(Arc::new(p::LockRows { input: node, targets: plans }))))
            }
        }
    }

    pub(super) fn cte_scan(&mut self, cte: tree::CteId, columns: &[ColumnId], needed: &ColumnSet) -> p::CteScan {
        let wanted = columns.iter().enumerate().filter(|(_, column)| needed.contains(**column));
        let columns = wanted.map(|(i, column)| (i as u32, column.0)).collect();
        p::CteScan { cte: cte.0 as usize, name: self.statement.ctes[cte.0 as usize].name.clone(), columns }
    }

    pub(super) fn set_call(&mut self, call: &Expr, columns: &[ColumnId]) -> Result<p::SetCall> {
        let spread = columns.len() != 1 || call.ty.oid == oid::RECORD;
        match &call.kind {
            ExprKind::Call(Call { function, args }) if function.set => {
                Ok(p::SetCall { function: Some(*function), args: self.exprs(args)?, slots: slots(columns), spread })
            }
            _ => Ok(p::SetCall { function: None, args: Box::new([self.expr(call)?]), slots: slots(columns), spread }),
        }
    }

    /// A set in a target list: one column, a record as it is.
    fn whole_set_call(&mut self, call: &Expr, column: ColumnId) -> Result<p::SetCall> {
        Ok(p::SetCall { spread: false, ..self.set_call(call, &[column])? })
    }

    pub(super) fn project(&mut self, input: &Rel, exprs: &[(ColumnId, Expr)], above: &ColumnSet) -> Result<Node> {
        // `above` holds what all expressions use; those that nobody reads are dropped, and what they use is read a
        // little too often, which costs nothing but a decoded column.
        let node = self.rel(input, above)?;
        self.project_over(node, exprs, above)
    }

    pub(super) fn project_over(&mut self, node: Node, exprs: &[(ColumnId, Expr)], above: &ColumnSet) -> Result<Node> {
        let mut kept = Vec::with_capacity(exprs.len());
        for (column, expr) in exprs {
            if above.contains(*column) || is_volatile(expr) {
                kept.push((column.0, self.expr(expr)?));
            }
        }
        if kept.is_empty() {
            return Ok(node);
        }
        Ok(self.node(Kind::Project(Arc::new(p::Project { input: node, exprs: kept.into() }))))
    }

    pub(super) fn aggregate(
        &mut self,
        input: &Rel,
        keys: &[(ColumnId, Expr)],
        sets: Option<&[Vec<usize>]>,
        aggregates: &[(ColumnId, tree::AggregateCall)],
        groupings: &[(ColumnId, Vec<usize>)],
        needed: &ColumnSet,
    ) -> Result<Node> {
        let depends = self.depends(input)
            || reads_outside(
                input,
                keys.iter().map(|(_, key)| key).chain(aggregates.iter().flat_map(|(_, call)| {
                    call.direct
                        .iter()
                        .chain(&call.args)
                        .chain(&call.filter)
                        .chain(call.order.iter().map(|key| &key.expr))
                })),
            );
        let node = match self.extreme(input, keys, sets, aggregates, needed)? {
            Some(node) => node,
            None => self.rel(input, needed)?,
        };
        let all = || (0..keys.len() as u32).collect::<Box<[u32]>>();
        let sets = match sets {
            None => vec![all()],
            Some(sets) => sets.iter().map(|set| set.iter().map(|key| *key as u32).collect()).collect(),
        };
        let mut calls = Vec::with_capacity(aggregates.len());
        for (column, call) in aggregates {
            calls.push(p::AggregatePlan {
                slot: column.0,
                direct: self.exprs(&call.direct)?,
                args: self.exprs(&call.args)?,
                order: self.sort_keys(&call.order)?,
                filter: call.filter.as_ref().map(|filter| self.expr(filter)).transpose()?,
                call: call.clone(),
            });
        }
        let rows = match sets.len() {
            1 => self.estimator.groups(&keys.iter().map(|(_, key)| key).collect::<Vec<_>>(), node.estimate.rows),
            _ => node.estimate.rows,
        };
        let keys = keys.iter().map(|(column, key)| Ok((column.0, self.expr(key)?))).collect::<Result<_>>()?;
        let groupings =
            groupings.iter().map(|(column, asked)| (column.0, asked.iter().map(|k| *k as u32).collect())).collect();
        let aggregate = p::Aggregate { input: node, keys, sets, aggregates: calls, groupings, sorted: false, depends };
        Ok(self.node_of(Kind::Aggregate(Arc::new(aggregate)), rows))
    }

    /// min(column) or max(column) alone: the input's first row in an index's order that is not NULL.
    pub(super) fn extreme(
        &mut self,
        input: &Rel,
        keys: &[(ColumnId, Expr)],
        sets: Option<&[Vec<usize>]>,
        aggregates: &[(ColumnId, tree::AggregateCall)],
        needed: &ColumnSet,
    ) -> Result<Option<Node>> {
        let [(_, call)] = aggregates else { return Ok(None) };
        let descending = match call.name {
            "min" => false,
            "max" => true,
            _ => return Ok(None),
        };
        let [arg] = &call.args[..] else { return Ok(None) };
        if !keys.is_empty() || sets.is_some() || call.filter.is_some() || is_volatile(arg) {
            return Ok(None);
        }
        // Where the range says that there are no NULLs, it does not matter where they would be.
        let with_value = Expr { kind: ExprKind::IsNotNull(Box::new(arg.clone())), ty: Type::new(oid::BOOL) };
        let Some(present) = under(input, with_value) else { return Ok(None) };
        for nulls_first in [descending, !descending] {
            let key = SortKey { expr: arg.clone(), descending, nulls_first };
            if let Some(input) = self.presorted(&present, &[key], Limited::To(1.0), needed)? {
                let limit = Some(Code::Const(crate::types::Datum::Int8(1)));
                let limit = p::Limit { input, limit, offset: None, ties: None };
                return Ok(Some(self.node_of(Kind::Limit(Arc::new(limit)), 1.0)));
            }
        }
        Ok(None)
    }

    pub(super) fn window(
        &mut self,
        input: &Rel,
        partition: &[Expr],
        order: &[SortKey],
        calls: &[(ColumnId, tree::WindowCall)],
        needed: &ColumnSet,
    ) -> Result<Node> {
        let depends = self.depends(input)
            || reads_outside(
                input,
                partition
                    .iter()
                    .chain(order.iter().map(|key| &key.expr))
                    .chain(calls.iter().flat_map(|(_, call)| call.args.iter().chain(&call.filter))),
            );
        let payload = Self::payload(input, needed);
        let node = self.rel(input, needed)?;
        let mut plans = Vec::with_capacity(calls.len());
        for (column, call) in calls {
            plans.push(p::WindowCallPlan {
                name: call.name,
                function: call.function,
                aggregate: call.aggregate,
                slot: column.0,
                args: self.exprs(&call.args)?,
                arg_types: call.args.iter().map(|arg| arg.ty).collect(),
                filter: call.filter.as_ref().map(|filter| self.expr(filter)).transpose()?,
                unit: call.frame.unit,
                start: self.bound(&call.frame.start)?,
                end: self.bound(&call.frame.end)?,
                exclude: call.frame.exclude,
                ty: call.ty,
            });
        }
        let order_type: Option<Type> = match order {
            [key] => Some(key.expr.ty),
            _ => None,
        };
        let partition = self.exprs(partition)?;
        let order = self.sort_keys(order)?;
        Ok(self.node(Kind::Window(Arc::new(p::Window {
            input: node,
            partition,
            order,
            order_type,
            calls: plans,
            payload,
            depends,
        }))))
    }

    pub(super) fn bound(&mut self, bound: &FrameBound) -> Result<p::Bound> {
        Ok(match bound {
            FrameBound::UnboundedPreceding => p::Bound::UnboundedPreceding,
            FrameBound::Preceding(offset) => p::Bound::Preceding(self.expr(offset)?, offset.ty),
            FrameBound::CurrentRow => p::Bound::CurrentRow,
            FrameBound::Following(offset) => p::Bound::Following(self.expr(offset)?, offset.ty),
            FrameBound::UnboundedFollowing => p::Bound::UnboundedFollowing,
        })
    }

    fn filter(&mut self, input: &Rel, conditions: &[&Expr], needed: &ColumnSet) -> Result<Node> {
        let (gates, conditions) = split_gates(input, conditions);
        let scanned = self.scanned_rows;
        let mut node = match input {
            Rel::Scan { relation, columns } => self.scan(relation, columns, needed, &conditions)?,
            _ => self.rel(input, needed)?,
        };
        if !conditions.is_empty() && !matches!(input, Rel::Scan { .. }) {
            let rows = (node.estimate.rows * self.estimator.all(&conditions)).max(1.0);
            let predicate = self.all(&conditions)?;
            node = self.node_of(Kind::Filter(Arc::new(p::Filter { input: node, predicate })), rows);
        }
        if gates.iter().any(|gate| is_never(gate)) {
            self.scanned_rows = scanned;
        }
        self.gate(node, &gates)
    }

    /// All rows of a node, or none.
    fn gate(&mut self, input: Node, gates: &[&Expr]) -> Result<Node> {
        if gates.is_empty() {
            return Ok(input);
        }
        let rows = if gates.iter().any(|gate| is_never(gate)) { 1.0 } else { input.estimate.rows };
        let predicate = self.all(gates)?;
        Ok(self.node_of(Kind::Gate(Arc::new(p::Filter { input, predicate })), rows))
    }

    fn all(&mut self, conditions: &[&Expr]) -> Result<Code> {
        self.expr(&super::rewrite::all_of(conditions.iter().map(|condition| (*condition).clone()).collect()))
    }

    pub(super) fn sort(
        &mut self,
        input: &Rel,
        keys: &[SortKey],
        top: Option<(Option<Code>, Option<Code>)>,
        limit: Limited,
        needed: &ColumnSet,
    ) -> Result<Node> {
        if let Some(node) = self.presorted(input, keys, limit, needed)? {
            return Ok(node);
        }
        let depends = self.depends(input) || reads_outside(input, keys.iter().map(|key| &key.expr));
        let payload = Self::payload(input, needed);
        let node = self.rel(input, needed)?;
        let keys = self.sort_keys(keys)?;
        Ok(self.node(Kind::Sort(Arc::new(p::Sort { input: node, keys, payload, top, depends }))))
    }

    /// A table in the order of `keys` through an index: where the conditions bound that index best anyway, or where a LIMIT
    /// makes it worth while to stop early. Projections on the way stay.
    pub(super) fn presorted(
        &mut self,
        input: &Rel,
        keys: &[SortKey],
        limit: Limited,
        needed: &ColumnSet,
    ) -> Result<Option<Node>> {
        let mut needed = needed.clone();
        columns::for_exprs(input, &mut |expr| used_by(expr, &mut needed));
        let mut gates = Vec::new();
        let (relation, columns, conditions) = match input {
            Rel::Project { input, exprs } => {
                let Some(below) = self.presorted(input, keys, limit, &needed)? else { return Ok(None) };
                return self.project_over(below, exprs, &needed).map(Some);
            }
            Rel::Scan { relation, columns } => (relation, columns, Vec::new()),
            Rel::Filter { input, predicate } => match &**input {
                Rel::Scan { relation, columns } => {
                    let (found, conditions) = split_gates(input, &conjuncts(predicate));
                    gates = found;
                    (relation, columns, conditions)
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        if !matches!(relation.body, Body::Table { .. }) {
            return Ok(None);
        }
        let estimator = self.estimator;
        let Some(path) = access::ordered_path(estimator, relation, columns, &conditions, keys) else { return Ok(None) };
        let best = access::best_path(estimator, relation, columns, &conditions);
        if !self.is_order_worth(relation, &path, best.as_ref(), limit) {
            return Ok(None);
        }
        self.scans += 1;
        let scan = self.index_scan(relation, columns, &needed, path)?;
        self.gate(scan, &gates).map(Some)
    }

    /// Whether reading in the index's order beats sorting what the best path gives. `limit`: how many rows are wanted.
    fn is_order_worth(&self, relation: &Relation, path: &Path<'_>, best: Option<&Path<'_>>, limit: Limited) -> bool {
        let all = table_rows(relation);
        let (read, sorted) = match best {
            Some(best) => (best.cost().min(all), best.rows * self.estimator.all(&best.residual)),
            None => (all, path.rows * self.estimator.all(&path.residual)),
        };
        // The part of the range that is read until the limit is reached.
        let part = match limit {
            Limited::No => 1.0,
            Limited::Unknown => 0.1,
            Limited::To(count) => (count / sorted.max(1.0)).min(1.0),
        };
        let sorting = sorted * sorted.max(2.0).log2() * 0.1;
        path.cost() * part <= read + sorting || best.is_some_and(|best| path.rows <= best.rows)
    }

    pub(super) fn limit(
        &mut self,
        input: &Rel,
        limit: Option<&Expr>,
        offset: Option<&Expr>,
        ties: Option<&[SortKey]>,
        needed: &ColumnSet,
    ) -> Result<Node> {
        let limit_code = limit.map(|e| self.expr(e)).transpose()?;
        let offset_code = offset.map(|e| self.expr(e)).transpose()?;
        let node = match input {
            // The sort's own keys are not in `needed` yet.
            Rel::Sort { input: below, keys } if ties.is_none() && limit.is_some() => {
                let mut needed = needed.clone();
                keys.iter().for_each(|key| used_by(&key.expr, &mut needed));
                let offset = offset.map_or(Some(0.0), constant_count);
                let limited = match limit.and_then(constant_count).zip(offset) {
                    Some((count, offset)) => Limited::To(count + offset),
                    None => Limited::Unknown,
                };
                self.sort(below, keys, Some((limit_code.clone(), offset_code.clone())), limited, &needed)?
            }
            _ => self.rel(input, needed)?,
        };
        let ties = match ties {
            Some(keys) => Some(keys.iter().map(|key| self.expr(&key.expr)).collect::<Result<_>>()?),
            None => None,
        };
        Ok(self.node(Kind::Limit(Arc::new(p::Limit { input: node, limit: limit_code, offset: offset_code, ties }))))
    }
}

/// A table's scan, perhaps below projections, with one condition more.
fn under(rel: &Rel, condition: Expr) -> Option<Rel> {
    match rel {
        Rel::Project { input, exprs } => {
            Some(Rel::Project { input: Box::new(under(input, condition)?), exprs: exprs.clone() })
        }
        Rel::Scan { .. } => Some(Rel::Filter { input: Box::new(rel.clone()), predicate: condition }),
        Rel::Filter { input, predicate } if matches!(**input, Rel::Scan { .. }) => {
            let all = Expr { kind: ExprKind::And(vec![predicate.clone(), condition]), ty: Type::new(oid::BOOL) };
            Some(Rel::Filter { input: input.clone(), predicate: all })
        }
        _ => None,
    }
}

/// Nesting of an expression.
fn expr_depth(expr: &Expr) -> usize {
    let mut deepest = 0;
    columns::for_parts(expr, &mut |part| {
        deepest = deepest.max(stacker::maybe_grow(32 * 1024, 1024 * 1024, || expr_depth(part)));
    });
    deepest + 1
}

/// Whether expressions over a relation name columns of outer rows.
fn reads_outside<'e>(input: &Rel, exprs: impl Iterator<Item = &'e Expr>) -> bool {
    let (mut used, mut produced) = (ColumnSet::new(), ColumnSet::new());
    exprs.for_each(|expr| used_by(expr, &mut used));
    produced_in(input, &mut produced);
    !used.is_subset(&produced)
}
