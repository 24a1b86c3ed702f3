//! The storage engine without a server: a folder, a table with a unique index, a few transactions.
//!
//! `cargo run -p lightning-storage --example embedded -- /tmp/embedded`

use lightning_storage::io::{SystemClock, file::FileIo};
use lightning_storage::*;
use std::path::Path;
use std::sync::Arc;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "embedded.lightning".to_owned());
    let io = Arc::new(FileIo::open(Path::new(&folder))?);
    let engine = Engine::open(io, Arc::new(SystemClock), Config::default())?;

    // Objects are created by transactions, as rows are.
    let mut t = engine.begin(Isolation::ReadCommitted);
    let column = |no, ty| ColumnDef { no: ColumnNo(no), ty, default: OwnedValue::Null, dropped: false };
    let columns = vec![column(0, ColumnType::Int64), column(1, ColumnType::Bytes)];
    let table = t.create_table(TableDef { columns, temporary: false })?;
    let key = KeyColumn { column: ColumnNo(0), descending: false, nulls_first: false };
    let index = t.create_index(IndexDef {
        table,
        columns: vec![key],
        unique: Unique::Immediate,
        nulls_distinct: true,
        predicate: None,
    })?;
    let s = t.snapshot();
    for (id, name) in [(1, "ada"), (2, "grace"), (3, "barbara")] {
        t.insert(&s, table, &[Value::Int64(id), Value::Bytes(name.as_bytes())])?;
    }
    drop(s);
    t.commit()?;
    // A server's log thread does this for all who wait; here the caller does.
    engine.flush()?;

    // A key is there once.
    let mut t = engine.begin(Isolation::ReadCommitted);
    let s = t.snapshot();
    match t.insert(&s, table, &[Value::Int64(2), Value::Bytes(b"another")]) {
        Err(Error::Duplicate { row, .. }) => println!("2 is row {row} already"),
        other => println!("unexpected: {other:?}"),
    }

    // By key, in order.
    let mut rows = RowBuffer::new();
    let mut cursor = t.index_cursor(index, KeyRange::all(), Direction::Backward);
    while t.index_next(&s, &mut cursor, 100, &mut rows)? {}
    for i in 0..rows.len() {
        if let (Value::Int64(id), Value::Bytes(name)) = (rows.row(i).get(ColumnNo(0)), rows.row(i).get(ColumnNo(1))) {
            println!("{id} {}", String::from_utf8_lossy(name));
        }
    }
    drop(s);
    t.rollback();
    engine.close()
}
