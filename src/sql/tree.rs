//! The typed tree: what the binder makes of a statement, and what both roads execute.
//!
//! A relational algebra over *columns with statement-wide numbers* ([`ColumnId`]): every column that any operator
//! produces has a number of its own, dense from 0, and an expression names a column by it alone. Consequences:
//! - A subquery, LATERAL item or function argument is correlated exactly when it names a column that nothing below it
//!   produces; no levels, no renumbering when trees are moved.
//! - The row road gives every column one slot of one register file per execution ([`Statement::columns`] long): an
//!   operator writes its columns' slots, expressions read them, a nested loop leaves the outer row where it is.
//! - Names are gone. Output names, types and origins are in [`OutputColumn`].
//!
//! All implicit casts are explicit here, constants are folded, and every node has its final type.

use crate::catalog::image::{Index, Relation};
use crate::error::Error;
use crate::types::{Datum, Oid, Type};
use std::collections::HashMap;
use std::sync::Arc;

/// A column's number in its statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId(pub u32);

/// A common table expression's number in its statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CteId(pub u32);

/// A bound SELECT, VALUES, INSERT, UPDATE or DELETE.
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it does.
    pub root: Root,
    /// WITH parts, in the order in which they may be evaluated; a part may name earlier ones.
    pub ctes: Vec<Cte>,
    /// The columns shown to the client (none when a write has no RETURNING).
    pub output: Vec<OutputColumn>,
    /// Final types of $1, $2, …
    pub params: Vec<Type>,
    /// The type of every column, by [`ColumnId`]; its length is the register file's size.
    pub columns: Vec<Type>,
    /// Objects whose change makes this tree stale: relations (tables, views, indexes, sequences) and functions by oid.
    pub dependencies: Vec<Oid>,
    /// Relations with the lock that execution must hold: read, or written.
    pub locks: Vec<(Oid, RelationLock)>,
    /// What the expressions and predicates of the scanned tables' indexes mean, by index.
    pub index_definitions: Arc<HashMap<Oid, IndexDefinition>>,
    /// Constant expressions that folding could not compute, with their errors: the statement fails when it is planned if
    /// one of them is read.
    pub failures: Vec<(Expr, Error)>,
}

/// An index's stored texts, bound over columns that stand for its table's row.
#[derive(Clone, Debug)]
pub struct IndexDefinition {
    /// The column that stands for each attribute; no operator brings it forth.
    pub row: Vec<(i16, ColumnId)>,
    /// By key column: its expression, if it is one.
    pub keys: Vec<Option<Expr>>,
    /// Of a partial index.
    pub predicate: Option<Expr>,
}

/// What a statement needs of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelationLock {
    /// ACCESS SHARE
    Read,
    /// ROW SHARE (SELECT FOR UPDATE and its weaker modes)
    LockRows,
    /// ROW EXCLUSIVE
    Write,
}

/// The statement's main part.
#[derive(Clone, Debug)]
pub enum Root {
    /// SELECT, VALUES, TABLE
    Query(Rel),
    /// INSERT
    Insert(Box<Insert>),
    /// UPDATE
    Update(Box<Update>),
    /// DELETE
    Delete(Box<Delete>),
}

/// One column of a result.
#[derive(Clone, Debug)]
pub struct OutputColumn {
    /// The name the client sees.
    pub name: String,
    /// Where the value is.
    pub column: ColumnId,
    /// Its type.
    pub ty: Type,
    /// The table column that it plainly is, for RowDescription: (relation, 1-based attribute number).
    pub origin: Option<(Oid, i16)>,
}

/// A WITH part.
#[derive(Clone, Debug)]
pub struct Cte {
    /// Its number.
    pub id: CteId,
    /// Its name, for EXPLAIN.
    pub name: String,
    /// The part itself.
    pub body: CteBody,
    /// The columns of its rows, in order, as `body` produces them.
    pub columns: Vec<ColumnId>,
    /// How often it is scanned; a query part used once may be put in place of its scan unless `materialized` says otherwise.
    pub uses: u32,
    /// MATERIALIZED, NOT MATERIALIZED, or unsaid.
    pub materialized: Option<bool>,
}

