//! psql's output, byte for byte as PostgreSQL 15's: `\d` and its family over one schema, and a session of every statement
//! kind with its wrong forms.

use crate::support::{Lightning, Postgres, difference, psql, sql};

/// Columns whose values are the server's own: sizes on disk.
const MASKED: &[&str] = &["Size"];

/// Output whose masked columns are stars; as these give a table its widths, its cells go without padding.
fn masked(output: &str) -> String {
    let columns = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let header = output.lines().map(columns).find(|cells| cells.iter().any(|cell| MASKED.contains(&cell.as_str())));
    let Some(header) = header else { return output.to_owned() };
    let mut lines = Vec::new();
    for line in output.lines().filter(|line| !line.starts_with("---")) {
        let mut cells = columns(line);
        if cells.len() == header.len() && cells != header {
            for (cell, _) in cells.iter_mut().zip(&header).filter(|(_, name)| MASKED.contains(&name.as_str())) {
                "*".clone_into(cell);
            }
        }
        lines.push(cells.join("|"));
    }
    lines.join("\n")
}

/// The output of each command, which stands on a line of its own after `### `.
fn by_command(output: &str) -> Vec<&str> {
    output.split("### ").skip(1).collect()
}

#[test]
fn describing_a_schema_prints_what_postgresql_prints() {
    described("psql/schema.sql", "psql/describe.sql");
}

#[test]
fn describing_enums_and_domains_prints_what_postgresql_prints() {
    described("psql/types.sql", "psql/describe_types.sql");
}

/// Compares what each line of `commands` prints in a database that `schema` has made.
fn described(schema: &str, commands: &str) {
    let Some(postgres) = Postgres::start() else { return };
    let lightning = Lightning::start();
    let schema = sql(schema);
    // A language that this server does not have.
    psql(postgres.port, "drop extension plpgsql", &[]);
    let (expected, found) = (psql(postgres.port, &schema, &["-q"]), psql(lightning.port, &schema, &["-q"]));
    assert_eq!(found, expected, "the schema's script");
    let commands = sql(commands);
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

#[test]
fn copies_print_what_postgresql_prints() {
    let Some(postgres) = Postgres::start() else { return };
    let lightning = Lightning::start();
    let script = sql("psql/copy.sql");
    let (expected, found) = (psql(postgres.port, &script, &["-a"]), psql(lightning.port, &script, &["-a"]));
    let difference = difference(&expected, &found);
    assert!(difference.is_empty(), "{difference}");
}
