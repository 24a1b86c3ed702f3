//! DDL: statements that change the catalog, inside the transaction like any other write.
//!
//! Everything here is synchronous and may be called again from the start: when a storage call has to wait, the session rolls
//! back to where the statement began, waits, and runs it anew.

mod alter;
mod analyze;
mod comment;
mod create_as;
mod create_table;
mod database;
mod dependency;
mod domain;
mod drop;
mod expression;
mod index;
mod like;
mod owner;
mod reindex;
mod rewrite;
mod role;
mod schema;
mod sequence;
mod temporary;
mod text;
mod user_type;
mod validate;
mod view;

pub use create_as::NewTable;

use crate::catalog::image::{Image, Relation, RelationKind};
use crate::catalog::store::{Catalog, Change, TEMPORARY_SCHEMA, fixed};
use crate::error::{Error, Report, Result, SqlState};
use crate::executor::{SharedTransaction, StatementContext};
use crate::sql::ast::ObjectName;
use crate::sql::ast::utility::{ObjectKind, RoleSpec, Utility};
use crate::sql::bind::{BindContext, Binder};
use crate::types::{Oid, Type};
use lightning_storage::{LockMode, LockScope, LockTag, Transaction, WaitPolicy};
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

/// Stands for the client's text, whose places the syntax tree has: binding what the client wrote tells places.
const CLIENT_TEXT: &str = "the client's";

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
    /// Who has logged in (or SET SESSION AUTHORIZATION).
    pub session_user: Oid,
    /// Inside CREATE SCHEMA: the schema that unqualified new objects go to.
    pub creating: Option<Oid>,
    /// Gives the surroundings of statements that DDL runs itself, on the catalog as changed so far.
    pub statement: &'a dyn Fn(Arc<Image>) -> Result<StatementContext>,
    /// Counts the other sessions that are in a database.
    pub others: &'a (dyn Fn(Oid) -> usize + Send + Sync),
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
        Utility::CreateEnum { name, labels } => ctx.create_enum(name, labels)?,
        Utility::CreateDomain(create) => ctx.create_domain(create)?,
        Utility::AlterType(alter) => ctx.alter_user_type(alter)?,
        Utility::AlterTable(alter) if alter.kind == ObjectKind::Table => ctx.alter_table(alter)?,
        Utility::AlterTable(alter) => ctx.alter_relation(alter)?,
        Utility::AlterSequence(alter) => ctx.alter_sequence(alter)?,
        Utility::Drop(drop) => ctx.drop_objects(drop)?,
        Utility::Truncate(truncate) => ctx.truncate(truncate)?,
        Utility::Reindex { kind, name, .. } => ctx.reindex(*kind, name)?,
        Utility::Comment(comment) => ctx.comment(comment)?,
        Utility::Analyze(analyze) => ctx.analyze(analyze)?,
        Utility::Vacuum(vacuum) => ctx.vacuum(vacuum)?,
        Utility::ReassignOwned { roles, to } => ctx.reassign_owned(roles, to)?,
        Utility::DropOwned { roles, cascade } => ctx.drop_owned(roles, *cascade)?,
        Utility::CreateRole(create) => ctx.create_role(create)?,
        Utility::AlterRole(alter) => ctx.alter_role(alter)?,
        Utility::AlterDatabase(alter) => ctx.alter_database(alter)?,
        Utility::Rename(rename) => ctx.rename(rename)?,
        Utility::Owner { kind, name, owner } => ctx.change_named_owner(*kind, name, owner)?,
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

    /// Puts a relation into the catalog. Texts that it brings become canonical; if names change with it, the texts of whatever
    /// names them follow (see `text`).
    fn put_relation(&mut self, mut relation: Relation) -> Result<()> {
        let before = self.image().clone();
        let old = before.relations.get(&relation.oid);
        if old.is_none_or(|old| (old.schema, &old.name) != (relation.schema, &relation.name)) {
            self.claim("relation", relation.schema, &relation.name)?;
            self.claim_row_type(&relation, old.is_some())?;
        }
        self.make_canonical(&mut relation, old);
        let renamed = old.is_some_and(|old| text::is_renamed(old, &relation));
        // Who else holds the image makes the change copy it.
        let before = Some(before).filter(|_| renamed);
        self.change(|change, tx| change.put_relation(tx, relation))?;
        before.map_or(Ok(()), |before| self.follow_names(&before))
    }

    /// 42710 when the row type that has a relation's name would be the second type of this name.
    fn claim_row_type(&mut self, relation: &Relation, renamed: bool) -> Result<()> {
        if relation.row_type == Oid::NONE {
            return Ok(());
        }
        self.claim("type", relation.schema, &relation.name)?;
        self.make_way(relation.schema, &relation.name)?;
        if self.image().type_named(relation.schema, &relation.name).is_none() {
            return Ok(());
        }
        let taken = Error::new(SqlState::DuplicateObject, format!("type \"{}\" already exists", relation.name));
        Err(if renamed {
            taken
        } else {
            taken.hint(
                "A relation has an associated type of the same name, so you must use a name that doesn't conflict with any \
                 existing type.",
            )
        })
    }

    fn remove_relation(&mut self, oid: Oid) -> Result<()> {
        self.change(|change, tx| change.remove_relation(tx, oid))
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

    /// As [`DdlContext::claim`], of a name that all databases share.
    fn claim_shared(&self, kind: &str, name: &str) -> Result<()> {
        let mut hasher = std::hash::DefaultHasher::new();
        (kind, name).hash(&mut hasher);
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

    /// The search path of the statement, with a temporary schema that it has made.
    fn search_path(&self) -> Vec<Oid> {
        let mut path = self.bind.search_path.clone();
        path.splice(0..0, self.creating);
        if let Some(temporary) = self.temp_schema().filter(|schema| !path.contains(schema)) {
            path.insert(0, temporary);
        }
        path
    }

    /// A binder over the catalog as changed so far.
    fn binder<T>(&self, bind: impl FnOnce(Binder<'_>) -> Result<T>) -> Result<T> {
        self.binder_of("", bind)
    }

    /// As [`DdlContext::binder`], for what stands in the client's text: errors have positions.
    fn binder_of<T>(&self, text: &str, bind: impl FnOnce(Binder<'_>) -> Result<T>) -> Result<T> {
        bind(Binder::new(&self.bind_context(), text))
    }

    /// What binding over the catalog as changed so far depends on.
    fn bind_context(&self) -> BindContext<'_> {
        BindContext {
            image: self.change.image.clone(),
            search_path: self.search_path(),
            temp_schema: self.temp_schema(),
            user: self.user,
            declared_params: Vec::new(),
            call: self.bind.call,
            reads_clock: Default::default(),
        }
    }

    /// A type's name as the type, which stays for the transaction.
    fn bind_type(&self, name: &crate::sql::ast::TypeName) -> Result<Type> {
        let ty = self.binder_of(CLIENT_TEXT, |mut binder| binder.bind_type(name))?;
        if let Some((found, _)) = self.image().user_type(ty.oid) {
            self.lock_tag(LockTag::Object(found.oid.0), LockMode::Share)?;
        }
        Ok(ty)
    }

    /// The schema that a new object goes to, and its name; `temporary`: written TEMP.
    fn creation_target(&mut self, name: &ObjectName, temporary: bool) -> Result<(Oid, String)> {
        let is_temporary = |schema: &str| schema == "pg_temp" || schema.starts_with(TEMPORARY_SCHEMA);
        let schema = match name.schema() {
            None if temporary => self.make_temp_schema()?,
            None => self.default_schema(name)?,
            Some(schema) if is_temporary(schema) => {
                if schema != "pg_temp" && self.temp_schema() != self.image().schema_names.get(schema).copied() {
                    let message = "cannot create relations in temporary schemas of other sessions";
                    return Err(Error::new(SqlState::InvalidTableDefinition, message));
                }
                self.make_temp_schema()?
            }
            Some(_) if temporary => {
                let message = "cannot create temporary relation in non-temporary schema";
                return Err(Error::new(SqlState::InvalidTableDefinition, message).at(name.pos));
            }
            Some(schema) => match self.image().schema_names.get(schema) {
                Some(oid) => *oid,
                None => {
                    let message = format!("schema \"{schema}\" does not exist");
                    return Err(Error::new(SqlState::InvalidSchemaName, message).at(name.pos));
                }
            },
        };
        if matches!(schema, fixed::PG_CATALOG | fixed::INFORMATION_SCHEMA) {
            let schema = &self.image().schemas[&schema].name;
            let message = format!("permission denied to create \"{schema}.{}\"", name.name());
            let detail = "System catalog modifications are currently disallowed.";
            return Err(Error::new(SqlState::InsufficientPrivilege, message).detail(detail));
        }
        if self.temp_schema() != Some(schema) {
            self.image().check_create(self.user, schema).map_err(|error| error.at(name.pos))?;
        }
        Ok((schema, name.name().to_owned()))
    }

    /// Where an unqualified new object goes: the first schema of the search path that exists.
    fn default_schema(&mut self, name: &ObjectName) -> Result<Oid> {
        if let Some(schema) = self.creating {
            return Ok(schema);
        }
        let setting = self.bind.call.host.setting("search_path").unwrap_or_default();
        if setting.split(',').next().is_some_and(|first| first.trim() == "pg_temp") {
            return self.make_temp_schema();
        }
        self.bind.call.host.search_path(false).first().copied().ok_or_else(|| {
            let message = "no schema has been selected to create in";
            Error::new(SqlState::InvalidSchemaName, message).at(name.pos)
        })
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
            Some("pg_temp") => image.relation(self.temp_schema()?, name.name()).cloned(),
            Some(schema) => image.relation(*image.schema_names.get(schema)?, name.name()).cloned(),
            None => self.search_path().iter().find_map(|schema| image.relation(*schema, name.name())).cloned(),
        }
    }

    /// The relation that a name must stand for.
    fn find_required(&self, name: &ObjectName) -> Result<Arc<Relation>> {
        if let Some(schema) = name.schema().and_then(|schema| self.image().schema_names.get(schema)) {
            self.image().check_use(self.user, *schema)?;
        }
        self.find(name).ok_or_else(|| {
            let message = format!("relation \"{}\" does not exist", name.display());
            Error::new(SqlState::UndefinedTable, message)
        })
    }

    /// A relation that must exist, be of the kind and belong to the user.
    fn owned(&self, name: &ObjectName, kind: RelationKind) -> Result<Arc<Relation>> {
        let relation = self.find_required(name)?;
        check_kind(&relation, kind)?;
        self.check_owner(&relation)?;
        Ok(relation)
    }

    fn check_owner(&self, relation: &Relation) -> Result<()> {
        if relation.oid < Oid::FIRST_USER {
            let message = format!("permission denied: \"{}\" is a system catalog", relation.name);
            return Err(Error::new(SqlState::InsufficientPrivilege, message));
        }
        if self.image().acts_for(self.user, relation.owner) {
            return Ok(());
        }
        Err(not_owner(kind_name(relation.kind), &relation.name))
    }

    /// The role that a specification names.
    fn role_oid(&self, role: &RoleSpec) -> Result<Oid> {
        match role {
            RoleSpec::CurrentUser => Ok(self.user),
            RoleSpec::SessionUser => Ok(self.session_user),
            RoleSpec::Public => Err(missing_role("public")),
            RoleSpec::Name(name) => {
                self.image().role(&name.name).map(|role| role.oid).ok_or_else(|| missing_role(&name.name))
            }
        }
    }

    /// Calls with the transaction and the change at once.
    fn change<T>(&mut self, call: impl FnOnce(&mut Change, &mut Transaction) -> Result<T>) -> Result<T> {
        let mut transaction = self.transaction.lock();
        let transaction = transaction.as_mut().ok_or_else(|| Error::internal("DDL runs outside of a transaction"))?;
        call(self.change, transaction)
    }
}

/// An error of a place that PostgreSQL does not tell.
fn without_position(mut error: Error) -> Error {
    error.report_mut().position = None;
    error
}

fn missing_role(name: &str) -> Error {
    Error::new(SqlState::UndefinedObject, format!("role \"{name}\" does not exist"))
}

/// 42501 for who is not the owner.
fn not_owner(kind: &str, name: &str) -> Error {
    Error::new(SqlState::InsufficientPrivilege, format!("must be owner of {kind} {name}"))
}

/// 42809 for a relation of another kind than the statement's.
fn check_kind(relation: &Relation, kind: RelationKind) -> Result<()> {
    if relation.kind == kind {
        return Ok(());
    }
    let article = if kind == RelationKind::Index { "an" } else { "a" };
    let message = format!("\"{}\" is not {article} {}", relation.name, kind_name(kind));
    Err(Error::new(SqlState::WrongObjectType, message))
}

fn kind_name(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Table => "table",
        RelationKind::Index => "index",
        RelationKind::Sequence => "sequence",
        RelationKind::View => "view",
    }
}
