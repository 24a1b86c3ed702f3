//! A cancel request in the middle of anything is answered soon, and statement_timeout too; afterwards the session and the
//! server go on, and the statement has left nothing behind.
//!
//! The gate looks only at what is answered: a build without optimization on a busy machine says nothing about time. The long
//! tier runs the same at full size and holds each answer to a tenth of a second.

use crate::server::Server;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls, error::SqlState};

/// Longest that an answer to a cancel request may take, in a release build on an idle machine.
const ANSWER: Duration = Duration::from_millis(100);

/// What is cancelled, `{rows}` being the size of the table `big`.
const STATEMENTS: &[(&str, &str)] = &[
    ("stalled reader's SELECT", "select * from big a, big b"),
    ("sort of text", "select * from big order by v desc offset {rows}"),
    ("sort in temporary files", "set work_mem = '1MB'; select * from big order by v desc offset {rows}"),
    ("sort of numbers, sorted already", "select * from big order by id offset {rows}"),
    ("top rows", "select * from big a, big b order by a.v desc, b.v limit 1000"),
    ("window over a sort", "select sum(r) from (select row_number() over (order by v) r from big) s"),
    (
        "window with partitions",
        "select sum(r) from (select sum(k) over (partition by k % 100 order by v) r from big) s",
    ),
    (
        "window whose frame moves",
        "select max(r) from (select max(v) over (order by id rows between 1000 preceding and 1000 following) r from big) s",
    ),
    ("hash join", "select count(*) from big a join big b on a.v = b.v"),
    ("hash join in temporary files", "set work_mem = '1MB'; select count(*) from big a join big b using (v)"),
    ("nested loop", "select count(*) from big a, big b where a.k + b.k = -1"),
    ("correlated subquery", "select sum((select count(*) from big b where b.k <> a.k)) from big a"),
    ("groups", "select count(*) from (select v, count(*) from big group by v) s"),
    (
        "groups in temporary files",
        "set work_mem = '1MB'; select count(*) from (select v, count(*) from big group by v) s",
    ),
    ("count(distinct)", "select count(distinct v) from big"),
    ("array_agg in order", "select array_length(array_agg(v order by v desc), 1) from big"),
    ("string_agg", "select length(string_agg(v, ',' order by k)) from big"),
    ("percentile", "select percentile_disc(0.5) within group (order by v) from big"),
    ("DISTINCT", "select count(*) from (select distinct v, k from big) s"),
    ("EXCEPT", "select v from big except select v || '' from big"),
    ("recursion", "with recursive r as (select 1 as n union all select n + 1 from r) select count(*) from r"),
    (
        "recursion without doubles",
        "with recursive r as (select 1 as n union select n + 1 from r) select count(*) from r",
    ),
    ("materialized part", "with m as materialized (select * from big) select count(*) from m a, m b where a.id = b.k"),
    ("series", "select count(*) from generate_series(1, 10000000000)"),
    ("series of days", "select max(g) from generate_series(timestamp '0001-01-01', '200000-01-01', '1 minute') g"),
    ("pg_sleep", "select pg_sleep(1000)"),
    ("UPDATE", "update big set v = v || '.', k = k + 1"),
    ("UPDATE of an indexed column", "update big set id = id + 10 * {rows}"),
    ("INSERT … SELECT", "insert into big select id + {rows}, k, v from big"),
    (
        "INSERT … SELECT of a series",
        "insert into big select g, g, g::text from generate_series(10 * {rows}, 100 * {rows}) g",
    ),
    ("DELETE", "delete from big where id >= 0"),
    ("DELETE with a cascade", "delete from parent"),
    ("UPDATE in a savepoint", "begin; savepoint s; update big set v = v || '.', k = k + 1"),
    ("ON CONFLICT", "insert into big select id, k, v from big on conflict (id) do update set v = excluded.v || '!'"),
    ("CREATE TABLE AS", "create table made as select *, md5(v) from big"),
    ("CREATE INDEX", "create index made_index on big (v)"),
    ("CREATE INDEX of an expression", "create index made_index on big (upper(v), k) where k > 0"),
    ("ALTER TYPE", "alter table big alter k type bigint using k + 1"),
    ("ADD COLUMN with a default of its own", "alter table big add r double precision default random()"),
    ("ADD CHECK", "alter table big add check (length(v) > 0 and k is not null)"),
    ("ADD FOREIGN KEY", "alter table big add foreign key (k) references parent"),
    ("ADD UNIQUE", "alter table big add unique (v, k)"),
    ("SET NOT NULL", "alter table big alter v set not null"),
    ("ANALYZE", "analyze big"),
    ("VACUUM", "vacuum big"),
    ("VACUUM FULL", "vacuum full big"),
    ("expression that backtracks", "select repeat('a', 5000) ~ '^(a*)(a*)(a*)(a*)\\1\\2b$'"),
    ("expression over a long text", "select regexp_count(repeat('ab', 5000000), '(a|b)+?a')"),
    ("expression that replaces", "select length(regexp_replace(repeat('abc ', 3000000), '(\\w+) ', '\\1-', 'g'))"),
    ("expression with a large bound", "select repeat('a', 20000) ~ '^((a{1,100}){1,100}){1,20}b$'"),
    ("LIKE that backtracks", "select repeat('a', 300000) like repeat('%a_', 100000) || 'b'"),
    ("factorial", "select length(factorial(32000)::text)"),
    ("numeric power", "select length((1.0000001::numeric ^ 300000000)::text)"),
    ("numeric power of a fraction", "select length(power(123456789.123456789::numeric, 13999.5)::text)"),
    ("numeric exp", "select length(exp(290000::numeric)::text)"),
    ("numeric ln", "select ln(repeat('7', 100000)::numeric)"),
    ("numeric root", "select length(sqrt(repeat('7', 131000)::numeric)::text)"),
    ("numeric products", "select length((repeat('7', 60000)::numeric * repeat('3', 60000)::numeric)::text)"),
    ("numeric division", "select div(repeat('7', 131000)::numeric, repeat('3', 65000)::numeric) % 10"),
    ("numeric gcd", "select gcd(repeat('7', 100000)::numeric, repeat('3', 99999)::numeric)"),
    ("repeat", "select length(repeat('0123456789', 100000000))"),
    ("replace", "select length(replace(repeat('ab', 100000000), 'a', 'ccc'))"),
    ("translate and reverse", "select length(reverse(translate(repeat('ab', 50000000), 'ab', 'xyz')))"),
    ("digest", "select md5(repeat('a', 900000000))"),
    ("sha512", "select sha512(repeat('a', 900000000)::bytea)"),
    ("pieces", "select array_length(string_to_array(repeat('a,', 20000000), ','), 1)"),
    ("array", "select array_length(array_fill(7, array[100000000]), 1)"),
    ("array text", "select length(array_fill(7, array[20000000])::text)"),
    ("unnest", "select count(*) from unnest(array_fill(7, array[50000000]))"),
    ("position", "select strpos(repeat('a', 50000000), repeat('a', 1000000) || 'b')"),
];

