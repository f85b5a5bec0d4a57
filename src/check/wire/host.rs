//! What this host has: its interfaces and addresses, read from the kernel.
//!
//! A whole look each time, which a few times a minute costs nothing. Labels, by which the C
//! library names addresses, are taken off again.

use std::net::IpAddr;

use ipnet::IpNet;
use nix::errno::Errno;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::sys::socket::SockaddrStorage;

use super::ports::Ports;

/// The interfaces and their addresses.
pub(in crate::check) fn ports() -> Result<Ports, Errno> {
    let mut ports = Ports::new();
    for found in getifaddrs()? {
        let name = found.interface_name.split(':').next().unwrap_or_default();
        let port = ports.entry(name.to_owned()).or_default();
        if let Some(link) = found.address.as_ref().and_then(SockaddrStorage::as_link_addr) {
            port.index = u32::try_from(link.ifindex()).unwrap_or(0);
            // A tunnel's are zero or not of Ethernet.
            port.mac = link.addr().filter(|mac| link.halen() == 6 && *mac != [0; 6]);
        }
        port.addresses.extend(net(&found));
    }
    Ok(ports)
}

fn net(found: &InterfaceAddress) -> Option<IpNet> {
    let address = ip(found.address.as_ref()?)?;
    let mask = found.netmask.as_ref().and_then(ip);
    IpNet::with_netmask(address, mask?).ok()
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}
