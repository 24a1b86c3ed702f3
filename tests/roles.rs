//! Roles, databases and temporary objects, where it takes logins, several connections or `kill -9` to see them.

use crate::server::Server;
use std::process::Command;
use tokio_postgres::{Client, NoTls, error::SqlState};

/// The server's address with another user, password and database in it.
fn url(server: &Server, user: &str, database: &str) -> String {
    let address = server.url.split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("a host and a port");
    format!("postgresql://{user}@{address}/{database}")
}

async fn login(server: &Server, user: &str, database: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(&url(server, user, database), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn code(error: &tokio_postgres::Error) -> &SqlState {
    error.code().unwrap_or_else(|| panic!("no SQLSTATE: {error}"))
}

/// `lightning check` finds nothing in a stopped database.
pub(crate) fn assert_clean(folder: &std::path::Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_lightning"))
        .args(["check", "--data-dir"])
        .arg(folder)
        .output()
        .expect("the program runs");
    let report = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}");
}

#[tokio::test]
async fn roles_log_in_with_their_password() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let admin = server.connect().await;
    admin
        .batch_execute(
            "alter role postgres password 'root''s';
             create role anna login password 'secret';
             create role late login password 'secret' valid until '2001-01-01';
             create role nobody password 'secret';
             create role few login password 'secret' connection limit 1;
             create role hashed login password
               'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='",
        )
        .await
        .unwrap();
    drop(server);

    let server = Server::start_with(folder.path(), &["--auth", "scram-sha-256"]);
    login(&server, "postgres:root's", "postgres").await.unwrap();
    let anna = login(&server, "anna:secret", "postgres").await.unwrap();
    login(&server, "hashed:pencil", "postgres").await.unwrap();
    for refused in ["anna:wrong", "late:secret", "nobody:secret", "missing:secret"] {
        let error = login(&server, refused, "postgres").await.expect_err(refused);
        assert_eq!(code(&error), &SqlState::INVALID_PASSWORD, "{refused}");
    }
    let row = anna.query_one("select current_user::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "anna");
    anna.batch_execute("alter role anna password 'changed'").await.unwrap();
    assert!(login(&server, "anna:secret", "postgres").await.is_err());
    login(&server, "anna:changed", "postgres").await.unwrap();

    let first = login(&server, "few:secret", "postgres").await.unwrap();
    let second = login(&server, "few:secret", "postgres").await.expect_err("one is the limit");
    assert_eq!(code(&second), &SqlState::TOO_MANY_CONNECTIONS);
    drop(first);
    let refused = anna.batch_execute("create role x").await.unwrap_err();
    assert_eq!(code(&refused), &SqlState::INSUFFICIENT_PRIVILEGE);
}

#[tokio::test]
async fn a_database_is_a_copy_of_its_template() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let admin = server.connect().await;
    let template = {
        admin.batch_execute("create role owner login").await.unwrap();
        admin.batch_execute("create database source owner owner").await.unwrap();
        login(&server, "owner", "source").await.unwrap()
    };
    template
        .batch_execute(
            "create table parent (id serial primary key, name varchar(40) unique default 'x', check (id > 0));
             create table child (id int references parent on delete cascade, v text, short int);
             create index child_short on child (short, id);
             create view both_tables as select p.id, v from parent p join child c using (id);
             create schema inner_one create table t (a int);
             comment on table parent is 'the parent';
             insert into parent (name) select 'name ' || g::text from generate_series(1, 500) g;
             insert into child select g, repeat('long', 5000), g % 3 from generate_series(1, 20) g;
             create temp table own (a int)",
        )
        .await
        .unwrap();
    let busy = admin.batch_execute("create database copy template source").await.unwrap_err();
    assert_eq!(code(&busy), &SqlState::OBJECT_IN_USE);
    let detail = busy.as_db_error().unwrap().detail().unwrap().to_owned();
    assert_eq!(detail, "There is 1 other session using the database.");
    drop(template);
    admin.batch_execute("create database copy template source").await.unwrap();
    let copy = login(&server, "postgres", "copy").await.unwrap();
    let row = copy.query_one("select count(*), max(length(v)) from both_tables", &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i32>(1)), (20, 20_000));
    // The copy's keys, defaults and sequences are its own.
    copy.batch_execute("insert into parent default values; delete from parent where id <= 10").await.unwrap();
    let row = copy.query_one("select max(id), (select count(*) from child) from parent", &[]).await.unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i64>(1)), (501, 10));
    let refused = copy.batch_execute("insert into parent (name) values ('name 20')").await.unwrap_err();
    assert_eq!(code(&refused), &SqlState::UNIQUE_VIOLATION);
    let source = login(&server, "owner", "source").await.unwrap();
    let row = source.query_one("select count(*), max(id) from parent", &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i32>(1)), (500, 500));
    // A lock in one is none in the other.
    copy.batch_execute("begin; lock table parent").await.unwrap();
    source
        .batch_execute("set statement_timeout = '5s'; update parent set name = 'changed' where id = 1")
        .await
        .unwrap();
    copy.batch_execute("commit").await.unwrap();

    for (statement, expected) in [
        ("drop database copy", SqlState::OBJECT_IN_USE),
        ("drop database postgres", SqlState::OBJECT_IN_USE),
        ("drop database template1", SqlState::WRONG_OBJECT_TYPE),
        ("drop database missing", SqlState::INVALID_CATALOG_NAME),
        ("create database copy", SqlState::DUPLICATE_DATABASE),
        ("create database x template missing", SqlState::INVALID_CATALOG_NAME),
        ("create database x encoding 'LATIN1'", SqlState::FEATURE_NOT_SUPPORTED),
        ("create database x lc_collate 'de_DE.UTF-8'", SqlState::FEATURE_NOT_SUPPORTED),
        ("alter database copy rename to source", SqlState::DUPLICATE_DATABASE),
        ("alter database postgres rename to x", SqlState::FEATURE_NOT_SUPPORTED),
        ("alter database copy rename to x", SqlState::OBJECT_IN_USE),
        ("drop role owner", SqlState::DEPENDENT_OBJECTS_STILL_EXIST),
        ("alter database source is_template maybe", SqlState::SYNTAX_ERROR),
    ] {
        let error = admin.batch_execute(statement).await.unwrap_err();
        assert_eq!(code(&error), &expected, "{statement}: {error}");
    }
    let in_block = admin.batch_execute("begin; create database x").await.unwrap_err();
    assert_eq!(code(&in_block), &SqlState::ACTIVE_SQL_TRANSACTION);
    admin.batch_execute("rollback").await.unwrap();
    admin.batch_execute("drop database copy with (force)").await.unwrap();
    assert!(copy.batch_execute("select 1").await.is_err());
    let gone = login(&server, "postgres", "copy").await.expect_err("it is dropped");
    assert_eq!(code(&gone), &SqlState::INVALID_CATALOG_NAME);
    drop(source);
    admin.batch_execute("alter database source rename to renamed").await.unwrap();
    admin.batch_execute("alter database renamed allow_connections false").await.unwrap();
    let closed = login(&server, "postgres", "renamed").await.expect_err("it is closed");
    assert_eq!(code(&closed), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    admin.batch_execute("alter database renamed allow_connections true connection limit 0").await.unwrap();
    let full = login(&server, "owner", "renamed").await.expect_err("it is full");
    assert_eq!(code(&full), &SqlState::TOO_MANY_CONNECTIONS);
    drop(server);
    assert_clean(folder.path());
}

