//! Grouping: hashed (also GROUPING SETS, in one pass), or over an input sorted by the keys.
//!
//! Arguments are evaluated before any state changes, so that a row whose expression had to wait is simply done again.
//! DISTINCT and ORDER BY inside a call gather its arguments; they are fed, sorted, when the group ends: DISTINCT alone
//! sorts by the arguments, which is the order PostgreSQL shows.
//!
//! When hashed groups fill work_mem, rows of further groups are written, evaluated, into partitions by their group's hash; each
//! partition is then grouped for itself, as the input was.

use super::frame::Frame;
use super::gather::Feed;
use super::operator::{self, Operator};
use super::plan::{Aggregate, AggregatePlan};
use super::store::{RowSet, TupleStore};
use super::value;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::Accumulator;
use crate::executor::functions::aggregate::{SortOrder, Start, aggregate};
use crate::executor::memory::{Reservation, datum_bytes};
use crate::executor::spill::{LEVEL_MAX, Partition, Partitions};
use crate::types::{Datum, Type};
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
    /// Bytes of what DISTINCT and ORDER BY have gathered, which draws on accounts of its own.
    gathered: usize,
    /// Rows of groups that there was no room for: the group's row, which calls' filters let it through, their values.
    overflow: Option<Partitions>,
    /// Partitions to be worked off; the last one is being read once the input has ended.
    parts: Vec<Partition>,
    /// `groups` holds all of the input or of the partition.
    filled: bool,
    /// Partitions have been read: what is in `groups` is not all.
    spilled: bool,
    input_ended: bool,
    row: Vec<Datum>,
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
            gathered: 0,
            overflow: None,
            parts: Vec::new(),
            filled: false,
            spilled: false,
            input_ended: false,
            row: Vec::new(),
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
                Some(rows) => {
                    let before = rows.bytes();
                    rows.push(values.iter().cloned())?;
                    self.gathered += rows.bytes() - before;
                }
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

    /// Reads all input, or the partition that is next, into groups.
    fn fill(&mut self, f: &mut Frame) -> Result<()> {
        if self.input_ended {
            return self.fill_from_part(f);
        }
        loop {
            if !self.pending && !self.input.next(f)? {
                break;
            }
            self.pending = true;
            self.evaluate(f)?;
            for set in 0..self.plan.sets.len() {
                self.group_row(set);
                self.row_to_group(0, f)?;
            }
            self.pending = false;
        }
        self.add_empty_sets(f)?;
        self.input_ended = true;
        Ok(())
    }

    /// A set without keys has its one row whatever came.
    fn add_empty_sets(&mut self, f: &mut Frame) -> Result<()> {
        for set in 0..self.plan.sets.len() {
            if self.plan.sets[set].is_empty() {
                let mut row = vec![Datum::Null; self.plan.keys.len()];
                row.extend((self.plan.sets.len() > 1).then_some(Datum::Int4(set as i32)));
                self.group(&row, f)?;
            }
        }
        Ok(())
    }

    /// Puts into `row` what names the group of the row in `keys` in grouping set `set`.
    fn group_row(&mut self, set: usize) {
        self.row.clear();
        if self.plan.sets.len() == 1 && self.plan.sets[0].len() == self.plan.keys.len() {
            self.row.extend_from_slice(&self.keys);
            return;
        }
        self.row.resize(self.plan.keys.len(), Datum::Null);
        for key in &self.plan.sets[set] {
            self.row[*key as usize] = self.keys[*key as usize].clone();
        }
        if self.plan.sets.len() > 1 {
            self.row.push(Datum::Int4(set as i32));
        }
    }

    /// Values of a row's group.
    fn group_width(&self) -> usize {
        self.plan.keys.len() + usize::from(self.plan.sets.len() > 1)
    }

    /// Gives the evaluated row to its group, which `row` begins with; without room for a new group, to a partition.
    fn row_to_group(&mut self, level: u32, f: &mut Frame) -> Result<()> {
        let width = self.group_width();
        if self.overflow.is_none()
            && width > 0
            && level <= LEVEL_MAX
            && let Some(folder) =
                f.ctx.memory.spill_folder(self.groups.bytes() + self.reservation.used() + self.gathered)
        {
            self.overflow = Some(Partitions::create(folder, level)?);
            if level == 0 {
                self.add_empty_sets(f)?;
            }
        }
        let row = std::mem::take(&mut self.row);
        let group = match &self.overflow {
            None => Some(self.group(&row[..width], f)?),
            Some(_) => self.groups.find(&row[..width]),
        };
        self.row = row;
        if let Some(group) = group {
            return self.take(group, f);
        }
        self.row.truncate(width);
        let hash = value::hash_row(&self.row);
        self.row.extend(self.passes.iter().map(|passes| Datum::Bool(*passes)));
        self.row.append(&mut self.values.clone());
        self.row.resize(self.spilled_width(), Datum::Null);
        match &mut self.overflow {
            Some(overflow) => overflow.push(hash, &self.row),
            None => Ok(()),
        }
    }

    /// Values of a row in a partition.
    fn spilled_width(&self) -> usize {
        let calls = self.plan.aggregates.iter();
        self.group_width() + calls.map(|call| 1 + call.order.len() + call.args.len()).sum::<usize>()
    }

    /// Reads the last partition into groups.
    fn fill_from_part(&mut self, f: &mut Frame) -> Result<()> {
        let width = self.spilled_width();
        let (group, calls) = (self.group_width(), self.plan.aggregates.len());
        loop {
            f.tick()?;
            let Some(part) = self.parts.last_mut() else { return Ok(()) };
            let level = part.level;
            if !part.rows.next(width, &mut self.row)? {
                return Ok(());
            }
            self.passes.clear();
            self.passes.extend(self.row[group..group + calls].iter().map(|value| matches!(value, Datum::Bool(true))));
            self.values.clear();
            self.values.extend_from_slice(&self.row[group + calls..]);
            self.row_to_group(level, f)?;
        }
    }

    /// All groups at hand have been given: makes room for those of the next partition; `false` when there is none.
    fn next_part(&mut self) -> Result<bool> {
        while self.parts.pop_if(|part| part.rows.is_empty()).is_some() {}
        if let Some(overflow) = self.overflow.take() {
            self.parts.extend(overflow.finish()?.into_iter().filter(|part| !part.rows.is_empty()));
        }
        if self.parts.is_empty() {
            return Ok(false);
        }
        self.groups.clear();
        self.states.clear();
        self.reservation.clear();
        self.gathered = 0;
        self.at = 0;
        self.filled = false;
        self.spilled = true;
        Ok(true)
    }

    /// The number of the group named by `row`, which begins if it is new.
    fn group(&mut self, row: &[Datum], f: &mut Frame) -> Result<usize> {
        let (number, new) = self.groups.insert(row)?;
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
                feed(call).run(rows.len(), |at| rows.row(at), &mut *state.accumulator, &f.call)?;
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
        Some(make) => make(&Start { args: &args, direct, order: &feed(call).order }),
        None => Err(Error::new(
            SqlState::FeatureNotSupported,
            format!("aggregate function {} (oid {}) is not supported", call.call.name, call.call.function),
        )),
    }
}