/// What a WITH part does.
#[derive(Clone, Debug)]
pub enum CteBody {
    /// A query.
    Query(Rel),
    /// WITH RECURSIVE: `seed` UNION \[ALL\] `step`; the step reads the rows of the round before through [`Rel::Working`].
    Recursive {
        /// The non-recursive term; produces the part's columns.
        seed: Rel,
        /// The recursive term, and its columns in order.
        step: Rel,
        /// The step's columns, matched by position with the part's.
        step_columns: Vec<ColumnId>,
        /// UNION ALL; otherwise rows already produced are dropped.
        all: bool,
    },
    /// A data-modifying part: runs once, to its end; its rows are those of RETURNING.
    Write(Root),
}

/// A relational operator.
#[derive(Clone, Debug)]
pub enum Rel {
    /// A table or system relation, by whatever path the planner chooses.
    Scan {
        /// The relation.
        relation: Arc<Relation>,
        /// The columns read: (what, number).
        columns: Vec<(ScanColumn, ColumnId)>,
    },
    /// Constant rows; one row of no columns is a FROM-less SELECT's input.
    Values {
        /// Their columns.
        columns: Vec<ColumnId>,
        /// The rows; each as long as `columns`.
        rows: Vec<Vec<Expr>>,
    },
    /// Set-returning functions in FROM, side by side (ROWS FROM), short ones padded with NULL.
    Functions {
        /// The calls with the columns that each fills: one, or as many as its record has.
        calls: Vec<(Expr, Vec<ColumnId>)>,
        /// WITH ORDINALITY.
        ordinality: Option<ColumnId>,
    },
    /// A WITH part's rows. Position i of `columns` is position i of [`Cte::columns`].
    CteScan {
        /// The part.
        cte: CteId,
        /// Fresh numbers for this scan.
        columns: Vec<ColumnId>,
        /// The part names columns of an outer query, which the scan does not name itself: it stays where it was written. The
        /// planner finds out.
        correlated: bool,
    },
    /// Inside a recursive step: the rows of the round before.
    Working {
        /// The recursive part.
        cte: CteId,
        /// Fresh numbers for this scan.
        columns: Vec<ColumnId>,
    },
    /// Computes more columns; all input columns stay visible.
    Project {
        /// Input.
        input: Box<Rel>,
        /// New columns.
        exprs: Vec<(ColumnId, Expr)>,
    },
    /// Set-returning functions of a select list: rows repeat while any of them gives one, the others NULL once ended.
    ProjectSet {
        /// Input.
        input: Box<Rel>,
        /// Calls (the top of each is a set-returning [`ExprKind::Call`]).
        calls: Vec<(ColumnId, Expr)>,
    },
    /// Keeps rows whose predicate is true.
    Filter {
        /// Input.
        input: Box<Rel>,
        /// A bool.
        predicate: Expr,
    },
    /// A join. `right` may name columns of `left` (LATERAL) when `lateral`.
    Join {
        /// Which.
        kind: JoinKind,
        /// Left input.
        left: Box<Rel>,
        /// Right input.
        right: Box<Rel>,
        /// The condition (constant true for CROSS).
        on: Expr,
        /// Whether `right` depends on `left`.
        lateral: bool,
    },
    /// Grouping. With no keys and no sets: one row always.
    Aggregate {
        /// Input.
        input: Box<Rel>,
        /// Grouping keys, computed from the input.
        keys: Vec<(ColumnId, Expr)>,
        /// GROUPING SETS as lists of positions in `keys`; `None` is one set of all keys. Keys outside the set are NULL.
        sets: Option<Vec<Vec<usize>>>,
        /// Aggregates.
        aggregates: Vec<(ColumnId, AggregateCall)>,
        /// GROUPING(…): the number of the column and the positions in `keys` that it asks about.
        groupings: Vec<(ColumnId, Vec<usize>)>,
    },
    /// Window functions that share one partitioning and ordering.
    Window {
        /// Input.
        input: Box<Rel>,
        /// PARTITION BY.
        partition: Vec<Expr>,
        /// ORDER BY.
        order: Vec<SortKey>,
        /// The calls.
        calls: Vec<(ColumnId, WindowCall)>,
    },
    /// ORDER BY.
    Sort {
        /// Input.
        input: Box<Rel>,
        /// Keys, most significant first.
        keys: Vec<SortKey>,
    },
    /// DISTINCT over `on`; DISTINCT ON keeps the first row of each group in input order (sorted below).
    Distinct {
        /// Input.
        input: Box<Rel>,
        /// What rows are compared by.
        on: Vec<Expr>,
    },
    /// LIMIT and OFFSET; int8, NULL is none.
    Limit {
        /// Input.
        input: Box<Rel>,
        /// LIMIT.
        limit: Option<Expr>,
        /// OFFSET.
        offset: Option<Expr>,
        /// WITH TIES: the sort keys whose peers of the last row come too.
        ties: Option<Vec<SortKey>>,
    },
    /// UNION, INTERSECT, EXCEPT.
    SetOp {
        /// Which.
        op: SetOpKind,
        /// Keeps duplicates.
        all: bool,
        /// Left input and its columns in order.
        left: Box<Rel>,
        /// The left columns.
        left_columns: Vec<ColumnId>,
        /// Right input.
        right: Box<Rel>,
        /// The right columns, of the same types.
        right_columns: Vec<ColumnId>,
        /// The output columns.
        columns: Vec<ColumnId>,
    },
    /// FOR UPDATE and its three weaker modes: locks the rows that pass, re-checks changed ones at READ COMMITTED.
    LockRows {
        /// Input.
        input: Box<Rel>,
        /// Per locked table: its scan's row-id column ([`ScanColumn::RowId`]), the relation and the mode.
        targets: Vec<LockTarget>,
    },
}

