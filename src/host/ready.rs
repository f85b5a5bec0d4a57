//! Waits on the runtime for a descriptor that it knows nothing about.
//!
//! inotify, pidfd and the kernel's process connector have no type of their own there. The
//! descriptor must be in non-blocking mode, and is closed with what this gives.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the runtime say when this descriptor can be read.
#[expect(unsafe_code, reason = "the runtime asks for a word that the descriptor stays open")]
pub fn readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: it is owned, so nobody else closes or replaces it as long as the runtime has it.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    registered.map_err(io::Error::from)
}
