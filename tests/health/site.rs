//! Two directors and two real servers on one link, and what the directors make of the servers.
//!
//! The pools of these roles lie behind an address that no virtual router has, or behind nginx: this
//! kernel may be without IPVS, and a router whose VIP cannot be balanced is Fault for that alone.
//! What is looked at is what the resident converge writes down, which does not need the table.

use std::net::SocketAddr;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use converge::control::report::{MemberReport, PoolReport, Report};
use converge::pool::standing::{Share, Standing};

use super::web::Web;
use crate::failover::node::{Node, ROLE, cluster};
use crate::failover::segment::{PATIENCE, Segment};

/// All hosts; `a` has 192.0.2.1, and so on.
pub(crate) const HOSTS: [&str; 4] = ["a", "b", "web1", "web2"];
/// The real servers.
pub(crate) const WEBS: [&str; 2] = ["web1", "web2"];
/// Where clients are balanced.
pub(crate) const VIRTUAL: &str = "192.0.2.101";
/// The pool of [`balanced`].
pub(crate) const BALANCED: &str = "TCP 192.0.2.101:80";
/// The pool of [`proxied`].
pub(crate) const PROXIED: &str = "upstream app";

/// Two directors as in tests/failover, and two real servers.
pub(crate) fn site(vars: &str) -> String {
    let server = |(name, number): (&str, u8)| {
        format!(
            "\n[host.{name}]\nrole = \"realserver\"\naddress = \"192.0.2.{number}/24\"\n\
             interface = \"eth0\"\n"
        )
    };
    let servers: String = WEBS.into_iter().zip(3..).map(server).collect();
    cluster(&HOSTS[..2], vars) + &servers
}

/// A role that balances over the servers with these lines in the check.
pub(crate) fn balanced(check: &str) -> String {
    format!(
        "{ROLE}\n[[virtual-server]]\naddress = \"{VIRTUAL}\"\nports = \"80\"\nscheduler = \"rr\"\n\
         forward = \"dr\"\nreal-servers = \"realserver\"\nfallback = \"sorry\"\n\
         [[virtual-server.check]]\n{check}\n"
    )
}

/// A role with nginx in front of the servers.
pub(crate) fn proxied(check: &str) -> String {
    format!(
        "{ROLE}\n[[upstream]]\nname = \"app\"\nreal-servers = \"realserver\"\n\
         fallback = \"sorry\"\n[[upstream.check]]\n{check}\n"
    )
}

/// A director with these files, not started yet.
pub(crate) fn director<'s>(
    segment: &'s Segment,
    host: &'static str,
    vars: &str,
    role: &str,
) -> Node<'s> {
    let node = Node::new(segment, host, &site(vars)).with_key().with_nginx();
    node.write("roles/holder.toml", role);
    node
}

/// The segment with its real servers; none without root, which is said loudly.
pub(crate) fn segment() -> Option<(Segment, [Web; 2])> {
    let segment = Segment::new(&HOSTS)?;
    let webs = WEBS.map(|host| Web::open(&segment, host));
    Some((segment, webs))
}

/// The same, if roles with nginx can be read here.
pub(crate) fn segment_with_nginx() -> Option<(Segment, [Web; 2])> {
    if has_nginx() { segment() } else { None }
}

/// A segment with these hosts and no servers, if roles with nginx can be read here.
pub(crate) fn segment_of(hosts: &[&'static str]) -> Option<Segment> {
    if has_nginx() { Segment::new(hosts) } else { None }
}

fn has_nginx() -> bool {
    let has = Path::new("/usr/sbin/nginx").exists() && Path::new("/etc/nginx").exists();
    if !has {
        let why = "nginx is missing: apt-get install nginx";
        crate::kinds::apart::skipped("a test of an upstream", why);
    }
    has
}

/// What a director makes of a real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) share: Share,
    pub(crate) member: MemberReport,
}

/// What a director last wrote down; nothing before it first did.
pub(crate) fn report(node: &Node<'_>) -> Report {
    let text = std::fs::read_to_string(node.path("run/pools.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// What it makes of a pool.
pub(crate) fn pool(node: &Node<'_>, name: &str) -> PoolReport {
    report(node).pools.remove(name).unwrap_or_default()
}

/// What it makes of a server.
pub(crate) fn look(node: &Node<'_>, name: &str, host: &str) -> Option<Seen> {
    let mut pool = pool(node, name);
    let of_host = |(_, member): &(&SocketAddr, &MemberReport)| member.host == host;
    let (at, member) = pool.members.iter().find(of_host)?;
    let (at, member) = (*at, member.clone());
    Some(Seen { share: pool.shares.members.remove(&at)?, member })
}

/// Waits until a server stands so; what is then known of it, and how long that took.
pub(crate) fn until(
    node: &Node<'_>,
    name: &str,
    host: &str,
    standing: Standing,
) -> (Seen, Duration) {
    let begun = Instant::now();
    loop {
        let seen = look(node, name, host);
        if let Some(seen) = seen.clone().filter(|seen| seen.share.standing == standing) {
            return (seen, begun.elapsed());
        }
        let late = begun.elapsed() > PATIENCE;
        assert!(!late, "{host} is never {standing}, but {seen:?}:\n{}", node.log());
        sleep(Duration::from_millis(10));
    }
}

/// Waits until a report is there that is newer than the one of that time: who comes after another
/// converge finds the other's.
pub(crate) fn until_newer(node: &Node<'_>, at: u64) {
    let begun = Instant::now();
    while report(node).at <= at {
        assert!(begun.elapsed() < PATIENCE, "nothing is written:\n{}", node.log());
        sleep(Duration::from_millis(10));
    }
}

/// Waits until all servers are up.
pub(crate) fn until_well(node: &Node<'_>, name: &str) {
    for web in WEBS {
        until(node, name, web, Standing::Up);
    }
}

/// Lets nothing from one host reach these servers any more, without a word to anybody; or again.
pub(crate) fn lose_the_way(segment: &Segment, host: &str, lost: bool) {
    for number in [3, 4] {
        let line = match lost {
            true => format!(
                "ip neighbour replace 192.0.2.{number} lladdr 02:00:00:00:00:99 dev eth0 nud \
                 permanent"
            ),
            false => format!("ip neighbour delete 192.0.2.{number} dev eth0"),
        };
        segment.ok(host, &line);
    }
}
