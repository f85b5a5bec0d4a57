//! `[[virtual-server]]`: what a director balances.
//!
//! One section gives one IPVS virtual server for each port, with every host of a role behind it,
//! and what the forwarding method needs beside: modules, forwarding sysctls, connection tracking
//! and source NAT. The role's own `[sysctl]` lines win over these.

mod servers;
mod settings;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use servers::Server;
pub use settings::Ports;

use super::check;
use super::element::{Element, FOR_EACH, WHEN};
use super::fallback::{self, FALLBACK, Fallback, Named};
use super::method::{Method, TunnelKind};
use super::need::Need;
use super::pool::{self, GUARD, HYSTERESIS, ON_FAILURE, QUORUM, SLOW_START};
use super::want::Want;
use crate::check::wire::flow::{FlowConfig, FlowServer};
use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Field, Section, Shape, Spanned};
use crate::ipvs::model;
use crate::ipvs::model::{
    Destination, DestinationId, Family, Forward, Protocol, ServerSettings, VirtualServerId, Weight,
};
use crate::pool::config::{Member, PoolConfig};
use crate::pool::standing::Shares;
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
        FALLBACK,
        QUORUM,
        HYSTERESIS,
        ON_FAILURE,
        GUARD,
        SLOW_START,
        Field::optional("check", Shape::Tables(&check::SECTION), check::SECTION.doc),
    ],
);

/// One section: virtual servers that differ in the port alone.
#[derive(Clone, Debug)]
pub struct VirtualServers {
    place: Place,
    ids: Vec<VirtualServerId>,
    settings: ServerSettings,
    method: Method,
    interface: String,
    servers: Vec<Server>,
    fallbacks: Vec<Named>,
    words: pool::Words,
}

impl VirtualServers {
    /// Reads the section; `interface` is this host's own.
    pub fn read(e: &Element<'_>, interface: &str) -> Option<Self> {
        let ids = settings::ids(e)?;
        let family = ids.first()?.family();
        let method = e.get::<Method>("forward")?;
        let settings = settings::settings(e, family)?;
        let real_port = e.get::<u16>("real-port");
        if let (Some(port), Method::Dr | Method::Tun) = (&real_port, method.value) {
            e.report(port_cannot_change(port));
        }
        if method.value == Method::Fullnat && ids.iter().any(is_fwmark) {
            e.report(no_snat_by_mark(e));
            return None;
        }
        let forward = servers::forward(method.value, e.get::<TunnelKind>("tunnel"));
        if settings.persistence.is_none() && ids.iter().any(is_every_port) {
            e.report(every_port_wants_persistence(e));
            return None;
        }
        let port = real_port.map(|port| port.value);
        let traffic = servers::traffic(&ids, port, forward, interface);
        let servers = servers::servers(e, family, forward, port, &traffic)?;
        let fallbacks = fallbacks(e, &ids)?;
        let words = pool::Words::read(e, servers.iter().map(|s| s.destination.weight.get()))?;
        let (place, interface, method) = (e.place(), interface.to_owned(), method.value);
        Some(VirtualServers { place, ids, settings, method, interface, servers, fallbacks, words })
    }

    /// The VIP, if its servers have it too and answer clients themselves.
    pub fn direct(&self) -> Option<IpAddr> {
        match (self.method, self.ids.first()) {
            (Method::Dr, Some(VirtualServerId::Address { addr, .. })) => Some(*addr),
            (Method::Dr | Method::Nat | Method::Tun | Method::Fullnat, _) => None,
        }
    }

    /// Those of its virtual servers whose servers answer through this director. Not every datagram
    /// wants an answer.
    pub fn flows(&self) -> impl Iterator<Item = FlowConfig> {
        let is_answered = |id: &VirtualServerId| {
            matches!(id, VirtualServerId::Address { protocol: Protocol::Tcp, .. })
        };
        let nat = self.method == Method::Nat;
        self.pools().filter(move |(id, _)| nat && is_answered(id)).map(|(id, pool)| {
            let server = |member: Member| {
                let Member { host, server: at, checks, .. } = member;
                FlowServer { host, at, checks }
            };
            FlowConfig { id, servers: pool.members.into_iter().map(server).collect() }
        })
    }

