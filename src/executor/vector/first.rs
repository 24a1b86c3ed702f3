//! The value that a group met first: what is shown of equal values that look different (1.0 and 1.00, 1 month and 30 days).
//!
//! Where several threads read, it is the first of one of them.

use super::aggregate::{One, States};
use super::error::external;
use crate::error::Error;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array, new_null_array};
use arrow_schema::{DataType, Field, FieldRef};
use datafusion::arrow::compute::{interleave, take};
use datafusion::common::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};
use std::sync::Arc;

/// Any value of the group; the first one where rows come in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct First {
    input: DataType,
    signature: Signature,
}

impl First {
    pub(super) fn new(input: DataType) -> First {
        let signature = Signature::exact(vec![input.clone()], Volatility::Immutable);
        First { input, signature }
    }

    fn groups(&self) -> Groups {
        // What a group without rows has comes first.
        Groups { kept: vec![new_null_array(&self.input, 1)], places: Vec::new(), bytes: 0 }
    }
}

impl AggregateUDFImpl for First {
    fn name(&self) -> &str {
        "first"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.input.clone())
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[first]", args.name), self.input.clone(), true))])
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

/// The values of many groups.
#[derive(Debug)]
struct Groups {
    /// Of each batch, the values that were the first of a group.
    kept: Vec<ArrayRef>,
    /// By group: the array and the row in it.
    places: Vec<(usize, usize)>,
    bytes: usize,
}

/// A view array holds on to the whole batch that it was taken from: its values are copied out.
fn compact(array: ArrayRef) -> ArrayRef {
    if let Some(texts) = array.as_string_view_opt() {
        return Arc::new(texts.gc());
    }
    match array.as_binary_view_opt() {
        Some(bytes) => Arc::new(bytes.gc()),
        None => array,
    }
}

/// A group that has met no row.
const NONE: (usize, usize) = (0, 0);

impl States for Groups {
    fn resize(&mut self, groups: usize) -> Result<()> {
        self.places.resize(groups.max(self.places.len()), NONE);
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
        let mut rows: Vec<u32> = Vec::new();
        for (row, group) in group_indices.iter().enumerate() {
            let passes = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if passes && self.places[*group] == NONE {
                self.places[*group] = (self.kept.len(), rows.len());
                rows.push(row as u32);
            }
        }
        if !rows.is_empty() {
            let first = compact(take(&values[0], &UInt32Array::from(rows), None)?);
            self.bytes += first.get_array_memory_size();
            self.kept.push(first);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.update_batch(states, group_indices, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let places = emit_to.take_needed(&mut self.places);
        let kept: Vec<&dyn Array> = self.kept.iter().map(|array| &**array).collect();
        let given = interleave(&kept, &places)?;
        if self.places.is_empty() {
            self.kept.truncate(1);
            self.bytes = 0;
        }
        Ok(given)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    /// Every row a group of its own.
    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        match opt_filter {
            None => Ok(values.to_vec()),
            Some(_) => Err(external(Error::internal("the first value of a group was asked for under a FILTER"))),
        }
    }

    fn size(&self) -> usize {
        self.bytes + self.places.capacity() * size_of::<(usize, usize)>()
    }
}
