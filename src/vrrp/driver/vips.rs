//! What is to be done about the VIPs: what is wanted, against what the kernel has.
//!
//! A VIP of ours carries [`VIP_MARK`](super::VIP_MARK) and a lease, after which the kernel removes
//! it by itself. An address that is there without either is somebody else's: it serves as well,
//! and is left where it is. What carries our mark and is wanted by nobody goes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipnet::IpNet;

use super::interfaces::{Found, Interfaces};
use crate::clock::Moment;
use crate::vrrp::config::{RouterConfig, Vip};

/// A lease is this much longer than peers need to give us up: the kernel counts in seconds and may
/// be half a one early, and a VIP must outlive the takeover.
const SPARE: Duration = Duration::from_secs(1);

/// The shortest lease.
const SHORTEST: Duration = Duration::from_secs(4);

/// How long the VIPs of a router stay without it: in seconds, as the kernel has it.
pub(super) fn lease(config: &RouterConfig) -> u32 {
    // Skew_Time is never longer than one interval; of v2 never longer than a second, which is the
    // shortest interval (RFC 9568 6.1, RFC 3768 6.1).
    let dead = config.interval.get() * 4;
    // A third of it may be over when the process dies: the rest still outlives the takeover.
    let lease = ((dead + SPARE) * 3 / 2).max(SHORTEST);
    u32::try_from(lease.as_secs() + u64::from(lease.subsec_nanos() > 0)).unwrap_or(u32::MAX - 1)
}

/// What the routers want.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Counts the letters, so that an answer tells which one it answers.
    pub(super) generation: u64,
    /// Each VIP, with its lease in seconds.
    pub(super) vips: BTreeMap<Vip, u32>,
    /// The configured VIPs, held or not. Kernels without `IFA_PROTO` cannot tell that one is
    /// ours; the lease does.
    pub(super) known: BTreeSet<(String, IpNet)>,
    /// Until when the VIPs are wanted. After that their router was not heard of for so long that
    /// somebody else may have them: nothing is added and no lease renewed.
    pub(super) until: Moment,
}

/// How a VIP of ours was last leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leased {
    /// When.
    pub(super) at: Moment,
    /// For how many seconds.
    pub(super) seconds: u32,
}

impl Leased {
    /// A lease is renewed when a third of it is over. The bell for it may ring a little early.
    fn is_due(self, seconds: u32, now: Moment) -> bool {
        seconds != self.seconds || now >= self.at + Duration::from_secs(seconds.into()) * 3 / 10
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Put a VIP there.
    Add { vip: Vip, index: u32, lease: u32, routed: bool },
    /// Begin its lease anew.
    Renew { vip: Vip, index: u32, lease: u32, routed: bool },
    /// Take an address of ours away.
    Remove { index: u32, address: IpNet },
}

impl Change {
    /// The VIP that is wanted; none for what goes.
    pub(super) fn vip(&self) -> Option<&Vip> {
        match self {
            Change::Add { vip, .. } | Change::Renew { vip, .. } => Some(vip),
            Change::Remove { .. } => None,
        }
    }
}

/// What is to be done, and what stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// In this order.
    pub(super) changes: Vec<Change>,
    /// The wanted VIPs that are there.
    pub(super) standing: BTreeSet<Vip>,
    /// Those of them that somebody else put there.
    pub(super) foreign: BTreeSet<Vip>,
}

/// Compares.
pub(super) fn plan(
    wanted: &Wanted,
    interfaces: &Interfaces,
    leased: &BTreeMap<Vip, Leased>,
    now: Moment,
) -> Plan {
    let mut plan = Plan::default();
    let mut renewals = Vec::new();
    let in_time = now < wanted.until;
    for (vip, lease) in &wanted.vips {
        let Some(link) = interfaces.named(&vip.interface) else {
            continue;
        };
        let (vip, lease, index) = (vip.clone(), *lease, link.index);
        let routed = !is_connected(interfaces, index, vip.address);
        match interfaces.found(index, vip.address) {
            Some((net, found)) if !is_ours(wanted, &vip.interface, net, found) => {
                plan.standing.insert(vip.clone());
                plan.foreign.insert(vip);
            }
            Some((net, found)) if in_time && !is_labelled(&vip, found) => {
                plan.changes.push(Change::Remove { index, address: net });
                plan.changes.push(Change::Add { vip, index, lease, routed });
            }
            Some(_) => {
                plan.standing.insert(vip.clone());
                let due = leased.get(&vip).is_none_or(|leased| leased.is_due(lease, now));
                if in_time && due {
                    renewals.push(Change::Renew { vip, index, lease, routed });
                }
            }
            // Where nothing can be sent the kernel takes IPv6 addresses away again.
            None if in_time && link.running => {
                plan.changes.push(Change::Add { vip, index, lease, routed });
            }
            None => {}
        }
    }
    plan.changes.extend(renewals);
    plan.changes.extend(unwanted(wanted, interfaces));
    plan
}

/// What is ours and wanted by nobody.
fn unwanted(wanted: &Wanted, interfaces: &Interfaces) -> Vec<Change> {
    let places: BTreeSet<(&str, IpNet)> =
        wanted.vips.keys().map(|vip| (vip.interface.as_str(), vip.address)).collect();
    let ours = interfaces.addresses().filter_map(|(index, address, found)| {
        let name = interfaces.numbered(index)?.name.as_str();
        let goes = is_ours(wanted, name, address, found) && !places.contains(&(name, address));
        goes.then_some(Change::Remove { index, address })
    });
    ours.collect()
}

fn is_ours(wanted: &Wanted, interface: &str, address: IpNet, found: &Found) -> bool {
    let configured = || wanted.known.contains(&(interface.to_owned(), address));
    found.marked || (found.finite && configured())
}

/// The kernel labels an IPv4 address with the interface's name when it is given no label.
fn is_labelled(vip: &Vip, found: &Found) -> bool {
    let wanted = vip.label.as_deref().unwrap_or(&vip.interface);
    vip.address.addr().is_ipv6() || found.label.as_deref().is_none_or(|label| label == wanted)
}

/// Whether the subnet of an IPv6 address is reached by that interface without it. A lease would
/// then shorten the life of the route that is there.
fn is_connected(interfaces: &Interfaces, index: u32, address: IpNet) -> bool {
    let IpNet::V6(_) = address else {
        return false;
    };
    interfaces.on(index).any(|(net, found)| {
        !found.finite && net.addr() != address.addr() && net.trunc() == address.trunc()
    })
}

#[cfg(test)]
mod tests;
