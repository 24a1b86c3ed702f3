//! interval arithmetic: sums, multiples, quotients, justification.

use super::out_of_range;
use crate::error::{Error, Result, SqlState};
use crate::types::Interval;
use crate::types::datetime::calendar::{USECS_PER_DAY, USECS_PER_SEC};

const SECS_PER_DAY: f64 = 86_400.0;
const DAYS_PER_MONTH: f64 = 30.0;

impl Interval {
    /// `-self`
    pub fn negated(self) -> Result<Interval> {
        let negate = || {
            Some(Interval {
                months: self.months.checked_neg()?,
                days: self.days.checked_neg()?,
                micros: self.micros.checked_neg()?,
            })
        };
        negate().ok_or_else(out_of_range)
    }

    /// `self + other`, field by field.
    pub fn plus(self, other: Interval) -> Result<Interval> {
        let add = || {
            Some(Interval {
                months: self.months.checked_add(other.months)?,
                days: self.days.checked_add(other.days)?,
                micros: self.micros.checked_add(other.micros)?,
            })
        };
        add().ok_or_else(out_of_range)
    }

    /// `self - other`, field by field.
    pub fn minus(self, other: Interval) -> Result<Interval> {
        let subtract = || {
            Some(Interval {
                months: self.months.checked_sub(other.months)?,
                days: self.days.checked_sub(other.days)?,
                micros: self.micros.checked_sub(other.micros)?,
            })
        };
        subtract().ok_or_else(out_of_range)
    }

    /// `self * factor`
    pub fn times(self, factor: f64) -> Result<Interval> {
        self.scaled(|value| value * factor)
    }

    /// `self / divisor`; 22012 for zero.
    pub fn divided(self, divisor: f64) -> Result<Interval> {
        if divisor == 0.0 {
            return Err(Error::new(SqlState::DivisionByZero, "division by zero"));
        }
        self.scaled(|value| value / divisor)
    }

    /// Scales each field; a field's fraction goes down to days (30 to a month) and seconds.
    ///
    /// Remainders are rounded to microseconds before they are carried, so that 0.1 of a day ten times is a day.
    fn scaled(self, scale: impl Fn(f64) -> f64) -> Result<Interval> {
        let months_exact = scale(f64::from(self.months));
        let days_exact = scale(f64::from(self.days));
        let months = whole_i32(months_exact)?;
        let mut days = whole_i32(days_exact)?;
        let days_of_month = round_micros((months_exact - f64::from(months)) * DAYS_PER_MONTH);
        let day_fraction = days_exact - f64::from(days) + days_of_month - days_of_month.trunc();
        let mut seconds = round_micros(day_fraction * SECS_PER_DAY);
        // Rounding and carrying can make a day or more of seconds.
        if seconds.abs() >= SECS_PER_DAY {
            let whole_days = (seconds / SECS_PER_DAY) as i32;
            days = days.checked_add(whole_days).ok_or_else(out_of_range)?;
            seconds -= f64::from(whole_days) * SECS_PER_DAY;
        }
        days = days.checked_add(days_of_month as i32).ok_or_else(out_of_range)?;
        let micros = (scale(self.micros as f64) + seconds * USECS_PER_SEC as f64).round_ties_even();
        // 2^63 is exact as f64, i64::MAX is not.
        if micros.is_nan() || micros < i64::MIN as f64 || micros >= -(i64::MIN as f64) {
            return Err(out_of_range());
        }
        Ok(Interval { months, days, micros: micros as i64 })
    }

    /// Whole days out of the time: justify_hours.
    pub fn justify_hours(self) -> Result<Interval> {
        let whole = self.micros / USECS_PER_DAY;
        let mut micros = self.micros % USECS_PER_DAY;
        let mut days = self.days.checked_add(whole as i32).ok_or_else(out_of_range)?;
        if days > 0 && micros < 0 {
            micros += USECS_PER_DAY;
            days -= 1;
        } else if days < 0 && micros > 0 {
            micros -= USECS_PER_DAY;
            days += 1;
        }
        Ok(Interval { months: self.months, days, micros })
    }

    /// Whole months of 30 days out of the days: justify_days.
    pub fn justify_days(self) -> Result<Interval> {
        let mut months = self.months.checked_add(self.days / 30).ok_or_else(out_of_range)?;
        let mut days = self.days % 30;
        if months > 0 && days < 0 {
            days += 30;
            months -= 1;
        } else if months < 0 && days > 0 {
            days -= 30;
            months += 1;
        }
        Ok(Interval { months, days, micros: self.micros })
    }

    /// Both, and one sign for all fields: justify_interval.
    pub fn justify_interval(self) -> Result<Interval> {
        let Interval { mut months, mut days, mut micros } = self;
        // Days first when they and the time agree in sign: their sum may need the room of the months.
        if (days > 0 && micros > 0) || (days < 0 && micros < 0) {
            months = months.checked_add(days / 30).ok_or_else(out_of_range)?;
            days %= 30;
        }
        days = days.checked_add((micros / USECS_PER_DAY) as i32).ok_or_else(out_of_range)?;
        micros %= USECS_PER_DAY;
        months = months.checked_add(days / 30).ok_or_else(out_of_range)?;
        days %= 30;
        if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
            days += 30;
            months -= 1;
        } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
            days -= 30;
            months += 1;
        }
        if days > 0 && micros < 0 {
            micros += USECS_PER_DAY;
            days -= 1;
        } else if days < 0 && micros > 0 {
            micros -= USECS_PER_DAY;
            days += 1;
        }
        Ok(Interval { months, days, micros })
    }
}

fn whole_i32(exact: f64) -> Result<i32> {
    let in_range = exact >= f64::from(i32::MIN) && exact <= f64::from(i32::MAX);
    if in_range { Ok(exact as i32) } else { Err(out_of_range()) }
}

/// Rounds seconds or days to six digits.
fn round_micros(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}
