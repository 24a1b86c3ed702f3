//! The operators over trees made by hand: no parser, no binder, few functions.

use super::execution::{Execution, Step};
use crate::catalog::image::Image;
use crate::error::{Error, Result, SqlState};
use crate::executor::context::{SharedTransaction, StatementContext};
use crate::executor::functions::{
    AdvisoryRequest, CallContext, Form, Function, FunctionKind, Host, Implementation, Volatility,
};
use crate::executor::memory::{Budget, Memory};
use crate::sql::tree::*;
use crate::types::{Array, Datum, Oid, Type, oid};
use lightning_storage::{Engine, Snapshot};
use parking_lot::Mutex;
use std::sync::Arc;

struct NoHost;

impl crate::types::text_io::Names for NoHost {
    fn read(&self, _: Oid, text: &str) -> Result<Oid> {
        Err(Error::unsupported(text))
    }
    fn show(&self, _: Oid, _: Oid) -> Option<String> {
        None
    }
}

impl Host for NoHost {
    fn catalog(&self) -> Arc<Image> {
        Arc::new(Image::default())
    }
    fn setting(&self, _: &str) -> Option<String> {
        None
    }
    fn set_setting(&self, _: &str, _: &str, _: bool) -> Result<String> {
        Err(Error::unsupported("settings"))
    }
    fn user(&self, _: bool) -> String {
        "tester".into()
    }
    fn database(&self) -> String {
        "test".into()
    }
    fn search_path(&self, _: bool) -> Vec<Oid> {
        Vec::new()
    }
    fn backend_pid(&self) -> i32 {
        1
    }
    fn nextval(&self, _: Oid) -> Result<i64> {
        Ok(7)
    }
    fn currval(&self, _: Option<Oid>) -> Result<i64> {
        Ok(7)
    }
    fn setval(&self, _: Oid, value: i64, _: bool) -> Result<i64> {
        Ok(value)
    }
    fn advisory(&self, _: AdvisoryRequest) -> Result<bool> {
        Ok(true)
    }
    fn signal_backend(&self, _: i32, _: bool) -> Result<bool> {
        Ok(false)
    }
    fn relation_size(&self, _: Oid) -> Option<i64> {
        None
    }
    fn fact(&self, name: &str) -> Result<Datum> {
        Err(Error::unsupported(name))
    }
}

macro_rules! int_function {
    ($name:ident, $result:expr, |$a:ident, $b:ident| $body:expr) => {
        static $name: Function = Function {
            oid: Oid(1),
            name: stringify!($name),
            symbol: stringify!($name),
            args: &[oid::INT4, oid::INT4],
            result: $result,
            set: false,
            strict: true,
            volatility: Volatility::Immutable,
            variadic: Oid::NONE,
            kind: FunctionKind::Function,
            implementation: Some(&Implementation {
                symbol: stringify!($name),
                form: Form::Scalar(|_, args| {
                    let [Datum::Int4($a), Datum::Int4($b)] = args else { panic!("{args:?}") };
                    $body
                }),
                can_raise: true,
            }),
        };
    };
}

#[allow(non_upper_case_globals)]
pub(super) mod functions {
    use super::*;
    int_function!(int4eq, oid::BOOL, |a, b| Ok(Datum::Bool(a == b)));
    int_function!(int4ne, oid::BOOL, |a, b| Ok(Datum::Bool(a != b)));
    int_function!(int4lt, oid::BOOL, |a, b| Ok(Datum::Bool(a < b)));
    int_function!(int4pl, oid::INT4, |a, b| Ok(Datum::Int4(a + b)));
    int_function!(int4div, oid::INT4, |a, b| if *b == 0 {
        Err(Error::new(crate::error::SqlState::DivisionByZero, "division by zero"))
    } else {
        Ok(Datum::Int4(a / b))
    });
    pub(in crate::executor::row) static int48eq: Function =
        Function { args: &[oid::INT4, oid::INT8], symbol: "int48eq", name: "int48eq", ..int4eq };
    pub(in crate::executor::row) static eq: &Function = &int4eq;
    pub(in crate::executor::row) static ne: &Function = &int4ne;
    pub(in crate::executor::row) static lt: &Function = &int4lt;
    pub(in crate::executor::row) static plus: &Function = &int4pl;
    pub(in crate::executor::row) static div: &Function = &int4div;
}
use functions::{div, eq, lt, ne, plus};

