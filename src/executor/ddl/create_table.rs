//! CREATE TABLE, and the constraints that ALTER TABLE adds.

use super::DdlContext;
use super::expression::ColumnExpr;
use crate::catalog::image::{
    Attribute, Body, Constraint, ConstraintKind, Identity, Index, IndexKey, Relation, RelationKind, Sequence,
};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::Ident;
use crate::sql::ast::utility::{ConstraintBody, ConstraintDef, CreateTable, ForeignKey};
use crate::sql::bind::scope::is_system_column;
use crate::types::{Oid, Type, oid, physical};
use lightning_storage::{ColumnDef, ColumnNo, LockMode, ObjectId, OwnedValue, TableDef};
use std::sync::Arc;

/// Columns that a table may have.
const COLUMNS_MAX: usize = 1600;

/// 54011 when a table would have too many columns, dropped ones included.
pub(super) fn check_column_count(count: usize) -> Result<()> {
    if count <= COLUMNS_MAX {
        return Ok(());
    }
    let message = format!("tables can have at most {COLUMNS_MAX} columns");
    Err(Error::new(SqlState::TooManyColumns, message))
}

/// A sequence to be made for a serial or identity column.
pub(super) struct OwnSequence {
    pub(super) attribute: i16,
    pub(super) ty: Oid,
    pub(super) identity: bool,
    pub(super) options: Vec<crate::sql::ast::utility::SequenceOption>,
}