/// What a scan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScanColumn {
    /// A table column by 1-based attribute number.
    Attribute(i16),
    /// The row id as int8, for writes and row locks; also the base of `ctid`.
    RowId,
    /// `tableoid`
    TableOid,
    /// `ctid` as tid
    Ctid,
    /// `xmin` as xid: a digest of the row
    Xmin,
    /// `xmax` as xid: of rows just written only
    Xmax,
}

/// One FOR UPDATE target.
#[derive(Clone, Debug)]
pub struct LockTarget {
    /// The scan's row-id column.
    pub row_id: ColumnId,
    /// The table.
    pub relation: Arc<Relation>,
    /// Strength.
    pub strength: LockStrength,
    /// What to do when another transaction holds the row.
    pub wait: LockWait,
}

/// FOR … strength, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum LockStrength {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

/// NOWAIT, SKIP LOCKED or wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LockWait {
    Wait,
    NoWait,
    SkipLocked,
}

/// Joins. Semi, Anti and Mark come from unnesting only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// CROSS and INNER.
    Inner,
    /// LEFT OUTER
    Left,
    /// RIGHT OUTER
    Right,
    /// FULL OUTER
    Full,
    /// Left rows with a match.
    Semi,
    /// Left rows without a match.
    Anti,
}

/// Set operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SetOpKind {
    Union,
    Intersect,
    Except,
}

/// One ORDER BY item.
#[derive(Clone, Debug)]
pub struct SortKey {
    /// The value.
    pub expr: Expr,
    /// DESC
    pub descending: bool,
    /// NULLS FIRST (the default of DESC).
    pub nulls_first: bool,
}

