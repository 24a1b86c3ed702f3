//! Rows: how column values lie in a leaf, in undo, and in a [`RowBuffer`].
//!
//! ```text
//! OFFSET  SIZE      FIELD
//! 0       1         flags: 1 deleted · 2 wide ends
//! 1       2         number of columns n, little endian
//! 3       2n or 4n  per column: end of its value, counted from the first value; top bit NULL, next bit external
//! …                 the values, in column order
//! ```
//! Integers are little endian without the bytes that repeat the sign; floats 4 or 8 bytes; Fixed16 16; Bytes as they are.
//! An external value is `u32 first overflow page ‖ u32 length`; it occurs in pages and undo, never in a [`RowBuffer`].
//! A row is wide when it is larger than 16 KiB, which no row in a page is. Columns at and beyond n read as the table's
//! stored default: a column is added without touching rows.

use super::{ColumnDef, ColumnNo, ColumnType, RowId, TableDef, Value};
use crate::error::{Error, Result};
use std::ops::Range;
use std::sync::Arc;

/// Flag: the row is deleted; it is kept until no snapshot needs it.
pub(crate) const DELETED: u8 = 1;
const WIDE: u8 = 2;
const HEADER: usize = 3;
/// Bytes copied for one of a row beyond which rows are copied one by one.
const SPARSE: usize = 4;
/// The flag of an external value in eight ends side by side.
const EXTERNAL: u128 = 0x4000_4000_4000_4000_4000_4000_4000_4000;

/// A value that lies in overflow pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct External {
    pub(crate) page: u32,
    pub(crate) len: u32,
}

/// One column as it lies in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    Null,
    Inline(&'a [u8]),
    External(External),
}

/// A row's bytes, read in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cells<'a> {
    bytes: &'a [u8],
    count: usize,
    wide: bool,
}

impl<'a> Cells<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cells<'a> {
        let count = u16::from_le_bytes([bytes[1], bytes[2]]) as usize;
        Cells { bytes, count, wide: bytes[0] & WIDE != 0 }
    }

    /// Whether `bytes` can be a row at all: for bytes that have just been read from disk.
    pub(crate) fn validate(bytes: &[u8]) -> bool {
        if bytes.len() < HEADER {
            return false;
        }
        let cells = Cells::new(bytes);
        let data = cells.data_start();
        if data > bytes.len() {
            return false;
        }
        let mut last = 0;
        (0..cells.count).all(|i| {
            let (end, _, external) = cells.end(i);
            let ok = end >= last && data + end <= bytes.len() && (!external || end - last == 8);
            last = end;
            ok
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn has_external(&self) -> bool {
        !self.wide && self.ends() & EXTERNAL != 0
    }

    /// The ends of a row that is not wide, eight columns side by side, ORed: every row that a scan meets is asked for a flag.
    #[inline]
    fn ends(&self) -> u128 {
        let ends = &self.bytes[HEADER..self.data_start()];
        let Some(last) = ends.last_chunk() else {
            return ends.chunks_exact(2).fold(0, |any, end| any | u128::from(u16::from_le_bytes([end[0], end[1]])));
        };
        let (eights, _) = ends.as_chunks();
        eights.iter().fold(u128::from_le_bytes(*last), |any, eight| any | u128::from_le_bytes(*eight))
    }

    /// Size of the row.
    fn size(&self) -> usize {
        self.data_start() + self.count.checked_sub(1).map_or(0, |last| self.end(last).0)
    }

    fn data_start(&self) -> usize {
        HEADER + self.count * if self.wide { 4 } else { 2 }
    }

    fn end(&self, i: usize) -> (usize, bool, bool) {
        if self.wide {
            let at = HEADER + 4 * i;
            let raw = u32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"));
            ((raw & 0x3fff_ffff) as usize, raw >> 31 == 1, raw >> 30 & 1 == 1)
        } else {
            let at = HEADER + 2 * i;
            let raw = u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]);
            ((raw & 0x3fff) as usize, raw >> 15 == 1, raw >> 14 & 1 == 1)
        }
    }

    /// Where the value of a column lies; NULL has none.
    fn place(&self, i: usize) -> Option<Range<usize>> {
        let (end, null, _) = self.end(i);
        let start = if i == 0 { 0 } else { self.end(i - 1).0 };
        let data = self.data_start();
        (!null).then_some(data + start..data + end)
    }

    pub(crate) fn cell(&self, i: usize) -> Cell<'a> {
        let Some(place) = self.place(i) else { return Cell::Null };
        let bytes = &self.bytes[place];
        if self.end(i).2 {
            let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
            return Cell::External(External { page: half(0), len: half(4) });
        }
        Cell::Inline(bytes)
    }
}

