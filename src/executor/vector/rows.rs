//! From the row road to the vector road: a row operator as a leaf of a DataFusion plan.
//!
//! What has no form on the vector road (WITH parts, functions in FROM, system relations, LATERAL, …) runs on the row road. Its
//! operator belongs to the statement's own thread: whenever [`super::stream::Stream`] has no row to give, it lets each
//! [`Source`] fill a batch where the channel to its leaf has room. So neither side waits for the other with rows in hand, and no
//! more than some batches lie between them.

use super::form::{Form, Writer};
use super::scan::schema;
use crate::error::{Error, Result};
use crate::executor::memory::datum_bytes;
use crate::executor::row::frame::Frame;
use crate::executor::row::operator::Operator;
use crate::executor::row::plan::{RowSource, Slot};
use crate::sql::tree::{ColumnId, CteId};
use crate::types::{Datum, Type};
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result as DfResult, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, StatisticsArgs,
};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use tokio::sync::mpsc;

/// Rows of a batch at most.
const BATCH_ROWS: usize = 8192;
/// Bytes of values from which a batch is full.
const BATCH_BYTES: usize = 1 << 20;

/// The row road's end: an operator whose rows go to a leaf.
pub(super) struct Source {
    operator: Box<dyn Operator>,
    columns: Vec<(Slot, Form)>,
    schema: SchemaRef,
    /// `None`: all has been sent, or nobody wants more.
    sender: Option<mpsc::Sender<RecordBatch>>,
    /// The batch under way.
    writers: Vec<Writer>,
    rows: usize,
    bytes: usize,
    /// Slots that the relation's own rows take too, and what the operator has in them.
    shared: Box<[Slot]>,
    kept: Vec<Datum>,
}

/// What [`Source::feed`] did.
pub(super) enum Fed {
    /// A batch has been sent, or the end.
    Sent,
    /// There is no room, or no more to send.
    Idle,
    /// A value has no place in its column's form: the relation begins again on the row road.
    Broken,
}

impl Source {
    /// Both ends of a part's way. `bell` is rung when a batch has been taken.
    pub(super) fn new(
        plan: &RowSource,
        operator: Box<dyn Operator>,
        types: &[Type],
        bell: Arc<dyn Fn() + Send + Sync>,
    ) -> (Source, Rows) {
        let leaf = Rows::unconnected(plan, types);
        let (sender, receiver) = mpsc::channel(2);
        let columns = leaf.columns.iter().map(|(column, form)| (column.0, *form)).collect();
        let source = Source {
            operator,
            columns,
            schema: leaf.schema.clone(),
            sender: Some(sender),
            writers: Vec::new(),
            rows: 0,
            bytes: 0,
            shared: plan.shared.clone(),
            kept: Vec::new(),
        };
        *leaf.channel.lock() = Some(Channel { receiver, bell });
        (source, leaf)
    }

    /// Sends a batch if there is room for it. `Err` may be a wait or a pause: call again.
    pub(super) fn feed(&mut self, f: &mut Frame) -> Result<Fed> {
        let Some(sender) = self.sender.clone() else { return Ok(Fed::Idle) };
        let room = match sender.try_reserve() {
            Ok(room) => room,
            Err(mpsc::error::TrySendError::Full(())) => return Ok(Fed::Idle),
            Err(mpsc::error::TrySendError::Closed(())) => {
                self.sender = None;
                return Ok(Fed::Sent);
            }
        };
        if !self.kept.is_empty() {
            f.restore(&self.shared, &self.kept);
        }
        let filled = self.fill(f);
        self.kept.clear();
        f.save(&self.shared, &mut self.kept);
        let more = match filled {
            Ok(Some(more)) => more,
            Ok(None) => return Ok(Fed::Broken),
            Err(error) => return Err(error),
        };
        if self.rows > 0 {
            room.send(self.batch()?);
        }
        if !more {
            self.sender = None;
        }
        Ok(Fed::Sent)
    }

