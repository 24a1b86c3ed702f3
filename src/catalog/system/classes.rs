//! Relations, their columns, defaults, indexes and row types as pg_catalog shows them.

use super::cell::{NULL, and_built_in, int2_vector, oid_vector, only, row};
use super::{Key, SystemRelation, SystemRows};
use crate::catalog::builtin;
use crate::catalog::image::{Attribute, Body, Identity, Image, Index, Relation, RelationKind};
use crate::error::Result;
use crate::executor::functions::CallContext;
use crate::types::{Array, Datum, Oid, Type, oid};
use std::sync::Arc;

/// The access methods of pg_am that we have.
const HEAP: Oid = Oid(2);
const BTREE: Oid = Oid(403);

/// An array type over a table's row type has no oid of its own in the image: the row type's with this bit.
const ARRAY_BIT: u32 = 1 << 30;

/// The oid of the array type over a user's row type.
pub(crate) fn array_oid(row_type: Oid) -> Oid {
    if row_type == Oid::NONE { Oid::NONE } else { Oid(row_type.0 | ARRAY_BIT) }
}

/// The row type below the oid of an array type made by [`array_oid`].
pub(crate) fn element_of_array_oid(ty: Oid) -> Option<Oid> {
    (ty.0 & ARRAY_BIT != 0).then_some(Oid(ty.0 & !ARRAY_BIT))
}

/// Users' relations: the one that an oid key of attribute `name` names, else all by oid.
pub(super) fn chosen(image: &Image, key: Option<Key<'_>>, name: &str) -> Vec<Arc<Relation>> {
    if let Some(Key { value: Datum::Oid(oid), .. }) = key.filter(|key| key.name == name) {
        return image.relations.get(oid).filter(|_| *oid >= Oid::FIRST_USER).cloned().into_iter().collect();
    }
    let mut all: Vec<_> =
        image.relations.values().filter(|relation| relation.oid >= Oid::FIRST_USER).cloned().collect();
    all.sort_by_key(|relation| relation.oid);
    all
}

pub(super) fn pg_class(
    relation: &'static SystemRelation,
    ctx: &CallContext,
    key: Option<Key<'_>>,
) -> Result<SystemRows> {
    let image = ctx.host.catalog();
    let chosen = match key {
        Some(Key { name: "relname", value: Datum::Text(name), .. }) => {
            let mut found: Vec<_> =
                image.schemas.keys().filter_map(|schema| image.relation(*schema, name)).cloned().collect();
            found.retain(|relation| relation.oid >= Oid::FIRST_USER);
            found.sort_by_key(|relation| relation.oid);
            found
        }
        key => chosen(&image, key, "oid"),
    };
    let rows = chosen.iter().map(|relation| class(relation, ctx)).collect();
    Ok(and_built_in(relation, key, rows))
}

