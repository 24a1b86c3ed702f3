//! Statistics follow the data: a table that has changed a good deal since it was analysed is analysed again.
//!
//! What is a good deal is PostgreSQL's rule (`autovacuum_analyze_threshold` and `autovacuum_analyze_scale_factor` at their
//! defaults). Changes are counted in memory: of those before the last start of the server only insertions are known, by the
//! table's row ids.

use super::{Server, Session};
use crate::catalog::image::{Body, Database, Image};
use crate::error::Result;
use crate::types::Oid;
use lightning_storage::{Isolation, Transaction};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Changed rows beyond which a table is analysed: so many, and this part of its rows.
const THRESHOLD: f64 = 50.0;
const SCALE_FACTOR: f64 = 0.1;

/// Looks at all databases every `interval`, until the server stops.
pub(crate) async fn run(server: Weak<Server>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(server) = server.upgrade() else { return };
        if server.is_stopping() {
            return;
        }
        let databases: Vec<Arc<Database>> = match server.catalog.shared() {
            Ok(shared) => shared.databases.values().filter(|database| database.allow_connections).cloned().collect(),
            Err(_) => continue,
        };
        for database in databases {
            if let Err(error) = analyze_database(&server, &database).await {
                // A lock that others hold, a table or a database that has gone: next time, if it is still due.
                tracing::debug!("database {} is not analysed: {}", database.name, error.report().message);
            }
        }
    }
}

async fn analyze_database(server: &Arc<Server>, database: &Database) -> Result<()> {
    let image = server.catalog.image(database.oid)?;
    let tables = due(&image, &server.engine.begin(Isolation::ReadCommitted));
    // Whoever logs in as a superuser may analyse everything.
    let Some(role) = image.roles.values().filter(|role| role.superuser && role.login).min_by_key(|role| role.oid)
    else {
        return Ok(());
    };
    if tables.is_empty() {
        return Ok(());
    }
    let parameters = [("database", database.name.as_str()), ("application_name", "autovacuum"), ("lock_timeout", "1s")];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let backend = server.register()?;
    let analysed = match Session::open(server.clone(), backend.clone(), &role.name, &parameters) {
        Ok(mut session) => {
            let mut analysed = Ok(());
            for table in tables {
                analysed = session.analyze_automatically(table).await;
                if analysed.is_err() {
                    break;
                }
            }
            session.close().await;
            analysed
        }
        Err(error) => Err(error),
    };
    server.unregister(&backend);
    analysed
}

/// The tables whose statistics no longer tell much.
fn due(image: &Image, transaction: &Transaction) -> Vec<Oid> {
    let is_due = |oid: Oid, storage| {
        let bound = transaction.row_id_bound(storage).0;
        let (rows, analysed) = image.statistics.get(&oid).map_or((0.0, 1), |known| (known.rows, known.bound));
        let changes = transaction.row_changes(storage).max(bound.saturating_sub(analysed));
        changes as f64 > THRESHOLD + SCALE_FACTOR * rows
    };
    let tables = image.relations.values().filter(|relation| !relation.temporary);
    let due =
        tables.filter(|relation| matches!(relation.body, Body::Table { storage, .. } if is_due(relation.oid, storage)));
    due.map(|relation| relation.oid).collect()
}

impl Session {
    /// ANALYZE of a table in a transaction of its own.
    async fn analyze_automatically(&mut self, table: Oid) -> Result<()> {
        self.statement_time = super::now();
        let analysed = match self.run_ddl(|ctx| ctx.analyze_automatically(table)).await {
            Ok(()) => self.commit().await.map(|_| ()),
            Err(error) => Err(error),
        };
        if analysed.is_err() {
            self.rollback();
        }
        analysed
    }
}
