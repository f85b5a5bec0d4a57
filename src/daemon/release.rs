//! `converge release`: gives the VIPs of a converge that is gone to a peer.
//!
//! systemd runs it after the service has ended, however that was. It resigns at once on behalf of
//! the dead and takes the VIPs off when a peer has announced them. After a planned restart it does
//! nothing: the VIPs are waited for.

use super::{Configuration, log, planned, resident};
use crate::host::{Host, HostError, chain};
use crate::vrrp::driver::{self, Settings, Vrrp};
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

/// Releases. Without a configuration, which may be what is wrong, the VIPs are taken off at once.
/// Nothing is loaded in vain: while the unit is restarted, everybody waits for this.
pub async fn run<L>(host: &Host, load: L) -> Result<Released, HostError>
where
    L: AsyncFnOnce() -> Option<Configuration>,
{
    if !planned::read(host.files(), driver::now())?.is_empty() {
        return Ok(Released::Awaited);
    }
    let before = vips(host).await?;
    if before == 0 {
        return Ok(Released::Nothing);
    }
    let (settings, routers) = match load().await {
        Some(c) => (c.vrrp, c.role.routers().to_vec()),
        None => (Settings::default(), Vec::new()),
    };
    let routers = routers.into_iter().map(|router| (router, Start::Leaving)).collect();
    match Vrrp::start(settings, routers) {
        Ok((vrrp, events)) => {
            vrrp.release();
            resident::finish(events, |event| log::event(&event)).await;
        }
        Err(error) => tracing::error!(error = chain(&error), "cannot resign"),
    }
    let after = vips(host).await?;
    Ok(if after == 0 { Released::Gone(before) } else { Released::Left(before, after) })
}

/// How many VIPs that VRRP put here this host has.
async fn vips(host: &Host) -> Result<usize, HostError> {
    Ok(host.netlink().await?.addresses().await?.iter().filter(|a| a.vip).count())
}
