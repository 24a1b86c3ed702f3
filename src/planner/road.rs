//! The choice of the road: which relations of a statement are given to the vector road.
//!
//! A relation goes there as a whole, the largest that can: it names no outer column, calls nothing volatile, locks no rows, and
//! its topmost operator has a form there. What is above it stays on the row road, over its rows; parts of it that have no form
//! are cut off, run on the row road and are read as WITH parts would be.
//! The estimate of what the row road would have to scan decides; `lightning.road` overrules it. What is thought small and may
//! turn out large has both plans too, and begins on the row road.

use super::columns::{
    ColumnSet, for_exprs, for_parts, for_rels, free_columns, inputs, is_sorted, is_volatile, produced_in, used_by,
    used_in,
};
use super::physical::Planner;
use crate::catalog::image::Body;
use crate::error::Result;
use crate::executor::functions::Volatility;
use crate::executor::functions::aggregate::aggregate;
use crate::executor::row::expr::Code;
use crate::executor::row::plan::{Kind, Node, Road, RowReason, RowSource, VectorPlan};
use crate::executor::vector::{self, can_raise, hangs_on_order};
use crate::sql::tree::{
    AggregateCall, CteId, Expr, ExprKind, FrameBound, Rel, Root, ScanColumn, SetOpKind, SubqueryKind, WindowCall,
};
use crate::sql::visit;
use crate::types::Type;
use std::collections::HashSet;
use std::sync::Arc;

/// `lightning.road`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoadChoice {
    /// By estimate.
    Auto,
    /// The row road for everything.
    Row,
    /// The vector road for all that has a form there.
    Vector,
}

/// Rows to scan from which the vector road is worth its start: planning and threads take about as long as the row road takes
/// for so many.
const VECTOR_ROWS: f64 = 20_000.0;