fn class(relation: &Relation, ctx: &CallContext) -> Vec<Datum> {
    let table = relation.kind == RelationKind::Table;
    let (kind, access) = match relation.kind {
        RelationKind::Table => ('r', HEAP),
        RelationKind::Index => ('i', BTREE),
        RelationKind::Sequence => ('S', Oid::NONE),
        RelationKind::View => ('v', Oid::NONE),
    };
    let columns = match &relation.body {
        Body::Index(index) => index.keys.len() + index.include.len(),
        Body::Sequence(_) => SEQUENCE_COLUMNS.len(),
        _ => relation.attributes.len(),
    };
    use crate::catalog::image::ConstraintKind::{Check, ForeignKey};
    let checks = relation.constraints.iter().filter(|c| matches!(c.kind, Check { .. })).count();
    let triggers =
        !relation.referenced_by.is_empty() || relation.constraints.iter().any(|c| matches!(c.kind, ForeignKey { .. }));
    let stored = relation.kind != RelationKind::View;
    // Sizes are known to the planner only once ANALYZE has counted the rows, as in PostgreSQL.
    let analysed = table && relation.row_estimate >= 0.0;
    let size = || ctx.host.relation_size(relation.oid).map_or(0, |bytes| (bytes / 8192) as i32);
    let pages = match relation.kind {
        RelationKind::Table if analysed => size(),
        // PostgreSQL's smallest index has one page.
        RelationKind::Index if relation.row_estimate > 0.0 => size().max(1),
        RelationKind::Index => 1,
        _ => 0,
    };
    let rows = match relation.kind {
        RelationKind::Table => relation.row_estimate as f32,
        RelationKind::Sequence => 1.0,
        RelationKind::Index => relation.row_estimate.max(0.0) as f32,
        RelationKind::View => -1.0,
    };
    row![
        relation.oid,
        &relation.name,
        relation.schema,
        relation.row_type,
        Oid::NONE,
        relation.owner,
        access,
        if stored { relation.oid } else { Oid::NONE },
        Oid::NONE,
        pages,
        rows,
        0,
        Oid::NONE,
        !relation.indexes.is_empty(),
        false,
        if relation.temporary { 't' } else { 'p' },
        kind,
        columns as i16,
        checks as i16,
        relation.kind == RelationKind::View,
        triggers,
        false,
        false,
        false,
        true,
        if table { 'd' } else { 'n' },
        false,
        Oid::NONE,
        Oid(if table { 3 } else { 0 }),
        Oid(u32::from(table)),
        NULL,
        options(relation),
        NULL,
    ]
}

/// What CREATE VIEW was told WITH.
fn options(relation: &Relation) -> Datum {
    use crate::catalog::image::CheckOption::{Cascaded, Local};
    let option = match &relation.body {
        Body::View { check: Some(Local), .. } => "check_option=local",
        Body::View { check: Some(Cascaded), .. } => "check_option=cascaded",
        _ => return NULL,
    };
    Datum::Array(Arc::new(Array::of(oid::TEXT, vec![Datum::Text(option.into())])))
}

/// Columns of every sequence.
const SEQUENCE_COLUMNS: [(&str, Oid); 3] =
    [("last_value", oid::INT8), ("log_cnt", oid::INT8), ("is_called", oid::BOOL)];

/// System columns of every table: name, type, number.
const SYSTEM_COLUMNS: [(&str, Oid, i16); 6] = [
    ("tableoid", oid::OID, -6),
    ("cmax", oid::CID, -5),
    ("xmax", oid::XID, -4),
    ("cmin", oid::CID, -3),
    ("xmin", oid::XID, -2),
    ("ctid", oid::TID, -1),
];

pub(super) fn pg_attribute(
    relation: &'static SystemRelation,
    ctx: &CallContext,
    key: Option<Key<'_>>,
) -> Result<SystemRows> {
    let image = ctx.host.catalog();
    let mut rows = Vec::new();
    for relation in chosen(&image, key, "attrelid") {
        columns_of(&relation, &image, &mut rows);
    }
    // The files hold no system columns.
    let built_in = super::relations().iter().filter(|relation| relation.kind == RelationKind::Table);
    for relation in built_in {
        match key {
            Some(Key { name: "attrelid", value: Datum::Oid(oid), .. }) if *oid != relation.oid => {}
            _ => system_columns(relation.oid, &mut rows),
        }
    }
    Ok(and_built_in(relation, key, rows))
}

