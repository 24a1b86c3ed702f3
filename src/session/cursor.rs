//! Cursors: DECLARE, FETCH, MOVE, CLOSE.
//!
//! A cursor that only goes forward runs its plan as a portal does, and keeps nothing; WITH HOLD, it keeps at COMMIT what it has
//! not given yet. One that is declared SCROLL keeps its rows from the first on. Where neither SCROLL nor NO SCROLL was said it may
//! go back if its query is one with which PostgreSQL can ([`goes_back`]). It then begins to keep rows when it is first asked to,
//! by running its plan again in the snapshot of its beginning; from the first row on if that would not give the same rows.
//!
//! Positions are PostgreSQL's: 0 is before the first row, `n` on row n, one beyond the last row after the end.

use super::Session;
use super::run::RowWriter;
use super::statement::{Portal, PortalState, Prepared};
use crate::error::{Error, Result, SqlState};
use crate::executor::row::plan::{Kind, Node};
use crate::executor::row::store::LongStore;
use crate::executor::{Execution, Plan, StatementContext, Step};
use crate::sql::ast::utility::{DeclareCursor, Fetch, FetchDirection};
use crate::sql::ast::{Query, SetExpr, Statement, TableRef};
use crate::sql::tree::SetOpKind;
use crate::wire::stream::Stream;
use std::sync::Arc;

/// What DECLARE makes of a portal.
pub(super) struct Cursor {
    /// SCROLL, NO SCROLL, or nothing said.
    scroll: Option<bool>,
    /// WITH HOLD
    hold: bool,
    /// BINARY
    pub(super) binary: bool,
    /// Its transaction has committed.
    pub(super) held: bool,
    /// It may go back.
    backward: bool,
    source: Source,
    position: usize,
    /// The rows as far as they have been read; `None`: they are not kept.
    kept: Option<Kept>,
    /// Rows read of the source.
    read: usize,
    /// What its plan runs in, to run it again; `None`: there will be no need to.
    context: Option<(Arc<Plan>, StatementContext)>,
}

/// Where rows come from.
enum Source {
    Ready,
    Running(Box<Execution>),
    Ended,
}

struct Kept {
    /// Rows before the first kept one.
    passed: usize,
    rows: LongStore,
}

impl Kept {
    /// None yet of an execution that has given `passed` rows.
    fn new(execution: &Execution, passed: usize) -> Kept {
        Kept { passed, rows: LongStore::new(execution.plan().output.len(), &execution.context().memory) }
    }

    /// Keeps the execution's current row.
    fn push(&mut self, execution: &Execution) -> Result<()> {
        self.rows.push((0..execution.plan().output.len()).map(|i| execution.output(i).clone()))
    }

    /// Rows known.
    fn end(&self) -> usize {
        self.passed + self.rows.len()
    }
}

/// One move of FETCH: how many rows, which way, and whether they are shown.
#[derive(Clone, Copy)]
enum Step1 {
    Forward(usize),
    Backward(usize),
    Rewind,
}

impl Session {
    pub(super) fn find_cursor(&mut self, name: &str) -> Result<&mut Portal> {
        self.portals
            .get_mut(name)
            .ok_or_else(|| Error::new(SqlState::InvalidCursorName, format!("cursor \"{name}\" does not exist")))
    }

    pub(super) async fn declare(&mut self, declare: &DeclareCursor) -> Result<()> {
        check_declaration(declare)?;
        let in_block = self.status() == crate::wire::backend::TransactionStatus::InTransaction;
        if !declare.hold && !in_block && !self.in_list {
            let message = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(Error::new(SqlState::NoActiveSqlTransaction, message));
        }
        if self.portals.contains_key(&declare.name) {
            let message = format!("cursor \"{}\" already exists", declare.name);
            return Err(Error::new(SqlState::DuplicateCursor, message));
        }
        let statement = Arc::new(Statement::Query(declare.query.clone()));
        let prepared = Arc::new(self.prepare_statement(declare.text.as_str().into(), Some(statement), Vec::new())?);
        if !prepared.params.is_empty() {
            return Err(crate::sql::parse::refuse_parameters(&declare.text, declare.query.pos));
        }
        let cursor = Cursor {
            scroll: declare.scroll,
            hold: declare.hold,
            binary: declare.binary,
            held: false,
            backward: false,
            source: Source::Ready,
            position: 0,
            kept: None,
            read: 0,
            context: None,
        };
        let portal = Portal {
            binary: vec![declare.binary; prepared.output.len()],
            prepared,
            params: Arc::new([]),
            state: PortalState::Ready,
            depth: self.savepoints.len(),
            cursor: Some(Box::new(cursor)),
        };
        self.portals.insert(declare.name.clone(), portal);
        let opened = self.open_cursor(&declare.name).await;
        if opened.is_err() {
            self.portals.remove(&declare.name);
        }
        opened
    }

