//! Two routers that are not told the same.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::ear::Ear;
use super::keepalived::{self, Keepalived};
use super::pairing::{Family, Pairing, V2, V2_PASS, V3, V3_UNICAST};
use super::{Holder, held};
use crate::failover::node::Node;
use crate::failover::segment::Segment;

const HOSTS: [&str; 2] = ["a", "b"];
const HIGHER: u8 = 200;
const LOWER: u8 = 100;

/// Neither heeds the other, so both are Active; converge says why, and advertises itself as if it
/// were alone. (keepalived does not: what it discards starts its timer anew.)
fn both_are_active(ours: &Pairing, theirs: &Pairing, said: &str) {
    let Some(segment) = Segment::new(&HOSTS).filter(|_| keepalived::is_here()) else { return };
    let ear = Ear::on(&segment, "a");
    let a = Node::started(&segment, "a", &ours.cluster([LOWER, HIGHER], ""));
    let b = Keepalived::started(&segment, "b", &keepalived::conf(theirs, HIGHER, ""));
    held(Holder::Both, &segment, Family::Ipv4, &a, &b);
    a.await_log(said);
    let then = Instant::now();
    sleep(Duration::from_secs(6));
    let count = ear.count(LOWER, then);
    assert!(count >= 5, "{count} advertisements in 6 s:\n{}", a.log());
    assert_eq!(a.log().matches(said).count(), 1, "once per episode:\n{}", a.log());
    let told = !theirs.password.is_empty() && a.log().contains(theirs.password);
    assert!(!told, "a password of somebody else:\n{}", a.log());
}

#[test]
fn two_versions_do_not_believe_each_other_and_converge_says_so() {
    both_are_active(&V3, &V2, "it is of version 2, and this router speaks 3");
}

#[test]
fn an_older_version_does_not_believe_a_newer_one_and_says_so() {
    both_are_active(&V2, &V3, "it is of version 3, and this router speaks 2");
}

#[test]
fn a_wrong_password_is_not_believed_and_not_told() {
    let theirs = Pairing { password: "wr0ngwrd", ..V2_PASS };
    both_are_active(&V2_PASS, &theirs, "its password is not that of this router");
}

#[test]
fn a_missing_password_is_not_believed() {
    both_are_active(&V2_PASS, &V2, "it has no password, and this router has one");
}

#[test]
fn another_interval_of_version_2_is_not_believed() {
    // RFC 3768 7.1: "MUST discard the packet".
    let theirs = Pairing { interval: 2, ..V2 };
    both_are_active(&V2, &theirs, "its interval is 2s, and this router's 1s");
}

#[test]
fn the_interval_of_a_version_3_router_is_learned() {
    let Some(segment) = Segment::new(&HOSTS).filter(|_| keepalived::is_here()) else { return };
    let ear = Ear::on(&segment, "a");
    let theirs = Pairing { interval: 2, ..V3 };
    let _b = Keepalived::started(&segment, "b", &keepalived::conf(&theirs, HIGHER, ""));
    ear.wait_for(HIGHER, Instant::now());
    let a = Node::started(&segment, "a", &V3.cluster([LOWER, HIGHER], ""));
    a.await_log("its interval is 2s, and this router's 1s");
    sleep(Duration::from_secs(5));
    assert!(!a.log().contains("→ Active"), "{}", a.log());
    segment.cut("b", true);
    let silent = Instant::now();
    // Three of its intervals and some; with converge's own interval it would be 3.6 s at most.
    let took = ear.wait_for(LOWER, silent).at - silent;
    assert!(took > Duration::from_millis(4200), "{took:?}\n{}", a.log());
}

/// A list that is longer on host `b`.
const MORE: &str = "192.0.2.101";

fn longer(priority: u8) -> String {
    let conf = keepalived::conf(&V3, priority, "");
    conf.replace("virtual_ipaddress {\n", &format!("virtual_ipaddress {{\n{MORE}\n"))
}

#[test]
fn converge_yields_to_one_with_more_vips_and_says_what_differs() {
    let Some(segment) = Segment::new(&HOSTS).filter(|_| keepalived::is_here()) else { return };
    let a = Node::started(&segment, "a", &V3.cluster([LOWER, HIGHER], ""));
    let b = Keepalived::started(&segment, "b", &longer(HIGHER));
    held(Holder::Other, &segment, Family::Ipv4, &a, &b);
    a.await_log("its addresses differ: only there 192.0.2.101, only here nothing");
    sleep(Duration::from_secs(4));
    held(Holder::Other, &segment, Family::Ipv4, &a, &b);
}

