//! What is checked, and done, at the end of a statement or transaction: foreign keys with their actions, and deferrable
//! unique constraints.
//!
//! Writes note events here; [`StatementEnd`] works them off when the statement has read and changed all it wanted
//! (PostgreSQL's AFTER triggers), [`ConstraintQueue::commit`] what was deferred. CASCADE, SET NULL and SET DEFAULT are
//! statements of their own on the referring table, with a later command number; what they note is worked off in turn.
//!
//! Which rows count: a referenced key is looked for in its index and judged by newest versions under KEY SHARE
//! (`Transaction::lock_key`); REPEATABLE READ refers to what its snapshot sees alone. Rows that refer to a key which goes are
//! those that are there now, at any isolation: by newest versions where the referring table has a fitting index, else under
//! a snapshot of everything that has been committed, acknowledged or not. So are the rows that an action changes; one that
//! REPEATABLE READ does not see is 40001 (PostgreSQL's crosscheck snapshot).

use super::execution::{Execution, Step};
use super::frame::Frame;
use super::plan::{Plan, Slot};
use super::value;
use crate::catalog::image::{Body, Constraint, ConstraintKind, Image, Index, ReferentialAction, Relation};
use crate::error::{Error, Result, SqlState};
use crate::executor::context::StatementContext;
use crate::interrupt;
use crate::sql::bind::{BindContext, Binder};
use crate::sql::parse::parse_one;
use crate::types::{Datum, Oid, Type};
use lightning_storage::{Base, ColumnNo, Newest, ObjectId, RowBatch, RowBuffer, RowId, RowLockMode};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// The session's pending checks of one transaction.
#[derive(Default)]
pub struct ConstraintQueue {
    immediate: VecDeque<Event>,
    deferred: VecDeque<Event>,
    /// Entries of deferrable unique indexes that went in unchecked.
    unique: Vec<(ObjectId, RowId)>,
    /// A table with a deferrable unique index was written by the statement under way.
    unique_written: bool,
    /// SET CONSTRAINTS: ALL, then by constraint; true is DEFERRED.
    all: Option<bool>,
    modes: HashMap<Oid, bool>,
    /// Events are being worked off: statements started now are theirs.
    running: bool,
    /// Plans of referential actions, with the catalog version that they were made for.
    plans: HashMap<(Oid, Action), (u64, Arc<Plan>)>,
}

/// A place in the queue to go back to: [`ConstraintQueue::mark`].
#[derive(Clone, Copy, Debug)]
pub struct QueueMark {
    deferred: usize,
    unique: usize,
}

#[derive(Clone)]
enum Event {
    /// A row with a new foreign key.
    Child { constraint: Arc<Constraint>, row: RowId, key: Box<[Datum]> },
    /// A referenced key is gone: deleted, or changed to `new`.
    Parent { constraint: Arc<Constraint>, old: Box<[Datum]>, new: Option<Box<[Datum]>> },
}

/// Statements that referential actions and checks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Exists,
    Delete,
    Update,
    SetNullOnDelete,
    SetNullOnUpdate,
    SetDefaultOnDelete,
    SetDefaultOnUpdate,
}

/// A table's foreign keys, prepared for noting: of its own rows, and of other tables' rows that refer to it.
pub(super) struct References {
    own: Vec<(Arc<Constraint>, Vec<i16>)>,
    others: Vec<(Arc<Constraint>, Vec<i16>)>,
    deferrable_unique: bool,
}

impl References {
    /// Those of `relation`.
    pub(super) fn of(relation: &Relation) -> References {
        let list = |constraints: &[Arc<Constraint>], referenced: bool| {
            constraints
                .iter()
                .filter_map(|constraint| match &constraint.kind {
                    ConstraintKind::ForeignKey { columns, referenced_columns, .. } => {
                        let columns = if referenced { referenced_columns } else { columns };
                        Some((constraint.clone(), columns.clone()))
                    }
                    _ => None,
                })
                .collect()
        };
        References {
            own: list(&relation.constraints, false),
            others: list(&relation.referenced_by, true),
            deferrable_unique: relation.indexes.iter().any(|index| index.deferrable),
        }
    }

