//! The choice of the road: a relation that the planner thinks large runs on the vector road, its rows come back as rows.
//!
//! The row plan is at hand for what that road refuses, for numbers that do not fit their form there, and for too little
//! memory: nothing has been given until then.

use super::frame::Frame;
use super::operator::{self, Operator};
use super::plan::Road;
use crate::error::Result;
use crate::executor::vector::{Given, Stream};
use std::sync::Arc;

/// A relation on one of the roads.
pub(super) struct RoadOp {
    plan: Arc<Road>,
    state: State,
}

enum State {
    Ready,
    Row(Box<dyn Operator>),
    Vector {
        stream: Box<Stream>,
        /// Rows have been given.
        given: bool,
    },
}

impl RoadOp {
    pub(super) fn new(plan: &Arc<Road>) -> RoadOp {
        RoadOp { plan: plan.clone(), state: State::Ready }
    }

    fn start(&self, f: &mut Frame) -> Result<State> {
        let mut params = f.params.to_vec();
        for input in &self.plan.inputs {
            match input.eval(f) {
                Ok(value) => params.push(value),
                // A wait, or a pause: the call is made again.
                Err(error) if error.waiter().is_some() || error.is_pause() => return Err(error),
                // Raised where a row reaches the subquery, if one does: the row road knows.
                Err(_) => return Ok(self.row(f)),
            }
        }
        match Stream::start(&self.plan.vector, &params.into(), &f.ctx) {
            Ok(stream) => Ok(State::Vector { stream: Box::new(stream), given: false }),
            Err(refused) => {
                tracing::debug!("the row road is taken: {}", refused.0);
                Ok(self.row(f))
            }
        }
    }

    fn row(&self, f: &Frame) -> State {
        State::Row(operator::build(&self.plan.row, f))
    }
}

impl Operator for RoadOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        loop {
            match &mut self.state {
                State::Ready => self.state = self.start(f)?,
                State::Row(operator) => return operator.next(f),
                State::Vector { stream, given } => {
                    f.check_cancel()?;
                    match stream.next(&mut f.slots)? {
                        Given::Row => {
                            *given = true;
                            return Ok(true);
                        }
                        Given::End => return Ok(false),
                        Given::Again(error) if *given => return Err(error),
                        Given::Again(_) => self.state = self.row(f),
                    }
                }
            }
        }
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        match &mut self.state {
            State::Ready => {}
            State::Row(operator) => return operator.rewind(f),
            State::Vector { .. } => self.state = State::Ready,
        }
        Ok(())
    }
}
