//! The catalog's own storage: one storage table whose rows are definitions, and the images built of it.
//!
//! A row is (kind, database, oid, sub, body): the body is the definition as JSON, which a new field with a default extends.
//! Rows are written inside the transaction of the DDL, so that ROLLBACK and a crash undo names and data together. A transaction with
//! DDL of its own works on a private image ([`Change`]); after its commit is durable the rows that it wrote are read into the database's image
//! ([`Catalog::publish`]; all else is shared with the image before), and only then its locks go: who waited for one finds the new image. Names that are given hold a lock each, so that two transactions cannot give the same one.
//! Roles and databases are shared: their rows have database 0.

use super::image::{
    Body, ConstraintKind, Database, Image, Relation, RelationKind, Role, Schema, TableStatistics, UserType,
};
use crate::error::{Error, Result};
use crate::types::Oid;
use lightning_storage::{
    Base, ColumnDef, ColumnNo, ColumnType, Direction, Engine, IndexDef, Isolation, KeyColumn, KeyEncoder, KeyRange,
    ObjectId, OwnedValue, RowBuffer, RowId, Snapshot, TableDef, Transaction, Unique, Value,
};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash as _, Hasher as _};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Oids that PostgreSQL gives at bootstrap.
pub mod fixed {
    use crate::types::Oid;

    /// The superuser.
    pub const POSTGRES_ROLE: Oid = Oid(10);
    /// pg_catalog
    pub const PG_CATALOG: Oid = Oid(11);
    /// information_schema
    pub const INFORMATION_SCHEMA: Oid = Oid(13_214);
    /// public
    pub const PUBLIC: Oid = Oid(2200);
    /// template1
    pub const TEMPLATE1: Oid = Oid(1);
    /// template0
    pub const TEMPLATE0: Oid = Oid(4);
    /// postgres
    pub const POSTGRES: Oid = Oid(5);
    /// pg_class in pg_class: the class of relations, and of columns with their number.
    pub const CLASS_RELATION: Oid = Oid(1259);
    /// pg_namespace in pg_class
    pub const CLASS_SCHEMA: Oid = Oid(2615);
    /// pg_type in pg_class
    pub const CLASS_TYPE: Oid = Oid(1247);
    /// pg_constraint in pg_class
    pub const CLASS_CONSTRAINT: Oid = Oid(2606);
    /// pg_authid in pg_class
    pub const CLASS_ROLE: Oid = Oid(1260);
    /// pg_database in pg_class
    pub const CLASS_DATABASE: Oid = Oid(1262);
    /// pg_database_owner: whoever owns the database is a member.
    pub const DATABASE_OWNER: Oid = Oid(6171);
    /// Roles that every PostgreSQL has. What they are good for is given by GRANT.
    pub const PREDEFINED_ROLES: [(Oid, &str); 12] = [
        (DATABASE_OWNER, "pg_database_owner"),
        (Oid(6181), "pg_read_all_data"),
        (Oid(6182), "pg_write_all_data"),
        (Oid(3373), "pg_monitor"),
        (Oid(3374), "pg_read_all_settings"),
        (Oid(3375), "pg_read_all_stats"),
        (Oid(3377), "pg_stat_scan_tables"),
        (Oid(4569), "pg_read_server_files"),
        (Oid(4570), "pg_write_server_files"),
        (Oid(4571), "pg_execute_server_program"),
        (Oid(4200), "pg_signal_backend"),
        (Oid(4544), "pg_checkpoint"),
    ];
}

/// What the names of sessions' temporary schemas begin with; the number of the session's backend follows.
pub const TEMPORARY_SCHEMA: &str = "pg_temp_";

/// What a catalog row defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Schema = 1,
    Relation = 2,
    Role = 3,
    Database = 4,
    Comment = 5,
    Statistics = 6,
    Type = 7,
}

impl Kind {
    fn of(number: i16) -> Result<Kind> {
        let kinds =
            [Kind::Schema, Kind::Relation, Kind::Role, Kind::Database, Kind::Comment, Kind::Statistics, Kind::Type];
        let found = kinds.into_iter().find(|kind| *kind as i16 == number);
        found.ok_or_else(|| Error::internal(format!("catalog rows of kind {number} are unknown")))
    }
}

/// The server's catalog.
pub struct Catalog {
    engine: Engine,
    rows: Rows,
    images: Mutex<HashMap<Oid, Arc<Image>>>,
    /// Held while an image is read: of two that are read, the later one stays.
    reading: Mutex<()>,
    version: AtomicU64,
    /// Raised when any image is replaced or forgotten.
    generation: AtomicU64,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

/// The storage table and its key index.
#[derive(Clone, Copy, Debug)]
struct Rows {
    table: ObjectId,
    index: ObjectId,
}

/// The first objects that a new engine hands out.
const ROWS: Rows = Rows { table: ObjectId(16), index: ObjectId(17) };

impl Catalog {
    /// Opens the catalog of an engine, filling a new one.
    ///
    /// # Errors
    /// Storage errors.
    pub fn open(engine: Engine) -> Result<Catalog> {
        let (images, reading) = (Mutex::default(), Mutex::default());
        let catalog =
            Catalog { engine, rows: ROWS, images, reading, version: AtomicU64::new(1), generation: AtomicU64::new(1) };
        let mut tx = catalog.engine.begin(Isolation::ReadCommitted);
        let snapshot = tx.snapshot();
        let mut rows = RowBuffer::new();
        match tx.scan(&snapshot, ROWS.table, RowId(1)..RowId(u64::MAX), 1, &mut rows) {
            Ok(_) if !rows.is_empty() => {}
            _ => catalog.bootstrap(tx)?,
        }
        catalog.forget_temporary()?;
        Ok(catalog)
    }

