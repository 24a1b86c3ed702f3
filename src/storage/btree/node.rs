//! A tree's page: sorted entries (key, value) between two fences.
//!
//! ```text
//! OFFSET  SIZE  FIELD
//! 0       48    the page's header (see `space`); its kind, at 16, is 1
//! 48      1     level: 0 leaf, else the height above the leaves
//! 49      1     zero
//! 50      2     number of entries
//! 52      2     lowest byte in use by entries and fences
//! 54      2     bytes of dead entries among them
//! 56      2     length of the lower fence
//! 58      2     length of the upper fence; ffff: none, the page is the last of its level
//! 60      2     length of the prefix that all keys share, cut from every entry
//! 62      2     bytes that all cut keys begin with, passed over by the heads
//! 64      4     the tree's object
//! 68      12    zero
//! 80      10n   slots in key order: u16 offset, u16 key bytes, u16 value bytes, u32 head
//! …             free
//! …             entries: key without the prefix ‖ value
//! end           lower fence ‖ upper fence
//! ```
//! All integers little endian, but a head: four bytes of the cut key, behind what all keys of the page share, padded with
//! zeros, as a number: most comparisons touch the slots alone.
//!
//! 1. lower fence <= every key < upper fence; the prefix is the fences' common one.
//! 2. An inner page's values are page ids; entry `i` covers keys from its own up to the next one's; entry 0's key is the
//!    lower fence.
//! 3. There are no sibling pointers: the neighbour is found from the root by the fence.
//!
//! (Graefe, Modern B-Tree Techniques, 2011; heads and fences as in LeanStore, 2018.)

use crate::types::{ObjectId, PAGE_SIZE, PageId};
use std::ops::Range;

const KIND: usize = 16;
const LEVEL: usize = 48;
const COUNT: usize = 50;
const HEAP: usize = 52;
const DEAD: usize = 54;
const LOWER: usize = 56;
const UPPER: usize = 58;
const PREFIX: usize = 60;
const SHARED: usize = 62;
const OBJECT: usize = 64;
const SLOTS: usize = 80;
const SLOT: usize = 10;
const NO_FENCE: u16 = u16::MAX;
const TREE_PAGE: u8 = 1;

/// Bytes of a page.
pub(crate) type Bytes = [u8; PAGE_SIZE];

fn get16(page: &Bytes, at: usize) -> usize {
    usize::from(u16::from_le_bytes([page[at], page[at + 1]]))
}

