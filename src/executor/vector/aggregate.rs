//! sum and avg of numbers that share a scale: exact, in an i128 per group.
//!
//! Wide numerics are summed one by one ([`WideGroups`]), with the scale that PostgreSQL's sum has: the largest met.
//!
//! A group's state is its sum and its count. A sum beyond 38 digits or a NaN is a
//! [broken assumption](super::error::BrokenAssumption); sum of int2 and int4 is an int8, beyond which it is 22003.

use super::error::{broken, external};
use super::form::{DECIMAL_DIGITS, Form, WIDE, Writer};
use crate::error::Error;
use crate::types::numeric::{Numeric, out_of_range};
use crate::types::{Datum, Type, oid};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Decimal128Array, Int64Array};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};
use std::sync::Arc;

const DECIMAL_LIMIT: u128 = 10u128.pow(DECIMAL_DIGITS as u32);

/// sum or avg.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sum {
    average: bool,
    input: Form,
    scale: u8,
    result: Form,
    signature: Signature,
}

impl Sum {
    /// `None`: not over values of this form.
    pub(crate) fn new(average: bool, input: Form) -> Option<Sum> {
        let scale = match input {
            Form::Stored(ty) if matches!(ty.oid, oid::INT2 | oid::INT4 | oid::INT8) => 0,
            Form::Stored(ty) if ty.oid == oid::NUMERIC && input.as_scaled().is_none() => 0,
            _ => input.scale()?,
        };
        let result = match input {
            _ if average || input.oid() == oid::NUMERIC && input.scale().is_none() => WIDE,
            Form::Stored(ty) if matches!(ty.oid, oid::INT2 | oid::INT4) => Form::Stored(Type::new(oid::INT8)),
            _ => Form::Decimal(scale),
        };
        let signature = Signature::exact(vec![input.arrow()], Volatility::Immutable);
        Some(Sum { average, input, scale, result, signature })
    }

    pub(crate) fn result(&self) -> Form {
        self.result
    }

    fn is_wide(&self) -> bool {
        self.input.oid() == oid::NUMERIC && self.input.scale().is_none()
    }

    fn states(&self) -> Groups {
        Groups { of: self.clone(), sums: Vec::new(), counts: Vec::new(), long: false }
    }

    fn wide_states(&self) -> WideGroups {
        WideGroups { average: self.average, sums: Vec::new(), counts: Vec::new() }
    }
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        if self.average { "avg" } else { "sum" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.result.arrow())
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let form = if self.is_wide() { WIDE } else { Form::Decimal(self.scale) };
        let sum = Field::new(format!("{}[sum]", args.name), form.arrow(), true);
        let count = Field::new(format!("{}[count]", args.name), DataType::Int64, true);
        Ok(vec![Arc::new(sum), Arc::new(count)])
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(match self.is_wide() {
            true => Box::new(One(self.wide_states())),
            false => Box::new(One(self.states())),
        })
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(match self.is_wide() {
            true => Box::new(self.wide_states()),
            false => Box::new(self.states()),
        })
    }
}

/// The states of many groups.
#[derive(Debug)]
struct Groups {
    of: Sum,
    sums: Vec<i128>,
    counts: Vec<i64>,
    /// A number of [`SHORT_BITS`] bits or more has been added.
    long: bool,
}

/// Of numbers below 2 to this, no number of rows that there can be makes a sum of more than 38 digits.
const SHORT_BITS: u32 = 90;

