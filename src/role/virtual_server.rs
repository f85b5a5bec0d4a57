//! `[[virtual-server]]`: what a director balances.
//!
//! One section gives one IPVS virtual server for each port, with every host of a role behind it,
//! and what the forwarding method needs beside: modules, forwarding sysctls, connection tracking
//! and source NAT. The role's own `[sysctl]` lines win over these.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use super::element::{Element, FOR_EACH, WHEN};
use super::method::{GUE_PORT, Method, TunnelKind};
use super::want::Want;
use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Field, Section, Shape, Spanned, Value, one_of};
use crate::ipvs::model;
use crate::ipvs::model::{
    ClientMask, Destination, DestinationId, Family, Forward, Persistence, Protocol, Scheduler,
    SchedulerName, Seconds, ServerSettings, Thresholds, Tunnel, TunnelFlags, VirtualServerId,
    Weight,
};
use crate::resource::module::Module;
use crate::resource::snat::Snat;
use crate::resource::sysctl::{self, Sysctl};

const LOOPBACK_V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOOPBACK_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

const PORT: Shape = Shape::Integer { min: 0, max: 65535 };
const COUNT: Shape = Shape::Integer { min: 0, max: u32::MAX as i64 };

/// The keys of `[[virtual-server]]`.
pub const SECTION: Section = Section::new(
    "virtual-server",
    "An IPVS virtual server for each port, with every host of a role behind it.",
    &[
        FOR_EACH,
        WHEN,
        Field::optional("address", Shape::Address, "The VIP; this or `fwmark`."),
        Field::optional("ports", Shape::Text, "One port or several: 80, \"80,443\"."),
        Field::optional("fwmark", COUNT, "Balance what the firewall marked with this instead."),
        Field::optional("family", Shape::OneOf(&["ipv4", "ipv6"]), "Of `fwmark`.").default("ipv4"),
        Field::optional("protocol", Shape::OneOf(&["tcp", "udp", "sctp"]), "").default("tcp"),
        Field::required("scheduler", Shape::Text, "rr, wrr, lc, wlc, sh, mh, …; see ipvsadm(8)."),
        Field::optional("flags", Shape::Text, "sh-port, sh-fallback, mh-port, mh-fallback, ops."),
        Field::optional("persistence", Shape::Duration, "How long a client keeps its server.")
            .default("0s"),
        Field::optional("netmask", Shape::Text, "Which clients count as one for that.")
            .default("255.255.255.255"),
        Field::optional("persistence-engine", Shape::Text, "What tells clients apart: sip."),
        Field::required("forward", Shape::OneOf(Method::WORDS), "How packets are handed on."),
        Field::optional("tunnel", Shape::OneOf(TunnelKind::WORDS), "With forward = \"tun\".")
            .default("ipip"),
        Field::required("real-servers", Shape::Text, "The role whose hosts are balanced over."),
        Field::optional("real-port", PORT, "Their port, if it differs; NAT and FULLNAT only."),
        Field::optional("weight", COUNT, "Of each; {{server.name}} is the one in turn.")
            .default("1"),
        Field::optional("upper-threshold", COUNT, "No new connections to one with this many."),
        Field::optional("lower-threshold", COUNT, "New ones again below this many."),
        Field::optional(
            "fallback",
            Shape::Text,
            "A server of last resort: address:port, or local.",
        ),
    ],
);

impl Value for SocketAddr {
    const WHAT: &'static str = "an address with a port, such as 127.0.0.1:80";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            format!("`{text}` is no address with a port; it would be like 127.0.0.1:80")
        })
    }
}

impl Value for Protocol {
    const WHAT: &'static str = "a transport protocol";

    fn parse(text: &str) -> Result<Self, String> {
        let words = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp), ("sctp", Protocol::Sctp)];
        one_of("protocol", &words, text)
    }
}

impl Value for SchedulerName {
    const WHAT: &'static str = "an IPVS scheduler";

    /// Only schedulers of the mainline kernel: a name nobody knows is a slip of the pen.
    fn parse(text: &str) -> Result<Self, String> {
        let known = SchedulerName::KNOWN;
        let words: Vec<(&'static str, SchedulerName)> =
            known.iter().map(|name| (name.as_str(), *name)).collect();
        one_of("scheduler", &words, text)
    }
}

/// Ports, from `80`, `80,443` or `[80, 443]` (as a list variable renders); each once, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(pub Vec<u16>);

impl Value for Ports {
    const WHAT: &'static str = "a port or several: 80 or \"80,443\"";

    fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split([',', '[', ']', ' ']).filter(|part| !part.is_empty());
        let ports: Result<BTreeSet<u16>, _> = parts.map(str::parse).collect();
        match ports {
            Ok(ports) if !ports.is_empty() => Ok(Ports(ports.into_iter().collect())),
            Ok(_) | Err(_) => Err("a port is a whole number from 0 to 65535".into()),
        }
    }
}

/// The server of last resort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fallback {
    /// This director itself.
    Local,
    /// Another machine.
    At(SocketAddr),
}

/// One section: virtual servers that differ in the port alone.
#[derive(Clone, Debug)]
pub struct VirtualServers {
    place: Place,
    ids: Vec<VirtualServerId>,
    settings: ServerSettings,
    method: Method,
    interface: String,
    servers: Vec<(IpAddr, Option<u16>, Destination)>,
    fallback: Option<Fallback>,
}

impl VirtualServers {
    /// Reads the section; `interface` is this host's own.
    pub fn read(e: &Element<'_>, interface: &str) -> Option<Self> {
        let ids = ids(e)?;
        let family = ids.first()?.family();
        let method = e.get::<Method>("forward")?;
        let settings = settings(e, family)?;
        let real_port = e.get::<u16>("real-port");
        if let (Some(port), Method::Dr | Method::Tun) = (&real_port, method.value) {
            e.report(port_cannot_change(port));
        }
        if method.value == Method::Fullnat && ids.iter().any(is_fwmark) {
            e.report(no_snat_by_mark(method.place));
            return None;
        }
        let forward = forward(method.value, e.get::<TunnelKind>("tunnel"));
        if settings.persistence.is_none() && ids.iter().any(is_every_port) {
            e.report(every_port_wants_persistence(e.place()));
            return None;
        }
        let servers = servers(e, family, forward, real_port.map(|p| p.value))?;
        let fallback = fallback(e, &ids)?;
        let (place, interface, method) = (e.place(), interface.to_owned(), method.value);
        Some(VirtualServers { place, ids, settings, method, interface, servers, fallback })
    }

    /// The virtual servers and what their forwarding method needs.
    pub fn expand(&self, want: &mut Want) {
        let mut needs = vec![self.module("ip_vs", want)];
        needs.push(self.module(&format!("ip_vs_{}", self.settings.scheduler.name), want));
        if let Some(engine) = self.settings.persistence.and_then(|p| p.engine) {
            needs.push(self.module(&format!("ip_vs_pe_{engine}"), want));
        }
        self.forwarding_sysctls(want);
        for id in &self.ids {
            match self.assemble(*id) {
                Ok(server) => {
                    want.add_after(&self.place, server, needs.clone());
                }
                Err(error) => {
                    want.report(Diagnostic::error(self.place.clone(), error.to_string()));
                }
            }
            self.source_nat(id, want);
        }
    }

    fn assemble(&self, id: VirtualServerId) -> Result<model::VirtualServer, model::FamilyError> {
        let mut server = model::VirtualServer::new(id, self.settings)?;
        let own_port = match id {
            VirtualServerId::Address { port, .. } => port,
            VirtualServerId::Fwmark { .. } => 0,
        };
        for (addr, port, destination) in &self.servers {
            let port = port.unwrap_or(own_port);
            server.insert_destination(DestinationId { addr: *addr, port }, *destination)?;
        }
        // Until checks say otherwise every real server counts as alive.
        if let (Some(fallback), true) = (self.fallback, self.servers.is_empty()) {
            let (addr, port, forward) = match (fallback, id.family()) {
                (Fallback::Local, Family::Ipv4) => (LOOPBACK_V4, own_port, Forward::Local),
                (Fallback::Local, Family::Ipv6) => (LOOPBACK_V6, own_port, Forward::Local),
                (Fallback::At(at), _) => (at.ip(), at.port(), Forward::Route),
            };
            let destination = Destination::new(forward);
            server.insert_destination(DestinationId { addr, port }, destination)?;
        }
        Ok(server)
    }

    fn module(&self, module: &str, want: &mut Want) -> crate::resource::Id {
        want.add(&self.place, Module { module: module.into() })
    }

