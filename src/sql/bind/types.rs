//! Type names to types, and types to the names that messages show.

use super::Binder;
use crate::catalog::builtin;
use crate::catalog::names::Namespace;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::{Expr, ExprKind, Literal, TypeName};
use crate::types::{Oid, Type, oid, typmod};

/// Longest declared varchar and char.
const LENGTH_MAX: i32 = 10_485_760;

impl Binder<'_> {
    /// The type that a type name means by the search path, modifiers checked and packed.
    pub(crate) fn bind_type(&mut self, name: &TypeName) -> Result<Type> {
        let pos = self.position(name.pos);
        if name.setof {
            return Err(Error::new(SqlState::InvalidTableDefinition, "type cannot be declared SETOF").at(pos));
        }
        let Some(base) = self.find_type(&name.names) else {
            let message = format!("type \"{}\" does not exist", name.names.join("."));
            return Err(Error::new(SqlState::UndefinedObject, message).at(pos));
        };
        let typmod = self.modifiers(base, &name.typmods, name).map_err(|error| error.at(pos))?;
        if name.array_bounds.is_empty() {
            return Ok(Type::with_typmod(base, typmod));
        }
        match builtin::array_of(base) {
            Some(array) => Ok(Type::with_typmod(array, typmod)),
            // An array of an array is that array: dimensions are no part of a type.
            None if builtin::element_of(base).is_some() => Ok(Type::with_typmod(base, typmod)),
            None => {
                let message = format!("could not find array type for data type {}", self.type_name(Type::new(base)));
                Err(Error::new(SqlState::UndefinedObject, message).at(pos))
            }
        }
    }

    fn find_type(&self, names: &[String]) -> Option<Oid> {
        let (schema, name) = match names {
            [name] => (None, name),
            [schema, name] | [_, schema, name] => (Some(schema.as_str()), name),
            _ => return None,
        };
        self.namespace().find_type(schema, name)
    }

    pub(super) fn namespace(&self) -> Namespace<'_> {
        Namespace { image: &self.ctx.image, path: &self.search_path }
    }

    fn modifiers(&self, base: Oid, given: &[Expr], name: &TypeName) -> Result<i32> {
        if given.is_empty() {
            return Ok(-1);
        }
        let invalid = |message: String| Error::new(SqlState::InvalidParameterValue, message);
        let mut numbers = Vec::with_capacity(given.len());
        for item in given {
            match &item.kind {
                ExprKind::Literal(Literal::Integer(value)) => numbers.push(*value),
                _ => {
                    let message = "type modifiers must be simple constants or identifiers";
                    return Err(Error::new(SqlState::SyntaxError, message));
                }
            }
        }
        match (base, &numbers[..]) {
            (oid::VARCHAR | oid::BPCHAR, [length]) => {
                let what = if base == oid::VARCHAR { "varchar" } else { "char" };
                match *length {
                    ..=0 => Err(invalid(format!("length for type {what} must be at least 1"))),
                    1..=LENGTH_MAX => Ok(length + 4),
                    _ => Err(invalid(format!("length for type {what} cannot exceed {LENGTH_MAX}"))),
                }
            }
            (oid::NUMERIC, [precision]) => self.numeric_modifier(*precision, 0),
            (oid::NUMERIC, [precision, scale]) => self.numeric_modifier(*precision, *scale),
            (oid::NUMERIC, _) => Err(invalid("invalid NUMERIC type modifier".to_owned())),
            (oid::TIME | oid::TIMETZ | oid::TIMESTAMP | oid::TIMESTAMPTZ, [precision]) => {
                let what = if matches!(base, oid::TIME | oid::TIMETZ) { "TIME" } else { "TIMESTAMP" };
                let zone = if matches!(base, oid::TIMETZ | oid::TIMESTAMPTZ) { " WITH TIME ZONE" } else { "" };
                match *precision {
                    ..=-1 => Err(invalid(format!("{what}({precision}){zone} precision must not be negative"))),
                    // PostgreSQL warns and takes six.
                    _ => Ok((*precision).min(6)),
                }
            }
            (oid::INTERVAL, [fields]) => {
                Ok(crate::types::interval::typmod(*fields, crate::types::interval::FULL_PRECISION))
            }
            (oid::INTERVAL, [fields, precision]) => match *precision {
                ..=-1 => Err(invalid(format!("INTERVAL({precision}) precision must not be negative"))),
                _ => Ok(crate::types::interval::typmod(*fields, (*precision).min(6))),
            },
            (oid::VARCHAR | oid::BPCHAR | oid::TIME | oid::TIMETZ | oid::TIMESTAMP | oid::TIMESTAMPTZ, _) => {
                Err(invalid("invalid type modifier".to_owned()))
            }
            _ => {
                let shown = name.names.last().map_or("", String::as_str);
                let message = format!("type modifier is not allowed for type \"{shown}\"");
                Err(Error::new(SqlState::SyntaxError, message))
            }
        }
    }

    fn numeric_modifier(&self, precision: i32, scale: i32) -> Result<i32> {
        let invalid = |message: String| Err(Error::new(SqlState::InvalidParameterValue, message));
        if !(1..=1000).contains(&precision) {
            return invalid(format!("NUMERIC precision {precision} must be between 1 and 1000"));
        }
        if !(-1000..=1000).contains(&scale) {
            return invalid(format!("NUMERIC scale {scale} must be between -1000 and 1000"));
        }
        Ok(typmod::of_numeric(precision, scale))
    }

    /// A type as messages name it, its modifier left out (`format_type_be`).
    pub(crate) fn type_name(&self, ty: Type) -> String {
        self.namespace().format_type(ty.oid, None)
    }
}
