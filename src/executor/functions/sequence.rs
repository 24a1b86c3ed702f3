//! Sequence functions; the session keeps the sequences and what was last drawn from them.

use super::inline::functions;
use crate::types::Oid;

functions! {
    TABLE:
    raises(ctx) nextval_oid(sequence: Oid) -> i64 = ctx.host.nextval(sequence);
    raises(ctx) currval_oid(sequence: Oid) -> i64 = ctx.host.currval(Some(sequence));
    raises(ctx) lastval() -> i64 = ctx.host.currval(None);
    raises(ctx) setval_oid(sequence: Oid, value: i64) -> i64 = ctx.host.setval(sequence, value, true);
    // What the columns of a sequence read as a table show; no functions of pg_proc.
    raises(ctx) lightning_sequence_value(sequence: Oid) -> i64 = ctx.host.sequence_state(sequence).map(|(value, _)| value);
    raises(ctx) lightning_sequence_called(sequence: Oid) -> bool = ctx.host.sequence_state(sequence).map(|(_, called)| called);
    raises(ctx) setval3_oid(sequence: Oid, value: i64, called: bool) -> i64 = ctx.host.setval(sequence, value, called);
}
