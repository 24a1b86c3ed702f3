//! Index keys: a prefix-free encoding of column values whose byte order is the columns' order.
//!
//! ```text
//! column  := marker [body]        marker: 01 NULL first · 02 value · 03 NULL last
//! Bool    := 00 | 01              IntN: big endian, sign bit flipped
//! FloatN  := big endian; positive: sign bit set; negative: all bits inverted; -0 as 0; one NaN, above infinity
//! Fixed16 := as it is             Bytes, Keyed's key: 00 -> 00 ff, end 00 00
//! ```
//! A descending column has every byte of its body inverted (not its marker). An index entry is the key followed by the
//! row id, 8 bytes big endian.

use super::{ColumnType, RowId, Value};
use crate::error::{Error, Result};

/// PostgreSQL's limit for a btree key.
pub const KEY_BYTES_MAX: usize = 2704;

/// Room that most keys need no more than.
const KEY_BYTES_USUAL: usize = 32;

const NULL_FIRST: u8 = 1;
const PRESENT: u8 = 2;
const NULL_LAST: u8 = 3;

/// Builds keys column by column.
#[derive(Clone, Debug, Default)]
pub struct KeyEncoder {
    bytes: Vec<u8>,
    has_null: bool,
}

impl KeyEncoder {
    /// An empty key: every key begins with it.
    pub fn new() -> KeyEncoder {
        KeyEncoder { bytes: Vec::with_capacity(KEY_BYTES_USUAL), has_null: false }
    }

    /// Back to empty, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.has_null = false;
    }

    /// Appends a column. `value` must be NULL or of the form `ty`.
    pub fn push(&mut self, value: Value<'_>, ty: ColumnType, descending: bool, nulls_first: bool) {
        if value.is_null() {
            self.has_null = true;
            self.bytes.push(if nulls_first { NULL_FIRST } else { NULL_LAST });
            return;
        }
        self.bytes.push(PRESENT);
        let start = self.bytes.len();
        match value {
            Value::Null => {}
            Value::Bool(v) => self.bytes.push(u8::from(v)),
            Value::Int16(v) => self.bytes.extend_from_slice(&(v as u16 ^ 1 << 15).to_be_bytes()),
            Value::Int32(v) => self.bytes.extend_from_slice(&(v as u32 ^ 1 << 31).to_be_bytes()),
            Value::Int64(v) => self.bytes.extend_from_slice(&(v as u64 ^ 1 << 63).to_be_bytes()),
            Value::Float32(v) => self.bytes.extend_from_slice(&float32_bits(v).to_be_bytes()),
            Value::Float64(v) => self.bytes.extend_from_slice(&float64_bits(v).to_be_bytes()),
            Value::Fixed16(v) => self.bytes.extend_from_slice(&v),
            Value::Bytes(v) if ty == ColumnType::Keyed => escape(keyed_part(v), &mut self.bytes),
            Value::Bytes(v) => escape(v, &mut self.bytes),
        }
        if descending {
            self.bytes[start..].iter_mut().for_each(|b| *b = !*b);
        }
    }

    /// Appends bytes that order by themselves. Behind a list of columns, a first byte of 0 is below any further column.
    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The key, as [`Self::finish`] gives it.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn into_key(self) -> Result<Vec<u8>> {
        self.finish()?;
        Ok(self.bytes)
    }

    /// The key so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether a NULL is in it.
    pub fn has_null(&self) -> bool {
        self.has_null
    }

    /// The key, if it is not too long for an index.
    pub fn finish(&self) -> Result<&[u8]> {
        if self.bytes.len() > KEY_BYTES_MAX {
            return Err(Error::TooLarge { bytes: self.bytes.len(), max_bytes: KEY_BYTES_MAX });
        }
        Ok(&self.bytes)
    }
}

/// In place of the length of a Keyed value's second part: it stands before, in four bytes.
pub const KEYED_LONG: u16 = u16::MAX;

