//! The notes of a checkpoint: what the cut knew beside its pages, and how opening makes an exact database of the two.
//!
//! ```text
//! notes  := u32 next object, u32 next oid, objects, runs, chains, leftovers
//! objects:= u32 n, n x (u32 id, u8 kind, table: u32 root, u64 next row | index: u32 root | sequence: i64 value, u8 called)
//! runs   := u32 n, n x (u32 table, u64 first row, u64 end)         insertions in progress at the cut
//! chains := u32 n, n x (u32 table, u64 row, u8 restore, bytes image if restore, u32 n, n x bytes before-image)
//! leftovers := u32 n, n x (u32 table, u64 row, bytes image, u32 n, n x (u32 page, u32 length))
//! bytes  := u32 length, so many bytes
//! ```
//! `restore` is the image that a change in progress found. The before-images are those whose index entries or values may
//! still be there. A leftover is an image that is no version any more, whose index entries, and values beside it, are still
//! there. Opening rolls the catalog back first, so that objects are what they were for the last commit, then every
//! other table; then it frees what no row of the catalog names. Redo of the groups after the cut comes next.

use crate::btree::Tree;
use crate::engine::Shared;
use crate::error::{Error, Result};
use crate::hash::HashMap;
use crate::sync::atomic::AtomicU64;
use crate::sync::{Mutex, RwLock};
use crate::table::definition::{self, CATALOG, Definition, Reader};
use crate::table::{self, Index, Object, Sequence, SequenceState, Table, externals, overflow, row_key};
use crate::transaction::finish;
use crate::transaction::version::{Entry, is_deleted, may_be_external};
use crate::types::row::{Cell, Cells, External};
use crate::types::{ObjectId, PageId};
use std::sync::Arc;

const TABLE: u8 = 1;
const INDEX: u8 = 2;
const SEQUENCE: u8 = 3;

/// The notes of a cut. The gate is closed.
pub(crate) fn encode(shared: &Shared) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&shared.next_object_id().to_le_bytes());
    out.extend_from_slice(&shared.oids.lock().bound.to_le_bytes());
    let objects = shared.objects.read();
    out.extend_from_slice(&(objects.len() as u32).to_le_bytes());
    let (mut runs, mut runs_count) = (Vec::new(), 0u32);
    for (id, object) in &*objects {
        out.extend_from_slice(&id.0.to_le_bytes());
        match object {
            Object::Table(table) => {
                out.push(TABLE);
                out.extend_from_slice(&table.tree.root().0.to_le_bytes());
                out.extend_from_slice(&table.ids.bound().to_le_bytes());
                for (start, end) in table.runs.active() {
                    runs_count += 1;
                    runs.extend_from_slice(&id.0.to_le_bytes());
                    runs.extend_from_slice(&start.to_le_bytes());
                    runs.extend_from_slice(&end.to_le_bytes());
                }
            }
            Object::Index(index) => {
                out.push(INDEX);
                out.extend_from_slice(&index.tree.root().0.to_le_bytes());
            }
            Object::Sequence(sequence) => {
                out.push(SEQUENCE);
                let (value, called) = reserved(sequence);
                out.extend_from_slice(&value.to_le_bytes());
                out.push(u8::from(called));
            }
        }
    }
    out.extend_from_slice(&runs_count.to_le_bytes());
    out.extend_from_slice(&runs);
    encode_chains(shared, &mut out);
    encode_leftovers(shared, &mut out);
    out
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn encode_leftovers(shared: &Shared, out: &mut Vec<u8>) {
    let leftovers = shared.leftovers.lock();
    out.extend_from_slice(&(leftovers.len() as u32).to_le_bytes());
    for each in &*leftovers {
        out.extend_from_slice(&each.table.id.0.to_le_bytes());
        out.extend_from_slice(&each.row.to_le_bytes());
        put(out, &each.image);
        out.extend_from_slice(&(each.values.len() as u32).to_le_bytes());
        for value in &each.values {
            out.extend_from_slice(&value.page.to_le_bytes());
            out.extend_from_slice(&value.len.to_le_bytes());
        }
    }
}

