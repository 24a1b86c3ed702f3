//! Rows of system relations that are built in: the files of `sql/system/`, read once into values, with a map for each key.
//!
//! A file need not have all columns of its relation. What is missing is found by [`missing`]: owners are the superuser,
//! names of schemas and languages become their oids, the rest is NULL where the column allows it, else zero.

use super::{Column, Key, SystemRelation, SystemRows, schema_oid};
use crate::catalog::builtin;
use crate::catalog::store::fixed;
use crate::error::Result;
use crate::executor::functions::CallContext;
use crate::types::format::FormatSettings;
use crate::types::text_io::{self, NoNames, TextContext};
use crate::types::{Datum, Oid, Type, compare, oid, physical};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

/// A relation's built-in rows.
pub(crate) struct Table {
    rows: Vec<Box<[Datum]>>,
    /// Per key attribute: hashes of values to rows.
    keys: Vec<(i16, HashMap<u64, Vec<u32>>)>,
}

impl Table {
    /// The rows, or those that have the key's value.
    pub(crate) fn rows(&'static self, key: Option<Key<'_>>) -> impl Iterator<Item = Result<Vec<Datum>>> + Send + use<> {
        let (all, some) = match key {
            None => (&self.rows[..], Vec::new()),
            Some(key) => (&self.rows[..0], self.find(key)),
        };
        all.iter().map(|row| &**row).chain(some).map(|row| Ok(row.to_vec()))
    }

    fn find(&'static self, key: Key<'_>) -> Vec<&'static [Datum]> {
        let equal = |row: &&'static [Datum]| {
            let value = &row[key.attribute as usize - 1];
            !value.is_null() && compare::compare(value, key.value).is_eq()
        };
        match self.keys.iter().find(|(attribute, _)| *attribute == key.attribute) {
            Some((_, map)) => {
                let found = map.get(&compare::hash(key.value)).map_or(&[][..], Vec::as_slice);
                found.iter().map(|at| &*self.rows[*at as usize]).filter(equal).collect()
            }
            None => self.rows.iter().map(|row| &**row).filter(equal).collect(),
        }
    }
}

/// The generator of relations that only built-in rows fill.
pub(super) fn rows(relation: &'static SystemRelation, _: &CallContext, key: Option<Key<'_>>) -> Result<SystemRows> {
    Ok(Box::new(table(relation).rows(key)))
}

/// The tables read so far, by relation; they live as long as the process.
static TABLES: LazyLock<Mutex<HashMap<Oid, &'static Table>>> = LazyLock::new(Mutex::default);

/// The built-in rows of a relation.
pub(crate) fn table(relation: &'static SystemRelation) -> &'static Table {
    if let Some(table) = TABLES.lock().get(&relation.oid) {
        return table;
    }
    // Read outside of the lock; of two readers the first one's table stays.
    let read = read(relation);
    TABLES.lock().entry(relation.oid).or_insert_with(|| Box::leak(Box::new(read)))
}

fn read(relation: &'static SystemRelation) -> Table {
    let (header, lines) = builtin::rows(relation.name);
    let format = FormatSettings::default();
    let context = TextContext { format: &format, time_zone: &jiff::tz::TimeZone::UTC, now: 0, names: &NoNames };
    let places: Vec<Option<usize>> =
        relation.columns.iter().map(|column| header.iter().position(|name| *name == column.name)).collect();
    let rows: Vec<Box<[Datum]>> = lines
        .map(|fields| {
            let cell = |(column, place): (&Column, &Option<usize>)| match place {
                Some(at) if fields[*at] == "\\N" => Datum::Null,
                Some(at) => value(fields[*at], column.ty, &context),
                None => missing(relation, column, &header, &fields),
            };
            relation.columns.iter().zip(&places).map(cell).collect()
        })
        .collect();
    let mut keys = Vec::new();
    for attribute in &relation.keys {
        let mut map: HashMap<u64, Vec<u32>> = HashMap::new();
        for (at, row) in rows.iter().enumerate() {
            map.entry(compare::hash(&row[*attribute as usize - 1])).or_default().push(at as u32);
        }
        keys.push((*attribute, map));
    }
    Table { rows, keys }
}

/// A field of COPY's text format without its escapes.
pub(crate) fn unescape(field: &str) -> Cow<'_, str> {
    if !field.contains('\\') {
        return Cow::Borrowed(field);
    }
    let mut out = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => {}
            },
            (c, false) => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn value(field: &str, ty: Type, context: &TextContext<'_>) -> Datum {
    let text = unescape(field);
    text_io::input_plain(&text, ty, context).expect("the embedded catalog files hold values of their columns' types")
}

/// The value of a column that the file does not have.
fn missing(relation: &SystemRelation, column: &Column, header: &[&str], fields: &[&'static str]) -> Datum {
    let field = |name: &str| header.iter().position(|column| *column == name).map(|at| fields[at]);
    match column.name {
        "proowner" | "typowner" | "oprowner" | "opcowner" | "opfowner" | "collowner" | "lanowner" | "relowner" => {
            Datum::Oid(fixed::POSTGRES_ROLE)
        }
        "pronamespace" | "typnamespace" | "relnamespace" | "oprnamespace" | "opcnamespace" | "opfnamespace"
        | "collnamespace" => Datum::Oid(schema_oid(field("nspname").unwrap_or("pg_catalog"))),
        "prolang" => Datum::Oid(match field("lanname") {
            Some("c") => Oid(13),
            Some("sql") => Oid(14),
            _ => Oid(12),
        }),
        "typisdefined" | "relispopulated" | "attislocal" => Datum::Bool(true),
        "relpersistence" => Datum::Char(b'p'),
        "relfilenode" => Datum::Oid(Oid(field("oid").and_then(|oid| oid.parse().ok()).unwrap_or(0))),
        "reltuples" => Datum::Float4(-1.0),
        "attstattarget" | "attcacheoff" => Datum::Int4(-1),
        "attlen" | "attbyval" | "attalign" | "attstorage" => of_type(column.name, field("atttypid").unwrap_or("")),
        _ if !column.not_null => Datum::Null,
        _ => zero(relation, column),
    }
}

/// What pg_attribute repeats of pg_type.
fn of_type(column: &str, ty: &str) -> Datum {
    let Some(ty) = ty.parse().ok().and_then(|oid| builtin::type_by_oid(Oid(oid))) else { return Datum::Null };
    match column {
        "attlen" => Datum::Int2(ty.length),
        "attbyval" => Datum::Bool(ty.by_value),
        "attalign" => Datum::Char(ty.align),
        _ => Datum::Char(ty.storage),
    }
}

fn zero(relation: &SystemRelation, column: &Column) -> Datum {
    match column.ty.oid {
        oid::BOOL => Datum::Bool(false),
        oid::CHAR => Datum::Char(0),
        oid::INT2 => Datum::Int2(0),
        oid::INT4 => Datum::Int4(0),
        oid::INT8 => Datum::Int8(0),
        oid::FLOAT4 => Datum::Float4(0.0),
        ty if physical::is_oid(ty) => Datum::Oid(Oid::NONE),
        _ => unreachable!("{}.{} must be in its file", relation.name, column.name),
    }
}
