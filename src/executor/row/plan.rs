//! The physical plan of the row road: what the planner makes of a typed tree and what operators are built from.
//!
//! A plan is immutable and shared: the plan cache holds one `Arc<Plan>`, every execution builds its own operators
//! over it (`super::build`). All values live in one register file per execution; a column's slot is its
//! [`ColumnId`], slots above [`Plan::slots`]' statement columns are the planner's own.
//!
//! Invariants:
//! 1. An operator writes the slots of its columns when it gives a row and leaves all others alone, except an operator
//!    that materialises its input (sort, hash join, aggregate, window, set operation, CTE): it puts back the `payload`
//!    slots that it saved, and nothing else of its input is defined above it.
//! 2. Expressions are compiled ([`Code`]); nothing here names a column by anything but its slot.
//! 3. `Arc<…>` bodies, so that an operator owns what it needs without borrowing the plan.

use super::expr::Code;
use super::prefix;
use crate::catalog::image::{Index, Relation};
use crate::error::Error;
use crate::executor::functions::Function;
use crate::sql::tree::{
    AggregateCall, ColumnId, CteId, Expr, FrameExclude, FrameUnit, JoinKind, LockStrength, LockWait, OutputColumn, Rel,
    RelationLock, SetOpKind, Statement,
};
use crate::types::{Oid, Type};
use lightning_storage::{ColumnNo, ObjectId};
use std::sync::Arc;

/// An index into the register file.
pub type Slot = u32;

/// A whole statement's plan.
#[derive(Debug)]
pub struct Plan {
    /// The main part.
    pub root: Node,
    /// What the statement is, for its command tag.
    pub kind: PlanKind,
    /// Columns shown to the client; empty for a write without RETURNING.
    pub output: Vec<OutputColumn>,
    /// Types of $1, $2, ….
    pub params: Vec<Type>,
    /// Register file size.
    pub slots: usize,
    /// Number of subquery plans; each has a state per execution.
    pub subqueries: usize,
    /// WITH parts, by [`CteId`].
    pub ctes: Vec<Arc<CtePlan>>,
    /// The error of a constant expression that the statement reads: it cannot be executed.
    pub failure: Option<Error>,
    /// Relations with the lock that execution must hold.
    pub locks: Vec<(Oid, RelationLock)>,
    /// Objects whose change makes the plan stale.
    pub dependencies: Vec<Oid>,
    /// Names of slots for EXPLAIN: relation and column.
    pub names: Vec<Option<(String, String)>>,
    /// Number of relations scanned: with several, EXPLAIN shows columns with their relations.
    pub scans: usize,
    /// Nesting of nodes and expressions: the executor asks for stack by it.
    pub depth: usize,
    /// Number of nodes (ids are below it).
    pub nodes: u32,
    /// The sum of all scans' estimated rows, for the choice of the road.
    pub scanned_rows: f64,
    /// Why no part of it begins on the vector road; `None`: one does.
    pub row_reason: Option<RowReason>,
    /// Run again at the same snapshot, it gives the same rows in the same order: it has no volatile function, and no relation
    /// that may run on the vector road.
    pub repeats: bool,
    /// What it is a plan of, if another one may be better for the values of its parameters: a part of it begins on the vector road.
    pub bound: Option<Arc<Statement>>,
}

/// Why a plan begins on the row road.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowReason {
    /// `lightning.road`
    Forced,
    /// It reads few rows.
    Few,
    /// What it is has no form on the vector road: this.
    NoForm(&'static str),
}

/// The kind of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PlanKind {
    Select,
    Insert,
    Update,
    Delete,
}

/// A WITH part's plan.
#[derive(Debug)]
pub struct CtePlan {
    /// Its name.
    pub name: String,
    /// Its body. For a recursive part the body is a [`Kind::RecursiveUnion`].
    pub node: Node,
    /// The body's columns in order: what is stored.
    pub columns: Box<[Slot]>,
    /// A write: runs to its end even if nobody reads it.
    pub write: bool,
    /// Names columns of an outer query: evaluated anew with every rewind of the subquery that holds it.
    pub correlated: bool,
}

/// Estimates in PostgreSQL's cost units.
#[derive(Clone, Copy, Debug, Default)]
pub struct Estimate {
    /// Cost before the first row.
    pub startup: f64,
    /// Cost of all rows.
    pub total: f64,
    /// Rows.
    pub rows: f64,
    /// Average bytes of a row.
    pub width: u32,
}

