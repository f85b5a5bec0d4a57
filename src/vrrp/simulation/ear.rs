//! What a host has heard about a router: an account of its own, kept beside the machine.
//!
//! Whether a takeover was called for is judged by this account and the RFCs' words, not by what
//! the machine remembers. It is told what came in and was not discarded.

use std::net::IpAddr;
use std::time::Duration;

use super::host::skew;
use crate::clock::Moment;
use crate::vrrp::config::{OWNER, Preempt, RouterConfig};
use crate::vrrp::packet::Advert;
use crate::vrrp::router::{PeerNews, State};

/// Clocks are exact here; a machine may round a timer down to this.
const ROUNDING: Duration = Duration::from_micros(10);
/// Intervals of silence after which the Active one is dead (RFC 9568 6.1).
const DEAD: u32 = 3;

/// The account of one router on one host, by the host's clock.
#[derive(Clone, Debug)]
pub struct Ear {
    /// Since when it has been listening.
    since: Moment,
    /// For how many intervals, if it hears nobody.
    waits: u32,
    /// The last advertisement that a Backup has to heed.
    better: Option<Heard>,
    /// The first and the last of the lower ones since.
    lower: Option<Lower>,
    /// When something said, since the last better one, that its sender has left.
    excused: Option<Moment>,
    /// Whether its priority has changed since, and with it the skew.
    reweighed: bool,
    /// What is known of each peer from the link.
    peers: Vec<(IpAddr, Known)>,
}

#[derive(Clone, Copy, Debug)]
struct Lower {
    first: Moment,
    last: Moment,
    interval: Duration,
}

#[derive(Clone, Debug)]
struct Heard {
    from: IpAddr,
    interval: Duration,
    at: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Nothing,
    Absent,
    Active,
}

impl Ear {
    /// One that begins to listen now, or goes on where it was before a planned restart.
    pub fn new(config: &RouterConfig, now: Moment, resumed: bool) -> Self {
        let peers = config.peers.iter().map(|peer| (peer.address, Known::Nothing)).collect();
        let (better, lower, excused) = (None, None, resumed.then_some(now));
        Ear { since: now, waits: DEAD, better, lower, excused, reweighed: false, peers }
    }

    /// It begins to listen anew, and keeps what the link told. If the VIPs are still here, as long
    /// as an Active one takes to say that it has them is enough.
    pub fn listens_again(&mut self, now: Moment, keeps_vips: bool) {
        let peers = std::mem::take(&mut self.peers);
        let alone = peers.iter().all(|(_, known)| *known == Known::Absent);
        // What came in this very moment may have come after what made it listen.
        let just_now = self.excused.filter(|when| *when == now);
        let (better, lower, excused) = (None, None, alone.then_some(now).or(just_now));
        let waits = if keeps_vips { 1 } else { DEAD };
        *self = Ear { since: now, waits, better, lower, excused, reweighed: false, peers };
    }

    /// An advertisement came that was not discarded, while its own priority was this one.
    pub fn hears(
        &mut self,
        from: IpAddr,
        advert: &Advert,
        config: &RouterConfig,
        own: u8,
        now: Moment,
    ) {
        if advert.priority == 0 {
            self.excused = Some(now);
            return;
        }
        let obliging = config.preempt == Preempt::Never && config.priority != OWNER;
        if obliging || advert.priority >= own {
            let interval = advert.interval.get();
            self.better = Some(Heard { from, interval, at: now });
            (self.lower, self.excused, self.reweighed) = (None, None, false);
        } else {
            let first = self.lower.map_or(now, |lower| lower.first);
            self.lower = Some(Lower { first, last: now, interval: advert.interval.get() });
        }
    }

    /// The link had this to say about a peer.
    pub fn learns(&mut self, peer: IpAddr, news: &PeerNews, now: Moment) {
        let known = match news {
            PeerNews::Gone | PeerNews::Resigned => Known::Absent,
            PeerNews::Present { state: State::Active, .. } => Known::Active,
            PeerNews::Present { .. } => Known::Absent,
            PeerNews::Restarting(_) | PeerNews::Unknown => Known::Nothing,
        };
        if let Some(entry) = self.peers.iter_mut().find(|(address, _)| *address == peer) {
            entry.1 = known;
        }
        let active = self.better.as_ref().is_none_or(|better| better.from == peer);
        // Once at a start nobody was Active, waiting may be over soon whatever comes then.
        let at_a_start = self.better.is_none() && self.is_alone();
        if (known == Known::Absent && active) || at_a_start {
            self.excused = Some(now);
        }
    }

    /// Its own priority or its configuration is another now.
    pub fn is_reweighed(&mut self) {
        self.reweighed = true;
    }

    /// Why a takeover now is not called for, if it is not.
    pub fn objects(&self, config: &RouterConfig, own: u8, now: Moment) -> Option<String> {
        if own == u8::MAX || self.excused.is_some() {
            return None;
        }
        let interval = self.better.as_ref().map_or(config.interval.get(), |b| b.interval);
        let skew = match self.reweighed {
            true => Duration::ZERO,
            false => skew(config.version, own, interval),
        };
        let needed = (interval * DEAD + skew).saturating_sub(ROUNDING);
        if let (Preempt::After(delay), Some(lower)) = (config.preempt, self.lower) {
            let seen = now.since(lower.first);
            if seen + ROUNDING >= delay {
                return None;
            }
            if now.since(lower.last) < lower.interval * DEAD {
                return Some(format!("it has seen the lower one for {seen:?} of {delay:?}"));
            }
        }
        match &self.better {
            Some(Heard { from, at, .. }) if now.since(*at) < needed => {
                let (since, from) = (now.since(*at), from);
                Some(format!("it heard {from} {since:?} ago and had to wait {needed:?}"))
            }
            None if now.since(self.since) < needed - interval * (DEAD - self.waits) => {
                let since = now.since(self.since);
                Some(format!("it has listened for {since:?} of {needed:?}"))
            }
            Some(_) | None => None,
        }
    }

    /// Whether the link says of every peer that it is not Active.
    fn is_alone(&self) -> bool {
        self.peers.iter().all(|(_, known)| *known == Known::Absent)
    }
}
