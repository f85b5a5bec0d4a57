//! The time in which checks were made: what they say holds up to its end and no longer.
//!
//! A thread that hangs, one that died and one that was not run for a while leave all checks as they
//! were. So whoever waits for the checks to say something else, and takes it for an answer if they
//! do not, has to wait in their time and not by the clock: while they stand still nothing passes,
//! and after a break each has to be made again first.

use std::time::Duration;

use crate::clock::Moment;

/// The newest span in which checks were made without a break.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// When the last break before it began; the start, if there was none.
    pub before: Moment,
    /// Since when.
    pub since: Moment,
    /// Up to when: all that came until then is known.
    pub until: Moment,
}

impl Made {
    /// When a span of that time is over that began then, or anew with the last break.
    pub fn end(&self, start: Moment, span: Duration) -> Moment {
        start.max(self.since) + span
    }

    /// Whether this moment is past.
    pub fn has_passed(&self, moment: Moment) -> bool {
        self.until >= moment
    }
}
