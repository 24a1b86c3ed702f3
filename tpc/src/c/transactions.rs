//! The five transactions of clauses 2.4 to 2.8, as one terminal executes them.
//!
//! An input is drawn once and kept for retries. Every answer is looked at: a missing row, a wrong count or an order number that
//! cannot be is [`Failure::Wrong`].

use super::orders::Order;
use super::random::{Constants, Source, last_name};
use super::statements::Statements;
use super::{Isolation, Population, connect, reason};
use crate::decimal::Decimal;
use anyhow::{Context, Result};
use std::time::SystemTime;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

/// The transaction types, in the order of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    NewOrder,
    Payment,
    OrderStatus,
    Delivery,
    StockLevel,
}

impl Kind {
    pub(super) const ALL: [Kind; 5] =
        [Kind::NewOrder, Kind::Payment, Kind::OrderStatus, Kind::Delivery, Kind::StockLevel];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::NewOrder => "New-Order",
            Kind::Payment => "Payment",
            Kind::OrderStatus => "Order-Status",
            Kind::Delivery => "Delivery",
            Kind::StockLevel => "Stock-Level",
        }
    }
}

/// How a transaction came to its end.
pub(super) enum Outcome {
    Committed,
    /// Committed and acknowledged.
    Ordered(Order),
    /// A New-Order with an unused item, as one of a hundred must be.
    RolledBack,
    /// Committed; in so many districts nothing waited for delivery.
    Delivered {
        skipped: u32,
    },
}

/// Why a transaction did not.
#[derive(Debug)]
pub(super) enum Failure {
    /// 40001 or 40P01: to be tried again.
    Conflict(SqlState),
    /// The connection is lost.
    Gone(String),
    /// The server refused a statement.
    Refused(String),
    /// The server answered, but not with what must be there.
    Wrong(String),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        match error.code() {
            Some(code) if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) => {
                Failure::Conflict(code.clone())
            }
            // 57P01 to 57P03: shut down, crashed, not up yet.
            Some(code) if code.code().starts_with("57P") => Failure::Gone(reason(&error)),
            Some(_) => Failure::Refused(reason(&error)),
            None if error.is_closed() || is_io(&error) => Failure::Gone(reason(&error)),
            None => Failure::Wrong(reason(&error)),
        }
    }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

type Done<T> = Result<T, Failure>;

fn wrong<T>(what: impl Into<String>) -> Done<T> {
    Err(Failure::Wrong(what.into()))
}

/// How a customer is named: 60 % by last name.
#[derive(Debug)]
pub(super) enum Who {
    Id(i32),
    LastName(String),
}

#[derive(Debug)]
pub(super) struct Line {
    item: i32,
    supplier: i32,
    quantity: i32,
}

/// What the terminal's user has typed.
#[derive(Debug)]
pub(super) enum Input {
    NewOrder { district: i32, customer: i32, lines: Vec<Line> },
    Payment { district: i32, customer_warehouse: i32, customer_district: i32, who: Who, amount: Decimal },
    OrderStatus { district: i32, who: Who },
    Delivery { carrier: i32 },
    StockLevel { threshold: i32 },
}

/// One connection with a home warehouse.
pub(super) struct Terminal {
    client: Client,
    statements: Statements,
    begin: String,
    pub(super) source: Source,
    constants: Constants,
    population: Population,
    warehouses: i32,
    home: i32,
    /// Where Stock-Level looks.
    district: i32,
    unsorted: bool,
}

/// What all terminals of a run have in common.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) url: String,
    pub(super) population: Population,
    pub(super) constants: Constants,
    /// Of these the run uses the first so many.
    pub(super) warehouses: i32,
    pub(super) isolation: Isolation,
    pub(super) unsorted: bool,
    pub(super) seed: u64,
}

