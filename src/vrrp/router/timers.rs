//! The spans of time of the protocol, and of what we add to it.
//!
//! Pure arithmetic on the version, a priority and an interval; who starts which timer is said where
//! the states are.

use std::time::Duration;

use crate::clock::Moment;
use crate::vrrp::config::{Interval, RouterConfig, Version};

/// How long a planned restart may take before the others take over: reading the files and opening
/// the sockets takes a tenth of a second, on a busy host a few times that.
pub const RESTART: Duration = Duration::from_secs(3);
/// The longest restart that another director is believed to need.
pub(super) const LONGEST_RESTART: Duration = Duration::from_secs(60);
/// How long two packets that cross on the wire may be under way, on a busy machine. What comes
/// later was said by one who should have known better.
pub(super) const CROSSING: Duration = Duration::from_millis(250);
/// What a host that leaves waits beyond the longest skew time before it drops the VIPs, for the
/// other's first advertisement to come.
const PASSAGE: Duration = Duration::from_secs(1);
/// The same, when nobody is known who could take over.
pub(super) const NOBODY: Duration = Duration::from_millis(100);
/// Active directors say that they are over the connections once in this time; three times of it is
/// how long a connection lives without a word.
pub const TOLD_EVERY: Duration = Duration::from_secs(1);
/// That a director says the same for so long shows that it is not an old word of one that stalls.
pub(super) const BELIEVED: Duration = Duration::from_millis(500);
/// How long its next word is waited for.
pub(super) const DOUBTED: Duration = Duration::from_millis(1500);
/// Bursts of announcements are not closer than this, however short the interval is.
const LEAST_BETWEEN_BURSTS: Duration = Duration::from_millis(100);

/// Skew_Time. Multiplied before it is divided: at 10 ms and priority 254 it is 78 µs.
pub(super) fn skew(version: Version, priority: u8, learned: Interval) -> Duration {
    let base = match version {
        // RFC 3768 6.1: (256 - Priority) / 256 seconds, whatever the interval is.
        Version::V2 => Duration::from_secs(1),
        // RFC 9568 6.1: ((256 - Priority) * Active_Adver_Interval) / 256.
        Version::V3 => learned.get(),
    };
    base * (256 - u32::from(priority)) / 256
}

/// Active_Down_Interval: three intervals and the skew time (RFC 9568 6.1, RFC 3768 6.1).
pub(super) fn dead(version: Version, priority: u8, learned: Interval) -> Duration {
    learned.get() * 3 + skew(version, priority, learned)
}

/// One interval and the skew time: who is Active has then said so.
pub(super) fn listen(version: Version, priority: u8, learned: Interval) -> Duration {
    learned.get() + skew(version, priority, learned)
}

/// How long a host that leaves keeps the VIPs: the longest skew time that another may have.
pub fn keep(config: &RouterConfig) -> Duration {
    skew(config.version, 0, config.interval) + PASSAGE
}

/// How far bursts of announcements are apart.
pub(super) fn between_bursts(interval: Interval) -> Duration {
    interval.get().max(LEAST_BETWEEN_BURSTS)
}

/// The interval that an Active v3 router advertises before a planned restart: three of them last
/// for [`RESTART`].
pub(super) fn restart_interval(own: Interval) -> Interval {
    let third = Interval::new(Version::V3, RESTART / 3).unwrap_or(own);
    own.max(third)
}

/// When a timer fires next that was due at `due`: without drift, but never at once.
pub(super) fn next(due: Moment, interval: Interval, now: Moment) -> Moment {
    let next = due + interval.get();
    if next > now { next } else { now + interval.get() }
}

/// The earliest of these.
pub(super) fn earliest<const N: usize>(timers: [Option<Moment>; N]) -> Option<Moment> {
    timers.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v3(ms: u64) -> Interval {
        Interval::new(Version::V3, Duration::from_millis(ms)).expect("an interval of v3")
    }

    #[test]
    fn skew_time_of_v2_is_a_part_of_a_second_whatever_the_interval_is() {
        let ten = Interval::new(Version::V2, Duration::from_secs(10)).expect("an interval of v2");
        for interval in [Interval::DEFAULT, ten] {
            assert_eq!(skew(Version::V2, 100, interval), Duration::from_micros(609_375));
        }
        assert_eq!(dead(Version::V2, 100, ten), Duration::from_micros(30_609_375));
    }

    #[test]
    fn skew_time_of_v3_is_a_part_of_the_interval_and_never_nothing() {
        assert_eq!(skew(Version::V3, 100, v3(1000)), Duration::from_micros(609_375));
        assert_eq!(skew(Version::V3, 254, v3(10)), Duration::from_nanos(78_125));
        assert_eq!(skew(Version::V3, 255, v3(10)), Duration::from_nanos(39_062));
        assert_eq!(skew(Version::V3, 1, v3(40_950)), Duration::from_nanos(40_790_039_062));
        assert_eq!(dead(Version::V3, 100, v3(100)), Duration::from_nanos(360_937_500));
    }

    #[test]
    fn three_intervals_before_a_restart_last_for_the_restart() {
        assert!(restart_interval(v3(10)).get() * 3 >= RESTART);
        assert_eq!(restart_interval(v3(5000)), v3(5000));
    }

    #[test]
    fn a_timer_does_not_drift_and_does_not_catch_up() {
        let at = |ms| Moment::after_start(Duration::from_millis(ms));
        assert_eq!(next(at(1000), v3(1000), at(1003)), at(2000));
        assert_eq!(next(at(1000), v3(1000), at(2500)), at(3500));
    }
}
