//! What somebody should read in a log, once per episode.
//!
//! An episode lasts while the same thing keeps being noticed, and is over after a quiet time. The
//! memory is bounded: whoever sends packets of ever new kinds fills it and is then not written
//! about, until it has been quiet.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::output::rounded;
use crate::clock::Moment;
use crate::vrrp::packet::{Discard, Note};

/// After this long without a further occasion, an episode is over. Longer than the longest
/// interval of v3, so that every advertisement of a misconfigured peer is one episode.
const QUIET: Duration = Duration::from_secs(60);
/// Episodes at a time: several for each of more directors than a cluster has.
const MOST: usize = 64;

/// Something odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An advertisement is heeded although something about it is odd.
    Odd {
        /// The sender.
        from: IpAddr,
        /// What.
        note: Note,
    },
    /// An advertisement for this router is not heeded: one of the two is misconfigured, and both
    /// may become Active.
    Refused {
        /// The sender.
        from: IpAddr,
        /// The reason.
        why: Discard,
    },
    /// Another router has the same priority: chance decides who is Active.
    EqualPriority {
        /// The other.
        from: IpAddr,
        /// The priority.
        priority: u8,
    },
    /// Another router advertises itself although this one is Active and ranks higher.
    Conflict {
        /// The other.
        from: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// Another director says that it is Active too.
    AlsoActive {
        /// Its address.
        peer: IpAddr,
    },
    /// Another director is Active as it says itself, and protocol 112 does not come from it.
    Unheard {
        /// Its address.
        peer: IpAddr,
    },
    /// This process was not run in time.
    Late {
        /// How late the timer was.
        by: Duration,
    },
    /// Another host says that a VIP is its own.
    Claimed,
    /// Somebody had deleted a VIP.
    VipLost,
}

impl Notice {
    /// What is the same in all notices of one episode.
    fn episode(&self) -> Notice {
        match self {
            Notice::Late { .. } => Notice::Late { by: Duration::ZERO },
            Notice::Conflict { from, .. } => Notice::Conflict { from: *from, priority: 0 },
            other @ (Notice::Odd { .. }
            | Notice::Refused { .. }
            | Notice::EqualPriority { .. }
            | Notice::AlsoActive { .. }
            | Notice::Unheard { .. }
            | Notice::Claimed
            | Notice::VipLost) => other.clone(),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Odd { from, note } => write!(f, "an advertisement from {from}: {note}"),
            Notice::Refused { from, why } => {
                write!(f, "an advertisement from {from} is discarded: {why}")
            }
            Notice::EqualPriority { from, priority } => {
                write!(f, "{from} has the same priority, {priority}; the larger address wins")
            }
            Notice::Conflict { from, priority } => {
                write!(f, "{from} is Active too, with the lower priority {priority}")
            }
            Notice::AlsoActive { peer } => {
                write!(f, "{peer} is Active too, and its advertisements are not heard here")
            }
            Notice::Late { by } => write!(f, "a timer was {} late", rounded(*by)),
            Notice::Unheard { peer } => write!(
                f,
                "{peer} is Active and reachable, but its advertisements do not come: a firewall or \
                 security group seems to block IP protocol 112 (VRRP) between the two; meanwhile \
                 the connection between them counts"
            ),
            Notice::Claimed => f.write_str("another host claims a VIP"),
            Notice::VipLost => f.write_str("a VIP was deleted by somebody else and put back"),
        }
    }
}

/// The episodes that are not over.
#[derive(Clone, Debug, Default)]
pub(super) struct Episodes(Vec<(Notice, Moment)>);

impl Episodes {
    /// Whether this begins an episode, so that it is to be told.
    pub(super) fn begins(&mut self, notice: &Notice, now: Moment) -> bool {
        let episode = notice.episode();
        self.0.retain(|(_, last)| now.since(*last) < QUIET);
        if let Some((_, last)) = self.0.iter_mut().find(|(known, _)| *known == episode) {
            *last = now;
            return false;
        }
        if self.0.len() == MOST {
            return false;
        }
        self.0.push((episode, now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_is_told_once_until_it_has_been_quiet() {
        let mut episodes = Episodes::default();
        let at = |seconds| Moment::after_start(Duration::from_secs(seconds));
        assert!(episodes.begins(&Notice::Claimed, at(0)));
        assert!(!episodes.begins(&Notice::Claimed, at(59)));
        assert!(!episodes.begins(&Notice::Claimed, at(118)), "59 s after the last occasion");
        assert!(episodes.begins(&Notice::VipLost, at(118)));
        assert!(episodes.begins(&Notice::Claimed, at(178)));
    }

    #[test]
    fn ever_new_notices_fill_no_memory() {
        let mut episodes = Episodes::default();
        let from = "192.0.2.1".parse().expect("an address");
        let told = |episodes: &mut Episodes, n: usize| {
            let note = Note::Trailing(n);
            episodes.begins(&Notice::Odd { from, note }, Moment::ZERO)
        };
        let count = (0..1000).filter(|n| told(&mut episodes, *n)).count();
        assert_eq!((count, episodes.0.len()), (MOST, MOST));
    }
}
