//! Population by clause 4.3.3.1, through COPY.
//!
//! Every warehouse has its own stream of random numbers, so that a seed gives the same rows however many connections load them.

use super::random::{Constants, Source, last_name};
use super::{LoadArgs, Population, connect, reason, schema};
use crate::decimal::Decimal;
use anyhow::{Context, Result, anyhow, bail};
use bytes::{Bytes, BytesMut};
use futures_util::SinkExt;
use futures_util::future::try_join_all;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::{self, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, CopyInSink};

const DISTRICTS: i32 = 10;
const ITEMS: i32 = 100_000;
const CUSTOMERS: i32 = 3_000;
/// H_AMOUNT of the one payment of each customer that the population holds.
const FIRST_PAYMENT_CENTS: i64 = 1_000;
/// Bytes of rows that go out as one CopyData message.
const CHUNK_BYTES: usize = 64 << 10;

pub(super) async fn load(args: &LoadArgs) -> Result<()> {
    let began = Instant::now();
    let client = connect(&args.target.url).await?;
    prepare(&client, args.replace).await?;
    let seed = args.seed.unwrap_or_else(rand::random);
    let mut source = Source::new(seed, u64::MAX);
    let constants = Constants::of_load(&mut source);
    let plan = Plan {
        population: Population {
            id: rand::random(),
            warehouses: args.warehouses,
            customers: CUSTOMERS / args.divisor,
            items: ITEMS / args.divisor,
            c_last: constants.last,
        },
        constants,
        seed,
        now: client.query_one("select localtimestamp(0)::text", &[]).await?.try_get(0)?,
        next: AtomicI32::new(0),
        bar: bar(args),
    };
    let rows = copy_all(args, &plan).await;
    let rows = rows.inspect_err(|_| plan.bar.finish_and_clear())?;
    plan.bar.finish_and_clear();
    let copied = began.elapsed();
    finish(&client, &plan).await?;
    let (seconds, copy_seconds) = (began.elapsed().as_secs_f64(), copied.as_secs_f64());
    if args.target.json {
        let report = serde_json::json!({ "warehouses": args.warehouses, "rows": rows, "seed": seed,
            "copy_seconds": copy_seconds, "seconds": seconds });
        println!("{report}");
    } else {
        println!(
            "loaded {} warehouse{} with {rows} rows in {seconds:.1} s (COPY {copy_seconds:.1} s, {:.0} rows/s; keys and \
             indexes {:.1} s), seed {seed}",
            args.warehouses,
            if args.warehouses == 1 { "" } else { "s" },
            rows as f64 / copy_seconds,
            seconds - copy_seconds
        );
    }
    Ok(())
}

/// What all loading connections share.
struct Plan {
    population: Population,
    constants: Constants,
    seed: u64,
    /// The server's time as text, for all dates of the population.
    now: String,
    /// Next part to load: 0 is the items, others are warehouses.
    next: AtomicI32,
    bar: ProgressBar,
}

/// Makes the empty tables.
async fn prepare(client: &Client, replace: bool) -> Result<()> {
    let there = client
        .query_one(
            "select count(*) from pg_class where relname = 'warehouse' and relkind = 'r' and pg_table_is_visible(oid)",
            &[],
        )
        .await?;
    if there.try_get::<_, i64>(0)? > 0 && !replace {
        bail!("there are TPC-C tables already: pass --replace to drop them");
    }
    if replace {
        for table in schema::TABLES.iter().rev().chain(&["tpcc_population"]) {
            execute(client, &format!("drop table if exists {table}")).await?;
        }
    }
    for statement in schema::CREATE.iter().chain(&[schema::POPULATION]) {
        execute(client, statement).await?;
    }
    Ok(())
}

async fn copy_all(args: &LoadArgs, plan: &Plan) -> Result<u64> {
    let mut loaders = Vec::new();
    for _ in 0..args.connections.min(args.warehouses as u32 + 1) {
        let client = connect(&args.target.url).await?;
        loaders.push(copy_parts(client, plan));
    }
    Ok(try_join_all(loaders).await?.iter().sum())
}

async fn copy_parts(client: Client, plan: &Plan) -> Result<u64> {
    let mut rows = 0;
    loop {
        let part = plan.next.fetch_add(1, Ordering::Relaxed);
        if part > plan.population.warehouses {
            return Ok(rows);
        }
        let source = Source::new(plan.seed, part as u64);
        let mut loader = Loader { client: &client, plan, source, rows: 0 };
        if part == 0 {
            loader.items().await?
        } else {
            loader.warehouse(part).await?
        }
        rows += loader.rows;
    }
}

