//! From the typed tree to the row road's plan.
//!
//! One top-down pass: every operator is told which columns are read above it, adds those that it reads itself and hands
//! the set on. So scans read no more than they must, and operators that materialise save only what is read later.

use super::access::{self, Path};
use super::columns::{
    self, ColumnSet, for_rels, free_columns, is_volatile, produced_in, used_by, used_by_checks, used_in,
};
use crate::catalog::image::{Body, ConstraintKind, Relation};
use crate::error::{Error, Result};
use crate::executor::context::StatementContext;
use crate::executor::row::compile::{self, SubqueryPlanner, row_form};
use crate::executor::row::expr::{Code, operator_of};
use crate::executor::row::plan::{self as p, Kind, Node, Plan, PlanKind, Slot};
use crate::executor::row::subquery::{Quantified, SubqueryPlan, SubqueryUse};
use crate::sql::tree::{
    self, Call, ColumnId, CteBody, Expr, ExprKind, FrameBound, JoinKind, Rel, Root, RowOp, ScanColumn, SortKey,
    Statement, Subquery, SubqueryKind,
};
use crate::types::{Type, oid};
use lightning_storage::{ColumnNo, ObjectId};
use std::sync::Arc;

/// Plans a statement for the row road, with the sizes of tables as last analysed.
pub fn plan(statement: &Statement) -> Result<Plan> {
    plan_sized(statement, &|_| None)
}

/// Plans a statement for the row road with the sizes of tables as they are now.
pub fn plan_in(statement: &Statement, ctx: &StatementContext) -> Result<Plan> {
    plan_sized(statement, &|relation| match &relation.body {
        Body::Table { storage, .. } => {
            let bound = ctx.with_transaction(|t| Ok::<_, lightning_storage::Error>(t.row_id_bound(*storage)));
            bound.ok().map(|bound| bound.0.saturating_sub(1) as f64)
        }
        _ => None,
    })
}

/// Plans with `size` telling the rows of tables that were never analysed.
fn plan_sized(statement: &Statement, size: &dyn Fn(&Relation) -> Option<f64>) -> Result<Plan> {
    // Trees may be as deep as the parser lets them: the passes below recurse over them.
    stacker::maybe_grow(8 << 20, 64 << 20, || {
        let mut statement = statement.clone();
        super::rewrite::for_scans(&mut statement, &mut |relation| {
            if relation.row_estimate < 0.0
                && let Some(rows) = size(relation)
            {
                // A table that is small now may be filled while the plan is kept.
                let row_estimate = rows.max(SMALLEST_ROWS);
                *relation = Arc::new(Relation { row_estimate, ..(**relation).clone() });
            }
        });
        let statement = super::rewrite::statement(statement);
        Planner::new(&statement).statement()
    })
}

/// What an unanalysed table is thought to have at least.
const SMALLEST_ROWS: f64 = 100.0;

/// The pass over one statement.
pub(crate) struct Planner<'a> {
    statement: &'a Statement,
    subqueries: usize,
    nodes: u32,
    slots: usize,
    names: Vec<Option<(String, String)>>,
    /// Relations scanned.
    scans: usize,
    /// WITH parts that hang on outer rows.
    correlated_ctes: Vec<bool>,
    depth: usize,
    deepest: usize,
    scanned_rows: f64,
}

impl SubqueryPlanner for Planner<'_> {
    fn subquery(&mut self, subquery: &Subquery) -> Result<Arc<SubqueryPlan>> {
        let number = self.subqueries;
        self.subqueries += 1;
        let needed: ColumnSet = match subquery.kind {
            SubqueryKind::Exists => ColumnSet::new(),
            _ => subquery.columns.iter().copied().collect(),
        };
        let correlated = self.depends(&subquery.rel);
        let ctes = self.correlated_ctes_in(&subquery.rel);
        let node = self.rel(&subquery.rel, &needed)?;
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
            SubqueryKind::Quantified { left, compare, op, all } => SubqueryUse::Quantified(Quantified {
                left: self.exprs(left)?,
                compare: compare.iter().map(|f| Ok((*f, row_form(f)?))).collect::<Result<_>>()?,
                op: *op,
                all: *all,
            }),
        };
        Ok(Arc::new(SubqueryPlan { number, node, columns: slots(&subquery.columns), kind, correlated, ctes }))
    }
}

/// Columns as slots.
fn slots(columns: &[ColumnId]) -> Box<[Slot]> {
    columns.iter().map(|column| column.0).collect()
}

/// The storage object of a table.
fn storage_of(relation: &Relation) -> Result<ObjectId> {
    match &relation.body {
        Body::Table { storage, .. } => Ok(*storage),
        _ => Err(Error::internal(format!("\"{}\" is not a stored table", relation.name))),
    }
}

/// The conjuncts of a condition; constant true has none.
pub(crate) fn conjuncts(predicate: &Expr) -> Vec<&Expr> {
    match &predicate.kind {
        ExprKind::And(args) => args.iter().flat_map(conjuncts).collect(),
        ExprKind::Const(crate::types::Datum::Bool(true)) => Vec::new(),
        _ => vec![predicate],
    }
}

