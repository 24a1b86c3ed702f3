//! System relations: pg_catalog and information_schema over the live catalog.
//!
//! Names, columns, types, attribute numbers and oids are PostgreSQL 15's, from the files of `sql/system/`. A view among them is
//! its query, bound when it is named. A table among them is a generator: the built-in objects of its file (`files`), and
//! behind them what users created, read off the catalog image of the statement. Relations that nothing fills are empty.
//!
//! | module | relations |
//! |---|---|
//! | `classes` | pg_class, pg_attribute, pg_attrdef, pg_index, pg_type, pg_sequence |
//! | `constraints` | pg_constraint, pg_depend, pg_rewrite |
//! | `types` | pg_enum, users' rows of pg_type |
//! | `shared` | pg_authid, pg_database, pg_namespace, pg_tablespace, pg_description |
//! | `keys` | the keys of system relations, for their definitions |
//! | `statistics` | pg_statistic |
//! | `files` | what is built in: pg_proc, pg_operator, pg_cast, … |
//!
//! A generator is asked for all rows, or for those with one value in one attribute: point queries never make whole relations.
//! Deliberately absent: TOAST tables, rows for the system columns of system relations' indexes, physical locations.

mod cell;
mod classes;
mod constraints;
pub(crate) mod files;
mod keys;
mod shared;
mod statistics;
mod types;

use super::builtin;
use super::image::{Attribute, Body, Relation, RelationKind};
use super::store::fixed;
use crate::error::Result;
use crate::executor::functions::CallContext;
use crate::types::{Datum, Oid, Type};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

pub(crate) use classes::{array_oid, element_of_array_oid};
pub(crate) use files::unescape;

/// Rows of a system relation, each with all attributes in order.
pub type SystemRows = Box<dyn Iterator<Item = Result<Vec<Datum>>> + Send>;

/// What a generator is asked for: the rows whose attribute `name` is equal to `value`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) attribute: i16,
    pub(crate) name: &'static str,
    pub(crate) value: &'a Datum,
}

/// Makes rows from the catalog that `ctx.host` shows: at least those that `key` asks for (others are dropped behind it).
type Generator = fn(relation: &'static SystemRelation, ctx: &CallContext, key: Option<Key<'_>>) -> Result<SystemRows>;

/// A column of a system relation.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) ty: Type,
    pub(crate) not_null: bool,
}

/// A table of pg_catalog or information_schema that is computed when it is read.
pub struct SystemRelation {
    /// Its oid.
    pub oid: Oid,
    /// Its name.
    pub name: &'static str,
    /// Attributes (1-based) by which rows are found without making all of them.
    pub keys: Vec<i16>,
    pub(crate) columns: Vec<Column>,
    generator: Generator,
}

