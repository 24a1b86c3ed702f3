//! How many rows: what ANALYZE has found, applied to conditions, by PostgreSQL's rules (`selfuncs.c`).
//!
//! Columns without statistics have PostgreSQL's defaults: 200 distinct values, a third of the rows within an open range, a
//! two-hundredth within a closed one. A value that is not known when the plan is made (a column of another table, a parameter
//! where the plan is kept for all values) counts as an average one.

use super::columns::conjuncts;
use super::columns::{ColumnSet, for_rels, free_columns, source, used_by};
use crate::catalog::image::{ColumnStatistics, Relation, TableStatistics};
use crate::executor::row::expr::operator_of;
use crate::executor::row::plan::Sizes;
use crate::executor::row::prefix;
use crate::sql::tree::{
    Call, ColumnId, CteBody, CteId, Expr, ExprKind, IndexDefinition, JoinKind, Rel, RowOp, ScanColumn, SetOpKind,
    Statement,
};
use crate::sql::visit;
use crate::types::{Datum, Oid, Type, compare};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Rows of a table that was never analysed and cannot be asked.
const UNKNOWN_ROWS: f64 = 1000.0;
/// Distinct values of a column that nothing is known of.
const DISTINCT: f64 = 200.0;
/// Of an open range.
const OPEN_RANGE: f64 = 1.0 / 3.0;
/// Of a range with two ends.
const CLOSED_RANGE: f64 = 0.005;
/// Of a pattern.
const MATCH: f64 = 0.005;
/// Of what nothing is known of.
const UNKNOWN: f64 = 1.0 / 3.0;
/// Rows of a function.
const FUNCTION_ROWS: f64 = 100.0;
/// How many times as many rows as its seed a recursive part is thought to have.
const RECURSION_ROUNDS: f64 = 10.0;
/// Items of a known array that are looked at.
const ITEMS_MAX: usize = 100;
/// Items of an array that is not known.
const ARRAY_ITEMS: f64 = 10.0;

/// What is known of a table when a statement is planned.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its rows.
    pub rows: f64,
    /// What ANALYZE has found.
    pub statistics: Option<Arc<TableStatistics>>,
}

/// A statement's columns and what is known of them.
#[derive(Clone, Debug, Default)]
pub struct Estimator {
    /// Of the statement's scans.
    pub(super) definitions: Arc<HashMap<Oid, IndexDefinition>>,
    origins: HashMap<ColumnId, (Arc<Relation>, i16)>,
    /// Columns that are others by another number.
    aliases: HashMap<ColumnId, ColumnId>,
    statistics: HashMap<Oid, Arc<TableStatistics>>,
    /// WITH parts that name columns of an outer query.
    correlated: HashSet<CteId>,
    /// The rows of WITH parts.
    parts: HashMap<CteId, f64>,
    /// The parameters' values, where the plan is for these.
    values: Arc<[Datum]>,
}

/// One column of a table with what is known of it.
struct Known<'s> {
    relation: &'s Relation,
    attribute: i16,
    ty: Type,
    statistics: Option<&'s ColumnStatistics>,
}

/// The rows of a table as last counted, or a guess.
pub(super) fn table_rows(relation: &Relation) -> f64 {
    if relation.row_estimate < 0.0 { UNKNOWN_ROWS } else { relation.row_estimate.max(1.0) }
}

impl Sizes for Estimator {
    fn rows(&self, rel: &Rel) -> f64 {
        Estimator::rows(self, rel)
    }