/// An operator of the plan.
#[derive(Clone, Debug)]
pub struct Node {
    /// Number in the plan, for EXPLAIN ANALYZE's counters.
    pub id: u32,
    /// What the planner thinks of it.
    pub estimate: Estimate,
    /// What it does.
    pub kind: Kind,
}

/// Operators.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Constant or computed rows.
    Values(Arc<Values>),
    /// A whole table in row-id order.
    SeqScan(Arc<SeqScan>),
    /// A table through an index.
    IndexScan(Arc<IndexScan>),
    /// A system relation.
    SystemScan(Arc<SystemScan>),
    /// Set-returning functions in FROM.
    Functions(Arc<Functions>),
    /// A WITH part's rows.
    CteScan(Arc<CteScan>),
    /// The rows of a recursive part's last round.
    WorkingScan(Arc<CteScan>),
    /// More columns.
    Project(Arc<Project>),
    /// Set-returning functions of a select list.
    ProjectSet(Arc<ProjectSet>),
    /// Rows whose predicate is true.
    Filter(Arc<Filter>),
    /// All rows or none: a filter whose predicate names none of its input's columns.
    Gate(Arc<Filter>),
    /// For every left row, the right side anew.
    NestedLoop(Arc<NestedLoop>),
    /// A hash table of the right side, probed by the left.
    HashJoin(Arc<HashJoin>),
    /// Keeps an input that does not depend on outer rows, for repeated reading.
    Materialize(Arc<Materialize>),
    /// Grouping.
    Aggregate(Arc<Aggregate>),
    /// Window functions.
    Window(Arc<Window>),
    /// ORDER BY.
    Sort(Arc<Sort>),
    /// DISTINCT, DISTINCT ON.
    Distinct(Arc<Distinct>),
    /// LIMIT, OFFSET, WITH TIES.
    Limit(Arc<Limit>),
    /// UNION, INTERSECT, EXCEPT.
    SetOp(Arc<SetOp>),
    /// WITH RECURSIVE's iteration.
    RecursiveUnion(Arc<RecursiveUnion>),
    /// A relation that runs on the vector road, or on the row road after all.
    Road(Arc<Road>),
    /// FOR UPDATE and its weaker modes.
    LockRows(Arc<LockRows>),
    /// INSERT.
    Insert(Arc<InsertPlan>),
    /// UPDATE.
    Update(Arc<UpdatePlan>),
    /// DELETE.
    Delete(Arc<DeletePlan>),
}

/// A relation with a plan for either road.
#[derive(Debug)]
pub struct Road {
    /// For the row road.
    pub row: Node,
    /// For the vector road.
    pub vector: VectorPlan,
    /// Rows that the row road is thought to scan.
    pub reads: f64,
    /// Few: it begins on the row road, and anew on the vector road when it has read far more and given none.
    pub row_first: bool,
    /// Subqueries of the relation that name no outer column: evaluated once, they are parameters of `vector` behind the
    /// statement's own.
    pub inputs: Box<[Code]>,
}

/// What the vector road is given: it makes its plan at each execution, when parameters have their values.
#[derive(Debug)]
pub struct VectorPlan {
    /// The relation, rewritten.
    pub rel: Rel,
    /// Its columns that are read above.
    pub columns: Vec<ColumnId>,
    /// The types of all the statement's columns.
    pub types: Arc<[Type]>,
    /// Size of the register file.
    pub slots: usize,
    /// Number of parameters, inputs included.
    pub params: usize,
    /// Its parts that have no form there.
    pub sources: Vec<RowSource>,
    /// How many rows its inputs are thought to have.
    pub sizes: Arc<dyn Sizes>,
}

/// How many rows relations are thought to have: joins make the hash table of the smaller one.
pub trait Sizes: std::fmt::Debug + Send + Sync {
    /// At least one.
    fn rows(&self, rel: &Rel) -> f64;

    /// At most so many, whatever the joins in it keep; infinitely many where nothing says so.
    fn most_rows(&self, rel: &Rel) -> f64;

    /// How many different values these have together in `rows` rows.
    fn distinct(&self, values: &[&Expr], rows: f64) -> f64;
}

