//! What transactions see of one another, and how they get in one another's way: one test per anomaly.

use crate::database::*;
use lightning_storage::io::sim::SimIo;
use lightning_storage::*;

fn setup() -> (Engine, ObjectId, ObjectId, RowId, RowId) {
    let engine = open(&SimIo::new());
    let (table, unique, _) = make_table(&engine);
    let mut t = begin(&engine);
    let one = insert(&mut t, table, 1, 10).unwrap();
    let two = insert(&mut t, table, 2, 20).unwrap();
    commit(&engine, t);
    (engine, table, unique, one, two)
}

fn waiter<T: std::fmt::Debug>(result: Result<T>) -> Waiter {
    match result {
        Err(Error::Wait(waiter)) => waiter,
        other => panic!("{other:?} does not wait"),
    }
}

#[test]
fn uncommitted_changes_are_nobody_elses() {
    let (engine, table, unique, one, two) = setup();
    let mut writer = begin(&engine);
    update(&mut writer, table, one, 11).unwrap();
    insert(&mut writer, table, 3, 30).unwrap();
    let s = writer.snapshot();
    writer.delete(&s, table, two, Base::Snapshot).unwrap();
    assert_eq!(all(&mut writer, table), vec![(1, 11), (3, 30)]);
    let mut reader = begin(&engine);
    assert_eq!(all(&mut reader, table), vec![(1, 10), (2, 20)]);
    assert_eq!(value_of(&mut reader, unique, 3), None);
    let position = writer.commit().unwrap();
    assert_eq!(all(&mut reader, table), vec![(1, 10), (2, 20)], "not acknowledged before it is durable");
    engine.flush().unwrap();
    assert!(engine.durable() >= position);
    assert_eq!(all(&mut reader, table), vec![(1, 11), (3, 30)]);
    drop(reader);
    check(&engine);
}

#[test]
fn repeatable_read_stays_where_it_began_and_refuses_lost_updates() {
    let (engine, table, _, one, two) = setup();
    let mut reader = engine.begin(Isolation::RepeatableRead);
    assert_eq!(all(&mut reader, table), vec![(1, 10), (2, 20)]);
    let mut writer = begin(&engine);
    update(&mut writer, table, one, 11).unwrap();
    let s = writer.snapshot();
    writer.delete(&s, table, two, Base::Snapshot).unwrap();
    drop(s);
    commit(&engine, writer);
    assert!(!engine.clean_step(100).unwrap());
    assert_eq!(all(&mut reader, table), vec![(1, 10), (2, 20)]);
    assert!(matches!(update(&mut reader, table, one, 12), Err(Error::Conflict)));
    assert!(matches!(update(&mut reader, table, two, 12), Err(Error::Conflict)));
    drop(reader);
    check(&engine);
    assert_eq!(engine.stats().live_versions, 0);
}

#[test]
fn read_committed_waits_and_judges_the_newest_version() {
    let (engine, table, _, one, two) = setup();
    let mut first = begin(&engine);
    let mut second = begin(&engine);
    update(&mut first, table, one, 11).unwrap();
    let s = second.snapshot();
    let change = [(ColumnNo(1), Value::Int64(12))];
    let wait = waiter(second.update(&s, table, one, Base::Snapshot, &change));
    assert!(!wait.is_ready());
    commit(&engine, first);
    assert!(wait.is_ready());
    drop(wait);
    assert_eq!(second.update(&s, table, one, Base::Snapshot, &change).unwrap(), WriteOutcome::Changed);
    let mut rows = RowBuffer::new();
    let Newest::Row(stamp) = second.get_newest(table, one, &mut rows).unwrap() else { panic!("it is there") };
    assert_eq!(int(&rows, 0, 1), 11);
    assert_eq!(second.update(&s, table, one, Base::Newest(stamp), &change).unwrap(), WriteOutcome::Done);
    assert!(second.noted() > Position(0));

    let mut third = begin(&engine);
    let s3 = third.snapshot();
    third.delete(&s3, table, two, Base::Snapshot).unwrap();
    let wait = waiter(second.lock_row(&s, table, two, RowLockMode::KeyShare, WaitPolicy::Wait));
    assert_eq!(second.lock_row(&s, table, two, RowLockMode::KeyShare, WaitPolicy::Skip).unwrap(), LockOutcome::Skipped);
    assert!(matches!(
        second.lock_row(&s, table, two, RowLockMode::KeyShare, WaitPolicy::NoWait),
        Err(Error::LockNotAvailable)
    ));
    commit(&engine, third);
    wait.block();
    drop(wait);
    assert_eq!(second.delete(&s, table, two, Base::Snapshot).unwrap(), WriteOutcome::Deleted);
    assert_eq!(second.get_newest(table, two, &mut rows).unwrap(), Newest::Gone);
    drop((s, s3));
    commit(&engine, second);
    assert_eq!(all(&mut begin(&engine), table), vec![(1, 12)]);
    check(&engine);
}

