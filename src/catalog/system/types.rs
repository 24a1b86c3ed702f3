//! Enums and domains as pg_catalog shows them.

use super::cell::{NULL, only, row};
use super::constraints::{PG_NAMESPACE, PG_TYPE};
use super::{Key, SystemRelation, SystemRows};
use crate::catalog::builtin::{self, BuiltinType};
use crate::catalog::image::{Image, TypeKind, UserType};
use crate::error::Result;
use crate::executor::functions::CallContext;
use crate::sql::deparse;
use crate::types::{Datum, Oid, Type, shape};
use std::sync::Arc;

/// Input, output, receive and send functions: of enums, of arrays; of domains the first and the third.
const ENUM_IO: [u32; 4] = [3506, 3507, 3532, 3533];
const ARRAY_IO: [u32; 4] = [750, 751, 2400, 2401];
const DOMAIN_IN: Oid = Oid(2597);
const DOMAIN_RECEIVE: Oid = Oid(2598);
/// array_subscript_handler, array_typanalyze
const ARRAY_SUBSCRIPT: Oid = Oid(6179);
const ARRAY_ANALYZE: Oid = Oid(3816);

/// Rows of pg_type for users' types: at least those that the key asks for.
pub(super) fn rows(image: &Image, ctx: &CallContext, key: Option<Key<'_>>) -> Vec<Vec<Datum>> {
    let mut chosen: Vec<&Arc<UserType>> = match key {
        Some(Key { name: "oid", value: Datum::Oid(oid), .. }) => {
            image.user_type(*oid).map(|(ty, _)| ty).into_iter().collect()
        }
        // Only row types belong to relations.
        Some(Key { name: "typrelid", value: Datum::Oid(oid), .. }) if *oid != Oid::NONE => Vec::new(),
        _ => image.types.values().collect(),
    };
    chosen.sort_by_key(|ty| ty.oid);
    chosen.into_iter().flat_map(|ty| [own(ty, ctx), array(ty)]).collect()
}

fn own(ty: &UserType, ctx: &CallContext) -> Vec<Datum> {
    let domain = ty.domain();
    let base = domain.and_then(|domain| builtin_base(domain.base));
    let base_io = |function: fn(&BuiltinType) -> Oid| base.map_or(Oid::NONE, function);
    let io = match (&ty.kind, base_array_io(ty)) {
        (TypeKind::Enum(_), _) => ENUM_IO.map(Oid),
        (_, Some(io)) => [DOMAIN_IN, io[1], DOMAIN_RECEIVE, io[3]],
        _ => [DOMAIN_IN, base_io(|row| row.output), DOMAIN_RECEIVE, base_io(|row| row.send)],
    };
    let form = builtin::laid_out_as(ty.oid);
    let default = domain.and_then(|domain| domain.default.as_ref());
    row![
        ty.oid,
        &ty.name,
        ty.schema,
        ty.owner,
        form.map_or(-1, |form| form.length),
        form.is_some_and(|form| form.by_value),
        builtin::kind(ty.oid),
        builtin::category(ty.oid),
        false,
        true,
        base.map_or(b',', |row| row.delimiter),
        Oid::NONE,
        Oid::NONE,
        Oid::NONE,
        ty.array,
        io[0],
        io[1],
        io[2],
        io[3],
        Oid::NONE,
        Oid::NONE,
        base_io(|row| row.analyze),
        form.map_or(b'i', |form| form.align),
        form.map_or(b'p', |form| form.storage),
        domain.is_some_and(|domain| domain.not_null),
        domain.map_or(Oid::NONE, |domain| domain.base.oid),
        domain.map_or(-1, |domain| domain.base.typmod),
        domain.map_or(0, |domain| domain.dimensions),
        builtin::collation(ty.oid),
        default,
        default.map(|text| {
            let shown = deparse::shown_expression(ctx, text, None, deparse::Layout::of(false));
            shown.map_or_else(|_| text.clone(), |(shown, _)| shown)
        }),
        NULL,
    ]
}

/// The built-in type that a domain is over in the end.
fn builtin_base(ty: Type) -> Option<&'static BuiltinType> {
    builtin::type_by_oid(shape::base(ty).oid)
}

/// The functions of what a domain is over, when that is an enum or an array of users' types.
fn base_array_io(ty: &UserType) -> Option<[Oid; 4]> {
    let base = shape::base(ty.domain()?.base).oid;
    match shape::of(base)? {
        shape::Shape::Enum { .. } => Some(ENUM_IO.map(Oid)),
        _ => Some(ARRAY_IO.map(Oid)),
    }
}