/// A value of type `ty` from its inline bytes.
pub(crate) fn decode(bytes: &[u8], ty: ColumnType) -> Value<'_> {
    match ty {
        ColumnType::Bool => Value::Bool(bytes.first() == Some(&1)),
        ColumnType::Int16 => Value::Int16(decode_int(bytes) as i16),
        ColumnType::Int32 => Value::Int32(decode_int(bytes) as i32),
        ColumnType::Int64 => Value::Int64(decode_int(bytes)),
        ColumnType::Float32 => Value::Float32(bytes.try_into().map_or(0.0, f32::from_le_bytes)),
        ColumnType::Float64 => Value::Float64(bytes.try_into().map_or(0.0, f64::from_le_bytes)),
        ColumnType::Fixed16 => Value::Fixed16(bytes.try_into().unwrap_or_default()),
        ColumnType::Bytes | ColumnType::Keyed => Value::Bytes(bytes),
    }
}

fn decode_int(bytes: &[u8]) -> i64 {
    let Some(&last) = bytes.last() else { return 0 };
    let mut whole = if last & 0x80 != 0 { [0xff; 8] } else { [0; 8] };
    let len = bytes.len().min(8);
    whole[..len].copy_from_slice(&bytes[..len]);
    i64::from_le_bytes(whole)
}

fn encode_int(v: i64, out: &mut Vec<u8>) {
    if v == 0 {
        return;
    }
    let spare = if v < 0 { (!v).leading_zeros() } else { v.leading_zeros() };
    let len = (65 - spare as usize).div_ceil(8);
    out.extend_from_slice(&v.to_le_bytes()[..len]);
}

pub(crate) fn encode_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(v) => out.push(u8::from(v)),
        Value::Int16(v) => encode_int(i64::from(v), out),
        Value::Int32(v) => encode_int(i64::from(v), out),
        Value::Int64(v) => encode_int(v, out),
        Value::Float32(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Float64(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Fixed16(v) => out.extend_from_slice(&v),
        Value::Bytes(v) => out.extend_from_slice(v),
    }
}

/// What a row is built of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field<'a> {
    Value(Value<'a>),
    External(External),
}

/// Builds a row from its columns in order, appended to `out`.
pub(crate) fn encode<'a>(fields: impl ExactSizeIterator<Item = Field<'a>> + Clone, out: &mut Vec<u8>) {
    let start = out.len();
    if !try_encode(fields.clone(), false, out) {
        out.truncate(start);
        try_encode(fields, true, out);
    }
}

fn try_encode<'a>(fields: impl ExactSizeIterator<Item = Field<'a>>, wide: bool, out: &mut Vec<u8>) -> bool {
    let (count, start) = (fields.len(), out.len());
    out.push(if wide { WIDE } else { 0 });
    out.extend_from_slice(&(count as u16).to_le_bytes());
    let width = if wide { 4 } else { 2 };
    out.resize(start + HEADER + count * width, 0);
    let data = out.len();
    for (i, field) in fields.enumerate() {
        let (mut null, mut external) = (false, false);
        match field {
            Field::Value(value) => {
                null = value.is_null();
                encode_value(value, out);
            }
            Field::External(place) => {
                external = true;
                out.extend_from_slice(&place.page.to_le_bytes());
                out.extend_from_slice(&place.len.to_le_bytes());
            }
        }
        let end = out.len() - data;
        let at = start + HEADER + i * width;
        if wide {
            let raw = end as u32 | u32::from(null) << 31 | u32::from(external) << 30;
            out[at..at + 4].copy_from_slice(&raw.to_le_bytes());
        } else if end > 0x3fff {
            return false;
        } else {
            let raw = end as u16 | u16::from(null) << 15 | u16::from(external) << 14;
            out[at..at + 2].copy_from_slice(&raw.to_le_bytes());
        }
    }
    true
}