#[test]
fn two_that_wait_for_each_other_are_a_deadlock() {
    let (engine, table, _, one, two) = setup();
    let (mut first, mut second) = (begin(&engine), begin(&engine));
    update(&mut first, table, one, 11).unwrap();
    update(&mut second, table, two, 22).unwrap();
    let wait = waiter(update(&mut first, table, two, 12));
    assert!(matches!(update(&mut second, table, one, 21), Err(Error::Deadlock { .. })));
    second.rollback();
    assert!(wait.is_ready());
    drop(wait);
    assert_eq!(update(&mut first, table, two, 12).unwrap(), WriteOutcome::Done);
    // Through table and advisory locks as well.
    let mut third = begin(&engine);
    let tag = LockTag::Advisory(0, 7);
    third.lock(tag, LockMode::Exclusive, WaitPolicy::Wait, LockScope::Transaction).unwrap();
    let wait = waiter(first.lock(tag, LockMode::Exclusive, WaitPolicy::Wait, LockScope::Transaction));
    assert!(matches!(update(&mut third, table, one, 5), Err(Error::Deadlock { .. })));
    drop(third);
    assert!(wait.is_ready());
    commit(&engine, first);
    assert_eq!(engine.stats().deadlocks, 2);
    check(&engine);
}

#[test]
fn a_unique_key_has_one_winner() {
    let (engine, table, unique, one, _) = setup();
    let (mut first, mut second) = (begin(&engine), begin(&engine));
    assert!(matches!(insert(&mut first, table, 1, 0), Err(Error::Duplicate { row, .. }) if row == one));
    insert(&mut first, table, 3, 30).unwrap();
    let wait = waiter(insert(&mut second, table, 3, 31));
    first.rollback();
    assert!(wait.is_ready());
    drop(wait);
    insert(&mut second, table, 3, 31).unwrap();
    // A key given up by a transaction in progress is nobody's yet.
    let s = second.snapshot();
    second.delete(&s, table, one, Base::Snapshot).unwrap();
    insert(&mut second, table, 1, 111).unwrap();
    let mut third = begin(&engine);
    let wait = waiter(insert(&mut third, table, 1, 112));
    commit(&engine, second);
    drop((wait, s));
    assert!(matches!(insert(&mut third, table, 1, 112), Err(Error::Duplicate { .. })));
    assert_eq!(value_of(&mut third, unique, 1), Some(111));
    drop(third);
    check(&engine);
}

#[test]
fn foreign_keys_lock_the_key_they_found() {
    let (engine, table, unique, one, _) = setup();
    let mut child = begin(&engine);
    let s = child.snapshot();
    assert_eq!(child.lock_key(&s, unique, &key(1), Base::Snapshot, RowLockMode::KeyShare).unwrap(), Some(one));
    assert_eq!(child.lock_key(&s, unique, &key(5), Base::Snapshot, RowLockMode::KeyShare).unwrap(), None);
    let mut parent = begin(&engine);
    assert_eq!(update(&mut parent, table, one, 99).unwrap(), WriteOutcome::Done, "no key changes");
    let p = parent.snapshot();
    let rekey = [(ColumnNo(0), Value::Int64(77))];
    let wait = waiter(parent.update(&p, table, one, Base::Snapshot, &rekey));
    let mut other = begin(&engine);
    let o = other.snapshot();
    assert_eq!(other.lock_key(&o, unique, &key(1), Base::Snapshot, RowLockMode::KeyShare).unwrap(), Some(one));
    drop(child);
    other.rollback();
    assert!(wait.is_ready());
    drop(wait);
    assert_eq!(parent.update(&p, table, one, Base::Snapshot, &rekey).unwrap(), WriteOutcome::Done);
    let mut late = begin(&engine);
    let l = late.snapshot();
    let wait = waiter(late.lock_key(&l, unique, &key(1), Base::Snapshot, RowLockMode::KeyShare));
    drop(p);
    commit(&engine, parent);
    assert!(wait.is_ready());
    drop(wait);
    assert_eq!(late.lock_key(&l, unique, &key(1), Base::Snapshot, RowLockMode::KeyShare).unwrap(), None);
    drop((s, o, l, late));
    check(&engine);
}

