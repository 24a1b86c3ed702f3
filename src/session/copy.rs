//! COPY between a table or query and the client.
//!
//! COPY FROM is one execution of `INSERT INTO t (…) VALUES ($1, …)`, so that defaults, checks, indexes and foreign keys are
//! INSERT's; COPY TO is a SELECT written in another format. The file formats are `copy_format`'s.
//!
//! Deliberately absent: files and programs of the server's machine, and encodings other than UTF8. FREEZE asks for rows
//! frozen early; it changes no result and there is nothing here to freeze, so it is checked and otherwise without effect.
//!
//! Protocol: <https://www.postgresql.org/docs/15/protocol-flow.html#PROTOCOL-COPY>

use super::Session;
use super::copy_format::{
    CopyFormat, CopyReader, Format, Header, escape_text, write_binary_header, write_binary_trailer, write_line,
};
use super::settings::parse_bool;
use super::statement::Prepared;
use crate::catalog::image::{Attribute, Body, Image, Relation, RelationKind};
use crate::catalog::names::Namespace;
use crate::error::{Error, Result, SqlState};
use crate::executor::Execution;
use crate::executor::functions::CallContext;
use crate::executor::functions::string::quote_identifier;
use crate::executor::row::load::Inserter;
use crate::sql::ast::Statement;
use crate::sql::ast::utility::{Copy, CopySource, CopyTarget, DefElem, DefValue, ExprText};
use crate::sql::tree::OutputColumn;
use crate::types::{Datum, Type, binary_io, plain, text_io, typmod};
use crate::wire::backend;
use crate::wire::frontend::{self, Frontend, utf8};
use crate::wire::stream::{Frame, Stream};
use bytes::{BufMut, BytesMut};
use lightning_storage::{ColumnNo, Value};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Rows inserted before other tasks get a turn.
const ROWS_PER_SLICE: u64 = 1000;
/// Input taken from the socket's buffer before its rows are looked at.
const CHUNK_BYTES: usize = 64 << 10;
/// How much of a line or value a CONTEXT shows, as PostgreSQL's MAX_COPY_DATA_DISPLAY.
const SHOWN_BYTES: usize = 100;

/// What the options apply to.
struct Columns<'a> {
    names: Vec<&'a str>,
    /// The table, for messages; `None`: a query.
    relation: Option<&'a Relation>,
    from: bool,
}

/// The rows that arrive.
struct Incoming {
    table: String,
    columns: Vec<(String, Type)>,
    reader: CopyReader,
    binary: bool,
    /// Rows may go into storage's form without being computed.
    direct: bool,
    /// Lines of the rows that wait in the inserter's batch.
    lines: Vec<u64>,
}

impl Session {
    /// COPY; gives its command tag. `text` is the statement's, which positions refer to.
    pub(super) async fn copy(&mut self, copy: &Copy, text: &str, stream: &mut Stream) -> Result<String> {
        match &copy.target {
            CopyTarget::Client => {}
            CopyTarget::File(_) => {
                return Err(
                    Error::unsupported("COPY with a file").hint("Use COPY with STDIN or STDOUT, or psql's \\copy.")
                );
            }
            CopyTarget::Program(_) => return Err(Error::unsupported("COPY with a program")),
        }
        self.ensure_transaction()?;
        let rows =
            if copy.from { self.copy_from(copy, stream).await? } else { self.copy_to(copy, text, stream).await? };
        Ok(format!("COPY {rows}"))
    }

    /// The table that COPY names, and its columns that are copied.
    fn copy_table(&mut self, copy: &Copy) -> Result<(Arc<Relation>, Vec<Attribute>)> {
        let CopySource::Table { name, columns } = &copy.source else {
            return Err(Error::internal("COPY of a query has no table"));
        };
        let image = self.image()?;
        let call = self.call_context(&image);
        let ctx = self.bind_context(&image, &call, Vec::new());
        let relation = crate::sql::bind::Binder::new(&ctx, "").relation(name).map_err(Error::without_position)?;
        check_kind(&relation, copy.from)?;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let attributes = copied_columns(&relation, &names)?;
        Ok((relation, attributes))
    }

