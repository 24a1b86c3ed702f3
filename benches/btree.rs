//! Single operations of the engine on a cached table, per operation, beside an ordinary `BTreeMap` of the same rows.
//!
//! `cargo bench -p lightning-storage --bench btree`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lightning_storage::io::{SystemClock, sim::SimIo};
use lightning_storage::*;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

const ROWS: u64 = 1_000_000;
const TEXT: [u8; 100] = [b'x'; 100];

struct Setup {
    engine: Engine,
    table: ObjectId,
    index: ObjectId,
    map: BTreeMap<u64, Vec<u8>>,
}

fn setup() -> Result<Setup> {
    let config = Config { pool_bytes: 1 << 30, ..Config::default() };
    let engine = Engine::open(Arc::new(SimIo::new()), Arc::new(SystemClock), config)?;
    let mut t = engine.begin(Isolation::ReadCommitted);
    let column = |no, ty| ColumnDef { no: ColumnNo(no), ty, default: OwnedValue::Null, dropped: false };
    let columns = vec![column(0, ColumnType::Int64), column(1, ColumnType::Bytes)];
    let table = t.create_table(TableDef { columns, temporary: false })?;
    let key = KeyColumn { column: ColumnNo(0), descending: false, nulls_first: false };
    let unique = Unique::Immediate;
    let index =
        t.create_index(IndexDef { table, columns: vec![key], unique, nulls_distinct: true, predicate: None })?;
    let s = t.snapshot();
    let mut map = BTreeMap::new();
    for id in 0..ROWS {
        t.insert(&s, table, &[Value::Int64(id as i64), Value::Bytes(&TEXT)])?;
        map.insert(id, TEXT.to_vec());
    }
    drop(s);
    t.commit()?;
    engine.flush()?;
    while engine.clean_step(1000)? {}
    Ok(Setup { engine, table, index, map })
}

fn points(c: &mut Criterion) {
    let Setup { engine, table, index, map } = setup().expect("an empty engine takes rows");
    let mut t = engine.begin(Isolation::ReadCommitted);
    let s = t.snapshot();
    let mut rows = RowBuffer::new();
    let mut at = 0u64;
    let mut next = move || {
        at = (at + 7_368_787) % ROWS;
        at
    };
    let mut group = c.benchmark_group("point read");
    group.throughput(Throughput::Elements(1));
    group.bench_function("BTreeMap", |b| b.iter(|| map.get(&next()).map(|text| black_box(text.clone()))));
    group.bench_function("by row id", |b| {
        b.iter(|| {
            rows.clear();
            black_box(t.get(&s, table, RowId(next() + 1), &mut rows).expect("the table exists"))
        });
    });
    group.bench_function("by unique key", |b| {
        b.iter(|| {
            rows.clear();
            let mut key = KeyEncoder::new();
            key.push(Value::Int64(next() as i64), ColumnType::Int64, false, false);
            let mut cursor = t.index_cursor(index, KeyRange::prefix(key.bytes()), Direction::Forward);
            black_box(t.index_next(&s, &mut cursor, 1, &mut rows).expect("the index exists"))
        });
    });
    group.throughput(Throughput::Elements(2));
    group.bench_function("by row id, two threads, each", |b| b.iter_custom(|count| two_threads(&engine, table, count)));
    group.finish();
    drop(s);
    let mut group = c.benchmark_group("transaction");
    group.throughput(Throughput::Elements(1));
    group.bench_function("one update, not synced", |b| {
        b.iter(|| {
            let mut t = engine.begin(Isolation::ReadCommitted);
            let s = t.snapshot();
            let change = [(ColumnNo(1), Value::Bytes(&TEXT))];
            let done = t.update(&s, table, RowId(next() + 1), Base::Snapshot, &change).expect("nobody else writes");
            drop(s);
            t.commit_async().expect("the log is in memory");
            done
        });
    });
    group.finish();
}

/// The time in which two threads read `count` rows each.
fn two_threads(engine: &Engine, table: ObjectId, count: u64) -> Duration {
    let start = Barrier::new(3);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let start = &start;
            scope.spawn(move || {
                let mut t = engine.begin(Isolation::ReadCommitted);
                let s = t.snapshot();
                let mut rows = RowBuffer::new();
                let mut at = thread * ROWS / 2;
                start.wait();
                for _ in 0..count {
                    at = (at + 7_368_787) % ROWS;
                    rows.clear();
                    black_box(t.get(&s, table, RowId(at + 1), &mut rows).expect("the table exists"));
                }
                start.wait();
            });
        }
        start.wait();
        let began = Instant::now();
        start.wait();
        began.elapsed()
    })
}

criterion_group!(benches, points);
criterion_main!(benches);
