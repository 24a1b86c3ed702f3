//! Exact sums, averages and variances over integers and numeric.
//!
//! A running sum is an i128 until it overflows, a big integer after; numeric's is kept at the largest scale seen, which is
//! also the scale that the sum shows. All can take values out again, but numeric not the last value of the largest scale.

use super::Accumulator;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::types::Datum;
use crate::types::numeric::Numeric;
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive};

/// What is asked of the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// As int8.
    BigintSum,
    /// As numeric.
    Sum,
    Average,
    VarPop,
    VarSamp,
    StddevPop,
    StddevSamp,
}

impl Wanted {
    fn needs_squares(self) -> bool {
        matches!(self, Wanted::VarPop | Wanted::VarSamp | Wanted::StddevPop | Wanted::StddevSamp)
    }

    fn is_sample(self) -> bool {
        matches!(self, Wanted::VarSamp | Wanted::StddevSamp)
    }

    fn is_stddev(self) -> bool {
        matches!(self, Wanted::StddevPop | Wanted::StddevSamp)
    }
}

/// An integer of any size, small while it can be.
#[derive(Clone, Debug)]
enum Sum {
    Small(i128),
    Big(BigInt),
}

impl Default for Sum {
    fn default() -> Sum {
        Sum::Small(0)
    }
}

impl Sum {
    fn add(&mut self, value: i128) {
        match self {
            Sum::Small(sum) => match sum.checked_add(value) {
                Some(total) => *sum = total,
                None => *self = Sum::Big(BigInt::from(*sum) + value),
            },
            Sum::Big(sum) => *sum += value,
        }
    }

    fn add_big(&mut self, value: &BigInt) {
        match (value.to_i128(), &mut *self) {
            (Some(small), _) => self.add(small),
            (None, Sum::Small(sum)) => *self = Sum::Big(BigInt::from(*sum) + value),
            (None, Sum::Big(sum)) => *sum += value,
        }
    }

    /// Multiplies by 10^digits.
    fn shift(&mut self, digits: u16) {
        if let Sum::Small(sum) = self
            && let Some(shifted) = 10i128.checked_pow(u32::from(digits)).and_then(|power| sum.checked_mul(power))
        {
            *sum = shifted;
            return;
        }
        *self = Sum::Big(self.to_big() * power_of_ten(digits.into()));
    }

    fn to_big(&self) -> BigInt {
        match self {
            Sum::Small(sum) => BigInt::from(*sum),
            Sum::Big(sum) => sum.clone(),
        }
    }

    fn to_numeric(&self, scale: u16) -> Numeric {
        match self {
            Sum::Small(sum) => Numeric::from_i128(*sum, scale),
            Sum::Big(sum) => Numeric::from_big(sum.clone(), scale),
        }
    }
}

/// Sums over int2, int4 and int8.
pub(super) struct Integers {
    wanted: Wanted,
    count: i64,
    sum: Sum,
    squares: Sum,
}

impl Integers {
    pub(super) fn new(wanted: Wanted) -> Integers {
        Integers { wanted, count: 0, sum: Sum::default(), squares: Sum::default() }
    }

    fn apply(&mut self, args: &[Datum], sign: i128) -> Result<()> {
        let value = i128::from(match args[0] {
            Datum::Null => return Ok(()),
            Datum::Int2(value) => i64::from(value),
            Datum::Int4(value) => i64::from(value),
            Datum::Int8(value) => value,
            _ => return Err(Error::internal("an integer aggregate was given another type")),
        });
        self.count += sign as i64;
        self.sum.add(sign * value);
        if self.wanted.needs_squares() {
            self.squares.add(sign * value * value);
        }
        Ok(())
    }
}

impl Accumulator for Integers {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        self.apply(args, 1)
    }

    fn remove(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<bool> {
        self.apply(args, -1)?;
        Ok(true)
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        Ok(match self.wanted {
            Wanted::BigintSum => match &self.sum {
                Sum::Small(sum) if i64::try_from(*sum).is_ok() => Datum::Int8(*sum as i64),
                _ => return Err(Error::new(SqlState::NumericValueOutOfRange, "bigint out of range")),
            },
            Wanted::Sum => Datum::Numeric(self.sum.to_numeric(0)),
            Wanted::Average => Datum::Numeric(self.sum.to_numeric(0).div(&Numeric::from_i128(self.count.into(), 0))?),
            _ => spread(self.wanted, self.count, &self.sum.to_big(), 0, &self.squares.to_big())?,
        })
    }
}

/// Sums over numeric.
pub(super) struct Numerics {
    wanted: Wanted,
    /// Finite values.
    count: i64,
    nan: u64,
    infinity: u64,
    negative_infinity: u64,
    /// The largest scale seen, and how many values have it.
    scale: u16,
    at_scale: u64,
    sum: Sum,
    /// At twice the scale.
    squares: Sum,
}

impl Numerics {
    pub(super) fn new(wanted: Wanted) -> Numerics {
        Numerics {
            wanted,
            count: 0,
            nan: 0,
            infinity: 0,
            negative_infinity: 0,
            scale: 0,
            at_scale: 0,
            sum: Sum::default(),
            squares: Sum::default(),
        }
    }

    fn raise_scale(&mut self, scale: u16) {
        if scale > self.scale {
            self.sum.shift(scale - self.scale);
            self.squares.shift(2 * (scale - self.scale));
            (self.scale, self.at_scale) = (scale, 0);
        }
    }

