//! A network interface that we create or bring up.

use serde::Serialize;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its name, at most 15 bytes.
    pub interface: String,
    /// What to create; `None` for an interface that something else creates (`tunl0` by its module).
    pub create: Option<LinkType>,
    /// Whether it is up.
    pub up: bool,
}

/// What sort of interface we create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkType {
    /// A dummy interface, to hold addresses.
    Dummy,
    /// An IP-in-IP tunnel end that takes packets from any peer to `local`.
    Ipip {
        /// The outer address of this host.
        local: std::net::Ipv4Addr,
    },
    /// A GRE tunnel end that takes packets from any peer to `local`.
    Gre {
        /// The outer address of this host.
        local: std::net::Ipv4Addr,
    },
}

impl ResourceKind for Link {
    const KIND: Kind = Kind::Link;
    const MEMORY: Memory = Memory::Mark;

    fn name(&self) -> String {
        self.interface.clone()
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
