//! What the database should hold: every table with every committed version of every row under its commit position, and the
//! changes in progress under the session that makes them.

use lightning_storage::*;
use std::collections::BTreeMap;
use std::ops::Bound;

/// A column's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Text(usize, u8),
}

impl Cell {
    pub(super) fn of(value: Value<'_>) -> Cell {
        match value {
            Value::Null => Cell::Null,
            Value::Int64(v) => Cell::Int(v),
            Value::Bytes(bytes) => {
                let first = bytes.first().copied().unwrap_or_default();
                assert!(bytes.iter().all(|byte| *byte == first), "a value is a mixture of two");
                Cell::Text(bytes.len(), first)
            }
            other => panic!("{other:?} was never written"),
        }
    }

    fn key(&self, index: &Index) -> Vec<u8> {
        let mut key = KeyEncoder::new();
        let value = match self {
            Cell::Int(v) => Value::Int64(*v),
            _ => Value::Null,
        };
        key.push(value, ColumnType::Int64, index.descending, index.nulls_first);
        key.bytes().to_vec()
    }
}

/// A row: id, value, text, and what ALTER TABLE added.
pub(super) type Row = Vec<Cell>;

/// When something came or went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stamp {
    /// The session has not committed yet.
    Pending(usize),
    At(u64),
}

impl Stamp {
    /// Whether it counts for a session.
    pub(super) fn counts(self, session: usize) -> bool {
        match self {
            Stamp::Pending(owner) => owner == session,
            Stamp::At(_) => true,
        }
    }

    fn survives(self, durable: u64) -> bool {
        matches!(self, Stamp::At(position) if position <= durable)
    }
}

pub(super) struct Index {
    pub(super) id: ObjectId,
    pub(super) created: Stamp,
    pub(super) dropped: Option<Stamp>,
    pub(super) column: usize,
    pub(super) unique: bool,
    pub(super) descending: bool,
    pub(super) nulls_first: bool,
}

impl Index {
    pub(super) fn exists(&self, session: usize) -> bool {
        self.created.counts(session) && !self.dropped.is_some_and(|dropped| dropped.counts(session))
    }

    /// The row's key.
    pub(super) fn key(&self, row: &Row) -> Vec<u8> {
        row[self.column].key(self)
    }

    /// The key, if two rows may not share it.
    fn unique_key(&self, row: &Row) -> Option<Vec<u8>> {
        (self.unique && row[self.column] != Cell::Null).then(|| self.key(row))
    }
}

/// A row's versions.
#[derive(Default)]
pub(super) struct History {
    /// By commit position.
    pub(super) versions: Vec<(u64, Option<Row>)>,
    /// Where the last strong change was committed.
    pub(super) strong_position: u64,
    pub(super) change: Option<Change>,
    pub(super) locks: Vec<(usize, RowLockMode)>,
}

/// A change in progress: what each command of the session left.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) session: usize,
    pub(super) versions: Vec<(u32, Option<Row>)>,
    /// It deleted the row, or changed a unique key.
    pub(super) strong: bool,
}

impl History {
    pub(super) fn committed(&self) -> Option<&Row> {
        self.versions.last().and_then(|(_, row)| row.as_ref())
    }

    pub(super) fn newest_position(&self) -> u64 {
        self.versions.last().map_or(0, |(position, _)| *position)
    }

    /// What a snapshot sees.
    pub(super) fn seen(&self, session: usize, command: u32, position: u64) -> Option<&Row> {
        if let Some(change) = self.change.as_ref().filter(|change| change.session == session)
            && let Some((_, row)) = change.versions.iter().rev().find(|(at, _)| *at < command)
        {
            return row.as_ref();
        }
        self.versions.iter().rev().find(|(at, _)| *at <= position).and_then(|(_, row)| row.as_ref())
    }

    /// The newest version, committed or the session's own.
    pub(super) fn newest(&self, session: usize) -> Option<&Row> {
        match self.change.as_ref().filter(|change| change.session == session) {
            Some(change) => change.versions.last().and_then(|(_, row)| row.as_ref()),
            None => self.committed(),
        }
    }

