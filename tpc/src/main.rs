//! The `tpc` program: benchmarks of any server that speaks PostgreSQL's protocol.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// TPC benchmarks over PostgreSQL's protocol.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// TPC-C: order entry, five short transactions
    #[command(subcommand)]
    C(tpc::c::Command),
    /// TPC-H: decision support, 22 queries
    #[command(subcommand)]
    H(tpc::h::Command),
    /// No benchmark of a server: how long a write with fdatasync takes here
    Sync(tpc::sync::SyncArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().benchmark {
        Benchmark::C(command) => command.execute(),
        Benchmark::H(command) => command.execute(),
        Benchmark::Sync(args) => args.execute(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
