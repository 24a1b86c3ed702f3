//! Many sessions on one thread over a simulated disk, all from one seed, compared at every step with a model.
//!
//! Sessions are state machines: each takes one call at a time, waits without blocking, and gives up at random. Between them
//! the log is flushed, checkpoints and clean-up go on in steps, the disk fails, fills up, or loses power at any write or
//! sync. The model says what each snapshot sees, which outcomes a change may have, and what is there after a crash: every
//! commit up to the position that recovery says is durable, which lies at or behind all that was acknowledged, and nothing
//! else. Nobody may be left waiting for ever. Every run ends with `check`.
//!
//! `LIGHTNING_SIM_SECONDS` says how long fresh seeds are tried, `LIGHTNING_SIM_SEED` replays one.

mod model;
mod session;

use crate::database::*;
use lightning_storage::io::sim::{Faults, SimIo};
use lightning_storage::*;
use model::{Cell, Change, Index, Row, Stamp, Table, Undo};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use session::{Action, Place, Portal, Session, Statement};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What may go wrong at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Trouble {
    #[default]
    None,
    /// The disk stops taking writes or syncs, for good; a crash follows.
    Dying,
    /// Writes fail for a while.
    Flaky,
    /// The disk is full for a while.
    Full,
}

struct World {
    rng: StdRng,
    io: SimIo,
    engine: Engine,
    config: Config,
    tables: Vec<Table>,
    sessions: Vec<Session>,
    trouble: Trouble,
    trouble_left: u32,
    /// Rollbacks that an earlier trouble had interrupted when this one began: clean-up has not come to them yet.
    interrupted: u64,
    /// Everything up to here has been acknowledged.
    acknowledged: u64,
    sequence: ObjectId,
    /// The last value met, and the one that must never come again even after a crash.
    values: Counter,
    oids: Counter,
    /// Rates of this run, in thousandths per step.
    crash_rate: u32,
    trouble_rate: u32,
    keys: i64,
    /// What happens, printed when `LIGHTNING_SIM_TRACE` is set.
    trace: bool,
    steps: u64,
}

/// Numbers that are given out once.
#[derive(Default)]
struct Counter {
    last: i64,
    told: i64,
    waiting: Vec<(Position, i64)>,
}

impl Counter {
    fn give(&mut self, value: i64, noted: Position) {
        assert!(value > self.last, "{value} after {}", self.last);
        self.last = value;
        self.waiting.push((noted, value));
    }

    fn tell(&mut self, durable: Position) {
        let told = self.waiting.iter().filter(|(noted, _)| *noted <= durable).map(|(_, value)| *value);
        self.told = told.max().unwrap_or(0).max(self.told);
        self.waiting.retain(|(noted, _)| *noted > durable);
    }

    fn crash(&mut self) {
        self.waiting.clear();
        self.last = self.told;
    }
}

