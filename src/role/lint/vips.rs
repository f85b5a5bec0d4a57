//! Whether every VIP is held by exactly one host at a time, and there are any.
//!
//! A VIP of two routers would be on two hosts as soon as these part; one that no router moves
//! would be on every host that holds it, at once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::cluster::HostName;
use crate::diagnostic::{Collector, Diagnostic};
use crate::role::election::{Candidate, Election, Member};
use crate::role::element::Surroundings;
use crate::role::hold::Hold;
use crate::role::vrrp::Vrrp;
use crate::vrrp::config::Family;

/// An advertisement has one byte for the number of its IPv4 addresses (RFC 9568 5.2.5).
const MOST_IPV4: usize = 255;

/// As many IPv6 addresses fit with both headers into 1500 bytes, the MTU of Ethernet.
const MOST_IPV6: usize = (1500 - 40 - 8) / 16;

/// One who holds a VIP: the router that moves it, or none, and the host.
struct Holder<'a> {
    router: Option<&'a str>,
    host: &'a str,
    hold: &'a Hold,
}

pub(super) fn check(election: &Election, found: &Collector) {
    let mut holders: BTreeMap<IpAddr, Vec<Holder<'_>>> = BTreeMap::new();
    for (name, member) in election.routers().flat_map(|(n, m)| m.values().map(move |m| (n, m))) {
        for hold in &member.holds {
            let holder = Holder { router: Some(name), host: member.host.as_str(), hold };
            holders.entry(hold.address.addr()).or_default().push(holder);
        }
        found.extend(in_a_packet(member));
    }
    for (host, hold) in election.unrouted() {
        let holder = Holder { router: None, host: host.as_str(), hold };
        holders.entry(hold.address.addr()).or_default().push(holder);
    }
    for (vip, holders) in holders {
        let Some((first, others)) = holders.split_first() else { continue };
        let another = |holder: &&Holder<'_>| {
            holder.router != first.router || (first.router.is_none() && holder.host != first.host)
        };
        if let Some(other) = others.iter().find(another) {
            found.push(held_twice(vip, first, other));
        }
    }
}

fn held_twice(vip: IpAddr, first: &Holder<'_>, other: &Holder<'_>) -> Diagnostic {
    let place = other.hold.address.place.clone();
    let (title, help) = match (first.router, other.router) {
        (Some(one), Some(another)) => (
            format!("the VIP {vip} belongs to two routers, `{one}` and `{another}`"),
            "they may be active on two hosts, and the VIP would be on both".to_owned(),
        ),
        (None, None) => (
            format!("hosts `{}` and `{}` would both hold the VIP {vip}", first.host, other.host),
            "a `[[vrrp]]` section in the role lets one of them hold it at a time".to_owned(),
        ),
        (Some(router), None) | (None, Some(router)) => (
            format!("the VIP {vip} belongs to router `{router}`, but not on every host"),
            format!("`{}` and `{}` would both hold it", first.host, other.host),
        ),
    };
    Diagnostic::error(place, title).help(help)
}

/// Tells of a host that is to hold VIPs, but there are none in the cluster file, so that its role
/// comes to nothing. Once for all such hosts is enough.
pub fn none_at_all(around: Surroundings<'_>, found: &Collector) {
    let Surroundings { cluster, catalog, .. } = around;
    let mut holding = cluster.hosts.values().filter(|host| catalog.holds(host.role.as_str()));
    let Some(host) = holding.next() else { return };
    let title = format!("host `{}` is to hold VIPs, and the cluster has none", host.name);
    let diagnostic = Diagnostic::warning(host.role.place.clone(), title)
        .label("for each VIP it would balance what clients ask of it")
        .help("add a section `[vip]` with a line for each, a name and its address");
    found.push(diagnostic);
}

/// Tells of routers whose role holds nothing that they could move.
pub fn none_held(own: &Candidate<'_>, found: &Collector) {
    own.vrrp().iter().for_each(|vrrp| found.push(nothing_to_move(vrrp, &own.host.name.value)));
}

fn nothing_to_move(vrrp: &Vrrp, host: &HostName) -> Diagnostic {
    let name = &vrrp.says.name;
    let title = format!("router `{name}` has no VIP on host `{host}`, and moves nothing");
    Diagnostic::warning(vrrp.place.clone(), title)
        .help(format!("a `[[hold]]` section with `router = \"{name}\"` gives it one"))
}

/// A router has a VIP, and no more than its advertisements can name.
fn in_a_packet(member: &Member) -> Option<Diagnostic> {
    let router = &member.config;
    if router.peers.is_empty() {
        return router.vips.is_empty().then(|| nothing_to_move(&member.vrrp, &member.host.value));
    }
    let (count, host, name) = (router.advertised().len(), &member.host.value, &router.name);
    let most = match router.family {
        Family::Ipv4 => MOST_IPV4,
        Family::Ipv6 => MOST_IPV6,
    };
    let place = member.vrrp.place.clone();
    if count == 0 {
        let title = format!("router `{name}` has no VIP of its family on host `{host}`");
        let help = format!("a `[[hold]]` section with `router = \"{name}\"` gives it one");
        return Some(Diagnostic::error(place, title).help(help));
    }
    if count > most {
        let title =
            format!("router `{name}` has {count} VIPs, and one packet names {most} at most");
        let help = "give some of them a router of their own; a sync group keeps them together";
        return Some(Diagnostic::error(place, title).help(help));
    }
    None
}