const INT: Type = Type::new(oid::INT4);
const BOOL: Type = Type::new(oid::BOOL);

pub(super) fn expr(kind: ExprKind, ty: Type) -> Expr {
    Expr { kind, ty }
}

pub(super) fn int(v: i32) -> Expr {
    expr(ExprKind::Const(Datum::Int4(v)), INT)
}

fn null() -> Expr {
    expr(ExprKind::Const(Datum::Null), INT)
}

pub(super) fn col(c: u32) -> Expr {
    expr(ExprKind::Column(ColumnId(c)), INT)
}

pub(super) fn call(function: &'static Function, args: Vec<Expr>) -> Expr {
    expr(ExprKind::Call(Call { function, args }), Type::new(function.result))
}

fn yes() -> Expr {
    expr(ExprKind::Const(Datum::Bool(true)), BOOL)
}

/// VALUES of one column per list.
fn values(columns: &[u32], rows: &[&[Option<i32>]]) -> Rel {
    Rel::Values {
        columns: columns.iter().map(|c| ColumnId(*c)).collect(),
        rows: rows.iter().map(|row| row.iter().map(|v| v.map_or_else(null, int)).collect()).collect(),
    }
}

fn one_column(column: u32, items: &[i32]) -> Rel {
    let rows: Vec<[Option<i32>; 1]> = items.iter().map(|v| [Some(*v)]).collect();
    values(&[column], &rows.iter().map(|row| &row[..]).collect::<Vec<_>>())
}

pub(super) fn statement(rel: Rel, output: &[u32], ctes: Vec<Cte>) -> Statement {
    Statement {
        root: Root::Query(rel),
        ctes,
        output: output
            .iter()
            .map(|c| OutputColumn { name: format!("c{c}"), column: ColumnId(*c), ty: INT, origin: None })
            .collect(),
        params: Vec::new(),
        columns: vec![INT; 64],
        dependencies: Vec::new(),
        locks: Vec::new(),
        index_definitions: Default::default(),
        failures: Vec::new(),
    }
}

fn context() -> StatementContext {
    let engine = super::tests_engine::engine();
    let mut transaction = engine.begin(lightning_storage::Isolation::ReadCommitted);
    let snapshot = transaction.snapshot();
    context_over(engine, Arc::new(Mutex::new(Some(transaction))), snapshot)
}

pub(super) fn context_over(engine: Engine, transaction: SharedTransaction, snapshot: Snapshot) -> StatementContext {
    let call = CallContext {
        time_zone: jiff::tz::TimeZone::UTC,
        format: Default::default(),
        transaction_time: 0,
        statement_time: 0,
        host: Arc::new(NoHost),
    };
    StatementContext {
        engine,
        transaction,
        snapshot,
        repeatable_read: false,
        read_only: false,
        call: Arc::new(call),
        catalog: Arc::new(Image::default()),
        first_catalog: None,
        cancel: Arc::default(),
        memory: Memory::new(1 << 26),
        analytics: None,
        constraints: Arc::default(),
    }
}

/// Rows as text, `-` for NULL.
fn run_statement(statement: &Statement) -> Result<Vec<String>> {
    run_in(statement, context())
}

