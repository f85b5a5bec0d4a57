//! What the routers of a host do together.

use std::num::NonZeroU8;
use std::time::Duration;

use super::*;
use crate::vrrp::config::{
    Announcing, Checksum, Interval, Peer, Preempt, Priority, Transport, Version,
};
use crate::vrrp::packet::{Advert, Auth};
use crate::vrrp::router::{State, Why};

const OWN: &str = "192.0.2.20";
const PEER: &str = "192.0.2.30";
const SECOND: Duration = Duration::from_secs(1);
/// Longer than the dead time, and than VIPs are kept.
const LONG: Duration = Duration::from_secs(4);

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn number(value: u8) -> Priority {
    NonZeroU8::new(value).expect("not 0")
}

/// The router `name` with this identifier, whose only VIP ends in it.
fn config(name: &str, vrid: u8, group: Option<&str>) -> RouterConfig {
    let address = format!("192.0.2.{vrid}/24").parse().expect("a prefix");
    let interface = "eth0".to_owned();
    RouterConfig {
        name: name.to_owned(),
        vrid: number(vrid),
        family: Family::Ipv4,
        version: Version::V3,
        interface: interface.clone(),
        source: ip(OWN),
        transport: Transport::Unicast,
        peers: vec![Peer { name: "b".to_owned(), address: ip(PEER), priority: number(150) }],
        priority: number(100),
        interval: Interval::DEFAULT,
        preempt: Preempt::Now,
        start_delay: Duration::ZERO,
        checksum: Checksum::PseudoHeader,
        password: None,
        sync_group: group.map(str::to_owned),
        vips: vec![Vip { address, interface, label: None }],
        announcing: Announcing { repeat: 1, delay: Duration::ZERO, refresh: Duration::ZERO },
    }
}

struct Bench {
    speaker: Speaker,
    now: Moment,
}

impl Bench {
    fn new(configs: Vec<RouterConfig>) -> Self {
        let now = Moment::after_start(SECOND);
        let mut bench = Bench { speaker: Speaker::new(configs, &BTreeMap::new(), now), now };
        bench.run(Duration::ZERO);
        bench
    }

    /// The members of a group, all Active.
    fn active(names: &[&str]) -> Self {
        let configs = names.iter().zip(101..).map(|(name, vrid)| config(name, vrid, Some("g")));
        let mut bench = Bench::new(configs.collect());
        bench.run(LONG);
        assert_eq!(bench.states(), vec![State::Active; names.len()]);
        bench
    }

    fn drain(&mut self) -> Vec<(RouterKey, Output)> {
        std::iter::from_fn(|| self.speaker.poll_output()).collect()
    }

    /// After an input, what is due is done once the sockets are read empty.
    fn settle(&mut self) -> Vec<(RouterKey, Output)> {
        if self.speaker.poll_timeout().is_some_and(|due| due <= self.now) {
            self.speaker.handle_timeout(self.now);
        }
        self.drain()
    }

    fn run(&mut self, span: Duration) -> Vec<(RouterKey, Output)> {
        let end = self.now + span;
        let mut seen = Vec::new();
        while let Some(due) = self.speaker.poll_timeout().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.speaker.handle_timeout(self.now);
            seen.extend(self.drain());
        }
        self.now = end;
        seen
    }

    fn hear_on(&mut self, interface: &str, vrid: u8, priority: u8) -> Result<(), Discard> {
        let (version, interval) = (Version::V3, Interval::DEFAULT);
        let addresses = vec![ip(&format!("192.0.2.{vrid}"))];
        let advert = Advert { version, vrid, priority, interval, addresses, auth: Auth::None };
        let received = Received { advert, checksum: Checksum::PseudoHeader, notes: Vec::new() };
        let envelope = Envelope { source: ip(PEER), destination: ip(OWN), ttl: Some(255) };
        self.speaker.handle_packet(interface, &received, &envelope, self.now)
    }

    fn hear(&mut self, vrid: u8, priority: u8) -> Vec<(RouterKey, Output)> {
        assert_eq!(self.hear_on("eth0", vrid, priority), Ok(()));
        self.settle()
    }

    fn fault(&mut self, name: &str, faults: &[&str]) -> Vec<(RouterKey, Output)> {
        let faults = faults.iter().map(|&fault| fault.to_owned()).collect();
        let condition = Condition { faults, ..Condition::default() };
        self.speaker.handle_condition(name, condition, self.now);
        self.settle()
    }

    fn configure(&mut self, configs: Vec<RouterConfig>) -> Vec<(RouterKey, Output)> {
        self.speaker.handle_config(configs, self.now);
        self.settle()
    }

    fn states(&self) -> Vec<State> {
        self.speaker.routers().map(|(_, router)| router.state()).collect()
    }

    /// The last numbers of the VIPs that are wanted.
    fn vips(&self) -> Vec<u8> {
        let last = |vip: Vip| match vip.address.addr() {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[15],
        };
        self.speaker.vips().into_iter().map(last).collect()
    }
}

