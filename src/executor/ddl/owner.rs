//! ALTER … OWNER TO, RENAME and SET SCHEMA of whatever can be renamed and owned.
//!
//! The texts that name what is renamed follow it: see `text`.

use super::schema::check_schema_name;
use super::{DdlContext, check_kind, kind_name, not_owner};
use crate::catalog::image::{Body, Relation, RelationKind, Schema};
use crate::error::{Error, Report, Result, SqlState};
use crate::sql::ast::utility::{AlterTable, AlterTableAction, ObjectKind, Rename, RoleSpec};
use crate::sql::ast::{Ident, ObjectName};
use crate::types::Oid;
use lightning_storage::LockMode;
use std::sync::Arc;

impl DdlContext<'_> {
    /// ALTER INDEX, VIEW and SEQUENCE, in the forms that they share with ALTER TABLE.
    pub(super) fn alter_relation(&mut self, alter: &AlterTable) -> Result<&'static str> {
        let (kind, tag) = match alter.kind {
            ObjectKind::View => (RelationKind::View, "ALTER VIEW"),
            ObjectKind::Sequence => (RelationKind::Sequence, "ALTER SEQUENCE"),
            ObjectKind::Index => (RelationKind::Index, "ALTER INDEX"),
            _ => return Err(Error::unsupported("ALTER of this kind of object")),
        };
        if alter.if_exists && self.find(&alter.name).is_none() {
            let message = format!("relation \"{}\" does not exist, skipping", alter.name.name());
            self.notice(SqlState::SuccessfulCompletion, message);
            return Ok(tag);
        }
        let relation = self.find_required(&alter.name)?;
        // PostgreSQL's ALTER INDEX renames tables too.
        let renames = matches!(alter.actions[..], [AlterTableAction::RenameTable { .. }]);
        if kind != RelationKind::Index || !renames {
            check_kind(&relation, kind)?;
        }
        self.check_owner(&relation)?;
        for action in &alter.actions {
            self.alter_shared(&relation, action)?;
        }
        Ok(tag)
    }

    /// An action that every kind of relation has.
    pub(super) fn alter_shared(&mut self, relation: &Arc<Relation>, action: &AlterTableAction) -> Result<()> {
        match action {
            AlterTableAction::RenameTable { to } => self.rename_relation(relation, &to.name),
            AlterTableAction::RenameColumn { from, to } if relation.kind == RelationKind::View => {
                self.rename_view_column(relation, from, to)
            }
            AlterTableAction::OwnerTo(role) => self.change_owner(relation, role),
            AlterTableAction::SetSchema(schema) => self.set_schema(relation, schema),
            AlterTableAction::Unsupported(what) => Err(Error::unsupported(what)),
            _ => Err(Error::unsupported(format!("this form of ALTER {}", kind_name(relation.kind).to_uppercase()))),
        }
    }

    /// RENAME TO of a relation.
    pub(super) fn rename_relation(&mut self, relation: &Arc<Relation>, to: &str) -> Result<()> {
        self.image().check_create(self.user, relation.schema)?;
        if self.image().relation(relation.schema, to).is_some() {
            return Err(Error::new(SqlState::DuplicateTable, format!("relation \"{to}\" already exists")));
        }
        self.lock(relation.oid, LockMode::AccessExclusive)?;
        let mut changed = (*self.table(relation.oid)?).clone();
        to.clone_into(&mut changed.name);
        if let Body::Index(index) = &mut changed.body {
            to.clone_into(&mut Arc::make_mut(index).name);
        }
        self.put_relation(changed)?;
        self.rename_constraint_of(relation, to)
    }

    /// A constraint has its index's name.
    fn rename_constraint_of(&mut self, index: &Relation, to: &str) -> Result<()> {
        let Some((table, constraint)) = self.constraint_of_index(index) else { return Ok(()) };
        let mut table = (*table).clone();
        for each in table.constraints.iter_mut().filter(|each| each.oid == constraint.oid) {
            to.clone_into(&mut Arc::make_mut(each).name);
        }
        self.put_relation(table)
    }

    fn rename_view_column(&mut self, view: &Arc<Relation>, from: &Ident, to: &Ident) -> Result<()> {
        let Some(attribute) = view.attribute(&from.name) else {
            let message = format!("column \"{}\" does not exist", from.name);
            return Err(Error::new(SqlState::UndefinedColumn, message));
        };
        if view.attribute(&to.name).is_some() {
            let message = format!("column \"{}\" of relation \"{}\" already exists", to.name, view.name);
            return Err(Error::new(SqlState::DuplicateColumn, message));
        }
        let number = attribute.number as usize - 1;
        self.lock(view.oid, LockMode::AccessExclusive)?;
        let mut changed = (**view).clone();
        changed.attributes[number].name.clone_from(&to.name);
        self.put_relation(changed)
    }

    /// SET SCHEMA: indexes and owned sequences come along.
    pub(super) fn set_schema(&mut self, relation: &Arc<Relation>, schema: &Ident) -> Result<()> {
        let name = if schema.name == "pg_temp" { self.temp_schema() } else { None };
        let target = name.or_else(|| self.image().schema_names.get(&schema.name).copied());
        if let Body::Sequence(sequence) = &relation.body
            && let Some((table, _)) = sequence.owned_by
        {
            let table = self.table(table)?;
            let detail = format!("Sequence \"{}\" is linked to table \"{}\".", relation.name, table.name);
            let message = "cannot move an owned sequence into another schema";
            return Err(Error::new(SqlState::FeatureNotSupported, message).detail(detail));
        }
        let Some(target) = target else {
            let message = format!("schema \"{}\" does not exist", schema.name);
            return Err(Error::new(SqlState::InvalidSchemaName, message));
        };
        if target == relation.schema {
            return Ok(());
        }
        let is_temporary = |oid: Oid| self.image().schemas.get(&oid).is_some_and(|s| s.name.starts_with("pg_temp"));
        if is_temporary(target) || is_temporary(relation.schema) {
            let message = "cannot move objects into or out of temporary schemas";
            return Err(Error::new(SqlState::FeatureNotSupported, message));
        }
        self.image().check_create(self.user, target)?;
        if matches!(target, crate::catalog::store::fixed::PG_CATALOG | crate::catalog::store::fixed::INFORMATION_SCHEMA)
        {
            return Err(Error::unsupported("moving a relation into a system schema"));
        }
        self.lock(relation.oid, LockMode::AccessExclusive)?;
        let mut moved = vec![relation.oid];
        moved.extend(relation.indexes.iter().map(|index| index.oid));
        moved.extend(self.owned_sequences(relation.oid));
        for oid in &moved {
            let mut changed = (*self.table(*oid)?).clone();
            if self.image().relation(target, &changed.name).is_some() {
                let message = format!("relation \"{}\" already exists in schema \"{}\"", changed.name, schema.name);
                return Err(Error::new(SqlState::DuplicateTable, message));
            }
            changed.schema = target;
            self.put_relation(changed)?;
        }
        Ok(())
    }

    fn owned_sequences(&self, table: Oid) -> Vec<Oid> {
        let owned = |relation: &&Arc<Relation>| matches!(&relation.body, Body::Sequence(s) if s.owned_by.is_some_and(|(owner, _)| owner == table));
        self.image().relations.values().filter(owned).map(|relation| relation.oid).collect()
    }

    /// OWNER TO of a relation; a table's indexes and owned sequences follow.
    pub(super) fn change_owner(&mut self, relation: &Arc<Relation>, owner: &RoleSpec) -> Result<()> {
        let owner = self.role_oid(owner)?;
        if relation.kind == RelationKind::Index {
            if owner != relation.owner {
                self.notices.push(Report {
                    code: SqlState::WrongObjectType,
                    message: format!("cannot change owner of index \"{}\"", relation.name),
                    hint: Some("Change the ownership of the index's table, instead.".to_owned()),
                    ..Report::default()
                });
            }
            return Ok(());
        }
        if owner == relation.owner {
            return Ok(());
        }
        if let Body::Sequence(sequence) = &relation.body
            && let Some((table, _)) = sequence.owned_by
        {
            let table = self.table(table)?;
            let message = format!("cannot change owner of sequence \"{}\"", relation.name);
            let detail = format!("Sequence \"{}\" is linked to table \"{}\".", relation.name, table.name);
            return Err(Error::new(SqlState::FeatureNotSupported, message).detail(detail));
        }
        self.check_new_owner(owner)?;
        // A superuser may give what the new owner could not have made.
        if !self.image().is_superuser(self.user) {
            self.image().check_create(owner, relation.schema)?;
        }
        self.lock(relation.oid, LockMode::AccessExclusive)?;
        self.give(relation.oid, owner)
    }

    /// Gives a relation and what belongs to it to a role.
    pub(super) fn give(&mut self, relation: Oid, owner: Oid) -> Result<()> {
        let mut given = vec![relation];
        given.extend(self.table(relation)?.indexes.iter().map(|index| index.oid));
        given.extend(self.owned_sequences(relation));
        for oid in given {
            let changed = Relation { owner, ..(*self.table(oid)?).clone() };
            self.put_relation(changed)?;
        }
        Ok(())
    }

    /// 42501 unless the user may make `owner` an owner.
    pub(super) fn check_new_owner(&self, owner: Oid) -> Result<()> {
        if self.user == owner || self.image().is_superuser(self.user) {
            return Ok(());
        }
        let name = self.image().roles.get(&owner).map_or("", |role| role.name.as_str());
        Err(Error::new(SqlState::InsufficientPrivilege, format!("must be member of role \"{name}\"")))
    }

    /// ALTER SCHEMA, DATABASE and ROLE … RENAME TO.
    pub(super) fn rename(&mut self, rename: &Rename) -> Result<&'static str> {
        match rename.kind {
            ObjectKind::Schema => self.rename_schema(rename.name.name(), &rename.to.name).map(|()| "ALTER SCHEMA"),
            ObjectKind::Role => self.rename_role(rename.name.name(), &rename.to.name).map(|()| "ALTER ROLE"),
            ObjectKind::Database => {
                self.rename_database(rename.name.name(), &rename.to.name).map(|()| "ALTER DATABASE")
            }
            _ => Err(Error::unsupported("RENAME of this kind of object")),
        }
    }

    fn schema_named(&self, name: &str) -> Result<Arc<Schema>> {
        let image = self.image();
        let found = image.schema_names.get(name).and_then(|oid| image.schemas.get(oid)).cloned();
        let found = found
            .ok_or_else(|| Error::new(SqlState::InvalidSchemaName, format!("schema \"{name}\" does not exist")))?;
        if !image.acts_for(self.user, found.owner) {
            return Err(not_owner("schema", name));
        }
        Ok(found)
    }

    fn rename_schema(&mut self, name: &str, to: &str) -> Result<()> {
        let schema = self.schema_named(name)?;
        self.check_database_create()?;
        if self.image().schema_names.contains_key(to) {
            return Err(Error::new(SqlState::DuplicateSchema, format!("schema \"{to}\" already exists")));
        }
        check_schema_name(to)?;
        if schema.oid < Oid(2200) || schema.oid == crate::catalog::store::fixed::INFORMATION_SCHEMA {
            return Err(Error::unsupported("renaming a system schema"));
        }
        self.claim("schema", Oid::NONE, to)?;
        let before = self.image().clone();
        let renamed = Schema { name: to.to_owned(), ..(*schema).clone() };
        self.change(|change, tx| change.put_schema(tx, renamed))?;
        self.follow_names(&before)
    }

    /// ALTER SCHEMA and DATABASE … OWNER TO.
    pub(super) fn change_named_owner(
        &mut self,
        kind: ObjectKind,
        name: &ObjectName,
        owner: &RoleSpec,
    ) -> Result<&'static str> {
        let owner = self.role_oid(owner)?;
        match kind {
            ObjectKind::Schema => {
                let schema = self.schema_named(name.name())?;
                self.check_new_owner(owner)?;
                self.check_database_create()?;
                let changed = Schema { owner, ..(*schema).clone() };
                self.change(|change, tx| change.put_schema(tx, changed))?;
                Ok("ALTER SCHEMA")
            }
            ObjectKind::Database => self.change_database_owner(name.name(), owner).map(|()| "ALTER DATABASE"),
            _ => Err(Error::unsupported("OWNER TO of this kind of object")),
        }
    }
}
