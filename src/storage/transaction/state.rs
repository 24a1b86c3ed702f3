//! State words, snapshots, and the wait-for graph: what transactions know of one another.
//!
//! 1. Commit and abort are one atomic store to the transaction's state word; every version names its writer's word.
//! 2. A state word gets its commit position before that position can be acknowledged, so whoever has a snapshot at or after
//!    it finds it there.
//! 3. A snapshot's slot says "any position" before its position is read: clean-up never overtakes one that is being taken.
//! 4. A snapshot that keeps too many versions alive is given up: its slot says so before a version goes that it needs, and
//!    whoever reads by it looks at the slot afterwards. What was read while the slot was good is good.

use crate::error::Error;
use crate::hash::HashMap;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Notifier, Waiter};
use crate::types::{Position, TxnId};
use std::fmt::Write as _;
use std::sync::Arc;

const ACTIVE: u64 = 0;
const ABORTED: u64 = u64::MAX;

/// What a state word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    Committed(Position),
    Aborted,
}

/// What outlives a transaction for as long as a version names it.
#[derive(Debug)]
pub(crate) struct TxnState {
    pub(crate) id: TxnId,
    word: AtomicU64,
    /// How often it has given something up and woken who waited; changes under the list's mutex.
    woken: AtomicU64,
    waiting: Mutex<Vec<Notifier>>,
}

/// A transaction that was seen in the way of another: what it gives up from then on is worth looking again.
#[derive(Clone, Debug)]
pub(crate) struct Blocker {
    txn: Arc<TxnState>,
    woken: u64,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notifier")
    }
}

impl TxnState {
    pub(crate) fn new(id: TxnId) -> TxnState {
        TxnState { id, word: AtomicU64::new(ACTIVE), woken: AtomicU64::new(0), waiting: Mutex::default() }
    }

    #[inline]
    pub(crate) fn status(&self) -> Status {
        match self.word.load(Ordering::Acquire) {
            ACTIVE => Status::Active,
            ABORTED => Status::Aborted,
            position => Status::Committed(Position(position)),
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.word.load(Ordering::Acquire) == ACTIVE
    }

    /// The store that is the commit.
    pub(crate) fn commit(&self, position: Position) {
        self.word.store(position.0, Ordering::Release);
    }

    /// The store that is the abort.
    pub(crate) fn abort(&self) {
        self.word.store(ABORTED, Ordering::Release);
    }

    /// Wakes all who wait for the end, which has come, or for a lock given up before it.
    pub(crate) fn wake(&self) {
        let waiting = {
            let mut waiting = self.waiting.lock();
            self.woken.fetch_add(1, Ordering::Relaxed);
            std::mem::take(&mut *waiting)
        };
        waiting.iter().for_each(Notifier::notify);
    }

    /// It is in the way, as the latches say that the caller holds: whatever takes it out of the way comes later, and its
    /// waking after that.
    pub(crate) fn blocks(self: &Arc<Self>) -> Blocker {
        Blocker { txn: self.clone(), woken: self.woken.load(Ordering::Relaxed) }
    }

    /// The waiter is told at once when the transaction is over or has woken others since `woken` was read.
    fn add_waiter(&self, woken: u64, waiter: &Waiter) {
        let mut waiting = self.waiting.lock();
        if !self.is_active() || self.woken.load(Ordering::Relaxed) != woken {
            drop(waiting);
            waiter.notify();
            return;
        }
        if waiting.len() >= 16 {
            waiting.retain(|notifier| !notifier.is_dead());
        }
        waiting.push(waiter.downgrade());
    }
}

/// Who waits for whom. Nodes are transactions, and sessions that hold locks beyond them.
#[derive(Debug, Default)]
pub(crate) struct WaitGraph {
    edges: Mutex<HashMap<u64, Edges>>,
    tickets: AtomicU64,
    pub(crate) deadlocks: AtomicU64,
}

/// What a node waits for.
#[derive(Debug)]
struct Edges {
    ticket: u64,
    others: Vec<u64>,
    /// Once its event has come the node only seems to wait; a session's tie to its transaction has none.
    came: Option<Arc<AtomicBool>>,
}

impl Edges {
    fn stands(&self) -> bool {
        self.came.as_ref().is_none_or(|came| !came.load(Ordering::Acquire))
    }
}

/// A session's node.
pub(crate) fn session_node(session: u64) -> u64 {
    session | 1 << 63
}

impl WaitGraph {
    /// Makes a waiter for `me`, whose edges live as long as it does.
    ///
    /// # Errors
    /// [`Error::Deadlock`]: one of `others` waits for `me`, perhaps through others.
    pub(crate) fn waiter(self: &Arc<Self>, me: u64, others: &[u64]) -> Result<Waiter, Error> {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let mut edges = self.edges.lock();
        if let Some(circle) = find_circle(&edges, me, others) {
            self.deadlocks.fetch_add(1, Ordering::Relaxed);
            return Err(Error::Deadlock { detail: describe(&circle) });
        }
        let waiter = Waiter::new();
        edges.insert(me, Edges { ticket, others: others.to_vec(), came: Some(waiter.came()) });
        drop(edges);
        let graph = Arc::downgrade(self);
        waiter.on_drop(move || {
            let Some(graph) = graph.upgrade() else { return };
            let mut edges = graph.edges.lock();
            if edges.get(&me).is_some_and(|mine| mine.ticket == ticket) {
                edges.remove(&me);
            }
        });
        Ok(waiter)
    }