    /// Removes temporary objects of sessions that ended with the server. Their tables' storage has gone with it.
    fn forget_temporary(&self) -> Result<()> {
        let mut tx = self.engine.begin(Isolation::ReadCommitted);
        let snapshot = tx.snapshot();
        let (mut left, mut sequences) = (Vec::new(), Vec::new());
        self.rows.each(&tx, &snapshot, |(kind, database, oid, sub), body| {
            if kind == Kind::Relation as i16 {
                let relation: Relation = decode(body)?;
                if relation.temporary {
                    left.push((Kind::Relation, database, oid, sub));
                    if let Body::Sequence(sequence) = &relation.body {
                        sequences.push(sequence.storage);
                    }
                }
            } else if kind == Kind::Schema as i16 {
                let schema: Schema = decode(body)?;
                if schema.name.starts_with(TEMPORARY_SCHEMA) {
                    left.push((Kind::Schema, database, oid, sub));
                }
            }
            Ok(())
        })?;
        for (_, database, object, _) in left.clone() {
            self.rows.each(&tx, &snapshot, |(kind, owner, oid, sub), _| {
                let part = kind == Kind::Comment as i16 || kind == Kind::Statistics as i16;
                if part && (owner, oid) == (database, object) {
                    left.push((Kind::of(kind)?, owner, oid, sub));
                }
                Ok(())
            })?;
        }
        if left.is_empty() {
            return Ok(());
        }
        left.into_iter().try_for_each(|key| self.rows.remove(&mut tx, &snapshot, key))?;
        sequences.into_iter().try_for_each(|sequence| tx.drop_object(sequence))?;
        drop(snapshot);
        self.commit_now(tx)
    }

    /// Commits while nobody else works on the engine.
    fn commit_now(&self, tx: Transaction) -> Result<()> {
        let position = tx.commit()?;
        while self.engine.durable() < position {
            self.engine.log_step()?;
        }
        Ok(())
    }

    fn bootstrap(&self, mut tx: Transaction) -> Result<()> {
        let column = |no: u16, ty| ColumnDef { no: ColumnNo(no), ty, default: OwnedValue::Null, dropped: false };
        let columns = vec![
            column(0, ColumnType::Int16),
            column(1, ColumnType::Int64),
            column(2, ColumnType::Int64),
            column(3, ColumnType::Int32),
            column(4, ColumnType::Bytes),
        ];
        let table = tx.create_table(TableDef { columns, temporary: false })?;
        let key = |no: u16| KeyColumn { column: ColumnNo(no), descending: false, nulls_first: false };
        let index = tx.create_index(IndexDef {
            table,
            columns: (0..4).map(key).collect(),
            unique: Unique::Immediate,
            nulls_distinct: true,
            predicate: None,
        })?;
        if (table, index) != (ROWS.table, ROWS.index) {
            return Err(Error::internal("a new engine handed out unexpected object ids"));
        }
        let mut snapshot = tx.snapshot();
        while !tx.build_index(&snapshot, index, 1000)? {}
        let role = Role {
            oid: fixed::POSTGRES_ROLE,
            name: "postgres".to_owned(),
            superuser: true,
            login: true,
            create_db: true,
            create_role: true,
            inherit: true,
            connection_limit: -1,
            password: None,
            valid_until: None,
        };
        snapshot = tx.snapshot();
        let rows = self.rows;
        rows.put(&mut tx, &snapshot, (Kind::Role, Oid::NONE, role.oid, 0), &role)?;
        for (oid, name) in fixed::PREDEFINED_ROLES {
            let (superuser, login, create_db, create_role) = (false, false, false, false);
            let predefined =
                Role { oid, name: name.to_owned(), superuser, login, create_db, create_role, ..role.clone() };
            rows.put(&mut tx, &snapshot, (Kind::Role, Oid::NONE, oid, 0), &predefined)?;
        }
        let databases = [
            (fixed::TEMPLATE1, "template1", true),
            (fixed::TEMPLATE0, "template0", true),
            (fixed::POSTGRES, "postgres", false),
        ];
        for (oid, name, is_template) in databases {
            let database = Database {
                oid,
                name: name.to_owned(),
                owner: fixed::POSTGRES_ROLE,
                is_template,
                allow_connections: oid != fixed::TEMPLATE0,
                connection_limit: -1,
            };
            rows.put(&mut tx, &snapshot, (Kind::Database, Oid::NONE, oid, 0), &database)?;
            let schemas = [
                (fixed::PG_CATALOG, "pg_catalog"),
                (fixed::INFORMATION_SCHEMA, "information_schema"),
                (fixed::PUBLIC, "public"),
            ];
            for (schema, name) in schemas {
                let owner = if schema == fixed::PUBLIC { fixed::DATABASE_OWNER } else { fixed::POSTGRES_ROLE };
                let schema = Schema { oid: schema, name: name.to_owned(), owner };
                rows.put(&mut tx, &snapshot, (Kind::Schema, oid, schema.oid, 0), &schema)?;
            }
        }
        drop(snapshot);
        self.commit_now(tx)
    }