/// An aggregate call.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// The aggregate's oid in pg_proc.
    pub function: Oid,
    /// Its name, which with `args`' types finds the implementation.
    pub name: &'static str,
    /// Direct arguments of an ordered-set aggregate.
    pub direct: Vec<Expr>,
    /// Arguments; none for count(*).
    pub args: Vec<Expr>,
    /// DISTINCT
    pub distinct: bool,
    /// ORDER BY inside the call, and WITHIN GROUP's.
    pub order: Vec<SortKey>,
    /// FILTER (WHERE …)
    pub filter: Option<Expr>,
    /// Result type.
    pub ty: Type,
}

/// A window function call: a window function proper or an aggregate over a frame.
#[derive(Clone, Debug)]
pub struct WindowCall {
    /// pg_proc oid.
    pub function: Oid,
    /// Name.
    pub name: &'static str,
    /// Whether it is an aggregate.
    pub aggregate: bool,
    /// Arguments.
    pub args: Vec<Expr>,
    /// FILTER (aggregates only).
    pub filter: Option<Expr>,
    /// The frame.
    pub frame: Frame,
    /// Result type.
    pub ty: Type,
}

/// A window frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// ROWS, RANGE, GROUPS.
    pub unit: FrameUnit,
    /// Start.
    pub start: FrameBound,
    /// End.
    pub end: FrameBound,
    /// EXCLUDE
    pub exclude: FrameExclude,
}

/// Frame units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FrameUnit {
    Rows,
    Range,
    Groups,
}

/// Frame bounds. For RANGE offsets: the row's order value minus/plus the offset is computed by `in_range` function by type.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Expr),
    CurrentRow,
    Following(Expr),
    UnboundedFollowing,
}

/// Frame exclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FrameExclude {
    NoOthers,
    CurrentRow,
    Group,
    Ties,
}

/// A scalar expression with its type.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its type.
    pub ty: Type,
}

/// Expression nodes.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A constant, already of the node's type.
    Const(Datum),
    /// $n, 0-based.
    Param(usize),
    /// A column.
    Column(ColumnId),
    /// A function, operator or cast function: all are calls of an implementation.
    Call(Call),
    /// AND of two or more; three-valued, left to right, stops at false.
    And(Vec<Expr>),
    /// OR.
    Or(Vec<Expr>),
    /// NOT.
    Not(Box<Expr>),
    /// IS NULL (for a record: all fields NULL).
    IsNull(Box<Expr>),
    /// IS NOT NULL (for a record: no field NULL; not the negation of IS NULL).
    IsNotNull(Box<Expr>),
    /// IS \[NOT\] DISTINCT FROM, by the equality of the operands' type.
    IsDistinct {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
        /** The `=` operator's implementation. */
        equal: &'static Function,
    },
    /// CASE; the simple form is bound to the searched one with the operand evaluated once in `operand`.
    Case {
        /// (column, expression) of the simple form's operand: computed first, read by the conditions.
        operand: Option<(ColumnId, Box<Expr>)>,
        /// WHEN … THEN …
        arms: Vec<(Expr, Expr)>,
        /// ELSE
        otherwise: Option<Box<Expr>>,
    },
    /// COALESCE: the first that is not NULL; later ones not evaluated.
    Coalesce(Vec<Expr>),
    /// NULLIF by `equal`.
    NullIf { left: Box<Expr>, right: Box<Expr>, equal: &'static Function },
    /// GREATEST / LEAST by the type's order.
    MinMax { greatest: bool, args: Vec<Expr> },
    /// `left op ANY/ALL (array)`; `IN (list)` is this with an array constant or [`ExprKind::ArrayOf`].
    ArrayComparison { left: Box<Expr>, array: Box<Expr>, all: bool, compare: &'static Function },
    /// ARRAY[…]; nested ones make more dimensions. `element` in `ty`.
    ArrayOf { items: Vec<Expr>, nested: bool },
    /// a\[i\]\[j\] or slices; assignment is in Update's expressions through function calls.
    Subscript { array: Box<Expr>, subscripts: Vec<Subscript> },
    /// ROW(…)
    Row(Vec<Expr>),
    /// (record).field, 0-based position
    Field { record: Box<Expr>, field: usize },
    /// Comparison of two rows, element by element as PostgreSQL does (=, <>, <, <=, >, >=).
    RowComparison {
        op: RowOp,
        left: Vec<Expr>,
        right: Vec<Expr>,
        /** `=` per element. */
        equal: Vec<&'static Function>,
        /** `<` per element. */
        less: Vec<&'static Function>,
    },
    /// A subquery.
    Subquery(Box<Subquery>),
    /// Changes the type only: same [`Datum`] (varchar to text, domains, oid to regclass).
    Relabel(Box<Expr>),
    /// A cast through text: the output function of the operand's type, then the input function of `ty` (either may raise).
    CoerceViaIo(Box<Expr>),
    /// A cast of arrays, element by element; `element` applies to one element read from column `element_column`.
    CoerceArray { array: Box<Expr>, element_column: ColumnId, element: Box<Expr> },
    /// current_date, current_timestamp(p), localtime, current_user, … : kept as calls named by their SQL keyword.
    SqlValue(SqlValue),
    /// The value of the row being inserted or changed by a SET DEFAULT, nextval of an identity column …: a fresh value of a sequence.
    NextValue(Oid),
}

/// Row comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RowOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl RowOp {
    /// The comparison with its sides exchanged.
    pub fn mirrored(self) -> RowOp {
        match self {
            RowOp::Lt => RowOp::Gt,
            RowOp::Le => RowOp::Ge,
            RowOp::Gt => RowOp::Lt,
            RowOp::Ge => RowOp::Le,
            RowOp::Eq | RowOp::Ne => self,
        }
    }
}

