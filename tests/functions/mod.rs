//! `sql/functions/*.tsv`: expressions with PostgreSQL 15's answers, asked of the real program.
//!
//! A line is an expression (what follows SELECT), the types of its columns, and the answer: rows parted by ` ; `, columns by
//! `|`; or no types and `!SQLSTATE message`. The three are parted by tabs. Lines with `#` are comments. One session asks all of a file's lines in order, in
//! the time zone America/New_York.
//!
//! `LIGHTNING_FUNCTIONS_ORACLE=write` asks a private PostgreSQL 15 and writes its answers into the files, also for lines
//! that are an expression alone; the difference is then reviewed like code.

use crate::support::{Lightning, Postgres};
use std::path::{Path, PathBuf};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Column types and answer of an expression.
async fn ask(client: &Client, expression: &str) -> (String, String) {
    let text = format!("select {expression}");
    let failed = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(error) => format!("!{} {}", error.code().code(), one_line(error.message())),
        None => format!("the connection failed: {error}"),
    };
    let types = match client.prepare(&text).await {
        Ok(statement) => statement.columns().iter().map(|column| column.type_().name().to_owned()).collect::<Vec<_>>(),
        Err(error) => return (String::new(), failed(error)),
    };
    let answer = match client.simple_query(&text).await {
        // Whether constants are computed before the types are told is each server's own affair.
        Err(error) => return (String::new(), failed(error)),
        Ok(messages) => {
            let row = |message: &SimpleQueryMessage| match message {
                SimpleQueryMessage::Row(row) => {
                    let fields = (0..row.len()).map(|i| one_line(row.get(i).unwrap_or("NULL")));
                    Some(fields.collect::<Vec<_>>().join("|"))
                }
                _ => None,
            };
            messages.iter().filter_map(row).collect::<Vec<_>>().join(" ; ")
        }
    };
    (types.join(","), answer)
}

fn one_line(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r")
}

async fn connect(port: u16) -> Client {
    let url = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("the server takes connections");
    tokio::spawn(connection);
    client.batch_execute("set timezone = 'America/New_York'").await.expect("a zone that is known");
    client
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/functions");
    let entries = std::fs::read_dir(folder).expect("the folder is readable").flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Puts PostgreSQL's answers into a file.
async fn write(client: &Client, path: &Path) {
    let text = std::fs::read_to_string(path).expect("a file of the folder");
    let mut out = String::new();
    for line in text.lines() {
        let expression = line.split('\t').next().unwrap_or_default();
        if expression.is_empty() || expression.starts_with('#') {
            out += line;
        } else {
            let (types, answer) = ask(client, expression).await;
            out += &format!("{expression}\t{types}\t{answer}");
        }
        out.push('\n');
    }
    std::fs::write(path, out).expect("the file is writable");
}

/// The lines of a file that are answered differently.
async fn compare(client: &Client, path: &Path, asked: &mut usize) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a file of the folder");
    let mut different = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [expression, types, answer] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{}: not three fields: {line}", path.display());
        };
        *asked += 1;
        let here = ask(client, expression).await;
        if here != (types.to_owned(), answer.to_owned()) {
            let here = format!("{} {}", here.0, here.1);
            different.push(format!("select {expression}\n  PostgreSQL {types} {answer}\n  here       {here}"));
        }
    }
    different
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_postgresqls() {
    if std::env::var("LIGHTNING_FUNCTIONS_ORACLE").as_deref() == Ok("write") {
        let postgres = Postgres::start().expect("answers are PostgreSQL's own");
        for path in files() {
            write(&connect(postgres.port).await, &path).await;
        }
    }
    let server = Lightning::start();
    let (mut asked, mut different) = (0, Vec::new());
    for path in files() {
        different.extend(compare(&connect(server.port).await, &path, &mut asked).await);
    }
    assert!(different.is_empty(), "{} of {asked} differ:\n{}", different.len(), different.join("\n"));
}
