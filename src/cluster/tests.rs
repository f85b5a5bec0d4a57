//! What is taken, and what a wrong file is told.
//!
//! The messages are held word by word where their form matters: a stranger has to find the place
//! and the right word without reading anything else.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

const GOOD: &str = r#"version = 1
name = "s3"

[vip]
web = "192.168.142.100"

[vip.db]
address = "192.168.142.101/24"
interface = "ens34"
label = "ens34:1"
vars = { port = 3306 }

[host.director1]
role = "director-master"
address = "192.168.142.1/24"
interface = "ens33"

[host.web1]
role = "realserver"
address = "192.168.142.5/24"
interface = "ens33"
mac = "52:54:00:12:34:56"
vars = { export = "/opt/111", ports = [80, 443] }

[host."web2.example.com"]
role = "realserver"
address = "192.168.142.6/24"
interface = "ens33"

[vars]
forward = "dr"
"#;

fn good() -> Cluster {
    let (cluster, warnings) = Cluster::parse("cluster.toml", GOOD).expect("a good file");
    assert_eq!(warnings.render(false), "");
    cluster
}

/// What is said of the good file with a piece of it changed.
fn said(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from:?} is not in the file");
    match Cluster::parse("cluster.toml", GOOD.replacen(from, to, 1)) {
        Ok((_, warnings)) => warnings.render(false),
        Err(wrong) => {
            assert!(wrong.has_errors());
            wrong.render(false)
        }
    }
}

#[test]
fn a_cluster_file_becomes_types() {
    let cluster = good();
    assert_eq!(cluster.name.as_str(), "s3");
    let vips: Vec<String> = cluster.vips.iter().map(|vip| vip.address.to_string()).collect();
    assert_eq!(vips, ["192.168.142.100/32", "192.168.142.101/24"]);
    let web1 = &cluster.hosts["web1"];
    assert_eq!(web1.address.to_string(), "192.168.142.5/24");
    assert_eq!(web1.address.place.to_string(), "cluster.toml:20:11");
    assert_eq!(web1.place.text(), "[host.web1]");
    assert_eq!(web1.vars["export"].value, Var::Text("/opt/111".into()));
    assert_eq!(cluster.vars["forward"].value, Var::Text("dr".into()));
    let names: Vec<&str> =
        cluster.hosts_of_role("realserver").map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["web1", "web2.example.com"]);
}

#[test]
fn the_directors_key_is_named_by_its_file_alone() {
    assert_eq!(good().key_file.to_str(), Some("/etc/converge/cluster.key"));
    let named = GOOD.replacen("[vip]", "key-file = \"/etc/shop.key\"\n[vip]", 1);
    let (cluster, _) = Cluster::parse("cluster.toml", named).expect("a good file");
    assert_eq!(cluster.key_file.to_str(), Some("/etc/shop.key"));
    assert!(said("[vip]", "key-file = \"secret\"\n[vip]").contains("is not absolute"));
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let text = r#"version = 2
name = "s3"
[vip]
web = "192.168.142.300"
[host.web_1]
rolle = "realserver"
address = "192.168.142.5"
interface = "a-very-long-interface"
"#;
    let wrong = Cluster::parse("cluster.toml", text).map(|_| ()).expect_err("it is wrong");
    let golden = r#"
error: version `2` is unknown; this converge reads version 1
 --> cluster.toml:1:11
  |
1 | version = 2
  |           ^ `version` must be the number 1

error: `192.168.142.300` is not an IP address: 300 is above 255
 --> cluster.toml:4:7
  |
4 | web = "192.168.142.300"
  |       ^^^^^^^^^^^^^^^^^ `address` must be an IP address, with or without prefix length

error: `web_1` is not a host name: write a dash for `_`, `web-1`
 --> cluster.toml:5:7
  |
5 | [host.web_1]
  |       ^^^^^ this is a host name

error: unknown key `rolle` in `[host.web_1]`, did you mean `role`?
 --> cluster.toml:6:1
  |
6 | rolle = "realserver"
  | ^^^^^
  |
  = help: `role`: What the host is for: the name of a role file.

error: `192.168.142.5` has no prefix length, such as `192.168.142.5/24`
 --> cluster.toml:7:11
  |
7 | address = "192.168.142.5"
  |           ^^^^^^^^^^^^^^^ `address` must be an IP address with prefix, such as "192.0.2.1/24"

error: `a-very-long-interface` is not an interface name: it has 1 to 15 bytes
 --> cluster.toml:8:13
  |
8 | interface = "a-very-long-interface"
  |             ^^^^^^^^^^^^^^^^^^^^^^^ `interface` must be an interface name

6 errors in cluster.toml
"#;
    assert_eq!(wrong.render(false), golden.trim_start());
}

