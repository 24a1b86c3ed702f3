//! The reg types' text: what name an oid stands for, and which oid a name means, by the session's search path.

use crate::catalog::builtin::{self, Operator};
use crate::catalog::image::Image;
use crate::catalog::names::{Namespace, quote};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::Function;
use crate::types::{Oid, oid};

/// Reads a reg type's text: a name, with its schema or without.
///
/// # Errors
/// 42P01, 42704, 42883, 42725, 3F000 as PostgreSQL's input functions; 42602 for text that is no name.
pub(super) fn read(names: Namespace<'_>, ty: Oid, text: &str) -> Result<Oid> {
    match ty {
        oid::REGTYPE => return read_type(names, text),
        oid::REGPROCEDURE => return read_procedure(names, text),
        oid::REGOPER => return read_operator(text),
        oid::REGOPERATOR => return read_operator_with_types(names, text),
        _ => {}
    }
    let parts = super::settings::split_dotted(text)?;
    let shown = parts.join(".");
    let undefined = |code: SqlState, message: String| Err(Error::new(code, message));
    match (ty, &parts[..]) {
        (oid::REGCLASS, _) => match find_relation(names, &parts)? {
            Some(oid) => Ok(oid),
            None => undefined(SqlState::UndefinedTable, format!("relation \"{shown}\" does not exist")),
        },
        (oid::REGNAMESPACE, [name]) => match names.image.schema_names.get(name) {
            Some(oid) => Ok(*oid),
            None => undefined(SqlState::InvalidSchemaName, format!("schema \"{name}\" does not exist")),
        },
        (oid::REGROLE, [name]) => match names.image.roles.values().find(|role| role.name == *name) {
            Some(role) => Ok(role.oid),
            None => undefined(SqlState::UndefinedObject, format!("role \"{name}\" does not exist")),
        },
        (oid::REGPROC, [.., name]) => {
            let found = functions(&parts);
            match &found[..] {
                [function] => Ok(function.oid),
                [] => undefined(SqlState::UndefinedFunction, format!("function \"{shown}\" does not exist")),
                _ => undefined(SqlState::AmbiguousFunction, format!("more than one function named \"{name}\"")),
            }
        }
        (oid::REGCOLLATION, [.., name]) => match collation(name) {
            Some(oid) => Ok(oid),
            None => undefined(
                SqlState::UndefinedObject,
                format!("collation \"{shown}\" for encoding \"UTF8\" does not exist"),
            ),
        },
        _ => undefined(SqlState::InvalidName, "invalid name syntax".to_owned()),
    }
}

/// The text of an oid of a reg type; `None`: there is no such object.
pub(super) fn show(names: Namespace<'_>, ty: Oid, value: Oid) -> Option<String> {
    let image = names.image;
    let qualified = |visible: bool, schema: &str, name: String| {
        if visible { name } else { format!("{}.{name}", quote(schema)) }
    };
    match ty {
        oid::REGCLASS => match image.relations.get(&value) {
            Some(relation) => Some(names.relation_name(relation)),
            None => crate::catalog::system::built_in_name("pg_class", value),
        },
        oid::REGNAMESPACE => Some(quote(&image.schemas.get(&value)?.name)),
        oid::REGROLE => Some(quote(&image.roles.get(&value)?.name)),
        oid::REGTYPE => {
            (value != Oid::NONE && names.type_is_visible(value).is_some()).then(|| names.format_type(value, None))
        }
        oid::REGPROC => {
            let function = builtin::function_by_oid(value)?;
            let schema = schema_of(function);
            let alone = functions(&[function.name.to_owned()]).len() == 1 && names.built_in_is_visible(schema);
            Some(qualified(alone, schema, quote(function.name)))
        }
        oid::REGPROCEDURE => {
            let function = builtin::function_by_oid(value)?;
            let schema = schema_of(function);
            let args: Vec<String> = function.args.iter().map(|ty| names.format_type(*ty, None)).collect();
            let name = format!("{}({})", quote(function.name), args.join(","));
            Some(qualified(names.built_in_is_visible(schema), schema, name))
        }
        oid::REGOPER => {
            let operator = builtin::operator_by_oid(value)?;
            let alone = builtin::operators_named(operator.name).count() == 1;
            Some(qualified(alone, "pg_catalog", operator.name.to_owned()))
        }
        oid::REGOPERATOR => {
            let Operator { name, left, right, .. } = builtin::operator_by_oid(value)?;
            let side = |ty: Oid| if ty == Oid::NONE { "NONE".to_owned() } else { names.format_type(ty, None) };
            Some(format!("{name}({},{})", side(*left), side(*right)))
        }
        oid::REGCOLLATION => crate::catalog::system::built_in_name("pg_collation", value),
        _ => None,
    }
}

fn schema_of(function: &Function) -> &'static str {
    builtin::function_detail(function.oid).map_or("pg_catalog", |detail| detail.schema)
}

