//! The time zones that there are: pg_timezone_names and pg_timezone_abbrevs.

use crate::error::Result;
use crate::executor::functions::CallContext;
use crate::executor::functions::macros::strict;
use crate::types::datetime::calendar::USECS_PER_SEC;
use crate::types::timezone::{self, Abbreviation};
use crate::types::{Datum, Interval, Type, oid};
use std::sync::Arc;

type Rows = Box<dyn Iterator<Item = Result<Datum>> + Send>;

fn offset(east: i32) -> (Type, Datum) {
    let micros = i64::from(east) * USECS_PER_SEC;
    (Type::new(oid::INTERVAL), Datum::Interval(Interval { months: 0, days: 0, micros }))
}

fn text(value: &str) -> (Type, Datum) {
    (Type::new(oid::TEXT), Datum::Text(value.into()))
}

fn boolean(value: bool) -> (Type, Datum) {
    (Type::new(oid::BOOL), Datum::Bool(value))
}

/// (name, abbrev, utc_offset, is_dst) of each zone, as they are now.
fn pg_timezone_names(ctx: &CallContext, _: &[Datum]) -> Result<Rows> {
    let now = ctx.transaction_time;
    let names: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    Ok(Box::new(names.into_iter().filter_map(move |name| {
        let (zone, canonical) = timezone::named(&name)?;
        let (east, summer, letters) = timezone::offset_info(&zone, now);
        let row: [(Type, Datum); 4] = [text(&canonical), text(&letters), offset(east), boolean(summer)];
        Some(Ok(Datum::Record(Arc::new(row))))
    })))
}

/// (abbrev, utc_offset, is_dst) of each abbreviation that date/time input knows, as it is now.
fn pg_timezone_abbrevs(ctx: &CallContext, _: &[Datum]) -> Result<Rows> {
    let now = ctx.transaction_time;
    Ok(Box::new(timezone::abbreviations().map(move |(name, meaning)| {
        let (east, summer) = match meaning {
            Abbreviation::Fixed { east, summer } => (east, summer),
            Abbreviation::Zone(zone) => timezone::use_of_abbreviation(&zone, name, now)
                .unwrap_or_else(|| (timezone::offset_at(&zone, now), false)),
        };
        let row: [(Type, Datum); 3] = [text(&name.to_ascii_uppercase()), offset(east), boolean(summer)];
        Ok(Datum::Record(Arc::new(row)))
    })))
}

strict! {
    TABLE:
    pg_timezone_names = set;
    pg_timezone_abbrevs = set;
}