fn run_in(statement: &Statement, ctx: StatementContext) -> Result<Vec<String>> {
    let plan = Arc::new(crate::planner::physical::plan(statement)?);
    let mut execution = Execution::start(plan.clone(), Arc::new([]), ctx)?;
    let mut rows = Vec::new();
    loop {
        match execution.next()? {
            Step::Row => {
                let row: Vec<String> = (0..plan.output.len()).map(|i| show(execution.output(i))).collect();
                rows.push(row.join(" "));
            }
            Step::Yield => {}
            Step::Done { affected } => {
                assert_eq!(affected, rows.len() as u64);
                return Ok(rows);
            }
        }
    }
}

pub(super) fn show(value: &Datum) -> String {
    match value {
        Datum::Null => "-".into(),
        Datum::Int4(v) => v.to_string(),
        Datum::Int8(v) => v.to_string(),
        Datum::Bool(v) => if *v { "t" } else { "f" }.into(),
        Datum::Array(array) => format!("{{{}}}", array.items.iter().map(show).collect::<Vec<_>>().join(",")),
        other => format!("{other:?}"),
    }
}

fn run(rel: Rel, output: &[u32]) -> String {
    run_statement(&statement(rel, output, Vec::new())).unwrap().join(" | ")
}

fn filter(input: Rel, predicate: Expr) -> Rel {
    Rel::Filter { input: Box::new(input), predicate }
}

fn join(kind: JoinKind, left: Rel, right: Rel, on: Expr) -> Rel {
    Rel::Join { kind, left: Box::new(left), right: Box::new(right), on, lateral: false }
}

fn key(expr: Expr, descending: bool) -> SortKey {
    SortKey { expr, descending, nulls_first: descending }
}

fn sort(input: Rel, keys: Vec<SortKey>) -> Rel {
    Rel::Sort { input: Box::new(input), keys }
}

#[test]
fn filters_projections_sorts_and_limits() {
    let rel = filter(one_column(0, &[3, 1, 2, 5, 4]), call(lt, vec![col(0), int(5)]));
    let rel = Rel::Project { input: Box::new(rel), exprs: vec![(ColumnId(1), call(plus, vec![col(0), int(10)]))] };
    let rel = sort(rel, vec![key(col(1), true)]);
    let limit = |n: i64| Some(expr(ExprKind::Const(Datum::Int8(n)), Type::new(oid::INT8)));
    let rel = Rel::Limit { input: Box::new(rel), limit: limit(2), offset: limit(1), ties: None };
    assert_eq!(run(rel, &[0, 1]), "3 13 | 2 12");
}

#[test]
fn a_top_k_sort_keeps_the_best_rows_of_many() {
    let items: Vec<i32> = (0..5000).map(|i| (i * 7919) % 5000).collect();
    let rel = sort(one_column(0, &items), vec![key(col(0), false)]);
    let three = Some(expr(ExprKind::Const(Datum::Int8(3)), Type::new(oid::INT8)));
    assert_eq!(run(Rel::Limit { input: Box::new(rel), limit: three, offset: None, ties: None }, &[0]), "0 | 1 | 2");
}

#[test]
fn with_ties_lets_peers_through() {
    let keys = vec![key(col(0), false)];
    let rel = sort(one_column(0, &[2, 1, 2, 3, 2]), keys.clone());
    let two = Some(expr(ExprKind::Const(Datum::Int8(2)), Type::new(oid::INT8)));
    let rel = Rel::Limit { input: Box::new(rel), limit: two, offset: None, ties: Some(keys) };
    assert_eq!(run(rel, &[0]), "1 | 2 | 2 | 2");
}