/// What KEY SHARE leaves room for while it is held, it leaves room for when it has been done already.
#[test]
fn repeatable_read_locks_the_key_of_a_row_that_changed_otherwise() {
    let (engine, table, unique, one, two) = setup();
    let mut old = engine.begin(Isolation::RepeatableRead);
    let s = old.snapshot();
    let mut writer = begin(&engine);
    update(&mut writer, table, one, 11).unwrap();
    let w = writer.snapshot();
    writer.update(&w, table, two, Base::Snapshot, &[(ColumnNo(0), Value::Int64(22))]).unwrap();
    drop(w);
    commit(&engine, writer);
    let mut writer = begin(&engine);
    update(&mut writer, table, two, 21).unwrap();
    commit(&engine, writer);
    assert_eq!(old.lock_key(&s, unique, &key(1), Base::Snapshot, RowLockMode::KeyShare).unwrap(), Some(one));
    let mut lock = |row, mode| old.lock_row(&s, table, row, mode, WaitPolicy::Wait);
    assert_eq!(lock(one, RowLockMode::KeyShare).unwrap(), LockOutcome::Done);
    assert!(matches!(lock(one, RowLockMode::Share), Err(Error::Conflict)));
    assert!(matches!(lock(two, RowLockMode::KeyShare), Err(Error::Conflict)), "a key changed, though not last");
    assert!(matches!(old.check_seen(table, one), Err(Error::Conflict)));
    drop((s, old));
    check(&engine);
}

#[test]
fn table_locks_queue_in_order() {
    let (engine, ..) = setup();
    let tag = LockTag::Table(5);
    let lock = |t: &mut Transaction, mode| t.lock(tag, mode, WaitPolicy::Wait, LockScope::Transaction);
    let (mut a, mut b, mut c) = (begin(&engine), begin(&engine), begin(&engine));
    assert!(lock(&mut a, LockMode::AccessShare).unwrap());
    assert!(lock(&mut c, LockMode::RowExclusive).unwrap());
    drop(c);
    let exclusive = waiter(lock(&mut b, LockMode::AccessExclusive));
    let mut c = begin(&engine);
    let behind = waiter(lock(&mut c, LockMode::AccessShare));
    drop(a);
    assert!(exclusive.is_ready());
    assert!(lock(&mut b, LockMode::AccessExclusive).unwrap());
    drop(behind);
    let session = LockScope::Session(SessionId(9));
    assert!(!c.lock(tag, LockMode::Share, WaitPolicy::Skip, session).unwrap());
    let behind = waiter(lock(&mut c, LockMode::AccessShare));
    drop(b);
    assert!(behind.is_ready());
    assert!(c.lock(tag, LockMode::Share, WaitPolicy::Wait, session).unwrap());
    drop(c);
    assert_eq!(engine.locks().len(), 1);
    engine.end_session(SessionId(9));
    assert!(engine.locks().is_empty());
}

#[test]
fn deferrable_keys_are_judged_when_asked() {
    let engine = open(&SimIo::new());
    let mut t = begin(&engine);
    let table = t.create_table(columns(&[ColumnType::Int64, ColumnType::Int64])).unwrap();
    let index = t.create_index(index_on(table, &[0], Unique::Deferrable)).unwrap();
    let s = t.snapshot();
    let rows: Vec<RowId> = (0..3).map(|id| t.insert(&s, table, &[Value::Int64(id), Value::Null]).unwrap()).collect();
    drop(s);
    for (index, row) in t.take_unchecked() {
        t.recheck_unique(index, row).unwrap();
    }
    commit(&engine, t);
    let mut t = begin(&engine);
    let s = t.snapshot();
    for (row, id) in rows.iter().zip(1..) {
        t.update(&s, table, *row, Base::Snapshot, &[(ColumnNo(0), Value::Int64(id))]).unwrap();
    }
    let unchecked = t.take_unchecked();
    assert_eq!(unchecked.len(), 3);
    unchecked.into_iter().for_each(|(index, row)| t.recheck_unique(index, row).unwrap());
    let extra = t.insert(&s, table, &[Value::Int64(2), Value::Null]).unwrap();
    assert!(matches!(t.recheck_unique(index, extra), Err(Error::Duplicate { row, .. }) if row == rows[1]));
    drop((s, t));
    check(&engine);
}

