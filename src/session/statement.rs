//! From text to plan; prepared statements and portals.

use super::cursor::Cursor;
use super::run::in_failed_block;
use super::transaction::Block;
use super::{Session, now};
use crate::catalog::image::{Image, Relation};
use crate::error::{Error, Result, SqlState};
use crate::executor::row::plan::PlanKind;
use crate::executor::row::store::LongStore;
use crate::executor::{Execution, Plan};
use crate::planner;
use crate::sql::ast::{self, Parsed};
use crate::sql::parse::template::Hole;
use crate::sql::tree::{OutputColumn, Statement};
use crate::types::text_io::TextContext;
use crate::types::{Datum, Oid, Type, binary_io, oid, text_io};
use crate::wire::backend::{self, Field};
use crate::wire::frontend::{Bind, utf8};
use bytes::BytesMut;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A prepared statement.
pub(super) struct Prepared {
    /// Its text, positions included.
    pub(super) text: Arc<str>,
    /// `None`: an empty statement.
    pub(super) statement: Option<Arc<ast::Statement>>,
    /// Types that the client declared.
    pub(super) declared: Vec<Option<Oid>>,
    /// Types of the parameters, as bound.
    pub(super) params: Arc<[Type]>,
    /// When it was made, and whether by PREPARE.
    pub(super) time: i64,
    pub(super) from_sql: bool,
    /// The error of a constant expression: it was found when the statement was prepared, and is reported when it is bound.
    pub(super) failure: Option<Error>,
    /// Of a simple query, which has no parameters.
    pub(super) simple: bool,
    /// What its rows look like; fixed when it was prepared (a change of it is 0A000).
    pub(super) output: Arc<[OutputColumn]>,
    /// The plan came from the cache of all sessions, or its literals are parameters: which.
    pub(super) holes: Option<Arc<[Hole]>>,
    /// The plan, and what it was made of.
    pub(super) cached: Mutex<Option<Cached>>,
}

/// What a plan depends on, and how that was ([`Image::fingerprint`]).
pub(super) type Basis = (Vec<Oid>, u64);

pub(super) struct Cached {
    pub(super) plan: Arc<Plan>,
    pub(super) image_version: u64,
    pub(super) settings_version: u64,
    /// `None`: it depends on more than its relations, or was made over a catalog that is not committed.
    pub(super) basis: Option<Arc<Basis>>,
    /// About the rows of its tables when it was made.
    pub(super) sizes: Arc<[f64]>,
    /// How often it was taken since.
    pub(super) uses: u32,
    /// It would be the same at another time.
    pub(super) shareable: bool,
}

/// Growth of a table that makes its plans old.
const OLD_AT: f64 = 8.0;

/// A portal: a prepared statement with its parameters, perhaps under way.
pub(super) struct Portal {
    pub(super) prepared: Arc<Prepared>,
    pub(super) params: Arc<[Datum]>,
    /// Per result column: binary?
    pub(super) binary: Vec<bool>,
    pub(super) state: PortalState,
    /// Savepoints around it: it ends with the one that it was made in.
    pub(super) depth: usize,
    /// Made by DECLARE: its rows are FETCH's.
    pub(super) cursor: Option<Box<Cursor>>,
}

/// How far a portal is.
pub(super) enum PortalState {
    /// Not begun.
    Ready,
    /// Under way; rows given so far.
    Running(Box<Execution>, u64),
    /// A statement that writes, whose rows are asked for in pieces: run to its end, its rows are kept.
    Kept(Box<KeptRows>),
    /// Run to its end.
    Done,
}

/// All rows of an execution.
pub(super) struct KeptRows {
    pub(super) rows: LongStore,
    /// How many of them have been given.
    pub(super) given: usize,
    pub(super) kind: PlanKind,
    pub(super) affected: u64,
}

impl Portal {
    /// Whether it outlives its transaction: a cursor WITH HOLD after COMMIT.
    pub(super) fn is_held(&self) -> bool {
        self.cursor.as_ref().is_some_and(|cursor| cursor.held)
    }

    /// Its execution, if it is under way.
    pub(super) fn into_execution(self) -> Option<Execution> {
        match self.state {
            PortalState::Running(execution, _) => Some(*execution),
            PortalState::Ready | PortalState::Kept(_) | PortalState::Done => None,
        }
    }
}

