//! The syntax tree: what the parser makes of a text, names unresolved and types unknown.
//!
//! It follows PostgreSQL's raw parse tree node by node, because everything that clients see of a statement before it runs
//! (which error, at which character, under which column name) is decided on that tree. It is a tree of our own rather than
//! sqlparser's, for two reasons that no wrapping cures: every node here knows its place in the text (an operator the place
//! of its sign), and there is no field for another dialect's clause that somebody would have to remember to refuse.
//!
//! Invariants:
//! 1. Identifiers are folded to lower case unless quoted, and cut to 63 bytes.
//! 2. A position is a 1-based *character* of the whole text that the client sent, as in field P; 0 is unknown.
//! 3. AND and OR are flat lists, so that 100,000 terms are no deep tree.
//! 4. SQL's special function forms (EXTRACT, POSITION, AT TIME ZONE, …) are plain calls of their pg_catalog functions.

pub mod utility;

pub use crate::sql::tree::{FrameExclude, FrameUnit, JoinKind, LockStrength, LockWait, SetOpKind, SqlValue};
pub use utility::Utility;

/// One statement of a text, and where it stands there.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The statement.
    pub statement: Statement,
    /// First byte (leading white space and comments left out).
    pub start: usize,
    /// One past its last byte, the semicolon left out.
    pub end: usize,
}

/// A statement.
#[derive(Clone, Debug)]
pub enum Statement {
    /// SELECT, VALUES, TABLE
    Query(Box<Query>),
    /// INSERT
    Insert(Box<Insert>),
    /// UPDATE
    Update(Box<Update>),
    /// DELETE
    Delete(Box<Delete>),
    /// Everything else.
    Utility(Box<Utility>),
}

/// A possibly qualified name: `[database.][schema.]name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectName {
    /// One to three parts.
    pub parts: Vec<String>,
    /// Its first part's position.
    pub pos: u32,
}

impl ObjectName {
    /// The last part.
    pub fn name(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// The part before the last.
    pub fn schema(&self) -> Option<&str> {
        self.parts.len().checked_sub(2).map(|i| self.parts[i].as_str())
    }

    /// `a.b.c`, unquoted, as PostgreSQL's messages show it (`NameListToString`).
    pub fn display(&self) -> String {
        self.parts.join(".")
    }
}

/// An identifier with its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ident {
    /// The name.
    pub name: String,
    /// Its position.
    pub pos: u32,
}

/// A query with what surrounds its body.
#[derive(Clone, Debug)]
pub struct Query {
    /// WITH
    pub with: Option<With>,
    /// The body.
    pub body: SetExpr,
    /// ORDER BY
    pub order_by: Vec<OrderBy>,
    /// LIMIT or FETCH; `None` also for LIMIT ALL.
    pub limit: Option<Expr>,
    /// FETCH … WITH TIES
    pub with_ties: bool,
    /// OFFSET
    pub offset: Option<Expr>,
    /// FOR UPDATE … clauses, in order.
    pub locking: Vec<Locking>,
    /// First token.
    pub pos: u32,
}

/// WITH \[RECURSIVE\].
#[derive(Clone, Debug)]
pub struct With {
    /// RECURSIVE
    pub recursive: bool,
    /// The parts.
    pub ctes: Vec<Cte>,
    /// WITH's position.
    pub pos: u32,
}

/// SEARCH … FIRST BY … SET … of a WITH part.
#[derive(Clone, Debug)]
pub struct Search {
    /// BREADTH, else DEPTH.
    pub breadth: bool,
    /// What rows are ordered by.
    pub columns: Vec<Ident>,
    /// The column that holds the order.
    pub sequence: String,
    /// SEARCH's position.
    pub pos: u32,
}

/// CYCLE … SET … \[TO … DEFAULT …\] USING … of a WITH part.
#[derive(Clone, Debug)]
pub struct Cycle {
    /// What a row is known by.
    pub columns: Vec<Ident>,
    /// The column that marks rows that close a cycle.
    pub mark: String,
    /// Its values there and elsewhere; unsaid, true and false.
    pub values: Option<(Expr, Expr)>,
    /// The column that holds the path.
    pub path: String,
    /// CYCLE's position.
    pub pos: u32,
}

