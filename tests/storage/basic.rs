//! Rows, indexes, definitions, sequences, large values: what one session sees, and what survives.

use crate::database::*;
use lightning_storage::io::sim::SimIo;
use lightning_storage::*;

#[test]
fn rows_come_back_by_id_by_key_and_after_a_crash() {
    let io = SimIo::new();
    let engine = open(&io);
    let (table, unique, second) = make_table(&engine);
    let mut t = begin(&engine);
    for id in 0..3000 {
        insert(&mut t, table, id, (id * 7919) % 1000).unwrap();
    }
    assert_eq!(all(&mut t, table).len(), 3000);
    commit(&engine, t);
    let mut open_at_crash = begin(&engine);
    insert(&mut open_at_crash, table, 9999, 0).unwrap();
    check_rows(&engine, table, unique, second);
    let recovered = open(&io.crash(|| true));
    check_rows(&recovered, table, unique, second);
    drop(open_at_crash);
    check(&engine);
    let report = check(&recovered);
    assert_eq!(report.rows, 3000 + 3);
    assert_eq!(report.entries, 6000);
}

fn check_rows(engine: &Engine, table: ObjectId, unique: ObjectId, second: ObjectId) {
    let mut t = begin(engine);
    let rows = all(&mut t, table);
    assert_eq!(rows.len(), 3000);
    assert_eq!(by_index(&mut t, unique, Direction::Forward), rows);
    let mut backward = by_index(&mut t, unique, Direction::Backward);
    backward.reverse();
    assert_eq!(backward, rows);
    let mut by_value = rows.clone();
    by_value.sort_by_key(|(id, value)| (*value, *id));
    assert_eq!(by_index(&mut t, second, Direction::Forward), by_value);
    assert_eq!(value_of(&mut t, unique, 1234), Some((1234 * 7919) % 1000));
    assert_eq!(value_of(&mut t, unique, 3000), None);
}

#[test]
fn rolled_back_changes_leave_nothing() {
    let io = SimIo::new();
    let engine = open(&io);
    let (table, unique, _) = make_table(&engine);
    let mut t = begin(&engine);
    let rows: Vec<RowId> = (0..500).map(|id| insert(&mut t, table, id, 0).unwrap()).collect();
    commit(&engine, t);
    let mut t = begin(&engine);
    for id in 500..1000 {
        insert(&mut t, table, id, 1).unwrap();
    }
    for row in &rows[..100] {
        update(&mut t, table, *row, 5).unwrap();
        update(&mut t, table, *row, 6).unwrap();
    }
    let s = t.snapshot();
    for row in &rows[50..200] {
        assert_eq!(t.delete(&s, table, *row, Base::Snapshot).unwrap(), WriteOutcome::Done);
        assert_eq!(t.delete(&s, table, *row, Base::Snapshot).unwrap(), WriteOutcome::SelfModified);
    }
    assert_eq!(all(&mut t, table).len(), 850);
    t.rollback();
    let mut t = begin(&engine);
    assert_eq!(all(&mut t, table), (0..500).map(|id| (id, 0)).collect::<Vec<_>>());
    assert_eq!(value_of(&mut t, unique, 700), None);
    drop(t);
    assert_eq!(check(&engine).entries, 1000);
    assert_eq!(engine.stats().live_versions, 0);
}

#[test]
fn savepoints_undo_what_came_after_them() {
    let engine = open(&SimIo::new());
    let (table, unique, _) = make_table(&engine);
    let mut t = begin(&engine);
    let row = insert(&mut t, table, 1, 1).unwrap();
    let first = t.savepoint();
    insert(&mut t, table, 2, 2).unwrap();
    update(&mut t, table, row, 10).unwrap();
    let second = t.savepoint();
    update(&mut t, table, row, 100).unwrap();
    assert_eq!(value_of(&mut t, unique, 1), Some(100));
    t.rollback_to(second).unwrap();
    assert_eq!(value_of(&mut t, unique, 1), Some(10));
    t.rollback_to(first).unwrap();
    assert_eq!(value_of(&mut t, unique, 1), Some(1));
    assert_eq!(value_of(&mut t, unique, 2), None);
    insert(&mut t, table, 2, 3).unwrap();
    t.release(first);
    commit(&engine, t);
    assert_eq!(all(&mut begin(&engine), table), vec![(1, 1), (2, 3)]);
    check(&engine);
}

