//! A route.

use serde::Serialize;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// A route, marked as ours by its protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Where to; `0.0.0.0/0` or `::/0` is the default route.
    pub destination: IpNet,
    /// The next hop.
    pub via: Option<IpAddr>,
    /// The interface.
    pub interface: Option<String>,
    /// The address that packets from here carry.
    pub source: Option<IpAddr>,
    /// The routing table, 254 is main.
    pub table: u32,
    /// Lower wins among routes to one destination.
    pub metric: u32,
}

impl ResourceKind for Route {
    const KIND: Kind = Kind::Route;
    const MEMORY: Memory = Memory::Mark;

    fn name(&self) -> String {
        {
            let table = if self.table == 254 { String::new() } else { format!(" table {}", self.table) };
            format!("{}{table}", self.destination)
        }
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

/// Main.
pub const MAIN_TABLE: u32 = 254;
