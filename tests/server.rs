//! The real program with a real driver: the extended protocol, errors, and `kill -9`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use tokio_postgres::{Client, NoTls, error::SqlState};

/// A server of the test's own; killed with -9 when dropped.
pub(crate) struct Server {
    child: Mutex<Child>,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(folder: &Path) -> Server {
        Server::start_with(folder, &[])
    }

    /// With more arguments.
    pub(crate) fn start_with(folder: &Path, args: &[&str]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lightning"))
            .args(["start", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says something");
        let url = line.trim().strip_prefix("ready: ").unwrap_or_else(|| panic!("not ready: {line}")).to_owned();
        Server { child: Mutex::new(child), url }
    }

    pub(crate) async fn connect(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.expect("the server answers");
        tokio::spawn(connection);
        client
    }
}

impl Server {
    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.lock().expect("nobody panics with it").id()
    }

    pub(crate) fn port(&self) -> u16 {
        let port = self.url.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()?.parse().ok());
        port.expect("its address ends with a port")
    }

    /// Bytes of memory that it occupies.
    pub(crate) fn resident(&self) -> u64 {
        resident(self.pid())
    }

    /// With SIGKILL, while others may still use it.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock().expect("nobody panics with it");
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Bytes of memory that a process occupies.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
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

/// Two sessions that want each other's row: one gets 40P01, the other goes on at once, though the first one's client has not
/// sent its ROLLBACK yet.
#[tokio::test]
async fn of_two_sessions_that_deadlock_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (a, b) = (server.connect().await, server.connect().await);
    a.batch_execute("create table t (id int primary key, v int); insert into t values (1, 0), (2, 0)").await.unwrap();
    a.batch_execute("begin; update t set v = 1 where id = 1").await.unwrap();
    b.batch_execute("begin; update t set v = 2 where id = 2").await.unwrap();
    let crossing = async {
        tokio::join!(
            a.batch_execute("update t set v = 1 where id = 2"),
            b.batch_execute("update t set v = 2 where id = 1")
        )
    };
    let limit = std::time::Duration::from_secs(30);
    let (first, second) = tokio::time::timeout(limit, crossing).await.expect("nobody waits for ever");
    let failed = [&first, &second].into_iter().filter_map(|result| result.as_ref().err()).collect::<Vec<_>>();
    assert_eq!(failed.len(), 1, "{first:?} {second:?}");
    assert_eq!(failed[0].code(), Some(&SqlState::T_R_DEADLOCK_DETECTED));
    a.batch_execute("commit").await.unwrap();
    b.batch_execute("commit").await.unwrap();
    let rows = a.query("select v from t order by id", &[]).await.unwrap();
    let values: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(values, if first.is_ok() { [1, 1] } else { [2, 2] });
}

/// A failed block holds no lock; after ROLLBACK TO it goes on from its savepoint.
#[tokio::test]
async fn a_failed_block_is_undone_at_once_to_its_last_savepoint() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (a, b) = (server.connect().await, server.connect().await);
    a.batch_execute("create table t (id int primary key, v int); insert into t values (1, 0), (2, 0)").await.unwrap();
    a.batch_execute("begin; update t set v = 1 where id = 1; savepoint s; update t set v = 1 where id = 2")
        .await
        .unwrap();
    assert!(a.batch_execute("select 1 / 0").await.is_err());
    b.batch_execute("set lock_timeout = '5s'; update t set v = 5 where id = 2").await.unwrap();
    let refused = b.batch_execute("set lock_timeout = '50ms'; update t set v = 5 where id = 1").await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::LOCK_NOT_AVAILABLE));
    a.batch_execute("rollback to s; update t set v = v + 1 where id = 2; commit").await.unwrap();
    let rows = b.query("select v from t order by id", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [1, 6]);
}

/// DDL of two transactions on the same names and tables: the later one decides on what the earlier one has left.
#[tokio::test]
async fn concurrent_ddl_is_decided_on_the_newest_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (a, b) = (server.connect().await, server.connect().await);
    // Both have a picture of their own of the catalog before the other one changes it.
    a.batch_execute("begin; create table mine_a (x int)").await.unwrap();
    b.batch_execute("begin; create table mine_b (x int)").await.unwrap();
    a.batch_execute("create table t (x int)").await.unwrap();
    let (second, committed) = tokio::join!(b.batch_execute("create table t (y int)"), async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        a.batch_execute("commit").await
    });
    committed.unwrap();
    assert_eq!(second.unwrap_err().code(), Some(&SqlState::DUPLICATE_TABLE));
    b.batch_execute("rollback").await.unwrap();

    a.batch_execute("begin; alter table t rename column x to z").await.unwrap();
    let (second, committed) = tokio::join!(b.batch_execute("alter table t alter column x set default 7"), async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        a.batch_execute("commit").await
    });
    committed.unwrap();
    assert_eq!(second.unwrap_err().code(), Some(&SqlState::UNDEFINED_COLUMN));
    b.batch_execute("alter table t alter column z set default 7; insert into t default values").await.unwrap();
    assert_eq!(a.query_one("select z from t", &[]).await.unwrap().get::<_, i32>(0), 7);
}

/// A statement whose SELECT list is empty has rows without columns.
#[tokio::test]
async fn rows_without_columns_are_described() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    client.batch_execute("create table t (x int); insert into t values (1), (2)").await.unwrap();
    let rows = client.query("select from t", &[]).await.unwrap();
    assert_eq!((rows.len(), rows[0].len()), (2, 0));
    let simple = client.simple_query("select from t").await.unwrap();
    assert_eq!(simple.iter().filter(|m| matches!(m, tokio_postgres::SimpleQueryMessage::Row(_))).count(), 2);
}