/// A row's number, from any of the forms that can be summed.
enum Numbers<'a> {
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    /// Scaled: its largest is NaN.
    Scaled(&'a [i64]),
    Decimal(&'a [i128]),
}

impl Groups {
    fn numbers<'a>(&self, array: &'a ArrayRef) -> Result<Numbers<'a>> {
        Ok(match array.data_type() {
            DataType::Int16 => Numbers::Int16(array.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Numbers::Int32(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 if self.of.input.as_scaled().is_some() => {
                Numbers::Scaled(array.as_primitive::<Int64Type>().values())
            }
            DataType::Int64 => Numbers::Int64(array.as_primitive::<Int64Type>().values()),
            DataType::Decimal128(..) => Numbers::Decimal(array.as_primitive::<Decimal128Type>().values()),
            other => return Err(external(Error::internal(format!("a sum over {other}")))),
        })
    }

    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, 0);
        self.counts.resize(groups, 0);
    }

    #[inline(always)]
    fn add(
        &mut self,
        rows: usize,
        group: impl Fn(usize) -> usize,
        counts: impl Fn(usize) -> bool,
        value: impl Fn(usize) -> i128,
    ) {
        for row in 0..rows {
            if counts(row) {
                let group = group(row);
                // Each fits 64 bits: no number of rows that there can be reaches the end of an i128.
                self.sums[group] = self.sums[group].wrapping_add(value(row));
                self.counts[group] += 1;
            }
        }
    }

    /// Adds the rows that count.
    fn update(
        &mut self,
        values: &ArrayRef,
        group: impl Fn(usize) -> usize,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let rows = values.len();
        let filter = filter.map(|filter| match filter.nulls() {
            Some(nulls) => filter.values() & nulls.inner(),
            None => filter.values().clone(),
        });
        let valid = match (filter, values.nulls()) {
            (Some(filter), Some(nulls)) => Some(&filter & nulls.inner()),
            (Some(filter), None) => Some(filter),
            (None, nulls) => nulls.map(|nulls| nulls.inner().clone()),
        };
        let counts = |row: usize| valid.as_ref().is_none_or(|valid| valid.value(row));
        match self.numbers(values)? {
            Numbers::Int16(v) => self.add(rows, group, counts, |row| i128::from(v[row])),
            Numbers::Int32(v) => self.add(rows, group, counts, |row| i128::from(v[row])),
            Numbers::Int64(v) => self.add(rows, group, counts, |row| i128::from(v[row])),
            Numbers::Scaled(v) => {
                let any = v.iter().fold(false, |any, v| any | (*v == i64::MAX));
                if any && (0..rows).any(|row| v[row] == i64::MAX && counts(row)) {
                    return Err(broken());
                }
                match valid {
                    None => self.add(rows, group, |_| true, |row| i128::from(v[row])),
                    Some(_) => self.add(rows, group, counts, |row| i128::from(v[row])),
                }
            }
            Numbers::Decimal(v) => {
                let bits = v.iter().fold(0, |bits, value| bits | (value ^ (value >> 127)).cast_unsigned());
                self.long |= bits >= 1 << SHORT_BITS;
                if !self.long {
                    match valid {
                        None => self.add(rows, group, |_| true, |row| v[row]),
                        Some(_) => self.add(rows, group, counts, |row| v[row]),
                    }
                    return Ok(());
                }
                for (row, value) in v.iter().enumerate() {
                    if counts(row) {
                        self.add_long(group(row), *value)?;
                        self.counts[group(row)] += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds a number that may be as large as a sum.
    fn add_long(&mut self, group: usize, value: i128) -> Result<()> {
        let sum = self.sums[group].checked_add(value).filter(|sum| sum.unsigned_abs() < DECIMAL_LIMIT);
        self.sums[group] = sum.ok_or_else(broken)?;
        Ok(())
    }

    fn take(&mut self, emit: EmitTo) -> (Vec<i128>, Vec<i64>) {
        (emit.take_needed(&mut self.sums), emit.take_needed(&mut self.counts))
    }

    fn decimals(&self, sums: Vec<i128>, counts: &[i64]) -> Result<ArrayRef> {
        let nulls = NullBuffer::from_iter(counts.iter().map(|count| *count > 0));
        let array = Decimal128Array::new(sums.into(), Some(nulls));
        Ok(Arc::new(array.with_precision_and_scale(DECIMAL_DIGITS, self.of.scale as i8)?))
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
        self.resize(total_num_groups);
        self.update(&values[0], |row| group_indices[row], opt_filter)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.resize(total_num_groups);
        self.long = true;
        let sums = values[0].as_primitive::<Decimal128Type>();
        let counts = values[1].as_primitive::<Int64Type>();
        for (row, group) in group_indices.iter().enumerate() {
            if sums.is_valid(row) {
                self.add_long(*group, sums.value(row))?;
                self.counts[*group] += counts.value(row);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (sums, counts) = self.take(emit_to);
        if self.of.average {
            let mut writer = Writer::new(WIDE, sums.len());
            for (sum, count) in sums.iter().zip(&counts) {
                let value = match count {
                    0 => Datum::Null,
                    count => {
                        let sum = Numeric::from_i128(*sum, u16::from(self.of.scale));
                        Datum::Numeric(sum.div(&Numeric::from(*count)).map_err(external)?)
                    }
                };
                writer.append(&value).map_err(external)?;
            }
            return Ok(writer.finish());
        }
        if let Form::Decimal(_) = self.of.result {
            return self.decimals(sums, &counts);
        }
        let sum = |(sum, count): (&i128, &i64)| match count {
            0 => Ok(None),
            _ => i64::try_from(*sum).map(Some).map_err(|_| external(out_of_range("bigint"))),
        };
        let sums: Int64Array = sums.iter().zip(&counts).map(sum).collect::<Result<Vec<_>>>()?.into();
        Ok(Arc::new(sums))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (sums, counts) = self.take(emit_to);
        if sums.iter().any(|sum| sum.unsigned_abs() >= DECIMAL_LIMIT) {
            return Err(broken());
        }
        Ok(vec![self.decimals(sums, &counts)?, Arc::new(Int64Array::from(counts))])
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        // Every row is a group of its own.
        let mut each = self.of.states();
        each.resize(values[0].len());
        each.update(&values[0], |row| row, opt_filter)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.counts.capacity() * size_of::<i64>()
    }
}

/// The states of many groups of wide numerics.
#[derive(Debug)]
struct WideGroups {
    average: bool,
    sums: Vec<Numeric>,
    counts: Vec<i64>,
}

impl WideGroups {
    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, Numeric::from(0));
        self.counts.resize(groups, 0);
    }

    fn add(&mut self, group: usize, value: &Datum, count: i64) -> Result<()> {
        if let Datum::Numeric(value) = value {
            self.sums[group] = self.sums[group].add(value).map_err(external)?;
            self.counts[group] += count;
        }
        Ok(())
    }

    fn sums(
        sums: &[Numeric],
        counts: &[i64],
        value: impl Fn(&Numeric, i64) -> crate::error::Result<Numeric>,
    ) -> Result<ArrayRef> {
        let mut writer = Writer::new(WIDE, sums.len());
        for (sum, count) in sums.iter().zip(counts) {
            let value = match count {
                0 => Datum::Null,
                count => Datum::Numeric(value(sum, *count).map_err(external)?),
            };
            writer.append(&value).map_err(external)?;
        }
        Ok(writer.finish())
    }
}

impl GroupsAccumulator for WideGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.resize(total_num_groups);
        for (row, group) in group_indices.iter().enumerate() {
            let counts = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if counts && values[0].is_valid(row) {
                self.add(*group, &WIDE.value(&values[0], row).map_err(external)?, 1)?;
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.resize(total_num_groups);
        let counts = values[1].as_primitive::<Int64Type>();
        for (row, group) in group_indices.iter().enumerate() {
            if values[0].is_valid(row) {
                self.add(*group, &WIDE.value(&values[0], row).map_err(external)?, counts.value(row))?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (sums, counts) = (emit_to.take_needed(&mut self.sums), emit_to.take_needed(&mut self.counts));
        match self.average {
            true => Self::sums(&sums, &counts, |sum, count| sum.div(&Numeric::from(count))),
            false => Self::sums(&sums, &counts, |sum, _| Ok(sum.clone())),
        }
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (sums, counts) = (emit_to.take_needed(&mut self.sums), emit_to.take_needed(&mut self.counts));
        let sums = Self::sums(&sums, &counts, |sum, _| Ok(sum.clone()))?;
        Ok(vec![sums, Arc::new(Int64Array::from(counts))])
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut each = WideGroups { average: self.average, sums: Vec::new(), counts: Vec::new() };
        let groups: Vec<usize> = (0..values[0].len()).collect();
        each.update_batch(values, &groups, opt_filter, groups.len())?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.sums.capacity() * (size_of::<Numeric>() + 32) + self.counts.capacity() * size_of::<i64>()
    }
}

/// States that can be made ahead of rows.
pub(super) trait States: GroupsAccumulator {
    /// Makes sure that there are so many groups.
    fn resize(&mut self, groups: usize) -> Result<()>;
}

impl States for Groups {
    fn resize(&mut self, groups: usize) -> Result<()> {
        Groups::resize(self, groups);
        Ok(())
    }
}

impl States for WideGroups {
    fn resize(&mut self, groups: usize) -> Result<()> {
        WideGroups::resize(self, groups);
        Ok(())
    }
}

/// The state of the one group of an ungrouped aggregate.
#[derive(Debug)]
pub(super) struct One<G>(pub(super) G);

impl<G: States + std::fmt::Debug + Sync> Accumulator for One<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; values[0].len()];
        self.0.update_batch(values, &groups, None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let groups = vec![0; states[0].len()];
        self.0.merge_batch(states, &groups, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.resize(1)?;
        let array = self.0.evaluate(EmitTo::All)?;
        ScalarValue::try_from_array(&array, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.resize(1)?;
        let states = self.0.state(EmitTo::All)?;
        states.iter().map(|array| ScalarValue::try_from_array(array, 0)).collect()
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.0.size()
    }
}