/// Every kind of join, by hash (equality) and by nested loop (the same condition written so that it cannot be hashed).
#[test]
fn joins_of_every_kind_agree_by_hash_and_by_loop() {
    let expected = [
        (JoinKind::Inner, "2 2 | 2 2 | 3 3"),
        (JoinKind::Left, "- - | 1 - | 2 2 | 2 2 | 3 3"),
        (JoinKind::Right, "- - | - 4 | 2 2 | 2 2 | 3 3"),
        (JoinKind::Full, "- - | - - | - 4 | 1 - | 2 2 | 2 2 | 3 3"),
        (JoinKind::Semi, "2 - | 3 -"),
        (JoinKind::Anti, "- - | 1 -"),
    ];
    for (kind, rows) in expected {
        for hashed in [true, false] {
            let left = || values(&[0], &[&[Some(1)], &[Some(2)], &[None], &[Some(3)]]);
            let right = || values(&[1], &[&[Some(2)], &[Some(3)], &[None], &[Some(4)], &[Some(2)]]);
            let equal = call(eq, vec![col(0), col(1)]);
            let on = if hashed {
                equal
            } else {
                let not = |e| expr(ExprKind::Not(Box::new(e)), BOOL);
                not(not(equal))
            };
            let rel = join(kind, left(), right(), on);
            if kind == JoinKind::Full && !hashed {
                // PostgreSQL has no way to answer it, though a loop could.
                let refused = run_statement(&statement(rel, &[0, 1], Vec::new())).unwrap_err();
                assert_eq!(refused.code(), SqlState::FeatureNotSupported);
                continue;
            }
            let output: &[u32] = if matches!(kind, JoinKind::Semi | JoinKind::Anti) { &[0, 9] } else { &[0, 1] };
            let mut found = run_statement(&statement(rel, output, Vec::new())).unwrap();
            found.sort();
            assert_eq!(found.join(" | "), rows, "{kind:?} hashed {hashed}");
        }
    }
}

fn subquery(rel: Rel, columns: &[u32], kind: SubqueryKind, ty: Type) -> Expr {
    let columns = columns.iter().map(|c| ColumnId(*c)).collect();
    expr(ExprKind::Subquery(Box::new(Subquery { rel, columns, kind })), ty)
}

fn project(input: Rel, exprs: Vec<(u32, Expr)>) -> Rel {
    Rel::Project { input: Box::new(input), exprs: exprs.into_iter().map(|(c, e)| (ColumnId(c), e)).collect() }
}

#[test]
fn in_and_not_in_have_three_values() {
    let inputs: [&[Option<i32>]; 3] = [&[Some(1)], &[Some(2)], &[None]];
    for correlated in [false, true] {
        for (rows, expected) in [
            (vec![], "f t | f t | f t"),
            (vec![Some(1), Some(3)], "t f | f t | - -"),
            (vec![Some(1), None], "t f | - - | - -"),
        ] {
            let rows: Vec<[Option<i32>; 1]> = rows.into_iter().map(|v| [v]).collect();
            let inner = || {
                let rel = values(&[5], &rows.iter().map(|row| &row[..]).collect::<Vec<_>>());
                // Naming an outer column makes it correlated.
                if correlated {
                    filter(rel, expr(ExprKind::Or(vec![yes(), call(eq, vec![col(0), col(0)])]), BOOL))
                } else {
                    rel
                }
            };
            let member = |op, all, compare: &'static Function| {
                let kind =
                    SubqueryKind::Quantified { left: vec![col(0)], compare: vec![compare], equal: Vec::new(), op, all };
                subquery(inner(), &[5], kind, BOOL)
            };
            let exprs = vec![(1, member(RowOp::Eq, false, eq)), (2, member(RowOp::Ne, true, ne))];
            let rel = project(values(&[0], &inputs), exprs);
            assert_eq!(run(rel, &[1, 2]), expected, "correlated {correlated}");
        }
    }
}

#[test]
fn scalar_exists_and_array_subqueries_see_the_outer_row() {
    let inner = || filter(one_column(5, &[1, 2, 3, 4]), call(lt, vec![col(5), col(0)]));
    let exprs = vec![
        (1, subquery(inner(), &[5], SubqueryKind::Exists, BOOL)),
        (2, subquery(inner(), &[5], SubqueryKind::Array, Type::new(oid::INT4_ARRAY))),
        (3, subquery(one_column(6, &[42]), &[6], SubqueryKind::Scalar, INT)),
    ];
    assert_eq!(run(project(one_column(0, &[1, 3]), exprs), &[0, 1, 2, 3]), "1 f {} 42 | 3 t {1,2} 42");
    let many = subquery(inner(), &[5], SubqueryKind::Scalar, INT);
    let error = run_statement(&statement(project(one_column(0, &[4]), vec![(1, many)]), &[1], Vec::new())).unwrap_err();
    assert_eq!(error.code().code(), "21000");
}

