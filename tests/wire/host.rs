//! A bridge in the test's own namespace, and hosts in namespaces of their own on it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::num::NonZeroU8;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use converge::check::config::{CheckConfig, Probe, Target, ThroughVip, Timing, Way};
use converge::check::driver::{Checks, Event, Events, Settings};
use converge::check::machine::Limits;
use converge::check::outcome::{Health, State};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::bind;
use socket2::{Domain, Socket, Type};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::kinds::apart::Neighbour;
use crate::kinds::sh;

pub(crate) const VIP: &str = "10.77.0.100";
pub(crate) const VIP6: &str = "fd77::100";

/// Longer than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a host's addresses are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    /// The interface that is plugged in, `eth0`.
    Plain,
    /// A VLAN of a bond of it, `bond0.5`.
    VlanOfBond,
    /// A bridge that it is a port of, `br0`.
    Bridge,
}

/// A bridge.
pub(crate) struct Link {
    name: String,
    layer: Layer,
}

impl Link {
    pub(crate) fn new() -> Self {
        Link::of("lan", Layer::Plain)
    }

    /// One of several, whose hosts all have their addresses on such a thing.
    pub(crate) fn of(name: &str, layer: Layer) -> Self {
        sh(&format!("ip link set lo up && ip link add {name} type bridge mcast_snooping 0"));
        sh(&format!("ip link set {name} up"));
        Link { name: name.to_owned(), layer }
    }

    /// A host on it: 10.77.0.N and fd77::N.
    pub(crate) fn host(&self, number: u8) -> Host {
        let neighbour = Neighbour::new();
        self.plug(&neighbour, number, "eth0");
        let interface = match self.layer {
            Layer::Plain => "eth0",
            Layer::VlanOfBond => {
                self.plug(&neighbour, number, "eth1");
                neighbour.sh("ip link add bond0 type bond mode active-backup miimon 100");
                neighbour.sh("for i in eth0 eth1; do ip link set $i down master bond0; done");
                neighbour.sh("ip link set bond0 up");
                neighbour.sh("ip link add link bond0 name bond0.5 type vlan id 5");
                "bond0.5"
            }
            Layer::Bridge => {
                neighbour.sh("ip link add br0 type bridge && ip link set eth0 master br0");
                "br0"
            }
        };
        neighbour.sh(&format!("ip link set {interface} up"));
        neighbour.sh(&format!("ip addr add 10.77.0.{number}/24 dev {interface}"));
        neighbour.sh(&format!("ip addr add fd77::{number}/64 dev {interface} nodad"));
        Host { neighbour, number, interface }
    }

    /// A cable from here to such an interface of a host.
    pub(crate) fn plug(&self, neighbour: &Neighbour, number: u8, interface: &str) {
        let port = format!("{}-{number}-{interface}", self.name);
        neighbour.plug(&port, interface);
        sh(&format!("ip link set {port} master {}", self.name));
    }

    /// A real server as it should be, with a program on port 80.
    pub(crate) fn server(&self, number: u8) -> (Host, Vec<TcpListener>) {
        let host = self.host(number);
        host.sysctl("ipv4/conf/all/arp_ignore", 1);
        host.sysctl("ipv4/conf/all/arp_announce", 2);
        host.sh(&format!("ip addr add {VIP}/32 dev lo"));
        host.sh(&format!("ip addr add {VIP6}/128 dev lo nodad"));
        let listening = host.serve();
        (host, listening)
    }
}

/// A host.
pub(crate) struct Host {
    pub(crate) neighbour: Neighbour,
    number: u8,
    /// What its addresses are on.
    pub(crate) interface: &'static str,
}

impl Host {
    pub(crate) fn sh(&self, line: &str) -> String {
        self.neighbour.sh(line)
    }

    pub(crate) fn sysctl(&self, name: &str, value: u8) {
        self.sh(&format!("echo {value} > /proc/sys/net/{name}"));
    }

    /// A program on port 80, and one of IPv6 on port 81.
    pub(crate) fn serve(&self) -> Vec<TcpListener> {
        vec![self.listen("0.0.0.0:80"), self.listen("[::]:81")]
    }

    pub(crate) fn listen(&self, at: &str) -> TcpListener {
        self.neighbour.within(|| TcpListener::bind(at).expect("a port of its own"))
    }

