//! What only the whole cluster file can tell: addresses taken twice, labels that do not fit, VIPs
//! that no director reaches.
//!
//! An error is what cannot work; a warning is what works only in a network that the file does not
//! show.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Cluster, HostEntry, InterfaceName, VipEntry};
use crate::diagnostic::{Collector, Diagnostic, Place};
use crate::document::{Spanned, listed};

/// Hosts whose role's name begins with one of these hold VIPs.
const HOLDERS: [&str; 2] = ["director", "proxy"];

pub(super) fn check(cluster: &Cluster, found: &Collector) {
    if cluster.hosts.is_empty() && !found.has_errors() {
        let place = Place::new(&cluster.source, 0..0);
        let help = "add a host: [host.NAME] with role, address and interface";
        found.push(Diagnostic::error(place, "the cluster has no hosts").help(help));
    }
    taken_twice(cluster, found);
    for host in cluster.hosts.values() {
        usable(&host.address, found);
        end_of_subnet(&host.address, host.address.trunc(), found);
    }
    let directors = directors(cluster);
    for vip in &cluster.vips {
        usable(&vip.address, found);
        label(vip, &directors, found);
    }
    // A host with a mistake is not among those that are looked at here.
    if !found.has_errors() {
        cluster.vips.iter().for_each(|vip| reachable(cluster, vip, &directors, found));
        one_subnet(cluster, found);
    }
}

fn is_director(host: &HostEntry) -> bool {
    HOLDERS.iter().any(|prefix| host.role.as_str().starts_with(prefix))
}

/// The hosts that may hold VIPs: all of them where no role is called director or proxy.
fn directors(cluster: &Cluster) -> Vec<&HostEntry> {
    let directors: Vec<&HostEntry> =
        cluster.hosts.values().filter(|host| is_director(host)).collect();
    if directors.is_empty() { cluster.hosts.values().collect() } else { directors }
}

/// Reports what two entries both claim: an address, an Ethernet address, a label.
fn taken_twice(cluster: &Cluster, found: &Collector) {
    let hosts = cluster.hosts.values();
    let addresses =
        hosts
            .clone()
            .map(|host| (host.address.addr(), &host.address.place, format!("host `{}`", host.name)))
            .chain(cluster.vips.iter().map(|vip| {
                (vip.address.addr(), &vip.address.place, format!("VIP `{}`", vip.name))
            }));
    twice("address", addresses, found);
    let macs = hosts.filter_map(|host| {
        host.mac.as_ref().map(|mac| (mac.as_str(), &mac.place, format!("host `{}`", host.name)))
    });
    twice("Ethernet address", macs, found);
    let labels = cluster.vips.iter().filter_map(|vip| {
        vip.label
            .as_ref()
            .map(|label| (label.as_str(), &label.place, format!("VIP `{}`", vip.name)))
    });
    twice("label", labels, found);
}

fn twice<'a, K: Ord + std::fmt::Display>(
    what: &str,
    claims: impl Iterator<Item = (K, &'a Place, String)>,
    found: &Collector,
) {
    let mut by_position: Vec<_> = claims.collect();
    by_position.sort_by_key(|(_, place, _)| place.span.start);
    let mut owners: BTreeMap<K, (&Place, String)> = BTreeMap::new();
    for (key, place, owner) in by_position {
        let Some((first, first_owner)) = owners.get(&key) else {
            owners.insert(key, (place, owner));
            continue;
        };
        let title = format!("{owner} has the {what} of {first_owner}, {key}");
        found.push(
            Diagnostic::error(place.clone(), title)
                .label(format!("the {what} of {owner}"))
                .related(Place::clone(first), format!("the {what} of {first_owner}"))
                .help(format!("give each an {what} of its own").replace("an label", "a label")),
        );
    }
}

/// Reports an address that no single machine can have.
fn usable(address: &Spanned<IpNet>, found: &Collector) {
    let addr = address.addr();
    let limited_broadcast = matches!(addr, IpAddr::V4(v4) if v4.is_broadcast());
    let what = if addr.is_multicast() {
        "a multicast address"
    } else if addr.is_loopback() {
        "an address of every machine's own lo"
    } else if addr.is_unspecified() {
        "the address that stands for none"
    } else if limited_broadcast {
        "the broadcast address"
    } else {
        return;
    };
    let title = format!("`{addr}` is {what}, no host can be reached by it");
    found.push(Diagnostic::error(address.place.clone(), title));
}

/// Reports a host whose address is the first or the last of its subnet.
fn end_of_subnet(address: &Spanned<IpNet>, subnet: IpNet, found: &Collector) {
    let IpNet::V4(net) = subnet else {
        return;
    };
    // RFC 3021: of two addresses, both are hosts'.
    if net.prefix_len() >= 31 {
        return;
    }
    let what = if address.addr() == net.network() {
        "the network itself"
    } else if address.addr() == net.broadcast() {
        "the broadcast address of its subnet"
    } else {
        return;
    };
    let hosts = net.hosts();
    let range = hosts.clone().next().zip(hosts.last());
    let title = format!("`{}` is {what}, not a host's address", address.value);
    let diagnostic = Diagnostic::error(address.place.clone(), title);
    found.push(match range {
        Some((first, last)) => diagnostic.help(format!("the hosts of {net} are {first} to {last}")),
        None => diagnostic,
    });
}

