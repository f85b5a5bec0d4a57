//! What the resident converge says: a state change once, with its values as fields.
//!
//! INFO is what happened, WARN what somebody should look at, ERROR what keeps the host from being
//! what it is to be.

use crate::diagnostic::Diagnostics;
use crate::host::{HostError, chain};
use crate::plan::Change;
use crate::reconcile::{Outcome, Report};
use crate::vrrp::config::Vip;
use crate::vrrp::driver::Event;
use crate::vrrp::link::Alarm;
use crate::vrrp::router::Notice;

/// What a person should see of the files.
pub fn warnings(texts: &[String]) {
    for text in texts {
        tracing::warn!("{text}");
    }
}

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

/// One change to the host.
pub fn change(change: &Change, outcome: &Outcome) {
    let (id, verb) = (change.id(), verb(change));
    match outcome {
        Outcome::Done => tracing::info!(%id, verb, "done"),
        Outcome::Failed(error) => {
            let error = chain(error);
            tracing::error!(%id, verb, error, "failed");
        }
        Outcome::Held { by } => tracing::error!(%id, verb, %by, "left alone, for want of another"),
    }
}

fn verb(change: &Change) -> &'static str {
    match change {
        Change::Create { .. } => "make",
        Change::Update { .. } => "change",
        Change::Remove { .. } => "remove",
    }
}

/// A look at the host.
pub fn report(result: &Result<Report, HostError>) {
    match result {
        Err(error) => tracing::error!(error = chain(error), "cannot look at the host"),
        Ok(report) => {
            for (kind, error) in &report.unknown {
                tracing::error!(%kind, error = chain(error), "cannot be looked at");
            }
            for change in &report.unsettled.changes {
                tracing::warn!(id = %change.id(), "differs still after it was changed");
            }
        }
    }
}

/// Something that VRRP says.
pub fn event(event: &Event) {
    match event {
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
        Event::PeerUp { peer } => tracing::info!(peer, "the other director's converge runs"),
        Event::PeerGone { peer } => {
            tracing::warn!(peer, "the other director's converge does not run")
        }
        Event::PeerUnknown { peer } => {
            tracing::warn!(peer, "the other director does not answer; whether it lives is unknown");
        }
        Event::PeerAlarm { peer, alarm } => match alarm {
            Alarm::Agreed => tracing::info!(peer, "the files are the same again"),
            Alarm::Refused(refusal) => {
                tracing::error!(peer, "a connection was not believed: {refusal}");
            }
            Alarm::Mismatch(mismatch) => tracing::error!(peer, "the files differ: {mismatch}"),
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
