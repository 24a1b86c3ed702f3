//! Which server, and how its errors read.

use anyhow::{Result, anyhow};
use clap::Args;
use tokio_postgres::{Client, NoTls};

/// Which server, and how to print.
#[derive(Clone, Debug, Args)]
pub struct Target {
    /// The database: postgresql://user:password@host:port/database
    #[arg(long, env = "TPC_URL", default_value = "postgresql://postgres@127.0.0.1:5432/postgres")]
    pub url: String,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

pub(crate) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.map_err(|e| anyhow!("no connection to {url}: {}", reason(&e)))?;
    // The connection's error reaches whoever waits for an answer.
    tokio::spawn(connection);
    Ok(client)
}

/// A server's error in one line with its SQLSTATE, or the transport's.
pub(crate) fn reason(error: &tokio_postgres::Error) -> String {
    use std::error::Error;
    match (error.as_db_error(), error.source()) {
        (Some(report), _) => {
            let detail = report.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("{} [{}]{detail}", report.message(), report.code().code())
        }
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}
