//! What the watch over a link finds wrong, on links where it is.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use converge::vrrp::driver::Event;
use converge::vrrp::router::{Notice, Start, State};

use super::host::{Host, Layer, Link, VIP, VIP6, at};
use super::watch::Watch;
use crate::kinds::apart::each_in_a_namespace;
use crate::kinds::sh;
use crate::vrrp::lan::{Director, router, settings};

/// A client tries to connect; nothing comes of it.
fn try_to_connect(client: &Host, to: SocketAddr) {
    let limit = Duration::from_millis(300);
    client.neighbour.within(|| drop(TcpStream::connect_timeout(&to, limit)));
}

each_in_a_namespace! {
    async fn a_link_as_it_should_be_is_left_in_peace(_host) {
        let link = Link::new();
        let (director, other) = (link.host(1), link.host(2));
        let ((one, _), (two, _)) = (link.server(11), link.server(12));
        other.sh(&format!("ip addr add {VIP}/24 dev eth0"));
        let mut watch = Watch::start(&director, &[&one, &two], &[&other]);
        watch.finds_nothing().await;
        // The VIP moves.
        other.sh(&format!("ip addr del {VIP}/24 dev eth0"));
        director.sh(&format!("ip addr add {VIP}/24 dev eth0"));
        watch.finds_nothing().await;
    }

    async fn a_server_that_answers_for_the_vip_is_named_once_and_when_it_stops(_host) {
        let link = Link::new();
        let (director, (one, _), (two, _)) = (link.host(1), link.server(11), link.server(12));
        director.sh(&format!("ip addr add {VIP}/24 dev eth0"));
        one.sysctl("ipv4/conf/all/arp_ignore", 0);
        let mut watch = Watch::start(&director, &[&one, &two], &[]);
        let mac = one.mac();
        assert_eq!(
            watch.finds().await,
            format!(
                "real server h11 ({mac}) answers ARP for the VIP 10.77.0.100 on eth0, so that \
                 clients pass the director by: `sysctl -w net.ipv4.conf.all.arp_ignore=1 \
                 net.ipv4.conf.all.arp_announce=2` there, or converge with role realserver"
            )
        );
        one.sysctl("ipv4/conf/all/arp_ignore", 1);
        assert_eq!(
            watch.finds().await,
            format!("real server h11 ({mac}) no longer answers ARP for the VIP 10.77.0.100 on eth0")
        );
        watch.finds_nothing().await;
    }

    async fn what_a_server_answers_for_the_vip_is_no_director_s_word_to_vrrp(_host) {
        let link = Link::new();
        let (director, (one, _)) = (link.host(1), link.server(11));
        one.sysctl("ipv4/conf/all/arp_ignore", 0);
        let router = vec![(router("a", Duration::from_secs(1)), Start::Fresh)];
        let speaker = Director::start(&director.neighbour, settings("a", false), router);
        speaker.becomes(State::Active);
        let mut watch = Watch::start(&director, &[&one], &[]);
        let found = watch.finds().await;
        assert!(found.contains("h11") && found.contains("answers ARP for the VIP"), "{found}");
        let said = speaker.said();
        let is_claim =
            |event: &Event| matches!(event, Event::Noticed { notice: Notice::Claimed, .. });
        assert!(!said.iter().any(is_claim), "{said:#?}");
    }

    async fn a_stranger_that_answers_for_the_vip_is_told_by_its_ethernet_address(_host) {
        let link = Link::new();
        let (director, (one, _), stranger) = (link.host(1), link.server(11), link.host(99));
        director.sh(&format!("ip addr add {VIP}/24 dev eth0"));
        stranger.sh(&format!("ip addr add {VIP}/24 dev eth0"));
        let mut watch = Watch::start(&director, &[&one], &[]);
        let found = watch.finds().await;
        assert!(found.starts_with(&format!("{}, neither a director", stranger.mac())), "{found}");
    }

    async fn two_directors_that_hold_the_vip_are_both_named(_host) {
        let link = Link::new();
        let (director, other, (one, _)) = (link.host(1), link.host(2), link.server(11));
        director.sh(&format!("ip addr add {VIP}/24 dev eth0"));
        other.sh(&format!("ip addr add {VIP}/24 dev eth0"));
        let mut watch = Watch::start(&director, &[&one], &[&other]);
        let found = watch.finds().await;
        let names = "director h2 and this director hold the VIP 10.77.0.100 on eth0";
        assert!(found.starts_with(names), "{found}");
        other.sh(&format!("ip addr del {VIP}/24 dev eth0"));
        let over = "the VIP 10.77.0.100 on eth0 is no longer held twice";
        assert_eq!(watch.finds().await, over);
    }

    async fn a_server_whose_gateway_is_the_director_is_named(_host) {
        let link = Link::new();
        let (director, (one, _listening), client) = (link.host(1), link.server(11), link.host(7));
        director.sh(&format!("ip addr add {VIP}/24 dev eth0"));
        // A client of another subnet; the server's way back to it is the director.
        client.sh("ip addr add 192.0.2.7/24 dev eth0");
        client.sh(&format!("ip route add {VIP}/32 via 10.77.0.11 src 192.0.2.7"));
        one.sh("ip route add default via 10.77.0.1");
        let mut watch = Watch::start(&director, &[&one], &[]);
        let connect = || try_to_connect(&client, at("10.77.0.100:80"));
        let found = watch.finds_while(connect).await;
        let named = format!(
            "real server h11 ({}) sends its replies from the VIP 10.77.0.100 through this director",
            one.mac()
        );
        assert!(found.starts_with(&named), "{found}");
        connect();
        watch.finds_nothing().await;
    }

    async fn a_server_that_is_not_on_the_link_is_named(_host) {
        let link = Link::new();
        let (director, router) = (link.host(1), link.host(2));
        // Behind a router, by whom its own address can be reached.
        sh("ip addr add 10.77.0.254/24 dev lan");
        let directors = vec![("h1".to_owned(), director.address())];
        let far: IpAddr = [192, 0, 2, 11].into();
        let near: IpAddr = [10, 77, 0, 12].into();
        let servers = vec![("far".to_owned(), far), ("near".to_owned(), near)];
        let mut watch = Watch::with(VIP, &director, servers, directors);
        watch.reachable(&[far]);
        let found = watch.finds().await;
        let outside = "real server far (192.0.2.11) is not on the link of eth0: it lies outside";
        assert!(found.starts_with(outside), "{found}");
        // One of the same subnet that only a router answers for is on another link.
        watch.finds_nothing().await;
        watch.reachable(&[far, near]);
        let found = watch.finds().await;
        let named = "real server near (10.77.0.12) is not on the link of eth0: its own address";
        assert!(found.starts_with(named), "{found}");
        router.sh("ip addr add 10.77.0.12/24 dev eth0");
        assert_eq!(watch.finds().await, "real server near (10.77.0.12) is on the link of eth0");
    }

    async fn over_ipv6_the_same_is_found(_host) {
        tokio::join!(leak_v6(), duplicate_v6(), returns_v6(), elsewhere_v6());
    }
}