/// SQL's value functions without parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SqlValue {
    CurrentDate,
    CurrentTime,
    CurrentTimestamp,
    LocalTime,
    LocalTimestamp,
    CurrentUser,
    User,
    SessionUser,
    CurrentRole,
    CurrentCatalog,
    CurrentSchema,
}

/// A function call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The implementation and what is known of it.
    pub function: &'static Function,
    /// Arguments, of exactly the declared types (variadic ones already gathered into an array).
    pub args: Vec<Expr>,
}

/// A function of pg_proc that this server implements or names. One static table, generated rows beside implementations.
pub use crate::executor::functions::Function;

/// One subscript.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Subscript {
    Index(Expr),
    Slice(Option<Expr>, Option<Expr>),
}

/// A subquery in an expression.
#[derive(Clone, Debug)]
pub struct Subquery {
    /// The query; correlated where it names columns it does not produce.
    pub rel: Rel,
    /// Its columns in order.
    pub columns: Vec<ColumnId>,
    /// What is made of its rows.
    pub kind: SubqueryKind,
}

/// What is made of a subquery's rows.
#[derive(Clone, Debug)]
pub enum SubqueryKind {
    /// The one value; NULL for no row; 21000 for more.
    Scalar,
    /// EXISTS; without columns where what its rows hold is not computed.
    Exists,
    /// ARRAY(…)
    Array,
    /// `left op ANY/ALL (…)`, and IN (= ANY), NOT IN (<> ALL); three-valued. One function per left value, joined by AND (rows compared with =, or <> with OR); rows are ordered by their first
    /// pair that is not `equal`, which is empty where that does not matter.
    Quantified { left: Vec<Expr>, compare: Vec<&'static Function>, equal: Vec<&'static Function>, op: RowOp, all: bool },
}

