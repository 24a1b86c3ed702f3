//! All implementations by symbol.

use super::Implementation;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The tables of this folder's modules.
static TABLES: &[&[Implementation]] = &[
    super::arithmetic::TABLE,
    super::array::SETS,
    super::array::TABLE,
    super::bytea::TABLE,
    super::cast::TABLE,
    super::comparison::TABLE,
    super::concat::ROWS,
    super::concat::TABLE,
    super::definition::TABLE,
    super::domains::TABLE,
    super::enums::TABLE,
    super::json::build::TABLE,
    super::json::build::ROWS,
    super::json::cast::TABLE,
    super::json::change::ROWS,
    super::json::change::TABLE,
    super::json::read::TABLE,
    super::json::record::TABLE,
    super::json::rows::SETS,
    super::json::text::TABLE,
    super::hash::TABLE,
    super::math::TABLE,
    super::misc::TABLE,
    super::misc::SENDS,
    super::pattern::TABLE,
    super::regexp::functions::SETS,
    super::regexp::functions::TABLE,
    super::sequence::TABLE,
    super::string::SETS,
    super::string::TABLE,
    super::datetime::arithmetic::TABLE,
    super::datetime::compare::TABLE,
    super::datetime::field::TABLE,
    super::datetime::make::TABLE,
    super::datetime::zones::TABLE,
    super::formatting::TABLE,
    super::series::TABLE,
];

static BY_SYMBOL: LazyLock<HashMap<&'static str, &'static Implementation>> = LazyLock::new(|| {
    TABLES.iter().chain(super::system::TABLES).copied().flatten().map(|entry| (entry.symbol, entry)).collect()
});

/// The implementation of a `prosrc`; for functions that PostgreSQL writes in SQL (whose prosrc is empty), of a `proname`.
pub fn implementation(symbol: &str) -> Option<&'static Implementation> {
    BY_SYMBOL.get(symbol).copied()
}