    /// The session waits for whatever its transaction waits for.
    pub(crate) fn tie(&self, session: u64, transaction: TxnId) {
        self.edges
            .lock()
            .insert(session_node(session), Edges { ticket: u64::MAX, others: vec![transaction.0], came: None });
    }

    /// The session's transaction is over.
    pub(crate) fn untie(&self, session: u64) {
        self.edges.lock().remove(&session_node(session));
    }

    /// A waiter for the end of any of `others`, or of what they hold in the way. The caller holds no latch any more.
    pub(crate) fn wait_for(self: &Arc<Self>, me: &TxnState, others: &[Blocker]) -> Error {
        let ids: Vec<u64> = others.iter().map(|other| other.txn.id.0).collect();
        match self.waiter(me.id.0, &ids) {
            Ok(waiter) => {
                others.iter().for_each(|other| other.txn.add_waiter(other.woken, &waiter));
                Error::Wait(waiter)
            }
            Err(deadlock) => deadlock,
        }
    }
}

/// The nodes from `me` back to `me`, if waiting for `others` closed a circle.
fn find_circle(edges: &HashMap<u64, Edges>, me: u64, others: &[u64]) -> Option<Vec<u64>> {
    let mut path = vec![me];
    let mut seen = crate::hash::HashSet::default();
    fn visit(
        edges: &HashMap<u64, Edges>,
        me: u64,
        next: &[u64],
        seen: &mut crate::hash::HashSet<u64>,
        path: &mut Vec<u64>,
    ) -> bool {
        for &node in next {
            if node == me {
                return true;
            }
            if !seen.insert(node) {
                continue;
            }
            path.push(node);
            let next = edges.get(&node).filter(|edges| edges.stands());
            if next.is_some_and(|next| visit(edges, me, &next.others, seen, path)) {
                return true;
            }
            path.pop();
        }
        false
    }
    visit(edges, me, others, &mut seen, &mut path).then_some(path)
}

fn describe(circle: &[u64]) -> String {
    let mut text = String::new();
    for (i, node) in circle.iter().enumerate() {
        let next = circle[(i + 1) % circle.len()];
        let name = |node: u64| match node >> 63 {
            0 => format!("transaction {node}"),
            _ => format!("session {}", node & !(1 << 63)),
        };
        if i > 0 {
            text.push('\n');
        }
        let _ = write!(text, "{} waits for {}.", name(*node), name(next));
    }
    text
}

const FREE: u64 = u64::MAX;
/// Held by a snapshot that has been given up.
const EXPIRED: u64 = u64::MAX - 1;
const SLOTS: usize = if cfg!(feature = "shuttle") { 64 } else { 4096 };

/// Positions of the live snapshots.
#[derive(Debug)]
pub(crate) struct Snapshots {
    slots: Box<[AtomicU64]>,
    /// Slots at and above it have never been used.
    used: AtomicUsize,
    next: AtomicUsize,
}

impl Snapshots {
    pub(crate) fn new() -> Snapshots {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(FREE)).collect();
        Snapshots { slots, used: AtomicUsize::new(0), next: AtomicUsize::new(0) }
    }

