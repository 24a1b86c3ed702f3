//! Calls: functions, aggregates, window functions.

use super::super::tree::{Bound, Form, Frame, Kind, Node, SortItem, Window};
use super::{Analyzer, unexpected};
use crate::catalog::builtin;
use crate::error::Result;
use crate::executor::functions::FunctionKind;
use crate::sql::ast::{self, BoundSpec, FunctionCall, Over, WindowSpec};
use crate::sql::bind::coerce::Coercion;
use crate::types::{Oid, Type, oid};

impl Analyzer<'_> {
    pub(super) fn call(&mut self, call: &FunctionCall) -> Result<Node> {
        let names: Vec<String> =
            call.args.iter().filter_map(|argument| argument.name.as_ref()).map(|name| name.name.clone()).collect();
        let mut args = Vec::new();
        for argument in &call.args {
            args.push(self.expr(&argument.value)?);
        }
        for item in &call.within_group {
            args.push(self.expr(&item.expr)?);
        }
        let given: Vec<Oid> = args.iter().map(|arg| arg.ty.oid).collect();
        let (schema, name) = (call.name.schema(), call.name.name());
        let candidates = self.binder.function_candidates(schema, name, given.len(), &names, call.variadic);
        let Some(chosen) = self.binder.choose(&candidates, &given, call) else {
            let (Some(target), Some(arg)) = (self.binder.cast_target(call), args.pop()) else {
                return Err(unexpected(&format!("the unknown function \"{name}\"")));
            };
            return self.coerce_to(arg, Type::new(target), Coercion::Explicit, Form::Explicit);
        };
        let function = chosen.of.function;
        let mut declared = chosen.args;
        let result = self.binder.resolve_polymorphic(&mut declared, &given, function.result, function.name)?;
        let mut cast = Vec::with_capacity(args.len());
        for (arg, wanted) in args.into_iter().zip(&declared) {
            cast.push(Some(self.implicit(arg, *wanted)?));
        }
        let mut variadic = call.variadic;
        let mut ready: Vec<Node> = Vec::new();
        if chosen.of.spread > 0 {
            let items: Vec<Node> = cast.split_off(cast.len() - chosen.of.spread).into_iter().flatten().collect();
            ready.extend(cast.into_iter().flatten());
            let element = declared.last().copied().unwrap_or(oid::TEXT);
            let array = Type::new(builtin::array_of(element).unwrap_or(oid::TEXT_ARRAY));
            ready.push(Node { kind: Kind::Array(items), ty: array });
            variadic = true;
        } else {
            ready.extend(chosen.of.order.iter().flatten().filter_map(|i| cast[*i].take()));
        }
        let ty = Type::new(result);
        let kind = match function.kind {
            FunctionKind::Aggregate if call.over.is_none() => self.aggregate(function.oid, call, ready, variadic)?,
            FunctionKind::Aggregate | FunctionKind::Window => {
                let filter = self.filter(call)?;
                let window = match &call.over {
                    Some(over) => self.window(over)?,
                    None => return Err(unexpected("a window function without OVER")),
                };
                Kind::Window { function: function.oid, args: ready, star: call.star, filter, window }
            }
            _ => {
                let form = if call.sql_syntax { Form::Special } else { Form::Call };
                Kind::Function { function: function.oid, form, args: ready, variadic }
            }
        };
        Ok(Node { kind, ty })
    }

    fn filter(&mut self, call: &FunctionCall) -> Result<Option<Box<Node>>> {
        let filter = call.filter.as_ref().map(|filter| self.boolean(filter)).transpose()?;
        Ok(filter.map(Box::new))
    }

    fn aggregate(&mut self, function: Oid, call: &FunctionCall, args: Vec<Node>, variadic: bool) -> Result<Kind> {
        let filter = self.filter(call)?;
        let (mut direct, mut args) = (Vec::new(), args);
        let within_group = !call.within_group.is_empty();
        let mut order = Vec::new();
        if within_group {
            let ordered = args.split_off(args.len().saturating_sub(call.within_group.len()));
            direct = std::mem::take(&mut args);
            for (expr, item) in ordered.into_iter().zip(&call.within_group) {
                order.push(sort_item(expr, 0, item));
            }
        }
        for item in &call.order_by {
            let expr = self.expr(&item.expr)?;
            let expr = self.text_if_unknown(expr)?;
            order.push(sort_item(expr, 0, item));
        }
        let (star, distinct) = (call.star, call.distinct);
        Ok(Kind::Aggregate { function, direct, args, star, distinct, variadic, order, within_group, filter })
    }

    /// The window of an OVER: a named one, one of the same definition, or a new one.
    fn window(&mut self, over: &Over) -> Result<usize> {
        match over {
            Over::Name(name) => {
                let found = self.level().windows.iter().position(|window| window.name.as_ref() == Some(&name.name));
                found.ok_or_else(|| unexpected("an unknown window"))
            }
            Over::Spec(spec) => {
                let window = self.window_definition(None, spec)?;
                let windows = &mut self.level().windows;
                windows.push(window);
                Ok(windows.len() - 1)
            }
        }
    }

    pub(super) fn window_definition(&mut self, name: Option<String>, spec: &WindowSpec) -> Result<Window> {
        let mut partition = Vec::new();
        for expr in &spec.partition {
            let expr = self.expr(expr)?;
            partition.push(self.text_if_unknown(expr)?);
        }
        let mut order = Vec::new();
        for item in &spec.order_by {
            let expr = self.expr(&item.expr)?;
            let expr = self.text_if_unknown(expr)?;
            order.push(sort_item(expr, 0, item));
        }
        let key = order.first().map(|item| item.expr.ty.oid);
        let frame = match &spec.frame {
            None => None,
            Some(frame) => Some(Frame {
                unit: frame.unit,
                between: frame.between,
                start: self.bound(&frame.start, frame.unit, key)?,
                end: self.bound(&frame.end, frame.unit, key)?,
                exclude: frame.exclude,
            }),
        };
        let base = spec.base.as_ref().map(|base| base.name.clone());
        Ok(Window { name, base, partition, order, frame })
    }

    fn bound(&mut self, bound: &BoundSpec, unit: ast::FrameUnit, key: Option<Oid>) -> Result<Bound> {
        let mut offset = |expr: &ast::Expr| {
            let node = self.expr(expr)?;
            // ROWS and GROUPS count; RANGE's offset is what its type's in_range function takes.
            let wanted = match (unit, key) {
                (ast::FrameUnit::Range, Some(oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::TIME)) => {
                    oid::INTERVAL
                }
                (ast::FrameUnit::Range, Some(key)) => key,
                _ => oid::INT8,
            };
            self.implicit(node, wanted)
        };
        Ok(match bound {
            BoundSpec::UnboundedPreceding => Bound::UnboundedPreceding,
            BoundSpec::Preceding(expr) => Bound::Preceding(offset(expr)?),
            BoundSpec::CurrentRow => Bound::CurrentRow,
            BoundSpec::Following(expr) => Bound::Following(offset(expr)?),
            BoundSpec::UnboundedFollowing => Bound::UnboundedFollowing,
        })
    }
}

/// A sort item with its direction.
pub(super) fn sort_item(expr: Node, number: usize, item: &ast::OrderBy) -> SortItem {
    let descending = match &item.using {
        Some(operator) => operator.name == ">",
        None => item.descending.unwrap_or(false),
    };
    SortItem { expr, number, descending, nulls_first: item.nulls_first.unwrap_or(descending) }
}
