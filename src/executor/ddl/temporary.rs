//! Temporary objects: relations in a schema of the session's own, named after its backend.
//!
//! They are catalog rows like others, so that ROLLBACK and savepoints undo them; their tables' storage is not logged. They go
//! when the session ends, or when the server starts again after a crash ([`crate::catalog::store::Catalog::open`]).

use super::DdlContext;
use super::dependency::Target;
use crate::catalog::image::{Body, OnCommit, Schema};
use crate::catalog::store::{TEMPORARY_SCHEMA, fixed};
use crate::error::{Error, Result, SqlState};
use crate::types::Oid;
use lightning_storage::{Base, ObjectId, RowBuffer, RowId};

/// Rows deleted between two looks at the scan.
const BATCH: usize = 256;

impl DdlContext<'_> {
    /// The session's temporary schema, once it has one.
    pub(super) fn temp_schema(&self) -> Option<Oid> {
        let name = format!("{TEMPORARY_SCHEMA}{}", self.bind.call.host.backend_pid());
        self.image().schema_names.get(&name).copied()
    }

    /// The session's temporary schema, made when there is none yet.
    pub(super) fn make_temp_schema(&mut self) -> Result<Oid> {
        if let Some(schema) = self.temp_schema() {
            return Ok(schema);
        }
        let name = format!("{TEMPORARY_SCHEMA}{}", self.bind.call.host.backend_pid());
        let schema = Schema { oid: self.new_oid()?, name, owner: fixed::POSTGRES_ROLE };
        let oid = schema.oid;
        self.change(|change, tx| change.put_schema(tx, schema))?;
        Ok(oid)
    }

    /// DISCARD TEMP and the session's end: drops all temporary objects, with `schema` their schema too.
    ///
    /// # Errors
    /// Storage errors; a wait.
    pub fn drop_temporary(&mut self, schema: bool) -> Result<()> {
        let Some(oid) = self.temp_schema() else { return Ok(()) };
        let notices = std::mem::take(&mut self.notices);
        self.drop_all(vec![Target::Schema(oid)], true, !schema)?;
        self.notices = notices;
        Ok(())
    }

    /// ON COMMIT DROP and ON COMMIT DELETE ROWS of the session's temporary tables.
    ///
    /// # Errors
    /// 0A000 when a table that is emptied is referred to by one that is not; storage errors; a wait.
    pub fn on_commit(&mut self) -> Result<()> {
        let Some(schema) = self.temp_schema() else { return Ok(()) };
        let (mut dropped, mut emptied) = (Vec::new(), Vec::new());
        for relation in self.image().relations.values().filter(|relation| relation.schema == schema) {
            match relation.body {
                Body::Table { on_commit: OnCommit::Drop, .. } => dropped.push(Target::Relation(relation.oid)),
                Body::Table { on_commit: OnCommit::DeleteRows, storage } => emptied.push((relation.oid, storage)),
                _ => {}
            }
        }
        for (oid, storage) in &emptied {
            let table = self.table(*oid)?;
            let kept = table.referenced_by.iter().find(|key| !emptied.iter().any(|(oid, _)| *oid == key.table));
            if let Some(key) = kept {
                let other = self.table(key.table)?;
                let message = "unsupported ON COMMIT and foreign key combination";
                let detail = format!(
                    "Table \"{}\" references \"{}\", but they do not have the same ON COMMIT setting.",
                    other.name, table.name
                );
                return Err(Error::new(SqlState::FeatureNotSupported, message).detail(detail));
            }
            self.delete_all(*storage)?;
        }
        if dropped.is_empty() {
            return Ok(());
        }
        let notices = std::mem::take(&mut self.notices);
        self.drop_all(dropped, true, false)?;
        self.notices = notices;
        Ok(())
    }

    /// Deletes every row.
    fn delete_all(&self, table: ObjectId) -> Result<()> {
        self.with(|tx| {
            let snapshot = tx.snapshot();
            let mut next = Some(RowId(1));
            let mut rows = RowBuffer::new();
            while let Some(from) = next {
                rows.clear();
                next = tx.scan(&snapshot, table, from..RowId(u64::MAX), BATCH, &mut rows)?;
                for i in 0..rows.len() {
                    tx.delete(&snapshot, table, rows.row_id(i), Base::Snapshot)?;
                }
            }
            Ok(())
        })
    }

    /// 42P16 for a foreign key between a temporary table and one that is not.
    pub(super) fn check_temporary_key(&self, referring: bool, referenced: bool) -> Result<()> {
        let message = match (referring, referenced) {
            (false, true) => "constraints on permanent tables may reference only permanent tables",
            (true, false) => "constraints on temporary tables may reference only temporary tables",
            _ => return Ok(()),
        };
        Err(Error::new(SqlState::InvalidTableDefinition, message))
    }
}
