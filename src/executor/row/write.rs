//! INSERT, UPDATE, DELETE: rows from an input operator to storage, one at a time, with the checks that a row itself can
//! pass or fail. What looks at other tables is noted for the end of the statement ([`super::constraint`]).
//!
//! Each operator is a small state machine, because every storage call may have to wait: what was computed stays in the
//! slots, and the call is made again. A row changed since the snapshot is judged again by its newest version at
//! READ COMMITTED ([`super::lock::recheck`]); storage itself refuses it (40001) at REPEATABLE READ.

use super::constraint::{self, References};
use super::frame::Frame;
use super::lock::{Rechecked, recheck};
use super::operator::{self, Operator};
use super::plan::{
    ChecksPlan, ConflictUpdatePlan, DeletePlan, InsertPlan, OnConflictPlan, ReadColumn, Slot, UpdatePlan, WriteColumn,
    WrittenColumns,
};
use super::scan::{decode_identity, load_row};
use super::value;
use crate::catalog::image::{Index, IndexKey, Relation};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::definition;
use crate::types::{Datum, Oid};
use lightning_storage::{
    Base, ColumnNo, LockOutcome, Newest, ObjectId, RowBuffer, RowId, RowLockMode, Stamp, Value, WaitPolicy,
    WriteOutcome,
};
use std::sync::Arc;

/// Computes columns into their slots, in order: later ones may read earlier ones.
pub(super) fn assign(columns: &[WriteColumn], f: &mut Frame) -> Result<()> {
    for column in columns {
        let value = column.code.eval(f)?;
        f.set(column.slot, value);
    }
    Ok(())
}

/// NOT NULL, CHECK, then the hidden columns. `row` gives all attributes' values for the error's detail.
pub(super) fn check(
    relation: &Relation,
    checks: &ChecksPlan,
    f: &mut Frame,
    row: impl Fn(&mut Frame) -> Result<Vec<Datum>>,
) -> Result<()> {
    for (attribute, slot) in &checks.not_null {
        if f.get(*slot).is_null() {
            let column = &relation.attributes[*attribute as usize - 1].name;
            let message = format!(
                "null value in column \"{column}\" of relation \"{}\" violates not-null constraint",
                relation.name
            );
            return Err(Error::new(SqlState::NotNullViolation, message)
                .detail(failing_row(relation, &row(f)?, f)?)
                .table(&relation.schema_name, &relation.name)
                .column(column));
        }
    }
    for (name, condition) in &checks.checks {
        if condition.truth(f)? == Some(false) {
            let message = format!("new row for relation \"{}\" violates check constraint \"{name}\"", relation.name);
            return Err(Error::new(SqlState::CheckViolation, message)
                .detail(failing_row(relation, &row(f)?, f)?)
                .table(&relation.schema_name, &relation.name)
                .constraint(name));
        }
    }
    assign(&checks.hidden, f)
}

/// WITH CHECK OPTION: the error that PostgreSQL raises once the row is written.
fn check_views(
    relation: &Relation,
    checks: &ChecksPlan,
    f: &mut Frame,
    row: impl Fn(&mut Frame) -> Result<Vec<Datum>>,
) -> Result<Option<Error>> {
    for (view, condition) in &checks.views {
        if condition.truth(f)? != Some(true) {
            let message = format!("new row violates check option for view \"{view}\"");
            let detail = failing_row(relation, &row(f)?, f)?;
            return Ok(Some(Error::new(SqlState::WithCheckOptionViolation, message).detail(detail)));
        }
    }
    Ok(None)
}

/// PostgreSQL's "Failing row contains (…)": live attributes, each cut after 64 bytes.
fn failing_row(relation: &Relation, row: &[Datum], f: &Frame) -> Result<String> {
    let mut text = String::from("Failing row contains (");
    for (i, (attribute, value)) in relation.live_attributes().zip(row).enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        let value = value::text(value, attribute.ty, &f.call)?;
        if value.len() <= 64 {
            text.push_str(&value);
        } else {
            let end = (0..=64).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
            text.push_str(&value[..end]);
            text.push_str("...");
        }
    }
    text.push_str(").");
    Ok(text)
}