#[test]
fn set_operations_count_duplicates() {
    let expected = [
        (SetOpKind::Union, false, "1 | 2 | 3"),
        (SetOpKind::Union, true, "1 | 1 | 1 | 2 | 2 | 3"),
        (SetOpKind::Intersect, false, "1"),
        (SetOpKind::Intersect, true, "1"),
        (SetOpKind::Except, false, "2"),
        (SetOpKind::Except, true, "1 | 2 | 2"),
    ];
    for (op, all, rows) in expected {
        let rel = Rel::SetOp {
            op,
            all,
            left: Box::new(one_column(0, &[1, 2, 1, 2])),
            left_columns: vec![ColumnId(0)],
            right: Box::new(one_column(1, &[1, 3])),
            right_columns: vec![ColumnId(1)],
            columns: vec![ColumnId(2)],
        };
        let mut found = run_statement(&statement(rel, &[2], Vec::new())).unwrap();
        found.sort();
        assert_eq!(found.join(" | "), rows, "{op:?} all {all}");
    }
}

#[test]
fn a_recursive_part_runs_until_a_round_is_empty() {
    for (all, step, expected) in [(true, 1, "1 | 2 | 3 | 4 | 5"), (false, 0, "1")] {
        let working = Rel::Working { cte: CteId(0), columns: vec![ColumnId(2)] };
        let next =
            project(filter(working, call(lt, vec![col(2), int(5)])), vec![(3, call(plus, vec![col(2), int(step)]))]);
        let cte = Cte {
            id: CteId(0),
            name: "t".into(),
            body: CteBody::Recursive { seed: one_column(1, &[1]), step: next, step_columns: vec![ColumnId(3)], all },
            columns: vec![ColumnId(1)],
            uses: 1,
            materialized: None,
        };
        let rel = Rel::CteScan { cte: CteId(0), columns: vec![ColumnId(4)], correlated: false };
        assert_eq!(run_statement(&statement(rel, &[4], vec![cte])).unwrap().join(" | "), expected);
    }
}

#[test]
fn a_lateral_side_is_computed_for_every_left_row() {
    let right = filter(one_column(1, &[1, 2, 3]), call(lt, vec![col(1), col(0)]));
    for (kind, expected) in [(JoinKind::Inner, "3 1 | 3 2 | 2 1"), (JoinKind::Left, "3 1 | 3 2 | 1 - | 2 1")] {
        let rel = Rel::Join {
            kind,
            left: Box::new(one_column(0, &[3, 1, 2])),
            right: Box::new(right.clone()),
            on: yes(),
            lateral: true,
        };
        assert_eq!(run(rel, &[0, 1]), expected);
    }
}

