//! One check: its beat, its judgement and the run that is in flight.
//!
//! Either a run is in flight or the next one is due at some moment, never both.

use std::sync::Arc;
use std::time::Duration;

use super::Run;
use super::beat::Beat;
use super::judgement::Judgement;
use crate::check::config::CheckConfig;
use crate::check::outcome::Outcome;
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
    /// The last run was forgiven.
    pub(super) forgave: bool,
}

/// A run in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) run: Run,
    pub(super) began: Moment,
    /// When its time is up.
    pub(super) ends: Moment,
    /// It began between beats: should it run into the next one, it makes way and counts for
    /// nothing, so that nothing ever puts a beat off.
    pub(super) yields: bool,
    /// This process was not run for a while since it began.
    pub(super) paused: bool,
}

impl Flight {
    /// Whether it ends for the next beat, before its time is up.
    pub(super) fn makes_way(&self, timeout: Duration) -> bool {
        self.yields && self.ends < self.began + timeout
    }
}

impl Entry {
    /// A run begins. When it ends at the latest is answered.
    pub(super) fn begin(&mut self, run: Run, now: Moment) -> Moment {
        let yields = !self.beat.has(self.due) && self.beat.between(self.due, now) == 0;
        let ends = self.ends(now, yields);
        self.flight = Some(Flight { run, began: now, ends, yields, paused: false });
        self.reckoned = now;
        ends
    }

    /// A run that nobody went on with for a while may end badly for that alone, so it counts for
    /// nothing. Once in a row: a process that is always late still finds who is dead.
    pub(super) fn forgive(&mut self, flight: &Flight, outcome: Outcome) -> Outcome {
        self.forgave = flight.paused && !self.forgave && matches!(outcome, Outcome::Bad(_));
        match self.forgave {
            true => Outcome::Unmade("it was not gone on with in time".to_owned()),
            false => outcome,
        }
    }

    /// How many beats are left out if it begins now: all that passed since the last run, but one.
    pub(super) fn left_out(&self, now: Moment) -> u64 {
        self.beat.between(self.reckoned, now).saturating_sub(1)
    }

    /// When a run that began then ends at the latest. With a timeout as long as `every`, one that
    /// began late would put the next beat off, and so on for ever: it gets that little less.
    pub(super) fn ends(&self, began: Moment, yields: bool) -> Moment {
        let timeout = self.check.timing.timeout;
        let (ends, next) = (began + timeout, self.beat.after(self.reckoned.max(began)));
        match yields {
            true => ends.min(next),
            false => ends.min(next.max(ends - timeout / SLACK)),
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