impl DdlContext<'_> {
    pub(super) fn create_table(&mut self, create: &CreateTable) -> Result<&'static str> {
        const TAG: &str = "CREATE TABLE";
        if create.unlogged || create.tablespace.is_some() {
            return Err(Error::unsupported("UNLOGGED or TABLESPACE of a table"));
        }
        let on_commit = super::create_as::on_commit(create.on_commit, create.temporary)?;
        if create.access_method.as_ref().is_some_and(|method| method.name != "heap") {
            return Err(Error::unsupported("a table access method other than heap"));
        }
        if let Some(option) = create.options.iter().find(|option| option.name != "fillfactor") {
            return Err(Error::unsupported(format!("storage parameter \"{}\"", option.name)).at(option.pos));
        }
        let (schema, name) = self.creation_target(&create.name, create.temporary)?;
        if create.if_not_exists && self.is_taken(schema, &name, true)? {
            return Ok(TAG);
        }
        let mut likes = self.like_columns(create)?;
        check_column_count(likes.columns.len())?;
        let (mut attributes, mut constraints, mut sequences) = (Vec::new(), Vec::new(), Vec::new());
        let mut texts = Vec::new();
        for column in &likes.columns {
            check_column_name(&column.def.name)?;
            if attributes.iter().any(|a: &Attribute| a.name == column.def.name) {
                let message = format!("column \"{}\" specified more than once", column.def.name);
                return Err(Error::new(SqlState::DuplicateColumn, message));
            }
            attributes.push(self.attribute(
                column,
                &name,
                attributes.len(),
                (&mut constraints, &mut sequences, &mut texts),
            )?);
        }
        constraints.append(&mut likes.constraints);
        constraints.extend(create.constraints.iter().cloned());
        // What is wrong with the columns comes before a name that is taken.
        self.is_taken(schema, &name, false)?;
        let columns = attributes.iter().map(storage_column).collect();
        let temporary = self.temp_schema() == Some(schema);
        let storage = self.with(|tx| tx.create_table(TableDef { columns, temporary }))?;
        let (oid, row_type) = (self.new_oid()?, self.new_oid()?);
        let schema_name = self.image().schemas.get(&schema).map_or_else(String::new, |s| s.name.clone());
        let relation = Relation {
            oid,
            schema,
            schema_name,
            name: name.clone(),
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
        };
        texts.iter().try_for_each(|text| self.check_column_expr(&relation, text))?;
        self.put_relation(relation)?;
        self.lock(oid, LockMode::AccessExclusive)?;
        for sequence in sequences {
            self.own_sequence(oid, sequence)?;
        }
        // Foreign keys may refer to this table's own keys: they come last.
        constraints.sort_by_key(|constraint| matches!(constraint.kind, ConstraintBody::ForeignKey(_)));
        for constraint in &constraints {
            self.add_constraint(oid, constraint, false)?;
        }
        self.finish_likes(oid, &likes)?;
        Ok(TAG)
    }

    pub(super) fn attribute(
        &mut self,
        column: &super::like::Column,
        table: &str,
        at: usize,
        (constraints, sequences, texts): (&mut Vec<ConstraintDef>, &mut Vec<OwnSequence>, &mut Vec<ColumnExpr>),
    ) -> Result<Attribute> {
        let number = at as i16 + 1;
        let (taken_over, column) = (column.ty, &column.def);
        let serial = match column.ty.names.last().map(String::as_str) {
            Some("serial" | "serial4") => Some(oid::INT4),
            Some("bigserial" | "serial8") => Some(oid::INT8),
            Some("smallserial" | "serial2") => Some(oid::INT2),
            _ => None,
        };
        let ty = match (taken_over, serial) {
            (Some(ty), _) => ty,
            (None, Some(ty)) => Type::new(ty),
            (None, None) => self.bind_type(&column.ty)?,
        };
        if matches!(
            ty.oid,
            oid::UNKNOWN | oid::VOID | oid::ANY | oid::RECORD | oid::ANYELEMENT | oid::ANYARRAY | oid::TRIGGER
        ) {
            let message = format!("column \"{}\" has a pseudo-type", column.name);
            return Err(Error::new(SqlState::InvalidTableDefinition, message));
        }
        if let Some(collation) = &column.collation
            && !matches!(collation.name(), "C" | "POSIX" | "default" | "ucs_basic")
        {
            return Err(Error::unsupported(format!("collation \"{}\"", collation.display())).at(collation.pos));
        }
        let mut attribute = Attribute {
            number,
            name: column.name.clone(),
            ty,
            not_null: serial.is_some(),
            default: None,
            generated: false,
            identity: None,
            dropped: false,
            storage: at as u16,
            steering: Default::default(),
            missing: None,
        };
        if let Some(ty) = serial {
            sequences.push(OwnSequence { attribute: number, ty, identity: false, options: Vec::new() });
        }
        let mut null = None;
        for constraint in &column.constraints {
            match &constraint.kind {
                ConstraintBody::Null | ConstraintBody::NotNull => {
                    let wanted = matches!(constraint.kind, ConstraintBody::NotNull);
                    if null.is_some_and(|told| told != wanted) || (!wanted && attribute.not_null) {
                        return Err(conflicting_null(&column.name, table).at(constraint.pos));
                    }
                    null = Some(wanted);
                    attribute.not_null |= wanted;
                }
                ConstraintBody::Default(expr) | ConstraintBody::Generated(expr) => {
                    once(&attribute, constraint, table)?;
                    if serial.is_some() {
                        let column = &attribute.name;
                        let message =
                            format!("multiple default values specified for column \"{column}\" of table \"{table}\"");
                        return Err(Error::new(SqlState::SyntaxError, message));
                    }
                    attribute.default = Some(expr.text.clone());
                    attribute.generated = matches!(constraint.kind, ConstraintBody::Generated(_));
                    texts.push(ColumnExpr { number, expr: expr.clone(), generated: attribute.generated });
                }
                ConstraintBody::Identity { always, options } => {
                    once(&attribute, constraint, table)?;
                    if !matches!(ty.oid, oid::INT2 | oid::INT4 | oid::INT8) {
                        let message = "identity column type must be smallint, integer, or bigint";
                        return Err(Error::new(SqlState::InvalidParameterValue, message));
                    }
                    if null == Some(false) {
                        return Err(conflicting_null(&column.name, table).at(constraint.pos));
                    }
                    attribute.identity = Some(if *always { Identity::Always } else { Identity::ByDefault });
                    attribute.not_null = true;
                    sequences.push(OwnSequence {
                        attribute: number,
                        ty: ty.oid,
                        identity: true,
                        options: options.clone(),
                    });
                }
                _ => constraints.push(with_column(constraint, &column.name, column.pos)),
            }
        }
        Ok(attribute)
    }

    /// The sequence behind a serial or identity column: `table_column_seq`.
    pub(super) fn own_sequence(&mut self, table: Oid, own: OwnSequence) -> Result<()> {
        let relation = self.table(table)?;
        let column = relation.attributes[own.attribute as usize - 1].name.clone();
        let name = self.change.choose_name(relation.schema, &relation.name, Some(&column), "seq");
        let definition = super::sequence::sequence_definition(self, &own.options, Some(own.ty), None)?.sequence;
        let sequence = Sequence { owned_by: Some((table, own.attribute)), identity: own.identity, ..definition };
        let oid = self.put_sequence(relation.schema, name.clone(), sequence)?;
        if !own.identity {
            let mut changed = (*relation).clone();
            let schema = &self.image().schemas[&relation.schema].name;
            let quote = crate::executor::functions::string::quote_identifier;
            let qualified = format!("{}.{}", quote(schema), quote(&name)).replace('\'', "''");
            changed.attributes[own.attribute as usize - 1].default = Some(format!("nextval('{qualified}'::regclass)"));
            self.put_relation(changed)?;
        }
        let _ = oid;
        Ok(())
    }

    pub(super) fn table(&self, oid: Oid) -> Result<Arc<Relation>> {
        self.image().relations.get(&oid).cloned().ok_or_else(|| Error::internal("a table is gone from the catalog"))
    }

    /// Adds a constraint; with `validate`, existing rows must satisfy it.
    pub(super) fn add_constraint(&mut self, table: Oid, def: &ConstraintDef, validate: bool) -> Result<()> {
        let relation = self.table(table)?;
        let mut used = None;
        let (kind, label, column) = match &def.kind {
            ConstraintBody::PrimaryKey { columns, index } => {
                if !index.include.is_empty() {
                    return Err(Error::unsupported("INCLUDE in a constraint"));
                }
                if relation.constraints.iter().any(|c| matches!(c.kind, ConstraintKind::PrimaryKey { .. })) {
                    let message = format!("multiple primary keys for table \"{}\" are not allowed", relation.name);
                    return Err(Error::new(SqlState::InvalidTableDefinition, message).at(def.pos));
                }
                if validate {
                    // ALTER TABLE looks for the columns to make NOT NULL first.
                    columns.iter().try_for_each(|column| number(&relation, column).map(|_| ()))?;
                }
                let columns = key_columns(&relation, columns, "primary key", def.pos)?;
                for column in &columns {
                    self.require_not_null(table, *column, validate)?;
                }
                (Key::Primary(columns), "pkey", None)
            }
            ConstraintBody::Unique { columns, nulls_not_distinct, index } => {
                if !index.include.is_empty() {
                    return Err(Error::unsupported("INCLUDE in a constraint"));
                }
                let names = columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join("_");
                (
                    Key::Unique(key_columns(&relation, columns, "unique", def.pos)?, *nulls_not_distinct),
                    "key",
                    Some(names),
                )
            }
            ConstraintBody::Check(expr) => {
                let names = self.check_columns(&relation, expr)?;
                let column = match &names[..] {
                    [one] => Some(relation.attributes[*one as usize - 1].name.clone()),
                    _ => None,
                };
                let kind =
                    ConstraintKind::Check { expression: expr.text.clone(), columns: names, no_inherit: def.no_inherit };
                (Key::Other(kind), "check", column)
            }
            ConstraintBody::ForeignKey(key) => {
                let names = key.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join("_");
                let name = match &def.name {
                    Some(name) => name.clone(),
                    None => self.change.choose_name(relation.schema, &relation.name, Some(&names), "fkey"),
                };
                (Key::Other(self.foreign_key(&relation, key, &name)?), "fkey", Some(names))
            }
            ConstraintBody::UsingIndex { primary, index } => {
                let deferrable = def.deferrable.unwrap_or(def.initially_deferred == Some(true));
                let (kind, name) = self
                    .constraint_using(table, (*primary, index), def.name.as_deref(), deferrable)
                    .map_err(|error| error.at(def.pos))?;
                used = Some(name);
                (Key::Other(kind), "key", None)
            }
            ConstraintBody::Exclude => return Err(Error::unsupported("exclusion constraints").at(def.pos)),
            _ => return Err(Error::internal("a column property is no table constraint")),
        };
        let name = match used.as_ref().or(def.name.as_ref()) {
            Some(name) => name.clone(),
            None => self.change.choose_name(relation.schema, &relation.name, column.as_deref(), label),
        };
        if self.table(table)?.constraints.iter().any(|c| c.name == name) {
            if let (false, ConstraintBody::Check(_)) = (validate, &def.kind) {
                let message = format!("check constraint \"{name}\" already exists");
                return Err(Error::new(SqlState::DuplicateObject, message));
            }
            if matches!(kind, Key::Primary(_) | Key::Unique(..)) {
                // A key's index has its name: that it is taken comes first.
                self.is_taken(relation.schema, &name, false)?;
            }
            let message = format!("constraint \"{name}\" for relation \"{}\" already exists", relation.name);
            return Err(Error::new(SqlState::DuplicateObject, message));
        }
        let deferrable = def.deferrable.unwrap_or(def.initially_deferred == Some(true));
        let kind = match kind {
            Key::Primary(columns) => {
                let index = self.key_index(table, &name, &columns, true, false, deferrable)?;
                ConstraintKind::PrimaryKey { columns, index }
            }
            Key::Unique(columns, nulls_not_distinct) => {
                let index = self.key_index(table, &name, &columns, false, nulls_not_distinct, deferrable)?;
                ConstraintKind::Unique { columns, index }
            }
            Key::Other(kind) => kind,
        };
        let constraint = Constraint {
            oid: self.new_oid()?,
            name,
            table,
            kind,
            deferrable,
            deferred: def.initially_deferred == Some(true),
            validated: !def.not_valid,
        };
        let oid = constraint.oid;
        let mut changed = (*self.table(table)?).clone();
        changed.constraints.push(Arc::new(constraint));
        self.put_relation(changed)?;
        if validate && !def.not_valid { self.validate(table, oid) } else { Ok(()) }
    }

    fn foreign_key(&self, relation: &Relation, key: &ForeignKey, constraint: &str) -> Result<ConstraintKind> {
        let Some(target) = self.find(&key.references) else {
            let message = format!("relation \"{}\" does not exist", key.references.display());
            return Err(Error::new(SqlState::UndefinedTable, message));
        };
        if target.kind != RelationKind::Table {
            let message = format!("referenced relation \"{}\" is not a table", target.name);
            return Err(Error::new(SqlState::WrongObjectType, message));
        }
        self.check_temporary_key(relation.temporary, target.temporary)?;
        self.image().check_access(self.user, &target)?;
        self.lock(target.oid, LockMode::ShareRowExclusive)?;
        let columns = numbers(relation, &key.columns)?;
        let primary = target.constraints.iter().find_map(|c| match &c.kind {
            ConstraintKind::PrimaryKey { columns, index } => Some((columns.clone(), *index)),
            _ => None,
        });
        let (referenced_columns, index) = if key.referenced_columns.is_empty() {
            primary.ok_or_else(|| {
                let message = format!("there is no primary key for referenced table \"{}\"", target.name);
                Error::new(SqlState::UndefinedObject, message)
            })?
        } else {
            let wanted = numbers(&target, &key.referenced_columns)?;
            let matches = |index: &&Arc<Index>| {
                let keys: Vec<i16> = index.keys.iter().map(|key| key.attribute).collect();
                index.unique
                    && index.predicate.is_none()
                    && keys.len() == wanted.len()
                    && wanted.iter().all(|column| keys.contains(column))
            };
            let Some(index) = target.indexes.iter().find(matches) else {
                let message = format!(
                    "there is no unique constraint matching given keys for referenced table \"{}\"",
                    target.name
                );
                return Err(Error::new(SqlState::InvalidForeignKey, message));
            };
            (wanted, index.oid)
        };
        if columns.len() != referenced_columns.len() {
            let message = "number of referencing and referenced columns for foreign key disagree";
            return Err(Error::new(SqlState::InvalidForeignKey, message));
        }
        for (column, referenced) in columns.iter().zip(&referenced_columns) {
            let (a, b) = (relation.attributes[*column as usize - 1].ty, target.attributes[*referenced as usize - 1].ty);
            if !can_refer(a.oid, b.oid) {
                let names = (
                    &relation.attributes[*column as usize - 1].name,
                    &target.attributes[*referenced as usize - 1].name,
                );
                let types = self.binder(|binder| Ok((binder.type_name(a), binder.type_name(b))))?;
                let detail = format!(
                    "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                    names.0, names.1, types.0, types.1
                );
                let message = format!("foreign key constraint \"{constraint}\" cannot be implemented");
                return Err(Error::new(SqlState::DatatypeMismatch, message).detail(detail));
            }
        }
        Ok(ConstraintKind::ForeignKey {
            delete_columns: numbers(relation, &key.delete_columns)?,
            columns,
            references: target.oid,
            referenced_columns,
            index,
            on_update: key.on_update,
            on_delete: key.on_delete,
            match_full: key.match_full,
        })
    }

    fn key_index(
        &mut self,
        table: Oid,
        name: &str,
        columns: &[i16],
        primary: bool,
        nulls_not_distinct: bool,
        deferrable: bool,
    ) -> Result<Oid> {
        let relation = self.table(table)?;
        if self.image().relation(relation.schema, name).is_some() {
            return Err(Error::new(SqlState::DuplicateTable, format!("relation \"{name}\" already exists")));
        }
        let keys = columns
            .iter()
            .map(|number| {
                let attribute = &relation.attributes[*number as usize - 1];
                IndexKey {
                    attribute: *number,
                    expression: None,
                    storage: attribute.storage,
                    ty: attribute.ty,
                    descending: false,
                    nulls_first: false,
                }
            })
            .collect();
        let index = Index {
            oid: self.new_oid()?,
            name: name.to_owned(),
            table,
            storage: ObjectId(0),
            keys,
            include: Vec::new(),
            unique: true,
            nulls_not_distinct,
            primary,
            deferrable,
            predicate: None,
        };
        self.check_keys(&index)?;
        self.build(&relation, index)
    }

    /// Makes an index in storage, fills it, and puts it into the catalog.
    pub(super) fn build(&mut self, relation: &Arc<Relation>, mut index: Index) -> Result<Oid> {
        index.storage = self.fill_index(relation, &index)?;
        self.register_index(relation, index)
    }

    /// Puts an index into the catalog.
    pub(super) fn register_index(&mut self, relation: &Arc<Relation>, index: Index) -> Result<Oid> {
        let attributes = index.keys.iter().enumerate().map(|(i, key)| Attribute {
            number: i as i16 + 1,
            name: match relation.attributes.get(usize::try_from(key.attribute - 1).unwrap_or(usize::MAX)) {
                Some(attribute) => attribute.name.clone(),
                None => "expr".to_owned(),
            },
            ty: key.ty,
            not_null: false,
            default: None,
            generated: false,
            identity: None,
            dropped: false,
            storage: i as u16,
            steering: Default::default(),
            missing: None,
        });
        let oid = index.oid;
        let entry = Relation {
            oid,
            schema: relation.schema,
            schema_name: relation.schema_name.clone(),
            name: index.name.clone(),
            kind: RelationKind::Index,
            owner: relation.owner,
            row_type: Oid::NONE,
            temporary: relation.temporary,
            attributes: attributes.collect(),
            constraints: Vec::new(),
            referenced_by: Vec::new(),
            indexes: Vec::new(),
            body: Body::Index(Arc::new(index)),
            row_estimate: -1.0,
        };
        self.put_relation(entry)?;
        Ok(oid)
    }
}

