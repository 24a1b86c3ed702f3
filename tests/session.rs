//! What takes two connections to see: LISTEN and NOTIFY, plans over changed tables, cursors of the extended protocol.

use crate::server::Server;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage, error::SqlState};

/// A connection, and the messages of other sessions that come to it.
async fn listening(server: &Server) -> (Client, UnboundedReceiver<(String, String)>) {
    let (client, mut connection) = tokio_postgres::connect(&server.url, NoTls).await.expect("the server answers");
    let (send, receive) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(message) = message {
                let _ = send.send((message.channel().to_owned(), message.payload().to_owned()));
            }
        }
    });
    (client, receive)
}

/// The next message; `None` when there is none for a while.
async fn next(messages: &mut UnboundedReceiver<(String, String)>) -> Option<(String, String)> {
    tokio::time::timeout(Duration::from_secs(5), messages.recv()).await.ok().flatten()
}

async fn none(messages: &mut UnboundedReceiver<(String, String)>) -> bool {
    tokio::time::timeout(Duration::from_millis(200), messages.recv()).await.is_err()
}

fn pair(channel: &str, payload: &str) -> Option<(String, String)> {
    Some((channel.to_owned(), payload.to_owned()))
}

#[tokio::test]
async fn notifications_come_after_commit() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (a, mut to_a) = listening(&server).await;
    let (b, mut to_b) = listening(&server).await;
    a.batch_execute("listen news").await.unwrap();
    b.batch_execute("notify news, 'one'; notify other, 'x'").await.unwrap();
    assert_eq!(next(&mut to_a).await, pair("news", "one"));
    // Sent at COMMIT, once, in order; what is rolled back is not sent.
    b.batch_execute("begin; notify news, 'two'; notify news, 'two'; savepoint s; notify news, 'no'; rollback to s")
        .await
        .unwrap();
    assert!(none(&mut to_a).await);
    b.batch_execute("notify news, 'three'; commit").await.unwrap();
    assert_eq!(next(&mut to_a).await, pair("news", "two"));
    assert_eq!(next(&mut to_a).await, pair("news", "three"));
    b.batch_execute("begin; notify news, 'lost'; rollback").await.unwrap();
    assert!(none(&mut to_a).await);
    // One inside of a block is told when the block has ended; one's own messages come too.
    a.batch_execute("begin").await.unwrap();
    b.batch_execute("notify news").await.unwrap();
    assert!(none(&mut to_a).await);
    a.batch_execute("notify news, 'own'; commit").await.unwrap();
    assert_eq!(next(&mut to_a).await, pair("news", ""));
    assert_eq!(next(&mut to_a).await, pair("news", "own"));
    // LISTEN itself is transactional.
    b.batch_execute("begin; listen \"Mixed\"; rollback").await.unwrap();
    a.batch_execute("notify \"Mixed\", 'x'").await.unwrap();
    assert!(none(&mut to_b).await);
    b.batch_execute("listen \"Mixed\"; listen news").await.unwrap();
    a.batch_execute("notify \"Mixed\", 'x'").await.unwrap();
    assert_eq!(next(&mut to_b).await, pair("Mixed", "x"));
    b.batch_execute("unlisten news").await.unwrap();
    a.batch_execute("unlisten *; notify news, 'nobody'; notify \"Mixed\", 'y'").await.unwrap();
    assert_eq!(next(&mut to_b).await, pair("Mixed", "y"));
    b.batch_execute("discard all").await.unwrap();
    a.batch_execute("notify \"Mixed\", 'z'").await.unwrap();
    assert!(none(&mut to_b).await && none(&mut to_a).await);
    let long = format!("notify news, '{}'", "x".repeat(8000));
    assert_eq!(a.batch_execute(&long).await.unwrap_err().code(), Some(&SqlState::INVALID_PARAMETER_VALUE));
}