    /// The image of a database as last committed; read from storage when it is not at hand.
    ///
    /// # Errors
    /// Storage errors.
    pub fn image(&self, database: Oid) -> Result<Arc<Image>> {
        if let Some(image) = self.images.lock().get(&database) {
            return Ok(image.clone());
        }
        self.load(database)
    }

    /// Reads a database's image from storage.
    fn load(&self, database: Oid) -> Result<Arc<Image>> {
        let _reading = self.reading.lock();
        let mut tx = self.engine.begin(Isolation::ReadCommitted);
        let image = self.rows.image(&mut tx, database)?;
        Ok(self.replace(image))
    }

    /// Gives an image its version and makes it its database's.
    fn replace(&self, mut image: Image) -> Arc<Image> {
        image.version = self.version.fetch_add(1, Ordering::Relaxed);
        let image = Arc::new(image);
        self.images.lock().insert(image.database, image.clone());
        self.generation.fetch_add(1, Ordering::Release);
        image
    }

    /// Brings into a database's image what a transaction has written of the catalog, once its commit is durable. Changes of
    /// what all databases share concern every image.
    ///
    /// # Errors
    /// Storage errors.
    pub fn publish(&self, change: &Change) -> Result<()> {
        if change.shared {
            self.forget_all();
        }
        let database = change.image.database;
        let known = self.images.lock().get(&database).cloned();
        let Some(known) = known else { return self.load(database).map(|_| ()) };
        drop(known);
        let _reading = self.reading.lock();
        let Some(known) = self.images.lock().get(&database).cloned() else { return Ok(()) };
        let mut image = (*known).clone();
        let mut tx = self.engine.begin(Isolation::ReadCommitted);
        self.rows.read_into(&mut tx, &mut image, &change.written)?;
        self.replace(image);
        Ok(())
    }

    /// Changes whenever some database's image does: while it stays, who has asked for an image need not ask again.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// A transaction's own picture of the catalog, when others have committed DDL since `change` was made: its own changes on
    /// top of what it now sees.
    ///
    /// # Errors
    /// Storage errors.
    pub fn refresh(&self, change: &mut Change, tx: &mut Transaction) -> Result<()> {
        let base = self.image(change.image.database)?;
        if base.version != change.base {
            let mut image = (*base).clone();
            self.rows.read_into(tx, &mut image, &change.written)?;
            image.new_labels.clone_from(&change.image.new_labels);
            image.version = private_version();
            change.image = Arc::new(image);
            change.base = base.version;
        }
        Ok(())
    }

    /// Whether somebody has committed DDL since `change` last looked.
    ///
    /// # Errors
    /// Storage errors.
    pub fn has_moved(&self, change: &Change) -> Result<bool> {
        Ok(self.image(change.image.database)?.version != change.base)
    }

    /// Roles or databases have changed: every image is read anew when next asked for.
    pub fn forget_all(&self) {
        self.images.lock().clear();
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The databases and roles, which are the same in every image.
    ///
    /// # Errors
    /// Storage errors.
    pub fn shared(&self) -> Result<Arc<Image>> {
        self.image(fixed::TEMPLATE1)
    }
}

type Key = (Kind, Oid, Oid, i32);

/// A [`Key`] as it is stored.
type RowKey = (i16, Oid, Oid, i32);

impl Rows {
    fn key(key: Key) -> Result<Vec<u8>> {
        let mut encoder = KeyEncoder::new();
        encoder.push(Value::Int16(key.0 as i16), ColumnType::Int16, false, false);
        encoder.push(Value::Int64(i64::from(key.1.0)), ColumnType::Int64, false, false);
        encoder.push(Value::Int64(i64::from(key.2.0)), ColumnType::Int64, false, false);
        encoder.push(Value::Int32(key.3), ColumnType::Int32, false, false);
        Ok(encoder.finish()?.to_vec())
    }

    fn find(self, tx: &Transaction, snapshot: &Snapshot, key: Key) -> Result<Option<RowId>> {
        let rows = self.read(tx, snapshot, key)?;
        Ok((!rows.is_empty()).then(|| rows.row_id(0)))
    }

