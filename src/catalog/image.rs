//! The catalog image: one immutable picture of all names of one database, per catalog commit.
//!
//! The binder, pg_catalog and the executor read it through an `Arc`; a transaction with DDL of its own has a private one.
//! Built-in types, functions, operators and casts are static data (`catalog::builtin`); the image holds what users can change.

use crate::types::format::FormatSettings;
use crate::types::shape::{self, Shape};
use crate::types::text_io::{self, Names, TextContext};
use crate::types::{Datum, Oid, Text, Type};
use lightning_storage::ObjectId;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};

/// One database's catalog at one point of the log.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Raised with every catalog commit of this database: plans compare it before they look closer.
    pub version: u64,
    /// This database.
    pub database: Oid,
    /// Schemas by oid (pg_catalog, information_schema, public, users', pg_temp_n).
    pub schemas: HashMap<Oid, Arc<Schema>>,
    /// Schema oids by name.
    pub schema_names: HashMap<String, Oid>,
    /// Relations of every kind by oid, indexes and sequences too, system relations included.
    pub relations: HashMap<Oid, Arc<Relation>>,
    /// (schema, name) to relation.
    pub relation_names: HashMap<(Oid, Text), Oid>,
    /// Users' row types to relations.
    pub row_types: HashMap<Oid, Oid>,
    /// Users' enums and domains by oid; the array types over them are theirs.
    pub types: HashMap<Oid, Arc<UserType>>,
    /// (schema, name) to an enum or domain, or the array type over one.
    pub type_names: HashMap<(Oid, Text), Oid>,
    /// A hash of all rows of `types`: of committed images, to tell whether all types are as they were.
    pub types_stamp: u64,
    /// Labels that this transaction has added to enums that were there before it: not to be used before its commit.
    pub new_labels: HashSet<Oid>,
    /// Roles (shared by all databases) by oid.
    pub roles: HashMap<Oid, Arc<Role>>,
    /// All databases (shared).
    pub databases: HashMap<Oid, Arc<Database>>,
    /// What stands in each user's relation's row, hashed: of committed images, to tell whether a relation is as it was.
    pub stamps: HashMap<Oid, u64>,
    /// What ANALYZE has found, by table.
    pub statistics: HashMap<Oid, Arc<TableStatistics>>,
    /// COMMENT: (object, class oid, subid) to text.
    pub comments: HashMap<(Oid, Oid, i32), String>,
}

/// A schema.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Schema {
    pub oid: Oid,
    pub name: String,
    pub owner: Oid,
}

/// A role.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Role {
    pub oid: Oid,
    pub name: String,
    pub superuser: bool,
    pub login: bool,
    pub create_db: bool,
    pub create_role: bool,
    pub inherit: bool,
    pub connection_limit: i32,
    /// SCRAM-SHA-256 verifier in PostgreSQL's text form.
    pub password: Option<String>,
    pub valid_until: Option<i64>,
}

/// A database.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Database {
    pub oid: Oid,
    pub name: String,
    pub owner: Oid,
    pub is_template: bool,
    pub allow_connections: bool,
    pub connection_limit: i32,
}

/// What ANALYZE has found about a table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TableStatistics {
    /// Its rows.
    pub rows: f64,
    /// Row ids below this were given out then: what came later is counted by it.
    pub bound: u64,
    /// By attribute number.
    pub columns: HashMap<i16, ColumnStatistics>,
}

/// What ANALYZE has found about a column.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ColumnStatistics {
    /// Fraction of NULLs.
    pub null_fraction: f32,
    /// Average bytes of a value.
    pub width: i32,
    /// Distinct values; negative: that fraction of the rows.
    pub distinct: f32,
    /// Most common values as text, and the fraction of rows that have each.
    pub common: Vec<(String, f32)>,
    /// Bounds of equally filled buckets of the other values, as text.
    pub histogram: Vec<String>,
    /// Of the rows' order with the values'.
    pub correlation: Option<f32>,
    /// The texts above as values, once the planner has asked.
    #[serde(skip)]
    pub read: OnceLock<StatisticValues>,
}

/// The values of a column's statistics.
#[derive(Clone, Debug, Default)]
pub struct StatisticValues {
    /// Most common values, and the fraction of rows that have each.
    pub common: Vec<(Datum, f32)>,
    /// Bounds of the histogram.
    pub histogram: Vec<Datum>,
}

