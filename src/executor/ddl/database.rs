//! CREATE, ALTER and DROP DATABASE. A database is its catalog rows and their storage objects; all share one engine and log, so
//! that a new database is one transaction: after a crash it is there whole, or not at all.
//!
//! Copies get oids of their own: object ids are unique in the server, and locks are taken by them.

use super::{DdlContext, not_owner};
use crate::catalog::image::{
    Body, Constraint, ConstraintKind, Database, Image, Index, Relation, Schema, Sequence, TableStatistics, UserType,
};
use crate::catalog::store::{TEMPORARY_SCHEMA, fixed};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::utility::{AlterDatabase, CreateDatabase, DefElem, DefValue};
use crate::types::Oid;
use lightning_storage::{ColumnNo, IndexDef, LockMode, LockTag, ObjectId, RowBuffer, RowId, SequenceDef, Transaction};
use std::collections::HashMap;
use std::sync::Arc;

/// Rows copied between two looks at the scan.
const BATCH: usize = 256;

/// Old ids to new ones.
#[derive(Default)]
struct Copied {
    oids: HashMap<Oid, Oid>,
    storage: HashMap<ObjectId, ObjectId>,
}

/// What CREATE DATABASE's options say.
struct Options {
    owner: Option<String>,
    template: String,
    is_template: bool,
    allow_connections: bool,
    connection_limit: i32,
}

