//! Sizes on disk, from the pages that storage's trees have, and their text.

use super::super::CallContext;
use super::super::inline::functions;
use super::{invalid, relation};
use crate::error::{Error, Result, SqlState};
use crate::types::numeric::Numeric;
use crate::types::{Datum, Oid, compare};

/// Bytes of one relation's own tree; other forks than main are always empty.
fn fork_size(ctx: &CallContext, oid: Oid, fork: &str) -> Result<Option<i64>> {
    match fork {
        "main" => Ok(ctx.host.relation_size(oid)),
        "fsm" | "vm" | "init" => Ok(relation(ctx, oid).map(|_| 0)),
        _ => Err(invalid("invalid fork name".to_owned())
            .hint("Valid fork names are \"main\", \"fsm\", \"vm\", and \"init\".")),
    }
}

fn indexes_size(ctx: &CallContext, oid: Oid) -> Option<i64> {
    let relation = relation(ctx, oid)?;
    Some(relation.indexes.iter().filter_map(|index| ctx.host.relation_size(index.oid)).sum())
}

fn total_size(ctx: &CallContext, oid: Oid) -> Option<i64> {
    Some(ctx.host.relation_size(oid)? + indexes_size(ctx, oid)?)
}

fn database_size_of_name(ctx: &CallContext, name: &str) -> Result<i64> {
    let image = ctx.host.catalog();
    match image.databases.values().find(|database| database.name == name) {
        Some(database) => ctx.host.database_size(database.oid),
        None => Err(Error::new(SqlState::InvalidCatalogName, format!("database \"{name}\" does not exist"))),
    }
}

fn database_size_of_oid(ctx: &CallContext, oid: Oid) -> Result<Option<i64>> {
    let known = ctx.host.catalog().databases.contains_key(&oid);
    known.then(|| ctx.host.database_size(oid)).transpose()
}

/// The sum of all databases, which are all in pg_default.
fn tablespace_size(ctx: &CallContext, oid: Oid) -> Result<Option<i64>> {
    match oid.0 {
        1663 => {
            let image = ctx.host.catalog();
            image.databases.keys().map(|database| ctx.host.database_size(*database)).sum::<Result<i64>>().map(Some)
        }
        1664 => Ok(Some(0)),
        _ => Ok(None),
    }
}

fn tablespace_size_of_name(ctx: &CallContext, name: &str) -> Result<Option<i64>> {
    match name {
        "pg_default" => tablespace_size(ctx, Oid(1663)),
        "pg_global" => tablespace_size(ctx, Oid(1664)),
        _ => Err(Error::new(SqlState::UndefinedObject, format!("tablespace \"{name}\" does not exist"))),
    }
}

/// Units, the size below which each is used (in that unit), whether it is rounded, and its power of two.
const UNITS: [(&str, i64, bool, u32); 6] = [
    ("bytes", 10 * 1024, false, 0),
    ("kB", 20 * 1024 - 1, true, 10),
    ("MB", 20 * 1024 - 1, true, 20),
    ("GB", 20 * 1024 - 1, true, 30),
    ("TB", 20 * 1024 - 1, true, 40),
    ("PB", 20 * 1024 - 1, true, 50),
];

/// `pg_size_pretty`: the largest unit with at least two digits, half a unit rounded away from zero. Sizes are kept at twice
/// their unit until they are rounded.
fn pretty(bytes: i128) -> String {
    let mut size = bytes;
    for (at, (name, limit, round, bits)) in UNITS.iter().enumerate() {
        let next = UNITS.get(at + 1);
        if next.is_none() || size.abs() < i128::from(*limit) {
            let shown = if *round { (size + size.signum()) / 2 } else { size };
            return format!("{shown} {name}");
        }
        if let Some((_, _, next_round, next_bits)) = next {
            size /= 1 << (next_bits - bits - u32::from(*next_round) + u32::from(*round));
        }
    }
    unreachable!("the last unit has no limit")
}

/// numeric's: bytes keep their fraction.
fn pretty_numeric(value: &Numeric) -> Result<String> {
    let limit = Numeric::from(10 * 1024);
    let (below, above) = (Numeric::from(-10 * 1024), limit);
    let small = compare::compare(&Datum::Numeric(value.clone()), &Datum::Numeric(above)).is_lt()
        && compare::compare(&Datum::Numeric(value.clone()), &Datum::Numeric(below)).is_gt();
    if small || !value.is_finite() {
        return Ok(format!("{value} bytes"));
    }
    Ok(pretty(i128::from(value.to_i64("bigint")?)))
}

