//! Nested-loop and hash joins of every kind.
//!
//! The left row stays in its slots while the right side's rows come and go. Semi and anti joins give the left row only.

use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::{HashJoin, NestedLoop};
use super::store::TupleStore;
use super::value;
use crate::error::Result;
use crate::executor::memory::Reservation;
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
}

#[derive(Clone, Copy)]
enum Probe {
    NeedLeft,
    NeedKeys,
    Chain { found: bool },
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
        self.heads.clear();
        self.next.clear();
        self.keys.clear();
        self.payload.clear();
        self.matched.clear();
        self.reservation.clear();
    }

    /// Adds a row; one with a NULL key can have no partner and hangs in no chain.
    fn insert(&mut self, keys: Vec<Datum>, payload: impl Iterator<Item = Datum>, keep_unmatched: bool) -> Result<()> {
        let null = keys.iter().any(Datum::is_null);
        if null && !keep_unmatched {
            return Ok(());
        }
        self.reservation.grow(24)?;
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
        }
    }

    fn build(&mut self, f: &mut Frame) -> Result<()> {
        loop {
            if !self.pending_build && !self.right.next(f)? {
                self.built = true;
                self.used = true;
                return Ok(());
            }
            self.pending_build = true;
            let keys = self.plan.right_keys.iter().map(|code| code.eval(f)).collect::<Result<Vec<_>>>()?;
            self.pending_build = false;
            let payload = self.plan.payload.iter().map(|slot| f.slots[*slot as usize].clone());
            self.table.insert(keys, payload, keeps_right(self.plan.kind))?;
        }
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
                Probe::NeedLeft => {
                    self.state = if self.left.next(f)? {
                        Probe::NeedKeys
                    } else if keeps_right(kind) {
                        Probe::Tail
                    } else {
                        Probe::Ended
                    };
                }
                Probe::NeedKeys => {
                    self.keys.clear();
                    for code in &self.plan.left_keys {
                        let key = code.eval(f)?;
                        self.keys.push(key);
                    }
                    let null = self.keys.iter().any(Datum::is_null);
                    self.chain = if null { 0 } else { self.table.find(&self.keys) };
                    self.state = Probe::Chain { found: false };
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
                        self.state = Probe::Ended;
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
        if self.plan.right_depends || !self.built {
            self.table.clear();
            self.pending_build = false;
            self.built = false;
            self.right.rewind(f)?;
        } else {
            self.table.matched.fill(false);
        }
        self.left.rewind(f)
    }
}
