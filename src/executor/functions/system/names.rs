//! Objects by name and oid: `format_type`, visibility, `to_reg…`, owners, comments, and what has to do with sequences' names.

use super::super::inline::functions;
use super::super::macros::scalar;
use super::super::{CallContext, Implementation};
use super::{relation, with_names};
use crate::catalog::builtin;
use crate::catalog::image::Body;
use crate::catalog::names::{class_of, comment};
use crate::error::{Error, Result, SqlState};
use crate::types::{Datum, Oid, oid};

/// The oid that a name stands for; NULL when there is none.
fn to_reg(ctx: &CallContext, ty: Oid, name: &str) -> Result<Option<Oid>> {
    use SqlState::{AmbiguousFunction, InvalidSchemaName, UndefinedFunction, UndefinedObject, UndefinedTable};
    // A number is no name.
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) && ty != oid::REGTYPE {
        return Ok(None);
    }
    match ctx.host.read(ty, name) {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.code() {
            UndefinedTable | UndefinedObject | UndefinedFunction | AmbiguousFunction | InvalidSchemaName => Ok(None),
            _ => Err(error),
        },
    }
}

fn user_name(ctx: &CallContext, role: Oid) -> String {
    let image = ctx.host.catalog();
    image.roles.get(&role).map_or_else(|| format!("unknown (OID={role})"), |role| role.name.clone())
}

fn relation_is_visible(ctx: &CallContext, oid: Oid) -> Option<bool> {
    let relation = relation(ctx, oid)?;
    Some(with_names(ctx, |names| names.relation_is_visible(&relation)))
}

fn function_is_visible(ctx: &CallContext, oid: Oid) -> Option<bool> {
    let detail = builtin::function_detail(oid)?;
    Some(with_names(ctx, |names| names.built_in_is_visible(detail.schema)))
}

/// Objects that only pg_catalog holds.
fn built_in_is_visible(ctx: &CallContext, catalog: &str, oid: Oid) -> Option<bool> {
    crate::catalog::system::built_in_name(catalog, oid)?;
    Some(with_names(ctx, |names| names.built_in_is_visible("pg_catalog")))
}

/// obj_description(object [, catalog]), shobj_description(object, catalog)
fn object_description(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let (Datum::Oid(object), class) = (&args[0], args.get(1)) else { return Ok(Datum::Null) };
    let class = match class {
        Some(Datum::Text(name)) => match class_of(name) {
            Some(class) => Some(class),
            None => return Ok(Datum::Null),
        },
        _ => None,
    };
    let found = comment(&ctx.host.catalog(), *object, class, 0);
    Ok(found.map_or(Datum::Null, super::text))
}

fn column_description(ctx: &CallContext, table: Oid, column: i32) -> Option<String> {
    comment(&ctx.host.catalog(), table, Some(Oid(1259)), column)
}

/// The sequence that a column owns, as text that regclass reads.
fn serial_sequence(ctx: &CallContext, table: &str, column: &str) -> Result<Option<String>> {
    let oid = super::relation_named(ctx, table)?;
    let image = ctx.host.catalog();
    let found = image.relations.get(&oid);
    let Some(attribute) = found.and_then(|relation| relation.attribute(column)) else {
        let name = found.map_or("", |relation| relation.name.as_str());
        let message = format!("column \"{column}\" of relation \"{name}\" does not exist");
        return Err(Error::new(SqlState::UndefinedColumn, message));
    };
    let owner = Some((oid, attribute.number));
    let sequence = image
        .relations
        .values()
        .find(|relation| matches!(&relation.body, Body::Sequence(sequence) if sequence.owned_by == owner));
    let quote = crate::catalog::names::quote;
    Ok(sequence.map(|sequence| format!("{}.{}", quote(&sequence.schema_name), quote(&sequence.name))))
}

