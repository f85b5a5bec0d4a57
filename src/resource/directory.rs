//! A directory with owner and mode.

use serde::Serialize;
use std::path::PathBuf;

use super::file::{Mode, Owner};
use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// A directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Directory {
    /// Absolute path.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: Mode,
    /// Owner; `None` leaves it as it is (root for a new one).
    pub owner: Option<Owner>,
}

impl ResourceKind for Directory {
    const KIND: Kind = Kind::Directory;
    const MEMORY: Memory = Memory::OnDisk;

    fn name(&self) -> String {
        self.path.display().to_string()
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
