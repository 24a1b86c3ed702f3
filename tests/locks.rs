//! A lock that does not come in time: each statement's error with its place in the text, as PostgreSQL's.

use crate::support::{Lightning, Postgres};
use tokio_postgres::{Client, NoTls, error::ErrorPosition};

const SCHEMA: &str = "create table lk (id int primary key, v int);
     insert into lk values (1, 1), (2, 2);
     create view lkv as select * from lk;
     create table other (id int)";

/// Statements that want a table which another transaction has locked.
const STATEMENTS: &[&str] = &[
    "select * from lk",
    "select 'ä', 12345 from other a, lk b where b.v = 678901 or 'long enough' = 'another one'",
    "select * from lkv",
    "select * from other where id in (select id from lk)",
    "with w as (select * from other), x as (table lk) select 1 from x",
    "insert into lk values (9, 9)",
    "insert into other select id from lk",
    "update lk set v = 1",
    "update other set id = 1 from lk where other.id = lk.id",
    "delete from lk where id = 1",
    "delete from other using lk where true",
    "select * from lk for update",
    "truncate lk",
    "drop table lk",
    "alter table lk add x int",
    "create index on lk (v)",
    "copy lk to stdout",
    "copy (select * from lk) to stdout",
    "declare c cursor with hold for select * from lk",
    "create table made as select * from lk",
    "comment on table lk is 'x'",
    "begin; lock table lk in share mode",
    "set statement_timeout = '50ms'; select * from lk",
];

async fn connect(port: u16) -> Client {
    let (client, connection) =
        tokio_postgres::connect(&format!("host=127.0.0.1 port={port} user=postgres dbname=postgres"), NoTls)
            .await
            .expect("a connection");
    tokio::spawn(connection);
    client
}

async fn answers(port: u16) -> Vec<String> {
    let (holder, client) = (connect(port).await, connect(port).await);
    holder.batch_execute(SCHEMA).await.expect("the schema");
    holder.batch_execute("begin; lock table lk in access exclusive mode").await.expect("the lock");
    let mut answers = Vec::new();
    for text in STATEMENTS {
        // The second time it is known from the first.
        for _ in 0..2 {
            client.batch_execute("set lock_timeout = '100ms'").await.expect("a setting");
            let answer = match client.batch_execute(text).await {
                Ok(()) => "done".to_owned(),
                Err(error) => {
                    let report = error.as_db_error().unwrap_or_else(|| panic!("{text}: {error:?}"));
                    let place = match report.position() {
                        Some(ErrorPosition::Original(place)) => place.to_string(),
                        _ => "nowhere".to_owned(),
                    };
                    format!("{} {} at {place}", report.code().code(), report.message())
                }
            };
            answers.push(format!("{text}: {answer}"));
            client.batch_execute("rollback; reset all; deallocate all").await.expect("a reset");
        }
    }
    answers
}

#[tokio::test]
async fn a_lock_that_does_not_come_in_time_is_refused_as_by_postgresql() {
    let Some(postgres) = Postgres::start() else { return };
    let lightning = Lightning::start();
    let (expected, found) = (answers(postgres.port).await, answers(lightning.port).await);
    assert_eq!(found, expected);
}
