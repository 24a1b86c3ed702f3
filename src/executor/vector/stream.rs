//! From the vector road to the row road: a DataFusion stream under a row operator.
//!
//! The stream runs on the analytical runtime, which alone polls DataFusion, and hands batches over a channel of two. The
//! operator that takes them never blocks: where there is no batch yet it runs those parts of the relation that are rows
//! ([`super::rows`]), and where they have nothing to do either it answers with a wait, as any operator does.

use super::error::{Failure, failure, unplanned};
use super::files::Files;
use super::form::Form;
use super::measure::{Operator, Run};
use super::memory::Account;
use super::rows::{Fed, Rows, Source};
use super::rules;
use super::translate::{Refused, Translator};
use crate::error::{Error, Result, SqlState};
use crate::executor::StatementContext;
use crate::executor::row::frame::Frame;
use crate::executor::row::operator::Operator as RowOperator;
use crate::executor::row::plan::{Slot, VectorPlan};
use crate::types::Datum;
use arrow_array::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures_util::StreamExt as _;
use lightning_storage::Waiter;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// Where DataFusion runs: threads of its own, apart from those that serve connections.
pub struct Analytics {
    runtime: tokio::runtime::Runtime,
    threads: usize,
}

impl std::fmt::Debug for Analytics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Analytics({} threads)", self.threads)
    }
}

impl Analytics {
    /// A pool of `threads` threads.
    ///
    /// # Errors
    /// The operating system's.
    pub fn start(threads: usize) -> std::io::Result<Analytics> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("analytics")
            .thread_stack_size(16 << 20)
            // Short transactions come first, where there are too few processors for both.
            .on_thread_start(lightning_storage::io::file::lower_priority)
            .enable_time()
            .build()?;
        Ok(Analytics { runtime, threads })
    }
}

/// What the producer and the operator share besides the channel.
#[derive(Default)]
struct Bell(Mutex<Option<Waiter>>);

impl Bell {
    fn ring(&self) {
        if let Some(waiter) = self.0.lock().take() {
            waiter.notify();
        }
    }
}

/// Rows that are held back at most; with more, the relation begins again on the row road.
const HELD_ROWS: usize = 16_384;

/// Batches of a relation whose last rows may still raise an error: none is given before all are there.
#[derive(Default)]
struct Held {
    batches: VecDeque<RecordBatch>,
    rows: usize,
    is_whole: bool,
}

/// A running query.
pub(crate) struct Stream {
    batches: mpsc::Receiver<std::result::Result<RecordBatch, Failure>>,
    /// Becomes true when nobody wants more rows, for those parts of the plan that do not yield.
    stop: Arc<AtomicBool>,
    bell: Arc<Bell>,
    task: tokio::task::AbortHandle,
    columns: Vec<(Slot, Form)>,
    batch: Option<RecordBatch>,
    at: usize,
    held: Option<Held>,
    /// The parts that run on the row road.
    sources: Vec<Source>,
    /// For EXPLAIN ANALYZE.
    pub(crate) run: Run,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.abort();
    }
}

/// What a call of [`Stream::next`] gave.
pub(crate) enum Given {
    /// The slots hold the next row.
    Row,
    /// There is no more.
    End,
    /// Begin again on the row road; the error if rows have been given.
    Again(Error),
}

/// A relation's translation.
struct Logical {
    plan: LogicalPlan,
    columns: Vec<(Slot, Form)>,
    /// Partitions that it may run in.
    threads: usize,
    /// See [`Held`].
    held: bool,
}

/// A relation's logical plan, or why there is none.
fn logical(
    plan: &VectorPlan,
    leaves: Vec<Rows>,
    params: &Arc<[Datum]>,
    known: Option<usize>,
    ctx: &StatementContext,
    threads: usize,
) -> std::result::Result<Logical, Refused> {
    let mut translator = Translator::new(plan, params.clone(), ctx.clone());
    translator.known = known;
    translator.leaves = leaves;
    let needed = plan.columns.iter().copied().collect();
    let logical = translator.rel(&plan.rel, &needed)?;
    let output =
        plan.columns.iter().map(|column| datafusion::common::Column::new_unqualified(super::expression::name(*column)));
    let logical = datafusion::logical_expr::LogicalPlanBuilder::from(logical)
        .project(output.map(datafusion::logical_expr::Expr::Column).collect::<Vec<_>>())?
        .build()?;
    let columns = plan.columns.iter().map(|column| match translator.forms.get(column) {
        Some(form) => Ok((column.0, *form)),
        None => Err(Refused::because("a column that is not there")),
    });
    let columns = columns.collect::<std::result::Result<_, _>>()?;
    let threads = if translator.in_order { 1 } else { threads };
    Ok(Logical { plan: logical, columns, threads, held: translator.held })
}

