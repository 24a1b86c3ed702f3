//! CREATE, ALTER and DROP ROLE. Roles belong to the server: all databases share them.
//!
//! A password is kept as its SCRAM-SHA-256 verifier (RFC 5803), never as it is. Membership in other roles, and the attributes
//! REPLICATION and BYPASSRLS, are refused.

use super::dependency::Target;
use super::{DdlContext, missing_role};
use crate::catalog::image::{Database, Image, Relation, RelationKind, Role, Schema, UserType};
use crate::catalog::store::fixed;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::utility::{AlterRole, CreateRole, Drop, RoleOption, RoleSpec};
use crate::types::{Datum, Oid, Type, oid, text_io};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;
use std::sync::Arc;

/// Rounds of PBKDF2: PostgreSQL's number.
const SCRAM_ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("it is not zero");

impl DdlContext<'_> {
    pub(super) fn create_role(&mut self, create: &CreateRole) -> Result<&'static str> {
        let mut role = Role {
            oid: Oid::NONE,
            name: create.name.name.clone(),
            superuser: false,
            login: create.user,
            create_db: false,
            create_role: false,
            inherit: true,
            connection_limit: -1,
            password: None,
            valid_until: None,
        };
        self.apply(&mut role, &create.options, true)?;
        let own = self.user_role();
        if role.superuser && !own.superuser {
            return Err(refused("must be superuser to create superusers"));
        }
        if !own.superuser && !own.create_role {
            return Err(refused("permission denied to create role"));
        }
        if create.name.name == "public" || create.name.name == "none" {
            let message = format!("role name \"{}\" is reserved", create.name.name);
            return Err(Error::new(SqlState::ReservedName, message).at(create.name.pos));
        }
        check_role_name(&create.name.name)?;
        self.check_role_free(&create.name.name)?;
        role.oid = self.new_oid()?;
        self.change(|change, tx| change.put_role(tx, role))?;
        Ok("CREATE ROLE")
    }

    pub(super) fn alter_role(&mut self, alter: &AlterRole) -> Result<&'static str> {
        if alter.setting.is_some() {
            return Err(Error::unsupported("ALTER ROLE … SET"));
        }
        if let RoleSpec::Name(name) = &alter.role
            && name.name.starts_with("pg_")
        {
            let message = format!("role name \"{}\" is reserved", name.name);
            return Err(Error::new(SqlState::ReservedName, message).detail("Cannot alter reserved roles."));
        }
        let oid = self.role_oid(&alter.role)?;
        let before = self.image().roles.get(&oid).cloned().ok_or_else(|| missing_role(""))?;
        let mut role = (*before).clone();
        self.apply(&mut role, &alter.options, false)?;
        let own = self.user_role();
        let superuser_touched =
            before.superuser || alter.options.iter().any(|option| matches!(option, RoleOption::Superuser(_)));
        if superuser_touched && !own.superuser {
            return Err(refused("must be superuser to alter superuser roles or change superuser attribute"));
        }
        let password_only = alter.options.iter().all(|option| matches!(option, RoleOption::Password(_)));
        let may = own.superuser || own.create_role || (password_only && oid == self.user && !alter.options.is_empty());
        if !may {
            return Err(refused("permission denied"));
        }
        self.claim_role(&before.name)?;
        self.change(|change, tx| change.put_role(tx, role))?;
        Ok("ALTER ROLE")
    }

    /// Puts options into a role.
    fn apply(&mut self, role: &mut Role, options: &[RoleOption], create: bool) -> Result<()> {
        for option in options {
            match option {
                RoleOption::Superuser(on) => role.superuser = *on,
                RoleOption::CreateDb(on) => role.create_db = *on,
                RoleOption::CreateRole(on) => role.create_role = *on,
                RoleOption::Inherit(on) => role.inherit = *on,
                RoleOption::Login(on) => role.login = *on,
                RoleOption::Replication(false) | RoleOption::BypassRls(false) => {}
                RoleOption::Replication(true) => return Err(Error::unsupported("role attribute REPLICATION")),
                RoleOption::BypassRls(true) => return Err(Error::unsupported("role attribute BYPASSRLS")),
                RoleOption::ConnectionLimit(limit) if *limit < -1 => {
                    let message = format!("invalid connection limit: {limit}");
                    return Err(Error::new(SqlState::InvalidParameterValue, message));
                }
                RoleOption::ConnectionLimit(limit) => role.connection_limit = *limit,
                RoleOption::Password(None) => role.password = None,
                RoleOption::Password(Some(password)) => role.password = self.verifier_of(password)?,
                RoleOption::ValidUntil(text) => {
                    let ty = Type::new(oid::TIMESTAMPTZ);
                    role.valid_until = match text_io::input(text, ty, &self.bind.call.text())? {
                        Datum::TimestampTz(value) => Some(value),
                        _ => None,
                    };
                }
                RoleOption::InRole(_) | RoleOption::Members(_) | RoleOption::Admins(_) => {
                    return Err(Error::unsupported("membership in roles"));
                }
                RoleOption::SysId if create => {
                    self.notice(SqlState::SuccessfulCompletion, "SYSID can no longer be specified".to_owned());
                }
                RoleOption::SysId => {
                    return Err(Error::new(SqlState::SyntaxError, "syntax error at or near \"sysid\""));
                }
            }
        }
        Ok(())
    }

    fn verifier_of(&mut self, password: &str) -> Result<Option<String>> {
        if password.is_empty() {
            let message = "empty string is not a valid password, clearing password".to_owned();
            self.notice(SqlState::SuccessfulCompletion, message);
            return Ok(None);
        }
        if is_verifier(password) {
            return Ok(Some(password.to_owned()));
        }
        let md5 = password
            .strip_prefix("md5")
            .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        if md5 {
            return Err(Error::unsupported("an MD5-hashed password"));
        }
        if !password.is_ascii() {
            return Err(Error::unsupported("a password with characters beyond ASCII"));
        }
        Ok(Some(scram_verifier(password, &rand::random())))
    }

    pub(super) fn drop_roles(&mut self, drop: &Drop) -> Result<&'static str> {
        let own = self.user_role();
        if !own.superuser && !own.create_role {
            return Err(refused("permission denied to drop role"));
        }
        for name in &drop.names {
            let Some(role) = self.image().role(name.name()).cloned() else {
                if drop.if_exists {
                    let message = format!("role \"{}\" does not exist, skipping", name.name());
                    self.notice(SqlState::SuccessfulCompletion, message);
                    continue;
                }
                return Err(missing_role(name.name()));
            };
            if role.oid == self.user || role.oid == self.session_user {
                let who = if role.oid == self.user { "current user" } else { "session user" };
                return Err(Error::new(SqlState::ObjectInUse, format!("{who} cannot be dropped")));
            }
            if role.superuser && !own.superuser {
                return Err(refused("must be superuser to drop superusers"));
            }
            if role.oid < Oid::FIRST_USER {
                let message = format!("cannot drop role {} because it is required by the database system", role.name);
                return Err(Error::new(SqlState::DependentObjectsStillExist, message));
            }
            self.claim_role(&role.name)?;
            self.check_owns_nothing(&role)?;
            self.change(|change, tx| change.remove_role(tx, role.oid))?;
        }
        Ok("DROP ROLE")
    }

    /// 2BP01 while the role owns anything, in any database.
    fn check_owns_nothing(&self, role: &Role) -> Result<()> {
        let image = self.image();
        let mut lines: Vec<(Oid, String)> = Vec::new();
        for relation in image.relations.values().filter(|relation| owns(role, relation)) {
            lines.push((relation.oid, format!("owner of {}", self.describe(Target::Relation(relation.oid)))));
        }
        for ty in image.types.values().filter(|ty| ty.owner == role.oid) {
            lines.push((ty.oid, format!("owner of {}", self.describe(Target::Type(ty.oid)))));
        }
        for schema in image.schemas.values().filter(|schema| schema.owner == role.oid) {
            lines.push((schema.oid, format!("owner of schema {}", schema.name)));
        }
        lines.sort();
        let mut databases: Vec<_> = image.databases.values().collect();
        databases.sort_by_key(|database| database.oid);
        for database in &databases {
            if database.owner == role.oid {
                lines.push((database.oid, format!("owner of database {}", database.name)));
            }
        }
        for database in databases.into_iter().filter(|database| database.oid != image.database) {
            let count = owned_in(role, &*self.catalog.image(database.oid)?);
            if count > 0 {
                let objects = if count == 1 { "object" } else { "objects" };
                lines.push((database.oid, format!("{count} {objects} in database {}", database.name)));
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        let message = format!("role \"{}\" cannot be dropped because some objects depend on it", role.name);
        let detail = lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n");
        Err(Error::new(SqlState::DependentObjectsStillExist, message).detail(detail))
    }

    /// REASSIGN OWNED: in this database, and databases themselves.
    pub(super) fn reassign_owned(&mut self, roles: &[RoleSpec], to: &RoleSpec) -> Result<&'static str> {
        let from = self.owners(roles, "reassign objects", "reassign ownership of objects")?;
        let to = self.role_oid(to)?;
        if to != self.user && !self.user_role().superuser {
            return Err(refused("permission denied to reassign objects"));
        }
        let image = self.image().clone();
        for relation in image.relations.values().filter(|relation| from.contains(&relation.owner)) {
            self.give(relation.oid, to)?;
        }
        for ty in image.types.values().filter(|ty| from.contains(&ty.owner)) {
            self.put_type(UserType { owner: to, ..(**ty).clone() }, None)?;
        }
        for schema in image.schemas.values().filter(|schema| from.contains(&schema.owner)) {
            let given = Schema { owner: to, ..(**schema).clone() };
            self.change(|change, tx| change.put_schema(tx, given))?;
        }
        for database in image.databases.values().filter(|database| from.contains(&database.owner)) {
            let given = Database { owner: to, ..(**database).clone() };
            self.change(|change, tx| change.put_database(tx, given))?;
        }
        Ok("REASSIGN OWNED")
    }

    /// DROP OWNED: what the roles own in this database.
    pub(super) fn drop_owned(&mut self, roles: &[RoleSpec], cascade: bool) -> Result<&'static str> {
        let from = self.owners(roles, "drop objects", "drop objects")?;
        let image = self.image();
        let own = |relation: &&Arc<Relation>| from.contains(&relation.owner) && relation.kind != RelationKind::Index;
        let mut targets: Vec<Target> =
            image.relations.values().filter(own).map(|relation| Target::Relation(relation.oid)).collect();
        let schemas = image.schemas.values().filter(|schema| from.contains(&schema.owner));
        targets.extend(schemas.map(|schema| Target::Schema(schema.oid)));
        let types = image.types.values().filter(|ty| from.contains(&ty.owner));
        targets.extend(types.map(|ty| Target::Type(ty.oid)));
        self.drop_all(targets, cascade, false)?;
        Ok("DROP OWNED")
    }

    /// The roles whose objects are meant: the user's own, or any for a superuser; none of the system's.
    fn owners(&self, roles: &[RoleSpec], what: &str, message: &str) -> Result<Vec<Oid>> {
        let superuser = self.user_role().superuser;
        let mut owners = Vec::with_capacity(roles.len());
        for role in roles {
            let oid = self.role_oid(role)?;
            if oid != self.user && !superuser {
                return Err(refused(&format!("permission denied to {what}")));
            }
            if oid < Oid::FIRST_USER {
                let name = self.image().roles.get(&oid).map_or("", |role| role.name.as_str());
                let message =
                    format!("cannot {message} owned by role {name} because they are required by the database system");
                return Err(Error::new(SqlState::DependentObjectsStillExist, message));
            }
            owners.push(oid);
        }
        Ok(owners)
    }

    pub(super) fn rename_role(&mut self, name: &str, to: &str) -> Result<()> {
        let role = self.image().role(name).cloned().ok_or_else(|| missing_role(name))?;
        if role.oid == self.session_user {
            return Err(Error::new(SqlState::FeatureNotSupported, "session user cannot be renamed"));
        }
        if role.oid == self.user {
            return Err(Error::new(SqlState::FeatureNotSupported, "current user cannot be renamed"));
        }
        if name.starts_with("pg_") {
            let message = format!("role name \"{name}\" is reserved");
            return Err(
                Error::new(SqlState::ReservedName, message).detail("Role names starting with \"pg_\" are reserved.")
            );
        }
        check_role_name(to)?;
        self.check_role_free(to)?;
        let own = self.user_role();
        if role.superuser && !own.superuser {
            return Err(refused("must be superuser to rename superusers"));
        }
        if !own.superuser && !own.create_role {
            return Err(refused("permission denied to rename role"));
        }
        self.claim_role(name)?;
        let renamed = Role { name: to.to_owned(), ..(*role).clone() };
        self.change(|change, tx| change.put_role(tx, renamed))
    }

    /// 42501 unless the user may change a role's comment.
    pub(super) fn check_role_right(&self, role: &Role, _message: &str) -> Result<()> {
        let own = self.user_role();
        match (role.superuser, own.superuser, own.create_role) {
            (_, true, _) | (false, _, true) => Ok(()),
            (true, false, _) => Err(refused("must be superuser")),
            (false, false, false) => Err(refused("must have CREATEROLE privilege")),
        }
    }

    fn check_role_free(&self, name: &str) -> Result<()> {
        self.claim_role(name)?;
        match self.image().role(name) {
            Some(_) => Err(Error::new(SqlState::DuplicateObject, format!("role \"{name}\" already exists"))),
            None => Ok(()),
        }
    }

    /// A role's name, whichever the database.
    fn claim_role(&self, name: &str) -> Result<()> {
        self.claim_shared("role", name)
    }

    /// The current user.
    pub(super) fn user_role(&self) -> Arc<Role> {
        let missing = || {
            Arc::new(Role {
                oid: Oid::NONE,
                name: String::new(),
                superuser: false,
                login: false,
                create_db: false,
                create_role: false,
                inherit: false,
                connection_limit: -1,
                password: None,
                valid_until: None,
            })
        };
        self.image().roles.get(&self.user).cloned().unwrap_or_else(missing)
    }
}

