//! Access paths of the row road: which index, with which key range, reads a table's rows under given conditions.
//!
//! A condition helps an index when it compares one of its keys (a column, or the index's expression) with something that is
//! known before the scan starts: constants, parameters, columns of outer rows. Equalities bind leading keys; the key after
//! them may have an `= ANY (array)`, a range, a pattern's beginning, or a test for NULL. What an index does not cover is the
//! scan's filter. A partial index serves when the conditions imply its predicate: its rows are those for which the
//! version that is seen has it stored as true.

use super::columns::{ColumnSet, is_volatile, used_by};
use super::estimate::{Estimator, table_rows};
use super::imply;
use crate::catalog::image::{Index, IndexKey, Relation};
use crate::executor::row::expr::operator_of;
use crate::executor::row::prefix;
use crate::sql::bind::aggregate::same_expr;
use crate::sql::tree::{Call, ColumnId, Expr, ExprKind, IndexDefinition, RowOp, ScanColumn, SortKey};
use crate::sql::visit;
use crate::types::{Datum, Oid, Type, oid};
use lightning_storage::ObjectId;
use std::borrow::Cow;
use std::sync::Arc;

/// What a row through an index costs, in rows of a sequential scan.
const ROW_BY_INDEX: f64 = 4.0;
/// What a descent into an index costs, likewise.
const DESCENT: f64 = 4.0;

/// One end of a range: values of consecutive keys, and whether keys equal to them belong to it.
#[derive(Clone, Debug)]
pub(crate) struct End<'e> {
    pub(crate) values: Vec<Cow<'e, Expr>>,
    pub(crate) inclusive: bool,
}

/// An index and the conditions that its range covers.
pub(crate) struct Path<'e> {
    pub(crate) index: Arc<Index>,
    pub(crate) equals: Vec<Cow<'e, Expr>>,
    pub(crate) one_of: Option<Cow<'e, Expr>>,
    /// Values of the keys after `one_of`.
    pub(crate) then: Vec<Cow<'e, Expr>>,
    pub(crate) prefix: Option<(prefix::Kind, &'e Expr)>,
    pub(crate) lower: Option<End<'e>>,
    pub(crate) upper: Option<End<'e>>,
    pub(crate) is_null: bool,
    pub(crate) not_null: bool,
    pub(crate) backward: bool,
    /// Conditions left for the filter.
    pub(crate) residual: Vec<&'e Expr>,
    /// Rows expected in the range.
    pub(crate) rows: f64,
    /// Whether one value may be so common that the range is no help.
    pub(crate) skewed: bool,
    /// Columns whose names EXPLAIN may need: those of the keys' expressions.
    covered: usize,
}

/// How one condition bounds one key.
#[derive(Clone)]
enum Term<'e> {
    Compare(RowOp, Cow<'e, Expr>),
    OneOf(Cow<'e, Expr>),
    Prefix(prefix::Kind, &'e Expr),
    /// A row comparison: the other operands, and all values.
    Row(RowOp, Vec<(&'e Expr, &'e Expr)>),
    IsNull,
    NotNull,
}

/// A condition and the operand that it bounds.
struct Sarg<'e> {
    conjunct: &'e Expr,
    operand: &'e Expr,
    term: Term<'e>,
    /// Whether the range says all that the condition says.
    exact: bool,
}

/// A scan with what is known of its indexes.
struct Scan<'s> {
    estimator: &'s Estimator,
    relation: &'s Relation,
    columns: &'s [(ScanColumn, ColumnId)],
}

/// An index that may serve a scan.
struct Candidate {
    index: Arc<Index>,
    /// The expressions among its keys, over the scan's columns.
    keys: Vec<Option<Expr>>,
    predicate: Option<Expr>,
}

/// The attribute behind an expression: plain, or a varchar seen as text.
fn scan_column(expr: &Expr, columns: &[(ScanColumn, ColumnId)]) -> Option<i16> {
    match &plain(expr).kind {
        ExprKind::Column(column) => columns.iter().find_map(|(what, id)| match what {
            ScanColumn::Attribute(number) if id == column => Some(*number),
            _ => None,
        }),
        _ => None,
    }
}

