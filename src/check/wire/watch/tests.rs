//! Links on which something is wrong, for how long, and what is said of it.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::*;
use crate::frame::claim::How;

const OWN: Mac = [2, 0, 0, 0, 0, 1];
const PEER: Mac = [2, 0, 0, 0, 0, 2];
const ONE: Mac = [2, 0, 0, 0, 0, 0x11];
const TWO: Mac = [2, 0, 0, 0, 0, 0x12];
const STRANGER: Mac = [2, 0, 0, 0, 0, 0x99];

fn address(last: u8) -> IpAddr {
    [10, 77, 0, last].into()
}

const VIP: u8 = 100;

fn config() -> WireConfig {
    let host = |name: &str, last| (name.to_owned(), address(last));
    WireConfig {
        vip: address(VIP),
        interface: "eth0".into(),
        servers: [host("one", 11), host("two", 12)].into(),
        directors: vec![host("self", 1), host("peer", 2)],
        direct: true,
    }
}

/// A link, and who answers for which address.
struct Scene {
    watcher: Watcher,
    answers: BTreeMap<IpAddr, Vec<Mac>>,
    holds: bool,
    /// Addresses of another subnet that this host holds.
    far: Option<&'static str>,
    now: Moment,
}

impl Scene {
    /// All is well and the peer holds the VIP.
    fn well() -> Self {
        let now = Moment::ZERO;
        let hosts = [(2, PEER), (11, ONE), (12, TWO), (VIP, PEER)];
        let answers = hosts.map(|(last, mac)| (address(last), vec![mac])).into();
        Scene { watcher: Watcher::new(vec![config()], now), answers, holds: false, far: None, now }
    }

    fn ports(&self) -> Ports {
        let mut addresses: Vec<_> = vec!["10.77.0.1/24".parse().expect("a subnet")];
        if self.holds {
            addresses.push("10.77.0.100/24".parse().expect("a subnet"));
        }
        addresses.extend(self.far.iter().map(|far| -> IpNet { far.parse().expect("a subnet") }));
        Ports::from([("eth0".to_owned(), Port { index: 3, mac: Some(OWN), addresses })])
    }

    /// Lives through one round; what is said.
    fn round(&mut self) -> Vec<Finding> {
        let mut told = Vec::new();
        loop {
            self.now = self.watcher.poll_timeout().expect("it goes on").max(self.now);
            self.watcher.handle_timeout(self.now);
            while let Some(output) = self.watcher.poll_output() {
                match output {
                    Output::Look => self.watcher.handle_ports(self.ports(), self.now),
                    Output::Frame(index, frame) => self.answer(index, &frame),
                    Output::Tell(finding) => told.push(finding),
                }
            }
            if matches!(self.watcher.phase, Phase::Resting(_)) {
                return told;
            }
        }
    }

    fn answer(&mut self, index: u32, frame: &[u8]) {
        assert_eq!((index, &frame[..6], &frame[6..12]), (3, &[0xff; 6][..], &OWN[..]));
        let wanted = <[u8; 4]>::try_from(&frame[38..42]).expect("four").into();
        for mac in self.answers.get(&wanted).into_iter().flatten() {
            let claim = Claim { address: wanted, mac: *mac, how: How::Answering };
            self.watcher.handle_claim(3, &claim);
        }
    }

    fn rounds(&mut self, count: usize) -> Vec<Finding> {
        (0..count).flat_map(|_| self.round()).collect()
    }
}

fn leak(mac: Mac, host: Option<&str>) -> Fault {
    let (vip, interface) = (address(VIP), "eth0".to_owned());
    Fault::Leak { vip, interface, mac, host: host.map(str::to_owned) }
}

#[test]
fn a_link_as_it_should_be_is_asked_every_ten_seconds_and_nothing_is_said() {
    let mut scene = Scene::well();
    assert_eq!(scene.rounds(20), []);
    let spent = scene.now.since_start();
    assert!((Duration::from_secs(200)..Duration::from_secs(230)).contains(&spent), "{spent:?}");
}

#[test]
fn a_leak_is_told_when_seen_twice_and_over_when_missed_three_times() {
    let mut scene = Scene::well();
    assert_eq!(scene.rounds(3), []);
    scene.answers.insert(address(VIP), vec![PEER, ONE]);
    assert_eq!(scene.rounds(1), []);
    let fault = leak(ONE, Some("one"));
    assert_eq!(scene.rounds(1), [Finding::Found(fault.clone())]);
    assert_eq!(scene.rounds(5), []);
    // A frame is lost.
    scene.answers.insert(address(VIP), vec![PEER]);
    assert_eq!(scene.rounds(2), []);
    scene.answers.insert(address(VIP), vec![PEER, ONE]);
    assert_eq!(scene.rounds(5), []);
    scene.answers.insert(address(VIP), vec![PEER]);
    assert_eq!(scene.rounds(3), [Finding::Over(fault)]);
    assert_eq!(scene.rounds(5), []);
}