impl Terminal {
    /// Connects and prepares; `number` counts from 0.
    pub(super) async fn open(common: &Common, number: u32) -> Result<Terminal> {
        let client = connect(&common.url).await?;
        let statements = Statements::prepare(&client).await;
        let statements =
            statements.map_err(|e| anyhow::anyhow!(reason(&e))).context("cannot prepare the statements")?;
        Ok(Terminal {
            client,
            statements,
            begin: format!("begin isolation level {}", common.isolation.sql()),
            source: Source::new(common.seed, u64::from(number)),
            constants: common.constants,
            population: common.population.clone(),
            warehouses: common.warehouses,
            home: number as i32 % common.warehouses + 1,
            district: number as i32 / common.warehouses % 10 + 1,
            unsorted: common.unsorted,
        })
    }

    /// Draws the input of one transaction.
    pub(super) fn draw(&mut self, kind: Kind) -> Input {
        let district = self.source.uniform(1, 10);
        match kind {
            Kind::NewOrder => self.draw_order(district),
            Kind::Payment => {
                let (customer_warehouse, customer_district) = if self.warehouses > 1 && self.source.percent(15) {
                    (self.other_warehouse(), self.source.uniform(1, 10))
                } else {
                    (self.home, district)
                };
                let amount = Decimal::cents(self.source.uniform(100, 500_000).into());
                Input::Payment { district, customer_warehouse, customer_district, who: self.draw_who(), amount }
            }
            Kind::OrderStatus => Input::OrderStatus { district, who: self.draw_who() },
            Kind::Delivery => Input::Delivery { carrier: self.source.uniform(1, 10) },
            Kind::StockLevel => Input::StockLevel { threshold: self.source.uniform(10, 20) },
        }
    }

