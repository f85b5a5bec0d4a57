//! What the shares of a pool make of a virtual server.

use crate::pool::standing::{Share, Shares, Standing};
use crate::resource::Resource;
use crate::role::Role;
use crate::role::election::tests::{pair, role};
use crate::situation::Situation;

/// Two real servers behind port 80, with these variables.
fn two(vars: &str) -> Role {
    let second = "[host.web2]\nrole = \"realserver\"\naddress = \"192.0.2.4/24\"\n\
                  interface = \"eth0\"\n[vars]";
    role("one", &pair(vars).replace("[vars]", second), None)
}

fn shares(members: &[(&str, Option<u32>)], spare: Option<usize>) -> Shares {
    let share = |weight| Share { weight, standing: Standing::Up, why: String::new() };
    let members =
        members.iter().map(|(at, weight)| (at.parse().expect("an address"), share(*weight)));
    Shares { members: members.collect(), spare }
}

/// The destinations of the only virtual server: address, how, weight.
fn destinations(role: &Role, pools: &[(&str, Shares)]) -> Vec<String> {
    let pools = pools.iter().map(|(name, shares)| ((*name).to_owned(), shares.clone().into()));
    let pools = pools.collect();
    let desired = role.desired(&Situation { pools, ..role.at_start() });
    let desired = desired.unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
    let servers = desired.state.iter().filter_map(|(_, resource)| match resource {
        Resource::VirtualServer(server) => Some(server),
        _ => None,
    });
    let all = servers.flat_map(|server| server.destinations());
    all.map(|(id, to)| format!("{id} {} {}", to.forward, to.weight)).collect()
}

const POOL: &str = "TCP 192.0.2.10:80";

#[test]
fn each_server_gets_its_share() {
    let role = two("");
    let all = ["192.0.2.3:80 dr 1", "192.0.2.4:80 dr 1"];
    assert_eq!(destinations(&role, &[]), all);
    assert_eq!(destinations(&role, &[("TCP 192.0.2.99:80", Shares::default())]), all);
    // A server that the pool does not know yet, because the file is newer, keeps its weight.
    assert_eq!(destinations(&role, &[(POOL, Shares::default())]), all);
    let known = shares(&[("192.0.2.3:80", Some(7)), ("192.0.2.4:80", None)], None);
    assert_eq!(destinations(&role, &[(POOL, known)]), ["192.0.2.3:80 dr 7"]);
    let drained = shares(&[("192.0.2.3:80", Some(0)), ("192.0.2.4:80", Some(u32::MAX))], None);
    let kept = ["192.0.2.3:80 dr 0", "192.0.2.4:80 dr 2147483647"];
    assert_eq!(destinations(&role, &[(POOL, drained)]), kept);
}

#[test]
fn the_spare_of_that_number_answers_beside_those_that_are_left() {
    let none = [("192.0.2.3:80", None), ("192.0.2.4:80", Some(0))];
    let pool = |spare| [(POOL, shares(&none, spare))];
    let role = two("fallback = [\"192.0.2.9:80\", \"sorry\"]");
    assert_eq!(destinations(&role, &pool(None)), ["192.0.2.4:80 dr 0"]);
    let other = ["192.0.2.4:80 dr 0", "192.0.2.9:80 dr 1"];
    assert_eq!(destinations(&role, &pool(Some(0))), other);
    let sorry = ["127.0.0.1:80 local 1", "192.0.2.4:80 dr 0"];
    assert_eq!(destinations(&role, &pool(Some(1))), sorry);
}

#[test]
fn a_service_without_servers_is_answered_by_its_first_fallback() {
    let none = pair("fallback = \"sorry\"").replace("\"realserver\"", "\"client\"");
    assert_eq!(destinations(&role("one", &none, None), &[]), ["127.0.0.1:80 local 1"]);
}

#[test]
fn behind_nat_the_share_is_that_of_the_real_port() {
    let own = include_str!("../../../roles/director-master.toml").replace(
        "real-servers = \"realserver\"",
        "real-servers = \"realserver\"\nreal-port = 8080",
    );
    let role = role("one", &pair("forward = \"fullnat\""), Some(&own));
    let check = &role.pools()[0].members[0].checks;
    assert_eq!((check.len(), check[0].target.port), (1, 8080));
    let pools = [(POOL, shares(&[("192.0.2.3:8080", Some(5))], None))];
    assert_eq!(destinations(&role, &pools), ["192.0.2.3:8080 nat 5"]);
}
