//! A bridge in the test's own namespace, and directors in namespaces of their own on it.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use converge::vrrp::config::{
    Announcing, Checksum, Family, Interval, Peer, Preempt, Priority, RouterConfig, Transport,
    Version, Vip,
};
use converge::vrrp::driver::{Event, LinkSettings, Settings, Vrrp};
use converge::vrrp::fingerprint::Digests;
use converge::vrrp::key::Key;
use converge::vrrp::router::{Start, State};
use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Socket, Type};

use crate::kinds::apart::Neighbour;

pub(crate) const VIP: &str = "10.77.0.100/24";

/// Two directors and what is between them.
pub(crate) struct Lan {
    pub(crate) a: Neighbour,
    pub(crate) b: Neighbour,
}

impl Lan {
    /// a is 10.77.0.1 and fe80::1, b is 10.77.0.2 and fe80::2, this host 10.77.0.254.
    pub(crate) fn new() -> Self {
        sh("ip link set lo up && ip link add lan type bridge && ip link set lan up");
        sh("ip addr add 10.77.0.254/24 dev lan");
        let lan = Lan { a: Neighbour::new(), b: Neighbour::new() };
        for (neighbour, port, last) in [(&lan.a, "to-a", 1), (&lan.b, "to-b", 2)] {
            neighbour.plug(port, "eth0");
            sh(&format!("ip link set {port} master lan"));
            neighbour.sh(&format!(
                "ip addr add 10.77.0.{last}/24 dev eth0 && ip addr add fe80::{last}/64 dev eth0 nodad"
            ));
        }
        lan
    }
}

/// The router "web" on that host.
pub(crate) fn router(host: &str, interval: Duration) -> RouterConfig {
    let version = Version::V3;
    let address = |host: &str| -> IpAddr {
        if host == "a" { [10, 77, 0, 1].into() } else { [10, 77, 0, 2].into() }
    };
    let priority = |host: &str| Priority::new(if host == "a" { 150 } else { 100 });
    let priority = |host: &str| priority(host).expect("not 0");
    let other = if host == "a" { "b" } else { "a" };
    RouterConfig {
        name: "web".into(),
        vrid: 51.try_into().expect("not 0"),
        family: Family::Ipv4,
        version,
        interface: "eth0".into(),
        source: address(host),
        transport: Transport::Unicast,
        peers: vec![Peer {
            name: other.into(),
            address: address(other),
            priority: priority(other),
        }],
        priority: priority(host),
        interval: Interval::new(version, interval).expect("an interval"),
        preempt: Preempt::Now,
        start_delay: Duration::ZERO,
        checksum: Checksum::PseudoHeader,
        password: None,
        sync_group: None,
        vips: vec![vip(VIP)],
        announcing: Announcing::default(),
    }
}

pub(crate) fn vip(address: &str) -> Vip {
    let address = address.parse().expect("a prefix");
    Vip { address, interface: "eth0".into(), label: None }
}

/// With or without the connection between the two.
pub(crate) fn settings(host: &str, linked: bool) -> Settings {
    let config = router(host, Duration::from_secs(1));
    let key = Key::new(&[7; 32]);
    let peers = config.peers.iter().map(|peer| (peer.name.clone(), peer.address));
    let link = linked.then(|| LinkSettings {
        host: host.into(),
        address: config.source,
        interface: Some("eth0".into()),
        peers: peers.collect::<BTreeMap<_, _>>(),
        key: key.clone(),
        digests: Arc::new(Digests::new(&key)),
    });
    Settings { link }
}

type Log = Arc<(Mutex<Vec<(Instant, Event)>>, Condvar)>;

/// A driver that runs in a namespace, with all that it said.
pub(crate) struct Director {
    pub(crate) vrrp: Vrrp,
    log: Log,
}

