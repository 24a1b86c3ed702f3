//! ANALYZE and VACUUM: what PostgreSQL's planner statistics say of a table, from a sample of its rows.
//!
//! Per column the fraction of NULLs, the average width, the number of distinct values (Haas and Stokes 1998, estimator
//! Duj1), the most common values with their frequencies, a histogram of the rest with equally filled buckets, and how closely the rows'
//! order follows the values', all by PostgreSQL's rules (`analyze.c`). They are catalog rows: a ROLLBACK takes them back.
//! VACUUM cleans up as the server always does, and counts.

use super::{DdlContext, not_owner};
use crate::catalog::image::{Attribute, Body, ColumnStatistics, Relation, RelationKind, TableStatistics};
use crate::error::{Error, Report, Result, SqlState};
use crate::sql::ast::utility::{Analyze, DefElem, DefValue, Vacuum};
use crate::sql::ast::{Ident, ObjectName};
use crate::types::{Datum, Oid, compare, physical, text_io};
use lightning_storage::{ColumnNo, LockMode, ObjectId, RowBuffer, RowId, Value};
use std::cmp::Ordering;
use std::sync::Arc;

/// Rows sampled per unit of default_statistics_target.
const ROWS_PER_TARGET: usize = 300;
/// The part of a sample that is drawn before it, to see how many of the row ids are taken.
const PROBE: usize = 10;
/// Rows read from storage at a time.
const ROWS_AT_A_TIME: usize = 1024;
/// Row ids per row beyond which rows are not looked for by random ids.
const SPARSE: f64 = 16.0;
/// Values of more bytes are counted, not kept.
const WIDTH_MAX: usize = 1024;

/// A sample of a table's rows, in the order of the table.
struct Sample {
    /// By column, then by row.
    columns: Vec<Vec<Datum>>,
    rows: usize,
    /// Rows of the whole table.
    total: f64,
}

impl Sample {
    fn new(columns: &[Attribute]) -> Sample {
        Sample { columns: columns.iter().map(|_| Vec::new()).collect(), rows: 0, total: 0.0 }
    }

    /// Takes each row with a chance.
    fn take(&mut self, rows: &RowBuffer, columns: &[Attribute], chance: f64) -> Result<()> {
        for i in 0..rows.len() {
            if chance < 1.0 && !rand::random_bool(chance) {
                continue;
            }
            let row = rows.row(i);
            for (attribute, values) in columns.iter().zip(&mut self.columns) {
                values.push(match row.get(ColumnNo(attribute.storage)) {
                    Value::Null => Datum::Null,
                    cell => physical::from_value(cell, attribute.ty)?,
                });
            }
            self.rows += 1;
        }
        Ok(())
    }
}

