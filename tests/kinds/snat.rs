//! Source NAT of IPVS services, in the older tables, the only ones that this kernel has.

use converge::resource::snat::Snat;
use converge::resource::{Desired, Resource};

use super::uml::each_in_uml;
use super::{converge, desired, sh};

fn snat(protocol: &str, vip: &str, port: u16) -> Resource {
    Snat {
        protocol: protocol.into(),
        vip: vip.parse().expect("an address"),
        port,
    }
    .into()
}

fn listings() -> String {
    sh("iptables-legacy -t nat -S; ip6tables-legacy -t nat -S")
}

each_in_uml! {
    async fn snat_comes_is_damaged_is_put_back_and_goes(host) {
        for family in ["iptables-legacy", "ip6tables-legacy"] {
            sh(&format!("{family} -t nat -A POSTROUTING -o eth9 -j MASQUERADE"));
        }
        let foreign = listings();
        let all = || desired([
            snat("tcp", "192.0.2.1", 80),
            snat("udp", "192.0.2.1", 53),
            snat("sctp", "192.0.2.2", 80),
            snat("tcp", "2001:db8::1", 443),
        ]);
        assert_eq!(converge(host, &all()).await, 4);
        assert!(listings().contains("--vproto 6 --vaddr 2001:db8::1 --vport 443 -j MASQUERADE"));
        for damage in [
            "-F CONVERGE",
            "-D POSTROUTING -j CONVERGE",
            "-I CONVERGE -j ACCEPT",
            "-D CONVERGE 1",
        ] {
            sh(&format!("iptables-legacy -t nat {damage}"));
            assert!(converge(host, &all()).await > 0, "{damage} was not seen");
        }
        assert_eq!(converge(host, &desired([snat("udp", "192.0.2.1", 53)])).await, 3);
        assert_eq!(converge(host, &Desired::default()).await, 1);
        assert_eq!(listings(), foreign, "only what is foreign stays");
    }
}