/// Indexes follow their tables.
fn owns(role: &Role, relation: &crate::catalog::image::Relation) -> bool {
    relation.owner == role.oid && relation.kind != crate::catalog::image::RelationKind::Index
}

fn owned_in(role: &Role, image: &Image) -> usize {
    image.relations.values().filter(|relation| owns(role, relation)).count()
        + image.schemas.values().filter(|schema| schema.owner == role.oid).count()
        + image.types.values().filter(|ty| ty.owner == role.oid).count()
}

fn refused(message: &str) -> Error {
    Error::new(SqlState::InsufficientPrivilege, message)
}

fn check_role_name(name: &str) -> Result<()> {
    if !name.starts_with("pg_") || fixed::PREDEFINED_ROLES.iter().any(|(_, taken)| *taken == name) {
        return Ok(());
    }
    let message = format!("role name \"{name}\" is reserved");
    Err(Error::new(SqlState::ReservedName, message).detail("Role names starting with \"pg_\" are reserved."))
}

/// Whether a text has the form of a verifier.
fn is_verifier(text: &str) -> bool {
    let Some((head, keys)) = text.strip_prefix("SCRAM-SHA-256$").and_then(|rest| rest.split_once('$')) else {
        return false;
    };
    let (Some((iterations, salt)), Some((stored, server))) = (head.split_once(':'), keys.split_once(':')) else {
        return false;
    };
    let key = |text: &str| BASE64.decode(text).is_ok_and(|key| key.len() == digest::SHA256_OUTPUT_LEN);
    iterations.parse::<u32>().is_ok_and(|n| n > 0) && BASE64.decode(salt).is_ok() && key(stored) && key(server)
}

/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
fn scram_verifier(password: &str, salt: &[u8; 16]) -> String {
    let mut salted = [0u8; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, SCRAM_ITERATIONS, salt, password.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client = hmac::sign(&key, b"Client Key");
    let stored = digest::digest(&digest::SHA256, client.as_ref());
    let server = hmac::sign(&key, b"Server Key");
    let [salt, stored, server] = [&salt[..], stored.as_ref(), server.as_ref()].map(|bytes| BASE64.encode(bytes));
    format!("SCRAM-SHA-256${SCRAM_ITERATIONS}:{salt}${stored}:{server}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verifier that PostgreSQL's `pg_be_scram_build_secret` gives for RFC 7677's example.
    #[test]
    fn verifiers() {
        let salt: [u8; 16] = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        let verifier = scram_verifier("pencil", &salt);
        let expected = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(verifier, expected);
        assert!(is_verifier(&verifier));
        assert!(!is_verifier("SCRAM-SHA-256$4096:bad") && !is_verifier("pencil"));
    }
}
