//! TPC-C against the real program: a run whose database is consistent afterwards, and `kill -9` in the middle of one.

use crate::server::Server;
use std::path::Path;
use std::time::Duration;
use tpc::c::{self, CheckArgs, Isolation, LoadArgs, RunArgs, Target};

fn target(server: &Server) -> Target {
    Target { url: server.url.clone(), json: false }
}

/// Two warehouses with a twentieth of its customers and items.
fn load(server: &Server) {
    let target = target(server);
    let args = LoadArgs { target, warehouses: 2, connections: 2, replace: false, seed: Some(1), divisor: 20 };
    c::load(&args).expect("the load");
}

fn run(server: &Server, orders: &Path, isolation: Isolation, seconds: u64) -> c::Report {
    let args = RunArgs {
        target: target(server),
        warehouses: None,
        terminals: 4,
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

fn check(server: &Server, orders: &Path) -> u64 {
    let args = CheckArgs { target: target(server), warehouses: Some(2), orders: Some(orders.to_owned()) };
    let report = c::check(&args).expect("the check runs");
    report.outcome().unwrap_or_else(|e| panic!("{e}\n{report}"));
    report.acknowledged.expect("there is a list")
}

#[test]
fn every_transaction_leaves_the_database_consistent() {
    let folder = tempfile::tempdir().unwrap();
    let orders = folder.path().join("orders");
    let server = Server::start(&folder.path().join("data"));
    load(&server);
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead] {
        let report = run(&server, &orders, isolation, 4);
        report.outcome().unwrap_or_else(|e| panic!("{e}\n{report}"));
        assert!(report.kinds[..2].iter().all(|kind| kind.committed > 0), "{report}");
    }
    assert!(check(&server, &orders) > 0);
}

#[test]
fn no_acknowledged_order_is_lost_by_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let (data, orders) = (folder.path().join("data"), folder.path().join("orders"));
    let mut server = Server::start(&data);
    load(&server);
    for _ in 0..2 {
        std::thread::scope(|scope| {
            let running = scope.spawn(|| run(&server, &orders, Isolation::ReadCommitted, 60));
            std::thread::sleep(Duration::from_secs(3));
            server.kill();
            let report = running.join().expect("the run ends");
            let failure = report.failure.expect("the run noticed");
            assert!(failure.contains("the server is gone") && failure.contains("orders"), "{failure}");
        });
        server = Server::start(&data);
        assert!(check(&server, &orders) > 0);
    }
}