/// The physical plan.
async fn physical(
    logical: &Logical,
    ctx: &StatementContext,
) -> std::result::Result<(Arc<dyn ExecutionPlan>, Arc<datafusion::execution::TaskContext>), DataFusionError> {
    let mut disk = DiskManagerBuilder::default();
    disk.set_mode(match ctx.memory.folder() {
        Some(folder) => DiskManagerMode::Custom(Arc::new(Files(folder.clone()))),
        None => DiskManagerMode::Disabled,
    });
    let environment = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(Account(ctx.memory.clone())))
        .with_disk_manager_builder(disk)
        .build_arc()?;
    let state = rules::session(logical.threads, environment);
    let optimized = state.optimize(&logical.plan)?;
    let plan = state.query_planner().create_physical_plan(&optimized, &state).await?;
    Ok((plan, state.task_ctx()))
}

impl Stream {
    /// Plans and starts a query. `parts`: the operators of [`VectorPlan::sources`].
    ///
    /// # Errors
    /// [`Refused`]: this road cannot run it.
    pub(crate) fn start(
        plan: &VectorPlan,
        parts: Vec<Box<dyn RowOperator>>,
        params: &Arc<[Datum]>,
        ctx: &StatementContext,
    ) -> std::result::Result<Stream, Refused> {
        let Some(analytics) = &ctx.analytics else { return Err(Refused::because("no analytical threads")) };
        let stop = Arc::new(AtomicBool::new(false));
        let ctx = &StatementContext { cancel: stop.clone(), ..ctx.clone() };
        let bell = Arc::new(Bell::default());
        let (mut sources, mut leaves) = (Vec::new(), Vec::new());
        for (source, operator) in plan.sources.iter().zip(parts) {
            let room = bell.clone();
            let (source, leaf) = Source::new(source, operator, &plan.types, Arc::new(move || room.ring()));
            sources.push(source);
            leaves.push(leaf);
        }
        let mut logical = logical(plan, leaves, params, None, ctx, analytics.threads)?;
        let columns = std::mem::take(&mut logical.columns);
        let held = logical.held.then(Held::default);
        let (sender, batches) = mpsc::channel(2);
        let run = Run::default();
        let (ring, ctx, running) = (bell.clone(), ctx.clone(), run.clone());
        let (end, finished) = (sender.clone(), bell.clone());
        let work = analytics.runtime.spawn(async move { produce(&logical, &ctx, &running, &sender, &ring).await });
        let task = work.abort_handle();
        analytics.runtime.spawn(async move {
            let failed = match work.await {
                Ok(result) => result.err().map(|error| failure(&error)),
                // A stream that ends without a word would be taken for the end of the rows.
                Err(error) => Some(Failure::Error(Error::internal(format!("the vector road failed: {error}")))),
            };
            if let Some(failed) = failed {
                let _ = end.send(Err(failed)).await;
            }
            drop(end);
            finished.ring();
        });
        Ok(Stream { batches, stop, bell, task, columns, batch: None, at: 0, held, sources, run })
    }

    /// Puts the next row into its slots. `Err` may be a wait: call again when the waiter is ready.
    pub(crate) fn next(&mut self, f: &mut Frame) -> Result<Given> {
        loop {
            if let Some(batch) = &self.batch {
                if self.at < batch.num_rows() {
                    for ((slot, form), array) in self.columns.iter().zip(batch.columns()) {
                        f.set(*slot, form.value(array, self.at)?);
                    }
                    self.at += 1;
                    return Ok(Given::Row);
                }
                self.batch = None;
            }
            match self.supply(f)? {
                Some(Ok(batch)) => {
                    self.batch = Some(batch);
                    self.at = 0;
                }
                Some(Err(Failure::Error(error))) => return Err(error),
                Some(Err(Failure::Again(error))) => return Ok(Given::Again(error)),
                None => return Ok(Given::End),
            }
        }
    }

    /// The next batch to give rows of.
    fn supply(&mut self, f: &mut Frame) -> Result<Option<std::result::Result<RecordBatch, Failure>>> {
        let Some(mut held) = self.held.take() else { return self.receive(f) };
        let supplied = self.hold(&mut held, f);
        self.held = Some(held);
        supplied
    }