/// `pg_size_bytes`: a number with an optional unit.
fn size_bytes(text: &str) -> Result<i64> {
    let bad = || invalid(format!("invalid size: \"{text}\""));
    let trimmed = text.trim();
    let mut end = 0;
    let bytes = trimmed.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    if matches!(bytes.first(), Some(b'+' | b'-')) {
        end += 1;
    }
    let start = end;
    end = digits(end);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if end == start {
        return Err(bad());
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let after = digits(end + 1 + sign);
        if after > end + 1 + sign {
            end = after;
        }
    }
    let number = Numeric::parse(&trimmed[..end]).ok_or_else(bad)?;
    let unit = trimmed[end..].trim();
    let factor: i64 = match UNITS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(unit)) {
        _ if unit.is_empty() => 1,
        Some((.., bits)) => 1 << bits,
        None => {
            return Err(bad()
                .detail(format!("Invalid size unit: \"{unit}\"."))
                .hint("Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\"."));
        }
    };
    number.mul(&Numeric::from(factor))?.to_i64("bigint")
}

/// `pg_column_size`: the bytes that a value takes in one of PostgreSQL's rows, uncompressed.
fn column_size(value: &Datum) -> Option<i32> {
    let varlena = |bytes: usize| (if bytes < 127 { bytes + 1 } else { bytes + 4 }) as i32;
    Some(match value {
        Datum::Null => return None,
        Datum::Bool(_) | Datum::Char(_) => 1,
        Datum::Int2(_) => 2,
        Datum::Int4(_) | Datum::Float4(_) | Datum::Date(_) | Datum::Oid(_) | Datum::Enum(..) => 4,
        Datum::Int8(_) | Datum::Float8(_) | Datum::Time(_) | Datum::Timestamp(_) | Datum::TimestampTz(_) => 8,
        Datum::TimeTz(..) => 12,
        Datum::Interval(_) | Datum::Uuid(_) => 16,
        Datum::Text(text) | Datum::Padded(text) => varlena(text.len()),
        Datum::Bytea(bytes) => varlena(bytes.len()),
        Datum::Jsonb(value) => varlena(value.bytes().len()),
        Datum::Numeric(number) => {
            let mut bytes = Vec::new();
            number.send(&mut bytes);
            varlena(bytes.len().saturating_sub(6))
        }
        Datum::Array(array) => {
            let items: i32 = array.items.iter().filter_map(column_size).sum();
            20 + 8 * array.dims.len().saturating_sub(1) as i32 + items
        }
        Datum::Record(fields) => 24 + fields.iter().filter_map(|(_, field)| column_size(field)).sum::<i32>(),
    })
}

functions! {
    TABLE:
    raises(ctx) pg_relation_size(relation: Oid, fork: &str) -> Option<i64> = fork_size(ctx, relation, fork);
    safe(ctx) pg_table_size(relation: Oid) -> Option<i64> = ctx.host.relation_size(relation);
    safe(ctx) pg_indexes_size(relation: Oid) -> Option<i64> = indexes_size(ctx, relation);
    safe(ctx) pg_total_relation_size(relation: Oid) -> Option<i64> = total_size(ctx, relation);
    raises(ctx) pg_database_size_name(name: &str) -> i64 = database_size_of_name(ctx, name);
    raises(ctx) pg_database_size_oid(database: Oid) -> Option<i64> = database_size_of_oid(ctx, database);
    raises(ctx) pg_tablespace_size_oid(tablespace: Oid) -> Option<i64> = tablespace_size(ctx, tablespace);
    raises(ctx) pg_tablespace_size_name(name: &str) -> Option<i64> = tablespace_size_of_name(ctx, name);
    safe pg_size_pretty(bytes: i64) -> String = pretty(i128::from(bytes));
    raises pg_size_pretty_numeric(bytes: &Numeric) -> String = pretty_numeric(bytes);
    raises pg_size_bytes(text: &str) -> i64 = size_bytes(text);
    safe pg_column_size(value: &Datum) -> Option<i32> = column_size(value);
}
