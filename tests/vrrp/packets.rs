//! What is on the wire, and what strangers can do about it.

use std::io::Read;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use converge::vrrp::config::{Family, Transport, Vip};
use converge::vrrp::driver::Event;
use converge::vrrp::packet::{Auth, Envelope, Expect, parse};
use converge::vrrp::router::{Notice, Start, State};
use socket2::{Domain, Protocol, Socket, Type};

use super::lan::{Director, Lan, Tap, announces, inside, mac, router, settings, vip};
use crate::kinds::apart::{Neighbour, each_in_a_namespace, skipped};

const INTERVAL: Duration = Duration::from_millis(100);

/// Both directors with that transport; the adverts of a that the bridge saw, as IPv4 packets.
fn advert(transport: Transport) -> Vec<u8> {
    let lan = Lan::new();
    let tap = Tap::open(0x0800);
    let begin = Instant::now();
    let start = |host: &str, there| {
        let mut config = router(host, INTERVAL);
        config.transport = transport;
        Director::start(there, settings(host, false), vec![(config, Start::Fresh)])
    };
    let (a, b) = (start("a", &lan.a), start("b", &lan.b));
    a.becomes(State::Active);
    let frame = tap.frame(begin, |frame| frame.get(23) == Some(&112));
    std::thread::sleep(INTERVAL * 5);
    // On a busy computer it may have been for a moment.
    let state = |event: &Event| match event {
        Event::Changed { to, .. } => Some(*to),
        _ => None,
    };
    let said = b.said();
    assert_eq!(said.iter().rev().find_map(state), Some(State::Backup), "{said:#?}");
    frame[14..].to_vec()
}

fn envelope(packet: &[u8]) -> Envelope {
    let address = |at: usize| {
        let octets: [u8; 4] = packet[at..at + 4].try_into().expect("four");
        octets.into()
    };
    Envelope { source: address(12), destination: address(16), ttl: Some(packet[8]) }
}

