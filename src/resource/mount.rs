//! A systemd mount unit that is mounted.

use serde::Serialize;
use std::path::PathBuf;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// A file system that is mounted, by a systemd mount unit of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Where; absolute path.
    pub mount_point: PathBuf,
    /// What: a device or `host:/path`.
    pub what: String,
    /// The file system type, `nfs4` for example.
    pub fs_type: String,
    /// Mount options, comma separated, as mount(8) takes them.
    pub options: String,
    /// Whether it is mounted now.
    pub mounted: bool,
}

impl ResourceKind for Mount {
    const KIND: Kind = Kind::Mount;
    const MEMORY: Memory = Memory::Mark;

    fn name(&self) -> String {
        self.mount_point.display().to_string()
    }

    async fn observe(_host: &Host, _scope: &Scope<'_, Self>) -> Result<Vec<Self>, HostError> {
        Ok(Vec::new())
    }

    async fn ensure(_host: &Host, _changes: &[Ensure<'_, Self>]) -> Vec<Result<(), HostError>> {
        todo!()
    }

    async fn remove(_host: &Host, _gone: &[&Self]) -> Vec<Result<(), HostError>> {
        todo!()
    }
}