/// Keys, indexes, statistics, and last the note that the load is whole.
async fn finish(client: &Client, plan: &Plan) -> Result<()> {
    let spinner = if plan.bar.is_hidden() { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
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
    let Population { id, warehouses, customers, items, c_last } = &plan.population;
    client
        .execute(
            "insert into tpcc_population (id, warehouses, customers, items, c_last) values ($1, $2, $3, $4, $5)",
            &[id, warehouses, customers, items, c_last],
        )
        .await
        .map_err(|e| anyhow!("{}", reason(&e)))?;
    // Measurements should not begin with the load's own writes outstanding.
    match client.batch_execute("checkpoint").await {
        Err(error) if error.as_db_error().is_some() => Ok(()),
        other => other.map_err(|e| anyhow!("checkpoint: {}", reason(&e))),
    }
}

async fn execute(client: &Client, statement: &str) -> Result<()> {
    let name = || statement.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    client.batch_execute(statement).await.map_err(|e| anyhow!("{}: {}", name(), reason(&e)))
}

fn bar(args: &LoadArgs) -> ProgressBar {
    let (customers, items) = ((CUSTOMERS / args.divisor) as u64, (ITEMS / args.divisor) as u64);
    // Ten lines an order, three tenths of the orders new; the exact number shows at the end.
    let warehouse = 11 + items + 10 * customers * 3 + 100 * customers + 3 * customers;
    let bar = ProgressBar::new(items + warehouse * args.warehouses as u64);
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {human_pos} rows  {per_sec}  {eta} left  {msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar
}

/// Loads one part over one connection.
struct Loader<'a> {
    client: &'a Client,
    plan: &'a Plan,
    source: Source,
    rows: u64,
}

impl Loader<'_> {
    async fn items(&mut self) -> Result<()> {
        let mut copy = Copy::start(self, "item").await?;
        let items = self.plan.population.items;
        let original = self.source.tenth(items);
        for i in 1..=items {
            let s = &mut self.source;
            let (image, name, price) = (s.uniform(1, 10_000), s.letters(14, 24), s.uniform(100, 10_000));
            let data = s.data(original[i as usize - 1]);
            copy.row(format_args!("{i}\t{image}\t{name}\t{}\t{data}", Decimal::cents(price.into()))).await?;
        }
        self.rows += copy.finish().await?;
        Ok(())
    }

    async fn warehouse(&mut self, w: i32) -> Result<()> {
        let mut copy = Copy::start(self, "warehouse").await?;
        let (name, address, tax) = (self.source.letters(6, 10), self.address(), self.tax());
        let ytd = Decimal::cents(i64::from(DISTRICTS * self.plan.population.customers) * FIRST_PAYMENT_CENTS);
        copy.row(format_args!("{w}\t{name}\t{address}\t{tax}\t{ytd}")).await?;
        self.rows += copy.finish().await?;
        self.districts(w).await?;
        self.stock(w).await?;
        self.customers(w).await?;
        self.history(w).await?;
        self.orders(w).await
    }

    async fn districts(&mut self, w: i32) -> Result<()> {
        let mut copy = Copy::start(self, "district").await?;
        let next = self.plan.population.customers + 1;
        for d in 1..=DISTRICTS {
            let (name, address, tax) = (self.source.letters(6, 10), self.address(), self.tax());
            let ytd = Decimal::cents(i64::from(self.plan.population.customers) * FIRST_PAYMENT_CENTS);
            copy.row(format_args!("{d}\t{w}\t{name}\t{address}\t{tax}\t{ytd}\t{next}")).await?;
        }
        self.rows += copy.finish().await?;
        Ok(())
    }

    async fn stock(&mut self, w: i32) -> Result<()> {
        let mut copy = Copy::start(self, "stock").await?;
        let items = self.plan.population.items;
        let original = self.source.tenth(items);
        let mut row = String::new();
        for i in 1..=items {
            row.clear();
            let s = &mut self.source;
            let _ = write!(row, "{i}\t{w}\t{}", s.uniform(10, 100));
            for _ in 0..DISTRICTS {
                row.push('\t');
                row.push_str(&s.letters(24, 24));
            }
            row.push_str("\t0\t0\t0\t");
            row.push_str(&s.data(original[i as usize - 1]));
            copy.row(format_args!("{row}")).await?;
        }
        self.rows += copy.finish().await?;
        Ok(())
    }

    async fn customers(&mut self, w: i32) -> Result<()> {
        let mut copy = Copy::start(self, "customer").await?;
        let customers = self.plan.population.customers;
        let constants = self.plan.constants;
        for d in 1..=DISTRICTS {
            let bad_credit = self.source.tenth(customers);
            for c in 1..=customers {
                // The first thousand have every name once.
                let name = if c <= 1000 { c - 1 } else { self.source.last(&constants, customers) };
                let credit = if bad_credit[c as usize - 1] { "BC" } else { "GC" };
                let (first, address) = (self.source.letters(8, 16), self.address());
                let (phone, discount) = (self.source.digits(16), Decimal(self.source.uniform(0, 5000).into()));
                let data = self.source.letters(300, 500);
                copy.row(format_args!(
                    "{c}\t{d}\t{w}\t{first}\tOE\t{}\t{address}\t{phone}\t{}\t{credit}\t50000.00\t{discount}\t-10.00\t10.00\t1\t0\t{data}",
                    last_name(name),
                    self.plan.now,
                ))
                .await?;
            }
        }
        self.rows += copy.finish().await?;
        Ok(())
    }

    async fn history(&mut self, w: i32) -> Result<()> {
        let mut copy = Copy::start(self, "history").await?;
        for d in 1..=DISTRICTS {
            for c in 1..=self.plan.population.customers {
                let data = self.source.letters(12, 24);
                copy.row(format_args!("{c}\t{d}\t{w}\t{d}\t{w}\t{}\t10.00\t{data}", self.plan.now)).await?;
            }
        }
        self.rows += copy.finish().await?;
        Ok(())
    }

    /// Orders, their lines, and the last three tenths of them as new.
    async fn orders(&mut self, w: i32) -> Result<()> {
        let (count, delivered) = (self.plan.population.customers, self.plan.population.delivered());
        let now = &self.plan.now;
        let mut lines = Vec::new();
        let mut copy = Copy::start(self, "orders").await?;
        for d in 1..=DISTRICTS {
            let customers = self.source.permutation(count);
            for o in 1..=count {
                let (c, line_count) = (customers[o as usize - 1], self.source.uniform(5, 15));
                let carrier = if o <= delivered { self.source.uniform(1, 10).to_string() } else { "\\N".to_owned() };
                copy.row(format_args!("{o}\t{d}\t{w}\t{c}\t{now}\t{carrier}\t{line_count}\t1")).await?;
                lines.push(line_count);
            }
        }
        self.rows += copy.finish().await?;
        self.order_lines(w, &lines).await?;
        let mut copy = Copy::start(self, "new_order").await?;
        for d in 1..=DISTRICTS {
            for o in delivered + 1..=count {
                copy.row(format_args!("{o}\t{d}\t{w}")).await?;
            }
        }
        self.rows += copy.finish().await?;
        Ok(())
    }

    async fn order_lines(&mut self, w: i32, counts: &[i32]) -> Result<()> {
        let (count, delivered) = (self.plan.population.customers, self.plan.population.delivered());
        let (now, items) = (&self.plan.now, self.plan.population.items);
        let mut copy = Copy::start(self, "order_line").await?;
        for (at, lines) in counts.iter().enumerate() {
            let (d, o) = (at as i32 / count + 1, at as i32 % count + 1);
            for line in 1..=*lines {
                let item = self.source.uniform(1, items);
                let (date, amount) = if o <= delivered {
                    (now.as_str(), Decimal::default())
                } else {
                    ("\\N", Decimal::cents(self.source.uniform(1, 999_999).into()))
                };
                let place = self.source.letters(24, 24);
                copy.row(format_args!("{o}\t{d}\t{w}\t{line}\t{item}\t{w}\t{date}\t5\t{amount}\t{place}")).await?;
            }
        }
        self.rows += copy.finish().await?;
        Ok(())
    }

    /// Two streets, city, state and zip as fields of a row.
    fn address(&mut self) -> String {
        let s = &mut self.source;
        let (street_1, street_2, city) = (s.letters(10, 20), s.letters(10, 20), s.letters(10, 20));
        format!("{street_1}\t{street_2}\t{city}\t{}\t{}", s.state(), s.zip())
    }

    fn tax(&mut self) -> Decimal {
        Decimal(self.source.uniform(0, 2000).into())
    }
}