/// An expression without the step from varchar to text.
fn plain(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Relabel(inner) if is_text(expr.ty.oid) && is_text(inner.ty.oid) => plain(inner),
        _ => expr,
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

fn truth(value: bool) -> Expr {
    Expr { kind: ExprKind::Const(Datum::Bool(value)), ty: Type::new(oid::BOOL) }
}

/// The conditions that bound something of the scan by a value known before it.
fn sargs<'e>(conditions: &[&'e Expr], columns: &[(ScanColumn, ColumnId)]) -> Vec<Sarg<'e>> {
    let own: ColumnSet = columns.iter().map(|(_, column)| *column).collect();
    let finder = Finder { own };
    let mut found = Vec::new();
    conditions.iter().for_each(|conjunct| finder.find(conjunct, &mut found));
    found
}

/// Looks for conditions that bound something.
struct Finder {
    own: ColumnSet,
}

impl Finder {
    /// Whether a value is known before the scan starts.
    fn known(&self, expr: &Expr) -> bool {
        !self.owns(expr) && !is_volatile(expr)
    }

    fn owns(&self, expr: &Expr) -> bool {
        let mut used = ColumnSet::new();
        used_by(expr, &mut used);
        used.intersects(&self.own)
    }

    fn find<'e>(&self, conjunct: &'e Expr, found: &mut Vec<Sarg<'e>>) {
        let mut add = |operand: &'e Expr, term: Term<'e>, exact: bool| {
            if self.owns(operand) {
                found.push(Sarg { conjunct, operand, term, exact });
            }
        };
        match &conjunct.kind {
            ExprKind::Call(Call { function, args }) => {
                if let Some((operand, op, value)) = self.comparison(conjunct) {
                    add(operand, Term::Compare(op, Cow::Borrowed(value)), true);
                } else if let (Some(kind), [text, pattern]) = (prefix::Kind::of(function), &args[..])
                    && self.known(pattern)
                {
                    match exact_pattern(kind, pattern) {
                        Some(value) => add(text, Term::Compare(RowOp::Eq, Cow::Owned(value)), false),
                        None => add(text, Term::Prefix(kind, pattern), false),
                    }
                }
            }
            ExprKind::ArrayComparison { left, array, all: false, compare }
                if operator_of(compare) == Some(RowOp::Eq) && self.known(array) =>
            {
                add(left, Term::OneOf(Cow::Borrowed(&**array)), true);
            }
            ExprKind::Or(arms) => {
                if let Some((operand, array)) = self.one_of(arms) {
                    add(operand, Term::OneOf(Cow::Owned(array)), true);
                }
            }
            ExprKind::RowComparison { op, left, right, .. } if !matches!(op, RowOp::Eq | RowOp::Ne) => {
                let forward = right.iter().all(|value| self.known(value));
                let backward = !forward && left.iter().all(|value| self.known(value));
                let (operands, values, op) = match (forward, backward) {
                    (true, _) => (left, right, *op),
                    (_, true) => (right, left, op.mirrored()),
                    _ => return,
                };
                if let Some(first) = operands.first() {
                    add(first, Term::Row(op, operands.iter().zip(values).collect()), false);
                }
            }
            ExprKind::IsDistinct { left, right, negated: true, equal } if operator_of(equal) == Some(RowOp::Eq) => {
                for (operand, value) in [(left, right), (right, left)] {
                    match &value.kind {
                        ExprKind::Const(Datum::Null) => add(operand, Term::IsNull, true),
                        ExprKind::Const(_) => add(operand, Term::Compare(RowOp::Eq, Cow::Borrowed(&**value)), true),
                        _ => {}
                    }
                }
            }
            ExprKind::IsNull(arg) if arg.ty.oid != oid::RECORD => add(arg, Term::IsNull, true),
            ExprKind::IsNotNull(arg) if arg.ty.oid != oid::RECORD => add(arg, Term::NotNull, true),
            ExprKind::Column(_) => add(conjunct, Term::Compare(RowOp::Eq, Cow::Owned(truth(true))), true),
            ExprKind::Not(arg) => add(arg, Term::Compare(RowOp::Eq, Cow::Owned(truth(false))), true),
            _ => {}
        }
        // An index over a condition itself.
        if !matches!(conjunct.kind, ExprKind::Column(_)) && self.owns(conjunct) {
            let term = Term::Compare(RowOp::Eq, Cow::Owned(truth(true)));
            found.push(Sarg { conjunct, operand: conjunct, term, exact: true });
        }
    }

    /// A comparison of something of the scan with a known value.
    fn comparison<'e>(&self, condition: &'e Expr) -> Option<(&'e Expr, RowOp, &'e Expr)> {
        let ExprKind::Call(Call { function, args }) = &condition.kind else { return None };
        // name = text compares texts.
        let mixed = matches!(function.symbol, "nameeqtext" | "texteqname").then_some(RowOp::Eq);
        let (op, [left, right]) = (operator_of(function).or(mixed)?, &args[..]) else { return None };
        match (self.known(right), self.known(left)) {
            (true, false) => Some((left, op, right)),
            (false, true) => Some((right, op.mirrored(), left)),
            _ => None,
        }
    }

    /// `x = a OR x = b …` as `x = ANY (ARRAY[a, b, …])`.
    fn one_of<'e>(&self, arms: &'e [Expr]) -> Option<(&'e Expr, Expr)> {
        let mut items = Vec::with_capacity(arms.len());
        let mut first: Option<&Expr> = None;
        for arm in arms {
            let (operand, RowOp::Eq, value) = self.comparison(arm)? else { return None };
            if first.is_some_and(|first| !same_expr(first, operand)) {
                return None;
            }
            first = Some(operand);
            items.push(value.clone());
        }
        let ty = items.first()?.ty.oid;
        if items.iter().any(|item| item.ty.oid != ty) {
            return None;
        }
        let array = Type::new(oid::array_of(ty)?);
        Some((first?, Expr { kind: ExprKind::ArrayOf { items, nested: false }, ty: array }))
    }
}

