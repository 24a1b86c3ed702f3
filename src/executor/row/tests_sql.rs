//! SQL text through parser, binder, planner and operators, against PostgreSQL's answers in `testscripts`.

use super::execution::{Execution, Step};
use super::tests_write::World;
use crate::error::Result;
use crate::executor::memory::{Budget, Memory};
use crate::sql::bind::{BindContext, Binder};
use crate::types::{Oid, text_io};
use lightning_storage::Isolation;
use std::sync::Arc;

/// Runs one statement in a transaction of its own; its rows in psql's unaligned form.
fn run(world: &World, text: &str) -> Result<Vec<String>> {
    run_within(world, text, None)
}

/// As [`run`], on a memory account.
fn run_within(world: &World, text: &str, memory: Option<Arc<Memory>>) -> Result<Vec<String>> {
    let client = world.client(Isolation::ReadCommitted);
    let mut ctx = client.context();
    ctx.memory = memory.unwrap_or(ctx.memory);
    let bind = BindContext {
        image: ctx.catalog.clone(),
        search_path: vec![Oid(11), Oid(2200)],
        temp_schema: None,
        user: Oid(10),
        declared_params: Vec::new(),
        call: &ctx.call,
        reads_clock: Default::default(),
    };
    let tree = Binder::new(&bind, text).statement(&crate::sql::parse::parse_one(text)?)?;
    let plan = Arc::new(crate::planner::physical::plan_in(&tree, &ctx)?);
    let mut execution = Execution::start(plan.clone(), Arc::new([]), ctx.clone())?;
    let mut rows = Vec::new();
    loop {
        match execution.next()? {
            Step::Row => {
                let mut row = Vec::new();
                for (i, column) in plan.output.iter().enumerate() {
                    let mut text = String::new();
                    match execution.output(i) {
                        value if value.is_null() => text.push_str("NULL"),
                        value => text_io::output(value, column.ty, &ctx.call.text(), &mut text),
                    }
                    row.push(text);
                }
                rows.push(row.join("|"));
            }
            Step::Yield => {}
            Step::Done { .. } => break,
        }
    }
    drop(execution);
    drop(ctx);
    client.commit()?;
    Ok(rows)
}

/// A script is blocks of a statement, `----` and its rows, or `ERROR code: message`.
fn script(text: &str) {
    let world = World::with_roles();
    let mut failures = Vec::new();
    for block in text.split("\n\n") {
        let Some((statement, expected)) = block.trim_start_matches('\n').split_once("\n----") else { continue };
        let mut expected: Vec<String> = expected.lines().skip(1).map(str::to_owned).collect();
        let mut found = match run(&world, statement) {
            Ok(rows) => rows,
            Err(error) => vec![format!("ERROR {}: {}", error.code().code(), error.report().message)],
        };
        expected.sort();
        found.sort();
        if found != expected {
            failures.push(format!("{statement}\n  expected {expected:?}\n  found    {found:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn reads_and_writes_answer_as_postgresql() {
    script(include_str!("testscripts/reads_and_writes"));
}

#[test]
fn joins_and_subqueries_answer_as_postgresql() {
    script(include_str!("testscripts/joins_and_subqueries"));
}

#[test]
fn queries_answer_as_postgresql() {
    script(include_str!("testscripts/queries"));
}

/// What does not fit into work_mem gives the same rows through temporary files, and gives its memory back.
#[test]
fn operators_beyond_work_mem_answer_as_within_it() {
    const STATEMENTS: &[&str] = &[
        "select g % 3001, count(*), sum(g), min(g::text), count(distinct g % 7) from generate_series(1, 9000) g group by 1",
        "select g % 2003, g % 5, count(*), grouping(g % 5) from generate_series(1, 6000) g group by rollup(1, 2)",
        "select count(*) from (select g from generate_series(1, 9000) g group by g) t",
        "select distinct (g * 7919) % 4001, 'some text that takes room' from generate_series(1, 9000) g",
        "select distinct on (a) a, b from (select g % 4001 a, g b from generate_series(1, 9000) g) t order by a, b desc",
        "select g % 4001 from generate_series(1, 9000) g union select g % 5003 from generate_series(1, 9000) g",
        "select g % 4001 from generate_series(1, 9000) g except select g from generate_series(1, 2000) g",
        "select g % 4001 from generate_series(1, 9000) g except all select g from generate_series(1, 2000) g",
        "select g % 4001 from generate_series(1, 9000) g intersect all select g % 3001 from generate_series(1, 9000) g",
        "select a, b from generate_series(1, 5000) a join generate_series(2500, 9000) b on a = b",
        "select a, b from generate_series(1, 5000) a left join generate_series(2500, 9000) b on a = b and b % 2 = 0",
        "select a, b from generate_series(1, 5000) a full join generate_series(2500, 9000) b on a = b and a % 3 <> 0",
        "select a, b from (select nullif(g % 100, 7) a from generate_series(1, 900) g) x
           full join (select nullif(g % 200, 9) b from generate_series(1, 4000) g) y on a = b",
        "select a from generate_series(1, 5000) a where exists (select from generate_series(1000, 9000) b where a = b)",
        "select a from generate_series(1, 5000) a where not exists (select from generate_series(1000, 9000) b where a = b)",
        // One key for all rows of the build side: dividing does not help, and must end.
        "select count(*) from generate_series(1, 3) a join (select 1 as b, g from generate_series(1, 4000) g) t on a = b",
        "select g, sum(g) over (partition by g % 50 order by g), lag(g) over (order by g) from generate_series(1, 5000) g",
        "select rank() over (order by g % 10 desc), g from generate_series(1, 3000) g",
        "with t as materialized (select g, repeat('x', 20) r from generate_series(1, 5000) g)
           select count(*), sum(a.g) from t a join t b on a.g = b.g + 1 where a.r = b.r",
        "with recursive t(n, s) as (select 1, repeat('y', 40) union select n + 1, s from t where n < 4000)
           select count(*), sum(n) from t",
        "select x, y from generate_series(1, 2) x cross join (select g y from generate_series(1, 4000) g order by -g) t",
    ];
    let world = World::with_roles();
    let folder = tempfile::tempdir().unwrap();
    for text in STATEMENTS {
        let mut whole = run(&world, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let budget = Budget::new(64 << 20);
        let memory = Memory::with_spilling(&budget, 64 << 10, folder.path().to_owned());
        let mut spilled = run_within(&world, text, Some(memory)).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(budget.used(), 0, "{text} keeps memory");
        if !text.contains("distinct on") {
            whole.sort();
            spilled.sort();
        }
        assert!(!whole.is_empty() && whole == spilled, "{text}: {} rows, {} rows", whole.len(), spilled.len());
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