/// Prepared statements over tables that another session changes: planned anew, or refused when their result changes.
#[tokio::test]
async fn prepared_statements_follow_their_tables() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (a, b) = (server.connect().await, server.connect().await);
    a.batch_execute("create table t (id int primary key, v text); insert into t values (1, 'one'), (2, 'two')")
        .await
        .unwrap();
    let read = a.prepare("select v from t where id = $1").await.unwrap();
    let all = a.prepare("select * from t order by id").await.unwrap();
    let write = a.prepare("insert into t (id, v) values ($1, $2)").await.unwrap();
    assert_eq!(a.query_one(&read, &[&1i32]).await.unwrap().get::<_, &str>(0), "one");
    b.batch_execute("drop index if exists nope; create index on t (v); alter table t add check (id < 100) not valid")
        .await
        .unwrap();
    assert_eq!(a.query_one(&read, &[&2i32]).await.unwrap().get::<_, &str>(0), "two");
    let refused = a.execute(&write, &[&200i32, &"x"]).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::CHECK_VIOLATION));
    // DDL elsewhere changes nothing; rights and views do.
    b.batch_execute("create table elsewhere (a int); create role reader; alter table t owner to reader").await.unwrap();
    assert_eq!(a.query_one(&read, &[&2i32]).await.unwrap().get::<_, &str>(0), "two");
    a.batch_execute("create role other; set role other").await.unwrap();
    let refused = a.query(&read, &[&2i32]).await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    b.batch_execute("alter table t owner to other").await.unwrap();
    assert_eq!(a.query_one(&read, &[&2i32]).await.unwrap().get::<_, &str>(0), "two");
    a.batch_execute("reset role").await.unwrap();
    b.batch_execute("truncate t; insert into t values (7, 'seven')").await.unwrap();
    assert_eq!(a.query(&all, &[]).await.unwrap().len(), 1);
    // Another table of the name, with the same columns.
    b.batch_execute("drop table t; create table t (id int, v text); insert into t values (1, 'new')").await.unwrap();
    assert_eq!(a.query_one(&read, &[&1i32]).await.unwrap().get::<_, &str>(0), "new");
    // Another result.
    b.batch_execute("drop table t; create table t (id int, v text, w int); insert into t values (1, 'new')")
        .await
        .unwrap();
    let changed = a.query(&all, &[]).await.unwrap_err();
    assert_eq!(changed.as_db_error().unwrap().message(), "cached plan must not change result type");
    assert_eq!(changed.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
    assert_eq!(a.query_one(&read, &[&1i32]).await.unwrap().get::<_, &str>(0), "new");
    b.batch_execute("drop table t").await.unwrap();
    assert_eq!(a.query(&read, &[&1i32]).await.unwrap_err().code(), Some(&SqlState::UNDEFINED_TABLE));
    // Names are looked up again when the search path changes, and when a nearer object comes.
    a.batch_execute("create table t (id int, v text); insert into t values (1, 'public')").await.unwrap();
    assert_eq!(a.query_one(&read, &[&1i32]).await.unwrap().get::<_, &str>(0), "public");
    b.batch_execute("create schema near; create table near.t (id int, v text); insert into near.t values (1, 'near')")
        .await
        .unwrap();
    a.batch_execute("set search_path = near, public").await.unwrap();
    assert_eq!(a.query_one(&read, &[&1i32]).await.unwrap().get::<_, &str>(0), "near");
    a.batch_execute("create temp table t (id int, v text); insert into t values (1, 'temporary')").await.unwrap();
    assert_eq!(a.query_one(&read, &[&1i32]).await.unwrap().get::<_, &str>(0), "temporary");
    a.batch_execute("discard temp").await.unwrap();
    assert_eq!(a.query_one(&read, &[&1i32]).await.unwrap().get::<_, &str>(0), "near");
}

/// A plan made over a catalog that was rolled back serves no later transaction.
#[tokio::test]
async fn plans_of_a_transaction_with_ddl_end_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    client.batch_execute("create table t (v text); insert into t values ('kept')").await.unwrap();
    let read = client.prepare("select v from t").await.unwrap();
    for value in ["first", "second"] {
        client.batch_execute("begin; drop table t; create table t (v text)").await.unwrap();
        client.batch_execute(&format!("insert into t values ('{value}')")).await.unwrap();
        assert_eq!(client.query_one(&read, &[]).await.unwrap().get::<_, &str>(0), value);
        client.batch_execute("rollback").await.unwrap();
        assert_eq!(client.query_one(&read, &[]).await.unwrap().get::<_, &str>(0), "kept");
    }
    client
        .batch_execute("begin; drop table t; create table t (v text); insert into t values ('new'); commit")
        .await
        .unwrap();
    assert_eq!(client.query_one(&read, &[]).await.unwrap().get::<_, &str>(0), "new");
    // Constants that name objects follow them.
    client.batch_execute("create sequence s; prepare n as select nextval('s')").await.unwrap();
    assert_eq!(client.query_one("execute n", &[]).await.unwrap().get::<_, i64>(0), 1);
    client.batch_execute("drop sequence s; create sequence s start 100").await.unwrap();
    assert_eq!(client.query_one("execute n", &[]).await.unwrap().get::<_, i64>(0), 100);
}