/// The row's values by live attribute: from slots where they are, else from the stored row.
pub(super) fn whole_row(
    relation: &Relation,
    table: ObjectId,
    stored: Option<RowId>,
    slots: &[(i16, Slot)],
    f: &mut Frame,
) -> Result<Vec<Datum>> {
    let mut rows = RowBuffer::default();
    let found = match stored {
        Some(row) => f.ctx.with_transaction(|t| t.get(&f.ctx.snapshot, table, row, &mut rows))?,
        None => false,
    };
    relation
        .live_attributes()
        .map(|attribute| match slots.iter().find(|(number, _)| *number == attribute.number) {
            Some((_, slot)) => Ok(f.get(*slot).clone()),
            None if found => value::from_storage(rows.row(0).get(ColumnNo(attribute.storage)), attribute.ty),
            None => Ok(Datum::Null),
        })
        .collect()
}

/// Room for encoded cells, kept between rows.
type Scratch = Vec<Vec<u8>>;

/// Storage's cells of the given columns.
fn cells<'a, 'c>(
    columns: impl Iterator<Item = &'c WriteColumn>,
    f: &'a Frame,
    scratch: &'a mut Scratch,
    mut put: impl FnMut(ColumnNo, Value<'a>),
) -> Result<()> {
    for (column, scratch) in columns.zip(scratch.iter_mut()) {
        scratch.clear();
        put(column.column, value::to_storage(f.get(column.slot), column.ty, scratch)?);
    }
    Ok(())
}

/// 23505 for a row that met an entry of `index`.
pub(super) fn unique_violation(
    relation: &Arc<Relation>,
    index: &Index,
    row: &dyn Fn(&IndexKey) -> Option<Datum>,
    f: &Frame,
) -> Result<Error> {
    let message = format!("duplicate key value violates unique constraint \"{}\"", index.name);
    let mut error = Error::new(SqlState::UniqueViolation, message)
        .table(&relation.schema_name, &relation.name)
        .constraint(&index.name);
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for (at, key) in (1..).zip(&index.keys) {
        let Some(value) = row(key) else { return Ok(error) };
        names.push(definition::index_column(&f.call, index, relation, at, true)?);
        values.push(value::text(&value, key.ty, &f.call)?);
    }
    error = error.detail(format!("Key ({})=({}) already exists.", names.join(", "), values.join(", ")));
    Ok(error)
}

/// The index that a storage object is.
pub(super) fn index_of(relation: &Relation, storage: ObjectId) -> Result<&Arc<Index>> {
    relation
        .indexes
        .iter()
        .find(|index| index.storage == storage)
        .ok_or_else(|| Error::internal(format!("an unknown index of \"{}\" refused a row", relation.name)))
}

/// Computes RETURNING.
fn returning(exprs: &[(Slot, super::expr::Code)], f: &mut Frame) -> Result<()> {
    for (slot, code) in exprs {
        let value = code.eval(f)?;
        f.set(*slot, value);
    }
    Ok(())
}

/// Puts the system columns of the row just written into their slots. `replaced`: by ON CONFLICT DO UPDATE, which leaves
/// the lock that it took in `xmax`.
fn written(
    plan: &WrittenColumns,
    relation: &Relation,
    table: ObjectId,
    row: RowId,
    replaced: bool,
    f: &mut Frame,
) -> Result<()> {
    let mut rows = RowBuffer::default();
    let newest = f.ctx.with_transaction(|t| t.get_newest(table, row, &mut rows))?;
    if let Newest::Row(_) = newest {
        decode_identity(&rows, 0, relation.oid, &plan.columns, f);
    }
    if let Some(slot) = plan.xmax {
        let locker = match replaced {
            true => f.ctx.with_transaction(|t| Ok::<_, Error>(t.id().0 as u32))?,
            false => 0,
        };
        f.set(slot, Datum::Oid(Oid(locker)));
    }
    Ok(())
}

/// The slot of an attribute in a list.
pub(super) fn slot_of(slots: &[(i16, Slot)], attribute: i16) -> Option<Slot> {
    slots.iter().find(|(number, _)| *number == attribute).map(|(_, slot)| *slot)
}

/// INSERT.
pub(super) struct InsertOp {
    plan: Arc<InsertPlan>,
    input: Box<dyn Operator>,
    stage: InsertStage,
    references: References,
    row: Vec<(i16, Slot)>,
    scratch: Scratch,
    /// Raised once the row is written.
    refused: Option<Error>,
}

#[derive(Clone, Copy)]
enum InsertStage {
    Input,
    Evaluate,
    Write,
    /// ON CONFLICT DO UPDATE of this row.
    Conflict(RowId),
    /// The existing row and its changes are in their slots.
    ConflictWrite(RowId, Stamp),
    /// This row is written; whether in place of another.
    Returning(RowId, bool),
}

impl InsertOp {
    pub(super) fn new(plan: &Arc<InsertPlan>, f: &Frame) -> InsertOp {
        let changes = plan
            .on_conflict
            .as_ref()
            .and_then(|c| c.update.as_ref())
            .map_or(0, |update| update.assignments.len() + update.generated.len() + update.checks.hidden.len());
        InsertOp {
            input: operator::build(&plan.input, f),
            stage: InsertStage::Input,
            references: References::of(&plan.target),
            row: plan.columns.iter().map(|column| (column.attribute, column.slot)).collect(),
            scratch: vec![Vec::new(); (plan.columns.len() + plan.checks.hidden.len()).max(changes)],
            refused: None,
            plan: plan.clone(),
        }
    }

    fn evaluate(&mut self, f: &mut Frame) -> Result<()> {
        let plan = &self.plan;
        assign(&plan.columns, f)?;
        let whole = |f: &mut Frame| whole_row(&plan.target, plan.table, None, &self.row, f);
        self.refused = check_views(&plan.target, &plan.checks, f, whole)?;
        check(&plan.target, &plan.checks, f, whole)
    }

    fn write(&mut self, f: &mut Frame) -> Result<InsertStage> {
        self.refuse_deferrable(f)?;
        let plan = self.plan.clone();
        let mut row = vec![Value::Null; plan.storage_columns];
        let columns = plan.columns.iter().chain(&plan.checks.hidden);
        cells(columns, f, &mut self.scratch, |column, cell| row[column.0 as usize] = cell)?;
        let inserted = f.ctx.with_waits(|t| Ok::<_, Error>(t.insert(&f.ctx.snapshot, plan.table, &row)))?;
        match inserted {
            Ok(id) => {
                if let Some(refused) = &self.refused {
                    return Err(refused.clone());
                }
                self.references.note_insert(id, &self.row, f);
                f.affected += u64::from(plan.main);
                Ok(InsertStage::Returning(id, false))
            }
            Err(lightning_storage::Error::Duplicate { index, row }) => self.duplicate(index, row, f),
            Err(other) => Err(other.into()),
        }
    }

    /// A unique index has the row's key already.
    fn duplicate(&self, storage: ObjectId, row: RowId, f: &Frame) -> Result<InsertStage> {
        let index = index_of(&self.plan.target, storage)?;
        let own = |key: &IndexKey| match key.attribute {
            0 => hidden_value(&self.plan.checks.hidden, key, f),
            attribute => slot_of(&self.row, attribute).map(|slot| f.get(slot).clone()),
        };
        let Some(conflict) = &self.plan.on_conflict else {
            return Err(unique_violation(&self.plan.target, index, &own, f)?);
        };
        let row = if conflict.arbiters.is_empty() || conflict.arbiters.iter().any(|arbiter| arbiter.oid == index.oid) {
            row
        } else {
            // Another index refused it first; an arbiter that would refuse it too has precedence.
            match self.arbiter_row(conflict, f)? {
                Some(row) => row,
                None => return Err(unique_violation(&self.plan.target, index, &own, f)?),
            }
        };
        if conflict.update.is_some() {
            return Ok(InsertStage::Conflict(row));
        }
        // A row that the snapshot does not see is no reason to do nothing.
        f.ctx.with_waits(|t| t.check_seen(self.plan.table, row))?;
        Ok(InsertStage::Input)
    }

    fn arbiter_row(&self, conflict: &OnConflictPlan, f: &Frame) -> Result<Option<RowId>> {
        for arbiter in &conflict.arbiters {
            let found = self.row_in(arbiter, f)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The row that has this one's key in a unique index.
    fn row_in(&self, index: &Index, f: &Frame) -> Result<Option<RowId>> {
        let hidden = |storage: u16| {
            let column = self.plan.checks.hidden.iter().find(|column| column.column.0 == storage);
            column.map(|column| f.get(column.slot).clone())
        };
        if let Some((_, storage)) = &index.predicate
            && !matches!(hidden(*storage), Some(Datum::Bool(true)))
        {
            return Ok(None);
        }
        let own = |key: &crate::catalog::image::IndexKey| match key.attribute {
            0 => hidden(key.storage),
            attribute => slot_of(&self.row, attribute).map(|slot| f.get(slot).clone()),
        };
        let Some(key) = index.keys.iter().map(own).collect::<Option<Vec<Datum>>>() else { return Ok(None) };
        if !index.nulls_not_distinct && key.iter().any(Datum::is_null) {
            return Ok(None);
        }
        let bytes = value::encode_key(&key, index)?;
        f.ctx.with_waits(|t| t.lock_key(&f.ctx.snapshot, index.storage, &bytes, Base::Now, RowLockMode::KeyShare))
    }

    /// A deferrable constraint is no arbiter: refused when a row comes to it, and no arbiter before it has its key.
    fn refuse_deferrable(&self, f: &Frame) -> Result<()> {
        let Some(conflict) = &self.plan.on_conflict else { return Ok(()) };
        let mut indexes = if conflict.arbiters.is_empty() {
            self.plan.target.indexes.iter().filter(|index| index.unique).collect::<Vec<_>>()
        } else {
            conflict.arbiters.iter().collect()
        };
        if !indexes.iter().any(|index| index.deferrable) {
            return Ok(());
        }
        indexes.sort_by_key(|index| index.oid);
        for index in indexes {
            if index.deferrable {
                let message =
                    "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters";
                return Err(Error::new(SqlState::ObjectNotInPrerequisiteState, message)
                    .table(&self.plan.target.schema_name, &self.plan.target.name)
                    .constraint(&index.name));
            }
            if self.row_in(index, f)?.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// DO UPDATE: locks the existing row, loads its newest version, computes the changes.
    fn conflict(&mut self, row: RowId, f: &mut Frame) -> Result<InsertStage> {
        let plan = self.plan.clone();
        let Some(update) = plan.on_conflict.as_ref().and_then(|conflict| conflict.update.as_ref()) else {
            return Ok(InsertStage::Input);
        };
        let mode = RowLockMode::NoKeyUpdate;
        let outcome = f.ctx.with_waits(|t| t.lock_row(&f.ctx.snapshot, plan.table, row, mode, WaitPolicy::Wait))?;
        match outcome {
            LockOutcome::Done | LockOutcome::Changed => {}
            // Gone: the key is free again.
            LockOutcome::Deleted | LockOutcome::Skipped => return Ok(InsertStage::Write),
            LockOutcome::SelfModified => {
                return Err(Error::new(
                    SqlState::CardinalityViolation,
                    "ON CONFLICT DO UPDATE command cannot affect row a second time",
                )
                .hint(
                    "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
                ));
            }
        }
        let mut rows = RowBuffer::default();
        let newest = f.ctx.with_waits(|t| t.get_newest(plan.table, row, &mut rows))?;
        let Newest::Row(stamp) = newest else { return Ok(InsertStage::Write) };
        load_row(&rows, 0, plan.target.oid, &update.existing, f)?;
        if let Some(predicate) = &update.predicate
            && !predicate.test(f)?
        {
            return Ok(InsertStage::Input);
        }
        assign(&update.assignments, f)?;
        for (from, to) in &update.keep {
            f.slots[*to as usize] = f.slots[*from as usize].clone();
        }
        assign(&update.generated, f)?;
        check(&plan.target, &update.checks, f, |f| whole_row(&plan.target, plan.table, None, &update.row, f))?;
        Ok(InsertStage::ConflictWrite(row, stamp))
    }

    fn conflict_write(&mut self, row: RowId, stamp: Stamp, f: &mut Frame) -> Result<InsertStage> {
        let plan = self.plan.clone();
        let Some(update) = plan.on_conflict.as_ref().and_then(|conflict| conflict.update.as_ref()) else {
            return Ok(InsertStage::Input);
        };
        let ConflictUpdatePlan { existing, assignments, generated, checks, .. } = update;
        match write_changes(
            assignments.iter().chain(generated),
            &checks.hidden,
            plan.table,
            &plan.target,
            row,
            Base::Newest(stamp),
            &update.row,
            &mut self.scratch,
            f,
        )? {
            WriteOutcome::Done => {
                let old: Vec<(i16, Slot)> =
                    existing.stored.iter().map(|c: &ReadColumn| (c.attribute, c.slot)).collect();
                self.references.note_update(row, &old, &update.row, f);
                f.affected += u64::from(plan.main);
                for (attribute, slot) in &update.row {
                    if let Some(to) = slot_of(&self.row, *attribute) {
                        f.slots[to as usize] = f.slots[*slot as usize].clone();
                    }
                }
                Ok(InsertStage::Returning(row, true))
            }
            // Changed since it was locked: cannot be; look again.
            _ => Ok(InsertStage::Conflict(row)),
        }
    }
}

impl Operator for InsertOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        loop {
            self.stage = match self.stage {
                InsertStage::Input => {
                    if !self.input.next(f)? {
                        return Ok(false);
                    }
                    InsertStage::Evaluate
                }
                InsertStage::Evaluate => {
                    self.evaluate(f)?;
                    InsertStage::Write
                }
                InsertStage::Write => self.write(f)?,
                InsertStage::Conflict(row) => self.conflict(row, f)?,
                InsertStage::ConflictWrite(row, stamp) => self.conflict_write(row, stamp, f)?,
                InsertStage::Returning(row, replaced) => {
                    if let Some(columns) = &self.plan.written {
                        written(columns, &self.plan.target, self.plan.table, row, replaced, f)?;
                    }
                    returning(&self.plan.returning, f)?;
                    self.stage = InsertStage::Input;
                    if self.plan.returns {
                        return Ok(true);
                    }
                    continue;
                }
            };
        }
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.stage = InsertStage::Input;
        self.input.rewind(f)
    }
}

/// Hands the columns' new values to storage.
fn write_changes<'c>(
    columns: impl Iterator<Item = &'c WriteColumn>,
    hidden: &'c [WriteColumn],
    table: ObjectId,
    relation: &Arc<Relation>,
    row: RowId,
    base: Base,
    slots: &[(i16, Slot)],
    scratch: &mut Scratch,
    f: &mut Frame,
) -> Result<WriteOutcome> {
    let mut changes = Vec::with_capacity(scratch.len());
    cells(columns.chain(hidden), f, scratch, |column, cell| changes.push((column, cell)))?;
    let outcome = f.ctx.with_waits(|t| Ok::<_, Error>(t.update(&f.ctx.snapshot, table, row, base, &changes)))?;
    match outcome {
        Ok(outcome) => Ok(outcome),
        Err(lightning_storage::Error::Duplicate { index, row: _ }) => {
            let index = index_of(relation, index)?;
            let values = new_key(relation, table, row, index, slots, f)?;
            Err(unique_violation(
                relation,
                index,
                &|key| match key.attribute {
                    0 => hidden_value(hidden, key, f),
                    attribute => values.iter().find(|(number, _)| *number == attribute).map(|(_, value)| value.clone()),
                },
                f,
            )?)
        }
        Err(other) => Err(other.into()),
    }
}

/// An index's key column that is an expression, as just computed.
pub(super) fn hidden_value(hidden: &[WriteColumn], key: &IndexKey, f: &Frame) -> Option<Datum> {
    hidden.iter().find(|column| column.column.0 == key.storage).map(|column| f.get(column.slot).clone())
}

/// The new row's key columns of an index: assigned ones from their slots, others from the stored row.
fn new_key(
    relation: &Relation,
    table: ObjectId,
    row: RowId,
    index: &Index,
    slots: &[(i16, Slot)],
    f: &mut Frame,
) -> Result<Vec<(i16, Datum)>> {
    let all = whole_row(relation, table, Some(row), slots, f)?;
    let named = relation.live_attributes().map(|attribute| attribute.number).zip(all);
    Ok(named.filter(|(number, _)| index.keys.iter().any(|key| key.attribute == *number)).collect())
}

/// UPDATE.
pub(super) struct UpdateOp {
    plan: Arc<UpdatePlan>,
    input: Box<dyn Operator>,
    stage: ChangeStage,
    references: References,
    /// New row's slots that are filled: assigned, generated and kept ones.
    row: Vec<(i16, Slot)>,
    scratch: Scratch,
    /// Raised once the row is written.
    refused: Option<Error>,
}

#[derive(Clone, Copy)]
enum ChangeStage {
    Input,
    Evaluate(Option<Stamp>),
    Write(Option<Stamp>),
    Recheck,
    Returning,
}

/// What a referential action is about to change must be what the transaction sees, though the action looks beyond.
fn check_action(table: ObjectId, row: RowId, f: &Frame) -> Result<()> {
    if f.ctx.repeatable_read && f.ctx.constraints.lock().is_running() {
        f.ctx.with_waits(|t| t.check_seen(table, row))?;
    }
    Ok(())
}

/// The row id in a slot.
fn row_id(slot: Slot, f: &Frame) -> Result<RowId> {
    match f.get(slot) {
        Datum::Int8(row) => Ok(RowId(*row as u64)),
        _ => Err(Error::internal("a row to be changed has no row id")),
    }
}

impl UpdateOp {
    pub(super) fn new(plan: &Arc<UpdatePlan>, f: &Frame) -> UpdateOp {
        let filled = |slot: Slot| {
            plan.keep.iter().any(|(_, to)| *to == slot)
                || plan.assignments.iter().chain(&plan.generated).any(|column| column.slot == slot)
        };
        UpdateOp {
            input: operator::build(&plan.input, f),
            stage: ChangeStage::Input,
            references: References::of(&plan.target),
            row: plan.row.iter().copied().filter(|(_, slot)| filled(*slot)).collect(),
            scratch: vec![Vec::new(); plan.assignments.len() + plan.generated.len() + plan.checks.hidden.len()],
            refused: None,
            plan: plan.clone(),
        }
    }

    fn evaluate(&mut self, f: &mut Frame) -> Result<()> {
        let plan = &self.plan;
        assign(&plan.assignments, f)?;
        for (from, to) in &plan.keep {
            f.slots[*to as usize] = f.slots[*from as usize].clone();
        }
        assign(&plan.generated, f)?;
        let row = row_id(plan.row_id, f)?;
        let whole = |f: &mut Frame| whole_row(&plan.target, plan.table, Some(row), &self.row, f);
        self.refused = check_views(&plan.target, &plan.checks, f, whole)?;
        check(&plan.target, &plan.checks, f, whole)
    }

    fn write(&mut self, stamp: Option<Stamp>, f: &mut Frame) -> Result<ChangeStage> {
        let plan = self.plan.clone();
        let row = row_id(plan.row_id, f)?;
        let base = stamp.map_or(Base::Snapshot, Base::Newest);
        let (columns, hidden) = (plan.assignments.iter().chain(&plan.generated), &plan.checks.hidden);
        let scratch = &mut self.scratch;
        check_action(plan.table, row, f)?;
        Ok(match write_changes(columns, hidden, plan.table, &plan.target, row, base, &self.row, scratch, f)? {
            WriteOutcome::Done => {
                if let Some(refused) = &self.refused {
                    return Err(refused.clone());
                }
                self.references.note_update(row, &plan.old, &self.row, f);
                f.affected += u64::from(plan.main);
                ChangeStage::Returning
            }
            WriteOutcome::Changed => ChangeStage::Recheck,
            WriteOutcome::Deleted | WriteOutcome::SelfModified => ChangeStage::Input,
        })
    }
}

impl Operator for UpdateOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        loop {
            self.stage = match self.stage {
                ChangeStage::Input => {
                    if !self.input.next(f)? {
                        return Ok(false);
                    }
                    ChangeStage::Evaluate(None)
                }
                ChangeStage::Evaluate(stamp) => {
                    self.evaluate(f)?;
                    ChangeStage::Write(stamp)
                }
                ChangeStage::Write(stamp) => self.write(stamp, f)?,
                ChangeStage::Recheck => {
                    let plan = &self.plan;
                    let row = row_id(plan.row_id, f)?;
                    match recheck(&plan.recheck, plan.table, plan.target.oid, row, f)? {
                        Rechecked::Passes(stamp) => ChangeStage::Evaluate(Some(stamp)),
                        Rechecked::Dropped => ChangeStage::Input,
                    }
                }
                ChangeStage::Returning => {
                    if let Some(columns) = &self.plan.written {
                        let row = row_id(self.plan.row_id, f)?;
                        written(columns, &self.plan.target, self.plan.table, row, false, f)?;
                    }
                    returning(&self.plan.returning, f)?;
                    self.stage = ChangeStage::Input;
                    if self.plan.returns {
                        return Ok(true);
                    }
                    continue;
                }
            };
        }
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.stage = ChangeStage::Input;
        self.input.rewind(f)
    }
}