    /// The cursor sees what its DECLARE saw: its plan begins with it.
    async fn open_cursor(&mut self, name: &str) -> Result<()> {
        let prepared = self.find_cursor(name)?.prepared.clone();
        let execution = self.start(&prepared, Arc::new([])).await?;
        let cursor = self.cursor_mut(name)?;
        let plan = execution.plan();
        cursor.backward = match (cursor.scroll, prepared.statement.as_deref()) {
            (Some(said), _) => said,
            (None, Some(Statement::Query(query))) => goes_back(query, plan),
            (None, _) => false,
        };
        if cursor.backward {
            match cursor.scroll.is_some() || cursor.hold || !plan.repeats {
                true => cursor.kept = Some(Kept::new(&execution, 0)),
                false => cursor.context = Some((plan.clone(), execution.context().clone())),
            }
        }
        cursor.source = Source::Running(Box::new(execution));
        Ok(())
    }

    fn cursor_mut(&mut self, name: &str) -> Result<&mut Cursor> {
        match self.find_cursor(name)?.cursor.as_mut() {
            Some(cursor) => Ok(cursor),
            None => Err(Error::unsupported("FETCH from a portal that was not declared")),
        }
    }

    pub(super) async fn fetch(&mut self, fetch: &Fetch, stream: &mut Stream) -> Result<String> {
        self.cursor_mut(&fetch.cursor)?;
        let mut portal = self.portals.remove(&fetch.cursor).expect("it was found");
        let result = self.fetch_direction(&mut portal, fetch.direction, fetch.is_move, stream).await;
        self.portals.insert(fetch.cursor.clone(), portal);
        let rows = result?;
        Ok(if fetch.is_move { format!("MOVE {rows}") } else { format!("FETCH {rows}") })
    }

    /// FETCH as PostgreSQL's `DoPortalRunFetch`: the number of rows shown, or passed by MOVE.
    async fn fetch_direction(
        &mut self,
        portal: &mut Portal,
        direction: FetchDirection,
        quiet: bool,
        stream: &mut Stream,
    ) -> Result<usize> {
        let count = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
        let (hidden, shown) = match direction {
            FetchDirection::Forward(0) | FetchDirection::Backward(0) | FetchDirection::Relative(0) => {
                return self.fetch_again(portal, quiet, stream).await;
            }
            FetchDirection::Forward(n) if n > 0 => (None, Step1::Forward(count(n))),
            FetchDirection::Forward(n) => (None, Step1::Backward(count(n.saturating_neg()))),
            FetchDirection::Backward(n) if n > 0 => (None, Step1::Backward(count(n))),
            FetchDirection::Backward(n) => (None, Step1::Forward(count(n.saturating_neg()))),
            FetchDirection::Relative(n) if n > 0 => (Some(Step1::Forward(count(n - 1))), Step1::Forward(1)),
            FetchDirection::Relative(n) => (Some(Step1::Backward(count(-(n + 1)))), Step1::Backward(1)),
            FetchDirection::Absolute(0) => (None, Step1::Rewind),
            FetchDirection::Absolute(n) if n > 0 => {
                let position = portal.cursor.as_ref().map_or(0, |cursor| cursor.position);
                // The row is always reached going forward.
                match count(n - 1).checked_sub(position) {
                    Some(ahead) => (Some(Step1::Forward(ahead)), Step1::Forward(1)),
                    None => {
                        self.advance(portal, Step1::Rewind, true, stream).await?;
                        (Some(Step1::Forward(count(n - 1))), Step1::Forward(1))
                    }
                }
            }
            FetchDirection::Absolute(n) => {
                self.advance(portal, Step1::Forward(usize::MAX), true, stream).await?;
                (Some(Step1::Backward(count(-(n + 1)))), Step1::Backward(1))
            }
        };
        match hidden {
            None | Some(Step1::Forward(0) | Step1::Backward(0)) => {}
            Some(step) => {
                self.advance(portal, step, true, stream).await?;
            }
        }
        self.advance(portal, shown, quiet, stream).await
    }

    /// FETCH 0: the row that the cursor is on, if it is on one.
    async fn fetch_again(&mut self, portal: &mut Portal, quiet: bool, stream: &mut Stream) -> Result<usize> {
        let Some(cursor) = &portal.cursor else { return Ok(0) };
        let ended = matches!(cursor.source, Source::Ended) && cursor.position > cursor.length();
        if cursor.position == 0 || ended {
            return Ok(0);
        }
        if quiet {
            return Ok(1);
        }
        self.advance(portal, Step1::Backward(1), true, stream).await?;
        self.advance(portal, Step1::Forward(1), false, stream).await
    }

