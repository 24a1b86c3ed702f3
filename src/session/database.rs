//! CREATE and DROP DATABASE: outside of blocks, in databases that nobody else is in.

use super::Session;
use super::transaction::Block;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::utility::{CreateDatabase, DefValue, Drop, Rename};
use crate::types::Oid;
use std::time::Duration;

/// How long sessions that are ending are waited for: tries, and the time between two.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

impl Session {
    /// 25001 inside of a block or of a list of statements.
    pub(super) fn prevent_in_block(&self, what: &str) -> Result<()> {
        if !matches!(self.block, Block::Explicit | Block::Failed) && !self.in_list {
            return Ok(());
        }
        Err(Error::new(SqlState::ActiveSqlTransaction, format!("{what} cannot run inside a transaction block")))
    }

    pub(super) async fn create_database(&mut self, create: &CreateDatabase) -> Result<&'static str> {
        self.prevent_in_block("CREATE DATABASE")?;
        let template = create.options.iter().find(|option| option.name == "template");
        let template = match template.and_then(|option| option.value.as_ref()) {
            Some(DefValue::Text(name)) => name.as_str(),
            _ => "template1",
        };
        self.wait_for_others(template).await?;
        let tag = self.run_ddl(|ctx| ctx.create_database(create)).await?;
        self.commit().await?;
        Ok(tag)
    }

    pub(super) async fn drop_database(&mut self, drop: &Drop) -> Result<&'static str> {
        self.prevent_in_block("DROP DATABASE")?;
        let name = drop.names.first().map_or("", |name| name.name());
        let image = self.image()?;
        let Some(database) = image.database_named(name).cloned() else {
            return self.run_ddl(|ctx| ctx.drop_database(name, drop.if_exists)).await;
        };
        let may = image.acts_for(self.user(&image), database.owner) && !database.is_template;
        let server = self.server.clone();
        if drop.force && may && database.oid != self.database {
            server.end_others(database.oid, self.backend.pid);
        }
        if may && database.oid != self.database {
            self.wait_for_others(name).await?;
        }
        // From here on nobody new comes in; who is in already makes the statement fail.
        let closed = server.close_database(database.oid);
        let tag = self.run_ddl(|ctx| ctx.drop_database(name, drop.if_exists)).await?;
        self.commit().await?;
        std::mem::drop(closed);
        Ok(tag)
    }

    pub(super) async fn rename_database(&mut self, rename: &Rename) -> Result<()> {
        let Some(database) = self.image()?.database_named(rename.name.name()).map(|database| database.oid) else {
            return Ok(());
        };
        if database != self.database {
            self.wait_for_others(rename.name.name()).await?;
        }
        Ok(())
    }

    /// Gives sessions in a database that are about to end the time to do so.
    async fn wait_for_others(&mut self, name: &str) -> Result<()> {
        let Some(oid) = self.image()?.database_named(name).map(|database| database.oid) else { return Ok(()) };
        for _ in 0..TRIES {
            if self.others_in(oid) == 0 {
                break;
            }
            self.check_interrupts()?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    fn others_in(&self, database: Oid) -> usize {
        self.server.sessions_in(database, self.backend.pid)
    }
}