/// Begins a row of `count` columns at the end of `out`, to be filled in by [`push`].
pub(crate) fn begin(count: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + HEADER + 2 * count, 0);
    out[start + 1..start + HEADER].copy_from_slice(&(count as u16).to_le_bytes());
}

/// Puts the value of column `i`, the next one, into the row that begins at `start` and is the last in `out`; `false`: the row has
/// no such column. What is beyond a narrow row's size makes the row too large for any page, but harms nothing.
pub(crate) fn push(start: usize, i: usize, value: Value<'_>, out: &mut Vec<u8>) -> bool {
    let count = columns(&out[start..]);
    if i >= count {
        return false;
    }
    encode_value(value, out);
    let end = (out.len() - start - HEADER - 2 * count).min(0x3fff);
    let raw = end as u16 | u16::from(value.is_null()) << 15;
    let at = start + HEADER + 2 * i;
    out[at..at + 2].copy_from_slice(&raw.to_le_bytes());
    true
}

/// Number of columns of a row.
pub(crate) fn columns(row: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([row[1], row[2]]))
}

/// Size of a value inside a row.
pub(crate) fn value_bytes(value: Value<'_>) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int16(_) | Value::Int32(_) | Value::Int64(_) | Value::Float64(_) => 8,
        Value::Float32(_) => 4,
        Value::Fixed16(_) => 16,
        Value::Bytes(v) => v.len(),
    }
}

/// Checks that `values` fit the table: their number, their forms.
pub(crate) fn check_values(def: &TableDef, values: &[Value<'_>]) -> Result<()> {
    // Dropped columns at the end need no value: the row ends before them.
    let fits = values.len() <= def.columns.len()
        && def.columns[values.len()..].iter().all(|column| column.dropped)
        && values.iter().zip(&def.columns).all(|(value, column)| matches_type(*value, column.ty));
    if fits { Ok(()) } else { Err(Error::corrupt("a row does not have the table's columns")) }
}

pub(crate) fn matches_type(value: Value<'_>, ty: ColumnType) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) => ty == ColumnType::Bool,
        Value::Int16(_) => ty == ColumnType::Int16,
        Value::Int32(_) => ty == ColumnType::Int32,
        Value::Int64(_) => ty == ColumnType::Int64,
        Value::Float32(_) => ty == ColumnType::Float32,
        Value::Float64(_) => ty == ColumnType::Float64,
        Value::Fixed16(_) => ty == ColumnType::Fixed16,
        Value::Bytes(_) => matches!(ty, ColumnType::Bytes | ColumnType::Keyed),
    }
}

/// A row as a reader sees it.
#[derive(Clone, Copy, Debug)]
pub struct RowView<'a> {
    cells: Cells<'a>,
    columns: &'a [ColumnDef],
}

impl<'a> RowView<'a> {
    pub(crate) fn new(bytes: &'a [u8], columns: &'a [ColumnDef]) -> RowView<'a> {
        RowView { cells: Cells::new(bytes), columns }
    }

    /// The value of a column; its stored default when the row is older than the column. Constant time.
    pub fn get(&self, column: ColumnNo) -> Value<'a> {
        let i = column.0 as usize;
        let Some(def) = self.columns.get(i) else { return Value::Null };
        if i >= self.cells.count() {
            return def.default.borrow();
        }
        match self.cells.cell(i) {
            Cell::Null => Value::Null,
            Cell::Inline(bytes) => decode(bytes, def.ty),
            Cell::External(_) => {
                debug_assert!(false, "external values are fetched before a row is shown");
                Value::Null
            }
        }
    }

    /// The table's columns.
    pub fn columns(&self) -> &'a [ColumnDef] {
        self.columns
    }
}

/// Rows copied out of the engine: one arena of bytes, and where each row lies in it.
#[derive(Clone, Debug, Default)]
pub struct RowBuffer {
    bytes: Vec<u8>,
    rows: Vec<(RowId, usize)>,
    columns: Option<Arc<TableDef>>,
    /// Columns in every row, if all have as many and none is wide: a column then lies at one place in all of them.
    uniform: Option<usize>,
    /// Bytes that whole leaves' copies reach to: rows in them lie in any order, those behind it in that of `rows`.
    copied: usize,
}

