//! The steady beat of a check: moments that lie `every` apart, whatever the answers take.
//!
//! A beat is an offset and a distance. Nothing is added up from one beat to the next, so that no
//! delay is ever carried on.

use std::time::Duration;

use crate::clock::Moment;

/// The beats are those moments that are this offset after a multiple of `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beat {
    every: u64,
    offset: u64,
}

impl Beat {
    /// The beat that has one at this moment.
    pub(super) fn with(moment: Moment, every: Duration) -> Self {
        let every = nanos(every).max(1);
        Beat { every, offset: nanos(moment.since_start()) % every }
    }

    /// Whether this moment is one of them.
    pub(super) fn has(self, moment: Moment) -> bool {
        let past = nanos(moment.since_start()).checked_sub(self.offset);
        past.is_some_and(|past| past % self.every == 0)
    }

    /// The last beat up to this moment; the moment itself before the first of all.
    pub(super) fn up_to(self, moment: Moment) -> Moment {
        let past = nanos(moment.since_start()).checked_sub(self.offset);
        moment - Duration::from_nanos(past.map_or(0, |past| past % self.every))
    }

    /// The first beat after this moment.
    pub(super) fn after(self, moment: Moment) -> Moment {
        let since = u128::from(self.every) * u128::from(self.count(moment));
        let since = u64::try_from(since + u128::from(self.offset)).unwrap_or(u64::MAX);
        Moment::ZERO + Duration::from_nanos(since)
    }

    /// How many beats are after the first moment and not after the second.
    pub(super) fn between(self, start: Moment, end: Moment) -> u64 {
        self.count(end).saturating_sub(self.count(start))
    }

    /// How many beats are not after this moment.
    fn count(self, moment: Moment) -> u64 {
        let past = nanos(moment.since_start()).checked_sub(self.offset);
        past.map_or(0, |past| (past / self.every).saturating_add(1))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::after_start(Duration::from_millis(millis))
    }

    #[test]
    fn beats_lie_every_apart_from_the_one_that_was_asked_for() {
        let beat = Beat::with(at(5_250), Duration::from_secs(1));
        assert_eq!(beat.up_to(at(5_250)), at(5_250));
        assert_eq!(beat.up_to(at(5_249)), at(4_250));
        assert_eq!(beat.after(at(5_250)), at(6_250));
        assert_eq!(beat.after(at(5_249)), at(5_250));
        assert_eq!(beat.after(at(100)), at(250));
        assert_eq!(beat.between(at(5_250), at(7_250)), 2);
        assert_eq!(beat.between(at(5_250), at(7_249)), 1);
        assert_eq!(beat.between(at(5_250), at(5_250)), 0);
        assert_eq!(beat.between(at(0), at(249)), 0);
        assert_eq!(beat.between(at(0), at(250)), 1);
        assert!(beat.has(at(250)) && beat.has(at(7_250)) && !beat.has(at(7_251)));
        assert!(!Beat::with(at(5_250), Duration::from_secs(10)).has(at(250)));
    }

    #[test]
    fn no_distance_and_no_moment_is_too_much() {
        let end = Moment::after_start(Duration::MAX);
        for every in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let beat = Beat::with(at(1), every);
            assert!(beat.after(at(1)) > at(1));
            assert_eq!(beat.after(end), end);
            assert!(beat.up_to(end) <= end);
        }
    }
}
