//! `converge release`: gives the VIPs of a converge that is gone to a peer.
//!
//! systemd runs it after the service has ended, however that was. It resigns at once on behalf of
//! the dead and takes the VIPs off when a peer has announced them. After a planned restart it does
//! nothing: the VIPs are waited for.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::{Configuration, log, planned, resident};
use crate::host::netlink::FoundAddress;
use crate::host::{Host, HostError, chain};
use crate::vrrp::config::{RouterConfig, Vip};
use crate::vrrp::driver::{self, Vrrp};
use crate::vrrp::router::Start;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// There was no VIP of ours.
    Nothing,
    /// The VIPs stay: a converge is about to take them up.
    Awaited,
    /// So many VIPs are gone from this host.
    Gone(usize),
    /// So many VIPs were there, and so many are there still; their leases end them.
    Left(usize, usize),
}

/// Releases. Without a configuration, which may be what is wrong, their leases end them. Nothing is
/// loaded in vain: while the unit is restarted, everybody waits for this.
pub async fn run<L>(host: &Host, load: L) -> Result<Released, HostError>
where
    L: AsyncFnOnce() -> Option<Configuration>,
{
    if !planned::read(host.files(), driver::now())?.is_empty() {
        return Ok(Released::Awaited);
    }
    let mut addresses = host.netlink().await?.addresses().await?.into_iter();
    if !addresses.any(|address| address.vip || address.leased) {
        return Ok(Released::Nothing);
    }
    let configuration = load().await;
    let all = match &configuration {
        Some(configuration) => configuration.role.routers(),
        None => &[],
    };
    let found = vips(host, all).await?;
    if found.is_empty() {
        return Ok(Released::Nothing);
    }
    // Without its files nobody can resign: the kernel goes on answering until the leases end, which
    // is after a peer has taken over.
    let Some(Configuration { vrrp: settings, ref role, .. }) = configuration else {
        return Ok(Released::Left(found.len(), found.len()));
    };
    // Of the others a peer is Active. To resign there would be to take them first.
    let held = |router: &&RouterConfig| router.vips.iter().any(|vip| found.contains(&place(vip)));
    let routers: Vec<RouterConfig> = role.routers().iter().filter(held).cloned().collect();
    let limit = resident::release_limit(routers.iter());
    let routers = routers.into_iter().map(|router| (router, Start::Leaving)).collect();
    match Vrrp::start(settings, routers) {
        Ok((vrrp, events)) => {
            vrrp.release();
            resident::finish(events, limit, |event| log::event(&event)).await;
        }
        Err(error) => tracing::error!(error = chain(&error), "cannot resign"),
    }
    let (before, after) = (found.len(), vips(host, role.routers()).await?.len());
    Ok(if after == 0 { Released::Gone(before) } else { Released::Left(before, after) })
}

/// An interface and an address on it.
type Place = (String, IpNet);

fn place(vip: &Vip) -> Place {
    (vip.interface.clone(), vip.address)
}

/// The VIPs that VRRP put on this host. Kernels before 5.18 drop the mark; the lease tells.
async fn vips(host: &Host, routers: &[RouterConfig]) -> Result<BTreeSet<Place>, HostError> {
    let known: BTreeSet<Place> =
        routers.iter().flat_map(|router| &router.vips).map(place).collect();
    let addresses = host.netlink().await?.addresses().await?.into_iter();
    let place = |found: FoundAddress| (found.vip, found.leased, (found.interface, found.address));
    let ours =
        addresses.map(place).filter(|(vip, leased, at)| *vip || *leased && known.contains(at));
    Ok(ours.map(|(_, _, at)| at).collect())
}
