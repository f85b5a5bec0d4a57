//! Each check with a cluster that it is for, and with the nearest one that is right.

mod checks;

use crate::role::election::tests::{load, pair};

/// What is said of a cluster as its first director reads it; nothing if nothing is wrong.
#[track_caller]
fn said(cluster: &str, own: Option<&str>) -> String {
    match load("one", cluster, own) {
        Ok((_, warnings)) => warnings,
        Err(wrong) => wrong,
    }
}

/// A role for both directors: one router with one VIP, and what else is given.
fn role(more: &str) -> String {
    format!(
        "version = 1\n[vars]\npriority = 100\ninterval = \"1s\"\npreempt = \"now\"\n\
         [[hold]]\nfor-each = \"vip\"\naddress = \"{{{{each.cidr}}}}\"\ninterface = \"eth0\"\n\
         router = \"a\"\n\
         [[vrrp]]\nname = \"a\"\npriority = \"{{{{vars.priority}}}}\"\n\
         interval = \"{{{{vars.interval}}}}\"\npreempt = \"{{{{vars.preempt}}}}\"\n{more}"
    )
}

/// Two hosts of that role with these variables each.
fn hosts(one: &str, two: &str) -> String {
    let backup = "role = \"director-backup\"\naddress = \"192.0.2.2/24\"\n";
    let master = "role = \"director-master\"\naddress = \"192.0.2.1/24\"\n";
    pair("")
        .replace(
            backup,
            &format!(
                "role = \"director-master\"\naddress = \"192.0.2.2/24\"\nvars = {{ {two} }}\n"
            ),
        )
        .replace(master, &format!("{master}vars = {{ {one} }}\n"))
}

/// Two hosts with these priorities.
fn priorities(one: u8, two: u8) -> String {
    hosts(&format!("priority = {one}"), &format!("priority = {two}"))
}

fn track(rest: &str) -> String {
    format!("[[track]]\nname = \"nginx\"\nunit = \"nginx.service\"\n{rest}\n")
}

#[track_caller]
fn holds(said: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(said.contains(part), "{part:?} is not in:\n{said}"));
}

#[test]
fn a_weight_that_can_never_move_the_vip_is_an_error_with_its_arithmetic() {
    let said = said(&priorities(100, 90), Some(&role(&track("weight = 2"))));
    let title = "error: track `nginx` never moves the VIPs of `a`: it can lower `one` to 100, \
                 but `two` has 92";
    let golden = r#"  --> roles/director-master.toml:19:10
   |
19 | weight = 2
   |          ^ `one` falls from 102 to 100
   |
  ::: cluster.toml:10:7
   |
10 | [host.two]
   |       --- priority 90
   |
  ::: cluster.toml:5:7
   |
 5 | [host.one]
   |       --- priority 100
   |
   = help: `weight = -11` would (100 - 11 is less than 90), or none: then a bad track is a fault

1 error in roles/director-master.toml
"#;
    assert_eq!(said, format!("{title}\n{golden}"));
}

#[test]
fn a_weight_that_can_move_the_vip_is_right() {
    for (one, two, weight) in [(200, 199, 2), (100, 90, -11), (100, 90, 11), (100, 90, 0)] {
        let role = role(&track(&format!("weight = {weight}")));
        assert_eq!(said(&priorities(one, two), Some(&role)), "", "{one} {two} {weight}");
    }
    for (one, two, weight) in [(200, 198, 2), (100, 90, -10), (100, 90, 10)] {
        let role = role(&track(&format!("weight = {weight}")));
        holds(&said(&priorities(one, two), Some(&role)), &["never moves the VIPs"]);
    }
}

#[test]
fn two_weights_that_move_the_vip_only_together_are_right() {
    let second = track("weight = -6").replace("nginx", "php");
    let both = role(&format!("{}{second}", track("weight = -6")));
    assert_eq!(said(&priorities(100, 90), Some(&both)), "");
    holds(&said(&priorities(100, 88), Some(&both)), &["never moves the VIPs"]);
}

#[test]
fn a_weight_is_no_use_where_the_backup_never_preempts() {
    let role = role(&track("weight = -20"));
    let never = hosts("priority = 100", "priority = 90, preempt = \"never\"");
    let said = said(&never, Some(&role));
    holds(&said, &["it can lower `one` to 80, but `two` never preempts", "is a fault"]);
}

#[test]
fn a_weight_on_the_owner_of_the_addresses_does_nothing() {
    let said = said(&priorities(255, 90), Some(&role(&track("weight = -200"))));
    holds(&said, &["track `nginx` has a weight, but `one` owns the addresses"]);
    let file = "[[track]]\nname = \"number\"\nfile = \"/run/number\"\nweight = 1\n";
    assert_eq!(super::tests::said(&priorities(200, 90), Some(&role(file))), "");
}

#[test]
fn equal_priorities_are_an_error() {
    let said = said(&priorities(100, 100), Some(&role("")));
    let title = "hosts `one` and `two` have the same priority for router `a`, 100";
    holds(&said, &["error: ", title, "`vars = { priority = 95 }`"]);
}