/// One WITH part.
#[derive(Clone, Debug)]
pub struct Cte {
    /// Its name.
    pub name: String,
    /// Column names.
    pub columns: Vec<String>,
    /// \[NOT\] MATERIALIZED
    pub materialized: Option<bool>,
    /// SELECT, INSERT, UPDATE or DELETE.
    pub statement: Box<Statement>,
    /// SEARCH
    pub search: Option<Search>,
    /// CYCLE
    pub cycle: Option<Cycle>,
    /// The name's position.
    pub pos: u32,
}

/// A query's body.
#[derive(Clone, Debug)]
pub enum SetExpr {
    /// SELECT; `TABLE t` is `SELECT * FROM t`.
    Select(Box<Select>),
    /// VALUES; rows as long as written, items may be [`ExprKind::Default`].
    Values {
        /// Rows.
        rows: Vec<Vec<Expr>>,
        /// Position of VALUES.
        pos: u32,
    },
    /// A query in parentheses that has clauses of its own (WITH, ORDER BY, LIMIT, locking).
    Query(Box<Query>),
    /// UNION, INTERSECT, EXCEPT.
    SetOp {
        /// Which.
        op: SetOpKind,
        /// ALL
        all: bool,
        /// Left operand.
        left: Box<SetExpr>,
        /// Right operand.
        right: Box<SetExpr>,
        /// The keyword's position.
        pos: u32,
    },
}

/// SELECT … without what [`Query`] holds.
#[derive(Clone, Debug)]
pub struct Select {
    /// DISTINCT
    pub distinct: Distinct,
    /// The select list; may be empty.
    pub targets: Vec<Target>,
    /// SELECT INTO: bound by CREATE TABLE AS; the binder refuses it elsewhere (42601).
    pub into: Option<Box<IntoTable>>,
    /// FROM, comma-separated.
    pub from: Vec<TableRef>,
    /// WHERE
    pub filter: Option<Expr>,
    /// GROUP BY
    pub group_by: Vec<GroupItem>,
    /// GROUP BY DISTINCT
    pub group_distinct: bool,
    /// HAVING
    pub having: Option<Expr>,
    /// WINDOW
    pub windows: Vec<(Ident, WindowSpec)>,
    /// SELECT's position.
    pub pos: u32,
}

/// SELECT INTO's target.
#[derive(Clone, Debug)]
pub struct IntoTable {
    /// The new table.
    pub name: ObjectName,
    /// TEMP
    pub temporary: bool,
}

/// DISTINCT.
#[derive(Clone, Debug)]
pub enum Distinct {
    /// Not given, or ALL.
    All,
    /// DISTINCT
    Rows,
    /// DISTINCT ON (…)
    On(Vec<Expr>),
}

/// One item of a select list or RETURNING.
#[derive(Clone, Debug)]
pub struct Target {
    /// The expression; [`ExprKind::Star`] for `*` and `t.*`.
    pub expr: Expr,
    /// AS name
    pub name: Option<String>,
    /// First token.
    pub pos: u32,
}

/// One GROUP BY item.
#[derive(Clone, Debug)]
pub enum GroupItem {
    /// A plain expression (a row in parentheses stays one expression: its fields are keys of one set).
    Expr(Expr),
    /// `()`
    Empty(u32),
    /// ROLLUP (…); each item a list of expressions (one, or the fields of a parenthesised list).
    Rollup(Vec<Vec<Expr>>, u32),
    /// CUBE (…)
    Cube(Vec<Vec<Expr>>, u32),
    /// GROUPING SETS (…)
    Sets(Vec<GroupItem>, u32),
}