fn put16(page: &mut Bytes, at: usize, value: usize) {
    page[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
}

fn head(suffix: &[u8]) -> u32 {
    match suffix.first_chunk::<4>() {
        Some(four) => u32::from_be_bytes(*four),
        None => {
            let mut four = [0; 4];
            four[..suffix.len()].copy_from_slice(suffix);
            u32::from_be_bytes(four)
        }
    }
}

/// Height above the leaves.
pub(crate) fn level(page: &Bytes) -> u8 {
    page[LEVEL]
}

/// The tree's object.
pub(crate) fn object(page: &Bytes) -> ObjectId {
    ObjectId(u32::from_le_bytes(page[OBJECT..OBJECT + 4].try_into().expect("four bytes")))
}

/// Whether the page is one of the object's tree.
pub(crate) fn is_of(page: &Bytes, object: ObjectId) -> bool {
    page[KIND] == TREE_PAGE && self::object(page) == object
}

/// Number of entries.
pub(crate) fn count(page: &Bytes) -> usize {
    get16(page, COUNT)
}

/// Least key that belongs here.
pub(crate) fn lower_fence(page: &Bytes) -> &[u8] {
    let end = PAGE_SIZE - upper_bytes(page);
    &page[end - get16(page, LOWER)..end]
}

/// Least key that belongs to the right of here; `None`: nothing does.
pub(crate) fn upper_fence(page: &Bytes) -> Option<&[u8]> {
    (get16(page, UPPER) != usize::from(NO_FENCE)).then(|| &page[PAGE_SIZE - get16(page, UPPER)..])
}

fn upper_bytes(page: &Bytes) -> usize {
    match get16(page, UPPER) {
        length if length == usize::from(NO_FENCE) => 0,
        length => length,
    }
}

fn slot(page: &Bytes, i: usize) -> (usize, usize, usize) {
    let at = SLOTS + i * SLOT;
    (get16(page, at), get16(page, at + 2), get16(page, at + 4))
}

fn slot_head(page: &Bytes, i: usize) -> u32 {
    let at = SLOTS + i * SLOT + 6;
    u32::from_le_bytes(page[at..at + 4].try_into().expect("four bytes"))
}

fn suffix(page: &Bytes, i: usize) -> &[u8] {
    let (offset, key, _) = slot(page, i);
    &page[offset..offset + key]
}

fn prefix(page: &Bytes) -> &[u8] {
    &lower_fence(page)[..get16(page, PREFIX)]
}

/// Value of entry `i`.
pub(crate) fn value(page: &Bytes, i: usize) -> &[u8] {
    let (offset, key, value) = slot(page, i);
    &page[offset + key..offset + key + value]
}

/// Appends the key of entry `i` to `out`.
pub(crate) fn key_into(page: &Bytes, i: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(prefix(page));
    out.extend_from_slice(suffix(page, i));
}

/// The key of entry `i`.
pub(crate) fn key(page: &Bytes, i: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(get16(page, PREFIX) + slot(page, i).1);
    key_into(page, i, &mut out);
    out
}

/// Whether the key of entry `i` begins with `start`, of which the page's fences have as much in common as it has.
pub(crate) fn begins_with(page: &Bytes, i: usize, start: &[u8]) -> bool {
    let prefix = prefix(page);
    match start.strip_prefix(prefix) {
        Some(rest) => suffix(page, i).starts_with(rest),
        None => prefix.starts_with(start),
    }
}

/// The key of entry `i` of a row tree, as a number.
pub(crate) fn row_key(page: &Bytes, i: usize) -> u64 {
    let (prefix, suffix) = (prefix(page), suffix(page, i));
    let mut whole = [0; 8];
    whole[..prefix.len()].copy_from_slice(prefix);
    whole[prefix.len()..].copy_from_slice(suffix);
    u64::from_be_bytes(whole)
}

/// The rows of a row tree's leaf from entry `at` on: id, and where the image lies.
#[inline]
pub(crate) fn rows(page: &Bytes, at: usize) -> impl Iterator<Item = (u64, Range<usize>)> {
    let prefix = prefix(page);
    let mut lowest = [0; 8];
    lowest[..prefix.len()].copy_from_slice(prefix);
    let lowest = u64::from_be_bytes(lowest);
    let slots = SLOTS..SLOTS + count(page) * SLOT;
    page[slots].chunks_exact(SLOT).skip(at).map(move |slot| {
        let field = |at: usize| usize::from(u16::from_le_bytes([slot[at], slot[at + 1]]));
        let (key, value) = (field(2), field(4));
        let image = field(0) + key;
        // The cut key lies right before the image, and the slots before any key: the eight bytes that end with it are the page's.
        let word = page[image - 8..image].try_into().map_or(0, u64::from_be_bytes);
        let suffix = word & u64::MAX.checked_shr(64 - 8 * key as u32).unwrap_or(0);
        (lowest | suffix, image..image + value)
    })
}

/// Where all entries lie, those that have gone included.
pub(crate) fn entries(page: &Bytes) -> Range<usize> {
    get16(page, HEAP)..PAGE_SIZE - get16(page, LOWER) - upper_bytes(page)
}

/// Page id in entry `i` of an inner page.
pub(crate) fn child(page: &Bytes, i: usize) -> PageId {
    PageId(value(page, i).try_into().map_or(0, u32::from_le_bytes))
}

/// Whether a key lies between the fences.
pub(crate) fn covers(page: &Bytes, key: &[u8]) -> bool {
    lower_fence(page) <= key && upper_fence(page).is_none_or(|upper| key < upper)
}

/// Where `key`, which the fences cover, is (`Ok`) or belongs (`Err`); of a key outside of them, nothing that means anything.
pub(crate) fn search(page: &Bytes, key: &[u8]) -> Result<usize, usize> {
    let (mut low, mut high) = (0, count(page));
    let mut key = key.get(get16(page, PREFIX)..).unwrap_or_default();
    let shared = get16(page, SHARED);
    if shared > 0 {
        // All entries begin alike: the key falls among them, or before or behind them all.
        let (begin, common) = (&key[..shared.min(key.len())], &suffix(page, 0)[..shared]);
        match begin.cmp(common) {
            std::cmp::Ordering::Less => return Err(0),
            std::cmp::Ordering::Greater => return Err(high),
            std::cmp::Ordering::Equal => key = &key[shared..],
        }
    }
    let wanted = head(key);
    while low < high {
        let middle = (low + high) / 2;
        let found = slot_head(page, middle);
        if found < wanted {
            low = middle + 1;
        } else if found > wanted {
            high = middle;
        } else {
            match suffix(page, middle)[shared..].cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(middle),
            }
        }
    }
    Err(low)
}

