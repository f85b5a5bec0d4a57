//! Counts durations in bounded memory, for quantiles of a run of any length.
//!
//! Microseconds up to 255 have a bucket each; above, every doubling is cut into 128 buckets, so a
//! quantile is at most 0.8 % off. The least and the greatest are exact. A day is the longest
//! duration told apart; nothing that a probe times comes near it.

use std::time::Duration;

/// Buckets in each doubling.
const STEPS: u64 = 128;

/// 2^37 microseconds, 38 hours.
const LONGEST: u64 = 1 << 37;

/// Durations, counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    least: Option<Duration>,
    greatest: Duration,
}

impl Histogram {
    /// Counts one more.
    pub(crate) fn record(&mut self, value: Duration) {
        let index = index(micros(value));
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, 0);
        }
        self.buckets[index] += 1;
        self.count += 1;
        self.least = Some(self.least.map_or(value, |least| least.min(value)));
        self.greatest = self.greatest.max(value);
    }

    /// The shortest.
    pub(crate) fn min(&self) -> Option<Duration> {
        self.least
    }

    /// The longest.
    pub(crate) fn max(&self) -> Option<Duration> {
        self.least.map(|_| self.greatest)
    }

    /// The duration that `per_mille` of a thousand do not exceed (nearest rank).
    pub(crate) fn quantile(&self, per_mille: u64) -> Option<Duration> {
        let least = self.least?;
        let rank = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|n| {
            seen += n;
            seen >= rank
        });
        let found = Duration::from_micros(lowest(bucket.unwrap_or(0)));
        Some(found.clamp(least, self.greatest))
    }
}

fn micros(value: Duration) -> u64 {
    u64::try_from(value.as_micros()).map_or(LONGEST, |n| n.min(LONGEST))
}

fn index(micros: u64) -> usize {
    let shift = shift_of(micros);
    // Below 2 × STEPS the shift is 0 and the index the value itself.
    (shift * STEPS + (micros >> shift)) as usize
}

fn shift_of(micros: u64) -> u64 {
    let bits = u64::from(u64::BITS - micros.leading_zeros());
    bits.saturating_sub(u64::from(STEPS.trailing_zeros()) + 1)
}

/// The smallest value that falls in a bucket; the inverse of `index`.
fn lowest(index: usize) -> u64 {
    let index = index as u64;
    let shift = (index / STEPS).saturating_sub(1);
    (index - shift * STEPS) << shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for value in values {
            histogram.record(Duration::from_micros(*value));
        }
        histogram
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        let empty = Histogram::default();
        assert_eq!((empty.min(), empty.quantile(500), empty.max()), (None, None, None));
    }

    proptest! {
        #[test]
        fn a_bucket_begins_at_its_lowest_value(value in 0..=LONGEST) {
            let low = lowest(index(value));
            prop_assert!(low <= value && value - low <= value / STEPS);
            prop_assert_eq!(index(low), index(value));
        }

        #[test]
        fn a_quantile_is_within_one_percent_of_the_exact_one(
            mut values in prop::collection::vec(0u64..100_000_000, 1..200),
            per_mille in 0u64..=1000,
        ) {
            let histogram = of(&values);
            values.sort_unstable();
            let rank = (values.len() as u64 * per_mille).div_ceil(1000).max(1) as usize;
            let exact = values[rank - 1];
            let found = histogram.quantile(per_mille).expect("not empty").as_micros() as u64;
            prop_assert!(found.abs_diff(exact) <= exact / 100, "{found} for {exact}");
        }

        #[test]
        fn the_extremes_are_exact(values in prop::collection::vec(0u64..LONGEST, 1..50)) {
            let histogram = of(&values);
            let least = values.iter().min().copied().map(Duration::from_micros);
            let greatest = values.iter().max().copied().map(Duration::from_micros);
            prop_assert_eq!((histogram.min(), histogram.max()), (least, greatest));
        }
    }
}
