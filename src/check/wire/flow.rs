//! Whether replies of masqueraded servers come back through this director. Pure.
//!
//! With NAT a server's way back has to lead through the director, or its clients get answers from
//! an address that they never asked. That cannot be asked of a server from here without a packet
//! that strays into other networks, for a reply to this host itself comes by the link. But the
//! kernel counts: a server that is sent packets, answers its checks, and of whose replies none came
//! by has another way back. One that has just died looks the same until its checks have had the
//! time to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::finding::{Fault, Finding};
use crate::check::config::CheckConfig;
use crate::check::outcome::{Health, State};
use crate::ipvs::VirtualServerId;

/// As many packets without a single one back: two clients in vain, with their repeated SYNs.
const IN_VAIN: u64 = 8;

/// In as many looks that saw some of them, at least.
const LOOKS: u32 = 2;

/// From one look at what the kernel has counted to the next: some repeated SYNs of a client.
pub(super) const COUNTED_EVERY: Duration = Duration::from_secs(5);

/// From a bad check to the next look that knows of it, at most.
const NEWS: Duration = Duration::from_secs(2);

/// A virtual server of masqueraded servers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowConfig {
    /// Which.
    pub id: VirtualServerId,
    /// The real servers.
    pub servers: Vec<FlowServer>,
}

/// One of its servers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowServer {
    /// Its host, as the cluster file has it.
    pub host: String,
    /// Where it takes traffic.
    pub at: SocketAddr,
    /// What is asked of it.
    pub checks: Vec<Arc<CheckConfig>>,
}

/// Whether a fault can be one of what this looks at.
pub fn is_of(config: &FlowConfig, fault: &Fault) -> bool {
    match fault {
        Fault::OneWay { id, server, .. } => {
            config.id == *id && config.servers.iter().any(|known| known.at == *server)
        }
        Fault::Leak { .. } | Fault::Duplicate { .. } => false,
        Fault::Returns { .. } | Fault::Elsewhere { .. } => false,
    }
}

/// Servers of virtual servers.
pub type Answering = BTreeSet<(VirtualServerId, SocketAddr)>;

/// The servers that answer their checks.
pub fn answering(configs: &[FlowConfig], health: &BTreeMap<Arc<CheckConfig>, Health>) -> Answering {
    let servers = |config: &FlowConfig| {
        let well = config.servers.iter().filter(|server| server.answers(health));
        well.map(|server| (config.id, server.at)).collect::<Vec<_>>()
    };
    configs.iter().flat_map(servers).collect()
}

impl FlowServer {
    /// Whether all its checks are good, to the last answer, and one of them came from its address.
    fn answers(&self, health: &BTreeMap<Arc<CheckConfig>, Health>) -> bool {
        let is_well = |check: &Arc<CheckConfig>| {
            health.get(check).is_some_and(|h| h.state == State::Up && h.failing.is_none())
        };
        let is_own = |check: &Arc<CheckConfig>| {
            check.probe.is_answered_by_ip() && check.target.address == self.at.ip()
        };
        self.checks.iter().all(is_well) && self.checks.iter().any(is_own)
    }

    /// So many looks that it may have been dead for all the time that a check takes to say so.
    fn looks(&self) -> u32 {
        let blind = |check: &Arc<CheckConfig>| check.timing.every + check.timing.timeout;
        let blind = self.checks.iter().map(blind).max().unwrap_or_default() + NEWS;
        let more = blind.as_nanos() / COUNTED_EVERY.as_nanos();
        LOOKS.saturating_add(u32::try_from(more).unwrap_or(u32::MAX))
    }
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
    looks: u32,
    told: bool,
}

impl Flows {
    /// What is to be looked at from now on. What is known of the rest is forgotten.
    pub(in crate::check) fn configure(&mut self, configs: Vec<FlowConfig>) {
        self.configs = configs;
        let configs = &self.configs;
        self.seen.retain(|(id, server), _| {
            let mut all = configs.iter().filter(|config| config.id == *id);
            all.any(|config| config.servers.iter().any(|known| known.at == *server))
        });
    }

    /// What to look at.
    pub(in crate::check) fn configs(&self) -> &[FlowConfig] {
        &self.configs
    }

    /// Takes in what the kernel has counted of the servers of one virtual server. `up` are those
    /// that answer their checks.
    pub(in crate::check) fn look(
        &mut self,
        id: VirtualServerId,
        counts: &BTreeMap<SocketAddr, Count>,
        up: &Answering,
    ) -> Vec<Finding> {
        let mut told = Vec::new();
        let config = self.configs.iter().find(|config| config.id == id);
        for server in config.into_iter().flat_map(|config| &config.servers) {
            let Some(count) = counts.get(&server.at) else { continue };
            let fresh = Seen { last: *count, ..Seen::default() };
            let seen = self.seen.entry((id, server.at)).or_insert(fresh);
            let fault = || Fault::OneWay { id, server: server.at, host: server.host.clone() };
            let looks = up.contains(&(id, server.at)).then(|| server.looks());
            told.extend(match seen.take(*count, looks) {
                Some(true) => Some(Finding::Found(fault())),
                Some(false) => Some(Finding::Over(fault())),
                None => None,
            });
        }
        told
    }
}

