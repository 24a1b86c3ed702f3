//! Subqueries in expressions: scalar, EXISTS, ARRAY and quantified comparisons.
//!
//! A subquery that names no outer column is run once per execution and its result kept; a quantified one keeps its rows,
//! hashed where the comparison is its type's equality. A correlated one is rewound for every evaluation: outer values are
//! simply in their slots. One that had to wait continues where it was when its expression is evaluated again.

use super::expr::{self, Code};
use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::{Node, Slot};
use super::store::{RowSet, TupleStore};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::{Function, RowForm};
use crate::sql::tree::RowOp;
use crate::types::{Array, Datum, Oid};
use std::sync::Arc;

/// A subquery's plan.
#[derive(Debug)]
pub struct SubqueryPlan {
    /// Its number: the index of its state.
    pub number: usize,
    /// The query.
    pub node: Node,
    /// Its columns.
    pub columns: Box<[Slot]>,
    /// What is made of its rows.
    pub kind: SubqueryUse,
    /// It names columns of an outer query, or is volatile.
    pub correlated: bool,
    /// Correlated WITH parts inside, evaluated anew with it.
    pub ctes: Box<[usize]>,
}

/// What is made of a subquery's rows.
#[derive(Debug)]
pub enum SubqueryUse {
    /// The one value.
    Scalar,
    /// EXISTS.
    Exists,
    /// ARRAY(…), with the element type; `true`: rows are arrays and make one more dimension.
    Array(Oid, bool),
    /// ANY / ALL.
    Quantified(Quantified),
}

