//! TPC-H against the real program: its 22 answers are PostgreSQL's, as text, on either road and whatever the order of FROM.

use crate::server::Server;
use crate::support::Postgres;
use tpc::c::Target;
use tpc::h::{self, CheckArgs, LoadArgs};

fn load(url: &str, scale: f64) {
    let target = Target { url: url.to_owned(), json: false };
    h::load(&LoadArgs { target, scale, connections: 2, replace: false }).expect("the load");
}

fn check(url: &str, oracle: &str, road: &str, reversed: bool) {
    let args = CheckArgs {
        target: Target { url: url.to_owned(), json: false },
        queries: Vec::new(),
        oracle: Some(oracle.to_owned()),
        begin: vec![format!("set lightning.road = {road}")],
        reversed,
    };
    let report = h::check(&args).expect("the check runs");
    report.outcome().unwrap_or_else(|e| panic!("road {road}, reversed {reversed}: {e}\n{report}"));
}

#[test]
fn all_answers_are_postgresqls_on_both_roads() {
    let Some(postgres) = Postgres::start() else { return };
    let oracle = format!("postgresql://postgres@127.0.0.1:{}/postgres", postgres.port);
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    load(&server.url, 0.01);
    load(&oracle, 0.01);
    check(&server.url, &oracle, "vector", false);
    check(&server.url, &oracle, "auto", true);
    server.kill();
    let server = Server::start(folder.path());
    check(&server.url, &oracle, "auto", false);
}
