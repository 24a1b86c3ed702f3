//! Random operations against an ordinary map with versions; crash and reopen are ordinary operations.

use crate::database::*;
use lightning_storage::io::sim::SimIo;
use lightning_storage::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::BTreeMap;

type Model = BTreeMap<i64, (RowId, i64)>;

/// A transaction and what it should see.
struct Open {
    transaction: Transaction,
    model: Model,
    /// Ids whose rows it has changed: nobody else may.
    touched: Vec<i64>,
}

struct World {
    rng: StdRng,
    io: SimIo,
    engine: Engine,
    table: ObjectId,
    unique: ObjectId,
    second: ObjectId,
    committed: Model,
    open: Vec<Open>,
}

impl World {
    fn new(seed: u64) -> World {
        let io = SimIo::new();
        let engine = open_with(&io, 1 << 20);
        let (table, unique, second) = make_table(&engine);
        let (committed, open) = (Model::new(), Vec::new());
        World { rng: StdRng::seed_from_u64(seed), io, engine, table, unique, second, committed, open }
    }

    fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..3 => self.crash(),
            3..10 => drop(self.engine.checkpoint_step(self.rng.random_range(1..40)).unwrap()),
            10..13 => drop(self.engine.clean_step(self.rng.random_range(1..50)).unwrap()),
            13..20 if self.open.len() < 4 => {
                let transaction = begin(&self.engine);
                let model = self.committed.clone();
                self.open.push(Open { transaction, model, touched: Vec::new() });
            }
            20..28 if !self.open.is_empty() => self.finish(),
            28..33 if !self.open.is_empty() => self.compare(),
            _ if !self.open.is_empty() => self.change(),
            _ => {}
        }
    }

    /// One of the open transactions changes a row, unless somebody else is at it.
    fn change(&mut self) {
        let at = self.rng.random_range(0..self.open.len());
        let id = self.rng.random_range(0..200i64);
        let value = self.rng.random_range(0..50i64);
        if self.open.iter().enumerate().any(|(i, other)| i != at && other.touched.contains(&id)) {
            return;
        }
        let text = vec![1u8; if self.rng.random_bool(0.02) { 20_000 } else { self.rng.random_range(0..300) }];
        let (kind, table) = (self.rng.random_range(0..4), self.table);
        let open = &mut self.open[at];
        // READ COMMITTED: what others have committed since.
        for (id, row) in &self.committed {
            if !open.touched.contains(id) {
                open.model.insert(*id, *row);
            }
        }
        open.model.retain(|id, _| open.touched.contains(id) || self.committed.contains_key(id));
        open.touched.push(id);
        let t = &mut open.transaction;
        let s = t.snapshot();
        match (open.model.get(&id).copied(), kind) {
            (None, _) => {
                let row = t.insert(&s, table, &[Value::Int64(id), Value::Int64(value), Value::Bytes(&text)]).unwrap();
                open.model.insert(id, (row, value));
            }
            (Some((row, _)), 0) => {
                assert_eq!(t.delete(&s, table, row, Base::Snapshot).unwrap(), WriteOutcome::Done);
                open.model.remove(&id);
            }
            (Some((row, old)), 1) => {
                let point = t.savepoint();
                let change = [(ColumnNo(1), Value::Int64(value)), (ColumnNo(2), Value::Bytes(&text))];
                assert_eq!(t.update(&s, table, row, Base::Snapshot, &change).unwrap(), WriteOutcome::Done);
                t.rollback_to(point).unwrap();
                t.release(point);
                open.model.insert(id, (row, old));
            }
            (Some((row, _)), _) => {
                let change = [(ColumnNo(1), Value::Int64(value)), (ColumnNo(2), Value::Bytes(&text))];
                let change = if kind == 2 { &change[..] } else { &change[..1] };
                assert_eq!(t.update(&s, table, row, Base::Snapshot, change).unwrap(), WriteOutcome::Done);
                open.model.insert(id, (row, value));
            }
        }
    }

    fn finish(&mut self) {
        let at = self.rng.random_range(0..self.open.len());
        let open = self.open.swap_remove(at);
        if self.rng.random_bool(0.3) {
            open.transaction.rollback();
            return;
        }
        commit(&self.engine, open.transaction);
        for id in open.touched {
            match open.model.get(&id) {
                Some(row) => self.committed.insert(id, *row),
                None => self.committed.remove(&id),
            };
        }
    }

    /// Committed rows, through every road.
    fn compare(&mut self) {
        let mut t = begin(&self.engine);
        let expected: BTreeMap<i64, i64> = self.committed.iter().map(|(id, (_, value))| (*id, *value)).collect();
        let found: BTreeMap<i64, i64> = all(&mut t, self.table).into_iter().collect();
        assert_eq!(found, expected);
        let found = by_index(&mut t, self.unique, Direction::Forward);
        assert_eq!(found, expected.iter().map(|(id, value)| (*id, *value)).collect::<Vec<_>>());
        let mut by_value = by_index(&mut t, self.second, Direction::Backward);
        assert!(by_value.is_sorted_by_key(|(_, value)| -value));
        by_value.sort_unstable();
        assert_eq!(by_value, found);
    }

    fn crash(&mut self) {
        self.open.clear();
        let rng = &mut self.rng;
        self.io = self.io.crash(|| rng.random());
        self.engine = open_with(&self.io, 1 << 20);
        check(&self.engine);
        self.compare();
    }
}

#[test]
fn random_operations_agree_with_a_map() {
    for seed in 0..8 {
        let mut world = World::new(seed);
        for _ in 0..1500 {
            world.step();
        }
        world.open.clear();
        world.compare();
        check(&world.engine);
        assert_eq!(world.engine.stats().live_versions, 0);
    }
}

