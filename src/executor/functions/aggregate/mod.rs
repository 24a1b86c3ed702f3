//! Aggregates: an [`Accumulator`] for every aggregate of pg_aggregate, found by name and argument types.
//!
//! - [`exact`]: sums, averages and variances of the integer types and numeric, which are exact and can take rows out again.
//! - [`float`]: those of the float types, after Youngs and Cramer, and the regression family.
//! - [`collect`]: min, max, boolean and bit aggregates, string_agg, array_agg, those of interval.
//! - [`ordered`]: ordered-set and hypothetical-set aggregates.
//! - [`json`]: those that make json and jsonb.
//!
//! Absent: xmlagg, and the aggregates of ranges and bit strings.

mod collect;
mod exact;
mod float;
mod json;
mod ordered;

use super::Accumulator;
use crate::error::Result;
use crate::types::Datum;
use crate::types::oid::{self, Oid, Type};

/// One key of an ordered-set aggregate's WITHIN GROUP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SortOrder {
    /// DESC
    pub descending: bool,
    /// NULLS FIRST
    pub nulls_first: bool,
}

/// What a new accumulator is made from.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// Types of the aggregated arguments, as `aggregate` got them.
    pub args: &'a [Type],
    /// Values of the direct arguments (ordered-set aggregates only).
    pub direct: &'a [Datum],
    /// Order of WITHIN GROUP, one per aggregated argument (ordered-set aggregates only).
    pub order: &'a [SortOrder],
}

impl Start<'_> {
    fn element(&self) -> Oid {
        self.args.first().map_or(Oid::NONE, |ty| ty.oid)
    }
}

