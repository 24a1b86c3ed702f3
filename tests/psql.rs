//! psql's output, byte for byte as PostgreSQL 15's: `\d` and its family over one schema, and a session of every statement
//! kind with its wrong forms.

use crate::support::{Lightning, Postgres, difference, psql, sql};

/// Columns whose values are the server's own: sizes on disk.
const MASKED: &[&str] = &["Size"];

/// Output without the values of masked columns, of tables in psql's aligned form.
fn masked(output: &str) -> String {
    let mut columns: Vec<(usize, usize)> = Vec::new();
    let mut header = "";
    let mut lines = Vec::new();
    for line in output.lines() {
        if line.starts_with("---") || line.starts_with("-+") {
            let mut at = 0;
            columns.clear();
            for (name, rule) in header.split('|').zip(line.split('+')) {
                if MASKED.contains(&name.trim()) {
                    columns.push((at, rule.len()));
                }
                at += rule.len() + 1;
            }
        }
        if line.is_empty() || line.starts_with('(') {
            columns.clear();
        }
        header = line;
        let cells = line.split('|').enumerate().map(|(i, cell)| {
            let start: usize = line.split('|').take(i).map(|cell| cell.chars().count() + 1).sum();
            if columns.iter().any(|(at, _)| *at == start) { "*" } else { cell.trim_end() }
        });
        let is_table = line.contains('|') || line.contains("-+-");
        lines.push(if columns.is_empty() || !is_table { line.to_owned() } else { cells.collect::<Vec<_>>().join("|") });
    }
    lines.join("\n")
}

/// The output of each command, which stands on a line of its own after `### `.
fn by_command(output: &str) -> Vec<&str> {
    output.split("### ").skip(1).collect()
}

#[test]
fn describing_a_schema_prints_what_postgresql_prints() {
    let Some(postgres) = Postgres::start() else { return };
    let lightning = Lightning::start();
    let schema = sql("psql/schema.sql");
    let (expected, found) = (psql(postgres.port, &schema, &["-q"]), psql(lightning.port, &schema, &["-q"]));
    assert_eq!(found, expected, "the schema's script");
    let commands = sql("psql/describe.sql");
    let script: String = commands
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("--"))
        .map(|line| format!("\\echo '### {}'\n{line}\n", line.replace('\'', "''")))
        .collect();
    let (expected, found) = (psql(postgres.port, &script, &[]), psql(lightning.port, &script, &[]));
    let pairs = by_command(&expected).len();
    assert_eq!(pairs, by_command(&found).len(), "the connection was lost:\n{found}");
    let differences: String = by_command(&expected)
        .into_iter()
        .zip(by_command(&found))
        .map(|(expected, found)| difference(&masked(expected), &masked(found)))
        .collect();
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn a_session_of_every_statement_prints_what_postgresql_prints() {
    let Some(postgres) = Postgres::start() else { return };
    let lightning = Lightning::start();
    let script = sql("psql/statements.sql");
    let (expected, found) = (psql(postgres.port, &script, &["-a"]), psql(lightning.port, &script, &["-a"]));
    let difference = difference(&expected, &found);
    assert!(difference.is_empty(), "{difference}");
}
