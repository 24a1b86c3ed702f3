//! DDL: statements that change the catalog, inside the transaction like any other write.
//!
//! Everything here is synchronous and may be called again from the start: when a storage call has to wait, the session rolls
//! back to where the statement began, waits, and runs it anew.

mod create_table;
mod drop;
mod index;
mod misc;

use crate::catalog::image::{Image, Relation, RelationKind};
use crate::catalog::store::{Catalog, Change};
use crate::error::{Error, Report, Result, SqlState};
use crate::executor::SharedTransaction;
use crate::sql::ast::ObjectName;
use crate::sql::ast::utility::Utility;
use crate::sql::bind::{BindContext, Binder};
use crate::types::{Oid, Type};
use lightning_storage::{LockMode, LockScope, LockTag, Transaction, WaitPolicy};
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

/// What a DDL statement works with.
pub struct DdlContext<'a> {
    /// The transaction.
    pub transaction: &'a SharedTransaction,
    /// The catalog that all sessions share.
    pub catalog: &'a Catalog,
    /// The catalog as this transaction sees it, changed as the statement goes.
    pub change: &'a mut Change,
    /// Names and settings for binding.
    pub bind: BindContext<'a>,
    /// Whose objects they become.
    pub user: Oid,
    /// What the client is told besides.
    pub notices: Vec<Report>,
}

