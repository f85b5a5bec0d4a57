//! Who cannot be on a link, by the addresses alone.
//!
//! In direct routing a packet for the VIP reaches a server by its Ethernet address, so a server in
//! another subnet gets none, unless two subnets share one link.

use std::net::IpAddr;

use ipnet::IpNet;

/// Those servers, each a host and an address, that lie outside of an interface's subnet. Of another
/// family nothing is said.
pub fn outside(subnet: IpNet, servers: &[(String, IpAddr)]) -> Vec<&(String, IpAddr)> {
    let same_family = |address: IpAddr| address.is_ipv4() == subnet.addr().is_ipv4();
    let lies_outside =
        |(_, address): &&(String, IpAddr)| same_family(*address) && !subnet.contains(address);
    servers.iter().filter(lies_outside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_another_subnet_lie_outside() {
        let server = |host: &str, address: &str| (host.to_owned(), address.parse().expect("one"));
        let servers = [
            server("w1", "10.77.0.11"),
            server("w2", "10.77.1.12"),
            server("w3", "2001:db8:1::13"),
            server("w4", "10.77.0.255"),
        ];
        let subnet = |text: &str| text.parse::<IpNet>().expect("a subnet");
        assert_eq!(outside(subnet("10.77.0.1/24"), &servers), [&servers[1]]);
        assert_eq!(outside(subnet("10.77.0.1/16"), &servers), Vec::<&(String, IpAddr)>::new());
        assert_eq!(outside(subnet("2001:db8::1/64"), &servers), [&servers[2]]);
        assert_eq!(outside(subnet("10.77.0.11/32"), &servers), [&servers[1], &servers[3]]);
    }
}