impl DdlContext<'_> {
    /// ANALYZE.
    ///
    /// # Errors
    /// PostgreSQL's; a wait.
    pub fn analyze(&mut self, analyze: &Analyze) -> Result<&'static str> {
        check_options("ANALYZE", &analyze.options, &["verbose", "skip_locked", "buffer_usage_limit"])?;
        let targets = self.targets(&analyze.tables, "analyze")?;
        for (table, columns) in targets {
            self.analyze_table(&table, &columns)?;
        }
        Ok("ANALYZE")
    }

    /// ANALYZE of a table that is due; fine if it has gone.
    ///
    /// # Errors
    /// PostgreSQL's; a wait.
    pub fn analyze_automatically(&mut self, table: Oid) -> Result<()> {
        match self.image().relations.get(&table).cloned() {
            Some(relation) if matches!(relation.body, Body::Table { .. }) => self.analyze_table(&relation, &[]),
            _ => Ok(()),
        }
    }

    /// VACUUM, whose cleaning the caller does: names are checked, rows are counted.
    ///
    /// # Errors
    /// PostgreSQL's; a wait.
    pub fn vacuum(&mut self, vacuum: &Vacuum) -> Result<&'static str> {
        let known = [
            "full",
            "freeze",
            "verbose",
            "analyze",
            "disable_page_skipping",
            "skip_locked",
            "index_cleanup",
            "process_toast",
            "truncate",
            "parallel",
        ];
        check_options("VACUUM", &vacuum.options, &known)?;
        let analyze = is_on(&vacuum.options, "analyze");
        if is_on(&vacuum.options, "full") && is_on(&vacuum.options, "disable_page_skipping") {
            let message = "VACUUM option DISABLE_PAGE_SKIPPING cannot be used with FULL";
            return Err(Error::new(SqlState::FeatureNotSupported, message));
        }
        if !analyze && vacuum.tables.iter().any(|(_, columns)| !columns.is_empty()) {
            let message = "ANALYZE option must be specified when a column list is provided";
            return Err(Error::new(SqlState::FeatureNotSupported, message));
        }
        for (table, columns) in self.targets(&vacuum.tables, "vacuum")? {
            if analyze {
                self.analyze_table(&table, &columns)?;
            } else if let Body::Table { storage, .. } = table.body {
                let rows = self.with(|tx| Ok(tx.row_estimate(storage)))? as f64;
                self.put_counts(&table, rows)?;
            }
        }
        Ok("VACUUM")
    }

    /// The tables meant: those named, or all that are the user's.
    fn targets(&mut self, named: &[(ObjectName, Vec<Ident>)], verb: &str) -> Result<Vec<(Arc<Relation>, Vec<Ident>)>> {
        let mut targets = Vec::new();
        if named.is_empty() {
            let image = self.image().clone();
            let mine = |relation: &&Arc<Relation>| {
                let own_schema = !relation.temporary || Some(relation.schema) == self.temp_schema();
                matches!(relation.body, Body::Table { .. }) && own_schema && self.may_maintain(relation)
            };
            targets.extend(image.relations.values().filter(mine).map(|relation| (relation.clone(), Vec::new())));
            targets.sort_by_key(|(relation, _)| relation.oid);
            return Ok(targets);
        }
        for (name, columns) in named {
            let relation = self.find_required(name)?;
            if relation.kind != RelationKind::Table {
                let what = if verb == "vacuum" {
                    "vacuum non-tables or special system tables"
                } else {
                    "analyze non-tables or special system tables"
                };
                self.skip(format!("skipping \"{}\" --- cannot {what}", relation.name));
                continue;
            }
            if matches!(relation.body, Body::System(_)) {
                continue;
            }
            if !self.may_maintain(&relation) {
                self.skip(format!("skipping \"{}\" --- only table or database owner can {verb} it", relation.name));
                continue;
            }
            targets.push((relation, columns.clone()));
        }
        Ok(targets)
    }

    fn skip(&mut self, message: String) {
        self.notices.push(Report { code: SqlState::Warning, message, ..Report::default() });
    }

    /// A table's owner and the database's may.
    fn may_maintain(&self, relation: &Relation) -> bool {
        let image = self.image();
        let database = image.databases.get(&image.database);
        image.acts_for(self.user, relation.owner)
            || database.is_some_and(|database| image.acts_for(self.user, database.owner))
    }

    fn analyze_table(&mut self, table: &Arc<Relation>, columns: &[Ident]) -> Result<()> {
        let wanted = wanted_columns(table, columns)?;
        self.lock(table.oid, LockMode::ShareUpdateExclusive)?;
        let Body::Table { storage, .. } = table.body else { return Err(not_owner("table", &table.name)) };
        let changes = self.with(|tx| Ok(tx.row_changes(storage)))?;
        let target: usize =
            self.bind.call.host.setting("default_statistics_target").and_then(|t| t.parse().ok()).unwrap_or(100);
        let sample = self.sample(storage, &wanted, target * ROWS_PER_TARGET)?;
        let before = self.image().statistics.get(&table.oid).cloned();
        let mut statistics = before.map_or_else(TableStatistics::default, |before| (*before).clone());
        statistics.bound = self.with(|tx| Ok(tx.row_id_bound(storage)))?.0;
        statistics.rows = sample.total;
        if sample.rows > 0 {
            for (attribute, values) in wanted.iter().zip(sample.columns) {
                let counted = self.column(attribute, values, sample.rows, sample.total, target);
                statistics.columns.insert(attribute.number, counted);
            }
        }
        let oid = table.oid;
        self.change(|change, tx| change.put_statistics(tx, oid, statistics))?;
        self.put_counts(table, sample.total)?;
        self.with(|tx| {
            tx.forget_row_changes(storage, changes);
            Ok(())
        })
    }

    /// reltuples of a table and its indexes.
    fn put_counts(&mut self, table: &Relation, rows: f64) -> Result<()> {
        for oid in std::iter::once(table.oid).chain(table.indexes.iter().map(|index| index.oid)) {
            let relation = self.table(oid)?;
            if (relation.row_estimate - rows).abs() > f64::EPSILON {
                self.put_relation(Relation { row_estimate: rows, ..(*relation).clone() })?;
            }
        }
        Ok(())
    }

    /// About `limit` rows: all of a small table, of a large one those that have one of as many random row ids, or, where few ids
    /// are taken, each row with the same chance. Rows are drawn one by one: those that lie together are alike (the lines of an
    /// order), and runs of them would say that values repeat.
    fn sample(&self, table: ObjectId, columns: &[Attribute], limit: usize) -> Result<Sample> {
        let mut sample = Sample::new(columns);
        let ids = self.with(|tx| Ok(tx.row_id_bound(table)))?.0 - 1;
        let mut chance = 1.0;
        if ids > limit as u64 {
            let mut found = 0;
            let tried = self.look_up(table, ids, limit / PROBE, &mut |rows| {
                found += rows.len();
                Ok(())
            })?;
            let density = (found as f64 / tried as f64).clamp(1.0 / SPARSE, 1.0);
            let tried = self
                .look_up(table, ids, (limit as f64 / density) as usize, &mut |rows| sample.take(rows, columns, 1.0))?;
            sample.total = (sample.rows as f64 / tried as f64 * ids as f64).round();
            if sample.rows * SPARSE as usize >= limit {
                return Ok(sample);
            }
            let mut rows = 0;
            self.read_all(table, &mut |found| {
                rows += found.len();
                Ok(())
            })?;
            sample = Sample { total: rows as f64, ..Sample::new(columns) };
            chance = limit as f64 / rows.max(limit) as f64;
        }
        self.read_all(table, &mut |rows| sample.take(rows, columns, chance))?;
        sample.total = sample.total.max(sample.rows as f64);
        Ok(sample)
    }

    /// Gives `each` all rows, some at a time.
    fn read_all(&self, table: ObjectId, each: &mut dyn FnMut(&RowBuffer) -> Result<()>) -> Result<()> {
        let (mut next, mut found) = (Some(RowId(1)), RowBuffer::new());
        while let Some(from) = next {
            crate::interrupt::check()?;
            found.clear();
            next = self.with(|tx| {
                let snapshot = tx.snapshot();
                tx.scan(&snapshot, table, from..RowId(u64::MAX), ROWS_AT_A_TIME, &mut found)
            })?;
            each(&found)?;
        }
        Ok(())
    }

    /// Gives `each` the rows that have one of `count` random ids out of so many, in their order; how many different ids they were.
    fn look_up(
        &self,
        table: ObjectId,
        ids: u64,
        count: usize,
        each: &mut dyn FnMut(&RowBuffer) -> Result<()>,
    ) -> Result<usize> {
        let mut places: Vec<u64> = (0..count.max(1)).map(|_| rand::random_range(1..=ids)).collect();
        places.sort_unstable();
        places.dedup();
        let mut found = RowBuffer::new();
        for part in places.chunks(ROWS_AT_A_TIME) {
            crate::interrupt::check()?;
            found.clear();
            self.with(|tx| {
                let snapshot = tx.snapshot();
                part.iter().try_for_each(|id| tx.get(&snapshot, table, RowId(*id), &mut found).map(|_| ()))
            })?;
            each(&found)?;
        }
        Ok(places.len())
    }

    /// One column's statistics.
    fn column(
        &self,
        column: &Attribute,
        values: Vec<Datum>,
        sampled: usize,
        total: f64,
        target: usize,
    ) -> ColumnStatistics {
        let text = |value: &Datum| {
            let mut out = String::new();
            text_io::output(value, column.ty, &self.bind.call.text(), &mut out);
            out
        };
        let fixed = crate::catalog::builtin::laid_out_as(column.ty.oid).map_or(-1, |ty| ty.length);
        let (mut kept, mut nulls, mut wide, mut bytes) = (Vec::new(), 0usize, 0usize, 0usize);
        for (at, value) in values.into_iter().enumerate() {
            if value.is_null() {
                nulls += 1;
                continue;
            }
            let width = if fixed > 0 { fixed as usize } else { stored_width(&value, &text) };
            bytes += width;
            if width > WIDTH_MAX { wide += 1 } else { kept.push((value, at)) }
        }
        let present = sampled - nulls;
        let mut statistics = ColumnStatistics {
            null_fraction: nulls as f32 / sampled as f32,
            width: bytes.checked_div(present).map_or(fixed.max(0).into(), |width| width as i32),
            ..ColumnStatistics::default()
        };
        if kept.is_empty() {
            // Only values too wide to compare, or none: all of them count as different.
            statistics.distinct = if present > 0 { -(1.0 - statistics.null_fraction) } else { 0.0 };
            return statistics;
        }
        kept.sort_by(|(a, _), (b, _)| compare::compare(a, b));
        statistics.correlation = correlation(&kept);
        let groups = groups(&kept);
        let distinct = distinct(&groups, sampled, nulls, wide, total);
        statistics.distinct = if distinct > 0.1 * total { -(distinct / total) as f32 } else { distinct as f32 };
        let common =
            most_common(&groups, target, distinct, sampled, total, statistics.null_fraction, statistics.distinct);
        let frequency = |group: &(usize, usize)| (text(&kept[group.0].0), group.1 as f32 / sampled as f32);
        statistics.common = common.iter().map(frequency).collect();
        statistics.histogram =
            histogram(&kept, &groups, &common, target).into_iter().map(|at| text(&kept[at].0)).collect();
        statistics
    }
}