/// INSERT.
#[derive(Clone, Debug)]
pub struct Insert {
    /// The table.
    pub target: Arc<Relation>,
    /// Source rows.
    pub source: Rel,
    /// What each attribute gets, over the source's columns, cast to the column's type with its length check: one per live
    /// attribute in attribute order, defaults, identity and (last, over `row_columns`) generated columns included.
    pub values: Vec<(i16, Expr)>,
    /// The new row's columns, per attribute: where CHECK, generated, ON CONFLICT WHERE and RETURNING expressions read it.
    pub row_columns: Vec<(i16, ColumnId)>,
    /// The checks.
    pub checks: WriteChecks,
    /// ON CONFLICT
    pub on_conflict: Option<OnConflict>,
    /// System columns of the new row that RETURNING reads.
    pub written: Vec<(ScanColumn, ColumnId)>,
    /// RETURNING, over `row_columns` (columns computed; [`Statement::output`] names them).
    pub returning: Vec<(ColumnId, Expr)>,
}

/// ON CONFLICT.
#[derive(Clone, Debug)]
pub struct OnConflict {
    /// The arbiter indexes; empty: any unique index (DO NOTHING only).
    pub arbiters: Vec<Arc<Index>>,
    /// DO UPDATE; `None` is DO NOTHING.
    pub update: Option<ConflictUpdate>,
}

/// DO UPDATE SET … WHERE ….
#[derive(Clone, Debug)]
pub struct ConflictUpdate {
    /// Where the existing row's attributes are put before the expressions are evaluated (EXCLUDED is `Insert::row_columns`).
    pub existing_columns: Vec<(i16, ColumnId)>,
    /// Its system columns that the expressions read.
    pub existing_system: Vec<(ScanColumn, ColumnId)>,
    /// Attributes set (generated ones included).
    pub assignments: Vec<(i16, Expr)>,
    /// The changed row's columns, as in [`Update::row_columns`]; RETURNING reads `Insert::row_columns`, where the executor copies them.
    pub row_columns: Vec<(i16, ColumnId)>,
    /// The checks over `row_columns`.
    pub checks: WriteChecks,
    /// WHERE
    pub predicate: Option<Expr>,
}

/// UPDATE.
#[derive(Clone, Debug)]
pub struct Update {
    /// The table.
    pub target: Arc<Relation>,
    /// Rows to change joined with FROM; it scans the target with all its attributes.
    pub source: Rel,
    /// The target scan's row-id column.
    pub row_id: ColumnId,
    /// The target scan's columns: the old row.
    pub old_columns: Vec<(i16, ColumnId)>,
    /// What is assigned, over the source's columns.
    pub assignments: Vec<(i16, Expr)>,
    /// Generated columns to recompute, over `row_columns`.
    pub generated: Vec<(i16, Expr)>,
    /// The new row's columns, all attributes.
    pub row_columns: Vec<(i16, ColumnId)>,
    /// The checks over `row_columns`.
    pub checks: WriteChecks,
    /// System columns of the new row that RETURNING reads.
    pub written: Vec<(ScanColumn, ColumnId)>,
    /// RETURNING over `row_columns` and the source's columns.
    pub returning: Vec<(ColumnId, Expr)>,
}

/// DELETE.
#[derive(Clone, Debug)]
pub struct Delete {
    /// The table.
    pub target: Arc<Relation>,
    /// Rows to delete joined with USING; it scans the target with the attributes that RETURNING and foreign keys need.
    pub source: Rel,
    /// The target scan's row-id column.
    pub row_id: ColumnId,
    /// The target scan's columns.
    pub old_columns: Vec<(i16, ColumnId)>,
    /// RETURNING over the source's columns.
    pub returning: Vec<(ColumnId, Expr)>,
}

/// What a new row version must satisfy. Foreign keys are taken from the target's constraints by the executor.
#[derive(Clone, Debug, Default)]
pub struct WriteChecks {
    /// NOT NULL attributes.
    pub not_null: Vec<i16>,
    /// CHECK constraints: name and bool expression over `row_columns` (NULL passes).
    pub checks: Vec<(String, Expr)>,
    /// WITH CHECK OPTION: the view's name and bool expression over `row_columns` (only true passes).
    pub views: Vec<(String, Expr)>,
    /// Hidden stored columns (index expressions, partial predicates): storage column number and its expression over `row_columns`.
    pub hidden: Vec<(u16, Expr)>,
}