#[test]
fn priorities_too_close_for_the_interval_are_told_with_what_would_do() {
    let vars = |priority| format!("priority = {priority}, interval = \"10ms\"");
    let close = said(&hosts(&vars(200), &vars(190)), Some(&role("")));
    let help = "(200 - 190) / 256 of 10ms is 390 µs, and a busy machine is late by more: put 26 \
                between their priorities, or take an interval of 30ms";
    holds(&close, &["warning: hosts `one` and `two` would take over router `a`", help]);
    assert_eq!(said(&hosts(&vars(200), &vars(174)), Some(&role(""))), "");
    let vars = |priority| format!("priority = {priority}, interval = \"30ms\"");
    assert_eq!(said(&hosts(&vars(200), &vars(190)), Some(&role(""))), "");
}

#[test]
fn a_preferred_host_is_one_that_has_the_router() {
    let typo = pair("prefer = \"towo\"");
    let told = said(&typo, None);
    holds(&told, &["router `main` prefers `towo`", "did you mean `two`?", "cluster.toml:18:10"]);
    assert_eq!(said(&pair("prefer = \"two\""), None), "");
    let above = pair("prefer = \"two\"").replacen(
        "interface = \"eth0\"\n",
        "interface = \"eth0\"\nvars = { priority = 251 }\n",
        1,
    );
    holds(&said(&above, None), &["which has 250 for it, but `one` has 251"]);
}

#[test]
fn one_vrid_for_two_routers_of_a_link_is_an_error() {
    let vips = "api = { address = \"192.0.2.11\", vars = { router = \"api\" } }\nweb = ";
    let two = pair("vrid = 7").replace("web = ", vips);
    let said = said(&two, None);
    let title = "routers `api` and `main` have the same VRID, 7, on one link";
    holds(&said, &[title, "1 is free: `vrid = 1` for the VIPs of `main`"]);
}

#[test]
fn hosts_that_say_different_things_of_one_router_are_told_of_each() {
    let cases = [
        ("vrid = 9", "vrid is 9 on host `two`, but "),
        ("advert-interval = \"2s\"", "interval is 2s on host `two`, but 1s on host `one`"),
        ("vrrp-version = 2", "version is 2 on host `two`, but 3 on host `one`"),
        ("transport = \"multicast\"", "transport is multicast on host `two`, but unicast on"),
    ];
    for (vars, title) in cases {
        let second = "address = \"192.0.2.2/24\"\n";
        let cluster = pair("").replace(second, &format!("{second}vars = {{ {vars} }}\n"));
        holds(&said(&cluster, None), &["error: for router `main`, ", title]);
    }
}

#[test]
fn hosts_hold_the_same_vips() {
    let differing = "[[hold]]\naddress = \"192.0.2.{{vars.last}}/32\"\ninterface = \"eth0\"\n";
    let own = role(differing).replace("[vars]", "[vars]\nlast = 11");
    let said = said(&hosts("priority = 200", "last = 12"), Some(&own));
    holds(&said, &["VIPs is 192.0.2.10/32, 192.0.2.12/32 on host `two`, but 192.0.2.10/32, 192"]);
}

#[test]
fn a_vip_is_held_by_one_router() {
    let again = "[[vrrp]]\nname = \"b\"\npriority = \"{{vars.priority}}\"\n\
                 [[hold]]\naddress = \"192.0.2.10/32\"\ninterface = \"eth0\"\nrouter = \"b\"\n";
    let said = said(&priorities(200, 100), Some(&role(again)));
    holds(&said, &["the VIP 192.0.2.10 belongs to two routers, `a` and `b`"]);
}

#[test]
fn a_vip_that_no_router_moves_is_held_by_one_host() {
    let own = "version = 1\n[[hold]]\naddress = \"192.0.2.10/32\"\ninterface = \"eth0\"\n";
    let two = hosts("", "").replace("vars = {  }\n", "");
    let told = said(&two, Some(own));
    holds(&told, &["hosts `one` and `two` would both hold the VIP 192.0.2.10", "`[[vrrp]]`"]);
    let one =
        two.replacen("[host.two]\nrole = \"director-master\"", "[host.two]\nrole = \"client\"", 1);
    assert_eq!(said(&one, Some(own)), "");
}

#[test]
fn a_router_without_a_vip_is_an_error() {
    let empty = "[[vrrp]]\nname = \"b\"\nvrid = \"1\"\npriority = \"{{vars.priority}}\"\n";
    let said = said(&priorities(200, 100), Some(&role(empty)));
    holds(&said, &["router `b` has no VIP of its family on host `one`", "router = \"b\""]);
}

