//! What is converged stays as it is, and what is foreign stays as well.

use super::world::{HOSTS, VIP, world};

#[test]
fn a_second_run_changes_nothing_on_any_host_and_says_so() {
    let Some(world) = world() else { return };
    for host in HOSTS {
        let output = world.converge(host);
        assert!(output.success(), "{}", output.stderr);
        assert!(output.stdout.ends_with(": nothing to do\n"), "{host}: {}", output.stdout);
        let plan = world.host(host).run("converge plan").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((plan.status, plan.stderr.as_str()), (0, ""), "{host}: {}", plan.stdout);
    }
}

/// What somebody does to a host by hand, and what that is called in the plan.
const DAMAGE: &[(&str, &str, &str)] = &[
    ("web1", "sysctl -qw net.ipv4.conf.all.arp_ignore=0", "sysctl net.ipv4.conf.all.arp_ignore"),
    (
        "web1",
        "sysctl -qw net.ipv4.conf.all.arp_announce=0",
        "sysctl net.ipv4.conf.all.arp_announce",
    ),
    ("web1", "ip address del 192.168.142.100/32 dev lo", "address 192.168.142.100/32 on lo"),
    ("web1", "ip route del 192.168.142.100/32 dev lo", "route 192.168.142.100/32"),
    ("web1", "umount /var/www/html", "mount /var/www/html"),
    ("web1", "systemctl stop nginx", "unit nginx.service"),
    ("web1", "rm /etc/nginx/conf.d/converge.conf", "file /etc/nginx/conf.d/converge.conf"),
    (
        "web2",
        "echo oops >> /etc/nginx/conf.d/converge.conf",
        "file /etc/nginx/conf.d/converge.conf",
    ),
    ("web2", "systemctl disable -q nginx", "unit nginx.service"),
    ("nfs", "exportfs -u 192.168.142.4:/opt/111", "export /opt/111 to 192.168.142.4"),
    ("nfs", "rm /etc/exports.d/converge.exports", "export /opt/222 to 192.168.142.5"),
    ("nfs", "chmod 700 /opt/222", "directory /opt/222"),
    ("nfs", "rm /opt/111/index.html", "file /opt/111/index.html"),
    ("nfs", "systemctl stop nfs-server", "unit nfs-server.service"),
    (
        "director",
        "ip address del 192.168.142.100/32 dev ens33",
        "address 192.168.142.100/32 on ens33",
    ),
    (
        "director",
        "sysctl -qw net.ipv4.vs.expire_nodest_conn=0",
        "sysctl net.ipv4.vs.expire_nodest_conn",
    ),
    (
        "director",
        "sysctl -qw net.ipv4.conf.ens33.send_redirects=1",
        "sysctl net.ipv4.conf.ens33.send_redirects",
    ),
    ("director", "ipvsadm -C", "virtual-server TCP 192.168.142.100:80"),
    (
        "director",
        "ipvsadm -e -t 192.168.142.100:80 -r 192.168.142.4 -g -w 7",
        "virtual-server TCP 192.168.142.100:80",
    ),
    (
        "director",
        "ipvsadm -d -t 192.168.142.100:80 -r 192.168.142.5",
        "virtual-server TCP 192.168.142.100:80",
    ),
    (
        "director",
        "ipvsadm -a -t 192.168.142.100:80 -r 192.168.142.9 -g",
        "virtual-server TCP 192.168.142.100:80",
    ),
    (
        "director",
        "ipvsadm -E -t 192.168.142.100:80 -s wlc -p 60",
        "virtual-server TCP 192.168.142.100:80",
    ),
];

#[test]
fn whatever_is_damaged_by_hand_is_named_and_put_back() {
    let Some(world) = world() else { return };
    for (host, damage, named) in DAMAGE {
        world.repairs(host, damage, named);
    }
    world.both_servers_answer();
}

