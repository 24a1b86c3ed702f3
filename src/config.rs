//! Every knob of the server with its unit and default: flags, then `LIGHTNING_*` environment, then the config file.

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Lightning DB: transactions and analytics on one copy of the data, over PostgreSQL's protocol.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts the server; creates the database when the folder is empty.
    Start(Box<StartArgs>),
    /// Walks every structure of a stopped database and reports damage.
    Check {
        /// The database's folder.
        #[arg(long, env = "LIGHTNING_DATA_DIR", default_value = "./data")]
        data_dir: PathBuf,
    },
}

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// Nobody is asked for a password; only for loopback.
    #[default]
    Trust,
    /// SCRAM-SHA-256 against the role's stored verifier.
    #[value(name = "scram-sha-256", alias = "scram-sha256")]
    #[serde(rename = "scram-sha-256", alias = "scram-sha256")]
    ScramSha256,
}

/// `lightning start`; a knob that is not given takes the config file's value, then its default.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StartArgs {
    /// TOML file with these same knobs by their long names.
    #[arg(long, env = "LIGHTNING_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// The database's folder, created when missing [default: ./data].
    #[arg(long, env = "LIGHTNING_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:5432].
    #[arg(long, env = "LIGHTNING_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Authentication [default: trust].
    #[arg(long, env = "LIGHTNING_AUTH")]
    pub auth: Option<Auth>,
    /// Certificate chain in PEM; turns TLS on, with `--tls-key`.
    #[arg(long, env = "LIGHTNING_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key in PEM.
    #[arg(long, env = "LIGHTNING_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Listens beyond loopback even though clients come in without TLS or without passwords.
    #[arg(long, env = "LIGHTNING_ALLOW_INSECURE_REMOTE", num_args = 0..=1, default_missing_value = "true")]
    pub allow_insecure_remote: Option<bool>,
    /// Connections at once [default: 100].
    #[arg(long, env = "LIGHTNING_MAX_CONNECTIONS")]
    pub max_connections: Option<usize>,
    /// Buffer pool in MiB [default: 256].
    #[arg(long, env = "LIGHTNING_BUFFER_POOL_MB")]
    pub buffer_pool_mb: Option<usize>,
    /// Memory that the sorts, hashes and stores of all statements together may take in MiB [default: 1024].
    #[arg(long, env = "LIGHTNING_STATEMENT_MEMORY_MB")]
    pub statement_memory_mb: Option<usize>,
    /// Memory of one sort, hash or store in KiB before it goes on in temporary files [default: 65536].
    #[arg(long, env = "LIGHTNING_WORK_MEM_KB")]
    pub work_mem_kb: Option<usize>,
    /// Session time zone [default: UTC].
    #[arg(long, env = "LIGHTNING_TIMEZONE")]
    pub timezone: Option<String>,
    /// Seconds between two looks for tables that have changed enough to be analysed again; 0: never [default: 60].
    #[arg(long, env = "LIGHTNING_ANALYZE_INTERVAL_SECONDS")]
    pub analyze_interval_seconds: Option<u64>,
}

/// The resolved configuration of a server.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Config {
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    pub auth: Auth,
    pub tls: Option<(PathBuf, PathBuf)>,
    pub max_connections: usize,
    /// Bytes.
    pub buffer_pool_bytes: usize,
    /// Bytes for the sorts, hashes and stores of all statements together.
    pub statement_memory_bytes: usize,
    /// Bytes.
    pub work_mem_bytes: usize,
    pub timezone: String,
    /// Between two looks for tables to be analysed again; zero: never.
    pub analyze_interval: Duration,
}

impl StartArgs {
    /// Joins flags and environment with the config file and the defaults.
    ///
    /// # Errors
    /// A readable sentence: an unreadable or malformed file, or an address beyond loopback without TLS and passwords.
    pub fn resolve(self) -> Result<Config, String> {
        let file = match &self.config {
            None => StartArgs::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| format!("could not read configuration file {}: {e}", path.display()))?;
                toml::from_str(&text).map_err(|e| format!("configuration file {}: {e}", path.display()))?
            }
        };
        let default_listen = SocketAddr::from(([127, 0, 0, 1], 5432));
        let mebibytes = self.buffer_pool_mb.or(file.buffer_pool_mb).unwrap_or(256);
        let config = Config {
            data_dir: self.data_dir.or(file.data_dir).unwrap_or_else(|| PathBuf::from("./data")),
            listen: self.listen.or(file.listen).unwrap_or(default_listen),
            auth: self.auth.or(file.auth).unwrap_or_default(),
            tls: self.tls_cert.or(file.tls_cert).zip(self.tls_key.or(file.tls_key)),
            max_connections: self.max_connections.or(file.max_connections).unwrap_or(100),
            buffer_pool_bytes: mebibytes.max(8) << 20,
            statement_memory_bytes: self.statement_memory_mb.or(file.statement_memory_mb).unwrap_or(1024).max(16) << 20,
            work_mem_bytes: self.work_mem_kb.or(file.work_mem_kb).unwrap_or(65_536).max(64) << 10,
            timezone: self.timezone.or(file.timezone).unwrap_or_else(|| "UTC".to_owned()),
            analyze_interval: Duration::from_secs(
                self.analyze_interval_seconds.or(file.analyze_interval_seconds).unwrap_or(60),
            ),
        };
        let insecure = config.tls.is_none() || config.auth == Auth::Trust;
        let allowed = self.allow_insecure_remote.or(file.allow_insecure_remote).unwrap_or(false);
        if !config.listen.ip().is_loopback() && insecure && !allowed {
            return Err(format!(
                "refusing to listen on {} without TLS and passwords: give --tls-cert, --tls-key and \
                 --auth scram-sha-256, or say --allow-insecure-remote",
                config.listen
            ));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_beyond_loopback_needs_tls_and_passwords() {
        let open = StartArgs { listen: Some("0.0.0.0:5432".parse().unwrap()), ..StartArgs::default() };
        assert!(open.clone().resolve().unwrap_err().contains("--allow-insecure-remote"));
        let told = StartArgs { allow_insecure_remote: Some(true), ..open.clone() };
        assert!(told.resolve().is_ok());
        let tls_only = StartArgs { tls_cert: Some("c".into()), tls_key: Some("k".into()), ..open };
        assert!(tls_only.resolve().is_err());
    }
}
