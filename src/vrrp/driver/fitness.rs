//! Whether a router can be Active, from what its interfaces are like.
//!
//! It is always worked out anew from the whole truth of the moment, and added to what tracking
//! says. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::addresses::Port;
use crate::vrrp::config::{Family, RouterConfig, Transport, Vip};
use crate::vrrp::router::Condition;

/// The configuration with the address that its packets come from. IPv6 multicast leaves from the
/// link-local address (RFC 9568 5.1.2.1), whatever the files say; unicast leaves from where the
/// peers expect it.
pub(super) fn resolved(config: &RouterConfig, ports: &BTreeMap<String, Port>) -> RouterConfig {
    let mut resolved = config.clone();
    if config.family == Family::Ipv6 && config.transport == Transport::Multicast {
        let link_local = ports.get(&config.interface).and_then(|port| port.link_local);
        resolved.source = link_local.map_or(config.source, IpAddr::V6);
    }
    resolved
}

/// What tracking says, and what the interfaces add to it. `deaf`: the interface has no socket;
/// `refused`: VIPs that the kernel did not take.
pub(super) fn condition(
    config: &RouterConfig,
    tracked: Option<&Condition>,
    ports: &BTreeMap<String, Port>,
    deaf: Option<&str>,
    refused: &BTreeMap<Vip, String>,
) -> Condition {
    let mut condition = tracked.cloned().unwrap_or_default();
    let lost = link_fault(config, ports).or_else(|| deaf.map(str::to_owned));
    condition.unreachable |= lost.is_some();
    condition.faults.extend(lost);
    let elsewhere: BTreeSet<&str> = config.vips.iter().map(|vip| vip.interface.as_str()).collect();
    let others = elsewhere.into_iter().filter(|interface| *interface != config.interface);
    condition.faults.extend(others.filter_map(|interface| down(interface, ports)));
    let refusals = config.vips.iter().filter_map(|vip| refused.get(vip));
    condition.faults.extend(refusals.cloned());
    condition
}

/// Why nothing can be said or heard on the router's own link.
fn link_fault(config: &RouterConfig, ports: &BTreeMap<String, Port>) -> Option<String> {
    let RouterConfig { interface, source, .. } = config;
    if let Some(fault) = down(interface, ports) {
        return Some(fault);
    }
    let port = ports.get(interface)?;
    match (config.family, config.transport) {
        (Family::Ipv6, Transport::Multicast) if port.link_local.is_some() => None,
        (Family::Ipv6, Transport::Multicast) => {
            Some(format!("interface {interface} has no link-local address"))
        }
        (Family::Ipv4 | Family::Ipv6, _) if port.own.contains(source) => None,
        (Family::Ipv4 | Family::Ipv6, _) => {
            Some(format!("interface {interface} has no address {source}"))
        }
    }
}

fn down(interface: &str, ports: &BTreeMap<String, Port>) -> Option<String> {
    match ports.get(interface) {
        Some(port) if port.running => None,
        Some(_) => Some(format!("interface {interface} is down")),
        None => Some(format!("interface {interface} is missing")),
    }
}
