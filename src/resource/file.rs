//! A file, whole.

use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

use super::{Ensure, Kind, Memory, ResourceKind, Scope};
use crate::host::{Host, HostError};

/// Permission bits, `0o000..=0o7777`; written in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for Mode {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// User and group, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// User name.
    pub user: String,
    /// Group name.
    pub group: String,
}

/// A file with its whole content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// Absolute path.
    pub path: PathBuf,
    /// The whole text.
    pub content: String,
    /// Permission bits; `None` keeps those of the file that stands there, 0644 for a new one.
    pub mode: Option<Mode>,
    /// Owner; `None` keeps the one that stands there, root for a new file.
    pub owner: Option<Owner>,
    /// Only write it when it is missing: the content belongs to the user afterwards.
    pub once: bool,
    /// A command that must succeed with the new file in place (`nginx -t`), else the old one
    /// is put back. Files with the same check are proven together.
    pub check: Option<Vec<String>>,
}

impl ResourceKind for File {
    const KIND: Kind = Kind::File;
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
