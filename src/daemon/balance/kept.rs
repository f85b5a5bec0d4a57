//! Which real servers had traffic before we started: until they are judged, they keep it.
//!
//! The kernel's table says it for virtual servers. For the upstreams of a proxy it is what the
//! converge before this one had last written down; if that cannot be read, all of them. Servers
//! without new connections, drained ones say, stay so: what they have begun is to end well.

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

/// What the converge before this one wrote down.
#[derive(Clone, Debug)]
pub enum Before {
    /// Nothing, since the host was booted.
    Nothing,
    /// Something that nobody understands: another version's, or what a full disk has left.
    Unreadable,
    /// This.
    Known(Report),
}

/// How often a table is read that cannot be read.
const READS: usize = 3;

/// Looks.
pub fn look(pools: &[Arc<PoolConfig>], before: &Before) -> Kept {
    let mut kept = Kept::new();
    let servers = pools.iter().filter_map(|pool| pool.name.parse::<VirtualServerId>().ok());
    let servers: BTreeSet<VirtualServerId> = servers.collect();
    if !servers.is_empty() {
        match in_table(&servers) {
            Ok(table) => kept.extend(table),
            // To take a server for one without traffic would end its connections.
            Err(error) => {
                tracing::warn!(%error, "which real servers have traffic now cannot be seen");
                kept.extend(pools.iter().filter(|pool| is_table(pool)).map(all_inside));
            }
        }
    }
    for pool in pools.iter().filter(|pool| !is_table(pool)) {
        match before {
            Before::Nothing => {}
            Before::Unreadable => kept.extend([all_inside(pool)]),
            Before::Known(report) => {
                let shares = report.pools.get(&pool.name).map(|pool| &pool.shares);
                kept.extend(shares.map(|shares| (pool.name.clone(), inside(shares))));
            }
        }
    }
    kept
}

/// Whether the kernel's table has it.
pub fn is_table(pool: &PoolConfig) -> bool {
    pool.name.parse::<VirtualServerId>().is_ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::report::PoolReport;
    use crate::pool::config::{Member, OnFailure};
    use crate::pool::standing::Standing;

    fn server(n: u8) -> SocketAddr {
        ([192, 0, 2, n], 80).into()
    }

    fn upstream() -> PoolConfig {
        let member = |n: u8| {
            let (host, server) = (format!("web{n}"), server(n));
            Member { host, server, weight: 1, checks: Vec::new() }
        };
        PoolConfig {
            name: "upstream app".into(),
            members: (1..=3).map(member).collect(),
            quorum: 1,
            hysteresis: 0,
            on_failure: OnFailure::Remove,
            guard: true,
            slow_start: std::time::Duration::ZERO,
            spares: Vec::new(),
        }
    }

    #[test]
    fn a_report_that_nobody_understands_takes_no_server_out() {
        let of = |before: &Before| look(&[Arc::new(upstream())], before).remove("upstream app");
        assert_eq!(of(&Before::Nothing), None);
        let all = of(&Before::Unreadable).expect("all of them");
        assert_eq!(all.serving, [1, 2, 3].map(server).into());
        let share = |weight| Share { weight, standing: Standing::Up, why: String::new() };
        let shares = [(server(1), share(Some(2))), (server(2), share(Some(0)))];
        let shares = Shares { members: shares.into(), spare: None };
        let pool = PoolReport { shares, ..PoolReport::default() };
        let pools = [("upstream app".to_owned(), pool)].into();
        let some = of(&Before::Known(Report { pools, ..Report::default() })).expect("it is there");
        assert_eq!((some.serving, some.quiet), ([server(1)].into(), [server(2)].into()));
    }
}