/// A quantified comparison.
#[derive(Debug)]
pub struct Quantified {
    /// Left values.
    pub left: Box<[Code]>,
    /// One function per left value.
    pub compare: Vec<(&'static Function, RowForm)>,
    /// `=` per left value, for an order of rows; empty else.
    pub equal: Vec<(&'static Function, RowForm)>,
    /// How several are joined: `<>` by OR, others by AND.
    pub op: RowOp,
    /// ALL.
    pub all: bool,
}

/// A subquery's state in one execution.
pub struct SubqueryState {
    operator: Box<dyn Operator>,
    /// In the middle of an evaluation that had to wait.
    running: bool,
    /// Never read since it was built: needs no rewind.
    fresh: bool,
    /// Values gathered by the evaluation under way.
    partial: Vec<Datum>,
    /// A quantified comparison under way met an unknown.
    unknown: bool,
    memo: Memo,
}

enum Memo {
    None,
    Value(Datum),
    Rows(TupleStore),
    Hashed {
        rows: RowSet,
        /// Numbers of the rows that hold a NULL.
        with_null: Vec<usize>,
    },
}

impl SubqueryPlan {
    /// Evaluates it over the outer row in `f`.
    pub(super) fn eval(&self, f: &mut Frame) -> Result<Datum> {
        let mut state = match f.subqueries[self.number].take() {
            Some(state) => state,
            None => Box::new(SubqueryState {
                operator: operator::build(&self.node, f),
                running: false,
                fresh: true,
                partial: Vec::new(),
                unknown: false,
                memo: Memo::None,
            }),
        };
        // A correlated subquery must not yield: what its expression computed before it would be lost, again and again.
        f.unbroken += u32::from(self.correlated);
        let result = self.run(&mut state, f);
        f.unbroken -= u32::from(self.correlated);
        f.subqueries[self.number] = Some(state);
        result
    }

    fn run(&self, state: &mut SubqueryState, f: &mut Frame) -> Result<Datum> {
        if let Memo::Value(value) = &state.memo {
            return Ok(value.clone());
        }
        let value = match &self.kind {
            SubqueryUse::Quantified(quantified) if !self.correlated => {
                return self.quantified_kept(quantified, state, f);
            }
            SubqueryUse::Scalar => self.scalar(state, f)?,
            SubqueryUse::Exists => {
                self.begin(state, f)?;
                let found = state.operator.next(f)?;
                state.running = false;
                Datum::Bool(found)
            }
            SubqueryUse::Array(element, nested) => self.array(*element, *nested, state, f)?,
            SubqueryUse::Quantified(quantified) => self.quantified(quantified, state, f)?,
        };
        if !self.correlated {
            state.memo = Memo::Value(value.clone());
        }
        Ok(value)
    }

    fn begin(&self, state: &mut SubqueryState, f: &mut Frame) -> Result<()> {
        if state.running {
            return Ok(());
        }
        if !state.fresh {
            for cte in &self.ctes {
                f.ctes[*cte].reset();
            }
            state.operator.rewind(f)?;
        }
        state.fresh = false;
        state.running = true;
        state.partial.clear();
        state.unknown = false;
        Ok(())
    }

    fn scalar(&self, state: &mut SubqueryState, f: &mut Frame) -> Result<Datum> {
        self.begin(state, f)?;
        while state.operator.next(f)? {
            if !state.partial.is_empty() {
                return Err(Error::new(
                    SqlState::CardinalityViolation,
                    "more than one row returned by a subquery used as an expression",
                ));
            }
            state.partial.push(f.get(self.columns[0]).clone());
        }
        state.running = false;
        Ok(state.partial.pop().unwrap_or(Datum::Null))
    }

    fn array(&self, element: Oid, nested: bool, state: &mut SubqueryState, f: &mut Frame) -> Result<Datum> {
        self.begin(state, f)?;
        while state.operator.next(f)? {
            state.partial.push(f.get(self.columns[0]).clone());
        }
        state.running = false;
        let items = std::mem::take(&mut state.partial);
        if nested {
            super::subscript::nest(element, items).map_err(|error| match error.code() {
                SqlState::ArraySubscriptError => {
                    Error::new(error.code(), "cannot accumulate arrays of different dimensionality")
                }
                _ => error,
            })
        } else {
            Ok(Datum::Array(Arc::new(Array::of(element, items))))
        }
    }

    /// Row by row, for a correlated subquery.
    fn quantified(&self, quantified: &Quantified, state: &mut SubqueryState, f: &mut Frame) -> Result<Datum> {
        let left = quantified.left(f)?;
        self.begin(state, f)?;
        while state.operator.next(f)? {
            let right: Vec<Datum> = self.columns.iter().map(|slot| f.get(*slot).clone()).collect();
            match quantified.compare_row(&left, &right, f)? {
                Some(truth) if truth != quantified.all => {
                    state.running = false;
                    return Ok(Datum::Bool(truth));
                }
                Some(_) => {}
                None => state.unknown = true,
            }
        }
        state.running = false;
        Ok(if state.unknown { Datum::Null } else { Datum::Bool(quantified.all) })
    }

    /// Over kept rows.
    fn quantified_kept(&self, quantified: &Quantified, state: &mut SubqueryState, f: &mut Frame) -> Result<Datum> {
        self.gather(quantified, state, f)?;
        let left = quantified.left(f)?;
        let truth = match &state.memo {
            Memo::Rows(rows) => quantified.over((0..rows.len()).map(|at| rows.row(at)), &left, f)?,
            Memo::Hashed { rows, with_null } => {
                if left.iter().any(Datum::is_null) {
                    quantified.over((0..rows.len()).map(|at| rows.row(at)), &left, f)?
                } else if rows.find(&left).is_some() {
                    Some(!quantified.all)
                } else {
                    quantified.over(with_null.iter().map(|at| rows.row(*at)), &left, f)?
                }
            }
            Memo::None | Memo::Value(_) => return Err(Error::internal("a quantified subquery kept no rows")),
        };
        Ok(truth.map_or(Datum::Null, Datum::Bool))
    }

    fn gather(&self, quantified: &Quantified, state: &mut SubqueryState, f: &mut Frame) -> Result<()> {
        if !state.running && !matches!(state.memo, Memo::None) {
            return Ok(());
        }
        if !state.running {
            let width = self.columns.len();
            state.memo = if quantified.hashable() {
                Memo::Hashed { rows: RowSet::new(width, &f.ctx.memory), with_null: Vec::new() }
            } else {
                Memo::Rows(TupleStore::new(width, &f.ctx.memory))
            };
        }
        self.begin(state, f)?;
        while state.operator.next(f)? {
            let row: Vec<Datum> = self.columns.iter().map(|slot| f.get(*slot).clone()).collect();
            match &mut state.memo {
                Memo::Hashed { rows, with_null } => {
                    let holds_null = row.iter().any(Datum::is_null);
                    let (at, new) = rows.insert(&row)?;
                    if new && holds_null {
                        with_null.push(at);
                    }
                }
                Memo::Rows(rows) => rows.push(row)?,
                Memo::None | Memo::Value(_) => {}
            }
        }
        state.running = false;
        Ok(())
    }
}

impl Quantified {
    fn left(&self, f: &mut Frame) -> Result<Vec<Datum>> {
        self.left.iter().map(|code| code.eval(f)).collect()
    }

    /// Whether the comparison is membership by the type's own equality: `= ANY` or `<> ALL`.
    fn hashable(&self) -> bool {
        let wanted = match (self.op, self.all) {
            (RowOp::Eq, false) => RowOp::Eq,
            (RowOp::Ne, true) => RowOp::Ne,
            _ => return false,
        };
        // One type on both sides: integers of two widths are equal, but do not hash alike.
        self.compare.iter().all(|(f, _)| expr::operator_of(f) == Some(wanted) && f.args[0] == f.args[1])
    }

    fn over<'a>(&self, rows: impl Iterator<Item = &'a [Datum]>, left: &[Datum], f: &mut Frame) -> Result<Option<bool>> {
        let mut result = Some(self.all);
        for row in rows {
            match self.compare_row(left, row, f)? {
                Some(truth) if truth != self.all => return Ok(Some(truth)),
                Some(_) => {}
                None => result = None,
            }
        }
        Ok(result)
    }

    /// Three-valued `left op right`.
    fn compare_row(&self, left: &[Datum], right: &[Datum], f: &mut Frame) -> Result<Option<bool>> {
        if !self.equal.is_empty() {
            return self.order_rows(left, right, f);
        }
        // `<>` of rows is true as soon as one pair differs; all others are false as soon as one pair fails.
        let deciding = self.op == RowOp::Ne && left.len() > 1;
        let mut result = Some(!deciding);
        for ((function, form), (l, r)) in self.compare.iter().zip(left.iter().zip(right)) {
            match expr::apply(function.strict, *form, &f.call, &[l.clone(), r.clone()])? {
                Datum::Bool(b) if b == deciding => return Ok(Some(deciding)),
                Datum::Bool(_) => {}
                _ => result = None,
            }
        }
        Ok(result)
    }

    /// `<`, `<=`, `>` or `>=` of rows: the first pair that is not equal decides, a NULL before it makes it unknown.
    fn order_rows(&self, left: &[Datum], right: &[Datum], f: &mut Frame) -> Result<Option<bool>> {
        for (i, (l, r)) in left.iter().zip(right).enumerate() {
            let pair = [l.clone(), r.clone()];
            let apply = |(function, form): &(&'static Function, RowForm), f: &Frame| {
                expr::apply(function.strict, *form, &f.call, &pair)
            };
            match apply(&self.equal[i], f)? {
                Datum::Bool(true) => {}
                Datum::Bool(false) => {
                    return Ok(match apply(&self.compare[i], f)? {
                        Datum::Bool(decided) => Some(decided),
                        _ => None,
                    });
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(matches!(self.op, RowOp::Le | RowOp::Ge)))
    }
}
