//! The consistency conditions 1 to 12 of clause 3.3.2, the cardinalities, and the list of acknowledged orders.
//!
//! Each condition is a query for what violates it. Condition 11 (orders − new orders = 2,100 per district) holds as written only right
//! after loading; with the deliveries counted by `c_delivery_cnt` added to it, it holds at any time, and so it is checked.

use super::orders::{self, Order};
use super::{CheckArgs, DEFAULT_ORDERS, Population, connect, reason};
use anyhow::{Context, Result, anyhow, bail};
use futures_util::TryStreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use tokio_postgres::Client;

/// A condition: its number in clause 3.3.2, what must hold, and a query for the keys (as text) where it does not.
struct Condition {
    number: u32,
    holds: &'static str,
    violations: &'static str,
}

const CONDITIONS: [Condition; 12] = [
    Condition {
        number: 1,
        holds: "w_ytd = sum(d_ytd)",
        violations: "select w_id::text from warehouse
            left join (select d_w_id, sum(d_ytd) as ytd from district group by d_w_id) d on d_w_id = w_id
            where ytd is distinct from w_ytd",
    },
    Condition {
        number: 2,
        holds: "d_next_o_id - 1 = max(o_id) = max(no_o_id)",
        violations: "select d_w_id || '/' || d_id from district
            left join (select o_w_id, o_d_id, max(o_id) as last from orders group by o_w_id, o_d_id) o
                on o_w_id = d_w_id and o_d_id = d_id
            left join (select no_w_id, no_d_id, max(no_o_id) as last_new from new_order group by no_w_id, no_d_id) n
                on no_w_id = d_w_id and no_d_id = d_id
            where d_next_o_id - 1 is distinct from last or coalesce(last_new, last) <> last",
    },
    Condition {
        number: 3,
        holds: "max(no_o_id) - min(no_o_id) + 1 = rows of new_order",
        violations: "select no_w_id || '/' || no_d_id from new_order group by no_w_id, no_d_id
            having max(no_o_id) - min(no_o_id) + 1 <> count(*)",
    },
    Condition {
        number: 4,
        holds: "sum(o_ol_cnt) = rows of order_line",
        violations: "select coalesce(o_w_id, ol_w_id) || '/' || coalesce(o_d_id, ol_d_id) from
            (select o_w_id, o_d_id, sum(o_ol_cnt) as wanted from orders group by o_w_id, o_d_id) o
            full join (select ol_w_id, ol_d_id, count(*) as found from order_line group by ol_w_id, ol_d_id) l
                on ol_w_id = o_w_id and ol_d_id = o_d_id
            where wanted is distinct from found",
    },
    Condition {
        number: 5,
        holds: "o_carrier_id is null exactly for orders in new_order",
        violations:
            "select coalesce(o_w_id, no_w_id) || '/' || coalesce(o_d_id, no_d_id) || '/' || coalesce(o_id, no_o_id)
            from orders full join new_order on no_w_id = o_w_id and no_d_id = o_d_id and no_o_id = o_id
            where o_id is null or (o_carrier_id is null) <> (no_o_id is not null)",
    },
    Condition {
        number: 6,
        holds: "o_ol_cnt = rows of order_line of the order",
        violations:
            "select coalesce(o_w_id, ol_w_id) || '/' || coalesce(o_d_id, ol_d_id) || '/' || coalesce(o_id, ol_o_id)
            from orders full join (select ol_w_id, ol_d_id, ol_o_id, count(*) as found from order_line
                group by ol_w_id, ol_d_id, ol_o_id) l
                on ol_w_id = o_w_id and ol_d_id = o_d_id and ol_o_id = o_id
            where o_ol_cnt is distinct from found",
    },
    Condition {
        number: 7,
        holds: "ol_delivery_d is null exactly where o_carrier_id is",
        violations: "select ol_w_id || '/' || ol_d_id || '/' || ol_o_id || '/' || ol_number
            from order_line left join orders on o_w_id = ol_w_id and o_d_id = ol_d_id and o_id = ol_o_id
            where o_id is null or (ol_delivery_d is null) <> (o_carrier_id is null)",
    },
    Condition {
        number: 8,
        holds: "w_ytd = sum(h_amount)",
        violations: "select w_id::text from warehouse
            left join (select h_w_id, sum(h_amount) as paid from history group by h_w_id) h on h_w_id = w_id
            where paid is distinct from w_ytd",
    },
    Condition {
        number: 9,
        holds: "d_ytd = sum(h_amount)",
        violations: "select d_w_id || '/' || d_id from district
            left join (select h_w_id, h_d_id, sum(h_amount) as paid from history group by h_w_id, h_d_id) h
                on h_w_id = d_w_id and h_d_id = d_id
            where paid is distinct from d_ytd",
    },
    Condition {
        number: 10,
        holds: "c_balance = sum(delivered ol_amount) - sum(h_amount)",
        violations: "select c_w_id || '/' || c_d_id || '/' || c_id from customer
            left join (select o_w_id, o_d_id, o_c_id, sum(ol_amount) as delivered
                from orders join order_line on ol_w_id = o_w_id and ol_d_id = o_d_id and ol_o_id = o_id
                where ol_delivery_d is not null group by o_w_id, o_d_id, o_c_id) o
                on o_w_id = c_w_id and o_d_id = c_d_id and o_c_id = c_id
            left join (select h_c_w_id, h_c_d_id, h_c_id, sum(h_amount) as paid from history
                group by h_c_w_id, h_c_d_id, h_c_id) h
                on h_c_w_id = c_w_id and h_c_d_id = c_d_id and h_c_id = c_id
            where c_balance <> coalesce(delivered, 0) - coalesce(paid, 0)",
    },
    Condition {
        number: 11,
        holds: "orders - new orders - deliveries = 2100 per district",
        violations: "select d_w_id || '/' || d_id from district
            left join (select o_w_id, o_d_id, count(*) as ordered from orders group by o_w_id, o_d_id) o
                on o_w_id = d_w_id and o_d_id = d_id
            left join (select no_w_id, no_d_id, count(*) as waiting from new_order group by no_w_id, no_d_id) n
                on no_w_id = d_w_id and no_d_id = d_id
            left join (select c_w_id, c_d_id, sum(c_delivery_cnt) as delivered from customer group by c_w_id, c_d_id) c
                on c_w_id = d_w_id and c_d_id = d_id
            where coalesce(ordered, 0) - coalesce(waiting, 0) - coalesce(delivered, 0)
                <> (select customers * 7 / 10 from tpcc_population)",
    },
    Condition {
        number: 12,
        holds: "c_balance + c_ytd_payment = sum(delivered ol_amount)",
        violations: "select c_w_id || '/' || c_d_id || '/' || c_id from customer
            left join (select o_w_id, o_d_id, o_c_id, sum(ol_amount) as delivered
                from orders join order_line on ol_w_id = o_w_id and ol_d_id = o_d_id and ol_o_id = o_id
                where ol_delivery_d is not null group by o_w_id, o_d_id, o_c_id) o
                on o_w_id = c_w_id and o_d_id = c_d_id and o_c_id = c_id
            where c_balance + c_ytd_payment <> coalesce(delivered, 0)",
    },
];

