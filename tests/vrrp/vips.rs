//! A VIP is where its router is, whatever others do to it, and nowhere else.

use std::time::{Duration, Instant};

use converge::vrrp::config::{Family, Transport, Vip};
use converge::vrrp::driver::{Event, VIP_MARK};
use converge::vrrp::router::{Condition, Start, State};

use super::lan::{
    Director, Lan, Tap, addresses, announces, eventually, inside, mac, maker, router, settings, vip,
};
use crate::kinds::apart::each_in_a_namespace;

const SECOND: Duration = Duration::from_secs(1);
const ADDRESS: [u8; 4] = [10, 77, 0, 100];

/// The higher one, alone and Active.
fn alone(lan: &Lan, start: Start) -> Director {
    let config = router("a", Duration::from_millis(100));
    let a = Director::start(&lan.a, settings("a", false), vec![(config, start)]);
    a.becomes(State::Active);
    a
}

fn has_vip(lan: &Lan) -> bool {
    addresses(&lan.a).contains("10.77.0.100/24")
}

each_in_a_namespace! {
    async fn a_vip_that_somebody_deletes_is_back_and_announced_without_leaving_active(_host) {
        let lan = Lan::new();
        let a = alone(&lan, Start::Fresh);
        eventually("no VIP", || has_vip(&lan).then_some(()));
        let (tap, from_a) = (Tap::open(0x0806), announces(mac(&lan.a), ADDRESS));
        for _ in 0..3 {
            let begin = Instant::now();
            lan.a.sh("ip addr del 10.77.0.100/24 dev eth0");
            let deleted = begin.elapsed();
            let announced = tap.first(begin, &from_a) - begin;
            println!("deleted by {deleted:?}, announced again by {announced:?}");
            assert!(has_vip(&lan));
            std::thread::sleep(SECOND);
        }
        assert_eq!(maker(&lan.a, "10.77.0.100"), Some(VIP_MARK));
        let said = a.said();
        let states = said.iter().filter(|event| matches!(event, Event::Changed { .. }));
        assert_eq!(states.count(), 2, "{said:#?}");
        assert!(said.contains(&Event::VipPutBack(vip("10.77.0.100/24"))));
    }

    async fn a_lease_is_renewed_for_as_long_as_the_router_is_active(_host) {
        let lan = Lan::new();
        let _a = alone(&lan, Start::Fresh);
        for _ in 0..12 {
            std::thread::sleep(SECOND / 2);
            let shown = addresses(&lan.a);
            let left = ["valid_lft 4sec", "valid_lft 3sec", "valid_lft 2sec"];
            assert!(left.iter().any(|left| shown.contains(left)), "{shown}");
        }
    }

    async fn an_address_of_ours_that_nobody_wants_is_deleted(_host) {
        let lan = Lan::new();
        let orphan = |address: &str, proto: u8| {
            // iproute2 6.1 sets no IFA_PROTO.
            let address = address.to_owned();
            inside(&lan.a, move || super::lan::add_marked(&address, proto));
        };
        orphan("10.77.0.101", VIP_MARK);
        orphan("10.77.0.102", 118);
        let a = alone(&lan, Start::Fresh);
        a.wait(|event| *event == Event::Orphaned("10.77.0.101/32".parse().expect("a prefix")));
        orphan("10.77.0.103", VIP_MARK);
        a.wait(|event| *event == Event::Orphaned("10.77.0.103/32".parse().expect("a prefix")));
        let shown = addresses(&lan.a);
        assert!(!shown.contains("10.77.0.101") && !shown.contains("10.77.0.103"), "{shown}");
        assert!(shown.contains("10.77.0.102"), "the reconcile's own: {shown}");
    }

    async fn an_address_of_somebody_else_serves_and_is_never_deleted(_host) {
        let lan = Lan::new();
        lan.a.sh("ip addr add 10.77.0.100/24 dev eth0");
        let (tap, from_a) = (Tap::open(0x0806), announces(mac(&lan.a), ADDRESS));
        let begin = Instant::now();
        let a = alone(&lan, Start::Fresh);
        tap.first(begin, from_a);
        a.wait(|event| matches!(event, Event::VipForeign(_)));
        a.vrrp.release();
        a.wait(|event| *event == Event::Stopped);
        let shown = addresses(&lan.a);
        assert!(shown.contains("10.77.0.100/24") && !shown.contains("valid_lft 4sec"), "{shown}");
    }

    async fn a_planned_restart_leaves_the_vip_where_it_is(_host) {
        let lan = Lan::new();
        let first = || {
            let config = router("a", SECOND);
            (settings("a", true), config)
        };
        let (with, config) = first();
        let a = Director::start(&lan.a, with, vec![(config, Start::Fresh)]);
        a.becomes(State::Active);
        let config = router("b", SECOND);
        let b = Director::start(&lan.b, settings("b", true), vec![(config, Start::Fresh)]);
        b.wait(|event| matches!(event, Event::PeerUp { .. }));
        eventually("no VIP", || has_vip(&lan).then_some(()));
        std::thread::sleep(SECOND / 5);
        let begin = Instant::now();
        a.vrrp.restart();
        a.wait(|event| *event == Event::Stopped);
        drop(a);
        assert!(has_vip(&lan));
        std::thread::sleep(SECOND);
        let (with, config) = first();
        let again = Director::start(&lan.a, with, vec![(config, Start::Resume)]);
        again.becomes(State::Active);
        for _ in 0..40 {
            assert!(has_vip(&lan));
            std::thread::sleep(SECOND / 10);
        }
        let moved = |event: &Event| matches!(event, Event::Changed { to: State::Active, .. });
        assert!(!b.said().iter().any(moved), "{:#?}", b.said());
        println!("watched for {:?}", begin.elapsed());
    }

    async fn an_ipv6_vip_is_deprecated_and_announced_and_takes_no_route_along(_host) {
        let lan = Lan::new();
        lan.a.sh("ip addr add 2001:db8:77::1/64 dev eth0 nodad");
        let mut config = router("a", Duration::from_millis(100));
        config.family = Family::Ipv6;
        config.transport = Transport::Multicast;
        config.source = "2001:db8:77::1".parse().expect("an address");
        config.peers.clear();
        let vips = ["fe80::100/64", "2001:db8:77::100/64", "10.77.0.100/32"];
        config.vips = vips.map(vip).into();
        let tap = Tap::open(0x86dd);
        let begin = Instant::now();
        let a = Director::start(&lan.a, settings("a", false), vec![(config, Start::Fresh)]);
        a.becomes(State::Active);
        let advert = tap.first(begin, |frame| frame.get(20) == Some(&112));
        tap.first(begin, |frame| frame.get(54) == Some(&136) && frame.get(77) == Some(&0));
        println!("advertised after {:?}", advert - begin);
        let shown = eventually("not all", || {
            let shown = addresses(&lan.a);
            vips.iter().all(|vip| shown.contains(vip)).then_some(shown)
        });
        let line = shown.lines().find(|line| line.contains("2001:db8:77::100/64")).expect("there");
        assert!(line.contains("deprecated") && line.contains("nodad"), "{shown}");
        assert!(!line.contains("tentative"), "{shown}");
        let routes = || lan.a.sh("ip -6 -o route show dev eth0 2001:db8:77::/64");
        assert!(!routes().contains("expires"), "{}", routes());
        a.vrrp.release();
        a.wait(|event| *event == Event::Stopped);
        assert!(!addresses(&lan.a).contains("::100/64"));
        assert!(routes().contains("2001:db8:77::/64"), "{}", routes());
    }

    async fn an_interface_that_vanishes_and_returns_is_spoken_on_again(_host) {
        let lan = Lan::new();
        let a = alone(&lan, Start::Fresh);
        let begin = Instant::now();
        super::lan::sh("ip link del to-a");
        a.becomes_since(begin, State::Fault);
        let begin = Instant::now();
        lan.a.plug("to-a", "eth0");
        super::lan::sh("ip link set to-a master lan");
        lan.a.sh("ip addr add 10.77.0.1/24 dev eth0");
        let (tap, from_a) = (Tap::open(0x0806), announces(mac(&lan.a), ADDRESS));
        a.becomes_since(begin, State::Active);
        tap.first(begin, from_a);
        assert!(has_vip(&lan));
        let said = a.said();
        let missing = said.iter().any(|event| match event {
            Event::Changed { to: State::Fault, why, .. } => {
                let why = why.to_string();
                why.contains("interface eth0 is") || why.contains("has no address")
            }
            _ => false,
        });
        assert!(missing, "{said:#?}");
    }

    async fn a_fault_from_tracking_moves_the_vip_and_its_end_brings_it_back(_host) {
        let lan = Lan::new();
        let a = alone(&lan, Start::Fresh);
        let begin = Instant::now();
        let faults = ["nginx has failed".to_owned()].into();
        a.vrrp.condition("web", Condition { faults, ..Condition::default() });
        a.becomes_since(begin, State::Fault);
        let begin = Instant::now();
        a.vrrp.condition("web", Condition::default());
        a.becomes_since(begin, State::Active);
    }

    async fn a_new_configuration_adds_a_vip_and_moves_nothing_else(_host) {
        let lan = Lan::new();
        let a = alone(&lan, Start::Fresh);
        eventually("no VIP", || has_vip(&lan).then_some(()));
        let mut config = router("a", Duration::from_millis(100));
        let label = Some("eth0:web".to_owned());
        config.vips.push(Vip { label, ..vip("10.77.0.104/32") });
        a.vrrp.configure(vec![config]);
        eventually("no second VIP", || {
            let shown = addresses(&lan.a);
            let line = shown.lines().find(|line| line.contains("10.77.0.104/32"))?;
            line.contains("eth0:web").then_some(())
        });
        assert!(has_vip(&lan));
        let said = a.said();
        let states = said.iter().filter(|event| matches!(event, Event::Changed { .. }));
        assert_eq!(states.count(), 2, "{said:#?}");
        a.vrrp.configure(vec![router("a", Duration::from_millis(100))]);
        eventually("the second VIP stays", || {
            (!addresses(&lan.a).contains("10.77.0.104")).then_some(())
        });
        assert!(has_vip(&lan));
    }
}