    fn most_rows(&self, rel: &Rel) -> f64 {
        visit::deeper(|| match rel {
            Rel::Scan { .. } | Rel::Values { .. } => self.rows(rel),
            Rel::Project { input, .. } | Rel::Filter { input, .. } | Rel::Sort { input, .. } => self.most_rows(input),
            Rel::Window { input, .. } | Rel::Distinct { input, .. } => self.most_rows(input),
            Rel::Aggregate { input, keys, sets: None, .. } => {
                let rows = self.most_rows(input);
                keys.iter().fold(1.0, |groups: f64, (_, key)| groups * self.distinct(key, rows)).min(rows)
            }
            Rel::Join { kind: JoinKind::Semi | JoinKind::Anti, left, .. } => self.most_rows(left),
            Rel::Join { kind: kind @ (JoinKind::Inner | JoinKind::Left), left, right, on, .. } => {
                let on = conjuncts(on);
                if self.is_one_row(right, &on) {
                    self.most_rows(left)
                } else if *kind == JoinKind::Inner && self.is_one_row(left, &on) {
                    self.most_rows(right)
                } else {
                    f64::INFINITY
                }
            }
            _ => f64::INFINITY,
        })
    }

    fn distinct(&self, values: &[&Expr], rows: f64) -> f64 {
        self.groups(values, rows)
    }
}

impl Estimator {
    /// Of a statement whose scans already know their tables' rows; `values`: of its parameters, as far as they are known.
    pub(super) fn new(
        statement: &mut Statement,
        statistics: HashMap<Oid, Arc<TableStatistics>>,
        values: Arc<[Datum]>,
    ) -> Estimator {
        let definitions = statement.index_definitions.clone();
        let mut estimator = Estimator { definitions, statistics, values, ..Estimator::default() };
        for cte in &statement.ctes {
            let correlated = match &cte.body {
                CteBody::Query(rel) => estimator.hangs_on_outer(rel),
                CteBody::Recursive { seed, step, .. } => {
                    estimator.hangs_on_outer(seed) || estimator.hangs_on_outer(step)
                }
                CteBody::Write(_) => false,
            };
            if correlated {
                estimator.correlated.insert(cte.id);
            }
        }
        let parts: Vec<Vec<ColumnId>> = statement.ctes.iter().map(|cte| cte.columns.clone()).collect();
        visit::top_rels(statement, &mut |rel| {
            visit::all_rels(rel, &mut |rel| match rel {
                Rel::Scan { relation, columns } => {
                    for (what, column) in columns {
                        if let ScanColumn::Attribute(number) = what {
                            estimator.origins.insert(*column, (relation.clone(), *number));
                        }
                    }
                }
                Rel::Project { exprs, .. } | Rel::Aggregate { keys: exprs, .. } => {
                    for (column, expr) in exprs {
                        if let ExprKind::Column(other) = expr.kind {
                            estimator.aliases.insert(*column, other);
                        }
                    }
                }
                Rel::CteScan { cte, columns, correlated } => {
                    *correlated = estimator.correlated.contains(cte);
                    let of = parts.get(cte.0 as usize).into_iter().flatten();
                    estimator.aliases.extend(columns.iter().copied().zip(of.copied()));
                }
                _ => {}
            });
        });
        for cte in &statement.ctes {
            let rows = match &cte.body {
                CteBody::Query(rel) => estimator.rows(rel),
                CteBody::Recursive { seed, .. } => estimator.rows(seed) * RECURSION_ROUNDS,
                CteBody::Write(root) => estimator.rows(source(root)),
            };
            estimator.parts.insert(cte.id, rows);
        }
        estimator
    }

    /// With the rows of further WITH parts.
    pub(super) fn with_parts(&self, parts: impl Iterator<Item = (CteId, f64)>) -> Estimator {
        let mut estimator = self.clone();
        estimator.parts.extend(parts);
        estimator
    }

    fn hangs_on_outer(&self, rel: &Rel) -> bool {
        !free_columns(rel).is_empty() || self.scans_correlated(rel)
    }

    /// Whether a relation scans a WITH part that names columns of an outer query: columns that it does not name itself.
    fn scans_correlated(&self, rel: &Rel) -> bool {
        let mut found = false;
        for_rels(rel, &mut |part| found |= matches!(part, Rel::CteScan { cte, .. } if self.correlated.contains(cte)));
        found
    }

    /// Whether a WITH part names columns of an outer query.
    pub(super) fn is_correlated(&self, cte: CteId) -> bool {
        self.correlated.contains(&cte)
    }