impl Prepared {
    /// Whether its rows are described, be it without a column.
    pub(super) fn gives_rows(&self) -> bool {
        matches!(self.statement.as_deref(), Some(ast::Statement::Query(_))) || !self.output.is_empty()
    }

    /// The plan that was made last.
    pub(super) fn plan_at_hand(&self) -> Option<Arc<Plan>> {
        self.cached.lock().as_ref().map(|cached| cached.plan.clone())
    }

    /// Plan, version of the catalog, basis and sizes, when other sessions may use them too.
    pub(super) fn shareable(&self) -> Option<(Arc<Plan>, u64, Arc<Basis>, Arc<[f64]>)> {
        let cached = self.cached.lock();
        let cached = cached.as_ref().filter(|cached| cached.shareable)?;
        Some((cached.plan.clone(), cached.image_version, cached.basis.clone()?, cached.sizes.clone()))
    }

    /// RowDescription, or NoData.
    fn describe_rows(&self, binary: &[bool], out: &mut BytesMut) {
        match self.gives_rows() {
            true => backend::row_description(out, fields(&self.output, binary)),
            false => backend::bare(out, b'n'),
        }
    }

    /// DISCARD PLANS.
    pub(super) fn forget_plan(&self) {
        *self.cached.lock() = None;
    }

    /// Whether the statement is planned (gives rows or writes), in contrast to utility statements.
    pub(super) fn is_planned(&self) -> bool {
        matches!(self.statement.as_deref(), Some(s) if !matches!(s, ast::Statement::Utility(_)))
    }
}

/// Where a parameter's error is, as PostgreSQL words it while log_parameter_max_length_on_error is 0.
fn parameter_context(portal: &str, at: usize, shown: &str) -> String {
    let of = if portal.is_empty() { "unnamed portal".to_owned() } else { format!("portal \"{portal}\"") };
    format!("{of} parameter ${}{shown}", at + 1)
}

