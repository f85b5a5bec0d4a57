//! What the checks of one server add up to.
//!
//! It is up if all its checks are, down if any is; anything else is not judged yet. What it asks
//! for counts only while it is up, for the advice of a check that failed is from before.

use std::time::Duration;

use super::view::View;
use crate::check::config::{CheckConfig, Probe};
use crate::check::made::Made;
use crate::check::outcome::{Asked, Evidence, Health, State, Wish};
use crate::clock::Moment;
use crate::pool::config::Member;

/// What is to be known of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look<'a> {
    pub(super) state: State,
    /// The weight that it is to have for its configured one, by its own advice; before slow start.
    pub(super) weight: u32,
    /// What it wants.
    pub(super) wish: Option<Wish>,
    /// What somebody should know of it.
    pub(super) note: Option<&'a str>,
    /// What is wrong.
    pub(super) what: &'a str,
    /// Since when.
    pub(super) since: Moment,
}

/// Looks at a server whose weights are all multiplied by `scale`.
pub(super) fn look<'a>(member: &Member, scale: u32, view: &View<'a>) -> Look<'a> {
    let mut state = State::Up;
    let mut look = Look {
        state,
        weight: member.weight.saturating_mul(scale),
        wish: None,
        note: None,
        what: "",
        since: Moment::ZERO,
    };
    let mut asked: Option<u32> = None;
    for check in &member.checks {
        let Some(health) = view.health.get(check) else {
            state = worse(state, State::Unknown);
            continue;
        };
        match health.state {
            State::Down => look.blame(health, state == State::Down),
            State::Unknown | State::Up => {}
        }
        state = worse(state, health.state);
        let advice = &health.advice;
        let weight = advice.weight.map(|asked| weigh(asked, member.weight, scale));
        asked = [asked, weight].into_iter().flatten().min();
        look.wish = stronger(look.wish, advice.wish);
        look.note = look.note.or(advice.note.as_deref());
    }
    look.state = state;
    look.weight = asked.unwrap_or(look.weight);
    look
}

impl<'a> Look<'a> {
    /// Of several checks that failed, the one that began it says why.
    fn blame(&mut self, health: &'a Health, is_blamed: bool) {
        let (since, what) = match &health.failing {
            Some(failing) => (failing.since, failing.failure.what.as_str()),
            None => (health.since, "it is not good again for long enough"),
        };
        if !is_blamed || since < self.since {
            (self.since, self.what) = (since, what);
        }
    }
}

fn worse(one: State, other: State) -> State {
    match (one, other) {
        (State::Down, _) | (_, State::Down) => State::Down,
        (State::Unknown, _) | (_, State::Unknown) => State::Unknown,
        (State::Up, State::Up) => State::Up,
    }
}

fn stronger(one: Option<Wish>, other: Option<Wish>) -> Option<Wish> {
    match (one, other) {
        (Some(Wish::Maintenance), _) | (_, Some(Wish::Maintenance)) => Some(Wish::Maintenance),
        (Some(Wish::Drain), _) | (_, Some(Wish::Drain)) => Some(Wish::Drain),
        (None, None) => None,
    }
}

/// A share that is asked for and is not nothing never comes to nothing.
fn weigh(asked: Asked, configured: u32, scale: u32) -> u32 {
    match asked {
        Asked::Weight(weight) => weight.saturating_mul(scale),
        Asked::Percent(percent) => {
            let full = u64::from(configured) * u64::from(scale);
            let least = u64::from(percent > 0 && configured > 0);
            let share = (full * u64::from(percent) / 100).max(least);
            u32::try_from(share).unwrap_or(u32::MAX)
        }
    }
}

/// What a check proves of the way to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Nothing.
    None,
    /// Something came back since.
    Open,
    /// If nothing else is heard of it until checks were made up to then, something came back since.
    OpenAt(Moment),
}

/// A check may begin, and end, so much after its time: what is due is gathered for a moment.
pub(super) const LATE: Duration = Duration::from_millis(100);

/// Whether something came back from the target since `first`. What it said last may be from
/// before, and is not told again as long as it stays the same; but a check that is made on its beat
/// has been made once more after `every` and `timeout`. Without a break, that is, and in the time
/// in which checks were made.
pub(super) fn proof(check: &CheckConfig, health: &Health, first: Moment, made: Made) -> Proof {
    let since = match &health.failing {
        Some(failing) => match failing.failure.evidence {
            Evidence::Silent => return Proof::None,
            Evidence::Answered => failing.since,
        },
        // One that is about to be well again would prove that it is to leave.
        None if health.state != State::Up || !goes_there(&check.probe) => return Proof::None,
        None => health.since,
    };
    let again = made.end(first, check.timing.every + check.timing.timeout + LATE);
    match since >= first || made.has_passed(again) {
        true => Proof::Open,
        false => Proof::OpenAt(again),
    }
}

/// Whether a good end says that the target answered: silence, a program or a file can be good by
/// themselves.
fn goes_there(probe: &Probe) -> bool {
    probe.is_answered_by_ip() || matches!(probe, Probe::ThroughVip(_))
}
