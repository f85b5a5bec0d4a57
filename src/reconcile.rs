//! The one path: observe, plan, apply, observe again.
//!
//! One-shot runs it once, a dry run stops after the plan, and whatever stays resident runs it again
//! and again. A change that fails does not stop the others, except those that need it. What the
//! second look still finds different is reported: nothing is called done because a call returned.

use std::collections::BTreeSet;

use crate::host::{Host, HostError, files, ledger};
use crate::plan::{Change, Plan};
use crate::resource::{self, Desired, Id, Kind, Kinds, Observed, Ours, Resource};

/// How one change went.
#[derive(Debug)]
pub enum Outcome {
    /// It was made.
    Done,
    /// It was tried and failed.
    Failed(HostError),
    /// It was left alone because something that it needs is not there.
    Held {
        /// What it needs.
        by: Id,
    },
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Report {
    /// Every change with its outcome, in the order in which they were made.
    pub changes: Vec<(Change, Outcome)>,
    /// Kinds that could not be looked at.
    pub unknown: Vec<(Kind, HostError)>,
    /// What differed still at the second look although its change was called done.
    pub unsettled: Plan,
}

impl Report {
    /// Whether the host is now what its role says.
    pub fn converged(&self) -> bool {
        self.unknown.is_empty()
            && self.unsettled.is_empty()
            && self.changes.iter().all(|(_, o)| matches!(o, Outcome::Done))
    }
}

/// Looks at the host and says what would be changed.
pub async fn look(host: &Host, desired: &Desired) -> Result<(Plan, Observed), HostError> {
    let ours = ledger::look(host.files(), Kinds::All).await?;
    let observed = resource::observe(host, &desired.state, &ours, Kinds::All).await;
    for (id, resource) in observed.state.iter() {
        tracing::debug!(%id, ?resource, "stands");
    }
    tracing::info!(wanted = desired.state.len(), standing = observed.state.len(), "looked");
    Ok((Plan::between(desired, &observed), observed))
}

/// Makes the host be what is desired, as far as these kinds go; `desired` has no others. `tell` is
/// called after each change.
pub async fn reconcile(
    host: &Host,
    desired: &Desired,
    kinds: Kinds,
    mut tell: impl FnMut(&Change, &Outcome),
) -> Result<Report, HostError> {
    files::set_umask();
    for (kind, error) in resource::recover(host, kinds).await {
        tracing::warn!(%kind, %error, "what a run that was cut short changed stays changed");
    }
    let ours = ledger::look(host.files(), kinds).await?;
    let observed = resource::observe(host, &desired.state, &ours, kinds).await;
    forget_gone(host, desired, &observed, &ours);
    let plan = Plan::between(desired, &observed);
    let mut report = Report::default();
    let blind: BTreeSet<Kind> = observed.unknown.keys().copied().collect();
    apply(host, &plan, &blind, &mut report, &mut tell).await;
    report.unknown.extend(observed.unknown);
    if plan.is_empty() {
        return Ok(report);
    }
    let ours = match ledger::look(host.files(), kinds).await {
        Ok(ours) => ours,
        // What was made is told all the same, and nothing of it is called settled.
        Err(error) => {
            let kinds: BTreeSet<Kind> = plan.changes.iter().map(|c| c.id().kind).collect();
            report.unknown.extend(kinds.into_iter().map(|kind| (kind, error.again().into())));
            return Ok(report);
        }
    };
    let seen = resource::observe(host, &desired.state, &ours, kinds).await;
    forget_unmade(host, &report, &seen);
    let done: BTreeSet<Id> = report
        .changes
        .iter()
        .filter(|(_, o)| matches!(o, Outcome::Done))
        .map(|(c, _)| c.id())
        .collect();
    let tried: BTreeSet<Id> = report.changes.iter().map(|(c, _)| c.id()).collect();
    report.unsettled = Plan::between(desired, &seen);
    report.unsettled.changes.retain(|c| done.contains(&c.id()) || !tried.contains(&c.id()));
    let new = seen.unknown.into_iter().filter(|(kind, _)| !blind.contains(kind));
    report.unknown.extend(new);
    Ok(report)
}

/// Strikes what is gone and nobody wants out of the ledger. Whoever makes it later made it, not we.
fn forget_gone(host: &Host, desired: &Desired, observed: &Observed, ours: &Ours) {
    for (kind, names) in ours.iter().filter(|(kind, _)| !observed.unknown.contains_key(kind)) {
        let gone = |name: &&String| {
            let id = Id { kind: *kind, name: (*name).clone() };
            let absent = desired.state.get(&id).is_none() && observed.state.get(&id).is_none();
            absent && resource::is_gone(host, *kind, name)
        };
        forget(host, *kind, &names.iter().filter(gone).cloned().collect::<Vec<_>>());
    }
}

/// Strikes what could not be made out of the ledger. Whoever makes it later made it, not we.
fn forget_unmade(host: &Host, report: &Report, seen: &Observed) {
    let unmade = report.changes.iter().filter_map(|(change, outcome)| match (change, outcome) {
        (Change::Create { .. }, Outcome::Failed(_)) => Some(change.id()),
        _ => None,
    });
    let known = |id: &Id| !seen.unknown.contains_key(&id.kind);
    for id in unmade.filter(|id| known(id) && seen.state.get(id).is_none()) {
        forget(host, id.kind, &[id.name]);
    }
}

/// What failed so far in a run.
#[derive(Default)]
struct Failed {
    all: BTreeSet<Id>,
    /// Files among them whose check failed, and in whose place the file from before stands again.
    put_back: BTreeSet<Id>,
}

impl Failed {
    fn note(&mut self, change: &Change, outcome: &Outcome) {
        let Outcome::Failed(error) = outcome else {
            return;
        };
        self.all.insert(change.id());
        if matches!((change, error), (Change::Update { .. }, HostError::Unproven(_))) {
            self.put_back.insert(change.id());
        }
    }
}

async fn apply(
    host: &Host,
    plan: &Plan,
    blind: &BTreeSet<Kind>,
    report: &mut Report,
    tell: &mut impl FnMut(&Change, &Outcome),
) {
    let mut failed = Failed::default();
    for (kind, batch) in plan.batches().iter().filter(|(_, batch)| !batch[0].removes()) {
        let changes: Vec<_> = batch.iter().filter_map(Change::ensures).collect();
        if let Err(error) = resource::prepare(host, *kind, &changes).await {
            tracing::warn!(%kind, %error, "cannot note what is about to change");
        }
    }
    for (kind, batch) in plan.batches() {
        let (held, ready): (Vec<&Change>, Vec<&Change>) =
            batch.iter().partition(|c| holder(plan, blind, &failed, c).is_some());
        for change in held {
            let by = holder(plan, blind, &failed, change).unwrap_or_else(|| change.id());
            failed.all.insert(change.id());
            conclude(report, tell, change, Outcome::Held { by });
        }
        let results = perform(host, kind, &ready).await;
        assert_eq!(results.len(), ready.len(), "{kind}: a verb answers for every change");
        for (change, result) in ready.into_iter().zip(results) {
            let outcome = match result {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Failed(error),
            };
            failed.note(change, &outcome);
            conclude(report, tell, change, outcome);
        }
    }
}

fn conclude(
    report: &mut Report,
    tell: &mut impl FnMut(&Change, &Outcome),
    change: &Change,
    outcome: Outcome,
) {
    tell(change, &outcome);
    report.changes.push((change.clone(), outcome));
}

/// What keeps a change from being made now. Nothing keeps a removal: a VIP must always go.
fn holder(plan: &Plan, blind: &BTreeSet<Kind>, failed: &Failed, change: &Change) -> Option<Id> {
    if change.removes() {
        return None;
    }
    let needs = plan.needs.get(&change.id())?;
    let serves = |need: &Id| starts_checked(change) && failed.put_back.contains(need);
    let lacks = |need: &Id| failed.all.contains(need) && !serves(need);
    needs.iter().find(|n| lacks(n) || blind.contains(&n.kind)).cloned()
}

/// Whether a unit that does not run is to be started, after its own check of what stands then. With
/// the old file that is better than not at all: a file that is refused after a boot must not keep
/// the host from doing what it did before.
fn starts_checked(change: &Change) -> bool {
    let ran = match change {
        Change::Update { before: Resource::Unit(before), .. } => before.active,
        Change::Create { .. } => false,
        Change::Update { .. } | Change::Remove { .. } => return false,
    };
    let checked = |r: &Resource| matches!(r, Resource::Unit(u) if u.active && u.check.is_some());
    !ran && change.ensures().is_some_and(|(_, after)| checked(after))
}

async fn perform(host: &Host, kind: Kind, batch: &[&Change]) -> Vec<Result<(), HostError>> {
    if batch.is_empty() {
        return Vec::new();
    }
    if batch[0].removes() {
        return remove(host, kind, batch).await;
    }
    // Entered before the thing is made: after a crash in between, a name too many does no harm.
    let creates = |c: &&&Change| matches!(c, Change::Create { after } if !after.is_given_away());
    let names: Vec<String> = batch.iter().filter(creates).map(|c| c.id().name).collect();
    let new = match ledger::enter(host.files(), kind, &names) {
        Ok(new) => new,
        Err(error) => return batch.iter().map(|_| Err(HostError::Ledger(error.again()))).collect(),
    };
    let changes: Vec<_> = batch.iter().filter_map(|c| c.ensures()).collect();
    let results = resource::ensure(host, kind, &changes).await;
    // What is not installed made nothing, and may not be able to tell so either.
    let missing = |r: &Result<(), HostError>| r.as_ref().is_err_and(HostError::is_missing_package);
    let unmade = batch.iter().zip(&results).filter(|(_, r)| missing(r)).map(|(c, _)| c.id().name);
    forget(host, kind, &unmade.filter(|name| new.contains(name)).collect::<Vec<_>>());
    results
}

/// Strikes names of things that are not there. Without that the ledger has some too many.
fn forget(host: &Host, kind: Kind, names: &[String]) {
    if names.is_empty() {
        return;
    }
    if let Err(error) = ledger::strike(host.files(), kind, names) {
        tracing::warn!(%kind, %error, "the ledger keeps names of things that are not there");
    }
}

async fn remove(host: &Host, kind: Kind, batch: &[&Change]) -> Vec<Result<(), HostError>> {
    let gone: Vec<&Resource> = batch
        .iter()
        .filter_map(|c| match c {
            Change::Remove { before } => Some(before),
            Change::Create { .. } | Change::Update { .. } => None,
        })
        .collect();
    let results = resource::remove(host, kind, &gone).await;
    let removed: Vec<String> =
        batch.iter().zip(&results).filter(|(_, r)| r.is_ok()).map(|(c, _)| c.id().name).collect();
    forget(host, kind, &removed);
    results
}

#[cfg(test)]
mod tests;
