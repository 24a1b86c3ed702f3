//! DROP, TRUNCATE, and the dependencies that stand in their way.

use super::dependency::Target;
use super::{DdlContext, kind_name};
use crate::catalog::image::{Body, Constraint, ConstraintKind, Relation, RelationKind};
use crate::catalog::store::fixed;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::utility::{Drop, ObjectKind, Truncate};
use crate::sql::ast::{Ident, ObjectName};
use crate::types::Oid;
use lightning_storage::{IndexDef, LockMode};
use std::sync::Arc;

impl DdlContext<'_> {
    pub(super) fn drop_objects(&mut self, drop: &Drop) -> Result<&'static str> {
        let (kind, tag) = match drop.kind {
            ObjectKind::Table => (RelationKind::Table, "DROP TABLE"),
            ObjectKind::View => (RelationKind::View, "DROP VIEW"),
            ObjectKind::Index => (RelationKind::Index, "DROP INDEX"),
            ObjectKind::Sequence => (RelationKind::Sequence, "DROP SEQUENCE"),
            ObjectKind::Schema => return self.drop_schemas(drop),
            ObjectKind::Role => return self.drop_roles(drop),
            ObjectKind::Type | ObjectKind::Domain => return self.drop_types(drop),
            other => return Err(Error::unsupported(format!("DROP {}", format!("{other:?}").to_uppercase()))),
        };
        let mut targets = Vec::new();
        for name in &drop.names {
            let Some(relation) = self.find(name) else {
                self.missing(kind, name, drop.if_exists)?;
                continue;
            };
            self.check_drop(&relation, kind)?;
            let target = Target::Relation(relation.oid);
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        self.drop_all(targets, drop.cascade, false)?;
        Ok(tag)
    }

    /// A relation to be dropped is not there: an error, or a notice under IF EXISTS.
    fn missing(&mut self, kind: RelationKind, name: &ObjectName, if_exists: bool) -> Result<()> {
        if let Some(schema) = name.schema().filter(|schema| !self.image().schema_names.contains_key(*schema)) {
            let message = format!("schema \"{schema}\" does not exist");
            if if_exists {
                self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
                return Ok(());
            }
            return Err(Error::new(SqlState::InvalidSchemaName, message));
        }
        let message = format!("{} \"{}\" does not exist", kind_name(kind), name.name());
        if if_exists {
            self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
            return Ok(());
        }
        let code = if kind == RelationKind::Index { SqlState::UndefinedObject } else { SqlState::UndefinedTable };
        Err(Error::new(code, message))
    }

    /// 42809, 42501, and 2BP01 for what belongs to something else.
    fn check_drop(&self, relation: &Arc<Relation>, kind: RelationKind) -> Result<()> {
        if relation.kind != kind {
            let (article, what) = (if kind == RelationKind::Index { "an" } else { "a" }, kind_name(kind));
            let article_own = if relation.kind == RelationKind::Index { "an" } else { "a" };
            let own = kind_name(relation.kind);
            let message = format!("\"{}\" is not {article} {what}", relation.name);
            let hint = format!("Use DROP {} to remove {article_own} {own}.", own.to_uppercase());
            return Err(Error::new(SqlState::WrongObjectType, message).hint(hint));
        }
        let owns_schema =
            self.image().schemas.get(&relation.schema).is_some_and(|s| self.image().acts_for(self.user, s.owner));
        if !owns_schema || relation.oid < Oid::FIRST_USER {
            self.check_owner(relation)?;
        }
        if let Some((table, constraint)) = self.constraint_of_index(relation) {
            let table = self.visible_name(&table);
            let name = self.visible_name(relation);
            let message =
                format!("cannot drop index {name} because constraint {} on table {table} requires it", constraint.name);
            let hint = format!("You can drop constraint {} on table {table} instead.", constraint.name);
            return Err(Error::new(SqlState::DependentObjectsStillExist, message).hint(hint));
        }
        if let Body::Sequence(sequence) = &relation.body
            && sequence.identity
            && let Some((table, number)) = sequence.owned_by
        {
            let table = self.table(table)?;
            let column =
                format!("column {} of table {}", table.attributes[number as usize - 1].name, self.visible_name(&table));
            let message = format!("cannot drop sequence {} because {column} requires it", self.visible_name(relation));
            let hint = format!("You can drop {column} instead.");
            return Err(Error::new(SqlState::DependentObjectsStillExist, message).hint(hint));
        }
        Ok(())
    }

    fn drop_schemas(&mut self, drop: &Drop) -> Result<&'static str> {
        let mut targets = Vec::new();
        for name in &drop.names {
            let Some(oid) = self.image().schema_names.get(name.name()).copied() else {
                let message = format!("schema \"{}\" does not exist", name.name());
                if drop.if_exists {
                    self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
                    continue;
                }
                return Err(Error::new(SqlState::InvalidSchemaName, message));
            };
            if !self.image().schemas.get(&oid).is_some_and(|s| self.image().acts_for(self.user, s.owner)) {
                return Err(super::not_owner("schema", name.name()));
            }
            if oid == fixed::PG_CATALOG || oid == fixed::INFORMATION_SCHEMA {
                let message =
                    format!("cannot drop schema {} because it is required by the database system", name.name());
                return Err(Error::new(SqlState::DependentObjectsStillExist, message));
            }
            if !targets.contains(&Target::Schema(oid)) {
                targets.push(Target::Schema(oid));
            }
        }
        self.drop_all(targets, drop.cascade, false)?;
        Ok("DROP SCHEMA")
    }

    pub(super) fn drop_constraint(&mut self, table: Oid, name: &Ident, if_exists: bool, cascade: bool) -> Result<()> {
        let relation = self.table(table)?;
        let Some(constraint) = relation.constraints.iter().find(|c| c.name == name.name).cloned() else {
            let message = format!("constraint \"{}\" of relation \"{}\" does not exist", name.name, relation.name);
            if if_exists {
                self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
                return Ok(());
            }
            return Err(Error::new(SqlState::UndefinedObject, message));
        };
        self.drop_all(vec![Target::Constraint(table, constraint.oid)], cascade, false)
    }

    pub(super) fn truncate(&mut self, truncate: &Truncate) -> Result<&'static str> {
        let mut targets: Vec<Arc<Relation>> = Vec::new();
        for name in &truncate.names {
            let relation = self.find_required(name)?;
            super::check_kind(&relation, RelationKind::Table)?;
            self.check_truncate(&relation)?;
            self.check_pending(&relation)?;
            if !targets.iter().any(|target| target.oid == relation.oid) {
                targets.push(relation);
            }
        }
        let mut at = 0;
        while let Some(target) = targets.get(at).cloned() {
            at += 1;
            self.lock(target.oid, LockMode::AccessExclusive)?;
            for constraint in &target.referenced_by {
                if targets.iter().any(|other| other.oid == constraint.table) {
                    continue;
                }
                let other = self.table(constraint.table)?;
                // Without CASCADE it may still be named further on, but then it is among the targets already.
                if !truncate.cascade {
                    return Err(referenced(&other, &target));
                }
                self.check_truncate(&other)?;
                let message = format!("truncate cascades to table \"{}\"", other.name);
                self.notice(SqlState::SuccessfulCompletion, message);
                self.check_pending(&other)?;
                targets.push(other);
            }
        }
        for target in targets {
            self.replace_storage(&target)?;
            if truncate.restart_identity {
                self.restart_sequences(target.oid)?;
            }
        }
        Ok("TRUNCATE TABLE")
    }

    /// 42501 unless the user may empty a table.
    fn check_truncate(&self, relation: &Relation) -> Result<()> {
        self.image().check_access(self.user, relation)?;
        self.check_owner(relation)
    }

    /// 55006 while checks of a table's rows wait for COMMIT.
    fn check_pending(&self, relation: &Relation) -> Result<()> {
        let statement = (self.statement)(self.image().clone())?;
        if statement.constraints.lock().is_pending_on(relation) {
            let message = format!("cannot TRUNCATE \"{}\" because it has pending trigger events", relation.name);
            return Err(Error::new(SqlState::ObjectInUse, message));
        }
        Ok(())
    }

    /// A new, empty storage object for a table and its indexes; the old ones go when no snapshot needs them.
    fn replace_storage(&mut self, relation: &Arc<Relation>) -> Result<()> {
        let Body::Table { storage: old, on_commit } = relation.body else { return Ok(()) };
        let storage = self.with(|tx| {
            let def = tx.table_def(old)?;
            tx.create_table(def)
        })?;
        let mut changed = (**relation).clone();
        changed.body = Body::Table { storage, on_commit };
        self.put_relation(changed)?;
        for index in &relation.indexes {
            let new = self.with(|tx| {
                let new = tx.create_index(IndexDef { table: storage, ..tx.index_def(index.storage)? })?;
                let snapshot = tx.snapshot();
                while !tx.build_index(&snapshot, new, 10_000)? {}
                tx.drop_object(index.storage)?;
                Ok(new)
            })?;
            let mut entry = (*self.table(index.oid)?).clone();
            entry.body = Body::Index(Arc::new(crate::catalog::image::Index { storage: new, ..(**index).clone() }));
            self.put_relation(entry)?;
        }
        self.with(|tx| tx.drop_object(old))
    }

    /// RESTART IDENTITY: the sequences that the table's columns own begin again, unless the transaction is rolled back.
    fn restart_sequences(&mut self, table: Oid) -> Result<()> {
        let owned: Vec<(Oid, i64)> = self
            .image()
            .relations
            .values()
            .filter_map(|r| match &r.body {
                Body::Sequence(s) if s.owned_by.is_some_and(|(owner, _)| owner == table) => Some((r.oid, s.start)),
                _ => None,
            })
            .collect();
        owned.into_iter().try_for_each(|(sequence, start)| self.restart_sequence(sequence, start, false))
    }
}

fn referenced(other: &Relation, target: &Relation) -> Error {
    let message = "cannot truncate a table referenced in a foreign key constraint";
    let detail = format!("Table \"{}\" references \"{}\".", other.name, target.name);
    let hint = format!("Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.", other.name);
    Error::new(SqlState::FeatureNotSupported, message).detail(detail).hint(hint)
}

pub(super) fn constraint_index(constraint: &Constraint) -> Option<Oid> {
    match constraint.kind {
        ConstraintKind::PrimaryKey { index, .. } | ConstraintKind::Unique { index, .. } => Some(index),
        _ => None,
    }
}
