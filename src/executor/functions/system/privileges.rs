//! The `has_…_privilege` family, `pg_has_role`, and default privileges as ACLs.
//!
//! Who may: the owner and superusers everything; everybody what PostgreSQL grants to PUBLIC by default (EXECUTE on
//! functions, USAGE on types and languages, CONNECT and TEMPORARY on databases) and reading system relations. Nothing else
//! can be granted yet.

use super::super::macros::scalar;
use super::super::{CallContext, Form, Implementation};
use super::{invalid, relation_named};
use crate::catalog::builtin;
use crate::catalog::store::fixed;
use crate::error::{Error, Result, SqlState};
use crate::types::{Array, Datum, Oid, oid};
use std::sync::Arc;

/// A kind of object: its privileges, and those that PUBLIC has.
struct Kind {
    privileges: &'static [&'static str],
    public: &'static [&'static str],
}

const TABLE_KIND: Kind =
    Kind { privileges: &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"], public: &[] };
const COLUMN_KIND: Kind = Kind { privileges: &["SELECT", "INSERT", "UPDATE", "REFERENCES"], public: &[] };
const SEQUENCE_KIND: Kind = Kind { privileges: &["USAGE", "SELECT", "UPDATE"], public: &[] };
const DATABASE_KIND: Kind =
    Kind { privileges: &["CREATE", "TEMPORARY", "TEMP", "CONNECT"], public: &["TEMPORARY", "TEMP", "CONNECT"] };
const FUNCTION_KIND: Kind = Kind { privileges: &["EXECUTE"], public: &["EXECUTE"] };
const USAGE_KIND: Kind = Kind { privileges: &["USAGE"], public: &["USAGE"] };
const SCHEMA_KIND: Kind = Kind { privileges: &["CREATE", "USAGE"], public: &[] };
const TABLESPACE_KIND: Kind = Kind { privileges: &["CREATE"], public: &[] };

/// What is asked about: its owner, and whether PUBLIC may read it.
struct Object {
    owner: Oid,
    public: &'static [&'static str],
}

/// Splits off the role, when the call names one, else the current user's; `rest` is how many arguments follow it.
fn role<'d>(ctx: &CallContext, args: &'d [Datum], rest: usize) -> Result<(Option<Oid>, &'d [Datum])> {
    if args.len() == rest {
        return Ok((role_named(ctx, &ctx.host.user(false)).ok(), args));
    }
    let role = match &args[0] {
        Datum::Text(name) if name == "public" => None,
        Datum::Text(name) => Some(role_named(ctx, name)?),
        Datum::Oid(oid) => Some(*oid),
        _ => None,
    };
    Ok((role, &args[1..]))
}

fn role_named(ctx: &CallContext, name: &str) -> Result<Oid> {
    let image = ctx.host.catalog();
    let found = image.roles.values().find(|role| role.name == name).map(|role| role.oid);
    found.ok_or_else(|| Error::new(SqlState::UndefinedObject, format!("role \"{name}\" does not exist")))
}

fn is_superuser(ctx: &CallContext, role: Oid) -> bool {
    ctx.host.catalog().roles.get(&role).is_some_and(|role| role.superuser)
}

/// Whether one of the privileges in the list is held.
fn holds(ctx: &CallContext, kind: &Kind, role: Option<Oid>, object: &Object, list: &Datum) -> Result<Datum> {
    let Datum::Text(list) = list else { return Ok(Datum::Null) };
    let image = ctx.host.catalog();
    let all = role.is_some_and(|role| image.acts_for(role, object.owner));
    let mut held = false;
    for asked in list.split(',') {
        let upper = asked.trim().to_ascii_uppercase();
        let (name, grant) = match upper.strip_suffix(" WITH GRANT OPTION") {
            Some(name) => (name, true),
            None => (upper.as_str(), false),
        };
        if !kind.privileges.contains(&name) {
            return Err(invalid(format!("unrecognized privilege type: \"{}\"", asked.trim())));
        }
        held |= all || !grant && (kind.public.contains(&name) || object.public.contains(&name));
    }
    Ok(Datum::Bool(held))
}

