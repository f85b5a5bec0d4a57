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

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vrrp::config::{Announcing, Checksum, Interval, OWNER, Preempt, Version};

    /// A router on eth0.
    pub(in crate::vrrp::driver) fn config() -> RouterConfig {
        RouterConfig {
            name: "web".into(),
            vrid: OWNER,
            family: Family::Ipv4,
            version: Version::V3,
            interface: "eth0".into(),
            source: [192, 0, 2, 1].into(),
            transport: Transport::Unicast,
            peers: Vec::new(),
            priority: OWNER,
            interval: Interval::DEFAULT,
            preempt: Preempt::Now,
            start_delay: Duration::ZERO,
            checksum: Checksum::PseudoHeader,
            password: None,
            sync_group: None,
            vips: vec![vip("192.0.2.100/32", "eth0")],
            announcing: Announcing::default(),
        }
    }

    fn vip(address: &str, interface: &str) -> Vip {
        let address = address.parse().expect("a prefix");
        Vip { address, interface: interface.into(), label: None }
    }

    fn port(running: bool, own: &[IpAddr]) -> Port {
        let link_local = own.iter().find_map(|address| match address {
            IpAddr::V6(a) if a.is_unicast_link_local() => Some(*a),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        });
        let own = own.iter().copied().collect();
        let (index, mac, arp, router) = (1, None, true, false);
        Port { index, mac, running, arp, router, own, link_local }
    }

    fn ports<const N: usize>(ports: [(&str, Port); N]) -> BTreeMap<String, Port> {
        ports.into_iter().map(|(name, port)| (name.to_owned(), port)).collect()
    }

    fn found(config: &RouterConfig, ports: &BTreeMap<String, Port>) -> (Vec<String>, bool) {
        let condition = condition(config, None, ports, None, &BTreeMap::new());
        (condition.faults.into_iter().collect(), condition.unreachable)
    }

    #[test]
    fn a_router_whose_link_is_lost_is_unreachable_and_says_why() {
        let own = [[192, 0, 2, 1].into()];
        for (ports, fault) in [
            (ports([]), "interface eth0 is missing"),
            (ports([("eth0", port(false, &own))]), "interface eth0 is down"),
            (ports([("eth0", port(true, &[]))]), "interface eth0 has no address 192.0.2.1"),
        ] {
            assert_eq!(found(&config(), &ports), (vec![fault.to_owned()], true));
        }
        assert_eq!(found(&config(), &ports([("eth0", port(true, &own))])), (vec![], false));
    }

    #[test]
    fn a_vip_on_another_interface_that_is_down_is_a_fault_of_which_peers_can_be_told() {
        let mut config = config();
        config.vips.push(vip("198.51.100.1/32", "eth1"));
        let own = [[192, 0, 2, 1].into()];
        let ports = ports([("eth0", port(true, &own)), ("eth1", port(false, &[]))]);
        assert_eq!(found(&config, &ports), (vec!["interface eth1 is down".to_owned()], false));
    }

    #[test]
    fn ipv6_multicast_comes_from_the_link_local_address_and_unicast_from_the_configured_one() {
        let address = |text: &str| -> IpAddr { text.parse().expect("an address") };
        let own = [address("2001:db8::1"), address("fe80::1")];
        let ports = ports([("eth0", port(true, &own))]);
        let (family, source) = (Family::Ipv6, own[0]);
        for (transport, expected) in [(Transport::Multicast, own[1]), (Transport::Unicast, own[0])]
        {
            let config = RouterConfig { family, source, transport, ..config() };
            let resolved = resolved(&config, &ports);
            assert_eq!(resolved.source, expected);
            assert_eq!(found(&resolved, &ports), (vec![], false));
        }
    }

    #[test]
    fn what_tracking_says_counts_beside_the_interfaces() {
        let faults = BTreeSet::from(["nginx has failed".to_owned()]);
        let tracked = Condition { faults, adjust: -20, unreachable: false };
        let refused = BTreeMap::from([(config().vips[0].clone(), "refused".to_owned())]);
        let own = [[192, 0, 2, 1].into()];
        let ports = ports([("eth0", port(true, &own))]);
        let condition = condition(&config(), Some(&tracked), &ports, None, &refused);
        assert_eq!(condition.adjust, -20);
        assert!(!condition.unreachable);
        assert_eq!(condition.faults.len(), 2, "{condition:?}");
    }
}
