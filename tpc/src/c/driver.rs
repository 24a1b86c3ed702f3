//! Terminals at work: the mix, the clock, retries, and the end of a run, expected or not.
//!
//! Every thread has a runtime of its own for its terminals and their connections, so that no answer wakes another thread.

use super::orders::OrderLog;
use super::random::{Constants, Source};
use super::report::{KindReport, Report};
use super::transactions::{Common, Failure, Kind, Outcome, Terminal};
use super::{Population, RunArgs, block_on, connect};
use crate::histogram::Histogram;
use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;

/// A hundred cards: the least shares that clause 5.2.3 allows, and the rest as New-Order.
const DECK: [(Kind, usize); 5] =
    [(Kind::NewOrder, 45), (Kind::Payment, 43), (Kind::OrderStatus, 4), (Kind::Delivery, 4), (Kind::StockLevel, 4)];

/// What the threads share.
struct Shared {
    common: Common,
    log: OrderLog,
    warmup: Duration,
    measured: Duration,
    patience: Duration,
    think: bool,
    began: OnceLock<Instant>,
    /// Set when a terminal fails: the others end too.
    stop: AtomicBool,
    failure: Mutex<Option<(Duration, String)>>,
    orders: AtomicU64,
    transactions: AtomicU64,
}

impl Shared {
    fn elapsed(&self) -> Duration {
        self.began.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    fn over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.elapsed() >= self.warmup + self.measured
    }

    /// The first failure is the run's.
    fn fail(&self, reason: String) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| (self.elapsed(), reason));
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What a terminal has done.
#[derive(Default)]
struct Tally {
    kinds: [KindTally; 5],
    skipped_deliveries: u64,
    serialization_failures: u64,
    deadlocks: u64,
}

#[derive(Default)]
struct KindTally {
    latencies: Histogram,
    retries: u64,
    rolled_back: u64,
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        for (mine, theirs) in self.kinds.iter_mut().zip(&other.kinds) {
            mine.latencies.add(&theirs.latencies);
            mine.retries += theirs.retries;
            mine.rolled_back += theirs.rolled_back;
        }
        self.skipped_deliveries += other.skipped_deliveries;
        self.serialization_failures += other.serialization_failures;
        self.deadlocks += other.deadlocks;
    }
}

pub(super) fn run(args: &RunArgs) -> Result<Report> {
    let population = block_on(async { Population::read(&connect(&args.target.url).await?).await })?;
    let warehouses = args.warehouses.unwrap_or(population.warehouses);
    if warehouses > population.warehouses {
        bail!("{} warehouses are loaded, not {warehouses}", population.warehouses);
    }
    let seed = args.seed.unwrap_or_else(rand::random);
    let constants = Constants::of_run(&mut Source::new(seed, u64::MAX), population.c_last);
    let shared = Arc::new(Shared {
        log: OrderLog::open(&args.orders, population.id)?,
        common: Common {
            url: args.target.url.clone(),
            population,
            constants,
            warehouses,
            isolation: args.isolation,
            unsorted: args.unsorted,
            seed,
        },
        warmup: Duration::from_secs(args.warmup),
        measured: Duration::from_secs(args.seconds),
        patience: Duration::from_secs(args.patience),
        think: args.think,
        began: OnceLock::new(),
        stop: AtomicBool::new(false),
        failure: Mutex::new(None),
        orders: AtomicU64::new(0),
        transactions: AtomicU64::new(0),
    });
    let tally = work(args, &shared)?;
    Ok(report(args, &shared, &tally))
}

/// Starts the threads, shows progress, and waits for all.
fn work(args: &RunArgs, shared: &Arc<Shared>) -> Result<Tally> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    let threads = args.threads.unwrap_or(processors / 2).clamp(1, args.terminals);
    // All threads and this one.
    let ready = Arc::new(Barrier::new(threads as usize + 1));
    let mut workers = Vec::new();
    for thread in 0..threads {
        let (shared, ready, terminals) = (shared.clone(), ready.clone(), args.terminals);
        let numbers = (thread..terminals).step_by(threads as usize).collect();
        let worker = std::thread::Builder::new().name(format!("terminals-{thread}"));
        workers.push(worker.spawn(move || serve(&shared, &ready, numbers)).context("cannot start a thread")?);
    }
    ready.wait();
    if !shared.stop.load(Ordering::Relaxed) {
        show_progress(shared, || workers.iter().all(std::thread::JoinHandle::is_finished));
    }
    let mut tally = Tally::default();
    for worker in workers {
        tally.add(&worker.join().map_err(|_| anyhow!("a terminal's thread panicked"))??);
    }
    Ok(tally)
}