    /// Whether ANALYZE has seen a table.
    pub(super) fn has_statistics(&self, relation: &Relation) -> bool {
        self.statistics.contains_key(&relation.oid)
    }

    /// The table's column that an expression is.
    fn known(&self, expr: &Expr) -> Option<Known<'_>> {
        let mut column = match &expr.kind {
            ExprKind::Column(column) => *column,
            ExprKind::Relabel(inner) => return self.known(inner),
            _ => return None,
        };
        // A chain of names is short; one that is not is no chain.
        for _ in 0..16 {
            if let Some((relation, attribute)) = self.origins.get(&column) {
                let statistics = self.statistics.get(&relation.oid).and_then(|table| table.columns.get(attribute));
                let ty = relation.attributes.get(*attribute as usize - 1)?.ty;
                return Some(Known { relation, attribute: *attribute, ty, statistics });
            }
            column = *self.aliases.get(&column)?;
        }
        None
    }

    /// The value that an expression is known to have.
    fn value<'e>(&'e self, expr: &'e Expr) -> Option<&'e Datum> {
        match &expr.kind {
            ExprKind::Const(value) => Some(value),
            ExprKind::Param(number) => self.values.get(*number),
            _ => None,
        }
    }

    /// Distinct values of an expression over `rows` rows.
    pub(super) fn distinct(&self, expr: &Expr, rows: f64) -> f64 {
        let distinct = match self.known(expr) {
            Some(known) => known.distinct(),
            None => match &expr.kind {
                ExprKind::Const(_) | ExprKind::Param(_) => 1.0,
                _ => DISTINCT,
            },
        };
        distinct.min(rows).max(1.0)
    }

    /// The part of the rows for which all of these conditions hold.
    pub(super) fn all(&self, conditions: &[&Expr]) -> f64 {
        let mut part = 1.0;
        let mut ranges: Vec<(&Expr, Option<f64>, Option<f64>)> = Vec::new();
        for condition in conditions {
            // The two ends of a range over one column belong together.
            if let Some((operand, op, value)) = self.sides(condition)
                && matches!(op, RowOp::Lt | RowOp::Le | RowOp::Gt | RowOp::Ge)
                && self.known(operand).is_some()
            {
                let end = self.comparison(operand, op, value);
                let same = |(other, ..): &&mut (&Expr, Option<f64>, Option<f64>)| same_column(other, operand);
                let range = match ranges.iter_mut().find(same) {
                    Some(range) => range,
                    None => {
                        ranges.push((operand, None, None));
                        let last = ranges.len() - 1;
                        &mut ranges[last]
                    }
                };
                let side = if matches!(op, RowOp::Lt | RowOp::Le) { &mut range.2 } else { &mut range.1 };
                *side = Some(side.map_or(end, |other: f64| other.min(end)));
                continue;
            }
            part *= self.selectivity(condition);
        }
        for (operand, lower, upper) in ranges {
            part *= match (lower, upper) {
                (Some(lower), Some(upper)) => {
                    let nulls = self.known(operand).map_or(0.0, |known| known.nulls());
                    let both = lower + upper - (1.0 - nulls);
                    let guessed = |end: f64| (end - OPEN_RANGE).abs() < 1e-9;
                    if guessed(lower) || guessed(upper) || both <= 0.0 { CLOSED_RANGE } else { both }
                }
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => 1.0,
            };
        }
        part.clamp(1e-10, 1.0)
    }

    /// As [`Estimator::all`], of one condition.
    pub(super) fn selectivity(&self, condition: &Expr) -> f64 {
        visit::deeper(|| self.selectivity_of(condition)).clamp(1e-10, 1.0)
    }

    fn selectivity_of(&self, condition: &Expr) -> f64 {
        match &condition.kind {
            ExprKind::Const(_) | ExprKind::Param(_) => match self.value(condition) {
                Some(Datum::Bool(true)) => 1.0,
                Some(_) => 0.0,
                None => 0.5,
            },
            ExprKind::And(parts) => self.all(&parts.iter().collect::<Vec<_>>()),
            ExprKind::Or(parts) => parts.iter().fold(0.0, |sum: f64, part| {
                let part = self.selectivity(part);
                sum + part - sum * part
            }),
            ExprKind::Not(part) => 1.0 - self.selectivity(part),
            ExprKind::IsNull(arg) => self.known(arg).map_or(CLOSED_RANGE, |known| known.nulls_or(CLOSED_RANGE)),
            ExprKind::IsNotNull(arg) => {
                1.0 - self.known(arg).map_or(CLOSED_RANGE, |known| known.nulls_or(CLOSED_RANGE))
            }
            ExprKind::Column(_) => self.known(condition).map_or(0.5, |known| {
                let truth = Datum::Bool(true);
                if known.statistics.is_some() { known.equal(&truth) } else { 0.5 }
            }),
            ExprKind::IsDistinct { left, right, negated, .. } => {
                let equal = match (self.known(left), self.value(right)) {
                    (Some(known), Some(Datum::Null)) => known.nulls_or(CLOSED_RANGE),
                    _ => self.equal(left, right),
                };
                if *negated { equal } else { 1.0 - equal }
            }
            ExprKind::ArrayComparison { left, array, all, compare } => {
                self.any(left, array, *all, operator_of(compare))
            }
            ExprKind::RowComparison { op, left, right, .. } => match (op, left.first(), right.first()) {
                (RowOp::Eq, ..) => left.iter().zip(right).map(|(left, right)| self.equal(left, right)).product(),
                (_, Some(left), Some(right)) => self.comparison(left, *op, right),
                _ => UNKNOWN,
            },
            ExprKind::Call(Call { function, args }) => match (self.sides(condition), &args[..]) {
                (Some((operand, op, value)), _) => self.comparison(operand, op, value),
                (None, [left, pattern]) => match prefix::Kind::of(function) {
                    Some(kind) => self.matching(left, kind, pattern),
                    None if function.symbol.ends_with("nlike") => 1.0 - MATCH,
                    None if function.symbol.ends_with("like") || function.symbol.contains("regex") => MATCH,
                    None => UNKNOWN,
                },
                _ => UNKNOWN,
            },
            _ => 0.5,
        }
    }

    /// A comparison as a column's with something else: the side that is a table's column comes first.
    fn sides<'e>(&self, condition: &'e Expr) -> Option<(&'e Expr, RowOp, &'e Expr)> {
        let ExprKind::Call(Call { function, args }) = &condition.kind else { return None };
        let (op, [left, right]) = (operator_of(function)?, &args[..]) else { return None };
        let swapped = self.known(left).is_none() && self.known(right).is_some();
        Some(if swapped { (right, op.mirrored(), left) } else { (left, op, right) })
    }

    fn equal(&self, left: &Expr, right: &Expr) -> f64 {
        match (self.known(left), self.known(right)) {
            (Some(left), Some(right)) => {
                (1.0 - left.nulls()) * (1.0 - right.nulls()) / left.distinct().max(right.distinct()).max(1.0)
            }
            (Some(known), None) => self.value(right).map_or_else(|| known.average(), |value| known.equal(value)),
            (None, Some(known)) => self.value(left).map_or_else(|| known.average(), |value| known.equal(value)),
            (None, None) => CLOSED_RANGE,
        }
    }

    fn comparison(&self, operand: &Expr, op: RowOp, value: &Expr) -> f64 {
        if matches!(self.value(value), Some(Datum::Null)) {
            return 0.0;
        }
        match op {
            RowOp::Eq => self.equal(operand, value),
            RowOp::Ne => {
                let nulls = self.known(operand).map_or(0.0, |known| known.nulls());
                (1.0 - nulls - self.equal(operand, value)).max(0.0)
            }
            _ => match (self.known(operand), self.value(value)) {
                (Some(known), Some(value)) => known.below(op, value).unwrap_or(OPEN_RANGE),
                _ => OPEN_RANGE,
            },
        }
    }

    fn any(&self, left: &Expr, array: &Expr, all: bool, op: Option<RowOp>) -> f64 {
        let known = self.known(left);
        let items: Vec<f64> = match (self.value(array), &known, &array.kind) {
            (Some(Datum::Array(array)), Some(known), _) => {
                // Some of very many stand for all.
                let step = array.items.len().div_ceil(ITEMS_MAX).max(1);
                let every = array.items.iter().step_by(step);
                every.map(|item| known.equal(item) * step as f64).collect()
            }
            (Some(Datum::Array(array)), None, _) => vec![CLOSED_RANGE; array.items.len()],
            (Some(_), ..) => return 0.0,
            (None, _, ExprKind::ArrayOf { items, .. }) => items.iter().map(|item| self.equal(left, item)).collect(),
            _ => vec![known.map_or(CLOSED_RANGE, |known| known.average()); ARRAY_ITEMS as usize],
        };
        match (op, all) {
            (Some(RowOp::Eq), false) => items.iter().sum::<f64>().min(1.0),
            (Some(RowOp::Ne), true) => (1.0 - items.iter().sum::<f64>()).max(0.0),
            _ => UNKNOWN,
        }
    }

    /// LIKE and its like: the range of the fixed part, and a little for the rest.
    fn matching(&self, left: &Expr, kind: prefix::Kind, pattern: &Expr) -> f64 {
        let Some(Datum::Text(pattern)) = self.value(pattern) else { return MATCH };
        let found = prefix::of(kind, pattern);
        let Some(known) = self.known(left).filter(|known| known.statistics.is_some()) else { return MATCH };
        if found.exact {
            return known.equal(&Datum::Text(found.text.as_str().into()));
        }
        let rest = if found.rest { 0.2 } else { 1.0 };
        if found.text.is_empty() {
            return rest;
        }
        let lower = known.below(RowOp::Ge, &Datum::Text(found.text.as_str().into())).unwrap_or(OPEN_RANGE);
        let upper = match prefix::end(&found.text) {
            Some(end) => known.below(RowOp::Lt, &Datum::Text(end.into())).unwrap_or(OPEN_RANGE),
            None => 1.0,
        };
        (lower + upper - (1.0 - known.nulls())).max(known.average()) * rest
    }

    /// The rows that a relation gives.
    pub(super) fn rows(&self, rel: &Rel) -> f64 {
        visit::deeper(|| self.rows_of(rel)).max(1.0)
    }

    fn rows_of(&self, rel: &Rel) -> f64 {
        match rel {
            Rel::Scan { relation, .. } => match relation.body {
                crate::catalog::image::Body::System(_) => 300.0,
                _ => table_rows(relation),
            },
            Rel::Values { rows, .. } => rows.len() as f64,
            Rel::CteScan { cte, .. } => self.parts.get(cte).copied().unwrap_or(FUNCTION_ROWS),
            Rel::Functions { .. } | Rel::Working { .. } => FUNCTION_ROWS,
            Rel::Filter { input, predicate } => {
                let conditions = conjuncts(predicate);
                if let Rel::Scan { relation, columns } = &**input
                    && super::access::is_one_row(self, relation, columns, &conditions)
                {
                    return 1.0;
                }
                self.rows(input) * self.all(&conditions)
            }
            Rel::Project { input, .. } | Rel::Sort { input, .. } | Rel::Window { input, .. } => self.rows(input),
            Rel::LockRows { input, .. } => self.rows(input),
            Rel::ProjectSet { input, .. } => self.rows(input) * FUNCTION_ROWS,
            Rel::Join { kind, left, right, on, .. } => {
                self.join_rows(*kind, self.rows(left), self.rows(right), &conjuncts(on))
            }
            Rel::Aggregate { input, keys, .. } => {
                self.groups(&keys.iter().map(|(_, key)| key).collect::<Vec<_>>(), self.rows(input))
            }
            Rel::Distinct { input, on } => self.groups(&on.iter().collect::<Vec<_>>(), self.rows(input)),
            Rel::Limit { input, limit, .. } => match limit.as_ref().and_then(constant_count) {
                Some(count) => self.rows(input).min(count),
                None if limit.is_some() => self.rows(input) * 0.1,
                None => self.rows(input),
            },
            Rel::SetOp { op, left, right, .. } => match op {
                SetOpKind::Union => self.rows(left) + self.rows(right),
                SetOpKind::Intersect => self.rows(left).min(self.rows(right)),
                SetOpKind::Except => self.rows(left),
            },
        }
    }

    /// Whether conditions leave at most one row of a relation, by a unique key of its table.
    fn is_one_row(&self, rel: &Rel, conditions: &[&Expr]) -> bool {
        match rel {
            Rel::Project { input, .. } | Rel::Filter { input, .. } => self.is_one_row(input, conditions),
            Rel::Scan { relation, columns } => super::access::is_one_row(self, relation, columns, conditions),
            _ => false,
        }
    }

    /// The rows of a join under these conditions.
    pub(super) fn join_rows(&self, kind: JoinKind, left: f64, right: f64, on: &[&Expr]) -> f64 {
        let matched = right * self.all(on);
        let rows = match kind {
            JoinKind::Inner => left * matched,
            JoinKind::Left => left * matched.max(1.0),
            JoinKind::Right => right * (left * self.all(on)).max(1.0),
            JoinKind::Full => (left * matched).max(left).max(right),
            JoinKind::Semi => left * matched.min(1.0),
            JoinKind::Anti => left * (1.0 - matched.min(1.0)).max(0.1),
        };
        rows.max(1.0)
    }

    /// The groups that `rows` rows make.
    pub(super) fn groups(&self, keys: &[&Expr], rows: f64) -> f64 {
        let product = keys.iter().fold(1.0, |product: f64, key| product * self.distinct(key, rows));
        // Several columns are seldom independent.
        let most = if keys.len() > 1 { (rows * 0.1).max(1.0) } else { rows };
        product.min(most.max(keys.iter().map(|key| self.distinct(key, rows)).fold(1.0, f64::max))).max(1.0)
    }

    /// Whether some value of a column is so common that an index over it may be no help.
    pub(super) fn is_skewed(&self, expr: &Expr) -> bool {
        self.known(expr).and_then(|known| known.statistics).is_some_and(|statistics| {
            statistics.common.first().is_some_and(|(_, part)| *part > 0.1) || statistics.null_fraction > 0.1
        })
    }
}

