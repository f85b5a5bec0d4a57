//! How everything stands, for whoever asks: a copy that the thread renews.
//!
//! The thread tries for the lock and goes on without it if somebody is reading; it comes back a
//! moment later. A reader never delays an advertisement.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::lateness::Lateness;
use crate::vrrp::config::Vip;
use crate::vrrp::router::State;

/// How everything stands.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Each router by its name.
    pub routers: BTreeMap<String, RouterStatus>,
    /// The wanted VIPs that are on this host.
    pub standing: Vec<Vip>,
    /// How late timers were.
    pub lateness: Lateness,
    /// Packets that were not heeded.
    pub discarded: u64,
}

/// How a router stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterStatus {
    /// Its state.
    pub state: State,
    /// Its priority, tracking included.
    pub priority: u8,
    /// Whether its VIPs belong here.
    pub holds: bool,
    /// Who is Active, as far as is known.
    pub active: Option<IpAddr>,
}