/// Whether a column of one type may refer to one of another: their values compare by the referenced type's index order.
pub(super) fn can_refer(from: Oid, to: Oid) -> bool {
    let integer = |ty| matches!(ty, oid::INT2 | oid::INT4 | oid::INT8);
    let text = |ty| matches!(ty, oid::TEXT | oid::VARCHAR);
    from == to || (integer(from) && (integer(to) || to == oid::NUMERIC)) || (text(from) && text(to))
}

enum Key {
    Primary(Vec<i16>),
    Unique(Vec<i16>, bool),
    Other(ConstraintKind),
}

/// A column constraint in table form.
fn with_column(constraint: &ConstraintDef, name: &str, pos: u32) -> ConstraintDef {
    let mut constraint = constraint.clone();
    let column = || vec![Ident { name: name.to_owned(), pos }];
    match &mut constraint.kind {
        ConstraintBody::PrimaryKey { columns, .. } | ConstraintBody::Unique { columns, .. } if columns.is_empty() => {
            *columns = column();
        }
        ConstraintBody::ForeignKey(key) if key.columns.is_empty() => key.columns = column(),
        _ => {}
    }
    constraint
}

pub(super) fn number(relation: &Relation, name: &Ident) -> Result<i16> {
    relation.attribute(&name.name).map(|attribute| attribute.number).ok_or_else(|| {
        let message = format!("column \"{}\" of relation \"{}\" does not exist", name.name, relation.name);
        Error::new(SqlState::UndefinedColumn, message)
    })
}

