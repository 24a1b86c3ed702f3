//! Casts: which exist, which happen by themselves, and the nodes they become (PostgreSQL's `parse_coerce.c`).

use super::Binder;
use crate::catalog::builtin;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::Function;
use crate::executor::functions::concat::{TextArgument, takes_text};
use crate::sql::tree::{Call, Expr, ExprKind};
use crate::types::text_io::{self, TextContext};
use crate::types::{Datum, Oid, Type, oid, shape};

/// Why a value is cast: decides which casts may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coercion {
    /// In an expression, by itself.
    Implicit,
    /// Stored into a column.
    Assignment,
    /// Asked for.
    Explicit,
}

/// How one type becomes another.
#[derive(Clone, Copy, Debug)]
pub(in crate::sql) enum Path {
    /// Same representation.
    Relabel,
    /// A function.
    Function(&'static Function),
    /// Element by element.
    Array,
    /// Through text.
    Text,
}

/// Pseudo-types that any type, or any of a kind, may be passed as.
pub(in crate::sql) fn is_polymorphic(ty: Oid) -> bool {
    matches!(
        ty,
        oid::ANYELEMENT
            | oid::ANYARRAY
            | oid::ANYNONARRAY
            | oid::ANYENUM
            | oid::ANYCOMPATIBLE
            | oid::ANYCOMPATIBLEARRAY
            | oid::ANYCOMPATIBLENONARRAY
            | Oid(3831)
            | Oid(4537)
            | Oid(5080)
            | Oid(4538)
    )
}

/// typcategory.
pub(super) fn category(ty: Oid) -> u8 {
    builtin::category(ty)
}

/// typispreferred.
pub(super) fn preferred(ty: Oid) -> bool {
    builtin::type_by_oid(ty).is_some_and(|row| row.preferred)
}

/// What a domain is over; other types are themselves.
pub(in crate::sql) fn base_type(ty: Oid) -> Oid {
    builtin::base_type(Type::new(ty)).oid
}

fn is_composite(ty: Oid) -> bool {
    builtin::kind(ty) == b'c'
}

/// Types with one kind of [`Datum`] are alike: oids are no int4s, and char(n) is kept without its padding.
fn value_class(ty: Oid) -> u8 {
    match ty {
        oid::INT4 => 1,
        oid::OID
        | oid::XID
        | oid::CID
        | oid::REGPROC
        | oid::REGPROCEDURE
        | oid::REGOPER
        | oid::REGOPERATOR
        | oid::REGCLASS
        | oid::REGTYPE
        | oid::REGROLE
        | oid::REGNAMESPACE
        | oid::REGCOLLATION => 2,
        oid::BPCHAR => 3,
        _ => 0,
    }
}

/// The cast from one type to another, if the reason allows one (`find_coercion_pathway`).
pub(in crate::sql) fn pathway(from: Oid, to: Oid, why: Coercion) -> Option<Path> {
    let (from, to) = (base_type(from), base_type(to));
    if from == to {
        return Some(Path::Relabel);
    }
    if let Some(cast) = builtin::cast(from, to) {
        let needed = match cast.context {
            b'i' => Coercion::Implicit,
            b'a' => Coercion::Assignment,
            _ => Coercion::Explicit,
        };
        if why < needed {
            return None;
        }
        return match cast.method {
            // Binary-coercible in PostgreSQL; here only what is the same kind of value may be relabelled.
            b'b' if value_class(from) == value_class(to) => Some(Path::Relabel),
            b'b' | b'i' => Some(Path::Text),
            // A bool as char(n) is spelled out; text(bool) leaves no padding to trim.
            _ if (from, to) == (oid::BOOL, oid::BPCHAR) => builtin::function_by_oid(cast.function).map(Path::Function),
            _ => builtin::function_by_oid(cast.function).map(|function| {
                // int2 becomes an oid by way of int4, which here is another kind of value.
                if value_class(function.result) == value_class(to) { Path::Function(function) } else { Path::Text }
            }),
        };
    }
    if !matches!(to, oid::OIDVECTOR | oid::INT2VECTOR)
        && let (Some(a), Some(b)) = (builtin::element_of(from), builtin::element_of(to))
    {
        let alike = |path: Path| matches!(path, Path::Relabel) && !shape::is_domain(b);
        return pathway(a, b, why).map(|path| if alike(path) { Path::Relabel } else { Path::Array });
    }
    let text = |ty: Oid| category(ty) == b'S';
    if (why >= Coercion::Assignment && text(to)) || (why == Coercion::Explicit && text(from)) {
        return Some(Path::Text);
    }
    None
}

/// Whether a value of one type may be used as another.
pub(in crate::sql) fn can_coerce(from: Oid, to: Oid, why: Coercion) -> bool {
    if from == to || to == oid::ANY || from == oid::UNKNOWN {
        return true;
    }
    match to {
        oid::ANYELEMENT | oid::ANYCOMPATIBLE => return true,
        oid::ANYARRAY | oid::ANYCOMPATIBLEARRAY => {
            return from == oid::ANYARRAY || builtin::element_of(base_type(from)).is_some();
        }
        oid::ANYNONARRAY | oid::ANYCOMPATIBLENONARRAY => return builtin::element_of(base_type(from)).is_none(),
        oid::ANYENUM => return shape::is_enum(from),
        _ if is_polymorphic(to) => return false,
        oid::RECORD if is_composite(from) => return true,
        _ => {}
    }
    if from == oid::RECORD && is_composite(to) {
        return true;
    }
    pathway(from, to, why).is_some()
}

impl Binder<'_> {
    /// A value as another type, its modifier applied; `None` when no cast of that kind exists.
    pub(crate) fn coerce_to(&mut self, expr: Expr, ty: Type, why: Coercion, pos: u32) -> Result<Option<Expr>> {
        if !can_coerce(expr.ty.oid, ty.oid, why) {
            return Ok(None);
        }
        let expr = self.coerce(expr, ty, why, pos)?;
        let expr = self.apply_typmod(expr, ty, why)?;
        Ok(Some(if self.expr_depth == 0 { self.fold(expr) } else { expr }))
    }