macro_rules! trace {
    ($world:expr, $($what:tt)*) => {
        if $world.trace {
            println!("{:6} {}", $world.steps, format!($($what)*));
        }
    };
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = StdRng::seed_from_u64(seed);
        let io = SimIo::new();
        let pool_bytes = rng.random_range(24..128) * PAGE_SIZE;
        let undo_bytes = if rng.random_bool(0.2) { 40_000 } else { 1 << 30 };
        let config = Config { pool_bytes, undo_bytes, ..Config::default() };
        let engine = open_config(&io, &config);
        let mut t = begin(&engine);
        let def = SequenceDef { start: 1, increment: 1, min: 1, max: i64::MAX, cycle: false };
        let sequence = t.create_sequence(def).unwrap();
        commit(&engine, t);
        let sessions = (0..rng.random_range(1..8)).map(|_| Session::default()).collect();
        let (crash_rate, trouble_rate) = (rng.random_range(0..6), rng.random_range(0..8));
        let keys = rng.random_range(5..150);
        World {
            rng,
            io,
            engine,
            config,
            tables: Vec::new(),
            sessions,
            trouble: Trouble::None,
            trouble_left: 0,
            interrupted: 0,
            acknowledged: 0,
            sequence,
            values: Counter::default(),
            oids: Counter { last: 16383, told: 16383, waiting: Vec::new() },
            crash_rate,
            trouble_rate,
            keys,
            trace: std::env::var("LIGHTNING_SIM_TRACE").is_ok(),
            steps: 0,
        }
    }

    fn step(&mut self) {
        self.steps += 1;
        let stuck = |session: &Session| session.transaction.is_some() && session.is_stuck();
        let open = self.sessions.iter().filter(|session| session.transaction.is_some()).count();
        let all_stuck = open > 0 && self.sessions.iter().filter(|session| stuck(session)).count() == open;
        assert!(!all_stuck || self.is_held_up(), "every open session waits for another");
        if self.rng.random_ratio(self.crash_rate, 1000) {
            return self.crash();
        }
        if self.rng.random_ratio(self.trouble_rate, 1000) {
            return self.begin_trouble();
        }
        if self.trouble != Trouble::None {
            self.trouble_left -= 1;
            if self.trouble_left == 0 {
                return self.end_trouble();
            }
        }
        match self.rng.random_range(0..100) {
            0..12 => self.flush(),
            12..18 => {
                let budget = if self.rng.random_bool(0.1) { usize::MAX } else { self.rng.random_range(1..30) };
                let result = self.engine.checkpoint_step(budget);
                trace!(self, "checkpoint step {budget}: {result:?}");
                result.map(|_| ()).unwrap_or_else(|error| self.background(error, false));
            }
            18..23 => {
                let budget = self.rng.random_range(1..50);
                let result = self.engine.clean_step(budget);
                trace!(self, "clean step {budget}: {result:?}");
                result.map(|_| ()).unwrap_or_else(|error| self.background(error, true));
            }
            23..24 if self.rng.random_bool(0.1) => self.quiesce(),
            _ => {
                let at = self.rng.random_range(0..self.sessions.len());
                self.session_step(at);
            }
        }
        self.acknowledge(self.engine.durable().0);
    }

    /// Rows may be locked by a rollback that the disk has interrupted.
    fn is_held_up(&self) -> bool {
        let unfinished = self.engine.stats().unfinished_rollbacks;
        assert!(unfinished <= self.interrupted || self.trouble != Trouble::Full);
        unfinished > 0
    }

    fn acknowledge(&mut self, position: u64) {
        self.acknowledged = self.acknowledged.max(position);
        self.values.tell(self.engine.durable());
        self.oids.tell(self.engine.durable());
    }

    fn flush(&mut self) {
        match self.engine.log_step() {
            Ok(step) => trace!(self, "log: {step:?}"),
            Err(error) => self.background(error, false),
        }
    }

    /// Background work failed: only when the disk does.
    fn background(&mut self, error: Error, clean: bool) {
        trace!(self, "background: {error}");
        // Clean-up draws on what is kept back as far as it may; a checkpoint gives that back.
        assert!(self.tolerates(&error) && (clean || error_is_io(&error)), "background work failed: {error}");
        if self.engine.is_data_failed() || self.engine.is_poisoned() {
            self.crash();
        }
    }

    fn tolerates(&self, error: &Error) -> bool {
        match error {
            Error::Io(_) | Error::Poisoned => matches!(self.trouble, Trouble::Dying | Trouble::Flaky),
            Error::Full => self.trouble == Trouble::Full,
            Error::OutOfMemory => self.config.undo_bytes < 1 << 30,
            Error::SnapshotTooOld => self.config.undo_bytes < 1 << 30,
            _ => false,
        }
    }

    fn begin_trouble(&mut self) {
        if self.trouble != Trouble::None {
            return;
        }
        let (trouble, faults) = match self.rng.random_range(0..4) {
            0 => (Trouble::Dying, Faults { writes_left: Some(self.rng.random_range(0..40)), ..Faults::default() }),
            1 => (Trouble::Dying, Faults { syncs_left: Some(self.rng.random_range(0..6)), ..Faults::default() }),
            2 => (Trouble::Flaky, Faults { writes_left: Some(self.rng.random_range(0..20)), ..Faults::default() }),
            _ => {
                let room = self.rng.random_range(0..10) * PAGE_SIZE as u64;
                (Trouble::Full, Faults { capacity_bytes: Some(self.io.used_bytes() + room), ..Faults::default() })
            }
        };
        trace!(self, "trouble: {trouble:?} {faults:?}");
        self.io.set_faults(faults);
        self.trouble = trouble;
        self.trouble_left = self.rng.random_range(1..300);
        self.interrupted = self.engine.stats().unfinished_rollbacks;
    }

    fn end_trouble(&mut self) {
        trace!(self, "end of trouble");
        if self.trouble == Trouble::Dying || self.engine.is_poisoned() || self.engine.is_data_failed() {
            return self.crash();
        }
        self.io.set_faults(Faults::default());
        self.trouble = Trouble::None;
    }

    /// Power goes; what comes back must be what the model has up to the position that the log ends at.
    fn crash(&mut self) {
        self.acknowledge(self.engine.durable().0);
        let keep = [0.0, 1.0, 0.5, self.rng.random()][self.rng.random_range(0..4)];
        let rng = &mut self.rng;
        let after = self.io.crash(|| rng.random_bool(keep));
        trace!(self, "crash, keeping {keep}");
        self.reopen(after);
    }

    fn reopen(&mut self, io: SimIo) {
        self.sessions.iter_mut().for_each(|session| *session = Session::default());
        self.io = io;
        self.trouble = Trouble::None;
        if self.rng.random_bool(0.2) {
            self.crash_while_opening();
        }
        self.engine = open_config(&self.io, &self.config);
        let durable = self.engine.durable().0;
        assert!(durable >= self.acknowledged, "{} was acknowledged, {durable} is there", self.acknowledged);
        trace!(self, "open again at {durable}");
        self.acknowledged = durable;
        self.tables.retain(|table| table.survives(durable));
        self.tables.iter_mut().for_each(|table| table.crash(durable));
        self.tables.retain(|table| table.dropped.is_none());
        self.values.crash();
        self.oids.crash();
        self.verify();
    }

    /// Power goes again before recovery is done.
    fn crash_while_opening(&mut self) {
        let writes_left = Some(self.rng.random_range(0..30));
        self.io.set_faults(Faults { writes_left, ..Faults::default() });
        let opened = Engine::open(Arc::new(self.io.clone()), Arc::new(FixedClock), self.config.clone());
        trace!(self, "crash while opening: {opened:?}");
        drop(opened);
        let rng = &mut self.rng;
        self.io = self.io.crash(|| rng.random());
    }

    /// Everybody ends; everything is compared and checked.
    fn quiesce(&mut self) {
        if self.trouble != Trouble::None {
            return;
        }
        trace!(self, "everybody ends");
        for at in 0..self.sessions.len() {
            self.rollback(at);
            self.sessions[at].committing = None;
        }
        self.engine.flush().unwrap();
        self.acknowledge(self.engine.durable().0);
        self.verify();
        assert_eq!(self.engine.stats().live_versions, 0);
        assert_eq!(self.engine.stats().undo_bytes, 0);
        assert_eq!(self.engine.locks().len(), 0);
        match self.rng.random_range(0..3) {
            0 => {}
            1 => {
                self.engine.close().unwrap();
                self.acknowledge(self.engine.durable().0);
                let io = self.io.crash(|| false);
                self.reopen(io);
            }
            _ => {
                let io = self.io.crash(|| true);
                self.reopen(io);
            }
        }
    }

    /// Compares every table through every road, and walks every structure.
    fn verify(&mut self) {
        check(&self.engine);
        let mut t = begin(&self.engine);
        let s = t.snapshot();
        let position = s.position().0;
        for table in self.tables.iter().filter(|table| table.exists(usize::MAX)) {
            let expected = table.seen(usize::MAX, 0, position);
            assert_eq!(scan(&t, &s, table, &mut || 7).unwrap(), expected, "table {}", table.id.0);
            for index in table.indexes.iter().filter(|index| index.exists(usize::MAX)) {
                for direction in [Direction::Forward, Direction::Backward] {
                    let expected = table.seen_by(index, expected.clone(), &KeyRange::all(), direction);
                    let found = index_scan(&t, &s, index.id, KeyRange::all(), direction, &mut || 5).unwrap();
                    assert_eq!(found, expected, "index {} of table {}", index.id.0, table.id.0);
                }
            }
        }
    }

    fn session_step(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        if let Some(position) = session.committing {
            if self.engine.wait_durable(position).is_none() {
                session.committing = None;
                self.acknowledge(position.0);
                trace!(self, "{at}: commit {} is durable", position.0);
            }
            return;
        }
        if session.transaction.is_none() {
            return self.begin(at);
        }
        if session.statement.is_some() {
            if session.is_stuck() && !self.rng.random_bool(0.02) {
                return;
            }
            let waiter = session.statement.as_ref().and_then(|statement| statement.waiter.as_ref());
            if let Some(waiter) = waiter.filter(|waiter| waiter.needs_work()) {
                // The page comes in, and may be gone again when the statement goes on; or nobody has read it.
                match self.rng.random_range(0..10) {
                    0..4 => return,
                    4..9 => return waiter.work(),
                    _ => {}
                }
            }
            if self.rng.random_bool(0.02) {
                return self.rollback(at); // a timeout, a cancel
            }
            return self.go_on(at);
        }
        match self.rng.random_range(0..100) {
            0..10 => self.commit(at),
            10..14 => self.rollback(at),
            14..19 => self.savepoint(at),
            19..23 if !session.savepoints.is_empty() => self.rollback_to(at),
            23..25 if !session.savepoints.is_empty() => {
                let keep = self.rng.random_range(0..session.savepoints.len());
                let (point, _) = session.savepoints[keep];
                session.savepoints.truncate(keep);
                session.transaction.as_mut().unwrap().release(point);
            }
            25..35 if !session.portals.is_empty() => self.fetch(at),
            35..37 => self.next_value(at),
            37..38 => self.next_oid(at),
            38..41 => self.create_table(at),
            _ => self.begin_statement(at),
        }
    }

    fn begin(&mut self, at: usize) {
        let repeatable = self.rng.random_bool(0.4);
        let isolation = if repeatable { Isolation::RepeatableRead } else { Isolation::ReadCommitted };
        let mut transaction = self.engine.begin(isolation);
        transaction.wait_for_pages(self.rng.random_bool(0.8));
        transaction.set_session(SessionId(at as u64 + 1));
        trace!(self, "{at}: begins {} {isolation:?}", transaction.id().0);
        self.sessions[at] = Session { transaction: Some(transaction), repeatable, ..Session::default() };
    }

    fn commit(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        session.portals.clear();
        session.savepoints.clear();
        let transaction = session.transaction.take().unwrap();
        let undo = std::mem::take(&mut session.undo);
        let wrote = !undo.is_empty();
        let kind = self.rng.random_range(0..10);
        let result = match kind {
            0 => transaction.commit_async(),
            1 => transaction.commit_holding_locks().map(|(position, _)| position),
            _ => transaction.commit(),
        };
        trace!(self, "{at}: commit {result:?}");
        match result {
            Ok(position) => {
                undo.into_iter().for_each(|undo| undo.commit(&mut self.tables, at, position.0));
                self.sessions[at].committing = (wrote && kind > 0).then_some(position);
            }
            Err(error) => {
                undo.into_iter().rev().for_each(|undo| undo.undo(&mut self.tables, at));
                assert!(self.tolerates(&error) || self.sessions[at].hurt, "commit failed: {error}");
            }
        }
    }

    fn rollback(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        let Some(transaction) = session.transaction.take() else { return };
        trace!(self, "{at}: rolls back");
        session.portals.clear();
        session.statement = None;
        session.savepoints.clear();
        let undo = std::mem::take(&mut session.undo);
        if self.rng.random_bool(0.5) {
            transaction.rollback();
        } else {
            drop(transaction);
        }
        undo.into_iter().rev().for_each(|undo| undo.undo(&mut self.tables, at));
    }

    fn savepoint(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        let point = session.transaction.as_mut().unwrap().savepoint();
        session.savepoints.push((point, session.undo.len()));
    }

    fn rollback_to(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        session.portals.clear();
        let to = self.rng.random_range(0..session.savepoints.len());
        session.savepoints.truncate(to + 1);
        let (point, mark) = session.savepoints[to];
        let result = session.transaction.as_mut().unwrap().rollback_to(point);
        trace!(self, "{at}: back to savepoint {point:?}: {result:?}");
        if let Err(error) = result {
            assert!(self.tolerates(&error) && error_is_io(&error), "rollback to a savepoint failed: {error}");
            return self.rollback(at);
        }
        let undone = self.sessions[at].undo.split_off(mark);
        undone.into_iter().rev().for_each(|undo| undo.undo(&mut self.tables, at));
    }

    /// What became of a call: an error that the disk explains ends the statement, sometimes the transaction.
    fn failed(&mut self, at: usize, error: Error) {
        trace!(self, "{at}: {error}");
        assert!(self.tolerates(&error) || self.sessions[at].hurt, "a statement failed: {error}");
        self.sessions[at].statement = None;
        self.sessions[at].hurt = true;
        if self.rng.random_bool(0.5) {
            self.rollback(at);
        }
    }

    fn next_value(&mut self, at: usize) {
        let t = self.sessions[at].transaction.as_mut().unwrap();
        let result = if self.rng.random_bool(0.1) {
            let value = self.values.last + self.rng.random_range(1..50);
            t.setval(self.sequence, value, true).map(|()| value)
        } else {
            t.nextval(self.sequence)
        };
        match result {
            Ok(value) => self.values.give(value, t.noted()),
            Err(error) => self.failed(at, error),
        }
    }

    fn next_oid(&mut self, at: usize) {
        let t = self.sessions[at].transaction.as_mut().unwrap();
        match t.allocate_oid() {
            Ok(oid) => self.oids.give(i64::from(oid), t.noted()),
            Err(error) => self.failed(at, error),
        }
    }

    fn create_table(&mut self, at: usize) {
        let live = self.tables.iter().filter(|table| table.exists(at)).count();
        if live >= 4 {
            return;
        }
        let t = self.sessions[at].transaction.as_mut().unwrap();
        let created = Stamp::Pending(at);
        let mut table = Table {
            id: ObjectId(0),
            created,
            dropped: None,
            added: Vec::new(),
            rows: Default::default(),
            indexes: Vec::new(),
        };
        let made = t.create_table(table.def()).and_then(|id| {
            table.id = id;
            for (column, unique) in [(0, true), (1, false)] {
                let kind = if unique { Unique::Immediate } else { Unique::No };
                let id = t.create_index(index_on(id, &[column], kind))?;
                let column = usize::from(column);
                let (descending, nulls_first, dropped) = (false, false, None);
                table.indexes.push(Index { id, created, dropped, column, unique, descending, nulls_first });
            }
            Ok(())
        });
        self.sessions[at].commands += 3; // definitions take snapshots of their own
        trace!(self, "{at}: creates table {}: {made:?}", table.id.0);
        if table.id != ObjectId(0) {
            self.tables.push(table);
            self.sessions[at].undo.push(Undo::Created { table: self.tables.len() - 1 });
            // Indexes come and go with it.
        }
        if let Err(error) = made {
            self.failed(at, error);
        }
    }

    fn begin_statement(&mut self, at: usize) {
        let tables: Vec<usize> = (0..self.tables.len()).filter(|table| self.tables[*table].exists(at)).collect();
        if tables.is_empty() {
            return self.create_table(at);
        }
        let table = tables[self.rng.random_range(0..tables.len())];
        let action = self.random_action(at, table);
        if action.is_definition() && self.sessions[at].portals.iter().any(|portal| portal.table == table) {
            return;
        }
        trace!(self, "{at}: table {}: {action:?}", self.tables[table].id.0);
        self.sessions[at].statement = Some(Statement { table, action, snapshot: None, waiter: None });
        self.go_on(at);
    }

    fn random_cell(&mut self, column: usize) -> Cell {
        match column {
            2 => {
                let length = match self.rng.random_range(0..100) {
                    0..75 => self.rng.random_range(0..200),
                    75..95 => self.rng.random_range(0..4000),
                    _ => self.rng.random_range(4000..40_000),
                };
                Cell::Text(length, if length == 0 { 0 } else { self.rng.random() })
            }
            _ if self.rng.random_bool(0.05) => Cell::Null,
            0 => Cell::Int(self.rng.random_range(0..self.keys)),
            _ => Cell::Int(self.rng.random_range(0..20)),
        }
    }

    fn random_row_id(&mut self, at: usize, table: usize) -> u64 {
        let table = &self.tables[table];
        let live: Vec<u64> = table.rows.iter().filter(|(_, row)| row.newest(at).is_some()).map(|(id, _)| *id).collect();
        let bound = table.rows.last_key_value().map_or(1, |(id, _)| *id + 1);
        match live.len() {
            0 => self.rng.random_range(1..=bound),
            _ if self.rng.random_bool(0.1) => self.rng.random_range(1..=bound),
            n => live[self.rng.random_range(0..n)],
        }
    }

    fn random_index(&mut self, at: usize, table: usize) -> Option<ObjectId> {
        let indexes = self.tables[table].indexes.iter().filter(|index| index.exists(at));
        let indexes: Vec<ObjectId> = indexes.map(|index| index.id).collect();
        (!indexes.is_empty()).then(|| indexes[self.rng.random_range(0..indexes.len())])
    }

    fn random_action(&mut self, at: usize, table: usize) -> Action {
        let columns = self.tables[table].columns();
        match self.rng.random_range(0..100) {
            0..30 => Action::Insert((0..columns).map(|column| self.random_cell(column)).collect()),
            30..52 => {
                let mut changes: Vec<(usize, Cell)> = Vec::new();
                for _ in 0..self.rng.random_range(1..3) {
                    let column = self.rng.random_range(0..columns);
                    if changes.iter().all(|(other, _)| *other != column) {
                        changes.push((column, self.random_cell(column)));
                    }
                }
                Action::Update { row: self.random_row_id(at, table), changes }
            }
            52..62 => Action::Delete { row: self.random_row_id(at, table) },
            62..68 => {
                let modes = [RowLockMode::KeyShare, RowLockMode::Share, RowLockMode::NoKeyUpdate, RowLockMode::Update];
                let policies = [WaitPolicy::Wait, WaitPolicy::Wait, WaitPolicy::NoWait, WaitPolicy::Skip];
                let (mode, policy) = (self.rng.random_range(0..4), self.rng.random_range(0..4));
                Action::LockRow {
                    row: self.random_row_id(at, table),
                    mode: modes[mode as usize],
                    policy: policies[policy as usize],
                }
            }
            68..74 => Action::Get { row: self.random_row_id(at, table) },
            74..79 => Action::Scan,
            79..88 => match self.random_index(at, table) {
                Some(index) => {
                    let direction = if self.rng.random_bool(0.5) { Direction::Forward } else { Direction::Backward };
                    Action::IndexScan { index, range: self.random_range(table, index), direction }
                }
                None => Action::Scan,
            },
            88..93 if self.sessions[at].portals.len() < 3 => {
                let index = if self.rng.random_bool(0.5) { self.random_index(at, table) } else { None };
                Action::OpenPortal { index }
            }
            93 => Action::DropTable,
            94 if columns < 6 => Action::AddColumn { default: self.rng.random_range(0..100) },
            95 | 96 => {
                let index = self.tables[table].indexes.iter().filter(|index| index.exists(at)).count();
                if index >= 5 {
                    return Action::Scan;
                }
                Action::CreateIndex {
                    column: [0, 0, 1][self.rng.random_range(0..3usize)],
                    unique: self.rng.random_bool(0.3),
                    descending: self.rng.random(),
                    nulls_first: self.rng.random(),
                }
            }
            97 => match self.random_index(at, table) {
                Some(index) => Action::DropIndex { index },
                None => Action::Scan,
            },
            98 => Action::LockTable,
            _ => Action::Scan,
        }
    }

    fn random_range(&mut self, table: usize, index: ObjectId) -> KeyRange {
        let cells = [self.random_cell(0), self.random_cell(0)];
        let index = self.tables[table].indexes.iter().find(|each| each.id == index).unwrap();
        let [low, high] = cells.map(|cell| {
            let mut row = vec![Cell::Null; 3];
            row[index.column] = cell;
            index.key(&row)
        });
        let bound = |kind: u32, key: Vec<u8>| match kind {
            0 => Bound::Unbounded,
            1 => Bound::Included(key),
            _ => Bound::Excluded(key),
        };
        match self.rng.random_range(0..3) {
            0 => KeyRange::all(),
            1 => KeyRange::prefix(&low),
            _ => KeyRange {
                lower: bound(self.rng.random_range(0..3), low),
                upper: bound(self.rng.random_range(0..3), high),
            },
        }
    }

    /// The statement's next call.
    fn go_on(&mut self, at: usize) {
        let mut statement = self.sessions[at].statement.take().unwrap();
        statement.waiter = None;
        let table = statement.table;
        let t = self.sessions[at].transaction.as_mut().unwrap();
        if statement.snapshot.is_none() {
            let tag = LockTag::Table(self.tables[table].id.0);
            match t.lock(tag, statement.action.lock(), WaitPolicy::Wait, LockScope::Transaction) {
                Ok(granted) => assert!(granted),
                Err(Error::Wait(waiter)) => {
                    statement.waiter = Some(waiter);
                    self.sessions[at].statement = Some(statement);
                    return;
                }
                Err(Error::Deadlock { .. }) => return self.rollback(at),
                Err(error) => return self.failed(at, error),
            }
            if !self.tables[table].exists(at) {
                return; // dropped while we waited
            }
            if let Action::Update { changes, .. } = &mut statement.action {
                changes.retain(|(column, _)| *column < self.tables[table].columns());
            }
            let snapshot = t.snapshot();
            self.sessions[at].commands += 1;
            assert!(
                self.sessions[at].repeatable || snapshot.position().0 >= self.acknowledged,
                "a statement does not see what was acknowledged before it"
            );
            statement.snapshot = Some((snapshot, self.sessions[at].commands));
        }
        match self.call(at, &mut statement) {
            Ok(()) => {}
            Err(Error::Wait(waiter)) => {
                trace!(self, "{at}: waits");
                statement.waiter = Some(waiter);
                self.sessions[at].statement = Some(statement);
            }
            Err(Error::Deadlock { detail }) => {
                trace!(self, "{at}: deadlock: {detail}");
                self.rollback(at);
            }
            Err(Error::Conflict) => {
                assert!(self.sessions[at].repeatable);
                trace!(self, "{at}: conflict");
                self.rollback(at);
            }
            Err(Error::Duplicate { index, row }) => {
                trace!(self, "{at}: duplicate in index {} of row {}", index.0, row.0);
                if self.rng.random_bool(0.3) {
                    self.rollback(at);
                }
            }
            Err(error) => self.failed(at, error),
        }
    }

    fn call(&mut self, at: usize, statement: &mut Statement) -> Result<()> {
        let (snapshot, command) = statement.snapshot.clone().unwrap();
        let (number, position) = (statement.table, snapshot.position().0);
        let (held_up, hurt) = (self.is_held_up(), self.sessions[at].hurt);
        let mut session = std::mem::take(&mut self.sessions[at]);
        let t = session.transaction.as_mut().unwrap();
        let table = &self.tables[number];
        // Columns may have come while we waited.
        let result = match &mut statement.action {
            Action::LockTable => Ok(()),
            Action::Get { row } => get(t, &snapshot, table, *row, at, command),
            Action::Scan => {
                let rng = &mut self.rng;
                let expected = table.seen(at, command, position);
                let found = scan(t, &snapshot, table, &mut || rng.random_range(1..40));
                found.map(|found| assert_eq!(found, expected, "a scan"))
            }
            Action::IndexScan { index, range, direction } => {
                match table.indexes.iter().find(|each| each.id == *index && each.exists(at)) {
                    Some(each) => {
                        let expected = table.seen_by(each, table.seen(at, command, position), range, *direction);
                        let rng = &mut self.rng;
                        let mut step = || rng.random_range(1..20);
                        let t = session.transaction.as_ref().unwrap();
                        let found = index_scan(t, &snapshot, *index, range.clone(), *direction, &mut step);
                        found.map(|found| assert_eq!(found, expected, "a scan of index {}", index.0))
                    }
                    _ => Ok(()),
                }
            }
            Action::OpenPortal { index } => {
                let rows = table.seen(at, command, position);
                let index =
                    index.and_then(|index| table.indexes.iter().find(|each| each.id == index && each.exists(at)));
                let t = session.transaction.as_ref().unwrap();
                let (place, expected) = match index {
                    None => (Place::Rows(RowId(1)), rows),
                    Some(index) => {
                        let cursor = t.index_cursor(index.id, KeyRange::all(), Direction::Forward);
                        let rows = table.seen_by(index, rows, &KeyRange::all(), Direction::Forward);
                        (Place::Index(cursor), rows)
                    }
                };
                session.portals.push(Portal { table: number, snapshot, place, expected: expected.into() });
                Ok(())
            }
            Action::Insert(row) => {
                row.truncate(table.columns());
                let row = table.whole(row);
                insert_row(t, &snapshot, &mut self.tables, number, row, at, command, held_up, &mut session.undo)
            }
            Action::Update { row, changes } => {
                let write = Write { session: at, command, repeatable: session.repeatable, held_up, row: *row };
                write.change(t, &snapshot, &mut self.tables, number, Some(changes), &mut session.undo)
            }
            Action::Delete { row } => {
                let write = Write { session: at, command, repeatable: session.repeatable, held_up, row: *row };
                write.change(t, &snapshot, &mut self.tables, number, None, &mut session.undo)
            }
            Action::LockRow { row, mode, policy } => {
                let write = Write { session: at, command, repeatable: session.repeatable, held_up, row: *row };
                write.lock(t, &snapshot, &mut self.tables, number, *mode, *policy, &mut session.undo)
            }
            Action::DropTable => t.drop_object(table.id).map(|()| {
                self.tables[number].dropped = Some(Stamp::Pending(at));
                session.undo.push(Undo::Dropped { table: number });
            }),
            Action::AddColumn { default } => {
                let table = &mut self.tables[number];
                table.added.push((Stamp::Pending(at), *default));
                let altered = t.alter_table(table.id, table.def());
                match &altered {
                    Ok(()) => session.undo.push(Undo::Added { table: number }),
                    Err(_) => drop(table.added.pop()),
                }
                altered
            }
            Action::CreateIndex { column, unique, descending, nulls_first } => {
                let (column, unique) = (*column, *unique);
                let mut def = index_on(table.id, &[column as u16], if unique { Unique::Immediate } else { Unique::No });
                (def.columns[0].descending, def.columns[0].nulls_first) = (*descending, *nulls_first);
                t.create_index(def).map(|id| {
                    let (descending, nulls_first) = (*descending, *nulls_first);
                    let created = Stamp::Pending(at);
                    let index = Index { id, created, dropped: None, column, unique, descending, nulls_first };
                    self.tables[number].indexes.push(index);
                    session.undo.push(Undo::CreatedIndex { table: number });
                    session.statement = Some(Statement {
                        table: number,
                        action: Action::BuildIndex { index: id },
                        snapshot: None,
                        waiter: None,
                    });
                })
            }
            Action::BuildIndex { index } => {
                let built = t.build_index(&snapshot, *index, self.rng.random_range(1..60));
                let model = table.indexes.iter().find(|each| each.id == *index).unwrap();
                match built {
                    Ok(true) => {
                        assert!(!table.has_duplicates(model, at), "a unique index was built over duplicates");
                        Ok(())
                    }
                    Ok(false) => {
                        let action = Action::BuildIndex { index: *index };
                        session.statement = Some(Statement { table: number, action, snapshot: None, waiter: None });
                        Ok(())
                    }
                    Err(error) => {
                        if matches!(error, Error::Duplicate { .. }) {
                            assert!(table.has_duplicates(model, at), "duplicates where there are none");
                        }
                        // Half an index is no index: the server rolls back.
                        session.statement = None;
                        self.sessions[at] = session;
                        self.rollback(at);
                        return match error {
                            Error::Duplicate { .. } => Ok(()),
                            error if self.tolerates(&error) || hurt => Ok(()),
                            error => panic!("building an index failed: {error}"),
                        };
                    }
                }
            }
            Action::DropIndex { index } => {
                let place = table.indexes.iter().position(|each| each.id == *index && each.exists(at));
                match place {
                    None => Ok(()),
                    Some(place) => t.drop_object(*index).map(|()| {
                        self.tables[number].indexes[place].dropped = Some(Stamp::Pending(at));
                        session.undo.push(Undo::DroppedIndex { table: number, index: place });
                    }),
                }
            }
        };
        self.sessions[at] = session;
        result
    }

    fn fetch(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        let which = self.rng.random_range(0..session.portals.len());
        let portal = &mut session.portals[which];
        let t = session.transaction.as_ref().unwrap();
        let table = &self.tables[portal.table];
        let (max, mut rows) = (self.rng.random_range(1..30), RowBuffer::new());
        let end = match &mut portal.place {
            Place::Rows(next) => {
                let range = *next..t.row_id_bound(table.id);
                match t.scan(&portal.snapshot, table.id, range, max, &mut rows) {
                    Ok(Some(resume)) => {
                        *next = resume;
                        Ok(false)
                    }
                    Ok(None) => Ok(true),
                    Err(error) => Err(error),
                }
            }
            Place::Index(cursor) => t.index_next(&portal.snapshot, cursor, max, &mut rows).map(|more| !more),
        };
        match end {
            Ok(end) => {
                let found = decode(&rows);
                let rest = portal.expected.split_off(found.len().min(portal.expected.len()));
                let expected = std::mem::replace(&mut portal.expected, rest);
                let columns = table.columns();
                // A column added since reads as its default.
                let expected: Vec<_> = expected.into_iter().map(|(id, row)| (id, table.whole(&row))).collect();
                assert_eq!(found, expected, "a portal over a table of {columns} columns");
                if end {
                    assert!(portal.expected.is_empty(), "a portal ends before its rows do");
                    session.portals.remove(which);
                }
            }
            Err(Error::Wait(waiter)) => {
                assert!(waiter.needs_work() && rows.is_empty(), "a reader waits for pages alone, and has nothing then");
                if self.rng.random_bool(0.8) {
                    waiter.work();
                }
            }
            Err(error) => {
                session.portals.remove(which);
                self.failed(at, error);
            }
        }
    }
}

