//! From single outcomes to what is held true: rise and fall.
//!
//! Nothing is held to be well before it was found so once. After that only as many outcomes in a
//! row that say otherwise turn it, so one lost answer moves nothing. What could not be asked counts
//! for nothing, neither way.

use crate::check::config::Timing;
use crate::check::outcome::{Advice, Failing, Failure, Health, Outcome, State};
use crate::clock::Moment;

/// What is held true of a target, and what speaks against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) health: Health,
    /// How many outcomes in a row, up to now, say otherwise.
    against: u32,
}

impl Judgement {
    pub(super) fn new(now: Moment) -> Self {
        let advice = Advice::default();
        let health = Health { state: State::Unknown, since: now, advice, failing: None };
        Judgement { health, against: 0 }
    }

    /// Whether the last outcomes are about to turn it.
    pub(super) fn is_wavering(&self) -> bool {
        self.against > 0
    }

    /// Takes an outcome. `true`: something that others want to know has changed.
    pub(super) fn take(&mut self, outcome: Outcome, timing: &Timing, now: Moment) -> bool {
        match outcome {
            Outcome::Good(advice) => self.good(advice, timing, now),
            Outcome::Bad(failure) => self.bad(failure, timing, now),
            Outcome::Unmade(_) => false,
        }
    }

    fn good(&mut self, advice: Advice, timing: &Timing, now: Moment) -> bool {
        let recovered = self.health.failing.take().is_some();
        self.against = match self.health.state {
            State::Down => self.against.saturating_add(1),
            State::Unknown | State::Up => 0,
        };
        if self.health.state == State::Down && self.against < u32::from(timing.rise.get()) {
            return recovered;
        }
        let advised = self.health.advice != advice;
        self.health.advice = advice;
        self.turn(State::Up, now) || recovered || advised
    }

    fn bad(&mut self, failure: Failure, timing: &Timing, now: Moment) -> bool {
        let told = self.fail(failure, now);
        self.against = match self.health.state {
            State::Down => 0,
            State::Unknown | State::Up => self.against.saturating_add(1),
        };
        if self.health.state == State::Down || self.against < u32::from(timing.fall.get()) {
            return told;
        }
        self.health.advice = Advice::default();
        self.turn(State::Down, now) || told
    }

    /// Notes the reason. `true`: it is another one than before.
    fn fail(&mut self, failure: Failure, now: Moment) -> bool {
        match &mut self.health.failing {
            Some(failing) if failing.failure == failure => false,
            Some(failing) => {
                failing.failure = failure;
                true
            }
            None => {
                self.health.failing = Some(Failing { since: now, failure });
                true
            }
        }
    }

    fn turn(&mut self, state: State, now: Moment) -> bool {
        if self.health.state == state {
            return false;
        }
        self.health.state = state;
        self.health.since = now;
        self.against = 0;
        true
    }
}
