//! Rows for a table from outside of SQL (COPY FROM, CREATE TABLE AS): an INSERT whose source is parameters, run for one row after
//! another, whose rows are handed to storage many at a time.
//!
//! The plan is that of `INSERT INTO t (a, b) VALUES ($1, $2)`: defaults, casts, checks, indexes and foreign keys are the
//! statement's own. Where all that the statement does is to put each parameter into its column ([`Inserter::direct`]), a row may
//! go into the batch without being computed.
//!
//! A row counts as inserted once its batch is in. What storage refuses a batch for (a key that is there already, one that
//! depends on somebody else's transaction) is found by putting its rows in one by one: so errors and waits are INSERT's.

use super::constraint::References;
use super::execution::Execution;
use super::expr::Code;
use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::{InsertPlan, Kind, Plan, Slot, WriteColumn};
use super::value;
use super::write::{assign, check, hidden_value, index_of, slot_of, unique_violation, whole_row};
use crate::catalog::image::IndexKey;
use crate::error::{Error, Result};
use crate::executor::context::StatementContext;
use crate::types::{Datum, Type};
use lightning_storage::{ColumnNo, Error as StorageError, RowBatch, RowId, Value};
use std::sync::Arc;

/// Rows, and bytes of rows, that make a batch.
const BATCH_ROWS: usize = 1000;
const BATCH_BYTES: usize = 256 << 10;

/// See the module.
pub struct Inserter {
    execution: Execution,
    plan: Arc<InsertPlan>,
    input: Box<dyn Operator>,
    references: References,
    row: Vec<(i16, Slot)>,
    /// By storage column: its place among the plan's columns and the hidden ones after them.
    places: Vec<Option<usize>>,
    direct: Option<Vec<Direct>>,
    batch: RowBatch,
    stage: Stage,
    scratch: Vec<u8>,
}

/// Where an inserter stands; what is not idle had to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    /// The parameters are to be made rows of.
    Input,
    /// A row is in its slots, not yet computed.
    Evaluate,
    /// Computed: to go into the batch.
    Push,
    /// The batch is to go in, and then the row in the slots, which is too large for a batch, if there is one.
    Batch(bool),
    /// The batch was refused: its rows from this one on go in one by one; then as above.
    Rows(usize, bool),
    /// Computed, and too large for a batch.
    Alone,
}

/// What a stored column is made of.
#[derive(Debug)]
enum Direct {
    /// A parameter, as the type; whether it may be NULL.
    Param(usize, Type, bool),
    Value(Datum, Type),
}

impl Inserter {
    /// An inserter over an INSERT's plan without ON CONFLICT and RETURNING.
    pub fn start(plan: Arc<Plan>, ctx: StatementContext) -> Result<Inserter> {
        let params = vec![Datum::Null; plan.params.len()].into();
        let Kind::Insert(insert) = &plan.root.kind else {
            return Err(Error::internal("rows can only be loaded by an INSERT"));
        };
        let insert = insert.clone();
        let execution = Execution::start(plan, params, ctx)?;
        let columns = insert.columns.iter().chain(&insert.checks.hidden);
        let mut places = vec![None; insert.storage_columns];
        columns.enumerate().for_each(|(place, column)| places[column.column.0 as usize] = Some(place));
        Ok(Inserter {
            batch: execution.context().with_transaction(|t| t.batch(insert.table))?,
            input: operator::build(&insert.input, &execution.frame),
            references: References::of(&insert.target),
            row: insert.columns.iter().map(|column| (column.attribute, column.slot)).collect(),
            places,
            direct: None,
            stage: Stage::Idle,
            scratch: Vec::new(),
            plan: insert,
            execution,
        })
    }

    /// Says that parameter `i` is the value of attribute `attributes[i]`, but for the column's length; `true`: then rows can go
    /// straight into the batch.
    pub fn allow_direct(&mut self, attributes: &[i16]) -> bool {
        self.direct = self.direct_columns(attributes);
        self.direct.is_some()
    }