    /// Sessions whose changes or locks stand in the way of `mode`.
    pub(super) fn blockers(&self, session: usize, mode: RowLockMode) -> Vec<usize> {
        let change = self.change.as_ref().filter(|change| change.session != session && !self.versions.is_empty());
        let held = |change: &Change| if change.strong { RowLockMode::Update } else { RowLockMode::NoKeyUpdate };
        let changes = change.filter(|change| held(change).conflicts(mode)).map(|change| change.session);
        let locks = self.locks.iter().filter(|(owner, held)| *owner != session && held.conflicts(mode));
        changes.into_iter().chain(locks.map(|(owner, _)| *owner)).collect()
    }
}

pub(super) struct Table {
    pub(super) id: ObjectId,
    pub(super) created: Stamp,
    pub(super) dropped: Option<Stamp>,
    /// Defaults of the columns added.
    pub(super) added: Vec<(Stamp, i64)>,
    pub(super) rows: BTreeMap<u64, History>,
    pub(super) indexes: Vec<Index>,
}

impl Table {
    pub(super) fn exists(&self, session: usize) -> bool {
        self.created.counts(session) && !self.dropped.is_some_and(|dropped| dropped.counts(session))
    }

    pub(super) fn columns(&self) -> usize {
        3 + self.added.len()
    }

    pub(super) fn def(&self) -> TableDef {
        let mut def = crate::database::columns(&[ColumnType::Int64, ColumnType::Int64, ColumnType::Bytes]);
        for (i, (_, default)) in self.added.iter().enumerate() {
            let default = OwnedValue::Int64(*default);
            def.columns.push(ColumnDef { no: ColumnNo(3 + i as u16), ty: ColumnType::Int64, default, dropped: false });
        }
        def
    }

    /// A row with what it lacks as its columns' defaults.
    pub(super) fn whole(&self, row: &Row) -> Row {
        let missing = self.added.iter().skip(row.len() - 3).map(|(_, default)| Cell::Int(*default));
        row.iter().cloned().chain(missing).collect()
    }

    /// All that a snapshot sees, by row id.
    pub(super) fn seen(&self, session: usize, command: u32, position: u64) -> Vec<(u64, Row)> {
        let rows = self.rows.iter().map(|(id, history)| (*id, history.seen(session, command, position)));
        rows.filter_map(|(id, row)| row.map(|row| (id, self.whole(row)))).collect()
    }

    /// The same in an index's order, within a range.
    pub(super) fn seen_by(
        &self,
        index: &Index,
        rows: Vec<(u64, Row)>,
        range: &KeyRange,
        direction: Direction,
    ) -> Vec<(u64, Row)> {
        let within = |key: &Vec<u8>| {
            let above = match &range.lower {
                Bound::Included(lower) => key >= lower,
                Bound::Excluded(lower) => key > lower,
                Bound::Unbounded => true,
            };
            above
                && match &range.upper {
                    Bound::Included(upper) => key <= upper,
                    Bound::Excluded(upper) => key < upper,
                    Bound::Unbounded => true,
                }
        };
        let mut keyed: Vec<_> = rows.into_iter().map(|(id, row)| (index.key(&row), id, row)).collect();
        keyed.retain(|(key, ..)| within(key));
        keyed.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        if direction == Direction::Backward {
            keyed.reverse();
        }
        keyed.into_iter().map(|(_, id, row)| (id, row)).collect()
    }

    /// What may happen when a session gives `row` these values: is its key taken, or does that depend on others?
    pub(super) fn judge(&self, session: usize, own: Option<u64>, old: Option<&Row>, new: &Row) -> (bool, bool) {
        let (mut taken, mut depends) = (false, false);
        for index in self.indexes.iter().filter(|index| index.exists(session)) {
            let Some(key) = index.unique_key(new) else { continue };
            if old.and_then(|old| index.unique_key(&self.whole(old))).as_ref() == Some(&key) {
                continue;
            }
            for (_, other) in self.rows.iter().filter(|(id, _)| Some(**id) != own) {
                let same =
                    |row: Option<&Row>| row.and_then(|row| index.unique_key(&self.whole(row))).as_ref() == Some(&key);
                match &other.change {
                    Some(change) if change.session != session => {
                        // Its versions in between may come back, by a rollback to a savepoint.
                        let before = same(other.committed());
                        let mut own = change.versions.iter().map(|(_, row)| same(row.as_ref()));
                        let all = before && own.clone().all(|same| same);
                        let any = before || own.any(|same| same);
                        taken |= all;
                        depends |= any && !all;
                    }
                    _ => taken |= same(other.newest(session)),
                }
            }
        }
        (taken, depends)
    }