impl DdlContext<'_> {
    /// CREATE DATABASE of a template that nobody else is in.
    ///
    /// # Errors
    /// PostgreSQL's; a wait.
    pub fn create_database(&mut self, create: &CreateDatabase) -> Result<&'static str> {
        let options = create_options(&create.options)?;
        let name = &create.name.name;
        let owner = match &options.owner {
            Some(owner) => self.image().role(owner).map(|role| role.oid).ok_or_else(|| super::missing_role(owner))?,
            None => self.user,
        };
        let own = self.user_role();
        if !own.superuser && !own.create_db {
            let message = "permission denied to create database";
            return Err(Error::new(SqlState::InsufficientPrivilege, message));
        }
        self.check_new_owner(owner)?;
        let Some(template) = self.image().database_named(&options.template).cloned() else {
            let message = format!("template database \"{}\" does not exist", options.template);
            return Err(Error::new(SqlState::InvalidCatalogName, message));
        };
        if !template.is_template && !self.image().acts_for(self.user, template.owner) {
            let message = format!("permission denied to copy database \"{}\"", template.name);
            return Err(Error::new(SqlState::InsufficientPrivilege, message));
        }
        self.claim_shared("database", name)?;
        if self.image().database_named(name).is_some() {
            let message = format!("database \"{name}\" already exists");
            return Err(Error::new(SqlState::DuplicateDatabase, message));
        }
        self.lock_tag(LockTag::Object(template.oid.0), LockMode::Share)?;
        let count = (self.others)(template.oid);
        if count > 0 {
            let message = format!("source database \"{}\" is being accessed by other users", template.name);
            return Err(Error::new(SqlState::ObjectInUse, message).detail(sessions(count)));
        }
        let database = Database {
            oid: self.new_oid()?,
            name: name.clone(),
            owner,
            is_template: options.is_template,
            allow_connections: options.allow_connections,
            connection_limit: options.connection_limit,
        };
        let source = self.catalog.image(template.oid)?;
        let copy = self.copy_image(&source, database.oid)?;
        self.change(|change, tx| {
            change.put_database(tx, database)?;
            change.fill_database(tx, &copy)
        })?;
        Ok("CREATE DATABASE")
    }

    /// Everything that a database's catalog says, over copies of its storage objects.
    fn copy_image(&self, source: &Image, database: Oid) -> Result<Image> {
        let mut copied = Copied::default();
        let is_temporary = |schema: &Schema| schema.name.starts_with(TEMPORARY_SCHEMA);
        for schema in source.schemas.values().filter(|schema| schema.oid >= Oid::FIRST_USER) {
            copied.oids.insert(schema.oid, self.new_oid()?);
        }
        let relations: Vec<&Arc<Relation>> = source
            .relations
            .values()
            .filter(|relation| !relation.temporary && !matches!(relation.body, Body::System(_)))
            .collect();
        for relation in &relations {
            copied.oids.insert(relation.oid, self.new_oid()?);
            if relation.row_type != Oid::NONE {
                copied.oids.insert(relation.row_type, self.new_oid()?);
            }
            for constraint in &relation.constraints {
                copied.oids.insert(constraint.oid, self.new_oid()?);
            }
        }
        for relation in &relations {
            self.copy_storage(relation, &mut copied)?;
        }
        let mut image = Image { database, ..Image::default() };
        for schema in source.schemas.values().filter(|schema| !is_temporary(schema)) {
            let oid = copied.oid(schema.oid);
            image.schemas.insert(oid, Arc::new(Schema { oid, ..(**schema).clone() }));
        }
        for relation in relations {
            let relation = copied.relation(relation);
            image.relations.insert(relation.oid, Arc::new(relation));
        }
        // Types keep their oids: stored arrays tell their elements' type by it.
        for ty in source.types.values() {
            let copy = UserType { schema: copied.oid(ty.schema), ..(**ty).clone() };
            image.types.insert(ty.oid, Arc::new(copy));
        }
        for (table, statistics) in &source.statistics {
            // The copy's row ids are given out anew.
            let bound = statistics.rows as u64;
            let statistics = TableStatistics { bound, ..(**statistics).clone() };
            image.statistics.insert(copied.oid(*table), Arc::new(statistics));
        }
        for ((object, class, sub), text) in &source.comments {
            if *class != fixed::CLASS_DATABASE && *class != fixed::CLASS_ROLE {
                image.comments.insert((copied.oid(*object), *class, *sub), text.clone());
            }
        }
        Ok(image)
    }

    /// Copies a table with its rows and indexes, or a sequence with its value.
    fn copy_storage(&self, relation: &Relation, copied: &mut Copied) -> Result<()> {
        match &relation.body {
            Body::Table { storage, .. } => {
                let new = self.with(|tx| {
                    let def = tx.table_def(*storage)?;
                    let width = def.columns.len();
                    let new = tx.create_table(def)?;
                    copy_rows(tx, *storage, new, width)?;
                    Ok(new)
                })?;
                copied.storage.insert(*storage, new);
                for index in &relation.indexes {
                    let built = self.with(|tx| {
                        let def = IndexDef { table: new, ..tx.index_def(index.storage)? };
                        let built = tx.create_index(def)?;
                        let snapshot = tx.snapshot();
                        while !blocking(|| tx.build_index(&snapshot, built, 10_000))? {}
                        Ok(built)
                    })?;
                    copied.storage.insert(index.storage, built);
                }
            }
            Body::Sequence(sequence) => {
                let Sequence { storage, start, increment, min, max, cycle, .. } = *sequence;
                let new = self.with(|tx| {
                    let new = tx.create_sequence(SequenceDef { start, increment, min, max, cycle })?;
                    let (value, called) = tx.sequence_state(storage)?;
                    tx.setval(new, value, called)?;
                    Ok(new)
                })?;
                copied.storage.insert(storage, new);
            }
            Body::Index(_) | Body::View { .. } | Body::System(_) => {}
        }
        Ok(())
    }

    /// DROP DATABASE of one that nobody is in.
    ///
    /// # Errors
    /// PostgreSQL's; a wait.
    pub fn drop_database(&mut self, name: &str, if_exists: bool) -> Result<&'static str> {
        const TAG: &str = "DROP DATABASE";
        let Some(database) = self.image().database_named(name).cloned() else {
            let message = format!("database \"{name}\" does not exist");
            if if_exists {
                self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
                return Ok(TAG);
            }
            return Err(Error::new(SqlState::InvalidCatalogName, message));
        };
        self.check_database_owner(&database)?;
        if database.is_template {
            return Err(Error::new(SqlState::WrongObjectType, "cannot drop a template database"));
        }
        if database.oid == self.image().database {
            return Err(Error::new(SqlState::ObjectInUse, "cannot drop the currently open database"));
        }
        self.claim_shared("database", name)?;
        self.lock_tag(LockTag::Object(database.oid.0), LockMode::AccessExclusive)?;
        self.check_unused(&database)?;
        let image = self.catalog.image(database.oid)?;
        for relation in image.relations.values() {
            match &relation.body {
                // A table takes its indexes along.
                Body::Table { storage, .. } => self.with(|tx| tx.drop_object(*storage))?,
                Body::Sequence(sequence) => self.with(|tx| tx.drop_object(sequence.storage))?,
                Body::Index(_) | Body::View { .. } | Body::System(_) => {}
            }
        }
        self.change(|change, tx| change.remove_database(tx, database.oid))?;
        Ok(TAG)
    }

    pub(super) fn alter_database(&mut self, alter: &AlterDatabase) -> Result<&'static str> {
        if alter.setting.is_some() {
            return Err(Error::unsupported("ALTER DATABASE … SET"));
        }
        let (mut is_template, mut allow_connections, mut connection_limit) = (None, None, None);
        for option in &alter.options {
            match option.name.as_str() {
                "is_template" => is_template = Some(boolean(option)?),
                "allow_connections" => allow_connections = Some(boolean(option)?),
                "connection_limit" => connection_limit = Some(limit(option)?),
                "tablespace" => return Err(Error::unsupported("TABLESPACE of a database").at(option.pos)),
                other => return Err(unknown_option(other, option.pos)),
            }
        }
        let database = self.owned_database(&alter.name.name)?;
        if database.oid == self.image().database && allow_connections == Some(false) {
            let message = "cannot disallow connections for current database";
            return Err(Error::new(SqlState::InvalidParameterValue, message));
        }
        self.claim_shared("database", &database.name)?;
        let changed = Database {
            is_template: is_template.unwrap_or(database.is_template),
            allow_connections: allow_connections.unwrap_or(database.allow_connections),
            connection_limit: connection_limit.unwrap_or(database.connection_limit),
            ..(*database).clone()
        };
        self.change(|change, tx| change.put_database(tx, changed))?;
        Ok("ALTER DATABASE")
    }

    pub(super) fn rename_database(&mut self, name: &str, to: &str) -> Result<()> {
        let database = self.owned_database(name)?;
        let own = self.user_role();
        if !own.superuser && !own.create_db {
            let message = "permission denied to rename database";
            return Err(Error::new(SqlState::InsufficientPrivilege, message));
        }
        self.claim_shared("database", to)?;
        if self.image().database_named(to).is_some() {
            return Err(Error::new(SqlState::DuplicateDatabase, format!("database \"{to}\" already exists")));
        }
        if database.oid == self.image().database {
            return Err(Error::new(SqlState::FeatureNotSupported, "current database cannot be renamed"));
        }
        self.lock_tag(LockTag::Object(database.oid.0), LockMode::AccessExclusive)?;
        self.check_unused(&database)?;
        let renamed = Database { name: to.to_owned(), ..(*database).clone() };
        self.change(|change, tx| change.put_database(tx, renamed))
    }

    pub(super) fn change_database_owner(&mut self, name: &str, owner: Oid) -> Result<()> {
        let database = self.owned_database(name)?;
        self.check_new_owner(owner)?;
        let own = self.user_role();
        if !own.superuser && !own.create_db {
            let message = "permission denied to change owner of database";
            return Err(Error::new(SqlState::InsufficientPrivilege, message));
        }
        self.claim_shared("database", name)?;
        let changed = Database { owner, ..(*database).clone() };
        self.change(|change, tx| change.put_database(tx, changed))
    }

    fn owned_database(&self, name: &str) -> Result<Arc<Database>> {
        let found = self.image().database_named(name).cloned();
        let found = found
            .ok_or_else(|| Error::new(SqlState::InvalidCatalogName, format!("database \"{name}\" does not exist")))?;
        self.check_database_owner(&found)?;
        Ok(found)
    }

    fn check_database_owner(&self, database: &Database) -> Result<()> {
        match self.image().acts_for(self.user, database.owner) {
            true => Ok(()),
            false => Err(not_owner("database", &database.name)),
        }
    }

    fn check_unused(&self, database: &Database) -> Result<()> {
        let count = (self.others)(database.oid);
        if count == 0 {
            return Ok(());
        }
        let message = format!("database \"{}\" is being accessed by other users", database.name);
        Err(Error::new(SqlState::ObjectInUse, message).detail(sessions(count)))
    }
}

