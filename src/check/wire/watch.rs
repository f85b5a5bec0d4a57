//! Watching a link: who answers for a VIP, who is not there, whose replies come by. Pure; told the
//! time.
//!
//! Each round asks the link for all VIPs, servers and directors, gives them a second to answer, and
//! judges all answers together. What one round suspects the next ones, which then come soon, have
//! to see again, and a fault is over when it was not seen for as long. Ethernet addresses tell who
//! is who. What answers from an unknown one is a stranger only beside one that may have the VIP:
//! alone it may be the holder, a director that is in no file of ours. For a VIP outside of the
//! link's subnets routers answer that do proxy ARP, so that nobody is a stranger there.

mod episodes;

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::config::WireConfig;
use super::finding::{Fault, Finding};
use super::ports::{Port, Ports};
use crate::clock::Moment;
use crate::frame::claim::Claim;
use crate::frame::{arp, ndisc};
use episodes::Episodes;

/// Between two rounds. A leak is there for longer, and a round costs some frames.
const REST: Duration = Duration::from_secs(10);

/// The same while something is suspected.
const SHORT_REST: Duration = Duration::from_secs(1);

/// How long a link has for its answers.
const LISTEN: Duration = Duration::from_secs(1);

/// Questions are asked in small bursts, so that a thousand do not fill a queue.
const BURST: usize = 32;
const BURST_EVERY: Duration = Duration::from_millis(20);

/// The first five bytes of VRRP's virtual Ethernet addresses (RFC 9568 7.3), for IPv4 and IPv6.
const VIRTUAL: [[u8; 5]; 2] = [[0, 0, 0x5e, 0, 1], [0, 0, 0x5e, 0, 2]];

type Mac = [u8; 6];
/// Which addresses were answered for by whom, by the number of the interface; in one set, for there
/// may be ten thousand.
type Answers = BTreeSet<(u32, IpAddr, Mac)>;

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::check) enum Output {
    /// Read the host's interfaces and hand them in; a round begins with it.
    Look,
    /// Send this frame by the interface of that number.
    Frame(u32, Vec<u8>),
    /// Tell this.
    Tell(Finding),
}

/// The watch over all links.
#[derive(Debug)]
pub(in crate::check) struct Watcher {
    configs: Vec<WireConfig>,
    ports: Ports,
    /// Servers whose checks by their own addresses are good.
    up: BTreeSet<IpAddr>,
    phase: Phase,
    /// The numbers of interfaces, and what is asked there.
    questions: VecDeque<(u32, IpAddr)>,
    /// Who answered in this round.
    answers: Answers,
    /// Where servers and directors were when they last answered.
    known: Answers,
    episodes: Episodes,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Resting(Moment),
    /// The interfaces are being read.
    Looking,
    Asking(Moment),
    Listening(Moment),
}

impl Watcher {
    /// Begins its first round at once.
    pub(in crate::check) fn new(configs: Vec<WireConfig>, now: Moment) -> Self {
        Watcher {
            configs,
            ports: Ports::new(),
            up: BTreeSet::new(),
            phase: Phase::Resting(now),
            questions: VecDeque::new(),
            answers: Answers::new(),
            known: Answers::new(),
            episodes: Episodes::default(),
            outputs: VecDeque::new(),
        }
    }

    /// What is to be watched from now on. Faults of what stays are not told again.
    pub(in crate::check) fn configure(&mut self, configs: Vec<WireConfig>, now: Moment) {
        if self.configs != configs {
            self.configs = configs;
            self.phase = Phase::Resting(now);
            self.episodes.retain(|fault| self.configs.iter().any(|config| is_of(config, fault)));
        }
    }

    /// Which servers' own addresses answer checks.
    pub(in crate::check) fn handle_up(&mut self, up: BTreeSet<IpAddr>) {
        self.up = up;
    }

    /// The host's interfaces, as asked for.
    pub(in crate::check) fn handle_ports(&mut self, ports: Ports, now: Moment) {
        self.ports = ports;
        if self.phase == Phase::Looking {
            self.answers.clear();
            self.questions = self.questions();
            self.phase = Phase::Asking(now);
            self.ask(now);
        }
    }

    /// Somebody on the interface of that number says that an address is theirs.
    pub(in crate::check) fn handle_claim(&mut self, index: u32, claim: &Claim) {
        let is_ours = self.ports.values().any(|port| port.mac == Some(claim.mac));
        let counts = matches!(self.phase, Phase::Asking(_) | Phase::Listening(_));
        if counts && !is_ours {
            // One that answers from more addresses than a bond has is a flood.
            if macs(&self.answers, index, claim.address).count() < 16 {
                self.answers.insert((index, claim.address, claim.mac));
            }
        }
    }

