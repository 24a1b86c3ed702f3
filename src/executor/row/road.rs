//! The choice of the road: a relation that the planner thinks large runs on the vector road, its rows come back as rows.
//!
//! The row plan is at hand for what that road refuses, for numbers that do not fit their form there, and for too little
//! memory: nothing has been given until then. The other way round, a relation that was thought small begins on the row road,
//! and once it has read far more than that without giving a row, anew on the vector road, at the same snapshot.

use super::frame::{Frame, Taken};
use super::operator::{self, Operator};
use super::plan::Road;
use crate::error::Result;
use crate::executor::vector::{Given, Stream};
use std::sync::Arc;

/// Units of the row road's work from which a relation that was thought small is begun again: what is thrown away is then
/// little beside what is likely to come.
const MUCH_MORE: u64 = 100_000;

/// A relation on one of the roads.
pub(super) struct RoadOp {
    plan: Arc<Road>,
    /// The node's number.
    id: u32,
    state: State,
}

enum State {
    Ready,
    Row {
        operator: Box<dyn Operator>,
        /// The work at which the vector road is tried.
        limit: Option<u64>,
    },
    Vector {
        stream: Box<Stream>,
        /// Rows have been given.
        given: bool,
    },
}

impl RoadOp {
    pub(super) fn new(plan: &Arc<Road>, id: u32) -> RoadOp {
        RoadOp { plan: plan.clone(), id, state: State::Ready }
    }

    fn start(&self, f: &mut Frame) -> Result<State> {
        if self.plan.row_first {
            let limit = Some(f.ticks() + MUCH_MORE);
            return Ok(State::Row { operator: operator::build(&self.plan.row, f), limit });
        }
        Ok(match self.vector(f)? {
            Ok(stream) => stream,
            Err(reason) => self.row(f, &reason),
        })
    }

    /// A stream on the vector road, or why there is none.
    fn vector(&self, f: &mut Frame) -> Result<std::result::Result<State, String>> {
        let mut params = f.params.to_vec();
        for input in &self.plan.inputs {
            match input.eval(f) {
                Ok(value) => params.push(value),
                // A wait, or a pause: the call is made again.
                Err(error) if error.waiter().is_some() || error.is_pause() => return Err(error),
                // Raised where a row reaches the subquery, if one does: the row road knows.
                Err(_) => return Ok(Err("a subquery's error".to_owned())),
            }
        }
        let parts = self.plan.vector.sources.iter().map(|source| operator::build(&source.node, f)).collect();
        Ok(match Stream::start(&self.plan.vector, parts, &params.into(), &f.ctx) {
            Ok(stream) => {
                if f.instruments.is_some() {
                    f.roads.push((self.id, Taken::Vector(stream.run.clone(), self.plan.row_first)));
                }
                Ok(State::Vector { stream: Box::new(stream), given: false })
            }
            Err(refused) => Err(refused.0),
        })
    }

    fn row(&self, f: &mut Frame, reason: &str) -> State {
        tracing::debug!("the row road is taken: {reason}");
        if f.instruments.is_some() {
            // A plan that has been given up holds its memory for as long as it is known.
            f.roads.retain(|(id, _)| *id != self.id);
            f.roads.push((self.id, Taken::Row(reason.to_owned())));
        }
        State::Row { operator: operator::build(&self.plan.row, f), limit: None }
    }
}

impl Operator for RoadOp {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        loop {
            match &mut self.state {
                State::Ready => self.state = self.start(f)?,
                State::Row { operator, limit } => match operator.next(f) {
                    Err(error) if error.is_pause() && limit.is_some_and(|limit| f.ticks() > limit) => {
                        match self.vector(f)? {
                            Ok(state) => self.state = state,
                            Err(reason) => {
                                tracing::debug!("the row road goes on: {reason}");
                                if let State::Row { limit, .. } = &mut self.state {
                                    *limit = None;
                                }
                                return Err(error);
                            }
                        }
                    }
                    given => {
                        if let Ok(true) = given {
                            *limit = None;
                        }
                        return given;
                    }
                },
                State::Vector { stream, given } => {
                    f.check_cancel()?;
                    match stream.next(f)? {
                        Given::Row => {
                            *given = true;
                            return Ok(true);
                        }
                        Given::End => return Ok(false),
                        Given::Again(error) if *given => return Err(error),
                        Given::Again(error) => self.state = self.row(f, &error.report().message),
                    }
                }
            }
        }
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        match &mut self.state {
            State::Ready => {}
            State::Row { operator, .. } => return operator.rewind(f),
            State::Vector { .. } => self.state = State::Ready,
        }
        Ok(())
    }
}
