//! Whether a real server takes packets for the VIP, asked by a director.

use std::time::{Duration, Instant};

use converge::check::config::Way;
use converge::check::outcome::{Health, State};

use super::host::{Layer, Link, VIP, VIP6, through, through_vip};
use crate::kinds::apart::each_in_a_namespace;

each_in_a_namespace! {
    async fn a_server_with_the_vip_is_up_and_keeps_no_half_open_connection(_host) {
        let link = Link::new();
        let (director, (server, _listening)) = (link.host(1), link.server(11));
        let mut checked = director.checks(through_vip(server.address(), Way::Direct));
        checked.until_up().await;
        let states = || server.sh("cat /proc/net/tcp");
        // 03 is SYN-RECV.
        let half_open = |line: &&str| line.split_whitespace().nth(3) == Some("03");
        // Some more knocks. Whatever they left would stay for a minute.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let end = Instant::now() + Duration::from_secs(20);
        while states().lines().any(|line| half_open(&line)) {
            assert!(Instant::now() < end, "{}", states());
        }
    }

    async fn the_active_director_hears_answers_from_an_address_of_its_own(_host) {
        let link = Link::new();
        let (director, (server, _listening)) = (link.host(1), link.server(11));
        director.sh(&format!("ip addr add {VIP}/24 dev eth0"));
        director.sh(&format!("ip addr add {VIP6}/64 dev eth0 nodad"));
        director.sysctl("ipv4/conf/all/rp_filter", 1);
        director.checks(through_vip(server.address(), Way::Direct)).until_up().await;
        director.checks(through_vip(server.address6(), Way::Direct)).until_up().await;
    }

    async fn a_server_without_the_vip_is_told_what_mends_it(_host) {
        let link = Link::new();
        let (director, (server, _listening)) = (link.host(1), link.server(11));
        let mut checked = director.checks(through_vip(server.address(), Way::Direct));
        checked.until_up().await;
        server.sh(&format!("ip addr del {VIP}/32 dev lo"));
        let why = checked.until_down("takes no packets").await;
        assert_eq!(
            why,
            "it takes no packets for 10.77.0.100: `ip address add 10.77.0.100/32 dev lo` there, \
             or converge with role realserver"
        );
        server.sh(&format!("ip addr add {VIP}/32 dev lo"));
        checked.until_up().await;
    }

    async fn a_server_that_passes_packets_on_to_one_who_answers_is_not_up(_host) {
        let link = Link::new();
        let (director, (server, _listening)) = (link.host(1), link.server(11));
        // It holds the VIP, and answers on the port itself.
        let active = link.host(2);
        active.sh(&format!("ip addr add {VIP}/24 dev eth0"));
        let _sorry = active.listen("0.0.0.0:80");
        server.sh(&format!("ip addr del {VIP}/32 dev lo"));
        server.sysctl("ipv4/ip_forward", 1);
        server.sysctl("ipv4/conf/all/send_redirects", 0);
        server.sysctl("ipv4/conf/eth0/send_redirects", 0);
        let mut checked = director.checks(through_vip(server.address(), Way::Direct));
        checked.until_down("it passes packets for 10.77.0.100 on").await;
    }

    async fn a_port_that_nothing_listens_on_is_closed(_host) {
        let link = Link::new();
        let (director, (server, listening)) = (link.host(1), link.server(11));
        let mut checked = director.checks(through_vip(server.address(), Way::Direct));
        checked.until_up().await;
        drop(listening);
        let why = checked.until_down("closed").await;
        assert_eq!(why, "it takes packets for 10.77.0.100, but port 80 is closed");
    }

    async fn a_server_that_is_gone_is_silent_on_the_link(_host) {
        let link = Link::new();
        let (director, (server, _listening)) = (link.host(1), link.server(11));
        let mut checked = director.checks(through_vip(server.address(), Way::Direct));
        checked.until_up().await;
        server.sh("ip link set eth0 down");
        checked.until_down("no answer from 10.77.0.100, nor from 10.77.0.11").await;
        checked.until_down("10.77.0.11 does not answer ARP").await;
        server.sh("ip link set eth0 up");
        checked.until_up().await;
    }

    async fn a_server_that_moves_to_another_ethernet_address_is_found_again(_host) {
        let link = Link::new();
        let (director, (server, _listening)) = (link.host(1), link.server(11));
        let mut checked = director.checks(through_vip(server.address(), Way::Direct));
        let before = checked.until(|health| health.state == State::Up).await;
        server.sh("ip link set eth0 down && ip link set eth0 address 02:00:00:00:00:99");
        server.sh("ip link set eth0 up");
        // It was down in between, be it ever so short.
        let is_again = |health: &Health| health.state == State::Up && health.since > before.since;
        checked.until(is_again).await;
    }

    async fn a_server_is_asked_over_ipv6_as_well(_host) {
        let link = Link::new();
        let (director, (server, listening)) = (link.host(1), link.server(11));
        let mut checked = director.checks(through_vip(server.address6(), Way::Direct));
        checked.until_up().await;
        server.sh(&format!("ip addr del {VIP6}/128 dev lo"));
        checked.until_down("`ip address add fd77::100/128 dev lo` there").await;
        server.sh(&format!("ip addr add {VIP6}/128 dev lo nodad"));
        checked.until_up().await;
        drop(listening);
        checked.until_down("port 81 is closed").await;
    }

    async fn over_ipv6_a_server_that_passes_packets_on_is_not_up_either(_host) {
        let link = Link::new();
        let (director, (server, _listening)) = (link.host(1), link.server(11));
        let active = link.host(2);
        active.sh(&format!("ip addr add {VIP6}/64 dev eth0 nodad"));
        let _sorry = active.serve();
        server.sh(&format!("ip addr del {VIP6}/128 dev lo"));
        server.sysctl("ipv6/conf/all/forwarding", 1);
        let mut checked = director.checks(through_vip(server.address6(), Way::Direct));
        checked.until_down("it passes packets for fd77::100 on").await;
    }

    async fn over_ipv6_a_server_that_is_gone_is_silent_on_the_link(_host) {
        let link = Link::new();
        let (director, (server, _listening)) = (link.host(1), link.server(11));
        let mut checked = director.checks(through_vip(server.address6(), Way::Direct));
        checked.until_up().await;
        server.sh("ip link set eth0 down");
        checked.until_down("no answer from fd77::100, nor from fd77::11").await;
        checked.until_down("fd77::11 does not answer neighbour discovery").await;
    }

    async fn a_server_is_asked_by_a_bridge_of_the_director_s_own(_host) {
        let link = Link::of("lan", Layer::Bridge);
        let (director, (server, _listening)) = (link.host(1), link.server(11));
        let check = through(VIP, director.interface, server.address(), Way::Direct);
        director.checks(check).until_up().await;
    }

    async fn an_interface_that_is_not_there_is_no_fault_of_the_server(_host) {
        let link = Link::new();
        let (director, (server, _listening)) = (link.host(1), link.server(11));
        director.sh("ip link set eth0 down && ip link set eth0 name other && ip link set other up");
        let mut checked = director.checks(through_vip(server.address(), Way::Direct));
        checked.until_noticed("there is no such interface").await;
    }
}
