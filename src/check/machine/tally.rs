//! What the checker has done since it began: how many checks, and how late they were.
//!
//! Counted in bounded memory. A check is late by as much as it begins after its beat, whoever is
//! to blame: a busy host, or too many others at the same time.

use std::time::Duration;

use crate::probe::histogram::Histogram;

/// What was done up to now. Each beat that was due is made or skipped.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Checks that were begun.
    pub made: u64,
    /// Beats left out, because the check was still waiting or running.
    pub skipped: u64,
    /// Those that are running now.
    pub in_flight: usize,
    late: Histogram,
}

impl Tally {
    pub(super) fn begin(&mut self, late: Duration) {
        self.made += 1;
        self.in_flight += 1;
        self.late.record(late);
    }

    pub(super) fn end(&mut self) {
        self.in_flight -= 1;
    }

    /// Checks that were due.
    pub fn asked(&self) -> u64 {
        self.made + self.skipped
    }

    /// The lateness that `per_mille` of a thousand checks did not exceed. `None`: there were none.
    pub fn late(&self, per_mille: u64) -> Option<Duration> {
        self.late.quantile(per_mille)
    }

    /// The latest.
    pub fn latest(&self) -> Option<Duration> {
        self.late.max()
    }
}