/// A part of a relation on the vector road that runs on the row road: its rows are read there as those of a WITH part.
#[derive(Debug)]
pub struct RowSource {
    /// The part's number in [`VectorPlan::rel`], beyond those of the statement.
    pub cte: CteId,
    /// What runs.
    pub node: Node,
    /// Its columns that are read.
    pub columns: Vec<ColumnId>,
    /// Those of its slots that the relation's own rows take too.
    pub shared: Box<[Slot]>,
    /// It may raise an error.
    pub raises: bool,
}

/// Rows of expressions.
#[derive(Debug)]
pub struct Values {
    /// Where they go.
    pub slots: Box<[Slot]>,
    /// The rows.
    pub rows: Vec<Box<[Code]>>,
}

/// One stored column that a scan reads.
#[derive(Clone, Copy, Debug)]
pub struct ReadColumn {
    /// In storage.
    pub column: ColumnNo,
    /// Its type.
    pub ty: Type,
    /// Where it goes.
    pub slot: Slot,
    /// 1-based attribute number.
    pub attribute: i16,
}

/// What a scan takes of each row.
#[derive(Clone, Debug, Default)]
pub struct TableColumns {
    /// Stored columns; those that the scan's filter reads come first.
    pub stored: Vec<ReadColumn>,
    /// How many of `stored` the filter reads: the rest is decoded for rows that pass only.
    pub filter_columns: usize,
    /// The row id, as int8.
    pub row_id: Option<Slot>,
    /// `tableoid`
    pub table_oid: Option<Slot>,
    /// `ctid`
    pub ctid: Option<Slot>,
    /// `xmin`, and the stored columns that it is made of.
    pub xmin: Option<(Slot, Box<[ColumnNo]>)>,
}

/// System columns of a row that has been written, for RETURNING.
#[derive(Debug, Default)]
pub struct WrittenColumns {
    /// Those that a scan has too.
    pub columns: TableColumns,
    /// `xmax`
    pub xmax: Option<Slot>,
}

/// A sequential scan.
#[derive(Debug)]
pub struct SeqScan {
    /// The table.
    pub relation: Arc<Relation>,
    /// Its storage object.
    pub table: ObjectId,
    /// What is read.
    pub columns: TableColumns,
    /// `ctid = …`: only this row.
    pub ctid: Option<Code>,
    /// Only rows for which it is true.
    pub filter: Option<Code>,
}

/// An index scan: the rows whose key lies in a range computed at its start.
#[derive(Debug)]
pub struct IndexScan {
    /// The table.
    pub relation: Arc<Relation>,
    /// Its storage object.
    pub table: ObjectId,
    /// The index.
    pub index: Arc<Index>,
    /// What is read.
    pub columns: TableColumns,
    /// Which keys.
    pub range: KeyRange,
    /// Descending through the index's order.
    pub backward: bool,
    /// The same rows by a sequential scan: taken when the index shows that the range holds a large part of the table.
    pub sequential: Option<Arc<SeqScan>>,
    /// Only rows for which it is true (conditions that the range does not cover).
    pub filter: Option<Code>,
}

/// A range of index keys: `equals` for the first keys, then at most one of the others for the next.
///
/// Values have the key's own type (casts are in the expressions). A NULL among them gives no rows.
#[derive(Debug, Default)]
pub struct KeyRange {
    /// `column = value` for the leading key columns, in key order.
    pub equals: Vec<Code>,
    /// `column = ANY (array)` for the next column: one range per distinct element, in key order.
    pub one_of: Option<Code>,
    /// `key = value` for the keys after `one_of`.
    pub then: Vec<Code>,
    /// Texts that begin with what a pattern begins with.
    pub prefix: Option<(prefix::Kind, Code)>,
    /// Keys above values, or from them on.
    pub lower: Option<KeyEnd>,
    /// Keys below values, or up to them.
    pub upper: Option<KeyEnd>,
    /// `key IS NULL`
    pub is_null: bool,
    /// `key IS NOT NULL`
    pub not_null: bool,
}

/// One end of a range of keys.
#[derive(Debug)]
pub struct KeyEnd {
    /// Values of consecutive keys. With several (a row comparison) the range holds all rows that are meant and perhaps some
    /// more: the condition is in the filter too.
    pub values: Vec<Code>,
    /// Whether keys equal to the values belong to it.
    pub inclusive: bool,
}

