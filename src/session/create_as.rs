//! CREATE TABLE AS, SELECT INTO: the query is planned and begun before its table is there, so that it may read another of
//! the same name; its rows go through the INSERT that COPY uses.

use super::Session;
use super::statement::Prepared;
use crate::catalog::image::Relation;
use crate::error::{Error, Result, SqlState};
use crate::executor::Execution;
use crate::executor::ddl::NewTable;
use crate::executor::functions::string::quote_identifier;
use crate::executor::row::load::Inserter;
use crate::sql::ast::Statement;
use crate::sql::ast::utility::{CreateTableAs, CreateTableSource};
use crate::types::{Datum, Type, oid};
use crate::wire::stream::Stream;
use std::sync::Arc;

impl Session {
    pub(super) async fn create_table_as(
        &mut self,
        create: &CreateTableAs,
        text: &str,
        stream: &mut Stream,
    ) -> Result<String> {
        const TAG: &str = "CREATE TABLE AS";
        check_options(create)?;
        self.ensure_transaction()?;
        self.check_writable(if text.trim_start().to_ascii_lowercase().starts_with("create") {
            TAG
        } else {
            "SELECT INTO"
        })?;
        let (prepared, params) = self.source(create, text)?;
        let new = NewTable {
            name: &create.name,
            temporary: create.temporary,
            on_commit: create.on_commit,
            if_not_exists: create.if_not_exists,
            columns: columns(create, &prepared)?,
        };
        if self.run_ddl(|ctx| ctx.is_table_taken(&new)).await? {
            return Ok(TAG.to_owned());
        }
        let execution = match create.with_data {
            true => Some(self.start(&prepared, params).await?),
            false => None,
        };
        let Some(table) = self.run_ddl(|ctx| ctx.create_plain_table(&new)).await? else { return Ok(TAG.to_owned()) };
        match execution {
            Some(mut execution) => {
                let filled = self.fill(&table, &mut execution, stream).await;
                if filled.is_err() {
                    self.leave(execution);
                }
                Ok(format!("SELECT {}", filled?))
            }
            None => Ok(TAG.to_owned()),
        }
    }

    /// The statement whose rows the table gets, and its parameters.
    fn source(&mut self, create: &CreateTableAs, text: &str) -> Result<(Arc<Prepared>, Arc<[Datum]>)> {
        match &create.source {
            CreateTableSource::Query(query) => {
                let statement = Arc::new(Statement::Query(query.clone()));
                let prepared = self.prepare_statement(text.into(), Some(statement), Vec::new())?;
                Ok((Arc::new(prepared), Arc::new([])))
            }
            CreateTableSource::Execute(execute) => {
                let prepared = self.find_prepared(&execute.name)?;
                if !matches!(prepared.statement.as_deref(), Some(Statement::Query(_))) {
                    return Err(Error::new(SqlState::WrongObjectType, "prepared statement is not a SELECT"));
                }
                let params = self.execute_params(execute, &prepared)?;
                Ok((prepared, params))
            }
        }
    }

    /// Puts a query's rows into a new table; their number.
    async fn fill(&mut self, table: &Relation, execution: &mut Execution, stream: &mut Stream) -> Result<u64> {
        let width = table.attributes.len();
        let insert = self.insert_statement(table)?;
        let (plan, ctx) = self.locked_plan(&insert).await.map_err(Error::without_position)?;
        let mut inserter = Inserter::start(plan, ctx)?;
        loop {
            let mut inserted = Ok(());
            let run = self.run(execution, stream, |execution, _| {
                let row: Arc<[Datum]> = (0..width).map(|i| execution.output(i).clone()).collect();
                inserted = inserter.insert(row);
                Ok(inserted.is_ok())
            });
            let ended = run.await?.is_some();
            while let Err(error) = inserted {
                self.wait_or_fail(error).await?;
                inserted = inserter.resume();
            }
            if ended {
                break;
            }
        }
        loop {
            match inserter.finish() {
                Ok(rows) => return Ok(rows),
                Err(error) => self.wait_or_fail(error).await?,
            }
        }
    }

    /// `INSERT INTO table VALUES ($1, …)`.
    fn insert_statement(&mut self, table: &Relation) -> Result<Prepared> {
        let image = self.image()?;
        let schema = image.schemas.get(&table.schema).map_or("", |schema| &schema.name);
        let name = format!("{}.{}", quote_identifier(schema), quote_identifier(&table.name));
        let values: Vec<String> = (1..=table.attributes.len()).map(|n| format!("${n}")).collect();
        let text = match values.is_empty() {
            true => format!("INSERT INTO {name} DEFAULT VALUES"),
            false => format!("INSERT INTO {name} VALUES ({})", values.join(", ")),
        };
        self.prepare(&text, table.attributes.iter().map(|column| Some(column.ty.oid)).collect())
    }
}

fn check_options(create: &CreateTableAs) -> Result<()> {
    if create.materialized {
        return Err(Error::unsupported("CREATE MATERIALIZED VIEW").at(create.name.pos));
    }
    if create.unlogged || create.tablespace.is_some() {
        return Err(Error::unsupported("UNLOGGED or TABLESPACE of a table"));
    }
    match create.options.iter().find(|option| option.name != "fillfactor") {
        Some(option) => Err(Error::unsupported(format!("storage parameter \"{}\"", option.name)).at(option.pos)),
        None => Ok(()),
    }
}

/// The table's columns: the query's, with the names given.
fn columns(create: &CreateTableAs, prepared: &Prepared) -> Result<Vec<(String, Type)>> {
    if create.columns.len() > prepared.output.len() {
        return Err(Error::new(SqlState::SyntaxError, "too many column names were specified"));
    }
    let column = |(i, column): (usize, &crate::sql::tree::OutputColumn)| {
        let name = create.columns.get(i).map_or(&column.name, |name| &name.name);
        let ty = if column.ty.oid == oid::UNKNOWN { Type::new(oid::TEXT) } else { column.ty };
        (name.clone(), ty)
    };
    Ok(prepared.output.iter().enumerate().map(column).collect())
}
