//! Bugs that are planted to see that the rules find them.
//!
//! Each stands between the world and the machine and alters what the one says to the other, or what
//! the machine has in its book, so that together they behave like a machine with that bug.

use super::*;

/// A bug of the checker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// The first bad outcome brings a target down.
    FallIsOne,
    /// One bad outcome too many is waited for.
    FallIsMore,
    /// The first good outcome brings a target back.
    RiseIsOne,
    /// One good outcome too many is waited for.
    RiseIsMore,
    /// What could not be asked is taken for bad.
    UnmadeIsBad,
    /// What could not be asked is taken for good: it ends what counts towards fall.
    UnmadeIsGood,
    /// What could not be asked ends nothing.
    UnmadeIsIgnored,
    /// Traffic before the first success.
    StartsUp,
    /// Never asks faster.
    NeverFast,
    /// Always asks as fast as it may.
    AlwaysFast,
    /// Runs have all the time up to the next beat.
    TimeoutIsEvery,
    /// What takes too long is let be.
    NeverExpires,
    /// What is not wanted any more is let be.
    NeverAborts,
    /// Each reload begins anew.
    ForgetsAll,
    /// What differs in timing alone begins anew.
    ForgetsRetimed,
    /// The outcome of a run that is gone counts for the one in its place.
    TakesStale,
    /// One more than may run at once.
    OneTooMany,
    /// One less.
    OneTooFew,
    /// The youngest that waits begins first.
    YoungestFirst,
    /// One target waits for ever.
    Starves,
    /// Wakes too late.
    WakesLate,
    /// The first round is a burst.
    FirstRoundAtOnce,
    /// All beats are one.
    OneBeat,
    /// The beat begins anew with each run.
    BeatDrifts,
    /// Only another state is said, not another reason.
    SaysStatesOnly,
    /// Every outcome is said.
    SaysAll,
    /// The advice of a target that is down stays.
    KeepsAdvice,
    /// A failure begins anew with each outcome.
    FailsSinceNow,
    /// Beats that are left out are not counted.
    SkipsUncounted,
}

impl Bug {
    /// All of them.
    pub(super) const ALL: [Bug; 29] = [
        Bug::FallIsOne,
        Bug::FallIsMore,
        Bug::RiseIsOne,
        Bug::RiseIsMore,
        Bug::UnmadeIsBad,
        Bug::UnmadeIsGood,
        Bug::UnmadeIsIgnored,
        Bug::StartsUp,
        Bug::NeverFast,
        Bug::AlwaysFast,
        Bug::TimeoutIsEvery,
        Bug::NeverExpires,
        Bug::NeverAborts,
        Bug::ForgetsAll,
        Bug::ForgetsRetimed,
        Bug::TakesStale,
        Bug::OneTooMany,
        Bug::OneTooFew,
        Bug::YoungestFirst,
        Bug::Starves,
        Bug::WakesLate,
        Bug::FirstRoundAtOnce,
        Bug::OneBeat,
        Bug::BeatDrifts,
        Bug::SaysStatesOnly,
        Bug::SaysAll,
        Bug::KeepsAdvice,
        Bug::FailsSinceNow,
        Bug::SkipsUncounted,
    ];

    /// What a check is told instead.
    pub(super) fn timing(self, timing: Timing) -> Timing {
        let more = |n: NonZeroU8| n.saturating_add(1);
        match self {
            Bug::FallIsOne => Timing { fall: count(1), ..timing },
            Bug::FallIsMore => Timing { fall: more(timing.fall), ..timing },
            Bug::RiseIsOne => Timing { rise: count(1), ..timing },
            Bug::RiseIsMore => Timing { rise: more(timing.rise), ..timing },
            Bug::NeverFast => Timing { fast: timing.every, ..timing },
            Bug::AlwaysFast => {
                let timeout = timing.timeout.min(timing.fast);
                Timing { every: timing.fast, timeout, ..timing }
            }
            Bug::TimeoutIsEvery => Timing { timeout: timing.every, ..timing },
            _ => timing,
        }
    }

