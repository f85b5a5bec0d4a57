//! What is done about VIPs, against tables that were filled as the kernel fills them.

use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use super::*;
use crate::vrrp::config::{Interval, Version};
use crate::vrrp::driver::fitness::tests::config;
use crate::vrrp::driver::requests::request;

const INDEX: u32 = 7;
const LEASE: u32 = 6;

fn vip(address: &str) -> Vip {
    let address = address.parse().expect("a prefix");
    Vip { address, interface: "eth0".into(), label: None }
}

fn at(seconds: u64) -> Moment {
    Moment::after_start(Duration::from_secs(seconds))
}

/// A host with eth0, up.
fn host() -> Interfaces {
    let mut link = LinkMessage::default();
    link.header.index = INDEX;
    link.header.flags = LinkFlags::Up | LinkFlags::Running;
    link.attributes.push(LinkAttribute::IfName("eth0".into()));
    let mut host = Interfaces::default();
    host.apply(&RouteNetlinkMessage::NewLink(link));
    host
}

fn add(host: &mut Interfaces, vip: &Vip, keep: impl Fn(&AddressAttribute) -> bool) {
    let change = Change::Add { vip: vip.clone(), index: INDEX, lease: LEASE, routed: true };
    let (RouteNetlinkMessage::NewAddress(mut message), _) = request(&change) else {
        panic!("an address is added");
    };
    message.attributes.retain(keep);
    host.apply(&RouteNetlinkMessage::NewAddress(message));
}

fn add_ours(host: &mut Interfaces, vip: &Vip) {
    add(host, vip, |_| true);
}

fn is_lease(attribute: &AddressAttribute) -> bool {
    matches!(attribute, AddressAttribute::CacheInfo(_))
}

fn is_mark(attribute: &AddressAttribute) -> bool {
    matches!(attribute, AddressAttribute::Protocol(_))
}

fn wanted(vips: &[&Vip]) -> Wanted {
    Wanted {
        vips: vips.iter().map(|vip| ((*vip).clone(), LEASE)).collect(),
        until: at(100),
        ..Wanted::default()
    }
}

fn planned(wanted: &Wanted, host: &Interfaces) -> Plan {
    plan(wanted, host, &BTreeMap::new(), at(1))
}

#[test]
fn what_is_wanted_is_added_and_what_is_ours_and_unwanted_goes() {
    let (one, other) = (vip("192.0.2.1/24"), vip("192.0.2.2/32"));
    let mut host = host();
    add_ours(&mut host, &other);
    let plan = planned(&wanted(&[&one]), &host);
    let added = Change::Add { vip: one, index: INDEX, lease: LEASE, routed: true };
    let removed = Change::Remove { index: INDEX, address: other.address };
    assert_eq!(plan.changes, [added, removed]);
    assert!(plan.standing.is_empty());
}

#[test]
fn what_is_foreign_serves_if_it_is_wanted_and_is_invisible_if_not() {
    let (one, other) = (vip("192.0.2.1/24"), vip("2001:db8::2/128"));
    let mut host = host();
    for foreign in [&one, &other] {
        add(&mut host, foreign, |attribute| !is_mark(attribute) && !is_lease(attribute));
    }
    // Of IPv6, another prefix is no other address.
    let same = vip("2001:db8::2/64");
    let found = planned(&wanted(&[&one, &same]), &host);
    assert!(found.changes.is_empty(), "{found:?}");
    assert_eq!(found.foreign, BTreeSet::from([one, same]));
    assert_eq!(planned(&wanted(&[]), &host), Plan::default());
}

#[test]
fn without_the_mark_a_lease_shows_that_a_configured_vip_is_ours() {
    let one = vip("192.0.2.1/24");
    let mut host = host();
    add(&mut host, &one, |attribute| !is_mark(attribute));
    assert_eq!(planned(&wanted(&[]), &host), Plan::default());
    let known = BTreeSet::from([("eth0".to_owned(), one.address)]);
    let found = planned(&Wanted { known, ..wanted(&[]) }, &host);
    assert_eq!(found.changes, [Change::Remove { index: INDEX, address: one.address }]);
}

