//! Nested-loop and hash joins of every kind.
//!
//! The left row stays in its slots while the right side's rows come and go. Semi and anti joins give the left row only.
//!
//! A hash join whose build side does not fit into work_mem divides both sides into partitions by the hash of their keys and joins
//! pair by pair (Grace); a pair that still does not fit is divided again.

use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::{HashJoin, NestedLoop};
use super::store::TupleStore;
use super::value;
use crate::error::Result;
use crate::executor::memory::Reservation;
use crate::executor::spill::{LEVEL_MAX, Partition, Partitions};
use crate::sql::tree::JoinKind;
use crate::types::Datum;
use hashbrown::HashTable;
use std::sync::Arc;

/// Whether right rows without a partner are given at the end.
fn keeps_right(kind: JoinKind) -> bool {
    matches!(kind, JoinKind::Right | JoinKind::Full)
}

/// Whether left rows without a partner are given, right columns NULL.
fn keeps_left(kind: JoinKind) -> bool {
    matches!(kind, JoinKind::Left | JoinKind::Full)
}

/// For every left row, the right side anew.
pub(super) struct NestedLoopOp {
    plan: Arc<NestedLoop>,
    left: Box<dyn Operator>,
    right: Box<dyn Operator>,
    state: Loop,
    /// The right side was read before and must be rewound.
    used: bool,
    /// A right row is in its slots and `on` not yet decided.
    pending: bool,
    /// Right, Full: which right rows, in their order, found a partner.
    matched: Vec<bool>,
    at: usize,
}

#[derive(Clone, Copy)]
enum Loop {
    NeedLeft,
    NeedRewind,
    Inner { found: bool },
    TailRewind,
    Tail,
    Ended,
}

impl NestedLoopOp {
    pub(super) fn new(plan: &Arc<NestedLoop>, f: &Frame) -> NestedLoopOp {
        NestedLoopOp {
            plan: plan.clone(),
            left: operator::build(&plan.left, f),
            right: operator::build(&plan.right, f),
            state: Loop::NeedLeft,
            used: false,
            pending: false,
            matched: Vec::new(),
            at: 0,
        }
    }

    fn rewind_right(&mut self, f: &mut Frame) -> Result<()> {
        if self.used {
            for cte in &self.plan.ctes {
                f.ctes[*cte].reset();
            }
            self.right.rewind(f)?;
        }
        self.used = true;
        self.pending = false;
        self.at = 0;
        Ok(())
    }

    /// The next right row for which `on` holds.
    fn next_match(&mut self, f: &mut Frame) -> Result<bool> {
        loop {
            if !self.pending {
                if !self.right.next(f)? {
                    return Ok(false);
                }
                self.at += 1;
            }
            self.pending = true;
            let holds = match &self.plan.on {
                Some(on) => on.test(f)?,
                None => true,
            };
            self.pending = false;
            if holds {
                return Ok(true);
            }
        }
    }

    fn note_match(&mut self) {
        if self.matched.len() < self.at {
            self.matched.resize(self.at, false);
        }
        self.matched[self.at - 1] = true;
    }
}

impl Operator for NestedLoopOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        let kind = self.plan.kind;
        loop {
            match self.state {
                Loop::NeedLeft => {
                    self.state = if self.left.next(f)? {
                        Loop::NeedRewind
                    } else if keeps_right(kind) {
                        Loop::TailRewind
                    } else {
                        Loop::Ended
                    };
                }
                Loop::NeedRewind => {
                    self.rewind_right(f)?;
                    self.state = Loop::Inner { found: false };
                }
                Loop::Inner { found } => {
                    if self.next_match(f)? {
                        self.state = Loop::Inner { found: true };
                        match kind {
                            JoinKind::Inner | JoinKind::Left => return Ok(true),
                            JoinKind::Right | JoinKind::Full => {
                                self.note_match();
                                return Ok(true);
                            }
                            JoinKind::Semi => {
                                self.state = Loop::NeedLeft;
                                return Ok(true);
                            }
                            JoinKind::Anti => self.state = Loop::NeedLeft,
                        }
                        continue;
                    }
                    self.state = Loop::NeedLeft;
                    if !found && (keeps_left(kind) || kind == JoinKind::Anti) {
                        f.clear(&self.plan.right_slots);
                        return Ok(true);
                    }
                }
                Loop::TailRewind => {
                    self.rewind_right(f)?;
                    self.state = Loop::Tail;
                }
                Loop::Tail => {
                    if !self.right.next(f)? {
                        self.state = Loop::Ended;
                        continue;
                    }
                    self.at += 1;
                    if !self.matched.get(self.at - 1).is_some_and(|matched| *matched) {
                        f.clear(&self.plan.left_slots);
                        return Ok(true);
                    }
                }
                Loop::Ended => return Ok(false),
            }
        }
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.state = Loop::NeedLeft;
        self.pending = false;
        self.matched.clear();
        self.left.rewind(f)
    }
}

