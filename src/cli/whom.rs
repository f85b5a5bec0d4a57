//! Of which servers an operator speaks: a host, in all its pools or in some.
//!
//! Servers are those of the files, and those that the running converge has beside: while the files
//! are wrong, all of them, and where files were changed and not read yet, those that they have no
//! more. Whoever names something that is not there is told what is, and what was probably meant. On
//! a host without pools the hosts that have some are named.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::load::{Failure, Loaded};
use super::running::Ground;
use crate::control::report::PoolReport;
use crate::diagnostic::suggest;
use crate::host::survey::Survey;
use crate::ipvs::VirtualServerId;
use crate::pool::words::Whom;
use crate::role::Role;

/// What was typed.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The host.
    pub host: &'a str,
    /// Only behind this VIP.
    pub vip: Option<&'a str>,
    /// Only in this pool.
    pub pool: Option<&'a str>,
}

/// A server of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The pool's name.
    pub pool: String,
    /// The server's host.
    pub host: String,
    /// Where it takes traffic.
    pub at: SocketAddr,
}

/// What is meant.
#[derive(Clone, Debug)]
pub struct Meant {
    /// The host's servers, pool by pool.
    pub servers: Vec<Server>,
    /// What a word has to be said of.
    pub whom: Vec<Whom>,
}

impl Meant {
    /// The names of the pools, each once.
    pub fn pools(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.servers.iter().map(|server| &*server.pool).collect();
        names.dedup();
        names
    }
}

/// Finds out what is meant.
pub fn find(ground: &Ground, asked: Asked<'_>) -> Result<Meant, Failure> {
    let all = servers(ground);
    if let (Some(loaded), []) = (&ground.loaded, all.as_slice()) {
        return Err(no_pools(loaded));
    }
    let hosts: BTreeSet<&str> = all.iter().map(|server| &*server.host).collect();
    if !hosts.contains(asked.host) {
        return Err(no_server(ground, asked.host, &all));
    }
    let vip = asked.vip.map(|vip| address(ground, vip, &all)).transpose()?;
    let name = asked.pool.map(|name| known(&all, name)).transpose()?;
    let is_meant = |server: &&Server| {
        server.host == asked.host
            && name.is_none_or(|name| server.pool == name)
            && vip.is_none_or(|vip| vip_of(&server.pool) == Some(vip))
    };
    let servers: Vec<Server> = all.iter().filter(is_meant).cloned().collect();
    if servers.is_empty() {
        return Err(not_there(&all, asked));
    }
    let mut meant = Meant { servers, whom: Vec::new() };
    let of = |pool: Option<&str>| Whom { host: asked.host.into(), pool: pool.map(str::to_owned) };
    meant.whom = match (asked.vip, asked.pool) {
        (None, None) => vec![of(None)],
        (Some(_), _) | (_, Some(_)) => meant.pools().into_iter().map(|p| of(Some(p))).collect(),
    };
    Ok(meant)
}

/// All servers that there are, pool by pool: those of the files, then those that only the running
/// converge has.
fn servers(ground: &Ground) -> Vec<Server> {
    let mut all = Vec::new();
    let mut add = |pool: &str, host: &str, at: SocketAddr| {
        all.push(Server { pool: pool.into(), host: host.into(), at });
    };
    let mut reports: BTreeMap<&str, &PoolReport> = BTreeMap::new();
    let seen = ground.live.iter().flat_map(|seen| &seen.report.pools);
    reports.extend(seen.map(|(name, report)| (name.as_str(), report)));
    for pool in ground.loaded.iter().flat_map(|loaded| loaded.role.pools()) {
        pool.members.iter().for_each(|member| add(&pool.name, &member.host, member.server));
        let own = pool.members.iter().map(|member| (member.host.as_str(), member.server));
        let own: BTreeSet<(&str, SocketAddr)> = own.collect();
        let report = reports.remove(pool.name.as_str());
        let others = report.into_iter().flat_map(|report| &report.members);
        // One that has another name in the files is the old one until these are read.
        let others = others.filter(|(at, member)| !own.contains(&(member.host.as_str(), **at)));
        others.for_each(|(at, member)| add(&pool.name, &member.host, *at));
    }
    for (name, report) in reports {
        report.members.iter().for_each(|(at, member)| add(name, &member.host, *at));
    }
    all
}