#[test]
fn an_address_that_is_taken_twice_shows_both_places() {
    let golden = r#"
error: host `web1` has the address of VIP `web`, 192.168.142.100
  --> cluster.toml:20:11
   |
 5 | web = "192.168.142.100"
   |       ----------------- the address of VIP `web`
...
20 | address = "192.168.142.100/24"
   |           ^^^^^^^^^^^^^^^^^^^^ the address of host `web1`
   |
   = help: give each an address of its own

1 error in cluster.toml
"#;
    assert_eq!(said("192.168.142.5/24", "192.168.142.100/24"), golden.trim_start());
    let hosts = said("192.168.142.6/24", "192.168.142.5/24");
    assert!(hosts.contains("host `web2.example.com` has the address of host `web1`"), "{hosts}");
}

#[test]
fn a_vip_outside_the_subnet_is_a_warning_with_the_address_that_was_meant() {
    let golden = r#"
warning: `192.168.45.100` lies in no subnet of the hosts that hold it
  --> cluster.toml:5:7
   |
 5 | web = "192.168.45.100"
   |       ^^^^^^^^^^^^^^^^ did you mean 192.168.142.100?
...
15 | address = "192.168.142.1/24"
   |           ------------------ host `director1` is in 192.168.142.0/24
   |
   = help: clients reach an address outside the subnet only if a router sends it here

1 warning in cluster.toml
"#;
    assert_eq!(said("192.168.142.100", "192.168.45.100"), golden.trim_start());
    // Another interface holds it: its subnet is not in the file.
    assert_eq!(said("192.168.142.101/24", "10.0.0.1/24"), "");
}

#[test]
fn between_two_directors_a_vip_outside_the_subnet_is_an_error() {
    let second = "[host.director2]\nrole = \"director-backup\"\naddress = \"192.168.142.2/24\"\n\
                  interface = \"ens33\"\n[host.web1]";
    let two = GOOD.replacen("[host.web1]", second, 1);
    let wrong = two.replacen("192.168.142.100", "192.168.45.100", 1);
    let said = Cluster::parse("cluster.toml", wrong).expect_err("it is wrong").render(false);
    assert!(said.contains("error: `192.168.45.100` lies in no subnet"), "{said}");
    assert!(said.contains("did you mean 192.168.142.100?"), "{said}");
    assert!(said.contains("write its prefix length: 192.168.45.100/24"), "{said}");
    let own = two.replacen("192.168.142.100", "192.168.45.100/24", 1);
    let (_, warnings) = Cluster::parse("cluster.toml", own).expect("it has a subnet of its own");
    assert_eq!(warnings.render(false), "");
}