    fn draw_order(&mut self, district: i32) -> Input {
        let customer = self.source.customer(&self.constants, self.population.customers);
        let count = self.source.uniform(5, 15);
        let mut lines = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let item = self.source.item(&self.constants, self.population.items);
            let remote = self.warehouses > 1 && self.source.percent(1);
            let supplier = if remote { self.other_warehouse() } else { self.home };
            lines.push(Line { item, supplier, quantity: self.source.uniform(1, 10) });
        }
        if !self.unsorted {
            lines.sort_unstable_by_key(|line| (line.supplier, line.item));
        }
        if self.source.percent(1) {
            let last = lines.last_mut().expect("at least five lines");
            last.item = self.population.items + 1;
        }
        Input::NewOrder { district, customer, lines }
    }

    fn draw_who(&mut self) -> Who {
        if self.source.percent(60) {
            Who::LastName(last_name(self.source.last(&self.constants, self.population.customers)))
        } else {
            Who::Id(self.source.customer(&self.constants, self.population.customers))
        }
    }

    fn other_warehouse(&mut self) -> i32 {
        let other = self.source.uniform(1, self.warehouses - 1);
        if other >= self.home { other + 1 } else { other }
    }

    /// One attempt; after a failure other than a lost connection the terminal is ready for the next one.
    pub(super) async fn attempt(&self, input: &Input) -> Done<Outcome> {
        let done = self.transaction(input).await;
        match &done {
            Ok(_) | Err(Failure::Gone(_)) => done,
            Err(_) => {
                self.client.batch_execute("rollback").await?;
                done
            }
        }
    }

    async fn transaction(&self, input: &Input) -> Done<Outcome> {
        self.client.batch_execute(&self.begin).await?;
        let outcome = match input {
            Input::NewOrder { district, customer, lines } => self.new_order(*district, *customer, lines).await?,
            Input::Payment { district, customer_warehouse, customer_district, who, amount } => {
                self.payment(*district, (*customer_warehouse, *customer_district), who, *amount).await?
            }
            Input::OrderStatus { district, who } => self.order_status(*district, who).await?,
            Input::Delivery { carrier } => self.delivery(*carrier).await?,
            Input::StockLevel { threshold } => self.stock_level(*threshold).await?,
        };
        let end = if matches!(outcome, Outcome::RolledBack) { "rollback" } else { "commit" };
        self.client.batch_execute(end).await?;
        Ok(outcome)
    }

    /// Clause 2.4.
    async fn new_order(&self, d: i32, c: i32, lines: &[Line]) -> Done<Outcome> {
        let (w, st) = (self.home, &self.statements);
        let warehouse_tax: Decimal = self.one(&st.warehouse_tax, &[&w]).await?.try_get(0)?;
        let district = self.one(&st.next_order, &[&w, &d]).await?;
        let (o, district_tax): (i32, Decimal) = (district.try_get(0)?, district.try_get(1)?);
        if o <= self.population.customers {
            return wrong(format!("order number {o} of district {w}/{d} was given at loading already"));
        }
        let customer = self.one(&st.customer_discount, &[&w, &d, &c]).await?;
        let discount: Decimal = customer.try_get(0)?;
        let count = lines.len() as i32;
        let local = i32::from(lines.iter().all(|line| line.supplier == w));
        self.write(&st.insert_order, &[&o, &d, &w, &c, &count, &local], 1).await?;
        self.write(&st.insert_new_order, &[&o, &d, &w], 1).await?;
        let mut sum = 0.0;
        for (line, number) in lines.iter().zip(1i32..) {
            let found = self.client.query_opt(&st.item, &[&line.item]).await?;
            let item = match (found, line.item > self.population.items) {
                (Some(item), false) => item,
                (None, true) => return Ok(Outcome::RolledBack),
                (found, _) => return wrong(format!("item {} is there: {}", line.item, found.is_some())),
            };
            let amount = item.try_get::<_, Decimal>(0)?.times(line.quantity);
            let remote = i32::from(line.supplier != w);
            let take = &st.take_stock[d as usize - 1];
            let stock = self.one(take, &[&line.supplier, &line.item, &line.quantity, &remote]).await?;
            let (place, left): (&str, i32) = (stock.try_get(0)?, stock.try_get(1)?);
            if !(10..=100).contains(&left) {
                return wrong(format!("{left} of item {} are in stock of warehouse {}", line.item, line.supplier));
            }
            self.write(
                &st.insert_line,
                &[&o, &d, &w, &number, &line.item, &line.supplier, &line.quantity, &amount, &place],
                1,
            )
            .await?;
            sum += amount.to_f64();
        }
        // What the terminal shows.
        let _total = sum * (1.0 - discount.to_f64()) * (1.0 + warehouse_tax.to_f64() + district_tax.to_f64());
        Ok(Outcome::Ordered(Order { warehouse: w, district: d, order: o, customer: c, lines: count }))
    }

    /// Clause 2.5.
    async fn payment(&self, d: i32, (c_w, c_d): (i32, i32), who: &Who, amount: Decimal) -> Done<Outcome> {
        let (w, st) = (self.home, &self.statements);
        let warehouse = self.one(&st.pay_warehouse, &[&w, &amount]).await?;
        let district = self.one(&st.pay_district, &[&w, &d, &amount]).await?;
        let c = self.find_customer(c_w, c_d, who).await?;
        let customer = self.one(&st.pay_customer, &[&c_w, &c_d, &c, &amount]).await?;
        let (last, credit): (&str, &str) = (customer.try_get(2)?, customer.try_get(10)?);
        if matches!(who, Who::LastName(name) if name != last) {
            return wrong(format!("customer {c_w}/{c_d}/{c} is {last}, not the one asked for"));
        }
        if credit == "BC" {
            let note = format!("{c} {c_d} {c_w} {d} {w} {amount} | ");
            let data = self.one(&st.note_payment, &[&c_w, &c_d, &c, &note]).await?;
            if !data.try_get::<_, &str>(0)?.starts_with(&note) {
                return wrong(format!("the payment is not noted in c_data of customer {c_w}/{c_d}/{c}"));
            }
        }
        let names: (&str, &str) = (warehouse.try_get(0)?, district.try_get(0)?);
        let data = format!("{}    {}", names.0, names.1);
        self.write(&st.insert_history, &[&c, &c_d, &c_w, &d, &w, &amount, &data], 1).await?;
        Ok(Outcome::Committed)
    }

    /// Clause 2.6.
    async fn order_status(&self, d: i32, who: &Who) -> Done<Outcome> {
        let (w, st) = (self.home, &self.statements);
        let c = self.find_customer(w, d, who).await?;
        let customer = self.one(&st.customer_status, &[&w, &d, &c]).await?;
        let _balance: Decimal = customer.try_get(3)?;
        let order = self.one(&st.last_order, &[&w, &d, &c]).await?;
        let (o, count): (i32, i32) = (order.try_get(0)?, order.try_get(3)?);
        let (_entered, carrier): (SystemTime, Option<i32>) = (order.try_get(1)?, order.try_get(2)?);
        let lines = self.client.query(&st.order_lines, &[&w, &d, &o]).await?;
        if lines.len() != count as usize {
            return wrong(format!("order {w}/{d}/{o} has {} lines, not {count}", lines.len()));
        }
        for line in &lines {
            // At READ COMMITTED a delivery may come between the two statements, not so the other way round.
            if carrier.is_some() && line.try_get::<_, Option<SystemTime>>(4)?.is_none() {
                return wrong(format!("order {w}/{d}/{o} is delivered, a line of it is not"));
            }
        }
        Ok(Outcome::Committed)
    }

    /// Clause 2.7, for all districts in one transaction.
    async fn delivery(&self, carrier: i32) -> Done<Outcome> {
        let (w, st) = (self.home, &self.statements);
        let mut skipped = 0;
        for d in 1..=10i32 {
            let Some(oldest) = self.client.query_opt(&st.oldest_new_order, &[&w, &d]).await? else {
                skipped += 1;
                continue;
            };
            let o: i32 = oldest.try_get(0)?;
            self.write(&st.delete_new_order, &[&w, &d, &o], 1).await?;
            let c: i32 = self.one(&st.deliver_order, &[&w, &d, &o, &carrier]).await?.try_get(0)?;
            let lines = self.client.execute(&st.deliver_lines, &[&w, &d, &o]).await?;
            if !(5..=15).contains(&lines) {
                return wrong(format!("order {w}/{d}/{o} has {lines} lines"));
            }
            let amount: Decimal = self.one(&st.order_amount, &[&w, &d, &o]).await?.try_get(0)?;
            self.write(&st.deliver_customer, &[&w, &d, &c, &amount], 1).await?;
        }
        Ok(Outcome::Delivered { skipped })
    }

    /// Clause 2.8.
    async fn stock_level(&self, threshold: i32) -> Done<Outcome> {
        let (w, d, st) = (self.home, self.district, &self.statements);
        let next: i32 = self.one(&st.next_order_of, &[&w, &d]).await?.try_get(0)?;
        let low: i64 = self.one(&st.low_stock, &[&w, &d, &next, &threshold]).await?.try_get(0)?;
        if !(0..=300).contains(&low) {
            return wrong(format!("{low} items of 20 orders are low in stock"));
        }
        Ok(Outcome::Committed)
    }

    /// By last name: the middle one by first name, rounded up (clause 2.5.2.2).
    async fn find_customer(&self, w: i32, d: i32, who: &Who) -> Done<i32> {
        let name = match who {
            Who::Id(c) => return Ok(*c),
            Who::LastName(name) => name,
        };
        let found = self.client.query(&self.statements.customers_by_name, &[&w, &d, name]).await?;
        match found.get(found.len().saturating_sub(1) / 2) {
            Some(row) => Ok(row.try_get(0)?),
            None => wrong(format!("no customer of district {w}/{d} is called {name}")),
        }
    }

    /// The one row that must be there.
    async fn one(&self, statement: &Statement, parameters: &[&(dyn ToSql + Sync)]) -> Done<Row> {
        let mut rows = self.client.query(statement, parameters).await?;
        match rows.pop() {
            Some(row) if rows.is_empty() => Ok(row),
            found => {
                let count = rows.len() + usize::from(found.is_some());
                wrong(format!("{count} rows instead of 1 for {parameters:?}"))
            }
        }
    }

    async fn write(&self, statement: &Statement, parameters: &[&(dyn ToSql + Sync)], rows: u64) -> Done<()> {
        let written = self.client.execute(statement, parameters).await?;
        if written == rows {
            Ok(())
        } else {
            wrong(format!("{written} rows written instead of {rows} for {parameters:?}"))
        }
    }
}
