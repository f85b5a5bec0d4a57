//! Every kind of the network, against a real kernel: created, changed, damaged, put back, removed.
//!
//! All go through `reconcile`, as a user's run does. What this machine's own kernel can do happens
//! in a fresh network namespace; what it may lack (modules, IPVS, tunnels) in user-mode Linux.

mod address;
pub(crate) mod apart;
mod arp_filter;
mod crash;
mod gue_port;
mod link;
mod module;
mod route;
mod rule;
mod snat;
mod sync_daemon;
pub(crate) mod uml;

use std::process::Command;

use converge::host::Host;
use converge::plan::Plan;
use converge::reconcile::{self, Report};
use converge::resource::{Desired, Kinds, Resource};

/// A role that wants exactly these.
fn desired<const N: usize>(resources: [Resource; N]) -> Desired {
    let mut desired = Desired::default();
    for resource in resources {
        assert!(desired.state.insert(resource).is_none(), "two resources of one name");
    }
    desired
}

/// Converges, whatever comes of it.
async fn attempt(host: &Host, desired: &Desired) -> Report {
    reconcile::reconcile(host, desired, Kinds::All, |_, _| {})
        .await
        .expect("the ledger can be read")
}

/// Converges; the host must then be what is desired, and a second look must find nothing to do.
/// Returns how many changes it took.
async fn converge(host: &Host, desired: &Desired) -> usize {
    let report = attempt(host, desired).await;
    assert!(report.converged(), "{report:#?}");
    let plan = plan(host, desired).await;
    assert!(plan.is_empty(), "the second plan is not empty:\n{plan}");
    report.changes.len()
}

/// What would be changed.
async fn plan(host: &Host, desired: &Desired) -> Plan {
    let (plan, observed) = reconcile::look(host, desired).await.expect("the ledger can be read");
    assert!(observed.unknown.is_empty(), "{:#?}", observed.unknown);
    plan
}

/// Runs a shell command, as an administrator beside us would, and returns what it prints.
#[track_caller]
pub(crate) fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().expect("a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{command}`: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
