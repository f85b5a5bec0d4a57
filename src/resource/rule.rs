//! A routing policy rule.

use serde::Serialize;
use ipnet::IpNet;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// A routing policy rule (ip-rule(8)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Lower is asked first; 1..=32765.
    pub priority: u32,
    /// Only packets from here.
    pub from: Option<IpNet>,
    /// Only packets to here.
    pub to: Option<IpNet>,
    /// Only packets with this mark.
    pub fwmark: Option<u32>,
    /// Only packets that came in here.
    pub incoming: Option<String>,
    /// The table to look into.
    pub table: u32,
    /// Whether the rule is for IPv6; of use where no prefix tells.
    pub ipv6: bool,
}

impl ResourceKind for Rule {
    const KIND: Kind = Kind::Rule;
    const MEMORY: Memory = Memory::Mark;

    fn name(&self) -> String {
        format!("{} lookup {}", self.priority, self.table)
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
