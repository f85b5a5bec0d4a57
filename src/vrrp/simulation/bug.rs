//! Bugs that are planted to see that the simulation finds them.
//!
//! Each stands between a host and its machine and alters what the one says to the other, so that
//! together they behave like a machine with that bug. The machine itself knows nothing of them.

use std::net::IpAddr;
use std::time::Duration;

use crate::vrrp::config::{Interval, Preempt, RouterConfig, Version};
use crate::vrrp::packet::{Advert, Envelope};
use crate::vrrp::router::{Condition, Output, PeerNews, State};

/// A bug that every host of a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Of two Active routers of one priority the one with the larger address yields.
    TieBreakReversed,
    /// An Active router yields to every other of its own priority.
    EqualAlwaysYields,
    /// An Active router yields to every other.
    AlwaysYields,
    /// All Backups wait three intervals, whatever their priority is.
    NoSkew,
    /// Every packet that comes in starts the timer anew, valid or not, as in keepalived.
    JunkRearms,
    /// The higher one waits for the lower one to fail although it was told to preempt.
    NeverPreempts,
    /// Preempts although it was told never to.
    PreemptsAlways,
    /// Preempts without the delay that it was told.
    PreemptsEarly,
    /// A resignation is not heeded, on the wire or on the link.
    ResignationIgnored,
    /// A router that leaves says nothing.
    NoResignation,
    /// After a stall it goes on as if nothing had been.
    ShoutsAfterStall,
    /// VIPs go with the state, before another host has announced them.
    DropsVipEarly,
    /// VIPs stay when the router is no longer Active.
    KeepsVips,
    /// The lease of a VIP is shorter than a takeover takes.
    LeaseTooShort,
    /// The lease of a VIP never ends.
    LeaseEndless,
    /// Sync groups are not heeded.
    GroupIgnored,
    /// A Backup goes by its own interval, not by the Active one's.
    IntervalNotLearned,
    /// A link that is lost is taken for a death.
    SilenceIsDeath,
    /// A death that is certain is not heeded.
    DeathIgnored,
    /// The tracked things that fail are not heeded.
    FaultIgnored,
    /// The weights of tracked things are not heeded.
    WeightIgnored,
    /// VIPs are never announced.
    NoAnnouncement,
    /// Who yields does not say that it was Active, so the winner may not know of the conflict.
    YieldsSilently,
    /// The winner of a conflict does not announce its VIPs again.
    NoAnnouncementAfterConflict,
    /// What the link says of who is Active is not heeded.
    LinkIgnored,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 25] = [
        Bug::TieBreakReversed,
        Bug::EqualAlwaysYields,
        Bug::AlwaysYields,
        Bug::NoSkew,
        Bug::JunkRearms,
        Bug::NeverPreempts,
        Bug::PreemptsAlways,
        Bug::PreemptsEarly,
        Bug::ResignationIgnored,
        Bug::NoResignation,
        Bug::ShoutsAfterStall,
        Bug::DropsVipEarly,
        Bug::KeepsVips,
        Bug::LeaseTooShort,
        Bug::LeaseEndless,
        Bug::GroupIgnored,
        Bug::IntervalNotLearned,
        Bug::SilenceIsDeath,
        Bug::DeathIgnored,
        Bug::FaultIgnored,
        Bug::WeightIgnored,
        Bug::NoAnnouncement,
        Bug::YieldsSilently,
        Bug::NoAnnouncementAfterConflict,
        Bug::LinkIgnored,
    ];

    /// What a process is told instead.
    pub fn configure(self, mut config: RouterConfig) -> RouterConfig {
        match (self, config.preempt) {
            (Bug::NeverPreempts, _) => config.preempt = Preempt::Never,
            (Bug::PreemptsAlways, Preempt::Never) | (Bug::PreemptsEarly, Preempt::After(_)) => {
                config.preempt = Preempt::Now;
            }
            (Bug::GroupIgnored, _) => config.sync_group = None,
            (Bug::TieBreakReversed, _) => {
                config.source = mirrored(config.source);
                for peer in &mut config.peers {
                    peer.address = mirrored(peer.address);
                }
            }
            (_, Preempt::Now | Preempt::Never | Preempt::After(_)) => {}
        }
        config
    }

    /// What a process hears instead of an advertisement. `own` is the receiving router's interval
    /// and, while it is Active, its priority.
    pub fn hear(
        self,
        mut advert: Advert,
        mut envelope: Envelope,
        (interval, active): (Interval, Option<u8>),
    ) -> Option<(Advert, Envelope)> {
        match self {
            Bug::TieBreakReversed => envelope.source = mirrored(envelope.source),
            Bug::EqualAlwaysYields if active == Some(advert.priority) => {
                advert.priority = advert.priority.saturating_add(1);
            }
            Bug::AlwaysYields if active.is_some() && advert.priority > 0 => advert.priority = 255,
            Bug::ResignationIgnored if advert.priority == 0 => return None,
            Bug::IntervalNotLearned if advert.version == Version::V3 => advert.interval = interval,
            _ => {}
        }
        Some((advert, envelope))
    }

    /// What a process is told instead of news from the link.
    pub fn news(self, news: PeerNews) -> Option<PeerNews> {
        match (self, &news) {
            (Bug::SilenceIsDeath, PeerNews::Unknown) => Some(PeerNews::Gone),
            (Bug::ResignationIgnored, PeerNews::Resigned | PeerNews::Gone)
            | (Bug::ResignationIgnored, PeerNews::Present { .. })
            | (Bug::LinkIgnored, PeerNews::Present { state: State::Active, .. })
            | (Bug::DeathIgnored, PeerNews::Gone) => None,
            _ => Some(news),
        }
    }

    /// What a process is told instead of what tracking found.
    pub fn condition(self, mut condition: Condition) -> Condition {
        match self {
            Bug::FaultIgnored => condition.faults.clear(),
            Bug::WeightIgnored => condition.adjust = 0,
            _ => {}
        }
        condition
    }

    /// Whether what the machine asks for is not done. `fresh`: the router was not Active before
    /// this step; `active`: it is after it.
    pub fn swallows(self, output: &Output, fresh: bool, active: bool) -> bool {
        match output {
            Output::Send(Advert { priority: 0, .. }) => self == Bug::NoResignation,
            Output::Send(_) => self == Bug::YieldsSilently && !active,
            Output::Announce => {
                self == Bug::NoAnnouncement || (self == Bug::NoAnnouncementAfterConflict && !fresh)
            }
            _ => false,
        }
    }

    /// The lease of a VIP instead of this one.
    pub fn lease(self, lease: Duration) -> Duration {
        match self {
            Bug::LeaseTooShort => lease / 3,
            Bug::LeaseEndless => lease * 1000,
            _ => lease,
        }
    }

    /// Whether VIPs stay where they are.
    pub fn keeps_vips(self) -> bool {
        self == Bug::KeepsVips
    }

    /// Whether a router in this state has lost its VIPs, whatever the machine says.
    pub fn drops_vips(self, state: State) -> bool {
        self == Bug::DropsVipEarly && state != State::Active
    }
}

/// An address that stands in the reverse order to all others.
pub fn mirrored(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((!v4.to_bits() & 0xff | v4.to_bits() & !0xff).into()),
        IpAddr::V6(v6) => IpAddr::V6((!v6.to_bits() & 0xffff | v6.to_bits() & !0xffff).into()),
    }
}
