//! The analysed tree: PostgreSQL's `Query` and expression nodes as far as their text needs them.
//!
//! Names are places (which FROM item of which level, which column), objects are oids, casts say why they are there: so the
//! text can be written under other names and another search path than those under which it was read.

use crate::sql::ast::{BooleanTest, FrameExclude, FrameUnit, JoinKind, LockStrength, LockWait, SetOpKind, SqlValue};
use crate::types::{Oid, Type};

/// Why a function or a cast stands where it does (`CoercionForm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `f(x)`
    Call,
    /// `x::t`
    Explicit,
    /// Nobody wrote it: shown only where another reading could come of leaving it out.
    Implicit,
    /// One of SQL's special forms.
    Special,
}

/// A typed expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub kind: Kind,
    pub ty: Type,
}

/// A constant's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    Null,
    /// The text of its type's output function.
    Text(String),
    /// The text of an enum's value, or an array of them, with the labels' places for labels: shown under the names that
    /// the labels have then.
    Places(String),
    /// An object of a reg type: shown under the name that it has then.
    Object(Oid),
}

/// A column's place: the query level counted outwards, the FROM item, the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub up: usize,
    pub item: usize,
    pub column: usize,
}

/// Expression nodes. Functions and operators are named by oid.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Const(Constant),
    Param(u32),
    Column(Place),
    /// `t.ctid` and its like.
    SystemColumn {
        up: usize,
        item: usize,
        name: String,
    },
    WholeRow {
        up: usize,
        item: usize,
    },
    Function {
        function: Oid,
        form: Form,
        args: Vec<Node>,
        variadic: bool,
    },
    /// One argument: prefix.
    Operator {
        operator: Oid,
        args: Vec<Node>,
    },
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    IsNull {
        arg: Box<Node>,
        negated: bool,
    },
    IsBool(Box<Node>, BooleanTest),
    Distinct(Box<Node>, Box<Node>),
    NullIf(Box<Node>, Box<Node>),
    AnyArray {
        operator: Oid,
        all: bool,
        left: Box<Node>,
        array: Box<Node>,
    },
    Case {
        operand: Option<Box<Node>>,
        arms: Vec<(Node, Node)>,
        otherwise: Box<Node>,
    },
    Coalesce(Vec<Node>),
    MinMax {
        greatest: bool,
        args: Vec<Node>,
    },
    Array(Vec<Node>),
    Subscript {
        array: Box<Node>,
        /// (lower bound of a slice, index or upper bound); slices are marked.
        subscripts: Vec<(bool, Option<Node>, Option<Node>)>,
    },
    Row {
        fields: Vec<Node>,
        /// Cast to a table's row type.
        labelled: bool,
    },
    RowComparison {
        operator: String,
        left: Vec<Node>,
        right: Vec<Node>,
    },
    Field {
        record: Box<Node>,
        name: String,
    },
    /// A change of type by no function: relabelling, through text, element by element.
    Cast {
        arg: Box<Node>,
        form: Form,
        how: CastHow,
    },
    Collate(Box<Node>, String),
    SqlValue(SqlValue, Option<i32>),
    Aggregate {
        function: Oid,
        direct: Vec<Node>,
        args: Vec<Node>,
        star: bool,
        distinct: bool,
        variadic: bool,
        order: Vec<SortItem>,
        within_group: bool,
        filter: Option<Box<Node>>,
    },
    Window {
        function: Oid,
        args: Vec<Node>,
        star: bool,
        filter: Option<Box<Node>>,
        /// Into [`Query::windows`].
        window: usize,
    },
    Grouping(Vec<Node>),
    Sublink {
        kind: SublinkKind,
        /// The left values, cast for the comparison.
        test: Vec<Node>,
        query: Box<Query>,
    },
}

/// How a [`Kind::Cast`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CastHow {
    Relabel,
    Text,
    Array,
}

/// What is made of a subquery's rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SublinkKind {
    Exists,
    Scalar,
    Array,
    Any(String),
    All(String),
    Row(String),
}

