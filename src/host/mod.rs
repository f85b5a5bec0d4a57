//! The only door to kernel, disk and units.
//!
//! The modules here read and write and decide nothing. Each has one small error type; [`HostError`]
//! gathers them for the resource kinds. Sockets and connections are opened when first used, so a
//! run that needs no D-Bus pays for none. A host may be rooted in a directory, which is how the
//! file kinds are tested.

pub mod aside;
pub mod births;
pub mod blocking;
pub mod command;
pub mod directory;
pub mod drift;
pub mod files;
pub mod ipvs;
pub mod lasting;
pub mod ledger;
pub mod memory;
pub mod mounts;
pub mod netlink;
pub mod orphan;
pub mod post;
pub mod processes;
pub mod ready;
#[cfg(test)]
pub(crate) mod scratch;
pub mod script;
pub mod service;
pub mod shelf;
pub mod survey;
pub mod units;
pub mod users;
pub mod written;
pub mod xtables;

use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;

pub use command::CommandError;
pub use files::FileError;
pub use ipvs::IpvsError;
pub use netlink::NetlinkError;
pub use units::UnitError;
pub use users::UserError;

use crate::resource::export::ExportError;
use crate::resource::file::UnprovenError;
use crate::resource::module::NoModule;
use crate::resource::mount::MountError;

/// What went wrong at one of the doors.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Reading or writing a file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Remembering what we made. Nothing is made that would be forgotten.
    #[error("not made, because the ledger cannot be written: {0}")]
    Ledger(FileError),
    /// Running a program.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Asking or telling systemd.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// Reading or changing the IPVS table.
    #[error(transparent)]
    Ipvs(#[from] IpvsError),
    /// Asking the kernel over rtnetlink.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// Looking up a user or a group.
    #[error(transparent)]
    User(#[from] UserError),
    /// A file whose check failed.
    #[error(transparent)]
    Unproven(#[from] UnprovenError),
    /// Somebody else's thing stands where ours is to stand.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// The kernel has no such module.
    #[error(transparent)]
    NoModule(#[from] NoModule),
    /// A mount point that is taken, or something that cannot be mounted.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// Something that cannot be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Somebody else's thing stands where ours is to stand; what is foreign is never changed.
#[derive(Debug, thiserror::Error)]
#[error("cannot make {wanted}: {stands} stands there, and converge did not make it")]
pub struct Foreign {
    /// What is wanted.
    pub wanted: String,
    /// What stands in its place.
    pub stands: String,
}

impl Foreign {
    fn hint(&self) -> String {
        format!("remove {} or whatever makes it, or ask for something else", self.stands)
    }
}

impl HostError {
    /// Whether only another user may.
    pub fn is_permission(&self) -> bool {
        matches!(self, HostError::File(error) if error.is_permission())
    }

    /// Whether only a package can help.
    pub fn is_missing_package(&self) -> bool {
        matches!(
            self,
            HostError::Command(CommandError::Missing { .. })
                | HostError::Unit(UnitError::NoSuchUnit { .. })
        )
    }

    /// What the operator can do about it, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            HostError::File(e) | HostError::Ledger(e) => e.hint(),
            HostError::Command(e) => e.hint(),
            HostError::Unit(e) => e.hint(),
            HostError::Ipvs(_) => None,
            HostError::Netlink(e) => e.hint(),
            HostError::User(e) => e.hint(),
            HostError::Unproven(e) => e.hint(),
            HostError::Foreign(e) => Some(e.hint()),
            HostError::NoModule(e) => Some(e.hint()),
            HostError::Mount(e) => e.hint(),
            HostError::Export(e) => e.hint(),
        }
    }
}

/// This machine.
pub struct Host {
    files: files::Files,
    netlink: OnceCell<netlink::Netlink>,
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
            netlink: OnceCell::new(),
            units: units::Units::new(PathBuf::from(root)),
        }
    }

    /// The door to the disk.
    pub fn files(&self) -> &files::Files {
        &self.files
    }

    /// The door to links, addresses, routes and rules, opened when first asked for.
    pub async fn netlink(&self) -> Result<&netlink::Netlink, NetlinkError> {
        self.netlink.get_or_try_init(async || netlink::Netlink::open()).await
    }

    /// The door to systemd.
    pub fn units(&self) -> &units::Units {
        &self.units
    }
}

/// An error with all its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let said = source.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = source.source();
    }
    text
}
