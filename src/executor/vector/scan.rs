//! A table as DataFusion reads it: row pages as record batches.
//!
//! Partitions take *morsels*, ranges of row ids, from one counter (Leis et al. 2014), so that none is left with the long end.
//! A morsel's rows are copied out of storage in batches; what the conditions read is decoded first, the rest for the rows
//! that pass. All partitions read by the statement's one snapshot, which sees the transaction's own changes too.

use super::error::external;
use super::form::Form;
use crate::catalog::image::Relation;
use crate::error::Error;
use crate::executor::StatementContext;
use crate::types::{Type, oid};
use arrow_array::builder::Int64Builder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, StatisticsArgs,
};
use futures_util::Stream;
use lightning_storage::{ColumnNo, Isolation, ObjectId, RowBuffer, RowId, Transaction};
use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

/// Row ids that a partition takes at a time.
const MORSEL_ROWS: u64 = 16_384;
/// Rows of a batch at most.
const BATCH_ROWS: usize = 8192;

/// What a scan column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A stored column.
    Stored(ColumnNo),
    /// The row id, as int8.
    RowId,
}

/// One column that a scan gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) source: Source,
    pub(crate) form: Form,
}

/// A table with what a statement reads of it.
pub(crate) struct Table {
    pub(crate) relation: Arc<Relation>,
    pub(crate) table: ObjectId,
    pub(crate) columns: Vec<Column>,
    pub(crate) schema: SchemaRef,
    pub(crate) rows: f64,
    pub(crate) ctx: StatementContext,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({})", self.relation.name)
    }
}

#[async_trait::async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (columns, schema) = match projection {
            Some(kept) => {
                let columns = kept.iter().map(|at| self.columns[*at]).collect();
                (columns, Arc::new(self.schema.project(kept)?))
            }
            None => (self.columns.clone(), self.schema.clone()),
        };
        let partitions = state.config().target_partitions();
        Ok(Arc::new(Scan::new(self, columns, schema, Vec::new(), partitions)?))
    }
}

/// The scan operator.
#[derive(Clone)]
pub(crate) struct Scan {
    name: String,
    table: ObjectId,
    columns: Vec<Column>,
    schema: SchemaRef,
    /// Conjuncts over `schema`, in order: those over numbers alone come first, texts are decoded for the rows that are left.
    filters: Vec<Arc<dyn PhysicalExpr>>,
    rows: usize,
    /// The next row id to be taken, and the end.
    next: Arc<AtomicU64>,
    end: u64,
    /// By partition: it is being read, or has been.
    begun: Arc<[AtomicBool]>,
    ctx: StatementContext,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl Scan {
    fn new(
        of: &Table,
        columns: Vec<Column>,
        schema: SchemaRef,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        partitions: usize,
    ) -> Result<Scan> {
        let end = of
            .ctx
            .with_transaction(|transaction| Ok::<_, Error>(transaction.row_id_bound(of.table).0))
            .map_err(external)?;
        let partitions = partitions.min(usize::try_from(end / MORSEL_ROWS + 1).unwrap_or(usize::MAX)).max(1);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Scan {
            name: of.relation.name.to_string(),
            table: of.table,
            columns,
            schema,
            filters,
            rows: of.rows as usize,
            next: Arc::new(AtomicU64::new(1)),
            end,
            begun: (0..partitions).map(|_| AtomicBool::new(false)).collect(),
            ctx: of.ctx.clone(),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scan({})", self.name)
    }
}

impl DisplayAs for Scan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scan on {}", self.name)?;
        for (i, filter) in self.filters.iter().enumerate() {
            write!(f, "{} {filter}", if i == 0 { " where" } else { " and" })?;
        }
        Ok(())
    }
}

impl ExecutionPlan for Scan {
    fn name(&self) -> &str {
        "Scan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for filter in &self.filters {
            if let TreeNodeRecursion::Stop = f(filter)? {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if self.begun[partition].swap(true, Ordering::Relaxed) {
            // A join that has run out of memory begins anew: the morsels that were taken are gone.
            return Err(DataFusionError::ResourcesExhausted("a scan cannot be read twice".to_owned()));
        }
        Ok(Box::pin(Morsels::new(self, BaselineMetrics::new(&self.metrics, partition))?))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Inexact(self.rows);
        Ok(Arc::new(statistics))
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        pushed: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let mut scan = self.clone();
        let all = vec![PushedDown::Yes; pushed.parent_filters.len()];
        scan.filters.extend(pushed.parent_filters.into_iter().map(|filter| filter.filter));
        scan.filters.sort_by_key(|filter| {
            let columns = collect_columns(filter);
            columns.iter().filter(|column| !scan.schema.field(column.index()).data_type().is_primitive()).count()
        });
        Ok(FilterPushdownPropagation::with_parent_pushdown_result(all).with_updated_node(Arc::new(scan)))
    }
}

/// One partition's stream.
struct Morsels {
    columns: Vec<Column>,
    schema: SchemaRef,
    /// Each over the columns that it reads (positions in `columns`, and their schema).
    filters: Vec<(Arc<dyn PhysicalExpr>, Vec<usize>, SchemaRef)>,
    table: ObjectId,
    next: Arc<AtomicU64>,
    end: u64,
    /// What is left of the morsel in hand.
    morsel: std::ops::Range<u64>,
    rows: RowBuffer,
    /// Reads by the statement's snapshot; nothing else of it is used.
    reader: Transaction,
    ctx: StatementContext,
    metrics: BaselineMetrics,
}

impl Morsels {
    fn new(scan: &Scan, metrics: BaselineMetrics) -> Result<Morsels> {
        let filters = scan.filters.iter().map(|filter| {
            let columns: BTreeSet<usize> = collect_columns(filter).iter().map(|column| column.index()).collect();
            let columns: Vec<usize> = columns.into_iter().collect();
            let schema: SchemaRef = Arc::new(scan.schema.project(&columns)?);
            Ok((reassign_expr_columns(filter.clone(), &schema)?, columns, schema))
        });
        Ok(Morsels {
            columns: scan.columns.clone(),
            schema: scan.schema.clone(),
            filters: filters.collect::<Result<_>>()?,
            table: scan.table,
            next: scan.next.clone(),
            end: scan.end,
            morsel: 0..0,
            rows: RowBuffer::new(),
            reader: scan.ctx.engine.begin(Isolation::ReadCommitted),
            ctx: scan.ctx.clone(),
            metrics,
        })
    }