    async fn copy_from(&mut self, copy: &Copy, stream: &mut Stream) -> Result<u64> {
        let (relation, attributes) = self.copy_table(copy)?;
        let names = attributes.iter().map(|column| column.name.as_str()).collect();
        let format = options(&copy.options, &Columns { names, relation: Some(&relation), from: true })?;
        if self.settings.lock().flag("transaction_read_only") && !relation.temporary {
            let message = "cannot execute COPY FROM in a read-only transaction";
            return Err(Error::new(SqlState::ReadOnlySqlTransaction, message));
        }
        let text = self.insert_text(&relation, &attributes, copy.filter.as_ref())?;
        let declared = attributes.iter().map(|column| Some(column.ty.oid)).collect();
        let prepared = self.prepare(&text, declared).map_err(Error::without_position)?;
        let (plan, ctx) = self.locked_plan(&prepared).await.map_err(Error::without_position)?;
        let call = ctx.call.clone();
        let mut inserter = Inserter::start(plan, ctx)?;
        let binary = format.format == Format::Binary;
        let mut incoming = Incoming {
            table: relation.name.clone(),
            columns: attributes.iter().map(|column| (column.name.clone(), column.ty)).collect(),
            reader: CopyReader::new(format),
            binary,
            direct: false,
            lines: Vec::new(),
        };
        let numbers: Vec<i16> = attributes.iter().map(|column| column.number).collect();
        incoming.direct = !binary && inserter.allow_direct(&numbers);
        backend::copy_response(&mut stream.out, b'G', binary, attributes.len());
        self.flush(stream).await?;
        stream.expect_much(true);
        let copied = self.copy_rows(&mut incoming, &mut inserter, &call, stream).await;
        stream.expect_much(false);
        copied
    }

    /// The INSERT that a row is given to. With WHERE, the row is a derived table under the table's name, with the defaults of
    /// the columns that are not copied.
    fn insert_text(&mut self, relation: &Relation, columns: &[Attribute], filter: Option<&ExprText>) -> Result<String> {
        let table = qualified(relation);
        let names = list(columns);
        // COPY writes the given values into identity columns whatever they are generated by.
        let identity = columns.iter().any(|column| column.identity.is_some());
        let overriding = if identity { " OVERRIDING SYSTEM VALUE" } else { "" };
        let mut values = (1..=columns.len()).map(|i| format!("${i}")).collect::<Vec<_>>();
        let Some(filter) = filter else {
            return Ok(match columns.is_empty() {
                true => format!("INSERT INTO {table} DEFAULT VALUES"),
                false => format!("INSERT INTO {table} ({names}){overriding} VALUES ({})", values.join(", ")),
            });
        };
        let mut all = columns.to_vec();
        let image = self.image()?;
        let path = self.host.resolve_path(&image, true);
        let types = Namespace { image: &image, path: &path };
        let left_out = |column: &&Attribute| columns.iter().all(|copied| copied.number != column.number);
        for column in relation.live_attributes().filter(|column| !column.generated).filter(left_out) {
            let default = match (&column.default, column.identity) {
                (_, Some(_)) => next_identity(&image, relation, column)?,
                (Some(text), None) => text.clone(),
                (None, None) => "NULL".to_owned(),
            };
            let modifier = Some(column.ty.typmod).filter(|modifier| *modifier >= 0);
            values.push(format!("CAST(({default}) AS {})", types.format_type(column.ty.oid, modifier)));
            all.push(column.clone());
        }
        let (alias, condition, values) = (quote_identifier(&relation.name), &filter.text, values.join(", "));
        let all = list(&all);
        Ok(format!(
            "INSERT INTO {table} ({all}) OVERRIDING SYSTEM VALUE \
             SELECT {all} FROM (SELECT {values}) AS {alias} ({all}) WHERE {condition}"
        ))
    }

    async fn copy_rows(
        &mut self,
        incoming: &mut Incoming,
        inserter: &mut Inserter,
        call: &CallContext,
        stream: &mut Stream,
    ) -> Result<u64> {
        loop {
            let more = self.next_chunk(incoming, stream).await?;
            self.insert_rows(incoming, inserter, call).await?;
            if !more {
                break;
            }
        }
        self.insert_batch(incoming, inserter).await?;
        loop {
            match inserter.finish() {
                Ok(rows) => return Ok(rows),
                Err(error) => self.wait_or_fail(error).await?,
            }
        }
    }