/// DDL between Bind and Execute of one session.
#[tokio::test]
async fn a_portal_meets_a_changed_table() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut client = server.connect().await;
    client.batch_execute("create table t (id int, v text); insert into t values (1, 'one'), (2, 'two')").await.unwrap();
    let block = client.transaction().await.unwrap();
    let portal = block.bind("select id, v from t order by id", &[]).await.unwrap();
    block.batch_execute("create index on t (id); insert into t values (0, 'zero')").await.unwrap();
    let rows = block.query_portal(&portal, 0).await.unwrap();
    assert!(rows.len() >= 2);
    let portal = block.bind("select * from t order by id", &[]).await.unwrap();
    block.batch_execute("drop table t; create table t (id int, v text, w int)").await.unwrap();
    let changed = block.query_portal(&portal, 0).await.unwrap_err();
    assert_eq!(changed.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED));
}

/// FETCH of the extended protocol gives its rows in the formats that its Bind asks for.
#[tokio::test]
async fn fetch_shows_what_bind_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut client = server.connect().await;
    client
        .batch_execute(
            "create table t (id int, v text); insert into t select g, 'v' || g::text from generate_series(1, 5) g",
        )
        .await
        .unwrap();
    let block = client.transaction().await.unwrap();
    block.batch_execute("declare c scroll cursor for select id, v from t order by id").await.unwrap();
    let rows = block.query("fetch 2 from c", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [1, 2]);
    let rows = block.query("fetch backward 1 from c", &[]).await.unwrap();
    assert_eq!((rows[0].get::<_, i32>(0), rows[0].get::<_, &str>(1)), (1, "v1"));
    block.batch_execute("prepare p as select id from t where id = 3").await.unwrap();
    assert_eq!(block.query("execute p", &[]).await.unwrap()[0].get::<_, i32>(0), 3);
}

/// A cursor WITH HOLD keeps what it saw, whatever others do to its table.
#[tokio::test]
async fn held_cursors_outlive_their_table() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (a, b) = (server.connect().await, server.connect().await);
    a.batch_execute("create table t (id int); insert into t select generate_series(1, 1000)").await.unwrap();
    a.batch_execute("declare h cursor with hold for select id from t order by id").await.unwrap();
    b.batch_execute("drop table t").await.unwrap();
    let rows = a.query("fetch all from h", &[]).await.unwrap();
    assert_eq!(rows.len(), 1000);
    a.batch_execute("close h").await.unwrap();
}

#[tokio::test]
async fn plans_are_shared_by_sessions_and_stay_each_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (a, b) = (server.connect().await, server.connect().await);
    a.batch_execute("create schema other; create table t (a int, b text); create table other.t (b int, a date)")
        .await
        .unwrap();
    a.batch_execute("insert into t values (1, 'x'); insert into other.t values (1, '2020-01-02')").await.unwrap();
    let rows = async |client: &Client, text: &str| -> Vec<String> {
        let messages = client.simple_query(text).await.unwrap();
        let row = |message: &tokio_postgres::SimpleQueryMessage| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
            }
            _ => None,
        };
        messages.iter().filter_map(row).collect()
    };
    b.batch_execute("set search_path = other, public; set DateStyle = German").await.unwrap();
    for _ in 0..3 {
        // One text: another table and another format in each session.
        assert_eq!(rows(&a, "select * from t where 1 = a::text::int").await, ["1|x"]);
        assert_eq!(rows(&b, "select * from t where b = 1").await, ["1|02.01.2020"]);
        assert_eq!(rows(&a, "select * from t where b = 'x'").await, ["1|x"]);
        assert_eq!(rows(&a, "select date '2020-02-01'").await, ["2020-02-01"]);
        assert_eq!(rows(&b, "select date '2020-02-01'").await, ["01.02.2020"]);
    }
    // A role without rights does not run what another has planned.
    a.batch_execute("create role nobody login").await.unwrap();
    b.batch_execute("set search_path = public; set role nobody").await.unwrap();
    let refused = b.simple_query("select * from t where b = 'x'").await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
    b.batch_execute("reset role").await.unwrap();
    // A temporary table is its session's own, and what others change of a table is seen.
    assert_eq!(rows(&b, "select * from t where b = 'x'").await, ["1|x"]);
    a.batch_execute("create temp table t (a int, b text)").await.unwrap();
    assert_eq!(rows(&a, "select * from t where b = 'x'").await, [""; 0]);
    assert_eq!(rows(&b, "select * from t where b = 'x'").await, ["1|x"]);
    a.batch_execute("alter table public.t add column c int default 7").await.unwrap();
    assert_eq!(rows(&b, "select * from t where b = 'x'").await, ["1|x|7"]);
    a.batch_execute("drop table t; alter table t drop column c").await.unwrap();
    assert_eq!(rows(&b, "select * from t where b = 'x'").await, ["1|x"]);
    // The extended protocol's own parameters, beside literals that differ.
    for (text, found) in [("select a from t where b = $1 and a = 1", 1), ("select a from t where b = $1 and a = 2", 0)]
    {
        for _ in 0..2 {
            assert_eq!(b.query(text, &[&"x"]).await.unwrap().len(), found);
        }
    }
}

