//! Source NAT for an IPVS service (FULLNAT on a mainline kernel).

use serde::Serialize;
use std::net::IpAddr;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// Packets that IPVS sends to a real server for this virtual server leave with an address of the
/// director, so that replies come back through it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snat {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The virtual server's address.
    pub vip: IpAddr,
    /// The virtual server's port.
    pub port: u16,
}

impl ResourceKind for Snat {
    const KIND: Kind = Kind::Snat;
    const MEMORY: Memory = Memory::Mark;

    fn name(&self) -> String {
        format!("{} {}:{}", self.protocol, self.vip, self.port)
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