    /// Adds or takes out a finite value whose scale is not above the state's.
    fn apply(&mut self, value: &Numeric, sign: i64) {
        let (coefficient, scale) = match value {
            Numeric::Small { coefficient, scale } => {
                let power = 10i128.checked_pow(u32::from(self.scale - scale));
                if let Some(aligned) = power.and_then(|power| power.checked_mul(i128::from(*coefficient))) {
                    self.sum.add(i128::from(sign) * aligned);
                    if self.wanted.needs_squares() {
                        match aligned.checked_mul(aligned) {
                            Some(square) => self.squares.add(i128::from(sign) * square),
                            None => self.squares.add_big(&(BigInt::from(aligned) * aligned * sign)),
                        }
                    }
                    return;
                }
                (BigInt::from(*coefficient), *scale)
            }
            Numeric::Big(big) => (big.0.clone(), big.1),
            Numeric::NaN | Numeric::Infinity | Numeric::NegativeInfinity => return,
        };
        let aligned = coefficient * power_of_ten(u32::from(self.scale - scale));
        if self.wanted.needs_squares() {
            self.squares.add_big(&(&aligned * &aligned * sign));
        }
        self.sum.add_big(&(aligned * sign));
    }
}

fn scale_of(value: &Numeric) -> Option<u16> {
    match value {
        Numeric::Small { scale, .. } => Some(*scale),
        Numeric::Big(big) => Some(big.1),
        Numeric::NaN | Numeric::Infinity | Numeric::NegativeInfinity => None,
    }
}

impl Accumulator for Numerics {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        match &args[0] {
            Datum::Null => {}
            Datum::Numeric(Numeric::NaN) => self.nan += 1,
            Datum::Numeric(Numeric::Infinity) => self.infinity += 1,
            Datum::Numeric(Numeric::NegativeInfinity) => self.negative_infinity += 1,
            Datum::Numeric(value) => {
                let scale = scale_of(value).expect("the special values are handled above");
                self.raise_scale(scale);
                self.at_scale += u64::from(scale == self.scale);
                self.count += 1;
                self.apply(value, 1);
            }
            _ => return Err(Error::internal("a numeric aggregate was given another type")),
        }
        Ok(())
    }

    fn remove(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<bool> {
        match &args[0] {
            Datum::Null => {}
            Datum::Numeric(Numeric::NaN) => self.nan -= 1,
            Datum::Numeric(Numeric::Infinity) => self.infinity -= 1,
            Datum::Numeric(Numeric::NegativeInfinity) => self.negative_infinity -= 1,
            Datum::Numeric(value) => {
                if scale_of(value) == Some(self.scale) {
                    // The sum's scale would have to shrink to one that is not known any more.
                    if self.at_scale == 1 && self.count > 1 && self.scale > 0 {
                        return Ok(false);
                    }
                    self.at_scale -= 1;
                }
                self.count -= 1;
                self.apply(value, -1);
                if self.count == 0 {
                    self.scale = 0;
                }
            }
            _ => return Err(Error::internal("a numeric aggregate was given another type")),
        }
        Ok(true)
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        let infinite = self.infinity + self.negative_infinity;
        if self.count == 0 && self.nan == 0 && infinite == 0 {
            return Ok(Datum::Null);
        }
        if self.wanted.needs_squares() {
            let total = self.count as u64 + self.nan + infinite;
            if self.wanted.is_sample() && total <= 1 {
                return Ok(Datum::Null);
            }
            if self.nan + infinite > 0 {
                return Ok(Datum::Numeric(Numeric::NaN));
            }
            return spread(self.wanted, self.count, &self.sum.to_big(), self.scale, &self.squares.to_big());
        }
        Ok(Datum::Numeric(if self.nan > 0 || (self.infinity > 0 && self.negative_infinity > 0) {
            Numeric::NaN
        } else if self.infinity > 0 {
            Numeric::Infinity
        } else if self.negative_infinity > 0 {
            Numeric::NegativeInfinity
        } else if self.wanted == Wanted::Average {
            self.sum.to_numeric(self.scale).div(&Numeric::from_i128(self.count.into(), 0))?
        } else {
            self.sum.to_numeric(self.scale)
        }))
    }
}

/// Variance or standard deviation from n, Σx (at `scale`) and Σx² (at twice `scale`): (n Σx² − (Σx)²) / (n (n − 1)).
fn spread(wanted: Wanted, count: i64, sum: &BigInt, scale: u16, squares: &BigInt) -> Result<Datum> {
    let divisor = if wanted.is_sample() { count - 1 } else { count };
    if divisor == 0 {
        return Ok(Datum::Null);
    }
    let numerator = squares * count - sum * sum;
    if !numerator.is_positive() {
        return Ok(Datum::Numeric(Numeric::from_i128(0, 0)));
    }
    let denominator = Numeric::from_i128(i128::from(count) * i128::from(divisor), 0);
    let variance = Numeric::from_big(numerator, 2 * scale).div(&denominator)?;
    match variance.parts() {
        Some((coefficient, scale)) if wanted.is_stddev() => {
            Ok(Datum::Numeric(Numeric::from_big(square_root(&coefficient, scale), scale)))
        }
        _ => Ok(Datum::Numeric(variance)),
    }
}

/// The root of a non-negative value, at the same scale, rounded half up.
fn square_root(value: &BigInt, scale: u16) -> BigInt {
    let exact = value * power_of_ten(u32::from(scale));
    let root = exact.sqrt();
    // (root + 1/2)² = root² + root + 1/4
    let rest = exact - &root * &root;
    if rest > root { root + 1 } else { root }
}

fn power_of_ten(digits: u32) -> BigInt {
    BigInt::from(10).pow(digits)
}
