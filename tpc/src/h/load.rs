//! The standard's data, made by `tpchgen` part by part and streamed through COPY.

use super::LoadArgs;
use super::schema;
use crate::connection::{connect, reason};
use anyhow::{Result, anyhow, bail};
use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use futures_util::future::try_join_all;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

/// Bytes of rows that go out as one CopyData message.
const CHUNK_BYTES: usize = 64 << 10;
/// Rows of lineitem that a part holds, about; the others are cut into as many parts.
const PART_ROWS: f64 = 1_500_000.0;

/// One COPY: a part of a table.
struct Part {
    table: &'static str,
    part: i32,
    parts: i32,
}

pub(super) async fn load(args: &LoadArgs) -> Result<()> {
    let began = Instant::now();
    let client = connect(&args.target.url).await?;
    prepare(&client, args.replace).await?;
    let parts = parts(args.scale);
    let bar = ProgressBar::new((8_661_245.0 * args.scale) as u64);
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {human_pos} rows  {per_sec}  {eta} left  {msg}");
    bar.set_style(style.expect("the template is well-formed"));
    let next = AtomicUsize::new(0);
    let mut loaders = Vec::new();
    for _ in 0..args.connections {
        loaders.push(copy_parts(args, &parts, &next, &bar));
    }
    let rows = try_join_all(loaders).await;
    bar.finish_and_clear();
    let rows: u64 = rows?.iter().sum();
    let copied = began.elapsed();
    finish(&client, &bar, args.scale).await?;
    let (seconds, copy_seconds) = (began.elapsed().as_secs_f64(), copied.as_secs_f64());
    if args.target.json {
        let report = serde_json::json!({ "scale": args.scale, "rows": rows, "copy_seconds": copy_seconds,
            "seconds": seconds });
        println!("{report}");
    } else {
        println!(
            "loaded scale factor {} with {rows} rows in {seconds:.1} s (COPY {copy_seconds:.1} s, {:.0} rows/s; keys and \
             statistics {:.1} s)",
            args.scale,
            rows as f64 / copy_seconds,
            seconds - copy_seconds
        );
    }
    Ok(())
}

/// The parts to copy, the largest tables first, so that connections end together.
fn parts(scale: f64) -> Vec<Part> {
    let mut all = Vec::new();
    for (table, rows) in [
        ("lineitem", 6e6),
        ("orders", 1.5e6),
        ("partsupp", 8e5),
        ("part", 2e5),
        ("customer", 1.5e5),
        ("supplier", 1e4),
        ("nation", 0.0),
        ("region", 0.0),
    ] {
        let parts = (rows * scale / PART_ROWS).ceil().max(1.0) as i32;
        all.extend((1..=parts).map(|part| Part { table, part, parts }));
    }
    all
}

/// Makes the empty tables.
async fn prepare(client: &Client, replace: bool) -> Result<()> {
    let there = client
        .query_one(
            "select count(*) from pg_class where relname = 'lineitem' and relkind = 'r' and pg_table_is_visible(oid)",
            &[],
        )
        .await?;
    if there.try_get::<_, i64>(0)? > 0 && !replace {
        bail!("there are TPC-H tables already: pass --replace to drop them");
    }
    if replace {
        for table in schema::TABLES.iter().rev().chain(&["tpch_population"]) {
            execute(client, &format!("drop table if exists {table}")).await?;
        }
    }
    for statement in schema::CREATE {
        execute(client, statement).await?;
    }
    Ok(())
}

/// Keys, statistics, and last the note that the load is whole.
async fn finish(client: &Client, bar: &ProgressBar, scale: f64) -> Result<()> {
    let spinner = if bar.is_hidden() { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    spinner.enable_steady_tick(Duration::from_millis(100));
    for statement in schema::KEYS {
        spinner.set_message(statement);
        execute(client, statement).await?;
    }
    for table in schema::TABLES {
        spinner.set_message(format!("statistics of {table}"));
        match client.batch_execute(&format!("vacuum analyze {table}")).await {
            // Statistics help a server that has them.
            Err(error) if error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED) => {}
            other => other.map_err(|e| anyhow!("vacuum analyze {table}: {}", reason(&e)))?,
        }
    }
    spinner.finish_and_clear();
    execute(client, &format!("insert into tpch_population values ({scale})")).await?;
    // Measurements should not begin with the load's own writes outstanding.
    match client.batch_execute("checkpoint").await {
        Err(error) if error.as_db_error().is_some() => Ok(()),
        other => other.map_err(|e| anyhow!("checkpoint: {}", reason(&e))),
    }
}

async fn execute(client: &Client, statement: &str) -> Result<()> {
    let name = || statement.split_whitespace().take(5).collect::<Vec<_>>().join(" ");
    client.batch_execute(statement).await.map_err(|e| anyhow!("{}: {}", name(), reason(&e)))
}

async fn copy_parts(args: &LoadArgs, parts: &[Part], next: &AtomicUsize, bar: &ProgressBar) -> Result<u64> {
    let client = connect(&args.target.url).await?;
    let mut rows = 0;
    while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
        bar.set_message(part.table);
        rows += copy_part(&client, part, args.scale, bar).await?;
    }
    Ok(rows)
}

async fn copy_part(client: &Client, part: &Part, scale: f64, bar: &ProgressBar) -> Result<u64> {
    let Part { table, part, parts } = *part;
    match table {
        "lineitem" => copy(client, table, LineItemGenerator::new(scale, part, parts).iter(), bar).await,
        "orders" => copy(client, table, OrderGenerator::new(scale, part, parts).iter(), bar).await,
        "partsupp" => copy(client, table, PartSuppGenerator::new(scale, part, parts).iter(), bar).await,
        "part" => copy(client, table, PartGenerator::new(scale, part, parts).iter(), bar).await,
        "customer" => copy(client, table, CustomerGenerator::new(scale, part, parts).iter(), bar).await,
        "supplier" => copy(client, table, SupplierGenerator::new(scale, part, parts).iter(), bar).await,
        "nation" => copy(client, table, NationGenerator::new(scale, part, parts).iter(), bar).await,
        "region" => copy(client, table, RegionGenerator::new(scale, part, parts).iter(), bar).await,
        other => bail!("no generator for {other}"),
    }
}

/// Streams rows, in the standard's form `a|b|…|`, whose last delimiter COPY does not have.
async fn copy<R: Display>(
    client: &Client,
    table: &str,
    rows: impl Iterator<Item = R>,
    bar: &ProgressBar,
) -> Result<u64> {
    let failed = |e: tokio_postgres::Error| anyhow!("copy {table}: {}", reason(&e));
    let sink = client.copy_in::<_, Bytes>(&format!("copy {table} from stdin with (delimiter '|')")).await;
    let mut sink = Box::pin(sink.map_err(failed)?);
    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES + 1024);
    let mut pending = 0;
    for row in rows {
        write!(chunk, "{row}")?;
        let end = chunk.len() - 1;
        chunk[end] = b'\n';
        pending += 1;
        if chunk.len() >= CHUNK_BYTES {
            let full = std::mem::replace(&mut chunk, BytesMut::with_capacity(CHUNK_BYTES + 1024));
            sink.send(full.freeze()).await.map_err(failed)?;
            bar.inc(std::mem::take(&mut pending));
        }
    }
    sink.send(chunk.freeze()).await.map_err(failed)?;
    bar.inc(pending);
    sink.as_mut().finish().await.map_err(failed)
}
