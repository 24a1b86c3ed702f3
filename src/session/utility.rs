//! Statements that are not planned: transactions, settings, prepared statements, cursors, and the way to DDL.

use super::Session;
use super::run::{RowWriter, command_tag};
use super::statement::Prepared;
use super::transaction::Block;
use crate::catalog::store::Change;
use crate::error::{Error, Result, SqlState};
use crate::executor::ddl::{self, DdlContext};
use crate::interrupt;
use crate::sql::ast::utility::{
    Discard, Explain, LockTable, ObjectKind, Set, SetValue, SettingName, TableLockMode, Transaction, Utility,
};
use crate::sql::ast::{self, Statement};
use crate::sql::tree::{ColumnId, OutputColumn};
use crate::types::{Type, oid, shape};
use crate::wire::stream::Stream;
use lightning_storage::{LockMode, LockTag, WaitPolicy};
use std::sync::Arc;
use std::time::Instant;

/// Old versions that VACUUM removes at most before it answers: the server goes on removing them by itself.
const VACUUM_BUDGET: usize = 100_000;

fn text_column(name: &str) -> OutputColumn {
    OutputColumn { name: name.to_owned(), column: ColumnId(0), ty: Type::new(oid::TEXT), origin: None }
}

impl Session {
    /// The columns that a utility statement shows.
    pub(super) fn utility_output(&mut self, utility: &Utility) -> Result<Vec<OutputColumn>> {
        Ok(match utility {
            Utility::Show(SettingName::All) => {
                ["name", "setting", "description"].into_iter().map(text_column).collect()
            }
            Utility::Show(SettingName::Name(name)) => vec![text_column(&self.shown_name(name)?)],
            Utility::Explain(_) => vec![text_column("QUERY PLAN")],
            Utility::Execute(execute) => self.find_prepared(&execute.name)?.output.to_vec(),
            Utility::Fetch(fetch) if !fetch.is_move => self.find_cursor(&fetch.cursor)?.prepared.output.to_vec(),
            _ => Vec::new(),
        })
    }

    fn shown_name(&self, name: &str) -> Result<String> {
        match name {
            "session_authorization" | "transaction_isolation" => Ok(name.to_owned()),
            name => self.settings.lock().canonical(name).ok_or_else(|| unknown_setting(name)),
        }
    }