    /// The next batch of rows that pass; `None` at the end.
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if self.ctx.cancel.load(Ordering::Relaxed) {
                return Err(external(Error::canceled()));
            }
            if self.morsel.is_empty() {
                let start = self.next.fetch_add(MORSEL_ROWS, Ordering::Relaxed);
                if start >= self.end {
                    return Ok(None);
                }
                self.morsel = start..(start + MORSEL_ROWS).min(self.end);
            }
            self.rows.clear();
            let range = RowId(self.morsel.start)..RowId(self.morsel.end);
            self.morsel.start =
                match self.reader.scan(&self.ctx.snapshot, self.table, range, BATCH_ROWS, &mut self.rows) {
                    Ok(Some(next)) => next.0,
                    Ok(None) => self.morsel.end,
                    // For a page: these threads may block.
                    Err(lightning_storage::Error::Wait(waiter)) => {
                        waiter.block();
                        continue;
                    }
                    Err(error) => return Err(external(error.into())),
                };
            if let Some(batch) = self.decode()? {
                return Ok(Some(batch));
            }
        }
    }

    /// The rows in hand that pass the filters; `None`: none does.
    fn decode(&self) -> Result<Option<RecordBatch>> {
        // Columns decoded, each for the rows that were left then.
        let mut selection: Option<Vec<u32>> = None;
        let mut decoded: Vec<Option<ArrayRef>> = vec![None; self.columns.len()];
        for (filter, columns, schema) in &self.filters {
            for at in columns {
                if decoded[*at].is_none() {
                    decoded[*at] = Some(self.column(*at, selection.as_deref())?);
                }
            }
            let arrays = columns.iter().filter_map(|at| decoded[*at].clone()).collect();
            let len = selection.as_ref().map_or(self.rows.len(), Vec::len);
            let options = RecordBatchOptions::new().with_row_count(Some(len));
            let batch = RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?;
            let passed = filter.evaluate(&batch)?.into_array(len)?;
            let passed = passed
                .as_boolean_opt()
                .ok_or_else(|| DataFusionError::Internal("a condition of a scan is no bool".to_owned()))?;
            if passed.true_count() == len {
                continue;
            }
            selection = Some(narrow(selection.as_deref(), passed));
            if selection.as_ref().is_some_and(Vec::is_empty) {
                return Ok(None);
            }
            for array in decoded.iter_mut().flatten() {
                *array = datafusion::arrow::compute::filter(array, passed)?;
            }
        }
        let len = selection.as_ref().map_or(self.rows.len(), Vec::len);
        if len == 0 {
            return Ok(None);
        }
        let arrays = decoded.into_iter().enumerate().map(|(at, array)| match array {
            Some(array) => Ok(array),
            None => self.column(at, selection.as_deref()),
        });
        let options = RecordBatchOptions::new().with_row_count(Some(len));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays.collect::<Result<_>>()?, &options)?;
        Ok(Some(batch))
    }

    fn column(&self, at: usize, selection: Option<&[u32]>) -> Result<ArrayRef> {
        let column = self.columns[at];
        match column.source {
            Source::Stored(number) => {
                let text = matches!(column.form, Form::Stored(ty) if is_text(ty));
                self.rows.column(number, text, selection).map_err(|error| external(error.into()))
            }
            Source::RowId => {
                let len = selection.map_or(self.rows.len(), <[u32]>::len);
                let mut ids = Int64Builder::with_capacity(len);
                for i in 0..len {
                    ids.append_value(self.rows.row_id(selection.map_or(i, |rows| rows[i] as usize)).0 as i64);
                }
                Ok(Arc::new(ids.finish()))
            }
        }
    }
}

fn is_text(ty: Type) -> bool {
    matches!(super::form::Form::Stored(ty).arrow(), arrow_schema::DataType::Utf8View) && ty.oid != oid::BYTEA
}

/// The positions that passed.
fn narrow(selection: Option<&[u32]>, passed: &BooleanArray) -> Vec<u32> {
    let set = match passed.nulls() {
        Some(nulls) => passed.values() & nulls.inner(),
        None => passed.values().clone(),
    };
    let at = |i: usize| selection.map_or(i as u32, |rows| rows[i]);
    set.set_indices().map(at).collect()
}

impl Stream for Morsels {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let time = self.metrics.elapsed_compute().clone();
        let _timer = time.timer();
        let polled = Poll::Ready(self.batch().transpose());
        self.metrics.record_poll(polled)
    }
}

impl RecordBatchStream for Morsels {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// The schema of columns with generated names.
pub(crate) fn schema(columns: impl IntoIterator<Item = (String, Form)>) -> SchemaRef {
    let fields = columns.into_iter().map(|(name, form)| arrow_schema::Field::new(name, form.arrow(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
