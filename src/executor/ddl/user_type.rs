//! CREATE TYPE … AS ENUM, ALTER TYPE, and what enums and domains share: names, owners, schemas, who depends on them.

use super::dependency::Target;
use super::{DdlContext, not_owner};
use crate::catalog::image::{Body, ConstraintKind, EnumLabel, Relation, RelationKind, TypeKind, UserType};
use crate::catalog::names::Namespace;
use crate::catalog::{builtin, system};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::utility::{AlterType, AlterTypeAction, Drop, ObjectKind, RoleSpec};
use crate::sql::ast::{Ident, ObjectName};
use crate::sql::bind::scope::Clause;
use crate::sql::bind::{BindContext, Binder};
use crate::types::shape::{self, place};
use crate::types::text_io::truncate_name;
use crate::types::{Oid, Type};
use lightning_storage::{LockMode, LockTag};
use std::sync::Arc;

/// Longest label, in bytes.
const LABEL_MAX: usize = 63;

impl DdlContext<'_> {
    pub(super) fn create_enum(&mut self, name: &ObjectName, labels: &[String]) -> Result<&'static str> {
        let (schema, name) = self.type_target(name)?;
        let (array, oid) = (self.new_oid()?, self.new_oid()?);
        let mut made: Vec<EnumLabel> = Vec::with_capacity(labels.len());
        for label in labels {
            check_label(label)?;
            if made.iter().any(|other| other.name == *label) {
                let message = "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"";
                let detail = format!("Key (enumtypid, enumlabel)=({oid}, {label}) already exists.");
                return Err(Error::new(SqlState::UniqueViolation, message)
                    .detail(detail)
                    .table("pg_catalog".to_owned(), "pg_enum".to_owned())
                    .constraint("pg_enum_typid_label_index".to_owned()));
            }
            let number = made.len();
            let Some(place) = place::numbered(number as u32) else {
                return Err(Error::new(SqlState::ProgramLimitExceeded, "an enum cannot have so many labels"));
            };
            let order = number as f32 + 1.0;
            made.push(EnumLabel { oid: self.new_oid()?, name: label.clone(), place: place.into(), order });
        }
        let array_name = self.array_name(schema, &name);
        let (owner, kind) = (self.user, TypeKind::Enum(made));
        self.put_type(UserType { oid, schema, name, owner, array, array_name, kind }, None)?;
        Ok("CREATE TYPE")
    }

    /// Where a new type goes, and its name, which is free.
    pub(super) fn type_target(&mut self, name: &ObjectName) -> Result<(Oid, String)> {
        if name.parts.len() > 2 {
            let message = format!("cross-database references are not implemented: {}", name.parts.join("."));
            return Err(Error::new(SqlState::FeatureNotSupported, message));
        }
        let (schema, name) = self.creation_target(name, false).map_err(super::without_position)?;
        if self.temp_schema() == Some(schema) {
            return Err(Error::unsupported("a type in a temporary schema"));
        }
        self.make_way(schema, &name)?;
        if self.type_is_taken(schema, &name) {
            return Err(Error::new(SqlState::DuplicateObject, format!("type \"{name}\" already exists")));
        }
        Ok((schema, name))
    }

    /// Whether a type of a schema has this name: a user's, or a relation's row type.
    pub(super) fn type_is_taken(&self, schema: Oid, name: &str) -> bool {
        let image = self.image();
        let row_type = image.relation(schema, name).is_some_and(|relation| relation.row_type != Oid::NONE);
        row_type || image.type_named(schema, name).is_some()
    }

    /// An array type that has the name gets another one: PostgreSQL's `moveArrayTypeName`.
    pub(super) fn make_way(&mut self, schema: Oid, name: &str) -> Result<()> {
        let found = self.image().type_named(schema, name);
        let Some((ty, true)) = found.and_then(|oid| self.image().user_type(oid)) else { return Ok(()) };
        let mut moved = (**ty).clone();
        moved.array_name = self.array_name(schema, name);
        self.put_type(moved, None)
    }

    /// A free name for the array type over a type of this name: PostgreSQL's `makeArrayTypeName`.
    pub(super) fn array_name(&self, schema: Oid, name: &str) -> String {
        let mut found = name.to_owned();
        loop {
            let longer = format!("_{found}");
            truncate_name(&longer).clone_into(&mut found);
            if !self.type_is_taken(schema, &found) {
                return found;
            }
        }
    }

    pub(super) fn put_type(&mut self, ty: UserType, new_label: Option<Oid>) -> Result<()> {
        let old = self.image().types.get(&ty.oid).cloned();
        let names = |ty: &UserType| (ty.schema, ty.name.clone());
        let is_new = old.as_ref().is_none_or(|old| names(old) != names(&ty));
        if is_new {
            self.claim("type", ty.schema, &ty.name)?;
        }
        let relabelled = |old: &UserType| {
            let known = old.labels().iter();
            known.zip(ty.labels()).any(|(a, b)| a.oid == b.oid && a.name != b.name)
        };
        let before = self.image().clone();
        // Stored texts follow a type's name, and the names of its labels.
        let before = Some(before).filter(|_| old.is_some_and(|old| is_new || relabelled(&old)));
        self.change(|change, tx| change.put_type(tx, ty, new_label))?;
        before.map_or(Ok(()), |before| self.follow_names(&before))
    }

    /// The type that a name stands for, if any.
    fn find_type(&self, name: &ObjectName) -> Option<Oid> {
        let path = self.search_path();
        Namespace { image: self.image(), path: &path }.find_type(name.schema(), name.name())
    }

    /// A type as messages show it.
    pub(super) fn type_name(&self, ty: Oid) -> String {
        let path = self.search_path();
        Namespace { image: self.image(), path: &path }.format_type(ty, None)
    }

    /// The enum or domain that a name must stand for, which must be the user's.
    pub(super) fn owned_type(&self, name: &ObjectName, kind: ObjectKind) -> Result<Arc<UserType>> {
        if let Some(schema) = name.schema().filter(|schema| !self.image().schema_names.contains_key(*schema)) {
            return Err(Error::new(SqlState::InvalidSchemaName, format!("schema \"{schema}\" does not exist")));
        }
        let Some(oid) = self.find_type(name) else {
            let message = format!("type \"{}\" does not exist", name.display());
            return Err(Error::new(SqlState::UndefinedObject, message));
        };
        let shown = self.type_name(oid);
        let wrong = |message: String| Error::new(SqlState::WrongObjectType, message);
        if kind == ObjectKind::Domain && !shape::is_domain(oid) {
            return Err(wrong(format!("{shown} is not a domain")));
        }
        match self.image().user_type(oid) {
            Some((found, false)) => {
                let found = found.clone();
                self.check_type_owner(&found)?;
                Ok(found)
            }
            Some((found, true)) => {
                let element = self.type_name(found.oid);
                let hint = format!("You can alter type {element}, which will alter the array type as well.");
                Err(wrong(format!("cannot alter array type {shown}")).hint(hint))
            }
            None if builtin::type_by_oid(oid).is_some() => Err(not_owner("type", &shown)),
            None => Err(wrong(format!("{shown} is a table's row type")).hint("Use ALTER TABLE instead.")),
        }
    }

    pub(super) fn check_type_owner(&self, ty: &UserType) -> Result<()> {
        if self.image().acts_for(self.user, ty.owner) {
            return Ok(());
        }
        Err(not_owner("type", &self.type_name(ty.oid)))
    }

    pub(super) fn alter_user_type(&mut self, alter: &AlterType) -> Result<&'static str> {
        let tag = if alter.kind == ObjectKind::Domain { "ALTER DOMAIN" } else { "ALTER TYPE" };
        if let AlterTypeAction::Unsupported(what) = &alter.action {
            return Err(Error::unsupported(what));
        }
        if matches!(alter.action, AlterTypeAction::AddValue { .. } | AlterTypeAction::RenameValue { .. })
            && let Some(oid) = self.find_type(&alter.name).filter(|oid| !shape::is_enum(*oid))
        {
            return Err(Error::new(SqlState::WrongObjectType, format!("{} is not an enum", self.type_name(oid))));
        }
        let found = self.owned_type(&alter.name, alter.kind)?;
        // One at a time: what is decided below is decided on the newest form of the type.
        self.lock_tag(LockTag::Object(found.oid.0), LockMode::Exclusive)?;
        match &alter.action {
            AlterTypeAction::AddValue { .. } | AlterTypeAction::RenameValue { .. } => {
                self.alter_labels(&found, found.labels().to_vec(), &alter.action)?;
            }
            AlterTypeAction::Rename(to) => self.rename_type(&found, to)?,
            AlterTypeAction::Owner(owner) => self.change_type_owner(&found, owner)?,
            AlterTypeAction::SetSchema(schema) => self.move_type(&found, schema)?,
            action => self.alter_domain(&found, &alter.name.display(), action)?,
        }
        Ok(tag)
    }

    /// ADD VALUE, RENAME VALUE.
    fn alter_labels(&mut self, ty: &UserType, mut labels: Vec<EnumLabel>, action: &AlterTypeAction) -> Result<()> {
        let mut new_label = None;
        let find = |name: &str, labels: &[EnumLabel]| labels.iter().position(|label| label.name == name);
        let taken = |label: &str| format!("enum label \"{label}\" already exists");
        let missing = |label: &str| {
            Error::new(SqlState::InvalidParameterValue, format!("\"{label}\" is not an existing enum label"))
        };
        match action {
            AlterTypeAction::AddValue { if_not_exists, label, place } => {
                check_label(label)?;
                if find(label, &labels).is_some() {
                    if *if_not_exists {
                        self.notice(SqlState::DuplicateObject, format!("{}, skipping", taken(label)));
                        return Ok(());
                    }
                    return Err(Error::new(SqlState::DuplicateObject, taken(label)));
                }
                let at = match place {
                    None => labels.len(),
                    Some((before, neighbour)) => {
                        let at = find(neighbour, &labels).ok_or_else(|| missing(neighbour))?;
                        if *before { at } else { at + 1 }
                    }
                };
                let oid = self.new_oid()?;
                labels.insert(at, label_between(&labels, at, oid, label)?);
                renumber(&mut labels);
                new_label = Some(oid);
            }
            AlterTypeAction::RenameValue { from, to } => {
                check_label(to)?;
                let at = find(from, &labels).ok_or_else(|| missing(from))?;
                if find(to, &labels).is_some() {
                    return Err(Error::new(SqlState::DuplicateObject, taken(to)));
                }
                labels[at].name.clone_from(to);
            }
            _ => return Err(Error::internal("no change of an enum's labels")),
        }
        self.put_type(UserType { kind: TypeKind::Enum(labels), ..ty.clone() }, new_label)
    }

    fn rename_type(&mut self, ty: &UserType, to: &Ident) -> Result<()> {
        self.image().check_create(self.user, ty.schema)?;
        self.make_way(ty.schema, &to.name)?;
        if self.type_is_taken(ty.schema, &to.name) {
            return Err(Error::new(SqlState::DuplicateObject, format!("type \"{}\" already exists", to.name)));
        }
        // The array type's old name is free for it.
        let found = self.image().types.get(&ty.oid).cloned();
        let mut renamed = found.map_or_else(|| ty.clone(), |found| (*found).clone());
        to.name.clone_into(&mut renamed.name);
        let wanted = format!("_{}", to.name);
        if truncate_name(&wanted) != renamed.array_name {
            renamed.array_name = self.array_name(ty.schema, &to.name);
        }
        self.put_type(renamed, None)
    }

    fn change_type_owner(&mut self, ty: &UserType, owner: &RoleSpec) -> Result<()> {
        let owner = self.role_oid(owner)?;
        if owner == ty.owner {
            return Ok(());
        }
        self.check_new_owner(owner)?;
        if !self.image().is_superuser(self.user) {
            self.image().check_create(owner, ty.schema)?;
        }
        self.put_type(UserType { owner, ..ty.clone() }, None)
    }

    fn move_type(&mut self, ty: &UserType, schema: &Ident) -> Result<()> {
        let Some(target) = self.image().schema_names.get(&schema.name).copied() else {
            let message = format!("schema \"{}\" does not exist", schema.name);
            return Err(Error::new(SqlState::InvalidSchemaName, message));
        };
        if target == ty.schema {
            return Ok(());
        }
        if system::schema_oid(&schema.name) == target || schema.name.starts_with("pg_temp") {
            return Err(Error::unsupported("moving a type into a system or temporary schema"));
        }
        self.image().check_create(self.user, target)?;
        if self.type_is_taken(target, &ty.name) {
            let message = format!("type \"{}\" already exists in schema \"{}\"", ty.name, schema.name);
            return Err(Error::new(SqlState::DuplicateObject, message));
        }
        let array_name = match self.type_is_taken(target, &ty.array_name) {
            true => self.array_name(target, &ty.name),
            false => ty.array_name.clone(),
        };
        self.put_type(UserType { schema: target, array_name, ..ty.clone() }, None)
    }

    /// DROP TYPE, DROP DOMAIN.
    pub(super) fn drop_types(&mut self, drop: &Drop) -> Result<&'static str> {
        let mut targets = Vec::new();
        for name in &drop.names {
            if let Some(schema) = name.schema().filter(|schema| !self.image().schema_names.contains_key(*schema)) {
                let message = format!("schema \"{schema}\" does not exist");
                if !drop.if_exists {
                    return Err(Error::new(SqlState::InvalidSchemaName, message));
                }
                self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
                continue;
            }
            let Some(oid) = self.find_type(name) else {
                let message = format!("type \"{}\" does not exist", name.display());
                if !drop.if_exists {
                    return Err(Error::new(SqlState::UndefinedObject, message));
                }
                self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
                continue;
            };
            self.check_drop_type(oid, drop.kind)?;
            let target = Target::Type(oid);
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        self.drop_all(targets, drop.cascade, false)?;
        Ok(if drop.kind == ObjectKind::Domain { "DROP DOMAIN" } else { "DROP TYPE" })
    }

    /// 42809, 42501, and 2BP01 for what belongs to something else.
    fn check_drop_type(&self, oid: Oid, kind: ObjectKind) -> Result<()> {
        let shown = self.type_name(oid);
        let image = self.image();
        if kind == ObjectKind::Domain && !shape::is_domain(oid) {
            return Err(Error::new(SqlState::WrongObjectType, format!("\"{shown}\" is not a domain")));
        }
        let required = |by: String| {
            let message = format!("cannot drop type {shown} because {by} requires it");
            Error::new(SqlState::DependentObjectsStillExist, message).hint(format!("You can drop {by} instead."))
        };
        match image.user_type(oid) {
            Some((found, array)) => {
                let owns_schema = image.schemas.get(&found.schema).is_some_and(|s| image.acts_for(self.user, s.owner));
                if !owns_schema {
                    self.check_type_owner(found)?;
                }
                if array { Err(required(format!("type {}", self.type_name(found.oid)))) } else { Ok(()) }
            }
            None if oid < Oid::FIRST_USER => {
                let message = format!("cannot drop type {shown} because it is required by the database system");
                Err(Error::new(SqlState::DependentObjectsStillExist, message))
            }
            None => {
                let relation = image.relation_of_row_type(oid).map(|relation| relation.oid);
                Err(required(relation.map_or_else(String::new, |relation| self.describe(Target::Relation(relation)))))
            }
        }
    }

    /// What depends on a type: the array type over it, columns of it, domains over it, and texts that cannot be bound without it.
    pub(super) fn dependents_of_type(&self, oid: Oid) -> Vec<(Target, bool)> {
        let Some((ty, is_array)) = self.image().user_type(oid) else { return Vec::new() };
        let uses = |of: Type| of.oid == oid;
        let mut image = (**self.image()).clone();
        image.type_names.retain(|_, oid| *oid != ty.oid && *oid != ty.array);
        let without = BindContext { image: Arc::new(image), ..self.bind_context() };
        let quoted = ty.name.replace('"', "\"\"");
        let names = |text: &str, relation: &Relation| {
            !is_array && text.contains(&quoted) && {
                let mut binder = Binder::new(&without, "");
                let row = binder.row_columns(relation);
                binder.stored_expression(text, relation, &row, Clause::Check, None).is_err()
            }
        };
        let mut list = if is_array { Vec::new() } else { vec![(Target::Type(ty.array), true)] };
        for other in self.image().types.values() {
            let Some(domain) = other.domain() else { continue };
            let mut texts = domain.default.iter().chain(domain.checks.iter().map(|check| &check.expression));
            if uses(domain.base) || texts.any(|text| names(text, &domain.row())) {
                list.push((Target::Type(other.oid), false));
            }
        }
        let own = |relation: &&Arc<Relation>| relation.oid >= Oid::FIRST_USER;
        for relation in self.image().relations.values().filter(own) {
            let columns: Vec<i16> = relation.live_attributes().filter(|a| uses(a.ty)).map(|a| a.number).collect();
            match &relation.body {
                Body::View { text, .. } => {
                    let broken =
                        || !is_array && text.contains(&quoted) && Binder::new(&without, "").view(relation).is_err();
                    if !columns.is_empty() || broken() {
                        list.push((Target::Relation(relation.oid), false));
                    }
                }
                Body::Index(index) => {
                    let texts = index.keys.iter().filter_map(|key| key.expression.as_ref());
                    let mut texts = texts.chain(index.predicate.iter().map(|(text, _)| text));
                    let table = self.image().relations.get(&index.table);
                    if table.is_some_and(|table| texts.any(|text| names(text, table))) {
                        list.push((Target::Relation(relation.oid), false));
                    }
                }
                _ => {}
            }
            if relation.kind != RelationKind::Table {
                continue;
            }
            for attribute in relation.live_attributes() {
                let table = relation.oid;
                if columns.contains(&attribute.number) {
                    list.push((Target::Column(table, attribute.number), false));
                } else if attribute.default.as_ref().is_some_and(|text| names(text, relation)) {
                    list.push(match attribute.generated {
                        true => (Target::Column(table, attribute.number), false),
                        false => (Target::Default(table, attribute.number), false),
                    });
                }
            }
            for constraint in &relation.constraints {
                if matches!(&constraint.kind, ConstraintKind::Check { expression, .. } if names(expression, relation)) {
                    list.push((Target::Constraint(relation.oid, constraint.oid), false));
                }
            }
        }
        list
    }
}