/// DELETE.
pub(super) struct DeleteOp {
    plan: Arc<DeletePlan>,
    input: Box<dyn Operator>,
    stage: ChangeStage,
    references: References,
}

impl DeleteOp {
    pub(super) fn new(plan: &Arc<DeletePlan>, f: &Frame) -> DeleteOp {
        DeleteOp {
            input: operator::build(&plan.input, f),
            stage: ChangeStage::Input,
            references: References::of(&plan.target),
            plan: plan.clone(),
        }
    }

    fn write(&mut self, stamp: Option<Stamp>, f: &mut Frame) -> Result<ChangeStage> {
        let plan = &self.plan;
        let row = row_id(plan.row_id, f)?;
        let base = stamp.map_or(Base::Snapshot, Base::Newest);
        check_action(plan.table, row, f)?;
        let outcome = f.ctx.with_waits(|t| t.delete(&f.ctx.snapshot, plan.table, row, base))?;
        Ok(match outcome {
            WriteOutcome::Done => {
                self.references.note_delete(&plan.old, f);
                f.affected += u64::from(plan.main);
                ChangeStage::Returning
            }
            WriteOutcome::Changed => ChangeStage::Recheck,
            WriteOutcome::Deleted | WriteOutcome::SelfModified => ChangeStage::Input,
        })
    }
}

