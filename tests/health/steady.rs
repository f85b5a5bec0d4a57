//! What must not change anything: a reload of other things, wrong files, and checks by the
//! thousand.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::site::{BALANCED, WEBS, balanced, director, look, report, segment, until_well};
use super::web::listen;
use crate::failover::node::{ROLE, VIP};

const CHECK: &str = "kind = \"http\"\nevery = \"500ms\"\n";

#[test]
fn a_reload_of_something_else_forgets_nothing_of_the_servers() {
    let Some((segment, _webs)) = segment() else { return };
    let role = balanced(CHECK);
    let mut a = director(&segment, "a", "", &role);
    a.start();
    until_well(&a, BALANCED);
    let before = WEBS.map(|web| look(&a, BALANCED, web));
    let more = "[[hold]]\naddress = \"192.0.2.102/32\"\ninterface = \"eth0\"\n";
    for role in [format!("{role}\n{more}"), role.replace("500ms", "400ms"), role.clone()] {
        a.write("roles/holder.toml", &role);
        let reloads = a.log().matches("files read again").count();
        a.signal(Signal::SIGHUP);
        let end = Instant::now() + crate::failover::segment::PATIENCE;
        while a.log().matches("files read again").count() == reloads {
            assert!(Instant::now() < end, "{}", a.log());
            assert_eq!(WEBS.map(|web| look(&a, BALANCED, web)), before, "{}", a.log());
        }
        sleep(Duration::from_secs(1));
        assert_eq!(WEBS.map(|web| look(&a, BALANCED, web)), before, "{}", a.log());
    }
    for word in [" is out", " is in", "quorum"] {
        assert!(!a.log().contains(word), "`{word}`:\n{}", a.log());
    }
}

#[test]
fn a_wrong_check_is_refused_with_its_place_and_changes_nothing() {
    let Some((segment, _webs)) = segment() else { return };
    let role = balanced(CHECK);
    let mut a = director(&segment, "a", "", &role);
    a.start();
    until_well(&a, BALANCED);
    let before = report(&a);
    for (right, wrong, told) in [
        ("kind = \"http\"", "kind = \"htpt\"", "htpt"),
        ("every = \"500ms\"", "every = \"500ms\"\ntimeout = \"2s\"", "timeout"),
        ("every = \"500ms\"", "evry = \"500ms\"", "evry"),
        ("fallback = \"sorry\"", "fallback = \"sorry\"\nquorum = 3", "quorum"),
    ] {
        let text = role.replace(right, wrong);
        let line = text.lines().position(|line| line.contains(told)).expect("it is there") + 1;
        a.write("roles/holder.toml", &text);
        a.signal(Signal::SIGHUP);
        a.await_log(&format!("roles/holder.toml:{line}:"));
        a.await_log(told);
    }
    sleep(Duration::from_secs(1));
    assert_eq!(report(&a), before, "{}", a.log());
    assert!(a.runs() && !a.log().contains("files read again"), "{}", a.log());
}

/// Ports, so many that with two servers there are 2,000 checks in each second.
const PORTS: std::ops::Range<u16> = 8000..8050;
const BEAT: &str = "kind = \"tcp\"\nevery = \"50ms\"\n";

#[test]
fn vrrp_with_short_intervals_stands_still_beside_two_thousand_checks_per_second() {
    let Some((segment, _webs)) = segment() else { return };
    let ports: Vec<String> = PORTS.map(|port| port.to_string()).collect();
    let role = balanced(BEAT).replace("\"80\"", &format!("\"{}\"", ports.join(",")));
    // Short, but not so short that other tests at the same time could be the reason.
    let [role, other] = [role.as_str(), ROLE].map(|role| role.replace("100ms", "300ms"));
    let (mut a, mut b) = (director(&segment, "a", "", &role), director(&segment, "b", "", &other));
    a.start();
    segment.await_holder(VIP, "a").unwrap_or_else(|e| panic!("{e}\n{}", a.log()));
    b.start();
    b.await_log("Initialize → Backup");
    let changes = || [&a, &b].map(|node| node.log().matches(" → ").count());
    let before = changes();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        let open: Vec<_> =
            WEBS.iter().flat_map(|web| PORTS.map(|port| listen(&segment, web, port))).collect();
        sleep(Duration::from_millis(700));
        drop(open);
        sleep(Duration::from_millis(700));
    }
    assert_eq!(changes(), before, "{}\n---- b\n{}", a.log(), b.log());
    assert_eq!(segment.holders(VIP), ["a"]);
    assert!(a.log().contains("8049: web2"), "nothing flapped:\n{}", a.log());
}
