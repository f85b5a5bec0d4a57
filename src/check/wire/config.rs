//! What is to be watched on a link: one VIP, the servers behind it, and who may have it.
//!
//! There is one of these for each VIP with real servers that answer clients by themselves. The
//! addresses are those by which hosts are known on the link.

use std::net::IpAddr;
use std::sync::Arc;

/// A VIP and the hosts around it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WireConfig {
    /// The VIP.
    pub vip: IpAddr,
    /// The interface towards the servers.
    pub interface: String,
    /// The real servers: host and address. Who watches has the same ones as the role.
    pub servers: Arc<[(String, IpAddr)]>,
    /// The directors, this one among them: host and address.
    pub directors: Vec<(String, IpAddr)>,
    /// Whether packets reach the servers by their Ethernet addresses, so that all have to be on
    /// one link.
    pub direct: bool,
}
