//! Which real servers had traffic before we started: until they are judged, they keep it.
//!
//! The kernel's table says it for virtual servers. For the upstreams of a proxy it is what the
//! converge before this one had last written down.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::control::report::Report;
use crate::host::ipvs::Client;
use crate::ipvs::VirtualServerId;
use crate::pool::config::PoolConfig;
use crate::pool::standing::Shares;

/// The servers with traffic, by pool.
pub type Kept = BTreeMap<String, BTreeSet<SocketAddr>>;

/// Looks.
pub fn look(pools: &[PoolConfig], before: Option<&Report>) -> Kept {
    let mut kept = Kept::new();
    let servers = pools.iter().filter_map(|pool| pool.name.parse::<VirtualServerId>().ok());
    let servers: BTreeSet<VirtualServerId> = servers.collect();
    if !servers.is_empty() {
        kept.extend(in_table(&servers));
    }
    for pool in pools.iter().filter(|pool| pool.name.parse::<VirtualServerId>().is_err()) {
        let shares = before.and_then(|report| report.pools.get(&pool.name));
        kept.extend(shares.map(|report| (pool.name.clone(), with_traffic(&report.shares))));
    }
    kept
}

fn in_table(servers: &BTreeSet<VirtualServerId>) -> Kept {
    let table = match Client::open_loaded() {
        Ok(Some(mut client)) => client.table(|id| servers.contains(id)),
        Ok(None) => return Kept::new(),
        Err(error) => Err(error),
    };
    let table = match table {
        Ok(table) => table,
        // Then all of them wait for their first check.
        Err(error) => {
            tracing::warn!(%error, "which real servers have traffic now cannot be seen");
            return Kept::new();
        }
    };
    let with_weight = |server: &crate::ipvs::VirtualServer| {
        let weighed = server.destinations().iter().filter(|(_, to)| to.weight.get() > 0);
        weighed.map(|(id, _)| SocketAddr::new(id.addr, id.port)).collect()
    };
    table.iter().map(|(id, server)| (id.to_string(), with_weight(server))).collect()
}

fn with_traffic(shares: &Shares) -> BTreeSet<SocketAddr> {
    let traffic = shares.members.iter().filter(|(_, share)| share.weight.is_some_and(|w| w > 0));
    traffic.map(|(server, _)| *server).collect()
}