/// Room is kept back for undoing: only a disk that fails can prevent it.
fn error_is_io(error: &Error) -> bool {
    matches!(error, Error::Io(_) | Error::Poisoned)
}

fn open_config(io: &SimIo, config: &Config) -> Engine {
    Engine::open(Arc::new(io.clone()), Arc::new(FixedClock), config.clone()).unwrap()
}

fn decode(rows: &RowBuffer) -> Vec<(u64, Row)> {
    let row = |i| {
        let view = rows.row(i);
        let columns = view.columns().len() as u16;
        (rows.row_id(i).0, (0..columns).map(|column| Cell::of(view.get(ColumnNo(column)))).collect())
    };
    (0..rows.len()).map(row).collect()
}

fn values<'a>(row: &Row, bytes: &'a [Vec<u8>]) -> Vec<Value<'a>> {
    let value = |(cell, bytes): (&Cell, &'a Vec<u8>)| match cell {
        Cell::Null => Value::Null,
        Cell::Int(v) => Value::Int64(*v),
        Cell::Text(..) => Value::Bytes(bytes),
    };
    row.iter().zip(bytes).map(value).collect()
}

fn texts<'a>(cells: impl Iterator<Item = &'a Cell>) -> Vec<Vec<u8>> {
    cells.map(|cell| if let Cell::Text(length, byte) = cell { vec![*byte; *length] } else { Vec::new() }).collect()
}

