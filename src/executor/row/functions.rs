//! Set-returning functions side by side: ROWS FROM in FROM, and a select list's sets.

use super::frame::Frame;
use super::operator::Operator;
use super::plan::{Functions, SetCall};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::Form;
use crate::types::Datum;
use std::sync::Arc;

type Rows = Box<dyn Iterator<Item = Result<Datum>> + Send>;

/// The sets of one input row under way.
#[derive(Default)]
pub(super) struct SetCalls {
    open: Vec<Option<Rows>>,
}

impl SetCalls {
    /// Evaluates the arguments and begins every set.
    pub(super) fn begin(&mut self, calls: &[SetCall], f: &mut Frame) -> Result<()> {
        self.open.clear();
        for call in calls {
            let rows = start(call, f)?;
            self.open.push(rows);
        }
        Ok(())
    }

    /// The next row of all sets, ended ones giving NULL; `false` when all have ended.
    pub(super) fn next(&mut self, calls: &[SetCall], f: &mut Frame) -> Result<bool> {
        let mut any = false;
        for (call, rows) in calls.iter().zip(&mut self.open) {
            match rows.as_mut().and_then(Iterator::next).transpose()? {
                Some(value) => {
                    any = true;
                    put(call, value, f);
                }
                None => {
                    *rows = None;
                    f.clear(&call.slots);
                }
            }
        }
        Ok(any)
    }
}

/// Spreads a value over a call's slots.
fn put(call: &SetCall, value: Datum, f: &mut Frame) {
    match value {
        Datum::Record(fields) if call.spread => {
            for (i, slot) in call.slots.iter().enumerate() {
                f.set(*slot, fields.get(i).map_or(Datum::Null, |field| field.1.clone()));
            }
        }
        Datum::Null if call.spread => f.clear(&call.slots),
        value => f.set(call.slots[0], value),
    }
}

fn start(call: &SetCall, f: &mut Frame) -> Result<Option<Rows>> {
    let args = call.args.iter().map(|arg| arg.eval(f)).collect::<Result<Vec<_>>>()?;
    let Some(function) = call.function else {
        // A scalar expression gives one row.
        return Ok(Some(Box::new(args.into_iter().map(Ok))));
    };
    if function.strict && args.iter().any(Datum::is_null) {
        return Ok(None);
    }
    match function.implementation.map(|implementation| &implementation.form) {
        Some(Form::Set(form)) => form(&f.call, &args).map(Some),
        Some(Form::Scalar(form)) => Ok(Some(Box::new(std::iter::once(form(&f.call, &args))))),
        None => Err(Error::new(
            SqlState::FeatureNotSupported,
            format!("function {} (oid {}) is not supported", function.name, function.oid),
        )),
    }
}

/// ROWS FROM (…) \[WITH ORDINALITY\].
pub(super) struct FunctionsOp {
    plan: Arc<Functions>,
    calls: SetCalls,
    begun: bool,
    count: i64,
}

impl FunctionsOp {
    pub(super) fn new(plan: &Arc<Functions>) -> FunctionsOp {
        FunctionsOp { plan: plan.clone(), calls: SetCalls::default(), begun: false, count: 0 }
    }
}

impl Operator for FunctionsOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        f.tick()?;
        if !self.begun {
            self.calls.begin(&self.plan.calls, f)?;
            self.begun = true;
            self.count = 0;
        }
        if !self.calls.next(&self.plan.calls, f)? {
            return Ok(false);
        }
        self.count += 1;
        if let Some(slot) = self.plan.ordinality {
            f.set(slot, Datum::Int8(self.count));
        }
        Ok(true)
    }

    fn rewind(&mut self, _: &mut Frame) -> Result<()> {
        self.begun = false;
        Ok(())
    }
}
