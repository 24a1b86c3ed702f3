//! Writes in the row road's plan: INSERT, UPDATE, DELETE, and READ COMMITTED's re-check of a changed row.

use super::columns::{ColumnSet, used_by, used_by_checks, used_in};
use super::physical::{Planner, storage_of};
use crate::catalog::image::{ConstraintKind, Relation};
use crate::error::{Error, Result};
use crate::executor::row::compile::SubqueryPlanner;
use crate::executor::row::expr::Code;
use crate::executor::row::plan::{self as p, Kind, Node, Slot};
use crate::sql::tree::{self, ColumnId, Expr, JoinKind, Rel, ScanColumn, Subquery, SubqueryKind};
use lightning_storage::ColumnNo;
use std::sync::Arc;

impl Planner<'_> {
    /// How a changed row of the scan with row-id column `target` is judged again: the conditions on the way from that
    /// scan to the top of `rel`. Partner rows are kept; semi and anti joins are run again.
    pub(super) fn recheck(&mut self, rel: &Rel, target: ColumnId, needed: &ColumnSet) -> Result<p::Recheck> {
        let mut recheck = p::Recheck::default();
        self.recheck_steps(rel, target, needed, &mut recheck)?;
        Ok(recheck)
    }

    pub(super) fn recheck_steps(
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

    pub(super) fn write_columns(
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

    pub(super) fn checks(&mut self, checks: &tree::WriteChecks, row: &[(i16, ColumnId)]) -> Result<p::ChecksPlan> {
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
            views: checks
                .views
                .iter()
                .map(|(name, check)| Ok((name.clone(), self.expr(check)?)))
                .collect::<Result<_>>()?,
            hidden,
        })
    }

    pub(super) fn returning(&mut self, returning: &[(ColumnId, Expr)]) -> Result<Box<[(Slot, Code)]>> {
        returning.iter().map(|(column, expr)| Ok((column.0, self.expr(expr)?))).collect()
    }

    /// Where the system columns of a written row go.
    fn written(
        &mut self,
        relation: &Relation,
        columns: &[(ScanColumn, ColumnId)],
    ) -> Result<Option<p::WrittenColumns>> {
        if columns.is_empty() {
            return Ok(None);
        }
        let (xmax, others): (Vec<_>, Vec<_>) = columns.iter().copied().partition(|(what, _)| *what == ScanColumn::Xmax);
        let all = others.iter().map(|(_, column)| *column).collect();
        let columns = self.table_columns(relation, &others, &all, &[])?;
        Ok(Some(p::WrittenColumns { columns, xmax: xmax.first().map(|(_, column)| column.0) }))
    }

    pub(super) fn insert(&mut self, insert: &tree::Insert, returns: bool, main: bool) -> Result<Node> {
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
            written: self.written(relation, &insert.written)?,
            returning: self.returning(&insert.returning)?,
            returns,
            main,
        };
        Ok(self.node(Kind::Insert(Arc::new(plan))))
    }

    pub(super) fn conflict_update(
        &mut self,
        relation: &Relation,
        update: &tree::ConflictUpdate,
    ) -> Result<p::ConflictUpdatePlan> {
        let generated = |attribute: &i16| relation.attributes[*attribute as usize - 1].generated;
        let (late, early): (Vec<_>, Vec<_>) =
            update.assignments.iter().cloned().partition(|(attribute, _)| generated(attribute));
        let assignments = self.write_columns(relation, &early, &update.row_columns)?;
        let generated = self.write_columns(relation, &late, &update.row_columns)?;
        let scan: Vec<_> =
            update.existing_columns.iter().map(|(number, column)| (ScanColumn::Attribute(*number), *column)).collect();
        let scan: Vec<_> = scan.into_iter().chain(update.existing_system.iter().copied()).collect();
        let all = scan.iter().map(|(_, column)| *column).collect();
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

    pub(super) fn update(&mut self, update: &tree::Update, returns: bool, main: bool) -> Result<Node> {
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
            written: self.written(relation, &update.written)?,
            returning: self.returning(&update.returning)?,
            returns,
            main,
        };
        Ok(self.node(Kind::Update(Arc::new(plan))))
    }

    pub(super) fn delete(&mut self, delete: &tree::Delete, returns: bool, main: bool) -> Result<Node> {
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