impl ColumnStatistics {
    /// The most common values and the histogram as values of the column's type. What does not read, because it was written
    /// under another DateStyle, is left out.
    pub fn values(&self, ty: Type) -> &StatisticValues {
        self.read.get_or_init(|| {
            let (format, time_zone) = (FormatSettings::default(), jiff::tz::TimeZone::UTC);
            let ctx = TextContext { format: &format, time_zone: &time_zone, now: 0, names: &NoNames };
            let value = |text: &String| text_io::input(text, ty, &ctx).ok();
            StatisticValues {
                common: self.common.iter().filter_map(|(text, part)| Some((value(text)?, *part))).collect(),
                histogram: self.histogram.iter().filter_map(value).collect(),
            }
        })
    }
}

/// Statistics hold no names of objects that could be looked up.
struct NoNames;

impl Names for NoNames {
    fn read(&self, _: Oid, text: &str) -> crate::error::Result<Oid> {
        Err(crate::error::Error::unsupported(text))
    }
    fn show(&self, _: Oid, _: Oid) -> Option<String> {
        None
    }
}

/// A type that a user has made, with the array type over it. What never changes of it is in `types::shape` too.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct UserType {
    pub oid: Oid,
    pub schema: Oid,
    pub name: String,
    pub owner: Oid,
    /// The array type over it.
    pub array: Oid,
    /// `_name`, or what was free.
    pub array_name: String,
    pub kind: TypeKind,
}

/// What a user's type is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum TypeKind {
    /// Labels in their order.
    Enum(Vec<EnumLabel>),
    /// A domain.
    Domain(Domain),
}

/// A label of an enum.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnumLabel {
    /// pg_enum.oid
    pub oid: Oid,
    /// The label.
    pub name: String,
    /// What values with this label are stored and compared as: never another one (see `types::shape::place`).
    pub place: String,
    /// pg_enum.enumsortorder, for catalogs: PostgreSQL's numbers.
    pub order: f32,
}

/// A domain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Domain {
    /// What it is over: a domain perhaps.
    pub base: Type,
    /// pg_type.typcollation: COLLATE's, or the base type's.
    pub collation: Oid,
    /// pg_type.typndims: how many dimensions were written.
    pub dimensions: i32,
    /// NOT NULL.
    pub not_null: bool,
    /// DEFAULT expression as text.
    pub default: Option<String>,
    /// CHECKs.
    pub checks: Vec<DomainCheck>,
}

/// A domain's CHECK.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DomainCheck {
    /// pg_constraint.oid
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// The expression's text, over VALUE.
    pub expression: String,
    /// False for NOT VALID.
    pub validated: bool,
}

/// pg_class.relkind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum RelationKind {
    Table,
    Index,
    Sequence,
    View,
}

/// A relation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Relation {
    /// pg_class.oid
    pub oid: Oid,
    /// Schema.
    pub schema: Oid,
    /// Schema name, for messages.
    #[serde(skip)]
    pub schema_name: String,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: RelationKind,
    /// Owner.
    pub owner: Oid,
    /// Its row type in pg_type (tables, views).
    pub row_type: Oid,
    /// TEMP.
    pub temporary: bool,
    /// All attributes in attribute order, dropped ones included: `attributes[attnum - 1]`.
    pub attributes: Vec<Attribute>,
    /// Constraints (CHECK, PRIMARY KEY, UNIQUE, FOREIGN KEY) of this table.
    pub constraints: Vec<Arc<Constraint>>,
    /// Foreign keys of other tables (and this one) that refer to this table.
    #[serde(skip)]
    pub referenced_by: Vec<Arc<Constraint>>,
    /// Indexes, by oid order.
    #[serde(skip)]
    pub indexes: Vec<Arc<Index>>,
    /// What is behind it.
    pub body: Body,
    /// ANALYZE's row count; -1 never analysed.
    pub row_estimate: f64,
}

/// What is behind a relation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Body {
    /// A stored table.
    Table {
        /// Its storage object.
        #[serde(with = "object_id")]
        storage: ObjectId,
        /// ON COMMIT of a temporary table.
        on_commit: OnCommit,
    },
    /// A system relation: a generator named by this static description.
    #[serde(skip)]
    System(&'static crate::catalog::system::SystemRelation),
    /// A view: its SELECT as text, bound anew at use with `search_path` fixed to what it was at creation.
    View {
        /// The query's text as pg_get_viewdef's source.
        text: String,
        /// Resolved search path at creation.
        search_path: Vec<String>,
        /// WITH CHECK OPTION
        #[serde(default)]
        check: Option<CheckOption>,
    },
    /// An index (its description is also in its table's `indexes`).
    Index(Arc<Index>),
    /// A sequence.
    Sequence(Sequence),
}

/// WITH CHECK OPTION.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum CheckOption {
    Local,
    Cascaded,
}

