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
