//! A private PostgreSQL 15, and psql.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest that a start or a script may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// PostgreSQL 15 on an empty folder (superuser `postgres`, UTF8, C.UTF-8, UTC), ended when dropped.
pub(crate) struct Postgres {
    child: Child,
    pub port: u16,
    folder: tempfile::TempDir,
}

/// Where PostgreSQL 15's programs are.
fn programs() -> Option<PathBuf> {
    let folder = std::env::var_os("POSTGRESQL_BIN").map_or_else(|| "/usr/lib/postgresql/15/bin".into(), PathBuf::from);
    folder.join("initdb").exists().then_some(folder)
}

/// User and group of PostgreSQL's programs, which refuse to run as root; `None`: nobody needs to become another.
fn other_user() -> Option<(u32, u32)> {
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let fields = users.lines().find(|line| line.starts_with("postgres:"))?.split(':').collect::<Vec<_>>();
    root.then_some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}

impl Postgres {
    /// `None`, with the reason printed, where PostgreSQL is not installed.
    ///
    /// # Panics
    /// The same in CI.
    pub(crate) fn start() -> Option<Postgres> {
        let Some(programs) = programs() else {
            let reason = "PostgreSQL 15 is not installed: nothing to compare with";
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
            eprintln!("{reason}");
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let user = other_user();
        let command = |name: &str| {
            let mut command = Command::new(programs.join(name));
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).expect("root gives folders away");
        }
        let made = command("initdb")
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data)
            .status()
            .expect("initdb runs");
        assert!(made.success(), "initdb failed");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|any| any.local_addr()).expect("a free port").port();
        let settings = ["fsync=off", "TimeZone=UTC", "log_timezone=UTC", "listen_addresses=127.0.0.1"];
        let child = command("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-k", ""])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .spawn()
            .expect("postgres starts");
        let server = Postgres { child, port, folder };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() || psql(port, "select 1", &[]).contains("starting up") {
            assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not start in {}", server.folder.path().display());
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A fast shutdown by SIGINT would need a signal: the folder goes anyway.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What psql prints, errors in their place, when it runs a script (given on its standard input) in database `postgres`.
pub(crate) fn psql(port: u16, script: &str, options: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("script.sql");
    fs::File::create(&file).and_then(|mut file| file.write_all(script.as_bytes())).expect("the script is written");
    let psql = programs().map_or_else(|| "psql".into(), |programs| programs.join("psql"));
    // The shell joins both outputs, so that errors stand where they came.
    let output = Command::new("timeout")
        .args([&PATIENCE.as_secs().to_string(), "sh", "-c", "exec \"$0\" \"$@\" 2>&1"])
        .arg(psql)
        .args(["-X", "-h", "127.0.0.1", "-p", &port.to_string(), "-U", "postgres", "-d", "postgres"])
        .args(options)
        .args(["-f", "script.sql"])
        .current_dir(folder.path())
        .env("PGTZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("psql runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