impl Session {
    /// Makes a prepared statement of a text with at most one statement.
    pub(super) fn prepare(&mut self, text: &str, declared: Vec<Option<Oid>>) -> Result<Prepared> {
        let lookup = self.lookup(text, Some(&declared));
        if let Some(lookup) = &lookup
            && let Some((prepared, _)) = self.recall(lookup)
        {
            return Ok(prepared);
        }
        let mut parsed = crate::sql::parse::parse(text)?;
        if parsed.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Error::new(SqlState::SyntaxError, message));
        }
        let statement = parsed.pop().map(|parsed| parsed.statement);
        if let Some(statement) = &statement {
            self.check_failed_block(statement)?;
        }
        match (lookup, statement) {
            (Some(lookup), Some(statement)) => {
                self.prepare_kept(&lookup, text.into(), statement, declared).map(|(prepared, _)| prepared)
            }
            (_, statement) => self.prepare_statement(text.into(), statement.map(Arc::new), declared),
        }
    }

    /// As [`Session::prepare`], of a parsed statement.
    pub(super) fn prepare_statement(
        &mut self,
        text: Arc<str>,
        statement: Option<Arc<ast::Statement>>,
        declared: Vec<Option<Oid>>,
    ) -> Result<Prepared> {
        self.prepare_as(text, statement, declared, false)
    }

    fn prepare_as(
        &mut self,
        text: Arc<str>,
        statement: Option<Arc<ast::Statement>>,
        declared: Vec<Option<Oid>>,
        simple: bool,
    ) -> Result<Prepared> {
        let mut prepared = Prepared {
            text,
            statement,
            declared,
            params: Arc::new([]),
            time: self.statement_time,
            from_sql: false,
            failure: None,
            simple,
            output: Arc::new([]),
            holes: None,
            cached: Mutex::new(None),
        };
        if prepared.is_planned() {
            self.ensure_transaction()?;
            let plan = self.plan(&prepared)?;
            prepared.params = plan.params.as_slice().into();
            prepared.output = plan.output.as_slice().into();
            prepared.failure = plan.failure.clone();
        } else {
            prepared.params = prepared.declared.iter().map(|ty| Type::new(ty.unwrap_or(oid::TEXT))).collect();
            if let Some(ast::Statement::Utility(utility)) = prepared.statement.as_deref() {
                prepared.output = self.utility_output(utility)?.into();
            }
        }
        Ok(prepared)
    }

    /// A statement of a simple query, ready to run.
    pub(super) fn prepare_parsed(&mut self, text: &Arc<str>, parsed: Parsed) -> Result<Prepared> {
        self.prepare_as(text.clone(), Some(Arc::new(parsed.statement)), Vec::new(), true)
    }

    /// Where a statement's text first names a relation.
    pub(super) fn place_of(&mut self, prepared: &Prepared, relation: Oid) -> Result<Option<u32>> {
        let statement = match (&prepared.holes, &prepared.statement) {
            (Some(holes), _) => Session::own_statement(&prepared.text, holes)?,
            (None, Some(statement)) => statement.clone(),
            (None, None) => return Ok(None),
        };
        let image = self.image()?;
        let call = self.call_context(&image);
        let declared = prepared.params.iter().map(|ty| Some(ty.oid)).collect();
        let ctx = self.bind_context(&image, &call, declared);
        self.watched(|| crate::sql::bind::Binder::new(&ctx, &prepared.text).place_of(&statement, relation))
    }

    /// The statement's plan: the cached one while catalog and settings are as they were.
    pub(super) fn plan(&mut self, prepared: &Prepared) -> Result<Arc<Plan>> {
        let image = self.image()?;
        let settings_version = self.settings.lock().version;
        if let Some(cached) = &mut *prepared.cached.lock()
            && cached.settings_version == settings_version
            && (cached.image_version == image.version || self.is_as_it_was(cached, &image))
        {
            cached.image_version = image.version;
            // A table that was empty when it was planned for wants another plan once it is full; looking costs little, but
            // not nothing.
            cached.uses += 1;
            let look = cached.uses.is_power_of_two() && cached.uses >= 4;
            if !look || !self.has_grown(cached, &image) {
                return Ok(cached.plan.clone());
            }
        }
        let Some(statement) = &prepared.statement else {
            return Err(Error::internal("an empty statement has no plan"));
        };
        let statement = &match &prepared.holes {
            Some(holes) => Session::own_statement(&prepared.text, holes)?,
            None => statement.clone(),
        };
        let call = self.call_context(&image);
        let declared = if prepared.params.is_empty() {
            prepared.declared.clone()
        } else {
            prepared.params.iter().map(|ty| Some(ty.oid)).collect()
        };
        let ctx = self.bind_context(&image, &call, declared);
        let names_read = self.host.names_read.load(Ordering::Relaxed);
        // Constants are folded on the way.
        let (bound, plan) = self.watched(|| {
            let mut binder = crate::sql::bind::Binder::new(&ctx, &prepared.text);
            binder.no_params = prepared.simple;
            let bound = binder.statement(statement)?;
            let plan = self.plan_bound(&bound, &[], &image)?;
            Ok((bound, plan))
        })?;
        if !prepared.output.is_empty() && !same_shape(&prepared.output, &plan.output) {
            return Err(Error::new(SqlState::FeatureNotSupported, "cached plan must not change result type"));
        }
        let sizes = self.sizes(&plan, &image).into();
        let private = self.change.is_some() || self.host.names_read.load(Ordering::Relaxed) != names_read;
        let fingerprint = image.fingerprint(&bound.dependencies, &ctx.search_path, ctx.user);
        let basis = (!private).then(|| Arc::new((bound.dependencies, fingerprint)));
        let shareable = !ctx.reads_clock.get();
        let (plan_kept, image_version) = (plan.clone(), image.version);
        let cached = Cached { plan: plan_kept, image_version, settings_version, basis, sizes, uses: 0, shareable };
        *prepared.cached.lock() = Some(cached);
        Ok(plan)
    }

    /// The plan for one execution. Where a part of it reads so much that it begins on the vector road, planning costs nothing beside
    /// it: access paths, order of joins and road are those for the parameters' values.
    pub(super) fn plan_for(&mut self, plan: Arc<Plan>, values: &[Datum]) -> Result<Arc<Plan>> {
        let Some(bound) = plan.bound.as_ref().filter(|_| !values.is_empty()) else { return Ok(plan) };
        let image = self.image()?;
        self.watched(|| self.plan_bound(bound, values, &image))
    }

    fn plan_bound(&self, bound: &Statement, values: &[Datum], image: &Image) -> Result<Arc<Plan>> {
        let road = self.settings.lock().parsed().road;
        let plan = planner::physical::plan_on(bound, road, values, &|relation| {
            let transaction = self.transaction.lock();
            planner::physical::facts_now(relation, image, transaction.as_ref()?)
        })?;
        Ok(Arc::new(plan))
    }

    /// Whether what a plan depends on is as it was, though the catalog has changed.
    pub(super) fn is_as_it_was(&self, cached: &Cached, image: &Image) -> bool {
        let Some((relations, fingerprint)) = cached.basis.as_deref() else { return false };
        let path = self.host.resolve_path(image, true);
        self.change.is_none() && image.fingerprint(relations, &path, self.user(image)) == *fingerprint
    }

    /// Whether a table has grown so much that its plan is no longer a good one.
    pub(super) fn has_grown(&self, cached: &Cached, image: &Image) -> bool {
        let grown = |(now, then): (&f64, &f64)| *now > then.max(100.0) * OLD_AT;
        self.sizes(&cached.plan, image).iter().zip(&*cached.sizes).any(grown)
    }

    /// About the rows of a plan's tables.
    fn sizes(&self, plan: &Plan, image: &Image) -> Vec<f64> {
        let transaction = self.transaction.lock();
        let size = |relation: &Arc<Relation>| planner::physical::size_now(relation, image, transaction.as_ref()?);
        plan.locks.iter().map(|(oid, _)| image.relations.get(oid).and_then(size).unwrap_or(0.0)).collect()
    }

    /// Parse.
    pub fn parse(&mut self, name: String, text: &str, types: &[u32]) -> Result<()> {
        self.begin_statement();
        if !name.is_empty() && self.prepared.contains_key(&name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Error::new(SqlState::DuplicatePreparedStatement, message));
        }
        let declared = types.iter().map(|ty| Some(Oid(*ty)).filter(|ty| ty.0 != 0 && *ty != oid::UNKNOWN)).collect();
        let prepared = self.prepare(text, declared)?;
        self.prepared.insert(name, Arc::new(prepared));
        Ok(())
    }

    pub(super) fn find_prepared(&self, name: &str) -> Result<Arc<Prepared>> {
        self.prepared.get(name).cloned().ok_or_else(|| {
            let message = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            Error::new(SqlState::InvalidSqlStatementName, message)
        })
    }

    /// Bind.
    pub fn bind(&mut self, bind: Bind) -> Result<()> {
        let prepared = self.find_prepared(&bind.statement)?;
        if let Some(statement) = &prepared.statement {
            self.check_failed_block(statement)?;
        }
        if !bind.portal.is_empty() && self.portals.contains_key(&bind.portal) {
            let message = format!("cursor \"{}\" already exists", bind.portal);
            return Err(Error::new(SqlState::DuplicateCursor, message));
        }
        if bind.parameters.len() != prepared.params.len() {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
                bind.parameters.len(),
                bind.statement,
                prepared.params.len()
            );
            return Err(Error::new(SqlState::ProtocolViolation, message));
        }
        // A transaction that begins here begins now, not with the message before.
        self.statement_time = now();
        let formats = one_each(&bind.parameter_formats, bind.parameters.len(), "parameter")?;
        let binary = one_each(&bind.result_formats, prepared.output.len(), "result")?;
        self.ensure_transaction()?;
        let image = self.image()?;
        self.host.set_image(image);
        let settings = self.settings.lock().parsed();
        let context = TextContext {
            format: &settings.format,
            time_zone: &settings.time_zone,
            now: self.transaction_time,
            names: &*self.host,
        };
        let mut params = Vec::with_capacity(bind.parameters.len());
        for (i, ((value, ty), binary)) in bind.parameters.iter().zip(&*prepared.params).zip(formats).enumerate() {
            let place = |shown: &str| parameter_context(&bind.portal, i, shown);
            params.push(match value {
                None => Datum::Null,
                Some(bytes) if binary => {
                    binary_io::receive(bytes, *ty, context.names).map_err(|error| error.context(place("")))?
                }
                Some(bytes) => {
                    let text = utf8(bytes).map_err(|error| error.context(place("")))?;
                    text_io::input(text, *ty, &context).map_err(|error| error.context(place(" = '...'")))?
                }
            });
        }
        if let Some(failure) = &prepared.failure {
            return Err(failure.clone());
        }
        let portal = Portal {
            prepared,
            params: params.into(),
            binary,
            state: PortalState::Ready,
            depth: self.savepoints.len(),
            cursor: None,
        };
        self.portals.insert(bind.portal, portal);
        Ok(())
    }

    /// Describe of a statement: parameter types, and fields when it gives rows.
    pub fn describe_statement(&mut self, name: &str, out: &mut BytesMut) -> Result<()> {
        let prepared = self.find_prepared(name)?;
        let params: Vec<Oid> = prepared.params.iter().map(|ty| ty.oid).collect();
        backend::parameter_description(out, &params);
        prepared.describe_rows(&[], out);
        Ok(())
    }

    /// Describe of a portal.
    pub fn describe_portal(&mut self, name: &str, out: &mut BytesMut) -> Result<()> {
        let portal = self.find_portal(name)?;
        portal.prepared.describe_rows(&portal.binary, out);
        Ok(())
    }

    pub(super) fn find_portal(&mut self, name: &str) -> Result<&mut Portal> {
        let block = self.block;
        self.portals.get_mut(name).ok_or_else(|| match block {
            // Closed by what failed; PostgreSQL keeps it for nothing but this error.
            Block::Failed => in_failed_block(),
            _ => Error::new(SqlState::InvalidCursorName, format!("portal \"{name}\" does not exist")),
        })
    }

    /// Close of a statement.
    pub fn close_statement(&mut self, name: &str) {
        self.prepared.remove(name);
    }

    /// Close of a portal.
    pub fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }
}

