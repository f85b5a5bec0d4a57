//! The IPVS table's connection timeouts.
//!
//! There is one set for the whole table of a network namespace, and no way to be without: it is
//! never removed, and where `ip_vs` is not loaded it does not exist.

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::ipvs::Client;
use crate::host::{Host, HostError};
use crate::ipvs::Command;
pub use crate::ipvs::Timeouts as IpvsTimeouts;

impl ResourceKind for IpvsTimeouts {
    const KIND: Kind = Kind::IpvsTimeouts;
    const MEMORY: Memory = Memory::Never;

    fn name(&self) -> String {
        "table".to_owned()
    }

    async fn observe(_host: &Host, scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        if scope.wanted.is_empty() {
            return Ok(Vec::new());
        }
        match Client::open_loaded()? {
            Some(mut client) => Ok(vec![client.timeouts()?]),
            None => Ok(Vec::new()),
        }
    }

    async fn ensure(_host: &Host, changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        let set = |change: &Ensure<'_, Self>| -> Result<(), HostError> {
            let mut client = Client::open()?;
            let results = client.apply(&[Command::SetTimeouts(*change.after)]);
            Ok(results.into_iter().collect::<Result<(), _>>()?)
        };
        changes.iter().map(set).collect()
    }

    async fn remove(_host: &Host, gone: &[&Self]) -> Vec<Result<(), HostError>> {
        gone.iter().map(|_| Ok(())).collect()
    }
}
