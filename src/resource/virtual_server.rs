//! An IPVS virtual server with its real servers: one resource.
//!
//! The type is the codec's own, so what a role wants and what the kernel holds are compared as they
//! are. All changes of a run go to the kernel in one pass, in as few commands as will do; what is
//! already so is not written again, and so connections and counters stay.
//!
//! Looking changes nothing: where `ip_vs` is not loaded there is no table, and it is the first
//! change that makes the kernel load it.

use std::collections::BTreeSet;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::ipvs::Client;
use crate::host::{Host, HostError, IpvsError};
pub use crate::ipvs::VirtualServer;
use crate::ipvs::{Command, VirtualServerId, diff_into};

impl ResourceKind for VirtualServer {
    const KIND: Kind = Kind::VirtualServer;
    const MEMORY: Memory = Memory::UntilReboot;

    fn name(&self) -> String {
        self.id().to_string()
    }

    async fn observe(_host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        let ours = scope.ours.iter().filter_map(|name| name.parse().ok());
        let covered: BTreeSet<VirtualServerId> =
            scope.wanted.iter().map(|wanted| wanted.id()).chain(ours).collect();
        if covered.is_empty() {
            return Ok(Vec::new());
        }
        let Some(mut client) = Client::open_loaded()? else { return Ok(Vec::new()) };
        let table = client.table(|id| covered.contains(id))?;
        Ok(table.into_values().collect())
    }

    async fn ensure(_host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        let mut commands = Vec::new();
        let mut ends = Vec::with_capacity(changes.len());
        for change in changes {
            diff_into(change.before, Some(change.after), &mut commands);
            ends.push(commands.len());
        }
        let mut results = apply(&commands).into_iter();
        let mut start = 0;
        let mut outcome = |end| {
            let of_change = results.by_ref().take(end - start);
            start = end;
            first_failure(of_change)
        };
        ends.into_iter().map(&mut outcome).collect()
    }

    async fn remove(_host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        let commands: Vec<Command> = gone.iter().map(|g| Command::DelServer(g.id())).collect();
        let settle = |result: Result<(), IpvsError>| match result {
            Err(IpvsError::Refused(refusal)) if refusal.gone_already() => Ok(()),
            other => other.map_err(HostError::from),
        };
        apply(&commands).into_iter().map(settle).collect()
    }
}

/// Carries out commands; one result for each.
fn apply(commands: &[Command]) -> Vec<Result<(), IpvsError>> {
    if commands.is_empty() {
        return Vec::new();
    }
    match Client::open() {
        Ok(mut client) => client.apply(commands),
        Err(error) => commands.iter().map(|_| Err(error.clone())).collect(),
    }
}

/// The failure that explains the others: without its virtual server no destination can be added.
fn first_failure(results: impl Iterator<Item = Result<(), IpvsError>>) -> Result<(), HostError> {
    let mut outcome = Ok(());
    // All are taken, even after a failure: the next change's results follow these.
    for result in results {
        if outcome.is_ok() {
            outcome = result;
        }
    }
    outcome.map_err(HostError::from)
}
