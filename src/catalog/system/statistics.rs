//! What ANALYZE has found, as pg_statistic's rows.

use super::cell::{NULL, only, row};
use super::{Key, SystemRelation, SystemRows};
use crate::catalog::builtin;
use crate::catalog::image::{Attribute, ColumnStatistics};
use crate::error::Result;
use crate::executor::functions::CallContext;
use crate::types::{Array, Datum, Oid, oid, text_io};
use std::sync::Arc;

/// Kinds of statistics: STATISTIC_KIND_MCV, HISTOGRAM, CORRELATION.
const COMMON: i16 = 1;
const HISTOGRAM: i16 = 2;
const CORRELATION: i16 = 3;
/// Slots of a row.
const SLOTS: usize = 5;

/// One slot: kind, operator, numbers, values.
struct Slot(i16, Oid, Datum, Datum);

pub(super) fn pg_statistic(_: &'static SystemRelation, ctx: &CallContext, key: Option<Key<'_>>) -> Result<SystemRows> {
    let image = ctx.host.catalog();
    let mut tables: Vec<_> = image.statistics.iter().collect();
    tables.sort_by_key(|(table, _)| **table);
    let mut rows = Vec::new();
    for (table, statistics) in tables {
        let Some(relation) = image.relations.get(table) else { continue };
        for attribute in relation.live_attributes() {
            if let Some(column) = statistics.columns.get(&attribute.number) {
                rows.push(row_of(*table, attribute, column, ctx));
            }
        }
    }
    Ok(only(key, rows))
}

fn row_of(table: Oid, attribute: &Attribute, column: &ColumnStatistics, ctx: &CallContext) -> Vec<Datum> {
    let operator = |name: &str| {
        let found = builtin::operators_named(name).find(|op| op.left == attribute.ty.oid && op.right == op.left);
        found.map_or(Oid::NONE, |operator| operator.oid)
    };
    let numbers = |numbers: Vec<f32>| {
        Datum::Array(Arc::new(Array::of(oid::FLOAT4, numbers.into_iter().map(Datum::Float4).collect())))
    };
    let values = |texts: Vec<&String>| {
        let read = |text: &String| text_io::input(text, attribute.ty, &ctx.text());
        match texts.into_iter().map(read).collect::<Result<Vec<_>>>() {
            Ok(items) => Datum::Array(Arc::new(Array::of(attribute.ty.oid, items))),
            // The column has another type by now.
            Err(_) => NULL,
        }
    };
    let mut slots: Vec<Slot> = Vec::new();
    if !column.common.is_empty() {
        let frequencies = numbers(column.common.iter().map(|(_, frequency)| *frequency).collect());
        let common = values(column.common.iter().map(|(value, _)| value).collect());
        slots.push(Slot(COMMON, operator("="), frequencies, common));
    }
    if !column.histogram.is_empty() {
        slots.push(Slot(HISTOGRAM, operator("<"), NULL, values(column.histogram.iter().collect())));
    }
    if let Some(correlation) = column.correlation {
        slots.push(Slot(CORRELATION, operator("<"), numbers(vec![correlation]), NULL));
    }
    slots.resize_with(SLOTS, || Slot(0, Oid::NONE, NULL, NULL));
    let mut row = row![table, attribute.number, false, column.null_fraction, column.width, column.distinct];
    row.extend(slots.iter().map(|slot| Datum::Int2(slot.0)));
    row.extend(slots.iter().map(|slot| Datum::Oid(slot.1)));
    row.extend((0..SLOTS).map(|_| Datum::Oid(Oid::NONE)));
    row.extend(slots.iter().map(|slot| slot.2.clone()));
    row.extend(slots.into_iter().map(|slot| slot.3));
    row
}