/// A hash table of the right side, probed by the left.
pub(super) struct HashJoinOp {
    plan: Arc<HashJoin>,
    left: Box<dyn Operator>,
    right: Box<dyn Operator>,
    state: Probe,
    table: Table,
    /// The right side's row is in its slots and not yet in the table.
    pending_build: bool,
    built: bool,
    /// The right side was read before.
    used: bool,
    /// Keys of the left row under way.
    keys: Vec<Datum>,
    /// Next entry of the chain to be looked at, plus one; 0 is the end.
    chain: u32,
    pending: bool,
    /// Tail position.
    at: usize,
    /// The build side has overflown: where its rows go, keys, then payload.
    build_parts: Option<Partitions>,
    /// Where the probe side's rows go: keys, then its slots.
    probe_parts: Option<Partitions>,
    /// A probe row is in its slots and not yet in a partition.
    pending_probe: bool,
    /// Pairs of partitions to be joined; the last one is under way.
    pairs: Vec<(Partition, Partition)>,
    /// The table does not hold the whole build side.
    spilled: bool,
    row: Vec<Datum>,
}

#[derive(Clone, Copy)]
enum Probe {
    /// Dividing the probe side.
    Divide,
    /// Reading the build side of the last pair.
    Load,
    /// Dividing the last pair anew: its build side, then its probe side.
    Redivide,
    NeedLeft,
    NeedKeys,
    Chain {
        found: bool,
    },
    Tail,
    Ended,
}

/// The build side: rows by number; those with equal keys hang in a chain, latest first.
struct Table {
    heads: HashTable<(u64, u32)>,
    next: Vec<u32>,
    keys: TupleStore,
    payload: TupleStore,
    matched: Vec<bool>,
    reservation: Reservation,
}

impl Table {
    fn clear(&mut self) {
        self.heads = HashTable::new();
        self.next = Vec::new();
        self.keys.clear();
        self.payload.clear();
        self.matched = Vec::new();
        self.reservation.clear();
    }

    /// Estimated heap bytes.
    fn bytes(&self) -> usize {
        self.keys.bytes() + self.payload.bytes() + self.reservation.used()
    }

    /// Puts all rows into partitions.
    fn divide(&mut self, parts: &mut Partitions) -> Result<()> {
        let mut row = Vec::new();
        for at in 0..self.next.len() {
            row.clear();
            row.extend_from_slice(self.keys.row(at));
            row.extend_from_slice(self.payload.row(at));
            parts.push(value::hash_row(self.keys.row(at)), &row)?;
        }
        self.clear();
        Ok(())
    }

    /// Adds a row; one with a NULL key can have no partner and hangs in no chain.
    fn insert(&mut self, keys: Vec<Datum>, payload: impl Iterator<Item = Datum>, keep_unmatched: bool) -> Result<()> {
        let null = keys.iter().any(Datum::is_null);
        if null && !keep_unmatched {
            return Ok(());
        }
        self.reservation.grow(48)?;
        let hash = value::hash_row(&keys);
        let number = self.next.len() as u32 + 1;
        self.payload.push(payload)?;
        self.matched.push(false);
        if null {
            self.keys.push(keys)?;
            self.next.push(0);
            return Ok(());
        }
        let store = &self.keys;
        let found =
            self.heads.find_mut(hash, |(h, head)| *h == hash && value::same_row(store.row(*head as usize - 1), &keys));
        match found {
            Some((_, head)) => {
                self.next.push(*head);
                *head = number;
            }
            None => {
                self.next.push(0);
                self.heads.insert_unique(hash, (hash, number), |(h, _)| *h);
            }
        }
        self.keys.push(keys)
    }

    fn find(&self, keys: &[Datum]) -> u32 {
        let hash = value::hash_row(keys);
        let same = |(h, head): &(u64, u32)| *h == hash && value::same_row(self.keys.row(*head as usize - 1), keys);
        self.heads.find(hash, same).map_or(0, |(_, head)| *head)
    }
}

impl HashJoinOp {
    pub(super) fn new(plan: &Arc<HashJoin>, f: &Frame) -> HashJoinOp {
        HashJoinOp {
            plan: plan.clone(),
            left: operator::build(&plan.left, f),
            right: operator::build(&plan.right, f),
            state: Probe::NeedLeft,
            table: Table {
                heads: HashTable::new(),
                next: Vec::new(),
                keys: TupleStore::new(plan.right_keys.len(), &f.ctx.memory),
                payload: TupleStore::new(plan.payload.len(), &f.ctx.memory),
                matched: Vec::new(),
                reservation: Reservation::new(&f.ctx.memory),
            },
            pending_build: false,
            built: false,
            used: false,
            keys: Vec::new(),
            chain: 0,
            pending: false,
            at: 0,
            build_parts: None,
            probe_parts: None,
            pending_probe: false,
            pairs: Vec::new(),
            spilled: false,
            row: Vec::new(),
        }
    }

