//! Power cuts at every kind of moment: what was acknowledged is there, what was not is there whole or not at all.

use crate::database::*;
use lightning_storage::io::sim::{Faults, SimIo};
use lightning_storage::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Runs small transactions until the disk stops taking writes. Gives how many were acknowledged, and begun to commit.
fn work(engine: &Engine, table: ObjectId, seed: u64) -> (i64, i64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut rows: Vec<RowId> = Vec::new();
    for number in 1..400i64 {
        let mut t = begin(engine);
        let s = t.snapshot();
        let text = vec![1u8; rng.random_range(0..2000)];
        let result = (|| {
            rows.push(t.insert(&s, table, &[Value::Int64(number), Value::Int64(number), Value::Bytes(&text)])?);
            // Every row carries the number of the last transaction.
            for row in &rows {
                t.update(&s, table, *row, Base::Snapshot, &[(ColumnNo(1), Value::Int64(number))])?;
            }
            Ok::<_, Error>(())
        })();
        if result.is_err() {
            return (number - 1, number - 1);
        }
        drop(s);
        let Ok(position) = t.commit() else { return (number - 1, number - 1) };
        if engine.flush().is_err() || engine.durable() < position {
            return (number - 1, number);
        }
        let background = match rng.random_range(0..4) {
            0 => engine.checkpoint_step(rng.random_range(1..30)).map(|_| ()),
            1 => engine.clean_step(rng.random_range(1..100)).map(|_| ()),
            _ => Ok(()),
        };
        if background.is_err() {
            return (number, number);
        }
    }
    (399, 399)
}

#[test]
fn a_power_cut_at_any_write_keeps_what_was_acknowledged() {
    for round in 0..60u64 {
        let io = SimIo::new();
        let engine = open_with(&io, 512 << 10);
        let (table, unique, second) = make_table(&engine);
        let faults = match round % 3 {
            0 => Faults { syncs_left: Some(round * 2), ..Faults::default() },
            _ => Faults { writes_left: Some(round * 13), ..Faults::default() },
        };
        io.set_faults(faults);
        let (acknowledged, begun) = work(&engine, table, round);
        let mut rng = StdRng::seed_from_u64(round);
        let keep: f64 = [0.0, 0.5, 1.0][(round % 7 % 3) as usize];
        let after = io.crash(|| rng.random_bool(keep));
        drop(engine);
        let engine = open_with(&after, 512 << 10);
        check(&engine);
        let mut t = begin(&engine);
        let found = all(&mut t, table);
        let last = found.len() as i64;
        assert!(last == acknowledged || last == begun, "{last} of {acknowledged} acknowledged");
        assert_eq!(found, (1..=last).map(|id| (id, last)).collect::<Vec<_>>());
        assert_eq!(by_index(&mut t, unique, Direction::Forward), found);
        assert_eq!(by_index(&mut t, second, Direction::Forward), found);
    }
}

#[test]
fn redo_written_ahead_follows_savepoints() {
    let io = SimIo::new();
    let engine = open(&io);
    let (table, ..) = make_table(&engine);
    let mut t = begin(&engine);
    let text = vec![7u8; 3000];
    let mut id = 0;
    let mut insert_many = |t: &mut Transaction, count| {
        let s = t.snapshot();
        for _ in 0..count {
            id += 1;
            t.insert(&s, table, &[Value::Int64(id), Value::Int64(1), Value::Bytes(&text)]).unwrap();
        }
    };
    insert_many(&mut t, 500);
    let point = t.savepoint();
    insert_many(&mut t, 1200);
    t.rollback_to(point).unwrap();
    insert_many(&mut t, 600);
    let point = t.savepoint();
    insert_many(&mut t, 10);
    t.rollback_to(point).unwrap();
    engine.checkpoint().unwrap();
    commit(&engine, t);
    let expected: Vec<_> = (1..=500).chain(1701..=2300).map(|id| (id, 1)).collect();
    let engine = open(&io.crash(|| false));
    assert_eq!(all(&mut begin(&engine), table), expected);
    check(&engine);
    engine.checkpoint().unwrap();
    engine.checkpoint().unwrap();
    let engine = open(&io.crash(|| false));
    assert_eq!(all(&mut begin(&engine), table), expected);
}

