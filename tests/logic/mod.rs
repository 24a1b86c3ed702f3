//! `sql/logic/**/*.slt`: statements with PostgreSQL 15's answers, run on the real program and on a private PostgreSQL 15.
//!
//! A file is a list of entries, parted by empty lines, each run in a schema of the file's own on one connection:
//!
//! ```text
//! # A comment above its entry.
//! statement             query               error                           unsupported
//! create table t …      select 1, null      select x                        lock table t nowait
//!                       ----                ----                            ----
//!                       1|NULL              42703 column "x" does not       what PostgreSQL answers
//!                                           exist at 8
//! ```
//! An `error` is SQLSTATE, message and, after "at", the position. `unsupported` must be 0A000 here, whatever PostgreSQL says.
//! `differs` is a known difference with PostgreSQL's answer beside: counted in every run, and a failure once it is gone.
//! Line feeds inside of values are written `\n`, rows without columns `()`. Every entry goes through the simple protocol;
//! column names, row counts and an error's DETAIL, HINT and names of objects must be those of the live PostgreSQL too.
//! A `query` without effects is asked twice, the second time out of the plan cache, and also goes through the extended protocol with binary results: types and bytes are compared.
//!
//! `LIGHTNING_LOGIC_ORACLE=write` replaces the stored answers (and finds the kind of entries that have none) by the private
//! PostgreSQL's; the difference is then reviewed like code. `LIGHTNING_LOGIC=word` runs only files whose path has the word.

use crate::support::{Lightning, Postgres};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// One entry of a file.
struct Entry {
    line: usize,
    /// Empty: not known yet.
    kind: String,
    text: String,
    answer: String,
    /// Comments above it.
    notes: String,
}

const KINDS: [&str; 5] = ["statement", "query", "error", "unsupported", "differs"];

fn parse(text: &str) -> Vec<Entry> {
    let (mut entries, mut notes, mut line) = (Vec::new(), String::new(), 1);
    for block in text.split("\n\n") {
        let begins = line + block.chars().take_while(|c| *c == '\n').count();
        line += block.matches('\n').count() + 2;
        let mut block = block.trim_matches('\n');
        while block.starts_with('#') {
            let (note, rest) = block.split_once('\n').unwrap_or((block, ""));
            let _ = writeln!(notes, "{note}");
            block = rest;
        }
        if block.is_empty() {
            if !notes.is_empty() && !notes.ends_with("\n\n") {
                notes.push('\n');
            }
            continue;
        }
        let (kind, rest) = match block.split_once('\n') {
            Some((kind, rest)) if KINDS.contains(&kind) => (kind, rest),
            _ => ("", block),
        };
        let (text, answer) = match rest.split_once("\n----\n") {
            Some(parts) => parts,
            None => (rest.strip_suffix("\n----").unwrap_or(rest), ""),
        };
        entries.push(Entry {
            line: begins,
            kind: kind.to_owned(),
            text: text.to_owned(),
            answer: answer.to_owned(),
            notes: std::mem::take(&mut notes),
        });
    }
    entries
}

/// What a server answers.
struct Answer {
    /// The entry's kind.
    kind: &'static str,
    /// Rows, or SQLSTATE, message and position: what files store.
    text: String,
    /// Column names and row counts, or an error's other fields: compared with the live PostgreSQL only.
    more: String,
}

async fn ask(client: &Client, text: &str) -> Answer {
    let messages = match client.simple_query(text).await {
        Ok(messages) => messages,
        Err(error) => return failure(&error),
    };
    let (mut rows, mut kind, mut more) = (Vec::new(), "statement", String::new());
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                let fields = (0..row.len()).map(|i| row.get(i).unwrap_or("NULL").replace('\n', "\\n"));
                rows.push(if row.is_empty() { "()".to_owned() } else { fields.collect::<Vec<_>>().join("|") });
            }
            SimpleQueryMessage::RowDescription(columns) => {
                kind = "query";
                more += &columns.iter().map(tokio_postgres::SimpleColumn::name).collect::<Vec<_>>().join("|");
                more.push('\n');
            }
            SimpleQueryMessage::CommandComplete(count) => _ = writeln!(more, "rows: {count}"),
            _ => {}
        }
    }
    Answer { kind, text: rows.join("\n"), more }
}