/// The columns to be analysed: those named, else all.
fn wanted_columns(table: &Relation, names: &[Ident]) -> Result<Vec<Attribute>> {
    if names.is_empty() {
        return Ok(table.live_attributes().cloned().collect());
    }
    let mut wanted: Vec<Attribute> = Vec::new();
    for name in names {
        let Some(attribute) = table.attribute(&name.name) else {
            let message = format!("column \"{}\" of relation \"{}\" does not exist", name.name, table.name);
            return Err(Error::new(SqlState::UndefinedColumn, message));
        };
        if wanted.iter().any(|other| other.number == attribute.number) {
            let message = format!("column \"{}\" of relation \"{}\" appears more than once", name.name, table.name);
            return Err(Error::new(SqlState::DuplicateColumn, message));
        }
        wanted.push(attribute.clone());
    }
    Ok(wanted)
}

fn check_options(command: &str, options: &[DefElem], known: &[&str]) -> Result<()> {
    match options.iter().find(|option| !known.contains(&option.name.as_str())) {
        None => Ok(()),
        Some(option) => {
            let message = format!("unrecognized {command} option \"{}\"", option.name);
            Err(Error::new(SqlState::SyntaxError, message).at(option.pos))
        }
    }
}

fn is_on(options: &[DefElem], name: &str) -> bool {
    options.iter().any(|option| {
        let off = |text: &str| matches!(text.to_ascii_lowercase().as_str(), "false" | "off" | "0" | "no");
        option.name == name
            && !matches!(&option.value, Some(DefValue::Text(text) | DefValue::Number(text)) if off(text))
    })
}

