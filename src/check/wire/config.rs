//! What is watched on the wire: plain data, as the role and the cluster file say.
//!
//! One for each VIP whose real servers have it too and must keep silent about it.

use std::net::IpAddr;

/// One VIP, with the hosts that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireConfig {
    /// The VIP.
    pub vip: IpAddr,
    /// The interface towards the servers.
    pub interface: String,
    /// The real servers: host and address.
    pub servers: Vec<(String, IpAddr)>,
    /// Everybody who may hold the VIP, this host among them: host and address.
    pub directors: Vec<(String, IpAddr)>,
    /// Whether the servers answer clients themselves, past the director.
    pub direct: bool,
}