/// Makes the empty state of one group; errors when a direct argument is out of its range.
pub type Constructor = fn(&Start<'_>) -> Result<Box<dyn Accumulator>>;

/// Whether an aggregate may end in an error of what it is given, but for sums beyond all bounds; its arguments aside.
pub fn may_raise(name: &str, mut args: impl Iterator<Item = Type>) -> bool {
    match name {
        // A NULL key.
        "json_object_agg" | "jsonb_object_agg" => true,
        // Arrays of unlike dimensions.
        "array_agg" => args.any(|arg| oid::element_of(arg.oid).is_some()),
        _ => false,
    }
}

/// The aggregate `name` over arguments of types `args` (count(*): none); `None` answers 0A000 by name.
///
/// Accumulators skip NULLs themselves where their aggregate is strict. Ordered-set aggregates get the rows of a group in
/// WITHIN GROUP order; DISTINCT, ORDER BY in the call and FILTER are the caller's.
pub fn aggregate(name: &str, args: &[Type]) -> Option<Constructor> {
    let first = args.first().map_or(Oid::NONE, |ty| ty.oid);
    match name {
        "count" => Some(|_| Ok(Box::new(collect::Count::default()))),
        "sum" | "avg" => total(name == "avg", first),
        "min" => Some(|_| Ok(Box::new(collect::Extreme::min()))),
        "max" => Some(|_| Ok(Box::new(collect::Extreme::max()))),
        "bool_and" | "every" => Some(|_| Ok(Box::new(collect::Booleans::all()))),
        "bool_or" => Some(|_| Ok(Box::new(collect::Booleans::any()))),
        "bit_and" => Some(|_| Ok(Box::new(collect::Bits::and()))),
        "bit_or" => Some(|_| Ok(Box::new(collect::Bits::or()))),
        "bit_xor" => Some(|_| Ok(Box::new(collect::Bits::xor()))),
        "string_agg" if first == oid::BYTEA => Some(|_| Ok(Box::new(collect::JoinedBytes::default()))),
        "string_agg" => Some(|_| Ok(Box::new(collect::JoinedText::default()))),
        "array_agg" => Some(|start| Ok(Box::new(collect::Elements::new(start.element())))),
        "json_agg" => Some(|start| Ok(Box::new(json::Items::text(start)))),
        "jsonb_agg" => Some(|start| Ok(Box::new(json::Items::binary(start)))),
        "json_object_agg" => Some(|start| Ok(Box::new(json::Pairs::text(start)))),
        "jsonb_object_agg" => Some(|start| Ok(Box::new(json::Pairs::binary(start)))),
        "variance" | "var_samp" | "var_pop" | "stddev" | "stddev_samp" | "stddev_pop" => spread(name, first),
        "mode" => Some(|_| Ok(Box::new(ordered::Mode::default()))),
        "percentile_disc" => Some(|start| Ok(Box::new(ordered::Percentile::discrete(start)?))),
        "percentile_cont" => Some(|start| Ok(Box::new(ordered::Percentile::continuous(start)?))),
        "rank" => Some(|start| Ok(Box::new(ordered::Hypothetical::new(start, ordered::Place::Rank)))),
        "dense_rank" => Some(|start| Ok(Box::new(ordered::Hypothetical::new(start, ordered::Place::DenseRank)))),
        "percent_rank" => Some(|start| Ok(Box::new(ordered::Hypothetical::new(start, ordered::Place::PercentRank)))),
        "cume_dist" => Some(|start| Ok(Box::new(ordered::Hypothetical::new(start, ordered::Place::CumeDist)))),
        _ => regression(name),
    }
}

/// sum and avg.
fn total(average: bool, ty: Oid) -> Option<Constructor> {
    use exact::{Integers, Numerics, Wanted};
    Some(match (ty, average) {
        (oid::INT2 | oid::INT4, false) => |_| Ok(Box::new(Integers::new(Wanted::BigintSum))),
        (oid::INT8, false) => |_| Ok(Box::new(Integers::new(Wanted::Sum))),
        (oid::INT2 | oid::INT4 | oid::INT8, true) => |_| Ok(Box::new(Integers::new(Wanted::Average))),
        (oid::NUMERIC, false) => |_| Ok(Box::new(Numerics::new(Wanted::Sum))),
        (oid::NUMERIC, true) => |_| Ok(Box::new(Numerics::new(Wanted::Average))),
        (oid::FLOAT4, false) => |_| Ok(Box::new(float::Float4Sum::default())),
        (oid::FLOAT8, false) => |_| Ok(Box::new(float::Float8Sum::default())),
        (oid::FLOAT4 | oid::FLOAT8, true) => |_| Ok(Box::new(float::Moments::new(float::Moment::Average))),
        (oid::INTERVAL, false) => |_| Ok(Box::new(collect::Intervals::new(false))),
        (oid::INTERVAL, true) => |_| Ok(Box::new(collect::Intervals::new(true))),
        _ => return None,
    })
}

/// Variances and standard deviations.
fn spread(name: &str, ty: Oid) -> Option<Constructor> {
    use exact::{Integers, Numerics, Wanted};
    use float::{Moment, Moments};
    Some(match (ty, name) {
        (oid::INT2 | oid::INT4 | oid::INT8, "var_pop") => |_| Ok(Box::new(Integers::new(Wanted::VarPop))),
        (oid::INT2 | oid::INT4 | oid::INT8, "stddev_pop") => |_| Ok(Box::new(Integers::new(Wanted::StddevPop))),
        (oid::INT2 | oid::INT4 | oid::INT8, "stddev" | "stddev_samp") => {
            |_| Ok(Box::new(Integers::new(Wanted::StddevSamp)))
        }
        (oid::INT2 | oid::INT4 | oid::INT8, _) => |_| Ok(Box::new(Integers::new(Wanted::VarSamp))),
        (oid::NUMERIC, "var_pop") => |_| Ok(Box::new(Numerics::new(Wanted::VarPop))),
        (oid::NUMERIC, "stddev_pop") => |_| Ok(Box::new(Numerics::new(Wanted::StddevPop))),
        (oid::NUMERIC, "stddev" | "stddev_samp") => |_| Ok(Box::new(Numerics::new(Wanted::StddevSamp))),
        (oid::NUMERIC, _) => |_| Ok(Box::new(Numerics::new(Wanted::VarSamp))),
        (oid::FLOAT4 | oid::FLOAT8, "var_pop") => |_| Ok(Box::new(Moments::new(Moment::VarPop))),
        (oid::FLOAT4 | oid::FLOAT8, "stddev_pop") => |_| Ok(Box::new(Moments::new(Moment::StddevPop))),
        (oid::FLOAT4 | oid::FLOAT8, "stddev" | "stddev_samp") => |_| Ok(Box::new(Moments::new(Moment::StddevSamp))),
        (oid::FLOAT4 | oid::FLOAT8, _) => |_| Ok(Box::new(Moments::new(Moment::VarSamp))),
        _ => return None,
    })
}

/// The aggregates of two floats.
fn regression(name: &str) -> Option<Constructor> {
    use float::{Pairs, Regression};
    Some(match name {
        "corr" => |_| Ok(Box::new(Pairs::new(Regression::Corr))),
        "covar_pop" => |_| Ok(Box::new(Pairs::new(Regression::CovarPop))),
        "covar_samp" => |_| Ok(Box::new(Pairs::new(Regression::CovarSamp))),
        "regr_avgx" => |_| Ok(Box::new(Pairs::new(Regression::AvgX))),
        "regr_avgy" => |_| Ok(Box::new(Pairs::new(Regression::AvgY))),
        "regr_count" => |_| Ok(Box::new(Pairs::new(Regression::Count))),
        "regr_intercept" => |_| Ok(Box::new(Pairs::new(Regression::Intercept))),
        "regr_r2" => |_| Ok(Box::new(Pairs::new(Regression::R2))),
        "regr_slope" => |_| Ok(Box::new(Pairs::new(Regression::Slope))),
        "regr_sxx" => |_| Ok(Box::new(Pairs::new(Regression::Sxx))),
        "regr_sxy" => |_| Ok(Box::new(Pairs::new(Regression::Sxy))),
        "regr_syy" => |_| Ok(Box::new(Pairs::new(Regression::Syy))),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::functions::tests::context;
    use crate::types::numeric::Numeric;
    use crate::types::{Interval, text_io};

    fn shown(state: &dyn Accumulator) -> String {
        let (ctx, mut out) = (context(), String::new());
        let value = state.result(&ctx).expect("a result");
        text_io::output(&value, Type::new(oid::TEXT), &ctx.text(), &mut out);
        out
    }

    /// A moving frame of three rows gives what a fresh state over the same rows gives.
    #[test]
    fn rows_can_be_taken_out_again() {
        let numeric = |text| Datum::Numeric(Numeric::parse(text).expect("a number"));
        let interval = |days, micros| Datum::Interval(Interval { months: 1, days, micros });
        let inputs: [(Oid, Vec<Datum>); 4] = [
            (oid::INT8, [5, i64::MAX, -3, i64::MAX, 7, 0].map(Datum::Int8).to_vec()),
            (oid::NUMERIC, ["1.5", "NaN", "2.25", "-Infinity", "3", "1e30"].map(numeric).to_vec()),
            (oid::INTERVAL, [(1, 5), (-2, 7), (3, -9), (4, 0), (0, 1), (9, 9)].map(|(d, m)| interval(d, m)).to_vec()),
            (oid::BOOL, [true, false, true, true, true, false].map(Datum::Bool).to_vec()),
        ];
        let ctx = context();
        for (ty, values) in inputs {
            let types = [Type::new(ty)];
            let start = Start { args: &types, direct: &[], order: &[] };
            for name in ["count", "sum", "avg", "variance", "stddev_pop", "bool_and", "bool_or"] {
                let fits = if ty == oid::BOOL { name.starts_with("bool") } else { !name.starts_with("bool") };
                let Some(make) = aggregate(name, &types).filter(|_| fits) else { continue };
                let mut moving = make(&start).expect("a state");
                for (row, value) in values.iter().enumerate() {
                    moving.add(&ctx, std::slice::from_ref(value)).expect("a value of the type");
                    if row >= 3 && !moving.remove(&ctx, &values[row - 3..row - 2]).expect("a value of the type") {
                        break;
                    }
                    let mut fresh = make(&start).expect("a state");
                    for value in &values[row.saturating_sub(2)..=row] {
                        fresh.add(&ctx, std::slice::from_ref(value)).expect("a value of the type");
                    }
                    assert_eq!(shown(&*moving), shown(&*fresh), "{name} of type {ty} at row {row}");
                }
            }
        }
    }
}