/// What a value takes in PostgreSQL's row: its bytes and a short header.
fn stored_width(value: &Datum, text: &impl Fn(&Datum) -> String) -> usize {
    let bytes = match value {
        Datum::Text(text) | Datum::Padded(text) => text.len(),
        Datum::Bytea(bytes) => bytes.len(),
        Datum::Jsonb(value) => value.bytes().len(),
        other => text(other).len(),
    };
    if bytes > 126 { bytes + 4 } else { bytes + 1 }
}

/// Runs of equal values of a sorted list: where each begins, and its length.
fn groups(sorted: &[(Datum, usize)]) -> Vec<(usize, usize)> {
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for (i, (value, _)) in sorted.iter().enumerate() {
        match groups.last_mut() {
            Some((start, count)) if compare::compare(&sorted[*start].0, value) == Ordering::Equal => *count += 1,
            _ => groups.push((i, 1)),
        }
    }
    groups
}

/// The number of distinct values in the table.
fn distinct(groups: &[(usize, usize)], sampled: usize, nulls: usize, wide: usize, total: f64) -> f64 {
    let multiple = groups.iter().filter(|(_, count)| *count > 1).count();
    let null_fraction = nulls as f64 / sampled as f64;
    if multiple == 0 {
        return (1.0 - null_fraction) * total;
    }
    if wide == 0 && multiple == groups.len() {
        return groups.len() as f64;
    }
    let once = (groups.len() - multiple + wide) as f64;
    let seen = once + multiple as f64;
    let n = (sampled - nulls) as f64;
    let rows = total * (1.0 - null_fraction);
    let estimate = if rows > 0.0 { n * seen / ((n - once) + once * n / rows) } else { 0.0 };
    estimate.clamp(seen, rows.max(seen)).round()
}