    /// A row was inserted.
    pub(super) fn note_insert(&self, row: RowId, slots: &[(i16, Slot)], f: &Frame) {
        if self.own.is_empty() && !self.deferrable_unique {
            return;
        }
        let mut queue = f.ctx.constraints.lock();
        queue.unique_written |= self.deferrable_unique;
        for (constraint, columns) in &self.own {
            if let Some(key) = key_of(columns, slots, f) {
                queue.add(Event::Child { constraint: constraint.clone(), row, key });
            }
        }
    }

    /// Rows of a batch were inserted, under the id `first` and the following ones.
    pub(super) fn note_batch(
        &self,
        first: RowId,
        rows: Range<usize>,
        batch: &RowBatch,
        relation: &Relation,
        f: &Frame,
    ) -> Result<()> {
        if self.own.is_empty() && !self.deferrable_unique {
            return Ok(());
        }
        let mut queue = f.ctx.constraints.lock();
        queue.unique_written |= self.deferrable_unique;
        for (row, at) in (first.0..).map(RowId).zip(rows) {
            for (constraint, columns) in &self.own {
                let value = |number: &i16| {
                    let attribute = &relation.attributes[*number as usize - 1];
                    value::from_storage(batch.row(at).get(ColumnNo(attribute.storage)), attribute.ty)
                };
                let key = columns.iter().map(value).collect::<Result<_>>()?;
                queue.add(Event::Child { constraint: constraint.clone(), row, key });
            }
        }
        Ok(())
    }

    /// A row was changed. Columns that are not among `new` were not assigned.
    pub(super) fn note_update(&self, row: RowId, old: &[(i16, Slot)], new: &[(i16, Slot)], f: &Frame) {
        if self.own.is_empty() && self.others.is_empty() && !self.deferrable_unique {
            return;
        }
        let mut queue = f.ctx.constraints.lock();
        queue.unique_written |= self.deferrable_unique;
        let changed = |columns: &[i16]| -> Option<(Box<[Datum]>, Box<[Datum]>)> {
            let before = key_of(columns, old, f)?;
            let after = key_of(columns, new, f)?;
            (!value::same_row(&before, &after)).then_some((before, after))
        };
        for (constraint, columns) in &self.own {
            if let Some((_, key)) = changed(columns) {
                queue.add(Event::Child { constraint: constraint.clone(), row, key });
            }
        }
        for (constraint, columns) in &self.others {
            if let Some((old, new)) = changed(columns) {
                queue.add(Event::Parent { constraint: constraint.clone(), old, new: Some(new) });
            }
        }
    }

    /// A row was deleted.
    pub(super) fn note_delete(&self, old: &[(i16, Slot)], f: &Frame) {
        if self.others.is_empty() {
            return;
        }
        let mut queue = f.ctx.constraints.lock();
        for (constraint, columns) in &self.others {
            if let Some(old) = key_of(columns, old, f) {
                queue.add(Event::Parent { constraint: constraint.clone(), old, new: None });
            }
        }
    }
}

/// The values of attributes, if all are in slots.
fn key_of(columns: &[i16], slots: &[(i16, Slot)], f: &Frame) -> Option<Box<[Datum]>> {
    columns
        .iter()
        .map(|column| slots.iter().find(|(number, _)| number == column).map(|(_, slot)| f.get(*slot).clone()))
        .collect()
}

impl ConstraintQueue {
    /// Nothing pending.
    pub fn new() -> ConstraintQueue {
        ConstraintQueue::default()
    }

    /// Whether checks of a table's rows wait for COMMIT.
    pub fn is_pending_on(&self, relation: &Relation) -> bool {
        let event = |event: &Event| match event {
            Event::Child { constraint, .. } => constraint.table == relation.oid,
            Event::Parent { constraint, .. } => {
                relation.referenced_by.iter().any(|reference| reference.oid == constraint.oid)
            }
        };
        let entry = |(index, _): &(ObjectId, RowId)| relation.indexes.iter().any(|own| own.storage == *index);
        self.deferred.iter().any(event) || self.unique.iter().any(entry)
    }