/// A label in front of the one at a place of the list.
fn label_between(labels: &[EnumLabel], at: usize, oid: Oid, name: &str) -> Result<EnumLabel> {
    let (low, high) = (at.checked_sub(1).map(|at| &labels[at]), labels.get(at));
    let (place, order) = match (low, high) {
        (None, None) => (place::numbered(0), 1.0),
        (Some(low), None) => (place::after(&low.place), low.order + 1.0),
        (None, Some(high)) => (Some(place::between(None, &high.place)), high.order - 1.0),
        (Some(low), Some(high)) => {
            (Some(place::between(Some(&low.place), &high.place)), low.order + (high.order - low.order) / 2.0)
        }
    };
    let place =
        place.ok_or_else(|| Error::new(SqlState::ProgramLimitExceeded, "an enum cannot have so many labels"))?;
    Ok(EnumLabel { oid, name: name.to_owned(), place: place.into(), order })
}

/// PostgreSQL's numbers, which are floats, run out of room between two labels: they begin anew then.
fn renumber(labels: &mut [EnumLabel]) {
    if labels.windows(2).any(|pair| pair[0].order >= pair[1].order) {
        labels.iter_mut().enumerate().for_each(|(at, label)| label.order = at as f32 + 1.0);
    }
}

fn check_label(label: &str) -> Result<()> {
    if label.len() <= LABEL_MAX {
        return Ok(());
    }
    Err(Error::new(SqlState::InvalidName, format!("invalid enum label \"{label}\""))
        .detail("Labels must be 63 bytes or less."))
}