    /// Whether two rows that count now have one key of an index.
    pub(super) fn has_duplicates(&self, index: &Index, session: usize) -> bool {
        let newest = self.rows.values().filter_map(|history| history.newest(session));
        let mut keys: Vec<_> = newest.filter_map(|row| index.unique_key(&self.whole(row))).collect();
        let all = keys.len();
        keys.sort();
        keys.dedup();
        keys.len() < all
    }

    /// A power cut: only commits up to `durable` have happened.
    pub(super) fn crash(&mut self, durable: u64) {
        if self.dropped.is_some_and(|dropped| !dropped.survives(durable)) {
            self.dropped = None;
        }
        self.added.retain(|(stamp, _)| stamp.survives(durable));
        self.indexes.retain(|index| index.created.survives(durable));
        for index in &mut self.indexes {
            if index.dropped.is_some_and(|dropped| !dropped.survives(durable)) {
                index.dropped = None;
            }
        }
        for history in self.rows.values_mut() {
            history.versions.retain(|(position, _)| *position <= durable);
            // No snapshot is left that it could matter to.
            history.strong_position = 0;
            history.change = None;
            history.locks.clear();
        }
        self.rows.retain(|_, history| !history.versions.is_empty());
    }

    /// Whether a power cut leaves it.
    pub(super) fn survives(&self, durable: u64) -> bool {
        self.created.survives(durable)
    }
}

/// How to take a change of the model back.
pub(super) enum Undo {
    Row { table: usize, row: u64, before: Option<Change> },
    Lock { table: usize, row: u64 },
    Created { table: usize },
    Dropped { table: usize },
    CreatedIndex { table: usize },
    DroppedIndex { table: usize, index: usize },
    Added { table: usize },
}

impl Undo {
    pub(super) fn undo(self, tables: &mut [Table], session: usize) {
        match self {
            Undo::Row { table, row, before } => {
                let rows = &mut tables[table].rows;
                if let Some(history) = rows.get_mut(&row) {
                    history.change = before;
                    if history.versions.is_empty() && history.change.is_none() {
                        rows.remove(&row);
                    }
                }
            }
            Undo::Lock { table, row } => {
                if let Some(history) = tables[table].rows.get_mut(&row)
                    && let Some(at) = history.locks.iter().rposition(|(owner, _)| *owner == session)
                {
                    history.locks.remove(at);
                }
            }
            Undo::Created { table } => tables[table].dropped = Some(Stamp::At(0)),
            Undo::Dropped { table } => tables[table].dropped = None,
            Undo::CreatedIndex { table } => {
                let indexes = &mut tables[table].indexes;
                let at = indexes.iter().rposition(|index| index.created == Stamp::Pending(session));
                indexes.remove(at.expect("it was created"));
            }
            Undo::DroppedIndex { table, index } => tables[table].indexes[index].dropped = None,
            Undo::Added { table } => drop(tables[table].added.pop()),
        }
    }

    pub(super) fn commit(self, tables: &mut [Table], session: usize, position: u64) {
        let settle = |stamp: &mut Stamp| {
            if *stamp == Stamp::Pending(session) {
                *stamp = Stamp::At(position);
            }
        };
        match self {
            Undo::Row { table, row, .. } => {
                if let Some(history) = tables[table].rows.get_mut(&row)
                    && let Some(change) = history.change.take_if(|change| change.session == session)
                {
                    if change.strong {
                        history.strong_position = position;
                    }
                    let last = change.versions.into_iter().next_back().and_then(|(_, row)| row);
                    history.versions.push((position, last));
                }
            }
            Undo::Lock { table, row } => {
                if let Some(history) = tables[table].rows.get_mut(&row) {
                    history.locks.retain(|(owner, _)| *owner != session);
                }
            }
            Undo::Created { table } => {
                let table = &mut tables[table];
                settle(&mut table.created);
                table.indexes.iter_mut().for_each(|index| settle(&mut index.created));
            }
            Undo::Dropped { table } => tables[table].dropped.as_mut().into_iter().for_each(settle),
            Undo::CreatedIndex { table } => {
                tables[table].indexes.iter_mut().for_each(|index| settle(&mut index.created));
            }
            Undo::DroppedIndex { table, index } => {
                tables[table].indexes[index].dropped.as_mut().into_iter().for_each(settle);
            }
            Undo::Added { table } => tables[table].added.iter_mut().for_each(|(stamp, _)| settle(stamp)),
        }
    }
}
