//! What an operator said holds until somebody says otherwise, on every director.

use std::time::{Duration, Instant};

use converge::pool::standing::Standing;
use nix::sys::signal::Signal;

use super::site::{
    BALANCED, PROXIED, balanced, director, look, proxied, report, segment, segment_with_nginx,
    until, until_newer, until_well,
};
use crate::failover::node::Node;
use crate::failover::segment::PATIENCE;

const CHECK: &str = "kind = \"http\"\nevery = \"500ms\"\n";

/// What comes out, notes too.
fn says(node: &Node<'_>, words: &str) -> String {
    let output = node.converge(words);
    assert!(output.status.success(), "{words}: {output:?}");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn is_drained(node: &Node<'_>) {
    let (seen, _) = until(node, BALANCED, "web1", Standing::Draining);
    assert_eq!(seen.share.weight, Some(0), "{seen:?}");
}

#[test]
fn a_drain_holds_over_reload_and_restart_on_both_directors_until_either_says_ready() {
    let Some((segment, _webs)) = segment() else { return };
    let role = balanced(CHECK);
    let mut a = director(&segment, "a", "", &role);
    let mut b = director(&segment, "b", "", &role);
    a.start();
    until_well(&a, BALANCED);
    let said = says(&a, "drain web2");
    assert!(said.contains("not connected now, and told when it is: b\n"), "{said}");
    says(&a, "ready web2");
    b.start();
    until_well(&b, BALANCED);
    let end = Instant::now() + PATIENCE;
    while !says(&a, "drain web1").contains("told to b through the service\n") {
        assert!(Instant::now() < end, "it is not told to b\n{}", a.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    is_drained(&a);
    is_drained(&b);
    let reads = a.log().matches("files read again").count();
    a.signal(Signal::SIGHUP);
    a.await_times("files read again", reads + 1);
    let since = look(&a, BALANCED, "web1").expect("it is reported").member.since;
    is_drained(&a);
    for signal in [Signal::SIGTERM, Signal::SIGUSR2, Signal::SIGKILL] {
        a.signal(signal);
        assert_eq!(a.ended(), signal != Signal::SIGKILL, "{}", a.log());
        let before = report(&a).at;
        a.start();
        until_newer(&a, before);
        is_drained(&a);
        until(&a, BALANCED, "web2", Standing::Up);
        is_drained(&a);
    }
    let seen = look(&a, BALANCED, "web1").expect("it is reported");
    assert!(seen.member.since >= since && seen.share.why.contains("said on a"), "{seen:?}");
    assert!(!a.log().contains("web1 (192.0.2.3:80) is in"), "{}", a.log());
    says(&b, "ready web1");
    until_well(&b, BALANCED);
    until_well(&a, BALANCED);
    // A file that is wrong keeps nobody from taking a server out.
    a.write("roles/holder.toml", "[x");
    says(&a, "drain web1");
    is_drained(&a);
    is_drained(&b);
}

#[test]
fn a_drain_that_is_said_while_nobody_listens_is_heeded_at_the_next_start() {
    let Some((segment, _webs)) = segment() else { return };
    let role = balanced(CHECK);
    let mut a = director(&segment, "a", "", &role);
    says(&a, "drain web1");
    a.start();
    is_drained(&a);
    // Who starts later hears of it as well.
    let mut b = director(&segment, "b", "", &role);
    b.start();
    is_drained(&b);
    until(&b, BALANCED, "web2", Standing::Up);
    let shown = || {
        let shown = b.converge("servers -o json").stdout;
        let shown: serde_json::Value = serde_json::from_slice(&shown).expect("JSON");
        let server = &shown["pools"][0]["servers"][0];
        (server["server"].clone(), server["standing"].clone())
    };
    // On a busy computer a check may fail in between.
    let end = Instant::now() + PATIENCE;
    while shown() != ("web1".into(), "draining".into()) {
        assert!(Instant::now() < end, "{:?}\n{}", shown(), b.log());
    }
}

#[test]
fn who_was_taken_out_stays_out_where_a_converge_by_hand_runs_without_the_service() {
    const FILE: &str = "nginx/conf.d/converge-upstream-app.conf";
    let Some((segment, _webs)) = segment_with_nginx() else { return };
    let mut a = director(&segment, "a", "", &proxied(CHECK));
    a.start();
    until_well(&a, PROXIED);
    // Not of the moment before it was judged.
    a.await_file(FILE, "192.0.2.4:80 weight=1");
    says(&a, "maintenance web2");
    a.await_file(FILE, "192.0.2.4:80 down");
    a.signal(Signal::SIGTERM);
    assert!(a.ended(), "{}", a.log());
    // Whatever became of it: a change that is stopped half-way is taken back.
    let file = std::fs::read_to_string(a.path(FILE)).expect("it was written");
    let others = file.replace("192.0.2.4:80 down", "192.0.2.4:80 weight=1");
    std::fs::write(a.path(FILE), others).expect("a file of our own");
    let by_hand = a.converge("");
    let file = std::fs::read_to_string(a.path(FILE)).expect("it was written");
    assert!(file.contains("192.0.2.4:80 down"), "{file}\n{by_hand:?}");
    assert!(!file.contains("192.0.2.3:80 down"), "{file}\n{by_hand:?}");
}
