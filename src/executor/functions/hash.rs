//! The types' hash functions, with PostgreSQL's values: Jenkins' lookup3 (`hashfn.c`) over little-endian bytes.
//!
//! Nothing here hashes by them; they are for users, who make lock keys and partitions of `hashtext` and its like.
//! Absent: those of numeric, arrays, records and what is not in this database.

use super::inline::functions;
use crate::types::{Interval, Oid, interval};

struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn new(len: usize, seed: i64) -> State {
        let start = 0x9e37_79b9u32.wrapping_add(len as u32).wrapping_add(3_923_095);
        let mut state = State { a: start, b: start, c: start };
        if seed != 0 {
            state.add([(seed >> 32) as u32, seed as u32, 0]);
            state.mix();
        }
        state
    }

    fn add(&mut self, words: [u32; 3]) {
        self.a = self.a.wrapping_add(words[0]);
        self.b = self.b.wrapping_add(words[1]);
        self.c = self.c.wrapping_add(words[2]);
    }

    fn mix(&mut self) {
        let State { a, b, c } = self;
        for (first, second) in [(4, 6), (16, 19)] {
            *a = a.wrapping_sub(*c) ^ c.rotate_left(first);
            *c = c.wrapping_add(*b);
            *b = b.wrapping_sub(*a) ^ a.rotate_left(second);
            *a = a.wrapping_add(*c);
            *c = c.wrapping_sub(*b) ^ b.rotate_left(if first == 4 { 8 } else { 4 });
            *b = b.wrapping_add(*a);
        }
    }

    fn finish(mut self) -> u64 {
        let State { a, b, c } = &mut self;
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(14));
        *a = (*a ^ *c).wrapping_sub(c.rotate_left(11));
        *b = (*b ^ *a).wrapping_sub(a.rotate_left(25));
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(16));
        *a = (*a ^ *c).wrapping_sub(c.rotate_left(4));
        *b = (*b ^ *a).wrapping_sub(a.rotate_left(14));
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(24));
        u64::from(self.b) << 32 | u64::from(self.c)
    }
}

/// 64 bits of hash; the low half is the hash of 32 bits when the seed is 0.
fn bytes(bytes: &[u8], seed: i64) -> u64 {
    let mut state = State::new(bytes.len(), seed);
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
    let mut chunks = bytes.chunks_exact(12);
    for chunk in &mut chunks {
        state.add([word(&chunk[..4]), word(&chunk[4..8]), word(&chunk[8..])]);
        state.mix();
    }
    let rest = chunks.remainder();
    let part = |from: usize, to: usize| word(&rest[from.min(rest.len())..to.min(rest.len())]);
    // The lowest byte of the last word is the length's.
    state.add([part(0, 4), part(4, 8), part(8, 12) << 8]);
    state.finish()
}

fn word(value: u32, seed: i64) -> u64 {
    let mut state = State::new(4, seed);
    state.add([value, 0, 0]);
    state.finish()
}

/// Equal values of the integer types have one hash.
fn int8(value: i64, seed: i64) -> u64 {
    let (low, high) = (value as u32, (value >> 32) as u32);
    word(low ^ if value >= 0 { high } else { !high }, seed)
}

fn float8(value: f64, seed: i64) -> u64 {
    if value == 0.0 {
        return seed as u64;
    }
    let value = if value.is_nan() { f64::NAN } else { value };
    bytes(&value.to_le_bytes(), seed)
}

fn span(value: Interval, seed: i64) -> u64 {
    int8(interval::comparison_value(value) as i64, seed)
}

fn blanks(text: &str) -> &[u8] {
    text.trim_end_matches(' ').as_bytes()
}

functions! {
    TABLE:
    safe hashtext(a: &str) -> i32 = bytes(a.as_bytes(), 0) as i32;
    safe hashtextextended(a: &str, b: i64) -> i64 = bytes(a.as_bytes(), b) as i64;
    safe hashname(a: &str) -> i32 = bytes(a.as_bytes(), 0) as i32;
    safe hashnameextended(a: &str, b: i64) -> i64 = bytes(a.as_bytes(), b) as i64;
    safe hashbpchar(a: &str) -> i32 = bytes(blanks(a), 0) as i32;
    safe hashbpcharextended(a: &str, b: i64) -> i64 = bytes(blanks(a), b) as i64;
    safe hashchar(a: u8) -> i32 = word(a as i8 as u32, 0) as i32;
    safe hashcharextended(a: u8, b: i64) -> i64 = word(a as i8 as u32, b) as i64;
    safe hashint2(a: i16) -> i32 = word(a as u32, 0) as i32;
    safe hashint2extended(a: i16, b: i64) -> i64 = word(a as u32, b) as i64;
    safe hashint4(a: i32) -> i32 = word(a as u32, 0) as i32;
    safe hashint4extended(a: i32, b: i64) -> i64 = word(a as u32, b) as i64;
    safe hashint8(a: i64) -> i32 = int8(a, 0) as i32;
    safe hashint8extended(a: i64, b: i64) -> i64 = int8(a, b) as i64;
    safe hashoid(a: Oid) -> i32 = word(a.0, 0) as i32;
    safe hashoidextended(a: Oid, b: i64) -> i64 = word(a.0, b) as i64;
    safe hashfloat4(a: f32) -> i32 = float8(f64::from(a), 0) as i32;
    safe hashfloat4extended(a: f32, b: i64) -> i64 = float8(f64::from(a), b) as i64;
    safe hashfloat8(a: f64) -> i32 = float8(a, 0) as i32;
    safe hashfloat8extended(a: f64, b: i64) -> i64 = float8(a, b) as i64;
    safe uuid_hash(a: &[u8; 16]) -> i32 = bytes(a, 0) as i32;
    safe uuid_hash_extended(a: &[u8; 16], b: i64) -> i64 = bytes(a, b) as i64;
    safe interval_hash(a: Interval) -> i32 = span(a, 0) as i32;
    safe interval_hash_extended(a: Interval, b: i64) -> i64 = span(a, b) as i64;
}
