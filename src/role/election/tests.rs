//! What the sections of several hosts come to, and what is said when they cannot.

use std::time::Duration;

use super::*;
use crate::cluster::Cluster;
use crate::diagnostic::Diagnostics;
use crate::host::shelf::{Shelf, Text};
use crate::role::{Catalog, Role};
use crate::situation::Standing;
use crate::vrrp::config::{Family, Preempt, Transport, Version};

/// Two directors, one real server and one VIP, with these lines under `[vars]`.
pub fn pair(vars: &str) -> String {
    format!(
        "version = 1\nname = \"c\"\n[vip]\nweb = \"192.0.2.10\"\n\
         [host.one]\nrole = \"director-master\"\naddress = \"192.0.2.1/24\"\ninterface = \"eth0\"\n\
         [host.two]\nrole = \"director-backup\"\naddress = \"192.0.2.2/24\"\ninterface = \"eth0\"\n\
         [host.web]\nrole = \"realserver\"\naddress = \"192.0.2.3/24\"\ninterface = \"eth0\"\n\
         [vars]\n{vars}\n"
    )
}

/// The role of a host of this cluster; `own` takes the place of director-master.
pub fn load(host: &str, cluster: &str, own: Option<&str>) -> Result<(Role, String), String> {
    let mut shelf = Shelf::embedded();
    if let Some(text) = own {
        let text = Text { shown: "roles/director-master.toml".into(), text: text.into() };
        shelf.roles.insert("director-master".into(), text);
    }
    let refused = |found: Diagnostics| found.render(false);
    let (cluster, _) = Cluster::parse("cluster.toml", cluster).map_err(refused)?;
    let (catalog, _) = Catalog::new(shelf, &cluster).map_err(refused)?;
    let me = &cluster.hosts[host];
    let loaded = Role::load(&catalog, &cluster, me, &Survey::typical());
    loaded.map(|(role, warnings)| (role, warnings.render(false))).map_err(refused)
}

/// The role, of which nothing is said.
#[track_caller]
pub fn role(host: &str, cluster: &str, own: Option<&str>) -> Role {
    let (role, warnings) = load(host, cluster, own).unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(warnings, "");
    role
}

/// What is said of a role that is refused.
#[track_caller]
pub fn refused(host: &str, cluster: &str, own: Option<&str>) -> String {
    load(host, cluster, own).map(|_| ()).expect_err("it is wrong")
}

/// A role for both directors with these sections, whose priority is a variable.
pub fn sections(text: &str) -> String {
    format!("version = 1\n[vars]\npriority = 200\n{text}")
}

const VRRP: &str = "[[vrrp]]\nname = \"a\"\npriority = \"{{vars.priority}}\"\n";
const HOLD: &str = "[[hold]]\naddress = \"192.0.2.10/32\"\ninterface = \"eth0\"\n";

fn addresses(role: &Role) -> Vec<String> {
    let desired = role.desired(&role.at_start()).expect("it does not contradict itself");
    let ids = desired.state.iter().map(|(id, _)| id.to_string());
    ids.filter(|id| id.starts_with("address")).collect()
}

#[test]
fn each_director_finds_the_other_in_the_cluster_file() {
    let (one, two) = (role("one", &pair(""), None), role("two", &pair(""), None));
    let ([one], [two]) = (one.routers(), two.routers()) else {
        panic!("each has one router");
    };
    assert_eq!((one.priority.get(), two.priority.get()), (200, 100));
    assert_eq!((one.vrid, &one.vips), (two.vrid, &two.vips));
    let peer = |router: &RouterConfig| {
        let [peer] = router.peers.as_slice() else { panic!("one peer") };
        (peer.name.clone(), peer.address.to_string(), peer.priority.get())
    };
    assert_eq!(peer(one), ("two".into(), "192.0.2.2".into(), 100));
    assert_eq!(peer(two), ("one".into(), "192.0.2.1".into(), 200));
    assert_eq!(one.source.to_string(), "192.0.2.1");
    assert_eq!((one.family, one.version), (Family::Ipv4, Version::V3));
    assert_eq!(one.transport, Transport::Unicast);
    assert_eq!(one.preempt, Preempt::After(Duration::from_secs(30)));
    assert_eq!(one.advertised(), ["192.0.2.10".parse::<std::net::IpAddr>().expect("it is one")]);
}

#[test]
fn a_vip_that_vrrp_moves_is_no_resource_and_one_of_a_single_director_is() {
    assert_eq!(addresses(&role("one", &pair(""), None)), [""; 0]);
    let two = "[host.two]\nrole = \"director-backup\"";
    let single = pair("").replace(two, "[host.two]\nrole = \"client\"");
    let alone = role("one", &single, None);
    assert_eq!(alone.routers(), []);
    assert_eq!(alone.tracks(), []);
    assert_eq!(alone.at_start().of("main"), Standing::Alone);
    assert_eq!(addresses(&alone).len(), 1);
}

#[test]
fn a_third_director_needs_no_priority_of_its_own() {
    let third = "[host.zeta]\nrole = \"director-backup\"\naddress = \"192.0.2.4/24\"\n\
                 interface = \"eth0\"\n[host.web]";
    let three = pair("").replacen("[host.web]", third, 1);
    let zeta = role("zeta", &three, None);
    let config = &zeta.routers()[0];
    assert_eq!(config.priority.get(), 95);
    let peers: Vec<&str> = config.peers.iter().map(|peer| peer.name.as_str()).collect();
    assert_eq!(peers, ["one", "two"]);
}

