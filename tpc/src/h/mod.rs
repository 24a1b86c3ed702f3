//! TPC-H (revision 3.0.1): decision support, as a load, a run and a check.
//!
//! | file | what is in it |
//! |---|---|
//! | `schema` | tables, primary and foreign keys |
//! | `load` | the standard's data, made by the `tpchgen` crate and streamed through COPY |
//! | `queries` | the 22 queries and their substitution parameters (those of clause 2.4's validation) |
//! | `run` | times |
//! | `check` | answers, beside another server's on the same data or beside the standard's |
//!
//! Deliberately otherwise than the standard: one stream, no refresh functions, no secondary indexes but those of keys. The
//! figures are for comparing servers on one machine and are not results in the sense of the TPC.

mod check;
mod load;
mod queries;
mod run;
mod schema;

pub use check::CheckReport;
pub use run::RunReport;

use crate::connection::Target;
use anyhow::Result;
use clap::{Args, Subcommand};

/// What to do with TPC-H.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the tables and fill them
    Load(LoadArgs),
    /// Run the 22 queries; prints their times and the geometric mean
    Run(RunArgs),
    /// Run the 22 queries and compare their answers
    Check(CheckArgs),
    /// Print the queries, or the tables, for another program to run
    Queries(QueriesArgs),
}

#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    #[command(flatten)]
    pub target: Target,
    /// Scale factor: 1 is 8.7 million rows, 1 GB as text
    #[arg(long, short, default_value_t = 1.0, value_parser = scale)]
    pub scale: f64,
    /// Connections that load at the same time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub connections: u32,
    /// Drop tables of an earlier load first
    #[arg(long)]
    pub replace: bool,
}

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub target: Target,
    /// Only these queries, as in 1,6,14 [default: all]
    #[arg(long, short, value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=22))]
    pub queries: Vec<u8>,
    /// How often each query is run; its time is the least
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// A statement to begin with, such as SET
    #[arg(long)]
    pub begin: Vec<String>,
    /// Name the tables of every FROM in the opposite order
    #[arg(long)]
    pub reversed: bool,
}

#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub target: Target,
    /// Only these queries, as in 1,6,14 [default: all]
    #[arg(long, short, value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=22))]
    pub queries: Vec<u8>,
    /// Another server with the same load, whose answers must be the same text [default: the standard's answers, for scale 1]
    #[arg(long)]
    pub oracle: Option<String>,
    /// A statement to begin with, such as SET
    #[arg(long)]
    pub begin: Vec<String>,
    /// Name the tables of every FROM in the opposite order
    #[arg(long)]
    pub reversed: bool,
}

#[derive(Clone, Debug, Args)]
pub struct QueriesArgs {
    /// Scale factor: Q11 depends on it
    #[arg(long, short, default_value_t = 1.0, value_parser = scale)]
    pub scale: f64,
    /// Only these queries, as in 1,6,14 [default: all]
    #[arg(long, short, value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=22))]
    pub queries: Vec<u8>,
    /// The statements that make the tables, without keys, instead
    #[arg(long)]
    pub schema: bool,
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(scale) if (0.001..=10_000.0).contains(&scale) => Ok(scale),
        _ => Err("a number from 0.001 to 10000".to_owned()),
    }
}

impl Command {
    /// Does it and prints the outcome; an error is the reason in one line.
    pub fn execute(self) -> Result<()> {
        match self {
            Command::Load(args) => load(&args),
            Command::Run(args) => {
                let report = run(&args)?;
                print!("{}", if args.target.json { report.json() } else { report.to_string() });
                report.outcome()
            }
            Command::Check(args) => {
                let report = check(&args)?;
                print!("{}", if args.target.json { report.json() } else { report.to_string() });
                report.outcome()
            }
            Command::Queries(args) if args.schema => {
                schema::CREATE.iter().for_each(|statement| println!("{statement};"));
                Ok(())
            }
            Command::Queries(args) => {
                for number in chosen(&args.queries) {
                    println!("-- Q{number}\n{};", queries::text(number, args.scale).trim_end().trim_end_matches(';'));
                }
                Ok(())
            }
        }
    }
}

/// Makes the tables and fills them.
///
/// # Errors
/// The server's, or that the tables are there already.
pub fn load(args: &LoadArgs) -> Result<()> {
    block_on(load::load(args))
}

/// Times the queries. A run that fails on the way has its reason in the report.
///
/// # Errors
/// What kept it from starting: no server, no load.
pub fn run(args: &RunArgs) -> Result<RunReport> {
    block_on(run::run(args))
}

/// Compares the answers.
///
/// # Errors
/// What kept it from checking; wrong answers are in the report.
pub fn check(args: &CheckArgs) -> Result<CheckReport> {
    block_on(check::check(args))
}

fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(future)
}

/// The queries asked for, all when none is named.
fn chosen(queries: &[u8]) -> Vec<u8> {
    if queries.is_empty() { (1..=22).collect() } else { queries.to_vec() }
}
