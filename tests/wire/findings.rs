//! What the watch over a link finds wrong, on links where it is.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use converge::check::wire::config::WireConfig;
use converge::check::wire::{Findings, Wire};
use converge::vrrp::driver::Event;
use converge::vrrp::router::{Notice, Start, State};
use tokio::time::timeout;

use super::host::{Host, Link, VIP, at};
use crate::kinds::apart::each_in_a_namespace;
use crate::kinds::sh;
use crate::vrrp::lan::{Director, router, settings};

/// Rounds and rests, and a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three rounds and their rests.
const QUIET: Duration = Duration::from_secs(8);

struct Watch {
    wire: Wire,
    findings: Findings,
}

impl Watch {
    /// By that director, over these servers and these other directors.
    fn start(director: &Host, servers: &[&Host], others: &[&Host]) -> Watch {
        let named = |host: &&Host| (host.name(), host.address());
        let directors = [director].iter().chain(others).map(named).collect();
        let servers = servers.iter().map(named).collect();
        Watch::with(director, servers, directors)
    }

    fn with(
        director: &Host,
        servers: Vec<(String, IpAddr)>,
        directors: Vec<(String, IpAddr)>,
    ) -> Watch {
        let vip = VIP.parse().expect("an address");
        let (interface, servers) = ("eth0".into(), servers.into());
        let config = WireConfig { vip, interface, servers, directors, direct: true };
        let start = || Wire::start(vec![config]).expect("a link can be watched");
        let (wire, findings) = director.neighbour.within(start);
        Watch { wire, findings }
    }

    async fn finds(&mut self) -> String {
        let found = timeout(PATIENCE, self.findings.next()).await;
        found.expect("it finds something").expect("it lives").to_string()
    }

    async fn finds_nothing(&mut self) {
        let found = timeout(QUIET, self.findings.next()).await;
        assert!(found.is_err(), "{found:?}");
    }
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
        // The first round learns who is who.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let knock = || std::net::TcpStream::connect_timeout(&at("10.77.0.100:80"), QUIET / 4).ok();
        for _ in 0..3 {
            client.neighbour.within(knock);
        }
        let found = watch.finds().await;
        let named = format!(
            "real server h11 ({}) sends its replies from the VIP 10.77.0.100 through this director",
            one.mac()
        );
        assert!(found.starts_with(&named), "{found}");
        client.neighbour.within(knock);
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
        let mut watch = Watch::with(&director, servers, directors);
        let found = watch.finds().await;
        let outside = "real server far (192.0.2.11) is not on the link of eth0: it lies outside";
        assert!(found.starts_with(outside), "{found}");
        // One of the same subnet that only a router answers for is on another link.
        watch.finds_nothing().await;
        watch.wire.reachable(BTreeSet::from([near]));
        let found = watch.finds().await;
        let named = "real server near (10.77.0.12) is not on the link of eth0: its own address";
        assert!(found.starts_with(named), "{found}");
        router.sh("ip addr add 10.77.0.12/24 dev eth0");
        assert_eq!(watch.finds().await, "real server near (10.77.0.12) is on the link of eth0");
    }
}