/// A system relation's scan.
#[derive(Debug)]
pub struct SystemScan {
    /// The relation.
    pub relation: Arc<Relation>,
    /// Attributes read (1-based) and their slots.
    pub columns: Vec<(i16, Slot)>,
    /// An attribute that must equal a value, where the generator has key access for it.
    pub key: Option<(i16, Code)>,
    /// Only rows for which it is true.
    pub filter: Option<Code>,
    /// `tableoid`
    pub table_oid: Option<Slot>,
}

/// A set-returning call, or a scalar one in FROM.
#[derive(Debug)]
pub struct SetCall {
    /// The function when it returns a set: its arguments are in `args`.
    pub function: Option<&'static Function>,
    /// Its arguments; for a scalar expression the one expression.
    pub args: Box<[Code]>,
    /// Where the values go: one slot, or one per field of its record.
    pub slots: Box<[Slot]>,
    /// Whether the result is a record to be spread over `slots`.
    pub spread: bool,
}

/// ROWS FROM.
#[derive(Debug)]
pub struct Functions {
    /// The calls.
    pub calls: Vec<SetCall>,
    /// WITH ORDINALITY.
    pub ordinality: Option<Slot>,
}

/// A CTE or working-table scan.
#[derive(Debug)]
pub struct CteScan {
    /// Number of the part in [`Plan::ctes`].
    pub cte: usize,
    /// Its name.
    pub name: String,
    /// (position in the stored row, slot), needed ones only.
    pub columns: Box<[(u32, Slot)]>,
}

/// Computes slots.
#[derive(Debug)]
pub struct Project {
    /// Input.
    pub input: Node,
    /// New columns, in order; later ones may read earlier ones.
    pub exprs: Box<[(Slot, Code)]>,
}

/// Set-returning functions side by side for every input row.
#[derive(Debug)]
pub struct ProjectSet {
    /// Input.
    pub input: Node,
    /// Calls.
    pub calls: Vec<SetCall>,
}

/// A filter.
#[derive(Debug)]
pub struct Filter {
    /// Input.
    pub input: Node,
    /// A bool.
    pub predicate: Code,
}

/// A nested-loop join. The right side may read the left row's slots.
#[derive(Debug)]
pub struct NestedLoop {
    /// Which.
    pub kind: JoinKind,
    /// Outer side.
    pub left: Node,
    /// Inner side, rewound for every left row.
    pub right: Node,
    /// The condition; `None` is true.
    pub on: Option<Code>,
    /// Slots to be NULL when a left row has no partner (Left, Full).
    pub right_slots: Box<[Slot]>,
    /// Slots to be NULL when a right row has no partner (Right, Full); these kinds count right rows by their order.
    pub left_slots: Box<[Slot]>,
    /// Correlated WITH parts inside the right side (LATERAL), evaluated anew with it.
    pub ctes: Box<[usize]>,
}

/// A hash join: the right side is the build side.
#[derive(Debug)]
pub struct HashJoin {
    /// Which.
    pub kind: JoinKind,
    /// Probe side.
    pub left: Node,
    /// Build side.
    pub right: Node,
    /// Key expressions over the left row.
    pub left_keys: Box<[Code]>,
    /// Key expressions over the right row, of the same types.
    pub right_keys: Box<[Code]>,
    /// What must hold besides equal keys.
    pub residual: Option<Code>,
    /// Right slots that are read above or by `residual`: kept in the table.
    pub payload: Box<[Slot]>,
    /// Left slots that are read above: NULL for right rows without partner (Right, Full).
    pub left_slots: Box<[Slot]>,
    /// The right side depends on outer rows: rewinding builds the table anew.
    pub right_depends: bool,
}

/// Keeps its input's rows.
#[derive(Debug)]
pub struct Materialize {
    /// Input.
    pub input: Node,
    /// Slots that are read above.
    pub payload: Box<[Slot]>,
}

/// A compiled sort key.
#[derive(Debug)]
pub struct SortBy {
    /// The value.
    pub code: Code,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST
    pub nulls_first: bool,
}

/// A compiled aggregate.
#[derive(Debug)]
pub struct AggregatePlan {
    /// The call as bound, for its name and types.
    pub call: AggregateCall,
    /// Where the result goes.
    pub slot: Slot,
    /// Direct arguments.
    pub direct: Box<[Code]>,
    /// Arguments.
    pub args: Box<[Code]>,
    /// ORDER BY inside.
    pub order: Box<[SortBy]>,
    /// FILTER.
    pub filter: Option<Code>,
}

