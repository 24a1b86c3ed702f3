//! One execution of a plan: the entry that sessions use.
//!
//! Order of a statement: the main part; writing WITH parts that it did not read to the end; the constraint checks and
//! referential actions that are due at the statement's end. Each of these may have to wait, and goes on where it was.

use super::constraint::{ConstraintQueue, StatementEnd};
use super::cte;
use super::frame::{Frame, Instrument, Measured};
use super::operator::{self, Operator};
use super::plan::{Kind, Plan, PlanKind};
use crate::error::{Error, Result, SqlState};
use crate::executor::context::StatementContext;
use crate::sql::tree::RelationLock;
use crate::types::{Datum, Type};
use lightning_storage::{ColumnNo, RowView};
use std::sync::Arc;

/// What a call of [`Execution::next`] gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A row: [`Execution::output`] has its values.
    Row,
    /// The statement has ended.
    Done {
        /// Rows given by a query, changed by a write: the number in the command tag.
        affected: u64,
    },
    /// The time slice is used: let others run, then call again.
    Yield,
}

/// A plan under way.
pub struct Execution {
    plan: Arc<Plan>,
    pub(super) frame: Frame,
    root: Box<dyn Operator>,
    phase: Phase,
    rows: u64,
    stack_bytes: usize,
    /// A time slice was not enough.
    yielded: bool,
}

/// Estimated rows to scan from which an execution is taken for a long one before it has shown to be.
const LONG_ROWS: f64 = 20_000.0;

enum Phase {
    Main,
    /// Writing WITH parts from this one on.
    Parts(usize),
    Constraints(Box<StatementEnd>),
    Ended,
}

impl Execution {
    /// Begins; nothing is read yet.
    pub fn start(plan: Arc<Plan>, params: Arc<[Datum]>, ctx: StatementContext) -> Result<Execution> {
        Execution::begin(plan, params, ctx, false)
    }

    /// Begins with every operator counting rows and time, for EXPLAIN ANALYZE.
    pub fn start_instrumented(plan: Arc<Plan>, params: Arc<[Datum]>, ctx: StatementContext) -> Result<Execution> {
        Execution::begin(plan, params, ctx, true)
    }

    fn begin(plan: Arc<Plan>, params: Arc<[Datum]>, ctx: StatementContext, instrumented: bool) -> Result<Execution> {
        if ctx.read_only
            && let Some(refused) = refused_when_read_only(&plan)
        {
            return Err(Error::new(
                SqlState::ReadOnlySqlTransaction,
                format!("cannot execute {refused} in a read-only transaction"),
            ));
        }
        if params.len() < plan.params.len() {
            let message = format!("there is no parameter ${}", params.len() + 1);
            return Err(Error::new(SqlState::UndefinedParameter, message));
        }
        let mut frame = Frame::new(plan.clone(), params, ctx);
        if instrumented {
            frame.instruments = Some(vec![Instrument::default(); plan.nodes as usize]);
        }
        let root = operator::build(&plan.root, &frame);
        let stack_bytes = if plan.depth > 200 { plan.depth * 4096 } else { 0 };
        Ok(Execution { plan, frame, root, phase: Phase::Main, rows: 0, stack_bytes, yielded: false })
    }

    /// Goes on. An error that [`Error::waiter`] knows is none: call again when the waiter is ready.
    #[allow(clippy::should_implement_trait, reason = "a step may be no row; an iterator could not say so")]
    pub fn next(&mut self) -> Result<Step> {
        let step = if self.stack_bytes > 0 {
            stacker::maybe_grow(self.stack_bytes, self.stack_bytes + 256 * 1024, || self.advance())
        } else {
            self.advance()
        };
        match step {
            Err(error) if error.is_pause() => {
                self.yielded = true;
                Ok(Step::Yield)
            }
            Err(error) if error.waiter().is_none() => {
                self.frame.ctx.constraints.lock().failed();
                Err(error)
            }
            other => other,
        }
    }