/// What a small workload had done when its disk's n-th write began.
struct Step {
    operations: u64,
    /// The rows of the table, with and without the commit under way.
    before: Vec<(i64, i64)>,
    after: Vec<(i64, i64)>,
    /// Whether the second index was there.
    index: (bool, bool),
    /// The last sequence value acknowledged.
    told: i64,
}

/// A workload with everything under way: splits, an open transaction with an overflow value, a sequence, a checkpoint in steps,
/// and a CREATE INDEX. Gives the model before every commit, by the number of disk operations.
fn everything_at_once(io: &SimIo, engine: &Engine, table: ObjectId, sequence: ObjectId) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut rows, mut index, mut told) = (Vec::new(), false, 0);
    let mut open = begin(engine);
    let s = open.snapshot();
    open.insert(&s, table, &[Value::Int64(-1), Value::Int64(-1), Value::Bytes(&[9; 20_000])]).unwrap();
    drop(s);
    let mut build: Option<(Transaction, ObjectId)> = None;
    for number in 1..=40i64 {
        let mut t = begin(engine);
        let s = t.snapshot();
        let value = t.nextval(sequence).unwrap();
        let before = rows.clone();
        t.insert(&s, table, &[Value::Int64(number), Value::Int64(value), Value::Bytes(&[1; 1500])]).unwrap();
        rows.push((number, value));
        if number % 7 == 0 {
            let gone: (i64, i64) = rows.remove(rows.len() / 2);
            let mut found = RowBuffer::new();
            let unique = ObjectId(table.0 + 1);
            let mut cursor = t.index_cursor(unique, KeyRange::prefix(&key(gone.0)), Direction::Forward);
            while t.index_next(&s, &mut cursor, 2, &mut found).unwrap() {}
            assert_eq!(t.delete(&s, table, found.row_id(0), Base::Snapshot).unwrap(), WriteOutcome::Done);
        }
        if number % 9 == 0 {
            let s = open.snapshot();
            open.insert(&s, table, &[Value::Int64(-number), Value::Int64(0), Value::Bytes(&[2; 3000])]).unwrap();
        }
        drop(s);
        let position = t.commit().unwrap();
        steps.push(Step { operations: io.operations(), before, after: rows.clone(), index: (index, index), told });
        engine.flush().unwrap();
        assert!(engine.wait_durable(position).is_none());
        told = value;
        steps.push(Step {
            operations: io.operations(),
            before: rows.clone(),
            after: rows.clone(),
            index: (index, index),
            told,
        });
        if number == 20 {
            open.rollback();
            open = begin(engine);
            let mut t = begin(engine);
            let new = t.create_index(index_on(table, &[1], Unique::No)).unwrap();
            build = Some((t, new));
        }
        if let Some((t, new)) = &mut build {
            let s = t.snapshot();
            let done = t.build_index(&s, *new, 5).unwrap();
            drop(s);
            if done && let Some((t, _)) = build.take() {
                let position = t.commit().unwrap();
                let both = (false, true);
                steps.push(Step {
                    operations: io.operations(),
                    before: rows.clone(),
                    after: rows.clone(),
                    index: both,
                    told,
                });
                engine.flush().unwrap();
                assert!(engine.wait_durable(position).is_none());
                index = true;
                let both = (true, true);
                steps.push(Step {
                    operations: io.operations(),
                    before: rows.clone(),
                    after: rows.clone(),
                    index: both,
                    told,
                });
            }
        }
        engine.checkpoint_step(2).unwrap();
        if number % 5 == 0 {
            engine.clean_step(3).unwrap();
        }
    }
    assert!(index);
    steps
}

