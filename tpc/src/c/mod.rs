//! TPC-C (revision 5.11): order entry, as a load, a run and a check.
//!
//! | file | what is in it |
//! |---|---|
//! | `schema` | tables, keys, indexes |
//! | `random` | the standard's random values |
//! | `load` | population by clause 4.3, through COPY |
//! | `statements` | the prepared statements |
//! | `transactions` | what a terminal does in each of the five transactions |
//! | `driver` | terminals, mix, retries |
//! | `orders` | the list of acknowledged orders |
//! | `report` | figures of a run |
//! | `check` | the consistency conditions of clause 3.3.2 |
//!
//! Deliberately otherwise than the standard: no keying and think times unless asked for, so that a few terminals drive a server
//! to its limit; Delivery is executed by its terminal at once instead of being queued; orders rolled back by rule do not count for
//! tpmC. The figures are thus for comparing servers on one machine and are not results in the sense of the TPC.

mod check;
mod driver;
mod load;
mod orders;
mod random;
mod report;
mod schema;
mod statements;
mod transactions;

use crate::connection::{connect, reason};
use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use tokio_postgres::Client;

pub use crate::connection::Target;
pub use check::CheckReport;
pub use report::Report;

/// What to do with TPC-C.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the tables and fill them (clause 4.3); prints what it made
    Load(LoadArgs),
    /// Run the five transactions from many terminals for some time; prints tpmC and latencies
    Run(RunArgs),
    /// Check the consistency conditions (clause 3.3.2), and that no acknowledged order is lost
    Check(CheckArgs),
}

#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    #[command(flatten)]
    pub target: Target,
    /// Scale: each warehouse has 100,000 stock items, 30,000 customers and as many orders (about 100 MB)
    #[arg(long, short, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    pub warehouses: i32,
    /// Connections that load at the same time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub connections: u32,
    /// Drop tables of an earlier load first
    #[arg(long)]
    pub replace: bool,
    /// The same number gives the same rows; without it they differ from load to load
    #[arg(long)]
    pub seed: Option<u64>,
    /// Divide the numbers of items and of customers per district by this, for quick tests; figures of such a run are not TPC-C's
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=100))]
    pub divisor: i32,
}

/// Transaction isolation of the terminals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Isolation {
    /// PostgreSQL's default; the statements lock what they decide on
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    fn sql(self) -> &'static str {
        match self {
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
        }
    }
}

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub target: Target,
    /// Use this many of the loaded warehouses [default: all]
    #[arg(long, short, value_parser = clap::value_parser!(i32).range(1..))]
    pub warehouses: Option<i32>,
    /// Connections, spread over the warehouses
    #[arg(long, short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub terminals: u32,
    /// Seconds that are measured
    #[arg(long, short, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// Seconds before these that are not measured
    #[arg(long, default_value_t = 0)]
    pub warmup: u64,
    /// Isolation level of every transaction
    #[arg(long, value_enum, default_value_t = Isolation::ReadCommitted)]
    pub isolation: Isolation,
    /// Wait between transactions as the standard's people do (clause 5.2.5.7): 12.86 tpmC per warehouse at most, with 10 terminals each
    #[arg(long)]
    pub think: bool,
    /// Take an order's items as drawn, not in ascending order: orders deadlock now and then, and are retried
    #[arg(long)]
    pub unsorted: bool,
    /// Threads of this program [default: half of the processors]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Seconds after which a transaction without an answer ends the run with an error
    #[arg(long, default_value_t = 60)]
    pub patience: u64,
    /// Where every new order is noted as soon as its COMMIT is acknowledged; a later run on the same load appends
    #[arg(long, default_value = "tpcc-orders.txt")]
    pub orders: PathBuf,
    /// Seed of the terminals' random numbers
    #[arg(long)]
    pub seed: Option<u64>,
}

#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub target: Target,
    /// How many warehouses there must be [default: as loaded]
    #[arg(long, short)]
    pub warehouses: Option<i32>,
    /// The list of acknowledged orders that a run kept: each must be in the database [default: tpcc-orders.txt, if it belongs to this load]
    #[arg(long)]
    pub orders: Option<PathBuf>,
}

/// Where `run` notes orders and `check` looks for them, when nothing else is said.
const DEFAULT_ORDERS: &str = "tpcc-orders.txt";

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

/// Runs the mix. A run that fails on the way has its reason in the report, with what was measured until then.
///
/// # Errors
/// What kept it from starting: no server, no load.
pub fn run(args: &RunArgs) -> Result<Report> {
    driver::run(args)
}

/// Checks the database.
///
/// # Errors
/// What kept it from checking; violated conditions are in the report.
pub fn check(args: &CheckArgs) -> Result<CheckReport> {
    block_on(check::check(args))
}

fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// What a load made, kept in table `tpcc_population` (the standard's schema does not have it): `run` must know C-Load of clause
/// 2.1.6.1, and an order list belongs to one load.
#[derive(Clone, Debug)]
struct Population {
    /// Random; names the load.
    id: i64,
    warehouses: i32,
    /// Customers per district.
    customers: i32,
    items: i32,
    /// C-Load for C_LAST.
    c_last: i32,
}

impl Population {
    async fn read(client: &Client) -> Result<Population> {
        let row = client
            .query_opt("select id, warehouses, customers, items, c_last from tpcc_population", &[])
            .await
            .map_err(|e| anyhow!("no TPC-C tables here, load them first: {}", reason(&e)))?
            .context("the load did not come to its end, load again with --replace")?;
        Ok(Population {
            id: row.try_get(0)?,
            warehouses: row.try_get(1)?,
            customers: row.try_get(2)?,
            items: row.try_get(3)?,
            c_last: row.try_get(4)?,
        })
    }

    /// Orders of each district that are loaded as delivered (2,100 of 3,000).
    fn delivered(&self) -> i32 {
        self.customers * 7 / 10
    }
}
