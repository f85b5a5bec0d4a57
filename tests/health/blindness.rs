//! A director that cannot reach the servers believes its own fault before theirs.

use std::thread::sleep;
use std::time::Duration;

use converge::pool::standing::Standing;

use super::site::{
    PROXIED, WEBS, director, look, lose_the_way, pool, proxied, segment_with_nginx, until,
    until_well,
};
use crate::failover::node::{Node, VIP};
use crate::failover::segment::Segment;

const CHECK: &str = "kind = \"http\"\nevery = \"500ms\"\n";

/// Both directors, of which `a` is Active; all servers are well.
pub(super) fn pair<'s>(segment: &'s Segment, check: &str) -> (Node<'s>, Node<'s>) {
    let role = proxied(check);
    let mut a = director(segment, "a", "", &role);
    let mut b = director(segment, "b", "", &role);
    for node in [&mut a, &mut b] {
        node.start();
        until_well(node, PROXIED);
    }
    held(segment, "a", [&a, &b]);
    (a, b)
}

pub(super) fn held(segment: &Segment, host: &str, [a, b]: [&Node<'_>; 2]) {
    let held = segment.await_holder(VIP, host);
    held.unwrap_or_else(|e| panic!("{e}\n---- a\n{}\n---- b\n{}", a.log(), b.log()));
}

/// The servers are kept as they were.
fn keeps(node: &Node<'_>) {
    for web in WEBS {
        let (seen, _) = until(node, PROXIED, web, Standing::Held);
        assert_eq!(seen.share.weight, Some(1), "{seen:?}");
    }
    assert!(pool(node, PROXIED).held, "{}", node.log());
}

pub(super) fn never_left(node: &Node<'_>) {
    for web in WEBS {
        let seen = look(node, PROXIED, web).expect("it is reported");
        assert_eq!((seen.share.weight, seen.share.standing), (Some(1), Standing::Up), "{seen:?}");
    }
    // One may fall a beat before the other, and is put back.
    assert!(!node.log().contains("sorry answers"), "{}", node.log());
}

#[test]
fn a_director_that_alone_lost_the_way_keeps_the_servers_and_gives_the_vip_to_one_that_sees() {
    let Some((segment, _webs)) = segment_with_nginx() else { return };
    let (a, b) = pair(&segment, CHECK);
    lose_the_way(&segment, "a", true);
    keeps(&a);
    a.await_log("→ Fault");
    a.await_log("but b is answered");
    held(&segment, "b", [&a, &b]);
    keeps(&a);
    never_left(&b);
    lose_the_way(&segment, "a", false);
    until_well(&a, PROXIED);
    held(&segment, "a", [&a, &b]);
    never_left(&a);
    never_left(&b);
}

#[test]
fn a_director_that_is_cut_off_from_all_empties_nothing() {
    let Some((segment, _webs)) = segment_with_nginx() else { return };
    let (a, b) = pair(&segment, CHECK);
    segment.cut("a", true);
    keeps(&a);
    b.await_log("→ Active");
    sleep(Duration::from_secs(3));
    keeps(&a);
    segment.cut("a", false);
    until_well(&a, PROXIED);
    held(&segment, "a", [&a, &b]);
    never_left(&a);
    never_left(&b);
}