/// One thread's terminals; an error is one that kept them from starting.
fn serve(shared: &Arc<Shared>, ready: &Barrier, numbers: Vec<u32>) -> Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let opened = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let terminals: Result<Vec<_>> = runtime.block_on(async {
            let mut terminals = Vec::new();
            for number in numbers {
                terminals.push(Terminal::open(&shared.common, number).await?);
            }
            Ok(terminals)
        });
        Ok((runtime, terminals?))
    });
    if opened.is_err() {
        shared.stop.store(true, Ordering::Relaxed);
    }
    ready.wait();
    let (runtime, terminals) = opened?;
    shared.began.get_or_init(Instant::now);
    runtime.block_on(async {
        let operators: Vec<_> =
            terminals.into_iter().map(|terminal| tokio::spawn(operate(terminal, shared.clone()))).collect();
        let mut tally = Tally::default();
        for operator in operators {
            tally.add(&operator.await.context("a terminal panicked")?);
        }
        Ok(tally)
    })
}

/// One terminal until the run is over.
async fn operate(mut terminal: Terminal, shared: Arc<Shared>) -> Tally {
    let mut tally = Tally::default();
    let mut deck = Vec::new();
    while !shared.over() {
        let kind = draw_card(&mut deck, &mut terminal.source);
        if shared.think {
            pause(&shared, Duration::from_secs(keying_seconds(kind))).await;
        }
        if let Err(failure) = execute(kind, &mut terminal, &shared, &mut tally).await {
            shared.fail(failure);
            break;
        }
        if shared.think {
            let mean = thinking_seconds(kind);
            let seconds = (-terminal.source.fraction().ln() * mean).min(10.0 * mean);
            pause(&shared, Duration::from_secs_f64(seconds)).await;
        }
    }
    tally
}

/// One transaction, again and again until it comes through; an error ends the run.
async fn execute(kind: Kind, terminal: &mut Terminal, shared: &Shared, tally: &mut Tally) -> Result<(), String> {
    let input = terminal.draw(kind);
    let began = Instant::now();
    let mut retries = 0;
    let outcome = loop {
        let patience = shared.patience;
        let attempt = tokio::time::timeout(patience, terminal.attempt(&input)).await;
        match attempt.map_err(|_| format!("{} had no answer within {} s", kind.name(), patience.as_secs()))? {
            Ok(outcome) => break outcome,
            Err(Failure::Conflict(code)) => {
                retries += 1;
                if code == SqlState::T_R_DEADLOCK_DETECTED {
                    tally.deadlocks += 1;
                } else {
                    tally.serialization_failures += 1;
                }
                if shared.over() {
                    tally.kinds[kind as usize].retries += retries;
                    return Ok(());
                }
            }
            Err(Failure::Gone(reason)) => return Err(format!("the server is gone: {reason}")),
            Err(Failure::Refused(reason)) => return Err(format!("{} was refused: {reason}", kind.name())),
            Err(Failure::Wrong(reason)) => return Err(format!("wrong answer in {}: {reason}", kind.name())),
        }
    };
    if let Outcome::Ordered(order) = &outcome {
        shared.log.note(order).map_err(|e| format!("cannot write {}: {e}", shared.log.path().display()))?;
    }
    let elapsed = shared.elapsed();
    let kind_tally = &mut tally.kinds[kind as usize];
    kind_tally.retries += retries;
    if elapsed < shared.warmup || elapsed > shared.warmup + shared.measured {
        return Ok(());
    }
    shared.transactions.fetch_add(1, Ordering::Relaxed);
    match outcome {
        Outcome::RolledBack => kind_tally.rolled_back += 1,
        Outcome::Committed => kind_tally.latencies.record(began.elapsed()),
        Outcome::Ordered(_) => {
            shared.orders.fetch_add(1, Ordering::Relaxed);
            kind_tally.latencies.record(began.elapsed());
        }
        Outcome::Delivered { skipped } => {
            tally.skipped_deliveries += u64::from(skipped);
            kind_tally.latencies.record(began.elapsed());
        }
    }
    Ok(())
}