impl Planner<'_> {
    /// A plan for either road, if the relation is one for the vector road.
    pub(super) fn vector(&mut self, rel: &Rel, needed: &ColumnSet) -> Result<Option<Node>> {
        if self.road == RoadChoice::Row || !self.fits(rel) {
            return Ok(None);
        }
        let before = self.counts();
        let (row, scanned) = self.on_row_road(rel, needed)?;
        if self.road == RoadChoice::Auto && scanned < VECTOR_ROWS && !may_grow(&row) {
            self.scanned_rows += scanned;
            return Ok(Some(row));
        }
        let mut relation = rel.clone();
        let mut cut = Vec::new();
        let first = self.statement.ctes.len();
        cut_formless(&mut relation, &mut |part| {
            let cte = CteId((first + cut.len()) as u32);
            let mut columns = ColumnSet::new();
            produced_in(part, &mut columns);
            let place = Rel::CteScan { cte, columns: columns.iter().collect(), correlated: false };
            cut.push((cte, std::mem::replace(part, place)));
        });
        let mut read = needed.clone();
        read.union(&self.cte_columns);
        used_in(&relation, &mut read);
        let parts: Vec<(CteId, Rel, ColumnSet)> = cut
            .into_iter()
            .map(|(cte, part)| {
                let mut columns = ColumnSet::new();
                produced_in(&part, &mut columns);
                (cte, part, columns.iter().filter(|column| read.contains(*column)).collect())
            })
            .collect();
        let mut ahead = Ahead::default();
        ahead.look(&relation, true);
        let fit = |(cte, part, columns): &(CteId, Rel, ColumnSet)| {
            let held = columns.iter().all(|column| vector::holds(self.statement.columns[column.0 as usize]));
            held && !(ahead.parts.contains(cte) && rel_may_raise(part))
        };
        if ahead.raises || !parts.iter().all(fit) {
            // Parts of it look for the vector road themselves.
            self.forget(before);
            return Ok(None);
        }
        let mut reads = scanned;
        let mut hidden = 0.0;
        for (_, part, columns) in &parts {
            let counts = self.counts();
            let (node, scanned) = self.on_row_road(part, columns)?;
            // This plan is for its estimate alone.
            self.forget(counts);
            hidden += scanned;
            reads += node.estimate.rows - scanned;
        }
        let row_first = self.road == RoadChoice::Auto && reads < VECTOR_ROWS;
        if row_first && (hidden >= VECTOR_ROWS || !may_grow(&row)) {
            // Little for the vector road but in parts that it cannot run: those look for it themselves.
            self.forget(before);
            return Ok(None);
        }
        // What the parts scan and begin, the relation's row plan has counted.
        let (begins, scans, scanned_before) = (self.vectors, self.scans, self.scanned_rows);
        let mut sources: Vec<RowSource> = Vec::with_capacity(parts.len());
        for (cte, part, columns) in &parts {
            let node = self.rel(part, columns)?;
            let shared = columns.iter().filter(|column| needed.contains(*column)).map(|column| column.0).collect();
            sources.push(RowSource {
                cte: *cte,
                node,
                columns: columns.iter().collect(),
                shared,
                raises: rel_may_raise(part),
            });
        }
        self.vectors = begins + usize::from(!row_first);
        self.has_roads = true;
        let mut inputs = Vec::new();
        let first = self.statement.params.len();
        extract(&mut relation, &mut |expr| {
            let number = first + inputs.len();
            let ty = expr.ty;
            let subquery = std::mem::replace(expr, Expr { kind: ExprKind::Param(number), ty });
            inputs.push(subquery);
        });
        let inputs = self.exprs(&inputs)?;
        (self.scans, self.scanned_rows) = (scans, scanned_before + scanned);
        let mut produced = ColumnSet::new();
        produced_in(rel, &mut produced);
        let sizes = match sources.is_empty() {
            true => self.estimator.clone(),
            false => {
                let rows = sources.iter().map(|source| (source.cte, source.node.estimate.rows));
                Arc::new(self.estimator.with_parts(rows))
            }
        };
        let vector = VectorPlan {
            rel: relation,
            columns: produced.iter().filter(|column| needed.contains(*column)).collect(),
            types: self.statement.columns.clone().into(),
            slots: self.slots,
            params: first + inputs.len(),
            sources,
            sizes,
        };
        let estimate = row.estimate;
        let mut node = self.node(Kind::Road(Arc::new(Road { row, vector, inputs, reads, row_first })));
        node.estimate = estimate;
        Ok(Some(node))
    }

    /// A relation's plan for the row road alone, and the rows that it is thought to scan, which are not counted yet.
    fn on_row_road(&mut self, rel: &Rel, needed: &ColumnSet) -> Result<(Node, f64)> {
        let road = std::mem::replace(&mut self.road, RoadChoice::Row);
        let before = self.scanned_rows;
        let node = self.rel_inner(rel, needed);
        self.road = road;
        let scanned = std::mem::replace(&mut self.scanned_rows, before) - before;
        Ok((node?, scanned))
    }

    /// What planning counts; see [`Planner::forget`].
    fn counts(&self) -> [usize; 4] {
        [self.nodes as usize, self.subqueries, self.slots, self.scans]
    }

    /// Takes back what has been counted for a plan that is not used.
    fn forget(&mut self, before: [usize; 4]) {
        let nodes;
        [nodes, self.subqueries, self.slots, self.scans] = before;
        self.nodes = nodes as u32;
        self.names.truncate(self.slots);
    }

    /// Why nothing begins on the vector road.
    pub(super) fn row_reason(&self) -> Option<RowReason> {
        if self.vectors > 0 {
            return None;
        }
        Some(match (self.road, &self.statement.root) {
            (RoadChoice::Row, _) => RowReason::Forced,
            (RoadChoice::Auto, _) if self.scanned_rows < VECTOR_ROWS => RowReason::Few,
            (_, Root::Query(rel)) => RowReason::NoForm(refusal(rel)),
            (_, Root::Insert(insert)) => RowReason::NoForm(refusal(&insert.source)),
            (_, Root::Update(update)) => RowReason::NoForm(refusal(&update.source)),
            (_, Root::Delete(delete)) => RowReason::NoForm(refusal(&delete.source)),
        })
    }

    fn fits(&self, rel: &Rel) -> bool {
        is_start(rel) && has_form(rel) && !has_locks(rel) && !self.depends(rel) && !has_effects(rel)
    }
}