/// ON COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum OnCommit {
    PreserveRows,
    DeleteRows,
    Drop,
}

/// A sequence's definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Sequence {
    #[serde(with = "object_id")]
    pub storage: ObjectId,
    pub ty: Oid,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cache: i64,
    pub cycle: bool,
    /// OWNED BY: table and attribute; `identity` when it is an identity column's.
    pub owned_by: Option<(Oid, i16)>,
    pub identity: bool,
}

/// An attribute of a relation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attribute {
    /// 1-based.
    pub number: i16,
    /// Name.
    pub name: String,
    /// Type.
    pub ty: Type,
    /// NOT NULL.
    pub not_null: bool,
    /// DEFAULT expression as text (bound at use), or the generation expression when `generated`.
    pub default: Option<String>,
    /// GENERATED ALWAYS AS (…) STORED.
    pub generated: bool,
    /// GENERATED … AS IDENTITY.
    pub identity: Option<Identity>,
    /// Dropped.
    pub dropped: bool,
    /// The storage column.
    pub storage: u16,
    /// SET STATISTICS and SET STORAGE: shown, no more; they steer what this server has not.
    #[serde(default)]
    pub steering: Steering,
    /// What rows older than the column read as (already in `storage`'s default): the constant, for catalogs.
    #[serde(skip)]
    pub missing: Option<Datum>,
}

/// What a column is told of PostgreSQL's ANALYZE and TOAST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steering {
    /// pg_attribute.attstattarget, unless it is -1.
    pub statistics: Option<i32>,
    /// pg_attribute.attstorage, unless it is the type's.
    pub storage: Option<u8>,
}

/// Identity columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Identity {
    Always,
    ByDefault,
}

/// An index.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Index {
    /// pg_class.oid
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// Its table.
    pub table: Oid,
    /// Its storage object.
    #[serde(with = "object_id")]
    pub storage: ObjectId,
    /// Key columns in order.
    pub keys: Vec<IndexKey>,
    /// INCLUDE attributes (kept for the catalog; values are read from the row).
    pub include: Vec<i16>,
    /// UNIQUE.
    pub unique: bool,
    /// NULLS NOT DISTINCT.
    pub nulls_not_distinct: bool,
    /// PRIMARY KEY.
    pub primary: bool,
    /// Deferrable unique constraint behind it.
    pub deferrable: bool,
    /// Partial: predicate text and the hidden storage column that holds its value.
    pub predicate: Option<(String, u16)>,
}

/// One key column of an index.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IndexKey {
    /// The attribute, or 0 for an expression.
    pub attribute: i16,
    /// The expression's text when `attribute` is 0.
    pub expression: Option<String>,
    /// The storage column read: the attribute's, or the hidden column's.
    pub storage: u16,
    /// Its type.
    pub ty: Type,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST
    pub nulls_first: bool,
}

/// A table constraint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Constraint {
    /// pg_constraint.oid
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// Its table.
    pub table: Oid,
    /// What it demands.
    pub kind: ConstraintKind,
    /// DEFERRABLE
    pub deferrable: bool,
    /// INITIALLY DEFERRED
    pub deferred: bool,
    /// False for NOT VALID.
    pub validated: bool,
}

/// Constraint kinds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ConstraintKind {
    /// Expression text, and the attributes it names.
    Check {
        expression: String,
        columns: Vec<i16>,
        no_inherit: bool,
    },
    PrimaryKey {
        columns: Vec<i16>,
        index: Oid,
    },
    Unique {
        columns: Vec<i16>,
        index: Oid,
    },
    ForeignKey {
        columns: Vec<i16>,
        references: Oid,
        referenced_columns: Vec<i16>,
        /// The unique index on the referenced columns.
        index: Oid,
        on_update: ReferentialAction,
        on_delete: ReferentialAction,
        /// ON DELETE SET NULL/DEFAULT (columns).
        delete_columns: Vec<i16>,
        match_full: bool,
    },
}

/// ON UPDATE / ON DELETE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ReferentialAction {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

impl UserType {
    /// Makes known what it is made of.
    pub fn register(&self) {
        let array = self.array;
        shape::register(array, Shape::Array { element: self.oid });
        shape::register(
            self.oid,
            match &self.kind {
                TypeKind::Enum(_) => Shape::Enum { array },
                TypeKind::Domain(domain) => Shape::Domain { base: domain.base, array, collation: domain.collation },
            },
        );
    }

    /// An enum's labels.
    pub fn labels(&self) -> &[EnumLabel] {
        match &self.kind {
            TypeKind::Enum(labels) => labels,
            TypeKind::Domain(_) => &[],
        }
    }

