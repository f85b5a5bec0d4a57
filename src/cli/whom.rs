//! Of which servers an operator speaks: a host, in all its pools or in some.
//!
//! Whoever names something that is not there is told what is, and what was probably meant. On a
//! host without pools the hosts that have some are named.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::load::{Failure, Loaded};
use crate::cluster::Cluster;
use crate::diagnostic::suggest;
use crate::host::survey::Survey;
use crate::ipvs::VirtualServerId;
use crate::pool::config::{Member, PoolConfig};
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

/// What is meant.
#[derive(Clone, Debug)]
pub struct Meant<'a> {
    /// The host's servers, each with its pool.
    pub servers: Vec<(&'a PoolConfig, &'a Member)>,
    /// What a word has to be said of.
    pub whom: Vec<Whom>,
}

impl Meant<'_> {
    /// The names of the pools, each once.
    pub fn pools(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.servers.iter().map(|(pool, _)| pool.name.as_str()).collect();
        names.dedup();
        names
    }
}

/// Finds out what is meant.
pub fn find<'a>(loaded: &'a Loaded, asked: Asked<'_>) -> Result<Meant<'a>, Failure> {
    let pools = loaded.role.pools();
    if pools.is_empty() {
        return Err(no_pools(loaded));
    }
    let hosts: BTreeSet<&str> = pools.iter().flat_map(|p| &p.members).map(host).collect();
    if !hosts.contains(asked.host) {
        return Err(no_server(loaded, asked.host, &hosts));
    }
    let vip = asked.vip.map(|vip| address(&loaded.cluster, vip)).transpose()?;
    let name = asked.pool.map(|name| known(pools, name)).transpose()?;
    let is_meant = |pool: &&Arc<PoolConfig>| {
        name.is_none_or(|name| pool.name == name) && vip.is_none_or(|vip| vip_of(pool) == Some(vip))
    };
    let members =
        |pool: &'a Arc<PoolConfig>| pool.members.iter().map(move |member| (pool.as_ref(), member));
    let of_host = |(_, member): &(&PoolConfig, &Member)| member.host == asked.host;
    let servers: Vec<(&PoolConfig, &Member)> =
        pools.iter().filter(is_meant).flat_map(members).filter(of_host).collect();
    if servers.is_empty() {
        return Err(not_there(pools, asked));
    }
    let mut meant = Meant { servers, whom: Vec::new() };
    let of = |pool: Option<&str>| Whom { host: asked.host.into(), pool: pool.map(str::to_owned) };
    meant.whom = match (asked.vip, asked.pool) {
        (None, None) => vec![of(None)],
        (Some(_), _) | (_, Some(_)) => meant.pools().into_iter().map(|p| of(Some(p))).collect(),
    };
    Ok(meant)
}

fn host(member: &Member) -> &str {
    &member.host
}

fn vip_of(pool: &PoolConfig) -> Option<IpAddr> {
    match pool.name.parse() {
        Ok(VirtualServerId::Address { addr, .. }) => Some(addr),
        Ok(VirtualServerId::Fwmark { .. }) | Err(_) => None,
    }
}

/// A VIP by its name in the cluster file, or by its address.
fn address(cluster: &Cluster, vip: &str) -> Result<IpAddr, Failure> {
    if let Some(entry) = cluster.vip(vip) {
        return Ok(entry.address.addr());
    }
    let names: Vec<&str> = cluster.vips.iter().map(|vip| vip.name.as_str()).collect();
    vip.parse().map_err(|_| unknown("VIP", vip, &names))
}

/// A pool by its name, in capitals or not.
fn known<'a>(pools: &'a [Arc<PoolConfig>], name: &str) -> Result<&'a str, Failure> {
    let names: Vec<&str> = pools.iter().map(|pool| pool.name.as_str()).collect();
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

fn no_server(loaded: &Loaded, name: &str, hosts: &BTreeSet<&str>) -> Failure {
    let said = match loaded.cluster.hosts.keys().any(|host| host.as_str() == name) {
        true => format!("{name} is a server of no pool of this host"),
        false => format!("there is no server `{name}`"),
    };
    let help = match suggest(name, hosts.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("servers are {}", listed(hosts.iter().copied())),
    };
    Failure::Asked { said, help }
}

fn not_there(pools: &[Arc<PoolConfig>], asked: Asked<'_>) -> Failure {
    let place = match (asked.vip, asked.pool) {
        (Some(vip), None) => format!("behind the VIP {vip}"),
        (_, Some(pool)) => format!("in the pool {pool}"),
        (None, None) => "in any pool".into(),
    };
    let has = |pool: &&Arc<PoolConfig>| pool.members.iter().any(|member| member.host == asked.host);
    let has = pools.iter().filter(has).map(|pool| pool.name.as_str());
    Failure::Asked {
        said: format!("{} is not {place}", asked.host),
        help: format!("it is in {}", listed(has)),
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
