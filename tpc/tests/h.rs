//! `tpc h` as a program: what it prints, and how it ends. Two databases of a private PostgreSQL are its servers.
#![allow(clippy::unwrap_used, reason = "all of it is tests, helpers too")]

#[path = "../../tests/support/postgres.rs"]
mod postgres;

use postgres::{Postgres, psql};
use std::process::{Command, Output};

fn tpc(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tpc")).arg("h").args(args).output().unwrap()
}

/// What a program printed as JSON.
fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn a_wrong_answer_is_named_and_fails_the_check() {
    let Some(postgres) = Postgres::start() else { return };
    let url = |database: &str| format!("postgresql://postgres@127.0.0.1:{}/{database}", postgres.port);
    let (own, oracle) = (url("postgres"), url("oracle"));
    let early = tpc(&["check", "--url", &own, "--oracle", &own]);
    assert!(!early.status.success() && String::from_utf8_lossy(&early.stderr).contains("load them first"), "{early:?}");
    let loaded = tpc(&["load", "--url", &own, "--scale", "0.01", "--json"]);
    assert!(loaded.status.success() && json(&loaded)["rows"] == 86_805, "{loaded:?}");
    psql(postgres.port, "create database oracle template postgres", &[]);

    let check = ["check", "--json", "--url", &own, "--oracle", &oracle];
    let right = tpc(&check);
    assert!(right.status.success(), "{right:?}");
    let report = json(&right);
    assert_eq!((&report["scale"], &report["against"]), (&0.01.into(), &oracle.as_str().into()));
    let queries = report["queries"].as_array().unwrap();
    assert!(queries.len() == 22 && queries.iter().all(|query| query["wrong"].is_null()), "{report}");
    let run = tpc(&["run", "--json", "--url", &own]);
    let times = json(&run);
    assert!(run.status.success() && times["queries"].as_array().is_some_and(|queries| queries.len() == 22), "{times}");
    let (mean, total) = (times["geometric_mean_seconds"].as_f64().unwrap(), times["total_seconds"].as_f64().unwrap());
    assert!(mean > 0.0 && mean <= total, "{times}");

    // The least that Q1 can see: a cent in one of its 59,000 rows.
    let change =
        "update lineitem set l_extendedprice = l_extendedprice + 0.01 where l_orderkey = 1 and l_linenumber = 1";
    assert_eq!(psql(postgres.port, change, &[]).trim(), "UPDATE 1");
    let wrong = tpc(&check);
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    let report = json(&wrong);
    let first = &report["queries"][0];
    assert!(
        first["number"] == 1 && first["wrong"].as_str().is_some_and(|text| text.contains("instead of")),
        "{report}"
    );
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.starts_with("error: wrong answers: Q1"), "{said}");
    // What does not read the column is right still.
    assert!(tpc(&["check", "--queries", "4,13,22", "--url", &own, "--oracle", &oracle]).status.success());
    let text = tpc(&["check", "--queries", "1,4", "--url", &own, "--oracle", &oracle]);
    let table = String::from_utf8_lossy(&text.stdout);
    assert!(!text.status.success() && table.contains(" right\n") && table.contains(" instead of "), "{table}");
}