/// First entry whose key is at least `key`; any key.
pub(crate) fn lower_bound(page: &Bytes, key: &[u8]) -> usize {
    if key <= lower_fence(page) {
        return 0;
    }
    if upper_fence(page).is_some_and(|upper| upper <= key) {
        return count(page);
    }
    search(page, key).unwrap_or_else(|at| at)
}

/// The entry of an inner page whose child covers `key`.
pub(crate) fn child_index(page: &Bytes, key: &[u8]) -> usize {
    match search(page, key) {
        Ok(at) => at,
        Err(at) => at.saturating_sub(1),
    }
}

/// Makes the page an empty one of a tree.
pub(crate) fn init(page: &mut Bytes, object: ObjectId, level: u8, lower: &[u8], upper: Option<&[u8]>) {
    page[LEVEL..].fill(0);
    page[LEVEL] = level;
    page[KIND] = TREE_PAGE;
    page[OBJECT..OBJECT + 4].copy_from_slice(&object.0.to_le_bytes());
    let mut heap = PAGE_SIZE;
    if let Some(upper) = upper {
        heap -= upper.len();
        page[heap..].copy_from_slice(upper);
    }
    put16(page, UPPER, upper.map_or(usize::from(NO_FENCE), <[u8]>::len));
    page[heap - lower.len()..heap].copy_from_slice(lower);
    heap -= lower.len();
    put16(page, LOWER, lower.len());
    put16(page, HEAP, heap);
    let shared = upper.map_or(0, |upper| lower.iter().zip(upper).take_while(|(a, b)| a == b).count());
    put16(page, PREFIX, shared);
}

/// Bytes free for entries and their slots.
pub(crate) fn free_bytes(page: &Bytes) -> usize {
    get16(page, HEAP) + get16(page, DEAD) - SLOTS - count(page) * SLOT
}

/// Puts an entry at place `at`, which [`search`] gave; `false`: no room.
pub(crate) fn insert(page: &mut Bytes, at: usize, key: &[u8], value: &[u8]) -> bool {
    let suffix = &key[get16(page, PREFIX)..];
    let bytes = suffix.len() + value.len();
    if free_bytes(page) < bytes + SLOT {
        return false;
    }
    let count = count(page);
    if get16(page, HEAP) < SLOTS + (count + 1) * SLOT + bytes {
        compact(page);
    }
    let offset = get16(page, HEAP) - bytes;
    page[offset..offset + suffix.len()].copy_from_slice(suffix);
    page[offset + suffix.len()..offset + bytes].copy_from_slice(value);
    put16(page, HEAP, offset);
    let start = SLOTS + at * SLOT;
    page.copy_within(start..SLOTS + count * SLOT, start + SLOT);
    put16(page, start, offset);
    put16(page, start + 2, suffix.len());
    put16(page, start + 4, value.len());
    put16(page, COUNT, count + 1);
    let shared = get16(page, SHARED);
    if (count + 1).is_power_of_two() || shared > 0 && !alike(page, at, shared) {
        set_heads(page);
    } else {
        page[start + 6..start + 10].copy_from_slice(&head(&suffix[shared..]).to_le_bytes());
    }
    true
}

/// Whether entry `at` begins with the `shared` bytes that its neighbours begin with.
fn alike(page: &Bytes, at: usize, shared: usize) -> bool {
    let other = if at == 0 { 1 } else { 0 };
    suffix(page, at).get(..shared) == Some(&suffix(page, other)[..shared])
}

/// Finds what all keys share, and sets every head behind it.
fn set_heads(page: &mut Bytes) {
    let count = count(page);
    let shared = match count {
        0 | 1 => 0,
        // What the first and the last of a sorted list share, all share.
        _ => suffix(page, 0).iter().zip(suffix(page, count - 1)).take_while(|(a, b)| a == b).count(),
    };
    put16(page, SHARED, shared);
    for i in 0..count {
        let head = head(&suffix(page, i)[shared..]);
        let at = SLOTS + i * SLOT + 6;
        page[at..at + 4].copy_from_slice(&head.to_le_bytes());
    }
}

