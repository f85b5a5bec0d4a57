//! An address on an interface; the VIP is one.

use serde::Serialize;
use ipnet::IpNet;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// An address on an interface, marked as ours by `IFA_PROTO`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    /// Address and prefix length.
    pub address: IpNet,
    /// The interface.
    pub interface: String,
    /// The label that ifconfig(8) shows, `lo:0`; IPv4 only, at most 15 bytes.
    pub label: Option<String>,
}

impl ResourceKind for Address {
    const KIND: Kind = Kind::Address;
    const MEMORY: Memory = Memory::Mark;

    fn name(&self) -> String {
        format!("{} on {}", self.address, self.interface)
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
