//! A descriptor that carries many runs at once: a socket for all pings, one for all looks through
//! a VIP, one bell for programs and files.
//!
//! The engine opens a station when the first check of its sort is to be made, waits for its
//! descriptor and its timer, and takes what it has done. Whoever cannot be begun is done at once.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::check::config::CheckConfig;
use crate::check::machine::Run;
use crate::check::outcome::{Failure, Outcome};
use crate::clock::Moment;

/// What has ended, and how. Each run that was begun ends once, unless it expires or is aborted.
pub(in crate::check) type Done = Vec<(Run, Outcome)>;

/// Something with one descriptor that carries many runs. Nothing of it blocks.
pub(in crate::check) trait Station: Send {
    /// What epoll(7) waits for, to be read: level-triggered, so what is left unread is told again.
    /// It stays the same.
    fn as_fd(&self) -> BorrowedFd<'_>;

    /// Begins a run of a check of its sort.
    fn begin(&mut self, run: Run, check: &Arc<CheckConfig>, now: Moment, done: &mut Done);

    /// Its descriptor can be read.
    fn ready(&mut self, now: Moment, done: &mut Done);

    /// The time of a run is up: it ends, with what is known of it by now.
    fn expire(&mut self, run: Run) -> Failure;

    /// A run is no longer wanted: it ends, and nothing is said of it.
    fn abort(&mut self, run: Run);

    /// Its own timer is due, or was.
    fn handle_timeout(&mut self, now: Moment, done: &mut Done);

    /// When its own timer is due.
    fn poll_timeout(&self) -> Option<Moment>;
}
