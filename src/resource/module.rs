//! A kernel module that is loaded.

use serde::Serialize;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// A kernel module that is loaded (or built in).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Module {
    /// The module's name as modprobe(8) takes it, with underscores: `ip_vs_rr`.
    pub module: String,
}

impl ResourceKind for Module {
    const KIND: Kind = Kind::Module;
    const MEMORY: Memory = Memory::Never;

    fn name(&self) -> String {
        self.module.clone()
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