#[test]
fn large_values_move_out_and_go_with_their_rows() {
    let io = SimIo::new();
    let engine = open(&io);
    let mut t = begin(&engine);
    let table = t.create_table(columns(&[ColumnType::Int64, ColumnType::Bytes, ColumnType::Bytes])).unwrap();
    let s = t.snapshot();
    let big: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let row = t.insert(&s, table, &[Value::Int64(1), Value::Bytes(&big), Value::Bytes(&big[..5000])]).unwrap();
    commit(&engine, t);
    let mut t = begin(&engine);
    let old = t.snapshot();
    let mut writer = begin(&engine);
    let s = writer.snapshot();
    writer.update(&s, table, row, Base::Snapshot, &[(ColumnNo(2), Value::Bytes(b"short"))]).unwrap();
    commit(&engine, writer);
    let mut rows = RowBuffer::new();
    assert!(t.get(&old, table, row, &mut rows).unwrap());
    let new = t.snapshot();
    assert!(t.get(&new, table, row, &mut rows).unwrap());
    for i in 0..2 {
        assert_eq!(rows.row(i).get(ColumnNo(1)), Value::Bytes(&big));
    }
    assert_eq!(rows.row(0).get(ColumnNo(2)), Value::Bytes(&big[..5000]));
    assert_eq!(rows.row(1).get(ColumnNo(2)), Value::Bytes(b"short"));
    drop((t, old, new));
    engine.checkpoint().unwrap();
    let engine = open(&io.crash(|| true));
    let mut t = begin(&engine);
    let s = t.snapshot();
    rows.clear();
    assert!(t.get(&s, table, row, &mut rows).unwrap());
    assert_eq!(rows.row(0).get(ColumnNo(1)), Value::Bytes(&big));
    t.delete(&s, table, row, Base::Snapshot).unwrap();
    commit(&engine, t);
    drop(s);
    check(&engine);
}

#[test]
fn definitions_are_transactional() {
    let io = SimIo::new();
    let engine = open(&io);
    let (table, ..) = make_table(&engine);
    let mut t = begin(&engine);
    insert(&mut t, table, 1, 2).unwrap();
    commit(&engine, t);
    let mut wider = columns(&[ColumnType::Int64, ColumnType::Int64, ColumnType::Bytes, ColumnType::Int64]);
    wider.columns[3].default = OwnedValue::Int64(42);
    let mut t = begin(&engine);
    t.alter_table(table, wider.clone()).unwrap();
    let dropped = t.create_table(columns(&[ColumnType::Bool])).unwrap();
    t.rollback();
    let mut t = begin(&engine);
    let s = t.snapshot();
    let gone = t.scan(&s, dropped, RowId(1)..RowId(9), 1, &mut RowBuffer::new());
    assert!(matches!(gone, Err(Error::NotFound)));
    drop(s);
    t.alter_table(table, wider).unwrap();
    let index = t.create_index(index_on(table, &[3], Unique::No)).unwrap();
    let s = t.snapshot();
    while !t.build_index(&s, index, 1).unwrap() {}
    commit(&engine, t);
    drop(s);
    for engine in [engine.clone(), open(&io.crash(|| false))] {
        let mut t = begin(&engine);
        let s = t.snapshot();
        let mut rows = RowBuffer::new();
        let mut cursor = t.index_cursor(index, KeyRange::prefix(&key(42)), Direction::Forward);
        t.index_next(&s, &mut cursor, 10, &mut rows).unwrap();
        assert_eq!(int(&rows, 0, 3), 42);
        drop((s, t));
        check(&engine);
        let mut t = begin(&engine);
        t.drop_object(table).unwrap();
        commit(&engine, t);
        let report = check(&engine);
        assert_eq!((report.rows, report.entries), (0, 0));
    }
}

