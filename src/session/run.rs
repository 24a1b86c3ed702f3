//! Executing one statement to the client: rows with back-pressure, waits, cancellation.

use super::Session;
use super::statement::{KeptRows, Portal, PortalState, Prepared, fields};
use super::transaction::Block;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::executor::row::plan::PlanKind;
use crate::executor::row::store::LongStore;
use crate::executor::{Execution, Plan, StatementContext, Step};
use crate::sql::ast::utility::{Transaction, Utility};
use crate::sql::ast::{self, Statement};
use crate::sql::tree::{OutputColumn, RelationLock};
use crate::types::{Datum, Oid, binary_io, text_io};
use crate::wire::backend;
use crate::wire::stream::Stream;
use bytes::{BufMut, BytesMut};
use lightning_storage::{LockMode, LockScope, LockTag, WaitPolicy};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a long execution runs before cancel requests and timeouts are looked for beyond its own checks.
const LONG_BURST: Duration = Duration::from_millis(50);

/// Why a burst of an execution ended.
enum Burst {
    Done(u64),
    /// Whoever takes the rows wants no more for now.
    Stopped,
    /// Output waits to be sent.
    Full,
    /// Others should run.
    Slice,
    Wait(lightning_storage::Waiter),
}

/// The command tag of a planned statement.
pub(super) fn command_tag(kind: PlanKind, rows: u64, affected: u64) -> String {
    let (word, count) = match kind {
        PlanKind::Select => ("SELECT ", rows),
        PlanKind::Insert => ("INSERT 0 ", affected),
        PlanKind::Update => ("UPDATE ", affected),
        PlanKind::Delete => ("DELETE ", affected),
    };
    let mut tag = String::with_capacity(32);
    tag.push_str(word);
    crate::types::text_io::push_integer(count as i64, &mut tag);
    tag
}

/// 25P02
pub(super) fn in_failed_block() -> Error {
    let message = "current transaction is aborted, commands ignored until end of transaction block";
    Error::new(SqlState::InFailedSqlTransaction, message)
}

/// Writes DataRow messages.
#[derive(Default)]
pub(super) struct RowWriter {
    text: String,
}

impl RowWriter {
    /// The execution's current row; columns beyond `binary` go out as text.
    pub(super) fn put(&mut self, execution: &Execution, output: &[OutputColumn], binary: &[bool], out: &mut BytesMut) {
        self.put_values(&execution.context().call, |i| execution.output(i), output, binary, out);
    }

    /// A row of values.
    pub(super) fn put_values<'a>(
        &mut self,
        call: &CallContext,
        value: impl Fn(usize) -> &'a Datum,
        output: &[OutputColumn],
        binary: &[bool],
        out: &mut BytesMut,
    ) {
        let ctx = call.text();
        backend::frame(out, b'D', |out| {
            out.put_u16(output.len() as u16);
            for (i, column) in output.iter().enumerate() {
                let value = value(i);
                if value.is_null() {
                    out.put_i32(-1);
                } else if binary.get(i).copied().unwrap_or(false) {
                    binary_io::send_sized(value, column.ty, ctx.names, out);
                } else {
                    self.text.clear();
                    text_io::output(value, column.ty, &ctx, &mut self.text);
                    out.put_u32(self.text.len() as u32);
                    out.put_slice(self.text.as_bytes());
                }
            }
        });
    }
}

/// How an execution of a portal ended.
enum Ended {
    /// All rows are given.
    Complete(String),
    /// The row limit came first.
    Suspended,
}

