//! The batch form: a scalar function over Arrow columns, derived from its row form.
//!
//! Columns hold values in their storage form ([`physical`]): numbers and date/time types as themselves, text as Utf8View,
//! everything else as BinaryView in the type's own codec. A batch form
//! 1. calls the function on the selected rows only, so that what can raise runs on no row that a condition has kept out;
//! 2. does not call a strict function where an argument is NULL;
//! 3. takes constants as they are, and calls a function of constants alone once, unless it is volatile.
//!
//! Rows that are not selected are NULL in the result. A hand-written form may replace the derived one where a profile asks;
//! [`evaluate`] is what it has to agree with.

use super::{CallContext, Form, Function, Volatility};
use crate::error::{Error, Result};
use crate::types::{Datum, Oid, Type, oid, physical};
use arrow_array::builder::{
    BinaryViewBuilder, BooleanBuilder, FixedSizeBinaryBuilder, PrimitiveBuilder, StringViewBuilder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray, StringViewArray,
};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use lightning_storage::{ColumnType, Value};
use std::sync::Arc;

/// An argument of a batch call.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// A value for each row.
    Column(&'a ArrayRef, Type),
    /// One value for all rows.
    Constant(&'a Datum),
}

/// The Arrow type that holds values of a SQL type.
pub fn arrow_type(ty: Type) -> DataType {
    match physical::column_type(ty) {
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Int16 => DataType::Int16,
        ColumnType::Int32 => DataType::Int32,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Float32 => DataType::Float32,
        ColumnType::Float64 => DataType::Float64,
        ColumnType::Fixed16 => DataType::FixedSizeBinary(16),
        ColumnType::Bytes if is_text(ty.oid) => DataType::Utf8View,
        ColumnType::Bytes | ColumnType::Keyed => DataType::BinaryView,
    }
}

/// Types whose bytes are UTF-8.
fn is_text(ty: Oid) -> bool {
    matches!(ty, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::JSON | oid::UNKNOWN | oid::CSTRING)
}

/// Calls `function` for the selected rows (all, without a selection) of `rows` rows.
///
/// # Errors
/// The first error of a selected row, in row order; 0A000 when the function has no scalar implementation.
pub fn evaluate(
    function: &Function,
    ctx: &CallContext,
    operands: &[Operand<'_>],
    result: Type,
    rows: usize,
    selection: Option<&BooleanBuffer>,
) -> Result<ArrayRef> {
    let Some(Form::Scalar(form)) = function.implementation.map(|implementation| &implementation.form) else {
        return Err(Error::unsupported(format!("function {}", function.name)));
    };
    let mut arguments = operands.iter().map(Argument::new).collect::<Result<Vec<_>>>()?;
    let constant = function.volatility != Volatility::Volatile && arguments.iter().all(Argument::is_constant);
    let mut once: Option<Datum> = None;
    let mut values = vec![Datum::Null; operands.len()];
    let mut writer = Writer::new(result, rows);
    for row in 0..rows {
        if selection.is_some_and(|selection| !selection.value(row)) {
            writer.append(&Datum::Null)?;
            continue;
        }
        if let Some(value) = &once {
            writer.append(value)?;
            continue;
        }
        for (value, argument) in values.iter_mut().zip(&mut arguments) {
            argument.read(row, value)?;
        }
        let value = match function.strict && values.iter().any(Datum::is_null) {
            true => Datum::Null,
            false => form(ctx, &values)?,
        };
        writer.append(&value)?;
        if constant {
            once = Some(value);
        }
    }
    Ok(writer.finish())
}

/// An operand, its array told by type once.
struct Argument<'a> {
    source: Source<'a>,
    ty: Type,
    /// A constant is put into the row of values once.
    placed: bool,
}

enum Source<'a> {
    Constant(&'a Datum),
    Bool(&'a BooleanArray),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Fixed16(&'a FixedSizeBinaryArray),
    Text(&'a StringViewArray),
    Bytes(&'a BinaryViewArray),
}

impl<'a> Argument<'a> {
    fn new(operand: &Operand<'a>) -> Result<Argument<'a>> {
        let (array, ty) = match operand {
            Operand::Constant(value) => {
                let ty = Type::new(oid::UNKNOWN);
                return Ok(Argument { source: Source::Constant(value), ty, placed: false });
            }
            Operand::Column(array, ty) => (*array, *ty),
        };
        if *array.data_type() != arrow_type(ty) {
            let message = format!("a column of type {} came as {}", ty.oid, array.data_type());
            return Err(Error::internal(message));
        }
        let source = match array.data_type() {
            DataType::Boolean => Source::Bool(array.as_boolean()),
            DataType::Int16 => Source::Int16(array.as_primitive()),
            DataType::Int32 => Source::Int32(array.as_primitive()),
            DataType::Int64 => Source::Int64(array.as_primitive()),
            DataType::Float32 => Source::Float32(array.as_primitive()),
            DataType::Float64 => Source::Float64(array.as_primitive()),
            DataType::FixedSizeBinary(_) => Source::Fixed16(array.as_fixed_size_binary()),
            DataType::Utf8View => Source::Text(array.as_string_view()),
            _ => Source::Bytes(array.as_binary_view()),
        };
        Ok(Argument { source, ty, placed: false })
    }

    fn is_constant(&self) -> bool {
        matches!(self.source, Source::Constant(_))
    }

    /// Puts the row's value into `place`.
    fn read(&mut self, row: usize, place: &mut Datum) -> Result<()> {
        let cell = match &self.source {
            Source::Constant(value) => {
                if !self.placed {
                    *place = (*value).clone();
                    self.placed = true;
                }
                return Ok(());
            }
            Source::Bool(array) => cell(*array, row, |row| Value::Bool(array.value(row))),
            Source::Int16(array) => cell(*array, row, |row| Value::Int16(array.value(row))),
            Source::Int32(array) => cell(*array, row, |row| Value::Int32(array.value(row))),
            Source::Int64(array) => cell(*array, row, |row| Value::Int64(array.value(row))),
            Source::Float32(array) => cell(*array, row, |row| Value::Float32(array.value(row))),
            Source::Float64(array) => cell(*array, row, |row| Value::Float64(array.value(row))),
            Source::Fixed16(array) => cell(*array, row, |row| {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(array.value(row));
                Value::Fixed16(bytes)
            }),
            Source::Text(array) => cell(*array, row, |row| Value::Bytes(array.value(row).as_bytes())),
            Source::Bytes(array) => cell(*array, row, |row| Value::Bytes(array.value(row))),
        };
        *place = physical::from_value(cell, self.ty)?;
        Ok(())
    }
}

/// A row's value, or NULL.
fn cell<'a>(array: &dyn Array, row: usize, value: impl Fn(usize) -> Value<'a>) -> Value<'a> {
    if array.is_null(row) { Value::Null } else { value(row) }
}

/// Builds a column of one SQL type.
pub struct Writer {
    ty: Type,
    scratch: Vec<u8>,
    builder: Builder,
}

enum Builder {
    Bool(BooleanBuilder),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Fixed16(FixedSizeBinaryBuilder),
    Text(StringViewBuilder),
    Bytes(BinaryViewBuilder),
}

impl Writer {
    /// An empty column with room for `rows` rows.
    pub fn new(ty: Type, rows: usize) -> Writer {
        fn primitive<T: ArrowPrimitiveType>(rows: usize) -> PrimitiveBuilder<T> {
            PrimitiveBuilder::with_capacity(rows)
        }
        let builder = match arrow_type(ty) {
            DataType::Boolean => Builder::Bool(BooleanBuilder::with_capacity(rows)),
            DataType::Int16 => Builder::Int16(primitive(rows)),
            DataType::Int32 => Builder::Int32(primitive(rows)),
            DataType::Int64 => Builder::Int64(primitive(rows)),
            DataType::Float32 => Builder::Float32(primitive(rows)),
            DataType::Float64 => Builder::Float64(primitive(rows)),
            DataType::FixedSizeBinary(_) => Builder::Fixed16(FixedSizeBinaryBuilder::with_capacity(rows, 16)),
            DataType::Utf8View => Builder::Text(StringViewBuilder::with_capacity(rows)),
            _ => Builder::Bytes(BinaryViewBuilder::with_capacity(rows)),
        };
        Writer { ty, scratch: Vec::new(), builder }
    }

    /// Appends a value of the column's type, or NULL.
    pub fn append(&mut self, value: &Datum) -> Result<()> {
        match (&mut self.builder, physical::to_value(value, self.ty, &mut self.scratch)?) {
            (Builder::Bool(builder), Value::Null) => builder.append_null(),
            (Builder::Bool(builder), Value::Bool(value)) => builder.append_value(value),
            (Builder::Int16(builder), Value::Null) => builder.append_null(),
            (Builder::Int16(builder), Value::Int16(value)) => builder.append_value(value),
            (Builder::Int32(builder), Value::Null) => builder.append_null(),
            (Builder::Int32(builder), Value::Int32(value)) => builder.append_value(value),
            (Builder::Int64(builder), Value::Null) => builder.append_null(),
            (Builder::Int64(builder), Value::Int64(value)) => builder.append_value(value),
            (Builder::Float32(builder), Value::Null) => builder.append_null(),
            (Builder::Float32(builder), Value::Float32(value)) => builder.append_value(value),
            (Builder::Float64(builder), Value::Null) => builder.append_null(),
            (Builder::Float64(builder), Value::Float64(value)) => builder.append_value(value),
            (Builder::Fixed16(builder), Value::Null) => builder.append_null(),
            (Builder::Fixed16(builder), Value::Fixed16(value)) => {
                builder.append_value(value).map_err(|error| Error::internal(error.to_string()))?;
            }
            (Builder::Text(builder), Value::Null) => builder.append_null(),
            (Builder::Text(builder), Value::Bytes(_)) => match value {
                // char(n) as storage has it.
                Datum::Text(text) | Datum::Padded(text) if self.ty.oid == oid::BPCHAR => {
                    builder.append_value(text.trim_end_matches(' '));
                }
                Datum::Text(text) | Datum::Padded(text) => builder.append_value(text.as_str()),
                other => return Err(Error::internal(format!("{other:?} in a column of text"))),
            },
            (Builder::Bytes(builder), Value::Null) => builder.append_null(),
            (Builder::Bytes(builder), Value::Bytes(bytes)) => builder.append_value(bytes),
            (_, other) => return Err(Error::internal(format!("{other:?} in a column of type {}", self.ty.oid))),
        }
        Ok(())
    }

    /// The column.
    pub fn finish(self) -> ArrayRef {
        match self.builder {
            Builder::Bool(mut builder) => Arc::new(builder.finish()),
            Builder::Int16(mut builder) => Arc::new(builder.finish()),
            Builder::Int32(mut builder) => Arc::new(builder.finish()),
            Builder::Int64(mut builder) => Arc::new(builder.finish()),
            Builder::Float32(mut builder) => Arc::new(builder.finish()),
            Builder::Float64(mut builder) => Arc::new(builder.finish()),
            Builder::Fixed16(mut builder) => Arc::new(builder.finish()),
            Builder::Text(mut builder) => Arc::new(builder.finish()),
            Builder::Bytes(mut builder) => Arc::new(builder.finish()),
        }
    }
}

/// The value of a column of type `ty` at `row`.
pub fn value_at(array: &ArrayRef, ty: Type, row: usize) -> Result<Datum> {
    let mut value = Datum::Null;
    Argument::new(&Operand::Column(array, ty))?.read(row, &mut value)?;
    Ok(value)
}
