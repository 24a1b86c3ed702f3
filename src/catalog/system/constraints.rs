//! Constraints, rules and dependencies as pg_catalog shows them.
//!
//! pg_depend holds what clients follow: who owns a sequence, what an index, a constraint and a default hang on, which
//! schema a relation is in. Views' dependencies on what they read are not in it.

use super::cell::{NULL, and_built_in, int2_array, oid_array, only, row};
use super::classes::{chosen, default_oid};
use super::{Key, SystemRelation, SystemRows};
use crate::catalog::builtin;
use crate::catalog::image::{Body, Constraint, ConstraintKind, Image, Index, ReferentialAction, Relation};
use crate::error::Result;
use crate::executor::functions::CallContext;
use crate::types::{Datum, Oid};
use std::sync::Arc;

/// Oids of the catalogs that dependencies name.
pub(crate) const PG_CLASS: Oid = Oid(1259);
pub(super) const PG_TYPE: Oid = Oid(1247);
pub(super) const PG_CONSTRAINT: Oid = Oid(2606);
const PG_ATTRDEF: Oid = Oid(2604);
pub(super) const PG_NAMESPACE: Oid = Oid(2615);
const PG_REWRITE: Oid = Oid(2618);

pub(super) fn pg_constraint(
    relation: &'static SystemRelation,
    ctx: &CallContext,
    key: Option<Key<'_>>,
) -> Result<SystemRows> {
    let image = ctx.host.catalog();
    let constraints: Vec<Arc<Constraint>> = match key.map(|key| key.name) {
        Some("contypid") => Vec::new(),
        Some("confrelid") => chosen(&image, key, "confrelid").iter().flat_map(|r| r.referenced_by.clone()).collect(),
        _ => chosen(&image, key, "conrelid").iter().flat_map(|r| r.constraints.clone()).collect(),
    };
    let by_oid = |constraint: &&Arc<Constraint>| match key {
        Some(Key { name: "oid", value: Datum::Oid(oid), .. }) => constraint.oid == *oid,
        _ => true,
    };
    let mut rows: Vec<_> =
        constraints.iter().filter(by_oid).map(|constraint| constraint_row(constraint, &image)).collect();
    rows.extend(super::types::checks(&image, key));
    Ok(and_built_in(relation, key, rows))
}

/// What the kinds of constraints have in different columns.
#[derive(Default)]
struct Parts<'a> {
    kind: u8,
    index: Oid,
    references: Oid,
    actions: [u8; 3],
    no_inherit: bool,
    columns: &'a [i16],
    referenced: &'a [i16],
    delete_columns: &'a [i16],
    expression: Option<&'a String>,
}

fn parts(constraint: &Constraint) -> Parts<'_> {
    let plain = Parts { actions: [b' '; 3], no_inherit: true, ..Parts::default() };
    match &constraint.kind {
        ConstraintKind::Check { expression, columns, no_inherit } => {
            Parts { kind: b'c', columns, expression: Some(expression), no_inherit: *no_inherit, ..plain }
        }
        ConstraintKind::PrimaryKey { columns, index } => Parts { kind: b'p', columns, index: *index, ..plain },
        ConstraintKind::Unique { columns, index } => Parts { kind: b'u', columns, index: *index, ..plain },
        ConstraintKind::ForeignKey {
            columns,
            references,
            referenced_columns,
            index,
            on_update,
            on_delete,
            delete_columns,
            match_full,
        } => Parts {
            kind: b'f',
            index: *index,
            references: *references,
            actions: [action(*on_update), action(*on_delete), if *match_full { b'f' } else { b's' }],
            columns,
            referenced: referenced_columns,
            delete_columns,
            ..plain
        },
    }
}

fn action(action: ReferentialAction) -> u8 {
    match action {
        ReferentialAction::NoAction => b'a',
        ReferentialAction::Restrict => b'r',
        ReferentialAction::Cascade => b'c',
        ReferentialAction::SetNull => b'n',
        ReferentialAction::SetDefault => b'd',
    }
}

fn constraint_row(constraint: &Constraint, image: &Image) -> Vec<Datum> {
    let parts = parts(constraint);
    let table = image.relations.get(&constraint.table);
    let array = |columns: &[i16]| (!columns.is_empty()).then(|| int2_array(columns));
    let operators = |left: Option<&Arc<Relation>>, columns: &[i16], right: Option<&Arc<Relation>>, others: &[i16]| {
        let pairs = columns.iter().zip(others).map(|(a, b)| equality(column_type(left, *a), column_type(right, *b)));
        (parts.kind == b'f').then(|| oid_array(&pairs.collect::<Vec<_>>()))
    };
    let referenced = image.relations.get(&parts.references);
    row![
        constraint.oid,
        &constraint.name,
        table.map_or(Oid::NONE, |table| table.schema),
        parts.kind,
        constraint.deferrable,
        constraint.deferred,
        constraint.validated,
        constraint.table,
        Oid::NONE,
        parts.index,
        Oid::NONE,
        parts.references,
        parts.actions[0],
        parts.actions[1],
        parts.actions[2],
        true,
        0,
        parts.no_inherit,
        array(parts.columns),
        array(parts.referenced),
        operators(referenced, parts.referenced, table, parts.columns),
        operators(referenced, parts.referenced, referenced, parts.referenced),
        operators(table, parts.columns, table, parts.columns),
        array(parts.delete_columns),
        NULL,
        parts.expression,
    ]
}

fn column_type(relation: Option<&Arc<Relation>>, number: i16) -> Oid {
    let attribute = relation.and_then(|relation| relation.attributes.get(usize::try_from(number - 1).ok()?));
    attribute.map_or(Oid::NONE, |attribute| attribute.ty.oid)
}

