//! Interleavings that a scheduler chooses (shuttle; Burckhardt et al., ASPLOS 2010) of what the engine's threads do to one
//! another: latches and eviction, the gate and the cut, waiting for locks, group commit.
//!
//! `cargo test -p lightning-storage --features shuttle --test shuttle`
#![allow(clippy::unwrap_used)] // a test may

use lightning_storage::buffer::Pool;
use lightning_storage::io::Clock;
use lightning_storage::io::sim::SimIo;
use lightning_storage::space::Store;
use lightning_storage::wal::{Log, LogStep, read};
use lightning_storage::*;
use shuttle::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

struct FixedClock;

impl Clock for FixedClock {
    fn now_us(&self) -> i64 {
        0
    }
}

fn open(io: &SimIo) -> Engine {
    let config = Config { pool_bytes: 16 * PAGE_SIZE, ..Config::default() };
    Engine::open(Arc::new(io.clone()), Arc::new(FixedClock), config).unwrap()
}

fn column(no: u16) -> ColumnDef {
    ColumnDef { no: ColumnNo(no), ty: ColumnType::Int64, default: OwnedValue::Null, dropped: false }
}

/// A table (key, value) with a unique index on key, and rows of the given keys.
fn table(engine: &Engine, keys: std::ops::Range<i64>) -> (ObjectId, Vec<RowId>) {
    let mut t = engine.begin(Isolation::ReadCommitted);
    let table = t.create_table(TableDef { columns: vec![column(0), column(1)], temporary: false }).unwrap();
    let columns = vec![KeyColumn { column: ColumnNo(0), descending: false, nulls_first: false }];
    let def = IndexDef { table, columns, unique: Unique::Immediate, nulls_distinct: true, predicate: None };
    t.create_index(def).unwrap();
    let s = t.snapshot();
    let row = |key| t.insert(&s, table, &[Value::Int64(key), Value::Int64(0)]).unwrap();
    let rows = keys.map(row).collect();
    drop(s);
    t.commit().unwrap();
    engine.flush().unwrap();
    (table, rows)
}

fn all(engine: &Engine, table: ObjectId) -> Vec<(i64, i64)> {
    let mut t = engine.begin(Isolation::ReadCommitted);
    let s = t.snapshot();
    let mut rows = RowBuffer::new();
    assert_eq!(t.scan(&s, table, RowId(1)..t.row_id_bound(table), 100, &mut rows).unwrap(), None);
    let int = |i: usize, column| match rows.row(i).get(ColumnNo(column)) {
        Value::Int64(v) => v,
        other => panic!("{other:?}"),
    };
    (0..rows.len()).map(|i| (int(i, 0), int(i, 1))).collect()
}

/// Commits and waits for the disk, writing it itself when nobody else does.
fn commit(engine: &Engine, t: Transaction) {
    let position = t.commit().unwrap();
    while engine.wait_durable(position).is_some() {
        engine.log_step().unwrap();
    }
}

/// Adds one to a row, waiting for who else is at it; `false`: a deadlock, begin again.
fn add_one(t: &mut Transaction, table: ObjectId, row: RowId) -> bool {
    let s = t.snapshot();
    loop {
        match t.lock_row(&s, table, row, RowLockMode::NoKeyUpdate, WaitPolicy::Wait) {
            Ok(LockOutcome::Done | LockOutcome::Changed) => break,
            Err(Error::Wait(waiter)) => waiter.block(),
            Err(Error::Deadlock { .. }) => return false,
            other => panic!("{other:?}"),
        }
    }
    let mut rows = RowBuffer::new();
    let Newest::Row(stamp) = t.get_newest(table, row, &mut rows).unwrap() else { panic!("the row is there") };
    let Value::Int64(value) = rows.row(0).get(ColumnNo(1)) else { panic!("an integer") };
    let change = [(ColumnNo(1), Value::Int64(value + 1))];
    assert_eq!(t.update(&s, table, row, Base::Newest(stamp), &change).unwrap(), WriteOutcome::Done);
    true
}

