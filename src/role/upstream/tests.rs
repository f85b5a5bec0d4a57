//! What an upstream becomes, and what is said of a wrong one.

use super::*;
use crate::pool::standing::{Share, Standing};
use crate::resource::{Desired, Resource};
use crate::role::Role;
use crate::role::election::tests::{pair, refused, role};
use crate::situation::Situation;

/// Two proxies before two real servers of weights 1 and 5, with these variables.
fn cluster(vars: &str) -> String {
    let servers = "[host.web2]\nrole = \"realserver\"\naddress = \"192.0.2.4/24\"\n\
                   interface = \"eth0\"\nvars = { weight = 5 }\n[vars]";
    pair(vars)
        .replace("director-", "proxy-")
        .replace("[vars]", &format!("{servers}\nforward = \"fullnat\""))
}

fn desired(role: &Role, shares: Option<Shares>) -> Desired {
    let pools = shares.map(|shares| ("upstream real_servers".to_owned(), shares.into()));
    let situation = Situation { pools: pools.into_iter().collect(), ..role.at_start() };
    role.desired(&situation).unwrap_or_else(|wrong| panic!("{}", wrong.render(false)))
}

fn shares(first: Option<u32>, second: Option<u32>, spare: Option<usize>) -> Shares {
    let share = |weight| Share { weight, standing: Standing::Up, why: String::new() };
    let at = |text: &str| text.parse().expect("an address");
    let members = [(at("192.0.2.3:80"), share(first)), (at("192.0.2.4:80"), share(second))];
    Shares { members: members.into(), spare }
}

/// The lines of the upstream, without the first, which says who wrote them.
fn lines(desired: &Desired) -> Vec<String> {
    let file = desired.state.iter().find_map(|(_, resource)| match resource {
        Resource::File(file) if file.path.ends_with("converge-upstream-real_servers.conf") => {
            Some(file)
        }
        _ => None,
    });
    let content = &file.expect("it is there").content;
    content.lines().skip(1).map(|line| line.trim().to_owned()).collect()
}

fn loaded(desired: &Desired) -> String {
    let unit = desired.state.iter().find_map(|(_, resource)| match resource {
        Resource::Unit(unit) => Some(unit),
        _ => None,
    });
    let unit = unit.expect("one unit");
    assert_eq!(unit.reads.len(), 2);
    unit.loaded.clone().expect("it reads files")
}

#[test]
fn nginx_asks_those_that_are_well_and_is_reloaded_for_each_change() {
    let role = role("one", &cluster(""), None);
    let all = desired(&role, None);
    let first = "upstream real_servers {";
    let expected = [first, "server 192.0.2.3:80 weight=1;", "server 192.0.2.4:80 weight=5;", "}"];
    assert_eq!(lines(&all), expected);
    let one = desired(&role, Some(shares(Some(0), Some(4), None)));
    assert_eq!(lines(&one)[1..3], ["server 192.0.2.3:80 down;", "server 192.0.2.4:80 weight=4;"]);
    assert_ne!(loaded(&all), loaded(&one));
    let none = desired(&role, Some(shares(None, None, Some(0))));
    let sorry = "server 127.0.0.1:8850 max_fails=0;";
    assert_eq!(
        lines(&none)[1..4],
        ["server 192.0.2.3:80 down;", "server 192.0.2.4:80 down;", sorry]
    );
}

#[test]
fn an_upstream_is_a_pool_of_every_router() {
    let role = role("one", &cluster("backend-port = 8080\ncheck = \"http\""), None);
    let [pool] = role.pools() else { panic!("one pool") };
    assert_eq!(pool.name, "upstream real_servers");
    assert_eq!(pool.members[1].server.to_string(), "192.0.2.4:8080");
    assert_eq!(pool.members[1].checks[0].target.port, 8080);
    assert_eq!(pool.spares[0].name, "sorry");
    assert_eq!(role.sorry(), [SORRY]);
    assert_eq!(role.pools_of("main"), ["upstream real_servers"]);
    assert_eq!(role.wires(), []);
}

#[test]
fn a_proxy_without_servers_has_a_file_that_nginx_takes() {
    let none = cluster("").replace("\"realserver\"", "\"client\"");
    let with = desired(&role("one", &none, None), None);
    let sorry = "server 127.0.0.1:8850 max_fails=0;";
    assert_eq!(lines(&with)[1..3], ["server 127.0.0.1:8850 down;", sorry]);
    let none = cluster("fallback = \"\"").replace("\"realserver\"", "\"client\"");
    let without = desired(&role("one", &none, None), None);
    assert_eq!(lines(&without)[1..], ["server 127.0.0.1:8850 down;", "}"]);
}

#[test]
fn a_wrong_upstream_is_told_what_would_be_right() {
    let cases = [
        ("fallback = \"local\"", "an upstream cannot fall back to the proxy itself"),
        ("backend-port = 0", "`0` is below 1"),
        ("check = \"starttls\"", "unknown kind `starttls`"),
        ("check = \"vip\"", "an upstream has no VIP to ask its servers through"),
        ("quorum = 7", "a quorum of 7 cannot be reached"),
    ];
    for (vars, said) in cases {
        let told = refused("one", &cluster(vars), None);
        assert!(told.contains(said), "{vars}: {said:?} is not in\n{told}");
    }
    let own = include_str!("../../../roles/proxy-master.toml");
    let named = own.replace("name         = \"real_servers\"", "name = \"a b\"");
    let text = cluster("").replace("proxy-master", "director-master");
    assert!(refused("one", &text, Some(&named)).contains("is no name of letters"));
}
