//! Grouping: hashed (also GROUPING SETS, in one pass), or over an input sorted by the keys.
//!
//! Arguments are evaluated before any state changes, so that a row whose expression had to wait is simply done again.
//! DISTINCT and ORDER BY inside a call gather its arguments; they are fed, sorted, when the group ends: DISTINCT alone
//! sorts by the arguments, which is the order PostgreSQL shows.

use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::{Aggregate, AggregatePlan};
use super::store::{RowSet, TupleStore};
use super::value;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::Accumulator;
use crate::executor::functions::aggregate::{SortOrder, Start, aggregate};
use crate::executor::memory::{Reservation, datum_bytes};
use crate::types::{Datum, Type};
use std::cmp::Ordering;
use std::sync::Arc;

/// See the module.
pub(super) struct AggregateOp {
    plan: Arc<Aggregate>,
    input: Box<dyn Operator>,
    /// Keys of the groups, NULL outside of the set, then the set's number when there are several.
    groups: RowSet,
    states: Vec<Vec<State>>,
    /// The row under way: keys, arguments and order values of all calls, and which calls' filters let it through.
    keys: Vec<Datum>,
    values: Vec<Datum>,
    passes: Vec<bool>,
    pending: bool,
    ended: bool,
    at: usize,
    /// Direct arguments, evaluated once.
    direct: Option<Vec<Vec<Datum>>>,
    /// Sorted input: the group under way, and whether the row in `keys` and `values` is the first of the next.
    open: Option<Vec<Datum>>,
    carried: bool,
    reservation: Reservation,
}

/// One call's state in one group.
struct State {
    accumulator: Box<dyn Accumulator>,
    /// DISTINCT or ORDER BY: order values, then arguments.
    gathered: Option<TupleStore>,
}

impl AggregateOp {
    pub(super) fn new(plan: &Arc<Aggregate>, f: &Frame) -> AggregateOp {
        let width = plan.keys.len() + usize::from(plan.sets.len() > 1);
        AggregateOp {
            plan: plan.clone(),
            input: operator::build(&plan.input, f),
            groups: RowSet::new(width, &f.ctx.memory),
            states: Vec::new(),
            keys: Vec::new(),
            values: Vec::new(),
            passes: Vec::new(),
            pending: false,
            ended: false,
            at: 0,
            direct: None,
            open: None,
            carried: false,
            reservation: Reservation::new(&f.ctx.memory),
        }
    }

    /// Evaluates the direct arguments, before anything else: they may have to wait.
    fn prepare(&mut self, f: &mut Frame) -> Result<()> {
        if self.direct.is_none() {
            let mut all = Vec::new();
            for call in &self.plan.aggregates {
                all.push(call.direct.iter().map(|code| code.eval(f)).collect::<Result<Vec<_>>>()?);
            }
            self.direct = Some(all);
        }
        Ok(())
    }

    fn new_states(&mut self, f: &Frame) -> Result<Vec<State>> {
        let direct = self.direct.as_deref().unwrap_or_default();
        let mut states = Vec::with_capacity(self.plan.aggregates.len());
        for (call, direct) in self.plan.aggregates.iter().zip(direct) {
            self.reservation.grow(160)?;
            states.push(State {
                accumulator: accumulator(call, direct)?,
                gathered: gathers(call).then(|| TupleStore::new(call.order.len() + call.args.len(), &f.ctx.memory)),
            });
        }
        Ok(states)
    }

    /// Evaluates the input row: keys, filters, order values and arguments.
    fn evaluate(&mut self, f: &mut Frame) -> Result<()> {
        self.keys.clear();
        self.values.clear();
        self.passes.clear();
        for (_, code) in &self.plan.keys {
            let key = code.eval(f)?;
            self.keys.push(key);
        }
        for call in &self.plan.aggregates {
            let passes = match &call.filter {
                Some(filter) => filter.test(f)?,
                None => true,
            };
            self.passes.push(passes);
            if passes {
                for code in call.order.iter().map(|by| &by.code).chain(&call.args) {
                    let value = code.eval(f)?;
                    self.values.push(value);
                }
            }
        }
        Ok(())
    }

    /// Gives the evaluated row to one group's states.
    fn take(&mut self, group: usize, f: &mut Frame) -> Result<()> {
        let mut at = 0;
        for (i, call) in self.plan.aggregates.iter().enumerate() {
            if !self.passes[i] {
                continue;
            }
            let width = call.order.len() + call.args.len();
            let values = &self.values[at..at + width];
            at += width;
            let state = &mut self.states[group][i];
            match &mut state.gathered {
                Some(rows) => rows.push(values.iter().cloned())?,
                None => {
                    if collects(call.call.name) {
                        self.reservation.grow(values.iter().map(datum_bytes).sum())?;
                    }
                    state.accumulator.add(&f.call, values)?;
                }
            }
        }
        Ok(())
    }

    /// Reads all input into groups.
    fn fill(&mut self, f: &mut Frame) -> Result<()> {
        loop {
            if !self.pending && !self.input.next(f)? {
                break;
            }
            self.pending = true;
            self.evaluate(f)?;
            for set in 0..self.plan.sets.len() {
                let group = self.group(set, f)?;
                self.take(group, f)?;
            }
            self.pending = false;
        }
        // A set without keys has its one row whatever came.
        for set in 0..self.plan.sets.len() {
            if self.plan.sets[set].is_empty() {
                self.keys.clear();
                self.keys.resize(self.plan.keys.len(), Datum::Null);
                self.group(set, f)?;
            }
        }
        self.ended = true;
        Ok(())
    }

