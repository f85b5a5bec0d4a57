//! What one host's router says that its protocol cannot do, or that does not do what it seems to.
//!
//! Where a VRID is used twice is found out over all hosts: two routers of one number on one link
//! take each other's advertisements for their own.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::HostName;
use crate::diagnostic::{Collector, Diagnostic};
use crate::role::election::{Election, Member};
use crate::role::words::of_preempt;
use crate::vrrp::config::{Family, OWNER, Preempt, Transport, Version};

/// The bytes of a VRRPv2 password (RFC 2338 5.3.10).
const PASSWORD: usize = 8;

pub(super) fn check(member: &Member, found: &Collector) {
    found.extend(old_version(member));
    found.extend(no_way_to_peers(member));
    found.extend(owner_waits(member));
    found.extend(password(member));
}

/// RFC 3768 knows IPv4 alone.
fn old_version(member: &Member) -> Option<Diagnostic> {
    let router = &member.config;
    if (router.version, router.family) != (Version::V2, Family::Ipv6) {
        return None;
    }
    let title = format!("VRRPv2 cannot speak of IPv6, as router `{}` would", router.name);
    let place = member.vrrp.says.version.place.clone();
    Some(Diagnostic::error(place, title).help("version 3 can"))
}

/// Unicast goes from and to the addresses of the cluster file.
fn no_way_to_peers(member: &Member) -> Option<Diagnostic> {
    let (router, says) = (&member.config, &member.vrrp.says);
    if router.transport == Transport::Multicast {
        return None;
    }
    let help = "`transport = \"multicast\"` needs no addresses of peers";
    let (host, name) = (&member.host.value, &router.name);
    let of_family = |address: std::net::IpAddr| Family::of(address) == router.family;
    if let Some(peer) = router.peers.iter().find(|peer| !of_family(peer.address)) {
        let title = format!(
            "router `{name}` has VIPs of another family than the address of its host `{}`",
            peer.name
        );
        return Some(Diagnostic::error(says.transport.place.clone(), title).help(help));
    }
    if router.interface != member.own_interface {
        let title = format!(
            "router `{name}` speaks on {}, but host `{host}` has its address on {}",
            router.interface, member.own_interface
        );
        return Some(Diagnostic::error(says.interface.place.clone(), title).help(help));
    }
    None
}

/// RFC 9568 6.1: the owner of the addresses preempts, whatever Preempt_Mode says.
fn owner_waits(member: &Member) -> Option<Diagnostic> {
    let router = &member.config;
    if router.priority != OWNER || router.preempt == Preempt::Now {
        return None;
    }
    let said = of_preempt(router.preempt);
    let title = format!(
        "host `{}` owns the addresses of router `{}` (priority 255) and cannot preempt {said}",
        member.host.value, router.name
    );
    let place = member.vrrp.says.preempt.place.clone();
    Some(
        Diagnostic::error(place, title)
            .help("write `preempt = \"now\"`, or a priority of 254 at most"),
    )
}

/// A password is for peers that want one; nobody may take it for a lock. It is no secret on the
/// link, but what is said of it goes into logs, which are read elsewhere.
fn password(member: &Member) -> Option<Diagnostic> {
    let password = member.vrrp.says.password.as_ref()?;
    let (place, text) = (password.place.clone(), password.value.as_str());
    if member.config.version == Version::V3 {
        let title = "VRRPv3 has no passwords";
        let help = "RFC 9568 has none because they never protected anything; leave it out, or \
                    use version 2 for peers that want it";
        return Some(Diagnostic::error(place, title).help(help));
    }
    let title = match (text, text.len()) {
        ("1111", _) => "`1111` is the password of keepalived's sample, which everybody has".into(),
        (_, long) if long > PASSWORD => {
            format!("of this password's {long} bytes VRRPv2 sends the first {PASSWORD}")
        }
        (_, _) => "a VRRP password is no security".into(),
    };
    let help = "it stands in every packet for all to read: it tells apart routers that were set \
                up differently, and keeps nobody out";
    Some(Diagnostic::warning(place, title).help(help))
}

/// Two routers with one VRID where they hear each other.
pub(super) fn vrids(election: &Election, found: &Collector) {
    let spoken = election.routers().filter(|(_, members)| members.len() > 1);
    let all: Vec<&Member> = spoken.flat_map(|(_, members)| members.values()).collect();
    let taken = |vrid: u8| all.iter().any(|member| member.config.vrid.get() == vrid);
    let free = (1..=255).find(|vrid| !taken(*vrid)).unwrap_or(1);
    // Once for each two routers is enough.
    let mut told: BTreeSet<(&String, &String)> = BTreeSet::new();
    for (i, one) in all.iter().enumerate() {
        let clashes = |other: &&&Member| {
            let (a, b) = (&one.config, &other.config);
            a.name != b.name && (a.vrid, a.family) == (b.vrid, b.family) && one.shares_link(other)
        };
        for other in all[i + 1..].iter().filter(clashes) {
            if told.insert((&one.config.name, &other.config.name)) {
                found.push(twice(one, other, free));
            }
        }
    }
}

fn twice(one: &Member, other: &Member, free: u8) -> Diagnostic {
    let (a, b) = (&one.config, &other.config);
    let title = format!(
        "routers `{}` and `{}` have the same VRID, {}, on one link",
        a.name, b.name, a.vrid
    );
    let help = format!(
        "each would take the other's advertisements for its own; {free} is free: `vrid = {free}` \
         for the VIPs of `{}`",
        b.name
    );
    Diagnostic::error(other.vrrp.says.vrid.place.clone(), title).help(help)
}

/// A group that holds nothing together.
pub(super) fn sync_groups(election: &Election, found: &Collector) {
    let mut groups: BTreeMap<(&HostName, &str), Vec<&Member>> = BTreeMap::new();
    let spoken = election.routers().filter(|(_, members)| members.len() > 1);
    for member in spoken.flat_map(|(_, members)| members.values()) {
        if let Some(group) = &member.config.sync_group {
            groups.entry((&member.host.value, group)).or_default().push(member);
        }
    }
    for ((host, group), members) in groups {
        let ([only], Some(said)) = (
            members.as_slice(),
            members.first().and_then(|member| member.vrrp.says.sync_group.as_ref()),
        ) else {
            continue;
        };
        let name = &only.config.name;
        let title = format!("on host `{host}`, router `{name}` is alone in sync group `{group}`");
        let help = "a group is for routers that are to be active together; leave it out";
        found.push(Diagnostic::warning(said.place.clone(), title).help(help));
    }
}
