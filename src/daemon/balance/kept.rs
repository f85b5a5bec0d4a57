//! Which real servers had traffic before we started: until they are judged, they keep it.
//!
//! The kernel's table says it for virtual servers. For the upstreams of a proxy it is what the
//! converge before this one had last written down. Servers in it without new connections, drained
//! ones say, stay so: what they have begun is to end well.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::control::report::Report;
use crate::host::IpvsError;
use crate::host::ipvs::Client;
use crate::ipvs::{Destination, DestinationId, VirtualServer, VirtualServerId};
use crate::pool::config::PoolConfig;
use crate::pool::standing::{Share, Shares};

/// The servers of each pool that are in.
pub type Kept = BTreeMap<String, Inside>;

/// The servers of one pool that are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// Those that get new connections.
    pub serving: BTreeSet<SocketAddr>,
    /// Those that do not.
    pub quiet: BTreeSet<SocketAddr>,
}

impl Inside {
    fn of(weights: impl Iterator<Item = (SocketAddr, u32)>) -> Self {
        let (serving, quiet): (Vec<_>, Vec<_>) = weights.partition(|(_, weight)| *weight > 0);
        let servers = |all: Vec<(SocketAddr, u32)>| all.into_iter().map(|(at, _)| at).collect();
        Inside { serving: servers(serving), quiet: servers(quiet) }
    }
}

/// How often a table is read that cannot be read.
const READS: usize = 3;

/// Looks.
pub fn look(pools: &[Arc<PoolConfig>], before: Option<&Report>) -> Kept {
    let mut kept = Kept::new();
    let is_table = |pool: &&Arc<PoolConfig>| pool.name.parse::<VirtualServerId>().is_ok();
    let servers = pools.iter().filter_map(|pool| pool.name.parse::<VirtualServerId>().ok());
    let servers: BTreeSet<VirtualServerId> = servers.collect();
    if !servers.is_empty() {
        match in_table(&servers) {
            Ok(table) => kept.extend(table),
            // To take a server for one without traffic would end its connections.
            Err(error) => {
                tracing::warn!(%error, "which real servers have traffic now cannot be seen");
                kept.extend(pools.iter().filter(is_table).map(all_inside));
            }
        }
    }
    for pool in pools.iter().filter(|pool| !is_table(pool)) {
        let shares = before.and_then(|report| report.pools.get(&pool.name));
        kept.extend(shares.map(|report| (pool.name.clone(), inside(&report.shares))));
    }
    kept
}

fn in_table(servers: &BTreeSet<VirtualServerId>) -> Result<Kept, IpvsError> {
    let read = || match Client::open_loaded()? {
        Some(mut client) => client.table(|id| servers.contains(id)),
        None => Ok(BTreeMap::new()),
    };
    let mut table = read();
    for _ in 1..READS {
        if table.is_err() {
            table = read();
        }
    }
    let weights = |server: &VirtualServer| {
        let weight = |(id, to): (&DestinationId, &Destination)| {
            (SocketAddr::new(id.addr, id.port), to.weight.get())
        };
        Inside::of(server.destinations().iter().map(weight))
    };
    Ok(table?.iter().map(|(id, server)| (id.to_string(), weights(server))).collect())
}

fn all_inside(pool: &Arc<PoolConfig>) -> (String, Inside) {
    let all = pool.members.iter().map(|member| (member.server, 1));
    (pool.name.clone(), Inside::of(all))
}

fn inside(shares: &Shares) -> Inside {
    let weight = |(server, share): (&SocketAddr, &Share)| Some((*server, share.weight?));
    Inside::of(shares.members.iter().filter_map(weight))
}