/// Grouping.
#[derive(Debug)]
pub struct Aggregate {
    /// Input.
    pub input: Node,
    /// Keys: slot and expression.
    pub keys: Box<[(Slot, Code)]>,
    /// Grouping sets as positions in `keys`; one set of all keys when the statement names none.
    pub sets: Vec<Box<[u32]>>,
    /// Aggregates.
    pub aggregates: Vec<AggregatePlan>,
    /// GROUPING(…): slot and key positions.
    pub groupings: Vec<(Slot, Box<[u32]>)>,
    /// The input comes sorted by the keys (one set only): groups are closed as they end.
    pub sorted: bool,
    /// The input depends on outer rows.
    pub depends: bool,
}

/// A compiled window call.
#[derive(Debug)]
pub struct WindowCallPlan {
    /// Name of the function.
    pub name: &'static str,
    /// pg_proc oid.
    pub function: Oid,
    /// Whether it is an aggregate.
    pub aggregate: bool,
    /// Where the result goes.
    pub slot: Slot,
    /// Arguments, and their types.
    pub args: Box<[Code]>,
    /// Types of the arguments.
    pub arg_types: Box<[Type]>,
    /// FILTER.
    pub filter: Option<Code>,
    /// ROWS, RANGE, GROUPS.
    pub unit: FrameUnit,
    /// Start.
    pub start: Bound,
    /// End.
    pub end: Bound,
    /// EXCLUDE.
    pub exclude: FrameExclude,
    /// Result type.
    pub ty: Type,
}

/// A compiled frame bound.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Bound {
    UnboundedPreceding,
    Preceding(Code, Type),
    CurrentRow,
    Following(Code, Type),
    UnboundedFollowing,
}

/// Window functions over one partitioning and order.
#[derive(Debug)]
pub struct Window {
    /// Input, in any order: the operator sorts.
    pub input: Node,
    /// PARTITION BY.
    pub partition: Box<[Code]>,
    /// ORDER BY.
    pub order: Box<[SortBy]>,
    /// Type of the single ORDER BY key, for RANGE offsets.
    pub order_type: Option<Type>,
    /// Calls.
    pub calls: Vec<WindowCallPlan>,
    /// Input slots that are read above or by arguments.
    pub payload: Box<[Slot]>,
    /// The input depends on outer rows.
    pub depends: bool,
}

/// ORDER BY.
#[derive(Debug)]
pub struct Sort {
    /// Input.
    pub input: Node,
    /// Keys.
    pub keys: Box<[SortBy]>,
    /// Input slots that are read above.
    pub payload: Box<[Slot]>,
    /// Keep the first `limit + offset` rows only: the expressions of the LIMIT above.
    pub top: Option<(Option<Code>, Option<Code>)>,
    /// The input depends on outer rows.
    pub depends: bool,
}

/// DISTINCT.
#[derive(Debug)]
pub struct Distinct {
    /// Input.
    pub input: Node,
    /// What rows are compared by.
    pub on: Box<[Code]>,
    /// Slots that are read above.
    pub payload: Box<[Slot]>,
    /// The input comes sorted by `on`: compare with the last row only.
    pub sorted: bool,
}

/// LIMIT.
#[derive(Debug)]
pub struct Limit {
    /// Input.
    pub input: Node,
    /// LIMIT.
    pub limit: Option<Code>,
    /// OFFSET.
    pub offset: Option<Code>,
    /// WITH TIES: values whose equality with those of the last row lets more rows through.
    pub ties: Option<Box<[Code]>>,
}

/// UNION, INTERSECT, EXCEPT.
#[derive(Debug)]
pub struct SetOp {
    /// Which.
    pub op: SetOpKind,
    /// ALL.
    pub all: bool,
    /// Left input and its columns.
    pub left: Node,
    /// Left columns.
    pub left_slots: Box<[Slot]>,
    /// Right input.
    pub right: Node,
    /// Right columns.
    pub right_slots: Box<[Slot]>,
    /// Output.
    pub slots: Box<[Slot]>,
}

/// WITH RECURSIVE.
#[derive(Debug)]
pub struct RecursiveUnion {
    /// The part's number: its working table.
    pub cte: usize,
    /// The non-recursive term; its columns are `slots`.
    pub seed: Node,
    /// The recursive term.
    pub step: Node,
    /// The step's columns.
    pub step_slots: Box<[Slot]>,
    /// Output columns.
    pub slots: Box<[Slot]>,
    /// UNION ALL.
    pub all: bool,
}