/// Reports a label that the kernel would refuse or ifconfig would not show where it belongs.
fn label(vip: &VipEntry, directors: &[&HostEntry], found: &Collector) {
    let Some(label) = &vip.label else {
        return;
    };
    if vip.address.addr().is_ipv6() {
        let title = "an IPv6 address cannot have a label";
        found.push(Diagnostic::error(label.place.clone(), title).help("leave `label` out"));
        return;
    }
    let own = |interface: &Spanned<InterfaceName>| interface.as_str() == label.interface();
    let (fits, interfaces): (bool, Vec<&Spanned<InterfaceName>>) = match &vip.interface {
        Some(interface) => (own(interface), vec![interface]),
        None => {
            let of_directors: Vec<_> = directors.iter().map(|host| &host.interface).collect();
            (of_directors.is_empty() || of_directors.iter().any(|i| own(i)), of_directors)
        }
    };
    let Some(interface) = interfaces.first().filter(|_| !fits) else {
        return;
    };
    let title = format!("the label `{label}` does not begin with the interface `{interface}`");
    let rest = label.as_str().split_once(':').map_or("0", |(_, rest)| rest);
    found.push(
        Diagnostic::error(label.place.clone(), title)
            .related(interface.place.clone(), "the interface that holds the address")
            .help(format!("write `{interface}:{rest}`")),
    );
}

/// Tells of a VIP that lies in no subnet of a director: without a route to it nobody gets there.
/// Between several directors it is an error: such a route would lead to one of them alone.
fn reachable(cluster: &Cluster, vip: &VipEntry, directors: &[&HostEntry], found: &Collector) {
    let addr = vip.address.addr();
    let same_family = |host: &&&HostEntry| host.address.addr().is_ipv4() == addr.is_ipv4();
    let candidates: Vec<&&HostEntry> = directors.iter().filter(same_family).collect();
    let Some(host) = candidates.first() else {
        return;
    };
    // Another interface is said to hold it, or it brings a subnet of its own: that one's hosts are
    // not in the file.
    let elsewhere = vip.interface.as_ref().is_some_and(|i| i.value != host.interface.value);
    let own_subnet = vip.address.prefix_len() < vip.address.max_prefix_len();
    if elsewhere || own_subnet || candidates.iter().any(|host| host.address.contains(&addr)) {
        return;
    }
    let subnet = host.address.trunc();
    let (place, vrrp) = (vip.address.place.clone(), directors.iter().filter(|h| is_director(h)));
    let title = format!("`{addr}` lies in no subnet of the hosts that hold it");
    let (diagnostic, help) = match vrrp.count() {
        0 | 1 => (
            Diagnostic::warning(place, title),
            "clients reach an address outside the subnet only if a router sends it here".into(),
        ),
        _ => (
            Diagnostic::error(place, title),
            format!(
                "if it has a subnet of its own on that link, write its prefix length: {addr}/{}",
                host.address.prefix_len()
            ),
        ),
    };
    let diagnostic = diagnostic
        .related(host.address.place.clone(), format!("host `{}` is in {subnet}", host.name));
    let meant = moved(addr, subnet).filter(|meant| free(cluster, *meant, subnet));
    found.push(match meant {
        Some(meant) => diagnostic.label(format!("did you mean {meant}?")).help(help),
        None => diagnostic.help(help),
    });
}

/// The address with the same host part in another subnet.
fn moved(addr: IpAddr, subnet: IpNet) -> Option<IpAddr> {
    match (addr, subnet) {
        (IpAddr::V4(addr), IpNet::V4(net)) => {
            Some(IpAddr::V4(net.network() | (addr & net.hostmask())))
        }
        (IpAddr::V6(addr), IpNet::V6(net)) => {
            Some(IpAddr::V6(net.network() | (addr & net.hostmask())))
        }
        (IpAddr::V4(_), IpNet::V6(_)) | (IpAddr::V6(_), IpNet::V4(_)) => None,
    }
}

fn free(cluster: &Cluster, addr: IpAddr, subnet: IpNet) -> bool {
    let hosts = cluster.hosts.values().map(|host| host.address.addr());
    let mut taken = hosts.chain(cluster.vips.iter().map(|vip| vip.address.addr()));
    !taken.any(|other| other == addr) && addr != subnet.network() && addr != subnet.broadcast()
}

/// Warns of hosts that are not in the subnet that most are in.
fn one_subnet(cluster: &Cluster, found: &Collector) {
    let mut subnets: BTreeMap<IpNet, Vec<&HostEntry>> = BTreeMap::new();
    for host in cluster.hosts.values() {
        subnets.entry(host.address.trunc()).or_default().push(host);
    }
    for ipv4 in [true, false] {
        let family = || subnets.iter().filter(move |(net, _)| net.addr().is_ipv4() == ipv4);
        let weight =
            |hosts: &[&HostEntry]| (hosts.len(), hosts.iter().any(|host| is_director(host)));
        let Some((most, members)) = family().max_by_key(|(_, hosts)| weight(hosts)) else {
            continue;
        };
        for (subnet, hosts) in family().filter(|(subnet, _)| *subnet != most) {
            let names: Vec<&str> = members.iter().map(|host| host.name.as_str()).collect();
            hosts.iter().for_each(|host| found.push(outside(host, *subnet, *most, &names)));
        }
    }
}

fn outside(host: &HostEntry, subnet: IpNet, most: IpNet, members: &[&str]) -> Diagnostic {
    let (place, name) = (host.address.place.clone(), &host.name);
    let addr = host.address.addr();
    let others = if members.len() > 3 { "most hosts".into() } else { listed(members) };
    let verb = if members.len() == 1 { "is" } else { "are" };
    let title = format!("host `{name}` is in {subnet}, but {others} {verb} in {most}");
    let diagnostic = Diagnostic::warning(place, title);
    if most.contains(&addr) {
        let right = format!("{addr}/{}", most.prefix_len());
        return diagnostic.label(format!("did you mean {right}?"));
    }
    diagnostic.help("direct routing needs all on one link; NAT and tunnels need a router between")
}