/// ORDER BY item.
#[derive(Clone, Debug)]
pub struct OrderBy {
    /// The expression.
    pub expr: Expr,
    /// ASC, DESC (`Some(true)`), unsaid.
    pub descending: Option<bool>,
    /// NULLS FIRST (`Some(true)`), LAST, unsaid.
    pub nulls_first: Option<bool>,
    /// USING operator.
    pub using: Option<OperatorName>,
    /// Position of the operator, or of the expression.
    pub pos: u32,
}

/// One locking clause.
#[derive(Clone, Debug)]
pub struct Locking {
    /// Strength.
    pub strength: LockStrength,
    /// OF; empty: all tables.
    pub of: Vec<ObjectName>,
    /// NOWAIT, SKIP LOCKED
    pub wait: LockWait,
    /// FOR's position.
    pub pos: u32,
}

/// One FROM item.
#[derive(Clone, Debug)]
pub enum TableRef {
    /// A table, view or WITH part.
    Relation {
        /// Its name.
        name: ObjectName,
        /// ONLY
        only: bool,
        /// Alias.
        alias: Option<Alias>,
        /// TABLESAMPLE
        sample: Option<Box<Sample>>,
        /// The name's position.
        pos: u32,
    },
    /// A function, or ROWS FROM (…).
    Function {
        /// LATERAL (implied for functions).
        lateral: bool,
        /// The calls (any expression that PostgreSQL's grammar takes as one), each with its column definition list.
        calls: Vec<(Expr, Vec<ColumnType>)>,
        /// ROWS FROM
        rows_from: bool,
        /// WITH ORDINALITY
        ordinality: bool,
        /// Alias; its `columns` are empty when `definitions` are given.
        alias: Option<Alias>,
        /// `AS [alias] (name type, …)`
        definitions: Vec<ColumnType>,
        /// First token.
        pos: u32,
    },
    /// A subquery.
    Subquery {
        /// LATERAL
        lateral: bool,
        /// The query.
        query: Box<Query>,
        /// Alias: PostgreSQL 15 demands one.
        alias: Option<Alias>,
        /// The parenthesis.
        pos: u32,
    },
    /// A join.
    Join {
        /// Kind: Inner (CROSS too), Left, Right, Full.
        kind: JoinKind,
        /// Left.
        left: Box<TableRef>,
        /// Right.
        right: Box<TableRef>,
        /// NATURAL, USING, ON, or none (CROSS).
        condition: JoinCondition,
        /// Alias of the parenthesised join.
        alias: Option<Alias>,
        /// Position of the first token of the join's keywords.
        pos: u32,
    },
}

/// A join's condition.
#[derive(Clone, Debug)]
pub enum JoinCondition {
    /// CROSS JOIN
    Cross,
    /// NATURAL
    Natural,
    /// USING (…) [AS alias]
    Using(Vec<Ident>, Option<Alias>),
    /// ON
    On(Expr),
}

/// A table alias.
#[derive(Clone, Debug)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// Column names; fewer than columns is allowed.
    pub columns: Vec<String>,
    /// The name's position.
    pub pos: u32,
}

/// TABLESAMPLE method (args) [REPEATABLE (seed)].
#[derive(Clone, Debug)]
pub struct Sample {
    /// Method.
    pub method: ObjectName,
    /// Arguments.
    pub args: Vec<Expr>,
    /// REPEATABLE
    pub seed: Option<Expr>,
    /// The method's position.
    pub pos: u32,
}

/// `name type` of a column definition list.
#[derive(Clone, Debug)]
pub struct ColumnType {
    /// Column.
    pub name: String,
    /// Type.
    pub ty: TypeName,
    /// COLLATE
    pub collation: Option<ObjectName>,
    /// The name's position.
    pub pos: u32,
}

/// INSERT.
#[derive(Clone, Debug)]
pub struct Insert {
    /// WITH
    pub with: Option<With>,
    /// The table.
    pub table: ObjectName,
    /// AS alias
    pub alias: Option<Ident>,
    /// Target columns; empty: all.
    pub columns: Vec<TargetColumn>,
    /// OVERRIDING SYSTEM (`Some(false)`) or USER (`Some(true)`) VALUE
    pub overriding_user: Option<bool>,
    /// The rows; `None`: DEFAULT VALUES.
    pub source: Option<Box<Query>>,
    /// ON CONFLICT
    pub on_conflict: Option<OnConflict>,
    /// RETURNING
    pub returning: Vec<Target>,
    /// INSERT's position.
    pub pos: u32,
}

