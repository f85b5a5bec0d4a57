//! What the checks of a role come to: pools, witnesses, and what is watched on the wire.
//!
//! All of it follows from sections that were read before, and from who else there is in the cluster
//! file.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use super::Role;
use super::element::Surroundings;
use super::facts::Facts;
use super::upstream::Upstream;
use super::virtual_server::VirtualServers;
use crate::check::config::{CheckConfig, Probe, Target, Timing};
use crate::check::wire::config::WireConfig;
use crate::check::wire::flow::FlowConfig;
use crate::cluster::HostEntry;
use crate::diagnostic::Collector;
use crate::ipvs::VirtualServerId;
use crate::pool::config::PoolConfig;

/// More witnesses would not make what they say any truer.
const MOST_WITNESSES: usize = 3;

/// A witness is heard at once and missed soon: what it says matters for some seconds.
const WITNESS: Timing = Timing {
    every: Duration::from_secs(1),
    timeout: Duration::from_secs(1),
    fast: Duration::from_millis(200),
    rise: NonZeroU8::MIN,
    fall: NonZeroU8::MIN,
};

/// The template of the page that converge itself shows.
const SORRY_PAGE: &str = "fallback.html";

/// What the checks of a role come to.
#[derive(Clone, Debug, Default)]
pub struct Health {
    pools: Vec<Arc<PoolConfig>>,
    /// The VIP of each pool, in the same order; none where its traffic may come by any.
    vips: Vec<Option<IpAddr>>,
    witnesses: Vec<Arc<CheckConfig>>,
    wires: Vec<WireConfig>,
    flows: Vec<FlowConfig>,
    sorry: BTreeSet<SocketAddr>,
    sorry_page: String,
}

impl Health {
    /// Puts together what the sections say.
    pub fn new(
        servers: &[VirtualServers],
        upstreams: &[Upstream],
        facts: &Facts,
        around: Surroundings<'_>,
        found: &Collector,
    ) -> Health {
        let mut health = Health::default();
        for (id, pool) in servers.iter().flat_map(VirtualServers::pools) {
            health.enter(pool, vip_of(&id));
        }
        upstreams.iter().for_each(|upstream| health.enter(upstream.pool(), None));
        health.sorry.extend(servers.iter().flat_map(VirtualServers::sorry));
        health.sorry.extend(upstreams.iter().filter_map(Upstream::sorry));
        health.wires = wires(servers, around);
        health.flows = servers.iter().flat_map(VirtualServers::flows).collect();
        health.witnesses = health.find_witnesses(around);
        if let Some(page) = around.catalog.template(SORRY_PAGE).filter(|_| !health.sorry.is_empty())
        {
            match facts.render_file(page) {
                Ok(page) => health.sorry_page = page,
                Err(wrong) => found.merge(wrong),
            }
        }
        health
    }

    /// Two sections of one virtual server contradict each other, which is told elsewhere.
    fn enter(&mut self, pool: PoolConfig, vip: Option<IpAddr>) {
        if !self.pools.iter().any(|known| known.name == pool.name) {
            self.pools.push(Arc::new(pool));
            self.vips.push(vip);
        }
    }

    /// Hosts nearby that no pool asks anything: whoever does not even hear them is blind.
    fn find_witnesses(&self, around: Surroundings<'_>) -> Vec<Arc<CheckConfig>> {
        let members = self.pools.iter().flat_map(|pool| &pool.members);
        let asked: BTreeSet<&str> = members.map(|member| member.host.as_str()).collect();
        let me = around.me;
        let near = |host: &&HostEntry| {
            let other = host.name.value != me.name.value;
            let subnet = me.address.value.trunc() == host.address.value.trunc();
            let lasting = host.role.value.as_str() != "client";
            other && subnet && lasting && !asked.contains(host.name.value.as_str())
        };
        if asked.is_empty() {
            return Vec::new();
        }
        let hosts = around.cluster.hosts.values().filter(near).take(MOST_WITNESSES);
        let ping = |host: &HostEntry| {
            let target = Target { address: host.address.addr(), port: 0 };
            Arc::new(CheckConfig { target, probe: Probe::Ping.into(), timing: WITNESS })
        };
        hosts.map(ping).collect()
    }
}