fn relation_object(ctx: &CallContext, datum: &Datum) -> Result<Option<Object>> {
    let oid = match datum {
        Datum::Oid(oid) => *oid,
        Datum::Text(name) => relation_named(ctx, name)?,
        _ => return Ok(None),
    };
    let image = ctx.host.catalog();
    Ok(image.relations.get(&oid).map(|relation| {
        let public: &[&str] =
            if oid < Oid::FIRST_USER && crate::catalog::system::is_public(oid) { &["SELECT"] } else { &[] };
        Object { owner: relation.owner, public }
    }))
}

fn on_relation(ctx: &CallContext, args: &[Datum], kind: &Kind) -> Result<Datum> {
    let (role, args) = role(ctx, args, 2)?;
    match relation_object(ctx, &args[0])? {
        Some(object) => holds(ctx, kind, role, &object, &args[1]),
        None => Ok(Datum::Null),
    }
}

fn table_privilege(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    on_relation(ctx, args, &TABLE_KIND)
}

fn any_column_privilege(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    on_relation(ctx, args, &COLUMN_KIND)
}

fn sequence_privilege(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    on_relation(ctx, args, &SEQUENCE_KIND)
}

fn column_privilege(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let (role, args) = role(ctx, args, 3)?;
    let Some(object) = relation_object(ctx, &args[0])? else { return Ok(Datum::Null) };
    let image = ctx.host.catalog();
    let oid = match &args[0] {
        Datum::Oid(oid) => *oid,
        Datum::Text(name) => relation_named(ctx, name)?,
        _ => return Ok(Datum::Null),
    };
    let Some(relation) = image.relations.get(&oid) else { return Ok(Datum::Null) };
    match &args[1] {
        Datum::Text(name) if relation.attribute(name).is_none() => {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", relation.name);
            return Err(Error::new(SqlState::UndefinedColumn, message));
        }
        Datum::Int2(number) if *number > 0 => {
            let attribute = relation.attributes.get(*number as usize - 1);
            if attribute.is_none_or(|attribute| attribute.dropped) {
                return Ok(Datum::Null);
            }
        }
        _ => {}
    }
    holds(ctx, &COLUMN_KIND, role, &object, &args[2])
}

/// Privileges on an object that is found by `find`: its owner by oid or name, `None` when the oid is nobody's.
fn on_object(
    ctx: &CallContext,
    args: &[Datum],
    kind: &Kind,
    find: impl FnOnce(&Datum) -> Result<Option<Object>>,
) -> Result<Datum> {
    let (role, args) = role(ctx, args, 2)?;
    match find(&args[0])? {
        Some(object) => holds(ctx, kind, role, &object, &args[1]),
        None => Ok(Datum::Null),
    }
}

const NOTHING: &[&str] = &[];

fn schema_privilege(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let image = ctx.host.catalog();
    on_object(ctx, args, &SCHEMA_KIND, |datum| {
        let oid = match datum {
            Datum::Text(name) => match image.schema_names.get(name.as_str()) {
                Some(oid) => *oid,
                None => {
                    let message = format!("schema \"{name}\" does not exist");
                    return Err(Error::new(SqlState::InvalidSchemaName, message));
                }
            },
            Datum::Oid(oid) => *oid,
            _ => return Ok(None),
        };
        let system = [fixed::PG_CATALOG, fixed::INFORMATION_SCHEMA, fixed::PUBLIC].contains(&oid);
        let public: &[&str] = if system { &["USAGE"] } else { NOTHING };
        Ok(image.schemas.get(&oid).map(|schema| Object { owner: schema.owner, public }))
    })
}

