//! Every forwarding method carries traffic, leaves nothing to do, and is put back where it is
//! damaged by hand.

use super::world::{BASE, VIP, World, world};

/// The base cluster with one more line under `[vars]`.
fn with(line: &str) -> String {
    format!("{BASE}{line}\n")
}

#[test]
fn direct_routing_serves_the_files_of_the_nfs_host_in_turn() {
    let Some(world) = world() else { return };
    world.both_servers_answer();
    let pages = world.ok("client", &format!("curl -s http://{VIP}/; curl -s http://{VIP}/"));
    assert!(pages.contains("/opt/111") && pages.contains("/opt/222"), "{pages}");
}

#[test]
fn a_tunnel_carries_traffic() {
    let Some(world) = world() else { return };
    for tunnel in ["ipip", "gre", "gue"] {
        world.settle(&with(&format!("forward = \"tun\"\ntunnel = \"{tunnel}\"")));
        world.both_servers_answer();
        let web1 = world.ok("web1", "ip -br address show up; ip address show dev lo");
        assert!(!web1.contains("lo:0"), "the VIP of direct routing has left lo:\n{web1}");
        // The director proves it before a client does.
        let checked = world.ok("director", "converge check web1");
        assert!(checked.contains(&format!("through {VIP} in {tunnel}")), "{checked}");
        let (damage, named) = match tunnel {
            "gre" => ("ip address del 192.168.142.100/32 dev gre0", "address VIP on gre0"),
            "gue" => ("ip fou del port 6080", "gue-port 6080"),
            _ => ("ip link set tunl0 down", "link tunl0"),
        };
        world.repairs("web1", damage, &named.replace("VIP", &format!("{VIP}/32")));
        world.both_servers_answer();
    }
}

#[test]
fn fullnat_carries_traffic_and_real_servers_see_the_director() {
    let Some(world) = world() else { return };
    world.settle(&with("forward = \"fullnat\""));
    world.both_servers_answer();
    let log = world.ok("web1", "tail -n 1 /var/log/nginx/access.log");
    assert!(log.starts_with("192.168.142.3 "), "the client is the director: {log}");
    let named = format!("snat tcp {VIP}:80");
    world.repairs("director", "iptables-legacy -t nat -F CONVERGE", &named);
    world.both_servers_answer();
}

/// NAT needs clients that the real servers do not reach directly, so the client gets an address of
/// another network.
struct OtherNetwork<'a>(&'a World);

impl<'a> OtherNetwork<'a> {
    fn new(world: &'a World) -> Self {
        world.ok("client", "ip address add 192.168.143.7/24 dev ens33");
        world.ok("client", &format!("ip route add {VIP} dev ens33 src 192.168.143.7"));
        world.ok("director", "ip route add 192.168.143.0/24 dev ens33");
        OtherNetwork(world)
    }
}

impl Drop for OtherNetwork<'_> {
    fn drop(&mut self) {
        // The machines go with the test run; what cannot be undone shows in the next test.
        self.0.host("client").run("ip address del 192.168.143.7/24 dev ens33").ok();
        self.0.host("director").run("ip route del 192.168.143.0/24 dev ens33").ok();
    }
}

#[test]
fn nat_carries_traffic_because_real_servers_answer_through_the_director() {
    let Some(world) = world() else { return };
    let _other = OtherNetwork::new(&world);
    world.settle(&with("forward = \"nat\""));
    world.both_servers_answer();
    let log = world.ok("web1", "tail -n 1 /var/log/nginx/access.log; ip route");
    assert!(log.starts_with("192.168.143.7 "), "the client is itself: {log}");
    assert!(log.contains("default via 192.168.142.3"), "{log}");
    world.repairs("web1", "ip route del default", "route 0.0.0.0/0");
    let forward = "sysctl -qw net.ipv4.ip_forward=0";
    world.repairs("director", forward, "sysctl net.ipv4.ip_forward");
    world.both_servers_answer();
    world.settle(BASE);
    let routes = world.ok("web1", "ip route");
    assert!(!routes.contains("default"), "the way back is gone with NAT:\n{routes}");
}

#[test]
fn apache_serves_as_nginx_does() {
    let Some(world) = world() else { return };
    world.settle(&with("web = \"httpd\""));
    world.both_servers_answer();
    let units = world.ok("web1", "systemctl is-active apache2 nginx || true");
    assert_eq!(units, "active\ninactive\n");
}

#[test]
fn nfs_version_3_brings_rpcbind() {
    let Some(world) = world() else { return };
    world.settle(&with("nfs = 3"));
    world.both_servers_answer();
    let mounts = world.ok("web1", "grep /var/www/html /proc/mounts");
    assert!(mounts.contains("vers=3"), "{mounts}");
    let list = world.ok("client", "showmount -e nfs | tr -s ' '");
    assert!(list.contains("/opt/111 192.168.142.4"), "{list}");
}
