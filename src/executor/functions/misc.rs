//! Functions with an effect or of chance (random, gen_random_uuid, pg_sleep), and the types' send functions.

use super::CallContext;
use super::inline::functions;
use super::macros::strict;
use crate::error::{Error, Result, SqlState};
use crate::types::{Datum, Type, binary_io, oid, text_io};
use bytes::BytesMut;

fn setseed(ctx: &CallContext, seed: f64) -> Result<Datum> {
    if !(-1.0..=1.0).contains(&seed) {
        let shown = match seed {
            seed if seed.is_nan() => "NaN".to_owned(),
            f64::INFINITY => "Infinity".to_owned(),
            f64::NEG_INFINITY => "-Infinity".to_owned(),
            seed => seed.to_string(),
        };
        let message = format!("setseed parameter {shown} is out of allowed range [-1,1]");
        return Err(Error::new(SqlState::InvalidParameterValue, message));
    }
    ctx.host.seed_random(seed)?;
    Ok(void())
}

/// What functions of type void give.
fn void() -> Datum {
    Datum::Text("".into())
}

/// A random uuid of version 4.
fn random_uuid() -> [u8; 16] {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

fn pg_sleep(ctx: &CallContext, seconds: f64) -> Result<Datum> {
    // Infinity is the longest time that fits; what is no number is no time.
    ctx.host.sleep((seconds * 1e6) as i64, ctx.statement_time)?;
    Ok(void())
}

/// A value in its type's binary form (an enum's is not among them), which is what a send function gives.
fn send(value: &Datum, ty: Type) -> Datum {
    let mut out = BytesMut::new();
    binary_io::send(value, ty, &text_io::NoNames, &mut out);
    Datum::Bytea(out.freeze())
}

functions! {
    TABLE:
    safe(ctx) drandom() -> f64 = ctx.host.random();
    raises(ctx) setseed(seed: f64) -> Datum = setseed(ctx, seed);
    safe gen_random_uuid() -> [u8; 16] = random_uuid();
    raises(ctx) pg_sleep(seconds: f64) -> Datum = pg_sleep(ctx, seconds);
    safe xideq(a: &Datum, b: &Datum) -> bool = transaction_id(a) == transaction_id(b);
    safe xidneq(a: &Datum, b: &Datum) -> bool = transaction_id(a) != transaction_id(b);
    raises(ctx) lightning_sample(row: i64, run: i64, percent: Option<f32>, repeats: bool, seed: Option<f64>) -> bool = {
        sample(ctx, row / run.max(1), percent, repeats, seed)
    };
    safe cideq(a: &Datum, b: &Datum) -> bool = transaction_id(a) == transaction_id(b);
}

/// Whether TABLESAMPLE takes a row, or a run of rows, of this number.
fn sample(ctx: &CallContext, number: i64, percent: Option<f32>, repeats: bool, seed: Option<f64>) -> Result<bool> {
    let refuse = |code, message: &str| Err(Error::new(code, message));
    let percent = match percent {
        None => return refuse(SqlState::InvalidTablesampleArgument, "TABLESAMPLE parameter cannot be null"),
        Some(percent) if (0.0..=100.0).contains(&percent) => percent,
        Some(_) => {
            return refuse(SqlState::InvalidTablesampleArgument, "sample percentage must be between 0 and 100");
        }
    };
    let seed = match (repeats, seed) {
        (false, _) => ctx.statement_time as u64,
        (true, Some(seed)) => seed.to_bits(),
        (true, None) => {
            return refuse(SqlState::InvalidTablesampleRepeat, "TABLESAMPLE REPEATABLE parameter cannot be null");
        }
    };
    // Two rounds of splitmix64, so that neighbours have nothing in common.
    let mix = |value: u64| {
        let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    };
    let hash = mix(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ number as u64) >> 32;
    Ok((hash as f64) < (f64::from(percent) / 100.0) * 4_294_967_296.0)
}

/// xid and cid against each other or an int4: 32 bits without a sign.
fn transaction_id(value: &Datum) -> u32 {
    match value {
        Datum::Oid(id) => id.0,
        Datum::Int4(id) => *id as u32,
        _ => 0,
    }
}

macro_rules! sends {
    ($($symbol:ident: $ty:ident;)*) => {
        $(
            fn $symbol(_: &CallContext, args: &[Datum]) -> Result<Datum> {
                Ok(send(&args[0], Type::new(oid::$ty)))
            }
        )*
        strict! {
            SENDS:
            $($symbol = safe_row;)*
        }
    };
}

sends! {
    boolsend: BOOL;
    byteasend: BYTEA;
    charsend: CHAR;
    cidsend: CID;
    date_send: DATE;
    float4send: FLOAT4;
    float8send: FLOAT8;
    int2send: INT2;
    int4send: INT4;
    int8send: INT8;
    interval_send: INTERVAL;
    json_send: JSON;
    jsonb_send: JSONB;
    namesend: NAME;
    numeric_send: NUMERIC;
    oidsend: OID;
    regclasssend: REGCLASS;
    regcollationsend: REGCOLLATION;
    regnamespacesend: REGNAMESPACE;
    regoperatorsend: REGOPERATOR;
    regopersend: REGOPER;
    regproceduresend: REGPROCEDURE;
    regprocsend: REGPROC;
    regrolesend: REGROLE;
    regtypesend: REGTYPE;
    textsend: TEXT;
    time_send: TIME;
    timestamp_send: TIMESTAMP;
    timestamptz_send: TIMESTAMPTZ;
    timetz_send: TIMETZ;
    unknownsend: UNKNOWN;
    uuid_send: UUID;
    varcharsend: VARCHAR;
    xidsend: XID;
}