    /// A literal or parameter whose type nothing decided becomes text.
    pub(crate) fn coerce_unknown_to_text(&mut self, expr: Expr) -> Expr {
        if expr.ty.oid != oid::UNKNOWN {
            return expr;
        }
        let text = Type::new(oid::TEXT);
        match expr.kind {
            ExprKind::Const(value) => Expr { kind: ExprKind::Const(value), ty: text },
            ExprKind::Param(index) => {
                self.params[index] = Some(text);
                Expr { kind: ExprKind::Param(index), ty: text }
            }
            kind => Expr { kind: ExprKind::Relabel(Box::new(Expr { kind, ty: expr.ty })), ty: text },
        }
    }

    /// `coerce_type`: the type, not yet the modifier. The caller has asked [`can_coerce`].
    pub(in crate::sql) fn coerce(&mut self, expr: Expr, ty: Type, why: Coercion, pos: u32) -> Result<Expr> {
        let (from, to) = (expr.ty.oid, ty.oid);
        if from == to
            || matches!(
                to,
                oid::ANY | oid::ANYELEMENT | oid::ANYNONARRAY | oid::ANYCOMPATIBLE | oid::ANYCOMPATIBLENONARRAY
            )
        {
            return Ok(expr);
        }
        if is_polymorphic(to) && from != oid::UNKNOWN {
            return Ok(expr);
        }
        if shape::is_domain(to) && builtin::type_by_oid(to).is_none() {
            let base = shape::base(ty);
            let value = match expr.kind {
                // The parameter's type is the domain; its text is read as the base type's.
                ExprKind::Param(index) if from == oid::UNKNOWN => {
                    Expr { kind: ExprKind::Relabel(Box::new(self.decide_param(index, to, pos)?)), ty: base }
                }
                kind => {
                    let value = self.coerce(Expr { kind, ty: expr.ty }, base, why, pos)?;
                    self.apply_typmod(value, base, why)?
                }
            };
            return self.coerce_to_domain(value, to);
        }
        if from == oid::UNKNOWN {
            // Elements are read as the base type's, and tested one by one.
            if let Some(element) = shape::element_of(to).filter(|element| shape::is_domain(*element))
                && let Some(array) = builtin::array_of(shape::base(Type::new(element)).oid)
                && matches!(expr.kind, ExprKind::Const(_) | ExprKind::Param(_))
            {
                let read = match expr.kind {
                    ExprKind::Param(index) => {
                        let param = self.decide_param(index, to, pos)?;
                        Expr { kind: ExprKind::Relabel(Box::new(param)), ty: Type::new(array) }
                    }
                    kind => self.coerce(Expr { kind, ty: expr.ty }, Type::new(array), why, pos)?,
                };
                return self.coerce_array(read, ty, why, pos);
            }
            match expr.kind {
                ExprKind::Const(value) => return self.read_literal(value, ty, pos),
                ExprKind::Param(index) => return self.decide_param(index, to, pos),
                kind => {
                    let inner = Expr { kind, ty: expr.ty };
                    return Ok(Expr { kind: ExprKind::CoerceViaIo(Box::new(inner)), ty: Type::new(to) });
                }
            }
        }
        let relabel = |expr: Expr, to: Oid| Expr { kind: ExprKind::Relabel(Box::new(expr)), ty: Type::new(to) };
        match pathway(from, to, why) {
            Some(Path::Relabel) => Ok(match expr.kind {
                // A constant's label is its type.
                ExprKind::Const(value) => Expr { kind: ExprKind::Const(value), ty: Type::new(to) },
                kind => relabel(Expr { kind, ty: expr.ty }, to),
            }),
            Some(Path::Function(function)) => {
                let mut args = vec![expr];
                let mut typmod = -1;
                if function.args.len() > 1 {
                    typmod = ty.typmod;
                    args.push(constant(Datum::Int4(ty.typmod), oid::INT4));
                }
                if function.args.len() > 2 {
                    args.push(constant(Datum::Bool(why == Coercion::Explicit), oid::BOOL));
                }
                Ok(Expr { kind: ExprKind::Call(Call { function, args }), ty: Type::with_typmod(to, typmod) })
            }
            Some(Path::Array) => self.coerce_array(expr, ty, why, pos),
            Some(Path::Text) => {
                // An integer of a regclass is its oid, not its name.
                let by_number = value_class(base_type(from)) == 2 && matches!(base_type(to), oid::INT4 | oid::INT8);
                let expr = if by_number { relabel(expr, oid::OID) } else { expr };
                Ok(Expr { kind: ExprKind::CoerceViaIo(Box::new(expr)), ty: Type::new(to) })
            }
            None => self.coerce_row(expr, ty, why, pos),
        }
    }