    /// Gathers all batches, then gives one after the other. An error is the row road's to raise: it computes in PostgreSQL's
    /// order, and no row more than is asked for.
    fn hold(&mut self, held: &mut Held, f: &mut Frame) -> Result<Option<std::result::Result<RecordBatch, Failure>>> {
        while !held.is_whole {
            match self.receive(f)? {
                Some(Ok(batch)) if held.rows + batch.num_rows() <= HELD_ROWS => {
                    held.rows += batch.num_rows();
                    held.batches.push_back(batch);
                }
                Some(Ok(_)) => {
                    let error = Error::internal("rows were given before the last was known to be right");
                    return Ok(Some(Err(Failure::Again(error))));
                }
                Some(Err(Failure::Error(error)))
                    if !matches!(error.code(), SqlState::QueryCanceled | SqlState::InternalError) =>
                {
                    return Ok(Some(Err(Failure::Again(error))));
                }
                None => held.is_whole = true,
                failed => return Ok(failed),
            }
        }
        Ok(held.batches.pop_front().map(Ok))
    }

    /// The next batch from the plan; until there is one, the parts on the row road go on.
    fn receive(&mut self, f: &mut Frame) -> Result<Option<std::result::Result<RecordBatch, Failure>>> {
        let mut waiter: Option<Waiter> = None;
        loop {
            match self.batches.try_recv() {
                Ok(message) => return Ok(Some(message)),
                Err(mpsc::error::TryRecvError::Disconnected) => return Ok(None),
                Err(mpsc::error::TryRecvError::Empty) => {}
            }
            let mut sent = false;
            for source in &mut self.sources {
                let fed = match source.feed(f) {
                    // It may be the plan that has the memory: the row road shares it with nobody.
                    Err(error) if error.code() == SqlState::OutOfMemory && error.waiter().is_none() => {
                        return Ok(Some(Err(Failure::Again(error))));
                    }
                    fed => fed?,
                };
                match fed {
                    Fed::Sent => sent = true,
                    Fed::Idle => {}
                    Fed::Broken => return Ok(Some(Err(Failure::broken()))),
                }
            }
            match (sent, waiter.take()) {
                (true, _) => {}
                (false, Some(waiter)) => return Err(Error::wait(waiter)),
                // The second look comes after the bell is hung: what was sent or taken in between is seen, what comes
                // later rings.
                (false, None) => {
                    let hung = Waiter::new();
                    *self.bell.0.lock() = Some(hung.clone());
                    waiter = Some(hung);
                }
            }
        }
    }
}

async fn produce(
    logical: &Logical,
    ctx: &StatementContext,
    run: &Run,
    sender: &mpsc::Sender<std::result::Result<RecordBatch, Failure>>,
    bell: &Bell,
) -> std::result::Result<(), DataFusionError> {
    let (plan, task) = physical(logical, ctx).await.map_err(unplanned)?;
    run.started(&plan);
    let mut stream = execute_stream(plan, task)?;
    while let Some(batch) = stream.next().await {
        if sender.send(Ok(batch?)).await.is_err() {
            return Ok(());
        }
        bell.ring();
    }
    Ok(())
}

/// The plan's operators, for EXPLAIN; or why it cannot run here. The values of its subqueries, which come behind the
/// statement's `params`, are shown by name.
pub(crate) fn explain(
    plan: &VectorPlan,
    params: &[Datum],
    ctx: &StatementContext,
) -> std::result::Result<Operator, Refused> {
    let Some(analytics) = &ctx.analytics else { return Err(Refused::because("no analytical threads")) };
    let known = params.len();
    let unknown = plan.params.saturating_sub(known);
    let params: Arc<[Datum]> = params.iter().cloned().chain(std::iter::repeat_n(Datum::Null, unknown)).collect();
    let leaves = plan.sources.iter().map(|source| Rows::unconnected(source, &plan.types)).collect();
    let logical = logical(plan, leaves, &params, Some(known), ctx, analytics.threads)?;
    let ctx = ctx.clone();
    let (sender, receiver) = std::sync::mpsc::channel();
    analytics.runtime.spawn(async move {
        let shown = physical(&logical, &ctx).await.map(|(plan, _)| Operator::of(&*plan, false));
        let _ = sender.send(shown);
    });
    Ok(receiver.recv().map_err(|_| Refused::because("the analytical threads ended"))??)
}