#[test]
fn sequences_and_oids_never_repeat() {
    let io = SimIo::new();
    let engine = open(&io);
    let mut t = begin(&engine);
    let def = SequenceDef { start: 1, increment: 1, min: 1, max: 50, cycle: false };
    let sequence = t.create_sequence(def).unwrap();
    let oid = t.allocate_oid().unwrap();
    assert_eq!(t.sequence_state(sequence).unwrap(), (1, false));
    assert_eq!((t.nextval(sequence).unwrap(), t.nextval(sequence).unwrap()), (1, 2));
    commit(&engine, t);
    for checkpoint in [false, true] {
        let io = io.crash(|| true);
        let engine = open(&io);
        if checkpoint {
            engine.checkpoint().unwrap();
        }
        let engine = if checkpoint { open(&io.crash(|| true)) } else { engine };
        let mut t = begin(&engine);
        let next = t.nextval(sequence).unwrap();
        assert!(next > 2 && next <= 34, "{next}");
        assert!(t.allocate_oid().unwrap() > oid);
        t.setval(sequence, 50, false).unwrap();
        assert_eq!(t.nextval(sequence).unwrap(), 50);
        assert!(matches!(t.nextval(sequence), Err(Error::SequenceLimit { limit: 50, upper: true })));
        check(&engine);
    }
}

#[test]
fn more_data_than_the_pool_holds() {
    let io = SimIo::new();
    let engine = open_with(&io, 1 << 20);
    let (table, unique, _) = make_table(&engine);
    let mut t = begin(&engine);
    let text = [7u8; 200];
    let s = t.snapshot();
    for id in 0..40_000i64 {
        let id = id * 7919 % 40_000;
        t.insert(&s, table, &[Value::Int64(id), Value::Int64(id), Value::Bytes(&text)]).unwrap();
        if id % 10_000 == 0 {
            engine.checkpoint_step(20).unwrap();
        }
    }
    drop(s);
    engine.checkpoint().unwrap();
    commit(&engine, t);
    let mut t = begin(&engine);
    for id in (0..40_000).step_by(997) {
        assert_eq!(value_of(&mut t, unique, id), Some(id));
    }
    drop(t);
    assert_eq!(check(&engine).rows, 40_003);
    let engine = open_with(&io.crash(|| true), 1 << 20);
    assert_eq!(check(&engine).rows, 40_003);
}

#[test]
fn one_huge_transaction_with_a_small_pool() {
    let io = SimIo::new();
    let engine = open_with(&io, 2 << 20);
    let mut t = begin(&engine);
    let table = t.create_table(columns(&[ColumnType::Int64, ColumnType::Int64])).unwrap();
    commit(&engine, t);
    for (round, keep) in [(0, false), (1, true)] {
        let mut t = begin(&engine);
        let s = t.snapshot();
        for id in 0..300_000i64 {
            t.insert(&s, table, &[Value::Int64(id), Value::Int64(round)]).unwrap();
            if id == 200_000 {
                engine.checkpoint().unwrap();
            }
        }
        assert_eq!(engine.stats().live_versions, 0, "a run of insertions has no versions");
        drop(s);
        let crashed = open_with(&io.crash(|| true), 2 << 20);
        assert_eq!(crashed.check().unwrap().rows, 1, "what was in progress at the cut is gone");
        drop(crashed);
        if keep {
            commit(&engine, t);
        } else {
            t.rollback();
        }
    }
    assert_eq!(check(&engine).rows, 300_001);
    let recovered = open_with(&io.crash(|| true), 2 << 20);
    assert_eq!(check(&recovered).rows, 300_001);
    let mut t = begin(&recovered);
    let estimate = t.row_estimate(table);
    assert!((150_000..600_000).contains(&estimate), "{estimate}");
    let s = t.snapshot();
    for row in 1..=t.row_id_bound(table).0 {
        let outcome = t.delete(&s, table, RowId(row), Base::Snapshot).unwrap();
        assert!(matches!(outcome, WriteOutcome::Done | WriteOutcome::Deleted));
    }
    drop(s);
    commit(&recovered, t);
    let report = check(&recovered);
    assert!(report.rows == 1 && report.pages < 20, "empty leaves go: {report:?}");
}

