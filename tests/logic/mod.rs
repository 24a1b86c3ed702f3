//! `sql/logic/**/*.slt`: statements with their answers, which are PostgreSQL 15's.
//!
//! A file is a list of entries, parted by empty lines: `statement` and its text (answer: nothing), `query` and its text,
//! `----`, rows with `|` between columns; `error` and its text, `----`, SQLSTATE and message. Lines with `#` are comments.
//! Each file runs in a schema of its own. With `LIGHTNING_LOGIC_ORACLE=postgresql://…` the answers of that server replace
//! those in the files; the difference is then reviewed like code.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A server on an empty folder, ended with the test.
struct Server {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut process = Command::new(env!("CARGO_BIN_EXE_lightning"))
            .args(["start", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("its output is piped");
        BufReader::new(output).read_line(&mut line).expect("it says that it is ready");
        let url = line.trim().strip_prefix("ready: ").unwrap_or_else(|| panic!("not ready: {line}")).to_owned();
        Server { process, url, _folder: folder }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One entry of a file.
struct Entry {
    kind: String,
    text: String,
    answer: String,
    /// Comments above it.
    notes: String,
}

fn parse(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut notes = String::new();
    for block in text.split("\n\n") {
        let block = block.trim_matches('\n');
        if block.is_empty() {
            continue;
        }
        if block.lines().all(|line| line.starts_with('#')) {
            let _ = write!(notes, "{block}\n\n");
            continue;
        }
        let (kind, rest) = block.split_once('\n').expect("a kind, then a text");
        let (text, answer) = rest.split_once("\n----").unwrap_or((rest, ""));
        entries.push(Entry {
            kind: kind.to_owned(),
            text: text.to_owned(),
            answer: answer.trim_start_matches('\n').to_owned(),
            notes: std::mem::take(&mut notes),
        });
    }
    entries
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the server answers");
    tokio::spawn(connection);
    client
}

/// What the server answers: rows, or SQLSTATE and message.
async fn ask(client: &Client, text: &str) -> Result<String, String> {
    let messages = client.simple_query(text).await.map_err(|error| match error.as_db_error() {
        Some(error) => format!("{} {}", error.code().code(), error.message()),
        None => format!("the connection failed: {error}"),
    })?;
    let mut rows = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let fields: Vec<&str> = (0..row.len()).map(|i| row.get(i).unwrap_or("NULL")).collect();
            rows.push(fields.join("|"));
        }
    }
    Ok(rows.join("\n"))
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
    found.sort();
    found
}

/// Runs a file; answers how it differs, or the file with the server's answers.
async fn run(url: &str, path: &Path, rewrite: bool) -> (String, String) {
    let client = connect(url).await;
    let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
    let schema = format!("logic_{name}");
    client
        .batch_execute(&format!("create schema {schema}; set search_path = {schema}"))
        .await
        .expect("a schema of its own");
    let (mut differences, mut rewritten) = (String::new(), String::new());
    for entry in parse(&std::fs::read_to_string(path).expect("the file is readable")) {
        let answer = ask(&client, &entry.text).await;
        let failed = answer.is_err();
        let answer = match answer {
            Ok(answer) | Err(answer) => answer,
        };
        let expected_failure = entry.kind == "error";
        if answer != entry.answer || failed != expected_failure {
            let _ = writeln!(
                differences,
                "{}: {}\n  ours:\n{answer}\n  expected:\n{}\n",
                path.display(),
                entry.text,
                entry.answer
            );
        }
        if rewrite {
            assert_eq!(failed, expected_failure, "{}: {answer}", entry.text);
            let _ = write!(rewritten, "{}{}\n{}\n", entry.notes, entry.kind, entry.text);
            if entry.kind != "statement" {
                let _ = write!(rewritten, "----\n{answer}{}", if answer.is_empty() { "" } else { "\n" });
            }
            rewritten.push('\n');
        }
    }
    if rewrite {
        let _ = client.batch_execute(&format!("drop schema {schema} cascade")).await;
    }
    (differences, rewritten)
}

#[tokio::test]
async fn statements_answer_as_postgresql() {
    if let Ok(oracle) = std::env::var("LIGHTNING_LOGIC_ORACLE") {
        for path in files() {
            let (_, rewritten) = run(&oracle, &path, true).await;
            std::fs::write(&path, rewritten.trim_end_matches('\n').to_owned() + "\n").expect("the file is writable");
        }
        return;
    }
    let server = Server::start();
    let mut differences = String::new();
    for path in files() {
        differences += &run(&server.url, &path, false).await.0;
    }
    assert!(differences.is_empty(), "{differences}");
}
