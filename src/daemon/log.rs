//! What the resident converge says: a state change once, with its values as fields.
//!
//! INFO is what happened, WARN what somebody should look at, ERROR what keeps the host from being
//! what it is to be.

use std::net::IpAddr;
use std::time::Duration;

use super::upkeep::Failing;
use crate::check::wire::finding::Finding;
use crate::diagnostic::Diagnostics;
use crate::host::{HostError, chain};
use crate::plan::Change;
use crate::pool::{self, Severity};
use crate::reconcile::{Outcome, Report};
use crate::resource::Kind;
use crate::vrrp::config::Vip;
use crate::vrrp::driver::Event;
use crate::vrrp::link::{Alarm, LINK_PORT};
use crate::vrrp::router::{Notice, State};

/// New files are wrong; what ran goes on.
pub fn refused(text: &str) {
    tracing::error!(
        "the files are wrong and nothing was changed; converge goes on as before\n{text}"
    );
}

/// New files are wrong, and this is a restart.
pub fn cannot_return(text: &str) {
    tracing::error!(
        "the files are wrong, so converge cannot be started again; the VIPs go to another \
         director\n{text}"
    );
}

/// A role that contradicts itself.
pub fn contradiction(found: &Diagnostics) {
    tracing::error!("{}", found.render(false));
}

/// One change to the host. What failed in the same way before was told then.
pub fn change(change: &Change, outcome: &Outcome, before: &Failing) {
    let (id, verb) = (change.id(), verb(change));
    let said = match outcome {
        Outcome::Done => return tracing::info!("{verb} {id}"),
        Outcome::Failed(error) => format!("{id} could not be {verb}: {}", chain(error)),
        Outcome::Held { by } => format!("{id} was not {verb}: it needs {by}, which failed"),
    };
    if before.has(&id, outcome) {
        tracing::debug!("still: {said}");
    } else {
        tracing::error!("{said}");
    }
}

fn verb(change: &Change) -> &'static str {
    match change {
        Change::Create { .. } => "made",
        Change::Update { .. } => "changed",
        Change::Remove { .. } => "removed",
    }
}

/// Who is Active for a router, where this host is not.
pub fn holder(router: &str, host: &str, address: IpAddr) {
    tracing::info!("{router}: {host} ({address}) is Active");
}

/// A look at the host. What could not be looked at for the same reason before was told then.
pub fn report(result: &Result<Report, HostError>, before: &Failing) {
    match result {
        Err(error) => tracing::error!(error = chain(error), "cannot look at the host"),
        Ok(report) => {
            let news = |(kind, error): &&(Kind, HostError)| !before.has_kind(*kind, error);
            for (kind, error) in report.unknown.iter().filter(news) {
                tracing::error!(%kind, error = chain(error), "cannot be looked at");
            }
            for change in &report.unsettled.changes {
                tracing::warn!(id = %change.id(), "differs still after it was changed");
            }
        }
    }
}

/// A look at the host goes on for longer than anything that it waits for takes.
pub fn late(since: Duration) {
    tracing::warn!(
        "a look at the host has not ended for {since:?}, so what drifts there stays so: does a \
         disk hang, or the user database?"
    );
}

/// Something that changed in a pool.
pub fn pool(notice: &pool::Notice) {
    match notice.severity() {
        Severity::Info => tracing::info!("{notice}"),
        Severity::Warn => tracing::warn!("{notice}"),
        Severity::Alarm => tracing::error!("{notice}"),
    }
}

/// Something that is wrong on the link to the servers, or no longer, as far as is known.
pub fn finding(finding: &Finding) {
    match finding {
        Finding::Found(_) => tracing::warn!("{finding}"),
        Finding::Over(_) | Finding::Unknown(_) => tracing::info!("{finding}"),
    }
}

/// Something that VRRP says.
pub fn event(event: &Event) {
    match event {
        Event::Changed { router, from, to: to @ State::Fault, why, priority } => {
            tracing::warn!(priority, "{router}: {from} → {to}: {why}");
        }
        Event::Changed { router, from, to, why, priority } => {
            tracing::info!(priority, "{router}: {from} → {to}: {why}");
        }
        // The deletion itself was told.
        Event::Noticed { notice: Notice::VipLost, .. } => {}
        Event::Noticed { router, notice } => tracing::warn!("{router}: {notice}"),
        Event::Discarded { interface, from, reason } => {
            tracing::warn!(interface, %from, "an advertisement was not heeded: {reason}");
        }
        Event::VipPutBack(vip) => {
            let Vip { address, interface, .. } = vip;
            tracing::warn!(%address, interface, "somebody deleted the VIP; it is there again");
        }
        Event::VipForeign(vip) => {
            let Vip { address, interface, .. } = vip;
            tracing::warn!(
                %address,
                interface,
                "the VIP is on this host already, and not from here: it is used and left alone; \
                 nothing takes it off when another director is Active"
            );
        }
        Event::VipRefused { vip, why } => {
            let Vip { address, interface, .. } = vip;
            tracing::error!(%address, interface, %why, "the kernel does not take the VIP");
        }
        Event::Orphaned(address) => {
            tracing::info!(%address, "a VIP that an earlier converge left here was taken off");
        }
        Event::SocketFailed { interface, family, why } => {
            tracing::error!(interface, ?family, why, "VRRP cannot be spoken");
        }
        Event::SendFailed { router, why } => {
            tracing::error!(%why, "{router}: an advertisement did not leave this host");
        }
        other => peer_event(other),
    }
}

fn peer_event(event: &Event) {
    match event {
        Event::PeerUp { peer } => tracing::info!("converge runs on {peer}"),
        Event::PeerGone { peer } => tracing::warn!(
            "converge does not run on {peer}, or without a cluster.key: nobody listens on its TCP \
             port {LINK_PORT}"
        ),
        Event::PeerUnknown { peer } => tracing::warn!(
            "{peer} does not answer on TCP port {LINK_PORT}; whether it lives is unknown"
        ),
        Event::PeerAlarm { peer, alarm } => match alarm {
            Alarm::Agreed => tracing::info!("{peer} has the same files again"),
            Alarm::Refused(refusal) => {
                tracing::error!("a connection with {peer} was not believed: {refusal}");
            }
            Alarm::Mismatch(mismatch) => tracing::error!(
                "the files differ from those on {peer}: {mismatch}; give both the same, and reload"
            ),
        },
        Event::LinkFailed { why } => {
            tracing::error!(%why, "the other directors cannot connect to this one");
        }
        Event::Realtime(error) => tracing::warn!("{error}; a busy host may delay VRRP"),
        Event::Lost(count) => tracing::warn!(count, "events of VRRP were not told in time"),
        Event::Stopped => tracing::debug!("VRRP has ended"),
        _ => {}
    }
}