/// What the log has last said of a sequence.
fn reserved(sequence: &Sequence) -> (i64, bool) {
    let def = crate::types::SequenceDef { cycle: false, ..*sequence.def.read() };
    let mut state = *sequence.state.lock();
    for _ in 0..state.reserved {
        if let Ok(value) = state.next(&def) {
            state.value = value;
        }
    }
    (state.value, state.called)
}

fn encode_chains(shared: &Shared, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut count = 0u32;
    shared.versions.each(|(table, row), entry| {
        let Some((restore, images)) = chain(entry) else { return };
        count += 1;
        out.extend_from_slice(&table.to_le_bytes());
        out.extend_from_slice(&row.to_le_bytes());
        out.push(u8::from(restore.is_some()));
        if let Some(image) = restore {
            put(out, image);
        }
        out.extend_from_slice(&(images.len() as u32).to_le_bytes());
        images.iter().for_each(|image| put(out, image));
    });
    out[at..at + 4].copy_from_slice(&count.to_le_bytes());
}

/// What opening has to do about a chain: the image to put back, the images to clean up after; `None`: nothing.
fn chain(entry: &Entry) -> Option<(Option<&[u8]>, Vec<&[u8]>)> {
    let (mut restore, mut images, mut deleted) = (None, Vec::new(), false);
    let mut each = entry.head.as_deref();
    while let Some(version) = each {
        if version.txn.is_active() {
            restore = Some(&version.before[..]);
        }
        deleted |= version.keys_changed;
        if version.keys_changed || version.txn.is_active() || may_be_external(&version.before) {
            images.push(&version.before[..]);
        }
        each = version.next.as_deref();
    }
    (restore.is_some() || deleted || !images.is_empty()).then_some((restore, images))
}

struct Chain<'a> {
    table: ObjectId,
    row: u64,
    restore: Option<&'a [u8]>,
    images: Vec<&'a [u8]>,
}

/// See [`finish::Leftover`].
struct Noticed<'a> {
    table: ObjectId,
    row: u64,
    image: &'a [u8],
    values: Vec<External>,
}

/// What a checkpoint noted of an object.
enum Noted {
    Table { root: PageId, next_row: u64 },
    Index { root: PageId },
    Sequence { value: i64, called: bool },
}

/// Makes the database as of the cut, with nothing in progress.
pub(crate) fn restore(shared: &Shared, notes: &[u8]) -> Result<()> {
    let malformed = || Error::corrupt("the notes of the checkpoint are malformed");
    let mut reader = Reader(notes);
    let next_object = reader.u32().ok_or_else(malformed)?;
    let next_oid = reader.u32().ok_or_else(malformed)?;
    let mut objects = decode_objects(&mut reader).ok_or_else(malformed)?;
    let runs = decode_runs(&mut reader).ok_or_else(malformed)?;
    let chains = decode_chains(&mut reader).ok_or_else(malformed)?;
    let leftovers = decode_leftovers(&mut reader).ok_or_else(malformed)?;
    shared.raise_object_id(ObjectId(next_object.saturating_sub(1)));
    {
        let mut oids = shared.oids.lock();
        (oids.next, oids.bound) = (next_oid, next_oid);
    }
    let Some(Noted::Table { root, next_row }) = objects.remove(&CATALOG) else { return Err(malformed()) };
    let catalog = Arc::new(Table::new(CATALOG, Tree::open(CATALOG, root), definition::catalog()));
    catalog.ids.raise_bound(next_row);
    shared.objects.write().insert(CATALOG, Object::Table(catalog.clone()));
    roll_back(shared, &runs, &chains, |table| table == CATALOG)?;
    open_objects(shared, &catalog, &mut objects)?;
    let entries = leftovers.iter().map(|each| leftover_entries(shared, each)).collect::<Result<Vec<_>>>()?;
    roll_back(shared, &runs, &chains, |table| table != CATALOG)?;
    for (each, entries) in leftovers.iter().zip(entries) {
        take_away(shared, each, entries)?;
    }
    for (id, noted) in objects {
        free_unnamed(shared, id, &noted, &chains)?;
    }
    Ok(())
}