/// Row locks.
#[derive(Debug)]
pub struct LockRows {
    /// Input.
    pub input: Node,
    /// Targets.
    pub targets: Vec<LockTargetPlan>,
}

/// One locked table of a [`LockRows`].
#[derive(Debug)]
pub struct LockTargetPlan {
    /// Slot of the row id (NULL: the row was null-extended by an outer join, nothing to lock).
    pub row_id: Slot,
    /// The table.
    pub relation: Arc<Relation>,
    /// Its storage object.
    pub table: ObjectId,
    /// Strength.
    pub strength: LockStrength,
    /// What to do when it is held.
    pub wait: LockWait,
    /// How a changed row is judged again.
    pub recheck: Arc<Recheck>,
}

/// READ COMMITTED's re-check: the newest version's columns are put into the scan's slots, then every condition between
/// that scan and the top is tested again over the kept partner rows, computed columns on the way are computed again.
#[derive(Debug, Default)]
pub struct Recheck {
    /// The scan's columns.
    pub columns: TableColumns,
    /// What is tested and computed, in order.
    pub steps: Vec<RecheckStep>,
}

/// One step of a [`Recheck`].
#[derive(Debug)]
pub enum RecheckStep {
    /// Must be true.
    Test(Code),
    /// Computed again.
    Compute(Slot, Code),
    /// An outer join's condition: if it is not true any more, these slots become NULL.
    Partner(Code, Box<[Slot]>),
}

/// One stored column that a write fills.
#[derive(Debug)]
pub struct WriteColumn {
    /// 1-based attribute number, or 0 for a hidden column.
    pub attribute: i16,
    /// In storage.
    pub column: ColumnNo,
    /// Its type.
    pub ty: Type,
    /// Where the new value is.
    pub slot: Slot,
    /// What it is.
    pub code: Code,
}

/// Compiled checks over the new row's slots.
#[derive(Debug, Default)]
pub struct ChecksPlan {
    /// NOT NULL: attribute number and slot.
    pub not_null: Vec<(i16, Slot)>,
    /// CHECK: name and condition.
    pub checks: Vec<(String, Code)>,
    /// WITH CHECK OPTION: the view's name and what it demands.
    pub views: Vec<(String, Code)>,
    /// Hidden columns: computed last, into slots of the planner's.
    pub hidden: Vec<WriteColumn>,
}

/// INSERT.
#[derive(Debug)]
pub struct InsertPlan {
    /// The table.
    pub target: Arc<Relation>,
    /// Its storage object.
    pub table: ObjectId,
    /// Source rows.
    pub input: Node,
    /// Every live attribute's value.
    pub columns: Vec<WriteColumn>,
    /// Number of storage columns (the length of a row that is handed over).
    pub storage_columns: usize,
    /// Checks.
    pub checks: ChecksPlan,
    /// ON CONFLICT.
    pub on_conflict: Option<OnConflictPlan>,
    /// System columns that RETURNING reads; `None`: none.
    pub written: Option<WrittenColumns>,
    /// RETURNING.
    pub returning: Box<[(Slot, Code)]>,
    /// RETURNING was said: rows are given.
    pub returns: bool,
    /// Counts for the command tag.
    pub main: bool,
}

/// ON CONFLICT.
#[derive(Debug)]
pub struct OnConflictPlan {
    /// Arbiter indexes; empty: any.
    pub arbiters: Vec<Arc<Index>>,
    /// DO UPDATE.
    pub update: Option<ConflictUpdatePlan>,
}

/// DO UPDATE.
#[derive(Debug)]
pub struct ConflictUpdatePlan {
    /// The existing row's columns.
    pub existing: TableColumns,
    /// Attributes set.
    pub assignments: Vec<WriteColumn>,
    /// Unassigned attributes: (existing slot, new row slot), copied before checks.
    pub keep: Vec<(Slot, Slot)>,
    /// Generated ones, over the new row.
    pub generated: Vec<WriteColumn>,
    /// The new row's slots by attribute, copied to the insert's slots for RETURNING.
    pub row: Vec<(i16, Slot)>,
    /// The checks.
    pub checks: ChecksPlan,
    /// WHERE.
    pub predicate: Option<Code>,
}