/// The names and priorities of what was sent.
fn sent(outputs: &[(RouterKey, Output)]) -> Vec<(&str, u8)> {
    let adverts = outputs.iter().filter_map(|(key, output)| match output {
        Output::Send(advert) => Some((key.as_str(), advert.priority)),
        Output::Announce | Output::Changed { .. } | Output::Noticed(_) | Output::Done => None,
    });
    adverts.collect()
}

#[test]
fn a_packet_goes_to_the_router_of_its_interface_and_identifier() {
    let mut bench = Bench::new(vec![config("a", 101, None), config("b", 102, None)]);
    bench.run(SECOND);
    bench.hear(102, 150);
    let active = |name: &str| bench.speaker.router(name).and_then(Router::active);
    assert_eq!((active("a"), active("b")), (None, Some(ip(PEER))));
    let unknown = |vrid| Err(Discard::UnknownRouter { vrid, family: Family::Ipv4 });
    assert_eq!(bench.hear_on("eth1", 102, 150), unknown(102));
    assert_eq!(bench.hear_on("eth0", 103, 150), unknown(103));
}

#[test]
fn routers_without_a_group_go_their_own_ways() {
    let mut bench = Bench::new(vec![config("a", 101, None), config("b", 102, None)]);
    bench.hear(101, 150);
    bench.run(Duration::from_millis(3609));
    bench.hear(101, 150);
    bench.run(Duration::from_millis(1));
    assert_eq!(bench.states(), [State::Backup, State::Active]);
    assert_eq!(bench.vips(), [102]);
    bench.fault("b", &["x"]);
    assert_eq!(bench.states(), [State::Backup, State::Fault]);
}

#[test]
fn one_of_a_group_becomes_active_and_all_follow_in_the_same_call() {
    let group = |name, vrid| config(name, vrid, Some("g"));
    let mut bench = Bench::new(vec![group("a", 101), group("b", 102), config("c", 103, None)]);
    bench.run(SECOND);
    // Of lower priority, so that it is no reason to wait.
    bench.hear(101, 50);
    bench.hear(103, 150);
    let mut slow = group("a", 101);
    slow.interval = Interval::new(Version::V3, SECOND * 10).expect("an interval");
    let left = bench.speaker.poll_timeout().expect("a timer runs").since(bench.now);
    bench.configure(vec![slow, group("b", 102), config("c", 103, None)]);
    let outputs = bench.run(left);
    assert_eq!(sent(&outputs), [("b", 100), ("a", 100)]);
    assert_eq!(bench.states(), [State::Active, State::Active, State::Backup]);
    let why = Why::Group { member: "b".to_owned() };
    let follows = Output::Changed { from: State::Backup, to: State::Active, why };
    assert!(outputs.contains(&("a".to_owned(), follows)));
}

#[test]
fn a_group_waits_for_the_member_that_hears_a_better_one() {
    let mut bench = Bench::new(vec![config("a", 101, Some("g")), config("b", 102, Some("g"))]);
    // The path of b is cut, and nobody resigns there or says anything.
    for _ in 0..10 {
        bench.hear(101, 150);
        assert_eq!(bench.run(SECOND), []);
    }
    assert_eq!(bench.hear(102, 0), [], "nor does a resignation move half a group");
    let outputs = bench.hear(101, 0);
    assert_eq!(bench.states(), [State::Active, State::Active]);
    assert_eq!(sent(&outputs), [("a", 100), ("b", 100)]);
}

#[test]
fn a_group_takes_over_when_the_last_member_hears_nobody_any_more() {
    let mut bench = Bench::new(vec![config("a", 101, Some("g")), config("b", 102, Some("g"))]);
    bench.hear(101, 150);
    bench.run(Duration::from_millis(400));
    bench.hear(102, 150);
    bench.run(Duration::from_millis(3609));
    assert_eq!(bench.states(), [State::Backup, State::Backup]);
    bench.run(Duration::from_millis(1));
    assert_eq!(bench.states(), [State::Active, State::Active]);
}

