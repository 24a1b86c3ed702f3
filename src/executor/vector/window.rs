//! Window functions, by the row road's code over whole partitions.
//!
//! A call is planned as DataFusion's window function ([`RowWindow`]), so that its optimizer prunes columns around it; then
//! [`WholePartitions`] puts an operator of ours in place of DataFusion's, which would keep all of its input and account for
//! none of it. [`Partitions`] reads its input sorted by partition and order, keeps one partition at a time, and computes every
//! call over it.
//!
//! A partition beyond the statement's memory is not spilled here: the row road takes the relation over.

use super::error::external;
use super::form::{Form, Writer};
use super::watch::Cancel;
use crate::error::{Error, SqlState};
use crate::executor::StatementContext;
use crate::executor::functions::aggregate::SortOrder;
use crate::executor::memory::datum_bytes;
use crate::executor::window::{self, Frame};
use crate::interrupt;
use crate::types::{Datum, Oid, Type};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, SchemaRef};
use datafusion::arrow::compute::{SortOptions, concat_batches, partition};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{LimitEffect, PartitionEvaluator, Signature, Volatility, WindowUDFImpl};
use datafusion::physical_expr::window::StandardWindowExpr;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{WindowAggExec, WindowUDFExpr};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements, PlanProperties,
};
use futures_util::{Stream, StreamExt};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// What a call is computed by.
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) function: Oid,
    pub(super) aggregate: bool,
    pub(super) arg_types: Vec<Type>,
    /// Forms of the arguments.
    pub(super) inputs: Vec<Form>,
    /// Behind the arguments comes FILTER's condition.
    pub(super) filter: bool,
    /// Behind both comes the ORDER BY key, in this form: the frame has an offset from it.
    pub(super) key: Option<Form>,
    pub(super) frame: Frame,
    /// Of the first ORDER BY key.
    pub(super) order: Option<SortOrder>,
    pub(super) result: Form,
    pub(super) ctx: StatementContext,
}

/// A window function of the row road.
#[derive(Clone)]
pub(super) struct RowWindow {
    number: u64,
    signature: Signature,
    spec: Arc<Spec>,
}

same_by_number!(RowWindow);

impl RowWindow {
    pub(super) fn new(spec: Spec) -> RowWindow {
        let filter = spec.filter.then_some(DataType::Boolean);
        let inputs = spec.inputs.iter().map(|form| form.arrow()).chain(filter).chain(spec.key.map(Form::arrow));
        let inputs: Vec<DataType> = inputs.collect();
        let signature = match inputs.len() {
            0 => Signature::nullary(Volatility::Immutable),
            _ => Signature::exact(inputs, Volatility::Immutable),
        };
        RowWindow { number: super::next_number(), signature, spec: Arc::new(spec) }
    }

    pub(super) fn result(&self) -> Form {
        self.spec.result
    }
}

impl fmt::Debug for RowWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowWindow({}, {})", self.spec.name, self.number)
    }
}

impl WindowUDFImpl for RowWindow {
    fn name(&self) -> &str {
        self.spec.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(&self, _: PartitionEvaluatorArgs<'_>) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Planned))
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), self.spec.result.arrow(), true)))
    }

    fn limit_effect(&self, _: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::Unknown
    }
}

/// Asked for when a plan is made; [`WholePartitions`] leaves none to be run.
#[derive(Debug)]
struct Planned;

impl PartitionEvaluator for Planned {
    fn evaluate_all(&mut self, _: &[ArrayRef], _: usize) -> Result<ArrayRef> {
        Err(external(Error::internal("a window function was left to DataFusion")))
    }
}

/// Puts [`Partitions`] in place of DataFusion's window operator.
#[derive(Debug)]
pub(super) struct WholePartitions;

