//! How a command ended, as the shell and systemd see it.
//!
//! The world disagrees on the small numbers; these are documented in the help text and the man
//! page. From 64 on they are those of sysexits(3), which systemd prints by name.

use std::process::ExitCode;

/// How a command ended, as the shell and systemd see it (sysexits(3) from 64 on).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is as it should be.
    Done,
    /// Something failed.
    Failed,
    /// `plan`: changes are pending.
    Pending,
    /// Something is missing that only a package can bring.
    NeedsPackage,
    /// Another converge is at work on this host.
    Busy,
    /// Wrong arguments (EX_USAGE).
    Usage,
    /// No permission (EX_NOPERM).
    NoPermission,
    /// A file is wrong (EX_CONFIG).
    BadConfig,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Pending => 2,
            Exit::NeedsPackage => 4,
            Exit::Busy => 5,
            Exit::Usage => 64,
            Exit::NoPermission => 77,
            Exit::BadConfig => 78,
        })
    }
}