/// An error as an answer.
fn failure(error: &tokio_postgres::Error) -> Answer {
    let Some(error) = error.as_db_error() else {
        return Answer { kind: "error", text: format!("the connection failed: {error}"), more: String::new() };
    };
    let position = match error.position() {
        Some(tokio_postgres::error::ErrorPosition::Original(position)) => format!(" at {position}"),
        _ => String::new(),
    };
    let fields = [
        ("detail", error.detail()),
        ("hint", error.hint()),
        ("schema", error.schema()),
        ("table", error.table()),
        ("column", error.column()),
        ("type", error.datatype()),
        ("constraint", error.constraint()),
    ];
    // The number of a session's temporary schema is the server's choice.
    let shown = |value: &str| match value.strip_prefix("pg_temp_") {
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => "pg_temp".to_owned(),
        _ => value.to_owned(),
    };
    let more = fields.iter().filter_map(|(name, value)| Some(format!("{name}: {}\n", shown((*value)?)))).collect();
    let text = format!("{} {}{position}", error.code().code(), error.message().replace('\n', "\\n"));
    Answer { kind: "error", text, more }
}

/// A value's bytes as they came.
#[derive(Debug, PartialEq)]
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Column types and the bytes of all values through the extended protocol, as text for comparison.
async fn ask_binary(client: &Client, text: &str) -> String {
    let failed = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(error) => format!("{} {}", error.code().code(), error.message()),
        None => error.to_string(),
    };
    let statement = match client.prepare(text).await {
        Ok(statement) => statement,
        Err(error) => return failed(error),
    };
    let mut answer = String::new();
    for column in statement.columns() {
        // Oids of users' types differ from server to server.
        let number = if column.type_().oid() < 16_384 { column.type_().oid() } else { 0 };
        let _ = write!(answer, "{} {number} {} | ", column.name(), column.type_().name());
    }
    match client.query(&statement, &[]).await {
        Err(error) => answer += &failed(error),
        Ok(rows) => {
            for row in rows {
                answer.push('\n');
                for i in 0..row.len() {
                    match row.get::<_, Option<Raw>>(i) {
                        // So does the element type in an array's bytes.
                        Some(Raw(mut bytes)) if is_users_array(&row.columns()[i]) && bytes.len() >= 12 => {
                            bytes[8..12].fill(0);
                            bytes.iter().for_each(|byte| write!(answer, "{byte:02x}").expect("text"));
                        }
                        Some(Raw(bytes)) => bytes.iter().for_each(|byte| write!(answer, "{byte:02x}").expect("text")),
                        None => answer += "NULL",
                    }
                    answer.push('|');
                }
            }
        }
    }
    answer
}

/// Whether a column holds arrays of a user's type.
fn is_users_array(column: &tokio_postgres::Column) -> bool {
    column.type_().oid() >= 16_384 && matches!(column.type_().kind(), tokio_postgres::types::Kind::Array(_))
}

/// Whether a query can be run again without changing anything.
fn is_pure(text: &str) -> bool {
    let text = text.to_lowercase();
    let begins = ["select", "values", "with", "table", "("].iter().any(|word| text.trim_start().starts_with(word));
    let effects = [
        "insert",
        "update",
        "delete",
        "nextval",
        "setval",
        "into",
        "setseed",
        "random",
        "set_config",
        "advisory",
        "for share",
    ];
    begins && !text.contains(';') && !effects.iter().any(|word| text.contains(word))
}

fn files() -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("the folder is readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "slt") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/logic"), &mut found);
    let word = std::env::var("LIGHTNING_LOGIC").unwrap_or_default();
    found.retain(|path| path.to_string_lossy().contains(&word));
    found.sort();
    found
}

/// What the files' entries came to.
#[derive(Default)]
struct Count {
    entries: usize,
    binary: usize,
    unsupported: usize,
    known: usize,
    differences: usize,
}