    /// The row of a key, or none.
    fn read(self, tx: &Transaction, snapshot: &Snapshot, key: Key) -> Result<RowBuffer> {
        let bytes = Rows::key(key)?;
        let range = KeyRange { lower: Bound::Included(bytes.clone()), upper: Bound::Included(bytes) };
        let mut cursor = tx.index_cursor(self.index, range, Direction::Forward);
        let mut rows = RowBuffer::new();
        tx.index_next(snapshot, &mut cursor, 1, &mut rows)?;
        Ok(rows)
    }

    /// Brings the rows of these keys, as a new snapshot of the transaction sees them, into an image.
    fn read_into(self, tx: &mut Transaction, image: &mut Image, keys: &BTreeSet<RowKey>) -> Result<()> {
        let snapshot = tx.snapshot();
        let mut relations = Vec::new();
        for (kind, owner, oid, sub) in keys.iter().copied() {
            let rows = self.read(tx, &snapshot, (Kind::of(kind)?, owner, oid, sub))?;
            if rows.is_empty() {
                image.forget(Kind::of(kind)?, oid, sub);
                continue;
            }
            let Value::Bytes(body) = rows.row(0).get(ColumnNo(4)) else {
                return Err(Error::internal("a catalog row has no body"));
            };
            if kind == Kind::Relation as i16 {
                image.stamp(oid, body);
                relations.push(decode::<Relation>(body)?);
            } else {
                image.take(kind, oid, sub, body)?;
            }
        }
        // A table is there before its indexes, and all tables are before what refers to them.
        relations.sort_by_key(|relation| relation.kind == RelationKind::Index);
        let referring: Vec<Relation> =
            relations.iter().filter(|relation| !relation.constraints.is_empty()).cloned().collect();
        relations.into_iter().chain(referring).for_each(|relation| image.put_relation(relation));
        // Relations say the names of their schemas.
        if keys.iter().any(|key| key.0 == Kind::Schema as i16) {
            image.link();
        }
        Ok(())
    }

    fn put<T: serde::Serialize>(self, tx: &mut Transaction, snapshot: &Snapshot, key: Key, body: &T) -> Result<()> {
        let body = serde_json::to_vec(body).map_err(|e| Error::internal(e.to_string()))?;
        if let Some(row) = self.find(tx, snapshot, key)? {
            let changes = [(ColumnNo(4), Value::Bytes(&body))];
            tx.update(snapshot, self.table, row, Base::Snapshot, &changes)?;
            return Ok(());
        }
        let values = [
            Value::Int16(key.0 as i16),
            Value::Int64(i64::from(key.1.0)),
            Value::Int64(i64::from(key.2.0)),
            Value::Int32(key.3),
            Value::Bytes(&body),
        ];
        tx.insert(snapshot, self.table, &values)?;
        Ok(())
    }

    fn remove(self, tx: &mut Transaction, snapshot: &Snapshot, key: Key) -> Result<()> {
        if let Some(row) = self.find(tx, snapshot, key)? {
            tx.delete(snapshot, self.table, row, Base::Snapshot)?;
        }
        Ok(())
    }

    /// The image of a database as a new snapshot of the transaction sees it; its version is for the caller to give.
    fn image(self, tx: &mut Transaction, database: Oid) -> Result<Image> {
        let snapshot = tx.snapshot();
        let mut image = Image { database, ..Image::default() };
        self.each(tx, &snapshot, |(kind, owner, oid, sub), body| {
            if owner == Oid::NONE || owner == database {
                image.take(kind, oid, sub, body)?;
            }
            Ok(())
        })?;
        image.link();
        Ok(image)
    }

    fn each(
        self,
        tx: &Transaction,
        snapshot: &Snapshot,
        mut each: impl FnMut((i16, Oid, Oid, i32), &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut next = Some(RowId(1));
        let mut rows = RowBuffer::new();
        while let Some(from) = next {
            rows.clear();
            next = tx.scan(snapshot, self.table, from..RowId(u64::MAX), 256, &mut rows)?;
            for i in 0..rows.len() {
                let row = rows.row(i);
                let cells = [0, 1, 2, 3, 4].map(|no| row.get(ColumnNo(no)));
                let [
                    Value::Int16(kind),
                    Value::Int64(database),
                    Value::Int64(oid),
                    Value::Int32(sub),
                    Value::Bytes(body),
                ] = cells
                else {
                    return Err(Error::internal("a catalog row has other columns"));
                };
                each((kind, Oid(database as u32), Oid(oid as u32), sub), body)?;
            }
        }
        Ok(())
    }
}

fn decode<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|e| Error::new(crate::error::SqlState::DataCorrupted, format!("a catalog row cannot be read: {e}")))
}

impl Image {
    fn take(&mut self, kind: i16, oid: Oid, sub: i32, body: &[u8]) -> Result<()> {
        match kind {
            k if k == Kind::Schema as i16 => self.put_schema(decode(body)?),
            k if k == Kind::Relation as i16 => {
                let relation: Relation = decode(body)?;
                self.relations.insert(oid, Arc::new(relation));
                self.stamp(oid, body);
            }
            k if k == Kind::Type as i16 => {
                self.put_type(decode(body)?);
                self.stamp(oid, body);
            }
            k if k == Kind::Role as i16 => {
                self.roles.insert(oid, Arc::new(decode(body)?));
            }
            k if k == Kind::Database as i16 => {
                self.databases.insert(oid, Arc::new(decode(body)?));
            }
            k if k == Kind::Comment as i16 => {
                let (class, text): (u32, String) = decode(body)?;
                self.comments.insert((oid, Oid(class), sub), text);
            }
            k if k == Kind::Statistics as i16 => {
                self.statistics.insert(oid, Arc::new(decode(body)?));
            }
            other => return Err(Error::internal(format!("catalog rows of kind {other} are unknown"))),
        }
        Ok(())
    }