impl Copied {
    /// The copy's oid; fixed ones are the same everywhere.
    fn oid(&self, oid: Oid) -> Oid {
        self.oids.get(&oid).copied().unwrap_or(oid)
    }

    fn object(&self, object: ObjectId) -> ObjectId {
        self.storage.get(&object).copied().unwrap_or(object)
    }

    fn relation(&self, relation: &Relation) -> Relation {
        Relation {
            oid: self.oid(relation.oid),
            schema: self.oid(relation.schema),
            row_type: self.oid(relation.row_type),
            constraints: relation.constraints.iter().map(|constraint| Arc::new(self.constraint(constraint))).collect(),
            referenced_by: Vec::new(),
            indexes: Vec::new(),
            body: self.body(&relation.body),
            ..relation.clone()
        }
    }

    fn constraint(&self, constraint: &Constraint) -> Constraint {
        let mut copy = constraint.clone();
        copy.oid = self.oid(constraint.oid);
        copy.table = self.oid(constraint.table);
        match &mut copy.kind {
            ConstraintKind::Check { expression: _, columns: _, no_inherit: _ } => {}
            ConstraintKind::PrimaryKey { columns: _, index } | ConstraintKind::Unique { columns: _, index } => {
                *index = self.oid(*index);
            }
            ConstraintKind::ForeignKey { references, index, .. } => {
                *references = self.oid(*references);
                *index = self.oid(*index);
            }
        }
        copy
    }

