//! A link that is cut for a while: both are Active then, and one of them afterwards, whoever the
//! other is.

use std::net::UdpSocket;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::ear::{Ear, within};
use super::frr::{self, Frr};
use super::keepalived::{self, Keepalived};
use super::pairing::{Family, V3};
use super::{Holder, Other, held};
use crate::failover::node::Node;
use crate::failover::segment::{PATIENCE, Segment};

const HOSTS: [&str; 3] = ["a", "b", "c"];

/// Cuts `a` off, until both are Active, and puts it back.
fn split(segment: &Segment, a: &Node<'_>, b: &dyn Other) {
    segment.cut("a", true);
    held(Holder::Both, segment, Family::Ipv4, a, b);
    ask(segment);
    segment.cut("a", false);
}

/// Makes host `c` look for the VIP's Ethernet address.
fn ask(segment: &Segment) {
    let vip = (Family::Ipv4.vip(), 9);
    within(segment, "c", || {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
        // Nobody answers, and nobody has to.
        socket.send_to(b"?", vip).ok();
    });
    sleep(Duration::from_millis(300));
}

/// The Ethernet address that host `c` sends to.
fn neighbour(segment: &Segment) -> String {
    let shown = segment.ok("c", &format!("ip neighbour show {}", Family::Ipv4.vip()));
    let mut words = shown.split_whitespace().skip_while(|word| *word != "lladdr");
    words.nth(1).unwrap_or_default().to_owned()
}

fn ethernet(segment: &Segment, host: &str) -> String {
    segment.ok(host, "cat /sys/class/net/eth0/address").trim().to_owned()
}

/// keepalived is on its own side of a cut, and does not yield at once when it ranks lower: the
/// winner has to say again where the VIP is, or neighbours keep sending to the loser.
#[test]
fn after_a_cut_a_lower_keepalived_yields_and_neighbours_find_converge() {
    let Some(segment) = Segment::new(&HOSTS).filter(|_| keepalived::is_here()) else { return };
    let ear = Ear::on(&segment, "c");
    let a = Node::started(&segment, "a", &V3.cluster([200, 100], ""));
    let mut b = Keepalived::new(&segment, "b", Family::Ipv4, &keepalived::conf(&V3, 100, ""));
    ear.wait_for(200, Instant::now());
    b.start();
    sleep(Duration::from_secs(1));
    split(&segment, &a, &b);
    assert_eq!(neighbour(&segment), ethernet(&segment, "b"));
    held(Holder::Converge, &segment, Family::Ipv4, &a, &b);
    let end = Instant::now() + PATIENCE;
    while neighbour(&segment) != ethernet(&segment, "a") {
        assert!(Instant::now() < end, "{}", a.log());
        sleep(Duration::from_millis(50));
    }
    assert!(!a.log().contains("Active → "), "{}", a.log());
}

#[test]
fn after_a_cut_converge_yields_to_a_higher_keepalived() {
    let Some(segment) = Segment::new(&HOSTS).filter(|_| keepalived::is_here()) else { return };
    let ear = Ear::on(&segment, "c");
    let b = Keepalived::started(&segment, "b", &keepalived::conf(&V3, 200, ""));
    ear.wait_for(200, Instant::now());
    let a = Node::started(&segment, "a", &V3.cluster([100, 200], ""));
    a.await_log("→ Backup");
    split(&segment, &a, &b);
    held(Holder::Other, &segment, Family::Ipv4, &a, &b);
    a.await_log("Active → Backup");
}

#[test]
fn after_a_cut_a_lower_frr_yields() {
    let Some(segment) = Segment::new(&HOSTS).filter(|_| frr::is_here()) else { return };
    let ear = Ear::on(&segment, "c");
    let a = Node::started(&segment, "a", &V3.cluster([200, 100], ""));
    let mut b = Frr::new(&segment, "b", Family::Ipv4, &frr::conf(&V3, 100));
    ear.wait_for(200, Instant::now());
    b.start();
    sleep(Duration::from_secs(1));
    split(&segment, &a, &b);
    held(Holder::Converge, &segment, Family::Ipv4, &a, &b);
}

/// RFC 9568 6.4.3: of equal priorities the larger address wins, and that is host `b`'s. The files
/// of converge do not allow it, but nobody can keep keepalived from being told otherwise.
#[test]
fn after_a_cut_the_larger_address_wins_at_equal_priority() {
    let Some(segment) = Segment::new(&HOSTS).filter(|_| keepalived::is_here()) else { return };
    let a = Node::started(&segment, "a", &V3.cluster([100, 90], ""));
    let ear = Ear::on(&segment, "c");
    ear.wait_for(100, Instant::now());
    let b = Keepalived::started(&segment, "b", &keepalived::conf(&V3, 100, ""));
    sleep(Duration::from_secs(1));
    split(&segment, &a, &b);
    held(Holder::Other, &segment, Family::Ipv4, &a, &b);
    a.await_log("has the same priority, 100");
}