    /// Feeds the reader with what CopyData has arrived, at least one; false after CopyDone.
    async fn next_chunk(&mut self, incoming: &mut Incoming, stream: &mut Stream) -> Result<bool> {
        loop {
            let mut fed = 0;
            while fed < CHUNK_BYTES
                && let Some(chunk) = stream.peek(b'd')
            {
                incoming.reader.feed(chunk);
                fed += chunk.len() + 1;
                stream.consume();
            }
            if fed > 0 {
                return Ok(true);
            }
            let (kind, body) = match self.copy_frame(stream).await? {
                Frame::Message(kind, body) => (kind, body),
                Frame::Closed => {
                    let message = "unexpected EOF on client connection with an open transaction";
                    return Err(Error::new(SqlState::ConnectionException, message).fatal());
                }
                Frame::Invalid(why) => return Err(Error::new(SqlState::ProtocolViolation, why).fatal()),
            };
            if !b"dcfHS".contains(&kind) {
                let message = format!("unexpected message type 0x{kind:02X} during COPY from stdin");
                return Err(Error::new(SqlState::ProtocolViolation, message).fatal());
            }
            match frontend::decode(kind, body)? {
                Frontend::CopyData(chunk) => {
                    incoming.reader.feed(&chunk);
                    return Ok(true);
                }
                Frontend::CopyFail { reason } => {
                    let message = format!("COPY from stdin failed: {reason}");
                    let context = format!("COPY {}, line {}", incoming.table, incoming.reader.line + 1);
                    return Err(Error::new(SqlState::QueryCanceled, message).context(context));
                }
                Frontend::CopyDone => {
                    incoming.reader.finish();
                    return Ok(false);
                }
                // Flush and Sync, which a client may send without knowing that COPY has begun.
                _ => {}
            }
        }
    }

