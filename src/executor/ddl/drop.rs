//! DROP, TRUNCATE, and the dependencies that stand in their way.

use super::{DdlContext, kind_name};
use crate::catalog::image::{Body, Constraint, ConstraintKind, Relation, RelationKind};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::Ident;
use crate::sql::ast::utility::{Drop, ObjectKind, Truncate};
use crate::types::Oid;
use lightning_storage::{IndexDef, KeyColumn, LockMode, TableDef};
use std::sync::Arc;

impl DdlContext<'_> {
    pub(super) fn drop_objects(&mut self, drop: &Drop) -> Result<&'static str> {
        let (kind, tag) = match drop.kind {
            ObjectKind::Table => (RelationKind::Table, "DROP TABLE"),
            ObjectKind::View => (RelationKind::View, "DROP VIEW"),
            ObjectKind::Index => (RelationKind::Index, "DROP INDEX"),
            ObjectKind::Sequence => (RelationKind::Sequence, "DROP SEQUENCE"),
            ObjectKind::Schema => return self.drop_schemas(drop),
            _ => return Err(Error::unsupported("DROP of this kind of object")),
        };
        let mut targets: Vec<Arc<Relation>> = Vec::new();
        for name in &drop.names {
            if self.find(name).is_none() {
                let message = format!("{} \"{}\" does not exist", kind_name(kind), name.display());
                if drop.if_exists {
                    self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
                    continue;
                }
                return Err(Error::new(SqlState::UndefinedTable, message));
            }
            targets.push(self.owned(name, kind)?);
        }
        let dropped: Vec<Oid> = targets.iter().map(|target| target.oid).collect();
        for target in targets {
            self.drop_relation(&target, &dropped, drop.cascade)?;
        }
        Ok(tag)
    }

    fn drop_schemas(&mut self, drop: &Drop) -> Result<&'static str> {
        for name in &drop.names {
            let Some(oid) = self.image().schema_names.get(name.name()).copied() else {
                let message = format!("schema \"{}\" does not exist", name.name());
                if drop.if_exists {
                    self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
                    continue;
                }
                return Err(Error::new(SqlState::InvalidSchemaName, message));
            };
            let mut inside: Vec<Arc<Relation>> =
                self.image().relations.values().filter(|relation| relation.schema == oid).cloned().collect();
            inside.sort_by_key(|relation| relation.oid);
            if oid < Oid(2200) || inside.iter().any(|relation| relation.oid < Oid::FIRST_USER) {
                let message =
                    format!("cannot drop schema {} because it is required by the database system", name.name());
                return Err(Error::new(SqlState::DependentObjectsStillExist, message));
            }
            if !inside.is_empty() && !drop.cascade {
                let lines: Vec<String> = inside
                    .iter()
                    .filter(|relation| relation.kind != RelationKind::Index)
                    .map(|r| {
                        format!("{} {}.{} depends on schema {}", kind_name(r.kind), name.name(), r.name, name.name())
                    })
                    .collect();
                let message = format!("cannot drop schema {} because other objects depend on it", name.name());
                return Err(Error::new(SqlState::DependentObjectsStillExist, message)
                    .detail(lines.join("\n"))
                    .hint("Use DROP ... CASCADE to drop the dependent objects too."));
            }
            let dropped: Vec<Oid> = inside.iter().map(|relation| relation.oid).collect();
            for relation in inside {
                if self.image().relations.contains_key(&relation.oid) && relation.kind != RelationKind::Index {
                    self.drop_relation(&relation, &dropped, true)?;
                }
            }
            let mut transaction = self.transaction.lock();
            let transaction =
                transaction.as_mut().ok_or_else(|| Error::internal("DDL runs outside of a transaction"))?;
            self.change.remove_schema(transaction, oid)?;
        }
        Ok("DROP SCHEMA")
    }

    /// Drops a relation and what belongs to it; `dropped` are the others that this statement drops.
    fn drop_relation(&mut self, relation: &Arc<Relation>, dropped: &[Oid], cascade: bool) -> Result<()> {
        self.lock(relation.oid, LockMode::AccessExclusive)?;
        if let Body::Index(index) = &relation.body {
            let table = self.table(index.table)?;
            let owner = table.constraints.iter().find(|c| constraint_index(c) == Some(index.oid));
            if let Some(constraint) = owner {
                let message = format!(
                    "cannot drop index {} because constraint {} on table {} requires it",
                    relation.name, constraint.name, table.name
                );
                let hint = format!("You can drop constraint {} on table {} instead.", constraint.name, table.name);
                return Err(Error::new(SqlState::DependentObjectsStillExist, message).hint(hint));
            }
            self.lock(index.table, LockMode::AccessExclusive)?;
        }
        let referring: Vec<Arc<Constraint>> = relation
            .referenced_by
            .iter()
            .filter(|c| c.table != relation.oid && !dropped.contains(&c.table))
            .cloned()
            .collect();
        if !referring.is_empty() && !cascade {
            let line = |c: &Arc<Constraint>| {
                let table = self.image().relations.get(&c.table).map_or("", |table| table.name.as_str());
                format!(
                    "constraint {} on table {table} depends on {} {}",
                    c.name,
                    kind_name(relation.kind),
                    relation.name
                )
            };
            let lines: Vec<String> = referring.iter().map(line).collect();
            let message = format!(
                "cannot drop {} {} because other objects depend on it",
                kind_name(relation.kind),
                relation.name
            );
            return Err(Error::new(SqlState::DependentObjectsStillExist, message)
                .detail(lines.join("\n"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        for constraint in referring {
            let table = self.table(constraint.table)?;
            self.notice(
                SqlState::SuccessfulCompletion,
                format!("drop cascades to constraint {} on table {}", constraint.name, table.name),
            );
            self.remove_constraint(constraint.table, constraint.oid)?;
        }
        for index in &relation.indexes {
            self.with(|tx| tx.drop_object(index.storage))?;
            self.remove_relation(index.oid)?;
        }
        let owned: Vec<Oid> = self
            .image()
            .relations
            .values()
            .filter(
                |r| matches!(&r.body, Body::Sequence(s) if s.owned_by.is_some_and(|(table, _)| table == relation.oid)),
            )
            .map(|r| r.oid)
            .collect();
        for sequence in owned {
            let sequence = self.table(sequence)?;
            self.drop_relation(&sequence, dropped, true)?;
        }
        let storage = match &relation.body {
            Body::Table { storage, .. } => Some(*storage),
            Body::Index(index) => Some(index.storage),
            Body::Sequence(sequence) => Some(sequence.storage),
            Body::View { .. } | Body::System(_) => None,
        };
        if let Some(storage) = storage {
            self.with(|tx| tx.drop_object(storage))?;
        }
        self.remove_relation(relation.oid)
    }

    fn remove_constraint(&mut self, table: Oid, constraint: Oid) -> Result<()> {
        let mut changed = (*self.table(table)?).clone();
        changed.constraints.retain(|c| c.oid != constraint);
        self.put_relation(changed)
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
        let index = constraint_index(&constraint);
        let uses = |c: &&Arc<Constraint>| matches!(c.kind, ConstraintKind::ForeignKey { index: used, .. } if Some(used) == index);
        let referring: Vec<Arc<Constraint>> = relation.referenced_by.iter().filter(uses).cloned().collect();
        if !referring.is_empty() && !cascade {
            let message = format!(
                "cannot drop constraint {} on table {} because other objects depend on it",
                constraint.name, relation.name
            );
            return Err(Error::new(SqlState::DependentObjectsStillExist, message)
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        for other in referring {
            self.remove_constraint(other.table, other.oid)?;
        }
        self.remove_constraint(table, constraint.oid)?;
        if let Some(index) = index {
            let index = self.table(index)?;
            self.drop_relation(&index, &[], false)?;
        }
        Ok(())
    }

    pub(super) fn truncate(&mut self, truncate: &Truncate) -> Result<&'static str> {
        if truncate.cascade {
            return Err(Error::unsupported("TRUNCATE CASCADE"));
        }
        let mut targets = Vec::new();
        for name in &truncate.names {
            targets.push(self.owned(name, RelationKind::Table)?);
        }
        let oids: Vec<Oid> = targets.iter().map(|target| target.oid).collect();
        for target in &targets {
            self.lock(target.oid, LockMode::AccessExclusive)?;
            if let Some(constraint) = target.referenced_by.iter().find(|c| !oids.contains(&c.table)) {
                let other = self.table(constraint.table)?;
                let message = "cannot truncate a table referenced in a foreign key constraint";
                let detail = format!("Table \"{}\" references \"{}\".", other.name, target.name);
                let hint = format!("Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.", other.name);
                return Err(Error::new(SqlState::FeatureNotSupported, message).detail(detail).hint(hint));
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

    /// A new, empty storage object for a table and its indexes; the old ones go when no snapshot needs them.
    fn replace_storage(&mut self, relation: &Arc<Relation>) -> Result<()> {
        let Body::Table { storage: old, on_commit } = relation.body else { return Ok(()) };
        let column = |attribute: &crate::catalog::image::Attribute| lightning_storage::ColumnDef {
            no: lightning_storage::ColumnNo(attribute.storage),
            ty: crate::types::physical::column_type(attribute.ty),
            default: lightning_storage::OwnedValue::Null,
            dropped: attribute.dropped,
        };
        let columns = relation.attributes.iter().map(column).collect();
        let storage = self.with(|tx| tx.create_table(TableDef { columns, temporary: false }))?;
        let mut changed = (**relation).clone();
        changed.body = Body::Table { storage, on_commit };
        self.put_relation(changed)?;
        for index in &relation.indexes {
            let key = |key: &crate::catalog::image::IndexKey| KeyColumn {
                column: lightning_storage::ColumnNo(key.storage),
                descending: key.descending,
                nulls_first: key.nulls_first,
            };
            let def = IndexDef {
                table: storage,
                columns: index.keys.iter().map(key).collect(),
                unique: match (index.unique, index.deferrable) {
                    (false, _) => lightning_storage::Unique::No,
                    (true, false) => lightning_storage::Unique::Immediate,
                    (true, true) => lightning_storage::Unique::Deferrable,
                },
                nulls_distinct: !index.nulls_not_distinct,
                predicate: None,
            };
            let new = self.with(|tx| {
                let new = tx.create_index(def)?;
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

    fn restart_sequences(&mut self, table: Oid) -> Result<()> {
        let owned: Vec<(lightning_storage::ObjectId, i64)> = self
            .image()
            .relations
            .values()
            .filter_map(|r| match &r.body {
                Body::Sequence(s) if s.owned_by.is_some_and(|(owner, _)| owner == table) => Some((s.storage, s.start)),
                _ => None,
            })
            .collect();
        owned.into_iter().try_for_each(|(storage, start)| self.with(|tx| tx.setval(storage, start, false)))
    }
}

fn constraint_index(constraint: &Constraint) -> Option<Oid> {
    match constraint.kind {
        ConstraintKind::PrimaryKey { index, .. } | ConstraintKind::Unique { index, .. } => Some(index),
        _ => None,
    }
}