impl std::fmt::Debug for SystemRelation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl SystemRelation {
    /// The rows; with a key, (1-based attribute, value), those whose attribute is equal to it.
    ///
    /// # Errors
    /// What the generator meets.
    pub fn rows(&'static self, ctx: &CallContext, key: Option<(i16, &Datum)>) -> Result<SystemRows> {
        let key =
            key.map(|(attribute, value)| Key { attribute, name: self.columns[attribute as usize - 1].name, value });
        (self.generator)(self, ctx, key)
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<i16> {
        self.columns.iter().position(|column| column.name == name).map(|at| at as i16 + 1)
    }
}

/// Generators by relation, with the attributes that they find rows by. Tables without one are empty.
static GENERATORS: &[(&str, &[&str], Generator)] = &[
    ("pg_aggregate", &["aggfnoid"], files::rows),
    ("pg_am", &["oid"], files::rows),
    ("pg_amop", &["amopopr", "amopfamily"], files::rows),
    ("pg_amproc", &["amprocfamily"], files::rows),
    ("pg_attrdef", &["adrelid"], classes::pg_attrdef),
    ("pg_attribute", &["attrelid"], classes::pg_attribute),
    ("pg_authid", &["oid", "rolname"], shared::pg_authid),
    ("pg_cast", &["castsource", "casttarget"], files::rows),
    ("pg_class", &["oid", "relname"], classes::pg_class),
    ("pg_collation", &["oid", "collname"], files::rows),
    ("pg_constraint", &["oid", "conrelid", "confrelid", "contypid"], constraints::pg_constraint),
    ("pg_database", &["oid", "datname"], shared::pg_database),
    ("pg_depend", &[], constraints::pg_depend),
    ("pg_description", &["objoid"], shared::pg_description),
    ("pg_enum", &["enumtypid"], types::pg_enum),
    ("pg_index", &["indexrelid", "indrelid"], classes::pg_index),
    ("pg_language", &["oid"], files::rows),
    ("pg_namespace", &["oid", "nspname"], shared::pg_namespace),
    ("pg_opclass", &["oid"], files::rows),
    ("pg_operator", &["oid", "oprname"], files::rows),
    ("pg_opfamily", &["oid"], files::rows),
    ("pg_proc", &["oid", "proname"], files::rows),
    ("pg_range", &["rngtypid"], files::rows),
    ("pg_rewrite", &["ev_class"], constraints::pg_rewrite),
    ("pg_sequence", &["seqrelid"], classes::pg_sequence),
    ("pg_shdescription", &["objoid"], shared::pg_shdescription),
    ("pg_statistic", &["starelid"], statistics::pg_statistic),
    ("pg_tablespace", &["oid"], shared::pg_tablespace),
    ("pg_type", &["oid", "typname", "typrelid"], classes::pg_type),
];

/// Nothing.
fn empty(_: &'static SystemRelation, _: &CallContext, _: Option<Key<'_>>) -> Result<SystemRows> {
    Ok(Box::new(std::iter::empty()))
}

/// The system relations, as the catalog image shows them.
pub fn relations() -> &'static [Arc<Relation>] {
    &RELATIONS
}

/// The built-in comment on an object.
pub(crate) fn built_in_comment(object: Oid, class: Option<Oid>, sub: i32) -> Option<String> {
    let value = Datum::Oid(object);
    let of_class = |of: &Datum| matches!(of, Datum::Oid(of) if class.is_none_or(|class| class == *of));
    let find = |catalog: &str| {
        let description = table(catalog)?;
        let key = Key { attribute: description.attribute("objoid")?, name: "objoid", value: &value };
        files::table(description).rows(Some(key)).filter_map(Result::ok).find_map(|row| match &row[..] {
            [_, of, Datum::Int4(at), Datum::Text(text)] if of_class(of) && *at == sub => Some(text.to_string()),
            // Shared objects have no parts.
            [_, of, Datum::Text(text)] if of_class(of) => Some(text.to_string()),
            _ => None,
        })
    };
    find("pg_description").or_else(|| find("pg_shdescription"))
}

/// The name of a built-in object of a catalog whose first columns are oid and name.
pub(crate) fn built_in_name(catalog: &str, object: Oid) -> Option<String> {
    let value = Datum::Oid(object);
    let key = Key { attribute: 1, name: "oid", value: &value };
    let row = files::table(table(catalog)?).rows(Some(key)).next()?.ok()?;
    match &row[1] {
        Datum::Text(name) => Some(super::names::quote(name)),
        _ => None,
    }
}

/// The oid of a built-in object of a catalog whose first columns are oid and name.
pub(crate) fn built_in_oid(catalog: &str, name: &str) -> Option<Oid> {
    let value = Datum::Text(name.into());
    let key = Key { attribute: 2, name: "", value: &value };
    let row = files::table(table(catalog)?).rows(Some(key)).next()?.ok()?;
    match row[0] {
        Datum::Oid(oid) => Some(oid),
        _ => None,
    }
}

/// Whether everybody may read a system relation: its ACL grants PUBLIC `r`. pg_authid's passwords are the superusers'.
pub(crate) fn is_public(oid: Oid) -> bool {
    static PRIVATE: LazyLock<HashSet<Oid>> = LazyLock::new(|| {
        let grants_reading = |acl: &str| {
            let items = acl.trim_matches(['{', '}']).split(',');
            items
                .filter_map(|item| item.strip_prefix('='))
                .any(|granted| granted.split('/').next().unwrap_or("").contains('r'))
        };
        let (_, rows) = builtin::rows("pg_class");
        let private = rows.filter(|row| matches!(row[5], "r" | "v") && !grants_reading(row[11]));
        private.filter_map(|row| row[0].parse().ok().map(Oid)).collect()
    });
    !PRIVATE.contains(&oid)
}