    /// Fills the batch under way; `false`: the operator has no more rows. `None`: a value has no place.
    fn fill(&mut self, f: &mut Frame) -> Result<Option<bool>> {
        while self.rows < BATCH_ROWS && self.bytes < BATCH_BYTES {
            if !self.operator.next(f)? {
                return Ok(Some(false));
            }
            if self.writers.is_empty() {
                self.writers = self.columns.iter().map(|(_, form)| Writer::new(*form, 64)).collect();
            }
            for ((slot, _), writer) in self.columns.iter().zip(&mut self.writers) {
                let value = f.get(*slot);
                self.bytes += datum_bytes(value);
                if !writer.append(value)? {
                    return Ok(None);
                }
            }
            self.rows += 1;
        }
        Ok(Some(true))
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        let arrays = self.writers.drain(..).map(Writer::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|error| Error::internal(format!("rows made no batch: {error}")))
    }
}

/// The vector road's end: batches as they come.
struct Channel {
    receiver: mpsc::Receiver<RecordBatch>,
    bell: Arc<dyn Fn() + Send + Sync>,
}

impl Channel {
    fn take(&mut self, context: &mut std::task::Context<'_>) -> Poll<Option<RecordBatch>> {
        let taken = self.receiver.poll_recv(context);
        if let Poll::Ready(Some(_)) = taken {
            (self.bell)();
        }
        taken
    }
}

/// A part's rows as DataFusion reads them, once.
#[derive(Clone)]
pub(super) struct Rows {
    pub(super) number: CteId,
    pub(super) columns: Vec<(ColumnId, Form)>,
    /// See [`RowSource::raises`].
    pub(super) raises: bool,
    rows: f64,
    schema: SchemaRef,
    /// Of `schema`, the columns that are read.
    projection: Option<Vec<usize>>,
    channel: Arc<Mutex<Option<Channel>>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl Rows {
    /// A leaf that nothing feeds: for EXPLAIN.
    pub(super) fn unconnected(plan: &RowSource, types: &[Type]) -> Rows {
        let form = |column: &ColumnId| (*column, Form::of(types[column.0 as usize]));
        let columns: Vec<_> = plan.columns.iter().map(form).collect();
        let schema = schema(columns.iter().map(|(column, form)| (super::expression::name(*column), *form)));
        Rows {
            number: plan.cte,
            columns,
            raises: plan.raises,
            rows: plan.node.estimate.rows,
            properties: properties(&schema),
            schema,
            projection: None,
            channel: Arc::default(),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    fn projected(&self) -> DfResult<SchemaRef> {
        Ok(match &self.projection {
            Some(kept) => Arc::new(self.schema.project(kept)?),
            None => self.schema.clone(),
        })
    }
}

fn properties(schema: &SchemaRef) -> Arc<PlanProperties> {
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(schema.clone()),
        Partitioning::UnknownPartitioning(1),
        EmissionType::Incremental,
        Boundedness::Bounded,
    ))
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows({})", self.number.0)
    }
}

impl DisplayAs for Rows {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows of part {}", self.number.0)
    }
}

#[async_trait::async_trait]
impl TableProvider for Rows {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let mut leaf = Rows { projection: projection.cloned(), ..self.clone() };
        leaf.properties = properties(&leaf.projected()?);
        Ok(Arc::new(leaf))
    }
}

impl ExecutionPlan for Rows {
    fn name(&self) -> &str {
        "Rows"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let Some(mut channel) = self.channel.lock().take() else {
            // A join that has run out of memory begins anew: what has been read is gone.
            return Err(DataFusionError::ResourcesExhausted("a part's rows cannot be read twice".to_owned()));
        };
        let (schema, projection) = (self.projected()?, self.projection.clone());
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let batches = futures_util::stream::poll_fn(move |context| {
            let taken = channel.take(context).map(|batch| {
                batch.map(|batch| match &projection {
                    Some(kept) => batch.project(kept).map_err(DataFusionError::from),
                    None => Ok(batch),
                })
            });
            metrics.record_poll(taken)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> DfResult<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&*self.projected()?);
        statistics.num_rows = Precision::Inexact(self.rows.max(1.0) as usize);
        Ok(Arc::new(statistics))
    }
}
