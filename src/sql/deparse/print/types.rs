//! Type names with their modifiers (`format_type`).

use super::super::quote;
use crate::catalog::builtin;
use crate::catalog::image::Image;
use crate::types::{Oid, Type, interval, oid, shape, typmod};

/// A type's name as SQL has it: `character varying(10)`, `numeric(8,2)[]`; qualified when the search path does not find it.
/// With `exact` a modifier of -1 is told apart from none (`bpchar`, not `character`).
pub(crate) fn type_name(image: &Image, path: &[Oid], ty: Type, exact: bool) -> String {
    let plain = builtin::type_by_oid(ty.oid).is_some_and(|row| row.storage == b'p');
    if let Some(element) = builtin::element_of(ty.oid).filter(|_| !plain) {
        return format!("{}[]", type_name(image, path, Type::with_typmod(element, ty.typmod), exact));
    }
    let modifier = ty.typmod;
    let length = |name: &str| if modifier >= 4 { format!("{name}({})", modifier - 4) } else { name.to_owned() };
    let precision = |name: &str, rest: &str| match modifier {
        0.. => format!("{name}({modifier}){rest}"),
        _ => format!("{name}{rest}"),
    };
    match ty.oid {
        oid::BOOL => "boolean".to_owned(),
        oid::INT2 => "smallint".to_owned(),
        oid::INT4 => "integer".to_owned(),
        oid::INT8 => "bigint".to_owned(),
        oid::FLOAT4 => "real".to_owned(),
        oid::FLOAT8 => "double precision".to_owned(),
        oid::NUMERIC => match typmod::numeric(modifier) {
            Some((precision, scale)) => format!("numeric({precision},{scale})"),
            None => "numeric".to_owned(),
        },
        oid::BPCHAR if exact && modifier < 0 => "bpchar".to_owned(),
        oid::BPCHAR => length("character"),
        oid::VARCHAR => length("character varying"),
        oid::TIME => precision("time", " without time zone"),
        oid::TIMETZ => precision("time", " with time zone"),
        oid::TIMESTAMP => precision("timestamp", " without time zone"),
        oid::TIMESTAMPTZ => precision("timestamp", " with time zone"),
        oid::INTERVAL => format!("interval{}", interval::interval_typmod_out(modifier)),
        Oid(1560) if exact && modifier < 0 => "\"bit\"".to_owned(),
        Oid(1560) => bits("bit", modifier),
        Oid(1562) => bits("bit varying", modifier),
        other => named(image, path, other),
    }
}

fn bits(name: &str, modifier: i32) -> String {
    if modifier >= 0 { format!("{name}({modifier})") } else { name.to_owned() }
}

fn named(image: &Image, path: &[Oid], ty: Oid) -> String {
    match builtin::type_by_oid(ty) {
        Some(row) if row.schema == "pg_catalog" => quote(row.name),
        Some(row) => {
            let visible = path.iter().any(|schema| image.schemas.get(schema).is_some_and(|s| s.name == row.schema));
            if visible { quote(row.name) } else { format!("{}.{}", quote(row.schema), quote(row.name)) }
        }
        None if shape::of(ty).is_some() => crate::catalog::names::Namespace { image, path }.format_type(ty, None),
        None => match image.relations.values().find(|relation| relation.row_type == ty) {
            Some(relation) => super::relation_name(image, path, relation),
            None => "???".to_owned(),
        },
    }
}