impl RowBuffer {
    /// An empty one.
    pub fn new() -> RowBuffer {
        RowBuffer::default()
    }

    /// Forgets the rows, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
        self.copied = 0;
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Heap bytes in use.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.rows.len() * size_of::<(RowId, usize)>()
    }

    /// The id of row `i`.
    pub fn row_id(&self, i: usize) -> RowId {
        self.rows[i].0
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> RowView<'_> {
        RowView::new(&self.bytes[self.rows[i].1..], self.columns())
    }

    /// Where a column lies, if that is the same for all rows.
    pub(crate) fn uniform(&self, column: ColumnNo) -> Option<Uniform<'_>> {
        let (columns, column) = (self.uniform?, usize::from(column.0));
        let uniform = Uniform { bytes: &self.bytes, rows: &self.rows, column, data: HEADER + 2 * columns };
        (column < columns).then_some(uniform)
    }

    /// The table's columns; none before a table was read.
    pub(crate) fn columns(&self) -> &[ColumnDef] {
        self.columns.as_ref().map_or(&[], |def| &def.columns)
    }

    pub(crate) fn set_table(&mut self, def: &Arc<TableDef>) {
        if self.columns.as_ref().is_none_or(|d| !Arc::ptr_eq(d, def)) {
            self.columns = Some(def.clone());
        }
    }

    pub(crate) fn push(&mut self, row: RowId, bytes: &[u8]) {
        if self.bytes.capacity() == 0 {
            // One piece of memory for the few rows of most calls.
            self.bytes.reserve(bytes.len().max(256));
        }
        self.add(row, self.bytes.len(), (bytes[0] & WIDE == 0).then(|| columns(bytes)));
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds a row that lies at `start`; `uniform` as in the buffer.
    #[inline]
    fn add(&mut self, row: RowId, start: usize, uniform: Option<usize>) {
        if self.rows.is_empty() {
            self.uniform = uniform;
        } else if self.uniform != uniform {
            self.uniform = None;
        }
        self.rows.push((row, start));
    }

    /// Begins to append up to `rows` rows that lie in `entries`.
    pub(crate) fn copy(&mut self, entries: &[u8], rows: usize) -> EntriesCopy<'_> {
        let (before, bytes) = (self.rows.len(), self.bytes.len());
        self.rows.reserve(rows);
        self.bytes.extend_from_slice(entries);
        self.copied = self.bytes.len();
        let form = form_of(self.uniform.filter(|_| before > 0));
        EntriesCopy { buffer: self, rows: before, bytes, taken: 0, form, flags: 0 }
    }

    pub(crate) fn raw(&self, i: usize) -> &[u8] {
        let bytes = &self.bytes[self.rows[i].1..];
        &bytes[..Cells::new(bytes).size()]
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        if let Some(&(_, start)) = self.rows.get(len) {
            self.bytes.truncate(start.max(self.copied));
            self.rows.truncate(len);
        }
    }

    /// Puts the last row's bytes anew (its external values fetched).
    pub(crate) fn replace_last(&mut self, bytes: &[u8]) {
        if let Some(&(_, start)) = self.rows.last() {
            self.bytes.truncate(start);
            self.bytes.extend_from_slice(bytes);
            self.uniform = None;
        }
    }
}

/// Rows on their way into a buffer, most of them by a copy of the entries among which they lie.
pub(crate) struct EntriesCopy<'a> {
    buffer: &'a mut RowBuffer,
    /// What the buffer held before: rows, and bytes, where the copy begins.
    rows: usize,
    bytes: usize,
    /// Bytes of rows in the copy.
    taken: usize,
    /// Flags and number of columns of the rows so far if they are alike, else those of no row.
    form: u32,
    /// Of all rows: [`Cells::ends`].
    flags: u128,
}

/// Flags and number of columns of rows that are alike; of others what no row has.
fn form_of(uniform: Option<usize>) -> u32 {
    uniform.map_or(u32::MAX, |columns| (columns as u32) << 8)
}

