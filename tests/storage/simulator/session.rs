//! A session of the simulator: what it has open, and what it is at.

use super::model::{Row, Undo};
use lightning_storage::*;
use std::collections::VecDeque;

/// A change or question, with all that the call needs: one that has to wait is made again with the same arguments.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Insert(Row),
    Update {
        row: u64,
        changes: Vec<(usize, super::model::Cell)>,
    },
    Delete {
        row: u64,
    },
    LockRow {
        row: u64,
        mode: RowLockMode,
        policy: WaitPolicy,
    },
    Get {
        row: u64,
    },
    Scan,
    IndexScan {
        index: ObjectId,
        range: KeyRange,
        direction: Direction,
    },
    OpenPortal {
        index: Option<ObjectId>,
    },
    DropTable,
    AddColumn {
        default: i64,
    },
    CreateIndex {
        column: usize,
        unique: bool,
        descending: bool,
        nulls_first: bool,
    },
    BuildIndex {
        index: ObjectId,
    },
    DropIndex {
        index: ObjectId,
    },
    /// Locks the table for the rest of the transaction, no more.
    LockTable,
}

impl Action {
    /// The table lock that the server takes for it.
    pub(super) fn lock(&self) -> LockMode {
        match self {
            Action::Insert(_) | Action::Update { .. } | Action::Delete { .. } => LockMode::RowExclusive,
            Action::LockRow { .. } => LockMode::RowShare,
            Action::Get { .. } | Action::Scan | Action::IndexScan { .. } | Action::OpenPortal { .. } => {
                LockMode::AccessShare
            }
            Action::CreateIndex { .. } | Action::BuildIndex { .. } => LockMode::Share,
            Action::LockTable => LockMode::ShareRowExclusive,
            Action::DropTable | Action::AddColumn { .. } | Action::DropIndex { .. } => LockMode::AccessExclusive,
        }
    }

    pub(super) fn is_definition(&self) -> bool {
        matches!(self, Action::DropTable | Action::AddColumn { .. } | Action::DropIndex { .. })
    }
}

/// A statement under way.
pub(super) struct Statement {
    pub(super) table: usize,
    pub(super) action: Action,
    /// Taken once the table is locked, with the command's number in the model.
    pub(super) snapshot: Option<(Snapshot, u32)>,
    pub(super) waiter: Option<Waiter>,
}

/// A query that is fetched from while other statements run.
pub(super) struct Portal {
    pub(super) table: usize,
    pub(super) snapshot: Snapshot,
    pub(super) place: Place,
    pub(super) expected: VecDeque<(u64, Row)>,
}

pub(super) enum Place {
    Rows(RowId),
    Index(IndexCursor),
}

/// What a session is doing.
#[derive(Default)]
pub(super) struct Session {
    pub(super) transaction: Option<Transaction>,
    pub(super) statement: Option<Statement>,
    pub(super) portals: Vec<Portal>,
    pub(super) savepoints: Vec<(SavepointId, usize)>,
    pub(super) undo: Vec<Undo>,
    pub(super) commands: u32,
    /// A commit that waits for the disk.
    pub(super) committing: Option<Position>,
    pub(super) repeatable: bool,
    /// A call has failed: the transaction may be past changing anything.
    pub(super) hurt: bool,
}

impl Session {
    /// Whether only somebody else can get it going.
    pub(super) fn is_stuck(&self) -> bool {
        let waiter = self.statement.as_ref().and_then(|statement| statement.waiter.as_ref());
        waiter.is_some_and(|waiter| !waiter.is_ready() && !waiter.needs_work())
    }
}
