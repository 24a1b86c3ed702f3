//! The plan cache: plans by text, for all sessions, so that a statement seen before is neither parsed nor bound.
//!
//! A plan is found by its *key*: database, role, search path and the settings that binding reads; the text apart from its
//! literals (`sql::parse::template`); the types declared for its parameters. Behind a key stand variants that differ in the
//! literals which are no parameters. A plan is used while the catalog's version is the one that it was last found good for,
//! or what it depends on is as it was ([`Image::fingerprint`]); a table that has grown much makes a new one.
//!
//! Not kept: plans of a transaction that has changed the catalog, plans with constants that were read from names or from the
//! clock (`timestamp 'now'`), statements that are not planned (DDL and its like).
//!
//! The cache draws on the server's budget for statements, up to a part of it, and drops what was not used for longest.

use super::Session;
use super::statement::{Basis, Cached, Prepared};
use super::transaction::Block;
use crate::catalog::image::Image;
use crate::error::Result;
use crate::executor::Plan;
use crate::executor::memory::{Budget, Memory, Reservation};
use crate::sql::ast;
use crate::sql::parse::template::{self, Hole, Template};
use crate::sql::tree::OutputColumn;
use crate::types::{Datum, Oid, Type, oid, text_io};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Most bytes of the cache, and which part of the budget it may take at most.
const BYTES_MAX: usize = 32 << 20;
const BUDGET_PART: usize = 8;
/// Most plans of one text that differ in literals which are no parameters.
const VARIANTS_MAX: usize = 32;

/// A plan with what it takes to use it for another text of its shape.
struct Kept {
    statement: Arc<ast::Statement>,
    holes: Arc<[Hole]>,
    /// Its other literals.
    fixed: Vec<Box<str>>,
    params: Arc<[Type]>,
    output: Arc<[OutputColumn]>,
    plan: Arc<Plan>,
    basis: Arc<Basis>,
    sizes: Arc<[f64]>,
    /// The catalog's version that it was last found good for.
    image_version: AtomicU64,
    uses: AtomicU32,
    /// The cache's clock when it was last used.
    used: AtomicU64,
    bytes: usize,
}

/// See the module.
pub(super) struct PlanCache {
    shapes: RwLock<Shapes>,
    clock: AtomicU64,
}

struct Shapes {
    by_key: HashMap<Box<[u8]>, Vec<Arc<Kept>>>,
    bytes_max: usize,
    room: Reservation,
}

impl PlanCache {
    /// An empty one that draws on `budget`.
    pub(super) fn new(budget: &Arc<Budget>) -> PlanCache {
        let bytes_max = BYTES_MAX.min(budget.limit() / BUDGET_PART);
        let room = Reservation::new(&Memory::of(budget));
        PlanCache { shapes: RwLock::new(Shapes { by_key: HashMap::new(), bytes_max, room }), clock: AtomicU64::new(0) }
    }

    /// Bytes drawn for it.
    pub(super) fn drawn(&self) -> usize {
        self.shapes.read().room.drawn()
    }

    /// Bytes that it may take.
    pub(super) fn limit(&self) -> usize {
        self.shapes.read().bytes_max
    }

    fn find(&self, key: &[u8], template: &Template<'_>) -> Option<Arc<Kept>> {
        let shapes = self.shapes.read();
        let found = shapes.by_key.get(key)?.iter().find(|kept| template.has_fixed(&kept.holes, &kept.fixed))?;
        found.used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Some(found.clone())
    }

    /// Which literals are parameters in the plans of a key, if there are any.
    fn holes(&self, key: &[u8]) -> Option<Arc<[Hole]>> {
        Some(self.shapes.read().by_key.get(key)?.last()?.holes.clone())
    }