/// Whether a row plan may read far more than was thought: the rows of a large table that no unique key picks.
fn may_grow(node: &Node) -> bool {
    let own = match &node.kind {
        Kind::SeqScan(scan) => scan.relation.row_estimate >= VECTOR_ROWS,
        Kind::IndexScan(scan) => {
            let one = scan.index.unique && scan.range.equals.len() == scan.index.keys.len();
            !one && scan.relation.row_estimate >= VECTOR_ROWS
        }
        Kind::Gate(gate) if matches!(gate.predicate, Code::Const(_)) => return false,
        _ => false,
    };
    own || node.inputs().into_iter().any(may_grow)
}

/// What keeps a relation from the vector road: its lowest operator that has no form there.
fn refusal(rel: &Rel) -> &'static str {
    fn lowest(rel: &Rel) -> Option<&'static str> {
        if let Some(below) = inputs(rel).into_iter().find_map(lowest) {
            return Some(below);
        }
        if has_form(rel) {
            return None;
        }
        Some(match rel {
            Rel::Scan { .. } => "a relation that is not stored",
            Rel::Join { lateral: true, .. } => "LATERAL",
            Rel::Aggregate { .. } => "such an aggregate or grouping",
            Rel::Distinct { .. } => "such a DISTINCT",
            Rel::Limit { .. } => "WITH TIES",
            Rel::SetOp { .. } => "such a set operation",
            Rel::Values { .. } => "VALUES",
            Rel::Functions { .. } => "functions in FROM",
            Rel::CteScan { .. } => "WITH parts",
            Rel::Working { .. } => "recursion",
            Rel::ProjectSet { .. } => "set-returning functions",
            Rel::LockRows { .. } => "row locks",
            Rel::Filter { .. } | Rel::Join { .. } | Rel::Project { .. } | Rel::Sort { .. } | Rel::Window { .. } => {
                "such an expression"
            }
        })
    }
    match lowest(rel) {
        Some(reason) => reason,
        None if has_effects(rel) => "volatile functions",
        None => "rows that are given as they are read",
    }
}

/// Operators with which a relation may begin there: a plain scan or projection gives its rows faster where they are.
fn is_start(rel: &Rel) -> bool {
    match rel {
        Rel::Scan { .. } | Rel::Values { .. } => false,
        Rel::Project { input, .. } | Rel::Filter { input, .. } => {
            matches!(**input, Rel::Scan { .. }) && matches!(rel, Rel::Filter { .. }) || is_start(input)
        }
        // It stops early: the row road has its first rows at once.
        Rel::Limit { input, .. } => is_blocking(input),
        _ => true,
    }
}

/// Whether all rows are read before the first is given.
fn is_blocking(rel: &Rel) -> bool {
    match rel {
        Rel::Sort { .. } | Rel::Aggregate { .. } | Rel::Distinct { .. } => true,
        Rel::Project { input, .. } | Rel::Filter { input, .. } => is_blocking(input),
        _ => false,
    }
}

