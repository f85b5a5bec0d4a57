//! What can go wrong at the door to the IPVS table.
//!
//! One enum for reading and writing, because both go over the same socket. What the kernel refused
//! is a [`Refusal`], which knows the words; what was lost on the way is told apart from it, because
//! then the command may have been carried out.

use nix::errno::Errno;

use crate::ipvs::Command;
use crate::ipvs::refusal::Refusal;
use crate::ipvs::wire::DecodeError;

/// What went wrong with the IPVS table.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IpvsError {
    /// The kernel has no IPVS, and no module to load.
    #[error("this kernel has no IPVS: module ip_vs (CONFIG_IP_VS) is neither loaded nor loadable")]
    Absent,
    /// A system call failed.
    #[error("cannot {step}: {errno}")]
    Socket {
        /// What was being done.
        step: &'static str,
        /// Why it failed.
        errno: Errno,
    },
    /// The kernel refused a question.
    #[error("the kernel does not answer about its IPVS table: {errno}{}", privilege(*errno))]
    Asked {
        /// Its reason.
        errno: Errno,
    },
    /// The kernel refused a command.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// A command was sent and its outcome is not known.
    #[error("it is not known whether the kernel could {command}: {errno}")]
    Lost {
        /// What was to be done.
        command: Box<Command>,
        /// Why the answer is missing.
        errno: Errno,
    },
    /// An answer makes no sense.
    #[error("the kernel's answer about its IPVS table is not understood")]
    Answer(#[from] DecodeError),
    /// The table changed each time it was read.
    #[error("the IPVS table changed while it was read, several times in a row")]
    Unsteady,
}

impl IpvsError {
    /// The kernel's number for it, or `EBADMSG` for what is not understood.
    pub fn errno(&self) -> Errno {
        match self {
            Self::Socket { errno, .. } | Self::Asked { errno } | Self::Lost { errno, .. } => *errno,
            Self::Refused(refusal) => refusal.errno,
            Self::Absent => Errno::ENOENT,
            Self::Unsteady => Errno::EAGAIN,
            Self::Answer(_) => Errno::EBADMSG,
        }
    }
}

fn privilege(errno: Errno) -> &'static str {
    if errno == Errno::EPERM { " (it needs CAP_NET_ADMIN, run it as root)" } else { "" }
}
