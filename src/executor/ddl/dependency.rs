//! What depends on what, and dropping with all that depends: PostgreSQL's `performMultipleDeletions`.
//!
//! | object | goes along silently | stands in the way, or goes with CASCADE |
//! |---|---|---|
//! | table | its indexes, owned sequences, constraints, defaults | foreign keys that refer to it, views over it |
//! | column | indexes, constraints of its table and owned sequences that name it | foreign keys that refer to it, views and generated columns that name it |
//! | view | | views over it |
//! | sequence | | defaults that call it |
//! | schema | | everything in it |
//! | type | | columns of it and of arrays of it, domains over it, expressions and views that name it |
//!
//! Dependencies are not stored: those of views and defaults are found by binding their texts.

use super::{DdlContext, kind_name};
use crate::catalog::image::{Body, Constraint, ConstraintKind, Relation, RelationKind};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::string::quote_identifier;
use crate::types::{Oid, oid};
use lightning_storage::{LockMode, LockTag};
use std::collections::HashMap;
use std::sync::Arc;

/// Something that can be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    Relation(Oid),
    /// Table and constraint.
    Constraint(Oid, Oid),
    /// Table and attribute number.
    Default(Oid, i16),
    /// Table and attribute number.
    Column(Oid, i16),
    Schema(Oid),
    /// An enum or a domain, or the array type over one, which goes with it.
    Type(Oid),
}

/// What a drop has found, dependents before what they depend on.
#[derive(Default)]
struct Found {
    order: Vec<(Target, Option<Target>)>,
    /// `true`: nobody is told.
    silent: HashMap<Target, bool>,
    /// By view: the relations that it names.
    views: HashMap<Oid, Vec<Oid>>,
}

impl Found {
    /// Whether the table that a target is part of is dropped too.
    fn owner_goes(&self, target: Target) -> bool {
        match target {
            Target::Default(table, number) => {
                self.silent.contains_key(&Target::Relation(table))
                    || self.silent.contains_key(&Target::Column(table, number))
            }
            Target::Constraint(table, _) | Target::Column(table, _) => {
                self.silent.contains_key(&Target::Relation(table))
            }
            Target::Relation(_) | Target::Schema(_) | Target::Type(_) => false,
        }
    }
}