    fn body(&self, body: &Body) -> Body {
        match body.clone() {
            Body::Table { storage, on_commit } => Body::Table { storage: self.object(storage), on_commit },
            Body::Index(index) => Body::Index(Arc::new(Index {
                oid: self.oid(index.oid),
                table: self.oid(index.table),
                storage: self.object(index.storage),
                ..(*index).clone()
            })),
            Body::Sequence(sequence) => Body::Sequence(Sequence {
                storage: self.object(sequence.storage),
                owned_by: sequence.owned_by.map(|(table, number)| (self.oid(table), number)),
                ..sequence
            }),
            other @ (Body::View { .. } | Body::System(_)) => other,
        }
    }
}

fn copy_rows(tx: &mut Transaction, from: ObjectId, to: ObjectId, width: usize) -> lightning_storage::Result<()> {
    let (read, write) = (tx.latest_snapshot(), tx.snapshot());
    let mut next = Some(RowId(1));
    let mut rows = RowBuffer::new();
    while let Some(at) = next {
        rows.clear();
        next = blocking(|| tx.scan(&read, from, at..RowId(u64::MAX), BATCH, &mut rows))?;
        for i in 0..rows.len() {
            let row = rows.row(i);
            let values: Vec<_> = (0..width as u16).map(|no| row.get(ColumnNo(no))).collect();
            blocking(|| tx.insert(&write, to, &values))?;
        }
    }
    Ok(())
}

/// A storage call that goes on where it is after a wait: what a statement that begins anew would never finish.
fn blocking<T>(mut call: impl FnMut() -> lightning_storage::Result<T>) -> lightning_storage::Result<T> {
    loop {
        match call() {
            Err(lightning_storage::Error::Wait(waiter)) => waiter.block(),
            other => return other,
        }
    }
}

fn sessions(count: usize) -> String {
    match count {
        1 => "There is 1 other session using the database.".to_owned(),
        count => format!("There are {count} other sessions using the database."),
    }
}

fn unknown_option(name: &str, pos: u32) -> Error {
    Error::new(SqlState::SyntaxError, format!("option \"{name}\" not recognized")).at(pos)
}