/// The one text that a constant pattern matches.
fn exact_pattern(kind: prefix::Kind, pattern: &Expr) -> Option<Expr> {
    let ExprKind::Const(Datum::Text(text)) = &pattern.kind else { return None };
    let found = prefix::of(kind, text);
    let value = Datum::Text(found.text.as_str().into());
    found.exact.then(|| Expr { kind: ExprKind::Const(value), ty: Type::new(oid::TEXT) })
}

impl Candidate {
    /// Whether an expression is what a key holds.
    fn is_key(&self, at: usize, expr: &Expr, columns: &[(ScanColumn, ColumnId)]) -> bool {
        let key = &self.index.keys[at];
        match &self.keys[at] {
            Some(of_key) => same_expr(plain(of_key), plain(expr)),
            None => key.attribute > 0 && scan_column(expr, columns) == Some(key.attribute),
        }
    }
}

impl<'s> Scan<'s> {
    /// The indexes that hold every row for which the conditions hold.
    fn candidates(&self, conditions: &[&Expr]) -> Vec<Candidate> {
        let usable = |index: &Arc<Index>| {
            if !index.is_derived() {
                let keys = vec![None; index.keys.len()];
                return Some(Candidate { index: index.clone(), keys, predicate: None });
            }
            let definition = self.estimator.definitions.get(&index.oid)?;
            let predicate = match &definition.predicate {
                Some(predicate) => Some(self.over_scan(predicate, definition)?),
                None => None,
            };
            if predicate.as_ref().is_some_and(|predicate| !imply::implied(predicate, conditions)) {
                return None;
            }
            let over_scan = |key: &Option<Expr>| key.as_ref().and_then(|key| self.over_scan(key, definition));
            let keys = definition.keys.iter().map(over_scan).collect();
            Some(Candidate { index: index.clone(), keys, predicate })
        };
        // One that is being built has no storage yet.
        let built = self.relation.indexes.iter().filter(|index| index.storage != ObjectId(0));
        built.filter_map(usable).collect()
    }