fn database_privilege(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let image = ctx.host.catalog();
    on_object(ctx, args, &DATABASE_KIND, |datum| match datum {
        Datum::Text(name) => match image.databases.values().find(|database| database.name == name.as_str()) {
            Some(database) => Ok(Some(Object { owner: database.owner, public: NOTHING })),
            None => {
                let message = format!("database \"{name}\" does not exist");
                Err(Error::new(SqlState::InvalidCatalogName, message))
            }
        },
        Datum::Oid(oid) => {
            Ok(image.databases.get(oid).map(|database| Object { owner: database.owner, public: NOTHING }))
        }
        _ => Ok(None),
    })
}

/// Built-in objects, found by their reg type's input or by oid.
fn built_in(
    ctx: &CallContext,
    args: &[Datum],
    kind: &Kind,
    ty: Oid,
    exists: fn(&CallContext, Oid) -> bool,
) -> Result<Datum> {
    on_object(ctx, args, kind, |datum| {
        let oid = match datum {
            Datum::Text(name) => ctx.host.read(ty, name)?,
            Datum::Oid(oid) => *oid,
            _ => return Ok(None),
        };
        Ok(exists(ctx, oid).then_some(Object { owner: fixed::POSTGRES_ROLE, public: NOTHING }))
    })
}

fn function_privilege(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    built_in(ctx, args, &FUNCTION_KIND, oid::REGPROCEDURE, |_, oid| builtin::function_by_oid(oid).is_some())
}

fn type_privilege(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    built_in(ctx, args, &USAGE_KIND, oid::REGTYPE, |ctx, oid| {
        super::with_names(ctx, |names| names.type_is_visible(oid).is_some())
    })
}

fn language_privilege(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    on_object(ctx, args, &USAGE_KIND, |datum| {
        let (_, mut rows) = builtin::rows("pg_language");
        let object = Object { owner: fixed::POSTGRES_ROLE, public: NOTHING };
        match datum {
            Datum::Text(name) if rows.any(|row| row[1] == name.as_str()) => Ok(Some(object)),
            Datum::Text(name) => {
                Err(Error::new(SqlState::UndefinedObject, format!("language \"{name}\" does not exist")))
            }
            Datum::Oid(oid) => Ok(rows.any(|row| row[0] == oid.to_string()).then_some(object)),
            _ => Ok(None),
        }
    })
}

fn tablespace_privilege(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    on_object(ctx, args, &TABLESPACE_KIND, |datum| {
        let object = Object { owner: fixed::POSTGRES_ROLE, public: NOTHING };
        match datum {
            Datum::Text(name) if name == "pg_default" || name == "pg_global" => Ok(Some(object)),
            Datum::Text(name) => {
                Err(Error::new(SqlState::UndefinedObject, format!("tablespace \"{name}\" does not exist")))
            }
            Datum::Oid(oid) => Ok((oid.0 == 1663 || oid.0 == 1664).then_some(object)),
            _ => Ok(None),
        }
    })
}

/// Foreign-data wrappers and servers: there are none.
fn absent_privilege(ctx: &CallContext, args: &[Datum], what: &str) -> Result<Datum> {
    on_object(ctx, args, &USAGE_KIND, |datum| match datum {
        Datum::Text(name) => Err(Error::new(SqlState::UndefinedObject, format!("{what} \"{name}\" does not exist"))),
        _ => Ok(None),
    })
}

fn wrapper_privilege(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    absent_privilege(ctx, args, "foreign-data wrapper")
}

fn server_privilege(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    absent_privilege(ctx, args, "server")
}

