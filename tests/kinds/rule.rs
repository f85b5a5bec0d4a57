//! Routing policy rules.

use converge::resource::rule::Rule;
use converge::resource::{Desired, Resource};

use super::apart::each_in_a_namespace;
use super::{converge, desired, sh};

fn rules() -> [Resource; 3] {
    let plain = Rule {
        priority: 100,
        from: None,
        to: None,
        fwmark: None,
        incoming: None,
        table: 1000,
        ipv6: false,
    };
    [
        Rule { from: Some("198.51.100.7/24".parse().expect("a prefix")), ..plain.clone() }.into(),
        Rule { fwmark: Some(7), incoming: Some("eth7".into()), ..plain.clone() }.into(),
        Rule { to: Some("2001:db8::/32".parse().expect("a prefix")), table: 100, ..plain }.into(),
    ]
}

each_in_a_namespace! {
    async fn rules_come_are_put_back_and_go(host) {
        let before = sh("ip rule show; ip -6 rule show");
        assert_eq!(converge(host, &desired(rules())).await, 3);
        assert!(sh("ip rule show").contains("100:\tfrom 198.51.100.0/24 lookup 1000 proto 118"));
        sh("ip rule del fwmark 7 && ip -6 rule del to 2001:db8::/32");
        assert_eq!(converge(host, &desired(rules())).await, 2);
        assert_eq!(converge(host, &Desired::default()).await, 3);
        assert_eq!(sh("ip rule show; ip -6 rule show"), before);
    }

    async fn a_foreign_rule_serves_and_survives(host) {
        sh("ip rule add pref 100 from 198.51.100.0/24 lookup 1000");
        sh("ip rule add pref 101 from 198.51.100.0/24 lookup 1001");
        let [first, _, _] = rules();
        assert_eq!(converge(host, &desired([first])).await, 0);
        assert_eq!(converge(host, &Desired::default()).await, 0);
        assert!(sh("ip rule show").contains("lookup 1001"));
        assert!(sh("ip rule show").contains("lookup 1000"));
    }
}