/// UPDATE.
#[derive(Debug)]
pub struct UpdatePlan {
    /// The table.
    pub target: Arc<Relation>,
    /// Its storage object.
    pub table: ObjectId,
    /// Source rows.
    pub input: Node,
    /// Slot of the row id.
    pub row_id: Slot,
    /// Old row's slots by attribute.
    pub old: Vec<(i16, Slot)>,
    /// Attributes set.
    pub assignments: Vec<WriteColumn>,
    /// Unassigned attributes: (old slot, new row slot).
    pub keep: Vec<(Slot, Slot)>,
    /// Generated columns.
    pub generated: Vec<WriteColumn>,
    /// The new row's slots by attribute.
    pub row: Vec<(i16, Slot)>,
    /// The checks.
    pub checks: ChecksPlan,
    /// The re-check.
    pub recheck: Recheck,
    /// System columns that RETURNING reads; `None`: none.
    pub written: Option<WrittenColumns>,
    /// RETURNING.
    pub returning: Box<[(Slot, Code)]>,
    /// RETURNING was said.
    pub returns: bool,
    /// Counts for the command tag.
    pub main: bool,
}

/// DELETE.
#[derive(Debug)]
pub struct DeletePlan {
    /// The table.
    pub target: Arc<Relation>,
    /// Its storage object.
    pub table: ObjectId,
    /// Source rows.
    pub input: Node,
    /// Slot of the row id.
    pub row_id: Slot,
    /// Old row's slots by attribute: those that foreign keys and RETURNING need.
    pub old: Vec<(i16, Slot)>,
    /// The re-check.
    pub recheck: Recheck,
    /// RETURNING.
    pub returning: Box<[(Slot, Code)]>,
    /// RETURNING was said.
    pub returns: bool,
    /// Counts for the command tag.
    pub main: bool,
}

impl Plan {
    /// A plan of no operators: the surroundings of expressions that are evaluated by themselves.
    pub(crate) fn of_expressions(slots: usize) -> Plan {
        Plan {
            root: Node::new(Kind::Values(Arc::new(Values { slots: Box::new([]), rows: Vec::new() }))),
            kind: PlanKind::Select,
            output: Vec::new(),
            params: Vec::new(),
            slots,
            subqueries: 0,
            ctes: Vec::new(),
            locks: Vec::new(),
            dependencies: Vec::new(),
            names: Vec::new(),
            scans: 0,
            depth: 0,
            nodes: 1,
            scanned_rows: 0.0,
            row_reason: Some(RowReason::Few),
            repeats: true,
            bound: None,
            failure: None,
        }
    }
}

impl Node {
    /// A node without estimates; its id is given when the plan is finished.
    pub fn new(kind: Kind) -> Node {
        Node { id: 0, estimate: Estimate::default(), kind }
    }

    /// The inputs, left to right.
    pub fn inputs(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Values(_)
            | Kind::SeqScan(_)
            | Kind::IndexScan(_)
            | Kind::SystemScan(_)
            | Kind::Functions(_)
            | Kind::CteScan(_)
            | Kind::WorkingScan(_) => Vec::new(),
            Kind::Project(p) => vec![&p.input],
            Kind::ProjectSet(p) => vec![&p.input],
            Kind::Filter(p) | Kind::Gate(p) => vec![&p.input],
            Kind::NestedLoop(p) => vec![&p.left, &p.right],
            Kind::HashJoin(p) => vec![&p.left, &p.right],
            Kind::Materialize(p) => vec![&p.input],
            Kind::Aggregate(p) => vec![&p.input],
            Kind::Window(p) => vec![&p.input],
            Kind::Sort(p) => vec![&p.input],
            Kind::Distinct(p) => vec![&p.input],
            Kind::Limit(p) => vec![&p.input],
            Kind::SetOp(p) => vec![&p.left, &p.right],
            Kind::RecursiveUnion(p) => vec![&p.seed, &p.step],
            Kind::Road(p) => {
                std::iter::once(&p.row).chain(p.vector.sources.iter().map(|source| &source.node)).collect()
            }
            Kind::LockRows(p) => vec![&p.input],
            Kind::Insert(p) => vec![&p.input],
            Kind::Update(p) => vec![&p.input],
            Kind::Delete(p) => vec![&p.input],
        }
    }
}