/// `kill -9` while databases are made and dropped: each is there whole, or not at all.
#[tokio::test]
async fn a_crash_leaves_a_database_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let admin = server.connect().await;
    admin.batch_execute("create database source").await.unwrap();
    let source = login(&server, "postgres", "source").await.unwrap();
    source
        .batch_execute(
            "create table t (id int primary key, v text); insert into t select g, 'v' from generate_series(1, 2000) g",
        )
        .await
        .unwrap();
    drop((source, admin, server));
    let mut acknowledged = 0;
    let mut inside = 0;
    for round in 0..5 {
        let server = Server::start(folder.path());
        let admin = server.connect().await;
        // How long one takes on this machine just now; the kill falls into the last one, or the pause behind it.
        let begun = std::time::Instant::now();
        admin.batch_execute("create database measured template source").await.unwrap();
        let took = begun.elapsed();
        admin.batch_execute("drop database measured").await.unwrap();
        for i in 0..round {
            admin.batch_execute(&format!("create database copy_{round}_{i} template source")).await.unwrap();
            acknowledged += 1;
        }
        let statement = format!("create database copy_{round}_{round} template source");
        let limit = took.mul_f64(rand::random::<f64>());
        match tokio::time::timeout(limit, admin.batch_execute(&statement)).await {
            Ok(answer) => {
                answer.unwrap();
                acknowledged += 1;
            }
            Err(_) => inside += 1,
        }
        drop(server);
        assert_clean(folder.path());
    }
    assert!(inside > 0, "no kill fell into a CREATE DATABASE");
    let server = Server::start(folder.path());
    let admin = server.connect().await;
    let mut found = 0;
    for round in 0..5 {
        for i in 0..20 {
            let Ok(copy) = login(&server, "postgres", &format!("copy_{round}_{i}")).await else { continue };
            let row = copy.query_one("select count(*), count(distinct id) from t where id between 1 and 2000", &[]);
            let row = row.await.unwrap();
            assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (2000, 2000));
            found += 1;
            if i % 2 == 0 {
                drop(copy);
                admin.batch_execute(&format!("drop database copy_{round}_{i}")).await.unwrap();
            }
        }
    }
    assert!(found >= acknowledged, "{found} of {acknowledged}");
    drop(server);
    assert_clean(folder.path());
}