    /// Runs a utility statement; gives its command tag.
    pub(super) async fn utility(&mut self, utility: &Utility, text: &str, stream: &mut Stream) -> Result<String> {
        let tag = match utility {
            Utility::Transaction(transaction) => return self.transaction_statement(transaction).await,
            Utility::Set(set) => {
                self.set(set)?;
                "SET"
            }
            Utility::Reset(SettingName::All) => {
                let depth = self.depth();
                self.settings.lock().reset_all(depth);
                "RESET"
            }
            Utility::Reset(SettingName::Name(name)) if name == "role" || name == "session_authorization" => {
                self.set_identity(&Set { local: false, name: name.clone(), values: None, pos: 0 })?;
                "RESET"
            }
            Utility::Reset(SettingName::Name(name)) => {
                let depth = self.depth();
                self.settings.lock().reset(name, false, depth)?;
                "RESET"
            }
            Utility::Show(SettingName::All) => {
                for (name, value) in self.settings.lock().all() {
                    Session::put_texts(stream, &[Some(&name), Some(&value), Some("")]);
                }
                "SHOW"
            }
            Utility::Show(SettingName::Name(name)) => {
                let value = self.settings.lock().show(name).ok_or_else(|| unknown_setting(name))?;
                Session::put_texts(stream, &[Some(&value)]);
                "SHOW"
            }
            Utility::SetConstraints { names, deferred } => {
                if self.block != Block::Explicit {
                    let message = "SET CONSTRAINTS can only be used in transaction blocks";
                    self.warn(SqlState::NoActiveSqlTransaction, message);
                }
                let constraints = match names {
                    Some(names) => Some(self.deferrable_constraints(names)?),
                    None => None,
                };
                self.constraints.lock().set_constraints(constraints.as_deref(), *deferred);
                if !*deferred {
                    self.check_deferred(false).await?;
                }
                "SET CONSTRAINTS"
            }
            Utility::Discard(what) => return self.discard(*what).await,
            Utility::Prepare(prepare) => {
                self.prepare_by_name(prepare)?;
                "PREPARE"
            }
            Utility::Execute(execute) => return self.execute_by_name(execute, stream).await,
            Utility::Deallocate(None) => {
                self.prepared.clear();
                "DEALLOCATE ALL"
            }
            Utility::Deallocate(Some(name)) => {
                self.find_prepared(name)?;
                self.prepared.remove(name);
                "DEALLOCATE"
            }
            Utility::DeclareCursor(cursor) => {
                self.declare(cursor).await?;
                "DECLARE CURSOR"
            }
            Utility::Fetch(fetch) => return self.fetch(fetch, stream).await,
            Utility::Close(None) => {
                self.portals.retain(|_, portal| portal.cursor.is_none());
                "CLOSE CURSOR ALL"
            }
            Utility::Close(Some(name)) => {
                self.find_cursor(name)?;
                self.portals.remove(name);
                "CLOSE CURSOR"
            }
            Utility::Explain(explain) => {
                self.explain(explain, text, stream).await?;
                "EXPLAIN"
            }
            Utility::Checkpoint => {
                self.server.engine.checkpoint()?;
                "CHECKPOINT"
            }
            Utility::LockTable(lock) => {
                self.lock_tables(lock).await?;
                "LOCK TABLE"
            }
            Utility::Vacuum(vacuum) => {
                self.prevent_in_block("VACUUM")?;
                tokio::task::block_in_place(|| self.server.engine.clean_step(VACUUM_BUDGET))?;
                self.ensure_transaction()?;
                self.run_ddl(|ctx| ctx.vacuum(vacuum)).await?
            }
            Utility::Analyze(analyze) => {
                self.ensure_transaction()?;
                self.run_ddl(|ctx| ctx.analyze(analyze)).await?
            }
            Utility::Listen(channel) => {
                self.ensure_transaction()?;
                self.notifications.lock().listen(channel);
                "LISTEN"
            }
            Utility::Unlisten(channel) => {
                self.ensure_transaction()?;
                self.notifications.lock().unlisten(channel.as_deref());
                "UNLISTEN"
            }
            Utility::Notify { channel, payload } => {
                self.ensure_transaction()?;
                self.notifications.lock().notify(channel, payload.as_deref().unwrap_or_default())?;
                "NOTIFY"
            }
            Utility::CreateTableAs(create) => return self.create_table_as(create, text, stream).await,
            Utility::Copy(copy) => return self.copy(copy, text, stream).await,
            Utility::Unsupported { what, pos } => return Err(Error::unsupported(what).at(*pos)),
            Utility::Grant(grant) => {
                return Err(Error::unsupported(if grant.revoke { "REVOKE" } else { "GRANT" }).at(grant.pos));
            }
            other => match self.ddl(other).await? {
                Some(tag) => tag,
                None => return Err(Error::unsupported(statement_name(other))),
            },
        };
        Ok(tag.to_owned())
    }

