//! GUE ports, and a packet that comes out of one.

use std::net::UdpSocket;
use std::time::Duration;

use converge::resource::gue_port::GuePort;
use converge::resource::link::Link;
use converge::resource::module::Module;
use converge::resource::{Desired, Resource};

use super::apart::Neighbour;
use super::uml::each_in_uml;
use super::{attempt, converge, desired, sh};

fn port(port: u16) -> Resource {
    GuePort::new(port, false).into()
}

each_in_uml! {
    async fn a_port_comes_is_put_back_and_goes(host) {
        let report = attempt(host, &desired([port(6080)])).await;
        assert!(!report.converged(), "without the module there is no such port");
        sh("modprobe fou");
        assert_eq!(converge(host, &desired([port(6080), port(6081)])).await, 2);
        assert!(sh("ip fou show").contains("port 6080 gue"));
        sh("ip fou del port 6080");
        assert_eq!(converge(host, &desired([port(6080), port(6081)])).await, 1);
        assert_eq!(converge(host, &desired([port(6081)])).await, 1);
        sh("ip fou add port 7000 gue");
        assert_eq!(converge(host, &desired([port(6081), port(7000)])).await, 0);
        assert_eq!(converge(host, &Desired::default()).await, 1);
        assert_eq!(sh("ip fou show").lines().count(), 1, "only what is foreign stays");
    }

    async fn a_foreign_port_for_bare_packets_is_left_alone_and_named(host) {
        sh("modprobe fou && ip fou add port 6080 ipproto 4");
        let report = attempt(host, &desired([port(6080)])).await;
        assert!(format!("{report:?}").contains("bare packets of protocol 4"), "{report:?}");
        assert!(sh("ip fou show").contains("ipproto 4"));
    }

    async fn a_real_server_takes_a_packet_out_of_gue(host) {
        let director = Neighbour::new();
        director.plug("eth7", "eth8");
        sh("ip addr add 198.51.100.7/24 dev eth7 && ip addr add 192.0.2.100/32 dev lo");
        director.sh("ip addr add 198.51.100.8/24 dev eth8 && ip addr add 192.0.2.100/32 dev lo");
        sh("modprobe ip_vs");
        director.sh("ipvsadm -A -u 192.0.2.100:9 -s rr");
        let tunnel = "-i --tun-type gue --tun-port 6080 --tun-nocsum";
        director.sh(&format!("ipvsadm -a -u 192.0.2.100:9 -r 198.51.100.7 {tunnel}"));

        let client = director.bind("198.51.100.8:0");
        let server = UdpSocket::bind("192.0.2.100:9").expect("the VIP");
        server.set_read_timeout(Some(Duration::from_secs(2))).expect("a limit");
        let send = || client.send_to(b"hello", "192.0.2.100:9").expect("it is sent");
        let mut buffer = [0; 16];
        send();
        assert!(server.recv(&mut buffer).is_err(), "nothing comes through before");

        let module = |name: &str| Module { module: name.into() }.into();
        let tunl0 = Link { interface: "tunl0".into(), create: None, up: true };
        converge(host, &desired([module("ipip"), module("fou"), tunl0.into(), port(6080)])).await;
        sh("echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter");
        sh("echo 0 > /proc/sys/net/ipv4/conf/tunl0/rp_filter");
        send();
        let length = server.recv(&mut buffer).expect("a packet through GUE");
        assert_eq!(&buffer[..length], b"hello");
    }
}
