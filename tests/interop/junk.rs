//! What is not an advertisement for this router changes nothing, however much of it comes.
//!
//! keepalived 2.2.7 starts its timer anew at every packet with its identifier, right or wrong, and
//! so falls silent under them; its Backup then takes over.

use std::thread::sleep;
use std::time::{Duration, Instant};

use converge::vrrp::config::Version;

use super::ear::Ear;
use super::keepalived::{self, Keepalived};
use super::pairing::V3;
use super::voice::{Voice, advert, altered};
use crate::failover::node::Node;
use crate::failover::segment::Segment;

const HOSTS: [&str; 3] = ["a", "b", "c"];
const PRIORITY: u8 = 200;
/// How long there is junk: six advertisements, one of which the clock of a busy machine may take.
const SPELL: Duration = Duration::from_secs(6);

/// Packets with a TTL, each of which is wrong in one way and would else win.
fn junk() -> Vec<(u32, Vec<u8>)> {
    let right = || advert(Version::V3, 254);
    let mut damaged = right();
    damaged[7] ^= 0x55;
    vec![
        (255, damaged),
        (1, right()),
        (255, advert(Version::V2, 254)),
        (255, right()[..10].to_vec()),
        (255, altered(right(), 3, &[0])),
        (255, altered(right(), 0, &[0x32])),
    ]
}

/// Says all of it again and again.
fn disturb(voices: &[Voice]) {
    let end = Instant::now() + SPELL;
    while Instant::now() < end {
        for (ttl, bytes) in junk() {
            voices.iter().for_each(|voice| voice.say(ttl, &bytes));
            sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn junk_that_silences_keepalived_does_not_silence_converge() {
    let Some(ours) = Segment::new(&HOSTS) else { return };
    let theirs = Segment::new(&HOSTS).filter(|_| keepalived::is_here());
    let a = Node::started(&ours, "a", &V3.cluster([PRIORITY, 100], ""));
    let conf = keepalived::conf(&V3, PRIORITY, "");
    let other = theirs.as_ref().map(|segment| Keepalived::started(segment, "b", &conf));
    let heard: Vec<Ear> =
        [Some(&ours), theirs.as_ref()].into_iter().flatten().map(|s| Ear::on(s, "c")).collect();
    let begin = Instant::now();
    heard.iter().for_each(|ear| drop(ear.wait_for(PRIORITY, begin)));
    let voices: Vec<Voice> =
        [Some(&ours), theirs.as_ref()].into_iter().flatten().map(Voice::of_c).collect();
    let then = Instant::now();
    disturb(&voices);
    let counts: Vec<usize> = heard.iter().map(|ear| ear.count(PRIORITY, then)).collect();
    eprintln!("advertisements in {SPELL:?} of junk: converge, keepalived: {counts:?}");
    assert!(counts[0] >= 5, "{counts:?}\n{}", a.log());
    assert!(counts.iter().all(|count| *count <= counts[0]), "{counts:?}");
    assert!(!a.log().contains("Active → "), "{}", a.log());
    assert!(ours.has("a", V3.family.vip()), "{}", a.log());
    drop(other);
}

#[test]
fn an_interval_of_nothing_does_not_move_the_vip() {
    let Some(segment) = Segment::new(&HOSTS) else { return };
    let a = Node::started(&segment, "a", &V3.cluster([PRIORITY, 100], ""));
    let ear = Ear::on(&segment, "c");
    ear.wait_for(PRIORITY, Instant::now());
    let then = Instant::now();
    let voice = Voice::of_c(&segment);
    // keepalived 2.2.7 learns that it is 0, yields, and takes over again at once.
    for _ in 0..10 {
        voice.say(255, &altered(advert(Version::V3, 254), 4, &[0, 0]));
        sleep(Duration::from_millis(200));
    }
    a.await_log("interval is 0");
    sleep(Duration::from_secs(1));
    assert!(!a.log().contains("Active → "), "{}", a.log());
    assert!(ear.count(PRIORITY, then) >= 2, "{}", a.log());
    assert!(segment.has("a", V3.family.vip()), "{}", a.log());
}

#[test]
fn what_resigns_for_somebody_else_does_not_move_the_vip() {
    let Some(segment) = Segment::new(&HOSTS) else { return };
    let a = Node::started(&segment, "a", &V3.cluster([PRIORITY, 100], ""));
    let ear = Ear::on(&segment, "c");
    ear.wait_for(PRIORITY, Instant::now());
    let voice = Voice::of_c(&segment);
    for _ in 0..10 {
        voice.say(255, &advert(Version::V3, 0));
        sleep(Duration::from_millis(100));
    }
    assert!(!a.log().contains("Active → "), "{}", a.log());
    assert!(segment.has("a", V3.family.vip()), "{}", a.log());
}
