//! Stored texts: what DEFAULT, CHECK, generated columns, indexes and views say, kept true through every change of names.
//!
//! Two invariants, both kept by `put_relation`:
//! 1. A text in the catalog is canonical ([`deparse`]): it means the same under every search path, and `*` is expanded.
//! 2. Whatever a text names is named as it is called now.
//!
//! A text that the deparser cannot read is kept as it was written: it works as long as nothing that it names is renamed.

use super::DdlContext;
use crate::catalog::image::{Body, ConstraintKind, Image, Index, Relation, TypeKind, UserType};
use crate::error::Result;
use crate::sql::deparse;
use crate::types::{Oid, Type, oid};
use std::sync::Arc;

/// Whether names that texts may hold differ between two versions of a relation.
pub(super) fn is_renamed(old: &Relation, new: &Relation) -> bool {
    let names = |relation: &Relation| (relation.schema, relation.name.clone());
    names(old) != names(new) || old.attributes.iter().zip(&new.attributes).any(|(a, b)| !b.dropped && a.name != b.name)
}

/// A text of a relation: the type that it is assigned to, whether it names the relation's columns, itself.
type Visit<'v> = &'v mut dyn FnMut(Option<Type>, bool, &mut String);

/// Calls `visit` with every expression that a relation stores; a generated column's and a check's names its columns.
fn expressions(relation: &mut Relation, visit: Visit<'_>) {
    for attribute in relation.attributes.iter_mut().filter(|attribute| !attribute.dropped) {
        let (ty, generated) = (attribute.ty, attribute.generated);
        if let Some(text) = &mut attribute.default {
            visit(Some(ty), generated, text);
        }
    }
    for constraint in &mut relation.constraints {
        if let ConstraintKind::Check { .. } = constraint.kind
            && let ConstraintKind::Check { expression, .. } = &mut Arc::make_mut(constraint).kind
        {
            visit(Some(Type::new(oid::BOOL)), true, expression);
        }
    }
    if let Body::Index(index) = &mut relation.body {
        index_expressions(index, visit);
    }
}

fn index_expressions(index: &mut Arc<Index>, visit: Visit<'_>) {
    if index.predicate.is_none() && index.keys.iter().all(|key| key.expression.is_none()) {
        return;
    }
    let index = Arc::make_mut(index);
    for key in &mut index.keys {
        if let Some(text) = &mut key.expression {
            visit(None, true, text);
        }
    }
    if let Some((text, _)) = &mut index.predicate {
        visit(Some(Type::new(oid::BOOL)), true, text);
    }
}

/// The texts that a relation stores, for telling new ones from those that are canonical already.
fn texts(relation: &Relation) -> Vec<String> {
    let mut found = Vec::new();
    expressions(&mut relation.clone(), &mut |_, _, text| found.push(text.clone()));
    found
}

impl DdlContext<'_> {
    /// Brings the texts that `relation` has and `old` had not into their canonical form.
    pub(super) fn make_canonical(&self, relation: &mut Relation, old: Option<&Arc<Relation>>) {
        let known = old.map_or_else(Vec::new, |old| texts(old));
        let ctx = self.bind_context();
        if let Body::View { text, search_path, .. } = &mut relation.body
            && search_path[..] != ["pg_catalog"]
            && let Ok(canonical) = deparse::canonical_query(&ctx, text)
        {
            *text = canonical;
            *search_path = vec!["pg_catalog".to_owned()];
        }
        let table = row_of(self.image(), relation);
        expressions(relation, &mut |expected, columns, text| {
            if !known.contains(text)
                && let Ok(canonical) =
                    deparse::canonical_expression(&ctx, text, table.as_deref().filter(|_| columns), expected)
            {
                *text = canonical;
            }
        });
    }

    /// Writes all texts anew under the names of now; `before` is the catalog as it was when they were true.
    pub(super) fn follow_names(&mut self, before: &Arc<Image>) -> Result<()> {
        let call = self.bind.call;
        let after = self.image().clone();
        let own = |relation: &&Arc<Relation>| relation.oid >= Oid::FIRST_USER;
        let mut changes: Vec<Relation> = Vec::new();
        for relation in after.relations.values().filter(own) {
            let mut changed = (**relation).clone();
            let mut differs = false;
            let mut rewrite = |text: &mut String, written: Result<String>| {
                if let Ok(written) = written
                    && written != *text
                {
                    *text = written;
                    differs = true;
                }
            };
            if let Body::View { text, .. } = &mut changed.body {
                let written = deparse::renamed_query(before, &after, call, text);
                rewrite(text, written);
            }
            let table = before.relations.get(&relation.oid).and_then(|old| row_of(before, old));
            expressions(&mut changed, &mut |_, columns, text| {
                let table = table.as_deref().filter(|_| columns);
                let written = deparse::renamed_expression(before, &after, call, text, table);
                rewrite(text, written);
            });
            if differs {
                changes.push(changed);
            }
        }
        let mut domains: Vec<UserType> = Vec::new();
        for ty in after.types.values() {
            let mut changed = (**ty).clone();
            let TypeKind::Domain(domain) = &mut changed.kind else { continue };
            let row = domain.row();
            let checks = domain.checks.iter_mut().map(|check| (&mut check.expression, Some(&row)));
            let mut differs = false;
            for (text, row) in checks.chain(domain.default.iter_mut().map(|text| (text, None))) {
                if let Ok(written) = deparse::renamed_expression(before, &after, call, text, row)
                    && written != *text
                {
                    *text = written;
                    differs = true;
                }
            }
            if differs {
                domains.push(changed);
            }
        }
        domains.into_iter().try_for_each(|ty| self.change(|change, tx| change.put_type(tx, ty, None)))?;
        changes.sort_by_key(|relation| relation.oid);
        changes.into_iter().try_for_each(|relation| self.change(|change, tx| change.put_relation(tx, relation)))
    }
}

/// The relation whose row the texts of `relation` name: an index's table, else itself.
fn row_of(image: &Image, relation: &Relation) -> Option<Arc<Relation>> {
    match &relation.body {
        Body::Index(index) => image.relations.get(&index.table).cloned(),
        _ => Some(Arc::new(relation.clone())),
    }
}