    /// How many may run at once instead.
    pub(super) fn at_once(self, at_once: usize) -> usize {
        match self {
            Bug::OneTooMany => at_once + 1,
            Bug::OneTooFew => at_once - 1,
            _ => at_once,
        }
    }

    /// What the machine hears instead of an outcome.
    pub(super) fn outcome(self, outcome: Outcome) -> Option<Outcome> {
        match (self, outcome) {
            (Bug::UnmadeIsBad, Outcome::Unmade(_)) => Some(bad()),
            (Bug::UnmadeIsGood, Outcome::Unmade(_)) => Some(good()),
            (Bug::UnmadeIsIgnored, Outcome::Unmade(_)) => None,
            (_, outcome) => Some(outcome),
        }
    }

    /// Whether what the machine says is not heard. `state`: what was held before.
    pub(super) fn swallows(self, output: &Output, state: Option<State>) -> bool {
        match output {
            Output::Begin { check, .. } => {
                self == Bug::Starves && check.target == super::check(0, check.timing).target
            }
            Output::Expire(_) => self == Bug::NeverExpires,
            Output::Abort(_) => self == Bug::NeverAborts,
            Output::Changed(_, health) => {
                self == Bug::SaysStatesOnly && state == Some(health.state)
            }
        }
    }

    /// What is read instead of this health. `last`: what was read before.
    pub(super) fn health(self, mut health: Health, last: Option<&Health>, now: Moment) -> Health {
        match self {
            Bug::StartsUp if health.state == State::Unknown => health.state = State::Up,
            Bug::KeepsAdvice if health.state == State::Down => {
                health.advice = last.map(|last| last.advice.clone()).unwrap_or_default();
            }
            Bug::FailsSinceNow => {
                if let Some(failing) = &mut health.failing {
                    failing.since = now;
                }
            }
            _ => {}
        }
        health
    }

    /// Alters what the machine has in its book, after a reload brought these.
    pub(super) fn placed(self, checker: &mut Checker, new: &[u32], now: Moment) {
        for index in new {
            let entry = checker.entries[*index as usize].as_mut().expect("it is new");
            let every = entry.check.timing.every;
            match self {
                Bug::OneBeat => entry.beat = beat::Beat::with(now, every),
                Bug::FirstRoundAtOnce if entry.flight.is_none() => {
                    checker.starts.remove(&(entry.due, *index));
                    entry.due = now + every.min(ms(1000)) / 2;
                    checker.starts.insert((entry.due, *index));
                }
                _ => {}
            }
        }
    }

    /// Alters what the machine has in its book, before time passes.
    pub(super) fn waiting(self, checker: &mut Checker, now: Moment) {
        let waits: Vec<_> = checker.starts.range(..(now, 0)).copied().collect();
        if self != Bug::YoungestFirst || waits.len() < 2 {
            return;
        }
        for ((old, index), (new, _)) in waits.iter().zip(waits.iter().rev()) {
            checker.starts.remove(&(*old, *index));
            let entry = checker.entries[*index as usize].as_mut().expect("it waits");
            entry.due = *new;
        }
        for (_, index) in waits {
            let entry = checker.entries[index as usize].as_ref().expect("it waits");
            checker.starts.insert((entry.due, index));
        }
    }

    /// Alters what the machine has in its book, after a run began.
    pub(super) fn begun(self, checker: &mut Checker, run: Run, now: Moment) {
        let entry = checker.entries[run.index()].as_mut();
        if let (Bug::BeatDrifts, Some(entry)) = (self, entry) {
            // As from the end of the last, if that takes a thousandth.
            let every = entry.check.timing.every;
            entry.beat = beat::Beat::with(now + every / 1000, every);
        }
    }
}