#[test]
fn a_hot_row_keeps_a_short_chain_under_an_old_snapshot() {
    let (engine, table, _, one, _) = setup();
    let mut old = engine.begin(Isolation::RepeatableRead);
    assert_eq!(all(&mut old, table), vec![(1, 10), (2, 20)]);
    for value in 0..500u16 {
        let mut t = begin(&engine);
        let s = t.snapshot();
        let change = [(ColumnNo(2), Value::Bytes(&value.to_le_bytes()))];
        t.update(&s, table, one, Base::Snapshot, &change).unwrap();
        t.commit_async().unwrap();
    }
    assert!(engine.stats().live_versions < 30, "{:?}", engine.stats());
    assert_eq!(all(&mut old, table), vec![(1, 10), (2, 20)]);
    drop(old);
    check(&engine);
    assert_eq!(engine.stats().live_versions, 0);
}

#[test]
fn who_has_met_a_commit_sees_all_of_it_from_the_next_statement_on() {
    let (engine, table, _, one, _) = setup();
    let (mut first, mut second) = (begin(&engine), begin(&engine));
    update(&mut first, table, one, 11).unwrap();
    insert(&mut first, table, 3, 30).unwrap();
    let s = second.snapshot();
    let wait = waiter(second.lock_row(&s, table, one, RowLockMode::Update, WaitPolicy::Wait));
    let position = first.commit().unwrap();
    wait.block();
    drop(wait);
    let locked = second.lock_row(&s, table, one, RowLockMode::Update, WaitPolicy::Wait).unwrap();
    assert_eq!(locked, LockOutcome::Changed);
    assert_eq!(all(&mut second, table), vec![(1, 11), (2, 20), (3, 30)]);
    assert_eq!(all(&mut begin(&engine), table), vec![(1, 10), (2, 20)], "others wait for the disk");
    drop(s);
    assert!(second.commit().unwrap() >= position, "a reader's end waits for what it met");
    engine.flush().unwrap();
    check(&engine);
}

#[test]
fn a_wait_that_is_over_closes_no_circle() {
    let (engine, table, _, one, two) = setup();
    let (mut first, mut second) = (begin(&engine), begin(&engine));
    update(&mut first, table, two, 21).unwrap();
    let point = second.savepoint();
    update(&mut second, table, one, 11).unwrap();
    let wait = waiter(update(&mut first, table, one, 12));
    second.rollback_to(point).unwrap();
    assert!(wait.is_ready());
    let behind = waiter(update(&mut second, table, two, 22));
    drop(wait);
    assert_eq!(update(&mut first, table, one, 12).unwrap(), WriteOutcome::Done);
    commit(&engine, first);
    assert!(behind.is_ready());
    drop((behind, second));
    check(&engine);
}

