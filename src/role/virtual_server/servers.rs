//! The real servers behind a virtual server, how each is reached and what is asked of it.
//!
//! There may be thousands, so that whatever is the same for all of them is read once.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use super::super::check::{self, Check, Traffic};
use super::super::element::Element;
use super::super::lint::servers as lint;
use super::super::method::{GUE_PORT, Method, TunnelKind};
use super::super::need::Need;
use super::super::pool;
use crate::check::config::Way;
use crate::document::Spanned;
use crate::frame::tunnel::Tunnel as Wrap;
use crate::ipvs::model::{
    Destination, DestinationId, Family, Forward, Protocol, Thresholds, Tunnel, TunnelFlags,
    VirtualServerId, Weight,
};
use crate::pool::config::Member;

/// How packets get to them.
pub fn forward(method: Method, tunnel: Option<Spanned<TunnelKind>>) -> Forward {
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

/// A real server behind every virtual server of a section.
#[derive(Clone, Debug)]
pub struct Server {
    /// How it is served.
    pub destination: Destination,
    /// What is asked of it.
    pub checks: Arc<[Check]>,
    host: String,
    address: IpAddr,
    port: Option<u16>,
}

impl Server {
    /// The destination of a virtual server with this port.
    pub fn id(&self, own_port: u16) -> DestinationId {
        DestinationId { addr: self.address, port: self.port.unwrap_or(own_port) }
    }

    /// Its host and address.
    pub fn host(&self) -> (&str, IpAddr) {
        (&self.host, self.address)
    }

    /// What its checks need of this host.
    pub fn needs(&self) -> impl Iterator<Item = &Need> {
        self.checks.iter().flat_map(Check::needs)
    }

    /// The member of a pool where it takes traffic there.
    pub fn as_member(&self, server: SocketAddr) -> Member {
        let weight = self.destination.weight.get();
        pool::member(&self.host, server, weight, &self.checks)
    }
}

/// Reads them; `None` if the role is wrong.
pub fn servers(
    e: &Element<'_>,
    family: Family,
    forward: Forward,
    port: Option<u16>,
    traffic: &Traffic,
) -> Option<Vec<Server>> {
    let role = e.get::<String>("real-servers")?;
    let of_all = check::of_all(e, traffic);
    let own = e.me().address.value;
    let (mut servers, mut far, mut unchecked) = (Vec::new(), Vec::new(), Vec::new());
    let mut readable = None;
    e.for_each_host(&role, "server", |host, server| {
        let address = host.address.addr();
        if lint::is_outside(&own, host) {
            far.push(host);
        }
        if Family::of(address) == family || matches!(forward, Forward::Tunnel(_)) {
            let checks = of_all.clone().unwrap_or_else(|| check::of_each(server, traffic));
            if lint::is_unchecked(&checks, host) {
                unchecked.push(host);
            }
            readable = readable.take().or_else(|| lint::readable_password(&checks, &own, host));
            servers.extend(destination(server, forward).map(|destination| Server {
                destination,
                checks,
                host: host.name.value.to_string(),
                address,
                port,
            }));
        }
    });
    let checks = servers.first().map_or(&[][..], |server: &Server| &server.checks);
    let lone = lint::lone_ping(checks, traffic.protocol);
    let missed = (forward == Forward::Route).then(|| lint::not_on_segment(&own, &far));
    let blind = lint::not_checked(checks, &unchecked);
    let none = of_all.is_some_and(|all| all.is_empty()) && !servers.is_empty();
    let vain = none.then(|| check::in_vain(e)).flatten().map(lint::asked_in_vain);
    let warnings = lone.into_iter().chain(readable).chain(missed.flatten());
    let warnings = warnings.chain(blind).chain(vain);
    warnings.for_each(|warning| e.report(warning));
    Some(servers)
}

/// Where the traffic goes that the servers' checks are about.
pub fn traffic(
    ids: &[VirtualServerId],
    real_port: Option<u16>,
    forward: Forward,
    interface: &str,
) -> Traffic {
    let address = |id: &VirtualServerId| match *id {
        VirtualServerId::Address { protocol, addr, port } => Some((protocol, addr, port)),
        VirtualServerId::Fwmark { .. } => None,
    };
    let first = ids.first().and_then(address);
    let way = match forward {
        Forward::Route => Some(Way::Direct),
        Forward::Tunnel(Tunnel::Ipip) => Some(Way::Tunnel(Wrap::Ipip)),
        Forward::Tunnel(Tunnel::Gre { checksum: false }) => Some(Way::Tunnel(Wrap::Gre)),
        Forward::Tunnel(Tunnel::Gue { port, .. }) => Some(Way::Tunnel(Wrap::Gue(port.get()))),
        // A receiver without checksums takes none.
        Forward::Tunnel(Tunnel::Gre { checksum: true }) => None,
        Forward::Masquerade | Forward::Local | Forward::Bypass => None,
    };
    let port_of = |id| real_port.or(address(id).map(|(_, _, port)| port)).unwrap_or(0);
    Traffic {
        protocol: first.map_or(Protocol::Tcp, |(protocol, _, _)| protocol),
        portless: ids.iter().any(|id| port_of(id) == 0),
        ports: ids.iter().map(port_of).collect(),
        vip: first.map(|(_, vip, _)| vip).zip(way),
        interface: interface.to_owned(),
    }
}

fn destination(e: &Element<'_>, forward: Forward) -> Option<Destination> {
    let number = |key| e.get::<u32>(key).map(|n| n.value);
    let wrong = |key, what: String| e.report(e.mistake(key, what));
    let weight = Weight::new(number("weight").unwrap_or(1));
    let weight = weight.map_err(|error| wrong("weight", error.to_string())).ok()?;
    let upper = number("upper-threshold").unwrap_or(0);
    let thresholds = Thresholds::new(upper, number("lower-threshold").unwrap_or(0));
    let thresholds =
        thresholds.map_err(|error| wrong("lower-threshold", error.to_string())).ok()?;
    Some(Destination { forward, weight, thresholds })
}
