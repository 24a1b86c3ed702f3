//! Columns out of rows: the rows of a [`RowBuffer`] as Arrow arrays, one column at a time.
//!
//! A reader decodes what its conditions need for all rows first, the rest for the rows that passed (late
//! materialisation, Abadi et al. 2007). Physical types: integers, floats and bool as themselves, Fixed16 as
//! FixedSizeBinary(16), Bytes and Keyed as BinaryView or, when the caller knows them to be text, Utf8View.

use super::row::{RowBuffer, Uniform};
use super::{ColumnNo, ColumnType, Value};
use crate::error::{Error, Result};
use arrow_array::builder::{BinaryViewBuilder, FixedSizeBinaryBuilder, StringViewBuilder};
use arrow_array::types::{ArrowPrimitiveType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{ArrayRef, BinaryViewArray, BooleanArray, PrimitiveArray, StringViewArray};
use arrow_buffer::{ArrowNativeType, BooleanBufferBuilder, Buffer, NullBuffer, NullBufferBuilder, ScalarBuffer};
use std::ops::Range;
use std::sync::Arc;

impl RowBuffer {
    /// The column of the rows named by `selection` (positions, ascending), or of all rows: an array of that length.
    /// `text`: a Bytes column holds UTF-8.
    ///
    /// # Errors
    /// `Corrupt`: a text column's bytes are not UTF-8.
    pub fn column(&self, column: ColumnNo, text: bool, selection: Option<&[u32]>) -> Result<ArrayRef> {
        let ty = match self.columns().get(usize::from(column.0)) {
            Some(def) => def.ty,
            None => return Err(Error::NotFound),
        };
        let len = selection.map_or(self.len(), <[u32]>::len);
        let at = |i: usize| selection.map_or(i, |rows| rows[i] as usize);
        let value = |i: usize| self.row(at(i)).get(column);
        let bytes = |i: usize| match value(i) {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        };
        Ok(match ty {
            ColumnType::Bool => {
                let (mut values, mut nulls) = (BooleanBufferBuilder::new(len), NullBufferBuilder::new(len));
                for i in 0..len {
                    let value = match value(i) {
                        Value::Bool(value) => Some(value),
                        _ => None,
                    };
                    values.append(value.unwrap_or(false));
                    nulls.append(value.is_some());
                }
                Arc::new(BooleanArray::new(values.finish(), nulls.finish()))
            }
            ColumnType::Int16 => self.integers::<Int16Type>(column, selection, |value| value as i16),
            ColumnType::Int32 => self.integers::<Int32Type>(column, selection, |value| value as i32),
            ColumnType::Int64 => self.integers::<Int64Type>(column, selection, |value| value),
            ColumnType::Float32 => primitive::<Float32Type>(len, |i| match value(i) {
                Value::Float32(value) => Some(value),
                _ => None,
            }),
            ColumnType::Float64 => primitive::<Float64Type>(len, |i| match value(i) {
                Value::Float64(value) => Some(value),
                _ => None,
            }),
            ColumnType::Fixed16 => {
                let mut builder = FixedSizeBinaryBuilder::with_capacity(len, 16);
                for i in 0..len {
                    match value(i) {
                        Value::Fixed16(value) => builder.append_value(value).expect("sixteen bytes"),
                        _ => builder.append_null(),
                    }
                }
                Arc::new(builder.finish())
            }
            ColumnType::Bytes if text => match self.uniform_bytes(column, selection) {
                Some((views, data, nulls)) => Arc::new(
                    StringViewArray::try_new(views, [data], nulls)
                        .map_err(|_| Error::corrupt("a text is not UTF-8"))?,
                ),
                None => {
                    let mut builder = StringViewBuilder::with_capacity(len);
                    for i in 0..len {
                        match bytes(i).map(std::str::from_utf8) {
                            Some(Ok(text)) => builder.append_value(text),
                            Some(Err(_)) => return Err(Error::corrupt("a text is not UTF-8")),
                            None => builder.append_null(),
                        }
                    }
                    Arc::new(builder.finish())
                }
            },
            ColumnType::Bytes | ColumnType::Keyed => match self.uniform_bytes(column, selection) {
                Some((views, data, nulls)) => Arc::new(
                    BinaryViewArray::try_new(views, [data], nulls)
                        .map_err(|_| Error::corrupt("a value lies outside of its row"))?,
                ),
                None => {
                    let mut builder = BinaryViewBuilder::with_capacity(len);
                    for i in 0..len {
                        match bytes(i) {
                            Some(bytes) => builder.append_value(bytes),
                            None => builder.append_null(),
                        }
                    }
                    Arc::new(builder.finish())
                }
            },
        })
    }

    /// The views of a column of bytes, and what those of more than twelve bytes point into; `None`: the rows are not alike, or too
    /// large together for views.
    fn uniform_bytes(
        &self,
        column: ColumnNo,
        selection: Option<&[u32]>,
    ) -> Option<(ScalarBuffer<u128>, Buffer, Option<NullBuffer>)> {
        let column = self.uniform(column).filter(|_| i32::try_from(self.bytes()).is_ok())?;
        let mut data = Vec::new();
        let view = |(value, null)| (view(column.all(), value, &mut data), null);
        let (views, nulls) = match selection {
            Some(rows) => uniform(
                rows.iter().map(|i| column.start(*i as usize)),
                column,
                |column, start| column.place(start),
                view,
            ),
            None => uniform(column.starts(), column, |column, start| column.place(start), view),
        };
        Some((views, data.into(), nulls))
    }

    /// A column of integers: what scans decode most of.
    fn integers<T: ArrowPrimitiveType>(
        &self,
        column: ColumnNo,
        selection: Option<&[u32]>,
        narrow: impl Fn(i64) -> T::Native,
    ) -> ArrayRef {
        if let Some(column) = self.uniform(column) {
            let narrow = |(value, null)| (narrow(value), null);
            let (values, nulls) = match selection {
                Some(rows) => uniform(
                    rows.iter().map(|i| column.start(*i as usize)),
                    column,
                    |column, start| column.integer(start),
                    narrow,
                ),
                None => uniform(column.starts(), column, |column, start| column.integer(start), narrow),
            };
            return Arc::new(PrimitiveArray::<T>::new(values, nulls));
        }
        let len = selection.map_or(self.len(), <[u32]>::len);
        primitive::<T>(len, |i| match self.row(selection.map_or(i, |rows| rows[i] as usize)).get(column) {
            Value::Int16(value) => Some(narrow(value.into())),
            Value::Int32(value) => Some(narrow(value.into())),
            Value::Int64(value) => Some(narrow(value)),
            _ => None,
        })
    }
}

/// A column of rows that are alike and begin at `starts`.
#[inline(always)]
fn uniform<'a, V, T: ArrowNativeType>(
    starts: impl ExactSizeIterator<Item = usize> + Clone,
    column: Uniform<'a>,
    value: impl Fn(Uniform<'a>, usize) -> (V, bool),
    mut make: impl FnMut((V, bool)) -> (T, bool),
) -> (ScalarBuffer<T>, Option<NullBuffer>) {
    let mut any_null = false;
    let mut values = vec![T::default(); starts.len()];
    for (place, start) in values.iter_mut().zip(starts.clone()) {
        let (value, null) = make(value(column, start));
        any_null |= null;
        *place = value;
    }
    let nulls = any_null.then(|| NullBuffer::new(starts.map(|start| !column.is_null(start)).collect()));
    (values.into(), nulls)
}

/// The low bytes of a word: as many as a view may hold itself.
const MASKS: [u128; 13] = {
    let mut masks = [0; 13];
    let mut len = 1;
    while len < masks.len() {
        masks[len] = masks[len - 1] << 8 | 0xff;
        len += 1;
    }
    masks
};

/// Arrow's view of a value that lies in `bytes`: itself if it is short, else where it lies in `data`, to which it goes.
#[inline(always)]
fn view(bytes: &[u8], value: Range<usize>, data: &mut Vec<u8>) -> u128 {
    let len = value.len();
    // What lies behind a short value is cut off; at the very end there may be nothing.
    let word = match bytes.get(value.start..value.start + 16) {
        Some(word) => u128::from_le_bytes(word.try_into().expect("sixteen bytes")),
        None => bytes[value.clone()].iter().rev().fold(0, |word, byte| word << 8 | u128::from(*byte)),
    };
    if let Some(mask) = MASKS.get(len) {
        return len as u128 | (word & mask) << 32;
    }
    let offset = data.len() as u128;
    data.extend_from_slice(&bytes[value]);
    len as u128 | (word & MASKS[4]) << 32 | offset << 96
}

fn primitive<T: ArrowPrimitiveType>(len: usize, value: impl Fn(usize) -> Option<T::Native>) -> ArrayRef {
    let (mut values, mut nulls) = (Vec::with_capacity(len), NullBufferBuilder::new(len));
    for i in 0..len {
        let value = value(i);
        values.push(value.unwrap_or_default());
        nulls.append(value.is_some());
    }
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls.finish()))
}

