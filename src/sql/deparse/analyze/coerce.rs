//! Casts (PostgreSQL's `parse_coerce.c`), each with its form.

use super::super::tree::{CastHow, Constant, Form, Kind, Node};
use super::{Analyzer, unexpected};
use crate::catalog::builtin;
use crate::error::Result;
use crate::sql::bind::coerce::{self, Coercion, Path, base_type};
use crate::sql::tree::{Expr, ExprKind};
use crate::sql::{ast, parse};
use crate::types::format::FormatSettings;
use crate::types::text_io::{self, TextContext};
use crate::types::{Datum, Oid, Text, Type, oid, shape};

/// Types whose values are shown by name.
fn names_objects(ty: Oid) -> bool {
    matches!(ty, oid::REGCLASS | oid::REGTYPE | oid::REGROLE | oid::REGNAMESPACE)
}

/// Enum values whose labels are their places.
pub(in crate::sql::deparse) struct Places;

impl text_io::Names for Places {
    fn label(&self, _: Oid, place: &str) -> Option<Text> {
        Some(place.into())
    }
    fn place(&self, _: Oid, label: &str) -> Result<Text> {
        Ok(label.into())
    }
    fn read(&self, _: Oid, text: &str) -> Result<Oid> {
        Err(unexpected(text))
    }
    fn show(&self, _: Oid, _: Oid) -> Option<String> {
        None
    }
}

/// The type of two set operation operands' columns.
pub(super) fn common(a: Type, b: Type) -> Type {
    if a == b || b.oid == oid::UNKNOWN {
        return a;
    }
    let implicit = |from: Oid, to: Oid| coerce::can_coerce(from, to, Coercion::Implicit);
    match a.oid == oid::UNKNOWN || a.oid == b.oid || (implicit(a.oid, b.oid) && !implicit(b.oid, a.oid)) {
        true => Type::new(b.oid),
        false => Type::new(a.oid),
    }
}

