//! Indexes and keys of system relations: only their definitions exist, generators find rows without them.

use crate::catalog::builtin;
use crate::catalog::image::{Attribute, Constraint, ConstraintKind, Index, IndexKey};
use crate::types::Oid;
use lightning_storage::ObjectId;
use std::collections::HashMap;
use std::sync::Arc;

/// An index whose name and columns' types its row of pg_index does not tell.
pub(super) struct Unnamed {
    oid: Oid,
    table: Oid,
    columns: Vec<i16>,
    unique: bool,
    primary: bool,
}

impl Unnamed {
    pub(super) fn named(self, name: &str, attributes: &[Attribute]) -> Index {
        let key = |(column, attribute): (&i16, &Attribute)| IndexKey {
            attribute: *column,
            expression: None,
            storage: 0,
            ty: attribute.ty,
            descending: false,
            nulls_first: false,
        };
        Index {
            oid: self.oid,
            name: name.to_owned(),
            table: self.table,
            storage: ObjectId(0),
            keys: self.columns.iter().zip(attributes).map(key).collect(),
            include: Vec::new(),
            unique: self.unique,
            nulls_not_distinct: false,
            primary: self.primary,
            deferrable: false,
            predicate: None,
        }
    }
}

/// The rows of a file with its columns by name.
fn rows(name: &str) -> impl Iterator<Item = impl Fn(&str) -> &'static str> {
    let (header, rows) = builtin::rows(name);
    let places: Arc<HashMap<&str, usize>> =
        Arc::new(header.into_iter().enumerate().map(|(i, name)| (name, i)).collect());
    rows.map(move |row| {
        let places = places.clone();
        move |column: &str| places.get(column).map_or("", |at| row[*at])
    })
}

fn oid(text: &str) -> Oid {
    Oid(text.parse().unwrap_or(0))
}

fn numbers(text: &str) -> Vec<i16> {
    text.split([' ', ',', '{', '}']).filter_map(|number| number.parse().ok()).collect()
}

pub(super) fn indexes() -> HashMap<Oid, Unnamed> {
    let index = |field: &dyn Fn(&str) -> &'static str| Unnamed {
        oid: oid(field("indexrelid")),
        table: oid(field("indrelid")),
        columns: numbers(field("indkey")),
        unique: field("indisunique") == "t",
        primary: field("indisprimary") == "t",
    };
    rows("pg_index").map(|field| index(&field)).map(|index| (index.oid, index)).collect()
}

/// Keys by table.
pub(super) fn constraints() -> HashMap<Oid, Vec<Arc<Constraint>>> {
    let mut found: HashMap<Oid, Vec<Arc<Constraint>>> = HashMap::new();
    for field in rows("pg_constraint") {
        let (columns, index) = (numbers(field("conkey")), oid(field("conindid")));
        let kind = match field("contype") {
            "p" => ConstraintKind::PrimaryKey { columns, index },
            "u" => ConstraintKind::Unique { columns, index },
            _ => continue,
        };
        let table = oid(field("conrelid"));
        let (name, oid) = (field("conname").to_owned(), oid(field("oid")));
        let constraint = Constraint { oid, name, table, kind, deferrable: false, deferred: false, validated: true };
        found.entry(table).or_default().push(Arc::new(constraint));
    }
    found
}