    /// Whether a deferrable constraint's checks wait for COMMIT now.
    fn is_deferred(&self, constraint: &Constraint) -> bool {
        constraint.deferrable && self.modes.get(&constraint.oid).copied().or(self.all).unwrap_or(constraint.deferred)
    }

    fn add(&mut self, event: Event) {
        let (constraint, deferrable) = match &event {
            Event::Child { constraint, .. } => (constraint, true),
            // Only NO ACTION can wait; the actions are never deferred.
            Event::Parent { constraint, new, .. } => {
                (constraint, action_of(constraint, new.is_some()) == ReferentialAction::NoAction)
            }
        };
        if deferrable && self.is_deferred(constraint) {
            self.deferred.push_back(event);
        } else {
            self.immediate.push_back(event);
        }
    }

    /// Where a savepoint begins.
    pub fn mark(&self) -> QueueMark {
        QueueMark { deferred: self.deferred.len(), unique: self.unique.len() }
    }

    /// ROLLBACK TO: forgets what was noted since. Checks that were made since stay made: their rows are gone too.
    pub fn rollback_to(&mut self, mark: QueueMark) {
        self.deferred.truncate(mark.deferred);
        self.unique.truncate(mark.unique);
        self.failed();
    }

    /// A statement has failed: what it noted for its end is forgotten.
    pub fn failed(&mut self) {
        self.immediate.clear();
        self.unique_written = false;
        self.running = false;
    }

    /// The transaction has ended.
    pub fn clear(&mut self) {
        self.failed();
        self.deferred.clear();
        self.unique.clear();
        self.all = None;
        self.modes.clear();
    }

    /// SET CONSTRAINTS { ALL | these } { DEFERRED | IMMEDIATE }. `names` is `None` for ALL. After IMMEDIATE the caller runs
    /// [`ConstraintQueue::commit`], which makes the checks that were waiting and are immediate now.
    pub fn set_constraints(&mut self, constraints: Option<&[Oid]>, deferred: bool) {
        match constraints {
            None => {
                self.all = Some(deferred);
                self.modes.clear();
            }
            Some(constraints) => {
                for constraint in constraints {
                    self.modes.insert(*constraint, deferred);
                }
            }
        }
    }

    /// Whether the statement under way is part of that work.
    pub(super) fn is_running(&self) -> bool {
        self.running
    }

    /// Whether anything waits for COMMIT.
    pub fn has_deferred(&self) -> bool {
        !self.deferred.is_empty() || !self.unique.is_empty()
    }

    /// What is to be done at the end of the statement of `ctx`; `None` when there is nothing, or when the statement is itself
    /// part of that work.
    pub(super) fn statement_end(ctx: &StatementContext) -> Option<StatementEnd> {
        let mut queue = ctx.constraints.lock();
        if queue.running || queue.immediate.is_empty() && !queue.unique_written {
            return None;
        }
        queue.running = true;
        Some(StatementEnd { commit: false, state: State::Begin })
    }

    /// The deferred checks, at COMMIT (`everything`), or those that SET CONSTRAINTS has made immediate.
    pub fn commit(ctx: &StatementContext, everything: bool) -> Option<StatementEnd> {
        let mut queue = ctx.constraints.lock();
        if !queue.has_deferred() {
            return None;
        }
        let waiting = std::mem::take(&mut queue.deferred);
        for event in waiting {
            let (Event::Child { constraint, .. } | Event::Parent { constraint, .. }) = &event;
            if !everything && queue.is_deferred(constraint) {
                queue.deferred.push_back(event);
            } else {
                queue.immediate.push_back(event);
            }
        }
        queue.running = true;
        Some(StatementEnd { commit: everything, state: State::Begin })
    }
}

fn action_of(constraint: &Constraint, update: bool) -> ReferentialAction {
    match &constraint.kind {
        ConstraintKind::ForeignKey { on_update, .. } if update => *on_update,
        ConstraintKind::ForeignKey { on_delete, .. } => *on_delete,
        _ => ReferentialAction::NoAction,
    }
}

/// The working off of noted events. May have to wait: call [`StatementEnd::run`] again.
pub struct StatementEnd {
    commit: bool,
    state: State,
}