impl DdlContext<'_> {
    /// Drops objects with what belongs to them; what else depends on them goes too with `cascade`, and is an error else.
    /// `keep_roots`: only what depends on them goes.
    ///
    /// # Errors
    /// 2BP01 with the dependents as detail.
    pub(super) fn drop_all(&mut self, roots: Vec<Target>, cascade: bool, keep_roots: bool) -> Result<()> {
        let mut found = Found { views: self.view_sources(), ..Found::default() };
        for root in &roots {
            self.collect(*root, None, true, &mut found)?;
        }
        // What is part of a table that goes itself is not worth a word.
        let parts: Vec<Target> = found.silent.keys().copied().filter(|target| found.owner_goes(*target)).collect();
        for part in parts {
            found.silent.insert(part, true);
        }
        self.report_dependents(&roots, cascade, &found)?;
        for (target, _) in found.order {
            if !keep_roots || !roots.contains(&target) {
                self.remove(target)?;
            }
        }
        Ok(())
    }

    /// Depth first, newest dependents first; the report reads it backwards.
    fn collect(&mut self, target: Target, because: Option<Target>, silent: bool, found: &mut Found) -> Result<()> {
        if let Some(known) = found.silent.get_mut(&target) {
            *known |= silent;
            return Ok(());
        }
        found.silent.insert(target, silent);
        match target {
            Target::Relation(oid) | Target::Constraint(oid, _) | Target::Default(oid, _) | Target::Column(oid, _) => {
                self.lock(oid, LockMode::AccessExclusive)?;
            }
            Target::Type(oid) => self.lock_tag(LockTag::Object(oid.0), LockMode::AccessExclusive)?,
            Target::Schema(_) => {}
        }
        let mut dependents = self.dependents(target, found)?;
        dependents.sort_by_key(|(target, _)| match *target {
            // Columns of one table in their order.
            Target::Column(table, number) => (std::cmp::Reverse(table), number),
            target => (std::cmp::Reverse(age(target).0), -age(target).1),
        });
        for (dependent, silent) in dependents {
            self.collect(dependent, Some(target), silent, found)?;
        }
        found.order.push((target, because));
        Ok(())
    }

    /// What depends on an object, and whether it goes along silently.
    fn dependents(&self, target: Target, found: &Found) -> Result<Vec<(Target, bool)>> {
        let image = self.image();
        let mut list = Vec::new();
        match target {
            Target::Constraint(table, oid) => {
                let relation = self.table(table)?;
                let own = relation.constraints.iter().find(|constraint| constraint.oid == oid);
                let index = own.and_then(|constraint| super::drop::constraint_index(constraint));
                list.extend(index.map(|index| (Target::Relation(index), true)));
                let uses = |key: &&Arc<Constraint>| matches!(key.kind, ConstraintKind::ForeignKey { index: used, .. } if Some(used) == index);
                let referring = relation.referenced_by.iter().filter(uses);
                list.extend(referring.map(|key| (Target::Constraint(key.table, key.oid), false)));
            }
            Target::Default(..) => {}
            Target::Column(table, number) => list = self.dependents_of_column(table, number, &found.views)?,
            Target::Schema(schema) => {
                let inside = image.relations.values().filter(|relation| relation.schema == schema);
                let named = inside.filter(|relation| relation.kind != RelationKind::Index);
                list.extend(named.map(|relation| (Target::Relation(relation.oid), false)));
                let types = image.types.values().filter(|ty| ty.schema == schema);
                list.extend(types.map(|ty| (Target::Type(ty.oid), false)));
            }
            Target::Type(oid) => list = self.dependents_of_type(oid),
            Target::Relation(oid) => {
                let relation = self.table(oid)?;
                list.extend(relation.indexes.iter().map(|index| (Target::Relation(index.oid), true)));
                let referring = relation.referenced_by.iter().filter(|key| key.table != oid);
                list.extend(referring.map(|key| (Target::Constraint(key.table, key.oid), false)));
                let naming = found.views.iter().filter(|(_, sources)| sources.contains(&oid));
                list.extend(naming.map(|(view, _)| (Target::Relation(*view), false)));
                for other in image.relations.values() {
                    if matches!(&other.body, Body::Sequence(s) if s.owned_by.is_some_and(|(owner, _)| owner == oid)) {
                        list.push((Target::Relation(other.oid), true));
                    }
                }
                if relation.kind == RelationKind::Sequence {
                    list.extend(
                        self.defaults_of(oid)
                            .into_iter()
                            .map(|(table, number, _)| (Target::Default(table, number), false)),
                    );
                }
            }
        }
        Ok(list)
    }

    /// The columns whose default names a sequence, with their default's text.
    pub(super) fn defaults_of(&self, sequence: Oid) -> Vec<(Oid, i16, String)> {
        let mut list = Vec::new();
        for table in self.image().relations.values().filter(|relation| matches!(relation.body, Body::Table { .. })) {
            for attribute in table.live_attributes() {
                let Some(text) = &attribute.default else { continue };
                if self.literals_naming(text, sequence).next().is_some() {
                    list.push((table.oid, attribute.number, text.clone()));
                }
            }
        }
        list
    }

    /// Where in an expression's text string literals stand that name a relation: their bytes, quotes excluded.
    pub(super) fn literals_naming(&self, text: &str, relation: Oid) -> impl Iterator<Item = std::ops::Range<usize>> {
        let lower = text.to_ascii_lowercase();
        let may_name = ["nextval", "currval", "setval", "regclass"].iter().any(|word| lower.contains(word));
        let found: Vec<_> = if may_name { literals(text) } else { Vec::new() };
        let host = self.bind.call.host.clone();
        let text = text.to_owned();
        found.into_iter().filter(move |range| {
            let name = text[range.clone()].replace("''", "'");
            host.read(oid::REGCLASS, &name).is_ok_and(|found| found == relation)
        })
    }

    /// The relations that each view names itself.
    pub(super) fn view_sources(&self) -> HashMap<Oid, Vec<Oid>> {
        // System views name nothing that can be dropped.
        let is_view = |r: &&Arc<Relation>| matches!(r.body, Body::View { .. }) && r.oid >= Oid::FIRST_USER;
        let views: Vec<Arc<Relation>> = self.image().relations.values().filter(is_view).cloned().collect();
        let sources = |view: &Arc<Relation>| {
            self.binder(|mut binder| {
                // A view that cannot be bound any more names nothing that is there.
                let _ = binder.view(view);
                Ok(std::mem::take(&mut binder.view_sources))
            })
            .unwrap_or_default()
        };
        views.iter().map(|view| (view.oid, sources(view))).collect()
    }

    fn report_dependents(&mut self, roots: &[Target], cascade: bool, found: &Found) -> Result<()> {
        let told: Vec<_> = found.order.iter().rev().filter(|(target, _)| !found.silent[target]).collect();
        let (Some((first, _)), count) = (told.first(), told.len()) else { return Ok(()) };
        if !cascade {
            let line = |(target, because): &&(Target, Option<Target>)| {
                let on = because.map(|on| self.describe(self.behind(on))).unwrap_or_default();
                format!("{} depends on {on}", self.describe(*target))
            };
            let detail = told.iter().map(line).collect::<Vec<_>>().join("\n");
            let message = match roots {
                [root] => format!("cannot drop {} because other objects depend on it", self.describe(*root)),
                _ => "cannot drop desired object(s) because other objects depend on them".to_owned(),
            };
            return Err(Error::new(SqlState::DependentObjectsStillExist, message)
                .detail(detail)
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        if count == 1 {
            let message = format!("drop cascades to {}", self.describe(*first));
            self.notice(SqlState::SuccessfulCompletion, message);
            return Ok(());
        }
        let lines: Vec<String> =
            told.iter().map(|(target, _)| format!("drop cascades to {}", self.describe(*target))).collect();
        let mut detail = lines[..count.min(LINES_MAX)].join("\n");
        if count > LINES_MAX {
            detail += &format!("\nand {} other objects (see server log for list)", count - LINES_MAX);
        }
        self.notices.push(crate::error::Report {
            code: SqlState::SuccessfulCompletion,
            message: format!("drop cascades to {count} other objects"),
            detail: Some(detail),
            ..crate::error::Report::default()
        });
        Ok(())
    }

    /// What really is depended on: foreign keys hang on the index of a key, not on the key.
    fn behind(&self, target: Target) -> Target {
        let Target::Constraint(table, oid) = target else { return target };
        let table = self.image().relations.get(&table);
        let constraint = table.and_then(|table| table.constraints.iter().find(|constraint| constraint.oid == oid));
        let index = constraint.and_then(|constraint| super::drop::constraint_index(constraint));
        index.map_or(target, Target::Relation)
    }

    /// An object in messages: its kind and its name, qualified when the search path does not find it.
    pub(super) fn describe(&self, target: Target) -> String {
        let image = self.image();
        let relation = |oid: Oid| match image.relations.get(&oid) {
            Some(relation) => format!("{} {}", kind_name(relation.kind), self.visible_name(relation)),
            None => format!("relation {oid}"),
        };
        match target {
            Target::Relation(oid) => relation(oid),
            Target::Type(oid) => format!("type {}", self.type_name(oid)),
            Target::Schema(oid) => format!("schema {}", image.schemas.get(&oid).map_or("", |schema| &schema.name)),
            Target::Constraint(table, oid) => {
                let constraints = image.relations.get(&table).map(|table| &table.constraints);
                let found = constraints.and_then(|list| list.iter().find(|constraint| constraint.oid == oid));
                let name = found.map_or("", |constraint| &constraint.name);
                format!("constraint {name} on {}", relation(table))
            }
            Target::Column(table, number) => {
                let column = image.relations.get(&table).and_then(|table| table.attributes.get(number as usize - 1));
                format!("column {} of {}", column.map_or("", |column| &column.name), relation(table))
            }
            Target::Default(table, number) => {
                let column = image.relations.get(&table).and_then(|table| table.attributes.get(number as usize - 1));
                let name = column.map_or("", |column| &column.name);
                format!("default value for column {name} of {}", relation(table))
            }
        }
    }

    /// A relation's name as the search path needs it.
    pub(super) fn visible_name(&self, relation: &Relation) -> String {
        let image = self.image();
        let found = self.search_path().iter().find_map(|schema| image.relation(*schema, &relation.name));
        if found.is_some_and(|found| found.oid == relation.oid) {
            return quote_identifier(&relation.name);
        }
        let schema = image.schemas.get(&relation.schema).map_or("", |schema| &schema.name);
        format!("{}.{}", quote_identifier(schema), quote_identifier(&relation.name))
    }

    fn remove(&mut self, target: Target) -> Result<()> {
        match target {
            Target::Schema(oid) => self.change(|change, tx| change.remove_schema(tx, oid)),
            Target::Type(oid) if self.image().types.contains_key(&oid) => {
                self.change(|change, tx| change.remove_type(tx, oid))
            }
            Target::Type(_) => Ok(()),
            Target::Constraint(table, oid) => {
                let Some(relation) = self.image().relations.get(&table) else { return Ok(()) };
                let mut changed = (**relation).clone();
                changed.constraints.retain(|constraint| constraint.oid != oid);
                self.put_relation(changed)
            }
            Target::Column(table, number) => self.remove_column(table, number),
            Target::Default(table, number) => {
                let Some(relation) = self.image().relations.get(&table) else { return Ok(()) };
                let mut changed = (**relation).clone();
                changed.attributes[number as usize - 1].default = None;
                self.put_relation(changed)
            }
            Target::Relation(oid) => {
                let Some(relation) = self.image().relations.get(&oid).cloned() else { return Ok(()) };
                let storage = match &relation.body {
                    Body::Table { storage, .. } => Some(*storage),
                    Body::Index(index) => Some(index.storage),
                    Body::Sequence(sequence) => Some(sequence.storage),
                    Body::View { .. } | Body::System(_) => None,
                };
                if let Some(storage) = storage {
                    self.with(|tx| tx.drop_object(storage))?;
                }
                self.remove_relation(oid)?;
                match &relation.body {
                    Body::Index(index) => self.drop_hidden_columns(index),
                    _ => Ok(()),
                }
            }
        }
    }

    /// The constraint that an index belongs to.
    pub(super) fn constraint_of_index(&self, relation: &Relation) -> Option<(Arc<Relation>, Arc<Constraint>)> {
        let Body::Index(index) = &relation.body else { return None };
        let table = self.image().relations.get(&index.table)?;
        let owner = table.constraints.iter().find(|constraint| match constraint.kind {
            ConstraintKind::PrimaryKey { index, .. } | ConstraintKind::Unique { index, .. } => index == relation.oid,
            _ => false,
        })?;
        Some((table.clone(), owner.clone()))
    }
}

/// Dependents that a message names.
const LINES_MAX: usize = 100;

/// Objects made later have higher numbers.
fn age(target: Target) -> (Oid, i16) {
    match target {
        Target::Relation(oid) | Target::Constraint(_, oid) | Target::Schema(oid) | Target::Type(oid) => (oid, 0),
        Target::Default(table, number) | Target::Column(table, number) => (table, number),
    }
}

/// The insides of an expression's string literals.
fn literals(text: &str) -> Vec<std::ops::Range<usize>> {
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if bytes[at] == b'"' {
            at += 1 + bytes[at + 1..].iter().position(|byte| *byte == b'"').unwrap_or(bytes.len() - at - 1);
        } else if bytes[at] == b'\'' {
            let start = at + 1;
            at = start;
            while at < bytes.len() && (bytes[at] != b'\'' || bytes.get(at + 1) == Some(&b'\'')) {
                at += if bytes[at] == b'\'' { 2 } else { 1 };
            }
            found.push(start..at.min(bytes.len()));
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::literals;

    #[test]
    fn literals_of_a_default() {
        let text = r#"nextval('public."a''b"'::regclass) + "it's" + length('x')"#;
        let found: Vec<&str> = literals(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, [r#"public."a''b""#, "x"]);
    }
}
