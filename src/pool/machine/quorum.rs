//! Whether enough servers are well.
//!
//! keepalived's rule: a lost quorum is had again at `quorum + hysteresis`, one that is had is lost
//! below `quorum - hysteresis`, and with nobody left in any case. Before all servers were judged
//! nothing is lost, or every start would begin with a moment of the spare's page.

use crate::clock::Moment;

/// How a pool's quorum stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quorum {
    /// Not decided yet; it is at this moment, whatever is known then.
    Open(Moment),
    /// Enough are well.
    Had,
    /// Too few are.
    Lost,
}

impl Quorum {
    pub(super) fn at_start(spare_answers: bool, by: Moment) -> Self {
        if spare_answers { Quorum::Lost } else { Quorum::Open(by) }
    }

    /// How it stands with these weights.
    pub(super) fn next(self, sum: u64, rule: Rule, is_judged: bool, now: Moment) -> Self {
        let (need, hysteresis) = (u64::from(rule.quorum), u64::from(rule.hysteresis));
        let is_enough = |bound: u64| sum > 0 && sum >= bound;
        match self {
            Quorum::Open(_) if is_enough(need) => Quorum::Had,
            Quorum::Open(by) if is_judged || now >= by => Quorum::Lost,
            Quorum::Lost if is_enough(need + hysteresis) => Quorum::Had,
            Quorum::Had if !is_enough(need.saturating_sub(hysteresis)) => Quorum::Lost,
            Quorum::Open(_) | Quorum::Lost | Quorum::Had => self,
        }
    }

    pub(super) fn timeout(self, now: Moment) -> Option<Moment> {
        match self {
            Quorum::Open(by) => (by > now).then_some(by),
            Quorum::Had | Quorum::Lost => None,
        }
    }
}

/// What it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) quorum: u32,
    pub(super) hysteresis: u32,
}
