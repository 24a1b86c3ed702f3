//! SQL text through parser, binder, planner and operators, against PostgreSQL's answers in `testscripts`.

use super::execution::{Execution, Step};
use super::tests_write::World;
use crate::error::Result;
use crate::sql::bind::{BindContext, Binder};
use crate::types::{Oid, text_io};
use lightning_storage::Isolation;
use std::sync::Arc;

/// Runs one statement in a transaction of its own; its rows in psql's unaligned form.
fn run(world: &World, text: &str) -> Result<Vec<String>> {
    let client = world.client(Isolation::ReadCommitted);
    let ctx = client.context();
    let bind = BindContext {
        image: ctx.catalog.clone(),
        search_path: vec![Oid(11), Oid(2200)],
        temp_schema: None,
        user: Oid(10),
        declared_params: Vec::new(),
        call: &ctx.call,
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