fn array(ty: &UserType) -> Vec<Datum> {
    let form = builtin::laid_out_as(ty.array);
    let delimiter = ty.domain().and_then(|domain| builtin_base(domain.base)).map_or(b',', |row| row.delimiter);
    row![
        ty.array,
        &ty.array_name,
        ty.schema,
        ty.owner,
        -1i16,
        false,
        'b',
        'A',
        false,
        true,
        delimiter,
        Oid::NONE,
        ARRAY_SUBSCRIPT,
        ty.oid,
        Oid::NONE,
        Oid(ARRAY_IO[0]),
        Oid(ARRAY_IO[1]),
        Oid(ARRAY_IO[2]),
        Oid(ARRAY_IO[3]),
        Oid::NONE,
        Oid::NONE,
        ARRAY_ANALYZE,
        form.map_or(b'i', |form| form.align),
        'x',
        false,
        Oid::NONE,
        -1,
        0,
        builtin::collation(ty.oid),
        NULL,
        NULL,
        NULL,
    ]
}

pub(super) fn pg_enum(_: &'static SystemRelation, ctx: &CallContext, key: Option<Key<'_>>) -> Result<SystemRows> {
    let image = ctx.host.catalog();
    let mut types: Vec<&Arc<UserType>> = match key {
        Some(Key { name: "enumtypid", value: Datum::Oid(oid), .. }) => image.types.get(oid).into_iter().collect(),
        _ => image.types.values().collect(),
    };
    types.sort_by_key(|ty| ty.oid);
    let labels = types.iter().flat_map(|ty| ty.labels().iter().map(|label| (ty.oid, label)));
    let rows = labels.map(|(ty, label)| row![label.oid, ty, label.order, &label.name]);
    Ok(only(key, rows.collect()))
}

/// Rows of pg_constraint for domains' checks: at least those that the key asks for.
pub(super) fn checks(image: &Image, key: Option<Key<'_>>) -> Vec<Vec<Datum>> {
    let domains: Vec<&Arc<UserType>> = match key {
        Some(Key { name: "contypid", value: Datum::Oid(oid), .. }) => image.types.get(oid).into_iter().collect(),
        Some(Key { name: "conrelid", value: Datum::Oid(oid), .. }) if *oid != Oid::NONE => Vec::new(),
        Some(Key { name: "confrelid", value: Datum::Oid(oid), .. }) if *oid != Oid::NONE => Vec::new(),
        _ => image.types.values().collect(),
    };
    let checks = domains.into_iter().filter_map(|ty| Some((ty, ty.domain()?)));
    let mut checks: Vec<_> =
        checks.flat_map(|(ty, domain)| domain.checks.iter().map(move |check| (ty, check))).collect();
    checks.sort_by_key(|(_, check)| check.oid);
    let row = |(ty, check): (&Arc<UserType>, &crate::catalog::image::DomainCheck)| {
        row![
            check.oid,
            &check.name,
            ty.schema,
            'c',
            false,
            false,
            check.validated,
            Oid::NONE,
            ty.oid,
            Oid::NONE,
            Oid::NONE,
            Oid::NONE,
            ' ',
            ' ',
            ' ',
            true,
            0,
            false,
            NULL,
            NULL,
            NULL,
            NULL,
            NULL,
            NULL,
            NULL,
            &check.expression,
        ]
    };
    checks.into_iter().map(row).collect()
}

/// What users' types depend on, and their parts on them: rows of pg_depend as (class, object, sub) pairs.
pub(super) fn depends(image: &Image, found: &mut Vec<(super::constraints::End, super::constraints::End, char)>) {
    let mut types: Vec<&Arc<UserType>> = image.types.values().collect();
    types.sort_by_key(|ty| ty.oid);
    for ty in types {
        let own = (PG_TYPE, ty.oid, 0);
        found.push((own, (PG_NAMESPACE, ty.schema, 0), 'n'));
        found.push(((PG_TYPE, ty.array, 0), own, 'i'));
        if let Some(domain) = ty.domain() {
            if domain.base.oid >= Oid::FIRST_USER {
                found.push((own, (PG_TYPE, domain.base.oid, 0), 'n'));
            }
            for check in &domain.checks {
                found.push(((super::constraints::PG_CONSTRAINT, check.oid, 0), own, 'a'));
            }
        }
    }
}
