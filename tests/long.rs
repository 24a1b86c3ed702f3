//! The long tier: what needs minutes, full sizes and a release build. `tests/run --long` starts it; the gate does not.
//!
//! Each test prints lines of what it measured. `LIGHTNING_LONG_PERCENT` makes all of it shorter for a first look (10: a tenth
//! of each duration and of each number of rounds and rows).

use crate::pgbench::{Bench, MODES, balanced};
use crate::server::Server;
use crate::support::{Postgres, Wire};
use crate::tpcc;
use futures_util::SinkExt as _;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};
use tpc::c::Isolation;

/// So much of a full size as this run is to take, at least one.
pub(crate) fn share(full: u64) -> u64 {
    let percent = std::env::var("LIGHTNING_LONG_PERCENT").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    (full * percent / 100).max(1)
}

/// `lightning check` of a stopped server's folder.
fn check(folder: &Path) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lightning"));
    let check = command.args(["check", "--data-dir"]).arg(folder).output().expect("check runs");
    let text = String::from_utf8_lossy(&check.stdout).into_owned() + &String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success(), "{text}");
}

#[test]
#[ignore = "long tier"]
fn pgbench_at_scale_10() {
    let Some(bench) = Bench::new(10, share(30)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let begun = Instant::now();
    bench.initialise(&server);
    println!("pgbench -i: {:.1} s, resident {} MiB", begun.elapsed().as_secs_f64(), server.resident() >> 20);
    for mode in MODES {
        let tps = bench.run(&server, &["-M", mode]);
        let (_, rows) = balanced(&server);
        let reads = bench.run(&server, &["-S", "-M", mode]);
        println!("pgbench -M {mode}: {tps} TPC-B/s, {reads} reads/s, {rows} rows of history, the sums agree");
    }
    println!("pgbench: resident {} MiB with no connections", server.resident() >> 20);
    let mut before = balanced(&server).1;
    for mode in MODES {
        let rows = bench.killed(&mut server, folder.path(), mode, share(30));
        println!("pgbench -M {mode}: {} rows of history kept over kill -9, the sums agree", rows - before);
        assert!(rows > before);
        before = rows;
    }
    server.kill();
    check(folder.path());
}

#[test]
#[ignore = "long tier"]
fn tpc_c_with_two_warehouses() {
    let folder = tempfile::tempdir().unwrap();
    let (data, orders) = (folder.path().join("data"), folder.path().join("orders"));
    let mut server = Server::start(&data);
    tpcc::load(&server.url, 1);
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead] {
        let report = tpcc::run(&server.url, &orders, isolation, share(60), 8);
        report.outcome().unwrap_or_else(|e| panic!("{e}\n{report}"));
        println!(
            "tpc c, {isolation:?}: {:.0} tpmC; {} orders acknowledged and found",
            report.tpmc,
            tpcc::check(&server.url, &orders)
        );
    }
    for _ in 0..3 {
        std::thread::scope(|scope| {
            let running = scope.spawn(|| tpcc::run(&server.url, &orders, Isolation::ReadCommitted, 600, 8));
            std::thread::sleep(Duration::from_secs(share(30)));
            server.kill();
            let failure = running.join().expect("the run ends").failure.expect("the run noticed");
            assert!(failure.contains("the server is gone"), "{failure}");
        });
        check(&data);
        server = Server::start(&data);
        println!("tpc c, kill -9: none of {} acknowledged orders lost", tpcc::check(&server.url, &orders));
    }
}

#[test]
#[ignore = "long tier"]
fn tpc_c_on_postgresql() {
    let Some(server) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let orders = folder.path().join("orders");
    let url = format!("postgresql://postgres@127.0.0.1:{}/postgres", server.port);
    tpcc::load(&url, 1);
    let report = tpcc::run(&url, &orders, Isolation::ReadCommitted, share(60), 8);
    report.outcome().unwrap_or_else(|e| panic!("{e}\n{report}"));
    println!("tpc c, PostgreSQL without fsync: {:.0} tpmC; {} orders found", report.tpmc, tpcc::check(&url, &orders));
}

/// What clients know to be committed.
#[derive(Default)]
struct Acknowledged {
    /// By writer: its rows in `log`.
    rows: Mutex<BTreeMap<i32, i32>>,
    /// Tables made, with the number of their columns.
    tables: Mutex<BTreeMap<String, i64>>,
    /// Tables dropped.
    dropped: Mutex<BTreeSet<String>>,
    commits: AtomicU64,
}

const ACCOUNTS: i32 = 1_000;