    /// Notes what stands in the row of a relation or a type.
    fn stamp(&mut self, object: Oid, body: &[u8]) {
        let mut hasher = std::hash::DefaultHasher::new();
        (object, body).hash(&mut hasher);
        let before = self.stamps.insert(object, hasher.finish());
        if self.types.contains_key(&object) {
            self.types_stamp ^= before.unwrap_or_default() ^ hasher.finish();
        }
    }

    fn put_type(&mut self, ty: UserType) {
        self.remove_type(ty.oid);
        ty.register();
        self.type_names.insert((ty.schema, ty.name.as_str().into()), ty.oid);
        self.type_names.insert((ty.schema, ty.array_name.as_str().into()), ty.array);
        self.types.insert(ty.oid, Arc::new(ty));
    }

    fn remove_type(&mut self, oid: Oid) {
        if let Some(old) = self.types.remove(&oid) {
            self.type_names.remove(&(old.schema, old.name.as_str().into()));
            self.type_names.remove(&(old.schema, old.array_name.as_str().into()));
        }
    }

    /// Takes out what a row defined that is gone.
    fn forget(&mut self, kind: Kind, oid: Oid, sub: i32) {
        match kind {
            Kind::Schema => {
                self.schemas.remove(&oid);
                self.schema_names.retain(|_, schema| *schema != oid);
            }
            Kind::Relation => {
                self.stamps.remove(&oid);
                self.remove_relation(oid);
            }
            Kind::Type => {
                self.types_stamp ^= self.stamps.remove(&oid).unwrap_or_default();
                self.remove_type(oid);
            }
            Kind::Role => _ = self.roles.remove(&oid),
            Kind::Database => _ = self.databases.remove(&oid),
            Kind::Comment => self.comments.retain(|(object, _, at), _| (*object, *at) != (oid, sub)),
            Kind::Statistics => _ = self.statistics.remove(&oid),
        }
    }

    /// Adds or replaces one relation with all that relations say of each other.
    fn put_relation(&mut self, mut relation: Relation) {
        let oid = relation.oid;
        if let Some(old) = self.relations.get(&oid).cloned() {
            self.unlink(&old);
        }
        if let Some(left) = self.relations.get(&oid) {
            relation.indexes.clone_from(&left.indexes);
            relation.referenced_by.clone_from(&left.referenced_by);
        }
        relation.schema_name = self.schemas.get(&relation.schema).map_or_else(String::new, |s| s.name.clone());
        self.relation_names.insert((relation.schema, relation.name.as_str().into()), oid);
        if relation.row_type != Oid::NONE {
            self.row_types.insert(relation.row_type, oid);
        }
        let relation = Arc::new(relation);
        self.relations.insert(oid, relation.clone());
        if let Body::Index(index) = &relation.body
            && let Some(table) = self.relations.get_mut(&index.table)
        {
            let indexes = &mut Arc::make_mut(table).indexes;
            indexes.push(index.clone());
            indexes.sort_by_key(|index| index.oid);
        }
        for constraint in &relation.constraints {
            if let ConstraintKind::ForeignKey { references, .. } = constraint.kind
                && let Some(target) = self.relations.get_mut(&references)
            {
                let referenced_by = &mut Arc::make_mut(target).referenced_by;
                referenced_by.push(constraint.clone());
                referenced_by.sort_by_key(|constraint| constraint.oid);
            }
        }
    }

    fn remove_relation(&mut self, oid: Oid) {
        if let Some(old) = self.relations.remove(&oid) {
            self.unlink(&old);
        }
    }

    /// Takes out what others say of a relation.
    fn unlink(&mut self, old: &Relation) {
        let key = (old.schema, old.name.as_str().into());
        if self.relation_names.get(&key) == Some(&old.oid) {
            self.relation_names.remove(&key);
        }
        self.row_types.remove(&old.row_type);
        if let Body::Index(index) = &old.body
            && let Some(table) = self.relations.get_mut(&index.table)
        {
            Arc::make_mut(table).indexes.retain(|other| other.oid != old.oid);
        }
        for constraint in &old.constraints {
            if let ConstraintKind::ForeignKey { references, .. } = constraint.kind
                && let Some(target) = self.relations.get_mut(&references)
            {
                Arc::make_mut(target).referenced_by.retain(|other| other.table != old.oid);
            }
        }
    }

    fn put_schema(&mut self, schema: Schema) {
        self.schema_names.retain(|_, oid| *oid != schema.oid);
        self.schema_names.insert(schema.name.clone(), schema.oid);
        self.schemas.insert(schema.oid, Arc::new(schema));
    }