/// A target column of INSERT or UPDATE.
#[derive(Clone, Debug)]
pub struct TargetColumn {
    /// Its name.
    pub name: String,
    /// Subscripts and fields: `a[1]`, `a.b`.
    pub path: Vec<Indirection>,
    /// The name's position.
    pub pos: u32,
}

/// ON CONFLICT.
#[derive(Clone, Debug)]
pub struct OnConflict {
    /// What is arbitrated by.
    pub target: Option<ConflictTarget>,
    /// DO UPDATE SET; `None`: DO NOTHING.
    pub update: Option<(Vec<Assignment>, Option<Expr>)>,
    /// ON's position.
    pub pos: u32,
}

/// ON CONFLICT's target.
#[derive(Clone, Debug)]
pub enum ConflictTarget {
    /// (columns or expressions) [WHERE …]
    Index {
        /// Items; ordering options are a syntax-level refusal (42P10).
        items: Vec<ConflictItem>,
        /// WHERE
        filter: Option<Expr>,
        /// The parenthesis.
        pos: u32,
    },
    /// ON CONSTRAINT name
    Constraint(Ident),
}

/// One item of ON CONFLICT's index target.
#[derive(Clone, Debug)]
pub struct ConflictItem {
    /// A bare column, or any expression.
    pub expr: Expr,
    /// COLLATE
    pub collation: Option<ObjectName>,
    /// Operator class.
    pub operator_class: Option<ObjectName>,
}

/// SET item of UPDATE and ON CONFLICT.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// One column, or several of `(a, b) = …`.
    pub columns: Vec<TargetColumn>,
    /// Whether the columns stand in parentheses (even a single one).
    pub multiple: bool,
    /// The value; for `multiple` a row, a subquery ([`ExprKind::Scalar`]) or any row-valued expression.
    pub value: Expr,
}

/// UPDATE.
#[derive(Clone, Debug)]
pub struct Update {
    /// WITH
    pub with: Option<With>,
    /// The table.
    pub table: ObjectName,
    /// ONLY
    pub only: bool,
    /// Alias.
    pub alias: Option<Ident>,
    /// SET
    pub assignments: Vec<Assignment>,
    /// FROM
    pub from: Vec<TableRef>,
    /// WHERE
    pub filter: Option<Expr>,
    /// RETURNING
    pub returning: Vec<Target>,
    /// UPDATE's position.
    pub pos: u32,
}

/// DELETE.
#[derive(Clone, Debug)]
pub struct Delete {
    /// WITH
    pub with: Option<With>,
    /// The table.
    pub table: ObjectName,
    /// ONLY
    pub only: bool,
    /// Alias.
    pub alias: Option<Ident>,
    /// USING
    pub using: Vec<TableRef>,
    /// WHERE
    pub filter: Option<Expr>,
    /// RETURNING
    pub returning: Vec<Target>,
    /// DELETE's position.
    pub pos: u32,
}

/// A scalar expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its own token: an operator's sign, a function's name, the first token of a literal. See [`Expr::location`].
    pub pos: u32,
}

/// Literals.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Fits int4.
    Integer(i32),
    /// Any other number, as written in decimal; int8 if it fits and has no point or exponent, else numeric.
    Numeric(String),
    /// A string: type unknown.
    String(String),
    /// `B'…'` (prefix `b`) or `X'…'` (prefix `x`) with the prefix.
    Bits(String),
    /// true, false
    Bool(bool),
    /// NULL
    Null,
}

/// An operator's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorName {
    /// Schema of OPERATOR(schema.op).
    pub schema: Option<String>,
    /// The sign; `!=` is `<>` already.
    pub name: String,
}