impl<'a> Planner<'a> {
    fn new(statement: &'a Statement) -> Planner<'a> {
        Planner {
            statement,
            subqueries: 0,
            nodes: 0,
            slots: statement.columns.len(),
            names: vec![None; statement.columns.len()],
            scans: 0,
            correlated_ctes: vec![false; statement.ctes.len()],
            depth: 0,
            deepest: 0,
            scanned_rows: 0.0,
        }
    }

    fn statement(mut self) -> Result<Plan> {
        let statement = self.statement;
        for cte in &statement.ctes {
            let correlated = match &cte.body {
                CteBody::Query(rel) => self.depends(rel),
                CteBody::Recursive { seed, step, .. } => {
                    self.depends(seed) || !free_columns(step).is_empty() || !self.correlated_ctes_in(step).is_empty()
                }
                CteBody::Write(_) => false,
            };
            self.correlated_ctes[cte.id.0 as usize] = correlated;
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
        Ok(Plan {
            root,
            kind,
            output: statement.output.clone(),
            params: statement.params.clone(),
            slots: self.slots,
            subqueries: self.subqueries,
            ctes,
            locks: statement.locks.clone(),
            dependencies: statement.dependencies.clone(),
            names: self.names,
            scans: self.scans,
            depth: self.deepest,
            nodes: self.nodes,
            scanned_rows: self.scanned_rows,
        })
    }

    fn root(&mut self, root: &Root, needed: &ColumnSet, returns: bool, main: bool) -> Result<Node> {
        match root {
            Root::Query(rel) => self.rel(rel, needed),
            Root::Insert(insert) => self.insert(insert, returns, main),
            Root::Update(update) => self.update(update, returns, main),
            Root::Delete(delete) => self.delete(delete, returns, main),
        }
    }

    fn cte(&mut self, cte: &tree::Cte) -> Result<p::CtePlan> {
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
            correlated: self.correlated_ctes[cte.id.0 as usize],
        })
    }

