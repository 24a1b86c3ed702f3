//! Scans and joins in the row road's plan: which index, which join method, which side makes the hash table.

use super::access::{self, End, Path};
use super::columns::conjuncts;
use super::columns::{ColumnSet, is_volatile, produced_in, used_by, used_in};
use super::estimate::table_rows;
use super::physical::{Planner, storage_of};
use crate::catalog::builtin;
use crate::catalog::image::{Body, Relation};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::Function;
use crate::executor::row::expr::{Code, operator_of};
use crate::executor::row::plan::{self as p, Kind, Node};
use crate::sql::tree::{Call, ColumnId, Expr, ExprKind, JoinKind, Rel, RowOp, ScanColumn};
use crate::types::{Type, oid};
use lightning_storage::ColumnNo;
use std::sync::Arc;

/// Left rows up to which a system relation is asked by key for each of them.
const SYSTEM_LOOKUPS_MAX: f64 = 1000.0;

impl Planner<'_> {
    /// A scan's columns that are needed; the filter's first.
    pub(super) fn table_columns(
        &mut self,
        relation: &Relation,
        columns: &[(ScanColumn, ColumnId)],
        needed: &ColumnSet,
        conditions: &[&Expr],
    ) -> Result<p::TableColumns> {
        let mut filtered = ColumnSet::new();
        conditions.iter().for_each(|condition| used_by(condition, &mut filtered));
        filtered.union(&self.cte_columns);
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
                ScanColumn::Xmin => {
                    let of = relation.live_attributes().map(|attribute| ColumnNo(attribute.storage)).collect();
                    result.xmin = Some((slot, of));
                }
                ScanColumn::Xmax => return Err(Error::unsupported("system column \"xmax\"")),
            }
        }
        result.filter_columns = first.len();
        first.append(&mut rest);
        result.stored = first;
        Ok(result)
    }

    /// A table's rows for which all `conditions` hold, by the best index that they allow.
    pub(super) fn scan(
        &mut self,
        relation: &Arc<Relation>,
        columns: &[(ScanColumn, ColumnId)],
        needed: &ColumnSet,
        conditions: &[&Expr],
    ) -> Result<Node> {
        self.scans += 1;
        if let Body::System(system) = &relation.body {
            return self.system_scan(relation, &system.keys, columns, needed, conditions);
        }
        let path = access::best_path(self.estimator, relation, columns, conditions);
        if let Some(path) = path.filter(|path| self.is_worth(path, relation)) {
            let wide = path.may_be_wide();
            let mut node = self.index_scan(relation, columns, needed, path)?;
            // How wide a mere range is, only its values tell.
            if wide && let Kind::IndexScan(scan) = &mut node.kind {
                let sequential = Some(self.sequential(relation, columns, needed, conditions)?);
                if let Some(scan) = Arc::get_mut(scan) {
                    scan.sequential = sequential;
                }
            }
            return Ok(node);
        }
        let rows = table_rows(relation);
        self.scanned_rows += rows;
        let scan = self.sequential(relation, columns, needed, conditions)?;
        Ok(self.node_of(Kind::SeqScan(scan), (rows * self.estimator.all(conditions)).max(1.0)))
    }

    /// Whether an index beats reading the whole table, as far as can be told before the values of parameters are known: a range
    /// that turns out to be wide is read sequentially all the same.
    fn is_worth(&self, path: &Path<'_>, relation: &Relation) -> bool {
        path.rows <= 1.0 || path.cost() <= table_rows(relation) || !self.estimator.has_statistics(relation)
    }

    fn sequential(
        &mut self,
        relation: &Arc<Relation>,
        columns: &[(ScanColumn, ColumnId)],
        needed: &ColumnSet,
        conditions: &[&Expr],
    ) -> Result<Arc<p::SeqScan>> {
        let table = storage_of(relation)?;
        let ctid = match wanted_ctid(columns, conditions) {
            Some(value) => Some(self.expr(value)?),
            None => None,
        };
        let columns = self.table_columns(relation, columns, needed, conditions)?;
        let filter = self.all_of(conditions)?;
        Ok(Arc::new(p::SeqScan { relation: relation.clone(), table, columns, ctid, filter }))
    }

    pub(super) fn system_scan(
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
                ScanColumn::RowId | ScanColumn::Ctid | ScanColumn::Xmin | ScanColumn::Xmax => {
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

    pub(super) fn index_scan(
        &mut self,
        relation: &Arc<Relation>,
        columns: &[(ScanColumn, ColumnId)],
        needed: &ColumnSet,
        path: Path<'_>,
    ) -> Result<Node> {
        self.scanned_rows += path.rows;
        let mut end = |end: Option<End<'_>>| -> Result<Option<p::KeyEnd>> {
            let Some(End { values, inclusive }) = end else { return Ok(None) };
            let values = values.iter().map(|value| self.expr(value)).collect::<Result<_>>()?;
            Ok(Some(p::KeyEnd { values, inclusive }))
        };
        let (lower, upper) = (end(path.lower)?, end(path.upper)?);
        let prefix = match path.prefix {
            Some((kind, pattern)) => Some((kind, self.expr(pattern)?)),
            None => None,
        };
        let range = p::KeyRange {
            equals: path.equals.iter().map(|value| self.expr(value)).collect::<Result<_>>()?,
            one_of: path.one_of.map(|array| self.expr(&array)).transpose()?,
            then: path.then.iter().map(|value| self.expr(value)).collect::<Result<_>>()?,
            prefix,
            lower,
            upper,
            is_null: path.is_null,
            not_null: path.not_null,
        };
        let table = storage_of(relation)?;
        let columns = self.table_columns(relation, columns, needed, &path.residual)?;
        let filter = self.all_of(&path.residual)?;
        let rows = (path.rows * self.estimator.all(&path.residual)).max(1.0);
        let scan = p::IndexScan {
            relation: relation.clone(),
            table,
            index: path.index,
            columns,
            range,
            backward: path.backward,
            sequential: None,
            filter,
        };
        Ok(self.node_of(Kind::IndexScan(Arc::new(scan)), rows))
    }

    /// The conjunction of conditions; `None` for none.
    pub(super) fn all_of(&mut self, conditions: &[&Expr]) -> Result<Option<Code>> {
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
    pub(super) fn index_join(
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
        if let Body::System(system) = &relation.body {
            // A generator finds rows by a key in a map: that beats making all of them, unless the left side is long.
            let keyed = access::system_key(relation, &system.keys, columns, &conditions).is_some();
            if !keyed || left.estimate.rows > SYSTEM_LOOKUPS_MAX {
                return Ok(None);
            }
            let mut needed = needed.clone();
            conditions.iter().for_each(|condition| used_by(condition, &mut needed));
            self.scans += 1;
            return self.system_scan(relation, &system.keys, columns, &needed, &conditions).map(Some);
        }
        if !matches!(relation.body, Body::Table { .. }) {
            return Ok(None);
        }
        let estimator = self.estimator;
        let Some(path) = access::best_path(estimator, relation, columns, &conditions) else { return Ok(None) };
        // What the filter alone would read, against a descent and the matching rows for every left row.
        let own: Vec<&Expr> =
            conditions.iter().copied().filter(|c| !conjuncts(on).iter().any(|o| std::ptr::eq(*o, *c))).collect();
        let alone =
            access::best_path(estimator, relation, columns, &own).map_or(table_rows(relation), |path| path.rows);
        let looked_up = left.estimate.rows.max(1.0) * (4.0 + path.rows);
        if path.equals.is_empty() || looked_up > alone + 20.0 {
            return Ok(None);
        }
        let mut needed = needed.clone();
        conditions.iter().for_each(|condition| used_by(condition, &mut needed));
        self.scans += 1;
        self.index_scan(relation, columns, &needed, path).map(Some)
    }

    pub(super) fn join(
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
            let rows = match kind {
                JoinKind::Semi | JoinKind::Anti => rows,
                _ => rows * inner.estimate.rows,
            };
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
            let rows = self.estimator.join_rows(kind, rows, right_node.estimate.rows, &conjuncts(on));
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
        if kind == JoinKind::Full {
            check_full(left, right, on)?;
        }
        let ctes = self.correlated_ctes_in(right);
        let mut inner = self.rel(right, needed)?;
        let rows = self.estimator.join_rows(kind, rows, inner.estimate.rows, &conjuncts(on));
        if !right_depends && !lateral {
            inner = self.node(Kind::Materialize(Arc::new(p::Materialize { input: inner, payload: payload.clone() })));
        }
        let on = self.condition(on)?;
        let join = p::NestedLoop { kind, left: left_node, right: inner, on, right_slots: payload, left_slots, ctes };
        Ok(self.node_of(Kind::NestedLoop(Arc::new(join)), rows))
    }

    /// The pairs of a join condition that are equalities of a left and a right expression by their type's own `=`, and
    /// the rest of the conjuncts.
    pub(super) fn hash_keys<'e>(
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
}

/// PostgreSQL answers a full join by hashing or merging alone: when one of its conditions can be hashed, or all of them, but
/// constants, merged. The nested loop could do more; a query that runs here should run there.
fn check_full(left: &Rel, right: &Rel, on: &Expr) -> Result<()> {
    let (mut of_left, mut of_right) = (ColumnSet::new(), ColumnSet::new());
    produced_in(left, &mut of_left);
    produced_in(right, &mut of_right);
    // Whether an equality of both sides can be hashed, and merged.
    let equality = |function: &Function, left: &Expr, right: &Expr, negated: bool| {
        let side = |expr: &Expr| {
            let mut used = ColumnSet::new();
            used_by(expr, &mut used);
            (used.intersects(&of_left), used.intersects(&of_right))
        };
        let apart =
            matches!((side(left), side(right)), ((true, false), (false, true)) | ((false, true), (true, false)));
        if !apart || is_volatile(left) || is_volatile(right) {
            return (false, false);
        }
        let operators = builtin::operators().iter().filter(|operator| operator.code == function.oid);
        // NOT of an operator is its negator.
        let operators = operators.filter_map(|operator| match negated {
            true => builtin::operator_by_oid(operator.negator),
            false => Some(operator),
        });
        operators.fold((false, false), |found, o| (found.0 || o.hashes, found.1 || o.merges))
    };
    let (mut hashes, mut merges) = (false, true);
    for conjunct in conjuncts(on) {
        let (negated, inner) = match &conjunct.kind {
            ExprKind::Not(inner) => (true, &**inner),
            _ => (false, conjunct),
        };
        let found: Vec<(bool, bool)> = match &inner.kind {
            ExprKind::Const(_) => vec![(false, true)],
            ExprKind::Call(Call { function, args }) => match &args[..] {
                [left, right] => vec![equality(function, left, right, negated)],
                _ => vec![(false, false)],
            },
            ExprKind::RowComparison { op: RowOp::Eq, left, right, equal, .. } if !negated => {
                let pairs = left.iter().zip(right).zip(equal);
                pairs.map(|((left, right), function)| equality(function, left, right, false)).collect()
            }
            _ => vec![(false, false)],
        };
        for (hash, merge) in found {
            hashes |= hash;
            merges &= merge;
        }
    }
    if hashes || merges {
        return Ok(());
    }
    let message = "FULL JOIN is only supported with merge-joinable or hash-joinable join conditions";
    Err(Error::new(SqlState::FeatureNotSupported, message))
}

/// What the conditions want the scan's `ctid` to be.
fn wanted_ctid<'e>(columns: &[(ScanColumn, ColumnId)], conditions: &[&'e Expr]) -> Option<&'e Expr> {
    let (_, ctid) = columns.iter().find(|(what, _)| *what == ScanColumn::Ctid)?;
    let own: ColumnSet = columns.iter().map(|(_, column)| *column).collect();
    let is_ctid = |expr: &Expr| matches!(expr.kind, ExprKind::Column(column) if column == *ctid);
    conditions.iter().find_map(|condition| {
        let ExprKind::Call(Call { function, args }) = &condition.kind else { return None };
        let [left, right] = &args[..] else { return None };
        let value = match (is_ctid(left), is_ctid(right)) {
            (true, false) => right,
            (false, true) => left,
            _ => return None,
        };
        let mut used = ColumnSet::new();
        used_by(value, &mut used);
        let fixed = !is_volatile(value) && !used.iter().any(|column| own.contains(column));
        (function.symbol == "tideq" && fixed).then_some(value)
    })
}

/// The average bytes of the columns that a scan reads, as PostgreSQL guesses them.
pub(super) fn row_width(columns: &p::TableColumns) -> u32 {
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
/// Whether a function is its type's own equality, so that hashing agrees with it.
fn is_equality(function: &crate::executor::functions::Function) -> bool {
    operator_of(function) == Some(RowOp::Eq) && matches!(function.args, [a, b] if a == b)
}
