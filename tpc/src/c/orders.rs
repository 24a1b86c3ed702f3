//! The client's own list of the orders whose COMMIT was acknowledged: what a server may never lose.
//!
//! A text file: a line `tpcc-orders LOAD` (the id in `tpcc_population`), then a line `WAREHOUSE DISTRICT ORDER CUSTOMER LINES` per
//! order, written as soon as the acknowledgement is there. A run on another load begins the file anew.

use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const TITLE: &str = "tpcc-orders";

/// An acknowledged new order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) warehouse: i32,
    pub(super) district: i32,
    pub(super) order: i32,
    pub(super) customer: i32,
    pub(super) lines: i32,
}

/// The list as a run writes it.
#[derive(Debug)]
pub(super) struct OrderLog {
    path: PathBuf,
    file: Mutex<File>,
}

impl OrderLog {
    /// Appends to a list of the same load, or begins a new one.
    pub(super) fn open(path: &Path, load: i64) -> Result<OrderLog> {
        let same = path.exists() && title(path)? == Some(load);
        let mut options = OpenOptions::new();
        let options = if same { options.append(true) } else { options.write(true).create(true).truncate(true) };
        let mut file = options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
        if !same {
            writeln!(file, "{TITLE} {load}").with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(OrderLog { path: path.to_owned(), file: Mutex::new(file) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// One write per order, so that the list is whole even if this program is killed.
    pub(super) fn note(&self, order: &Order) -> std::io::Result<()> {
        let Order { warehouse, district, order, customer, lines } = order;
        let line = format!("{warehouse} {district} {order} {customer} {lines}\n");
        self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write_all(line.as_bytes())
    }
}

/// The list, and the load that it belongs to.
pub(super) fn read(path: &Path) -> Result<(i64, Vec<Order>)> {
    let Some(load) = title(path)? else { bail!("{} is no list of orders", path.display()) };
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut orders = Vec::new();
    for (at, line) in BufReader::new(file).lines().enumerate().skip(1) {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        let fields: Result<Vec<i32>, _> = line.split(' ').map(str::parse).collect();
        match fields.as_deref() {
            Ok(&[warehouse, district, order, customer, lines]) => {
                orders.push(Order { warehouse, district, order, customer, lines });
            }
            _ => bail!("{}, line {}: not an order: {line}", path.display(), at + 1),
        }
    }
    Ok((load, orders))
}

fn title(path: &Path) -> Result<Option<i64>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut line = String::new();
    // What is not text is no list either.
    let _ = BufReader::new(file).read_line(&mut line);
    Ok(line.trim_end().strip_prefix(TITLE).and_then(|rest| rest.trim_start().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_for_its_load_and_begins_anew_for_another() {
        let path = std::env::temp_dir().join(format!("tpcc-orders-test-{}", std::process::id()));
        let order = |order| Order { warehouse: 1, district: 2, order, customer: 7, lines: 5 };
        for (load, number) in [(7, 3001), (7, 3002), (-9, 3003), (-9, 3004)] {
            OrderLog::open(&path, load).unwrap().note(&order(number)).unwrap();
        }
        assert_eq!(read(&path).unwrap(), (-9, vec![order(3003), order(3004)]));
        std::fs::write(&path, "something else\n").unwrap();
        assert!(read(&path).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