#[test]
fn a_full_disk_and_a_failed_sync_are_errors_and_nothing_more() {
    use lightning_storage::io::sim::Faults;
    let io = SimIo::new();
    let engine = open_with(&io, 1 << 20);
    let (table, ..) = make_table(&engine);
    let full = 80 << 20;
    io.set_faults(Faults { capacity_bytes: Some(full), ..Faults::default() });
    let mut t = begin(&engine);
    let mut id = 0;
    let error = loop {
        let s = t.snapshot();
        let values = [Value::Int64(id), Value::Int64(0), Value::Bytes(&[9; 3000])];
        match t.insert(&s, table, &values) {
            Ok(_) => id += 1,
            Err(error) => break error,
        }
        assert!(id < 1_000_000);
    };
    assert!(matches!(error, Error::Full), "{error}");
    assert!(id > 1000);
    t.rollback();
    check(&engine);
    io.set_faults(Faults::default());
    let mut t = begin(&engine);
    insert(&mut t, table, 1, 1).unwrap();
    commit(&engine, t);
    io.set_faults(Faults { syncs_left: Some(0), ..Faults::default() });
    let mut t = begin(&engine);
    insert(&mut t, table, 2, 2).unwrap();
    t.commit().unwrap();
    assert!(engine.flush().is_err());
    let mut t = begin(&engine);
    assert_eq!(all(&mut t, table), vec![(1, 1)], "reads go on at the acknowledged position");
    assert!(matches!(insert(&mut t, table, 3, 3), Err(Error::Poisoned)));
    drop(t);
    io.set_faults(Faults::default());
    let engine = open_with(&io.crash(|| true), 1 << 20);
    let rows = all(&mut begin(&engine), table);
    assert!(rows == vec![(1, 1)] || rows == vec![(1, 1), (2, 2)]);
    check(&engine);
}

/// A load takes no memory for undo, however long; changes take a bounded number of bytes each, up to the budget.
#[test]
fn undo_stays_within_its_budget() {
    const ROWS: i64 = 60_000;
    let config = Config { pool_bytes: 1 << 20, undo_bytes: 8 << 20, ..Config::default() };
    let engine = Engine::open(std::sync::Arc::new(SimIo::new()), std::sync::Arc::new(FixedClock), config).unwrap();
    let (table, unique, _) = make_table(&engine);
    let mut t = begin(&engine);
    for batch in 0..ROWS / 1000 {
        let s = t.snapshot();
        for id in batch * 1000..(batch + 1) * 1000 {
            t.insert(&s, table, &[Value::Int64(id), Value::Int64(1), Value::Bytes(&[1; 100])]).unwrap();
        }
    }
    assert_eq!((engine.stats().live_versions, engine.stats().undo_bytes), (0, 0));
    commit(&engine, t);
    let mut t = begin(&engine);
    let s = t.snapshot();
    let mut changed = 0;
    let full = loop {
        changed += 1;
        match t.update(&s, table, RowId(changed), Base::Snapshot, &[(ColumnNo(1), Value::Int64(2))]) {
            Ok(outcome) => assert_eq!(outcome, WriteOutcome::Done),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::OutOfMemory), "{full}");
    let bytes = engine.stats().undo_bytes / changed;
    println!("{bytes} bytes per changed row of 120");
    assert!(bytes < 350 && changed > 20_000, "{bytes} bytes per changed row");
    assert!(matches!(
        t.lock_row(&s, table, RowId(ROWS as u64), RowLockMode::Update, WaitPolicy::Wait),
        Err(Error::OutOfMemory)
    ));
    drop(s);
    t.rollback();
    assert_eq!((engine.stats().live_versions, engine.stats().undo_bytes), (0, 0));
    let mut t = begin(&engine);
    assert_eq!(value_of(&mut t, unique, 5), Some(1));
    update(&mut t, table, RowId(6), 3).unwrap();
    commit(&engine, t);
    check(&engine);
}