/// How a call's gathered rows are fed.
fn feed(call: &AggregatePlan) -> Feed {
    let order = call.order.iter().map(|by| SortOrder { descending: by.descending, nulls_first: by.nulls_first });
    Feed { order: order.collect(), distinct: call.call.distinct, ordered_set: call.args.is_empty() }
}

impl Operator for AggregateOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        self.prepare(f)?;
        if self.plan.sorted && self.plan.sets.len() == 1 && !self.plan.keys.is_empty() {
            return self.next_sorted(f);
        }
        loop {
            if !self.filled {
                self.fill(f)?;
                self.filled = true;
            }
            if self.at < self.groups.len() {
                f.tick()?;
                let keys = self.groups.row(self.at).to_vec();
                self.output(&keys, self.at, f)?;
                self.at += 1;
                return Ok(true);
            }
            if !self.next_part()? {
                return Ok(false);
            }
        }
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.at = 0;
        let whole = self.filled && !self.spilled && self.overflow.is_none();
        if !self.plan.depends && whole && !self.plan.sorted {
            return Ok(());
        }
        self.groups.clear();
        self.states.clear();
        self.reservation.clear();
        self.gathered = 0;
        self.direct = None;
        self.pending = false;
        self.ended = false;
        self.open = None;
        self.carried = false;
        self.overflow = None;
        self.parts.clear();
        self.filled = false;
        self.spilled = false;
        self.input_ended = false;
        self.input.rewind(f)
    }
}