    /// A packet came from an address to this host, to be passed on to another. Whether it was the
    /// reply of a real server, so that no more of them need be heard for a while.
    pub(in crate::check) fn handle_return(
        &mut self,
        index: u32,
        mac: Mac,
        source: IpAddr,
        destination: IpAddr,
        now: Moment,
    ) -> bool {
        if self.ports.values().any(|port| port.has(destination)) {
            return false;
        }
        let here = |config: &&WireConfig| {
            let port = self.ports.get(&config.interface);
            config.direct && config.vip == source && port.is_some_and(|port| port.index == index)
        };
        let found = self.configs.iter().filter(here).find_map(|config| {
            let host = self.host_of(&config.servers, index, mac)?;
            let (vip, interface) = (config.vip, config.interface.clone());
            Some(Fault::Returns { vip, interface, mac, host })
        });
        let seen = found.is_some();
        let told = found.and_then(|fault| self.episodes.saw(fault, now));
        if let (None, Phase::Resting(until)) = (&told, self.phase)
            && self.episodes.await_proof(now)
        {
            // The next one is heard after the next look.
            self.phase = Phase::Resting(until.min(now + SHORT_REST));
        }
        self.outputs.extend(told.map(Output::Tell));
        seen
    }

    /// Time has passed.
    pub(in crate::check) fn handle_timeout(&mut self, now: Moment) {
        match self.phase {
            Phase::Resting(until) if until <= now => {
                self.phase = Phase::Looking;
                self.outputs.push_back(Output::Look);
            }
            Phase::Asking(next) if next <= now => self.ask(now),
            Phase::Listening(until) if until <= now => self.judge(now),
            Phase::Resting(_) | Phase::Looking | Phase::Asking(_) | Phase::Listening(_) => {}
        }
    }

    /// What has to be done, until there is nothing left.
    pub(in crate::check) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When time has to be told.
    pub(in crate::check) fn poll_timeout(&self) -> Option<Moment> {
        match self.phase {
            Phase::Resting(_) if self.configs.is_empty() => None,
            Phase::Resting(at) | Phase::Asking(at) | Phase::Listening(at) => Some(at),
            Phase::Looking => None,
        }
    }

    /// All addresses that are of interest on each link, once.
    fn questions(&self) -> VecDeque<(u32, IpAddr)> {
        let all = self.configs.iter().filter_map(|config| {
            let index = self.ports.get(&config.interface)?.index;
            let addresses = addresses(config).chain([config.vip]);
            Some(addresses.map(move |address| (index, address)))
        });
        VecDeque::from_iter(all.flatten().collect::<BTreeSet<_>>())
    }

    fn ask(&mut self, now: Moment) {
        for _ in 0..BURST {
            let Some((index, address)) = self.questions.pop_front() else { break };
            let port = self.ports.values().find(|port| port.index == index);
            let frame = port.and_then(|port| question(port, address));
            self.outputs.extend(frame.map(|frame| Output::Frame(index, frame)));
        }
        self.phase = match self.questions.is_empty() {
            true => Phase::Listening(now + LISTEN),
            false => Phase::Asking(now + BURST_EVERY),
        };
    }

    /// Ends a round.
    fn judge(&mut self, now: Moment) {
        self.learn();
        let configs = self.configs.iter();
        let seen: BTreeSet<Fault> = configs.flat_map(|config| self.faults(config)).collect();
        let mut episodes = std::mem::take(&mut self.episodes);
        let absent = |fault: &Fault| match fault {
            // A server that is dead does not answer either: it is there again when it does.
            Fault::Elsewhere { server, interface, .. } => self.answered(interface, *server),
            // A link on which nobody answers anything says nothing about anybody.
            Fault::Leak { interface, .. } | Fault::Duplicate { interface, .. } => {
                self.heard(interface)
            }
            Fault::Returns { .. } | Fault::OneWay { .. } => true,
        };
        let told = episodes.judge(&seen, absent, now);
        self.episodes = episodes;
        self.outputs.extend(told.into_iter().map(Output::Tell));
        let rest = if self.episodes.are_settled() { REST } else { SHORT_REST };
        self.phase = Phase::Resting(now + rest);
    }

    /// Remembers where servers and directors are.
    fn learn(&mut self) {
        let hosts: HashSet<IpAddr> = self.configs.iter().flat_map(addresses).collect();
        let answered = |index, address| macs(&self.answers, index, address).next().is_some();
        // Who answers otherwise now is no longer where it was.
        self.known
            .retain(|(index, address, _)| hosts.contains(address) && !answered(*index, *address));
        self.known.extend(self.answers.iter().filter(|(_, address, _)| hosts.contains(address)));
    }

    fn answered(&self, interface: &str, address: IpAddr) -> bool {
        let index = self.ports.get(interface).map(|port| port.index);
        index.is_some_and(|index| macs(&self.answers, index, address).next().is_some())
    }