    /// The interface towards the servers.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The servers' hosts and addresses.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, IpAddr)> {
        self.servers.iter().map(Server::host)
    }

    /// What its checks need of this host.
    pub fn needs(&self) -> impl Iterator<Item = &Need> {
        self.servers.iter().flat_map(Server::needs)
    }

    /// The virtual servers, each with the pool behind it.
    pub fn pools(&self) -> impl Iterator<Item = (VirtualServerId, PoolConfig)> {
        self.ids.iter().map(|id| {
            let members = self.servers.iter().map(|server| {
                let DestinationId { addr, port } = server.id(own_port(id));
                server.as_member(SocketAddr::new(addr, port))
            });
            let checks = self.servers.first().map_or(&[][..], |server| &server.checks);
            let spares = self.fallbacks(id).map(|fallback| pool::spare(fallback, checks));
            (*id, self.words.pool(id.to_string(), members.collect(), spares.collect()))
        })
    }

    /// Where converge itself has to answer for clients.
    pub fn sorry(&self) -> impl Iterator<Item = SocketAddr> {
        let sorry = |id: &&VirtualServerId| self.fallbacks(id).any(|f| f == Fallback::Sorry);
        self.ids.iter().filter(sorry).filter_map(|id| match id {
            VirtualServerId::Address { addr, port, .. } => Some(SocketAddr::new(*addr, *port)),
            VirtualServerId::Fwmark { .. } => None,
        })
    }

    /// Who answers for one of the virtual servers when the real servers cannot, in order.
    fn fallbacks(&self, id: &VirtualServerId) -> impl Iterator<Item = Fallback> {
        let plain_http = matches!(
            id,
            VirtualServerId::Address { protocol: Protocol::Tcp, port: fallback::PLAIN_HTTP, .. }
        );
        self.fallbacks.iter().filter_map(move |named| match named {
            Named::This(fallback) => Some(*fallback),
            Named::Auto => plain_http.then_some(Fallback::Sorry),
        })
    }

    /// The virtual servers and what their forwarding method needs. Each server gets its share of
    /// the pool; of a pool that nothing is known of all servers count as well.
    pub fn expand(&self, pools: &BTreeMap<String, Arc<Shares>>, want: &mut Want) {
        let mut needs = vec![self.module("ip_vs", want)];
        needs.push(self.module(&format!("ip_vs_{}", self.settings.scheduler.name), want));
        if let Some(engine) = self.settings.persistence.and_then(|p| p.engine) {
            needs.push(self.module(&format!("ip_vs_pe_{engine}"), want));
        }
        self.forwarding_sysctls(want);
        for id in &self.ids {
            match self.assemble(*id, pools.get(&id.to_string()).map(Arc::as_ref)) {
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

    fn assemble(
        &self,
        id: VirtualServerId,
        shares: Option<&Shares>,
    ) -> Result<model::VirtualServer, model::FamilyError> {
        let mut server = model::VirtualServer::new(id, self.settings)?;
        for one in &self.servers {
            let at = one.id(own_port(&id));
            if let Some(weight) = weight(shares, at, one.destination.weight) {
                server.insert_destination(at, Destination { weight, ..one.destination })?;
            }
        }
        let spare = match shares {
            Some(shares) => shares.spare,
            None => self.servers.is_empty().then_some(0),
        };
        let spare = spare.and_then(|number| self.fallbacks(&id).nth(number));
        if let Some(fallback) = spare {
            let (at, forward) = reached(fallback, &id);
            server.insert_destination(at, Destination::new(forward))?;
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

fn is_at(id: &VirtualServerId, at: SocketAddr) -> bool {
    matches!(id, VirtualServerId::Address { addr, .. } if *addr == at.ip())
}

fn is_every_port(id: &VirtualServerId) -> bool {
    matches!(id, VirtualServerId::Address { port: 0, .. })
}

fn every_port_wants_persistence(e: &Element<'_>) -> Diagnostic {
    let title = "port 0 takes every port, which the kernel does for persistent services alone";
    e.mistake("ports", title).help("set `persistence`, for example \"300s\", or name the ports")
}

fn no_snat_by_mark(e: &Element<'_>) -> Diagnostic {
    let title = "fullnat needs an address and a port: its source NAT cannot tell a mark";
    e.mistake("forward", title).help("use forward = \"nat\" with `fwmark`")
}

fn own_port(id: &VirtualServerId) -> u16 {
    match id {
        VirtualServerId::Address { port, .. } => *port,
        VirtualServerId::Fwmark { .. } => 0,
    }
}

/// The weight of a server by its share; `None` if it gets no traffic.
fn weight(shares: Option<&Shares>, at: DestinationId, own: Weight) -> Option<Weight> {
    let Some(share) = shares.and_then(|s| s.members.get(&SocketAddr::new(at.addr, at.port))) else {
        return Some(own);
    };
    // Slow start counts in tenths, which may be more than the kernel takes.
    let most = Weight::new(i32::MAX.unsigned_abs()).expect("the kernel's largest");
    share.weight.map(|weight| Weight::new(weight).unwrap_or(most))
}

/// How clients' packets get to a fallback.
fn reached(fallback: Fallback, id: &VirtualServerId) -> (DestinationId, Forward) {
    let own = |addr| (DestinationId { addr, port: own_port(id) }, Forward::Local);
    match (fallback, id.family()) {
        (Fallback::Sorry | Fallback::Local, Family::Ipv4) => own(LOOPBACK_V4),
        (Fallback::Sorry | Fallback::Local, Family::Ipv6) => own(LOOPBACK_V6),
        (Fallback::At(at), _) => (DestinationId { addr: at.ip(), port: at.port() }, Forward::Route),
    }
}

/// `None` if one of them is wrong. Another machine is reached directly, so its port is the one that
/// clients asked for; converge answers where it knows the address, and over TCP.
fn fallbacks(e: &Element<'_>, ids: &[VirtualServerId]) -> Option<Vec<Named>> {
    let same_port = |at: SocketAddr| {
        let fits = |id: &VirtualServerId| match id {
            VirtualServerId::Address { port, .. } => *port == at.port(),
            VirtualServerId::Fwmark { .. } => true,
        };
        ids.iter().all(fits)
    };
    let tcp = ids.iter().all(|id| {
        let VirtualServerId::Address { protocol, port, .. } = id else { return false };
        *protocol == Protocol::Tcp && *port != 0
    });
    let mut all = Vec::new();
    for named in fallback::read(e) {
        match named.value {
            Named::This(Fallback::At(at)) if !same_port(at) => {
                let title = "a fallback server is reached at the virtual server's own port";
                e.report(Diagnostic::error(named.place, title).label("another port"));
                return None;
            }
            Named::This(Fallback::At(at)) if ids.iter().any(|id| is_at(id, at)) => {
                let title = "the fallback is the VIP itself";
                let help = "name another machine, or `local` for what listens on this host";
                e.report(Diagnostic::error(named.place, title).help(help));
                return None;
            }
            Named::This(Fallback::Sorry) if !tcp => {
                let title = "converge says sorry over HTTP, to a TCP port of an address";
                e.report(Diagnostic::error(named.place, title).label("there is none here"));
                return None;
            }
            named => all.push(named),
        }
    }
    Some(all)
}

fn port_cannot_change(port: &Spanned<u16>) -> Diagnostic {
    Diagnostic::error(port.place.clone(), "direct routing and tunnels leave the port as it is")
        .label("packets arrive with the virtual server's port")
        .help("leave `real-port` out, or use forward = \"nat\"")
}

#[cfg(test)]
mod tests;