each_in_a_namespace! {
    async fn a_multicast_advert_is_network_control_with_ttl_255(_host) {
        let packet = advert(Transport::Multicast);
        assert_eq!((packet[1], packet[8]), (0xc0, 255));
        assert_eq!(packet[12..20], [10, 77, 0, 1, 224, 0, 0, 18]);
        let received = parse(&packet[20..], &envelope(&packet), &Expect { multicast: true });
        assert_eq!(received.map(|received| received.advert.priority), Ok(150));
    }

    async fn a_unicast_advert_goes_to_the_peer_with_ttl_255(_host) {
        let packet = advert(Transport::Unicast);
        assert_eq!((packet[1], packet[8]), (0xc0, 255));
        assert_eq!(packet[12..20], [10, 77, 0, 1, 10, 77, 0, 2]);
    }

    async fn an_ipv6_advert_comes_from_the_link_local_address_with_hop_limit_255(_host) {
        let lan = Lan::new();
        let tap = Tap::open(0x86dd);
        let begin = Instant::now();
        let start = |host: &str, there| {
            let mut config = router(host, INTERVAL);
            (config.family, config.transport) = (Family::Ipv6, Transport::Multicast);
            config.vips = vec![vip("fe80::100/64")];
            config.peers.clear();
            Director::start(there, settings(host, false), vec![(config, Start::Fresh)])
        };
        let a = start("a", &lan.a);
        a.becomes(State::Active);
        let b = start("b", &lan.b);
        let frame = tap.frame(begin, |frame| frame.get(20) == Some(&112));
        assert_eq!((frame[14], frame[15] & 0xf0), (0x6c, 0), "traffic class 0xc0");
        assert_eq!((frame[21], frame[22..24].to_vec(), frame[37]), (255, vec![0xfe, 0x80], 1));
        b.becomes(State::Backup);
        std::thread::sleep(INTERVAL * 8);
        assert!(!b.said().iter().any(|e| matches!(e, Event::Changed { to: State::Active, .. })));
        a.vrrp.release();
        b.becomes(State::Active);
    }

    async fn an_ipv6_unicast_advert_goes_between_the_configured_addresses(_host) {
        let lan = Lan::new();
        let tap = Tap::open(0x86dd);
        let start = |host: &str, there: &Neighbour| {
            let own = if host == "a" { 1 } else { 2 };
            let address = |last: u16| format!("2001:db8:77::{last}").parse().expect("an address");
            there.sh(&format!("ip addr add 2001:db8:77::{own}/64 dev eth0 nodad"));
            let mut config = router(host, INTERVAL);
            (config.family, config.source) = (Family::Ipv6, address(own));
            config.peers[0].address = address(3 - own);
            config.vips = vec![vip("fe80::100/64")];
            Director::start(there, settings(host, false), vec![(config, Start::Fresh)])
        };
        let begin = Instant::now();
        let (a, b) = (start("a", &lan.a), start("b", &lan.b));
        a.becomes(State::Active);
        let frame = tap.frame(begin, |frame| frame.get(20) == Some(&112));
        assert_eq!((frame[21], frame[37], frame[53]), (255, 1, 2));
        std::thread::sleep(INTERVAL * 8);
        assert!(!b.said().iter().any(|e| matches!(e, Event::Changed { to: State::Active, .. })));
        a.vrrp.release();
        b.becomes(State::Active);
    }

    async fn junk_is_told_once_and_silences_nobody(_host) {
        let lan = Lan::new();
        let config = router("a", INTERVAL);
        let a = Director::start(&lan.a, settings("a", false), vec![(config, Start::Fresh)]);
        a.becomes(State::Active);
        let socket = inside(&lan.b, || {
            Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).expect("root")
        });
        let to = std::net::SocketAddr::from(([10, 77, 0, 1], 0)).into();
        let tap = Tap::open(0x0800);
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(2) {
            // Right but for its checksum.
            let junk = [0x31, 51, 200, 1, 0, 10, 0, 1, 10, 77, 0, 100];
            socket.send_to(&junk, &to).expect("sent");
            std::thread::sleep(Duration::from_millis(5));
        }
        let adverts = tap.count(|frame| {
            frame.get(23) == Some(&112) && frame.get(26..30) == Some(&[10, 77, 0, 1])
        });
        assert!((18..=22).contains(&adverts), "{adverts} in 2 s: {:#?}", a.said());
        let told = |event: &&Event| matches!(event, Event::Discarded { .. });
        assert_eq!(a.said().iter().filter(told).count(), 1, "{:#?}", a.said());
        assert!(a.vrrp.status().discarded > 100);
    }

    async fn whoever_claims_the_vip_is_answered_by_announcing_it_again(_host) {
        let lan = Lan::new();
        let config = router("a", INTERVAL);
        let a = Director::start(&lan.a, settings("a", false), vec![(config, Start::Fresh)]);
        a.becomes(State::Active);
        std::thread::sleep(Duration::from_secs(1));
        let (tap, from_a) = (Tap::open(0x0806), announces(mac(&lan.a), [10, 77, 0, 100]));
        let begin = Instant::now();
        // Its question who has 10.77.0.250 says that 10.77.0.100 is there.
        lan.b.sh("ip addr add 10.77.0.100/32 dev eth0");
        let claimant = lan.b.bind("10.77.0.100:0");
        claimant.send_to(b"x", "10.77.0.250:9").expect("sent");
        tap.frame(begin, from_a);
        a.wait(|e| matches!(e, Event::Noticed { notice: Notice::Claimed, .. }));
    }

    async fn a_stranger_is_hung_up_on_unread(_host) {
        let lan = Lan::new();
        let config = router("a", INTERVAL);
        let a = Director::start(&lan.a, settings("a", true), vec![(config, Start::Fresh)]);
        a.becomes(State::Active);
        let mut stranger = TcpStream::connect("10.77.0.1:8849").expect("the port is open");
        stranger.set_read_timeout(Some(Duration::from_secs(2))).expect("a limit");
        assert_eq!(stranger.read(&mut [0; 64]).expect("closed, not silent"), 0);
    }

    async fn only_the_host_itself_can_say_that_its_process_has_ended(_host) {
        let lan = Lan::new();
        let start = || {
            let routers = vec![(router("a", INTERVAL), Start::Fresh)];
            Director::start(&lan.a, settings("a", true), routers)
        };
        let reject = "iptables -w -A INPUT -p tcp --dport 8849 -j REJECT";
        let rejected = Command::new("nsenter")
            .arg(format!("--net={}", lan.b.network()))
            .args(reject.split(' '))
            .status();
        if !rejected.is_ok_and(|status| status.success()) {
            return skipped("only_the_host_itself…", "it needs iptables with REJECT");
        }
        // The firewall answers by ICMP; that says nothing about the process.
        let a = start();
        let begin = Instant::now();
        std::thread::sleep(Duration::from_secs(1));
        assert!(!a.said().iter().any(|event| matches!(event, Event::PeerGone { .. })));
        lan.b.sh("iptables -w -F INPUT");
        a.wait_since(begin, |event| matches!(event, Event::PeerGone { .. }));
    }

    async fn a_version_2_router_with_a_password_speaks_to_its_like(_host) {
        let lan = Lan::new();
        let start = |host: &str, there| {
            let mut config = router(host, Duration::from_secs(1));
            config.version = converge::vrrp::config::Version::V2;
            config.transport = Transport::Multicast;
            config.password = Some(*b"secret\0\0");
            config.vips = vec![Vip { label: Some("eth0:v".into()), ..vip("10.77.0.100/32") }];
            Director::start(there, settings(host, false), vec![(config, Start::Fresh)])
        };
        let tap = Tap::open(0x0800);
        let begin = Instant::now();
        let (a, _b) = (start("a", &lan.a), start("b", &lan.b));
        a.becomes(State::Active);
        let frame = tap.frame(begin, |frame| frame.get(23) == Some(&112));
        let packet = &frame[14..];
        let received = parse(&packet[20..], &envelope(packet), &Expect { multicast: true });
        let auth = received.map(|received| received.advert.auth);
        assert_eq!(auth, Ok(Auth::Pass(*b"secret\0\0")));
    }
}