/// Recovers from every prefix of the write sequence, with random subsets of what was not synced by then, torn.
#[test]
fn every_prefix_of_the_writes_recovers_with_everything_under_way() {
    let io = SimIo::new();
    let engine = open_with(&io, 20 * PAGE_SIZE);
    let mut t = begin(&engine);
    let table = t.create_table(columns(&[ColumnType::Int64, ColumnType::Int64, ColumnType::Bytes])).unwrap();
    let unique = t.create_index(index_on(table, &[0], Unique::Immediate)).unwrap();
    let sequence =
        t.create_sequence(SequenceDef { start: 1, increment: 1, min: 1, max: i64::MAX, cycle: false }).unwrap();
    commit(&engine, t);
    let first = io.operations();
    io.record();
    let steps = everything_at_once(&io, &engine, table, sequence);
    drop(engine);
    let moments = io.recorded();
    assert!(moments.len() > 200, "{} writes and syncs", moments.len());
    let mut rng = StdRng::seed_from_u64(11);
    for (number, moment) in moments.iter().enumerate() {
        // What had been said before this write, and what may be there if it and others before it got through.
        let now = first + number as u64;
        let told = steps.iter().rev().find(|step| step.operations <= now);
        for keep in [0.0, 1.0, 0.5, rng.random()] {
            let after = moment.crash(|| rng.random_bool(keep));
            let engine = open_with(&after, 20 * PAGE_SIZE);
            check(&engine);
            let mut t = begin(&engine);
            let found = all(&mut t, table);
            let indexed = KeyRange::all();
            let second = ObjectId(sequence.0 + 1);
            let has_index = t.index_estimate(second, &indexed).is_ok_and(|entries| entries > 0);
            let Some(step) = told else {
                assert_eq!(found, []);
                continue;
            };
            assert!(
                found == step.before || found == step.after,
                "write {number}: {found:?} is neither of the two states"
            );
            assert!(has_index == step.index.0 || has_index == step.index.1, "write {number}");
            assert_eq!(by_index(&mut t, unique, Direction::Forward), found);
            if has_index {
                assert_eq!(by_index(&mut t, second, Direction::Forward), found);
            }
            assert!(t.nextval(sequence).unwrap() > step.told, "a sequence value that was told came again");
        }
    }
}

/// A bit that flips anywhere is an error that names the place, or changes no answer.
#[test]
fn a_flipped_bit_is_named_or_changes_nothing() {
    let io = SimIo::new();
    let engine = open_with(&io, 1 << 20);
    let (table, unique, second) = make_table(&engine);
    let fill = |engine: &Engine, ids: std::ops::Range<i64>| {
        for id in ids {
            let mut t = begin(engine);
            let s = t.snapshot();
            let text = vec![3; if id % 40 == 0 { 20_000 } else { 300 }];
            t.insert(&s, table, &[Value::Int64(id), Value::Int64(id % 7), Value::Bytes(&text)]).unwrap();
            drop(s);
            commit(engine, t);
        }
    };
    fill(&engine, 0..150);
    engine.checkpoint().unwrap();
    fill(&engine, 150..300);
    engine.checkpoint().unwrap();
    let closed = io.crash(|| true);
    // The last flush cannot be told from a torn one: nothing later says that it was durable.
    fill(&engine, 300..330);
    let mut t = begin(&engine);
    let expected = all(&mut t, table);
    drop(t);
    let mut last = begin(&engine);
    insert(&mut last, table, 1000, 0).unwrap();
    last.rollback();
    let running = io.crash(|| true);
    drop(engine);
    let mut rng = StdRng::seed_from_u64(5);
    let mut named = 0;
    for round in 0..1500 {
        let (base, expected, open_tail) =
            if round % 2 == 0 { (&closed, &expected[..300], false) } else { (&running, &expected[..], true) };
        let damaged = base.crash(|| true);
        let files = damaged.files();
        let (name, length) = &files[rng.random_range(0..files.len())];
        // Where there is something, mostly: the log's files are zeros behind its end.
        let length = if name == "data" { *length } else { 400 << 10 };
        let bit = rng.random_range(0..length * 8);
        damaged.flip(name, bit);
        let config = Config { pool_bytes: 1 << 20, ..Config::default() };
        let engine = match Engine::open(std::sync::Arc::new(damaged), std::sync::Arc::new(FixedClock), config) {
            Ok(engine) => engine,
            Err(error) => {
                assert!(
                    !error.to_string().is_empty() && matches!(error, Error::Corrupt(_) | Error::CorruptPage { .. }),
                    "{error}"
                );
                named += 1;
                continue;
            }
        };
        match engine.check() {
            Ok(report) => assert_eq!(report.damage, Vec::<String>::new()),
            Err(error) => {
                assert!(matches!(error, Error::Corrupt(_) | Error::CorruptPage { .. }), "{error}");
                named += 1;
                continue;
            }
        }
        let mut t = begin(&engine);
        let found = all(&mut t, table);
        let whole = found == expected;
        let torn = open_tail && name != "data" && found == expected[..expected.len() - 1];
        assert!(whole || torn, "bit {bit} of {name} changed the answer silently: {} rows", found.len());
        assert_eq!(by_index(&mut t, unique, Direction::Forward), found);
        assert_eq!(by_index(&mut t, second, Direction::Forward).len(), found.len());
    }
    assert!(named > 20, "{named} of the flips hit something");
}