impl PhysicalOptimizerRule for WholePartitions {
    fn name(&self) -> &str {
        "whole_partitions"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|plan| {
            let Some(windows) = plan.downcast_ref::<WindowAggExec>() else { return Ok(Transformed::no(plan)) };
            let mut calls = Vec::with_capacity(windows.window_expr().len());
            for planned in windows.window_expr() {
                let own = planned.as_any().downcast_ref::<StandardWindowExpr>().and_then(|standard| {
                    let function = standard.get_standard_func_expr().as_any().downcast_ref::<WindowUDFExpr>()?;
                    let row = function.fun().inner().downcast_ref::<RowWindow>()?;
                    Some((row.spec.clone(), function.args().to_vec()))
                });
                match own {
                    Some(call) => calls.push(call),
                    None => return Err(external(Error::internal("a window function that is not ours"))),
                }
            }
            let Some(first) = windows.window_expr().first() else { return Ok(Transformed::no(plan)) };
            let (keys, order) = (first.partition_by().to_vec(), first.order_by().to_vec());
            let operator = Partitions::new(windows.input().clone(), keys, order, calls, windows.schema());
            Ok(Transformed::yes(Arc::new(operator) as Arc<dyn ExecutionPlan>))
        })
        .data()
    }
}

type PlannedCall = (Arc<Spec>, Vec<Arc<dyn PhysicalExpr>>);

/// The operator: its input's columns, then one per call.
#[derive(Clone)]
struct Partitions {
    input: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    order: Vec<PhysicalSortExpr>,
    calls: Vec<PlannedCall>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl Partitions {
    fn new(
        input: Arc<dyn ExecutionPlan>,
        keys: Vec<Arc<dyn PhysicalExpr>>,
        order: Vec<PhysicalSortExpr>,
        calls: Vec<PlannedCall>,
        schema: SchemaRef,
    ) -> Partitions {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Partitions { input, keys, order, calls, schema, properties: Arc::new(properties), metrics }
    }

    fn names(&self) -> String {
        self.calls.iter().map(|(spec, _)| spec.name).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Debug for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partitions({})", self.names())
    }
}

impl DisplayAs for Partitions {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Window: {}", self.names())?;
        for (i, key) in self.keys.iter().enumerate() {
            write!(f, "{}{key}", if i == 0 { " partition by " } else { ", " })?;
        }
        for (i, key) in self.order.iter().enumerate() {
            write!(f, "{}{key}", if i == 0 { " order by " } else { ", " })?;
        }
        Ok(())
    }
}

impl ExecutionPlan for Partitions {
    fn name(&self) -> &str {
        "Window"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![match self.keys.is_empty() {
            true => Distribution::SinglePartition,
            false => Distribution::KeyPartitioned(self.keys.clone()),
        }])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let by_key = |key: &Arc<dyn PhysicalExpr>| PhysicalSortExpr::new(key.clone(), SortOptions::default());
        let sorts = self.keys.iter().map(by_key).chain(self.order.iter().cloned());
        vec![LexOrdering::new(sorts).map(OrderingRequirements::from)]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop() else { return Ok(self) };
        let (keys, order, calls) = (self.keys.clone(), self.order.clone(), self.calls.clone());
        Ok(Arc::new(Partitions::new(input, keys, order, calls, self.schema.clone())))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let order = self.order.iter().map(|key| &key.expr);
        for expr in self.keys.iter().chain(order).chain(self.calls.iter().flat_map(|(_, args)| args)) {
            if let TreeNodeRecursion::Stop = f(expr)? {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let run = Run {
            reservation: MemoryConsumer::new("Window").register(context.memory_pool()),
            keys: self.keys.clone(),
            order: self.order.iter().map(|key| key.expr.clone()).collect(),
            calls: self.calls.clone(),
            schema: self.schema.clone(),
            metrics: BaselineMetrics::new(&self.metrics, partition),
            open: Vec::new(),
        };
        let input = self.input.execute(partition, context)?;
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), run.stream(input))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// One stream of partitions under way.
struct Run {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    order: Vec<Arc<dyn PhysicalExpr>>,
    calls: Vec<PlannedCall>,
    schema: SchemaRef,
    metrics: BaselineMetrics,
    reservation: MemoryReservation,
    /// The rows of the partition that may go on, and of none before it.
    open: Vec<RecordBatch>,
}

impl Run {
    fn stream(self, input: SendableRecordBatchStream) -> impl Stream<Item = Result<RecordBatch>> {
        futures_util::stream::unfold((self, Some(input)), |(mut run, mut input)| async move {
            loop {
                let batch = match input.as_mut()?.next().await {
                    Some(Ok(batch)) if batch.num_rows() == 0 => continue,
                    Some(Ok(batch)) => Some(batch),
                    Some(Err(error)) => return Some((Err(error), (run, None))),
                    None => {
                        input = None;
                        None
                    }
                };
                match run.take(batch) {
                    Ok(Some(given)) => {
                        run.metrics.record_output(given.num_rows());
                        return Some((Ok(given), (run, input)));
                    }
                    Ok(None) => {}
                    Err(error) => return Some((Err(error), (run, None))),
                }
            }
        })
    }

