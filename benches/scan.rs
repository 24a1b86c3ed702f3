//! Scans of a cached table of lineitem's shape by two threads, per row: rows copied out, and columns made of them, beside two threads
//! that read as many bytes as its pages have, one after the other, which is what the memory gives.
//!
//! `cargo bench -p lightning-storage --bench scan`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lightning_storage::io::{SystemClock, sim::SimIo};
use lightning_storage::*;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const ROWS: u64 = 2_000_000;
/// Row ids that a thread takes at a time.
const MORSEL_ROWS: u64 = 16_384;
/// Rows copied out at a time.
const BATCH_ROWS: usize = 2048;
const THREADS: usize = 2;

fn setup() -> Result<(Engine, ObjectId)> {
    use ColumnType::{Bytes, Int32, Int64};
    let config = Config { pool_bytes: 2 << 30, ..Config::default() };
    let engine = Engine::open(Arc::new(SimIo::new()), Arc::new(SystemClock), config)?;
    let types = [
        Int64, Int64, Int64, Int32, Int64, Int64, Int64, Int64, Bytes, Bytes, Int32, Int32, Int32, Bytes, Bytes, Bytes,
    ];
    let columns = types.iter().zip(0..).map(|(ty, no)| ColumnDef {
        no: ColumnNo(no),
        ty: *ty,
        default: OwnedValue::Null,
        dropped: false,
    });
    let mut t = engine.begin(Isolation::ReadCommitted);
    let table = t.create_table(TableDef { columns: columns.collect(), temporary: false })?;
    t.commit()?;
    let text = [b'x'; 64];
    let mut row = 0u64;
    while row < ROWS {
        let mut t = engine.begin(Isolation::ReadCommitted);
        let s = t.snapshot();
        let mut batch = t.batch(table)?;
        for _ in 0..1000 {
            let noise = row.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
            batch.begin(types.len());
            let integers = [row / 4, noise % 200_000, noise % 10_000, row % 4, 100 * (noise % 50), noise % 10_000_000];
            for (value, ty) in integers.iter().chain(&[noise % 11, noise % 9]).zip(types) {
                batch.push(if ty == Int32 { Value::Int32(*value as i32) } else { Value::Int64(*value as i64) })?;
            }
            batch.push(Value::Bytes(&text[..1]))?;
            batch.push(Value::Bytes(&text[..1]))?;
            for day in [0, 30, 60] {
                batch.push(Value::Int32(-2000 - (noise % 2500) as i32 - day))?;
            }
            for len in [25, 10, 10 + noise % 34] {
                batch.push(Value::Bytes(&text[..len as usize]))?;
            }
            batch.finish()?;
            row += 1;
        }
        t.insert_batch(&s, &batch)?;
        drop(s);
        t.commit()?;
        engine.flush()?;
    }
    while engine.clean_step(10_000)? {}
    Ok((engine, table))
}

/// All rows once, by threads that take morsels from one counter; `each` gets every batch.
fn scan(engine: &Engine, table: ObjectId, each: impl Fn(&RowBuffer) + Sync) {
    let next = AtomicU64::new(1);
    let work = || {
        let mut t = engine.begin(Isolation::ReadCommitted);
        let (s, mut rows) = (t.snapshot(), RowBuffer::new());
        loop {
            let start = next.fetch_add(MORSEL_ROWS, Ordering::Relaxed);
            if start >= t.row_id_bound(table).0 {
                return;
            }
            let mut at = Some(RowId(start));
            while let Some(from) = at {
                rows.clear();
                let range = from..RowId(start + MORSEL_ROWS);
                at = t.scan(&s, table, range, BATCH_ROWS, &mut rows).expect("the table exists");
                each(&rows);
            }
        }
    };
    std::thread::scope(|threads| (0..THREADS).for_each(|_| drop(threads.spawn(work))));
}

fn columns(rows: &RowBuffer, columns: &[u16]) {
    for column in columns {
        black_box(rows.column(ColumnNo(*column), false, None).expect("the column exists"));
    }
}

fn scans(c: &mut Criterion) {
    let (engine, table) = setup().expect("an empty engine takes rows");
    let bytes = engine.object_pages(table).expect("the table exists") as usize * 16_384;
    let memory = vec![1u64; bytes / 8];
    let mut group = c.benchmark_group("scan, two threads");
    group.throughput(Throughput::Elements(ROWS)).sample_size(10);
    group.bench_function("bytes of its pages, in order", |b| {
        b.iter_custom(|count| {
            let begun = Instant::now();
            for _ in 0..count {
                std::thread::scope(|threads| {
                    for part in memory.chunks(memory.len().div_ceil(THREADS)) {
                        threads.spawn(move || black_box(part.iter().fold(0u64, |sum, word| sum.wrapping_add(*word))));
                    }
                });
            }
            begun.elapsed()
        });
    });
    group.bench_function("rows copied out", |b| b.iter(|| scan(&engine, table, |rows| _ = black_box(rows.len()))));
    group.bench_function("four columns of integers", |b| {
        b.iter(|| scan(&engine, table, |rows| columns(rows, &[4, 5, 6, 10])));
    });
    group.bench_function("seven columns, two of text", |b| {
        b.iter(|| scan(&engine, table, |rows| columns(rows, &[4, 5, 6, 7, 8, 9, 10])));
    });
    group.finish();
    let mut t = engine.begin(Isolation::ReadCommitted);
    let (s, mut rows) = (t.snapshot(), RowBuffer::new());
    t.scan(&s, table, RowId(1)..RowId(2001), 2000, &mut rows).expect("the table exists");
    let mut group = c.benchmark_group("columns of rows in the cache");
    group.throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("integers", |b| b.iter(|| columns(&rows, &[5])));
    group.bench_function("text of one byte", |b| b.iter(|| columns(&rows, &[8])));
    group.bench_function("text of 25 bytes", |b| b.iter(|| columns(&rows, &[13])));
    group.finish();
}

criterion_group!(benches, scans);
criterion_main!(benches);