    fn build(&mut self, f: &mut Frame) -> Result<()> {
        loop {
            if !self.pending_build && !self.right.next(f)? {
                self.built = true;
                self.used = true;
                if let Some(folder) = f.ctx.memory.spill_folder(usize::MAX).filter(|_| self.build_parts.is_some()) {
                    self.probe_parts = Some(Partitions::create(folder, 0)?);
                    self.state = Probe::Divide;
                }
                return Ok(());
            }
            self.pending_build = true;
            let keys = self.plan.right_keys.iter().map(|code| code.eval(f)).collect::<Result<Vec<_>>>()?;
            self.pending_build = false;
            if let Some(parts) = &mut self.build_parts {
                let hash = value::hash_row(&keys);
                self.row = keys;
                f.save(&self.plan.payload, &mut self.row);
                parts.push(hash, &self.row)?;
                continue;
            }
            let payload = self.plan.payload.iter().map(|slot| f.slots[*slot as usize].clone());
            self.table.insert(keys, payload, keeps_right(self.plan.kind))?;
            if let Some(folder) = f.ctx.memory.spill_folder(self.table.bytes()) {
                let mut parts = Partitions::create(folder, 0)?;
                self.table.divide(&mut parts)?;
                self.build_parts = Some(parts);
                self.spilled = true;
            }
        }
    }

    /// Reads the probe side into partitions, then pairs them with the build side's.
    fn divide_probe(&mut self, f: &mut Frame) -> Result<()> {
        while self.pending_probe || self.left.next(f)? {
            self.pending_probe = true;
            self.row.clear();
            for code in &self.plan.left_keys {
                let key = code.eval(f)?;
                self.row.push(key);
            }
            self.pending_probe = false;
            let hash = value::hash_row(&self.row);
            f.save(&self.plan.left_slots, &mut self.row);
            if let Some(parts) = &mut self.probe_parts {
                parts.push(hash, &self.row)?;
            }
        }
        self.pair()
    }

    /// Pairs the partitions of both sides; a pair that gives no row whatever is left out.
    fn pair(&mut self) -> Result<()> {
        if let (Some(build), Some(probe)) = (self.build_parts.take(), self.probe_parts.take()) {
            let pairs = build.finish()?.into_iter().zip(probe.finish()?);
            self.pairs.extend(pairs.filter(|(build, probe)| !build.rows.is_empty() || !probe.rows.is_empty()));
        }
        self.next_pair();
        Ok(())
    }

    /// Goes on with the pair that is last now.
    fn next_pair(&mut self) {
        self.table.clear();
        self.chain = 0;
        self.at = 0;
        self.state = if self.pairs.is_empty() { Probe::Ended } else { Probe::Load };
    }

    /// Reads the build side of the last pair into the table, or finds that the pair has to be divided again.
    fn load(&mut self, f: &mut Frame) -> Result<()> {
        let width = self.plan.right_keys.len() + self.plan.payload.len();
        while let Some((build, _)) = self.pairs.last_mut() {
            f.tick()?;
            let level = build.level;
            if !build.rows.next(width, &mut self.row)? {
                break;
            }
            let payload = self.row.split_off(self.plan.right_keys.len());
            let keys = std::mem::take(&mut self.row);
            self.table.insert(keys, payload.into_iter(), keeps_right(self.plan.kind))?;
            if level <= LEVEL_MAX
                && let Some(folder) = f.ctx.memory.spill_folder(self.table.bytes())
            {
                let mut parts = Partitions::create(folder, level)?;
                self.table.divide(&mut parts)?;
                self.build_parts = Some(parts);
                self.probe_parts = Some(Partitions::create(folder, level)?);
                self.state = Probe::Redivide;
                return Ok(());
            }
        }
        self.state = Probe::NeedLeft;
        Ok(())
    }

    /// Divides what is left of the last pair.
    fn redivide(&mut self, f: &mut Frame) -> Result<()> {
        let build_width = self.plan.right_keys.len() + self.plan.payload.len();
        let probe_width = self.plan.left_keys.len() + self.plan.left_slots.len();
        while let Some((build, probe)) = self.pairs.last_mut() {
            f.tick()?;
            let (parts, keys) = if build.rows.next(build_width, &mut self.row)? {
                (&mut self.build_parts, self.plan.right_keys.len())
            } else if probe.rows.next(probe_width, &mut self.row)? {
                (&mut self.probe_parts, self.plan.left_keys.len())
            } else {
                break;
            };
            if let Some(parts) = parts {
                parts.push(value::hash_row(&self.row[..keys]), &self.row)?;
            }
        }
        self.pairs.pop();
        self.pair()
    }