/// Rows of one page, changed by many at once, read by everybody: only the same row makes anybody wait.
#[test]
fn rows_of_one_page_are_changed_side_by_side_and_readers_wait_for_nobody() {
    let (engine, table, unique, first, second) = setup();
    let (mut a, mut b) = (begin(&engine), begin(&engine));
    assert_eq!(update(&mut a, table, first, 100).unwrap(), WriteOutcome::Done);
    assert_eq!(update(&mut b, table, second, 200).unwrap(), WriteOutcome::Done);
    waiter(update(&mut b, table, first, 300));
    // Readers of either kind see the rows as they were, through every road.
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead] {
        let mut reader = engine.begin(isolation);
        assert_eq!(all(&mut reader, table), [(1, 10), (2, 20)]);
        assert_eq!(by_index(&mut reader, unique, Direction::Backward), [(2, 20), (1, 10)]);
    }
    commit(&engine, b);
    commit(&engine, a);
    assert_eq!(all(&mut begin(&engine), table), [(1, 100), (2, 200)]);
    // In threads: each has a row of the same page to itself, and one reads all the time. Nobody ever waits.
    let mut t = begin(&engine);
    let rows: Vec<RowId> = (10..18).map(|id| insert(&mut t, table, id, 0).unwrap()).collect();
    commit(&engine, t);
    std::thread::scope(|scope| {
        for row in &rows {
            let engine = &engine;
            scope.spawn(move || {
                for value in 1..=200 {
                    let mut t = begin(engine);
                    assert_eq!(update(&mut t, table, *row, value).unwrap(), WriteOutcome::Done);
                    t.commit_async().unwrap();
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..200 {
                assert_eq!(all(&mut begin(&engine), table).len(), 10);
            }
        });
    });
    let values = all(&mut begin(&engine), table);
    assert!(values[2..].iter().all(|(_, value)| *value == 200));
    check(&engine);
}

/// A snapshot that keeps more versions alive than the budget has room for fails (PostgreSQL's 72000), in each way it can be
/// used; who writes, and who has a younger snapshot, goes on.
#[test]
fn a_snapshot_that_keeps_too_many_versions_is_given_up() {
    let config = Config { pool_bytes: 1 << 20, undo_bytes: 100_000, ..Config::default() };
    let engine = Engine::open(std::sync::Arc::new(SimIo::new()), std::sync::Arc::new(FixedClock), config).unwrap();
    let (table, unique, _) = make_table(&engine);
    let mut t = begin(&engine);
    let rows: Vec<RowId> = (0..20).map(|id| insert(&mut t, table, id, 0).unwrap()).collect();
    commit(&engine, t);
    let mut old = engine.begin(Isolation::RepeatableRead);
    let s = old.snapshot();
    let mut portal = old.index_cursor(unique, KeyRange::all(), Direction::Forward);
    let mut found = RowBuffer::new();
    assert!(old.index_next(&s, &mut portal, 5, &mut found).unwrap());
    let mut young = None;
    for round in 0..2000u64 {
        let mut t = begin(&engine);
        // Every key changes: no version can be thinned out in passing.
        let change = [(ColumnNo(0), Value::Int64(100 + round as i64)), (ColumnNo(1), Value::Int64(1))];
        let s = t.snapshot();
        let row = rows[(round % 20) as usize];
        assert_eq!(t.update(&s, table, row, Base::Snapshot, &change).unwrap(), WriteOutcome::Done, "round {round}");
        drop(s);
        commit(&engine, t);
        if round == 1950 {
            let mut t = begin(&engine);
            young = Some((t.snapshot(), t));
        }
    }
    assert_eq!(engine.stats().expired_snapshots, 1);
    assert!(engine.stats().undo_bytes <= 100_000 + 1000);
    let too_old = |result: Result<()>| assert!(matches!(result, Err(Error::SnapshotTooOld)), "{result:?}");
    too_old(old.index_next(&s, &mut portal, 5, &mut found).map(|_| ()));
    assert_eq!(found.len(), 5, "rows that nobody may see are left in the buffer");
    too_old(old.get(&s, table, rows[0], &mut found).map(|_| ()));
    too_old(old.scan(&s, table, RowId(1)..RowId(100), 5, &mut found).map(|_| ()));
    too_old(old.lock_row(&s, table, rows[0], RowLockMode::Update, WaitPolicy::Wait).map(|_| ()));
    too_old(old.update(&s, table, rows[0], Base::Snapshot, &[(ColumnNo(1), Value::Int64(1))]).map(|_| ()));
    too_old(old.delete(&s, table, rows[0], Base::Snapshot).map(|_| ()));
    let later = old.snapshot();
    too_old(old.get(&later, table, rows[0], &mut found).map(|_| ()));
    let (s, t) = young.unwrap();
    found.clear();
    assert_eq!(t.scan(&s, table, RowId(1)..RowId(100), 50, &mut found).unwrap(), None);
    let keys: i64 = (0..found.len()).map(|i| int(&found, i, 0)).sum();
    assert_eq!((found.len(), keys), (20, (1931..=1950).map(|round| 100 + round).sum()));
    drop((s, t, later, old));
    check(&engine);
}

/// Versions between live snapshots go first: an old one stays while what it alone needs is within the budget.
#[test]
fn what_no_snapshot_sees_goes_before_a_snapshot_does() {
    const ROWS: i64 = 200;
    let config = Config { pool_bytes: 1 << 20, undo_bytes: 200_000, ..Config::default() };
    let engine = Engine::open(std::sync::Arc::new(SimIo::new()), std::sync::Arc::new(FixedClock), config).unwrap();
    let (table, ..) = make_table(&engine);
    let mut t = begin(&engine);
    let rows: Vec<RowId> = (0..ROWS).map(|id| insert(&mut t, table, id, 0).unwrap()).collect();
    commit(&engine, t);
    let mut old = begin(&engine);
    let s = old.snapshot();
    for round in 0..6u8 {
        for row in &rows {
            let mut t = begin(&engine);
            let change = [(ColumnNo(2), Value::Bytes(&[round; 100]))];
            let s = t.snapshot();
            assert_eq!(t.update(&s, table, *row, Base::Snapshot, &change).unwrap(), WriteOutcome::Done);
            drop(s);
            commit(&engine, t);
        }
    }
    assert_eq!(engine.stats().expired_snapshots, 0);
    let mut found = RowBuffer::new();
    assert_eq!(old.scan(&s, table, RowId(1)..RowId(1000), 1000, &mut found).unwrap(), None);
    assert!((0..found.len()).all(|i| found.row(i).get(ColumnNo(2)) == Value::Bytes(b"text")));
    assert_eq!(found.len(), ROWS as usize);
    drop((s, old));
    check(&engine);
}