/// Rows that there must be, per warehouse, whatever transactions have run.
const CARDINALITIES: &str = "select 'warehouse' where (select count(*) from warehouse) <> $1
    union all select 'district' where (select count(*) from district) <> 10 * $1
    union all select 'customer' where (select count(*) from customer) <> 10 * $1 * $2
    union all select 'item' where (select count(*) from item) <> $3
    union all select 'stock' where (select count(*) from stock) <> $1 * $3";

/// What was checked, and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    pub warehouses: i32,
    pub conditions: Vec<ConditionReport>,
    /// Acknowledged orders that were looked for; none if there is no list.
    pub acknowledged: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ConditionReport {
    /// "1" to "12", "rows" or "orders".
    pub name: String,
    pub holds: String,
    pub violations: u64,
    /// The first few keys that violate it.
    pub examples: Vec<String>,
}

pub(super) async fn check(args: &CheckArgs) -> Result<CheckReport> {
    let client = connect(&args.target.url).await?;
    let population = Population::read(&client).await?;
    if let Some(wanted) = args.warehouses.filter(|wanted| *wanted != population.warehouses) {
        bail!("{} warehouses are loaded, not {wanted}", population.warehouses);
    }
    let list = order_list(args, &population)?;
    let bar = ProgressBar::new(CONDITIONS.len() as u64 + 1 + u64::from(list.is_some()));
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len}  {msg}").expect("the template is well-formed"));
    let mut conditions = vec![cardinalities(&client, &population).await?];
    for condition in &CONDITIONS {
        bar.inc(1);
        bar.set_message(format!("condition {}: {}", condition.number, condition.holds));
        let rows = client.query(condition.violations, &[]).await;
        let rows = rows.map_err(|e| anyhow!("condition {}: {}", condition.number, reason(&e)))?;
        let keys = rows.iter().map(|row| row.try_get::<_, String>(0)).collect::<Result<Vec<_>, _>>()?;
        conditions.push(ConditionReport::new(condition.number.to_string(), condition.holds, keys));
    }
    if let Some(orders) = &list {
        bar.inc(1);
        bar.set_message("acknowledged orders");
        conditions.push(acknowledged(&client, &population, orders).await?);
    }
    bar.finish_and_clear();
    let acknowledged = list.map(|orders| orders.len() as u64);
    Ok(CheckReport { warehouses: population.warehouses, conditions, acknowledged })
}

