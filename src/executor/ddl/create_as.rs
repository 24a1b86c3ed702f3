//! The table of CREATE TABLE AS and SELECT INTO. Its rows come from the session, which runs the query.

use super::DdlContext;
use crate::catalog::image::{Attribute, Body, OnCommit, Relation, RelationKind};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::ObjectName;
use crate::sql::ast::utility::OnCommitClause;
use crate::types::{Oid, Type, oid};
use lightning_storage::{LockMode, TableDef};
use std::sync::Arc;

/// A table that a query's result goes to.
#[derive(Debug)]
pub struct NewTable<'a> {
    /// Its name.
    pub name: &'a ObjectName,
    /// TEMP
    pub temporary: bool,
    /// ON COMMIT
    pub on_commit: Option<OnCommitClause>,
    /// IF NOT EXISTS
    pub if_not_exists: bool,
    /// Names and types of its columns.
    pub columns: Vec<(String, Type)>,
}

impl DdlContext<'_> {
    /// Makes the table; `None`: it is there, and IF NOT EXISTS was written.
    ///
    /// # Errors
    /// PostgreSQL's; a wait.
    pub fn create_plain_table(&mut self, new: &NewTable<'_>) -> Result<Option<Arc<Relation>>> {
        let on_commit = on_commit(new.on_commit, new.temporary)?;
        let (schema, name) = self.creation_target(new.name, new.temporary).map_err(super::without_position)?;
        if self.is_taken(schema, &name, new.if_not_exists)? {
            return Ok(None);
        }
        super::create_table::check_column_count(new.columns.len())?;
        let mut attributes: Vec<Attribute> = Vec::with_capacity(new.columns.len());
        for (i, (name, ty)) in new.columns.iter().enumerate() {
            super::create_table::check_column_name(name)?;
            if attributes.iter().any(|attribute| attribute.name == *name) {
                let message = format!("column \"{name}\" specified more than once");
                return Err(Error::new(SqlState::DuplicateColumn, message));
            }
            attributes.push(plain_attribute(i, name.clone(), *ty)?);
        }
        let temporary = self.temp_schema() == Some(schema);
        let columns = attributes.iter().map(super::create_table::storage_column).collect();
        let storage = self.with(|tx| tx.create_table(TableDef { columns, temporary }))?;
        let (oid, row_type) = (self.new_oid()?, self.new_oid()?);
        let schema_name = self.image().schemas.get(&schema).map_or_else(String::new, |s| s.name.clone());
        self.put_relation(Relation {
            oid,
            schema,
            schema_name,
            name,
            kind: RelationKind::Table,
            owner: self.user,
            row_type,
            temporary,
            attributes,
            constraints: Vec::new(),
            referenced_by: Vec::new(),
            indexes: Vec::new(),
            body: Body::Table { storage, on_commit },
            row_estimate: -1.0,
        })?;
        self.lock(oid, LockMode::AccessExclusive)?;
        self.table(oid).map(Some)
    }

    /// Whether a name that CREATE TABLE AS is to make is taken, before its query runs.
    ///
    /// # Errors
    /// 42P07 without IF NOT EXISTS; what is wrong with the name.
    pub fn is_table_taken(&mut self, new: &NewTable<'_>) -> Result<bool> {
        let (schema, name) = self.creation_target(new.name, new.temporary).map_err(super::without_position)?;
        self.is_taken(schema, &name, new.if_not_exists)
    }
}

/// ON COMMIT, which is for temporary tables only.
pub(super) fn on_commit(clause: Option<OnCommitClause>, temporary: bool) -> Result<OnCommit> {
    if clause.is_some() && !temporary {
        let message = "ON COMMIT can only be used on temporary tables";
        return Err(Error::new(SqlState::InvalidTableDefinition, message));
    }
    Ok(match clause {
        None | Some(OnCommitClause::PreserveRows) => OnCommit::PreserveRows,
        Some(OnCommitClause::DeleteRows) => OnCommit::DeleteRows,
        Some(OnCommitClause::Drop) => OnCommit::Drop,
    })
}

/// An attribute without any property, of a type that a column may have.
pub(super) fn plain_attribute(at: usize, name: String, ty: Type) -> Result<Attribute> {
    if matches!(ty.oid, oid::VOID | oid::ANY | oid::RECORD | oid::ANYELEMENT | oid::ANYARRAY | oid::TRIGGER) {
        let pseudo = crate::catalog::builtin::type_by_oid(ty.oid).map_or("unknown", |ty| ty.name);
        let message = format!("column \"{name}\" has pseudo-type {pseudo}");
        return Err(Error::new(SqlState::InvalidTableDefinition, message));
    }
    Ok(Attribute {
        number: at as i16 + 1,
        name,
        ty: if ty.oid == oid::UNKNOWN || ty.oid == Oid::NONE { Type::new(oid::TEXT) } else { ty },
        not_null: false,
        default: None,
        generated: false,
        identity: None,
        dropped: false,
        storage: at as u16,
        steering: Default::default(),
        missing: None,
    })
}
