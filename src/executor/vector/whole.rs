//! Aggregates over whole groups, by the row road's code.
//!
//! A group's rows meet in one place and no partial states are merged, so that a result is what the row road's is, to the last
//! bit of a float. [`WholeGroups`] plans such groupings in one step: input partitioned by the keys, each partition grouped for
//! itself. Where the result hangs on the order of rows ([`hangs_on_order`]) the relation runs in one partition, so
//! that rows come in the order in which the table holds them: float sums would otherwise change with every run.
//!
//! What does not fit work_mem is not spilled here: the row road takes the relation over, and spills.

use super::aggregate::{One, States};
use super::error::external;
use super::form::{Form, Writer};
use crate::error::Error;
use crate::executor::StatementContext;
use crate::executor::functions::Accumulator as RowAccumulator;
use crate::executor::functions::aggregate::{Constructor, SortOrder, Start, aggregate};
use crate::executor::memory::datum_bytes;
use crate::executor::row::gather::Feed;
use crate::interrupt;
use crate::sql::tree::AggregateCall;
use crate::types::{Datum, Oid, Type, oid};
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_schema::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Any aggregate of the row road, with DISTINCT and ORDER BY inside the call.
#[derive(Clone)]
pub(crate) struct RowAggregate {
    number: u64,
    name: String,
    signature: Signature,
    result: Form,
    spec: Arc<Spec>,
}

/// What groups are made from.
struct Spec {
    make: Constructor,
    args: Vec<Type>,
    direct: Vec<Datum>,
    /// Forms of what comes: order values, then arguments.
    inputs: Vec<Form>,
    feed: Feed,
    /// A state holds all that it was given.
    collects: bool,
    result: Form,
    ctx: StatementContext,
}

same_by_number!(RowAggregate);

impl RowAggregate {
    /// `None`: not implemented on either road, or without a form for its result.
    pub(crate) fn new(
        call: &AggregateCall,
        direct: Vec<Datum>,
        inputs: Vec<Form>,
        ctx: StatementContext,
    ) -> Option<RowAggregate> {
        let ordered_set = call.args.is_empty();
        let args: Vec<Type> = match ordered_set {
            true => call.order.iter().map(|key| key.expr.ty).collect(),
            false => call.args.iter().map(|arg| arg.ty).collect(),
        };
        let order = call.order.iter().map(|key| SortOrder { descending: key.descending, nulls_first: key.nulls_first });
        let feed = Feed { order: order.collect(), distinct: call.distinct, ordered_set };
        let result = Form::of_result(call.ty);
        if !Form::holds(call.ty) {
            return None;
        }
        let signature = Signature::exact(inputs.iter().map(|form| form.arrow()).collect(), Volatility::Immutable);
        let make = aggregate(call.name, &args)?;
        let collects = call.name.ends_with("_agg");
        Some(RowAggregate {
            number: super::next_number(),
            name: format!("row_{}", call.name),
            signature,
            result,
            spec: Arc::new(Spec { make, args, direct, inputs, feed, collects, result, ctx }),
        })
    }

    pub(crate) fn result(&self) -> Form {
        self.result
    }

    fn groups(&self) -> Groups {
        Groups { spec: self.spec.clone(), groups: Vec::new(), bytes: 0, values: Vec::new() }
    }
}

/// Whether the result hangs on the order of a group's rows.
pub(crate) fn hangs_on_order(call: &AggregateCall) -> bool {
    match call.name {
        // Sorted by the argument alone, rows that tie are the same.
        "array_agg" if call.distinct && call.order.is_empty() => !Form::of(call.args[0].ty).is_ordered(),
        name => !sums_exactly(name, call.args.first().map_or(oid::UNKNOWN, |arg| arg.ty.oid)),
    }
}

/// Whether an aggregate's value is the same in whatever order it is given its rows.
pub(super) fn sums_exactly(name: &str, first: Oid) -> bool {
    match name {
        "count" | "bool_and" | "bool_or" | "every" | "bit_and" | "bit_or" | "bit_xor" | "regr_count" => true,
        // Of equal values that look different one is shown, whichever comes last.
        "min" | "max" => false,
        _ => matches!(first, oid::INT2 | oid::INT4 | oid::INT8 | oid::NUMERIC) && !name.ends_with("_agg"),
    }
}

impl fmt::Debug for RowAggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowAggregate({}, {})", self.name, self.number)
    }
}

impl AggregateUDFImpl for RowAggregate {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.arrow())
    }

    /// Nothing is ever put into it: [`WholeGroups`].
    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[state]", args.name), DataType::BinaryView, true))])
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One(self.groups())))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups()))
    }
}

/// The states of many groups.
struct Groups {
    spec: Arc<Spec>,
    groups: Vec<Group>,
    bytes: usize,
    /// The row under way.
    values: Vec<Datum>,
}

struct Group {
    accumulator: Box<dyn RowAccumulator>,
    /// Under DISTINCT or ORDER BY: order values and arguments, row after row.
    gathered: Vec<Datum>,
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} groups", self.groups.len())
    }
}

