//! Names, types, oids: the catalog image, its storage, pg_catalog and information_schema.

pub mod builtin;
pub mod image;
pub mod names;
pub mod rights;
pub mod store;
pub mod system;

pub use store::Catalog;
