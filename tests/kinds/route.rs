//! Routes: host routes, the default route, tables, and those of others.

use converge::resource::route::{MAIN_TABLE, Route};
use converge::resource::{Desired, Resource};

use super::apart::each_in_a_namespace;
use super::{attempt, converge, desired, sh};

fn route(destination: &str, via: Option<&str>, interface: Option<&str>) -> Route {
    Route {
        destination: destination.parse().expect("a prefix"),
        via: via.map(|v| v.parse().expect("an address")),
        interface: interface.map(str::to_owned),
        source: None,
        table: MAIN_TABLE,
        metric: 0,
    }
}

fn network() {
    sh("ip link set lo up && ip link add eth7 type veth peer name eth8");
    sh("ip link set eth7 up && ip link set eth8 up && ip addr add 198.51.100.7/24 dev eth7");
    sh("ip addr add 2001:db8:7::7/64 dev eth7 nodad");
}

each_in_a_namespace! {
    async fn a_host_route_on_lo_comes_is_put_back_and_goes(host) {
        network();
        let wanted = desired([route("192.0.2.100/32", None, Some("lo")).into()]);
        assert_eq!(converge(host, &wanted).await, 1);
        let shown = sh("ip route show proto 118");
        assert!(shown.contains("192.0.2.100 dev lo scope link"), "{shown}");
        sh("ip route del 192.0.2.100");
        assert_eq!(converge(host, &wanted).await, 1);
        sh("ip route replace 192.0.2.100 dev eth7 proto 118");
        assert_eq!(converge(host, &wanted).await, 1);
        assert_eq!(converge(host, &Desired::default()).await, 1);
        assert_eq!(sh("ip route show").lines().count(), 1, "only the kernel's own stays");
    }

    async fn the_default_route_moves_to_another_director(host) {
        network();
        let first = desired([route("0.0.0.0/0", Some("198.51.100.1"), None).into()]);
        let second = desired([route("0.0.0.0/0", Some("198.51.100.2"), Some("eth7")).into()]);
        assert_eq!(converge(host, &first).await, 1);
        assert_eq!(converge(host, &second).await, 1);
        assert!(sh("ip route show default").starts_with("default via 198.51.100.2 dev eth7"));
        assert_eq!(converge(host, &Desired::default()).await, 1);
        assert_eq!(sh("ip route show default"), "");
    }

    async fn a_foreign_default_route_is_not_replaced_but_named(host) {
        network();
        sh("ip route add default via 198.51.100.1 proto dhcp");
        let wanted = route("0.0.0.0/0", Some("198.51.100.2"), None);
        let report = attempt(host, &desired([wanted.clone().into()])).await;
        let said = format!("{:?}", report.changes);
        let named = "route 0.0.0.0/0 via 198.51.100.1 dev eth7 of protocol 16";
        assert!(said.contains(named), "{said}");
        assert!(sh("ip route show default").contains("via 198.51.100.1"));

        let equal = desired([route("0.0.0.0/0", Some("198.51.100.1"), None).into()]);
        assert_eq!(converge(host, &equal).await, 0);
        let beside = desired([Route { metric: 5, ..wanted }.into()]);
        assert_eq!(converge(host, &beside).await, 1);
        assert_eq!(converge(host, &Desired::default()).await, 1);
        assert!(sh("ip route show default").contains("via 198.51.100.1"));
    }

    async fn tables_metrics_sources_and_ipv6(host) {
        network();
        let resources: [Resource; 4] = [
            Route { table: 1000, ..route("0.0.0.0/0", Some("198.51.100.1"), None) }.into(),
            Route {
                metric: 50,
                source: Some("198.51.100.7".parse().expect("an address")),
                ..route("10.0.0.0/8", Some("198.51.100.1"), Some("eth7"))
            }.into(),
            route("2001:db8:100::1/128", None, Some("lo")).into(),
            route("::/0", Some("2001:db8:7::1"), Some("eth7")).into(),
        ];
        assert_eq!(converge(host, &desired(resources)).await, 4);
        assert!(sh("ip route show table 1000").contains("default via 198.51.100.1"));
        assert!(sh("ip route show 10.0.0.0/8").contains("src 198.51.100.7 metric 50"));
        let changed = desired([route("::/0", Some("2001:db8:7::2"), Some("eth7")).into()]);
        assert_eq!(converge(host, &changed).await, 4);
        assert!(sh("ip -6 route show default").contains("via 2001:db8:7::2"));
        assert_eq!(converge(host, &Desired::default()).await, 1);
        assert_eq!(sh("ip -6 route show proto 118; ip route show table all proto 118"), "");
    }

    async fn an_unreachable_next_hop_is_explained(host) {
        network();
        let wanted = desired([route("0.0.0.0/0", Some("203.0.113.1"), None).into()]);
        let report = attempt(host, &wanted).await;
        let converge::reconcile::Outcome::Failed(error) = &report.changes[0].1 else {
            panic!("{report:?}");
        };
        assert_eq!(error.to_string(), "cannot add route 0.0.0.0/0 via 203.0.113.1");
        assert!(error.hint().is_some_and(|h| h.contains("next hop")), "{error:?}");
    }
}