    /// The next frame; a cancel request, a timeout or the server's end interrupt the wait for it.
    async fn copy_frame(&mut self, stream: &mut Stream) -> Result<Frame> {
        let never = Instant::now() + std::time::Duration::from_secs(1 << 30);
        loop {
            self.check_interrupts()?;
            let deadline = self.deadline.unwrap_or(never);
            tokio::select! {
                frame = stream.frame(frontend::MESSAGE_BYTES_MAX) => {
                    return frame.map_err(|e| Error::new(SqlState::ConnectionException, e.to_string()).fatal());
                }
                () = self.backend.woken.notified() => {}
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
        }
    }

    /// Inserts all rows that have arrived whole.
    async fn insert_rows(
        &mut self,
        incoming: &mut Incoming,
        inserter: &mut Inserter,
        call: &CallContext,
    ) -> Result<()> {
        let mut rows = 0;
        while incoming.next()? {
            if !(incoming.direct && incoming.insert_direct(inserter)?) {
                let mut inserted = inserter.insert(incoming.values(call)?);
                while let Err(error) = inserted {
                    self.wait_or_fail(error).await.map_err(|error| incoming.at_row(error, inserter))?;
                    inserted = inserter.resume();
                }
            }
            incoming.note_line(inserter);
            if inserter.is_full() {
                self.insert_batch(incoming, inserter).await?;
            }
            rows += 1;
            if rows % ROWS_PER_SLICE == 0 {
                self.check_interrupts()?;
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Inserts the rows that were gathered.
    async fn insert_batch(&mut self, incoming: &mut Incoming, inserter: &mut Inserter) -> Result<()> {
        let mut inserted = inserter.flush();
        while let Err(error) = inserted {
            self.wait_or_fail(error).await.map_err(|error| incoming.at_row(error, inserter))?;
            inserted = inserter.resume();
        }
        incoming.lines.clear();
        Ok(())
    }

    /// Waits when the error asks for it, else gives it back.
    pub(super) async fn wait_or_fail(&mut self, error: Error) -> Result<()> {
        let Some(waiter) = error.waiter().cloned() else {
            self.check_interrupts()?;
            return Err(error);
        };
        self.wait(&waiter).await
    }

    async fn copy_to(&mut self, copy: &Copy, text: &str, stream: &mut Stream) -> Result<u64> {
        let (prepared, relation) = match &copy.source {
            CopySource::Table { .. } => {
                let (relation, attributes) = self.copy_table(copy)?;
                let text = select_text(&relation, &attributes);
                (self.prepare(&text, Vec::new()).map_err(Error::without_position)?, Some(relation))
            }
            CopySource::Statement(statement) => (self.prepare_copied(text, statement)?, None),
        };
        let names = prepared.output.iter().map(|column| column.name.as_str()).collect();
        let format = options(&copy.options, &Columns { names, relation: relation.as_deref(), from: false })?;
        let started = self.start(&prepared, Arc::new([])).await;
        let mut execution = match relation {
            // The text is none of the client's.
            Some(_) => started.map_err(Error::without_position)?,
            None => started?,
        };
        let binary = format.format == Format::Binary;
        backend::copy_response(&mut stream.out, b'H', binary, prepared.output.len());
        if !binary && format.header != Header::No {
            let format = CopyFormat { force_quote: vec![false; format.force_quote.len()], ..format.clone() };
            let names = prepared.output.iter().map(|column| Some(column.name.as_str()));
            backend::frame(&mut stream.out, b'd', |out| write_line(&format, names, out));
        }
        let mut row = TextRow::default();
        let mut rows = 0;
        let columns = &prepared.output;
        let stored = if format.format == Format::Text { execution.keep_stored() } else { None };
        let run = self.run(&mut execution, stream, |execution, out| {
            rows += 1;
            let mut result = Ok(());
            backend::frame(out, b'd', |out| match (binary, &stored) {
                (true, _) => {
                    // In one message with the first row, as drivers expect.
                    if rows == 1 {
                        write_binary_header(out);
                    }
                    put_binary(execution, columns, out);
                }
                (false, Some(stored)) => result = row.put_stored(execution, stored, &format, out),
                (false, None) => row.put(execution, columns, &format, out),
            });
            result.map(|()| true)
        });
        if let Err(error) = run.await {
            self.leave(execution);
            return Err(error);
        }
        if binary {
            backend::frame(&mut stream.out, b'd', |out| {
                if rows == 0 {
                    write_binary_header(out);
                }
                write_binary_trailer(out);
            });
        }
        backend::bare(&mut stream.out, b'c');
        Ok(rows)
    }

    fn prepare_copied(&mut self, text: &str, statement: &Statement) -> Result<Prepared> {
        if matches!(statement, Statement::Utility(_)) {
            return Err(Error::unsupported("COPY of a utility statement"));
        }
        let prepared = self.prepare_statement(text.into(), Some(Arc::new(statement.clone())), Vec::new())?;
        if prepared.output.is_empty() && !matches!(statement, Statement::Query(_)) {
            return Err(Error::new(SqlState::FeatureNotSupported, "COPY query must have a RETURNING clause"));
        }
        Ok(prepared)
    }
}

/// A row's text forms, kept between rows for their memory.
#[derive(Default)]
struct TextRow {
    text: String,
    fields: Vec<Option<Range<usize>>>,
}

impl TextRow {
    fn put(&mut self, execution: &Execution, columns: &[OutputColumn], format: &CopyFormat, out: &mut BytesMut) {
        let ctx = execution.context().call.text();
        self.text.clear();
        self.fields.clear();
        for (i, column) in columns.iter().enumerate() {
            let value = execution.output(i);
            let start = self.text.len();
            text_io::output(value, column.ty, &ctx, &mut self.text);
            self.fields.push((!value.is_null()).then_some(start..self.text.len()));
        }
        let fields = self.fields.iter().map(|range| range.clone().map(|range| &self.text[range]));
        write_line(format, fields, out);
    }
}

impl TextRow {
    /// A line of text format from a row as it is stored.
    fn put_stored(
        &mut self,
        execution: &Execution,
        columns: &[(ColumnNo, Type)],
        format: &CopyFormat,
        out: &mut BytesMut,
    ) -> Result<()> {
        let ctx = execution.context().call.text();
        let row = execution.stored_row().ok_or_else(|| Error::internal("a scan has lost its row"))?;
        self.text.clear();
        for (i, (column, ty)) in columns.iter().enumerate() {
            if i > 0 {
                self.text.push(char::from(format.delimiter));
            }
            let start = self.text.len();
            match row.get(*column) {
                Value::Null => self.text.push_str(&format.null),
                value => {
                    plain::output(value, *ty, &ctx, &mut self.text)?;
                    escape_text(format.delimiter, start, &mut self.text);
                }
            }
        }
        self.text.push('\n');
        out.put_slice(self.text.as_bytes());
        Ok(())
    }
}

fn put_binary(execution: &Execution, columns: &[OutputColumn], out: &mut BytesMut) {
    let names = execution.context().call.text().names;
    out.put_i16(columns.len() as i16);
    for (i, column) in columns.iter().enumerate() {
        binary_io::send_sized(execution.output(i), column.ty, names, out);
    }
}

impl Incoming {
    /// Goes on to the next row; `false`: more input is needed, or the end.
    fn next(&mut self) -> Result<bool> {
        loop {
            let found = self.reader.next_row().map_err(|error| match self.reader.is_splitting() {
                true => self.at_line(error),
                false => error.context(format!("COPY {}, line {}", self.table, self.reader.line.max(1))),
            })?;
            if found && self.reader.is_header() {
                self.check_header().map_err(|error| self.at_line(error))?;
                continue;
            }
            return Ok(found);
        }
    }

    /// Puts the row into the batch without computing it; `false`: that cannot be.
    fn insert_direct(&self, inserter: &mut Inserter) -> Result<bool> {
        if self.reader.count() != self.columns.len() {
            return Ok(false);
        }
        inserter.insert_direct(|column, ty| match self.reader.field(column) {
            Some(field) => plain::cell(field, ty),
            None => Some(Value::Null),
        })
    }

    /// Remembers the line of a row that has come into the batch.
    fn note_line(&mut self, inserter: &Inserter) {
        // A row that was too large for a batch has taken the earlier ones along.
        self.lines.truncate(inserter.pending());
        self.lines.resize(inserter.pending(), self.reader.line);
    }

    fn check_header(&self) -> Result<()> {
        let bad = |message: String| Err(Error::new(SqlState::BadCopyFileFormat, message));
        let (got, expected) = (self.reader.count(), self.columns.len());
        if got != expected {
            return bad(format!("wrong number of fields in header line: got {got}, expected {expected}"));
        }
        for (i, (name, _)) in self.columns.iter().enumerate() {
            let number = i + 1;
            match self.reader.field(i) {
                Some(field) if field == name.as_bytes() => {}
                Some(field) => {
                    let got = utf8(field)?;
                    return bad(format!(
                        "column name mismatch in header line field {number}: got \"{got}\", expected \"{name}\""
                    ));
                }
                None => {
                    return bad(format!(
                        "column name mismatch in header line field {number}: got null value, expected \"{name}\""
                    ));
                }
            }
        }
        Ok(())
    }

    fn values(&self, call: &CallContext) -> Result<Arc<[Datum]>> {
        let bad = |message: String| Err(self.at_line(Error::new(SqlState::BadCopyFileFormat, message)));
        let (got, expected) = (self.reader.count(), self.columns.len());
        if self.binary && got != expected {
            return bad(format!("row field count is {got}, expected {expected}"));
        }
        // An empty line has one empty field, or none when there are no columns.
        let empty = expected == 0 && self.reader.raw_line().is_empty();
        if got > expected && !empty {
            return bad("extra data after last expected column".to_owned());
        }
        let ctx = call.text();
        let value = |field: Option<&[u8]>, ty: Type| match field {
            None => Ok(Datum::Null),
            Some(bytes) if self.binary => {
                typmod::apply(binary_io::receive(bytes, Type::new(ty.oid), ctx.names)?, ty, false)
            }
            Some(bytes) => typmod::apply(text_io::input_plain(utf8(bytes)?, ty, &ctx)?, ty, false),
        };
        let mut values = Vec::with_capacity(expected);
        for (i, (name, ty)) in self.columns.iter().enumerate() {
            if i >= got {
                return bad(format!("missing data for column \"{name}\""));
            }
            let field = self.reader.field(i);
            values.push(value(field, *ty).map_err(|error| self.at_column(error, name, field))?);
        }
        Ok(values.into())
    }

    /// An error's CONTEXT: the line, of a row of the batch if it is about one. PostgreSQL, which writes its rows in batches too, no
    /// longer has that line's text then.
    fn at_row(&self, error: Error, inserter: &Inserter) -> Error {
        match inserter.failed_row().and_then(|row| self.lines.get(row)) {
            Some(line) => error.context(format!("COPY {}, line {line}", self.table)),
            None => self.at_line(error),
        }
    }

    /// An error's CONTEXT: the line.
    fn at_line(&self, error: Error) -> Error {
        let mut context = format!("COPY {}, line {}", self.table, self.reader.line);
        // PostgreSQL writes its indexes later, and no longer has the line when a key is there already.
        if !self.binary && error.code() != SqlState::UniqueViolation {
            context.push_str(&format!(": \"{}\"", shown(self.reader.raw_line())));
        }
        error.context(context)
    }

    /// An error's CONTEXT: the value.
    fn at_column(&self, error: Error, name: &str, field: Option<&[u8]>) -> Error {
        let mut context = format!("COPY {}, line {}, column {name}", self.table, self.reader.line);
        match field {
            Some(bytes) if !self.binary => context.push_str(&format!(": \"{}\"", shown(bytes))),
            Some(_) => {}
            None => context.push_str(": null input"),
        }
        error.context(context)
    }
}

/// Input as a message shows it: the beginning of what is long.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.len() <= SHOWN_BYTES {
        return text.into_owned();
    }
    let end = (0..=SHOWN_BYTES).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}...", &text[..end])
}

fn check_kind(relation: &Relation, from: bool) -> Result<()> {
    let name = &relation.name;
    let refuse = |what: &str| {
        let message = format!("cannot copy {} {what} \"{name}\"", if from { "to" } else { "from" });
        Err(Error::new(SqlState::WrongObjectType, message))
    };
    match relation.kind {
        RelationKind::Table => Ok(()),
        RelationKind::Sequence => refuse("sequence"),
        RelationKind::Index => refuse("index"),
        RelationKind::View if from => refuse("view")
            .map_err(|error| error.hint("To enable copying to a view, provide an INSTEAD OF INSERT trigger.")),
        RelationKind::View => refuse("view").map_err(|error| error.hint("Try the COPY (SELECT ...) TO variant.")),
    }
}

/// The columns named, or all that a row is written with.
fn copied_columns(relation: &Relation, names: &[&str]) -> Result<Vec<Attribute>> {
    let live = || relation.attributes.iter().filter(|column| !column.dropped);
    if names.is_empty() {
        return Ok(live().filter(|column| !column.generated).cloned().collect());
    }
    let mut columns: Vec<Attribute> = Vec::with_capacity(names.len());
    for name in names {
        let Some(column) = live().find(|column| column.name == *name) else {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", relation.name);
            return Err(Error::new(SqlState::UndefinedColumn, message));
        };
        if column.generated {
            let message = format!("column \"{name}\" is a generated column");
            let error = Error::new(SqlState::InvalidColumnReference, message);
            return Err(error.detail("Generated columns cannot be used in COPY."));
        }
        if columns.iter().any(|other| other.number == column.number) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(Error::new(SqlState::DuplicateColumn, message));
        }
        columns.push(column.clone());
    }
    Ok(columns)
}