    /// Derives what relations say of each other: names, a table's indexes, the foreign keys that refer to it.
    pub fn link(&mut self) {
        for system in super::system::relations() {
            self.relations.insert(system.oid, system.clone());
        }
        let mut indexes: HashMap<Oid, Vec<Arc<super::image::Index>>> = HashMap::new();
        let mut referencing: HashMap<Oid, Vec<Arc<super::image::Constraint>>> = HashMap::new();
        for relation in self.relations.values() {
            if let Body::Index(index) = &relation.body {
                indexes.entry(index.table).or_default().push(index.clone());
            }
            for constraint in &relation.constraints {
                if let super::image::ConstraintKind::ForeignKey { references, .. } = constraint.kind {
                    referencing.entry(references).or_default().push(constraint.clone());
                }
            }
        }
        self.relation_names.clear();
        self.row_types.clear();
        let oids: Vec<Oid> = self.relations.keys().copied().collect();
        for oid in oids {
            let Some(relation) = self.relations.get_mut(&oid) else { continue };
            self.relation_names.insert((relation.schema, relation.name.as_str().into()), oid);
            // System relations are shared by all images and complete as they are.
            if oid < Oid::FIRST_USER {
                continue;
            }
            if relation.row_type != Oid::NONE {
                self.row_types.insert(relation.row_type, oid);
            }
            let relation = Arc::make_mut(relation);
            relation.schema_name = self.schemas.get(&relation.schema).map_or_else(String::new, |s| s.name.clone());
            relation.indexes = indexes.remove(&oid).unwrap_or_default();
            relation.indexes.sort_by_key(|index| index.oid);
            relation.referenced_by = referencing.remove(&oid).unwrap_or_default();
            relation.referenced_by.sort_by_key(|constraint| constraint.oid);
        }
    }
}

/// A version that no other image has: plans made over a private image that was rolled back must not serve a later one.
fn private_version() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 32);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The catalog as one transaction changes it: its private image, written through to storage.
#[derive(Clone, Debug)]
pub struct Change {
    /// The image with the changes so far.
    pub image: Arc<Image>,
    /// Roles or databases were changed.
    pub shared: bool,
    /// Version of the committed image that the changes stand on.
    base: u64,
    /// The catalog rows that were written or removed.
    written: BTreeSet<RowKey>,
    rows: Rows,
}

impl Change {
    /// Begins on the committed image.
    pub fn new(image: Arc<Image>) -> Change {
        Change { base: image.version, image, shared: false, written: BTreeSet::new(), rows: ROWS }
    }

    fn put<T: serde::Serialize>(
        &mut self,
        tx: &mut Transaction,
        snapshot: &Snapshot,
        key: Key,
        body: &T,
    ) -> Result<()> {
        self.written.insert((key.0 as i16, key.1, key.2, key.3));
        self.rows.put(tx, snapshot, key, body)
    }

    fn remove(&mut self, tx: &mut Transaction, snapshot: &Snapshot, key: Key) -> Result<()> {
        self.written.insert((key.0 as i16, key.1, key.2, key.3));
        self.rows.remove(tx, snapshot, key)
    }

    /// Adds or replaces a relation.
    ///
    /// # Errors
    /// Storage errors, waits included: the same call is made again then.
    pub fn put_relation(&mut self, tx: &mut Transaction, relation: Relation) -> Result<()> {
        let snapshot = tx.snapshot();
        self.put(tx, &snapshot, (Kind::Relation, self.image.database, relation.oid, 0), &relation)?;
        let image = Arc::make_mut(&mut self.image);
        image.put_relation(relation);
        image.version = private_version();
        Ok(())
    }

    /// Removes a relation.
    ///
    /// # Errors
    /// As [`Change::put_relation`].
    pub fn remove_relation(&mut self, tx: &mut Transaction, oid: Oid) -> Result<()> {
        let snapshot = tx.snapshot();
        self.remove(tx, &snapshot, (Kind::Relation, self.image.database, oid, 0))?;
        self.remove_comments(tx, oid)?;
        if self.image.statistics.contains_key(&oid) {
            self.remove(tx, &snapshot, (Kind::Statistics, self.image.database, oid, 0))?;
        }
        let image = Arc::make_mut(&mut self.image);
        image.statistics.remove(&oid);
        image.remove_relation(oid);
        image.version = private_version();
        Ok(())
    }

    /// Adds or replaces a user's type. `new_label`: one that may not be used before the transaction commits.
    ///
    /// # Errors
    /// As [`Change::put_relation`].
    pub fn put_type(&mut self, tx: &mut Transaction, ty: UserType, new_label: Option<Oid>) -> Result<()> {
        let snapshot = tx.snapshot();
        self.put(tx, &snapshot, (Kind::Type, self.image.database, ty.oid, 0), &ty)?;
        let image = Arc::make_mut(&mut self.image);
        image.put_type(ty);
        image.new_labels.extend(new_label);
        image.version = private_version();
        Ok(())
    }

