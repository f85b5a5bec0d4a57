//! When the VIPs are announced while a router is Active.
//!
//! A burst at the takeover, a second one after a delay, one announcement now and then, and another
//! burst whenever somebody may have led the neighbours astray. Bursts are rate-limited, and one
//! that is not yet allowed is put off, never lost.

use std::time::Duration;

use super::timers::earliest;
use crate::clock::Moment;
use crate::vrrp::config::Announcing;

/// The timers of an Active router's announcements.
#[derive(Clone, Debug)]
pub(super) struct Announcer {
    last: Moment,
    second: Option<Moment>,
    again: Option<Moment>,
    refresh: Option<Moment>,
}

impl Announcer {
    /// The first burst goes out now, by whoever calls this.
    pub(super) fn new(plan: Announcing, now: Moment) -> Self {
        let (second, refresh) = (after(now, plan.delay), after(now, plan.refresh));
        Announcer { last: now, second, again: None, refresh }
    }

    /// Another burst, at the earliest this long after the one before.
    pub(super) fn ask(&mut self, apart: Duration, now: Moment) {
        let when = (self.last + apart).max(now);
        self.again = Some(self.again.map_or(when, |already| already.min(when)));
    }

    /// How many announcements of each VIP are due.
    pub(super) fn due(&mut self, plan: Announcing, now: Moment) -> u8 {
        let is_due = |timer: Option<Moment>| timer.is_some_and(|when| when <= now);
        if is_due(self.again) {
            self.again = None;
            self.second = after(now, plan.delay);
        } else if is_due(self.second) {
            self.second = None;
        } else if is_due(self.refresh) {
            self.refresh = after(now, plan.refresh);
            return 1;
        } else {
            return 0;
        }
        self.last = now;
        self.refresh = after(now, plan.refresh);
        plan.repeat
    }

    /// Another plan for what is still to come.
    pub(super) fn replan(&mut self, plan: Announcing, now: Moment) {
        self.refresh = after(now, plan.refresh);
        self.second = self.second.and_then(|when| Some(when.min(after(now, plan.delay)?)));
    }

    /// When something is due.
    pub(super) fn next(&self) -> Option<Moment> {
        earliest([self.second, self.again, self.refresh])
    }
}

/// A span of zero means never.
fn after(now: Moment, span: Duration) -> Option<Moment> {
    (!span.is_zero()).then(|| now + span)
}