    fn coerce_array(&mut self, array: Expr, ty: Type, why: Coercion, pos: u32) -> Result<Expr> {
        let (Some(from), Some(to)) =
            (builtin::element_of(base_type(array.ty.oid)), builtin::element_of(base_type(ty.oid)))
        else {
            return Err(Error::internal("an array cast between types that are no arrays"));
        };
        let element_column = self.column(Type::new(from));
        let element = Expr { kind: ExprKind::Column(element_column), ty: Type::new(from) };
        let wanted = Type::with_typmod(to, ty.typmod);
        let element = self.coerce(element, wanted, why, pos)?;
        let element = Box::new(self.apply_typmod(element, wanted, why)?);
        Ok(Expr { kind: ExprKind::CoerceArray { array: Box::new(array), element_column, element }, ty })
    }

    /// ROW(…) as a table's row type, field by field; any composite as record.
    fn coerce_row(&mut self, expr: Expr, ty: Type, why: Coercion, pos: u32) -> Result<Expr> {
        if ty.oid == oid::RECORD {
            return Ok(Expr { kind: ExprKind::Relabel(Box::new(expr)), ty });
        }
        let relation = self.ctx.image.relation_of_row_type(ty.oid).cloned();
        let (Some(relation), ExprKind::Row(fields)) = (relation, expr.kind) else {
            let message = format!("cannot cast type {} to {}", self.type_name(expr.ty), self.type_name(ty));
            return Err(Error::new(SqlState::CannotCoerce, message).at(self.position(pos)));
        };
        let wanted: Vec<Type> = relation.live_attributes().map(|attribute| attribute.ty).collect();
        if wanted.len() != fields.len() {
            let message = format!("cannot cast type record to {}", self.type_name(ty));
            let detail =
                if fields.len() < wanted.len() { "Input has too few columns." } else { "Input has too many columns." };
            return Err(Error::new(SqlState::CannotCoerce, message).detail(detail).at(self.position(pos)));
        }
        let mut cast = Vec::with_capacity(fields.len());
        for (i, (field, want)) in fields.into_iter().zip(wanted).enumerate() {
            let given = field.ty;
            match self.coerce_to(field, want, why, pos)? {
                Some(field) => cast.push(field),
                None => {
                    let message = format!("cannot cast type record to {}", self.type_name(ty));
                    let (given, want) = (self.type_name(given), self.type_name(want));
                    return Err(Error::new(SqlState::CannotCoerce, message)
                        .detail(format!("Cannot cast type {given} to {want} in column {}.", i + 1))
                        .at(self.position(pos)));
                }
            }
        }
        Ok(Expr { kind: ExprKind::Row(cast), ty })
    }

