//! Counts of durations in buckets of at most 1.6 % width, from a microsecond to over an hour.
//!
//! A value's bucket is its power of two and the six bits after its first one, as in HdrHistogram: recording is one
//! addition, and histograms of several terminals add up.

use std::time::Duration;

/// Bits after the leading one that a bucket keeps.
const PRECISION: u32 = 6;
const BUCKETS: usize = (33 - PRECISION as usize) << PRECISION;

#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum_us: u64,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { buckets: vec![0; BUCKETS], count: 0, sum_us: 0, max_us: 0 }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).min(u64::from(u32::MAX));
        self.buckets[bucket(us as u32)] += 1;
        self.count += 1;
        self.sum_us += us;
        self.max_us = self.max_us.max(us);
    }

    pub(crate) fn add(&mut self, other: &Histogram) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum_us += other.sum_us;
        self.max_us = self.max_us.max(other.max_us);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Milliseconds; 0 when nothing was recorded.
    pub(crate) fn mean_ms(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_us as f64 / self.count as f64 / 1000.0 }
    }

    pub(crate) fn max_ms(&self) -> f64 {
        self.max_us as f64 / 1000.0
    }

    /// Milliseconds that the given share of the durations did not pass.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (i, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return (upper_us(i).min(self.max_us)) as f64 / 1000.0;
            }
        }
        0.0
    }
}

fn bucket(us: u32) -> usize {
    let bits = 32 - us.leading_zeros();
    if bits <= PRECISION {
        return us as usize;
    }
    let shift = bits - PRECISION - 1;
    ((shift as usize + 1) << PRECISION) + ((us >> shift) as usize & ((1 << PRECISION) - 1))
}

/// The largest value of a bucket.
fn upper_us(bucket: usize) -> u64 {
    let (group, rest) = (bucket >> PRECISION, (bucket & ((1 << PRECISION) - 1)) as u64);
    if group == 0 {
        return rest;
    }
    let shift = group - 1;
    (((1 << PRECISION) + rest + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_bucket_of_the_truth() {
        for us in [0, 1, 63, 64, 65, 1000, 123_456, u32::MAX] {
            let upper = upper_us(bucket(us));
            assert!(upper >= u64::from(us) && upper - u64::from(us) <= u64::from(us) / 64, "{us} {upper}");
        }
        let (mut odd, mut even) = (Histogram::default(), Histogram::default());
        for us in 1..=10_000u64 {
            (if us % 2 == 0 { &mut even } else { &mut odd }).record(Duration::from_micros(us));
        }
        odd.add(&even);
        assert_eq!((odd.count(), odd.max_ms()), (10_000, 10.0));
        for (share, ms) in [(0.5, 5.0), (0.9, 9.0), (0.99, 9.9), (1.0, 10.0)] {
            let found = odd.quantile_ms(share);
            assert!(found >= ms && found <= ms * 1.02, "{share}: {found}");
        }
    }
}
