//! CREATE INDEX.
//!
//! An expression among the keys, and a partial index's predicate, are hidden columns of the table: each row carries their values, so
//! that storage keeps the index without knowing SQL. Rows that are there get theirs by an update in the statement's own transaction:
//! like a plain index, it keeps writers away and lets readers go on, who see the rows as they were.

use super::expression::is_mutable;
use super::{CLIENT_TEXT, DdlContext};
use crate::catalog::builtin;
use crate::catalog::image::{Body, Index, IndexKey, Relation, RelationKind};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::utility::{CreateIndex, ExprText, IndexKeyDef};
use crate::sql::bind::scope::Clause;
use crate::sql::bind::scope::is_system_column;
use crate::sql::tree::Expr;
use crate::types::{Type, oid, physical};
use lightning_storage::{ColumnDef, ColumnNo, LockMode, ObjectId, OwnedValue};
use std::sync::Arc;

/// Key columns that an index may have.
const KEYS_MAX: usize = 32;

impl DdlContext<'_> {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> Result<&'static str> {
        const TAG: &str = "CREATE INDEX";
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
        if create.keys.len() + create.include.len() > KEYS_MAX {
            let message = format!("cannot use more than {KEYS_MAX} columns in an index");
            return Err(Error::new(SqlState::TooManyColumns, message));
        }
        let hidden = create.predicate.is_some() || create.keys.iter().any(|key| key.expr.is_some());
        // Two that change the rows at once would be in each other's way.
        self.lock(relation.oid, if hidden { LockMode::ShareRowExclusive } else { LockMode::Share })?;
        let keys = create.keys.iter().map(|key| self.index_key(&relation, key)).collect::<Result<Vec<_>>>()?;
        let mut include = Vec::new();
        for key in &create.include {
            let Some(column) = &key.column else {
                let message = "expressions are not supported in included columns";
                return Err(Error::new(SqlState::FeatureNotSupported, message));
            };
            let Some(attribute) = relation.attribute(&column.name) else {
                if is_system_column(&column.name) {
                    return Err(Error::new(
                        SqlState::FeatureNotSupported,
                        "index creation on system columns is not supported",
                    ));
                }
                let message = format!("column \"{}\" does not exist", column.name);
                return Err(Error::new(SqlState::UndefinedColumn, message));
            };
            include.push(attribute.number);
        }
        let predicate = match &create.predicate {
            None => None,
            Some(filter) => {
                let bound = self.index_source(&relation, filter, Clause::IndexPredicate)?;
                check_immutable(&bound, "functions in index predicate must be marked IMMUTABLE")?;
                Some((filter.text.clone(), 0))
            }
        };
        let name = match &create.name {
            Some(name) => name.name.clone(),
            None => {
                let mut columns: Vec<String> = Vec::new();
                for key in create.keys.iter().chain(&create.include) {
                    columns.push(match (&key.column, &key.expr) {
                        (Some(column), _) => column.name.clone(),
                        (None, Some(expr)) => {
                            let name = self.binder(|binder| Ok(binder.output_name(&expr.expr)))?;
                            numbered(if name == "?column?" { "expr".to_owned() } else { name }, &columns)
                        }
                        (None, None) => "expr".to_owned(),
                    });
                }
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
            predicate,
        };
        self.check_keys(&index)?;
        let index = if hidden { self.add_hidden(&relation, index)? } else { index };
        self.build(&relation, index)?;
        Ok(TAG)
    }

