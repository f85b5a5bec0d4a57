//! Whether replies of masqueraded servers come back through this director. Pure.
//!
//! With NAT a server's way back has to lead through the director, or its clients get answers from
//! an address that they never asked. That cannot be asked of a server from here without a packet
//! that strays into other networks, for a reply to this host itself comes by the link. But the
//! kernel counts: a server that is sent packets, answers checks, and of whose replies none came by
//! has another way back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::finding::{Fault, Finding};
use crate::ipvs::VirtualServerId;

/// As many packets without a single one back: two clients in vain, with their repeated SYNs.
const IN_VAIN: u64 = 8;

/// In as many looks that saw some of them.
const LOOKS: u8 = 2;

/// A virtual server of masqueraded servers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowConfig {
    /// Which.
    pub id: VirtualServerId,
    /// The real servers: host, address and port.
    pub servers: Vec<(String, SocketAddr)>,
}

/// What the kernel has counted of a server since it came into the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::check) struct Count {
    /// Packets to it.
    pub(in crate::check) sent: u64,
    /// Packets from it.
    pub(in crate::check) returned: u64,
}

/// All flows that are looked at.
#[derive(Debug, Default)]
pub(in crate::check) struct Flows {
    configs: Vec<FlowConfig>,
    seen: BTreeMap<(VirtualServerId, SocketAddr), Seen>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    last: Count,
    /// Packets since the last one that came back.
    in_vain: u64,
    /// Looks that saw some of them.
    looks: u8,
    told: bool,
}

impl Flows {
    /// What is to be looked at from now on. What is known of the rest is forgotten.
    pub(in crate::check) fn configure(&mut self, configs: Vec<FlowConfig>) {
        self.configs = configs;
        let configs = &self.configs;
        self.seen.retain(|(id, server), _| {
            let mut all = configs.iter().filter(|config| config.id == *id);
            all.any(|config| config.servers.iter().any(|(_, at)| at == server))
        });
    }

    /// What to look at.
    pub(in crate::check) fn configs(&self) -> &[FlowConfig] {
        &self.configs
    }

    /// Takes in what the kernel has counted of the servers of one virtual server. `up` are the
    /// addresses that answer checks.
    pub(in crate::check) fn look(
        &mut self,
        id: VirtualServerId,
        counts: &BTreeMap<SocketAddr, Count>,
        up: &BTreeSet<IpAddr>,
    ) -> Vec<Finding> {
        let mut told = Vec::new();
        let config = self.configs.iter().find(|config| config.id == id);
        for (host, server) in config.into_iter().flat_map(|config| &config.servers) {
            let Some(count) = counts.get(server) else { continue };
            let fresh = Seen { last: *count, ..Seen::default() };
            let seen = self.seen.entry((id, *server)).or_insert(fresh);
            let fault = || Fault::OneWay { id, server: *server, host: host.clone() };
            told.extend(match seen.take(*count, up.contains(&server.ip())) {
                Some(true) => Some(Finding::Found(fault())),
                Some(false) => Some(Finding::Over(fault())),
                None => None,
            });
        }
        told
    }
}

impl Seen {
    /// Whether a fault has begun or ended.
    fn take(&mut self, count: Count, answers: bool) -> Option<bool> {
        let before = std::mem::replace(&mut self.last, count);
        if count.returned != before.returned || count.sent < before.sent {
            // One came back, or it is another entry of the table.
            let was_told = std::mem::take(&mut self.told);
            (self.in_vain, self.looks) = (0, 0);
            return was_told.then_some(false);
        }
        let sent = count.sent - before.sent;
        // Of one that answers nobody no reply is missed.
        if sent == 0 || !answers {
            return None;
        }
        self.in_vain = self.in_vain.saturating_add(sent);
        self.looks = self.looks.saturating_add(1);
        let is_new = !self.told && self.in_vain >= IN_VAIN && self.looks >= LOOKS;
        self.told |= is_new;
        is_new.then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of one server, look by look.
    fn told(looks: &[(u64, u64, bool)]) -> Vec<Option<bool>> {
        let id: VirtualServerId = "TCP 192.0.2.100:80".parse().expect("an id");
        let server: SocketAddr = "10.0.0.4:80".parse().expect("an end");
        let mut flows = Flows::default();
        flows.configure(vec![FlowConfig { id, servers: vec![("web1".to_owned(), server)] }]);
        let look = |(sent, returned, answers): &(u64, u64, bool)| {
            let counts = BTreeMap::from([(server, Count { sent: *sent, returned: *returned })]);
            let up = answers.then(|| server.ip()).into_iter().collect();
            match flows.look(id, &counts, &up).as_slice() {
                [] => None,
                [Finding::Found(_)] => Some(true),
                [Finding::Over(_)] => Some(false),
                more => panic!("{more:?}"),
            }
        };
        looks.iter().map(look).collect()
    }

    #[test]
    fn packets_in_vain_are_told_of_once_and_when_one_comes_back() {
        let looks = [(100, 90, true), (105, 90, true), (110, 90, true), (150, 90, true)];
        assert_eq!(told(&looks), [None, None, Some(true), None]);
        let over = [(0, 0, true), (5, 0, true), (10, 0, true), (12, 1, true), (20, 1, true)];
        assert_eq!(told(&over), [None, None, Some(true), Some(false), None]);
    }

    #[test]
    fn a_burst_a_few_packets_and_a_dead_server_say_nothing() {
        assert_eq!(told(&[(0, 0, true), (1000, 0, true), (1000, 0, true)]), [None; 3]);
        assert_eq!(told(&[(0, 0, true), (3, 0, true), (6, 0, true), (6, 0, true)]), [None; 4]);
        assert_eq!(told(&[(0, 0, false), (50, 0, false), (99, 0, false)]), [None; 3]);
        let answered = [(0, 0, true), (7, 0, true), (14, 1, true), (21, 1, true), (22, 1, true)];
        assert_eq!(told(&answered), [None, None, None, None, Some(true)]);
    }

    #[test]
    fn a_server_that_comes_into_the_table_anew_begins_anew() {
        let looks = [(90, 0, true), (95, 0, true), (2, 0, true), (6, 0, true), (9, 0, true)];
        assert_eq!(told(&looks), [None; 5]);
    }
}
