//! What the words of a pool become, and what is said of wrong ones.

use std::sync::Arc;
use std::time::Duration;

use crate::pool::config::{OnFailure, PoolConfig};
use crate::role::election::tests::{load, pair, refused, role};

/// Three real servers of weights 1, 2 and 3 behind two ports, with these variables.
fn cluster(vars: &str) -> String {
    let servers = "vars = { weight = 1 }\n\
        [host.web2]\nrole = \"realserver\"\naddress = \"192.0.2.4/24\"\ninterface = \"eth0\"\n\
        vars = { weight = 2 }\n\
        [host.web3]\nrole = \"realserver\"\naddress = \"192.0.2.5/24\"\ninterface = \"eth0\"\n\
        vars = { weight = 3 }\n[vars]";
    pair(vars).replace("[vars]", servers)
}

fn pools(vars: &str) -> Vec<Arc<PoolConfig>> {
    role("one", &cluster(vars), None).pools().to_vec()
}

#[test]
fn every_virtual_server_has_a_pool_of_its_own() {
    let pools = pools("ports = [80, 443]");
    let names: Vec<&str> = pools.iter().map(|pool| pool.name.as_str()).collect();
    assert_eq!(names, ["TCP 192.0.2.10:80", "TCP 192.0.2.10:443"]);
    let pool = &pools[1];
    let members: Vec<_> =
        pool.members.iter().map(|m| (m.host.as_str(), m.server.to_string(), m.weight)).collect();
    let expected =
        [("web", "192.0.2.3:443", 1), ("web2", "192.0.2.4:443", 2), ("web3", "192.0.2.5:443", 3)];
    assert_eq!(members, expected.map(|(host, at, weight)| (host, at.to_owned(), weight)));
    assert_eq!((pool.quorum, pool.hysteresis, pool.guard), (1, 0, true));
    assert_eq!((pool.on_failure, pool.slow_start), (OnFailure::Remove, Duration::ZERO));
}

#[test]
fn a_pool_takes_the_words_of_the_cluster_file() {
    let pool = pools(
        "quorum = 4\nhysteresis = 2\non-failure = \"quiesce\"\nguard = false\nslow-start = \"30s\"",
    );
    assert_eq!((pool[0].quorum, pool[0].hysteresis, pool[0].guard), (4, 2, false));
    assert_eq!(pool[0].on_failure, OnFailure::Quiesce);
    assert_eq!(pool[0].slow_start, Duration::from_secs(30));
}

#[test]
fn a_quorum_that_cannot_be_had_is_told_where_it_is_set() {
    let cases = [
        ("quorum = 7", "a quorum of 7 cannot be reached: all weights together are 6"),
        ("quorum = 5\nhysteresis = 2", "would never come back: it takes 5 + 2"),
        ("quorum = 2\nhysteresis = 2", "a hysteresis of 2 never lets a quorum of 2 be lost"),
        ("hysteresis = 1", "a hysteresis of 1 never lets a quorum of 1 be lost"),
        ("on-failure = \"quiesc\"", "did you mean `quiesce`?"),
        ("slow-start = 30", "`30` has no unit"),
    ];
    for (vars, said) in cases {
        let told = refused("one", &cluster(vars), None);
        assert!(told.contains(said), "{vars}: {said:?} is not in\n{told}");
        assert!(told.contains(" --> cluster.toml:"), "{told}");
    }
}

#[test]
fn a_quorum_needs_no_servers_as_long_as_there_are_none() {
    let none = pair("").replace("role = \"realserver\"", "role = \"client\"");
    assert_eq!(role("one", &none, None).pools()[0].members, []);
    let drained = pair("weight = 0");
    assert_eq!(role("one", &drained, None).pools()[0].members[0].weight, 0);
}

fn spares(vars: &str) -> Vec<Vec<String>> {
    let name =
        |pool: &Arc<PoolConfig>| pool.spares.iter().map(|spare| spare.name.clone()).collect();
    pools(vars).iter().map(name).collect()
}

#[test]
fn converge_says_sorry_where_clients_speak_plain_http() {
    assert_eq!(spares("ports = [80, 443]"), [vec!["sorry".to_owned()], vec![]]);
    assert_eq!(spares("fallback = \"\""), [[""; 0]]);
    assert_eq!(spares("fallback = \"local\""), [["local"]]);
    assert_eq!(spares("fallback = \"127.0.0.1:80\""), [["local"]]);
    let list = "fallback = [\"192.0.2.9:80\", \"sorry\"]";
    assert_eq!(spares(list), [["192.0.2.9:80", "sorry"]]);
    assert_eq!(spares("fallback = \"192.0.2.9:80, local\""), [["192.0.2.9:80", "local"]]);
    assert_eq!(spares("protocol = \"udp\""), [[""; 0]]);
}

#[test]
fn a_fallback_that_cannot_take_the_traffic_is_refused() {
    let cases = [
        ("fallback = \"192.0.2.9:81\"", "is reached at the virtual server's own port"),
        ("fallback = \"sorry\"\nprotocol = \"udp\"", "converge says sorry over HTTP"),
        ("fallback = \"none\"", "leave it empty"),
        ("fallback = \"sory\"", "unknown fallback `sory`, did you mean `sorry`?"),
    ];
    for (vars, said) in cases {
        let told = refused("one", &cluster(vars), None);
        assert!(told.contains(said), "{vars}: {said:?} is not in\n{told}");
    }
}

#[test]
fn a_spare_is_asked_what_the_servers_are_and_may_say_that_it_is_sorry() {
    let vars = "fallback = \"192.0.2.9:80\"\ncheck = \"http\"\ncheck-path = \"/up\"\n\
                check-status = \"200\"\ncheck-expect = \"fine\"\ncheck-port = 8080";
    let pools = pools(vars);
    let [check] = &pools[0].spares[0].checks[..] else { panic!("one check, none of the VIP") };
    assert_eq!(check.target.socket().to_string(), "192.0.2.9:80");
    let shown = format!("{:?}", check.probe);
    assert!(shown.contains("/up") && shown.contains("(100, 599)"), "{shown}");
    assert!(!shown.contains("Text"), "{shown}");
    assert_eq!(pools[0].members[0].checks[0].target.port, 8080);
}

#[test]
fn a_check_for_each_server_may_name_it() {
    let own = include_str!("../../../roles/director-master.toml")
        .replace("\"{{each.vars.check-host}}\"", "\"{{server.name}}.example\"");
    let (role, _) = load("one", &cluster("check = \"http\""), Some(&own)).expect("it is right");
    let hosts = role.pools()[0].members.iter().map(|member| format!("{:?}", member.checks[0]));
    let named = |(shown, host): (String, &str)| shown.contains(&format!("{host}.example"));
    assert!(hosts.zip(["web", "web2", "web3"]).all(named));
}