    /// Adds a batch, `None` at the end of the input; gives the partitions that are complete with it.
    fn take(&mut self, batch: Option<RecordBatch>) -> Result<Option<RecordBatch>> {
        let time = self.metrics.elapsed_compute().clone();
        let _timer = time.timer();
        let rest = match batch {
            Some(batch) => {
                let split = self.complete(&batch)?;
                if split > 0 {
                    self.open.push(batch.slice(0, split));
                }
                self.reservation.try_grow(bytes_of(&batch))?;
                if split == 0 && !self.goes_on(&batch)? {
                    Some(batch)
                } else if split == 0 {
                    self.open.push(batch);
                    return Ok(None);
                } else {
                    Some(batch.slice(split, batch.num_rows() - split))
                }
            }
            None => None,
        };
        if self.open.is_empty() {
            self.open.extend(rest);
            return Ok(None);
        }
        let whole = concat_batches(self.open[0].schema_ref(), &self.open)?;
        self.open.clear();
        let computed = self.compute(&whole)?;
        drop(whole);
        self.reservation.free();
        if let Some(rest) = rest {
            self.reservation.try_grow(bytes_of(&rest))?;
            self.open.push(rest);
        }
        Ok(Some(computed))
    }

    fn evaluate(exprs: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        exprs.iter().map(|expr| expr.evaluate(batch)?.into_array(batch.num_rows())).collect()
    }

    fn ranges(arrays: &[ArrayRef], rows: usize) -> Result<Vec<Range<usize>>> {
        match arrays.is_empty() {
            true => Ok(std::iter::once(0..rows).collect()),
            false => Ok(partition(arrays)?.ranges()),
        }
    }

    /// Where a batch's last partition begins.
    fn complete(&self, batch: &RecordBatch) -> Result<usize> {
        let ranges = Self::ranges(&Self::evaluate(&self.keys, batch)?, batch.num_rows())?;
        Ok(ranges.last().map_or(0, |last| last.start))
    }

    /// Whether the partition that is open goes on in a batch.
    fn goes_on(&self, batch: &RecordBatch) -> Result<bool> {
        let Some(last) = self.open.last() else { return Ok(true) };
        if self.keys.is_empty() {
            return Ok(true);
        }
        let pair = [last.slice(last.num_rows() - 1, 1), batch.slice(0, 1)];
        let pair = concat_batches(batch.schema_ref(), &pair)?;
        Ok(Self::ranges(&Self::evaluate(&self.keys, &pair)?, 2)?.len() == 1)
    }