/// Every call that misses a page gives back a wait, and has changed nothing; what it reads and changes is as without.
#[test]
fn missing_pages_are_waited_for() {
    const ROWS: i64 = 3000;
    let io = SimIo::new();
    let engine = open_with(&io, 0);
    let (table, unique, index) = make_table(&engine);
    let mut t = begin(&engine);
    let s = t.snapshot();
    for id in 0..ROWS {
        let text = vec![b'x'; if id % 500 == 7 { 100_000 } else { 300 }];
        t.insert(&s, table, &[Value::Int64(id), Value::Int64(id % 10), Value::Bytes(&text)]).unwrap();
    }
    drop(s);
    commit(&engine, t);
    engine.close().unwrap();
    let mut waits = 0;
    let mut wait = |error: Error| match error {
        Error::Wait(waiter) => {
            assert!(waiter.needs_work() && !waiter.is_ready());
            waiter.work();
            assert!(!waiter.needs_work() && waiter.is_ready());
            waits += 1;
        }
        error => panic!("{error}"),
    };
    let mut t = begin(&engine);
    t.wait_for_pages(true);
    let s = t.snapshot();
    let mut rows = RowBuffer::new();
    let mut next = Some(RowId(1));
    while let Some(from) = next {
        let before = rows.len();
        match t.scan(&s, table, from..t.row_id_bound(table), 100, &mut rows) {
            Ok(resume) => next = resume,
            Err(error) => {
                assert_eq!(rows.len(), before);
                wait(error);
            }
        }
    }
    assert_eq!((0..rows.len()).map(|i| int(&rows, i, 0)).collect::<Vec<_>>(), (0..ROWS).collect::<Vec<_>>());
    for direction in [Direction::Forward, Direction::Backward] {
        rows.clear();
        let mut cursor = t.index_cursor(index, KeyRange::all(), direction);
        loop {
            let before = rows.len();
            match t.index_next(&s, &mut cursor, 7, &mut rows) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    assert_eq!(rows.len(), before);
                    wait(error);
                }
            }
        }
        let mut found: Vec<_> = (0..rows.len()).map(|i| (int(&rows, i, 1), rows.row_id(i))).collect();
        if direction == Direction::Backward {
            found.reverse();
        }
        assert!(found.is_sorted() && found.len() == ROWS as usize);
    }
    for id in (0..ROWS).step_by(37) {
        let row = RowId(id as u64 + 1);
        let change = [(ColumnNo(0), Value::Int64(id + 100_000)), (ColumnNo(1), Value::Int64(77))];
        loop {
            match t.update(&s, table, row, Base::Snapshot, &change) {
                Ok(outcome) => break assert_eq!(outcome, WriteOutcome::Done),
                Err(error) => wait(error),
            }
        }
        loop {
            match t.insert(&s, table, &[Value::Int64(id), Value::Int64(78), Value::Bytes(b"new")]) {
                Ok(_) => break,
                Err(error) => wait(error),
            }
        }
    }
    drop(s);
    commit(&engine, t);
    assert!(waits > 300, "{waits} waits in a pool of 16 pages");
    let mut key = KeyEncoder::new();
    key.push(Value::Int64(100_037), ColumnType::Int64, false, false);
    let mut t = begin(&engine);
    let s = t.snapshot();
    rows.clear();
    t.index_next(&s, &mut t.index_cursor(unique, KeyRange::prefix(key.bytes()), Direction::Forward), 1, &mut rows)
        .unwrap();
    assert_eq!(rows.row_id(0), RowId(38));
    drop((s, t));
    check(&engine);
}

/// Two that insert at the same time fill leaves of their own, and fill them; those who come after one another share.
#[test]
fn those_who_insert_at_the_same_time_have_leaves_of_their_own() {
    const ROWS: u64 = 10_000;
    let engine = open(&SimIo::new());
    let mut t = begin(&engine);
    let table = t.create_table(columns(&[ColumnType::Bytes])).unwrap();
    commit(&engine, t);
    let row = [Value::Bytes(&[1; 100])];
    let (mut one, mut two) = (begin(&engine), begin(&engine));
    let (s1, s2) = (one.snapshot(), two.snapshot());
    let (mut of_one, mut of_two) = (Vec::new(), Vec::new());
    for at in 0..ROWS {
        of_one.push(one.insert(&s1, table, &row).unwrap());
        of_two.push(two.insert(&s2, table, &row).unwrap());
        if at == 0 {
            assert_eq!(engine.object_pages(table).unwrap(), 3, "a root and two leaves");
        }
    }
    assert!(of_one.is_sorted() && of_two.is_sorted());
    let pages = engine.object_pages(table).unwrap();
    println!("{pages} pages for {} rows", 2 * ROWS);
    assert!(pages < 2 * ROWS / 115, "{pages} pages");
    drop((s1, s2));
    commit(&engine, one);
    commit(&engine, two);
    let mut last = *of_one.last().max(of_two.last()).unwrap();
    for _ in 0..100 {
        let mut t = begin(&engine);
        let s = t.snapshot();
        let id = t.insert(&s, table, &row).unwrap();
        assert_eq!(id.0, last.0 + 1, "one after the other");
        last = id;
        drop(s);
        commit(&engine, t);
    }
    check(&engine);
}

