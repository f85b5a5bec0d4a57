//! The connection that two directors keep beside the protocol.
//!
//! VRRP learns of a death by silence, in three intervals. Here the kernel says it: a process that
//! dies closes its connections, and a port that then refuses proves that nobody listens there any
//! more. Silence proves nothing, so only a refusal is ever called [`News::Gone`]. [`Peering`] is
//! the machine for one other director: it says whom to dial and when, what to write, and what has
//! become known. [`Refusal`] names why a connection was not believed. Both ends prove that they
//! have the cluster's key; what they say is not secret. Pure: the driver owns sockets, random
//! numbers and the clock.

mod conduct;
mod frame;
mod message;
mod peering;
mod refusal;
mod session;
mod telling;

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::fingerprint::Mismatch;

pub use frame::{MAX_FRAME, Nonce};
pub use message::Standing;
pub use peering::{Ends, Peering};
pub use refusal::Refusal;
pub use telling::{MOST_SAID, Topic};

/// The TCP port on which a director waits for the others, beside VRRP's own protocol number 112.
pub const LINK_PORT: u16 = 8849;

/// One connection of a [`Peering`], from the moment in which it is dialled or accepted. Never used
/// twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(super) u64);

/// How dialling ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialled {
    /// There is a connection. 32 fresh random bytes for it.
    Connected(Nonce),
    /// The port refused (ECONNREFUSED): nobody listens.
    Refused,
    /// No answer (ETIMEDOUT).
    TimedOut,
    /// Anything else: no route, no neighbour, no permission, no socket left.
    Unreachable,
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Connect to the other director's port, and say how it ended with `handle_dialled`. It keeps
    /// up the connection and it tells a death from a silence; nobody has to know which.
    Dial(ConnectionId),
    /// Write all of these; a connection that does not take them at once is to be closed.
    Write(ConnectionId, Vec<u8>),
    /// Close the connection, or give up dialling. Nothing is to be reported of it any more.
    Close(ConnectionId),
    /// Something has become known of the other director.
    News(News),
    /// Somebody should know.
    Alarm(Alarm),
}

/// What is known of the other director.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Its process runs: it has proven that it has the key. Its standing follows.
    Up,
    /// All its routers and how they stand now, whatever was said before.
    Standing(Vec<Standing>),
    /// This router of it has just resigned.
    Resigned(String),
    /// It has this known, newest only: what it said on the topic before no longer counts, and when
    /// it is gone or unknown, neither does this.
    Said(Topic, Vec<u8>),
    /// It restarts and will be back within this time. Until then it is neither gone nor unknown.
    Restarting(Duration),
    /// Its process is dead: the port refused, or a new process has proven itself.
    Gone,
    /// Nothing is known: no answer, or none that can be believed.
    Unknown,
}

/// What somebody should look at. Said once for each change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A connection was not believed.
    Refused(Refusal),
    /// The two directors' files differ.
    Mismatch(Mismatch),
    /// After a mismatch: they no longer do.
    Agreed,
}

/// Whether the other director is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// It has proven that it is.
    Present,
    /// Its port refuses.
    Gone,
    /// Who knows.
    Unknown,
}
