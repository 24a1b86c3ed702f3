//! System relations: generators with key access over the live catalog.

use crate::error::Result;
use crate::executor::functions::CallContext;
use crate::types::Datum;

/// Rows of a system relation, each with all attributes in order.
pub type SystemRows = Box<dyn Iterator<Item = Result<Vec<Datum>>> + Send>;

/// Makes the rows, from the catalog that `ctx.host` shows. With a key, (1-based attribute
/// of `keys`, value), it gives the rows whose attribute is equal to it, and no others.
pub type Generator = fn(ctx: &CallContext, key: Option<(i16, &Datum)>) -> Result<SystemRows>;

/// A relation of pg_catalog or information_schema that is computed when it is read.
#[derive(Debug)]
pub struct SystemRelation {
    /// Its name.
    pub name: &'static str,
    /// Attributes (1-based) by which the generator finds rows without making all of them.
    pub keys: &'static [i16],
    /// The generator.
    pub rows: Generator,
}

/// The system relations, as the catalog image shows them.
pub fn relations() -> &'static [std::sync::Arc<super::image::Relation>] {
    &[]
}