/// Moves money and notes it, until the server is gone.
async fn write(url: String, writer: i32, known: Arc<Acknowledged>, seed: u64) -> Option<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut client, connection) = tokio_postgres::connect(&url, NoTls).await.ok()?;
    tokio::spawn(connection);
    let mut row = known.rows.lock().unwrap().get(&writer).copied().unwrap_or(0);
    loop {
        row += 1;
        let (from, to) = (random.random_range(1..=ACCOUNTS), random.random_range(1..=ACCOUNTS));
        let block = client.transaction().await.ok()?;
        let moved = async {
            // In one order, so that nobody deadlocks.
            for (account, amount) in BTreeMap::from([(from, -1i64), (to, if from == to { 0 } else { 1 })]) {
                let amount = if from == to { 0 } else { amount };
                block.execute("update account set balance = balance + $1 where id = $2", &[&amount, &account]).await?;
            }
            let text = "x".repeat(random.random_range(0..200));
            block.execute("insert into log values ($1, $2, $3)", &[&writer, &row, &text]).await?;
            if row % 50 == 0 {
                let old = "update log set note = note || '!' where writer = $1 and row > $2";
                block.execute(old, &[&writer, &(row - 200)]).await?;
            }
            Ok::<_, tokio_postgres::Error>(())
        };
        moved.await.ok()?;
        if random.random_range(0..10) == 0 {
            row -= 1;
            block.rollback().await.ok()?;
            continue;
        }
        block.commit().await.ok()?;
        known.rows.lock().unwrap().insert(writer, row);
        known.commits.fetch_add(1, Ordering::Relaxed);
    }
}

/// Makes, fills, changes and drops tables, until the server is gone.
async fn define(url: String, known: Arc<Acknowledged>, round: u64) -> Option<()> {
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.ok()?;
    tokio::spawn(connection);
    for number in 0.. {
        let name = format!("made_{round}_{number}");
        let make = format!(
            "begin; create table {name} (id int primary key, t text); insert into {name} select g, 't' || g from generate_series(1, 300) g; commit"
        );
        client.batch_execute(&make).await.ok()?;
        known.tables.lock().unwrap().insert(name.clone(), 2);
        client.batch_execute(&format!("create index on {name} (t)")).await.ok()?;
        // Whether the change that dies with the server has happened is open.
        known.tables.lock().unwrap().insert(name.clone(), -3);
        client.batch_execute(&format!("alter table {name} add c double precision default random()")).await.ok()?;
        known.tables.lock().unwrap().insert(name.clone(), 3);
        if number % 3 == 1 {
            known.tables.lock().unwrap().remove(&name);
            client.batch_execute(&format!("drop table {name}")).await.ok()?;
            known.dropped.lock().unwrap().insert(name);
        }
    }
    None
}