    /// Routing is only ever asked for, never switched off: a director may be a router besides.
    fn forwarding_sysctls(&self, want: &mut Want) {
        let routes = matches!(self.method, Method::Nat | Method::Fullnat);
        let v4 = self.ids.iter().any(|id| id.family() == Family::Ipv4);
        let mut sysctls = Vec::new();
        if routes {
            let key = if v4 { "net.ipv4.ip_forward" } else { "net.ipv6.conf.all.forwarding" };
            sysctls.push((key.to_owned(), "1"));
        }
        // Clients and real servers must not learn of a shorter way past the director.
        for interface in ["all", "default", &self.interface].iter().filter(|_| v4) {
            sysctls.push((sysctl::of_interface("ipv4", interface, "send_redirects"), "0"));
        }
        if self.method == Method::Fullnat {
            sysctls.push(("net.ipv4.vs.conntrack".to_owned(), "1"));
        }
        for (key, value) in sysctls {
            want.add_default(&self.place, Sysctl { key, value: value.into() });
        }
    }

    fn source_nat(&self, id: &VirtualServerId, want: &mut Want) {
        let VirtualServerId::Address { protocol, addr, port } = id else {
            return;
        };
        if self.method == Method::Fullnat {
            let protocol = protocol.word().to_ascii_lowercase();
            want.add(&self.place, Snat { protocol, vip: *addr, port: *port });
        }
    }
}

fn is_fwmark(id: &VirtualServerId) -> bool {
    matches!(id, VirtualServerId::Fwmark { .. })
}

fn is_every_port(id: &VirtualServerId) -> bool {
    matches!(id, VirtualServerId::Address { port: 0, .. })
}

fn every_port_wants_persistence(place: Place) -> Diagnostic {
    let title = "port 0 takes every port, which the kernel does for persistent services alone";
    Diagnostic::error(place, title)
        .help("set `persistence`, for example \"300s\", or name the ports")
}

fn no_snat_by_mark(place: Place) -> Diagnostic {
    let title = "fullnat needs an address and a port: its source NAT cannot tell a mark";
    Diagnostic::error(place, title).help("use forward = \"nat\" with `fwmark`")
}

/// `None` if it is wrong, `Some(None)` if there is none. It is reached directly, so its port is
/// the one that clients asked for.
fn fallback(e: &Element<'_>, ids: &[VirtualServerId]) -> Option<Option<Fallback>> {
    match e.text("fallback").as_deref() {
        None => return Some(None),
        Some("local") => return Some(Some(Fallback::Local)),
        Some(_) => {}
    }
    let fallback = e.get::<SocketAddr>("fallback")?;
    let fits = |id: &VirtualServerId| match id {
        VirtualServerId::Address { port, .. } => *port == fallback.value.port(),
        VirtualServerId::Fwmark { .. } => true,
    };
    if !ids.iter().all(fits) {
        let title = "a fallback server is reached at the virtual server's own port";
        e.report(Diagnostic::error(fallback.place, title).label("another port"));
        return None;
    }
    let local = fallback.value.ip().is_loopback();
    Some(Some(if local { Fallback::Local } else { Fallback::At(fallback.value) }))
}

fn ids(e: &Element<'_>) -> Option<Vec<VirtualServerId>> {
    if let Some(mark) = e.get::<u32>("fwmark") {
        let family = match e.text("family").as_deref() {
            Some("ipv6") => Family::Ipv6,
            Some(_) | None => Family::Ipv4,
        };
        let Some(mark) = NonZeroU32::new(mark.value) else {
            e.report(Diagnostic::error(mark.place, "0 is no mark: every packet has it"));
            return None;
        };
        return Some(vec![VirtualServerId::Fwmark { mark, family }]);
    }
    let Some(addr) = e.get::<IpAddr>("address") else {
        e.report(Diagnostic::error(e.place(), "a virtual server needs `address` or `fwmark`"));
        return None;
    };
    let ports = e.get::<Ports>("ports").map_or(vec![0], |p| p.value.0);
    let protocol = e.get::<Protocol>("protocol").map_or(Protocol::Tcp, |p| p.value);
    let id = |port| VirtualServerId::Address { protocol, addr: addr.value, port };
    Some(ports.into_iter().map(id).collect())
}

fn settings(e: &Element<'_>, family: Family) -> Option<ServerSettings> {
    let name = e.get::<SchedulerName>("scheduler")?;
    let given = e.get::<String>("flags");
    let flags_at = given.as_ref().map_or_else(|| e.place(), |flags| flags.place.clone());
    let flags = given.map(|flags| flags.value).unwrap_or_default();
    let mut flags: Vec<&str> = flags.split([',', ' ']).filter(|f| !f.is_empty()).collect();
    let one_packet = flags.contains(&"ops");
    flags.retain(|f| *f != "ops");
    let scheduler = Scheduler::with_flags(name.value, flags)
        .map_err(|error| e.report(Diagnostic::error(flags_at, error.to_string())))
        .ok()?;
    Some(ServerSettings { scheduler, one_packet, persistence: persistence(e, family)? })
}