#[test]
fn commits_are_slowed_when_checkpoints_do_not_keep_up() {
    let config = Config { checkpoint_bytes: 100_000, ..Config::default() };
    let engine = Engine::open(std::sync::Arc::new(SimIo::new()), std::sync::Arc::new(FixedClock), config).unwrap();
    let (table, ..) = make_table(&engine);
    let mut pauses = Vec::new();
    for id in 0..120 {
        let mut t = begin(&engine);
        insert(&mut t, table, id, 0).unwrap();
        commit(&engine, t); // takes a block of 4 KiB
        pauses.push(engine.commit_pause_us());
    }
    assert!(pauses[..40].iter().all(|pause| *pause == 0), "{pauses:?}");
    assert!(pauses.is_sorted() && pauses[60] > 10_000 && pauses[119] == 200_000, "{pauses:?}");
    engine.checkpoint().unwrap();
    assert_eq!(engine.commit_pause_us(), 0);
}

/// Rows in batches are as rows one by one: after a crash too, and when one of them is refused none is there.
#[test]
fn a_batch_is_all_or_nothing() {
    let io = SimIo::new();
    let engine = open_with(&io, 1 << 20);
    let (table, unique, _) = make_table(&engine);
    let fill = |batch: &mut lightning_storage::RowBatch, ids: &mut dyn Iterator<Item = i64>| {
        batch.clear();
        for id in ids {
            batch.begin(3);
            for value in [Value::Int64(id), Value::Int64(id % 7), Value::Bytes(&[7; 90])] {
                batch.push(value).unwrap();
            }
            assert!(batch.finish().unwrap());
        }
    };
    let mut t = begin(&engine);
    let mut batch = t.batch(table).unwrap();
    // Keys come from both ends and from between, so that leaves of the index split everywhere.
    for round in 0..40 {
        fill(
            &mut batch,
            &mut (0..500).map(|i| (i * 40 + round) * if i % 2 == 0 { 1 } else { -1 }).filter(|id| *id != 0),
        );
        let s = t.snapshot();
        let first = t.insert_batch(&s, &batch).unwrap();
        let mut rows = RowBuffer::new();
        let s = t.snapshot();
        assert!(t.get(&s, table, RowId(first.0 + 498), &mut rows).unwrap());
        if round % 10 == 9 {
            while engine.checkpoint_step(7).unwrap() {}
        }
    }
    let all_rows = all(&mut t, table).len();
    assert_eq!(all_rows, 40 * 500 - 1);
    for refused in [1, 250, 499] {
        let savepoint = t.savepoint();
        fill(&mut batch, &mut (100_000..100_000 + refused).chain([85]));
        let s = t.snapshot();
        assert!(matches!(t.insert_batch(&s, &batch), Err(Error::Duplicate { index, .. }) if index == unique));
        fill(&mut batch, &mut [5_000_000, 5_000_000].into_iter());
        assert!(matches!(t.insert_batch(&s, &batch), Err(Error::Duplicate { .. })), "twice in the batch");
        drop(s);
        assert_eq!(all(&mut t, table).len(), all_rows);
        let s = t.snapshot();
        fill(&mut batch, &mut (200_000..200_100));
        t.insert_batch(&s, &batch).unwrap();
        drop(s);
        t.rollback_to(savepoint).unwrap();
        t.release(savepoint);
    }
    assert_eq!(all(&mut t, table).len(), all_rows);
    // Too large for a page, or not the table's columns.
    batch.clear();
    batch.begin(3);
    for value in [Value::Int64(1), Value::Int64(1), Value::Bytes(&[1; 5000])] {
        batch.push(value).unwrap();
    }
    assert!(!batch.finish().unwrap());
    batch.begin(3);
    assert!(batch.push(Value::Bool(true)).is_err() && batch.finish().is_err());
    assert!(batch.is_empty());
    commit(&engine, t);
    let mut open = begin(&engine);
    fill(&mut batch, &mut (300_000..300_900));
    let s = open.snapshot();
    open.insert_batch(&s, &batch).unwrap();
    while engine.checkpoint_step(7).unwrap() {}
    check(&engine);
    let recovered = open_with(&io.crash(|| true), 1 << 20);
    assert_eq!(all(&mut begin(&recovered), table).len(), all_rows);
    check(&recovered);
}