    /// What is special of a domain.
    pub fn domain(&self) -> Option<&Domain> {
        match &self.kind {
            TypeKind::Enum(_) => None,
            TypeKind::Domain(domain) => Some(domain),
        }
    }
}

impl Domain {
    /// A domain that demands nothing.
    pub fn over(base: Type) -> Domain {
        Domain { base, collation: Oid::NONE, dimensions: 0, not_null: false, default: None, checks: Vec::new() }
    }

    /// The row that its checks are over: VALUE alone.
    pub fn row(&self) -> Relation {
        let value = Attribute {
            number: 1,
            name: "value".to_owned(),
            ty: self.base,
            not_null: false,
            default: None,
            generated: false,
            identity: None,
            dropped: false,
            storage: 0,
            steering: Steering::default(),
            missing: None,
        };
        Relation {
            oid: Oid::NONE,
            schema: Oid::NONE,
            schema_name: String::new(),
            name: "value".to_owned(),
            kind: RelationKind::Table,
            owner: Oid::NONE,
            row_type: Oid::NONE,
            temporary: false,
            attributes: vec![value],
            constraints: Vec::new(),
            referenced_by: Vec::new(),
            indexes: Vec::new(),
            body: Body::View { text: String::new(), search_path: Vec::new(), check: None },
            row_estimate: -1.0,
        }
    }
}

impl IndexKey {
    /// The type that its values are compared as: operators see what a domain is over.
    pub fn compared(&self) -> Type {
        shape::base(self.ty)
    }
}

impl Index {
    /// Whether it reads values that are computed of a row: expressions, or a predicate.
    pub fn is_derived(&self) -> bool {
        self.predicate.is_some() || self.keys.iter().any(|key| key.attribute == 0)
    }
}

impl Relation {
    /// The attribute of this name that is not dropped.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| !a.dropped && a.name == name)
    }

    /// Attributes that are not dropped, in order.
    pub fn live_attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.attributes.iter().filter(|a| !a.dropped)
    }
}

impl Image {
    /// A hash of all that a plan over these relations depends on: the relations with their indexes and the tables that foreign
    /// keys tie to them, their schemas, what their names mean on the search path, the user's rights, and all users' types. Of committed
    /// images only.
    pub fn fingerprint(&self, relations: &[Oid], path: &[Oid], user: Oid) -> u64 {
        let mut hasher = DefaultHasher::new();
        let owner = self.databases.get(&self.database).map(|database| database.owner);
        (path, user, self.is_superuser(user), owner, self.types_stamp).hash(&mut hasher);
        let stamp = |oid: &Oid| self.stamps.get(oid).copied();
        for oid in relations {
            (oid, stamp(oid)).hash(&mut hasher);
            let Some(relation) = self.relations.get(oid) else { continue };
            if let Some(schema) = self.schemas.get(&relation.schema) {
                (schema.oid, &schema.name, schema.owner).hash(&mut hasher);
            }
            let found = path.iter().find_map(|schema| self.relation(*schema, &relation.name));
            found.map(|relation| relation.oid).hash(&mut hasher);
            relation.indexes.iter().for_each(|index| (index.oid, stamp(&index.oid)).hash(&mut hasher));
            relation.referenced_by.iter().for_each(|key| (key.oid, stamp(&key.table)).hash(&mut hasher));
            for constraint in &relation.constraints {
                if let ConstraintKind::ForeignKey { references, .. } = &constraint.kind {
                    (references, stamp(references)).hash(&mut hasher);
                }
            }
        }
        hasher.finish()
    }

    /// The user's type of an oid, and whether the oid is that of the array type over it.
    pub fn user_type(&self, ty: Oid) -> Option<(&Arc<UserType>, bool)> {
        match shape::of(ty)? {
            Shape::Array { element } => self.types.get(&element).map(|found| (found, true)),
            Shape::Enum { .. } | Shape::Domain { .. } => self.types.get(&ty).map(|found| (found, false)),
        }
    }

    /// The user's type of this schema and name: an enum, a domain, the array type over one.
    pub fn type_named(&self, schema: Oid, name: &str) -> Option<Oid> {
        self.type_names.get(&(schema, name.into())).copied()
    }

    /// The relation of this schema and name.
    pub fn relation(&self, schema: Oid, name: &str) -> Option<&Arc<Relation>> {
        self.relations.get(self.relation_names.get(&(schema, name.into()))?)
    }
}

mod object_id {
    use super::ObjectId;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &ObjectId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(id.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectId, D::Error> {
        u32::deserialize(deserializer).map(ObjectId)
    }
}