/// Columns of a foreign key.
fn numbers(relation: &Relation, names: &[Ident]) -> Result<Vec<i16>> {
    let find = |name: &Ident| {
        relation.attribute(&name.name).map(|attribute| attribute.number).ok_or_else(|| {
            let message = format!("column \"{}\" referenced in foreign key constraint does not exist", name.name);
            Error::new(SqlState::UndefinedColumn, message)
        })
    };
    names.iter().map(find).collect()
}

/// Columns of a PRIMARY KEY or UNIQUE constraint, which stands at `pos`.
fn key_columns(relation: &Relation, names: &[Ident], what: &str, pos: u32) -> Result<Vec<i16>> {
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let Some(attribute) = relation.attribute(&name.name) else {
            let message = format!("column \"{}\" named in key does not exist", name.name);
            return Err(Error::new(SqlState::UndefinedColumn, message).at(pos));
        };
        if columns.contains(&attribute.number) {
            let message = format!("column \"{}\" appears twice in {what} constraint", name.name);
            return Err(Error::new(SqlState::DuplicateColumn, message).at(pos));
        }
        columns.push(attribute.number);
    }
    Ok(columns)
}

fn conflicting_null(column: &str, table: &str) -> Error {
    let message = format!("conflicting NULL/NOT NULL declarations for column \"{column}\" of table \"{table}\"");
    Error::new(SqlState::SyntaxError, message)
}

