//! The functions that expressions on the vector road are made of, beside DataFusion's own columns, literals, comparisons,
//! AND, OR, NOT, IS NULL and CASE.
//!
//! [`RowExpression`] runs any compiled expression of the row road over a batch, so that everything has the row road's
//! meaning; the others are batch forms of what large scans spend their time in.

use super::error::external;
use super::form::{Form, Writer};
use super::watch::Cancel;
use crate::error::{Error, Result};
use crate::executor::StatementContext;
use crate::executor::row::expr::Code;
use crate::executor::row::frame::Frame;
use crate::executor::row::plan::{Plan, Slot};
use crate::interrupt;
use crate::types::{Datum, oid};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::DataType;
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Rows after which the cancel flag is looked at: a value may be long, and its function look at nothing.
const LOOK_ROWS: usize = 64;

/// A compiled expression over the columns that it reads.
pub(crate) struct RowExpression {
    number: u64,
    code: Code,
    /// Where each argument goes.
    inputs: Vec<(Slot, Form)>,
    plan: Arc<Plan>,
    ctx: StatementContext,
    params: Arc<[Datum]>,
    result: Form,
    signature: Signature,
}

same_by_number!(RowExpression);

impl RowExpression {
    pub(crate) fn new(
        code: Code,
        inputs: Vec<(Slot, Form)>,
        result: Form,
        slots: usize,
        params: Arc<[Datum]>,
        ctx: StatementContext,
    ) -> RowExpression {
        let arguments = inputs.iter().map(|(_, form)| form.arrow()).collect();
        RowExpression {
            number: super::next_number(),
            code,
            inputs,
            plan: Arc::new(Plan::of_expressions(slots)),
            ctx,
            params,
            result,
            signature: Signature::exact(arguments, Volatility::Immutable),
        }
    }

    fn evaluate(&self, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let mut frame = Frame::new(self.plan.clone(), self.params.clone(), self.ctx.clone());
        let mut writer = Writer::new(self.result, rows);
        for row in 0..rows {
            if row.is_multiple_of(LOOK_ROWS) {
                interrupt::check()?;
            }
            for ((slot, form), array) in self.inputs.iter().zip(arrays) {
                frame.set(*slot, form.value(array, row)?);
            }
            let value = self.code.eval(&mut frame)?;
            if !writer.append(&value)? {
                return Err(Error::internal("an expression's value has no place in its form"));
            }
        }
        Ok(writer.finish())
    }
}

impl std::fmt::Debug for RowExpression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RowExpression({})", self.number)
    }
}

impl ScalarUDFImpl for RowExpression {
    fn name(&self) -> &str {
        "row_expression"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.result.arrow())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<DfResult<Vec<_>>>()?;
        let cancel = Cancel::of(&self.ctx);
        cancel.watching(|| self.evaluate(&arrays, rows)).map(ColumnarValue::Array).map_err(external)
    }
}

/// A value's bytes in the order of its type: what joins, groups and sorts compare where Arrow's order is not the type's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct OrderKey {
    form: Form,
    cancel: Cancel,
    signature: Signature,
}

impl OrderKey {
    pub(super) fn new(form: Form, cancel: Cancel) -> OrderKey {
        OrderKey { form, cancel, signature: Signature::exact(vec![form.arrow()], Volatility::Immutable) }
    }

    fn evaluate(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let mut builder = arrow_array::builder::BinaryViewBuilder::with_capacity(array.len());
        let mut key = Vec::new();
        for row in 0..array.len() {
            if row.is_multiple_of(LOOK_ROWS) {
                interrupt::check()?;
            }
            if array.is_null(row) {
                builder.append_null();
                continue;
            }
            key.clear();
            crate::types::physical::order_key(&self.form.value(array, row)?, self.form.oid(), &mut key)?;
            builder.append_value(&key);
        }
        Ok(Arc::new(builder.finish()))
    }
}

impl ScalarUDFImpl for OrderKey {
    fn name(&self) -> &str {
        "order_key"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::BinaryView)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        self.cancel.watching(|| self.evaluate(&array)).map(ColumnarValue::Array).map_err(external)
    }
}

/// LIKE with a constant pattern, by what kind of pattern it is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Like {
    pattern: Pattern,
    negated: bool,
    cancel: Cancel,
    signature: Signature,
}

/// A pattern without `_` and escapes: pieces between the `%`s.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Pattern {
    /// What a text must begin with.
    prefix: String,
    /// What must follow, in this order.
    pieces: Vec<String>,
    /// What it must end with; `None`: the prefix is the whole.
    suffix: Option<String>,
}

impl Pattern {
    fn new(pattern: &str) -> Option<Pattern> {
        if pattern.contains(['_', '\\']) {
            return None;
        }
        let mut parts: Vec<String> = pattern.split('%').map(str::to_owned).collect();
        let prefix = parts.remove(0);
        let suffix = parts.pop();
        parts.retain(|piece| !piece.is_empty());
        Some(Pattern { prefix, pieces: parts, suffix })
    }
}

