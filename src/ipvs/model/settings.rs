//! What belongs to the whole table of a network namespace, not to one virtual server.
//!
//! The timeouts, what the kernel says about itself, and the daemons that keep the connections of
//! two directors alike. Sysctls under `net.ipv4.vs` belong to it too, but are files.

use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU16};

use serde::Serialize;

use super::name::KernelName;
use super::persistence::Seconds;

/// How long idle connections are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Timeouts {
    /// Of established TCP connections.
    pub tcp: Seconds,
    /// Of TCP connections after a FIN.
    pub tcp_fin: Seconds,
    /// Of UDP packets.
    pub udp: Seconds,
}

/// What the kernel says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Info {
    /// Major, minor and patch level of IPVS; 1.2.1 for twenty years.
    pub version: (u8, u8, u8),
    /// Buckets of the connection hash table.
    pub connection_table_size: u32,
}

/// Which half of connection synchronisation a daemon does (`IP_VS_STATE_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncState {
    /// Sends this host's connections.
    Master,
    /// Takes in the connections of others.
    Backup,
}

impl SyncState {
    /// `master` or `backup`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Backup => "backup",
        }
    }
}

/// A kernel thread that sends or receives connection state. One of each state can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SyncDaemon {
    /// Sends or receives.
    pub state: SyncState,
    /// Interface of the multicast group, in the same network namespace.
    pub interface: KernelName,
    /// Tells clusters apart, 0 to 255; 0 on the backup takes in every one.
    pub sync_id: u8,
    /// Longest message in bytes; absent: by the MTU of the interface.
    pub max_length: Option<NonZeroU16>,
    /// Multicast group; absent: 224.0.0.81.
    pub group: Option<IpAddr>,
    /// UDP port; absent: 8848.
    pub port: Option<NonZeroU16>,
    /// Hops that messages may go; absent: 1.
    pub ttl: Option<NonZeroU8>,
}