/// The `=` of two types, or of what they are compared as.
fn equality(left: Oid, right: Oid) -> Oid {
    let base = |ty: Oid| builtin::comparison_base(ty).unwrap_or(ty);
    let found = builtin::operator("=", left, right).or_else(|| builtin::operator("=", base(left), base(right)));
    found.map_or(Oid::NONE, |operator| operator.oid)
}

/// A view's rule has the view's oid.
pub(super) fn pg_rewrite(_: &'static SystemRelation, ctx: &CallContext, key: Option<Key<'_>>) -> Result<SystemRows> {
    let image = ctx.host.catalog();
    let mut views: Vec<&Arc<Relation>> = match key {
        Some(Key { name: "ev_class", value: Datum::Oid(oid), .. }) => image.relations.get(oid).into_iter().collect(),
        _ => image.relations.values().collect(),
    };
    views.retain(|relation| matches!(relation.body, Body::View { .. }));
    views.sort_by_key(|view| view.oid);
    let rows = views.iter().map(|view| {
        let text = match &view.body {
            Body::View { text, .. } => text.as_str(),
            _ => "",
        };
        row![view.oid, "_RETURN", view.oid, '1', 'O', true, "<>", text]
    });
    Ok(only(key, rows.collect()))
}

/// An end of a dependency: class, object, column.
pub(super) type End = (Oid, Oid, i32);

pub(super) fn pg_depend(_: &'static SystemRelation, ctx: &CallContext, key: Option<Key<'_>>) -> Result<SystemRows> {
    let image = ctx.host.catalog();
    let mut found = Vec::new();
    for relation in chosen(&image, None, "") {
        depends(&relation, &image, &mut found);
    }
    super::types::depends(&image, &mut found);
    let rows = found.into_iter().map(|((class, object, sub), (ref_class, ref_object, ref_sub), kind)| {
        row![class, object, sub, ref_class, ref_object, ref_sub, kind]
    });
    Ok(only(key, rows.collect()))
}

fn depends(relation: &Relation, image: &Image, found: &mut Vec<(End, End, char)>) {
    let own = (PG_CLASS, relation.oid, 0);
    if !matches!(relation.body, Body::Index(_)) {
        found.push((own, (PG_NAMESPACE, relation.schema, 0), 'n'));
    }
    if relation.row_type != Oid::NONE {
        found.push(((PG_TYPE, relation.row_type, 0), own, 'i'));
        found.push(((PG_TYPE, super::array_oid(relation.row_type), 0), (PG_TYPE, relation.row_type, 0), 'i'));
    }
    match &relation.body {
        Body::Sequence(sequence) => {
            if let Some((table, column)) = sequence.owned_by {
                let kind = if sequence.identity { 'i' } else { 'a' };
                found.push((own, (PG_CLASS, table, i32::from(column)), kind));
            }
        }
        Body::Index(index) => index_depends(index, image, found),
        Body::View { .. } => found.push(((PG_REWRITE, relation.oid, 0), own, 'i')),
        Body::Table { .. } | Body::System(_) => {}
    }
    for attribute in relation.live_attributes().filter(|attribute| attribute.ty.oid >= Oid::FIRST_USER) {
        found.push(((PG_CLASS, relation.oid, i32::from(attribute.number)), (PG_TYPE, attribute.ty.oid, 0), 'n'));
    }
    for attribute in relation.live_attributes() {
        let Some(default) = &attribute.default else { continue };
        let of_default = (PG_ATTRDEF, default_oid(relation.oid, attribute.number), 0);
        found.push((of_default, (PG_CLASS, relation.oid, i32::from(attribute.number)), 'a'));
        if let Some(sequence) = named_sequence(default, relation, image) {
            found.push((of_default, (PG_CLASS, sequence, 0), 'n'));
        }
    }
    for constraint in &relation.constraints {
        let of_constraint = (PG_CONSTRAINT, constraint.oid, 0);
        let parts = parts(constraint);
        for column in parts.columns {
            found.push((of_constraint, (PG_CLASS, relation.oid, i32::from(*column)), 'a'));
        }
        for column in parts.referenced {
            found.push((of_constraint, (PG_CLASS, parts.references, i32::from(*column)), 'n'));
        }
        if parts.kind == b'f' {
            found.push((of_constraint, (PG_CLASS, parts.index, 0), 'n'));
        }
    }
}

fn index_depends(index: &Index, image: &Image, found: &mut Vec<(End, End, char)>) {
    let own = (PG_CLASS, index.oid, 0);
    let constraints = image.relations.get(&index.table).map_or(&[][..], |table| &table.constraints);
    let constraint = constraints.iter().find(|constraint| {
        let parts = parts(constraint);
        parts.index == index.oid && parts.kind != b'f'
    });
    match constraint {
        Some(constraint) => found.push((own, (PG_CONSTRAINT, constraint.oid, 0), 'i')),
        None => {
            let columns = index.keys.iter().map(|key| key.attribute).chain(index.include.iter().copied());
            found.extend(columns.map(|column| (own, (PG_CLASS, index.table, i32::from(column)), 'a')));
        }
    }
}

/// The sequence that a default draws from: `nextval('name'::regclass)`.
fn named_sequence(default: &str, relation: &Relation, image: &Image) -> Option<Oid> {
    let name = default.strip_prefix("nextval('")?.split('\'').next()?;
    let mut parts = name.split('.').map(|part| part.trim_matches('"'));
    let found = match (parts.next()?, parts.next()) {
        (name, None) => image
            .relation(relation.schema, name)
            .or_else(|| image.schemas.keys().find_map(|schema| image.relation(*schema, name))),
        (schema, Some(name)) => image.relation(*image.schema_names.get(schema)?, name),
    };
    found.filter(|found| matches!(found.body, Body::Sequence(_))).map(|found| found.oid)
}