impl Analyzer<'_> {
    /// A value as a node.
    pub(super) fn constant(&self, value: &Datum, ty: Type) -> Node {
        let constant = match value {
            Datum::Null => Constant::Null,
            Datum::Oid(object) if names_objects(ty.oid) => Constant::Object(*object),
            value if shape::is_enum(oid::element_of(ty.oid).unwrap_or(ty.oid)) => {
                let format = FormatSettings::default();
                let mut text = String::new();
                text_io::output(value, ty, &text_io::bare(&format, &Places), &mut text);
                Constant::Places(text)
            }
            value => {
                let call = self.binder.ctx.call;
                let fixed = FormatSettings { extra_float_digits: 1, ..FormatSettings::default() };
                let zone = jiff::tz::TimeZone::UTC;
                let names: &dyn text_io::Names = &*call.host;
                let context = match self.stored {
                    true => TextContext { format: &fixed, time_zone: &zone, now: call.transaction_time, names },
                    false => call.text(),
                };
                let mut text = String::new();
                text_io::output(value, ty, &context, &mut text);
                Constant::Text(text)
            }
        };
        Node { kind: Kind::Const(constant), ty }
    }

    /// A literal of unknown type read by a type's input function.
    fn read(&mut self, constant: Constant, ty: Type) -> Result<Node> {
        if let Constant::Text(text) = &constant
            && ty.oid == oid::REGCLASS
            && let Some(relation) = self.relation_called(text)
        {
            return Ok(Node { kind: Kind::Const(Constant::Object(relation)), ty: Type::new(ty.oid) });
        }
        let Constant::Text(text) = constant else {
            return Ok(Node { kind: Kind::Const(constant), ty: Type::new(ty.oid) });
        };
        let value = Expr { kind: ExprKind::Const(Datum::Text(text.into())), ty: Type::new(oid::UNKNOWN) };
        let read = self.binder.coerce(value, ty, Coercion::Implicit, 0)?;
        match read.kind {
            ExprKind::Const(value) => Ok(self.constant(&value, read.ty)),
            _ => Err(unexpected("a literal that is no constant")),
        }
    }

    /// The relation of a name in this catalog, which need not be the one that the session's functions see.
    fn relation_called(&self, text: &str) -> Option<Oid> {
        let ast::ExprKind::Column(parts) = parse::expression(text).ok()?.kind else { return None };
        let found = match &parts[..] {
            [name] => self.binder.find_relation(None, name),
            [schema, name] => self.binder.find_relation(Some(schema), name),
            _ => None,
        };
        found.map(|relation| relation.oid)
    }

    /// `coerce_type`: the type, not the modifier.
    pub(super) fn coerce(&mut self, node: Node, ty: Type, why: Coercion, form: Form) -> Result<Node> {
        let (from, to) = (node.ty.oid, ty.oid);
        let polymorphic = coerce::is_polymorphic(to) && (from != oid::UNKNOWN || to == oid::ANYELEMENT);
        if from == to || to == oid::ANY || polymorphic {
            return Ok(node);
        }
        let cast =
            |node: Node, how: CastHow, ty: Type| Node { kind: Kind::Cast { arg: Box::new(node), form, how }, ty };
        if from == oid::UNKNOWN {
            return match node.kind {
                // A literal is the base type's, and only then the domain's; an array of a domain's values bears its own type.
                Kind::Const(constant) if shape::is_domain(to) => {
                    let base = self.read(constant, shape::base(ty))?;
                    Ok(cast(base, CastHow::Relabel, Type::new(to)))
                }
                Kind::Const(constant) => match array_of_bases(to) {
                    Some(array) => self.read(constant, Type::new(array)).map(|read| Node { ty: Type::new(to), ..read }),
                    None => self.read(constant, ty),
                },
                _ => Ok(cast(node, CastHow::Text, Type::new(to))),
            };
        }
        if let Kind::Row { fields, .. } = node.kind {
            return Ok(Node { kind: Kind::Row { fields, labelled: form == Form::Explicit }, ty: Type::new(to) });
        }
        if let Some(row) = builtin::cast(base_type(from), base_type(to))
            && row.method == b'b'
        {
            return Ok(cast(node, CastHow::Relabel, Type::new(to)));
        }
        match coerce::pathway(from, to, why) {
            Some(Path::Relabel) if builtin::element_of(to).is_none() => Ok(cast(node, CastHow::Relabel, Type::new(to))),
            Some(Path::Function(function)) => {
                let typmod = if function.args.len() > 1 { ty.typmod } else { -1 };
                let kind = Kind::Function { function: function.oid, form, args: vec![node], variadic: false };
                Ok(Node { kind, ty: Type::with_typmod(to, typmod) })
            }
            Some(Path::Array | Path::Relabel) => Ok(cast(node, CastHow::Array, ty)),
            Some(Path::Text) => Ok(cast(node, CastHow::Text, Type::new(to))),
            None if to == oid::RECORD => Ok(cast(node, CastHow::Relabel, Type::new(to))),
            None => Err(unexpected("a cast that does not exist")),
        }
    }

    /// `coerce_to_target_type`: the type and its modifier.
    pub(super) fn coerce_to(&mut self, node: Node, ty: Type, why: Coercion, form: Form) -> Result<Node> {
        let before = node.ty.oid;
        let mut node = self.coerce(node, ty, why, form)?;
        if node.ty == ty || node.ty.oid != ty.oid {
            return Ok(node);
        }
        let inner_cast = before != node.ty.oid && !matches!(node.kind, Kind::Const(_));
        if inner_cast {
            hide(&mut node);
        }
        if ty.typmod >= 0 {
            if let Some(function) = builtin::cast(ty.oid, ty.oid).map(|cast| cast.function) {
                let kind = Kind::Function { function, form, args: vec![node], variadic: false };
                return Ok(Node { kind, ty });
            }
            if builtin::element_of(ty.oid).is_some_and(|element| builtin::cast(element, element).is_some()) {
                return Ok(Node { kind: Kind::Cast { arg: Box::new(node), form, how: CastHow::Array }, ty });
            }
        }
        // A label for the modifier only; a constant bears it itself.
        Ok(match node.kind {
            Kind::Const(constant) => Node { kind: Kind::Const(constant), ty },
            kind => {
                let arg = Box::new(Node { kind, ty: node.ty });
                Node { kind: Kind::Cast { arg, form, how: CastHow::Relabel }, ty }
            }
        })
    }

    /// As a column's value.
    pub(super) fn assign(&mut self, node: Node, ty: Type) -> Result<Node> {
        self.coerce_to(node, ty, Coercion::Assignment, Form::Implicit)
    }

    pub(super) fn implicit(&mut self, node: Node, ty: Oid) -> Result<Node> {
        self.coerce(node, Type::new(ty), Coercion::Implicit, Form::Implicit)
    }

    pub(super) fn text_if_unknown(&mut self, node: Node) -> Result<Node> {
        if node.ty.oid == oid::UNKNOWN { self.implicit(node, oid::TEXT) } else { Ok(node) }
    }

    /// Values brought to their common type.
    pub(super) fn to_common(&mut self, nodes: Vec<Node>) -> Result<(Vec<Node>, Type)> {
        let typed: Vec<(Oid, u32)> = nodes.iter().map(|node| (node.ty.oid, 0)).collect();
        let common = self.binder.select_common_type(&typed, "")?;
        let typmod = nodes.first().map_or(-1, |node| node.ty.typmod);
        let same = nodes.iter().all(|node| node.ty == Type::with_typmod(common, typmod));
        let nodes = nodes.into_iter().map(|node| self.implicit(node, common)).collect::<Result<_>>()?;
        Ok((nodes, if same { Type::with_typmod(common, typmod) } else { Type::new(common) }))
    }
}

/// The array type over what a domain is over, for an array type over the domain.
fn array_of_bases(array: Oid) -> Option<Oid> {
    let element = shape::element_of(array).filter(|element| shape::is_domain(*element))?;
    builtin::array_of(shape::base(Type::new(element)).oid)
}

/// The inner one of two casts that were written as one.
fn hide(node: &mut Node) {
    match &mut node.kind {
        Kind::Function { form, .. } | Kind::Cast { form, .. } => *form = Form::Implicit,
        _ => {}
    }
}
