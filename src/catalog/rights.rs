//! Who may do what: owners and superusers, as long as there is no GRANT.
//!
//! Everybody has what PostgreSQL grants to PUBLIC at first: CONNECT and TEMPORARY on databases, USAGE on the schemas pg_catalog,
//! information_schema and public, and on types and functions. All else is its owner's.

use super::image::{Image, Relation, RelationKind, Schema};
use super::store::fixed;
use crate::error::{Error, Result, SqlState};
use crate::types::Oid;

impl Image {
    /// Whether a role is a superuser.
    pub fn is_superuser(&self, role: Oid) -> bool {
        self.roles.get(&role).is_some_and(|role| role.superuser)
    }

    /// Whether `user` may do what the owner may: it is the owner, or a superuser, or owns the database of an object of
    /// pg_database_owner.
    pub fn acts_for(&self, user: Oid, owner: Oid) -> bool {
        let database_owner = || self.databases.get(&self.database).is_some_and(|database| database.owner == user);
        user == owner || self.is_superuser(user) || (owner == fixed::DATABASE_OWNER && database_owner())
    }

    /// Whether a role may look up names in a schema.
    pub fn may_use(&self, user: Oid, schema: &Schema) -> bool {
        matches!(schema.oid, fixed::PG_CATALOG | fixed::INFORMATION_SCHEMA | fixed::PUBLIC)
            || self.acts_for(user, schema.owner)
    }

    /// 42501 unless a role may look up names in a schema.
    ///
    /// # Errors
    /// 42501.
    pub fn check_use(&self, user: Oid, schema: Oid) -> Result<()> {
        match self.schemas.get(&schema) {
            Some(schema) if !self.may_use(user, schema) => Err(denied("schema", &schema.name)),
            _ => Ok(()),
        }
    }

    /// 42501 unless a role may create objects in a schema.
    ///
    /// # Errors
    /// 42501.
    pub fn check_create(&self, user: Oid, schema: Oid) -> Result<()> {
        match self.schemas.get(&schema) {
            Some(schema) if !self.acts_for(user, schema.owner) => Err(denied("schema", &schema.name)),
            _ => Ok(()),
        }
    }

    /// 42501 unless a role may read or write a relation. What PostgreSQL lets everybody read of its catalogs, everybody may.
    ///
    /// # Errors
    /// 42501.
    pub fn check_access(&self, user: Oid, relation: &Relation) -> Result<()> {
        let system = relation.oid < Oid::FIRST_USER && super::system::is_public(relation.oid);
        if system || self.acts_for(user, relation.owner) {
            return Ok(());
        }
        Err(denied(kind_word(relation.kind), &relation.name))
    }

    /// The role of a name.
    pub fn role(&self, name: &str) -> Option<&std::sync::Arc<super::image::Role>> {
        self.roles.values().find(|role| role.name == name)
    }

    /// The database of a name.
    pub fn database_named(&self, name: &str) -> Option<&std::sync::Arc<super::image::Database>> {
        self.databases.values().find(|database| database.name == name)
    }
}

fn kind_word(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::View => "view",
        RelationKind::Sequence => "sequence",
        _ => "table",
    }
}

/// 42501 in PostgreSQL's words.
pub fn denied(what: &str, name: &str) -> Error {
    Error::new(SqlState::InsufficientPrivilege, format!("permission denied for {what} {name}"))
}