    /// Puts a plan in, in place of one for the same texts.
    fn put(&self, key: &[u8], mut kept: Kept) {
        *kept.used.get_mut() = self.clock.fetch_add(1, Ordering::Relaxed);
        let shapes = &mut *self.shapes.write();
        let mut gone = 0;
        if let Some(variants) = shapes.by_key.get_mut(key) {
            if let Some(at) = variants.iter().position(|old| old.holes == kept.holes && old.fixed == kept.fixed) {
                gone += variants.swap_remove(at).bytes;
            }
            if variants.len() >= VARIANTS_MAX
                && let Some(oldest) = (0..variants.len()).min_by_key(|i| variants[*i].used.load(Ordering::Relaxed))
            {
                gone += variants.swap_remove(oldest).bytes;
            }
        }
        shapes.room.shrink(gone);
        if shapes.room.used() + kept.bytes > shapes.bytes_max {
            shapes.drop_oldest();
        }
        if kept.bytes <= shapes.bytes_max && shapes.room.grow(kept.bytes).is_ok() {
            shapes.by_key.entry(key.into()).or_default().push(Arc::new(kept));
        } else {
            // Others need the memory.
            shapes.drop_oldest();
        }
        shapes.by_key.retain(|_, variants| !variants.is_empty());
    }
}

impl Shapes {
    /// Drops the half that was not used for longest.
    fn drop_oldest(&mut self) {
        let mut used: Vec<u64> = self.by_key.values().flatten().map(|kept| kept.used.load(Ordering::Relaxed)).collect();
        used.sort_unstable();
        let Some(middle) = used.get(used.len() / 2).copied() else { return };
        let mut gone = 0;
        self.by_key.retain(|_, variants| {
            variants.retain(|kept| {
                let stays = kept.used.load(Ordering::Relaxed) > middle;
                gone += if stays { 0 } else { kept.bytes };
                stays
            });
            !variants.is_empty()
        });
        self.room.shrink(gone);
    }
}

/// A text on its way to a plan that others may share.
pub(super) struct Lookup<'a> {
    template: Template<'a>,
    key: Vec<u8>,
    /// Literals may become parameters: a simple query's.
    open: bool,
}

/// The part of keys that is the session's, and the versions of catalog and settings that it is for.
#[derive(Default)]
pub(super) struct Surroundings {
    versions: Option<(u64, u64)>,
    key: Vec<u8>,
}

