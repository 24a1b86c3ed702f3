//! Existing rows against new demands, by queries that look for one row in the way; and statements that DDL runs itself.

use super::DdlContext;
use crate::catalog::image::{ConstraintKind, Index, Relation};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::string::quote_identifier as quote;
use crate::executor::{Execution, StatementContext};
use crate::planner;
use crate::sql::bind::Binder;
use crate::sql::tree;
use crate::types::{Oid, text_io};
use std::sync::Arc;

impl DdlContext<'_> {
    /// Runs a statement in this transaction, on the catalog as changed so far; each row is given to `row`. Its errors have no
    /// position: the text is not the client's.
    pub(super) fn run(&self, text: &str, row: &mut dyn FnMut(&Execution) -> Result<()>) -> Result<u64> {
        // First of all: names in literals are looked up in the catalog as it is now.
        let ctx = self.now()?;
        let statement = crate::sql::parse::parse_one(text)?;
        let bound = Binder::new(&self.bind_context(), text).statement(&statement).map_err(Error::without_position)?;
        self.run_bound(&bound, ctx, row)
    }

    /// The surroundings of a statement that is about a table as a whole: it sees all that has been committed, at any isolation.
    fn now(&self) -> Result<StatementContext> {
        let ctx = (self.statement)(self.image().clone())?;
        let snapshot = self.with(|tx| Ok(tx.latest_snapshot()))?;
        Ok(StatementContext { snapshot, ..ctx })
    }

    /// As [`DdlContext::run`], a statement that is bound already.
    fn run_bound(
        &self,
        bound: &tree::Statement,
        ctx: StatementContext,
        row: &mut dyn FnMut(&Execution) -> Result<()>,
    ) -> Result<u64> {
        let (transaction, image) = (self.transaction.clone(), self.image().clone());
        let plan = planner::physical::plan_sized(bound, &|relation| {
            let transaction = transaction.lock();
            transaction.as_ref().and_then(|transaction| planner::physical::facts_now(relation, &image, transaction))
        })?;
        let mut execution = Execution::start(Arc::new(plan), Arc::new([]), ctx)?;
        execution.run_blocking(|execution| row(execution)).map_err(Error::without_position)
    }

    /// Computes the values that an index stores in its table's rows. Nobody else sees that the rows change.
    pub(super) fn fill_hidden(&self, relation: &Relation, index: &Index) -> Result<()> {
        let mut target = relation.clone();
        target.constraints.clear();
        target.referenced_by.clear();
        target.indexes = vec![Arc::new(index.clone())];
        let ctx = self.now()?;
        let bound =
            Binder::new(&self.bind_context(), "").hidden_update(&Arc::new(target)).map_err(Error::without_position)?;
        self.run_bound(&bound, ctx, &mut |_| Ok(())).map(|_| ())
    }

    /// The first row of a query, as text.
    pub(super) fn first_row(&self, text: &str) -> Result<Option<Vec<String>>> {
        let mut found = None;
        self.run(&format!("{text} LIMIT 1"), &mut |execution| {
            let ctx = execution.context().call.text();
            let output = &execution.plan().output;
            let value = |i: usize| {
                let mut text = String::new();
                match execution.output(i) {
                    null if null.is_null() => text.push_str("null"),
                    value => text_io::output(value, output[i].ty, &ctx, &mut text),
                }
                text
            };
            found = Some((0..output.len()).map(value).collect());
            Ok(())
        })?;
        Ok(found)
    }

    /// A relation's name for a text that is run here.
    pub(super) fn qualified(&self, relation: &Relation) -> String {
        let schema = self.image().schemas.get(&relation.schema).map_or("", |schema| &schema.name);
        format!("{}.{}", quote(schema), quote(&relation.name))
    }

    /// Makes a column NOT NULL; with `validate`, no row may have a NULL there.
    ///
    /// # Errors
    /// 23502
    pub(super) fn require_not_null(&mut self, table: Oid, column: i16, validate: bool) -> Result<()> {
        let relation = self.table(table)?;
        let attribute = &relation.attributes[column as usize - 1];
        if attribute.not_null {
            return Ok(());
        }
        if validate {
            self.check_not_null(&relation, column)?;
        }
        let mut changed = (*relation).clone();
        changed.attributes[column as usize - 1].not_null = true;
        self.put_relation(changed)
    }

    /// 23502 when a row has a NULL in a column.
    pub(super) fn check_not_null(&self, relation: &Relation, column: i16) -> Result<()> {
        let attribute = &relation.attributes[column as usize - 1];
        let text = format!("SELECT 1 FROM {} WHERE {} IS NULL", self.qualified(relation), quote(&attribute.name));
        if self.first_row(&text)?.is_none() {
            return Ok(());
        }
        let message = format!("column \"{}\" of relation \"{}\" contains null values", attribute.name, relation.name);
        Err(Error::new(SqlState::NotNullViolation, message)
            .table(relation.schema_name.clone(), relation.name.clone())
            .column(attribute.name.clone()))
    }

    /// Shows that all rows satisfy a constraint.
    ///
    /// # Errors
    /// 23514, 23503.
    pub(super) fn validate(&self, table: Oid, constraint: Oid) -> Result<()> {
        let relation = self.table(table)?;
        let Some(constraint) = relation.constraints.iter().find(|c| c.oid == constraint) else { return Ok(()) };
        match &constraint.kind {
            ConstraintKind::Check { expression, .. } => {
                let text = format!("SELECT 1 FROM {} WHERE NOT ({expression})", self.qualified(&relation));
                if self.first_row(&text)?.is_none() {
                    return Ok(());
                }
                let message = format!(
                    "check constraint \"{}\" of relation \"{}\" is violated by some row",
                    constraint.name, relation.name
                );
                Err(Error::new(SqlState::CheckViolation, message)
                    .table(relation.schema_name.clone(), relation.name.clone())
                    .constraint(constraint.name.clone()))
            }
            ConstraintKind::ForeignKey { columns, references, referenced_columns, match_full, .. } => {
                let target = self.table(*references)?;
                self.check_references(
                    (&relation, columns),
                    (&target, referenced_columns),
                    *match_full,
                    &constraint.name,
                )
            }
            ConstraintKind::PrimaryKey { .. } | ConstraintKind::Unique { .. } => Ok(()),
        }
    }

    /// 23503 when a referring row has no partner: PostgreSQL's `RI_Initial_Check`.
    fn check_references(
        &self,
        (from, columns): (&Relation, &[i16]),
        (to, referenced): (&Relation, &[i16]),
        match_full: bool,
        constraint: &str,
    ) -> Result<()> {
        let name = |relation: &Relation, column: &i16| quote(&relation.attributes[*column as usize - 1].name);
        let own: Vec<String> = columns.iter().map(|column| format!("f.{}", name(from, column))).collect();
        let other: Vec<String> = referenced.iter().map(|column| format!("p.{}", name(to, column))).collect();
        let on: Vec<String> = own.iter().zip(&other).map(|(own, other)| format!("{other} = {own}")).collect();
        let given: Vec<String> = own.iter().map(|column| format!("{column} IS NOT NULL")).collect();
        let text = format!(
            "SELECT {} FROM {} f LEFT JOIN {} p ON ({}) WHERE {} IS NULL AND ({})",
            own.join(", "),
            self.qualified(from),
            self.qualified(to),
            on.join(" AND "),
            other[0],
            given.join(if match_full { " OR " } else { " AND " }),
        );
        let Some(row) = self.first_row(&text)? else { return Ok(()) };
        let message =
            format!("insert or update on table \"{}\" violates foreign key constraint \"{constraint}\"", from.name);
        let mixed = match_full && row.iter().any(|value| value == "null");
        let detail = if mixed {
            "MATCH FULL does not allow mixing of null and nonnull key values.".to_owned()
        } else {
            let names: Vec<&str> =
                columns.iter().map(|column| from.attributes[*column as usize - 1].name.as_str()).collect();
            format!("Key ({})=({}) is not present in table \"{}\".", names.join(", "), row.join(", "), to.name)
        };
        Err(Error::new(SqlState::ForeignKeyViolation, message)
            .detail(detail)
            .table(from.schema_name.clone(), from.name.clone())
            .constraint(constraint))
    }

    /// 23505 of an index that could not be built, with a key that is there twice.
    pub(super) fn duplicate(&self, relation: &Relation, index: &Index) -> Error {
        let shown: Vec<String> = index.keys.iter().map(|key| key_text(relation, key)).collect();
        let keys = shown.join(", ");
        let filter = index.predicate.as_ref().map_or_else(String::new, |(text, _)| format!("WHERE {text}"));
        let table = self.qualified(relation);
        let text = format!("SELECT {keys} FROM {table} {filter} GROUP BY {keys} HAVING count(*) > 1 ORDER BY {keys}");
        let message = format!("could not create unique index \"{}\"", index.name);
        let error = Error::new(SqlState::UniqueViolation, message)
            .table(relation.schema_name.clone(), relation.name.clone())
            .constraint(index.name.clone());
        match self.first_row(&text) {
            Ok(Some(row)) => error.detail(format!("Key ({keys})=({}) is duplicated.", row.join(", "))),
            _ => error,
        }
    }
}

/// A key column as SQL: the column's name, or its expression.
fn key_text(relation: &Relation, key: &crate::catalog::image::IndexKey) -> String {
    match &key.expression {
        Some(expression) => format!("({expression})"),
        None => quote(&relation.attributes[key.attribute as usize - 1].name),
    }
}
