//! Explicit locks on tables, objects and numbers, in PostgreSQL's eight modes.
//!
//! A request waits behind holders that conflict and behind earlier waiters that conflict, unless its owner holds something on
//! the same thing already. A waiter that comes back finds its place in the queue by its owner. Releasing wakes the queue;
//! who cannot have it yet waits again.

use super::api::{LockMode, LockTag};
use super::state::{WaitGraph, session_node};
use crate::error::{Error, Result};
use crate::hash::{HashMap, Hasher};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Notifier, Waiter};
use crate::types::TxnId;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Who holds a lock: a transaction's or a session's node in the wait-for graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u64);

impl Owner {
    pub(crate) fn transaction(id: TxnId) -> Owner {
        Owner(id.0)
    }

    pub(crate) fn session(id: u64) -> Owner {
        Owner(session_node(id))
    }

    fn is_session(self) -> bool {
        self.0 >> 63 == 1
    }
}

struct Grant {
    owner: Owner,
    mode: LockMode,
    count: u32,
}

struct Queued {
    /// Transaction that waits, whoever will own the lock.
    waiting: u64,
    mode: LockMode,
    notifier: Notifier,
}

#[derive(Default)]
struct Lock {
    grants: Vec<Grant>,
    queue: Vec<Queued>,
}

const SHARDS: usize = 64;
/// Locks beyond which 53200 is raised, per shard.
const LOCKS_MAX: usize = 1 << 16;

/// All explicit locks.
pub(crate) struct LockTable {
    shards: Box<[Mutex<HashMap<LockTag, Lock>>]>,
    hasher: Hasher,
    /// Grants to sessions.
    of_sessions: AtomicUsize,
}

/// One lock as pg_locks shows it.
#[derive(Clone, Copy, Debug)]
pub struct LockInfo {
    /// On what.
    pub tag: LockTag,
    /// In which mode.
    pub mode: LockMode,
    /// Whether it is held; else waited for.
    pub granted: bool,
    /// The transaction; `None` for a session's lock.
    pub transaction: Option<TxnId>,
    /// The session of a session's lock.
    pub session: Option<u64>,
}

impl LockTable {
    pub(crate) fn new() -> LockTable {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        LockTable { shards, hasher: Hasher::default(), of_sessions: AtomicUsize::new(0) }
    }

    /// Whether any session holds a lock beyond its transactions: only then can one wait for a session.
    pub(crate) fn has_sessions(&self) -> bool {
        self.of_sessions.load(Ordering::Acquire) > 0
    }

    fn shard(&self, tag: LockTag) -> &Mutex<HashMap<LockTag, Lock>> {
        &self.shards[self.hasher.hash_one(tag) as usize % SHARDS]
    }

    /// Grants the lock, or says what to wait for. `allies` are owners that never conflict with it: a session and its transaction.
    /// `wait` false: `Ok(false)` instead of a wait.
    pub(crate) fn acquire(
        &self,
        graph: &Arc<WaitGraph>,
        me: TxnId,
        owner: Owner,
        session: Option<u64>,
        tag: LockTag,
        mode: LockMode,
        wait: bool,
    ) -> Result<bool> {
        let ally = |other: Owner| other.0 == me.0 || session.is_some_and(|s| other == Owner::session(s));
        let mut shard = self.shard(tag).lock();
        if shard.len() >= LOCKS_MAX {
            return Err(Error::OutOfMemory);
        }
        let lock = shard.entry(tag).or_default();
        lock.queue.retain(|queued| queued.waiting == me.0 || !queued.notifier.is_dead());
        let place = lock.queue.iter().position(|queued| queued.waiting == me.0);
        let mut others: Vec<u64> = lock
            .grants
            .iter()
            .filter(|grant| !ally(grant.owner) && grant.mode.conflicts(mode))
            .map(|grant| grant.owner.0)
            .collect();
        if !lock.grants.iter().any(|grant| ally(grant.owner)) {
            let ahead = &lock.queue[..place.unwrap_or(lock.queue.len())];
            others.extend(ahead.iter().filter(|queued| queued.mode.conflicts(mode)).map(|queued| queued.waiting));
        }
        if others.is_empty() {
            if let Some(place) = place {
                lock.queue.remove(place);
            }
            match lock.grants.iter_mut().find(|grant| grant.owner == owner && grant.mode == mode) {
                Some(grant) => grant.count += 1,
                None => {
                    self.of_sessions.fetch_add(usize::from(owner.is_session()), Ordering::AcqRel);
                    lock.grants.push(Grant { owner, mode, count: 1 });
                }
            }
            return Ok(true);
        }
        let waiter = if wait { graph.waiter(me.0, &others) } else { Err(Error::LockNotAvailable) };
        match waiter {
            Ok(waiter) => {
                enqueue(lock, place, me, mode, &waiter);
                Err(Error::Wait(waiter))
            }
            Err(error) => {
                if let Some(place) = place {
                    lock.queue.remove(place);
                }
                wake(lock);
                if lock.grants.is_empty() && lock.queue.is_empty() {
                    shard.remove(&tag);
                }
                if wait { Err(error) } else { Ok(false) }
            }
        }
    }