    /// Computes all calls over whole partitions.
    fn compute(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut sorted_by = Self::evaluate(&self.keys, batch)?;
        let partitions = Self::ranges(&sorted_by, rows)?;
        // Without an order all rows of a partition are peers.
        let peers = match self.order.is_empty() {
            true => partitions.clone(),
            false => {
                sorted_by.extend(Self::evaluate(&self.order, batch)?);
                Self::ranges(&sorted_by, rows)?
            }
        };
        let mut columns = batch.columns().to_vec();
        for (spec, args) in &self.calls {
            let mut arrays = Self::evaluate(args, batch)?;
            let key = if spec.key.is_some() { arrays.pop() } else { None };
            let filter = match spec.filter {
                true => arrays.pop().and_then(|array| array.as_boolean_opt().cloned()),
                false => None,
            };
            let mut writer = Writer::new(spec.result, rows);
            let column = || column(spec, &arrays, filter.as_ref(), key.as_ref(), &partitions, &peers, &mut writer);
            Cancel::of(&spec.ctx).watching(column).map_err(failed)?;
            columns.push(writer.finish());
        }
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

/// Computes one call over whole partitions.
fn column(
    spec: &Spec,
    arrays: &[ArrayRef],
    filter: Option<&BooleanArray>,
    key: Option<&ArrayRef>,
    partitions: &[Range<usize>],
    peers: &[Range<usize>],
    writer: &mut Writer,
) -> crate::error::Result<()> {
    let mut reservation = crate::executor::memory::Reservation::new(&spec.ctx.memory);
    let mut group = 0;
    let mut groups = Vec::new();
    for range in partitions {
        groups.clear();
        while let Some(peer) = peers.get(group).filter(|peer| peer.start < range.end) {
            groups.push(peer.start - range.start);
            group += 1;
        }
        groups.push(range.len());
        let part = Part::new(spec, arrays, filter, key, range.clone())?;
        reservation.grow(part.bytes())?;
        let call = window::Call {
            name: spec.name,
            function: spec.function,
            aggregate: spec.aggregate,
            arg_types: &spec.arg_types,
            frame: &spec.frame,
            order: spec.order,
        };
        window::compute(call, &part, &groups, &spec.ctx.call, &mut |value| match writer.append(&value)? {
            true => Ok(()),
            false => Err(Error::internal("a window function's value has no place in its form")),
        })?;
        reservation.clear();
    }
    Ok(())
}

/// What a batch and its copy in one piece take: its values alone, since view arrays share buffers with other batches.
fn bytes_of(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter().map(|array| {
        let views = size_of::<u128>() * array.len();
        if let Some(texts) = array.as_string_view_opt() {
            return views + texts.total_buffer_bytes_used();
        }
        match array.as_binary_view_opt() {
            Some(bytes) => views + bytes.total_buffer_bytes_used(),
            None => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
        }
    });
    2 * columns.sum::<usize>()
}

/// Memory that is short sends the relation to the row road.
fn failed(error: Error) -> DataFusionError {
    match error.code() {
        SqlState::OutOfMemory => DataFusionError::ResourcesExhausted(error.report().message.clone()),
        _ => external(error),
    }
}

/// One partition as one call sees it.
struct Part<'a> {
    spec: &'a Spec,
    rows: usize,
    /// Row after row.
    args: Vec<Datum>,
    keys: Vec<Datum>,
    /// FILTER's condition, from `start` on.
    filter: Option<&'a BooleanArray>,
    start: usize,
}

impl<'a> Part<'a> {
    fn new(
        spec: &'a Spec,
        arrays: &[ArrayRef],
        filter: Option<&'a BooleanArray>,
        key: Option<&ArrayRef>,
        range: Range<usize>,
    ) -> crate::error::Result<Part<'a>> {
        let mut args = Vec::with_capacity(range.len() * arrays.len());
        for row in range.clone() {
            if row % 1024 == 0 {
                interrupt::check()?;
            }
            for (form, array) in spec.inputs.iter().zip(arrays) {
                args.push(form.value(array, row)?);
            }
        }
        let keys = match (spec.key, key) {
            (Some(form), Some(array)) => range.clone().map(|row| form.value(array, row)).collect::<Result<_, _>>()?,
            _ => Vec::new(),
        };
        Ok(Part { spec, rows: range.len(), args, keys, filter, start: range.start })
    }

    fn bytes(&self) -> usize {
        self.args.iter().chain(&self.keys).map(datum_bytes).sum()
    }
}

impl window::Rows for Part<'_> {
    fn len(&self) -> usize {
        self.rows
    }

    fn args(&self, row: usize) -> &[Datum] {
        let width = self.spec.inputs.len();
        &self.args[row * width..(row + 1) * width]
    }

    fn passes(&self, row: usize) -> bool {
        let at = self.start + row;
        self.filter.is_none_or(|filter| filter.is_valid(at) && filter.value(at))
    }

    fn key(&self, row: usize) -> &Datum {
        self.keys.get(row).unwrap_or(&Datum::Null)
    }

    fn check_cancel(&self) -> crate::error::Result<()> {
        interrupt::check()
    }
}