enum State {
    Begin,
    Ready(Box<StatementContext>),
    /// An event under way.
    Event {
        event: Event,
        phase: Phase,
        ctx: Box<StatementContext>,
    },
    Unique {
        list: Vec<(ObjectId, RowId)>,
        ctx: Box<StatementContext>,
    },
    Done,
}

/// Where an event's work stands.
enum Phase {
    Start,
    Action(Box<Execution>),
    /// Looking for rows that still refer to the old key, without an index.
    Search(Box<Execution>),
    /// Looking for them after a cascade or SET DEFAULT.
    After,
}

impl StatementEnd {
    /// Works on. Done when it returns `Ok`; a wait or pause comes as `Err`.
    pub fn run(&mut self, ctx: &StatementContext) -> Result<()> {
        let result = self.work(ctx);
        match &result {
            Err(error) if error.waiter().is_none() && !error.is_pause() => ctx.constraints.lock().failed(),
            Ok(()) => ctx.constraints.lock().failed(),
            Err(_) => {}
        }
        result
    }

    fn work(&mut self, ctx: &StatementContext) -> Result<()> {
        loop {
            match &mut self.state {
                State::Begin => self.state = State::Ready(Box::new(later(ctx)?)),
                State::Ready(_) => {
                    interrupt::check()?;
                    let State::Ready(later) = std::mem::replace(&mut self.state, State::Done) else { return Ok(()) };
                    let event = ctx.constraints.lock().immediate.pop_front();
                    self.state = match event {
                        Some(event) => State::Event { event, phase: Phase::Start, ctx: later },
                        None => State::Unique { list: self.unique_list(ctx)?, ctx: later },
                    };
                }
                State::Event { event, phase, ctx: later } => {
                    let outer = later.clone();
                    Checking { ctx: later }.event(event, phase)?;
                    self.state = State::Ready(outer);
                }
                State::Unique { list, ctx: later } => {
                    while let Some((index, row)) = list.last().copied() {
                        interrupt::check()?;
                        Checking { ctx: later }.unique(index, row)?;
                        list.pop();
                    }
                    self.state = State::Done;
                }
                State::Done => return Ok(()),
            }
        }
    }

    /// Entries of deferrable unique indexes that are due now.
    fn unique_list(&self, ctx: &StatementContext) -> Result<Vec<(ObjectId, RowId)>> {
        let fresh = ctx.with_transaction(|t| Ok::<_, lightning_storage::Error>(t.take_unchecked()))?;
        let mut queue = ctx.constraints.lock();
        let all: Vec<_> = std::mem::take(&mut queue.unique).into_iter().chain(fresh).collect();
        let (mut due, mut waiting) = (Vec::new(), Vec::new());
        for entry in all {
            let deferred = !self.commit
                && index_constraint(&ctx.catalog, entry.0).is_some_and(|constraint| queue.is_deferred(&constraint));
            if deferred { waiting.push(entry) } else { due.push(entry) }
        }
        queue.unique = waiting;
        Ok(due)
    }
}

/// The surroundings of statements that come after the one whose end it is: a snapshot that sees its changes.
fn later(ctx: &StatementContext) -> Result<StatementContext> {
    let snapshot = ctx.with_transaction(|t| Ok::<_, lightning_storage::Error>(t.snapshot()))?;
    Ok(StatementContext { snapshot, ..ctx.clone() })
}

/// The same for what looks beyond the transaction's snapshot.
fn latest(ctx: &StatementContext) -> Result<StatementContext> {
    let snapshot = ctx.with_transaction(|t| Ok::<_, lightning_storage::Error>(t.latest_snapshot()))?;
    Ok(StatementContext { snapshot, ..ctx.clone() })
}

/// The constraint behind an index.
fn index_constraint(image: &Image, storage: ObjectId) -> Option<Arc<Constraint>> {
    let (relation, index) = find_index(image, storage)?;
    relation
        .constraints
        .iter()
        .find(|constraint| match &constraint.kind {
            ConstraintKind::PrimaryKey { index: oid, .. } | ConstraintKind::Unique { index: oid, .. } => {
                *oid == index.oid
            }
            _ => false,
        })
        .cloned()
}

