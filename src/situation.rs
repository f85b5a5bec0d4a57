//! What may change while a host keeps its role: how its virtual routers stand, and which of its
//! real servers get traffic.
//!
//! The desired state is a pure function of role and situation, so a failover or a dead server is
//! nothing but a new situation.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::pool::standing::Shares;

/// How a virtual router of this host stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// No other host has this router, so this one holds its VIPs.
    Alone,
    /// It stands by: another host may hold them.
    #[default]
    Backup,
    /// It was elected and holds them.
    Active,
    /// It cannot be elected.
    Fault,
}

impl Standing {
    /// Whether the VIPs belong on this host.
    pub fn holds(self) -> bool {
        match self {
            Standing::Alone | Standing::Active => true,
            Standing::Backup | Standing::Fault => false,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Standing::Alone => "alone",
            Standing::Backup => "Backup",
            Standing::Active => "Active",
            Standing::Fault => "Fault",
        })
    }
}

/// What the desired state depends on beside the role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// How each virtual router stands, by its name.
    pub standing: BTreeMap<String, Standing>,
    /// The shares of each pool's servers, by its name. Of a pool that is not among them nothing is
    /// known, and all its servers count as well.
    pub pools: BTreeMap<String, Arc<Shares>>,
}

impl Situation {
    /// Before any word from a peer: a router without peers holds its VIPs, one with peers waits.
    /// Takes each router's name and whether it has peers.
    pub fn at_start<'a>(routers: impl IntoIterator<Item = (&'a str, bool)>) -> Self {
        let start = |(name, has_peers): (&str, bool)| {
            (name.to_owned(), if has_peers { Standing::Backup } else { Standing::Alone })
        };
        let standing = routers.into_iter().map(start).collect();
        Situation { standing, ..Situation::default() }
    }

    /// How this router stands; one that nothing is known of stands by.
    pub fn of(&self, router: &str) -> Standing {
        self.standing.get(router).copied().unwrap_or_default()
    }

    /// Every router that stands by becomes Active.
    pub fn elect_all(&mut self) {
        let waiting = self.standing.values_mut().filter(|standing| !standing.holds());
        waiting.for_each(|standing| *standing = Standing::Active);
    }

    /// Whether this host holds the VIPs of any of its routers.
    pub fn holds_any(&self) -> bool {
        self.standing.values().any(|standing| standing.holds())
    }

    /// Takes over which routers there are from `start`, and how those that are in both stand now.
    pub fn become_like(&mut self, start: Situation) {
        let known = std::mem::take(&mut self.standing);
        self.standing = start.standing;
        for (name, standing) in &mut self.standing {
            let alone = *standing == Standing::Alone;
            if let Some(now) = known.get(name).filter(|now| **now != Standing::Alone && !alone) {
                *standing = *now;
            }
        }
    }

    /// Whether this host holds the VIPs of all its routers.
    pub fn holds_all(&self) -> bool {
        self.standing.values().all(|standing| standing.holds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_without_peers_holds_its_vips_and_one_with_peers_waits() {
        let situation = Situation::at_start([("alone", false), ("main", true)]);
        assert_eq!(situation.of("alone"), Standing::Alone);
        assert_eq!(situation.of("main"), Standing::Backup);
        assert_eq!(situation.of("unheard-of"), Standing::Backup);
        assert!(!situation.holds_all());
        let mut elected = situation;
        elected.elect_all();
        assert!(elected.holds_all());
        assert_eq!(elected.of("alone"), Standing::Alone);
        assert!(Situation::at_start([("alone", false)]).holds_all());
    }
}
