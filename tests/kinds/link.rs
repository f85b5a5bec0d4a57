//! Interfaces that stand already; creating some needs modules and is tested in user-mode Linux.

use converge::resource::link::{Link, LinkType};
use converge::resource::{Desired, Resource};

use super::apart::each_in_a_namespace;
use super::uml::each_in_uml;
use super::{attempt, converge, desired, sh};

fn link(interface: &str, create: Option<LinkType>, up: bool) -> Resource {
    Link { interface: interface.into(), create, up }.into()
}

each_in_a_namespace! {
    async fn an_interface_that_stands_is_brought_up_and_never_removed(host) {
        assert_eq!(converge(host, &desired([link("lo", None, true)])).await, 1);
        assert!(sh("ip link show lo").contains("UP"));
        sh("ip link set lo down");
        assert_eq!(converge(host, &desired([link("lo", None, true)])).await, 1);
        assert_eq!(converge(host, &Desired::default()).await, 0);
        assert!(sh("ip link show lo").contains("UP"));
    }

    async fn a_foreign_interface_of_another_type_is_left_alone_and_named(host) {
        sh("ip link add dummy7 type veth peer name veth8");
        let report = attempt(host, &desired([link("dummy7", Some(LinkType::Dummy), true)])).await;
        let said = format!("{:?}", report.changes);
        assert!(said.contains("of type veth"), "{said}");
        assert_eq!(converge(host, &Desired::default()).await, 0);
        sh("ip link show dummy7");
    }

    async fn an_alias_of_our_name_on_somebody_elses_interface_is_not_our_mark(host) {
        sh("ip link add eth7 type veth peer name eth8 && ip link set eth7 alias converge");
        assert_eq!(converge(host, &Desired::default()).await, 0);
        sh("ip link show eth7");
    }
}

each_in_uml! {
    async fn interfaces_of_ours_come_change_are_put_back_and_go(host) {
        let local = |text: &str| text.parse().expect("an address");
        let ipip = |text| LinkType::Ipip { local: local(text) };
        sh("ip link add theirs type dummy && modprobe ipip");
        let wanted = |outer| desired([
            link("vips", Some(LinkType::Dummy), true),
            link("tun7", Some(ipip(outer)), true),
            link("gre7", Some(LinkType::Gre { local: local("192.0.2.7") }), true),
            link("tunl0", None, true),
        ]);
        assert_eq!(converge(host, &wanted("192.0.2.7")).await, 4);
        assert!(sh("ip -d link show tun7").contains("ipip any remote any local 192.0.2.7")
            || sh("ip -d link show tun7").contains("ipip remote any local 192.0.2.7"));
        assert_eq!(converge(host, &wanted("192.0.2.8")).await, 1);
        sh("ip link set vips down && ip link del gre7");
        assert_eq!(converge(host, &wanted("192.0.2.8")).await, 2);
        sh("ip link add converge-new type dummy");
        assert_eq!(converge(host, &wanted("192.0.2.8")).await, 1);
        assert_eq!(converge(host, &Desired::default()).await, 3);
        let left = sh("ip link show");
        let foreign = left.contains("theirs") && left.contains("tunl0");
        assert!(foreign && !left.contains("vips"), "{left}");
    }

    async fn a_foreign_interface_of_the_wanted_type_serves(host) {
        sh("ip link add vips type dummy");
        let wanted = desired([link("vips", Some(LinkType::Dummy), true)]);
        assert_eq!(converge(host, &wanted).await, 1);
        assert_eq!(converge(host, &Desired::default()).await, 0);
        sh("ip link show vips");
    }
}