fn find_index(image: &Image, storage: ObjectId) -> Option<(&Arc<Relation>, &Arc<Index>)> {
    image.relations.values().find_map(|relation| {
        relation.indexes.iter().find(|index| index.storage == storage).map(|index| (relation, index))
    })
}

/// One check under way, over a snapshot that sees the statement's changes.
pub(super) struct Checking<'a> {
    ctx: &'a StatementContext,
}

impl Checking<'_> {
    fn relation(&self, oid: Oid) -> Result<Arc<Relation>> {
        let found = self.ctx.catalog.relations.get(&oid).cloned();
        found.ok_or_else(|| Error::internal(format!("a foreign key names relation {oid}, which is gone")))
    }

    fn event(&self, event: &Event, phase: &mut Phase) -> Result<()> {
        match event {
            Event::Child { constraint, row, key } => self.child(constraint, *row, key),
            Event::Parent { constraint, old, new } => self.parent(constraint, old, new.as_deref(), phase),
        }
    }

    /// A row with a new foreign key: the referenced row must exist, and stays locked against going.
    fn child(&self, constraint: &Constraint, row: RowId, key: &[Datum]) -> Result<()> {
        let ConstraintKind::ForeignKey { columns, references, referenced_columns, index, match_full, .. } =
            &constraint.kind
        else {
            return Ok(());
        };
        let nulls = key.iter().filter(|value| value.is_null()).count();
        if nulls == key.len() || nulls > 0 && !match_full {
            return Ok(());
        }
        let child = self.relation(constraint.table)?;
        let parent = self.relation(*references)?;
        let violation = |detail: String| {
            let message = format!(
                "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
                child.name, constraint.name
            );
            Error::new(SqlState::ForeignKeyViolation, message)
                .detail(detail)
                .table(&child.schema_name, &child.name)
                .constraint(&constraint.name)
        };
        if nulls > 0 {
            return Err(violation("MATCH FULL does not allow mixing of null and nonnull key values.".to_owned()));
        }
        let Some(index) = parent.indexes.iter().find(|candidate| candidate.oid == *index) else {
            return Err(Error::internal(format!("foreign key \"{}\" has no index", constraint.name)));
        };
        if self.find(index, referenced_columns, key, Base::Snapshot)?.is_some() {
            return Ok(());
        }
        // The row itself may be gone or changed again since it was noted: then nobody asks any more.
        match self.newest_key(&child, row, columns)? {
            Some(now) if value::same_row(&now, key) => {
                if self.ctx.repeatable_read && self.sees(index, referenced_columns, key)? {
                    return Err(conflict());
                }
                let key = self.key_text(&child, columns, key)?;
                Err(violation(format!("Key {key} is not present in table \"{}\".", parent.name)))
            }
            _ => Ok(()),
        }
    }

    /// Finds a row by `key`, whose values belong to `attributes`, and locks it KEY SHARE.
    fn find(&self, index: &Index, attributes: &[i16], key: &[Datum], base: Base) -> Result<Option<RowId>> {
        let Some(key) = index_key(index, attributes, key)? else { return Ok(None) };
        self.ctx.with_waits(|t| t.lock_key(&self.ctx.snapshot, index.storage, &key, base, RowLockMode::KeyShare))
    }

    /// Whether the snapshot sees a row that has `key`.
    fn sees(&self, index: &Index, attributes: &[i16], key: &[Datum]) -> Result<bool> {
        let Some(key) = index_key(index, attributes, key)? else { return Ok(false) };
        self.ctx.with_waits(|t| t.sees_key(&self.ctx.snapshot, index.storage, &key))
    }

    /// A referenced key is gone.
    fn parent(&self, constraint: &Constraint, old: &[Datum], new: Option<&[Datum]>, phase: &mut Phase) -> Result<()> {
        let ConstraintKind::ForeignKey { references, referenced_columns, index, .. } = &constraint.kind else {
            return Ok(());
        };
        if old.iter().any(Datum::is_null) {
            return Ok(());
        }
        let action = action_of(constraint, new.is_some());
        loop {
            match phase {
                Phase::Start => {
                    *phase = match statement_of(action, new.is_some()) {
                        Some(statement) => {
                            let plan = self.plan(constraint, statement)?;
                            let params = self.params(&plan, statement, old, new)?;
                            Phase::Action(Box::new(Execution::start(plan, params, latest(self.ctx)?)?))
                        }
                        None => {
                            let parent = self.relation(*references)?;
                            let same = parent.indexes.iter().find(|candidate| candidate.oid == *index);
                            if action == ReferentialAction::NoAction
                                && let Some(index) = same
                                && self.find(index, referenced_columns, old, Base::Now)?.is_some()
                            {
                                return Ok(()); // another row has taken the key over
                            }
                            Phase::After
                        }
                    };
                }
                Phase::Action(execution) => {
                    run_nested(execution, |_| Ok(()))?;
                    if action != ReferentialAction::SetDefault {
                        return Ok(());
                    }
                    *phase = Phase::After;
                }
                Phase::After => {
                    if let Some(found) = self.referring_by_index(constraint, old)? {
                        return if found { self.still_referenced(constraint, old) } else { Ok(()) };
                    }
                    let plan = self.plan(constraint, Action::Exists)?;
                    let params = self.params(&plan, Action::Exists, old, None)?;
                    *phase = Phase::Search(Box::new(Execution::start(plan, params, latest(self.ctx)?)?));
                }
                Phase::Search(execution) => {
                    let mut found = false;
                    run_nested(execution, |_| {
                        found = true;
                        Ok(())
                    })?;
                    return if found { self.still_referenced(constraint, old) } else { Ok(()) };
                }
            }
        }
    }

    /// Whether a row refers to `old`, by an index of the referring table on exactly the key's columns: storage locks by whole
    /// keys. `None`: there is no such index.
    fn referring_by_index(&self, constraint: &Constraint, old: &[Datum]) -> Result<Option<bool>> {
        let ConstraintKind::ForeignKey { columns, .. } = &constraint.kind else { return Ok(None) };
        let child = self.relation(constraint.table)?;
        let fits = |index: &&Arc<Index>| {
            index.predicate.is_none()
                && index.keys.len() == columns.len()
                && index.keys.iter().all(|key| columns.contains(&key.attribute))
        };
        let Some(index) = child.indexes.iter().find(fits) else { return Ok(None) };
        Ok(Some(self.find(index, columns, old, Base::Now)?.is_some()))
    }

    fn still_referenced(&self, constraint: &Constraint, old: &[Datum]) -> Result<()> {
        let ConstraintKind::ForeignKey { references, referenced_columns, .. } = &constraint.kind else {
            return Ok(());
        };
        let (child, parent) = (self.relation(constraint.table)?, self.relation(*references)?);
        let message = format!(
            "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
            parent.name, constraint.name, child.name
        );
        let key = self.key_text(&parent, referenced_columns, old)?;
        Err(Error::new(SqlState::ForeignKeyViolation, message)
            .detail(format!("Key {key} is still referenced from table \"{}\".", child.name))
            .table(&child.schema_name, &child.name)
            .constraint(&constraint.name))
    }

    /// A delayed unique check.
    fn unique(&self, index: ObjectId, row: RowId) -> Result<()> {
        let mut guard = self.ctx.transaction.lock();
        let Some(transaction) = guard.as_mut() else { return Ok(()) };
        let checked = transaction.recheck_unique(index, row);
        drop(guard);
        match checked {
            Ok(()) => Ok(()),
            Err(lightning_storage::Error::Duplicate { .. }) => match find_index(&self.ctx.catalog, index) {
                Some((relation, index)) => Err(super::write::deferred_violation(relation, index, row, self)?),
                None => Ok(()),
            },
            Err(other) => Err(other.into()),
        }
    }

    /// Attributes of a row's newest version; `None` when it is gone.
    pub(super) fn newest_key(&self, relation: &Relation, row: RowId, attributes: &[i16]) -> Result<Option<Vec<Datum>>> {
        let Body::Table { storage, .. } = &relation.body else { return Ok(None) };
        let mut rows = RowBuffer::default();
        let newest = self.ctx.with_transaction(|t| t.get_newest(*storage, row, &mut rows))?;
        if !matches!(newest, Newest::Row(_)) {
            return Ok(None);
        }
        let mut key = Vec::with_capacity(attributes.len());
        for number in attributes {
            let Some(attribute) = relation.attributes.get((*number as usize).wrapping_sub(1)) else { return Ok(None) };
            key.push(value::from_storage(rows.row(0).get(ColumnNo(attribute.storage)), attribute.ty)?);
        }
        Ok(Some(key))
    }

    /// `(a, b)=(1, 2)`
    pub(super) fn key_text(&self, relation: &Relation, attributes: &[i16], key: &[Datum]) -> Result<String> {
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for (number, value) in attributes.iter().zip(key) {
            let attribute = &relation.attributes[*number as usize - 1];
            names.push(attribute.name.as_str());
            values.push(value::text(value, attribute.ty, &self.ctx.call)?);
        }
        Ok(format!("({})=({})", names.join(", "), values.join(", ")))
    }

    /// The plan of an action's statement.
    fn plan(&self, constraint: &Constraint, action: Action) -> Result<Arc<Plan>> {
        let version = self.ctx.catalog.version;
        if let Some((made_for, plan)) = self.ctx.constraints.lock().plans.get(&(constraint.oid, action))
            && *made_for == version
        {
            return Ok(plan.clone());
        }
        let child = self.relation(constraint.table)?;
        let (text, params) = statement_text(constraint, &child, action)?;
        let plan = nested_plan(&text, &params, child.owner, self.ctx)?;
        self.ctx.constraints.lock().plans.insert((constraint.oid, action), (version, plan.clone()));
        Ok(plan)
    }

    /// An action's parameters: the old key, then the new one for ON UPDATE CASCADE, as the referring columns' types.
    fn params(&self, plan: &Plan, action: Action, old: &[Datum], new: Option<&[Datum]>) -> Result<Arc<[Datum]>> {
        let new = if action == Action::Update { new.unwrap_or_default() } else { &[] };
        old.iter().chain(new).zip(&plan.params).map(|(value, ty)| convert(value, *ty)).collect()
    }
}