/// Whether an operator itself, whatever its inputs, has a form on the vector road.
fn has_form(rel: &Rel) -> bool {
    let own = match rel {
        Rel::Scan { relation, columns } => {
            matches!(relation.body, Body::Table { .. })
                && columns.iter().all(|(what, _)| matches!(what, ScanColumn::Attribute(_) | ScanColumn::RowId))
        }
        Rel::Project { .. } | Rel::Sort { .. } => true,
        // A condition stays with the scan, whose path it chooses.
        Rel::Filter { input, predicate } => {
            return conditions_have_form(predicate) && (!matches!(**input, Rel::Scan { .. }) || has_form(input));
        }
        Rel::Join { lateral, .. } => !lateral,
        Rel::Aggregate { input, sets, groupings, aggregates, .. } => {
            // DataFusion drops a sort under a grouping.
            let sorted = is_sorted(input) && aggregates.iter().any(|(_, call)| hangs_on_order(call));
            !sorted
                && sets.is_none()
                && groupings.is_empty()
                && aggregates.iter().all(|(_, call)| aggregate_has_form(call))
        }
        Rel::Distinct { input, on } => {
            !on.is_empty()
                && on.iter().all(|on| matches!(on.kind, ExprKind::Column(_)))
                && !matches!(**input, Rel::Sort { .. })
        }
        Rel::Limit { ties, .. } => ties.is_none(),
        Rel::SetOp { op: SetOpKind::Union, columns, .. } => !columns.is_empty() && reads_table(rel),
        Rel::SetOp { all, columns, .. } => !columns.is_empty() && !all,
        Rel::Values { .. }
        | Rel::Functions { .. }
        | Rel::CteScan { .. }
        | Rel::Working { .. }
        | Rel::ProjectSet { .. }
        | Rel::LockRows { .. } => false,
        Rel::Window { input, order, calls, .. } => {
            // Nor does it keep one under a window without an order of its own.
            let sorted = is_sorted(input) && order.is_empty();
            !sorted && calls.iter().all(|(_, call)| window_has_form(call))
        }
    };
    let mut exprs = true;
    for_exprs(rel, &mut |expr| exprs = exprs && expr_has_form(expr));
    own && exprs
}

/// Whether a relation reads a stored table. A union of what does not has few rows, and on the row road its arms give them in
/// turn; on the other they overtake each other.
fn reads_table(rel: &Rel) -> bool {
    let mut found = false;
    for_rels(rel, &mut |part| {
        found |= matches!(part, Rel::Scan { relation, .. } if matches!(relation.body, Body::Table { .. }))
    });
    found
}

/// Gives `take` the largest parts of a relation that have no form on the vector road; the relation's own operator has one.
fn cut_formless(rel: &mut Rel, take: &mut dyn FnMut(&mut Rel)) {
    let mut below = |rel: &mut Rel| if has_form(rel) { cut_formless(rel, take) } else { take(rel) };
    if let Rel::Filter { predicate, .. } = rel {
        for_memberships(predicate, &mut below);
    }
    visit::rel_inputs(rel).into_iter().for_each(below);
}

/// Calls `visit` for the subqueries among a filter's conjuncts that are joined.
fn for_memberships(expr: &mut Expr, visit: &mut dyn FnMut(&mut Rel)) {
    match &mut expr.kind {
        ExprKind::And(args) => args.iter_mut().for_each(|arg| for_memberships(arg, visit)),
        ExprKind::Not(inner) => for_memberships(inner, visit),
        ExprKind::Subquery(subquery) if matches!(subquery.kind, SubqueryKind::Quantified { .. }) => {
            visit(&mut subquery.rel);
        }
        _ => {}
    }
}

/// What of a relation is computed ahead of rows that may never be asked for: below no operator that reads all rows before it
/// gives one. There no error may be raised that a row road which stops earlier would not meet.
#[derive(Default)]
struct Ahead {
    /// The parts without a form.
    parts: HashSet<CteId>,
    /// A window there may raise an error.
    raises: bool,
}

impl Ahead {
    fn look(&mut self, rel: &Rel, ahead: bool) {
        let below = match rel {
            Rel::CteScan { cte, .. } if ahead => {
                self.parts.insert(*cte);
                true
            }
            Rel::Window { calls, .. } => {
                self.raises |= ahead && calls.iter().any(|(_, call)| vector::window_may_raise(call));
                false
            }
            Rel::Join { left, right, .. } => {
                self.look(left, ahead);
                return self.look(right, false);
            }
            Rel::Aggregate { .. } | Rel::Sort { .. } | Rel::Distinct { .. } => false,
            Rel::SetOp { op: SetOpKind::Union, all: true, .. } => ahead,
            Rel::SetOp { .. } => false,
            Rel::Limit { .. } => true,
            _ => ahead,
        };
        inputs(rel).into_iter().for_each(|input| self.look(input, below));
    }
}

fn has_locks(rel: &Rel) -> bool {
    let mut locks = false;
    for_rels(rel, &mut |part| locks |= matches!(part, Rel::LockRows { .. }));
    locks
}

