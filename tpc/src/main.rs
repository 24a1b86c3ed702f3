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
}

fn main() -> ExitCode {
    let Benchmark::C(command) = Cli::parse().benchmark;
    match command.execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