/// Gives entry `at` another value; `false`: no room, and nothing has changed.
pub(crate) fn replace(page: &mut Bytes, at: usize, value: &[u8]) -> bool {
    let (offset, key_bytes, old) = slot(page, at);
    if value.len() <= old {
        let start = offset + key_bytes;
        page[start..start + value.len()].copy_from_slice(value);
        put16(page, SLOTS + at * SLOT + 4, value.len());
        let dead = get16(page, DEAD) + old - value.len();
        put16(page, DEAD, dead);
        return true;
    }
    if free_bytes(page) + old < value.len() {
        return false;
    }
    let key = key(page, at);
    remove(page, at);
    insert(page, at, &key, value)
}

/// Takes entry `at` out.
pub(crate) fn remove(page: &mut Bytes, at: usize) {
    let (_, key, value) = slot(page, at);
    let count = count(page);
    let start = SLOTS + at * SLOT;
    page.copy_within(start + SLOT..SLOTS + count * SLOT, start);
    put16(page, COUNT, count - 1);
    let dead = get16(page, DEAD) + key + value;
    put16(page, DEAD, dead);
}

/// Moves the entries together.
fn compact(page: &mut Bytes) {
    let old = *page;
    let fences = get16(&old, LOWER) + upper_bytes(&old);
    let mut heap = PAGE_SIZE - fences;
    for i in 0..count(&old) {
        let (offset, key, value) = slot(&old, i);
        heap -= key + value;
        page[heap..heap + key + value].copy_from_slice(&old[offset..offset + key + value]);
        put16(page, SLOTS + i * SLOT, heap);
    }
    put16(page, HEAP, heap);
    put16(page, DEAD, 0);
}

/// Where to split, and the separator: the least key of the right part.
///
/// `wanted` is the key that needs room. At the right end of a page everything stays, and the new key begins a page of its own:
/// ascending insertion leaves full pages behind. Else the middle by bytes. A leaf's separator is the shortest that separates.
/// `None`: there are not two parts, others have emptied the page meanwhile.
pub(crate) fn split_point(page: &Bytes, wanted: &[u8]) -> Option<(usize, Vec<u8>)> {
    let count = count(page);
    let at = search(page, wanted).unwrap_or_else(|at| at);
    // Row trees alone have keys of 8 bytes; their pages are filled at many right ends, one per run of row ids.
    let ascending = upper_fence(page).is_none() || wanted.len() == 8;
    if at == count && count > 0 && level(page) == 0 && ascending {
        let separator = separator(&key(page, count - 1), wanted);
        // The separator becomes a fence of the page that stays as full as it is, but for what its keys then have in common.
        let lower = lower_fence(page);
        let shared = lower.iter().zip(&separator).take_while(|(a, b)| a == b).count();
        let saved = count * (shared - get16(page, PREFIX));
        if separator.len() <= free_bytes(page) + upper_bytes(page) + saved {
            return Some((count, separator));
        }
    }
    if count < 2 {
        return None;
    }
    let total: usize = (0..count).map(|i| slot(page, i).1 + slot(page, i).2).sum();
    let (mut sum, mut middle) = (0, 0);
    while middle < count && sum * 2 < total {
        sum += slot(page, middle).1 + slot(page, middle).2;
        middle += 1;
    }
    let middle = middle.clamp(1, count - 1);
    let right = key(page, middle);
    if level(page) > 0 {
        return Some((middle, right));
    }
    Some((middle, separator(&key(page, middle - 1), &right)))
}

/// The shortest key above `left` and not above `right`.
fn separator(left: &[u8], right: &[u8]) -> Vec<u8> {
    let shared = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    right[..(shared + 1).min(right.len())].to_vec()
}

/// Moves the entries from `middle` on to `right`, a fresh page; `separator` becomes the fence between the two.
pub(crate) fn split(page: &mut Bytes, right: &mut Bytes, middle: usize, separator: &[u8]) {
    let old = *page;
    let (object, level) = (object(&old), level(&old));
    init(page, object, level, lower_fence(&old), Some(separator));
    init(right, object, level, separator, upper_fence(&old));
    for i in 0..count(&old) {
        let key = key(&old, i);
        let (to, at) = if i < middle { (&mut *page, i) } else { (&mut *right, i - middle) };
        let fits = insert(to, at, &key, value(&old, i));
        assert!(fits, "half of a page and two fences fit in a page");
    }
    set_heads(page);
    set_heads(right);
}

