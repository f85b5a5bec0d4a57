//! `converge --watch` and `converge release`: the resident converge, and what comes after it.

use super::load::{self, Failure};
use super::{Exit, Global};
use crate::daemon::{self, Configuration, release::Released};
use crate::host::Host;

/// Stays until it is told to end.
pub fn run(global: &Global) -> Exit {
    load::with_runtime(async {
        let host = Host::this();
        load::must_be_root()?;
        let _lock = load::lock(&host)?;
        let first = configuration(global, &host).await?;
        let again = async || match configuration(global, &host).await {
            Ok(configuration) => Ok(configuration),
            Err(failure) => Err(load::text(&failure)),
        };
        daemon::run(&host, first, again).await.map_err(Failure::Watch)?;
        Ok(Exit::Done)
    })
}

/// Gives the VIPs of a converge that is gone to a peer.
pub fn release(global: &Global) -> Exit {
    load::with_runtime(async {
        let host = Host::this();
        load::must_be_root()?;
        let _lock = load::lock(&host)?;
        let (configuration, bad) = match configuration(global, &host).await {
            Ok(configuration) => (Some(configuration), None),
            Err(failure) => (None, Some(failure)),
        };
        let released = daemon::release::run(&host, configuration).await?;
        let exit = bad.map_or(Exit::Done, |failure| load::say(&failure));
        if !global.quiet {
            super::print(&said(released));
        }
        Ok(if matches!(released, Released::Left(..)) { Exit::Failed } else { exit })
    })
}

fn said(released: Released) -> String {
    match released {
        Released::Nothing => "no VIP of VRRP is on this host".into(),
        Released::Awaited => "the VIPs stay: a converge is about to take them up again".into(),
        Released::Gone(1) => "1 VIP released".into(),
        Released::Gone(n) => format!("{n} VIPs released"),
        Released::Left(of, n) => {
            format!("{n} of {of} VIPs are still here; they go when their lease ends")
        }
    }
}

async fn configuration(global: &Global, host: &Host) -> Result<Configuration, Failure> {
    let loaded = load::this_host(global, host).await?;
    // A role that contradicts itself is refused here, and not when it is needed.
    loaded.desired()?;
    Ok(Configuration {
        heading: loaded.heading(),
        vrrp: loaded.vrrp,
        warnings: loaded.warnings.iter().map(|w| w.render(false)).collect(),
        role: loaded.role,
    })
}