fn create_options(given: &[DefElem]) -> Result<Options> {
    let mut options = Options {
        owner: None,
        template: "template1".to_owned(),
        is_template: false,
        allow_connections: true,
        connection_limit: -1,
    };
    for (i, option) in given.iter().enumerate() {
        if given[..i].iter().any(|other| other.name == option.name) {
            return Err(Error::new(SqlState::SyntaxError, "conflicting or redundant options").at(option.pos));
        }
        match option.name.as_str() {
            "owner" => options.owner = text(option)?,
            "template" => options.template = text(option)?.unwrap_or(options.template),
            "is_template" => options.is_template = boolean(option)?,
            "allow_connections" => options.allow_connections = boolean(option)?,
            "connection_limit" => options.connection_limit = limit(option)?,
            "encoding" => check_encoding(option)?,
            "locale" | "lc_collate" | "lc_ctype" => check_locale(option)?,
            "tablespace" if text(option)?.is_none_or(|name| name == "pg_default") => {}
            "tablespace" => return Err(Error::unsupported("TABLESPACE of a database").at(option.pos)),
            "strategy" => match text(option)?.as_deref() {
                Some("wal_log" | "file_copy") | None => {}
                Some(other) => {
                    let message = format!("invalid create database strategy \"{other}\"");
                    let hint = "Valid strategies are \"wal_log\" and \"file_copy\".";
                    return Err(Error::new(SqlState::InvalidParameterValue, message).hint(hint));
                }
            },
            "locale_provider" if text(option)?.is_none_or(|name| name == "libc") => {}
            "locale_provider" | "icu_locale" | "oid" | "collation_version" => {
                return Err(Error::unsupported(format!("{} of a database", option.name.to_uppercase())).at(option.pos));
            }
            other => return Err(unknown_option(other, option.pos)),
        }
    }
    Ok(options)
}

fn text(option: &DefElem) -> Result<Option<String>> {
    match &option.value {
        None => Ok(None),
        Some(DefValue::Text(value) | DefValue::Number(value)) => Ok(Some(value.clone())),
        Some(_) => Err(Error::new(SqlState::SyntaxError, format!("{} requires a parameter", option.name))),
    }
}

fn boolean(option: &DefElem) -> Result<bool> {
    match text(option)?.map(|value| value.to_ascii_lowercase()).as_deref() {
        None | Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        Some(_) => Err(Error::new(SqlState::SyntaxError, format!("{} requires a Boolean value", option.name))),
    }
}

fn limit(option: &DefElem) -> Result<i32> {
    let value = text(option)?.unwrap_or_else(|| "-1".to_owned());
    match value.parse::<i32>() {
        Ok(limit) if limit >= -1 => Ok(limit),
        Ok(limit) => Err(Error::new(SqlState::InvalidParameterValue, format!("invalid connection limit: {limit}"))),
        Err(_) => Err(Error::new(SqlState::SyntaxError, format!("{} requires an integer value", option.name))),
    }
}

fn check_encoding(option: &DefElem) -> Result<()> {
    let Some(value) = text(option)? else { return Ok(()) };
    match value.to_ascii_uppercase().replace(['-', '_'], "").as_str() {
        "UTF8" | "UNICODE" | "6" => Ok(()),
        "SQLASCII" | "LATIN1" | "LATIN2" | "LATIN9" | "WIN1250" | "WIN1251" | "WIN1252" | "EUCJP" | "KOI8R" => {
            Err(Error::unsupported(format!("encoding \"{value}\"")).at(option.pos))
        }
        _ => {
            let message = format!("{value} is not a valid encoding name");
            Err(Error::new(SqlState::UndefinedObject, message).at(option.pos))
        }
    }
}

fn check_locale(option: &DefElem) -> Result<()> {
    match text(option)?.as_deref() {
        None | Some("C" | "C.UTF-8" | "C.utf8" | "POSIX") => Ok(()),
        Some(other) => Err(Error::unsupported(format!("locale \"{other}\"")).at(option.pos)),
    }
}
