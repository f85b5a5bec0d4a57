//! What the hosts of one router have to agree on.
//!
//! One role says it for all of them, so they differ only where a variable of one host does. Where
//! they differ, at least one of them does not hear the others, and the VIPs are on two hosts.

use std::collections::BTreeSet;

use crate::diagnostic::{Collector, Diagnostic};
use crate::role::election::Member;
use crate::role::words::{of_transport, of_version, written};
use crate::vrrp::config::{Family, RouterConfig};

/// Holds every host against the first.
pub(super) fn check(members: &[&Member], found: &Collector) {
    let Some((first, others)) = members.split_first() else {
        return;
    };
    for other in others {
        let (ours, theirs) = (said(first), said(other));
        for (one, another) in ours.into_iter().zip(theirs).filter(|(a, b)| a.value != b.value) {
            found.push(differs(first, &one, other, &another));
        }
    }
}

/// One thing to agree on.
struct Said {
    key: &'static str,
    value: String,
    /// What happens where two differ.
    so: &'static str,
}

fn said(member: &Member) -> Vec<Said> {
    let router = &member.config;
    let says = &member.vrrp.says;
    let thing = |key, value, so| Said { key, value, so };
    let prefer = says.prefer.as_ref().map(|p| p.value.clone()).unwrap_or_default();
    let password = says.password.as_ref().map(|p| p.value.clone()).unwrap_or_default();
    let unheard = "neither would hear the other, and both would hold the VIPs";
    vec![
        thing("vrid", router.vrid.to_string(), unheard),
        thing("version", of_version(router.version).into(), unheard),
        thing("family", of_family(router.family).into(), unheard),
        thing("transport", of_transport(router.transport).into(), unheard),
        thing(
            "interval",
            written(router.interval.get()),
            "a backup waits for three of its own intervals until it has heard the other's",
        ),
        thing("password", password, "each would discard what the other says"),
        thing("prefer", prefer, "each would count on another host"),
        thing("VIPs", vips(router), "one that moves would not arrive"),
    ]
}

fn of_family(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

/// In no order: an advertisement may name them in any.
fn vips(router: &RouterConfig) -> String {
    let vips: BTreeSet<String> = router.vips.iter().map(|vip| vip.address.to_string()).collect();
    if vips.is_empty() { "none".into() } else { Vec::from_iter(vips).join(", ") }
}

fn differs(first: &Member, one: &Said, other: &Member, another: &Said) -> Diagnostic {
    // A password is not shown.
    let shown = |said: &Said, hidden: &str| match (said.key, said.value.as_str()) {
        (_, "") => "\"\"".to_owned(),
        ("password", _) => hidden.to_owned(),
        (_, value) => value.to_owned(),
    };
    let (key, name) = (one.key, &first.config.name);
    let (ours, theirs) = (shown(one, "another"), shown(another, "one"));
    let title = format!(
        "for router `{name}`, {key} is {theirs} on host `{}`, but {ours} on host `{}`",
        other.host.value, first.host.value
    );
    Diagnostic::error(other.place().clone(), title)
        .label(format!("{key} {theirs}"))
        .related(first.place().clone(), format!("{key} {ours}"))
        .help(format!("{}; set it where it holds for both", one.so))
}
