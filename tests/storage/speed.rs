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

/// TPC-B's transaction by eight sessions on one hot row, commits waited for: prints the rate, and loses nothing.
#[test]
#[ignore = "prints figures"]
fn speed_of_sessions_on_a_hot_row() {
    const SESSIONS: i64 = 8;
    const EACH: i64 = 2000;
    let engine = open_with(&SimIo::new(), 256 << 20);
    let (table, ..) = make_table(&engine);
    let mut t = begin(&engine);
    let history = t.create_table(columns(&[ColumnType::Int64, ColumnType::Int64])).unwrap();
    let rows: Vec<RowId> = (0..1001).map(|id| insert(&mut t, table, id, 0).unwrap()).collect();
    commit(&engine, t);
    let start = Instant::now();
    let running = std::sync::atomic::AtomicI64::new(SESSIONS);
    std::thread::scope(|scope| {
        for session in 0..SESSIONS {
            let (engine, rows, running) = (&engine, &rows, &running);
            scope.spawn(move || {
                for i in 0..EACH {
                    let mut t = begin(engine);
                    for row in [rows[(1 + (i * 7919 + session * 31) % 1000) as usize], rows[0]] {
                        add_one(&mut t, table, row);
                    }
                    let s = t.snapshot();
                    t.insert(&s, history, &[Value::Int64(session), Value::Int64(i)]).unwrap();
                    drop(s);
                    let position = t.commit().unwrap();
                    while let Some(waiter) = engine.wait_durable(position) {
                        waiter.block();
                    }
                }
                running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            });
        }
        while running.load(std::sync::atomic::Ordering::SeqCst) > 0 {
            if let LogStep::Idle(_) = engine.log_step().unwrap() {
                std::thread::yield_now();
            }
        }
    });
    let rate = (SESSIONS * EACH) as f64 / start.elapsed().as_secs_f64();
    println!("{SESSIONS} sessions: {rate:.0} transactions/s, {:?}", engine.stats());
    let total = all(&mut begin(&engine), table);
    assert_eq!(total[0].1, SESSIONS * EACH);
    check(&engine);
}

fn add_one(t: &mut Transaction, table: ObjectId, row: RowId) {
    let s = t.snapshot();
    let mut base = Base::Snapshot;
    loop {
        let mut rows = RowBuffer::new();
        if base == Base::Snapshot {
            assert!(t.get(&s, table, row, &mut rows).unwrap());
        } else if let Newest::Row(stamp) = t.get_newest(table, row, &mut rows).unwrap() {
            base = Base::Newest(stamp);
        }
        let value = int(&rows, 0, 1) + 1;
        match t.update(&s, table, row, base, &[(ColumnNo(1), Value::Int64(value))]) {
            Ok(WriteOutcome::Done) => return,
            Ok(WriteOutcome::Changed) => base = Base::Newest(newest(t, table, row)),
            Err(Error::Wait(waiter)) => waiter.block(),
            other => panic!("{other:?}"),
        }
    }
}

fn newest(t: &mut Transaction, table: ObjectId, row: RowId) -> Stamp {
    match t.get_newest(table, row, &mut RowBuffer::new()).unwrap() {
        Newest::Row(stamp) => stamp,
        Newest::Gone => panic!("the row is there"),
    }
}
