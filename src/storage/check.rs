//! The structural verifier: every page of every tree, every row, and every index against its table in both directions.
//!
//! Meant for a quiet engine whose clean-up has been done; entries that versions of open transactions or old snapshots still
//! need are no damage, everything else out of place is.

use crate::btree::node;
use crate::engine::{CheckReport, Shared};
use crate::error::Result;
use crate::hash::HashSet;
use crate::table::{Index, Object, Table, entry};
use crate::transaction::finish::{any_version_has_key, object_pages};
use crate::transaction::version::is_deleted;
use crate::types::key::split_entry;
use crate::types::row::Cells;
use crate::types::{PageId, Position};
use std::sync::Arc;

/// Walks everything.
pub(crate) fn check(shared: &Shared) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    let objects: Vec<Object> = shared.objects.read().values().cloned().collect();
    for object in objects {
        match object {
            Object::Table(table) => check_table(shared, &table, &mut report)?,
            Object::Index(index) => check_index(shared, &index, &mut report)?,
            Object::Sequence(_) => {}
        }
    }
    check_room(shared, &mut report)?;
    Ok(report)
}

/// Every page is reached from an object, every block is named by somebody. Only of an engine that has nothing in progress.
fn check_room(shared: &Shared, report: &mut CheckReport) -> Result<()> {
    if !shared.is_settled() || !report.damage.is_empty() {
        return Ok(());
    }
    let mut in_use: HashSet<PageId> = shared.pool.store().page_ids().into_iter().collect();
    for object in shared.objects.read().values().cloned().collect::<Vec<_>>() {
        for page in object_pages(shared, &object)? {
            if !in_use.remove(&page) {
                report.damage.push(format!("page {page} is reached twice, or free"));
            }
        }
    }
    for page in in_use {
        report.damage.push(format!("page {page} is in use, but no object reaches it"));
    }
    if let Some((used, named)) = shared.pool.blocks_used_and_named()
        && used != named
    {
        report.damage.push(format!("{used} blocks of the data file are in use, {named} of them named"));
    }
    Ok(())
}

/// The table's tree; every row readable, and found in every index that should have it.
fn check_table(shared: &Shared, table: &Arc<Table>, report: &mut CheckReport) -> Result<()> {
    let (mut damage, mut found, mut rows) = (Vec::new(), Vec::new(), 0);
    let indexes = table.indexes();
    report.pages += table.tree.check(&shared.pool, table.id, &mut damage, &mut |leaf| {
        for at in 0..node::count(leaf) {
            let (row, image) = (node::row_key(leaf, at), node::value(leaf, at));
            if !Cells::validate(image) {
                found.push(format!("table {}: row {row} is malformed", table.id));
                continue;
            }
            if row >= table.ids.bound() && table.id != crate::table::definition::CATALOG {
                found.push(format!("table {}: row {row} is beyond the ids given out", table.id));
            }
            if is_deleted(image) {
                continue;
            }
            rows += 1;
            for index in indexes.iter() {
                let Some(key) = index.image_key(&shared.pool, image)? else { continue };
                let entry = entry(key.bytes(), row);
                let page = index.tree.read_leaf(&shared.pool, &entry)?;
                if node::search(&page, &entry).is_err() {
                    found.push(format!("index {}: row {row} of table {} is missing", index.id, table.id));
                }
            }
        }
        Ok(())
    })?;
    report.rows += rows;
    report.damage.append(&mut damage);
    report.damage.append(&mut found);
    Ok(())
}

/// The index's tree; every entry needed by a version of its row, and no unique key twice among newest versions.
fn check_index(shared: &Shared, index: &Index, report: &mut CheckReport) -> Result<()> {
    let (mut damage, mut found, mut entries) = (Vec::new(), Vec::new(), 0);
    let mut last: Option<(Vec<u8>, u64)> = None;
    report.pages += index.tree.check(&shared.pool, index.id, &mut damage, &mut |leaf| {
        for at in 0..node::count(leaf) {
            entries += 1;
            let bytes = node::key(leaf, at);
            let Some((key, row)) = split_entry(&bytes) else {
                found.push(format!("index {}: an entry without a row id", index.id));
                continue;
            };
            if !any_version_has_key(shared, index, key, row.0, Position(0))? {
                found.push(format!("index {}: an entry for row {row} that has another key, or is gone", index.id));
            }
            let Some(image) = index.table.page_image(&shared.pool, row.0)? else { continue };
            let Some(newest) = index.image_key(&shared.pool, &image)? else { continue };
            if newest.bytes() == key && index.judges(&newest) && index.def.unique == crate::types::Unique::Immediate {
                if let Some((_, other)) = last.as_ref().filter(|(last, _)| last == key) {
                    found.push(format!("index {}: rows {other} and {row} have one key", index.id));
                }
                last = Some((key.to_vec(), row.0));
            }
        }
        Ok(())
    })?;
    report.entries += entries;
    report.damage.append(&mut damage);
    report.damage.append(&mut found);
    Ok(())
}