#[test]
fn one_of_a_group_yields_and_the_others_resign_and_keep_their_vips_for_the_winner() {
    let mut bench = Bench::active(&["a", "b", "c"]);
    let outputs = bench.hear(102, 150);
    assert_eq!(sent(&outputs), [("b", 100), ("a", 0), ("c", 0)]);
    assert_eq!(bench.states(), [State::Backup; 3]);
    assert_eq!(bench.vips(), [101, 103]);
    bench.hear(101, 150);
    assert_eq!(bench.vips(), [103], "and nobody resigns a second time");
    bench.hear(103, 150);
    assert!(bench.vips().is_empty());
}

#[test]
fn one_fault_is_the_fault_of_the_whole_group() {
    let mut bench = Bench::active(&["a", "b"]);
    let outputs = bench.fault("a", &["no carrier"]);
    assert_eq!(sent(&outputs), [("a", 0), ("b", 0)]);
    assert_eq!(bench.states(), [State::Fault, State::Fault]);
    let why = Why::Faults(["a: no carrier".to_owned()].into());
    let follows = Output::Changed { from: State::Active, to: State::Fault, why };
    assert!(outputs.contains(&("b".to_owned(), follows)));
    bench.fault("b", &["y"]);
    bench.fault("a", &[]);
    assert_eq!(bench.states(), [State::Fault, State::Fault], "one is left");
    bench.fault("b", &[]);
    assert!(!bench.states().contains(&State::Fault));
}

#[test]
fn a_group_that_recovers_goes_together() {
    let owners = ["a", "b"].iter().zip(101..).map(|(name, vrid)| {
        let mut owner = config(name, vrid, Some("g"));
        owner.priority = crate::vrrp::config::OWNER;
        owner
    });
    let mut bench = Bench::new(owners.collect());
    bench.fault("b", &["x"]);
    let outputs = bench.fault("b", &[]);
    assert_eq!(sent(&outputs), [("a", 255), ("b", 255)]);
    assert_eq!(bench.states(), [State::Active, State::Active]);
}

#[test]
fn the_lowest_weight_counts_for_the_whole_group() {
    let mut bench = Bench::active(&["a", "b"]);
    let condition = Condition { adjust: -60, ..Condition::default() };
    bench.speaker.handle_condition("a", condition, bench.now);
    assert_eq!(sent(&bench.drain()), [("a", 40), ("b", 40)]);
}

#[test]
fn a_stalled_member_that_only_listens_takes_nobody_along() {
    let mut slow = config("a", 101, Some("g"));
    slow.interval = Interval::new(Version::V3, SECOND * 40).expect("an interval");
    let mut bench = Bench::new(vec![slow, config("b", 102, Some("g"))]);
    bench.run(LONG);
    assert_eq!(bench.states(), [State::Active, State::Active]);
    bench.now = bench.now + SECOND * 10;
    bench.speaker.handle_timeout(bench.now);
    bench.drain();
    assert_eq!(bench.states(), [State::Active, State::Backup]);
    assert_eq!(bench.vips(), [101, 102]);
    let outputs = bench.hear(102, 150);
    assert_eq!(sent(&outputs), [("a", 0)], "now it has yielded");
}

#[test]
fn who_ceases_to_be_active_before_it_was_drained_announces_nothing() {
    let mut bench = Bench::new(vec![config("a", 101, None), config("b", 102, None)]);
    for (vrid, priority) in [(101, 150), (102, 150), (101, 0), (102, 0)] {
        assert_eq!(bench.hear_on("eth0", vrid, priority), Ok(()));
    }
    bench.speaker.handle_timeout(bench.now);
    assert_eq!(bench.states(), [State::Active, State::Active]);
    assert_eq!(bench.hear_on("eth0", 101, 160), Ok(()));
    let outputs = bench.drain();
    let announce = |key: &str| outputs.contains(&(key.to_owned(), Output::Announce));
    assert_eq!((announce("a"), announce("b")), (false, true));
    assert_eq!(sent(&outputs), [("b", 100), ("a", 100)], "a's last one");
}

#[test]
fn news_of_a_director_are_found_by_its_name() {
    let mut bench = Bench::new(vec![config("a", 101, None), config("b", 102, None)]);
    bench.speaker.handle_peer("b", "a", PeerNews::Resigned, bench.now);
    bench.speaker.handle_peer("nobody", "b", PeerNews::Resigned, bench.now);
    bench.speaker.handle_peer("b", "nothing", PeerNews::Resigned, bench.now);
    bench.settle();
    assert_eq!(bench.states(), [State::Active, State::Backup]);
}