#[test]
fn each_of_two_directors_is_preferred_for_one_of_two_vips() {
    let vips = "api = { address = \"192.0.2.11\", vars = { router = \"api\", prefer = \"two\" } }\n\
                web = { address = \"192.0.2.10\", vars = { router = \"web\", prefer = \"one\" } }";
    let mutual = pair("").replace("web = \"192.0.2.10\"", vips);
    let priorities = |host| {
        let role = role(host, &mutual, None);
        let of = |r: &RouterConfig| (r.name.clone(), r.priority.get(), r.vips.len());
        role.routers().iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(priorities("one"), [("api".into(), 200, 1), ("web".into(), 250, 1)]);
    assert_eq!(priorities("two"), [("api".into(), 250, 1), ("web".into(), 100, 1)]);
}

#[test]
fn a_vip_waits_for_what_is_served_under_it() {
    let role = role("one", &pair("forward = \"nat\""), None);
    let desired = role.desired(&role.at_start()).expect("it does not contradict itself");
    let needs = role.vip_needs("main", &desired);
    let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
    assert_eq!(needs, ["sysctl net.ipv4.ip_forward", "virtual-server TCP 192.0.2.10:80"]);
    assert!(role.vip_needs("other", &desired).is_empty());
}

#[test]
fn a_router_that_is_not_there_is_met_with_the_one_that_was_meant() {
    let named = format!("{VRRP}{HOLD}router = \"b\"\n");
    let said = refused("one", &pair(""), Some(&sections(&named)));
    assert!(said.contains("there is no router `b`\n"), "{said}");
    assert!(said.contains("the routers of this role are `a`"), "{said}");
    let tracked = format!("{VRRP}{HOLD}[[track]]\nname = \"t\"\nunit = \"a.service\"\n");
    let said = refused("one", &pair(""), Some(&sections(&format!("{tracked}router = \"x\"\n"))));
    assert!(said.contains("there is no router `x`"), "{said}");
    let notified = format!("{VRRP}{HOLD}[[notify]]\nrun = \"/bin/true\"\nrouter = \"aa\"\n");
    let said = refused("one", &pair(""), Some(&sections(&notified)));
    assert!(said.contains("there is no router `aa`, did you mean `a`?"), "{said}");
}

#[test]
fn of_several_routers_a_vip_names_its_own() {
    let several = format!("{VRRP}{}{HOLD}", VRRP.replace("\"a\"", "\"b\""));
    let said = refused("one", &pair(""), Some(&sections(&several)));
    assert!(said.contains("the VIP 192.0.2.10 belongs to no router, and there are `a`"), "{said}");
    assert!(said.contains("add `router = \"a\"`"), "{said}");
}

#[test]
fn one_router_cannot_be_two_things() {
    let vips = "api = { address = \"192.0.2.11\", vars = { advert-interval = \"2s\" } }\n\
                web = \"192.0.2.10\"";
    let said = refused("one", &pair("").replace("web = \"192.0.2.10\"", vips), None);
    let title = "host `one` has the router `main` twice, with interval = 2s and 1s";
    assert!(said.contains(title), "{said}");
}

#[test]
fn a_proxy_may_bind_vips_of_either_family_that_are_elsewhere() {
    let proxies = pair("forward = \"fullnat\"").replace("\"director-", "\"proxy-");
    let six = proxies.replace("\"192.0.2.", "\"2001:db8::").replace("/24", "/64");
    let wanted = |cluster: &str| {
        let role = role("one", cluster, None);
        let desired = role.desired(&role.at_start()).expect("it does not contradict itself");
        format!("{:?}", desired.state)
    };
    let both = wanted(&six);
    assert!(both.contains("net.ipv6.ip_nonlocal_bind"), "{both}");
    assert!(both.contains("listen [2001:db8::10]:80;"), "{both}");
    assert!(both.contains("server [2001:db8::3]:80 weight=1;"), "{both}");
    assert!(!wanted(&proxies).contains("ipv6"), "no VIP is of that family");
}

#[test]
fn the_carriers_of_a_routers_interfaces_are_watched_in_any_case() {
    let unit = "[[track]]\nname = \"nginx\"\nunit = \"nginx.service\"\nweight = -20\n";
    let other = HOLD.replace("eth0", "eth1").replace(".10", ".11");
    let own = sections(&format!("{VRRP}{HOLD}{other}{unit}"));
    let cluster = pair("").replace("role = \"director-backup\"", "role = \"director-master\"\n");
    let cluster = format!("{cluster}\n").replace(
        "address = \"192.0.2.2/24\"\n",
        "address = \"192.0.2.2/24\"\nvars = { priority = 190 }\n",
    );
    let role = role("one", &cluster, Some(&own));
    let names: Vec<&str> = role.tracks().iter().map(|track| track.name.as_str()).collect();
    assert_eq!(names, ["nginx", "carrier of eth0", "carrier of eth1"]);
    assert_eq!(role.tracks()[0].weight, -20);
    assert_eq!(role.tracks()[1].routers, ["a"]);
}
