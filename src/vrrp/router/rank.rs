//! What is known of the other directors, and who of them could take over.
//!
//! All directors are in the cluster file, so each knows its rank: by priority, then by address.
//! What the connections between them tell is remembered here for as long as it is true; of a
//! director of which nothing is known, the worst is assumed: that it is there and ranks as the
//! files say.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::accept::is_link_local;
use super::input::PeerNews;
use super::timers::LONGEST_RESTART;
use super::{Heard, State};
use crate::clock::Moment;
use crate::vrrp::config::{Peer, RouterConfig};

/// What was told last of one director.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Unknown,
    /// Its host refuses the connection, and nobody was ever heard on one: perhaps nothing runs
    /// there, perhaps another program that speaks VRRP.
    Refused,
    Gone,
    Resigned,
    Present {
        state: State,
        priority: u8,
    },
}

impl Told {
    /// Whether it could become Active now.
    fn could_take_over(self) -> bool {
        match self {
            Told::Unknown | Told::Refused => true,
            Told::Gone | Told::Resigned => false,
            Told::Present { state, .. } => state != State::Fault,
        }
    }

    fn is_surely_not_active(self) -> bool {
        match self {
            Told::Unknown | Told::Refused => false,
            Told::Gone | Told::Resigned => true,
            Told::Present { state, .. } => state != State::Active,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    told: Told,
    /// Whether converge is what runs there: it was heard on the connection, and no other program
    /// has advertised itself since it was gone.
    spoke: bool,
    /// Until when its process is being replaced.
    restarting: Option<Moment>,
}

impl Standing {
    fn of(told: Told) -> Self {
        Standing { told, spoke: true, restarting: None }
    }

    fn restarts(&self, now: Moment) -> bool {
        self.restarting.is_some_and(|until| until > now)
    }
}

/// What a host that starts may do about the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Somebody may be Active or ranks higher.
    Closed,
    /// Nobody is, unless it is another program than converge: that would be heard.
    Quiet,
    /// Nobody is.
    Free,
}

/// The other directors, by address.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(BTreeMap<IpAddr, Standing>);

impl Peers {
    /// Takes in what is told of a director.
    pub(super) fn hear(&mut self, peer: IpAddr, news: PeerNews, now: Moment) {
        let standing = self.0.entry(peer).or_default();
        match news {
            // While its process is being replaced, a refused connection says nothing.
            PeerNews::Gone if standing.restarts(now) => standing.told = Told::Unknown,
            PeerNews::Gone if standing.spoke => standing.told = Told::Gone,
            PeerNews::Gone => standing.told = Told::Refused,
            PeerNews::Unknown => standing.told = Told::Unknown,
            PeerNews::Resigned => *standing = Standing::of(Told::Resigned),
            PeerNews::Present { state, priority } => {
                *standing = Standing::of(Told::Present { state, priority });
            }
            PeerNews::Restarting(within) => {
                standing.spoke = true;
                standing.restarting = Some(now + within.min(LONGEST_RESTART));
            }
        }
    }

    /// Forgets who is no longer a peer.
    pub(super) fn keep_only(&mut self, config: &RouterConfig) {
        self.0.retain(|address, _| config.peers.iter().any(|peer| peer.address == *address));
    }

    /// Whether its connection was lost, or never there.
    pub(super) fn is_out_of_touch(&self, peer: IpAddr) -> bool {
        match self.told(peer) {
            Told::Unknown | Told::Refused | Told::Gone => true,
            Told::Resigned | Told::Present { .. } => false,
        }
    }

    /// Until when the process there is being replaced.
    pub(super) fn restarting(&self, peer: IpAddr, now: Moment) -> Option<Moment> {
        self.0.get(&peer).filter(|standing| standing.restarts(now))?.restarting
    }