fn draw_card(deck: &mut Vec<Kind>, source: &mut Source) -> Kind {
    if let Some(kind) = deck.pop() {
        return kind;
    }
    deck.extend(DECK.iter().flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count)));
    source.shuffle(deck);
    deck.pop().expect("a deck has cards")
}

/// Clause 5.2.5.7.
fn keying_seconds(kind: Kind) -> u64 {
    match kind {
        Kind::NewOrder => 18,
        Kind::Payment => 3,
        Kind::OrderStatus | Kind::Delivery | Kind::StockLevel => 2,
    }
}

/// The mean of the negative exponential distribution.
fn thinking_seconds(kind: Kind) -> f64 {
    match kind {
        Kind::NewOrder | Kind::Payment => 12.0,
        Kind::OrderStatus => 10.0,
        Kind::Delivery | Kind::StockLevel => 5.0,
    }
}

/// Sleeps, but not beyond the end of the run.
async fn pause(shared: &Shared, duration: Duration) {
    let end = Instant::now() + duration;
    while Instant::now() < end && !shared.over() {
        tokio::time::sleep((end - Instant::now()).min(Duration::from_millis(200))).await;
    }
}

fn show_progress(shared: &Shared, finished: impl Fn() -> bool) {
    let total = shared.warmup + shared.measured;
    let bar = ProgressBar::new(total.as_secs());
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} s  {msg}");
    bar.set_style(style.expect("the template is well-formed"));
    while !finished() {
        std::thread::sleep(Duration::from_millis(50));
        let elapsed = shared.elapsed();
        bar.set_position(elapsed.min(total).as_secs());
        let minutes = elapsed.saturating_sub(shared.warmup).as_secs_f64() / 60.0;
        if minutes > 0.0 {
            let orders = shared.orders.load(Ordering::Relaxed);
            let transactions = shared.transactions.load(Ordering::Relaxed);
            bar.set_message(format!("{:.0} tpmC  {transactions} transactions", orders as f64 / minutes));
        }
    }
    bar.finish_and_clear();
}

fn report(args: &RunArgs, shared: &Shared, tally: &Tally) -> Report {
    let failure = shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let seconds = match &failure {
        Some((after, _)) => after.saturating_sub(shared.warmup).min(shared.measured).as_secs_f64(),
        None => shared.measured.as_secs_f64(),
    };
    let kinds: Vec<KindReport> = Kind::ALL
        .iter()
        .zip(&tally.kinds)
        .map(|(kind, tally)| KindReport {
            name: kind.name(),
            committed: tally.latencies.count(),
            rolled_back: tally.rolled_back,
            retries: tally.retries,
            mean_ms: tally.latencies.mean_ms(),
            p50_ms: tally.latencies.quantile_ms(0.5),
            p90_ms: tally.latencies.quantile_ms(0.9),
            p99_ms: tally.latencies.quantile_ms(0.99),
            max_ms: tally.latencies.max_ms(),
        })
        .collect();
    let orders = kinds[Kind::NewOrder as usize].committed;
    Report {
        warehouses: shared.common.warehouses,
        terminals: args.terminals,
        isolation: args.isolation.sql(),
        seconds,
        tpmc: if seconds > 0.0 { orders as f64 * 60.0 / seconds } else { 0.0 },
        transactions: kinds.iter().map(|kind| kind.committed + kind.rolled_back).sum(),
        kinds,
        serialization_failures: tally.serialization_failures,
        deadlocks: tally.deadlocks,
        skipped_deliveries: tally.skipped_deliveries,
        orders: shared.log.path().display().to_string(),
        seed: shared.common.seed,
        failure: failure.map(|(after, reason)| {
            format!(
                "after {:.1} s: {reason}; the acknowledged orders are in {}",
                after.as_secs_f64(),
                shared.log.path().display()
            )
        }),
    }
}