impl Seen {
    /// Whether a fault has begun or ended. Of one that answers it takes so many looks.
    fn take(&mut self, count: Count, looks: Option<u32>) -> Option<bool> {
        let before = std::mem::replace(&mut self.last, count);
        if count.returned != before.returned || count.sent < before.sent {
            // One came back, or it is another entry of the table.
            let was_told = std::mem::take(&mut self.told);
            (self.in_vain, self.looks) = (0, 0);
            return was_told.then_some(false);
        }
        // Of one that answers nobody no reply is missed, nor was of late.
        let Some(least) = looks else {
            (self.in_vain, self.looks) = (0, 0);
            return None;
        };
        let sent = count.sent - before.sent;
        if sent == 0 {
            return None;
        }
        self.in_vain = self.in_vain.saturating_add(sent);
        self.looks = self.looks.saturating_add(1);
        let is_new = !self.told && self.in_vain >= IN_VAIN && self.looks >= least;
        self.told |= is_new;
        is_new.then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use super::*;
    use crate::check::config::{Probe, Target, Timing};
    use crate::check::outcome::{Advice, Evidence, Failing, Failure};
    use crate::clock::Moment;

    fn id() -> VirtualServerId {
        "TCP 192.0.2.100:80".parse().expect("an id")
    }

    fn check(at: &str, seconds: u64) -> Arc<CheckConfig> {
        let at: SocketAddr = at.parse().expect("an end");
        let target = Target { address: at.ip(), port: at.port() };
        let (every, count) = (Duration::from_secs(seconds), NonZeroU8::MIN);
        let timing = Timing { every, timeout: every, fast: every, rise: count, fall: count };
        Arc::new(CheckConfig { target, probe: Probe::Connect(None).into(), timing })
    }

    /// Checked so often.
    fn server(seconds: u64) -> FlowServer {
        let (host, at) = ("web1".to_owned(), "10.0.0.4:80");
        let checks = vec![check(at, seconds)];
        FlowServer { host, at: at.parse().expect("an end"), checks }
    }

    /// What is said of one server, look by look.
    fn told(looks: &[(u64, u64, bool)]) -> Vec<Option<bool>> {
        told_of(server(1), looks)
    }

    fn told_of(server: FlowServer, looks: &[(u64, u64, bool)]) -> Vec<Option<bool>> {
        let (id, at) = (id(), server.at);
        let mut flows = Flows::default();
        flows.configure(vec![FlowConfig { id, servers: vec![server] }]);
        let look = |(sent, returned, answers): &(u64, u64, bool)| {
            let counts = BTreeMap::from([(at, Count { sent: *sent, returned: *returned })]);
            let up = answers.then_some((id, at)).into_iter().collect();
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

    #[test]
    fn a_server_that_has_died_is_not_told_of_before_slow_checks_can_have_said_so() {
        // They may take 20 s to say so, and it died just after a good one.
        let mut looks = vec![(100, 90, true), (120, 90, true), (140, 90, true), (160, 90, true)];
        looks.extend([(180, 90, true), (200, 90, true), (220, 90, false), (220, 90, true)]);
        assert_eq!(told_of(server(10), &looks), [None; 8]);
        let mut living: Vec<_> = (0..6).map(|look| (look * 20, 0, true)).collect();
        assert_eq!(told_of(server(10), &living), [None; 6]);
        living.push((120, 0, true));
        assert_eq!(told_of(server(10), &living).last(), Some(&Some(true)));
    }

    #[test]
    fn a_server_answers_when_its_own_checks_do_to_the_last() {
        let healthy = |state: State| {
            let advice = Advice::default();
            Health { state, since: Moment::ZERO, advice, failing: None }
        };
        let up = healthy(State::Up);
        let failure = Failure { what: "no answer".into(), evidence: Evidence::Silent };
        let failing = Some(Failing { since: Moment::ZERO, failure });
        let one = server(10);
        let known = |known: &[(&Arc<CheckConfig>, &Health)], server: &FlowServer| {
            let known = known.iter().map(|(check, health)| (Arc::clone(check), (*health).clone()));
            let config = FlowConfig { id: id(), servers: vec![server.clone()] };
            !answering(&[config], &known.collect()).is_empty()
        };
        assert!(known(&[(&one.checks[0], &up)], &one));
        let dying = Health { failing, ..up.clone() };
        assert!(!known(&[(&one.checks[0], &dying)], &one));
        assert!(!known(&[(&one.checks[0], &healthy(State::Down))], &one));
        let other = check("10.0.0.4:22", 1);
        assert!(!known(&[(&other, &up)], &one), "a check of something else there");
        let far = check("10.0.0.9:80", 1);
        let elsewhere = FlowServer { checks: vec![Arc::clone(&far)], ..one.clone() };
        assert!(!known(&[(&far, &up)], &elsewhere), "another host answers that");
        assert!(!known(&[], &FlowServer { checks: Vec::new(), ..one }));
    }
}
