//! Links that only look as if something were wrong: nothing is found on them.
//!
//! Each scene is a link of its own; all of them are watched at the same time, since what they are
//! about is that nothing happens.

use std::net::IpAddr;
use std::time::Duration;

use converge::check::config::Way;
use converge::frame::arp;
use tokio::time::sleep;

use super::host::{Host, Layer, Link, VIP, through};
use super::watch::Watch;
use crate::kinds::apart::each_in_a_namespace;

/// A VIP outside of the link's subnet.
const FAR: &str = "192.0.2.100";

each_in_a_namespace! {
    async fn links_that_only_look_strange_are_left_in_peace(_host) {
        tokio::join!(
            proxy_arp(),
            another_subnet(),
            servers_that_are_directors(),
            a_director_of_another_make(),
            a_lease_that_still_runs(),
        );
    }

    async fn what_is_said_in_another_vlan_is_not_heard(_host) {
        let link = Link::new();
        let (director, (one, _), other) = (link.host(1), link.server(11), link.host(9));
        director.sh(&format!("ip addr add {VIP}/24 dev eth0"));
        director.sh("ip link set eth0 promisc on");
        let mut watch = Watch::start(&director, &[&one], &[]);
        let port = other.port("eth0");
        let claim = reply(&other, VIP);
        let tagged = [&claim[..12], &[0x81, 0, 0, 5], &claim[12..]].concat();
        let quiet = async {
            for _ in 0..30 {
                port.send(&tagged).expect("it is sent");
                sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::join!(watch.finds_nothing(), quiet);
        // The same without the tag is heard.
        let found = watch.finds_while(|| drop(port.send(&claim))).await;
        assert!(found.contains("neither a director nor a real server"), "{found}");
    }
}

/// A router answers for all that it knows another way to: also for a VIP that nobody on the link
/// asks for.
async fn proxy_arp() {
    let link = Link::of("proxy", Layer::Plain);
    let (director, holder, router) = (link.host(1), link.host(2), link.host(3));
    let (server, _listening) = link.server(11);
    holder.sh(&format!("ip addr add {FAR}/32 dev eth0"));
    server.sh(&format!("ip addr add {FAR}/32 dev lo"));
    router.sh("ip link add up0 type veth peer name up1 && ip link set up0 up");
    router.sh("ip link set up1 up && ip addr add 198.51.100.1/24 dev up0");
    router.sh("ip route add default via 198.51.100.2");
    router.sysctl("ipv4/ip_forward", 1);
    router.sysctl("ipv4/conf/eth0/proxy_arp", 1);
    router.sysctl("ipv4/neigh/eth0/proxy_delay", 0);
    // It does so indeed.
    director.sh("ip route add 203.0.113.9/32 dev eth0");
    let known = || director.sh("ping -c 1 -W 1 203.0.113.9 >&2; ip neigh show 203.0.113.9");
    let answered = (0..20).any(|_| known().contains(&router.mac()));
    assert!(answered, "{}", known());
    Watch::over(FAR, &director, &[&server], &[&holder]).finds_nothing().await;
}

/// A VIP of another subnet, hosts with two addresses in one, and a server with two interfaces on
/// one link, which answers from both.
async fn another_subnet() {
    let link = Link::of("other", Layer::Plain);
    let (director, (server, _listening)) = (link.host(1), link.server(11));
    director.sh("ip addr add 10.77.0.201/24 dev eth0");
    director.sh(&format!("ip addr add {FAR}/32 dev eth0"));
    link.plug(&server.neighbour, 11, "eth1");
    server.sh("ip addr add 10.77.0.111/24 dev eth1");
    server.sh("ip addr add 10.77.0.112/24 dev eth0");
    server.sh(&format!("ip addr add {FAR}/32 dev lo"));
    let mut watch = Watch::over(FAR, &director, &[&server], &[]);
    watch.reachable(&[server.address()]);
    let check = through(FAR, "eth0", server.address(), Way::Direct);
    tokio::join!(watch.finds_nothing(), async { director.checks(check).until_up().await });
}

/// This director, and the one that holds the VIP, are real servers as well.
async fn servers_that_are_directors() {
    let link = Link::of("both", Layer::Plain);
    let (director, holder, (server, _listening)) = (link.host(1), link.host(2), link.server(11));
    let _here = director.serve();
    holder.sh(&format!("ip addr add {VIP}/24 dev eth0"));
    let mut watch = Watch::start(&director, &[&director, &holder, &server], &[&holder]);
    watch.reachable(&[director.address(), holder.address(), server.address()]);
    // Nothing goes over the link to this host itself.
    let check = through(VIP, "eth0", director.address(), Way::Direct);
    tokio::join!(watch.finds_nothing(), async { director.checks(check).until_up().await });
}

/// The holder is in no file of ours: a keepalived whose host the cluster file does not name.
async fn a_director_of_another_make() {
    let link = Link::of("make", Layer::Plain);
    let (director, stranger, (server, _listening)) = (link.host(1), link.host(9), link.server(11));
    stranger.sh(&format!("ip addr add {VIP}/24 dev eth0"));
    Watch::start(&director, &[&server], &[]).finds_nothing().await;
}

/// After the death of a converge its kernel goes on answering for a while.
async fn a_lease_that_still_runs() {
    let link = Link::of("lease", Layer::Plain);
    let (director, other, (server, _listening)) = (link.host(1), link.host(2), link.server(11));
    other.sh(&format!("ip addr add {VIP}/24 dev eth0 valid_lft 7 preferred_lft 7"));
    director.sh(&format!("ip addr add {VIP}/24 dev eth0"));
    let mut watch = Watch::start(&director, &[&server], &[&other]);
    watch.finds_nothing().await;
}

/// A frame to everybody in which a host says that an address is its own.
fn reply(host: &Host, address: &str) -> Vec<u8> {
    let IpAddr::V4(address) = address.parse().expect("an address") else { panic!("of IPv4") };
    let mac = host.mac();
    let mut bytes = mac.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("two digits"));
    let mac: [u8; 6] = std::array::from_fn(|_| bytes.next().expect("six bytes"));
    let mut frame = arp::announcement(address, mac).to_vec();
    // An answer (RFC 826), not a request.
    frame[21] = 2;
    frame
}
