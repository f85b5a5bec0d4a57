//! What the sections of a role come to together.

use crate::check::config::{Probe, Way};
use crate::check::wire::flow::FlowConfig;
use crate::frame::tunnel::Tunnel;
use crate::role::Role;
use crate::role::election::tests::{load, pair, refused, role};

/// Two directors, two real servers, and hosts of other roles.
fn cluster(vars: &str) -> String {
    let host = |name: &str, role: &str, address: &str| {
        format!(
            "[host.{name}]\nrole = \"{role}\"\naddress = \"{address}/24\"\ninterface = \"eth0\"\n"
        )
    };
    let more = [
        host("web2", "realserver", "192.0.2.4"),
        host("disk", "nfs", "192.0.2.6"),
        host("far", "nfs", "198.51.100.7"),
        host("user", "client", "192.0.2.8"),
    ];
    pair(vars).replace("[vars]", &format!("{}[vars]", more.concat()))
}

fn probes(role: &Role) -> Vec<String> {
    role.pools()[0].members[0].checks.iter().map(|check| format!("{:?}", check.probe)).collect()
}

#[test]
fn neighbours_that_serve_nothing_here_are_witnesses() {
    let witnesses = |host: &str| {
        let role = role(host, &cluster(""), None);
        assert!(role.witnesses().iter().all(|check| *check.probe == Probe::Ping));
        role.witnesses().iter().map(|w| w.target.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(witnesses("one"), ["192.0.2.6", "192.0.2.2"]);
    assert_eq!(witnesses("two"), ["192.0.2.6", "192.0.2.1"]);
    assert_eq!(witnesses("web"), [""; 0]);
}

#[test]
fn a_check_that_two_services_share_is_made_once() {
    let one = role("one", &cluster(""), None);
    assert_eq!(one.checks().len(), 2 * 2 + 2);
    let ping = "ports = [80, 443]\ncheck = \"ping\"\ncheck-vip = false";
    let (shared, _) = load("one", &cluster(ping), None).expect("it is right, with a warning");
    assert_eq!(shared.checks().len(), 2 + 2);
}

#[test]
fn direct_routing_is_checked_through_the_vip() {
    let through = |vars: &str| {
        let (role, _) = load("one", &cluster(vars), None).unwrap_or_else(|said| panic!("{said}"));
        let checks = &role.pools()[0].members[0].checks;
        checks.iter().find_map(|check| match &*check.probe {
            Probe::ThroughVip(through) => {
                assert_eq!(check.target.socket().to_string(), "192.0.2.3:80");
                assert_eq!(through.interface, "eth0");
                Some((through.vip.to_string(), through.way))
            }
            _ => None,
        })
    };
    assert_eq!(through(""), Some(("192.0.2.10".into(), Way::Direct)));
    assert_eq!(
        through("forward = \"tun\""),
        Some(("192.0.2.10".into(), Way::Tunnel(Tunnel::Ipip)))
    );
    let gue = Some(("192.0.2.10".into(), Way::Tunnel(Tunnel::Gue(6080))));
    assert_eq!(through("forward = \"tun\"\ntunnel = \"gue\""), gue);
    let gre = Some(("192.0.2.10".into(), Way::Tunnel(Tunnel::Gre)));
    assert_eq!(through("forward = \"tun\"\ntunnel = \"gre\""), gre);
    assert_eq!(through("forward = \"fullnat\""), None);
    assert_eq!(through("protocol = \"udp\""), None);
    assert_eq!(through("check-vip = false"), None);
    assert_eq!(through("check = \"off\""), None);
    assert_eq!(through("persistence = \"300s\"\nports = 0"), None);
}

#[test]
fn what_masqueraded_servers_reply_is_counted() {
    let flows = |vars: &str| {
        let (role, _) = load("one", &cluster(vars), None).unwrap_or_else(|said| panic!("{said}"));
        let flow = |flow: &FlowConfig| {
            let servers =
                flow.servers.iter().map(|server| format!("{} {}", server.host, server.at));
            format!("{}: {}", flow.id, servers.collect::<Vec<_>>().join(", "))
        };
        role.flows().iter().map(flow).collect::<Vec<_>>()
    };
    let nat = "TCP 192.0.2.10:80: web 192.0.2.3:80, web2 192.0.2.4:80";
    assert_eq!(flows("forward = \"nat\""), [nat]);
    assert_eq!(flows("forward = \"nat\"\nprotocol = \"udp\""), [""; 0]);
    assert_eq!(flows("forward = \"fullnat\""), [""; 0]);
    assert_eq!(flows(""), [""; 0]);
}

#[test]
fn what_has_no_port_is_pinged() {
    let port = |vars: &str| probes(&role("one", &cluster(vars), None));
    assert_eq!(port("protocol = \"udp\""), ["Ping"]);
    assert_eq!(port("persistence = \"300s\"\nports = 0"), ["Ping"]);
    assert_eq!(port("persistence = \"300s\"\nports = 0\ncheck = \"off\""), [""; 0]);
    let tcp = "persistence = \"300s\"\nports = 0\ncheck = \"tcp\"";
    assert!(refused("one", &cluster(tcp), None).contains("has no port to ask"));
    assert_eq!(port(&format!("{tcp}\ncheck-port = 80")), ["Connect(None)"]);
}

#[test]
fn a_vip_of_direct_routing_is_watched_on_the_wire() {
    let one = role("one", &cluster("ports = [80, 443]"), None);
    let [wire] = one.wires() else { panic!("one VIP") };
    assert_eq!((wire.vip.to_string().as_str(), wire.interface.as_str()), ("192.0.2.10", "eth0"));
    let names = |all: &[(String, std::net::IpAddr)]| {
        all.iter().map(|(name, at)| format!("{name} {at}")).collect::<Vec<_>>()
    };
    assert_eq!(names(&wire.servers), ["web 192.0.2.3", "web2 192.0.2.4"]);
    assert_eq!(names(&wire.directors), ["one 192.0.2.1", "two 192.0.2.2"]);
    assert_eq!(role("one", &cluster("forward = \"fullnat\""), None).wires(), []);
}

#[test]
fn a_router_has_the_pools_of_its_vips() {
    let vips = "api = { address = \"192.0.2.11\", vars = { router = \"api\" } }\n\
                web = \"192.0.2.10\"";
    let role = role("one", &cluster("").replace("web = \"192.0.2.10\"", vips), None);
    assert_eq!(role.pools_of("api"), ["TCP 192.0.2.11:80"]);
    assert_eq!(role.pools_of("main"), ["TCP 192.0.2.10:80"]);
    assert_eq!(role.pools_of("none"), [""; 0]);
}

#[test]
fn converge_knows_where_and_what_to_say() {
    let one = role("one", &cluster("ports = [80, 443]"), None);
    assert_eq!(one.sorry(), ["192.0.2.10:80".parse().expect("an address")]);
    assert!(one.sorry_page().contains("Sorry") && one.sorry_page().contains("(one)"));
    let without = role("one", &cluster("fallback = \"\""), None);
    assert_eq!((without.sorry().len(), without.sorry_page()), (0, ""));
}