fn find_relation(names: Namespace<'_>, parts: &[String]) -> Result<Option<Oid>> {
    let image: &Image = names.image;
    Ok(match parts {
        [name] => names.relation(name).map(|relation| relation.oid),
        [schema, name] if schema == "pg_temp" => {
            names.temporary_schema().and_then(|schema| image.relation(schema, name)).map(|relation| relation.oid)
        }
        [schema, name] => {
            if !image.schema_names.contains_key(schema) {
                return Err(Error::new(SqlState::InvalidSchemaName, format!("schema \"{schema}\" does not exist")));
            }
            relation_in(image, schema, name)
        }
        [database, schema, name] => {
            let own = image.databases.get(&image.database).is_none_or(|own| own.name == *database);
            if !own {
                let message = format!("cross-database references are not implemented: \"{}\"", parts.join("."));
                return Err(Error::new(SqlState::FeatureNotSupported, message));
            }
            relation_in(image, schema, name)
        }
        _ => {
            let message = format!("improper relation name (too many dotted names): {}", parts.join("."));
            return Err(Error::new(SqlState::SyntaxError, message));
        }
    })
}

fn relation_in(image: &Image, schema: &str, name: &str) -> Option<Oid> {
    image.relation(*image.schema_names.get(schema)?, name).map(|relation| relation.oid)
}

/// The functions of a name, in the schema that it names or else in pg_catalog.
fn functions(parts: &[String]) -> Vec<&'static Function> {
    let (schema, name) = match parts {
        [schema, name] => (schema.as_str(), name),
        [name] => ("pg_catalog", name),
        _ => return Vec::new(),
    };
    builtin::functions_named(name).iter().copied().filter(|function| schema_of(function) == schema).collect()
}

fn collation(name: &str) -> Option<Oid> {
    crate::catalog::system::built_in_oid("pg_collation", name)
}

fn read_type(names: Namespace<'_>, text: &str) -> Result<Oid> {
    let parsed = crate::sql::parse::type_name(text).map_err(|mut error| {
        // The position is in a text of its own.
        error.report_mut().position = None;
        error
    })?;
    let parts: Vec<&str> = parsed.names.iter().map(String::as_str).collect();
    let found = match parts[..] {
        [name] => names.find_type(None, name),
        [schema, name] | [_, schema, name] => names.find_type(Some(schema), name),
        _ => None,
    };
    let array = |element: Oid| {
        let own = names.image.row_types.contains_key(&element).then(|| crate::catalog::system::array_oid(element));
        builtin::array_of(element).or(own).or_else(|| builtin::element_of(element).map(|_| element))
    };
    let found = if parsed.array_bounds.is_empty() { found } else { found.and_then(array) };
    found.ok_or_else(|| {
        Error::new(SqlState::UndefinedObject, format!("type \"{}\" does not exist", parsed.names.join(".")))
    })
}

/// `name(type, …)`: the name and the types.
fn split_signature<'t>(names: Namespace<'_>, text: &'t str) -> Result<(&'t str, Vec<Oid>)> {
    let invalid = |what: &str| Error::new(SqlState::InvalidTextRepresentation, what.to_owned());
    let open = text.find('(').ok_or_else(|| invalid("expected a left parenthesis"))?;
    let inner = text[open + 1..].trim_end().strip_suffix(')').ok_or_else(|| invalid("expected a right parenthesis"))?;
    let mut types = Vec::new();
    let (mut depth, mut start) = (0, 0);
    let mut piece = |piece: &str| -> Result<()> {
        let piece = piece.trim();
        if piece.eq_ignore_ascii_case("none") {
            types.push(Oid::NONE);
        } else if !piece.is_empty() {
            types.push(read_type(names, piece)?);
        }
        Ok(())
    };
    for (at, c) in inner.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                piece(&inner[start..at])?;
                start = at + 1;
            }
            _ => {}
        }
    }
    piece(&inner[start..])?;
    Ok((text[..open].trim(), types))
}

fn read_procedure(names: Namespace<'_>, text: &str) -> Result<Oid> {
    let (name, types) = split_signature(names, text)?;
    let parts = super::settings::split_dotted(name)?;
    let found = functions(&parts).into_iter().find(|function| function.args == types);
    found
        .map(|function| function.oid)
        .ok_or_else(|| Error::new(SqlState::UndefinedFunction, format!("function \"{text}\" does not exist")))
}

/// An operator's name without the schema, which can only be pg_catalog.
fn operator_name(text: &str) -> &str {
    text.strip_prefix("pg_catalog.").unwrap_or(text)
}

fn read_operator(text: &str) -> Result<Oid> {
    let mut found = builtin::operators_named(operator_name(text));
    match (found.next(), found.next()) {
        (Some(operator), None) => Ok(operator.oid),
        (None, _) => {
            Err(Error::new(SqlState::UndefinedFunction, format!("operator does not exist: {}", operator_name(text))))
        }
        _ => Err(Error::new(
            SqlState::AmbiguousFunction,
            format!("more than one operator named {}", operator_name(text)),
        )),
    }
}

fn read_operator_with_types(names: Namespace<'_>, text: &str) -> Result<Oid> {
    let (name, types) = split_signature(names, text)?;
    let [left, right] = types[..] else {
        let code = SqlState::AmbiguousParameter;
        return Err(match types.len() {
            1 => Error::new(SqlState::UndefinedParameter, "missing argument")
                .hint("Use NONE to denote the missing argument of a unary operator."),
            _ => Error::new(code, "too many arguments").hint("Provide two argument types for operator."),
        });
    };
    let found = builtin::operator(operator_name(name), left, right);
    found
        .map(|operator| operator.oid)
        .ok_or_else(|| Error::new(SqlState::UndefinedFunction, format!("operator does not exist: {text}")))
}
