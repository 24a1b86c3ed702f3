//! Times of single operations on a cached database, printed: `cargo test -p lightning-storage -- --ignored speed --nocapture`.

use crate::database::*;
use lightning_storage::io::sim::SimIo;
use lightning_storage::*;
use std::time::Instant;

const ROWS: i64 = 100_000;

fn time(what: &str, count: i64, mut each: impl FnMut(i64)) {
    let start = Instant::now();
    (0..count).for_each(&mut each);
    println!("{what:40} {:8.0} ns", start.elapsed().as_nanos() as f64 / count as f64);
}

#[test]
#[ignore = "prints figures"]
fn speed_of_single_operations() {
    let engine = open_with(&SimIo::new(), 256 << 20);
    let (table, unique, _) = make_table(&engine);
    let mut t = begin(&engine);
    let s = t.snapshot();
    time("insert, two indexes, one transaction", ROWS, |id| {
        t.insert(&s, table, &[Value::Int64(id), Value::Int64(id % 100), Value::Bytes(&[3; 100])]).unwrap();
    });
    drop(s);
    commit(&engine, t);
    while engine.clean_step(1000).unwrap() {}
    let mut t = begin(&engine);
    let s = t.snapshot();
    let mut rows = RowBuffer::new();
    let mut random = (0..).map(|i: i64| (i * 7919) % ROWS);
    time("get by row id", ROWS * 10, |_| {
        rows.clear();
        assert!(t.get(&s, table, RowId(random.next().unwrap() as u64 + 1), &mut rows).unwrap());
    });
    time("get by unique key", ROWS * 5, |_| {
        rows.clear();
        let range = KeyRange::prefix(&key(random.next().unwrap()));
        let mut cursor = t.index_cursor(unique, range, Direction::Forward);
        while t.index_next(&s, &mut cursor, 2, &mut rows).unwrap() {}
        assert_eq!(rows.len(), 1);
    });
    time("scan, per row", ROWS, |i| {
        if i % 1000 == 0 {
            rows.clear();
            let from = RowId(i as u64 + 1);
            t.scan(&s, table, from..RowId(from.0 + 1000), 1000, &mut rows).unwrap();
        }
    });
    time("snapshot", ROWS, |_| drop(t.snapshot()));
    drop((s, t));
    time("transaction of one update, no sync", ROWS, |_| {
        let mut t = begin(&engine);
        let row = RowId(random.next().unwrap() as u64 + 1);
        let s = t.snapshot();
        t.update(&s, table, row, Base::Snapshot, &[(ColumnNo(2), Value::Bytes(&[4; 100]))]).unwrap();
        t.commit_async().unwrap();
    });
    time("transaction of one update of an indexed column", ROWS, |i| {
        let mut t = begin(&engine);
        let row = RowId(random.next().unwrap() as u64 + 1);
        let s = t.snapshot();
        t.update(&s, table, row, Base::Snapshot, &[(ColumnNo(1), Value::Int64(i))]).unwrap();
        t.commit_async().unwrap();
    });
    let start = Instant::now();
    while engine.clean_step(1000).unwrap() {}
    println!("clean-up left over: {:?}", start.elapsed());
    let start = Instant::now();
    check(&engine);
    println!("check: {:?}", start.elapsed());
}