functions! {
    SIMPLE:
    safe(ctx) format_type(ty: Option<Oid>, modifier: Option<i32>) -> Option<String> =
        ty.map(|ty| with_names(ctx, |names| names.format_type(ty, modifier)));
    safe(ctx) pg_get_userbyid(role: Oid) -> String = user_name(ctx, role);
    safe(ctx) pg_table_is_visible(oid: Oid) -> Option<bool> = relation_is_visible(ctx, oid);
    safe(ctx) pg_type_is_visible(oid: Oid) -> Option<bool> = with_names(ctx, |names| names.type_is_visible(oid));
    safe(ctx) pg_function_is_visible(oid: Oid) -> Option<bool> = function_is_visible(ctx, oid);
    safe(ctx) pg_operator_is_visible(oid: Oid) -> Option<bool> = built_in_is_visible(ctx, "pg_operator", oid);
    safe(ctx) pg_opclass_is_visible(oid: Oid) -> Option<bool> =
        builtin_class(oid, "pg_opclass").and_then(|()| built_in_is_visible(ctx, "pg_collation", Oid(100)));
    safe(ctx) pg_opfamily_is_visible(oid: Oid) -> Option<bool> =
        builtin_class(oid, "pg_opfamily").and_then(|()| built_in_is_visible(ctx, "pg_collation", Oid(100)));
    safe(ctx) pg_collation_is_visible(oid: Oid) -> Option<bool> = built_in_is_visible(ctx, "pg_collation", oid);
    safe pg_conversion_is_visible(oid: Oid) -> Option<bool> = None;
    safe pg_statistics_obj_is_visible(oid: Oid) -> Option<bool> = None;
    safe pg_ts_parser_is_visible(oid: Oid) -> Option<bool> = None;
    safe pg_ts_dict_is_visible(oid: Oid) -> Option<bool> = None;
    safe pg_ts_template_is_visible(oid: Oid) -> Option<bool> = None;
    safe pg_ts_config_is_visible(oid: Oid) -> Option<bool> = None;
    raises(ctx) to_regclass(name: &str) -> Option<Oid> = to_reg(ctx, oid::REGCLASS, name);
    raises(ctx) to_regtype(name: &str) -> Option<Oid> = to_reg(ctx, oid::REGTYPE, name);
    raises(ctx) to_regproc(name: &str) -> Option<Oid> = to_reg(ctx, oid::REGPROC, name);
    raises(ctx) to_regprocedure(name: &str) -> Option<Oid> = to_reg(ctx, oid::REGPROCEDURE, name);
    raises(ctx) to_regoper(name: &str) -> Option<Oid> = to_reg(ctx, oid::REGOPER, name);
    raises(ctx) to_regoperator(name: &str) -> Option<Oid> = to_reg(ctx, oid::REGOPERATOR, name);
    raises(ctx) to_regnamespace(name: &str) -> Option<Oid> = to_reg(ctx, oid::REGNAMESPACE, name);
    raises(ctx) to_regrole(name: &str) -> Option<Oid> = to_reg(ctx, oid::REGROLE, name);
    raises(ctx) to_regcollation(name: &str) -> Option<Oid> = to_reg(ctx, oid::REGCOLLATION, name);
    safe(ctx) col_description(table: Oid, column: i32) -> Option<String> = column_description(ctx, table, column);
    raises(ctx) pg_get_serial_sequence(table: &str, column: &str) -> Option<String> = serial_sequence(ctx, table, column);
    safe nameconcatoid(name: &str, oid: Oid) -> String = name_with_oid(name, oid);
}

/// Whether a file of operator classes or families has an oid.
fn builtin_class(oid: Oid, file: &str) -> Option<()> {
    let wanted = oid.to_string();
    builtin::rows(file).1.any(|row| row[0] == wanted).then_some(())
}

/// `name_oid`, the name cut so that all fits in 63 bytes.
fn name_with_oid(name: &str, oid: Oid) -> String {
    let suffix = format!("_{oid}");
    let mut end = name.len().min(63 - suffix.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &name[..end])
}

/// Functions of several signatures.
pub(super) static ROWS: &[Implementation] =
    &[scalar("obj_description", object_description, false), scalar("shobj_description", object_description, false)];
