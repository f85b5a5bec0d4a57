//! How the checks stand, for whoever asks: a copy that the thread renews once a second.
//!
//! The thread tries for the lock and goes on without it if somebody is reading.

use crate::check::machine::Tally;

/// How the checks stand.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// What was asked, made and left out, and how late.
    pub tally: Tally,
    /// Checks that could not be made through a fault of this host.
    pub unmade: u64,
    /// How many may run at the same time.
    pub at_once: usize,
    /// Sockets that are open, those that wait to be used again included.
    pub sockets: usize,
}