    /// A stored expression over the scan's columns.
    fn over_scan(&self, expr: &Expr, definition: &IndexDefinition) -> Option<Expr> {
        let (mut expr, mut complete) = (expr.clone(), true);
        visit::rename_in_expr(&mut expr, &mut |column| {
            let Some((number, _)) = definition.row.iter().find(|(_, other)| *other == column) else { return column };
            let own = self.columns.iter().find(|(what, _)| *what == ScanColumn::Attribute(*number));
            complete &= own.is_some();
            own.map_or(column, |(_, own)| *own)
        });
        complete.then_some(expr)
    }

    /// The path through one index; its range may be empty of conditions.
    fn path<'e>(&self, candidate: &Candidate, sargs: &[Sarg<'e>], conditions: &[&'e Expr]) -> Path<'e> {
        let index = &candidate.index;
        let mut path = Path {
            index: index.clone(),
            equals: Vec::new(),
            one_of: None,
            then: Vec::new(),
            prefix: None,
            lower: None,
            upper: None,
            is_null: false,
            not_null: false,
            backward: false,
            residual: Vec::new(),
            rows: table_rows(self.relation),
            skewed: false,
            covered: 0,
        };
        let mut used: Vec<&Sarg<'e>> = Vec::new();
        for (at, key) in index.keys.iter().enumerate() {
            let of_key = || {
                sargs
                    .iter()
                    .filter(move |sarg| term_fits(&sarg.term, key) && candidate.is_key(at, sarg.operand, self.columns))
            };
            let equal = of_key().find_map(|sarg| match &sarg.term {
                Term::Compare(RowOp::Eq, value) => Some((sarg, value)),
                _ => None,
            });
            if let Some((sarg, value)) = equal {
                let values = if path.one_of.is_some() { &mut path.then } else { &mut path.equals };
                values.push(value.clone());
                path.skewed |= self.estimator.is_skewed(sarg.operand);
                used.push(sarg);
                continue;
            }
            if path.one_of.is_none() {
                self.bound_last(&mut path, candidate, at, &of_key().collect::<Vec<_>>(), &mut used);
            } else {
                break;
            }
            if path.one_of.is_none() {
                break;
            }
        }
        self.finish(path, candidate, &used, conditions)
    }

    /// The key after those that are bound by equality.
    fn bound_last<'e, 'x>(
        &self,
        path: &mut Path<'e>,
        candidate: &Candidate,
        at: usize,
        of_key: &[&'x Sarg<'e>],
        used: &mut Vec<&'x Sarg<'e>>,
    ) {
        for sarg in of_key {
            if let Term::OneOf(array) = &sarg.term {
                path.one_of = Some(array.clone());
                used.push(sarg);
                return;
            }
        }
        for sarg in of_key {
            if let Term::Prefix(kind, pattern) = &sarg.term {
                path.prefix = Some((*kind, pattern));
                used.push(sarg);
                return;
            }
        }
        for sarg in of_key {
            let (op, values) = match &sarg.term {
                Term::Compare(op, value) => (*op, vec![value.clone()]),
                Term::Row(op, pairs) => (*op, self.row_values(candidate, at, pairs)),
                _ => continue,
            };
            let side = match op {
                RowOp::Gt | RowOp::Ge => &mut path.lower,
                RowOp::Lt | RowOp::Le => &mut path.upper,
                RowOp::Eq | RowOp::Ne => continue,
            };
            if side.is_none() {
                // A row comparison of more values than the index has keys goes by those that it has.
                let whole = !matches!(&sarg.term, Term::Row(_, pairs) if pairs.len() > values.len());
                *side = Some(End { values, inclusive: matches!(op, RowOp::Ge | RowOp::Le) || !whole });
                used.push(sarg);
            }
        }
        if path.lower.is_some() || path.upper.is_some() {
            return;
        }
        if let Some(sarg) = of_key.iter().find(|sarg| matches!(sarg.term, Term::IsNull)) {
            path.is_null = true;
            path.skewed |= self.estimator.is_skewed(sarg.operand);
            used.push(sarg);
        } else if let Some(sarg) = of_key.iter().find(|sarg| matches!(sarg.term, Term::NotNull)) {
            path.not_null = true;
            used.push(sarg);
        }
    }

    /// The values of a row comparison that consecutive keys of one direction take.
    fn row_values<'e>(&self, candidate: &Candidate, at: usize, pairs: &[(&'e Expr, &'e Expr)]) -> Vec<Cow<'e, Expr>> {
        let keys = &candidate.index.keys;
        let follows = |(i, (operand, value)): &(usize, &(&Expr, &Expr))| {
            keys.get(at + i).is_some_and(|key| {
                key.descending == keys[at].descending
                    && fits(value.ty.oid, key.compared().oid)
                    && candidate.is_key(at + i, operand, self.columns)
            })
        };
        pairs.iter().enumerate().take_while(follows).map(|(_, (_, value))| Cow::Borrowed(*value)).collect()
    }

    /// What is left for the filter, and how many rows there will be.
    fn finish<'e>(
        &self,
        mut path: Path<'e>,
        candidate: &Candidate,
        used: &[&Sarg<'e>],
        conditions: &[&'e Expr],
    ) -> Path<'e> {
        let is_used = |condition: &Expr| used.iter().any(|sarg| std::ptr::eq(sarg.conjunct, condition));
        let is_exact = |condition: &Expr| used.iter().any(|sarg| sarg.exact && std::ptr::eq(sarg.conjunct, condition));
        let given = |condition: &Expr| {
            candidate.predicate.as_ref().is_some_and(|predicate| imply::implied(condition, &[predicate]))
        };
        let (mut within, mut residual) = (Vec::new(), Vec::new());
        for condition in conditions {
            let given = given(condition);
            if given || is_used(condition) {
                within.push(*condition);
            }
            if !given && !is_exact(condition) {
                residual.push(*condition);
            }
        }
        let unique = path.index.unique && path.equals.len() == path.index.keys.len();
        let mut part = self.estimator.all(&within);
        if let Some(predicate) = &candidate.predicate {
            part = part.min(self.estimator.selectivity(predicate));
        }
        path.rows = if unique { 1.0 } else { (path.rows * part).max(1.0) };
        path.covered = within.len();
        path.residual = residual;
        path
    }
}

