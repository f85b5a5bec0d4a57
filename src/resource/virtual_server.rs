//! An IPVS virtual server with its real servers.

use serde::Serialize;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// A virtual server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VirtualServer {
    /// Protocol and address.
    pub id: String,
}

impl ResourceKind for VirtualServer {
    const KIND: Kind = Kind::VirtualServer;
    const MEMORY: Memory = Memory::UntilReboot;

    fn name(&self) -> String {
        self.id.clone()
    }

    async fn observe(_host: &Host, _scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        todo!()
    }

    async fn ensure(_host: &Host, _changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        todo!()
    }

    async fn remove(_host: &Host, _gone: &[&Self]) -> Vec<Result<(), HostError>> {
        todo!()
    }
}