impl OperatorName {
    /// An unqualified operator.
    pub fn new(name: impl Into<String>) -> OperatorName {
        OperatorName { schema: None, name: name.into() }
    }

    /// As messages show it.
    pub fn display(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// IS \[NOT\] TRUE, FALSE, UNKNOWN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BooleanTest {
    True,
    NotTrue,
    False,
    NotFalse,
    Unknown,
    NotUnknown,
}

/// LIKE and its kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LikeKind {
    Like,
    ILike,
    SimilarTo,
}

/// Expressions.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum ExprKind {
    Literal(Literal),
    /// $n, 1-based.
    Param(u32),
    /// `[[database.]schema.]table.]column`
    Column(Vec<String>),
    /// `*`, `t.*`, `schema.t.*`: the qualifier.
    Star(Vec<String>),
    /// `(expr).field`, `expr[1]`, `(expr).*`
    Indirection(Box<Expr>, Vec<Indirection>),
    /// A prefix (no left operand) or infix operator.
    Operator {
        op: OperatorName,
        left: Option<Box<Expr>>,
        right: Box<Expr>,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull {
        expr: Box<Expr>,
        negated: bool,
    },
    IsBool(Box<Expr>, BooleanTest),
    IsDistinct {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    NullIf(Box<Expr>, Box<Expr>),
    Like {
        kind: LikeKind,
        negated: bool,
        expr: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<Box<Expr>>,
    },
    Between {
        negated: bool,
        symmetric: bool,
        expr: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
    },
    In {
        negated: bool,
        expr: Box<Expr>,
        list: Vec<Expr>,
    },
    InQuery {
        negated: bool,
        expr: Box<Expr>,
        query: Box<Query>,
    },
    /// `left op ANY/ALL (array)`
    AnyArray {
        op: OperatorName,
        all: bool,
        left: Box<Expr>,
        array: Box<Expr>,
    },
    /// `left op ANY/ALL (SELECT …)`
    AnyQuery {
        op: OperatorName,
        all: bool,
        left: Box<Expr>,
        query: Box<Query>,
    },
    Function(Box<FunctionCall>),
    /// `CAST(e AS t)`, `e::t`, `t 'literal'`
    Cast {
        expr: Box<Expr>,
        ty: TypeName,
    },
    Collate {
        expr: Box<Expr>,
        collation: ObjectName,
    },
    Case {
        operand: Option<Box<Expr>>,
        arms: Vec<(Expr, Expr)>,
        /** Where each WHEN stands. */
        places: Vec<u32>,
        otherwise: Option<Box<Expr>>,
    },
    Coalesce(Vec<Expr>),
    MinMax {
        greatest: bool,
        args: Vec<Expr>,
    },
    /// CURRENT_DATE, CURRENT_TIMESTAMP(p), CURRENT_USER, …
    SqlValue {
        value: SqlValue,
        precision: Option<i32>,
    },
    /// `ARRAY[…]`; an inner `[…]` is an `Array` too.
    Array(Vec<Expr>),
    /// `ARRAY(SELECT …)`
    ArrayQuery(Box<Query>),
    /// `ROW(…)` (explicit) or `(a, b)`
    Row {
        fields: Vec<Expr>,
        explicit: bool,
    },
    Exists(Box<Query>),
    /// `(SELECT …)`
    Scalar(Box<Query>),
    Grouping(Vec<Expr>),
    /// DEFAULT where a value may stand in INSERT and UPDATE.
    Default,
    /// WHERE CURRENT OF cursor
    CurrentOf(String),
}

/// What follows an expression.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Indirection {
    Field(Ident),
    Star,
    Index(Expr),
    Slice(Option<Expr>, Option<Expr>),
}