/// Psycopg takes the header of binary COPY off the first message, pgjdbc passes a void parameter in the place of a call's result;
/// and a parameter's error says which one it is.
#[tokio::test]
async fn what_drivers_rely_on() {
    use futures_util::StreamExt as _;
    use tokio_postgres::types::Type;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    for (rows, sizes) in [(2, vec![19 + 10, 10, 2]), (0, vec![19 + 2])] {
        let text = format!("copy (select g from generate_series(1, {rows}) g) to stdout (format binary)");
        let stream = std::pin::pin!(client.copy_out(&text).await.unwrap());
        let found = stream.map(|message| message.unwrap().len()).collect::<Vec<_>>().await;
        assert_eq!(found, sizes);
    }
    let call = client.prepare_typed("select upper($1, $2)", &[Type::VOID, Type::TEXT]).await.unwrap();
    assert_eq!(call.params(), [Type::VOID, Type::TEXT]);
    let statement = client.prepare_typed("select $1 + length($2)", &[Type::INT4, Type::BYTEA]).await.unwrap();
    assert_eq!(statement.columns()[0].type_(), &Type::INT4);
    let rows = client.query_typed("select $1::text", &[(&"zero \0", Type::TEXT)]).await;
    let error = rows.unwrap_err();
    let report = error.as_db_error().unwrap();
    assert_eq!(report.code(), &SqlState::CHARACTER_NOT_IN_REPERTOIRE);
    assert_eq!(report.where_(), Some("unnamed portal parameter $1"));
}

/// While one session is in the middle of a long expression that cannot be left, others are served, and a cancel request or a
/// timeout ends it.
#[tokio::test]
async fn long_statements_leave_others_served_and_can_be_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let long = server.connect().await;
    long.batch_execute("create table t as select g as k from generate_series(1, 20000) g").await.unwrap();
    let statements = [
        "select sum((select count(*) from t b where b.k + 0 <> a.k)) from t a",
        "select count(*) from t a, t b where a.k + b.k = -1",
        "select count(*) from generate_series(1, 100000000)",
        "select sum(k) over (order by k rows between 20000 preceding and 20000 following exclude current row) from t",
    ];
    let other = server.connect().await;
    for text in statements {
        let token = long.cancel_token();
        let running = long.batch_execute(text);
        let cancelling = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            for _ in 0..20 {
                other.query_one("select 1", &[]).await.unwrap();
            }
            token.cancel_query(NoTls).await.unwrap();
        };
        let both = async { tokio::join!(running, cancelling) };
        let limit = std::time::Duration::from_secs(60);
        let (result, ()) = tokio::time::timeout(limit, both).await.expect("it is cancelled");
        assert_eq!(result.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED), "{text}");
        let message = long.batch_execute(&format!("set statement_timeout = 200; {text}")).await.unwrap_err();
        assert!(message.as_db_error().unwrap().message().contains("statement timeout"), "{text}");
        long.batch_execute("reset statement_timeout").await.unwrap();
    }
}

/// `kill -9` in the middle of statements that build indexes and write tables anew: afterwards each has happened or has not, and
/// every structure is whole.
#[tokio::test]
async fn killed_ddl_has_happened_whole_or_not_at_all() {
    const STATEMENTS: [(&str, &str); 5] = [
        ("create index t_b on t (b)", "select count(*) from pg_class where relname = 't_b'"),
        (
            "create unique index t_expr on t (lower(b)) where a > 0",
            "select count(*) from pg_class where relname = 't_expr'",
        ),
        (
            "alter table t add column c double precision default random()",
            "select count(*) from pg_attribute where attrelid = 't'::regclass and attname = 'c'",
        ),
        (
            "alter table t alter column a type bigint using a + 1",
            "select count(*) from pg_attribute where attrelid = 't'::regclass and attname = 'a' and atttypid = 'int8'::regtype",
        ),
        (
            "alter table t add constraint big check (length(b) > 3), add column s serial",
            "select count(*) from pg_constraint where conname = 'big'",
        ),
    ];
    const ROWS: i64 = 30_000;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    let setup = format!(
        "create table t (a int primary key, b text); insert into t select g, 'row ' || g from generate_series(1, {ROWS}) g"
    );
    client.batch_execute(&setup).await.unwrap();
    drop(server);
    for (i, (statement, happened)) in STATEMENTS.into_iter().enumerate() {
        let server = Server::start(folder.path());
        let client = server.connect().await;
        let running = tokio::spawn(async move { client.batch_execute(statement).await });
        tokio::time::sleep(std::time::Duration::from_millis(60 + 90 * i as u64)).await;
        drop(server);
        let answered = running.await.unwrap().is_ok();

        let check =
            Command::new(env!("CARGO_BIN_EXE_lightning")).args(["check", "--data-dir"]).arg(folder.path()).output();
        let check = check.unwrap();
        assert!(check.status.success(), "{statement}: {}", String::from_utf8_lossy(&check.stdout));
        let server = Server::start(folder.path());
        let client = server.connect().await;
        let done = client.query_one(happened, &[]).await.unwrap().get::<_, i64>(0) == 1;
        assert!(done || !answered, "{statement} was answered and is lost");
        let rows = client.query_one("select count(*) from t where b like 'row %'", &[]).await.unwrap();
        assert_eq!(rows.get::<_, i64>(0), ROWS, "{statement}");
        if !done {
            client.batch_execute(statement).await.unwrap();
        }
        client.batch_execute("insert into t (a, b) values (-5, 'another'); delete from t where a = -5").await.unwrap();
    }
}