/// The number that a LIMIT is.
pub(super) fn constant_count(limit: &Expr) -> Option<f64> {
    match limit.kind {
        ExprKind::Const(Datum::Int8(count)) => Some(count.max(0) as f64),
        _ => None,
    }
}

fn same_column(a: &Expr, b: &Expr) -> bool {
    let (mut in_a, mut in_b) = (ColumnSet::new(), ColumnSet::new());
    used_by(a, &mut in_a);
    used_by(b, &mut in_b);
    in_a == in_b
}

impl Known<'_> {
    fn nulls(&self) -> f64 {
        self.nulls_or(0.0)
    }

    fn nulls_or(&self, unknown: f64) -> f64 {
        let not_null = self.relation.attributes[self.attribute as usize - 1].not_null;
        match self.statistics {
            _ if not_null => 0.0,
            Some(statistics) => f64::from(statistics.null_fraction),
            None => unknown,
        }
    }

    fn distinct(&self) -> f64 {
        let rows = table_rows(self.relation);
        let unique = |index: &Arc<crate::catalog::image::Index>| {
            index.unique
                && index.predicate.is_none()
                && matches!(&index.keys[..], [key] if key.attribute == self.attribute)
        };
        if self.relation.indexes.iter().any(unique) {
            return rows;
        }
        let distinct = match self.statistics.map(|statistics| f64::from(statistics.distinct)) {
            Some(distinct) if distinct > 0.0 => distinct,
            Some(distinct) if distinct < 0.0 => -distinct * rows,
            _ if self.ty.oid == crate::types::oid::BOOL => 2.0,
            _ => DISTINCT,
        };
        distinct.min(rows).max(1.0)
    }

    /// The part of rows that have an average value.
    fn average(&self) -> f64 {
        (1.0 - self.nulls()) / self.distinct()
    }

    /// The part of rows that have this value.
    fn equal(&self, value: &Datum) -> f64 {
        if value.is_null() {
            return 0.0;
        }
        let Some(statistics) = self.statistics else { return self.average() };
        let values = statistics.values(self.ty);
        let mut listed = 0.0;
        for (common, part) in &values.common {
            if order(common, value) == Some(Ordering::Equal) {
                return f64::from(*part);
            }
            listed += f64::from(*part);
        }
        let others = (self.distinct() - values.common.len() as f64).max(1.0);
        let least = values.common.last().map_or(1.0, |(_, part)| f64::from(*part));
        ((1.0 - listed - self.nulls()) / others).clamp(0.0, least)
    }

    /// The part of rows whose value is less (or greater) than one.
    fn below(&self, op: RowOp, value: &Datum) -> Option<f64> {
        let values = self.statistics?.values(self.ty);
        if values.common.is_empty() && values.histogram.is_empty() {
            return None;
        }
        let less = matches!(op, RowOp::Lt | RowOp::Le);
        let (mut part, mut listed) = (0.0, 0.0);
        for (common, share) in &values.common {
            listed += f64::from(*share);
            let holds = match order(common, value)? {
                Ordering::Less => less,
                Ordering::Greater => !less,
                Ordering::Equal => matches!(op, RowOp::Le | RowOp::Ge),
            };
            part += if holds { f64::from(*share) } else { 0.0 };
        }
        if values.histogram.len() > 1 {
            let place = place(&values.histogram, value)?;
            let rest = (1.0 - listed - self.nulls()).max(0.0);
            part += rest * if less { place } else { 1.0 - place };
        }
        Some(part.clamp(0.0, 1.0))
    }
}

