//! What the tests share: an engine over the simulated disk, and short ways to say what they mean.

use lightning_storage::io::Clock;
use lightning_storage::io::sim::SimIo;
use lightning_storage::*;
use std::sync::Arc;

pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn now_us(&self) -> i64 {
        1_000_000
    }
}

pub(crate) fn open(io: &SimIo) -> Engine {
    open_with(io, 64 << 20)
}

pub(crate) fn open_with(io: &SimIo, pool_bytes: usize) -> Engine {
    let config = Config { pool_bytes, ..Config::default() };
    Engine::open(Arc::new(io.clone()), Arc::new(FixedClock), config).unwrap()
}

pub(crate) fn begin(engine: &Engine) -> Transaction {
    engine.begin(Isolation::ReadCommitted)
}

/// Commits and waits.
pub(crate) fn commit(engine: &Engine, transaction: Transaction) {
    let position = transaction.commit().unwrap();
    engine.flush().unwrap();
    assert!(engine.wait_durable(position).is_none());
}

/// No damage anywhere.
pub(crate) fn check(engine: &Engine) -> CheckReport {
    let report = engine.check().unwrap();
    assert_eq!(report.damage, Vec::<String>::new());
    report
}

pub(crate) fn columns(types: &[ColumnType]) -> TableDef {
    let column = |(no, ty): (usize, &ColumnType)| ColumnDef {
        no: ColumnNo(no as u16),
        ty: *ty,
        default: OwnedValue::Null,
        dropped: false,
    };
    TableDef { columns: types.iter().enumerate().map(column).collect(), temporary: false }
}

pub(crate) fn index_on(table: ObjectId, columns: &[u16], unique: Unique) -> IndexDef {
    let key = |no: &u16| KeyColumn { column: ColumnNo(*no), descending: false, nulls_first: false };
    IndexDef { table, columns: columns.iter().map(key).collect(), unique, nulls_distinct: true, predicate: None }
}

pub(crate) fn key(id: i64) -> Vec<u8> {
    let mut key = KeyEncoder::new();
    key.push(Value::Int64(id), ColumnType::Int64, false, false);
    key.bytes().to_vec()
}

/// A table (id int8, value int8, text) with a unique index on id and one on value.
pub(crate) fn make_table(engine: &Engine) -> (ObjectId, ObjectId, ObjectId) {
    let mut t = begin(engine);
    let table = t.create_table(columns(&[ColumnType::Int64, ColumnType::Int64, ColumnType::Bytes])).unwrap();
    let unique = t.create_index(index_on(table, &[0], Unique::Immediate)).unwrap();
    let second = t.create_index(index_on(table, &[1], Unique::No)).unwrap();
    commit(engine, t);
    (table, unique, second)
}

pub(crate) fn insert(t: &mut Transaction, table: ObjectId, id: i64, value: i64) -> Result<RowId> {
    let s = t.snapshot();
    t.insert(&s, table, &[Value::Int64(id), Value::Int64(value), Value::Bytes(b"text")])
}

pub(crate) fn update(t: &mut Transaction, table: ObjectId, row: RowId, value: i64) -> Result<WriteOutcome> {
    let s = t.snapshot();
    t.update(&s, table, row, Base::Snapshot, &[(ColumnNo(1), Value::Int64(value))])
}

pub(crate) fn int(rows: &RowBuffer, i: usize, column: u16) -> i64 {
    match rows.row(i).get(ColumnNo(column)) {
        Value::Int64(v) => v,
        other => panic!("{other:?}"),
    }
}

/// The value of the row with an id, through the unique index, as a new statement sees it.
pub(crate) fn value_of(t: &mut Transaction, unique: ObjectId, id: i64) -> Option<i64> {
    let s = t.snapshot();
    let mut rows = RowBuffer::new();
    let mut cursor = t.index_cursor(unique, KeyRange::prefix(&key(id)), Direction::Forward);
    while t.index_next(&s, &mut cursor, 10, &mut rows).unwrap() {}
    assert!(rows.len() <= 1, "a unique key has one row");
    (rows.len() == 1).then(|| int(&rows, 0, 1))
}

/// All rows by row id, as a new statement sees them.
pub(crate) fn all(t: &mut Transaction, table: ObjectId) -> Vec<(i64, i64)> {
    let s = t.snapshot();
    let rows = scan(t, &s, table, 7);
    let whole = scan(t, &s, table, 1000);
    let found = |rows: &RowBuffer| (0..rows.len()).map(|i| (int(rows, i, 0), int(rows, i, 1))).collect::<Vec<_>>();
    assert_eq!(found(&rows), found(&whole), "leaf by leaf it is the same as row by row");
    found(&rows)
}

/// All rows that a snapshot sees, so many a call.
pub(crate) fn scan(t: &Transaction, s: &Snapshot, table: ObjectId, max_rows: usize) -> RowBuffer {
    let mut rows = RowBuffer::new();
    let mut next = Some(RowId(1));
    while let Some(at) = next {
        let before = rows.len();
        next = t.scan(s, table, at..t.row_id_bound(table), max_rows, &mut rows).unwrap();
        assert!(rows.len() <= before + max_rows);
    }
    rows
}

/// All rows in an index's order.
pub(crate) fn by_index(t: &mut Transaction, index: ObjectId, direction: Direction) -> Vec<(i64, i64)> {
    let s = t.snapshot();
    let mut rows = RowBuffer::new();
    let mut cursor = t.index_cursor(index, KeyRange::all(), direction);
    while t.index_next(&s, &mut cursor, 5, &mut rows).unwrap() {}
    (0..rows.len()).map(|i| (int(&rows, i, 0), int(&rows, i, 1))).collect()
}