fn scan(t: &Transaction, s: &Snapshot, table: &Table, step: &mut dyn FnMut() -> usize) -> Result<Vec<(u64, Row)>> {
    let mut rows = RowBuffer::new();
    let mut next = Some(RowId(1));
    while let Some(from) = next {
        match t.scan(s, table.id, from..t.row_id_bound(table.id), step(), &mut rows) {
            Err(Error::Wait(waiter)) => waiter.block(),
            result => next = result?,
        }
    }
    Ok(decode(&rows))
}

fn index_scan(
    t: &Transaction,
    s: &Snapshot,
    index: ObjectId,
    range: KeyRange,
    direction: Direction,
    step: &mut dyn FnMut() -> usize,
) -> Result<Vec<(u64, Row)>> {
    let mut rows = RowBuffer::new();
    let mut cursor = t.index_cursor(index, range, direction);
    loop {
        match t.index_next(s, &mut cursor, step(), &mut rows) {
            Err(Error::Wait(waiter)) => waiter.block(),
            Ok(true) => {}
            Ok(false) => return Ok(decode(&rows)),
            Err(error) => return Err(error),
        }
    }
}

fn get(t: &Transaction, s: &Snapshot, table: &Table, row: u64, session: usize, command: u32) -> Result<()> {
    let history = table.rows.get(&row);
    let mut rows = RowBuffer::new();
    let found = t.get(s, table.id, RowId(row), &mut rows)?;
    let expected = history.and_then(|row| row.seen(session, command, s.position().0)).map(|row| table.whole(row));
    assert_eq!(found.then(|| decode(&rows).remove(0).1), expected, "row {row}");
    rows.clear();
    let found = matches!(t.get_newest(table.id, RowId(row), &mut rows)?, Newest::Row(_));
    let expected = history.and_then(|row| row.newest(session)).map(|row| table.whole(row));
    assert_eq!(found.then(|| decode(&rows).remove(0).1), expected, "the newest version of row {row}");
    Ok(())
}