    fn advance(&mut self) -> Result<Step> {
        loop {
            match &mut self.phase {
                Phase::Main => {
                    if self.root.next(&mut self.frame)? {
                        self.rows += 1;
                        return Ok(Step::Row);
                    }
                    self.phase = Phase::Parts(0);
                }
                Phase::Parts(at) => {
                    let Some(part) = self.plan.ctes.get(*at) else {
                        self.phase = match ConstraintQueue::statement_end(&self.frame.ctx) {
                            Some(end) => Phase::Constraints(Box::new(end)),
                            None => Phase::Ended,
                        };
                        continue;
                    };
                    if part.write {
                        cte::finish(*at, &mut self.frame)?;
                    }
                    *at += 1;
                }
                Phase::Constraints(end) => {
                    end.run(&self.frame.ctx)?;
                    self.phase = Phase::Ended;
                }
                Phase::Ended => {
                    let select = self.plan.kind == PlanKind::Select;
                    return Ok(Step::Done { affected: if select { self.rows } else { self.frame.affected } });
                }
            }
        }
    }

    /// Takes the main part for done and goes on to the end; how much was changed. Call again after a wait.
    pub(super) fn finish(&mut self) -> Result<u64> {
        if matches!(self.phase, Phase::Main) {
            self.phase = Phase::Parts(0);
        }
        loop {
            if let Step::Done { affected } = self.next()? {
                return Ok(affected);
            }
        }
    }

    /// Asks for rows in storage's form, for who writes them as text at once: [`Execution::stored_row`] instead of
    /// [`Execution::output`]. Gives the stored column and type of each output column; `None`: the plan is no plain scan of a table.
    pub fn keep_stored(&mut self) -> Option<Vec<(ColumnNo, Type)>> {
        let Kind::SeqScan(scan) = &self.plan.root.kind else { return None };
        let stored = |slot| scan.columns.stored.iter().find(|column| column.slot == slot);
        let columns = self.plan.output.iter().map(|output| {
            stored(output.column.0).filter(|column| column.ty == output.ty).map(|column| (column.column, column.ty))
        });
        columns.collect::<Option<_>>().filter(|_| self.root.keep_stored())
    }

    /// The current row after [`Execution::keep_stored`].
    pub fn stored_row(&self) -> Option<RowView<'_>> {
        self.root.stored()
    }

    /// The value of output column `i` of the current row.
    #[inline]
    pub fn output(&self, i: usize) -> &Datum {
        self.frame.get(self.plan.output[i].column.0)
    }

    /// Whether it takes, or is thought to take, more than a time slice: a thread that serves other connections too should not
    /// run it.
    pub fn is_long(&self) -> bool {
        self.yielded || self.plan.scanned_rows > LONG_ROWS
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The statement's surroundings.
    pub fn context(&self) -> &StatementContext {
        &self.frame.ctx
    }

    /// What EXPLAIN ANALYZE shows.
    pub fn measured(&self) -> Measured<'_> {
        Measured { counters: self.frame.instruments.as_deref().unwrap_or_default(), roads: &self.frame.roads }
    }

    /// Runs to the end, blocking in waits; each row is given to `row`. For nested statements on threads that may block,
    /// and tests.
    pub fn run_blocking(&mut self, mut row: impl FnMut(&Execution) -> Result<()>) -> Result<u64> {
        loop {
            match self.next() {
                Ok(Step::Row) => row(self)?,
                Ok(Step::Done { affected }) => return Ok(affected),
                Ok(Step::Yield) => {}
                Err(error) => match error.waiter() {
                    Some(waiter) => crate::interrupt::block(waiter)?,
                    None => return Err(error),
                },
            }
        }
    }
}

/// What of a plan a READ ONLY transaction may not do: write tables that are not temporary, lock rows.
fn refused_when_read_only(plan: &Plan) -> Option<&'static str> {
    let parts = plan.ctes.iter().map(|cte| &cte.node);
    for node in std::iter::once(&plan.root).chain(parts) {
        let (name, target) = match &node.kind {
            Kind::Insert(insert) => ("INSERT", &insert.target),
            Kind::Update(update) => ("UPDATE", &update.target),
            Kind::Delete(delete) => ("DELETE", &delete.target),
            _ => continue,
        };
        if !target.temporary {
            return Some(if plan.kind == PlanKind::Select { "SELECT" } else { name });
        }
    }
    plan.locks.iter().any(|(_, lock)| *lock == RelationLock::LockRows).then_some("SELECT FOR UPDATE")
}