    /// DDL; `None`: it is none.
    async fn ddl(&mut self, utility: &Utility) -> Result<Option<&'static str>> {
        match utility {
            Utility::CreateDatabase(create) => return self.create_database(create).await.map(Some),
            Utility::Drop(drop) if drop.kind == ObjectKind::Database => {
                return self.drop_database(drop).await.map(Some);
            }
            Utility::Rename(rename) if rename.kind == ObjectKind::Database => self.rename_database(rename).await?,
            // They are run as the plain statements, but may stand only where PostgreSQL lets them.
            Utility::CreateIndex(create) if create.concurrently => {
                self.prevent_in_block("CREATE INDEX CONCURRENTLY")?
            }
            Utility::Reindex { concurrently: true, .. } => self.prevent_in_block("REINDEX CONCURRENTLY")?,
            Utility::Reindex { kind: ObjectKind::Schema, .. } => self.prevent_in_block("REINDEX SCHEMA")?,
            Utility::Reindex { kind: ObjectKind::Database, .. } => self.prevent_in_block("REINDEX DATABASE")?,
            Utility::Drop(drop) if drop.concurrently => self.prevent_in_block("DROP INDEX CONCURRENTLY")?,
            _ => {}
        }
        self.ensure_transaction()?;
        self.check_writable(&statement_name(utility))?;
        self.run_ddl(|ctx| ddl::execute(ctx, utility)).await
    }

    /// 25006 in a read-only transaction.
    pub(super) fn check_writable(&self, what: &str) -> Result<()> {
        if !self.settings.lock().parsed().read_only {
            return Ok(());
        }
        let message = format!("cannot execute {what} in a read-only transaction");
        Err(Error::new(SqlState::ReadOnlySqlTransaction, message))
    }

    /// Runs a change of the catalog; from its start again when it had to wait.
    pub(super) async fn run_ddl<T: Send>(
        &mut self,
        mut body: impl FnMut(&mut DdlContext<'_>) -> Result<T> + Send,
    ) -> Result<T> {
        self.ensure_transaction()?;
        loop {
            match tokio::task::block_in_place(|| self.try_ddl(&mut body)) {
                Ok(value) => return Ok(value),
                Err(error) => match error.waiter() {
                    Some(waiter) => {
                        let waiter = waiter.clone();
                        self.wait(&waiter).await?;
                    }
                    None => {
                        self.check_interrupts()?;
                        return Err(error);
                    }
                },
            }
        }
    }

    /// One try of a change of the catalog; undone if it fails or has to wait.
    fn try_ddl<T>(&mut self, body: &mut impl FnMut(&mut DdlContext<'_>) -> Result<T>) -> Result<T> {
        self.refresh_change()?;
        let image = self.image()?;
        let call = self.call_context(&image);
        let bind = self.bind_context(&image, &call, Vec::new());
        let (fresh, mut change) = match &self.change {
            Some(change) => (false, change.clone()),
            None => (true, Change::new(image.clone())),
        };
        let before = change.image.version;
        let (server, pid) = (self.server.clone(), self.backend.pid);
        let others = move |database| server.sessions_in(database, pid);
        let start = self.transaction.lock().as_mut().map(lightning_storage::Transaction::savepoint);
        let statement = |image: Arc<crate::catalog::image::Image>| {
            self.host.set_image(image.clone());
            self.statement_context(&image, &call)
        };
        let mut ctx = DdlContext {
            transaction: &self.transaction,
            catalog: &self.server.catalog,
            change: &mut change,
            user: bind.user,
            session_user: self.host.session_user(&image),
            bind,
            creating: None,
            statement: &statement,
            others: &others,
            notices: Vec::new(),
        };
        let result = interrupt::watching(&self.backend.cancel, || body(&mut ctx));
        let notices = std::mem::take(&mut ctx.notices);
        drop(ctx);
        if let (Some(transaction), Some(start)) = (self.transaction.lock().as_mut(), start) {
            match &result {
                Err(error) if error.waiter().is_some() => transaction.rollback_to(start)?,
                // A failed statement is undone with all that it fails.
                _ => transaction.release(start),
            }
        }
        let value = result?;
        self.notices.extend(notices);
        if !fresh || change.shared || change.image.version != before {
            self.change = Some(change);
        }
        Ok(value)
    }

    async fn transaction_statement(&mut self, statement: &Transaction) -> Result<String> {
        let outside = matches!(self.status(), crate::wire::backend::TransactionStatus::Idle);
        let tag = match statement {
            Transaction::Begin { start, modes } => {
                self.begin(*modes)?;
                if *start { "START TRANSACTION" } else { "BEGIN" }
            }
            Transaction::Commit { chain: true } => {
                let modes = self.chained_modes("COMMIT AND CHAIN")?;
                let tag = if self.commit().await? { "COMMIT" } else { "ROLLBACK" };
                self.begin(modes)?;
                tag
            }
            Transaction::Rollback { chain: true } => {
                let modes = self.chained_modes("ROLLBACK AND CHAIN")?;
                self.rollback();
                self.begin(modes)?;
                "ROLLBACK"
            }
            Transaction::Commit { chain: false } => {
                if outside {
                    self.warn(SqlState::NoActiveSqlTransaction, "there is no transaction in progress");
                }
                if self.commit().await? { "COMMIT" } else { "ROLLBACK" }
            }
            Transaction::Rollback { chain: false } => {
                if outside {
                    self.warn(SqlState::NoActiveSqlTransaction, "there is no transaction in progress");
                }
                self.rollback();
                "ROLLBACK"
            }
            Transaction::Savepoint(name) => {
                self.savepoint(name.clone())?;
                "SAVEPOINT"
            }
            Transaction::Release(name) => {
                self.release(name)?;
                "RELEASE"
            }
            Transaction::RollbackTo(name) => {
                self.rollback_to(name)?;
                "ROLLBACK"
            }
            Transaction::TwoPhase("PREPARE TRANSACTION") if outside => {
                self.warn(SqlState::NoActiveSqlTransaction, "there is no transaction in progress");
                "ROLLBACK"
            }
            Transaction::TwoPhase("PREPARE TRANSACTION") => {
                // As in PostgreSQL, the transaction is over though it could not be prepared.
                self.rollback();
                let message = "prepared transactions are disabled";
                let hint = "Set max_prepared_transactions to a nonzero value.";
                return Err(Error::new(SqlState::ObjectNotInPrerequisiteState, message).hint(hint));
            }
            Transaction::TwoPhase(what) => return Err(Error::unsupported(what)),
            Transaction::SetTransaction(modes) => {
                if outside {
                    let message = "SET TRANSACTION can only be used in transaction blocks";
                    self.warn(SqlState::NoActiveSqlTransaction, message);
                } else {
                    self.set_modes(*modes)?;
                }
                "SET"
            }
            Transaction::SetSnapshot(_) => return Err(Error::unsupported("SET TRANSACTION SNAPSHOT")),
            Transaction::SessionCharacteristics(modes) => {
                self.set_characteristics(*modes)?;
                "SET"
            }
        };
        Ok(tag.to_owned())
    }

    fn set(&mut self, set: &Set) -> Result<()> {
        let depth = self.depth();
        let in_block = !matches!(self.status(), crate::wire::backend::TransactionStatus::Idle);
        if set.local && !in_block {
            let message = "SET LOCAL can only be used in transaction blocks";
            self.warn(SqlState::NoActiveSqlTransaction, message);
        }
        if set.name == "role" || set.name == "session_authorization" {
            return self.set_identity(set);
        }
        self.ensure_transaction()?;
        if let Some([SetValue::Interval(text)]) = set.values.as_deref() {
            let image = self.image()?;
            let zone = interval_zone(text, &self.call_context(&image))?;
            return self.settings.lock().set(&set.name, &zone, set.local, depth);
        }
        let mut settings = self.settings.lock();
        let Some(values) = &set.values else { return settings.reset(&set.name, set.local, depth) };
        let list = set.name == "search_path";
        let parts: Vec<String> = values
            .iter()
            .map(|value| match value {
                SetValue::Text(text) if list => crate::executor::functions::string::quote_identifier(text),
                SetValue::Text(text) | SetValue::Number(text) | SetValue::Interval(text) => text.clone(),
            })
            .collect();
        let multiple = list || set.name == "datestyle" || set.name == "temp_tablespaces" || set.name.contains('.');
        if parts.len() > 1 && !multiple {
            let message = format!("SET {} takes only one argument", set.name);
            return Err(Error::new(SqlState::InvalidParameterValue, message));
        }
        settings.set(&set.name, &parts.join(", "), set.local, depth)
    }

    async fn discard(&mut self, what: Discard) -> Result<String> {
        let tag = match what {
            Discard::All => {
                self.prevent_in_block("DISCARD ALL")?;
                self.portals.clear();
                self.prepared.clear();
                self.set_identity(&Set {
                    local: false,
                    name: "session_authorization".to_owned(),
                    values: None,
                    pos: 0,
                })?;
                self.settings.lock().reset_all(0);
                self.notifications.lock().unlisten(None);
                self.host.forget_sequences();
                self.server.engine.end_session(self.host.session_id());
                self.run_ddl(|ctx| ctx.drop_temporary(false)).await?;
                "DISCARD ALL"
            }
            Discard::Plans => {
                self.prepared.values().for_each(|prepared| prepared.forget_plan());
                "DISCARD PLANS"
            }
            Discard::Sequences => {
                self.host.forget_sequences();
                "DISCARD SEQUENCES"
            }
            Discard::Temp => {
                self.run_ddl(|ctx| ctx.drop_temporary(false)).await?;
                "DISCARD TEMP"
            }
        };
        Ok(tag.to_owned())
    }

    fn prepare_by_name(&mut self, prepare: &ast::utility::Prepare) -> Result<()> {
        if self.prepared.contains_key(&prepare.name) {
            let message = format!("prepared statement \"{}\" already exists", prepare.name);
            return Err(Error::new(SqlState::DuplicatePreparedStatement, message));
        }
        let image = self.image()?;
        let call = self.call_context(&image);
        let ctx = self.bind_context(&image, &call, Vec::new());
        // The types stand in the client's text.
        let mut binder = crate::sql::bind::Binder::new(&ctx, "prepare");
        let declared =
            prepare.types.iter().map(|ty| Ok(Some(binder.bind_type(ty)?.oid))).collect::<Result<Vec<_>>>()?;
        let statement = Arc::new((*prepare.statement).clone());
        let mut prepared = self.prepare_statement(prepare.text.as_str().into(), Some(statement), declared)?;
        prepared.from_sql = true;
        self.prepared.insert(prepare.name.clone(), Arc::new(prepared));
        Ok(())
    }

    async fn execute_by_name(&mut self, execute: &ast::utility::Execute, stream: &mut Stream) -> Result<String> {
        let prepared = self.find_prepared(&execute.name)?;
        if !prepared.is_planned() {
            return Err(Error::unsupported("EXECUTE of a utility statement"));
        }
        let params = self.execute_params(execute, &prepared)?;
        let mut execution = self.start(&prepared, params).await?;
        let mut rows = 0;
        let mut writer = RowWriter::default();
        let formats = self.result_formats.clone();
        let run = self.run(&mut execution, stream, |execution, out| {
            rows += 1;
            writer.put(execution, &prepared.output, &formats, out);
            Ok(true)
        });
        match run.await {
            Ok(affected) => Ok(command_tag(execution.plan().kind, rows, affected.unwrap_or_default())),
            Err(error) => {
                self.leave(execution);
                Err(error)
            }
        }
    }

    /// EXECUTE's parameters.
    pub(super) fn execute_params(
        &mut self,
        execute: &ast::utility::Execute,
        prepared: &Prepared,
    ) -> Result<Arc<[crate::types::Datum]>> {
        if execute.params.len() != prepared.params.len() {
            let message = format!("wrong number of parameters for prepared statement \"{}\"", execute.name);
            let detail = format!("Expected {} parameters but got {}.", prepared.params.len(), execute.params.len());
            return Err(Error::new(SqlState::SyntaxError, message).detail(detail));
        }
        self.ensure_transaction()?;
        self.evaluate(&execute.params, &prepared.params).map(Into::into)
    }

    /// Constant expressions, as values of the given types; of what domains are over, since the plan tests its parameters.
    fn evaluate(&mut self, exprs: &[ast::Expr], types: &[Type]) -> Result<Vec<crate::types::Datum>> {
        let image = self.image()?;
        let call = self.call_context(&image);
        let ctx = self.bind_context(&image, &call, Vec::new());
        let mut values = Vec::with_capacity(exprs.len());
        for (number, (expr, ty)) in (1..).zip(exprs.iter().zip(types)) {
            // The parameters stand in the client's text.
            let bound = crate::sql::bind::Binder::new(&ctx, "execute").parameter(number, expr, plain(*ty))?;
            values.push(match bound.kind {
                crate::sql::tree::ExprKind::Const(value) => value,
                _ => return Err(Error::unsupported("EXECUTE with a parameter that is not constant")),
            });
        }
        Ok(values)
    }

    async fn explain(&mut self, explain: &Explain, text: &str, stream: &mut Stream) -> Result<()> {
        use crate::executor::row::explain::ExplainOptions;
        let mut options = ExplainOptions::default();
        let (mut json, mut analyze, mut timing, mut wal, mut summary) = (false, false, None, false, None);
        for option in &explain.options {
            match option.name.as_str() {
                "format" => json = explain_format(option)?,
                "analyze" => analyze = explain_flag(option)?,
                "verbose" => options.verbose = explain_flag(option)?,
                "costs" => options.costs = explain_flag(option)?,
                "timing" => timing = Some(explain_flag(option)?),
                "wal" => wal = explain_flag(option)?,
                "summary" => summary = Some(explain_flag(option)?),
                "buffers" | "settings" => _ = explain_flag(option)?,
                other => {
                    let message = format!("unrecognized EXPLAIN option \"{other}\"");
                    return Err(Error::new(SqlState::SyntaxError, message).at(option.pos));
                }
            }
        }
        for (name, on) in [("WAL", wal), ("TIMING", timing == Some(true))] {
            if on && !analyze {
                let message = format!("EXPLAIN option {name} requires ANALYZE");
                return Err(Error::new(SqlState::InvalidParameterValue, message));
            }
        }
        options.timing = timing.unwrap_or(options.timing);
        let summary = summary.unwrap_or(analyze);
        let began = Instant::now();
        let (prepared, params) = self.explained(&explain.statement, text, analyze)?;
        if let Some(failure) = &prepared.failure {
            return Err(failure.clone());
        }
        let lines = if analyze {
            let started = self.start(&prepared, params.clone()).await?;
            options.planning = summary.then(|| began.elapsed());
            let began = Instant::now();
            let mut execution = crate::executor::Execution::start_instrumented(
                started.plan().clone(),
                params.clone(),
                started.context().clone(),
            )?;
            if let Err(error) = self.run(&mut execution, stream, |_, _| Ok(true)).await {
                self.leave(execution);
                return Err(error);
            }
            options.execution = summary.then(|| began.elapsed());
            let surroundings = Some((execution.context(), &*params));
            explain_lines(execution.plan(), options, Some(execution.measured()), surroundings, json)
        } else {
            let plan = self.plan(&prepared)?;
            let plan = self.plan_for(plan, &params)?;
            options.planning = summary.then(|| began.elapsed());
            let image = self.image()?;
            let ctx = self.statement_context(&image, &self.call_context(&image))?;
            explain_lines(&plan, options, None, Some((&ctx, &*params)), json)
        };
        lines.iter().for_each(|line| Session::put_texts(stream, &[Some(line)]));
        Ok(())
    }

    /// What EXPLAIN explains, and its parameters.
    fn explained(
        &mut self,
        statement: &Statement,
        text: &str,
        analyze: bool,
    ) -> Result<(Arc<Prepared>, Arc<[crate::types::Datum]>)> {
        use ast::utility::CreateTableSource;
        let none: Arc<[crate::types::Datum]> = Arc::new([]);
        let statement = match statement {
            Statement::Utility(utility) => match &**utility {
                Utility::Execute(execute) => return self.executed(execute),
                Utility::DeclareCursor(cursor) => Statement::Query(cursor.query.clone()),
                Utility::CreateTableAs(_) if analyze => {
                    return Err(Error::unsupported("EXPLAIN ANALYZE CREATE TABLE AS"));
                }
                Utility::CreateTableAs(create) => match &create.source {
                    CreateTableSource::Query(query) => Statement::Query(query.clone()),
                    CreateTableSource::Execute(execute) => return self.executed(execute),
                },
                _ => return Err(Error::unsupported("EXPLAIN of a utility statement")),
            },
            planned => planned.clone(),
        };
        Ok((Arc::new(self.prepare_statement(text.into(), Some(Arc::new(statement)), Vec::new())?), none))
    }

    /// A prepared statement and the parameters that EXECUTE gives it.
    fn executed(&mut self, execute: &ast::utility::Execute) -> Result<(Arc<Prepared>, Arc<[crate::types::Datum]>)> {
        let prepared = self.find_prepared(&execute.name)?;
        if !prepared.is_planned() {
            return Err(Error::unsupported("EXPLAIN of a utility statement"));
        }
        let params = self.execute_params(execute, &prepared)?;
        Ok((prepared, params))
    }

    async fn lock_tables(&mut self, lock: &LockTable) -> Result<()> {
        if self.status() == crate::wire::backend::TransactionStatus::Idle {
            let message = "LOCK TABLE can only be used in transaction blocks";
            return Err(Error::new(SqlState::NoActiveSqlTransaction, message));
        }
        let mode = match lock.mode {
            TableLockMode::AccessShare => LockMode::AccessShare,
            TableLockMode::RowShare => LockMode::RowShare,
            TableLockMode::RowExclusive => LockMode::RowExclusive,
            TableLockMode::ShareUpdateExclusive => LockMode::ShareUpdateExclusive,
            TableLockMode::Share => LockMode::Share,
            TableLockMode::ShareRowExclusive => LockMode::ShareRowExclusive,
            TableLockMode::Exclusive => LockMode::Exclusive,
            TableLockMode::AccessExclusive => LockMode::AccessExclusive,
        };
        for name in &lock.names {
            let oid = {
                let image = self.image()?;
                let call = self.call_context(&image);
                let ctx = self.bind_context(&image, &call, Vec::new());
                crate::sql::bind::Binder::new(&ctx, "").relation(name)?.oid
            };
            let policy = if lock.nowait { WaitPolicy::NoWait } else { WaitPolicy::Wait };
            self.lock(LockTag::Table(oid.0), mode, policy).await.map_err(|error| {
                if error.code() == SqlState::LockNotAvailable && lock.nowait {
                    let message = format!("could not obtain lock on relation \"{}\"", name.name());
                    return Error::new(SqlState::LockNotAvailable, message);
                }
                error
            })?;
        }
        Ok(())
    }
}

/// EXPLAIN (FORMAT …): whether it is JSON.
fn explain_format(option: &ast::utility::DefElem) -> Result<bool> {
    use ast::utility::DefValue;
    let format = match &option.value {
        Some(DefValue::Text(format) | DefValue::Number(format)) => format,
        _ => return Err(Error::new(SqlState::SyntaxError, "format requires a parameter")),
    };
    match format.as_str() {
        "text" => Ok(false),
        "json" => Ok(true),
        "xml" | "yaml" => Err(Error::unsupported(format!("EXPLAIN (FORMAT {format})")).at(option.pos)),
        other => {
            let message = format!("unrecognized value for EXPLAIN option \"format\": \"{other}\"");
            Err(Error::new(SqlState::InvalidParameterValue, message).at(option.pos))
        }
    }
}

/// PostgreSQL's `defGetBoolean`.
fn explain_flag(option: &ast::utility::DefElem) -> Result<bool> {
    use ast::utility::DefValue;
    let word = match &option.value {
        None => return Ok(true),
        Some(DefValue::Text(word) | DefValue::Number(word)) => word.to_ascii_lowercase(),
        Some(_) => String::new(),
    };
    match word.as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err(Error::new(SqlState::SyntaxError, format!("{} requires a Boolean value", option.name))),
    }
}