fn insert_row(
    t: &mut Transaction,
    s: &Snapshot,
    tables: &mut [Table],
    number: usize,
    row: Row,
    session: usize,
    command: u32,
    held_up: bool,
    undo: &mut Vec<Undo>,
) -> Result<()> {
    let table = &mut tables[number];
    let (taken, depends) = table.judge(session, None, None, &row);
    let bytes = texts(row.iter());
    let result = match s.position().0.wrapping_add(u64::from(command)).is_multiple_of(2) {
        true => t.insert(s, table.id, &values(&row, &bytes)),
        false => insert_in_batch(t, s, table.id, &values(&row, &bytes)),
    };
    match &result {
        Ok(id) => {
            assert!(!taken && !depends, "an insertion that had to fail or wait happened");
            let history = table.rows.entry(id.0).or_default();
            assert!(history.versions.is_empty() && history.change.is_none(), "row id {} was in use", id.0);
            history.change = Some(Change { session, versions: vec![(command, Some(row))], strong: true });
            undo.push(Undo::Row { table: number, row: id.0, before: None });
        }
        Err(Error::Duplicate { .. }) => assert!(taken, "a duplicate of nothing"),
        Err(Error::Wait(waiter)) if waiter.needs_work() => {}
        Err(Error::Wait(_) | Error::Deadlock { .. }) => assert!(depends || held_up, "a wait for nobody"),
        Err(_) => {}
    }
    result.map(|_| ())
}

