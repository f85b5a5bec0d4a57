//! The only door to kernel, disk and units.
//!
//! The modules here read and write and decide nothing. Each has one small error type; [`HostError`]
//! gathers them for the resource kinds. Sockets and connections are opened when first used, so a
//! run that needs no D-Bus pays for none. A host may be rooted in a directory, which is how the
//! file kinds are tested.

pub mod aside;
pub mod command;
pub mod files;
pub mod ledger;
pub mod mounts;
#[cfg(test)]
pub(crate) mod scratch;
pub mod units;
pub mod users;
pub mod written;

use std::path::{Path, PathBuf};

pub use command::CommandError;
pub use files::FileError;
pub use units::UnitError;
pub use users::UserError;

use crate::resource::export::ExportError;
use crate::resource::file::UnprovenError;
use crate::resource::mount::MountError;

/// What went wrong at one of the doors.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Reading or writing a file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Remembering what we made. Nothing is made that would be forgotten.
    #[error("not made, because the ledger cannot be written")]
    Ledger(#[source] FileError),
    /// Running a program.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Asking or telling systemd.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// Looking up a user or a group.
    #[error(transparent)]
    User(#[from] UserError),
    /// A file whose check failed.
    #[error(transparent)]
    Unproven(#[from] UnprovenError),
    /// A mount point that is taken, or something that cannot be mounted.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// Something that cannot be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
}

impl HostError {
    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            HostError::File(e) | HostError::Ledger(e) => e.hint(),
            HostError::Command(e) => e.hint(),
            HostError::Unit(e) => e.hint(),
            HostError::User(e) => e.hint(),
            HostError::Unproven(e) => e.hint(),
            HostError::Mount(e) => e.hint(),
            HostError::Export(e) => e.hint(),
        }
    }
}

/// This machine.
pub struct Host {
    files: files::Files,
    units: units::Units,
}

impl Host {
    /// The machine we run on.
    pub fn this() -> Self {
        Self::rooted(Path::new("/"))
    }

    /// All paths lie below `root`.
    pub fn rooted(root: &Path) -> Self {
        Host {
            files: files::Files::new(PathBuf::from(root)),
            units: units::Units::new(PathBuf::from(root)),
        }
    }

    /// The door to the disk.
    pub fn files(&self) -> &files::Files {
        &self.files
    }
    /// The door to systemd.
    pub fn units(&self) -> &units::Units {
        &self.units
    }
}