fn vip_of(id: &VirtualServerId) -> Option<IpAddr> {
    match id {
        VirtualServerId::Address { addr, .. } => Some(*addr),
        VirtualServerId::Fwmark { .. } => None,
    }
}

/// Every VIP once, however many ports it has.
fn wires(servers: &[VirtualServers], around: Surroundings<'_>) -> Vec<WireConfig> {
    let holding = |host: &&HostEntry| around.catalog.holds(host.role.value.as_str());
    let directors: Vec<(String, IpAddr)> = around
        .cluster
        .hosts
        .values()
        .filter(holding)
        .map(|host| (host.name.value.to_string(), host.address.addr()))
        .collect();
    let mut wires: BTreeMap<IpAddr, WireConfig> = BTreeMap::new();
    let mut behind: BTreeMap<IpAddr, BTreeSet<(String, IpAddr)>> = BTreeMap::new();
    for (vip, section) in servers.iter().filter_map(|s| s.direct().map(|vip| (vip, s))) {
        wires.entry(vip).or_insert_with(|| WireConfig {
            vip,
            interface: section.interface().to_owned(),
            servers: Arc::default(),
            directors: directors.clone(),
            direct: true,
        });
        let hosts = section.hosts().map(|(host, at)| (host.to_owned(), at));
        behind.entry(vip).or_default().extend(hosts);
    }
    let pairs = wires.into_values().zip(behind.into_values());
    pairs
        .map(|(wire, servers)| WireConfig { servers: servers.into_iter().collect(), ..wire })
        .collect()
}

impl Role {
    /// The pools of this host, in the role's order.
    pub fn pools(&self) -> &[Arc<PoolConfig>] {
        &self.health.pools
    }

    /// Everything that is asked: of members, of spares and of witnesses.
    pub fn checks(&self) -> BTreeSet<Arc<CheckConfig>> {
        let pools = self.health.pools.iter();
        let of_pool = |pool: &Arc<PoolConfig>| {
            let members = pool.members.iter().flat_map(|member| member.checks.clone());
            let spares = pool.spares.iter().flat_map(|spare| spare.checks.clone());
            members.chain(spares).collect::<Vec<_>>()
        };
        pools.flat_map(of_pool).chain(self.health.witnesses.iter().cloned()).collect()
    }

    /// What tells whether anything else on the network answers this host.
    pub fn witnesses(&self) -> &[Arc<CheckConfig>] {
        &self.health.witnesses
    }

    /// What is watched on the wire, for each VIP whose real servers have it too.
    pub fn wires(&self) -> &[WireConfig] {
        &self.health.wires
    }

    /// What is counted of what masqueraded servers reply.
    pub fn flows(&self) -> &[FlowConfig] {
        &self.health.flows
    }

    /// The pools that get the traffic of a router's VIPs. One that hangs on no VIP, by a mark or
    /// behind a proxy, gets that of every router.
    pub fn pools_of(&self, router: &str) -> Vec<&str> {
        let member = self.election.of(&self.host).find(|member| member.config.name == router);
        let vips: BTreeSet<IpAddr> = member
            .into_iter()
            .flat_map(|member| &member.config.vips)
            .map(|vip| vip.address.addr())
            .collect();
        let pools = self.health.pools.iter().zip(&self.health.vips);
        let served = pools.filter(|(_, vip)| vip.is_none_or(|vip| vips.contains(&vip)));
        served.map(|(pool, _)| pool.name.as_str()).collect()
    }

    /// Where converge itself has to answer with the sorry page: VIPs, which may be on another host
    /// now, and addresses of this one.
    pub fn sorry(&self) -> Vec<SocketAddr> {
        self.health.sorry.iter().copied().collect()
    }

    /// The page that says sorry; empty if nobody has to.
    pub fn sorry_page(&self) -> &str {
        &self.health.sorry_page
    }
}

#[cfg(test)]
mod tests;
