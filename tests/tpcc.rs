//! TPC-C against the real program: a run whose database is consistent afterwards, and `kill -9` in the middle of one.

use crate::server::Server;
use std::path::Path;
use std::time::Duration;
use tpc::c::{self, CheckArgs, Isolation, LoadArgs, RunArgs, Target};

fn target(url: &str) -> Target {
    Target { url: url.to_owned(), json: false }
}

/// Two warehouses, their customers and items divided by a number.
pub(crate) fn load(url: &str, divisor: i32) {
    let args = LoadArgs { target: target(url), warehouses: 2, connections: 2, replace: false, seed: Some(1), divisor };
    c::load(&args).expect("the load");
}

pub(crate) fn run(url: &str, orders: &Path, isolation: Isolation, seconds: u64, terminals: u32) -> c::Report {
    let args = RunArgs {
        target: target(url),
        warehouses: None,
        terminals,
        seconds,
        warmup: 0,
        isolation,
        think: false,
        unsorted: true,
        threads: Some(1),
        patience: 30,
        orders: orders.to_owned(),
        seed: Some(2),
    };
    c::run(&args).expect("the run starts")
}

/// The consistency conditions; the number of acknowledged orders, all of which are there.
pub(crate) fn check(url: &str, orders: &Path) -> u64 {
    let args = CheckArgs { target: target(url), warehouses: Some(2), orders: Some(orders.to_owned()) };
    let report = c::check(&args).expect("the check runs");
    report.outcome().unwrap_or_else(|e| panic!("{e}\n{report}"));
    report.acknowledged.expect("there is a list")
}

#[test]
fn every_transaction_leaves_the_database_consistent() {
    let folder = tempfile::tempdir().unwrap();
    let orders = folder.path().join("orders");
    let server = Server::start(&folder.path().join("data"));
    load(&server.url, 20);
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead] {
        let report = run(&server.url, &orders, isolation, 4, 4);
        report.outcome().unwrap_or_else(|e| panic!("{e}\n{report}"));
        assert!(report.kinds[..2].iter().all(|kind| kind.committed > 0), "{report}");
    }
    assert!(check(&server.url, &orders) > 0);
}

#[test]
fn no_acknowledged_order_is_lost_by_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let (data, orders) = (folder.path().join("data"), folder.path().join("orders"));
    let mut server = Server::start(&data);
    load(&server.url, 20);
    for _ in 0..2 {
        std::thread::scope(|scope| {
            let running = scope.spawn(|| run(&server.url, &orders, Isolation::ReadCommitted, 60, 4));
            std::thread::sleep(Duration::from_secs(3));
            server.kill();
            let report = running.join().expect("the run ends");
            let failure = report.failure.expect("the run noticed");
            assert!(failure.contains("the server is gone") && failure.contains("orders"), "{failure}");
        });
        server = Server::start(&data);
        assert!(check(&server.url, &orders) > 0);
    }
}
