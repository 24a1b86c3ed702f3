//! Roles, databases, schemas, tablespaces and comments as pg_catalog shows them.

use super::cell::{NULL, and_built_in, only, row};
use super::{Key, SystemRelation, SystemRows};
use crate::catalog::store::fixed;
use crate::error::Result;
use crate::executor::functions::CallContext;
use crate::types::{Array, Datum, Oid, oid};
use std::sync::Arc;

/// Classes of shared objects, whose comments are in pg_shdescription: pg_authid, pg_database, pg_tablespace.
const SHARED: [Oid; 3] = [Oid(1260), Oid(1262), Oid(1213)];
/// pg_default
const DEFAULT_TABLESPACE: Oid = Oid(1663);
/// pg_enc's UTF8
const UTF8: i32 = 6;

pub(super) fn pg_authid(_: &'static SystemRelation, ctx: &CallContext, key: Option<Key<'_>>) -> Result<SystemRows> {
    let image = ctx.host.catalog();
    let mut roles: Vec<_> = image.roles.values().collect();
    roles.sort_by_key(|role| role.oid);
    let rows = roles.into_iter().map(|role| {
        row![
            role.oid,
            &role.name,
            role.superuser,
            role.inherit,
            role.create_role,
            role.create_db,
            role.login,
            // Attributes of the first superuser alone: CREATE ROLE has no words for them here.
            role.oid == fixed::POSTGRES_ROLE,
            role.oid == fixed::POSTGRES_ROLE,
            role.connection_limit,
            role.password.as_ref(),
            role.valid_until.map(Datum::TimestampTz),
        ]
    });
    Ok(only(key, rows.collect()))
}

pub(super) fn pg_database(_: &'static SystemRelation, ctx: &CallContext, key: Option<Key<'_>>) -> Result<SystemRows> {
    let image = ctx.host.catalog();
    let mut databases: Vec<_> = image.databases.values().collect();
    databases.sort_by_key(|database| database.oid);
    let rows = databases.into_iter().map(|database| {
        row![
            database.oid,
            &database.name,
            database.owner,
            UTF8,
            'c',
            database.is_template,
            database.allow_connections,
            database.connection_limit,
            Oid(3),
            Oid(1),
            DEFAULT_TABLESPACE,
            "C.UTF-8",
            "C.UTF-8",
            NULL,
            NULL,
            match database.oid {
                fixed::TEMPLATE0 | fixed::TEMPLATE1 => acl(&["=c/postgres", "postgres=CTc/postgres"]),
                _ => NULL,
            },
        ]
    });
    Ok(only(key, rows.collect()))
}

/// An access control list. Only those that initdb makes exist: GRANT is not there.
fn acl(items: &[&str]) -> Datum {
    let items = items.iter().map(|item| Datum::Text((*item).into())).collect();
    Datum::Array(Arc::new(Array::of(oid::ACLITEM, items)))
}

pub(super) fn pg_namespace(_: &'static SystemRelation, ctx: &CallContext, key: Option<Key<'_>>) -> Result<SystemRows> {
    let image = ctx.host.catalog();
    let mut schemas: Vec<_> = image.schemas.values().collect();
    schemas.sort_by_key(|schema| schema.oid);
    let rows = schemas.into_iter().map(|schema| {
        let rights = match schema.oid {
            fixed::PUBLIC => acl(&["pg_database_owner=UC/pg_database_owner", "=U/pg_database_owner"]),
            fixed::PG_CATALOG | fixed::INFORMATION_SCHEMA => acl(&["postgres=UC/postgres", "=U/postgres"]),
            _ => NULL,
        };
        row![schema.oid, &schema.name, schema.owner, rights]
    });
    Ok(only(key, rows.collect()))
}

pub(super) fn pg_tablespace(_: &'static SystemRelation, _: &CallContext, key: Option<Key<'_>>) -> Result<SystemRows> {
    let tablespace = |oid: Oid, name: &str| row![oid, name, fixed::POSTGRES_ROLE, NULL, NULL];
    let rows = vec![tablespace(DEFAULT_TABLESPACE, "pg_default"), tablespace(Oid(1664), "pg_global")];
    Ok(only(key, rows))
}

pub(super) fn pg_description(
    relation: &'static SystemRelation,
    ctx: &CallContext,
    key: Option<Key<'_>>,
) -> Result<SystemRows> {
    Ok(and_built_in(relation, key, comments(ctx, false)))
}

pub(super) fn pg_shdescription(
    relation: &'static SystemRelation,
    ctx: &CallContext,
    key: Option<Key<'_>>,
) -> Result<SystemRows> {
    Ok(and_built_in(relation, key, comments(ctx, true)))
}

fn comments(ctx: &CallContext, shared: bool) -> Vec<Vec<Datum>> {
    let image = ctx.host.catalog();
    let mut comments: Vec<_> =
        image.comments.iter().filter(|((_, class, _), _)| SHARED.contains(class) == shared).collect();
    comments.sort_by_key(|(key, _)| **key);
    let rows =
        comments.into_iter().map(
            |((object, class, sub), text)| {
                if shared { row![*object, *class, text] } else { row![*object, *class, *sub, text] }
            },
        );
    rows.collect()
}