/// The log's last block is needed no more after a clean stop, but to tell where the log goes on: a log that begins anew before
/// the checkpoint would lose what is committed next.
#[test]
fn a_damaged_end_of_the_log_before_the_checkpoint_is_named() {
    let io = SimIo::new();
    let engine = open(&io);
    let (table, ..) = make_table(&engine);
    let mut named = 0;
    for id in 0..20 {
        let mut t = begin(&engine);
        insert(&mut t, table, id, 1).unwrap();
        // The checkpoint itself flushes the commit: its position lies within a block.
        t.commit().unwrap();
        engine.close().unwrap();
        let damaged = io.crash(|| true);
        damaged.flip("log-0000000000", (engine.durable().0 - 1) / 4096 * 4096 * 8 + 99);
        let config = Config { pool_bytes: 1 << 20, ..Config::default() };
        match Engine::open(std::sync::Arc::new(damaged.clone()), std::sync::Arc::new(FixedClock), config) {
            Ok(engine) => {
                let mut t = begin(&engine);
                insert(&mut t, table, 1000, 1).unwrap();
                commit(&engine, t);
                let again = open(&damaged.crash(|| false));
                assert_eq!(all(&mut begin(&again), table).len(), id as usize + 2, "a commit is lost");
            }
            Err(error) => {
                assert!(matches!(error, Error::Corrupt(_)), "{error}");
                named += 1;
            }
        }
    }
    assert!(named > 0);
}

#[test]
fn a_log_file_that_is_missing_is_named() {
    use lightning_storage::io::Io;
    let io = SimIo::new();
    let engine = open(&io);
    let (table, ..) = make_table(&engine);
    engine.checkpoint().unwrap();
    let mut t = begin(&engine);
    insert(&mut t, table, 1, 1).unwrap();
    commit(&engine, t);
    let after = io.crash(|| true);
    after.remove("log-0000000000").unwrap();
    let opened = Engine::open(std::sync::Arc::new(after), std::sync::Arc::new(FixedClock), Config::default());
    assert!(matches!(opened, Err(Error::Corrupt(what)) if what.contains("log-0000000000")));
}

#[test]
fn a_second_engine_on_one_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let io = lightning_storage::io::file::FileIo::open(folder.path()).unwrap();
    let open = |io| Engine::open(std::sync::Arc::new(io), std::sync::Arc::new(FixedClock), Config::default());
    let engine = open(io).unwrap();
    let (table, ..) = make_table(&engine);
    let mut t = begin(&engine);
    insert(&mut t, table, 1, 2).unwrap();
    commit(&engine, t);
    let second = lightning_storage::io::file::FileIo::open(folder.path());
    assert!(matches!(second, Err(Error::Locked)));
    drop(engine);
    let engine = open(lightning_storage::io::file::FileIo::open(folder.path()).unwrap()).unwrap();
    assert_eq!(all(&mut begin(&engine), table), [(1, 2)]);
    check(&engine);
}