    /// A string literal read as a type, by its input function.
    fn read_literal(&mut self, value: Datum, ty: Type, pos: u32) -> Result<Expr> {
        let Datum::Text(text) = value else { return Ok(constant(Datum::Null, ty.oid)) };
        if is_polymorphic(ty.oid) || matches!(ty.oid, oid::ANY | oid::RECORD) {
            let message = match ty.oid {
                oid::RECORD => "input of anonymous composite types is not implemented".to_owned(),
                _ => format!("cannot accept a value of type {}", self.type_name(ty)),
            };
            return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(pos)));
        }
        if let Some(relation) = self.ctx.image.relation_of_row_type(ty.oid).cloned() {
            return self.read_record(&text, ty, &relation, pos);
        }
        let call = self.ctx.call;
        let host = &*call.host;
        let names: &dyn text_io::Names = host;
        let context =
            TextContext { format: &call.format, time_zone: &call.time_zone, now: call.transaction_time, names };
        // Intervals take their fields while they are read; lengths are applied afterwards.
        let target = if ty.oid == oid::INTERVAL { ty } else { Type::new(base_type(ty.oid)) };
        let value = text_io::input_plain(&text, target, &context).map_err(|error| error.at(self.position(pos)))?;
        // 'now' and its like, and time zones' rules: another day, time and half of the year tell.
        let later = TextContext { now: context.now.wrapping_add(183 * 86_400_000_000 + 3_661_000_001), ..context };
        if is_datetime(target.oid)
            && !text_io::input_plain(&text, target, &later)
                .is_ok_and(|again| super::aggregate::same_datum(&again, &value))
        {
            self.ctx.reads_clock.set(true);
        }
        let typmod = if ty.oid == oid::INTERVAL { ty.typmod } else { -1 };
        Ok(Expr { kind: ExprKind::Const(value), ty: Type::with_typmod(ty.oid, typmod) })
    }

    /// The length coercion of a type with a modifier.
    pub(super) fn apply_typmod(&mut self, expr: Expr, ty: Type, why: Coercion) -> Result<Expr> {
        if expr.ty.oid != ty.oid || expr.ty.typmod == ty.typmod {
            return Ok(expr);
        }
        if ty.typmod < 0 {
            return Ok(match expr.kind {
                ExprKind::Const(value) => Expr { kind: ExprKind::Const(value), ty },
                kind => Expr { kind: ExprKind::Relabel(Box::new(Expr { kind, ty: expr.ty })), ty },
            });
        }
        if let Some(element) = builtin::element_of(ty.oid)
            && builtin::cast(element, element).is_some()
        {
            let element_column = self.column(Type::new(element));
            let inner = Expr { kind: ExprKind::Column(element_column), ty: Type::new(element) };
            let element = Box::new(self.apply_typmod(inner, Type::with_typmod(element, ty.typmod), why)?);
            return Ok(Expr { kind: ExprKind::CoerceArray { array: Box::new(expr), element_column, element }, ty });
        }
        let length = builtin::cast(ty.oid, ty.oid).and_then(|cast| builtin::function_by_oid(cast.function));
        let Some(function) = length else {
            return Ok(Expr { kind: ExprKind::Relabel(Box::new(expr)), ty });
        };
        let mut args = vec![expr, constant(Datum::Int4(ty.typmod), oid::INT4)];
        if function.args.len() > 2 {
            args.push(constant(Datum::Bool(why == Coercion::Explicit), oid::BOOL));
        }
        Ok(Expr { kind: ExprKind::Call(Call { function, args }), ty })
    }

    /// The type for values that must agree (`select_common_type`): known types decide, a preferred one of their category
    /// wins, later ones win where earlier ones can be cast to them.
    pub(crate) fn select_common_type(&self, items: &[(Oid, u32)], construct: &str) -> Result<Oid> {
        let mut chosen = items.first().map_or(oid::UNKNOWN, |item| item.0);
        if chosen != oid::UNKNOWN && items.iter().all(|item| item.0 == chosen) {
            return Ok(chosen);
        }
        chosen = base_type(chosen);
        for (ty, pos) in items.iter().skip(1) {
            let next = base_type(*ty);
            if next == oid::UNKNOWN || next == chosen {
                continue;
            }
            if chosen == oid::UNKNOWN {
                chosen = next;
            } else if category(next) != category(chosen) {
                let (a, b) = (self.type_name(Type::new(chosen)), self.type_name(Type::new(next)));
                let message = format!("{construct} types {a} and {b} cannot be matched");
                return Err(Error::new(SqlState::DatatypeMismatch, message).at(self.position(*pos)));
            } else if !preferred(chosen)
                && can_coerce(chosen, next, Coercion::Implicit)
                && !can_coerce(next, chosen, Coercion::Implicit)
            {
                chosen = next;
            }
        }
        Ok(if chosen == oid::UNKNOWN { oid::TEXT } else { chosen })
    }

    /// The common type, or `None` when there is none.
    pub(in crate::sql) fn common_type_or_none(&self, items: &[Oid]) -> Option<Oid> {
        let items: Vec<(Oid, u32)> = items.iter().map(|ty| (*ty, 0)).collect();
        let common = self.select_common_type(&items, "").ok()?;
        items.iter().all(|(ty, _)| can_coerce(*ty, common, Coercion::Implicit)).then_some(common)
    }

    /// A parameter gets its type from where it stands, once.
    fn decide_param(&mut self, index: usize, ty: Oid, pos: u32) -> Result<Expr> {
        let wanted = Type::new(ty);
        match self.params[index] {
            Some(known) if known.oid != oid::UNKNOWN && known.oid != ty => {
                let message = format!("inconsistent types deduced for parameter ${}", index + 1);
                let (a, b) = (self.type_name(known), self.type_name(wanted));
                Err(Error::new(SqlState::AmbiguousParameter, message)
                    .detail(format!("{a} versus {b}"))
                    .at(self.position(pos)))
            }
            _ => {
                self.params[index] = Some(wanted);
                Ok(Expr { kind: ExprKind::Param(index), ty: wanted })
            }
        }
    }

    /// The parameters' final types.
    pub(crate) fn final_params(&mut self) -> Result<Vec<Type>> {
        if let Some(error) = self.plan_error.take() {
            // The planner looks at arbiters after it has folded constants.
            return Err(self.failures.first().map_or(error, |(_, failed)| failed.clone()));
        }
        let mut types = Vec::with_capacity(self.params.len());
        for (index, ty) in self.params.iter().enumerate() {
            match ty {
                Some(ty) if ty.oid != oid::UNKNOWN => types.push(*ty),
                _ => {
                    let message = format!("could not determine data type of parameter ${}", index + 1);
                    return Err(Error::new(SqlState::IndeterminateDatatype, message));
                }
            }
        }
        Ok(types)
    }
}

