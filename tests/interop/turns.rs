//! The whole story of each pairing: who ranks higher preempts, whoever ends resigns, and the other
//! takes over after its skew time, which is less than a second, and not after three seconds.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::ear::Ear;
use super::frr::{self, Frr};
use super::keepalived::{self, Keepalived};
use super::pairing::{IPV6, IPV6_UNICAST, Pairing, V2, V2_PASS, V2_UNICAST, V3, V3_UNICAST};
use super::{Holder, Other, held};
use crate::failover::node::Node;
use crate::failover::segment::Segment;

const HOSTS: [&str; 2] = ["a", "b"];
const HIGHER: u8 = 200;
const LOWER: u8 = 100;
/// Skew time is at most 0.61 s at these priorities and an interval of a second; who waits for three
/// advertisements that do not come needs more than 3 s.
const SKEW: Duration = Duration::from_secs(2);

#[derive(Clone, Copy)]
enum Make {
    Keepalived,
    Frr,
}

impl Make {
    fn is_here(self) -> bool {
        match self {
            Make::Keepalived => keepalived::is_here(),
            Make::Frr => frr::is_here(),
        }
    }

    fn on<'s>(self, segment: &'s Segment, pairing: &Pairing, priority: u8) -> Box<dyn Other + 's> {
        let family = pairing.family;
        match self {
            Make::Keepalived => {
                let conf = keepalived::conf(pairing, priority, "");
                Box::new(Keepalived::new(segment, "b", family, &conf))
            }
            Make::Frr => Box::new(Frr::new(segment, "b", family, &frr::conf(pairing, priority))),
        }
    }
}

/// converge preempts, and resigns when it ends.
fn converge_is_higher(make: Make, pairing: &Pairing) {
    let Some(segment) = Segment::new(&HOSTS).filter(|_| make.is_here()) else { return };
    let ear = Ear::on(&segment, "a");
    let mut b = make.on(&segment, pairing, LOWER);
    let mut a = Node::new(&segment, "a", &pairing.cluster([HIGHER, LOWER], ""));
    b.start();
    ear.wait_for(LOWER, Instant::now());
    a.start();
    held(Holder::Converge, &segment, pairing.family, &a, b.as_ref());
    assert!(a.log().contains("is of lower priority, and its time is up"), "{}", a.log());
    let then = Instant::now();
    a.signal(Signal::SIGTERM);
    assert!(a.ended(), "{}", a.log());
    follows(&ear, then, LOWER, b.as_ref());
    held(Holder::Other, &segment, pairing.family, &a, b.as_ref());
    understood(&a, &ear);
}

/// The other preempts, and resigns when it ends.
fn the_other_is_higher(make: Make, pairing: &Pairing) {
    let Some(segment) = Segment::new(&HOSTS).filter(|_| make.is_here()) else { return };
    let ear = Ear::on(&segment, "a");
    let mut b = make.on(&segment, pairing, HIGHER);
    let a = Node::started(&segment, "a", &pairing.cluster([LOWER, HIGHER], ""));
    ear.wait_for(LOWER, Instant::now());
    b.start();
    ear.wait_for(HIGHER, Instant::now());
    held(Holder::Other, &segment, pairing.family, &a, b.as_ref());
    a.await_log("Active → Backup");
    let then = Instant::now();
    b.stop();
    follows(&ear, then, LOWER, b.as_ref());
    held(Holder::Converge, &segment, pairing.family, &a, b.as_ref());
    understood(&a, &ear);
}

/// After priority 0 the other one advertises itself within its skew time.
#[track_caller]
fn follows(ear: &Ear, then: Instant, priority: u8, other: &dyn Other) {
    let resigned = ear.wait_for(0, then);
    let took = ear.wait_for(priority, resigned.at).at - resigned.at;
    assert!(took < SKEW, "it took over after {took:?}\n{}", other.log());
}

/// Every packet is as converge's own codec would have it, and converge discarded none.
#[track_caller]
fn understood(a: &Node<'_>, ear: &Ear) {
    let all = ear.all();
    let broken: Vec<_> = all.iter().filter(|heard| heard.said.is_err()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    for word in ["discarded", "not heeded", "did not leave", "addresses differ"] {
        assert!(!a.log().contains(word), "`{word}`:\n{}", a.log());
    }
}

macro_rules! turns {
    ($($name:ident: $make:expr, $pairing:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn a_higher_converge_preempts_and_is_followed_after_skew_when_it_resigns() {
                converge_is_higher($make, &$pairing);
            }

            #[test]
            fn converge_yields_to_a_higher_one_and_follows_when_that_resigns() {
                the_other_is_higher($make, &$pairing);
            }
        }
    )*};
}

turns! {
    keepalived_v2: Make::Keepalived, V2;
    keepalived_v2_unicast: Make::Keepalived, V2_UNICAST;
    keepalived_v2_pass: Make::Keepalived, V2_PASS;
    keepalived_v3: Make::Keepalived, V3;
    keepalived_v3_unicast: Make::Keepalived, V3_UNICAST;
    keepalived_ipv6: Make::Keepalived, IPV6;
    keepalived_ipv6_unicast: Make::Keepalived, IPV6_UNICAST;
    frr_v2: Make::Frr, V2;
    frr_v3: Make::Frr, V3;
    frr_ipv6: Make::Frr, IPV6;
}