/// Whether a relation calls what has effects, or gives another value at each call.
fn has_effects(rel: &Rel) -> bool {
    fn in_expr(expr: &Expr) -> bool {
        let mut effects = match &expr.kind {
            ExprKind::Call(call) => call.function.volatility == Volatility::Volatile,
            ExprKind::NextValue(_) => true,
            _ => false,
        };
        for_parts(expr, &mut |part| effects = effects || in_expr(part));
        effects
    }
    let mut effects = false;
    for_rels(rel, &mut |part| for_exprs(part, &mut |expr| effects = effects || in_expr(expr)));
    effects
}

/// Whether a relation may end in an error of the data.
fn rel_may_raise(rel: &Rel) -> bool {
    let mut raises = false;
    for_rels(rel, &mut |part| {
        raises |= matches!(
            part,
            Rel::Aggregate { .. }
                | Rel::Window { .. }
                | Rel::Functions { .. }
                | Rel::ProjectSet { .. }
                | Rel::CteScan { .. }
                | Rel::Limit { .. }
        );
        for_exprs(part, &mut |expr| raises = raises || can_raise(expr));
    });
    raises
}

/// Direct arguments are evaluated once, before any row.
fn aggregate_has_form(call: &AggregateCall) -> bool {
    let args: Vec<Type> = match call.args.is_empty() {
        true => call.order.iter().map(|key| key.expr.ty).collect(),
        false => call.args.iter().map(|arg| arg.ty).collect(),
    };
    call.direct.iter().all(|expr| matches!(expr.kind, ExprKind::Const(_) | ExprKind::Param(_)))
        && aggregate(call.name, &args).is_some()
}

/// Frame offsets are evaluated once, before any row.
fn window_has_form(call: &WindowCall) -> bool {
    let args: Vec<Type> = call.args.iter().map(|arg| arg.ty).collect();
    let fixed = |bound: &FrameBound| match bound {
        FrameBound::Preceding(offset) | FrameBound::Following(offset) => {
            let mut used = ColumnSet::new();
            used_by(offset, &mut used);
            used.is_empty()
        }
        _ => true,
    };
    (!call.aggregate || aggregate(call.name, &args).is_some()) && fixed(&call.frame.start) && fixed(&call.frame.end)
}

/// Conjuncts may be memberships in subqueries; anywhere else those have no form.
fn conditions_have_form(predicate: &Expr) -> bool {
    let conjuncts: &[Expr] = match &predicate.kind {
        ExprKind::And(args) => args,
        _ => std::slice::from_ref(predicate),
    };
    conjuncts.iter().all(|conjunct| {
        let inner = match &conjunct.kind {
            ExprKind::Not(inner) => inner,
            _ => conjunct,
        };
        match &inner.kind {
            ExprKind::Subquery(subquery) if matches!(subquery.kind, SubqueryKind::Quantified { .. }) => {
                free_columns(&subquery.rel).is_empty()
            }
            ExprKind::And(_) => conditions_have_form(inner),
            _ => expr_has_form(conjunct),
        }
    })
}

fn expr_has_form(expr: &Expr) -> bool {
    let mut fits = match &expr.kind {
        ExprKind::Subquery(subquery) => {
            !matches!(subquery.kind, SubqueryKind::Quantified { .. }) && free_columns(&subquery.rel).is_empty()
        }
        _ => !is_volatile(expr),
    };
    for_parts(expr, &mut |part| fits = fits && expr_has_form(part));
    fits
}

/// Gives `take` every subquery of a relation that is one value.
fn extract(rel: &mut Rel, take: &mut dyn FnMut(&mut Expr)) {
    fn in_expr(expr: &mut Expr, take: &mut dyn FnMut(&mut Expr)) {
        if let ExprKind::Subquery(subquery) = &mut expr.kind {
            match subquery.kind {
                SubqueryKind::Quantified { .. } => extract(&mut subquery.rel, take),
                _ => return take(expr),
            }
        }
        visit::expr_parts(expr, &mut |part| in_expr(part, take));
    }
    visit::rel_exprs(rel, &mut |expr| in_expr(expr, take));
    for input in visit::rel_inputs(rel) {
        extract(input, take);
    }
}
