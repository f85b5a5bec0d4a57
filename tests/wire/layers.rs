//! What this machine's own kernel may lack: tunnels, VLANs and bonds, in user-mode Linux.
//!
//! Servers take packets out of the kernel's own tunnel devices, and hosts have their addresses on
//! something else than what is plugged in.

use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use converge::check::config::Way;
use converge::check::wire::flow::{FlowConfig, FlowServer};
use converge::frame::tunnel::Tunnel;

use super::host::{Host, Layer, Link, VIP, VIP6, at, through};
use super::watch::Watch;
use crate::kinds::sh;
use crate::kinds::uml::each_in_uml;

each_in_uml! {
    async fn servers_are_asked_through_every_tunnel_of_either_family(_host) {
        sh("modprobe -a ipip ip_gre fou ip6_tunnel ip6_gre fou6");
        let link = Link::new();
        let director = link.host(1);
        director.sysctl("ipv4/conf/all/rp_filter", 1);
        let ways = [
            (11, Tunnel::Ipip, "tunl0", "ip6tnl0"),
            (12, Tunnel::Gre, "gre0", "ip6gre0"),
            (13, Tunnel::Gue(6080), "tunl0", "ip6tnl0"),
        ];
        for (number, tunnel, device, device6) in ways {
            let server = link.host(number);
            behind(&director, &server, tunnel, device, VIP, server.address()).await;
            behind(&director, &server, tunnel, device6, VIP6, server.address6()).await;
        }
    }

    async fn faults_are_found_on_a_vlan_of_a_bond_and_behind_nat(_host) {
        sh("modprobe -a 8021q ip_vs_rr && modprobe bonding max_bonds=0");
        tokio::join!(vlan_of_bond(), one_way());
    }
}

/// A server behind a tunnel, first without what it needs for it.
async fn behind(
    director: &Host,
    server: &Host,
    tunnel: Tunnel,
    device: &str,
    vip: &str,
    address: IpAddr,
) {
    let mut checked =
        director.checks(through(vip, director.interface, address, Way::Tunnel(tunnel)));
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let mends = format!("ip address add {vip}/{bits} dev {device}");
    checked.until_down(&mends).await;
    server.sh(&format!("ip link set {device} up && {mends}"));
    if address.is_ipv4() {
        let names = "/proc/sys/net/ipv4/conf";
        server.sh(&format!("for i in all {device}; do echo 0 > {names}/$i/rp_filter; done"));
    }
    if let Tunnel::Gue(port) = tunnel {
        let family = if address.is_ipv4() { "" } else { "-6" };
        server.sh(&format!("ip {family} fou add port {port} gue"));
    }
    let port = if address.is_ipv4() { 80 } else { 81 };
    checked.until_down(&format!("port {port} is closed")).await;
    let listening = server.serve();
    checked.until_up().await;
    drop(listening);
}

/// Hosts with their addresses on a VLAN of a bond.
async fn vlan_of_bond() {
    let link = Link::of("vlan", Layer::VlanOfBond);
    let (director, (server, _listening), client) = (link.host(1), link.server(11), link.host(7));
    let on = director.interface;
    director.sh(&format!("ip addr add {VIP}/24 dev {on}"));
    director.checks(through(VIP, on, server.address(), Way::Direct)).until_up().await;
    server.sysctl("ipv4/conf/all/arp_ignore", 0);
    let mut watch = Watch::start(&director, &[&server], &[]);
    let found = watch.finds().await;
    let leak = format!("real server h11 ({}) answers ARP for the VIP {VIP} on {on}", server.mac());
    assert!(found.starts_with(&leak), "{found}");
    client.sh(&format!("ip addr add 192.0.2.7/24 dev {on}"));
    client.sh(&format!("ip route add {VIP}/32 via 10.77.0.11 src 192.0.2.7"));
    server.sh("ip route add default via 10.77.0.1");
    let found = watch.finds_while(|| connect(&client)).await;
    let returns = "sends its replies from the VIP 10.77.0.100 through this director";
    assert!(found.contains(returns), "{found}");
}

/// A masqueraded server whose gateway is not the director.
async fn one_way() {
    let link = Link::of("nat", Layer::Plain);
    let (director, server, client) = (link.host(1), link.host(11), link.host(7));
    let _listening = server.serve();
    director.sh(&format!("ip addr add {VIP}/24 dev eth0"));
    director.sysctl("ipv4/ip_forward", 1);
    director.sh(&format!("ipvsadm -A -t {VIP}:80 -s rr"));
    director.sh(&format!("ipvsadm -a -t {VIP}:80 -r 10.77.0.11:80 -m"));
    director.sh("ip route add 192.0.2.0/24 dev eth0");
    client.sh("ip addr add 192.0.2.7/24 dev eth0");
    client.sh(&format!("ip route add {VIP}/32 dev eth0 src 192.0.2.7"));
    // It reaches clients, but not through the director.
    server.sh("ip route add 192.0.2.0/24 dev eth0");
    let id = format!("TCP {VIP}:80").parse().expect("an id");
    let (host, end) = (server.name(), at("10.77.0.11:80"));
    let flow = FlowServer { host, at: end, checks: Vec::new() };
    let flow = FlowConfig { id, servers: vec![flow] };
    let mut watch = Watch::over_flows(&director, vec![flow]);
    watch.answering(id, end);
    let found = watch.finds_while(|| connect(&client)).await;
    let named = "real server h11 (10.77.0.11:80) answers checks, but of what clients of TCP";
    assert!(found.starts_with(named), "{found}");
}

/// A client begins to connect to the VIP, and does not wait for what becomes of it.
fn connect(client: &Host) {
    let limit = Duration::from_millis(20);
    let to = at(&format!("{VIP}:80"));
    client.neighbour.within(|| drop(TcpStream::connect_timeout(&to, limit)));
}
