//! `kill -9` while a table of many rows is changed: it is as before or as after, and so are its indexes.

use crate::roles::assert_clean;
use crate::server::Server;
use std::time::Duration;

const ROWS: i64 = 100_000;

/// A change, what shows that it happened, and what every row must answer when it did.
struct Change {
    statement: &'static str,
    /// A query of one bool: is the table the new one?
    happened: &'static str,
    /// A query of one bigint that answers [`ROWS`] on the new table.
    rows: &'static str,
}

const CHANGES: [Change; 3] = [
    Change {
        statement: "create unique index of_twice on big (twice)",
        happened: "select exists (select 1 from pg_class where relname = 'of_twice')",
        rows: "select count(*) from big where twice between 2 and 200000",
    },
    Change {
        statement: "alter table big add column made int generated always as (id + 1) stored",
        happened: "select exists (select 1 from pg_attribute where attrelid = 'big'::regclass and attname = 'made')",
        rows: "select count(*) from big where made = id + 1",
    },
    Change {
        statement: "alter table big alter column twice type bigint",
        happened: "select atttypid = 'bigint'::regtype from pg_attribute where attrelid = 'big'::regclass and attname = 'twice'",
        rows: "select count(*) from big where twice between 2::bigint and 200000::bigint",
    },
];

async fn number(client: &tokio_postgres::Client, query: &str) -> i64 {
    client.query_one(query, &[]).await.expect(query).get(0)
}

#[tokio::test]
async fn a_crash_leaves_a_changed_table_old_or_new() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    client
        .batch_execute(
            "create table big (id int primary key, twice int check (twice > 0), filler text);
             insert into big select g, g * 2, 'row ' || g from generate_series(1, 100000) g",
        )
        .await
        .unwrap();
    drop((client, server));
    for change in &CHANGES {
        // Some of the kills fall into the change, on a fast machine and on a slow one.
        for milliseconds in [20, 400, 1500] {
            let server = Server::start(folder.path());
            let client = server.connect().await;
            let acknowledged =
                match tokio::time::timeout(Duration::from_millis(milliseconds), client.batch_execute(change.statement))
                    .await
                {
                    Ok(answer) => answer.map(|()| true).expect(change.statement),
                    Err(_) => false,
                };
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
                break;
            }
        }
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
