//! ARP filters, in the flavour that this kernel has; the older one is tested in user-mode Linux.

use std::time::Duration;

use converge::host::Host;
use converge::resource::arp_filter::ArpFilter;
use converge::resource::{Desired, Kind, Resource};

use super::apart::{Neighbour, each_in_a_namespace};
use super::uml::each_in_uml;
use super::{attempt, converge, desired, sh};

fn filter(vip: &str, source: &str) -> Resource {
    let address = |text: &str| text.parse().expect("an address");
    ArpFilter { vip: address(vip), source: address(source) }.into()
}

/// `arptables` is the flavour to look with.
async fn comes_is_damaged_is_put_back_and_goes(host: &Host, arptables: &str) {
    sh(&format!("{arptables} -A INPUT -s 203.0.113.9 -j DROP"));
    let foreign = sh(&format!("{arptables} -L -n"));
    let one = filter("192.0.2.1", "192.0.2.7");
    let two = filter("192.0.2.2", "192.0.2.7");
    assert_eq!(converge(host, &desired([one.clone(), two.clone()])).await, 2);

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
    assert_eq!(sh(&format!("{arptables} -L -n")), foreign, "only what is foreign stays");
}

each_in_a_namespace! {
    async fn a_filter_comes_is_damaged_is_put_back_and_goes(host) {
        comes_is_damaged_is_put_back_and_goes(host, "arptables-nft").await;
    }

    async fn a_filter_that_cannot_be_listed_is_not_taken_for_gone(host) {
        converge(host, &desired([filter("192.0.2.1", "192.0.2.7")])).await;
        let programs = "/usr/sbin/arptables-nft /usr/sbin/arptables-legacy";
        sh(&format!("for p in {programs}; do mount --bind /bin/false $p; done"));
        let report = attempt(host, &Desired::default()).await;
        assert!(matches!(report.unknown[..], [(Kind::ArpFilter, _)]), "{report:?}");
        sh(&format!("for p in {programs}; do umount $p; done"));
        assert_eq!(converge(host, &Desired::default()).await, 1);
    }

    async fn a_vip_is_hidden_from_a_neighbour_and_shown_again(host) {
        let neighbour = Neighbour::new();
        neighbour.plug("eth7", "eth8");
        sh("ip addr add 198.51.100.7/24 dev eth7 && ip addr add 198.51.100.100/32 dev eth7");
        neighbour.sh("ip addr add 198.51.100.8/24 dev eth8");
        let socket = neighbour.bind("198.51.100.8:0");
        let learns = || {
            neighbour.sh("ip neigh flush dev eth8");
            socket.send_to(b"?", "198.51.100.100:9").expect("it is sent");
            std::thread::sleep(Duration::from_millis(300));
            neighbour.sh("ip neigh show 198.51.100.100").contains("lladdr")
        };
        assert!(learns(), "the VIP can be reached to begin with");
        converge(host, &desired([filter("198.51.100.100", "198.51.100.7")])).await;
        assert!(!learns(), "the VIP is hidden");
        converge(host, &Desired::default()).await;
        assert!(learns(), "the VIP is shown again");
    }
}

each_in_uml! {
    async fn the_older_tables_serve_where_nf_tables_has_no_arp(host) {
        comes_is_damaged_is_put_back_and_goes(host, "arptables-legacy").await;
    }
}