    /// Whether anybody answered anything there.
    fn heard(&self, interface: &str) -> bool {
        let index = self.ports.get(interface).map(|port| port.index);
        self.answers.iter().any(|(heard, ..)| Some(*heard) == index)
    }

    /// What this round saw wrong about one VIP.
    fn faults(&self, config: &WireConfig) -> Vec<Fault> {
        let Some(port) = self.ports.get(&config.interface).filter(|port| port.mac.is_some()) else {
            return Vec::new();
        };
        let (vip, interface) = (config.vip, &config.interface);
        let claims = macs(&self.answers, port.index, vip);
        // Each once: a host with two interfaces there may answer from both.
        let mut holders = BTreeSet::new();
        let (mut leaks, mut strangers) = (Vec::new(), Vec::new());
        for mac in claims {
            let leak = |host| Fault::Leak { vip, interface: interface.clone(), mac: *mac, host };
            if let Some(director) = self.host_of(&config.directors, port.index, *mac) {
                holders.insert(format!("director {director}"));
            } else if VIRTUAL.iter().any(|prefix| mac.starts_with(prefix)) {
                holders.insert(format!("virtual router {}", mac[5]));
            } else if let Some(server) = self.host_of(&config.servers, port.index, *mac) {
                leaks.push(leak(Some(server)));
            } else {
                strangers.push(leak(None));
            }
        }
        if port.has(vip) {
            holders.insert("this director".to_owned());
        }
        if !holders.is_empty() && port.spans_by_others(vip) {
            leaks.extend(strangers);
        }
        if holders.len() > 1 {
            let holders = holders.into_iter().collect();
            leaks.push(Fault::Duplicate { vip, interface: interface.clone(), holders });
        }
        leaks.extend(self.elsewhere(config, port));
        leaks
    }

    /// The servers that direct routing cannot reach.
    fn elsewhere(&self, config: &WireConfig, port: &Port) -> Vec<Fault> {
        let is_missing = |address: IpAddr| {
            macs(&self.answers, port.index, address).next().is_none()
                && !self.ports.values().any(|port| port.has(address))
        };
        let fault = |(host, server): &(String, IpAddr)| {
            let outside = !port.spans(*server);
            let can_be_asked = port.own(*server, config.vip).is_some();
            // A dead one does not answer either, wherever it is.
            let is_wrong = can_be_asked && self.up.contains(server) && is_missing(*server);
            is_wrong.then(|| Fault::Elsewhere {
                server: *server,
                host: host.clone(),
                interface: config.interface.clone(),
                outside,
            })
        };
        let servers = if config.direct { &config.servers[..] } else { &[] };
        servers.iter().filter_map(fault).collect()
    }

    /// Which of these hosts has that Ethernet address.
    fn host_of(&self, hosts: &[(String, IpAddr)], index: u32, mac: Mac) -> Option<String> {
        let has = |address: IpAddr| self.known.contains(&(index, address, mac));
        hosts.iter().find(|(_, address)| has(*address)).map(|(host, _)| host.clone())
    }
}

/// Who answered for this address.
fn macs(answers: &Answers, index: u32, address: IpAddr) -> impl Iterator<Item = &Mac> {
    let all = (index, address, Mac::default())..=(index, address, [u8::MAX; 6]);
    answers.range(all).map(|(.., mac)| mac)
}

/// Of the servers and directors.
fn addresses(config: &WireConfig) -> impl Iterator<Item = IpAddr> {
    config.servers.iter().chain(&config.directors).map(|(_, address)| *address)
}

/// Whether a fault can be one of what this watches.
pub fn is_of(config: &WireConfig, fault: &Fault) -> bool {
    match fault {
        Fault::Leak { vip, interface, .. } | Fault::Duplicate { vip, interface, .. } => {
            (*vip, interface) == (config.vip, &config.interface)
        }
        Fault::Returns { vip, interface, .. } => {
            config.direct && (*vip, interface) == (config.vip, &config.interface)
        }
        // That is counted, not seen.
        Fault::OneWay { .. } => false,
        Fault::Elsewhere { server, host, interface, .. } => {
            let mut servers = config.servers.iter();
            config.direct
                && *interface == config.interface
                && servers.any(|(name, address)| (name, address) == (host, server))
        }
    }
}

/// The frame that asks the whole link for an address.
fn question(port: &Port, wanted: IpAddr) -> Option<Vec<u8>> {
    match (port.own(wanted, wanted)?, wanted) {
        (IpAddr::V4(own), IpAddr::V4(wanted)) => {
            Some(arp::request(port.mac?, own, wanted, None).to_vec())
        }
        (IpAddr::V6(own), IpAddr::V6(wanted)) => {
            Some(ndisc::solicitation(port.mac?, own, wanted, None))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

#[cfg(test)]
mod tests;