#[test]
fn transactions_wait_for_one_another_and_lose_nothing() {
    let body = || {
        let io = SimIo::new();
        let engine = open(&io);
        let (table, rows) = table(&engine, 0..2);
        let threads: Vec<_> = (0..2)
            .map(|number| {
                let (engine, rows) = (engine.clone(), rows.clone());
                thread::spawn(move || {
                    'again: loop {
                        let mut t = engine.begin(Isolation::ReadCommitted);
                        // In opposite order: deadlocks are found, and nobody waits for ever.
                        for at in [number, 1 - number] {
                            if !add_one(&mut t, table, rows[at]) {
                                drop(t);
                                thread::yield_now();
                                continue 'again;
                            }
                        }
                        return commit(&engine, t);
                    }
                })
            })
            .collect();
        let background = {
            let engine = engine.clone();
            thread::spawn(move || {
                engine.checkpoint_step(1).unwrap();
                engine.clean_step(2).unwrap();
                engine.checkpoint_step(100).unwrap();
            })
        };
        // A reader never waits, and sees whole transactions.
        let seen = all(&engine, table);
        assert_eq!(seen[0].1, seen[1].1, "half a transaction");
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        background.join().unwrap();
        assert_eq!(all(&engine, table), [(0, 2), (1, 2)]);
        let recovered = open(&io.crash(|| false));
        assert_eq!(all(&recovered, table), [(0, 2), (1, 2)]);
        assert_eq!(recovered.check().unwrap().damage, Vec::<String>::new());
        assert_eq!(engine.check().unwrap().damage, Vec::<String>::new());
    };
    shuttle::check_random(body, 100);
}

/// Four rows fill a page: leaves split and go, the root grows, pages are evicted, and descents without latches meet all of it.
#[test]
fn descents_find_their_leaf_while_the_tree_changes() {
    const WIDE: [u8; 3800] = [7; 3800];
    let body = || {
        let engine = open(&SimIo::new());
        let mut t = engine.begin(Isolation::ReadCommitted);
        let wide = ColumnDef { no: ColumnNo(0), ty: ColumnType::Bytes, default: OwnedValue::Null, dropped: false };
        let table = t.create_table(TableDef { columns: vec![wide], temporary: false }).unwrap();
        let insert = move |t: &mut Transaction, count| -> Vec<RowId> {
            let s = t.snapshot();
            (0..count).map(|_| t.insert(&s, table, &[Value::Bytes(&WIDE)]).unwrap()).collect()
        };
        let (gone, kept) = (insert(&mut t, 9), insert(&mut t, 6));
        t.commit().unwrap();
        engine.flush().unwrap();
        let inserter = {
            let engine = engine.clone();
            thread::spawn(move || {
                let mut t = engine.begin(Isolation::ReadCommitted);
                insert(&mut t, 9);
                commit(&engine, t);
            })
        };
        let deleter = {
            let engine = engine.clone();
            thread::spawn(move || {
                let mut t = engine.begin(Isolation::ReadCommitted);
                let s = t.snapshot();
                for row in gone {
                    assert_eq!(t.delete(&s, table, row, Base::Snapshot).unwrap(), WriteOutcome::Done);
                }
                drop(s);
                commit(&engine, t);
                while engine.clean_step(2).unwrap() {}
            })
        };
        for _ in 0..2 {
            let mut t = engine.begin(Isolation::ReadCommitted);
            let s = t.snapshot();
            let mut rows = RowBuffer::new();
            for row in &kept {
                assert!(t.get(&s, table, *row, &mut rows).unwrap(), "row {row:?} is not found");
            }
            rows.clear();
            assert_eq!(t.scan(&s, table, kept[0]..RowId(kept[5].0 + 1), 100, &mut rows).unwrap(), None);
            assert_eq!(rows.len(), kept.len());
        }
        inserter.join().unwrap();
        deleter.join().unwrap();
        assert_eq!(engine.check().unwrap().damage, Vec::<String>::new());
    };
    shuttle::check_random(body, 60);
    shuttle::check_pct(body, 60, 3);
}

