//! Times of the 22 queries.

use super::{RunArgs, chosen, queries};
use crate::connection::{connect, reason};
use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fmt;
use std::time::Instant;
use tokio_postgres::{Client, SimpleQueryMessage};

/// What a run measured.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    pub scale: f64,
    pub queries: Vec<QueryReport>,
    /// Of all queries, the least of each.
    pub total_seconds: f64,
    pub geometric_mean_seconds: f64,
    /// Why the run ended early.
    pub failure: Option<String>,
}

/// One query.
#[derive(Clone, Debug, Serialize)]
pub struct QueryReport {
    pub number: u8,
    pub rows: usize,
    /// The least of its runs.
    pub seconds: f64,
    pub runs: Vec<f64>,
}

/// The scale factor of the load.
pub(super) async fn loaded(client: &Client) -> Result<f64> {
    let row = client.query_opt("select scale from tpch_population", &[]).await;
    let row = row.map_err(|e| anyhow!("no TPC-H tables here, load them first: {}", reason(&e)))?;
    Ok(row.context("the load did not come to its end, load again with --replace")?.try_get(0)?)
}

/// A query's rows as text.
pub(super) async fn rows(client: &Client, text: &str) -> Result<Vec<Vec<Option<String>>>, tokio_postgres::Error> {
    let messages = client.simple_query(text).await?;
    let row = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(row).collect())
}

pub(super) fn bar(count: usize) -> ProgressBar {
    let bar = ProgressBar::new(count as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} queries  {elapsed}  {msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar
}

pub(super) async fn begin(client: &Client, statements: &[String]) -> Result<()> {
    for statement in statements {
        client.batch_execute(statement).await.map_err(|e| anyhow!("{statement}: {}", reason(&e)))?;
    }
    Ok(())
}

pub(super) async fn run(args: &RunArgs) -> Result<RunReport> {
    let client = connect(&args.target.url).await?;
    let scale = loaded(&client).await?;
    begin(&client, &args.begin).await?;
    let chosen = chosen(&args.queries);
    let bar = bar(chosen.len());
    let mut report =
        RunReport { scale, queries: Vec::new(), total_seconds: 0.0, geometric_mean_seconds: 0.0, failure: None };
    for number in chosen {
        bar.set_message(format!("Q{number}"));
        let mut text = queries::text(number, scale);
        if args.reversed {
            text = queries::reversed(&text);
        }
        let mut query = QueryReport { number, rows: 0, seconds: f64::INFINITY, runs: Vec::new() };
        for _ in 0..args.runs {
            let started = Instant::now();
            match rows(&client, &text).await {
                Ok(rows) => query.rows = rows.len(),
                Err(error) => {
                    report.failure = Some(format!("Q{number}: {}", reason(&error)));
                    break;
                }
            }
            let seconds = started.elapsed().as_secs_f64();
            query.seconds = query.seconds.min(seconds);
            query.runs.push(seconds);
        }
        if report.failure.is_some() {
            break;
        }
        report.queries.push(query);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let times: Vec<f64> = report.queries.iter().map(|query| query.seconds).collect();
    report.total_seconds = times.iter().sum();
    let logarithms: f64 = times.iter().map(|seconds| seconds.max(1e-6).ln()).sum();
    report.geometric_mean_seconds = (logarithms / times.len().max(1) as f64).exp();
    Ok(report)
}

impl RunReport {
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("a report has no maps with strange keys") + "\n"
    }

    /// An error if the run did not come to its end.
    pub fn outcome(&self) -> Result<()> {
        match &self.failure {
            Some(failure) => bail!("{failure}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<6} {:>8} {:>10}", "query", "rows", "seconds")?;
        for query in &self.queries {
            writeln!(f, "{:<6} {:>8} {:>10.3}", format!("Q{}", query.number), query.rows, query.seconds)?;
        }
        writeln!(
            f,
            "scale factor {}: total {:.3} s, geometric mean {:.4} s",
            self.scale, self.total_seconds, self.geometric_mean_seconds
        )
    }
}