/// A function call.
#[derive(Clone, Debug)]
pub struct FunctionCall {
    /// The name.
    pub name: ObjectName,
    /// Arguments.
    pub args: Vec<Argument>,
    /// The last argument is VARIADIC.
    pub variadic: bool,
    /// `f(*)`
    pub star: bool,
    /// DISTINCT
    pub distinct: bool,
    /// ORDER BY inside the call.
    pub order_by: Vec<OrderBy>,
    /// WITHIN GROUP (ORDER BY …)
    pub within_group: Vec<OrderBy>,
    /// FILTER (WHERE …)
    pub filter: Option<Expr>,
    /// OVER
    pub over: Option<Over>,
    /// Written in one of SQL's special forms (EXTRACT, TRIM, …): shown so by EXPLAIN and error texts.
    pub sql_syntax: bool,
}

/// One argument of a call.
#[derive(Clone, Debug)]
pub struct Argument {
    /// `name =>` (or `:=`)
    pub name: Option<Ident>,
    /// The value.
    pub value: Expr,
}

/// OVER.
#[derive(Clone, Debug)]
pub enum Over {
    /// OVER name
    Name(Ident),
    /// OVER (…)
    Spec(Box<WindowSpec>),
}

/// A window definition.
#[derive(Clone, Debug)]
pub struct WindowSpec {
    /// The window it begins from.
    pub base: Option<Ident>,
    /// PARTITION BY
    pub partition: Vec<Expr>,
    /// ORDER BY
    pub order_by: Vec<OrderBy>,
    /// The frame, if written.
    pub frame: Option<FrameSpec>,
    /// Position of the parenthesis.
    pub pos: u32,
}

/// A frame clause.
#[derive(Clone, Debug)]
pub struct FrameSpec {
    /// ROWS, RANGE, GROUPS
    pub unit: FrameUnit,
    /// Start.
    pub start: BoundSpec,
    /// End; CURRENT ROW when not written.
    pub end: BoundSpec,
    /// Written with BETWEEN.
    pub between: bool,
    /// EXCLUDE
    pub exclude: FrameExclude,
    /// Its position.
    pub pos: u32,
}

/// A frame bound.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum BoundSpec {
    UnboundedPreceding,
    Preceding(Expr),
    CurrentRow,
    Following(Expr),
    UnboundedFollowing,
}

/// A type as written.
#[derive(Clone, Debug)]
pub struct TypeName {
    /// `["pg_catalog", "int4"]` for types that the grammar names, else as written.
    pub names: Vec<String>,
    /// Modifiers as written (`varchar(10)`), or PostgreSQL's packed ones for interval fields: one or two integers.
    pub typmods: Vec<Expr>,
    /// `[]` or `[n]`, one per dimension.
    pub array_bounds: Vec<Option<i32>>,
    /// SETOF
    pub setof: bool,
    /// Its first token.
    pub pos: u32,
}

impl Expr {
    /// A node.
    pub fn new(kind: ExprKind, pos: u32) -> Expr {
        Expr { kind, pos }
    }

    /// Where messages about the whole expression point: its leftmost known token (PostgreSQL's `exprLocation`).
    pub fn location(&self) -> u32 {
        let left = match &self.kind {
            ExprKind::Operator { left: Some(left), .. }
            | ExprKind::IsDistinct { left, .. }
            | ExprKind::AnyArray { left, .. }
            | ExprKind::AnyQuery { left, .. } => left,
            ExprKind::Like { expr, .. }
            | ExprKind::Between { expr, .. }
            | ExprKind::In { expr, .. }
            | ExprKind::InQuery { expr, .. }
            | ExprKind::IsNull { expr, .. }
            | ExprKind::IsBool(expr, _)
            | ExprKind::Cast { expr, .. }
            | ExprKind::Collate { expr, .. }
            | ExprKind::Indirection(expr, _) => expr,
            ExprKind::And(items) | ExprKind::Or(items) => match items.first() {
                Some(first) => return leftmost(self.pos, first.location()),
                None => return self.pos,
            },
            _ => return self.pos,
        };
        leftmost(self.pos, left.location())
    }
}

/// The smaller of two positions, unknown ones left out.
pub fn leftmost(a: u32, b: u32) -> u32 {
    match (a, b) {
        (0, other) | (other, 0) => other,
        (a, b) => a.min(b),
    }
}
