//! numeric: exact decimals of any size with a display scale, NaN and infinities.

/// A numeric value. Small ones (coefficient in an i64) lie inline.
#[derive(Clone, Debug)]
pub enum Numeric {
    /// `coefficient / 10^scale`, shown with `scale` digits after the point.
    Small {
        /// The digits.
        coefficient: i64,
        /// Display scale.
        scale: u16,
    },
    /// Anything larger.
    Big(std::sync::Arc<(num_bigint::BigInt, u16)>),
    /// NaN, equal to itself and greater than all else.
    NaN,
    /// Infinity.
    Infinity,
    /// -Infinity.
    NegativeInfinity,
}
