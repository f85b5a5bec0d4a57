//! Runs that are killed at any point, and what the next run makes of it.

use std::collections::BTreeSet;
use std::env;
use std::process::{Command, Stdio};
use std::time::Duration;

use converge::host::Host;
use converge::resource::address::Address;
use converge::resource::arp_filter::ArpFilter;
use converge::resource::route::{MAIN_TABLE, Route};
use converge::resource::rule::Rule;
use converge::resource::{Desired, Resource};

use super::apart::{in_namespace, run};
use super::{attempt, converge, desired, sh};

/// Set in the process that is killed.
const VICTIM: &str = "CONVERGE_TEST_VICTIM";
const NAME: &str = "kinds::crash::a_run_that_is_killed_at_any_point_is_put_right_by_the_next";
/// Runs that are killed, each a little later than the one before.
const ROUNDS: u64 = 40;

/// One of two states that differ in every resource.
fn state(second: bool) -> Desired {
    let pick = |one: &'static str, two: &'static str| if second { two } else { one };
    let address = |text: &str| text.parse().expect("an address");
    let vip = |prefix: &str| Address {
        address: prefix.parse().expect("a prefix"),
        interface: "lo".into(),
        label: Some(pick("lo:0", "lo:1").into()),
    };
    let route = Route {
        destination: "10.0.0.0/8".parse().expect("a prefix"),
        via: Some(pick("198.51.100.1", "198.51.100.2").parse().expect("an address")),
        interface: None,
        source: None,
        table: MAIN_TABLE,
        metric: 0,
    };
    let rule = Rule {
        priority: 100,
        from: Some(pick("192.0.2.0/25", "192.0.2.0/26").parse().expect("a prefix")),
        to: None,
        fwmark: None,
        incoming: None,
        table: 1000,
        ipv6: false,
    };
    let filter = ArpFilter {
        vip: std::net::Ipv4Addr::new(192, 0, 2, 100),
        source: address(pick("198.51.100.7", "198.51.100.8")),
    };
    let vips: [Resource; 2] =
        [vip("192.0.2.100/32").into(), vip(pick("192.0.2.101/32", "192.0.2.102/32")).into()];
    let [one, two] = vips;
    desired([one, two, route.into(), rule.into(), filter.into()])
}

fn listing() -> String {
    sh("ip -o addr show; ip route show table all; ip rule show; arptables-nft -L -n \
        | sed 's/-j .*//'")
}

async fn back_and_forth(host: &Host) {
    loop {
        attempt(host, &state(false)).await;
        attempt(host, &state(true)).await;
        attempt(host, &Desired::default()).await;
    }
}

fn kill_one(after: Duration) {
    let mut victim = Command::new(env::current_exe().expect("our own path"))
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env(VICTIM, "1")
        .stdout(Stdio::null())
        .spawn()
        .expect("the test binary starts again");
    std::thread::sleep(after);
    victim.kill().expect("our own child");
    let status = victim.wait().expect("our own child");
    assert!(status.code().is_none(), "it ended by itself: {status}");
}

#[test]
fn a_run_that_is_killed_at_any_point_is_put_right_by_the_next() {
    if env::var_os(VICTIM).is_some() {
        return run(async |host: &Host| back_and_forth(host).await);
    }
    in_namespace(NAME, async |host: &Host| {
        sh("ip link set lo up && ip link add eth7 type veth peer name eth8");
        sh("ip link set eth7 up && ip addr add 198.51.100.7/24 dev eth7");
        converge(host, &state(false)).await;
        converge(host, &Desired::default()).await;
        let foreign = listing();
        let mut counts = BTreeSet::new();
        for round in 0..ROUNDS {
            kill_one(Duration::from_millis(20 + round * 3));
            // A program that the victim had started may be at work still.
            std::thread::sleep(Duration::from_millis(200));
            let wanted = if round % 5 == 0 { Desired::default() } else { state(round % 2 == 0) };
            counts.insert(converge(host, &wanted).await);
            if round % 5 == 0 {
                assert_eq!(listing(), foreign, "after round {round}");
            }
        }
        assert!(counts.len() > 3, "all were killed at about one point: {counts:?}");
        println!("changes that the next run made: {counts:?}");
    });
}
