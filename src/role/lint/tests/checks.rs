//! What is asked of real servers, and of whom.

use super::{holds, said};
use crate::role::election::tests::pair;

/// A role that balances these ports with this check.
fn balanced(ports: &str, check: &str) -> String {
    format!(
        "version = 1\n[[hold]]\nfor-each = \"vip\"\naddress = \"{{{{each.cidr}}}}\"\n\
         interface = \"eth0\"\n[[virtual-server]]\naddress = \"192.0.2.10\"\n\
         ports = \"{ports}\"\nscheduler = \"wlc\"\nforward = \"dr\"\n\
         real-servers = \"realserver\"\n[[virtual-server.check]]\n{check}\n"
    )
}

/// What is said of such a role on a director that stands alone.
fn told(ports: &str, check: &str) -> String {
    let alone = pair("").replacen("\"director-backup\"", "\"client\"", 1);
    said(&alone, Some(&balanced(ports, check)))
}

#[test]
fn a_ping_alone_is_no_check_of_a_web_server() {
    let cluster = |vars: &str| pair(&format!("check = \"ping\"\n{vars}"));
    let told = said(&cluster("check-vip = false"), None);
    assert!(told.contains("a ping alone does not tell whether anything listens"), "{told}");
    assert!(told.contains(" --> cluster.toml:"), "{told}");
    // A handshake through the VIP tells it, and of UDP nothing better is known.
    assert_eq!(said(&cluster(""), None), "");
    assert_eq!(said(&cluster("protocol = \"udp\""), None), "");
    let proxies = cluster("forward = \"fullnat\"").replace("director-", "proxy-");
    assert!(said(&proxies, None).contains("a ping alone"));
}

#[test]
fn a_real_server_on_another_segment_is_told_for_direct_routing() {
    let cluster = |vars: &str| pair(vars).replace("192.0.2.3/24", "198.51.100.3/24");
    let told = said(&cluster(""), None);
    assert!(told.contains("direct routing does not reach `web`: it is outside of 192.0.2.0/24"));
    assert!(told.starts_with("warning:"), "{told}");
    assert_eq!(said(&cluster("forward = \"tun\""), None), "");
}

#[test]
fn a_check_that_outlives_its_beat_is_told_where_it_is_set() {
    let told = said(&pair("check-timeout = \"3s\""), None);
    assert!(told.contains("`check-timeout` = 3s is longer than `check-every` = 1s"), "{told}");
    assert!(told.contains("--> cluster.toml:") && told.contains("this is where it is used"));
    assert_eq!(said(&pair("check-timeout = \"3s\"\ncheck-every = \"5s\""), None), "");
}

#[test]
fn a_real_server_that_nothing_checks_is_told() {
    let cluster = |vars: &str, server: &str| {
        let vars = format!("forward = \"tun\"\n{vars}");
        said(&pair(&vars).replace("192.0.2.3/24", server), None)
    };
    let told = cluster("check = \"vip\"", "2001:db8::3/64");
    holds(&told, &["warning: nothing checks `web`: it counts as well even when dead", "`tcp`"]);
    for fine in [cluster("", "2001:db8::3/64"), cluster("check = \"vip\"", "192.0.2.3/24")] {
        assert!(!fine.contains("nothing checks"), "{fine}");
    }
    assert!(!cluster("check = \"off\"", "2001:db8::3/64").contains("nothing checks"));
    let masqueraded = |check: &str| said(&pair(&format!("forward = \"nat\"\n{check}")), None);
    let told = masqueraded("check = \"vip\"");
    holds(&told, &["warning: nothing checks these real servers", "such as `tcp`"]);
    for fine in [masqueraded(""), masqueraded("check = \"off\"")] {
        assert!(!fine.contains("nothing checks"), "{fine}");
    }
}

