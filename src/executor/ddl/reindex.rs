//! Indexes that are there already: REINDEX, and constraints made of them (ADD CONSTRAINT … USING INDEX).

use super::{DdlContext, RelationKind};
use crate::catalog::image::{Body, ConstraintKind, Index, Relation};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::utility::ObjectKind;
use crate::sql::ast::{Ident, ObjectName};
use crate::types::Oid;
use lightning_storage::LockMode;
use std::sync::Arc;

impl DdlContext<'_> {
    /// REINDEX: builds indexes anew from their tables' rows. Readers wait, since the old storage goes at commit.
    pub(super) fn reindex(&mut self, kind: ObjectKind, name: &ObjectName) -> Result<&'static str> {
        match kind {
            ObjectKind::Index => {
                let relation = self.owned(name, RelationKind::Index)?;
                let Body::Index(index) = &relation.body else {
                    return Err(Error::internal("an index without a description"));
                };
                self.lock(index.table, LockMode::AccessExclusive)?;
                self.reindex_one(index)?;
            }
            ObjectKind::Table => {
                let relation = self.find_required(name)?;
                if relation.kind != RelationKind::Table {
                    let message = format!("\"{}\" is not a table or materialized view", relation.name);
                    return Err(Error::new(SqlState::WrongObjectType, message));
                }
                self.check_owner(&relation)?;
                if !self.reindex_table(&relation)? {
                    let message = format!("table \"{}\" has no indexes to reindex", relation.name);
                    self.notice(SqlState::SuccessfulCompletion, message);
                }
            }
            ObjectKind::Schema => {
                let Some(schema) = self.image().schema_names.get(name.name()).copied() else {
                    let message = format!("schema \"{}\" does not exist", name.name());
                    return Err(Error::new(SqlState::InvalidSchemaName, message));
                };
                if !self.image().acts_for(self.user, self.image().schemas[&schema].owner) {
                    return Err(super::not_owner("schema", name.name()));
                }
                self.reindex_all(|table| table.schema == schema)?;
            }
            _ => {
                let database = self.image().databases.get(&self.image().database).cloned();
                let Some(database) = database.filter(|database| database.name == name.name()) else {
                    let message = "can only reindex the currently open database";
                    return Err(Error::new(SqlState::FeatureNotSupported, message));
                };
                if !self.image().acts_for(self.user, database.owner) {
                    return Err(super::not_owner("database", name.name()));
                }
                self.reindex_all(|_| true)?;
            }
        }
        Ok("REINDEX")
    }

    fn reindex_all(&mut self, chosen: impl Fn(&Relation) -> bool) -> Result<()> {
        let temporary = self.temp_schema();
        let own = |table: &&Arc<Relation>| {
            matches!(table.body, Body::Table { .. }) && (!table.temporary || Some(table.schema) == temporary)
        };
        let mut tables: Vec<Oid> =
            self.image().relations.values().filter(own).filter(|table| chosen(table)).map(|table| table.oid).collect();
        tables.sort();
        for table in tables {
            let table = self.table(table)?;
            self.reindex_table(&table)?;
        }
        Ok(())
    }

    /// Builds a table's indexes anew; `false`: it has none.
    fn reindex_table(&mut self, table: &Arc<Relation>) -> Result<bool> {
        self.lock(table.oid, LockMode::AccessExclusive)?;
        table.indexes.iter().try_for_each(|index| self.reindex_one(index))?;
        Ok(!table.indexes.is_empty())
    }

    fn reindex_one(&mut self, index: &Arc<Index>) -> Result<()> {
        self.with(|tx| tx.drop_object(index.storage))?;
        self.rebuild_index(index.table, (**index).clone())
    }

    /// ADD CONSTRAINT … USING INDEX: the kind of the constraint, whose name the index gets.
    pub(super) fn constraint_using(
        &mut self,
        table: Oid,
        (primary, name): (bool, &Ident),
        constraint: Option<&str>,
        deferrable: bool,
    ) -> Result<(ConstraintKind, String)> {
        let relation = self.table(table)?;
        let entry = self.image().relation(relation.schema, &name.name).cloned();
        let Some(entry) = entry.filter(|entry| entry.kind == RelationKind::Index) else {
            return Err(Error::new(SqlState::UndefinedObject, format!("index \"{}\" does not exist", name.name)));
        };
        let Body::Index(index) = &entry.body else { return Err(Error::internal("an index without a description")) };
        self.check_usable(&relation, &entry, index)?;
        if primary && relation.constraints.iter().any(|c| matches!(c.kind, ConstraintKind::PrimaryKey { .. })) {
            let message = format!("multiple primary keys for table \"{}\" are not allowed", relation.name);
            return Err(Error::new(SqlState::InvalidTableDefinition, message));
        }
        let columns: Vec<i16> = index.keys.iter().map(|key| key.attribute).collect();
        let given = constraint.unwrap_or(&name.name).to_owned();
        if given != name.name {
            let message =
                format!("ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"{}\" to \"{given}\"", name.name);
            self.notice(SqlState::SuccessfulCompletion, message);
        }
        if primary {
            columns.iter().try_for_each(|column| self.require_not_null(table, *column, true))?;
        }
        if given != name.name {
            self.rename_relation(&entry, &given)?;
        }
        let mut changed = Index { primary, deferrable, name: given.clone(), ..(**index).clone() };
        let deferred = deferrable != index.deferrable;
        if deferred {
            // Storage judges its entries at another time.
            self.with(|tx| tx.drop_object(index.storage))?;
            self.rebuild_index(table, changed)?;
        } else {
            let mut entry = (*self.table(entry.oid)?).clone();
            changed.storage = index.storage;
            entry.body = Body::Index(Arc::new(changed));
            self.put_relation(entry)?;
        }
        let index = entry.oid;
        let kind = match primary {
            true => ConstraintKind::PrimaryKey { columns, index },
            false => ConstraintKind::Unique { columns, index },
        };
        Ok((kind, given))
    }

    /// Whether an index can be behind a primary key or unique constraint of a table.
    fn check_usable(&self, relation: &Relation, entry: &Relation, index: &Index) -> Result<()> {
        let name = &entry.name;
        if self.constraint_of_index(entry).is_some() {
            let message = format!("index \"{name}\" is already associated with a constraint");
            return Err(Error::new(SqlState::ObjectNotInPrerequisiteState, message));
        }
        if index.table != relation.oid {
            let message = format!("index \"{name}\" does not belong to table \"{}\"", relation.name);
            return Err(Error::new(SqlState::ObjectNotInPrerequisiteState, message));
        }
        let unsorted = index.keys.iter().position(|key| key.descending || key.nulls_first);
        let message = if !index.unique {
            format!("\"{name}\" is not a unique index")
        } else if index.keys.iter().any(|key| key.expression.is_some()) {
            format!("index \"{name}\" contains expressions")
        } else if index.predicate.is_some() {
            format!("\"{name}\" is a partial index")
        } else if let Some(at) = unsorted {
            format!("index \"{name}\" column number {} does not have default sorting behavior", at + 1)
        } else {
            return Ok(());
        };
        let detail = "Cannot create a primary key or unique constraint using such an index.";
        Err(Error::new(SqlState::WrongObjectType, message).detail(detail))
    }
}
