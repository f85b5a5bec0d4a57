//! One check: its beat, its judgement and the run that is in flight.
//!
//! Either a run is in flight or the next one is due at some moment, never both.

use std::sync::Arc;

use super::Run;
use super::beat::Beat;
use super::judgement::Judgement;
use crate::check::config::CheckConfig;
use crate::clock::Moment;

/// One check.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) check: Arc<CheckConfig>,
    pub(super) beat: Beat,
    pub(super) judgement: Judgement,
    /// When the next run is due, or the last one was.
    pub(super) due: Moment,
    /// The beats up to then are done with.
    pub(super) reckoned: Moment,
    pub(super) flight: Option<Flight>,
}

/// A run in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) run: Run,
    pub(super) began: Moment,
    /// When its time is up.
    pub(super) ends: Moment,
}

impl Entry {
    /// A run begins. When its time is up is answered.
    pub(super) fn begin(&mut self, run: Run, now: Moment) -> Moment {
        let ends = self.ends(now);
        self.flight = Some(Flight { run, began: now, ends });
        self.reckoned = now;
        ends
    }

    /// How many beats are left out if it begins now: all that passed since the last run, but one.
    pub(super) fn left_out(&self, now: Moment) -> u64 {
        self.beat.between(self.reckoned, now).saturating_sub(1)
    }

    /// When the time of a run that begins now is up. With a timeout as long as `every`, one that
    /// began a little late would cost the next beat: it gets that little less.
    pub(super) fn ends(&self, began: Moment) -> Moment {
        let timeout = self.check.timing.timeout;
        let (ends, next) = (began + timeout, self.beat.after(began));
        match ends.since(next) <= timeout / SLACK {
            true => ends.min(next),
            false => ends,
        }
    }

    /// When the next run is due, after one that began then and ended now: on the next beat. One
    /// that passed meanwhile is made up for, more than one are not.
    pub(super) fn next(&self, began: Moment, now: Moment) -> Moment {
        let next = self.beat.after(self.reckoned);
        if next <= now {
            return self.beat.up_to(now);
        }
        match self.judgement.is_wavering() {
            true => next.min(now.max(began + self.check.timing.fast)),
            false => next,
        }
    }
}

/// A run that begins late loses at most this part of its timeout.
const SLACK: u32 = 8;