/// pg_has_role(\[user,\] role, privilege): oneself, and for superusers every role.
fn has_role(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let (member, args) = role(ctx, args, 2)?;
    let (Datum::Text(list), Some(member)) = (&args[1], member) else { return Ok(Datum::Null) };
    let of = match &args[0] {
        Datum::Text(name) => role_named(ctx, name)?,
        Datum::Oid(oid) => *oid,
        _ => return Ok(Datum::Null),
    };
    for asked in list.split(',') {
        let upper = asked.trim().to_ascii_uppercase();
        let name = upper.strip_suffix(" WITH GRANT OPTION").or_else(|| upper.strip_suffix(" WITH ADMIN OPTION"));
        if !matches!(name.unwrap_or(&upper), "MEMBER" | "USAGE") {
            return Err(invalid(format!("unrecognized privilege type: \"{}\"", asked.trim())));
        }
    }
    Ok(Datum::Bool(member == of || is_superuser(ctx, member)))
}

/// Privileges by their letter in ACLs.
const LETTERS: [(char, &str); 14] = [
    ('a', "INSERT"),
    ('r', "SELECT"),
    ('w', "UPDATE"),
    ('d', "DELETE"),
    ('D', "TRUNCATE"),
    ('x', "REFERENCES"),
    ('t', "TRIGGER"),
    ('X', "EXECUTE"),
    ('U', "USAGE"),
    ('C', "CREATE"),
    ('T', "TEMPORARY"),
    ('c', "CONNECT"),
    ('s', "SET"),
    ('A', "ALTER SYSTEM"),
];

/// acldefault(kind, owner): what an object without an ACL grants.
fn acldefault(ctx: &CallContext, args: &[Datum]) -> Result<Datum> {
    let (Datum::Char(kind), Datum::Oid(owner)) = (&args[0], &args[1]) else { return Ok(Datum::Null) };
    let (world, own) = match char::from(*kind) {
        'c' => ("", ""),
        'r' => ("", "arwdDxt"),
        's' => ("", "rwU"),
        'd' => ("Tc", "CTc"),
        'f' => ("X", "X"),
        'l' | 'T' => ("U", "U"),
        'L' => ("", "rw"),
        'n' => ("", "UC"),
        'p' => ("", "sA"),
        't' => ("", "C"),
        'F' | 'S' => ("", "U"),
        other => {
            let message = format!("unrecognized object type abbreviation: {other}");
            return Err(Error::internal(message));
        }
    };
    let image = ctx.host.catalog();
    let name =
        image.roles.get(owner).map_or_else(|| owner.to_string(), |role| crate::catalog::names::quote(&role.name));
    let mut items = Vec::new();
    if !world.is_empty() {
        items.push(super::text(format!("={world}/{name}")));
    }
    if !own.is_empty() {
        items.push(super::text(format!("{name}={own}/{name}")));
    }
    Ok(Datum::Array(Arc::new(Array::of(oid::ACLITEM, items))))
}

/// aclexplode(acl): one row for each privilege.
fn aclexplode(ctx: &CallContext, args: &[Datum]) -> Result<Box<dyn Iterator<Item = Result<Datum>> + Send>> {
    let Datum::Array(acl) = &args[0] else { return Ok(Box::new(std::iter::empty())) };
    let image = ctx.host.catalog();
    let role = |name: &str| {
        let name = name.trim_matches('"');
        image.roles.values().find(|role| role.name == name).map_or(Oid::NONE, |role| role.oid)
    };
    let mut rows = Vec::new();
    for item in &acl.items {
        let Datum::Text(item) = item else { continue };
        let Some((grantee, rest)) = item.split_once('=') else { continue };
        let Some((letters, grantor)) = rest.split_once('/') else { continue };
        let mut letters = letters.chars().peekable();
        while let Some(letter) = letters.next() {
            let grantable = letters.next_if_eq(&'*').is_some();
            let Some((_, name)) = LETTERS.iter().find(|(of, _)| *of == letter) else { continue };
            rows.push(vec![
                Datum::Oid(role(grantor)),
                Datum::Oid(role(grantee)),
                super::text(name),
                Datum::Bool(grantable),
            ]);
        }
    }
    Ok(super::records("aclexplode", rows))
}