/// REPEATABLE READ: somebody has changed since what the snapshot sees.
fn conflict() -> Error {
    Error::new(SqlState::SerializationFailure, "could not serialize access due to concurrent update")
}

/// A key of an index, of values that belong to `attributes`; `None`: a value that the other type cannot hold, which is nowhere.
fn index_key(index: &Index, attributes: &[i16], key: &[Datum]) -> Result<Option<Vec<u8>>> {
    let mut ordered = Vec::with_capacity(key.len());
    for part in &index.keys {
        let Some(at) = attributes.iter().position(|attribute| *attribute == part.attribute) else { break };
        let Some(value) = super::key::exact(convert(&key[at], part.ty)?, part) else { return Ok(None) };
        ordered.push(value);
    }
    value::encode_key(&ordered, index).map(Some)
}

/// The statement that a referential action is; none for NO ACTION and RESTRICT.
fn statement_of(action: ReferentialAction, update: bool) -> Option<Action> {
    match (action, update) {
        (ReferentialAction::NoAction | ReferentialAction::Restrict, _) => None,
        (ReferentialAction::Cascade, false) => Some(Action::Delete),
        (ReferentialAction::Cascade, true) => Some(Action::Update),
        (ReferentialAction::SetNull, false) => Some(Action::SetNullOnDelete),
        (ReferentialAction::SetNull, true) => Some(Action::SetNullOnUpdate),
        (ReferentialAction::SetDefault, false) => Some(Action::SetDefaultOnDelete),
        (ReferentialAction::SetDefault, true) => Some(Action::SetDefaultOnUpdate),
    }
}

