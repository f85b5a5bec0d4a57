//! `converge plan`: what would be changed, without changing it.
//!
//! The same look and the same plan as a run has; nothing is locked, nothing is written, and it
//! needs root only as far as looking does.

use serde_json::json;

use super::apply::{chain, changes, failure};
use super::load::{self, Loaded};
use super::{Exit, Format, Global};
use crate::host::Host;
use crate::plan::Plan;
use crate::reconcile;
use crate::resource::Observed;
use crate::situation::Situation;

/// Runs it.
pub fn run(global: &Global) -> Exit {
    load::with_runtime(async {
        let host = Host::this();
        let loaded = load::this_host(global, &host).await?;
        let situation = loaded.situation(&host).await?;
        let desired = loaded.role.desired(&situation)?;
        loaded.print_warnings(&host);
        let (plan, observed) = reconcile::look(&host, &desired).await?;
        match global.output {
            Format::Json => super::print(&as_json(&loaded, &plan, &observed).to_string()),
            Format::Text => text(global, &loaded, &plan, &observed, &situation),
        }
        load::print_missing(&loaded.role);
        let by_package = observed.unknown.iter().all(|(_, error)| error.is_missing_package());
        let hindered = !(observed.unknown.is_empty() && loaded.role.missing.is_empty());
        Ok(match (hindered, by_package, plan.is_empty()) {
            (true, true, _) => Exit::NeedsPackage,
            (true, false, _) => Exit::Failed,
            (false, _, true) => Exit::Done,
            (false, _, false) => Exit::Pending,
        })
    })
}

fn text(global: &Global, loaded: &Loaded, plan: &Plan, observed: &Observed, situation: &Situation) {
    for (kind, error) in &observed.unknown {
        anstream::eprint!("cannot look at any {kind}\n{}", failure(error));
    }
    anstream::print!("{plan}");
    if global.quiet {
        return;
    }
    let (heading, missing) = (loaded.heading(), loaded.role.missing.as_slice());
    super::print(&match (plan.changes.len(), missing) {
        (n, []) if !observed.unknown.is_empty() => {
            format!("{heading}: {} pending, as far as can be seen", changes(n))
        }
        (0, []) => format!("{heading}: nothing to do"),
        (n, []) => format!("{heading}: {} pending; `converge` makes them", changes(n)),
        (n, [..]) => {
            format!("{heading}: {} pending, {} not installed", changes(n), missing.join(", "))
        }
    });
    if let Some(note) = loaded.vips_note(situation) {
        super::print(&format!("  {note}"));
    }
}

fn as_json(loaded: &Loaded, plan: &Plan, observed: &Observed) -> serde_json::Value {
    let pending: Vec<_> = plan
        .changes
        .iter()
        .map(|change| {
            let id = change.id();
            let source = plan.origin.get(&id);
            json!({"resource": id, "change": change, "source": source})
        })
        .collect();
    let unknown: Vec<_> = observed
        .unknown
        .iter()
        .map(|(kind, error)| json!({"kind": kind, "error": chain(error)}))
        .collect();
    json!({
        "schema": "converge.plan/1",
        "changes": pending,
        "unknown": unknown,
        "missing": loaded.role.missing,
    })
}