impl EntriesCopy<'_> {
    /// Appends the row that lies at `place` in the entries, unless it is deleted.
    #[inline]
    pub(crate) fn push(&mut self, row: RowId, place: Range<usize>) {
        let start = self.bytes + place.start;
        self.taken += place.len();
        let cells = Cells::new(&self.buffer.bytes[start..]);
        let form = u32::from(cells.bytes[0]) | (cells.count as u32) << 8;
        if form == self.form {
            self.flags |= cells.ends();
            self.buffer.rows.push((row, start));
        } else if cells.bytes[0] & DELETED == 0 {
            self.flags |= cells.ends();
            self.buffer.add(row, start, Some(cells.count));
            self.form = form_of(self.buffer.uniform);
        }
    }

    /// Appends a row from elsewhere.
    pub(crate) fn push_other(&mut self, row: RowId, bytes: &[u8]) {
        self.flags |= Cells::new(bytes).ends();
        self.buffer.push(row, bytes);
    }

    /// `false`: a row has an external value, or rows take so little of the copy that it is not worth its room; the buffer holds
    /// what it held before.
    pub(crate) fn finish(self) -> bool {
        let copied = self.buffer.copied - self.bytes;
        let whole = self.flags & EXTERNAL == 0 && self.taken * SPARSE >= copied;
        if whole {
            self.buffer.copied = self.buffer.bytes.len();
        } else {
            self.buffer.rows.truncate(self.rows);
            self.buffer.bytes.truncate(self.bytes);
            self.buffer.copied = self.bytes;
        }
        whole
    }
}

/// A column of a [`RowBuffer`] whose rows are alike: no row is asked for its form.
#[derive(Clone, Copy)]
pub(crate) struct Uniform<'a> {
    bytes: &'a [u8],
    rows: &'a [(RowId, usize)],
    column: usize,
    /// Where a row's values begin.
    data: usize,
}