/// Of DEFAULT, a generation expression and an identity a column may have one.
fn once(attribute: &Attribute, constraint: &ConstraintDef, table: &str) -> Result<()> {
    let what = match (&constraint.kind, attribute.identity.is_some(), attribute.default.is_some(), attribute.generated)
    {
        (_, false, false, _) => return Ok(()),
        (ConstraintBody::Default(_), false, _, false) => "multiple default values specified",
        (ConstraintBody::Generated(_), false, _, true) => "multiple generation clauses specified",
        (ConstraintBody::Identity { .. }, true, ..) => "multiple identity specifications",
        (ConstraintBody::Generated(_), true, ..) | (ConstraintBody::Identity { .. }, false, _, true) => {
            "both identity and generation expression specified"
        }
        (ConstraintBody::Default(_), true, ..) | (ConstraintBody::Identity { .. }, ..) => {
            "both default and identity specified"
        }
        _ => "both default and generation expression specified",
    };
    let message = format!("{what} for column \"{}\" of table \"{table}\"", attribute.name);
    Err(Error::new(SqlState::SyntaxError, message).at(constraint.pos))
}

pub(super) fn storage_column(attribute: &Attribute) -> ColumnDef {
    ColumnDef {
        no: ColumnNo(attribute.storage),
        ty: physical::column_type(attribute.ty),
        default: OwnedValue::Null,
        dropped: false,
    }
}

/// 42701 for the name of a system column.
pub(super) fn check_column_name(name: &str) -> Result<()> {
    if is_system_column(name) {
        let message = format!("column name \"{name}\" conflicts with a system column name");
        return Err(Error::new(SqlState::DuplicateColumn, message));
    }
    Ok(())
}
