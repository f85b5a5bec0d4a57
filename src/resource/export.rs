//! A directory exported over NFS to one client or network.

use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// One line of `/etc/exports.d/converge.exports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Export {
    /// The directory.
    pub path: PathBuf,
    /// The client: an address, a network `a.b.c.d/n`, a host name or `*`.
    pub client: String,
    /// Options as in exports(5).
    pub options: BTreeSet<String>,
}

impl ResourceKind for Export {
    const KIND: Kind = Kind::Export;
    const MEMORY: Memory = Memory::Mark;

    fn name(&self) -> String {
        format!("{} to {}", self.path.display(), self.client)
    }

    async fn observe(_host: &Host, _scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        Ok(Vec::new())
    }

    async fn ensure(_host: &Host, _changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        todo!()
    }

    async fn remove(_host: &Host, _gone: &[&Self]) -> Vec<Result<(), HostError>> {
        todo!()
    }
}
