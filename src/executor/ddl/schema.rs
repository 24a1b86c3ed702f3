//! CREATE SCHEMA, with the objects that it may make at once.

use super::DdlContext;
use crate::catalog::image::Schema;
use crate::catalog::rights::denied;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::utility::{CreateSchema, Utility};
use crate::sql::ast::{ObjectName, Statement};
use crate::types::Oid;

impl DdlContext<'_> {
    pub(super) fn create_schema(&mut self, create: &CreateSchema) -> Result<&'static str> {
        const TAG: &str = "CREATE SCHEMA";
        let owner = create.owner.as_ref().map_or(Ok(self.user), |owner| self.role_oid(owner))?;
        let name = match &create.name {
            Some(name) => name.name.clone(),
            None => self.image().roles.get(&owner).map_or_else(String::new, |role| role.name.clone()),
        };
        self.check_database_create()?;
        self.check_new_owner(owner)?;
        check_schema_name(&name)?;
        if self.image().schema_names.contains_key(&name) {
            let message = format!("schema \"{name}\" already exists");
            if create.if_not_exists {
                self.notice(SqlState::DuplicateSchema, format!("{message}, skipping"));
                return Ok(TAG);
            }
            return Err(Error::new(SqlState::DuplicateSchema, message));
        }
        self.claim("schema", Oid::NONE, &name)?;
        let oid = self.new_oid()?;
        self.change(|change, tx| change.put_schema(tx, Schema { oid, name: name.clone(), owner }))?;
        self.create_elements(oid, &name, owner, &create.elements)?;
        Ok(TAG)
    }

    /// The schema's elements: sequences first, then tables, views, indexes, whatever their order in the text.
    fn create_elements(&mut self, schema: Oid, name: &str, owner: Oid, elements: &[Statement]) -> Result<()> {
        let mut ordered: Vec<(u8, &Utility)> = Vec::with_capacity(elements.len());
        for element in elements {
            let Statement::Utility(utility) = element else {
                return Err(Error::internal("an element of CREATE SCHEMA is no utility statement"));
            };
            let (rank, target) = match &**utility {
                Utility::CreateSequence(create) => (0, &create.name),
                Utility::CreateTable(create) => (1, &create.name),
                Utility::CreateView(create) => (2, &create.name),
                Utility::CreateIndex(create) => (3, &create.table),
                Utility::Grant(grant) => return Err(Error::unsupported("GRANT").at(grant.pos)),
                _ => return Err(Error::unsupported("this statement in CREATE SCHEMA")),
            };
            check_element(target, name)?;
            ordered.push((rank, utility));
        }
        ordered.sort_by_key(|(rank, _)| *rank);
        let (user, creating) = (std::mem::replace(&mut self.user, owner), self.creating.replace(schema));
        let made = ordered.into_iter().try_for_each(|(_, element)| super::execute(self, element).map(|_| ()));
        (self.user, self.creating) = (user, creating);
        made
    }

    /// 42501 unless the user may make schemas in this database.
    pub(super) fn check_database_create(&self) -> Result<()> {
        let image = self.image();
        match image.databases.get(&image.database) {
            Some(database) if !image.acts_for(self.user, database.owner) => Err(denied("database", &database.name)),
            _ => Ok(()),
        }
    }
}

/// 42939 for names that are the system's.
pub(super) fn check_schema_name(name: &str) -> Result<()> {
    if !name.starts_with("pg_") {
        return Ok(());
    }
    let message = format!("unacceptable schema name \"{name}\"");
    let detail = "The prefix \"pg_\" is reserved for system schemas.";
    Err(Error::new(SqlState::ReservedName, message).detail(detail))
}

/// 42P15 for an element that names another schema.
fn check_element(target: &ObjectName, schema: &str) -> Result<()> {
    match target.schema() {
        Some(other) if other != schema => {
            let message =
                format!("CREATE specifies a schema ({other}) different from the one being created ({schema})");
            Err(Error::new(SqlState::InvalidSchemaDefinition, message))
        }
        _ => Ok(()),
    }
}