#[test]
fn a_claim_or_a_loss_concerns_the_router_that_has_the_vip() {
    let mut bench = Bench::active(&["a", "b"]);
    bench.run(SECOND * 2);
    bench.speaker.handle_claim(ip("192.0.2.101"), bench.now);
    assert!(bench.drain().iter().all(|(key, _)| key == "a"));
    bench.speaker.handle_lost_vip(ip("192.0.2.102"), bench.now);
    assert!(bench.drain().iter().all(|(key, _)| key == "b"));
    bench.speaker.handle_claim(ip("192.0.2.1"), bench.now);
    assert_eq!(bench.drain(), []);
}

#[test]
fn an_unchanged_configuration_moves_nothing() {
    let configs = || vec![config("a", 101, Some("g")), config("b", 102, Some("g"))];
    let mut bench = Bench::new(configs());
    for span in [SECOND, LONG] {
        bench.run(span);
        let before = (bench.states(), bench.speaker.poll_timeout());
        assert_eq!(bench.configure(configs()), []);
        assert_eq!((bench.states(), bench.speaker.poll_timeout()), before);
    }
}

#[test]
fn an_added_router_starts_and_a_removed_one_is_released() {
    let mut bench = Bench::new(vec![config("a", 101, None)]);
    bench.run(LONG);
    let outputs = bench.configure(vec![config("b", 102, None)]);
    assert_eq!(sent(&outputs), [("a", 0)]);
    assert_eq!(bench.vips(), [101], "kept until the peer has it");
    bench.hear(101, 150);
    assert_eq!(bench.speaker.routers().map(|(key, _)| key).collect::<Vec<_>>(), ["b"]);
    bench.run(LONG);
    assert_eq!(bench.vips(), [102]);
}

#[test]
fn a_router_with_another_identifier_takes_the_place_of_the_old_one() {
    let mut bench = Bench::new(vec![config("a", 101, None)]);
    bench.run(LONG);
    bench.fault("a", &[]);
    let outputs = bench.configure(vec![config("a", 102, None)]);
    assert_eq!(sent(&outputs), [("a (replaced)", 0)]);
    let keys: Vec<&str> = bench.speaker.routers().map(|(key, _)| key).collect();
    assert_eq!(keys, ["a", "a (replaced)"]);
    let outputs = bench.run(LONG);
    assert!(outputs.contains(&("a (replaced)".to_owned(), Output::Done)));
    assert_eq!(bench.states(), [State::Active]);
    assert_eq!(bench.vips(), [102]);
}

#[test]
fn what_tracking_found_holds_for_the_router_that_takes_the_place_of_another() {
    let mut bench = Bench::new(vec![config("a", 101, None)]);
    bench.fault("a", &["no carrier"]);
    bench.configure(vec![config("a", 102, None)]);
    bench.run(LONG);
    assert_eq!(bench.states(), [State::Fault]);
}

#[test]
fn a_router_that_joins_a_group_shares_its_faults() {
    let mut bench = Bench::new(vec![config("a", 101, Some("g")), config("b", 102, None)]);
    bench.fault("a", &["no carrier"]);
    assert_eq!(bench.states(), [State::Fault, State::Backup]);
    bench.configure(vec![config("a", 101, Some("g")), config("b", 102, Some("g"))]);
    assert_eq!(bench.states(), [State::Fault, State::Fault]);
    bench.configure(vec![config("a", 101, Some("g")), config("b", 102, None)]);
    assert_eq!(bench.states(), [State::Fault, State::Backup]);
}

#[test]
fn a_release_is_over_when_every_router_is_done() {
    let mut bench = Bench::active(&["a", "b"]);
    bench.speaker.handle_release(bench.now);
    assert_eq!(sent(&bench.drain()), [("a", 0), ("b", 0)]);
    bench.hear(101, 150);
    assert!(!bench.speaker.is_done());
    assert_eq!(bench.hear(102, 150), [("b".to_owned(), Output::Done)]);
    assert!(bench.speaker.is_done());
    assert!(bench.vips().is_empty());
    bench.configure(vec![config("a", 101, None)]);
    assert!(bench.speaker.is_done(), "nothing starts any more");
}

#[test]
fn who_resumes_has_the_vips_all_the_time() {
    let starts = BTreeMap::from([("a".to_owned(), Start::Resume)]);
    let configs = vec![config("a", 101, None), config("b", 102, None)];
    let speaker = Speaker::new(configs, &starts, Moment::ZERO);
    let mut bench = Bench { speaker, now: Moment::ZERO };
    assert_eq!(bench.vips(), [101]);
    bench.run(Duration::ZERO);
    assert_eq!(bench.states(), [State::Active, State::Backup]);
}
