//! What a pool's servers carry now, as far as the kernel knows.
//!
//! The pool of a virtual server has its name, so its place in the IPVS table follows from that. Of
//! a proxy's upstream nothing can be counted here: stock nginx tells nobody.

use std::net::SocketAddr;

use crate::host::ipvs::{Client, IpvsError, Load};
use crate::ipvs::{Connections, DestinationId, VirtualServerId};

/// The IPVS table, if there is one.
pub struct Traffic(Option<Client>);

/// What one server of a pool carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Its weight in the table; `None`: it is not in it.
    pub weight: Option<u32>,
    /// Its connections.
    pub connections: Connections,
}

impl Traffic {
    /// Opens the table. It changes nothing, not even which modules are loaded.
    pub fn open() -> Result<Self, IpvsError> {
        Client::open_loaded().map(Traffic)
    }

    /// Where nothing is known of.
    pub fn unknown() -> Self {
        Traffic(None)
    }

    /// What a pool's servers carry. `None` if that cannot be counted.
    pub fn of(&mut self, pool: &str) -> Result<Option<Load>, IpvsError> {
        match (pool.parse::<VirtualServerId>(), &mut self.0) {
            (Ok(id), Some(client)) => client.load(id).map(Some),
            (Ok(_), None) | (Err(_), _) => Ok(None),
        }
    }
}

/// Whether the connections of a pool can be counted at all.
pub fn is_counted(pool: &str) -> bool {
    pool.parse::<VirtualServerId>().is_ok()
}

/// What one server carries.
pub fn carried(load: &Load, server: SocketAddr) -> Carried {
    let id = DestinationId { addr: server.ip(), port: server.port() };
    match load.get(&id) {
        Some((weight, connections)) => {
            Carried { weight: Some(weight.get()), connections: *connections }
        }
        None => Carried { weight: None, connections: Connections::default() },
    }
}
