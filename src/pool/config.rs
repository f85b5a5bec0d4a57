//! What a pool is: servers that do the same, and what is to hold while some of them do not.
//!
//! The role makes it once and it says nothing of the present. What becomes of the servers is in
//! [`super::standing`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::check::config::CheckConfig;

/// A pool: the real servers behind one virtual server, or one upstream of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Its name: `tcp 192.168.100.22:80`, `upstream real_servers`.
    pub name: String,
    /// Its servers, by address.
    pub members: Vec<Member>,
    /// The sum of weights that it takes to be of use; 1 is any server.
    pub quorum: u32,
    /// How far above the quorum a lost one has to rise, and how far below it one has to fall.
    pub hysteresis: u32,
    /// What becomes of a server that failed.
    pub on_failure: OnFailure,
    /// Whether the last good set is kept when the fault is likely here.
    pub guard: bool,
    /// How long a server that comes back takes to its full weight; zero is at once.
    pub slow_start: Duration,
    /// Who answers when the quorum is lost: the first of them that is well.
    pub spares: Vec<Spare>,
}

/// One server of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its host, as the cluster file has it.
    pub host: String,
    /// Where it takes traffic.
    pub server: SocketAddr,
    /// Its share of the traffic while it is well.
    pub weight: u32,
    /// All of them have to be good; none, and it counts as well.
    pub checks: Vec<Arc<CheckConfig>>,
}

/// What becomes of a server that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It leaves the pool; its connections end.
    Remove,
    /// It gets no new connections.
    Quiesce,
}

/// Somebody who answers when no server can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spare {
    /// What it is called in messages: `local`, `sorry`, `10.0.0.9:80`.
    pub name: String,
    /// All of them have to be good; none, and it counts as well.
    pub checks: Vec<Arc<CheckConfig>>,
}
