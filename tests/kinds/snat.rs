//! Source NAT of IPVS services, in the older tables, the only ones that this kernel has.

use converge::resource::snat::Snat;
use converge::resource::{Desired, Resource};

use super::apart::Neighbour;
use super::uml::each_in_uml;
use super::{converge, desired, sh};

fn snat(protocol: &str, vip: &str, port: u16) -> Resource {
    Snat { protocol: protocol.into(), vip: vip.parse().expect("an address"), port }.into()
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

    async fn replies_come_back_through_the_director(host) {
        let (client, server) = (Neighbour::new(), Neighbour::new());
        client.plug("eth1", "eth0");
        server.plug("eth2", "eth0");
        sh("ip addr add 198.51.100.1/24 dev eth1 && ip addr add 203.0.113.1/24 dev eth2");
        sh("ip addr add 192.0.2.100/32 dev lo && echo 1 > /proc/sys/net/ipv4/ip_forward");
        client.sh("ip addr add 198.51.100.2/24 dev eth0 && ip route add default via 198.51.100.1");
        // It has no route to the client: what is not sent to the director is lost.
        server.sh("ip addr add 203.0.113.2/24 dev eth0");
        sh("modprobe ip_vs && echo 1 > /proc/sys/net/ipv4/vs/conntrack");
        sh("ipvsadm -A -u 192.0.2.100:9 -s rr && ipvsadm -a -u 192.0.2.100:9 -r 203.0.113.2 -m");

        let answers = server.bind("203.0.113.2:9");
        // Each time from another port, so that no connection of before is gone on with.
        let ask = || {
            let (asks, mut buffer) = (client.bind("198.51.100.2:0"), [0; 16]);
            asks.send_to(b"hello", "192.0.2.100:9").expect("it is sent");
            let (_, seen) = answers.recv_from(&mut buffer).expect("IPVS forwards it");
            let sent = answers.send_to(b"hello yourself", seen);
            let answer = sent.and_then(|_| asks.recv_from(&mut buffer));
            (seen.ip().to_string(), answer.ok().map(|(_, from)| from.to_string()))
        };
        assert_eq!(ask(), ("198.51.100.2".to_owned(), None));
        converge(host, &desired([snat("udp", "192.0.2.100", 9)])).await;
        assert_eq!(ask(), ("203.0.113.1".to_owned(), Some("192.0.2.100:9".to_owned())));
    }
}
