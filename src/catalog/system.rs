//! System relations: generators with key access over the live catalog.

/// A relation of pg_catalog or information_schema that is computed when it is read.
#[derive(Debug)]
pub struct SystemRelation {
    /// Its name.
    pub name: &'static str,
}
