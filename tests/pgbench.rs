//! PostgreSQL's own pgbench against the real program: no error in any protocol mode, and money is neither made nor lost,
//! by `kill -9` neither. The long tier runs the same at scale 10.

use crate::server::Server;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

pub(crate) const MODES: [&str; 3] = ["simple", "extended", "prepared"];

/// Where PostgreSQL's packages put it; a machine without it skips these tests, CI does not.
fn pgbench() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .chain(["/usr/lib/postgresql/15/bin".into()])
        .map(|folder| folder.join("pgbench"))
        .find(|path| path.exists());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "pgbench is missing");
    found
}

pub(crate) struct Bench {
    program: PathBuf,
    scale: u32,
    seconds: u64,
}

impl Bench {
    /// Of a scale, with runs of so many seconds.
    pub(crate) fn new(scale: u32, seconds: u64) -> Option<Bench> {
        Some(Bench { program: pgbench()?, scale, seconds })
    }

    fn command(&self, server: &Server, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).arg(&server.url).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn initialise(&self, server: &Server) {
        succeed(self.command(server, &["-i", "-I", "dtgvpf", "-q", "-s", &self.scale.to_string()]).output());
    }

    /// Eight clients for a while; every transaction must succeed. Transactions per second.
    pub(crate) fn run(&self, server: &Server, args: &[&str]) -> u64 {
        let seconds = self.seconds.to_string();
        // With -n, because pgbench's own VACUUM comes with a TRUNCATE of the history.
        let args = [&["-n", "-c", "8", "-j", "2", "-T", &seconds][..], args].concat();
        let text = succeed(self.command(server, &args).output());
        assert!(text.contains("number of failed transactions: 0 (0.000%)"), "{args:?}: {text}");
        let processed = text.lines().find_map(|line| line.strip_prefix("number of transactions actually processed: "));
        let processed = processed.and_then(|count| count.parse::<u64>().ok()).filter(|count| *count > 0);
        processed.unwrap_or_else(|| panic!("{args:?}: {text}")) / self.seconds
    }

    /// Kills the server in the middle of TPC-B and starts it again; rows of history afterwards, the sums agreeing.
    pub(crate) fn killed(&self, server: &mut Server, folder: &Path, mode: &str, seconds: u64) -> i64 {
        let args = ["-n", "-c", "8", "-T", "600", "-M", mode];
        let running = self.command(server, &args).spawn().expect("pgbench starts");
        std::thread::sleep(Duration::from_secs(seconds));
        server.kill();
        assert!(!running.wait_with_output().expect("pgbench ends").status.success());
        *server = Server::start(folder);
        balanced(server).1
    }
}

fn succeed(output: std::io::Result<Output>) -> String {
    let output = output.expect("pgbench starts");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{text}");
    text
}

/// All four sums are the same number, which comes back with the count of history's rows.
pub(crate) fn balanced(server: &Server) -> (i64, i64) {
    let sums = async {
        let row = server
            .connect()
            .await
            .query_one(
                "select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers),
                    (select sum(bbalance) from pgbench_branches), (select coalesce(sum(delta), 0) from pgbench_history),
                    (select count(*) from pgbench_history)",
                &[],
            )
            .await
            .expect("the sums");
        [0, 1, 2, 3, 4].map(|column| row.get::<_, i64>(column))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let [accounts, tellers, branches, history, rows] = runtime.block_on(sums);
    assert_eq!([accounts, tellers, branches], [history; 3], "after {rows} rows of history");
    (history, rows)
}

#[test]
fn pgbench_runs_in_every_mode_and_the_sums_agree() {
    let Some(bench) = Bench::new(1, 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    bench.initialise(&server);
    for mode in MODES {
        bench.run(&server, &["-M", mode]);
        let before = balanced(&server);
        assert!(before.1 > 0);
        bench.run(&server, &["-S", "-M", mode]);
        assert_eq!(balanced(&server), before, "reading changes nothing");
    }
}

#[test]
fn pgbench_sums_agree_after_kill_9() {
    let Some(bench) = Bench::new(1, 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    bench.initialise(&server);
    let mut history = 0;
    for mode in MODES {
        let rows = bench.killed(&mut server, folder.path(), mode, 2);
        assert!(rows > history, "{rows} rows of history, {history} before");
        history = rows;
    }
}