    /// Takes a slot; `position` is read once the slot is taken. Spins when thousands of snapshots are live.
    fn register(&self, position: impl FnOnce() -> Position) -> (usize, Position) {
        let used = self.used.load(Ordering::Relaxed).max(1);
        let first = self.next.load(Ordering::Relaxed) % used;
        let mut tried = 0;
        let slot = loop {
            // Reuse the slots in use before touching a new one: the scan of them stays short.
            let at = if tried < used { (first + tried) % used } else { tried % SLOTS };
            let slot = &self.slots[at];
            if slot.load(Ordering::Relaxed) == FREE
                && slot.compare_exchange(FREE, 0, Ordering::SeqCst, Ordering::Relaxed).is_ok()
            {
                break at;
            }
            tried += 1;
            if tried % SLOTS == 0 {
                std::hint::spin_loop();
            }
        };
        self.used.fetch_max(slot + 1, Ordering::SeqCst);
        self.next.store(slot, Ordering::Relaxed);
        let position = position();
        self.slots[slot].store(position.0, Ordering::SeqCst);
        (slot, position)
    }

    /// No live snapshot, nor any later one, is below this; `now` is the acknowledged position, read before.
    pub(crate) fn horizon(&self, now: Position) -> Position {
        let used = self.used.load(Ordering::SeqCst);
        let slots = self.slots[..used].iter().map(|slot| slot.load(Ordering::SeqCst));
        Position(slots.min().unwrap_or(FREE).min(now.0))
    }

    /// Gives up the oldest snapshot if it lies below `position`; `false`: none does.
    pub(crate) fn expire_oldest(&self, position: Position) -> bool {
        let used = self.used.load(Ordering::SeqCst);
        let slots = self.slots[..used].iter().map(|slot| (slot.load(Ordering::SeqCst), slot));
        let oldest = slots.filter(|(at, _)| (1..position.0).contains(at)).min_by_key(|(at, _)| *at);
        // Whoever takes the slot meanwhile with the same position is as old.
        oldest.is_some_and(|(at, slot)| slot.compare_exchange(at, EXPIRED, Ordering::SeqCst, Ordering::SeqCst).is_ok())
    }

    /// Positions of the live snapshots, ascending.
    pub(crate) fn live(&self) -> Vec<u64> {
        let used = self.used.load(Ordering::SeqCst);
        let slots = self.slots[..used].iter().map(|slot| slot.load(Ordering::SeqCst));
        let mut live: Vec<u64> = slots.filter(|position| *position < EXPIRED).collect();
        live.sort_unstable();
        live.dedup();
        live
    }
}

#[derive(Debug)]
struct Registered {
    snapshots: Arc<Snapshots>,
    slot: usize,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.snapshots.slots[self.slot].store(FREE, Ordering::SeqCst);
    }
}

/// What a statement or portal sees: all that was acknowledged at its position, and its own transaction's changes of earlier
/// commands. Counts as live while it, or a clone, exists.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) position: Position,
    pub(crate) txn: TxnId,
    pub(crate) command: u32,
    registered: Arc<Registered>,
}

impl Snapshot {
    pub(crate) fn take(
        snapshots: &Arc<Snapshots>,
        txn: TxnId,
        command: u32,
        position: impl FnOnce() -> Position,
    ) -> Snapshot {
        let (slot, position) = snapshots.register(position);
        let registered = Arc::new(Registered { snapshots: snapshots.clone(), slot });
        Snapshot { position, txn, command, registered }
    }

    /// The same position under a later command.
    pub(crate) fn at_command(&self, command: u32) -> Snapshot {
        Snapshot { command, ..self.clone() }
    }

    /// To be asked after reading by it: whether all versions that it sees were there.
    ///
    /// # Errors
    /// `SnapshotTooOld`
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Registered { snapshots, slot } = &*self.registered;
        if snapshots.slots[*slot].load(Ordering::SeqCst) == EXPIRED { Err(Error::SnapshotTooOld) } else { Ok(()) }
    }

    /// The log position up to which others' commits are seen.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether what `txn` wrote in its `command` is seen.
    #[inline]
    pub(crate) fn sees(&self, txn: &TxnState, command: u32) -> bool {
        if txn.id == self.txn {
            return command < self.command;
        }
        match txn.status() {
            Status::Committed(position) => position <= self.position,
            Status::Active | Status::Aborted => false,
        }
    }
}
