//! What json's functions need to be told: a value knows neither its type nor the names of a row's columns, the tree does.

use super::Binder;
use super::coerce::{Coercion, can_coerce, constant};
use super::scope::ScopeColumn;
use crate::catalog::builtin;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::Function;
use crate::executor::functions::json::{TypedArguments, populates, shape, takes_columns, takes_types};
use crate::sql::ast::Indirection;
use crate::sql::tree::{Call, Expr, ExprKind};
use crate::types::{Datum, Type, oid};

/// The aggregates that make json: which argument is the value, and the function that makes it of a row.
fn aggregated(function: &Function) -> Option<(usize, &'static str)> {
    match function.name {
        "json_agg" => Some((0, "to_json")),
        "jsonb_agg" => Some((0, "to_jsonb")),
        "json_object_agg" => Some((1, "to_json")),
        "jsonb_object_agg" => Some((1, "to_jsonb")),
        _ => None,
    }
}

impl Binder<'_> {
    /// The shapes of arguments that become json, as long as their own types can be seen.
    pub(super) fn json_shapes(&self, function: &Function, args: &[Expr]) -> Vec<Option<Datum>> {
        match takes_types(function.symbol).is_some() || aggregated(function).is_some() {
            true => args.iter().map(|arg| self.json_shape(arg)).collect(),
            false => Vec::new(),
        }
    }

    /// The names of a row's columns.
    fn json_shape(&self, value: &Expr) -> Option<Datum> {
        if !self.is_row(value.ty) {
            return None;
        }
        let inner = |at: usize| match &value.kind {
            ExprKind::Row(values) => values.get(at).and_then(|value| self.json_shape(value)),
            _ => None,
        };
        let fields = self.record_fields(value)?.into_iter().enumerate();
        Some(shape(fields.map(|(at, (name, _))| (name, inner(at))).collect()))
    }

    fn is_row(&self, ty: Type) -> bool {
        ty.oid == oid::RECORD || self.composite(ty.oid).is_some()
    }

    /// The arguments as the function takes them: with their types and shapes, if it needs any.
    pub(super) fn json_arguments(
        &mut self,
        function: &Function,
        mut args: Vec<Expr>,
        mut shapes: Vec<Option<Datum>>,
        variadic: bool,
    ) -> Vec<Expr> {
        if populates(function.symbol) {
            // Without columns the function refuses.
            if let Some(fields) = args.first().and_then(|row| self.record_fields(row)) {
                args.push(columns_of(fields.into_iter()));
            }
            return args;
        }
        let Some(which) = takes_types(function.symbol) else {
            return match aggregated(function) {
                Some((value, with)) => self.aggregated_arguments(args, shapes, value, with),
                None => args,
            };
        };
        let count = if which == TypedArguments::First { 1 } else { args.len() };
        let values: Vec<Expr> = args.drain(..count).collect();
        let values = values.into_iter().map(|value| match value.kind {
            ExprKind::Param(_) => value,
            _ => self.coerce_unknown_to_text(value),
        });
        let row = Expr { kind: ExprKind::Row(values.collect()), ty: Type::new(oid::RECORD) };
        shapes.truncate(count);
        let shapes = shapes.into_iter().map(|shape| (Type::new(oid::RECORD), shape.unwrap_or_default()));
        let mut ready = vec![row, constant(Datum::Record(shapes.collect()), oid::RECORD)];
        ready.append(&mut args);
        if which == TypedArguments::All {
            ready.push(constant(Datum::Bool(variadic), oid::BOOL));
        }
        ready
    }

    /// An aggregate's value that is a row becomes json here; another argument says that it was one.
    fn aggregated_arguments(
        &mut self,
        args: Vec<Expr>,
        shapes: Vec<Option<Datum>>,
        value: usize,
        with: &str,
    ) -> Vec<Expr> {
        let mut args: Vec<Expr> = args.into_iter().map(|arg| self.coerce_unknown_to_text(arg)).collect();
        let function = builtin::functions_named(with).first().copied();
        if let (Some(function), Some(row)) = (function, args.get(value).filter(|value| self.is_row(value.ty)).cloned())
        {
            let shape = shapes.into_iter().nth(value).flatten();
            let inner = self.json_arguments(function, vec![row], vec![shape], false);
            let call = Call { function, args: inner };
            args[value] = Expr { kind: ExprKind::Call(call), ty: Type::new(function.result) };
            args.push(constant(Datum::Bool(true), oid::BOOL));
        }
        args
    }

    /// `jsonb[…]…`: the part at the end of a path.
    pub(super) fn jsonb_subscripted(&mut self, value: Expr, path: &[&Indirection], pos: u32) -> Result<Expr> {
        let mut steps = Vec::with_capacity(path.len());
        for step in path {
            let Indirection::Index(index) = step else {
                let place = match step {
                    Indirection::Slice(low, high) => high.as_ref().or(low.as_ref()).map_or(pos, |side| side.location()),
                    _ => pos,
                };
                let message = "jsonb subscript does not support slices";
                return Err(Error::new(SqlState::DatatypeMismatch, message).at(self.position(place)));
            };
            let place = index.location();
            let bound = self.expr(index)?;
            let given = bound.ty;
            let integer = can_coerce(given.oid, oid::INT4, Coercion::Implicit) && given.oid != oid::UNKNOWN;
            if !integer && !can_coerce(given.oid, oid::TEXT, Coercion::Implicit) {
                let message = format!("subscript type {} is not supported", self.type_name(given));
                return Err(Error::new(SqlState::DatatypeMismatch, message)
                    .hint("jsonb subscript must be coercible to either integer or text.")
                    .at(self.position(place)));
            }
            let bound =
                if integer { self.coerce(bound, Type::new(oid::INT4), Coercion::Implicit, place)? } else { bound };
            steps.push(self.coerce(bound, Type::new(oid::TEXT), Coercion::Explicit, place)?);
        }
        let steps = Expr { kind: ExprKind::ArrayOf { items: steps, nested: false }, ty: Type::new(oid::TEXT_ARRAY) };
        let Some(function) = builtin::functions_named("jsonb_extract_path").first() else {
            return Err(Error::internal("jsonb_extract_path is not there"));
        };
        Ok(Expr { kind: ExprKind::Call(Call { function, args: vec![value, steps] }), ty: Type::new(oid::JSONB) })
    }
}

/// A call whose columns a definition list has named: functions that make rows by it are told them.
pub(super) fn with_columns(mut expr: Expr, columns: &[ScopeColumn]) -> Expr {
    if let ExprKind::Call(call) = &mut expr.kind
        && takes_columns(call.function.symbol)
    {
        call.args.push(columns_of(columns.iter().map(|column| (column.name.clone(), column.ty))));
    }
    expr
}

/// Names and types of columns as an argument.
fn columns_of(columns: impl Iterator<Item = (String, Type)>) -> Expr {
    let pair = |(name, ty): (String, Type)| [(Type::new(oid::TEXT), Datum::Text(name.into())), (ty, Datum::Null)];
    constant(Datum::Record(columns.flat_map(pair).collect()), oid::RECORD)
}