fn vip_of(pool: &str) -> Option<IpAddr> {
    match pool.parse() {
        Ok(VirtualServerId::Address { addr, .. }) => Some(addr),
        Ok(VirtualServerId::Fwmark { .. }) | Err(_) => None,
    }
}

/// A VIP by its name in the cluster file, or by its address.
fn address(ground: &Ground, vip: &str, all: &[Server]) -> Result<IpAddr, Failure> {
    if let Some((_, address)) = ground.vips.iter().find(|(name, _)| name == vip) {
        return Ok(*address);
    }
    let names: Vec<&str> = ground.vips.iter().map(|(name, _)| name.as_str()).collect();
    vip.parse().map_err(|_| match names.as_slice() {
        [] if ground.loaded.is_none() => {
            let addresses: BTreeSet<IpAddr> =
                all.iter().filter_map(|server| vip_of(&server.pool)).collect();
            let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            Failure::Asked {
                said: format!("the cluster file cannot be read, so no VIP has the name `{vip}`"),
                help: format!("name it by its address: {}", listed(addresses.iter().map(|a| &**a))),
            }
        }
        names => unknown("VIP", vip, names),
    })
}

/// A pool by its name, in capitals or not.
fn known<'a>(all: &'a [Server], name: &str) -> Result<&'a str, Failure> {
    let mut names: Vec<&str> = all.iter().map(|server| &*server.pool).collect();
    names.dedup();
    let found = names.iter().find(|known| known.eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| unknown("pool", name, &names))
}

pub fn unknown(what: &str, name: &str, names: &[&str]) -> Failure {
    let help = match suggest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there is {}", names.join(", ")),
    };
    Failure::Asked { said: format!("there is no {what} `{name}`"), help }
}

fn no_server(ground: &Ground, name: &str, all: &[Server]) -> Failure {
    let hosts: BTreeSet<&str> = all.iter().map(|server| &*server.host).collect();
    let of_address = |server: &&Server| name.parse().is_ok_and(|at: IpAddr| server.at.ip() == at);
    let meant = all.iter().find(of_address).map(|server| &*server.host);
    let mut cluster = ground.loaded.iter().flat_map(|loaded| loaded.cluster.hosts.keys());
    let said = match cluster.any(|host| host.as_str() == name) {
        true => format!("{name} is a server of no pool of this host"),
        false => format!("there is no server `{name}`"),
    };
    let help = match meant.or_else(|| suggest(name, hosts.iter().copied())) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("servers are {}", listed(hosts.iter().copied())),
    };
    Failure::Asked { said, help }
}

fn not_there(all: &[Server], asked: Asked<'_>) -> Failure {
    let place = match (asked.vip, asked.pool) {
        (Some(vip), None) => format!("behind the VIP {vip}"),
        (_, Some(pool)) => format!("in the pool {pool}"),
        (None, None) => "in any pool".into(),
    };
    let mut has: Vec<&str> =
        all.iter().filter(|server| server.host == asked.host).map(|server| &*server.pool).collect();
    has.dedup();
    Failure::Asked {
        said: format!("{} is not {place}", asked.host),
        help: format!("it is in {}", listed(has.into_iter())),
    }
}

/// More names than that nobody reads.
const NAMES: usize = 20;

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.len().checked_sub(NAMES) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..NAMES].join(", ")),
    }
}

/// This host has none; some others may.
pub fn no_pools(loaded: &Loaded) -> Failure {
    let survey = Survey::typical();
    let mut with = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for entry in loaded.cluster.hosts.values() {
        // Hosts of one role are alike in this.
        let role = entry.role.value.as_str();
        if with.contains(role) || !seen.insert(role) {
            continue;
        }
        let other = Role::load(&loaded.catalog, &loaded.cluster, entry, &survey);
        if other.is_ok_and(|(other, _)| !other.pools().is_empty()) {
            with.insert(role);
        }
    }
    let hosts = loaded.cluster.hosts.values();
    let hosts = hosts.filter(|host| with.contains(host.role.value.as_str()));
    let hosts: Vec<&str> = hosts.map(|host| host.name.value.as_str()).collect();
    let said = format!("{} has no pool of servers", loaded.heading());
    let help = match hosts.as_slice() {
        [] => "no host of this cluster has one; a director or a proxy would".to_owned(),
        [only] => format!("run it on {only}"),
        [all @ .., last] => format!("run it on {} or {last}", all.join(", ")),
    };
    Failure::Asked { said, help }
}
