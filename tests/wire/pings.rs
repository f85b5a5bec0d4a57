//! ICMP echo, by either sort of socket.

use std::net::IpAddr;

use super::host::{Host, Link, ping};
use crate::kinds::apart::each_in_a_namespace;

/// Pings a server of both families, which goes and comes back.
async fn pinged(director: &Host, server: &Host) {
    for address in [server.address(), server.address6()] {
        let mut checked = director.checks(ping(address));
        checked.until_up().await;
        server.sh("ip link set eth0 down");
        checked.until_down("no echo came back").await;
        server.sh("ip link set eth0 up");
        let v6 = server.address6();
        server.sh(&format!("ip addr replace {v6}/64 dev eth0 nodad"));
        checked.until_up().await;
    }
}

each_in_a_namespace! {
    async fn a_host_answers_pings_of_a_raw_socket(_host) {
        let link = Link::new();
        let (director, server) = (link.host(1), link.host(11));
        pinged(&director, &server).await;
    }

    async fn a_host_answers_pings_of_an_icmp_socket(_host) {
        let link = Link::new();
        let (director, server) = (link.host(1), link.host(11));
        director.sh("echo 0 0 > /proc/sys/net/ipv4/ping_group_range");
        pinged(&director, &server).await;
    }

    async fn what_a_router_says_is_the_reason(_host) {
        let link = Link::new();
        let (director, router) = (link.host(1), link.host(2));
        director.sh("ip route add default via 10.77.0.2");
        router.sysctl("ipv4/ip_forward", 1);
        router.sysctl("ipv4/icmp_ratelimit", 0);
        router.sh("ip route add prohibit 192.0.2.0/24 && ip route add unreachable 198.51.100.0/24");
        for groups in ["1 0", "0 0"] {
            director.sh(&format!("echo {groups} > /proc/sys/net/ipv4/ping_group_range"));
            for (address, why) in [
                ([192, 0, 2, 1], "administratively prohibited, says 10.77.0.2"),
                ([198, 51, 100, 1], "host unreachable, says 10.77.0.2"),
            ] {
                director.checks(ping(IpAddr::from(address))).until_down(why).await;
            }
        }
    }

    async fn a_host_without_a_way_there_says_so(_host) {
        let link = Link::new();
        let director = link.host(1);
        let mut checked = director.checks(ping(IpAddr::from([192, 0, 2, 1])));
        checked.until_down("network is unreachable").await;
    }
}
