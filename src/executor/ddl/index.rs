//! CREATE INDEX.

use super::DdlContext;
use crate::catalog::image::{Index, IndexKey, RelationKind};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::utility::CreateIndex;
use lightning_storage::{LockMode, ObjectId};

/// Key columns that an index may have.
const KEYS_MAX: usize = 32;

impl DdlContext<'_> {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> Result<&'static str> {
        const TAG: &str = "CREATE INDEX";
        if create.predicate.is_some() {
            return Err(Error::unsupported("partial indexes"));
        }
        if create.keys.iter().any(|key| key.expr.is_some()) {
            return Err(Error::unsupported("indexes on expressions"));
        }
        if let Some(method) = create.method.as_ref().filter(|method| method.name != "btree") {
            return Err(Error::unsupported(format!("index access method \"{}\"", method.name)).at(method.pos));
        }
        if create.tablespace.is_some() {
            return Err(Error::unsupported("TABLESPACE of an index"));
        }
        if let Some(option) = create.options.iter().find(|option| option.name != "fillfactor") {
            return Err(Error::unsupported(format!("index parameter \"{}\"", option.name)).at(option.pos));
        }
        let relation = self.owned(&create.table, RelationKind::Table)?;
        if create.keys.len() > KEYS_MAX {
            let message = format!("cannot use more than {KEYS_MAX} columns in an index");
            return Err(Error::new(SqlState::TooManyColumns, message));
        }
        self.lock(relation.oid, LockMode::Share)?;
        let mut keys = Vec::new();
        for key in &create.keys {
            if let Some(class) = &key.operator_class {
                return Err(Error::unsupported(format!("operator class \"{}\"", class.display())).at(class.pos));
            }
            let Some(column) = &key.column else { continue };
            let Some(attribute) = relation.attribute(&column.name) else {
                let message = format!("column \"{}\" does not exist", column.name);
                return Err(Error::new(SqlState::UndefinedColumn, message).at(column.pos));
            };
            let descending = key.descending.unwrap_or(false);
            keys.push(IndexKey {
                attribute: attribute.number,
                expression: None,
                storage: attribute.storage,
                ty: attribute.ty,
                descending,
                nulls_first: key.nulls_first.unwrap_or(descending),
            });
        }
        let mut include = Vec::new();
        for column in create.include.iter().filter_map(|key| key.column.as_ref()) {
            let Some(attribute) = relation.attribute(&column.name) else {
                let message = format!("column \"{}\" does not exist", column.name);
                return Err(Error::new(SqlState::UndefinedColumn, message).at(column.pos));
            };
            include.push(attribute.number);
        }
        let name = match &create.name {
            Some(name) => name.name.clone(),
            None => {
                let columns: Vec<&str> =
                    create.keys.iter().filter_map(|key| key.column.as_ref()).map(|c| c.name.as_str()).collect();
                self.change.choose_name(relation.schema, &relation.name, Some(&columns.join("_")), "idx")
            }
        };
        if self.is_taken(relation.schema, &name, create.if_not_exists)? {
            return Ok(TAG);
        }
        let index = Index {
            oid: self.new_oid()?,
            name,
            table: relation.oid,
            storage: ObjectId(0),
            keys,
            include,
            unique: create.unique,
            nulls_not_distinct: create.nulls_not_distinct,
            primary: false,
            deferrable: false,
            predicate: None,
        };
        self.build(&relation, index)?;
        Ok(TAG)
    }
}