    /// Whose the advertisements are that were heard. Over IPv6 they come from a link-local address,
    /// and the files may have another: then the priority tells, which no two directors share.
    pub(super) fn sender(&self, config: &RouterConfig, heard: &Heard) -> Option<IpAddr> {
        let mut peers = config.peers.iter();
        if peers.any(|peer| peer.address == heard.from) {
            return Some(heard.from);
        }
        let active = Told::Present { state: State::Active, priority: heard.priority };
        let matches = |peer: &&Peer| match self.told(peer.address) {
            Told::Unknown | Told::Refused => peer.priority.get() == heard.priority,
            told @ (Told::Gone | Told::Resigned | Told::Present { .. }) => told == active,
        };
        // Anybody else is in no file: a stranger of the same priority is not the peer.
        let is_hidden = |peer: &&Peer| is_link_local(heard.from) && !is_link_local(peer.address);
        config.peers.iter().filter(is_hidden).find(matches).map(|peer| peer.address)
    }

    /// Whether nobody who could take over ranks above this host. `resigned` just ceased to be
    /// Active, whatever was told of it before.
    pub(super) fn this_host_is_first(
        &self,
        config: &RouterConfig,
        own: u8,
        resigned: Option<IpAddr>,
    ) -> bool {
        let could = |peer: &&Peer| self.told(peer.address).could_take_over();
        let rivals = config.peers.iter().filter(could);
        self.outranks(config, own, rivals.filter(|peer| Some(peer.address) != resigned))
    }

    fn outranks<'a>(
        &self,
        config: &RouterConfig,
        own: u8,
        mut rivals: impl Iterator<Item = &'a Peer>,
    ) -> bool {
        rivals.all(|peer| (self.priority(peer), peer.address) < (own, config.source))
    }

    /// What a host of this rank may do at its start.
    pub(super) fn opening(&self, config: &RouterConfig, own: u8) -> Opening {
        let told = |peer: &Peer| self.told(peer.address);
        let (refused, others): (Vec<&Peer>, Vec<&Peer>) =
            config.peers.iter().partition(|peer| told(peer) == Told::Refused);
        let rivals = others.iter().copied().filter(|peer| told(peer).could_take_over());
        let is_free = others.iter().all(|peer| told(peer).is_surely_not_active())
            && self.outranks(config, own, rivals);
        match (is_free, refused.is_empty()) {
            (false, _) => Opening::Closed,
            (true, false) => Opening::Quiet,
            (true, true) => Opening::Free,
        }
    }

    /// Its priority, if it says that it is Active.
    pub(super) fn says_active(&self, peer: IpAddr) -> Option<u8> {
        match self.told(peer) {
            Told::Present { state: State::Active, priority } => Some(priority),
            Told::Unknown | Told::Refused | Told::Gone | Told::Resigned => None,
            Told::Present { .. } => None,
        }
    }

    /// Whether its process was there, and has ended.
    pub(super) fn is_gone(&self, peer: IpAddr) -> bool {
        self.told(peer) == Told::Gone
    }

    /// It advertises itself. Where converge is gone, that is another program.
    pub(super) fn hear_voice(&mut self, peer: IpAddr) {
        if let Some(standing) = self.0.get_mut(&peer)
            && standing.told == Told::Gone
        {
            (standing.told, standing.spoke) = (Told::Refused, false);
        }
    }

    /// Whether somebody could take over from this host.
    pub(super) fn anybody_could_take_over(&self, config: &RouterConfig) -> bool {
        config.peers.iter().any(|peer| self.told(peer.address).could_take_over())
    }

    fn told(&self, peer: IpAddr) -> Told {
        self.0.get(&peer).map_or(Told::Unknown, |standing| standing.told)
    }

    /// What it said itself counts; tracking may have moved it.
    fn priority(&self, peer: &Peer) -> u8 {
        match self.told(peer.address) {
            Told::Present { priority, .. } => priority,
            Told::Unknown | Told::Refused | Told::Gone | Told::Resigned => peer.priority.get(),
        }
    }
}