/// The part of a Keyed value that compares.
pub fn keyed_part(value: &[u8]) -> &[u8] {
    let Some((head, len)) = value.split_last_chunk::<2>() else { return value };
    let (head, len) = match (u16::from_le_bytes(*len), head.split_last_chunk::<4>()) {
        (KEYED_LONG, Some((head, len))) => (head, u32::from_le_bytes(*len) as usize),
        (len, _) => (head, usize::from(len)),
    };
    &head[..head.len().saturating_sub(len)]
}

/// A Keyed value of its two parts, the second of less than 4 GiB.
pub fn keyed_value(key: &[u8], rest: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    out.extend_from_slice(rest);
    let len = u16::try_from(rest.len()).unwrap_or(KEYED_LONG);
    if len == KEYED_LONG {
        out.extend_from_slice(&(rest.len() as u32).to_le_bytes());
    }
    out.extend_from_slice(&len.to_le_bytes());
}

/// The smallest byte string above every string that begins with `prefix`; `None`: there is none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&b| b != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// An index entry's parts.
pub(crate) fn split_entry(entry: &[u8]) -> Option<(&[u8], RowId)> {
    let (key, row) = entry.split_last_chunk::<8>()?;
    Some((key, RowId(u64::from_be_bytes(*row))))
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

fn float32_bits(v: f32) -> u32 {
    let bits = if v.is_nan() { f32::NAN.to_bits() & !(1 << 31) } else { (v + 0.0).to_bits() };
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn float64_bits(v: f64) -> u64 {
    let bits = if v.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { (v + 0.0).to_bits() };
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: Value<'_>, ty: ColumnType, descending: bool, nulls_first: bool) -> Vec<u8> {
        let mut encoder = KeyEncoder::new();
        encoder.push(value, ty, descending, nulls_first);
        encoder.push(Value::Int32(7), ColumnType::Int32, false, false);
        encoder.bytes().to_vec()
    }

    #[test]
    fn keyed_values_have_two_parts_of_any_length() {
        for len in [0, 1, 65_534, 65_535, 65_536, 1 << 20] {
            let mut value = Vec::new();
            keyed_value(b"key", &vec![7; len], &mut value);
            assert_eq!(keyed_part(&value), b"key", "{len}");
        }
    }

    #[test]
    fn byte_order_is_value_order_both_ways() {
        let floats = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-300, 1.5, f64::INFINITY, f64::NAN];
        let ints = [i64::MIN, -256, -1, 0, 1, 255, 256, i64::MAX];
        let texts: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"a", b"a\0b", b"ab"];
        let columns: Vec<(ColumnType, Vec<Value<'_>>)> = vec![
            (ColumnType::Float64, floats.iter().map(|v| Value::Float64(*v)).collect()),
            (ColumnType::Float32, floats.iter().map(|v| Value::Float32(*v as f32)).collect()),
            (ColumnType::Int64, ints.iter().map(|v| Value::Int64(*v)).collect()),
            (ColumnType::Bytes, texts.iter().map(|v| Value::Bytes(v)).collect()),
        ];
        for (ty, values) in columns {
            for pair in values.windows(2) {
                let equal = matches!(pair, [Value::Float64(a), Value::Float64(b)] if a == b)
                    || matches!(pair, [Value::Float32(a), Value::Float32(b)] if a == b);
                let ascending = key(pair[0], ty, false, false).cmp(&key(pair[1], ty, false, false));
                assert_eq!(ascending.is_lt(), !equal, "{pair:?}");
                assert_eq!(key(pair[0], ty, true, false).cmp(&key(pair[1], ty, true, false)), ascending.reverse());
            }
            assert!(key(Value::Null, ty, false, true) < key(values[0], ty, false, true));
            assert!(key(Value::Null, ty, false, false) > key(values[values.len() - 1], ty, false, false));
        }
    }

    #[test]
    fn only_the_key_part_of_a_keyed_value_counts() {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        keyed_value(b"k", b"1.0", &mut one);
        keyed_value(b"k", b"1.00", &mut other);
        let encode = |v: &[u8]| key(Value::Bytes(v), ColumnType::Keyed, false, false);
        assert_eq!(encode(&one), encode(&other));
        assert_eq!(prefix_end(&[1, 0xff]), Some(vec![2]));
        assert_eq!(prefix_end(&[0xff]), None);
    }
}