#[test]
fn threads_move_money_and_none_is_lost() {
    let engine = open(&SimIo::new());
    let (table, ..) = make_table(&engine);
    let mut t = begin(&engine);
    let rows: Vec<RowId> = (0..10).map(|id| insert(&mut t, table, id, 100).unwrap()).collect();
    commit(&engine, t);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (engine, rows) = (&engine, &rows);
            scope.spawn(move || {
                let mut rng = StdRng::seed_from_u64(thread);
                for _ in 0..300 {
                    let from = rows[rng.random_range(0..rows.len())];
                    let to = rows[rng.random_range(0..rows.len())];
                    transfer(engine, table, from, to);
                    engine.checkpoint_step(5).unwrap();
                }
            });
        }
    });
    let total: i64 = all(&mut begin(&engine), table).iter().map(|(_, value)| value).sum();
    assert_eq!(total, 1000);
    check(&engine);
}

/// Moves one from a row to another, again after each deadlock.
fn transfer(engine: &Engine, table: ObjectId, from: RowId, to: RowId) {
    'again: loop {
        let mut t = begin(engine);
        for (row, change) in [(from, -1), (to, 1)] {
            let s = t.snapshot();
            loop {
                match t.lock_row(&s, table, row, RowLockMode::NoKeyUpdate, WaitPolicy::Wait) {
                    Ok(LockOutcome::Done | LockOutcome::Changed | LockOutcome::SelfModified) => break,
                    Err(Error::Wait(waiter)) => waiter.block(),
                    Err(Error::Deadlock { .. }) => continue 'again,
                    other => panic!("{other:?}"),
                }
            }
            let mut rows = RowBuffer::new();
            let Newest::Row(stamp) = t.get_newest(table, row, &mut rows).unwrap() else { panic!("no row goes") };
            let value = int(&rows, 0, 1) + change;
            let outcome = t.update(&s, table, row, Base::Newest(stamp), &[(ColumnNo(1), Value::Int64(value))]);
            assert_eq!(outcome.unwrap(), WriteOutcome::Done);
        }
        commit(engine, t);
        return;
    }
}

/// Threads insert, change, delete and roll back on few unique keys, while checkpoints are cut and power fails at any moment.
#[test]
fn threads_race_for_keys_and_every_moment_recovers() {
    let io = SimIo::new();
    let engine = open_with(&io, 1 << 20);
    let (table, unique, _) = make_table(&engine);
    let moments = parking_lot::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (engine, io, moments) = (&engine, &io, &moments);
            scope.spawn(move || {
                let mut rng = StdRng::seed_from_u64(thread);
                for round in 0..400 {
                    race(engine, table, unique, &mut rng);
                    match rng.random_range(0..20) {
                        0..4 => drop(engine.checkpoint_step(3).unwrap()),
                        4..8 => drop(engine.clean_step(5).unwrap()),
                        _ => {}
                    }
                    if round % 50 == thread {
                        moments.lock().push(io.snapshot());
                    }
                }
            });
        }
    });
    check(&engine);
    let mut rng = StdRng::seed_from_u64(1);
    for moment in moments.into_inner() {
        check(&open_with(&moment.crash(|| rng.random()), 1 << 20));
    }
}

fn race(engine: &Engine, table: ObjectId, unique: ObjectId, rng: &mut StdRng) {
    let mut t = begin(engine);
    t.wait_for_pages(rng.random_bool(0.5));
    for _ in 0..rng.random_range(1..6) {
        let s = t.snapshot();
        let id = rng.random_range(0..30i64);
        let text = vec![5u8; rng.random_range(0..600)];
        let mut rows = RowBuffer::new();
        let mut cursor = t.index_cursor(unique, KeyRange::prefix(&key(id)), Direction::Forward);
        loop {
            match t.index_next(&s, &mut cursor, 2, &mut rows) {
                Err(Error::Wait(waiter)) => waiter.block(),
                more if more.as_ref().is_ok_and(|more| *more) => {}
                end => break assert!(!end.unwrap()),
            }
        }
        assert!(rows.len() < 2);
        assert!(rows.is_empty() || int(&rows, 0, 0) == id, "an entry led to a row with another key");
        loop {
            let value = Value::Int64(rng.random_range(0..9));
            let result = match (rows.len(), rng.random_range(0..3)) {
                (0, 0) => {
                    // Rows of some keys at once: all or none.
                    let mut batch = t.batch(table).unwrap();
                    for id in id..id + rng.random_range(1..4) {
                        batch.begin(3);
                        for value in [Value::Int64(id), value, Value::Bytes(&text)] {
                            batch.push(value).unwrap();
                        }
                        assert!(batch.finish().unwrap());
                    }
                    t.insert_batch(&s, &batch).map(|_| ())
                }
                (0, _) => t.insert(&s, table, &[Value::Int64(id), value, Value::Bytes(&text)]).map(|_| ()),
                (_, 0) => t.delete(&s, table, rows.row_id(0), Base::Snapshot).map(|_| ()),
                (_, 1) => {
                    let changes = [(ColumnNo(0), Value::Int64(rng.random_range(0..30))), (ColumnNo(1), value)];
                    t.update(&s, table, rows.row_id(0), Base::Snapshot, &changes).map(|_| ())
                }
                _ => {
                    let changes = [(ColumnNo(1), value), (ColumnNo(2), Value::Bytes(&text))];
                    t.update(&s, table, rows.row_id(0), Base::Snapshot, &changes).map(|_| ())
                }
            };
            match result {
                Ok(()) | Err(Error::Duplicate { .. }) => break,
                Err(Error::Wait(waiter)) => waiter.block(),
                Err(Error::Deadlock { .. }) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
    if rng.random_bool(0.7) {
        commit(engine, t);
    }
}