    /// Removes a user's type.
    ///
    /// # Errors
    /// As [`Change::put_relation`].
    pub fn remove_type(&mut self, tx: &mut Transaction, oid: Oid) -> Result<()> {
        let snapshot = tx.snapshot();
        self.remove(tx, &snapshot, (Kind::Type, self.image.database, oid, 0))?;
        self.remove_comments(tx, oid)?;
        let image = Arc::make_mut(&mut self.image);
        image.remove_type(oid);
        image.version = private_version();
        Ok(())
    }

    /// Adds or replaces what ANALYZE has found about a table.
    ///
    /// # Errors
    /// As [`Change::put_relation`].
    pub fn put_statistics(&mut self, tx: &mut Transaction, table: Oid, statistics: TableStatistics) -> Result<()> {
        let snapshot = tx.snapshot();
        self.put(tx, &snapshot, (Kind::Statistics, self.image.database, table, 0), &statistics)?;
        let image = Arc::make_mut(&mut self.image);
        image.statistics.insert(table, Arc::new(statistics));
        image.version = private_version();
        Ok(())
    }

    /// Adds or replaces a schema.
    ///
    /// # Errors
    /// As [`Change::put_relation`].
    pub fn put_schema(&mut self, tx: &mut Transaction, schema: Schema) -> Result<()> {
        let snapshot = tx.snapshot();
        self.put(tx, &snapshot, (Kind::Schema, self.image.database, schema.oid, 0), &schema)?;
        let image = Arc::make_mut(&mut self.image);
        image.put_schema(schema);
        image.version = private_version();
        image.link();
        Ok(())
    }

    /// Removes a schema.
    ///
    /// # Errors
    /// As [`Change::put_relation`].
    pub fn remove_schema(&mut self, tx: &mut Transaction, oid: Oid) -> Result<()> {
        let snapshot = tx.snapshot();
        self.remove(tx, &snapshot, (Kind::Schema, self.image.database, oid, 0))?;
        self.remove_comments(tx, oid)?;
        let image = Arc::make_mut(&mut self.image);
        image.schemas.remove(&oid);
        image.schema_names.retain(|_, schema| *schema != oid);
        image.version = private_version();
        Ok(())
    }

    /// Adds or replaces a role.
    ///
    /// # Errors
    /// As [`Change::put_relation`].
    pub fn put_role(&mut self, tx: &mut Transaction, role: Role) -> Result<()> {
        let snapshot = tx.snapshot();
        self.put(tx, &snapshot, (Kind::Role, Oid::NONE, role.oid, 0), &role)?;
        self.shared_image().roles.insert(role.oid, Arc::new(role));
        Ok(())
    }

    /// The image, of which something that all databases share is about to change.
    fn shared_image(&mut self) -> &mut Image {
        self.shared = true;
        let image = Arc::make_mut(&mut self.image);
        image.version = private_version();
        image
    }

    /// Removes a role.
    ///
    /// # Errors
    /// As [`Change::put_relation`].
    pub fn remove_role(&mut self, tx: &mut Transaction, oid: Oid) -> Result<()> {
        let snapshot = tx.snapshot();
        self.remove(tx, &snapshot, (Kind::Role, Oid::NONE, oid, 0))?;
        self.remove_comments(tx, oid)?;
        self.shared_image().roles.remove(&oid);
        Ok(())
    }

    /// Adds or replaces a database.
    ///
    /// # Errors
    /// As [`Change::put_relation`].
    pub fn put_database(&mut self, tx: &mut Transaction, database: Database) -> Result<()> {
        let snapshot = tx.snapshot();
        self.put(tx, &snapshot, (Kind::Database, Oid::NONE, database.oid, 0), &database)?;
        self.shared_image().databases.insert(database.oid, Arc::new(database));
        Ok(())
    }

    /// Removes a database from the list, and everything that its catalog says.
    ///
    /// # Errors
    /// As [`Change::put_relation`].
    pub fn remove_database(&mut self, tx: &mut Transaction, oid: Oid) -> Result<()> {
        let snapshot = tx.snapshot();
        let mut inside = Vec::new();
        self.rows.each(tx, &snapshot, |(kind, database, object, sub), _| {
            if database == oid {
                inside.push((Kind::of(kind)?, database, object, sub));
            }
            Ok(())
        })?;
        inside.into_iter().try_for_each(|key| self.remove(tx, &snapshot, key))?;
        self.remove(tx, &snapshot, (Kind::Database, Oid::NONE, oid, 0))?;
        self.remove_comments(tx, oid)?;
        self.shared_image().databases.remove(&oid);
        Ok(())
    }