#[test]
fn one_of_two_gets_a_key_and_a_rollback_leaves_no_entry() {
    let body = || {
        let engine = open(&SimIo::new());
        let (table, rows) = table(&engine, 0..1);
        let insert = |key: i64, keep: bool, many: bool| {
            let engine = engine.clone();
            thread::spawn(move || {
                let mut t = engine.begin(Isolation::ReadCommitted);
                let s = t.snapshot();
                let mut batch = t.batch(table).unwrap();
                batch.begin(2);
                for value in [key, 1] {
                    batch.push(Value::Int64(value)).unwrap();
                }
                assert!(batch.finish().unwrap());
                let done = loop {
                    let inserted = match many {
                        true => t.insert_batch(&s, &batch),
                        false => t.insert(&s, table, &[Value::Int64(key), Value::Int64(1)]),
                    };
                    match inserted {
                        Ok(_) => break true,
                        Err(Error::Duplicate { .. }) => break false,
                        Err(Error::Wait(waiter)) => waiter.block(),
                        Err(error) => panic!("{error}"),
                    }
                };
                drop(s);
                if keep {
                    commit(&engine, t);
                } else {
                    t.rollback();
                }
                done && keep
            })
        };
        let threads = [insert(7, true, false), insert(7, true, true), insert(7, false, true)];
        // Moves a row's key back and forth: whoever reads by an entry gets a row that has its key.
        let mover = {
            let engine = engine.clone();
            let row = rows[0];
            thread::spawn(move || {
                let mut t = engine.begin(Isolation::ReadCommitted);
                let s = t.snapshot();
                t.update(&s, table, row, Base::Snapshot, &[(ColumnNo(0), Value::Int64(3))]).unwrap();
                drop(s);
                t.rollback();
            })
        };
        let mut t = engine.begin(Isolation::ReadCommitted);
        let s = t.snapshot();
        let mut key = KeyEncoder::new();
        key.push(Value::Int64(3), ColumnType::Int64, false, false);
        let mut found = RowBuffer::new();
        let mut cursor = t.index_cursor(ObjectId(table.0 + 1), KeyRange::prefix(key.bytes()), Direction::Forward);
        while t.index_next(&s, &mut cursor, 5, &mut found).unwrap() {}
        assert_eq!(found.len(), 0, "an entry led to a row with another key");
        drop((s, t));
        let winners = threads.into_iter().map(|thread| thread.join().unwrap()).filter(|won| *won).count();
        mover.join().unwrap();
        assert_eq!(winners, 1);
        assert_eq!(all(&engine, table).len(), 2);
        assert_eq!(engine.check().unwrap().damage, Vec::<String>::new());
    };
    shuttle::check_random(body, 100);
}

/// A transaction gives a row, a key and a row lock up by going back to a savepoint, and goes on until those who waited for
/// them are done: whoever comes at that moment must not wait for its end.
#[test]
fn who_waits_is_told_of_a_rollback_to_a_savepoint() {
    let body = || {
        let engine = open(&SimIo::new());
        let (table, rows) = table(&engine, 0..2);
        let mut first = engine.begin(Isolation::ReadCommitted);
        let savepoint = first.savepoint();
        let s = first.snapshot();
        first.update(&s, table, rows[0], Base::Snapshot, &[(ColumnNo(1), Value::Int64(9))]).unwrap();
        first.lock_row(&s, table, rows[1], RowLockMode::Update, WaitPolicy::Wait).unwrap();
        first.insert(&s, table, &[Value::Int64(7), Value::Int64(9)]).unwrap();
        drop(s);
        let others: Vec<_> = (0..3)
            .map(|number| {
                let (engine, rows) = (engine.clone(), rows.clone());
                thread::spawn(move || {
                    let mut t = engine.begin(Isolation::ReadCommitted);
                    loop {
                        let s = t.snapshot();
                        let change = [(ColumnNo(1), Value::Int64(1))];
                        let result = match number {
                            2 => t.insert(&s, table, &[Value::Int64(7), Value::Int64(1)]).map(|_| ()),
                            at => t.update(&s, table, rows[at], Base::Snapshot, &change).map(|_| ()),
                        };
                        match result {
                            Err(Error::Wait(waiter)) => waiter.block(),
                            result => break result.unwrap(),
                        }
                    }
                    commit(&engine, t);
                })
            })
            .collect();
        first.rollback_to(savepoint).unwrap();
        others.into_iter().for_each(|other| other.join().unwrap());
        commit(&engine, first);
        assert_eq!(all(&engine, table), [(0, 1), (1, 1), (7, 1)]);
    };
    shuttle::check_random(body, 200);
    shuttle::check_pct(body, 100, 3);
}

