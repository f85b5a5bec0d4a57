//! The threads that keep the connections of two directors alike, and what is gained by them: a
//! connection that goes on through the other director.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::{NonZeroU8, NonZeroU16};
use std::time::{Duration, Instant};

use converge::ipvs::{SyncDaemon, SyncState};
use converge::resource::sysctl::Sysctl;
use converge::resource::{Desired, Resource};

use super::apart::Neighbour;
use super::uml::each_in_uml;
use super::{attempt, converge, desired, sh};

fn daemon(state: SyncState, interface: &str, sync_id: u8) -> SyncDaemon {
    let interface = interface.parse().expect("a name");
    SyncDaemon { state, interface, sync_id, max_length: None, group: None, port: None, ttl: None }
}

fn both(interface: &str, sync_id: u8) -> [Resource; 2] {
    [SyncState::Master, SyncState::Backup].map(|s| daemon(s, interface, sync_id).into())
}

fn running() -> String {
    sh("ipvsadm -l --daemon")
}

each_in_uml! {
    async fn daemons_come_change_are_put_back_and_go(host) {
        sh("modprobe ip_vs && ip link add eth7 type veth peer name eth8 && ip link set eth7 up");
        assert_eq!(converge(host, &desired(both("lo", 51))).await, 2);
        let listed = running();
        assert!(listed.contains("master sync daemon (mcast=lo, syncid=51"), "{listed}");
        assert!(listed.contains("backup sync daemon (mcast=lo, syncid=51"), "{listed}");
        sh("ipvsadm --stop-daemon master");
        assert_eq!(converge(host, &desired(both("lo", 51))).await, 1);
        assert_eq!(converge(host, &desired(both("eth7", 52))).await, 2);
        assert!(running().contains("backup sync daemon (mcast=eth7, syncid=52"));
        let all = SyncDaemon {
            max_length: NonZeroU16::new(1400),
            group: Some([224, 0, 0, 99].into()),
            port: NonZeroU16::new(9999),
            ttl: Some(NonZeroU8::MIN),
            ..daemon(SyncState::Master, "eth7", 52)
        };
        assert_eq!(converge(host, &desired([all.into()])).await, 2);
        assert_eq!(converge(host, &Desired::default()).await, 1);
        assert_eq!(running(), "", "none of ours stays");
    }

    async fn a_daemon_of_somebody_else_serves_or_is_left_alone_and_named(host) {
        sh("modprobe ip_vs && ipvsadm --start-daemon master --mcast-interface lo --syncid 7");
        let report = attempt(host, &desired(both("lo", 51))).await;
        let said = format!("{:?}", report.changes);
        assert!(said.contains("a synchronisation master on lo with id 7"), "{said}");
        assert!(running().contains("master sync daemon (mcast=lo, syncid=7"));
        assert_eq!(converge(host, &desired(both("lo", 7))).await, 1, "ours has another id");
        assert_eq!(converge(host, &Desired::default()).await, 1, "ours goes");
        let listed = running();
        assert!(listed.contains("master sync daemon (mcast=lo, syncid=7"), "{listed}");
        assert!(!listed.contains("backup"), "{listed}");
    }

    async fn a_connection_goes_on_through_the_other_director(host) {
        let net = Net::new();
        converge(host, &desired(both("br0", 51))).await;
        net.other.sh("ipvsadm --start-daemon master --mcast-interface eth0 --syncid 51");
        net.other.sh("ipvsadm --start-daemon backup --mcast-interface eth0 --syncid 51");
        let mut client = net.connect();
        assert!(net.echoes(&mut client), "through this director");
        net.until_known(|| net.other.sh("ipvsadm -lnc"), 1);
        net.route_through("198.51.100.2");
        assert!(net.echoes(&mut client), "through the other director");
        // What began there is known here.
        let mut second = net.connect();
        assert!(net.echoes(&mut second), "through the other director");
        net.until_known(|| sh("ipvsadm -lnc"), 2);
        net.route_through("198.51.100.1");
        assert!(net.echoes(&mut client) && net.echoes(&mut second), "back again");
    }

    // As the kernel has it by itself, the other director would wait for 50 packets more.
    async fn a_director_that_comes_back_learns_of_a_slow_connection_in_seconds(host) {
        let net = Net::new();
        let sysctl = |key: &str, value: &str| {
            let key = format!("net.ipv4.vs.{key}");
            Sysctl { key, value: value.into() }.into()
        };
        let [master, backup] = both("br0", 51);
        let whenever = sysctl("sync_threshold", "3 0");
        let often = sysctl("sync_refresh_period", "10");
        converge(host, &desired([whenever, often, master, backup])).await;
        let mut client = net.connect();
        assert!(net.echoes(&mut client), "through this director");
        // The first message about it is gone by then.
        std::thread::sleep(Duration::from_secs(4));
        net.other.sh("ipvsadm --start-daemon backup --mcast-interface eth0 --syncid 51");
        let start = Instant::now();
        while !net.other.sh("ipvsadm -lnc").contains("ESTABLISHED") {
            assert!(start.elapsed() < Duration::from_secs(20), "it never learned");
            assert!(net.echoes(&mut client), "through this director");
            std::thread::sleep(Duration::from_secs(2));
        }
        net.route_through("198.51.100.2");
        assert!(net.echoes(&mut client), "through the other director");
    }
}