#[test]
fn http_that_is_asked_of_the_port_for_https_is_told_with_what_would_be_right() {
    let plain = said(&pair("check = \"http\"\nports = [80, 443]"), None);
    let title = "warning: port 443 is asked without TLS, which HTTPS servers answer with 400";
    let help = "`check-port = 80` asks there for all ports; or balance 443 in a section of its \
                own, with `kind = \"https\"`";
    holds(&plain, &[title, help, "--> cluster.toml:18:9", "this is where it is used"]);
    assert!(plain.ends_with("\n1 warning in cluster.toml\n"), "once for both directors: {plain}");
    let alone = said(&pair("check = \"http\"\nports = 443"), None);
    holds(&alone, &[title, "write `check = \"https\"`, or say where it asks with `check-port`"]);
    let secure = said(&pair("check = \"https\"\nports = [80, 443]"), None);
    let title = "warning: port 80 is asked over TLS, which servers of plain HTTP do not speak";
    holds(&secure, &[title, "`check-port = 443` asks there for all ports; or balance 80 in a"]);
    let proxies = |vars| said(&pair(vars).replace("director-", "proxy-"), None);
    holds(&proxies("check = \"https\""), &[title, "write `check = \"http\"`"]);
    holds(&told("80", "kind = \"http\"\ntls = \"on\""), &[title, "take `tls` out"]);
    let other = told("443,8080", "kind = \"http\"");
    holds(&other, &["`port = 8080` asks there", "--> roles/director-master.toml:13:8"]);
}

#[test]
fn http_that_is_asked_where_it_is_spoken_is_right() {
    for vars in [
        "check = \"http\"\nports = 80",
        "check = \"https\"\nports = 443",
        "check = \"http\"\nports = [80, 8080, 8443]",
        "check = \"http\"\nports = [80, 443]\ncheck-port = 80",
        "check = \"https\"\nports = [80, 443]\ncheck-port = 443",
        "check = \"http\"\nports = [80, 443]\ncheck-status = \"200,400\"",
        "ports = [80, 443]",
        "check = \"tcp\"\nports = [80, 443]",
        "check = \"smtp\"\nports = [25, 443]",
    ] {
        assert_eq!(said(&pair(vars), None), "", "{vars}");
    }
    assert_eq!(told("443", "kind = \"http\"\ntls = \"on\""), "");
    let nat = balanced("443", "kind = \"http\"").replace("\"dr\"", "\"nat\"\nreal-port = 80");
    assert_eq!(said(&pair("").replacen("\"director-backup\"", "\"client\"", 1), Some(&nat)), "");
}

#[test]
fn a_password_is_readable_on_the_way_to_whom_the_check_asks() {
    let redis = |more: &str| told("6379", &format!("kind = \"redis\"\npassword = \"x\"\n{more}"));
    let title = "warning: the password of this check can be read on the way to `10.0.0.3`";
    holds(&redis("address = \"10.0.0.3\""), &[title, "--> roles/director-master.toml:13:8"]);
    for near in [
        "",
        "address = \"192.0.2.77\"",
        "address = \"127.0.0.1\"",
        "address = \"10.0.0.3\"\ntls = \"on\"",
        "address = \"10.0.0.3\"\ncleartext = true",
    ] {
        assert_eq!(redis(near), "", "{near}");
    }
    // A server in another subnet that is asked in this one.
    let far = pair("").replacen("\"director-backup\"", "\"client\"", 1);
    let far = far.replace("192.0.2.3/24", "198.51.100.3/24");
    let check = "kind = \"redis\"\npassword = \"x\"\n";
    let tunnel = |check: &str| balanced("6379", check).replace("\"dr\"", "\"tun\"");
    holds(&said(&far, Some(&tunnel(check))), &["can be read on the way to `web`"]);
    let asked = format!("{check}address = \"192.0.2.77\"");
    assert_eq!(said(&far, Some(&tunnel(&asked))), "");
}

#[test]
fn a_check_whose_address_is_a_vip_asks_any_of_the_servers() {
    let vip = told("80", "kind = \"tcp\"\naddress = \"192.0.2.10\"");
    holds(&vip, &["warning: this check asks a VIP, behind which is any of the servers"]);
    holds(&vip, &["--> roles/director-master.toml:14:11", "`kind = \"vip\"` asks each server"]);
    assert_eq!(told("80", "kind = \"tcp\"\naddress = \"192.0.2.11\""), "");
}