#[test]
fn logic_is_lazy_and_three_valued() {
    let boom = || call(eq, vec![call(div, vec![int(1), int(0)]), int(1)]);
    let unknown = || call(eq, vec![null(), int(1)]);
    let no = || call(eq, vec![int(1), int(2)]);
    let and = |args| expr(ExprKind::And(args), BOOL);
    let or = |args| expr(ExprKind::Or(args), BOOL);
    let exprs = vec![
        (1, and(vec![no(), boom()])),
        (2, and(vec![unknown(), yes()])),
        (3, or(vec![unknown(), yes(), boom()])),
        (4, or(vec![unknown(), no()])),
        (5, expr(ExprKind::Coalesce(vec![null(), int(1), call(div, vec![int(1), int(0)])]), INT)),
    ];
    assert_eq!(run(project(values(&[], &[&[]]), exprs), &[1, 2, 3, 4, 5]), "f - t - 1");
    let array = |items: Vec<Datum>| {
        expr(ExprKind::Const(Datum::Array(Arc::new(Array::of(oid::INT4, items)))), Type::new(oid::INT4_ARRAY))
    };
    let any = |items, all| {
        let kind =
            ExprKind::ArrayComparison { left: Box::new(int(1)), array: Box::new(array(items)), all, compare: eq };
        expr(kind, BOOL)
    };
    let exprs = vec![
        (1, any(vec![Datum::Int4(2), Datum::Null], false)),
        (2, any(vec![Datum::Null, Datum::Int4(1)], false)),
        (3, any(vec![], true)),
        (4, any(vec![Datum::Int4(1), Datum::Int4(2)], true)),
    ];
    assert_eq!(run(project(values(&[], &[&[]]), exprs), &[1, 2, 3, 4]), "- t t f");
}

