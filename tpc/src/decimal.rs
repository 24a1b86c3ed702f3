//! Amounts and rates: NUMERIC values with at most four digits after the point, exact, in PostgreSQL's binary form.
//!
//! | OFFSET | SIZE | FIELD |
//! |---|---|---|
//! | 0 | 2 | number of digits, base 10,000 |
//! | 2 | 2 | weight: power of 10,000 of the first digit |
//! | 4 | 2 | sign: 0x0000 positive, 0x4000 negative |
//! | 6 | 2 | digits after the point that are shown |
//! | 8 | 2 each | the digits, most significant first |

use bytes::{BufMut, BytesMut};
use std::error::Error;
use std::fmt;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

const NEGATIVE: u16 = 0x4000;
const BASE: i64 = 10_000;

/// A number in ten-thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Decimal(pub(crate) i64);

impl Decimal {
    pub(crate) const fn cents(cents: i64) -> Decimal {
        Decimal(cents * 100)
    }

    pub(crate) fn times(self, count: i32) -> Decimal {
        Decimal(self.0 * i64::from(count))
    }

    pub(crate) fn to_f64(self) -> f64 {
        self.0 as f64 / BASE as f64
    }
}

/// With two digits after the point where these suffice, else with four: what COPY sends.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, value) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let (whole, fraction) = (value / 10_000, value % 10_000);
        if fraction % 100 == 0 {
            write!(f, "{sign}{whole}.{:02}", fraction / 100)
        } else {
            write!(f, "{sign}{whole}.{fraction:04}")
        }
    }
}

impl ToSql for Decimal {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let mut digits = Vec::with_capacity(6);
        let mut rest = self.0.unsigned_abs();
        while rest > 0 {
            digits.push((rest % BASE as u64) as i16);
            rest /= BASE as u64;
        }
        // The last digit has weight -1, whatever came before it.
        let weight = digits.len() as i16 - 2;
        out.put_i16(digits.len() as i16);
        out.put_i16(if digits.is_empty() { 0 } else { weight });
        out.put_u16(if self.0 < 0 { NEGATIVE } else { 0 });
        out.put_i16(if self.0 % 100 == 0 { 2 } else { 4 });
        for digit in digits.iter().rev() {
            out.put_i16(*digit);
        }
        Ok(IsNull::No)
    }

    accepts!(NUMERIC);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Decimal {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Decimal, Box<dyn Error + Sync + Send>> {
        let field = |at: usize| {
            raw.get(at * 2..at * 2 + 2).map(|b| i16::from_be_bytes([b[0], b[1]])).ok_or("a short NUMERIC value")
        };
        let (count, weight, sign) = (field(0)?, field(1)?, field(2)? as u16);
        if sign != 0 && sign != NEGATIVE {
            return Err("NaN or infinity where an amount is expected".into());
        }
        let mut value: i64 = 0;
        for i in 0..count {
            let digit = i64::from(field(4 + i as usize)?);
            // Power of 10,000 in ten-thousandths.
            let power = weight - i + 1;
            if power < 0 {
                if digit != 0 {
                    return Err("a NUMERIC value with more than four digits after the point".into());
                }
                continue;
            }
            let unit = BASE.checked_pow(power as u32).and_then(|unit| unit.checked_mul(digit));
            value = unit.and_then(|part| value.checked_add(part)).ok_or("a NUMERIC value out of range")?;
        }
        Ok(Decimal(if sign == NEGATIVE { -value } else { value }))
    }

    accepts!(NUMERIC);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_form_round_trips_and_text_has_the_digits_it_needs() {
        for units in [0, 1, -1, 9_999, 10_000, -10_000, 123_456_789, 5_000_000_000, -4_200, i64::MAX / 20_000] {
            let mut out = BytesMut::new();
            Decimal(units).to_sql(&Type::NUMERIC, &mut out).unwrap();
            assert_eq!(Decimal::from_sql(&Type::NUMERIC, &out).unwrap(), Decimal(units));
        }
        let shown = [-1_000, 1234, 30_000_000].map(|cents| Decimal::cents(cents).to_string());
        assert_eq!(shown, ["-10.00", "12.34", "300000.00"]);
        assert_eq!(Decimal(1875).to_string(), "0.1875");
        // 0.00001 cannot be held.
        assert!(Decimal::from_sql(&Type::NUMERIC, &[0, 1, 0xff, 0xfe, 0, 0, 0, 5, 0x03, 0xe8]).is_err());
    }
}
