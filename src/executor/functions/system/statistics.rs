//! The `pg_stat_get_…` counters below PostgreSQL's statistics views: what is known, and NULL for all that nobody counts.

use super::super::inline::functions;
use super::super::macros::scalar;
use super::super::{CallContext, Implementation};
use crate::error::Result;
use crate::types::{Datum, Oid};

fn unknown(_: &CallContext, _: &[Datum]) -> Result<Datum> {
    Ok(Datum::Null)
}

fn sessions(ctx: &CallContext, database: Oid) -> Result<i32> {
    let rows = ctx.host.rows("pg_stat_get_activity")?;
    Ok(rows.iter().filter(|row| matches!(row.first(), Some(Datum::Oid(oid)) if *oid == database)).count() as i32)
}

functions! {
    KNOWN:
    raises(ctx) pg_stat_get_db_numbackends(database: Oid) -> i32 = sessions(ctx, database);
    safe(ctx) pg_stat_get_snapshot_timestamp() -> Option<i64> = None;
    safe(ctx) pg_stat_get_live_tuples(relation: Oid) -> i64 = ctx.host.row_estimate(relation).unwrap_or(0);
    raises(ctx) pg_stat_get_db_xact_commit(database: Oid) -> Datum = ctx.host.fact("commits");
    raises(ctx) pg_stat_get_db_xact_rollback(database: Oid) -> Datum = ctx.host.fact("rollbacks");
    raises(ctx) pg_stat_get_db_deadlocks(database: Oid) -> Datum = ctx.host.fact("deadlocks");
    safe pg_stat_clear_snapshot() -> &str = "";
}

macro_rules! unknown {
    ($($symbol:literal),* $(,)?) => { &[$(scalar($symbol, unknown, false)),*] };
}

/// Nobody counts these.
pub(super) static UNKNOWN: &[Implementation] = unknown! {
    "pg_indexam_progress_phasename",
"pg_stat_get_analyze_count", "pg_stat_get_archiver", "pg_stat_get_autoanalyze_count", "pg_stat_get_autovacuum_count", "pg_stat_get_backend_activity", "pg_stat_get_backend_activity_start", "pg_stat_get_backend_client_addr", "pg_stat_get_backend_client_port", "pg_stat_get_backend_dbid", "pg_stat_get_backend_pid", "pg_stat_get_backend_start", "pg_stat_get_backend_userid", "pg_stat_get_backend_wait_event", "pg_stat_get_backend_wait_event_type", "pg_stat_get_backend_xact_start", "pg_stat_get_bgwriter_buf_written_checkpoints", "pg_stat_get_bgwriter_buf_written_clean", "pg_stat_get_bgwriter_maxwritten_clean", "pg_stat_get_bgwriter_requested_checkpoints", "pg_stat_get_bgwriter_stat_reset_time", "pg_stat_get_bgwriter_timed_checkpoints", "pg_stat_get_blocks_fetched", "pg_stat_get_blocks_hit", "pg_stat_get_buf_alloc", "pg_stat_get_buf_fsync_backend", "pg_stat_get_buf_written_backend", "pg_stat_get_checkpoint_sync_time", "pg_stat_get_checkpoint_write_time", "pg_stat_get_db_active_time", "pg_stat_get_db_blk_read_time", "pg_stat_get_db_blk_write_time", "pg_stat_get_db_blocks_fetched", "pg_stat_get_db_blocks_hit", "pg_stat_get_db_checksum_failures", "pg_stat_get_db_checksum_last_failure", "pg_stat_get_db_conflict_all", "pg_stat_get_db_conflict_bufferpin", "pg_stat_get_db_conflict_lock", "pg_stat_get_db_conflict_snapshot", "pg_stat_get_db_conflict_startup_deadlock", "pg_stat_get_db_conflict_tablespace", "pg_stat_get_db_idle_in_transaction_time", "pg_stat_get_db_session_time", "pg_stat_get_db_sessions", "pg_stat_get_db_sessions_abandoned", "pg_stat_get_db_sessions_fatal", "pg_stat_get_db_sessions_killed", "pg_stat_get_db_stat_reset_time", "pg_stat_get_db_temp_bytes", "pg_stat_get_db_temp_files", "pg_stat_get_db_tuples_deleted", "pg_stat_get_db_tuples_fetched", "pg_stat_get_db_tuples_inserted", "pg_stat_get_db_tuples_returned", "pg_stat_get_db_tuples_updated", "pg_stat_get_dead_tuples", "pg_stat_get_function_calls", "pg_stat_get_function_self_time", "pg_stat_get_function_total_time", "pg_stat_get_ins_since_vacuum", "pg_stat_get_last_analyze_time", "pg_stat_get_last_autoanalyze_time", "pg_stat_get_last_autovacuum_time", "pg_stat_get_last_vacuum_time", "pg_stat_get_mod_since_analyze", "pg_stat_get_numscans", "pg_stat_get_replication_slot", "pg_stat_get_subscription_stats", "pg_stat_get_tuples_deleted", "pg_stat_get_tuples_fetched", "pg_stat_get_tuples_hot_updated", "pg_stat_get_tuples_inserted", "pg_stat_get_tuples_returned", "pg_stat_get_tuples_updated", "pg_stat_get_vacuum_count", "pg_stat_get_wal", "pg_stat_get_wal_receiver", "pg_stat_get_xact_blocks_fetched", "pg_stat_get_xact_blocks_hit", "pg_stat_get_xact_function_calls", "pg_stat_get_xact_function_self_time", "pg_stat_get_xact_function_total_time", "pg_stat_get_xact_numscans", "pg_stat_get_xact_tuples_deleted", "pg_stat_get_xact_tuples_fetched", "pg_stat_get_xact_tuples_hot_updated", "pg_stat_get_xact_tuples_inserted", "pg_stat_get_xact_tuples_returned", "pg_stat_get_xact_tuples_updated",
};