fn decode_objects(reader: &mut Reader<'_>) -> Option<HashMap<ObjectId, Noted>> {
    let count = reader.u32()?;
    (0..count)
        .map(|_| {
            let id = ObjectId(reader.u32()?);
            let noted = match reader.u8()? {
                TABLE => Noted::Table { root: PageId(reader.u32()?), next_row: reader.u64()? },
                INDEX => Noted::Index { root: PageId(reader.u32()?) },
                SEQUENCE => Noted::Sequence { value: reader.i64()?, called: reader.u8()? != 0 },
                _ => return None,
            };
            Some((id, noted))
        })
        .collect()
}

fn decode_runs(reader: &mut Reader<'_>) -> Option<Vec<(ObjectId, u64, u64)>> {
    let count = reader.u32()?;
    (0..count).map(|_| Some((ObjectId(reader.u32()?), reader.u64()?, reader.u64()?))).collect()
}

fn decode_chains<'a>(reader: &mut Reader<'a>) -> Option<Vec<Chain<'a>>> {
    let count = reader.u32()?;
    (0..count)
        .map(|_| {
            let (table, row) = (ObjectId(reader.u32()?), reader.u64()?);
            let restore = if reader.u8()? != 0 { Some(reader.bytes()?) } else { None };
            let images = reader.u32()?;
            let images = (0..images).map(|_| reader.bytes()).collect::<Option<_>>()?;
            Some(Chain { table, row, restore, images })
        })
        .collect()
}

fn decode_leftovers<'a>(reader: &mut Reader<'a>) -> Option<Vec<Noticed<'a>>> {
    let count = reader.u32()?;
    (0..count)
        .map(|_| {
            let (table, row, image) = (ObjectId(reader.u32()?), reader.u64()?, reader.bytes()?);
            let values = reader.u32()?;
            let value = |_| Some(External { page: reader.u32()?, len: reader.u32()? });
            Some(Noticed { table, row, image, values: (0..values).map(value).collect::<Option<_>>()? })
        })
        .collect()
}

/// Opens every object that the catalog names, tables before their indexes, and takes it off the list.
fn open_objects(shared: &Shared, catalog: &Table, noted: &mut HashMap<ObjectId, Noted>) -> Result<()> {
    let mut found = Vec::new();
    let mut damage = Vec::new();
    catalog.tree.check(&shared.pool, CATALOG, &mut damage, &mut |leaf| {
        use crate::btree::node;
        for at in 0..node::count(leaf) {
            let image = node::value(leaf, at);
            if is_deleted(image) {
                continue;
            }
            let full = catalog.full(&shared.pool, image)?;
            let Cell::Inline(bytes) = Cells::new(&full).cell(0) else {
                return Err(Error::corrupt("an object's definition is missing"));
            };
            found.push((ObjectId(node::row_key(leaf, at) as u32), Definition::decode(bytes)?));
        }
        Ok(())
    })?;
    if let Some(damage) = damage.into_iter().next() {
        return Err(Error::corrupt(damage));
    }
    found.sort_by_key(|(id, definition)| (matches!(definition, Definition::Index(_)), *id));
    for (id, definition) in found {
        let object = match (definition, noted.remove(&id)) {
            (Definition::Table(def), Some(Noted::Table { root, next_row })) => {
                let table = Table::new(id, Tree::open(id, root), def);
                table.ids.raise_bound(next_row);
                Object::Table(Arc::new(table))
            }
            (Definition::Index(def), Some(Noted::Index { root })) => {
                let table = shared.table(def.table)?;
                let index = Arc::new(Index::new(id, Tree::open(id, root), def, table)?);
                index.table.attach(&index);
                Object::Index(index)
            }
            (Definition::Sequence(def), Some(Noted::Sequence { value, called })) => {
                let state = Mutex::new(SequenceState { value, called, reserved: 0 });
                Object::Sequence(Arc::new(Sequence { id, def: RwLock::new(def), state, logged: AtomicU64::new(0) }))
            }
            _ => return Err(Error::corrupt(format!("the checkpoint does not hold object {id} of the catalog"))),
        };
        shared.objects.write().insert(id, object);
    }
    Ok(())
}

