//! What the resident converge says: a state change once, with its values as fields.
//!
//! INFO is what happened, WARN what somebody should look at, ERROR what keeps the host from being
//! what it is to be.

use crate::diagnostic::Diagnostics;
use crate::host::HostError;
use crate::plan::Change;
use crate::reconcile::{Outcome, Report};
use crate::vrrp::driver::Event;

/// What a person should see of the files.
pub fn warnings(texts: &[String]) {
    for text in texts {
        tracing::warn!("{text}");
    }
}

/// New files are wrong; what ran goes on.
pub fn refused(text: &str) {
    tracing::error!("the files are wrong and nothing was changed; converge goes on as before\n{text}");
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
            let error = super::chain(error);
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
        Err(error) => tracing::error!(error = super::chain(error), "cannot look at the host"),
        Ok(report) => {
            for (kind, error) in &report.unknown {
                tracing::error!(%kind, error = super::chain(error), "cannot be looked at");
            }
            for change in &report.unsettled.changes {
                tracing::warn!(id = %change.id(), "differs still after it was changed");
            }
        }
    }
}
