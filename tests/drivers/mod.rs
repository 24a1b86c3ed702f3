//! Drivers that applications come with: tokio-postgres (`rust`), psycopg 3 and pgjdbc. Each runs a scenario against our server
//! and against PostgreSQL, the latter two over TLS and with a SCRAM password; what they print must be the same.
//! `tests/run --long` installs them.

mod rust;

use crate::server::Server;
use crate::support::{Postgres, difference};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const PASSWORD: &str = "a password";

/// Where Debian's libpostgresql-jdbc-java puts it.
const JAR: &str = "/usr/share/java/postgresql.jar";

/// What a program prints, errors after that; it must end well.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{text}\n{errors}");
    text
}

/// Our server with a certificate and passwords.
async fn secured(folder: &Path) -> Server {
    let (certificate, key, data) = (folder.join("certificate.pem"), folder.join("key.pem"), folder.join("data"));
    let subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes", "-newkey", "rsa:2048"];
    output(
        Command::new("openssl")
            .args(["req", "-x509"])
            .args(subject)
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key),
    );
    let server = Server::start(&data);
    let change = format!("alter role postgres password '{PASSWORD}'");
    server.connect().await.batch_execute(&change).await.expect("the password is set");
    drop(server);
    let paths = [certificate, key].map(|path| path.to_string_lossy().into_owned());
    Server::start_with(&data, &["--auth", "scram-sha-256", "--tls-cert", &paths[0], "--tls-key", &paths[1]])
}

/// Runs a scenario on both servers and compares.
async fn compare(name: &str, run: impl Fn(u16, bool) -> String) {
    let Some(postgres) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = secured(folder.path()).await;
    let expected = run(postgres.port, false);
    let begun = Instant::now();
    let found = run(server.port(), true);
    println!("{name}: {} lines in {:.1} s", found.lines().count(), begun.elapsed().as_secs_f64());
    assert!(expected.lines().count() > 300, "the scenario ends early: {expected}");
    let difference = difference(&expected, &found);
    assert!(difference.is_empty(), "{difference}");
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers")
}

#[tokio::test]
#[ignore = "long tier"]
async fn psycopg_sees_what_it_sees_of_postgresql() {
    let scenario = folder().join("scenario.py");
    compare("psycopg", |port, secured| {
        let mode = if secured { "require" } else { "disable" };
        let place =
            format!("host=127.0.0.1 port={port} user=postgres password='{PASSWORD}' dbname=postgres sslmode={mode}");
        // Debian's own, which has Debian's packages.
        output(Command::new("/usr/bin/python3").arg(&scenario).arg(place).env("PYTHONHASHSEED", "0"))
    })
    .await;
}

#[tokio::test]
#[ignore = "long tier"]
async fn pgjdbc_sees_what_it_sees_of_postgresql() {
    let classes = tempfile::tempdir().unwrap();
    output(Command::new("javac").args(["-cp", JAR, "-d"]).arg(classes.path()).arg(folder().join("Scenario.java")));
    let path = format!("{JAR}:{}", classes.path().display());
    compare("pgjdbc", |port, secured| {
        let mode = if secured { "require" } else { "disable" };
        let url = format!("jdbc:postgresql://127.0.0.1:{port}/postgres?sslmode={mode}");
        output(Command::new("java").args(["-cp", &path, "Scenario", &url, "postgres", PASSWORD]))
    })
    .await;
}
