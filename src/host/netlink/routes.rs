//! Unicast routes of all tables but `local`, which is the kernel's own.
//!
//! What a route has beyond the fields here is not lost on the reader: such a route says that it is
//! elaborate. Every route is added, and deleted, with our mark.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use nix::errno::Errno;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
    RouteType,
};

use super::links::{Names, index};
use super::{MARK, Netlink, NetlinkError, deleted, gather, made};

/// The table that the kernel fills by itself.
const LOCAL_TABLE: u32 = 255;

/// A route as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRoute {
    /// Where to.
    pub destination: IpNet,
    /// The next hop.
    pub via: Option<IpAddr>,
    /// The interface.
    pub interface: Option<String>,
    /// The address that packets from here carry.
    pub source: Option<IpAddr>,
    /// The routing table.
    pub table: u32,
    /// Lower wins; IPv6 has 1024 where none was given.
    pub metric: u32,
    /// Who made it; [`MARK`] is us.
    pub protocol: u8,
    /// Whether it has something that this struct has no field for: several next hops, an
    /// encapsulation, a type of service. Such a route equals none of ours.
    pub elaborate: bool,
}

/// A route to add or delete.
#[derive(Clone, Copy, Debug)]
pub struct RouteSpec<'a> {
    /// Where to.
    pub destination: IpNet,
    /// The next hop.
    pub via: Option<IpAddr>,
    /// The interface.
    pub interface: Option<&'a str>,
    /// The address that packets from here carry.
    pub source: Option<IpAddr>,
    /// The routing table.
    pub table: u32,
    /// The metric.
    pub metric: u32,
}

impl RouteSpec<'_> {
    fn shown(&self) -> String {
        let via = self.via.map(|v| format!(" via {v}")).unwrap_or_default();
        let dev = self.interface.map(|i| format!(" dev {i}")).unwrap_or_default();
        format!("route {}{via}{dev}", self.destination)
    }
}

impl Netlink {
    /// All unicast routes of both families.
    pub async fn routes(&self) -> Result<Vec<FoundRoute>, NetlinkError> {
        let names = self.link_names().await?;
        let mut all = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut filter = RouteMessage::default();
            filter.header.address_family = family;
            let dump = self.handle.route().get(filter).execute();
            all.extend(gather("the routing tables", dump, |m| found(&m, &names)).await?);
        }
        Ok(all)
    }

    /// Adds a route with our mark; `replace` takes the place of one of the same destination, table
    /// and metric.
    pub async fn add_route(&self, route: RouteSpec<'_>, replace: bool) -> Result<(), NetlinkError> {
        let request = self.handle.route().add(message(route, "add")?);
        let request = if replace { request.replace() } else { request };
        made("add", &route.shown(), request.execute().await)
    }

    /// Deletes a route that carries our mark.
    pub async fn delete_route(&self, route: RouteSpec<'_>) -> Result<(), NetlinkError> {
        let message = match message(route, "delete") {
            Ok(message) => message,
            // A route goes with its interface.
            Err(e) if e.errno() == Some(Errno::ENODEV) => return Ok(()),
            Err(e) => return Err(e),
        };
        let answer = self.handle.route().del(message).execute().await;
        deleted(&route.shown(), &[Errno::ESRCH, Errno::ENODEV], answer)
    }
}

fn message(route: RouteSpec<'_>, doing: &'static str) -> Result<RouteMessage, NetlinkError> {
    let mut message = RouteMessage::default();
    let destination = route.destination.trunc();
    message.header = RouteHeader {
        address_family: match destination {
            IpNet::V4(_) => AddressFamily::Inet,
            IpNet::V6(_) => AddressFamily::Inet6,
        },
        destination_prefix_length: destination.prefix_len(),
        // The header has eight bits for the table; the attribute below has them all.
        table: u8::try_from(route.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC),
        protocol: RouteProtocol::Other(MARK),
        scope: match route.via {
            None => RouteScope::Link,
            Some(_) => RouteScope::Universe,
        },
        kind: RouteType::Unicast,
        ..RouteHeader::default()
    };
    let mut add = |attribute| message.attributes.push(attribute);
    add(RouteAttribute::Destination(destination.addr().into()));
    add(RouteAttribute::Table(route.table));
    add(RouteAttribute::Priority(route.metric));
    if let Some(via) = route.via {
        add(RouteAttribute::Gateway(via.into()));
    }
    if let Some(source) = route.source {
        add(RouteAttribute::PrefSource(source.into()));
    }
    if let Some(interface) = route.interface {
        add(RouteAttribute::Oif(index(interface, doing, || route.shown())?));
    }
    Ok(message)
}

fn found(message: &RouteMessage, names: &Names) -> Option<FoundRoute> {
    let header = &message.header;
    if header.kind != RouteType::Unicast || header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let any = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let mut route = FoundRoute {
        destination: IpNet::new(any, header.destination_prefix_length).ok()?,
        via: None,
        interface: None,
        source: None,
        table: u32::from(header.table),
        metric: 0,
        protocol: header.protocol.into(),
        elaborate: header.tos != 0 || header.source_prefix_length != 0,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(a) => {
                route.destination = IpNet::new(ip(a)?, header.destination_prefix_length).ok()?;
            }
            RouteAttribute::Gateway(a) => route.via = ip(a),
            RouteAttribute::PrefSource(a) => route.source = ip(a),
            RouteAttribute::Oif(index) => route.interface = Some(names.name(*index)),
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::MultiPath(_)
            | RouteAttribute::Via(_)
            | RouteAttribute::Encap(_)
            | RouteAttribute::NhId(_) => route.elaborate = true,
            _ => {}
        }
    }
    (route.table != LOCAL_TABLE).then_some(route)
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(a) => Some(IpAddr::V4(*a)),
        RouteAddress::Inet6(a) => Some(IpAddr::V6(*a)),
        _ => None,
    }
}