/// The part of a histogram that lies below a value.
fn place(histogram: &[Datum], value: &Datum) -> Option<f64> {
    order(histogram.first()?, value)?;
    let below = histogram.partition_point(|bound| order(bound, value) == Some(Ordering::Less));
    let buckets = (histogram.len() - 1) as f64;
    if below == 0 {
        return Some(0.0);
    }
    if below == histogram.len() {
        return Some(1.0);
    }
    let (low, high) = (&histogram[below - 1], &histogram[below]);
    let within = match (number(low), number(high), number(value)) {
        (Some(low), Some(high), Some(value)) if high > low && (high - low).is_finite() && value.is_finite() => {
            ((value - low) / (high - low)).clamp(0.0, 1.0)
        }
        _ => 0.5,
    };
    Some((below as f64 - 1.0 + within) / buckets)
}

/// A value on a scale, for the place between two others.
fn number(value: &Datum) -> Option<f64> {
    match value {
        Datum::Int2(v) => Some(f64::from(*v)),
        Datum::Int4(v) | Datum::Date(v) => Some(f64::from(*v)),
        Datum::Int8(v) | Datum::Timestamp(v) | Datum::TimestampTz(v) | Datum::Time(v) => Some(*v as f64),
        Datum::Float4(v) => Some(f64::from(*v)),
        Datum::Float8(v) => Some(*v),
        Datum::Numeric(v) => Some(v.to_f64()),
        _ => None,
    }
}

/// The order of two values, integers of all widths being one type, and texts with and without blanks at their end.
fn order(a: &Datum, b: &Datum) -> Option<Ordering> {
    let integer = |value: &Datum| match value {
        Datum::Int2(v) => Some(i64::from(*v)),
        Datum::Int4(v) => Some(i64::from(*v)),
        Datum::Int8(v) => Some(*v),
        _ => None,
    };
    if let (Some(a), Some(b)) = (integer(a), integer(b)) {
        return Some(a.cmp(&b));
    }
    let is_text = |value: &Datum| matches!(value, Datum::Text(_) | Datum::Padded(_));
    let alike = std::mem::discriminant(a) == std::mem::discriminant(b) || is_text(a) && is_text(b);
    let comparable = !a.is_null() && !b.is_null() && alike;
    comparable.then(|| compare::compare(a, b))
}