    /// Moves; gives the number of rows that it came to.
    async fn advance(&mut self, portal: &mut Portal, step: Step1, quiet: bool, stream: &mut Stream) -> Result<usize> {
        let prepared = portal.prepared.clone();
        let Some(cursor) = portal.cursor.as_mut() else { return Ok(0) };
        match step {
            Step1::Forward(count) => self.forward(cursor, &prepared, count, quiet, stream).await,
            Step1::Backward(count) => {
                self.allow_backward(cursor).await?;
                let mut passed = 0;
                while passed < count && cursor.position > 0 {
                    cursor.position -= 1;
                    if cursor.position == 0 {
                        break;
                    }
                    passed += 1;
                    if !quiet {
                        self.put_kept(cursor, &prepared, stream).await?;
                    }
                }
                Ok(passed)
            }
            Step1::Rewind => {
                if cursor.position > 0 {
                    self.allow_backward(cursor).await?;
                }
                cursor.position = 0;
                Ok(0)
            }
        }
    }

    /// Up to `count` rows on: kept ones first, then those of the source.
    async fn forward(
        &mut self,
        cursor: &mut Cursor,
        prepared: &Prepared,
        count: usize,
        quiet: bool,
        stream: &mut Stream,
    ) -> Result<usize> {
        let mut passed = 0;
        while passed < count && cursor.kept.as_ref().is_some_and(|kept| cursor.position < kept.end()) {
            passed += 1;
            cursor.position += 1;
            if !quiet {
                self.put_kept(cursor, prepared, stream).await?;
            }
        }
        if passed == count {
            return Ok(passed);
        }
        let Cursor { source, kept, read, position, .. } = cursor;
        if let Source::Running(execution) = source {
            let (mut writer, formats) = (RowWriter::default(), self.result_formats.clone());
            let run = self.run(execution, stream, |execution, out| {
                *read += 1;
                *position += 1;
                passed += 1;
                if let Some(kept) = kept {
                    kept.push(execution)?;
                }
                if !quiet {
                    writer.put(execution, &prepared.output, &formats, out);
                }
                Ok(passed < count)
            });
            if run.await?.is_none() {
                return Ok(passed);
            }
            *source = Source::Ended;
        }
        cursor.position = cursor.length() + 1;
        Ok(passed)
    }

    /// Reads the next row of the source, into the kept ones if they are kept; `false` at its end.
    async fn pull(&mut self, cursor: &mut Cursor) -> Result<bool> {
        loop {
            let Source::Running(execution) = &mut cursor.source else { return Ok(false) };
            match self.next_step(execution).await? {
                Step::Row => {
                    cursor.read += 1;
                    if let Some(kept) = &mut cursor.kept {
                        kept.push(execution)?;
                    }
                    return Ok(true);
                }
                Step::Done { .. } => {
                    cursor.source = Source::Ended;
                    return Ok(false);
                }
                Step::Yield => {}
            }
        }
    }

    /// 55000 for a cursor that only goes forward; else makes it keep its rows.
    async fn allow_backward(&mut self, cursor: &mut Cursor) -> Result<()> {
        if !cursor.backward {
            let message = "cursor can only scan forward";
            let hint = "Declare it with SCROLL option to enable backward scan.";
            return Err(Error::new(SqlState::ObjectNotInPrerequisiteState, message).hint(hint));
        }
        self.keep_rows(cursor).await
    }

    /// From now on the cursor keeps its rows, those that it has passed too.
    async fn keep_rows(&mut self, cursor: &mut Cursor) -> Result<()> {
        let Some((plan, context)) = cursor.context.take() else { return Ok(()) };
        let (ended, passed) = (matches!(cursor.source, Source::Ended), cursor.read);
        let execution = Execution::start(plan, Arc::new([]), context)?;
        cursor.kept = Some(Kept::new(&execution, 0));
        cursor.read = 0;
        cursor.source = Source::Running(Box::new(execution));
        while cursor.read < passed && self.pull(cursor).await? {}
        if ended {
            self.pull(cursor).await?;
        }
        Ok(())
    }

