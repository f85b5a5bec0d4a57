//! A bridge in the test's own namespace, and hosts in namespaces of their own on it.

use std::collections::BTreeSet;
use std::io::Read;
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

/// A bridge.
pub(crate) struct Link;

impl Link {
    pub(crate) fn new() -> Self {
        sh("ip link set lo up && ip link add lan type bridge mcast_snooping 0");
        sh("ip link set lan up");
        Link
    }

    /// A host on it: 10.77.0.N and fd77::N on `eth0`.
    pub(crate) fn host(&self, number: u8) -> Host {
        let neighbour = Neighbour::new();
        let port = format!("to-{number}");
        neighbour.plug(&port, "eth0");
        sh(&format!("ip link set {port} master lan"));
        neighbour.sh(&format!("ip addr add 10.77.0.{number}/24 dev eth0"));
        neighbour.sh(&format!("ip addr add fd77::{number}/64 dev eth0 nodad"));
        Host { neighbour, number }
    }

    /// A real server as it should be, with a program on port 80.
    pub(crate) fn server(&self, number: u8) -> (Host, Vec<TcpListener>) {
        let host = self.host(number);
        host.sysctl("ipv4/conf/all/arp_ignore", 1);
        host.sysctl("ipv4/conf/all/arp_announce", 2);
        host.sh(&format!("ip addr add {VIP}/32 dev lo"));
        host.sh(&format!("ip addr add {VIP6}/128 dev lo nodad"));
        let listening = vec![host.listen("0.0.0.0:80"), host.listen("[::]:81")];
        (host, listening)
    }
}

/// A host.
pub(crate) struct Host {
    pub(crate) neighbour: Neighbour,
    number: u8,
}

impl Host {
    pub(crate) fn sh(&self, line: &str) -> String {
        self.neighbour.sh(line)
    }

    pub(crate) fn sysctl(&self, name: &str, value: u8) {
        self.sh(&format!("echo {value} > /proc/sys/net/{name}"));
    }

    pub(crate) fn listen(&self, at: &str) -> TcpListener {
        self.neighbour.within(|| TcpListener::bind(at).expect("a port of its own"))
    }

    /// Unwraps IP in IP as `tunl0` does, which not every kernel has: what comes in goes into a
    /// cable whose other end is here as well.
    pub(crate) fn unwrap_tunnels(&self) {
        self.sh("ip link add inject type veth peer name tunnel");
        self.sh("ip link set inject up && ip link set tunnel up");
        for name in ["all", "default", "tunnel"] {
            self.sysctl(&format!("ipv4/conf/{name}/rp_filter"), 0);
        }
        let (mut wrapped, cable, mac) = self.neighbour.within(|| {
            let protocol = Some(socket2::Protocol::from(4));
            let wrapped = Socket::new(Domain::IPV4, Type::RAW, protocol).expect("root");
            let cable = Socket::new(Domain::PACKET, Type::RAW, None).expect("root");
            let find = |name: &str| {
                let mut all =
                    getifaddrs().expect("interfaces").filter(|i| i.interface_name == name);
                *all.find_map(|i| i.address?.as_link_addr().copied()).as_ref().expect("it is there")
            };
            bind(cable.as_raw_fd(), &find("inject")).expect("its own interface");
            (wrapped, cable, find("tunnel").addr().expect("a MAC"))
        });
        std::thread::spawn(move || {
            let mut packet = [0; 2000];
            while let Ok(length) = wrapped.read(&mut packet) {
                let inner = &packet[20..length];
                let frame = [&mac[..], &[2, 0, 0, 0, 0, 0x77], &[8, 0], inner].concat();
                cable.send(&frame).ok();
            }
        });
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
        let shown = self.sh("ip -o link show dev eth0");
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
    let (vip, port) = if server.is_ipv4() { (VIP, 80) } else { (VIP6, 81) };
    let vip = vip.parse().expect("an address");
    let probe = Probe::ThroughVip(ThroughVip { vip, interface: "eth0".into(), way });
    CheckConfig { target: Target { address: server, port }, probe: probe.into(), timing: timing() }
}

/// A ping.
pub(crate) fn ping(address: IpAddr) -> CheckConfig {
    CheckConfig { target: Target { address, port: 0 }, probe: Probe::Ping.into(), timing: timing() }
}

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address and a port")
}