#[test]
fn a_lease_is_renewed_when_a_third_of_it_is_over_or_it_is_another() {
    let one = vip("192.0.2.1/24");
    let mut host = host();
    add_ours(&mut host, &one);
    let renewals = |seconds, now| {
        let leased = BTreeMap::from([(one.clone(), Leased { at: at(10), seconds })]);
        plan(&wanted(&[&one]), &host, &leased, now).changes.len()
    };
    assert_eq!(renewals(LEASE, at(11)), 0);
    assert_eq!(renewals(LEASE, at(12)), 1);
    assert_eq!(renewals(LEASE + 1, at(11)), 1);
    assert_eq!(planned(&wanted(&[&one]), &host).changes.len(), 1, "adopted");
}

#[test]
fn a_wish_that_is_too_old_adds_nothing_and_renews_nothing() {
    let (one, other) = (vip("192.0.2.1/24"), vip("192.0.2.2/24"));
    let mut host = host();
    add_ours(&mut host, &one);
    let wish = wanted(&[&one, &other]);
    assert_eq!(plan(&wish, &host, &BTreeMap::new(), at(99)).changes.len(), 2);
    let found = plan(&wish, &host, &BTreeMap::new(), at(100));
    assert!(found.changes.is_empty(), "{found:?}");
    assert_eq!(found.standing, BTreeSet::from([one]));
}

#[test]
fn another_label_is_set_by_removing_and_adding() {
    let one = vip("192.0.2.1/24");
    let mut host = host();
    add_ours(&mut host, &one);
    let labelled = Vip { label: Some("eth0:web".into()), ..one };
    let changes = planned(&wanted(&[&labelled]), &host).changes;
    let kinds: Vec<bool> = changes.iter().map(|change| change.vip().is_some()).collect();
    assert_eq!(kinds, [false, true], "{changes:?}");
}

#[test]
fn a_vip_in_the_hosts_own_ipv6_subnet_brings_no_route_that_would_expire() {
    let one = vip("2001:db8::100/64");
    let routed = |host: &Interfaces| match planned(&wanted(&[&one]), host).changes.as_slice() {
        [Change::Add { routed, .. }] => *routed,
        other => panic!("{other:?}"),
    };
    let mut host = host();
    assert!(routed(&host));
    add(&mut host, &vip("2001:db8::1/64"), |attribute| !is_mark(attribute) && !is_lease(attribute));
    assert!(!routed(&host));
}

#[test]
fn nothing_is_added_where_nothing_can_be_sent() {
    let one = vip("192.0.2.1/24");
    let elsewhere = Vip { interface: "eth1".into(), ..one.clone() };
    assert_eq!(planned(&wanted(&[&elsewhere]), &host()), Plan::default());
    let mut down = LinkMessage::default();
    down.header.index = INDEX;
    down.header.flags = LinkFlags::Up;
    down.attributes.push(LinkAttribute::IfName("eth0".into()));
    let mut host = host();
    host.apply(&RouteNetlinkMessage::NewLink(down));
    assert_eq!(planned(&wanted(&[&one]), &host), Plan::default());
}

#[test]
fn a_lease_of_which_a_third_is_over_outlives_the_takeover() {
    for (version, milliseconds, expected) in [
        (Version::V3, 10, 4),
        (Version::V3, 100, 4),
        (Version::V3, 1000, 8),
        (Version::V3, 40_950, 248),
        (Version::V2, 1000, 8),
        (Version::V2, 255_000, 1532),
    ] {
        let interval = Interval::new(version, Duration::from_millis(milliseconds));
        let interval = interval.expect("an interval");
        let config = RouterConfig { version, interval, ..config() };
        assert_eq!(lease(&config), expected, "{interval:?}");
        let dead = interval.get() * 4;
        assert!(Duration::from_secs(expected.into()) * 2 / 3 > dead, "{interval:?}");
    }
}