    /// COMMIT of a cursor WITH HOLD: all its rows are read, and what it ran in is let go.
    pub(super) async fn hold_cursors(&mut self) -> Result<()> {
        let is_open = |portal: &Portal| portal.cursor.as_ref().is_some_and(|cursor| cursor.hold && !cursor.held);
        let names: Vec<String> =
            self.portals.iter().filter(|(_, portal)| is_open(portal)).map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(mut portal) = self.portals.remove(&name) else { continue };
            if let Some(cursor) = portal.cursor.as_mut() {
                if let (None, Source::Running(execution)) = (&cursor.kept, &cursor.source) {
                    cursor.kept = Some(Kept::new(execution, cursor.read));
                }
                while self.pull(cursor).await? {}
                (cursor.source, cursor.held) = (Source::Ended, true);
            }
            portal.depth = 0;
            self.portals.insert(name, portal);
        }
        Ok(())
    }

    /// DataRow of the kept row that the cursor is on.
    async fn put_kept(&mut self, cursor: &mut Cursor, prepared: &Prepared, stream: &mut Stream) -> Result<()> {
        if stream.is_full() {
            self.flush(stream).await?;
        }
        let row = match &mut cursor.kept {
            Some(kept) if (kept.passed + 1..=kept.end()).contains(&cursor.position) => {
                kept.rows.row(cursor.position - kept.passed - 1)?
            }
            _ => return Err(Error::internal("a cursor is on a row that it has not kept")),
        };
        let image = self.image()?;
        let call = self.call_context(&image);
        let formats = &self.result_formats;
        RowWriter::default().put_values(&call, |i| &row[i], &prepared.output, formats, &mut stream.out);
        Ok(())
    }
}

impl Cursor {
    /// WITH HOLD
    pub(super) fn is_holdable(&self) -> bool {
        self.hold
    }

    /// Whether it can go back.
    pub(super) fn is_scrollable(&self) -> bool {
        self.backward
    }

    /// Rows known.
    fn length(&self) -> usize {
        self.kept.as_ref().map_or(self.read, Kept::end)
    }
}

/// Whether a cursor may go back of which it was not said: with PostgreSQL scans and sorts can, what stands above them cannot.
/// What becomes a join in our plan alone can here.
fn goes_back(query: &Query, plan: &Plan) -> bool {
    fn joins(body: &SetExpr) -> bool {
        match body {
            SetExpr::Select(select) => matches!(select.from[..], [_, _, ..] | [TableRef::Join { .. }]),
            SetExpr::Query(query) => joins(&query.body),
            SetExpr::SetOp { .. } | SetExpr::Values { .. } => false,
        }
    }
    fn can(node: &Node) -> bool {
        match &node.kind {
            Kind::Project(plan) => can(&plan.input),
            Kind::Filter(plan) | Kind::Gate(plan) => can(&plan.input),
            Kind::Limit(plan) => can(&plan.input),
            Kind::Road(plan) => can(&plan.row),
            Kind::SetOp(plan) => plan.op == SetOpKind::Union && plan.all,
            Kind::Aggregate(_) | Kind::Window(_) | Kind::Distinct(_) | Kind::ProjectSet(_) | Kind::LockRows(_) => false,
            _ => true,
        }
    }
    query.locking.is_empty() && (!query.order_by.is_empty() || !joins(&query.body) && can(&plan.root))
}

fn check_declaration(declare: &DeclareCursor) -> Result<()> {
    let query = &declare.query;
    if query.with.iter().flat_map(|with| &with.ctes).any(|part| !matches!(*part.statement, Statement::Query(_))) {
        let message = "DECLARE CURSOR must not contain data-modifying statements in WITH";
        return Err(Error::new(SqlState::FeatureNotSupported, message));
    }
    if into(&query.body) {
        return Err(Error::new(SqlState::SyntaxError, "SELECT ... INTO is not allowed here"));
    }
    let Some(locking) = locking_words(query) else { return Ok(()) };
    let (code, message, detail) = if declare.hold {
        (SqlState::FeatureNotSupported, format!("DECLARE CURSOR WITH HOLD ... {locking} is not supported"), "Holdable")
    } else if declare.scroll == Some(true) {
        (SqlState::FeatureNotSupported, format!("DECLARE SCROLL CURSOR ... {locking} is not supported"), "Scrollable")
    } else if declare.insensitive == Some(true) {
        (
            SqlState::InvalidCursorDefinition,
            format!("DECLARE INSENSITIVE CURSOR ... {locking} is not valid"),
            "Insensitive",
        )
    } else {
        return Ok(());
    };
    Err(Error::new(code, message).detail(format!("{detail} cursors must be READ ONLY.")))
}

fn into(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_some(),
        SetExpr::SetOp { left, .. } => into(left),
        SetExpr::Values { .. } | SetExpr::Query(_) => false,
    }
}

/// How the first locking clause is written.
fn locking_words(query: &Query) -> Option<&'static str> {
    use crate::sql::ast::LockStrength;
    query.locking.first().map(|locking| match locking.strength {
        LockStrength::Update => "FOR UPDATE",
        LockStrength::NoKeyUpdate => "FOR NO KEY UPDATE",
        LockStrength::Share => "FOR SHARE",
        LockStrength::KeyShare => "FOR KEY SHARE",
    })
}