fn qualified(relation: &Relation) -> String {
    format!("{}.{}", quote_identifier(&relation.schema_name), quote_identifier(&relation.name))
}

fn list(columns: &[Attribute]) -> String {
    columns.iter().map(|column| quote_identifier(&column.name)).collect::<Vec<_>>().join(", ")
}

fn select_text(relation: &Relation, columns: &[Attribute]) -> String {
    format!("SELECT {} FROM {}", list(columns), qualified(relation))
}

/// The next value of an identity column, as an expression.
fn next_identity(image: &Image, relation: &Relation, column: &Attribute) -> Result<String> {
    let owned = Some((relation.oid, column.number));
    let found = image.relations.values().find(|other| match &other.body {
        Body::Sequence(sequence) => sequence.identity && sequence.owned_by == owned,
        _ => false,
    });
    let sequence =
        found.ok_or_else(|| Error::internal(format!("no sequence for the identity column \"{}\"", column.name)))?;
    Ok(format!("pg_catalog.nextval('{}'::pg_catalog.regclass)", qualified(sequence).replace('\'', "''")))
}

/// Options as written, each at most once.
#[derive(Default)]
struct Written<'a> {
    format: Option<Format>,
    freeze: Option<bool>,
    delimiter: Option<&'a str>,
    null: Option<&'a str>,
    header: Option<Header>,
    quote: Option<&'a str>,
    escape: Option<&'a str>,
    force_quote: Option<&'a DefElem>,
    force_not_null: Option<&'a DefElem>,
    force_null: Option<&'a DefElem>,
    encoding: Option<&'a DefElem>,
}

