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

/// Steps of sessions, the second one at REPEATABLE READ from the first step on: what it meets of what the first has done.
const REPEATABLE: &[&[(usize, &str)]] = &[
    &[(0, "update p set v = 5 where id = 1"), (1, "insert into c values (1, 1)")],
    &[(0, "update p set id = 5 where id = 2"), (1, "insert into c values (1, 2)")],
    &[(0, "insert into p values (7, 7, 7)"), (1, "insert into c values (1, 7)")],
    &[(0, "update p set v = 5 where id = 1"), (1, "select v from p where id = 1 for key share")],
    &[(0, "update p set v = 5 where id = 1"), (1, "select v from p where id = 1 for share")],
    &[
        (0, "update p set v = 5 where id = 1"),
        (0, "update p set k = 9 where id = 1"),
        (1, "select v from p for key share"),
    ],
    &[(0, "update p set v = 5 where id = 1"), (1, "update p set k = 4 where id = 1")],
    &[(0, "update p set v = 5 where id = 1"), (1, "insert into p values (1, 8, 8) on conflict do nothing")],
    &[(0, "insert into p values (6, 6, 6)"), (1, "insert into p values (6, 8, 8) on conflict do nothing")],
    &[(0, "update p set v = 5 where id = 2"), (1, "insert into p values (1, 8, 8) on conflict do nothing")],
    &[(1, "update p set v = 6 where id = 1"), (1, "insert into p values (1, 8, 8) on conflict do nothing")],
    &[
        (0, "update p set v = 5 where id = 1"),
        (1, "insert into p values (1, 8, 8) on conflict (id) do update set v = 0"),
    ],
];

async fn repeatable(port: u16) -> Vec<String> {
    let sessions = [connect(port).await, connect(port).await, connect(port).await];
    let mut answers = Vec::new();
    for steps in REPEATABLE {
        let setup = "drop table if exists c, d, e, f, x, p; create table p (id int primary key, v int, k int unique);
             create table c (id int, p int references p); insert into p values (1, 1, 1), (2, 2, 2), (3, 3, 3);
             create table d (id int, p int references p on delete cascade, n int); create index on d (p);
             create table e (id int, p int references p on delete set null on update cascade, n int);
             create table x (id int, p int references p on delete restrict); create index on x (p);
             create table f (p int default 1 references p on delete set default);
             insert into c values (0, 2); insert into d values (1, 1, 0); insert into e values (1, 1, 0);
             insert into f values (1)";
        sessions[0].batch_execute(setup).await.expect("tables");
        sessions[1].batch_execute("begin isolation level repeatable read").await.expect("a transaction");
        sessions[2].batch_execute("begin").await.expect("a transaction");
        sessions[1].simple_query("select * from p, c, d, e, f, x").await.expect("a snapshot");
        for (session, text) in *steps {
            let answer = match sessions[*session].simple_query(text).await {
                Ok(rows) => format!("done, {} messages", rows.len()),
                Err(error) => {
                    error.as_db_error().map_or_else(|| panic!("{text}: {error:?}"), |e| e.code().code().to_owned())
                }
            };
            answers.push(format!("{text}: {answer}"));
        }
        sessions[2].batch_execute("rollback").await.expect("an end");
        let end = sessions[1].batch_execute("commit").await.map_err(|error| error.code().cloned());
        answers.push(format!("commit: {end:?}"));
        let orphans = "select count(*) from (select p from c union all select p from d union all select p from e
             union all select p from f union all select p from x) r where p is not null and p not in (select id from p)";
        let orphans = sessions[0].query_one(orphans, &[]).await.expect("a count").get::<_, i64>(0);
        assert_eq!(orphans, 0, "{steps:?}");
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeatable_read_refuses_what_postgresql_refuses() {
    let Some(postgres) = Postgres::start() else { return };
    let lightning = Lightning::start();
    assert_eq!(repeatable(lightning.port).await, repeatable(postgres.port).await);
}

/// What waits for the lock of a table that another session has written, what that wrote, and what is asked afterwards.
const WAITING: &[(&str, &str)] = &[
    ("alter table c alter w type bigint", "insert into c values (2, 2, 2)"),
    ("alter table c alter w type text using w || 'x'", "update c set w = 9 where id = 1"),
    ("alter table c add z serial", "delete from c where id = 1"),
    ("alter table c add z int generated always as (w * 2) stored", "insert into c values (2, 2, 2)"),
    ("alter table c alter w type smallint", "insert into c values (2, 2, 100000)"),
    ("alter table c add foreign key (p) references p", "insert into c values (2, 77, 2)"),
    ("alter table c add foreign key (p) references p", "delete from p where id = 1"),
    ("alter table c add check (w < 5)", "insert into c values (2, 2, 50)"),
    ("alter table c alter p set not null", "insert into c values (2, null, 2)"),
    ("alter table c add unique (w)", "insert into c values (2, 2, 1)"),
    ("create unique index on c (w)", "insert into c values (2, 2, 1)"),
    (
        "begin; lock table c in exclusive mode; insert into c select max(id) + 1, 1, 1 from c",
        "insert into c values (7, 1, 1)",
    ),
];

async fn waiting(port: u16, isolated: bool) -> Vec<String> {
    let mut answers = Vec::new();
    for (text, write) in WAITING {
        let [a, b] = [connect(port).await, connect(port).await];
        let setup = "drop table if exists c, p; create table p (id int primary key); insert into p values (1), (2);
             create table c (id int primary key, p int, w int); insert into c values (1, 1, 1)";
        a.batch_execute(setup).await.expect("tables");
        let answer = if isolated {
            a.batch_execute("begin isolation level repeatable read; select * from c, p").await.expect("a snapshot");
            b.batch_execute(write).await.expect("a write");
            a.simple_query(text).await
        } else {
            b.batch_execute(&format!("begin; {write}")).await.expect("a write");
            let waits = async { a.simple_query(text).await };
            let commits = async {
                tokio::time::sleep(std::time::Duration::from_millis(60)).await;
                b.batch_execute("commit").await
            };
            tokio::join!(waits, commits).0
        };
        let end = a.simple_query(if answer.is_ok() { "commit" } else { "rollback" }).await;
        end.expect("an end");
        let code = answer.err().map(|error| error.code().map_or(String::new(), |code| code.code().to_owned()));
        let rows = b.simple_query("select id, p, w from c order by id").await.expect("rows");
        let rows = rows.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some((0..3).map(|i| row.get(i).unwrap_or("null").to_owned()).collect::<Vec<_>>().join(","))
            }
            _ => None,
        });
        answers.push(format!("{text} after {write}: {code:?} {:?}", rows.collect::<Vec<_>>()));
    }
    answers
}

/// A commit gives its locks away before it is durable: whoever gets them sees what it did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_was_waited_for_shows_what_its_holder_did() {
    let Some(postgres) = Postgres::start() else { return };
    let lightning = Lightning::start();
    for _ in 0..3 {
        assert_eq!(waiting(lightning.port, false).await, waiting(postgres.port, false).await);
    }
    assert_eq!(waiting(lightning.port, true).await, waiting(postgres.port, true).await);
}
