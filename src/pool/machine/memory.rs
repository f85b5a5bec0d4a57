//! What a pool remembers of one server, and how long things may take in it.
//!
//! All that a pool knows beside the view of the moment is here, so that it can be seen how little
//! that is.

use std::time::Duration;

use crate::check::config::Timing;
use crate::check::outcome::State;
use crate::clock::Moment;
use crate::pool::config::{Member, PoolConfig};

/// A server climbs to its full weight in so many steps.
pub(super) const STEPS: u32 = 10;
/// The first round of checks is spread over so much.
const ROUND: Duration = Duration::from_secs(1);
/// From one check to the next: from here on it may be one among quicker ones, such as that of a
/// certificate once an hour.
const RARE: Duration = Duration::from_secs(60);
/// A pool of which not all is known after this long has what quorum it has.
const LONGEST_START: Duration = Duration::from_secs(10);

/// Spans that follow from a pool's checks, and the scale of its weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spans {
    /// All weights are multiplied by this, so that a tenth of 1 is a weight.
    pub(super) scale: u32,
    /// What fails in the same moment is noticed within this time: one check may have been made just
    /// before it, another be answered just after its timeout.
    pub(super) window: Duration,
    /// As long takes a server that is well again to be held so.
    pub(super) grace: Duration,
    /// As long may it take until all servers were judged for the first time.
    pub(super) start: Duration,
}

impl Spans {
    pub(super) fn of(config: &PoolConfig) -> Self {
        let mut spans = Spans {
            scale: if config.slow_start.is_zero() { 1 } else { STEPS },
            window: Duration::ZERO,
            grace: Duration::ZERO,
            start: Duration::ZERO,
        };
        let all = config.members.iter().flat_map(|member| &member.checks);
        let longest = |of: fn(&Timing) -> Duration| {
            all.clone().map(|check| of(&check.timing)).max().unwrap_or_default()
        };
        let timeout = longest(|timing| timing.timeout);
        let fall = longest(|timing| timing.every.saturating_mul(timing.fall.get().into()));
        spans.window = longest_of_any(config, |timing| timing.every) + timeout;
        let rise = |timing: &Timing| timing.every.saturating_mul(timing.rise.get().into());
        spans.grace = longest_of_any(config, rise) + timeout;
        spans.start = (ROUND + fall + timeout).min(LONGEST_START);
        spans
    }
}

/// The longest of these times of all checks, but for those that are much rarer than another one of
/// the same server: what happens to all servers at once, that one tells sooner.
fn longest_of_any(config: &PoolConfig, of: fn(&Timing) -> Duration) -> Duration {
    let of_member = |member: &Member| {
        let times = || member.checks.iter().map(|check| of(&check.timing));
        let (least, most) = (times().min()?, times().max()?);
        Some(most.min(least.max(RARE)))
    };
    config.members.iter().filter_map(of_member).max().unwrap_or_default()
}

/// What is remembered of one server.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) stage: Stage,
    /// The weight that it last had of its own right.
    pub(super) weight: u32,
    /// Since when it climbs to its full weight.
    pub(super) climbing: Option<Moment>,
    /// Until it is judged it is in the table without getting new connections.
    pub(super) quiet: bool,
    /// It was in maintenance after the last view.
    pub(super) resting: bool,
    /// It is well for the first time since the start, which is nobody's news.
    pub(super) is_first: bool,
    /// The last that was told of it is that it gets no new connections.
    pub(super) is_out: bool,
    /// The note that was last told of it.
    pub(super) note: Option<String>,
}

/// Where a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not judged since the start.
    Fresh,
    /// Not judged since it was added while running.
    Added,
    /// It is well, or was before its checks became others.
    In,
    /// It seems to have failed, and the guard holds it.
    Held,
    /// It failed, first at this moment, while it was as good as any for traffic.
    Fell(Moment),
    /// It failed otherwise, or for good.
    Out,
}

impl Memory {
    pub(super) fn begin(member: &Member, spans: &Spans, inside: bool) -> Self {
        Memory {
            stage: if inside { Stage::In } else { Stage::Fresh },
            weight: member.weight.saturating_mul(spans.scale),
            climbing: None,
            quiet: false,
            resting: false,
            is_first: true,
            is_out: false,
            note: None,
        }
    }

    pub(super) fn added(member: &Member, spans: &Spans) -> Self {
        let begun = Memory::begin(member, spans, false);
        Memory { stage: Stage::Added, is_first: false, ..begun }
    }

    /// The same server with another weight.
    pub(super) fn reweighed(self, member: &Member, spans: &Spans) -> Self {
        Memory { weight: member.weight.saturating_mul(spans.scale), ..self }
    }

    /// Moves on by what is seen, and since when it failed if it did. Returns whether that is new.
    pub(super) fn advance(&mut self, seen: (State, Moment), climbs: bool, now: Moment) -> bool {
        let (state, since) = seen;
        let before = self.stage;
        self.is_first = self.is_first && before == Stage::Fresh;
        self.stage = match (state, before) {
            (State::Up, _) => Stage::In,
            (State::Unknown, stage) => stage,
            // One in maintenance had no traffic that could be kept.
            (State::Down, Stage::In) if !self.resting => Stage::Fell(since),
            (State::Down, Stage::In | Stage::Fresh | Stage::Added) => Stage::Out,
            (State::Down, stage @ (Stage::Held | Stage::Fell(_) | Stage::Out)) => stage,
        };
        let is_cold = match before {
            Stage::Added | Stage::Fell(_) | Stage::Out => true,
            Stage::Fresh | Stage::In | Stage::Held => false,
        };
        match state {
            State::Up if is_cold && climbs => self.climbing = Some(now),
            State::Down => self.climbing = None,
            State::Up | State::Unknown => {}
        }
        before == Stage::In && state == State::Down
    }

    /// How many steps of its weight it has, if it climbs.
    pub(super) fn steps(&mut self, slow_start: Duration, now: Moment) -> Option<u32> {
        let since = self.climbing?;
        let steps = steps(now.since(since), slow_start);
        if steps >= STEPS {
            self.climbing = None;
        }
        (steps < STEPS).then_some(steps.max(1))
    }

    /// When it climbs on.
    pub(super) fn next_step(&self, slow_start: Duration, now: Moment) -> Option<Moment> {
        let since = self.climbing?;
        let steps = steps(now.since(since), slow_start).max(1);
        let next = slow_start.saturating_mul(steps + 1) / STEPS;
        // Rounded up, so that the step is due when the time comes.
        Some(since + next + Duration::from_nanos(1))
    }
}

fn steps(elapsed: Duration, slow_start: Duration) -> u32 {
    let steps = (elapsed.as_nanos() * u128::from(STEPS)).checked_div(slow_start.as_nanos());
    // Without slow start it has them all at once.
    steps.map_or(STEPS, |steps| u32::try_from(steps).unwrap_or(STEPS))
}
