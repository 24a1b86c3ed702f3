//! System relations: generators with key access over the live catalog.

/// A relation of pg_catalog or information_schema that is computed when it is read.
#[derive(Debug)]
pub struct SystemRelation {
    /// Its name.
    pub name: &'static str,
}

/// The system relations, as the catalog image shows them.
pub fn relations() -> &'static [std::sync::Arc<super::image::Relation>] {
    &[]
}
