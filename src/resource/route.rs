//! A route.
//!
//! Ours carry [`MARK`] as their protocol (`ip route show proto 118`). A destination in one table
//! with one metric is one route: the metric is part of the name. If somebody else's route stands
//! there and is equal, it serves; if it differs, it is named in an error and left alone.

use std::net::IpAddr;

use ipnet::IpNet;
use nix::errno::Errno;
use serde::Serialize;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::netlink::{FoundRoute, MARK, Netlink, RouteSpec};
use crate::host::{Foreign, Host, HostError};

/// The routing table that is looked into when no rule says otherwise.
pub const MAIN_TABLE: u32 = 254;

/// What IPv6 makes of a metric of 0.
const IPV6_METRIC: u32 = 1024;

/// A route, marked as ours by its protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Where to; `0.0.0.0/0` or `::/0` is the default route.
    pub destination: IpNet,
    /// The next hop.
    pub via: Option<IpAddr>,
    /// The interface; may be left open where there is a next hop.
    pub interface: Option<String>,
    /// The address that packets from here carry.
    pub source: Option<IpAddr>,
    /// The routing table, 254 is main.
    pub table: u32,
    /// Lower wins among routes to one destination.
    pub metric: u32,
}

impl Route {
    /// What the kernel tells routes apart by.
    fn key(&self) -> (IpNet, u32, u32) {
        let metric = match (self.destination, self.metric) {
            (IpNet::V6(_), 0) => IPV6_METRIC,
            (IpNet::V4(_) | IpNet::V6(_), metric) => metric,
        };
        (self.destination.trunc(), self.table, metric)
    }

    fn spec(&self) -> RouteSpec<'_> {
        RouteSpec {
            destination: self.destination,
            via: self.via,
            interface: self.interface.as_deref(),
            source: self.source,
            table: self.table,
            metric: self.metric,
        }
    }

    /// Whether `found`, which has the same key, is what is wanted. Somebody else's may name a
    /// source address where we leave that to the kernel.
    fn agrees(&self, found: &FoundRoute) -> bool {
        let interface = self.interface.is_none() || self.interface == found.interface;
        let open = self.source.is_none() && found.protocol != MARK;
        let source = open || self.source == found.source;
        !found.elaborate && self.via == found.via && interface && source
    }
}

fn key(found: &FoundRoute) -> (IpNet, u32, u32) {
    (found.destination, found.table, found.metric)
}

fn from_kernel(found: &FoundRoute) -> Route {
    let metric = match (found.destination, found.metric) {
        (IpNet::V6(_), IPV6_METRIC) => 0,
        (IpNet::V4(_) | IpNet::V6(_), metric) => metric,
    };
    Route {
        destination: found.destination,
        via: found.via,
        interface: found.interface.clone(),
        source: found.source,
        table: found.table,
        metric,
    }
}

/// What of the kernel's routes concerns us.
fn concerning(found: &[FoundRoute], scope: &Scope<'_, Route>) -> Vec<Route> {
    let mut seen = Vec::new();
    for wanted in scope.wanted {
        let standing = || found.iter().filter(|f| key(f) == wanted.key());
        if standing().any(|f| wanted.agrees(f)) {
            seen.push((*wanted).clone());
        } else if let Some(other) = standing().min_by_key(|f| f.protocol != MARK) {
            // Under the wanted one's name, however that writes the metric.
            seen.push(Route { metric: wanted.metric, ..from_kernel(other) });
        }
    }
    let unwanted = |f: &&FoundRoute| !scope.wanted.iter().any(|w| w.key() == key(f));
    let ours = found.iter().filter(|f| f.protocol == MARK);
    seen.extend(ours.filter(unwanted).map(from_kernel));
    seen
}

impl ResourceKind for Route {
    const KIND: Kind = Kind::Route;
    const MEMORY: Memory = Memory::Mark;

    fn name(&self) -> String {
        let table = match self.table {
            MAIN_TABLE => String::new(),
            table => format!(" table {table}"),
        };
        let metric = match self.metric {
            0 => String::new(),
            metric => format!(" metric {metric}"),
        };
        format!("{}{table}{metric}", self.destination.trunc())
    }

    async fn observe(host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        let netlink = host.netlink().await?;
        Ok(concerning(&netlink.routes().await?, scope))
    }

    async fn ensure(host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for change in changes {
            results.push(bring_about(host, change).await);
        }
        results
    }