/// Whether a term's values fit a key.
fn term_fits(term: &Term<'_>, key: &IndexKey) -> bool {
    match term {
        Term::Compare(_, value) => fits(value.ty.oid, key.compared().oid),
        Term::OneOf(array) => oid::element_of(array.ty.oid).is_some_and(|element| fits(element, key.compared().oid)),
        Term::Prefix(..) => is_text(key.compared().oid),
        Term::Row(_, pairs) => pairs.first().is_some_and(|(_, value)| fits(value.ty.oid, key.compared().oid)),
        Term::IsNull | Term::NotNull => true,
    }
}

impl Path<'_> {
    /// Whether any condition bounds the range.
    pub(crate) fn is_bounded(&self) -> bool {
        !self.equals.is_empty() || self.is_narrow() || self.is_range() || self.not_null
    }

    /// Whether few keys are meant: those equal to a value.
    fn is_narrow(&self) -> bool {
        self.one_of.is_some() || self.is_null
    }

    fn is_range(&self) -> bool {
        self.lower.is_some() || self.upper.is_some() || self.prefix.is_some()
    }

    /// Whether only the values tell how much of the table the range holds.
    pub(crate) fn may_be_wide(&self) -> bool {
        let at_most_one = self.index.unique && self.equals.len() == self.index.keys.len();
        !at_most_one && (self.skewed || self.equals.is_empty() && !self.is_narrow())
    }

    /// What reading it costs, in rows of a sequential scan.
    pub(crate) fn cost(&self) -> f64 {
        DESCENT + self.rows * ROW_BY_INDEX
    }
}