#[test]
fn what_is_seen_once_is_not_told() {
    let mut scene = Scene::well();
    for _ in 0..5 {
        // A takeover: both answer for a moment.
        scene.answers.insert(address(VIP), vec![PEER]);
        scene.holds = true;
        assert_eq!(scene.rounds(1), []);
        scene.answers.remove(&address(VIP));
        assert_eq!(scene.rounds(3), []);
        scene.holds = false;
        scene.answers.insert(address(VIP), vec![PEER]);
        assert_eq!(scene.rounds(3), []);
    }
}

#[test]
fn two_directors_are_told_of_and_a_link_that_is_down_ends_nothing() {
    let mut scene = Scene::well();
    scene.holds = true;
    let holders = vec!["director peer".to_owned(), "this director".to_owned()];
    let (vip, interface) = (address(VIP), "eth0".to_owned());
    let fault = Fault::Duplicate { vip, interface, holders };
    assert_eq!(scene.rounds(6), [Finding::Found(fault.clone())]);
    let answers = std::mem::take(&mut scene.answers);
    assert_eq!(scene.rounds(5), []);
    scene.answers = answers;
    scene.holds = false;
    assert_eq!(scene.rounds(4), [Finding::Over(fault)]);
}

#[test]
fn the_kernel_of_a_dead_director_that_answers_until_the_lease_ends_is_no_second_one() {
    let mut scene = Scene::well();
    assert_eq!(scene.rounds(2), []);
    scene.holds = true;
    let taken_over = scene.now;
    while scene.now.since(taken_over) < Duration::from_secs(8) {
        assert_eq!(scene.round(), []);
    }
    scene.answers.remove(&address(VIP));
    assert_eq!(scene.rounds(5), []);
}

#[test]
fn a_stranger_counts_only_beside_a_holder() {
    let mut scene = Scene::well();
    scene.answers.insert(address(VIP), vec![PEER, STRANGER]);
    assert_eq!(scene.rounds(4), [Finding::Found(leak(STRANGER, None))]);
    // The peer's Ethernet address is not known: it may be this one. Or a director of another make.
    let mut scene = Scene::well();
    scene.answers.remove(&address(2));
    scene.answers.insert(address(VIP), vec![STRANGER]);
    assert_eq!(scene.rounds(4), []);
    scene.holds = true;
    assert_eq!(scene.rounds(4), [Finding::Found(leak(STRANGER, None))]);
}

#[test]
fn for_a_vip_of_another_subnet_a_router_may_answer() {
    let far: IpAddr = [192, 0, 2, 100].into();
    let mut scene = Scene::well();
    scene.watcher.configure(vec![WireConfig { vip: far, ..config() }], scene.now);
    scene.answers.insert(far, vec![PEER, STRANGER]);
    assert_eq!(scene.rounds(6), []);
    // Who holds it has it in its subnet: that is no subnet of the link.
    scene.answers.insert(far, vec![STRANGER]);
    for held in ["192.0.2.100/24", "192.0.2.100/32"] {
        scene.far = Some(held);
        assert_eq!(scene.rounds(6), []);
    }
    scene.far = None;
    // A real server's answer is a leak all the same.
    scene.answers.insert(far, vec![PEER, ONE]);
    let (interface, host) = ("eth0".to_owned(), Some("one".to_owned()));
    let fault = Fault::Leak { vip: far, interface, mac: ONE, host };
    assert_eq!(scene.rounds(4), [Finding::Found(fault)]);
}

#[test]
fn directors_that_are_real_servers_too_are_no_fault() {
    let mut scene = Scene::well();
    let mut both = config();
    both.servers = both.directors.clone().into();
    scene.watcher.configure(vec![both], scene.now);
    scene.watcher.handle_up(BTreeSet::from([address(1), address(2)]));
    assert_eq!(scene.rounds(6), []);
    scene.holds = true;
    scene.answers.remove(&address(VIP));
    assert_eq!(scene.rounds(6), []);
}

#[test]
fn a_host_that_answers_from_two_ethernet_addresses_is_one_host() {
    const SECOND: Mac = [2, 0, 0, 0, 1, 2];
    let mut scene = Scene::well();
    scene.answers.insert(address(2), vec![PEER, SECOND]);
    scene.answers.insert(address(VIP), vec![SECOND]);
    assert_eq!(scene.rounds(6), []);
    scene.answers.insert(address(VIP), vec![PEER, SECOND]);
    assert_eq!(scene.rounds(6), [], "a director does not hold it twice");
}

#[test]
fn a_virtual_router_s_address_is_a_holder_s() {
    let mut scene = Scene::well();
    scene.answers.insert(address(VIP), vec![[0, 0, 0x5e, 0, 1, 51]]);
    assert_eq!(scene.rounds(4), []);
}

