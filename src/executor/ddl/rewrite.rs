//! Tables written anew: into a new storage object, as an INSERT … SELECT over the old one, then all indexes.
//!
//! The old object stays for older snapshots and for ROLLBACK, and goes at commit. Demands on the rows (NOT NULL, CHECK, foreign
//! keys) are looked at afterwards, since PostgreSQL words their violation otherwise than a write's.
//!
//! Storage columns of a table are those of its live attributes, then hidden ones: the values of expressions and predicates that its
//! indexes are made of.

use super::DdlContext;
use crate::catalog::image::{Attribute, Body, Image, Index, Relation};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::string::quote_identifier as quote;
use crate::types::{Oid, Text, Type, oid, physical};
use lightning_storage::{ColumnDef, ColumnNo, ColumnType, IndexDef, KeyColumn, ObjectId, OwnedValue, TableDef, Unique};
use std::collections::HashMap;
use std::sync::Arc;

/// Hidden columns of an index, with their types.
pub(super) fn hidden_columns(index: &Index) -> impl Iterator<Item = (u16, Type)> {
    let keys = index.keys.iter().filter(|key| key.expression.is_some()).map(|key| (key.storage, key.ty));
    keys.chain(index.predicate.iter().map(|(_, storage)| (*storage, Type::new(oid::BOOL))))
}

/// The storage columns of a table with these indexes; numbers that nobody uses are dropped columns.
pub(super) fn storage_columns<'i>(
    attributes: &[Attribute],
    indexes: impl Iterator<Item = &'i Index>,
) -> Vec<ColumnDef> {
    let own = attributes.iter().filter(|a| !a.dropped).map(|attribute| (attribute.storage, attribute.ty));
    let used: HashMap<u16, Type> = own.chain(indexes.flat_map(hidden_columns)).collect();
    let count = used.keys().max().map_or(0, |last| last + 1);
    let column = |no: u16| ColumnDef {
        no: ColumnNo(no),
        ty: used.get(&no).map_or(ColumnType::Bool, |ty| physical::column_type(*ty)),
        default: OwnedValue::Null,
        dropped: !used.contains_key(&no),
    };
    (0..count).map(column).collect()
}

/// An index as storage keeps it.
pub(super) fn index_def(table: ObjectId, index: &Index) -> IndexDef {
    let key = |key: &crate::catalog::image::IndexKey| KeyColumn {
        column: ColumnNo(key.storage),
        descending: key.descending,
        nulls_first: key.nulls_first,
    };
    IndexDef {
        table,
        columns: index.keys.iter().map(key).collect(),
        unique: match (index.unique, index.deferrable) {
            (false, _) => Unique::No,
            (true, false) => Unique::Immediate,
            (true, true) => Unique::Deferrable,
        },
        nulls_distinct: !index.nulls_not_distinct,
        predicate: index.predicate.as_ref().map(|(_, storage)| ColumnNo(*storage)),
    }
}

/// Rows whose entries are put into an index in one go, in key order.
const BUILD_ROWS: usize = 100_000;