fn once<T>(place: &mut Option<T>, value: T, option: &DefElem) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(SqlState::SyntaxError, "conflicting or redundant options").at(option.pos)),
    }
}

fn text(option: &DefElem) -> Result<&str> {
    match &option.value {
        Some(DefValue::Text(text) | DefValue::Number(text)) => Ok(text),
        Some(DefValue::Star) => Ok("*"),
        Some(DefValue::List(_)) | None => {
            Err(Error::new(SqlState::SyntaxError, format!("{} requires a parameter", option.name)))
        }
    }
}

/// 1, 0 and words; no value is true.
fn boolean(option: &DefElem) -> Option<bool> {
    match &option.value {
        None => Some(true),
        Some(DefValue::Number(number)) => match number.as_str() {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        },
        Some(DefValue::Text(word)) => match word.to_ascii_lowercase().as_str() {
            word @ ("true" | "false" | "on" | "off") => parse_bool(word),
            _ => None,
        },
        Some(_) => None,
    }
}

fn written(elements: &[DefElem]) -> Result<Written<'_>> {
    let mut found = Written::default();
    for option in elements {
        match option.name.as_str() {
            "format" => {
                let format = match text(option)? {
                    "text" => Format::Text,
                    "csv" => Format::Csv,
                    "binary" => Format::Binary,
                    other => {
                        let message = format!("COPY format \"{other}\" not recognized");
                        return Err(Error::new(SqlState::InvalidParameterValue, message).at(option.pos));
                    }
                };
                once(&mut found.format, format, option)?;
            }
            "freeze" => {
                let value = boolean(option)
                    .ok_or_else(|| Error::new(SqlState::SyntaxError, "freeze requires a Boolean value"))?;
                once(&mut found.freeze, value, option)?;
            }
            "header" => once(&mut found.header, header(option)?, option)?,
            "delimiter" => once(&mut found.delimiter, text(option)?, option)?,
            "null" => once(&mut found.null, text(option)?, option)?,
            "quote" => once(&mut found.quote, text(option)?, option)?,
            "escape" => once(&mut found.escape, text(option)?, option)?,
            "force_quote" => once(&mut found.force_quote, option, option)?,
            "force_not_null" => once(&mut found.force_not_null, option, option)?,
            "force_null" => once(&mut found.force_null, option, option)?,
            "encoding" => once(&mut found.encoding, option, option)?,
            other => {
                let message = format!("option \"{other}\" not recognized");
                return Err(Error::new(SqlState::SyntaxError, message).at(option.pos));
            }
        }
    }
    Ok(found)
}