fn explain_lines(
    plan: &crate::executor::Plan,
    options: crate::executor::row::explain::ExplainOptions,
    measured: Option<crate::executor::row::frame::Measured<'_>>,
    surroundings: Option<crate::executor::row::explain::Surroundings<'_>>,
    json: bool,
) -> Vec<String> {
    use crate::executor::row::explain;
    match json {
        true => vec![explain::json(plan, options, measured, surroundings).to_string()],
        false => explain::text(plan, options, measured, surroundings),
    }
}

fn unknown_setting(name: &str) -> Error {
    Error::new(SqlState::UndefinedObject, format!("unrecognized configuration parameter \"{name}\""))
}

/// The name of a statement that is not executed yet.
fn statement_name(utility: &Utility) -> String {
    let debug = format!("{utility:?}");
    let end = debug.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(debug.len());
    let mut name = String::new();
    for c in debug[..end].chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push(' ');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// SET TIME ZONE INTERVAL: an offset in hours.
fn interval_zone(text: &str, call: &crate::executor::functions::CallContext) -> Result<String> {
    use crate::types::Datum;
    let invalid = |what: &str| {
        let message = format!("invalid value for parameter \"TimeZone\": \"{text}\"");
        Error::new(SqlState::InvalidParameterValue, message)
            .detail(format!("Cannot specify {what} in time zone interval."))
    };
    match crate::types::text_io::input(text, Type::new(oid::INTERVAL), &call.text())? {
        Datum::Interval(interval) if interval.months != 0 => Err(invalid("months")),
        Datum::Interval(interval) if interval.days != 0 => Err(invalid("days")),
        Datum::Interval(interval) => Ok((interval.micros as f64 / 3.6e9).to_string()),
        _ => Err(Error::internal("an interval's text gave no interval")),
    }
}

/// What a domain, or an array of a domain's values, is over.
fn plain(ty: Type) -> Type {
    let element = shape::element_of(ty.oid).filter(|element| shape::is_domain(*element));
    let array = element.and_then(|element| oid::array_of(shape::base(Type::new(element)).oid));
    array.map_or_else(|| shape::base(ty), Type::new)
}