#[tokio::test]
async fn a_transaction_begins_when_its_first_message_comes() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    let statement = client.prepare("select now() > $1::text::timestamptz").await.unwrap();
    let time: String = client.query_one("select clock_timestamp()::text", &[]).await.unwrap().get(0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(client.query_one(&statement, &[&time]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn the_plan_cache_stays_within_its_part_of_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &["--statement-memory-mb", "8"]);
    let client = server.connect().await;
    client.batch_execute("create table t (a int primary key, b text)").await.unwrap();
    for i in 0..2000 {
        client.simple_query(&format!("select a as c{i}, b from t where a = {i}")).await.unwrap();
    }
    // Seven eighths are left for who sorts.
    let sorted = "select count(*) from (select distinct i from generate_series(1, 20000) i) s";
    let count: i64 = client.query_one(sorted, &[]).await.unwrap().get(0);
    assert_eq!(count, 20_000);
    for i in 0..100 {
        client.simple_query(&format!("select a as c{i}, b from t where a = {i}")).await.unwrap();
    }
}

/// A row that changes while a statement waits for it is judged by all conditions again, also by those that the index over
/// their values said: an expression's, and a partial index's predicate.
#[tokio::test]
async fn what_an_index_said_is_judged_again_after_a_wait() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (a, b) = (server.connect().await, server.connect().await);
    a.batch_execute(
        "create table t (id int primary key, name text, n int, open bool);
         insert into t select g, 'Name ' || g, 0, true from generate_series(1, 2000) g;
         create index on t (lower(name)); create index on t (id) where open; analyze t",
    )
    .await
    .unwrap();
    let cases = [
        ("update t set open = false where id = 7", "update t set n = n + 1 where open and id = 7", 0),
        ("update t set n = 5 where id = 8", "update t set n = n + 1 where open and id = 8", 1),
        ("update t set name = 'other' where id = 9", "update t set n = n + 1 where lower(name) = 'name 9'", 0),
        ("update t set name = 'NAME 10' where id = 10", "update t set n = n + 1 where lower(name) = 'name 10'", 1),
        ("update t set name = 'other' where id = 11", "delete from t where lower(name) like 'name 11'", 0),
        ("update t set open = null where id = 12", "select 1 from t where open and id = 12 for update", 0),
        ("delete from t where id = 13", "update t set n = 1 where lower(name) = 'name 13' and open", 0),
    ];
    for (first, second, expected) in cases {
        let plan = b.query(&format!("explain {second}"), &[]).await.unwrap();
        assert!(plan.iter().any(|row| row.get::<_, &str>(0).contains("Index Scan using")), "{second}: {plan:?}");
        a.batch_execute("begin").await.unwrap();
        a.batch_execute(first).await.unwrap();
        let (changed, ()) = tokio::join!(b.execute(second, &[]), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            a.batch_execute("commit").await.unwrap();
        });
        assert_eq!(changed.unwrap(), expected, "{second}");
    }
    let row = b.query_one("select n from t where id = 8", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 6, "over the newest version");
}

#[tokio::test]
async fn constants_that_fail_fail_when_the_statement_is_bound() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (client, _) = listening(&server).await;
    for text in ["select 1/0", "select 1 from pg_class where 1/0 > 1", "values ('a'::text::int)"] {
        let statement = client.prepare(text).await.unwrap_or_else(|error| panic!("{text} is prepared: {error}"));
        let error = client.query(&statement, &[]).await.expect_err("it cannot be computed");
        assert!([SqlState::DIVISION_BY_ZERO, SqlState::INVALID_TEXT_REPRESENTATION].contains(error.code().unwrap()));
    }
    // A parameter decides whether the constant is reached.
    let guarded = client.prepare("select case when $1::int > 0 then 1 else 1/0 end").await.unwrap();
    let row = client.query_one(&guarded, &[&1i32]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 1);
    let error = client.query(&guarded, &[&0i32]).await.expect_err("it is reached");
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
}

