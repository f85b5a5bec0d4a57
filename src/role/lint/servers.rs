//! What is likely not meant about real servers: checks that tell too little, and servers that
//! direct routing cannot reach.
//!
//! Neither is an error: who knows better goes on, and is told all the same.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::cluster::HostEntry;
use crate::diagnostic::{Diagnostic, Place};
use crate::ipvs::model::Protocol;
use crate::role::check::Check;

/// An echo comes from the kernel of a host whose web server is dead.
pub fn lone_ping(checks: &[Check], protocol: Protocol) -> Option<Diagnostic> {
    let first = checks.first()?;
    if protocol != Protocol::Tcp || !checks.iter().all(Check::is_ping) {
        return None;
    }
    let title = "a ping alone does not tell whether anything listens";
    let diagnostic = Diagnostic::warning(first.place.clone(), title)
        .label("a host answers it whose server is dead")
        .help("write `tcp`, or what the server speaks, such as `http`");
    Some(diagnostic)
}

/// A password that is sent as it is through the routers between two subnets: that of this host,
/// and that of whom the check asks, who need not be the server.
pub fn readable_password(checks: &[Check], own: &IpNet, host: &HostEntry) -> Option<Diagnostic> {
    let server = host.address.addr();
    let is_far = |check: &&Check| check.is_readable() && is_beyond(own, check.asks(server));
    let check = checks.iter().find(is_far)?;
    let asked = match check.asks(server) {
        address if address == server => host.name.to_string(),
        address => address.to_string(),
    };
    let title = format!("the password of this check can be read on the way to `{asked}`");
    let diagnostic = Diagnostic::warning(check.place.clone(), title)
        .label("it is in another subnet, and the check speaks without TLS")
        .help("add `tls = \"on\"` or \"starttls\"; or `cleartext = true`, if nobody listens there");
    Some(diagnostic)
}

/// Whether none of the checks that there are suits a host, so that it would count as well for ever.
pub fn is_unchecked(checks: &[Check], host: &HostEntry) -> bool {
    let address = host.address.addr();
    !checks.is_empty() && !checks.iter().any(|check| check.suits(address))
}

/// Says so of the first of such hosts.
pub fn not_checked(checks: &[Check], hosts: &[&HostEntry]) -> Option<Diagnostic> {
    let (first, rest) = hosts.split_first()?;
    let name = &first.name.value;
    let title = format!("nothing checks `{name}`{}: it counts as well even when dead", and(rest));
    let diagnostic = Diagnostic::warning(checks.first()?.place.clone(), title)
        .label("through a VIP of another family than its address nothing is asked")
        .help("add a check of its own address, such as `tcp`");
    Some(diagnostic)
}

/// That what is asked for is asked of nobody, which stands at that place.
pub fn asked_in_vain(place: Place) -> Diagnostic {
    let title = "nothing checks these real servers: they count as well even when dead";
    Diagnostic::warning(place, title.to_owned())
        .label("through the VIP is asked over TCP, and what direct routing or a tunnel leads to")
        .help("add a check of their own addresses, such as `tcp`")
}

fn and(rest: &[&HostEntry]) -> String {
    match rest.len() {
        0 => String::new(),
        rest => format!(", and {rest} more"),
    }
}

/// Whether a director has no way to a host's Ethernet address, as far as the cluster file shows it.
pub fn is_outside(own: &IpNet, host: &HostEntry) -> bool {
    is_beyond(own, host.address.addr())
}

/// Whether routers are between. What this host asks of itself leaves it for nobody.
fn is_beyond(own: &IpNet, address: IpAddr) -> bool {
    own.addr().is_ipv4() == address.is_ipv4() && !own.contains(&address) && !address.is_loopback()
}

/// Says so of the first of such hosts.
pub fn not_on_segment(own: &IpNet, hosts: &[&HostEntry]) -> Option<Diagnostic> {
    let (first, rest) = hosts.split_first()?;
    let more = and(rest);
    let name = &first.name.value;
    let title = format!("direct routing does not reach `{name}`: it is outside of {}", own.trunc());
    let diagnostic = Diagnostic::warning(first.address.place.clone(), title)
        .label(format!("packets go to its Ethernet address{more}"))
        .help("use forward = \"tun\" or \"fullnat\", or put it into the directors' subnet");
    Some(diagnostic)
}
