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
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer, NullBufferBuilder};
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
        let uniform = self.uniform(column);
        let bytes = |i: usize| match (&uniform, at(i)) {
            (Some(uniform), i) => uniform.bytes(i),
            (None, i) => match self.row(i).get(column) {
                Value::Bytes(bytes) => Some(bytes),
                _ => None,
            },
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
            ColumnType::Bytes if text => {
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
            ColumnType::Bytes | ColumnType::Keyed => {
                let mut builder = BinaryViewBuilder::with_capacity(len);
                for i in 0..len {
                    match bytes(i) {
                        Some(bytes) => builder.append_value(bytes),
                        None => builder.append_null(),
                    }
                }
                Arc::new(builder.finish())
            }
        })
    }

    /// A column of integers: what scans decode most of.
    fn integers<T: ArrowPrimitiveType>(
        &self,
        column: ColumnNo,
        selection: Option<&[u32]>,
        narrow: impl Fn(i64) -> T::Native,
    ) -> ArrayRef {
        if let Some(column) = self.uniform(column) {
            return match selection {
                Some(rows) => uniform_integers::<T>(column, rows.len(), |i| rows[i] as usize, narrow),
                None => uniform_integers::<T>(column, self.len(), |i| i, narrow),
            };
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

#[inline]
fn uniform_integers<T: ArrowPrimitiveType>(
    column: Uniform<'_>,
    len: usize,
    at: impl Fn(usize) -> usize,
    narrow: impl Fn(i64) -> T::Native,
) -> ArrayRef {
    let mut any_null = false;
    let values: Vec<T::Native> = (0..len).map(|i| narrow(column.integer(at(i), &mut any_null))).collect();
    let nulls = any_null.then(|| NullBuffer::new(BooleanBuffer::collect_bool(len, |i| !column.is_null(at(i)))));
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
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
