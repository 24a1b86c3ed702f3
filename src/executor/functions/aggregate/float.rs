//! Float sums, averages, variances and regression: one pass, after Youngs and Cramer (1971).
//!
//! `Sxx` is Σ(x − mean)² over the rows so far, updated from the running sum alone. Rows cannot be taken out again without
//! loss, so moving frames recompute.

use super::Accumulator;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::types::Datum;

fn overflow() -> Error {
    Error::new(SqlState::NumericValueOutOfRange, "value out of range: overflow")
}

fn float(datum: &Datum) -> Result<Option<f64>> {
    match datum {
        Datum::Null => Ok(None),
        Datum::Float8(value) => Ok(Some(*value)),
        Datum::Float4(value) => Ok(Some(f64::from(*value))),
        _ => Err(Error::internal("a float aggregate was given another type")),
    }
}

/// sum(float8)
#[derive(Default)]
pub(super) struct Float8Sum(Option<f64>);

impl Accumulator for Float8Sum {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        let Some(value) = float(&args[0])? else { return Ok(()) };
        let Some(sum) = self.0 else {
            self.0 = Some(value);
            return Ok(());
        };
        let total = sum + value;
        if total.is_infinite() && !sum.is_infinite() && !value.is_infinite() {
            return Err(overflow());
        }
        self.0 = Some(total);
        Ok(())
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        Ok(self.0.map_or(Datum::Null, Datum::Float8))
    }
}

/// sum(float4), in float4 all along.
#[derive(Default)]
pub(super) struct Float4Sum(Option<f32>);

impl Accumulator for Float4Sum {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        let value = match args[0] {
            Datum::Null => return Ok(()),
            Datum::Float4(value) => value,
            _ => return Err(Error::internal("sum(float4) was given another type")),
        };
        let Some(sum) = self.0 else {
            self.0 = Some(value);
            return Ok(());
        };
        let total = sum + value;
        if total.is_infinite() && !sum.is_infinite() && !value.is_infinite() {
            return Err(overflow());
        }
        self.0 = Some(total);
        Ok(())
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        Ok(self.0.map_or(Datum::Null, Datum::Float4))
    }
}

/// What is asked of the moments.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    Average,
    VarPop,
    VarSamp,
    StddevPop,
    StddevSamp,
}

/// avg, variances and standard deviations of floats.
pub(super) struct Moments {
    wanted: Moment,
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    pub(super) fn new(wanted: Moment) -> Moments {
        Moments { wanted, count: 0.0, sum: 0.0, squares: 0.0 }
    }
}

impl Accumulator for Moments {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        let Some(value) = float(&args[0])? else { return Ok(()) };
        let (old_count, old_sum) = (self.count, self.sum);
        self.count += 1.0;
        self.sum += value;
        if old_count > 0.0 {
            let distance = value * self.count - self.sum;
            self.squares += distance * distance / (self.count * old_count);
            if self.sum.is_infinite() || self.squares.is_infinite() {
                if !old_sum.is_infinite() && !value.is_infinite() {
                    return Err(overflow());
                }
                self.squares = f64::NAN;
            }
        } else if !value.is_finite() {
            self.squares = f64::NAN;
        }
        Ok(())
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        let sample = matches!(self.wanted, Moment::VarSamp | Moment::StddevSamp);
        if self.count == 0.0 || (sample && self.count == 1.0) {
            return Ok(Datum::Null);
        }
        Ok(Datum::Float8(match self.wanted {
            Moment::Average => self.sum / self.count,
            Moment::VarPop => self.squares / self.count,
            Moment::VarSamp => self.squares / (self.count - 1.0),
            Moment::StddevPop => (self.squares / self.count).sqrt(),
            Moment::StddevSamp => (self.squares / (self.count - 1.0)).sqrt(),
        }))
    }
}

/// What is asked of pairs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Regression {
    Corr,
    CovarPop,
    CovarSamp,
    AvgX,
    AvgY,
    Count,
    Intercept,
    R2,
    Slope,
    Sxx,
    Sxy,
    Syy,
}

/// The aggregates over pairs (Y, X): the first argument is the dependent one.
pub(super) struct Pairs {
    wanted: Regression,
    count: f64,
    x: f64,
    xx: f64,
    y: f64,
    yy: f64,
    xy: f64,
}

impl Pairs {
    pub(super) fn new(wanted: Regression) -> Pairs {
        Pairs { wanted, count: 0.0, x: 0.0, xx: 0.0, y: 0.0, yy: 0.0, xy: 0.0 }
    }
}

impl Accumulator for Pairs {
    fn add(&mut self, _ctx: &CallContext, args: &[Datum]) -> Result<()> {
        let (Some(y), Some(x)) = (float(&args[0])?, float(&args[1])?) else { return Ok(()) };
        let (old_count, old_x, old_y) = (self.count, self.x, self.y);
        self.count += 1.0;
        self.x += x;
        self.y += y;
        if old_count == 0.0 {
            // The distances are zero, unless the first values already have none.
            if !x.is_finite() {
                (self.xx, self.xy) = (f64::NAN, f64::NAN);
            }
            if !y.is_finite() {
                (self.yy, self.xy) = (f64::NAN, f64::NAN);
            }
            return Ok(());
        }
        let (distance_x, distance_y) = (x * self.count - self.x, y * self.count - self.y);
        let scale = 1.0 / (self.count * old_count);
        self.xx += distance_x * distance_x * scale;
        self.yy += distance_y * distance_y * scale;
        self.xy += distance_x * distance_y * scale;
        let finite_x = !old_x.is_infinite() && !x.is_infinite();
        let finite_y = !old_y.is_infinite() && !y.is_infinite();
        let overflowed = ((self.x.is_infinite() || self.xx.is_infinite()) && finite_x)
            || ((self.y.is_infinite() || self.yy.is_infinite()) && finite_y)
            || (self.xy.is_infinite() && finite_x && finite_y);
        if overflowed {
            return Err(overflow());
        }
        for square in [&mut self.xx, &mut self.yy, &mut self.xy] {
            if square.is_infinite() {
                *square = f64::NAN;
            }
        }
        Ok(())
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        let Pairs { count, x, xx, y, yy, xy, .. } = *self;
        if let Regression::Count = self.wanted {
            return Ok(Datum::Int8(count as i64));
        }
        if count < 1.0 {
            return Ok(Datum::Null);
        }
        let value = match self.wanted {
            Regression::Count => None,
            Regression::AvgX => Some(x / count),
            Regression::AvgY => Some(y / count),
            Regression::Sxx => Some(xx),
            Regression::Syy => Some(yy),
            Regression::Sxy => Some(xy),
            Regression::CovarPop => Some(xy / count),
            Regression::CovarSamp => (count >= 2.0).then(|| xy / (count - 1.0)),
            Regression::Corr => (xx != 0.0 && yy != 0.0).then(|| xy / (xx * yy).sqrt()),
            Regression::R2 if xx == 0.0 => None,
            Regression::R2 if yy == 0.0 => Some(1.0),
            Regression::R2 => Some((xy * xy) / (xx * yy)),
            Regression::Slope => (xx != 0.0).then(|| xy / xx),
            Regression::Intercept => (xx != 0.0).then(|| (y - x * xy / xx) / count),
        };
        Ok(value.map_or(Datum::Null, Datum::Float8))
    }
}
