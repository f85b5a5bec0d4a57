//! ARP filters, in the flavour that this kernel has; the older one is tested in user-mode Linux.

use converge::host::Host;
use converge::resource::arp_filter::ArpFilter;
use converge::resource::{Desired, Resource};

use super::apart::each_in_a_namespace;
use super::uml::each_in_uml;
use super::{converge, desired, sh};

fn filter(vip: &str, source: &str) -> Resource {
    let address = |text: &str| text.parse().expect("an address");
    ArpFilter {
        vip: address(vip),
        source: address(source),
    }
    .into()
}

/// `arptables` is the flavour to look with.
async fn comes_is_damaged_is_put_back_and_goes(host: &Host, arptables: &str) {
    sh(&format!("{arptables} -A INPUT -s 203.0.113.9 -j DROP"));
    let foreign = sh(&format!("{arptables} -L -n"));
    let one = filter("192.0.2.1", "192.0.2.7");
    let two = filter("192.0.2.2", "192.0.2.7");
    assert_eq!(
        converge(host, &desired([one.clone(), two.clone()])).await,
        2
    );

    for damage in [
        "-F converge-in",
        "-D OUTPUT -j converge-out",
        "-I converge-in -j ACCEPT",
        "-D converge-out 1",
    ] {
        sh(&format!("{arptables} {damage}"));
        let changes = converge(host, &desired([one.clone(), two.clone()])).await;
        assert!(changes > 0, "{damage} was not seen");
    }
    let moved = filter("192.0.2.1", "192.0.2.8");
    assert_eq!(converge(host, &desired([moved, two.clone()])).await, 1);
    assert_eq!(converge(host, &desired([two])).await, 1);
    assert!(!sh(&format!("{arptables} -L -n")).contains("192.0.2.1"));
    assert_eq!(converge(host, &Desired::default()).await, 1);
    assert_eq!(
        sh(&format!("{arptables} -L -n")),
        foreign,
        "only what is foreign stays"
    );
}

each_in_a_namespace! {
    async fn a_filter_comes_is_damaged_is_put_back_and_goes(host) {
        comes_is_damaged_is_put_back_and_goes(host, "arptables-nft").await;
    }

    async fn a_vip_is_hidden_from_a_neighbour_and_shown_again(host) {
        sh("ip link set lo up && ip link add eth7 type veth peer name eth8");
        sh("ip link set eth7 up && ip addr add 198.51.100.7/24 dev eth7");
        sh("ip addr add 198.51.100.100/32 dev eth7");
        // The neighbour: a namespace of its own, kept by a sleeping process.
        let sleep = sh("unshare -n sleep 60 >/dev/null 2>&1 & echo $!");
        let neighbour = format!("nsenter -n -t {}", sleep.trim());
        sh("sleep 0.2");
        sh(&format!("ip link set eth8 netns {}", sleep.trim()));
        sh(&format!("{neighbour} ip link set eth8 up"));
        sh(&format!("{neighbour} ip addr add 198.51.100.8/24 dev eth8"));
        let learns = || {
            sh(&format!("{neighbour} ip neigh flush dev eth8"));
            sh(&format!("{neighbour} bash -c 'echo > /dev/udp/198.51.100.100/9'"));
            sh("sleep 0.3");
            sh(&format!("{neighbour} ip neigh show 198.51.100.100")).contains("lladdr")
        };
        assert!(learns(), "the VIP can be reached to begin with");
        converge(host, &desired([filter("198.51.100.100", "198.51.100.7")])).await;
        assert!(!learns(), "the VIP is hidden");
        converge(host, &Desired::default()).await;
        assert!(learns(), "the VIP is shown again");
        sh(&format!("kill {}", sleep.trim()));
    }
}

each_in_uml! {
    async fn the_older_tables_serve_where_nf_tables_has_no_arp(host) {
        comes_is_damaged_is_put_back_and_goes(host, "arptables-legacy").await;
    }
}
