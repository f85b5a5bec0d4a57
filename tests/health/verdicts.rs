//! A server that fails leaves with its reason, returns, and somebody says sorry meanwhile.

use std::time::Duration;

use converge::pool::standing::Standing;

use super::site::{BALANCED, VIRTUAL, balanced, director, look, pool, segment, until, until_well};
use super::web::Web;
use crate::failover::segment::Segment;

const CHECK: &str = "kind = \"http\"\nevery = \"500ms\"\nrise = 2\nfall = 3\n";
/// fall × every + timeout, which is `every` here, and what a busy computer takes beside.
const BOUND: Duration = Duration::from_millis(4 * 500 + 20_000);

/// Drops what comes for a server's port, or no longer.
fn drop_packets(segment: &Segment, host: &str, dropped: bool) {
    let line = match dropped {
        true => {
            "nft add table ip port && nft add chain ip port in \
             '{ type filter hook input priority 0; }' \
             && nft add rule ip port in tcp dport 80 drop"
        }
        false => "nft delete table ip port",
    };
    segment.ok(host, line);
}

#[test]
fn a_server_that_refuses_is_silent_or_wrong_leaves_in_time_with_its_reason_and_returns() {
    let Some((segment, [mut web1, _web2])) = segment() else { return };
    let mut a = director(&segment, "a", "", &balanced(CHECK));
    a.start();
    until_well(&a, BALANCED);
    let leaves = |reason: &str| {
        let (seen, took) = until(&a, BALANCED, "web1", Standing::Down);
        assert!(took < BOUND, "{took:?}\n{}", a.log());
        assert_eq!(seen.share.weight, None);
        assert!(seen.share.why.contains(reason), "{seen:?}");
        let other = look(&a, BALANCED, "web2").expect("it is reported");
        assert_eq!(other.share.standing, Standing::Up, "{other:?}");
        let said = format!("web1 (192.0.2.3:80) is out: {}", seen.share.why);
        a.await_log(&said);
    };
    let returns = || {
        let (seen, took) = until(&a, BALANCED, "web1", Standing::Up);
        assert!(took < BOUND, "{took:?}\n{}", a.log());
        assert_eq!((seen.share.weight, seen.share.why), (Some(1), String::new()));
    };
    web1.say(500);
    leaves("status 500");
    web1.say(200);
    returns();
    drop(web1);
    leaves("refused");
    web1 = Web::open(&segment, "web1");
    returns();
    drop_packets(&segment, "web1", true);
    leaves("timed out");
    drop_packets(&segment, "web1", false);
    returns();
    drop(web1);
}

#[test]
fn clients_are_told_sorry_at_the_very_address_while_no_server_is_left() {
    let Some((segment, webs)) = segment() else { return };
    let mut a = director(&segment, "a", "", &balanced(CHECK));
    a.start();
    until_well(&a, BALANCED);
    assert_eq!(pool(&a, BALANCED).spare, None);
    drop(webs);
    until(&a, BALANCED, "web1", Standing::Down);
    until(&a, BALANCED, "web2", Standing::Down);
    assert_eq!(pool(&a, BALANCED).spare.as_deref(), Some("sorry"), "{}", a.log());
    // As if it were Active; with a table, the kernel hands clients over the same way.
    segment.ok("a", &format!("ip address add {VIRTUAL}/32 dev eth0"));
    let page = segment.ok("b", &format!("curl -s -m 10 -i http://{VIRTUAL}/"));
    assert!(page.starts_with("HTTP/1.1 503 ") && page.contains("Sorry"), "{page}");
    assert!(page.to_lowercase().contains("retry-after:"), "{page}");
}
