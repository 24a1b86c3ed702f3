//! Access paths of the row road: which index, with which key range, reads a table's rows under given conditions.
//!
//! A condition helps an index when it compares one of its columns with something that is known before the scan starts:
//! constants, parameters, columns of outer rows. Equalities bind leading columns; the column after them may have an
//! `= ANY (array)`, a range, or IS NULL. What an index does not cover is the scan's filter.

use super::columns::{ColumnSet, is_volatile, used_by};
use super::physical::conjuncts;
use crate::catalog::image::{Index, IndexKey, Relation};
use crate::executor::row::expr::operator_of;
use crate::sql::tree::{Call, ColumnId, Expr, ExprKind, RowOp, ScanColumn, SortKey};
use crate::types::{Oid, oid};
use std::sync::Arc;

/// Rows of a table that was never analysed.
const UNKNOWN_ROWS: f64 = 1000.0;

/// An index and the conditions that its range covers.
pub(crate) struct Path<'e> {
    pub(crate) index: Arc<Index>,
    pub(crate) equals: Vec<&'e Expr>,
    pub(crate) one_of: Option<&'e Expr>,
    pub(crate) lower: Option<(&'e Expr, bool)>,
    pub(crate) upper: Option<(&'e Expr, bool)>,
    pub(crate) is_null: bool,
    pub(crate) backward: bool,
    /// Conditions left for the filter.
    pub(crate) residual: Vec<&'e Expr>,
    /// Rows expected.
    pub(crate) rows: f64,
}

/// How one condition bounds one column.
#[derive(Clone, Copy)]
enum Term<'e> {
    Compare(RowOp, &'e Expr),
    OneOf(&'e Expr),
    IsNull,
}

/// A condition and the column that it bounds.
struct Sarg<'e> {
    conjunct: &'e Expr,
    attribute: i16,
    term: Term<'e>,
}

/// The rows of a table as last analysed, or a guess.
pub(crate) fn table_rows(relation: &Relation) -> f64 {
    if relation.row_estimate < 0.0 { UNKNOWN_ROWS } else { relation.row_estimate.max(1.0) }
}

/// The scan's column behind an expression: plain, or a varchar seen as text.
fn scan_column(expr: &Expr, columns: &[(ScanColumn, ColumnId)]) -> Option<i16> {
    match &expr.kind {
        ExprKind::Column(column) => columns.iter().find_map(|(what, id)| match what {
            ScanColumn::Attribute(number) if id == column => Some(*number),
            _ => None,
        }),
        ExprKind::Relabel(inner) if is_text(expr.ty.oid) && is_text(inner.ty.oid) => scan_column(inner, columns),
        _ => None,
    }
}

fn is_text(ty: Oid) -> bool {
    ty == oid::TEXT || ty == oid::VARCHAR
}

fn is_integer(ty: Oid) -> bool {
    ty == oid::INT2 || ty == oid::INT4 || ty == oid::INT8
}

/// Whether a value of type `value` can be put into a key column of type `key` (integers are converted by the scan).
fn fits(value: Oid, key: Oid) -> bool {
    value == key || is_text(value) && is_text(key) || is_integer(value) && is_integer(key)
}

/// The condition with its sides exchanged.
fn mirrored(op: RowOp) -> RowOp {
    match op {
        RowOp::Lt => RowOp::Gt,
        RowOp::Le => RowOp::Ge,
        RowOp::Gt => RowOp::Lt,
        RowOp::Ge => RowOp::Le,
        RowOp::Eq | RowOp::Ne => op,
    }
}

/// The conditions that bound a column by a value known before the scan.
fn sargs<'e>(conditions: &[&'e Expr], columns: &[(ScanColumn, ColumnId)]) -> Vec<Sarg<'e>> {
    let own: ColumnSet = columns.iter().map(|(_, column)| *column).collect();
    let known = |expr: &Expr| {
        let mut used = ColumnSet::new();
        used_by(expr, &mut used);
        !used.intersects(&own) && !is_volatile(expr)
    };
    let mut found = Vec::new();
    for conjunct in conditions {
        match &conjunct.kind {
            ExprKind::Call(Call { function, args }) => {
                // name = text compares texts.
                let mixed = matches!(function.symbol, "nameeqtext" | "texteqname").then_some(RowOp::Eq);
                let (Some(op), [left, right]) = (operator_of(function).or(mixed), &args[..]) else { continue };
                if let Some(attribute) = scan_column(left, columns).filter(|_| known(right)) {
                    found.push(Sarg { conjunct, attribute, term: Term::Compare(op, right) });
                } else if let Some(attribute) = scan_column(right, columns).filter(|_| known(left)) {
                    found.push(Sarg { conjunct, attribute, term: Term::Compare(mirrored(op), left) });
                }
            }
            ExprKind::ArrayComparison { left, array, all: false, compare }
                if operator_of(compare) == Some(RowOp::Eq) && known(array) =>
            {
                if let Some(attribute) = scan_column(left, columns) {
                    found.push(Sarg { conjunct, attribute, term: Term::OneOf(array) });
                }
            }
            ExprKind::IsNull(arg) => {
                if let Some(attribute) = scan_column(arg, columns) {
                    found.push(Sarg { conjunct, attribute, term: Term::IsNull });
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether a comparison's value fits the key column.
fn value_fits(term: Term<'_>, key: &IndexKey) -> bool {
    match term {
        Term::Compare(_, value) => fits(value.ty.oid, key.ty.oid),
        Term::OneOf(array) => oid::element_of(array.ty.oid).is_some_and(|element| fits(element, key.ty.oid)),
        Term::IsNull => true,
    }
}

/// The path through one index; its range may be empty of conditions.
fn path<'e>(index: &Arc<Index>, sargs: &[Sarg<'e>], conditions: &[&'e Expr], rows: f64) -> Path<'e> {
    let mut path = Path {
        index: index.clone(),
        equals: Vec::new(),
        one_of: None,
        lower: None,
        upper: None,
        is_null: false,
        backward: false,
        residual: Vec::new(),
        rows,
    };
    let mut covered: Vec<&Expr> = Vec::new();
    for key in &index.keys {
        let of_key = || sargs.iter().filter(|sarg| sarg.attribute == key.attribute && value_fits(sarg.term, key));
        let equal = of_key().find_map(|sarg| match sarg.term {
            Term::Compare(RowOp::Eq, value) => Some((sarg.conjunct, value)),
            _ => None,
        });
        if let Some((conjunct, value)) = equal {
            path.equals.push(value);
            covered.push(conjunct);
            path.rows *= 0.005;
            continue;
        }
        for sarg in of_key() {
            match sarg.term {
                Term::OneOf(array) if path.one_of.is_none() && path.lower.is_none() && path.upper.is_none() => {
                    path.one_of = Some(array);
                    path.rows *= 0.02;
                }
                Term::Compare(op @ (RowOp::Gt | RowOp::Ge), value) if path.lower.is_none() && path.one_of.is_none() => {
                    path.lower = Some((value, op == RowOp::Ge));
                    path.rows *= if path.upper.is_some() { 0.015 } else { 0.33 };
                }
                Term::Compare(op @ (RowOp::Lt | RowOp::Le), value) if path.upper.is_none() && path.one_of.is_none() => {
                    path.upper = Some((value, op == RowOp::Le));
                    path.rows *= if path.lower.is_some() { 0.015 } else { 0.33 };
                }
                _ => continue,
            }
            covered.push(sarg.conjunct);
        }
        if path.one_of.is_none()
            && path.lower.is_none()
            && path.upper.is_none()
            && let Some(sarg) = of_key().find(|sarg| matches!(sarg.term, Term::IsNull))
        {
            path.is_null = true;
            path.rows *= 0.005;
            covered.push(sarg.conjunct);
        }
        break;
    }
    if index.unique && path.equals.len() == index.keys.len() {
        path.rows = 1.0;
    }
    path.rows = path.rows.max(1.0);
    path.residual =
        conditions.iter().copied().filter(|c| !covered.iter().any(|covered| std::ptr::eq(*covered, *c))).collect();
    path
}

impl Path<'_> {
    /// Whether any condition bounds the range.
    pub(crate) fn is_bounded(&self) -> bool {
        !self.equals.is_empty() || self.one_of.is_some() || self.lower.is_some() || self.upper.is_some() || self.is_null
    }
}

/// Indexes that hold every row of their table.
fn whole(relation: &Relation) -> impl Iterator<Item = &Arc<Index>> {
    relation.indexes.iter().filter(|index| index.predicate.is_none())
}

/// The best index for the conditions of a filter; `None`: none helps.
pub(crate) fn best_path<'e>(
    relation: &Relation,
    columns: &[(ScanColumn, ColumnId)],
    conditions: &[&'e Expr],
) -> Option<Path<'e>> {
    let sargs = sargs(conditions, columns);
    if sargs.is_empty() {
        return None;
    }
    let rows = table_rows(relation);
    whole(relation)
        .map(|index| path(index, &sargs, conditions, rows))
        .filter(Path::is_bounded)
        .min_by(|a, b| a.rows.total_cmp(&b.rows).then(a.index.keys.len().cmp(&b.index.keys.len())))
}

/// The condition that a system relation's generator can use as a key: its attribute, its place among the conditions, and
/// the value.
pub(crate) fn system_key<'e>(
    relation: &Relation,
    keys: &[i16],
    columns: &[(ScanColumn, ColumnId)],
    conditions: &[&'e Expr],
) -> Option<(i16, usize, &'e Expr)> {
    sargs(conditions, columns).into_iter().find_map(|sarg| {
        let Term::Compare(RowOp::Eq, value) = sarg.term else { return None };
        // A name compares with a text as text.
        let fits = |ty: Oid| value.ty.oid == ty || ty == oid::NAME && is_text(value.ty.oid);
        let ty = relation.attributes[sarg.attribute as usize - 1].ty.oid;
        let at = conditions.iter().position(|condition| std::ptr::eq(*condition, sarg.conjunct))?;
        (keys.contains(&sarg.attribute) && fits(ty)).then_some((sarg.attribute, at, value))
    })
}

/// An index that gives the rows in the order of `keys` (forwards or backwards), its range bounded as far as the conditions
/// allow. Columns bound by an equality may be left out of the order.
pub(crate) fn ordered_path<'e>(
    relation: &Relation,
    columns: &[(ScanColumn, ColumnId)],
    conditions: &[&'e Expr],
    keys: &[SortKey],
) -> Option<Path<'e>> {
    let sargs = sargs(conditions, columns);
    let rows = table_rows(relation);
    whole(relation)
        .filter_map(|index| {
            let mut path = path(index, &sargs, conditions, rows);
            if path.one_of.is_some() {
                return None; // several ranges
            }
            let bound = path.equals.len() + usize::from(path.is_null);
            let mut order = index.keys.iter().enumerate();
            let mut backward = None;
            for key in keys {
                let attribute = scan_column(&key.expr, columns)?;
                if index.keys[..bound].iter().any(|k| k.attribute == attribute) {
                    continue; // one value only
                }
                let (_, next) = order.by_ref().find(|(i, _)| *i >= bound)?;
                if next.attribute != attribute {
                    return None;
                }
                let reversed = next.descending != key.descending;
                if (next.nulls_first != key.nulls_first) != reversed || backward.is_some_and(|b| b != reversed) {
                    return None;
                }
                backward = Some(reversed);
            }
            path.backward = backward.unwrap_or(false);
            Some(path)
        })
        .min_by(|a, b| a.rows.total_cmp(&b.rows))
}

/// Rows that a filter of these conditions lets through, of `rows`.
pub(crate) fn filtered_rows(predicate: &Expr, rows: f64) -> f64 {
    let mut left = rows;
    for conjunct in conjuncts(predicate) {
        left *= match &conjunct.kind {
            ExprKind::Call(Call { function, .. }) => match operator_of(function) {
                Some(RowOp::Eq) => 0.005,
                Some(RowOp::Ne) => 0.995,
                Some(_) => 0.33,
                None => 0.25,
            },
            ExprKind::ArrayComparison { .. } => 0.02,
            ExprKind::IsNull(_) => 0.005,
            ExprKind::IsNotNull(_) => 0.995,
            _ => 0.5,
        };
    }
    left.max(1.0)
}