macro_rules! variants {
    ($($function:ident: $($symbol:literal),*;)*) => { &[$($(scalar($symbol, $function, true)),*),*] };
}

/// One function for all signatures of a name: roles and objects come as names or oids.
pub(super) static ROWS: &[Implementation] = variants! {
        table_privilege: "has_table_privilege_name_name", "has_table_privilege_name_id", "has_table_privilege_id_name",
            "has_table_privilege_id_id", "has_table_privilege_name", "has_table_privilege_id";
        any_column_privilege: "has_any_column_privilege_name_name", "has_any_column_privilege_name_id",
            "has_any_column_privilege_id_name", "has_any_column_privilege_id_id", "has_any_column_privilege_name",
            "has_any_column_privilege_id";
        sequence_privilege: "has_sequence_privilege_name_name", "has_sequence_privilege_name_id",
            "has_sequence_privilege_id_name", "has_sequence_privilege_id_id", "has_sequence_privilege_name",
            "has_sequence_privilege_id";
        column_privilege: "has_column_privilege_name_name_name", "has_column_privilege_name_name_attnum",
            "has_column_privilege_name_id_name", "has_column_privilege_name_id_attnum", "has_column_privilege_id_name_name",
            "has_column_privilege_id_name_attnum", "has_column_privilege_id_id_name", "has_column_privilege_id_id_attnum",
            "has_column_privilege_name_name", "has_column_privilege_name_attnum", "has_column_privilege_id_name",
            "has_column_privilege_id_attnum";
        schema_privilege: "has_schema_privilege_name_name", "has_schema_privilege_name_id", "has_schema_privilege_id_name",
            "has_schema_privilege_id_id", "has_schema_privilege_name", "has_schema_privilege_id";
        database_privilege: "has_database_privilege_name_name", "has_database_privilege_name_id",
            "has_database_privilege_id_name", "has_database_privilege_id_id", "has_database_privilege_name",
            "has_database_privilege_id";
        function_privilege: "has_function_privilege_name_name", "has_function_privilege_name_id",
            "has_function_privilege_id_name", "has_function_privilege_id_id", "has_function_privilege_name",
            "has_function_privilege_id";
        type_privilege: "has_type_privilege_name_name", "has_type_privilege_name_id", "has_type_privilege_id_name",
            "has_type_privilege_id_id", "has_type_privilege_name", "has_type_privilege_id";
        language_privilege: "has_language_privilege_name_name", "has_language_privilege_name_id",
            "has_language_privilege_id_name", "has_language_privilege_id_id", "has_language_privilege_name",
            "has_language_privilege_id";
        tablespace_privilege: "has_tablespace_privilege_name_name", "has_tablespace_privilege_name_id",
            "has_tablespace_privilege_id_name", "has_tablespace_privilege_id_id", "has_tablespace_privilege_name",
            "has_tablespace_privilege_id";
        wrapper_privilege: "has_foreign_data_wrapper_privilege_name_name", "has_foreign_data_wrapper_privilege_name_id",
        "has_foreign_data_wrapper_privilege_id_name", "has_foreign_data_wrapper_privilege_id_id",
        "has_foreign_data_wrapper_privilege_name", "has_foreign_data_wrapper_privilege_id";
    server_privilege: "has_server_privilege_name_name", "has_server_privilege_name_id", "has_server_privilege_id_name",
        "has_server_privilege_id_id", "has_server_privilege_name", "has_server_privilege_id";
    has_role: "pg_has_role_name_name", "pg_has_role_name_id", "pg_has_role_id_name", "pg_has_role_id_id",
            "pg_has_role_name", "pg_has_role_id";
        acldefault: "acldefault_sql";
};

/// Set-returning ones.
pub(super) static SETS: &[Implementation] =
    &[Implementation { symbol: "aclexplode", form: Form::Set(aclexplode), can_raise: false }];