#[test]
fn a_server_that_answers_checks_but_not_the_link_is_elsewhere_until_it_answers() {
    let mut scene = Scene::well();
    scene.answers.remove(&address(12));
    assert_eq!(scene.rounds(5), []);
    scene.watcher.handle_up(BTreeSet::from([address(11), address(12)]));
    let (server, host, interface) = (address(12), "two".to_owned(), "eth0".to_owned());
    let fault = Fault::Elsewhere { server, host, interface, outside: false };
    assert_eq!(scene.rounds(4), [Finding::Found(fault.clone())]);
    scene.watcher.handle_up(BTreeSet::new());
    assert_eq!(scene.rounds(5), [], "a dead one is not there either");
    scene.answers.insert(address(12), vec![TWO]);
    assert_eq!(scene.rounds(2), [Finding::Over(fault)]);
}

#[test]
fn in_a_tunnel_nobody_has_to_be_on_the_link() {
    let mut scene = Scene::well();
    let far: IpAddr = [192, 0, 2, 1].into();
    let servers = [("far".to_owned(), far)].into();
    let mut config = WireConfig { servers, ..config() };
    scene.watcher.configure(vec![config.clone()], scene.now);
    assert_eq!(scene.rounds(4), [], "a dead one may be anywhere");
    scene.watcher.handle_up(BTreeSet::from([far]));
    let found = scene.rounds(4);
    assert!(matches!(&found[..], [Finding::Found(Fault::Elsewhere { outside: true, .. })]));
    assert_eq!(scene.rounds(4), []);
    config.direct = false;
    scene.watcher.configure(vec![config], scene.now);
    assert_eq!(scene.rounds(4), []);
}

#[test]
fn replies_that_come_by_are_told_once_and_over_after_ten_quiet_minutes() {
    let mut scene = Scene::well();
    let client: IpAddr = [192, 0, 2, 7].into();
    let vip = address(VIP);
    assert!(!scene.watcher.handle_return(3, ONE, vip, client, scene.now), "who is that?");
    assert_eq!(scene.rounds(1), []);
    let now = scene.now;
    assert!(!scene.watcher.handle_return(3, ONE, vip, address(1), now), "an answer to us");
    assert!(!scene.watcher.handle_return(3, ONE, address(50), client, now), "no VIP");
    assert!(!scene.watcher.handle_return(3, STRANGER, vip, client, now), "no server");
    assert!(!scene.watcher.handle_return(4, ONE, vip, client, now), "another link");
    assert!(scene.watcher.handle_return(3, ONE, vip, client, now));
    assert!(scene.watcher.handle_return(3, ONE, vip, client, now));
    assert_eq!(scene.rounds(70), [], "one that just came by on its old way");
    assert!(scene.watcher.handle_return(3, ONE, vip, client, scene.now));
    assert_eq!(scene.rounds(1), [], "the next look is soon");
    assert!(scene.now.since(now) < Duration::from_secs(900));
    assert!(scene.watcher.handle_return(3, ONE, vip, client, scene.now));
    let (host, interface) = ("one".to_owned(), "eth0".to_owned());
    let fault = Fault::Returns { vip, interface, mac: ONE, host };
    assert_eq!(scene.rounds(30), [Finding::Found(fault.clone())]);
    assert!(scene.watcher.handle_return(3, ONE, vip, client, scene.now));
    assert_eq!(scene.rounds(50), []);
    assert_eq!(scene.rounds(10), [Finding::Over(fault)]);
}

#[test]
fn a_reload_keeps_the_faults_of_what_stays() {
    let mut scene = Scene::well();
    scene.answers.insert(address(VIP), vec![PEER, ONE]);
    assert_eq!(scene.rounds(3), [Finding::Found(leak(ONE, Some("one")))]);
    let mut other = config();
    other.servers = other.servers[..1].into();
    scene.watcher.configure(vec![other], scene.now);
    assert_eq!(scene.rounds(3), []);
    scene.watcher.configure(Vec::new(), scene.now);
    assert_eq!(scene.watcher.poll_timeout(), None);
    scene.watcher.configure(vec![config()], scene.now);
    assert_eq!(scene.rounds(3), [Finding::Found(leak(ONE, Some("one")))]);
}

#[test]
fn many_questions_are_asked_in_bursts() {
    let mut scene = Scene::well();
    let servers = (0..200u8).map(|n| (n.to_string(), [10, 77, 1, n].into())).collect();
    scene.watcher.configure(vec![WireConfig { servers, ..config() }], scene.now);
    scene.watcher.handle_timeout(scene.now);
    assert_eq!(scene.watcher.poll_output(), Some(Output::Look));
    scene.watcher.handle_ports(scene.ports(), scene.now);
    let mut burst = 0;
    while scene.watcher.poll_output().is_some() {
        burst += 1;
    }
    assert!((1..=BURST).contains(&burst), "{burst}");
    assert_eq!(scene.watcher.poll_timeout(), Some(scene.now + BURST_EVERY));
}