/// Rolls back what was in progress in the chosen tables, and cleans up after what was committed.
fn roll_back(
    shared: &Shared,
    runs: &[(ObjectId, u64, u64)],
    chains: &[Chain<'_>],
    chosen: impl Fn(ObjectId) -> bool,
) -> Result<()> {
    for chain in chains.iter().filter(|chain| chosen(chain.table)) {
        // Tables that have gone take their rows with them.
        if let Ok(table) = shared.table(chain.table) {
            settle(shared, &table, chain)?;
        }
    }
    for (table, start, end) in runs.iter().filter(|(table, ..)| chosen(*table)) {
        if let Ok(table) = shared.table(*table) {
            finish::undo_rows(shared, &table, *start..*end)?;
        }
    }
    Ok(())
}

/// Gives a row its final image, and takes away what only other images needed.
fn settle(shared: &Shared, table: &Table, chain: &Chain<'_>) -> Result<()> {
    let (pool, row) = (&shared.pool, chain.row);
    let Some(current) = table.page_image(pool, row)? else { return Ok(()) };
    let last = chain.restore.unwrap_or(&current);
    for index in table.indexes().iter() {
        let kept = index.image_key(pool, last)?;
        for image in chain.images.iter().copied().chain([&current[..]]) {
            if let Some(gone) = index.image_key(pool, image)?
                && kept.as_ref().is_none_or(|kept| kept.bytes() != gone.bytes())
            {
                index.tree.remove(pool, &table::entry(gone.bytes(), row))?;
            }
        }
    }
    let mut gone: Vec<_> = chain
        .images
        .iter()
        .copied()
        .chain([&current[..]])
        .flat_map(externals)
        .map(|place| (place.page, place))
        .collect();
    gone.sort_by_key(|(page, _)| *page);
    gone.dedup_by_key(|(page, _)| *page);
    let kept = externals(last);
    if is_deleted(last) {
        table.tree.remove(pool, &row_key(row))?;
    } else if chain.restore.is_some() {
        table.tree.put(pool, &row_key(row), last)?;
    }
    let gone: Vec<External> = gone.into_iter().map(|(_, place)| place).filter(|place| !kept.contains(place)).collect();
    overflow::free(pool, &gone)
}

/// The keys of a leftover image: read while all values that it shares with other images are there.
fn leftover_entries(shared: &Shared, leftover: &Noticed<'_>) -> Result<Vec<(Arc<Index>, Vec<u8>)>> {
    let Ok(table) = shared.table(leftover.table) else { return Ok(Vec::new()) };
    let mut entries = Vec::new();
    for index in table.indexes().iter() {
        if let Some(key) = index.image_key(&shared.pool, leftover.image)? {
            entries.push((index.clone(), key.bytes().to_vec()));
        }
    }
    Ok(entries)
}

/// Takes the entries that only a leftover image needed away, now that every row has its final image; then its values.
fn take_away(shared: &Shared, leftover: &Noticed<'_>, entries: Vec<(Arc<Index>, Vec<u8>)>) -> Result<()> {
    for (index, gone) in entries {
        let kept = match index.table.page_image(&shared.pool, leftover.row)? {
            Some(current) => index.image_key(&shared.pool, &current)?,
            None => None,
        };
        if kept.is_none_or(|kept| kept.bytes() != gone) {
            index.tree.remove(&shared.pool, &table::entry(&gone, leftover.row))?;
        }
    }
    overflow::free(&shared.pool, &leftover.values)
}

/// Frees an object that the catalog does not name: temporary, created in vain, or dropped and not yet gone.
fn free_unnamed(shared: &Shared, id: ObjectId, noted: &Noted, chains: &[Chain<'_>]) -> Result<()> {
    let pool = &shared.pool;
    let pages = match noted {
        Noted::Table { root, .. } => {
            let chains = chains.iter().filter(|chain| chain.table == id);
            let images = chains.flat_map(|chain| chain.images.iter().copied().chain(chain.restore));
            let mut values = images.flat_map(externals).collect();
            let mut pages = finish::table_pages(pool, &Tree::open(id, *root), &mut values)?;
            finish::add_value_pages(pool, values, &mut pages)?;
            pages
        }
        Noted::Index { root } => Tree::open(id, *root).all_pages(pool, &mut |_| Ok(()))?,
        Noted::Sequence { .. } => Vec::new(),
    };
    pages.into_iter().for_each(|page| pool.free(page));
    Ok(())
}