    /// Writes what the catalog of another database, under construction, says.
    ///
    /// # Errors
    /// As [`Change::put_relation`].
    pub fn fill_database(&mut self, tx: &mut Transaction, image: &Image) -> Result<()> {
        let snapshot = tx.snapshot();
        for schema in image.schemas.values() {
            self.put(tx, &snapshot, (Kind::Schema, image.database, schema.oid, 0), &**schema)?;
        }
        for relation in image.relations.values().filter(|relation| !matches!(relation.body, Body::System(_))) {
            self.put(tx, &snapshot, (Kind::Relation, image.database, relation.oid, 0), &**relation)?;
        }
        for ty in image.types.values() {
            self.put(tx, &snapshot, (Kind::Type, image.database, ty.oid, 0), &**ty)?;
        }
        for (table, statistics) in &image.statistics {
            self.put(tx, &snapshot, (Kind::Statistics, image.database, *table, 0), &**statistics)?;
        }
        for ((object, class, sub), text) in &image.comments {
            self.put(tx, &snapshot, (Kind::Comment, image.database, *object, *sub), &(class.0, text))?;
        }
        Ok(())
    }

    /// Removes the comments on an object and its parts.
    fn remove_comments(&mut self, tx: &mut Transaction, object: Oid) -> Result<()> {
        let found: Vec<_> = self.image.comments.keys().filter(|(oid, ..)| *oid == object).copied().collect();
        found.into_iter().try_for_each(|(object, class, sub)| self.comment(tx, object, class, sub, None))
    }

    /// Sets or removes a comment.
    ///
    /// # Errors
    /// As [`Change::put_relation`].
    pub fn comment(
        &mut self,
        tx: &mut Transaction,
        object: Oid,
        class: Oid,
        sub: i32,
        text: Option<&str>,
    ) -> Result<()> {
        let snapshot = tx.snapshot();
        let shared = class == fixed::CLASS_DATABASE || class == fixed::CLASS_ROLE;
        self.shared |= shared;
        let key = (Kind::Comment, if shared { Oid::NONE } else { self.image.database }, object, sub);
        match text {
            Some(text) => self.put(tx, &snapshot, key, &(class.0, text))?,
            None => self.remove(tx, &snapshot, key)?,
        }
        let image = Arc::make_mut(&mut self.image);
        image.version = private_version();
        match text {
            Some(text) => _ = image.comments.insert((object, class, sub), text.to_owned()),
            None => _ = image.comments.remove(&(object, class, sub)),
        }
        Ok(())
    }

    /// A name in a schema that is not taken: PostgreSQL's `ChooseRelationName` (`a_b_label`, cut to 63 bytes, then numbered).
    pub fn choose_name(&self, schema: Oid, first: &str, second: Option<&str>, label: &str) -> String {
        for pass in 0.. {
            let label = if pass == 0 { label.to_owned() } else { format!("{label}{pass}") };
            let name = make_name(first, second, &label);
            if self.image.relation(schema, &name).is_none() && !self.constraint_taken(schema, &name) {
                return name;
            }
        }
        unreachable!("some number is free")
    }

    /// A name for a domain's constraint that none in the schema has: PostgreSQL's `ChooseConstraintName`; `taken` knows more.
    pub fn choose_constraint_name(
        &self,
        schema: Oid,
        first: &str,
        label: &str,
        taken: &dyn Fn(&str) -> bool,
    ) -> String {
        for pass in 0.. {
            let label = if pass == 0 { label.to_owned() } else { format!("{label}{pass}") };
            let name = make_name(first, None, &label);
            if !taken(&name) && !self.constraint_taken(schema, &name) {
                return name;
            }
        }
        unreachable!("some number is free")
    }

    fn constraint_taken(&self, schema: Oid, name: &str) -> bool {
        let mut relations = self.image.relations.values().filter(|relation| relation.schema == schema);
        let mut domains = self.image.types.values().filter(|ty| ty.schema == schema).filter_map(|ty| ty.domain());
        relations.any(|relation| relation.constraints.iter().any(|constraint| constraint.name == name))
            || domains.any(|domain| domain.checks.iter().any(|check| check.name == name))
    }

    /// The kind of relation that has a name, for messages.
    pub fn taken(&self, schema: Oid, name: &str) -> Option<RelationKind> {
        self.image.relation(schema, name).map(|relation| relation.kind)
    }
}

/// PostgreSQL's `makeObjectName`: the longer of the two names is cut until all fits in 63 bytes.
fn make_name(first: &str, second: Option<&str>, label: &str) -> String {
    let overhead = 1 + label.len() + second.map_or(0, |_| 1);
    let (mut a, mut b) = (first.len(), second.map_or(0, str::len));
    while a + b > 63 - overhead {
        if a > b { a -= 1 } else { b -= 1 }
    }
    let cut = |text: &str, mut len: usize| {
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        text[..len].to_owned()
    };
    match second {
        Some(second) => format!("{}_{}_{label}", cut(first, a), cut(second, b)),
        None => format!("{}_{label}", cut(first, a)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_as_postgresql_makes_them() {
        assert_eq!(make_name("t", Some("a"), "key"), "t_a_key");
        assert_eq!(make_name("t", None, "pkey"), "t_pkey");
        let long = "x".repeat(63);
        assert_eq!(make_name(&long, Some("abc"), "fkey").len(), 63);
        assert!(make_name(&long, Some("abc"), "fkey").ends_with("_abc_fkey"));
    }
}
