//! The states with their timers.
//!
//! Each state owns the timers that run in it, so a timer ends with its state and none can be
//! forgotten in another.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::announcer::Announcer;
use super::timers::earliest;
use super::{Start, State, Why};
use crate::clock::Moment;
use crate::vrrp::config::Interval;

/// Where a router is.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Initialize, before the start.
    Waiting(Waiting),
    /// Backup.
    Backup(Backup),
    /// Active.
    Active(Active),
    /// Fault. The VIPs may still be kept for another host to take them.
    Fault(Option<Keeping>),
    /// Initialize, after the release, while the VIPs are kept.
    Leaving(Keeping),
    /// Initialize for good.
    Released,
}

/// Before the start.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// The end of the start delay.
    pub(super) until: Moment,
    /// How it starts. Unless afresh, the VIPs are here.
    pub(super) start: Start,
}

/// Watching the Active router.
#[derive(Clone, Debug)]
pub(super) struct Backup {
    /// Active_Down_Timer.
    pub(super) down: Moment,
    /// How long that was when it was set.
    pub(super) span: Duration,
    /// Why it is due at once, if it is.
    pub(super) cause: Option<Why>,
    /// Active_Adver_Interval.
    pub(super) learned: Interval,
    /// When the delay is over after which one of lower priority is preempted.
    pub(super) preempts: Option<Moment>,
    /// Nothing was heard since the start.
    pub(super) fresh: bool,
    /// Active_Down_Timer is only long enough to hear one advertisement: after a stall, or while
    /// it is not sure that anybody took over.
    pub(super) listens: bool,
    /// The director that is Active as it says itself, but whose advertisements do not come.
    pub(super) unheard: Option<IpAddr>,
    /// The VIPs are still here.
    pub(super) keeping: Option<Keeping>,
}

/// Holding the VIPs.
#[derive(Clone, Debug)]
pub(super) struct Active {
    /// Since when.
    pub(super) since: Moment,
    /// Adver_Timer.
    pub(super) advert: Moment,
    /// When one of lower priority was last answered.
    pub(super) answered: Option<Moment>,
    /// This process is about to be replaced, and has said so with a longer interval.
    pub(super) restarts: bool,
    /// The announcements of the VIPs.
    pub(super) announcer: Announcer,
    /// The directors that say that they are Active, too.
    pub(super) rivals: BTreeMap<IpAddr, Rival>,
}

/// A director that says that it is Active, and is not heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rival {
    /// When it first said so.
    pub(super) since: Moment,
    /// Its priority.
    pub(super) priority: u8,
}

/// VIPs that stay until another host has them.
#[derive(Clone, Debug)]
pub(super) struct Keeping {
    /// When to resign once more: the first time may have been lost.
    pub(super) again: Option<Moment>,
    /// When the VIPs go in any case.
    pub(super) until: Moment,
}

impl Keeping {
    /// For this long, and resigning once more halfway.
    pub(super) fn resigning(now: Moment, bound: Duration) -> Self {
        Keeping { again: Some(now + bound / 2), until: now + bound }
    }

    /// For this long, and silently.
    pub(super) fn silent(now: Moment, bound: Duration) -> Self {
        Keeping { again: None, until: now + bound }
    }

    fn next(&self) -> Option<Moment> {
        earliest([self.again, Some(self.until)])
    }
}

impl Phase {
    /// The state that it is in the RFC's words.
    pub(super) fn state(&self) -> State {
        match self {
            Phase::Waiting(_) | Phase::Leaving(_) | Phase::Released => State::Initialize,
            Phase::Backup(_) => State::Backup,
            Phase::Active(_) => State::Active,
            Phase::Fault(_) => State::Fault,
        }
    }

    /// Whether the VIPs belong on this host.
    pub(super) fn holds(&self) -> bool {
        match self {
            Phase::Waiting(waiting) => waiting.start != Start::Fresh,
            Phase::Active(_) | Phase::Leaving(_) => true,
            Phase::Backup(Backup { keeping, .. }) | Phase::Fault(keeping) => keeping.is_some(),
            Phase::Released => false,
        }
    }

    /// The VIPs that are kept for another host.
    pub(super) fn keeping(&mut self) -> Option<&mut Keeping> {
        match self {
            Phase::Leaving(keeping) => Some(keeping),
            Phase::Backup(Backup { keeping, .. }) | Phase::Fault(keeping) => keeping.as_mut(),
            Phase::Waiting(_) | Phase::Active(_) | Phase::Released => None,
        }
    }

    /// When a timer fires next.
    pub(super) fn next(&self) -> Option<Moment> {
        match self {
            Phase::Waiting(waiting) => Some(waiting.until),
            Phase::Backup(Backup { down, preempts, keeping, .. }) => {
                earliest([Some(*down), *preempts, keeping.as_ref().and_then(Keeping::next)])
            }
            Phase::Active(active) => earliest([Some(active.advert), active.announcer.next()]),
            Phase::Fault(keeping) => keeping.as_ref().and_then(Keeping::next),
            Phase::Leaving(keeping) => keeping.next(),
            Phase::Released => None,
        }
    }
}