impl DdlContext<'_> {
    /// Makes the storage of an index of a table and fills it.
    ///
    /// # Errors
    /// 23505; 57014.
    pub(super) fn fill_index(&mut self, relation: &Arc<Relation>, index: &Index) -> Result<ObjectId> {
        let Body::Table { storage: table, .. } = relation.body else {
            return Err(Error::unsupported("an index on this kind of relation"));
        };
        let storage = self.with(|tx| tx.create_index(index_def(table, index)))?;
        let cancel = (self.statement)(self.image().clone())?.cancel;
        let canceled = || cancel.load(std::sync::atomic::Ordering::Relaxed);
        loop {
            let built = self.with(|tx| {
                let snapshot = tx.latest_snapshot();
                tx.build_index_while(&snapshot, storage, BUILD_ROWS, &|| !canceled())
            });
            match built {
                Ok(true) => return Ok(storage),
                Ok(false) if canceled() => {
                    return Err(Error::new(SqlState::QueryCanceled, "canceling statement due to user request"));
                }
                Ok(false) => {}
                Err(error) if error.code() == SqlState::UniqueViolation => {
                    // The half-built index must not serve the query that looks for the duplicate.
                    self.with(|tx| tx.drop_object(storage))?;
                    return Err(self.duplicate(relation, index));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes a table anew as `relation` describes it, with `indexes` and no others (storage numbers are given here).
    /// `values` has the SQL of the columns that do not keep their value; those in `fresh` get their default, as does every
    /// generated column.
    pub(super) fn rewrite(
        &mut self,
        mut relation: Relation,
        mut indexes: Vec<Index>,
        values: &HashMap<i16, String>,
        fresh: &[i16],
    ) -> Result<()> {
        let Body::Table { storage: old, on_commit } = relation.body else {
            return Err(Error::internal("only tables are written anew"));
        };
        renumber(&mut relation.attributes, &mut indexes);
        let columns = storage_columns(&relation.attributes, indexes.iter());
        let def = TableDef { columns, temporary: relation.temporary };
        let storage = self.with(|tx| tx.create_table(def))?;
        relation.body = Body::Table { storage, on_commit };
        self.copy_rows(&relation, &indexes, values, fresh)?;
        let oid = relation.oid;
        self.put_relation(relation)?;
        for index in indexes {
            self.rebuild_index(oid, index)?;
        }
        self.with(|tx| tx.drop_object(old))
    }

    /// Builds an index that the catalog has already over its table's new storage.
    pub(super) fn rebuild_index(&mut self, table: Oid, mut index: Index) -> Result<()> {
        let table = self.table(table)?;
        index.storage = self.fill_index(&table, &index)?;
        let Some(entry) = self.image().relations.get(&index.oid) else { return Ok(()) };
        let mut entry = (**entry).clone();
        for (attribute, key) in entry.attributes.iter_mut().zip(&index.keys) {
            attribute.ty = key.ty;
        }
        entry.body = Body::Index(Arc::new(index));
        self.put_relation(entry)
    }

    fn copy_rows(
        &mut self,
        relation: &Relation,
        indexes: &[Index],
        values: &HashMap<i16, String>,
        fresh: &[i16],
    ) -> Result<()> {
        let from = self.table(relation.oid)?;
        let mut target = relation.clone();
        target.oid = self.new_oid()?;
        target.name = format!("pg_temp_{}", relation.oid);
        target.constraints.clear();
        target.referenced_by.clear();
        target.indexes = indexes.iter().cloned().map(Arc::new).collect();
        for attribute in &mut target.attributes {
            attribute.not_null = false;
            attribute.identity = None;
        }
        let (mut names, mut exprs) = (Vec::new(), Vec::new());
        for attribute in target.live_attributes().filter(|a| !a.generated) {
            let value = match values.get(&attribute.number) {
                Some(value) => value.clone(),
                None if fresh.contains(&attribute.number) => match &attribute.default {
                    Some(default) => default.clone(),
                    None => "NULL".to_owned(),
                },
                None => quote(&attribute.name),
            };
            names.push(quote(&attribute.name));
            exprs.push(value);
        }
        if names.is_empty() {
            // Rows without a value cannot be inserted by their columns; a generated one is computed all the same.
            return match self.first_row(&format!("SELECT 1 FROM {}", self.qualified(&from)))? {
                Some(_) => Err(Error::unsupported("writing rows without columns anew")),
                None => Ok(()),
            };
        }
        let text = format!(
            "INSERT INTO {} ({}) SELECT {} FROM {}",
            self.qualified(&target),
            names.join(", "),
            exprs.join(", "),
            self.qualified(&from)
        );
        let (oid, key) = (target.oid, (target.schema, Text::from(target.name.as_str())));
        self.image_mut(|image| {
            image.relation_names.insert(key.clone(), oid);
            image.relations.insert(oid, Arc::new(target));
        });
        let done = self.run(&text, &mut |_| Ok(()));
        self.image_mut(|image| {
            image.relation_names.remove(&key);
            image.relations.remove(&oid);
        });
        done.map(|_| ())
    }

    /// Changes what only this transaction sees, and only for now.
    fn image_mut(&mut self, change: impl FnOnce(&mut Image)) {
        let image = Arc::make_mut(&mut self.change.image);
        change(image);
        image.version += 1 << 32;
    }
}

/// Gives storage numbers from 0 on: to live attributes, then to hidden columns.
fn renumber(attributes: &mut [Attribute], indexes: &mut [Index]) {
    let mut next = 0;
    let mut take = || {
        next += 1;
        next - 1
    };
    for attribute in attributes.iter_mut() {
        attribute.storage = if attribute.dropped { 0 } else { take() };
    }
    for index in indexes {
        for key in &mut index.keys {
            if key.expression.is_some() {
                key.storage = take();
            } else if let Some(attribute) = attributes.get(key.attribute as usize - 1) {
                (key.storage, key.ty) = (attribute.storage, attribute.ty);
            }
        }
        if let Some((_, storage)) = &mut index.predicate {
            *storage = take();
        }
    }
}
