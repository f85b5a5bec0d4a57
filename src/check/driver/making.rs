//! In which time the checks are made, as the thread tells it and others read it.
//!
//! Nobody waits for anybody, and whoever reads while it is told never takes a span for longer than
//! it is: the beginning is written first and read last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::check::made::Made;
use crate::clock::Moment;

/// The ends, in nanoseconds after the start.
#[derive(Debug, Default)]
struct Ends {
    before: AtomicU64,
    since: AtomicU64,
    until: AtomicU64,
}

/// The time in which one thread makes checks. Copies are the same one.
#[derive(Clone, Debug, Default)]
pub struct Making(Arc<Ends>);

impl Making {
    /// How it stands.
    pub fn made(&self) -> Made {
        let read = |end: &AtomicU64| {
            Moment::after_start(Duration::from_nanos(end.load(Ordering::Acquire)))
        };
        let until = read(&self.0.until);
        let since = read(&self.0.since);
        Made { before: read(&self.0.before), since, until }
    }

    /// There was a break, and they are made again from now on.
    pub(super) fn begin(&self, now: Moment) {
        let until = self.0.until.load(Ordering::Relaxed);
        self.0.before.store(until, Ordering::Release);
        self.0.since.store(nanos(now), Ordering::Release);
        self.go_on(now);
    }

    /// All that came up to now was told.
    pub(super) fn go_on(&self, now: Moment) {
        self.0.until.store(nanos(now), Ordering::Release);
    }
}

fn nanos(moment: Moment) -> u64 {
    u64::try_from(moment.since_start().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_begins_another_span_and_ends_the_last() {
        let at = |seconds| Moment::after_start(Duration::from_secs(seconds));
        let making = Making::default();
        making.begin(at(1));
        assert_eq!(making.made(), Made { before: at(0), since: at(1), until: at(1) });
        making.go_on(at(5));
        let copy = making.clone();
        assert_eq!(copy.made(), Made { before: at(0), since: at(1), until: at(5) });
        making.begin(at(9));
        assert_eq!(copy.made(), Made { before: at(5), since: at(9), until: at(9) });
    }
}