impl Binder<'_> {
    /// The arguments of a call, as text where the function takes any type and needs its text.
    pub(super) fn text_arguments(&mut self, function: &'static Function, args: Vec<Expr>) -> Result<Vec<Expr>> {
        let text = Type::new(oid::TEXT);
        let mut ready = Vec::with_capacity(args.len());
        for (index, arg) in args.into_iter().enumerate() {
            let undecided = arg.ty.oid == oid::UNKNOWN;
            ready.push(match takes_text(function, index) {
                None => arg,
                Some(TextArgument::Elements) => self.padded_elements(arg),
                Some(_) if undecided && matches!(arg.kind, ExprKind::Param(_)) => arg,
                Some(_) if undecided => self.coerce_unknown_to_text(arg),
                Some(TextArgument::Cast) => self.coerce(arg, text, Coercion::Explicit, 0)?,
                // These are texts already; a char(n) may have its padding to show.
                Some(TextArgument::Output) if matches!(arg.ty.oid, oid::TEXT | oid::VARCHAR | oid::NAME) => arg,
                Some(TextArgument::Output) => Expr { kind: ExprKind::CoerceViaIo(Box::new(arg)), ty: text },
            });
        }
        Ok(ready)
    }

    /// An array of char(n) as one of text with the padding that the elements show.
    fn padded_elements(&mut self, array: Expr) -> Expr {
        if array.ty.oid != oid::BPCHAR_ARRAY {
            return array;
        }
        let from = Type::with_typmod(oid::BPCHAR, array.ty.typmod);
        let element_column = self.column(from);
        let element = Expr { kind: ExprKind::Column(element_column), ty: from };
        let element = Box::new(Expr { kind: ExprKind::CoerceViaIo(Box::new(element)), ty: Type::new(oid::TEXT) });
        let kind = ExprKind::CoerceArray { array: Box::new(array), element_column, element };
        Expr { kind, ty: Type::new(oid::TEXT_ARRAY) }
    }
}

/// Whether a type's input function may read the clock: date, time, arrays of them.
fn is_datetime(ty: Oid) -> bool {
    let ty = builtin::element_of(ty).unwrap_or(ty);
    matches!(ty, oid::DATE | oid::TIME | oid::TIMETZ | oid::TIMESTAMP | oid::TIMESTAMPTZ)
}

/// A constant.
pub(super) fn constant(value: Datum, ty: Oid) -> Expr {
    Expr { kind: ExprKind::Const(value), ty: Type::new(ty) }
}
