//! Window functions: OVER, the WINDOW clause, frames.

use super::Binder;
use super::aggregate::{same_exprs, same_order};
use super::coerce::{Coercion, can_coerce};
use super::query::column_expr;
use super::scope::{BoundWindow, Clause, NamedWindow};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::{Function, FunctionKind};
use crate::sql::ast::{self, BoundSpec, FrameExclude, FrameSpec, FrameUnit};
use crate::sql::columns::{ColumnSet, used_by};
use crate::sql::tree::{Expr, Frame, FrameBound, Rel, SortKey, WindowCall};
use crate::types::{Oid, Type, oid};

/// 42P20
fn windowing(message: impl Into<String>) -> Error {
    Error::new(SqlState::WindowingError, message)
}

/// 0A000 in PostgreSQL's own words.
fn refused(message: &str) -> Error {
    Error::new(SqlState::FeatureNotSupported, message)
}

impl Binder<'_> {
    /// Binds the WINDOW clause.
    pub(crate) fn define_windows(&mut self, windows: &[(ast::Ident, ast::WindowSpec)]) -> Result<()> {
        for (name, spec) in windows {
            if self.scope().named_windows.iter().any(|known| known.name == name.name) {
                let error = windowing(format!("window \"{}\" is already defined", name.name));
                return Err(error.at(self.position(spec.pos)));
            }
            let mut window = self.window_spec(spec, false)?;
            window.name.clone_from(&name.name);
            // A named window's frame is bound at its uses, over its own order.
            self.scope().named_windows.push(window);
        }
        Ok(())
    }

    fn named_window(&mut self, name: &ast::Ident, pos: u32) -> Result<NamedWindow> {
        let known = self.scope().named_windows.iter().find(|window| window.name == name.name).cloned();
        known.ok_or_else(|| {
            let message = format!("window \"{}\" does not exist", name.name);
            Error::new(SqlState::UndefinedObject, message).at(self.position(pos))
        })
    }

    /// A window definition, with what it takes over from the window it names.
    fn window_spec(&mut self, spec: &ast::WindowSpec, over: bool) -> Result<NamedWindow> {
        let ast::WindowSpec { base, partition, order_by, frame, pos } = spec;
        let clause = self.scope().clause;
        let mut order: Vec<SortKey> = Vec::new();
        for item in order_by {
            let expr = self.bind_expr(&item.expr, Clause::WindowOrder)?;
            let expr = self.coerce_unknown_to_text(expr);
            let (descending, nulls_first) = self.direction(item, expr.ty)?;
            order.push(SortKey { expr, descending, nulls_first });
        }
        let mut bound = Vec::new();
        for expr in partition {
            let value = self.bind_expr(expr, Clause::WindowPartition)?;
            let value = self.coerce_unknown_to_text(value);
            self.equality(value.ty.oid).map_err(|error| error.at(self.position(expr.location())))?;
            bound.push(value);
        }
        self.scope().clause = clause;
        if let Some(base) = base {
            let window = self.named_window(base, *pos)?;
            let place = self.position(*pos);
            let name = &base.name;
            if !bound.is_empty() {
                let message = format!("cannot override PARTITION BY clause of window \"{name}\"");
                return Err(windowing(message).at(place));
            }
            if !order.is_empty() && !window.order.is_empty() {
                return Err(windowing(format!("cannot override ORDER BY clause of window \"{name}\"")).at(place));
            }
            if window.frame.is_some() {
                let error = windowing(format!("cannot copy window \"{name}\" because it has a frame clause"));
                let bare = over && order.is_empty() && frame.is_none();
                let error = if bare { error.hint("Omit the parentheses in this OVER clause.") } else { error };
                return Err(error.at(place));
            }
            bound = window.partition;
            if order.is_empty() {
                order = window.order;
            }
        }
        Ok(NamedWindow { name: String::new(), partition: bound, order, pos: *pos, frame: frame.clone() })
    }

    /// A window function or an aggregate with OVER: the column that a Window fills. `args` are coerced to the function's.
    pub(crate) fn window_call(
        &mut self,
        function: &'static Function,
        args: Vec<Expr>,
        call: &ast::FunctionCall,
        ty: Type,
        pos: u32,
    ) -> Result<Expr> {
        let place = self.position(pos);
        let aggregate = function.kind == FunctionKind::Aggregate;
        let Some(over) = &call.over else {
            let message = format!("window function {} requires an OVER clause", function.name);
            return Err(Error::new(SqlState::WrongObjectType, message).at(place));
        };
        if call.distinct {
            return Err(refused("DISTINCT is not implemented for window functions").at(place));
        }
        if !call.order_by.is_empty() {
            return Err(refused("aggregate ORDER BY is not implemented for window functions").at(place));
        }
        if !call.within_group.is_empty() {
            let message = format!("OVER is not supported for ordered-set aggregate {}", function.name);
            return Err(refused(&message).at(place));
        }
        if call.filter.is_some() && !aggregate {
            return Err(refused("FILTER is not implemented for non-aggregate window functions").at(place));
        }
        let clause = self.scope().clause;
        if !matches!(clause, Clause::Select | Clause::OrderBy | Clause::DistinctOn) {
            return Err(windowing(format!("window functions are not allowed in {}", clause.name())).at(place));
        }
        let filter = match &call.filter {
            Some(filter) => Some(self.bind_bool(filter, Clause::Filter, "FILTER")?),
            None => None,
        };
        self.scope().clause = clause;
        let mut used = ColumnSet::new();
        args.iter().chain(&filter).for_each(|arg| used_by(arg, &mut used));
        if self.scope().windows.iter().any(|window| used.contains(window.column)) {
            return Err(windowing("window function calls cannot be nested").at(place));
        }
        if let Some(set) = self.scope().sets.iter().find(|set| used.contains(set.column)) {
            let span = set.span;
            let message = "window function calls cannot contain set-returning function calls";
            return Err(refused(message)
                .hint("You might be able to move the set-returning function into a LATERAL FROM item.")
                .at(self.position(span)));
        }
        let window = match over {
            ast::Over::Name(name) => self.named_window(name, name.pos)?,
            ast::Over::Spec(spec) => self.window_spec(spec, true)?,
        };
        let frame = self.frame(&window)?;
        let column = self.column(ty);
        let serial = self.scope().serial;
        self.levels[column.0 as usize] = serial;
        let call = WindowCall { function: function.oid, name: function.name, aggregate, args, filter, frame, ty };
        let bound = BoundWindow { column, partition: window.partition, order: window.order, call, span: pos };
        self.scope().windows.push(bound);
        Ok(column_expr(column, ty))
    }

    /// A frame clause; unsaid, it is RANGE UNBOUNDED PRECEDING.
    fn frame(&mut self, window: &NamedWindow) -> Result<Frame> {
        let order = &window.order[..];
        let Some(FrameSpec { unit, start, end, between: _, exclude, pos }) = &window.frame else {
            return Ok(Frame {
                unit: FrameUnit::Range,
                start: FrameBound::UnboundedPreceding,
                end: FrameBound::CurrentRow,
                exclude: FrameExclude::NoOthers,
            });
        };
        let place = self.position(*pos);
        let complaint = match (start, end) {
            (BoundSpec::UnboundedFollowing, _) => Some("frame start cannot be UNBOUNDED FOLLOWING"),
            (_, BoundSpec::UnboundedPreceding) => Some("frame end cannot be UNBOUNDED PRECEDING"),
            (BoundSpec::CurrentRow, BoundSpec::Preceding(_)) => {
                Some("frame starting from current row cannot have preceding rows")
            }
            (BoundSpec::Following(_), BoundSpec::CurrentRow | BoundSpec::Preceding(_)) => {
                Some("frame starting from following row cannot have preceding rows")
            }
            _ => None,
        };
        if let Some(complaint) = complaint {
            return Err(windowing(complaint).at(place));
        }
        let place = self.position(window.pos);
        let offset = |bound: &BoundSpec| matches!(bound, BoundSpec::Preceding(_) | BoundSpec::Following(_));
        if *unit == FrameUnit::Range && (offset(start) || offset(end)) && order.len() != 1 {
            let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
            return Err(windowing(message).at(place));
        }
        if *unit == FrameUnit::Groups && order.is_empty() {
            return Err(windowing("GROUPS mode requires an ORDER BY clause").at(place));
        }
        let start = self.frame_bound(start, *unit, order)?;
        let end = self.frame_bound(end, *unit, order)?;
        Ok(Frame { unit: *unit, start, end, exclude: *exclude })
    }

    fn frame_bound(&mut self, bound: &BoundSpec, unit: FrameUnit, order: &[SortKey]) -> Result<FrameBound> {
        Ok(match bound {
            BoundSpec::UnboundedPreceding => FrameBound::UnboundedPreceding,
            BoundSpec::CurrentRow => FrameBound::CurrentRow,
            BoundSpec::UnboundedFollowing => FrameBound::UnboundedFollowing,
            BoundSpec::Preceding(expr) => FrameBound::Preceding(self.frame_offset(expr, unit, order)?),
            BoundSpec::Following(expr) => FrameBound::Following(self.frame_offset(expr, unit, order)?),
        })
    }

    /// A frame offset, of the type that the unit and the order ask for.
    fn frame_offset(&mut self, expr: &ast::Expr, unit: FrameUnit, order: &[SortKey]) -> Result<Expr> {
        let clause = self.scope().clause;
        let (name, words) = match unit {
            FrameUnit::Rows => ("ROWS", "window ROWS"),
            FrameUnit::Range => ("RANGE", "window RANGE"),
            FrameUnit::Groups => ("GROUPS", "window GROUPS"),
        };
        let noted = self.scope().references.len();
        let bound = self.bind_expr(expr, Clause::WindowFrame(words))?;
        self.scope().clause = clause;
        let place = self.position(expr.location());
        self.refuse_variables(noted, name)?;
        let wanted = match unit {
            FrameUnit::Rows | FrameUnit::Groups => oid::INT8,
            FrameUnit::Range => self.range_offset_type(order[0].expr.ty.oid, bound.ty.oid, place)?,
        };
        let given = bound.ty;
        let why = if unit == FrameUnit::Range { Coercion::Implicit } else { Coercion::Assignment };
        if unit == FrameUnit::Range && !can_coerce(given.oid, wanted, why) {
            let (column, given) = (self.type_name(Type::new(order[0].expr.ty.oid)), self.type_name(given));
            let message = format!(
                "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {column} and offset type {given}"
            );
            return Err(refused(&message).hint("Cast the offset value to an appropriate type.").at(place));
        }
        self.coerce_to(bound, Type::new(wanted), why, expr.location())?.ok_or_else(|| {
            let (wanted, given) = (self.type_name(Type::new(wanted)), self.type_name(given));
            let message = format!("argument of {name} must be type {wanted}, not type {given}");
            Error::new(SqlState::DatatypeMismatch, message).at(place)
        })
    }

    /// The offset type of `in_range` for an order column.
    fn range_offset_type(&self, order: Oid, offset: Oid, place: u32) -> Result<Oid> {
        let integer = |ty| matches!(ty, oid::INT2 | oid::INT4 | oid::INT8);
        Ok(match order {
            oid::INT2 | oid::INT4 | oid::INT8 if integer(offset) => offset,
            oid::INT2 | oid::INT4 | oid::INT8 => order,
            oid::FLOAT4 | oid::FLOAT8 => oid::FLOAT8,
            oid::NUMERIC => oid::NUMERIC,
            oid::DATE | oid::TIME | oid::TIMETZ | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL => oid::INTERVAL,
            _ => {
                let name = self.type_name(Type::new(order));
                let message = format!("RANGE with offset PRECEDING/FOLLOWING is not supported for column type {name}");
                return Err(refused(&message).at(place));
            }
        })
    }
}

/// One Window operator per partitioning and order, in the order of their first calls.
pub(crate) fn window_rels(mut rel: Rel, windows: Vec<BoundWindow>) -> Rel {
    let mut groups: Vec<(Vec<Expr>, Vec<SortKey>, Vec<_>)> = Vec::new();
    for window in windows {
        let BoundWindow { column, partition, order, call, span: _ } = window;
        let same = |group: &&mut (Vec<Expr>, Vec<SortKey>, Vec<_>)| {
            same_exprs(&group.0, &partition) && same_order(&group.1, &order)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.2.push((column, call)),
            None => groups.push((partition, order, vec![(column, call)])),
        }
    }
    // PostgreSQL computes those with the longest order first, so that rows come out as the last one leaves them.
    groups.sort_by_key(|(partition, order, _)| std::cmp::Reverse(partition.len() + order.len()));
    for (partition, order, calls) in groups {
        rel = Rel::Window { input: Box::new(rel), partition, order, calls };
    }
    rel
}
