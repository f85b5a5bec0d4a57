//! An arptables rule pair that hides a VIP: the alternative to the ARP sysctls.

use serde::Serialize;
use std::net::Ipv4Addr;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// Nobody may learn from this host that it has the VIP: ARP requests for it are dropped on the way
/// in, and our own requests carry the host's address instead on the way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArpFilter {
    /// The address to hide.
    pub vip: Ipv4Addr,
    /// The address that our own ARP requests carry instead.
    pub source: Ipv4Addr,
}

impl ResourceKind for ArpFilter {
    const KIND: Kind = Kind::ArpFilter;
    const MEMORY: Memory = Memory::Mark;

    fn name(&self) -> String {
        self.vip.to_string()
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