/// What remains: keepalived 2.2.7 discards an advertisement with another list of VIPs, so it does
/// not yield. converge, which would, says that there are two and what differs.
#[test]
fn keepalived_does_not_yield_to_one_with_fewer_vips_and_converge_says_so() {
    let Some(segment) = Segment::new(&HOSTS).filter(|_| keepalived::is_here()) else { return };
    let a = Node::started(&segment, "a", &V3.cluster([HIGHER, LOWER], ""));
    // Where both take over in the same moment, keepalived may hear of it before it looks closely.
    a.await_log("Backup → Active");
    let b = Keepalived::started(&segment, "b", &longer(LOWER));
    held(Holder::Both, &segment, Family::Ipv4, &a, &b);
    a.await_log("its addresses differ: only there 192.0.2.101, only here nothing");
    a.await_log("is Active too, with the lower priority 100");
    assert!(!a.log().contains("Active → "), "{}", a.log());
}

#[test]
fn converge_that_never_preempts_leaves_the_vip_with_a_lower_keepalived() {
    let Some(segment) = Segment::new(&HOSTS).filter(|_| keepalived::is_here()) else { return };
    let ear = Ear::on(&segment, "a");
    let b = Keepalived::started(&segment, "b", &keepalived::conf(&V3, LOWER, ""));
    ear.wait_for(LOWER, Instant::now());
    let a = Node::started(&segment, "a", &V3.cluster([HIGHER, LOWER], "preempt = \"never\""));
    a.await_log("→ Backup");
    sleep(Duration::from_secs(5));
    held(Holder::Other, &segment, Family::Ipv4, &a, &b);
    assert!(!a.log().contains("→ Active"), "{}", a.log());
}

#[test]
fn keepalived_that_never_preempts_hears_a_lower_converge() {
    let Some(segment) = Segment::new(&HOSTS).filter(|_| keepalived::is_here()) else { return };
    let ear = Ear::on(&segment, "a");
    let a = Node::started(&segment, "a", &V3.cluster([LOWER, HIGHER], ""));
    ear.wait_for(LOWER, Instant::now());
    let conf = keepalived::conf(&V3, HIGHER, "nopreempt");
    let b = Keepalived::started(&segment, "b", &conf);
    sleep(Duration::from_secs(6));
    held(Holder::Converge, &segment, Family::Ipv4, &a, &b);
    assert_eq!(a.log().matches("Active → ").count(), 0, "{}", a.log());
}

/// RFC 9568 5.2.8 leaves the pseudo-header out, keepalived 2.2.7 knows only the form with it.
#[test]
fn both_forms_of_the_checksum_are_heard_whichever_is_sent() {
    let Some(segment) = Segment::new(&HOSTS).filter(|_| keepalived::is_here()) else { return };
    let ours = Pairing { checksum: "message", ..V3 };
    let a = Node::started(&segment, "a", &ours.cluster([LOWER, HIGHER], ""));
    a.await_log("→ Active");
    let b = Keepalived::started(&segment, "b", &keepalived::conf(&V3, HIGHER, ""));
    held(Holder::Other, &segment, Family::Ipv4, &a, &b);
}

/// With a key the directors also keep a connection open. Where keepalived still runs nobody takes
/// it, which is what a dead converge looks like, too: whoever advertises itself is not dead.
#[test]
fn a_director_that_still_runs_keepalived_is_not_taken_for_dead() {
    for (priorities, vars) in [([LOWER, HIGHER], ""), ([HIGHER, LOWER], "preempt = \"never\"")] {
        let Some(segment) = Segment::new(&HOSTS).filter(|_| keepalived::is_here()) else { return };
        let ear = Ear::on(&segment, "b");
        let conf = keepalived::conf(&V3_UNICAST, priorities[1], "");
        let b = Keepalived::started(&segment, "b", &conf);
        ear.wait_for(priorities[1], Instant::now());
        let cluster = V3_UNICAST.cluster(priorities, vars);
        let mut a = Node::new(&segment, "a", &cluster).with_key();
        a.start();
        a.await_log("→ Backup");
        sleep(Duration::from_secs(5));
        held(Holder::Other, &segment, Family::Ipv4, &a, &b);
        assert!(!a.log().contains("→ Active"), "{vars}\n{}", a.log());
    }
}