#[tokio::test]
async fn xmin_serves_as_a_concurrency_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (a, _) = listening(&server).await;
    let (b, _) = listening(&server).await;
    a.batch_execute("create table t (id int primary key, v int); insert into t values (1, 1)").await.unwrap();
    let token: u32 = a.query_one("select xmin::text::bigint from t", &[]).await.unwrap().get::<_, i64>(0) as u32;
    // Both read the same token; the one that waits for the other finds it gone.
    let change = format!("update t set v = v + 1 where id = 1 and xmin = '{token}'");
    a.batch_execute("begin").await.unwrap();
    assert_eq!(a.execute(change.as_str(), &[]).await.unwrap(), 1);
    let other = tokio::spawn(async move { b.execute(change.as_str(), &[]).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    a.batch_execute("commit").await.unwrap();
    assert_eq!(other.await.unwrap().unwrap(), 0);
    assert_eq!(a.query_one("select v from t", &[]).await.unwrap().get::<_, i32>(0), 2);
}

#[tokio::test]
async fn statistics_follow_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &["--analyze-interval-seconds", "1"]);
    let client = server.connect().await;
    let one = async |text: &str| client.query_one(text, &[]).await.unwrap().get::<_, String>(0);
    assert_eq!(one("show autovacuum").await + &one("show autovacuum_naptime").await, "on1s");
    let rows = "select coalesce((select reltuples from pg_class where relname = 't'), -1)::text";
    let distinct =
        "select coalesce((select n_distinct from pg_stats where tablename = 't' and attname = 'b'), 0)::text";
    let becomes = async |text: &str, wanted: &str| {
        for _ in 0..300 {
            if one(text).await == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{text} stays {} instead of {wanted}", one(text).await);
    };
    client.batch_execute("create table t (a int primary key, b int)").await.unwrap();
    client.batch_execute("insert into t select g, g % 4 from generate_series(1, 1000) g").await.unwrap();
    becomes(rows, "1000").await;
    becomes(distinct, "4").await;
    client.batch_execute("update t set b = 7").await.unwrap();
    becomes(distinct, "1").await;
    // Too little to matter.
    client.batch_execute("update t set b = a where a <= 100").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(one(distinct).await, "1");
    client.batch_execute("delete from t where a > 100").await.unwrap();
    becomes(rows, "100").await;
}

/// A cursor gives every row once, whatever way it is read and whatever its plan is: what runs on the analytical threads gives
/// its rows in another order each time, and nextval other numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_runs_its_plan_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    client
        .batch_execute(
            "create table big (id int, k int, v text);
             insert into big select g, g % 20000, md5(g::text) from generate_series(1, 100000) g;
             create sequence s;
             set lightning.road = vector",
        )
        .await
        .unwrap();
    let rows = async |text: &str| {
        let messages = client.simple_query(text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let value = |message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(|text| text.parse::<i64>().unwrap()),
            _ => None,
        };
        messages.into_iter().filter_map(value).collect::<Vec<i64>>()
    };
    for (options, query, expected) in [
        ("cursor with hold", "select k, count(*) from big group by k", 20_000),
        ("scroll cursor with hold", "select k, count(*) from big group by k", 20_000),
        ("scroll cursor", "select k, count(*) from big group by k", 20_000),
        // All tie.
        ("cursor", "select id from big order by k - k", 100_000),
        ("cursor with hold", "select id from big order by k - k", 100_000),
        ("no scroll cursor with hold", "select id from big order by k - k", 100_000),
        ("cursor", "select id from big where v > ''", 100_000),
        ("cursor with hold", "select nextval('s') from big where id <= 1000", 1_000),
        ("cursor", "select nextval('s') from big where id <= 1000", 1_000),
    ] {
        let what = format!("{options}: {query}");
        let goes_back = options.starts_with("scroll") || options.starts_with("cursor") && !query.contains("group");
        client
            .batch_execute(&format!("alter sequence s restart; begin; declare c {options} for {query}"))
            .await
            .unwrap();
        let mut all = rows("fetch 100 from c").await;
        if goes_back {
            let back = rows("fetch backward all from c").await;
            assert_eq!(back.len(), 99, "{what}");
            assert!(back.iter().rev().eq(&all[..99]), "{what}");
            assert_eq!(rows("fetch 100 from c").await, all, "{what}");
        }
        if options.contains("hold") {
            client.batch_execute("commit").await.unwrap();
        }
        all.extend(rows("fetch all from c").await);
        if goes_back {
            let back = rows("fetch backward all from c").await;
            assert!(back.iter().rev().eq(&all), "{what}");
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), expected, "{what}");
        if query.contains("nextval") {
            assert_eq!((all[0], all[999]), (1, 1_000), "{what}");
        }
        client.batch_execute("close c; rollback").await.unwrap();
    }
}
