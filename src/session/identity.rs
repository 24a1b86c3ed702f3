//! Who the session is: the role that logged in, SET SESSION AUTHORIZATION, SET ROLE.
//!
//! Both are settings with transactional undo; `is_superuser` follows the current role, as in PostgreSQL.

use super::Session;
use crate::catalog::image::{Image, Role};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::utility::{Set, SetValue};
use crate::types::Oid;
use std::sync::Arc;

impl Session {
    /// Whose rights count.
    pub(super) fn user(&self, image: &Image) -> Oid {
        self.host.current_user(image)
    }

    /// SET ROLE and SET SESSION AUTHORIZATION, RESET of them too.
    pub(super) fn set_identity(&mut self, set: &Set) -> Result<()> {
        self.ensure_transaction()?;
        let image = self.image()?;
        let name = match set.values.as_deref() {
            None => None,
            Some([SetValue::Text(name) | SetValue::Number(name) | SetValue::Interval(name)]) => Some(name.as_str()),
            Some(_) => {
                let message = format!("SET {} takes only one argument", set.name);
                return Err(Error::new(SqlState::InvalidParameterValue, message));
            }
        };
        match set.name.as_str() {
            "role" => self.set_role(&image, name.filter(|name| *name != "none"), set.local),
            _ => self.set_authorization(&image, name, set.local),
        }
    }

    fn set_role(&mut self, image: &Image, name: Option<&str>, local: bool) -> Result<()> {
        let session = self.host.session_user(image);
        let role = match name {
            None => image.roles.get(&session).cloned(),
            Some(name) => {
                let role = role(image, name)?;
                if role.oid != session && !image.is_superuser(session) {
                    let message = format!("permission denied to set role \"{name}\"");
                    return Err(Error::new(SqlState::InsufficientPrivilege, message));
                }
                Some(role)
            }
        };
        let depth = self.depth();
        let mut settings = self.settings.lock();
        settings.set_identity("role", name.unwrap_or("none"), local, depth);
        settings.set_identity("is_superuser", on(role.is_some_and(|role| role.superuser)), local, depth);
        Ok(())
    }

    fn set_authorization(&mut self, image: &Image, name: Option<&str>, local: bool) -> Result<()> {
        let login = image.roles.get(&self.login).cloned();
        let role = match name {
            None => login.ok_or_else(|| Error::internal("the role that logged in is gone"))?,
            Some(name) => {
                let role = role(image, name)?;
                if role.oid != self.login && !login.is_some_and(|login| login.superuser) {
                    let message = "permission denied to set session authorization";
                    return Err(Error::new(SqlState::InsufficientPrivilege, message));
                }
                role
            }
        };
        let depth = self.depth();
        let mut settings = self.settings.lock();
        settings.set_identity("session_authorization", &role.name, local, depth);
        settings.set_identity("role", "none", local, depth);
        settings.set_identity("is_superuser", on(role.superuser), local, depth);
        Ok(())
    }
}

fn on(flag: bool) -> &'static str {
    if flag { "on" } else { "off" }
}

fn role(image: &Image, name: &str) -> Result<Arc<Role>> {
    let found = image.role(name).cloned();
    found.ok_or_else(|| Error::new(SqlState::InvalidParameterValue, format!("role \"{name}\" does not exist")))
}