fn header(option: &DefElem) -> Result<Header> {
    match (&option.value, boolean(option)) {
        (_, Some(true)) => Ok(Header::Yes),
        (_, Some(false)) => Ok(Header::No),
        (Some(DefValue::Text(word)), None) if word.eq_ignore_ascii_case("match") => Ok(Header::Match),
        _ => Err(Error::new(SqlState::SyntaxError, "header requires a Boolean value or \"match\"")),
    }
}

/// Checks the options, in PostgreSQL's order.
fn options(elements: &[DefElem], columns: &Columns<'_>) -> Result<CopyFormat> {
    let found = written(elements)?;
    let mut format = CopyFormat::new(found.format.unwrap_or_default(), columns.names.len());
    let csv = format.format == Format::Csv;
    let syntax = |message: &str| Err(Error::new(SqlState::SyntaxError, message));
    let feature = |message: String| Err(Error::new(SqlState::FeatureNotSupported, message));
    if let Some(option) = found.encoding {
        check_encoding(option)?;
    }
    if format.format == Format::Binary {
        if found.delimiter.is_some() {
            return syntax("cannot specify DELIMITER in BINARY mode");
        }
        if found.null.is_some() {
            return syntax("cannot specify NULL in BINARY mode");
        }
    }
    format.header = found.header.unwrap_or_default();
    if format.header == Header::Match && !columns.from {
        return feature("cannot use \"match\" with HEADER in COPY TO".to_owned());
    }
    if let Some(null) = found.null {
        format.null = null.to_owned();
    }
    let one_byte = |text: Option<&str>, default: u8, what: &str| match text.map(str::as_bytes) {
        None => Ok(default),
        Some(&[byte]) => Ok(byte),
        Some(_) => {
            let message = format!("COPY {what} must be a single one-byte character");
            Err(Error::new(SqlState::FeatureNotSupported, message))
        }
    };
    format.delimiter = one_byte(found.delimiter, format.delimiter, "delimiter")?;
    check_separators(&format)?;
    if format.format == Format::Binary && format.header != Header::No {
        return feature("cannot specify HEADER in BINARY mode".to_owned());
    }
    for (value, what) in [(found.quote, "quote"), (found.escape, "escape")] {
        if value.is_some() && !csv {
            return feature(format!("COPY {what} available only in CSV mode"));
        }
    }
    format.quote = one_byte(found.quote, format.quote, "quote")?;
    if csv && format.delimiter == format.quote {
        let message = "COPY delimiter and quote must be different";
        return Err(Error::new(SqlState::InvalidParameterValue, message));
    }
    format.escape = one_byte(found.escape, format.quote, "escape")?;
    let forces = [
        (found.force_quote, "force quote", false, &mut format.force_quote),
        (found.force_not_null, "force not null", true, &mut format.force_not_null),
        (found.force_null, "force null", true, &mut format.force_null),
    ];
    for (option, what, from, flags) in forces {
        let Some(option) = option else { continue };
        if !csv {
            return feature(format!("COPY {what} available only in CSV mode"));
        }
        if from != columns.from {
            return feature(format!("COPY {what} only available using COPY {}", if from { "FROM" } else { "TO" }));
        }
        force(option, what, columns, flags)?;
    }
    if format.format != Format::Binary && format.null.as_bytes().contains(&format.delimiter) {
        return feature("COPY delimiter must not appear in the NULL specification".to_owned());
    }
    if csv && format.null.as_bytes().contains(&format.quote) {
        return feature("CSV quote character must not appear in the NULL specification".to_owned());
    }
    Ok(format)
}