    /// The next probe row in its slots, from the left side or from the last pair; `true` when its keys are in `keys` already.
    fn next_left(&mut self, f: &mut Frame) -> Result<Option<bool>> {
        let Some((_, probe)) = self.pairs.last_mut() else { return Ok(self.left.next(f)?.then_some(false)) };
        f.tick()?;
        let width = self.plan.left_keys.len() + self.plan.left_slots.len();
        if !probe.rows.next(width, &mut self.row)? {
            return Ok(None);
        }
        f.restore(&self.plan.left_slots, &self.row[self.plan.left_keys.len()..]);
        self.keys.clear();
        self.keys.extend(self.row.drain(..self.plan.left_keys.len()));
        Ok(Some(true))
    }

    /// Looks the keys up.
    fn look_up(&mut self) {
        let null = self.keys.iter().any(Datum::is_null);
        self.chain = if null { 0 } else { self.table.find(&self.keys) };
        self.state = Probe::Chain { found: false };
    }

    /// The rows at hand are all joined.
    fn end_of_rows(&mut self) {
        if self.pairs.pop().is_some() { self.next_pair() } else { self.state = Probe::Ended }
    }

    /// The next entry of the chain for which the residual condition holds; its row is in its slots.
    fn next_match(&mut self, f: &mut Frame) -> Result<Option<usize>> {
        while self.chain != 0 {
            let entry = self.chain as usize - 1;
            if !self.pending {
                f.tick()?;
                f.restore(&self.plan.payload, self.table.payload.row(entry));
            }
            self.pending = true;
            let holds = match &self.plan.residual {
                Some(residual) => residual.test(f)?,
                None => true,
            };
            self.pending = false;
            self.chain = self.table.next[entry];
            if holds {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }
}

impl Operator for HashJoinOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        if !self.built {
            self.build(f)?;
        }
        let kind = self.plan.kind;
        loop {
            match self.state {
                Probe::Divide => self.divide_probe(f)?,
                Probe::Load => self.load(f)?,
                Probe::Redivide => self.redivide(f)?,
                Probe::NeedLeft => match self.next_left(f)? {
                    Some(true) => self.look_up(),
                    Some(false) => self.state = Probe::NeedKeys,
                    None if keeps_right(kind) => self.state = Probe::Tail,
                    None => self.end_of_rows(),
                },
                Probe::NeedKeys => {
                    self.keys.clear();
                    for code in &self.plan.left_keys {
                        let key = code.eval(f)?;
                        self.keys.push(key);
                    }
                    self.look_up();
                }
                Probe::Chain { found } => {
                    let Some(entry) = self.next_match(f)? else {
                        self.state = Probe::NeedLeft;
                        if !found && (keeps_left(kind) || kind == JoinKind::Anti) {
                            f.clear(&self.plan.payload);
                            return Ok(true);
                        }
                        continue;
                    };
                    self.state = Probe::Chain { found: true };
                    match kind {
                        JoinKind::Inner | JoinKind::Left => return Ok(true),
                        JoinKind::Right | JoinKind::Full => {
                            self.table.matched[entry] = true;
                            return Ok(true);
                        }
                        JoinKind::Semi => {
                            self.state = Probe::NeedLeft;
                            return Ok(true);
                        }
                        JoinKind::Anti => self.state = Probe::NeedLeft,
                    }
                }
                Probe::Tail => {
                    f.tick()?;
                    let Some(matched) = self.table.matched.get(self.at).copied() else {
                        self.end_of_rows();
                        continue;
                    };
                    self.at += 1;
                    if !matched {
                        f.restore(&self.plan.payload, self.table.payload.row(self.at - 1));
                        f.clear(&self.plan.left_slots);
                        return Ok(true);
                    }
                }
                Probe::Ended => return Ok(false),
            }
        }
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.state = Probe::NeedLeft;
        self.pending = false;
        self.chain = 0;
        self.at = 0;
        if self.plan.right_depends || !self.built || self.spilled {
            self.table.clear();
            self.build_parts = None;
            self.probe_parts = None;
            self.pending_probe = false;
            self.pairs.clear();
            self.spilled = false;
            self.pending_build = false;
            self.built = false;
            self.right.rewind(f)?;
        } else {
            self.table.matched.fill(false);
        }
        self.left.rewind(f)
    }
}