/// The list that was asked for, or the default one if it is there and of this load.
fn order_list(args: &CheckArgs, population: &Population) -> Result<Option<Vec<Order>>> {
    let path: PathBuf = match &args.orders {
        Some(path) => path.clone(),
        None if Path::new(DEFAULT_ORDERS).exists() => DEFAULT_ORDERS.into(),
        None => return Ok(None),
    };
    let (load, orders) = orders::read(&path)?;
    match (load == population.id, &args.orders) {
        (true, _) => Ok(Some(orders)),
        (false, None) => Ok(None),
        (false, Some(_)) => bail!("the list {} belongs to another load of these tables", path.display()),
    }
}

async fn cardinalities(client: &Client, population: &Population) -> Result<ConditionReport> {
    let [warehouses, customers, items] = [population.warehouses, population.customers, population.items].map(i64::from);
    let rows = client.query(CARDINALITIES, &[&warehouses, &customers, &items]).await;
    let rows = rows.map_err(|e| anyhow!("counting rows: {}", reason(&e)))?;
    let tables = rows.iter().map(|row| row.try_get::<_, String>(0)).collect::<Result<Vec<_>, _>>()?;
    Ok(ConditionReport::new("rows".to_owned(), "the tables that do not grow have all their rows", tables))
}

/// Each acknowledged order must be there with its customer and number of lines; condition 6 sees to the lines themselves.
async fn acknowledged(client: &Client, population: &Population, orders: &[Order]) -> Result<ConditionReport> {
    let query = "select o_w_id, o_d_id, o_id, o_c_id, o_ol_cnt from orders where o_id > $1";
    let rows = client.query_raw(query, [population.customers]).await.map_err(|e| anyhow!("orders: {}", reason(&e)))?;
    let mut rows = pin!(rows);
    let mut there = HashMap::new();
    while let Some(row) = rows.try_next().await.context("orders")? {
        let key: (i32, i32, i32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        there.insert(key, (row.try_get::<_, i32>(3)?, row.try_get::<_, i32>(4)?));
    }
    let lost = orders
        .iter()
        .filter(|o| there.get(&(o.warehouse, o.district, o.order)) != Some(&(o.customer, o.lines)))
        .map(|o| format!("{}/{}/{}", o.warehouse, o.district, o.order))
        .collect();
    Ok(ConditionReport::new("orders".to_owned(), "no acknowledged order is lost", lost))
}

impl ConditionReport {
    fn new(name: String, holds: &str, mut keys: Vec<String>) -> ConditionReport {
        let violations = keys.len() as u64;
        keys.truncate(5);
        ConditionReport { name, holds: holds.to_owned(), violations, examples: keys }
    }
}

impl CheckReport {
    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).expect("a report has no maps with strange keys") + "\n"
    }

    /// An error that names the violated conditions.
    pub fn outcome(&self) -> Result<()> {
        let failed: Vec<_> = self.conditions.iter().filter(|c| c.violations > 0).map(|c| c.name.as_str()).collect();
        if failed.is_empty() {
            return Ok(());
        }
        bail!("violated: {}", failed.join(", "))
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for condition in &self.conditions {
            let verdict = if condition.violations == 0 { "ok" } else { "VIOLATED" };
            write!(f, "{:>6}  {:<62} {verdict}", condition.name, condition.holds)?;
            if condition.violations > 0 {
                write!(f, " at {} keys: {}", condition.violations, condition.examples.join(", "))?;
            }
            writeln!(f)?;
        }
        match self.acknowledged {
            Some(count) => writeln!(f, "{} warehouses, {count} acknowledged orders looked for", self.warehouses),
            None => writeln!(f, "{} warehouses, no list of acknowledged orders", self.warehouses),
        }
    }
}
