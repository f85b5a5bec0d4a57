//! What a converge that comes after another one, or beside it, makes of the servers.

use converge::pool::standing::Standing;
use nix::sys::signal::Signal;

use super::site::{
    PROXIED, director, lose_the_way, proxied, report, segment_with_nginx, until, until_newer,
    until_well,
};
use crate::failover::node::Node;

/// Slow to judge, so that there is time to look.
const SLOW: &str = "kind = \"http\"\nevery = \"2s\"\n";
const CHECK: &str = "kind = \"http\"\nevery = \"500ms\"\n";
const FILE: &str = "nginx/conf.d/converge-upstream-app.conf";

fn file(node: &Node<'_>) -> String {
    std::fs::read_to_string(node.path(FILE)).unwrap_or_default()
}

#[test]
fn servers_that_had_traffic_before_a_crash_keep_it_until_they_are_judged() {
    let Some((segment, [_web1, web2])) = segment_with_nginx() else { return };
    drop(web2);
    let mut a = director(&segment, "a", "", &proxied(SLOW));
    a.start();
    until(&a, PROXIED, "web1", Standing::Up);
    until(&a, PROXIED, "web2", Standing::Down);
    a.await_file(FILE, "192.0.2.4:80 down");
    a.signal(Signal::SIGKILL);
    assert!(!a.ended());
    let crashed = report(&a).at;
    // Whoever comes after is not answered at once.
    lose_the_way(&segment, "a", true);
    a.start();
    until_newer(&a, crashed);
    let (kept, _) = until(&a, PROXIED, "web1", Standing::Kept);
    assert_eq!(kept.share.weight, Some(1), "{kept:?}");
    let (other, _) = until(&a, PROXIED, "web2", Standing::Unknown);
    assert_eq!(other.share.weight, None, "{other:?}");
    lose_the_way(&segment, "a", false);
    let (judged, _) = until(&a, PROXIED, "web1", Standing::Up);
    assert_eq!(judged.share.weight, Some(1));
    until(&a, PROXIED, "web2", Standing::Down);
    assert!(!a.log().contains("web1 (192.0.2.3:80) is out"), "{}", a.log());
}

#[test]
fn a_plan_beside_the_service_agrees_with_it_about_dead_servers() {
    let Some((segment, [_web1, web2])) = segment_with_nginx() else { return };
    let mut a = director(&segment, "a", "", &proxied(CHECK));
    a.start();
    until_well(&a, PROXIED);
    a.await_file(FILE, "192.0.2.4:80 weight=1");
    drop(web2);
    until(&a, PROXIED, "web2", Standing::Down);
    a.await_file(FILE, "192.0.2.4:80 down");
    assert!(file(&a).contains("192.0.2.3:80 weight=1"), "{}", file(&a));
    let plan =
        |node: &Node<'_>| String::from_utf8_lossy(&node.converge("plan").stdout).into_owned();
    let beside = plan(&a);
    assert!(!beside.contains("converge-upstream-app.conf"), "{beside}\n{}", a.log());
    // Without it nothing is known of the server, and the plan would say so.
    a.signal(Signal::SIGTERM);
    assert!(a.ended(), "{}", a.log());
    let alone = plan(&a);
    assert!(alone.contains("converge-upstream-app.conf"), "{alone}");
}