fn same_shape(before: &[OutputColumn], after: &[OutputColumn]) -> bool {
    before.len() == after.len() && before.iter().zip(after).all(|(a, b)| a.ty == b.ty && a.name == b.name)
}

/// Format codes for `count` values: none is text, one is for all.
fn one_each(codes: &[i16], count: usize, what: &str) -> Result<Vec<bool>> {
    let binary = |code: &i16| match code {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Error::new(SqlState::InvalidParameterValue, format!("unsupported format code: {other}"))),
    };
    match codes {
        [] => Ok(vec![false; count]),
        [code] => Ok(vec![binary(code)?; count]),
        codes if codes.len() == count => codes.iter().map(binary).collect(),
        codes => {
            let message = format!("bind message has {} {what} formats but {count} values", codes.len());
            Err(Error::new(SqlState::ProtocolViolation, message))
        }
    }
}

/// RowDescription's fields.
pub(super) fn fields<'a>(output: &'a [OutputColumn], binary: &'a [bool]) -> impl ExactSizeIterator<Item = Field<'a>> {
    let field = |(i, column): (usize, &'a OutputColumn)| {
        let (table, attribute) = column.origin.unwrap_or((Oid::NONE, 0));
        // A domain's values are told as what it is over.
        let ty = crate::catalog::builtin::base_type(column.ty);
        Field {
            name: &column.name,
            table,
            attribute,
            ty: ty.oid,
            size: type_size(ty.oid),
            typmod: ty.typmod,
            format: i16::from(binary.get(i).copied().unwrap_or(false)),
        }
    };
    output.iter().enumerate().map(field)
}

/// typlen
pub(super) fn type_size(ty: Oid) -> i16 {
    match ty {
        oid::BOOL | oid::CHAR => 1,
        oid::INT2 => 2,
        oid::INT4 | oid::FLOAT4 | oid::DATE => 4,
        oid::INT8 | oid::FLOAT8 | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ => 8,
        oid::TIMETZ => 12,
        oid::INTERVAL | oid::UUID => 16,
        oid::TID => 6,
        oid::NAME => 64,
        oid::VOID => 4,
        oid::UNKNOWN | oid::CSTRING => -2,
        other if crate::types::physical::is_oid(other) => 4,
        _ => -1,
    }
}