    /// Gives up one count of a lock; `false`: the owner does not hold it.
    pub(crate) fn release(&self, owner: Owner, tag: LockTag, mode: LockMode) -> bool {
        let mut shard = self.shard(tag).lock();
        let Some(lock) = shard.get_mut(&tag) else { return false };
        let Some(at) = lock.grants.iter().position(|grant| grant.owner == owner && grant.mode == mode) else {
            return false;
        };
        lock.grants[at].count -= 1;
        if lock.grants[at].count == 0 {
            lock.grants.swap_remove(at);
            self.of_sessions.fetch_sub(usize::from(owner.is_session()), Ordering::AcqRel);
            wake(lock);
            if lock.grants.is_empty() && lock.queue.is_empty() {
                shard.remove(&tag);
            }
        }
        true
    }

    /// Gives up all that an owner holds.
    pub(crate) fn release_all(&self, owner: Owner) {
        for shard in &self.shards {
            shard.lock().retain(|_, lock| {
                let before = lock.grants.len();
                lock.grants.retain(|grant| grant.owner != owner);
                if lock.grants.len() < before {
                    if owner.is_session() {
                        self.of_sessions.fetch_sub(before - lock.grants.len(), Ordering::AcqRel);
                    }
                    wake(lock);
                }
                !(lock.grants.is_empty() && lock.queue.is_empty())
            });
        }
    }

    /// Takes a transaction that is over out of the queues it may still stand in.
    pub(crate) fn leave_queue(&self, me: TxnId, tag: LockTag) {
        if let Some(lock) = self.shard(tag).lock().get_mut(&tag) {
            lock.queue.retain(|queued| queued.waiting != me.0);
            wake(lock);
        }
    }

    /// All locks, for pg_locks.
    pub(crate) fn list(&self) -> Vec<LockInfo> {
        let mut list = Vec::new();
        for shard in &self.shards {
            for (tag, lock) in &*shard.lock() {
                list.extend(lock.grants.iter().map(|grant| {
                    let session = grant.owner.is_session().then_some(grant.owner.0 & !(1 << 63));
                    let transaction = session.is_none().then_some(TxnId(grant.owner.0));
                    LockInfo { tag: *tag, mode: grant.mode, granted: true, transaction, session }
                }));
                list.extend(lock.queue.iter().filter(|queued| !queued.notifier.is_dead()).map(|queued| LockInfo {
                    tag: *tag,
                    mode: queued.mode,
                    granted: false,
                    transaction: Some(TxnId(queued.waiting)),
                    session: None,
                }));
            }
        }
        list
    }
}

fn enqueue(lock: &mut Lock, place: Option<usize>, me: TxnId, mode: LockMode, waiter: &Waiter) {
    let queued = Queued { waiting: me.0, mode, notifier: waiter.downgrade() };
    match place {
        Some(place) => lock.queue[place] = queued,
        None => lock.queue.push(queued),
    }
}

fn wake(lock: &Lock) {
    lock.queue.iter().for_each(|queued| queued.notifier.notify());
}