/// However many rows a scan takes at a time, whatever leaves hold: rows of several forms, deleted ones, large values, versions.
#[test]
fn a_scan_gives_what_reads_by_id_give() {
    const ROWS: u64 = 4000;
    let io = SimIo::new();
    let engine = open(&io);
    let mut t = begin(&engine);
    let table = t.create_table(columns(&[ColumnType::Int64, ColumnType::Bytes, ColumnType::Bool])).unwrap();
    commit(&engine, t);
    let fill = |texts: &dyn Fn(u64) -> usize, added: &[Value<'_>]| {
        let mut t = begin(&engine);
        let s = t.snapshot();
        for id in 0..ROWS {
            let text = vec![b'x'; texts(id)];
            let values = [Value::Int64(id as i64), Value::Bytes(&text), Value::Bool(true)];
            t.insert(&s, table, &[&values, added].concat()).unwrap();
        }
        drop(s);
        commit(&engine, t);
    };
    fill(&|id| (id % 20) as usize, &[]);
    let mut t = begin(&engine);
    let mut def = t.table_def(table).unwrap();
    def.columns.push(ColumnDef {
        no: ColumnNo(3),
        ty: ColumnType::Int32,
        default: OwnedValue::Int32(7),
        dropped: false,
    });
    t.alter_table(table, def).unwrap();
    commit(&engine, t);
    fill(&|id| if id % 700 == 0 { 20_000 } else { 10 }, &[Value::Int32(8)]);
    let delete = |t: &mut Transaction, rows: &[u64]| {
        let s = t.snapshot();
        for row in rows {
            assert_eq!(t.delete(&s, table, RowId(*row), Base::Snapshot).unwrap(), WriteOutcome::Done);
        }
    };
    let mut t = begin(&engine);
    delete(&mut t, &(1..2 * ROWS).step_by(13).collect::<Vec<_>>());
    commit(&engine, t);
    while engine.clean_step(1000).unwrap() {}

    let mut old = begin(&engine);
    let seen = old.snapshot();
    let mut open = begin(&engine);
    for row in (2..2 * ROWS).step_by(13).filter(|row| row / 64 % 3 == 0) {
        let s = open.snapshot();
        let text = vec![b'y'; if row % 7 == 0 { 15_000 } else { 30 }];
        let outcome = open.update(&s, table, RowId(row), Base::Snapshot, &[(ColumnNo(1), Value::Bytes(&text))]);
        assert_eq!(outcome.unwrap(), WriteOutcome::Done);
    }
    delete(&mut open, &(3..2 * ROWS).step_by(26).collect::<Vec<_>>());
    // Rows that a snapshot does not see cost a scan nothing.
    let mut filling = begin(&engine);
    let s = filling.snapshot();
    for id in 0..20_000 {
        filling.insert(&s, table, &[Value::Int64(id), Value::Bytes(&[b'z'; 100]), Value::Null, Value::Null]).unwrap();
    }
    drop(s);
    let mut rows = RowBuffer::new();
    let unseen = RowId(2 * ROWS + 1)..old.row_id_bound(table);
    assert_eq!(old.scan(&seen, table, unseen, 8192, &mut rows).unwrap(), None);
    assert!(rows.is_empty() && rows.bytes() < 100_000, "{} bytes", rows.bytes());
    filling.rollback();

    let own = open.snapshot();
    for (t, s) in [(&old, &seen), (&open, &own)] {
        let mut one = RowBuffer::new();
        let by_id: Vec<u64> =
            (1..t.row_id_bound(table).0).filter(|row| t.get(s, table, RowId(*row), &mut one).unwrap()).collect();
        assert!(by_id.len() > 7000 && one.len() == by_id.len());
        for max_rows in [1, 7, 100, 1000, 8192, 100_000] {
            let rows = scan(t, s, table, max_rows);
            assert_eq!((0..rows.len()).map(|i| rows.row_id(i).0).collect::<Vec<_>>(), by_id, "{max_rows}");
            for i in 0..rows.len() {
                for column in 0..4 {
                    assert_eq!(
                        rows.row(i).get(ColumnNo(column)),
                        one.row(i).get(ColumnNo(column)),
                        "row {i}, {max_rows}"
                    );
                }
            }
            for column in 0..4 {
                let ours = rows.column(ColumnNo(column), false, None).unwrap();
                assert_eq!(&ours, &one.column(ColumnNo(column), false, None).unwrap(), "{max_rows}");
            }
        }
    }
}