    /// A node that gives as many rows as its first input.
    fn node(&mut self, kind: Kind) -> Node {
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
    fn cost(&self, mut node: Node, rows: f64) -> Node {
        let inputs = node.inputs();
        let total: f64 = inputs.iter().map(|input| input.estimate.total).sum();
        let read: f64 = inputs.iter().map(|input| input.estimate.rows).sum();
        let width = inputs.iter().map(|input| input.estimate.width).sum();
        let last_startup = inputs.last().map_or(0.0, |input| input.estimate.total);
        let (startup, total, width) = match &node.kind {
            Kind::SeqScan(scan) => {
                let all = access::table_rows(&scan.relation);
                (0.0, all * 0.0125 + (all / 100.0).ceil(), row_width(&scan.columns))
            }
            Kind::IndexScan(scan) => (0.15, 0.15 + 8.0 + rows * 0.02, row_width(&scan.columns)),
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

    fn node_of(&mut self, kind: Kind, rows: f64) -> Node {
        let node = self.node(kind);
        self.cost(node, rows)
    }

    fn new_slot(&mut self) -> Slot {
        self.slots += 1;
        self.names.push(None);
        (self.slots - 1) as Slot
    }

    pub(crate) fn expr(&mut self, expr: &Expr) -> Result<Code> {
        self.deepest = self.deepest.max(self.depth + expr_depth(expr));
        compile::compile(expr, self)
    }

    fn exprs(&mut self, exprs: &[Expr]) -> Result<Box<[Code]>> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    /// A condition; `None` for constant true.
    fn condition(&mut self, expr: &Expr) -> Result<Option<Code>> {
        let code = self.expr(expr)?;
        Ok((!code.is_true()).then_some(code))
    }

    fn sort_keys(&mut self, keys: &[SortKey]) -> Result<Box<[p::SortBy]>> {
        keys.iter()
            .map(|key| {
                Ok(p::SortBy { code: self.expr(&key.expr)?, descending: key.descending, nulls_first: key.nulls_first })
            })
            .collect()
    }

    /// Whether a relation's rows hang on outer rows, or on the round of a recursion.
    fn depends(&self, rel: &Rel) -> bool {
        let mut working = false;
        for_rels(rel, &mut |part| working = working || matches!(part, Rel::Working { .. }));
        working || !free_columns(rel).is_empty() || !self.correlated_ctes_in(rel).is_empty()
    }

    fn correlated_ctes_in(&self, rel: &Rel) -> Box<[usize]> {
        let mut found = Vec::new();
        for_rels(rel, &mut |part| {
            if let Rel::CteScan { cte, .. } = part
                && self.correlated_ctes[cte.0 as usize]
                && !found.contains(&(cte.0 as usize))
            {
                found.push(cte.0 as usize);
            }
        });
        found.into()
    }

    /// Of `needed`, the columns that `rel` gives: what a materialising operator above it saves.
    fn payload(rel: &Rel, needed: &ColumnSet) -> Box<[Slot]> {
        let mut produced = ColumnSet::new();
        produced_in(rel, &mut produced);
        produced.iter().filter(|column| needed.contains(*column)).map(|column| column.0).collect()
    }

    /// An operator tree that fills the `needed` columns.
    pub(crate) fn rel(&mut self, rel: &Rel, needed: &ColumnSet) -> Result<Node> {
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        let node = stacker::maybe_grow(64 * 1024, 1024 * 1024, || self.rel_inner(rel, needed));
        self.depth -= 1;
        node
    }

    fn rel_inner(&mut self, rel: &Rel, needed: &ColumnSet) -> Result<Node> {
        let mut needed = needed.clone();
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
            Rel::CteScan { cte, columns } => {
                let scan = self.cte_scan(*cte, columns, &needed);
                Ok(self.node(Kind::CteScan(Arc::new(scan))))
            }
            Rel::Working { cte, columns } => {
                let scan = self.cte_scan(*cte, columns, &needed);
                Ok(self.node(Kind::WorkingScan(Arc::new(scan))))
            }
            Rel::Project { input, exprs } => self.project(input, exprs, &needed),
            Rel::ProjectSet { input, calls } => {
                let input = self.rel(input, &needed)?;
                let calls =
                    calls.iter().map(|(column, call)| self.set_call(call, &[*column])).collect::<Result<_>>()?;
                Ok(self.node(Kind::ProjectSet(Arc::new(p::ProjectSet { input, calls }))))
            }
            Rel::Filter { input, predicate } => {
                if let Rel::Scan { relation, columns } = &**input {
                    return self.scan(relation, columns, &needed, &conjuncts(predicate));
                }
                let input = self.rel(input, &needed)?;
                let predicate = self.expr(predicate)?;
                Ok(self.node(Kind::Filter(Arc::new(p::Filter { input, predicate }))))
            }
            Rel::Join { kind, left, right, on, lateral } => self.join(*kind, left, right, on, *lateral, &needed),
            Rel::Aggregate { input, keys, sets, aggregates, groupings } => {
                self.aggregate(input, keys, sets.as_deref(), aggregates, groupings, &needed)
            }
            Rel::Window { input, partition, order, calls } => self.window(input, partition, order, calls, &needed),
            Rel::Sort { input, keys } => self.sort(input, keys, None, &needed),
            Rel::Distinct { input, on } => {
                let input = self.rel(input, &needed)?;
                let on = self.exprs(on)?;
                Ok(self.node(Kind::Distinct(Arc::new(p::Distinct { input, on, sorted: false }))))
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

    fn cte_scan(&mut self, cte: tree::CteId, columns: &[ColumnId], needed: &ColumnSet) -> p::CteScan {
        let wanted = columns.iter().enumerate().filter(|(_, column)| needed.contains(**column));
        let columns = wanted.map(|(i, column)| (i as u32, column.0)).collect();
        p::CteScan { cte: cte.0 as usize, name: self.statement.ctes[cte.0 as usize].name.clone(), columns }
    }

    fn set_call(&mut self, call: &Expr, columns: &[ColumnId]) -> Result<p::SetCall> {
        let spread = columns.len() != 1 || call.ty.oid == oid::RECORD;
        match &call.kind {
            ExprKind::Call(Call { function, args }) if function.set => {
                Ok(p::SetCall { function: Some(*function), args: self.exprs(args)?, slots: slots(columns), spread })
            }
            _ => Ok(p::SetCall { function: None, args: Box::new([self.expr(call)?]), slots: slots(columns), spread }),
        }
    }

    fn project(&mut self, input: &Rel, exprs: &[(ColumnId, Expr)], above: &ColumnSet) -> Result<Node> {
        // `above` holds what all expressions use; those that nobody reads are dropped, and what they use is read a
        // little too often, which costs nothing but a decoded column.
        let node = self.rel(input, above)?;
        self.project_over(node, exprs, above)
    }

    fn project_over(&mut self, node: Node, exprs: &[(ColumnId, Expr)], above: &ColumnSet) -> Result<Node> {
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

    /// A scan's columns that are needed; the filter's first.
    pub(crate) fn table_columns(
        &mut self,
        relation: &Relation,
        columns: &[(ScanColumn, ColumnId)],
        needed: &ColumnSet,
        conditions: &[&Expr],
    ) -> Result<p::TableColumns> {
        let mut filtered = ColumnSet::new();
        conditions.iter().for_each(|condition| used_by(condition, &mut filtered));
        let mut result = p::TableColumns::default();
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        for (what, column) in columns {
            if !needed.contains(*column) {
                continue;
            }
            let slot = column.0;
            match what {
                ScanColumn::Attribute(number) => {
                    let attribute = &relation.attributes[*number as usize - 1];
                    self.names[slot as usize] = Some((relation.name.clone(), attribute.name.clone()));
                    let read = p::ReadColumn {
                        column: ColumnNo(attribute.storage),
                        ty: attribute.ty,
                        slot,
                        attribute: *number,
                    };
                    if filtered.contains(*column) { first.push(read) } else { rest.push(read) }
                }
                ScanColumn::RowId => result.row_id = Some(slot),
                ScanColumn::TableOid => result.table_oid = Some(slot),
                ScanColumn::Ctid => result.ctid = Some(slot),
                ScanColumn::Xmin => return Err(Error::unsupported("system column \"xmin\"")),
            }
        }
        result.filter_columns = first.len();
        first.append(&mut rest);
        result.stored = first;
        Ok(result)
    }

    /// A table's rows for which all `conditions` hold, by the best index that they allow.
    fn scan(
        &mut self,
        relation: &Arc<Relation>,
        columns: &[(ScanColumn, ColumnId)],
        needed: &ColumnSet,
        conditions: &[&Expr],
    ) -> Result<Node> {
        self.scans += 1;
        if let Body::System(system) = &relation.body {
            return self.system_scan(relation, system.keys, columns, needed, conditions);
        }
        if let Some(path) = access::best_path(relation, columns, conditions) {
            return self.index_scan(relation, columns, needed, path);
        }
        let rows = access::table_rows(relation);
        self.scanned_rows += rows;
        let table = storage_of(relation)?;
        let columns = self.table_columns(relation, columns, needed, conditions)?;
        let filter = self.all_of(conditions)?;
        let scan = p::SeqScan { relation: relation.clone(), table, columns, filter };
        let rows = conditions.iter().fold(rows, |rows, condition| access::filtered_rows(condition, rows));
        Ok(self.node_of(Kind::SeqScan(Arc::new(scan)), rows))
    }

    fn system_scan(
        &mut self,
        relation: &Arc<Relation>,
        keys: &[i16],
        columns: &[(ScanColumn, ColumnId)],
        needed: &ColumnSet,
        conditions: &[&Expr],
    ) -> Result<Node> {
        let mut wanted = Vec::new();
        let mut table_oid = None;
        for (what, column) in columns.iter().filter(|(_, column)| needed.contains(*column)) {
            match what {
                ScanColumn::Attribute(number) => {
                    let name = &relation.attributes[*number as usize - 1].name;
                    self.names[column.0 as usize] = Some((relation.name.clone(), name.clone()));
                    wanted.push((*number, column.0));
                }
                ScanColumn::TableOid => table_oid = Some(column.0),
                ScanColumn::RowId | ScanColumn::Ctid | ScanColumn::Xmin => {
                    return Err(Error::unsupported("this system column of a system relation"));
                }
            }
        }
        let mut conditions = conditions.to_vec();
        let key = match access::system_key(relation, keys, columns, &conditions) {
            Some((attribute, at, value)) => {
                conditions.remove(at);
                Some((attribute, self.expr(value)?))
            }
            None => None,
        };
        let rows = if key.is_some() { 10.0 } else { 300.0 };
        let filter = self.all_of(&conditions)?;
        let scan = p::SystemScan { relation: relation.clone(), columns: wanted, key, filter, table_oid };
        Ok(self.node_of(Kind::SystemScan(Arc::new(scan)), rows))
    }

    fn index_scan(
        &mut self,
        relation: &Arc<Relation>,
        columns: &[(ScanColumn, ColumnId)],
        needed: &ColumnSet,
        path: Path<'_>,
    ) -> Result<Node> {
        self.scanned_rows += path.rows;
        let mut side = |side: Option<(&Expr, bool)>| match side {
            Some((value, inclusive)) => self.expr(value).map(|code| Some((code, inclusive))),
            None => Ok(None),
        };
        let (lower, upper) = (side(path.lower)?, side(path.upper)?);
        let range = p::KeyRange {
            equals: path.equals.iter().map(|value| self.expr(value)).collect::<Result<_>>()?,
            one_of: path.one_of.map(|array| self.expr(array)).transpose()?,
            lower,
            upper,
            is_null: path.is_null,
        };
        let table = storage_of(relation)?;
        let columns = self.table_columns(relation, columns, needed, &path.residual)?;
        let filter = self.all_of(&path.residual)?;
        let rows = path.residual.iter().fold(path.rows, |rows, condition| access::filtered_rows(condition, rows));
        let scan = p::IndexScan {
            relation: relation.clone(),
            table,
            index: path.index,
            columns,
            range,
            backward: path.backward,
            filter,
        };
        Ok(self.node_of(Kind::IndexScan(Arc::new(scan)), rows))
    }

    /// The conjunction of conditions; `None` for none.
    fn all_of(&mut self, conditions: &[&Expr]) -> Result<Option<Code>> {
        let mut codes = conditions.iter().map(|condition| self.expr(condition)).collect::<Result<Vec<_>>>()?;
        codes.retain(|code| !code.is_true());
        Ok(match codes.len() {
            0 => None,
            1 => codes.pop(),
            _ => Some(Code::And(codes.into())),
        })
    }

    /// A join whose right side is a table read through an index for every left row, when that promises to be cheaper than
    /// reading all of it once.
    fn index_join(
        &mut self,
        kind: JoinKind,
        left: &Node,
        right: &Rel,
        on: &Expr,
        needed: &ColumnSet,
    ) -> Result<Option<Node>> {
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            return Ok(None);
        }
        let mut conditions = conjuncts(on);
        let (relation, columns) = match right {
            Rel::Scan { relation, columns } => (relation, columns),
            Rel::Filter { input, predicate } => match &**input {
                Rel::Scan { relation, columns } => {
                    conditions.extend(conjuncts(predicate));
                    (relation, columns)
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        if !matches!(relation.body, Body::Table { .. }) {
            return Ok(None);
        }
        let Some(path) = access::best_path(relation, columns, &conditions) else { return Ok(None) };
        // What the filter alone would read, against a descent and the matching rows for every left row.
        let own: Vec<&Expr> =
            conditions.iter().copied().filter(|c| !conjuncts(on).iter().any(|o| std::ptr::eq(*o, *c))).collect();
        let alone = access::best_path(relation, columns, &own).map_or(access::table_rows(relation), |path| path.rows);
        let looked_up = left.estimate.rows.max(1.0) * (4.0 + path.rows);
        if path.equals.is_empty() || looked_up > alone + 20.0 {
            return Ok(None);
        }
        let mut needed = needed.clone();
        conditions.iter().for_each(|condition| used_by(condition, &mut needed));
        self.scans += 1;
        self.index_scan(relation, columns, &needed, path).map(Some)
    }

    fn join(
        &mut self,
        kind: JoinKind,
        left: &Rel,
        right: &Rel,
        on: &Expr,
        lateral: bool,
        needed: &ColumnSet,
    ) -> Result<Node> {
        let mut left_needed = needed.clone();
        if lateral {
            used_in(right, &mut left_needed);
        }
        let right_depends = self.depends(right);
        let (left_slots, payload) = (Self::payload(left, &left_needed), Self::payload(right, needed));
        let left_node = self.rel(left, &left_needed)?;
        let rows = left_node.estimate.rows;
        if !lateral
            && !right_depends
            && let Some(inner) = self.index_join(kind, &left_node, right, on, needed)?
        {
            let rows = rows * inner.estimate.rows;
            let join = p::NestedLoop {
                kind,
                left: left_node,
                right: inner,
                on: None,
                right_slots: payload,
                left_slots,
                ctes: Box::default(),
            };
            return Ok(self.node_of(Kind::NestedLoop(Arc::new(join)), rows));
        }
        if !lateral && let Some((pairs, residual)) = self.hash_keys(left, right, on) {
            let left_depends = self.depends(left);
            let right_node = self.rel(right, needed)?;
            let rows = rows.max(right_node.estimate.rows);
            let mut left_keys = Vec::new();
            let mut right_keys = Vec::new();
            for (l, r) in pairs {
                left_keys.push(self.expr(l)?);
                right_keys.push(self.expr(r)?);
            }
            let mut join = p::HashJoin {
                kind,
                left: left_node,
                right: right_node,
                left_keys: left_keys.into(),
                right_keys: right_keys.into(),
                residual: self.all_of(&residual)?,
                payload,
                left_slots,
                right_depends,
            };
            // The smaller side makes the table.
            let mirrored = match kind {
                JoinKind::Inner => Some(JoinKind::Inner),
                JoinKind::Left => Some(JoinKind::Right),
                JoinKind::Right => Some(JoinKind::Left),
                JoinKind::Full => Some(JoinKind::Full),
                JoinKind::Semi | JoinKind::Anti => None,
            };
            if let Some(mirrored) = mirrored
                && join.left.estimate.rows < join.right.estimate.rows
            {
                join.kind = mirrored;
                std::mem::swap(&mut join.left, &mut join.right);
                std::mem::swap(&mut join.left_keys, &mut join.right_keys);
                std::mem::swap(&mut join.left_slots, &mut join.payload);
                join.right_depends = left_depends;
            }
            return Ok(self.node_of(Kind::HashJoin(Arc::new(join)), rows));
        }
        let ctes = self.correlated_ctes_in(right);
        let mut inner = self.rel(right, needed)?;
        let rows = rows * inner.estimate.rows;
        if !right_depends && !lateral {
            inner = self.node(Kind::Materialize(Arc::new(p::Materialize { input: inner, payload: payload.clone() })));
        }
        let on = self.condition(on)?;
        let join = p::NestedLoop { kind, left: left_node, right: inner, on, right_slots: payload, left_slots, ctes };
        Ok(self.node_of(Kind::NestedLoop(Arc::new(join)), rows))
    }

    /// The pairs of a join condition that are equalities of a left and a right expression by their type's own `=`, and
    /// the rest of the conjuncts.
    fn hash_keys<'e>(
        &self,
        left: &Rel,
        right: &Rel,
        on: &'e Expr,
    ) -> Option<(Vec<(&'e Expr, &'e Expr)>, Vec<&'e Expr>)> {
        let (mut of_left, mut of_right) = (ColumnSet::new(), ColumnSet::new());
        produced_in(left, &mut of_left);
        produced_in(right, &mut of_right);
        let (mut pairs, mut rest) = (Vec::new(), Vec::new());
        for conjunct in conjuncts(on) {
            if let ExprKind::Call(Call { function, args }) = &conjunct.kind
                && let [a, b] = &args[..]
                && is_equality(function)
                && !is_volatile(conjunct)
            {
                let (mut in_a, mut in_b) = (ColumnSet::new(), ColumnSet::new());
                used_by(a, &mut in_a);
                used_by(b, &mut in_b);
                if in_a.intersects(&of_left)
                    && !in_a.intersects(&of_right)
                    && in_b.intersects(&of_right)
                    && !in_b.intersects(&of_left)
                {
                    pairs.push((a, b));
                    continue;
                }
                if in_b.intersects(&of_left)
                    && !in_b.intersects(&of_right)
                    && in_a.intersects(&of_right)
                    && !in_a.intersects(&of_left)
                {
                    pairs.push((b, a));
                    continue;
                }
            }
            rest.push(conjunct);
        }
        (!pairs.is_empty()).then_some((pairs, rest))
    }

    fn aggregate(
        &mut self,
        input: &Rel,
        keys: &[(ColumnId, Expr)],
        sets: Option<&[Vec<usize>]>,
        aggregates: &[(ColumnId, tree::AggregateCall)],
        groupings: &[(ColumnId, Vec<usize>)],
        needed: &ColumnSet,
    ) -> Result<Node> {
        let depends = self.depends(input);
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
        let keys = keys.iter().map(|(column, key)| Ok((column.0, self.expr(key)?))).collect::<Result<_>>()?;
        let groupings =
            groupings.iter().map(|(column, asked)| (column.0, asked.iter().map(|k| *k as u32).collect())).collect();
        Ok(self.node(Kind::Aggregate(Arc::new(p::Aggregate {
            input: node,
            keys,
            sets,
            aggregates: calls,
            groupings,
            sorted: false,
            depends,
        }))))
    }

    /// min(column) or max(column) alone: the input's first row in an index's order that is not NULL.
    fn extreme(
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
        if !keys.is_empty() || sets.is_some() || call.filter.is_some() || !matches!(arg.kind, ExprKind::Column(_)) {
            return Ok(None);
        }
        for nulls_first in [descending, !descending] {
            let key = SortKey { expr: arg.clone(), descending, nulls_first };
            if let Some(node) = self.presorted(input, &[key], true, needed)? {
                let predicate = Code::IsNotNull(Box::new(self.expr(arg)?));
                let input = self.node(Kind::Filter(Arc::new(p::Filter { input: node, predicate })));
                let limit = Some(Code::Const(crate::types::Datum::Int8(1)));
                let limit = p::Limit { input, limit, offset: None, ties: None };
                return Ok(Some(self.node_of(Kind::Limit(Arc::new(limit)), 1.0)));
            }
        }
        Ok(None)
    }

    fn window(
        &mut self,
        input: &Rel,
        partition: &[Expr],
        order: &[SortKey],
        calls: &[(ColumnId, tree::WindowCall)],
        needed: &ColumnSet,
    ) -> Result<Node> {
        let depends = self.depends(input);
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

    fn bound(&mut self, bound: &FrameBound) -> Result<p::Bound> {
        Ok(match bound {
            FrameBound::UnboundedPreceding => p::Bound::UnboundedPreceding,
            FrameBound::Preceding(offset) => p::Bound::Preceding(self.expr(offset)?, offset.ty),
            FrameBound::CurrentRow => p::Bound::CurrentRow,
            FrameBound::Following(offset) => p::Bound::Following(self.expr(offset)?, offset.ty),
            FrameBound::UnboundedFollowing => p::Bound::UnboundedFollowing,
        })
    }

    fn sort(
        &mut self,
        input: &Rel,
        keys: &[SortKey],
        top: Option<(Option<Code>, Option<Code>)>,
        needed: &ColumnSet,
    ) -> Result<Node> {
        if let Some(node) = self.presorted(input, keys, top.is_some(), needed)? {
            return Ok(node);
        }
        let depends = self.depends(input);
        let payload = Self::payload(input, needed);
        let node = self.rel(input, needed)?;
        let keys = self.sort_keys(keys)?;
        Ok(self.node(Kind::Sort(Arc::new(p::Sort { input: node, keys, payload, top, depends }))))
    }

    /// A table in the order of `keys` through an index: where the conditions bound that index best anyway, or where a LIMIT
    /// makes it worth while to stop early. Projections on the way stay.
    fn presorted(&mut self, input: &Rel, keys: &[SortKey], limited: bool, needed: &ColumnSet) -> Result<Option<Node>> {
        let mut needed = needed.clone();
        columns::for_exprs(input, &mut |expr| used_by(expr, &mut needed));
        let (relation, columns, conditions) = match input {
            Rel::Project { input, exprs } => {
                let Some(below) = self.presorted(input, keys, limited, &needed)? else { return Ok(None) };
                return self.project_over(below, exprs, &needed).map(Some);
            }
            Rel::Scan { relation, columns } => (relation, columns, Vec::new()),
            Rel::Filter { input, predicate } => match &**input {
                Rel::Scan { relation, columns } => (relation, columns, conjuncts(predicate)),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        if !matches!(relation.body, Body::Table { .. }) {
            return Ok(None);
        }
        let Some(path) = access::ordered_path(relation, columns, &conditions, keys) else { return Ok(None) };
        let best = access::best_path(relation, columns, &conditions);
        let as_good = best.as_ref().is_some_and(|best| path.rows <= best.rows);
        if !(as_good || limited && best.is_none()) {
            return Ok(None);
        }
        self.scans += 1;
        self.index_scan(relation, columns, &needed, path).map(Some)
    }

    fn limit(
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
                self.sort(below, keys, Some((limit_code.clone(), offset_code.clone())), &needed)?
            }
            _ => self.rel(input, needed)?,
        };
        let ties = match ties {
            Some(keys) => Some(keys.iter().map(|key| self.expr(&key.expr)).collect::<Result<_>>()?),
            None => None,
        };
        Ok(self.node(Kind::Limit(Arc::new(p::Limit { input: node, limit: limit_code, offset: offset_code, ties }))))
    }

    /// How a changed row of the scan with row-id column `target` is judged again: the conditions on the way from that
    /// scan to the top of `rel`. Partner rows are kept; semi and anti joins are run again.
    fn recheck(&mut self, rel: &Rel, target: ColumnId, needed: &ColumnSet) -> Result<p::Recheck> {
        let mut recheck = p::Recheck::default();
        self.recheck_steps(rel, target, needed, &mut recheck)?;
        Ok(recheck)
    }

    fn recheck_steps(
        &mut self,
        rel: &Rel,
        target: ColumnId,
        needed: &ColumnSet,
        recheck: &mut p::Recheck,
    ) -> Result<bool> {
        match rel {
            Rel::Scan { relation, columns } if columns.iter().any(|(_, column)| *column == target) => {
                recheck.columns = self.table_columns(relation, columns, needed, &[])?;
                Ok(true)
            }
            Rel::Filter { input, predicate } => {
                let found = self.recheck_steps(input, target, needed, recheck)?;
                if found {
                    recheck.steps.push(p::RecheckStep::Test(self.expr(predicate)?));
                }
                Ok(found)
            }
            Rel::Project { input, exprs } => {
                let found = self.recheck_steps(input, target, needed, recheck)?;
                if found {
                    for (column, expr) in exprs.iter().filter(|(column, _)| needed.contains(*column)) {
                        recheck.steps.push(p::RecheckStep::Compute(column.0, self.expr(expr)?));
                    }
                }
                Ok(found)
            }
            Rel::Join { kind, left, right, on, lateral: _ } => {
                if self.recheck_steps(left, target, needed, recheck)? {
                    let step = match kind {
                        JoinKind::Left | JoinKind::Full => {
                            p::RecheckStep::Partner(self.expr(on)?, Self::payload(right, needed))
                        }
                        JoinKind::Inner | JoinKind::Right => p::RecheckStep::Test(self.expr(on)?),
                        JoinKind::Semi | JoinKind::Anti => {
                            let matching = Rel::Filter { input: right.clone(), predicate: on.clone() };
                            let subquery = Subquery { rel: matching, columns: Vec::new(), kind: SubqueryKind::Exists };
                            let exists = Code::Subquery(self.subquery(&subquery)?);
                            let semi = *kind == JoinKind::Semi;
                            p::RecheckStep::Test(if semi { exists } else { Code::Not(Box::new(exists)) })
                        }
                    };
                    recheck.steps.push(step);
                    return Ok(true);
                }
                let found = self.recheck_steps(right, target, needed, recheck)?;
                if found {
                    recheck.steps.push(p::RecheckStep::Test(self.expr(on)?));
                }
                Ok(found)
            }
            Rel::Sort { input, .. }
            | Rel::Limit { input, .. }
            | Rel::Distinct { input, .. }
            | Rel::ProjectSet { input, .. }
            | Rel::LockRows { input, .. } => self.recheck_steps(input, target, needed, recheck),
            _ => Ok(false),
        }
    }

    fn write_columns(
        &mut self,
        relation: &Relation,
        values: &[(i16, Expr)],
        row: &[(i16, ColumnId)],
    ) -> Result<Vec<p::WriteColumn>> {
        let mut columns = Vec::with_capacity(values.len());
        for (attribute, expr) in values {
            let described = &relation.attributes[*attribute as usize - 1];
            let slot = row.iter().find(|(number, _)| number == attribute).map(|(_, column)| column.0);
            columns.push(p::WriteColumn {
                attribute: *attribute,
                column: ColumnNo(described.storage),
                ty: described.ty,
                slot: slot.ok_or_else(|| Error::internal("an assigned attribute has no column in the new row"))?,
                code: self.expr(expr)?,
            });
        }
        Ok(columns)
    }

    fn checks(&mut self, checks: &tree::WriteChecks, row: &[(i16, ColumnId)]) -> Result<p::ChecksPlan> {
        let mut hidden = Vec::with_capacity(checks.hidden.len());
        for (column, expr) in &checks.hidden {
            let slot = self.new_slot();
            let code = self.expr(expr)?;
            hidden.push(p::WriteColumn { attribute: 0, column: ColumnNo(*column), ty: expr.ty, slot, code });
        }
        let slot_of = |number: &i16| row.iter().find(|(n, _)| n == number).map(|(_, column)| (*number, column.0));
        Ok(p::ChecksPlan {
            not_null: checks.not_null.iter().filter_map(slot_of).collect(),
            checks: checks
                .checks
                .iter()
                .map(|(name, check)| Ok((name.clone(), self.expr(check)?)))
                .collect::<Result<_>>()?,
            hidden,
        })
    }

    fn returning(&mut self, returning: &[(ColumnId, Expr)]) -> Result<Box<[(Slot, Code)]>> {
        returning.iter().map(|(column, expr)| Ok((column.0, self.expr(expr)?))).collect()
    }

    fn insert(&mut self, insert: &tree::Insert, returns: bool, main: bool) -> Result<Node> {
        let relation = &insert.target;
        let mut needed = ColumnSet::new();
        insert.values.iter().for_each(|(_, expr)| used_by(expr, &mut needed));
        insert.returning.iter().for_each(|(_, expr)| used_by(expr, &mut needed));
        if let Some(update) = insert.on_conflict.as_ref().and_then(|conflict| conflict.update.as_ref()) {
            update.assignments.iter().for_each(|(_, expr)| used_by(expr, &mut needed));
        }
        let input = self.rel(&insert.source, &needed)?;
        for (number, column) in &insert.row_columns {
            let name = relation.attributes[*number as usize - 1].name.clone();
            self.names[column.0 as usize] = Some((relation.name.clone(), name));
        }
        let columns = self.write_columns(relation, &insert.values, &insert.row_columns)?;
        let checks = self.checks(&insert.checks, &insert.row_columns)?;
        let on_conflict = match &insert.on_conflict {
            None => None,
            Some(conflict) => Some(p::OnConflictPlan {
                arbiters: conflict.arbiters.clone(),
                update: conflict.update.as_ref().map(|update| self.conflict_update(relation, update)).transpose()?,
            }),
        };
        let storage_columns = relation
            .attributes
            .iter()
            .map(|attribute| attribute.storage)
            .chain(checks.hidden.iter().map(|hidden| hidden.column.0))
            .max()
            .map_or(0, |last| last as usize + 1);
        let plan = p::InsertPlan {
            target: relation.clone(),
            table: storage_of(relation)?,
            input,
            columns,
            storage_columns,
            checks,
            on_conflict,
            returning: self.returning(&insert.returning)?,
            returns,
            main,
        };
        Ok(self.node(Kind::Insert(Arc::new(plan))))
    }

    fn conflict_update(&mut self, relation: &Relation, update: &tree::ConflictUpdate) -> Result<p::ConflictUpdatePlan> {
        let generated = |attribute: &i16| relation.attributes[*attribute as usize - 1].generated;
        let (late, early): (Vec<_>, Vec<_>) =
            update.assignments.iter().cloned().partition(|(attribute, _)| generated(attribute));
        let assignments = self.write_columns(relation, &early, &update.row_columns)?;
        let generated = self.write_columns(relation, &late, &update.row_columns)?;
        let scan: Vec<_> =
            update.existing_columns.iter().map(|(number, column)| (ScanColumn::Attribute(*number), *column)).collect();
        let all = update.existing_columns.iter().map(|(_, column)| *column).collect();
        let existing = self.table_columns(relation, &scan, &all, &[])?;
        let keep = keep(&update.existing_columns, &update.row_columns, &update.assignments, None);
        Ok(p::ConflictUpdatePlan {
            existing,
            assignments,
            keep,
            generated,
            row: update.row_columns.iter().map(|(number, column)| (*number, column.0)).collect(),
            checks: self.checks(&update.checks, &update.row_columns)?,
            predicate: update.predicate.as_ref().map(|predicate| self.expr(predicate)).transpose()?,
        })
    }

    fn update(&mut self, update: &tree::Update, returns: bool, main: bool) -> Result<Node> {
        let relation = &update.target;
        // Columns of the new row that something reads.
        let mut read = ColumnSet::new();
        update.generated.iter().for_each(|(_, expr)| used_by(expr, &mut read));
        update.returning.iter().for_each(|(_, expr)| used_by(expr, &mut read));
        used_by_checks(&update.checks, &mut read);
        let keys = foreign_key_attributes(relation);
        for (number, column) in &update.row_columns {
            if keys.contains(number) || update.checks.not_null.contains(number) {
                read.insert(*column);
            }
        }
        let keep = keep(&update.old_columns, &update.row_columns, &update.assignments, Some(&read));
        let mut needed = read.clone();
        update.assignments.iter().for_each(|(_, expr)| used_by(expr, &mut needed));
        needed.insert(update.row_id);
        needed.union(&keep.iter().map(|(old, _)| ColumnId(*old)).collect());
        needed.union(&update.old_columns.iter().filter(|(n, _)| keys.contains(n)).map(|(_, c)| *c).collect());
        used_in(&update.source, &mut needed);
        let input = self.rel(&update.source, &needed)?;
        for (number, column) in &update.row_columns {
            let name = relation.attributes[*number as usize - 1].name.clone();
            self.names[column.0 as usize] = Some((relation.name.clone(), name));
        }
        let plan = p::UpdatePlan {
            target: relation.clone(),
            table: storage_of(relation)?,
            input,
            row_id: update.row_id.0,
            old: needed_pairs(&update.old_columns, &needed),
            assignments: self.write_columns(relation, &update.assignments, &update.row_columns)?,
            keep,
            generated: self.write_columns(relation, &update.generated, &update.row_columns)?,
            row: update.row_columns.iter().map(|(number, column)| (*number, column.0)).collect(),
            checks: self.checks(&update.checks, &update.row_columns)?,
            recheck: self.recheck(&update.source, update.row_id, &needed)?,
            returning: self.returning(&update.returning)?,
            returns,
            main,
        };
        Ok(self.node(Kind::Update(Arc::new(plan))))
    }

    fn delete(&mut self, delete: &tree::Delete, returns: bool, main: bool) -> Result<Node> {
        let relation = &delete.target;
        let keys = foreign_key_attributes(relation);
        let mut needed = ColumnSet::new();
        delete.returning.iter().for_each(|(_, expr)| used_by(expr, &mut needed));
        needed.insert(delete.row_id);
        needed.union(&delete.old_columns.iter().filter(|(n, _)| keys.contains(n)).map(|(_, c)| *c).collect());
        used_in(&delete.source, &mut needed);
        let input = self.rel(&delete.source, &needed)?;
        let plan = p::DeletePlan {
            target: relation.clone(),
            table: storage_of(relation)?,
            input,
            row_id: delete.row_id.0,
            old: needed_pairs(&delete.old_columns, &needed),
            recheck: self.recheck(&delete.source, delete.row_id, &needed)?,
            returning: self.returning(&delete.returning)?,
            returns,
            main,
        };
        Ok(self.node(Kind::Delete(Arc::new(plan))))
    }
}

fn needed_pairs(columns: &[(i16, ColumnId)], needed: &ColumnSet) -> Vec<(i16, Slot)> {
    columns.iter().filter(|(_, column)| needed.contains(*column)).map(|(number, column)| (*number, column.0)).collect()
}

/// (old slot, new slot) of the attributes that are not assigned; of those that `read` names, if given.
fn keep(
    old: &[(i16, ColumnId)],
    row: &[(i16, ColumnId)],
    assignments: &[(i16, Expr)],
    read: Option<&ColumnSet>,
) -> Vec<(Slot, Slot)> {
    row.iter()
        .filter(|(number, column)| {
            !assignments.iter().any(|(assigned, _)| assigned == number)
                && read.is_none_or(|read| read.contains(*column))
        })
        .filter_map(|(number, column)| old.iter().find(|(n, _)| n == number).map(|(_, old)| (old.0, column.0)))
        .collect()
}

/// The average bytes of the columns that a scan reads, as PostgreSQL guesses them.
fn row_width(columns: &p::TableColumns) -> u32 {
    let width = |ty: &Type| match ty.oid {
        oid::BOOL | oid::CHAR => 1,
        oid::INT2 => 2,
        oid::INT4 | oid::FLOAT4 | oid::DATE | oid::OID => 4,
        oid::INT8 | oid::FLOAT8 | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ => 8,
        oid::UUID | oid::INTERVAL => 16,
        oid::VARCHAR | oid::BPCHAR if ty.typmod > 4 => (ty.typmod as u32 - 4).div_ceil(2).max(1),
        _ => 32,
    };
    columns.stored.iter().map(|column| width(&column.ty)).sum()
}

/// Attributes that take part in foreign keys, on either side.
fn foreign_key_attributes(relation: &Relation) -> Vec<i16> {
    let mut attributes = Vec::new();
    for constraint in &relation.constraints {
        if let ConstraintKind::ForeignKey { columns, .. } = &constraint.kind {
            attributes.extend(columns);
        }
    }
    for constraint in &relation.referenced_by {
        if let ConstraintKind::ForeignKey { referenced_columns, .. } = &constraint.kind {
            attributes.extend(referenced_columns);
        }
    }
    attributes
}

/// Whether a function is its type's own equality, so that hashing agrees with it.
fn is_equality(function: &crate::executor::functions::Function) -> bool {
    operator_of(function) == Some(RowOp::Eq) && matches!(function.args, [a, b] if a == b)
}

/// Nesting of an expression.
fn expr_depth(expr: &Expr) -> usize {
    let mut deepest = 0;
    columns::for_parts(expr, &mut |part| {
        deepest = deepest.max(stacker::maybe_grow(32 * 1024, 1024 * 1024, || expr_depth(part)));
    });
    deepest + 1
}