fn check_encoding(option: &DefElem) -> Result<()> {
    let name = text(option)?;
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" => Ok(()),
        _ => Err(Error::unsupported(format!("COPY with encoding \"{name}\"")).at(option.pos)),
    }
}

fn check_separators(format: &CopyFormat) -> Result<()> {
    let invalid = |message: String| Err(Error::new(SqlState::InvalidParameterValue, message));
    let delimiter = format.delimiter;
    if matches!(delimiter, b'\r' | b'\n') {
        return invalid("COPY delimiter cannot be newline or carriage return".to_owned());
    }
    if format.null.contains(['\r', '\n']) {
        return invalid("COPY null representation cannot use newline or carriage return".to_owned());
    }
    // In text these would be taken for escapes or for the end-of-data marker.
    if format.format == Format::Text && b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(&delimiter) {
        return invalid(format!("COPY delimiter cannot be \"{}\"", char::from(delimiter)));
    }
    Ok(())
}

fn force(option: &DefElem, what: &str, columns: &Columns<'_>, flags: &mut [bool]) -> Result<()> {
    let names = match &option.value {
        Some(DefValue::Star) if option.name == "force_quote" => {
            flags.fill(true);
            return Ok(());
        }
        Some(DefValue::List(names)) => names,
        _ => {
            let message = format!("argument to option \"{}\" must be a list of column names", option.name);
            return Err(Error::new(SqlState::InvalidParameterValue, message).at(option.pos));
        }
    };
    for name in names {
        if let Some(at) = columns.names.iter().position(|column| column == name) {
            flags[at] = true;
            continue;
        }
        let in_table = |relation: &Relation| relation.attributes.iter().any(|c| !c.dropped && c.name == *name);
        return Err(match columns.relation {
            Some(relation) if in_table(relation) => {
                let what = what.to_uppercase().replace(' ', "_");
                let message = format!("{what} column \"{name}\" not referenced by COPY");
                Error::new(SqlState::InvalidColumnReference, message)
            }
            Some(relation) => {
                let message = format!("column \"{name}\" of relation \"{}\" does not exist", relation.name);
                Error::new(SqlState::UndefinedColumn, message)
            }
            None => Error::new(SqlState::UndefinedColumn, format!("column \"{name}\" does not exist")),
        });
    }
    Ok(())
}