/// A connection to the server on a port, in a schema of the file's own.
async fn open(port: u16, path: &Path) -> Client {
    let url = format!("postgresql://postgres@127.0.0.1:{port}/postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("the server answers");
    tokio::spawn(connection);
    let name = path.file_stem().expect("it has a name").to_string_lossy().replace('-', "_");
    let schema = format!("create schema logic_{name}; set search_path = logic_{name}");
    client.batch_execute(&schema).await.expect("a schema of its own");
    client
}

/// Runs a file on ours, on one of the roads, and on the oracle; says how ours differs.
async fn run(ours: u16, road: &str, oracle: Option<u16>, path: &Path, count: &mut Count) -> String {
    let client = open(ours, path).await;
    client.batch_execute(&format!("set lightning.road = {road}")).await.expect("there are two roads");
    let other = match oracle {
        Some(oracle) => Some(open(oracle, path).await),
        None => None,
    };
    let mut differences = String::new();
    let shown = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path).display();
    for entry in parse(&std::fs::read_to_string(path).expect("the file is readable")) {
        count.entries += 1;
        let mut differs = |what: &str, ours: &str, expected: &str| {
            count.differences += 1;
            let Entry { line, text, .. } = &entry;
            let [ours, expected] = [ours, expected].map(|answer| answer.chars().take(2000).collect::<String>());
            let _ = writeln!(differences, "{shown}:{line}: {what}\n{text}\n  ours:\n{ours}\n  expected:\n{expected}\n");
        };
        let Answer { kind, text: answer, more } = ask(&client, &entry.text).await;
        let mut expected_more = None;
        if let Some(other) = &other {
            let Answer { kind, text: answer, more } = ask(other, &entry.text).await;
            expected_more = Some(more);
            let stale = !["unsupported", "differs"].contains(&entry.kind.as_str()) && kind != entry.kind;
            if stale || answer != entry.answer {
                differs("the stored answer is not PostgreSQL's", &entry.answer, &format!("({kind}) {answer}"));
                continue;
            }
        }
        if entry.kind == "unsupported" {
            count.unsupported += 1;
            if !answer.starts_with("0A000 ") {
                differs("should be refused", &answer, "0A000");
            }
            continue;
        }
        if entry.kind == "differs" {
            count.known += 1;
            if answer == entry.answer && expected_more.as_ref() == Some(&more) {
                differs("is no difference any more", &answer, &entry.answer);
            }
            continue;
        }
        if kind != entry.kind || answer != entry.answer {
            differs(&entry.kind, &answer, &entry.answer);
            continue;
        }
        if let Some(expected) = expected_more
            && more != expected
        {
            differs("fields beside the answer", &more, &expected);
        }
        if kind == "query" && is_pure(&entry.text) {
            let again = ask(&client, &entry.text).await;
            if again.text != answer {
                differs("another answer from the plan cache", &again.text, &answer);
            }
        }
        if let Some(other) = &other
            && kind == "query"
            && is_pure(&entry.text)
        {
            count.binary += 1;
            let (answer, expected) = (ask_binary(&client, &entry.text).await, ask_binary(other, &entry.text).await);
            if answer != expected {
                differs("types or bytes", &answer, &expected);
            }
        }
    }
    differences
}

/// The file with the oracle's answers.
async fn rewrite(oracle: u16, path: &Path) {
    let client = open(oracle, path).await;
    let mut out = String::new();
    for entry in parse(&std::fs::read_to_string(path).expect("the file is readable")) {
        let Answer { kind, text: answer, .. } = ask(&client, &entry.text).await;
        let kept = ["unsupported", "differs"].contains(&entry.kind.as_str());
        let kind = if kept { &entry.kind } else { kind };
        let _ = write!(out, "{}{kind}\n{}\n", entry.notes, entry.text);
        if kind != "statement" {
            let _ = write!(out, "----\n{answer}{}", if answer.is_empty() { "" } else { "\n" });
        }
        out.push('\n');
    }
    std::fs::write(path, out.trim_end_matches('\n').to_owned() + "\n").expect("the file is writable");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_answer_as_postgresql() {
    run_all("auto").await;
}

/// The same with everything that has a form there on the vector road, however small.
#[tokio::test(flavor = "multi_thread")]
async fn statements_answer_as_postgresql_on_the_vector_road() {
    run_all("vector").await;
}

async fn run_all(road: &str) {
    let oracle = Postgres::start();
    if std::env::var("LIGHTNING_LOGIC_ORACLE").is_ok() {
        let oracle = oracle.expect("PostgreSQL 15 is there to be asked");
        for path in files() {
            rewrite(oracle.port, &path).await;
        }
        return;
    }
    let server = Lightning::start();
    let (mut differences, mut count) = (String::new(), Count::default());
    for path in files() {
        differences += &run(server.port, road, oracle.as_ref().map(|oracle| oracle.port), &path, &mut count).await;
    }
    // Not captured: whoever reads a passing run sees how much was compared.
    let _ = writeln!(
        std::io::stderr(),
        "logic, road {road}: {} statements, {} of them compared in binary too, {} refused by plan, {} known to differ",
        count.entries,
        count.binary,
        count.unsupported,
        count.known
    );
    assert!(differences.is_empty(), "{differences}\n{} differences", count.differences);
}