#[test]
fn a_router_that_moves_nothing_is_told_where_nobody_else_would() {
    let vrrp = "[[vrrp]]\nname = \"b\"\npriority = 100\n";
    let moves_nothing = "warning: router `b` has no VIP on host `one`, and moves nothing";
    let help = "a `[[hold]]` section with `router = \"b\"` gives it one";
    let alone = pair("").replacen("\"director-backup\"", "\"client\"", 1);
    holds(&said(&alone, Some(&role(vrrp))), &[moves_nothing]);
    // A role without any `[[hold]]` stands for no router at all.
    let told = said(&pair(""), Some(&format!("version = 1\n{vrrp}")));
    holds(&told, &[moves_nothing, help, "--> roles/director-master.toml:2:1"]);
    let when = "[[hold]]\nwhen = \"\"\naddress = \"192.0.2.9\"\ninterface = \"eth0\"\n";
    let none = format!("version = 1\n{when}");
    assert_eq!(said(&pair(""), Some(&none)), "", "it has no router either");
}

#[test]
fn directors_of_a_cluster_without_vips_are_told_that_they_have_nothing_to_do() {
    let bare = |vars: &str| pair(vars).replace("[vip]\nweb = \"192.0.2.10\"\n", "");
    let told = said(&bare(""), None);
    holds(&told, &["warning: host `one` is to hold VIPs, and the cluster has none", "`[vip]`"]);
    holds(&told, &["--> cluster.toml:4:8", "1 warning in cluster.toml"]);
    let marked = "version = 1\n[[hold]]\nfor-each = \"vip\"\naddress = \"{{each.cidr}}\"\n\
                  interface = \"eth0\"\n[[virtual-server]]\nfwmark = 1\nscheduler = \"wlc\"\n\
                  forward = \"dr\"\nreal-servers = \"realserver\"\n";
    assert_eq!(said(&bare(""), Some(marked)), "", "it balances what is marked");
    let proxies = bare("").replace("director-", "proxy-");
    assert_eq!(said(&proxies, None), "", "a proxy has its own address");
    let wrong = said(&bare("scheduler = \"wlcc\""), None);
    assert!(!wrong.contains("error"), "what is in no section is not read: {wrong}");
}

#[test]
fn version_2_is_for_ipv4_and_whole_seconds() {
    let six = pair("vrrp-version = 2").replace("\"192.0.2.", "\"2001:db8::").replace("/24", "/64");
    holds(&said(&six, None), &["VRRPv2 cannot speak of IPv6, as router `main` would"]);
    let fast = pair("vrrp-version = 2\nadvert-interval = \"100ms\"");
    holds(&said(&fast, None), &["VRRPv2 advertises every 1s to 255s in whole seconds"]);
    let fraction = pair("advert-interval = \"15ms\"");
    let told = said(&fraction, None);
    let where_it_is_set = "cluster.toml:18:19";
    let what = "VRRPv3 advertises every 10ms to 40.95s in steps of 10ms, not every 15ms";
    holds(&told, &[what, where_it_is_set]);
    assert!(!told.contains("there is no router"), "{told}");
}

#[test]
fn unicast_needs_addresses_of_the_vips_family_on_the_routers_interface() {
    let six = pair("").replace("web = \"192.0.2.10\"", "web = \"2001:db8::10\"");
    let told = said(&six, None);
    holds(&told, &["VIPs of another family than the address of its host `two`", "multicast"]);
    let multicast = six.replace("[vars]\n", "[vars]\ntransport = \"multicast\"\n");
    assert_eq!(said(&multicast, None), "");
    let elsewhere = role("interface = \"eth1\"\n");
    let told = said(&priorities(200, 100), Some(&elsewhere));
    holds(&told, &["router `a` speaks on eth1, but host `one` has its address on eth0"]);
}

#[test]
fn the_owner_of_the_addresses_preempts_at_once() {
    let said = said(&hosts("priority = 255, preempt = \"after 30s\"", ""), Some(&role("")));
    holds(&said, &["(priority 255) and cannot preempt after 30s", "write `preempt = \"now\"`"]);
}

#[test]
fn a_sync_group_of_one_holds_nothing_together() {
    let said = said(&pair("sync-group = \"g\""), None);
    holds(&said, &["warning: on host `one`, router `main` is alone in sync group `g`"]);
}

#[test]
fn a_password_is_said_to_be_no_security() {
    let with =
        |password: &str| said(&pair(&format!("vrrp-version = 2\npassword = \"{password}\"")), None);
    let plain = "it stands in every packet for all to read";
    holds(&with("abc123"), &["warning: a VRRP password is no security", plain]);
    holds(&with("1111"), &["warning: `1111` is the password of keepalived's sample", plain]);
    let long = with("testpass123");
    holds(&long, &["of this password's 11 bytes VRRPv2 sends the first 8", plain]);
    assert!(!long.contains("testpass"), "{long}");
    let third = said(&pair("password = \"abc123\""), None);
    holds(&third, &["error: VRRPv3 has no passwords"]);
}

#[test]
fn a_vrid_is_from_1_to_255() {
    for wrong in ["0", "256"] {
        let told = said(&pair(&format!("vrid = {wrong}")), None);
        holds(&told, &[&format!("`{wrong}` is no VRID"), "cluster.toml:18:8"]);
    }
    assert_eq!(said(&pair("vrid = 51"), None), "");
}