    fn direct_columns(&self, attributes: &[i16]) -> Option<Vec<Direct>> {
        let plan = &self.plan;
        let plain = matches!(&plan.input.kind, Kind::Values(values) if values.rows.len() == 1)
            && plan.checks.checks.is_empty()
            && plan.checks.hidden.is_empty();
        if !plain || !attributes.is_sorted() {
            return None;
        }
        let direct = |place: &Option<usize>| {
            let Some(column) = place.map(|place| &plan.columns[place]) else {
                return Some(Direct::Value(Datum::Null, Type::new(crate::types::oid::TEXT)));
            };
            let not_null = plan.checks.not_null.iter().any(|(attribute, _)| *attribute == column.attribute);
            match (attributes.iter().position(|attribute| *attribute == column.attribute), &column.code) {
                (Some(param), _) => Some(Direct::Param(param, column.ty, !not_null)),
                (None, Code::Const(value)) if !(not_null && value.is_null()) => {
                    Some(Direct::Value(value.clone(), column.ty))
                }
                _ => None,
            }
        };
        self.places.iter().map(direct).collect()
    }

    /// Puts a row straight into the batch: `cell` gives the stored form of a parameter, if it knows it. `false`: the row has to be
    /// computed ([`Inserter::insert`]), or fails.
    ///
    /// # Errors
    /// None that the row is to blame for.
    pub fn insert_direct<'a>(&mut self, mut cell: impl FnMut(usize, Type) -> Option<Value<'a>>) -> Result<bool> {
        let Some(direct) = &self.direct else { return Ok(false) };
        self.batch.begin(direct.len());
        for column in direct {
            match column {
                Direct::Param(param, ty, nullable) => match cell(*param, *ty) {
                    Some(Value::Null) if !nullable => return Ok(false),
                    Some(value) => self.batch.push(value)?,
                    None => return Ok(false),
                },
                Direct::Value(value, ty) => self.batch.push(value::to_storage(value, *ty, &mut self.scratch)?)?,
            }
        }
        Ok(self.batch.finish()?)
    }

    /// Inserts a row of values for $1, $2, …. After a wait, call [`Inserter::resume`].
    pub fn insert(&mut self, row: Arc<[Datum]>) -> Result<()> {
        let frame = &mut self.execution.frame;
        frame.params = row;
        self.input.rewind(frame)?;
        self.stage = Stage::Input;
        self.resume()
    }

    /// Number of rows that are in the batch.
    pub fn pending(&self) -> usize {
        self.batch.len()
    }

    /// Whether the batch should go in.
    pub fn is_full(&self) -> bool {
        self.batch.len() >= BATCH_ROWS || self.batch.bytes() >= BATCH_BYTES
    }

    /// Which row of the batch the last error was about, if it was about a row of the batch.
    pub fn failed_row(&self) -> Option<usize> {
        match self.stage {
            Stage::Rows(row, _) => Some(row),
            _ => None,
        }
    }

    /// Puts the batch in. After a wait, call [`Inserter::resume`].
    pub fn flush(&mut self) -> Result<()> {
        self.stage = Stage::Batch(false);
        self.resume()
    }

    /// Goes on with what had to wait; does nothing when there is nothing.
    pub fn resume(&mut self) -> Result<()> {
        while self.stage != Stage::Idle {
            match self.step() {
                Ok(stage) => self.stage = stage,
                Err(error) if error.is_pause() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Stage> {
        let frame = &mut self.execution.frame;
        match self.stage {
            Stage::Idle => Ok(Stage::Idle),
            Stage::Input => Ok(if self.input.next(frame)? { Stage::Evaluate } else { Stage::Idle }),
            Stage::Evaluate => {
                let plan = &self.plan;
                assign(&plan.columns, frame)?;
                check(&plan.target, &plan.checks, frame, |f| whole_row(&plan.target, plan.table, None, &self.row, f))?;
                Ok(Stage::Push)
            }
            Stage::Push => Ok(match self.push()? {
                true => Stage::Input,
                false if self.batch.is_empty() => Stage::Alone,
                false => Stage::Batch(true),
            }),
            Stage::Batch(more) => Ok(match self.put_batch()? {
                true => after_batch(more),
                false => Stage::Rows(0, more),
            }),
            Stage::Rows(at, more) if at < self.batch.len() => self.put_row(at).map(|()| Stage::Rows(at + 1, more)),
            Stage::Rows(_, more) => {
                self.batch.clear();
                Ok(after_batch(more))
            }
            Stage::Alone => self.put_alone().map(|()| Stage::Input),
        }
    }

    /// Puts the row in the slots into the batch; `false`: it is too large.
    fn push(&mut self) -> Result<bool> {
        self.batch.begin(self.places.len());
        for place in &self.places {
            match place.and_then(|place| column(&self.plan, place)) {
                Some(column) => {
                    let value = self.execution.frame.get(column.slot);
                    self.batch.push(value::to_storage(value, column.ty, &mut self.scratch)?)?;
                }
                None => self.batch.push(Value::Null)?,
            }
        }
        Ok(self.batch.finish()?)
    }

    /// Puts the batch in, whole; `false`: one of its rows may not come in, or has to wait, and none is in.
    fn put_batch(&mut self) -> Result<bool> {
        let frame = &mut self.execution.frame;
        let inserted = match frame.ctx.transaction.lock().as_mut() {
            Some(transaction) => transaction.insert_batch(&frame.ctx.snapshot, &self.batch),
            None => return Err(Error::internal("a statement runs outside of a transaction")),
        };
        match inserted {
            Ok(first) => {
                self.inserted(first, 0..self.batch.len())?;
                self.batch.clear();
                Ok(true)
            }
            Err(StorageError::Duplicate { .. } | StorageError::Wait(_) | StorageError::Deadlock { .. }) => Ok(false),
            Err(StorageError::TooLarge { .. }) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    /// Puts one row of the batch in.
    fn put_row(&mut self, at: usize) -> Result<()> {
        let frame = &self.execution.frame;
        let row = self.batch.row(at);
        let values: Vec<Value<'_>> = (0..self.places.len()).map(|i| row.get(ColumnNo(i as u16))).collect();
        let own = |key: &IndexKey| value::from_storage(row.get(ColumnNo(key.storage)), key.ty).ok();
        let id = insert(&self.plan, &values, frame, &own)?;
        self.inserted(id, at..at + 1)
    }

    /// Puts the row in the slots in.
    fn put_alone(&mut self) -> Result<()> {
        let mut scratch = vec![Vec::new(); self.places.len()];
        let frame = &self.execution.frame;
        let mut values = Vec::with_capacity(self.places.len());
        for (place, scratch) in self.places.iter().zip(&mut scratch) {
            values.push(match place.and_then(|place| column(&self.plan, place)) {
                Some(column) => value::to_storage(frame.get(column.slot), column.ty, scratch)?,
                None => Value::Null,
            });
        }
        let own = |key: &IndexKey| match key.attribute {
            0 => hidden_value(&self.plan.checks.hidden, key, frame),
            attribute => slot_of(&self.row, attribute).map(|slot| frame.get(slot).clone()),
        };
        let id = insert(&self.plan, &values, frame, &own)?;
        self.references.note_insert(id, &self.row, frame);
        self.execution.frame.affected += u64::from(self.plan.main);
        Ok(())
    }

    /// Rows of the batch are in, under this id and the following ones.
    fn inserted(&mut self, first: RowId, rows: std::ops::Range<usize>) -> Result<()> {
        if self.plan.main {
            self.execution.frame.affected += rows.len() as u64;
        }
        self.references.note_batch(first, rows, &self.batch, &self.plan.target, &self.execution.frame)
    }

    /// Puts the last batch in and runs the checks that are due at the statement's end; the number of rows inserted. Call again
    /// after a wait.
    pub fn finish(&mut self) -> Result<u64> {
        if self.stage == Stage::Idle && !self.batch.is_empty() {
            self.stage = Stage::Batch(false);
        }
        self.resume()?;
        self.execution.finish()
    }
}

fn after_batch(more: bool) -> Stage {
    if more { Stage::Alone } else { Stage::Idle }
}

/// A column of the plan, or a hidden one after them.
fn column(plan: &InsertPlan, place: usize) -> Option<&WriteColumn> {
    plan.columns.get(place).or_else(|| plan.checks.hidden.get(place - plan.columns.len()))
}

/// One row into storage.
fn insert(
    plan: &InsertPlan,
    values: &[Value<'_>],
    f: &Frame,
    own: &dyn Fn(&IndexKey) -> Option<Datum>,
) -> Result<RowId> {
    let inserted = match f.ctx.transaction.lock().as_mut() {
        Some(transaction) => transaction.insert(&f.ctx.snapshot, plan.table, values),
        None => return Err(Error::internal("a statement runs outside of a transaction")),
    };
    match inserted {
        Err(StorageError::Duplicate { index, .. }) => {
            Err(unique_violation(&plan.target, index_of(&plan.target, index)?, own, f)?)
        }
        other => Ok(other?),
    }
}