/// Foreign things: how they are made, and what shows that they are there.
const FOREIGN: &[(&str, &str, &str)] = &[
    (
        "web1",
        "ip address add 203.0.113.7/32 dev lo label lo:9",
        "ip -br address show | grep 203.0.113.7",
    ),
    ("web1", "ip route add 203.0.113.8/32 dev ens33", "ip route | grep 203.0.113.8"),
    ("web1", "ip rule add from 203.0.113.9 lookup 100", "ip rule | grep 203.0.113.9"),
    (
        "web1",
        "echo '# mine' > /etc/nginx/conf.d/mine.conf",
        "grep mine /etc/nginx/conf.d/mine.conf",
    ),
    (
        "web1",
        "arptables-legacy -A INPUT -d 203.0.113.7 -j DROP",
        "arptables-legacy -L | grep 203.0.113.7",
    ),
    (
        "nfs",
        "mkdir -p /srv/mine; echo '/srv/mine 203.0.113.0/24(ro,fsid=77)' >> /etc/exports; \
         exportfs -a",
        "grep srv/mine /etc/exports",
    ),
    ("director", "ipvsadm -A -t 203.0.113.1:99 -s rr", "ipvsadm -Ln | grep 203.0.113.1:99"),
    (
        "director",
        "ipvsadm -a -t 203.0.113.1:99 -r 203.0.113.2 -m",
        "ipvsadm -Ln | grep 203.0.113.2",
    ),
    (
        "director",
        "iptables-legacy -t nat -A POSTROUTING -s 203.0.113.3 -j ACCEPT",
        "iptables-legacy -t nat -S | grep 203.0.113.3",
    ),
];

#[test]
fn what_is_foreign_survives_converging_and_leaving_the_role() {
    let Some(world) = world() else { return };
    for (host, make, _) in FOREIGN {
        world.ok(host, make);
    }
    for host in ["web1", "nfs", "director"] {
        assert_eq!(world.pending(host), Vec::<String>::new(), "{host}: foreign is invisible");
        world.leave(host);
    }
    for (host, make, shows) in FOREIGN {
        let shown = world.host(host).run(shows).unwrap_or_else(|e| panic!("{e}"));
        assert!(shown.success(), "{host}: what `{make}` made is gone");
    }
    world.ok("director", "ipvsadm -D -t 203.0.113.1:99");
    world.ok("web1", "ip rule del from 203.0.113.9 lookup 100; rm /etc/nginx/conf.d/mine.conf");
}

#[test]
fn a_host_that_leaves_its_role_keeps_nothing_of_it() {
    let Some(world) = world() else { return };
    for host in ["web1", "nfs", "director"] {
        world.leave(host);
    }
    let web1 = world.ok("web1", "ip address; ip route; mount; systemctl is-active nginx || true");
    for trace in [VIP, "/var/www/html", "\nactive\n"] {
        assert!(!web1.contains(trace), "{trace} is left on web1:\n{web1}");
    }
    let nfs =
        world.ok("nfs", "exportfs; ls /etc/exports.d; systemctl is-active nfs-server || true");
    assert_eq!(nfs, "inactive\n", "something is left on nfs");
    let director = world.ok("director", "ip address; ipvsadm -Sn");
    assert!(!director.contains(VIP), "{VIP} is left on the director:\n{director}");
}

#[test]
fn a_configuration_that_fails_its_test_is_not_kept_and_the_old_one_serves_on() {
    let Some(world) = world() else { return };
    let template = "/etc/converge/templates/nginx-site.conf.hbs";
    let good = world.ok("web1", "cat /etc/nginx/conf.d/converge.conf");
    world
        .host("web1")
        .write_file(template, "server { listen 80 oops; }\n")
        .unwrap_or_else(|e| panic!("{e}"));
    let output = world.converge("web1");
    world.ok("web1", &format!("rm {template}"));
    assert_eq!(output.status, 1, "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.contains("oops"), "nginx's own words are shown:\n{}", output.stdout);
    assert_eq!(world.ok("web1", "cat /etc/nginx/conf.d/converge.conf"), good);
    world.both_servers_answer();
}
