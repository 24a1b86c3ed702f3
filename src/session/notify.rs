//! LISTEN, NOTIFY, UNLISTEN: messages between sessions of one database, sent at COMMIT in its order.
//!
//! What a transaction listens to and sends is kept here until it commits; a savepoint's rollback takes back what came after
//! it. The server knows who listens ([`Listeners`]); a session's messages wait in its backend until it is idle. A payload that a
//! transaction sends twice on a channel is sent once.

use super::server::Backend;
use crate::error::{Error, Result, SqlState};
use crate::types::Oid;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Bytes that a payload must be shorter than.
const PAYLOAD_BYTES_MAX: usize = 8000;
/// Bytes that a channel's name must be shorter than.
const CHANNEL_BYTES_MAX: usize = 64;
/// Messages that wait for one session; beyond it the oldest are lost with the session's connection, which ends.
pub(super) const WAITING_MAX: usize = 1 << 20;

/// A message under way.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The backend that sent it.
    pub pid: i32,
    /// Its channel.
    pub channel: Arc<str>,
    /// What it says.
    pub payload: Arc<str>,
}

/// What a transaction has done.
#[derive(Clone, Debug)]
enum Action {
    Listen(String),
    Unlisten(Option<String>),
    Notify(Arc<str>, Arc<str>),
}

/// A session's part.
#[derive(Debug, Default)]
pub(super) struct Notifications {
    /// Channels listened to, as committed.
    channels: BTreeSet<String>,
    /// Of the transaction, oldest first.
    actions: Vec<Action>,
}

impl Notifications {
    pub(super) fn listen(&mut self, channel: &str) {
        self.actions.push(Action::Listen(channel.to_owned()));
    }

    /// UNLISTEN; `None`: of everything.
    pub(super) fn unlisten(&mut self, channel: Option<&str>) {
        self.actions.push(Action::Unlisten(channel.map(str::to_owned)));
    }

    /// NOTIFY.
    ///
    /// # Errors
    /// 22023: no channel, or something is too long.
    pub(super) fn notify(&mut self, channel: &str, payload: &str) -> Result<()> {
        let invalid = |message: &str| Err(Error::new(SqlState::InvalidParameterValue, message));
        if channel.is_empty() {
            return invalid("channel name cannot be empty");
        }
        if channel.len() >= CHANNEL_BYTES_MAX {
            return invalid("channel name too long");
        }
        if payload.len() >= PAYLOAD_BYTES_MAX {
            return invalid("payload string too long");
        }
        let same = |action: &Action| matches!(action, Action::Notify(c, p) if &**c == channel && &**p == payload);
        if !self.actions.iter().any(same) {
            self.actions.push(Action::Notify(channel.into(), payload.into()));
        }
        Ok(())
    }

    /// Where the transaction is, for a savepoint.
    pub(super) fn mark(&self) -> usize {
        self.actions.len()
    }

    /// ROLLBACK (`mark` 0) or ROLLBACK TO.
    pub(super) fn rollback(&mut self, mark: usize) {
        self.actions.truncate(mark);
    }

    /// Whether COMMIT has something to do here.
    pub(super) fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// COMMIT: listens, and sends.
    pub(super) fn commit(&mut self, listeners: &Listeners, backend: &Arc<Backend>, database: Oid) {
        for action in std::mem::take(&mut self.actions) {
            match action {
                Action::Listen(channel) => {
                    listeners.add(database, &channel, backend);
                    self.channels.insert(channel);
                }
                Action::Unlisten(channel) => {
                    let gone = |name: &String| channel.as_ref().is_none_or(|channel| channel == name);
                    self.channels
                        .iter()
                        .filter(|name| gone(name))
                        .for_each(|name| listeners.remove(database, name, backend));
                    self.channels.retain(|name| !gone(name));
                }
                Action::Notify(channel, payload) => {
                    listeners.send(database, &Notification { pid: backend.pid, channel, payload });
                }
            }
        }
    }

    /// Channels listened to.
    pub(super) fn channels(&self) -> Vec<String> {
        self.channels.iter().cloned().collect()
    }
}

/// Who listens to what, in the whole server.
#[derive(Debug, Default)]
pub(super) struct Listeners(Mutex<HashMap<(Oid, String), Vec<Arc<Backend>>>>);

impl Listeners {
    fn add(&self, database: Oid, channel: &str, backend: &Arc<Backend>) {
        let mut listeners = self.0.lock();
        let list = listeners.entry((database, channel.to_owned())).or_default();
        if !list.iter().any(|other| other.pid == backend.pid) {
            list.push(backend.clone());
        }
    }

    fn remove(&self, database: Oid, channel: &str, backend: &Backend) {
        let mut listeners = self.0.lock();
        let key = (database, channel.to_owned());
        if let Some(list) = listeners.get_mut(&key) {
            list.retain(|other| other.pid != backend.pid);
            if list.is_empty() {
                listeners.remove(&key);
            }
        }
    }

    /// A session has ended.
    pub(super) fn forget(&self, backend: &Backend) {
        self.0.lock().retain(|_, list| {
            list.retain(|other| other.pid != backend.pid);
            !list.is_empty()
        });
    }

    fn send(&self, database: Oid, notification: &Notification) {
        let listeners = self.0.lock();
        for backend in listeners.get(&(database, notification.channel.to_string())).into_iter().flatten() {
            backend.deliver(notification.clone());
        }
    }
}