#[test]
fn what_does_not_fit_together_is_told() {
    let cases = [
        ("192.168.142.5/24", "192.168.143.5/24", "host `web1` is in 192.168.143.0/24, but"),
        ("192.168.142.5/24", "192.168.142.5/25", "did you mean 192.168.142.5/24?"),
        ("192.168.142.5/24", "192.168.142.0/24", "is the network itself"),
        ("192.168.142.5/24", "192.168.142.255/24", "192.168.142.1 to 192.168.142.254"),
        ("192.168.142.5/24", "224.0.0.18/24", "`224.0.0.18` is a multicast address"),
        ("192.168.142.100", "0.0.0.0", "is the address that stands for none"),
        ("ens34:1", "ens33:1", "write `ens34:1`"),
        ("label = \"ens34:1\"", "label = \"eth\"", "`eth` is not a label"),
        ("\"192.168.142.101/24\"", "\"fd00::1\"", "an IPv6 address cannot have a label"),
        ("role = \"realserver\"\n", "", "`[host.web1]` lacks the key `role`"),
        ("version = 1\n", "", "`cluster.toml` lacks the key `version`"),
        ("[host.web1]", "[host.director1]", "`[host.director1]` stands here a second time"),
        ("[host.web1]", "[[host.web1]]", "write the header [host.web1], and its keys below it"),
        ("vars = { port = 3306 }", "vars = { port = 33.06 }", "a text stands in quotation marks"),
        (
            "web = \"192.168.142.100\"",
            "web = [\"192.168.142.100\"]",
            "`vip.web` must be an IP address, with",
        ),
    ];
    for (from, to, told) in cases {
        let said = said(from, to);
        assert!(said.contains(told), "{to:?}:\n{said}");
    }
}

#[test]
fn a_cluster_without_hosts_is_none() {
    let wrong = Cluster::parse("c.toml", "version = 1\nname = \"x\"\n[host]\n").map(|_| ());
    assert!(wrong.expect_err("no hosts").render(false).contains("the cluster has no hosts"));
}

fn whoami(flag: Option<&str>, hostname: &str, addresses: &[&str]) -> Result<String, String> {
    let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().expect("an address")).collect();
    let cluster = good();
    let host = cluster.whoami(flag, hostname, &addresses);
    host.map(|host| host.name.to_string()).map_err(|error| error.to_string())
}

#[test]
fn a_machine_knows_itself_by_flag_by_hostname_by_address() {
    let cases: &[(Option<&str>, &str, &[&str], &str)] = &[
        (Some("web1"), "director1", &[], "web1"),
        (None, "web1", &["192.168.142.6"], "web1"),
        (None, "web1.example.com", &[], "web1"),
        (None, "Web1.", &[], "web1"),
        (None, "web2", &[], "web2.example.com"),
        (None, "localhost", &["127.0.0.1", "192.168.142.5"], "web1"),
    ];
    for (flag, hostname, addresses, host) in cases {
        assert_eq!(whoami(*flag, hostname, addresses).as_deref(), Ok(*host));
    }
}

#[test]
fn a_machine_that_the_file_does_not_name_is_told_what_was_looked_at() {
    let hosts = "its hosts are `director1`, `web1` and `web2.example.com`";
    assert_eq!(
        whoami(Some("wbe1"), "x", &[]),
        Err(format!("cluster.toml has no host `wbe1` (did you mean `web1`?); {hosts}"))
    );
    assert_eq!(
        whoami(None, "localhost", &["127.0.0.1", "10.0.0.1"]),
        Err(format!(
            "cluster.toml does not name this machine: no host is called `localhost`, and none has \
             one of its addresses 127.0.0.1, 10.0.0.1; {hosts}; say which one this is with --host"
        ))
    );
    assert_eq!(
        whoami(None, "localhost", &["192.168.142.5", "192.168.142.6"]),
        Err("no host of cluster.toml is called `localhost`, and this machine has the addresses \
             of several: `web1` and `web2.example.com`; say which one this is with --host"
            .into())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_cluster_file_with_a_slip_is_taken_or_refused_with_a_reason(
        at in 0..GOOD.len(),
        gone in 0..20usize,
        piece in "[\\[\\]{}=.,:/\"'#\n a-z0-9]{0,6}",
    ) {
        let end = (at + gone).min(GOOD.len());
        let text = format!("{}{piece}{}", &GOOD[..at], &GOOD[end..]);
        match Cluster::parse("cluster.toml", text) {
            Ok((cluster, warnings)) => {
                prop_assert!(!warnings.has_errors());
                prop_assert!(!cluster.hosts.is_empty());
            }
            Err(wrong) => prop_assert!(wrong.has_errors() && !wrong.render(false).is_empty()),
        }
    }
}