/// A COPY FROM STDIN under way.
struct Copy {
    table: &'static str,
    sink: Pin<Box<CopyInSink<Bytes>>>,
    chunk: BytesMut,
    rows_in_chunk: u64,
    bar: ProgressBar,
}

impl Copy {
    async fn start(loader: &Loader<'_>, table: &'static str) -> Result<Copy> {
        let sink = loader.client.copy_in(&format!("copy {table} from stdin")).await;
        let sink = Box::pin(sink.map_err(|e| anyhow!("copy {table}: {}", reason(&e)))?);
        let bar = loader.plan.bar.clone();
        bar.set_message(table);
        Ok(Copy { table, sink, chunk: BytesMut::with_capacity(CHUNK_BYTES + 1024), rows_in_chunk: 0, bar })
    }

    async fn row(&mut self, row: fmt::Arguments<'_>) -> Result<()> {
        self.chunk.write_fmt(row).context("rows are text")?;
        self.chunk.extend_from_slice(b"\n");
        self.rows_in_chunk += 1;
        if self.chunk.len() >= CHUNK_BYTES {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<()> {
        let chunk = std::mem::replace(&mut self.chunk, BytesMut::with_capacity(CHUNK_BYTES + 1024));
        self.sink.send(chunk.freeze()).await.map_err(|e| anyhow!("copy {}: {}", self.table, reason(&e)))?;
        self.bar.inc(std::mem::take(&mut self.rows_in_chunk));
        Ok(())
    }

    /// Rows that the server has taken.
    async fn finish(mut self) -> Result<u64> {
        self.send().await?;
        self.sink.as_mut().finish().await.map_err(|e| anyhow!("copy {}: {}", self.table, reason(&e)))
    }
}
