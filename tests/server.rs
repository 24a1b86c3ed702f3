//! The real program with a real driver: the extended protocol, errors, and `kill -9`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio_postgres::{Client, NoTls, error::SqlState};

/// A server of the test's own; killed with -9 when dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(folder: &Path) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lightning"))
            .args(["start", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says something");
        let url = line.trim().strip_prefix("ready: ").unwrap_or_else(|| panic!("not ready: {line}")).to_owned();
        Server { child, url }
    }

    async fn connect(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.expect("the server answers");
        tokio::spawn(connection);
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn what_was_committed_survives_kill_9_and_what_was_not_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    client
        .batch_execute(
            "create table account (id int primary key, owner text not null, balance numeric(12, 2) check (balance >= 0));
             create index on account (owner);
             insert into account select g, 'owner ' || (g % 10)::text, 100 from generate_series(1, 1000) g",
        )
        .await
        .unwrap();
    let moved =
        client.execute("update account set balance = balance - 10 where owner = $1", &[&"owner 3"]).await.unwrap();
    assert_eq!(moved, 100);
    // An open transaction dies with the server; so does DDL in it.
    let open = server.connect().await;
    open.batch_execute("begin; delete from account; create table lost (a int)").await.unwrap();
    drop(server);

    let server = Server::start(folder.path());
    let client = server.connect().await;
    let row = client.query_one("select count(*), sum(balance)::text from account", &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (1000, "99000.00"));
    let by_index = client.query("select id from account where owner = $1 order by id", &[&"owner 7"]).await.unwrap();
    assert_eq!(by_index.len(), 100);
    let missing = client.query("select * from lost", &[]).await.unwrap_err();
    assert_eq!(missing.code(), Some(&SqlState::UNDEFINED_TABLE));
}

#[tokio::test]
async fn errors_have_their_code_and_the_connection_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut client = server.connect().await;
    client.batch_execute("create table t (k int primary key, v text)").await.unwrap();
    let cases = [
        ("selec 1", SqlState::SYNTAX_ERROR),
        ("select nosuch from t", SqlState::UNDEFINED_COLUMN),
        ("select 1 / k from (values (0)) v(k)", SqlState::DIVISION_BY_ZERO),
        ("create table u (a int) tablespace x", SqlState::FEATURE_NOT_SUPPORTED),
    ];
    for (statement, code) in cases {
        assert_eq!(client.query(statement, &[]).await.unwrap_err().code(), Some(&code), "{statement}");
    }
    client.execute("insert into t values ($1, $2)", &[&1i32, &"one"]).await.unwrap();
    let again = client.execute("insert into t values ($1, $2)", &[&1i32, &"again"]).await.unwrap_err();
    let report = again.as_db_error().unwrap();
    assert_eq!((report.code(), report.constraint()), (&SqlState::UNIQUE_VIOLATION, Some("t_pkey")));
    assert_eq!(report.detail(), Some("Key (k)=(1) already exists."));
    // A failed block takes nothing but its end; what came before a savepoint stays.
    let mut block = client.transaction().await.unwrap();
    block.execute("insert into t values (2, 'two')", &[]).await.unwrap();
    let savepoint = block.savepoint("s").await.unwrap();
    assert!(savepoint.execute("insert into t values (2, 'dup')", &[]).await.is_err());
    let failed = savepoint.query("select 1", &[]).await.unwrap_err();
    assert_eq!(failed.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    savepoint.rollback().await.unwrap();
    block.commit().await.unwrap();
    let rows = client.query("select k, v from t order by k", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn two_portals_of_one_transaction_are_fetched_in_turns() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut client = server.connect().await;
    client.batch_execute("create table t (k int); insert into t select generate_series(1, 10)").await.unwrap();
    let block = client.transaction().await.unwrap();
    let up = block.bind("select k from t order by k", &[]).await.unwrap();
    let down = block.bind("select k from t order by k desc", &[]).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.extend(block.query_portal(&up, 2).await.unwrap().iter().map(|row| row.get::<_, i32>(0)));
        block.execute("insert into t values (100)", &[]).await.unwrap();
        seen.extend(block.query_portal(&down, 1).await.unwrap().iter().map(|row| row.get::<_, i32>(0)));
    }
    assert_eq!(seen[..2], [1, 2]);
    assert_eq!(seen[3..5], [3, 4]);
    assert_eq!(seen[6..8], [5, 6]);
}
