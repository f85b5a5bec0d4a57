//! Who is Active, and how fast the other one is when that one goes.

use std::time::{Duration, Instant};

use converge::vrrp::driver::{Event, LinkSettings, VIP_MARK};
use converge::vrrp::key::Key;
use converge::vrrp::router::{Start, State};

use super::lan::{
    Director, Lan, Tap, addresses, announces, arrivals, eventually, mac, maker, router, settings,
    sh,
};
use crate::kinds::apart::each_in_a_namespace;

const SECOND: Duration = Duration::from_secs(1);

fn start(lan: &Lan, host: &str, linked: bool, interval: Duration) -> Director {
    let there = if host == "a" { &lan.a } else { &lan.b };
    Director::start(there, settings(host, linked), vec![(router(host, interval), Start::Fresh)])
}

each_in_a_namespace! {
    async fn the_higher_one_becomes_active_with_a_leased_vip_of_our_mark(_host) {
        let lan = Lan::new();
        let tap = Tap::open(0x0806);
        let begin = Instant::now();
        let a = start(&lan, "a", true, SECOND);
        let b = start(&lan, "b", true, SECOND);
        a.becomes(State::Active);
        b.becomes(State::Backup);
        tap.first(begin, announces(mac(&lan.a), [10, 77, 0, 100]));
        let shown = addresses(&lan.a);
        let line = shown.lines().find(|line| line.contains("10.77.0.100/24"));
        let line = line.unwrap_or_else(|| panic!("{shown}"));
        assert_eq!(maker(&lan.a, "10.77.0.100"), Some(VIP_MARK));
        assert!(line.contains("valid_lft 8sec") || line.contains("valid_lft 7sec"), "{line}");
        assert!(!addresses(&lan.b).contains("10.77.0.100"), "on both");
    }

    async fn a_released_vip_is_on_the_other_host_within_ten_milliseconds(_host) {
        let lan = Lan::new();
        let a = start(&lan, "a", true, SECOND);
        let b = start(&lan, "b", true, SECOND);
        a.becomes(State::Active);
        b.wait(|event| matches!(event, Event::PeerUp { .. }));
        b.becomes(State::Backup);
        let (tap, from_b) = (Tap::open(0x0806), announces(mac(&lan.b), [10, 77, 0, 100]));
        let arrivals = arrivals(&lan.b, [10, 77, 0, 100]);
        let begin = Instant::now();
        a.vrrp.release();
        let active = b.becomes(State::Active);
        let announced = tap.first(begin, from_b);
        a.wait(|event| *event == Event::Stopped);
        eventually("still on a", || (!addresses(&lan.a).contains("10.77.0.100")).then_some(()));
        let added = arrivals.recv_timeout(SECOND).expect("it is there") - begin;
        let (active, announced) = (active - begin, announced - begin);
        println!("release: Active {active:?}, VIP {added:?}, announced {announced:?}");
        assert!(announced < SECOND, "{announced:?}");
        assert!(addresses(&lan.b).contains("10.77.0.100"));
    }

    async fn a_link_that_goes_down_is_a_fault_and_the_other_takes_over(_host) {
        let lan = Lan::new();
        let interval = Duration::from_millis(100);
        let a = start(&lan, "a", false, interval);
        let b = start(&lan, "b", false, interval);
        a.becomes(State::Active);
        b.becomes(State::Backup);
        let begin = Instant::now();
        sh("ip link set to-a down");
        let active = b.becomes_since(begin, State::Active);
        println!("link down: Active {:?}", active - begin);
        a.becomes_since(begin, State::Fault);
        assert!(active - begin < 2 * SECOND, "{:?}", active - begin);
        eventually("still on a", || (!addresses(&lan.a).contains("10.77.0.100")).then_some(()));
        let begin = Instant::now();
        sh("ip link set to-a up");
        a.becomes_since(begin, State::Active);
    }

    async fn a_link_that_is_begun_or_gets_another_key_while_running_moves_nothing(_host) {
        let lan = Lan::new();
        let interval = Duration::from_millis(100);
        let a = start(&lan, "a", false, interval);
        let b = start(&lan, "b", false, interval);
        a.becomes(State::Active);
        b.becomes(State::Backup);
        let begin = Instant::now();
        let with = |host, key: &Key| {
            let link = settings(host, true).link.expect("linked");
            Some(LinkSettings { key: key.clone(), ..link })
        };
        let (first, second) = (Key::new(&[7; 32]), Key::new(&[8; 32]));
        a.vrrp.link(with("a", &first));
        b.vrrp.link(with("b", &first));
        for director in [&a, &b] {
            director.wait(|event| matches!(event, Event::PeerUp { .. }));
        }
        // What did not change goes on.
        a.vrrp.link(with("a", &first));
        std::thread::sleep(interval);
        a.vrrp.link(with("a", &second));
        for director in [&a, &b] {
            director.wait_since(begin, |event| matches!(event, Event::PeerUnknown { .. }));
        }
        let again = Instant::now();
        b.vrrp.link(with("b", &second));
        for director in [&a, &b] {
            director.wait_since(again, |event| matches!(event, Event::PeerUp { .. }));
        }
        for director in [&a, &b] {
            let said = director.said();
            let count = |what: fn(&Event) -> bool| said.iter().filter(|event| what(event)).count();
            assert_eq!(count(|event| matches!(event, Event::PeerUp { .. })), 2, "{said:#?}");
        }
        let moves = |event: &Event| matches!(event, Event::Changed { .. });
        assert_eq!(b.said().iter().filter(|event| moves(event)).count(), 1, "{:#?}", b.said());
    }
}