impl<'a> Uniform<'a> {
    /// The bytes among which all rows lie.
    pub(crate) fn all(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where row `i` begins.
    #[inline(always)]
    pub(crate) fn start(&self, i: usize) -> usize {
        self.rows[i].1
    }

    /// Where all rows begin.
    pub(crate) fn starts(&self) -> impl ExactSizeIterator<Item = usize> + Clone {
        self.rows.iter().map(|row| row.1)
    }

    /// The ends of the column before and of this one, the flags of this one above them.
    #[inline(always)]
    fn ends(self, start: usize) -> u32 {
        // Before the first column's end stands the number of columns.
        let at = start + HEADER - 2 + 2 * self.column;
        let ends = u32::from_le_bytes(*self.bytes[at..].first_chunk().expect("a row has its columns' ends"));
        if self.column == 0 { ends & 0xffff_0000 } else { ends }
    }

    /// Whether the value of the row at `start` is NULL.
    #[inline(always)]
    pub(crate) fn is_null(self, start: usize) -> bool {
        self.ends(start) >> 31 == 1
    }

    /// Where the value of the row at `start` lies, of no bytes if NULL, and whether it is NULL.
    #[inline(always)]
    pub(crate) fn place(self, start: usize) -> (Range<usize>, bool) {
        let ends = self.ends(start);
        let value = start + self.data;
        let (begin, end) = (ends & 0x3fff, ends >> 16 & 0x3fff);
        (value + begin as usize..value + end as usize, ends >> 31 == 1)
    }

    /// The integer of the row at `start`, 0 of NULL, and whether it is NULL.
    #[inline(always)]
    pub(crate) fn integer(self, start: usize) -> (i64, bool) {
        let ends = self.ends(start);
        let (begin, end) = (ends & 0x3fff, ends >> 16 & 0x3fff);
        let behind = start + self.data + end as usize;
        let value = match self.bytes.get(behind.wrapping_sub(8)..behind) {
            // The eight bytes that end with the value's, without those before it.
            Some(word) if end > begin => {
                let word = i64::from_le_bytes(word.try_into().expect("eight bytes"));
                word >> (64u32.wrapping_sub(8 * (end - begin)) & 63)
            }
            Some(_) => 0,
            None => decode_int(&self.bytes[behind - (end - begin) as usize..behind]),
        };
        (value, ends >> 31 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::OwnedValue;
    use super::*;

    fn columns(types: &[ColumnType]) -> Vec<ColumnDef> {
        let column = |(i, ty): (usize, &ColumnType)| ColumnDef {
            no: ColumnNo(i as u16),
            ty: *ty,
            default: OwnedValue::Null,
            dropped: false,
        };
        types.iter().enumerate().map(column).collect()
    }

    #[test]
    fn rows_of_a_copy_are_those_of_single_pushes() {
        let row = |count: usize, flags: u8| {
            let mut bytes = Vec::new();
            encode((0..count).map(|i| Field::Value(Value::Int64(i as i64))), &mut bytes);
            bytes[0] |= flags;
            bytes
        };
        let tombstone = vec![DELETED, 0, 0];
        for rows in [
            vec![tombstone.clone(), row(3, 0), row(3, DELETED), row(3, 0)],
            vec![row(12, 0), tombstone.clone(), row(3, 0), tombstone.clone(), row(12, 0), row(0, 0)],
            vec![row(8, 0), row(8, 0), row(8, DELETED)],
        ] {
            for before in [None, Some(row(3, 0)), Some(row(8, 0))] {
                let (mut copied, mut single) = (RowBuffer::new(), RowBuffer::new());
                for buffer in [&mut copied, &mut single] {
                    before.iter().for_each(|row| buffer.push(RowId(1), row));
                }
                let entries: Vec<u8> = rows.iter().rev().flatten().copied().collect();
                let mut copy = copied.copy(&entries, rows.len());
                let mut end = entries.len();
                for (row, id) in rows.iter().zip(2..) {
                    end -= row.len();
                    copy.push(RowId(id), end..end + row.len());
                    if row[0] & DELETED == 0 {
                        single.push(RowId(id), row);
                    }
                }
                assert!(copy.finish());
                assert_eq!((copied.len(), copied.uniform), (single.len(), single.uniform));
                for i in 0..single.len() {
                    assert_eq!((copied.row_id(i), copied.raw(i)), (single.row_id(i), single.raw(i)));
                }
                copied.push(RowId(99), &rows[0]);
                copied.truncate(single.len());
                assert_eq!(copied.len(), single.len());
            }
        }
        let mut external = row(9, 0);
        external[HEADER + 2 * 8 + 1] |= 0x40;
        let mut buffer = RowBuffer::new();
        buffer.push(RowId(1), &row(9, 0));
        let before = buffer.bytes.len();
        let mut copy = buffer.copy(&external, 1);
        copy.push(RowId(2), 0..external.len());
        assert!(!copy.finish());
        assert_eq!((buffer.len(), buffer.bytes.len()), (1, before));
        // Few of the bytes are rows that are seen.
        let mut copy = buffer.copy(&[row(9, 0), vec![0; 1000]].concat(), 1);
        copy.push(RowId(2), 0..row(9, 0).len());
        copy.push_other(RowId(3), &row(9, 0));
        assert!(!copy.finish());
        assert_eq!((buffer.len(), buffer.bytes.len()), (1, before));
    }

    #[test]
    fn what_is_written_is_read() {
        use ColumnType::*;
        let big = vec![7u8; 40_000];
        let mut defs = columns(&[Bool, Int16, Int32, Int64, Int64, Float32, Float64, Fixed16, Bytes, Bytes, Int32]);
        defs[10].default = OwnedValue::Int32(42);
        for text in [&b"text"[..], &big] {
            let values = [
                Value::Bool(true),
                Value::Int16(-1),
                Value::Int32(128),
                Value::Int64(i64::MIN),
                Value::Int64(0),
                Value::Float32(1.5),
                Value::Float64(-0.0),
                Value::Fixed16([9; 16]),
                Value::Bytes(text),
                Value::Null,
            ];
            let mut bytes = Vec::new();
            encode(values.iter().map(|v| Field::Value(*v)), &mut bytes);
            assert!(Cells::validate(&bytes));
            let view = RowView::new(&bytes, &defs);
            for (i, value) in values.iter().enumerate() {
                assert_eq!(view.get(ColumnNo(i as u16)), *value);
            }
            assert_eq!(view.get(ColumnNo(10)), Value::Int32(42), "a column added later reads as its default");
        }
        for v in [0, 1, -1, 127, 128, -128, -129, 32_767, 1 << 40, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            encode_int(v, &mut bytes);
            assert_eq!(decode_int(&bytes), v);
        }
    }
}