/// Two directors, a client and a real server on one bridge; this namespace is a director.
struct Net {
    other: Neighbour,
    client: Neighbour,
    _server: Neighbour,
}

impl Net {
    fn new() -> Self {
        let [other, client, server] = std::array::from_fn(|_| Neighbour::new());
        sh("modprobe ip_vs && ip link add br0 type bridge && ip link set br0 up");
        sh("ip addr add 198.51.100.1/24 dev br0");
        for (number, neighbour) in [(2, &other), (3, &server), (4, &client)] {
            neighbour.plug(&format!("port{number}"), "eth0");
            sh(&format!("ip link set port{number} master br0"));
            neighbour.sh(&format!("ip addr add 198.51.100.{number}/24 dev eth0"));
        }
        let vip = "ip addr add 192.0.2.100/32 dev lo";
        let balanced = "ipvsadm -A -t 192.0.2.100:80 -s rr && \
                        ipvsadm -a -t 192.0.2.100:80 -r 198.51.100.3 -g";
        sh(&format!("{vip} && {balanced}"));
        other.sh(&format!("{vip} && {balanced}"));
        server.sh(vip);
        let listener = server.within(|| TcpListener::bind("192.0.2.100:80").expect("the VIP"));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.expect("a client");
                std::thread::spawn(move || {
                    let mut byte = [0];
                    while connection.read_exact(&mut byte).is_ok() {
                        connection.write_all(&byte).expect("it can be answered");
                    }
                });
            }
        });
        let net = Net { other, client, _server: server };
        net.route_through("198.51.100.1");
        net
    }

    /// Where the VIP is, as the client sees it.
    fn route_through(&self, director: &str) {
        self.client.sh(&format!("ip route replace 192.0.2.100 via {director}"));
    }

    fn connect(&self) -> TcpStream {
        let stream = self.client.within(|| TcpStream::connect("192.0.2.100:80").expect("the VIP"));
        stream.set_read_timeout(Some(Duration::from_secs(3))).expect("a limit");
        stream
    }

    fn echoes(&self, stream: &mut TcpStream) -> bool {
        let mut byte = [0];
        let sent = stream.write_all(b"x");
        sent.and_then(|()| stream.read_exact(&mut byte)).is_ok() && byte == *b"x"
    }

    /// The kernel gathers messages for two seconds, and looks each second whether it has.
    #[track_caller]
    fn until_known(&self, list: impl Fn() -> String, count: usize) {
        let start = Instant::now();
        while list().matches("ESTABLISHED").count() < count {
            assert!(start.elapsed() < Duration::from_secs(6), "{}", list());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