impl Session {
    /// Simple query: every statement of the text, in one implicit transaction unless the text has blocks of its own.
    pub async fn simple_query(&mut self, text: &str, stream: &mut Stream) -> std::io::Result<()> {
        self.begin_statement();
        self.prepared.remove("");
        self.portals.remove("");
        let result = self.run_text(text, stream).await;
        self.in_list = false;
        self.tell(stream);
        if let Err(error) = result {
            self.fail().await;
            self.tell(stream);
            backend::error(&mut stream.out, error.report());
            if error.is_fatal() {
                stream.flush().await?;
                return Err(std::io::ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(())
    }

    async fn run_text(&mut self, text: &str, stream: &mut Stream) -> Result<()> {
        let lookup = self.lookup(text, None);
        if let Some(lookup) = &lookup
            && let Some((prepared, params)) = self.recall(lookup)
        {
            self.backend.activity.lock().begin(&prepared.text, self.statement_time);
            return self.run_one(prepared, params, true, stream).await;
        }
        let parsed = crate::sql::parse::parse(text)?;
        if parsed.is_empty() {
            backend::bare(&mut stream.out, b'I');
            return Ok(());
        }
        let text: Arc<str> = text.into();
        self.backend.activity.lock().begin(&text, self.statement_time);
        let count = parsed.len();
        self.in_list = count > 1;
        for (i, statement) in parsed.into_iter().enumerate() {
            self.check_failed_block(&statement.statement)?;
            self.begin_statement();
            let controls =
                matches!(&statement.statement, Statement::Utility(u) if matches!(**u, Utility::Transaction(_)));
            let (prepared, params) = match &lookup {
                Some(lookup) if count == 1 => {
                    self.prepare_kept(lookup, text.clone(), statement.statement, Vec::new())?
                }
                _ => (self.prepare_parsed(&text, statement)?, Arc::from([])),
            };
            if params.len() < prepared.params.len() {
                return Err(crate::sql::parse::refuse_parameters(&text, 1));
            }
            self.run_one(prepared, params, i + 1 == count || controls, stream).await?;
        }
        Ok(())
    }

    /// One statement of a simple query, from its description to its command tag; `ends`: an implicit transaction ends with it.
    async fn run_one(
        &mut self,
        prepared: Prepared,
        params: Arc<[Datum]>,
        ends: bool,
        stream: &mut Stream,
    ) -> Result<()> {
        if let Some(failure) = &prepared.failure {
            return Err(failure.clone());
        }
        let binary = vec![self.shows_binary(&prepared); prepared.output.len()];
        if prepared.gives_rows() {
            backend::row_description(&mut stream.out, fields(&prepared.output, &binary));
        }
        let mut portal = Portal {
            prepared: Arc::new(prepared),
            params,
            binary,
            state: PortalState::Ready,
            depth: self.savepoints.len(),
            cursor: None,
        };
        let tag = match self.run_portal(&mut portal, 0, stream).await? {
            Ended::Complete(tag) => tag,
            Ended::Suspended => return Err(Error::internal("a simple query was suspended")),
        };
        drop(portal);
        if ends {
            self.end_implicit().await?;
        }
        self.tell(stream);
        backend::command_complete(&mut stream.out, &tag);
        Ok(())
    }

    /// Sends notices and changed settings.
    pub fn tell(&mut self, stream: &mut Stream) {
        let notices = self.take_notices();
        let least = match notices.is_empty() {
            true => String::new(),
            false => self.settings.lock().get("client_min_messages").unwrap_or("notice").to_owned(),
        };
        for notice in notices {
            let severity = backend::severity(&notice);
            let quiet = least == "error" || (least == "warning" && severity == "NOTICE");
            if !quiet {
                backend::notice(&mut stream.out, &notice);
            }
        }
        for (name, value) in self.settings.lock().take_unreported() {
            backend::parameter_status(&mut stream.out, name, &value);
        }
    }

    /// Execute of the extended protocol.
    pub async fn execute(&mut self, name: &str, max_rows: i32, stream: &mut Stream) -> Result<()> {
        self.begin_statement();
        self.find_portal(name)?;
        let mut portal = self.portals.remove(name).expect("it was found");
        if portal.prepared.statement.is_none() {
            backend::bare(&mut stream.out, b'I');
            return Ok(());
        }
        if let Some(statement) = &portal.prepared.statement {
            self.check_failed_block(statement)?;
        }
        self.backend.activity.lock().begin(&portal.prepared.text, self.statement_time);
        let limit = u64::try_from(max_rows).unwrap_or(0);
        match self.run_portal(&mut portal, limit, stream).await? {
            Ended::Complete(tag) => {
                self.tell(stream);
                backend::command_complete(&mut stream.out, &tag);
            }
            Ended::Suspended => backend::bare(&mut stream.out, b's'),
        }
        // COMMIT and ROLLBACK have closed the portals, this one too.
        if self.block != Block::None {
            self.portals.insert(name.to_owned(), portal);
        }
        Ok(())
    }

    /// Sync: an implicit transaction ends here.
    ///
    /// # Errors
    /// Of COMMIT.
    pub async fn sync(&mut self) -> Result<()> {
        self.end_implicit().await
    }

    /// Ends an implicit transaction. SET and its like begin none, but what they have set stays as if they had.
    async fn end_implicit(&mut self) -> Result<()> {
        match self.block {
            Block::Implicit => self.commit().await.map(|_| ()),
            Block::None => {
                self.settings.lock().commit();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// 25P02 for everything but the end of a failed block.
    pub(super) fn check_failed_block(&self, statement: &Statement) -> Result<()> {
        if self.block != Block::Failed {
            return Ok(());
        }
        if let Statement::Utility(utility) = statement
            && let Utility::Transaction(
                Transaction::Commit { .. } | Transaction::Rollback { .. } | Transaction::RollbackTo(_),
            ) = **utility
        {
            return Ok(());
        }
        Err(in_failed_block())
    }

    /// Runs a portal to its end or its row limit (0: none).
    async fn run_portal(&mut self, portal: &mut Portal, limit: u64, stream: &mut Stream) -> Result<Ended> {
        let prepared = portal.prepared.clone();
        if let Some(ast::Statement::Utility(utility)) = prepared.statement.as_deref() {
            self.result_formats.clone_from(&portal.binary);
            let tag = self.utility(utility, &prepared.text, stream).await?;
            portal.state = PortalState::Done;
            return Ok(Ended::Complete(tag));
        }
        if let PortalState::Ready = portal.state {
            let execution = self.start(&prepared, portal.params.clone()).await?;
            let writes = execution.plan().locks.iter().any(|(_, lock)| *lock == RelationLock::Write);
            portal.state = match limit > 0 && writes {
                true => PortalState::Kept(Box::new(self.keep_all(execution, stream).await?)),
                false => PortalState::Running(Box::new(execution), 0),
            };
        }
        if let PortalState::Kept(kept) = &mut portal.state {
            return self.give_kept(kept, &prepared.output, &portal.binary, limit, stream).await;
        }
        let PortalState::Running(execution, given) = &mut portal.state else {
            return Ok(Ended::Complete("SELECT 0".to_owned()));
        };
        let mut rows = 0;
        let (output, binary) = (&prepared.output, &portal.binary);
        let mut writer = RowWriter::default();
        let ended = self.run(execution, stream, |execution, out| {
            writer.put(execution, output, binary, out);
            rows += 1;
            Ok(limit == 0 || rows < limit)
        });
        let affected = match ended.await {
            Ok(Some(affected)) => affected,
            Ok(None) => {
                *given += rows;
                return Ok(Ended::Suspended);
            }
            Err(error) => {
                let state = std::mem::replace(&mut portal.state, PortalState::Done);
                if let PortalState::Running(execution, _) = state {
                    self.leave(*execution);
                }
                return Err(error);
            }
        };
        let tag = command_tag(execution.plan().kind, rows, affected);
        portal.state = PortalState::Done;
        Ok(Ended::Complete(tag))
    }

    /// Runs a statement to its end: what it writes is written whole, however few of its rows are asked for.
    async fn keep_all(&mut self, mut execution: Execution, stream: &mut Stream) -> Result<KeptRows> {
        let width = execution.plan().output.len();
        let mut rows = LongStore::new(width, &execution.context().memory);
        let ended = self.run(&mut execution, stream, |execution, _| {
            rows.push((0..width).map(|i| execution.output(i).clone()))?;
            Ok(true)
        });
        match ended.await {
            Ok(affected) => {
                let affected = affected.unwrap_or_default();
                Ok(KeptRows { rows, given: 0, kind: execution.plan().kind, affected })
            }
            Err(error) => {
                self.leave(execution);
                Err(error)
            }
        }
    }

    /// The next rows of those that are kept, up to the limit (0: all).
    async fn give_kept(
        &mut self,
        kept: &mut KeptRows,
        output: &[OutputColumn],
        binary: &[bool],
        limit: u64,
        stream: &mut Stream,
    ) -> Result<Ended> {
        let mut rows = 0;
        while kept.given < kept.rows.len() {
            if stream.is_full() {
                self.flush(stream).await?;
            }
            let image = self.image()?;
            let row = kept.rows.row(kept.given)?;
            RowWriter::default().put_values(&self.call_context(&image), |i| &row[i], output, binary, &mut stream.out);
            kept.given += 1;
            rows += 1;
            if rows == limit {
                return Ok(Ended::Suspended);
            }
        }
        Ok(Ended::Complete(command_tag(kept.kind, rows, kept.affected)))
    }

    /// Runs an execution, each row given to `row`, until its end (the number of rows that it affected) or until `row` answers
    /// `false` (`None`). Output that piles up is sent on the way.
    ///
    /// A long execution runs where blocking is allowed: the threads that serve connections go on meanwhile.
    pub(super) async fn run(
        &mut self,
        execution: &mut Execution,
        stream: &mut Stream,
        mut row: impl FnMut(&Execution, &mut BytesMut) -> Result<bool>,
    ) -> Result<Option<u64>> {
        loop {
            if stream.is_full() {
                self.flush(stream).await?;
            }
            let burst = match execution.is_long() {
                true => tokio::task::block_in_place(|| self.watched(|| self.burst(execution, stream, &mut row))),
                false => self.watched(|| self.burst(execution, stream, &mut row)),
            };
            match burst? {
                Burst::Done(affected) => return Ok(Some(affected)),
                Burst::Stopped => return Ok(None),
                Burst::Full => {}
                Burst::Slice => tokio::task::yield_now().await,
                Burst::Wait(waiter) => self.wait(&waiter).await?,
            }
        }
    }

    fn burst(
        &self,
        execution: &mut Execution,
        stream: &mut Stream,
        row: &mut dyn FnMut(&Execution, &mut BytesMut) -> Result<bool>,
    ) -> Result<Burst> {
        let began = execution.is_long().then(Instant::now);
        loop {
            match execution.next() {
                Ok(Step::Row) => {
                    if !row(execution, &mut stream.out)? {
                        return Ok(Burst::Stopped);
                    }
                    if stream.is_full() {
                        return Ok(Burst::Full);
                    }
                }
                Ok(Step::Yield) => {
                    self.check_interrupts()?;
                    if began.is_none_or(|began| began.elapsed() > LONG_BURST) {
                        return Ok(Burst::Slice);
                    }
                }
                Ok(Step::Done { affected }) => return Ok(Burst::Done(affected)),
                Err(error) => match error.waiter() {
                    // Where blocking is allowed a page is read on the spot.
                    Some(waiter) if began.is_some() && waiter.needs_work() => waiter.work(),
                    Some(waiter) => return Ok(Burst::Wait(waiter.clone())),
                    None => return Err(error),
                },
            }
        }
    }

    /// Begins an execution: transaction, plan, table locks, snapshot.
    pub(super) async fn start(&mut self, prepared: &Prepared, params: Arc<[Datum]>) -> Result<Execution> {
        let (plan, ctx) = self.locked_plan(prepared).await?;
        let plan = self.plan_for(plan, &params)?;
        Execution::start(plan, params, ctx)
    }

    /// The plan with its tables locked, and the surroundings of one execution of it.
    pub(super) async fn locked_plan(&mut self, prepared: &Prepared) -> Result<(Arc<Plan>, StatementContext)> {
        self.ensure_transaction()?;
        let plan = loop {
            self.refresh_change()?;
            let plan = self.plan(prepared)?;
            if let Some(failure) = &plan.failure {
                return Err(failure.clone());
            }
            let version = self.committed_image()?.version;
            for (relation, lock) in &plan.locks {
                let mode = match lock {
                    RelationLock::Read => LockMode::AccessShare,
                    RelationLock::LockRows => LockMode::RowShare,
                    RelationLock::Write => LockMode::RowExclusive,
                };
                if let Err(error) = self.lock(LockTag::Table(relation.0), mode, WaitPolicy::Wait).await {
                    return Err(self.at_relation(error, prepared, *relation));
                }
            }
            // Waiting for a lock may have been waiting for a change of the table.
            if self.committed_image()?.version == version {
                break plan;
            }
        };
        self.note_for_views(&plan);
        let image = self.image()?;
        let call = self.call_context(&image);
        let ctx = self.statement_context(&image, &call)?;
        Ok((plan, ctx))
    }

    /// A lock's refusal with the place that names the relation: PostgreSQL takes the lock while it reads the text, and so says
    /// where, unless it is told to stop.
    fn at_relation(&mut self, error: Error, prepared: &Prepared, relation: Oid) -> Error {
        // What PREPARE has read is not read again.
        if error.code() == SqlState::QueryCanceled || error.is_fatal() || prepared.from_sql {
            return error;
        }
        match self.place_of(prepared, relation) {
            Ok(Some(place)) => error.at(place),
            // The catalog has moved meanwhile.
            Ok(None) | Err(_) => error,
        }
    }

    /// Takes an explicit lock for the transaction.
    pub(super) async fn lock(&mut self, tag: LockTag, mode: LockMode, policy: WaitPolicy) -> Result<()> {
        loop {
            let taken = match self.transaction.lock().as_mut() {
                Some(transaction) => transaction.lock(tag, mode, policy, LockScope::Transaction),
                None => return Err(Error::internal("there is no transaction to hold a lock")),
            };
            match taken {
                Ok(_) => return Ok(()),
                Err(lightning_storage::Error::Wait(waiter)) => self.wait(&waiter).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// One step of an execution, waits included.
    pub(super) async fn next_step(&mut self, execution: &mut Execution) -> Result<Step> {
        loop {
            match self.watched(|| execution.next()) {
                Ok(Step::Yield) => {
                    self.check_interrupts()?;
                    tokio::task::yield_now().await;
                }
                Ok(step) => return Ok(step),
                Err(error) => match error.waiter() {
                    Some(waiter) => {
                        let waiter = waiter.clone();
                        self.wait(&waiter).await?;
                    }
                    None => return Err(error),
                },
            }
        }
    }

    /// Sends output; a cancel request ends the statement though the client does not read.
    pub(super) async fn flush(&mut self, stream: &mut Stream) -> Result<()> {
        loop {
            self.check_interrupts()?;
            tokio::select! {
                sent = stream.flush() => {
                    return sent.map_err(|e| Error::new(SqlState::ConnectionException, e.to_string()).fatal());
                }
                () = self.backend.woken.notified() => {}
            }
        }
    }

    /// A FETCH from a BINARY cursor, which shows binary values to a simple query too.
    fn shows_binary(&self, prepared: &Prepared) -> bool {
        let Some(Statement::Utility(utility)) = prepared.statement.as_deref() else { return false };
        let Utility::Fetch(fetch) = &**utility else { return false };
        let cursor = self.portals.get(&fetch.cursor).and_then(|portal| portal.cursor.as_ref());
        cursor.is_some_and(|cursor| cursor.binary)
    }

    /// One row of text values, for utility statements.
    pub(super) fn put_texts(stream: &mut Stream, values: &[Option<&str>]) {
        backend::frame(&mut stream.out, b'D', |out| {
            out.put_u16(values.len() as u16);
            for value in values {
                match value {
                    None => out.put_i32(-1),
                    Some(text) => {
                        out.put_u32(text.len() as u32);
                        out.put_slice(text.as_bytes());
                    }
                }
            }
        });
    }
}