#[cfg(test)]
mod tests {
    use super::super::row::{Field, encode};
    use super::super::{ColumnDef, OwnedValue, RowId, TableDef};
    use super::*;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;

    #[test]
    fn columns_are_what_the_rows_hold() {
        [true, false].into_iter().for_each(columns_of);
    }

    #[test]
    fn integers_at_the_very_end_of_the_rows() {
        let columns =
            vec![ColumnDef { no: ColumnNo(0), ty: ColumnType::Int32, default: OwnedValue::Null, dropped: false }];
        let mut rows = RowBuffer::new();
        rows.set_table(&Arc::new(TableDef { columns, ..TableDef::default() }));
        let values = [Some(-3), Some(0), None, Some(i32::MIN), Some(300), Some(0), Some(7)];
        for (i, value) in values.iter().enumerate() {
            let mut bytes = Vec::new();
            encode([Field::Value(value.map_or(Value::Null, Value::Int32))].into_iter(), &mut bytes);
            rows.push(RowId(i as u64 + 1), &bytes);
        }
        let array = rows.column(ColumnNo(0), false, None).unwrap();
        assert_eq!(array.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), values);
    }

    /// With all rows alike, or some older than the columns.
    fn columns_of(alike: bool) {
        use ColumnType::*;
        let types = [Bool, Int16, Int32, Int64, Float32, Float64, Fixed16, Bytes, Keyed, Int32];
        let column = |(i, ty): (usize, &ColumnType)| ColumnDef {
            no: ColumnNo(i as u16),
            ty: *ty,
            default: if i == 9 { OwnedValue::Int32(42) } else { OwnedValue::Null },
            dropped: false,
        };
        let columns = types.iter().enumerate().map(column).collect();
        let mut rows = RowBuffer::new();
        rows.set_table(&Arc::new(TableDef { columns, ..TableDef::default() }));
        let full = [
            Value::Bool(true),
            Value::Int16(-3),
            Value::Int32(70_000),
            Value::Int64(i64::MIN),
            Value::Float32(1.5),
            Value::Float64(-0.0),
            Value::Fixed16([7; 16]),
            Value::Bytes("größer als zwölf Bytes".as_bytes()),
            Value::Bytes(&[0, 255]),
        ];
        for i in 0..10u64 {
            let mut bytes = Vec::new();
            let nulls = vec![Value::Null; if alike { 9 } else { 0 }];
            let values: Vec<Value<'_>> = if i % 3 == 1 { nulls } else { full.to_vec() };
            encode(values.iter().map(|value| Field::Value(*value)), &mut bytes);
            rows.push(RowId(i + 1), &bytes);
        }
        assert_eq!(rows.uniform(ColumnNo(8)).is_some(), alike);
        for selection in [None, Some(&[1u32, 2, 8][..])] {
            let picked: Vec<usize> = match selection {
                None => (0..10).collect(),
                Some(rows) => rows.iter().map(|row| *row as usize).collect(),
            };
            for (no, value) in full.iter().enumerate() {
                let array = rows.column(ColumnNo(no as u16), no == 7, selection).unwrap();
                assert_eq!(array.len(), picked.len());
                for (at, row) in picked.iter().enumerate() {
                    assert_eq!(array.is_null(at), row % 3 == 1, "column {no} row {row}");
                    if row % 3 == 1 {
                        continue;
                    }
                    match *value {
                        Value::Bool(v) => assert_eq!(array.as_boolean().value(at), v),
                        Value::Int16(v) => assert_eq!(array.as_primitive::<Int16Type>().value(at), v),
                        Value::Int32(v) => assert_eq!(array.as_primitive::<Int32Type>().value(at), v),
                        Value::Int64(v) => assert_eq!(array.as_primitive::<Int64Type>().value(at), v),
                        Value::Float32(v) => assert_eq!(array.as_primitive::<Float32Type>().value(at), v),
                        Value::Float64(v) => assert_eq!(array.as_primitive::<Float64Type>().value(at), v),
                        Value::Fixed16(v) => assert_eq!(array.as_fixed_size_binary().value(at), v),
                        Value::Bytes(v) if no == 7 => assert_eq!(array.as_string_view().value(at).as_bytes(), v),
                        Value::Bytes(v) => assert_eq!(array.as_binary_view().value(at), v),
                        Value::Null => unreachable!("the full row has none"),
                    }
                }
            }
            let added = rows.column(ColumnNo(9), false, selection).unwrap();
            assert!((0..added.len()).all(|i| added.as_primitive::<Int32Type>().value(i) == 42));
        }
    }
}
