//! An IPVS virtual server with its real servers: one resource.
//!
//! The type is the codec's own, so what a role wants and what the kernel holds are compared as they
//! are. All changes of a run go to the kernel in one pass, in as few commands as will do; what is
//! already so is not written again, and so connections and counters stay.
//!
//! One that a role wants and somebody else made, with ipvsadm(8) say, is taken over as it is, and a
//! plan shows that as an update. It never is in the ledger: no role's end removes it.
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
        if changes.is_empty() {
            return Vec::new();
        }
        let mut client = match Client::open() {
            Ok(client) => client,
            Err(error) => return changes.iter().map(|_| Err(error.clone().into())).collect(),
        };
        let mut pass = client.pass();
        let mut ends = Vec::with_capacity(changes.len());
        // One change's commands at a time: a large table is not written down twice.
        let mut commands = Vec::new();
        for change in changes {
            diff_into(change.before, Some(change.after), &mut commands);
            commands.drain(..).for_each(|command| pass.push(command));
            ends.push(pass.pushed());
        }
        by_change(&ends, pass.finish())
    }

    async fn remove(_host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        let commands: Vec<Command> = gone.iter().map(|g| Command::DelServer(g.id())).collect();
        let settle = |result: Result<(), IpvsError>| match result {
            Err(IpvsError::Refused(refusal)) if refusal.gone_already() => Ok(()),
            other => other.map_err(HostError::from),
        };
        if commands.is_empty() {
            return Vec::new();
        }
        match Client::open() {
            Ok(mut client) => client.apply(&commands).into_iter().map(settle).collect(),
            Err(error) => commands.iter().map(|_| Err(error.clone().into())).collect(),
        }
    }
}

/// One result for each change, of which `ends` says after how many commands it ends. Its first
/// failure is the one that counts: without its virtual server no destination can be added.
fn by_change(ends: &[usize], failures: Vec<(usize, IpvsError)>) -> Vec<Result<(), HostError>> {
    let mut results: Vec<Result<(), HostError>> = ends.iter().map(|_| Ok(())).collect();
    for (at, error) in failures {
        let change = ends.partition_point(|end| *end <= at);
        if let Some(result @ Ok(())) = results.get_mut(change) {
            *result = Err(error.into());
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_of_the_change_that_it_belongs_to() {
        // Changes of 2, 0, 3 and 1 commands.
        let ends = [2, 2, 5, 6];
        let failures = vec![(2, IpvsError::Absent), (4, IpvsError::Unsteady)];
        let results = by_change(&ends, failures);
        let failed: Vec<bool> = results.iter().map(Result::is_err).collect();
        assert_eq!(failed, [false, false, true, false]);
        assert!(matches!(results[2], Err(HostError::Ipvs(IpvsError::Absent))));
    }
}