#[tokio::test]
async fn temporary_objects_are_their_session_s_and_end_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (a, b) = (server.connect().await, server.connect().await);
    a.batch_execute(
        "create temp table t (a serial primary key, b text); create temp sequence s; create temp view v as select * from t;
         insert into t (b) values ('a''s'); comment on table t is 'mine'",
    )
    .await
    .unwrap();
    assert_eq!(code(&b.batch_execute("select * from t").await.unwrap_err()), &SqlState::UNDEFINED_TABLE);
    b.batch_execute("create temp table t (c int); insert into t values (1), (2)").await.unwrap();
    let rows = b.query("select c from t", &[]).await.unwrap();
    assert_eq!(rows.len(), 2);
    let schema: String =
        a.query_one("select current_schemas(true)::text", &[]).await.map_or_else(|_| String::new(), |row| row.get(0));
    if let Some(schema) = schema.trim_start_matches('{').split(',').next().filter(|name| name.starts_with("pg_temp_")) {
        let refused = b.batch_execute(&format!("select * from {schema}.t")).await.unwrap_err();
        assert_eq!(code(&refused), &SqlState::FEATURE_NOT_SUPPORTED);
    }
    drop(a);
    // A session's end, a crash: nothing is left of either's.
    let count = "select count(*) from pg_class where relnamespace in (select oid from pg_namespace where nspname like 'pg_temp%')";
    let mut left = 0i64;
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        left = b.query_one(count, &[]).await.unwrap().get(0);
        if left == 1 {
            break;
        }
    }
    assert_eq!(left, 1);
    b.batch_execute("create temp sequence s; create temp table u (a int primary key)").await.unwrap();
    drop(server);
    let server = Server::start(folder.path());
    let c = server.connect().await;
    let left: i64 = c.query_one(count, &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
    c.batch_execute("create temp table t (a int); insert into t values (1)").await.unwrap();
    drop(server);
    assert_clean(folder.path());
}

/// DDL of roles and databases is undone by ROLLBACK as any other, and seen by all databases once committed.
#[tokio::test]
async fn shared_objects_are_transactional() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let admin = server.connect().await;
    admin.batch_execute("create database other").await.unwrap();
    let other = login(&server, "postgres", "other").await.unwrap();
    admin.batch_execute("begin; create role r login; comment on database other is 'x'").await.unwrap();
    assert!(login(&server, "r", "other").await.is_err());
    assert!(other.batch_execute("set role r").await.is_err());
    admin.batch_execute("rollback").await.unwrap();
    assert!(login(&server, "r", "other").await.is_err());
    admin.batch_execute("begin; create role r login; commit").await.unwrap();
    other.batch_execute("set role r").await.unwrap();
    login(&server, "r", "other").await.unwrap();
    other.batch_execute("reset role").await.unwrap();
    let clash = other.batch_execute("create role r").await.unwrap_err();
    assert_eq!(code(&clash), &SqlState::DUPLICATE_OBJECT);
    // What the role owns in one database keeps it in all.
    other.batch_execute("create schema s authorization r").await.unwrap();
    let kept = admin.batch_execute("drop role r").await.unwrap_err();
    assert_eq!(kept.as_db_error().unwrap().detail(), Some("1 object in database other"));
    other.batch_execute("drop schema s").await.unwrap();
    admin.batch_execute("drop role r").await.unwrap();
}