/// The groups of values that are clearly more common than the average one, most common first.
fn most_common(
    groups: &[(usize, usize)],
    target: usize,
    distinct: f64,
    sampled: usize,
    total: f64,
    null_fraction: f32,
    shown: f32,
) -> Vec<(usize, usize)> {
    let mut common: Vec<(usize, usize)> = groups.iter().copied().filter(|(_, count)| *count > 1).collect();
    common.sort_by_key(|(start, count)| (std::cmp::Reverse(*count), *start));
    common.truncate(target);
    // All values are known, and few enough to be listed.
    let all = common.len() == groups.len() && shown > 0.0;
    if all || common.is_empty() || sampled as f64 >= total || total <= 1.0 {
        return common;
    }
    let (n, rows) = (sampled as f64, total);
    let mut before: usize = common[..common.len() - 1].iter().map(|(_, count)| count).sum();
    while let Some((_, count)) = common.last().copied() {
        let others = (distinct - (common.len() - 1) as f64).max(1.0);
        let average = (1.0 - before as f64 / n - f64::from(null_fraction)).clamp(0.0, 1.0) / others;
        let expected = rows * count as f64 / n;
        let variance = n * expected * (rows - expected) * (rows - n) / (rows * rows * (rows - 1.0));
        if count as f64 > average * n + 2.0 * variance.max(0.0).sqrt() + 0.5 {
            break;
        }
        common.pop();
        before -= common.last().map_or(0, |(_, count)| *count);
    }
    common
}

/// Bounds of equally filled buckets over the values that are not among the common ones.
fn histogram(
    kept: &[(Datum, usize)],
    groups: &[(usize, usize)],
    common: &[(usize, usize)],
    target: usize,
) -> Vec<usize> {
    let bounds = (groups.len() - common.len()).min(target + 1);
    if bounds < 2 {
        return Vec::new();
    }
    let is_common = |start: usize| common.iter().any(|(other, _)| *other == start);
    let rest: Vec<usize> = groups
        .iter()
        .filter(|(start, _)| !is_common(*start))
        .flat_map(|(start, count)| *start..start + count)
        .collect();
    debug_assert!(rest.len() <= kept.len());
    (0..bounds).map(|i| rest[i * (rest.len() - 1) / (bounds - 1)]).collect()
}

/// How the order of rows goes with the order of values: from -1 to 1.
fn correlation(sorted: &[(Datum, usize)]) -> Option<f32> {
    let n = sorted.len() as f64;
    if n < 2.0 {
        return None;
    }
    // Ranks of rows among those that have a value.
    let mut places: Vec<usize> = sorted.iter().map(|(_, at)| *at).collect();
    places.sort_unstable();
    let rank = |at: usize| places.binary_search(&at).unwrap_or(0) as f64;
    let product: f64 = sorted.iter().enumerate().map(|(i, (_, at))| i as f64 * rank(*at)).sum();
    let sum = (n - 1.0) * n / 2.0;
    let squares = (n - 1.0) * n * (2.0 * n - 1.0) / 6.0;
    Some(((n * product - sum * sum) / (n * squares - sum * sum)) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(values: &[i32]) -> Vec<(Datum, usize)> {
        let mut sorted: Vec<_> = values.iter().enumerate().map(|(i, v)| (Datum::Int4(*v), i)).collect();
        sorted.sort_by(|(a, _), (b, _)| compare::compare(a, b));
        sorted
    }

    #[test]
    fn values_are_counted_as_postgresql_counts_them() {
        let rows = sorted(&[5, 5, 5, 1, 2, 2, 9]);
        let groups = groups(&rows);
        assert_eq!(groups, [(0, 1), (1, 2), (3, 3), (6, 1)]);
        assert!((distinct(&groups, 7, 0, 0, 7.0) - 4.0).abs() < 1e-9);
        assert!((distinct(&[(0, 1), (1, 1)], 2, 0, 0, 1000.0) - 1000.0).abs() < 1e-9, "nothing twice: a key");
        assert_eq!(most_common(&groups, 100, 4.0, 7, 7.0, 0.0, 4.0), [(3, 3), (1, 2)]);
        assert_eq!(histogram(&rows, &groups, &[(3, 3), (1, 2)], 100), [0, 6]);
        assert_eq!(correlation(&sorted(&[1, 2, 3, 4])), Some(1.0));
        assert_eq!(correlation(&sorted(&[4, 3, 2, 1])), Some(-1.0));
    }
}