/// `None` if it is wrong, `Some(None)` if there is none.
fn persistence(e: &Element<'_>, family: Family) -> Option<Option<Persistence>> {
    let Some(time) = e.get::<Duration>("persistence").filter(|t| !t.value.is_zero()) else {
        return Some(None);
    };
    let wrong = |what: String| e.report(Diagnostic::error(time.place.clone(), what));
    let timeout = Seconds::try_from(time.value).map_err(|error| wrong(error.to_string())).ok()?;
    let netmask = match (e.text("netmask"), family) {
        (None, Family::Ipv4) => ClientMask::EACH_V4,
        (None, Family::Ipv6) => ClientMask::EACH_V6,
        (Some(text), family) => mask(&text, family).map_err(wrong).ok()?,
    };
    let refused = |error: model::NameError| wrong(error.to_string());
    let engine = match e.text("persistence-engine") {
        Some(text) => Some(text.parse().map_err(refused).ok()?),
        None => None,
    };
    Some(Some(Persistence { timeout, netmask, engine }))
}

fn mask(text: &str, family: Family) -> Result<ClientMask, String> {
    let length = text.parse::<u32>();
    match (family, length) {
        (Family::Ipv4, Ok(length)) => ClientMask::prefix4(length).map_err(|e| e.to_string()),
        (Family::Ipv6, Ok(length)) => ClientMask::prefix6(length).map_err(|e| e.to_string()),
        (Family::Ipv4, Err(_)) => text.parse().map(ClientMask::V4).map_err(|_| {
            format!(
                "`{text}` is no netmask; it would be like 255.255.255.0, or a length such as 24"
            )
        }),
        (Family::Ipv6, Err(_)) => {
            Err(format!("`{text}` is no prefix length; it would be a number from 1 to 128"))
        }
    }
}

fn forward(method: Method, tunnel: Option<Spanned<TunnelKind>>) -> Forward {
    match method {
        Method::Dr => Forward::Route,
        Method::Nat | Method::Fullnat => Forward::Masquerade,
        Method::Tun => Forward::Tunnel(match tunnel.map(|t| t.value).unwrap_or_default() {
            TunnelKind::Ipip => Tunnel::Ipip,
            TunnelKind::Gue => Tunnel::Gue {
                port: NonZeroU16::new(GUE_PORT).expect("a constant above 0"),
                flags: TunnelFlags::default(),
            },
            TunnelKind::Gre => Tunnel::Gre { checksum: false },
        }),
    }
}

fn servers(
    e: &Element<'_>,
    family: Family,
    forward: Forward,
    port: Option<u16>,
) -> Option<Vec<(IpAddr, Option<u16>, Destination)>> {
    let role = e.get::<String>("real-servers")?;
    let mut servers = Vec::new();
    e.for_each_host(&role, "server", |addr, server| {
        if Family::of(addr) == family || matches!(forward, Forward::Tunnel(_)) {
            servers.extend(destination(server, forward).map(|d| (addr, port, d)));
        }
    });
    Some(servers)
}

fn destination(e: &Element<'_>, forward: Forward) -> Option<Destination> {
    let number = |key| e.get::<u32>(key).map(|n| (n.value, n.place));
    let wrong = |place, what: String| e.report(Diagnostic::error(place, what));
    let (weight, at) = number("weight").unwrap_or((1, e.place()));
    let weight = Weight::new(weight).map_err(|error| wrong(at, error.to_string())).ok()?;
    let upper = number("upper-threshold").map_or(0, |(n, _)| n);
    let (lower, at) = number("lower-threshold").unwrap_or((0, e.place()));
    let thresholds =
        Thresholds::new(upper, lower).map_err(|error| wrong(at, error.to_string())).ok()?;
    Some(Destination { forward, weight, thresholds })
}

fn port_cannot_change(port: &Spanned<u16>) -> Diagnostic {
    Diagnostic::error(port.place.clone(), "direct routing and tunnels leave the port as it is")
        .label("packets arrive with the virtual server's port")
        .help("leave `real-port` out, or use forward = \"nat\"")
}