    fn index_key(&self, relation: &Arc<Relation>, key: &IndexKeyDef) -> Result<IndexKey> {
        if let Some(class) = &key.operator_class {
            return Err(Error::unsupported(format!("operator class \"{}\"", class.display())).at(class.pos));
        }
        if let Some(collation) = &key.collation
            && !matches!(collation.name(), "C" | "POSIX" | "default" | "ucs_basic")
        {
            return Err(Error::unsupported(format!("collation \"{}\"", collation.display())).at(collation.pos));
        }
        let descending = key.descending.unwrap_or(false);
        let nulls_first = key.nulls_first.unwrap_or(descending);
        let blank =
            IndexKey { attribute: 0, expression: None, storage: 0, ty: Type::new(oid::TEXT), descending, nulls_first };
        if let Some(expr) = &key.expr {
            let bound = self.index_source(relation, expr, Clause::IndexExpression)?;
            check_immutable(&bound, "functions in index expression must be marked IMMUTABLE")?;
            return Ok(IndexKey { expression: Some(expr.text.clone()), ty: bound.ty, ..blank });
        }
        let name = key.column.as_ref().map_or("", |column| &column.name);
        let Some(attribute) = relation.attribute(name) else {
            if is_system_column(name) {
                let message = "index creation on system columns is not supported";
                return Err(Error::new(SqlState::FeatureNotSupported, message));
            }
            return Err(Error::new(SqlState::UndefinedColumn, format!("column \"{name}\" does not exist")));
        };
        Ok(IndexKey { attribute: attribute.number, storage: attribute.storage, ty: attribute.ty, ..blank })
    }

    /// 42704 for a key of a type without an order.
    pub(super) fn check_keys(&self, index: &Index) -> Result<()> {
        let unordered = |key: &&IndexKey| builtin::comparison("<", builtin::base_type(key.ty).oid).is_none();
        let Some(key) = index.keys.iter().find(unordered) else { return Ok(()) };
        let name = self.binder(|binder| Ok(binder.type_name(key.ty)))?;
        let message = format!("data type {name} has no default operator class for access method \"btree\"");
        Err(Error::new(SqlState::UndefinedObject, message).hint(
            "You must specify an operator class for the index or define a default operator class for the data type.",
        ))
    }

    /// A stored expression of an index over its table's row.
    pub(super) fn index_expression(&self, relation: &Arc<Relation>, text: &str) -> Result<Expr> {
        self.binder(|mut binder| {
            let row = binder.row_columns(relation);
            binder.stored_expression(text, relation, &row, Clause::IndexExpression, None)
        })
        .map_err(Error::without_position)
    }

    /// An expression as the client wrote it.
    fn index_source(&self, relation: &Arc<Relation>, source: &ExprText, clause: Clause) -> Result<Expr> {
        let expected = (clause == Clause::IndexPredicate).then_some(Type::new(oid::BOOL));
        self.binder_of(CLIENT_TEXT, |mut binder| {
            let row = binder.row_columns(relation);
            binder.expression_over(&source.expr, relation, &row, clause, expected)
        })
    }

    /// Adds an index's hidden columns to its table, and their values to its rows.
    fn add_hidden(&mut self, relation: &Arc<Relation>, mut index: Index) -> Result<Index> {
        let Body::Table { storage, .. } = relation.body else {
            return Err(Error::unsupported("an index on this kind of relation"));
        };
        let mut def = self.with(|tx| tx.table_def(storage))?;
        let mut add = |ty: Type| {
            let no = u16::try_from(def.columns.len())
                .map_err(|_| Error::new(SqlState::TooManyColumns, "the table has had too many columns"))?;
            let ty = physical::column_type(ty);
            def.columns.push(ColumnDef { no: ColumnNo(no), ty, default: OwnedValue::Null, dropped: false });
            Ok::<u16, Error>(no)
        };
        for key in index.keys.iter_mut().filter(|key| key.expression.is_some()) {
            key.storage = add(key.ty)?;
        }
        if let Some((_, storage)) = &mut index.predicate {
            *storage = add(Type::new(oid::BOOL))?;
        }
        self.with(|tx| tx.alter_table(storage, def))?;
        self.fill_hidden(relation, &index)?;
        Ok(index)
    }
}

/// PostgreSQL's `ChooseIndexColumnNames`: a name that is there already is numbered.
fn numbered(name: String, taken: &[String]) -> String {
    let mut candidate = name.clone();
    let mut number = 1;
    while taken.contains(&candidate) {
        candidate = format!("{name}{number}");
        number += 1;
    }
    candidate
}

/// 42P17 for an expression whose value may change while its row does not.
fn check_immutable(expr: &Expr, message: &str) -> Result<()> {
    if is_mutable(expr) { Err(Error::new(SqlState::InvalidObjectDefinition, message)) } else { Ok(()) }
}