async fn leak_v6() {
    let link = Link::of("leak", Layer::Plain);
    let (director, (one, _), (two, _)) = (link.host(1), link.server(11), link.server(12));
    director.sh(&format!("ip addr add {VIP6}/64 dev eth0 nodad"));
    one.sh(&format!("ip addr add {VIP6}/128 dev eth0 nodad"));
    let mut watch = Watch::start_v6(&director, &[&one, &two], &[]);
    assert_eq!(
        watch.finds().await,
        format!(
            "real server h11 ({}) answers neighbour discovery for the VIP fd77::100 on eth0, so \
             that clients pass the director by: the VIP belongs on lo there, `ip address add \
             fd77::100/128 dev lo`, and nowhere else",
            one.mac()
        )
    );
}

async fn duplicate_v6() {
    let link = Link::of("twice", Layer::Plain);
    let (director, other, (one, _)) = (link.host(1), link.host(2), link.server(11));
    director.sh(&format!("ip addr add {VIP6}/128 dev eth0 nodad"));
    other.sh(&format!("ip addr add {VIP6}/128 dev eth0 nodad"));
    let mut watch = Watch::start_v6(&director, &[&one], &[&other]);
    let found = watch.finds().await;
    let names = "director h2 and this director hold the VIP fd77::100 on eth0";
    assert!(found.starts_with(names), "{found}");
}

async fn returns_v6() {
    let link = Link::of("back", Layer::Bridge);
    let (director, (one, _listening), client) = (link.host(1), link.server(11), link.host(7));
    director.sh(&format!("ip addr add {VIP6}/64 dev br0 nodad"));
    client.sh("ip addr add 2001:db8::7/64 dev br0 nodad");
    client.sh(&format!("ip route add {VIP6}/128 via fd77::11 src 2001:db8::7"));
    one.sh("ip route add default via fd77::1");
    let mut watch = Watch::start_v6(&director, &[&one], &[]);
    let found = watch.finds_while(|| try_to_connect(&client, at("[fd77::100]:81"))).await;
    let named = format!(
        "real server h11 ({}) sends its replies from the VIP fd77::100 through this director",
        one.mac()
    );
    assert!(found.starts_with(&named), "{found}");
}

async fn elsewhere_v6() {
    let link = Link::of("far", Layer::Plain);
    let (director, (one, _)) = (link.host(1), link.server(11));
    let far: IpAddr = "2001:db8::11".parse().expect("an address");
    let servers = vec![(one.name(), one.address6()), ("far".to_owned(), far)];
    let directors = vec![(director.name(), director.address6())];
    let mut watch = Watch::with(VIP6, &director, servers, directors);
    watch.reachable(&[one.address6(), far]);
    let found = watch.finds().await;
    let outside = "real server far (2001:db8::11) is not on the link of eth0: it lies outside";
    assert!(found.starts_with(outside), "{found}");
}