/// An identifier in double quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The text of an action's statement, and the types of its parameters.
fn statement_text(constraint: &Constraint, child: &Relation, action: Action) -> Result<(String, Vec<Type>)> {
    let ConstraintKind::ForeignKey { columns, delete_columns, .. } = &constraint.kind else {
        return Err(Error::internal("an action of a constraint that is no foreign key"));
    };
    let column = |number: &i16| &child.attributes[*number as usize - 1];
    let table = format!("{}.{}", quoted(&child.schema_name), quoted(&child.name));
    let each = |numbers: &[i16], part: &dyn Fn(usize, String) -> String, between: &str| {
        let parts = numbers.iter().enumerate().map(|(i, number)| part(i, quoted(&column(number).name)));
        parts.collect::<Vec<_>>().join(between)
    };
    let condition = each(columns, &|i, name| format!("{name} = ${}", i + 1), " AND ");
    let some = if delete_columns.is_empty() { columns } else { delete_columns };
    let mut params: Vec<Type> = columns.iter().map(|number| Type::new(column(number).ty.oid)).collect();
    let text = match action {
        // Rows that others delete, and have not yet, are waited for.
        Action::Exists => format!("SELECT 1 FROM {table} WHERE {condition} LIMIT 1 FOR KEY SHARE"),
        Action::Delete => format!("DELETE FROM {table} WHERE {condition}"),
        Action::Update => {
            params.extend_from_within(..);
            let n = columns.len();
            let set = each(columns, &|i, name| format!("{name} = ${}", n + i + 1), ", ");
            format!("UPDATE {table} SET {set} WHERE {condition}")
        }
        Action::SetNullOnDelete => {
            format!("UPDATE {table} SET {} WHERE {condition}", each(some, &|_, name| format!("{name} = NULL"), ", "))
        }
        Action::SetNullOnUpdate => {
            format!("UPDATE {table} SET {} WHERE {condition}", each(columns, &|_, name| format!("{name} = NULL"), ", "))
        }
        Action::SetDefaultOnDelete => {
            format!("UPDATE {table} SET {} WHERE {condition}", each(some, &|_, name| format!("{name} = DEFAULT"), ", "))
        }
        Action::SetDefaultOnUpdate => {
            let set = each(columns, &|_, name| format!("{name} = DEFAULT"), ", ");
            format!("UPDATE {table} SET {set} WHERE {condition}")
        }
    };
    Ok((text, params))
}