    /// A socket by which whole frames leave one of its interfaces.
    pub(crate) fn port(&self, interface: &str) -> Socket {
        self.neighbour.within(|| {
            let port = Socket::new(Domain::PACKET, Type::RAW, None).expect("root");
            let mut all = getifaddrs().expect("interfaces");
            let found = all.find(|i| i.interface_name == interface && i.address.is_some());
            let address = found.and_then(|found| found.address).expect("it is there");
            let address = *address.as_link_addr().expect("the first one is the link's");
            bind(port.as_raw_fd(), &address).expect("its own interface");
            port
        })
    }

    pub(crate) fn name(&self) -> String {
        format!("h{}", self.number)
    }

    pub(crate) fn address(&self) -> IpAddr {
        IpAddr::from([10, 77, 0, self.number])
    }

    pub(crate) fn address6(&self) -> IpAddr {
        format!("fd77::{}", self.number).parse().expect("an address")
    }

    /// As people write it.
    pub(crate) fn mac(&self) -> String {
        let shown = self.sh(&format!("ip -o link show dev {}", self.interface));
        let text = shown.split("link/ether ").nth(1).expect("a MAC").split(' ').next();
        text.expect("a MAC").to_owned()
    }

    /// Makes a check from here, over and over.
    pub(crate) fn checks(&self, check: CheckConfig) -> Checked {
        let limits = Limits { at_once: 1000 };
        let settings = Settings { tasks: Handle::current(), seed: 1, limits };
        let check = Arc::new(check);
        let checks = BTreeSet::from([Arc::clone(&check)]);
        let start = || Checks::start(settings, checks).expect("checks can be made");
        let (checks, events) = self.neighbour.within(start);
        Checked { _checks: checks, events, said: Vec::new() }
    }
}

/// A check that is made over and over.
pub(crate) struct Checked {
    _checks: Checks,
    events: Events,
    said: Vec<String>,
}

impl Checked {
    /// Waits until what is held true of the target is so.
    pub(crate) async fn until(&mut self, so: impl Fn(&Health) -> bool) -> Health {
        let found = async {
            while let Some(events) = self.events.next().await {
                for event in events {
                    self.said.push(format!("{event:?}"));
                    if let Event::Changed(_, health) = event
                        && so(&health)
                    {
                        return Some(health);
                    }
                }
            }
            None
        };
        let found = timeout(PATIENCE, found).await.ok().flatten();
        found.unwrap_or_else(|| panic!("it only said: {:#?}", self.said))
    }

    pub(crate) async fn until_up(&mut self) {
        self.until(|health| health.state == State::Up).await;
    }

    /// Waits until it is down for a reason that holds this; the whole reason.
    pub(crate) async fn until_down(&mut self, why: &str) -> String {
        let reason = |health: &Health| {
            let failing = health.failing.as_ref()?;
            (health.state == State::Down).then(|| failing.failure.what.clone())
        };
        let health = self.until(|health| reason(health).is_some_and(|r| r.contains(why))).await;
        reason(&health).expect("it has one")
    }

    /// Waits until it notices something that holds this.
    pub(crate) async fn until_noticed(&mut self, what: &str) {
        let found = async {
            while let Some(events) = self.events.next().await {
                self.said.extend(events.iter().map(|event| format!("{event:?}")));
                if self.said.iter().any(|said| said.contains(what)) {
                    return true;
                }
            }
            false
        };
        let found = timeout(PATIENCE, found).await.unwrap_or(false);
        assert!(found, "it only said: {:#?}", self.said);
    }
}

fn timing() -> Timing {
    let beat = Duration::from_millis(200);
    let one = NonZeroU8::MIN;
    Timing { every: beat, timeout: beat, fast: beat, rise: one, fall: one }
}

/// A knock at that server.
pub(crate) fn through_vip(server: IpAddr, way: Way) -> CheckConfig {
    let vip = if server.is_ipv4() { VIP } else { VIP6 };
    through(vip, "eth0", server, way)
}

/// The same for another VIP, or by another interface.
pub(crate) fn through(vip: &str, interface: &str, server: IpAddr, way: Way) -> CheckConfig {
    let port = if server.is_ipv4() { 80 } else { 81 };
    let vip = vip.parse().expect("an address");
    let probe = Probe::ThroughVip(ThroughVip { vip, interface: interface.into(), way });
    CheckConfig { target: Target { address: server, port }, probe: probe.into(), timing: timing() }
}

/// A ping.
pub(crate) fn ping(address: IpAddr) -> CheckConfig {
    CheckConfig { target: Target { address, port: 0 }, probe: Probe::Ping.into(), timing: timing() }
}

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}
