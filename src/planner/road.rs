//! The choice of the road: which relations of a statement are given to the vector road.
//!
//! A relation goes there as a whole, the largest that can: it scans stored tables, names no outer column, calls nothing
//! volatile, locks no rows, and its operators have a form there. What is above it stays on the row road, over its rows.
//! The estimate of what the row road would have to scan decides; `lightning.road` overrules it. What is thought small and may
//! turn out large has both plans too, and begins on the row road.

use super::columns::{ColumnSet, for_exprs, for_parts, for_rels, free_columns, inputs, is_volatile, rel_is_volatile};
use super::physical::Planner;
use crate::catalog::image::Body;
use crate::error::Result;
use crate::executor::functions::aggregate::aggregate;
use crate::executor::row::plan::{Kind, Node, Road, RowReason, VectorPlan};
use crate::executor::vector::hangs_on_order;
use crate::sql::tree::{AggregateCall, Expr, ExprKind, Rel, Root, ScanColumn, SetOpKind, SubqueryKind};
use crate::sql::visit;
use crate::types::Type;
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
        if self.road == RoadChoice::Row || !is_start(rel) || !self.fits(rel) {
            return Ok(None);
        }
        let road = std::mem::replace(&mut self.road, RoadChoice::Row);
        let scanned = self.scanned_rows;
        let row = self.rel_inner(rel, needed);
        self.road = road;
        let row = row?;
        let reads = self.scanned_rows - scanned;
        let row_first = road == RoadChoice::Auto && reads < VECTOR_ROWS;
        if row_first && !may_grow(&row) {
            return Ok(Some(row));
        }
        self.vectors += usize::from(!row_first);
        let mut relation = rel.clone();
        let mut inputs = Vec::new();
        let first = self.statement.params.len();
        self.road = road;
        extract(&mut relation, &mut |expr| {
            let number = first + inputs.len();
            let ty = expr.ty;
            let subquery = std::mem::replace(expr, Expr { kind: ExprKind::Param(number), ty });
            inputs.push(subquery);
        });
        let inputs = self.exprs(&inputs)?;
        let mut produced = ColumnSet::new();
        super::columns::produced_in(rel, &mut produced);
        let vector = VectorPlan {
            rel: relation,
            columns: produced.iter().filter(|column| needed.contains(*column)).collect(),
            types: self.statement.columns.clone().into(),
            slots: self.slots,
            params: first + inputs.len(),
        };
        let estimate = row.estimate;
        let mut node = self.node(Kind::Road(Arc::new(Road { row, vector, inputs, reads, row_first })));
        node.estimate = estimate;
        Ok(Some(node))
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
        let mut scans = false;
        let mut working = false;
        for_rels(rel, &mut |part| {
            scans |= matches!(part, Rel::Scan { relation, .. } if matches!(relation.body, Body::Table { .. }));
            working |= matches!(part, Rel::Working { .. });
        });
        scans && !working && has_form(rel) && !self.depends(rel) && !rel_is_volatile(rel)
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
        _ => false,
    };
    own || node.inputs().into_iter().any(may_grow)
}

/// What keeps a relation from the vector road: the lowest operator that has no form there.
fn refusal(rel: &Rel) -> &'static str {
    if let Some(input) = inputs(rel).into_iter().find(|input| !has_form(input)) {
        return refusal(input);
    }
    if has_form(rel) {
        return if rel_is_volatile(rel) { "volatile functions" } else { "rows that are given as they are read" };
    }
    match rel {
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
        Rel::Window { .. } => "window functions",
        Rel::LockRows { .. } => "row locks",
        Rel::Filter { .. } | Rel::Join { .. } | Rel::Project { .. } | Rel::Sort { .. } => "such an expression",
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

/// Whether all operators of a relation have a form on the vector road.
fn has_form(rel: &Rel) -> bool {
    let own = match rel {
        Rel::Scan { relation, columns } => {
            matches!(relation.body, Body::Table { .. })
                && columns.iter().all(|(what, _)| matches!(what, ScanColumn::Attribute(_) | ScanColumn::RowId))
        }
        Rel::Project { .. } | Rel::Sort { .. } => true,
        Rel::Filter { predicate, .. } => {
            return conditions_have_form(predicate) && inputs(rel).into_iter().all(has_form);
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
        Rel::SetOp { op, all, columns, .. } => !columns.is_empty() && (*op == SetOpKind::Union || !all),
        Rel::Values { .. }
        | Rel::Functions { .. }
        | Rel::CteScan { .. }
        | Rel::Working { .. }
        | Rel::ProjectSet { .. }
        | Rel::Window { .. }
        | Rel::LockRows { .. } => false,
    };
    let mut exprs = true;
    for_exprs(rel, &mut |expr| exprs = exprs && expr_has_form(expr));
    own && exprs && inputs(rel).into_iter().all(has_form)
}

/// Whether rows come in an order that a subquery asks for.
fn is_sorted(rel: &Rel) -> bool {
    match rel {
        Rel::Sort { .. } => true,
        Rel::Project { input, .. } | Rel::Filter { input, .. } | Rel::Limit { input, .. } => is_sorted(input),
        _ => false,
    }
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
                free_columns(&subquery.rel).is_empty() && has_form(&subquery.rel)
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
