//! How the resident converge ends: for good, giving the VIPs to a peer, or to be started again.
//!
//! Real servers, tables and files stay as they are in both cases: what serves clients goes on
//! serving them.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::Resident;
use crate::daemon::{WatchError, log, planned};
use crate::host::chain;
use crate::vrrp::config::RouterConfig;
use crate::vrrp::driver::{self, Event, Events};
use crate::vrrp::router::{self, State};

/// How long a release may take beyond the peers' answer, after which the VIPs go in any case.
const RELEASE_SPARE: Duration = Duration::from_secs(3);
/// How long a planned restart may take to be told.
const RESTART_LIMIT: Duration = Duration::from_secs(5);
/// How long the hooks may take that are told of the end.
const HOOK_LIMIT: Duration = Duration::from_secs(5);
/// How long systemd may take to say whether this is a stop or a restart.
const JOB_LIMIT: Duration = Duration::from_millis(500);

impl Resident<'_> {
    /// Whether systemd stops this only to start it again.
    pub async fn is_restarting(&self) -> bool {
        let asking = tokio::time::timeout(JOB_LIMIT, self.host.units().own_job());
        match asking.await {
            Ok(Ok(Some(job))) => matches!(job.as_str(), "restart" | "try-restart"),
            Ok(Ok(None)) | Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Ends, and gives the VIPs to a peer.
    pub async fn leave(mut self) -> Result<(), WatchError> {
        tracing::info!("stopping");
        let limit = release_limit(self.role.routers().iter());
        self.service.stopping(limit + HOOK_LIMIT * 2);
        if let Some((vrrp, events)) = self.vrrp.take() {
            vrrp.release();
            finish(events, limit, |event| self.heard(event)).await;
        }
        self.notifier.finish(HOOK_LIMIT).await;
        Ok(())
    }

    /// Ends, but leaves the VIPs where they are, for the converge that comes.
    pub async fn give_over(mut self) -> Result<(), WatchError> {
        let Some((vrrp, events)) = self.vrrp.take() else {
            return Ok(());
        };
        // Asked for now, for an event may still be on its way.
        let routers = vrrp.status().routers.into_iter();
        let active = routers.filter(|(_, router)| router.state == State::Active);
        let active: BTreeSet<String> = active.map(|(name, _)| name).collect();
        if let Err(error) = planned::leave(self.host.files(), active, driver::now()) {
            tracing::error!(error = chain(&error), "the next converge cannot be told");
            self.vrrp = Some((vrrp, events));
            return self.leave().await;
        }
        tracing::info!("ending, to be started again; the VIPs stay");
        self.service.stopping(RESTART_LIMIT);
        vrrp.restart();
        finish(events, RESTART_LIMIT, |event| log::event(&event)).await;
        Ok(())
    }
}

/// How long the release of these may take: at a long interval peers are slow to answer, and VIPs
/// that are left to their leases stay for longer still.
pub(in crate::daemon) fn release_limit<'r>(
    routers: impl Iterator<Item = &'r RouterConfig>,
) -> Duration {
    routers.map(router::keep).max().unwrap_or_default() + RELEASE_SPARE
}

/// Waits until VRRP has ended, but not for ever.
pub(in crate::daemon) async fn finish(
    mut events: Events,
    limit: Duration,
    mut hear: impl FnMut(Event),
) {
    let end = Instant::now() + limit;
    while let Ok(Some(event)) = tokio::time::timeout_at(end, events.next()).await {
        if matches!(event, Event::Stopped) {
            return;
        }
        hear(event);
    }
    tracing::warn!("VRRP did not end within {limit:?}");
}
