//! How a command ended, as the shell and systemd see it, and what changes how it runs.
//!
//! The world disagrees on the small numbers. From 64 on they are those of sysexits(3), which
//! systemd prints by name. Help texts and man pages are made of what stands here and with each
//! command.

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

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Pending => 2,
            Exit::NeedsPackage => 4,
            Exit::Busy => 5,
            Exit::Usage => 64,
            Exit::NoPermission => 77,
            Exit::BadConfig => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// What an exit code means for one command.
pub type Code = (Exit, &'static str);

/// All of them: what they mean where a command says nothing else.
pub const CODES: &[Code] = &[
    (Exit::Done, "converged, or nothing to do"),
    (Exit::Failed, "something failed; each failure is named"),
    (Exit::Pending, "plan: changes are pending"),
    (Exit::NeedsPackage, "something is missing that only a package can bring; it is named"),
    (Exit::Busy, "another converge is at work on this host"),
    (Exit::Usage, "wrong arguments"),
    (Exit::NoPermission, "no permission"),
    (Exit::BadConfig, "the cluster file or a role file is wrong"),
];

/// Variables that are read beside those that stand for an option.
pub const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "CONVERGE_LOG",
        "what is logged to standard error, by module: `converge=debug`, `converge::vrrp=trace`; it \
         wins over --verbose and --quiet",
    ),
    ("NO_COLOR", "set to anything but nothing: no colour, unless --color says so"),
    ("JOURNAL_STREAM", "set by systemd: the log has no time of its own and no colour"),
];

/// What a help text ends with: some words, and the exit codes.
pub fn ending((note, codes): (&str, &[Code])) -> String {
    let mut text = note.to_owned();
    if !codes.is_empty() {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str("Exit codes:");
        for (exit, meaning) in codes {
            text.push_str(&format!("\n  {:<3} {meaning}", exit.code()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_help_text_ends_with_the_codes() {
        let codes = [(Exit::Done, "good"), (Exit::BadConfig, "a file is wrong")];
        let shown = "Words.\n\nExit codes:\n  0   good\n  78  a file is wrong";
        assert_eq!(ending(("Words.", &codes)), shown);
        assert_eq!(ending(("Words.", &[])), "Words.");
    }
}
