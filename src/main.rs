//! The `lightning` program: the server, and commands on a stopped database.
#![forbid(unsafe_code)]

use clap::Parser;
use lightning::config::{Cli, Command, Config, StartArgs};
use lightning::session::Server;
use lightning::wire::Workers;
use lightning_storage::Engine;
use lightning_storage::io::{SystemClock, file::FileIo};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Statements make and drop many small things on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let result = match Cli::parse().command {
        Command::Start(args) => start(*args),
        Command::Check { data_dir } => check(&data_dir),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("lightning: {message}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: StartArgs) -> Result<(), String> {
    let config = args.resolve()?;
    let threads = |e: std::io::Error| format!("could not start threads: {e}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(threads)?;
    let workers = Workers::start().map_err(threads)?;
    runtime.block_on(run(config, &workers))
}

async fn run(mut config: Config, workers: &Workers) -> Result<(), String> {
    let listener =
        TcpListener::bind(config.listen).await.map_err(|e| format!("could not listen on {}: {e}", config.listen))?;
    config.listen = listener.local_addr().map_err(|e| e.to_string())?;
    let address = config.listen;
    let server = Server::open(config)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
    println!("ready: postgresql://postgres@{address}/postgres");
    tokio::select! {
        () = lightning::wire::listen(listener, server.clone(), workers) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.shut_down().await
}

fn check(folder: &std::path::Path) -> Result<(), String> {
    let io = FileIo::open(folder).map_err(|e| format!("could not open {}: {e}", folder.display()))?;
    let engine = Engine::open(Arc::new(io), Arc::new(SystemClock), lightning_storage::Config::default())
        .map_err(|e| format!("could not open {}: {e}", folder.display()))?;
    let report = engine.check().map_err(|e| format!("the check could not go on: {e}"))?;
    println!("{} pages, {} rows, {} index entries", report.pages, report.rows, report.entries);
    report.damage.iter().for_each(|damage| println!("damage: {damage}"));
    match report.damage.len() {
        0 => Ok(()),
        count => Err(format!("{count} damaged places")),
    }
}