/// Executes a statement; gives its command tag, `None` when it is no DDL that this server has.
///
/// # Errors
/// PostgreSQL's; a wait (see the module).
pub fn execute(ctx: &mut DdlContext<'_>, utility: &Utility) -> Result<Option<&'static str>> {
    Ok(Some(match utility {
        Utility::CreateTable(create) => ctx.create_table(create)?,
        Utility::CreateIndex(create) => ctx.create_index(create)?,
        Utility::CreateSchema(create) => ctx.create_schema(create)?,
        Utility::CreateSequence(create) => ctx.create_sequence(create)?,
        Utility::CreateView(create) => ctx.create_view(create)?,
        Utility::AlterTable(alter) => ctx.alter_table(alter)?,
        Utility::Drop(drop) => ctx.drop_objects(drop)?,
        Utility::Truncate(truncate) => ctx.truncate(truncate)?,
        _ => return Ok(None),
    }))
}

impl<'a> DdlContext<'a> {
    fn with<T>(&self, call: impl FnOnce(&mut Transaction) -> lightning_storage::Result<T>) -> Result<T> {
        match self.transaction.lock().as_mut() {
            Some(transaction) => Ok(call(transaction)?),
            None => Err(Error::internal("DDL runs outside of a transaction")),
        }
    }

    fn image(&self) -> &Arc<Image> {
        &self.change.image
    }

    fn new_oid(&self) -> Result<Oid> {
        self.with(Transaction::allocate_oid).map(Oid)
    }

    fn put_relation(&mut self, relation: Relation) -> Result<()> {
        let before = self.image().relations.get(&relation.oid);
        if before.is_none_or(|before| (before.schema, &before.name) != (relation.schema, &relation.name)) {
            self.claim("relation", relation.schema, &relation.name)?;
        }
        let mut transaction = self.transaction.lock();
        let transaction = transaction.as_mut().ok_or_else(|| Error::internal("DDL runs outside of a transaction"))?;
        self.change.put_relation(transaction, relation)
    }

    fn remove_relation(&mut self, oid: Oid) -> Result<()> {
        let mut transaction = self.transaction.lock();
        let transaction = transaction.as_mut().ok_or_else(|| Error::internal("DDL runs outside of a transaction"))?;
        self.change.remove_relation(transaction, oid)
    }

    fn lock(&self, relation: Oid, mode: LockMode) -> Result<()> {
        self.lock_tag(LockTag::Table(relation.0), mode)
    }

    /// Makes a name this transaction's to give: who gives the same one meanwhile waits for its end. `kind` parts the names of
    /// relations, schemas, roles …; `parent` is the schema that the name is in, if any.
    fn claim(&self, kind: &str, parent: Oid, name: &str) -> Result<()> {
        let mut hasher = std::hash::DefaultHasher::new();
        (self.image().database.0, kind, parent.0, name).hash(&mut hasher);
        self.lock_tag(LockTag::Name(hasher.finish()), LockMode::Exclusive)
    }

    /// Takes a lock; when somebody has committed DDL since this statement began, the statement begins anew, so that what it
    /// decides under the lock is decided on the newest catalog.
    fn lock_tag(&self, tag: LockTag, mode: LockMode) -> Result<()> {
        self.with(|tx| tx.lock(tag, mode, WaitPolicy::Wait, LockScope::Transaction))?;
        if self.catalog.has_moved(self.change)? {
            let again = lightning_storage::Waiter::new();
            again.notify();
            return Err(Error::wait(again));
        }
        Ok(())
    }

    fn notice(&mut self, code: SqlState, message: String) {
        self.notices.push(Report { code, message, ..Report::default() });
    }

    /// A binder over the catalog as changed so far.
    fn binder<T>(&self, bind: impl FnOnce(Binder<'_>) -> Result<T>) -> Result<T> {
        let ctx = BindContext {
            image: self.change.image.clone(),
            search_path: self.bind.search_path.clone(),
            temp_schema: self.bind.temp_schema,
            user: self.bind.user,
            declared_params: Vec::new(),
            call: self.bind.call,
        };
        bind(Binder::new(&ctx, ""))
    }

    fn bind_type(&self, name: &crate::sql::ast::TypeName) -> Result<Type> {
        self.binder(|mut binder| binder.bind_type(name))
    }

    /// The schema that a new object goes to, and its name.
    fn creation_target(&self, name: &ObjectName) -> Result<(Oid, String)> {
        let schema = match name.schema() {
            Some(schema) => match self.image().schema_names.get(schema) {
                Some(oid) => *oid,
                None => {
                    let message = format!("schema \"{schema}\" does not exist");
                    return Err(Error::new(SqlState::InvalidSchemaName, message).at(name.pos));
                }
            },
            None => {
                let mut path = self.bind.search_path.iter().filter(|oid| **oid >= Oid(2200) && **oid != Oid(13_214));
                match path.next() {
                    Some(oid) => *oid,
                    None => {
                        let message = "no schema has been selected to create in";
                        return Err(Error::new(SqlState::InvalidSchemaName, message).at(name.pos));
                    }
                }
            }
        };
        if schema == crate::catalog::store::fixed::PG_CATALOG {
            let message = format!("permission denied to create \"pg_catalog.{}\"", name.name());
            let detail = "System catalog modifications are currently disallowed.";
            return Err(Error::new(SqlState::InsufficientPrivilege, message).detail(detail));
        }
        Ok((schema, name.name().to_owned()))
    }

    /// 42P07, or a notice and `true` under IF NOT EXISTS, when the name is taken.
    fn is_taken(&mut self, schema: Oid, name: &str, if_not_exists: bool) -> Result<bool> {
        if self.image().relation(schema, name).is_none() {
            return Ok(false);
        }
        let message = format!("relation \"{name}\" already exists");
        if if_not_exists {
            self.notice(SqlState::DuplicateTable, format!("{message}, skipping"));
            return Ok(true);
        }
        Err(Error::new(SqlState::DuplicateTable, message))
    }

    /// The relation that a name stands for, if any.
    fn find(&self, name: &ObjectName) -> Option<Arc<Relation>> {
        let image = self.image();
        match name.schema() {
            Some(schema) => image.relation(*image.schema_names.get(schema)?, name.name()).cloned(),
            None => self.bind.search_path.iter().find_map(|schema| image.relation(*schema, name.name())).cloned(),
        }
    }

    /// A relation that must exist, be of the kind and belong to the user.
    fn owned(&self, name: &ObjectName, kind: RelationKind) -> Result<Arc<Relation>> {
        let Some(relation) = self.find(name) else {
            let message = format!("relation \"{}\" does not exist", name.display());
            return Err(Error::new(SqlState::UndefinedTable, message));
        };
        if relation.kind != kind {
            let what = kind_name(kind);
            let article = if kind == RelationKind::Index { "an" } else { "a" };
            let message = format!("\"{}\" is not {article} {what}", relation.name);
            return Err(Error::new(SqlState::WrongObjectType, message));
        }
        self.check_owner(&relation)?;
        Ok(relation)
    }

    fn check_owner(&self, relation: &Relation) -> Result<()> {
        let superuser = self.image().roles.get(&self.user).is_some_and(|role| role.superuser);
        if relation.oid < Oid::FIRST_USER {
            let message = format!("permission denied: \"{}\" is a system catalog", relation.name);
            return Err(Error::new(SqlState::InsufficientPrivilege, message));
        }
        if superuser || relation.owner == self.user {
            return Ok(());
        }
        let message = format!("must be owner of {} {}", kind_name(relation.kind), relation.name);
        Err(Error::new(SqlState::InsufficientPrivilege, message))
    }
}

fn kind_name(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Table => "table",
        RelationKind::Index => "index",
        RelationKind::Sequence => "sequence",
        RelationKind::View => "view",
    }
}