#[test]
fn a_cut_holds_every_page_as_it_was() {
    let body = || {
        let io = SimIo::new();
        let (store, _) = Store::open(&io).unwrap();
        let pool = Arc::new(Pool::new(Arc::new(store), 0).unwrap());
        let pages: Vec<PageId> = (0..4)
            .map(|_| {
                let page = pool.allocate().unwrap();
                page.id()
            })
            .collect();
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes[100..108].try_into().unwrap());
        let changes = Arc::new(AtomicU64::new(0));
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let (pool, pages, changes) = (pool.clone(), pages.clone(), changes.clone());
                thread::spawn(move || {
                    for _ in 0..2 {
                        // One operation changes two pages; a cut has both changes or none.
                        let _pass = pool.gate().enter();
                        for page in &pages[..2] {
                            let mut page = pool.write(*page).unwrap();
                            let next = number(&page[..]) + 1;
                            page[100..108].copy_from_slice(&next.to_le_bytes());
                        }
                        changes.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let (mut cut, at_cut) = {
            let _closed = pool.gate().close();
            (pool.cut(), changes.load(Ordering::SeqCst))
        };
        while !pool.write_cut(&mut cut, 1).unwrap() {}
        pool.complete(cut, Position(1), b"notes").unwrap();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        assert_eq!(number(&pool.read(pages[0]).unwrap()[..]), 4);
        let (store, _) = Store::open(&io.crash(|| false)).unwrap();
        let after = Pool::new(Arc::new(store), 0).unwrap();
        for page in &pages[..2] {
            assert_eq!(number(&after.read(*page).unwrap()[..]), at_cut, "the cut has half an operation");
        }
    };
    shuttle::check_random(body, 300);
    shuttle::check_pct(body, 200, 3);
}

#[test]
fn a_group_is_durable_when_its_waiter_is_told() {
    let body = || {
        let io = SimIo::new();
        let log = Arc::new(Log::open(Arc::new(io.clone()), 1, Position(0)).unwrap());
        let told = Arc::new(AtomicU64::new(0));
        let committers: Vec<_> = (0..3u8)
            .map(|number| {
                let (log, io, told) = (log.clone(), io.clone(), told.clone());
                thread::spawn(move || {
                    let room = log.reserve(10).unwrap();
                    let (position, ()) = log.append(room, &[number; 10], |_| ());
                    while let Some(waiter) = log.wait(position).unwrap() {
                        waiter.block();
                    }
                    let mut found = false;
                    let after = io.crash(|| false);
                    read(&after, Position(0), 0, |_, body| {
                        found |= body == [number; 10];
                        Ok(())
                    })
                    .unwrap();
                    assert!(found, "a commit was told that is not on the disk");
                    told.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        let mut flushes = 0;
        while told.load(Ordering::SeqCst) < 3 {
            match log.step().unwrap() {
                LogStep::Flushed(_) => flushes += 1,
                LogStep::Idle(_) => thread::yield_now(),
            }
        }
        assert!((1..=3).contains(&flushes), "{flushes} flushes for three commits");
        committers.into_iter().for_each(|committer| committer.join().unwrap());
    };
    shuttle::check_random(body, 200);
}