impl Groups {
    fn add(&mut self, row: usize, arrays: &[ArrayRef], group: usize) -> crate::error::Result<()> {
        self.values.clear();
        for (form, array) in self.spec.inputs.iter().zip(arrays) {
            self.values.push(form.value(array, row)?);
        }
        let group = &mut self.groups[group];
        let gathers = self.spec.feed.gathers();
        if gathers || self.spec.collects {
            self.bytes += self.values.iter().map(datum_bytes).sum::<usize>();
        }
        if gathers {
            group.gathered.append(&mut self.values);
            return Ok(());
        }
        group.accumulator.add(&self.spec.ctx.call, &self.values)
    }

    fn results(&self, mut groups: Vec<Group>) -> crate::error::Result<ArrayRef> {
        let mut writer = Writer::new(self.spec.result, groups.len());
        let (feed, call) = (&self.spec.feed, &self.spec.ctx.call);
        let width = self.spec.inputs.len();
        for (at, group) in groups.iter_mut().enumerate() {
            if at % 256 == 255 {
                interrupt::check()?;
            }
            if feed.gathers() {
                let (gathered, accumulator) = (&group.gathered, &mut *group.accumulator);
                feed.run(gathered.len() / width, |at| &gathered[at * width..(at + 1) * width], accumulator, call)?;
            }
            if !writer.append(&group.accumulator.result(call)?)? {
                return Err(Error::internal("an aggregate's value has no place in its form"));
            }
        }
        Ok(writer.finish())
    }

    fn watched<T>(&mut self, work: impl FnOnce(&mut Groups) -> crate::error::Result<T>) -> Result<T> {
        let cancel = self.spec.ctx.cancel.clone();
        interrupt::watching(&cancel, || work(self)).map_err(external)
    }
}

impl States for Groups {
    fn resize(&mut self, groups: usize) -> Result<()> {
        while self.groups.len() < groups {
            let start = Start { args: &self.spec.args, direct: &self.spec.direct, order: &self.spec.feed.order };
            let accumulator = (self.spec.make)(&start).map_err(external)?;
            self.groups.push(Group { accumulator, gathered: Vec::new() });
            self.bytes += 160;
        }
        Ok(())
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.resize(total_num_groups)?;
        self.watched(|groups| {
            for (row, group) in group_indices.iter().enumerate() {
                if row % 1024 == 0 {
                    interrupt::check()?;
                }
                if opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                    groups.add(row, values, *group)?;
                }
            }
            Ok(())
        })
    }

    fn merge_batch(&mut self, _: &[ArrayRef], _: &[usize], _: usize) -> Result<()> {
        Err(external(Error::internal("an aggregate over whole groups was given states")))
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let taken = emit_to.take_needed(&mut self.groups);
        self.bytes = if self.groups.is_empty() { 0 } else { self.bytes };
        self.watched(|groups| groups.results(taken))
    }

    /// Asked for where memory is short.
    fn state(&mut self, _: EmitTo) -> Result<Vec<ArrayRef>> {
        Err(DataFusionError::ResourcesExhausted("an aggregate over whole groups does not spill here".to_owned()))
    }

    fn convert_to_state(&self, _: &[ArrayRef], _: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        Err(external(Error::internal("an aggregate over whole groups was asked for states")))
    }

    fn size(&self) -> usize {
        self.bytes
    }
}

/// Plans groupings with a [`RowAggregate`] in one step instead of two.
#[derive(Debug)]
pub(super) struct WholeGroups;

impl PhysicalOptimizerRule for WholeGroups {
    fn name(&self) -> &str {
        "whole_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|plan| {
            let Some(last) = plan.downcast_ref::<AggregateExec>() else { return Ok(Transformed::no(plan)) };
            let Some(first) = last.input().downcast_ref::<AggregateExec>() else { return Ok(Transformed::no(plan)) };
            let two_steps = matches!(last.mode(), AggregateMode::Final | AggregateMode::FinalPartitioned)
                && *first.mode() == AggregateMode::Partial;
            let whole = |inner: &dyn Any| inner.is::<RowAggregate>();
            if !two_steps || !first.aggr_expr().iter().any(|call| whole(&**call.fun().inner())) {
                return Ok(Transformed::no(plan));
            }
            // A grouping set's groups are told by more than the keys' values.
            let partitioned = *last.mode() == AggregateMode::FinalPartitioned && !first.group_expr().has_grouping_set();
            let mode = if partitioned { AggregateMode::SinglePartitioned } else { AggregateMode::Single };
            let single = AggregateExec::try_new(
                mode,
                first.group_expr().clone(),
                first.aggr_expr().to_vec(),
                first.filter_expr().to_vec(),
                first.input().clone(),
                first.input_schema(),
            )?;
            Ok(Transformed::yes(Arc::new(single) as Arc<dyn ExecutionPlan>))
        })
        .data()
    }
}