#[test]
fn a_cancelled_statement_ends_with_57014() {
    let many: Vec<i32> = (0..200).collect();
    let rel = join(
        JoinKind::Inner,
        join(JoinKind::Inner, one_column(0, &many), one_column(1, &many), yes()),
        one_column(2, &many),
        yes(),
    );
    let plan = Arc::new(crate::planner::physical::plan(&statement(rel, &[0], Vec::new())).unwrap());
    let ctx = context();
    let cancel = ctx.cancel.clone();
    let mut execution = Execution::start(plan, Arc::new([]), ctx).unwrap();
    let mut yields = 0;
    let error = loop {
        match execution.next() {
            Ok(Step::Yield) => {
                yields += 1;
                cancel.store(yields > 2, std::sync::atomic::Ordering::Relaxed);
            }
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.code().code(), "57014");
}

fn aggregate(name: &'static str, args: Vec<Expr>) -> AggregateCall {
    let (direct, order) = (Vec::new(), Vec::new());
    AggregateCall { function: Oid(0), name, direct, args, distinct: false, order, filter: None, ty: INT }
}

#[test]
fn groups_with_distinct_order_filter_and_grouping_sets() {
    let rows: &[&[Option<i32>]] =
        &[&[Some(1), Some(5)], &[Some(2), Some(7)], &[Some(1), Some(3)], &[Some(1), Some(5)], &[None, Some(1)]];
    let mut ordered = aggregate("array_agg", vec![col(1)]);
    ordered.order = vec![key(col(1), true)];
    let mut distinct = aggregate("array_agg", vec![col(1)]);
    distinct.distinct = true;
    let mut filtered = aggregate("count", vec![]);
    filtered.filter = Some(call(lt, vec![col(1), int(6)]));
    let calls = || {
        vec![
            (ColumnId(10), aggregate("sum", vec![col(1)])),
            (ColumnId(11), ordered.clone()),
            (ColumnId(12), distinct.clone()),
            (ColumnId(13), filtered.clone()),
        ]
    };
    let grouped = |sets: Option<Vec<Vec<usize>>>| Rel::Aggregate {
        input: Box::new(values(&[0, 1], rows)),
        keys: vec![(ColumnId(2), col(0))],
        sets,
        aggregates: calls(),
        groupings: vec![(ColumnId(14), vec![0])],
    };
    let mut found = run_statement(&statement(grouped(None), &[2, 10, 11, 12, 13, 14], Vec::new())).unwrap();
    found.sort();
    assert_eq!(found, ["- 1 {1} {1} 1 0", "1 13 {5,5,3} {3,5} 3 0", "2 7 {7} {7} 0 0"]);
    let sets = Some(vec![vec![0], vec![]]);
    let found = run_statement(&statement(grouped(sets), &[2, 10, 14], Vec::new())).unwrap();
    assert_eq!(found, ["1 13 0", "- 21 1", "2 7 0", "- 1 0"]);
    let empty = Rel::Aggregate {
        input: Box::new(values(&[0, 1], &[])),
        keys: Vec::new(),
        sets: None,
        aggregates: calls(),
        groupings: Vec::new(),
    };
    assert_eq!(run(empty, &[10, 11, 13]), "- - 0");
}

fn window_call(name: &'static str, aggregate: bool, args: Vec<Expr>, frame: Frame) -> WindowCall {
    WindowCall { function: Oid(0), name, aggregate, args, filter: None, frame, ty: INT }
}

fn frame(unit: FrameUnit, start: FrameBound, end: FrameBound, exclude: FrameExclude) -> Frame {
    Frame { unit, start, end, exclude }
}

#[test]
fn window_frames_by_rows_and_groups_with_exclusion() {
    use FrameBound::{CurrentRow, Following, Preceding, UnboundedPreceding};
    use FrameExclude::{Group, NoOthers, Ties};
    let n = |n: i64| expr(ExprKind::Const(Datum::Int8(n)), Type::new(oid::INT8));
    let frames = [
        // sum over v ordered by v: peers 2 and 2.
        (frame(FrameUnit::Range, UnboundedPreceding, CurrentRow, NoOthers), "1 5 5 8"),
        (frame(FrameUnit::Rows, UnboundedPreceding, CurrentRow, NoOthers), "1 3 5 8"),
        (frame(FrameUnit::Rows, Preceding(n(1)), Following(n(1)), NoOthers), "3 5 7 5"),
        (frame(FrameUnit::Rows, Following(n(1)), Following(n(2)), NoOthers), "4 5 3 -"),
        (frame(FrameUnit::Groups, Preceding(n(1)), CurrentRow, NoOthers), "1 5 5 7"),
        (frame(FrameUnit::Groups, Preceding(n(1)), Following(n(1)), Group), "4 4 4 4"),
        (frame(FrameUnit::Groups, Preceding(n(1)), Following(n(1)), Ties), "5 6 6 7"),
    ];
    for (frame, expected) in frames {
        let shown = format!("{frame:?}");
        let rel = Rel::Window {
            input: Box::new(one_column(0, &[2, 3, 1, 2])),
            partition: Vec::new(),
            order: vec![key(col(0), false)],
            calls: vec![(ColumnId(1), window_call("sum", true, vec![col(0)], frame))],
        };
        assert_eq!(run(rel, &[1]).replace(" |", ""), expected, "{shown}");
    }
}

#[test]
fn window_functions_by_partition() {
    let rows: &[&[Option<i32>]] =
        &[&[Some(1), Some(10)], &[Some(2), Some(5)], &[Some(1), Some(20)], &[Some(1), Some(10)], &[Some(2), Some(6)]];
    let whole =
        || frame(FrameUnit::Range, FrameBound::UnboundedPreceding, FrameBound::CurrentRow, FrameExclude::NoOthers);
    let rel = Rel::Window {
        input: Box::new(values(&[0, 1], rows)),
        partition: vec![col(0)],
        order: vec![key(col(1), false)],
        calls: vec![
            (ColumnId(2), window_call("row_number", false, vec![], whole())),
            (ColumnId(3), window_call("rank", false, vec![], whole())),
            (ColumnId(4), window_call("dense_rank", false, vec![], whole())),
            (ColumnId(5), window_call("lag", false, vec![col(1)], whole())),
            (ColumnId(6), window_call("last_value", false, vec![col(1)], whole())),
            (ColumnId(7), window_call("count", true, vec![], whole())),
        ],
    };
    let expected = "1 10 1 1 1 - 10 2 | 1 10 2 1 1 10 10 2 | 1 20 3 3 2 10 20 3 | 2 5 1 1 1 - 5 1 | 2 6 2 2 2 5 6 2";
    assert_eq!(run(rel, &[0, 1, 2, 3, 4, 5, 6, 7]), expected);
}

/// Conditions written above an outer join: those on its right side make it inner, others move below it.
#[test]
fn conditions_above_joins_keep_their_meaning() {
    let left = || one_column(0, &[1, 2, 3]);
    let right = || one_column(1, &[2, 3]);
    let joined = || join(JoinKind::Left, left(), right(), call(eq, vec![col(0), col(1)]));
    assert_eq!(run(filter(joined(), call(lt, vec![col(1), int(3)])), &[0, 1]), "2 2");
    let missing = expr(ExprKind::IsNull(Box::new(col(1))), BOOL);
    assert_eq!(run(filter(joined(), missing), &[0, 1]), "1 -");
    assert_eq!(run(filter(joined(), call(lt, vec![col(0), int(3)])), &[0, 1]), "2 2 | 1 -");
    // A cross product with its conditions above, over three relations.
    let cross = join(JoinKind::Inner, join(JoinKind::Inner, left(), right(), yes()), one_column(2, &[3, 4]), yes());
    let on = expr(ExprKind::And(vec![call(eq, vec![col(0), col(1)]), call(eq, vec![col(1), col(2)])]), BOOL);
    assert_eq!(run(filter(cross, on), &[0, 1, 2]), "3 3 3");
    let _ = ne;
}

/// Correlated membership and scalar aggregates in a filter are joins now; the answers are those of the subqueries.
#[test]
fn unnested_subqueries_answer_as_before() {
    let inner = || filter(one_column(5, &[2, 3, 3]), call(eq, vec![col(5), col(0)]));
    let outer = || values(&[0], &[&[Some(1)], &[Some(2)], &[None], &[Some(3)]]);
    let exists = || subquery(inner(), &[5], SubqueryKind::Exists, BOOL);
    assert_eq!(run(filter(outer(), exists()), &[0]), "2 | 3");
    assert_eq!(run(filter(outer(), expr(ExprKind::Not(Box::new(exists())), BOOL)), &[0]), "1 | -");
    let kind = SubqueryKind::Quantified {
        left: vec![col(0)],
        compare: vec![eq],
        equal: Vec::new(),
        op: RowOp::Eq,
        all: false,
    };
    assert_eq!(run(filter(outer(), subquery(inner(), &[5], kind, BOOL)), &[0]), "2 | 3");
    // WHERE 2 < (SELECT max(v) FROM … WHERE key = outer)
    let rows = &[&[Some(2), Some(1)][..], &[Some(3), Some(7)], &[Some(3), Some(2)]];
    let max = Rel::Aggregate {
        input: Box::new(filter(values(&[5, 6], rows), call(eq, vec![col(5), col(0)]))),
        keys: Vec::new(),
        sets: None,
        aggregates: vec![(ColumnId(7), aggregate("max", vec![col(6)]))],
        groupings: Vec::new(),
    };
    let scalar = || subquery(max.clone(), &[7], SubqueryKind::Scalar, INT);
    assert_eq!(run(filter(outer(), call(lt, vec![int(2), scalar()])), &[0]), "3");
    let missing = expr(ExprKind::IsNull(Box::new(scalar())), BOOL);
    assert_eq!(run(filter(outer(), missing), &[0]), "1 | -");
}

#[test]
fn a_sort_beyond_work_mem_merges_runs_from_disk() {
    let items: Vec<i32> = (0..20_000).map(|i| (i * 7919) % 20_000).collect();
    let rel = sort(one_column(0, &items), vec![key(col(0), true)]);
    let folder = tempfile::tempdir().unwrap();
    let mut ctx = context();
    ctx.memory = Memory::with_spilling(&Budget::new(1 << 20), 100_000, folder.path().to_owned());
    let rows = run_in(&statement(rel, &[0], Vec::new()), ctx).unwrap();
    assert!(rows.iter().enumerate().all(|(i, row)| *row == (19_999 - i).to_string()));
}