struct Scale {
    rows: u32,
    delays: &'static [u64],
}

async fn prepare(client: &Client, scale: &Scale) {
    let rows = scale.rows;
    let text = format!(
        "create table big (id int primary key, k int, v text);
         create index on big (k);
         insert into big select g, g % 1000, md5(g::text) from generate_series(1, {rows}) g;
         create table parent (id int primary key);
         insert into parent select generate_series(0, 999);
         create table child (id int primary key, p int references parent on delete cascade);
         create index on child (p);
         insert into child select g, g % 1000 from generate_series(1, {rows}) g"
    );
    client.batch_execute(&text).await.expect("the tables are made");
}

/// What came of a statement that was to be cancelled after a while.
enum Outcome {
    Answered(Duration),
    /// It was faster.
    Finished,
}

async fn cancel(client: &Client, text: &str, delay: Duration) -> Outcome {
    let token = client.cancel_token();
    let running = async {
        let result = client.batch_execute(text).await;
        (result, Instant::now())
    };
    let cancelling = async {
        tokio::time::sleep(delay).await;
        let sent = Instant::now();
        token.cancel_query(NoTls).await.expect("the request is taken");
        sent
    };
    let both = async { tokio::join!(running, cancelling) };
    let ((result, answered), sent) =
        tokio::time::timeout(Duration::from_secs(120), both).await.unwrap_or_else(|_| panic!("never answered: {text}"));
    match result {
        Ok(()) => Outcome::Finished,
        Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
            Outcome::Answered(answered.saturating_duration_since(sent))
        }
        // What is too large for memory says so, a machine's size decides when.
        Err(error) if matches!(error.code().map(SqlState::code), Some("53200" | "54000" | "22003")) => {
            Outcome::Finished
        }
        Err(error) => panic!("{text}: {error:?}"),
    }
}