async fn verify(client: &Client, known: &Acknowledged) {
    let sum = client.query_one("select sum(balance)::int8, count(*) from account", &[]).await.unwrap();
    assert_eq!((sum.get::<_, i64>(0), sum.get::<_, i64>(1)), (0, i64::from(ACCOUNTS)));
    let found = client.query("select writer, max(row), count(*) from log group by writer", &[]).await.unwrap();
    let found: BTreeMap<i32, (i32, i64)> = found.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    {
        let mut rows = known.rows.lock().unwrap();
        for (writer, acknowledged) in rows.iter_mut() {
            let (last, count) = found.get(writer).copied().unwrap_or_default();
            assert!(
                last >= *acknowledged && i64::from(last) == count,
                "writer {writer}: {acknowledged} acknowledged, {count} to {last} found"
            );
            assert!(last <= *acknowledged + 1, "writer {writer}: {last} found, {acknowledged} acknowledged");
            // A commit whose answer was lost counts from now on.
            *acknowledged = last;
        }
    }
    let columns = "select relname::text, (select count(*) from pg_attribute where attrelid = c.oid and attnum > 0) from pg_class c where relname like 'made%' and relkind = 'r'";
    let found = client.query(columns, &[]).await.unwrap();
    let found: BTreeMap<String, i64> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut tables = known.tables.lock().unwrap();
    for (name, columns) in tables.iter_mut() {
        let there = found.get(name).unwrap_or_else(|| panic!("{name} is lost"));
        assert!(
            there == columns || (*columns == -3 && [2, 3].contains(there)),
            "{name}: {there} columns, {columns} known"
        );
        *columns = *there;
    }
    for name in known.dropped.lock().unwrap().iter() {
        assert!(!found.contains_key(name), "{name} is back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long tier"]
async fn nothing_acknowledged_is_lost_in_200_kills() {
    let folder = tempfile::tempdir().unwrap();
    let known = Arc::new(Acknowledged::default());
    let seed = std::process::id().into();
    println!("kills: seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut server = Server::start(folder.path());
    server
        .connect()
        .await
        .batch_execute(&format!(
            "create table account (id int primary key, balance int8 not null);
             insert into account select g, 0 from generate_series(1, {ACCOUNTS}) g;
             create table log (writer int, row int, note text, primary key (writer, row))"
        ))
        .await
        .unwrap();
    let (rounds, begun) = (share(200), Instant::now());
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..6 {
            tasks.spawn(write(server.url.clone(), writer, known.clone(), random.random()));
        }
        tasks.spawn(define(server.url.clone(), known.clone(), round));
        tokio::time::sleep(Duration::from_millis(random.random_range(20..1_500))).await;
        server.kill();
        let gone = async { while tasks.join_next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the clients notice");
        check(folder.path());
        let restart = Instant::now();
        server = Server::start(folder.path());
        longest = longest.max(restart.elapsed());
        verify(&server.connect().await, &known).await;
        if round % 10 == 9 {
            let old = std::mem::take(&mut *known.tables.lock().unwrap());
            let client = server.connect().await;
            for name in old.keys() {
                client.batch_execute(&format!("drop table {name}")).await.unwrap();
            }
        }
    }
    println!(
        "kills: {rounds} in {:.0} s, {} commits acknowledged, none lost; longest restart {} ms",
        begun.elapsed().as_secs_f64(),
        known.commits.load(Ordering::Relaxed),
        longest.as_millis()
    );
}

/// Samples a server's resident memory until told to stop; the samples in MiB.
pub(crate) fn watch_memory(pid: u32, stop: &AtomicBool) -> Vec<u64> {
    let mut samples = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        samples.push(crate::server::resident(pid) >> 20);
        std::thread::sleep(Duration::from_millis(200));
    }
    samples
}

/// One transaction's COPY of six million rows, beyond the pool, then a reader that stops in the middle of them.
#[test]
#[ignore = "long tier"]
fn a_copy_larger_than_memory_and_a_reader_that_stops() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &["--buffer-pool-mb", "256"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let rows = share(6_000_000);
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let samples = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch_memory(server.pid(), &stop));
        runtime.block_on(async {
            let client = server.connect().await;
            client
                .batch_execute("create table lines (orderkey int8, line int, price numeric(12,2), shipped date, comment text, primary key (orderkey, line))")
                .await
                .unwrap();
            let sink = client.copy_in::<_, bytes::Bytes>("copy lines from stdin").await.unwrap();
            let mut sink = std::pin::pin!(sink);
            let mut text = String::new();
            for row in 0..rows {
                use std::fmt::Write as _;
                let day = 1 + row % 28;
                writeln!(text, "{}\t{}\t{}.{:02}\t1995-03-{day:02}\tcomment of line {row} that is as long as comments are", row / 4, row % 4, row % 100_000, row % 100).unwrap();
                if text.len() > 60_000 || row + 1 == rows {
                    sink.send(std::mem::take(&mut text).into()).await.unwrap();
                }
            }
            assert_eq!(sink.finish().await.unwrap(), rows);
        });
        stop.store(true, Ordering::Relaxed);
        watching.join().unwrap()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let (middle, peak) = (samples[samples.len() / 2], samples.iter().max().copied().unwrap_or(0));
    println!("copy: {rows} rows in {seconds:.1} s; resident {middle} MiB in the middle, at most {peak} MiB");
    let mut late = Vec::new();
    if peak > 512 || peak > middle + 96 {
        late.push(format!("COPY: resident memory is not flat: {middle} MiB in the middle, {peak} at most"));
    }

    let mut reader = Wire::open(server.port());
    let before = server.resident() >> 20;
    reader.send(b"select * from lines");
    std::thread::sleep(Duration::from_secs(share(20)));
    let after = server.resident() >> 20;
    let sent = Instant::now();
    reader.cancel();
    let code = reader.answer();
    let answered = sent.elapsed();
    println!(
        "stopped reader: resident {before} MiB before, {after} MiB after; cancelled in {} ms",
        answered.as_millis()
    );
    assert_eq!(code, "57014");
    if after > before + 32 {
        late.push(format!("SELECT: resident memory grew from {before} to {after} MiB"));
    }
    if answered > Duration::from_millis(100) {
        late.push(format!("the cancel request took {answered:?}"));
    }
    assert_eq!(reader.ask(b"select 1"), "");
    drop(reader);
    server.kill();
    check(folder.path());
    assert!(late.is_empty(), "{}", late.join("; "));
}