fn columns_of(relation: &Relation, image: &Image, rows: &mut Vec<Vec<Datum>>) {
    let plain = |name: &str, ty: Type, number: i16, not_null: bool| Attribute {
        number,
        name: name.to_owned(),
        ty,
        not_null,
        default: None,
        generated: false,
        identity: None,
        dropped: false,
        storage: 0,
        steering: Default::default(),
        missing: None,
    };
    match &relation.body {
        Body::Index(index) => {
            let names = index_column_names(index, image);
            for (at, (name, ty)) in names.iter().enumerate() {
                rows.push(column(relation.oid, &plain(name, *ty, at as i16 + 1, false)));
            }
            return;
        }
        Body::Sequence(_) => {
            for (at, (name, ty)) in SEQUENCE_COLUMNS.iter().enumerate() {
                rows.push(column(relation.oid, &plain(name, Type::new(*ty), at as i16 + 1, true)));
            }
        }
        _ => rows.extend(relation.attributes.iter().map(|attribute| column(relation.oid, attribute))),
    }
    if relation.kind != RelationKind::View {
        system_columns(relation.oid, rows);
    }
}

/// An index's columns as its own attributes: the table's names, for expressions the function's or `expr`.
fn index_column_names(index: &Index, image: &Image) -> Vec<(String, Type)> {
    let table = image.relations.get(&index.table);
    let attribute = |number: i16| table.and_then(|table| table.attributes.get(usize::try_from(number - 1).ok()?));
    let mut columns: Vec<(String, Type)> = Vec::new();
    let include = index.include.iter().filter_map(|number| attribute(*number)).map(|a| (a.name.clone(), a.ty));
    for key in &index.keys {
        let name = match (&key.expression, attribute(key.attribute)) {
            (None, Some(attribute)) => attribute.name.clone(),
            (expression, _) => expression_name(expression.as_deref().unwrap_or_default()),
        };
        // PostgreSQL numbers names that come again.
        let taken = |name: &str| columns.iter().any(|(other, _)| other == name);
        let numbered = (1..).map(|n| format!("{name}{n}"));
        let name = std::iter::once(name.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(name);
        columns.push((name, key.ty));
    }
    columns.extend(include);
    columns
}

/// The name of an index column that is an expression: the function's when it is a call.
fn expression_name(expression: &str) -> String {
    let name: String = expression.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    if !name.is_empty() && expression[name.len()..].starts_with('(') { name } else { "expr".to_owned() }
}

fn system_columns(relation: Oid, rows: &mut Vec<Vec<Datum>>) {
    for (name, ty, number) in SYSTEM_COLUMNS {
        let attribute = Attribute {
            number,
            name: name.to_owned(),
            ty: Type::new(ty),
            not_null: true,
            default: None,
            generated: false,
            identity: None,
            dropped: false,
            storage: 0,
            steering: Default::default(),
            missing: None,
        };
        rows.push(column(relation, &attribute));
    }
}

fn column(relation: Oid, attribute: &Attribute) -> Vec<Datum> {
    let ty = builtin::laid_out_as(attribute.ty.oid);
    let dropped = attribute.dropped;
    let array = builtin::element_of(attribute.ty.oid).is_some();
    let name =
        if dropped { format!("........pg.dropped.{}........", attribute.number) } else { attribute.name.clone() };
    row![
        relation,
        name,
        if dropped { Oid::NONE } else { attribute.ty.oid },
        if dropped || attribute.number < 0 { 0 } else { attribute.steering.statistics.unwrap_or(-1) },
        ty.map_or(-1, |ty| ty.length),
        attribute.number,
        i32::from(array),
        -1,
        attribute.ty.typmod,
        ty.is_some_and(|ty| ty.by_value),
        ty.map_or(b'd', |ty| ty.align),
        attribute.steering.storage.unwrap_or(ty.map_or(b'x', |ty| ty.storage)),
        0u8,
        attribute.not_null && !dropped,
        attribute.default.is_some() && !dropped,
        attribute.missing.is_some() && !dropped,
        match attribute.identity {
            Some(Identity::Always) => b'a',
            Some(Identity::ByDefault) => b'd',
            None => 0,
        },
        if attribute.generated { b's' } else { 0 },
        dropped,
        true,
        0,
        if dropped { Oid::NONE } else { builtin::collation(attribute.ty.oid) },
        NULL,
        NULL,
        NULL,
        attribute
            .missing
            .as_ref()
            .filter(|_| !dropped)
            .map(|missing| { Datum::Array(Arc::new(Array::of(attribute.ty.oid, vec![missing.clone()]))) }),
    ]
}

/// A default has no oid of its own: one made of its table's and its column's number.
pub(super) fn default_oid(table: Oid, attribute: i16) -> Oid {
    Oid(1 << 31 | table.0.wrapping_mul(1600).wrapping_add(attribute as u32))
}

pub(super) fn pg_attrdef(_: &'static SystemRelation, ctx: &CallContext, key: Option<Key<'_>>) -> Result<SystemRows> {
    let mut rows = Vec::new();
    for relation in chosen(&ctx.host.catalog(), key, "adrelid") {
        for attribute in relation.live_attributes() {
            if let Some(default) = &attribute.default {
                rows.push(row![default_oid(relation.oid, attribute.number), relation.oid, attribute.number, default]);
            }
        }
    }
    Ok(only(key, rows))
}

pub(super) fn pg_index(
    relation: &'static SystemRelation,
    ctx: &CallContext,
    key: Option<Key<'_>>,
) -> Result<SystemRows> {
    let image = ctx.host.catalog();
    let rows = match key.map(|key| key.name) {
        Some("indrelid") => {
            let tables = chosen(&image, key, "indrelid");
            tables.iter().flat_map(|table| &table.indexes).map(|index| index_row(index, &image)).collect()
        }
        _ => chosen(&image, key, "indexrelid")
            .iter()
            .filter_map(|relation| match &relation.body {
                Body::Index(index) => Some(index_row(index, &image)),
                _ => None,
            })
            .collect(),
    };
    Ok(and_built_in(relation, key, rows))
}

fn index_row(index: &Index, image: &Image) -> Vec<Datum> {
    let table = image.relations.get(&index.table);
    let keys: Vec<i16> = index.keys.iter().map(|key| key.attribute).chain(index.include.iter().copied()).collect();
    let collations: Vec<Oid> = index.keys.iter().map(|key| builtin::collation(key.ty.oid)).collect();
    let classes: Vec<Oid> = index.keys.iter().map(|key| operator_class(key.ty.oid)).collect();
    let options: Vec<i16> =
        index.keys.iter().map(|key| i16::from(key.descending) | i16::from(key.nulls_first) << 1).collect();
    let expressions: Vec<&str> = index.keys.iter().filter_map(|key| key.expression.as_deref()).collect();
    use crate::catalog::image::ConstraintKind::{PrimaryKey, Unique};
    let constraint = table.and_then(|table| {
        table.constraints.iter().find(|constraint| match constraint.kind {
            PrimaryKey { index: oid, .. } | Unique { index: oid, .. } => oid == index.oid,
            _ => false,
        })
    });
    row![
        index.oid,
        index.table,
        keys.len() as i16,
        index.keys.len() as i16,
        index.unique,
        index.nulls_not_distinct,
        index.primary,
        false,
        !index.deferrable && !constraint.is_some_and(|constraint| constraint.deferrable),
        false,
        true,
        false,
        true,
        true,
        false,
        int2_vector(&keys),
        oid_vector(&collations),
        oid_vector(&classes),
        int2_vector(&options),
        (!expressions.is_empty()).then(|| expressions.join(", ")),
        index.predicate.as_ref().map(|(predicate, _)| predicate),
    ]
}

/// The default btree operator class of a type, or of what it is compared as.
pub(crate) fn operator_class(ty: Oid) -> Oid {
    static DEFAULTS: std::sync::LazyLock<std::collections::HashMap<Oid, Oid>> = std::sync::LazyLock::new(|| {
        let number = |text: &str| Oid(text.parse().unwrap_or(0));
        let (_, rows) = builtin::rows("pg_opclass");
        rows.filter(|row| row[1] == "403" && row[5] == "t").map(|row| (number(row[4]), number(row[0]))).collect()
    });
    let of = |ty: Oid| DEFAULTS.get(&ty).copied();
    of(ty).or_else(|| of(builtin::comparison_base(ty)?)).unwrap_or(Oid::NONE)
}

pub(super) fn pg_sequence(_: &'static SystemRelation, ctx: &CallContext, key: Option<Key<'_>>) -> Result<SystemRows> {
    let rows = chosen(&ctx.host.catalog(), key, "seqrelid")
        .iter()
        .filter_map(|relation| match &relation.body {
            Body::Sequence(s) => Some(row![relation.oid, s.ty, s.start, s.increment, s.max, s.min, s.cache, s.cycle]),
            _ => None,
        })
        .collect();
    Ok(only(key, rows))
}

pub(super) fn pg_type(
    relation: &'static SystemRelation,
    ctx: &CallContext,
    key: Option<Key<'_>>,
) -> Result<SystemRows> {
    let image = ctx.host.catalog();
    let with_row_type: Vec<Arc<Relation>> = match key {
        // Most look-ups of types are of built-in ones.
        Some(Key { name: "oid", value: Datum::Oid(oid), .. }) if *oid < Oid::FIRST_USER => Vec::new(),
        Some(Key { name: "oid", value: Datum::Oid(oid), .. }) => {
            let row_type = element_of_array_oid(*oid).unwrap_or(*oid);
            image.relation_of_row_type(row_type).cloned().into_iter().collect()
        }
        Some(Key { name: "typname", value: Datum::Text(name), .. }) => {
            let mut named = chosen(&image, None, "");
            named.retain(|relation| {
                name.trim_start_matches('_') == relation.name.trim_start_matches('_') || relation.name.len() > 60
            });
            named
        }
        key => chosen(&image, key, "typrelid"),
    };
    let mut rows = Vec::new();
    for relation in with_row_type.iter().filter(|relation| relation.row_type != Oid::NONE) {
        rows.push(row_type(relation));
        rows.push(row_array_type(relation));
    }
    rows.extend(super::types::rows(&image, ctx, key));
    Ok(and_built_in(relation, key, rows))
}

/// Functions of record and array types, in pg_type's order: input, output, receive, send.
const RECORD_IO: [u32; 4] = [2290, 2291, 2402, 2403];
const ARRAY_IO: [u32; 4] = [750, 751, 2400, 2401];

fn row_type(relation: &Relation) -> Vec<Datum> {
    type_row(
        relation,
        relation.row_type,
        &relation.name,
        b'c',
        b'C',
        relation.oid,
        (Oid::NONE, array_oid(relation.row_type)),
    )
}

fn row_array_type(relation: &Relation) -> Vec<Datum> {
    let name = format!("_{}", relation.name);
    let name = crate::types::text_io::truncate_name(&name);
    type_row(relation, array_oid(relation.row_type), name, b'b', b'A', Oid::NONE, (relation.row_type, Oid::NONE))
}

fn type_row(
    relation: &Relation,
    oid: Oid,
    name: &str,
    kind: u8,
    category: u8,
    of: Oid,
    (element, array): (Oid, Oid),
) -> Vec<Datum> {
    let io = if category == b'A' { ARRAY_IO } else { RECORD_IO }.map(Oid);
    // array_subscript_handler, array_typanalyze
    let (subscript, analyze) = if category == b'A' { (Oid(6179), Oid(3816)) } else { (Oid::NONE, Oid::NONE) };
    row![
        oid,
        name,
        relation.schema,
        relation.owner,
        -1i16,
        false,
        kind,
        category,
        false,
        true,
        ',',
        of,
        subscript,
        element,
        array,
        io[0],
        io[1],
        io[2],
        io[3],
        Oid::NONE,
        Oid::NONE,
        analyze,
        'd',
        'x',
        false,
        Oid::NONE,
        -1,
        0,
        Oid::NONE,
        NULL,
        NULL,
        NULL,
    ]
}
