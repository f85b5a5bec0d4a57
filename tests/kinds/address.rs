//! Addresses: marks, labels, neighbours.

use converge::reconcile::Outcome;
use converge::resource::address::Address;
use converge::resource::{Desired, Resource};

use super::apart::each_in_a_namespace;
use super::uml::each_in_uml;
use super::{attempt, converge, desired, plan, sh};

fn address(address: &str, interface: &str, label: Option<&str>) -> Resource {
    Address {
        address: address.parse().expect("a prefix"),
        interface: interface.into(),
        label: label.map(str::to_owned),
    }
    .into()
}

fn vip() -> Resource {
    address("192.0.2.100/32", "lo", Some("lo:0"))
}

fn shown(interface: &str) -> String {
    sh(&format!("ip -o addr show dev {interface}"))
}

fn two_ends() {
    sh("ip link set lo up && ip link add eth7 type veth peer name eth8");
    sh("ip link set eth7 up && ip link set eth8 up");
}

each_in_a_namespace! {
    async fn a_vip_comes_is_relabelled_is_put_back_and_goes(host) {
        two_ends();
        assert_eq!(converge(host, &desired([vip()])).await, 1);
        assert!(shown("lo").contains("192.0.2.100/32 scope global lo:0"), "{}", shown("lo"));

        let relabelled = desired([address("192.0.2.100/32", "lo", Some("lo:vip"))]);
        assert_eq!(converge(host, &relabelled).await, 1);
        assert!(shown("lo").contains("192.0.2.100/32 scope global lo:vip"));

        sh("ip addr del 192.0.2.100/32 dev lo");
        assert_eq!(converge(host, &relabelled).await, 1);

        assert_eq!(converge(host, &Desired::default()).await, 1);
        assert!(!shown("lo").contains("192.0.2.100"));
        assert!(shown("lo").contains("127.0.0.1/8"), "a foreign address went along");
    }

    async fn ours_are_found_on_any_interface_without_a_ledger(host) {
        two_ends();
        converge(host, &desired([vip(), address("198.51.100.9/24", "eth7", None)])).await;
        sh("rm /run/converge/made.json");
        assert_eq!(converge(host, &Desired::default()).await, 2);
        assert!(!shown("eth7").contains("198.51.100.9"));
    }

    async fn a_foreign_address_serves_when_it_is_equal_and_is_never_removed(host) {
        two_ends();
        sh("ip addr add 192.0.2.100/32 dev lo label lo:0");
        assert_eq!(converge(host, &desired([vip()])).await, 0);
        assert_eq!(converge(host, &Desired::default()).await, 0);
        assert!(shown("lo").contains("192.0.2.100/32 scope global lo:0"));
    }

    async fn a_foreign_address_with_another_label_is_left_alone_and_named(host) {
        two_ends();
        sh("ip addr add 192.0.2.100/32 dev lo label lo:9");
        let report = attempt(host, &desired([vip()])).await;
        assert!(!report.converged());
        let said = format!("{:?}", report.changes);
        assert!(said.contains("the same address with label lo:9"), "{said}");
        assert!(shown("lo").contains("lo:9"));
    }

    async fn ours_that_somebody_made_again_without_the_mark_is_still_ours(host) {
        two_ends();
        converge(host, &desired([vip()])).await;
        sh("ip addr del 192.0.2.100/32 dev lo && ip addr add 192.0.2.100/32 dev lo");
        assert_eq!(converge(host, &desired([vip()])).await, 1);
        assert_eq!(converge(host, &Desired::default()).await, 1);
    }

    async fn other_addresses_of_the_subnet_outlive_ours(host) {
        two_ends();
        let ours = address("198.51.100.1/24", "eth7", None);
        converge(host, &desired([ours])).await;
        sh("ip addr add 198.51.100.2/24 dev eth7");
        assert!(shown("eth7").contains("secondary"));
        converge(host, &Desired::default()).await;
        assert!(shown("eth7").contains("198.51.100.2/24"), "{}", shown("eth7"));
        let promote = sh("cat /proc/sys/net/ipv4/conf/eth7/promote_secondaries");
        assert_eq!(promote.trim(), "0", "the sysctl is as it was");
    }

    async fn an_ipv6_vip_answers_at_once(host) {
        two_ends();
        let vip = address("2001:db8::100/128", "eth7", None);
        assert_eq!(converge(host, &desired([vip])).await, 1);
        let shown = shown("eth7");
        assert!(shown.contains("2001:db8::100/128") && !shown.contains("tentative 2001"));
        assert!(shown.contains("nodad"), "{shown}");
        assert_eq!(converge(host, &Desired::default()).await, 1);
    }

    async fn an_address_on_a_missing_interface_is_refused_with_its_name(host) {
        let report = attempt(host, &desired([address("192.0.2.1/32", "eth9", None)])).await;
        let error = hint_of(&report);
        assert_eq!(error.0, "cannot add address 192.0.2.1/32 on eth9");
        assert!(error.1.contains("no interface of that name"), "{}", error.1);
    }

    async fn a_crash_after_the_ledger_entry_does_no_harm(host) {
        two_ends();
        let words = r#"{"address": ["192.0.2.100/32 on lo"]}"#;
        sh(&format!("mkdir /run/converge && echo '{words}' > /run/converge/made.json"));
        assert!(plan(host, &Desired::default()).await.is_empty());
        assert_eq!(converge(host, &desired([vip()])).await, 1);
        assert_eq!(converge(host, &Desired::default()).await, 1);
    }
}

fn hint_of(report: &converge::reconcile::Report) -> (String, String) {
    match &report.changes[0].1 {
        Outcome::Failed(error) => (error.to_string(), error.hint().unwrap_or_default()),
        outcome @ (Outcome::Done | Outcome::Held { .. }) => panic!("{outcome:?}"),
    }
}

each_in_uml! {
    async fn a_vip_comes_is_put_back_and_goes_on_an_older_kernel(host) {
        assert_eq!(converge(host, &desired([vip()])).await, 1);
        sh("ip addr del 192.0.2.100/32 dev lo");
        assert_eq!(converge(host, &desired([vip()])).await, 1);
        assert_eq!(converge(host, &Desired::default()).await, 1);
    }
}
