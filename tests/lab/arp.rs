//! Nobody but the director may answer for the VIP.

use std::collections::BTreeSet;

use super::world::{BASE, VIP, World, world};

/// The Ethernet addresses that answer the client's question for the VIP.
fn who_has(world: &World) -> BTreeSet<String> {
    let line = format!("ip neigh flush all; arping -c 3 -w 4 -I ens33 {VIP}");
    let output = world.host("client").run(&line).unwrap_or_else(|error| panic!("{error}"));
    let replies = output.stdout.split('[').skip(1).filter_map(|r| r.split(']').next());
    replies.map(str::to_owned).collect()
}

fn ethernet(world: &World, host: &str) -> String {
    world.ok(host, "cat /sys/class/net/ens33/address").trim().to_uppercase()
}

#[test]
fn without_the_sysctls_three_hosts_answer_for_the_vip_and_with_them_one_does() {
    let Some(world) = world() else { return };
    let director = BTreeSet::from([ethernet(&world, "director")]);
    assert_eq!(who_has(&world), director);
    for web in ["web1", "web2"] {
        let keys = ["all.arp_ignore", "lo.arp_ignore", "all.arp_announce", "lo.arp_announce"];
        let off = keys.map(|key| format!("net.ipv4.conf.{key}=0")).join(" ");
        world.ok(web, &format!("sysctl -qw {off}"));
    }
    assert_eq!(who_has(&world).len(), 3, "the leak that the sysctls are for");
    for web in ["web1", "web2"] {
        assert!(world.converge(web).success());
    }
    assert_eq!(who_has(&world), director);
}

#[test]
fn arptables_hide_the_vip_as_the_sysctls_do() {
    let Some(world) = world() else { return };
    world.be(&format!("{BASE}arp = \"arptables\"\n"));
    for web in ["web1", "web2"] {
        world.ok(web, "sysctl -qw net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.lo.arp_ignore=0");
    }
    assert_eq!(who_has(&world), BTreeSet::from([ethernet(&world, "director")]));
    world.both_servers_answer();
}

#[test]
fn the_sysctls_stand_before_the_vip_goes_on_lo() {
    let Some(world) = world() else { return };
    world.leave("web1");
    world.ok("web1", "sysctl -qw net.ipv4.conf.all.arp_ignore=0");
    let said = world.converge("web1").stdout;
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("no {text} in\n{said}"));
    assert!(at("sysctl net.ipv4.conf.all.arp_ignore") < at("address 192.168.142.100/32 on lo"));
}
