//! How late timers were: the difference between when the machines wanted to be called and when
//! they were.
//!
//! It is what a busy host, a hypervisor or a debugger does to an advertisement. Counted for the
//! life of the process in bounded memory; a quantile is at most 0.8 % off.

use std::time::Duration;

use crate::probe::histogram::Histogram;

/// How late timers were so far.
#[derive(Clone, Debug, Default)]
pub struct Lateness {
    histogram: Histogram,
    count: u64,
}

impl Lateness {
    pub(super) fn record(&mut self, late: Duration) {
        self.count += 1;
        self.histogram.record(late);
    }

    /// How many timers there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The lateness that `per_mille` of a thousand timers did not exceed. `None`: there were none.
    pub fn quantile(&self, per_mille: u64) -> Option<Duration> {
        self.histogram.quantile(per_mille)
    }

    /// The latest.
    pub fn max(&self) -> Option<Duration> {
        self.histogram.max()
    }
}