/// An ORDER BY item.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SortItem {
    pub expr: Node,
    /// Its place among the shown columns, for set operations.
    pub number: usize,
    pub descending: bool,
    pub nulls_first: bool,
}

/// A query level.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Query {
    pub recursive: bool,
    pub ctes: Vec<Cte>,
    /// The range table.
    pub items: Vec<Item>,
    pub body: Body,
    pub order: Vec<SortItem>,
    pub limit: Option<Node>,
    pub offset: Option<Node>,
    pub ties: bool,
    /// FOR …: the item, the mode, the wait.
    pub locks: Vec<(usize, LockStrength, LockWait)>,
    pub windows: Vec<Window>,
}

/// A WITH part.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cte {
    pub name: String,
    pub aliases: Vec<String>,
    pub materialized: Option<bool>,
    pub query: Query,
}

/// A query's body.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    Select(Box<Select>),
    Values(Vec<Vec<Node>>),
    Set(SetTree),
}

impl Default for Body {
    fn default() -> Body {
        Body::Values(Vec::new())
    }
}

/// Set operations and their leaves.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SetTree {
    Leaf(Box<Query>),
    Operation { op: SetOpKind, all: bool, left: Box<SetTree>, right: Box<SetTree> },
}

/// A SELECT.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Select {
    pub distinct: Distinct,
    pub targets: Vec<Target>,
    pub from: Vec<From>,
    pub filter: Option<Node>,
    pub group: Vec<Group>,
    pub group_distinct: bool,
    pub having: Option<Node>,
}

/// DISTINCT.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Distinct {
    All,
    Rows,
    On(Vec<Node>),
}

/// A shown column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub expr: Node,
    pub name: String,
}

/// A GROUP BY item.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Group {
    Plain(Node),
    Set(Vec<Node>),
    Rollup(Vec<Group>),
    Cube(Vec<Group>),
    Sets(Vec<Group>),
}

/// A window of a query level.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    /// Its name in the WINDOW clause.
    pub name: Option<String>,
    /// The window that it begins from.
    pub base: Option<String>,
    pub partition: Vec<Node>,
    pub order: Vec<SortItem>,
    pub frame: Option<Frame>,
}

/// A frame clause.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    pub unit: FrameUnit,
    pub between: bool,
    pub start: Bound,
    pub end: Bound,
    pub exclude: FrameExclude,
}

/// A frame bound.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bound {
    UnboundedPreceding,
    Preceding(Node),
    CurrentRow,
    Following(Node),
    UnboundedFollowing,
}

/// The tree of a FROM clause over [`Query::items`].
#[derive(Clone, Debug, PartialEq)]
pub(super) enum From {
    Item(usize),
    Join {
        kind: JoinKind,
        left: Box<From>,
        right: Box<From>,
        /// USING: names, and for each the two columns.
        using: Vec<(String, Place, Place)>,
        on: Option<Node>,
        /// The join's own item.
        item: usize,
    },
}

/// A range table entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub source: Source,
    pub alias: Option<String>,
    pub alias_columns: Vec<String>,
    pub columns: Vec<ItemColumn>,
    pub lateral: bool,
    /// The composite type of its rows.
    pub row_type: Oid,
}

/// A column of an item.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ItemColumn {
    /// As the text names it.
    pub name: String,
    pub ty: Type,
    /// A relation's attribute.
    pub attribute: i16,
    /// A join's column: the columns of this level that it is; two for the merged column of a full join.
    pub of: Vec<Place>,
}

/// What an item reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    Relation { oid: Oid, only: bool },
    Subquery(Box<Query>),
    Functions { calls: Vec<FunctionSource>, rows_from: bool, ordinality: bool },
    Cte(String),
    Join,
}

/// A call in FROM with its column definition list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FunctionSource {
    pub call: Node,
    pub name: String,
    pub definitions: Vec<(String, Type)>,
}
