//! The choice of the road: which relations of a statement are given to the vector road.
//!
//! A relation goes there as a whole, the largest that can: it scans stored tables, names no outer column, calls nothing
//! volatile, locks no rows, and its operators have a form there. What is above it stays on the row road, over its rows.
//! The estimate of what the row road would have to scan decides; `lightning.road` overrules it.

use super::columns::{ColumnSet, for_exprs, for_parts, for_rels, free_columns, inputs, is_volatile, rel_is_volatile};
use super::physical::Planner;
use crate::catalog::image::Body;
use crate::error::Result;
use crate::executor::functions::aggregate::aggregate;
use crate::executor::row::plan::{Kind, Node, Road, VectorPlan};
use crate::executor::vector::hangs_on_order;
use crate::sql::tree::{AggregateCall, Expr, ExprKind, Rel, ScanColumn, SetOpKind, SubqueryKind};
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
        if road == RoadChoice::Auto && self.scanned_rows - scanned < VECTOR_ROWS {
            return Ok(Some(row));
        }
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
        let mut node = self.node(Kind::Road(Arc::new(Road { row, vector, inputs })));
        node.estimate = estimate;
        Ok(Some(node))
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