/// Whether an oid is that of the system relation of a name.
pub(crate) fn is_named(oid: Oid, name: &str) -> bool {
    RELATIONS.iter().any(|relation| relation.oid == oid && relation.name == name)
}

/// The system table of a name.
fn table(name: &str) -> Option<&'static SystemRelation> {
    RELATIONS.iter().find_map(|relation| match relation.body {
        Body::System(system) if system.name == name => Some(system),
        _ => None,
    })
}

static RELATIONS: LazyLock<Vec<Arc<Relation>>> = LazyLock::new(|| {
    let mut columns = columns();
    let mut queries: HashMap<&str, String> =
        builtin::rows("system_views").1.map(|row| (row[0], files::unescape(row[1]).into_owned())).collect();
    let mut indexes = keys::indexes();
    let mut constraints = keys::constraints();
    builtin::rows("pg_class")
        .1
        .filter_map(|row| {
            let [oid, name, schema, row_type, _, kind, ..] = row[..] else { return None };
            let number = |text: &str| Oid(text.parse().unwrap_or(0));
            let own = columns.remove(oid).unwrap_or_default();
            let attributes: Vec<Attribute> = own.iter().enumerate().map(attribute).collect();
            let oid_number = number(oid);
            let (kind, body) = match kind {
                "r" => (RelationKind::Table, Body::System(system(oid_number, name, own))),
                "v" => {
                    let text = queries.remove(oid)?;
                    (RelationKind::View, Body::View { text, search_path: vec!["pg_catalog".to_owned()], check: None })
                }
                _ => {
                    (RelationKind::Index, Body::Index(Arc::new(indexes.remove(&oid_number)?.named(name, &attributes))))
                }
            };
            Some(Arc::new(Relation {
                oid: oid_number,
                schema: schema_oid(schema),
                schema_name: schema.to_owned(),
                name: name.to_owned(),
                kind,
                owner: fixed::POSTGRES_ROLE,
                row_type: number(row_type),
                temporary: false,
                attributes: if kind == RelationKind::Index { Vec::new() } else { attributes },
                constraints: constraints.remove(&oid_number).unwrap_or_default(),
                referenced_by: Vec::new(),
                indexes: Vec::new(),
                body,
                row_estimate: -1.0,
            }))
        })
        .collect()
});

/// The oid of a system schema: PostgreSQL gives information_schema another one at every initdb.
pub(crate) fn schema_oid(name: &str) -> Oid {
    if name == "information_schema" { fixed::INFORMATION_SCHEMA } else { fixed::PG_CATALOG }
}

/// pg_attribute's file by relation.
fn columns() -> HashMap<&'static str, Vec<Column>> {
    let mut columns: HashMap<&str, Vec<Column>> = HashMap::new();
    for row in builtin::rows("pg_attribute").1 {
        let [relation, name, ty, _, typmod, _, not_null, ..] = row[..] else { continue };
        let ty = Type::with_typmod(Oid(ty.parse().unwrap_or(0)), typmod.parse().unwrap_or(-1));
        columns.entry(relation).or_default().push(Column { name, ty, not_null: not_null == "t" });
    }
    columns
}

fn attribute((at, column): (usize, &Column)) -> Attribute {
    Attribute {
        number: at as i16 + 1,
        name: column.name.to_owned(),
        ty: column.ty,
        not_null: column.not_null,
        default: None,
        generated: false,
        identity: None,
        dropped: false,
        storage: at as u16,
        steering: Default::default(),
        missing: None,
    }
}

/// A system table's description, which lives as long as the process.
fn system(oid: Oid, name: &'static str, columns: Vec<Column>) -> &'static SystemRelation {
    let found = GENERATORS.iter().find(|(relation, ..)| *relation == name);
    let (keys, generator) = found.map_or((&[][..], empty as Generator), |(_, keys, generator)| (*keys, *generator));
    let mut relation = SystemRelation { oid, name, keys: Vec::new(), columns, generator };
    relation.keys = keys.iter().filter_map(|key| relation.attribute(key)).collect();
    Box::leak(Box::new(relation))
}

#[cfg(test)]
mod tests;
