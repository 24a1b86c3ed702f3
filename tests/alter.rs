//! `kill -9` while a table of many rows is changed: it is as before or as after, and so are its indexes.

use crate::roles::assert_clean;
use crate::server::Server;
use std::time::{Duration, Instant};

const ROWS: i64 = 30_000;

/// How often the server is killed during one change; and at most, until one kill has fallen into it.
const KILLS: u32 = 3;
const MOST_KILLS: u32 = 30;

/// A change, what shows that it happened, and what every row must answer when it did.
struct Change {
    statement: &'static str,
    /// A query of one bool: is the table the new one?
    happened: &'static str,
    /// A query of one bigint that answers [`ROWS`] on the new table.
    rows: &'static str,
    /// Makes the old table of the new one.
    undo: &'static str,
}

const CHANGES: [Change; 4] = [
    Change {
        statement: "create unique index of_twice on big (twice)",
        happened: "select exists (select 1 from pg_class where relname = 'of_twice')",
        rows: "select count(*) from big where twice between 2 and 200000",
        undo: "drop index of_twice",
    },
    Change {
        statement: "create index of_words on big (upper(filler)) where id % 2 = 0",
        happened: "select exists (select 1 from pg_class where relname = 'of_words')",
        rows: "select count(*) from big where upper(filler) = 'ROW ' || id",
        undo: "drop index of_words",
    },
    Change {
        statement: "alter table big add column made int generated always as (id + 1) stored",
        happened: "select exists (select 1 from pg_attribute where attrelid = 'big'::regclass and attname = 'made')",
        rows: "select count(*) from big where made = id + 1",
        undo: "alter table big drop column made",
    },
    Change {
        statement: "alter table big alter column twice type bigint",
        happened: "select atttypid = 'bigint'::regtype from pg_attribute where attrelid = 'big'::regclass and attname = 'twice'",
        rows: "select count(*) from big where twice between 2::bigint and 200000::bigint",
        undo: "alter table big alter column twice type int",
    },
];

async fn number(client: &tokio_postgres::Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.expect(query).get(0)
}

/// How long a statement takes that is taken back.
async fn duration_of(client: &tokio_postgres::Client, statement: &str) -> Duration {
    client.batch_execute("begin").await.unwrap();
    let begun = Instant::now();
    client.batch_execute(statement).await.expect(statement);
    let took = begun.elapsed();
    client.batch_execute("rollback").await.unwrap();
    took
}

#[tokio::test]
async fn a_crash_leaves_a_changed_table_old_or_new() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    client
        .batch_execute(
            "create table big (id int primary key, twice int check (twice > 0), filler text);
             insert into big select g, g * 2, 'row ' || g from generate_series(1, 30000) g",
        )
        .await
        .unwrap();
    drop((client, server));
    for change in &CHANGES {
        let mut inside = 0;
        for round in 0..MOST_KILLS {
            if round >= KILLS && inside > 0 {
                break;
            }
            let server = Server::start(folder.path());
            let client = server.connect().await;
            // At some fraction of the time that it takes on this machine just now, one after the other.
            let took = duration_of(&client, change.statement).await;
            let fraction = (f64::from(round % KILLS) + rand::random::<f64>()) / f64::from(KILLS);
            let work = client.batch_execute(change.statement);
            let acknowledged = match tokio::time::timeout(took.mul_f64(fraction), work).await {
                Ok(answer) => answer.map(|()| true).expect(change.statement),
                Err(_) => false,
            };
            server.kill();
            inside += u32::from(!acknowledged);
            drop((client, server));
            assert_clean(folder.path());
            let server = Server::start(folder.path());
            let client = server.connect().await;
            let happened: bool = client.query_one(change.happened, &[]).await.expect(change.happened).get(0);
            assert!(happened || !acknowledged, "{} is lost", change.statement);
            let whole = "select count(*) from big where twice = id * 2 and filler = 'row ' || id";
            assert_eq!(number(&client, whole).await, ROWS, "{}", change.statement);
            let by_key = "select count(*) from big where id between 1 and 100000";
            assert_eq!(number(&client, by_key).await, ROWS, "{}", change.statement);
            if happened {
                assert_eq!(number(&client, change.rows).await, ROWS, "{}", change.statement);
            }
            // What checked rows before checks them still.
            let again = client.batch_execute("insert into big (id, twice) values (1, 2)").await.unwrap_err();
            assert_eq!(again.as_db_error().expect("the server's").constraint(), Some("big_pkey"));
            assert!(client.batch_execute("insert into big (id, twice) values (0, 0)").await.is_err());
            if happened {
                client.batch_execute(change.undo).await.expect(change.undo);
            }
        }
        assert!(inside > 0, "no kill fell into {}", change.statement);
        // The change is made at last, so that the next one starts from it.
        let server = Server::start(folder.path());
        let client = server.connect().await;
        let happened: bool = client.query_one(change.happened, &[]).await.unwrap().get(0);
        if !happened {
            client.batch_execute(change.statement).await.expect(change.statement);
        }
        assert_eq!(number(&client, change.rows).await, ROWS, "{}", change.statement);
        drop((client, server));
        assert_clean(folder.path());
    }
}

/// CREATE INDEX on expressions changes the rows for it, but only writers wait.
#[tokio::test]
async fn readers_go_on_while_an_index_of_expressions_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (maker, reader, writer) = (server.connect().await, server.connect().await, server.connect().await);
    maker
        .batch_execute(
            "create table t (a int, b text); insert into t select g, 'B' || g from generate_series(1, 5000) g",
        )
        .await
        .unwrap();
    reader.batch_execute("begin isolation level repeatable read; select count(*) from t").await.unwrap();
    maker.batch_execute("begin; create unique index made on t (lower(b)) where a > 10").await.unwrap();
    let sum = "select sum(a) from t where b <> ''";
    let limit = Duration::from_secs(30);
    for client in [&reader, &server.connect().await] {
        let read = tokio::time::timeout(limit, client.query_one(sum, &[])).await.expect("readers do not wait");
        assert_eq!(read.unwrap().get::<_, i64>(0), 12_502_500);
    }
    writer.batch_execute("set lock_timeout = '100ms'").await.unwrap();
    let refused = writer.batch_execute("insert into t values (0, 'b20')").await.unwrap_err();
    assert_eq!(refused.code().map(|code| code.code()), Some("55P03"));
    maker.batch_execute("commit").await.unwrap();
    // The snapshot of before shows the rows as they were, and so does every other.
    assert_eq!(reader.query_one(sum, &[]).await.unwrap().get::<_, i64>(0), 12_502_500);
    // The index does not have them: whoever needs it is told so.
    match reader.query_one("select count(*) from t where lower(b) = 'b20' and a > 10", &[]).await {
        Ok(row) => assert_eq!(row.get::<_, i64>(0), 1),
        Err(error) => assert_eq!(error.code().map(|code| code.code()), Some("40001")),
    }
    reader.batch_execute("rollback").await.unwrap();
    let refused = writer.batch_execute("insert into t values (11, 'b20')").await.unwrap_err();
    assert_eq!(refused.code().map(|code| code.code()), Some("23505"));
    writer.batch_execute("insert into t values (0, 'b20')").await.unwrap();
    drop((maker, reader, writer));
    server.kill();
    assert_clean(folder.path());
}