impl Operator for DeleteOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        loop {
            self.stage = match self.stage {
                ChangeStage::Input => {
                    if !self.input.next(f)? {
                        return Ok(false);
                    }
                    ChangeStage::Write(None)
                }
                ChangeStage::Evaluate(stamp) | ChangeStage::Write(stamp) => self.write(stamp, f)?,
                ChangeStage::Recheck => {
                    let plan = &self.plan;
                    let row = row_id(plan.row_id, f)?;
                    match recheck(&plan.recheck, plan.table, plan.target.oid, row, f)? {
                        Rechecked::Passes(stamp) => ChangeStage::Write(Some(stamp)),
                        Rechecked::Dropped => ChangeStage::Input,
                    }
                }
                ChangeStage::Returning => {
                    returning(&self.plan.returning, f)?;
                    self.stage = ChangeStage::Input;
                    if self.plan.returns {
                        return Ok(true);
                    }
                    continue;
                }
            };
        }
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.stage = ChangeStage::Input;
        self.input.rewind(f)
    }
}

/// 23505 for an entry of a deferrable unique constraint that its delayed check refused.
pub(super) fn deferred_violation(
    relation: &Relation,
    index: &Index,
    row: RowId,
    f: &constraint::Checking<'_>,
) -> Result<Error> {
    let message = format!("duplicate key value violates unique constraint \"{}\"", index.name);
    let error = Error::new(SqlState::UniqueViolation, message)
        .table(&relation.schema_name, &relation.name)
        .constraint(&index.name);
    let key: Vec<i16> = index.keys.iter().map(|key| key.attribute).collect();
    match f.newest_key(relation, row, &key)? {
        Some(values) if key.iter().all(|attribute| *attribute > 0) => {
            Ok(error.detail(format!("Key {} already exists.", f.key_text(relation, &key, &values)?)))
        }
        _ => Ok(error),
    }
}