    async fn remove(host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        let mut results = Vec::new();
        for route in gone {
            results.push(delete(host, route).await);
        }
        results
    }
}

async fn bring_about(host: &Host, change: &Ensure<'_, Route>) -> Result<(), HostError> {
    let netlink = host.netlink().await?;
    if change.before.is_some() {
        return replace(netlink, change.after).await;
    }
    match netlink.add_route(change.after.spec(), false).await {
        // It appeared since we looked: whose it is decides.
        Err(e) if e.errno() == Some(Errno::EEXIST) => replace(netlink, change.after).await,
        other => Ok(other?),
    }
}

/// Replacing takes the first route of that key, so all of them must be ours.
async fn replace(netlink: &Netlink, wanted: &Route) -> Result<(), HostError> {
    let mut standing = netlink.routes().await?;
    standing.retain(|f| key(f) == wanted.key());
    if standing.iter().any(|f| wanted.agrees(f)) {
        return Ok(());
    }
    if let Some(foreign) = standing.iter().find(|f| f.protocol != MARK) {
        return Err(
            Foreign { wanted: format!("route {}", wanted.name()), stands: shown(foreign) }.into()
        );
    }
    Ok(netlink.add_route(wanted.spec(), true).await?)
}

async fn delete(host: &Host, route: &Route) -> Result<(), HostError> {
    let netlink = host.netlink().await?;
    Ok(netlink.delete_route(route.spec()).await?)
}

fn shown(found: &FoundRoute) -> String {
    let via = found.via.map(|v| format!(" via {v}")).unwrap_or_default();
    let dev = found.interface.as_ref().map(|i| format!(" dev {i}")).unwrap_or_default();
    let more = if found.elaborate { " (with several next hops or other options)" } else { "" };
    format!("route {}{via}{dev} of protocol {}{more}", found.destination, found.protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(destination: &str, via: Option<&str>, protocol: u8) -> FoundRoute {
        FoundRoute {
            destination: destination.parse().expect("a prefix"),
            via: via.map(|v| v.parse().expect("an address")),
            interface: Some("eth0".into()),
            source: None,
            table: MAIN_TABLE,
            metric: 0,
            protocol,
            elaborate: false,
        }
    }

    fn route(destination: &str, via: Option<&str>, interface: Option<&str>) -> Route {
        Route {
            destination: destination.parse().expect("a prefix"),
            via: via.map(|v| v.parse().expect("an address")),
            interface: interface.map(str::to_owned),
            source: None,
            table: MAIN_TABLE,
            metric: 0,
        }
    }

    fn see(found: &[FoundRoute], wanted: &[&Route]) -> Vec<Route> {
        concerning(found, &Scope { wanted, ours: [].into() })
    }

    #[test]
    fn an_equal_foreign_route_serves_and_an_interface_may_be_left_open() {
        let wanted = route("0.0.0.0/0", Some("192.0.2.1"), None);
        let dhcp = found("0.0.0.0/0", Some("192.0.2.1"), 16);
        assert_eq!(see(&[dhcp], &[&wanted]), [wanted]);
    }

    #[test]
    fn another_foreign_route_of_the_same_key_is_seen_as_a_difference() {
        let wanted = route("0.0.0.0/0", Some("192.0.2.9"), None);
        let dhcp = found("0.0.0.0/0", Some("192.0.2.1"), 16);
        assert_eq!(see(&[dhcp], &[&wanted]), [route("0.0.0.0/0", Some("192.0.2.1"), Some("eth0"))]);
    }

    #[test]
    fn a_foreign_route_that_nobody_wants_is_invisible_and_ours_is_not() {
        let kernel = [found("10.0.0.0/8", None, 4), found("10.1.0.0/16", None, MARK)];
        assert_eq!(see(&kernel, &[]), [route("10.1.0.0/16", None, Some("eth0"))]);
    }

    #[test]
    fn the_default_metric_of_ipv6_is_no_difference() {
        let wanted = route("2001:db8::1/128", None, Some("eth0"));
        let kernel = FoundRoute { metric: 1024, ..found("2001:db8::1/128", None, MARK) };
        assert_eq!(see(&[kernel], &[&wanted]), [wanted]);
    }

    #[test]
    fn a_route_with_several_next_hops_equals_none_of_ours() {
        let wanted = route("10.0.0.0/8", None, Some("eth0"));
        let kernel = FoundRoute { elaborate: true, ..found("10.0.0.0/8", None, MARK) };
        assert!(!wanted.agrees(&kernel));
    }
}