impl Session {
    /// How the cache would know a text; `None` when it has no part in it.
    pub(super) fn lookup<'a>(&mut self, text: &'a str, declared: Option<&[Option<Oid>]>) -> Option<Lookup<'a>> {
        if self.block == Block::Failed || self.change.is_some() {
            return None;
        }
        let template = Template::of(text)?;
        if template.has_parameters && declared.is_none() {
            return None;
        }
        let image = self.image().ok()?;
        let surroundings = self.surroundings(&image);
        let mut key = Vec::with_capacity(surroundings.len() + template.shape().len() + 16);
        key.extend_from_slice(surroundings);
        if let Some(declared) = declared {
            key.push(b'x');
            declared.iter().for_each(|ty| key.extend_from_slice(&ty.unwrap_or(Oid::NONE).0.to_be_bytes()));
        }
        key.push(0);
        key.extend_from_slice(template.shape());
        Some(Lookup { template, key, open: declared.is_none() })
    }

    fn surroundings(&mut self, image: &Arc<Image>) -> &[u8] {
        let versions = Some((image.version, self.settings.lock().version));
        if self.surroundings.versions != versions {
            let mut key = Vec::new();
            let mut oid = |oid: Oid| key.extend_from_slice(&oid.0.to_be_bytes());
            oid(self.database);
            oid(self.user(image));
            oid(self.host.temp_schema(image).unwrap_or(Oid::NONE));
            self.host.resolve_path(image, true).into_iter().for_each(oid);
            let mut settings = self.settings.lock();
            let (format, road) = (settings.parsed().format, settings.parsed().road);
            let zone = settings.get("TimeZone").unwrap_or_default();
            key.extend_from_slice(format!("\0{format:?}{zone}\0{road:?}").as_bytes());
            self.surroundings.key = key;
            self.surroundings.versions = versions;
        }
        &self.surroundings.key
    }

    /// The statement with its parameters' values, if a plan for it is kept.
    pub(super) fn recall(&mut self, lookup: &Lookup<'_>) -> Option<(Prepared, Arc<[Datum]>)> {
        let kept = self.server.plans.find(&lookup.key, &lookup.template)?;
        self.ensure_transaction().ok()?;
        let image = self.image().ok()?;
        let settings_version = self.settings.lock().version;
        let cached = Cached {
            plan: kept.plan.clone(),
            image_version: kept.image_version.load(Ordering::Relaxed),
            settings_version,
            basis: Some(kept.basis.clone()),
            sizes: kept.sizes.clone(),
            uses: 0,
            shareable: true,
        };
        if cached.image_version != image.version {
            if !self.is_as_it_was(&cached, &image) {
                return None;
            }
            kept.image_version.store(image.version, Ordering::Relaxed);
        }
        let uses = kept.uses.fetch_add(1, Ordering::Relaxed);
        if uses.is_power_of_two() && uses >= 4 && self.has_grown(&cached, &image) {
            return None;
        }
        let params = self.values(&lookup.template, &kept.holes, &kept.params)?;
        let prepared = Prepared {
            text: lookup.template.text().into(),
            statement: Some(kept.statement.clone()),
            declared: Vec::new(),
            params: kept.params.clone(),
            time: self.statement_time,
            from_sql: false,
            output: kept.output.clone(),
            holes: Some(kept.holes.clone()),
            failure: kept.plan.failure.clone(),
            simple: false,
            cached: Some(Cached { image_version: image.version, ..cached }).into(),
        };
        Some((prepared, params))
    }

    /// Prepares a statement, and keeps its plan for all when it may be kept.
    pub(super) fn prepare_kept(
        &mut self,
        lookup: &Lookup<'_>,
        text: Arc<str>,
        statement: ast::Statement,
        declared: Vec<Option<Oid>>,
    ) -> Result<(Prepared, Arc<[Datum]>)> {
        if lookup.open {
            // Which literals can be parameters does not hang on their values: another text of the shape has shown it.
            let known = self.server.plans.holes(&lookup.key);
            if known.as_ref().is_none_or(|holes| !holes.is_empty())
                && let Some(prepared) = self.prepare_open(lookup, &text, &statement, known.as_deref())
            {
                return Ok(prepared);
            }
        }
        let prepared = self.prepare_statement(text, Some(Arc::new(statement)), declared)?;
        self.keep(lookup, &prepared, &Arc::from([]));
        Ok((prepared, Arc::from([])))
    }

    /// With literals as parameters, if that can be done. What is wrong with the statement is found without.
    fn prepare_open(
        &mut self,
        lookup: &Lookup<'_>,
        text: &Arc<str>,
        statement: &ast::Statement,
        known: Option<&[Hole]>,
    ) -> Option<(Prepared, Arc<[Datum]>)> {
        let (mut prepared, holes) = match self.prepare_with_holes(lookup, text, statement, known)? {
            (prepared, holes) if prepared.params.iter().all(is_plain) => (prepared, holes),
            (prepared, holes) => {
                let plain = holes.iter().zip(&*prepared.params).filter(|(_, ty)| is_plain(ty));
                let plain: Vec<Hole> = plain.map(|(hole, _)| *hole).collect();
                self.prepare_with_holes(lookup, text, statement, Some(&plain))?
            }
        };
        let image = self.image().ok()?;
        let plan = prepared.plan_at_hand()?;
        let conditional = plan.locks.iter().any(|(oid, _)| {
            let relation = image.relations.get(oid);
            relation.is_some_and(|r| r.indexes.iter().any(|index| index.is_derived()))
        });
        if conditional || !prepared.params.iter().all(is_plain) {
            return None;
        }
        let params = self.values(&lookup.template, &holes, &prepared.params)?;
        let holes: Arc<[Hole]> = holes.into();
        self.keep(lookup, &prepared, &holes);
        prepared.holes = Some(holes);
        Some((prepared, params))
    }

    fn prepare_with_holes(
        &mut self,
        lookup: &Lookup<'_>,
        text: &Arc<str>,
        statement: &ast::Statement,
        only: Option<&[Hole]>,
    ) -> Option<(Prepared, Vec<Hole>)> {
        let mut statement = statement.clone();
        let (holes, declared) = template::parameterize(&mut statement, &lookup.template, only);
        if holes.is_empty() {
            return None;
        }
        let prepared = self.prepare_statement(text.clone(), Some(Arc::new(statement)), declared).ok()?;
        Some((prepared, holes))
    }

    fn keep(&self, lookup: &Lookup<'_>, prepared: &Prepared, holes: &Arc<[Hole]>) {
        let Some(statement) = &prepared.statement else { return };
        let Some((plan, image_version, basis, sizes)) = prepared.shareable() else { return };
        // A guess: syntax tree and plan take some hundred bytes for each of their nodes.
        let trees = 1 + usize::from(plan.bound.is_some());
        let bytes = 4096 + lookup.key.len() + 16 * prepared.text.len() + 1024 * trees * plan.nodes as usize;
        self.server.plans.put(
            &lookup.key,
            Kept {
                statement: statement.clone(),
                holes: holes.clone(),
                fixed: lookup.template.fixed(holes),
                params: prepared.params.clone(),
                output: prepared.output.clone(),
                plan,
                basis,
                sizes,
                image_version: AtomicU64::new(image_version),
                uses: AtomicU32::new(0),
                used: AtomicU64::new(0),
                bytes,
            },
        );
    }

    /// The syntax tree of a statement whose plan came from the cache: its own, since the one that was kept has the places of
    /// another text.
    pub(super) fn own_statement(text: &str, holes: &[Hole]) -> Result<Arc<ast::Statement>> {
        let mut statement = crate::sql::parse::parse_one(text)?;
        if !holes.is_empty()
            && let Some(template) = Template::of(text)
        {
            template::parameterize(&mut statement, &template, Some(holes));
        }
        Ok(Arc::new(statement))
    }

    /// The values of a text's literals that are parameters; `None` when one is wrong for its type.
    fn values(&mut self, template: &Template<'_>, holes: &[Hole], types: &[Type]) -> Option<Arc<[Datum]>> {
        if holes.is_empty() {
            return Some(Arc::from([]));
        }
        let image = self.image().ok()?;
        let call = self.call_context(&image);
        let value = |(hole, ty): (&Hole, &Type)| {
            let text = template.value(*hole)?;
            match ty.oid {
                oid::INT4 => {
                    text.parse().ok().map(Datum::Int4).or_else(|| text_io::input(&text, *ty, &call.text()).ok())
                }
                _ => text_io::input(&text, *ty, &call.text()).ok(),
            }
        };
        holes.iter().zip(types).map(value).collect()
    }
}

/// Types whose values are read from text by nothing but settings that are in the key and the clock.
fn is_plain(ty: &Type) -> bool {
    matches!(
        ty.oid,
        oid::BOOL
            | oid::INT2
            | oid::INT4
            | oid::INT8
            | oid::FLOAT4
            | oid::FLOAT8
            | oid::NUMERIC
            | oid::TEXT
            | oid::VARCHAR
            | oid::BPCHAR
            | oid::NAME
            | oid::BYTEA
            | oid::DATE
            | oid::TIME
            | oid::TIMESTAMP
            | oid::TIMESTAMPTZ
            | oid::UUID
            | oid::OID
    )
}
