//! The IPVS table's connection timeouts.

use serde::Serialize;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// Seconds after which an idle connection's entry is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IpvsTimeouts {
    /// TCP sessions, seconds.
    pub tcp: u32,
    /// TCP sessions after a FIN, seconds.
    pub tcp_fin: u32,
    /// UDP, seconds.
    pub udp: u32,
}

impl ResourceKind for IpvsTimeouts {
    const KIND: Kind = Kind::IpvsTimeouts;
    const MEMORY: Memory = Memory::Never;

    fn name(&self) -> String {
        "table".to_owned()
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