/// Parses, binds and plans a statement of our own, with the rights of the table's owner.
fn nested_plan(text: &str, params: &[Type], owner: Oid, ctx: &StatementContext) -> Result<Arc<Plan>> {
    let bind = BindContext {
        image: ctx.catalog.clone(),
        search_path: ctx.catalog.schema_names.get("pg_catalog").copied().into_iter().collect(),
        temp_schema: None,
        user: owner,
        declared_params: params.iter().map(|ty| Some(ty.oid)).collect(),
        call: &ctx.call,
        reads_clock: Default::default(),
    };
    // No text: an error's position would point into a statement that the client never wrote.
    let tree = Binder::new(&bind, "").statement(&parse_one(text)?)?;
    crate::planner::physical::plan_in(&tree, ctx).map(Arc::new)
}

/// Runs a nested statement to its end.
fn run_nested(execution: &mut Execution, mut row: impl FnMut(&Execution) -> Result<()>) -> Result<()> {
    loop {
        match execution.next()? {
            Step::Row => row(execution)?,
            Step::Done { .. } => return Ok(()),
            Step::Yield => return Err(Error::pause()),
        }
    }
}

/// A key value as another key's type: foreign keys may join integers of different widths, and numerics with them.
fn convert(value: &Datum, ty: Type) -> Result<Datum> {
    use crate::types::oid;
    let integer = match value {
        Datum::Int2(v) => i64::from(*v),
        Datum::Int4(v) => i64::from(*v),
        Datum::Int8(v) => *v,
        other => return Ok(other.clone()),
    };
    Ok(match ty.oid {
        // A value out of the other type's range cannot be there: NULL equals nothing.
        oid::INT2 => i16::try_from(integer).map_or(Datum::Null, Datum::Int2),
        oid::INT4 => i32::try_from(integer).map_or(Datum::Null, Datum::Int4),
        oid::INT8 => Datum::Int8(integer),
        oid::NUMERIC => Datum::Numeric(crate::types::numeric::Numeric::Small { coefficient: integer, scale: 0 }),
        _ => value.clone(),
    })
}
