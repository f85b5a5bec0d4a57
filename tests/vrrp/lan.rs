//! A bridge in the test's own namespace, and directors in namespaces of their own on it.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::sync::mpsc::{self, Receiver};
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
use futures_util::StreamExt;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv,
    recvfrom, socket,
};
use rtnetlink::packet_route::address::{AddressAttribute, AddressProtocol};

use crate::kinds::apart::Neighbour;

pub(crate) const VIP: &str = "10.77.0.100/24";

/// Of a frame on its way out.
const PACKET_OUTGOING: u8 = 4;

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
            neighbour.sh(&format!("ip addr add 10.77.0.{last}/24 dev eth0"));
            neighbour.sh(&format!("ip addr add fe80::{last}/64 dev eth0 nodad"));
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
        let start = || Vrrp::start(settings, routers).expect("VRRP can be spoken");
        let (vrrp, mut events) = inside(there, start);
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
    seen: Arc<Mutex<Frames>>,
}

type Frames = Vec<(Instant, Vec<u8>)>;

impl Tap {
    /// Hears frames of that EtherType from now on.
    pub(crate) fn open(ethertype: u16) -> Self {
        // Of all types: what a bridge passes on is shown to no other.
        let (family, kind, all) = (AddressFamily::Packet, SockType::Raw, SockProtocol::EthAll);
        let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, all).expect("root");
        let seen = Arc::<Mutex<Frames>>::default();
        let writer = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut frame = [0; 2000];
            loop {
                let came = recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut frame);
                let (length, from) = match came {
                    Ok(came) => came,
                    // A port that goes down says so to all who hear it.
                    Err(Errno::EINTR | Errno::ENETDOWN) => continue,
                    Err(error) => panic!("a tap: {error}"),
                };
                let leaves = from.is_some_and(|from| from.pkttype() == PACKET_OUTGOING);
                if !leaves && frame[12..14] == ethertype.to_be_bytes() {
                    let mut seen = writer.lock().expect("whole");
                    seen.push((Instant::now(), frame[..length].to_vec()));
                }
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

    /// The first such frame after that moment.
    #[track_caller]
    pub(crate) fn frame(&self, since: Instant, what: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let at = self.first(since, what);
        let seen = self.seen.lock().expect("whole");
        let found = seen.iter().find(|(when, _)| *when == at);
        found.map(|(_, frame)| frame.clone()).expect("it was there")
    }

    /// How many such frames there were so far.
    pub(crate) fn count(&self, what: impl Fn(&[u8]) -> bool) -> usize {
        self.seen.lock().expect("whole").iter().filter(|(_, frame)| what(frame)).count()
    }
}

/// The first answer within five seconds.
#[track_caller]
pub(crate) fn eventually<T>(otherwise: &str, ask: impl FnMut() -> Option<T>) -> T {
    eventually_within(Duration::from_secs(5), otherwise, ask)
}

/// The first answer within that time.
#[track_caller]
pub(crate) fn eventually_within<T>(
    time: Duration,
    otherwise: &str,
    mut ask: impl FnMut() -> Option<T>,
) -> T {
    let until = Instant::now() + time;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "{otherwise}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What the kernel there says about its addresses, one line each.
pub(crate) fn addresses(there: &Neighbour) -> String {
    there.sh("ip -d -o addr show dev eth0")
}

/// Who made that address there, if it is there (`IFA_PROTO`, which iproute2 6.1 does not show).
pub(crate) fn maker(there: &Neighbour, address: &str) -> Option<u8> {
    let address = address.parse::<IpAddr>().expect("an address");
    inside(there, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let (connection, handle, _) = rtnetlink::new_connection().expect("netlink");
            tokio::spawn(connection);
            let mut dump = handle.address().get().set_address_filter(address).execute();
            let message = dump.next().await?.expect("a dump");
            message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Protocol(maker) => Some(u8::from(*maker)),
                _ => None,
            })
        })
    })
}

/// Runs something in that namespace.
pub(crate) fn inside<T: Send>(there: &Neighbour, body: impl FnOnce() -> T + Send) -> T {
    let network = fs::File::open(there.network()).expect("its namespace");
    std::thread::scope(|scope| {
        let body = || {
            setns(network, CloneFlags::CLONE_NEWNET).expect("its namespace");
            body()
        };
        scope.spawn(body).join().expect("it ended well")
    })
}

/// The MAC of eth0 there.
pub(crate) fn mac(there: &Neighbour) -> [u8; 6] {
    let shown = there.sh("ip -o link show dev eth0");
    let text = shown.split("link/ether ").nth(1).expect("a MAC").split(' ').next();
    let bytes = text.expect("a MAC").split(':').map(|byte| u8::from_str_radix(byte, 16));
    let bytes: Vec<u8> = bytes.collect::<Result<_, _>>().expect("hexadecimal");
    bytes.try_into().expect("six")
}

/// A gratuitous ARP from there, for that address.
pub(crate) fn announces(from: [u8; 6], address: [u8; 4]) -> impl Fn(&[u8]) -> bool {
    move |frame| {
        frame.get(6..12) == Some(&from)
            && frame.get(28..32) == Some(&address)
            && frame.get(38..42) == Some(&address)
    }
}

#[track_caller]
pub(crate) fn sh(command: &str) {
    let status = std::process::Command::new("sh").args(["-c", command]).status();
    assert!(status.expect("a shell").success(), "{command}");
}

/// Puts a permanent address with a maker on eth0, as another process would.
pub(crate) fn add_marked(address: &str, maker: u8) {
    let address = address.parse::<IpAddr>().expect("an address");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async move {
        let (connection, handle, _) = rtnetlink::new_connection().expect("netlink");
        tokio::spawn(connection);
        let index = nix::net::if_::if_nametoindex("eth0").expect("eth0");
        let mut request = handle.address().add(index, address, 32);
        let protocol = AddressProtocol::Other(maker);
        request.message_mut().attributes.push(AddressAttribute::Protocol(protocol));
        request.execute().await.expect("added");
    });
}

/// Tells when the kernel there said that it has this address.
pub(crate) fn arrivals(there: &Neighbour, address: [u8; 4]) -> Receiver<Instant> {
    let (teller, arrivals) = mpsc::channel();
    let socket = inside(there, || {
        let (family, kind) = (AddressFamily::Netlink, SockType::Raw);
        let protocol = SockProtocol::NetlinkRoute;
        let fd = socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol).expect("netlink");
        let groups = nix::libc::RTMGRP_IPV4_IFADDR as u32;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups)).expect("a group");
        fd
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            let at = Instant::now();
            // RTM_NEWADDR, with the address somewhere in it.
            let about = buffer[..length].windows(4).any(|bytes| bytes == address);
            if buffer[4] == 20 && about && teller.send(at).is_err() {
                return;
            }
        }
    });
    arrivals
}