/// Cancels every statement at several moments; the longest time that an answer took, per statement.
async fn cancel_all(scale: &Scale, mut report: impl FnMut(&str, Option<Duration>)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path());
    let client = server.connect().await;
    // As many as there are processors: the next connection, which asks to cancel, is the busy worker's.
    let mut others = Vec::new();
    for _ in 1..std::thread::available_parallelism().map_or(1, usize::from) {
        others.push(server.connect().await);
    }
    prepare(&client, scale).await;
    let only = std::env::var("LIGHTNING_CANCEL").unwrap_or_default();
    for (name, text) in STATEMENTS.iter().filter(|(name, _)| name.contains(&only)) {
        let text = text.replace("{rows}", &scale.rows.to_string());
        let mut longest = None;
        for delay in scale.delays {
            let outcome = cancel(&client, &text, Duration::from_millis(*delay)).await;
            // A block that has failed, or what was faster than the request.
            client.batch_execute("rollback; reset all").await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
            match outcome {
                Outcome::Answered(time) => longest = longest.max(Some(time)),
                Outcome::Finished => {
                    restore(&client, scale).await;
                    break;
                }
            }
        }
        report(name, longest);
        let row = client.query_one("select count(*), min(id), count(distinct k) from big", &[]).await.expect(name);
        let found = (row.get::<_, i64>(0), row.get::<_, i32>(1), row.get::<_, i64>(2));
        assert_eq!(found, (i64::from(scale.rows), 1, 1000), "{name}");
    }
}

/// A timeout comes though the statement never looks up.
#[tokio::test]
async fn statement_timeout_ends_a_single_long_call() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    let backtracks = "select (repeat('ab', 300) || 'd') ~ '^(.*)(.*)(.*)\\3\\1\\2bd$'";
    let texts = [backtracks, "select md5(repeat('a', 900000000))"];
    for text in texts {
        client.batch_execute("set statement_timeout = '300ms'").await.unwrap();
        let error = client.batch_execute(text).await.unwrap_err();
        let report = error.as_db_error().unwrap();
        assert_eq!(
            (report.code(), report.message()),
            (&SqlState::QUERY_CANCELED, "canceling statement due to statement timeout")
        );
    }
}

/// Undoes what a statement did that was not cancelled in time.
async fn restore(client: &Client, scale: &Scale) {
    client.batch_execute("drop table if exists made; drop table big, child; drop table parent").await.expect("they go");
    prepare(client, scale).await;
}

/// As much as a build without optimization does in a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_statement_can_be_cancelled() {
    let scale = Scale { rows: 20_000, delays: &[60] };
    cancel_all(&scale, |name, time| {
        if let Some(time) = time {
            assert!(time < Duration::from_secs(20), "{name}: answered after {time:?}");
        }
    })
    .await;
}

/// The same with a table of a million rows and five moments for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long tier"]
async fn a_cancel_request_is_answered_within_a_tenth_of_a_second() {
    let scale = Scale { rows: 1_000_000, delays: &[50, 150, 400, 900, 2000] };
    let mut late = Vec::new();
    cancel_all(&scale, |name, time| {
        match time {
            Some(time) => println!("cancel: {name}: {} ms", time.as_millis()),
            None => println!("cancel: {name}: over before"),
        }
        late.extend(time.filter(|time| *time > ANSWER).map(|time| format!("{name}: {} ms", time.as_millis())));
    })
    .await;
    assert!(late.is_empty(), "longer than {ANSWER:?}: {}", late.join(", "));
}
