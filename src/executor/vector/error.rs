//! Our errors through DataFusion and back: SQLSTATE and position survive as `External`.

use crate::error::{Error, SqlState};
use crate::executor::spill;
use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use std::fmt;

/// An assumption about the data did not hold (a numeric is NaN or has more than 38 digits), or about a plan: the statement
/// begins again on the row road, which has none.
#[derive(Debug)]
pub(crate) struct BrokenAssumption;

impl fmt::Display for BrokenAssumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a numeric does not fit the form that it was planned with")
    }
}

impl std::error::Error for BrokenAssumption {}

/// What a stream ended with.
#[derive(Debug)]
pub(crate) enum Failure {
    /// For the client.
    Error(Error),
    /// Not for this road: the relation begins again on the row road, which has all forms and spills whatever it keeps. The
    /// client's error where rows have been given already.
    Again(Error),
}

impl Failure {
    /// See [`BrokenAssumption`].
    pub(crate) fn broken() -> Failure {
        Failure::Again(Error::internal("a number did not fit its form after rows were given"))
    }
}

/// Into DataFusion.
pub(crate) fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Into DataFusion.
pub(crate) fn broken() -> DataFusionError {
    DataFusionError::External(Box::new(BrokenAssumption))
}

/// A statement that DataFusion finds no plan for, or whose plan its own checks refuse, begins again on the row road.
pub(crate) fn unplanned(error: DataFusionError) -> DataFusionError {
    match failure(&error) {
        Failure::Error(own) if own.code() == SqlState::InternalError => {
            tracing::warn!("the vector road has no plan: {error}");
            broken()
        }
        _ => error,
    }
}

/// Out of DataFusion: our own errors as they were; short memory and full temporary files go to the row road, which may need
/// less; anything else is a bug of ours.
pub(crate) fn failure(error: &DataFusionError) -> Failure {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(at) = source {
        if let Some(own) = at.downcast_ref::<Error>() {
            return Failure::Error(own.clone());
        }
        // Temporary files alone are read and written there.
        if let Some(error) = at.downcast_ref::<std::io::Error>() {
            return Failure::Again(spill::io_error(error));
        }
        if at.is::<BrokenAssumption>() {
            return Failure::broken();
        }
        source = match at.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::ResourcesExhausted(message)) => {
                return Failure::Again(Error::new(SqlState::OutOfMemory, "out of memory").detail(message.clone()));
            }
            Some(DataFusionError::External(inner)) => Some(&**inner),
            Some(DataFusionError::Shared(inner)) => Some(&**inner),
            Some(DataFusionError::Context(_, inner)) => Some(&**inner),
            Some(DataFusionError::ArrowError(inner, _)) => Some(&**inner),
            _ => match at.downcast_ref::<ArrowError>() {
                Some(ArrowError::ExternalError(inner)) => Some(&**inner),
                _ => at.source(),
            },
        };
    }
    Failure::Error(Error::internal(format!("the vector road failed: {error}")))
}
