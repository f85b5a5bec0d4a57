//! This host's interfaces as the link sees them: their Ethernet addresses, and ours on them.
//!
//! Asking the link needs an address of our own to be answered at. Any address that the host has on
//! the interface will do, a VIP as well while it is held, except the one that is asked about.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::check) struct Port {
    /// The kernel's number for it.
    pub(in crate::check) index: u32,
    /// Its Ethernet address; tunnels have none.
    pub(in crate::check) mac: Option<[u8; 6]>,
    /// Its addresses with their subnets, in the kernel's order.
    pub(in crate::check) addresses: Vec<IpNet>,
}

/// Interfaces by name.
pub(in crate::check) type Ports = BTreeMap<String, Port>;

impl Port {
    /// Our own address to ask about one: of the same subnet if there is one, and never itself.
    pub(in crate::check) fn own(&self, about: IpAddr, not: IpAddr) -> Option<IpAddr> {
        let fits = |net: &&IpNet| {
            net.addr() != not
                && net.addr() != about
                && net.addr().is_ipv4() == about.is_ipv4()
                && is_link_local(net.addr()) == is_link_local(about)
        };
        let near = self.addresses.iter().filter(fits).find(|net| net.contains(&about));
        near.or_else(|| self.addresses.iter().find(fits)).map(IpNet::addr)
    }

    /// Whether an address lies in one of its subnets.
    pub(in crate::check) fn spans(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|net| net.contains(&address))
    }

    /// Whether an address lies in one of its subnets, that of the address itself left out: a VIP
    /// that is held here brings its own along.
    pub(in crate::check) fn spans_by_others(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|net| net.addr() != address && net.contains(&address))
    }

    /// Whether it has this address.
    pub(in crate::check) fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|net| net.addr() == address)
    }
}

/// An address that is known on its own link only; the other sort does not answer to it.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_address_is_near_the_other_and_never_what_is_asked_about() {
        let nets =
            ["10.1.0.1/24", "10.77.0.100/24", "10.77.0.9/24", "fe80::1/64", "2001:db8::1/64"];
        let addresses = nets.map(|net| net.parse().expect("a subnet")).to_vec();
        let port = Port { addresses, ..Port::default() };
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let own = |about, not| port.own(address(about), address(not)).map(|own| own.to_string());
        assert_eq!(own("10.77.0.11", "10.77.0.100").as_deref(), Some("10.77.0.9"));
        assert_eq!(own("10.77.0.100", "10.77.0.100").as_deref(), Some("10.77.0.9"));
        assert_eq!(own("192.0.2.1", "10.77.0.100").as_deref(), Some("10.1.0.1"));
        assert_eq!(own("2001:db8::9", "::").as_deref(), Some("2001:db8::1"));
        assert_eq!(own("fe80::9", "::").as_deref(), Some("fe80::1"));
        assert!(port.spans(address("10.77.0.11")) && !port.spans(address("192.0.2.1")));
        assert!(port.has(address("10.77.0.9")) && !port.has(address("10.77.0.11")));
    }
}
