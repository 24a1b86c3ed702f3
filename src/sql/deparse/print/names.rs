//! Names of FROM items and their columns: unique, and as the catalog has them now (`set_deparse_for_query`).

use super::super::tree::{From, Item, Place, Query, Source};
use crate::catalog::image::Image;
use std::collections::HashMap;

/// The names of one query level.
pub(super) struct Names<'a> {
    pub query: &'a Query,
    /// Per item; `None`: a join without alias.
    pub tables: Vec<Option<String>>,
    /// Per item and column.
    pub columns: Vec<Vec<String>>,
    /// Per item: whether its column names have to be written.
    pub listed: Vec<bool>,
}

impl<'a> Names<'a> {
    /// Names for a query inside of others.
    pub(super) fn of(image: &Image, query: &'a Query, outer: &[Names<'_>]) -> Names<'a> {
        let mut taken: Vec<&str> =
            outer.iter().flat_map(|names| names.tables.iter().flatten()).map(String::as_str).collect();
        let mut tables: Vec<Option<String>> = Vec::with_capacity(query.items.len());
        let wanted: Vec<Option<String>> = query.items.iter().map(|item| table_name(image, item)).collect();
        for name in &wanted {
            let unique = name.as_ref().map(|name| {
                let used = |candidate: &str| {
                    taken.contains(&candidate) || tables.iter().flatten().any(|table| table == candidate)
                };
                unique(name, used)
            });
            tables.push(unique);
        }
        taken.clear();
        let mut names = Names { query, tables, columns: Vec::new(), listed: Vec::new() };
        let forced = names.forced();
        for (i, item) in query.items.iter().enumerate() {
            names.add_columns(image, i, item, &forced);
        }
        names
    }

    /// Names that USING demands of the columns of both sides.
    fn forced(&self) -> HashMap<(usize, usize), String> {
        fn walk(from: &From, forced: &mut HashMap<(usize, usize), String>) {
            if let From::Join { left, right, using, .. } = from {
                for (name, a, b) in using {
                    for Place { item, column, .. } in [a, b] {
                        forced.entry((*item, *column)).or_insert_with(|| name.clone());
                    }
                }
                walk(left, forced);
                walk(right, forced);
            }
        }
        let mut forced = HashMap::new();
        if let super::super::tree::Body::Select(select) = &self.query.body {
            select.from.iter().for_each(|from| walk(from, &mut forced));
        }
        forced
    }

    fn add_columns(&mut self, image: &Image, number: usize, item: &Item, forced: &HashMap<(usize, usize), String>) {
        let mut chosen: Vec<String> = Vec::with_capacity(item.columns.len());
        let mut changed = false;
        for (i, column) in item.columns.iter().enumerate() {
            let real = match (&item.source, &column.of[..]) {
                (Source::Relation { oid, .. }, _) => {
                    let relation = image.relations.get(oid);
                    let attribute =
                        relation.and_then(|r| r.attributes.get(usize::try_from(column.attribute - 1).ok()?));
                    attribute.map_or(column.name.as_str(), |attribute| attribute.name.as_str())
                }
                (Source::Join, [of]) if item.alias.is_some() => {
                    self.columns.get(of.item).and_then(|c| c.get(of.column)).map_or(&column.name, |name| name)
                }
                _ => &column.name,
            };
            let name = match forced.get(&(number, i)) {
                Some(name) => name.clone(),
                None => {
                    let wanted = item.alias_columns.get(i).map_or(real, String::as_str);
                    // Columns of a join without alias are never written through it.
                    match item.source == Source::Join && item.alias.is_none() {
                        true => wanted.to_owned(),
                        false => unique(wanted, |candidate| chosen.iter().any(|name| name == candidate)),
                    }
                }
            };
            changed |= name != real;
            chosen.push(name);
        }
        self.listed.push(match item.source {
            Source::Relation { .. } => changed,
            Source::Functions { .. } => true,
            _ => changed || !item.alias_columns.is_empty(),
        });
        self.columns.push(chosen);
    }
}

/// The name that an item would like to have.
fn table_name(image: &Image, item: &Item) -> Option<String> {
    if item.alias.is_some() {
        return item.alias.clone();
    }
    match &item.source {
        Source::Relation { oid, .. } => image.relations.get(oid).map(|relation| relation.name.clone()),
        Source::Functions { calls, .. } => calls.first().map(|call| call.name.clone()),
        Source::Cte(name) => Some(name.clone()),
        Source::Subquery(_) => Some("unnamed_subquery".to_owned()),
        Source::Join => None,
    }
}

/// The name itself, or with the first `_n` that is not taken.
fn unique(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    let mut number = 1;
    loop {
        let candidate = format!("{name}_{number}");
        if !taken(&candidate) {
            return candidate;
        }
        number += 1;
    }
}