/// As an insertion by itself.
fn insert_in_batch(t: &mut Transaction, s: &Snapshot, table: ObjectId, values: &[Value<'_>]) -> Result<RowId> {
    let mut batch = t.batch(table)?;
    batch.begin(values.len());
    values.iter().try_for_each(|value| batch.push(*value))?;
    if batch.finish()? { t.insert_batch(s, &batch) } else { t.insert(s, table, values) }
}

/// A change of a row that is there.
struct Write {
    session: usize,
    command: u32,
    repeatable: bool,
    held_up: bool,
    row: u64,
}

impl Write {
    /// UPDATE with `changes`, DELETE without, as the server does them: a newer version is judged and changed in its turn.
    fn change(
        &self,
        t: &mut Transaction,
        s: &Snapshot,
        tables: &mut [Table],
        number: usize,
        changes: Option<&[(usize, Cell)]>,
        undo: &mut Vec<Undo>,
    ) -> Result<()> {
        let mut base = Base::Snapshot;
        loop {
            let table = &mut tables[number];
            let outcome = match changes {
                None => t.delete(s, table.id, RowId(self.row), base),
                Some(changes) => {
                    let bytes = texts(changes.iter().map(|(_, cell)| cell));
                    let cells: Row = changes.iter().map(|(_, cell)| cell.clone()).collect();
                    let numbers = changes.iter().map(|(column, _)| ColumnNo(*column as u16));
                    let set: Vec<_> = numbers.zip(values(&cells, &bytes)).collect();
                    t.update(s, table.id, RowId(self.row), base, &set)
                }
            };
            self.judge(table, s, base, changes, &outcome);
            match outcome? {
                WriteOutcome::Done => {
                    self.apply(tables, number, changes, undo);
                    return Ok(());
                }
                WriteOutcome::Changed => {
                    let mut rows = RowBuffer::new();
                    match t.get_newest(table.id, RowId(self.row), &mut rows)? {
                        Newest::Row(stamp) => base = Base::Newest(stamp),
                        Newest::Gone => panic!("a changed row is there"),
                    }
                    let newest = table.rows[&self.row].newest(self.session).map(|row| table.whole(row));
                    assert_eq!(Some(&decode(&rows)[0].1), newest.as_ref(), "the newest version");
                }
                WriteOutcome::Deleted | WriteOutcome::SelfModified => return Ok(()),
            }
        }
    }

    /// Whether the outcome is one that the model allows.
    fn judge(
        &self,
        table: &Table,
        s: &Snapshot,
        base: Base,
        changes: Option<&[(usize, Cell)]>,
        outcome: &Result<WriteOutcome>,
    ) {
        let empty = model::History::default();
        let history = table.rows.get(&self.row).unwrap_or(&empty);
        let own = history.change.as_ref().filter(|change| change.session == self.session);
        let fresh = history.versions.is_empty() && history.change.is_some() && own.is_none();
        let newest = history.newest(self.session);
        let new = newest.zip(changes).map(|(row, changes)| changed(&table.whole(row), changes));
        let strong = changes.is_none()
            || new.as_ref().zip(newest).is_some_and(|(new, old)| changes_key(table, self.session, old, new));
        let mode = if strong { RowLockMode::Update } else { RowLockMode::NoKeyUpdate };
        let blocked = !history.blockers(self.session, mode).is_empty();
        let (taken, depends) =
            new.as_ref().map_or((false, false), |new| table.judge(self.session, Some(self.row), newest, new));
        let newer = own.is_none() && history.newest_position() > s.position().0;
        let same_command = own.is_some_and(|own| own.versions.last().is_some_and(|(at, _)| *at >= self.command));
        match outcome {
            Ok(WriteOutcome::Done) => {
                assert!(!blocked && !fresh && !same_command && newest.is_some(), "a change that may not be");
                assert!(!taken && !depends, "a change to a key that is taken");
                assert!(!newer || matches!(base, Base::Newest(_)) && !self.repeatable, "a lost update");
            }
            Ok(WriteOutcome::Changed) => assert!(newer && newest.is_some() && !self.repeatable),
            Ok(WriteOutcome::Deleted) => assert!(newest.is_none()),
            Ok(WriteOutcome::SelfModified) => assert!(same_command),
            Err(Error::Conflict) => assert!(self.repeatable && (newer || newest.is_none())),
            Err(Error::Duplicate { .. }) => assert!(taken, "a duplicate of nothing"),
            Err(Error::Wait(waiter)) if waiter.needs_work() => {}
            Err(Error::Wait(_) | Error::Deadlock { .. }) => {
                assert!(blocked || depends || fresh || self.held_up, "a wait for nobody");
            }
            Err(_) => {}
        }
    }

    fn apply(&self, tables: &mut [Table], number: usize, changes: Option<&[(usize, Cell)]>, undo: &mut Vec<Undo>) {
        let table = &tables[number];
        let newest = table.whole(table.rows[&self.row].newest(self.session).expect("judged"));
        let new = changes.map(|changes| changed(&newest, changes));
        let strong = new.as_ref().is_none_or(|new| changes_key(table, self.session, &newest, new));
        let history = tables[number].rows.get_mut(&self.row).expect("judged");
        undo.push(Undo::Row { table: number, row: self.row, before: history.change.clone() });
        let change =
            history.change.get_or_insert(Change { session: self.session, versions: Vec::new(), strong: false });
        change.versions.push((self.command, new));
        change.strong |= strong;
    }

    fn lock(
        &self,
        t: &mut Transaction,
        s: &Snapshot,
        tables: &mut [Table],
        number: usize,
        mode: RowLockMode,
        policy: WaitPolicy,
        undo: &mut Vec<Undo>,
    ) -> Result<()> {
        let table = &mut tables[number];
        let outcome = t.lock_row(s, table.id, RowId(self.row), mode, policy);
        let empty = model::History::default();
        let history = table.rows.get(&self.row).unwrap_or(&empty);
        let own = history.change.as_ref().filter(|change| change.session == self.session);
        let fresh = history.versions.is_empty() && history.change.is_some() && own.is_none();
        let blocked = !history.blockers(self.session, mode).is_empty();
        let newer = own.is_none() && history.newest_position() > s.position().0;
        let newest = history.newest(self.session);
        let same_command = own.is_some_and(|own| own.versions.last().is_some_and(|(at, _)| *at >= self.command));
        match &outcome {
            Ok(LockOutcome::Done | LockOutcome::Changed) => {
                assert!(!blocked && newest.is_some() && !same_command, "a lock that may not be");
                let changed = newer && !self.repeatable;
                assert_eq!(changed, outcome.as_ref().is_ok_and(|outcome| *outcome == LockOutcome::Changed));
                let keyless = mode == RowLockMode::KeyShare && history.strong_position <= s.position().0;
                assert!(!newer || changed || keyless, "a lock of what the snapshot does not see");
                let history = table.rows.get_mut(&self.row).expect("judged");
                if !history.locks.iter().any(|(owner, held)| *owner == self.session && *held >= mode) {
                    history.locks.push((self.session, mode));
                    undo.push(Undo::Lock { table: number, row: self.row });
                }
                return Ok(());
            }
            Ok(LockOutcome::Skipped) => assert!(policy == WaitPolicy::Skip && (blocked || fresh || self.held_up)),
            Ok(LockOutcome::Deleted) => assert!(newest.is_none() && !self.repeatable),
            Ok(LockOutcome::SelfModified) => assert!(same_command),
            Err(Error::LockNotAvailable) => {
                assert!(policy == WaitPolicy::NoWait && (blocked || fresh || self.held_up));
                return Ok(());
            }
            Err(Error::Conflict) => {
                let strong = mode != RowLockMode::KeyShare || history.strong_position > s.position().0;
                assert!(self.repeatable && (newer && strong || newest.is_none()), "a conflict with nobody");
            }
            Err(Error::Wait(waiter)) if waiter.needs_work() => {}
            Err(Error::Wait(_) | Error::Deadlock { .. }) => {
                assert!(policy == WaitPolicy::Wait && (blocked || fresh || self.held_up), "a wait for nobody");
            }
            Err(_) => {}
        }
        outcome.map(|_| ())
    }
}

fn changed(row: &Row, changes: &[(usize, Cell)]) -> Row {
    let mut row = row.clone();
    changes.iter().for_each(|(column, cell)| row[*column] = cell.clone());
    row
}

/// Whether the change takes the strongest row lock: a key that foreign keys may name changes.
fn changes_key(table: &Table, session: usize, old: &Row, new: &Row) -> bool {
    let old = table.whole(old);
    table.indexes.iter().any(|index| index.unique && index.exists(session) && index.key(&old) != index.key(new))
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    let steps = world.rng.random_range(500..5000);
    for _ in 0..steps {
        world.step();
    }
    if world.trouble != Trouble::None {
        world.end_trouble();
    }
    world.quiesce();
}

fn run_and_name(seed: u64) {
    let result = std::panic::catch_unwind(|| run(seed));
    if let Err(panic) = result {
        eprintln!("seed {seed} fails; to replay it:");
        eprintln!("LIGHTNING_SIM_SEED={seed} cargo test -p lightning-storage --test storage simulator::fresh_seeds");
        std::panic::resume_unwind(panic);
    }
}

/// Seeds that once found a bug.
const ONCE_FAILED: &[u64] = &[
    26356385548,
    496969743113,
    262924351209,
    538430229429,
    100581102319,
    385795462474,
    1052351124987,
    602141225899,
    165098812654,
    770247005112,
    1092575272873,
    472290705953,
    766581898206,
];

#[test]
fn seeds_that_once_failed() {
    ONCE_FAILED.iter().for_each(|seed| run_and_name(*seed));
}

/// Two minutes of fresh seeds in CI, some seconds elsewhere.
#[test]
fn fresh_seeds() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("LIGHTNING_SIM_SEED") {
        return run_and_name(seed);
    }
    let seconds = number("LIGHTNING_SIM_SECONDS").unwrap_or(if std::env::var("CI").is_ok() { 120 } else { 10 });
    let end = Instant::now() + Duration::from_secs(seconds);
    let first = rand::rng().random_range(0..1 << 40);
    let mut seed = first;
    println!("simulator: seeds from {first}");
    while Instant::now() < end {
        run_and_name(seed);
        seed += 1;
    }
    println!("simulator: {} seeds, up to {}", seed - first, seed - 1);
}
