//! A point in time that pure code can hold.
//!
//! The machines read no clock: whoever drives them says what time it is, a real clock or a
//! simulated one. A driver reads CLOCK_BOOTTIME, which goes on while the machine is suspended and
//! is never set back, so that a gap shows as one and a wall clock that is set shows as nothing.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Nanoseconds since a start that all moments of one run share. Lasts for 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The start.
    pub const ZERO: Moment = Moment(0);

    /// This long after the start.
    pub fn after_start(since: Duration) -> Self {
        Moment(nanos(since))
    }

    /// How long after the start.
    pub fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The next whole multiple of a span after the start; this moment itself if it is one.
    pub fn up_to_next(self, span: Duration) -> Self {
        let span = nanos(span).max(1);
        Moment(self.0.checked_next_multiple_of(span).unwrap_or(u64::MAX))
    }

    /// How long after `earlier`; nothing if it is not later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(nanos(span)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;

    fn sub(self, span: Duration) -> Moment {
        Moment(self.0.saturating_sub(nanos(span)))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6} s", self.since_start().as_secs_f64())
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_before_the_start_is_the_start_and_nothing_overflows() {
        let second = Duration::from_secs(1);
        assert_eq!(Moment::ZERO - second, Moment::ZERO);
        assert_eq!((Moment::ZERO + second).since(Moment::ZERO), second);
        assert_eq!(Moment::ZERO.since(Moment::ZERO + second), Duration::ZERO);
        let end = Moment::ZERO + Duration::MAX;
        assert_eq!(end + second, end);
        assert_eq!(end.up_to_next(second), end);
    }

    #[test]
    fn the_next_moment_on_a_grid_is_never_before_and_less_than_a_step_away() {
        let at = |millis| Moment::after_start(Duration::from_millis(millis));
        let step = Duration::from_millis(20);
        assert_eq!(at(0).up_to_next(step), at(0));
        assert_eq!(at(40).up_to_next(step), at(40));
        assert_eq!((at(40) + Duration::from_nanos(1)).up_to_next(step), at(60));
        assert_eq!(at(59).up_to_next(step), at(60));
        assert_eq!(at(59).up_to_next(Duration::ZERO), at(59));
    }
}