impl Like {
    /// `None`: the pattern needs the general matcher.
    pub(super) fn new(pattern: &str, negated: bool, cancel: Cancel) -> Option<Like> {
        let signature = Signature::exact(vec![DataType::Utf8View], Volatility::Immutable);
        Some(Like { pattern: Pattern::new(pattern)?, negated, cancel, signature })
    }

    fn matcher(&self) -> impl Fn(&str) -> bool {
        let pattern = &self.pattern;
        let finders: Vec<_> = pattern.pieces.iter().map(memchr::memmem::Finder::new).collect();
        move |text: &str| {
            let Some(rest) = text.as_bytes().strip_prefix(pattern.prefix.as_bytes()) else { return false };
            let Some(suffix) = &pattern.suffix else { return rest.is_empty() };
            let Some(mut rest) = rest.strip_suffix(suffix.as_bytes()) else { return false };
            for finder in &finders {
                match finder.find(rest) {
                    Some(at) => rest = &rest[at + finder.needle().len()..],
                    None => return false,
                }
            }
            true
        }
    }
}

impl ScalarUDFImpl for Like {
    fn name(&self) -> &str {
        if self.negated { "textnlike" } else { "textlike" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        let texts = array.as_string_view_opt().ok_or_else(|| external(Error::internal("LIKE over no text")))?;
        let matches = self.matcher();
        let mut ended = false;
        let matching = |i: usize| {
            if i.is_multiple_of(LOOK_ROWS) {
                ended = interrupt::requested();
            }
            !ended && matches(texts.value(i)) != self.negated
        };
        let found =
            self.cancel.watching(|| Ok(BooleanBuffer::collect_bool(texts.len(), matching))).map_err(external)?;
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(found, texts.nulls().cloned()))))
    }
}

/// Addition, subtraction and multiplication of integers of one width: 22003 where PostgreSQL has it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct IntegerArithmetic {
    operation: super::numeric::Operation,
    ty: DataType,
    signature: Signature,
}

impl IntegerArithmetic {
    pub(crate) fn new(operation: super::numeric::Operation, ty: DataType) -> IntegerArithmetic {
        let signature = Signature::exact(vec![ty.clone(), ty.clone()], Volatility::Immutable);
        IntegerArithmetic { operation, ty, signature }
    }

    fn apply<T: ArrowPrimitiveType>(&self, left: &ArrayRef, right: &ArrayRef, name: &str) -> DfResult<ArrayRef>
    where
        T::Native: num_traits::CheckedAdd + num_traits::CheckedSub + num_traits::CheckedMul,
    {
        use super::numeric::Operation;
        use num_traits::{CheckedAdd, CheckedMul, CheckedSub};
        let nulls = NullBuffer::union(left.nulls(), right.nulls());
        let (left, right) = (left.as_primitive::<T>().values(), right.as_primitive::<T>().values());
        let mut values = Vec::with_capacity(left.len());
        for (i, (a, b)) in left.iter().zip(right.iter()).enumerate() {
            let value = match self.operation {
                Operation::Add => a.checked_add(b),
                Operation::Subtract => a.checked_sub(b),
                Operation::Multiply => a.checked_mul(b),
            };
            if value.is_none() && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(i)) {
                return Err(external(crate::types::numeric::out_of_range(name)));
            }
            values.push(value.unwrap_or_default());
        }
        Ok(Arc::new(PrimitiveArray::<T>::new(values.into(), nulls)))
    }
}

impl ScalarUDFImpl for IntegerArithmetic {
    fn name(&self) -> &str {
        match self.operation {
            super::numeric::Operation::Add => "intpl",
            super::numeric::Operation::Subtract => "intmi",
            super::numeric::Operation::Multiply => "intmul",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.ty.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let rows = args.number_rows;
        let (left, right) = (args.args[0].to_array(rows)?, args.args[1].to_array(rows)?);
        let array = match self.ty {
            DataType::Int16 => self.apply::<Int16Type>(&left, &right, "smallint"),
            DataType::Int32 => self.apply::<Int32Type>(&left, &right, "integer"),
            DataType::Int64 => self.apply::<Int64Type>(&left, &right, "bigint"),
            _ => Err(DataFusionError::Internal("integer arithmetic over no integers".to_owned())),
        };
        array.map(ColumnarValue::Array)
    }
}

/// The integers' Arrow type, if it is one of SQL's integers.
pub(crate) fn integer(form: Form) -> Option<DataType> {
    matches!(form, Form::Stored(ty) if matches!(ty.oid, oid::INT2 | oid::INT4 | oid::INT8)).then(|| form.arrow())
}

/// What is known when the statement runs, for EXPLAIN: a value by its name, which is never asked for.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Unknown {
    name: String,
    form: Form,
    signature: Signature,
}

impl Unknown {
    pub(super) fn new(name: String, form: Form) -> Unknown {
        Unknown { name, form, signature: Signature::nullary(Volatility::Stable) }
    }

    /// The same in another form.
    pub(super) fn of(&self, form: Form) -> Unknown {
        Unknown::new(self.name.clone(), form)
    }
}

impl ScalarUDFImpl for Unknown {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.form.arrow())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        Err(external(Error::internal("a value was asked for before it was known")))
    }
}