    /// The number of the group that the row in `keys` belongs to in grouping set `set`.
    fn group(&mut self, set: usize, f: &mut Frame) -> Result<usize> {
        let (number, new) = if self.plan.sets.len() == 1 && self.plan.sets[0].len() == self.plan.keys.len() {
            self.groups.insert(&self.keys)?
        } else {
            let mut row = vec![Datum::Null; self.plan.keys.len()];
            for key in &self.plan.sets[set] {
                row[*key as usize] = self.keys[*key as usize].clone();
            }
            if self.plan.sets.len() > 1 {
                row.push(Datum::Int4(set as i32));
            }
            self.groups.insert(&row)?
        };
        if new {
            let states = self.new_states(f)?;
            self.states.push(states);
        }
        Ok(number)
    }

    /// Puts a finished group into the output slots.
    fn output(&mut self, keys: &[Datum], group: usize, f: &mut Frame) -> Result<()> {
        let set = match keys.get(self.plan.keys.len()) {
            Some(Datum::Int4(set)) => *set as usize,
            _ => 0,
        };
        for ((slot, _), key) in self.plan.keys.iter().zip(keys) {
            f.set(*slot, key.clone());
        }
        for (slot, asked) in &self.plan.groupings {
            let mut bits = 0;
            for key in asked {
                bits = bits << 1 | i32::from(!self.plan.sets[set].contains(key));
            }
            f.set(*slot, Datum::Int4(bits));
        }
        for (i, call) in self.plan.aggregates.iter().enumerate() {
            let state = &mut self.states[group][i];
            if let Some(rows) = state.gathered.take() {
                feed(call, &rows, &mut *state.accumulator, f)?;
            }
            let result = state.accumulator.result(&f.call)?;
            f.set(call.slot, result);
        }
        Ok(())
    }

    /// Sorted input: reads one group to its end.
    fn next_sorted(&mut self, f: &mut Frame) -> Result<bool> {
        loop {
            if !self.carried {
                if self.ended || !self.pending && !self.input.next(f)? {
                    self.ended = true;
                    let Some(keys) = self.open.take() else { return Ok(false) };
                    self.output(&keys, 0, f)?;
                    return Ok(true);
                }
                self.pending = true;
                self.evaluate(f)?;
                self.pending = false;
                if let Some(open) = &self.open
                    && !value::same_row(open, &self.keys)
                {
                    self.carried = true;
                    let keys = self.open.take().unwrap_or_default();
                    self.output(&keys, 0, f)?;
                    return Ok(true);
                }
            }
            if self.open.is_none() {
                let states = self.new_states(f)?;
                self.states.clear();
                self.states.push(states);
                self.open = Some(self.keys.clone());
            }
            self.carried = false;
            self.take(0, f)?;
        }
    }
}

/// Whether an aggregate's state holds all that it was given.
fn collects(name: &str) -> bool {
    name.ends_with("_agg")
}

/// Whether a call's arguments are kept to the group's end.
fn gathers(call: &AggregatePlan) -> bool {
    call.call.distinct || !call.order.is_empty()
}

/// A fresh accumulator of a call.
fn accumulator(call: &AggregatePlan, direct: &[Datum]) -> Result<Box<dyn Accumulator>> {
    let args: Vec<Type> = if call.call.args.is_empty() {
        call.call.order.iter().map(|key| key.expr.ty).collect()
    } else {
        call.call.args.iter().map(|arg| arg.ty).collect()
    };
    match aggregate(call.call.name, &args) {
        Some(make) => {
            let order: Vec<SortOrder> = call
                .order
                .iter()
                .map(|by| SortOrder { descending: by.descending, nulls_first: by.nulls_first })
                .collect();
            make(&Start { args: &args, direct, order: &order })
        }
        None => Err(Error::new(
            SqlState::FeatureNotSupported,
            format!("aggregate function {} (oid {}) is not supported", call.call.name, call.call.function),
        )),
    }
}

/// Feeds gathered arguments, sorted, duplicates dropped under DISTINCT. An ordered-set aggregate takes its order values.
fn feed(call: &AggregatePlan, rows: &TupleStore, accumulator: &mut dyn Accumulator, f: &mut Frame) -> Result<()> {
    let order = call.order.len();
    let mut numbers: Vec<u32> = (0..rows.len() as u32).collect();
    numbers.sort_by(|a, b| {
        let (a, b) = (rows.row(*a as usize), rows.row(*b as usize));
        super::sort::compare_rows(&call.order, a, b).then_with(|| {
            if !call.call.distinct {
                return Ordering::Equal;
            }
            let pairs = a[order..].iter().zip(&b[order..]);
            pairs.map(|(a, b)| value::compare_key(a, b, false, false)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        })
    });
    let mut last: Option<&[Datum]> = None;
    for number in numbers {
        let row = rows.row(number as usize);
        let args = if call.args.is_empty() { row } else { &row[order..] };
        if call.call.distinct && last.is_some_and(|last| value::same_row(last, args)) {
            continue;
        }
        accumulator.add(&f.call, args)?;
        last = Some(args);
    }
    Ok(())
}

impl Operator for AggregateOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        self.prepare(f)?;
        if self.plan.sorted && self.plan.sets.len() == 1 && !self.plan.keys.is_empty() {
            return self.next_sorted(f);
        }
        if !self.ended {
            self.fill(f)?;
        }
        if self.at >= self.groups.len() {
            return Ok(false);
        }
        f.tick()?;
        let keys = self.groups.row(self.at).to_vec();
        self.output(&keys, self.at, f)?;
        self.at += 1;
        Ok(true)
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.at = 0;
        if !self.plan.depends && self.ended && self.open.is_none() && !self.plan.sorted {
            return Ok(());
        }
        self.groups.clear();
        self.states.clear();
        self.reservation.clear();
        self.direct = None;
        self.pending = false;
        self.ended = false;
        self.open = None;
        self.carried = false;
        self.input.rewind(f)
    }
}
