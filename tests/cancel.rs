//! A cancel request in the middle of anything is answered soon, and statement_timeout too; afterwards the session and the
//! server go on, and the statement has left nothing behind.
//!
//! The gate looks only at what is answered: a build without optimization on a busy machine says nothing about time. The long
//! tier runs the same at full size and holds each answer to a tenth of a second.

use crate::server::Server;
use crate::support::Wire;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls, error::SqlState};

/// Longest that an answer to a cancel request may take, in a release build on an idle machine.
const ANSWER: Duration = Duration::from_millis(100);

/// What is cancelled, `{rows}` being the size of the table `big`: reads.
const READS: &[(&str, &str)] = &[
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
        "window whose sum moves",
        "select max(r) from (select sum(k) over (order by id rows between 1000 preceding and 1000 following) r from big) s",
    ),
    (
        "window whose range moves",
        "select max(r) from (select string_agg(v, '') over (order by k range between 1 preceding and current row) r from big) s",
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
    ("array_agg as it comes", "select array_length(array_agg(v), 1), array_length(array_agg(k), 1) from big a"),
    ("string_agg", "select length(string_agg(v, ',' order by k)) from big"),
    ("string_agg as it comes", "select length(string_agg(v, ',')), length(string_agg(v, v)) from big"),
    ("string_agg by group", "select max(length(s)) from (select string_agg(v, ',') s from big group by k % 3) t"),
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
    // Of a value that is moved as a whole, so much that no single move takes the time.
    ("replace", "select length(replace(repeat('ab', 20000000), 'a', 'ccc'))"),
    ("translate and reverse", "select length(reverse(translate(repeat('ab', 50000000), 'ab', 'xyz')))"),
    ("digest", "select md5(repeat('a', 200000000))"),
    ("sha512", "select sha512(repeat('a', 80000000)::bytea)"),
    ("pieces", "select array_length(string_to_array(repeat('a,', 10000000), ','), 1)"),
    ("array", "select array_length(array_fill(7, array[100000000]), 1)"),
    ("array text", "select length(array_fill(7, array[20000000])::text)"),
    ("unnest", "select count(*) from unnest(array_fill(7, array[5000000]))"),
    ("position", "select strpos(repeat('a', 50000000), repeat('a', 1000000) || 'b')"),
];

/// What changes something, were it not cancelled: undone then, too.
const WRITES: &[(&str, &str)] = &[
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
    ("ADD COLUMN with a check", "alter table big add c int default 1 check (c > 0), add d text default 'x' not null"),
    ("SET TYPE of a key", "alter table big alter id type bigint"),
    ("ADD CHECK", "alter table big add check (length(v) > 0 and k is not null)"),
    ("ADD FOREIGN KEY", "alter table big add foreign key (k) references parent"),
    ("ADD UNIQUE", "alter table big add unique (v, k)"),
    ("SET NOT NULL", "alter table big alter v set not null"),
    ("ANALYZE", "analyze big"),
    ("VACUUM", "vacuum big"),
    ("VACUUM FULL", "vacuum full big"),
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

/// Cancels every statement at several moments; the longest time that an answer took, per statement. All share the tables,
/// which are as they were after each.
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
    let chosen = |list: &'static [(&str, &str)]| list.iter().filter(|(name, _)| name.contains(&only));
    for (name, text) in chosen(READS) {
        report(name, cancel_often(&client, name, text, false, scale).await);
    }
    for (name, text) in chosen(WRITES) {
        report(name, cancel_often(&client, name, text, true, scale).await);
        let whole = "select count(*), min(id), max(id), count(k), count(v) from big";
        let row = loop {
            match client.query_one(whole, &[]).await {
                Ok(row) => break row,
                // A request that came later still.
                Err(error) => assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{name}: {error:?}"),
            }
        };
        let found = (row.get::<_, i64>(0), row.get::<_, i32>(1), row.get::<_, i32>(2), row.get::<_, i64>(3));
        assert_eq!(found, (i64::from(scale.rows), 1, scale.rows as i32, i64::from(scale.rows)), "{name}");
        assert_eq!(row.get::<_, i64>(4), i64::from(scale.rows), "{name}");
    }
    if "COPY FROM".contains(&only) {
        for pause in [Duration::ZERO, Duration::from_millis(20)] {
            let name = if pause.is_zero() { "COPY FROM" } else { "COPY FROM of a slow client" };
            let mut longest = None;
            for delay in scale.delays {
                let (port, delay) = (server.port(), Duration::from_millis(*delay));
                let copy = tokio::task::spawn_blocking(move || cancel_copy(port, delay, pause));
                longest = longest.max(Some(copy.await.expect("a thread")));
                let count = client.query_one("select count(*) from big", &[]).await.expect(name);
                assert_eq!(count.get::<_, i64>(0), i64::from(scale.rows), "{name}");
            }
            report(name, longest);
        }
    }
}

/// Cancels a statement at every moment that comes before its end.
async fn cancel_often(client: &Client, name: &str, text: &str, writes: bool, scale: &Scale) -> Option<Duration> {
    let text = text.replace("{rows}", &scale.rows.to_string());
    // What may stand in a block is undone there if it was faster than the request.
    let alone = text.starts_with("vacuum") || text.starts_with("begin");
    let mut longest = None;
    for delay in scale.delays {
        if writes && !alone {
            client.batch_execute("begin").await.expect(name);
        }
        let outcome = cancel(client, &text, Duration::from_millis(*delay)).await;
        // A request that came too late for the statement may meet this one.
        while let Err(error) = client.batch_execute("rollback; reset all").await {
            assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{name}: {error:?}");
        }
        match outcome {
            Outcome::Answered(time) => longest = longest.max(Some(time)),
            Outcome::Finished => break,
        }
    }
    longest
}

/// A COPY whose client goes on sending rows until it hears of the cancel request; how long that takes.
fn cancel_copy(port: u16, delay: Duration, pause: Duration) -> Duration {
    let mut wire = Wire::open(port);
    wire.send(b"copy big from stdin");
    let reader = wire.reader();
    let stopped = Arc::new(AtomicBool::new(false));
    let heard = {
        let stopped = stopped.clone();
        std::thread::spawn(move || {
            let code = reader.error();
            stopped.store(true, Ordering::Relaxed);
            (code, Instant::now())
        })
    };
    let (begun, mut sent, mut id) = (Instant::now(), None, 1_000_000_000);
    while !stopped.load(Ordering::Relaxed) {
        let mut rows = String::new();
        for _ in 0..2_000 {
            id += 1;
            rows.push_str(&format!("{id}\t{}\t{id:040}\n", id % 1000));
        }
        wire.copy_data(rows.as_bytes());
        if sent.is_none() && begun.elapsed() >= delay {
            wire.cancel();
            sent = Some(Instant::now());
        }
        std::thread::sleep(pause);
        assert!(begun.elapsed() < Duration::from_secs(120), "the COPY was never cancelled");
    }
    let (code, answered) = heard.join().expect("a thread");
    assert_eq!(code, "57014");
    answered.saturating_duration_since(sent.expect("the request came first"))
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

/// The same with a table of a million rows and three moments for each, in about two minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long tier"]
async fn a_cancel_request_is_answered_within_a_tenth_of_a_second() {
    let scale = Scale { rows: 1_000_000, delays: &[50, 300, 1000] };
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