/// The best index for the conditions of a filter; `None`: none helps.
pub(crate) fn best_path<'e>(
    estimator: &Estimator,
    relation: &Relation,
    columns: &[(ScanColumn, ColumnId)],
    conditions: &[&'e Expr],
) -> Option<Path<'e>> {
    if conditions.is_empty() || relation.indexes.is_empty() {
        return None;
    }
    let sargs = sargs(conditions, columns);
    let scan = Scan { estimator, relation, columns };
    scan.candidates(conditions)
        .iter()
        .filter(|candidate| candidate.predicate.is_some() || !sargs.is_empty())
        .map(|candidate| scan.path(candidate, &sargs, conditions))
        .filter(|path| path.is_bounded() || path.index.predicate.is_some())
        .min_by(|a, b| {
            let keys = || a.index.keys.len().cmp(&b.index.keys.len());
            a.rows.total_cmp(&b.rows).then(b.covered.cmp(&a.covered)).then_with(keys)
        })
}

/// Whether a unique index says that the conditions leave at most one row.
pub(crate) fn is_one_row(
    estimator: &Estimator,
    relation: &Relation,
    columns: &[(ScanColumn, ColumnId)],
    conditions: &[&Expr],
) -> bool {
    let path = best_path(estimator, relation, columns, conditions);
    path.is_some_and(|path| path.index.unique && path.equals.len() == path.index.keys.len())
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
        let Term::Compare(RowOp::Eq, Cow::Borrowed(value)) = sarg.term else { return None };
        let attribute = scan_column(sarg.operand, columns)?;
        // A name compares with a text as text.
        let fits = |ty: Oid| value.ty.oid == ty || ty == oid::NAME && is_text(value.ty.oid);
        let ty = relation.attributes[attribute as usize - 1].ty.oid;
        let at = conditions.iter().position(|condition| std::ptr::eq(*condition, sarg.conjunct))?;
        (keys.contains(&attribute) && fits(ty)).then_some((attribute, at, value))
    })
}

/// An index that gives the rows in the order of `keys` (forwards or backwards), its range bounded as far as the conditions
/// allow. Keys bound by an equality may be left out of the order.
pub(crate) fn ordered_path<'e>(
    estimator: &Estimator,
    relation: &Relation,
    columns: &[(ScanColumn, ColumnId)],
    conditions: &[&'e Expr],
    keys: &[SortKey],
) -> Option<Path<'e>> {
    let sargs = sargs(conditions, columns);
    let scan = Scan { estimator, relation, columns };
    let ordered = |candidate: &Candidate| {
        let index = &candidate.index;
        let mut path = scan.path(candidate, &sargs, conditions);
        if path.one_of.is_some() {
            return None; // several ranges
        }
        let bound = path.equals.len() + usize::from(path.is_null);
        let (mut next, mut backward) = (bound, None);
        for key in keys {
            let is = |at: usize| candidate.is_key(at, &key.expr, columns);
            if (0..bound).any(is) {
                continue; // one value only
            }
            let of_index = index.keys.get(next).filter(|_| is(next))?;
            next += 1;
            let reversed = of_index.descending != key.descending;
            // Where no NULL is in the range, it does not matter where they would be.
            let no_nulls = next == bound + 1 && (path.is_range() || path.not_null) || is_not_null(of_index, relation);
            let nulls_fit = no_nulls || (of_index.nulls_first != key.nulls_first) == reversed;
            if !nulls_fit || backward.is_some_and(|b| b != reversed) {
                return None;
            }
            backward = Some(reversed);
        }
        path.backward = backward.unwrap_or(false);
        Some(path)
    };
    let candidates = scan.candidates(conditions);
    candidates.iter().filter_map(ordered).min_by(|a, b| a.rows.total_cmp(&b.rows).then(b.covered.cmp(&a.covered)))
}

fn is_not_null(key: &IndexKey, relation: &Relation) -> bool {
    key.attribute > 0 && relation.attributes[key.attribute as usize - 1].not_null
}
