//! COMMENT ON.

use super::DdlContext;
use crate::catalog::image::RelationKind;
use crate::catalog::store::fixed;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::ObjectName;
use crate::sql::ast::utility::{Comment, ObjectKind};
use crate::types::Oid;
use lightning_storage::LockMode;

impl DdlContext<'_> {
    pub(super) fn comment(&mut self, comment: &Comment) -> Result<&'static str> {
        let name = &comment.name;
        let (object, class, sub) = match comment.kind {
            ObjectKind::Table => self.commented_relation(name, RelationKind::Table)?,
            ObjectKind::View => self.commented_relation(name, RelationKind::View)?,
            ObjectKind::Index => self.commented_relation(name, RelationKind::Index)?,
            ObjectKind::Sequence => self.commented_relation(name, RelationKind::Sequence)?,
            ObjectKind::Column => self.commented_column(name)?,
            ObjectKind::Constraint if comment.on_domain => self.commented_check(name, comment.on.as_ref())?,
            ObjectKind::Constraint => self.commented_constraint(name, comment.on.as_ref())?,
            ObjectKind::Schema => {
                let Some(oid) = self.image().schema_names.get(name.name()).copied() else {
                    let message = format!("schema \"{}\" does not exist", name.name());
                    return Err(Error::new(SqlState::InvalidSchemaName, message));
                };
                if !self.image().acts_for(self.user, self.image().schemas[&oid].owner) {
                    return Err(super::not_owner("schema", name.name()));
                }
                (oid, fixed::CLASS_SCHEMA, 0)
            }
            ObjectKind::Database => {
                let Some(database) = self.image().database_named(name.name()).cloned() else {
                    let message = format!("database \"{}\" does not exist", name.name());
                    self.notice(SqlState::InvalidCatalogName, message);
                    return Ok("COMMENT");
                };
                if !self.image().acts_for(self.user, database.owner) {
                    return Err(super::not_owner("database", name.name()));
                }
                (database.oid, fixed::CLASS_DATABASE, 0)
            }
            ObjectKind::Role => {
                let role = self.image().role(name.name()).cloned().ok_or_else(|| super::missing_role(name.name()))?;
                self.check_role_right(&role, &format!("must be member of role \"{}\"", role.name))?;
                (role.oid, fixed::CLASS_ROLE, 0)
            }
            ObjectKind::Type | ObjectKind::Domain => (self.owned_type(name, comment.kind)?.oid, fixed::CLASS_TYPE, 0),
            other => return Err(Error::unsupported(format!("COMMENT ON {}", format!("{other:?}").to_uppercase()))),
        };
        let text = comment.text.as_deref().filter(|text| !text.is_empty());
        self.change(|change, tx| change.comment(tx, object, class, sub, text))?;
        Ok("COMMENT")
    }

    fn commented_relation(&self, name: &ObjectName, kind: RelationKind) -> Result<(Oid, Oid, i32)> {
        let relation = self.owned(name, kind)?;
        self.lock(relation.oid, LockMode::ShareUpdateExclusive)?;
        Ok((relation.oid, fixed::CLASS_RELATION, 0))
    }

    fn commented_column(&self, name: &ObjectName) -> Result<(Oid, Oid, i32)> {
        let (column, relation) = name.parts.split_last().expect("a name has a part");
        if relation.is_empty() {
            return Err(Error::new(SqlState::SyntaxError, "column name must be qualified"));
        }
        let relation = self.find_required(&ObjectName { parts: relation.to_vec(), pos: name.pos })?;
        self.check_owner(&relation)?;
        if matches!(relation.kind, RelationKind::Sequence | RelationKind::Index) {
            let message = format!("cannot set comment on relation \"{}\"", relation.name);
            let what = if relation.kind == RelationKind::Index { "indexes" } else { "sequences" };
            let detail = format!("This operation is not supported for {what}.");
            return Err(Error::new(SqlState::WrongObjectType, message).detail(detail));
        }
        let Some(attribute) = relation.attribute(column) else {
            let message = format!("column \"{column}\" of relation \"{}\" does not exist", relation.name);
            return Err(Error::new(SqlState::UndefinedColumn, message));
        };
        self.lock(relation.oid, LockMode::ShareUpdateExclusive)?;
        Ok((relation.oid, fixed::CLASS_RELATION, i32::from(attribute.number)))
    }

    fn commented_check(&self, name: &ObjectName, on: Option<&ObjectName>) -> Result<(Oid, Oid, i32)> {
        let Some(on) = on else { return Err(Error::internal("a constraint's comment names no domain")) };
        let ty = self.owned_type(on, ObjectKind::Domain)?;
        let mut checks = ty.domain().into_iter().flat_map(|domain| &domain.checks);
        let Some(check) = checks.find(|check| check.name == name.name()) else {
            let shown = self.type_name(ty.oid);
            let message = format!("constraint \"{}\" for domain {shown} does not exist", name.name());
            return Err(Error::new(SqlState::UndefinedObject, message));
        };
        Ok((check.oid, fixed::CLASS_CONSTRAINT, 0))
    }

    fn commented_constraint(&self, name: &ObjectName, on: Option<&ObjectName>) -> Result<(Oid, Oid, i32)> {
        let Some(on) = on else { return Err(Error::internal("a constraint's comment names no table")) };
        let relation = self.find_required(on)?;
        self.check_owner(&relation)?;
        let Some(constraint) = relation.constraints.iter().find(|constraint| constraint.name == name.name()) else {
            let message = format!("constraint \"{}\" for table \"{}\" does not exist", name.name(), relation.name);
            return Err(Error::new(SqlState::UndefinedObject, message));
        };
        Ok((constraint.oid, fixed::CLASS_CONSTRAINT, 0))
    }
}