impl Director {
    /// Starts it there.
    pub(crate) fn start(
        there: &Neighbour,
        settings: Settings,
        routers: Vec<(RouterConfig, Start)>,
    ) -> Self {
        let network = there.network();
        let start = move || {
            let network = fs::File::open(network).expect("its namespace");
            setns(network, CloneFlags::CLONE_NEWNET).expect("its namespace");
            Vrrp::start(settings, routers).expect("VRRP can be spoken")
        };
        let (vrrp, mut events) = std::thread::spawn(start).join().expect("started");
        let log = Log::default();
        let writer = Arc::clone(&log);
        std::thread::spawn(move || {
            while let Some(event) = events.wait() {
                writer.0.lock().expect("whole").push((Instant::now(), event));
                writer.1.notify_all();
            }
        });
        Director { vrrp, log }
    }

    /// When it first said such a thing; it has five seconds.
    #[track_caller]
    pub(crate) fn wait(&self, what: impl Fn(&Event) -> bool) -> Instant {
        self.wait_since(Instant::now() - Duration::from_secs(3600), what)
    }

    /// When it first said such a thing after that moment.
    #[track_caller]
    pub(crate) fn wait_since(&self, since: Instant, what: impl Fn(&Event) -> bool) -> Instant {
        let until = Instant::now() + Duration::from_secs(5);
        let mut log = self.log.0.lock().expect("whole");
        loop {
            let found = log.iter().find(|(at, event)| *at >= since && what(event));
            if let Some((at, _)) = found {
                return *at;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it only said: {:#?}", log);
            log = self.log.1.wait_timeout(log, left).expect("whole").0;
        }
    }

    /// When it first was in that state.
    #[track_caller]
    pub(crate) fn becomes(&self, state: State) -> Instant {
        self.wait(|event| matches!(event, Event::Changed { to, .. } if *to == state))
    }

    /// When it was in that state after that moment.
    #[track_caller]
    pub(crate) fn becomes_since(&self, since: Instant, state: State) -> Instant {
        let is = |event: &Event| matches!(event, Event::Changed { to, .. } if *to == state);
        self.wait_since(since, is)
    }

    /// What it said so far.
    pub(crate) fn said(&self) -> Vec<Event> {
        self.log.0.lock().expect("whole").iter().map(|(_, event)| event.clone()).collect()
    }
}

/// Frames on the bridge that a test wants to see, each with its moment.
pub(crate) struct Tap {
    seen: Arc<Mutex<Vec<(Instant, Vec<u8>)>>>,
}

impl Tap {
    /// Hears frames of that EtherType from now on.
    pub(crate) fn open(ethertype: u16) -> Self {
        let protocol = i32::from(ethertype.to_be()).into();
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).expect("root");
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let writer = Arc::clone(&seen);
        std::thread::spawn(move || {
            use std::io::Read;
            let mut frame = [0; 2000];
            while let Ok(length) = (&socket).read(&mut frame) {
                let mut seen = writer.lock().expect("whole");
                seen.push((Instant::now(), frame[..length].to_vec()));
            }
        });
        Tap { seen }
    }

    /// When such a frame was first seen after that moment, once for each port of the bridge.
    #[track_caller]
    pub(crate) fn first(&self, since: Instant, what: impl Fn(&[u8]) -> bool) -> Instant {
        eventually("no such frame", || {
            let seen = self.seen.lock().expect("whole");
            seen.iter().find(|(at, frame)| *at >= since && what(frame)).map(|(at, _)| *at)
        })
    }
}

/// The first answer within five seconds.
#[track_caller]
pub(crate) fn eventually<T>(otherwise: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "{otherwise}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What the kernel there says about its IPv4 and IPv6 addresses, one line each.
pub(crate) fn addresses(there: &Neighbour) -> String {
    there.sh("ip -d -o addr show dev eth0")
}

#[track_caller]
pub(crate) fn sh(command: &str) {
    let status = std::process::Command::new("sh").args(["-c", command]).status();
    assert!(status.expect("a shell").success(), "{command}");
}
