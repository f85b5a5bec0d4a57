//! What the checker does, claim by claim, on a clock that stands until it is moved.

mod beats;
mod bug;
mod cost;
mod full;
mod judged;
mod model;
mod pauses;
mod reloaded;
mod schedules;
mod world;

use std::net::Ipv4Addr;
use std::num::NonZeroU8;
use std::time::Duration;

use super::*;
use crate::check::config::{Probe, Target, Timing};
use crate::check::outcome::{Advice, Failure, State};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn at(millis: u64) -> Moment {
    Moment::after_start(ms(millis))
}

fn count(n: u8) -> NonZeroU8 {
    NonZeroU8::new(n).expect("not 0")
}

/// Every second, for at most half of it, rise 2 and fall 3, and 200 ms while it changes.
fn timing() -> Timing {
    Timing { every: ms(1000), timeout: ms(500), fast: ms(200), rise: count(2), fall: count(3) }
}

/// A check of the n-th server.
fn check(n: u16, timing: Timing) -> Arc<CheckConfig> {
    let address = Ipv4Addr::from(0x0a00_0000 + u32::from(n)).into();
    let target = Target { address, port: 80 };
    Arc::new(CheckConfig { target, probe: Probe::Connect(None).into(), timing })
}

fn good() -> Outcome {
    Outcome::Good(Advice::default())
}

fn bad() -> Outcome {
    Outcome::Bad(Failure::silent("no answer"))
}

fn unmade() -> Outcome {
    Outcome::Unmade("out of descriptors".to_owned())
}

/// A checker and the time.
struct Rig {
    checker: Checker,
    now: Moment,
}

impl Rig {
    fn new(at_once: usize) -> Self {
        Rig { checker: Checker::new(Limits { at_once }, 7), now: at(0) }
    }

    /// Of one check.
    fn of(timing: Timing) -> Self {
        let mut rig = Rig::new(100);
        rig.configure(&[check(1, timing)]);
        rig
    }

    fn configure(&mut self, checks: &[Arc<CheckConfig>]) {
        self.checker.configure(&checks.iter().cloned().collect(), self.now);
    }

    /// What the machine wants next, with the time moved on to then.
    fn next(&mut self) -> Output {
        loop {
            if let Some(output) = self.checker.poll_output() {
                return output;
            }
            let wanted = self.checker.poll_timeout().expect("it waits for something");
            self.now = self.now.max(wanted);
            self.checker.handle_timeout(self.now);
        }
    }

    /// The next run, and nothing said before.
    fn begin(&mut self) -> Run {
        match self.next() {
            Output::Begin { run, .. } => run,
            other => panic!("{other:?} instead of a beginning"),
        }
    }

    /// The next run, its outcome at once, and what is held true then.
    fn take(&mut self, outcome: Outcome) -> Option<Health> {
        let run = self.begin();
        self.answer(run, outcome)
    }

    fn answer(&mut self, run: Run, outcome: Outcome) -> Option<Health> {
        self.checker.handle_outcome(run, outcome, self.now);
        match self.checker.poll_output() {
            Some(Output::Changed(_, health)) => Some(health),
            None => None,
            other => panic!("{other:?} after an outcome"),
        }
    }

    fn state(&self, check: &CheckConfig) -> State {
        self.checker.health(check).expect("it is checked").state
    }
}