/// Widens the fences; `false`: the entries, with less of their keys in common, would not fit, and nothing has changed.
pub(crate) fn refence(page: &mut Bytes, lower: &[u8], upper: Option<&[u8]>) -> bool {
    let old = *page;
    init(page, object(&old), level(&old), lower, upper);
    let fits = (0..count(&old)).all(|i| insert(page, i, &key(&old, i), value(&old, i)));
    if fits {
        set_heads(page);
    } else {
        *page = old;
    }
    fits
}

/// Why the bytes, freshly read, cannot be a page of a tree; `None`: they can.
pub(crate) fn damage(page: &Bytes) -> Option<&'static str> {
    if page[KIND] != TREE_PAGE {
        return Some("not a tree's page");
    }
    let (count, heap) = (count(page), get16(page, HEAP));
    let fences = get16(page, LOWER) + upper_bytes(page);
    if heap > PAGE_SIZE
        || SLOTS + count * SLOT > heap
        || heap + fences > PAGE_SIZE
        || get16(page, PREFIX) > get16(page, LOWER)
    {
        return Some("header out of bounds");
    }
    for i in 0..count {
        let (offset, key, value) = slot(page, i);
        if offset < heap || offset + key + value > PAGE_SIZE - fences {
            return Some("entry out of bounds");
        }
        if i > 0 && suffix(page, i - 1) >= suffix(page, i) {
            return Some("keys out of order");
        }
        let shared = get16(page, SHARED);
        if suffix(page, i).get(..shared) != suffix(page, 0).get(..shared)
            || slot_head(page, i) != head(&suffix(page, i)[shared..])
        {
            return Some("head differs from its key");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    use std::collections::BTreeMap;

    #[test]
    fn a_page_is_a_sorted_map() {
        let mut rng = StdRng::seed_from_u64(3);
        for _ in 0..50 {
            let mut page = Box::new([0; PAGE_SIZE]);
            init(&mut page, ObjectId(7), 0, b"pre", Some(b"prf"));
            let mut model = BTreeMap::new();
            for _ in 0..2000 {
                let key = [&b"pre"[..], &rng.random_range(0..300u16).to_be_bytes()].concat();
                let value = vec![rng.random::<u8>(); rng.random_range(0..120)];
                match search(&page, &key) {
                    Ok(at) if rng.random_bool(0.4) => {
                        remove(&mut page, at);
                        model.remove(&key);
                    }
                    Ok(at) => {
                        if replace(&mut page, at, &value) {
                            model.insert(key, value);
                        }
                    }
                    Err(at) => {
                        if insert(&mut page, at, &key, &value) {
                            model.insert(key, value);
                        }
                    }
                }
                assert_eq!(count(&page), model.len());
            }
            assert_eq!(damage(&page), None);
            let entries: Vec<_> = (0..count(&page)).map(|i| (key(&page, i), value(&page, i).to_vec())).collect();
            assert_eq!(entries, model.into_iter().collect::<Vec<_>>());
            let mut right = Box::new([0; PAGE_SIZE]);
            let (middle, separator) = split_point(&page, b"pre\0").unwrap();
            split(&mut page, &mut right, middle, &separator);
            assert_eq!((damage(&page), damage(&right)), (None, None));
            assert_eq!(count(&page) + count(&right), entries.len());
            assert!(covers(&right, &key(&right, 0)) && !covers(&page, &key(&right, 0)));
        }
    }

    #[test]
    fn less_than_two_entries_are_not_split() {
        let mut page = Box::new([0; PAGE_SIZE]);
        init(&mut page, ObjectId(7), 0, b"a", Some(b"b"));
        assert_eq!(split_point(&page, b"a1"), None);
        assert!(insert(&mut page, 0, b"a2", b"value"));
        assert_eq!(split_point(&page, b"a1"), None);
        assert_eq!(split_point(&page, b"a3"), None);
        // The right end of a row tree's page: the new key begins a page.
        init(&mut page, ObjectId(7), 0, &[], None);
        assert!(insert(&mut page, 0, &[0, 0, 0, 0, 0, 0, 0, 1], b"value"));
        assert_eq!(split_point(&page, &[0, 0, 0, 0, 0, 0, 0, 2]), Some((1, vec![0, 0, 0, 0, 0, 0, 0, 2])));
    }
}
